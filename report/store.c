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

/* ---- writing ---- */

int
store_begin(struct store *s, const char **error_r)
{
	if (db_begin(s->db, error_r) != 0)
		return -1;
	for (size_t i = 0; i < STORE_MEMO; i++)
		s->memo[i].id = 0;
	s->in_transaction = true;
	return 0;
}

int
store_commit(struct store *s, const char **error_r)
{
	s->in_transaction = false;
	return db_commit(s->db, error_r);
}

void
store_rollback(struct store *s)
{
	s->in_transaction = false;
	db_rollback(s->db);
}

static void
key_of(struct store *s, struct slice bytes, uint8_t key[STORE_KEY_BYTES])
{
	uint8_t whole[SHA256_BYTES];

	digest_update(s->digest, bytes.p, bytes.len);
	digest_final(s->digest, whole);
	memcpy(key, whole, STORE_KEY_BYTES);
}

static struct db_value
key_value(const uint8_t key[STORE_KEY_BYTES])
{
	return db_blob(slice_of((const char *)key, STORE_KEY_BYTES));
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

static int
open_new_period(struct store *s, const struct store_entry *e, const uint8_t policy[STORE_KEY_BYTES],
    int64_t *id_r, const char **error_r)
{
	static const char policy_sql[] =
	    "INSERT INTO report_policies (digest, domain, policy) VALUES ($1, $2, $3) "
	    "ON CONFLICT (digest) DO NOTHING";
	static const char period_sql[] =
	    "INSERT INTO report_periods (id, policy, begin_s, end_s, state) "
	    "VALUES ($1, $2, $3, $4, 0)";
	const struct db_value of_policy[] = { key_value(policy), db_text(e->domain),
		db_blob(e->policy) };
	struct db_value of_period[] = { db_null(), key_value(policy), db_int(e->begin_s),
		db_int(e->end_s) };

	if (db_run(s->db, policy_sql, of_policy, 3, NULL, NULL, error_r) != 0 ||
	    store_next_number(s, "period", id_r, error_r) != 0)
		return -1;
	of_period[0] = db_int(*id_r);
	return db_run(s->db, period_sql, of_period, 4, NULL, NULL, error_r);
}

static int
find_open_period(struct store *s, const struct store_entry *e, int64_t *id_r, const char **error_r)
{
	static const char sql[] = "SELECT id FROM report_periods WHERE policy = $1 "
				  "AND begin_s = $2 AND end_s = $3 AND state = 0";
	uint8_t policy[STORE_KEY_BYTES];
	struct db_value params[3];
	struct store_memo *memo;
	int found;

	key_of(s, e->policy, policy);
	memo = &s->memo[(policy[0] << 8 | policy[1]) % STORE_MEMO];
	if (memo->id != 0 && memcmp(memo->policy, policy, STORE_KEY_BYTES) == 0 &&
	    memo->begin_s == e->begin_s && memo->end_s == e->end_s) {
		*id_r = memo->id;
		return 0;
	}
	params[0] = key_value(policy);
	params[1] = db_int(e->begin_s);
	params[2] = db_int(e->end_s);
	found = db_number(s->db, sql, params, 3, id_r, error_r);
	if (found < 0 || (found == 0 && open_new_period(s, e, policy, id_r, error_r) != 0))
		return -1;
	*memo = (struct store_memo){ .begin_s = e->begin_s, .end_s = e->end_s, .id = *id_r };
	memcpy(memo->policy, policy, STORE_KEY_BYTES);
	return 0;
}

int
store_merge(struct store *s, const struct store_entry *e, const char **error_r)
{
	static const char sql[] =
	    "INSERT INTO report_rows (period, digest, content, messages) VALUES ($1, $2, $3, $4) "
	    "ON CONFLICT (period, digest) "
	    "DO UPDATE SET messages = report_rows.messages + excluded.messages";
	uint8_t key[STORE_KEY_BYTES];
	struct db_value params[4];
	int64_t id;

	if (!s->in_transaction)
		bug("store_merge outside of store_begin");
	if (find_open_period(s, e, &id, error_r) != 0)
		return -1;
	key_of(s, e->row, key);
	params[0] = db_int(id);
	params[1] = key_value(key);
	params[2] = db_blob(e->row);
	params[3] = db_int((int64_t)e->count);
	return db_run(s->db, sql, params, 4, NULL, NULL, error_r);
}

int
store_append(struct store *s, const struct report_policy *policy, const struct report_row *row,
    int64_t at_s, uint32_t period_s, const char **error_r)
{
	struct store_entry e = { .domain = policy->domain, .count = row->count };
	int status;

	e.policy = report_policy_encode(s->scratch, policy);
	e.row = report_row_encode(s->scratch, row);
	store_period_at(at_s, period_s, &e.begin_s, &e.end_s);
	status = store_merge(s, &e, error_r);
	arena_reset(s->scratch);
	return status;
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
	r->enough = r->fn(r->ctx, &row) != 0;
	return r->enough;
}

int
store_rows(struct store *s, int64_t id, store_row_fn *fn, void *ctx, uint64_t *unreadable_r,
    const char **error_r)
{
	static const char sql[] = "SELECT digest, content, messages FROM report_rows "
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
		params[1] = key_value(after);
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

int
store_prune(struct store *s, int64_t done_before_s, int64_t any_before_s, const char **error_r)
{
	static const char sql[] = "SELECT id FROM report_periods WHERE batch IS NULL AND "
				  "((state = 2 AND end_s <= $1) OR end_s <= $2) LIMIT 1";
	const struct db_value params[] = { db_int(done_before_s), db_int(any_before_s) };
	int64_t left = STORE_PRUNE_ROWS, id, deleted = 0;
	int found = 1;

	/* A period counts as a row, so that many empty ones make no long call either. */
	for (; left > 0; left -= deleted + 1) {
		found = db_number(s->db, sql, params, 2, &id, error_r);
		if (found == 1 && store_delete_period(s, id, left, &deleted, error_r) != 0)
			found = -1;
		if (found != 1)
			break;
	}
	return found;
}
