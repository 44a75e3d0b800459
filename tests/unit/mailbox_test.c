/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/mailbox.h"
#include "tests/support/support.h"

#define TEST_BYTES (4u * 1024 * 1024)

struct author_row {
	struct slice value;    /* of one From field */
	const char *domains;   /* joined by commas */
	const char *malformed; /* NULL, or what the reason must contain */
	const char *rule;
	const char *odd; /* likewise; looked at where malformed is NULL */
};

#define GOOD(value, domains, rule)                                                                 \
	{                                                                                          \
		{ (value), sizeof(value) - 1 }, (domains), NULL, (rule), NULL                      \
	}
#define ODD(value, domains, why, rule)                                                             \
	{                                                                                          \
		{ (value), sizeof(value) - 1 }, (domains), NULL, (rule), (why)                     \
	}
#define BAD(value, domains, why, rule)                                                             \
	{                                                                                          \
		{ (value), sizeof(value) - 1 }, (domains), (why), (rule), NULL                     \
	}

static const struct author_row authors[] = {
	/* addr-spec and name-addr */
	GOOD("joe@example.com", "example.com", "RFC 5322 3.4.1"),
	GOOD(" <joe@example.com>", "example.com", "RFC 5322 3.4: no display name"),
	GOOD("Joe <joe@example.com>", "example.com", "RFC 5322 3.4"),
	GOOD("Joe<joe@example.com>", "example.com", "RFC 5322 3.4: CFWS is optional"),
	GOOD("\t \tJoe\t<joe@EXAMPLE.Com>\t ", "example.com", "RFC 5322 3.2.2"),
	GOOD("Joe\r\n\t<joe@\r\n example.com>", "example.com", "RFC 5322 3.4.1: CFWS around @"),
	GOOD("Joe Q. Public <joe@example.com>", "example.com", "RFC 5322 4.1 obs-phrase"),
	GOOD("Davide D'Marco <u@example.com>", "example.com", "RFC 5322 3.2.3 atext"),
	GOOD("=?utf-8?q?x=40evil.example?= <joe@example.com>", "example.com", "RFC 2047 5 (3)"),
	GOOD("J\xc3\xb6 <joe@example.com>", "example.com", "RFC 6532 3.2"),
	GOOD("j\xc3\xb6@example.com", "example.com", "RFC 6532 3.2"),
	GOOD("joe+a=b/c@example.com", "example.com", "RFC 5322 3.2.3 atext"),
	GOOD("joe@example.com (Joe)", "example.com", "RFC 5322 3.4: the older form of a name"),
	GOOD("joe@_x.example.com", "_x.example.com", "underscores occur in names"),
	GOOD("joe@-x.example", "-x.example", "DNS has it; no reader sees another"),
	GOOD("joe@localhost", "localhost", "one label is a domain, PITFALLS 26"),
	/* quoted strings */
	GOOD("\"a, <a@evil.example>\" <joe@example.com>", "example.com", "RFC 5322 3.2.4"),
	GOOD("\"joe smith\"@example.com", "example.com", "RFC 5322 3.4.1"),
	GOOD("\"a\".b.\"c\"@example.com", "example.com", "RFC 5322 4.4 obs-local-part"),
	GOOD("\"a\\\"b\\\\\"@example.com", "example.com", "RFC 5322 3.2.1 quoted-pair"),
	BAD("\"Someone <a@junk.example>\"@example.com", "example.com", "looks like",
	    "OpenDMARC#243"),
	BAD("\"a@junk.example\"@example.com", "example.com", "looks like", "PITFALLS 35"),
	BAD("\"joe <joe@example.com>", "", "quoted string without end", "RFC 5322 3.2.4"),
	BAD("\"a\"b@example.com", "example.com", "local part", "RFC 5322 3.4.1"),
	BAD("\"a\r\nb\"@example.com", "example.com", "line break", "RFC 5322 2.2.3"),
	BAD("\"a\\\r\n b\" <a@example.com>", "example.com", "line break", "RFC 5322 2.2.3"),
	/* comments */
	GOOD("(,) joe@example.com", "example.com", "RFC 5322 3.2.2"),
	GOOD("(a (b (c) d) <x@evil.example>) Joe <joe@example.com> (z)", "example.com",
	    "RFC 5322 3.2.2: comments nest"),
	GOOD("(\\)) joe@example.com", "example.com", "RFC 5322 3.2.2 quoted-pair in a comment"),
	BAD("(Joe <joe@example.com>", "", "comment without end", "RFC 5322 3.2.2"),
	BAD("Joe) <joe@example.com>", "example.com", "special character", "RFC 5322 3.2.3"),
	BAD("<joe@bank.example(x).evil.example>", "bank.example.evil.example", "within a domain",
	    "RFC 5322 4.4, DIFFERS"),
	BAD("<joe@bank.example .evil.example>", "bank.example.evil.example", "within a domain",
	    "RFC 5322 4.4, DIFFERS"),
	BAD("<joe@bank.\r\n example>", "bank.example", "within a domain", "RFC 5322 4.4, DIFFERS"),
	BAD("<joe@(bank.example)evil.example>", "evil.example", "comment within", "DIFFERS"),
	BAD("<joe(@bank.example)@evil.example>", "evil.example", "comment within", "DIFFERS"),
	BAD("joe . smith@example.com", "example.com", "within a local part", "RFC 5322 4.4"),
	/* lists, groups */
	GOOD("a@one.example, b@two.example", "one.example,two.example", "RFC 5322 3.6.2"),
	GOOD("a@example.com, b@EXAMPLE.com.example, <c@Example.Com>",
	    "example.com,example.com.example", "RFC 9989 5.3.1: distinct domains"),
	GOOD(",a@one.example,, ,b@two.example,", "one.example,two.example",
	    "RFC 5322 4.4 obs-mbox-list"),
	GOOD("Staff: a@one.example, B <b@two.example>;", "one.example,two.example", "RFC 6854"),
	GOOD("A: a@one.example;, B:b@two.example; , c@three.example",
	    "one.example,two.example,three.example", "RFC 6854"),
	BAD("undisclosed: ;", "", "no address", "RFC 6854: an empty group has no author domain"),
	BAD("Mail From:<joe@example.com>", "example.com", "without a semicolon", "RFC 6854"),
	BAD("A: B: a@one.example;;", "one.example", "colon", "RFC 5322 3.4: groups don't nest"),
	BAD(": a@one.example;", "one.example", "group without a name", "RFC 5322 3.4"),
	BAD("G: a@one.example; b@two.example", "one.example,two.example", "behind an address",
	    "RFC 5322 3.4"),
	BAD("G: a@one.example; x, b@two.example", "one.example,two.example", "behind an address",
	    "RFC 5322 3.4"),
	BAD("ceo@bank.example: a@evil.example;", "bank.example,evil.example", "colon",
	    "RFC 5322 3.4"),
	BAD("a@one.example; b@two.example", "one.example,two.example", "semicolon",
	    "a separator of Outlook's, not of RFC 5322"),
	/* more than one address where one belongs */
	BAD("<a@one.example> <b@two.example>", "one.example,two.example", "where one belongs",
	    "RFC 5322 3.4"),
	ODD("joe@bank.example <x@evil.example>", "bank.example,evil.example", "unquoted address",
	    "RFC 5322 3.4: no @ in a phrase; two author domains"),
	ODD("joe@example.com <joe@Example.com>", "example.com", "unquoted address",
	    "RFC 5322 3.4: common, and misleads nobody"),
	BAD("joe@example.com <joe@example.com> <joe@example.com>", "example.com",
	    "where one belongs", "RFC 5322 3.4"),
	BAD("joe@example.com <joe@example.com x>", "example.com", "behind an address",
	    "RFC 5322 3.4"),
	BAD("joe@example.com <>", "example.com", "empty angle", "RFC 5322 3.4"),
	BAD("joe@example.com Joe <joe@example.com>", "example.com", "behind an address",
	    "RFC 5322 3.4"),
	ODD("Acme, Inc. <a@acme.example>", "acme.example", "name without", "RFC 5322 3.4"),
	BAD("\"joe@bank.example\", x@evil.example", "evil.example", "quoted address",
	    "RFC 5322 3.4: people see two authors"),
	BAD("x@evil.example, \"Joe <joe@bank.example>\"", "evil.example", "quoted address",
	    "RFC 5322 3.4: people see two authors"),
	BAD("\"joe@bank.example\"", "", "quoted address", "RFC 5322 3.4.1"),
	GOOD("\"joe@bank.example\": x@evil.example;", "evil.example", "RFC 6854: a group's name"),
	ODD("[Acme] News <a@acme.example>", "acme.example", "\"[\"", "RFC 5322 3.2.3"),
	BAD("[\", (] <a@acme.example>", "acme.example", "\"[\"", "a quote for some readers"),
	BAD("<[Acme] a@acme.example>", "acme.example", "\"[\"", "RFC 5322 3.2.3"),
	BAD("<x@evil.example> joe@bank.example", "evil.example,bank.example", "behind an address",
	    "RFC 5322 3.4"),
	BAD("<x@evil.example> Joe", "evil.example", "behind an address", "RFC 5322 3.4"),
	BAD("joe@bank.example@evil.example", "bank.example,evil.example", "where one belongs",
	    "RFC 5322 3.4.1"),
	BAD("Joe joe@example.com", "example.com", "local part", "RFC 5322 3.4"),
	/* brackets */
	BAD("<joe@example.com", "example.com", "without \">\"", "RFC 5322 3.4"),
	BAD("joe@example.com>", "example.com", "without \"<\"", "OpenDMARC#113"),
	BAD("Joe <<joe@example.com>>", "example.com", "within angle", "RFC 5322 3.4"),
	BAD("<a@one.example, b@two.example>", "one.example,two.example", "comma", "RFC 5322 3.4"),
	BAD("<>", "", "empty angle", "RFC 5322 3.4.1"),
	BAD("<> joe@example.com", "example.com", "empty angle", "RFC 5322 3.4.1"),
	BAD("joe\\@x <joe@example.com>", "x,example.com", "special", "RFC 5322 3.2.3"),
	/* routes */
	BAD("<@bank.example:joe@example.com>", "example.com", "source route",
	    "RFC 5322 4.4 obs-route, DIFFERS"),
	BAD("<@a.example,@b.example , ,@[192.0.2.1]:joe@example.com>", "example.com",
	    "source route", "RFC 5322 4.4 obs-route, DIFFERS"),
	BAD("<@example.com>", "example.com", "source route", "RFC 5322 3.4.1: no local part"),
	BAD("@example.com", "example.com", "without a local part", "RFC 5322 3.4.1"),
	/* what is no domain */
	BAD("joe", "", "name without", "RFC 5322 3.4.1; CVE-2021-34555"),
	BAD("Joe <joe>", "", "name without", "RFC 5322 3.4.1; CVE-2021-34555"),
	BAD("joe@", "", "without a domain", "RFC 5322 3.4.1; CVE-2021-34555"),
	BAD("a@one.example, joe@", "one.example", "without a domain", "CVE-2021-34555"),
	BAD("joe@.example.com", "", "empty label", "RFC 5322 3.4.1"),
	BAD("joe@example..com", "", "empty label", "RFC 5322 3.4.1"),
	BAD("joe@example.com.", "example.com", "ends in a dot", "RFC 5322 3.4.1, PITFALLS 36"),
	BAD(".joe@example.com", "example.com", "local part", "RFC 5322 3.4.1"),
	BAD("joe.@example.com", "example.com", "local part", "RFC 5322 3.4.1"),
	BAD("jo..e@example.com", "example.com", "local part", "RFC 5322 3.4.1"),
	BAD("joe@[192.0.2.1]", "", "literal", "RFC 5322 3.4.1; RFC 9989 5.3.1 wants a domain"),
	BAD("joe@[192.0.2.1", "", "literal", "RFC 5322 3.4.1"),
	BAD("joe@=?utf-8?q?example.com?=", "", "no host name", "RFC 2047 5"),
	BAD("joe@exam/ple.com", "", "no host name", "not a name anybody has"),
	BAD("", "", "no address", "RFC 5322 3.6.2"),
	BAD(" (x) ", "", "no address", "RFC 5322 3.6.2"),
	BAD(",,", "", "no address", "RFC 5322 4.4"),
	/* encoded words and characters that deceive */
	BAD("=?utf-8?q?joe=40bank.example?=@evil.example", "evil.example", "encoded word",
	    "RFC 2047 5, mailsploit"),
	BAD("\"=?utf-8?q?joe=40bank.example=00?=\"@evil.example", "evil.example", "encoded word",
	    "RFC 2047 5, mailsploit"),
	BAD("ceo\xef\xbc\xa0"
	    "bank.example@evil.example",
	    "evil.example", "looks like", "U+FF20 FULLWIDTH COMMERCIAL AT"),
	BAD("\xe2\x80\xae"
	    "x@evil.example",
	    "evil.example", "looks like", "U+202E"),
	BAD("joe@ex\xe2\x80\x8b"
	    "ample.com@",
	    "example.com", "where one belongs", "UTS 46 drops U+200B"),
	/* IDNA */
	GOOD("joe@b\xc3\xbc"
	     "cher.example",
	    "xn--bcher-kva.example", "RFC 9989 5.3.1, PITFALLS 36"),
	GOOD("a@B\xc3\x9c"
	     "CHER.example, b@xn--BCHER-kva.example",
	    "xn--bcher-kva.example", "RFC 9989 5.3.1: A-labels compare"),
	BAD("joe@b\xfc"
	    "cher.example",
	    "", "not an internationalized", "RFC 6532 3.1"),
	ODD("J\xf6 <joe@example.com>", "example.com", "UTF-8", "RFC 6532 3.1: Latin-1 names occur"),
	BAD("joe@a\xef\xbc\xa0"
	    "b.example",
	    "", "", "U+FF20 is @ under UTS 46"),
	/* control bytes */
	BAD("<joe@example.com\0.evil.example>", "", "", "a NUL ends it for some"),
	BAD("joe@example.com\0 <x@evil.example>", "evil.example", "", "a NUL ends it for some"),
	BAD("\"J\0\" <joe@example.com>", "example.com", "control", "RFC 5322 4.1, DIFFERS"),
	BAD("J\x01 <joe@example.com>", "example.com", "control", "RFC 5322 3.2.3"),
	BAD("(\x1b) <joe@example.com>", "example.com", "control", "RFC 5322 4.1, DIFFERS"),
	BAD("joe@example.com\r\nFrom: x@evil.example", "example.com,evil.example", "",
	    "RFC 5322 2.2"),
	BAD("joe@example.com\r", "example.com", "line break", "RFC 5322 2.2"),
	BAD("J\ne <joe@example.com>", "example.com", "line break", "RFC 5322 2.2"),
	BAD("joe@example.com\x7f", "", "", "RFC 5322 3.2.3"),
};

static struct slice
join_domains(struct arena *a, const struct author *author)
{
	struct strbuf b;

	strbuf_init(&b, a, TEST_BYTES);
	for (size_t i = 0; i < author->domain_count; i++) {
		strbuf_str(&b, i > 0 ? "," : "");
		strbuf_add(&b, author->domains[i]);
	}
	return strbuf_slice(&b);
}

/* The author of a message with that From value; fresh is the header to use. */
static void
read_one(struct arena *a, struct slice value, struct author *out)
{
	struct header_list header = { .count = 0 };

	header_list_add(&header, a, SLICE("Subject"), SLICE(" x@not.example"));
	header_list_add(&header, a, SLICE("from"), value);
	author_read(a, &header, out);
}

static void
author_rows(void **state)
{
	struct arena *a = arena_new(TEST_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(authors) / sizeof(authors[0]); i++) {
		const struct author_row *row = &authors[i];
		struct author got;
		struct slice domains;
		bool right;

		read_one(a, row->value, &got);
		domains = join_domains(a, &got);
		right = row->malformed == NULL
		    ? got.malformed == NULL
		    : got.malformed != NULL && strstr(got.malformed, row->malformed) != NULL;
		if (row->malformed == NULL)
			right &= row->odd == NULL
			    ? got.odd == NULL
			    : got.odd != NULL && strstr(got.odd, row->odd) != NULL;
		if (!right || !slice_equal(domains, slice_str(row->domains)))
			fail_msg(
			    "From: %s\n  got  %.*s malformed=%s\n  want %s malformed=%s\n  (%s)",
			    arena_printable(a, row->value, 200), SLICE_ARG(domains),
			    got.malformed == NULL ? "no" : got.malformed, row->domains,
			    row->malformed == NULL ? "no" : row->malformed, row->rule);
		arena_reset(a);
	}
	arena_free(&a);
}

static void
local_parts(void **state)
{
	static const struct {
		const char *value, *want;
	} rows[] = {
		{ "joe@example.com", "joe" },
		{ "\"joe smith\"@example.com", "joe smith" },
		{ "\"a\\\"b\"@example.com", "a\"b" },
		{ "\"a\".b@example.com", "a.b" },
		{ "\"a\r\n b\"@example.com", "a b" },
		{ "<joe>", "joe" },
		{ "joe@[192.0.2.1]", "joe" },
		{ "<@a.example:joe@example.com>", "joe" },
	};
	struct arena *a = arena_new(TEST_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct author got;

		read_one(a, slice_str(rows[i].value), &got);
		assert_int_equal(got.mailbox_count, 1);
		assert_slice(got.mailboxes[0].local_part, rows[i].want);
	}
	arena_free(&a);
}

static void
fields(void **state)
{
	struct arena *a = arena_new(TEST_BYTES);
	struct header_list header = { .count = 0 };
	struct author got;

	(void)state;
	author_read(a, &header, &got);
	assert_int_equal(got.from_fields, 0);
	assert_int_equal(got.domain_count, 0);
	assert_non_null(got.malformed);

	header_list_add(&header, a, SLICE("Sender"), SLICE("x@evil.example"));
	header_list_add(&header, a, SLICE("FROM "), SLICE("a@one.example"));
	author_read(a, &header, &got);
	assert_int_equal(got.from_fields, 1); /* RFC 5322 4.5.1: a blank before the colon */
	assert_null(got.malformed);

	header_list_add(&header, a, SLICE("From"), SLICE("b@two.example"));
	author_read(a, &header, &got);
	assert_int_equal(got.from_fields, 2); /* RFC 5322 3.6: at most one; PITFALLS 16, 35 */
	assert_slice(join_domains(a, &got), "one.example,two.example");
	assert_string_equal(got.malformed, "occurs more than once");
	arena_free(&a);
}

/* count times piece, then tail. */
static struct slice
repeat(struct arena *a, const char *piece, size_t count, const char *tail)
{
	struct strbuf b;

	strbuf_init(&b, a, TEST_BYTES);
	for (size_t i = 0; i < count; i++)
		strbuf_str(&b, piece);
	strbuf_str(&b, tail);
	return strbuf_slice(&b);
}

static void
limits(void **state)
{
	static const struct {
		const char *piece, *tail;
		size_t count;
		bool malformed;
		size_t mailboxes;
	} rows[] = {
		{ "a@example.com,", "", LIMIT_AUTHORS, false, LIMIT_AUTHORS },
		{ "a@example.com,", "", LIMIT_AUTHORS + 1, true, LIMIT_AUTHORS },
		{ "(", "", LIMIT_COMMENT_DEPTH + 1, true, 0 },
		{ "(", "", LIMIT_AUTHOR_BYTES, true, 0 },
		{ "a", "@example.com", LIMIT_LOCAL_PART_BYTES, false, 1 },
		{ "a", "@example.com", LIMIT_LOCAL_PART_BYTES + 1, true, 1 },
		{ " ", "a@example.com", LIMIT_AUTHOR_BYTES - 13, false, 1 },
		{ " ", "a@example.com", LIMIT_AUTHOR_BYTES - 12, true, 1 },
		{ "@", "", LIMIT_AUTHOR_BYTES, true, LIMIT_AUTHORS },
		{ "<@a,", "", LIMIT_AUTHOR_BYTES / 4, true, 0 },
		{ "\"\" ", "", LIMIT_AUTHOR_BYTES / 3, true, 0 },
		{ "\"\"@", "", LIMIT_AUTHOR_BYTES / 3, true, LIMIT_AUTHORS },
		{ "x:;", "", LIMIT_AUTHOR_BYTES / 3, true, 0 },
		{ "(),", "a@example.com", 1000, false, 1 },
	};
	struct arena *a = arena_new(TEST_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice value = repeat(a, rows[i].piece, rows[i].count, rows[i].tail);
		struct author got;
		size_t used = arena_used(a);

		read_one(a, value, &got);
		if ((got.malformed != NULL) != rows[i].malformed ||
		    (rows[i].mailboxes > 0 && got.mailbox_count != rows[i].mailboxes))
			fail_msg("%zu of \"%s\": malformed %s, %zu mailboxes", rows[i].count,
			    rows[i].piece, got.malformed, got.mailbox_count);
		if (arena_used(a) - used > 32u * LIMIT_AUTHOR_BYTES)
			fail_msg("%zu of \"%s\": %zu bytes of arena", rows[i].count, rows[i].piece,
			    arena_used(a) - used);
		arena_reset(a);
	}
	arena_free(&a);
}

static void
comment_depth(void **state)
{
	struct arena *a = arena_new(TEST_BYTES);

	(void)state;
	for (size_t depth = LIMIT_COMMENT_DEPTH; depth <= LIMIT_COMMENT_DEPTH + 1; depth++) {
		struct slice closed = repeat(a, ")", depth, " joe@example.com");
		struct slice value = repeat(a, "(", depth, closed.p);
		struct author got;

		read_one(a, value, &got);
		assert_int_equal(got.malformed != NULL, depth > LIMIT_COMMENT_DEPTH);
	}
	arena_free(&a);
}

static void
reverse_paths(void **state)
{
	static const struct {
		const char *path, *local_part, *domain, *rule;
	} rows[] = {
		{ "<a@example.com>", "a", "example.com", "RFC 5321 4.1.1.2" },
		{ "a@Example.com", "a", "Example.com", "as it came" },
		{ "<>", "", "", "RFC 5321 4.5.5 null reverse-path" },
		{ "", "", "", "RFC 5321 4.5.5" },
		{ " <a@example.com> ", "a", "example.com", "blanks around" },
		{ "<@a.example,@b.example:j@example.com>", "j", "example.com", "RFC 5321 4.1.1.3" },
		{ "<@[IPv6:::1]:j@example.com>", "j", "example.com", "RFC 5321 4.1.1.3" },
		{ "<\"a@b:c\"@example.com>", "\"a@b:c\"", "example.com", "RFC 5321 4.1.2" },
		{ "<\"a\\\"@b\"@example.com>", "\"a\\\"@b\"", "example.com", "RFC 5321 4.1.2" },
		{ "<a@b@example.com>", "a@b", "example.com", "the last @ counts" },
		{ "<joe>", "joe", "", "no domain" },
		{ "<joe@>", "joe", "", "no domain" },
		{ "<@example.com>", "", "example.com", "no route without a colon" },
		{ "<a@[192.0.2.1]>", "a", "[192.0.2.1]", "RFC 5321 4.1.3" },
		{ "<", "", "", "unbalanced" },
	};
	struct arena *a = arena_new(TEST_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice local_part, domain;

		reverse_path_read(a, slice_str(rows[i].path), &local_part, &domain);
		if (!slice_equal(local_part, slice_str(rows[i].local_part)) ||
		    !slice_equal(domain, slice_str(rows[i].domain)))
			fail_msg("%s: got %.*s and %.*s (%s)", rows[i].path, SLICE_ARG(local_part),
			    SLICE_ARG(domain), rows[i].rule);
	}
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(author_rows),
		cmocka_unit_test(local_parts),
		cmocka_unit_test(fields),
		cmocka_unit_test(limits),
		cmocka_unit_test(comment_depth),
		cmocka_unit_test(reverse_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
