/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/writer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "report/encode.h"
#include "report/failure_buffer.h"
#include "report/journal.h"
#include "report/store.h"

#define BUSY_MS	      250 /* for another's lock, at a time: a stop must not wait long */
#define PRUNE_EVERY_S 600
#define LOOK_EVERY_S  2 /* whether the file is still the one we have open */
#define SLOTS	      4096
#define LAST_ATTEMPTS 2 /* of a stop, where it fails */
#define PAGE_BYTES    4096

/* A row that waits for its group; the bytes stand behind it. */
struct entry {
	struct entry *next;
	struct store_entry row;
	int64_t place;	 /* behind it in the journal; 0: it is in memory alone */
	int64_t carried; /* the same in the next journal */
	uint64_t total;	 /* its messages and those of equal rows in the group; 0: counted there */
};

struct queue {
	struct entry *first, **end;
	size_t count;
};

struct writer {
	struct writer_options options; /* what writer_change() changes under the lock */
	char *file;
	pthread_t thread;

	struct failure_buffer *failures;

	pthread_mutex_t lock; /* guards what follows; inside it only that of failures */
	pthread_cond_t work, space;
	struct queue queue; /* not yet taken by the thread */
	size_t in_hand;	    /* taken, not committed */
	struct journal *journal;
	bool recovered;		/* the journal takes rows */
	bool stopping, stalled; /* stalled: the store can't be written */
	unsigned last_attempts; /* once stopping */
	struct writer_counters counters;

	/* the thread's own */
	struct entry *slots[SLOTS];
	struct queue group; /* taken from the queue; its length is in_hand */
	struct db *db;
	struct store *store; /* NULL: not open */
	ino_t inode;
	time_t looked_s, pruned_s;
	bool in_trouble, more_to_prune;
};

static void
queue_init(struct queue *q)
{
	*q = (struct queue){ .end = &q->first };
}

static void
queue_add(struct queue *q, struct entry *e)
{
	e->next = NULL;
	*q->end = e;
	q->end = &e->next;
	q->count++;
}

static struct entry *
queue_take(struct queue *q)
{
	struct entry *e = q->first;

	if (e == NULL)
		return NULL;
	q->first = e->next;
	if (q->first == NULL)
		q->end = &q->first;
	q->count--;
	return e;
}

/* ---- those who have a row ---- */

static struct entry *
entry_new(struct slice domain, struct slice policy, struct slice row)
{
	struct entry *e = heap_alloc(1, sizeof(*e) + domain.len + policy.len + row.len);
	struct slice *to[] = { &e->row.domain, &e->row.policy, &e->row.row };
	const struct slice from[] = { domain, policy, row };
	char *p = (char *)(e + 1);

	for (size_t i = 0; i < 3; i++) {
		if (from[i].len > 0)
			memcpy(p, from[i].p, from[i].len);
		*to[i] = slice_of(p, from[i].len);
		p += from[i].len;
	}
	return e;
}

static struct timespec
in_ms(uint32_t ms)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += (long)(ms % 1000) * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_nsec -= 1000000000;
		ts.tv_sec++;
	}
	return ts;
}

static bool
is_full(const struct writer *w)
{
	return w->queue.count + w->in_hand >= WRITER_QUEUE_MAX;
}

/* Under the lock: the journal is not open yet, or rows come faster than they can be written, which
 * is no fault yet. */
static void
wait_for_space(struct writer *w)
{
	const struct timespec until = in_ms(w->options.wait_ms);
	int rc = 0;

	while ((is_full(w) || !w->recovered) && !w->stalled && !w->stopping && rc == 0)
		rc = pthread_cond_timedwait(&w->space, &w->lock, &until);
}

/* Under the lock. Takes e, but where it is lost. */
static enum writer_outcome
enqueue(struct writer *w, struct entry *e)
{
	const char *error;

	wait_for_space(w);
	if (w->stopping || is_full(w)) {
		w->counters.lost++;
		return WRITER_LOST;
	}
	if (!w->recovered || journal_add(w->journal, &e->row, &e->place, &error) != 0)
		e->place = 0;
	queue_add(&w->queue, e);
	if (w->queue.count == 1 || w->queue.count == WRITER_GROUP_MAX)
		(void)pthread_cond_signal(&w->work);
	if (e->place != 0)
		return WRITER_SAFE;
	w->counters.late++;
	return WRITER_LATE;
}

enum writer_outcome
writer_add(struct writer *w, struct arena *a, const struct report_policy *policy,
    const struct report_row *row, int64_t at_s)
{
	struct entry *e = entry_new(
	    policy->domain, report_policy_encode(a, policy), report_row_encode(a, row));
	enum writer_outcome outcome;

	e->row.count = row->count;
	(void)pthread_mutex_lock(&w->lock);
	store_period_at(at_s, w->options.period_s, &e->row.begin_s, &e->row.end_s);
	outcome = enqueue(w, e);
	(void)pthread_mutex_unlock(&w->lock);
	if (outcome == WRITER_LOST)
		free(e);
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
	out->queued = w->queue.count + w->in_hand;
	(void)pthread_mutex_unlock(&w->lock);
}

/* ---- the thread: the file ---- */

static void
tell(struct writer *w, const char *text)
{
	if (w->options.trouble != NULL)
		w->options.trouble(w->options.ctx, text);
}

static void
disconnect(struct writer *w)
{
	store_close(&w->store);
	db_close(&w->db);
}

/* A damaged file is kept for whoever can read more of it than SQLite does. */
static void
set_aside(struct writer *w)
{
	static const char *const parts[] = { "", "-wal", "-shm" };
	char from[4096], to[4096];

	disconnect(w);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		(void)snprintf(from, sizeof(from), "%s%s", w->file, parts[i]);
		(void)snprintf(
		    to, sizeof(to), "%s.damaged-%lld%s", w->file, (long long)time(NULL), parts[i]);
		if (rename(from, to) == 0 && i == 0)
			tell(w, "the file was damaged: set aside, a new one is begun");
	}
}

static int
connect_store(struct writer *w, const char **error_r)
{
	int64_t bytes = w->options.file_bytes > 0 ? w->options.file_bytes : WRITER_FILE_BYTES;
	char limit[64];
	struct stat st;

	(void)snprintf(
	    limit, sizeof(limit), "PRAGMA max_page_count=%lld", (long long)(bytes / PAGE_BYTES));

	if (w->db == NULL)
		w->db = db_new_sqlite(w->file, BUSY_MS);
	if (db_reopen(w->db, error_r) != 0 || db_script(w->db, limit, error_r) != 0)
		return -1;
	w->store = store_open(w->db, error_r);
	if (w->store == NULL)
		return -1;
	w->inode = stat(w->file, &st) == 0 ? st.st_ino : 0;
	return 0;
}

/* SQLite would go on for ever in a file that somebody has removed or put another in the place of.
 */
static bool
is_replaced(struct writer *w)
{
	time_t now = time(NULL);
	struct stat st;

	if (now - w->looked_s < LOOK_EVERY_S && now >= w->looked_s)
		return false;
	w->looked_s = now;
	return stat(w->file, &st) != 0 || st.st_ino != w->inode;
}

/* What a former process has left, before anything of ours. */
static int
recover(struct writer *w, const char **error_r)
{
	uint64_t count;

	if (w->recovered)
		return 0;
	if (journal_recover(w->journal, w->store, w->db, &count, error_r) != 0)
		return -1;
	(void)pthread_mutex_lock(&w->lock);
	w->recovered = true;
	(void)pthread_cond_broadcast(&w->space);
	w->counters.recovered = count;
	(void)pthread_mutex_unlock(&w->lock);
	return 0;
}

static int
be_connected(struct writer *w, const char **error_r)
{
	if (w->store != NULL && is_replaced(w))
		disconnect(w);
	if (w->store == NULL && connect_store(w, error_r) != 0)
		return -1;
	return recover(w, error_r);
}

/* ---- the thread: writing ---- */

static bool
row_equal(const struct store_entry *a, const struct store_entry *b)
{
	return slice_equal(a->row, b->row) && slice_equal(a->policy, b->policy) &&
	    a->begin_s == b->begin_s && a->end_s == b->end_s;
}

/* Equal rows of a group are counted here first: memory is cheaper than the file. Two different ones
 * that meet in a slot are both written. */
static void
count_equal(struct writer *w)
{
	static const uint64_t prime = 0x100000001b3;

	memset(w->slots, 0, sizeof(w->slots));
	for (struct entry *e = w->group.first; e != NULL; e = e->next) {
		uint64_t hash = 0xcbf29ce484222325;
		struct entry **slot;

		for (size_t i = 0; i < e->row.row.len; i++)
			hash = (hash ^ (uint8_t)e->row.row.p[i]) * prime;
		slot = &w->slots[(hash ^ hash >> 32) % SLOTS];
		e->total = e->row.count;
		if (*slot != NULL && row_equal(&(*slot)->row, &e->row)) {
			(*slot)->total += e->total;
			e->total = 0;
		} else {
			*slot = e;
		}
	}
}

static int
merge_group(struct writer *w, const char **error_r)
{
	int64_t place = 0;

	if (store_begin(w->store, error_r) != 0)
		return -1;
	count_equal(w);
	for (const struct entry *e = w->group.first; e != NULL; e = e->next) {
		struct store_entry row = e->row;

		row.count = e->total;
		if (row.count > 0 && store_merge(w->store, &row, error_r) != 0)
			return -1;
		if (e->place != 0)
			place = e->place;
	}
	if (place != 0 && journal_note(w->journal, w->db, place, error_r) != 0)
		return -1;
	return store_commit(w->store, error_r);
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

static void
prune_piece(struct writer *w, int64_t done_before_s, int64_t any_before_s)
{
	const char *error;
	int more = -1;

	w->more_to_prune = false;
	if (store_begin(w->store, &error) == 0)
		more = store_prune(w->store, done_before_s, any_before_s, &error);
	if (more < 0 || store_commit(w->store, &error) != 0)
		store_rollback(w->store);
	else
		w->more_to_prune = more == 1;
}

/* A piece at a time, between two groups. */
static void
prune(struct writer *w)
{
	time_t now = time(NULL);
	int64_t keep = keep_s(w), before = now - keep;

	if (w->store == NULL || keep == 0 ||
	    (!w->more_to_prune && now - w->pruned_s < PRUNE_EVERY_S && now >= w->pruned_s))
		return;
	w->pruned_s = now;
	prune_piece(w, before, before);
}

/* No room: what is reported goes at once, and what is past keeping. Other than that nothing would
 * ever go, since between two groups is never. */
static void
make_room(struct writer *w)
{
	int64_t now = time(NULL), keep = keep_s(w);

	if (w->store != NULL && db_fault(w->db) == DB_F_FULL)
		prune_piece(w, now, keep == 0 ? 0 : now - keep);
}

static void
failed(struct writer *w, const char *error)
{
	bool damaged = w->db != NULL && db_fault(w->db) == DB_F_CORRUPT;

	if (!damaged) /* there it is said what was done */
		tell(w, error);
	w->in_trouble = true;
	if (w->store != NULL)
		store_rollback(w->store);
	if (damaged)
		set_aside(w);
	else if (w->db == NULL || (db_fault(w->db) != DB_F_BUSY && db_fault(w->db) != DB_F_FULL))
		disconnect(w);
}

/* Under the lock; what is noted is committed. What has come since goes along. */
static void
renew_journal(struct writer *w)
{
	if (journal_renew(w->journal) != 0)
		return;
	for (struct entry *e = w->queue.first; e != NULL; e = e->next)
		if (e->place != 0 && journal_carry(w->journal, &e->row, &e->carried) != 0)
			return; /* the old one stands */
	if (journal_renewed(w->journal) != 0)
		return;
	for (struct entry *e = w->queue.first; e != NULL; e = e->next)
		if (e->place != 0)
			e->place = e->carried;
}

static void
group_is_safe(struct writer *w)
{
	struct entry *e;

	(void)pthread_mutex_lock(&w->lock);
	w->counters.commits++;
	w->counters.safe += w->group.count;
	w->in_hand = 0;
	w->stalled = false;
	while ((e = queue_take(&w->group)) != NULL)
		free(e);
	renew_journal(w);
	(void)pthread_cond_broadcast(&w->space);
	(void)pthread_mutex_unlock(&w->lock);
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

static bool
write_group(struct writer *w)
{
	const char *error = "?";

	if (be_connected(w, &error) == 0 && merge_group(w, &error) == 0) {
		group_is_safe(w);
		return true;
	}
	failed(w, error);
	group_is_stalled(w);
	make_room(w);
	return false;
}

/* Waits for a row or for the time to prune, and then for what comes in a moment. */
static void
gather(struct writer *w)
{
	struct timespec until = in_ms(w->more_to_prune ? 10 : PRUNE_EVERY_S * 1000);
	int rc = 0;

	(void)pthread_mutex_lock(&w->lock);
	while (
	    w->queue.count == 0 && failure_buffer_is_empty(w->failures) && !w->stopping && rc == 0)
		rc = pthread_cond_timedwait(&w->work, &w->lock, &until);
	until = in_ms(WRITER_GATHER_MS);
	rc = 0;
	while (w->queue.count > 0 && w->queue.count < WRITER_GROUP_MAX && !w->stopping && rc == 0)
		rc = pthread_cond_timedwait(&w->work, &w->lock, &until);
	while (w->group.count < WRITER_GROUP_MAX && w->queue.count > 0)
		queue_add(&w->group, queue_take(&w->queue));
	w->in_hand = w->group.count;
	(void)pthread_mutex_unlock(&w->lock);
}

/* After the rows, which matter more: whatever is wrong with it, it is not tried again. */
static void
write_failures(struct writer *w)
{
	const char *error = "?";

	if (failure_buffer_is_empty(w->failures))
		return;
	if (be_connected(w, &error) != 0 || failure_buffer_write(w->failures, w->db, &error) != 0)
		tell(w, error);
}

/* Between two attempts. True: go on trying. */
static bool
pause_and_go_on(struct writer *w)
{
	const struct timespec until = in_ms(WRITER_RETRY_MS);
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
	done = w->stopping && w->queue.count == 0;
	(void)pthread_mutex_unlock(&w->lock);
	return done;
}

static void *
writer_thread(void *arg)
{
	struct writer *w = arg;
	const char *error = "?";

	/* At once, so that it is told at the start and not with the first message. */
	if (be_connected(w, &error) != 0) {
		failed(w, error);
		group_is_stalled(w);
	}
	do {
		gather(w);
		while (w->group.count > 0 && !write_group(w))
			if (!pause_and_go_on(w))
				return NULL;
		write_failures(w);
		prune(w);
	} while (!all_done(w));
	return NULL;
}

/* ---- life ---- */

struct writer *
writer_open(const struct writer_options *options)
{
	struct writer *w = heap_alloc(1, sizeof(*w));
	pthread_condattr_t attr;
	char pending[4096];

	w->options = *options;
	w->file = heap_copy(options->file);
	w->options.file = w->file;
	(void)snprintf(pending, sizeof(pending), "%s.pending", options->file);
	w->journal = journal_new(pending);
	w->last_attempts = LAST_ATTEMPTS;
	queue_init(&w->queue);
	queue_init(&w->group);
	w->failures = failure_buffer_new();
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&w->work, &attr);
	(void)pthread_cond_init(&w->space, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (pthread_create(&w->thread, NULL, writer_thread, w) == 0)
		return w;
	(void)pthread_cond_destroy(&w->work);
	(void)pthread_cond_destroy(&w->space);
	(void)pthread_mutex_destroy(&w->lock);
	journal_free(&w->journal);
	failure_buffer_free(&w->failures);
	free(w->file);
	free(w);
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

/* How many of them are nowhere but here. */
static uint64_t
drop_all(struct queue *q)
{
	uint64_t lost = 0;
	struct entry *e;

	while ((e = queue_take(q)) != NULL) {
		lost += e->place == 0;
		free(e);
	}
	return lost;
}

void
writer_close(struct writer **wp)
{
	struct writer *w = *wp;
	uint64_t lost;
	char text[64];

	*wp = NULL;
	if (w == NULL)
		return;
	(void)pthread_mutex_lock(&w->lock);
	w->stopping = true;
	(void)pthread_cond_signal(&w->work);
	(void)pthread_mutex_unlock(&w->lock);
	(void)pthread_join(w->thread, NULL);
	/* So that an old copy of the store is not taken for one that never had these rows. */
	if (w->recovered && w->queue.count + w->group.count == 0)
		journal_clear(w->journal);
	lost = drop_all(&w->queue) + drop_all(&w->group);
	if (lost > 0) {
		(void)snprintf(text, sizeof(text), "%llu rows are lost", (unsigned long long)lost);
		tell(w, text);
	}
	disconnect(w);
	journal_free(&w->journal);
	(void)pthread_cond_destroy(&w->work);
	(void)pthread_cond_destroy(&w->space);
	(void)pthread_mutex_destroy(&w->lock);
	failure_buffer_free(&w->failures);
	free(w->file);
	free(w);
}
