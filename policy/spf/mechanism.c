/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/limits.h"
#include "policy/spf/internal.h"
#include "policy/syntax/domain.h"

/* ---- answers ---- */

static enum spf_step
stop_by_dns(struct spf_run *run, struct slice written, struct slice name, enum dns_type type,
    const struct dns_answer *answer)
{
	/* RFC 7208 5: on an error the topmost check_host() returns "temperror" */
	return spf_stop_at(run, written, SPF_R_DNS, spf_show_trouble(run, name, type, answer));
}

/* Ask for a term. NULL: the verdict is there. */
static const struct dns_answer *
ask(struct spf_run *run, struct slice written, struct slice name, enum dns_type type)
{
	const struct dns_answer *answer = lookups_ask(run->lookups, name, type);

	switch (answer->status) {
	case DNS_OK:
		return answer;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		/* A name that can't be asked is no match (RFC 7208 4.8 leaves it open), and no
		 * lookup either. */
		if (answer->reason == DNS_R_BAD_NAME)
			return answer;
		return spf_count_void(run, written, name, type) ? answer : NULL;
	case DNS_TEMPFAIL:
		(void)stop_by_dns(run, written, name, type, answer);
		return NULL;
	}
	bug("ask: status %d", (int)answer->status);
}

static enum dns_type
address_type(const struct spf_run *run)
{
	return run->in->client.family == IP_V4 ? DNS_A : DNS_AAAA;
}

static bool
has_client(const struct spf_run *run, const struct spf_term *t, const struct dns_answer *answer)
{
	uint32_t bits = run->in->client.family == IP_V4 ? t->prefix4_bits : t->prefix6_bits;

	for (size_t i = 0; i < answer->count; i++)
		if (ip_matches(&run->in->client, &answer->records[i].address, bits))
			return true;
	return false;
}

/* ---- mechanisms, RFC 7208 5.1, 5.2, 5.3, 5.4, 5.5, 5.6, 5.7 ---- */

static enum spf_step
try_a(struct spf_run *run, const struct spf_term *t, struct slice written, struct slice name)
{
	const struct dns_answer *answer = ask(run, written, name, address_type(run));

	if (answer == NULL)
		return SPF_STEP_STOP;
	return has_client(run, t, answer) ? SPF_STEP_MATCH : SPF_STEP_MISS;
}

static enum spf_step
try_mx(struct spf_run *run, const struct spf_term *t, struct slice written, struct slice name)
{
	const struct dns_answer *answer = ask(run, written, name, DNS_MX);

	if (answer == NULL)
		return SPF_STEP_STOP;
	/* Before any is asked: equal preferences come in any order, the result must not. */
	if (answer->count > LIMIT_SPF_NAMES)
		return spf_stop_at(run, written, SPF_R_MX_NAMES,
		    arena_printf(run->arena, "%s has %zu MX records, the limit is %d",
			spf_show_name(run, name), answer->count, LIMIT_SPF_NAMES));
	for (size_t i = 0; i < answer->count; i++) {
		struct slice host = answer->records[i].mx.host;
		const struct dns_answer *addresses;

		if (host.len == 0)
			continue; /* null MX */
		addresses = lookups_ask(run->lookups, host, address_type(run));
		if (addresses->status == DNS_TEMPFAIL)
			return stop_by_dns(run, written, host, address_type(run), addresses);
		if (has_client(run, t, addresses))
			return SPF_STEP_MATCH;
	}
	return SPF_STEP_MISS; /* 5.4: no MX, no implicit one */
}

static enum spf_step
try_ptr(struct spf_run *run, const struct spf_term *t, struct slice written, struct slice name)
{
	const struct dns_reverse *r = spf_validated_names(run);

	(void)t;
	/* RFC 7208 5.5: if a DNS error occurs while doing the PTR RR lookup, this mechanism fails
	 * to match; with an address lookup, that domain name is skipped */
	if ((r->ptr->status == DNS_NODATA || r->ptr->status == DNS_NXDOMAIN) &&
	    !spf_count_void(run, written, r->question, DNS_PTR))
		return SPF_STEP_STOP;
	for (size_t i = 0; i < r->count; i++)
		if (domain_covers(name, r->names[i]))
			return SPF_STEP_MATCH;
	return SPF_STEP_MISS;
}

static enum spf_step
try_exists(struct spf_run *run, const struct spf_term *t, struct slice written, struct slice name)
{
	/* RFC 7208 5.7: a DNS A RR lookup, even when the connection type is IPv6 */
	const struct dns_answer *answer = ask(run, written, name, DNS_A);

	(void)t;
	if (answer == NULL)
		return SPF_STEP_STOP;
	return answer->status == DNS_OK ? SPF_STEP_MATCH : SPF_STEP_MISS;
}

static enum spf_step
try_network(const struct spf_run *run, const struct spf_term *t, struct slice argument)
{
	struct ip_network n = { .prefix_bits = t->prefix4_bits };
	enum ip_family family = t->mechanism == SPF_IP4 ? IP_V4 : IP_V6;

	if (ip_parse(argument, &n.address) != 0)
		bug("try_network: \"%.*s\"", SLICE_ARG(argument));
	/* RFC 7208 5: a mapped client is an IPv4 client, and those are listed with ip4 only. So
	 * a mapped network can match nobody. */
	if (n.address.family != family)
		return SPF_STEP_MISS;
	if (family == IP_V6)
		n.prefix_bits = t->prefix6_bits;
	return ip_in_network(&run->in->client, &n) ? SPF_STEP_MATCH : SPF_STEP_MISS;
}

typedef enum spf_step try_function(
    struct spf_run *, const struct spf_term *, struct slice written, struct slice name);

static enum spf_step
try_with_name(struct spf_run *run, const struct spf_term *t, try_function *try)
{
	struct slice written = spf_record_text(run->top->record, t->written);
	struct slice spec = spf_record_text(run->top->record, t->argument), name;
	enum spf_step step = spf_begin_term(run, written, spec, &name);

	if (step != SPF_STEP_ASK)
		return step;
	return try(run, t, written, name);
}

enum spf_step
spf_try_term(struct spf_run *run, const struct spf_term *t)
{
	switch (t->mechanism) {
	case SPF_ALL:
		return SPF_STEP_MATCH;
	case SPF_INCLUDE:
		break; /* eval.c's business */
	case SPF_A:
		return try_with_name(run, t, try_a);
	case SPF_MX:
		return try_with_name(run, t, try_mx);
	case SPF_PTR:
		return try_with_name(run, t, try_ptr);
	case SPF_EXISTS:
		return try_with_name(run, t, try_exists);
	case SPF_IP4:
	case SPF_IP6:
		return try_network(run, t, spf_record_text(run->top->record, t->argument));
	}
	bug("try_term: %d", (int)t->mechanism);
}
