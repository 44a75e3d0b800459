/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/base/bug.h"
#include "tests/harness/postbox/log.h"
#include "tests/harness/postbox/relay_internal.h"

struct entry {
	struct arena *arena; /* of everything in mail, and of this */
	struct relay_mail mail;
	int64_t created_s; /* wall clock: it may be from an earlier life */
	uint64_t next_ms;  /* monotonic: when it is to be tried */
	uint32_t wait_ms;  /* and how long to wait after that, if need be */
	bool busy;	   /* a thread is at it: nobody else looks */
	struct entry *next;
};

struct worker {
	struct relay_queue *queue;
	struct relay_line line;
	pthread_t thread;
	bool runs;
};

struct relay_queue {
	struct server *server;
	struct worker workers[POSTBOX_RELAY_THREADS];

	pthread_mutex_t lock; /* of what follows; taken before a line's lock */
	pthread_cond_t changed;
	struct entry *entries; /* in no order: there are few */
	size_t count, bytes;
	bool stopping;
};

static uint64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- entries ---- */

static void
copy_mail(struct arena *a, const struct relay_mail *from, struct relay_mail *to)
{
	*to = *from;
	to->id = arena_printf(a, "%s", from->id);
	to->user = arena_copy(a, from->user);
	to->sender = arena_copy(a, from->sender);
	to->text = arena_copy(a, from->text);
	to->recipients = arena_array(a, from->count, sizeof(*to->recipients));
	for (size_t i = 0; i < from->count; i++) {
		to->recipients[i] = from->recipients[i];
		to->recipients[i].address = arena_copy(a, from->recipients[i].address);
		to->recipients[i].domain = arena_copy(a, from->recipients[i].domain);
	}
}

static struct entry *
entry_new(struct relay_queue *q, struct arena *a, int64_t created_s)
{
	struct entry *e = arena_alloc(a, sizeof(*e));

	e->arena = a;
	e->created_s = created_s;
	e->next_ms = now_ms();
	e->wait_ms = q->server->options.relay_retry_ms;
	return e;
}

/* Lock held. */
static void
insert(struct relay_queue *q, struct entry *e)
{
	e->next = q->entries;
	q->entries = e;
	(void)pthread_cond_signal(&q->changed);
}

static void
unlink_entry(struct relay_queue *q, struct entry *e)
{
	struct entry **at = &q->entries;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	q->count--;
	q->bytes -= e->mail.text.len;
}

/* Room in the queue, before the message is copied. */
static bool
reserve(struct relay_queue *q, size_t bytes)
{
	bool good;

	(void)pthread_mutex_lock(&q->lock);
	good = q->count < POSTBOX_QUEUE_MESSAGES && bytes <= POSTBOX_QUEUE_BYTES - q->bytes;
	if (good) {
		q->count++;
		q->bytes += bytes;
	}
	(void)pthread_mutex_unlock(&q->lock);
	return good;
}

static void
give_back(struct relay_queue *q, size_t bytes)
{
	(void)pthread_mutex_lock(&q->lock);
	q->count--;
	q->bytes -= bytes;
	(void)pthread_mutex_unlock(&q->lock);
}

enum relay_added
relay_queue_add(struct relay_queue *q, const struct relay_mail *mail)
{
	struct entry *e;

	if (!reserve(q, mail->text.len))
		return RELAY_FULL;
	e = entry_new(q, arena_new(mail->text.len + POSTBOX_CONNECTION_MEMORY), time(NULL));
	copy_mail(e->arena, mail, &e->mail);
	if (relay_spool_write(q->server, &e->mail, e->created_s) == -1) {
		struct arena *a = e->arena;

		give_back(q, mail->text.len);
		arena_free(&a);
		return RELAY_NOT_WRITTEN;
	}
	(void)pthread_mutex_lock(&q->lock);
	insert(q, e);
	(void)pthread_mutex_unlock(&q->lock);
	return RELAY_QUEUED;
}

/* ---- what follows from an attempt ---- */

static size_t
count_state(const struct relay_mail *mail, enum relay_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < mail->count; i++)
		n += mail->recipients[i].state == state;
	return n;
}

/* Who waits has waited long enough. */
static void
give_up(struct relay_mail *mail)
{
	char fault[RELAY_FAULT_BYTES];

	for (size_t i = 0; i < mail->count; i++) {
		struct relay_recipient *r = &mail->recipients[i];

		if (r->state != RELAY_WAITS)
			continue;
		memcpy(fault, r->fault, sizeof(fault));
		relay_settle(r, RELAY_FAILED, "4.4.7", "too old; the last trouble was: %s", fault);
	}
}

static void
keep_waiting(struct relay_mail *mail)
{
	size_t kept = 0;

	for (size_t i = 0; i < mail->count; i++)
		if (mail->recipients[i].state == RELAY_WAITS)
			mail->recipients[kept++] = mail->recipients[i];
	mail->count = kept;
}

/* Is there anybody left to be tried later? */
static bool
settle(struct relay_queue *q, struct entry *e, struct arena *a)
{
	const struct server_options *o = &q->server->options;
	bool old = (time(NULL) - e->created_s) * 1000 >= (int64_t)o->relay_lifetime_ms;
	size_t before = e->mail.count;

	if (old)
		give_up(&e->mail);
	if (count_state(&e->mail, RELAY_FAILED) > 0)
		relay_bounce(q->server, a, &e->mail);
	keep_waiting(&e->mail);
	/* A kill before this repeats what has just been done: twice is better than never. */
	if (e->mail.count == 0)
		relay_spool_remove(q->server, e->mail.id);
	else if (e->mail.count < before)
		(void)relay_spool_write(q->server, &e->mail, e->created_s);
	return e->mail.count > 0;
}

static void
attempt(struct worker *w, struct entry *e)
{
	struct relay_queue *q = w->queue;
	struct arena *a = arena_new(POSTBOX_CONNECTION_MEMORY), *done = NULL;
	bool again;

	relay_attempt(q->server, a, &e->mail, &w->line);
	again = settle(q, e, a);
	arena_free(&a);
	(void)pthread_mutex_lock(&q->lock);
	if (again) {
		e->next_ms = now_ms() + e->wait_ms;
		e->wait_ms = e->wait_ms < POSTBOX_RETRY_MAX_MS / 2 ? e->wait_ms * 2
								   : POSTBOX_RETRY_MAX_MS;
		e->busy = false;
	} else {
		unlink_entry(q, e);
		done = e->arena;
	}
	(void)pthread_mutex_unlock(&q->lock);
	arena_free(&done);
}

/* ---- threads ---- */

/* The entry that is due first, whether it is due or not. Lock held. */
static struct entry *
first_due(const struct relay_queue *q)
{
	struct entry *first = NULL;

	for (struct entry *e = q->entries; e != NULL; e = e->next)
		if (!e->busy && (first == NULL || e->next_ms < first->next_ms))
			first = e;
	return first;
}

/* The next entry, now busy; NULL: the queue stops. */
static struct entry *
take(struct relay_queue *q)
{
	struct entry *e = NULL;

	(void)pthread_mutex_lock(&q->lock);
	while (!q->stopping) {
		e = first_due(q);
		if (e == NULL) {
			(void)pthread_cond_wait(&q->changed, &q->lock);
		} else if (e->next_ms <= now_ms()) {
			e->busy = true;
			break;
		} else {
			struct timespec until = { .tv_sec = (time_t)(e->next_ms / 1000),
				.tv_nsec = (long)(e->next_ms % 1000) * 1000000 };

			(void)pthread_cond_timedwait(&q->changed, &q->lock, &until);
		}
		e = NULL;
	}
	(void)pthread_mutex_unlock(&q->lock);
	return e;
}

static void *
worker_main(void *argument)
{
	struct worker *w = argument;
	struct entry *e;

	while ((e = take(w->queue)) != NULL)
		attempt(w, e);
	return NULL;
}

static int
start_threads(struct relay_queue *q)
{
	pthread_attr_t attributes;
	int result = 0;

	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setstacksize(&attributes, POSTBOX_STACK_BYTES);
	for (size_t i = 0; i < POSTBOX_RELAY_THREADS && result == 0; i++) {
		struct worker *w = &q->workers[i];

		w->queue = q;
		(void)pthread_mutex_init(&w->line.lock, NULL);
		result = pthread_create(&w->thread, &attributes, worker_main, w);
		w->runs = result == 0;
	}
	(void)pthread_attr_destroy(&attributes);
	return result == 0 ? 0 : -1;
}

static void
load_one(void *ctx, struct arena *a, struct relay_mail *mail, int64_t created_s)
{
	struct relay_queue *q = ctx;
	struct entry *e = entry_new(q, a, created_s);

	/* More than fits now fitted once: nothing is thrown away. */
	e->mail = *mail;
	q->count++;
	q->bytes += mail->text.len;
	insert(q, e);
}

struct relay_queue *
relay_queue_new(struct server *server, const char **error_r)
{
	struct relay_queue *q = heap_alloc(1, sizeof(*q));
	pthread_condattr_t monotonic;

	q->server = server;
	(void)pthread_mutex_init(&q->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&q->changed, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	if (relay_spool_load(server, load_one, q, error_r) == 0) {
		if (start_threads(q) == 0)
			return q;
		*error_r = "no threads for the queue";
	}
	(void)relay_queue_stop(q);
	relay_queue_free(&q);
	return NULL;
}

bool
relay_queue_stop(struct relay_queue *q)
{
	struct timespec until;
	bool ended = true;

	(void)pthread_mutex_lock(&q->lock);
	q->stopping = true;
	(void)pthread_cond_broadcast(&q->changed);
	(void)pthread_mutex_unlock(&q->lock);
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += POSTBOX_STOP_WAIT_MS / 1000;
	for (size_t i = 0; i < POSTBOX_RELAY_THREADS; i++) {
		struct worker *w = &q->workers[i];

		if (!w->runs)
			continue;
		(void)pthread_mutex_lock(&w->line.lock);
		w->line.cut = true;
		if (w->line.stream != NULL)
			stream_shutdown(w->line.stream);
		(void)pthread_mutex_unlock(&w->line.lock);
		w->runs = pthread_timedjoin_np(w->thread, NULL, &until) != 0;
		ended = ended && !w->runs;
	}
	return ended;
}

void
relay_queue_free(struct relay_queue **q)
{
	struct relay_queue *queue = *q;

	*q = NULL;
	if (queue == NULL)
		return;
	while (queue->entries != NULL) {
		struct entry *e = queue->entries;
		struct arena *a = e->arena;

		log_line(NULL, "%s: still in the queue", e->mail.id);
		queue->entries = e->next;
		arena_free(&a);
	}
	(void)pthread_cond_destroy(&queue->changed);
	(void)pthread_mutex_destroy(&queue->lock);
	free(queue);
}
