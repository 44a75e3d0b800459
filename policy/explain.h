/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         explain - a verdict in words
 * DESCRIPTION  One line each, printable ASCII, no line break; text of strangers is escaped and cut.
 *              The same sentences serve the SMTP reply, the log and `assay check`.
 */
#ifndef ASSAY_EXPLAIN_H
#define ASSAY_EXPLAIN_H

#include "policy/verdict.h"

/* "SPF of a.example is fail (-all of a.example)" */
const char *explain_spf(struct arena *a, const struct spf_verdict *spf);

/* "DKIM of d1.example (selector s1) is fail: body hash did not verify" */
const char *explain_signature(struct arena *a, const struct dkim_signature_verdict *s);

/*
 * What failed, in one sentence: author domain, what SPF and DKIM said and why it isn't aligned, the
 * policy and where it is published. For any dmarc result.
 */
const char *explain_dmarc(struct arena *a, const struct verdict *v);

#endif
