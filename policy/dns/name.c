/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "policy/dns/internal.h"

static const struct {
	enum dns_type type;
	const char *word;
} types[] = {
	{ DNS_A, "A" },
	{ DNS_NS, "NS" },
	{ DNS_CNAME, "CNAME" },
	{ DNS_PTR, "PTR" },
	{ DNS_MX, "MX" },
	{ DNS_TXT, "TXT" },
	{ DNS_AAAA, "AAAA" },
};
#define TYPE_COUNT (sizeof(types) / sizeof(types[0]))

const char *
dns_type_word(enum dns_type type)
{
	for (size_t i = 0; i < TYPE_COUNT; i++)
		if (types[i].type == type)
			return types[i].word;
	bug("dns_type_word: %d", (int)type);
}

int
dns_type_parse(struct slice word, enum dns_type *out)
{
	for (size_t i = 0; i < TYPE_COUNT; i++) {
		if (slice_equal_nocase(word, slice_str(types[i].word))) {
			*out = types[i].type;
			return 0;
		}
	}
	return -1;
}

int
dns_name_set(struct dns_name *out, struct slice in)
{
	struct slice rest, label;

	if (in.len > 0 && in.p[in.len - 1] == '.')
		in.len--;
	if (in.len == 0 || in.len > LIMIT_DOMAIN_BYTES || in.p[in.len - 1] == '.')
		return -1;
	rest = in;
	while (slice_next(&rest, '.', &label))
		if (label.len == 0 || label.len > LIMIT_LABEL_BYTES)
			return -1;
	for (size_t i = 0; i < in.len; i++)
		out->text[i] = ascii_lower(in.p[i]);
	out->text[in.len] = '\0';
	out->len = in.len;
	return 0;
}

struct slice
dns_name_slice(const struct dns_name *name)
{
	return slice_of(name->text, name->len);
}

bool
dns_name_escapes(char c)
{
	return c <= ' ' || c == 0x7f || c == '"' || c == '\\' || c == ';' || c == '#' ||
	    (unsigned char)c >= 0x80;
}
