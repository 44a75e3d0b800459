/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/strbuf.h"

#include <string.h>

#define STRBUF_START_BYTES 128

void
strbuf_init(struct strbuf *b, struct arena *a, size_t max_bytes)
{
	*b = (struct strbuf){ .arena = a, .max_bytes = max_bytes };
}

static void
grow(struct strbuf *b, size_t want)
{
	size_t size = b->size == 0 ? STRBUF_START_BYTES : b->size;
	char *p;

	while (size < want)
		size *= 2;
	p = arena_bytes(b->arena, size);
	if (b->len > 0)
		memcpy(p, b->p, b->len);
	b->p = p;
	b->size = size;
}

/* Make room for n more bytes and the NUL; n is at most max_bytes - len. */
static inline void
make_room(struct strbuf *b, size_t n)
{
	if (b->len + n + 1 > b->size)
		grow(b, b->len + n + 1);
}

void
strbuf_add(struct strbuf *b, struct slice s)
{
	size_t n = s.len;

	if (n > b->max_bytes - b->len) {
		n = b->max_bytes - b->len;
		b->truncated = true;
	}
	make_room(b, n);
	if (n > 0)
		memcpy(b->p + b->len, s.p, n);
	b->len += n;
	b->p[b->len] = '\0';
}

void
strbuf_char(struct strbuf *b, char c)
{
	if (b->len == b->max_bytes) {
		b->truncated = true;
		return;
	}
	make_room(b, 1);
	b->p[b->len++] = c;
	b->p[b->len] = '\0';
}

void
strbuf_number(struct strbuf *b, uint64_t number)
{
	char digits[20]; /* of 2^64 - 1 */
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	strbuf_add(b, slice_of(digits + at, sizeof(digits) - at));
}

void
strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strbuf_add(b, slice_str(arena_vprintf(b->arena, fmt, ap)));
	va_end(ap);
}

struct slice
strbuf_slice(struct strbuf *b)
{
	make_room(b, 0);
	b->p[b->len] = '\0';
	return slice_of(b->p, b->len);
}
