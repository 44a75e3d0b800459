/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         dkim_lab - keys, zone and a message for tests of DKIM
 */
#ifndef ASSAY_TEST_DKIM_LAB_H
#define ASSAY_TEST_DKIM_LAB_H

#include "policy/dkim/dkim.h"
#include "tests/support/message.h"
#include "tests/support/support.h"

#define DKIM_LAB_NOW_S 1000000
#define TEXT_MAX       (16u * 1024 * 1024) /* an arena, a buffer */
#define COUNT(rows)    (sizeof(rows) / sizeof((rows)[0]))

/* Ends a template for dkim_lab_sign(). */
#define SIGNED "; bh=@BH@; b=@B@"

/* Keys of 1024 and 512 bits and one of Ed25519: cmocka group set-up and tear-down. */
int dkim_lab_open(void **state);
int dkim_lab_close(void **state);

/*
 * Zone text in which the selectors rsa, small and ed hold those keys under a.example and some other
 * domains, slow times out, and x holds record, in which "@" stands for the RSA key in base64.
 */
const char *dkim_lab_zone(struct arena *a, const char *record);

/* test_sign() with the key that the template's s= names. */
struct slice dkim_lab_sign(struct arena *a, const char *template, const struct test_message *m);

/* A field above all others, as signers put it. */
void dkim_lab_prepend(
    struct arena *a, struct test_message *m, const char *name, struct slice value);

extern const struct dkim_options dkim_lab_options;

/* The whole message, its body in pieces; the author domain is a.example. */
void dkim_lab_verify(
    struct world *w, const struct test_message *m, size_t piece, struct dkim_verdict *out);

/* A message from a.example; its canonical body has 21 bytes in simple, 19 in relaxed. */
extern const char dkim_lab_message[];

/* text with the first occurrence of from made to; from must occur. */
const char *dkim_lab_replace(struct arena *a, const char *text, const char *from, const char *to);

#endif
