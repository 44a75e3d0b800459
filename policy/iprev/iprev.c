/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/iprev/iprev.h"

#include "policy/base/limits.h"
#include "policy/dns/reverse.h"

ENUMTAB_WORDS(iprev_result_word, enum iprev_result, IPREV_RESULTS)

static void
no_name(struct arena *a, const struct dns_reverse *r, struct iprev_verdict *out)
{
	switch (r->ptr->status) {
	case DNS_TEMPFAIL:
		out->result = IPREV_TEMPERROR;
		out->detail = slice_str(
		    arena_printf(a, "PTR %s: %s", r->question.p, dns_reason_text(r->ptr->reason)));
		return;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		out->result = IPREV_PERMERROR;
		out->detail = slice_str(arena_printf(a, "no PTR record at %s", r->question.p));
		return;
	case DNS_OK:
		break;
	}
	/* RFC 8601 2.7.3: a lookup that could be completed later may still make it a pass */
	out->result = r->failed > 0 ? IPREV_TEMPERROR : IPREV_FAIL;
	out->detail = slice_str(arena_printf(a,
	    "none of %zu names has the client's address (first: %s; %zu lookups failed)",
	    r->tried + r->ignored, arena_printable(a, r->ptr->records[0].name, LIMIT_DOMAIN_BYTES),
	    r->failed));
}

bool
iprev_start(struct arena *a, struct lookups *l, const struct ip_address *client)
{
	return client->family == IP_NONE || dns_reverse_start(a, l, client, LIMIT_SPF_NAMES);
}

void
iprev_evaluate(
    struct arena *a, struct lookups *l, const struct ip_address *client, struct iprev_verdict *out)
{
	struct dns_reverse r;

	*out = (struct iprev_verdict){ .result = IPREV_PERMERROR };
	if (client->family == IP_NONE) {
		out->detail = SLICE("client address unknown");
		return;
	}
	dns_reverse_names(a, l, client, LIMIT_SPF_NAMES, &r);
	if (r.count > 0) {
		out->result = IPREV_PASS;
		out->name = r.names[0];
	} else {
		no_name(a, &r, out);
	}
}
