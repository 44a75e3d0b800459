/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/make.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/encode.h"

#define TRIES 3 /* of a transaction that lost a race */

struct found { /* a period that is over */
	int64_t id;
	uint64_t messages;
	bool tried; /* it was closed by a run before, and put off */
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
		period->state == STORE_CLOSED };
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
};

static int
close_period(const struct step *s, const char **error_r)
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
put_down(const struct step *s, const char **error_r)
{
	const struct composition *c = s->composed;
	int rc = check_may(s->maker, error_r);

	if (rc != 0)
		return -1;
	if (c->outcome == COMPOSE_REPORT)
		rc = outbox_add(s->maker->db, &c->report, c->to, c->to_count, error_r);
	else
		rc = outbox_skip(s->maker->db, &c->report, slice_str(c->why), error_r);
	return rc == 0 ? store_period_done(s->maker->composer.store, s->period, error_r) : -1;
}

static int
transact(const struct step *s, int (*body)(const struct step *, const char **), struct arena *a,
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

static void
work_on(struct task *t, const struct store_period *period)
{
	const struct maker *m = t->maker;
	struct composition composed;
	const struct step step = { m, period->id, &composed };
	const char *error = NULL;
	int rc = compose(t->arena, &m->composer, period, t->now_s, false, &composed, &error);

	if (rc == 0 && !t->rehearsal && composed.outcome != COMPOSE_LATER)
		rc = transact(&step, put_down, t->arena, &error);
	count(t->counts, &composed, rc != 0);
	if (m->watch != NULL)
		m->watch(m->ctx, period, &composed, rc != 0 ? error : NULL);
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
 * changed since, and assayd changes it all the time. */
static int
make_one(struct task *t, int64_t id, const char **error_r)
{
	const struct store_query query = { .not_done = true, .id = id };
	const struct step step = { t->maker, id, NULL };
	struct copy copy = { .arena = t->arena };

	if (!t->rehearsal && transact(&step, close_period, t->maker->arena, error_r) != 0)
		return -1;
	if (store_periods(t->maker->composer.store, &query, copy_period, &copy, error_r) != 0)
		return -1;
	if (copy.found)
		work_on(t, &copy.period);
	return 0;
}

static int64_t
monotonic_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec;
}

static int
make_all(struct task *t, const struct found_list *f, const char **error_r)
{
	const struct maker *m = t->maker;
	int64_t since = monotonic_s();
	size_t made = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < f->count; i++) {
		if (m->stop != NULL && m->stop(m->ctx))
			break;
		rc = make_one(t, f->list[i].id, error_r);
		arena_reset(t->arena);
		if (rc != 0 || m->between == NULL || t->rehearsal ||
		    (++made < MAKE_BETWEEN && monotonic_s() - since < MAKE_BETWEEN_S))
			continue;
		rc = m->between(m->ctx, error_r);
		made = 0;
		since = monotonic_s();
	}
	return rc;
}

static int
run(const struct maker *m, int64_t now_s, bool rehearsal, struct make_counts *counts,
    const char **error_r)
{
	const struct store_query query = { .not_done = true, .ended_by_s = now_s - MAKE_SETTLE_S };
	struct found_list found = { .arena = arena_new(SIZE_MAX) };
	struct task task = { m, arena_new(SIZE_MAX), now_s, rehearsal, counts };
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
