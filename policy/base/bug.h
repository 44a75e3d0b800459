/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         bug - the two ways in which the process ends by itself
 * DESCRIPTION  bug() is for what can't happen: a bad enum, a broken invariant of our own. Input is
 *              never a bug. out_of_memory() is for the machine, not for a message's own ceiling.
 *              Both write one line to standard error and abort; the supervisor restarts us and the
 *              MTA's default action takes over meanwhile.
 */
#ifndef ASSAY_BUG_H
#define ASSAY_BUG_H

#include <stddef.h>

_Noreturn void bug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void out_of_memory(size_t wanted_bytes);

/* malloc family that never returns NULL, for what outlives a message. */
void *heap_alloc(size_t count, size_t size) __attribute__((returns_nonnull, malloc));
char *heap_copy(const char *s) __attribute__((returns_nonnull, malloc));

#endif
