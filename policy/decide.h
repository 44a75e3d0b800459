/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         decide - from verdict and local rules to what is done (RFC 8601 4.2: in the SMTP
 *              transaction, not by the field alone)
 * DESCRIPTION  Pure: no clock, no I/O, no logging, no state. The result of a check is never changed
 *              here, only what follows from it; every departure from what the domain owner asks for
 *              is an override, named in log, header and report.
 *
 *              Order: limits, faults of the author (From), DMARC (or, where DMARC can't be applied,
 *              SPF and iprev by local choice). The first that asks for something decides.
 */
#ifndef ASSAY_DECIDE_H
#define ASSAY_DECIDE_H

#include "policy/verdict.h"

/* clang-format off */
#define ACTIONS(X) \
	X(ACTION_ACCEPT,     "accept") \
	X(ACTION_REJECT,     "reject") \
	X(ACTION_QUARANTINE, "quarantine") \
	X(ACTION_TEMPFAIL,   "tempfail") \
	X(ACTION_DISCARD,    "discard")

/* RFC 9990 3.1.6: the only words an aggregate report knows. */
#define OVERRIDES(X) \
	X(OVERRIDE_LOCAL_POLICY,      "local_policy") \
	X(OVERRIDE_MAILING_LIST,      "mailing_list") \
	X(OVERRIDE_OTHER,             "other") \
	X(OVERRIDE_POLICY_TEST_MODE,  "policy_test_mode") \
	X(OVERRIDE_TRUSTED_FORWARDER, "trusted_forwarder")

#define CAUSES(X) /*          log word         */ \
	X(CAUSE_NONE,         "none") \
	X(CAUSE_LIMIT,        "limit") \
	X(CAUSE_AUTHOR,       "author")		/* From: none, several, malformed */ \
	X(CAUSE_DMARC,        "dmarc") \
	X(CAUSE_TEMPERROR,    "temperror") \
	X(CAUSE_SPF,          "spf") \
	X(CAUSE_IPREV,        "iprev") \
	X(CAUSE_SIGNING,      "signing")	/* mail of our own; never by decide() */ \
	X(CAUSE_RULE,         "rule")		/* the table by author domain */

#define DOMAIN_RULES(X) /* what the table by author domain can say of a message that does not pass DMARC */ \
	X(RULE_EXEMPT,     "exempt")		/* not enforced, whatever its policy says */ \
	X(RULE_REJECT,     "reject")		/* also when the policy says less, or there is none */ \
	X(RULE_QUARANTINE, "quarantine")
/* clang-format on */

enum action { ACTIONS(ENUMTAB_NAME) };
enum override { OVERRIDES(ENUMTAB_NAME) };
enum cause { CAUSES(ENUMTAB_NAME) };
enum domain_rule { DOMAIN_RULES(ENUMTAB_NAME) };

const char *action_word(enum action);
const char *override_word(enum override);
const char *cause_word(enum cause);
const char *domain_rule_word(enum domain_rule);

struct domain_rule_entry {
	struct slice domain; /* normal form */
	bool subdomains;     /* "*.example.com": below it, not it */
	enum domain_rule rule;
};

struct decide_rules {			  /* borrowed by decide(), immutable */
	enum action on_policy_reject;	  /* DMARC policy reject applies; default reject */
	enum action on_policy_quarantine; /* default quarantine */
	enum action on_temperror;	  /* tempfail (default) or accept */
	enum action on_several_authors; /* several From fields or author domains; default reject */
	enum action on_malformed_from;	/* From malformed, or without a domain; default reject */
	enum action on_no_author;	/* no From field; default reject */
	enum action on_spf_fail;	/* only where no DMARC policy applies; default accept */
	enum action on_iprev_fail;	/* likewise; default accept */
	bool list_rule; /* list_evidence turns reject into quarantine; default true */
	const struct domain_rule_entry *domains; /* first match wins */
	size_t domain_count;
	const struct ip_network *forwarder_networks; /* trusted forwarders */
	size_t forwarder_network_count;
	const struct slice
	    *forwarder_domains; /* normal form; d= or SPF domain equal to or below it */
	size_t forwarder_domain_count;
	const struct slice *sealers; /* trusted ARC sealers, normal form; d= equal to or below it */
	size_t sealer_count;
	enum action on_trusted_seal; /* where their chain vouches: accept (default), quarantine */
};
extern const struct decide_rules decide_defaults;

struct override_entry {
	enum override kind;
	const char *comment; /* for people: which list, which forwarder, which rule; printable */
};
#define OVERRIDES_MAX 4

struct disposition {
	enum action action;
	enum cause cause;
	const char *reply; /* whole, "550 5.7.26 ..."; NULL for accept and discard. Printable ASCII,
			      one line, at most LIMIT_REPLY_BYTES behind the codes */
	const char *explanation;	  /* one line for log, hold reason and people; never NULL */
	enum dmarc_policy policy_applied; /* what was done as to DMARC: none, quarantine, reject */
	struct override_entry overrides[OVERRIDES_MAX];
	size_t override_count;
};

/*
 * queue_id: for the reply, may be empty. Text in *out is arena memory.
 * policy_applied is DMARC_P_NONE where DMARC was not the cause.
 */
void decide(struct arena *a, const struct decide_rules *rules, const struct verdict *v,
    struct slice queue_id, struct disposition *out);

#endif
