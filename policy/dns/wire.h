/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         wire - rdata as it travels (RFC 1035 3.3), after decompression
 * DESCRIPTION  A reader with a sticky error: read field after field, look at error once. After an
 *              error every read gives zero or an empty slice.
 */
#ifndef ASSAY_DNS_WIRE_H
#define ASSAY_DNS_WIRE_H

#include "policy/dns/dns.h"

struct wire {
	struct slice rest;
	bool error;
};

uint8_t wire_u8(struct wire *w);
uint16_t wire_u16(struct wire *w);
struct slice wire_bytes(struct wire *w, size_t n);
/* Seconds; one with its first bit set counts as zero (RFC 2181 8). */
uint32_t wire_ttl(struct wire *w);

/*
 * An uncompressed name as arena text in normal form, empty for the root. A label with a dot in it
 * is an error: as text it would be another name.
 */
struct slice wire_name(struct wire *w, struct arena *a);

/* Rdata of a type into *out (text in the arena). 0, or -1 when it is malformed or has a rest. */
int wire_record(struct arena *a, enum dns_type type, struct slice rdata, struct dns_record *out)
    __attribute__((warn_unused_result));

#endif
