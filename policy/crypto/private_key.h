/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         private_key - keys to sign with, in this process
 * DESCRIPTION  Only who reads, makes or holds keys includes this. Signers see struct key_holder
 *              (crypto.h) and never a key: includes_check.sh keeps policy/sig and the methods away.
 */
#ifndef ASSAY_CRYPTO_PRIVATE_KEY_H
#define ASSAY_CRYPTO_PRIVATE_KEY_H

#include "policy/crypto/crypto.h"

#define PRIVATE_KEY_FILE_BYTES (64 * 1024) /* what a key file may have; ours */

struct private_key; /* MT: immutable */

/*
 * text: PEM, or DER; RSA as PKCS#1 or PKCS#8, Ed25519 as PKCS#8 (RFC 8410), not encrypted. An RSA
 * key has LIMIT_DKIM_RSA_BITS_MIN to _MAX bits (RFC 8301 3.2). That the key signs what its own
 * public part verifies was tried. Heap object; NULL with *error_r a static text that goes on behind
 * the file's name ("is encrypted").
 */
struct private_key *private_key_read(
    const struct crypto *c, struct slice text, const char **error_r);

/* bits: of an RSA modulus; not looked at for Ed25519. NULL: OpenSSL can't. */
struct private_key *private_key_generate(enum key_type type, uint32_t bits);
void private_key_free(struct private_key **k); /* memory is wiped */

enum key_type private_key_type(const struct private_key *k);
uint32_t private_key_bits(const struct private_key *k); /* RSA modulus; 256 for Ed25519 */

/* What p= of the key record holds, decoded: DER of SubjectPublicKeyInfo (RFC 6376 3.6.1, erratum
 * 3017), or the raw 32 bytes (RFC 8463 4.2). Arena memory. */
struct slice private_key_public(struct arena *a, const struct private_key *k);

/* PKCS#8 in PEM, not encrypted. Heap text, *len_r bytes and a NUL: wiped and freed by
 * private_key_pem_free(). */
char *private_key_pem(const struct private_key *k, size_t *len_r);
void private_key_pem_free(char **pem, size_t len);

/* RSA PKCS#1 v1.5 over, or PureEdDSA of, the SHA-256 digest (RFC 6376 3.3.2, RFC 8463 3). 0, or
 * -1: OpenSSL failed. MT: any thread. */
int private_key_sign(const struct crypto *c, const struct private_key *k,
    const uint8_t digest[SHA256_BYTES], struct signature *out);

/* ---- the plainest holder: keys in this process ---- */

struct key_ring; /* MT: immutable once all keys are added */

struct key_ring *key_ring_new(const struct crypto *c);
void key_ring_free(struct key_ring **r); /* and its keys */
/* Takes k. Returns its number: 0, 1, ... */
uint32_t key_ring_add(struct key_ring *r, struct private_key *k);
/* Good as long as the ring. */
struct key_holder key_ring_holder(const struct key_ring *r);

#endif
