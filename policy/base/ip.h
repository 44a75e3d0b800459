/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         ip - addresses and networks
 * DESCRIPTION  An IPv4-mapped IPv6 address is an IPv4 address (RFC 7208 section 5): every parser
 *              and constructor here makes it one.
 */
#ifndef ASSAY_IP_H
#define ASSAY_IP_H

#include <sys/socket.h>

#include <stdint.h>

#include "policy/base/arena.h"

enum ip_family { IP_NONE, IP_V4, IP_V6 };

struct ip_address {
	enum ip_family family; /* IP_NONE: no address known, for instance mail from a local pipe */
	uint8_t bytes[16];     /* network order; 4 of them for IP_V4 */
};

struct ip_network {
	struct ip_address address;
	uint32_t prefix_bits;
};

#define IP_TEXT_BYTES 46 /* longest text with NUL */

/* Text form without brackets or prefix. 0, or -1 with *out untouched. */
int ip_parse(struct slice text, struct ip_address *out);

/* "192.0.2.0/24", "2001:db8::/32" or a bare address (a network of one). 0 or -1. */
int ip_network_parse(struct slice text, struct ip_network *out);

struct ip_address ip_from_bytes(enum ip_family family, const uint8_t *bytes);

/* IP_NONE for a family that is neither AF_INET nor AF_INET6; sa may be NULL. */
struct ip_address ip_from_sockaddr(const struct sockaddr *sa);

bool ip_equal(const struct ip_address *a, const struct ip_address *b);

/* Same family and equal in the first prefix_bits (at most 32 or 128). */
bool ip_matches(const struct ip_address *a, const struct ip_address *network, uint32_t prefix_bits);
bool ip_in_network(const struct ip_address *a, const struct ip_network *n);

/* Canonical text (RFC 5952) into text[IP_TEXT_BYTES]; "" for IP_NONE. Returns text. */
const char *ip_print(const struct ip_address *a, char text[IP_TEXT_BYTES]);

/* The name below in-addr.arpa or ip6.arpa, without a final dot. */
struct slice ip_reverse_name(struct arena *arena, const struct ip_address *a);

#endif
