/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         arc - Authenticated Received Chain, validation, RFC 8617; seal.h makes sets
 * DESCRIPTION  As dkim.h: made at the end of the header, fed the body, finished once.
 */
#ifndef ASSAY_ARC_H
#define ASSAY_ARC_H

#include "policy/base/enumtab.h"
#include "policy/crypto/crypto.h"
#include "policy/dns/dns.h"
#include "policy/syntax/header.h"

/* clang-format off */
#define ARC_RESULTS(X) /* RFC 8617 4.4, RFC 8601 2.7 */ \
	X(ARC_NONE, "none") \
	X(ARC_PASS, "pass") \
	X(ARC_FAIL, "fail")
/* clang-format on */

enum arc_result { ARC_RESULTS(ENUMTAB_NAME) };
const char *arc_result_word(enum arc_result);

struct arc_options {
	uint32_t min_rsa_bits;
	uint32_t clock_skew_s;
};

/* One set of a chain that passed. Slices as in the header. */
struct arc_seal {
	struct slice domain, selector; /* d= and s= of its ARC-Seal, in normal form */
	struct slice results;	       /* value of its ARC-Authentication-Results, wire form */
};

struct arc_verdict {
	enum arc_result result;
	uint32_t instances;    /* highest i= that could be read; 0: none */
	int oldest_pass;       /* RFC 8617 5.2 step 5; 0: every AMS passes; -1: not known */
	struct slice domain;   /* d= of the newest ARC-Seal; empty: not known */
	struct slice selector; /* its s= */
	struct slice reason;   /* for people: which set, which field, why; empty on pass and none */
	const struct arc_seal *seals; /* instances of them, oldest first; NULL unless it passes */
	/*
	 * The newest AMS signs From, and the body to its end. Without that the chain passes (the
	 * public suite wants it) but says nothing of who the author is, nor of what is read.
	 */
	bool covers_author;
};

struct arc_verifier;
struct sig_bodies; /* policy/sig/sig.h */

/* bodies: the digests that another verifier feeds, finishes before this one, and frees; NULL: those
 * of its own. */
struct arc_verifier *arc_verifier_new(struct arena *a, const struct crypto *c, struct lookups *l,
    const struct arc_options *options, const struct header_list *header, int64_t now_s,
    struct sig_bodies *bodies);
/* False: no more of the body is needed; at once where the digests are another's. */
bool arc_verifier_body(struct arc_verifier *v, struct slice chunk);
void arc_verifier_finish(struct arc_verifier *v, struct arc_verdict *out);
void arc_verifier_fini(struct arc_verifier **v);

#endif
