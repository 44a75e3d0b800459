/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The input is a list of URIs as a DMARC record has it. Asserted beyond survival:
 *      an address that comes out is printable ASCII without line ends, may stand in a header field,
 *      and is for the host that was asked;
 *      foreign hosts get nothing: no record confirms any of them.
 */
#include <stdlib.h>

#include "report/destination.h"
#include "report/mail_parts.h"

#define ARENA_BYTES (1024u * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static void
check(const struct destination *d)
{
	if (d->outcome == DESTINATION_SEND)
		must(d->address.len > 0);
	if (d->address.len == 0)
		return;
	must(mail_address_fault(d->address) == NULL);
	for (size_t i = 0; i < d->address.len; i++)
		must(d->address.p[i] >= 0x20 && d->address.p[i] < 0x7f);
	must(slice_equal(mail_address_domain(d->address), d->host));
	if (d->outcome == DESTINATION_SEND)
		must(slice_equal(d->host, SLICE("example.com")));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct lookups_limits limits = { 1000, 1000, 100000 };
	static const struct dmarc_options options = { .discovery = DMARC_TREEWALK };
	struct arena *a = arena_new(ARENA_BYTES);
	const char *error;
	struct resolver *r = resolver_new(dns_zone_new(a, SLICE(""), &error), NULL);
	struct lookups *l = lookups_new(a, r, &limits);
	struct destinations d;

	destinations_find(
	    a, l, &options, SLICE("example.com"), "rua", slice_of((const char *)data, size), &d);
	must(d.count <= LIMIT_DESTINATIONS && !d.later);
	for (size_t i = 0; i < d.count; i++)
		check(&d.list[i]);
	lookups_fini(&l);
	resolver_free(&r);
	arena_free(&a);
	return 0;
}
