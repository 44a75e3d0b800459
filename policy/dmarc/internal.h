/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         dmarc/internal - what the files of dmarc share
 * DESCRIPTION  record.c reads a record, discover.c finds records in the DNS and the policy among
 *              them, align.c compares identifiers, psl.c is the only door to libpsl, eval.c puts it
 *              together.
 */
#ifndef ASSAY_DMARC_INTERNAL_H
#define ASSAY_DMARC_INTERNAL_H

#include "policy/dmarc/dmarc.h"

struct dmarc_node { /* one name asked */
	struct slice domain;
	struct dmarc_walk_step step;
	const struct dmarc_record *record; /* the only DMARC record there; or NULL */
};

/* The DNS tree walk of RFC 9989 4.10 from start, as far as it was asked. */
struct dmarc_walk {
	struct slice start;
	struct dmarc_node nodes[LIMIT_DMARC_WALK];
	size_t count;
};

/* Names that could not be asked, and one assumption about each of them. */
#define DMARC_UNKNOWNS_MAX 4
struct dmarc_unknowns {
	struct slice domains[DMARC_UNKNOWNS_MAX];
	size_t count;
	bool overflow;	     /* there are more: nothing can be said */
	unsigned assumption; /* two bits a name */
};

/* One message's evaluation on its way through the files. */
struct dmarc_evaluation {
	struct arena *arena;
	struct lookups *lookups;
	const struct dmarc_options *options;
	struct slice author;	/* the author domain */
	struct dmarc_walk walk; /* from it; with DMARC_PSL the one or two names of RFC 7489 6.6.3 */
	bool existence_unknown; /* and np= would make a difference */
	size_t identifier_walks;
	struct dmarc_verdict *out;
};

/* ---- discover.c ---- */

/* The name that a walk from start asks as its index-th; empty: there is none. */
struct slice dmarc_walk_target(struct slice start, size_t index);

/* Ask the next name. False when the walk is over. */
bool dmarc_walk_next(struct dmarc_evaluation *e, struct dmarc_walk *w);

/* RFC 9989 4.10.2, by the records found and the assumption about the rest; unknowns may be NULL. */
struct slice dmarc_walk_organization(
    const struct dmarc_walk *w, const struct dmarc_unknowns *unknowns);

/* Find the policy record. False: none applies, and result, reason and detail of the verdict are
 * set. Otherwise record, policy_domain and source are. */
bool dmarc_discover(struct dmarc_evaluation *e);

/* "_dmarc.example.com: timed out" */
struct slice dmarc_node_trouble(struct arena *a, const struct dmarc_node *node);

/* ---- align.c ---- */

/* Compare the listed identifiers with the author domain; sets the verdict's organizational_domain,
 * result, reason and detail. */
void dmarc_align(struct dmarc_evaluation *e);
void dmarc_align_equal(struct dmarc_evaluation *e); /* no policy applies */

/* ---- psl.c ---- */

/* RFC 7489 3.2; domain itself when it is a public suffix. Points into domain. */
struct slice dmarc_psl_organization(const struct psl *psl, struct slice domain);

#endif
