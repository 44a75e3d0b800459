/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/evaluation.h"

#include <stdlib.h>
#include <string.h>

#include "policy/base/bug.h"
#include "policy/base/limits.h"
#include "policy/list_evidence.h"
#include "policy/syntax/domain.h"

const struct evaluator_options evaluator_defaults = {
	.spf = { .max_lookups = LIMIT_SPF_LOOKUPS, .max_void_lookups = LIMIT_SPF_VOID },
	.dkim = { .min_rsa_bits = LIMIT_DKIM_RSA_BITS_MIN,
	    .max_signatures = LIMIT_DKIM_SIGNATURES,
	    .clock_skew_s = LIMIT_DKIM_SKEW_S },
	.arc = { .min_rsa_bits = LIMIT_DKIM_RSA_BITS_MIN, .clock_skew_s = LIMIT_DKIM_SKEW_S },
	.dmarc = { .discovery = DMARC_TREEWALK },
	.lookups = { .timeout_ms = LIMIT_DNS_TIMEOUT_MS,
	    .budget_ms = LIMIT_DNS_BUDGET_MS,
	    .max_lookups = LIMIT_DNS_LOOKUPS },
	.check_helo = true,
	.check_iprev = true,
	.check_arc = true,
};

struct evaluator {
	struct evaluator_options options;
	struct resolver *resolver;
	const struct crypto *crypto;
};

struct evaluation {
	const struct evaluator *evaluator;
	struct arena *arena;
	struct lookups *lookups;
	struct header_list header;
	struct dkim_verifier *dkim; /* from end_of_headers on */
	struct arc_verifier *arc;   /* likewise, when asked for */
	bool iprev_started;	    /* all that can be asked ahead was */
	struct verdict verdict;
};

struct evaluator *
evaluator_new(
    const struct evaluator_options *options, struct resolver *resolver, const struct crypto *crypto)
{
	struct evaluator *e = heap_alloc(1, sizeof(*e));

	e->options = *options;
	e->resolver = resolver;
	e->crypto = crypto;
	return e;
}

void
evaluator_free(struct evaluator **e)
{
	free(*e);
	*e = NULL;
}

static void
start_iprev(struct evaluation *ev)
{
	if (ev->evaluator->options.check_iprev && !ev->iprev_started)
		ev->iprev_started = iprev_start(
		    ev->arena, ev->lookups, &ev->verdict.connection.client);
}

struct evaluation *
evaluation_begin(const struct evaluator *e, struct arena *a, const struct connection *c)
{
	struct evaluation *ev = arena_alloc(a, sizeof(*ev));

	ev->evaluator = e;
	ev->arena = a;
	ev->lookups = lookups_new(a, e->resolver, &e->options.lookups);
	ev->verdict.connection.client = c->client;
	ev->verdict.connection.helo = arena_copy(a, c->helo);
	start_iprev(ev);
	return ev;
}

void
evaluation_tell_waits(struct evaluation *ev, const struct waiting *waiting)
{
	lookups_tell_waits(ev->lookups, waiting);
}

/*
 * RFC 7208 2.4: with a null reverse-path the MAIL FROM identity is postmaster at the HELO name, and
 * RFC 9989 3.2.4 makes that the SPF domain for DMARC as well.
 */
static void
evaluate_spf(struct evaluation *ev, struct slice local_part, struct slice domain)
{
	const struct evaluator_options *o = &ev->evaluator->options;
	struct verdict *v = &ev->verdict;
	struct spf_input in = {
		.scope = SPF_MFROM,
		.client = v->connection.client,
		.helo = v->connection.helo,
		.domain = v->connection.helo,
		.now_s = v->now_s,
	};

	if (v->reverse_path.len > 0) {
		in.local_part = local_part;
		in.domain = domain;
	}
	spf_evaluate(ev->arena, ev->lookups, &o->spf, &in, &v->spf);
	if (!o->check_helo)
		return;
	/* RFC 7208 2.3: a result of its own; it never stands in for MAIL FROM. */
	in.scope = SPF_HELO;
	in.local_part = slice_of(NULL, 0);
	in.domain = v->connection.helo;
	spf_evaluate(ev->arena, ev->lookups, &o->spf, &in, &v->spf_helo);
	v->helo_checked = true;
}

/* What spf_evaluate() will ask of it, if anything: its record travels beside that of MAIL FROM. */
static void
prefetch_helo(struct evaluation *ev)
{
	struct slice domain;
	const char *why;

	if (ev->evaluator->options.check_helo && ev->verdict.connection.client.family != IP_NONE &&
	    domain_normalize(ev->arena, ev->verdict.connection.helo, &domain, &why) == 0 &&
	    domain_labels(domain) > 1)
		lookups_prefetch(ev->lookups, domain, DNS_TXT);
}

/* At the very end: it needs two lookups one after the other, nothing needs it, and all else travels
 * meanwhile. */
static void
finish_iprev(struct evaluation *ev)
{
	struct verdict *v = &ev->verdict;

	if (!ev->evaluator->options.check_iprev || v->connection.client.family == IP_NONE)
		return;
	iprev_evaluate(ev->arena, ev->lookups, &v->connection.client, &v->iprev);
	v->iprev_checked = true;
}

void
evaluation_mail_from(struct evaluation *ev, struct slice reverse_path, int64_t now_s)
{
	struct verdict *v = &ev->verdict;
	struct slice local_part, domain;

	v->now_s = now_s;
	reverse_path = slice_trim(reverse_path);
	if (slice_starts(reverse_path, SLICE("<")))
		reverse_path = slice_from(reverse_path, 1);
	if (reverse_path.len > 0 && reverse_path.p[reverse_path.len - 1] == '>')
		reverse_path.len--;
	v->reverse_path = arena_copy(ev->arena, reverse_path);
	reverse_path_read(ev->arena, v->reverse_path, &local_part, &domain);

	if (v->connection.client.family != IP_NONE && domain.len > 0)
		lookups_prefetch(ev->lookups, domain, DNS_TXT);
	prefetch_helo(ev);
	evaluate_spf(ev, local_part, domain);
	start_iprev(ev);
}

const struct verdict *
evaluation_so_far(const struct evaluation *ev)
{
	return &ev->verdict;
}

int
evaluation_header(struct evaluation *ev, struct slice name, struct slice value)
{
	size_t bytes = name.len + value.len;

	if (ev->verdict.limit_met != NULL)
		return -1;
	ev->verdict.limit_met = header_list_limit(&ev->header, name, value);
	if (ev->verdict.limit_met == NULL && !arena_has_room(ev->arena, 2 * bytes))
		ev->verdict.limit_met = "memory of one message";
	if (ev->verdict.limit_met != NULL)
		return -1;
	header_list_add(&ev->header, ev->arena, name, value);
	return 0;
}

void
evaluation_give_up(struct evaluation *ev, const char *limit)
{
	if (ev->verdict.limit_met == NULL)
		ev->verdict.limit_met = limit;
}

/*
 * Will DMARC most likely pass by SPF alone? Then no signature needs to be looked into, and nothing
 * is remembered of the body. Only by names, without a lookup: at worst a finding is missing where
 * alignment is strict.
 */
static bool
spf_will_do(const struct verdict *v)
{
	return v->spf.result == SPF_PASS && v->author.domain_count == 1 &&
	    (domain_covers(v->spf.domain, v->author.domains[0]) ||
		domain_covers(v->author.domains[0], v->spf.domain));
}

void
evaluation_end_of_headers(struct evaluation *ev)
{
	const struct evaluator *e = ev->evaluator;
	struct verdict *v = &ev->verdict;

	v->has_message = true;
	v->header_fields = ev->header.count;
	if (v->limit_met != NULL)
		return;
	lookups_next_phase(ev->lookups);
	start_iprev(ev);
	author_read(ev->arena, &ev->header, &v->author);
	ev->dkim = dkim_verifier_new(ev->arena, e->crypto, ev->lookups, &e->options.dkim,
	    &ev->header, v->author.domains, v->author.domain_count, v->now_s);
	if (e->options.diagnose_all || !spf_will_do(v))
		dkim_verifier_watch(ev->dkim, e->options.diagnose_all);
	if (e->options.check_arc)
		ev->arc = arc_verifier_new(ev->arena, e->crypto, ev->lookups, &e->options.arc,
		    &ev->header, v->now_s, dkim_verifier_bodies(ev->dkim));
	dmarc_prefetch(ev->lookups, &e->options.dmarc, &v->author);
}

const struct header_list *
evaluation_header_list(const struct evaluation *ev)
{
	return &ev->header;
}

bool
evaluation_body(struct evaluation *ev, struct slice chunk)
{
	ev->verdict.body_bytes += chunk.len;
	/* For ARC as well. */
	return ev->dkim != NULL && dkim_verifier_body(ev->dkim, chunk);
}

/*
 * RFC 7489 6.6.4 applies a policy to a part of the mail, at random. The engine has no dice: seed
 * and Message-ID are its throw, so the same message gets the same one again.
 */
static uint32_t
sample_of(const struct evaluation *ev)
{
	const struct header_field *id = header_find(&ev->header, "Message-ID", 0);
	const char *throw = arena_printf(ev->arena, "%ju%.*s",
	    (uintmax_t)ev->evaluator->options.sample_seed,
	    SLICE_ARG(id == NULL ? slice_of(NULL, 0) : id->value));

	return dmarc_sample(slice_str(throw));
}

static void
evaluate_message(struct evaluation *ev)
{
	struct dmarc_options dmarc = ev->evaluator->options.dmarc;
	struct verdict *v = &ev->verdict;

	if (dmarc.honour_pct)
		dmarc.sample = sample_of(ev);
	dkim_verifier_finish(ev->dkim, &v->dkim);
	dmarc_evaluate(ev->arena, ev->lookups, &dmarc, &v->author, &v->spf, &v->dkim, &v->dmarc);
	if (ev->arc != NULL)
		arc_verifier_finish(ev->arc, &v->arc);
	/* Last: what it asks of the DNS must not cost DMARC its answers. */
	if (v->dmarc.result == DMARC_FAIL || ev->evaluator->options.diagnose_all)
		dkim_verifier_diagnose(ev->dkim, &v->dkim);
	list_evidence_find(ev->arena, &ev->header, v, &v->list);
}

const struct verdict *
evaluation_finish(struct evaluation *ev)
{
	struct verdict *v = &ev->verdict;

	if (v->has_message && v->limit_met == NULL)
		evaluate_message(ev);
	finish_iprev(ev);
	v->lookups = lookups_log(ev->lookups, &v->lookup_count);
	return v;
}

void
evaluation_end(struct evaluation **ev)
{
	if (*ev == NULL)
		return;
	dkim_verifier_fini(&(*ev)->dkim);
	arc_verifier_fini(&(*ev)->arc);
	lookups_fini(&(*ev)->lookups);
	*ev = NULL;
}
