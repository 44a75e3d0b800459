/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         iprev - does the client's address have a name that points back to it?
 * DESCRIPTION  RFC 8601 section 3, with the results of section 2.7.3. At most LIMIT_SPF_NAMES
 *              names are looked up.
 */
#ifndef ASSAY_IPREV_H
#define ASSAY_IPREV_H

#include "policy/base/enumtab.h"
#include "policy/dns/dns.h"

/* clang-format off */
#define IPREV_RESULTS(X) \
	X(IPREV_PASS,      "pass") \
	X(IPREV_FAIL,      "fail")	/* names there are, none points back */ \
	X(IPREV_TEMPERROR, "temperror") \
	X(IPREV_PERMERROR, "permerror")	/* no PTR data */
/* clang-format on */
enum iprev_result { IPREV_RESULTS(ENUMTAB_NAME) };
const char *iprev_result_word(enum iprev_result);

struct iprev_verdict {
	enum iprev_result result;
	struct slice name;   /* pass only: the first name that points back */
	struct slice detail; /* unless pass: what exactly; printable */
};

/* Start its lookups and return at once. False: call again when there was time for an answer to
 * come; the address is asked once the name is known. */
bool iprev_start(struct arena *a, struct lookups *l, const struct ip_address *client);

/* client IP_NONE gives permerror. Slices in *out are arena memory. Never fails as a call. */
void iprev_evaluate(
    struct arena *a, struct lookups *l, const struct ip_address *client, struct iprev_verdict *out);

#endif
