/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing: transactions, and rows merged into open periods. A period takes a number of different
 * rows; what is new beyond is told in less detail, so that whoever makes up names can't make it
 * grow for ever, what was there before goes on being told in full, and no message is missing from
 * the sums.
 */
#include <string.h>

#include "report/encode.h"
#include "report/limits.h"
#include "report/store_internal.h"

/* ---- transactions ---- */

/* What is known of the number of rows: into the table when the transaction ends, not with each. */
static int
note_row_count(struct store *s, struct store_memo *memo, const char **error_r)
{
	static const char sql[] =
	    "UPDATE report_periods SET row_count = $1, counted = $2 WHERE id = $3";
	const struct db_value params[] = { db_int(memo->row_count), db_int(memo->counted),
		db_int(memo->id) };

	if (memo->id == 0 || !memo->changed)
		return 0;
	memo->changed = false;
	return db_run(s->db, sql, params, 3, NULL, NULL, error_r);
}

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
	for (size_t i = 0; i < STORE_MEMO; i++)
		if (note_row_count(s, &s->memo[i], error_r) != 0)
			return -1;
	return db_commit(s->db, error_r);
}

void
store_rollback(struct store *s)
{
	s->in_transaction = false;
	db_rollback(s->db);
}

/* ---- the period of a row ---- */

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
take_period(void *ctx, const struct db_value *c, size_t column_count)
{
	struct store_memo *memo = ctx;

	(void)column_count;
	memo->id = c[0].number;
	memo->row_count = c[1].number;
	memo->counted = c[2].number != 0;
	return 1;
}

/* The memo of the open period that the entry belongs to; NULL with *error_r set. Good until the
 * next call. */
static struct store_memo *
find_open_period(struct store *s, const struct store_entry *e, const char **error_r)
{
	static const char sql[] = "SELECT id, row_count, counted FROM report_periods "
				  "WHERE policy = $1 AND begin_s = $2 AND end_s = $3 AND state = 0";
	struct store_memo found = { .begin_s = e->begin_s, .end_s = e->end_s }, *memo;
	struct db_value params[3];

	key_of(s, e->policy, found.policy);
	memo = &s->memo[(found.policy[0] << 8 | found.policy[1]) % STORE_MEMO];
	if (memo->id != 0 && memcmp(memo->policy, found.policy, STORE_KEY_BYTES) == 0 &&
	    memo->begin_s == e->begin_s && memo->end_s == e->end_s)
		return memo;
	params[0] = key_value(found.policy);
	params[1] = db_int(e->begin_s);
	params[2] = db_int(e->end_s);
	if (note_row_count(s, memo, error_r) != 0 ||
	    db_run(s->db, sql, params, 3, take_period, &found, error_r) != 0 ||
	    (found.id == 0 && open_new_period(s, e, found.policy, &found.id, error_r) != 0))
		return NULL;
	*memo = found;
	return memo;
}

/* ---- rows ---- */

struct merging { /* of one entry */
	struct store *store;
	struct store_memo *period;
	uint64_t count, answers;
};

static int
run_with(
    struct merging *m, const char *sql, struct slice row, size_t param_count, const char **error_r)
{
	uint8_t key[STORE_KEY_BYTES];
	struct db_value params[] = { db_int(m->period->id), db_null(), db_int((int64_t)m->count),
		db_int((int64_t)m->answers), db_blob(row) };

	key_of(m->store, row, key);
	params[1] = key_value(key);
	return db_run(m->store->db, sql, params, param_count, NULL, NULL, error_r);
}

/* There is room whether it is a new row or not, which costs to find out. */
static int
count_blindly(struct merging *m, struct slice row, const char **error_r)
{
	static const char sql[] =
	    "INSERT INTO report_rows (period, digest, messages, answers, content) "
	    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (period, digest) "
	    "DO UPDATE SET messages = report_rows.messages + excluded.messages, "
	    "answers = report_rows.answers + excluded.answers";

	m->period->row_count++;
	m->period->changed = true;
	return run_with(m, sql, row, 5, error_r);
}

/* 1: counted; 0: it would be a new row, and there are max already; -1. */
static int
count_if_room(struct merging *m, struct slice row, int64_t max, const char **error_r)
{
	static const char update[] = "UPDATE report_rows SET messages = messages + $3, "
				     "answers = answers + $4 WHERE period = $1 AND digest = $2";
	static const char insert[] = "INSERT INTO report_rows "
				     "(period, digest, messages, answers, content) "
				     "VALUES ($1, $2, $3, $4, $5)";

	if (run_with(m, update, row, 4, error_r) != 0)
		return -1;
	if (db_changes(m->store->db) > 0)
		return 1;
	if (m->period->row_count >= max)
		return 0;
	m->period->row_count++;
	m->period->changed = true;
	return run_with(m, insert, row, 5, error_r) == 0 ? 1 : -1;
}

/* So many rows may have come: how many have? Where it is more than half, each is counted from now
 * on. */
static int
count_rows_of(struct merging *m, const char **error_r)
{
	static const char sql[] = "SELECT count(*) FROM report_rows WHERE period = $1";
	const struct db_value params[] = { db_int(m->period->id) };

	if (db_number(m->store->db, sql, params, 1, &m->period->row_count, error_r) < 0)
		return -1;
	m->period->counted = m->period->row_count > REPORT_PERIOD_ROWS / 2;
	m->period->changed = true;
	return 0;
}

/* In less detail, and where there are too many of those in still less: of these there can't be many
 * different ones. */
static int
count_folded(
    struct merging *m, const struct store_entry *e, struct slice bytes, const char **error_r)
{
	struct arena *a = m->store->folding;
	struct report_row row;
	int rc;

	if (report_row_decode(a, bytes, &row, error_r) != 0)
		return count_if_room(m, bytes, INT64_MAX, error_r);
	report_row_fold(&row, e->domain, true);
	rc = count_if_room(
	    m, report_row_encode(a, &row), REPORT_PERIOD_ROWS + REPORT_PERIOD_FOLDED_ROWS, error_r);
	if (rc != 0)
		return rc;
	report_row_fold(&row, e->domain, false);
	return count_if_room(m, report_row_encode(a, &row), INT64_MAX, error_r);
}

static int
count_row(struct merging *m, const struct store_entry *e, struct slice row, const char **error_r)
{
	struct store_memo *p = m->period;
	int rc;

	if (!p->counted && p->row_count >= REPORT_PERIOD_ROWS && count_rows_of(m, error_r) != 0)
		return -1;
	if (!p->counted)
		return count_blindly(m, row, error_r);
	rc = count_if_room(m, row, REPORT_PERIOD_ROWS, error_r);
	if (rc == 0)
		rc = count_folded(m, e, row, error_r);
	return rc < 0 ? -1 : 0;
}

int
store_merge(struct store *s, const struct store_entry *e, const char **error_r)
{
	struct merging m = { .store = s, .count = e->count, .answers = e->answers };
	struct slice row;
	int rc;

	if (!s->in_transaction)
		bug("store_merge outside of store_begin");
	m.period = find_open_period(s, e, error_r);
	if (m.period == NULL)
		return -1;
	/* One row, whether it was a report or not: only the number of them is told apart. */
	row = report_row_unmark(s->folding, e->row);
	if (report_row_is_marked(e->row))
		m.answers = e->count;
	rc = count_row(&m, e, row, error_r);
	arena_reset(s->folding);
	return rc;
}

int
store_append(struct store *s, const struct report_policy *policy, const struct report_row *row,
    int64_t at_s, uint32_t period_s, const char **error_r)
{
	struct store_entry e = {
		.domain = policy->domain, .count = row->count, .answers = row->answers
	};
	int status;

	e.policy = report_policy_encode(s->scratch, policy);
	e.row = report_row_encode(s->scratch, row);
	store_period_at(at_s, period_s, &e.begin_s, &e.end_s);
	status = store_merge(s, &e, error_r);
	arena_reset(s->scratch);
	return status;
}
