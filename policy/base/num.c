/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/num.h"

int
num_u64(struct slice text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (text.len == 0)
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		if (!ascii_is_digit(text.p[i]) || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(text.p[i] - '0'), &n))
			return -1;
	}
	if (n < min || n > max)
		return -1;
	*out = n;
	return 0;
}

int
num_u32(struct slice text, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t n;

	if (num_u64(text, min, max, &n) != 0)
		return -1;
	*out = (uint32_t)n;
	return 0;
}
