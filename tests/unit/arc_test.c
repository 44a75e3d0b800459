/* SPDX-License-Identifier: BSD-2-Clause */
/* Chains sealed here, by code that shares nothing with policy/arc, then kept or broken. RFC 8617.
 */
#include <string.h>

#include "policy/arc/arc.h"
#include "policy/base/strbuf.h"
#include "policy/sig/sig.h"
#include "policy/syntax/base64.h"
#include "tests/support/dkim_signer.h"
#include "tests/support/support.h"

#define NOW  1790000000
#define BODY "Hello\r\n"

static const struct arc_options options = { .min_rsa_bits = 1024, .clock_skew_s = 300 };

struct chain {
	struct world world;
	struct test_key *key;
	struct header_list header;
};

static void
chain_open(struct chain *c, struct test_key *key)
{
	struct arena *a = arena_new(SIZE_MAX);

	*c = (struct chain){ .key = key };
	world_open(&c->world,
	    arena_printf(a, "%s\nslow._domainkey.s.example TXT 300 !TIMEOUT\n",
		test_zone_txt(a, "sel._domainkey.s.example", test_key_record(a, key)).p));
	arena_free(&a);
	header_list_add(&c->header, c->world.arena, SLICE("From"), SLICE(" a@a.example"));
	header_list_add(&c->header, c->world.arena, SLICE("Subject"), SLICE(" x"));
}

static void
add(struct chain *c, const char *name, const char *value)
{
	header_list_add(&c->header, c->world.arena, slice_str(name), slice_str(value));
}

/* The fields of a set that are there already, relaxed, each with CRLF (RFC 8617 5.1.1). */
static void
add_sealed(struct chain *c, struct strbuf *b, uint32_t instance)
{
	static const char *const names[] = { "ARC-Authentication-Results", "ARC-Message-Signature",
		"ARC-Seal" };
	const char *tag = arena_printf(c->world.arena, " i=%u;", instance);

	for (size_t n = 0; n < 3; n++) {
		for (size_t i = 0; i < c->header.count; i++) {
			const struct header_field *f = &c->header.fields[i];

			if (!slice_equal(f->name, slice_str(names[n])) ||
			    !slice_starts(f->value, slice_str(tag)))
				continue;
			strbuf_add(b, test_canon_field(c->world.arena, true, f->name, f->value));
			strbuf_str(b, "\r\n");
		}
	}
}

struct seal {					/* what is odd about a set */
	const char *cv;				/* NULL: as it must be */
	const char *message_extra, *seal_extra; /* further tags, "x=1; " */
	const char *selector;			/* NULL: sel */
	const char *results;			/* NULL: "i=N; ..." */
	const char *names;			/* h=; NULL: From:Subject */
	bool own_only;				/* the seal covers its own set alone */
};

/* Add set number instance. */
static void
seal(struct chain *c, uint32_t instance, const struct seal *odd)
{
	struct arena *a = c->world.arena;
	const char *selector = odd->selector == NULL ? "sel" : odd->selector;
	const char *cv = odd->cv != NULL ? odd->cv : instance == 1 ? "none" : "pass";
	const char *unsigned_seal;
	struct slice field;
	struct strbuf sealed;
	uint8_t digest[SHA256_BYTES];

	add(c, "ARC-Authentication-Results",
	    odd->results != NULL ? odd->results
				 : arena_printf(a, " i=%u; s.example; dmarc=pass", instance));
	field = test_sign(a, c->key, "ARC-Message-Signature",
	    slice_str(arena_printf(a,
		" i=%u; a=ed25519-sha256; c=relaxed/relaxed; d=s.example; s=%s; %sh=%s; "
		"bh=@BH@; b=@B@",
		instance, selector, odd->message_extra != NULL ? odd->message_extra : "",
		odd->names != NULL ? odd->names : "From:Subject")),
	    &c->header, SLICE(BODY));
	header_list_add(&c->header, a, SLICE("ARC-Message-Signature"), field);

	unsigned_seal = arena_printf(a,
	    " i=%u; a=ed25519-sha256; cv=%s; d=s.example; s=%s; %sb=", instance, cv, selector,
	    odd->seal_extra != NULL ? odd->seal_extra : "");
	strbuf_init(&sealed, a, SIZE_MAX);
	for (uint32_t i = odd->own_only ? instance : 1; i <= instance; i++)
		add_sealed(c, &sealed, i);
	strbuf_add(&sealed, test_canon_field(a, true, SLICE("ARC-Seal"), slice_str(unsigned_seal)));
	test_sha256(strbuf_slice(&sealed), digest);
	add(c, "ARC-Seal",
	    arena_printf(
		a, "%s%s", unsigned_seal, base64_encode(a, test_key_sign(a, c->key, digest)).p));
}

/* bodies: as in arc_verifier_new(). */
static void
validate_by(struct chain *c, const char *body, struct sig_bodies *bodies, struct arc_verdict *out)
{
	struct arc_verifier *v = arc_verifier_new(
	    c->world.arena, c->world.crypto, c->world.lookups, &options, &c->header, NOW, bodies);

	if (bodies == NULL) {
		(void)arc_verifier_body(v, slice_str(body));
	} else {
		assert_false(arc_verifier_body(v, slice_str(body)));
		(void)sig_bodies_update(bodies, slice_str(body));
		sig_bodies_end(bodies);
	}
	arc_verifier_finish(v, out);
	arc_verifier_fini(&v);
}

/* With digests of its own, and with those of another verifier. */
static void
validate(struct chain *c, const char *body, struct arc_verdict *out)
{
	struct sig_bodies *shared = sig_bodies_new(c->world.arena, c->world.crypto);
	struct arc_verdict other;

	validate_by(c, body, NULL, out);
	validate_by(c, body, shared, &other);
	assert_int_equal(other.result, out->result);
	assert_int_equal(other.oldest_pass, out->oldest_pass);
	assert_true(slice_equal(other.reason, out->reason));
	sig_bodies_fini(&shared);
}

static const struct row {
	const char *name;
	uint32_t sets;
	uint32_t odd_set; /* 0: none */
	struct seal odd;
	const char *body;
	enum arc_result want;
	int oldest_pass;
	const char *reason; /* begins so */
} rows[] = {
	{ "no chain", 0, 0, { .cv = NULL }, BODY, ARC_NONE, -1, "" },
	{ "one set", 1, 0, { .cv = NULL }, BODY, ARC_PASS, 0, "" },
	{ "three sets", 3, 0, { .cv = NULL }, BODY, ARC_PASS, 0, "" },
	{ "fifty sets (4.2.1)", 50, 0, { .cv = NULL }, BODY, ARC_PASS, 0, "" },
	{ "another body", 2, 0, { .cv = NULL }, "Hallo\r\n", ARC_FAIL, -1,
	    "ARC-Message-Signature 2: body hash did not verify" },
	{ "first cv is not none (5.2 3C)", 1, 1, { .cv = "pass" }, BODY, ARC_FAIL, -1,
	    "ARC-Seal 1: cv=pass where none belongs" },
	{ "later cv is none", 2, 2, { .cv = "none" }, BODY, ARC_FAIL, -1, "ARC-Seal 2: cv=none" },
	{ "cv=fail (5.2 step 2)", 2, 2, { .cv = "fail" }, BODY, ARC_FAIL, -1,
	    "ARC-Seal 2: cv=fail" },
	{ "cv is nonsense", 1, 1, { .cv = "maybe" }, BODY, ARC_FAIL, -1,
	    "ARC-Seal: tag cv is not none, pass or fail" },
	{ "cv in capitals", 1, 1, { .cv = "NONE" }, BODY, ARC_PASS, 0, "" },
	{ "h= in the seal (4.1.3)", 1, 1, { .seal_extra = "h=From; " }, BODY, ARC_FAIL, -1,
	    "ARC-Seal: tag h has no place" },
	{ "unknown tags are ignored", 2, 2, { .seal_extra = "q9=x; ", .message_extra = "q9=x; " },
	    BODY, ARC_PASS, 0, "" },
	{ "the seal leaves earlier sets out", 2, 2, { .own_only = true }, BODY, ARC_FAIL, -1,
	    "ARC-Seal 2: signature did not verify" },
	{ "no key: permanent (5.2.1)", 1, 1, { .selector = "none" }, BODY, ARC_FAIL, -1,
	    "ARC-Message-Signature 1: no key record" },
	{ "time-out of the key: permanent too (5.2.1)", 1, 1, { .selector = "slow" }, BODY,
	    ARC_FAIL, -1, "ARC-Message-Signature 1: key lookup failed" },
	{ "results without an instance", 1, 1, { .results = " s.example; dmarc=pass" }, BODY,
	    ARC_FAIL, -1, "ARC-Authentication-Results: does not begin with an instance" },
	{ "results of instance 0", 1, 1, { .results = " i=0; s.example" }, BODY, ARC_FAIL, -1,
	    "ARC-Authentication-Results: does not begin" },
	{ "results of instance 51", 1, 1, { .results = " i=51; s.example" }, BODY, ARC_FAIL, -1,
	    "ARC-Authentication-Results: does not begin" },
	{ "an instance that wraps around", 1, 1, { .results = " i=4294967297; s.example" }, BODY,
	    ARC_FAIL, -1, "ARC-Authentication-Results: does not begin" },
	{ "results with comments before the instance", 1, 1,
	    { .results = " (x) i = 1 ; s.example" }, BODY, ARC_FAIL, -1,
	    "ARC-Seal 1: signature did not verify" }, /* add_sealed() misses it */
	{ "expired", 1, 1, { .message_extra = "t=1; x=2; " }, BODY, ARC_FAIL, -1,
	    "ARC-Message-Signature 1: expired" },
	{ "from the future", 1, 1, { .message_extra = "t=1790000301; " }, BODY, ARC_FAIL, -1,
	    "ARC-Message-Signature 1: signed in the future" },
	{ "l= behind the body", 1, 1, { .message_extra = "l=99; " }, BODY, ARC_FAIL, -1,
	    "ARC-Message-Signature 1: l= is more" },
	{ "l= of an older set is not looked at", 2, 1, { .message_extra = "l=7; " }, BODY, ARC_PASS,
	    2, "" },
};

static struct test_key *key;

static void
chains(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct chain c;
		struct arc_verdict got;

		chain_open(&c, key);
		for (uint32_t n = 1; n <= row->sets; n++)
			seal(&c, n, n == row->odd_set ? &row->odd : &(struct seal){ .cv = NULL });
		validate(&c, row->body, &got);
		if (got.result != row->want || got.oldest_pass != row->oldest_pass ||
		    !slice_starts(got.reason, slice_str(row->reason)))
			fail_msg("%s: got %s oldest-pass %d: %.*s", row->name,
			    arc_result_word(got.result), got.oldest_pass, SLICE_ARG(got.reason));
		if (got.result == ARC_PASS)
			assert_slice(got.domain, "s.example");
		world_close(&c.world);
	}
}

/* Fields taken away, doubled or out of order (5.2 step 3). */
static void
structure(void **state)
{
	static const struct {
		const char *name;
		size_t without; /* index of the field left out; 0: none */
		size_t twice;	/* index of the field that stands twice; 0: none */
		bool backwards;
		enum arc_result want;
	} cases[] = {
		{ "whole", 0, 0, false, ARC_PASS }, { "in any order", 0, 0, true, ARC_PASS },
		{ "without AAR 1", 2, 0, false, ARC_FAIL },
		{ "without AMS 1", 3, 0, false, ARC_FAIL },
		{ "without seal 1", 4, 0, false, ARC_FAIL },
		{ "without AAR 2", 5, 0, false, ARC_FAIL },
		{ "AAR 2 twice", 0, 5, false, ARC_FAIL }, { "AMS 2 twice", 0, 6, false, ARC_FAIL },
		{ "seal 1 twice", 0, 4, false, ARC_FAIL },
		{ "Subject twice", 0, 1, false, ARC_PASS }, /* h= names it once: the lower one */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct chain c;
		struct header_list whole;
		struct arc_verdict got;

		chain_open(&c, key);
		seal(&c, 1, &(struct seal){ .cv = NULL });
		seal(&c, 2, &(struct seal){ .cv = NULL });
		whole = c.header;
		c.header = (struct header_list){ 0 };
		for (size_t n = 0; n < whole.count; n++) {
			size_t at = cases[i].backwards ? whole.count - 1 - n : n;

			if (at != 0 && at == cases[i].without)
				continue;
			for (int k = 0; k < (at != 0 && at == cases[i].twice ? 2 : 1); k++)
				header_list_add(&c.header, c.world.arena, whole.fields[at].name,
				    whole.fields[at].value);
		}
		validate(&c, BODY, &got);
		if (got.result != cases[i].want)
			fail_msg("%s: got %s: %.*s", cases[i].name, arc_result_word(got.result),
			    SLICE_ARG(got.reason));
		world_close(&c.world);
	}
}

/* A chain may pass and yet say nothing of author or text: only the newest AMS counts. */
static void
what_it_covers(void **state)
{
	static const struct {
		uint32_t odd_set;
		struct seal odd;
		bool covers;
	} cases[] = {
		{ 0, { .cv = NULL }, true },
		{ 2, { .names = "Subject" }, false },
		{ 2, { .names = "Subject: from " }, true },
		{ 2, { .message_extra = "l=7; " }, false },
		{ 1, { .names = "Subject" }, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct chain c;
		struct arc_verdict got;

		chain_open(&c, key);
		for (uint32_t n = 1; n <= 2; n++)
			seal(&c, n,
			    n == cases[i].odd_set ? &cases[i].odd : &(struct seal){ .cv = NULL });
		validate(&c, BODY, &got);
		assert_int_equal(got.result, ARC_PASS);
		assert_int_equal(got.covers_author, cases[i].covers);
		assert_slice(got.seals[1].selector, "sel");
		assert_slice(got.seals[0].results, " i=1; s.example; dmarc=pass");
		world_close(&c.world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains),
		cmocka_unit_test(structure),
		cmocka_unit_test(what_it_covers),
	};
	int rc;

	key = test_key_ed25519();
	rc = cmocka_run_group_tests_name("arc", tests, NULL, NULL);
	test_key_free(&key);
	return rc;
}
