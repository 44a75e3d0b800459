/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "policy/base/bug.h"
#include "policy/base/limits.h"
#include "policy/crypto/internal.h"

#define ED25519_KEY_BYTES	32
#define ED25519_SIGNATURE_BYTES 64

struct digest {
	EVP_MD_CTX *ctx;
	bool ended; /* the next bytes begin anew */
};

struct public_key {
	enum key_type type;
	uint32_t bits;
	EVP_PKEY *pkey;
	/* One for the next RSA signature, ready to verify: it costs a tenth of that to make. MT:
	 * taken and put back by exchange, whoever finds none makes its own. */
	_Atomic(EVP_PKEY_CTX *) spare;
};

struct crypto *
crypto_new(struct arena *a, const char **error_r)
{
	struct crypto *c;
	EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);

	if (sha256 == NULL) {
		*error_r = arena_printf(a, "OpenSSL has no SHA-256: %s",
		    ERR_reason_error_string(ERR_peek_last_error()));
		ERR_clear_error();
		return NULL;
	}
	c = heap_alloc(1, sizeof(*c));
	c->sha256 = sha256;
	return c;
}

void
crypto_free(struct crypto **c)
{
	if (*c == NULL)
		return;
	EVP_MD_free((*c)->sha256);
	free(*c);
	*c = NULL;
}

struct digest *
digest_new(const struct crypto *c)
{
	struct digest *d = heap_alloc(1, sizeof(*d));

	d->ctx = EVP_MD_CTX_new();
	if (d->ctx == NULL)
		out_of_memory(sizeof(*d));
	if (EVP_DigestInit_ex2(d->ctx, c->sha256, NULL) != 1)
		bug("digest_new: OpenSSL refuses SHA-256");
	return d;
}

void
digest_free(struct digest **d)
{
	if (*d == NULL)
		return;
	EVP_MD_CTX_free((*d)->ctx);
	free(*d);
	*d = NULL;
}

/* Not right behind the end: most runs are the last one. No type: the context keeps its own. */
static void
begin_anew(struct digest *d)
{
	if (d->ended && EVP_DigestInit_ex2(d->ctx, NULL, NULL) != 1)
		bug("digest: OpenSSL failed");
	d->ended = false;
}

void
digest_update(struct digest *d, const void *bytes, size_t len)
{
	begin_anew(d);
	if (len > 0 && EVP_DigestUpdate(d->ctx, bytes, len) != 1)
		bug("digest_update: OpenSSL failed");
}

void
digest_copy(struct digest *to, const struct digest *from)
{
	if (EVP_MD_CTX_copy_ex(to->ctx, from->ctx) != 1)
		bug("digest_copy: OpenSSL failed");
	to->ended = from->ended;
}

void
digest_final(struct digest *d, uint8_t out[SHA256_BYTES])
{
	begin_anew(d);
	if (EVP_DigestFinal_ex(d->ctx, out, NULL) != 1)
		bug("digest_final: OpenSSL failed");
	d->ended = true;
}

struct public_key *
public_key_new(enum key_type type, struct slice encoded)
{
	struct public_key *k;
	EVP_PKEY *pkey = NULL;

	switch (type) {
	case KEY_RSA:
		pkey = rsa_public_decode(encoded);
		break;
	case KEY_ED25519: /* RFC 8463 4.2: the 32 bytes themselves, no ASN.1 around them */
		if (encoded.len == ED25519_KEY_BYTES)
			pkey = EVP_PKEY_new_raw_public_key(
			    EVP_PKEY_ED25519, NULL, (const unsigned char *)encoded.p, encoded.len);
		break;
	}
	ERR_clear_error();
	if (pkey == NULL)
		return NULL;
	k = heap_alloc(1, sizeof(*k));
	k->type = type;
	k->bits = type == KEY_RSA ? (uint32_t)EVP_PKEY_get_bits(pkey) : 8 * ED25519_KEY_BYTES;
	k->pkey = pkey;
	return k;
}

void
public_key_free(struct public_key **k)
{
	if (*k == NULL)
		return;
	EVP_PKEY_CTX_free(atomic_load(&(*k)->spare));
	EVP_PKEY_free((*k)->pkey);
	free(*k);
	*k = NULL;
}

enum key_type
public_key_type(const struct public_key *k)
{
	return k->type;
}

uint32_t
public_key_bits(const struct public_key *k)
{
	return k->bits;
}

bool
public_key_equal(const struct public_key *a, const struct public_key *b)
{
	bool equal = a->type == b->type && EVP_PKEY_eq(a->pkey, b->pkey) == 1;

	ERR_clear_error();
	return equal;
}

/* RFC 6376 3.3.2: PKCS#1 v1.5 (RFC 8017 8.2.2), the digest being what was signed. */
static EVP_PKEY_CTX *
take_verifier(const struct crypto *c, struct public_key *k)
{
	EVP_PKEY_CTX *ctx = atomic_exchange(&k->spare, NULL);

	if (ctx != NULL)
		return ctx;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
	if (ctx == NULL)
		out_of_memory(sizeof(*k));
	if (EVP_PKEY_verify_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(ctx, c->sha256) == 1)
		return ctx;
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

static bool
rsa_verify(const struct crypto *c, struct public_key *k, const uint8_t digest[SHA256_BYTES],
    struct slice signature)
{
	EVP_PKEY_CTX *ctx = take_verifier(c, k);
	bool good;

	if (ctx == NULL)
		return false;
	good = EVP_PKEY_verify(ctx, (const unsigned char *)signature.p, signature.len, digest,
		   SHA256_BYTES) == 1;
	EVP_PKEY_CTX_free(atomic_exchange(&k->spare, ctx));
	return good;
}

/* RFC 8463 3: PureEdDSA over the 32 bytes of the SHA-256 digest. */
static bool
ed25519_verify(
    const struct public_key *k, const uint8_t digest[SHA256_BYTES], struct slice signature)
{
	EVP_MD_CTX *ctx;
	bool good;

	if (signature.len != ED25519_SIGNATURE_BYTES)
		return false;
	ctx = EVP_MD_CTX_new();
	if (ctx == NULL)
		out_of_memory(sizeof(*k));
	good = EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, k->pkey) == 1 &&
	    EVP_DigestVerify(
		ctx, (const unsigned char *)signature.p, signature.len, digest, SHA256_BYTES) == 1;
	EVP_MD_CTX_free(ctx);
	return good;
}

bool
public_key_verify(const struct crypto *c, const struct public_key *k,
    const uint8_t digest[SHA256_BYTES], struct slice signature)
{
	bool good = false;

	switch (k->type) {
	case KEY_RSA:
		good = signature.len == ((size_t)k->bits + 7) / 8 &&
		    rsa_verify(c, (struct public_key *)(uintptr_t)k, digest, signature);
		break;
	case KEY_ED25519:
		good = ed25519_verify(k, digest, signature);
		break;
	}
	/* A bad signature leaves a line in the thread's error queue; it says nothing more. */
	ERR_clear_error();
	return good;
}
