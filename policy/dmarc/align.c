/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/dmarc/internal.h"
#include "policy/syntax/domain.h"

/* ---- what DNS trouble leaves open ---- */

static void
add_unknowns(struct dmarc_unknowns *u, const struct dmarc_walk *w)
{
	for (size_t i = 0; i < w->count; i++) {
		size_t known = 0;

		if (w->nodes[i].step.answer->status != DNS_TEMPFAIL)
			continue;
		while (known < u->count && !slice_equal(u->domains[known], w->nodes[i].domain))
			known++;
		if (known < u->count)
			continue;
		if (u->count == DMARC_UNKNOWNS_MAX) {
			u->overflow = true;
			return;
		}
		u->domains[u->count++] = w->nodes[i].domain;
	}
}

/* Step to the next assumption about the unknown names. False when all were had. */
static bool
assume_next(struct dmarc_unknowns *u)
{
	return ++u->assumption < 1u << 2 * u->count;
}

static void
finish_walk(struct dmarc_evaluation *e, struct dmarc_walk *w)
{
	while (dmarc_walk_next(e, w))
		continue;
}

/* The organizational domain, if it is the same whatever is assumed; else empty. */
static struct slice
settled_organization(const struct dmarc_walk *w)
{
	struct dmarc_unknowns u = { .count = 0 };
	struct slice first;

	add_unknowns(&u, w);
	if (u.overflow)
		return slice_of(NULL, 0);
	first = dmarc_walk_organization(w, &u);
	while (assume_next(&u))
		if (!slice_equal(first, dmarc_walk_organization(w, &u)))
			return slice_of(NULL, 0);
	return first;
}

/*
 * An organizational domain is the name itself or one above it, so an identifier that lies under
 * none that the author domain can have is not aligned, and nothing needs to be asked about it.
 * This is what keeps d=servfail.attacker.example from turning a forgery into a temperror.
 */
static bool
may_share_organization(const struct dmarc_walk *author, struct slice identifier)
{
	struct dmarc_unknowns u = { .count = 0 };

	add_unknowns(&u, author);
	if (u.overflow)
		return domain_covers(domain_last_labels(author->start, 1), identifier);
	do {
		if (domain_covers(dmarc_walk_organization(author, &u), identifier))
			return true;
	} while (assume_next(&u));
	return false;
}

/* ---- one identifier ---- */

enum alignment { ALIGNED_NO, ALIGNED_YES, ALIGNED_MAYBE };

/* Both walks are at their end: compare under every assumption about what they could not ask. */
static enum alignment
compare_walks(const struct dmarc_walk *author, const struct dmarc_walk *identifier)
{
	struct dmarc_unknowns u = { .count = 0 };
	bool yes = false, no = false;

	add_unknowns(&u, author);
	add_unknowns(&u, identifier);
	if (u.overflow)
		return ALIGNED_MAYBE;
	do {
		if (slice_equal(dmarc_walk_organization(author, &u),
			dmarc_walk_organization(identifier, &u)))
			yes = true;
		else
			no = true;
	} while (assume_next(&u));
	return yes && no ? ALIGNED_MAYBE : yes ? ALIGNED_YES : ALIGNED_NO;
}

static void
set_detail_of_walks(struct dmarc_evaluation *e, const struct dmarc_walk *identifier)
{
	const struct dmarc_walk *walks[] = { identifier, &e->walk };

	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < walks[k]->count; i++)
			if (walks[k]->nodes[i].step.answer->status == DNS_TEMPFAIL) {
				e->out->detail = dmarc_node_trouble(e->arena, &walks[k]->nodes[i]);
				return;
			}
}

/* RFC 9989 4.10.2: each identifier gets a walk of its own. */
static enum alignment
compare_by_walk(struct dmarc_evaluation *e, struct dmarc_alignment *al)
{
	struct dmarc_walk w = { .start = al->domain };
	enum alignment result;

	finish_walk(e, &e->walk);
	if (!may_share_organization(&e->walk, al->domain))
		return ALIGNED_NO;
	/* PITFALLS: signatures times names of a walk is an attack. No message has honest use for
	 * more walks than this. */
	if (e->identifier_walks == LIMIT_DMARC_IDENTIFIERS)
		return ALIGNED_NO;
	e->identifier_walks++;
	finish_walk(e, &w);
	al->organizational_domain = settled_organization(&w);
	result = compare_walks(&e->walk, &w);
	if (result == ALIGNED_MAYBE && e->out->detail.len == 0)
		set_detail_of_walks(e, &w);
	return result;
}

static enum alignment
compare(struct dmarc_evaluation *e, struct dmarc_alignment *al)
{
	if (slice_equal_nocase(al->domain, e->author))
		return ALIGNED_YES;
	/* RFC 9989 4.10.2: strict: a simple string comparison is all that is required */
	if (al->strict)
		return ALIGNED_NO;
	switch (e->options->discovery) {
	case DMARC_TREEWALK:
		return compare_by_walk(e, al);
	case DMARC_PSL: /* RFC 7489 3.1.1, 3.1.2 */
		al->organizational_domain = dmarc_psl_organization(e->options->psl, al->domain);
		return slice_equal(al->organizational_domain, e->out->organizational_domain)
		    ? ALIGNED_YES
		    : ALIGNED_NO;
	}
	bug("dmarc: discovery %d", (int)e->options->discovery);
}

/* ---- all of them ---- */

/* Several signatures of one domain are one question. */
static const struct dmarc_alignment *
compared_before(const struct dmarc_evaluation *e, const struct dmarc_alignment *al)
{
	for (const struct dmarc_alignment *b = e->out->alignments; b < al; b++)
		if ((b->compared || b->uncertain) && b->strict == al->strict &&
		    slice_equal(b->domain, al->domain))
			return b;
	return NULL;
}

static void
settle(struct dmarc_evaluation *e, struct dmarc_alignment *al)
{
	const struct dmarc_alignment *before = compared_before(e, al);
	enum alignment result;

	if (before != NULL) {
		al->organizational_domain = before->organizational_domain;
		al->aligned = before->aligned;
		al->compared = before->compared;
		al->uncertain = before->uncertain;
		return;
	}
	result = compare(e, al);
	al->aligned = result == ALIGNED_YES;
	al->compared = result != ALIGNED_MAYBE;
	al->uncertain = result == ALIGNED_MAYBE;
}

/* Can it be said without a lookup? */
static bool
is_said_at_once(const struct dmarc_evaluation *e, const struct dmarc_alignment *al)
{
	return al->strict || e->options->discovery == DMARC_PSL ||
	    slice_equal(al->domain, e->author);
}

/* Those that passed, and what can be said of the others at once. */
static void
settle_passes(struct dmarc_evaluation *e)
{
	struct dmarc_verdict *out = e->out;

	for (size_t i = 0; i < out->alignment_count; i++) {
		struct dmarc_alignment *al = &out->alignments[i];

		if (al->passed || is_said_at_once(e, al))
			settle(e, al);
		if (!al->passed || !al->aligned)
			continue;
		switch (al->method) {
		case DMARC_BY_SPF:
			out->spf_aligned = true;
			break;
		case DMARC_BY_DKIM:
			out->dkim_aligned = true;
			break;
		}
	}
}

/*
 * RFC 9989 5.3.6, RFC 7489 6.6.2: without an aligned pass, is there an identifier whose pass, or
 * whose alignment, a DNS error may have hidden? One that would not align hides nothing.
 */
static bool
pass_is_hidden(struct dmarc_evaluation *e)
{
	struct dmarc_verdict *out = e->out;
	bool hidden = false;

	for (size_t i = 0; i < out->alignment_count; i++) {
		struct dmarc_alignment *al = &out->alignments[i];

		if (al->temperror && !al->compared && !al->uncertain)
			settle(e, al);
		if (al->uncertain)
			hidden = true;
		if (!al->temperror || !al->aligned)
			continue;
		hidden = true;
		if (out->detail.len == 0)
			out->detail = slice_str(arena_printf(e->arena, "%s of %s: temperror",
			    dmarc_method_name(al->method),
			    arena_printable(e->arena, al->domain, LIMIT_DOMAIN_BYTES)));
	}
	return hidden;
}

static bool
author_domain_passed(const struct dmarc_evaluation *e)
{
	for (size_t i = 0; i < e->out->alignment_count; i++)
		if (e->out->alignments[i].passed &&
		    slice_equal_nocase(e->out->alignments[i].domain, e->author))
			return true;
	return false;
}

/* The author's walk is at its end: what lies under none of its organizations is not aligned. */
static void
settle_strangers(struct dmarc_evaluation *e)
{
	for (size_t i = 0; i < e->out->alignment_count; i++) {
		struct dmarc_alignment *al = &e->out->alignments[i];

		if (!al->compared && !al->uncertain &&
		    !may_share_organization(&e->walk, al->domain))
			al->compared = true;
	}
}

/*
 * For the verdict's readers. RFC 9989 4.10.2 treats the author domain as the organizational domain
 * where it has a record and passed itself: then nothing more is asked.
 */
static void
find_author_organization(struct dmarc_evaluation *e)
{
	struct dmarc_walk *w = &e->walk;

	if (e->options->discovery == DMARC_PSL)
		return;
	if (w->count == 1 && e->out->source == DMARC_S_AUTHOR && author_domain_passed(e)) {
		e->out->organizational_domain = e->author;
		return;
	}
	finish_walk(e, w);
	e->out->organizational_domain = settled_organization(w);
	settle_strangers(e);
}

void
dmarc_align(struct dmarc_evaluation *e)
{
	struct dmarc_verdict *out = e->out;

	settle_passes(e);
	if (out->spf_aligned || out->dkim_aligned) {
		out->result = DMARC_PASS;
		out->reason = DMARC_R_ALIGNED;
		out->detail = slice_of(NULL, 0);
	} else if (pass_is_hidden(e)) {
		out->result = DMARC_TEMPERROR;
		out->reason = DMARC_R_HIDDEN_PASS;
	} else {
		out->result = DMARC_FAIL;
		out->reason = DMARC_R_NOT_ALIGNED;
	}
	find_author_organization(e);
}

/* Without a policy nothing is looked up; that a name is the author domain itself can be said all
 * the same. */
void
dmarc_align_equal(struct dmarc_evaluation *e)
{
	for (size_t i = 0; i < e->out->alignment_count; i++) {
		struct dmarc_alignment *al = &e->out->alignments[i];

		al->aligned = al->compared = slice_equal(al->domain, e->author);
	}
}
