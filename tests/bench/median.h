/* SPDX-License-Identifier: BSD-2-Clause */
/* NAME         median - of numbers that were measured */
#ifndef ASSAY_BENCH_MEDIAN_H
#define ASSAY_BENCH_MEDIAN_H

#include <stddef.h>

/* Sorts the values; count > 0. */
double median_of(double *values, size_t count);

#endif
