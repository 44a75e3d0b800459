/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         measure - runs over subjects, and the numbers they give
 * DESCRIPTION  All subjects of a table are up at once and loaded one after the other, round by
 *              round, so that whatever else the machine does meets all of them; a number is the
 *              median of its rounds. Each is warmed with every message once. For each number of
 *              connections they are started anew: peak memory is that of these connections.
 */
#ifndef ASSAY_BENCH_MEASURE_H
#define ASSAY_BENCH_MEASURE_H

#include "tests/bench/subject.h"

#define CONNECTION_COUNTS 4
extern const size_t connection_counts[CONNECTION_COUNTS]; /* 1, 8, 64, 512 */

struct pace {
	size_t rounds;
	double round_s;
};

struct numbers {
	bool there;
	double rate;   /* messages a second */
	double cpu_ms; /* of the filter, a message */
	double whole_p50_ms, whole_p99_ms, end_p50_ms, end_p99_ms;
	size_t peak_kb;
	size_t wrong, broken; /* of all rounds together */
};

struct table {
	struct numbers cells[SUBJECTS][CONNECTION_COUNTS];
};

struct table_plan {
	const struct lab *lab;
	const struct corpus *corpus;
	struct pace pace;
	bool whole_corpus; /* rounds end where the corpus does: its messages are not alike */
	bool wanted[SUBJECTS];
	bool counts[CONNECTION_COUNTS];
};

void measure_table(const struct table_plan *plan, struct table *out);

/* One subject with a load of so many messages a second, into the column of 64 connections. */
#define PACED_COLUMN 2
void measure_paced(
    const struct table_plan *plan, enum subject_id id, double rate, struct table *out);

struct memory {
	bool there;
	size_t idle_few_kb, idle_many_kb; /* RSS with 64 and 512 idle connections, a message each */
	size_t small_kb, large_kb;	  /* peak after a message of 1 MB, of 100 MB */
};
void measure_memory(const struct table_plan *plan, enum subject_id id, struct memory *out);

#endif
