/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         strbuf - text that is built up, in an arena, up to a maximum
 * DESCRIPTION  Appending past max_bytes keeps what fits and sets truncated; nothing is written
 *              out of bounds and no append fails. strbuf_slice() is NUL-terminated behind its end
 *              and valid until the next append.
 */
#ifndef ASSAY_STRBUF_H
#define ASSAY_STRBUF_H

#include <stdint.h>

#include "policy/base/arena.h"

struct strbuf {
	struct arena *arena;
	char *p;
	size_t len;
	size_t size; /* bytes behind p, the NUL included */
	size_t max_bytes;
	bool truncated;
};

void strbuf_init(struct strbuf *b, struct arena *a, size_t max_bytes);
void strbuf_add(struct strbuf *b, struct slice s);
void strbuf_char(struct strbuf *b, char c);
void strbuf_number(struct strbuf *b, uint64_t number); /* decimal */
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct slice strbuf_slice(struct strbuf *b);

/* Here, so that the length of a literal is known when it is compiled. */
static inline void
strbuf_str(struct strbuf *b, const char *s)
{
	strbuf_add(b, slice_str(s));
}

#endif
