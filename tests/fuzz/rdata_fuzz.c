/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first byte chooses the type, the rest is rdata off the wire. Asserted beyond survival:
 *      names are in normal form or empty, texts within their limit;
 *      what was read comes back when it is written as zone text and that is read.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/dns/internal.h"
#include "policy/dns/wire.h"

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
must_be_normal(struct slice name)
{
	struct dns_name n;

	must(name.len == 0 ||
	    (dns_name_set(&n, name) == 0 && slice_equal(dns_name_slice(&n), name)));
}

static void
check_record(const struct dns_record *r, const struct dns_record *again, enum dns_type type)
{
	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		must(ip_equal(&r->address, &again->address));
		return;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		must_be_normal(r->name);
		must(slice_equal(r->name, again->name));
		return;
	case DNS_MX:
		must_be_normal(r->mx.host);
		must(slice_equal(r->mx.host, again->mx.host));
		must(r->mx.preference == again->mx.preference);
		return;
	case DNS_TXT:
		must(r->text.len <= LIMIT_DNS_RDATA_BYTES);
		must(slice_equal(r->text, again->text));
		return;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a;
	struct dns_record record;
	enum dns_type type;

	if (size == 0)
		return 0;
	type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
	a = arena_new(8u * 1024 * 1024);
	if (wire_record(a, type, slice_of((const char *)data + 1, size - 1), &record) == 0) {
		const struct dns_answer answer = {
			.status = DNS_OK, .count = 1, .records = &record
		};
		const struct lookup log = {
			.name = SLICE("a.example"), .type = type, .answer = &answer
		};
		const struct dns_answer *again;
		const char *error;
		struct zone zone;

		must(zone_parse(a, dns_zone_write(a, &log, 1), &zone, a, &error) == 0);
		again = zone_answer(&zone, log.name, type);
		must(again->status == DNS_OK && again->count == 1);
		check_record(&record, &again->records[0], type);
		dns_answer_unref(&again);
	}
	arena_free(&a);
	return 0;
}
