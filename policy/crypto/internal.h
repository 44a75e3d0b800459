/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         internal - what the files of policy/crypto share and nobody else sees
 */
#ifndef ASSAY_CRYPTO_INTERNAL_H
#define ASSAY_CRYPTO_INTERNAL_H

#include <openssl/evp.h>

#include "policy/crypto/crypto.h"

struct crypto {
	EVP_MD *sha256; /* fetched: an implicit fetch at each use costs more than a small digest */
};

/* An odd exponent from 3 to 64 bits: more would make each verification cost like a signature. */
bool rsa_exponent_is_sane(const EVP_PKEY *pkey);

/*
 * RFC 6376 3.6.1 says RSAPublicKey, its examples (and erratum 3017) SubjectPublicKeyInfo; both are
 * in the DNS. NULL: not exactly one such key, or one beyond the limits (LIMIT_DKIM_RSA_BITS_MAX,
 * the exponent above). The caller's to free. May leave errors in OpenSSL's queue. MT: re-entrant.
 */
EVP_PKEY *rsa_public_decode(struct slice encoded);

#endif
