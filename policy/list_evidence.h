/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         list_evidence - did the message come through a mailing list that authenticates?
 * DESCRIPTION  PITFALLS.md, "Rejecting, and not solely": a List-Id (RFC 2919) or List-Post (RFC
 * 2369) proves nothing, anyone can write one; but one whose domain has a DKIM or SPF pass of its
 * own shows who sent the message on. A DKIM signature with l= doesn't count: what stands behind its
 * end is anybody's. Where nothing of the list's passes, the author's own signature speaks: if it
 * verifies with what lists do undone (dkim_diagnosis), somebody sent on what the author signed.
 */
#ifndef ASSAY_LIST_EVIDENCE_H
#define ASSAY_LIST_EVIDENCE_H

#include "policy/verdict.h"

/* Looks at the first List-Id and the first List-Post, and at author, dmarc and dkim of v. Slices in
 * *out are arena memory or those of v. */
void list_evidence_find(struct arena *a, const struct header_list *header, const struct verdict *v,
    struct list_evidence *out);

#endif
