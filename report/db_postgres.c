/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PostgreSQL behind db.h. libpq is used without blocking, so that a server that has gone silent
 * costs the time allowed and no more; the connection is then given up, because an answer that
 * comes later would be taken for that of the next statement.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/base/num.h"
#include "report/db_backend.h"

#define NUMBER_BYTES   24 /* a number in decimal */
#define SETTINGS_BYTES 512
#define OID_BYTEA      17
#define OID_BOOL       16
#define OID_INT8       20
#define OID_INT2       21
#define OID_INT4       23
#define OID_NUMERIC    1700

struct prepared {
	const char *sql; /* its address is the key */
};

struct db_postgres {
	struct db db; /* first */
	char *conninfo;
	uint32_t timeout_ms;
	PGconn *conn; /* NULL: not open */
	struct prepared *prepared;
	size_t prepared_count, prepared_size;
	bool in_transaction;
};

static struct db_postgres *
postgres_of(struct db *db)
{
	return (struct db_postgres *)(void *)db;
}

static void
disconnect(struct db_postgres *p)
{
	PQfinish(p->conn);
	p->conn = NULL;
	p->prepared_count = 0;
	p->in_transaction = false;
}

/* ---- waiting ---- */

static uint64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Until the socket is ready for events or the time is over. False: it is over, or poll() fails. */
static bool
wait_ready(struct db_postgres *p, short events, uint64_t until_ms)
{
	struct pollfd fd = { .fd = PQsocket(p->conn), .events = events };

	for (;;) {
		uint64_t now = now_ms();
		int rc;

		if (now >= until_ms)
			return false;
		rc = poll(&fd, 1, (int)(until_ms - now));
		if (rc > 0)
			return true;
		if (rc < 0 && errno != EINTR)
			return false;
	}
}

/* The connection is of no more use. */
static int
give_up(struct db_postgres *p, const char *what)
{
	int status = db_set_error(&p->db, DB_F_GONE, "PostgreSQL: %s: %s", what,
	    PQerrorMessage(p->conn)[0] == '\0' ? "no answer in time" : PQerrorMessage(p->conn));

	disconnect(p);
	return status;
}

/* Sends what is buffered; takes in what comes meanwhile, or both sides could wait for each other.
 */
static int
flush(struct db_postgres *p, uint64_t until_ms)
{
	int rc;

	while ((rc = PQflush(p->conn)) == 1)
		if (!wait_ready(p, POLLIN | POLLOUT, until_ms) || PQconsumeInput(p->conn) == 0)
			return -1;
	return rc;
}

/* The last result of what was sent, or the first that is an error; NULL: the connection is gone. */
static PGresult *
fetch_result(struct db_postgres *p)
{
	uint64_t until_ms = now_ms() + p->timeout_ms;
	PGresult *kept = NULL, *next;

	if (flush(p, until_ms) != 0)
		return NULL;
	for (;;) {
		while (PQisBusy(p->conn) == 1)
			if (!wait_ready(p, POLLIN, until_ms) || PQconsumeInput(p->conn) == 0) {
				PQclear(kept);
				return NULL;
			}
		next = PQgetResult(p->conn);
		if (next == NULL)
			break;
		if (kept != NULL && PQresultStatus(kept) == PGRES_FATAL_ERROR) {
			PQclear(next);
			continue;
		}
		PQclear(kept);
		kept = next;
	}
	if (PQstatus(p->conn) == CONNECTION_OK)
		return kept;
	PQclear(kept);
	return NULL;
}

/* ---- faults ---- */

static bool
state_is(const char *state, const char *prefix)
{
	return strncmp(state, prefix, strlen(prefix)) == 0;
}

/* By SQLSTATE, PostgreSQL's appendix A. */
static enum db_fault
fault_of(const char *state)
{
	static const struct {
		const char *prefix;
		enum db_fault fault;
	} faults[] = {
		{ "40", DB_F_BUSY },	/* serialization, deadlock */
		{ "55P03", DB_F_BUSY }, /* lock_timeout */
		{ "57014", DB_F_BUSY }, /* statement_timeout */
		{ "53100", DB_F_FULL }, { "XX001", DB_F_CORRUPT }, { "XX002", DB_F_CORRUPT },
		{ "23", DB_F_CONFLICT }, { "08", DB_F_GONE },
		{ "57P", DB_F_GONE },	/* shutdown, crash of another backend, starting up */
		{ "25P03", DB_F_GONE }, /* idle_in_transaction_session_timeout */
		{ "53300", DB_F_GONE }, /* too many connections */
	};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (state_is(state, faults[i].prefix))
			return faults[i].fault;
	return DB_F_OTHER;
}

/* Takes result. */
static int
check_result(struct db_postgres *p, PGresult *result, const char *what)
{
	const char *state, *text;

	if (result == NULL)
		return give_up(p, what);
	switch (PQresultStatus(result)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY:
		return 0;
	default:
		state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
		(void)db_set_error(&p->db, fault_of(state == NULL ? "" : state), "PostgreSQL: %s",
		    text == NULL ? PQresultErrorMessage(result) : text);
		if (p->db.fault == DB_F_GONE)
			disconnect(p);
		return -1;
	}
}

/* Whatever is sent in between must have been fetched. 0 or -1; *result_r is the caller's to clear.
 */
static int
finish(struct db_postgres *p, int sent, const char *what, PGresult **result_r)
{
	PGresult *result = sent == 1 ? fetch_result(p) : NULL;

	if (check_result(p, result, what) != 0) {
		PQclear(result);
		return -1;
	}
	*result_r = result;
	return 0;
}

static int
not_open(struct db_postgres *p)
{
	return db_set_error(&p->db, DB_F_GONE, "PostgreSQL: not connected");
}

/* ---- opening ---- */

/* libpq would write them to standard error. */
static void
ignore_notice(void *ctx, const char *text)
{
	(void)ctx;
	(void)text;
}

/* PQconnectStart() looks the host up, and waits for that as long as the system's resolver does. */
static int
connect_in_time(struct db_postgres *p)
{
	uint64_t until_ms = now_ms() + p->timeout_ms;
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	p->conn = PQconnectStart(p->conninfo);
	if (p->conn == NULL)
		out_of_memory(0);
	(void)PQsetNoticeProcessor(p->conn, ignore_notice, NULL);
	if (PQstatus(p->conn) == CONNECTION_BAD)
		return -1;
	while (status != PGRES_POLLING_OK) {
		short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;

		if (status == PGRES_POLLING_FAILED || !wait_ready(p, events, until_ms))
			return -1;
		status = PQconnectPoll(p->conn);
	}
	return PQsetnonblocking(p->conn, 1);
}

/* The server, too, gives up what we would: a transaction of ours that it hears no more of must not
 * keep the others from writing. */
static int
set_up(struct db_postgres *p)
{
	char sql[SETTINGS_BYTES];
	unsigned ms = p->timeout_ms / 2 + 1; /* it shall give up first, and say why */

	(void)snprintf(sql, sizeof(sql),
	    "SET client_encoding = 'UTF8'; SET client_min_messages = warning; "
	    "SET statement_timeout = %u; SET lock_timeout = %u; "
	    "SET idle_in_transaction_session_timeout = %u; SET tcp_user_timeout = %u",
	    ms, ms, 2 * ms, 2 * ms);
	return p->db.calls->script(&p->db, sql);
}

static int
postgres_reopen(struct db *db)
{
	struct db_postgres *p = postgres_of(db);

	disconnect(p);
	if (connect_in_time(p) != 0)
		return give_up(p, "can't connect");
	if (set_up(p) == 0)
		return 0;
	disconnect(p);
	return -1;
}

static void
postgres_free(struct db *db)
{
	struct db_postgres *p = postgres_of(db);

	disconnect(p);
	free(p->prepared);
	free(p->conninfo);
	free(p);
}

/* ---- statements ---- */

/* The name under which it is prepared: its place in the list. 0 or -1. */
static int
prepare(struct db_postgres *p, const char *sql, char name[NUMBER_BYTES])
{
	PGresult *result;

	for (size_t i = 0; i < p->prepared_count; i++)
		if (p->prepared[i].sql == sql) {
			(void)snprintf(name, NUMBER_BYTES, "s%zu", i);
			return 0;
		}
	(void)snprintf(name, NUMBER_BYTES, "s%zu", p->prepared_count);
	if (finish(p, PQsendPrepare(p->conn, name, sql, 0, NULL), "prepare", &result) != 0)
		return -1;
	PQclear(result);
	if (p->prepared_count == p->prepared_size) {
		p->prepared_size = p->prepared_size == 0 ? 16 : p->prepared_size * 2;
		p->prepared = realloc(p->prepared, p->prepared_size * sizeof(*p->prepared));
		if (p->prepared == NULL)
			out_of_memory(p->prepared_size * sizeof(*p->prepared));
	}
	p->prepared[p->prepared_count++].sql = sql;
	return 0;
}

/* Numbers go as text, which fits whatever integer type the server takes them for; bytes as they
 * are. */
static int
send_prepared(struct db_postgres *p, const char *name, const struct db_value *params, size_t count)
{
	const char *values[DB_PARAMS_MAX];
	int lengths[DB_PARAMS_MAX], formats[DB_PARAMS_MAX];
	char numbers[DB_PARAMS_MAX][NUMBER_BYTES];

	for (size_t i = 0; i < count; i++) {
		values[i] = params[i].text.p == NULL ? "" : params[i].text.p;
		lengths[i] = (int)params[i].text.len;
		formats[i] = 1;
		if (params[i].type == DB_NULL)
			values[i] = NULL;
		if (params[i].type != DB_INT)
			continue;
		(void)snprintf(numbers[i], NUMBER_BYTES, "%lld", (long long)params[i].number);
		values[i] = numbers[i];
		formats[i] = 0;
	}
	return PQsendQueryPrepared(p->conn, name, (int)count, values, lengths, formats, 0);
}

/* "-12" or "12"; sums are NUMERIC and come the same way. */
static bool
read_number(struct slice text, int64_t *out)
{
	bool negative = text.len > 0 && text.p[0] == '-';
	uint64_t n;

	if (num_u64(negative ? slice_from(text, 1) : text, 0, (uint64_t)INT64_MAX + negative, &n) !=
	    0)
		return false;
	*out = negative ? (int64_t)(0 - n) : (int64_t)n;
	return true;
}

/* "\x00ff": decoded in place, it only gets shorter. */
static struct slice
decode_bytea(char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 2; i + 1 < len; i += 2) {
		int high = ascii_hex(text[i]), low = ascii_hex(text[i + 1]);

		text[n++] = (char)((high < 0 ? 0 : high) << 4 | (low < 0 ? 0 : low));
	}
	return slice_of(text, n);
}

static struct db_value
column_value(PGresult *result, int row, int column)
{
	char *bytes = PQgetvalue(result, row, column);
	struct slice text = slice_of(bytes, (size_t)PQgetlength(result, row, column));
	int64_t number;

	if (PQgetisnull(result, row, column) == 1)
		return db_null();
	switch (PQftype(result, column)) {
	case OID_BYTEA:
		return db_blob(decode_bytea(bytes, text.len));
	case OID_BOOL:
		return db_int(text.len > 0 && text.p[0] == 't');
	case OID_INT2:
	case OID_INT4:
	case OID_INT8:
	case OID_NUMERIC:
		return read_number(text, &number) ? db_int(number) : db_text(text);
	default:
		return db_text(text);
	}
}

static void
give_rows(PGresult *result, db_row_fn *row, void *ctx)
{
	struct db_value columns[DB_COLUMNS_MAX];
	int count = PQnfields(result), rows = PQntuples(result);

	if (count > DB_COLUMNS_MAX)
		bug("db: %d columns", count);
	for (int r = 0; r < rows; r++) {
		for (int i = 0; i < count; i++)
			columns[i] = column_value(result, r, i);
		if (row(ctx, columns, (size_t)count) != 0)
			return;
	}
}

static int
postgres_run(struct db *db, const char *sql, const struct db_value *params, size_t param_count,
    db_row_fn *row, void *ctx)
{
	struct db_postgres *p = postgres_of(db);
	char name[NUMBER_BYTES];
	uint64_t changes;
	PGresult *result;

	if (p->conn == NULL)
		return not_open(p);
	if (prepare(p, sql, name) != 0 ||
	    finish(p, send_prepared(p, name, params, param_count), "run", &result) != 0)
		return -1;
	if (num_u64(slice_str(PQcmdTuples(result)), 0, INT64_MAX, &changes) == 0)
		db->changes = (int64_t)changes;
	if (row != NULL)
		give_rows(result, row, ctx);
	PQclear(result);
	return 0;
}

static int
postgres_script(struct db *db, const char *sql)
{
	struct db_postgres *p = postgres_of(db);
	PGresult *result;

	if (p->conn == NULL)
		return not_open(p);
	if (finish(p, PQsendQuery(p->conn, sql), "script", &result) != 0)
		return -1;
	PQclear(result);
	return 0;
}

/* ---- transactions ---- */

static int
postgres_begin(struct db *db)
{
	char sql[96];

	(void)snprintf(sql, sizeof(sql), "BEGIN; SELECT pg_advisory_xact_lock(%lld)",
	    (long long)DB_ADVISORY_LOCK);
	postgres_of(db)->in_transaction = true;
	return postgres_script(db, sql);
}

/* COMMIT of a transaction that had failed is no error to PostgreSQL, and rolls it back. */
static int
postgres_commit(struct db *db)
{
	struct db_postgres *p = postgres_of(db);
	PGresult *result;
	int status = 0;

	p->in_transaction = false;
	if (p->conn == NULL)
		return not_open(p);
	if (finish(p, PQsendQuery(p->conn, "COMMIT"), "commit", &result) != 0)
		return -1;
	if (strcmp(PQcmdStatus(result), "COMMIT") != 0)
		status = db_set_error(db, DB_F_OTHER, "PostgreSQL: the transaction had failed");
	PQclear(result);
	return status;
}

/* What is said of a failure before stays: this is what follows it. */
static void
postgres_rollback(struct db *db)
{
	struct db_postgres *p = postgres_of(db);
	PGresult *result;

	if (p->conn == NULL || !p->in_transaction)
		return;
	p->in_transaction = false;
	result = PQsendQuery(p->conn, "ROLLBACK") == 1 ? fetch_result(p) : NULL;
	if (result == NULL)
		disconnect(p);
	PQclear(result);
}

static const struct db_calls postgres_calls = {
	.free = postgres_free,
	.reopen = postgres_reopen,
	.run = postgres_run,
	.script = postgres_script,
	.begin = postgres_begin,
	.commit = postgres_commit,
	.rollback = postgres_rollback,
	.now_sql = "SELECT CAST(floor(extract(epoch FROM clock_timestamp())) AS BIGINT)",
};

struct db *
db_new_postgres(const char *conninfo, uint32_t timeout_ms)
{
	struct db_postgres *p = heap_alloc(1, sizeof(*p));

	p->db.calls = &postgres_calls;
	p->conninfo = heap_copy(conninfo);
	p->timeout_ms = timeout_ms;
	return &p->db;
}

struct db *
db_open_postgres(const char *conninfo, uint32_t timeout_ms, char **error_r)
{
	return db_opened(db_new_postgres(conninfo, timeout_ms), error_r);
}
