/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/cold.h"

#include <string.h>

#include "tests/bench/load.h"
#include "tests/bench/median.h"
#include "tests/bench/name_server.h"
#include "tests/bench/process.h"

#define ROUNDS_MAX    15
#define ROUND_LIMIT_S 20

/* A number of each round. */
struct rounds {
	double all_s[ROUNDS_MAX], after_s[ROUNDS_MAX], cpu_ms[ROUNDS_MAX], p50_ms[ROUNDS_MAX];
	size_t count;
};

static void
note_round(struct rounds *rounds, const struct load_result *r, uint64_t cpu_ns)
{
	size_t i = rounds->count++;

	rounds->all_s[i] = (double)r->took_us / 1e6;
	rounds->after_s[i] = (double)(r->took_us - r->lead_us) / 1e6;
	rounds->cpu_ms[i] = (double)cpu_ns / 1e6 / (r->messages == 0 ? 1 : (double)r->messages);
	rounds->p50_ms[i] = load_percentile(r->whole_us, r->messages, 50) / 1e3;
}

static void
run_round(const struct lab *lab, enum subject_id id, const struct corpus *distinct,
    struct rounds *rounds, struct cold *out)
{
	const struct load_plan plan = { .connections = COLD_CONNECTIONS,
		.messages = distinct->count,
		.messages_per_connection = 1,
		.lead_in = COLD_LEAD_IN };
	struct name_server *dns = name_server_start(lab->dns_port, distinct->zone, COLD_LATENCY_MS);
	struct subject s;

	if (subject_start(&s, lab, id, distinct) == 0) {
		uint64_t queries, questions, before = process_cpu_ns(s.child.pid);
		struct load_result r;
		struct load *l = load_run(&s.script, &plan, ROUND_LIMIT_S, &r);

		note_round(rounds, &r, process_cpu_ns(s.child.pid) - before);
		name_server_count(dns, &queries, &questions);
		out->queries += queries;
		out->distinct += questions;
		out->wrong += r.wrong + (plan.messages - r.messages);
		load_end(&l, &r);
		subject_stop(&s);
	}
	name_server_stop(&dns);
}

void
cold_measure(const struct lab *lab, enum subject_id id, const struct corpus *distinct,
    size_t rounds, struct cold *out)
{
	struct rounds all = { .count = 0 };

	memset(out, 0, sizeof(*out));
	out->messages = distinct->count;
	for (size_t i = 0; i < rounds && i < ROUNDS_MAX; i++)
		run_round(lab, id, distinct, &all, out);
	if (all.count == 0)
		return;
	out->there = true;
	out->all_s = median_of(all.all_s, all.count);
	out->after_s = median_of(all.after_s, all.count);
	out->cpu_ms = median_of(all.cpu_ms, all.count);
	out->p50_ms = median_of(all.p50_ms, all.count);
}

/* All connections go in step: a last wave that is not full takes as long as the others. */
double
cold_least_s(size_t messages)
{
	size_t waves = (messages + COLD_CONNECTIONS - 1) / COLD_CONNECTIONS;

	return (double)waves * COLD_STEPS * COLD_LATENCY_MS / 1e3;
}
