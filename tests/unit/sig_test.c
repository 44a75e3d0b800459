/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/sig/sig.h"

#include <stdlib.h>
#include <string.h>

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/base64.h"
#include "tests/support/dkim_signer.h"
#include "tests/support/support.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define TEXT_MAX    (1024u * 1024)

/* The same random texts in every run. */
static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static struct slice
random_text(struct arena *a, uint64_t *seed, const char *alphabet, size_t len)
{
	char *p = arena_alloc(a, len + 1);

	for (size_t i = 0; i < len; i++)
		p[i] = alphabet[next_random(seed) % strlen(alphabet)];
	return slice_of(p, len);
}

/* ---- canonical header fields ---- */

static struct slice
canon_field(struct arena *a, enum sig_canon canon, struct slice name, struct slice value)
{
	char *out = arena_alloc(a, name.len + 1 + value.len);

	return slice_of(out, sig_canon_field(canon, name, value, out));
}

static void
fields_canonical(void **state)
{
	static const struct {
		const char *name, *value, *simple, *relaxed;
	} rows[] = {
		/* RFC 6376 3.4.5 */
		{ "A", " X", "A: X", "a:X" },
		{ "B ", " Y\t\r\n\tZ  ", "B : Y\t\r\n\tZ  ", "b:Y Z" },
		/* RFC 6376 3.4.2 */
		{ "SUBJect", " AbC", "SUBJect: AbC", "subject:AbC" },
		{ "Subject", "x", "Subject:x", "subject:x" },
		{ "Subject", " \t x", "Subject: \t x", "subject:x" },
		{ "Subject", "", "Subject:", "subject:" },
		{ "Subject", "  ", "Subject:  ", "subject:" },
		{ "Subject", "\r\n x", "Subject:\r\n x", "subject:x" },
		{ "Subject", " a\r\n b", "Subject: a\r\n b", "subject:a b" },
		{ "Subject", " a \r\n\t b \r\n ", "Subject: a \r\n\t b \r\n ", "subject:a b" },
		{ "Subject", " a\rb", "Subject: a\rb", "subject:a\rb" },
		{ "Subject", " a\r", "Subject: a\r", "subject:a\r" },
		{ "X\t ", "1", "X\t :1", "x:1" },
		{ "X", " \xc3\xbc", "X: \xc3\xbc", "x:\xc3\xbc" },
	};
	struct arena *a = arena_new(TEXT_MAX);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice name = slice_str(rows[i].name), value = slice_str(rows[i].value);

		assert_slice(canon_field(a, SIG_SIMPLE, name, value), rows[i].simple);
		assert_slice(canon_field(a, SIG_RELAXED, name, value), rows[i].relaxed);
	}
	arena_free(&a);
}

/* Against the slow and obvious way; relaxed twice equals once. */
static void
fields_random(void **state)
{
	uint64_t seed = 6376;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct arena *a = arena_new(TEXT_MAX);
		struct slice value = random_text(a, &seed, "ab \t\r\n", next_random(&seed) % 30);
		struct header_list list = { 0 };
		struct slice once, twice;

		header_list_add(&list, a, SLICE("Name "), value);
		for (int relaxed = 0; relaxed < 2; relaxed++) {
			struct slice want = test_canon_field(
			    a, relaxed != 0, list.fields[0].name, list.fields[0].value);

			once = canon_field(a, relaxed != 0 ? SIG_RELAXED : SIG_SIMPLE,
			    list.fields[0].name, list.fields[0].value);
			if (!slice_equal(once, want))
				fail_msg("value \"%s\" relaxed %d:\n got  \"%s\"\n want \"%s\"",
				    arena_printable(a, value, 99), relaxed,
				    arena_printable(a, once, 99), arena_printable(a, want, 99));
		}
		twice = canon_field(a, SIG_RELAXED, slice_sub(once, 0, 4), slice_from(once, 5));
		assert_true(slice_equal(once, twice));
		arena_free(&a);
	}
}

/* ---- canonical bodies ---- */

static void
collect(void *ctx, const char *bytes, size_t len)
{
	assert_true(len > 0);
	strbuf_add(ctx, slice_of(bytes, len));
}

/* In pieces cut at random, each in memory of its own so that nothing can be read behind it. */
static struct slice
canon_body(
    struct arena *a, enum sig_canon canon, struct slice body, size_t piece_max, uint64_t *seed)
{
	struct sig_canon_body b;
	struct strbuf out;
	size_t piece;

	strbuf_init(&out, a, TEXT_MAX);
	sig_canon_body_init(&b, canon, collect, &out);
	for (; body.len > 0; body = slice_from(body, piece)) {
		struct slice chunk;
		char *own;

		piece = piece_max == 1 ? 1 : 1 + next_random(seed) % piece_max;
		chunk = slice_sub(body, 0, piece);
		own = malloc(chunk.len);
		memcpy(own, chunk.p, chunk.len);
		sig_canon_body_update(&b, slice_of(own, chunk.len));
		sig_canon_body_update(&b, slice_of(NULL, 0));
		free(own);
	}
	sig_canon_body_end(&b);
	return strbuf_slice(&out);
}

static void
bodies_canonical(void **state)
{
	static const struct {
		const char *body, *simple, *relaxed;
	} rows[] = {
		/* RFC 6376 3.4.5 */
		{ " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n" },
		/* RFC 6376 3.4.3, 3.4.4: the empty body (PITFALLS 10) */
		{ "", "\r\n", "" },
		{ "\r\n", "\r\n", "" },
		{ "\r\n\r\n", "\r\n", "" },
		{ " \r\n", " \r\n", "" },
		{ " ", " \r\n", "" },
		{ "\t\r\n\r\n \r\n", "\t\r\n\r\n \r\n", "" },
		/* PITFALLS 11: blanks go before a line is called empty */
		{ "a\r\n \r\n\t\r\n", "a\r\n \r\n\t\r\n", "a\r\n" },
		{ "a\r\n \r\nb", "a\r\n \r\nb\r\n", "a\r\n\r\nb\r\n" },
		{ "a", "a\r\n", "a\r\n" },
		{ "a ", "a \r\n", "a\r\n" },
		{ "a\t b", "a\t b\r\n", "a b\r\n" },
		{ "  a", "  a\r\n", " a\r\n" },
		{ "\r\n\r\na", "\r\n\r\na\r\n", "\r\n\r\na\r\n" },
		/* PITFALLS 14: line ends that are none are bytes like others */
		{ "a\nb\rc", "a\nb\rc\r\n", "a\nb\rc\r\n" },
		{ "a\r", "a\r\r\n", "a\r\r\n" },
		{ "a\n", "a\n\r\n", "a\n\r\n" },
		{ "\r", "\r\r\n", "\r\r\n" },
		{ "a\r\r\n", "a\r\r\n", "a\r\r\n" },
		{ "a \n b", "a \n b\r\n", "a \n b\r\n" },
		{ "a\n\r\n\r\n", "a\n\r\n", "a\n\r\n" },
		{ "..\r\n.", "..\r\n.\r\n", "..\r\n.\r\n" },
	};
	struct arena *a = arena_new(TEXT_MAX);
	uint64_t seed = 1;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t piece = 1; piece < 8; piece++) {
			struct slice body = slice_str(rows[i].body);

			assert_slice(canon_body(a, SIG_SIMPLE, body, piece, &seed), rows[i].simple);
			assert_slice(
			    canon_body(a, SIG_RELAXED, body, piece, &seed), rows[i].relaxed);
		}
	arena_free(&a);
}

/* Any body, cut anyhow, is what the slow and obvious way makes of it; relaxed twice equals once. */
static void
bodies_random(void **state)
{
	static const char *const alphabets[] = { "a \t\r\n", "\r\n", "ab  \r\n\r\n\r\n", " \t",
		"aaaaaaaaaaaaa b\r\n\t" };
	uint64_t seed = 3463;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct arena *a = arena_new(TEXT_MAX);
		struct slice body = random_text(
		    a, &seed, alphabets[i % (int)COUNT(alphabets)], next_random(&seed) % 40);
		size_t piece = 1 + next_random(&seed) % 20;
		struct slice got = slice_of(NULL, 0);

		for (int relaxed = 0; relaxed < 2; relaxed++) {
			struct slice want = test_canon_body(a, relaxed != 0, body);

			got = canon_body(
			    a, relaxed != 0 ? SIG_RELAXED : SIG_SIMPLE, body, piece, &seed);
			if (!slice_equal(got, want))
				fail_msg("body \"%s\" relaxed %d pieces of up to %zu:\n"
					 " got  \"%s\"\n want \"%s\"",
				    arena_printable(a, body, 99), relaxed, piece,
				    arena_printable(a, got, 99), arena_printable(a, want, 99));
		}
		assert_true(slice_equal(got, canon_body(a, SIG_RELAXED, got, piece, &seed)));
		arena_free(&a);
	}
}

/* ---- body digests ---- */

static void
expect_digest(struct world *w, const struct sig_bodies *b, size_t number, struct slice text)
{
	unsigned char want[SHA256_BYTES];

	test_sha256(text, want);
	if (memcmp(sig_bodies_digest(b, number), want, sizeof(want)) != 0)
		fail_msg("digest %zu is not that of \"%s\"", number,
		    arena_printable(w->arena, text, 99));
}

/* Both forms of one body are made as one for as long as they are: the digests are those of each. */
static void
body_pairs(void **state)
{
	static const char *const alphabets[] = { "ab\r\n", "abcdefghijklmnop \r\n", "a \t\r\n",
		"\r\n" };
	uint64_t seed = 3464;
	struct world w;

	(void)state;
	world_open(&w, NULL);
	for (int i = 0; i < 8000; i++) {
		struct arena *a = arena_new(TEXT_MAX);
		struct slice body = random_text(
		    a, &seed, alphabets[i % (int)COUNT(alphabets)], next_random(&seed) % 120);
		size_t piece = 1 + next_random(&seed) % 60, numbers[2];
		struct sig_bodies *b = sig_bodies_new(a, w.crypto);
		size_t first = next_random(&seed) % 2;

		numbers[first] = sig_bodies_add(b, (enum sig_canon)first, SIG_BODY_ALL);
		numbers[1 - first] = sig_bodies_add(b, (enum sig_canon)(1 - first), SIG_BODY_ALL);
		for (struct slice rest = body; rest.len > 0; rest = slice_from(rest, piece))
			assert_true(sig_bodies_update(b, slice_sub(rest, 0, piece)));
		sig_bodies_end(b);
		for (size_t canon = 0; canon < 2; canon++) {
			struct slice want = test_canon_body(a, canon == SIG_RELAXED, body);

			expect_digest(&w, b, numbers[canon], want);
			assert_int_equal(sig_bodies_hashed(b, numbers[canon]), want.len);
			assert_int_equal(sig_bodies_length(b, numbers[canon]), want.len);
		}
		sig_bodies_fini(&b);
		arena_free(&a);
	}
	world_close(&w);
}

static void
body_digests(void **state)
{
	struct world w;
	struct sig_bodies *b;
	size_t all, same, five, relaxed, none, much;

	(void)state;
	world_open(&w, NULL);
	b = sig_bodies_new(w.arena, w.crypto);
	all = sig_bodies_add(b, SIG_SIMPLE, SIG_BODY_ALL);
	same = sig_bodies_add(b, SIG_SIMPLE, SIG_BODY_ALL);
	five = sig_bodies_add(b, SIG_SIMPLE, 5);
	relaxed = sig_bodies_add(b, SIG_RELAXED, 5);
	none = sig_bodies_add(b, SIG_RELAXED, 0);
	much = sig_bodies_add(b, SIG_RELAXED, 1000);
	assert_int_equal(all, same);
	assert_true(five != all && relaxed != five);
	assert_true(sig_bodies_update(b, SLICE("a  b")));
	assert_true(sig_bodies_update(b, SLICE("  \r\ncd\r\n\r\n")));
	sig_bodies_end(b);
	expect_digest(&w, b, all, SLICE("a  b  \r\ncd\r\n"));
	expect_digest(&w, b, five, SLICE("a  b "));
	expect_digest(&w, b, relaxed, SLICE("a b\r\n"));
	expect_digest(&w, b, none, SLICE(""));
	expect_digest(&w, b, much, SLICE("a b\r\ncd\r\n"));
	assert_int_equal(sig_bodies_hashed(b, five), 5);
	assert_int_equal(sig_bodies_length(b, five), 12);
	assert_int_equal(sig_bodies_hashed(b, much), 9);
	sig_bodies_fini(&b);
	assert_null(b);
	sig_bodies_fini(&b);
	world_close(&w);
}

/* PITFALLS 19: the rest is skipped only when no digest wants it. */
static void
body_enough(void **state)
{
	struct world w;
	struct sig_bodies *b;
	size_t three;

	(void)state;
	world_open(&w, NULL);
	b = sig_bodies_new(w.arena, w.crypto);
	assert_false(sig_bodies_update(b, SLICE("nobody asked")));
	sig_bodies_fini(&b);

	b = sig_bodies_new(w.arena, w.crypto);
	three = sig_bodies_add(b, SIG_SIMPLE, 3);
	(void)sig_bodies_add(b, SIG_RELAXED, 6);
	assert_true(sig_bodies_update(b, SLICE("abcd")));
	assert_true(sig_bodies_update(b, SLICE("\r\n")));
	assert_false(sig_bodies_update(b, SLICE("ef")));
	sig_bodies_end(b);
	expect_digest(&w, b, three, SLICE("abc"));
	sig_bodies_fini(&b);
	world_close(&w);
}

/* The famous digests of an empty body (PITFALLS 10). */
static void
body_empty(void **state)
{
	static const char *const want[] = { "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=",
		"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" };
	struct world w;
	struct sig_bodies *b;

	(void)state;
	world_open(&w, NULL);
	b = sig_bodies_new(w.arena, w.crypto);
	assert_int_equal(sig_bodies_add(b, SIG_SIMPLE, SIG_BODY_ALL), 0);
	assert_int_equal(sig_bodies_add(b, SIG_RELAXED, SIG_BODY_ALL), 1);
	sig_bodies_end(b);
	for (size_t i = 0; i < 2; i++)
		assert_slice(base64_encode(w.arena,
				 slice_of((const char *)sig_bodies_digest(b, i), SHA256_BYTES)),
		    want[i]);
	sig_bodies_fini(&b);
	world_close(&w);
}

/* ---- which fields are signed ---- */

/* One letter a name; "-" is no field. */
static void
selection(void **state)
{
	static const struct {
		const char *header, *h, *want; /* want: the index of each, as a digit */
		size_t own;
	} rows[] = {
		/* RFC 6376 5.4.2: bottom-up; beyond the count it is the empty string */
		{ "ab", "ab", "01", SIG_NO_FIELD },
		{ "aba", "aaa", "20-", SIG_NO_FIELD },
		{ "aba", "bab", "12-", SIG_NO_FIELD },
		{ "ab", "c", "-", SIG_NO_FIELD },
		{ "", "aa", "--", SIG_NO_FIELD },
		{ "aAa", "Aaa", "210", SIG_NO_FIELD },
		/* the signature itself is none of the fields that h= can name */
		{ "dad", "dd", "2-", 0 },
		{ "dad", "ddd", "0--", 2 },
		{ "ddd", "dd", "20", 1 },
		{ "da", "d", "-", 0 },
	};
	struct arena *a = arena_new(TEXT_MAX);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct header_list list = { 0 };
		size_t count = strlen(rows[i].h);
		struct slice *names = arena_array(a, count, sizeof(*names));
		const size_t *got;
		struct sig_fields *f;

		for (const char *p = rows[i].header; *p != '\0'; p++)
			header_list_add(&list, a, slice_of(p, 1), SLICE(" v"));
		for (size_t j = 0; j < count; j++)
			names[j] = slice_of(rows[i].h + j, 1);
		f = sig_fields_new(a, &list);
		for (int again = 0; again < 2; again++) {
			got = sig_fields_select(f, names, count, rows[i].own);
			for (size_t j = 0; j < count; j++) {
				char c = got[j] == SIG_NO_FIELD ? '-' : (char)('0' + got[j]);

				if (c != rows[i].want[j])
					fail_msg("header %s h=%s: place %zu got %c, want %c",
					    rows[i].header, rows[i].h, j, c, rows[i].want[j]);
			}
		}
	}
	arena_free(&a);
}

/* The same of many that look alike, against a search that is simple and slow. */
static void
selection_of_many(void **state)
{
	enum { FIELDS = 900, NAMES = 512 };
	struct arena *a = arena_new(TEXT_MAX);
	struct header_list list = { 0 };
	struct slice *names = arena_array(a, NAMES, sizeof(*names));
	bool taken[FIELDS] = { false };
	const size_t *got;

	(void)state;
	for (unsigned i = 0; i < FIELDS; i++)
		header_list_add(&list, a,
		    slice_str(arena_printf(a, "Name-%03u-End", i * 7919 % 300)), SLICE(" v"));
	for (unsigned j = 0; j < NAMES; j++)
		names[j] = slice_str(arena_printf(a, "name-%03u-end", j * 31 % 310));
	got = sig_fields_select(sig_fields_new(a, &list), names, NAMES, 450);
	for (size_t j = 0; j < NAMES; j++) {
		size_t want = FIELDS;

		while (want-- > 0)
			if (want != 450 && !taken[want] &&
			    slice_equal_nocase(names[j], list.fields[want].name))
				break;
		if (want != SIG_NO_FIELD)
			taken[want] = true;
		assert_int_equal(got[j], want);
	}
	arena_free(&a);
}

static void
raw_tags(void **state)
{
	static const struct {
		const char *list, *name, *want; /* NULL: not there */
	} rows[] = {
		{ " v=1; b=abc", "b", "abc" },
		{ "b= a\r\n b ;c=1", "b", " a\r\n b " },
		{ "bh=x; b =\t", "b", "\t" },
		{ "bh=x; b=", "b", "" },
		{ "bh=x;", "b", NULL },
		{ "a=b=c", "a", "b=c" },
		{ "d=1;d=2", "d", "1" },
		{ "", "b", NULL },
		{ "b", "b", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice got = sig_raw_tag(slice_str(rows[i].list), rows[i].name);

		if (rows[i].want == NULL)
			assert_null(got.p);
		else
			assert_slice(got, rows[i].want);
	}
}

/* ---- tags ---- */

static void
tag_values(void **state)
{
	static const struct {
		const char *name, *value;
		int (*parse)(struct arena *, struct slice, void *, const char **);
		bool valid;
	} rows[] = {
		{ "a", "rsa-sha256", sig_tag_a, true },
		{ "a", "whatever", sig_tag_a, true },
		{ "a", "", sig_tag_a, false },
		{ "b", "YQ==", sig_tag_b, true },
		{ "b", "Y\r\n Q= =", sig_tag_b, true },
		{ "b", "", sig_tag_b, false },
		{ "b", "Y!==", sig_tag_b, false },
		{ "bh", "YQ=", sig_tag_bh, false },
		{ "c", "simple", sig_tag_c, true },
		{ "c", "relaxed/relaxed", sig_tag_c, true },
		{ "c", "simple/nowsp", sig_tag_c, false },
		{ "c", "nofws", sig_tag_c, false },
		{ "c", "simple/", sig_tag_c, false },
		{ "c", "", sig_tag_c, false },
		{ "d", "Example.com", sig_tag_d, true },
		{ "d",
		    "b\xc3\xbc"
		    "cher.example",
		    sig_tag_d, true },
		{ "d", "a..b", sig_tag_d, false },
		{ "d", "", sig_tag_d, false },
		{ "h", "From", sig_tag_h, true },
		{ "h", "From :\r\n To:x", sig_tag_h, true },
		{ "h", "From:", sig_tag_h, false },
		{ "h", ":From", sig_tag_h, false },
		{ "h", "", sig_tag_h, false },
		{ "h", "Fr om", sig_tag_h, false },
		{ "l", "0", sig_tag_l, true },
		{ "l", "99999999999999999999999999", sig_tag_l, true },
		{ "l", "-1", sig_tag_l, false },
		{ "l", "", sig_tag_l, false },
		{ "q", "dns/txt", sig_tag_q, true },
		{ "q", "x : dns/txt", sig_tag_q, true },
		{ "q", "http", sig_tag_q, false },
		{ "s", "a._b", sig_tag_s, true },
		{ "s", "a b", sig_tag_s, false },
		{ "t", "0", sig_tag_t, true },
		{ "t", "99999999999999999999", sig_tag_t, true },
		{ "t", "1e3", sig_tag_t, false },
		{ "x", "999999999999", sig_tag_x, true },
		{ "x", "", sig_tag_x, false },
		{ "z", "anything:at all|", sig_tag_z, true },
	};
	struct arena *a = arena_new(TEXT_MAX);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sig_tags tags = { 0 };
		const char *why = NULL;
		bool valid = rows[i].parse(a, slice_str(rows[i].value), &tags, &why) == 0;

		if (valid != rows[i].valid || (!valid && why == NULL))
			fail_msg("%s=%s: got %d (%s), want %d (RFC 6376 3.5)", rows[i].name,
			    rows[i].value, valid, why == NULL ? "no reason" : why, rows[i].valid);
	}
	arena_free(&a);
}

static void
tag_effects(void **state)
{
	struct arena *a = arena_new(TEXT_MAX);
	struct sig_tags tags = { 0 };
	const char *why = NULL;
	struct strbuf many;

	(void)state;
	assert_int_equal(sig_tag_c(a, SLICE("relaxed"), &tags, &why), 0);
	assert_int_equal(tags.header_canon, SIG_RELAXED);
	assert_int_equal(tags.body_canon, SIG_SIMPLE); /* RFC 6376 3.5: the default */
	assert_int_equal(sig_tag_d(a,
			     SLICE("B\xc3\xbc"
				   "cher.EXAMPLE"),
			     &tags, &why),
	    0);
	assert_slice(tags.domain, "xn--bcher-kva.example"); /* RFC 8616 4 */
	assert_int_equal(sig_tag_h(a, SLICE("From : \r\n Subject"), &tags, &why), 0);
	assert_true(sig_signs(&tags, "subject"));
	assert_false(sig_signs(&tags, "To"));
	assert_int_equal(sig_tag_x(a, SLICE("9999999999999"), &tags, &why), 0);
	assert_true(tags.expires_at == INT64_MAX); /* RFC 6376 3.5: more than 12 digits */
	strbuf_init(&many, a, TEXT_MAX);
	strbuf_str(&many, "a");
	for (size_t i = 1; i < LIMIT_DKIM_SIGNED_FIELDS; i++)
		strbuf_str(&many, ":a");
	assert_int_equal(sig_tag_h(a, strbuf_slice(&many), &tags, &why), 0);
	strbuf_str(&many, ":a");
	assert_int_equal(sig_tag_h(a, strbuf_slice(&many), &tags, &why), -1);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_canonical),
		cmocka_unit_test(fields_random),
		cmocka_unit_test(bodies_canonical),
		cmocka_unit_test(bodies_random),
		cmocka_unit_test(body_pairs),
		cmocka_unit_test(body_digests),
		cmocka_unit_test(body_enough),
		cmocka_unit_test(body_empty),
		cmocka_unit_test(selection),
		cmocka_unit_test(selection_of_many),
		cmocka_unit_test(raw_tags),
		cmocka_unit_test(tag_values),
		cmocka_unit_test(tag_effects),
	};

	return cmocka_run_group_tests_name("sig", tests, NULL, NULL);
}
