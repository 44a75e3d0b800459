/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/decide.h"

#include "policy/arc_trust.h"
#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/explain.h"
#include "policy/syntax/domain.h"

const struct decide_rules decide_defaults = {
	.on_policy_reject = ACTION_REJECT,
	.on_policy_quarantine = ACTION_QUARANTINE,
	.on_temperror = ACTION_TEMPFAIL,
	.on_several_authors = ACTION_REJECT,
	.on_malformed_from = ACTION_REJECT,
	.on_no_author = ACTION_REJECT,
	.on_spf_fail = ACTION_ACCEPT,
	.on_iprev_fail = ACTION_ACCEPT,
	.list_rule = true,
	.on_trusted_seal = ACTION_ACCEPT,
};

struct decision { /* what is passed around while deciding */
	struct arena *arena;
	const struct decide_rules *rules;
	const struct verdict *v;
	struct slice queue_id;
	struct disposition *out;
};

/* Enhanced status codes, without their class: RFC 7372 section 3, RFC 3463 section 3. */
#define STATUS_LIMIT	"3.0"  /* other mail system status */
#define STATUS_AUTHOR	"7.1"  /* delivery not authorized; the example of RFC 9989 7.2 */
#define STATUS_DNS	"4.3"  /* directory server failure */
#define STATUS_SPF	"7.23" /* SPF validation failed */
#define STATUS_IPREV	"7.25" /* reverse DNS validation failed */
#define STATUS_MULTIPLE "7.26" /* multiple authentication checks failed; RFC 7372 4 */

/* "550 5.7.26 TEXT (queue id ID)"; the text is cut so that the queue id is always there. */
static const char *
write_reply(const struct decision *d, bool permanent, const char *status, const char *text)
{
	const char *id = d->queue_id.len == 0
	    ? ""
	    : arena_printf(d->arena, " (queue id %s)", arena_printable(d->arena, d->queue_id, 64));
	struct strbuf b;

	strbuf_init(&b, d->arena, LIMIT_REPLY_BYTES - slice_str(id).len);
	strbuf_str(&b, text);
	return arena_printf(
	    d->arena, "%s.%s %s%s", permanent ? "550 5" : "451 4", status, strbuf_slice(&b).p, id);
}

static void
settle(const struct decision *d, enum action action, enum cause cause, const char *status,
    const char *text)
{
	struct disposition *out = d->out;

	out->action = action;
	out->cause = cause;
	out->explanation = text;
	if (action == ACTION_REJECT || action == ACTION_TEMPFAIL)
		out->reply = write_reply(d, action == ACTION_REJECT, status, text);
}

static void
add_override(const struct decision *d, enum override kind, const char *comment)
{
	struct disposition *out = d->out;

	if (out->override_count < OVERRIDES_MAX)
		out->overrides[out->override_count++] = (struct override_entry){ .kind = kind,
			.comment = comment };
}

/* ---- faults of the author ---- */

/* Did a rule on the From field settle it? RFC 9989 5.3.1, 11.5; PITFALLS 35. */
static bool
decide_author(const struct decision *d)
{
	const struct author *author = &d->v->author;
	enum action action;
	const char *text;

	if (author->from_fields > 1) {
		action = d->rules->on_several_authors;
		text = arena_printf(
		    d->arena, "the message has %zu From fields", author->from_fields);
	} else if (author->domain_count > 1) {
		action = d->rules->on_several_authors;
		text = arena_printf(d->arena, "the From field names %zu author domains: %s and %s",
		    author->domain_count, arena_printable(d->arena, author->domains[0], 100),
		    arena_printable(d->arena, author->domains[1], 100));
	} else if (author->from_fields == 0) {
		/* Before "malformed": what is missing counts as that, too. */
		action = d->rules->on_no_author;
		text = "the message has no From field";
	} else if (author->malformed != NULL) {
		action = d->rules->on_malformed_from;
		text = arena_printf(d->arena, "the From field is malformed: %s", author->malformed);
	} else {
		return false;
	}
	if (action == ACTION_ACCEPT)
		return false;
	settle(d, action, CAUSE_AUTHOR, STATUS_AUTHOR, text);
	return true;
}

/* ---- local rules ---- */

static const struct domain_rule_entry *
find_rule(const struct decision *d)
{
	struct slice author = d->v->dmarc.author_domain;

	for (size_t i = 0; author.len > 0 && i < d->rules->domain_count; i++) {
		const struct domain_rule_entry *e = &d->rules->domains[i];
		bool same = slice_equal_nocase(e->domain, author);

		if (e->subdomains ? !same && domain_covers(e->domain, author) : same)
			return e;
	}
	return NULL;
}

/*
 * Is the author domain authenticated although no DMARC record says how to compare? A local rule
 * that forces reject on a domain without a record must not hit its genuine mail.
 */
static bool
author_authenticated(const struct verdict *v)
{
	struct slice author = v->dmarc.author_domain;

	for (size_t i = 0; i < v->dmarc.alignment_count; i++) {
		const struct dmarc_alignment *al = &v->dmarc.alignments[i];

		if (al->passed && domain_covers(al->domain, author) &&
		    domain_labels(al->domain) > 1)
			return true;
	}
	return false;
}

/* Why the one who handed the message on is trusted, or NULL. */
static const char *
find_forwarder(const struct decision *d)
{
	const struct decide_rules *r = d->rules;
	const struct verdict *v = d->v;
	char text[IP_TEXT_BYTES];

	for (size_t i = 0; i < r->forwarder_network_count; i++)
		if (ip_in_network(&v->connection.client, &r->forwarder_networks[i]))
			return arena_printf(
			    d->arena, "client %s", ip_print(&v->connection.client, text));
	for (size_t i = 0; i < r->forwarder_domain_count; i++) {
		for (size_t j = 0; j < v->dmarc.alignment_count; j++) {
			const struct dmarc_alignment *al = &v->dmarc.alignments[j];

			/* Behind the end that l= sets stands anybody's text (RFC 6376 8.2). */
			if (al->passed && !al->partial &&
			    domain_covers(r->forwarder_domains[i], al->domain))
				return arena_printf(d->arena, "%s of %s",
				    dmarc_method_name(al->method),
				    arena_printable(d->arena, al->domain, 100));
		}
	}
	return NULL;
}

/* Would SPF, or iprev, alone have the message refused where DMARC asks for nothing? */
static bool
refuses_by_spf(const struct decision *d)
{
	return d->v->spf.result == SPF_FAIL && d->rules->on_spf_fail != ACTION_ACCEPT &&
	    find_forwarder(d) == NULL;
}

static bool
refuses_by_iprev(const struct decision *d)
{
	return d->v->iprev_checked && d->v->iprev.result == IPREV_FAIL &&
	    d->rules->on_iprev_fail != ACTION_ACCEPT;
}

/* ---- DMARC ---- */

/* What the table by author domain makes of what the domain owner asks for. */
static enum dmarc_policy
policy_by_rule(const struct domain_rule_entry *rule, enum dmarc_policy asked)
{
	if (rule == NULL)
		return asked;
	switch (rule->rule) {
	case RULE_EXEMPT:
		return DMARC_P_NONE;
	case RULE_REJECT:
		return DMARC_P_REJECT;
	case RULE_QUARANTINE:
		return DMARC_P_QUARANTINE;
	}
	bug("policy_by_rule: %d", (int)rule->rule);
}

static enum dmarc_policy
apply_rule(const struct decision *d, const struct domain_rule_entry *rule, enum dmarc_policy asked)
{
	enum dmarc_policy wanted = policy_by_rule(rule, asked);

	if (wanted != asked)
		add_override(d, OVERRIDE_LOCAL_POLICY,
		    arena_printf(d->arena, "author_domain %s%s is %s", rule->subdomains ? "*." : "",
			arena_printable(d->arena, rule->domain, 100),
			domain_rule_word(rule->rule)));
	return wanted;
}

static enum dmarc_policy
policy_of(enum action action)
{
	switch (action) {
	case ACTION_ACCEPT:
		return DMARC_P_NONE;
	case ACTION_QUARANTINE:
		return DMARC_P_QUARANTINE;
	case ACTION_REJECT:
	case ACTION_DISCARD:
	case ACTION_TEMPFAIL:
		return DMARC_P_REJECT;
	}
	bug("policy_of: %d", (int)action);
}

static const char *
describe_list(struct arena *a, const struct list_evidence *list)
{
	const char *name = arena_printable(a, list->list, 100);
	const char *domain = arena_printable(a, list->domain, 100);

	if (list->changed != NULL)
		return arena_printf(a, "list %s; DKIM of %s is %s", name, domain,
		    arena_printable(a, list->changed->text, 200));
	return arena_printf(
	    a, "list %s vouched for by %s of %s", name, dmarc_method_name(list->method), domain);
}

/* PITFALLS.md, "Rejecting, and not solely": what else is known about how the message came here. */
static enum dmarc_policy
apply_evidence(const struct decision *d, bool by_local_rule, enum dmarc_policy wanted)
{
	const struct list_evidence *list = &d->v->list;
	enum dmarc_policy sealed = policy_of(d->rules->on_trusted_seal);
	const char *forwarder, *chain;

	if (wanted <= DMARC_P_NONE)
		return wanted;
	forwarder = find_forwarder(d);
	if (forwarder != NULL) {
		add_override(d, OVERRIDE_TRUSTED_FORWARDER, forwarder);
		return DMARC_P_NONE;
	}
	if (wanted > sealed &&
	    arc_trust_find(d->arena, d->rules->sealers, d->rules->sealer_count, &d->v->arc,
		d->v->dmarc.author_domain, &chain)) {
		add_override(d, OVERRIDE_LOCAL_POLICY, chain); /* RFC 8617 7.2.2 */
		return sealed;
	}
	/* A postmaster who forces reject on a domain has said what lists may do with it. */
	if (wanted == DMARC_P_REJECT && d->rules->list_rule && list->stands && !by_local_rule) {
		add_override(d, OVERRIDE_MAILING_LIST, describe_list(d->arena, list));
		return DMARC_P_QUARANTINE;
	}
	return wanted;
}

/* What local choice does by a policy. */
static enum action
action_of(const struct decide_rules *rules, enum dmarc_policy wanted)
{
	switch (wanted) {
	case DMARC_P_UNSET:
	case DMARC_P_NONE:
		return ACTION_ACCEPT;
	case DMARC_P_QUARANTINE:
		return rules->on_policy_quarantine;
	case DMARC_P_REJECT:
		return rules->on_policy_reject;
	}
	bug("action_of: %d", (int)wanted);
}

/* Carry out a policy by the local choice of what "reject" and "quarantine" do. rule: what asks for
 * it, NULL when it is the domain owner. */
static void
enforce(const struct decision *d, enum dmarc_policy wanted, const struct domain_rule_entry *rule)
{
	const char *text = explain_dmarc(d->arena, d->v);
	enum action action = action_of(d->rules, wanted);

	d->out->policy_applied = policy_of(action);
	if (d->out->policy_applied != wanted)
		add_override(d, OVERRIDE_LOCAL_POLICY,
		    arena_printf(d->arena, "on_policy_%s is %s", dmarc_policy_word(wanted),
			action_word(action)));
	if (rule != NULL)
		text = arena_printf(d->arena, "local rule for this domain; %s", text);
	settle(d, action, rule != NULL ? CAUSE_RULE : CAUSE_DMARC, STATUS_MULTIPLE, text);
}

/*
 * RFC 9989 5.4: p=none MUST NOT modify how mail is handled. A broken key of such a domain would
 * hold its mail up until it bounces, though what the key says changes nothing.
 */
static bool
accepts_either_way(const struct decision *d, const struct domain_rule_entry *rule)
{
	const struct dmarc_verdict *dmarc = &d->v->dmarc;
	bool policy_known = dmarc->record != NULL && dmarc->reason == DMARC_R_HIDDEN_PASS;

	return policy_known &&
	    action_of(d->rules, policy_by_rule(rule, dmarc->policy)) == ACTION_ACCEPT &&
	    !refuses_by_spf(d) && !refuses_by_iprev(d);
}

static void
decide_temperror(const struct decision *d, const struct domain_rule_entry *rule)
{
	const char *text = explain_dmarc(d->arena, d->v);
	enum action action = d->rules->on_temperror;
	const char *forwarder;

	if (action != ACTION_ACCEPT && rule != NULL && rule->rule == RULE_EXEMPT) {
		(void)apply_rule(d, rule, DMARC_P_UNSET);
		action = ACTION_ACCEPT;
	} else if (accepts_either_way(d, rule)) {
		action = ACTION_ACCEPT;
	}
	forwarder = action == ACTION_ACCEPT ? NULL : find_forwarder(d);
	if (forwarder != NULL) {
		add_override(d, OVERRIDE_TRUSTED_FORWARDER, forwarder);
		action = ACTION_ACCEPT;
	}
	settle(d, action, CAUSE_TEMPERROR, STATUS_DNS, text);
}

/* What DMARC, with the local rules, asks for; false: it asks for nothing. */
static bool
decide_dmarc(const struct decision *d)
{
	const struct dmarc_verdict *dmarc = &d->v->dmarc;
	const struct domain_rule_entry *rule = find_rule(d);
	enum dmarc_policy asked = dmarc->result == DMARC_FAIL ? dmarc->policy : DMARC_P_NONE;
	enum dmarc_policy wanted;

	if (dmarc->result == DMARC_PASS)
		return true;
	if (dmarc->result == DMARC_TEMPERROR) {
		decide_temperror(d, rule);
		return true;
	}
	if (dmarc->result != DMARC_FAIL && author_authenticated(d->v))
		return false;
	if (dmarc->result == DMARC_FAIL && dmarc->policy_test_mode)
		add_override(d, OVERRIDE_POLICY_TEST_MODE, "t=y");
	wanted = apply_rule(d, rule, asked);
	if (wanted == asked)
		rule = NULL;
	wanted = apply_evidence(d, rule != NULL, wanted);
	if (wanted > DMARC_P_NONE) {
		enforce(d, wanted, rule);
		return true;
	}
	/* Something was asked for and set aside: SPF must not bring it back. */
	return asked > DMARC_P_NONE;
}

/* ---- what a postmaster may want where DMARC asks for nothing ---- */

static void
decide_methods(const struct decision *d)
{
	const struct verdict *v = d->v;

	if (refuses_by_spf(d)) {
		const char *text = explain_spf(d->arena, &v->spf);

		if (v->spf.explanation.len > 0)
			text = arena_printf(d->arena, "%s; %s explains: %s", text,
			    arena_printable(d->arena, v->spf.domain, 100),
			    arena_printable(
				d->arena, v->spf.explanation, LIMIT_SPF_EXPLANATION_BYTES));
		settle(d, d->rules->on_spf_fail, CAUSE_SPF, STATUS_SPF, text);
	} else if (refuses_by_iprev(d)) {
		char text[IP_TEXT_BYTES];

		settle(d, d->rules->on_iprev_fail, CAUSE_IPREV, STATUS_IPREV,
		    arena_printf(d->arena, "%s has no name that leads back to it",
			ip_print(&v->connection.client, text)));
	}
}

void
decide(struct arena *a, const struct decide_rules *rules, const struct verdict *v,
    struct slice queue_id, struct disposition *out)
{
	const struct decision d = {
		.arena = a, .rules = rules, .v = v, .queue_id = queue_id, .out = out
	};

	*out = (struct disposition){
		.action = ACTION_ACCEPT, .cause = CAUSE_NONE, .policy_applied = DMARC_P_NONE
	};
	if (v->limit_met != NULL) {
		settle(&d, ACTION_TEMPFAIL, CAUSE_LIMIT, STATUS_LIMIT,
		    arena_printf(a, "the message meets a limit: %s", v->limit_met));
		return;
	}
	out->explanation = v->has_message ? explain_dmarc(a, v) : explain_spf(a, &v->spf);
	if (v->has_message && (decide_author(&d) || decide_dmarc(&d)))
		return;
	decide_methods(&d);
}
