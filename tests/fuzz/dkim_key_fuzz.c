/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key records, down to the ASN.1 of RSA keys (RFC 6376 8.8): the input is tried as a record, and
 * its bytes behind the first as a key of either type. Asserts that there is a key exactly when
 * nothing is against it, that a fault has a text, that sizes are within bounds, and that an RSA key
 * which was taken is one to OpenSSL's decoders as well.
 */
#include <stdint.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "policy/base/bug.h"
#include "policy/base/limits.h"
#include "policy/sig/sig.h"

static void
check_key(const struct public_key *k)
{
	if (public_key_bits(k) == 0 || public_key_bits(k) > LIMIT_DKIM_RSA_BITS_MAX ||
	    (public_key_type(k) == KEY_ED25519 && public_key_bits(k) != 256))
		bug("%u bits", public_key_bits(k));
}

static void
check_by_openssl(const struct public_key *k, struct slice encoded)
{
	const unsigned char *start = (const unsigned char *)encoded.p, *p = start;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)encoded.len);

	if (pkey == NULL) {
		p = start;
		pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, (long)encoded.len);
	}
	if (pkey == NULL || p != start + encoded.len ||
	    EVP_PKEY_get_bits(pkey) != (int)public_key_bits(k))
		bug("OpenSSL does not take it for a key of %u bits", public_key_bits(k));
	EVP_PKEY_free(pkey);
	ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(4u * 1024 * 1024);
	struct slice text = slice_of((const char *)data, size);
	struct sig_key k = sig_key_parse(a, text);
	struct public_key *raw;

	if ((k.key != NULL) != (k.fault == SIG_VERIFIED))
		bug("a fault and a key");
	if ((k.fault_text != NULL) != (k.fault != SIG_VERIFIED))
		bug("a fault without a text");
	if (k.key != NULL)
		check_key(k.key);
	sig_key_fini(&k);
	if (size > 0) {
		raw = public_key_new(data[0] % 2 == 0 ? KEY_RSA : KEY_ED25519, slice_from(text, 1));
		if (raw != NULL)
			check_key(raw);
		if (raw != NULL && public_key_type(raw) == KEY_RSA)
			check_by_openssl(raw, slice_from(text, 1));
		public_key_free(&raw);
	}
	arena_free(&a);
	return 0;
}
