/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/dns/reverse.h"

static bool
has_address(const struct dns_answer *answer, const struct ip_address *address)
{
	for (size_t i = 0; i < answer->count; i++)
		if (ip_equal(&answer->records[i].address, address))
			return true;
	return false;
}

static enum dns_type
type_of(const struct ip_address *address)
{
	return address->family == IP_V4 ? DNS_A : DNS_AAAA;
}

bool
dns_reverse_start(
    struct arena *a, struct lookups *l, const struct ip_address *address, size_t max_names)
{
	const struct dns_answer *ptr = lookups_peek(l, ip_reverse_name(a, address), DNS_PTR);

	if (ptr == NULL)
		return false;
	for (size_t i = 0; ptr->status == DNS_OK && i < ptr->count && i < max_names; i++)
		lookups_prefetch(l, ptr->records[i].name, type_of(address));
	return true;
}

void
dns_reverse_names(struct arena *a, struct lookups *l, const struct ip_address *address,
    size_t max_names, struct dns_reverse *out)
{
	enum dns_type type = type_of(address);
	const struct dns_answer *ptr;

	*out = (struct dns_reverse){ .question = ip_reverse_name(a, address) };
	ptr = out->ptr = lookups_ask(l, out->question, DNS_PTR);
	if (ptr->status != DNS_OK)
		return;
	out->tried = ptr->count < max_names ? ptr->count : max_names;
	out->ignored = ptr->count - out->tried;
	out->names = arena_array(a, out->tried, sizeof(out->names[0]));
	for (size_t i = 0; i < out->tried; i++)
		lookups_prefetch(l, ptr->records[i].name, type);
	for (size_t i = 0; i < out->tried; i++) {
		const struct dns_answer *host = lookups_ask(l, ptr->records[i].name, type);

		if (host->status == DNS_TEMPFAIL)
			out->failed++;
		if (host->status == DNS_OK && has_address(host, address))
			out->names[out->count++] = arena_copy(a, ptr->records[i].name);
	}
}
