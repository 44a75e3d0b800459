/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         outbox - reports that were made, and how far each is on its way
 * DESCRIPTION  A report is put down whole, once: its Report-ID, file name, bytes and
 *              destinations, in the transaction that marks its period as done. From then on
 *              nothing of it changes (RFC 9990 3.5.2: a re-send has the same file name and
 *              Report-ID), only its deliveries move, one row a destination:
 *
 *                  pending --accepted--> sent
 *                     |  \--refused or out of time--> given up
 *                     \-- the destination is suppressed (suppress.h) --> suppressed
 *
 *              Who sends claims the row first: the next try is moved into the future before the
 *              first byte goes out, so that a process that dies in the middle of it is not
 *              followed at once by one that does the same, and two processes never send the same.
 *              A message goes out twice only if the process dies between the server's 250 and
 *              outbox_sent(); then it has the same Message-ID again, made from the row's token.
 *
 *              The token is random, 128 bits in hexadecimal. It is in Message-ID and, where a
 *              bounce address is set, in the envelope sender: a bounce that has it is about a
 *              message of ours, for nobody else knew it.
 * DIAGNOSTICS  0 or -1 with *error_r as in db.h, unless said otherwise.
 * BUGS         Times are Unix seconds of the caller. MT: as the connection.
 */
#ifndef ASSAY_OUTBOX_H
#define ASSAY_OUTBOX_H

#include "policy/base/arena.h"
#include "report/aggregate.h"
#include "report/db.h"

#define OUTBOX_TOKEN_BYTES 32			/* hexadecimal digits of a token */
#define OUTBOX_REPLY_BYTES 400			/* of a server's reply that is kept; cut */
#define OUTBOX_FAR_S	   ((int64_t)3 * 86400) /* nothing is put off for longer than a day */
#define OUTBOX_LEASE_S	   1800 /* a claim holds as long at least; more than a transfer may take */

enum outbox_state { OUTBOX_PENDING, OUTBOX_SENT, OUTBOX_GIVEN_UP, OUTBOX_SUPPRESSED };
const char *outbox_state_word(enum outbox_state);

struct outbox_report {
	struct slice report_id, file_name;
	struct slice domain;	/* policy domain */
	int64_t begin_s, end_s; /* first second, and the first behind it */
	int64_t made_s;
	struct aggregate_summary summary;
	struct slice bytes; /* the attachment as it is sent: gzip */
	struct slice why;   /* of one that was read and had been skipped; else empty */
};

struct outbox_destination {
	struct slice address;	/* of the mailto: URI */
	struct slice domain;	/* its domain, normal form */
	struct slice exchanger; /* who takes its mail, as exchanger.h names it */
};

struct outbox_delivery {
	struct slice report_id;
	struct outbox_destination to;
	struct slice token;
	enum outbox_state state;
	uint32_t attempts; /* that ended with a reply or a fault; a crash is none */
	int64_t next_s;	   /* pending: not before */
	int64_t made_s;	   /* when the report was made */
	int64_t changed_s; /* when it came into its state, or was last tried */
	struct slice reply;
};

/* When a delivery is tried again, and when no more. */
struct outbox_retry {
	uint32_t interval_s; /* after the first failure; doubled after each */
	uint32_t most_s;     /* but never more */
	uint32_t limit_s;    /* given up where this long after the report was made it still fails */
};

/* Make the tables where they are not there. */
int outbox_prepare(struct db *db, const char **error_r);

/*
 * Inside the caller's transaction. Makes the tokens. A Report-ID that is there already is an error
 * (DB_F_CONFLICT): two different reports never share one.
 */
int outbox_add(struct db *db, const struct outbox_report *report,
    const struct outbox_destination *to, size_t count, const char **error_r);

/* The same for a period that nobody is told about: why is kept for the operator. */
int outbox_skip(
    struct db *db, const struct outbox_report *report, struct slice why, const char **error_r);

/*
 * Inside the caller's transaction: is there room for count more deliveries (REPORT_OUTBOX_PENDING)?
 * Where there is not, as many are given up that failed, those that did so most often first, and
 * then that a limit put off, of the exchanger that most wait for. 1: there is room; 0: there is
 * not, and nothing was changed; -1. *given_up_r: how many made room, added to.
 */
int outbox_room(
    struct db *db, size_t count, int64_t now_s, size_t *given_up_r, const char **error_r);

/* Pending deliveries whose time has come: those never tried first, then by time; at most max. One
 * that is further off than OUTBOX_FAR_S was put off when the clock was wrong: its time has come. */
int outbox_due(struct db *db, struct arena *a, int64_t now_s, size_t max,
    struct outbox_delivery **list_r, size_t *count_r, const char **error_r);

/* 1: it is ours to send; 0: somebody else was faster, or it is no longer due. */
int outbox_claim(struct db *db, const struct outbox_delivery *d, const struct outbox_retry *retry,
    int64_t now_s, const char **error_r);

int outbox_sent(struct db *db, const struct outbox_delivery *d, struct slice reply, int64_t now_s,
    const char **error_r);

/* Tried in vain: pending with a later time, or given up when out of time. *given_up_r says which.
 */
int outbox_failed(struct db *db, const struct outbox_delivery *d, const struct outbox_retry *retry,
    struct slice reply, int64_t now_s, bool *given_up_r, const char **error_r);

/* To a final state at once: GIVEN_UP (refused for good), or SUPPRESSED: that only where nobody has
 * claimed it since it was read. */
int outbox_end(struct db *db, const struct outbox_delivery *d, enum outbox_state state,
    struct slice reply, int64_t now_s, const char **error_r);

/* Not tried, because of a limit: next try at until_s, or given up when out of time. Not claimed
 * before; where somebody else has claimed it since it was read, nothing is changed. */
int outbox_postpone(struct db *db, const struct outbox_delivery *d,
    const struct outbox_retry *retry, struct slice why, int64_t until_s, int64_t now_s,
    bool *given_up_r, const char **error_r);

/* Deliveries of that report to pending again, due at once; all of them, whatever came of them. */
int outbox_again(struct db *db, struct slice report_id, int64_t now_s, const char **error_r);

/*
 * How many went out since then: in all, to that address, to that exchanger. Those that were refused
 * or bounced count too: they were trouble to somebody all the same.
 */
struct outbox_sent_counts {
	int64_t total, address, exchanger;
};
int outbox_count_sent(struct db *db, const struct outbox_destination *to, int64_t since_s,
    struct outbox_sent_counts *out, const char **error_r);

/* 1: found, arena copies in *out; 0: no such report. bytes: whether to read them too. */
int outbox_find(struct db *db, struct arena *a, struct slice report_id, bool bytes,
    struct outbox_report *out, const char **error_r);

/* 1: the delivery with that token; 0: none. */
int outbox_find_token(struct db *db, struct arena *a, struct slice token,
    struct outbox_delivery *out, const char **error_r);

/* Reports without their bytes, newest last, at most max; domain empty: all. */
int outbox_list(struct db *db, struct arena *a, struct slice domain, size_t max,
    struct outbox_report **list_r, size_t *count_r, const char **error_r);

int outbox_deliveries(struct db *db, struct arena *a, struct slice report_id,
    struct outbox_delivery **list_r, size_t *count_r, const char **error_r);

/* 1: when the next pending delivery is due; 0: none is pending. */
int outbox_next(struct db *db, int64_t *next_s_r, const char **error_r);

/* Remove reports made before before_s of which nothing is pending. */
int outbox_expire(struct db *db, int64_t before_s, const char **error_r);

#endif
