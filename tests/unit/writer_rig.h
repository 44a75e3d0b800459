/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         writer_rig - writers of report stores in a folder of the test's own, and their mail
 * DESCRIPTION  What does not go as wanted fails the test.
 */
#ifndef ASSAY_WRITER_RIG_H
#define ASSAY_WRITER_RIG_H

#include <pthread.h>
#include <stdatomic.h>

#include "report/writer.h"
#include "tests/support/backend.h"
#include "tests/support/support.h"

#define SOURCES 1000
#define NOON	(20000LL * 86400 + 43200) /* of some day */

extern char writer_rig_folder[BACKEND_FOLDER_BYTES]; /* for backend_run_tests() */

/* In the folder; static text. */
const char *writer_rig_file(const char *name);
long long size_of(const char *file, const char *suffix); /* 0: it is not there */

struct troubles { /* what a writer told */
	atomic_uint told, recovered;
	pthread_mutex_t lock; /* last; zeroed is unlocked */
	char last[512];
};
const char *writer_rig_trouble(struct troubles *t); /* the last; static text */

#define RIG_INTERVAL_MS 200
/* With periods of a day. t may be NULL. */
struct writer *writer_rig_open(const char *file, uint32_t wait_ms, struct troubles *t);
/* The trouble function for a test's own options; ctx is a struct troubles. */
void writer_rig_note(void *ctx, const char *text);

struct rig_mail {
	unsigned source; /* another number is another row */
	int64_t at_s;
	const struct waiting *waiting;
};

/* What one message leaves; a is reset. */
enum writer_outcome writer_rig_add(struct writer *w, struct arena *a, const struct rig_mail *m);
enum writer_outcome add_at(struct writer *w, struct arena *a, unsigned source, int64_t at_s);
/* At NOON, from one of SOURCES, or from a source of its own. */
enum writer_outcome add_numbered(struct writer *w, struct arena *a, unsigned n);
enum writer_outcome add_distinct(struct writer *w, struct arena *a, unsigned n);

/* Messages that the writer has committed. */
void wait_until_safe(struct writer *w, uint64_t count);

double seconds(clockid_t clock);

#endif
