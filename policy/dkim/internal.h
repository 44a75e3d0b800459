/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         internal - what the files of policy/dkim share and nobody else sees
 */
#ifndef ASSAY_DKIM_INTERNAL_H
#define ASSAY_DKIM_INTERNAL_H

#include "policy/dkim/dkim.h"
#include "policy/sig/sig.h"

/* One DKIM-Signature field on its way to a verdict. */
struct dkim_signature {
	struct sig_tags tags;	    /* first: the rules of sig.h fill it */
	struct slice identity_text; /* i=, FWS and quoted-printable undone */
	bool version_known;	    /* v=1 */
	bool has_identity;
	bool below_domain; /* the domain of i= is below d= */
	bool chosen;	   /* to be verified */
	size_t body;	   /* number in the struct sig_bodies */
	struct slice key_name;
	struct dkim_signature_verdict verdict;
};

/*
 * Read value and apply the rules that need neither key nor body (RFC 6376 6.1.1). s->verdict is
 * filled in; its reason is DKIM_R_NONE when the signature can be verified.
 */
void dkim_signature_read(struct arena *a, struct slice value, const struct dkim_options *options,
    int64_t now_s, struct dkim_signature *s);

/* Fill in header_b of all: as much of b= as tells them apart (RFC 6008 4). */
void dkim_signatures_label(struct arena *a, const struct header_list *header,
    struct dkim_signature *signatures, size_t count);

/* Mark those to be verified; give the rest that could be DKIM_R_SKIPPED. */
void dkim_signatures_choose(struct dkim_signature *signatures, size_t count, uint32_t max,
    const struct slice *author_domains, size_t author_domain_count);

/* Which of the fields copied in z= differs now; empty when none does or there is no z=. */
struct slice dkim_changed_field(
    struct arena *a, struct slice copied, const struct header_list *header);

/* dkim-quoted-printable (RFC 6376 2.11): "=XX" decoded, FWS dropped. A "=" that is none stays. */
struct slice dkim_unquote(struct arena *a, struct slice text);

#endif
