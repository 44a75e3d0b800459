/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         db_backend - what a back end of db.h provides
 * DESCRIPTION  Each back end has a struct of its own that begins with struct db. Its calls give 0,
 *              or -1 after db_set_error().
 */
#ifndef ASSAY_DB_BACKEND_H
#define ASSAY_DB_BACKEND_H

#include "policy/base/bug.h"
#include "report/db.h"

#define DB_ERROR_BYTES 512 /* one error text; cut */
#define DB_PARAMS_MAX  64  /* of one statement; more: a bug */
#define DB_COLUMNS_MAX 64  /* of one row; more: a bug */
#define DB_ADVISORY_LOCK                                                                           \
	0x61737361794c4f43 /* "assayLOC": PostgreSQL's stand-in for SQLite's lock */

struct db_calls {
	void (*free)(struct db *);
	int (*reopen)(struct db *);
	int (*run)(struct db *, const char *sql, const struct db_value *params, size_t param_count,
	    db_row_fn *row, void *ctx);
	int (*script)(struct db *, const char *sql);
	int (*begin)(struct db *);
	int (*commit)(struct db *);
	void (*rollback)(struct db *);
	const char *now_sql; /* one row, one number */
};

struct db {
	const struct db_calls *calls;
	enum db_fault fault;
	int64_t changes;
	int64_t file_bytes; /* db_limit_file(); 0: no limit */
	char error[DB_ERROR_BYTES];
};

/* -1. The text is what happened and what the library said of it. */
int db_set_error(struct db *db, enum db_fault fault, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Takes db: reopened, or freed and NULL with *error_r set. */
struct db *db_opened(struct db *db, char **error_r);

#endif
