/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "report/db_backend.h"

int
db_set_error(struct db *db, enum db_fault fault, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(db->error, sizeof(db->error), fmt, ap);
	va_end(ap);
	/* libpq ends its texts with a line break, and has them of several lines. */
	for (char *p = db->error; *p != '\0'; p++)
		if (*p == '\n' || *p == '\t')
			*p = p[1] == '\0' ? '\0' : ' ';
	db->fault = fault;
	return -1;
}

struct db *
db_opened(struct db *db, char **error_r)
{
	if (db->calls->reopen(db) == 0)
		return db;
	*error_r = heap_copy(db->error);
	db_close(&db);
	return NULL;
}

void
db_limit_file(struct db *db, int64_t bytes)
{
	db->file_bytes = bytes;
}

void
db_close(struct db **dbp)
{
	struct db *db = *dbp;

	*dbp = NULL;
	if (db != NULL)
		db->calls->free(db);
}

/* What a back end's call gave, as callers of db.h get it. */
static int
outcome(struct db *db, int result, const char **error_r)
{
	if (result == 0)
		return 0;
	*error_r = db->error;
	return -1;
}

int
db_reopen(struct db *db, const char **error_r)
{
	return outcome(db, db->calls->reopen(db), error_r);
}

int
db_run(struct db *db, const char *sql, const struct db_value *params, size_t param_count,
    db_row_fn *row, void *ctx, const char **error_r)
{
	if (param_count > DB_PARAMS_MAX)
		bug("db_run: %zu parameters: %s", param_count, sql);
	return outcome(db, db->calls->run(db, sql, params, param_count, row, ctx), error_r);
}

struct first_number {
	bool found;
	int64_t number;
};

static int
take_number(void *ctx, const struct db_value *columns, size_t column_count)
{
	struct first_number *first = ctx;

	if (column_count > 0 && columns[0].type == DB_INT)
		*first = (struct first_number){ true, columns[0].number };
	return 1;
}

int
db_number(struct db *db, const char *sql, const struct db_value *params, size_t param_count,
    int64_t *number_r, const char **error_r)
{
	struct first_number first = { 0 };

	if (db_run(db, sql, params, param_count, take_number, &first, error_r) != 0)
		return -1;
	if (!first.found)
		return 0;
	*number_r = first.number;
	return 1;
}

int
db_script(struct db *db, const char *sql, const char **error_r)
{
	return outcome(db, db->calls->script(db, sql), error_r);
}

int64_t
db_changes(const struct db *db)
{
	return db->changes;
}

int
db_begin(struct db *db, const char **error_r)
{
	if (outcome(db, db->calls->begin(db), error_r) == 0)
		return 0;
	/* PostgreSQL: who began and did not get the lock is in a transaction all the same. */
	db->calls->rollback(db);
	return -1;
}

int
db_commit(struct db *db, const char **error_r)
{
	return outcome(db, db->calls->commit(db), error_r);
}

void
db_rollback(struct db *db)
{
	db->calls->rollback(db);
}

int
db_now(struct db *db, int64_t *now_s_r, const char **error_r)
{
	int found = db_number(db, db->calls->now_sql, NULL, 0, now_s_r, error_r);

	if (found == 0) {
		(void)db_set_error(db, DB_F_OTHER, "the database does not tell the time");
		*error_r = db->error;
	}
	return found == 1 ? 0 : -1;
}

enum db_fault
db_fault(const struct db *db)
{
	return db->fault;
}
