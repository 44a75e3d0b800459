/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         report_name - what a report is called: Report-ID and file name
 * DESCRIPTION  Both are made from what the report is about and from nothing else, so a re-send has
 *              the same (RFC 9990 3.1.4, 3.5.2), and two reports that differ in policy domain,
 *              policy configuration, period or maker never do.
 */
#ifndef ASSAY_REPORT_NAME_H
#define ASSAY_REPORT_NAME_H

#include "policy/crypto/crypto.h"
#include "report/row.h"

struct report_origin {	   /* who makes the report, and out of what */
	struct slice node; /* host name, or that of the fleet */
	uint64_t store;	   /* store_identity() */
	int64_t period;	   /* struct store_period's id: two may be about the same time */
};

/*
 * 32 letters and digits: dot-atom-text (RFC 9990 3.5.1) and unique-id (3.5.2) at once. All fields
 * of policy count, so a change of policy in a period is another report (RFC 9990 3.3).
 */
struct slice report_id(struct arena *a, const struct crypto *crypto,
    const struct report_policy *policy, int64_t begin_s, int64_t end_s,
    const struct report_origin *origin);

/*
 * "receiver!policy-domain!begin!end!unique-id.xml.gz" (RFC 9990 3.5.2), end being the second before
 * end_s, as in the report. 0, or -1 with *error_r set:
 * a domain that holds other bytes than letters, digits, "-", "_" and "." has no place in a file
 * name. Arena memory.
 */
int report_file_name(struct arena *a, struct slice receiver, struct slice policy_domain,
    int64_t begin_s, int64_t end_s, struct slice id, struct slice *out, const char **error_r)
    __attribute__((warn_unused_result));

#endif
