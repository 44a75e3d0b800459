/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "policy/base/limits.h"
#include "policy/crypto/crypto.h"
#include "tests/support/dkim_signer.h"
#include "tests/support/support.h"

struct fixture {
	struct arena *arena;
	struct crypto *crypto;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *error = "?";

	f->arena = arena_new(16u * 1024 * 1024);
	f->crypto = crypto_new(f->arena, &error);
	*state = f;
	return f->crypto == NULL;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	crypto_free(&f->crypto);
	arena_free(&f->arena);
	free(f);
	return 0;
}

static const char *
hex(struct arena *a, const uint8_t bytes[SHA256_BYTES])
{
	char *p = arena_alloc(a, 2 * SHA256_BYTES + 1);

	for (size_t i = 0; i < SHA256_BYTES; i++)
		(void)snprintf(p + 2 * i, 3, "%02x", bytes[i]);
	return p;
}

/* FIPS 180-4's examples; the digest starts over after each final. */
static void
sha256(void **state)
{
	static const struct {
		const char *text, *digest;
	} rows[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	struct fixture *f = *state;
	struct digest *d = digest_new(f->crypto);
	uint8_t out[SHA256_BYTES];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (const char *p = rows[i].text; *p != '\0'; p++)
			digest_update(d, p, 1);
		digest_final(d, out);
		assert_string_equal(hex(f->arena, out), rows[i].digest);
	}
	digest_free(&d);
	assert_null(d);
	digest_free(&d);
}

/* ---- keys ---- */

static struct slice
with_tail(struct arena *a, struct slice s, size_t zeros)
{
	char *p = arena_alloc(a, s.len + zeros);

	memcpy(p, s.p, s.len);
	return slice_of(p, s.len + zeros);
}

static size_t
put_der(unsigned char *out, unsigned char tag, const unsigned char *content, size_t len)
{
	out[0] = tag;
	out[1] = 0x82;
	out[2] = (unsigned char)(len >> 8);
	out[3] = (unsigned char)len;
	memcpy(out + 4, content, len);
	return len + 4;
}

/* RSAPublicKey with a modulus of that many bits and an exponent of these bytes: no real key. */
static struct slice
fake_rsa(struct arena *a, size_t bits, const char *exponent, size_t exponent_len)
{
	unsigned char number[4096] = { 0 }, inner[8192], outer[8192];
	size_t len = bits / 8, at;

	memset(number + 1, 0xa5, len);
	at = put_der(inner, 0x02, number, len + 1);
	number[0] = 0;
	memcpy(number + 1, exponent, exponent_len);
	at += put_der(inner + at, 0x02, number, exponent_len + 1);
	at = put_der(outer, 0x30, inner, at);
	return arena_copy(a, slice_of((const char *)outer, at));
}

static struct slice
ec_spki(struct arena *a)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(pkey, &der);
	struct slice out = arena_copy(a, slice_of((const char *)der, (size_t)len));

	OPENSSL_free(der);
	EVP_PKEY_free(pkey);
	return out;
}

static void
expect_key(const char *name, enum key_type type, struct slice encoded, uint32_t bits)
{
	struct public_key *k = public_key_new(type, encoded);
	uint32_t got = k == NULL ? 0 : public_key_bits(k);

	if (got != bits)
		fail_msg("%s: got %u bits, want %u (0: refused)", name, got, bits);
	if (k != NULL)
		assert_int_equal(public_key_type(k), type);
	public_key_free(&k);
	assert_null(k);
}

static void
rsa_keys(void **state)
{
	struct fixture *f = *state;
	struct arena *a = f->arena;
	struct test_key *k = test_key_rsa(1024), *small = test_key_rsa(512),
			*three = test_key_rsa_exponent(1024, 3);
	struct slice spki = test_key_spki(a, k), bare = test_key_bare(a, k);
	const char wide[] = "\x81\0\0\0\0\0\0\0\x01",
		   largest[] = "\xff\xff\xff\xff\xff\xff\xff\xff";

	expect_key("SubjectPublicKeyInfo", KEY_RSA, spki, 1024);
	expect_key("RSAPublicKey", KEY_RSA, bare, 1024);
	expect_key("512 bits: the policy's to refuse", KEY_RSA, test_key_spki(a, small), 512);
	expect_key("exponent 3", KEY_RSA, test_key_spki(a, three), 1024);
	expect_key("trailing byte behind SPKI", KEY_RSA, with_tail(a, spki, 1), 0);
	expect_key("trailing byte behind RSAPublicKey", KEY_RSA, with_tail(a, bare, 1), 0);
	expect_key("empty", KEY_RSA, slice_of(NULL, 0), 0);
	expect_key("text", KEY_RSA, SLICE("hello"), 0);
	for (size_t len = 1; len < spki.len; len += 7)
		expect_key("cut short", KEY_RSA, slice_sub(spki, 0, len), 0);
	expect_key("not RSA: EC", KEY_RSA, ec_spki(a), 0);
	expect_key("most bits", KEY_RSA, fake_rsa(a, LIMIT_DKIM_RSA_BITS_MAX, "\x03", 1),
	    LIMIT_DKIM_RSA_BITS_MAX);
	expect_key("beyond", KEY_RSA, fake_rsa(a, LIMIT_DKIM_RSA_BITS_MAX + 8, "\x03", 1), 0);
	expect_key("far beyond", KEY_RSA, fake_rsa(a, 4000 * 8, "\x03", 1), 0);
	expect_key("exponent 1", KEY_RSA, fake_rsa(a, 1024, "\x01", 1), 0);
	expect_key("exponent 0", KEY_RSA, fake_rsa(a, 1024, "\x00", 1), 0);
	expect_key("even exponent", KEY_RSA, fake_rsa(a, 1024, "\x04", 1), 0);
	expect_key("exponent of 64 bits", KEY_RSA, fake_rsa(a, 1024, largest, 8), 1024);
	expect_key("exponent of 72 bits", KEY_RSA, fake_rsa(a, 1024, wide, 9), 0);
	test_key_free(&three);
	test_key_free(&small);
	test_key_free(&k);
}

/* What OpenSSL's decoders make of it, within our limits: 0, or its bits. */
static uint32_t
bits_by_openssl(struct slice encoded)
{
	const unsigned char *start = (const unsigned char *)encoded.p, *p = start;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)encoded.len);
	BIGNUM *e = NULL;
	int bits = 0;

	if (pkey == NULL) {
		p = start;
		pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, (long)encoded.len);
	}
	ERR_clear_error();
	if (pkey != NULL && p == start + encoded.len &&
	    EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA &&
	    EVP_PKEY_get_bits(pkey) <= LIMIT_DKIM_RSA_BITS_MAX &&
	    EVP_PKEY_get_bn_param(pkey, "e", &e) == 1 && BN_is_odd(e) && !BN_is_one(e) &&
	    BN_num_bits(e) <= 64)
		bits = EVP_PKEY_get_bits(pkey);
	BN_free(e);
	EVP_PKEY_free(pkey);
	return bits > 0 ? (uint32_t)bits : 0;
}

/* Keys of the usual form never see OpenSSL's decoders; nobody shall be able to tell. */
static void
judged_as_by_openssl(void **state)
{
	static const char changes[] = "\x01\x02\x04\x20\x30\x7f\x80\x81\x82\x83\xff";
	struct fixture *f = *state;
	struct test_key *k = test_key_rsa(1024);
	const struct slice whole[] = { test_key_spki(f->arena, k), test_key_bare(f->arena, k) };
	size_t good = 0;

	for (size_t w = 0; w < 2; w++)
		for (size_t at = 0; at < whole[w].len; at += at < 40 ? 1 : 13)
			for (size_t i = 0; i < sizeof(changes) - 1; i++) {
				struct slice bent = with_tail(f->arena, whole[w], 0);
				uint32_t want;

				((char *)(uintptr_t)bent.p)[at] ^= changes[i];
				want = bits_by_openssl(bent);
				good += want > 0;
				expect_key("bent", KEY_RSA, bent, want);
			}
	assert_true(good > 100);
	test_key_free(&k);
}

/* RFC 8463 4.1, 4.2: the 32 bytes, without ASN.1. */
static void
ed25519_keys(void **state)
{
	struct fixture *f = *state;
	struct test_key *k = test_key_ed25519();
	struct slice raw = test_key_bare(f->arena, k);

	expect_key("32 bytes", KEY_ED25519, raw, 256);
	expect_key("31 bytes", KEY_ED25519, slice_sub(raw, 0, 31), 0);
	expect_key("33 bytes", KEY_ED25519, with_tail(f->arena, raw, 1), 0);
	expect_key("none", KEY_ED25519, slice_of(NULL, 0), 0);
	test_key_free(&k);
}

/* ---- signatures ---- */

static void
expect_verify(struct fixture *f, const char *name, const struct public_key *k, uint8_t digest[],
    struct slice signature, bool want)
{
	if (public_key_verify(f->crypto, k, digest, signature) != want)
		fail_msg("%s: want %s", name, want ? "verified" : "refused");
}

/* Every bit counts; so does the size. */
static void
check_signature(struct fixture *f, const struct test_key *key, enum key_type type)
{
	struct public_key *k = public_key_new(type, test_key_spki(f->arena, key));
	uint8_t digest[SHA256_BYTES] = { 1, 2, 3 };
	struct slice good = test_key_sign(f->arena, key, digest);
	char *bent = arena_alloc(f->arena, good.len);

	expect_verify(f, "as signed", k, digest, good, true);
	for (size_t i = 0; i < good.len; i += 5) {
		memcpy(bent, good.p, good.len);
		bent[i] = (char)(bent[i] ^ 1);
		expect_verify(
		    f, "a bit of the signature", k, digest, slice_of(bent, good.len), false);
	}
	expect_verify(f, "short", k, digest, slice_sub(good, 0, good.len - 1), false);
	expect_verify(f, "long", k, digest, with_tail(f->arena, good, 1), false);
	expect_verify(f, "empty", k, digest, slice_of(NULL, 0), false);
	digest[31] ^= 0x80;
	expect_verify(f, "another digest", k, digest, good, false);
	public_key_free(&k);
}

static void
signatures(void **state)
{
	struct fixture *f = *state;
	static const unsigned sizes[] = { 1024, 1032, 2048 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct test_key *k = test_key_rsa(sizes[i]);

		check_signature(f, k, KEY_RSA);
		test_key_free(&k);
	}
	for (size_t i = 0; i < 3; i++) {
		struct test_key *k = test_key_ed25519();

		check_signature(f, k, KEY_ED25519);
		test_key_free(&k);
	}
}

/* RFC 6376 3.3.2 is PKCS#1 v1.5 with SHA-256's DigestInfo; nothing else is. */
static void
other_paddings(void **state)
{
	static const struct {
		const char *name;
		int padding;
		const char *md;
		bool want;
	} rows[] = {
		{ "PKCS#1 v1.5, SHA-256", RSA_PKCS1_PADDING, "SHA256", true },
		{ "PSS", RSA_PKCS1_PSS_PADDING, "SHA256", false },
		{ "PKCS#1 v1.5 without DigestInfo", RSA_PKCS1_PADDING, NULL, false },
		{ "PKCS#1 v1.5, SHA3-256", RSA_PKCS1_PADDING, "SHA3-256", false },
	};
	struct fixture *f = *state;
	EVP_PKEY *pkey = EVP_RSA_gen(1024);
	unsigned char *der = NULL, digest[SHA256_BYTES] = { 9 };
	int der_len = i2d_PUBKEY(pkey, &der);
	struct public_key *k = public_key_new(
	    KEY_RSA, slice_of((const char *)der, (size_t)der_len));

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
		unsigned char out[1024];
		size_t len = sizeof(out);

		assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, rows[i].padding), 1);
		if (rows[i].md != NULL)
			assert_int_equal(
			    EVP_PKEY_CTX_set_signature_md(ctx, EVP_get_digestbyname(rows[i].md)),
			    1);
		assert_int_equal(EVP_PKEY_sign(ctx, out, &len, digest, sizeof(digest)), 1);
		expect_verify(
		    f, rows[i].name, k, digest, slice_of((const char *)out, len), rows[i].want);
		EVP_PKEY_CTX_free(ctx);
	}
	public_key_free(&k);
	OPENSSL_free(der);
	EVP_PKEY_free(pkey);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256),
		cmocka_unit_test(rsa_keys),
		cmocka_unit_test(judged_as_by_openssl),
		cmocka_unit_test(ed25519_keys),
		cmocka_unit_test(signatures),
		cmocka_unit_test(other_paddings),
	};

	return cmocka_run_group_tests_name("crypto", tests, set_up, tear_down);
}
