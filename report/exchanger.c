/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/exchanger.h"

/* RFC 5321 5.1: without MX the domain's own address is the mail server. */
static enum exchanger_result
by_address(struct lookups *l, struct slice host, struct slice *name_r)
{
	const struct dns_answer *v4 = lookups_ask(l, host, DNS_A), *v6;

	*name_r = host;
	if (v4->status == DNS_OK)
		return EXCHANGER_FOUND;
	v6 = lookups_ask(l, host, DNS_AAAA);
	if (v6->status == DNS_OK)
		return EXCHANGER_FOUND;
	return v4->status == DNS_TEMPFAIL || v6->status == DNS_TEMPFAIL ? EXCHANGER_LATER
									: EXCHANGER_NONE;
}

enum exchanger_result
exchanger_find(struct arena *a, struct lookups *l, const struct dmarc_options *options,
    struct slice host, struct slice *name_r)
{
	const struct dns_answer *mx = lookups_ask(l, host, DNS_MX);
	struct slice best;

	switch (mx->status) {
	case DNS_OK:
		break;
	case DNS_NODATA:
		return by_address(l, host, name_r);
	case DNS_NXDOMAIN:
		return EXCHANGER_NONE;
	case DNS_TEMPFAIL:
		return EXCHANGER_LATER;
	}
	best = arena_copy(a, mx->records[0].mx.host);
	if (best.len == 0) /* RFC 7505 3: it says that it takes none */
		return EXCHANGER_NONE;
	/* Only a name to count by: that of the host does where its organization can't be asked. */
	if (dmarc_organizational_domain(a, l, options, best, name_r) != 0 || name_r->len == 0)
		*name_r = best;
	return EXCHANGER_FOUND;
}
