/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         slice - text from outside: a pointer and a length
 * DESCRIPTION  A slice is not NUL-terminated, may hold any byte and is passed by value. It borrows:
 *              whoever made the bytes says how long they live. An empty slice may have p == NULL;
 *              every function here accepts it. "nocase" means ASCII letters only, never a locale.
 */
#ifndef ASSAY_SLICE_H
#define ASSAY_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *p;
	size_t len;
};

#define SLICE_NONE ((size_t)-1) /* "not found" of slice_find and its kin */

/* A slice of a string literal. */
#define SLICE(literal) ((struct slice){ (literal), sizeof(literal) - 1 })

/* For "%.*s"; only for text that has passed printable() or is known to be clean. */
#define SLICE_ARG(s) ((s).len > 4096 ? 4096 : (int)(s).len), ((s).p == NULL ? "" : (s).p)

static inline struct slice
slice_of(const char *p, size_t len)
{
	return (struct slice){ p, len };
}

/* A slice of a NUL-terminated string, NULL giving the empty slice. */
static inline struct slice
slice_str(const char *s)
{
	return slice_of(s, s == NULL ? 0 : strlen(s));
}

/* Bytes [from, from + len) of s, cut to what is there. */
static inline struct slice
slice_sub(struct slice s, size_t from, size_t len)
{
	if (from >= s.len)
		return slice_of(NULL, 0);
	return slice_of(s.p + from, len > s.len - from ? s.len - from : len);
}

static inline struct slice
slice_from(struct slice s, size_t from)
{
	return slice_sub(s, from, s.len);
}

static inline bool
slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool slice_equal_nocase(struct slice a, struct slice b);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_starts_nocase(struct slice s, struct slice prefix);
bool slice_ends_nocase(struct slice s, struct slice suffix);

/* memcmp order over ASCII-lowered bytes, shorter first on a tie: for sorting and searching. */
int slice_compare_nocase(struct slice a, struct slice b);

/* No byte from 0x80 on. */
bool slice_is_ascii(struct slice s);

/* Index of the first or last c, or SLICE_NONE. */
static inline size_t
slice_find(struct slice s, char c)
{
	const char *hit = s.len == 0 ? NULL : (const char *)memchr(s.p, c, s.len);

	return hit == NULL ? SLICE_NONE : (size_t)(hit - s.p);
}

size_t slice_find_last(struct slice s, char c);

/* Without leading and trailing SP, HTAB, CR, LF. */
struct slice slice_trim(struct slice s);

/*
 * Cut the next piece ending at sep (or at the end) off *rest into *piece. False when nothing is
 * left. "a;b;" gives "a" and "b": a final empty piece is not reported, one in the middle is.
 */
bool slice_next(struct slice *rest, char sep, struct slice *piece);

static inline bool
slice_is_empty(struct slice s)
{
	return s.len == 0;
}

/* ASCII classes: <ctype.h> depends on the locale and takes no negative char. */
static inline bool
ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
ascii_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool
ascii_is_alnum(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

static inline bool
ascii_is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* WSP and the line breaks that folding puts between: FWS, byte by byte. */
static inline bool
ascii_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* 0..15, or -1. */
static inline int
ascii_hex(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
