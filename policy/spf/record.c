/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "policy/base/limits.h"
#include "policy/base/num.h"
#include "policy/spf/internal.h"

#define VERSION	      "v=spf1"
#define VERSION_BYTES (sizeof(VERSION) - 1)

enum argument {
	ARGUMENT_NONE,
	ARGUMENT_DOMAIN,
	ARGUMENT_DOMAIN_OPTIONAL,
	ARGUMENT_DOMAIN_CIDR, /* both optional */
	ARGUMENT_IP4,
	ARGUMENT_IP6,
};

/* RFC 7208 4.6.3, 7.1, 12. */
static const struct rule {
	const char *name;
	enum spf_mechanism mechanism;
	enum argument argument;
} rules[] = {
	{ "all", SPF_ALL, ARGUMENT_NONE },
	{ "include", SPF_INCLUDE, ARGUMENT_DOMAIN },
	{ "a", SPF_A, ARGUMENT_DOMAIN_CIDR },
	{ "mx", SPF_MX, ARGUMENT_DOMAIN_CIDR },
	{ "ptr", SPF_PTR, ARGUMENT_DOMAIN_OPTIONAL },
	{ "ip4", SPF_IP4, ARGUMENT_IP4 },
	{ "ip6", SPF_IP6, ARGUMENT_IP6 },
	{ "exists", SPF_EXISTS, ARGUMENT_DOMAIN },
};

ENUMTAB_WORDS(spf_mechanism_word, enum spf_mechanism, SPF_MECHANISMS)

static struct spf_span
span_of(const struct spf_record *r, struct slice piece)
{
	/* LIMIT_SPF_RECORD_BYTES lets both fit. */
	if (piece.len == 0)
		return (struct spf_span){ 0, 0 };
	return (struct spf_span){ (uint16_t)(piece.p - r->text.p), (uint16_t)piece.len };
}

/* Cut "/" and digits off the end of *rest. */
static bool
cut_length(struct slice *rest, struct slice *digits)
{
	size_t slash = slice_find_last(*rest, '/');

	if (slash == SLICE_NONE || slash + 1 == rest->len)
		return false;
	for (size_t i = slash + 1; i < rest->len; i++)
		if (!ascii_is_digit(rest->p[i]))
			return false;
	*digits = slice_from(*rest, slash + 1);
	*rest = slice_sub(*rest, 0, slash);
	return true;
}

/* RFC 7208 5.6: "0", or digits that don't begin with 0, up to the width of the address. */
static int
parse_length(struct slice digits, uint32_t width, uint8_t *out)
{
	uint32_t bits;

	if (digits.len > 1 && digits.p[0] == '0')
		return -1;
	if (num_u32(digits, 0, width, &bits) != 0)
		return -1;
	*out = (uint8_t)bits;
	return 0;
}

/* dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ], read from the right: what stands
 * before it may hold slashes too. */
static const char *
cut_dual_length(struct slice *rest, struct spf_term *t)
{
	struct slice digits;

	if (!cut_length(rest, &digits))
		return NULL;
	if (rest->len > 0 && rest->p[rest->len - 1] == '/') {
		rest->len--;
		if (parse_length(digits, 128, &t->prefix6_bits) != 0)
			return "IPv6 prefix length is not 0 to 128";
		if (!cut_length(rest, &digits))
			return NULL;
	}
	if (parse_length(digits, 32, &t->prefix4_bits) != 0)
		return "IPv4 prefix length is not 0 to 32";
	return NULL;
}

static const char *
parse_domain_argument(const struct spf_record *r, struct slice rest, struct spf_term *t)
{
	const char *fault;

	if (rest.len == 0)
		return NULL;
	if (rest.p[0] != ':')
		return "\":\" and a domain, or nothing, must follow the mechanism's name";
	rest = slice_from(rest, 1);
	fault = spf_domain_spec_fault(rest);
	if (fault == NULL)
		t->argument = span_of(r, rest);
	return fault;
}

static const char *
parse_network_argument(
    const struct spf_record *r, struct slice rest, enum ip_family family, struct spf_term *t)
{
	uint32_t width = family == IP_V4 ? 32 : 128;
	uint8_t *prefix = family == IP_V4 ? &t->prefix4_bits : &t->prefix6_bits;
	struct ip_address address;
	size_t slash;

	if (rest.len == 0 || rest.p[0] != ':')
		return "an address is missing";
	rest = slice_from(rest, 1);
	slash = slice_find(rest, '/');
	if (slash != SLICE_NONE && parse_length(slice_from(rest, slash + 1), width, prefix) != 0)
		return family == IP_V4 ? "IPv4 prefix length is not 0 to 32"
				       : "IPv6 prefix length is not 0 to 128";
	rest = slice_sub(rest, 0, slash == SLICE_NONE ? rest.len : slash);
	/* Not the family of the outcome: a mapped address is IPv6 as written. */
	if (ip_parse(rest, &address) != 0 ||
	    (slice_find(rest, ':') == SLICE_NONE) != (family == IP_V4))
		return family == IP_V4 ? "not an IPv4 address" : "not an IPv6 address";
	t->argument = span_of(r, rest);
	return NULL;
}

static const char *
parse_argument(
    const struct spf_record *r, enum argument kind, struct slice rest, struct spf_term *t)
{
	const char *fault;

	switch (kind) {
	case ARGUMENT_NONE:
		return rest.len == 0 ? NULL : "the mechanism takes no argument";
	case ARGUMENT_DOMAIN:
		if (rest.len == 0)
			return "\":\" and a domain must follow the mechanism's name";
		return parse_domain_argument(r, rest, t);
	case ARGUMENT_DOMAIN_OPTIONAL:
		return parse_domain_argument(r, rest, t);
	case ARGUMENT_DOMAIN_CIDR:
		fault = cut_dual_length(&rest, t);
		return fault != NULL ? fault : parse_domain_argument(r, rest, t);
	case ARGUMENT_IP4:
		return parse_network_argument(r, rest, IP_V4, t);
	case ARGUMENT_IP6:
		return parse_network_argument(r, rest, IP_V6, t);
	}
	bug("parse_argument: %d", (int)kind);
}

static enum spf_result
cut_qualifier(struct slice *rest)
{
	enum spf_result result;

	if (rest->p[0] == '+')
		result = SPF_PASS;
	else if (rest->p[0] == '-')
		result = SPF_FAIL;
	else if (rest->p[0] == '~')
		result = SPF_SOFTFAIL;
	else if (rest->p[0] == '?')
		result = SPF_NEUTRAL;
	else
		return SPF_PASS; /* RFC 7208 4.6.2: the qualifier defaults to "+" */
	*rest = slice_from(*rest, 1);
	return result;
}

static const char *
parse_mechanism(struct spf_record *r, struct slice term)
{
	struct spf_term t = { .prefix4_bits = 32, .prefix6_bits = 128 };
	struct slice rest = term, name;
	size_t n = 0;

	t.written = span_of(r, term);
	t.result = cut_qualifier(&rest);
	while (n < rest.len && rest.p[n] != ':' && rest.p[n] != '/')
		n++;
	name = slice_sub(rest, 0, n);
	rest = slice_from(rest, n);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const char *fault;

		if (!slice_equal_nocase(name, slice_str(rules[i].name)))
			continue;
		t.mechanism = rules[i].mechanism;
		fault = parse_argument(r, rules[i].argument, rest, &t);
		if (fault != NULL)
			return fault;
		r->terms[r->count++] = t;
		return NULL;
	}
	return "no such mechanism";
}

/* Length of the modifier's name before "=", or 0 if the term is no modifier (RFC 7208 4.6.1). */
static size_t
modifier_name(struct slice term)
{
	size_t n = 0;

	if (!ascii_is_alpha(term.p[0]))
		return 0;
	while (n < term.len &&
	    (ascii_is_alnum(term.p[n]) || term.p[n] == '-' || term.p[n] == '_' || term.p[n] == '.'))
		n++;
	return n < term.len && term.p[n] == '=' ? n : 0;
}

static const char *
parse_modifier(struct spf_record *r, struct slice term, struct slice name)
{
	struct slice value = slice_from(term, name.len + 1);
	struct spf_modifier *m;
	const char *fault;

	if (slice_equal_nocase(name, SLICE("redirect")))
		m = &r->redirect;
	else if (slice_equal_nocase(name, SLICE("exp")))
		m = &r->explanation;
	else
		return spf_macro_string_fault(value); /* section 6: unknown ones are ignored */
	/* RFC 7208 6: these two MUST NOT appear in a record more than once each */
	if (m->written.len > 0)
		return "the modifier appears twice";
	fault = spf_domain_spec_fault(value);
	if (fault != NULL)
		return fault;
	m->written = span_of(r, term);
	m->argument = span_of(r, value);
	return NULL;
}

static const char *
parse_term(struct spf_record *r, struct slice term)
{
	size_t n;

	/* RFC 7208 3.1 and 4.6.1: terms are visible ASCII, and spaces alone part them */
	for (size_t i = 0; i < term.len; i++)
		if (term.p[i] < 0x21 || term.p[i] > 0x7e)
			return "a byte that is not visible ASCII";
	n = modifier_name(term);
	if (n > 0)
		return parse_modifier(r, term, slice_sub(term, 0, n));
	return parse_mechanism(r, term);
}

static void
parse_terms(struct spf_record *r)
{
	struct slice rest = slice_from(r->text, VERSION_BYTES), term;

	while (slice_next(&rest, ' ', &term)) {
		if (term.len == 0)
			continue;
		if (r->count == LIMIT_SPF_TERMS) {
			r->reason = SPF_R_SIZE;
			r->fault = "more than 512 mechanisms";
			return;
		}
		r->fault = parse_term(r, term);
		if (r->fault != NULL) {
			r->reason = SPF_R_SYNTAX;
			r->fault_term = span_of(r, term);
			return;
		}
	}
}

/* An upper bound on the terms, so that one allocation holds the record. */
static size_t
count_room(struct slice text)
{
	size_t n = 1;

	for (size_t i = 1; i < text.len; i++)
		n += text.p[i - 1] == ' ' && text.p[i] != ' ';
	return n < LIMIT_SPF_TERMS ? n : LIMIT_SPF_TERMS;
}

bool
spf_record_version(struct slice text)
{
	/* RFC 7208 4.5: the version is terminated by either an SP or the end of the record */
	return slice_starts_nocase(text, SLICE(VERSION)) &&
	    (text.len == VERSION_BYTES || text.p[VERSION_BYTES] == ' ');
}

struct spf_record *
spf_record_new(struct slice text)
{
	bool fits = text.len <= LIMIT_SPF_RECORD_BYTES;
	size_t room = fits ? count_room(text) : 0;
	struct spf_record *r = heap_alloc(
	    1, sizeof(*r) + room * sizeof(r->terms[0])); /* room is bounded */

	r->text = text;
	if (fits) {
		parse_terms(r);
	} else {
		r->reason = SPF_R_SIZE;
		r->fault = "more than 4096 bytes";
	}
	return r;
}

void
spf_record_free(struct spf_record **r)
{
	free(*r);
	*r = NULL;
}

/* ---- kept with the answer ---- */

static size_t
count_records(const struct dns_answer *answer, struct slice *text)
{
	size_t n = 0;

	for (size_t i = 0; i < answer->count; i++)
		if (spf_record_version(answer->records[i].text)) {
			*text = answer->records[i].text;
			n++;
		}
	return n;
}

static void *
decode_record(const struct dns_answer *answer, void *ctx)
{
	struct slice text;

	(void)ctx;
	return count_records(answer, &text) == 1 ? spf_record_new(text) : NULL;
}

static const struct dns_decoder record_decoder = {
	.name = "spf record",
	.decode = decode_record,
	.free = free,
};

const struct spf_record *
spf_record_select(const struct dns_answer *answer, enum spf_reason *reason_r)
{
	const struct spf_record *r = dns_answer_decoded(answer, &record_decoder, NULL);
	struct slice text;

	/* RFC 7208 3.2, 4.5: none left is "none", several are "permerror" */
	if (r == NULL)
		*reason_r = count_records(answer, &text) == 0 ? SPF_R_NO_RECORD : SPF_R_SEVERAL;
	return r;
}
