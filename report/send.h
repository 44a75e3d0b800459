/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         send - what is due in the outbox, on its way
 * DESCRIPTION  Takes due deliveries in the order of outbox_due(), those never tried first, and
 *              keeps several under way (deliver.h): one of a domain at a time, and of those that
 *              failed before at most half of the slots, so a destination that hangs holds up no
 *              other. Each is claimed, written (report_mail.h), signed and handed over; what came
 *              of it goes into the outbox, and 5xx and success to the suppression list.
 *              Where a limit of the day is met, the delivery waits for the next day, but no longer
 *              than one that fails.
 *              Where the server itself can't be reached, the rest is left for the next run: no
 *              destination is to blame.
 * DIAGNOSTICS  0, or -1 with *error_r set: the database failed. What was under way is claimed and
 *              comes again.
 */
#ifndef ASSAY_SEND_H
#define ASSAY_SEND_H

#include "policy/dkim/sign.h"
#include "report/deliver.h"
#include "report/outbox.h"

struct send_limits { /* messages a day (UTC); 0: none */
	uint32_t total, address, exchanger;
};

struct send_options { /* borrowed */
	struct deliver_options deliver;
	struct outbox_retry retry;
	struct send_limits limits;
	struct slice from, from_name;	  /* From field */
	struct slice submitter;		  /* reporting domain */
	struct slice envelope_from;	  /* "*" becomes the token; empty: the null sender */
	const struct dkim_sign_job *sign; /* its now_s is not looked at; NULL: unsigned */
};

enum send_event {
	SEND_ACCEPTED,
	SEND_REFUSED,	 /* given up, the destination is suppressed */
	SEND_LATER,	 /* failed for now */
	SEND_GIVEN_UP,	 /* failed for too long */
	SEND_SUPPRESSED, /* not tried: the destination is on the list */
	SEND_LIMITED,	 /* not tried: a limit of the day */
	SEND_BROKEN,	 /* not tried: the message can't be made; comes again */
};
#define SEND_EVENTS (SEND_BROKEN + 1)

struct sender { /* borrowed */
	struct db *db;
	struct arena *arena; /* for texts of errors */
	const struct send_options *options;
	int64_t (*now_s)(void *ctx);
	bool (*stop)(void *ctx); /* asked again and again: nothing new is begun; may be NULL */
	void (*watch)(void *ctx, enum send_event event, const struct outbox_delivery *d,
	    struct slice text); /* may be NULL */
	void *ctx;
};

struct send_counts {
	size_t by_event[SEND_EVENTS];
	bool no_server; /* left off because of that */
};

/* Until nothing is due. */
int send_due(const struct sender *s, struct send_counts *counts, const char **error_r);

/*
 * The message of one delivery as it goes out: signed, lines ending with CR LF, and its envelope
 * sender. 0, or -1 with *error_r set. Arena memory.
 */
int send_message(struct arena *a, const struct send_options *o, const struct outbox_report *r,
    const struct outbox_delivery *d, int64_t now_s, struct slice *message_r,
    const char **envelope_from_r, const char **error_r);

/* Put the fields that sign it before a message; sign NULL: nothing is. 0, or -1 with *error_r set.
 */
int send_sign(struct arena *a, const struct dkim_sign_job *sign, int64_t now_s,
    struct slice *message, const char **error_r);

#endif
