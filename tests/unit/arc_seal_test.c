/* SPDX-License-Identifier: BSD-2-Clause */
/* What is sealed here is a chain that passes, until somebody breaks it; and what an earlier hop
 * wrote. */
#include <string.h>

#include "policy/arc/seal.h"
#include "policy/base/strbuf.h"
#include "policy/crypto/private_key.h"
#include "policy/own_results.h"
#include "policy/syntax/base64.h"
#include "tests/support/support.h"

#define NOW 1790000000

static const struct arc_options options = { .min_rsa_bits = 1024, .clock_skew_s = 300 };
static const struct slice signed_names[] = { SLICE("Subject"), SLICE("Received"),
	SLICE("Authentication-Results"), SLICE("ARC-Seal") };

struct lab {
	struct world w;
	struct key_ring *ring;
	struct key_holder holder;
	struct arc_seal_job job;
	struct header_list header;
};

static void
open_lab(struct lab *l)
{
	struct private_key *key = private_key_generate(KEY_ED25519, 0);
	struct arena *a = arena_new(1 << 20);

	*l = (struct lab){ 0 };
	world_open(&l->w,
	    arena_printf(a, "s._domainkey.list.example TXT 300 \"v=DKIM1; k=ed25519; p=%s\"\n",
		base64_encode(a, private_key_public(a, key)).p));
	arena_free(&a);
	l->ring = key_ring_new(l->w.crypto);
	(void)key_ring_add(l->ring, key);
	l->holder = key_ring_holder(l->ring);
	l->job = (struct arc_seal_job){ .crypto = l->w.crypto,
		.holder = &l->holder,
		.key = { SLICE("list.example"), SLICE("s"), KEY_ED25519, 0 },
		.fields = { .oversign = signed_names, .oversign_count = 4 },
		.now_s = NOW };
	header_list_add(&l->header, l->w.arena, SLICE("Received"), SLICE(" from x by y; z"));
	header_list_add(&l->header, l->w.arena, SLICE("DKIM-Signature"), SLICE(" v=1; x"));
	header_list_add(&l->header, l->w.arena, SLICE("From"), SLICE(" a@a.example"));
}

static void
close_lab(struct lab *l)
{
	key_ring_free(&l->ring);
	world_close(&l->w);
}

static void
prepend(struct lab *l, const char *name, struct slice value)
{
	struct header_list list = { 0 };

	header_list_add(&list, l->w.arena, slice_str(name), value);
	for (size_t i = 0; i < l->header.count; i++)
		header_list_add(
		    &list, l->w.arena, l->header.fields[i].name, l->header.fields[i].value);
	l->header = list;
}

/* NULL, or why there is no new set; otherwise it is on top. */
static const char *
seal(struct lab *l, enum arc_result found, const char *body, struct arc_sealed *set)
{
	struct arc_sealer *s = arc_sealer_new(l->w.arena, &l->job, &l->header);
	const char *error = NULL;

	for (const char *p = body; *p != '\0'; p++)
		arc_sealer_body(s, slice_of(p, 1));
	if (arc_sealer_finish(s, found,
		SLICE("list.example; dmarc=pass\r\n\theader.from=a.example"), set, &error) == 0) {
		prepend(l, "ARC-Authentication-Results", set->results);
		prepend(l, "ARC-Message-Signature", set->message);
		prepend(l, "ARC-Seal", set->seal);
	}
	arc_sealer_fini(&s);
	assert_null(s);
	arc_sealer_fini(&s);
	return error;
}

static struct arc_verdict
validate_at(struct lab *l, const char *body, int64_t now_s)
{
	struct arc_verifier *v = arc_verifier_new(
	    l->w.arena, l->w.crypto, l->w.lookups, &options, &l->header, now_s, NULL);
	struct arc_verdict verdict;

	(void)arc_verifier_body(v, slice_str(body));
	arc_verifier_finish(v, &verdict);
	arc_verifier_fini(&v);
	return verdict;
}

static struct arc_verdict
validate(struct lab *l, const char *body)
{
	return validate_at(l, body, NOW);
}

/* RFC 6376 3.5: t= in the future, by more than clocks differ. */
static void
times(void **state)
{
	struct arc_sealed set;
	struct lab l;

	(void)state;
	open_lab(&l);
	assert_null(seal(&l, ARC_NONE, "x\r\n", &set));
	assert_int_equal(validate_at(&l, "x\r\n", NOW - 301).result, ARC_FAIL);
	assert_int_equal(validate_at(&l, "x\r\n", NOW - 300).result, ARC_PASS);
	assert_int_equal(validate_at(&l, "x\r\n", 0).result, ARC_FAIL);
	assert_int_equal(validate_at(&l, "x\r\n", INT64_MAX).result, ARC_PASS);
	close_lab(&l);
}

/* RFC 8617 4.2.1: fifty hops that each change the body; the fifty-first adds nothing. */
static void
fifty_hops(void **state)
{
	struct lab l;
	struct arc_sealed set;
	const char *body = "hello\r\n";

	(void)state;
	open_lab(&l);
	for (uint32_t i = 1; i <= 50; i++) {
		struct arc_verdict v;

		body = arena_printf(l.w.arena, "%shop %u\r\n", body, i);
		assert_null(seal(&l, i == 1 ? ARC_NONE : ARC_PASS, body, &set));
		v = validate(&l, body);
		if (v.result != ARC_PASS || v.instances != i ||
		    v.oldest_pass != (i == 1 ? 0 : (int)i))
			fail_msg("hop %u: %s, oldest-pass %d, %.*s", i, arc_result_word(v.result),
			    v.oldest_pass, SLICE_ARG(v.reason));
		assert_true(v.covers_author);
		assert_slice(v.seals[i - 1].domain, "list.example");
		assert_slice(v.seals[0].results,
		    " i=1; list.example; dmarc=pass\r\n\theader.from=a.example");
	}
	assert_string_equal(
	    seal(&l, ARC_PASS, body, &set), "the chain has as many sets as it may have");
	close_lab(&l);
}

/* Fifty signatures and fifty seals over one long field: no room for each, or a message of one
 * megabyte would take a hundred. */
static void
long_field_takes_room_once(void **state)
{
	enum { LONG = 100000 };
	struct lab l;
	struct arc_sealed set;
	char *subject;
	size_t used;

	(void)state;
	open_lab(&l);
	subject = arena_alloc(l.w.arena, LONG);
	memset(subject, 'x', LONG);
	prepend(&l, "Subject", slice_of(subject, LONG));
	for (uint32_t i = 1; i <= 50; i++)
		assert_null(seal(&l, i == 1 ? ARC_NONE : ARC_PASS, "x\r\n", &set));
	used = arena_used(l.w.arena);
	assert_int_equal(validate(&l, "x\r\n").oldest_pass, 0);
	assert_in_range(arena_used(l.w.arena) - used, 1, 10 * LONG);
	close_lab(&l);
}

/* RFC 8617 5.1.2, 5.1 step 2: sealed once more, over its own set, and then never again. */
static void
failed_chain(void **state)
{
	struct lab l;
	struct arc_sealed set;

	(void)state;
	open_lab(&l);
	assert_null(seal(&l, ARC_NONE, "one\r\n", &set));
	assert_int_equal(set.cv, ARC_NONE);
	assert_int_equal(validate(&l, "two\r\n").result, ARC_FAIL);
	assert_null(seal(&l, ARC_FAIL, "two\r\n", &set));
	assert_int_equal(set.cv, ARC_FAIL);
	assert_int_equal(set.instance, 2);
	assert_int_equal(validate(&l, "two\r\n").result, ARC_FAIL);
	assert_string_equal(
	    seal(&l, ARC_FAIL, "two\r\n", &set), "the chain is marked as failed already");
	close_lab(&l);
}

static void
odd_headers(void **state)
{
	static const struct {
		const char *name, *value; /* put on top */
		enum arc_result found;
		enum arc_result cv;
		uint32_t instance; /* 0: left alone */
	} cases[] = {
		{ "X", " y", ARC_PASS, ARC_NONE, 1 }, /* no chain, whatever was found */
		{ "ARC-Seal", " i=7; cv=pass; junk", ARC_PASS, ARC_FAIL, 8 },
		{ "ARC-Seal", " i=7; cv= fail ; junk", ARC_FAIL, ARC_NONE, 0 },
		{ "ARC-Seal", " i=50; cv=pass", ARC_FAIL, ARC_NONE, 0 },
		{ "ARC-Seal", " i=999; cv=pass", ARC_FAIL, ARC_NONE, 0 },
		{ "ARC-Seal", " junk", ARC_FAIL, ARC_NONE, 1 },
		{ "ARC-Authentication-Results", " (c) i=3; x; none", ARC_PASS, ARC_FAIL, 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab l;
		struct arc_sealed set;
		const char *error;

		open_lab(&l);
		prepend(&l, cases[i].name, slice_str(cases[i].value));
		error = seal(&l, cases[i].found, "x\r\n", &set);
		if ((error == NULL) != (cases[i].instance > 0) ||
		    (error == NULL && (set.instance != cases[i].instance || set.cv != cases[i].cv)))
			fail_msg("%s:%s: %s", cases[i].name, cases[i].value,
			    error != NULL ? error : arc_result_word(set.cv));
		close_lab(&l);
	}
}

/* A field that only looks like one of ARC's is no set, nor does it keep us from adding one. */
static void
foreign_fields(void **state)
{
	static const struct {
		const char *name, *value;
	} cases[] = {
		{ "ARC-Foo", " i=7; cv=pass" },
		{ "ARC-Seal-Comment", " i=1; cv=fail" },
		{ "ARC-", " i=50; cv=fail" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab l;
		struct arc_sealed set;

		open_lab(&l);
		assert_null(seal(&l, ARC_NONE, "x\r\n", &set));
		prepend(&l, cases[i].name, slice_str(cases[i].value));
		assert_null(seal(&l, validate(&l, "x\r\n").result, "x\r\n", &set));
		assert_int_equal(set.instance, 2);
		assert_int_equal(set.cv, ARC_PASS);
		assert_int_equal(validate(&l, "x\r\n").result, ARC_PASS);
		close_lab(&l);
	}
}

/* RFC 5322 4.5: blanks before the colon belong to no name. */
static void
blanks_before_the_colon(void **state)
{
	static const char *const lone[] = { "ARC-Seal ", "ARC-Message-Signature \t",
		"ARC-Authentication-Results " };
	struct arc_sealed set;
	struct lab l;

	(void)state;
	for (size_t i = 0; i < sizeof(lone) / sizeof(lone[0]); i++) {
		open_lab(&l);
		prepend(&l, lone[i], SLICE(" i=1; cv=none"));
		assert_int_equal(validate(&l, "x\r\n").result, ARC_FAIL);
		close_lab(&l);
	}
	open_lab(&l);
	assert_null(seal(&l, ARC_NONE, "x\r\n", &set));
	l.header.fields[0].name = SLICE("ARC-Seal ");
	l.header.fields[1].name = SLICE("ARC-Message-Signature ");
	l.header.fields[2].name = SLICE("ARC-Authentication-Results\t");
	assert_int_equal(validate(&l, "x\r\n").result, ARC_PASS);
	assert_null(seal(&l, ARC_PASS, "x\r\n", &set));
	assert_int_equal(set.instance, 2);
	assert_int_equal(validate(&l, "x\r\n").result, ARC_PASS);
	close_lab(&l);
}

/* RFC 8617 4.1.2: what must be in h=, and what must not. */
static void
signed_fields(void **state)
{
	struct lab l;
	struct arc_sealed set;
	struct slice h;

	(void)state;
	open_lab(&l);
	assert_null(seal(&l, ARC_NONE, "", &set));
	h = sig_squeeze(l.w.arena, sig_raw_tag(set.message, "h"));
	assert_slice(h, "Subject:From:DKIM-Signature");
	l.header = (struct header_list){ 0 };
	header_list_add(&l.header, l.w.arena, SLICE("To"), SLICE(" x"));
	assert_string_equal(seal(&l, ARC_NONE, "", &set), "there is no From to be signed");
	close_lab(&l);
}

static void
earlier_results(void **state)
{
	static const struct {
		const char *fields[3];
		const char *text; /* "": none */
		bool has_arc;
		enum arc_result arc;
	} cases[] = {
		{ { " mx.example; spf=pass (a;b) smtp.mailfrom=x" },
		    "mx.example; spf=pass (a;b) "
		    "smtp.mailfrom=x",
		    false, 0 },
		{ { " MX.example 1; arc=pass", " other.example; spf=fail",
		      " \"alias.example\" (x;y) 1 ; dmarc=pass " },
		    "mx.example; arc=pass; dmarc=pass", true, ARC_PASS },
		{ { " mx.example; arc=fail; arc=pass" }, "mx.example; arc=fail; arc=pass", true,
		    ARC_FAIL },
		{ { " mx.example.evil; arc=pass" }, "", false, 0 },
		{ { " mx.example; none" }, "", false, 0 },
		{ { " mx.example; arc=pass (", " mx.example" }, "", false, 0 },
	};
	static const struct slice ids[] = { SLICE("mx.example"), SLICE("alias.example") };
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct header_list header = { 0 };
		struct own_results got;

		for (size_t k = 0; k < 3 && cases[i].fields[k] != NULL; k++)
			header_list_add(&header, a, SLICE("Authentication-Results"),
			    slice_str(cases[i].fields[k]));
		own_results_find(a, &header, ids, 2, &got);
		assert_slice(got.text, cases[i].text);
		assert_int_equal(got.has_arc, cases[i].has_arc);
		if (got.has_arc)
			assert_int_equal(got.arc, cases[i].arc);
	}
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times),
		cmocka_unit_test(fifty_hops),
		cmocka_unit_test(long_field_takes_room_once),
		cmocka_unit_test(failed_chain),
		cmocka_unit_test(odd_headers),
		cmocka_unit_test(foreign_fields),
		cmocka_unit_test(blanks_before_the_colon),
		cmocka_unit_test(signed_fields),
		cmocka_unit_test(earlier_results),
	};

	return cmocka_run_group_tests_name("arc_seal", tests, NULL, NULL);
}
