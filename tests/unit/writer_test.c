/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The writer of the report store: rows that were waited for are there, however the process ends;
 * equal ones are merged, and nobody waits but where the store is behind. Speed and size are
 * printed.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/writer_rig.h"

/* ---- many at once ---- */

typedef enum writer_outcome add_fn(struct writer *w, struct arena *a, unsigned n);

struct adder {
	struct writer *writer;
	add_fn *add_one;
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
		if (adder->add_one(adder->writer, a, adder->first + i) != WRITER_SAFE)
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
add_from_all(struct writer *w, add_fn *add_one, unsigned messages_each, atomic_uint *answered)
{
	pthread_t threads[ADDERS];
	struct adder adders[ADDERS];
	unsigned safe = 0;

	for (unsigned i = 0; i < ADDERS; i++) {
		adders[i] = (struct adder){ .writer = w,
			.add_one = add_one,
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

/* ASSAY_STORE_MESSAGES: how many; the million takes a while under sanitizers. */
static unsigned
message_count(void)
{
	const char *text = getenv("ASSAY_STORE_MESSAGES");
	unsigned count = text == NULL ? 64000 : (unsigned)strtoul(text, NULL, 10);

	return count / ADDERS * ADDERS;
}

/* Messages a second, from the first until all are in the store. */
static double
write_all(const char *file, add_fn *add_one, unsigned messages)
{
	struct writer *w = writer_rig_open(file, 60000, NULL);
	double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	struct writer_counters c;

	assert_int_equal(add_from_all(w, add_one, messages / ADDERS, NULL), messages);
	writer_counters(w, &c);
	assert_int_equal(c.safe + c.queued, messages);
	assert_int_equal(c.late + c.lost, 0);
	writer_close(&w);
	wall = seconds(CLOCK_MONOTONIC) - wall;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	print_message("%u messages: %.0f a second, %.1f us CPU each; %llu commits before the end\n",
	    messages, messages / wall, cpu / messages * 1e6, (unsigned long long)c.commits);
	return messages / wall;
}

static void
many_are_one_row(void **state)
{
	char file[128];
	unsigned messages = message_count();
	long long bytes;
	struct backend_sum sum;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s", writer_rig_file("many.db"));
	(void)write_all(file, add_numbered, messages);
	bytes = size_of(file, "") + size_of(file, "-wal");
	print_message("of %d sources: %lld bytes with -wal\n", SOURCES, bytes);
	assert_true(bytes < 5 * 1000 * 1000);
	sum = backend_sum_of_file(file);
	assert_int_equal(sum.rows, SOURCES);
	assert_int_equal(sum.messages, messages);
}

/* The 10,000 rows a second: no two are equal. The best of three, for the machine is not
 * ours alone; sanitizers take their time. */
static void
different_rows_are_written_fast(void **state)
{
	char file[128];
	const unsigned messages = 32000;
	double best = 0;

	(void)state;
	for (unsigned round = 0; round < 3 && best < 10000; round++) {
		char name[32];
		double rate;

		(void)snprintf(name, sizeof(name), "different%u.db", round);
		(void)snprintf(file, sizeof(file), "%s", writer_rig_file(name));
		rate = write_all(file, add_distinct, messages);
		assert_int_equal(backend_sum_of_file(file).rows, messages);
		best = rate > best ? rate : best;
	}
	if (getenv("ASSAY_SANITIZED") == NULL)
		assert_true(best >= 10000);
}

/* ---- one group ---- */

/* What is added in a moment is one row of the journal, and then so many times where it stands. */
static void
an_equal_row_is_written_once(void **state)
{
	const char *file = writer_rig_file("equal.db");
	struct writer *w = writer_rig_open(file, 60000, NULL);
	struct arena *a = arena_new(1 << 20);
	long long one;

	(void)state;
	assert_int_equal(add_numbered(w, a, 0), WRITER_SAFE);
	one = size_of(file, ".pending");
	for (unsigned i = 1; i < 1000; i++)
		assert_int_equal(add_numbered(w, a, i * SOURCES), WRITER_SAFE);
	assert_int_equal(size_of(file, ".pending"), one + 999 * 24);
	writer_close(&w);
	assert_int_equal(backend_sum_of_file(file).rows, 1);
	assert_int_equal(backend_sum_of_file(file).messages, 1000);
	arena_free(&a);
}

/* Midnight within a group: each row goes to the period that its message came in. */
static void
a_group_crosses_the_end_of_a_period(void **state)
{
	const char *file = writer_rig_file("midnight.db");
	struct writer *w = writer_rig_open(file, 60000, NULL);
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (int64_t i = -3; i < 5; i++)
		assert_int_equal(add_at(w, a, 0, NOON + 43200 + i), WRITER_SAFE);
	for (int64_t i = -3; i < 5; i++) /* not in order: workers overtake each other */
		assert_int_equal(add_at(w, a, 0, NOON + 43200 - i), WRITER_SAFE);
	writer_close(&w);
	assert_int_equal(backend_sum_of_file(file).periods, 2);
	assert_int_equal(backend_sum_of_file(file).rows, 2);
	assert_int_equal(backend_sum_of_file(file).messages, 16);
	arena_free(&a);
}

/* What was answered can be read after the time that writer.h says, and its commit. */
static void
a_row_is_in_the_store_within_the_interval(void **state)
{
	const char *file = writer_rig_file("interval.db");
	struct writer *w = writer_rig_open(file, 60000, NULL);
	struct arena *a = arena_new(1 << 20);
	double began;

	(void)state;
	for (unsigned round = 1; round <= 3; round++) {
		began = seconds(CLOCK_MONOTONIC);
		assert_int_equal(add_numbered(w, a, 0), WRITER_SAFE);
		while (backend_sum_of_file(file).messages < round)
			(void)usleep(10000);
		began = seconds(CLOCK_MONOTONIC) - began;
		print_message("read after %.0f ms\n", began * 1000);
		assert_true(began < (RIG_INTERVAL_MS + 500) / 1000.0);
	}
	writer_close(&w);
	arena_free(&a);
}

/* ---- who waits, and who is told ---- */

struct waits {
	unsigned begun, ended;
};

static void
count_begin(void *ctx)
{
	((struct waits *)ctx)->begun++;
}

static void
count_end(void *ctx)
{
	((struct waits *)ctx)->ended++;
}

static enum writer_outcome
add_told(struct writer *w, struct arena *a, unsigned source, const struct waiting *waiting)
{
	return writer_rig_add(w, a, &(const struct rig_mail){ source, NOON, waiting });
}

/* With the file locked the thread has one group in hand, and a second may come meanwhile. */
static void
only_who_really_waits_says_so(void **state)
{
	const char *file = writer_rig_file("waits.db");
	struct waits waits = { 0 };
	const struct waiting tell = { count_begin, count_end, &waits };
	struct writer *w = writer_rig_open(file, 60000, NULL);
	struct arena *a = arena_new(1 << 20);
	char *error = NULL;
	const char *why = "?";
	struct db *other;
	unsigned i;

	(void)state;
	assert_int_equal(add_numbered(w, a, 0), WRITER_SAFE);
	wait_until_safe(w, 1); /* the file is made */
	other = db_open_sqlite(file, 1000, &error);
	assert_non_null(other);
	assert_int_equal(db_begin(other, &why), 0);
	for (i = 0; i < WRITER_GROUP_ROWS; i++)
		assert_int_equal(add_told(w, a, i, &tell), WRITER_SAFE);
	assert_int_equal(waits.begun, 0);
	for (; i < 2 * (WRITER_GROUP_ROWS + WRITER_AHEAD_ROWS) && waits.begun == 0; i++)
		assert_int_equal(add_told(w, a, i, &tell), WRITER_SAFE);
	/* That one waited until the thread gave up for the moment; now nobody does. */
	assert_int_equal(waits.begun, 1);
	assert_int_equal(waits.ended, 1);
	assert_int_equal(add_told(w, a, i, &tell), WRITER_SAFE);
	assert_int_equal(waits.begun, 1);
	db_rollback(other);
	db_close(&other);
	writer_close(&w);
	assert_int_equal(backend_sum_of_file(file).messages, i + 2);
	arena_free(&a);
}

/* ---- the end of the process ---- */

/* What the next process does first: merge what the journal has. */
static void
recover(const char *file)
{
	struct writer *w = writer_rig_open(file, 60000, NULL);

	writer_close(&w);
}

/* A child adds until it is killed; the parent counts what the child was told is safe. */
static void
what_was_answered_survives_kill_9(void **state)
{
	const char *file = writer_rig_file("killed.db");
	atomic_uint *answered = mmap(
	    NULL, sizeof(*answered), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned expected = 0;

	(void)state;
	assert_true(answered != MAP_FAILED);
	for (unsigned round = 0; round < 4; round++) {
		const unsigned kill_at[] = { 300, 5000, 20000, 100000 };
		/* Of different rows there are commits, and new journals, all the time. */
		add_fn *const add_one = round % 2 == 0 ? add_numbered : add_distinct;
		struct backend_sum sum;
		pid_t pid;

		atomic_store(answered, 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			(void)add_from_all(
			    writer_rig_open(file, 60000, NULL), add_one, 1000000, answered);
			_exit(1);
		}
		while (atomic_load(answered) < kill_at[round])
			(void)usleep(1000);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		expected += atomic_load(answered);
		recover(file);
		sum = backend_sum_of_file(file);
		print_message("killed after %u answers: %llu rows counted, at least %u expected\n",
		    atomic_load(answered), (unsigned long long)sum.messages, expected);
		/* A row may be in the file and its answer not yet given: one for each adder. */
		assert_true(sum.messages >= expected);
		assert_true(sum.messages <= expected + ADDERS);
		expected = (unsigned)sum.messages;
	}
	(void)munmap(answered, sizeof(*answered));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		/* forks first: with threads about, a child has none of them */
		cmocka_unit_test(what_was_answered_survives_kill_9),
		cmocka_unit_test(many_are_one_row),
		cmocka_unit_test(different_rows_are_written_fast),
		cmocka_unit_test(an_equal_row_is_written_once),
		cmocka_unit_test(a_group_crosses_the_end_of_a_period),
		cmocka_unit_test(a_row_is_in_the_store_within_the_interval),
		cmocka_unit_test(only_who_really_waits_says_so),
	};

	return backend_run_tests(tests, writer_rig_folder);
}
