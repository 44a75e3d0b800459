/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The writer of the report store in trouble: mail flows on, and nothing that can be saved is lost.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/writer_rig.h"

static void
a_locked_file_holds_up_one_message(void **state)
{
	const char *file = writer_rig_file("locked.db");
	struct troubles t = { 0 };
	struct writer *w = writer_rig_open(file, 100, &t);
	struct arena *a = arena_new(1 << 20);
	char *error = NULL;
	const char *why = "?";
	struct db *other;
	double wall;

	(void)state;
	(void)add_numbered(w, a, 0);
	wait_until_safe(w, 1); /* the file is made */
	other = db_open_sqlite(file, 1000, &error);
	assert_non_null(other);
	assert_int_equal(db_begin(other, &why), 0);
	wall = seconds(CLOCK_MONOTONIC);
	for (unsigned i = 1; i <= 100; i++)
		assert_int_equal(add_numbered(w, a, i), WRITER_SAFE);
	wall = seconds(CLOCK_MONOTONIC) - wall;
	print_message("100 messages with the file locked: %.0f ms, told: %s\n", wall * 1000,
	    writer_rig_trouble(&t));
	assert_true(wall < 5);
	for (unsigned i = 0; i < 1000 && atomic_load(&t.told) == 0; i++)
		(void)usleep(10000); /* it waits a little for the lock by itself */
	assert_non_null(strstr(writer_rig_trouble(&t), "locked"));
	db_rollback(other);
	wait_until_safe(w, 101);
	assert_true(atomic_load(&t.recovered) >= 1);
	assert_int_equal(add_numbered(w, a, 101), WRITER_SAFE);
	db_close(&other);
	writer_close(&w);
	assert_true(backend_sum_of_file(file).messages >= 102);
	arena_free(&a);
}

static void
a_missing_folder_may_come_later(void **state)
{
	char file[128];
	struct troubles t = { 0 };
	struct arena *a = arena_new(1 << 20);
	struct writer *w;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s", writer_rig_file("later/x.db"));
	w = writer_rig_open(file, 200, &t);
	assert_int_equal(add_numbered(w, a, 0), WRITER_LATE);
	assert_true(atomic_load(&t.told) >= 1);
	assert_int_equal(mkdir(writer_rig_file("later"), 0700), 0);
	wait_until_safe(w, 1);
	writer_close(&w);
	assert_int_equal(backend_sum_of_file(file).messages, 1);
	arena_free(&a);
}

static void
a_damaged_file_is_set_aside(void **state)
{
	char file[128], command[256];
	struct troubles t = { 0 };
	struct arena *a = arena_new(1 << 20);
	struct writer *w;
	int fd;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s", writer_rig_file("damaged.db"));
	fd = open(file, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(write(fd, "not a database at all, not a bit of one ", 40), 40);
	assert_int_equal(close(fd), 0);
	w = writer_rig_open(file, 200, &t);
	(void)add_numbered(w, a, 0);
	wait_until_safe(w, 1);
	writer_close(&w);
	assert_non_null(strstr(writer_rig_trouble(&t), "set aside"));
	assert_int_equal(backend_sum_of_file(file).messages, 1);
	(void)snprintf(command, sizeof(command), "grep -q 'not a bit' '%s'.damaged-*", file);
	assert_int_equal(system(command), 0);
	arena_free(&a);
}

static void
note_if_kept(void *ctx, const char *text)
{
	if (text != NULL && strstr(text, "is kept as") != NULL)
		atomic_fetch_add((atomic_uint *)ctx, 1);
}

static void
a_foreign_journal_is_told_of_though_no_other_can_be_made(void **state)
{
	char file[128], next[160];
	atomic_uint kept = 0;
	const struct writer_options options = { .file = file,
		.wait_ms = 200,
		.period_s = 86400,
		.interval_ms = RIG_INTERVAL_MS,
		.trouble = note_if_kept,
		.ctx = &kept };
	const char text[] = "assayJ1\n12345678 and then the rows of an earlier assay";
	struct arena *a = arena_new(1 << 20);
	struct writer *w;
	FILE *f;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s", writer_rig_file("foreign.db"));
	(void)snprintf(next, sizeof(next), "%s.pending.new", file);
	f = fopen(writer_rig_file("foreign.db.pending"), "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(mkdir(next, 0700), 0);
	w = writer_open(&options);
	assert_int_equal(add_numbered(w, a, 0), WRITER_LATE);
	assert_int_equal(rmdir(next), 0);
	wait_until_safe(w, 1);
	writer_close(&w);
	assert_int_equal(atomic_load(&kept), 1);
	arena_free(&a);
}

static void
a_removed_file_is_made_anew(void **state)
{
	char file[128];
	struct arena *a = arena_new(1 << 20);
	struct writer *w;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s", writer_rig_file("removed.db"));
	w = writer_rig_open(file, 60000, NULL);
	(void)add_numbered(w, a, 0);
	wait_until_safe(w, 1);
	assert_int_equal(unlink(file), 0);
	(void)sleep(3); /* it looks every two seconds */
	assert_int_equal(add_numbered(w, a, 1), WRITER_SAFE);
	writer_close(&w);
	assert_int_equal(backend_sum_of_file(file).messages, 1);
	arena_free(&a);
}

static void
a_removed_journal_is_begun_anew(void **state)
{
	char file[128], pending[160];
	struct arena *a = arena_new(1 << 20);
	struct writer *w;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s", writer_rig_file("unlinked.db"));
	(void)snprintf(pending, sizeof(pending), "%s.pending", file);
	w = writer_rig_open(file, 60000, NULL);
	(void)add_numbered(w, a, 0);
	wait_until_safe(w, 1);
	assert_int_equal(unlink(pending), 0);
	(void)add_numbered(w, a, 1);
	wait_until_safe(w, 2);
	assert_int_equal(access(pending, F_OK), 0);
	assert_int_equal(add_numbered(w, a, 2), WRITER_SAFE);
	assert_true(size_of(file, ".pending") > 16); /* its head */
	writer_close(&w);
	assert_int_equal(backend_sum_of_file(file).messages, 3);
	arena_free(&a);
}

/* In a child: a limit on files is as good as a full disk, and ends with it. */
static int
fill_the_disk(const char *file)
{
	struct rlimit limit = { 400 * 1024, RLIM_INFINITY };
	struct troubles t = { 0 };
	struct writer *w;
	struct arena *a = arena_new(1 << 20);
	struct writer_counters c;

	(void)signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 2;
	w = writer_rig_open(file, 200, &t);
	for (unsigned i = 0; i < 30000 && atomic_load(&t.told) == 0; i++) {
		(void)add_numbered(w, a, i);
		(void)usleep(100);
	}
	if (atomic_load(&t.told) == 0)
		return 3;
	/* What is there already may be written over: from here on nothing may. */
	limit.rlim_cur = 1;
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 5;
	for (unsigned i = 0; i < WRITER_ROWS_MAX + 100; i++)
		(void)add_distinct(w, a, 1000000 + i);
	if (add_distinct(w, a, 1000000) != WRITER_LATE) /* a row that waits takes any number */
		return 7;
	writer_counters(w, &c);
	print_message("disk full after %llu rows, told: %s; queued %llu, lost %llu\n",
	    (unsigned long long)c.safe, writer_rig_trouble(&t), (unsigned long long)c.queued,
	    (unsigned long long)c.lost);
	if (c.lost == 0 || c.queued < WRITER_ROWS_MAX)
		return 4;
	limit.rlim_cur = RLIM_INFINITY;
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 5;
	wait_until_safe(w, c.safe + c.queued);
	writer_close(&w);
	return backend_sum_of_file(file).messages == c.safe + c.queued ? 0 : 6;
}

static void
a_full_disk_is_waited_out(void **state)
{
	char file[128];
	pid_t pid;
	int status;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s", writer_rig_file("full.db"));
	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fill_the_disk(file));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A store as large as it may be, most of it reported already: that gives way to what comes. */
static void
what_is_reported_gives_way(void **state)
{
	char file[128];
	struct troubles t = { 0 };
	struct writer_options options = { .file = file,
		.wait_ms = 200,
		.period_s = 86400,
		.interval_ms = RIG_INTERVAL_MS,
		.keep_s = 100000LL * 86400,
		.file_bytes = 512 * 1024,
		.trouble = writer_rig_note,
		.ctx = &t };
	struct arena *a = arena_new(1 << 20);
	struct writer_counters c;
	char *error = NULL;
	const char *why = "?";
	struct writer *w;
	struct db *db;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s", writer_rig_file("reported.db"));
	w = writer_open(&options);
	assert_non_null(w);
	for (unsigned i = 0; i < 100000 && atomic_load(&t.told) == 0; i++) {
		(void)add_distinct(w, a, i);
		(void)usleep(50);
	}
	assert_non_null(strstr(writer_rig_trouble(&t), "full"));
	db = db_open_sqlite(file, 5000, &error);
	assert_non_null(db);
	assert_int_equal(db_script(db, "UPDATE report_periods SET state = 2", &why), 0);
	db_close(&db);
	writer_counters(w, &c);
	wait_until_safe(w, c.safe + c.queued);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(add_distinct(w, a, 1000000 + i), WRITER_SAFE);
	writer_close(&w);
	arena_free(&a);
}

/* What is in it was answered: it is waited for, and not begun anew. */
static void
a_journal_that_can_not_be_read_is_kept(void **state)
{
	char file[128], pending[140], elsewhere[140];
	struct troubles t = { 0 };
	struct arena *a = arena_new(1 << 20);
	struct writer_counters c = { 0 };
	char *error = NULL;
	const char *why = "?";
	struct writer *w;
	struct db *other;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s", writer_rig_file("unread.db"));
	(void)snprintf(pending, sizeof(pending), "%s.pending", file);
	(void)snprintf(elsewhere, sizeof(elsewhere), "%s.elsewhere", file);
	w = writer_rig_open(file, 60000, NULL);
	(void)add_numbered(w, a, 0);
	wait_until_safe(w, 1);
	other = db_open_sqlite(file, 1000, &error);
	assert_non_null(other);
	assert_int_equal(db_begin(other, &why), 0);
	for (unsigned i = 1; i <= 5; i++)
		assert_int_equal(add_numbered(w, a, i), WRITER_SAFE);
	writer_close(&w);
	db_close(&other);
	assert_int_equal(backend_sum_of_file(file).messages, 1);
	assert_int_equal(rename(pending, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, pending), 0); /* not followed */
	w = writer_rig_open(file, 100, &t);
	assert_int_equal(add_numbered(w, a, 6), WRITER_LATE);
	assert_non_null(strstr(writer_rig_trouble(&t), pending));
	assert_int_equal(rename(elsewhere, pending), 0);
	for (unsigned i = 0; i < 1000 && c.recovered == 0; i++) {
		(void)usleep(10000);
		writer_counters(w, &c);
	}
	assert_int_equal(c.recovered, 5);
	writer_close(&w);
	assert_int_equal(backend_sum_of_file(file).messages, 7);
	arena_free(&a);
}

static void
a_file_that_can_only_be_read_stops_nothing(void **state)
{
	char file[128];
	struct troubles t = { 0 };
	struct arena *a = arena_new(1 << 20);
	struct writer *w;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s", "/proc/version"); /* for root, too */
	w = writer_rig_open(file, 200, &t);
	assert_int_equal(add_numbered(w, a, 0), WRITER_LATE);
	assert_int_equal(add_numbered(w, a, 1), WRITER_LATE);
	writer_close(&w);
	assert_non_null(strstr(writer_rig_trouble(&t), "2 rows are lost"));
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		/* forks first: with threads about, a child has none of them */
		cmocka_unit_test(a_full_disk_is_waited_out),
		cmocka_unit_test(a_locked_file_holds_up_one_message),
		cmocka_unit_test(a_missing_folder_may_come_later),
		cmocka_unit_test(a_damaged_file_is_set_aside),
		cmocka_unit_test(a_foreign_journal_is_told_of_though_no_other_can_be_made),
		cmocka_unit_test(a_removed_file_is_made_anew),
		cmocka_unit_test(a_removed_journal_is_begun_anew),
		cmocka_unit_test(what_is_reported_gives_way),
		cmocka_unit_test(a_journal_that_can_not_be_read_is_kept),
		cmocka_unit_test(a_file_that_can_only_be_read_stops_nothing),
	};

	return backend_run_tests(tests, writer_rig_folder);
}
