/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/null_work.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <stdint.h>
#include <stdlib.h>

#include "policy/base/bug.h"

#define DIGEST_BYTES 32

struct null_key {
	EVP_MD *sha256;
	EVP_PKEY *pkey;
	uint8_t digest[DIGEST_BYTES], signature[256];
};

struct null_message {
	const struct null_key *key;
	EVP_MD_CTX *body;
	EVP_PKEY_CTX *verify;
};

struct null_key *
null_key_new(void)
{
	struct null_key *k = heap_alloc(1, sizeof(*k));
	EVP_PKEY_CTX *ctx;
	size_t len = sizeof(k->signature);

	k->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	k->pkey = EVP_RSA_gen(2048);
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
	if (k->sha256 == NULL || ctx == NULL || EVP_PKEY_sign_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(ctx, k->sha256) != 1 ||
	    EVP_PKEY_sign(ctx, k->signature, &len, k->digest, sizeof(k->digest)) != 1)
		bug("null filter: no key");
	EVP_PKEY_CTX_free(ctx);
	return k;
}

struct null_message *
null_message_new(const struct null_key *k)
{
	struct null_message *m = heap_alloc(1, sizeof(*m));

	m->key = k;
	m->body = EVP_MD_CTX_new();
	m->verify = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
	if (m->body == NULL || m->verify == NULL ||
	    EVP_DigestInit_ex2(m->body, k->sha256, NULL) != 1 ||
	    EVP_PKEY_verify_init(m->verify) != 1 ||
	    EVP_PKEY_CTX_set_rsa_padding(m->verify, RSA_PKCS1_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(m->verify, k->sha256) != 1)
		bug("null filter: OpenSSL refuses");
	return m;
}

void
null_message_free(struct null_message **m)
{
	if (*m == NULL)
		return;
	EVP_MD_CTX_free((*m)->body);
	EVP_PKEY_CTX_free((*m)->verify);
	free(*m);
	*m = NULL;
}

void
null_message_body(struct null_message *m, const void *bytes, size_t len)
{
	if (EVP_DigestUpdate(m->body, bytes, len) != 1)
		bug("null filter: no digest");
}

void
null_message_end(struct null_message *m)
{
	uint8_t digest[DIGEST_BYTES];

	if (EVP_DigestFinal_ex(m->body, digest, NULL) != 1 ||
	    EVP_DigestInit_ex2(m->body, NULL, NULL) != 1 ||
	    EVP_PKEY_verify(m->verify, m->key->signature, sizeof(m->key->signature), m->key->digest,
		sizeof(m->key->digest)) != 1)
		bug("null filter: the signature does not verify");
}
