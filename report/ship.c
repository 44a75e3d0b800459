/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/ship.h"

#include <stdlib.h>
#include <string.h>

#include "report/limits.h"
#include "report/schema.h"
#include "report/store_internal.h"

#define BUSY_MS 5000 /* for assayd's lock on the node's store */

/* How far each node has come: rows of batch up to and with (period, digest) have arrived; complete:
 * all of it. */
static const char *const scripts[] = {
	"CREATE TABLE ship_positions (store BIGINT PRIMARY KEY, node TEXT NOT NULL, "
	"  batch BIGINT NOT NULL, token BIGINT NOT NULL, period BIGINT NOT NULL, digest BYTEA NOT "
	"NULL, "
	"  complete BIGINT NOT NULL, at_s BIGINT NOT NULL);",
};

struct position {
	struct store_batch batch; /* number 0: nothing has arrived */
	struct store_place place;
	bool complete;
};

struct shipment { /* a run */
	struct store *from, *to;
	const char *node;
	struct position at; /* as we know it */
	struct ship_result *result;
};

/* ---- positions ---- */

static int
take_position(void *ctx, const struct db_value *c, size_t column_count)
{
	struct position *p = ctx;

	(void)column_count;
	*p = (struct position){
		.batch = { c[0].number, c[1].number },
		.place.period = c[2].number,
		.complete = c[4].number != 0,
	};
	if (c[3].text.len == STORE_KEY_BYTES)
		memcpy(p->place.key, c[3].text.p, STORE_KEY_BYTES);
	return 1;
}

static int
read_position(struct shipment *s, struct position *out, const char **error_r)
{
	static const char sql[] =
	    "SELECT batch, token, period, digest, complete FROM ship_positions WHERE store = $1";
	const struct db_value params[] = { db_int((int64_t)s->from->identity) };

	*out = (struct position){ 0 };
	return db_run(s->to->db, sql, params, 1, take_position, out, error_r);
}

static int
write_position(struct shipment *s, const struct position *p, const char **error_r)
{
	static const char sql[] =
	    "INSERT INTO ship_positions (store, node, batch, token, period, digest, complete, "
	    "at_s) "
	    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (store) DO UPDATE SET "
	    "node = excluded.node, batch = excluded.batch, token = excluded.token, period = "
	    "excluded.period, "
	    "digest = excluded.digest, complete = excluded.complete, at_s = excluded.at_s";
	const char *key = (const char *)p->place.key;
	struct db_value params[] = { db_int((int64_t)s->from->identity),
		db_text(slice_str(s->node)), db_int(p->batch.number), db_int(p->batch.token),
		db_int(p->place.period), db_blob(slice_of(key, STORE_KEY_BYTES)),
		db_int(p->complete), db_null() };
	int64_t now;

	if (db_now(s->to->db, &now, error_r) != 0)
		return -1;
	params[7] = db_int(now);
	return db_run(s->to->db, sql, params, 8, NULL, NULL, error_r);
}

/* ---- one page ---- */

struct page {
	struct shipment *shipment;
	struct position at; /* behind its last row */
	uint64_t rows, messages;
	bool failed;
	const char *error;
};

static int
merge_row(void *ctx, const struct store_entry *e, const struct store_place *place)
{
	struct page *p = ctx;

	p->failed = store_merge(p->shipment->to, e, &p->error) != 0;
	p->at.place = *place;
	p->rows++;
	p->messages += e->count;
	return p->failed;
}

static bool
batch_equal(const struct store_batch *a, const struct store_batch *b)
{
	return a->number == b->number && a->token == b->token;
}

static bool
position_equal(const struct position *a, const struct position *b)
{
	return batch_equal(&a->batch, &b->batch) && a->complete == b->complete &&
	    a->place.period == b->place.period &&
	    memcmp(a->place.key, b->place.key, STORE_KEY_BYTES) == 0;
}

/* In a transaction of the fleet's store. */
static int
merge_page(struct shipment *s, struct page *p, const char **error_r)
{
	struct position now;

	if (read_position(s, &now, error_r) != 0)
		return -1;
	if (now.batch.number != 0 && !position_equal(&now, &s->at)) {
		*error_r = "another process ships the same store";
		return -1;
	}
	if (store_batch_rows(s->from, p->at.batch.number, &p->at.place, SHIP_PAGE_ROWS, merge_row,
		p, error_r) != 0)
		return -1;
	if (p->failed) {
		*error_r = p->error;
		return -1;
	}
	p->at.complete = p->rows < SHIP_PAGE_ROWS;
	return write_position(s, &p->at, error_r);
}

static int
ship_page(struct shipment *s, const struct store_batch *batch, const char **error_r)
{
	struct page p = { .shipment = s, .at.batch = *batch };

	if (batch_equal(&s->at.batch, batch))
		p.at.place = s->at.place;
	if (store_begin(s->to, error_r) != 0 || merge_page(s, &p, error_r) != 0 ||
	    store_commit(s->to, error_r) != 0) {
		store_rollback(s->to);
		return -1;
	}
	s->at = p.at;
	s->result->rows += p.rows;
	s->result->messages += p.messages;
	return 0;
}

/* ---- one batch ---- */

/* 1: shipped; 0: there is none. */
static int
ship_batch(struct shipment *s, const char **error_r)
{
	struct store_batch batch;
	int found = store_batch_begin(s->from, &batch, error_r);

	if (found != 1)
		return found;
	if (read_position(s, &s->at, error_r) != 0)
		return -1;
	/* Numbers only grow: this store is older than it was. */
	if (s->at.batch.number > batch.number ||
	    (s->at.batch.number == batch.number && s->at.batch.token != batch.token)) {
		if (store_change_identity(s->from, error_r) != 0)
			return -1;
		s->at = (struct position){ 0 };
	}
	while (!batch_equal(&s->at.batch, &batch) || !s->at.complete)
		if (ship_page(s, &batch, error_r) != 0)
			return -1;
	if (store_batch_end(s->from, batch.number, error_r) != 0)
		return -1;
	s->result->batches++;
	return 1;
}

/* ---- with connections of its own ---- */

struct shipper {
	char *node;
	struct db *node_db, *fleet_db;
	struct store *node_store, *fleet_store; /* NULL: not connected */
};

struct shipper *
shipper_new(const char *file, const char *conninfo, const char *node, uint32_t timeout_ms)
{
	struct shipper *s = heap_alloc(1, sizeof(*s));

	s->node = heap_copy(node);
	s->node_db = db_new_sqlite(file, BUSY_MS);
	db_limit_file(s->node_db, REPORT_FILE_BYTES);
	s->fleet_db = db_new_postgres(conninfo, timeout_ms);
	return s;
}

void
shipper_free(struct shipper **sp)
{
	struct shipper *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	store_close(&s->node_store);
	store_close(&s->fleet_store);
	db_close(&s->node_db);
	db_close(&s->fleet_db);
	free(s->node);
	free(s);
}

static int
ship_all(struct shipper *shipper, struct ship_result *result, const char **error_r)
{
	struct shipment s = { .from = shipper->node_store,
		.to = shipper->fleet_store,
		.node = shipper->node,
		.result = result };
	int found = ship_batch(&s, error_r);

	/* One that was on its way, and then one of what has come since. */
	if (found == 1)
		found = ship_batch(&s, error_r);
	return found < 0 ? -1 : 0;
}

static int
connect_store(struct db *db, struct store **store, const char **error_r)
{
	if (*store != NULL)
		return 0;
	if (db_reopen(db, error_r) != 0)
		return -1;
	*store = store_open(db, error_r);
	return *store == NULL ? -1 : 0;
}

static int
run(struct shipper *s, struct ship_result *result, const char **error_r)
{
	bool fresh = s->fleet_store == NULL;

	/* The fleet first: without it nothing of the node's is closed. */
	if (connect_store(s->fleet_db, &s->fleet_store, error_r) != 0)
		return -1;
	if (fresh &&
	    schema_migrate(
		s->fleet_db, "ship", scripts, sizeof(scripts) / sizeof(scripts[0]), error_r) != 0)
		return -1;
	if (connect_store(s->node_db, &s->node_store, error_r) != 0)
		return -1;
	return ship_all(s, result, error_r);
}

int
shipper_run(struct shipper *s, struct ship_result *result, const char **error_r)
{
	if (run(s, result, error_r) == 0)
		return 0;
	/* Connected anew the next time: which of the two failed, and how, makes no difference. */
	store_close(&s->node_store);
	store_close(&s->fleet_store);
	return -1;
}
