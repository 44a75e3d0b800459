/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first byte chooses the type asked for, the rest is the packet of the answer. Asserted beyond
 * survival:
 *      status, reason and records fit each other, and names and texts are within their bounds;
 *      a packet that was well-formed is still so, and says the same, with a byte behind it;
 *      the answer can be made and written as zone text.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/dns/internal.h"
#include "policy/dns/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum dns_type types[] = { DNS_A, DNS_NS, DNS_CNAME, DNS_PTR, DNS_MX, DNS_TXT,
	DNS_AAAA };

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static void
check_record(const struct dns_record *r, enum dns_type type)
{
	struct dns_name n;

	switch (type) {
	case DNS_A:
		must(r->address.family == IP_V4);
		return;
	case DNS_AAAA:
		must(r->address.family != IP_NONE); /* an IPv4-mapped one is of IPv4 */
		return;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		must(r->name.len == 0 || dns_name_set(&n, r->name) == 0);
		return;
	case DNS_MX:
		must(r->mx.host.len == 0 || dns_name_set(&n, r->mx.host) == 0);
		return;
	case DNS_TXT:
		must(r->text.len <= LIMIT_DNS_RDATA_BYTES);
		return;
	}
}

static void
check_answer(const struct dns_answer *answer, enum dns_type type)
{
	must(answer->count <= LIMIT_DNS_RECORDS + 1);
	must((answer->status == DNS_OK) == (answer->count > 0));
	must((answer->status == DNS_TEMPFAIL) == (answer->reason != DNS_R_NONE));
	must(answer->security == DNS_INSECURE);
	must(answer->ttl_s <= INT32_MAX);
	for (size_t i = 0; i < answer->count; i++)
		check_record(&answer->records[i], type);
}

static void
check_again(
    struct arena *a, const struct dns_answer *answer, struct slice packet, enum dns_type type)
{
	char *longer = arena_alloc(a, packet.len + 1);
	struct dns_answer again;

	if (packet.len > 0)
		memcpy(longer, packet.p, packet.len);
	again = packet_answer(a, slice_of(longer, packet.len + 1), type);
	must(again.status == answer->status && again.count == answer->count &&
	    again.ttl_s == answer->ttl_s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(64u * 1024 * 1024);
	enum dns_type type;
	struct slice packet;
	struct dns_answer answer;

	if (size > 0) {
		const struct dns_answer *made;
		struct lookup log = { .name = SLICE("a.example") };

		type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
		packet = slice_of((const char *)data + 1, size - 1);
		answer = packet_answer(a, packet, type);
		check_answer(&answer, type);
		if (answer.reason != DNS_R_MALFORMED)
			check_again(a, &answer, packet, type);
		made = dns_answer_make(&answer, type);
		log.type = type;
		log.answer = made;
		must(dns_zone_write(a, &log, 1).len > 0);
		dns_answer_unref(&made);
	}
	arena_free(&a);
	return 0;
}
