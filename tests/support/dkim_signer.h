/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         dkim_signer - signed messages for tests, made at run time
 * DESCRIPTION  A second implementation of what a verifier must undo: canonical forms byte by byte
 *              over whole texts, OpenSSL used directly. It shares no line with policy/sig, so that
 *              a misreading there doesn't hide here.
 */
#ifndef ASSAY_TEST_DKIM_SIGNER_H
#define ASSAY_TEST_DKIM_SIGNER_H

#include "policy/syntax/header.h"

struct test_key;

struct test_key *test_key_rsa(unsigned bits);
struct test_key *test_key_rsa_exponent(unsigned bits, unsigned exponent);
struct test_key *test_key_ed25519(void);
/* The same key whenever seed is the same: for what must be repeated byte for byte. */
struct test_key *test_key_rsa_seeded(unsigned bits, const char *seed);
struct test_key *test_key_ed25519_seeded(const char *seed);
void test_key_free(struct test_key **k);

/* DER: SubjectPublicKeyInfo or RSAPublicKey; for Ed25519 the raw 32 bytes both. */
struct slice test_key_spki(struct arena *a, const struct test_key *k);
struct slice test_key_bare(struct arena *a, const struct test_key *k);

/* "v=DKIM1; k=...; p=..." */
struct slice test_key_record(struct arena *a, const struct test_key *k);

/* One line of zone text; the record is cut into strings of 255 bytes. */
struct slice test_zone_txt(struct arena *a, const char *name, struct slice record);

/* Sign these 32 bytes: PKCS#1 v1.5 with SHA-256, or Ed25519. */
struct slice test_key_sign(struct arena *a, const struct test_key *k, const unsigned char *digest);

/* The canonical forms, the slow and obvious way. The field is without its final CRLF. */
struct slice test_canon_field(struct arena *a, bool relaxed, struct slice name, struct slice value);
struct slice test_canon_body(struct arena *a, bool relaxed, struct slice body);

void test_sha256(struct slice bytes, unsigned char out[32]);

/*
 * The field's value made from a template such as
 *     " v=1; a=rsa-sha256; c=relaxed/simple; d=a.example; s=sel; h=From; bh=@BH@; b=@B@"
 * by what its own c=, h= and l= say; one without @B@ stays unsigned. The field itself must not be
 * in header yet. Not only for DKIM: name is what the field will be called.
 */
struct slice test_sign(struct arena *a, const struct test_key *k, const char *name,
    struct slice template, const struct header_list *header, struct slice body);

#endif
