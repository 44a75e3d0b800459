/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/strbuf.h"
#include "policy/dmarc/internal.h"
#include "policy/syntax/domain.h"

#define LIST_BYTES 512 /* of author domains shown */

ENUMTAB_WORDS(dmarc_result_word, enum dmarc_result, DMARC_RESULTS)
ENUMTAB_WORDS(dmarc_source_word, enum dmarc_source, DMARC_SOURCES)
ENUMTAB_WORDS(dmarc_discovery_word, enum dmarc_discovery, DMARC_DISCOVERIES)
ENUMTAB_WORDS(dmarc_method_word, enum dmarc_method, DMARC_METHODS)
ENUMTAB_WORDS(dmarc_reason_text, enum dmarc_reason, DMARC_REASONS)

/* FNV-1a, 32 bits; the remainder's bias is one in 40 million. */
uint32_t
dmarc_sample(struct slice identity)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < identity.len; i++)
		hash = (hash ^ (unsigned char)identity.p[i]) * 16777619u;
	return hash % 100;
}

/* ---- the author ---- */

static bool
author_is_out(struct dmarc_verdict *out, enum dmarc_reason reason, const char *detail)
{
	out->result = DMARC_PERMERROR;
	out->reason = reason;
	out->detail = slice_str(detail);
	return false;
}

static const char *
list_domains(struct arena *a, const struct author *author)
{
	struct strbuf list;

	strbuf_init(&list, a, LIST_BYTES);
	for (size_t i = 0; i < author->domain_count; i++)
		strbuf_printf(&list, "%s%s", i == 0 ? "" : ", ",
		    arena_printable(a, author->domains[i], LIMIT_DOMAIN_BYTES));
	return arena_str(a, strbuf_slice(&list));
}

/*
 * RFC 9989 5.3.1: with zero or more than one domain validation is not possible. 11.5: that is also
 * how one would get round DMARC, so each case has a reason of its own for the receiver to act on.
 */
static bool
author_is_one(struct arena *a, const struct author *author, struct dmarc_verdict *out)
{
	if (author->domain_count == 1)
		out->author_domain = author->domains[0];
	if (author->from_fields > 1)
		return author_is_out(out, DMARC_R_SEVERAL_FROMS,
		    arena_printf(a, "%zu From fields", author->from_fields));
	if (author->domain_count > 1)
		return author_is_out(out, DMARC_R_SEVERAL_AUTHORS, list_domains(a, author));
	if (author->domain_count == 0)
		return author_is_out(out, DMARC_R_NO_AUTHOR, author->malformed);
	return true;
}

/*
 * RFC 9989 11.5: a From field that readers may read in different ways is no pass for the domain
 * that we read in it; yet its policy holds, or a stray ">" would be a way round it.
 */
static void
withhold_pass(const struct author *author, struct dmarc_verdict *out)
{
	switch (out->result) {
	case DMARC_PASS:
	case DMARC_NONE:
		out->spf_aligned = out->dkim_aligned = false;
		(void)author_is_out(out, DMARC_R_MALFORMED_FROM, author->malformed);
		break;
	case DMARC_FAIL:
	case DMARC_TEMPERROR:
	case DMARC_PERMERROR:
		break;
	}
}

const char *
dmarc_method_name(enum dmarc_method method)
{
	switch (method) {
	case DMARC_BY_SPF:
		return "SPF";
	case DMARC_BY_DKIM:
		return "DKIM";
	}
	bug("dmarc_method_name: %d", (int)method);
}

/* ---- the identifiers ---- */

static struct slice
normal_or_as_is(struct arena *a, struct slice domain)
{
	const char *why;
	struct slice normal;

	return domain_normalize(a, domain, &normal, &why) == 0 ? normal : domain;
}

static void
list_identifiers(struct arena *a, const struct spf_verdict *spf, const struct dkim_verdict *dkim,
    struct dmarc_verdict *out)
{
	out->alignments = arena_array(
	    a, 1 + (dkim == NULL ? 0 : dkim->count), sizeof(*out->alignments));
	if (spf != NULL && spf->domain.len > 0)
		out->alignments[out->alignment_count++] = (struct dmarc_alignment){
			.method = DMARC_BY_SPF,
			.domain = normal_or_as_is(a, spf->domain),
			.result = spf_result_word(spf->result),
			.passed = spf->result == SPF_PASS,
			.temperror = spf->result == SPF_TEMPERROR,
		};
	for (size_t i = 0; dkim != NULL && i < dkim->count; i++) {
		const struct dkim_signature_verdict *s = &dkim->signatures[i];

		if (s->domain.len == 0)
			continue;
		out->alignments[out->alignment_count++] = (struct dmarc_alignment){
			.method = DMARC_BY_DKIM,
			.signature = i,
			.partial = s->body_length_limited,
			.domain = normal_or_as_is(a, s->domain),
			.result = dkim_result_word(s->result),
			.passed = s->result == DKIM_PASS,
			.temperror = s->result == DKIM_TEMPERROR,
		};
	}
}

static void
set_strictness(struct dmarc_verdict *out)
{
	for (size_t i = 0; i < out->alignment_count; i++) {
		struct dmarc_alignment *al = &out->alignments[i];

		al->strict = al->method == DMARC_BY_SPF ? out->record->strict_spf
							: out->record->strict_dkim;
	}
}

/* ---- the policy ---- */

/*
 * RFC 9989 3.2.13, RFC 8020: only NXDOMAIN says that a domain does not exist. Where "_dmarc" below
 * it was found to exist, so does the domain, and nothing needs to be asked.
 */
static enum dns_status
author_domain_status(struct dmarc_evaluation *e)
{
	enum dns_status below = e->walk.nodes[0].step.answer->status;

	if (below == DNS_OK || below == DNS_NODATA)
		return DNS_NODATA;
	return lookups_ask(e->lookups, e->author, DNS_A)->status;
}

/* RFC 9989 4.7 sp, np; 4.10.1. A record at the author domain has only p to say about it. */
static void
choose_policy(struct dmarc_evaluation *e)
{
	struct dmarc_verdict *out = e->out;
	const struct dmarc_record *r = out->record;
	bool below = out->source != DMARC_S_AUTHOR;
	enum dns_status status;

	out->requested_policy = r->p;
	out->policy_tag = "p";
	if (dmarc_record_usability(r, out->discovery) == DMARC_USABLE_AS_NONE) {
		out->requested_policy = DMARC_P_NONE;
		return;
	}
	if (below && r->sp != DMARC_P_UNSET) {
		out->requested_policy = r->sp;
		out->policy_tag = "sp";
	}
	/* RFC 7489 knows no np */
	if (!below || r->np == DMARC_P_UNSET || out->discovery == DMARC_PSL)
		return;
	status = author_domain_status(e);
	e->existence_unknown = status == DNS_TEMPFAIL && r->np != out->requested_policy;
	out->author_domain_exists = status != DNS_NXDOMAIN;
	if (status == DNS_NXDOMAIN) {
		out->requested_policy = r->np;
		out->policy_tag = "np";
	}
}

static enum dmarc_policy
one_level_lower(enum dmarc_policy policy)
{
	switch (policy) {
	case DMARC_P_REJECT:
		return DMARC_P_QUARANTINE;
	case DMARC_P_QUARANTINE:
	case DMARC_P_NONE:
		return DMARC_P_NONE;
	case DMARC_P_UNSET:
		break;
	}
	bug("dmarc: policy %d was not chosen", (int)policy);
}

static void
soften_policy(struct dmarc_evaluation *e)
{
	struct dmarc_verdict *out = e->out;
	enum dmarc_policy lower = one_level_lower(out->requested_policy);

	out->policy = out->requested_policy;
	switch (out->discovery) {
	case DMARC_TREEWALK: /* RFC 9989 4.7 t: one level below the specified policy */
		out->policy_test_mode = out->record->testing && lower != out->policy;
		break;
	case DMARC_PSL: /* RFC 7489 6.6.4: reject as quarantine, quarantine as nothing */
		out->sampled_out = e->options->honour_pct &&
		    e->options->sample >= out->record->pct && lower != out->policy;
		break;
	}
	if (out->policy_test_mode || out->sampled_out)
		out->policy = lower;
}

/* ---- all of it ---- */

static void
apply(struct dmarc_evaluation *e)
{
	struct dmarc_verdict *out = e->out;

	choose_policy(e);
	soften_policy(e);
	set_strictness(out);
	dmarc_align(e);
	/* Which policy a message is under that doesn't pass is then not known. */
	if (out->result != DMARC_PASS && e->existence_unknown) {
		out->result = DMARC_TEMPERROR;
		out->reason = DMARC_R_EXISTENCE;
		out->detail = slice_str(arena_printable(e->arena, e->author, LIMIT_DOMAIN_BYTES));
	}
}

void
dmarc_evaluate(struct arena *a, struct lookups *l, const struct dmarc_options *options,
    const struct author *author, const struct spf_verdict *spf, const struct dkim_verdict *dkim,
    struct dmarc_verdict *out)
{
	struct dmarc_evaluation e = { .arena = a, .lookups = l, .options = options, .out = out };

	if (options->discovery == DMARC_PSL && options->psl == NULL)
		bug("dmarc: no public suffix list");
	*out = (struct dmarc_verdict){
		.discovery = options->discovery, .policy_tag = "", .author_domain_exists = true
	};
	list_identifiers(a, spf, dkim, out);
	if (!author_is_one(a, author, out))
		return;
	e.author = out->author_domain;
	e.walk.start = e.author;
	if (dmarc_discover(&e))
		apply(&e);
	else
		dmarc_align_equal(&e);
	if (author->malformed != NULL)
		withhold_pass(author, out);
	for (size_t i = 0; i < e.walk.count; i++)
		out->walk[i] = e.walk.nodes[i].step;
	out->walk_count = e.walk.count;
}
