/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         destination - where a report may be sent (RFC 9990 3.4, 3.5, 4; RFC 9991 5)
 * DESCRIPTION  Takes the URIs of rua= or ruf= in their order and says of each what becomes of it.
 *              One of another organization is asked for its consent: a TXT record at
 *              policy-domain._report._dmarc.host that is a DMARC record. If that has the same tag,
 *              its URIs take the place of this one; they must name the same host, or neither they
 *              nor the original get anything.
 *
 *              Choices: only mailto. "!10m" at the end is ignored. Several confirming records: the
 *              first that has the tag counts, but a foreign host in any of them forbids all.
 *              An address whose local part is not ASCII would need SMTPUTF8 and is ignored.
 *              The organizations are compared by the same method that discovered the policy. DNS
 *              trouble in any of it: later.
 * BUGS         MT: one thread at a time for one struct lookups.
 */
#ifndef ASSAY_DESTINATION_H
#define ASSAY_DESTINATION_H

#include "policy/dmarc/dmarc.h"
#include "report/limits.h"

/* clang-format off */
#define DESTINATION_OUTCOMES(X) /*         text for people */ \
	X(DESTINATION_SEND,        "send") \
	X(DESTINATION_LATER,       "DNS failed: ask again later") \
	X(DESTINATION_MALFORMED,   "not an address that mail can be sent to") \
	X(DESTINATION_UNSUPPORTED, "not a mailto URI") \
	X(DESTINATION_UNCONFIRMED, "the host does not say that it wants these reports") \
	X(DESTINATION_TOO_LONG,    "the name that would confirm it is longer than DNS allows") \
	X(DESTINATION_ELSEWHERE,   "the host's confirmation names another host") \
	X(DESTINATION_REPEATED,    "listed already")
/* clang-format on */
enum destination_outcome { DESTINATION_OUTCOMES(ENUMTAB_NAME) };
const char *destination_outcome_text(enum destination_outcome);

struct destination {
	enum destination_outcome outcome;
	struct slice uri;     /* as in the record, or in the one that overrode it */
	struct slice address; /* local-part@host, quoted where it must be; ASCII without line ends
				 or controls: fit for RCPT TO and To. Empty when it can't be read */
	struct slice host;    /* of address, normal form; empty likewise */
	bool external;	      /* of another organization */
	bool overridden;      /* uri is the confirming record's */
	struct slice confirmed_by; /* name that was asked; or empty */
};

struct destinations {
	struct destination list[LIMIT_DESTINATIONS];
	size_t count;
	bool later; /* one of them is DESTINATION_LATER */
};

/*
 * uris: with blanks or commas between, as in struct report_policy. tag: "rua" or "ruf".
 * policy_domain: where the record was found, normal form. Text in *out is arena memory or points
 * into uris. Asks DNS at most 2 * LIMIT_DMARC_WALK + 1 names a URI, those for hosts met before
 * at no cost.
 */
void destinations_find(struct arena *a, struct lookups *l, const struct dmarc_options *options,
    struct slice policy_domain, const char *tag, struct slice uris, struct destinations *out);

/*
 * A mailto URI (RFC 6068; one address, header fields ignored): its address and host as in struct
 * destination. 0, or -1: not mailto, or no such address. Arena memory.
 */
int mailto_address(struct arena *a, struct slice uri, struct slice *address_r, struct slice *host_r)
    __attribute__((warn_unused_result));

#endif
