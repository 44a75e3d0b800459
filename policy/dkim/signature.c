/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/limits.h"
#include "policy/dkim/internal.h"
#include "policy/syntax/domain.h"

static int
tag_v(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	(void)a;
	(void)why_r;
	((struct dkim_signature *)obj)->version_known = slice_equal(value, SLICE("1"));
	return 0;
}

static int
tag_i(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct dkim_signature *s = obj;

	s->identity_text = dkim_unquote(a, value);
	s->has_identity = true;
	*why_r = "has no \"@\"";
	return slice_find(s->identity_text, '@') == SLICE_NONE ? -1 : 0;
}

static const struct tag_rule rules[] = {
	/* RFC 6376 3.5 */
	{ "v", tag_v, TAG_REQUIRED, NULL },
	{ "a", sig_tag_a, TAG_REQUIRED, NULL },
	{ "b", sig_tag_b, TAG_REQUIRED, NULL },
	{ "bh", sig_tag_bh, TAG_REQUIRED, NULL },
	{ "c", sig_tag_c, 0, "simple/simple" },
	{ "d", sig_tag_d, TAG_REQUIRED, NULL },
	{ "h", sig_tag_h, TAG_REQUIRED, NULL },
	{ "i", tag_i, 0, NULL },
	{ "l", sig_tag_l, 0, NULL },
	{ "q", sig_tag_q, 0, NULL },
	{ "s", sig_tag_s, TAG_REQUIRED, NULL },
	{ "t", sig_tag_t, 0, NULL },
	{ "x", sig_tag_x, 0, NULL },
	{ "z", sig_tag_z, 0, NULL },
};
static const struct taglist_grammar grammar = {
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
};

struct slice
dkim_unquote(struct arena *a, struct slice text)
{
	char *p = arena_alloc(a, text.len + 1);
	size_t len = 0;

	/* RFC 6376 2.11: FWS at arbitrary locations MUST be removed before decoding */
	text = sig_squeeze(a, text);
	for (size_t i = 0; i < text.len; i++) {
		int high = i + 2 < text.len ? ascii_hex(text.p[i + 1]) : -1;
		int low = i + 2 < text.len ? ascii_hex(text.p[i + 2]) : -1;

		if (text.p[i] == '=' && high >= 0 && low >= 0) {
			p[len++] = (char)(high << 4 | low);
			i += 2;
		} else {
			p[len++] = text.p[i];
		}
	}
	return slice_of(p, len);
}

/* What a person wants to see of a signature, also of one that can't be used. */
static void
show(struct arena *a, struct slice value, struct dkim_signature *s)
{
	enum { A, C, D, I, S, TAGS };
	static const char *const names[TAGS] = { "a", "c", "d", "i", "s" };
	struct dkim_signature_verdict *v = &s->verdict;
	struct slice raw[TAGS], c;
	const char *why;

	sig_raw_tags(value, names, TAGS, raw);
	c = sig_squeeze(a, raw[C]);
	if (domain_normalize(a, slice_trim(raw[D]), &v->domain, &why) != 0)
		v->domain = slice_of(NULL, 0);
	v->selector = sig_squeeze(a, raw[S]);
	v->algorithm = sig_squeeze(a, raw[A]);
	v->identity = sig_squeeze(a, raw[I]);
	if (v->identity.len == 0 && v->domain.len > 0)
		v->identity = arena_join(a, SLICE("@"), v->domain);
	if (c.len == 0)
		c = SLICE("simple"); /* RFC 6376 3.5: the default of both halves */
	if (slice_find(c, '/') == SLICE_NONE)
		c = slice_str(arena_printf(a, "%.*s/simple", SLICE_ARG(c)));
	v->canonicalization = c;
	v->body_length_limited = s->tags.length_limited;
	v->body_length = s->tags.length_limited ? s->tags.length : 0;
}

/* RFC 6376 3.5, 3.10, 3.11: the domain of i= MUST be d= or a subdomain of it. RFC 8616 4: as
 * A-labels. */
static enum dkim_reason
judge_identity(struct arena *a, struct dkim_signature *s, const char **detail)
{
	struct slice domain;
	const char *why;
	size_t at = slice_find_last(s->identity_text, '@');

	if (!s->has_identity)
		return DKIM_R_NONE;
	domain = slice_from(s->identity_text, at + 1);
	if (domain_normalize(a, domain, &domain, &why) != 0) {
		*detail = arena_printf(a, "the domain of tag i %s", why);
		return DKIM_R_SYNTAX;
	}
	if (!domain_covers(s->tags.domain, domain))
		return DKIM_R_IDENTITY;
	s->below_domain = !slice_equal(s->tags.domain, domain);
	return DKIM_R_NONE;
}

static enum dkim_reason
judge_times(struct arena *a, const struct sig_tags *tags, const struct dkim_options *options,
    int64_t now_s, const char **detail)
{
	/* RFC 6376 3.5: "the value of the x= tag MUST be greater than the value of the t= tag" */
	if (tags->has_signed_at && tags->has_expires_at && tags->expires_at <= tags->signed_at) {
		*detail = "tag x is not after tag t";
		return DKIM_R_SYNTAX;
	}
	if (tags->has_expires_at && now_s > tags->expires_at) {
		*detail = arena_printf(
		    a, "%lld seconds ago", (long long)(now_s - tags->expires_at));
		return DKIM_R_EXPIRED;
	}
	if (tags->has_signed_at && tags->signed_at - (int64_t)options->clock_skew_s > now_s) {
		*detail = arena_printf(
		    a, "%lld seconds from now", (long long)(tags->signed_at - now_s));
		return DKIM_R_FUTURE;
	}
	return DKIM_R_NONE;
}

static enum dkim_reason
judge_algorithm(const struct sig_tags *tags)
{
	switch (tags->algorithm) {
	case SIG_RSA_SHA256:
	case SIG_ED25519_SHA256:
		return DKIM_R_NONE;
	case SIG_RSA_SHA1:
		return DKIM_R_SHA1; /* RFC 8301 3.1 */
	case SIG_OTHER:
		return DKIM_R_ALGORITHM; /* RFC 6376 3.3.4: MUST ignore such signatures */
	}
	bug("dkim: algorithm %d", (int)tags->algorithm);
}

/* RFC 6376 6.1.1, tag by tag; the first rule that is broken speaks. */
static enum dkim_reason
judge(struct arena *a, struct dkim_signature *s, const struct dkim_options *options, int64_t now_s,
    const char **detail)
{
	enum dkim_reason reason;

	if (!s->version_known)
		return DKIM_R_VERSION;
	reason = judge_algorithm(&s->tags);
	if (reason != DKIM_R_NONE)
		return reason;
	if (!sig_signs(&s->tags, "From")) /* RFC 6376 5.4 */
		return DKIM_R_FROM;
	reason = judge_identity(a, s, detail);
	if (reason != DKIM_R_NONE)
		return reason;
	return judge_times(a, &s->tags, options, now_s, detail);
}

void
dkim_signature_read(struct arena *a, struct slice value, const struct dkim_options *options,
    int64_t now_s, struct dkim_signature *s)
{
	const char *detail = NULL;
	enum dkim_reason reason = DKIM_R_SYNTAX;

	s->tags.length = SIG_BODY_ALL;
	if (taglist_parse(a, value, &grammar, s, &detail) == 0)
		reason = judge(a, s, options, now_s, &detail);
	show(a, value, s);
	s->verdict.reason = reason;
	s->verdict.result = dkim_reason_result(reason);
	s->verdict.detail = slice_str(detail);
	if (reason == DKIM_R_NONE)
		s->key_name = sig_key_name(a, s->tags.selector, s->tags.domain);
}
