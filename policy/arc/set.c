/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/arc/internal.h"
#include "policy/base/num.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/lex.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* RFC 8617 4.2.1: 1 to 50, at most two digits, so that no number of theirs wraps around. */
static int
tag_i(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct arc_signature *s = obj;

	(void)a;
	*why_r = "is not 1 to 50";
	return num_u32(value, 1, LIMIT_ARC_SETS, &s->instance);
}

/* RFC 8617 4.1.3: seal-cv-tag; strings of ABNF are without regard to case. */
static int
tag_cv(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct arc_signature *s = obj;

	(void)a;
	for (int cv = ARC_NONE; cv <= ARC_FAIL; cv++) {
		if (slice_equal_nocase(value, slice_str(arc_result_word((enum arc_result)cv)))) {
			s->cv = (enum arc_result)cv;
			return 0;
		}
	}
	*why_r = "is not none, pass or fail";
	return -1;
}

static int
tag_c(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	((struct arc_signature *)obj)->canon_given = true;
	return sig_tag_c(a, value, obj, why_r);
}

/* RFC 8617 4.1.3: h= in an ARC-Seal MUST result in cv=fail. */
static int
tag_h_refused(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	(void)a, (void)value, (void)obj;
	*why_r = "has no place in an ARC-Seal";
	return -1;
}

/*
 * Sealers in the field leave h= empty or an empty name in it, and the public suite wants that to
 * pass: such a name signs nothing.
 */
static int
tag_h(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct sig_tags *tags = obj;
	struct slice name;
	struct strbuf names;

	strbuf_init(&names, a, value.len);
	while (slice_next(&value, ':', &name)) {
		name = slice_trim(name);
		if (name.len == 0)
			continue;
		if (names.len > 0)
			strbuf_char(&names, ':');
		strbuf_add(&names, name);
	}
	if (names.len == 0) {
		tags->name_count = 0;
		return 0;
	}
	if (sig_tag_h(a, strbuf_slice(&names), obj, why_r) != 0)
		return -1;
	/* RFC 8617 4.1.2 forbids all ARC fields here; a seal can't be covered, for it comes later.
	 */
	*why_r = "names ARC-Seal";
	return sig_signs(tags, "ARC-Seal") ? -1 : 0;
}

static const struct tag_rule message_rules[] = {
	/* RFC 8617 4.1.2, RFC 6376 3.5 */
	{ "i", tag_i, TAG_REQUIRED, NULL },
	{ "a", sig_tag_a, TAG_REQUIRED, NULL },
	{ "b", sig_tag_b, TAG_REQUIRED, NULL },
	{ "bh", sig_tag_bh, TAG_REQUIRED, NULL },
	{ "c", tag_c, 0, NULL }, /* absent: simple/simple, which is all zero */
	{ "d", sig_tag_d, TAG_REQUIRED, NULL },
	{ "h", tag_h, TAG_REQUIRED, NULL },
	{ "l", sig_tag_l, 0, NULL },
	{ "q", sig_tag_q, 0, NULL },
	{ "s", sig_tag_s, TAG_REQUIRED, NULL },
	{ "t", sig_tag_t, 0, NULL },
	{ "x", sig_tag_x, 0, NULL },
};

static const struct tag_rule seal_rules[] = {
	/* RFC 8617 4.1.3 */
	{ "i", tag_i, TAG_REQUIRED, NULL },
	{ "a", sig_tag_a, TAG_REQUIRED, NULL },
	{ "b", sig_tag_b, TAG_REQUIRED, NULL },
	{ "cv", tag_cv, TAG_REQUIRED, NULL },
	{ "d", sig_tag_d, TAG_REQUIRED, NULL },
	{ "h", tag_h_refused, 0, NULL },
	{ "s", sig_tag_s, TAG_REQUIRED, NULL },
	{ "t", sig_tag_t, 0, NULL },
};

static const struct taglist_grammar message_grammar = { .rules = message_rules,
	.rule_count = COUNT(message_rules) };
static const struct taglist_grammar seal_grammar = { .rules = seal_rules,
	.rule_count = COUNT(seal_rules) };

/* RFC 8617 4.1.1: arc-info = instance [CFWS] ";" authres-payload. 0: it does not begin so. */
static uint32_t
results_instance(struct slice value)
{
	struct lex l = lex_over(value);
	uint32_t instance = 0;

	lex_skip(&l);
	if (!lex_take(&l, 'i'))
		return 0;
	lex_skip(&l);
	if (!lex_take(&l, '='))
		return 0;
	lex_skip(&l);
	if (num_u32(lex_run(&l, ascii_is_digit), 1, LIMIT_ARC_SETS, &instance) != 0)
		return 0;
	lex_skip(&l);
	return lex_take(&l, ';') ? instance : 0;
}

/* ---- collecting ---- */

struct collector {
	struct arena *arena;
	const struct header_list *header;
	struct arc_chain *chain;
	const char **fault_r;
};

static int
fault(const struct collector *c, const char *field, const char *why)
{
	*c->fault_r = arena_printf(c->arena, "%s: %s", field, why);
	return -1;
}

static struct arc_set *
set_of(const struct collector *c, uint32_t instance)
{
	if (instance > c->chain->count)
		c->chain->count = instance;
	return &c->chain->sets[instance - 1];
}

static int
collect_results(const struct collector *c, size_t field)
{
	static const char name[] = "ARC-Authentication-Results";
	uint32_t instance = results_instance(c->header->fields[field].value);
	struct arc_set *set;

	if (instance == 0)
		return fault(c, name, "does not begin with an instance of 1 to 50");
	set = set_of(c, instance);
	if (set->results != SIG_NO_FIELD)
		return fault(c, name, arena_printf(c->arena, "i=%u occurs twice", instance));
	set->results = field;
	return 0;
}

/* RFC 8301 3.1 holds for ARC as well; further algorithms are nobody's. */
static int
check_algorithm(const struct collector *c, const char *name, const struct arc_signature *s)
{
	switch (s->tags.algorithm) {
	case SIG_RSA_SHA256:
	case SIG_ED25519_SHA256:
		return 0;
	case SIG_RSA_SHA1:
	case SIG_OTHER:
		return fault(c, name, "algorithm is not acceptable");
	}
	bug("arc: algorithm %d", (int)s->tags.algorithm);
}

static int
collect_signature(const struct collector *c, size_t field, const char *name,
    const struct taglist_grammar *grammar)
{
	struct arc_signature *s = arena_alloc(c->arena, sizeof(*s));
	const char *why = "";
	struct arc_signature **place;
	struct arc_set *set;

	s->tags.length = SIG_BODY_ALL;
	s->field = field;
	if (taglist_parse(c->arena, c->header->fields[field].value, grammar, s, &why) != 0)
		return fault(c, name, why);
	set = set_of(c, s->instance);
	place = grammar == &seal_grammar ? &set->seal : &set->message;
	if (*place != NULL)
		return fault(c, name, arena_printf(c->arena, "i=%u occurs twice", s->instance));
	*place = s;
	s->key_name = sig_key_name(c->arena, s->tags.selector, s->tags.domain);
	return check_algorithm(c, name, s);
}

static int
collect(const struct collector *c)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->header->count; i++) {
		struct slice name = header_name_trim(c->header->fields[i].name);

		if (!slice_starts_nocase(name, SLICE("ARC-")))
			continue;
		if (slice_equal_nocase(name, SLICE("ARC-Authentication-Results")))
			rc = collect_results(c, i);
		else if (slice_equal_nocase(name, SLICE("ARC-Message-Signature")))
			rc = collect_signature(c, i, "ARC-Message-Signature", &message_grammar);
		else if (slice_equal_nocase(name, SLICE("ARC-Seal")))
			rc = collect_signature(c, i, "ARC-Seal", &seal_grammar);
	}
	return rc;
}

/* RFC 8617 5.2 step 3, and step 2, which is a case of 3 C. */
static int
check_structure(const struct collector *c)
{
	for (uint32_t i = 1; i <= c->chain->count; i++) {
		const struct arc_set *set = &c->chain->sets[i - 1];
		enum arc_result wanted = i == 1 ? ARC_NONE : ARC_PASS;

		if (set->results == SIG_NO_FIELD || set->message == NULL || set->seal == NULL)
			return fault(c, arena_printf(c->arena, "set %u", i), "is not complete");
		if (set->seal->cv != wanted)
			return fault(c, arena_printf(c->arena, "ARC-Seal %u", i),
			    arena_printf(c->arena, "cv=%s where %s belongs",
				arc_result_word(set->seal->cv), arc_result_word(wanted)));
	}
	return 0;
}

int
arc_chain_read(struct arena *a, const struct header_list *header, struct arc_chain *chain,
    const char **fault_r)
{
	const struct collector c = {
		.arena = a, .header = header, .chain = chain, .fault_r = fault_r
	};

	*chain = (struct arc_chain){ .count = 0 };
	for (size_t i = 0; i < LIMIT_ARC_SETS; i++)
		chain->sets[i].results = SIG_NO_FIELD;
	if (collect(&c) != 0)
		return -1;
	return check_structure(&c);
}

/* 0: none, or not one of the three fields of a set. */
static uint32_t
claimed_instance(const struct header_field *f)
{
	struct slice digits, name = header_name_trim(f->name);
	uint32_t instance = 0;

	if (slice_equal_nocase(name, SLICE("ARC-Authentication-Results")))
		return results_instance(f->value);
	if (!slice_equal_nocase(name, SLICE("ARC-Message-Signature")) &&
	    !slice_equal_nocase(name, SLICE("ARC-Seal")))
		return 0;
	digits = slice_trim(sig_raw_tag(f->value, "i"));
	if (num_u32(digits, 1, LIMIT_ARC_SETS, &instance) != 0)
		return digits.len > 0 ? LIMIT_ARC_SETS : 0;
	return instance;
}

enum arc_result
arc_newest_instance(const struct header_list *header, uint32_t *instance_r)
{
	enum arc_result said = ARC_NONE;

	*instance_r = 0;
	for (size_t i = 0; i < header->count; i++) {
		const struct header_field *f = &header->fields[i];
		uint32_t instance = claimed_instance(f);

		if (instance == 0 || instance < *instance_r)
			continue;
		if (instance > *instance_r)
			said = ARC_NONE;
		*instance_r = instance;
		if (slice_equal_nocase(header_name_trim(f->name), SLICE("ARC-Seal")) &&
		    slice_equal_nocase(slice_trim(sig_raw_tag(f->value, "cv")), SLICE("fail")))
			said = ARC_FAIL;
	}
	return said;
}
