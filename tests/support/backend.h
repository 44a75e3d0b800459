/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         backend - the databases that a test of report/ runs on
 * DESCRIPTION  Each is a name, a place and how a connection to it is made; a table of cases runs
 *              over all of them. A fault ends the test.
 */
#ifndef ASSAY_TEST_BACKEND_H
#define ASSAY_TEST_BACKEND_H

#include "report/db.h"
#include "tests/support/support.h"

#define BACKEND_FOLDER_BYTES 64

struct backend {
	const char *name;
	char place[256]; /* file or conninfo */
	struct db *(*make)(const char *place, uint32_t wait_ms);
};

/* A folder for files of the test. False: there is none. */
bool backend_folder(char folder[BACKEND_FOLDER_BYTES]);
void backend_folder_remove(const char *folder);

/* The tests, with a folder for all of them; what main() returns. */
#define backend_run_tests(tests, folder)                                                           \
	backend_run_in_folder(#tests, tests, sizeof(tests) / sizeof((tests)[0]), folder)
int backend_run_in_folder(const char *name, const struct CMUnitTest *tests, size_t count,
    char folder[BACKEND_FOLDER_BYTES]);

void backend_sqlite(struct backend *b, const char *folder, const char *file);
void backend_postgres(struct backend *b, const char *conninfo);

/* The PostgreSQL in $ASSAY_TEST_POSTGRES, which tests/integration/fleet_test sets. False: none. */
bool backend_postgres_given(struct backend *b);

struct db *backend_open(const struct backend *b, uint32_t wait_ms);

/* What must hold for each of them. */
struct backend_case {
	const char *name;
	void (*test)(const struct backend *);
};
#define BACKEND_CASE(function)                                                                     \
	{                                                                                          \
#function, function                                                                \
	}
void backend_run(const struct backend *b, const struct backend_case *cases, size_t count);

/* A test function each: in that file, and on the PostgreSQL that is given, else it is skipped. */
#define BACKEND_TESTS(cases, folder, file)                                                         \
	static void on_sqlite(void **state)                                                        \
	{                                                                                          \
		struct backend b;                                                                  \
                                                                                                   \
		(void)state;                                                                       \
		backend_sqlite(&b, folder, file);                                                  \
		backend_run(&b, cases, sizeof(cases) / sizeof(cases[0]));                          \
	}                                                                                          \
	static void on_postgres(void **state)                                                      \
	{                                                                                          \
		struct backend b;                                                                  \
                                                                                                   \
		(void)state;                                                                       \
		if (!backend_postgres_given(&b))                                                   \
			skip();                                                                    \
		backend_run(&b, cases, sizeof(cases) / sizeof(cases[0]));                          \
	}

/* All that a report store holds. */
struct backend_sum {
	uint64_t periods, rows, messages;
};
void backend_sum(const struct backend *b, struct backend_sum *out);
/* The same of an SQLite file. */
struct backend_sum backend_sum_of_file(const char *file);

#endif
