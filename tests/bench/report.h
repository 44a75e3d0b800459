/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         report - what was measured, as tables in Markdown
 */
#ifndef ASSAY_BENCH_REPORT_H
#define ASSAY_BENCH_REPORT_H

#include <stdio.h>

#include "tests/bench/cold.h"
#include "tests/bench/measure.h"

struct results {
	const struct lab *lab;
	bool wanted[SUBJECTS];
	struct pace pace;
	struct table small, mixed;
	struct table paced; /* small, each subject at half of the rate it has there */
	struct memory memory[SUBJECTS];
	struct cold cold[SUBJECTS];
	double took_s, busy; /* busy: load average of the machine before the run */
};

void report_print(FILE *f, const struct results *r);

/* Put the report between the marks in that file, which must have them. 0, or -1: said why. */
int report_into(const char *path, const struct results *r);

#endif
