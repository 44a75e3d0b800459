/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         seal - one more set for the chain of a message that goes on (RFC 8617 5.1)
 * DESCRIPTION  Made at the end of the header, fed the body as it leaves, finished once with what
 * was found when the message came in. A chain that failed is sealed for the last time, the seal
 * covering its own set only (5.1.2); one that says so already, or has 50 sets, is left alone.
 * DIAGNOSTICS  -1 and a text: nothing is to be added. arc_sealer_left_alone() tells whether that is
 *              as it should be.
 * BUGS         One algorithm a set: RFC 8617 4.2.1 leaves several to a draft.
 */
#ifndef ASSAY_ARC_SEAL_H
#define ASSAY_ARC_SEAL_H

#include "policy/arc/arc.h"
#include "policy/sig/sig.h"

/* All borrowed, and good until the sealer is finished. */
struct arc_seal_job {
	const struct crypto *crypto;
	const struct key_holder *holder;
	struct sig_signing_key key;
	/*
	 * What the AMS signs besides From and DKIM-Signature. Trace fields, Authentication-Results
	 * and those of ARC are left out, whatever it says (RFC 8617 4.1.2).
	 */
	struct sig_field_choice fields;
	int64_t now_s;
};

/* The values of the three fields, as a header_field has them: leading blank, no CRLF at the end. */
struct arc_sealed {
	uint32_t instance;
	enum arc_result cv;
	struct slice results; /* ARC-Authentication-Results */
	struct slice message; /* ARC-Message-Signature */
	struct slice seal;    /* ARC-Seal, which goes on top of the others */
};

struct arc_sealer;

/* header: as the message will have it; fields that are signed by no AMS may still go or come. */
struct arc_sealer *arc_sealer_new(
    struct arena *a, const struct arc_seal_job *job, const struct header_list *header);
/* Why no set can be added, known from the header alone: NULL, or static text. */
const char *arc_sealer_left_alone(const struct arc_sealer *s);
/* Is the newest set of the chain of the same d= as this key: an earlier hop of ours? */
bool arc_sealer_continues(const struct arc_sealer *s);
void arc_sealer_body(struct arc_sealer *s, struct slice chunk);
/*
 * found: the status of the chain as it came in. results: what an Authentication-Results field would
 * hold, authserv-id first, in wire form. *out is arena memory. Once.
 */
int arc_sealer_finish(struct arc_sealer *s, enum arc_result found, struct slice results,
    struct arc_sealed *out, const char **error_r) __attribute__((warn_unused_result));
/* Frees digests. *s becomes NULL; NULL is accepted. Must come before the arena is reset. */
void arc_sealer_fini(struct arc_sealer **s);

#endif
