/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         sign - DKIM-Signature fields for mail of our own (RFC 6376 section 5)
 * DESCRIPTION  One signer a message: made at the end of the header, fed the body, finished into one
 *              field value for each key. Keys of any mix of domains, selectors and algorithms sign
 *              over the same digest of the body.
 *              dkim_message_signer_* does the same for a raw message.
 * DIAGNOSTICS  -1 and a text: the header can't be signed, or the key holder failed. No field is
 *              given then.
 * BUGS         l= is never written: it lets anybody add to the message (RFC 6376 8.2).
 */
#ifndef ASSAY_DKIM_SIGN_H
#define ASSAY_DKIM_SIGN_H

#include "policy/sig/sig.h"

struct dkim_sign_options {
	enum sig_canon header_canon, body_canon;
	struct sig_field_choice fields; /* From is signed in any case */
	bool timestamp;			/* t= */
	uint32_t expire_s;		/* x=, that much after now, with t= before it; 0: none */
	struct slice identity;		/* i=, within d= of every key; empty: none */
};

/* relaxed/relaxed, t=, no x=; the names of RFC 6376 5.4.1, oversigned where an added one would
 * change what a reader sees. */
extern const struct dkim_sign_options dkim_sign_default;

/* All borrowed, and good until the signer is finished. */
struct dkim_sign_job {
	const struct crypto *crypto;
	const struct key_holder *holder;
	const struct dkim_sign_options *options;
	const struct sig_signing_key *keys;
	size_t key_count;
	int64_t now_s;
};

struct dkim_signer;

struct dkim_signer *dkim_signer_new(
    struct arena *a, const struct dkim_sign_job *job, const struct header_list *header);
void dkim_signer_body(struct dkim_signer *s, struct slice chunk);
/* Sign with these, and not with the job's: where it is known only at the end which keys are good.
 */
void dkim_signer_use(struct dkim_signer *s, const struct sig_signing_key *keys, size_t key_count);
/*
 * values: room for key_count. Each becomes what stands behind "DKIM-Signature:", arena memory: a
 * leading blank, folds as CR LF TAB, no CRLF at the end. Once.
 */
int dkim_signer_finish(struct dkim_signer *s, struct slice *values, const char **error_r)
    __attribute__((warn_unused_result));
/* Frees digests. *s becomes NULL; NULL is accepted. Must come before the arena is reset. */
void dkim_signer_fini(struct dkim_signer **s);

/* ---- a raw message, in pieces (sign_message.c) ---- */

struct dkim_message_signer;

struct dkim_message_signer *dkim_message_signer_new(
    struct arena *a, const struct dkim_sign_job *job);
/* -1: *error_r, static text: beyond a limit of the header. */
int dkim_message_signer_feed(struct dkim_message_signer *s, struct slice bytes,
    const char **error_r) __attribute__((warn_unused_result));
/*
 * *fields_r: whole fields, to be put before the first line of the message; lines end as those of
 * the message do (message.h: CR LF, or LF alone). Arena memory. Once.
 */
int dkim_message_signer_finish(struct dkim_message_signer *s, struct slice *fields_r,
    const char **error_r) __attribute__((warn_unused_result));
void dkim_message_signer_fini(struct dkim_message_signer **s);

/* All three, for a message in memory. */
int dkim_sign_message(struct arena *a, const struct dkim_sign_job *job, struct slice message,
    struct slice *fields_r, const char **error_r) __attribute__((warn_unused_result));

#endif
