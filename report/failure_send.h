/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         failure_send - failure reports that are due, on their way
 * DESCRIPTION  For whoever sends what is in the outbox: events are taken out of the queue within
 *              their limits, made into messages, signed as aggregate reports are, and handed over.
 *              A report that nobody took is due once more, later; one that was refused counts
 *              against the address (suppress.h), and an address on that list gets none.
 *              The envelope sender is null: no bounce of a failure report comes back.
 * DIAGNOSTICS  0, or -1 with *error_r set: the database failed, or the server's settings.
 */
#ifndef ASSAY_REPORT_FAILURE_SEND_H
#define ASSAY_REPORT_FAILURE_SEND_H

#include "report/failure_report.h"
#include "report/send.h"

#define FAILURE_RETRY_S 900 /* what could not be sent is due again after this, once */

/* Told about each message. event: as of deliveries from the outbox, but for those about limits. */
typedef void failure_watch_fn(
    void *ctx, enum send_event event, const char *domain, const char *address, const char *text);

struct failure_sender {		     /* borrowed */
	const struct sender *sender; /* its watch is not used; its db has the suppression list */
	struct db *queue;	     /* that has the events: this machine's */
	struct resolver *resolver;   /* for verifying destinations */
	const struct lookups_limits *lookups;
	const struct dmarc_options *dmarc;
	struct failure_rate rate;
	failure_watch_fn *watch; /* may be NULL */
	void *ctx;
};

/* Until nothing is due, and tidies up the queue. */
int failure_send_due(const struct failure_sender *s, const char **error_r);

#endif
