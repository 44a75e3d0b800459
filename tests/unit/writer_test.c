/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The writer of the report store: rows that were waited for are there, however the file behaves
 * and however the process ends; speed and size are printed.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report/writer.h"
#include "tests/support/backend.h"
#include "tests/support/support.h"

#define SOURCES 1000

static char folder[BACKEND_FOLDER_BYTES];

struct troubles {
	atomic_uint told, recovered;
	pthread_mutex_t lock; /* last; zeroed is unlocked */
	char last[512];
};

static void
note_trouble(void *ctx, const char *text)
{
	struct troubles *t = ctx;

	if (text == NULL) {
		atomic_fetch_add(&t->recovered, 1);
		return;
	}
	(void)pthread_mutex_lock(&t->lock);
	(void)snprintf(t->last, sizeof(t->last), "%s", text);
	(void)pthread_mutex_unlock(&t->lock);
	atomic_fetch_add(&t->told, 1);
}

/* What the writer's thread said last. */
static const char *
last_of(struct troubles *t)
{
	static char copy[512];

	(void)pthread_mutex_lock(&t->lock);
	memcpy(copy, t->last, sizeof(copy));
	(void)pthread_mutex_unlock(&t->lock);
	return copy;
}

static const char *
file_path(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static struct writer *
open_writer(const char *file, uint32_t wait_ms, struct troubles *t)
{
	const struct writer_options options = { .file = file,
		.wait_ms = wait_ms,
		.period_s = 86400,
		.trouble = t == NULL ? NULL : note_trouble,
		.ctx = t };
	struct writer *w = writer_open(&options);

	assert_non_null(w);
	return w;
}

/* What the message of that number leaves, sent at noon of some day, out of so many sources. */
static enum writer_outcome
add_of(struct writer *w, struct arena *a, unsigned n, unsigned sources)
{
	const struct report_policy policy = { .domain = SLICE("example.com"),
		.p = DMARC_P_REJECT,
		.pct = 100,
		.fo = SLICE("0"),
		.rua = SLICE("mailto:d@example.com") };
	struct report_signature signature = { .domain = SLICE("example.com"),
		.selector = SLICE("selector-2026"),
		.result = DKIM_PASS };
	const struct report_row row = {
		.source = { .family = IP_V4,
		    .bytes = { 10, (uint8_t)(n % sources >> 16), (uint8_t)(n % sources >> 8),
			(uint8_t)(n % sources) } },
		.disposition = REPORT_D_PASS,
		.dkim_aligned = true,
		.header_from = SLICE("example.com"),
		.envelope_from = SLICE("bounces.example.com"),
		.signatures = &signature,
		.signature_count = 1,
		.has_spf = true,
		.spf_domain = SLICE("bounces.example.com"),
		.spf_result = SPF_PASS,
		.spf_human_result = SLICE("mechanism matched: ip4:10.0.0.0/8"),
		.count = 1,
	};
	enum writer_outcome outcome = writer_add(w, a, &policy, &row, 20000LL * 86400 + 43200);

	arena_reset(a);
	return outcome;
}

static enum writer_outcome
add_numbered(struct writer *w, struct arena *a, unsigned n)
{
	return add_of(w, a, n, SOURCES);
}

static enum writer_outcome
add_distinct(struct writer *w, struct arena *a, unsigned n)
{
	return add_of(w, a, n, 1 << 24);
}

static struct backend_sum
read_sum(const char *file)
{
	struct backend b = { .name = "sqlite", .make = db_new_sqlite };
	struct backend_sum sum;

	(void)snprintf(b.place, sizeof(b.place), "%s", file);
	backend_sum(&b, &sum);
	return sum;
}

static double
seconds(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- many at once ---- */

struct adder {
	struct writer *writer;
	unsigned messages, first;
	unsigned safe;
	atomic_uint *answered; /* or NULL: shared, of all adders */
};

static void *
adder_thread(void *arg)
{
	struct adder *adder = arg;
	struct arena *a = arena_new(1 << 20);

	for (unsigned i = 0; i < adder->messages; i++) {
		if (add_numbered(adder->writer, a, adder->first + i) != WRITER_SAFE)
			continue;
		adder->safe++;
		if (adder->answered != NULL)
			atomic_fetch_add(adder->answered, 1);
	}
	arena_free(&a);
	return NULL;
}

#define ADDERS 32

static unsigned
add_from_all(struct writer *w, unsigned messages_each, atomic_uint *answered)
{
	pthread_t threads[ADDERS];
	struct adder adders[ADDERS];
	unsigned safe = 0;

	for (unsigned i = 0; i < ADDERS; i++) {
		adders[i] = (struct adder){ .writer = w,
			.messages = messages_each,
			.first = i * messages_each,
			.answered = answered };
		assert_int_equal(pthread_create(&threads[i], NULL, adder_thread, &adders[i]), 0);
	}
	for (unsigned i = 0; i < ADDERS; i++) {
		(void)pthread_join(threads[i], NULL);
		safe += adders[i].safe;
	}
	return safe;
}

static long long
size_of(const char *file, const char *suffix)
{
	char path[256];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s%s", file, suffix);
	return stat(path, &st) == 0 ? (long long)st.st_size : 0;
}

/* ASSAY_STORE_MESSAGES: how many; the million takes a while under sanitizers. */
static unsigned
message_count(void)
{
	const char *text = getenv("ASSAY_STORE_MESSAGES");

	return text == NULL ? 64000 : (unsigned)strtoul(text, NULL, 10);
}

static void
many_share_a_commit(void **state)
{
	char file[128];
	struct writer *w;
	struct writer_counters c;
	unsigned messages = message_count() / ADDERS * ADDERS, safe;
	double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	struct backend_sum sum;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s", file_path("many.db"));
	w = open_writer(file, 60000, NULL);
	safe = add_from_all(w, messages / ADDERS, NULL);
	wall = seconds(CLOCK_MONOTONIC) - wall;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	writer_counters(w, &c);
	print_message("%u messages of %d sources: %.0f rows/s (%.1f us CPU a row), %llu commits; "
		      "file %lld bytes, -wal %lld bytes\n",
	    messages, SOURCES, messages / wall, cpu / messages * 1e6, (unsigned long long)c.commits,
	    size_of(file, ""), size_of(file, "-wal"));
	writer_close(&w);
	assert_int_equal(safe, messages);
	assert_int_equal(c.safe + c.queued, messages);
	assert_int_equal(c.late + c.lost, 0);
	assert_true(c.commits < messages / 2);
	assert_true(size_of(file, "") + size_of(file, "-wal") < 5 * 1000 * 1000);
	sum = read_sum(file);
	assert_int_equal(sum.rows, SOURCES);
	assert_int_equal(sum.messages, messages);
}

/* ---- the end of the process ---- */

/* What the next process does first: merge what the journal has. */
static void
recover(const char *file)
{
	struct writer *w = open_writer(file, 60000, NULL);

	writer_close(&w);
}

/* A child adds until it is killed; the parent counts what the child was told is safe. */
static void
what_was_answered_survives_kill_9(void **state)
{
	const char *file = file_path("killed.db");
	atomic_uint *answered = mmap(
	    NULL, sizeof(*answered), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned expected = 0;

	(void)state;
	assert_true(answered != MAP_FAILED);
	for (unsigned round = 1; round <= 4; round++) {
		struct backend_sum sum;
		pid_t pid;

		atomic_store(answered, 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			(void)add_from_all(open_writer(file, 60000, NULL), 1000000, answered);
			_exit(1);
		}
		while (atomic_load(answered) < 300 * round)
			(void)usleep(1000);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		expected += atomic_load(answered);
		recover(file);
		sum = read_sum(file);
		print_message("killed after %u answers: %llu rows counted, at least %u expected\n",
		    atomic_load(answered), (unsigned long long)sum.messages, expected);
		/* A row may be in the file and its answer not yet given: one for each adder. */
		assert_true(sum.messages >= expected);
		assert_true(sum.messages <= expected + ADDERS);
		expected = (unsigned)sum.messages;
	}
	(void)munmap(answered, sizeof(*answered));
}

/* ---- faults: mail flows on, and nothing that can be saved is lost ---- */

static void
wait_until_safe(struct writer *w, uint64_t count)
{
	struct writer_counters c;

	for (unsigned i = 0; i < 1000; i++) {
		writer_counters(w, &c);
		if (c.safe >= count)
			return;
		(void)usleep(10000);
	}
	fail_msg("only %llu rows are safe", (unsigned long long)c.safe);
}

static void
a_locked_file_holds_up_one_message(void **state)
{
	const char *file = file_path("locked.db");
	struct troubles t = { 0 };
	struct writer *w = open_writer(file, 100, &t);
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
	print_message(
	    "100 messages with the file locked: %.0f ms, told: %s\n", wall * 1000, last_of(&t));
	assert_true(wall < 5);
	for (unsigned i = 0; i < 1000 && atomic_load(&t.told) == 0; i++)
		(void)usleep(10000); /* it waits a little for the lock by itself */
	assert_non_null(strstr(last_of(&t), "locked"));
	db_rollback(other);
	wait_until_safe(w, 101);
	assert_true(atomic_load(&t.recovered) >= 1);
	assert_int_equal(add_numbered(w, a, 101), WRITER_SAFE);
	db_close(&other);
	writer_close(&w);
	assert_true(read_sum(file).messages >= 102);
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
	(void)snprintf(file, sizeof(file), "%s", file_path("later/x.db"));
	w = open_writer(file, 200, &t);
	assert_int_equal(add_numbered(w, a, 0), WRITER_LATE);
	assert_true(atomic_load(&t.told) >= 1);
	assert_int_equal(mkdir(file_path("later"), 0700), 0);
	wait_until_safe(w, 1);
	writer_close(&w);
	assert_int_equal(read_sum(file).messages, 1);
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
	(void)snprintf(file, sizeof(file), "%s", file_path("damaged.db"));
	fd = open(file, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(write(fd, "not a database at all, not a bit of one ", 40), 40);
	assert_int_equal(close(fd), 0);
	w = open_writer(file, 200, &t);
	(void)add_numbered(w, a, 0);
	wait_until_safe(w, 1);
	writer_close(&w);
	assert_non_null(strstr(last_of(&t), "set aside"));
	assert_int_equal(read_sum(file).messages, 1);
	(void)snprintf(command, sizeof(command), "grep -q 'not a bit' '%s'.damaged-*", file);
	assert_int_equal(system(command), 0);
	arena_free(&a);
}

static void
a_removed_file_is_made_anew(void **state)
{
	char file[128];
	struct arena *a = arena_new(1 << 20);
	struct writer *w;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s", file_path("removed.db"));
	w = open_writer(file, 60000, NULL);
	(void)add_numbered(w, a, 0);
	wait_until_safe(w, 1);
	assert_int_equal(unlink(file), 0);
	(void)sleep(3); /* it looks every two seconds */
	assert_int_equal(add_numbered(w, a, 1), WRITER_SAFE);
	writer_close(&w);
	assert_int_equal(read_sum(file).messages, 1);
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
	w = open_writer(file, 200, &t);
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
	for (unsigned i = 0; i < WRITER_QUEUE_MAX + 100; i++)
		(void)add_numbered(w, a, 0);
	writer_counters(w, &c);
	print_message("disk full after %llu rows, told: %s; queued %llu, lost %llu\n",
	    (unsigned long long)c.safe, last_of(&t), (unsigned long long)c.queued,
	    (unsigned long long)c.lost);
	if (c.lost == 0 || c.queued != WRITER_QUEUE_MAX)
		return 4;
	limit.rlim_cur = RLIM_INFINITY;
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 5;
	wait_until_safe(w, c.safe + c.queued);
	writer_close(&w);
	return read_sum(file).messages == c.safe + c.queued ? 0 : 6;
}

static void
a_full_disk_is_waited_out(void **state)
{
	char file[128];
	pid_t pid;
	int status;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s", file_path("full.db"));
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
		.keep_s = 100000LL * 86400,
		.file_bytes = 512 * 1024,
		.trouble = note_trouble,
		.ctx = &t };
	struct arena *a = arena_new(1 << 20);
	struct writer_counters c;
	char *error = NULL;
	const char *why = "?";
	struct writer *w;
	struct db *db;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s", file_path("reported.db"));
	w = writer_open(&options);
	assert_non_null(w);
	for (unsigned i = 0; i < 100000 && atomic_load(&t.told) == 0; i++) {
		(void)add_distinct(w, a, i);
		(void)usleep(50);
	}
	assert_non_null(strstr(last_of(&t), "full"));
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
	(void)snprintf(file, sizeof(file), "%s", file_path("unread.db"));
	(void)snprintf(pending, sizeof(pending), "%s.pending", file);
	(void)snprintf(elsewhere, sizeof(elsewhere), "%s.elsewhere", file);
	w = open_writer(file, 60000, NULL);
	(void)add_numbered(w, a, 0);
	wait_until_safe(w, 1);
	other = db_open_sqlite(file, 1000, &error);
	assert_non_null(other);
	assert_int_equal(db_begin(other, &why), 0);
	for (unsigned i = 1; i <= 5; i++)
		assert_int_equal(add_numbered(w, a, i), WRITER_SAFE);
	writer_close(&w);
	db_close(&other);
	assert_int_equal(read_sum(file).messages, 1);
	assert_int_equal(rename(pending, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, pending), 0); /* not followed */
	w = open_writer(file, 100, &t);
	assert_int_equal(add_numbered(w, a, 6), WRITER_LATE);
	assert_non_null(strstr(last_of(&t), pending));
	assert_int_equal(rename(elsewhere, pending), 0);
	for (unsigned i = 0; i < 1000 && c.recovered == 0; i++) {
		(void)usleep(10000);
		writer_counters(w, &c);
	}
	assert_int_equal(c.recovered, 5);
	writer_close(&w);
	assert_int_equal(read_sum(file).messages, 7);
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
	w = open_writer(file, 200, &t);
	assert_int_equal(add_numbered(w, a, 0), WRITER_LATE);
	assert_int_equal(add_numbered(w, a, 1), WRITER_LATE);
	writer_close(&w);
	assert_non_null(strstr(last_of(&t), "2 rows are lost"));
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		/* forks first: with threads about, a child has none of them */
		cmocka_unit_test(what_was_answered_survives_kill_9),
		cmocka_unit_test(a_full_disk_is_waited_out),
		cmocka_unit_test(many_share_a_commit),
		cmocka_unit_test(a_locked_file_holds_up_one_message),
		cmocka_unit_test(a_missing_folder_may_come_later),
		cmocka_unit_test(a_damaged_file_is_set_aside),
		cmocka_unit_test(a_removed_file_is_made_anew),
		cmocka_unit_test(what_is_reported_gives_way),
		cmocka_unit_test(a_journal_that_can_not_be_read_is_kept),
		cmocka_unit_test(a_file_that_can_only_be_read_stops_nothing),
	};

	return backend_run_tests(tests, folder);
}
