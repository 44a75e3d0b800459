/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "policy/dmarc/internal.h"
#include "policy/syntax/domain.h"

#define DECODE_ARENA_BYTES (1024u * 1024)

/* ---- the records of one answer, parsed once for as long as the cache keeps it ---- */

struct decoded {
	size_t records; /* DMARC records in the answer */
	struct dmarc_record record;
	struct slice uris[]; /* of rua, then of ruf */
};

/* What outlives the arena it was parsed in: one heap block. */
static struct decoded *
decoded_new(size_t records, const struct dmarc_record *r)
{
	size_t uri_count = r->rua_count + r->ruf_count;
	struct decoded *d = heap_alloc(1, sizeof(*d) + uri_count * sizeof(d->uris[0]));

	d->records = records;
	d->record = *r;
	d->record.rua = d->uris;
	d->record.ruf = d->uris + r->rua_count;
	for (size_t i = 0; i < r->rua_count; i++)
		d->record.rua[i] = r->rua[i];
	for (size_t i = 0; i < r->ruf_count; i++)
		d->record.ruf[i] = r->ruf[i];
	return d;
}

static void *
decode(const struct dns_answer *answer, void *ctx)
{
	struct arena *scratch = arena_new(DECODE_ARENA_BYTES);
	struct dmarc_record parsed, record = { .p = DMARC_P_UNSET };
	struct decoded *d;
	size_t records = 0;

	(void)ctx;
	/* RFC 9989 4.10 step 2: records that do not start with a "v" tag are discarded */
	for (size_t i = 0; i < answer->count; i++)
		if (dmarc_record_parse(scratch, answer->records[i].text, &parsed)) {
			records++;
			record = parsed;
		}
	d = decoded_new(records, &record);
	arena_free(&scratch);
	return d;
}

static const struct dns_decoder dmarc_decoder = {
	.name = "dmarc",
	.decode = decode,
	.free = free,
};

/* ---- one name ---- */

#define POLICY_LABEL	  "_dmarc."
#define POLICY_NAME_BYTES (sizeof(POLICY_LABEL) + LIMIT_DOMAIN_BYTES)

static struct slice
policy_name(char buffer[POLICY_NAME_BYTES], struct slice domain)
{
	const size_t label = strlen(POLICY_LABEL);

	/* A domain in normal form fits; the resolver refuses what is too long with the label. */
	domain = slice_sub(domain, 0, POLICY_NAME_BYTES - 1 - label);
	memcpy(buffer, POLICY_LABEL, label);
	if (domain.len > 0)
		memcpy(buffer + label, domain.p, domain.len);
	return slice_of(buffer, label + domain.len);
}

static void
ask(struct dmarc_evaluation *e, struct slice domain, struct dmarc_node *node)
{
	char name[POLICY_NAME_BYTES];

	*node = (struct dmarc_node){ .domain = domain };
	node->step.name = arena_copy(e->arena, policy_name(name, domain));
	node->step.answer = lookups_ask(e->lookups, node->step.name, DNS_TXT);
	if (node->step.answer->status == DNS_OK) {
		const struct decoded *d = dns_answer_decoded(
		    node->step.answer, &dmarc_decoder, NULL);

		node->step.records = d->records;
		/* RFC 9989 4.10 step 2: multiple records for a single target are all discarded */
		if (d->records == 1)
			node->record = &d->record;
	}
}

static bool
is_trouble(const struct dmarc_node *node)
{
	return node->step.answer->status == DNS_TEMPFAIL;
}

static const char *
show_name(struct arena *a, const struct dmarc_node *node)
{
	return arena_printable(a, node->step.name, LIMIT_DOMAIN_BYTES);
}

struct slice
dmarc_node_trouble(struct arena *a, const struct dmarc_node *node)
{
	return slice_str(arena_printf(
	    a, "%s: %s", show_name(a, node), dns_reason_text(node->step.answer->reason)));
}

/* ---- the walk ---- */

/* RFC 9989 4.10 steps 3, 4 and 7: the name itself, its parent or, from 8 labels on, its last 7
 * labels, then one label less each time, down to one. */
struct slice
dmarc_walk_target(struct slice start, size_t index)
{
	size_t labels = domain_labels(start);
	size_t second = labels <= LIMIT_DMARC_WALK ? labels - 1 : LIMIT_DMARC_WALK - 1;

	if (index == 0)
		return start;
	if (labels == 0 || index > second)
		return slice_of(NULL, 0);
	return domain_last_labels(start, second - (index - 1));
}

bool
dmarc_walk_next(struct dmarc_evaluation *e, struct dmarc_walk *w)
{
	struct slice domain;

	if (w->count > 0) {
		const struct dmarc_record *last = w->nodes[w->count - 1].record;

		/* RFC 9989 4.10 steps 2 and 6: "psd=n" or "psd=y": stop */
		if (last != NULL && last->psd != DMARC_PSD_UNKNOWN)
			return false;
	}
	if (w->count == LIMIT_DMARC_WALK)
		return false;
	domain = dmarc_walk_target(w->start, w->count);
	if (domain.len == 0)
		return false;
	ask(e, domain, &w->nodes[w->count++]);
	return true;
}

/* What stands at a node: of a name that could not be asked, what is assumed. */
enum finding { FOUND_NOTHING, FOUND_PSD_U, FOUND_PSD_N, FOUND_PSD_Y };

static enum finding
finding_at(const struct dmarc_node *node, const struct dmarc_unknowns *unknowns)
{
	if (node->record != NULL)
		switch (node->record->psd) {
		case DMARC_PSD_UNKNOWN:
			return FOUND_PSD_U;
		case DMARC_PSD_NO:
			return FOUND_PSD_N;
		case DMARC_PSD_YES:
			return FOUND_PSD_Y;
		}
	if (unknowns != NULL && is_trouble(node))
		for (size_t i = 0; i < unknowns->count; i++)
			if (slice_equal(unknowns->domains[i], node->domain))
				return (enum finding)(unknowns->assumption >> 2 * i & 3);
	return FOUND_NOTHING;
}

/* RFC 9989 4.10.2: select from the longest name to the shortest. */
struct slice
dmarc_walk_organization(const struct dmarc_walk *w, const struct dmarc_unknowns *unknowns)
{
	struct slice best = w->start; /* not determined: the initial target domain */

	for (size_t i = 0; i < w->count; i++) {
		struct slice domain = w->nodes[i].domain;

		switch (finding_at(&w->nodes[i], unknowns)) {
		case FOUND_NOTHING:
			break;
		case FOUND_PSD_U: /* 3: the name with the fewest labels */
			best = domain;
			break;
		case FOUND_PSD_N: /* 1 */
			return domain;
		case FOUND_PSD_Y:
			/* 2: one label below, rebuilt from the start: the walk may have jumped over
			 * it. Below the start itself there is none, and the start it is. */
			return domain_last_labels(w->start, domain_labels(domain) + 1);
		}
	}
	return best;
}

/* ---- the policy ---- */

static bool
nothing_applies(struct dmarc_evaluation *e, enum dmarc_result result, enum dmarc_reason reason,
    struct slice detail)
{
	e->out->result = result;
	e->out->reason = reason;
	e->out->detail = detail;
	return false;
}

static bool
lookup_failed(struct dmarc_evaluation *e, const struct dmarc_node *node)
{
	return nothing_applies(
	    e, DMARC_TEMPERROR, DMARC_R_POLICY_LOOKUP, dmarc_node_trouble(e->arena, node));
}

static bool
no_record(struct dmarc_evaluation *e)
{
	for (size_t i = 0; i < e->walk.count; i++) {
		const struct dmarc_walk_step *step = &e->walk.nodes[i].step;

		if (step->records > 1)
			return nothing_applies(e, DMARC_NONE, DMARC_R_NO_RECORD,
			    slice_str(arena_printf(e->arena, "%zu DMARC records at %s, none counts",
				step->records, show_name(e->arena, &e->walk.nodes[i]))));
	}
	return nothing_applies(e, DMARC_NONE, DMARC_R_NO_RECORD, slice_of(NULL, 0));
}

/* RFC 9989 4.10.1, RFC 7489 6.6.3 step 6 */
static bool
policy_is(struct dmarc_evaluation *e, const struct dmarc_node *node, enum dmarc_source source)
{
	e->out->policy_domain = node->domain;
	e->out->source = source;
	if (dmarc_record_usability(node->record, e->options->discovery) == DMARC_UNUSABLE)
		return nothing_applies(e, DMARC_NONE, DMARC_R_RECORD_UNUSABLE,
		    slice_str(arena_printf(e->arena,
			"%s: p, sp or np is missing or not valid, and there is no valid rua",
			show_name(e->arena, node))));
	e->out->record = node->record;
	return true;
}

/*
 * RFC 9989 4.10.1: author domain, organizational domain, public suffix domain. Behind a name that
 * could not be asked any of the further names could turn out to be right or wrong, so it ends the
 * search; above a record of the author domain nothing is asked that the policy depends on.
 */
static bool
discover_by_walk(struct dmarc_evaluation *e)
{
	struct dmarc_walk *w = &e->walk;
	const struct dmarc_node *last;
	struct slice organization;

	while (dmarc_walk_next(e, w)) {
		last = &w->nodes[w->count - 1];
		if (is_trouble(last))
			return lookup_failed(e, last);
		if (w->count == 1 && last->record != NULL)
			return policy_is(e, last, DMARC_S_AUTHOR);
	}
	organization = dmarc_walk_organization(w, NULL);
	e->out->organizational_domain = organization;
	for (size_t i = 0; i < w->count; i++)
		if (w->nodes[i].record != NULL && slice_equal(w->nodes[i].domain, organization))
			return policy_is(e, &w->nodes[i], DMARC_S_ORG);
	last = &w->nodes[w->count - 1];
	if (last->record != NULL && last->record->psd == DMARC_PSD_YES)
		return policy_is(e, last, DMARC_S_PSD);
	return no_record(e);
}

/* RFC 7489 6.6.3: the author domain, and where it has no DMARC record at all, the organizational
 * domain. */
static bool
discover_by_psl(struct dmarc_evaluation *e)
{
	struct dmarc_walk *w = &e->walk;
	struct slice organization = dmarc_psl_organization(e->options->psl, e->author);
	const struct slice names[] = { e->author, organization };

	e->out->organizational_domain = organization;
	for (size_t i = 0; i < 2 && (i == 0 || !slice_equal(organization, e->author)); i++) {
		struct dmarc_node *node = &w->nodes[w->count++];

		ask(e, names[i], node);
		if (is_trouble(node))
			return lookup_failed(e, node);
		if (node->record != NULL)
			return policy_is(e, node, i == 0 ? DMARC_S_AUTHOR : DMARC_S_ORG);
		/* step 5: multiple records: policy discovery terminates */
		if (node->step.records > 1)
			break;
	}
	return no_record(e);
}

bool
dmarc_discover(struct dmarc_evaluation *e)
{
	switch (e->options->discovery) {
	case DMARC_TREEWALK:
		return discover_by_walk(e);
	case DMARC_PSL:
		return discover_by_psl(e);
	}
	bug("dmarc: discovery %d", (int)e->options->discovery);
}

int
dmarc_organizational_domain(struct arena *a, struct lookups *l, const struct dmarc_options *options,
    struct slice domain, struct slice *out)
{
	struct dmarc_evaluation e = { .arena = a, .lookups = l, .options = options };

	switch (options->discovery) {
	case DMARC_TREEWALK:
		e.walk.start = domain;
		while (dmarc_walk_next(&e, &e.walk))
			if (is_trouble(&e.walk.nodes[e.walk.count - 1]))
				return -1;
		*out = dmarc_walk_organization(&e.walk, NULL);
		return 0;
	case DMARC_PSL:
		*out = dmarc_psl_organization(options->psl, domain);
		return 0;
	}
	bug("dmarc: discovery %d", (int)options->discovery);
}

void
dmarc_prefetch(struct lookups *l, const struct dmarc_options *options, const struct author *author)
{
	char name[POLICY_NAME_BYTES];
	struct slice start, organization;

	if (author->domain_count != 1)
		return;
	start = author->domains[0];
	switch (options->discovery) {
	case DMARC_TREEWALK:
		for (size_t i = 0; i < LIMIT_DMARC_WALK; i++) {
			struct slice domain = dmarc_walk_target(start, i);

			if (domain.len > 0)
				lookups_prefetch(l, policy_name(name, domain), DNS_TXT);
		}
		break;
	case DMARC_PSL:
		organization = dmarc_psl_organization(options->psl, start);
		lookups_prefetch(l, policy_name(name, start), DNS_TXT);
		if (!slice_equal(organization, start))
			lookups_prefetch(l, policy_name(name, organization), DNS_TXT);
		break;
	}
}
