/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The message reader. Asserts that pieces cut anywhere give what the whole gives, that no field has
 * a line end in its name nor a bare LF in its value, and that a file of LF lines leaves no bare LF
 * in the body.
 */
#include <stdint.h>

#include "policy/base/bug.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/message.h"

struct seen {
	struct strbuf header, body;
	bool ended;
};

static void
on_field(void *ctx, struct slice name, struct slice value)
{
	struct seen *s = ctx;

	if (s->ended || name.len == 0 || slice_find(name, '\n') != SLICE_NONE)
		bug("field: bad name, or behind the header");
	for (size_t i = 0; i < value.len; i++)
		if (value.p[i] == '\n' && (i == 0 || value.p[i - 1] != '\r'))
			bug("field: bare LF");
	strbuf_add(&s->header, name);
	strbuf_char(&s->header, ':');
	strbuf_add(&s->header, value);
	strbuf_char(&s->header, '\0');
}

static void
on_end_of_header(void *ctx)
{
	struct seen *s = ctx;

	if (s->ended)
		bug("the header ended twice");
	s->ended = true;
}

static void
on_body(void *ctx, struct slice chunk)
{
	struct seen *s = ctx;

	if (!s->ended)
		bug("body before the header's end");
	strbuf_add(&s->body, chunk);
}

static int
run(struct arena *a, struct slice raw, size_t piece, struct seen *s)
{
	const struct message_handler handler = { on_field, on_end_of_header, on_body, s };
	struct message_reader r;
	int rc = 0;

	s->ended = false;
	strbuf_init(&s->header, a, 8u * 1024 * 1024);
	strbuf_init(&s->body, a, 8u * 1024 * 1024);
	message_reader_init(&r, a, &handler);
	for (size_t i = 0; i < raw.len && rc == 0; i += piece)
		rc = message_reader_feed(&r, slice_sub(raw, i, piece));
	if (rc == 0)
		rc = message_reader_end(&r);
	if ((rc == 0) != (r.error == NULL) || (rc == 0 && !s->ended))
		bug("result and state differ");
	if (r.lines == MESSAGE_LINES_LF) {
		struct slice body = strbuf_slice(&s->body);

		for (size_t i = 0; i < body.len; i++)
			if (body.p[i] == '\n' && (i == 0 || body.p[i - 1] != '\r'))
				bug("bare LF left in the body");
	}
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(64u * 1024 * 1024);
	struct slice raw = slice_of((const char *)data, size);
	struct seen whole, cut;
	size_t piece = size == 0 ? 1 : 1 + data[size - 1] % 7u;

	if (run(a, raw, size + 1, &whole) != run(a, raw, piece, &cut) ||
	    !slice_equal(strbuf_slice(&whole.header), strbuf_slice(&cut.header)) ||
	    !slice_equal(strbuf_slice(&whole.body), strbuf_slice(&cut.body)))
		bug("pieces of %zu give something else", piece);
	arena_free(&a);
	return 0;
}
