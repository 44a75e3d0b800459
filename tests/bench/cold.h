/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         cold - how fast mail goes by while every question is a new one
 * DESCRIPTION  Every message has questions of its own, which DNS answers after a while. Each round
 * has a process just started; numbers are medians of the rounds. That process has its few first
 * threads only, so the messages after the first ones are timed by themselves as well: a filter in
 * service is never without connections.
 */
#ifndef ASSAY_BENCH_COLD_H
#define ASSAY_BENCH_COLD_H

#include "tests/bench/subject.h"

#define COLD_CONNECTIONS 64
#define COLD_LATENCY_MS	 20
/* Questions that no filter can ask before it has the answer to another: the address of the name
 * that the client's address has. All others can be asked beside those two. */
#define COLD_STEPS   2
#define COLD_LEAD_IN ((size_t)2 * COLD_CONNECTIONS)

struct cold {
	bool there;
	size_t messages;
	double all_s;		    /* for all of them */
	double after_s;		    /* for those behind the first COLD_LEAD_IN */
	double cpu_ms;		    /* a message, of the subject */
	double p50_ms;		    /* of a message */
	uint64_t queries, distinct; /* of all rounds together */
	size_t wrong;
};

void cold_measure(const struct lab *lab, enum subject_id id, const struct corpus *distinct,
    size_t rounds, struct cold *out);

/* What that many messages take by the latency alone. */
double cold_least_s(size_t messages);

#endif
