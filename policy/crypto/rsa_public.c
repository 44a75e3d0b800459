/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         rsa_public - RSA public keys as they stand in the DNS
 * DESCRIPTION  OpenSSL 3 finds out what a key is by trying decoder after decoder: 107 us, and locks
 *              that all threads share, for a key whose verification takes 15. So what all keys look
 *              like is taken apart here and handed over as two numbers: 4 us. Whatever looks
 *              otherwise goes to the decoders as before: which keys are good does not change.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/x509.h>

#include "policy/base/limits.h"
#include "policy/crypto/internal.h"

/*
 * The largest modulus, its exponent and the ASN.1 around both. What is longer is not even looked
 * at: what it would cost is the sender's to choose.
 */
#define RSA_KEY_BYTES_MAX (LIMIT_DKIM_RSA_BITS_MAX / 8 + 128)

#define TAG_INTEGER    0x02
#define TAG_BIT_STRING 0x03
#define TAG_SEQUENCE   0x30

/*
 * The first element of *rest if it has that tag and a length of one of the forms that such a key
 * needs (X.690 8.1.3: up to 127, or one or two bytes): its contents. *rest moves behind it.
 */
static bool
take_element(struct slice *rest, unsigned char tag, struct slice *contents_r)
{
	const unsigned char *p = (const unsigned char *)rest->p;
	size_t head = 2, len;

	if (rest->len < 2 || p[0] != tag)
		return false;
	len = p[1];
	if (len >= 0x80) {
		head += len & 0x7f;
		if (head < 3 || head > 4 || rest->len < head)
			return false;
		len = head == 3 ? p[2] : (size_t)p[2] << 8 | p[3];
	}
	if (rest->len - head < len)
		return false;
	*contents_r = slice_sub(*rest, head, len);
	*rest = slice_from(*rest, head + len);
	return true;
}

/* The same, with nothing behind it. */
static bool
take_whole(struct slice whole, unsigned char tag, struct slice *contents_r)
{
	return take_element(&whole, tag, contents_r) && whole.len == 0;
}

/* The RSAPublicKey in a SubjectPublicKeyInfo (RFC 3279 2.3.1). */
static bool
open_spki(struct slice spki, struct slice *key_r)
{
	/* rsaEncryption, NULL */
	static const char algorithm[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
	struct slice info, id, bits;

	if (!take_whole(spki, TAG_SEQUENCE, &info) || !take_element(&info, TAG_SEQUENCE, &id) ||
	    !slice_equal(id, slice_of(algorithm, sizeof(algorithm) - 1)) ||
	    !take_whole(info, TAG_BIT_STRING, &bits) || bits.len < 1 || bits.p[0] != 0)
		return false;
	*key_r = slice_from(bits, 1);
	return true;
}

/* As OpenSSL wants a number in a parameter; false: one that its decoder had better look at. */
static bool
number(struct slice contents, unsigned char native[RSA_KEY_BYTES_MAX])
{
	BIGNUM *n;
	bool good;

	if (contents.len == 0 || (unsigned char)contents.p[0] > 0x7f)
		return false;
	n = BN_bin2bn((const unsigned char *)contents.p, (int)contents.len, NULL);
	good = n != NULL && BN_bn2nativepad(n, native, (int)contents.len) > 0;
	BN_free(n);
	return good;
}

/* A key of the usual form, or NULL. */
static EVP_PKEY *
take_apart(struct slice encoded)
{
	unsigned char n[RSA_KEY_BYTES_MAX], e[RSA_KEY_BYTES_MAX];
	struct slice key, numbers, modulus, exponent;
	EVP_PKEY_CTX *ctx;
	EVP_PKEY *pkey = NULL;

	if (!open_spki(encoded, &key))
		key = encoded;
	if (!take_whole(key, TAG_SEQUENCE, &numbers) ||
	    !take_element(&numbers, TAG_INTEGER, &modulus) ||
	    !take_whole(numbers, TAG_INTEGER, &exponent) || !number(modulus, n) ||
	    !number(exponent, e))
		return NULL;
	ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1) {
		OSSL_PARAM parts[] = {
			OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, modulus.len),
			OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e, exponent.len),
			OSSL_PARAM_construct_end(),
		};

		(void)EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, parts);
	}
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

/* By OpenSSL's decoders; the whole of the bytes must be the key. */
static EVP_PKEY *
decode(struct slice encoded)
{
	const unsigned char *start = (const unsigned char *)encoded.p, *p = start;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)encoded.len);

	if (pkey == NULL) {
		p = start;
		pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, (long)encoded.len);
	}
	if (pkey != NULL && p == start + encoded.len)
		return pkey;
	EVP_PKEY_free(pkey);
	return NULL;
}

bool
rsa_exponent_is_sane(const EVP_PKEY *pkey)
{
	BIGNUM *e = NULL;
	bool sane;

	if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
		return false;
	sane = !BN_is_negative(e) && BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(e) <= 64;
	BN_free(e);
	return sane;
}

EVP_PKEY *
rsa_public_decode(struct slice encoded)
{
	EVP_PKEY *pkey;

	if (encoded.len == 0 || encoded.len > RSA_KEY_BYTES_MAX)
		return NULL;
	pkey = take_apart(encoded);
	if (pkey == NULL)
		pkey = decode(encoded);
	if (pkey == NULL)
		return NULL;
	if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA && EVP_PKEY_get_bits(pkey) > 0 &&
	    EVP_PKEY_get_bits(pkey) <= LIMIT_DKIM_RSA_BITS_MAX && rsa_exponent_is_sane(pkey))
		return pkey;
	EVP_PKEY_free(pkey);
	return NULL;
}
