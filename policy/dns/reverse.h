/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         reverse - the host names of an address that point back to it
 * DESCRIPTION  The procedure of RFC 7208 section 5.5, which is that of RFC 8601 section 3 as well:
 *              ask PTR, ask the addresses of every name found, keep the names that have ours.
 *              Used by SPF's ptr mechanism and %{p}, and by iprev.
 * DIAGNOSTICS  A name whose lookup fails is skipped and counted. All addresses are asked at once:
 *              whoever holds the reverse zone may list silent servers, and they may cost one
 *              timeout, not ten.
 */
#ifndef ASSAY_DNS_REVERSE_H
#define ASSAY_DNS_REVERSE_H

#include "policy/dns/dns.h"

struct dns_reverse {
	struct slice question; /* the name below in-addr.arpa or ip6.arpa */
	const struct dns_answer *ptr;
	size_t tried;	/* names of the answer that were looked up, at most max_names */
	size_t ignored; /* those beyond */
	size_t failed;	/* of those tried: lookups that gave a temporary error */
	size_t count;
	struct slice *names; /* validated, in the answer's order; arena memory */
};

/* Start what can be started and return at once: PTR, and, when that is answered already, the
 * addresses of its names. False: PTR is not answered yet, call again. address: of a family, not
 * IP_NONE. */
bool dns_reverse_start(
    struct arena *a, struct lookups *l, const struct ip_address *address, size_t max_names);

/* address: of a family, not IP_NONE. */
void dns_reverse_names(struct arena *a, struct lookups *l, const struct ip_address *address,
    size_t max_names, struct dns_reverse *out);

#endif
