/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         internal - what the files of policy/arc share and nobody else sees
 */
#ifndef ASSAY_ARC_INTERNAL_H
#define ASSAY_ARC_INTERNAL_H

#include "policy/arc/arc.h"
#include "policy/base/limits.h"
#include "policy/sig/sig.h"

/* One ARC-Message-Signature or ARC-Seal. */
struct arc_signature {
	struct sig_tags tags; /* first: the rules of sig.h fill it */
	uint32_t instance;
	enum arc_result cv; /* ARC-Seal only */
	size_t field;	    /* index in the header_list */
	struct slice key_name;
	/* AMS only: numbers in the struct sig_bodies. */
	bool canon_given; /* c= was there */
	size_t body;
	size_t body_relaxed; /* without c=: see check_message_signature() */
};

struct arc_set {	/* RFC 8617 4.2; NULL and SIG_NO_FIELD: not met */
	size_t results; /* the ARC-Authentication-Results field */
	struct arc_signature *message;
	struct arc_signature *seal;
};

struct arc_chain {
	uint32_t count;			     /* highest instance met */
	struct arc_set sets[LIMIT_ARC_SETS]; /* sets[i - 1] is instance i */
};

/*
 * Collect the ARC fields into sets and check the structure (RFC 8617 5.2 steps 1 to 3). 0, or -1
 * with *fault_r set (arena text); chain->count then still says how far it goes.
 */
int arc_chain_read(struct arena *a, const struct header_list *header, struct arc_chain *chain,
    const char **fault_r);

/*
 * For sealers, of any header: the highest instance that an ARC field claims (0: none; more than 50
 * counts as 50), and what the ARC-Seal of that instance says. Fields that can't be read otherwise
 * count as well.
 */
enum arc_result arc_newest_instance(const struct header_list *header, uint32_t *instance_r);

#endif
