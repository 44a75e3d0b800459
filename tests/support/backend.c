/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/backend.h"

#include <stdlib.h>

#include "report/store.h"

bool
backend_folder(char folder[BACKEND_FOLDER_BYTES])
{
	(void)snprintf(folder, BACKEND_FOLDER_BYTES, "/tmp/assay-db-XXXXXX");
	return mkdtemp(folder) != NULL;
}

void
backend_folder_remove(const char *folder)
{
	char command[BACKEND_FOLDER_BYTES + 16];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	if (system(command) != 0)
		print_message("%s is left behind\n", folder);
}

int
backend_run_in_folder(const char *name, const struct CMUnitTest *tests, size_t count,
    char folder[BACKEND_FOLDER_BYTES])
{
	int failed;

	if (!backend_folder(folder))
		return EXIT_FAILURE;
	failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
	backend_folder_remove(folder);
	return failed;
}

void
backend_sqlite(struct backend *b, const char *folder, const char *file)
{
	*b = (struct backend){ .name = "sqlite", .make = db_new_sqlite };
	(void)snprintf(b->place, sizeof(b->place), "%s/%s", folder, file);
}

void
backend_postgres(struct backend *b, const char *conninfo)
{
	*b = (struct backend){ .name = "postgres", .make = db_new_postgres };
	(void)snprintf(b->place, sizeof(b->place), "%s", conninfo);
}

bool
backend_postgres_given(struct backend *b)
{
	const char *conninfo = getenv("ASSAY_TEST_POSTGRES");

	if (conninfo != NULL)
		backend_postgres(b, conninfo);
	return conninfo != NULL;
}

struct db *
backend_open(const struct backend *b, uint32_t wait_ms)
{
	struct db *db = b->make(b->place, wait_ms);
	const char *error = "?";

	if (db_reopen(db, &error) != 0)
		fail_msg("%s: %s", b->name, error);
	return db;
}

void
backend_run(const struct backend *b, const struct backend_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		print_message("%s: %s\n", b->name, cases[i].name);
		cases[i].test(b);
	}
}

static int
add_period(void *ctx, const struct store_period *p)
{
	struct backend_sum *sum = ctx;

	sum->periods++;
	sum->rows += p->rows;
	sum->messages += p->messages;
	return 0;
}

void
backend_sum(const struct backend *b, struct backend_sum *out)
{
	static const struct store_query all;
	struct db *db = backend_open(b, 10000);
	const char *error = "?";
	struct store *s = store_open(db, &error);

	*out = (struct backend_sum){ 0 };
	if (s == NULL || store_periods(s, &all, add_period, out, &error) != 0)
		fail_msg("%s: %s", b->place, error);
	store_close(&s);
	db_close(&db);
}

struct backend_sum
backend_sum_of_file(const char *file)
{
	struct backend b = { .name = "sqlite", .make = db_new_sqlite };
	struct backend_sum sum;

	(void)snprintf(b.place, sizeof(b.place), "%s", file);
	backend_sum(&b, &sum);
	return sum;
}
