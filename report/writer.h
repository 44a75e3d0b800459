/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         writer - rows into a store, by one thread, many at a commit
 * DESCRIPTION  Whoever has a row hands it over; it is appended to a journal ("FILE.pending") by one
 *              write, which makes it safe from the end of the process. The thread merges what has
 *              come in a moment into the store in one transaction, and what a former process has
 *              left in the journal before that; each row counts once (report/journal.h).
 *
 *              Nothing waits for the store. When it can't be written the thread tries again, rows
 *              stay in the journal and in a queue, and what the queue can't hold is lost and
 *              counted. Only when rows come faster than they are written does it have to be waited
 *              for. A damaged file is renamed (".damaged-" and the time), and a new one begun.
 *
 *              The thread also deletes periods that are reported or past keeping; where there is no
 *              room, those that are reported go before their time.
 * DIAGNOSTICS  The options' trouble function, from the writer's thread; counters.
 *              MT: writer_add(), writer_add_failure() and writer_counters() from any thread.
 */
#ifndef ASSAY_REPORT_WRITER_H
#define ASSAY_REPORT_WRITER_H

#include "report/failure.h"
#include "report/row.h"

#define WRITER_GATHER_MS  50			     /* rows of one commit come within */
#define WRITER_GROUP_MAX  2000			     /* rows of one commit */
#define WRITER_QUEUE_MAX  20000			     /* rows waiting; beyond: lost */
#define WRITER_RETRY_MS	  1000			     /* between two attempts to write */
#define WRITER_FILE_BYTES (4LL * 1024 * 1024 * 1024) /* of the database; beyond: as a full disk */

struct writer;

struct writer_options {
	const char *file;
	uint32_t wait_ms;   /* for room in the queue; beyond, the row is lost */
	uint32_t period_s;  /* of reports, 1 .. 86400 */
	int64_t keep_s;	    /* periods that ended longer ago are deleted; 0: never */
	int64_t file_bytes; /* of the database; 0: WRITER_FILE_BYTES */
	void (*trouble)(void *ctx, const char *text); /* NULL: works again */
	void *ctx;
};

enum writer_outcome {
	WRITER_SAFE, /* in the journal */
	WRITER_LATE, /* queued, in memory alone */
	WRITER_LOST, /* the queue is full, or the writer has ended */
};

struct writer_counters {
	uint64_t safe; /* committed to the store, late ones too */
	uint64_t late; /* were not in the journal when they were handed over */
	uint64_t lost;
	uint64_t commits, queued;
	uint64_t recovered; /* messages out of the journal of a former process */
};

/* Copies options and the file's name; starts the thread, which opens the file. NULL: there are no
 * threads to be had. */
struct writer *writer_open(const struct writer_options *options);

/* Of options, wait_ms, period_s and keep_s hold from now on: a file has one writer at a time, and a
 * reload need not end it. MT: any thread. */
void writer_change(struct writer *w, const struct writer_options *options);

/* Writes what is queued; where that fails, it is tried twice more and the rest left in the journal.
 * *w becomes NULL; NULL is accepted. No writer_add() may be under way. */
void writer_close(struct writer **w);

/* policy and row are copied; a is for scratch. */
enum writer_outcome writer_add(struct writer *w, struct arena *a,
    const struct report_policy *policy, const struct report_row *row, int64_t at_s);

/*
 * A failure event (failure.h), copied, into the queue of the same database. Never waits, and is
 * worth less than a row: false, or trouble with the file, and it is lost.
 */
bool writer_add_failure(struct writer *w, const struct failure_event *event);

void writer_counters(struct writer *w, struct writer_counters *out);

#endif
