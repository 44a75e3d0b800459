/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         poison - memory of ours that nobody may touch for now
 * DESCRIPTION  Tells AddressSanitizer so, where the program is built with it: memory that is kept
 *              instead of freed would hide from it who still uses what was in it. Else nothing.
 */
#ifndef ASSAY_POISON_H
#define ASSAY_POISON_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_WORKS
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define POISON_WORKS
#endif

#ifdef POISON_WORKS
#include <sanitizer/asan_interface.h>

static inline void
poison(const void *p, size_t size)
{
	__asan_poison_memory_region(p, size);
}

static inline void
unpoison(const void *p, size_t size)
{
	__asan_unpoison_memory_region(p, size);
}

static inline bool
is_poisoned(const void *p)
{
	return __asan_address_is_poisoned(p) != 0;
}
#else
static inline void
poison(const void *p, size_t size)
{
	(void)p;
	(void)size;
}

static inline void
unpoison(const void *p, size_t size)
{
	(void)p;
	(void)size;
}
#endif

#endif
