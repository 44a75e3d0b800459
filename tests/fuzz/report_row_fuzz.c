/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the store keeps, read back: rows and policy configurations as bytes. Asserted beyond
 * survival: what can be read is written again as the very same bytes, or equal rows would not be
 * merged. A folded row can be read, and stays what it is when it is folded again, by the fleet's
 * store.
 */
#include <stdint.h>

#include "policy/base/bug.h"
#include "report/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fold(struct arena *a, const struct report_row *row, bool with_source)
{
	struct report_row once = *row, twice;
	struct slice bytes;
	const char *error;

	report_row_fold(&once, SLICE("example.com"), with_source);
	bytes = report_row_encode(a, &once);
	if (report_row_decode(a, bytes, &twice, &error) != 0)
		bug("a folded row: %s", error);
	report_row_fold(&twice, SLICE("example.com"), with_source);
	if (!slice_equal(report_row_encode(a, &twice), bytes))
		bug("a row that is folded otherwise");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(4u * 1024 * 1024);
	struct slice bytes = slice_of((const char *)data, size);
	struct report_policy policy;
	struct report_row row;
	const char *error = NULL;

	if (report_row_decode(a, bytes, &row, &error) == 0) {
		if (!slice_equal(report_row_encode(a, &row), bytes))
			bug("a row that is written otherwise");
		fold(a, &row, true);
		fold(a, &row, false);
	} else if (error == NULL) {
		bug("a fault without a text");
	}
	error = NULL;
	if (report_policy_decode(bytes, &policy, &error) == 0) {
		if (!slice_equal(report_policy_encode(a, &policy), bytes))
			bug("a policy that is written otherwise");
	} else if (error == NULL) {
		bug("a fault without a text");
	}
	arena_free(&a);
	return 0;
}
