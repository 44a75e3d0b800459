/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         crypto - the only door to OpenSSL
 * DESCRIPTION  SHA-256 and the verification of RSA PKCS#1 v1.5 and Ed25519 signatures over a
 *              SHA-256 digest (RFC 6376 3.3, RFC 8463 3). Algorithms are fetched once, in
 *              crypto_new(); see DESIGN.md, "Cost". Signatures are made by a key holder, wherever
 *              that keeps its keys; private_key.h is for those who have them.
 */
#ifndef ASSAY_CRYPTO_H
#define ASSAY_CRYPTO_H

#include <stdint.h>

#include "policy/base/arena.h"
#include "policy/base/limits.h"

#define SHA256_BYTES	    32
#define SIGNATURE_BYTES_MAX (LIMIT_DKIM_RSA_BITS_MAX / 8)

struct crypto; /* MT: immutable after crypto_new() */

struct crypto *crypto_new(struct arena *a, const char **error_r); /* NULL: OpenSSL unusable */
void crypto_free(struct crypto **c);

/* A running SHA-256. MT: one thread at a time. */
struct digest;

struct digest *digest_new(const struct crypto *c);
void digest_free(struct digest **d);
void digest_update(struct digest *d, const void *bytes, size_t len);
/* to goes on where from stands; from is left as it is. */
void digest_copy(struct digest *to, const struct digest *from);
/* Ends the run and starts a new one. */
void digest_final(struct digest *d, uint8_t out[SHA256_BYTES]);

enum key_type { KEY_RSA, KEY_ED25519 };

struct public_key; /* MT: immutable to those who use it */

/*
 * RSA: DER of SubjectPublicKeyInfo or of a bare RSAPublicKey (RFC 6376 3.6.1 and its erratum); both
 * occur. Ed25519: the raw 32 bytes (RFC 8463 4.2). Heap object, or NULL when it is no such key,
 * has trailing bytes, or is beyond LIMIT_DKIM_RSA_BITS_MAX.
 */
struct public_key *public_key_new(enum key_type type, struct slice encoded);
void public_key_free(struct public_key **k);
enum key_type public_key_type(const struct public_key *k);
uint32_t public_key_bits(const struct public_key *k); /* RSA modulus; 256 for Ed25519 */

/* The same key, whatever form it came in? */
bool public_key_equal(const struct public_key *a, const struct public_key *b);

/* Does signature verify over this SHA-256 digest? False too for a signature of the wrong size. */
bool public_key_verify(const struct crypto *c, const struct public_key *k,
    const uint8_t digest[SHA256_BYTES], struct slice signature);

struct signature {
	size_t len;
	uint8_t bytes[SIGNATURE_BYTES_MAX];
};

/*
 * Who can sign, wherever the keys are: in this process (key_ring_holder()), or in another. Keys are
 * known by number. MT: any thread, for any holder.
 */
struct key_holder {
	/* 0 with *out filled, or -1 with *error_r a static text. */
	int (*sign)(void *ctx, uint32_t key, const uint8_t digest[SHA256_BYTES],
	    struct signature *out, const char **error_r);
	void *ctx;
};

#endif
