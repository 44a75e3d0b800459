/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One row an event. It is pending until it is taken; then it stays, sent, so that its cause is
 * quiet for a while and the limits of the last 24 hours can be counted.
 */
#include "report/failure.h"
#include "report/schema.h"

#define DAY_S 86400

static const char *const scripts[] = {
	"CREATE TABLE failure_event ("
	" id BIGINT PRIMARY KEY,"
	" cause TEXT NOT NULL UNIQUE,"
	" domain TEXT NOT NULL,"
	" discovery BIGINT NOT NULL,"
	" ruf BYTEA NOT NULL,"
	" author BYTEA NOT NULL,"
	" subject BYTEA NOT NULL,"
	" fields BYTEA NOT NULL,"
	" header BYTEA NOT NULL,"
	" first_s BIGINT NOT NULL,"
	" due_s BIGINT NOT NULL," /* not before; of a sent one: when it was sent */
	" incidents BIGINT NOT NULL,"
	" returned BIGINT NOT NULL," /* how often it came back unsent */
	" sent BIGINT NOT NULL);"    /* 0: pending */
	"CREATE INDEX failure_event_due ON failure_event (sent, due_s);"
	"CREATE INDEX failure_event_domain ON failure_event (domain, sent);"
	"CREATE TABLE failure_id (last BIGINT NOT NULL);"
	"INSERT INTO failure_id VALUES (0)",

	"ALTER TABLE failure_event ADD COLUMN messages BIGINT NOT NULL DEFAULT 1",
};

int
failure_queue_prepare(struct db *db, const char **error_r)
{
	return schema_migrate(
	    db, "failure", scripts, sizeof(scripts) / sizeof(scripts[0]), error_r);
}

/* ---- adding ---- */

/* 1: there is one of its cause, which now counts the incident; 0: none. */
static int
join(struct db *db, const struct failure_event *e, bool *sent_r, const char **error_r)
{
	static const char sql[] = "UPDATE failure_event SET incidents = incidents + $1 "
				  "WHERE cause = $2 RETURNING sent";
	const struct db_value params[] = { db_int((int64_t)e->incidents), db_text(e->cause) };
	int64_t sent = 0;
	int rc = db_number(db, sql, params, 2, &sent, error_r);

	*sent_r = sent != 0;
	return rc;
}

/* 1: there is room; 0: the queue is full. */
static int
has_room(struct db *db, struct slice domain, const char **error_r)
{
	static const char all[] = "SELECT COUNT(*) FROM failure_event WHERE sent = 0";
	static const char of_domain[] =
	    "SELECT COUNT(*) FROM failure_event WHERE domain = $1 AND sent = 0";
	const struct db_value params[] = { db_text(domain) };
	int64_t count = 0;

	if (db_number(db, of_domain, params, 1, &count, error_r) < 0)
		return -1;
	if (count >= REPORT_FAILURES_DOMAIN_MAX)
		return 0;
	if (db_number(db, all, NULL, 0, &count, error_r) < 0)
		return -1;
	return count < REPORT_FAILURES_MAX;
}

static int
insert(struct db *db, const struct failure_event *e, const char **error_r)
{
	static const char next[] = "UPDATE failure_id SET last = last + 1 RETURNING last";
	static const char sql[] =
	    "INSERT INTO failure_event (id, cause, domain, discovery, ruf, author, subject, "
	    "fields, "
	    "header, first_s, due_s, incidents, returned, sent) "
	    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, 0, 0)";
	int64_t id = 0;

	if (db_number(db, next, NULL, 0, &id, error_r) < 0)
		return -1;
	return db_run(db, sql,
	    (const struct db_value[]){ db_int(id), db_text(e->cause), db_text(e->domain),
		db_int(e->discovery), db_blob(e->ruf), db_blob(e->author), db_blob(e->subject),
		db_blob(e->fields), db_blob(e->header), db_int(e->first_s),
		db_int((int64_t)e->incidents) },
	    11, NULL, NULL, error_r);
}

int
failure_queue_add(struct db *db, const struct failure_event *e, const char **error_r)
{
	bool sent;
	int rc = join(db, e, &sent, error_r);

	if (rc != 0)
		return rc < 0 ? -1 : !sent;
	rc = has_room(db, e->domain, error_r);
	if (rc <= 0)
		return rc;
	return insert(db, e, error_r) == 0 ? 1 : -1;
}

/* ---- taking ---- */

struct taking {
	struct arena *arena;
	struct failure_event *out;
	bool found;
};

static int
take_row(void *ctx, const struct db_value *c, size_t count)
{
	struct taking *t = ctx;

	(void)count;
	t->found = true;
	*t->out = (struct failure_event){
		.id = c[0].number,
		.cause = arena_copy(t->arena, c[1].text),
		.domain = arena_copy(t->arena, c[2].text),
		.discovery = c[3].number == DMARC_PSL ? DMARC_PSL : DMARC_TREEWALK,
		.ruf = arena_copy(t->arena, c[4].text),
		.author = arena_copy(t->arena, c[5].text),
		.subject = arena_copy(t->arena, c[6].text),
		.fields = arena_copy(t->arena, c[7].text),
		.header = arena_copy(t->arena, c[8].text),
		.first_s = c[9].number,
		.incidents = (uint64_t)c[10].number,
	};
	return 1;
}

/* The oldest that is due, of a domain that has not had its number of them. */
static int
find_due(struct db *db, const struct failure_rate *rate, int64_t now_s, struct taking *t,
    const char **error_r)
{
	static const char sql[] =
	    "SELECT id, cause, domain, discovery, ruf, author, subject, fields, header, first_s, "
	    "incidents FROM failure_event e WHERE sent = 0 AND due_s <= $1 AND "
	    "(SELECT COALESCE(SUM(s.messages), 0) FROM failure_event s WHERE s.domain = e.domain "
	    "AND s.sent = 1 "
	    "AND s.due_s > $2) < $3 ORDER BY due_s, id LIMIT 1";
	const struct db_value params[] = { db_int(now_s - rate->wait_s), db_int(now_s - DAY_S),
		db_int(rate->per_domain) };

	return db_run(db, sql, params, 3, take_row, t, error_r);
}

static int
take(struct db *db, const struct failure_rate *rate, int64_t now_s, struct taking *t,
    const char **error_r)
{
	static const char sent_sql[] = "SELECT COALESCE(SUM(messages), 0) FROM failure_event "
				       "WHERE sent = 1 AND due_s > $1";
	static const char of_domain_sql[] = "SELECT COALESCE(SUM(messages), 0) FROM failure_event "
					    "WHERE sent = 1 AND due_s > $1 AND domain = $2";
	static const char mark_sql[] =
	    "UPDATE failure_event SET sent = 1, due_s = $1 WHERE id = $2 AND sent = 0";
	struct db_value since[] = { db_int(now_s - DAY_S), db_null() };
	int64_t sent = 0, of_domain = 0;

	if (db_number(db, sent_sql, since, 1, &sent, error_r) < 0)
		return -1;
	if (sent >= rate->in_all)
		return 0;
	if (find_due(db, rate, now_s, t, error_r) != 0)
		return -1;
	if (!t->found)
		return 0;
	since[1] = db_text(t->out->domain);
	if (db_number(db, of_domain_sql, since, 2, &of_domain, error_r) < 0)
		return -1;
	t->out->room = (uint64_t)(rate->per_domain - of_domain);
	if (t->out->room > (uint64_t)(rate->in_all - sent))
		t->out->room = (uint64_t)(rate->in_all - sent);
	return db_run(db, mark_sql, (const struct db_value[]){ db_int(now_s), db_int(t->out->id) },
		   2, NULL, NULL, error_r) == 0
	    ? 1
	    : -1;
}

int
failure_queue_take(struct db *db, struct arena *a, const struct failure_rate *rate, int64_t now_s,
    struct failure_event *out, const char **error_r)
{
	struct taking t = { .arena = a, .out = out };
	int rc;

	if (db_begin(db, error_r) != 0)
		return -1;
	rc = take(db, rate, now_s, &t, error_r);
	if (rc >= 0 && db_commit(db, error_r) == 0)
		return rc;
	db_rollback(db);
	return -1;
}

int
failure_queue_count(struct db *db, int64_t id, size_t messages, const char **error_r)
{
	static const char sql[] = "UPDATE failure_event SET messages = $1 WHERE id = $2";

	return db_run(db, sql, (const struct db_value[]){ db_int((int64_t)messages), db_int(id) },
	    2, NULL, NULL, error_r);
}

int
failure_queue_return(struct db *db, int64_t id, int64_t until_s, const char **error_r)
{
	static const char sql[] =
	    "UPDATE failure_event SET sent = 0, due_s = $1, returned = returned + 1 "
	    "WHERE id = $2 AND sent = 1 AND returned = 0";

	return db_run(db, sql, (const struct db_value[]){ db_int(until_s), db_int(id) }, 2, NULL,
	    NULL, error_r);
}

/* ---- tidying up ---- */

static int
prune(struct db *db, int64_t now_s, uint64_t *dropped_r, const char **error_r)
{
	static const char unsent[] = "DELETE FROM failure_event WHERE sent = 0 AND first_s < $1";
	static const char quiet[] = "DELETE FROM failure_event WHERE sent = 1 AND due_s < $1";

	if (db_run(db, unsent, (const struct db_value[]){ db_int(now_s - REPORT_FAILURE_KEEP_S) },
		1, NULL, NULL, error_r) != 0)
		return -1;
	*dropped_r = (uint64_t)db_changes(db);
	return db_run(db, quiet,
	    (const struct db_value[]){ db_int(now_s - REPORT_FAILURE_QUIET_S) }, 1, NULL, NULL,
	    error_r);
}

int
failure_queue_prune(struct db *db, int64_t now_s, uint64_t *dropped_r, const char **error_r)
{
	*dropped_r = 0;
	if (db_begin(db, error_r) != 0)
		return -1;
	if (prune(db, now_s, dropped_r, error_r) == 0 && db_commit(db, error_r) == 0)
		return 0;
	db_rollback(db);
	return -1;
}
