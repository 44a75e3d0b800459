/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/strbuf.h"
#include "policy/syntax/domain.h"
#include "report/destination.h"
#include "report/mail_parts.h"

#define SCHEME "mailto:"

/* RFC 3986 2.1. A "%" that is not followed by two digits stays: it will not pass as an address. */
static struct slice
percent_decode(struct arena *a, struct slice s)
{
	struct strbuf b;

	strbuf_init(&b, a, s.len);
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '%' && s.len - i > 2 && ascii_hex(s.p[i + 1]) >= 0 &&
		    ascii_hex(s.p[i + 2]) >= 0) {
			strbuf_char(&b, (char)(ascii_hex(s.p[i + 1]) << 4 | ascii_hex(s.p[i + 2])));
			i += 2;
		} else {
			strbuf_char(&b, s.p[i]);
		}
	}
	return strbuf_slice(&b);
}

/* As RFC 5321 4.1.2 wants it; what was quoted already stays as it is. */
static void
add_local_part(struct strbuf *b, struct slice s)
{
	if (mail_is_dot_atom(s) || (s.len > 1 && s.p[0] == '"' && s.p[s.len - 1] == '"'))
		strbuf_add(b, s);
	else
		mail_quoted(b, s);
}

int
mailto_address(struct arena *a, struct slice uri, struct slice *address_r, struct slice *host_r)
{
	struct slice text, host, local;
	struct strbuf b;
	const char *why;
	size_t at;

	if (!slice_starts_nocase(uri, SLICE(SCHEME)))
		return -1;
	text = slice_from(uri, sizeof(SCHEME) - 1);
	text = slice_sub(text, 0, slice_find(text, '!')); /* RFC 9989 4.8: obsolete size */
	text = slice_sub(text, 0, slice_find(text, '?')); /* RFC 6068: header fields */
	text = percent_decode(a, text);
	at = slice_find_last(text, '@');
	if (at == SLICE_NONE || at == 0)
		return -1;
	local = slice_sub(text, 0, at);
	if (domain_normalize(a, slice_from(text, at + 1), &host, &why) != 0)
		return -1;
	strbuf_init(&b, a, 2 * local.len + host.len + sizeof("\"\"@"));
	add_local_part(&b, local);
	strbuf_char(&b, '@');
	strbuf_add(&b, host);
	if (mail_address_fault(strbuf_slice(&b)) != NULL)
		return -1;
	*address_r = strbuf_slice(&b);
	*host_r = host;
	return 0;
}
