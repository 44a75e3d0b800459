/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         writer - rows into a store, by one thread, many at a commit
 * DESCRIPTION  Whoever has a row hands it over; it is merged with those that wait already
 *              (report/pending.h) and appended to a journal ("FILE.pending") by one write, which
 *              makes it safe from the end of the process. Once in WRITER_INTERVAL_MS, or sooner
 *              when many different rows have come, the thread merges all of them into the store in
 *              one transaction; and what a former process has left in the journal before that.
 *              Each message counts once (report/journal.h).
 *
 *              So who reads the store sees a message WRITER_INTERVAL_MS and a commit after it was
 *              answered; writer_close() leaves nothing behind. A period must not be closed sooner
 *              than that after its end: report_settle, a minute at least.
 *
 *              Nothing waits for the store. When it can't be written the thread tries again, rows
 *              stay in the journal and in memory, and what does not fit there is lost and counted.
 *              Only when different rows come faster than they are written does it have to be
 *              waited for. A damaged file is set aside (report/store_file.h).
 *
 *              The thread also deletes periods that are reported or past keeping; where there is no
 *              room, those that are reported go before their time.
 * DIAGNOSTICS  The options' trouble function, from the writer's thread; counters.
 *              MT: writer_add(), writer_add_failure() and writer_counters() from any thread.
 */
#ifndef ASSAY_REPORT_WRITER_H
#define ASSAY_REPORT_WRITER_H

#include "policy/base/waiting.h"
#include "report/failure.h"
#include "report/row.h"

#define WRITER_INTERVAL_MS 5000 /* from the first of a group to its commit: rows come again */
#define WRITER_GROUP_ROWS  4000 /* different ones: the group is written at once */
#define WRITER_AHEAD_ROWS  (2 * WRITER_GROUP_ROWS)    /* beyond, the commit is waited for */
#define WRITER_ROWS_MAX	   20000		      /* different ones that wait; beyond: lost */
#define WRITER_BYTES_MAX   (64 * 1024 * 1024)	      /* of these; beyond: lost */
#define WRITER_RETRY_MS	   1000			      /* between two attempts to write */
#define WRITER_FILE_BYTES  (4LL * 1024 * 1024 * 1024) /* of the database; beyond: as a full disk */

struct writer;

struct writer_options {
	const char *file;
	uint32_t wait_ms; /* for the commit; beyond, rows go into memory as long as there is room */
	uint32_t period_s;    /* of reports, 1 .. 86400 */
	int64_t keep_s;	      /* periods that ended longer ago are deleted; 0: never */
	int64_t file_bytes;   /* of the database; 0: WRITER_FILE_BYTES */
	uint32_t interval_ms; /* 0: WRITER_INTERVAL_MS */
	void (*trouble)(void *ctx, const char *text); /* NULL: works again */
	void *ctx;
};

enum writer_outcome {
	WRITER_SAFE, /* in the journal */
	WRITER_LATE, /* in memory alone */
	WRITER_LOST, /* there was no room, or the writer has ended */
};

struct writer_counters { /* of messages, but for commits */
	uint64_t safe;	 /* committed to the store, late ones too */
	uint64_t late;	 /* were not in the journal when they were handed over */
	uint64_t lost;
	uint64_t queued;    /* not committed */
	uint64_t recovered; /* out of the journal of a former process */
	uint64_t commits;
};

/* Copies options and the file's name; starts the thread, which opens the file. NULL: there are no
 * threads to be had. */
struct writer *writer_open(const struct writer_options *options);

/* Of options, wait_ms, period_s and keep_s hold from now on: a file has one writer at a time, and a
 * reload need not end it. MT: any thread. */
void writer_change(struct writer *w, const struct writer_options *options);

/* Writes what waits; where that fails, it is tried twice more and the rest left in the journal.
 * *w becomes NULL; NULL is accepted. No writer_add() may be under way. */
void writer_close(struct writer **w);

/* policy and row are copied; a is for scratch. waiting is told where it has to be waited. */
enum writer_outcome writer_add(struct writer *w, struct arena *a,
    const struct report_policy *policy, const struct report_row *row, int64_t at_s,
    const struct waiting *waiting);

/*
 * A failure event (failure.h), copied, into the queue of the same database. Never waits, and is
 * worth less than a row: false, or trouble with the file, and it is lost.
 */
bool writer_add_failure(struct writer *w, const struct failure_event *event);

void writer_counters(struct writer *w, struct writer_counters *out);

#endif
