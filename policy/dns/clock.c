/* SPDX-License-Identifier: BSD-2-Clause */
#include <time.h>

#include "policy/dns/internal.h"

uint64_t
dns_monotonic_ms(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
		bug("clock_gettime");
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int
monotonic_wait(pthread_cond_t *arrived, pthread_mutex_t *lock, uint64_t until_ms)
{
	const struct timespec until = { .tv_sec = (time_t)(until_ms / 1000),
		.tv_nsec = (long)(until_ms % 1000) * 1000000 };

	return pthread_cond_timedwait(arrived, lock, &until);
}

const struct dns_clock dns_monotonic = { dns_monotonic_ms, monotonic_wait };
