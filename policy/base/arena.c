/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/arena.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/base/bug.h"
#include "policy/base/poison.h"

#define FIRST_BLOCK_BYTES 8192 /* what an idle connection keeps */
#define BLOCK_BYTES	  32768
#define LARGE_BYTES	  (BLOCK_BYTES / 4) /* more of a block is never left empty */
#define ALIGNMENT	  _Alignof(max_align_t)
#define SPARES		  16

struct block {
	struct block *next; /* older block */
	size_t size;	    /* bytes in data */
	_Alignas(max_align_t) char data[];
};

struct arena {
	size_t ceiling_bytes;
	struct block *first; /* kept until the end */
	/* Reset together by arena_reset(). */
	struct block *newest;
	size_t fill;	     /* bytes taken of newest->data */
	struct block *large; /* with one object each */
	size_t used;	     /* bytes given out in all */
};

/*
 * Blocks for the next message: nearly every one needs exactly one beyond its first, and malloc()
 * would look for it, behind a lock, among what all threads have given back. A thread has its place;
 * where there are more threads than places, some share. MT: taken and put back by exchange.
 */
static _Atomic(struct block *) spares[SPARES];

static _Atomic(struct block *) *
spare_place(void)
{
	static atomic_uint threads;
	static _Thread_local unsigned number; /* from 1 */

	if (number == 0)
		number = atomic_fetch_add(&threads, 1) + 1;
	return &spares[number % SPARES];
}

static struct block *
block_new(size_t size, struct block *next)
{
	struct block *b = NULL;

	if (size > SIZE_MAX - sizeof(*b))
		out_of_memory(size);
	if (size == BLOCK_BYTES)
		b = atomic_exchange(spare_place(), NULL);
	if (b == NULL)
		b = malloc(sizeof(*b) + size);
	if (b == NULL)
		out_of_memory(size);
	unpoison(b->data, size);
	b->next = next;
	b->size = size;
	return b;
}

static void
block_free(struct block *b)
{
	poison(b->data, b->size);
	free(b->size == BLOCK_BYTES ? atomic_exchange(spare_place(), b) : b);
}

struct arena *
arena_new(size_t ceiling_bytes)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (a == NULL)
		out_of_memory(sizeof(*a));
	a->ceiling_bytes = ceiling_bytes;
	a->first = a->newest = block_new(FIRST_BLOCK_BYTES, NULL);
	return a;
}

/* Free b and the older ones down to `kept`, which is left. */
static struct block *
free_blocks(struct block *b, const struct block *kept)
{
	while (b != kept) {
		struct block *older = b->next;

		block_free(b);
		b = older;
	}
	return b;
}

void
arena_reset(struct arena *a)
{
	a->newest = free_blocks(a->newest, a->first);
	a->large = free_blocks(a->large, NULL);
	a->fill = 0;
	a->used = 0;
}

void
arena_free(struct arena **a)
{
	if (*a == NULL)
		return;
	arena_reset(*a);
	free((*a)->first);
	free(*a);
	*a = NULL;
}

/* Uninitialized memory: for callers that fill all of it. */
static void *
take(struct arena *a, size_t size)
{
	void *p;

	if (size > SIZE_MAX - ALIGNMENT)
		out_of_memory(size);
	size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	a->used += size;
	if (size > a->newest->size - a->fill) {
		if (size > LARGE_BYTES) {
			a->large = block_new(size, a->large);
			return a->large->data;
		}
		a->newest = block_new(BLOCK_BYTES, a->newest);
		a->fill = 0;
	}
	p = a->newest->data + a->fill;
	a->fill += size;
	return p;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	return memset(take(a, size), 0, size);
}

char *
arena_bytes(struct arena *a, size_t size)
{
	return take(a, size);
}

void *
arena_array(struct arena *a, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		out_of_memory(SIZE_MAX);
	return arena_alloc(a, bytes);
}

struct slice
arena_copy(struct arena *a, struct slice s)
{
	char *p = take(a, s.len + 1);

	if (s.len > 0)
		memcpy(p, s.p, s.len);
	p[s.len] = '\0';
	return slice_of(p, s.len);
}

struct slice
arena_join(struct arena *a, struct slice first, struct slice second)
{
	char *p = take(a, first.len + second.len + 1);

	if (first.len > 0)
		memcpy(p, first.p, first.len);
	if (second.len > 0)
		memcpy(p + first.len, second.p, second.len);
	p[first.len + second.len] = '\0';
	return slice_of(p, first.len + second.len);
}

struct slice
arena_copy_lower(struct arena *a, struct slice s)
{
	char *p = take(a, s.len + 1);

	for (size_t i = 0; i < s.len; i++)
		p[i] = ascii_lower(s.p[i]);
	p[s.len] = '\0';
	return slice_of(p, s.len);
}

const char *
arena_str(struct arena *a, struct slice s)
{
	return arena_copy(a, s).p;
}

/* Printed where it will stay, and once more only when there was no room for it. */
const char *
arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	size_t room = a->newest->size - a->fill;
	va_list again;
	char *p;
	int n;

	va_copy(again, ap);
	n = vsnprintf(a->newest->data + a->fill, room, fmt, again);
	va_end(again);
	if (n < 0)
		bug("arena_vprintf: format \"%s\"", fmt);
	p = take(a, (size_t)n + 1);
	if ((size_t)n >= room)
		(void)vsnprintf(p, (size_t)n + 1, fmt, ap);
	return p;
}

const char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	const char *p;

	va_start(ap, fmt);
	p = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return p;
}

static const char *
printable(struct arena *a, struct slice s, size_t max, bool escape_backslash)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = s.len < max ? s.len : max;
	char *p = take(a, 4 * n + sizeof("..."));
	char *out = p;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c >= 0x20 && c < 0x7f && (c != '\\' || !escape_backslash)) {
			*out++ = (char)c;
			continue;
		}
		*out++ = '\\';
		*out++ = 'x';
		*out++ = digits[c >> 4];
		*out++ = digits[c & 15];
	}
	memcpy(out, s.len > n ? "..." : "", s.len > n ? sizeof("...") : 1);
	return p;
}

const char *
arena_printable(struct arena *a, struct slice s, size_t max)
{
	return printable(a, s, max, true);
}

const char *
arena_cut(struct arena *a, struct slice s, size_t max)
{
	return printable(a, s, max, false);
}

size_t
arena_used(const struct arena *a)
{
	return a->used;
}

bool
arena_has_room(const struct arena *a, size_t bytes)
{
	return a->used <= a->ceiling_bytes && bytes <= a->ceiling_bytes - a->used;
}
