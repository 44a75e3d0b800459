/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         spf - Sender Policy Framework, RFC 7208
 * DESCRIPTION  spf_evaluate() is check_host() of section 4 for one identity (RFC 7208 2.2). Where
 *              the RFC leaves a choice: a target-name that DNS can't hold is no match (4.8); an mx
 *              with more than 10 hosts is refused before any is asked, so that their order can't
 *              decide (4.6.4); a void lookup is counted once a term, for its own question, not for
 *              the hosts of an mx or ptr (4.6.4); %{p} counts as a lookup the first time (4.6.4).
 * DIAGNOSTICS  struct spf_verdict: reason says which rule, detail which term and name.
 */
#ifndef ASSAY_SPF_H
#define ASSAY_SPF_H

#include "policy/base/enumtab.h"
#include "policy/base/ip.h"
#include "policy/dns/dns.h"

/* clang-format off */
#define SPF_RESULTS(X) \
	X(SPF_NONE,      "none") \
	X(SPF_NEUTRAL,   "neutral") \
	X(SPF_PASS,      "pass") \
	X(SPF_FAIL,      "fail") \
	X(SPF_SOFTFAIL,  "softfail") \
	X(SPF_TEMPERROR, "temperror") \
	X(SPF_PERMERROR, "permerror")

#define SPF_SCOPES(X) \
	X(SPF_MFROM, "mfrom")	/* RFC 7208 2.4; with a null reverse-path postmaster@HELO */ \
	X(SPF_HELO,  "helo")	/* RFC 7208 2.3 */

/* Why the result is what it is. The module's owner adds rows; text is for people. */
#define SPF_REASONS(X) /*              text                                          RFC 7208 section */ \
	X(SPF_R_NONE,          "",                                                  "") \
	X(SPF_R_MATCH,         "mechanism matched",                                 "4.6.2") \
	X(SPF_R_DEFAULT,       "no mechanism matched",                              "4.7") \
	X(SPF_R_NO_RECORD,     "no SPF record",                                     "4.5") \
	X(SPF_R_NO_DOMAIN,     "not a domain that can have a policy",               "4.3") \
	X(SPF_R_NO_ADDRESS,    "client address unknown",                            "4.1") \
	X(SPF_R_SEVERAL,       "more than one SPF record",                          "4.5") \
	X(SPF_R_SYNTAX,        "syntax error in the record",                        "4.6") \
	X(SPF_R_LOOKUPS,       "too many terms that cause DNS lookups",             "4.6.4") \
	X(SPF_R_VOID,          "too many void lookups",                             "4.6.4") \
	X(SPF_R_MX_NAMES,      "mx mechanism with more than 10 names",              "4.6.4") \
	X(SPF_R_SIZE,          "record larger than this receiver reads",            "3.4") \
	X(SPF_R_INCLUDE_NONE,  "included domain has no SPF record",                 "5.2") \
	X(SPF_R_REDIRECT_NONE, "redirect to a domain without SPF record",           "6.1") \
	X(SPF_R_DNS,           "DNS lookup failed",                                 "4.4")
/* clang-format on */

enum spf_result { SPF_RESULTS(ENUMTAB_NAME) };
enum spf_scope { SPF_SCOPES(ENUMTAB_NAME) };
enum spf_reason { SPF_REASONS(ENUMTAB_NAME) };

const char *spf_result_word(enum spf_result);
const char *spf_scope_word(enum spf_scope);
const char *spf_reason_text(enum spf_reason);
const char *spf_reason_section(enum spf_reason); /* of RFC 7208; "" for SPF_R_NONE */

struct spf_options {
	uint32_t max_lookups;	   /* RFC 7208 4.6.4; 10 */
	uint32_t max_void_lookups; /* 2 */
	struct slice receiver;	   /* %{r}: our host name; empty: "unknown" (RFC 7208 7.3) */
};
extern const struct spf_options spf_defaults; /* the limits of limits.h, no receiver */

struct spf_input {
	enum spf_scope scope;
	struct ip_address client;
	struct slice helo;	 /* as the client said it */
	struct slice local_part; /* of the identity; empty: "postmaster" (RFC 7208 4.3) */
	struct slice domain;	 /* of the identity, as it came: U-labels possible, any case */
	int64_t now_s;		 /* %{t} */
};

struct spf_verdict {
	enum spf_result result;
	enum spf_reason reason;
	enum spf_scope scope;
	struct slice
	    domain; /* the identity's domain in normal form, or as it came if it has none */
	struct slice local_part;
	struct slice mechanism; /* the term that decided, as written ("-all"); empty: none did */
	struct slice
	    record_domain;   /* where that term, or the fault, stood (behind include, redirect) */
	struct slice record; /* that record's text */
	const struct slice *record_domains; /* whose records were used, in order: the identity's
					       own, those of include and redirect */
	size_t record_domain_count;
	uint32_t lookups; /* terms that caused DNS lookups */
	uint32_t void_lookups;
	struct slice
	    explanation; /* fail with exp= only: expanded text, printable ASCII, cut to limit */
	struct slice
	    detail; /* what exactly: the name that failed, the term and its fault; or empty */
};

/*
 * Evaluate one identity. Slices in *out are arena memory or static. Never fails as a call.
 * At most options->max_lookups querying terms, whatever the records say. detail and mechanism are
 * printable ASCII; record is as published, any byte. Non-ASCII local parts: RFC 8616 section 4.
 * MT: re-entrant.
 */
void spf_evaluate(struct arena *a, struct lookups *l, const struct spf_options *options,
    const struct spf_input *in, struct spf_verdict *out);

/* ---- the record by itself: for those who check what they publish ---- */

/* clang-format off */
#define SPF_MECHANISMS(X) \
	X(SPF_ALL,     "all") \
	X(SPF_INCLUDE, "include") \
	X(SPF_A,       "a") \
	X(SPF_MX,      "mx") \
	X(SPF_PTR,     "ptr") \
	X(SPF_IP4,     "ip4") \
	X(SPF_IP6,     "ip6") \
	X(SPF_EXISTS,  "exists")
/* clang-format on */
enum spf_mechanism { SPF_MECHANISMS(ENUMTAB_NAME) };
const char *spf_mechanism_word(enum spf_mechanism);

/* A piece of the record's text. Not a slice: parsed records wait in the DNS cache by the thousand,
 * where every term's bytes count. */
struct spf_span {
	uint16_t at, len;
};

struct spf_term {
	enum spf_mechanism mechanism;
	enum spf_result result;	  /* of the qualifier: what a match gives */
	struct spf_span written;  /* with its qualifier */
	struct spf_span argument; /* domain-spec, or the address of ip4 and ip6; empty: none */
	uint8_t prefix4_bits, prefix6_bits;
};

struct spf_modifier {
	struct spf_span written; /* empty: the record has none */
	struct spf_span argument;
};

struct spf_record {
	struct slice text;	/* borrowed: a TXT record, its strings joined */
	enum spf_reason reason; /* SPF_R_NONE: good; SPF_R_SYNTAX or SPF_R_SIZE: only text, fault
				   and fault_term mean something */
	const char *fault;	/* static; NULL when good */
	struct spf_span fault_term;
	struct spf_modifier redirect, explanation;
	size_t count;
	struct spf_term terms[]; /* mechanisms, in order */
};

/* Is it one of ours: "v=spf1" in any case, then a space or the end (RFC 7208 4.5)? */
bool spf_record_version(struct slice text);

/*
 * Parse all of a text that has the version (RFC 7208 4.6: an error anywhere spoils the record).
 * Never NULL. Heap, to be freed by the caller; text is borrowed.
 */
struct spf_record *spf_record_new(struct slice text) __attribute__((returns_nonnull));
void spf_record_free(struct spf_record **r);

static inline struct slice
spf_record_text(const struct spf_record *r, struct spf_span span)
{
	return slice_sub(r->text, span.at, span.len);
}

#endif
