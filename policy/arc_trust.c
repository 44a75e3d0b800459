/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/arc_trust.h"

#include "policy/authres/authres.h"
#include "policy/base/ip.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/domain.h"

#define COMMENT_BYTES 700 /* of it all; with 50 sets the oldest are left out */
#define NAME_SHOWN    100
#define ADDRESS_BYTES 64 /* " remote-ip[1]=" and an address */

static bool
is_trusted(const struct slice *sealers, size_t count, struct slice domain)
{
	for (size_t i = 0; i < count; i++)
		if (domain_covers(sealers[i], domain))
			return true;
	return false;
}

/* The value of the first such property, of that method or (NULL) of any; empty: none. */
static struct slice
find_property(
    const struct authres *results, const char *method, const char *ptype, const char *name)
{
	for (size_t i = 0; i < results->result_count; i++) {
		const struct authres_result *r = &results->results[i];

		if (method != NULL && !slice_equal(r->method, slice_str(method)))
			continue;
		for (size_t j = 0; j < r->property_count; j++)
			if (slice_equal(r->properties[j].ptype, slice_str(ptype)) &&
			    slice_equal(r->properties[j].property, slice_str(name)))
				return r->properties[j].value;
	}
	return slice_of(NULL, 0);
}

static bool
names_author(struct arena *a, const struct authres_result *r, struct slice author)
{
	const struct authres one = { .results = (struct authres_result *)(uintptr_t)r,
		.result_count = 1 };
	struct slice from = find_property(&one, NULL, "header", "from"), domain;
	size_t at = slice_find_last(from, '@');
	const char *why;

	if (at != SLICE_NONE)
		from = slice_from(from, at + 1);
	return domain_normalize(a, from, &domain, &why) == 0 && slice_equal_nocase(domain, author);
}

/* One dmarc result at least, and every one of them a pass for this author. */
static bool
says_pass(struct arena *a, struct slice field, struct slice author)
{
	struct authres results;
	const char *error;
	bool passed = false;

	if (authres_parse_lenient(a, field, true, &results, &error) != 0)
		return false;
	for (size_t i = 0; i < results.result_count; i++) {
		const struct authres_result *r = &results.results[i];

		if (!slice_equal(r->method, SLICE("dmarc")))
			continue;
		if (!slice_equal(r->result, SLICE("pass")) || !names_author(a, r, author))
			return false;
		passed = true;
	}
	return passed;
}

/* RFC 8617 6: smtp.remote-ip. Sealers that have it from iprev (RFC 8601 2.7.3) do as well. */
static const char *
origin(struct arena *a, struct slice field, char text[IP_TEXT_BYTES])
{
	struct authres results;
	struct ip_address ip;
	const char *error;

	if (authres_parse_lenient(a, field, true, &results, &error) != 0)
		return "";
	if (ip_parse(find_property(&results, "arc", "smtp", "remote-ip"), &ip) == 0 ||
	    ip_parse(find_property(&results, NULL, "smtp", "remote-ip"), &ip) == 0 ||
	    ip_parse(find_property(&results, "iprev", "policy", "iprev"), &ip) == 0)
		return ip_print(&ip, text);
	return "";
}

/* RFC 8617 7.2.2 */
static const char *
describe(struct arena *a, const struct arc_verdict *arc)
{
	char ip_text[IP_TEXT_BYTES];
	const char *ip = origin(a, arc->seals[0].results, ip_text);
	struct strbuf b;

	strbuf_init(&b, a, COMMENT_BYTES);
	strbuf_str(&b, "arc=pass");
	for (uint32_t i = arc->instances; i > 0; i--) {
		const struct arc_seal *s = &arc->seals[i - 1];
		const char *one = arena_printf(a, " as[%u].d=%s as[%u].s=%s", i,
		    arena_printable(a, s->domain, NAME_SHOWN), i,
		    arena_printable(a, s->selector, NAME_SHOWN));

		if (b.len + slice_str(one).len > COMMENT_BYTES - ADDRESS_BYTES)
			break;
		strbuf_str(&b, one);
	}
	if (ip[0] != '\0')
		strbuf_printf(&b, " remote-ip[1]=%s", ip);
	return strbuf_slice(&b).p;
}

bool
arc_trust_find(struct arena *a, const struct slice *sealers, size_t sealer_count,
    const struct arc_verdict *arc, struct slice author_domain, const char **comment_r)
{
	if (arc->result != ARC_PASS || !arc->covers_author || author_domain.len == 0)
		return false;
	for (uint32_t i = arc->instances; i > 0; i--) {
		const struct arc_seal *s = &arc->seals[i - 1];

		if (!is_trusted(sealers, sealer_count, s->domain))
			return false;
		if (says_pass(a, s->results, author_domain)) {
			*comment_r = describe(a, arc);
			return true;
		}
	}
	return false;
}
