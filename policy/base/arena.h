/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         arena - memory that lives as long as one message
 * DESCRIPTION  Objects are carved from blocks and freed all at once by arena_reset(). Nothing
 *              taken from an arena has a _free of its own.
 *              The ceiling is a promise kept by whoever lets input in: it asks arena_has_room()
 *              before it stores what a peer sent, and names that limit when the answer is no.
 *              Allocation itself never returns NULL and never fails by the ceiling.
 * DIAGNOSTICS  The machine out of memory, or a size that overflows: bug-free code can't go on;
 *              a line on standard error, abort.
 * BUGS         MT: one thread at a time.
 */
#ifndef ASSAY_ARENA_H
#define ASSAY_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "policy/base/slice.h"

struct arena;

struct arena *arena_new(size_t ceiling_bytes);
void arena_free(struct arena **a);

/* Give back all but the first block; every pointer into the arena is dead. */
void arena_reset(struct arena *a);

/* Zeroed, aligned for any object. size 0 gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull, malloc));

/* count objects of size bytes each, zeroed; the product is checked. */
void *arena_array(struct arena *a, size_t count, size_t size) __attribute__((returns_nonnull));

/* size bytes as they come, for a caller who fills them at once. */
char *arena_bytes(struct arena *a, size_t size) __attribute__((returns_nonnull, malloc));

/* A copy of the bytes, with a NUL behind that is not counted. */
struct slice arena_copy(struct arena *a, struct slice s);

/* The same of two, one behind the other. */
struct slice arena_join(struct arena *a, struct slice first, struct slice second);

/* A copy in ASCII lower case. */
struct slice arena_copy_lower(struct arena *a, struct slice s);

/* NUL-terminated copy for calls that want one; a NUL inside ends it early. */
const char *arena_str(struct arena *a, struct slice s) __attribute__((returns_nonnull));

const char *arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));
const char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0), returns_nonnull));

/*
 * s as it may be shown to people: bytes outside printable ASCII, and the backslash, as \xNN;
 * cut at max bytes of input with "..." behind.
 */
const char *arena_printable(struct arena *a, struct slice s, size_t max)
    __attribute__((returns_nonnull));

/*
 * What arena_printable() made, cut: its backslashes stay, for escaped once more it would be
 * "\x5cx00". Any other byte that may not be shown is escaped all the same.
 */
const char *arena_cut(struct arena *a, struct slice s, size_t max) __attribute__((returns_nonnull));

size_t arena_used(const struct arena *a);
bool arena_has_room(const struct arena *a, size_t bytes);

#endif
