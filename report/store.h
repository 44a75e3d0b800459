/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         store - rows of aggregate reports, merged until they are reported
 * DESCRIPTION  A store holds, for each policy configuration and reporting period, distinct rows
 *              with how many messages had them: it grows with what is different, not with mail.
 *
 *              A period is open while rows may still come. Whoever makes a report closes it first:
 *              from then on its rows never change, so the report can be made again, the same to the
 *              byte, after whatever happened in between. A row that comes later for the same policy
 *              and time opens a further period with an id of its own, and makes a further report.
 *
 *                  open --store_period_close()--> closed --store_period_done()--> done --> pruned
 *
 *              A report is: in one transaction close the period; outside of one read its rows and
 *              write the XML; in one transaction put the message into the outbox and mark the
 *              period done. Ids are never used again, and store_identity() tells stores apart: both
 *              together make a Report-ID that stays unique.
 * *              A period that is pruned before it is done is counted (store_forgotten()).
 *
 *              Transactions are the caller's where a comment says so. Works the same over SQLite
 *              and PostgreSQL.
 * DIAGNOSTICS  0 or -1 with *error_r set, text valid until the next call; db_fault() says which
 *              kind of fault. After one in a transaction: roll back.
 * BUGS         MT: one thread at a time for a store and its connection.
 */
#ifndef ASSAY_REPORT_STORE_H
#define ASSAY_REPORT_STORE_H

#include "report/db.h"
#include "report/row.h"

struct store;

/* Makes the tables, or brings them up to date. db is borrowed for the store's life, and stays
 * usable for other tables. NULL with *error_r set. */
struct store *store_open(struct db *db, const char **error_r);
void store_close(struct store **s); /* *s becomes NULL; NULL is accepted */

/* A number that was drawn when the tables were made. */
uint64_t store_identity(const struct store *s);

/* The period that holds at_s: periods begin at midnight UTC and every period_s after it; one that
 * would reach into the next day ends with its own. period_s: 1 .. 86400. */
void store_period_at(int64_t at_s, uint32_t period_s, int64_t *begin_s_r, int64_t *end_s_r);

/* ---- writing ---- */

/* A row as it is stored: see report/encode.h. */
struct store_entry {
	struct slice domain; /* policy domain, A-labels: printable ASCII */
	struct slice policy, row;
	int64_t begin_s, end_s;
	uint64_t count;
	uint64_t
	    answers; /* of count, as in struct report_row; a marked row (encode.h) has no other */
};

/* db_begin() and db_commit() for what follows. */
int store_begin(struct store *s, const char **error_r);
int store_commit(struct store *s, const char **error_r);
void store_rollback(struct store *s);

/* Between store_begin() and store_commit(). Beyond REPORT_PERIOD_ROWS different rows of a period a
 * new one is told in less detail (report_row_fold()): sums stay exact. */
int store_merge(struct store *s, const struct store_entry *entry, const char **error_r);

/* The same for a row with its count, as an entry of the period that holds at_s. */
int store_append(struct store *s, const struct report_policy *policy, const struct report_row *row,
    int64_t at_s, uint32_t period_s, const char **error_r);

/* ---- reading ---- */

enum store_state { STORE_OPEN, STORE_CLOSED, STORE_DONE };

struct store_period {
	int64_t id;
	enum store_state state;
	int64_t begin_s, end_s; /* end is the first second behind it */
	uint64_t rows, messages;
	struct slice domain; /* of policy */
	struct report_policy policy;
};

struct store_query {	     /* zeroed: every period */
	int64_t ended_by_s;  /* 0, or only those with end_s <= this */
	bool not_done;	     /* only those that are open or closed */
	int64_t id;	     /* 0, or only this one */
	struct slice domain; /* empty, or only those of this policy domain */
};

/* period: valid during the call. Not 0 ends the reading early, which is no error. The function may
 * read from the store and its database, and not write: SQLite refuses that to whoever still reads
 * what another has changed meanwhile. */
typedef int store_period_fn(void *ctx, const struct store_period *period);

/* In order of id. Periods whose policy can't be read are left out. */
int store_periods(struct store *s, const struct store_query *query, store_period_fn *fn, void *ctx,
    const char **error_r);

typedef int store_row_fn(void *ctx, const struct report_row *row);

/* Rows of one period, always in the same order. Rows that can't be read are left out; *unreadable_r
 * says how many. */
int store_rows(struct store *s, int64_t id, store_row_fn *fn, void *ctx, uint64_t *unreadable_r,
    const char **error_r);

/* ---- changing; in a transaction of the caller's, begun with db_begin() or store_begin() ---- */

/* Open becomes closed; others stay as they are. */
int store_period_close(struct store *s, int64_t id, const char **error_r);

/* The report is in safe hands elsewhere, or is not to be made. */
int store_period_done(struct store *s, int64_t id, const char **error_r);

/*
 * Delete periods that are done and ended before done_before_s, and any that ended before
 * any_before_s, by at most STORE_PRUNE_ROWS rows a call. 1: there is more; 0: there was no more.
 */
#define STORE_PRUNE_ROWS 2000
int store_prune(struct store *s, int64_t done_before_s, int64_t any_before_s, const char **error_r);

/*
 * Of periods that were pruned and were not done: their sums by domain, of which there are at most
 * STORE_FORGOTTEN_MAX; the others under an empty domain, last. They stay until they are cleared, by
 * whoever has told somebody.
 */
#define STORE_FORGOTTEN_MAX 1000
struct store_forgotten {
	struct slice domain; /* good during the call */
	uint64_t periods, messages;
	int64_t begin_s, end_s; /* of the first, of the last */
};
typedef void store_forgotten_fn(void *ctx, const struct store_forgotten *forgotten);
int store_forgotten(struct store *s, store_forgotten_fn *fn, void *ctx, const char **error_r);
int store_forgotten_clear(struct store *s, const char **error_r);

#endif
