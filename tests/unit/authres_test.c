/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "policy/authres/authres.h"
#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "tests/support/support.h"

#define TEST_BYTES (16u * 1024 * 1024)
#define LINE_LIMIT 998 /* RFC 5322 2.1.1 */

/* The struct on one line: id/version [i=N] { method/version=result "reason" ptype.property="value"
 * } */
static struct slice
show(struct arena *a, const struct authres *r)
{
	struct strbuf b;

	strbuf_init(&b, a, TEST_BYTES);
	strbuf_printf(&b, "%s/%u", arena_str(a, r->authserv_id), (unsigned)r->version);
	if (r->instance > 0)
		strbuf_printf(&b, " i=%u", (unsigned)r->instance);
	for (size_t i = 0; i < r->result_count; i++) {
		const struct authres_result *result = &r->results[i];

		strbuf_printf(&b, " {%s/%u=%s", arena_str(a, result->method),
		    (unsigned)result->method_version, arena_str(a, result->result));
		if (result->reason.len > 0)
			strbuf_printf(&b, " [%s]", arena_str(a, result->reason));
		for (size_t j = 0; j < result->property_count; j++)
			strbuf_printf(&b, " %s.%s=<%s>", arena_str(a, result->properties[j].ptype),
			    arena_str(a, result->properties[j].property),
			    arena_str(a, result->properties[j].value));
		strbuf_str(&b, "}");
	}
	return strbuf_slice(&b);
}

struct parse_row {
	const char *value;
	const char *want; /* as show() gives it; NULL: invalid */
	bool is_aar;
	const char *rule;
};

static const struct parse_row parses[] = {
	/* authserv-id, version, none */
	{ "example.org 1; none", "example.org/1", false, "RFC 8601 B.2" },
	{ "example.org;none", "example.org/1", false, "2.2 no-result" },
	{ "example.org; NONE (x)", "example.org/1", false, "2.2: ABNF words have no case" },
	{ " (c) example.org (c) 2 (c); none", "example.org/2", false, "2.2 authres-version" },
	{ "\"my \\\"server\\\"\"; none", "my \"server\"/1", false, "2.5: value = quoted-string" },
	{ "m\xc3\xb8x.example; none", "m\xc3\xb8x.example/1", false, "2.5: U-label" },
	{ "", NULL, false, "2.2" },
	{ "example.org", NULL, false, "2.2: no-result / 1*resinfo" },
	{ "example.org;", NULL, false, "2.2: a \";\" wants a method" },
	{ "; none", NULL, false, "2.2: authserv-id" },
	{ "example.org x; none", NULL, false, "2.2 authres-version" },
	{ "example.org 0; none", NULL, false, "2.2: versions begin at 1" },
	{ "example.org 99999999999; none", NULL, false, "2.2: a version beyond all sense" },
	{ "example.org 1 1; none", NULL, false, "2.2" },
	{ "\"example.org\"1; none", NULL, false, "2.2: CFWS before the version" },
	{ "example.org; none; spf=pass", NULL, false, "2.2: none stands alone" },
	{ "example.org; spf=pass; none", NULL, false, "2.2: none stands alone" },
	{ "m\xf8x.example; none", NULL, false, "RFC 6532 3.1" },
	{ "a.example, b.example; none", NULL, false, "2.2" },
	/* methodspec, reason */
	{ "e; spf=pass", "e/1 {spf/1=pass}", false, "2.2 methodspec" },
	{ "e; SPF/2 = (x) Pass", "e/1 {spf/2=pass}", false, "2.2 method-version, 2.7 no case" },
	{ "e;spf/(a)3(b)=(c)pass;dkim=none", "e/1 {spf/3=pass} {dkim/1=none}", false, "2.2" },
	{ "e; none=pass", "e/1 {none/1=pass}", false, "2.2: a method may be called so" },
	{ "e; x-y=pass", "e/1 {x-y/1=pass}", false, "2.2 Keyword" },
	{ "e; x-=pass", NULL, false, "RFC 5321 4.1.2 Keyword ends in Let-dig" },
	{ "e; =pass", NULL, false, "2.2" },
	{ "e; spf=", NULL, false, "2.2" },
	{ "e; spf", NULL, false, "2.2" },
	{ "e; spf/=pass", NULL, false, "2.2 method-version" },
	{ "e; spf/1.0=pass", NULL, false, "2.2 method-version" },
	{ "e; spf=pass;", NULL, false, "2.2" },
	{ "e; spf=pass;; dkim=pass", NULL, false, "2.2" },
	{ "e; spf=pass dkim=pass", NULL, false, "2.2" },
	{ "e; spf=\"pass\"", NULL, false, "2.2: result = Keyword" },
	{ "e; spf=pass reason=good", "e/1 {spf/1=pass [good]}", false, "2.2 reasonspec" },
	{ "e; spf=pass(c)reason (c) = (c) \"a \\\"b; c=d\"", "e/1 {spf/1=pass [a \"b; c=d]}", false,
	    "2.2 reasonspec" },
	{ "e; spf=pass reason=", NULL, false, "2.2 reasonspec" },
	{ "e; spf=pass reason", NULL, false, "2.2 reasonspec" },
	{ "e; spf=pass reason=a reason=b", NULL, false, "2.2: one reason" },
	{ "e; spf=pass a.b=c reason=d", NULL, false, "2.2: the reason comes first" },
	{ "e; spf=pass reason=a=b", NULL, false, "RFC 2045 5.1 token" },
	/* properties */
	{ "e; spf=pass smtp.mailfrom=example.net", "e/1 {spf/1=pass smtp.mailfrom=<example.net>}",
	    false, "2.2 propspec" },
	{ "e; spf=pass SMTP (a) . (b) MailFrom (c) = (d) x (e)",
	    "e/1 {spf/1=pass smtp.mailfrom=<x>}", false, "2.2 propspec, B.7" },
	{ "e; spf=pass smtp.mailfrom=a=b/c?@example.net",
	    "e/1 {spf/1=pass smtp.mailfrom=<a=b/c?@example.net>}", false, "2.2: local-part" },
	{ "e; spf=pass smtp.mailfrom=a @example.net",
	    "e/1 {spf/1=pass smtp.mailfrom=<a@example.net>}", false, "RFC 5322 3.2.3 dot-atom" },
	{ "e; dkim=pass header.i=@example.net header.b=x",
	    "e/1 {dkim/1=pass header.i=<@example.net> header.b=<x>}", false, "2.2 pvalue" },
	{ "e; spf=pass smtp.mailfrom=\"a b\"@example.net",
	    "e/1 {spf/1=pass smtp.mailfrom=<\"a b\"@example.net>}", false, "2.2: local-part" },
	{ "e; spf=pass smtp.mailfrom=\"a\r\n b\"@example.net",
	    "e/1 {spf/1=pass smtp.mailfrom=<\"a b\"@example.net>}", false, "RFC 5322 3.2.4" },
	{ "e; dkim=pass header.b=\"a/b=\" (x)", "e/1 {dkim/1=pass header.b=<a/b=>}", false,
	    "2.2: value = quoted-string" },
	{ "e; dkim=pass header.d=\"\"", "e/1 {dkim/1=pass header.d=<>}", false, "2.2" },
	{ "e; dkim=pass header.d=\"a\r\n b\"", "e/1 {dkim/1=pass header.d=<a b>}", false,
	    "RFC 5322 3.2.4: folds are invisible" },
	{ "e; dkim=pass header.d=m\xc3\xb8x.example",
	    "e/1 {dkim/1=pass header.d=<m\xc3\xb8x.example>}", false, "RFC 8601 2.2, EAI" },
	{ "e; spf=pass smtp.mailfrom=m\xc3\xb8@m\xc3\xb8x.example",
	    "e/1 {spf/1=pass smtp.mailfrom=<m\xc3\xb8@m\xc3\xb8x.example>}", false, "EAI" },
	{ "e; spf=pass smtp.mailfrom=", NULL, false, "2.2 pvalue" },
	{ "e; spf=pass smtp.mailfrom=a=b", NULL, false, "PITFALLS 42: must be quoted" },
	{ "e; spf=pass smtp.mailfrom=a/b", NULL, false, "PITFALLS 42: must be quoted" },
	{ "e; spf=pass smtp.mailfrom=2001:db8::1", NULL, false, "\":\" must be quoted" },
	{ "e; spf=pass smtp.mailfrom=a@", NULL, false, "2.2 pvalue" },
	{ "e; spf=pass smtp.mailfrom=a..b@c", NULL, false, "RFC 5322 3.2.3" },
	{ "e; spf=pass smtp.mailfrom=a@b@c", NULL, false, "2.2 pvalue" },
	{ "e; spf=pass smtp.mailfrom=a@b..c", NULL, false, "RFC 6376 3.5 domain-name" },
	{ "e; spf=pass smtp.=a", NULL, false, "2.2 propspec" },
	{ "e; spf=pass smtp=a", NULL, false, "2.2: a ptype is required (action=none)" },
	{ "e; spf=pass smtp.mailfrom", NULL, false, "2.2 propspec" },
	{ "e; spf=pass smtp..a=b", NULL, false, "2.2 propspec" },
	{ "e; spf=pass a.b=\"c\"d.e=f", NULL, false, "2.2: CFWS before a propspec" },
	{ "e; spf=pass a.b=\"c", NULL, false, "RFC 5322 3.2.4" },
	{ "e; spf=pass (a", NULL, false, "RFC 5322 3.2.2" },
	{ "e; spf=pass a.b=\"\x01\"", NULL, false, "control bytes, see lex.c" },
	{ "e; spf=pass\r\na.b=c", NULL, false, "RFC 5322 2.2.3: no fold" },
	/* ARC-Authentication-Results */
	{ "i=1; e; none", "e/1 i=1", true, "RFC 8617 4.1.1" },
	{ " I (a) = (b) 50 (c) ; (d) e 1; spf=pass", "e/1 i=50 {spf/1=pass}", true, "4.1.1" },
	{ "i=0; e; none", NULL, true, "RFC 8617 4.2.1: 1..50" },
	{ "i=51; e; none", NULL, true, "RFC 8617 4.2.1: 1..50" },
	{ "i=1 e; none", NULL, true, "RFC 8617 4.1.1" },
	{ "e; i=1; none", NULL, true, "RFC 8617 4.1.1: the instance is first" },
	{ "e; none", NULL, true, "RFC 8617 4.1.1" },
	{ "i=1; e; none", NULL, false, "2.2: a plain field has no instance" },
};

static void
parse_rows(void **state)
{
	struct arena *a = arena_new(TEST_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(parses) / sizeof(parses[0]); i++) {
		const struct parse_row *row = &parses[i];
		const char *error = "no error";
		struct authres got;
		int rc = authres_parse(a, slice_str(row->value), row->is_aar, &got, &error);
		struct slice shown = rc == 0 ? show(a, &got) : slice_str(error);

		if ((rc == 0) != (row->want != NULL) ||
		    (rc == 0 && !slice_equal(shown, slice_str(row->want))))
			fail_msg("%s\n  got  %d %.*s\n  want %s\n  (RFC 8601 %s)", row->value, rc,
			    SLICE_ARG(shown), row->want == NULL ? "invalid" : row->want, row->rule);
	}
	arena_free(&a);
}

static void
parse_limits(void **state)
{
	static const struct {
		const char *head, *piece;
		size_t count;
		bool valid;
	} rows[] = {
		{ "e", ";a=b", LIMIT_AUTHRES_RESULTS, true },
		{ "e", ";a=b", LIMIT_AUTHRES_RESULTS + 1, false },
		{ "e;a=b", " c.d=e", LIMIT_AUTHRES_PROPS, true },
		{ "e;a=b", " c.d=e", LIMIT_AUTHRES_PROPS + 1, false },
		{ "e;a=b", " ", LIMIT_AUTHRES_BYTES - 5, true },
		{ "e;a=b", " ", LIMIT_AUTHRES_BYTES - 4, false },
		{ "e;a=b", "(", LIMIT_COMMENT_DEPTH + 1, false },
		{ "e;a=b", "()", 10000, true },
	};
	struct arena *a = arena_new(TEST_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct strbuf b;
		struct authres got;
		const char *error;

		strbuf_init(&b, a, TEST_BYTES);
		strbuf_str(&b, rows[i].head);
		for (size_t j = 0; j < rows[i].count; j++)
			strbuf_str(&b, rows[i].piece);
		if ((authres_parse(a, strbuf_slice(&b), false, &got, &error) == 0) != rows[i].valid)
			fail_msg("%s and %zu of %s", rows[i].head, rows[i].count, rows[i].piece);
		arena_reset(a);
	}
	arena_free(&a);
}

/* A field with one dkim result that has all there is. */
static struct slice
write_one(struct arena *a, struct slice reason, struct slice comment, struct slice value)
{
	struct authres_property property = { SLICE("header"), SLICE("d"), value };
	struct authres_result result = { .method = SLICE("dkim"),
		.method_version = 1,
		.result = SLICE("pass"),
		.reason = reason,
		.comment = comment,
		.properties = &property,
		.property_count = 1 };
	struct authres in = { .authserv_id = SLICE("mx.example"),
		.version = 1,
		.results = &result,
		.result_count = 1 };

	return authres_write(a, &in);
}

static void
write_values(void **state)
{
	static const struct {
		struct slice value;
		const char *written, *rule;
	} rows[] = {
		{ { "example.com", 11 }, "example.com", "2.2 token" },
		{ { "a@example.com", 13 }, "a@example.com", "2.2: an address stands bare" },
		{ { "@example.com", 12 }, "@example.com", "2.2: DKIM i= without local-part" },
		{ { "\"a b\"@c.example", 15 }, "\"a b\"@c.example", "2.2: quoted local-part" },
		{ { "a=b@c.example", 13 }, "\"a=b@c.example\"", "PITFALLS 42" },
		{ { "a/b", 3 }, "\"a/b\"", "PITFALLS 42" },
		{ { "a;b", 3 }, "\"a;b\"", "PITFALLS 42" },
		{ { "a=b", 3 }, "\"a=b\"", "PITFALLS 42" },
		{ { "2001:db8::1", 11 }, "\"2001:db8::1\"", "RFC 2045 5.1 tspecials" },
		{ { "", 0 }, "\"\"", "RFC 2045 5.1: a token is not empty" },
		{ { "a b", 3 }, "\"a b\"", "RFC 2045 5.1" },
		{ { "a\tb", 3 }, "\"a\tb\"", "RFC 5322 3.2.4: HTAB is FWS" },
		{ { "a\"b", 3 }, "\"a\\\"b\"", "RFC 5322 3.2.4 quoted-pair" },
		{ { "a\\", 2 }, "\"a\\\\\"", "RFC 5322 3.2.4 quoted-pair" },
		{ { "a(b)", 4 }, "\"a(b)\"", "RFC 2045 5.1 tspecials" },
		{ { "example.net(.example.com", 24 }, "\"example.net(.example.com\"",
		    "OpenDMARC#111" },
		{ { "a\r\nX: y", 7 }, "\"a??X: y\"", "mail-auth: header injection" },
		{ { "a\0b\x7f\x1b", 5 }, "\"a?b??\"", "RFC 5322 4.1: control bytes" },
		{ { "m\xc3\xb8x.example", 12 }, "m\xc3\xb8x.example", "RFC 8601 2.2, EAI" },
		{ { "m\xf8x.example", 11 }, "\"m?x.example\"", "RFC 6532 3.1" },
		{ { "a\xc2\x85z", 4 }, "\"a?z\"", "C1: NEL is a line end to some" },
		{ { "a\xe2\x80\xa8z", 5 }, "\"a?z\"", "U+2028 is a line end to some" },
		{ { "a\xed\xa0\x80z", 5 }, "\"a???z\"", "RFC 3629 3: surrogates" },
		{ { "a\xe2\x80", 3 }, "\"a??\"", "RFC 3629: cut short" },
	};
	struct arena *a = arena_new(TEST_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice got = write_one(
		    a, slice_of(NULL, 0), slice_of(NULL, 0), rows[i].value);
		struct slice want = slice_str(
		    arena_printf(a, "mx.example;\r\n\tdkim=pass header.d=%s", rows[i].written));

		if (!slice_equal(got, want))
			fail_msg("%s\n  got  %.*s\n  want %.*s\n  (%s)",
			    arena_printable(a, rows[i].value, 100), SLICE_ARG(got), SLICE_ARG(want),
			    rows[i].rule);
	}
	arena_free(&a);
}

static void
write_comments(void **state)
{
	static const struct {
		const char *comment, *written;
	} rows[] = {
		{ "", "" },
		{ "   ", "" },
		{ "2048-bit key", " (2048-bit key)" },
		{ "a)b; dkim=pass (", " (a\\)b; dkim=pass \\()" },
		{ "\\", " (\\\\)" },
		{ "a\r\n\r\nb", " (a????b)" },
		{ "a  \t b ", " (a b)" },
	};
	struct arena *a = arena_new(TEST_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice got = write_one(
		    a, slice_of(NULL, 0), slice_str(rows[i].comment), SLICE("d"));

		assert_slice(got,
		    arena_printf(a, "mx.example;\r\n\tdkim=pass%s header.d=d", rows[i].written));
	}
	arena_free(&a);
}

static void
write_forms(void **state)
{
	struct arena *a = arena_new(TEST_BYTES);
	struct authres_property property = { SLICE("smtp"), SLICE("mailfrom"), SLICE("x.example") };
	struct authres_result results[] = {
		{ .method = SLICE("spf"),
		    .method_version = 2,
		    .result = SLICE("fail"),
		    .reason = SLICE("not here"),
		    .properties = &property,
		    .property_count = 1 },
		{ .method = SLICE("x;y"), .result = SLICE("pass\r\nX: y") },
	};
	struct authres none = { .authserv_id = SLICE("mx.example"), .version = 1 };
	struct authres odd = { .authserv_id = SLICE("my mx"),
		.version = 2,
		.instance = 3,
		.results = results,
		.result_count = 2 };

	(void)state;
	assert_slice(authres_write(a, &none), "mx.example; none");
	assert_slice(authres_write(a, &odd),
	    "i=3; \"my mx\" 2;\r\n\tspf/2=fail reason=\"not here\" smtp.mailfrom=x.example;"
	    "\r\n\tx=x");
	arena_free(&a);
}

/* RFC 5322 2.1.1: at most 998 bytes a line, 78 where it can be; no line of blanks only. */
static void
check_lines(struct slice written)
{
	struct slice line;

	assert_true(slice_find(written, '\0') == SLICE_NONE);
	while (slice_next(&written, '\n', &line)) {
		if (written.len > 0) {
			assert_true(line.len > 0 && line.p[line.len - 1] == '\r');
			assert_true(ascii_is_wsp(written.p[0]));
			line.len--;
		}
		assert_true(slice_find(line, '\r') == SLICE_NONE);
		assert_true(slice_trim(line).len > 0);
		assert_true(line.len <= LINE_LIMIT - strlen("ARC-Authentication-Results: "));
	}
}

static void
write_lines(void **state)
{
	struct arena *a = arena_new(TEST_BYTES);
	char bytes[2000];
	struct slice written, line;
	struct authres got;
	const char *error;

	(void)state;
	memset(bytes, '"', sizeof(bytes));
	written = write_one(a, slice_of(bytes, 2000), slice_of(bytes, 2000), slice_of(bytes, 2000));
	check_lines(written);
	assert_int_equal(authres_parse(a, written, false, &got, &error), 0);
	assert_int_equal(got.results[0].reason.len, LIMIT_AUTHRES_VALUE_BYTES / 2);

	/* A value that is cut is cut between characters. */
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i % 2 == 0 ? '\xc3' : '\xb8';
	written = write_one(a, slice_of(bytes + 1, 1999), slice_of(bytes, 2000), slice_of(NULL, 0));
	assert_int_equal(authres_parse(a, written, false, &got, &error), 0);
	assert_int_equal(got.results[0].reason.len, LIMIT_AUTHRES_VALUE_BYTES - 1);

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i % 7 == 6 ? ' ' : 'a';
	written = write_one(a, slice_of(NULL, 0), slice_of(bytes, 2000), SLICE("example.com"));
	while (slice_next(&written, '\n', &line))
		assert_true(line.len <= 72);
	arena_free(&a);
}

/* A reproducible stream: the property must hold for every seed. */
static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static struct slice
random_text(struct arena *a, uint32_t *seed, bool hostile)
{
	static const char *const pieces[] = { "a", "example.com", "@", " ", "\t", "\"", "\\", "(",
		")", ";", "=", "/", ".", "..", "\xc3\xb8", "\xf0\x9f\x92\xa9", "?", ",", "none",
		"a b", "<x@y>", ":", "~", "[", "]", "reason=", "\\\"" };
	static const char *const bad[] = { "\r\n", "\r", "\n", "\r\nX: y", "\x01", "\x7f", "\xff",
		"\xc3", "\xc2\x85", "\xe2\x80\xa8", "\r\n ", "\xed\xa0\x80" };
	struct strbuf b;

	strbuf_init(&b, a, 400);
	for (uint32_t n = next_random(seed) % 8; n > 0; n--)
		strbuf_str(&b, pieces[next_random(seed) % (sizeof(pieces) / sizeof(pieces[0]))]);
	if (hostile)
		strbuf_str(&b, bad[next_random(seed) % (sizeof(bad) / sizeof(bad[0]))]);
	if (hostile && next_random(seed) % 4 == 0)
		strbuf_char(&b, '\0');
	return strbuf_slice(&b);
}

static void
random_struct(struct arena *a, uint32_t *seed, bool hostile, struct authres *out)
{
	static const char *const words[] = { "spf", "dkim", "none", "x-y", "reason", "i", "1a" };
	size_t word_count = sizeof(words) / sizeof(words[0]);

	*out = (struct authres){ .authserv_id = random_text(a, seed, hostile),
		.version = 1 + next_random(seed) % 3,
		.instance = next_random(seed) % 51,
		.result_count = next_random(seed) % 4 };
	out->results = arena_array(a, 4, sizeof(*out->results));
	for (size_t i = 0; i < out->result_count; i++) {
		struct authres_result *r = &out->results[i];

		r->method = slice_str(words[next_random(seed) % word_count]);
		r->result = slice_str(words[next_random(seed) % word_count]);
		r->method_version = 1 + next_random(seed) % 3;
		r->reason = random_text(a, seed, hostile);
		r->comment = random_text(a, seed, hostile);
		r->property_count = next_random(seed) % 4;
		r->properties = arena_array(a, 4, sizeof(*r->properties));
		for (size_t j = 0; j < r->property_count; j++)
			r->properties[j] = (struct authres_property){
				slice_str(words[next_random(seed) % word_count]),
				slice_str(words[next_random(seed) % word_count]),
				random_text(a, seed, hostile),
			};
	}
}

/* parse(write(x)) is x; with hostile bytes, write(parse(write(x))) is write(x) less comments. */
static void
round_trips(void **state)
{
	struct arena *a = arena_new(TEST_BYTES);
	uint32_t seed = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		bool hostile = i % 2 == 1;
		struct authres in, out, again;
		struct slice written;
		const char *error = "no error";

		random_struct(a, &seed, hostile, &in);
		written = authres_write(a, &in);
		check_lines(written);
		if (authres_parse(a, written, in.instance > 0, &out, &error) != 0)
			fail_msg("round %d: %s in\n%.*s", i, error, SLICE_ARG(written));
		if (!hostile && !slice_equal(show(a, &in), show(a, &out)))
			fail_msg("round %d: %.*s\n%.*s\n%.*s", i, SLICE_ARG(show(a, &in)),
			    SLICE_ARG(show(a, &out)), SLICE_ARG(written));
		written = authres_write(a, &out);
		assert_int_equal(authres_parse(a, written, in.instance > 0, &again, &error), 0);
		assert_true(slice_equal(show(a, &out), show(a, &again)));
		arena_reset(a);
	}
	arena_free(&a);
}

struct claim_row {
	struct slice value;
	bool claims;
	const char *rule;
	bool whosever; /* goes without any id of ours */
};

#define OURS(value, rule)                                                                          \
	{                                                                                          \
		{ (value), sizeof(value) - 1 }, true, (rule), false                                \
	}
#define ANY(value, rule)                                                                           \
	{                                                                                          \
		{ (value), sizeof(value) - 1 }, true, (rule), true                                 \
	}
#define OTHERS(value, rule)                                                                        \
	{                                                                                          \
		{ (value), sizeof(value) - 1 }, false, (rule), false                               \
	}

/* Our ids: mx.rcpt.test, xn--mx-lka.example, "My MX". */
static const struct claim_row claim_rows[] = {
	OURS("mx.rcpt.test; dmarc=pass", "section 5"),
	OURS("MX.Rcpt.TEST; none", "2.5: compared as names are"),
	OURS(" \r\n\tmx.rcpt.test\r\n\t; none", "PITFALLS 41: odd folds"),
	OURS("mx.rcpt.test 1; none", "PITFALLS 41: version"),
	ANY("mx.rcpt.test 99; none", "section 5: a version that is not supported"),
	ANY("mx.elsewhere.test 2; none", "section 5: a version that is not supported"),
	ANY("mx.elsewhere.test (x) 0 (y); none", "section 5: a version that is not supported"),
	ANY("mx.elsewhere.test 99999999999; none", "section 5: a version that is not supported"),
	OTHERS("mx.elsewhere.test 01; none", "2.6: version 1"),
	OURS("(by) mx.rcpt.test (x); none", "PITFALLS 41: comments"),
	OURS("(x (y) \\) z)mx.rcpt.test; none", "PITFALLS 41: comments"),
	OURS("\"mx.rcpt.test\"; none", "PITFALLS 41: quoted-string"),
	OURS("\"mx\\.rcpt.test\"; none", "RFC 5322 3.2.1 quoted-pair"),
	OURS("mx.rcpt.test", "no result"),
	OURS("mx.rcpt.test; dmarc=", "the rest is broken"),
	OURS("mx.rcpt.test; x=\"", "the rest is broken"),
	OURS("mx.rcpt.test.; none", "a final dot is the same name"),
	OURS("m\xc3\xb8x.example; none", "RFC 8601 2.5: U-label"),
	OURS("M\xc3\x98X.example; none", "UTS 46"),
	OURS("xn--mx-lka.example; none", "A-label"),
	OURS("\"my mx\"; none", "an id that is no domain"),
	OURS("mx.rcpt.te\xe2\x80\x8bst; none", "U+200B maps to nothing"),
	OURS("mx . rcpt . test; none", "a lax reader may join it"),
	OURS("mx . rcpt . test 1; none", "a lax reader may join it"),
	OURS("mx.(x)rcpt.test; none", "a lax reader may join it"),
	OURS("\"mx\".rcpt.test; none", "a lax reader may join it"),
	OURS("mx\\.rcpt\\.test; none", "a lax reader may join it"),
	OURS("mx.rc\0pt.test; none", "a lax reader may drop control bytes"),
	OURS("\rmx.rcpt.test; none", "a bare CR"),
	OURS("mx.rcpt.test\0.evil.test; none", "a NUL ends it for some"),
	OURS("mx.rcpt.test/1; none", "what follows is no token"),
	OURS("mx.rcpt.test, x; none", "what follows is no token"),
	OURS("mx.rcpt.test spf=pass", "the \";\" is missing"),
	OURS("evil.test mx.rcpt.test; none", "two ids"),
	OURS("; mx.rcpt.test; dmarc=pass", "an empty first element"),
	OURS("i=1; mx.rcpt.test; dmarc=pass", "as in an AAR"),
	OURS("(mx.rcpt.test; dmarc=pass", "comment without end"),
	OURS("(a;b mx.rcpt.test; dmarc=pass", "comment without end"),
	OURS("\"mx.rcpt.test; dmarc=pass", "quoted string without end"),
	OURS("(a (b) mx.rcpt.test; dmarc=pass (c)) evil.test; none", "readers that don't nest"),
	OURS("(a\\) mx.rcpt.test; dmarc=pass) evil.test; none", "readers without quoted-pairs"),
	ANY("=?utf-8?b?bXgucmNwdC50ZXN0?=; dmarc=pass", "readers that decode RFC 2047 first"),
	OURS("<mx.rcpt.test>; none", "not a token"),
	OURS("a@mx.rcpt.test; none", "not a token"),
	OTHERS("mx.rcpt.test.attacker.test; none", "PITFALLS 41: never a prefix"),
	OTHERS("mx.rcpt.testing; none", "PITFALLS 41: never a prefix"),
	OTHERS("a.mx.rcpt.test; none", "another host"),
	OTHERS("a-mx.rcpt.test; none", "another host"),
	OTHERS("mx.elsewhere.test (mx.rcpt.test); none", "the comment stands behind the id"),
	OTHERS("mx.elsewhere.test; spf=pass smtp.helo=mx.rcpt.test", "a value, not the id"),
	OTHERS("mx.elsewhere.test 1; spf=pass reason=\"mx.rcpt.test; none\"", "a value"),
	OTHERS("mx.elsewhere.test; x=y (mx.rcpt.test", "the id was read well before"),
	OTHERS("(relay) mx.elsewhere.test; none", "section 5: stays"),
	OTHERS("spf=pass smtp.mailfrom=bank.example; dkim=none", "no id; nothing of ours in it"),
	OTHERS("\"not my mx\"; none", "section 5: stays"),
	OTHERS("", "nothing"),
	OTHERS("(mx.rcpt.testing", "nothing of ours"),
};

static void
claims(void **state)
{
	const struct slice ids[] = { SLICE("mx.rcpt.test"), SLICE("xn--mx-lka.example"),
		SLICE("My MX") };
	struct arena *a = arena_new(TEST_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(claim_rows) / sizeof(claim_rows[0]); i++) {
		const struct claim_row *row = &claim_rows[i];

		if (authres_must_go(a, row->value, ids, 3) != row->claims)
			fail_msg("%s\n  want %s\n  (RFC 8601 %s)",
			    arena_printable(a, row->value, 200), row->claims ? "ours" : "not ours",
			    row->rule);
		assert_int_equal(authres_must_go(a, row->value, ids, 0), row->whosever);
	}
	arena_free(&a);
}

/* What we write claims our id, whatever stands in it; with U-labels as well. */
static void
claims_what_we_write(void **state)
{
	static const char *const names[] = { "mx.example", "my server", "\"", "m\xc3\xb8x.example",
		"a;b", "(x)", "A.b" };
	struct arena *a = arena_new(TEST_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct slice id = slice_str(names[i]);
		struct authres in = { .authserv_id = id, .version = 1 };

		if (!authres_must_go(a, authres_write(a, &in), &id, 1))
			fail_msg("%s", names[i]);
	}
	arena_free(&a);
}

/* What parse refuses and a trusted sealer may have written all the same. */
static const struct parse_row lenient_parses[] = {
	{ "i=1; mx.microsoft.com 1; spf=pass smtp.mailfrom=c.example; dmarc=pass action=none "
	  "header.from=c.example; dkim=pass header.d=c.example; arc=none",
	    "mx.microsoft.com/1 i=1 {spf/1=pass smtp.mailfrom=<c.example>} {dmarc/1=pass "
	    "header.from=<c.example>} {dkim/1=pass header.d=<c.example>} {arc/1=none}",
	    true, "action=none has no ptype" },
	{ "i=2; x.example; dkim=pass header.b=a/b+c= header.d=d.example; dmarc=fail",
	    "x.example/1 i=2 {dkim/1=pass header.b=<a/b+c=> header.d=<d.example>} {dmarc/1=fail}",
	    true, "a value that needs quotes" },
	{ "i=1; x.example; =pass; dmarc=pass header.from=a.example;",
	    "x.example/1 i=1 {dmarc/1=pass header.from=<a.example>}", true,
	    "a result without method, a last \";\"" },
	{ "i=1; x.example; dkim=pass reason=a=b; dmarc=fail", /* the reason goes, no more */
	    "x.example/1 i=1 {dkim/1=pass [a]} {dmarc/1=fail}", true, "text behind the reason" },
	{ "i=1; x.example; x=y foo=\"; dmarc=pass header.from=b.example\" z; dmarc=fail",
	    "x.example/1 i=1 {x/1=y} {dmarc/1=fail}", true, "a result within quotes is none" },
	{ "i=1; x.example; x=y foo=(; dmarc=pass header.from=b.example) z; dmarc=fail",
	    "x.example/1 i=1 {x/1=y} {dmarc/1=fail}", true, "nor is one within a comment" },
	{ "i=1; x.example; dmarc=pass header.from=\"a.example", NULL, true, "quotes without end" },
	{ "i=1; x.example; dmarc=pass (", NULL, true, "a comment without end" },
	{ "x.example; dmarc=pass", NULL, true, "no instance" },
	{ "i=1; x.example", NULL, true, "no result at all" },
};

static void
lenient(void **state)
{
	struct arena *a = arena_new(TEST_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(lenient_parses) / sizeof(lenient_parses[0]); i++) {
		const struct parse_row *row = &lenient_parses[i];
		struct slice value = slice_str(row->value);
		struct authres got;
		const char *error = "";
		int rc = authres_parse_lenient(a, value, row->is_aar, &got, &error);

		assert_int_equal(
		    authres_parse(a, value, row->is_aar, &(struct authres){ 0 }, &error), -1);
		if ((rc == 0) != (row->want != NULL))
			fail_msg("%s: %s", row->value, rc == 0 ? "accepted" : error);
		if (rc == 0)
			assert_slice(show(a, &got), row->want);
	}
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lenient),
		cmocka_unit_test(parse_rows),
		cmocka_unit_test(parse_limits),
		cmocka_unit_test(write_values),
		cmocka_unit_test(write_comments),
		cmocka_unit_test(write_forms),
		cmocka_unit_test(write_lines),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(claims),
		cmocka_unit_test(claims_what_we_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
