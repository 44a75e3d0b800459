/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         failure_redact - header fields without the people in them (RFC 6590; RFC 5965 8.5)
 * DESCRIPTION  Of fields that tell how a message travelled and was authenticated the value is kept,
 *              of those with addresses the addresses, but for their local parts; of every other
 *              field only the name. What stands for a local part is made with a key, so that one
 *              person is the same word throughout and nobody can tell who. Recipients' local parts
 *              are looked for as words by themselves, too ("for jane;"). Display names, encoded
 *              words and parameters of Content-Type go altogether.
 *
 *              Of signatures what a verifier needs is kept, b= and bh= to the byte.
 */
#ifndef ASSAY_REPORT_FAILURE_REDACT_H
#define ASSAY_REPORT_FAILURE_REDACT_H

#include "policy/base/strbuf.h"
#include "policy/syntax/header.h"
#include "report/failure.h"

#define REDACTED "[redacted]"

struct redaction {
	struct arena *arena;
	const uint8_t *key;
	const struct slice *recipients; /* local parts */
	size_t recipient_count;
};

/* recipients: addresses as they came in RCPT TO. */
void redaction_init(struct redaction *r, struct arena *a, const uint8_t key[HASH_KEY_BYTES],
    const struct slice *recipients, size_t count);

/* What stands for a local part: "r-" and 13 letters and digits. */
struct slice redact_local_part(const struct redaction *r, struct slice local_part);

/* Local parts of addresses, and recipients' as words, replaced. Arena memory. */
struct slice redact_text(const struct redaction *r, struct slice text);

/* The value of a field as it may be told: see DESCRIPTION. Wire form. */
struct slice redact_field(const struct redaction *r, struct slice name, struct slice value);

#endif
