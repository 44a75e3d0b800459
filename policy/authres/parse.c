/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "policy/authres/authres.h"
#include "policy/authres/internal.h"
#include "policy/base/limits.h"
#include "policy/base/num.h"

struct parse {
	struct arena *arena;
	struct lex lex;
	struct authres *out;
	const char *why; /* static text */
	bool lenient;
};

const bool authres_token[256] = {
	['!'] = true,
	['#' ... '\''] = true,
	['*' ... '+'] = true,
	['-' ... '.'] = true,
	['0' ... '9'] = true,
	['A' ... 'Z'] = true,
	['^' ... '~'] = true,
	[0x80 ... 0xff] = true,
};

static bool
is_keyword_byte(char c)
{
	return ascii_is_alnum(c) || c == '-';
}

bool
authres_is_keyword(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_keyword_byte(s.p[i]))
			return false;
	return s.len > 0 && s.p[s.len - 1] != '-';
}

static bool
is_atext_or_dot(char c)
{
	return c == '.' || lex_is_atext(c);
}

/* RFC 6376 3.5 domain-name, with U-labels, and underscores that DNS names hold. */
static bool
is_domain_byte(char c)
{
	return is_keyword_byte(c) || c == '.' || c == '_' || (unsigned char)c >= 0x80;
}

static int
refuse(struct parse *p, const char *why)
{
	p->why = why;
	return -1;
}

/* [CFWS] c [CFWS] */
static bool
take_around(struct lex *l, char c)
{
	lex_skip(l);
	if (!lex_take(l, c))
		return false;
	lex_skip(l);
	return true;
}

/* RFC 2045 5.1: value = token / quoted-string */
static int
read_value(struct parse *p, struct slice *out, const char *why)
{
	if (lex_peek(&p->lex) == '"') {
		*out = lex_quoted(&p->lex, p->arena);
		return 0;
	}
	*out = lex_run(&p->lex, authres_is_token);
	return out->len > 0 ? 0 : refuse(p, why);
}

static int
read_keyword(struct parse *p, struct slice *out, const char *why)
{
	struct slice word = lex_run(&p->lex, is_keyword_byte);

	if (!authres_is_keyword(word))
		return refuse(p, why);
	*out = arena_copy_lower(p->arena, word);
	return 0;
}

static int
read_number(struct parse *p, uint32_t max, uint32_t *out, const char *why)
{
	return num_u32(lex_run(&p->lex, ascii_is_digit), 1, max, out) == 0 ? 0 : refuse(p, why);
}

/* RFC 5322 3.2.3: no dot at either end, no two in a row. */
static bool
is_dot_atom(struct slice s)
{
	struct slice atom;

	if (s.len == 0 || s.p[s.len - 1] == '.')
		return false;
	while (slice_next(&s, '.', &atom))
		if (atom.len == 0)
			return false;
	return true;
}

int
authres_read_pvalue(struct lex *l, struct arena *a, struct slice *out)
{
	size_t start = l->at, end;
	bool is_quoted = lex_peek(l) == '"';
	struct slice word = is_quoted ? lex_quoted(l, a) : lex_run(l, is_atext_or_dot);

	end = l->at;
	lex_skip(l); /* RFC 5322 3.2.3: a dot-atom has CFWS around it, before the "@" too */
	if (lex_take(l, '@')) {
		struct slice local_part = header_unfold(a, slice_sub(l->text, start, end - start));
		struct slice domain = lex_run(l, is_domain_byte);

		if (!is_dot_atom(domain) || !(is_quoted || word.len == 0 || is_dot_atom(word)))
			return -1;
		*out = slice_str(
		    arena_printf(a, "%s@%s", arena_str(a, local_part), arena_str(a, domain)));
		return 0;
	}
	l->at = end;
	for (size_t i = 0; !is_quoted && i < word.len; i++)
		if (!authres_is_token(word.p[i]))
			return -1;
	*out = word;
	return is_quoted || word.len > 0 ? 0 : -1;
}

/* "2001:db8::1" wants quotes (RFC 2045 5.1), and is written without. */
static bool
is_raw_value_byte(char c)
{
	return !ascii_is_space(c) && c != ';' && c != '(' && c != '"' && c != '\0';
}

static bool
at_gap(const struct lex *l)
{
	char c = lex_peek(l);

	return lex_at_end(l) || ascii_is_space(c) || c == ';' || c == '(';
}

/* propspec = ptype [CFWS] "." [CFWS] property [CFWS] "=" pvalue; the ptype is read. */
static int
read_property(struct parse *p, struct authres_result *result, struct slice ptype)
{
	struct authres_property *grown, *property;
	size_t n = result->property_count, start;

	if (n == LIMIT_AUTHRES_PROPS)
		return refuse(p, "too many properties");
	if ((n & (n - 1)) == 0) { /* room is the next power of two */
		grown = arena_array(p->arena, n == 0 ? 1 : 2 * n, sizeof(*grown));
		if (n > 0)
			memcpy(grown, result->properties, n * sizeof(*grown));
		result->properties = grown;
	}
	property = &result->properties[result->property_count++];
	property->ptype = ptype;
	lex_skip(&p->lex);
	if (read_keyword(p, &property->property, "a property without a name") != 0)
		return -1;
	if (!take_around(&p->lex, '='))
		return refuse(p, "a property without \"=\"");
	start = p->lex.at;
	if (authres_read_pvalue(&p->lex, p->arena, &property->value) == 0 && at_gap(&p->lex))
		return 0;
	if (!p->lenient)
		return refuse(p, "a property without a readable value");
	p->lex.at = start;
	property->value = lex_run(&p->lex, is_raw_value_byte);
	return property->value.len > 0 ? 0 : refuse(p, "a property without a value");
}

/* One reasonspec or propspec; the reason stands first. */
static int
read_detail(struct parse *p, struct authres_result *result, bool reason_allowed)
{
	struct lex *l = &p->lex;
	struct slice word;

	if (!l->blank && !l->comment)
		return refuse(p, "a property without a blank before it");
	if (read_keyword(p, &word, "a result with something unreadable behind it") != 0)
		return -1;
	lex_skip(l);
	if (lex_take(l, '.'))
		return read_property(p, result, word);
	if (reason_allowed && slice_equal(word, SLICE("reason")) && take_around(l, '='))
		return read_value(p, &result->reason, "an empty reason");
	return refuse(p, "a property without \".\"");
}

/*
 * Over what the grammar doesn't cover, up to a blank (or not) and never past a ";" that stands
 * outside of comments and quoted strings.
 */
static void
pass_over(struct parse *p, bool to_blank)
{
	struct lex *l = &p->lex;

	while (!lex_at_end(l) && lex_peek(l) != ';') {
		size_t at = l->at;

		if (to_blank && ascii_is_space(lex_peek(l)))
			return;
		if (lex_peek(l) == '"')
			(void)lex_quoted(l, p->arena);
		else
			lex_skip(l);
		if (l->at == at)
			l->at++;
	}
}

/* [ CFWS reasonspec ] *( CFWS propspec ), up to the ";" or the end. */
static int
read_details(struct parse *p, struct authres_result *result)
{
	struct lex *l = &p->lex;
	bool reason_allowed = true;

	for (lex_skip(l); !lex_at_end(l) && lex_peek(l) != ';'; lex_skip(l)) {
		size_t start = l->at, properties = result->property_count;

		if (read_detail(p, result, reason_allowed) != 0) {
			if (!p->lenient)
				return -1;
			result->property_count = properties;
			l->at = start;
			pass_over(p, true);
		}
		reason_allowed = false;
	}
	return 0;
}

/* method [ "/" method-version ] "=" result; the method is read. */
static int
read_result(struct parse *p, struct authres_result *result)
{
	struct lex *l = &p->lex;

	result->method_version = 1;
	if (take_around(l, '/') &&
	    read_number(p, UINT32_MAX, &result->method_version, "a bad method version") != 0)
		return -1;
	if (!take_around(l, '='))
		return refuse(p, "a method without a result");
	if (read_keyword(p, &result->result, "a method without a result") != 0)
		return -1;
	return read_details(p, result);
}

/* no-result / 1*resinfo */
static int
read_results(struct parse *p)
{
	struct authres_result *results = arena_array(
	    p->arena, LIMIT_AUTHRES_RESULTS, sizeof(*results));
	size_t n = 0;

	while (take_around(&p->lex, ';')) {
		struct authres_result result = { 0 };
		bool readable;

		if (n == LIMIT_AUTHRES_RESULTS)
			return refuse(p, "too many results");
		readable = read_keyword(p, &result.method, "a \";\" without a method") == 0;
		lex_skip(&p->lex);
		/* RFC 8601 2.2: no-result stands alone. */
		if (n == 0 && lex_at_end(&p->lex) && slice_equal(result.method, SLICE("none")))
			return 0;
		if (readable && read_result(p, &result) == 0)
			results[n++] = result;
		else if (p->lenient)
			pass_over(p, false);
		else
			return -1;
	}
	if (!lex_at_end(&p->lex))
		return refuse(p, "something unreadable behind authserv-id or result");
	if (n == 0)
		return refuse(p, "no result and no \"none\"");
	p->out->results = results;
	p->out->result_count = n;
	return 0;
}

/* RFC 8617 4.1.1: "i=" instance ";" stands before all else. */
static int
read_instance(struct parse *p)
{
	struct slice name;

	if (read_keyword(p, &name, "no instance") != 0)
		return -1;
	if (!slice_equal(name, SLICE("i")) || !take_around(&p->lex, '='))
		return refuse(p, "no instance");
	if (read_number(p, LIMIT_ARC_SETS, &p->out->instance, "an instance that is not 1..50") != 0)
		return -1;
	return take_around(&p->lex, ';') ? 0 : refuse(p, "no \";\" behind the instance");
}

static int
read_field(struct parse *p, bool is_aar)
{
	lex_skip(&p->lex);
	if (is_aar && read_instance(p) != 0)
		return -1;
	if (read_value(p, &p->out->authserv_id, "no authserv-id") != 0)
		return -1;
	p->out->version = 1;
	lex_skip(&p->lex);
	if (ascii_is_digit(lex_peek(&p->lex)) && (p->lex.blank || p->lex.comment) &&
	    read_number(p, UINT32_MAX, &p->out->version, "a bad version") != 0)
		return -1;
	return read_results(p);
}

static int
parse(struct arena *a, struct slice value, bool is_aar, bool lenient, struct authres *out,
    const char **error_r)
{
	struct parse p = { .arena = a, .lex = lex_over(value), .out = out, .lenient = lenient };

	*out = (struct authres){ .version = 1 };
	if (value.len > LIMIT_AUTHRES_BYTES)
		(void)refuse(&p, "more than 65536 bytes");
	else if (!utf8_is_valid(value))
		(void)refuse(&p, "bytes that are not UTF-8"); /* RFC 6532 3.1 */
	else if (read_field(&p, is_aar) == 0 && p.lex.fault == NULL)
		return 0;
	*error_r = p.lex.fault != NULL
	    ? arena_printf(a, "byte %zu: the field %s", p.lex.at, p.lex.fault)
	    : arena_printf(a, "byte %zu: %s", p.lex.at, p.why);
	return -1;
}

int
authres_parse(
    struct arena *a, struct slice value, bool is_aar, struct authres *out, const char **error_r)
{
	return parse(a, value, is_aar, false, out, error_r);
}

int
authres_parse_lenient(
    struct arena *a, struct slice value, bool is_aar, struct authres *out, const char **error_r)
{
	return parse(a, value, is_aar, true, out, error_r);
}
