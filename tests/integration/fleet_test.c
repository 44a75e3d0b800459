/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three nodes ship to one real PostgreSQL that is stopped, crashed, restarted and made silent while
 * mail goes on, and the processes that ship are killed: the sum of what the fleet's store counts is
 * the number of messages, exactly. And the back end itself: the cases of the unit tests.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report/lease.h"
#include "report/ship.h"
#include "report/writer.h"
#include "tests/harness/postgres.h"
#include "tests/support/backend.h"
#include "tests/support/support.h"

#define NODES	      3
#define SOURCES	      200
#define PAUSE_US      1500 /* between two messages of a node */
#define SHIP_PAUSE_MS 30
#define TIMEOUT_MS    1200
#define NOON	      (20000 * 86400LL + 43200)

struct shared { /* between the processes of the test */
	atomic_bool stop_mail, stop_shipping;
	atomic_uint sent[NODES], runs[NODES], failures[NODES];
};

static char folder[BACKEND_FOLDER_BYTES];
static struct postgres server;
static struct shared *shared;

static const struct waiting nobody;

static const char *
node_file(unsigned node)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/node%u.db", folder, node);
	return path;
}

/* ---- the processes of a node ---- */

/* As assayd: each message waits for its row. */
static void
run_mail(unsigned node)
{
	const struct writer_options options = {
		.file = node_file(node), .wait_ms = 60000, .period_s = 86400
	};
	struct report_policy policy = { .p = DMARC_P_REJECT, .rua = SLICE("mailto:d@example.com") };
	struct arena *a = arena_new(1 << 20);
	struct writer *w = writer_open(&options);

	for (unsigned n = 0; !atomic_load(&shared->stop_mail); n++) {
		const struct report_row row = {
			.source = { .family = IP_V4,
			    .bytes = { 10, 0, 0, (uint8_t)(n % SOURCES) } },
			.header_from = SLICE("example.com"),
			.count = 1,
		};

		/* Not in the same order on every node: that is how deadlocks are made. */
		policy.domain = (n + node) % 2 == 0 ? SLICE("a.example") : SLICE("b.example");
		if (writer_add(w, a, &policy, &row, NOON, &nobody) == WRITER_LOST)
			_exit(1);
		atomic_fetch_add(&shared->sent[node], 1);
		arena_reset(a);
		(void)usleep(PAUSE_US);
	}
	writer_close(&w);
	_exit(0);
}

/* As assay report run: until told to stop, and then until all has arrived. */
static void
run_shipping(unsigned node)
{
	char name[16];
	struct shipper *s;
	struct ship_result result = { 0 };
	const char *error = "?";
	bool last = false, done = false;

	(void)snprintf(name, sizeof(name), "node%u", node);
	s = shipper_new(node_file(node), server.conninfo, name, TIMEOUT_MS);
	while (!done) {
		last = atomic_load(&shared->stop_shipping);
		done = shipper_run(s, &result, &error) == 0 && last;
		atomic_fetch_add(&shared->runs[node], 1);
		if (!done && strcmp(error, "?") != 0) {
			atomic_fetch_add(&shared->failures[node], 1);
			error = "?";
		}
		sleep_ms(SHIP_PAUSE_MS);
	}
	shipper_free(&s);
	_exit(0);
}

static pid_t
start(void (*run)(unsigned), unsigned node)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		run(node);
	return pid;
}

static void
expect_good_end(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- what the fleet knows ---- */

static struct backend_sum
read_fleet(void)
{
	struct backend_sum sum;
	struct backend b;

	backend_postgres(&b, server.conninfo);
	backend_sum(&b, &sum);
	return sum;
}

/* ---- the troubles ---- */

static void
crash(pid_t ships[NODES])
{
	(void)ships;
	postgres_crash(&server);
	postgres_start(&server);
}

static void
restart(pid_t ships[NODES])
{
	(void)ships;
	postgres_stop(&server);
	sleep_ms(800);
	postgres_start(&server);
}

/* Longer than the nodes wait, and than the server lets a transaction lie. */
static void
silence(pid_t ships[NODES])
{
	(void)ships;
	postgres_silence(&server, true);
	sleep_ms(3 * TIMEOUT_MS);
	postgres_silence(&server, false);
}

static void
kill_shipping(pid_t ships[NODES])
{
	for (unsigned round = 0; round < 4; round++)
		for (unsigned node = 0; node < NODES; node++) {
			sleep_ms(37); /* somewhere in the middle of it */
			assert_int_equal(kill(ships[node], SIGKILL), 0);
			assert_int_equal(waitpid(ships[node], NULL, 0), ships[node]);
			ships[node] = start(run_shipping, node);
		}
}

static const struct {
	const char *name;
	void (*happen)(pid_t ships[NODES]);
} troubles[] = {
	{ "nothing", NULL },
	{ "the server crashes and recovers", crash },
	{ "shipping is killed twelve times", kill_shipping },
	{ "the server is stopped for a while", restart },
	{ "the server is silent for a while", silence },
	{ "the server crashes again", crash },
};

static unsigned
total(const atomic_uint counters[NODES])
{
	unsigned sum = 0;

	for (unsigned node = 0; node < NODES; node++)
		sum += atomic_load(&counters[node]);
	return sum;
}

static void
every_message_counts_once(void **state)
{
	pid_t mail[NODES], ships[NODES];
	struct backend_sum sum;

	(void)state;
	for (unsigned node = 0; node < NODES; node++) {
		mail[node] = start(run_mail, node);
		ships[node] = start(run_shipping, node);
	}
	for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
		unsigned before = total(shared->sent);

		sleep_ms(700);
		if (troubles[i].happen != NULL)
			troubles[i].happen(ships);
		print_message("%-36s %u messages sent meanwhile, shipping: %u runs, %u failed\n",
		    troubles[i].name, total(shared->sent) - before, total(shared->runs),
		    total(shared->failures));
		assert_true(total(shared->sent) > before);
	}
	sleep_ms(700);
	atomic_store(&shared->stop_mail, true);
	for (unsigned node = 0; node < NODES; node++)
		expect_good_end(mail[node]);
	atomic_store(&shared->stop_shipping, true);
	for (unsigned node = 0; node < NODES; node++)
		expect_good_end(ships[node]);
	sum = read_fleet();
	print_message("sent %u messages from %d nodes; the fleet counts %llu in %llu rows of %llu "
		      "periods\n",
	    total(shared->sent), NODES, (unsigned long long)sum.messages,
	    (unsigned long long)sum.rows, (unsigned long long)sum.periods);
	assert_int_equal(sum.messages, total(shared->sent));
	assert_int_equal(
	    sum.rows, 2 * SOURCES); /* half of them with the one domain, half with the other */
	assert_int_equal(sum.periods, 2);
}

/* A node's file that is an old copy of itself ships under another identity, and is not ignored. */
static void
a_restored_store_is_not_ignored(void **state)
{
	char command[400];
	uint64_t before = read_fleet().messages;
	struct shipper *s;
	struct ship_result result = { 0 };
	const char *error = "?";
	struct report_policy policy = { .domain = SLICE("c.example"),
		.rua = SLICE("mailto:d@example.com") };
	const struct report_row row = { .header_from = SLICE("c.example"), .count = 1 };
	const struct writer_options options = {
		.file = node_file(9), .wait_ms = 60000, .period_s = 86400
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		struct writer *w = writer_open(&options);

		assert_int_equal(writer_add(w, a, &policy, &row, NOON, &nobody), WRITER_SAFE);
		writer_close(&w);
		s = shipper_new(node_file(9), server.conninfo, "node9", 5000);
		if (shipper_run(s, &result, &error) != 0)
			fail_msg("%s", error);
		shipper_free(&s);
		if (round == 0) /* shipped, and then kept as a backup */
			(void)snprintf(command, sizeof(command), "cp '%s' '%s.old'", node_file(9),
			    node_file(9));
		else
			(void)snprintf(command, sizeof(command), "cp '%s.old' '%s'", node_file(9),
			    node_file(9));
		assert_int_equal(system(command), 0);
	}
	assert_int_equal(read_fleet().messages, before + 3);
	arena_free(&a);
}

/* ---- leases ---- */

static void
a_lease_outlives_its_holder(const struct backend *b)
{
	char first[LEASE_HOLDER_BYTES], second[LEASE_HOLDER_BYTES];
	struct db *db = backend_open(b, 5000), *other = backend_open(b, 5000);
	const char *error = "?";

	lease_holder("one.example", first);
	lease_holder("two.example", second);
	assert_string_not_equal(first, second);
	assert_int_equal(lease_open(db, &error), 0);
	assert_int_equal(lease_open(other, &error), 0);
	assert_int_equal(lease_take(db, "report", first, 2, &error), 1);
	assert_int_equal(lease_take(other, "report", second, 2, &error), 0);
	assert_int_equal(lease_take(other, "another", second, 2, &error), 1);
	assert_int_equal(lease_take(db, "report", first, 2, &error), 1); /* renewed */
	assert_int_equal(lease_held(db, "report", first, &error), 1);
	assert_int_equal(lease_held(other, "report", second, &error), 0);
	db_close(&db); /* the holder dies */
	assert_int_equal(lease_take(other, "report", second, 2, &error), 0);
	sleep_ms(3100);
	assert_int_equal(lease_held(other, "report", first, &error), 0);
	assert_int_equal(lease_take(other, "report", second, 2, &error), 1);
	assert_int_equal(lease_release(other, "report", first, &error), 0); /* not his */
	assert_int_equal(lease_held(other, "report", second, &error), 1);
	assert_int_equal(lease_release(other, "report", second, &error), 0);
	assert_int_equal(lease_held(other, "report", second, &error), 0);
	db_close(&other);
}

/* Work takes longer than the lease; and the clock of the database is put back. */
static void
a_lease_is_kept(const struct backend *b)
{
	static const char back[] = "UPDATE report_leases SET until_s = until_s + 86400";
	char first[LEASE_HOLDER_BYTES], second[LEASE_HOLDER_BYTES];
	struct db *db = backend_open(b, 5000), *other = backend_open(b, 5000);
	const char *error = "?";
	int64_t taken_s;

	lease_holder("one.example", first);
	lease_holder("two.example", second);
	assert_int_equal(lease_open(db, &error), 0);
	assert_int_equal(lease_take(db, "long", first, 3, &error), 1);
	taken_s = lease_clock_s();
	for (unsigned i = 0; i < 10; i++) {
		sleep_ms(500);
		assert_int_equal(lease_keep(db, "long", first, 3, &taken_s, &error), 1);
		assert_int_equal(lease_take(other, "long", second, 3, &error), 0);
	}
	assert_int_equal(db_script(db, back, &error), 0);
	assert_int_equal(lease_take(other, "long", second, 3, &error), 1);
	taken_s -= 3;
	assert_int_equal(lease_keep(db, "long", first, 3, &taken_s, &error), 0);
	db_close(&db);
	db_close(&other);
}

static void
leases_on_both(void **state)
{
	struct backend b;

	(void)state;
	backend_sqlite(&b, folder, "lease.db");
	a_lease_outlives_its_holder(&b);
	a_lease_is_kept(&b);
	backend_postgres(&b, server.conninfo);
	a_lease_outlives_its_holder(&b);
	a_lease_is_kept(&b);
}

/* ---- the connection ---- */

static void
a_silent_server_costs_the_time_allowed(void **state)
{
	struct backend b;
	struct db *db;
	const char *error = NULL;
	int64_t now;

	(void)state;
	backend_postgres(&b, server.conninfo);
	db = backend_open(&b, 500);
	postgres_silence(&server, true);
	assert_int_equal(db_now(db, &now, &error), -1);
	assert_int_equal(db_fault(db), DB_F_GONE);
	assert_int_equal(db_reopen(db, &error), -1); /* the port is open, and nobody answers */
	assert_int_equal(db_fault(db), DB_F_GONE);
	postgres_silence(&server, false);
	assert_int_equal(db_reopen(db, &error), 0);
	assert_int_equal(db_now(db, &now, &error), 0);
	db_close(&db);
}

/* The same tables of cases as over SQLite, by the same programs. */
static void
unit_tests_hold_on_postgres(void **state)
{
	static const char *const programs[] = { "db_test", "store_test" };
	const char *build = getenv("ASSAY_BUILD");

	(void)state;
	assert_int_equal(setenv("ASSAY_TEST_POSTGRES", server.conninfo, 1), 0);
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		char command[512];

		(void)snprintf(command, sizeof(command), "%s/tests/unit/%s >'%s/unit.log' 2>&1",
		    build == NULL ? "." : build, programs[i], folder);
		if (system(command) != 0) {
			(void)snprintf(command, sizeof(command), "cat '%s/unit.log'", folder);
			fail_msg("%s fails on PostgreSQL (%d)", programs[i], system(command));
		}
	}
}

static int
set_up(void **state)
{
	(void)state;
	shared = mmap(
	    NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -1;
	postgres_open(&server, folder);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	postgres_close(&server);
	(void)munmap(shared, sizeof(*shared));
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		/* forks: before there are threads */
		cmocka_unit_test(every_message_counts_once), cmocka_unit_test(leases_on_both),
		cmocka_unit_test(a_silent_server_costs_the_time_allowed),
		cmocka_unit_test(a_restored_store_is_not_ignored),
		cmocka_unit_test(unit_tests_hold_on_postgres), /* last: they drop the tables */
	};
	int failed;

	if (!postgres_installed()) {
		print_message("PostgreSQL is not installed\n");
		return SKIPPED;
	}
	if (!backend_folder(folder))
		return EXIT_FAILURE;
	failed = cmocka_run_group_tests(tests, set_up, tear_down);
	backend_folder_remove(folder);
	return failed;
}
