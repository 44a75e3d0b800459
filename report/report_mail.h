/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         report_mail - the message of an aggregate report (RFC 9990 3.5.2, RFC 9989 5.3.8)
 * DESCRIPTION  Takes bytes and gives the message, CR LF throughout and ASCII only, ready to be
 *              signed and sent. It is for one recipient, so that one that fails holds up no other;
 *              the same arguments give the same message.
 *
 *              The report passes DMARC (RFC 9990 3.5.2: MUST) if it is signed for the domain of
 *              from or one aligned with it.
 */
#ifndef ASSAY_REPORT_MAIL_H
#define ASSAY_REPORT_MAIL_H

#include "report/aggregate.h"

struct report_mail {			   /* borrows all of it */
	struct slice submitter;		   /* reporting domain: "Submitter:" */
	struct slice policy_domain;	   /* "Report Domain:" */
	struct slice report_id, file_name; /* report_name.h */
	int64_t begin_s, end_s;		   /* as in struct aggregate_report */
	struct slice token;		   /* Message-ID, left of the @: outbox.h */
	int64_t date_s;			   /* Date field */
	struct slice from;	/* address; its domain is submitter, or one above or below it */
	struct slice from_name; /* or empty */
	struct slice to;	/* address of the destination */
	struct slice gzip;	/* the report */
	struct aggregate_summary summary; /* for people; of one without records only messages */
};

/* 0, or -1 with *error_r set (arena text): what can't stand in a header field. Arena memory. */
int report_mail_write(struct arena *a, const struct report_mail *m, struct slice *message_r,
    const char **error_r) __attribute__((warn_unused_result));

#endif
