/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         deadline - until when a condition is waited for
 * DESCRIPTION  For pthread_cond_timedwait() on a condition made with CLOCK_MONOTONIC, so that
 *              nobody waits longer because the wall clock was set.
 */
#ifndef ASSAY_REPORT_DEADLINE_H
#define ASSAY_REPORT_DEADLINE_H

#include <stdint.h>
#include <time.h>

#include "policy/base/bug.h"

static inline struct timespec
deadline_in_ms(uint32_t ms)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		bug("clock_gettime");
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

#endif
