/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <string.h>

#include "policy/base/bug.h"
#include "policy/base/num.h"
#include "policy/base/strbuf.h"

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

struct ip_address
ip_from_bytes(enum ip_family family, const uint8_t *bytes)
{
	struct ip_address a = { .family = family };

	if (family == IP_V6 && memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		a.family = IP_V4;
		bytes += sizeof(mapped_prefix);
	}
	if (a.family != IP_NONE)
		memcpy(a.bytes, bytes, a.family == IP_V4 ? 4 : 16);
	return a;
}

struct ip_address
ip_from_sockaddr(const struct sockaddr *sa)
{
	if (sa != NULL && sa->sa_family == AF_INET) {
		struct sockaddr_in sin;

		memcpy(&sin, sa, sizeof(sin));
		return ip_from_bytes(IP_V4, (const uint8_t *)&sin.sin_addr);
	}
	if (sa != NULL && sa->sa_family == AF_INET6) {
		struct sockaddr_in6 sin6;

		memcpy(&sin6, sa, sizeof(sin6));
		return ip_from_bytes(IP_V6, (const uint8_t *)&sin6.sin6_addr);
	}
	return (struct ip_address){ .family = IP_NONE };
}

int
ip_parse(struct slice text, struct ip_address *out)
{
	char z[IP_TEXT_BYTES];
	uint8_t bytes[16];

	if (text.len == 0 || text.len >= sizeof(z) || slice_find(text, '\0') != SLICE_NONE)
		return -1;
	memcpy(z, text.p, text.len);
	z[text.len] = '\0';
	if (inet_pton(AF_INET, z, bytes) == 1)
		*out = ip_from_bytes(IP_V4, bytes);
	else if (inet_pton(AF_INET6, z, bytes) == 1)
		*out = ip_from_bytes(IP_V6, bytes);
	else
		return -1;
	return 0;
}

int
ip_network_parse(struct slice text, struct ip_network *out)
{
	size_t slash = slice_find(text, '/');
	struct ip_network n;
	uint32_t width;

	if (ip_parse(slice_sub(text, 0, slash == SLICE_NONE ? text.len : slash), &n.address) != 0)
		return -1;
	width = n.address.family == IP_V4 ? 32 : 128;
	n.prefix_bits = width;
	if (slash != SLICE_NONE &&
	    num_u32(slice_from(text, slash + 1), 0, width, &n.prefix_bits) != 0)
		return -1;
	*out = n;
	return 0;
}

bool
ip_equal(const struct ip_address *a, const struct ip_address *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool
ip_matches(const struct ip_address *a, const struct ip_address *network, uint32_t prefix_bits)
{
	uint32_t whole = prefix_bits / 8, rest = prefix_bits % 8;

	if (a->family != network->family || a->family == IP_NONE)
		return false;
	if (prefix_bits > (a->family == IP_V4 ? 32u : 128u))
		bug("ip_matches: %u bits", prefix_bits);
	if (memcmp(a->bytes, network->bytes, whole) != 0)
		return false;
	return rest == 0 || ((a->bytes[whole] ^ network->bytes[whole]) >> (8 - rest)) == 0;
}

bool
ip_in_network(const struct ip_address *a, const struct ip_network *n)
{
	return ip_matches(a, &n->address, n->prefix_bits);
}

/* 0..255 in decimal; returns behind it. */
static char *
put_byte(char *out, unsigned v)
{
	if (v >= 100)
		*out++ = (char)('0' + v / 100);
	if (v >= 10)
		*out++ = (char)('0' + v / 10 % 10);
	*out++ = (char)('0' + v % 10);
	return out;
}

const char *
ip_print(const struct ip_address *a, char text[IP_TEXT_BYTES])
{
	char *out = text;

	switch (a->family) {
	case IP_NONE:
		break;
	case IP_V4: /* several times a message: inet_ntop() goes through printf() */
		for (size_t i = 0; i < 4; i++) {
			if (i > 0)
				*out++ = '.';
			out = put_byte(out, a->bytes[i]);
		}
		break;
	case IP_V6:
		if (inet_ntop(AF_INET6, a->bytes, text, IP_TEXT_BYTES) == NULL)
			bug("ip_print: no room");
		return text;
	}
	*out = '\0';
	return text;
}

struct slice
ip_reverse_name(struct arena *arena, const struct ip_address *a)
{
	static const char digits[] = "0123456789abcdef";
	struct strbuf b;

	strbuf_init(&b, arena, 80);
	if (a->family == IP_V4) {
		const struct ip_address reversed = { IP_V4,
			{ a->bytes[3], a->bytes[2], a->bytes[1], a->bytes[0] } };
		char text[IP_TEXT_BYTES];

		strbuf_str(&b, ip_print(&reversed, text));
		strbuf_str(&b, ".in-addr.arpa");
		return strbuf_slice(&b);
	}
	for (size_t i = sizeof(a->bytes); i-- > 0;) {
		strbuf_char(&b, digits[a->bytes[i] & 15]);
		strbuf_char(&b, '.');
		strbuf_char(&b, digits[a->bytes[i] >> 4]);
		strbuf_char(&b, '.');
	}
	strbuf_str(&b, "ip6.arpa");
	return strbuf_slice(&b);
}
