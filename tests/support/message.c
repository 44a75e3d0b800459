/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/message.h"

#include "policy/base/strbuf.h"
#include "policy/syntax/message.h"
#include "tests/support/support.h"

struct collector {
	struct arena *arena;
	struct test_message *out;
	struct strbuf body;
};

static void
on_field(void *ctx, struct slice name, struct slice value)
{
	struct collector *c = ctx;

	header_list_add(&c->out->header, c->arena, name, value);
}

static void
on_end_of_header(void *ctx)
{
	(void)ctx;
}

static void
on_body(void *ctx, struct slice chunk)
{
	strbuf_add(&((struct collector *)ctx)->body, chunk);
}

void
test_message_read(struct arena *a, struct slice raw, struct test_message *out)
{
	struct collector c = { .arena = a, .out = out };
	const struct message_handler handler = { on_field, on_end_of_header, on_body, &c };
	struct message_reader reader;

	*out = (struct test_message){ 0 };
	strbuf_init(&c.body, a, 2 * raw.len + 2);
	message_reader_init(&reader, a, &handler);
	if (message_reader_feed(&reader, raw) != 0 || message_reader_end(&reader) != 0)
		fail_msg("message: %s", reader.error);
	out->body = strbuf_slice(&c.body);
}
