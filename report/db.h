/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         db - one SQL connection: SQLite on this machine, or PostgreSQL for a fleet
 * DESCRIPTION  All that report/ keeps, it keeps through these calls, in SQL that both understand:
 *              parameters are $1, $2, ...; INSERT ... ON CONFLICT ... DO UPDATE and RETURNING are
 *              there, rowids and SERIAL are not. Columns are BIGINT, TEXT or BYTEA; in PostgreSQL
 *              the type of a parameter is that of the column it is compared with or put into. What
 *              differs stands behind this header, one file a back end (db_sqlite.c, db_postgres.c:
 *              the only doors to their libraries).
 *
 *              sql must be a static text: a connection keeps the prepared statement under its
 *              address.
 * DIAGNOSTICS  -1 with *error_r set: text of the connection's, valid until its next call. Then
 *              db_fault() says what kind it was. A transaction that met an error must be rolled
 *              back.
 * BUGS         MT: one thread at a time a connection.
 */
#ifndef ASSAY_DB_H
#define ASSAY_DB_H

#include <stdint.h>

#include "policy/base/slice.h"

enum db_type { DB_NULL, DB_INT, DB_TEXT, DB_BLOB };

struct db_value {
	enum db_type type;
	int64_t number;	   /* DB_INT */
	struct slice text; /* DB_TEXT (UTF-8, no NUL) and DB_BLOB; borrowed */
};

static inline struct db_value
db_int(int64_t number)
{
	return (struct db_value){ .type = DB_INT, .number = number };
}

static inline struct db_value
db_text(struct slice text)
{
	return (struct db_value){ .type = DB_TEXT, .text = text };
}

static inline struct db_value
db_blob(struct slice bytes)
{
	return (struct db_value){ .type = DB_BLOB, .text = bytes };
}

static inline struct db_value
db_null(void)
{
	return (struct db_value){ .type = DB_NULL };
}

enum db_fault {
	DB_F_NONE,
	DB_F_BUSY,     /* locked, or lost a race: roll back and do it again */
	DB_F_FULL,     /* no room on the disk */
	DB_F_CORRUPT,  /* the file is not what it should be */
	DB_F_GONE,     /* no connection: db_reopen() */
	DB_F_CONFLICT, /* a constraint: such a row is there already */
	DB_F_OTHER,
};

struct db;

/*
 * A connection that is not made yet: db_reopen() makes it, and may be called until it can.
 * file: made if it is not there (mode 0640), WAL. busy_ms: how long a call waits for another
 * writer's lock. conninfo: as libpq takes it. timeout_ms bounds connecting and each call.
 */
struct db *db_new_sqlite(const char *file, uint32_t busy_ms) __attribute__((returns_nonnull));
struct db *db_new_postgres(const char *conninfo, uint32_t timeout_ms)
    __attribute__((returns_nonnull));

/* The same and db_reopen(). NULL with *error_r set: heap text, the caller frees it. */
struct db *db_open_sqlite(const char *file, uint32_t busy_ms, char **error_r);
struct db *db_open_postgres(const char *conninfo, uint32_t timeout_ms, char **error_r);

/* From the next db_reopen() on, this connection makes the file of SQLite no larger: DB_F_FULL. To
 * be called before the first. */
void db_limit_file(struct db *db, int64_t bytes);

/* *db becomes NULL; NULL is accepted. An open transaction is rolled back. */
void db_close(struct db **db);

/* After DB_F_GONE. What was prepared is prepared anew. */
int db_reopen(struct db *db, const char **error_r);

/* columns: valid during the call; the function may run other statements, but none that write. Not 0
 * ends the statement early, which is no error. */
typedef int db_row_fn(void *ctx, const struct db_value *columns, size_t column_count);

/* Run one statement; row may be NULL. 0 or -1. Rows that PostgreSQL gives are in memory all at
 * once: LIMIT them where they may be many. */
int db_run(struct db *db, const char *sql, const struct db_value *params, size_t param_count,
    db_row_fn *row, void *ctx, const char **error_r);

/* The same, for the first column of the first row as a number. 1: there is one; 0: no row. */
int db_number(struct db *db, const char *sql, const struct db_value *params, size_t param_count,
    int64_t *number_r, const char **error_r);

/* Several statements without parameters, ";" between, for making tables. Not kept prepared. */
int db_script(struct db *db, const char *sql, const char **error_r);

/* Rows that the last db_run() of INSERT, UPDATE or DELETE touched. */
int64_t db_changes(const struct db *db);

/* Takes the writer's lock at once: one transaction writes at a time, in PostgreSQL too. Where it
 * fails there is no transaction, and nothing to roll back. */
int db_begin(struct db *db, const char **error_r);
int db_commit(struct db *db, const char **error_r);
void db_rollback(struct db *db);

/* Unix seconds by the clock of the database: one clock for all who share it. */
int db_now(struct db *db, int64_t *now_s_r, const char **error_r);

enum db_fault db_fault(const struct db *db); /* of the last call that failed */

#endif
