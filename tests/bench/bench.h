/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         bench - what the files of the benchmark share
 */
#ifndef ASSAY_BENCH_BENCH_H
#define ASSAY_BENCH_BENCH_H

#include <stdint.h>
#include <time.h>

#include "policy/base/bug.h"

static inline uint64_t
now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

#endif
