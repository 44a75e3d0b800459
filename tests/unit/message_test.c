/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/header.h"
#include "policy/syntax/message.h"
#include "policy/syntax/multipart.h"
#include "tests/support/support.h"

/* What was handed over, as text: "name|value$" a field, "#" the end of the header, then the body.
 */
static void
on_field(void *ctx, struct slice name, struct slice value)
{
	strbuf_add(ctx, name);
	strbuf_char(ctx, '|');
	strbuf_add(ctx, value);
	strbuf_char(ctx, '$');
}

static void
on_end_of_header(void *ctx)
{
	strbuf_char(ctx, '#');
}

static void
on_body(void *ctx, struct slice chunk)
{
	strbuf_add(ctx, chunk);
}

/* Fed in pieces of so many bytes. NULL: refused. */
static const char *
take_apart(struct arena *a, struct slice raw, size_t piece)
{
	struct strbuf *b = arena_alloc(a, sizeof(*b));
	const struct message_handler handler = { on_field, on_end_of_header, on_body, b };
	struct message_reader r;

	strbuf_init(b, a, 16u * 1024 * 1024);
	message_reader_init(&r, a, &handler);
	for (size_t i = 0; i < raw.len; i += piece)
		if (message_reader_feed(&r, slice_sub(raw, i, piece)) != 0)
			return NULL;
	if (message_reader_end(&r) != 0)
		return NULL;
	return strbuf_slice(b).p;
}

static const struct {
	const char *name, *raw, *want;
} rows[] = {
	{ "crlf", "A: 1\r\nB:2\r\n\r\nbody\r\n", "A| 1$B|2$#body\r\n" },
	{ "lf becomes crlf", "A: 1\n\nx\ny\n", "A| 1$#x\r\ny\r\n" },
	{ "fold", "A: 1\r\n  2\r\n\t3\r\n\r\n", "A| 1\r\n  2\r\n\t3$#" },
	{ "fold, lf", "A: 1\n 2\n\n", "A| 1\r\n 2$#" },
	{ "fold of blanks only", "A: 1\r\n  \r\n\r\nb", "A| 1\r\n  $#b" },
	{ "bare LF and CR in a CRLF body stay", "A:1\r\n\r\na\nb\rc\r\r\n\n",
	    "A|1$#a\nb\rc\r\r\n\n" },
	{ "CRLF in an LF file stays one line end", "A:1\n\na\r\nb\n", "A|1$#a\r\nb\r\n" },
	{ "blanks before the colon", "From : x\r\n\r\n", "From | x$#" },
	{ "empty value", "A:\r\n\r\n", "A|$#" },
	{ "no body", "A:1\r\n", "A|1$#" },
	{ "no line end at all", "A:1", "A|1$#" },
	{ "body without final line end", "A:1\n\nx", "A|1$#x" },
	{ "no header", "\r\nbody", "#body" },
	{ "nothing", "", "#" },
	{ "no field: the body begins", "A:1\r\nnonsense\r\nB:2\r\n", "A|1$#nonsense\r\nB:2\r\n" },
	{ "no field, lf", "A:1\nnon sense: x\nB\n", "A|1$#non sense: x\r\nB\r\n" },
	{ "fold of nothing", " x\r\nA:1\r\n", "# x\r\nA:1\r\n" },
	{ "mbox line", "From a@b Mon\nA:1\n\nx\n", "A|1$#x\r\n" },
	{ "mbox line only first", "A:1\nFrom a@b\n", "A|1$#From a@b\r\n" },
	{ "colon first", ":x\r\n", "#:x\r\n" },
	{ "8-bit value", "A: \xc3\xbc\r\n\r\n\xff", "A| \xc3\xbc$#\xff" },
};

/* Every way of cutting gives the same. */
static void
messages(void **state)
{
	struct arena *a = arena_new(16u * 1024 * 1024);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t piece = 1; piece <= strlen(rows[i].raw) + 1; piece++) {
			const char *got = take_apart(a, slice_str(rows[i].raw), piece);

			if (got == NULL || strcmp(got, rows[i].want) != 0)
				fail_msg("%s, in pieces of %zu: got \"%s\", want \"%s\"",
				    rows[i].name, piece, got, rows[i].want);
		}
	arena_free(&a);
}

static void
limits(void **state)
{
	struct arena *a = arena_new(64u * 1024 * 1024);
	struct strbuf many, folds;

	(void)state;
	strbuf_init(&many, a, 4u * 1024 * 1024);
	strbuf_init(&folds, a, 4u * 1024 * 1024);
	for (size_t i = 0; i < LIMIT_HEADER_FIELDS; i++)
		strbuf_str(&many, "a:b\n");
	assert_non_null(take_apart(a, strbuf_slice(&many), 4096));
	strbuf_str(&many, "a:b\n\n");
	assert_null(take_apart(a, strbuf_slice(&many), 4096));

	/* In wire form each of these folds takes three bytes, and the field five. */
	strbuf_str(&folds, "a:b\n");
	for (size_t bytes = strlen("a:b\r\n"); bytes + 3 <= LIMIT_HEADER_BYTES; bytes += 3)
		strbuf_str(&folds, "\t\n");
	assert_non_null(take_apart(a, strbuf_slice(&folds), 4096));
	strbuf_str(&folds, "\t\n");
	assert_null(take_apart(a, strbuf_slice(&folds), 4096));
	arena_free(&a);
}

/* The file, in whatever form, meets the limit with the byte with which its fields do in a list. */
static void
same_limit_as_list(void **state)
{
	static const char *const ends[] = { "\n", "\r\n" };

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (size_t over = 0; over < 2; over++) {
			struct arena *a = arena_new(64u * 1024 * 1024);
			const size_t fill = LIMIT_HEADER_BYTES + over -
			    strlen("A: 1\r\n 2\r\nB:\r\n");
			char *text = arena_alloc(a, fill);
			struct header_list list = { 0 };
			struct strbuf raw;

			memset(text, 'x', fill);
			strbuf_init(&raw, a, 4u * 1024 * 1024);
			strbuf_printf(&raw, "A: 1%s 2%sB:", ends[i], ends[i]);
			strbuf_add(&raw, slice_of(text, fill));
			strbuf_printf(&raw, "%s%s", ends[i], ends[i]);
			assert_int_equal(take_apart(a, strbuf_slice(&raw), 4096) == NULL, over);
			header_list_add(
			    &list, a, SLICE("A"), slice_str(i == 0 ? " 1\n 2" : " 1\r\n 2"));
			assert_int_equal(
			    header_list_limit(&list, SLICE("B"), slice_of(text, fill)) != NULL,
			    over);
			header_list_add(&list, a, SLICE("B"), slice_of(text, fill));
			assert_int_equal(list.bytes, LIMIT_HEADER_BYTES + over);
			arena_free(&a);
		}
}

/* RFC 5322 4.5.1: what stands before the colon belongs to no name; readers find "From :" as well.
 */
static void
names_with_blanks(void **state)
{
	struct arena *a = arena_new(65536);
	struct header_list list = { 0 };

	(void)state;
	header_list_add(&list, a, SLICE("From \t"), SLICE(" x"));
	header_list_add(&list, a, SLICE("from"), SLICE(" y"));
	assert_int_equal(header_count(&list, "From"), 2);
	assert_ptr_equal(header_find(&list, "FROM", 0), &list.fields[0]);
	arena_free(&a);
}

/* ---- multipart ---- */

static const struct {
	const char *name, *body, *want; /* "[part]" each */
} multipart_rows[] = {
	{ "two, with text before and behind",
	    "pre\r\n--x\r\na\r\n--x\r\nb\r\n\r\n--x--\r\npost\r\n--x\r\n", "[a][b\r\n]" },
	{ "lines that end with LF", "--x\na\n\n--x\nb\n--x--", "[a\n][b]" },
	{ "cut off", "--x\r\na\r\nb\r\n", "[a\r\nb\r\n]" },
	{ "cut off behind a delimiter", "--x\r\na\r\n--x\r\n", "[a][]" },
	{ "blanks behind a delimiter", "--x \t\r\na\r\n--x--  \r\n", "[a]" },
	{ "longer than the boundary", "--xy\r\n--x\r\na\r\n--xy\r\nb\r\n--x--",
	    "[a\r\n--xy\r\nb]" },
	{ "in the middle of a line", "--x\r\na --x\r\n -- x\r\n--x--", "[a --x\r\n -- x]" },
	{ "empty parts", "--x\r\n--x\r\n\r\n--x--", "[][]" },
	{ "ended before it begins", "--x--\r\n--x\r\na\r\n--x--", "" },
	{ "no delimiter", "a\r\nb", "" },
	{ "empty", "", "" },
};

static void
test_multipart(void **state)
{
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(multipart_rows) / sizeof(multipart_rows[0]); i++) {
		struct multipart m = { .body = slice_str(multipart_rows[i].body),
			.boundary = SLICE("x") };
		struct slice part;
		struct strbuf b;

		strbuf_init(&b, a, 1000);
		while (multipart_next(&m, &part))
			strbuf_printf(&b, "[%.*s]", SLICE_ARG(part));
		assert_false(multipart_next(&m, &part));
		if (!slice_equal(strbuf_slice(&b), slice_str(multipart_rows[i].want)))
			fail_msg("%s: %.*s", multipart_rows[i].name, SLICE_ARG(strbuf_slice(&b)));
		m = (struct multipart){ .body = slice_str(multipart_rows[i].body) };
		assert_false(multipart_next(&m, &part));
	}
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages),
		cmocka_unit_test(limits),
		cmocka_unit_test(same_limit_as_list),
		cmocka_unit_test(names_with_blanks),
		cmocka_unit_test(test_multipart),
	};

	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
