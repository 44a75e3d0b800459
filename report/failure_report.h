/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         failure_report - failure events as messages (RFC 6591, RFC 9991; RFC 5965 2, 3,
 *              3.1, 3.3, 3.5)
 * SYNOPSIS     while (failure_report_next(db, arena, lookups, &options, now_s, &next, &error) == 1)
 *                      for each of next.count: sign and send next.messages[i];
 * DESCRIPTION  For the sender's loop. Each call takes one event out of the queue, within the rate
 *              limit, asks who of its ruf may have it, and makes one message for each of them. An
 *              event is given out once: it is lost if the process dies before it is sent, which is
 *              better than two.
 *
 *              The header of the message goes into text/rfc822-headers. Its subject is the
 *              message's with FW: before it (RFC 5965 2 f), redacted as the rest.
 * DIAGNOSTICS  -1 with *error_r set.
 */
#ifndef ASSAY_REPORT_FAILURE_REPORT_H
#define ASSAY_REPORT_FAILURE_REPORT_H

#include "report/destination.h"
#include "report/failure.h"

struct failure_mail {		      /* borrowed */
	struct slice from, from_name; /* of the reports; its domain is ours and aligned with d= */
	struct slice submitter;	      /* reporting domain: right of the @ in Message-ID */
};

struct failure_report_options { /* borrowed */
	struct failure_mail mail;
	struct failure_rate rate;
	struct dmarc_options
	    dmarc;	  /* for verifying foreign destinations; discovery is the event's */
	uint32_t retry_s; /* DNS trouble: the event is due again, once, after this */
};

struct failure_message_out {
	struct slice to;      /* address */
	struct slice message; /* lines end with CR LF; ASCII */
};

struct failure_reports { /* arena memory */
	struct failure_event event;
	struct destinations destinations; /* what became of each URI, for the log */
	struct failure_message_out messages[LIMIT_DESTINATIONS];
	size_t count;	   /* may be 0: nobody may have it, or DNS trouble put it back */
	size_t over_limit; /* addresses that get none because of a limit */
};

/* 1: out is filled; 0: nothing is due. */
int failure_report_next(struct db *db, struct arena *a, struct lookups *l,
    const struct failure_report_options *options, int64_t now_s, struct failure_reports *out,
    const char **error_r);

/* One message. 0, or -1 with *error_r set: an address that can't stand in a header field. */
int failure_report_write(struct arena *a, const struct failure_mail *mail,
    const struct failure_event *event, struct slice to, int64_t date_s, struct slice *message_r,
    const char **error_r) __attribute__((warn_unused_result));

#endif
