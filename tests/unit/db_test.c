/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One table of cases over every back end: what report/db.h promises must hold for each.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "report/db.h"
#include "tests/support/backend.h"
#include "tests/support/support.h"

static char folder[BACKEND_FOLDER_BYTES];

/* ---- helpers: what fails ends the test with the database's own words ---- */

static void
run(struct db *db, const char *sql, const struct db_value *params, size_t n)
{
	const char *error = "?";

	if (db_run(db, sql, params, n, NULL, NULL, &error) != 0)
		fail_msg("%s: %s", sql, error);
}

static int64_t
number(struct db *db, const char *sql)
{
	const char *error = "?";
	int64_t n = -1;

	if (db_number(db, sql, NULL, 0, &n, &error) != 1)
		fail_msg("%s: %s", sql, error);
	return n;
}

static void
begin(struct db *db)
{
	const char *error = "?";

	if (db_begin(db, &error) != 0)
		fail_msg("begin: %s", error);
}

static void
commit(struct db *db)
{
	const char *error = "?";

	if (db_commit(db, &error) != 0)
		fail_msg("commit: %s", error);
}

static struct db *
open_with_table(const struct backend *b)
{
	struct db *db = backend_open(b, 5000);
	const char *error = "?";

	if (db_script(db,
		"DROP TABLE IF EXISTS t; "
		"CREATE TABLE t (k BIGINT PRIMARY KEY, s TEXT, b BYTEA, n BIGINT NOT NULL);",
		&error) != 0)
		fail_msg("%s: %s", b->name, error);
	return db;
}

static const char insert_sql[] = "INSERT INTO t (k, s, b, n) VALUES ($1, $2, $3, $4)";

static void
insert(struct db *db, int64_t k, int64_t n)
{
	const struct db_value row[] = { db_int(k), db_text(SLICE("x")), db_null(), db_int(n) };

	run(db, insert_sql, row, 4);
}

/* ---- the cases ---- */

struct seen {
	size_t rows, columns;
	enum db_type types[4];
	int64_t k;
	char text[32], bytes[32];
	size_t text_len, byte_len;
};

static int
see(void *ctx, const struct db_value *c, size_t count)
{
	struct seen *s = ctx;

	s->rows++;
	s->columns = count;
	for (size_t i = 0; i < count && i < 4; i++)
		s->types[i] = c[i].type;
	s->k = c[0].number;
	s->text_len = c[1].text.len;
	s->byte_len = c[2].text.len;
	if (s->text_len > 0 && s->text_len < sizeof(s->text))
		memcpy(s->text, c[1].text.p, s->text_len);
	if (s->byte_len > 0 && s->byte_len < sizeof(s->bytes))
		memcpy(s->bytes, c[2].text.p, s->byte_len);
	return 0;
}

static void
values_come_back(const struct backend *b)
{
	static const char sql[] = "SELECT k, s, b, n FROM t WHERE k = $1";
	static const char odd[] = "\0\xff\\x'\n";
	const struct db_value row[] = { db_int(INT64_MIN), db_text(SLICE("na\xc3\xafve ''$1")),
		db_blob(SLICE(odd)), db_int(INT64_MAX) };
	struct db *db = open_with_table(b);
	struct seen seen = { 0 };
	const char *error = "?";

	run(db, insert_sql, row, 4);
	assert_int_equal(db_changes(db), 1);
	assert_int_equal(db_run(db, sql, row, 1, see, &seen, &error), 0);
	assert_int_equal(seen.rows, 1);
	assert_int_equal(seen.columns, 4);
	assert_true(seen.k == INT64_MIN);
	assert_int_equal(seen.types[0], DB_INT);
	assert_int_equal(seen.types[1], DB_TEXT);
	assert_int_equal(seen.types[2], DB_BLOB);
	assert_int_equal(seen.text_len, row[1].text.len);
	assert_memory_equal(seen.text, row[1].text.p, seen.text_len);
	assert_int_equal(seen.byte_len, sizeof(odd) - 1);
	assert_memory_equal(seen.bytes, odd, sizeof(odd) - 1);
	assert_true(number(db, "SELECT n FROM t") == INT64_MAX);
	db_close(&db);
}

static void
null_and_empty_differ(const struct backend *b)
{
	static const char sql[] = "SELECT k, s, b, n FROM t";
	const struct db_value nulls[] = { db_int(1), db_null(), db_null(), db_int(0) };
	const struct db_value empty[] = { db_int(1), db_text((struct slice){ 0 }),
		db_blob((struct slice){ 0 }), db_int(0) };
	struct db *db = open_with_table(b);
	struct seen seen = { 0 };
	const char *error = "?";

	run(db, insert_sql, nulls, 4);
	assert_int_equal(db_run(db, sql, NULL, 0, see, &seen, &error), 0);
	assert_int_equal(seen.types[1], DB_NULL);
	assert_int_equal(seen.types[2], DB_NULL);
	run(db, "DELETE FROM t", NULL, 0);
	run(db, insert_sql, empty, 4);
	assert_int_equal(db_run(db, sql, NULL, 0, see, &seen, &error), 0);
	assert_int_equal(seen.types[1], DB_TEXT);
	assert_int_equal(seen.types[2], DB_BLOB);
	assert_int_equal(seen.text_len, 0);
	db_close(&db);
}

static void
parameters_go_by_number(const struct backend *b)
{
	static const char sql[] = "UPDATE t SET n = $2 WHERE k = $1 OR k = $1 + 100";
	const struct db_value params[] = { db_int(1), db_int(7) };
	struct db *db = open_with_table(b);

	insert(db, 1, 0);
	insert(db, 2, 0);
	insert(db, 101, 0);
	run(db, sql, params, 2);
	assert_int_equal(db_changes(db), 2);
	assert_int_equal(number(db, "SELECT sum(n) FROM t"), 14);
	db_close(&db);
}

static void
an_upsert_merges_and_returns(const struct backend *b)
{
	static const char sql[] = "INSERT INTO t (k, n) VALUES ($1, $2) "
				  "ON CONFLICT (k) DO UPDATE SET n = t.n + excluded.n RETURNING n";
	const struct db_value params[] = { db_int(1), db_int(21) };
	struct db *db = open_with_table(b);
	const char *error = "?";
	int64_t n = 0;

	assert_int_equal(db_number(db, sql, params, 2, &n, &error), 1);
	assert_int_equal(db_number(db, sql, params, 2, &n, &error), 1);
	assert_int_equal(n, 42);
	db_close(&db);
}

static void
no_row_is_told_apart(const struct backend *b)
{
	struct db *db = open_with_table(b);
	const char *error = "?";
	int64_t n = 5;

	assert_int_equal(db_number(db, "SELECT n FROM t", NULL, 0, &n, &error), 0);
	assert_int_equal(n, 5);
	db_close(&db);
}

static void
a_conflict_is_named(const struct backend *b)
{
	const struct db_value row[] = { db_int(1), db_null(), db_null(), db_int(0) };
	struct db *db = open_with_table(b);
	const char *error = NULL;

	insert(db, 1, 0);
	begin(db);
	insert(db, 2, 0);
	assert_int_equal(db_run(db, insert_sql, row, 4, NULL, NULL, &error), -1);
	assert_non_null(error);
	assert_int_equal(db_fault(db), DB_F_CONFLICT);
	db_rollback(db);
	assert_int_equal(number(db, "SELECT count(*) FROM t"), 1);
	db_close(&db);
}

static void
a_rollback_leaves_nothing(const struct backend *b)
{
	struct db *db = open_with_table(b);

	db_rollback(db); /* none open: no harm */
	begin(db);
	insert(db, 1, 0);
	db_rollback(db);
	begin(db);
	insert(db, 2, 0);
	commit(db);
	begin(db);
	insert(db, 3, 0);
	db_close(&db); /* as good as a rollback */
	db = backend_open(b, 5000);
	assert_int_equal(number(db, "SELECT k FROM t"), 2);
	db_close(&db);
}

static void
a_bad_statement_is_an_error(const struct backend *b)
{
	static const char sql[] = "SELECT nonsense FROM nowhere";
	struct db *db = open_with_table(b);
	const char *error = NULL;

	assert_int_equal(db_run(db, sql, NULL, 0, NULL, NULL, &error), -1);
	assert_non_null(strstr(error, "nowhere"));
	assert_int_equal(db_fault(db), DB_F_OTHER);
	assert_int_equal(db_script(db, "CREATE TABLE t (x BIGINT); garbage;", &error), -1);
	insert(db, 1, 0); /* and the connection goes on */
	db_close(&db);
}

struct nested {
	struct db *db;
	size_t calls;
};

static int
double_it(void *ctx, const struct db_value *c, size_t count)
{
	static const char sql[] = "UPDATE t SET n = n * 2 WHERE k = $1";
	struct nested *nested = ctx;

	(void)count;
	run(nested->db, sql, c, 1);
	return ++nested->calls == 2;
}

static void
a_row_function_may_run_others_and_stop(const struct backend *b)
{
	static const char sql[] = "SELECT k FROM t ORDER BY k";
	struct db *db = open_with_table(b);
	struct nested nested = { .db = db };
	const char *error = "?";

	for (int64_t k = 1; k <= 4; k++)
		insert(db, k, 1);
	assert_int_equal(db_run(db, sql, NULL, 0, double_it, &nested, &error), 0);
	assert_int_equal(nested.calls, 2);
	assert_int_equal(number(db, "SELECT sum(n) FROM t"), 6);
	db_close(&db);
}

static void
one_writes_at_a_time(const struct backend *b)
{
	struct db *first = open_with_table(b), *second = backend_open(b, 500);
	const char *error = NULL;

	begin(first);
	insert(first, 1, 0);
	assert_int_equal(db_begin(second, &error), -1);
	assert_int_equal(db_fault(second), DB_F_BUSY);
	assert_int_equal(number(second, "SELECT count(*) FROM t"), 0); /* no transaction is left */
	commit(first);
	begin(second);
	insert(second, 2, 0);
	commit(second);
	assert_int_equal(number(first, "SELECT count(*) FROM t"), 2);
	db_close(&first);
	db_close(&second);
}

static void
reopening_prepares_anew(const struct backend *b)
{
	struct db *db = open_with_table(b);
	const char *error = "?";

	insert(db, 1, 0);
	assert_int_equal(db_reopen(db, &error), 0);
	insert(db, 2, 0);
	assert_int_equal(number(db, "SELECT count(*) FROM t"), 2);
	db_close(&db);
	assert_null(db);
	db_close(&db);
}

static void
it_tells_the_time(const struct backend *b)
{
	struct db *db = backend_open(b, 5000);
	const char *error = "?";
	int64_t now = 0;

	assert_int_equal(db_now(db, &now, &error), 0);
	assert_true(now > 1700000000);
	db_close(&db);
}

static const struct backend_case cases[] = {
	BACKEND_CASE(values_come_back),
	BACKEND_CASE(null_and_empty_differ),
	BACKEND_CASE(parameters_go_by_number),
	BACKEND_CASE(an_upsert_merges_and_returns),
	BACKEND_CASE(no_row_is_told_apart),
	BACKEND_CASE(a_conflict_is_named),
	BACKEND_CASE(a_rollback_leaves_nothing),
	BACKEND_CASE(a_bad_statement_is_an_error),
	BACKEND_CASE(a_row_function_may_run_others_and_stop),
	BACKEND_CASE(one_writes_at_a_time),
	BACKEND_CASE(reopening_prepares_anew),
	BACKEND_CASE(it_tells_the_time),
};

BACKEND_TESTS(cases, folder, "cases.db")

/* ---- SQLite alone ---- */

static void
sqlite_makes_a_private_file(void **state)
{
	char file[128];
	struct stat st;
	struct db *db;
	char *error = NULL;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s/new.db", folder);
	db = db_open_sqlite(file, 1000, &error);
	assert_non_null(db);
	assert_int_equal(db_script(db, "CREATE TABLE t (k BIGINT)", &(const char *){ NULL }), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	(void)snprintf(file, sizeof(file), "%s/new.db-wal", folder);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(number(db, "PRAGMA synchronous"), 1);
	db_close(&db);
}

static void
sqlite_says_what_is_wrong_with_a_file(void **state)
{
	static const struct {
		const char *name, *content;
		enum db_fault fault;
	} rows[] = {
		{ "missing-folder/x.db", NULL, DB_F_OTHER },
		{ "garbage.db",
		    "this is not a database, but it is long enough to be read as the header of "
		    "one, which takes a hundred bytes",
		    DB_F_CORRUPT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char file[128];
		struct db *db;
		const char *error = NULL;
		FILE *f;

		(void)snprintf(file, sizeof(file), "%s/%s", folder, rows[i].name);
		if (rows[i].content != NULL) {
			f = fopen(file, "w");
			assert_non_null(f);
			assert_true(fputs(rows[i].content, f) >= 0);
			assert_int_equal(fclose(f), 0);
		}
		db = db_new_sqlite(file, 100);
		assert_int_equal(db_reopen(db, &error), -1);
		assert_non_null(strstr(error, rows[i].name));
		assert_int_equal(db_fault(db), rows[i].fault);
		/* Not open: every call says so. */
		assert_int_equal(db_begin(db, &error), -1);
		assert_int_equal(db_fault(db), DB_F_GONE);
		db_rollback(db);
		db_close(&db);
	}
}

static void
sqlite_says_that_it_is_full(void **state)
{
	struct backend b;
	static char big[100000];
	const struct db_value row[] = { db_int(9), db_null(), db_blob(slice_of(big, sizeof(big))),
		db_int(0) };
	const char *error = NULL;
	struct db *db;

	(void)state;
	backend_sqlite(&b, folder, "full.db");
	db = open_with_table(&b);
	db_limit_file(db, 65536);
	for (unsigned i = 0; i < 2; i++) { /* it holds for each connection that is made */
		assert_int_equal(db_reopen(db, &error), 0);
		assert_int_equal(db_run(db, insert_sql, row, 4, NULL, NULL, &error), -1);
		assert_int_equal(db_fault(db), DB_F_FULL);
	}
	db_close(&db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_sqlite),
		cmocka_unit_test(on_postgres),
		cmocka_unit_test(sqlite_makes_a_private_file),
		cmocka_unit_test(sqlite_says_what_is_wrong_with_a_file),
		cmocka_unit_test(sqlite_says_that_it_is_full),
	};

	return backend_run_tests(tests, folder);
}
