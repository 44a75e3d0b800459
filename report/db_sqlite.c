/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SQLite behind db.h. WAL: readers don't hold up the writer, and a commit is safe from the end of
 * the process without an fsync (synchronous=NORMAL); a power cut may cost the last commits, never
 * the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/base/num.h"
#include "report/db_backend.h"

#define FILE_MODE    0640
#define WAL_RETRY_MS 10

struct prepared {
	const char *sql; /* its address is the key */
	sqlite3_stmt *stmt;
	uint8_t params[DB_PARAMS_MAX]; /* of the stmt's parameter n: which of the caller's */
	int param_count;
	bool running; /* a row function ran the same statement again */
};

struct db_sqlite {
	struct db db; /* first */
	char *file;
	uint32_t busy_ms;
	sqlite3 *handle; /* NULL: not open */
	struct prepared *prepared;
	size_t prepared_count, prepared_size;
};

static struct db_sqlite *
sqlite_of(struct db *db)
{
	return (struct db_sqlite *)(void *)db;
}

/* No room is told by one code where SQLite grows the file and by errno where it writes into it. */
static enum db_fault
io_fault(sqlite3 *handle)
{
	switch (sqlite3_system_errno(handle)) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return DB_F_FULL;
	default:
		return DB_F_OTHER;
	}
}

static enum db_fault
fault_of(sqlite3 *handle, int code)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return DB_F_BUSY;
	case SQLITE_FULL:
		return DB_F_FULL;
	case SQLITE_IOERR:
		return handle == NULL ? DB_F_OTHER : io_fault(handle);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return DB_F_CORRUPT;
	case SQLITE_CONSTRAINT:
		return DB_F_CONFLICT;
	default:
		return DB_F_OTHER;
	}
}

static int
fail(struct db_sqlite *s, int code)
{
	if (s->handle == NULL)
		return db_set_error(&s->db, DB_F_GONE, "%s: not open", s->file);
	if ((code & 0xff) == SQLITE_IOERR)
		return db_set_error(&s->db, fault_of(s->handle, code), "%s: %s (%s)", s->file,
		    sqlite3_errmsg(s->handle), strerror(sqlite3_system_errno(s->handle)));
	return db_set_error(
	    &s->db, fault_of(s->handle, code), "%s: %s", s->file, sqlite3_errmsg(s->handle));
}

static void
disconnect(struct db_sqlite *s)
{
	for (size_t i = 0; i < s->prepared_count; i++)
		(void)sqlite3_finalize(s->prepared[i].stmt);
	s->prepared_count = 0;
	(void)sqlite3_close_v2(s->handle);
	s->handle = NULL;
}

/* ---- opening ---- */

/*
 * SQLite would make it readable for all, its -wal and -shm like it. An existing file must not be
 * opened here: closing it would give up the locks that SQLite has on it in this process.
 */
static void
make_file(const char *file)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);

	if (fd < 0)
		return; /* it is there, or SQLite says why it can't be */
	(void)fchmod(fd, FILE_MODE);
	(void)close(fd);
}

/* SQLite does not wait for this one: two who open at once could wait for each other. */
static int
use_wal(struct db_sqlite *s)
{
	const struct timespec pause = { .tv_nsec = WAL_RETRY_MS * 1000000L };
	int code;

	for (uint32_t waited = 0;; waited += WAL_RETRY_MS) {
		code = sqlite3_exec(s->handle, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
		if ((code & 0xff) != SQLITE_BUSY || waited >= s->busy_ms)
			return code;
		(void)nanosleep(&pause, NULL);
	}
}

/* The size of a page is that of the file, whoever made it. */
static int
limit_file(struct db_sqlite *s)
{
	char sql[96];
	sqlite3_stmt *stmt;
	int64_t page_bytes = 0;

	if (s->db.file_bytes == 0)
		return SQLITE_OK;
	if (sqlite3_prepare_v2(s->handle, "PRAGMA page_size", -1, &stmt, NULL) != SQLITE_OK)
		return sqlite3_errcode(s->handle);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		page_bytes = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	if (page_bytes <= 0)
		return SQLITE_OK;
	(void)snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%lld",
	    (long long)(s->db.file_bytes / page_bytes));
	return sqlite3_exec(s->handle, sql, NULL, NULL, NULL);
}

static int
set_up(struct db_sqlite *s)
{
	int code;

	(void)sqlite3_extended_result_codes(s->handle, 1);
	(void)sqlite3_busy_timeout(s->handle, (int)s->busy_ms);
	/* What stands in a damaged or foreign file is data, never orders. */
	(void)sqlite3_db_config(s->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(s->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	code = use_wal(s);
	if (code == SQLITE_OK)
		code = sqlite3_exec(s->handle,
		    "PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=500; "
		    "PRAGMA journal_size_limit=2097152",
		    NULL, NULL, NULL);
	return code == SQLITE_OK ? limit_file(s) : code;
}

static int
sqlite_reopen(struct db *db)
{
	struct db_sqlite *s = sqlite_of(db);
	int code, status;

	disconnect(s);
	make_file(s->file);
	code = sqlite3_open_v2(s->file, &s->handle,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (s->handle == NULL)
		out_of_memory(0);
	if (code == SQLITE_OK)
		code = set_up(s);
	if (code != SQLITE_OK)
		status = db_set_error(db, fault_of(s->handle, code), "%s: %s (%s)", s->file,
		    sqlite3_errmsg(s->handle), strerror(sqlite3_system_errno(s->handle)));
	else if (sqlite3_db_readonly(s->handle, "main") == 1)
		status = db_set_error(db, DB_F_OTHER, "%s: can only be read", s->file);
	else
		return 0;
	disconnect(s);
	return status;
}

static void
sqlite_free(struct db *db)
{
	struct db_sqlite *s = sqlite_of(db);

	disconnect(s);
	free(s->prepared);
	free(s->file);
	free(s);
}

/* ---- statements ---- */

/* SQLite numbers $3, $1 by where they first stand; we mean what is written. */
static void
map_params(struct prepared *p)
{
	p->param_count = sqlite3_bind_parameter_count(p->stmt);
	for (int i = 1; i <= p->param_count; i++) {
		const char *name = sqlite3_bind_parameter_name(p->stmt, i);
		uint32_t number;

		if (name == NULL || num_u32(slice_str(name + 1), 1, DB_PARAMS_MAX, &number) != 0)
			bug("db: not a parameter we know: %s", p->sql);
		p->params[i - 1] = (uint8_t)number;
	}
}

/* Index of the statement, or -1. */
static int
prepare(struct db_sqlite *s, const char *sql)
{
	struct prepared p = { .sql = sql };
	int code;

	for (size_t i = 0; i < s->prepared_count; i++)
		if (s->prepared[i].sql == sql)
			return (int)i;
	code = sqlite3_prepare_v3(s->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &p.stmt, NULL);
	if (code != SQLITE_OK || p.stmt == NULL)
		return fail(s, code);
	map_params(&p);
	if (s->prepared_count == s->prepared_size) {
		s->prepared_size = s->prepared_size == 0 ? 16 : s->prepared_size * 2;
		s->prepared = realloc(s->prepared, s->prepared_size * sizeof(*s->prepared));
		if (s->prepared == NULL)
			out_of_memory(s->prepared_size * sizeof(*s->prepared));
	}
	s->prepared[s->prepared_count] = p;
	return (int)s->prepared_count++;
}

static int
bind_one(sqlite3_stmt *stmt, int at, const struct db_value *value)
{
	const char *p = value->text.p == NULL ? "" : value->text.p;

	switch (value->type) {
	case DB_NULL:
		return sqlite3_bind_null(stmt, at);
	case DB_INT:
		return sqlite3_bind_int64(stmt, at, value->number);
	case DB_TEXT:
		return sqlite3_bind_text64(
		    stmt, at, p, value->text.len, SQLITE_STATIC, SQLITE_UTF8);
	case DB_BLOB:
		return sqlite3_bind_blob64(stmt, at, p, value->text.len, SQLITE_STATIC);
	}
	bug("db: value of type %d", (int)value->type);
}

static int
bind_all(const struct prepared *p, const struct db_value *params, size_t param_count)
{
	int code = SQLITE_OK;

	for (int i = 0; i < p->param_count && code == SQLITE_OK; i++) {
		if (p->params[i] > param_count)
			bug("db: $%d is not given: %s", (int)p->params[i], p->sql);
		code = bind_one(p->stmt, i + 1, &params[p->params[i] - 1]);
	}
	return code;
}

static struct db_value
column_value(sqlite3_stmt *stmt, int at)
{
	const char *bytes;

	switch (sqlite3_column_type(stmt, at)) {
	case SQLITE_INTEGER:
		return db_int(sqlite3_column_int64(stmt, at));
	case SQLITE_TEXT:
		bytes = (const char *)sqlite3_column_text(stmt, at);
		return db_text(slice_of(bytes, (size_t)sqlite3_column_bytes(stmt, at)));
	case SQLITE_BLOB:
		bytes = sqlite3_column_blob(stmt, at);
		return db_blob(slice_of(bytes, (size_t)sqlite3_column_bytes(stmt, at)));
	default: /* NULL; we keep no fractions */
		return db_null();
	}
}

static int
give_row(sqlite3_stmt *stmt, db_row_fn *row, void *ctx)
{
	struct db_value columns[DB_COLUMNS_MAX];
	int count = sqlite3_column_count(stmt);

	if (count > DB_COLUMNS_MAX)
		bug("db: %d columns: %s", count, sqlite3_sql(stmt));
	for (int i = 0; i < count; i++)
		columns[i] = column_value(stmt, i);
	return row(ctx, columns, (size_t)count);
}

/* What the last step said: SQLITE_DONE, SQLITE_ROW where the row function had enough, an error. */
static int
step_all(sqlite3_stmt *stmt, db_row_fn *row, void *ctx)
{
	int code;

	while ((code = sqlite3_step(stmt)) == SQLITE_ROW)
		if (row != NULL && give_row(stmt, row, ctx) != 0)
			break;
	return code;
}

static int
sqlite_run(struct db *db, const char *sql, const struct db_value *params, size_t param_count,
    db_row_fn *row, void *ctx)
{
	struct db_sqlite *s = sqlite_of(db);
	int at = s->handle == NULL ? fail(s, SQLITE_ERROR) : prepare(s, sql);
	sqlite3_stmt *stmt;
	int code, status = 0;

	if (at < 0)
		return -1;
	if (s->prepared[at].running)
		bug("db: run inside itself: %s", sql);
	stmt = s->prepared[at].stmt; /* the array may move while a row function runs others */
	code = bind_all(&s->prepared[at], params, param_count);
	s->prepared[at].running = true;
	if (code == SQLITE_OK)
		code = step_all(stmt, row, ctx);
	s->prepared[at].running = false;
	if (code != SQLITE_DONE && code != SQLITE_ROW)
		status = fail(s, code);
	else if (sqlite3_stmt_readonly(stmt) == 0)
		db->changes = sqlite3_changes64(s->handle);
	(void)sqlite3_reset(stmt);
	(void)sqlite3_clear_bindings(stmt);
	return status;
}

static int
sqlite_script(struct db *db, const char *sql)
{
	struct db_sqlite *s = sqlite_of(db);
	int code = SQLITE_ERROR;

	if (s->handle != NULL)
		code = sqlite3_exec(s->handle, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : fail(s, code);
}

/* ---- transactions ---- */

static int
sqlite_begin(struct db *db)
{
	static const char sql[] = "BEGIN IMMEDIATE";

	return sqlite_run(db, sql, NULL, 0, NULL, NULL);
}

static int
sqlite_commit(struct db *db)
{
	static const char sql[] = "COMMIT";

	return sqlite_run(db, sql, NULL, 0, NULL, NULL);
}

/* Where an error has ended the transaction already, SQLite has none to end. */
static void
sqlite_rollback(struct db *db)
{
	struct db_sqlite *s = sqlite_of(db);

	if (s->handle != NULL && sqlite3_get_autocommit(s->handle) == 0)
		(void)sqlite3_exec(s->handle, "ROLLBACK", NULL, NULL, NULL);
}

static const struct db_calls sqlite_calls = {
	.free = sqlite_free,
	.reopen = sqlite_reopen,
	.run = sqlite_run,
	.script = sqlite_script,
	.begin = sqlite_begin,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.now_sql = "SELECT CAST(strftime('%s', 'now') AS BIGINT)",
};

struct db *
db_new_sqlite(const char *file, uint32_t busy_ms)
{
	struct db_sqlite *s = heap_alloc(1, sizeof(*s));

	s->db.calls = &sqlite_calls;
	s->file = heap_copy(file);
	s->busy_ms = busy_ms;
	return &s->db;
}

struct db *
db_open_sqlite(const char *file, uint32_t busy_ms, char **error_r)
{
	return db_opened(db_new_sqlite(file, busy_ms), error_r);
}
