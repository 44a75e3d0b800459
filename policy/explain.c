/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/explain.h"

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"

#define NAME_SHOWN	 100 /* bytes of a name that a stranger chose */
#define DETAIL_SHOWN	 160
#define SIGNATURES_SHOWN 3 /* in one sentence */

static const char *
shown(struct arena *a, struct slice name)
{
	return arena_printable(a, name, NAME_SHOWN);
}

static void
add_detail(struct strbuf *b, const char *open, struct slice detail, const char *close)
{
	if (detail.len == 0)
		return;
	strbuf_printf(b, "%s%s%s", open, arena_cut(b->arena, detail, DETAIL_SHOWN), close);
}

/* Why SPF says what it says, without naming the identity again. */
static void
add_spf_cause(struct strbuf *b, const struct spf_verdict *spf)
{
	if (spf->reason == SPF_R_MATCH) {
		strbuf_printf(b, " (%s of %s)",
		    arena_printable(b->arena, spf->mechanism, NAME_SHOWN),
		    shown(b->arena, spf->record_domain));
		return;
	}
	if (spf->reason == SPF_R_NONE)
		return;
	strbuf_printf(b, " (%s", spf_reason_text(spf->reason));
	add_detail(b, ": ", spf->detail, "");
	strbuf_char(b, ')');
}

const char *
explain_spf(struct arena *a, const struct spf_verdict *spf)
{
	struct strbuf b;

	strbuf_init(&b, a, LIMIT_REPLY_BYTES);
	strbuf_printf(&b, "SPF of %s is %s", spf->domain.len > 0 ? shown(a, spf->domain) : "<>",
	    spf_result_word(spf->result));
	add_spf_cause(&b, spf);
	return strbuf_slice(&b).p;
}

const char *
explain_signature(struct arena *a, const struct dkim_signature_verdict *s)
{
	struct strbuf b;

	strbuf_init(&b, a, LIMIT_REPLY_BYTES);
	strbuf_printf(
	    &b, "DKIM of %s", s->domain.len > 0 ? shown(a, s->domain) : "an unreadable d=");
	if (s->selector.len > 0)
		strbuf_printf(&b, " (selector %s)", shown(a, s->selector));
	strbuf_printf(&b, " is %s", dkim_result_word(s->result));
	if (s->reason != DKIM_R_NONE)
		strbuf_printf(&b, ": %s", dkim_reason_text(s->reason));
	add_detail(&b, " (", s->detail, ")");
	add_detail(&b, ", ", s->diagnosis.text, "");
	return strbuf_slice(&b).p;
}

/* The comparison of SPF or of that signature with the author domain, or NULL. */
static const struct dmarc_alignment *
find_alignment(const struct dmarc_verdict *d, enum dmarc_method method, size_t signature)
{
	for (size_t i = 0; i < d->alignment_count; i++)
		if (d->alignments[i].method == method && d->alignments[i].signature == signature)
			return &d->alignments[i];
	return NULL;
}

static bool
is_aligned(const struct dmarc_verdict *d, enum dmarc_method method, size_t signature)
{
	const struct dmarc_alignment *al = find_alignment(d, method, signature);

	return al != NULL && al->aligned;
}

/* Said only where it was looked at: without a policy nobody compares. */
static const char *
not_aligned(const struct dmarc_verdict *d, enum dmarc_method method, size_t signature)
{
	const struct dmarc_alignment *al = find_alignment(d, method, signature);

	return al != NULL && al->compared && !al->aligned ? " but not aligned" : "";
}

static void
add_signatures(struct strbuf *b, const struct verdict *v)
{
	size_t shown_count = v->dkim.count < SIGNATURES_SHOWN ? v->dkim.count : SIGNATURES_SHOWN;

	if (v->dkim.count == 0)
		strbuf_str(b, "no DKIM signature");
	for (size_t i = 0; i < shown_count; i++) {
		const struct dkim_signature_verdict *s = &v->dkim.signatures[i];

		strbuf_printf(b, "%s%s%s", i == 0 ? "" : ", ", explain_signature(b->arena, s),
		    s->result == DKIM_PASS ? not_aligned(&v->dmarc, DMARC_BY_DKIM, i) : "");
	}
	if (v->dkim.count > shown_count)
		strbuf_printf(b, ", %zu more signatures", v->dkim.count - shown_count);
}

static void
add_methods(struct strbuf *b, const struct verdict *v)
{
	strbuf_str(b, explain_spf(b->arena, &v->spf));
	if (v->spf.result == SPF_PASS)
		strbuf_str(b, not_aligned(&v->dmarc, DMARC_BY_SPF, 0));
	strbuf_str(b, "; ");
	add_signatures(b, v);
}

/* RFC 9989 7.2: with the word "DMARC", for those who sort replies by their text. */
static void
add_policy(struct strbuf *b, const struct dmarc_verdict *d)
{
	strbuf_printf(b, "; DMARC policy %s=%s of %s", d->policy_tag,
	    dmarc_policy_word(d->requested_policy), shown(b->arena, d->policy_domain));
	if (d->policy_test_mode)
		strbuf_printf(b, ", in test mode (t=y): %s", dmarc_policy_word(d->policy));
}

static void
add_passed(struct strbuf *b, const struct verdict *v)
{
	const struct dmarc_verdict *d = &v->dmarc;

	strbuf_str(b, "mail from ");
	strbuf_str(b, shown(b->arena, d->author_domain));
	strbuf_str(b, " is authenticated:");
	if (d->spf_aligned) {
		strbuf_str(b, " SPF of ");
		strbuf_str(b, shown(b->arena, v->spf.domain));
	}
	for (size_t i = 0; d->dkim_aligned && i < v->dkim.count; i++) {
		const struct dkim_signature_verdict *s = &v->dkim.signatures[i];

		if (s->result != DKIM_PASS || !is_aligned(d, DMARC_BY_DKIM, i))
			continue;
		strbuf_str(b, d->spf_aligned ? " and DKIM of " : " DKIM of ");
		strbuf_str(b, shown(b->arena, s->domain));
		strbuf_str(b, " (selector ");
		strbuf_str(b, shown(b->arena, s->selector));
		strbuf_char(b, ')');
		break;
	}
}

static const char *
author_name(struct arena *a, const struct dmarc_verdict *d)
{
	return d->author_domain.len > 0 ? shown(a, d->author_domain) : "its author";
}

const char *
explain_dmarc(struct arena *a, const struct verdict *v)
{
	const struct dmarc_verdict *d = &v->dmarc;
	struct strbuf b;

	strbuf_init(&b, a, 2 * LIMIT_REPLY_BYTES);
	switch (d->result) {
	case DMARC_PASS:
		add_passed(&b, v);
		break;
	case DMARC_FAIL:
		strbuf_printf(&b, "mail from %s is not authenticated: ", author_name(a, d));
		add_methods(&b, v);
		add_policy(&b, d);
		break;
	case DMARC_TEMPERROR:
		strbuf_printf(&b, "mail from %s can't be authenticated now: %s", author_name(a, d),
		    dmarc_reason_text(d->reason));
		add_detail(&b, " (", d->detail, ")");
		break;
	case DMARC_NONE:
	case DMARC_PERMERROR:
		strbuf_printf(&b, "DMARC does not apply: %s", dmarc_reason_text(d->reason));
		add_detail(&b, " (", d->detail, ")");
		strbuf_str(&b, "; ");
		add_methods(&b, v);
		break;
	}
	return strbuf_slice(&b).p;
}
