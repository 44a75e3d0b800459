/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/slice.h"

#include <string.h>

bool
slice_equal_nocase(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (a.p[i] != b.p[i] && ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

bool
slice_starts(struct slice s, struct slice prefix)
{
	return slice_equal(slice_sub(s, 0, prefix.len), prefix);
}

bool
slice_starts_nocase(struct slice s, struct slice prefix)
{
	return slice_equal_nocase(slice_sub(s, 0, prefix.len), prefix);
}

bool
slice_ends_nocase(struct slice s, struct slice suffix)
{
	return s.len >= suffix.len && slice_equal_nocase(slice_from(s, s.len - suffix.len), suffix);
}

int
slice_compare_nocase(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;

	for (size_t i = 0; i < n; i++) {
		unsigned char x = (unsigned char)ascii_lower(a.p[i]);
		unsigned char y = (unsigned char)ascii_lower(b.p[i]);

		if (x != y)
			return x < y ? -1 : 1;
	}
	if (a.len == b.len)
		return 0;
	return a.len < b.len ? -1 : 1;
}

bool
slice_is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

size_t
slice_find_last(struct slice s, char c)
{
	const char *hit = s.len == 0 ? NULL : memrchr(s.p, c, s.len);

	return hit == NULL ? SLICE_NONE : (size_t)(hit - s.p);
}

struct slice
slice_trim(struct slice s)
{
	while (s.len > 0 && ascii_is_space(s.p[0])) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && ascii_is_space(s.p[s.len - 1]))
		s.len--;
	return s;
}

bool
slice_next(struct slice *rest, char sep, struct slice *piece)
{
	size_t at;

	if (rest->len == 0)
		return false;
	at = slice_find(*rest, sep);
	if (at == SLICE_NONE) {
		*piece = *rest;
		*rest = slice_of(NULL, 0);
	} else {
		*piece = slice_sub(*rest, 0, at);
		*rest = slice_from(*rest, at + 1);
	}
	return true;
}
