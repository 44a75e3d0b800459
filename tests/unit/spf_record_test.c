/* SPDX-License-Identifier: BSD-2-Clause */
/* The record's grammar (RFC 7208 section 12) and macros (section 7), without DNS. */
#include <string.h>

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/spf/internal.h"
#include "tests/support/support.h"

/* clang-format off */
static const struct { const char *text; bool ours; } versions[] = {
	{ "v=spf1", true }, { "v=spf1 ", true }, { "V=SPF1 all", true }, { "v=spf10", false }, { "v=spf1\t", false },
	{ "v=spf", false }, { "", false }, { " v=spf1", false }, { "v=spf1.", false }, { "v=spf2.0/pra", false },
};

/* fault NULL: good, then count mechanisms. Otherwise the term at fault and a part of the reason. */
static const struct { const char *rule, *terms; size_t count; const char *term, *fault; } records[] = {
	{ "4.5 record", "", 0, NULL, NULL },
	{ "4.6.1 spaces", "   a    mx  ", 2, NULL, NULL },
	{ "4.6.1 only spaces", "a\tmx", 0, "a\\x09mx", "not visible" },
	{ "3.1 US-ASCII", "a:\xc3\xa4.example", 0, "a:\\xc3\\xa4.example", "not visible" },
	{ "4.6.1 any case", "+A -MX ?Ptr ~ALL", 4, NULL, NULL },
	{ "4.6.1 unknown mechanism", "a moo", 0, "moo", "no such mechanism" },
	{ "4.6.1 qualifier alone", "-", 0, "-", "no such mechanism" },
	{ "4.6.1 two qualifiers", "--all", 0, "--all", "no such mechanism" },
	{ "4.6.1 qualified modifier", "-redirect=x.example", 0, "-redirect=x.example", "no such mechanism" },
	{ "4.6.1 modifier name", "1up=foo", 0, "1up=foo", "no such mechanism" },
	{ "4.6.1 modifier name", "=all", 0, "=all", "no such mechanism" },
	{ "4.6.1 modifier name", "m.-_1=x:y/z a", 1, NULL, NULL },
	{ "4.6.1 = comes before : and /", "m/x=y", 0, "m/x=y", "no such mechanism" },
	{ "5.1 all", "all:x.example", 0, "all:x.example", "takes no argument" },
	{ "5.1 all", "all/8", 0, "all/8", "takes no argument" },
	{ "5.1 all", "all.", 0, "all.", "no such mechanism" },
	{ "5.2 include", "include:x.example", 1, NULL, NULL },
	{ "5.2 include", "include", 0, "include", "must follow" },
	{ "5.2 include", "include:", 0, "include:", "domain is empty" },
	{ "5.2 include", "include:x.example/24", 0, "include:x.example/24", "the last label" },
	{ "5.3 a", "a a/24 a//64 a/24//64 a:x.example a:x.example/0//0", 6, NULL, NULL },
	{ "5.3 a", "a/33", 0, "a/33", "0 to 32" },
	{ "5.3 a", "a//129", 0, "a//129", "0 to 128" },
	{ "5.3 a", "a/24/64", 0, "a/24/64", "0 to 32" },
	{ "5.3 a", "a/", 0, "a/", "must follow" },
	{ "5.3 a", "a//", 0, "a//", "must follow" },
	{ "5.3 a", "a///64", 0, "a///64", "must follow" },
	{ "5.3 a", "a/024", 0, "a/024", "0 to 32" },
	{ "5.3 a", "a:", 0, "a:", "domain is empty" },
	{ "5.3 a", "a:/24", 0, "a:/24", "domain is empty" },
	{ "5.3 a", "a:x/y.example/24", 1, NULL, NULL },
	{ "5.5 ptr", "ptr ptr:x.example", 2, NULL, NULL },
	{ "5.5 ptr", "ptr/24", 0, "ptr/24", "must follow" },
	{ "5.6 ip4", "ip4:192.0.2.1 ip4:192.0.2.0/24 ip4:0.0.0.0/0", 3, NULL, NULL },
	{ "5.6 ip4", "ip4", 0, "ip4", "address is missing" },
	{ "5.6 ip4", "ip4:", 0, "ip4:", "not an IPv4" },
	{ "5.6 ip4", "ip4:192.0.2", 0, "ip4:192.0.2", "not an IPv4" },
	{ "5.6 ip4", "ip4:192.0.02.1", 0, "ip4:192.0.02.1", "not an IPv4" },
	{ "5.6 ip4", "ip4:192.0.2.256", 0, "ip4:192.0.2.256", "not an IPv4" },
	{ "5.6 ip4", "ip4:192.0.2.1:25", 0, "ip4:192.0.2.1:25", "not an IPv4" },
	{ "5.6 ip4", "ip4:::ffff:192.0.2.1", 0, "ip4:::ffff:192.0.2.1", "not an IPv4" },
	{ "5.6 ip4", "ip4:192.0.2.0/24//64", 0, "ip4:192.0.2.0/24//64", "0 to 32" },
	{ "5.6 ip4", "ip4:192.0.2.0/", 0, "ip4:192.0.2.0/", "0 to 32" },
	{ "5.6 ip4", "ip4:192.0.2.0/032", 0, "ip4:192.0.2.0/032", "0 to 32" },
	{ "5.6 ip6", "ip6:2001:db8::/32 ip6:::1 ip6:::ffff:192.0.2.1", 3, NULL, NULL },
	{ "5.6 ip6", "ip6:192.0.2.1", 0, "ip6:192.0.2.1", "not an IPv6" },
	{ "5.6 ip6", "ip6:2001:db8::/129", 0, "ip6:2001:db8::/129", "0 to 128" },
	{ "5.7 exists", "exists:%{ir}.x.example", 1, NULL, NULL },
	{ "5.7 exists", "exists", 0, "exists", "must follow" },
	{ "6 once each", "redirect=a.example redirect=b.example", 0, "redirect=b.example", "twice" },
	{ "6 once each", "exp=a.example EXP=b.example", 0, "EXP=b.example", "twice" },
	{ "6 unknown ones as often as they like", "x=1 x=2 x=%{c}%%%_%- x=", 0, NULL, NULL },
	{ "6 unknown ones have macro syntax", "x=%", 0, "x=%", "\"%\" is not followed" },
	{ "6.1 redirect", "redirect=", 0, "redirect=", "domain is empty" },
	{ "6.1 redirect", "redirect=-all", 0, "redirect=-all", "must end in" },
	{ "6.1 redirect", "redirect:x.example", 0, "redirect:x.example", "no such mechanism" },
	{ "6.2 exp", "exp=%{r}.example", 0, "exp=%{r}.example", "explanation texts only" },
	{ "7.1 toplabel", "a:museum", 0, "a:museum", "must end in" },
	{ "7.1 toplabel", "a:museum.", 0, "a:museum.", "must end in" },
	{ "7.1 toplabel", "a:x.example.", 1, NULL, NULL },
	{ "7.1 toplabel", "a:x.example..", 0, "a:x.example..", "last label is empty" },
	{ "7.1 toplabel", "a:192.0.2.1", 0, "a:192.0.2.1", "a number" },
	{ "7.1 toplabel", "a:x.-com", 0, "a:x.-com", "begins or ends" },
	{ "7.1 toplabel", "a:x.com-", 0, "a:x.com-", "begins or ends" },
	{ "7.1 toplabel", "a:x.c_m", 0, "a:x.c_m", "other characters" },
	{ "7.1 toplabel", "a:x.xn--zckzah a:x.1-1 a:x.1a", 3, NULL, NULL },
	{ "7.1 toplabel", "a:x.example:25", 0, "a:x.example:25", "other characters" },
	{ "7.1 domain-end", "a:%{d} a:x.%{d} a:x%% a:%{d}.example", 4, NULL, NULL },
	{ "7.1 domain-end", "a:%{d}example", 0, "a:%{d}example", "must end in" },
	{ "7.1 domain-end", "a:%{d}.", 0, "a:%{d}.", "must end in" },
	{ "7.1 macro-expand", "a:%{x}", 0, "a:%{x}", "no such macro letter" },
	{ "7.1 macro-expand", "a:%{}", 0, "a:%{}", "empty macro" },
	{ "7.1 macro-expand", "a:%{d", 0, "a:%{d", "closing brace" },
	{ "7.1 macro-expand", "a:%(d).example", 0, "a:%(d).example", "\"%\" is not followed" },
	{ "7.1 macro-expand", "a:x.example%", 0, "a:x.example%", "\"%\" is not followed" },
	{ "7.1 macro-expand", "a:%{d2r.-+,/_=} a:%{D127R} a:%{d99999999999999999999}", 3, NULL, NULL },
	{ "7.1 macro-expand", "a:%{dr2}", 0, "a:%{dr2}", "not a macro delimiter" },
	{ "7.1 macro-expand", "a:%{d;}", 0, "a:%{d;}", "not a macro delimiter" },
	{ "7.3 DIGIT is not zero", "a:%{d0}", 0, "a:%{d0}", "zero parts" },
	{ "7.3 DIGIT is not zero", "a:%{d00}", 0, "a:%{d00}", "zero parts" },
};

/* Of RFC 7208 7.4 and beyond: the text, what it becomes. */
static const struct { const char *text, *name; } expansions[] = {
	{ "%{s}", "strong-bad@email.example.com" }, { "%{o}", "email.example.com" }, { "%{d}", "email.example.com" },
	{ "%{d4}", "email.example.com" }, { "%{d3}", "email.example.com" }, { "%{d2}", "example.com" },
	{ "%{d1}", "com" }, { "%{dr}", "com.example.email" }, { "%{d2r}", "example.email" }, { "%{l}", "strong-bad" },
	{ "%{l-}", "strong.bad" }, { "%{lr}", "strong-bad" }, { "%{lr-}", "bad.strong" }, { "%{l1r-}", "strong" },
	{ "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com" },
	{ "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com" },
	{ "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com" },
	{ "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com" },
	{ "%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net" },
	{ "%%%_%-x.%{d1}", "% %20x.com" },
	{ "%{S}.x", "strong-bad%40email.example.com.x" },
	{ "%{h}.x", "..x" },		/* the value is one dot, and not looked at */
	{ "%{hr}.x", "..x" },		/* two empty parts, joined again */
	{ "%{h1}.x", ".x" },		/* the last of two empty parts */
	{ "%{p}.x", ".x" },		/* no value at all */
	{ "%{s.-@}", NULL },		/* @ is no delimiter */
	{ "%{l-+}.%{d+}", "strong.bad.email.example.com" }, /* none of the delimiters in it */
	{ "%{L1}", "strong-bad" }, { "%{T}", "~%2F%25" },
	{ "x.example.", "x.example" },	/* the final dot is not part of a name */
};
/* clang-format on */

static void
knows_versions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (spf_record_version(slice_str(versions[i].text)) != versions[i].ours)
			fail_msg(
			    "\"%s\": want %d (RFC 7208 4.5)", versions[i].text, versions[i].ours);
}

static void
parses_records(void **state)
{
	struct arena *a = arena_new(1024 * 1024);

	(void)state;
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		struct slice text = slice_str(arena_printf(a, "v=spf1 %s", records[i].terms));
		struct spf_record *r = spf_record_new(text);
		const char *term = arena_printable(a, spf_record_text(r, r->fault_term), 100);
		const char *fault = r->fault == NULL ? "" : r->fault;
		bool good = records[i].fault == NULL
		    ? r->reason == SPF_R_NONE && r->fault == NULL && r->count == records[i].count
		    : r->reason == SPF_R_SYNTAX && strcmp(term, records[i].term) == 0 &&
			strstr(fault, records[i].fault) != NULL;

		if (!good)
			fail_msg("%s (RFC 7208 %s)\n  got  %zu mechanisms, \"%s\": %s\n  want %zu, "
				 "\"%s\": %s",
			    records[i].terms, records[i].rule, r->count, term, fault,
			    records[i].count, records[i].term == NULL ? "" : records[i].term,
			    records[i].fault == NULL ? "" : records[i].fault);
		spf_record_free(&r);
		assert_null(r);
	}
	arena_free(&a);
}

static void
keeps_the_parts(void **state)
{
	struct spf_record *r = spf_record_new(
	    SLICE("v=spf1 ~a:x.example/24//64 ip6:2001:db8::/32 redirect=y.example exp=%{d} "));

	(void)state;
	assert_int_equal(r->count, 2);
	assert_int_equal(r->terms[0].mechanism, SPF_A);
	assert_int_equal(r->terms[0].result, SPF_SOFTFAIL);
	assert_slice(spf_record_text(r, r->terms[0].written), "~a:x.example/24//64");
	assert_slice(spf_record_text(r, r->terms[0].argument), "x.example");
	assert_int_equal(r->terms[0].prefix4_bits, 24);
	assert_int_equal(r->terms[0].prefix6_bits, 64);
	assert_int_equal(r->terms[1].mechanism, SPF_IP6);
	assert_string_equal(spf_mechanism_word(r->terms[1].mechanism), "ip6");
	assert_slice(spf_record_text(r, r->terms[1].argument), "2001:db8::");
	assert_int_equal(r->terms[1].prefix6_bits, 32);
	assert_slice(spf_record_text(r, r->redirect.written), "redirect=y.example");
	assert_slice(spf_record_text(r, r->redirect.argument), "y.example");
	assert_slice(spf_record_text(r, r->explanation.argument), "%{d}");
	spf_record_free(&r);
}

static void
bounds_records(void **state)
{
	struct arena *a = arena_new(1024 * 1024);
	struct strbuf b;
	struct spf_record *r;

	(void)state;
	strbuf_init(&b, a, 2 * LIMIT_SPF_RECORD_BYTES);
	strbuf_str(&b, "v=spf1");
	for (size_t i = 0; i < LIMIT_SPF_TERMS; i++)
		strbuf_str(&b, " mx");
	r = spf_record_new(strbuf_slice(&b));
	assert_int_equal(r->reason, SPF_R_NONE);
	assert_int_equal(r->count, LIMIT_SPF_TERMS);
	spf_record_free(&r);
	strbuf_str(&b, " a");
	r = spf_record_new(strbuf_slice(&b));
	assert_int_equal(r->reason, SPF_R_SIZE);
	assert_string_equal(r->fault, "more than 512 mechanisms");
	spf_record_free(&r);
	while (b.len <= LIMIT_SPF_RECORD_BYTES)
		strbuf_char(&b, ' ');
	r = spf_record_new(strbuf_slice(&b));
	assert_int_equal(r->reason, SPF_R_SIZE);
	assert_string_equal(r->fault, "more than 4096 bytes");
	spf_record_free(&r);
	arena_free(&a);
}

static void
expands_macros(void **state)
{
	struct arena *a = arena_new(1024 * 1024);
	struct spf_macro_values v = { .value = { { NULL, 0 } } };

	(void)state;
	SPF_MACRO_VALUE(&v, 's') = SLICE("strong-bad@email.example.com");
	SPF_MACRO_VALUE(&v, 'l') = SLICE("strong-bad");
	SPF_MACRO_VALUE(&v, 'o') = SPF_MACRO_VALUE(&v, 'd') = SLICE("email.example.com");
	SPF_MACRO_VALUE(&v, 'i') = SLICE("192.0.2.3");
	SPF_MACRO_VALUE(&v, 'v') = SLICE("in-addr");
	SPF_MACRO_VALUE(&v, 'h') = SLICE(".");
	SPF_MACRO_VALUE(&v, 't') = SLICE("~/%");
	for (size_t i = 0; i < sizeof(expansions) / sizeof(expansions[0]); i++) {
		struct slice text = slice_str(expansions[i].text), got;

		if (expansions[i].name == NULL) {
			assert_non_null(spf_macro_string_fault(text));
			continue;
		}
		assert_null(spf_macro_string_fault(text));
		got = spf_macro_name(a, &v, text);
		if (!slice_equal(got, slice_str(expansions[i].name)))
			fail_msg("%s: got \"%.*s\", want \"%s\" (RFC 7208 7)", expansions[i].text,
			    SLICE_ARG(got), expansions[i].name);
	}
	arena_free(&a);
}

/* RFC 7208 7.3: labels go from the left until 253 are left, whatever the text's length. */
static void
truncates_names(void **state)
{
	struct arena *a = arena_new(16 * 1024 * 1024);
	struct spf_macro_values v = { .value = { { NULL, 0 } } };
	struct strbuf whole, text;

	(void)state;
	SPF_MACRO_VALUE(&v, 'd') = SLICE("abcdefg.hij");
	strbuf_init(&whole, a, 65536);
	strbuf_init(&text, a, 65536);
	for (size_t i = 0; i < 700; i++) {
		struct slice want, got;

		strbuf_str(&text, i == 0 ? "%{d}" : i % 7 == 0 ? ".x%{dr}" : ".%{d}");
		strbuf_str(&whole,
		    i == 0	     ? "abcdefg.hij"
			: i % 7 == 0 ? ".xhij.abcdefg"
				     : ".abcdefg.hij");
		want = strbuf_slice(&whole);
		while (want.len > LIMIT_DOMAIN_BYTES)
			want = slice_from(want, slice_find(want, '.') + 1);
		got = spf_macro_name(a, &v, strbuf_slice(&text));
		if (!slice_equal(got, want))
			fail_msg("%zu parts: got \"%.*s\", want \"%.*s\"", i + 1, SLICE_ARG(got),
			    SLICE_ARG(want));
	}
	arena_free(&a);
}

static void
finds_letters(void **state)
{
	(void)state;
	assert_true(spf_macro_uses(SLICE("x.%{d}.%{P2}"), "p"));
	assert_true(spf_macro_uses(SLICE("%{l1r-}"), "ls"));
	assert_false(spf_macro_uses(SLICE("%%{l}"), "ls"));
	assert_false(spf_macro_uses(SLICE("l.s.%{d}"), "ls"));
	assert_false(spf_macro_uses(SLICE(""), "ls"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_versions),
		cmocka_unit_test(parses_records),
		cmocka_unit_test(keeps_the_parts),
		cmocka_unit_test(bounds_records),
		cmocka_unit_test(expands_macros),
		cmocka_unit_test(truncates_names),
		cmocka_unit_test(finds_letters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
