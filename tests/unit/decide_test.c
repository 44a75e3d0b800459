/* SPDX-License-Identifier: BSD-2-Clause */
/* decide(), explain and list evidence over verdicts made by hand: a row says what was found and
 * which rules hold, and what must be done. */
#include <string.h>

#include "policy/decide.h"
#include "policy/explain.h"
#include "policy/list_evidence.h"
#include "tests/support/support.h"

struct found { /* a verdict in a few words */
	enum dmarc_result dmarc;
	enum dmarc_policy policy; /* of a.example, after t=y */
	enum spf_result spf;
	const char *spf_domain;
	const char *dkim_pass; /* d= of a passing signature, or NULL */
	const char *client;
	bool test_mode, list, iprev_fail, l_tag, sealed, hidden_pass;
};

struct rules { /* what differs from the defaults */
	const struct domain_rule_entry *domain;
	const char *forwarder_network, *forwarder_domain;
	bool on_reject_quarantine, accept_temperror, no_list_rule, spf_reject, iprev_tempfail,
	    quarantine_reject, trust_seal, seal_quarantine;
};

static const struct domain_rule_entry rule_exempt = { SLICE("a.example"), false, RULE_EXEMPT };
static const struct domain_rule_entry rule_reject = { SLICE("a.example"), false, RULE_REJECT };
static const struct domain_rule_entry rule_below = { SLICE("example"), true, RULE_QUARANTINE };
static const struct domain_rule_entry rule_not_itself = { SLICE("a.example"), true, RULE_REJECT };

static const struct row {
	const char *name;
	struct found found;
	struct rules rules;
	enum action action;
	enum cause cause;
	const char *reply;     /* begins so; NULL: none */
	const char *overrides; /* words with a blank behind each */
	enum dmarc_policy applied;
} rows[] = {
	{ "pass is accepted",
	    { DMARC_PASS, DMARC_P_REJECT, SPF_PASS, "a.example", NULL, .client = "192.0.2.1" },
	    { 0 }, ACTION_ACCEPT, CAUSE_NONE, NULL, "", DMARC_P_NONE },
	{ "p=reject is rejected (RFC 9989 7.4, RFC 7372 3.3)",
	    { DMARC_FAIL, DMARC_P_REJECT, SPF_PASS, "evil.example", NULL, .client = "192.0.2.1" },
	    { 0 }, ACTION_REJECT, CAUSE_DMARC,
	    "550 5.7.26 mail from a.example is not authenticated: SPF of evil.example is pass", "",
	    DMARC_P_REJECT },
	{ "p=quarantine",
	    { DMARC_FAIL, DMARC_P_QUARANTINE, SPF_NONE, "e.example", NULL, .client = "192.0.2.1" },
	    { 0 }, ACTION_QUARANTINE, CAUSE_DMARC, NULL, "", DMARC_P_QUARANTINE },
	{ "p=none changes nothing (RFC 9989 7.4)",
	    { DMARC_FAIL, DMARC_P_NONE, SPF_NONE, "e.example", NULL, .client = "192.0.2.1" }, { 0 },
	    ACTION_ACCEPT, CAUSE_NONE, NULL, "", DMARC_P_NONE },
	{ "t=y is named",
	    { DMARC_FAIL, DMARC_P_QUARANTINE, SPF_NONE, "e.example", NULL, .client = "192.0.2.1",
		.test_mode = true },
	    { 0 }, ACTION_QUARANTINE, CAUSE_DMARC, NULL, "policy_test_mode ", DMARC_P_QUARANTINE },
	{ "no record",
	    { DMARC_NONE, DMARC_P_UNSET, SPF_FAIL, "e.example", NULL, .client = "192.0.2.1" },
	    { 0 }, ACTION_ACCEPT, CAUSE_NONE, NULL, "", DMARC_P_NONE },
	{ "temperror is tempfailed",
	    { DMARC_TEMPERROR, DMARC_P_UNSET, SPF_TEMPERROR, "a.example", NULL,
		.client = "192.0.2.1" },
	    { 0 }, ACTION_TEMPFAIL, CAUSE_TEMPERROR, "451 4.4.3 ", "", DMARC_P_NONE },
	{ "on_temperror = accept",
	    { DMARC_TEMPERROR, DMARC_P_UNSET, SPF_TEMPERROR, "a.example", NULL,
		.client = "192.0.2.1" },
	    { .accept_temperror = true }, ACTION_ACCEPT, CAUSE_TEMPERROR, NULL, "", DMARC_P_NONE },
	{ "temperror under p=none: pass or fail, it is accepted (RFC 9989 5.4)",
	    { DMARC_TEMPERROR, DMARC_P_NONE, SPF_FAIL, "a.example", NULL, .client = "192.0.2.1",
		.hidden_pass = true },
	    { 0 }, ACTION_ACCEPT, CAUSE_TEMPERROR, NULL, "", DMARC_P_NONE },
	{ "under p=none, not known to be all that applies",
	    { DMARC_TEMPERROR, DMARC_P_NONE, SPF_FAIL, "a.example", NULL, .client = "192.0.2.1" },
	    { 0 }, ACTION_TEMPFAIL, CAUSE_TEMPERROR, "451 4.4.3 ", "", DMARC_P_NONE },
	{ "under p=none, where a failure would be refused by SPF",
	    { DMARC_TEMPERROR, DMARC_P_NONE, SPF_FAIL, "a.example", NULL, .client = "192.0.2.1",
		.hidden_pass = true },
	    { .spf_reject = true }, ACTION_TEMPFAIL, CAUSE_TEMPERROR, "451 4.4.3 ", "",
	    DMARC_P_NONE },
	{ "under p=none, where a failure would be refused by iprev",
	    { DMARC_TEMPERROR, DMARC_P_NONE, SPF_NONE, "a.example", NULL, .client = "192.0.2.1",
		.hidden_pass = true, .iprev_fail = true },
	    { .iprev_tempfail = true }, ACTION_TEMPFAIL, CAUSE_TEMPERROR, "451 4.4.3 ", "",
	    DMARC_P_NONE },
	{ "under p=none, where a rule says reject",
	    { DMARC_TEMPERROR, DMARC_P_NONE, SPF_NONE, "a.example", NULL, .client = "192.0.2.1",
		.hidden_pass = true },
	    { .domain = &rule_reject }, ACTION_TEMPFAIL, CAUSE_TEMPERROR, "451 4.4.3 ", "",
	    DMARC_P_NONE },
	{ "temperror under p=reject",
	    { DMARC_TEMPERROR, DMARC_P_REJECT, SPF_NONE, "a.example", NULL, .client = "192.0.2.1",
		.hidden_pass = true },
	    { 0 }, ACTION_TEMPFAIL, CAUSE_TEMPERROR, "451 4.4.3 ", "", DMARC_P_NONE },
	{ "temperror from a trusted forwarder",
	    { DMARC_TEMPERROR, DMARC_P_UNSET, SPF_TEMPERROR, "a.example", NULL,
		.client = "192.0.2.1" },
	    { .forwarder_network = "192.0.2.0/24" }, ACTION_ACCEPT, CAUSE_TEMPERROR, NULL,
	    "trusted_forwarder ", DMARC_P_NONE },
	{ "temperror of an exempt domain",
	    { DMARC_TEMPERROR, DMARC_P_UNSET, SPF_TEMPERROR, "a.example", NULL,
		.client = "192.0.2.1" },
	    { .domain = &rule_exempt }, ACTION_ACCEPT, CAUSE_TEMPERROR, NULL, "local_policy ",
	    DMARC_P_NONE },
	{ "a list that authenticates turns reject into quarantine",
	    { DMARC_FAIL, DMARC_P_REJECT, SPF_PASS, "l.example", NULL, "192.0.2.1", .list = true },
	    { 0 }, ACTION_QUARANTINE, CAUSE_DMARC, NULL, "mailing_list ", DMARC_P_QUARANTINE },
	{ "a list does nothing to quarantine",
	    { DMARC_FAIL, DMARC_P_QUARANTINE, SPF_PASS, "l.example", NULL, .client = "192.0.2.1",
		.list = true },
	    { 0 }, ACTION_QUARANTINE, CAUSE_DMARC, NULL, "", DMARC_P_QUARANTINE },
	{ "list_rule off",
	    { DMARC_FAIL, DMARC_P_REJECT, SPF_PASS, "l.example", NULL, "192.0.2.1", .list = true },
	    { .no_list_rule = true }, ACTION_REJECT, CAUSE_DMARC, "550 5.7.26 ", "",
	    DMARC_P_REJECT },
	{ "trusted forwarder by network",
	    { DMARC_FAIL, DMARC_P_REJECT, SPF_FAIL, "a.example", NULL, .client = "192.0.2.1" },
	    { .forwarder_network = "192.0.2.0/24" }, ACTION_ACCEPT, CAUSE_NONE, NULL,
	    "trusted_forwarder ", DMARC_P_NONE },
	{ "trusted forwarder by SPF domain",
	    { DMARC_FAIL, DMARC_P_REJECT, SPF_PASS, "out.f.example", NULL, .client = "192.0.2.1" },
	    { .forwarder_domain = "f.example" }, ACTION_ACCEPT, CAUSE_NONE, NULL,
	    "trusted_forwarder ", DMARC_P_NONE },
	{ "trusted forwarder by DKIM domain",
	    { DMARC_FAIL, DMARC_P_REJECT, SPF_NONE, "x.example", "f.example",
		.client = "192.0.2.1" },
	    { .forwarder_domain = "f.example" }, ACTION_ACCEPT, CAUSE_NONE, NULL,
	    "trusted_forwarder ", DMARC_P_NONE },
	{ "a forwarder's signature with l=: the rest is anybody's (RFC 6376 8.2)",
	    { DMARC_FAIL, DMARC_P_REJECT, SPF_NONE, "x.example", "f.example", .client = "192.0.2.1",
		.l_tag = true },
	    { .forwarder_domain = "f.example" }, ACTION_REJECT, CAUSE_DMARC, "550 5.7.26 ", "",
	    DMARC_P_REJECT },
	{ "a forwarder that only claims its name",
	    { DMARC_FAIL, DMARC_P_REJECT, SPF_FAIL, "f.example", NULL, .client = "192.0.2.1" },
	    { .forwarder_domain = "f.example" }, ACTION_REJECT, CAUSE_DMARC, "550 5.7.26 ", "",
	    DMARC_P_REJECT },
	{ "a trusted sealer's chain turns reject into accept (RFC 8617 7.2.1)",
	    { DMARC_FAIL, DMARC_P_REJECT, SPF_NONE, "x.example", NULL, "192.0.2.1",
		.sealed = true },
	    { .trust_seal = true }, ACTION_ACCEPT, CAUSE_NONE, NULL, "local_policy ",
	    DMARC_P_NONE },
	{ "the same where the policy is quarantine",
	    { DMARC_FAIL, DMARC_P_QUARANTINE, SPF_NONE, "x.example", NULL, "192.0.2.1",
		.sealed = true },
	    { .trust_seal = true }, ACTION_ACCEPT, CAUSE_NONE, NULL, "local_policy ",
	    DMARC_P_NONE },
	{ "on_trusted_seal = quarantine",
	    { DMARC_FAIL, DMARC_P_REJECT, SPF_NONE, "x.example", NULL, "192.0.2.1",
		.sealed = true },
	    { .trust_seal = true, .seal_quarantine = true }, ACTION_QUARANTINE, CAUSE_DMARC, NULL,
	    "local_policy ", DMARC_P_QUARANTINE },
	{ "which does nothing to quarantine",
	    { DMARC_FAIL, DMARC_P_QUARANTINE, SPF_NONE, "x.example", NULL, "192.0.2.1",
		.sealed = true },
	    { .trust_seal = true, .seal_quarantine = true }, ACTION_QUARANTINE, CAUSE_DMARC, NULL,
	    "", DMARC_P_QUARANTINE },
	{ "a chain of a sealer that nobody trusts",
	    { DMARC_FAIL, DMARC_P_REJECT, SPF_NONE, "x.example", NULL, "192.0.2.1",
		.sealed = true },
	    { 0 }, ACTION_REJECT, CAUSE_DMARC, "550 5.7.26 ", "", DMARC_P_REJECT },
	{ "a trusted sealer comes before a list",
	    { DMARC_FAIL, DMARC_P_REJECT, SPF_PASS, "l.example", NULL, "192.0.2.1", .list = true,
		.sealed = true },
	    { .trust_seal = true }, ACTION_ACCEPT, CAUSE_NONE, NULL, "local_policy ",
	    DMARC_P_NONE },
	{ "a trusted sealer does nothing where there is no policy",
	    { DMARC_NONE, DMARC_P_UNSET, SPF_FAIL, "x.example", NULL, "192.0.2.1", .sealed = true },
	    { .trust_seal = true }, ACTION_ACCEPT, CAUSE_NONE, NULL, "", DMARC_P_NONE },
	{ "exempt",
	    { DMARC_FAIL, DMARC_P_REJECT, SPF_NONE, "x.example", NULL, .client = "192.0.2.1" },
	    { .domain = &rule_exempt }, ACTION_ACCEPT, CAUSE_NONE, NULL, "local_policy ",
	    DMARC_P_NONE },
	{ "exempt is not undone by SPF",
	    { DMARC_FAIL, DMARC_P_REJECT, SPF_FAIL, "x.example", NULL, .client = "192.0.2.1" },
	    { .domain = &rule_exempt, .spf_reject = true }, ACTION_ACCEPT, CAUSE_NONE, NULL,
	    "local_policy ", DMARC_P_NONE },
	{ "forced reject under p=none",
	    { DMARC_FAIL, DMARC_P_NONE, SPF_NONE, "x.example", NULL, .client = "192.0.2.1" },
	    { .domain = &rule_reject }, ACTION_REJECT, CAUSE_RULE,
	    "550 5.7.26 local rule for this domain; mail from a.example", "local_policy ",
	    DMARC_P_REJECT },
	{ "forced reject without a record",
	    { DMARC_NONE, DMARC_P_UNSET, SPF_PASS, "x.example", NULL, .client = "192.0.2.1" },
	    { .domain = &rule_reject }, ACTION_REJECT, CAUSE_RULE, "550 5.7.26 ", "local_policy ",
	    DMARC_P_REJECT },
	{ "forced reject spares what authenticates",
	    { DMARC_NONE, DMARC_P_UNSET, SPF_PASS, "a.example", NULL, .client = "192.0.2.1" },
	    { .domain = &rule_reject }, ACTION_ACCEPT, CAUSE_NONE, NULL, "", DMARC_P_NONE },
	{ "forced reject is not softened by a list",
	    { DMARC_FAIL, DMARC_P_NONE, SPF_PASS, "l.example", NULL, "192.0.2.1", .list = true },
	    { .domain = &rule_reject }, ACTION_REJECT, CAUSE_RULE, "550 5.7.26 ", "local_policy ",
	    DMARC_P_REJECT },
	{ "a rule for subdomains",
	    { DMARC_FAIL, DMARC_P_NONE, SPF_NONE, "x.example", NULL, .client = "192.0.2.1" },
	    { .domain = &rule_below }, ACTION_QUARANTINE, CAUSE_RULE, NULL, "local_policy ",
	    DMARC_P_QUARANTINE },
	{ "a rule for subdomains is not for the domain itself",
	    { DMARC_FAIL, DMARC_P_NONE, SPF_NONE, "x.example", NULL, .client = "192.0.2.1" },
	    { .domain = &rule_not_itself }, ACTION_ACCEPT, CAUSE_NONE, NULL, "", DMARC_P_NONE },
	{ "on_policy_reject = quarantine",
	    { DMARC_FAIL, DMARC_P_REJECT, SPF_NONE, "x.example", NULL, .client = "192.0.2.1" },
	    { .on_reject_quarantine = true }, ACTION_QUARANTINE, CAUSE_DMARC, NULL, "local_policy ",
	    DMARC_P_QUARANTINE },
	{ "on_policy_quarantine = reject",
	    { DMARC_FAIL, DMARC_P_QUARANTINE, SPF_NONE, "x.example", NULL, .client = "192.0.2.1" },
	    { .quarantine_reject = true }, ACTION_REJECT, CAUSE_DMARC, "550 5.7.26 ",
	    "local_policy ", DMARC_P_REJECT },
	{ "on_spf_fail = reject where no policy applies (RFC 7372 3.2)",
	    { DMARC_NONE, DMARC_P_UNSET, SPF_FAIL, "x.example", NULL, .client = "192.0.2.1" },
	    { .spf_reject = true }, ACTION_REJECT, CAUSE_SPF,
	    "550 5.7.23 SPF of x.example is fail (-all of x.example)", "", DMARC_P_NONE },
	{ "on_spf_fail never touches a DMARC pass",
	    { DMARC_PASS, DMARC_P_REJECT, SPF_FAIL, "x.example", "a.example",
		.client = "192.0.2.1" },
	    { .spf_reject = true }, ACTION_ACCEPT, CAUSE_NONE, NULL, "", DMARC_P_NONE },
	{ "on_spf_fail spares a trusted forwarder",
	    { DMARC_NONE, DMARC_P_UNSET, SPF_FAIL, "x.example", NULL, .client = "192.0.2.1" },
	    { .spf_reject = true, .forwarder_network = "192.0.2.0/24" }, ACTION_ACCEPT, CAUSE_NONE,
	    NULL, "", DMARC_P_NONE },
	{ "on_iprev_fail = tempfail",
	    { DMARC_NONE, DMARC_P_UNSET, SPF_NONE, "x.example", NULL, .client = "192.0.2.1",
		.iprev_fail = true },
	    { .iprev_tempfail = true }, ACTION_TEMPFAIL, CAUSE_IPREV,
	    "451 4.7.25 192.0.2.1 has no name", "", DMARC_P_NONE },
};

static struct dkim_signature_verdict signature;
static const struct arc_seal seal = { .domain = SLICE("s.example"),
	.selector = SLICE("s"),
	.results = SLICE("i=1; s.example; dmarc=pass header.from=a.example") };
static const struct slice sealer = SLICE("s.example");
static const struct dmarc_record record = { .text = SLICE("v=DMARC1; p=x") };

/* As dmarc_evaluate() lists them, SPF first. */
static void
list_identifiers(struct verdict *v)
{
	static struct dmarc_alignment alignments[1 + LIMIT_DKIM_FIELDS];
	struct dmarc_alignment *al = v->dmarc.alignments = alignments;

	*al++ = (struct dmarc_alignment){ .method = DMARC_BY_SPF,
		.domain = v->spf.domain,
		.passed = v->spf.result == SPF_PASS,
		.compared = true };
	for (size_t i = 0; i < v->dkim.count; i++)
		*al++ = (struct dmarc_alignment){ .method = DMARC_BY_DKIM,
			.signature = i,
			.domain = v->dkim.signatures[i].domain,
			.passed = v->dkim.signatures[i].result == DKIM_PASS,
			.partial = v->dkim.signatures[i].body_length_limited };
	v->dmarc.alignment_count = 1 + v->dkim.count;
}

static void
make_verdict(const struct found *f, struct verdict *v)
{
	*v = (struct verdict){ .has_message = true };
	assert_int_equal(ip_parse(slice_str(f->client), &v->connection.client), 0);
	v->spf.result = f->spf;
	v->spf.domain = slice_str(f->spf_domain);
	if (f->spf == SPF_FAIL) {
		v->spf.reason = SPF_R_MATCH;
		v->spf.mechanism = SLICE("-all");
		v->spf.record_domain = v->spf.domain;
	}
	if (f->dkim_pass != NULL) {
		signature = (struct dkim_signature_verdict){ .result = DKIM_PASS,
			.domain = slice_str(f->dkim_pass),
			.selector = SLICE("s"),
			.body_length_limited = f->l_tag };
		v->dkim.signatures = &signature;
		v->dkim.count = 1;
	}
	v->author.from_fields = 1;
	v->author.domains = &v->dmarc.author_domain;
	v->author.domain_count = 1;
	v->dmarc.author_domain = SLICE("a.example");
	v->dmarc.result = f->dmarc;
	v->dmarc.policy = v->dmarc.requested_policy = f->policy;
	v->dmarc.policy_tag = f->policy == DMARC_P_UNSET ? "" : "p";
	v->dmarc.policy_domain = SLICE("a.example");
	v->dmarc.record = f->policy == DMARC_P_UNSET ? NULL : &record;
	v->dmarc.policy_test_mode = f->test_mode;
	v->dmarc.reason = f->hidden_pass ? DMARC_R_HIDDEN_PASS : DMARC_R_NONE;
	list_identifiers(v);
	v->list.stands = f->list;
	v->list.list = v->list.domain = SLICE("l.example");
	if (f->sealed)
		v->arc = (struct arc_verdict){
			.result = ARC_PASS, .instances = 1, .seals = &seal, .covers_author = true
		};
	v->iprev_checked = true;
	v->iprev.result = f->iprev_fail ? IPREV_FAIL : IPREV_PASS;
}

static void
make_rules(const struct rules *r, struct decide_rules *out, struct ip_network *network,
    struct slice *forwarder)
{
	*out = decide_defaults;
	out->domains = r->domain;
	out->domain_count = r->domain != NULL;
	if (r->forwarder_network != NULL) {
		assert_int_equal(ip_network_parse(slice_str(r->forwarder_network), network), 0);
		out->forwarder_networks = network;
		out->forwarder_network_count = 1;
	}
	if (r->forwarder_domain != NULL) {
		*forwarder = slice_str(r->forwarder_domain);
		out->forwarder_domains = forwarder;
		out->forwarder_domain_count = 1;
	}
	if (r->trust_seal) {
		out->sealers = &sealer;
		out->sealer_count = 1;
	}
	if (r->seal_quarantine)
		out->on_trusted_seal = ACTION_QUARANTINE;
	if (r->on_reject_quarantine)
		out->on_policy_reject = ACTION_QUARANTINE;
	if (r->quarantine_reject)
		out->on_policy_quarantine = ACTION_REJECT;
	if (r->accept_temperror)
		out->on_temperror = ACTION_ACCEPT;
	if (r->spf_reject)
		out->on_spf_fail = ACTION_REJECT;
	if (r->iprev_tempfail)
		out->on_iprev_fail = ACTION_TEMPFAIL;
	out->list_rule = !r->no_list_rule;
}

static const char *
override_words(struct arena *a, const struct disposition *d)
{
	const char *words = "";

	for (size_t i = 0; i < d->override_count; i++)
		words = arena_printf(a, "%s%s ", words, override_word(d->overrides[i].kind));
	return words;
}

static void
check_row(struct arena *a, const struct row *row)
{
	struct verdict v;
	struct decide_rules rules;
	struct ip_network network;
	struct slice forwarder;
	struct disposition d;

	make_verdict(&row->found, &v);
	make_rules(&row->rules, &rules, &network, &forwarder);
	decide(a, &rules, &v, SLICE("4XyZ"), &d);
	if (d.action != row->action || d.cause != row->cause || d.policy_applied != row->applied)
		fail_msg("%s: got %s because of %s, applied %s", row->name, action_word(d.action),
		    cause_word(d.cause), dmarc_policy_word(d.policy_applied));
	if ((d.reply == NULL) != (row->reply == NULL) ||
	    (d.reply != NULL && !slice_starts(slice_str(d.reply), slice_str(row->reply))))
		fail_msg("%s: reply %s", row->name, d.reply == NULL ? "(none)" : d.reply);
	if (d.reply != NULL && !slice_ends_nocase(slice_str(d.reply), SLICE(" (queue id 4XyZ)")))
		fail_msg("%s: no queue id in %s", row->name, d.reply);
	if (strcmp(override_words(a, &d), row->overrides) != 0)
		fail_msg("%s: overrides %s", row->name, override_words(a, &d));
	assert_non_null(d.explanation);
}

static void
decisions(void **state)
{
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(a, &rows[i]);
	arena_free(&a);
}

static void
author_faults(void **state)
{
	struct slice two[] = { SLICE("a.example"), SLICE("b.example") };
	const struct {
		struct author author;
		const char *reply; /* NULL: accepted */
	} faults[] = {
		{ { .from_fields = 2, .domains = two, .domain_count = 1 },
		    "550 5.7.1 the message has 2 From fields" },
		{ { .from_fields = 1, .domains = two, .domain_count = 2 },
		    "550 5.7.1 the From field names 2 author domains: a.example and b.example" },
		{ { .from_fields = 1, .domains = two, .domain_count = 1, .malformed = "no end" },
		    "550 5.7.1 the From field is malformed: no end" },
		{ { .from_fields = 0, .malformed = "is missing" },
		    "550 5.7.1 the message has no From field" },
		{ { .from_fields = 1, .domains = two, .domain_count = 1 }, NULL },
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct verdict v = { .has_message = true, .author = faults[i].author };
		struct disposition d;

		decide(a, &decide_defaults, &v, SLICE(""), &d);
		if (faults[i].reply == NULL) {
			assert_int_equal(d.action, ACTION_ACCEPT);
			continue;
		}
		assert_int_equal(d.cause, CAUSE_AUTHOR);
		assert_string_equal(d.reply, faults[i].reply);
	}
	arena_free(&a);
}

static void
limits_and_replies(void **state)
{
	static char name[5000];
	struct arena *a = arena_new(1 << 20);
	struct verdict v = { .limit_met = "too much" };
	struct disposition d;

	(void)state;
	decide(a, &decide_defaults, &v, SLICE("Q"), &d);
	assert_int_equal(d.action, ACTION_TEMPFAIL);
	assert_string_equal(d.reply, "451 4.3.0 the message meets a limit: too much (queue id Q)");

	/* A stranger's text neither breaks the line nor drives out the queue id. */
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = "\r\n%\xff\x01\\"[i % 6];
	v = (struct verdict){ .has_message = true,
		.author = { .from_fields = 1,
		    .malformed = arena_printable(a, slice_of(name, 5000), 5000) } };
	decide(a, &decide_defaults, &v, SLICE("Q"), &d);
	assert_true(slice_str(d.reply).len <= LIMIT_REPLY_BYTES + sizeof("550 5.7.1 "));
	assert_true(slice_ends_nocase(slice_str(d.reply), SLICE(" (queue id Q)")));
	for (const char *p = d.reply; *p != '\0'; p++)
		assert_true(*p >= 0x20 && *p < 0x7f);
	arena_free(&a);
}

static void
lists(void **state)
{
	static const struct {
		const char *id, *post, *spf_pass, *dkim_pass;
		bool length_limited, stands;
	} cases[] = {
		{ "Dev <dev.lists.example.org>", NULL, NULL, "lists.example.org", false, true },
		{ "<dev.lists.example.org>", NULL, NULL, "example.org", false, true },
		{ "<dev.lists.example.org>", NULL, "lists.example.org", NULL, false, true },
		{ NULL, "<mailto:dev@lists.example.org?subject=x@evil.example>", NULL,
		    "lists.example.org", false, true },
		{ "<dev.lists.example.org>", NULL, NULL, NULL, false, false },
		{ "<dev.lists.example.org>", NULL, NULL, "org", false, false },
		{ "<dev.lists.example.org>", NULL, NULL, "sts.example.org", false, false },
		{ "<dev.lists.example.org>", NULL, NULL, "x.dev.lists.example.org", false, false },
		{ "<dev.lists.example.org>", NULL, NULL, "lists.example.org", true, false },
		{ "dev.lists.example.org", NULL, NULL, "lists.example.org", false, false },
		{ ">dev.lists.example.org<", NULL, NULL, "lists.example.org", false, false },
		{ NULL, "<http://lists.example.org/>", NULL, "lists.example.org", false, false },
		{ NULL, "NO", NULL, "lists.example.org", false, false },
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct header_list header = { 0 };
		struct spf_verdict spf = { .result = cases[i].spf_pass ? SPF_PASS : SPF_NONE,
			.domain = slice_str(cases[i].spf_pass) };
		struct dkim_signature_verdict s = { .result = DKIM_PASS,
			.domain = slice_str(cases[i].dkim_pass),
			.body_length_limited = cases[i].length_limited };
		struct verdict v = { .spf = spf, .dkim = { &s, cases[i].dkim_pass != NULL, 0 } };
		struct list_evidence e;

		if (cases[i].id != NULL)
			header_list_add(&header, a, SLICE("List-ID"), slice_str(cases[i].id));
		if (cases[i].post != NULL)
			header_list_add(&header, a, SLICE("List-Post"), slice_str(cases[i].post));
		list_identifiers(&v);
		list_evidence_find(a, &header, &v, &e);
		if (e.stands != cases[i].stands)
			fail_msg("row %zu: stands %d", i, e.stands);
	}
	arena_free(&a);
}

/* The author's signature, broken by what lists do, vouches where nothing of the list's passes. */
static void
changed_on_the_way(void **state)
{
	static const struct {
		const char *id, *author, *domain;
		bool complete, l_pass, stands;
	} cases[] = {
		{ "<dev.l.example>", "a.example", "a.example", true, false, true },
		{ "<dev.l.example>", "sub.a.example", "a.example", true, false, true },
		{ "<dev.l.example>", "a.example", "a.example", true, true,
		    false }, /* the list's own */
		{ "<dev.l.example>", "a.example", "a.example", false, false, false },
		{ NULL, "a.example", "a.example", true, false, false },
		{ "<dev.l.example>", "a.example", "b.example", true, false, false },
		{ "<dev.l.example>", "a.example", "sub.a.example", true, false, false },
		{ "<dev.l.example>", "a.example", "example", true, false, false },
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dkim_signature_verdict s = { .result = DKIM_FAIL,
			.domain = slice_str(cases[i].domain),
			.diagnosis = { .complete = cases[i].complete,
			    .text = SLICE("valid without the last 31 bytes") } };
		struct header_list header = { 0 };
		struct disposition d;
		struct verdict v;

		make_verdict(&(struct found){ DMARC_FAIL, DMARC_P_REJECT,
				 cases[i].l_pass ? SPF_PASS : SPF_NONE, "l.example", NULL,
				 .client = "192.0.2.1" },
		    &v);
		v.dmarc.author_domain = slice_str(cases[i].author);
		v.dkim.signatures = &s;
		v.dkim.count = 1;
		if (cases[i].id != NULL)
			header_list_add(&header, a, SLICE("List-Id"), slice_str(cases[i].id));
		list_evidence_find(a, &header, &v, &v.list);
		if ((v.list.changed != NULL) != cases[i].stands)
			fail_msg("row %zu: stands %d", i, v.list.stands);
		decide(a, &decide_defaults, &v, SLICE(""), &d);
		assert_int_equal(d.action, v.list.stands ? ACTION_QUARANTINE : ACTION_REJECT);
		if (cases[i].stands)
			assert_string_equal(d.overrides[0].comment,
			    "list dev.l.example; DKIM of a.example is valid without the last 31 "
			    "bytes");
	}
	arena_free(&a);
}

static void
sentences(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct dkim_signature_verdict s = { .result = DKIM_FAIL,
		.reason = DKIM_R_BODY_HASH,
		.domain = SLICE("a.example"),
		.selector = SLICE("s1"),
		.detail = SLICE("x\ny") };
	struct verdict v;

	(void)state;
	make_verdict(&(struct found){ DMARC_FAIL, DMARC_P_REJECT, SPF_PASS, "evil.example", NULL,
			 .client = "192.0.2.1" },
	    &v);
	assert_string_equal(explain_dmarc(a, &v),
	    "mail from a.example is not authenticated: SPF of evil.example is pass but not "
	    "aligned; "
	    "no DKIM signature; DMARC policy p=reject of a.example");
	v.dkim.signatures = &s;
	v.dkim.count = 1;
	assert_string_equal(explain_dmarc(a, &v),
	    "mail from a.example is not authenticated: SPF of evil.example is pass but not "
	    "aligned; "
	    "DKIM of a.example (selector s1) is fail: body hash did not verify (x\\x0ay); "
	    "DMARC policy p=reject of a.example");
	v.dmarc.result = DMARC_PASS;
	v.dmarc.spf_aligned = true;
	assert_string_equal(
	    explain_dmarc(a, &v), "mail from a.example is authenticated: SPF of evil.example");
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decisions),
		cmocka_unit_test(author_faults),
		cmocka_unit_test(limits_and_replies),
		cmocka_unit_test(lists),
		cmocka_unit_test(changed_on_the_way),
		cmocka_unit_test(sentences),
	};

	return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
