/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Batches: what a node ships. A batch is a set of closed periods with a number; so what has come
 * since goes into further periods, and the batch stays as it is until it has arrived.
 */
#include <string.h>
#include <sys/random.h>

#include "report/store_internal.h"

static int
draw_number(int64_t *number_r, const char **error_r)
{
	if (getrandom(number_r, sizeof(*number_r), 0) != (ssize_t)sizeof(*number_r)) {
		*error_r = "the system has no random numbers";
		return -1;
	}
	*number_r &= INT64_MAX;
	return 0;
}

static int
find_batch(struct store *s, struct store_batch *batch_r, const char **error_r)
{
	static const char sql[] = "SELECT batch FROM report_periods WHERE batch IS NOT NULL "
				  "ORDER BY batch LIMIT 1";
	static const char token_sql[] =
	    "SELECT number FROM report_facts WHERE name = 'batch_token'";
	int found = db_number(s->db, sql, NULL, 0, &batch_r->number, error_r);

	return found == 1 ? db_number(s->db, token_sql, NULL, 0, &batch_r->token, error_r) : found;
}

static int
make_batch(struct store *s, struct store_batch *batch_r, const char **error_r)
{
	static const char token_sql[] =
	    "INSERT INTO report_facts (name, number) VALUES ('batch_token', $2) "
	    "ON CONFLICT (name) DO UPDATE SET number = excluded.number";
	static const char any_sql[] =
	    "SELECT id FROM report_periods WHERE batch IS NULL AND state <= 1 LIMIT 1";
	static const char sql[] =
	    "UPDATE report_periods SET batch = $1, state = 1 WHERE batch IS NULL AND state <= 1";
	struct db_value params[2];
	int64_t id;
	int found = db_number(s->db, any_sql, NULL, 0, &id, error_r);

	if (found != 1)
		return found;
	if (store_next_number(s, "batch", &batch_r->number, error_r) != 0 ||
	    draw_number(&batch_r->token, error_r) != 0)
		return -1;
	params[0] = db_int(batch_r->number);
	params[1] = db_int(batch_r->token);
	if (db_run(s->db, token_sql, params, 2, NULL, NULL, error_r) != 0)
		return -1;
	return db_run(s->db, sql, params, 1, NULL, NULL, error_r) == 0 ? 1 : -1;
}

int
store_batch_begin(struct store *s, struct store_batch *batch_r, const char **error_r)
{
	int found = find_batch(s, batch_r, error_r);

	if (found != 0)
		return found;
	if (store_begin(s, error_r) == 0) {
		found = make_batch(s, batch_r, error_r);
		if (found >= 0 && store_commit(s, error_r) == 0)
			return found;
	}
	store_rollback(s);
	return -1;
}

struct batch_reader {
	store_batch_fn *fn;
	void *ctx;
};

static int
take_row(void *ctx, const struct db_value *c, size_t column_count)
{
	const struct batch_reader *r = ctx;
	struct store_place place = { .period = c[0].number };
	const struct store_entry e = {
		.domain = c[4].text,
		.policy = c[5].text,
		.row = c[6].text,
		.begin_s = c[2].number,
		.end_s = c[3].number,
		.count = (uint64_t)c[7].number,
		.answers = (uint64_t)c[8].number,
	};

	(void)column_count;
	memcpy(place.key, c[1].text.p,
	    c[1].text.len < STORE_KEY_BYTES ? c[1].text.len : STORE_KEY_BYTES);
	return r->fn(r->ctx, &e, &place);
}

int
store_batch_rows(struct store *s, int64_t batch, const struct store_place *after, size_t max,
    store_batch_fn *fn, void *ctx, const char **error_r)
{
	static const char sql[] =
	    "SELECT p.id, r.digest, p.begin_s, p.end_s, y.domain, y.policy, r.content, r.messages, "
	    "r.answers "
	    "FROM report_periods p JOIN report_policies y ON y.digest = p.policy "
	    "JOIN report_rows r ON r.period = p.id "
	    "WHERE p.batch = $1 AND (p.id > $2 OR (p.id = $2 AND r.digest > $3)) "
	    "ORDER BY p.id, r.digest LIMIT $4";
	struct batch_reader r = { fn, ctx };
	const struct db_value params[] = { db_int(batch), db_int(after->period),
		db_blob(slice_of((const char *)after->key, STORE_KEY_BYTES)),
		db_int((int64_t)max) };

	return db_run(s->db, sql, params, 4, take_row, &r, error_r);
}

/* 1: there is more; 0; -1. */
static int
delete_some(struct store *s, int64_t batch, const char **error_r)
{
	static const char sql[] = "SELECT id FROM report_periods WHERE batch = $1 LIMIT 1";
	const struct db_value params[] = { db_int(batch) };
	int64_t left = STORE_PRUNE_ROWS, id, deleted;

	for (; left > 0; left -= deleted + 1) {
		int found = db_number(s->db, sql, params, 1, &id, error_r);

		if (found != 1)
			return found;
		if (store_delete_period(s, id, left, &deleted, error_r) != 0)
			return -1;
	}
	return 1;
}

int
store_batch_end(struct store *s, int64_t batch, const char **error_r)
{
	int more = 1;

	while (more == 1) {
		if (store_begin(s, error_r) != 0)
			return -1;
		more = delete_some(s, batch, error_r);
		if (more < 0 || store_commit(s, error_r) != 0) {
			store_rollback(s);
			return -1;
		}
	}
	return 0;
}

int
store_change_identity(struct store *s, const char **error_r)
{
	static const char sql[] = "UPDATE report_facts SET number = $1 WHERE name = 'identity'";
	struct db_value params[1];
	int64_t number;

	if (draw_number(&number, error_r) != 0)
		return -1;
	params[0] = db_int(number);
	if (db_run(s->db, sql, params, 1, NULL, NULL, error_r) != 0)
		return -1;
	s->identity = (uint64_t)number;
	return 0;
}
