/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/text.h"

#include "policy/base/strbuf.h"
#include "policy/syntax/lex.h"

/* XML 1.0 2.2 Char, less the controls; U+2028 and U+2029 end a line for some readers. */
static bool
is_kept(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029)
		return false;
	return (c & 0xfffe) != 0xfffe;
}

static struct slice
clean(struct arena *a, struct slice s, size_t max_bytes, bool drop_blanks)
{
	struct strbuf b;
	size_t len;

	strbuf_init(&b, a, max_bytes);
	for (size_t at = 0; at < s.len; at += len == 0 ? 1 : len) {
		uint32_t c;

		len = utf8_decode(s, at, &c);
		if (len == 0)
			continue;
		if (ascii_is_space((char)s.p[at])) {
			if (drop_blanks || b.len == max_bytes)
				continue;
			strbuf_char(&b, ' ');
		} else if (is_kept(c)) {
			if (len > max_bytes - b.len)
				break;
			strbuf_add(&b, slice_sub(s, at, len));
		}
	}
	return strbuf_slice(&b);
}

struct slice
report_text(struct arena *a, struct slice s, size_t max_bytes)
{
	return arena_copy(a, slice_trim(clean(a, slice_trim(s), max_bytes, false)));
}

struct slice
report_name_text(struct arena *a, struct slice s, size_t max_bytes)
{
	return clean(a, s, max_bytes, true);
}
