/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of the real assayd: reload, stop, kill, start; what it does with its socket, its files
 * and its privileges. Messages run meanwhile.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/milter_rig.h"

#define CLIENTS 16

/* Nothing answers the envelope (all replies are waived), so only the counters tell that every
 * session has begun, and with which configuration. */
static void
wait_for_messages(struct rig *g)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "messages_open=%d ", CLIENTS);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(kill(g->assayd.pid, SIGUSR1), 0);
		if (child_logged(&g->assayd, text, 1, 50))
			return;
	}
	fail_msg("not all %d messages have begun", CLIENTS);
}

static void
test_reload_keeps_sessions(void **state)
{
	const char *const fields[] = { "From", " a@reject.example", NULL };
	struct milter_client c[CLIENTS], late;
	struct rig g;

	rig_open(&g, state, false, "");
	for (size_t i = 0; i < CLIENTS; i++) {
		open_client(&c[i], &g, 6, "198.51.100.5");
		send_envelope_and_header(&c[i], "<x@evil.example>", fields);
	}
	wait_for_messages(&g);
	rig_write_conf(&g, "on_policy_reject = quarantine\n");
	for (size_t i = 1; i <= 5; i++) {
		assert_int_equal(kill(g.assayd.pid, SIGHUP), 0);
		assert_true(child_logged(&g.assayd, " reloaded ", i, WAIT_MS));
	}
	assert_true(child_logged(&g.assayd, " dns cache kept", 5, WAIT_MS));
	/* A session finishes under the rules it began with, a new one gets the new rules. */
	open_client(&late, &g, 6, "198.51.100.5");
	assert_int_equal(send_message(&late, "<x@evil.example>", " a@reject.example"), 'c');
	assert_non_null(milter_find_edit(&late, MILTER_EDIT_QUARANTINE, NULL, 0));
	milter_close(&late);
	for (size_t i = 0; i < CLIENTS; i++) {
		assert_int_equal(finish_message(&c[i], "4QUEUE"), 'y');
		expect_forgery_refused(&c[i]);
		milter_close(&c[i]);
	}
	rig_close(&g);
}

/* Signals in a burst while messages run: not one may reach libmilter, which would stop. */
static void
test_reload_under_load(void **state)
{
	struct milter_client c;
	struct rig g;

	rig_open(&g, state, true, "");
	for (int i = 0; i < 50; i++) {
		assert_int_equal(kill(g.assayd.pid, SIGHUP), 0);
		if (i % 10 == 0)
			assert_int_equal(kill(g.assayd.pid, SIGUSR1), 0);
		open_client(&c, &g, 6, i % 2 == 0 ? "192.0.2.1" : "198.51.100.5");
		if (i % 2 == 0)
			expect_good(&c);
		else
			expect_forgery_refused(&c);
		milter_close(&c);
	}
	rig_close(&g);
}

static void
test_bad_reload_keeps_the_old(void **state)
{
	struct rig g;

	rig_open(&g, state, false, "");
	rig_write_conf(&g, "no_such_setting = 1\non_temperror = perhaps\n");
	assert_int_equal(kill(g.assayd.pid, SIGHUP), 0);
	assert_true(child_logged(&g.assayd, "the old configuration stays", 1, WAIT_MS));
	assert_true(child_logged(&g.assayd, "assay.conf:7: no_such_setting", 1, 0));
	assert_true(child_logged(&g.assayd, "assay.conf:8: on_temperror", 1, 0));
	expect_alive(&g);
	assert_int_equal(unlink(g.conf), 0);
	assert_int_equal(kill(g.assayd.pid, SIGHUP), 0);
	assert_true(child_logged(&g.assayd, "the old configuration stays", 2, WAIT_MS));
	expect_alive(&g);
	rig_write_conf(&g, "dns_cache_size = 1M\n");
	assert_int_equal(kill(g.assayd.pid, SIGHUP), 0);
	assert_true(child_logged(&g.assayd, " dns cache new", 1, WAIT_MS));
	expect_alive(&g);
	rig_close(&g);
}

static void
test_stop_finishes_what_runs(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT };
	const char *const fields[] = { "From", " a@reject.example", NULL };

	for (size_t n = 0; n < 2; n++) {
		struct milter_client running, idle, late;
		struct rig g;

		rig_open(&g, state, false, "");
		open_client(&running, &g, 6, "198.51.100.5");
		send_envelope_and_header(&running, "<x@evil.example>", fields);
		open_client(&idle, &g, 6, "192.0.2.1");
		expect_good(&idle);
		assert_int_equal(kill(g.assayd.pid, signals[n]), 0);
		assert_true(child_logged(&g.assayd, "stopping, messages_open=1", 1, WAIT_MS));
		sleep_ms(200);
		assert_int_equal(child_wait(&g.assayd, 0), -1);
		assert_int_equal(milter_open(&late, g.address, WAIT_MS), -1);
		milter_close(&late);
		assert_int_equal(finish_message(&running, "4QUEUE"), 'y');
		assert_int_equal(child_wait(&g.assayd, SANE_STOP_MS), 0);
		g.stage->running = 0;
		milter_close(&running);
		milter_close(&idle);
	}
}

/* In the middle of a lookup that is never answered. */
static void
test_stop_waits_for_dns(void **state)
{
	const char *const fields[] = { "From", " a@reject.example", NULL };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int silent = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct milter_client c;
	struct rig g;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(silent, (const struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(silent, (struct sockaddr *)&sin, &len), 0);
	((struct stage *)*state)->forwarder_port = ntohs(sin.sin_port);
	rig_open(&g, state, false, "dns_timeout = 1s\ndns_budget = 2s\n");
	((struct stage *)*state)->forwarder_port = 0;
	open_client(&c, &g, 6, "192.0.2.1");
	send_envelope_and_header(&c, "<a@reject.example>", fields);
	must(&c, milter_send_eom(&c));
	sleep_ms(100);
	assert_int_equal(kill(g.assayd.pid, SIGTERM), 0);
	assert_int_equal(milter_wait(&c), 'y');
	assert_int_equal(strncmp(c.reply, "451 4.", 6), 0);
	assert_int_equal(c.progress_count, 1);
	assert_int_equal(child_wait(&g.assayd, SANE_STOP_MS), 0);
	g.stage->running = 0;
	milter_close(&c);
	(void)close(silent);
}

static void
test_killed_and_started_again(void **state)
{
	struct child second = { 0 };
	struct rig g;
	const char *argv[] = { NULL, "-c", NULL, NULL };
	char log[128];

	rig_open(&g, state, false, "");
	argv[0] = g.stage->assayd;
	argv[2] = g.conf;
	(void)snprintf(log, sizeof(log), "%s/second.log", g.stage->folder);
	child_start(&second, argv, log);
	assert_int_equal(child_wait(&second, WAIT_MS), 1);
	assert_true(child_logged(&second, "another program listens there", 1, 0));
	expect_alive(&g);
	child_kill(&g.assayd);
	assert_int_equal(access(g.address + 5, F_OK), 0); /* the stale socket */
	rig_start(&g, 2);
	expect_alive(&g);
	rig_close(&g);
	assert_int_equal(access(g.address + 5, F_OK), -1);
	write_file(g.address + 5, "no socket\n");
	child_start(&second, argv, log);
	assert_int_equal(child_wait(&second, WAIT_MS), 1);
	assert_true(child_logged(&second, "is no socket", 1, 0));
	assert_int_equal(unlink(g.address + 5), 0);
}

static void
test_socket_mode_and_pid_file(void **state)
{
	const struct stage *s = *state;
	char more[256], pid_file[128];
	struct stat st;
	struct rig g;
	long pid = 0;
	FILE *f;

	(void)snprintf(pid_file, sizeof(pid_file), "%s/pid", s->folder);
	(void)snprintf(more, sizeof(more), "socket_mode = 0606\npid_file = \"%s\"\n", pid_file);
	rig_open(&g, state, false, more);
	assert_int_equal(stat(g.address + 5, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0606);
	f = fopen(pid_file, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld", &pid), 1);
	(void)fclose(f);
	assert_int_equal(pid, g.assayd.pid);
	rig_close(&g);
	assert_int_equal(access(pid_file, F_OK), -1);
}

/* Only root can become somebody else: /proc tells whom, and that nothing is left to go back with.
 */
static void
test_privileges(void **state)
{
	const struct stage *s = *state;
	char path[64], line[256];
	int checked = 0;
	struct rig g;
	FILE *f;

	if (geteuid() != 0) {
		print_message("not root: privileges can't be dropped\n");
		skip();
	}
	assert_int_equal(chmod(s->folder, 0755), 0);
	rig_open(&g, state, false, "user = nobody\n");
	(void)snprintf(path, sizeof(path), "/proc/%ld/status", (long)g.assayd.pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		unsigned a, b, c, d;

		if (sscanf(line, "Uid: %u %u %u %u", &a, &b, &c, &d) == 4 ||
		    sscanf(line, "Gid: %u %u %u %u", &a, &b, &c, &d) == 4) {
			assert_true(a == b && b == c && c == d && a != 0);
			checked++;
		}
		if (strcmp(line, "NoNewPrivs:\t1\n") == 0 ||
		    strcmp(line, "CapEff:\t0000000000000000\n") == 0 ||
		    strncmp(line, "Groups:\t65534 \n", 15) == 0)
			checked++;
	}
	(void)fclose(f);
	assert_int_equal(checked, 5);
	assert_int_equal(chmod(g.conf, 0644), 0);
	expect_alive(&g);
	rig_close(&g);
	(void)unlink(g.address + 5);
}

int
main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_reload_keeps_sessions, rig_teardown),
		cmocka_unit_test_teardown(test_reload_under_load, rig_teardown),
		cmocka_unit_test_teardown(test_bad_reload_keeps_the_old, rig_teardown),
		cmocka_unit_test_teardown(test_stop_finishes_what_runs, rig_teardown),
		cmocka_unit_test_teardown(test_stop_waits_for_dns, rig_teardown),
		cmocka_unit_test_teardown(test_killed_and_started_again, rig_teardown),
		cmocka_unit_test_teardown(test_socket_mode_and_pid_file, rig_teardown),
		cmocka_unit_test_teardown(test_privileges, rig_teardown),
	};

	return run_on_stage(tests);
}
