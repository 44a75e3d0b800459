/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         lease - who of several may do something, for a while
 * DESCRIPTION  A lease is taken for seconds and renewed in time by whoever holds it. One whose
 *              holder died ends by itself, by the clock of the database, so the clocks of the
 *              nodes make no difference. All take a lease for as many seconds: one that would last
 *              much longer was taken before that clock was put back, and counts no more.
 *
 *              A lease tells who should work, it can't stop one who has lost it without noticing:
 *              a process that was suspended. So whatever must happen once is done in a transaction
 *              in which lease_held() was true.
 * DIAGNOSTICS  -1 with *error_r set, as db.h.
 */
#ifndef ASSAY_REPORT_LEASE_H
#define ASSAY_REPORT_LEASE_H

#include "report/db.h"

#define LEASE_HOLDER_BYTES 128 /* of a holder's name; longer ones are told apart by these */

/* Makes the table. */
int lease_open(struct db *db, const char **error_r);

/*
 * Take the lease of that name, or renew it: for seconds from now on. holder: printable, different
 * for each process that asks; lease_holder() makes one. Not in a transaction. 1: it is ours; 0: it
 * is another's.
 */
int lease_take(
    struct db *db, const char *name, const char *holder, uint32_t seconds, const char **error_r);

/*
 * Renew it where a third of its time is over: for who works long, again and again. *taken_s: of
 * lease_clock_s(), when it was taken or renewed last. As lease_take(), 0: it was lost.
 */
int lease_keep(struct db *db, const char *name, const char *holder, uint32_t seconds,
    int64_t *taken_s, const char **error_r);
int64_t lease_clock_s(void); /* seconds of a clock that is never put back */

/* Is it still ours? In a transaction (db_begin()) it stays ours to the end of it. 1, 0 or -1. */
int lease_held(struct db *db, const char *name, const char *holder, const char **error_r);

/* Give it back before its time, if it is ours. */
int lease_release(struct db *db, const char *name, const char *holder, const char **error_r);

/* node, process id and a random number: nobody else's, not even ours after a restart. */
void lease_holder(const char *node, char holder[LEASE_HOLDER_BYTES]);

#endif
