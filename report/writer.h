/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         writer - rows into a store, by one thread, many at a commit
 * DESCRIPTION  Whoever has a row hands it over and waits until it is committed: safe from the end
 * of the process. What comes while a commit is under way goes into the next one together (group
 * commit), so one message waits for one commit, and a hundred do too.
 *
 *              When the store can't be written, nothing waits: rows are queued, the thread tries
 *              again, and what the queue can't hold is lost and counted. A file that is damaged is
 *              renamed (".damaged-" and the time) and a new one begun.
 *
 *              The thread also deletes periods that are reported or past keeping.
 * DIAGNOSTICS  The options' trouble function, from the writer's thread; counters.
 *              MT: writer_add(), writer_add_failure() and writer_counters() from any thread.
 */
#ifndef ASSAY_REPORT_WRITER_H
#define ASSAY_REPORT_WRITER_H

#include "policy/base/waiting.h"
#include "report/failure.h"
#include "report/row.h"

#define WRITER_GROUP_MAX  1000	/* rows of one commit */
#define WRITER_QUEUE_MAX  20000 /* rows waiting; beyond: lost */
#define WRITER_QUICK_MS	  2	/* a commit that takes no longer is not worth handing work over */
#define WRITER_RETRY_MS	  1000	/* between two attempts to write */
#define WRITER_FILE_BYTES (4LL * 1024 * 1024 * 1024) /* of the database; beyond: as a full disk */

struct writer;

struct writer_options {
	const char *file;
	uint32_t wait_ms;  /* for a commit; beyond, the row is left to the queue */
	uint32_t period_s; /* of reports, 1 .. 86400 */
	int64_t keep_s;	   /* periods that ended longer ago are deleted; 0: never */
	void (*trouble)(void *ctx, const char *text); /* NULL: works again */
	void *ctx;
};

enum writer_outcome {
	WRITER_SAFE, /* committed */
	WRITER_LATE, /* queued, and not yet committed */
	WRITER_LOST, /* the queue is full, or the writer has ended */
};

struct writer_counters {
	uint64_t safe; /* committed, late ones too */
	uint64_t late; /* not waited for to the end */
	uint64_t lost;
	uint64_t commits, queued;
};

/* Copies options and the file's name; starts the thread, which opens the file. NULL: there are no
 * threads to be had. */
struct writer *writer_open(const struct writer_options *options);

/* Writes what is queued; where that fails, it is tried twice more and the rest is lost. *w becomes
 * NULL; NULL is accepted. No writer_add() may be under way. */
void writer_close(struct writer **w);

/* policy and row are copied; a is for scratch. waiting: told where the commit takes longer than
 * WRITER_QUICK_MS; NULL: nobody wants to know. */
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
