/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the store keeps, read back: rows and policy configurations as bytes. Asserted beyond
 * survival: what can be read is written again as the very same bytes, or equal rows would not be
 * merged.
 */
#include <stdint.h>

#include "policy/base/bug.h"
#include "report/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
