/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         dmarc - policy discovery, alignment and result: RFC 9989, or RFC 7489 on request
 * DESCRIPTION  Takes the author domains and the results of SPF and DKIM, finds the policy record
 *              (tree walk of RFC 9989 4.10, or the public suffix list of RFC 7489 3.2) and says
 *              what the domain owner asks for. What is done about it is decide.h's.
 *
 *              DNS trouble makes a temperror only where it can change the outcome. A name of a
 *              tree walk that could not be asked may hold no record, or one with psd=u, n or y;
 *              two names are aligned for sure when they are under each of these assumptions.
 *              The errors of an identifier that can't align with the author domain count nothing.
 *
 *              DMARC_PSL is RFC 7489 as it stands: np=, psd= and t= are tags it does not know.
 *              The whole public suffix list is used, its private section too: two customers of one
 *              hosting domain then never align.
 */
#ifndef ASSAY_DMARC_H
#define ASSAY_DMARC_H

#include "policy/base/enumtab.h"
#include "policy/base/limits.h"
#include "policy/dkim/dkim.h"
#include "policy/dns/dns.h"
#include "policy/spf/spf.h"
#include "policy/syntax/mailbox.h"

/* clang-format off */
#define DMARC_RESULTS(X) /* RFC 9989 9.x, RFC 7489 11.2 */ \
	X(DMARC_NONE,      "none") \
	X(DMARC_PASS,      "pass") \
	X(DMARC_FAIL,      "fail") \
	X(DMARC_TEMPERROR, "temperror") \
	X(DMARC_PERMERROR, "permerror")

#define DMARC_POLICIES(X) \
	X(DMARC_P_UNSET,      "") \
	X(DMARC_P_NONE,       "none") \
	X(DMARC_P_QUARANTINE, "quarantine") \
	X(DMARC_P_REJECT,     "reject")

#define DMARC_SOURCES(X) /* where the record that applies was found */ \
	X(DMARC_S_NOWHERE, "") \
	X(DMARC_S_AUTHOR,  "author") \
	X(DMARC_S_ORG,     "org") \
	X(DMARC_S_PSD,     "psd")

#define DMARC_DISCOVERIES(X) /* RFC 9990 3.1.1.x discovery_method */ \
	X(DMARC_TREEWALK, "treewalk") \
	X(DMARC_PSL,      "psl")

#define DMARC_PSDS(X) \
	X(DMARC_PSD_UNKNOWN, "u") \
	X(DMARC_PSD_YES,     "y") \
	X(DMARC_PSD_NO,      "n")

/* The module's owner adds rows. */
#define DMARC_REASONS(X) /* text, RFC, section */ \
	X(DMARC_R_NONE,             "",                                            0,    "") \
	X(DMARC_R_ALIGNED,          "an aligned identifier passed",                9989, "5.3.6") \
	X(DMARC_R_NOT_ALIGNED,      "no aligned identifier passed",                9989, "5.3.6") \
	X(DMARC_R_NO_RECORD,        "no DMARC record",                             9989, "4.10.1") \
	X(DMARC_R_RECORD_UNUSABLE,  "policy record has no usable policy",          9989, "4.10.1") \
	X(DMARC_R_NO_AUTHOR,        "no author domain",                            9989, "5.3.1") \
	X(DMARC_R_SEVERAL_AUTHORS,  "more than one author domain",                 9989, "5.3.1") \
	X(DMARC_R_SEVERAL_FROMS,    "more than one From field",                    9989, "5.3.1") \
	X(DMARC_R_MALFORMED_FROM,   "From field is malformed",                     9989, "5.3.1") \
	X(DMARC_R_POLICY_LOOKUP,    "lookup of the policy record failed",          9989, "4.10.1") \
	X(DMARC_R_EXISTENCE,        "lookup whether the author domain exists failed", 9989, "4.7") \
	X(DMARC_R_HIDDEN_PASS,      "a DNS failure may have hidden an aligned pass", 9989, "5.3.6")

#define DMARC_USABILITIES(X) /* RFC 9989 4.10.1 */ \
	X(DMARC_USABLE,         "yes") \
	X(DMARC_USABLE_AS_NONE, "as p=none")	/* p, sp or np is not valid, but reports are wanted */ \
	X(DMARC_UNUSABLE,       "no")
/* clang-format on */

enum dmarc_result { DMARC_RESULTS(ENUMTAB_NAME) };
enum dmarc_policy { DMARC_POLICIES(ENUMTAB_NAME) };
enum dmarc_source { DMARC_SOURCES(ENUMTAB_NAME) };
enum dmarc_discovery { DMARC_DISCOVERIES(ENUMTAB_NAME) };
enum dmarc_psd { DMARC_PSDS(ENUMTAB_NAME) };
enum dmarc_reason { DMARC_REASONS(ENUMTAB_NAME) };
enum dmarc_usability { DMARC_USABILITIES(ENUMTAB_NAME) };

const char *dmarc_result_word(enum dmarc_result);
const char *dmarc_policy_word(enum dmarc_policy);
const char *dmarc_source_word(enum dmarc_source);
const char *dmarc_discovery_word(enum dmarc_discovery);
const char *dmarc_psd_word(enum dmarc_psd);
const char *dmarc_reason_text(enum dmarc_reason);
const char *dmarc_usability_word(enum dmarc_usability);

/* A parsed DMARC record, RFC 9989 4.7. Lives on the heap with the DNS answer it came from, or in an
 * arena; read-only for all. */
struct dmarc_fault { /* something in the record that was ignored (RFC 9990 "error") */
	struct slice tag, value;
	const char *why;
};
#define DMARC_FAULTS_MAX 8

struct dmarc_record {
	struct slice text;
	enum dmarc_policy p, sp, np; /* DMARC_P_UNSET: absent or not valid */
	bool p_invalid, sp_invalid, np_invalid;
	enum dmarc_psd psd;
	bool testing;		      /* t=y */
	bool strict_dkim, strict_spf; /* adkim=s, aspf=s */
	struct slice *rua, *ruf;      /* valid URIs, in order, "!size" removed */
	size_t rua_count, ruf_count;
	bool fo_all, fo_any, fo_dkim, fo_spf; /* fo= 0 1 d s */
	uint32_t pct;			      /* RFC 7489 only; 100 */
	struct dmarc_fault faults[DMARC_FAULTS_MAX];
	size_t fault_count;
};

/*
 * Is it a DMARC record at all (RFC 9989 4.7: begins with v=DMARC1)? Then *out is filled. Its slices
 * point into text, its arrays are arena memory.
 */
bool dmarc_record_parse(struct arena *a, struct slice text, struct dmarc_record *out);

/* Has it a policy that can be applied? With DMARC_PSL, np= is not looked at (RFC 7489 6.6.3). */
enum dmarc_usability dmarc_record_usability(
    const struct dmarc_record *record, enum dmarc_discovery discovery);

struct psl; /* the public suffix list; MT: immutable */
/* file NULL: the list that libpsl was built with. NULL with *error_r set when it can't be read. */
struct psl *psl_open(struct arena *a, const char *file, const char **error_r);
void psl_close(struct psl **p);

struct dmarc_options {
	enum dmarc_discovery discovery;
	const struct psl *psl; /* for DMARC_PSL; borrowed */
	bool honour_pct;       /* RFC 7489 6.6.4; only with DMARC_PSL */
	/*
	 * 0..99, this message's place in the sample of pct=: the policy is applied when it is below
	 * pct. The engine knows no randomness, so that a verdict can be repeated; whoever evaluates
	 * a message sets it in his copy of the options, for instance by dmarc_sample().
	 */
	uint32_t sample;
};

/* A number in 0..99 out of what tells messages apart (queue id, Message-ID): always the same for
 * the same bytes, evenly spread over different ones. */
uint32_t dmarc_sample(struct slice identity);

/* clang-format off */
#define DMARC_METHODS(X) /* that give DMARC an identifier; word of RFC 8601 */ \
	X(DMARC_BY_SPF,  "spf") \
	X(DMARC_BY_DKIM, "dkim")
/* clang-format on */

enum dmarc_method { DMARC_METHODS(ENUMTAB_NAME) };
const char *dmarc_method_word(enum dmarc_method);
const char *dmarc_method_name(enum dmarc_method); /* "SPF", for people */

/*
 * One identifier beside the author domain: SPF first, then signatures. Whoever asks what was
 * authenticated, whatever by, looks here and not at the methods.
 */
struct dmarc_alignment {
	enum dmarc_method method;
	size_t signature; /* index in that method's verdict, when not SPF */
	struct slice domain;
	bool partial;			    /* it vouches for a part of the message only (l=) */
	struct slice organizational_domain; /* empty: did not have to be found */
	bool strict;
	bool aligned;
	bool compared; /* false: aligned was not needed (the method gave no pass, a pass was certain
			  already, no policy applies) and would have cost lookups */
	bool uncertain;	    /* DNS trouble: may be aligned or not; aligned is false */
	const char *result; /* the word of the method's result */
	bool passed;	    /* the method's result is pass: an Authenticated Identifier */
	bool temperror;	    /* the method could not finish: DNS */
};

struct dmarc_walk_step {   /* one name of the tree walk from the author domain */
	struct slice name; /* "_dmarc.example.com" */
	const struct dns_answer *answer;
	size_t records; /* DMARC records there; none counts where there are several */
};

struct dmarc_verdict {
	enum dmarc_result result;
	enum dmarc_reason reason;
	enum dmarc_discovery discovery;
	enum dmarc_source source;
	struct slice author_domain;	    /* empty when there is not exactly one */
	struct slice policy_domain;	    /* where the record was found, without "_dmarc." */
	struct slice organizational_domain; /* of the author domain; empty: DNS trouble hid it. The
					       author domain itself where RFC 9989 4.10.2 needs no
					       walk: the same name passed and has a record */
	const struct dmarc_record
	    *record;		   /* NULL: none applies; valid as long as the lookups are */
	bool author_domain_exists; /* false: NXDOMAIN; asked only where np= makes a difference */
	const char *policy_tag;	   /* "p", "sp", "np"; or "" */
	enum dmarc_policy requested_policy; /* by p, sp or np */
	enum dmarc_policy policy;	    /* after t=y or pct (one level lower) */
	bool policy_test_mode;		    /* t=y lowered it */
	bool sampled_out;		    /* RFC 7489 6.6.4: pct lowered it */
	bool spf_aligned, dkim_aligned;	    /* an aligned identifier passed */
	struct dmarc_alignment *alignments; /* arena memory */
	size_t alignment_count;
	struct dmarc_walk_step walk[LIMIT_DMARC_WALK];
	size_t walk_count;
	struct slice detail; /* what exactly, for people; or empty. Printable ASCII */
};

/*
 * Start the lookups of policy discovery: the author domain's own name and those of the walk above
 * it, which are a round trip each when they are asked one after the other at the end of the
 * message.
 */
void dmarc_prefetch(
    struct lookups *l, const struct dmarc_options *options, const struct author *author);

/*
 * spf: the MAIL FROM result (RFC 9989 3.2.4), never HELO's; NULL: not evaluated. dkim may be NULL.
 * Zero or several author domains, or several From fields: DMARC_PERMERROR with the reason. One
 * domain in a malformed field: the same instead of pass and none; fail stands with its policy.
 * *out is filled in all its fields; never fails as a call.
 * Asks at most LIMIT_DMARC_WALK names for the author domain and for each of at most
 * LIMIT_DMARC_IDENTIFIERS others, and whether the author domain exists.
 */
void dmarc_evaluate(struct arena *a, struct lookups *l, const struct dmarc_options *options,
    const struct author *author, const struct spf_verdict *spf, const struct dkim_verdict *dkim,
    struct dmarc_verdict *out);

/*
 * The organizational domain of a name by itself, as RFC 9990 4 compares those of a policy and of a
 * report's destination: RFC 9989 4.10.2, or by the public suffix list. domain: normal form. 0, or
 * -1: a name of the walk could not be asked. *out is arena memory or points into domain.
 */
int dmarc_organizational_domain(struct arena *a, struct lookups *l,
    const struct dmarc_options *options, struct slice domain, struct slice *out);

#endif
