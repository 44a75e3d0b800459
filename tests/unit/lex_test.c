/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "policy/base/limits.h"
#include "policy/syntax/lex.h"
#include "tests/support/support.h"

#define TEST_BYTES (1024u * 1024)

static void
skipping(void **state)
{
	static const struct {
		const char *text;
		size_t at;
		bool blank, comment, fault;
	} rows[] = {
		{ "a", 0, false, false, false }, { "", 0, false, false, false },
		{ " \t\r\n x", 5, true, false, false }, { "(a(b)c)x", 7, false, true, false },
		{ "(a) (b)x", 7, true, true, false }, { "(\\()x", 4, false, true, false },
		{ "(\")x", 3, false, true, false },    /* a quote is ctext */
		{ "(a", 2, false, true, true },	       /* no end */
		{ "(a\\", 3, false, true, true },      /* no end */
		{ "(\x01)x", 3, false, true, true },   /* control byte */
		{ "\rx", 1, true, false, true },       /* bare CR */
		{ "\nx", 1, true, false, true },       /* no fold */
		{ "\r\nx", 2, true, false, true },     /* no fold */
		{ "\r\n ", 3, true, false, false },    /* RFC 5322 4.2 obs-FWS */
		{ "(\\\r\n )", 6, false, true, true }, /* a fold behind a backslash */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lex l = lex_over(slice_str(rows[i].text));

		lex_skip(&l);
		if (l.at != rows[i].at || l.blank != rows[i].blank ||
		    l.comment != rows[i].comment || (l.fault != NULL) != rows[i].fault)
			fail_msg("row %zu: at %zu blank %d comment %d fault %s (RFC 5322 3.2.2)", i,
			    l.at, l.blank, l.comment, l.fault == NULL ? "none" : l.fault);
	}
}

static void
nesting(void **state)
{
	char text[2 * LIMIT_COMMENT_DEPTH + 2];

	(void)state;
	for (size_t depth = LIMIT_COMMENT_DEPTH; depth <= LIMIT_COMMENT_DEPTH + 1; depth++) {
		struct lex l = lex_over(slice_of(text, 2 * depth));

		memset(text, '(', depth);
		memset(text + depth, ')', depth);
		lex_skip(&l);
		assert_true(lex_at_end(&l));
		assert_int_equal(l.fault != NULL, depth > LIMIT_COMMENT_DEPTH);
	}
}

static void
quoted(void **state)
{
	static const struct {
		const char *text, *want;
		size_t at;
		bool fault;
	} rows[] = {
		{ "\"\"x", "", 2, false },
		{ "\"a b\"x", "a b", 5, false },
		{ "\"a\\\"\\\\b\"x", "a\"\\b", 8, false },
		{ "\"a\r\n\tb\"", "a\tb", 7, false },
		{ "\"(a\"", "(a", 4, false },
		{ "\"a", "a", 2, true },
		{ "\"", "", 1, true },
		{ "\"a\\\"", "a\"", 4, true },
		{ "\"a\x02\"", "a\x02", 4, true },
		{ "\"a\nb\"", "ab", 5, true },
	};
	struct arena *a = arena_new(TEST_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lex l = lex_over(slice_str(rows[i].text));
		struct slice got = lex_quoted(&l, a);

		if (l.at != rows[i].at || (l.fault != NULL) != rows[i].fault ||
		    !slice_equal(got, slice_str(rows[i].want)))
			fail_msg("row %zu: \"%.*s\" at %zu fault %s (RFC 5322 3.2.4)", i,
			    SLICE_ARG(got), l.at, l.fault == NULL ? "none" : l.fault);
	}
	arena_free(&a);
}

static void
literals(void **state)
{
	struct lex closed = lex_over(SLICE("[192.0.2.1]x")), open = lex_over(SLICE("[192"));

	(void)state;
	assert_slice(lex_literal(&closed), "[192.0.2.1]");
	assert_null(closed.fault);
	assert_slice(lex_literal(&open), "[192");
	assert_non_null(open.fault);
}

static void
utf8(void **state)
{
	static const struct {
		const char *text;
		uint32_t code_point; /* 0: not UTF-8 */
		size_t len;
	} rows[] = {
		{ "a", 'a', 1 },
		{ "\x7f", 0x7f, 1 },
		{ "\xc2\x80", 0x80, 2 },
		{ "\xdf\xbf", 0x7ff, 2 },
		{ "\xe0\xa0\x80", 0x800, 3 },
		{ "\xed\x9f\xbf", 0xd7ff, 3 },
		{ "\xee\x80\x80", 0xe000, 3 },
		{ "\xf0\x90\x80\x80", 0x10000, 4 },
		{ "\xf4\x8f\xbf\xbf", 0x10ffff, 4 },
		{ "\x80", 0, 0 },
		{ "\xbf", 0, 0 },
		{ "\xc0\x80", 0, 0 },	      /* overlong */
		{ "\xc1\xbf", 0, 0 },	      /* overlong */
		{ "\xe0\x9f\xbf", 0, 0 },     /* overlong */
		{ "\xf0\x8f\xbf\xbf", 0, 0 }, /* overlong */
		{ "\xed\xa0\x80", 0, 0 },     /* surrogate */
		{ "\xf4\x90\x80\x80", 0, 0 }, /* above U+10FFFF */
		{ "\xf8\x88\x80\x80\x80", 0, 0 },
		{ "\xff", 0, 0 },
		{ "\xc3", 0, 0 },     /* cut short */
		{ "\xe2\x82", 0, 0 }, /* cut short */
		{ "\xc3(", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice text = slice_str(rows[i].text);
		uint32_t code_point = 0;
		size_t len = utf8_decode(text, 0, &code_point);

		if (len != rows[i].len || code_point != rows[i].code_point ||
		    utf8_is_valid(text) != (len > 0))
			fail_msg("row %zu: %zu bytes, U+%04X (RFC 3629 3, 4)", i, len,
			    (unsigned)code_point);
	}
	assert_true(utf8_is_valid(slice_of(NULL, 0)));
	assert_false(utf8_is_valid(SLICE("ab\xc3\xb8"
					 "c\xff")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(skipping),
		cmocka_unit_test(nesting),
		cmocka_unit_test(quoted),
		cmocka_unit_test(literals),
		cmocka_unit_test(utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
