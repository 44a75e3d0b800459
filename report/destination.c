/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/destination.h"

#include <string.h>

#include "policy/base/strbuf.h"
#include "policy/syntax/domain.h"

#define REPORT_LABELS "._report._dmarc."

ENUMTAB_WORDS(destination_outcome_text, enum destination_outcome, DESTINATION_OUTCOMES)

struct finding { /* of one record */
	struct arena *arena;
	struct lookups *lookups;
	const struct dmarc_options *options;
	struct slice policy_domain;
	bool failure_reports;	   /* ruf, not rua */
	struct slice organization; /* of policy_domain; empty: not looked for yet */
	struct destinations *out;
};

static struct slice
scheme_of(struct slice uri)
{
	size_t colon = slice_find(uri, ':');

	return colon == SLICE_NONE ? slice_of(NULL, 0) : slice_sub(uri, 0, colon);
}

static bool
is_mailto(struct slice uri)
{
	return slice_equal_nocase(scheme_of(uri), SLICE("mailto"));
}

/* ---- are they of one organization? ---- */

enum relation { RELATED, FOREIGN, UNKNOWN };

/* RFC 9990 4: the organizational domains are identical, or not. */
static enum relation
relation(struct finding *f, struct slice host)
{
	struct slice organization;

	if (slice_equal(host, f->policy_domain))
		return RELATED;
	if (f->organization.len == 0 &&
	    dmarc_organizational_domain(
		f->arena, f->lookups, f->options, f->policy_domain, &f->organization) != 0) {
		f->organization = slice_of(NULL, 0);
		return UNKNOWN;
	}
	if (dmarc_organizational_domain(f->arena, f->lookups, f->options, host, &organization) != 0)
		return UNKNOWN;
	return slice_equal(organization, f->organization) ? RELATED : FOREIGN;
}

/* ---- the confirming record ---- */

/* The host of an overriding URI, whatever its scheme (RFC 3986 3.2); empty: it can't be read. */
static struct slice
host_of(struct arena *a, struct slice uri)
{
	struct slice rest = slice_from(uri, slice_find(uri, ':') + 1), address, host;
	const char *why;
	size_t end = 0;

	if (is_mailto(uri))
		return mailto_address(a, uri, &address, &host) == 0 ? host : slice_of(NULL, 0);
	if (!slice_starts(rest, SLICE("//")))
		return slice_of(NULL, 0);
	rest = slice_from(rest, 2);
	while (end < rest.len && slice_find(SLICE("/?#"), rest.p[end]) == SLICE_NONE)
		end++;
	rest = slice_sub(rest, 0, end);
	if (slice_find_last(rest, '@') != SLICE_NONE)
		rest = slice_from(rest, slice_find_last(rest, '@') + 1);
	rest = slice_sub(rest, 0, slice_find(rest, ':'));
	return domain_normalize(a, rest, &host, &why) == 0 ? host : slice_of(NULL, 0);
}

struct override_uris {	/* of the confirming records */
	bool confirmed; /* there is one */
	bool foreign;	/* an URI names another host */
	const struct slice *uris;
	size_t count;
};

/* RFC 9990 4, steps 6 to 9 */
static void
read_confirmation(
    struct finding *f, const struct dns_answer *answer, struct slice host, struct override_uris *o)
{
	for (size_t i = 0; i < answer->count; i++) {
		struct dmarc_record *r = arena_alloc(f->arena, sizeof(*r));
		const struct slice *uris;
		size_t count;

		if (!dmarc_record_parse(f->arena, answer->records[i].text, r))
			continue;
		o->confirmed = true;
		uris = f->failure_reports ? r->ruf : r->rua;
		count = f->failure_reports ? r->ruf_count : r->rua_count;
		for (size_t k = 0; k < count; k++)
			if (!slice_equal(host_of(f->arena, uris[k]), host))
				o->foreign = true;
		if (o->count == 0) {
			o->uris = uris;
			o->count = count;
		}
	}
}

static enum destination_outcome
confirm(struct finding *f, struct destination *d, struct override_uris *o)
{
	const struct dns_answer *answer;
	struct strbuf name;

	strbuf_init(&name, f->arena, LIMIT_DOMAIN_BYTES);
	strbuf_add(&name, f->policy_domain);
	strbuf_str(&name, REPORT_LABELS);
	strbuf_add(&name, d->host);
	if (name.truncated) /* step 4 */
		return DESTINATION_TOO_LONG;
	d->confirmed_by = strbuf_slice(&name);
	answer = lookups_ask(f->lookups, d->confirmed_by, DNS_TXT);
	switch (answer->status) {
	case DNS_TEMPFAIL:
		return DESTINATION_LATER;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		return DESTINATION_UNCONFIRMED;
	case DNS_OK:
		break;
	}
	read_confirmation(f, answer, d->host, o);
	if (!o->confirmed)
		return DESTINATION_UNCONFIRMED;
	return o->foreign ? DESTINATION_ELSEWHERE : DESTINATION_SEND;
}

/* ---- one URI ---- */

static void
add(struct finding *f, const struct destination *d)
{
	struct destination *added;

	if (f->out->count == LIMIT_DESTINATIONS)
		return;
	added = &f->out->list[f->out->count];
	*added = *d;
	if (d->outcome == DESTINATION_SEND)
		for (size_t i = 0; i < f->out->count; i++)
			if (f->out->list[i].outcome == DESTINATION_SEND &&
			    slice_equal(f->out->list[i].address, d->address))
				added->outcome = DESTINATION_REPEATED;
	if (d->outcome == DESTINATION_LATER)
		f->out->later = true;
	f->out->count++;
}

static void
add_overrides(struct finding *f, const struct destination *original, const struct override_uris *o)
{
	for (size_t i = 0; i < o->count; i++) {
		struct destination d = *original;

		d.uri = arena_copy(f->arena, o->uris[i]);
		d.overridden = true;
		if (mailto_address(f->arena, d.uri, &d.address, &d.host) != 0) {
			d.outcome = is_mailto(d.uri) ? DESTINATION_MALFORMED
						     : DESTINATION_UNSUPPORTED;
			d.address = d.host = slice_of(NULL, 0);
		}
		add(f, &d);
	}
}

static void
settle(struct finding *f, struct slice uri)
{
	struct destination d = { .uri = uri };
	struct override_uris o = { .count = 0 };

	if (!is_mailto(uri))
		d.outcome = scheme_of(uri).len > 0 ? DESTINATION_UNSUPPORTED
						   : DESTINATION_MALFORMED;
	else if (mailto_address(f->arena, uri, &d.address, &d.host) != 0)
		d.outcome = DESTINATION_MALFORMED;
	else
		switch (relation(f, d.host)) {
		case RELATED:
			d.outcome = DESTINATION_SEND;
			break;
		case UNKNOWN:
			d.outcome = DESTINATION_LATER;
			break;
		case FOREIGN:
			d.external = true;
			d.outcome = confirm(f, &d, &o);
			break;
		}
	if (d.outcome == DESTINATION_SEND && o.count > 0)
		add_overrides(f, &d, &o);
	else
		add(f, &d);
}

void
destinations_find(struct arena *a, struct lookups *l, const struct dmarc_options *options,
    struct slice policy_domain, const char *tag, struct slice uris, struct destinations *out)
{
	struct finding f = { .arena = a,
		.lookups = l,
		.options = options,
		.policy_domain = policy_domain,
		.failure_reports = strcmp(tag, "ruf") == 0,
		.out = out };
	size_t at = 0, start;

	*out = (struct destinations){ .count = 0 };
	while (at < uris.len) {
		start = at;
		while (at < uris.len && uris.p[at] != ',' && !ascii_is_space(uris.p[at]))
			at++;
		if (at > start)
			settle(&f, slice_sub(uris, start, at - start));
		at++;
	}
}
