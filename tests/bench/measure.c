/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"
#include "tests/bench/load.h"
#include "tests/bench/median.h"
#include "tests/bench/name_server.h"
#include "tests/bench/process.h"

#define ROUNDS_MAX     15
#define ROUND_LIMIT_S  20
#define PER_CONNECTION 10
#define IDLE_FEW       64
#define IDLE_MANY      512
#define LARGE_BYTES    (100u * 1024 * 1024)
#define MEDIUM_BYTES   (1024u * 1024)
#define SETTLE_MS      200

const size_t connection_counts[CONNECTION_COUNTS] = { 1, 8, 64, 512 };

/* One subject in one column. */
struct trial {
	struct subject subject;
	bool up;
	struct load_plan plan;
	struct numbers rounds[ROUNDS_MAX];
	size_t wrong, broken;
};

static struct numbers
numbers_of(const struct load_result *r, uint64_t cpu_ns)
{
	double n = r->messages == 0 ? 1 : (double)r->messages;

	return (struct numbers){
		.rate = r->took_us == 0 ? 0 : (double)r->messages * 1e6 / (double)r->took_us,
		.cpu_ms = (double)cpu_ns / 1e6 / n,
		.whole_p50_ms = load_percentile(r->whole_us, r->messages, 50) / 1e3,
		.whole_p99_ms = load_percentile(r->whole_us, r->messages, 99) / 1e3,
		.end_p50_ms = load_percentile(r->end_us, r->messages, 50) / 1e3,
		.end_p99_ms = load_percentile(r->end_us, r->messages, 99) / 1e3,
	};
}

/* One load, with what it cost the subject. */
static struct numbers
run_once(struct subject *s, const struct load_plan *plan, size_t *wrong, size_t *broken)
{
	struct load_result r;
	uint64_t before = process_cpu_ns(s->child.pid), after;
	struct load *l = load_run(&s->script, plan, ROUND_LIMIT_S, &r);
	struct numbers n;

	after = process_cpu_ns(s->child.pid);
	n = numbers_of(&r, after - before);
	*wrong += subject_judges(s->id) ? r.wrong : r.tempfailed;
	*broken += r.broken + (plan->messages - r.messages);
	load_end(&l, &r);
	return n;
}

/* How many messages make a round of that length. */
static size_t
round_messages(const struct table_plan *plan, size_t connections, double rate)
{
	size_t n = (size_t)(rate * plan->pace.round_s), unit = plan->corpus->count;

	if (n < 2 * connections)
		n = 2 * connections;
	return plan->whole_corpus ? (n + unit - 1) / unit * unit : n;
}

static void
start_trial(struct trial *t, const struct table_plan *plan, enum subject_id id, size_t connections)
{
	struct numbers warm;

	memset(t, 0, sizeof(*t));
	t->up = subject_start(&t->subject, plan->lab, id, plan->corpus) == 0;
	if (!t->up)
		return;
	t->plan = (struct load_plan){ .connections = connections,
		.messages = plan->corpus->count > connections ? plan->corpus->count : connections,
		.messages_per_connection = PER_CONNECTION };
	warm = run_once(&t->subject, &t->plan, &t->wrong, &t->broken);
	/* The first time is the slowest: what asks DNS for every message is no slower later. */
	warm = run_once(&t->subject, &t->plan, &t->wrong, &t->broken);
	t->plan.messages = round_messages(plan, connections, warm.rate);
}

/* ---- medians ---- */

/* Of the member at that offset. */
static double
median(const struct numbers *rounds, size_t count, size_t offset)
{
	double values[ROUNDS_MAX];

	for (size_t i = 0; i < count; i++)
		memcpy(&values[i], (const char *)&rounds[i] + offset, sizeof(values[i]));
	return median_of(values, count);
}

#define MEDIAN(t, n, member) median((t)->rounds, (n), offsetof(struct numbers, member))

static void
end_trial(struct trial *t, size_t rounds, struct numbers *out)
{
	if (!t->up)
		return;
	*out = (struct numbers){ .there = true,
		.rate = MEDIAN(t, rounds, rate),
		.cpu_ms = MEDIAN(t, rounds, cpu_ms),
		.whole_p50_ms = MEDIAN(t, rounds, whole_p50_ms),
		.whole_p99_ms = MEDIAN(t, rounds, whole_p99_ms),
		.end_p50_ms = MEDIAN(t, rounds, end_p50_ms),
		.end_p99_ms = MEDIAN(t, rounds, end_p99_ms),
		.peak_kb = process_peak_rss_kb(t->subject.child.pid),
		.wrong = t->wrong,
		.broken = t->broken };
	subject_stop(&t->subject);
}

static size_t
rounds_of(const struct table_plan *plan)
{
	return plan->pace.rounds < ROUNDS_MAX ? plan->pace.rounds : ROUNDS_MAX;
}

static void
measure_column(const struct table_plan *plan, size_t column, struct table *out)
{
	struct trial trials[SUBJECTS] = { 0 };
	size_t rounds = rounds_of(plan);

	for (enum subject_id id = 0; id < SUBJECTS; id++)
		if (plan->wanted[id])
			start_trial(&trials[id], plan, id, connection_counts[column]);
	for (size_t round = 0; round < rounds; round++)
		for (enum subject_id id = 0; id < SUBJECTS; id++)
			if (trials[id].up)
				trials[id].rounds[round] = run_once(&trials[id].subject,
				    &trials[id].plan, &trials[id].wrong, &trials[id].broken);
	for (enum subject_id id = 0; id < SUBJECTS; id++)
		end_trial(&trials[id], rounds, &out->cells[id][column]);
}

void
measure_table(const struct table_plan *plan, struct table *out)
{
	struct name_server *dns = name_server_start(plan->lab->dns_port, plan->corpus->zone, 0);

	memset(out, 0, sizeof(*out));
	for (size_t column = 0; column < CONNECTION_COUNTS; column++)
		if (plan->counts[column]) {
			(void)fprintf(stderr, "%zu connections\n", connection_counts[column]);
			measure_column(plan, column, out);
		}
	name_server_stop(&dns);
}

/* ---- the rest ---- */

void
measure_paced(const struct table_plan *plan, enum subject_id id, double rate, struct table *out)
{
	struct name_server *dns = name_server_start(plan->lab->dns_port, plan->corpus->zone, 0);
	size_t rounds = rounds_of(plan);
	struct trial t;

	start_trial(&t, plan, id, connection_counts[PACED_COLUMN]);
	t.plan.rate = (uint32_t)rate;
	t.plan.messages = (size_t)(rate * plan->pace.round_s) + 1;
	for (size_t round = 0; round < rounds && t.up; round++)
		t.rounds[round] = run_once(&t.subject, &t.plan, &t.wrong, &t.broken);
	end_trial(&t, rounds, &out->cells[id][PACED_COLUMN]);
	name_server_stop(&dns);
}

/* RSS with that many connections, each of which has had a message. */
static size_t
idle_kb(struct subject *s, size_t connections)
{
	const struct load_plan plan = {
		.connections = connections, .messages = connections, .stay = true
	};
	struct load_result r;
	struct load *l = load_run(&s->script, &plan, ROUND_LIMIT_S, &r);
	size_t kb;

	sleep_ms(SETTLE_MS);
	kb = process_rss_kb(s->child.pid);
	load_end(&l, &r);
	return kb;
}

static size_t
large_kb(const struct lab *lab, enum subject_id id, size_t bytes)
{
	const struct load_plan plan = { .connections = 1, .messages = 2 };
	struct corpus corpus;
	struct name_server *dns;
	struct subject s;
	size_t kb = 0, wrong = 0, broken = 0;

	corpus_new_large(&corpus, bytes);
	dns = name_server_start(lab->dns_port, corpus.zone, 0);
	if (subject_start(&s, lab, id, &corpus) == 0) {
		(void)run_once(&s, &plan, &wrong, &broken);
		kb = wrong + broken > 0 ? 0 : process_peak_rss_kb(s.child.pid);
		subject_stop(&s);
	}
	name_server_stop(&dns);
	corpus_free(&corpus);
	return kb;
}

void
measure_memory(const struct table_plan *plan, enum subject_id id, struct memory *out)
{
	struct name_server *dns = name_server_start(plan->lab->dns_port, plan->corpus->zone, 0);
	struct subject s;

	memset(out, 0, sizeof(*out));
	if (subject_start(&s, plan->lab, id, plan->corpus) == 0) {
		out->there = true;
		out->idle_few_kb = idle_kb(&s, IDLE_FEW);
		out->idle_many_kb = idle_kb(&s, IDLE_MANY);
		subject_stop(&s);
	}
	name_server_stop(&dns);
	if (out->there) {
		out->small_kb = large_kb(plan->lab, id, MEDIUM_BYTES);
		out->large_kb = large_kb(plan->lab, id, LARGE_BYTES);
	}
}
