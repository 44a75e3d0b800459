/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the report store costs: two assayd that differ in report_store alone, loaded in turns, and
 * the processor time of each. For each front it must stay below a tenth with the small corpus,
 * which is signed mail. Said as well, but not judged: with mail that is as cheap to judge as mail
 * can be, the same without signatures and hardly a body.
 *
 * Connections stay, so there are CONNECTIONS clients, each with the mail of all senders: rows come
 * again. What one costs that does not is what writer_test says of different rows.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/writer.h"
#include "tests/bench/load.h"
#include "tests/bench/median.h"
#include "tests/bench/name_server.h"
#include "tests/bench/process.h"
#include "tests/harness/child.h"
#include "tests/support/backend.h"
#include "tests/support/support.h"

#define COST_MOST	1.10
#define CORPUS_MESSAGES 60
#define CONNECTIONS	8
#define PAIRS		3 /* started one after the other: no two processes are equally lucky */
#define ROUNDS		9 /* each loads both */
#define ATTEMPTS	5 /* where others disturb: 2 us of 60 were seen */
#define START_MS	10000
#define ROUND_LIMIT_S	60

static char folder[BACKEND_FOLDER_BYTES], assayd[512];

/* ---- the two ---- */

struct side {
	const char *name;
	char store[128]; /* "": off */
	char address[128];
	struct child child;
	struct script script;
	double per_message_us[ROUNDS];
	size_t messages;    /* in all */
	uint64_t in_rounds; /* ns of processor time */
};

static void
write_conf(const struct side *s, const char *path, const char *front, uint16_t dns_port)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	(void)fprintf(f,
	    "socket = \"%s\"\nfront = %s\nlog_target = stderr\nhostname = \"mx.here.example\"\n"
	    "report_store = \"%s\"\ndns_mode = forward\ndns_forwarders = { \"127.0.0.1@%u\" }\n",
	    s->address, front, s->store, dns_port);
	assert_int_equal(fclose(f), 0);
}

static void
start(struct side *s, const char *front, const struct corpus *corpus, uint16_t dns_port)
{
	char conf[128], log[128];
	const char *const argv[] = { assayd, "-c", conf, NULL };

	(void)snprintf(s->address, sizeof(s->address), "unix:%s/%s.sock", folder, s->name);
	(void)snprintf(conf, sizeof(conf), "%s/%s.conf", folder, s->name);
	(void)snprintf(log, sizeof(log), "%s/%s.log", folder, s->name);
	(void)unlink(log);
	write_conf(s, conf, front, dns_port);
	child_start(&s->child, argv, log);
	if (!child_logged(&s->child, " serving on ", 1, START_MS) ||
	    script_new(&s->script, s->address, corpus, false) != 0) {
		child_show_log(&s->child);
		fail_msg("assayd with the store %s does not start", s->name);
	}
}

static void
stop(struct side *s)
{
	script_free(&s->script);
	assert_int_equal(kill(s->child.pid, SIGTERM), 0);
	assert_int_equal(child_wait(&s->child, START_MS), 0);
}

/* us of processor time a message. */
static double
run_load(struct side *s, size_t messages)
{
	const struct load_plan plan = { .connections = CONNECTIONS, .messages = messages };
	uint64_t cpu = process_cpu_ns(s->child.pid);
	struct load_result r;
	struct load *l = load_run(&s->script, &plan, ROUND_LIMIT_S, &r);

	cpu = process_cpu_ns(s->child.pid) - cpu;
	assert_int_equal(r.messages, messages);
	assert_int_equal(r.wrong + r.broken, 0);
	load_end(&l, &r);
	s->in_rounds += cpu;
	s->messages += messages;
	return (double)cpu / 1e3 / (double)messages;
}

/* ---- comparing them ---- */

/* With what it does between rounds: commits that are due then. */
static double
cost_of(struct side *s, uint64_t whole_ns, size_t messages)
{
	return median_of(s->per_message_us, ROUNDS) +
	    (double)(whole_ns - s->in_rounds) / 1e3 / (double)(messages * ROUNDS);
}

struct cost {
	double on_us, off_us; /* of processor time a message */
};

static void
load_in_turns(struct side *on, struct side *off, size_t messages, struct cost *out)
{
	uint64_t on_ns = process_cpu_ns(on->child.pid), off_ns = process_cpu_ns(off->child.pid);

	on->in_rounds = off->in_rounds = 0;
	for (size_t i = 0; i < ROUNDS; i++) {
		struct side *first = i % 2 == 0 ? on : off, *second = i % 2 == 0 ? off : on;

		first->per_message_us[i] = run_load(first, messages);
		second->per_message_us[i] = run_load(second, messages);
	}
	sleep_ms(WRITER_INTERVAL_MS + 500);
	out->on_us = cost_of(on, process_cpu_ns(on->child.pid) - on_ns, messages);
	out->off_us = cost_of(off, process_cpu_ns(off->child.pid) - off_ns, messages);
}

/* One process of each kind. */
static void
try_pair(const char *front, const struct corpus *corpus, size_t messages, struct cost *out)
{
	struct name_server *dns = name_server_start(0, corpus->zone, 0);
	struct side on = { .name = "on" }, off = { .name = "off" };

	(void)snprintf(on.store, sizeof(on.store), "%s/reports.db", folder);
	start(&on, front, corpus, name_server_port(dns));
	start(&off, front, corpus, name_server_port(dns));
	(void)run_load(&on, messages); /* warm */
	(void)run_load(&off, messages);
	load_in_turns(&on, &off, messages, out);
	stop(&on);
	stop(&off);
	name_server_stop(&dns);
	/* It is no saving that nothing was remembered. */
	assert_int_equal(backend_sum_of_file(on.store).messages, on.messages);
	assert_int_equal(unlink(on.store), 0);
}

static double
ratio_of(const struct cost *c)
{
	return c->on_us / c->off_us;
}

static int
compare_ratio(const void *a, const void *b)
{
	double x = ratio_of(a), y = ratio_of(b);

	return x < y ? -1 : x > y;
}

/* The cost with the store to that without: of the pair in the middle. */
static double
try_pairs(const char *front, const struct corpus *corpus, const char *mail, size_t messages)
{
	struct cost costs[PAIRS], *middle = &costs[PAIRS / 2];

	for (size_t i = 0; i < PAIRS; i++)
		try_pair(front, corpus, messages, &costs[i]);
	qsort(costs, PAIRS, sizeof(costs[0]), compare_ratio);
	print_message("%s, %s: %.1f us of processor time a message with the store, %.1f without: "
		      "%+.1f us, %+.1f%%\n",
	    front, mail, middle->on_us, middle->off_us, middle->on_us - middle->off_us,
	    (ratio_of(middle) - 1) * 100);
	return ratio_of(middle);
}

/* ---- the mail ---- */

static void
take_signatures_away(struct corpus *c)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct header_list all = c->messages[i].header;

		c->messages[i].header = (struct header_list){ 0 };
		for (size_t f = 0; f < all.count; f++)
			if (!slice_equal(all.fields[f].name, SLICE("DKIM-Signature")))
				header_list_add(&c->messages[i].header, c->arena,
				    all.fields[f].name, all.fields[f].value);
		c->messages[i].body = SLICE("Hello.\r\n");
	}
}

static void
the_store_costs_little(void **state)
{
	static const struct {
		const char *front;
		size_t messages; /* of a round: long enough for the scheduler's clock */
	} fronts[] = { { "native", 3000 }, { "libmilter", 600 } };

	(void)state;
	for (size_t i = 0; i < sizeof(fronts) / sizeof(fronts[0]); i++) {
		const size_t messages = fronts[i].messages;
		double ratio = COST_MOST;
		struct corpus c;

		corpus_new(&c, CORPUS_SMALL, CORPUS_MESSAGES);
		for (size_t n = 0; n < ATTEMPTS && ratio >= COST_MOST; n++)
			ratio = try_pairs(fronts[i].front, &c, "signed", messages);
		assert_true(ratio < COST_MOST);
		take_signatures_away(&c);
		(void)try_pairs(fronts[i].front, &c, "unsigned", messages);
		corpus_free(&c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_store_costs_little) };
	const char *build = getenv("ASSAY_BUILD");
	int failed;

	if (getenv("ASSAY_SANITIZED") != NULL) {
		(void)puts("skipped: a sanitizer's own cost is none of the store's");
		return SKIPPED;
	}
	if (build == NULL || !backend_folder(folder))
		return EXIT_FAILURE;
	(void)snprintf(assayd, sizeof(assayd), "%s/assayd", build);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	backend_folder_remove(folder);
	return failed;
}
