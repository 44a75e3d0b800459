/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/milter_rig.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NSD	       "/usr/sbin/nsd"
#define FRONT_VARIABLE "ASSAY_FRONT"

static const char zone_text[] = "$TTL 300\n"
				". IN SOA ns. root. 1 3600 600 86400 300\n"
				". IN NS ns.\n"
				"ns. IN A 127.0.0.1\n"
				"reject.example. IN TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"
				"_dmarc.reject.example. IN TXT \"v=DMARC1; p=reject; "
				"rua=mailto:d@reject.example\"\n"
				"quarantine.example. IN TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"
				"_dmarc.quarantine.example. IN TXT \"v=DMARC1; p=quarantine\"\n"
				"evil.example. IN TXT \"v=spf1 ip4:198.51.100.5 -all\"\n";

/* ---- the stage ---- */

void
write_file(const char *path, const char *fmt, ...)
{
	FILE *f = fopen(path, "w");
	va_list ap;

	if (f == NULL)
		fail_msg("can't write %s", path);
	va_start(ap, fmt);
	(void)vfprintf(f, fmt, ap);
	va_end(ap);
	(void)fclose(f);
}

static bool
start_nsd(struct stage *s)
{
	char conf[128], zone[128], log[128];
	const char *const argv[] = { NSD, "-d", "-c", conf, NULL };

	(void)snprintf(conf, sizeof(conf), "%s/nsd.conf", s->folder);
	(void)snprintf(zone, sizeof(zone), "%s/zone", s->folder);
	(void)snprintf(log, sizeof(log), "%s/nsd.log", s->folder);
	s->dns_port = free_port();
	write_file(zone, "%s", zone_text);
	write_file(conf,
	    "server:\n ip-address: 127.0.0.1@%u\n username: \"\"\n chroot: \"\"\n"
	    " zonesdir: \"%s\"\n database: \"\"\n pidfile: \"%s/nsd.pid\"\n"
	    " xfrdfile: \"%s/xfrd\"\n zonelistfile: \"%s/list\"\n xfrdir: \"%s\"\n"
	    " server-count: 1\n rrl-ratelimit: 0\nremote-control:\n control-enable: no\n"
	    "zone:\n name: \".\"\n zonefile: \"zone\"\n",
	    s->dns_port, s->folder, s->folder, s->folder, s->folder, s->folder);
	child_start(&s->nsd, argv, log);
	for (int i = 0; i < WAIT_MS / 20; i++) {
		if (port_listens(s->dns_port))
			return true;
		if (child_wait(&s->nsd, 0) != -1)
			return false;
		sleep_ms(20);
	}
	return false;
}

static void
close_stage(struct stage *s)
{
	char command[128];

	if (s->nsd.pid > 0)
		(void)kill(s->nsd.pid, SIGTERM);
	if (s->nsd.pid > 0 && child_wait(&s->nsd, SANE_STOP_MS) == -1)
		child_kill(&s->nsd);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", s->folder);
	if (system(command) != 0)
		(void)fprintf(stderr, "can't remove %s\n", s->folder);
}

/* ---- the daemon ---- */

const char *
front_name(void)
{
	const char *name = getenv(FRONT_VARIABLE);

	return name != NULL ? name : "libmilter";
}

void
rig_write_conf(const struct rig *g, const char *more)
{
	uint16_t port = g->stage->forwarder_port;

	write_file(g->conf,
	    "socket = \"%s\"\nfront = %s\nlog_target = stderr\nhostname = \"mx.example.net\"\n"
	    "dns_mode = forward\ndns_forwarders = { \"127.0.0.1@%u\" }\n%s%s",
	    g->address, front_name(), port != 0 ? port : g->stage->dns_port, more,
	    strstr(more, "report_store") == NULL ? "report_store = \"\"\n" : "");
}

static void
launch(struct rig *g)
{
	const char *const argv[] = { g->stage->assayd, "-c", g->conf, NULL };
	char log[128];

	(void)snprintf(log, sizeof(log), "%s/assayd.log", g->stage->folder);
	child_start(&g->assayd, argv, log);
	g->stage->running = g->assayd.pid;
}

void
rig_start(struct rig *g, size_t nth)
{
	launch(g);
	if (!child_logged(&g->assayd, " serving on ", nth, WAIT_MS)) {
		child_show_log(&g->assayd);
		fail_msg("assayd does not start");
	}
}

void
rig_open(struct rig *g, void **state, bool inet, const char *more)
{
	struct stage *s = *state;
	char log[128];

	memset(g, 0, sizeof(*g));
	g->stage = s;
	(void)snprintf(log, sizeof(log), "%s/assayd.log", s->folder);
	(void)unlink(log);
	(void)snprintf(g->conf, sizeof(g->conf), "%s/assay.conf", s->folder);
	if (inet)
		(void)snprintf(g->address, sizeof(g->address), "inet:%u@127.0.0.1", free_port());
	else
		(void)snprintf(g->address, sizeof(g->address), "unix:%s/sock", s->folder);
	rig_write_conf(g, more);
	rig_start(g, 1);
}

/* Asks it to stop; it must end well: a sanitizer's complaint is an exit status of its own. */
void
rig_close(struct rig *g)
{
	int status;

	assert_int_equal(kill(g->assayd.pid, SIGTERM), 0);
	status = child_wait(&g->assayd, WAIT_MS);
	if (status != 0) {
		child_show_log(&g->assayd);
		child_kill(&g->assayd);
		fail_msg("assayd ended with %d", status);
	}
	g->stage->running = 0;
}

int
rig_teardown(void **state)
{
	struct stage *s = *state;
	struct child left = { .pid = s->running };
	char path[128];

	child_kill(&left);
	s->running = 0;
	(void)snprintf(path, sizeof(path), "%s/sock", s->folder);
	(void)unlink(path);
	return 0;
}

/* ---- the client ---- */

void
open_client(struct milter_client *c, const struct rig *g, uint32_t version, const char *ip)
{
	bool old = version < 6;

	must(c, milter_open(c, g->address, WAIT_MS));
	must(c,
	    milter_negotiate(c, version, old ? MILTER_V2_ACTIONS : MILTER_V6_ACTIONS,
		old ? MILTER_V2_STEPS : MILTER_V6_STEPS));
	must(c, milter_connect(c, "client.example", ip));
	must(c, milter_helo(c, "client.example"));
}

void
send_envelope_and_header(struct milter_client *c, const char *from, const char *const *fields)
{
	must(c, milter_mail(c, from));
	must(c, milter_rcpt(c, "<to@here.example>"));
	must(c, milter_data(c));
	for (; *fields != NULL; fields += 2)
		must(c, milter_header(c, fields[0], fields[1]));
	must(c, milter_eoh(c));
}

int
finish_message(struct milter_client *c, const char *queue_id)
{
	const char *const macros[] = { "i", queue_id, NULL };

	must(c, milter_body(c, "Hello.\r\n", 8));
	must(c, milter_macros(c, 'E', macros));
	return milter_eom(c);
}

int
send_message(struct milter_client *c, const char *from, const char *author)
{
	const char *const fields[] = { "From", author, NULL };

	send_envelope_and_header(c, from, fields);
	return finish_message(c, "4QUEUE");
}

void
expect_good(struct milter_client *c)
{
	int answer = send_message(c, "<a@reject.example>", " a@reject.example");
	const struct milter_edit *e;

	if (answer != 'c')
		fail_msg("genuine mail: answer %d, %s %s", answer, c->reply, c->error);
	e = milter_find_edit(c, MILTER_EDIT_INSERT, "Authentication-Results", 0);
	assert_non_null(e);
	assert_int_equal(e->index, 0); /* RFC 8601 4: above our own Received */
	assert_non_null(strstr(e->value, "mx.example.net"));
	assert_non_null(strstr(e->value, "dmarc=pass"));
}

void
expect_forgery_refused(struct milter_client *c)
{
	int answer = send_message(c, "<x@evil.example>", " a@reject.example");

	if (answer != 'y' || strncmp(c->reply, "550 5.7.26 ", 11) != 0)
		fail_msg("forgery: answer %d, %s %s", answer, c->reply, c->error);
	assert_int_equal(c->edit_count, 0);
}

/* One good message over a connection of its own: the daemon is alive and well. */
void
expect_alive(const struct rig *g)
{
	struct milter_client c;

	open_client(&c, g, 6, "192.0.2.1");
	expect_good(&c);
	must(&c, milter_quit(&c));
	milter_close(&c);
}

static int
run_on_fronts(struct CMUnitTest *tests, size_t count)
{
	static const char *const fronts[] = { "libmilter", "native" };
	int failed = 0;

	if (getenv(FRONT_VARIABLE) != NULL)
		return _cmocka_run_group_tests(front_name(), tests, count, NULL, NULL);
	for (size_t i = 0; i < sizeof(fronts) / sizeof(fronts[0]); i++) {
		if (setenv(FRONT_VARIABLE, fronts[i], 1) != 0)
			return 1;
		(void)printf("front %s\n", fronts[i]);
		failed += _cmocka_run_group_tests(fronts[i], tests, count, NULL, NULL);
	}
	return failed;
}

int
stage_run(struct CMUnitTest *tests, size_t count)
{
	const char *build = getenv("ASSAY_BUILD");
	struct stage s = { 0 };
	int failed;

	if (access(NSD, X_OK) != 0) {
		(void)printf("skipped: %s is not installed\n", NSD);
		return SKIPPED;
	}
	(void)snprintf(s.folder, sizeof(s.folder), "/tmp/assay-milter.XXXXXX");
	(void)snprintf(s.assayd, sizeof(s.assayd), "%s/assayd", build != NULL ? build : ".");
	if (mkdtemp(s.folder) == NULL || !start_nsd(&s)) {
		child_show_log(&s.nsd);
		close_stage(&s);
		return 1;
	}
	for (size_t i = 0; i < count; i++)
		tests[i].initial_state = &s;
	failed = run_on_fronts(tests, count);
	close_stage(&s);
	return failed;
}
