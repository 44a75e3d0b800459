/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         row - what an aggregate report remembers of messages (RFC 9990 3.1.1)
 * DESCRIPTION  One policy configuration as it was applied, and one distinct set of (address,
 *              results, identifiers) under it with how many messages had it. Made from verdict and
 *              disposition on the way in, read back from the store to write reports. Plain data:
 *              slices are the arena's or the reader's.
 *              Everything here but the enums came from strangers: any byte, not NUL-terminated.
 */
#ifndef ASSAY_ROW_H
#define ASSAY_ROW_H

#include "policy/decide.h"
#include "policy/verdict.h"

struct report_policy {	     /* RFC 9990 3.1.1.x, policy_published */
	struct slice domain; /* policy domain: where the record was found; A-labels */
	enum dmarc_discovery discovery;
	enum dmarc_policy p, sp, np;  /* DMARC_P_UNSET: the record does not say, or not validly */
	bool strict_dkim, strict_spf; /* adkim, aspf */
	bool testing;		      /* t=y */
	enum dmarc_psd psd;
	uint32_t pct;	     /* RFC 7489 reports only */
	struct slice fo;     /* "0", "1:d:s" */
	struct slice rua;    /* valid URIs in the record's order, one space between */
	struct slice errors; /* concrete faults met in the record, one a line; or empty */
};

/* clang-format off */
#define REPORT_DISPOSITIONS(X) /* RFC 9990 3.1.1.9 */ \
	X(REPORT_D_NONE,       "none") \
	X(REPORT_D_PASS,       "pass") \
	X(REPORT_D_QUARANTINE, "quarantine") \
	X(REPORT_D_REJECT,     "reject")
/* clang-format on */
enum report_disposition { REPORT_DISPOSITIONS(ENUMTAB_NAME) };
const char *report_disposition_word(enum report_disposition);

struct report_override {
	enum override kind;
	struct slice comment;
};

struct report_signature { /* auth_results/dkim */
	struct slice domain, selector;
	enum dkim_result result;
	struct slice human_result; /* or empty */
};

struct report_row {
	struct ip_address source;
	enum report_disposition disposition;
	bool dkim_aligned, spf_aligned; /* policy_evaluated: an aligned identifier passed */
	struct report_override overrides[OVERRIDES_MAX];
	size_t override_count;

	struct slice header_from;   /* author domain */
	struct slice envelope_from; /* domain of the reverse-path; empty: null */
	struct slice envelope_to;   /* domain of a recipient; empty: not kept */

	struct report_signature *signatures; /* ordered as RFC 9990 3.1.3 asks, at most 100 */
	size_t signature_count;

	bool has_spf; /* SPF was evaluated for MAIL FROM, which is all that is reported */
	struct slice spf_domain; /* postmaster@HELO's for a null reverse-path (PITFALLS 8) */
	enum spf_result spf_result;
	struct slice spf_human_result; /* or empty */

	uint64_t count;	  /* messages */
	uint64_t answers; /* of them: reports and bounces (report/exempt.h), no reason to report */
	bool folded;	  /* less is known of it, see report_row_fold() */
};

struct report_message { /* what a row is made from; borrowed */
	const struct verdict *verdict;
	const struct disposition *disposition;
	const struct header_list *header;
	struct slice recipient; /* as in RCPT TO; empty: envelope_to is not kept */
};

/*
 * Fill *policy and *row, with a count of 1; text is arena memory: printable ASCII, names as
 * A-labels where they are names, cut to the bounds of report/limits.h. NULL; or why the message
 * makes no row (static text): no policy record applies or it asks for no reports, or it was not
 * taken and will come again.
 */
const char *report_row_make(struct arena *a, const struct report_message *m,
    struct report_policy *policy, struct report_row *row);

/*
 * What is told where there are too many different ones: no names but the policy domain, no results
 * but whether they passed aligned, and with_source the address, else not even that. The last stands
 * in no record of a report; it is counted among what is left out (aggregate.h).
 */
void report_row_fold(struct report_row *row, struct slice policy_domain, bool with_source);

#endif
