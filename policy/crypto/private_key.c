/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/crypto/private_key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "policy/base/bug.h"
#include "policy/base/limits.h"
#include "policy/crypto/internal.h"

#define ED25519_KEY_BYTES 32

struct private_key {
	enum key_type type;
	uint32_t bits;
	EVP_PKEY *pkey;
};

/* ---- reading ---- */

/* OpenSSL asks for the pass phrase of an encrypted key; on a terminal, if it is let. */
static int
no_pass_phrase(char *buf, int size, int writing, void *ctx)
{
	(void)buf;
	(void)size;
	(void)writing;
	*(bool *)ctx = true;
	return -1;
}

static EVP_PKEY *
decode_pem(struct slice text, const char **error_r)
{
	BIO *bio = BIO_new_mem_buf(text.p, (int)text.len);
	bool encrypted = false;
	EVP_PKEY *pkey;

	if (bio == NULL)
		out_of_memory(text.len);
	pkey = PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, &encrypted);
	BIO_free(bio);
	if (pkey == NULL)
		*error_r = encrypted ? "is encrypted" : "holds no private key that can be read";
	return pkey;
}

static EVP_PKEY *
decode_der(struct slice text, const char **error_r)
{
	const unsigned char *p = (const unsigned char *)text.p;
	EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &p, (long)text.len);

	if (pkey != NULL && p != (const unsigned char *)text.p + text.len) {
		EVP_PKEY_free(pkey);
		pkey = NULL;
	}
	if (pkey == NULL)
		*error_r = "is neither PEM nor DER of a private key";
	return pkey;
}

static bool
has_pem_mark(struct slice text)
{
	return text.len > 0 && memmem(text.p, text.len, "-----BEGIN", 10) != NULL;
}

/* NULL, or what is against it. */
static const char *
check_kind(EVP_PKEY *pkey, enum key_type *type_r)
{
	int bits = EVP_PKEY_get_bits(pkey);

	if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_ED25519) {
		*type_r = KEY_ED25519;
		return NULL;
	}
	if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA)
		return "holds a key that is neither RSA nor Ed25519";
	*type_r = KEY_RSA;
	if (bits < LIMIT_DKIM_RSA_BITS_MIN) /* RFC 8301 3.2: "at least 1024 bits" */
		return "holds an RSA key of less than 1024 bits";
	if (bits > LIMIT_DKIM_RSA_BITS_MAX)
		return "holds an RSA key of more than 8192 bits";
	return rsa_exponent_is_sane(pkey) ? NULL : "holds an RSA key with an odd exponent";
}

/* A file whose numbers don't belong together would give signatures that nobody can verify. */
static bool
signs_what_verifies(const struct crypto *c, const struct private_key *k)
{
	static const uint8_t digest[SHA256_BYTES] = "any thirty-two bytes will do....";
	struct arena *a = arena_new((size_t)LIMIT_DKIM_RSA_BITS_MAX);
	struct public_key *public = public_key_new(k->type, private_key_public(a, k));
	struct signature s;
	bool good = public != NULL && private_key_sign(c, k, digest, &s) == 0 &&
	    public_key_verify(c, public, digest, slice_of((const char *)s.bytes, s.len));

	public_key_free(&public);
	arena_free(&a);
	return good;
}

static struct private_key *
wrap(EVP_PKEY *pkey, enum key_type type)
{
	struct private_key *k = heap_alloc(1, sizeof(*k));

	k->type = type;
	k->bits = type == KEY_RSA ? (uint32_t)EVP_PKEY_get_bits(pkey) : 8 * ED25519_KEY_BYTES;
	k->pkey = pkey;
	return k;
}

struct private_key *
private_key_read(const struct crypto *c, struct slice text, const char **error_r)
{
	struct private_key *k;
	EVP_PKEY *pkey;
	enum key_type type;
	const char *why;

	if (text.len == 0 || text.len > PRIVATE_KEY_FILE_BYTES) {
		*error_r = text.len == 0 ? "is empty" : "is too long to be a private key";
		return NULL;
	}
	pkey = has_pem_mark(text) ? decode_pem(text, error_r) : decode_der(text, error_r);
	ERR_clear_error();
	if (pkey == NULL)
		return NULL;
	why = check_kind(pkey, &type);
	if (why != NULL) {
		EVP_PKEY_free(pkey);
		*error_r = why;
		return NULL;
	}
	k = wrap(pkey, type);
	if (signs_what_verifies(c, k))
		return k;
	private_key_free(&k);
	*error_r = "holds a key whose private and public parts do not belong together";
	return NULL;
}

/* ---- making ---- */

struct private_key *
private_key_generate(enum key_type type, uint32_t bits)
{
	EVP_PKEY *pkey = NULL;

	switch (type) {
	case KEY_RSA:
		pkey = EVP_RSA_gen((size_t)bits);
		break;
	case KEY_ED25519:
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		break;
	}
	ERR_clear_error();
	return pkey == NULL ? NULL : wrap(pkey, type);
}

void
private_key_free(struct private_key **k)
{
	if (*k == NULL)
		return;
	EVP_PKEY_free((*k)->pkey);
	free(*k);
	*k = NULL;
}

enum key_type
private_key_type(const struct private_key *k)
{
	return k->type;
}

uint32_t
private_key_bits(const struct private_key *k)
{
	return k->bits;
}

static struct slice
rsa_public(struct arena *a, const struct private_key *k)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(k->pkey, &der);
	struct slice copy;

	if (len <= 0)
		bug("private_key_public: OpenSSL can't encode a key");
	copy = arena_copy(a, slice_of((const char *)der, (size_t)len));
	OPENSSL_free(der);
	return copy;
}

struct slice
private_key_public(struct arena *a, const struct private_key *k)
{
	unsigned char raw[ED25519_KEY_BYTES];
	size_t len = sizeof(raw);

	switch (k->type) {
	case KEY_RSA:
		return rsa_public(a, k);
	case KEY_ED25519:
		if (EVP_PKEY_get_raw_public_key(k->pkey, raw, &len) != 1)
			bug("private_key_public: OpenSSL has no public part");
		return arena_copy(a, slice_of((const char *)raw, len));
	}
	bug("private_key_public: type %d", (int)k->type);
}

char *
private_key_pem(const struct private_key *k, size_t *len_r)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *inside, *pem;
	long len;

	if (bio == NULL)
		out_of_memory(sizeof(*k));
	if (PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL, NULL) != 1)
		bug("private_key_pem: OpenSSL can't encode a key");
	len = BIO_get_mem_data(bio, &inside);
	pem = heap_alloc(1, (size_t)len + 1);
	memcpy(pem, inside, (size_t)len);
	*len_r = (size_t)len;
	BIO_free(bio); /* wipes */
	return pem;
}

void
private_key_pem_free(char **pem, size_t len)
{
	if (*pem == NULL)
		return;
	OPENSSL_cleanse(*pem, len);
	free(*pem);
	*pem = NULL;
}

/* ---- signing ---- */

/* RFC 6376 3.3.2: PKCS#1 v1.5 (RFC 8017 8.2.1) */
static bool
rsa_sign(const struct crypto *c, const struct private_key *k, const uint8_t digest[SHA256_BYTES],
    struct signature *out)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
	bool good;

	if (ctx == NULL)
		out_of_memory(sizeof(*k));
	good = EVP_PKEY_sign_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(ctx, c->sha256) == 1 &&
	    EVP_PKEY_sign(ctx, out->bytes, &out->len, digest, SHA256_BYTES) == 1;
	EVP_PKEY_CTX_free(ctx);
	return good;
}

/* RFC 8463 3: PureEdDSA over the 32 bytes of the SHA-256 digest. */
static bool
ed25519_sign(const struct private_key *k, const uint8_t digest[SHA256_BYTES], struct signature *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good;

	if (ctx == NULL)
		out_of_memory(sizeof(*k));
	good = EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey) == 1 &&
	    EVP_DigestSign(ctx, out->bytes, &out->len, digest, SHA256_BYTES) == 1;
	EVP_MD_CTX_free(ctx);
	return good;
}

int
private_key_sign(const struct crypto *c, const struct private_key *k,
    const uint8_t digest[SHA256_BYTES], struct signature *out)
{
	bool good = false;

	out->len = sizeof(out->bytes);
	switch (k->type) {
	case KEY_RSA:
		good = rsa_sign(c, k, digest, out);
		break;
	case KEY_ED25519:
		good = ed25519_sign(k, digest, out);
		break;
	}
	ERR_clear_error();
	return good ? 0 : -1;
}
