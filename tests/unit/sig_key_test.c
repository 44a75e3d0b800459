/* SPDX-License-Identifier: BSD-2-Clause */
/* Key records, and what is made of them when a signature is checked. */
#include <string.h>

#include "policy/base/strbuf.h"
#include "policy/sig/sig.h"
#include "policy/syntax/base64.h"
#include "tests/support/dkim_signer.h"
#include "tests/support/support.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define TEXT_MAX    (1024u * 1024)

/* ---- key records ---- */

/* @ stands for an RSA key of 1024 bits, # for an Ed25519 key. */
static struct slice
fill_in(struct arena *a, const char *text, const struct test_key *rsa, const struct test_key *ed)
{
	struct strbuf b;

	strbuf_init(&b, a, TEXT_MAX);
	for (; *text != '\0'; text++) {
		if (*text == '@')
			strbuf_add(&b, base64_encode(a, test_key_spki(a, rsa)));
		else if (*text == '%')
			strbuf_add(&b, base64_encode(a, test_key_bare(a, rsa)));
		else if (*text == '#')
			strbuf_add(&b, base64_encode(a, test_key_spki(a, ed)));
		else
			strbuf_char(&b, *text);
	}
	return strbuf_slice(&b);
}

static void
key_records(void **state)
{
	static const struct {
		const char *record;
		enum sig_reason fault; /* SIG_VERIFIED: usable */
		const char *says;      /* must be in the fault's text */
		bool testing, strict;
	} rows[] = {
		/* RFC 6376 3.6.1 */
		{ "v=DKIM1; k=rsa; p=@", SIG_VERIFIED, "", false, false },
		{ "p=@", SIG_VERIFIED, "", false, false },
		{ "p=%", SIG_VERIFIED, "", false, false },
		{ "v=DKIM1; k=ed25519; p=#", SIG_VERIFIED, "", false, false },
		{ " v = DKIM1 ;\tk = rsa ; p = @ ; ", SIG_VERIFIED, "", false, false },
		{ "v=DKIM1; n=a note; x=y; p=@", SIG_VERIFIED, "", false, false },
		{ "v=DKIM1; g=; p=@", SIG_VERIFIED, "", false, false },
		{ "v=DKIM1; t=y; p=@", SIG_VERIFIED, "", true, false },
		{ "v=DKIM1; t=x : s:y; p=@", SIG_VERIFIED, "", true, true },
		{ "v=DKIM1; h=sha1:sha256; p=@", SIG_VERIFIED, "", false, false },
		{ "v=DKIM1; s=tlsrpt:email; p=@", SIG_VERIFIED, "", false, false },
		{ "v=DKIM1; s=*; p=@", SIG_VERIFIED, "", false, false },
		{ "v=DKIM1; p=", SIG_KEY_REVOKED, "tag p", false, false },
		{ "v=DKIM1; p= ; t=y", SIG_KEY_REVOKED, "tag p", true, false },
		{ "v=DKIM1", SIG_KEY_SYNTAX, "tag p is missing", false, false },
		{ "", SIG_KEY_SYNTAX, "tag p is missing", false, false },
		{ "p=@; v=DKIM1", SIG_KEY_SYNTAX, "tag v is not the first", false, false },
		{ "v=DKIM2; p=@", SIG_KEY_SYNTAX, "tag v is not DKIM1", false, false },
		{ "v=dkim1; p=@", SIG_KEY_SYNTAX, "tag v is not DKIM1", false, false },
		{ "v=spf1 -all", SIG_KEY_SYNTAX, "tag v is not DKIM1", false, false },
		{ "v=DKIM1; p=@; p=@", SIG_KEY_SYNTAX, "tag p occurs twice", false, false },
		{ "v=DKIM1; p=!", SIG_KEY_SYNTAX, "tag p is not base64", false, false },
		{ "v=DKIM1; p=YQ==", SIG_KEY_SYNTAX, "no RSA key", false, false },
		{ "v=DKIM1; k=ed25519; p=@", SIG_KEY_SYNTAX, "32 bytes", false, false },
		{ "v=DKIM1; k=rsa; p=#", SIG_KEY_SYNTAX, "no RSA key", false, false },
		{ "v=DKIM1; k=falcon; p=@", SIG_KEY_MISMATCH, "tag k", false, false },
		{ "v=DKIM1; h=sha1; p=@", SIG_KEY_MISMATCH, "tag h", false, false },
		{ "v=DKIM1; s=tlsrpt; p=@", SIG_KEY_MISMATCH, "tag s", false, false },
		{ "nonsense", SIG_KEY_SYNTAX, "", false, false },
	};
	struct test_key *rsa = test_key_rsa(1024), *ed = test_key_ed25519();
	struct arena *a = arena_new(TEXT_MAX);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sig_key k = sig_key_parse(a, fill_in(a, rows[i].record, rsa, ed));
		const char *text = k.fault_text == NULL ? "" : k.fault_text;

		if (k.fault != rows[i].fault || strstr(text, rows[i].says) == NULL ||
		    (k.key != NULL) != (k.fault == SIG_VERIFIED) || k.testing != rows[i].testing ||
		    k.strict != rows[i].strict)
			fail_msg("record \"%s\"\n got  %s (%s) testing %d strict %d\n want %s (%s)",
			    rows[i].record, sig_reason_text(k.fault), text, k.testing, k.strict,
			    sig_reason_text(rows[i].fault), rows[i].says);
		sig_key_fini(&k);
	}
	arena_free(&a);
	test_key_free(&ed);
	test_key_free(&rsa);
}

/* ---- the check ---- */

static struct sig_finding
check(struct arena *a, const char *const records[], size_t count, const struct test_key *rsa,
    const struct test_key *other, const struct sig_claim *wanted)
{
	struct sig_finding out;
	struct sig_claim claim = *wanted;
	struct strbuf zone;
	struct world w;

	strbuf_init(&zone, a, TEXT_MAX);
	for (size_t i = 0; i < count; i++)
		strbuf_add(&zone,
		    test_zone_txt(a, "s._domainkey.a.example",
			fill_in(a, records[i], records[i][0] == '!' ? other : rsa, other)));
	strbuf_str(&zone, "slow._domainkey.a.example TXT 300 !TIMEOUT\n");
	world_open(&w, strbuf_slice(&zone).p);
	if (claim.key_name.len == 0)
		claim.key_name = sig_key_name(w.arena, SLICE("s"), SLICE("a.example"));
	sig_check(w.arena, w.crypto, w.lookups, &claim, &out);
	/* The same again: the key is decoded already, the answer must not change. */
	sig_check(w.arena, w.crypto, w.lookups, &claim, &out);
	out.detail = arena_copy(a, out.detail);
	world_close(&w);
	return out;
}

/* Several records: the first that verifies wins, or else the one that came furthest speaks. */
static void
checks(void **state)
{
	static const struct {
		const char *name, *records[6];
		enum sig_reason want;
		const char *says;
		uint32_t min_bits;
		bool below;
	} rows[] = {
		{ "one good", { "p=@" }, SIG_VERIFIED, "", 0, false },
		{ "none", { NULL }, SIG_KEY_NONE, "nxdomain", 0, false },
		{ "spf beside", { "v=spf1 -all", "p=@" }, SIG_VERIFIED, "", 0, false },
		{ "spf only", { "v=spf1 -all" }, SIG_KEY_SYNTAX, "tag v", 0, false },
		{ "revoked beside good", { "p=", "p=@" }, SIG_VERIFIED, "", 0, false },
		{ "revoked beside nonsense", { "x", "p=", "y" }, SIG_KEY_REVOKED, "tag p is empty",
		    0, false },
		{ "beyond the limit", { "x=1", "x=2", "x=3", "x=4", "p=@" }, SIG_KEY_SYNTAX,
		    "tag p is missing", 0, false },
		{ "other type", { "k=ed25519; p=#" }, SIG_KEY_MISMATCH, "algorithm", 0, false },
		{ "too short for us", { "p=@" }, SIG_KEY_SHORT, "1024 bits, at least 2048", 2048,
		    false },
		{ "t=s, below", { "t=s; p=@" }, SIG_KEY_MISMATCH, "t=s", 0, true },
		{ "t=s, same", { "t=s; p=@" }, SIG_VERIFIED, "", 0, false },
		{ "below without t=s", { "p=@" }, SIG_VERIFIED, "", 0, true },
	};
	struct test_key *rsa = test_key_rsa(1024), *ed = test_key_ed25519();
	struct arena *a = arena_new(TEXT_MAX);
	uint8_t digest[SHA256_BYTES] = { 7 };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sig_claim claim = { .algorithm = SIG_RSA_SHA256,
			.signature = test_key_sign(a, rsa, digest),
			.digest = digest,
			.below_domain = rows[i].below,
			.min_rsa_bits = rows[i].min_bits };
		size_t count = 0;
		struct sig_finding got;

		while (count < 6 && rows[i].records[count] != NULL)
			count++;
		got = check(a, rows[i].records, count, rsa, ed, &claim);
		if (got.reason != rows[i].want || strstr(got.detail.p, rows[i].says) == NULL)
			fail_msg("%s: got %s (%s), want %s (%s)", rows[i].name,
			    sig_reason_text(got.reason), got.detail.p,
			    sig_reason_text(rows[i].want), rows[i].says);
	}
	arena_free(&a);
	test_key_free(&ed);
	test_key_free(&rsa);
}

static void
checks_of_keys(void **state)
{
	struct test_key *rsa = test_key_rsa(1024), *other = test_key_rsa(1024),
			*small = test_key_rsa(512), *ed = test_key_ed25519();
	struct arena *a = arena_new(TEXT_MAX);
	uint8_t digest[SHA256_BYTES] = { 7 };
	const char *const good[] = { "p=@" }, *const both[] = { "!x", "p=#", "p=@" },
			  *const edwards[] = { "k=ed25519; p=#" };
	struct sig_claim claim = { .algorithm = SIG_RSA_SHA256,
		.digest = digest,
		.signature = test_key_sign(a, rsa, digest) };
	struct sig_finding f;

	(void)state;
	f = check(a, good, 1, other, ed, &claim); /* a key, but not the one */
	assert_int_equal(f.reason, SIG_NOT_VERIFIED);
	assert_int_equal(f.key_bits, 1024);
	f = check(a, both, 3, rsa, other, &claim); /* the first key fails, the second verifies */
	assert_int_equal(f.reason, SIG_VERIFIED);
	claim.key_name = SLICE("slow._domainkey.a.example");
	f = check(a, good, 1, rsa, ed, &claim); /* RFC 6376 6.1.2: for now, not for good */
	assert_int_equal(f.reason, SIG_KEY_LOOKUP);
	assert_non_null(strstr(f.detail.p, "slow._domainkey.a.example: timed out"));
	claim.key_name.len = 0;
	claim.signature = test_key_sign(a, small, digest); /* RFC 8301 3.2, whatever the options */
	f = check(a, good, 1, small, ed, &claim);
	assert_int_equal(f.reason, SIG_KEY_SHORT);
	claim.algorithm = SIG_ED25519_SHA256;
	claim.signature = test_key_sign(a, ed, digest);
	f = check(a, edwards, 1, rsa, ed, &claim);
	assert_int_equal(f.reason, SIG_VERIFIED);
	assert_int_equal(f.key_bits, 256);
	arena_free(&a);
	test_key_free(&ed);
	test_key_free(&small);
	test_key_free(&other);
	test_key_free(&rsa);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_records),
		cmocka_unit_test(checks),
		cmocka_unit_test(checks_of_keys),
	};

	return cmocka_run_group_tests_name("sig_key", tests, NULL, NULL);
}
