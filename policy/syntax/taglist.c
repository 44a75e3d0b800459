/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/syntax/taglist.h"

#include <stdint.h>

#include "policy/base/bug.h"
#include "policy/base/limits.h"

#define SHOWN_BYTES 40 /* of a peer's text in an error */

struct parse {
	struct arena *arena;
	const struct taglist_grammar *grammar;
	void *obj;
	const char **error_r;
	uint64_t seen;			  /* bit i: rule i was met */
	struct slice unknown[LIMIT_TAGS]; /* names without a rule that were met */
	size_t unknown_count;
	size_t position;
};

/* RFC 6376 3.2: tag-name = ALPHA *ALNUMPUNC, ALNUMPUNC = ALPHA / DIGIT / "_" */
static bool
is_tag_name(struct slice s)
{
	if (s.len == 0 || !ascii_is_alpha(s.p[0]))
		return false;
	for (size_t i = 1; i < s.len; i++)
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '_')
			return false;
	return true;
}

/*
 * RFC 6376 3.2: tag-value is VALCHAR (0x21..0x7e without ";") with FWS between. RFC 8616 section 4
 * lets UTF-8 into some values, so bytes from 0x80 on pass here and are judged by the rule.
 */
static bool
is_tag_value(struct slice s)
{
	static const bool is_bad[256] = { [0x00 ... 0x08] = true, /* before HTAB, LF */
		[0x0b ... 0x0c] = true,				  /* before CR */
		[0x0e ... 0x1f] = true,				  /* before SP */
		[0x7f] = true };

	for (size_t i = 0; i < s.len; i++)
		if (is_bad[(unsigned char)s.p[i]])
			return false;
	return true;
}

static int
fail(struct parse *p, struct slice name, const char *why)
{
	*p->error_r = arena_printf(
	    p->arena, "tag %s %s", arena_printable(p->arena, name, SHOWN_BYTES), why);
	return -1;
}

/* What a sloppy grammar forgives: 0, having told the caller; otherwise the failure. */
static int
forgive(struct parse *p, bool forgiven, struct slice name, struct slice value, const char *why)
{
	if (!forgiven)
		return fail(p, name, why);
	if (p->grammar->on_fault != NULL)
		p->grammar->on_fault(p->arena, p->obj, name, value, why);
	return 0;
}

static const struct tag_rule *
find_rule(const struct parse *p, struct slice name, size_t *index_r)
{
	bool nocase = (p->grammar->flags & TAGLIST_NOCASE) != 0;

	for (size_t i = 0; i < p->grammar->rule_count; i++) {
		struct slice rule_name;

		/* Most have another first letter. */
		if (ascii_lower(p->grammar->rules[i].name[0]) != ascii_lower(name.p[0]))
			continue;
		rule_name = slice_str(p->grammar->rules[i].name);
		if (nocase ? slice_equal_nocase(rule_name, name) : slice_equal(rule_name, name)) {
			*index_r = i;
			return &p->grammar->rules[i];
		}
	}
	return NULL;
}

/* RFC 6376 3.2: unrecognized tags MUST be ignored; but none occurs twice, known or not. */
static int
skip_unknown(struct parse *p, struct slice name, struct slice value)
{
	bool sloppy = (p->grammar->flags & TAGLIST_SLOPPY) != 0;

	if (!is_tag_value(value))
		return forgive(p, sloppy, name, value, "has a bad byte in it");
	for (size_t i = 0; !sloppy && i < p->unknown_count; i++)
		if (slice_equal(p->unknown[i], name))
			return fail(p, name, "occurs twice");
	p->unknown[p->unknown_count++] = name;
	return 0;
}

static int
parse_tag(struct parse *p, struct slice spec)
{
	bool sloppy = (p->grammar->flags & TAGLIST_SLOPPY) != 0;
	size_t equals = slice_find(spec, '='), index = 0;
	struct slice name, value;
	const struct tag_rule *rule;
	const char *why = "is not valid";

	if (equals == SLICE_NONE)
		return forgive(p, sloppy, slice_trim(spec), slice_of(NULL, 0), "has no \"=\"");
	name = slice_trim(slice_sub(spec, 0, equals));
	value = slice_trim(slice_from(spec, equals + 1));
	if (!is_tag_name(name))
		return forgive(p, sloppy, name, value, "is not a tag name");
	rule = find_rule(p, name, &index);
	if (rule == NULL)
		return skip_unknown(p, name, value);
	if (p->seen & UINT64_C(1) << index)
		/* RFC 6376 3.2: tags with duplicate names MUST NOT occur */
		return forgive(p, sloppy, name, value, "occurs twice");
	if ((rule->flags & TAG_FIRST) && p->position != 0)
		return fail(p, name, "is not the first");
	if (is_tag_value(value) && rule->parse(p->arena, value, p->obj, &why) == 0) {
		p->seen |= UINT64_C(1) << index;
		return 0;
	}
	return forgive(p, (rule->flags & TAG_LENIENT) != 0, name, value, why);
}

static int
apply_fallbacks(struct parse *p)
{
	for (size_t i = 0; i < p->grammar->rule_count; i++) {
		const struct tag_rule *rule = &p->grammar->rules[i];
		const char *why = NULL;

		if (p->seen & UINT64_C(1) << i)
			continue;
		if (rule->flags & TAG_REQUIRED)
			return fail(p, slice_str(rule->name), "is missing");
		if (rule->fallback != NULL &&
		    rule->parse(p->arena, slice_str(rule->fallback), p->obj, &why) != 0)
			bug("taglist: fallback of %s %s", rule->name, why);
	}
	return 0;
}

int
taglist_parse(struct arena *a, struct slice text, const struct taglist_grammar *grammar, void *obj,
    const char **error_r)
{
	struct parse p = { .arena = a, .grammar = grammar, .obj = obj, .error_r = error_r };
	bool sloppy = (grammar->flags & TAGLIST_SLOPPY) != 0;
	struct slice spec;

	if (grammar->rule_count > 64)
		bug("taglist: %zu rules", grammar->rule_count);
	if (text.len > LIMIT_TAGLIST_BYTES) {
		*error_r = arena_printf(
		    a, "list is %zu bytes, at most %d", text.len, LIMIT_TAGLIST_BYTES);
		return -1;
	}
	while (slice_next(&text, ';', &spec)) {
		bool blank = slice_trim(spec).len == 0;

		if (blank && (sloppy || text.len == 0 || slice_trim(text).len == 0))
			continue;
		if (p.position == LIMIT_TAGS) {
			*error_r = arena_printf(a, "more than %d tags", LIMIT_TAGS);
			return -1;
		}
		if (parse_tag(&p, spec) != 0)
			return -1;
		p.position++;
	}
	return apply_fallbacks(&p);
}
