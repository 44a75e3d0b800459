/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The real assayd and its report store: rows of answered messages survive kill -9, a locked or
 * damaged file holds up no mail, a reload keeps the writer. What it costs:
 * tests/bench/store_cost_test.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/milter_rig.h"
#include "tests/support/backend.h"

#define SENDERS 4

static char store_file[128], store_setting[192];

/* A store in a folder that assayd has to make; each test has its own. */
static const char *
new_store(void **state)
{
	static unsigned number;
	const struct stage *s = *state;

	(void)snprintf(store_file, sizeof(store_file), "%s/reports%u-%s/reports.db", s->folder,
	    ++number, front_name());
	(void)snprintf(store_setting, sizeof(store_setting), "report_store = \"%s\"\n", store_file);
	return store_setting;
}

/* assayd is up, and writes what it finds in the journal. */
static uint64_t
stored_at_least(const char *file, uint64_t expected)
{
	uint64_t found = 0;

	for (unsigned ms = 0; ms < WAIT_MS; ms += 50) {
		if (access(file, R_OK) == 0 &&
		    (found = backend_sum_of_file(file).messages) >= expected)
			break;
		sleep_ms(50);
	}
	return found;
}

/* ---- messages until the daemon is gone ---- */

struct sender {
	const struct rig *rig;
	unsigned answered;
	atomic_uint *all_answered;
};

static bool
send_good(struct milter_client *c)
{
	const char *const macros[] = { "i", "4QUEUE", NULL };

	return milter_mail(c, "<a@reject.example>") >= 0 &&
	    milter_rcpt(c, "<to@here.example>") >= 0 && milter_data(c) >= 0 &&
	    milter_header(c, "From", " a@reject.example") >= 0 && milter_eoh(c) >= 0 &&
	    milter_body(c, "Hello.\r\n", 8) >= 0 && milter_macros(c, 'E', macros) >= 0 &&
	    milter_eom(c) == 'c';
}

static void *
sender_thread(void *arg)
{
	struct sender *s = arg;
	struct milter_client c;

	if (milter_open(&c, s->rig->address, WAIT_MS) != 0 ||
	    milter_negotiate(&c, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS) != 0 ||
	    milter_connect(&c, "client.example", "192.0.2.1") < 0 ||
	    milter_helo(&c, "client.example") < 0)
		return NULL;
	while (send_good(&c)) {
		s->answered++;
		atomic_fetch_add(s->all_answered, 1);
	}
	milter_close(&c);
	return NULL;
}

static unsigned
answered_before_kill(struct rig *g, unsigned enough)
{
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS];
	atomic_uint all = 0;
	unsigned sum = 0;

	for (size_t i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){ .rig = g, .all_answered = &all };
		assert_int_equal(pthread_create(&threads[i], NULL, sender_thread, &senders[i]), 0);
	}
	for (unsigned ms = 0; atomic_load(&all) < enough && ms < WAIT_MS; ms++)
		sleep_ms(1);
	child_kill(&g->assayd);
	for (size_t i = 0; i < SENDERS; i++) {
		(void)pthread_join(threads[i], NULL);
		sum += senders[i].answered;
	}
	return sum;
}

static void
answered_messages_survive_kill_9(void **state)
{
	struct rig g;
	uint64_t expected = 0, found;

	rig_open(&g, state, false, new_store(state));
	for (unsigned round = 1; round <= 3; round++) {
		unsigned answered = answered_before_kill(&g, 60 * round);

		expected += answered;
		rig_start(&g, round + 1);
		found = stored_at_least(store_file, expected);
		print_message(
		    "%s: killed after %u answers: at least %llu rows expected, %llu found\n",
		    front_name(), answered, (unsigned long long)expected,
		    (unsigned long long)found);
		assert_true(answered >= 60);
		/* Of each connection one more may be in the file, its answer not yet sent. */
		assert_true(found >= expected && found <= expected + SENDERS);
		expected = found;
	}
	expect_alive(&g);
	rig_close(&g);
	assert_int_equal(backend_sum_of_file(store_file).messages, expected + 1);
}

/* ---- trouble ---- */

static void
a_locked_store_holds_up_no_mail(void **state)
{
	struct backend b = { .name = "sqlite", .make = db_new_sqlite };
	const char *error = "?";
	struct milter_client c;
	struct db *db;
	struct rig g;

	rig_open(&g, state, false, new_store(state));
	expect_alive(&g);
	assert_int_equal(stored_at_least(store_file, 1), 1);
	(void)snprintf(b.place, sizeof(b.place), "%s", store_file);
	db = backend_open(&b, 5000);
	assert_int_equal(db_begin(db, &error), 0);
	open_client(&c, &g, 6, "192.0.2.1");
	for (unsigned i = 0; i < 20; i++) /* none waits: they are in the journal */
		expect_good(&c);
	assert_true(child_logged(&g.assayd, "report store: ", 1, WAIT_MS));
	assert_true(child_logged(&g.assayd, "locked; mail goes on without", 1, WAIT_MS));
	db_rollback(db);
	db_close(&db);
	assert_true(
	    child_logged(&g.assayd, "report store: works again, late=0 lost=0", 1, WAIT_MS));
	expect_good(&c);
	milter_close(&c);
	assert_int_equal(kill(g.assayd.pid, SIGUSR1), 0);
	assert_true(
	    child_logged(&g.assayd, "statistics reports rows=22 late=0 lost=0", 1, WAIT_MS));
	rig_close(&g);
	assert_int_equal(backend_sum_of_file(store_file).messages, 22);
}

static void
a_damaged_store_is_set_aside(void **state)
{
	char folder[128];
	struct rig g;

	(void)new_store(state);
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(store_file, '/') - store_file),
	    store_file);
	assert_int_equal(mkdir(folder, 0700), 0);
	write_file(store_file, "%0512d this is no database", 7);
	rig_open(&g, state, false, store_setting);
	expect_alive(&g);
	assert_true(child_logged(&g.assayd, "the file was damaged: set aside", 1, WAIT_MS));
	expect_alive(&g);
	rig_close(&g);
	assert_int_equal(backend_sum_of_file(store_file).messages, 2);
}

/* A fault of a moment ago hides no other. */
static void
two_faults_are_both_logged(void **state)
{
	char folder[128], path[160];
	struct rig g;

	(void)new_store(state);
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(store_file, '/') - store_file),
	    store_file);
	assert_int_equal(mkdir(folder, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s.pending", store_file);
	write_file(path, "%040d this is a journal of another layout", 7);
	(void)snprintf(path, sizeof(path), "%s.pending.new", store_file);
	assert_int_equal(mkdir(path, 0700), 0); /* so none can be made */
	rig_open(&g, state, false, store_setting);
	assert_true(child_logged(&g.assayd, ".pending.other-", 1, WAIT_MS));
	assert_true(child_logged(&g.assayd, "Is a directory; mail goes on without", 1, WAIT_MS));
	assert_int_equal(rmdir(path), 0);
	expect_alive(&g);
	rig_close(&g);
	assert_int_equal(backend_sum_of_file(store_file).messages, 1);
}

/* ---- reload ---- */

static void
a_reload_keeps_or_changes_the_store(void **state)
{
	char first[128];
	struct rig g;

	rig_open(&g, state, false, new_store(state));
	expect_alive(&g);
	assert_int_equal(kill(g.assayd.pid, SIGHUP), 0);
	assert_true(child_logged(&g.assayd, " reloaded ", 1, WAIT_MS));
	expect_alive(&g);
	memcpy(first, store_file, sizeof(first));
	(void)snprintf(strrchr(store_file, '/'), 16, "/other.db");
	(void)snprintf(store_setting, sizeof(store_setting), "report_store = \"%s\"\n", store_file);
	rig_write_conf(&g, store_setting);
	assert_int_equal(kill(g.assayd.pid, SIGHUP), 0);
	assert_true(child_logged(&g.assayd, " reloaded ", 2, WAIT_MS));
	expect_alive(&g);
	rig_write_conf(&g, "report_store = \"\"\n");
	assert_int_equal(kill(g.assayd.pid, SIGHUP), 0);
	assert_true(child_logged(&g.assayd, " reloaded ", 3, WAIT_MS));
	expect_alive(&g);
	rig_close(&g);
	assert_int_equal(backend_sum_of_file(first).messages, 2);
	assert_int_equal(backend_sum_of_file(store_file).messages, 1);
}

#define CASE(test) cmocka_unit_test_teardown(test, rig_teardown)

int
main(void)
{
	struct CMUnitTest tests[] = {
		CASE(answered_messages_survive_kill_9),
		CASE(a_locked_store_holds_up_no_mail),
		CASE(a_damaged_store_is_set_aside),
		CASE(two_faults_are_both_logged),
		CASE(a_reload_keeps_or_changes_the_store),
	};

	return run_on_stage(tests);
}
