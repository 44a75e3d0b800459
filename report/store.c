/* SPDX-License-Identifier: BSD-2-Clause */

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "report/db_backend.h"
#include "report/encode.h"
#include "report/limits.h"
#include "report/schema.h"
#include "report/store_internal.h"

#define DAY_S		 86400
#define PERIODS_PER_PAGE 100
#define ROWS_PER_PAGE	 500
#define SETUP_BYTES	 (256 * 1024)
#define PAGE_BYTES	 (64 * 1024 * 1024) /* no ceiling that is met: pages are bounded by rows */

/*
 * batch: NULL, or the number under which a node ships the period (report/ship.h).
 * report_facts: numbers of the store itself. "identity" tells stores apart; "period" and "batch"
 * are the last ids given away, so that none is used twice.
 * row_count: it has no more rows than this, and counted: not less; answers: of messages (row.h).
 * report_forgotten: struct store_forgotten.
 */
static const char *const scripts[] = {
	"CREATE TABLE report_facts (name TEXT PRIMARY KEY, number BIGINT NOT NULL);"
	"CREATE TABLE report_policies (digest BYTEA PRIMARY KEY, domain TEXT NOT NULL, "
	"  policy BYTEA NOT NULL);"
	"CREATE TABLE report_periods (id BIGINT PRIMARY KEY, policy BYTEA NOT NULL, "
	"  begin_s BIGINT NOT NULL, end_s BIGINT NOT NULL, state BIGINT NOT NULL, batch BIGINT);"
	"CREATE INDEX report_periods_key ON report_periods (policy, begin_s, end_s, state);"
	"CREATE INDEX report_periods_end ON report_periods (state, end_s);"
	"CREATE TABLE report_rows (period BIGINT NOT NULL, digest BYTEA NOT NULL, "
	"  content BYTEA NOT NULL, messages BIGINT NOT NULL, PRIMARY KEY (period, digest));"
	"INSERT INTO report_facts VALUES ('period', 0), ('batch', 0);",

	"ALTER TABLE report_periods ADD COLUMN row_count BIGINT NOT NULL DEFAULT 0;"
	"ALTER TABLE report_periods ADD COLUMN counted BIGINT NOT NULL DEFAULT 0;"
	"UPDATE report_periods SET row_count = "
	"  (SELECT count(*) FROM report_rows r WHERE r.period = report_periods.id);"
	"ALTER TABLE report_rows ADD COLUMN answers BIGINT NOT NULL DEFAULT 0;"
	"CREATE TABLE report_forgotten (domain TEXT PRIMARY KEY, periods BIGINT NOT NULL, "
	"  messages BIGINT NOT NULL, begin_s BIGINT NOT NULL, end_s BIGINT NOT NULL);",
};

static const char no_facts[] = "the table report_facts is not what it should be";

/* ---- opening ---- */

/* Whoever comes first draws it. */
static int
draw_identity(struct store *s, const char **error_r)
{
	static const char insert[] = "INSERT INTO report_facts (name, number) "
				     "VALUES ('identity', $1) ON CONFLICT (name) DO NOTHING";
	static const char select[] = "SELECT number FROM report_facts WHERE name = 'identity'";
	struct db_value params[1];
	int64_t number = 0;
	int found;

	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number)) {
		*error_r = "the system has no random numbers";
		return -1;
	}
	params[0] = db_int(number & INT64_MAX);
	if (db_run(s->db, insert, params, 1, NULL, NULL, error_r) != 0)
		return -1;
	found = db_number(s->db, select, NULL, 0, &number, error_r);
	if (found == 0)
		*error_r = no_facts;
	if (found != 1)
		return -1;
	s->identity = (uint64_t)number;
	return 0;
}

struct store *
store_open(struct db *db, const char **error_r)
{
	struct store *s;

	if (schema_migrate(db, "store", scripts, sizeof(scripts) / sizeof(scripts[0]), error_r) !=
	    0)
		return NULL;
	s = heap_alloc(1, sizeof(*s));
	s->db = db;
	s->setup = arena_new(SETUP_BYTES);
	s->scratch = arena_new(PAGE_BYTES);
	s->folding = arena_new(PAGE_BYTES);
	s->crypto = crypto_new(s->setup, error_r);
	if (s->crypto != NULL)
		s->digest = digest_new(s->crypto);
	if (s->crypto == NULL || draw_identity(s, error_r) != 0)
		store_close(&s);
	return s;
}

void
store_close(struct store **sp)
{
	struct store *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	digest_free(&s->digest);
	crypto_free(&s->crypto);
	arena_free(&s->scratch);
	arena_free(&s->folding);
	arena_free(&s->setup);
	free(s);
}

uint64_t
store_identity(const struct store *s)
{
	return s->identity;
}

void
store_period_at(int64_t at_s, uint32_t period_s, int64_t *begin_s_r, int64_t *end_s_r)
{
	int64_t second = at_s % DAY_S, midnight;

	if (second < 0)
		second += DAY_S;
	midnight = at_s - second;
	*begin_s_r = midnight + second / period_s * period_s;
	*end_s_r = *begin_s_r + period_s;
	if (*end_s_r > midnight + DAY_S)
		*end_s_r = midnight + DAY_S;
}

int
store_next_number(struct store *s, const char *name, int64_t *number_r, const char **error_r)
{
	static const char sql[] =
	    "UPDATE report_facts SET number = number + 1 WHERE name = $1 RETURNING number";
	const struct db_value params[] = { db_text(slice_str(name)) };
	int found = db_number(s->db, sql, params, 1, number_r, error_r);

	if (found == 0)
		*error_r = no_facts;
	return found == 1 ? 0 : -1;
}

/* ---- reading periods ---- */

struct period_reader {
	store_period_fn *fn;
	void *ctx;
	int64_t last_id;
	size_t in_page;
	bool enough;
};

static int
take_period(void *ctx, const struct db_value *c, size_t column_count)
{
	struct period_reader *r = ctx;
	struct store_period p = { .id = c[0].number };
	const char *why;

	(void)column_count;
	r->last_id = p.id;
	r->in_page++;
	p.state = (enum store_state)c[1].number;
	p.begin_s = c[2].number;
	p.end_s = c[3].number;
	p.rows = (uint64_t)c[5].number;
	p.messages = (uint64_t)c[6].number;
	if (c[1].number < STORE_OPEN || c[1].number > STORE_DONE ||
	    report_policy_decode(c[4].text, &p.policy, &why) != 0)
		return 0;
	p.domain = p.policy.domain;
	r->enough = r->fn(r->ctx, &p) != 0;
	return r->enough;
}

int
store_periods(struct store *s, const struct store_query *q, store_period_fn *fn, void *ctx,
    const char **error_r)
{
	static const char sql[] =
	    "SELECT p.id, p.state, p.begin_s, p.end_s, y.policy, "
	    "(SELECT count(*) FROM report_rows r WHERE r.period = p.id), "
	    "(SELECT coalesce(sum(r.messages), 0) FROM report_rows r WHERE r.period = p.id) "
	    "FROM report_periods p JOIN report_policies y ON y.digest = p.policy "
	    "WHERE p.id > $1 AND p.id <= $2 AND p.end_s <= $3 AND p.state <= $4 "
	    "AND p.batch IS NULL AND (y.domain = $5 OR $5 = '') ORDER BY p.id LIMIT 100";
	struct period_reader r = { .fn = fn, .ctx = ctx, .last_id = q->id == 0 ? 0 : q->id - 1 };
	struct db_value params[] = { db_null(), db_int(q->id == 0 ? INT64_MAX : q->id),
		db_int(q->ended_by_s == 0 ? INT64_MAX : q->ended_by_s),
		db_int(q->not_done ? STORE_CLOSED : STORE_DONE), db_text(q->domain) };

	do {
		r.in_page = 0;
		params[0] = db_int(r.last_id);
		if (db_run(s->db, sql, params, 5, take_period, &r, error_r) != 0)
			return -1;
	} while (r.in_page == PERIODS_PER_PAGE && !r.enough);
	return 0;
}

/* ---- reading rows ---- */

struct row_reader {
	struct arena *arena;
	store_row_fn *fn;
	void *ctx;
	uint8_t last_key[STORE_KEY_BYTES];
	size_t in_page;
	uint64_t unreadable;
	bool enough;
};

static int
take_row(void *ctx, const struct db_value *c, size_t column_count)
{
	struct row_reader *r = ctx;
	struct report_row row;
	const char *why;

	(void)column_count;
	r->in_page++;
	if (c[0].text.len != STORE_KEY_BYTES)
		return 0;
	memcpy(r->last_key, c[0].text.p, STORE_KEY_BYTES);
	if (report_row_decode(r->arena, c[1].text, &row, &why) != 0 || c[2].number <= 0) {
		r->unreadable++;
		return 0;
	}
	row.count = (uint64_t)c[2].number;
	row.answers = c[3].number <= 0 ? 0 : (uint64_t)c[3].number;
	r->enough = r->fn(r->ctx, &row) != 0;
	return r->enough;
}

int
store_rows(struct store *s, int64_t id, store_row_fn *fn, void *ctx, uint64_t *unreadable_r,
    const char **error_r)
{
	static const char sql[] = "SELECT digest, content, messages, answers FROM report_rows "
				  "WHERE period = $1 AND digest > $2 ORDER BY digest LIMIT 500";
	struct row_reader r = { .arena = arena_new(PAGE_BYTES), .fn = fn, .ctx = ctx };
	struct db_value params[] = { db_int(id), db_blob((struct slice){ 0 }) };
	uint8_t after[STORE_KEY_BYTES];
	int status;

	do {
		arena_reset(r.arena);
		r.in_page = 0;
		status = db_run(s->db, sql, params, 2, take_row, &r, error_r);
		memcpy(after, r.last_key, STORE_KEY_BYTES);
		params[1] = db_blob(slice_of((const char *)after, STORE_KEY_BYTES));
	} while (status == 0 && r.in_page == ROWS_PER_PAGE && !r.enough);
	arena_free(&r.arena);
	*unreadable_r = r.unreadable;
	return status;
}

/* ---- changing ---- */

int
store_period_close(struct store *s, int64_t id, const char **error_r)
{
	static const char sql[] = "UPDATE report_periods SET state = 1 WHERE id = $1 AND state = 0";
	const struct db_value params[] = { db_int(id) };

	return db_run(s->db, sql, params, 1, NULL, NULL, error_r);
}

int
store_period_done(struct store *s, int64_t id, const char **error_r)
{
	static const char sql[] = "UPDATE report_periods SET state = 2 WHERE id = $1";
	const struct db_value params[] = { db_int(id) };

	return db_run(s->db, sql, params, 1, NULL, NULL, error_r);
}

int
store_delete_period(
    struct store *s, int64_t id, int64_t max, int64_t *deleted_r, const char **error_r)
{
	static const char rows_sql[] =
	    "DELETE FROM report_rows WHERE period = $1 AND digest IN "
	    "(SELECT digest FROM report_rows WHERE period = $1 ORDER BY digest LIMIT $2)";
	static const char period_sql[] = "DELETE FROM report_periods WHERE id = $1";
	static const char policies_sql[] =
	    "DELETE FROM report_policies WHERE digest = "
	    "(SELECT policy FROM report_periods WHERE id = $1) AND NOT EXISTS "
	    "(SELECT 1 FROM report_periods p WHERE p.policy = report_policies.digest AND p.id <> "
	    "$1)";
	const struct db_value params[] = { db_int(id), db_int(max) };

	if (db_run(s->db, rows_sql, params, 2, NULL, NULL, error_r) != 0)
		return -1;
	*deleted_r = db_changes(s->db);
	if (*deleted_r == max)
		return 0;
	if (db_run(s->db, policies_sql, params, 1, NULL, NULL, error_r) != 0)
		return -1;
	return db_run(s->db, period_sql, params, 1, NULL, NULL, error_r);
}

/* A period that nobody is told about and that is older than it is kept: into the sums of its
 * domain. Done then: whoever deletes the rest of it counts it no more. */
static int
forget_period(struct store *s, int64_t id, const char **error_r)
{
	static const char sql[] =
	    "INSERT INTO report_forgotten (domain, periods, messages, begin_s, end_s) "
	    "SELECT CASE WHEN (SELECT count(*) FROM report_forgotten) < $2 OR EXISTS "
	    "  (SELECT 1 FROM report_forgotten f WHERE f.domain = y.domain) "
	    "  THEN y.domain ELSE '' END, "
	    " 1, (SELECT coalesce(sum(r.messages), 0) FROM report_rows r WHERE r.period = $1), "
	    " p.begin_s, p.end_s "
	    "FROM report_periods p JOIN report_policies y ON y.digest = p.policy "
	    "WHERE p.id = $1 "
	    "ON CONFLICT (domain) DO UPDATE SET periods = report_forgotten.periods + 1, "
	    " messages = report_forgotten.messages + excluded.messages, "
	    " begin_s = CASE WHEN excluded.begin_s < report_forgotten.begin_s "
	    "  THEN excluded.begin_s ELSE report_forgotten.begin_s END, "
	    " end_s = CASE WHEN excluded.end_s > report_forgotten.end_s "
	    "  THEN excluded.end_s ELSE report_forgotten.end_s END";
	const struct db_value params[] = { db_int(id), db_int(STORE_FORGOTTEN_MAX) };

	if (db_run(s->db, sql, params, 2, NULL, NULL, error_r) != 0)
		return -1;
	return store_period_done(s, id, error_r);
}

struct old_period {
	int64_t id;
	bool done;
};

static int
take_old(void *ctx, const struct db_value *c, size_t column_count)
{
	(void)column_count;
	*(struct old_period *)ctx = (struct old_period){ c[0].number, c[1].number == STORE_DONE };
	return 1;
}

/* 1: one piece of it is gone; 0: there is none; -1. */
static int
prune_one(struct store *s, const struct db_value *params, int64_t max, int64_t *deleted_r,
    const char **error_r)
{
	static const char sql[] = "SELECT id, state FROM report_periods WHERE batch IS NULL AND "
				  "((state = 2 AND end_s <= $1) OR end_s <= $2) LIMIT 1";
	struct old_period old = { .id = 0 };

	if (db_run(s->db, sql, params, 2, take_old, &old, error_r) != 0)
		return -1;
	if (old.id == 0)
		return 0;
	if (!old.done && forget_period(s, old.id, error_r) != 0)
		return -1;
	return store_delete_period(s, old.id, max, deleted_r, error_r) == 0 ? 1 : -1;
}

int
store_prune(struct store *s, int64_t done_before_s, int64_t any_before_s, const char **error_r)
{
	const struct db_value params[] = { db_int(done_before_s), db_int(any_before_s) };
	int64_t deleted = 0;
	int found = 1;

	/* A period counts as a row, so that many empty ones make no long call either. */
	for (int64_t left = STORE_PRUNE_ROWS; left > 0 && found == 1; left -= deleted + 1)
		found = prune_one(s, params, left, &deleted, error_r);
	return found;
}

/* ---- what was pruned unreported ---- */

struct forgotten_reader {
	store_forgotten_fn *fn;
	void *ctx;
};

static int
take_forgotten(void *ctx, const struct db_value *c, size_t column_count)
{
	const struct forgotten_reader *r = ctx;
	const struct store_forgotten f = {
		.domain = c[0].text,
		.periods = (uint64_t)c[1].number,
		.messages = (uint64_t)c[2].number,
		.begin_s = c[3].number,
		.end_s = c[4].number,
	};

	(void)column_count;
	r->fn(r->ctx, &f);
	return 0;
}

int
store_forgotten(struct store *s, store_forgotten_fn *fn, void *ctx, const char **error_r)
{
	static const char sql[] = "SELECT domain, periods, messages, begin_s, end_s "
				  "FROM report_forgotten ORDER BY domain = '', domain";
	struct forgotten_reader r = { fn, ctx };

	return db_run(s->db, sql, NULL, 0, take_forgotten, &r, error_r);
}

int
store_forgotten_clear(struct store *s, const char **error_r)
{
	return db_run(s->db, "DELETE FROM report_forgotten", NULL, 0, NULL, NULL, error_r);
}
