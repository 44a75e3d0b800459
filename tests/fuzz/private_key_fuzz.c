/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private keys, PEM and DER. Asserts that there is a key or a text that says why not, that a key
 * that was read signs what its public part verifies, and that it comes back from its own PEM.
 */
#include <stdint.h>
#include <stdlib.h>

#include "policy/base/bug.h"
#include "policy/crypto/private_key.h"

static const struct crypto *
crypto_once(void)
{
	static struct crypto *crypto;
	static struct arena *a; /* for what would go wrong */
	const char *error = "?";

	if (crypto == NULL) {
		a = arena_new(4096);
		crypto = crypto_new(a, &error);
	}
	if (crypto == NULL)
		bug("no crypto: %s", error);
	return crypto;
}

static void
check_key(struct arena *a, const struct private_key *k)
{
	const uint8_t digest[SHA256_BYTES] = { 7 };
	struct slice public = private_key_public(a, k);
	struct public_key *p = public_key_new(private_key_type(k), public);
	struct private_key *again;
	struct signature s;
	const char *error;
	size_t len;
	char *pem;

	if (p == NULL || public_key_bits(p) != private_key_bits(k))
		bug("a public part that is none");
	if (private_key_sign(crypto_once(), k, digest, &s) != 0 ||
	    !public_key_verify(crypto_once(), p, digest, slice_of((const char *)s.bytes, s.len)))
		bug("signed, and does not verify");
	pem = private_key_pem(k, &len);
	again = private_key_read(crypto_once(), slice_of(pem, len), &error);
	if (again == NULL || !slice_equal(private_key_public(a, again), public))
		bug("does not come back");
	private_key_free(&again);
	private_key_pem_free(&pem, len);
	public_key_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(65536);
	const char *error = NULL;
	struct private_key *k = private_key_read(
	    crypto_once(), slice_of((const char *)data, size), &error);

	if ((k == NULL) != (error != NULL))
		bug("neither a key nor why not");
	if (k != NULL)
		check_key(a, k);
	private_key_free(&k);
	arena_free(&a);
	return 0;
}
