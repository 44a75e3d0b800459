/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is a message a report or a bounce? The input is a header. Asserted beyond survival: a field more
 * at the end takes nothing back.
 */
#include <stdint.h>

#include "policy/base/bug.h"
#include "policy/syntax/message.h"
#include "report/exempt.h"

struct fields {
	struct arena *arena;
	struct header_list header;
};

static void
take_field(void *ctx, struct slice name, struct slice value)
{
	struct fields *f = ctx;

	header_list_add(&f->header, f->arena, name, value);
}

static void
end_of_header(void *ctx)
{
	(void)ctx;
}

static void
body(void *ctx, struct slice chunk)
{
	(void)ctx;
	(void)chunk;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fields f = { .arena = arena_new(16u * 1024 * 1024) };
	const struct message_handler handler = { take_field, end_of_header, body, &f };
	struct message_reader reader;
	struct verdict v = { 0 };
	bool before;

	message_reader_init(&reader, f.arena, &handler);
	if (message_reader_feed(&reader, slice_of((const char *)data, size)) == 0)
		(void)message_reader_end(&reader);
	author_read(f.arena, &f.header, &v.author);
	before = report_exempt(f.arena, &v, &f.header) != NULL;
	header_list_add(&f.header, f.arena, SLICE("X-Last"), SLICE(" x"));
	if (before && report_exempt(f.arena, &v, &f.header) == NULL)
		bug("it was a report before");
	arena_free(&f.arena);
	return 0;
}
