/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/median.h"

#include <stdlib.h>
#include <string.h>

static int
compare_double(const void *a, const void *b)
{
	double x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

double
median_of(double *values, size_t count)
{
	qsort(values, count, sizeof(values[0]), compare_double);
	return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}
