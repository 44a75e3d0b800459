/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "policy/crypto/private_key.h"
#include "tests/support/support.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

enum form { PEM_PKCS1, PEM_PKCS8, PEM_ENCRYPTED, PEM_PUBLIC, DER_PKCS1, DER_PKCS8, DER_TAIL };

static EVP_PKEY *
make_key(const char *kind)
{
	if (strncmp(kind, "rsa", 3) == 0)
		return EVP_RSA_gen((unsigned)atoi(kind + 3));
	if (strcmp(kind, "ed25519") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (strcmp(kind, "pss") == 0) {
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
		EVP_PKEY *pkey = NULL;

		assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 1024), 1);
		assert_int_equal(EVP_PKEY_generate(ctx, &pkey), 1);
		EVP_PKEY_CTX_free(ctx);
		return pkey;
	}
	return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

static struct slice
write_key(struct arena *a, EVP_PKEY *pkey, enum form form)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct slice out;
	char *p;
	int ok = 0;

	switch (form) {
	case PEM_PKCS1:
		ok = PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL);
		break;
	case PEM_PKCS8:
		ok = PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
		break;
	case PEM_ENCRYPTED:
		ok = PEM_write_bio_PKCS8PrivateKey(
		    bio, pkey, EVP_aes_256_cbc(), "pass", 4, NULL, NULL);
		break;
	case PEM_PUBLIC:
		ok = PEM_write_bio_PUBKEY(bio, pkey);
		break;
	case DER_PKCS1:
		ok = i2d_PrivateKey_bio(bio, pkey);
		break;
	case DER_PKCS8:
	case DER_TAIL:
		ok = i2d_PKCS8PrivateKey_bio(bio, pkey, NULL, NULL, 0, NULL, NULL);
		break;
	}
	assert_int_equal(ok, 1);
	if (form == DER_TAIL)
		assert_int_equal(BIO_write(bio, "x", 1), 1);
	out.len = (size_t)BIO_get_mem_data(bio, &p);
	out.p = p;
	out = arena_copy(a, out);
	BIO_free(bio);
	return out;
}

static const struct {
	const char *kind;
	enum form form;
	const char *error; /* NULL: it is read */
} rows[] = {
	{ "rsa1024", PEM_PKCS1, NULL },
	{ "rsa1024", PEM_PKCS8, NULL },
	{ "rsa1032", DER_PKCS1, NULL },
	{ "rsa2048", DER_PKCS8, NULL },
	{ "ed25519", PEM_PKCS8, NULL },
	{ "ed25519", DER_PKCS8, NULL },
	{ "rsa1024", DER_TAIL, "is neither PEM nor DER of a private key" },
	{ "rsa1024", PEM_ENCRYPTED, "is encrypted" },
	{ "rsa1024", PEM_PUBLIC, "holds no private key that can be read" },
	{ "rsa768", PEM_PKCS8, "holds an RSA key of less than 1024 bits" },
	{ "pss", PEM_PKCS8, "holds a key that is neither RSA nor Ed25519" },
	{ "ec", PEM_PKCS8, "holds a key that is neither RSA nor Ed25519" },
};

/* What p= would say must verify what the key signs. */
static void
check_signs(struct world *w, const struct private_key *k)
{
	struct public_key *p = public_key_new(private_key_type(k), private_key_public(w->arena, k));
	uint8_t digest[SHA256_BYTES] = { 1, 2, 3 };
	struct signature s;

	assert_non_null(p);
	assert_int_equal(public_key_bits(p), private_key_bits(k));
	assert_int_equal(private_key_sign(w->crypto, k, digest, &s), 0);
	assert_true(
	    public_key_verify(w->crypto, p, digest, slice_of((const char *)s.bytes, s.len)));
	digest[31] ^= 1;
	assert_false(
	    public_key_verify(w->crypto, p, digest, slice_of((const char *)s.bytes, s.len)));
	public_key_free(&p);
}

static void
reads(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world w;
		EVP_PKEY *pkey = make_key(rows[i].kind);
		const char *error = NULL;
		struct private_key *k;

		world_open(&w, NULL);
		k = private_key_read(w.crypto, write_key(w.arena, pkey, rows[i].form), &error);
		if ((k == NULL) != (rows[i].error != NULL) ||
		    (k == NULL && strcmp(error, rows[i].error) != 0))
			fail_msg("row %zu: got \"%s\", want \"%s\"", i, k == NULL ? error : "a key",
			    rows[i].error == NULL ? "a key" : rows[i].error);
		if (k != NULL)
			check_signs(&w, k);
		private_key_free(&k);
		EVP_PKEY_free(pkey);
		world_close(&w);
	}
}

static void
refuses_what_is_no_key(void **state)
{
	static const char *const texts[] = { "", "x", "-----BEGIN PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "0\x82\x7f\xff" };
	struct world w;
	const char *error;
	char *large;

	(void)state;
	world_open(&w, NULL);
	for (size_t i = 0; i < COUNT(texts); i++) {
		error = NULL;
		assert_null(private_key_read(w.crypto, slice_str(texts[i]), &error));
		assert_non_null(error);
	}
	large = arena_alloc(w.arena, PRIVATE_KEY_FILE_BYTES + 1);
	assert_null(
	    private_key_read(w.crypto, slice_of(large, PRIVATE_KEY_FILE_BYTES + 1), &error));
	assert_string_equal(error, "is too long to be a private key");
	world_close(&w);
}

/* The modulus of one key, the secret numbers of another: OpenSSL decodes it without complaint. */
static EVP_PKEY *
mix_keys(EVP_PKEY *one, EVP_PKEY *two)
{
	static const char *const numbers[] = { OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E,
		OSSL_PKEY_PARAM_RSA_D, OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2,
		OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2,
		OSSL_PKEY_PARAM_RSA_COEFFICIENT1 };
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *numbers_read[COUNT(numbers)] = { NULL };
	EVP_PKEY *both = NULL;
	OSSL_PARAM *params;

	for (size_t i = 0; i < COUNT(numbers); i++) {
		assert_int_equal(
		    EVP_PKEY_get_bn_param(i < 2 ? one : two, numbers[i], &numbers_read[i]), 1);
		assert_int_equal(OSSL_PARAM_BLD_push_BN(build, numbers[i], numbers_read[i]), 1);
	}
	params = OSSL_PARAM_BLD_to_param(build);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &both, EVP_PKEY_KEYPAIR, params), 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	for (size_t i = 0; i < COUNT(numbers); i++)
		BN_free(numbers_read[i]);
	EVP_PKEY_CTX_free(ctx);
	return both;
}

static void
refuses_parts_of_two_keys(void **state)
{
	EVP_PKEY *one = EVP_RSA_gen(1024), *two = EVP_RSA_gen(1024), *both = mix_keys(one, two);
	const char *error = NULL;
	struct world w;

	(void)state;
	world_open(&w, NULL);
	assert_null(private_key_read(w.crypto, write_key(w.arena, both, PEM_PKCS8), &error));
	assert_string_equal(
	    error, "holds a key whose private and public parts do not belong together");
	world_close(&w);
	EVP_PKEY_free(one);
	EVP_PKEY_free(two);
	EVP_PKEY_free(both);
}

static void
generates_what_it_reads(void **state)
{
	static const enum key_type types[] = { KEY_RSA, KEY_ED25519 };

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		struct private_key *made = private_key_generate(types[i], 2048), *read;
		const char *error = NULL;
		struct world w;
		size_t len;
		char *pem;

		world_open(&w, NULL);
		assert_non_null(made);
		assert_int_equal(private_key_bits(made), types[i] == KEY_RSA ? 2048 : 256);
		pem = private_key_pem(made, &len);
		assert_int_equal(strlen(pem), len);
		read = private_key_read(w.crypto, slice_of(pem, len), &error);
		assert_non_null(read);
		assert_true(slice_equal(
		    private_key_public(w.arena, made), private_key_public(w.arena, read)));
		private_key_pem_free(&pem, len);
		assert_null(pem);
		check_signs(&w, made);
		private_key_free(&made);
		private_key_free(&read);
		world_close(&w);
	}
}

static void
ring_knows_keys_by_number(void **state)
{
	uint8_t digest[SHA256_BYTES] = { 0 };
	struct key_ring *ring;
	struct key_holder holder;
	struct signature s;
	const char *error = NULL;
	struct world w;

	(void)state;
	world_open(&w, NULL);
	ring = key_ring_new(w.crypto);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(
		    key_ring_add(ring, private_key_generate(i == 3 ? KEY_RSA : KEY_ED25519, 1024)),
		    i);
	holder = key_ring_holder(ring);
	assert_int_equal(holder.sign(holder.ctx, 3, digest, &s, &error), 0);
	assert_int_equal(s.len, 128);
	assert_int_equal(holder.sign(holder.ctx, 8, digest, &s, &error), 0);
	assert_int_equal(s.len, 64);
	assert_int_equal(holder.sign(holder.ctx, 9, digest, &s, &error), -1);
	assert_string_equal(error, "no key of that number");
	key_ring_free(&ring);
	assert_null(ring);
	key_ring_free(&ring);
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(refuses_what_is_no_key),
		cmocka_unit_test(refuses_parts_of_two_keys),
		cmocka_unit_test(generates_what_it_reads),
		cmocka_unit_test(ring_knows_keys_by_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
