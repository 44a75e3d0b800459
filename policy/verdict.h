/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         verdict - everything that was found about one message
 * DESCRIPTION  Filled by evaluation.c, read-only for all others. Everything that is printed,
 * logged, stored or explained comes from here; what is done about it stands in struct disposition
 * (decide.h). Slices live in the message's arena, DNS answers as long as the evaluation: both end
 * with evaluation_end().
 */
#ifndef ASSAY_VERDICT_H
#define ASSAY_VERDICT_H

#include "policy/arc/arc.h"
#include "policy/dkim/dkim.h"
#include "policy/dmarc/dmarc.h"
#include "policy/dns/dns.h"
#include "policy/iprev/iprev.h"
#include "policy/spf/spf.h"
#include "policy/syntax/mailbox.h"

/* What the MTA knows of the client. Borrowed for the length of the evaluation. */
struct connection {
	struct ip_address client; /* IP_NONE: mail that came by no network */
	struct slice helo;	  /* as the client said it */
};

/* A mailing list that vouches for its message; PITFALLS.md, "Rejecting, and not solely". */
struct list_evidence {
	bool stands;
	struct slice list; /* domain out of List-Id or List-Post */
	struct slice
	    domain; /* what passed: d= or the SPF domain; or d= of the author's signature */
	enum dmarc_method method;
	const struct dkim_diagnosis *changed; /* not NULL: nothing of the list's passed, but the
						 author's signature does with this undone */
};

struct verdict {
	struct connection connection;
	int64_t now_s;
	struct slice reverse_path; /* without angle brackets; empty: null */

	struct spf_verdict spf;	     /* MAIL FROM identity; postmaster@HELO when null */
	struct spf_verdict spf_helo; /* HELO identity, a result of its own */
	bool helo_checked;	     /* spf_helo was evaluated */
	struct iprev_verdict iprev;
	bool iprev_checked;

	bool has_message; /* false: nothing but the envelope was seen; what follows is empty */
	struct author author;
	struct dkim_verdict dkim;
	struct arc_verdict arc;
	struct dmarc_verdict dmarc;
	struct list_evidence list;
	size_t header_fields;
	uint64_t body_bytes; /* as fed; less than the message when the rest was not needed */

	const struct lookup *lookups; /* the DNS story, in order of asking */
	size_t lookup_count;
	const char *limit_met; /* NULL, or which limit ended the evaluation early */
};

#endif
