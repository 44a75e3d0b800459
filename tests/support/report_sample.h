/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         report_sample - a policy and rows as they come out of a store, for tests
 * DESCRIPTION  Rows of every kind: all results, overrides with comments, a null reverse-path,
 *              IPv6, many signatures, and one full of what no report may hold.
 */
#ifndef ASSAY_TEST_REPORT_SAMPLE_H
#define ASSAY_TEST_REPORT_SAMPLE_H

#include "report/aggregate.h"

#define SAMPLE_BEGIN_S 1795564800 /* 2026-11-25 00:00:00 UTC */
#define SAMPLE_END_S   1795651200

extern const struct report_policy sample_policy;
extern const struct report_row sample_rows[];
extern const size_t sample_row_count;

/* Hands out rows one by one; fail_at: the row before which it fails, or SIZE_MAX. */
struct row_source {
	const struct report_row *rows;
	size_t count, fail_at;
	uint64_t repeat; /* give all of them so many times more */
};
aggregate_rows_fn row_source_give;

/* A report of the sample by source; everything but rows and policy filled in. */
struct aggregate_report sample_report(struct row_source *source, enum aggregate_format format);

#endif
