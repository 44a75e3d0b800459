/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         make - periods that are over become reports in the outbox
 * DESCRIPTION  For each period that ended: close it, so that its rows never change again; compose
 *              the report; in one transaction put it into the outbox and mark the period as done.
 *              Killed at any point, the next run finds the period as it was or done, never half.
 *              One period that can't be reported, whatever the reason, holds up no other, and is
 *              tried again by the next run.
 *              Strangers may have us wait for their DNS as many times as they have domains. So
 *              what was not tried before comes first, and the domains with the most mail; a report
 *              whose destinations are not known in a moment steps back until all others are made
 *              and can be sent, and then those that are left are asked about at once, not one after
 *              the other.
 *              Where too many deliveries wait already (outbox_room()), no more are made.
 * DIAGNOSTICS  0, or -1 with *error_r set: the list of periods can't be read.
 */
#ifndef ASSAY_MAKE_H
#define ASSAY_MAKE_H

#include "report/compose.h"

struct make_counts {
	size_t made, skipped, later, failed;
	size_t given_up; /* deliveries of before, to make room */
};

/* Told about each period, for whoever watches. error: NULL, or why it failed. */
typedef void make_watch_fn(void *ctx, const struct store_period *period,
    const struct composition *composed, const char *error);

struct maker {		   /* borrowed */
	uint32_t settle_s; /* a period that ended less than this ago may still get rows: not yet */
	struct arena *arena; /* for texts of errors */
	struct db *db;
	struct composer composer;
	make_watch_fn *watch; /* may be NULL */
	/* Asked in the transaction that puts a report down: 1: go on, 0: it is another's to do,
	 * -1: *error_r is set; may be NULL. */
	int (*may)(void *ctx, const char **error_r);
	bool (*stop)(void *ctx); /* asked between periods; may be NULL */
	/* Called after MAKE_BETWEEN periods or MAKE_BETWEEN_S, to send what was made meanwhile; an
	 * error ends it all; may be NULL. */
	int (*between)(void *ctx, const char **error_r);
	void *ctx;
};

#define MAKE_BETWEEN   50
#define MAKE_BETWEEN_S 60

int make_reports(
    const struct maker *m, int64_t now_s, struct make_counts *counts, const char **error_r);

/* The same, and nothing is closed, stored or marked: watch() sees what would be. */
int make_rehearse(
    const struct maker *m, int64_t now_s, struct make_counts *counts, const char **error_r);

#endif
