/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/make.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/encode.h"

#define TRIES 3 /* of a transaction that lost a race */

/*
 * The first look only starts the questions, of WINDOW reports one after the other; the second takes
 * what has come. What is waited for as long as it takes is looked at like this once more before, so
 * that all that does not answer runs out of time together.
 */
#define WINDOW	       64
#define LOOK_MS	       1
#define SECOND_LOOK_MS 50

struct found { /* a period that is over */
	int64_t id;
	uint64_t messages;
	bool tried;  /* it was closed by a run before, and put off */
	bool closed; /* by this one or before */
};

struct found_list {
	struct arena *arena;
	struct found *list;
	size_t count, size;
};

static int
take_period(void *ctx, const struct store_period *period)
{
	struct found_list *f = ctx;

	if (f->count == f->size) {
		struct found *old = f->list;

		f->size = f->size == 0 ? 64 : 2 * f->size;
		f->list = arena_array(f->arena, f->size, sizeof(*f->list));
		if (old != NULL)
			memcpy(f->list, old, f->count * sizeof(*old));
	}
	f->list[f->count++] = (struct found){ period->id, period->messages,
		period->state == STORE_CLOSED, period->state == STORE_CLOSED };
	return 0;
}

static int
compare(const void *a, const void *b)
{
	const struct found *l = a, *r = b;

	if (l->tried != r->tried)
		return l->tried ? 1 : -1;
	if (l->messages != r->messages)
		return l->messages > r->messages ? -1 : 1;
	return l->id < r->id ? -1 : l->id > r->id;
}

/* ---- transactions ---- */

struct step {
	const struct maker *maker;
	int64_t period;
	const struct composition *composed;
	int64_t now_s;
	struct make_counts *counts;
	bool no_room; /* so that nothing was put down */
};

static int
close_period(struct step *s, const char **error_r)
{
	return store_period_close(s->maker->composer.store, s->period, error_r);
}

/* Who lost the lease of a fleet meanwhile writes nothing (lease.h). */
static int
check_may(const struct maker *m, const char **error_r)
{
	int rc = m->may == NULL ? 1 : m->may(m->ctx, error_r);

	if (rc == 0)
		*error_r = "another node makes the reports now";
	return rc == 1 ? 0 : -1;
}

/* The report and the mark that it is made, or neither. */
static int
put_down(struct step *s, const char **error_r)
{
	const struct composition *c = s->composed;
	struct db *db = s->maker->db;
	size_t given_up = 0;
	int room = 1;

	if (check_may(s->maker, error_r) != 0)
		return -1;
	if (c->outcome == COMPOSE_REPORT)
		room = outbox_room(db, c->to_count, s->now_s, &given_up, error_r);
	s->no_room = room == 0;
	if (room <= 0)
		return room;
	s->counts->given_up += given_up;
	if ((c->outcome == COMPOSE_REPORT
		    ? outbox_add(db, &c->report, c->to, c->to_count, error_r)
		    : outbox_skip(db, &c->report, slice_str(c->why), error_r)) != 0)
		return -1;
	return store_period_done(s->maker->composer.store, s->period, error_r);
}

static int
transact(struct step *s, int (*body)(struct step *, const char **), struct arena *a,
    const char **error_r)
{
	struct db *db = s->maker->db;
	const char *why = "?";

	for (int i = 0; i < TRIES; i++) {
		if (db_begin(db, &why) == 0 && body(s, &why) == 0 && db_commit(db, &why) == 0)
			return 0;
		bool again = db_fault(db) == DB_F_BUSY;

		why = arena_str(a, slice_str(why)); /* the connection's, until its next call */
		db_rollback(db);
		if (!again)
			break;
	}
	*error_r = why;
	return -1;
}

/* ---- one period ---- */

struct task {
	const struct maker *maker;
	struct arena *arena;
	int64_t now_s;
	bool rehearsal;
	struct make_counts *counts;
	uint32_t dns_budget_ms;
	bool last;   /* what DNS can't tell now is put off for this run */
	bool full;   /* no report can be put down any more */
	size_t made; /* periods since they were sent, and when that was */
	int64_t sent_s;
};

static void
count(struct make_counts *counts, const struct composition *c, bool failed)
{
	if (failed) {
		counts->failed++;
		return;
	}
	switch (c->outcome) {
	case COMPOSE_REPORT:
		counts->made++;
		return;
	case COMPOSE_SKIP:
		counts->skipped++;
		return;
	case COMPOSE_LATER:
		counts->later++;
		return;
	}
}

/* True: DNS has not told all yet, and there will be another look. */
static bool
work_on(struct task *t, const struct store_period *period)
{
	const struct maker *m = t->maker;
	struct composer composer = m->composer;
	struct composition composed;
	struct step step = { m, period->id, &composed, t->now_s, t->counts, false };
	const char *error = NULL;
	int rc;

	composer.dns_budget_ms = t->dns_budget_ms;
	rc = compose(t->arena, &composer, period, t->now_s, false, &composed, &error);
	if (rc == 0 && composed.outcome == COMPOSE_LATER && !t->last)
		return true;
	if (rc == 0 && !t->rehearsal && composed.outcome != COMPOSE_LATER)
		rc = transact(&step, put_down, t->arena, &error);
	if (rc == 0 && step.no_room) {
		composed.outcome = COMPOSE_LATER;
		composed.why = "too many messages wait to be sent; the others are put off, too";
		t->full = true;
	}
	count(t->counts, &composed, rc != 0);
	if (m->watch != NULL)
		m->watch(m->ctx, period, &composed, rc != 0 ? error : NULL);
	return false;
}

struct copy {
	struct arena *arena;
	struct store_period period;
	bool found;
};

static int
copy_period(void *ctx, const struct store_period *period)
{
	struct copy *c = ctx;
	struct slice bytes = report_policy_encode(c->arena, &period->policy);
	const char *why;

	c->period = *period;
	if (report_policy_decode(bytes, &c->period.policy, &why) != 0)
		bug("make: a policy can't be read again: %s", why);
	c->period.domain = c->period.policy.domain;
	c->found = true;
	return 1;
}

/* The period is read to its end first: SQLite lets nobody write who is still reading what has
 * changed since, and assayd changes it all the time. *again_r: as work_on(). */
static int
make_one(struct task *t, struct found *f, bool *again_r, const char **error_r)
{
	const struct store_query query = { .not_done = true, .id = f->id };
	struct step step = { .maker = t->maker, .period = f->id };
	struct copy copy = { .arena = t->arena };

	*again_r = false;
	if (!t->rehearsal && !f->closed &&
	    transact(&step, close_period, t->maker->arena, error_r) != 0)
		return -1;
	f->closed = true;
	if (store_periods(t->maker->composer.store, &query, copy_period, &copy, error_r) != 0)
		return -1;
	if (copy.found)
		*again_r = work_on(t, &copy.period);
	return 0;
}

static int64_t
monotonic_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec;
}

static bool
must_stop(const struct task *t)
{
	return t->full || (t->maker->stop != NULL && t->maker->stop(t->maker->ctx));
}

static int
send_between(struct task *t, const char **error_r)
{
	t->made = 0;
	t->sent_s = monotonic_s();
	return t->maker->between == NULL || t->rehearsal
	    ? 0
	    : t->maker->between(t->maker->ctx, error_r);
}

/* One look at each; those that DNS must be asked about again are left in the list, in order. */
static int
look_at(struct task *t, struct found_list *f, uint32_t dns_budget_ms, const char **error_r)
{
	size_t left = 0;
	int rc = 0;

	t->dns_budget_ms = dns_budget_ms;
	for (size_t i = 0; rc == 0 && i < f->count && !must_stop(t); i++) {
		bool again;

		rc = make_one(t, &f->list[i], &again, error_r);
		arena_reset(t->arena);
		if (rc == 0 && again)
			f->list[left++] = f->list[i];
		else if (rc == 0 &&
		    (++t->made >= MAKE_BETWEEN || monotonic_s() - t->sent_s >= MAKE_BETWEEN_S))
			rc = send_between(t, error_r);
	}
	f->count = left;
	return rc;
}

/* The list in windows: what is left of each after the looks goes to its front. */
static int
look_through(struct task *t, struct found_list *all, bool patiently, const char **error_r)
{
	size_t left = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < all->count && !must_stop(t); i += WINDOW) {
		struct found_list window = { NULL, &all->list[i], all->count - i, 0 };

		if (window.count > WINDOW)
			window.count = WINDOW;
		t->last = false;
		rc = look_at(t, &window, LOOK_MS, error_r);
		if (rc == 0)
			rc = look_at(t, &window, SECOND_LOOK_MS, error_r);
		t->last = patiently;
		if (rc == 0 && patiently)
			rc = look_at(t, &window, 0, error_r);
		memmove(&all->list[left], window.list, window.count * sizeof(*window.list));
		left += window.count;
	}
	all->count = left;
	return rc;
}

static int
make_all(struct task *t, struct found_list *f, const char **error_r)
{
	t->sent_s = monotonic_s();
	if (look_through(t, f, false, error_r) != 0)
		return -1;
	if (f->count == 0 || must_stop(t))
		return 0;
	return send_between(t, error_r) == 0 ? look_through(t, f, true, error_r) : -1;
}

static int
run(const struct maker *m, int64_t now_s, bool rehearsal, struct make_counts *counts,
    const char **error_r)
{
	const struct store_query query = { .not_done = true, .ended_by_s = now_s - m->settle_s };
	struct found_list found = { .arena = arena_new(SIZE_MAX) };
	struct task task = { .maker = m,
		.arena = arena_new(SIZE_MAX),
		.now_s = now_s,
		.rehearsal = rehearsal,
		.counts = counts };
	int rc;

	*counts = (struct make_counts){ 0 };
	rc = store_periods(m->composer.store, &query, take_period, &found, error_r);
	if (found.count > 0)
		qsort(found.list, found.count, sizeof(found.list[0]), compare);
	if (rc == 0)
		rc = make_all(&task, &found, error_r);
	arena_free(&task.arena);
	arena_free(&found.arena);
	return rc;
}

int
make_reports(const struct maker *m, int64_t now_s, struct make_counts *counts, const char **error_r)
{
	return run(m, now_s, false, counts, error_r);
}

int
make_rehearse(
    const struct maker *m, int64_t now_s, struct make_counts *counts, const char **error_r)
{
	return run(m, now_s, true, counts, error_r);
}
