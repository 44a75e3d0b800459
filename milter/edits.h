/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         edits - received fields that must not stay
 * DESCRIPTION  Authentication-Results that claim our authserv-id (RFC 8601 5), and, where we
 *              quarantine by a field, fields of that name: both would let a sender speak for us.
 *              They are noted as the header passes and removed at its end, highest index first:
 *              each removal shifts those behind it (CVE-2022-48521, PITFALLS 41).
 */
#ifndef ASSAY_EDITS_H
#define ASSAY_EDITS_H

#include "conf/conf.h"
#include "milter/mta.h"

struct edit {
	const char *name;
	int index; /* among the fields of that name as received, from 1 */
};

struct edits { /* zeroed is ready; arena memory */
	struct edit *list;
	size_t count, size;
	int results_seen, quarantine_seen;
	bool full; /* LIMIT_EDITS met: some would stay */
};

/* One field of the message, in order. value as the MTA gave it. */
void edits_note(struct edits *e, struct arena *a, const struct conf *conf, struct slice name,
    struct slice value);

/* Before anything is inserted: indices count received fields only. 0, or -1: the MTA refused. */
int edits_remove(const struct edits *e, const struct mta *mta);

#endif
