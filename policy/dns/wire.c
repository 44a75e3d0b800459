/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/dns/wire.h"

#include <string.h>

#include "policy/base/strbuf.h"
#include "policy/dns/internal.h"

struct slice
wire_bytes(struct wire *w, size_t n)
{
	struct slice s;

	if (w->error || n > w->rest.len) {
		w->error = true;
		return slice_of(NULL, 0);
	}
	s = slice_sub(w->rest, 0, n);
	w->rest = slice_from(w->rest, n);
	return s;
}

uint8_t
wire_u8(struct wire *w)
{
	struct slice s = wire_bytes(w, 1);

	return s.len == 1 ? (uint8_t)s.p[0] : 0;
}

uint16_t
wire_u16(struct wire *w)
{
	unsigned high = wire_u8(w);

	return (uint16_t)(high << 8 | wire_u8(w));
}

uint32_t
wire_ttl(struct wire *w)
{
	uint32_t high = wire_u16(w), low = wire_u16(w);

	return high > INT16_MAX ? 0 : high << 16 | low;
}

struct slice
wire_name(struct wire *w, struct arena *a)
{
	char text[LIMIT_DOMAIN_BYTES + 1];
	struct slice raw;
	struct dns_name name;
	size_t len = 0, n;

	while ((n = wire_u8(w)) > 0) {
		struct slice label = wire_bytes(w, n);

		/* Compression pointers have the two upper bits set; packet.c has undone them. */
		if (w->error || n > LIMIT_LABEL_BYTES || len + n + 1 > sizeof(text) ||
		    slice_find(label, '.') != SLICE_NONE) {
			w->error = true;
			break;
		}
		memcpy(text + len, label.p, n);
		len += n;
		text[len++] = '.';
	}
	raw = slice_of(text, len);
	if (w->error || raw.len == 0)
		return slice_of("", 0);
	if (dns_name_set(&name, raw) != 0) {
		w->error = true;
		return slice_of("", 0);
	}
	return arena_copy(a, dns_name_slice(&name));
}

/* RFC 1035 3.3.14: one or more strings. */
static struct slice
wire_strings(struct wire *w, struct arena *a)
{
	struct strbuf out;

	strbuf_init(&out, a, LIMIT_DNS_RDATA_BYTES);
	do {
		strbuf_add(&out, wire_bytes(w, wire_u8(w)));
	} while (!w->error && w->rest.len > 0);
	if (out.truncated)
		w->error = true;
	return strbuf_slice(&out);
}

static struct ip_address
wire_address(struct wire *w, enum ip_family family)
{
	struct slice bytes = wire_bytes(w, family == IP_V4 ? 4 : 16);

	if (w->error)
		return (struct ip_address){ .family = IP_NONE };
	return ip_from_bytes(family, (const uint8_t *)bytes.p);
}

int
wire_record(struct arena *a, enum dns_type type, struct slice rdata, struct dns_record *out)
{
	struct wire w = { .rest = rdata };

	*out = (struct dns_record){ 0 };
	switch (type) {
	case DNS_A:
		out->address = wire_address(&w, IP_V4);
		break;
	case DNS_AAAA:
		out->address = wire_address(&w, IP_V6);
		break;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		out->name = wire_name(&w, a);
		break;
	case DNS_MX:
		out->mx.preference = wire_u16(&w);
		out->mx.host = wire_name(&w, a);
		break;
	case DNS_TXT:
		out->text = wire_strings(&w, a);
		break;
	}
	return w.error || w.rest.len > 0 ? -1 : 0;
}
