/* SPDX-License-Identifier: BSD-2-Clause */
/* One signature: each rule of RFC 6376 and what is shown of it. Several: order and limits. */
#include <string.h>

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "tests/support/dkim_lab.h"

/* ---- one signature, one rule ---- */

#define S(selector) " v=1; a=rsa-sha256; d=a.example; s=" selector "; h=From:To:Subject"
#define R	    S("rsa")
#define X	    S("x")

static const struct row {
	const char *name, *template, *record;
	enum dkim_reason want;
	const char *says; /* must be in the detail */
} rows[] = {
	{ "simple", R "; c=simple/simple" SIGNED, NULL, DKIM_R_NONE, "" },
	{ "relaxed", R "; c=relaxed/relaxed" SIGNED, NULL, DKIM_R_NONE, "" },
	{ "mixed", R "; c=simple/relaxed" SIGNED, NULL, DKIM_R_NONE, "" },
	{ "c= header only", R "; c=relaxed" SIGNED, NULL, DKIM_R_NONE, "" },
	{ "no c=", R SIGNED, NULL, DKIM_R_NONE, "" },
	{ "Ed25519, RFC 8463", " v=1; a=ed25519-sha256; d=a.example; h=From; s=ed" SIGNED, NULL,
	    DKIM_R_NONE, "" },
	{ "tags in another order", " bh=@BH@; h=From; s=rsa; d=a.example; b=@B@; a=rsa-sha256; v=1",
	    NULL, DKIM_R_NONE, "" },
	{ "folded everywhere",
	    " v = 1;\r\n a =\r\n\trsa-sha256 ; d = a.example ;\r\n h = From :\r\n\tSubject;"
	    " s=rsa; bh = @BH@ ;\r\n b =\r\n\t@B@\r\n ; c = relaxed",
	    NULL, DKIM_R_NONE, "" },
	{ "all tags",
	    R "; i=x=20y@sub.a.example; l=3; q=dns/txt; t=999999; x=1000001; z=From:x" SIGNED, NULL,
	    DKIM_R_NONE, "" },
	{ "unknown tag", R "; zz=1" SIGNED, NULL, DKIM_R_NONE, "" },
	{ "oversigned", R ":From:Nothing" SIGNED, NULL, DKIM_R_NONE, "" },
	{ "two of a name",
	    " v=1; a=rsa-sha256; d=a.example; s=rsa; h=Received:From:received" SIGNED, NULL,
	    DKIM_R_NONE, "" },
	{ "d= as U-label, RFC 8616",
	    " v=1; a=rsa-sha256; d=b\xc3\xbc"
	    "cher.example; s=rsa; h=From" SIGNED,
	    NULL, DKIM_R_NONE, "" },
	{ "i= as U-label, d= as A-label",
	    " v=1; a=rsa-sha256; d=xn--bcher-kva.example; i=@b\xc3\xbc"
	    "cher.example; s=rsa; h=From" SIGNED,
	    NULL, DKIM_R_NONE, "" },

	/* RFC 6376 3.2, 3.5, 6.1.1 */
	{ "empty", "", NULL, DKIM_R_SYNTAX, "tag v is missing" },
	{ "no tags", " hello", NULL, DKIM_R_SYNTAX, "has no \"=\"" },
	{ "no v=", " a=rsa-sha256; d=a.example; s=rsa; h=From" SIGNED, NULL, DKIM_R_SYNTAX,
	    "tag v is missing" },
	{ "v=2", " v=2; a=rsa-sha256; d=a.example; s=rsa; h=From" SIGNED, NULL, DKIM_R_VERSION,
	    "" },
	{ "twice", R "; d=a.example" SIGNED, NULL, DKIM_R_SYNTAX, "tag d occurs twice" },
	{ "no a=", " v=1; d=a.example; s=rsa; h=From" SIGNED, NULL, DKIM_R_SYNTAX,
	    "tag a is missing" },
	{ "no d=", " v=1; a=rsa-sha256; s=rsa; h=From" SIGNED, NULL, DKIM_R_SYNTAX,
	    "tag d is missing" },
	{ "no s=", " v=1; a=rsa-sha256; d=a.example; h=From" SIGNED, NULL, DKIM_R_SYNTAX,
	    "tag s is missing" },
	{ "no h=", " v=1; a=rsa-sha256; d=a.example; s=rsa" SIGNED, NULL, DKIM_R_SYNTAX,
	    "tag h is missing" },
	{ "no bh=", R "; b=@B@", NULL, DKIM_R_SYNTAX, "tag bh is missing" },
	{ "no b=", R "; bh=@BH@", NULL, DKIM_R_SYNTAX, "tag b is missing" },
	{ "b= empty", R "; bh=@BH@; b=", NULL, DKIM_R_SYNTAX, "tag b is empty" },
	{ "b= no base64", R "; bh=@BH@; b=***", NULL, DKIM_R_SYNTAX, "tag b is not base64" },
	{ "c= unknown", R "; c=nofws" SIGNED, NULL, DKIM_R_SYNTAX, "tag c names" },
	{ "q= unknown", R "; q=http" SIGNED, NULL, DKIM_R_SYNTAX, "tag q names" },
	{ "l= negative", R "; l=-1" SIGNED, NULL, DKIM_R_SYNTAX, "tag l is not a number" },
	{ "t= no number", R "; t=now" SIGNED, NULL, DKIM_R_SYNTAX, "tag t is not" },
	{ "d= no domain", " v=1; a=rsa-sha256; d=a..b; s=rsa; h=From" SIGNED, NULL, DKIM_R_SYNTAX,
	    "tag d has an empty label" },
	{ "d= no host name", " v=1; a=rsa-sha256; d=bank.example(.a.example; s=rsa; h=From" SIGNED,
	    NULL, DKIM_R_SYNTAX, "tag d has a byte that no host name" },
	{ "algorithm", " v=1; a=falcon-sha256; d=a.example; s=rsa; h=From" SIGNED, NULL,
	    DKIM_R_ALGORITHM, "" },
	{ "rsa-sha1, RFC 8301", " v=1; a=rsa-sha1; d=a.example; s=rsa; h=From" SIGNED, NULL,
	    DKIM_R_SHA1, "" },
	{ "From not signed", " v=1; a=rsa-sha256; d=a.example; s=rsa; h=To" SIGNED, NULL,
	    DKIM_R_FROM, "" },
	{ "i= elsewhere", R "; i=@b.example" SIGNED, NULL, DKIM_R_IDENTITY, "" },
	{ "i= above", R "; i=@example" SIGNED, NULL, DKIM_R_IDENTITY, "" },
	{ "i= looks like", R "; i=@evila.example" SIGNED, NULL, DKIM_R_IDENTITY, "" },
	{ "i= without @", R "; i=a.example" SIGNED, NULL, DKIM_R_SYNTAX, "tag i has no" },
	{ "i= folded anywhere", R "; i=us\r\n\ter=4\r\n 0a.exa\r\n mple" SIGNED, NULL, DKIM_R_NONE,
	    "" },
	{ "i= no domain", R "; i=@" SIGNED, NULL, DKIM_R_SYNTAX, "the domain of tag i is empty" },

	/* RFC 6376 3.5: t= and x= */
	{ "expires now", R "; x=1000000" SIGNED, NULL, DKIM_R_NONE, "" },
	{ "expired", R "; x=999999" SIGNED, NULL, DKIM_R_EXPIRED, "1 seconds ago" },
	{ "x= not after t=", R "; t=2000000; x=2000000" SIGNED, NULL, DKIM_R_SYNTAX,
	    "tag x is not after tag t" },
	{ "in the future by the skew", R "; t=1000300" SIGNED, NULL, DKIM_R_NONE, "" },
	{ "in the future", R "; t=1000301" SIGNED, NULL, DKIM_R_FUTURE, "301 seconds" },
	{ "in all future", R "; t=9999999999999" SIGNED, NULL, DKIM_R_FUTURE, "" },
	{ "for ever", R "; x=9999999999999999999999" SIGNED, NULL, DKIM_R_NONE, "" },

	/* RFC 6376 3.5: l= */
	{ "l=0", R "; l=0" SIGNED, NULL, DKIM_R_NONE, "" },
	{ "l= all", R "; l=19" SIGNED, NULL, DKIM_R_NONE, "" },
	{ "l= more", R "; l=20" SIGNED, NULL, DKIM_R_LENGTH, "l=20, the canonical body has 19" },
	{ "l= beyond all", R "; l=99999999999999999999999" SIGNED, NULL, DKIM_R_LENGTH, "" },
	{ "bh= of another size", R "; bh=AAAA; b=@B@", NULL, DKIM_R_BODY_HASH, "holds 3 bytes" },

	/* RFC 6376 6.1.2 */
	{ "no key", S("none") SIGNED, NULL, DKIM_R_NO_KEY, "none._domainkey.a.example: nxdomain" },
	{ "no answer", S("slow") SIGNED, NULL, DKIM_R_KEY_LOOKUP,
	    "slow._domainkey.a.example: timed out" },
	{ "record of nonsense", X SIGNED, "nonsense", DKIM_R_KEY_SYNTAX,
	    "x._domainkey.a.example: " },
	{ "revoked", X SIGNED, "v=DKIM1; p=", DKIM_R_KEY_REVOKED, "tag p is empty" },
	{ "k= other", X SIGNED, "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
	    DKIM_R_KEY_MISMATCH, "algorithm" },
	{ "h= without sha256", X SIGNED, "h=sha1; p=@", DKIM_R_KEY_MISMATCH, "tag h" },
	{ "s= for others", X SIGNED, "s=other; p=@", DKIM_R_KEY_MISMATCH, "tag s" },
	{ "t=s and i= below", X "; i=@sub.a.example" SIGNED, "t=s; p=@", DKIM_R_KEY_MISMATCH,
	    "t=s" },
	{ "t=s and i= the same", X "; i=x@A.example" SIGNED, "t=s; p=@", DKIM_R_NONE, "" },
	{ "t=y changes nothing", X SIGNED, "t=y; p=@", DKIM_R_NONE, "" },
	{ "512 bits, RFC 8301", S("small") SIGNED, NULL, DKIM_R_KEY_SHORT, "RSA key of 512" },
	{ "Ed25519 asked of an RSA key",
	    " v=1; a=ed25519-sha256; d=a.example; h=From; s=rsa" SIGNED, NULL, DKIM_R_KEY_MISMATCH,
	    "algorithm" },

	/* RFC 6376 6.1.3 */
	{ "bh= of another body", R "; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=@B@", NULL,
	    DKIM_R_BODY_HASH, "of all its 19 canonical bytes" },
	{ "bh= of another body, l=",
	    R "; l=4; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=@B@", NULL,
	    DKIM_R_BODY_HASH, "within its first 4" },
	{ "b= of something else", R "; bh=@BH@; b=AAAA", NULL, DKIM_R_SIGNATURE, "" },
};

static void
one_rule_each(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena *a = arena_new(TEXT_MAX);
		struct dkim_verdict got;
		const struct dkim_signature_verdict *s;
		struct test_message m;
		struct world w;

		world_open(&w, dkim_lab_zone(a, rows[i].record));
		test_message_read(a, slice_str(dkim_lab_message), &m);
		dkim_lab_prepend(a, &m, "DKIM-Signature", dkim_lab_sign(a, rows[i].template, &m));
		dkim_lab_verify(&w, &m, 3, &got);
		assert_int_equal(got.count, 1);
		s = &got.signatures[0];
		if (s->reason != rows[i].want || s->result != dkim_reason_result(rows[i].want) ||
		    strstr(arena_str(a, s->detail), rows[i].says) == NULL)
			fail_msg("%s:\n got  %s: %s (%.*s)\n want %s: %s (%s)", rows[i].name,
			    dkim_result_word(s->result), dkim_reason_text(s->reason),
			    SLICE_ARG(s->detail),
			    dkim_result_word(dkim_reason_result(rows[i].want)),
			    dkim_reason_text(rows[i].want), rows[i].says);
		world_close(&w);
		arena_free(&a);
	}
}

/* What the verdict shows of a signature, good or not. */
static void
shown(void **state)
{
	struct arena *a = arena_new(TEXT_MAX);
	struct dkim_verdict got;
	const struct dkim_signature_verdict *s;
	struct test_message m;
	struct world w;

	(void)state;
	world_open(&w, dkim_lab_zone(a, "v=DKIM1; t=y; p=@"));
	test_message_read(a, slice_str(dkim_lab_message), &m);
	dkim_lab_prepend(a, &m, "DKIM-Signature",
	    SLICE(" a=rsa-\r\n sha256; d=A.Example; s=no where; c=relaxed; b=12 34 56 789"));
	dkim_lab_prepend(a, &m, "dkim-signature",
	    dkim_lab_sign(
		a, " v=1; a=rsa-sha256; d=A.example; s=x; h=From; l=4; c=relaxed" SIGNED, &m));
	dkim_lab_verify(&w, &m, 1000, &got);
	assert_int_equal(got.count, 2);
	s = &got.signatures[0];
	assert_int_equal(s->result, DKIM_PASS);
	assert_int_equal(s->field, 0);
	assert_slice(s->domain, "a.example");
	assert_slice(s->selector, "x");
	assert_slice(s->identity, "@a.example");
	assert_slice(s->algorithm, "rsa-sha256");
	assert_slice(s->canonicalization, "relaxed/simple");
	assert_int_equal(s->header_b.len, 8);
	assert_int_equal(s->key_bits, 1024);
	assert_true(s->key_testing);
	assert_true(s->body_length_limited);
	assert_int_equal(s->body_length, 4);
	s = &got.signatures[1];
	assert_int_equal(s->result, DKIM_PERMERROR);
	assert_int_equal(s->field, 1);
	assert_slice(s->domain, "a.example");
	assert_slice(s->selector, "nowhere");
	assert_slice(s->algorithm, "rsa-sha256");
	assert_slice(s->header_b, "12345678");
	world_close(&w);
	arena_free(&a);
}

/* ---- several signatures ---- */

/* PITFALLS 19: each its own digest; the body may be skipped only when none needs more. */
static void
lengths_beside_each_other(void **state)
{
	static const char *const lengths[] = { "; l=2", "; l=10", "", "; l=2" };
	struct arena *a = arena_new(TEXT_MAX);
	struct test_message m;
	struct dkim_verdict got;
	struct world w;

	(void)state;
	world_open(&w, dkim_lab_zone(a, NULL));
	test_message_read(a, slice_str(dkim_lab_message), &m);
	for (size_t i = 0; i < COUNT(lengths); i++)
		dkim_lab_prepend(a, &m, "DKIM-Signature",
		    dkim_lab_sign(a, arena_printf(a, R "%s" SIGNED, lengths[i]), &m));
	for (size_t piece = 1; piece < 30; piece += 4) {
		dkim_lab_verify(&w, &m, piece, &got);
		assert_int_equal(got.count, COUNT(lengths));
		for (size_t i = 0; i < got.count; i++)
			assert_int_equal(got.signatures[i].result, DKIM_PASS);
	}
	world_close(&w);
	arena_free(&a);
}

static void
skips_the_rest(void **state)
{
	struct arena *a = arena_new(TEXT_MAX);
	struct dkim_verifier *v;
	struct dkim_verdict got;
	struct test_message m;
	struct world w;

	(void)state;
	world_open(&w, dkim_lab_zone(a, NULL));
	test_message_read(a, slice_str(dkim_lab_message), &m);
	v = dkim_verifier_new(
	    w.arena, w.crypto, w.lookups, &dkim_lab_options, &m.header, NULL, 0, DKIM_LAB_NOW_S);
	assert_false(dkim_verifier_body(v, m.body)); /* nobody wants it */
	dkim_verifier_finish(v, &got);
	assert_int_equal(got.count, 0);
	dkim_verifier_fini(&v);

	dkim_lab_prepend(a, &m, "DKIM-Signature", dkim_lab_sign(a, R "; l=6" SIGNED, &m));
	dkim_lab_prepend(
	    a, &m, "DKIM-Signature", dkim_lab_sign(a, R "; l=8; c=simple/relaxed" SIGNED, &m));
	v = dkim_verifier_new(
	    w.arena, w.crypto, w.lookups, &dkim_lab_options, &m.header, NULL, 0, DKIM_LAB_NOW_S);
	assert_true(dkim_verifier_body(v, slice_sub(m.body, 0, 8)));
	assert_false(dkim_verifier_body(v, slice_sub(m.body, 8, 6)));
	dkim_verifier_finish(v, &got);
	assert_int_equal(got.signatures[0].result, DKIM_PASS);
	assert_int_equal(got.signatures[1].result, DKIM_PASS);
	dkim_verifier_fini(&v);
	world_close(&w);
	arena_free(&a);
}

/* PITFALLS 23: others' signatures on top don't push the author's out. */
static void
aligned_first(void **state)
{
	struct arena *a = arena_new(TEXT_MAX);
	struct test_message m;
	struct dkim_verdict got;
	size_t skipped = 0;
	struct world w;

	(void)state;
	world_open(&w, dkim_lab_zone(a, NULL));
	test_message_read(a, slice_str(dkim_lab_message), &m);
	dkim_lab_prepend(a, &m, "DKIM-Signature", dkim_lab_sign(a, R SIGNED, &m));
	dkim_lab_prepend(a, &m, "DKIM-Signature",
	    dkim_lab_sign(a, " v=1; a=rsa-sha256; d=sub.a.example; s=rsa; h=From" SIGNED, &m));
	for (size_t i = 0; i < 20; i++)
		dkim_lab_prepend(a, &m, "DKIM-Signature",
		    dkim_lab_sign(a, " v=1; a=rsa-sha256; d=b.example; s=rsa; h=From" SIGNED, &m));
	dkim_lab_prepend(a, &m, "DKIM-Signature", SLICE(" broken"));
	dkim_lab_verify(&w, &m, 1000, &got);
	assert_int_equal(got.count, 23);
	assert_int_equal(got.signatures[22].result, DKIM_PASS);
	assert_int_equal(got.signatures[21].result, DKIM_PASS);
	for (size_t i = 1; i < 21; i++) {
		/* A broken signature takes nobody's place: six of these are verified. */
		bool chosen = i <= 6;

		assert_int_equal(got.signatures[i].reason, chosen ? DKIM_R_NONE : DKIM_R_SKIPPED);
		assert_int_equal(got.signatures[i].result, chosen ? DKIM_PASS : DKIM_POLICY);
		skipped += !chosen;
	}
	assert_int_equal(skipped, 14);
	world_close(&w);
	arena_free(&a);
}

/* PITFALLS 23: nor that of the author's organization, which has another name below it. */
static void
siblings_before_strangers(void **state)
{
	const struct slice author = SLICE("news.a.example");
	struct arena *a = arena_new(TEXT_MAX);
	struct test_message m;
	struct dkim_verdict got;
	struct dkim_verifier *v;
	struct world w;

	(void)state;
	world_open(&w, dkim_lab_zone(a, NULL));
	test_message_read(a, slice_str(dkim_lab_message), &m);
	dkim_lab_prepend(a, &m, "DKIM-Signature",
	    dkim_lab_sign(a, " v=1; a=rsa-sha256; d=sub.a.example; s=rsa; h=From" SIGNED, &m));
	for (size_t i = 0; i < 20; i++)
		dkim_lab_prepend(a, &m, "DKIM-Signature",
		    dkim_lab_sign(a, " v=1; a=rsa-sha256; d=b.example; s=rsa; h=From" SIGNED, &m));
	v = dkim_verifier_new(
	    w.arena, w.crypto, w.lookups, &dkim_lab_options, &m.header, &author, 1, DKIM_LAB_NOW_S);
	(void)dkim_verifier_body(v, m.body);
	dkim_verifier_finish(v, &got);
	assert_int_equal(got.signatures[20].result, DKIM_PASS);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(got.signatures[i].result, i < 7 ? DKIM_PASS : DKIM_POLICY);
	dkim_verifier_fini(&v);
	world_close(&w);
	arena_free(&a);
}

static void
too_many_fields(void **state)
{
	struct arena *a = arena_new(TEXT_MAX);
	struct test_message m;
	struct dkim_verdict got;
	struct world w;

	(void)state;
	world_open(&w, dkim_lab_zone(a, NULL));
	test_message_read(a, slice_str(dkim_lab_message), &m);
	for (size_t i = 0; i < LIMIT_DKIM_FIELDS + 5; i++)
		header_list_add(&m.header, a, SLICE("DKIM-Signature"), SLICE(" v=1"));
	dkim_lab_verify(&w, &m, 1000, &got);
	assert_int_equal(got.count, LIMIT_DKIM_FIELDS);
	assert_int_equal(got.ignored, 5);
	world_close(&w);
	arena_free(&a);
}

/* RFC 6008 4: as much of b= as it takes. */
static void
labels_tell_apart(void **state)
{
	static const struct {
		const char *field, *want;
	} cases[] = {
		{ " b=AAAAAAAAAAAA1zzz", "AAAAAAAAAAAA1" },
		{ " b=AAAAAAAAAAAA2zzz", "AAAAAAAAAAAA2" },
		{ " b=AAAABBBBCCCC", "AAAABBBB" },
		{ " b=short", "short" },
		{ " v=1", "" },
	};
	struct arena *a = arena_new(TEXT_MAX);
	struct test_message m = { 0 };
	struct dkim_verdict got;
	struct world w;

	(void)state;
	world_open(&w, NULL);
	for (size_t i = 0; i < COUNT(cases); i++)
		header_list_add(&m.header, a, SLICE("DKIM-Signature"), slice_str(cases[i].field));
	dkim_lab_verify(&w, &m, 1000, &got);
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_slice(got.signatures[i].header_b, cases[i].want);
	world_close(&w);
	arena_free(&a);
}

/* A signature that covers another one, each with its own field left out of its own header digest.
 */
static void
signature_over_signature(void **state)
{
	struct arena *a = arena_new(TEXT_MAX);
	struct test_message m;
	struct dkim_verdict got;
	struct world w;

	(void)state;
	world_open(&w, dkim_lab_zone(a, NULL));
	test_message_read(a, slice_str(dkim_lab_message), &m);
	dkim_lab_prepend(a, &m, "DKIM-Signature", dkim_lab_sign(a, R SIGNED, &m));
	dkim_lab_prepend(a, &m, "DKIM-Signature",
	    dkim_lab_sign(a, R ":DKIM-Signature:DKIM-Signature; c=relaxed" SIGNED, &m));
	dkim_lab_verify(&w, &m, 1000, &got);
	assert_int_equal(got.signatures[0].result, DKIM_PASS);
	assert_int_equal(got.signatures[1].result, DKIM_PASS);
	world_close(&w);
	arena_free(&a);
}

static void
words(void **state)
{
	(void)state;
	assert_string_equal(dkim_result_word(DKIM_POLICY), "policy");
	for (int r = DKIM_R_NONE + 1; r <= DKIM_R_SKIPPED; r++) {
		assert_true(strlen(dkim_reason_text((enum dkim_reason)r)) > 0);
		assert_int_not_equal(dkim_reason_result((enum dkim_reason)r), DKIM_PASS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_rule_each),
		cmocka_unit_test(shown),
		cmocka_unit_test(lengths_beside_each_other),
		cmocka_unit_test(skips_the_rest),
		cmocka_unit_test(aligned_first),
		cmocka_unit_test(siblings_before_strangers),
		cmocka_unit_test(too_many_fields),
		cmocka_unit_test(labels_tell_apart),
		cmocka_unit_test(signature_over_signature),
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests_name("dkim", tests, dkim_lab_open, dkim_lab_close);
}
