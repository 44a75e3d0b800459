/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/dkim_signer.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "policy/base/strbuf.h"
#include "policy/syntax/base64.h"
#include "tests/support/support.h"

#define TEXT_MAX (64u * 1024 * 1024)

struct test_key {
	EVP_PKEY *pkey;
	bool rsa;
};

static struct test_key *
key_of(EVP_PKEY *pkey, bool rsa)
{
	struct test_key *k = calloc(1, sizeof(*k));

	if (k == NULL || pkey == NULL)
		fail_msg("can't make a key");
	k->pkey = pkey;
	k->rsa = rsa;
	return k;
}

struct test_key *
test_key_rsa_exponent(unsigned bits, unsigned exponent)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	BIGNUM *e = BN_new();
	EVP_PKEY *pkey = NULL;

	if (ctx == NULL || e == NULL || BN_set_word(e, exponent) != 1 ||
	    EVP_PKEY_keygen_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) != 1 ||
	    EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) != 1 || EVP_PKEY_generate(ctx, &pkey) != 1)
		fail_msg("can't make an RSA key of %u bits", bits);
	BN_free(e);
	EVP_PKEY_CTX_free(ctx);
	return key_of(pkey, true);
}

struct test_key *
test_key_rsa(unsigned bits)
{
	return test_key_rsa_exponent(bits, 65537);
}

struct test_key *
test_key_ed25519(void)
{
	return key_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), false);
}

struct test_key *
test_key_ed25519_seeded(const char *seed)
{
	unsigned char raw[32];

	test_sha256(slice_str(seed), raw);
	return key_of(
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw, sizeof(raw)), false);
}

/* The first prime from a number on that the seed says, its two highest bits set, with which 65537
 * is an exponent. */
static BIGNUM *
seeded_prime(unsigned bits, const char *seed, unsigned number, BN_CTX *ctx)
{
	unsigned char bytes[512];
	BIGNUM *p;

	for (unsigned at = 0; at < bits / 8; at += 32) {
		char text[128];

		(void)snprintf(text, sizeof(text), "%s/%u/%u", seed, number, at);
		test_sha256(slice_str(text), bytes + at);
	}
	bytes[0] |= 0xc0;
	bytes[bits / 8 - 1] |= 1;
	p = BN_bin2bn(bytes, (int)(bits / 8), NULL);
	while (p != NULL && (BN_mod_word(p, 65537) == 1 || BN_check_prime(p, ctx, NULL) != 1))
		if (BN_add_word(p, 2) != 1)
			fail_msg("can't look for a prime");
	return p;
}

/* (p - 1)(q - 1), of which the private exponent is the inverse of e. */
static BIGNUM *
private_exponent(const BIGNUM *p, const BIGNUM *q, const BIGNUM *e, BN_CTX *ctx)
{
	BIGNUM *p1 = BN_dup(p), *q1 = BN_dup(q), *phi = BN_new(), *d;

	if (BN_sub_word(p1, 1) != 1 || BN_sub_word(q1, 1) != 1 || BN_mul(phi, p1, q1, ctx) != 1)
		fail_msg("can't make an RSA key");
	d = BN_mod_inverse(NULL, e, phi, ctx);
	BN_free(p1);
	BN_free(q1);
	BN_free(phi);
	return d;
}

struct test_key *
test_key_rsa_seeded(unsigned bits, const char *seed)
{
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *p = seeded_prime(bits / 2, seed, 1, ctx), *q = seeded_prime(bits / 2, seed, 2, ctx);
	BIGNUM *e = BN_new(), *n = BN_new(), *d;
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params;
	EVP_PKEY_CTX *key_ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *pkey = NULL;

	if (BN_set_word(e, 65537) != 1 || BN_mul(n, p, q, ctx) != 1)
		fail_msg("can't make an RSA key");
	d = private_exponent(p, q, e, ctx);
	(void)OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n);
	(void)OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e);
	(void)OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_D, d);
	params = OSSL_PARAM_BLD_to_param(bld);
	if (EVP_PKEY_fromdata_init(key_ctx) != 1 ||
	    EVP_PKEY_fromdata(key_ctx, &pkey, EVP_PKEY_KEYPAIR, params) != 1)
		fail_msg("can't make an RSA key of %u bits", bits);
	EVP_PKEY_CTX_free(key_ctx);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	BN_free(p);
	BN_free(q);
	BN_free(e);
	BN_free(n);
	BN_free(d);
	BN_CTX_free(ctx);
	return key_of(pkey, true);
}

void
test_key_free(struct test_key **k)
{
	if (*k == NULL)
		return;
	EVP_PKEY_free((*k)->pkey);
	free(*k);
	*k = NULL;
}

static struct slice
take_der(struct arena *a, unsigned char *der, int len)
{
	struct slice copy;

	if (len <= 0)
		fail_msg("can't encode a key");
	copy = arena_copy(a, slice_of((const char *)der, (size_t)len));
	OPENSSL_free(der);
	return copy;
}

struct slice
test_key_bare(struct arena *a, const struct test_key *k)
{
	unsigned char raw[32], *der = NULL;
	size_t len = sizeof(raw);

	if (k->rsa) {
		int der_len = i2d_PublicKey(k->pkey, &der); /* before der is read: it is set here */

		return take_der(a, der, der_len);
	}
	if (EVP_PKEY_get_raw_public_key(k->pkey, raw, &len) != 1)
		fail_msg("can't read a public key");
	return arena_copy(a, slice_of((const char *)raw, len));
}

struct slice
test_key_spki(struct arena *a, const struct test_key *k)
{
	unsigned char *der = NULL;
	int len;

	if (!k->rsa)
		return test_key_bare(a, k);
	len = i2d_PUBKEY(k->pkey, &der);
	return take_der(a, der, len);
}

struct slice
test_key_record(struct arena *a, const struct test_key *k)
{
	struct slice p = base64_encode(a, test_key_spki(a, k));

	return slice_str(
	    arena_printf(a, "v=DKIM1; k=%s; p=%.*s", k->rsa ? "rsa" : "ed25519", SLICE_ARG(p)));
}

struct slice
test_zone_txt(struct arena *a, const char *name, struct slice record)
{
	struct strbuf b;

	strbuf_init(&b, a, TEXT_MAX);
	strbuf_printf(&b, "%s TXT 300", name);
	for (size_t i = 0; i == 0 || i < record.len; i += 255) {
		struct slice part = slice_sub(record, i, 255);

		strbuf_str(&b, " \"");
		strbuf_add(&b, part);
		strbuf_char(&b, '"');
	}
	strbuf_char(&b, '\n');
	return strbuf_slice(&b);
}

struct slice
test_key_sign(struct arena *a, const struct test_key *k, const unsigned char *digest)
{
	unsigned char out[2048];
	size_t len = sizeof(out);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k->pkey, NULL);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool good;

	if (k->rsa)
		good = EVP_PKEY_sign_init(ctx) == 1 &&
		    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
		    EVP_PKEY_sign(ctx, out, &len, digest, 32) == 1;
	else
		good = EVP_DigestSignInit(md, NULL, NULL, NULL, k->pkey) == 1 &&
		    EVP_DigestSign(md, out, &len, digest, 32) == 1;
	if (!good)
		fail_msg("can't sign");
	EVP_MD_CTX_free(md);
	EVP_PKEY_CTX_free(ctx);
	return arena_copy(a, slice_of((const char *)out, len));
}

void
test_sha256(struct slice bytes, unsigned char out[32])
{
	if (EVP_Q_digest(NULL, "SHA256", NULL, bytes.p, bytes.len, out, NULL) != 1)
		fail_msg("no SHA-256");
}

/* s with each run of SP and TAB as one SP, and none at the end. */
static void
add_compressed(struct strbuf *b, struct slice s)
{
	while (s.len > 0 && ascii_is_wsp(s.p[s.len - 1]))
		s.len--;
	for (size_t i = 0; i < s.len; i++) {
		if (!ascii_is_wsp(s.p[i]))
			strbuf_char(b, s.p[i]);
		else if (i == 0 || !ascii_is_wsp(s.p[i - 1]))
			strbuf_char(b, ' ');
	}
}

struct slice
test_canon_field(struct arena *a, bool relaxed, struct slice name, struct slice value)
{
	struct strbuf b, unfolded;

	strbuf_init(&b, a, TEXT_MAX);
	strbuf_init(&unfolded, a, TEXT_MAX);
	if (!relaxed) {
		strbuf_add(&b, name);
		strbuf_char(&b, ':');
		strbuf_add(&b, value);
		return strbuf_slice(&b);
	}
	while (name.len > 0 && ascii_is_wsp(name.p[name.len - 1]))
		name.len--;
	strbuf_add(&b, arena_copy_lower(a, name));
	strbuf_char(&b, ':');
	for (size_t i = 0; i < value.len; i++) {
		if (i + 1 < value.len && value.p[i] == '\r' && value.p[i + 1] == '\n')
			i++;
		else
			strbuf_char(&unfolded, value.p[i]);
	}
	value = strbuf_slice(&unfolded);
	while (value.len > 0 && ascii_is_wsp(value.p[0]))
		value = slice_from(value, 1);
	add_compressed(&b, value);
	return strbuf_slice(&b);
}

struct slice
test_canon_body(struct arena *a, bool relaxed, struct slice body)
{
	struct strbuf b;
	struct slice out;

	strbuf_init(&b, a, TEXT_MAX);
	while (body.len > 0) {
		const char *end = memmem(body.p, body.len, "\r\n", 2);
		struct slice line = slice_sub(
		    body, 0, end == NULL ? body.len : (size_t)(end - body.p));

		body = slice_from(body, line.len + 2);
		if (relaxed)
			add_compressed(&b, line);
		else
			strbuf_add(&b, line);
		strbuf_str(&b, "\r\n");
	}
	out = strbuf_slice(&b);
	while (out.len >= 4 && memcmp(out.p + out.len - 4, "\r\n\r\n", 4) == 0)
		out.len -= 2;
	if (slice_equal(out, SLICE("\r\n")) || out.len == 0)
		out = relaxed ? SLICE("") : SLICE("\r\n");
	return out;
}

/* The value of a tag, found by its "name=" at the start of the list or behind a ";". */
static struct slice
tag(struct slice list, const char *name)
{
	struct slice piece;

	while (slice_next(&list, ';', &piece)) {
		size_t equals = slice_find(piece, '=');

		if (equals != SLICE_NONE &&
		    slice_equal(slice_trim(slice_sub(piece, 0, equals)), slice_str(name)))
			return slice_trim(slice_from(piece, equals + 1));
	}
	return slice_of("", 0);
}

static struct slice
replace(struct arena *a, struct slice text, const char *mark, struct slice with)
{
	const char *at = memmem(text.p, text.len, mark, strlen(mark));
	struct strbuf b;

	if (at == NULL)
		return text;
	strbuf_init(&b, a, TEXT_MAX);
	strbuf_add(&b, slice_sub(text, 0, (size_t)(at - text.p)));
	strbuf_add(&b, with);
	strbuf_add(&b, slice_from(text, (size_t)(at - text.p) + strlen(mark)));
	return strbuf_slice(&b);
}

/* RFC 6376 5.4.2: the n-th mention of a name is the n-th field of that name from below. */
static void
add_signed_field(struct strbuf *b, const struct header_list *header, struct slice name,
    size_t mention, bool relaxed)
{
	for (size_t i = header->count; i-- > 0;) {
		const struct header_field *f = &header->fields[i];

		if (!slice_equal_nocase(slice_trim(f->name), name) || mention-- > 0)
			continue;
		strbuf_add(b, test_canon_field(b->arena, relaxed, f->name, f->value));
		strbuf_str(b, "\r\n");
		return;
	}
}

static size_t
mentions_before(struct slice list, struct slice at)
{
	size_t n = 0;
	struct slice name;

	list.len = (size_t)(at.p - list.p);
	while (slice_next(&list, ':', &name))
		n += slice_equal_nocase(slice_trim(name), slice_trim(at));
	return n;
}

/* RFC 6376 3.7: what is hashed has b= "(including all surrounding whitespace) deleted". */
static struct slice
without_b(struct arena *a, struct slice value)
{
	const char *at = memmem(value.p, value.len, "@B@", 3), *end;
	struct strbuf b;

	assert_non_null(at);
	end = at + 3;
	while (at > value.p && ascii_is_space(at[-1]))
		at--;
	while (end < value.p + value.len && ascii_is_space(*end))
		end++;
	strbuf_init(&b, a, TEXT_MAX);
	strbuf_add(&b, slice_sub(value, 0, (size_t)(at - value.p)));
	strbuf_add(&b, slice_from(value, (size_t)(end - value.p)));
	return strbuf_slice(&b);
}

struct slice
test_sign(struct arena *a, const struct test_key *k, const char *name, struct slice template,
    const struct header_list *header, struct slice body)
{
	struct slice c = tag(template, "c"), h = tag(template, "h"), l = tag(template, "l");
	struct slice hashed = test_canon_body(a, slice_ends_nocase(c, SLICE("/relaxed")), body);
	bool relaxed = slice_starts(c, SLICE("relaxed"));
	struct slice value, names = h, field;
	unsigned char digest[32];
	struct strbuf b;

	if (l.len > 0)
		hashed = slice_sub(hashed, 0, strtoul(arena_str(a, l), NULL, 10));
	test_sha256(hashed, digest);
	value = replace(
	    a, template, "@BH@", base64_encode(a, slice_of((const char *)digest, sizeof(digest))));
	if (memmem(value.p, value.len, "@B@", 3) == NULL)
		return value;
	strbuf_init(&b, a, TEXT_MAX);
	while (slice_next(&names, ':', &field))
		add_signed_field(&b, header, slice_trim(field), mentions_before(h, field), relaxed);
	strbuf_add(&b, test_canon_field(a, relaxed, slice_str(name), without_b(a, value)));
	test_sha256(strbuf_slice(&b), digest);
	return replace(a, value, "@B@", base64_encode(a, test_key_sign(a, k, digest)));
}
