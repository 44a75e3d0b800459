/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         report_reader - an aggregate report, read back with libxml2
 * DESCRIPTION  By its tree and not by its order: it shares nothing with what wrote it. Words that
 *              are none fail the test.
 */
#ifndef ASSAY_TEST_REPORT_READER_H
#define ASSAY_TEST_REPORT_READER_H

#include "report/row.h"

struct read_report { /* arena memory */
	struct slice org_name, email, extra_contact, report_id, generator;
	int64_t begin_s, end_s;
	struct report_policy policy; /* errors: those in metadata, with line ends between */
	size_t error_count;
	struct report_row *rows;
	size_t row_count;
};

void report_read(struct arena *a, struct slice xml, struct read_report *out);

#endif
