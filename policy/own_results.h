/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         own_results - what an earlier hop of ours found, in its own words
 * DESCRIPTION  A message that comes back to us before it leaves (from a list server, from a content
 *              filter) carries the Authentication-Results that we wrote when it came in. By now
 *              nothing would verify; what counts is what was found then (RFC 8617 4.1.1: the AAR
 *              MUST contain the combined results, however many fields there are). Only for mail
 *              from hosts of our own: anybody else's fields in our name are forged, and those in
 *              other names are not read at all, whatever they hold (RFC 8601 2.7.6, 2.7.7).
 */
#ifndef ASSAY_OWN_RESULTS_H
#define ASSAY_OWN_RESULTS_H

#include "policy/arc/arc.h"

struct own_results {
	struct slice text;   /* "id; result; result", wire form; empty: there are none */
	bool has_arc;	     /* one of them is arc= */
	enum arc_result arc; /* that one */
};

/*
 * All Authentication-Results fields that can be read and whose authserv-id is one of ids, topmost
 * first; "none" adds nothing. text is arena memory and begins with the first of ids.
 */
void own_results_find(struct arena *a, const struct header_list *header, const struct slice *ids,
    size_t id_count, struct own_results *out);

#endif
