/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/writer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/base/relax.h"
#include "report/deadline.h"
#include "report/encode.h"
#include "report/failure_buffer.h"
#include "report/journal.h"
#include "report/pending.h"
#include "report/store_file.h"

#define LAST_ATTEMPTS  2		 /* of a stop, where it fails */
#define LOCK_TRIES     300		 /* some microseconds */
#define PRUNE_PAUSE_MS 10		 /* between two pieces */
#define KEPT_BYTES     (4 * 1024 * 1024) /* of rows that are committed; beyond, they are forgotten */

struct writer {
	struct writer_options options; /* what writer_change() changes under the lock */
	char *path;
	pthread_t thread;

	struct failure_buffer *failures;

	pthread_mutex_t lock; /* guards what follows; inside it only that of failures */
	pthread_cond_t work, space;
	struct pending *pending;
	struct journal *journal;
	bool recovered;		/* the journal takes rows */
	bool stopping, stalled; /* stalled: the store can't be written */
	unsigned last_attempts; /* once stopping */
	struct writer_counters counters;

	/* the thread's own */
	struct store_file file;
	bool in_trouble;
	int64_t place; /* in the journal, behind what is taken */
	bool journal_worn;
};

static size_t
rows(const struct writer *w, enum pending_state state)
{
	return pending_sum(w->pending, state)->rows;
}

/* ---- those who have a row; all of it under the lock ---- */

struct arrival {
	struct store_entry entry;
	uint64_t hash;
	struct pending_row *row; /* NULL: no such row waits */
};

/* It is in the group already, and makes it no larger. */
static bool
is_in_group(const struct writer *w, const struct arrival *a)
{
	return a->row != NULL && pending_messages(w->pending, PENDING_FRESH, a->row) > 0;
}

/* The journal is not open yet, or rows come faster than they can be written, which is no fault yet.
 */
static bool
must_wait(struct writer *w, struct arrival *a)
{
	a->row = pending_find(w->pending, &a->entry, a->hash);
	if (w->stalled || w->stopping)
		return false;
	return !w->recovered || (!is_in_group(w, a) && rows(w, PENDING_FRESH) >= WRITER_AHEAD_ROWS);
}

static void
wait_for_space(struct writer *w, struct arrival *a)
{
	const struct timespec until = deadline_in_ms(w->options.wait_ms);
	int rc = 0;

	while (must_wait(w, a) && rc == 0)
		rc = pthread_cond_timedwait(&w->space, &w->lock, &until);
}

static bool
has_room(const struct writer *w, const struct arrival *a)
{
	return is_in_group(w, a) ||
	    (rows(w, PENDING_FRESH) + rows(w, PENDING_TAKEN) < WRITER_ROWS_MAX &&
		pending_bytes(w->pending) < WRITER_BYTES_MAX);
}

/* The row once, and then where it stands. */
static int
write_to_journal(struct writer *w, const struct store_entry *e, struct pending_row *row)
{
	if (!w->recovered)
		return -1;
	if (row->place != 0)
		return journal_again(w->journal, row->place, e->count);
	return journal_add(w->journal, e, &row->place);
}

/* For the first of a group, and for one that makes it large enough. */
static void
wake_if_due(struct writer *w)
{
	size_t n = rows(w, PENDING_FRESH);

	if (n == 1 || n == WRITER_GROUP_ROWS)
		(void)pthread_cond_signal(&w->work);
}

static enum writer_outcome
take_in(struct writer *w, struct arrival *a)
{
	const struct store_entry *e = &a->entry;
	bool late;

	if (w->stopping || !has_room(w, a)) {
		w->counters.lost += e->count;
		return WRITER_LOST;
	}
	if (a->row == NULL)
		a->row = pending_insert(w->pending, e, a->hash);
	late = write_to_journal(w, e, a->row) != 0;
	if (pending_add(w->pending, a->row, e->count, late))
		wake_if_due(w);
	if (!late)
		return WRITER_SAFE;
	w->counters.late += e->count;
	return WRITER_LATE;
}

/* It is held for less than a microsecond; to sleep for it and be woken takes ten. */
static void
lock_soon(struct writer *w)
{
	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		if (pthread_mutex_trylock(&w->lock) == 0)
			return;
		relax();
	}
	(void)pthread_mutex_lock(&w->lock);
}

/* Takes the lock. True: it was told that we wait. */
static bool
lock_with_space(struct writer *w, struct arrival *a, int64_t at_s, const struct waiting *waiting)
{
	lock_soon(w);
	store_period_at(at_s, w->options.period_s, &a->entry.begin_s, &a->entry.end_s);
	if (!must_wait(w, a))
		return false;
	(void)pthread_mutex_unlock(&w->lock); /* nobody is told with a lock held */
	waiting_begin(waiting);
	(void)pthread_mutex_lock(&w->lock);
	wait_for_space(w, a);
	return true;
}

enum writer_outcome
writer_add(struct writer *w, struct arena *a, const struct report_policy *policy,
    const struct report_row *row, int64_t at_s, const struct waiting *waiting)
{
	struct arrival arrival = { .entry = { .domain = policy->domain,
				       .policy = report_policy_encode(a, policy),
				       .row = report_row_encode(a, row),
				       .count = row->count } };
	enum writer_outcome outcome;
	bool waited;

	arrival.hash = pending_hash(w->pending, &arrival.entry);
	waited = lock_with_space(w, &arrival, at_s, waiting);
	outcome = take_in(w, &arrival);
	(void)pthread_mutex_unlock(&w->lock);
	if (waited)
		waiting_end(waiting);
	return outcome;
}

bool
writer_add_failure(struct writer *w, const struct failure_event *event)
{
	bool added = failure_buffer_add(w->failures, event);

	(void)pthread_mutex_lock(&w->lock);
	(void)pthread_cond_signal(&w->work);
	(void)pthread_mutex_unlock(&w->lock);
	return added;
}

void
writer_counters(struct writer *w, struct writer_counters *out)
{
	(void)pthread_mutex_lock(&w->lock);
	*out = w->counters;
	out->queued = pending_sum(w->pending, PENDING_FRESH)->messages +
	    pending_sum(w->pending, PENDING_TAKEN)->messages;
	(void)pthread_mutex_unlock(&w->lock);
}

/* ---- the thread: writing ---- */

static void
tell(struct writer *w, const char *text)
{
	if (w->options.trouble != NULL)
		w->options.trouble(w->options.ctx, text);
}

static void
tell_set_aside(struct writer *w, const char *name)
{
	char text[640];

	(void)snprintf(
	    text, sizeof(text), "a journal that this assay can't read is kept as %s", name);
	tell(w, text);
	w->in_trouble = true;
}

/* What a former process has left, before anything of ours. */
static int
recover(struct writer *w, const char **error_r)
{
	struct journal_recovery found;
	int rc;

	if (w->recovered)
		return 0;
	rc = journal_recover(w->journal, w->file.store, w->file.db, &found, error_r);
	/* The next attempt does not find it any more. */
	if (found.set_aside != NULL)
		tell_set_aside(w, found.set_aside);
	if (rc != 0)
		return -1;
	(void)pthread_mutex_lock(&w->lock);
	w->recovered = true;
	(void)pthread_cond_broadcast(&w->space);
	w->counters.recovered = found.messages;
	(void)pthread_mutex_unlock(&w->lock);
	return 0;
}

static int
be_connected(struct writer *w, const char **error_r)
{
	return store_file_open(&w->file, error_r) == 0 ? recover(w, error_r) : -1;
}

static int
merge_group(struct writer *w, const char **error_r)
{
	const struct pending *p = w->pending;

	if (store_begin(w->file.store, error_r) != 0)
		return -1;
	for (const struct pending_row *row = pending_first(p, PENDING_TAKEN); row != NULL;
	     row = pending_next(p, PENDING_TAKEN, row)) {
		struct store_entry e = row->entry;

		e.count = pending_messages(p, PENDING_TAKEN, row);
		if (store_merge(w->file.store, &e, error_r) != 0)
			return -1;
	}
	if (w->place != 0 && journal_note(w->journal, w->file.db, w->place, error_r) != 0)
		return -1;
	return store_commit(w->file.store, error_r);
}

static int64_t
keep_s(struct writer *w)
{
	int64_t keep;

	(void)pthread_mutex_lock(&w->lock);
	keep = w->options.keep_s;
	(void)pthread_mutex_unlock(&w->lock);
	return keep;
}

/* Under the lock, when nothing is taken: what is fresh goes along. */
static int
replace_journal(struct writer *w)
{
	struct pending *p = w->pending;
	struct pending_row *row;

	for (row = pending_first(p, PENDING_FRESH); row != NULL;
	     row = pending_next(p, PENDING_FRESH, row)) {
		struct store_entry e = row->entry;

		e.count = pending_messages(p, PENDING_FRESH, row);
		if (journal_carry(w->journal, &e, &row->carried) != 0)
			return -1; /* the old one stands */
	}
	if (journal_replace(w->journal) != 0)
		return -1;
	for (row = pending_first(p, PENDING_FRESH); row != NULL;
	     row = pending_next(p, PENDING_FRESH, row))
		pending_carried(p, row);
	return 0;
}

static void
group_is_safe(struct writer *w)
{
	bool renew = w->journal_worn && journal_begin_next(w->journal) == 0;

	(void)pthread_mutex_lock(&w->lock);
	w->counters.commits++;
	w->counters.safe += pending_sum(w->pending, PENDING_TAKEN)->messages;
	pending_commit(w->pending);
	w->stalled = false;
	if ((renew && replace_journal(w) == 0) || pending_bytes(w->pending) > KEPT_BYTES)
		pending_forget(w->pending);
	(void)pthread_cond_broadcast(&w->space);
	(void)pthread_mutex_unlock(&w->lock);
	journal_end_old(w->journal);
	if (w->in_trouble)
		tell(w, NULL);
	w->in_trouble = false;
}

/* Nobody waits for what can't be had now. */
static void
group_is_stalled(struct writer *w)
{
	(void)pthread_mutex_lock(&w->lock);
	w->stalled = true;
	(void)pthread_cond_broadcast(&w->space);
	(void)pthread_mutex_unlock(&w->lock);
}

static void
failed(struct writer *w, const char *error)
{
	store_file_failed(&w->file, error);
	w->in_trouble = true;
	group_is_stalled(w);
}

static bool
write_group(struct writer *w)
{
	const char *error = "?";

	if (be_connected(w, &error) == 0 && merge_group(w, &error) == 0) {
		group_is_safe(w);
		return true;
	}
	failed(w, error);
	store_file_make_room(&w->file, keep_s(w));
	return false;
}

/* Waits for a row or for the time to prune, and then for the group to be worth its commit. */
static void
gather(struct writer *w)
{
	const bool prunes = store_file_has_more_to_prune(&w->file);
	struct timespec until = deadline_in_ms(prunes ? PRUNE_PAUSE_MS : STORE_FILE_PRUNE_S * 1000);
	int rc = 0;

	(void)pthread_mutex_lock(&w->lock);
	while (rows(w, PENDING_FRESH) == 0 && failure_buffer_is_empty(w->failures) &&
	    !w->stopping && rc == 0)
		rc = pthread_cond_timedwait(&w->work, &w->lock, &until);
	until = deadline_in_ms(w->options.interval_ms);
	rc = 0;
	while (rows(w, PENDING_FRESH) > 0 && rows(w, PENDING_FRESH) < WRITER_GROUP_ROWS &&
	    !w->stopping && rc == 0)
		rc = pthread_cond_timedwait(&w->work, &w->lock, &until);
	pending_take(w->pending);
	/* Every message before that is taken, or in the store. */
	w->place = w->recovered ? journal_place(w->journal) : 0;
	w->journal_worn = w->recovered && journal_is_worn(w->journal);
	(void)pthread_cond_broadcast(&w->space);
	(void)pthread_mutex_unlock(&w->lock);
}

/* After the rows, which matter more: whatever is wrong with it, it is not tried again. */
static void
write_failures(struct writer *w)
{
	const char *error = "?";

	if (failure_buffer_is_empty(w->failures))
		return;
	if (be_connected(w, &error) != 0 ||
	    failure_buffer_write(w->failures, w->file.db, &error) != 0)
		tell(w, error);
}

/* Between two attempts. True: go on trying. */
static bool
pause_and_go_on(struct writer *w)
{
	const struct timespec until = deadline_in_ms(WRITER_RETRY_MS);
	bool go_on;
	int rc = 0;

	(void)pthread_mutex_lock(&w->lock);
	while (!w->stopping && rc == 0)
		rc = pthread_cond_timedwait(&w->work, &w->lock, &until);
	go_on = !w->stopping || w->last_attempts-- > 0;
	(void)pthread_mutex_unlock(&w->lock);
	return go_on;
}

static bool
all_done(struct writer *w)
{
	bool done;

	(void)pthread_mutex_lock(&w->lock);
	done = w->stopping && rows(w, PENDING_FRESH) == 0;
	(void)pthread_mutex_unlock(&w->lock);
	return done;
}

static void *
writer_thread(void *arg)
{
	struct writer *w = arg;
	const char *error = "?";

	/* At once, so that it is told at the start and not with the first message. */
	if (be_connected(w, &error) != 0)
		failed(w, error);
	do {
		gather(w);
		while (rows(w, PENDING_TAKEN) > 0 && !write_group(w))
			if (!pause_and_go_on(w))
				return NULL;
		write_failures(w);
		store_file_prune(&w->file, keep_s(w));
	} while (!all_done(w));
	return NULL;
}

/* ---- life ---- */

static void
init_locks(struct writer *w)
{
	pthread_condattr_t cond;

	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_condattr_init(&cond);
	(void)pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&w->work, &cond);
	(void)pthread_cond_init(&w->space, &cond);
	(void)pthread_condattr_destroy(&cond);
}

static void
free_all(struct writer *w)
{
	(void)pthread_cond_destroy(&w->work);
	(void)pthread_cond_destroy(&w->space);
	(void)pthread_mutex_destroy(&w->lock);
	journal_free(&w->journal);
	pending_free(&w->pending);
	failure_buffer_free(&w->failures);
	free(w->path);
	free(w);
}

struct writer *
writer_open(const struct writer_options *options)
{
	struct writer *w = heap_alloc(1, sizeof(*w));
	char journal[4096];

	w->options = *options;
	w->path = heap_copy(options->file);
	w->options.file = w->path;
	if (w->options.interval_ms == 0)
		w->options.interval_ms = WRITER_INTERVAL_MS;
	w->file = (struct store_file){
		.file = w->path,
		.file_bytes = options->file_bytes > 0 ? options->file_bytes : WRITER_FILE_BYTES,
		.tell = options->trouble,
		.ctx = options->ctx,
	};
	(void)snprintf(journal, sizeof(journal), "%s.pending", options->file);
	w->journal = journal_new(journal);
	w->last_attempts = LAST_ATTEMPTS;
	w->pending = pending_new();
	w->failures = failure_buffer_new();
	init_locks(w);
	if (pthread_create(&w->thread, NULL, writer_thread, w) == 0)
		return w;
	free_all(w);
	return NULL;
}

void
writer_change(struct writer *w, const struct writer_options *options)
{
	(void)pthread_mutex_lock(&w->lock);
	w->options.wait_ms = options->wait_ms;
	w->options.period_s = options->period_s;
	w->options.keep_s = options->keep_s;
	(void)pthread_mutex_unlock(&w->lock);
}

/* The thread has ended: what it could not write. */
static void
account_for_the_rest(struct writer *w)
{
	const struct pending_sum *fresh = pending_sum(w->pending, PENDING_FRESH);
	const struct pending_sum *taken = pending_sum(w->pending, PENDING_TAKEN);
	char text[64];

	/* So that an old copy of the store is not taken for one that never had these rows. */
	if (w->recovered && fresh->rows + taken->rows == 0)
		journal_clear(w->journal);
	if (fresh->late + taken->late == 0)
		return;
	(void)snprintf(text, sizeof(text), "%llu rows are lost",
	    (unsigned long long)(fresh->late + taken->late));
	tell(w, text);
}

void
writer_close(struct writer **wp)
{
	struct writer *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	(void)pthread_mutex_lock(&w->lock);
	w->stopping = true;
	(void)pthread_cond_signal(&w->work);
	(void)pthread_mutex_unlock(&w->lock);
	(void)pthread_join(w->thread, NULL);
	account_for_the_rest(w);
	store_file_close(&w->file);
	free_all(w);
}
