/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         ship - a node's rows into the database of the fleet
 * DESCRIPTION  What a node has remembered since the last time is closed and numbered: a batch,
 * which never changes after that. Its rows are merged into the fleet's store a page at a time, each
 * page in one transaction with the position it brings this node to (store, batch, last row). After
 * any failure the position says what has arrived, so a page is counted once, whether its commit was
 * heard of or not. Then the batch is deleted on the node.
 *
 *              A node is known by the identity of its store, not by its name: one that lost its
 *              file begins anew, and two of one name don't get in each other's way. A store that
 *              went back in time (a restored backup) takes a new identity.
 * DIAGNOSTICS  -1 with *error_r set: nothing is lost, call again later. Text valid until the next
 *              call.
 * BUGS         A restored backup ships again what had been shipped after it was made.
 *              MT: one thread at a time.
 */
#ifndef ASSAY_REPORT_SHIP_H
#define ASSAY_REPORT_SHIP_H

#include <stdint.h>

#define SHIP_PAGE_ROWS 500 /* of one transaction: the others of the fleet wait for it */

struct ship_result {
	uint64_t batches, rows, messages; /* that arrived; added to */
};

struct shipper;

/*
 * file: the node's store. conninfo, timeout_ms: as db_new_postgres(). node: a name for people. All
 * are copied. Connects at the first run.
 */
struct shipper *shipper_new(
    const char *file, const char *conninfo, const char *node, uint32_t timeout_ms);
void shipper_free(struct shipper **s); /* *s becomes NULL; NULL is accepted */

/* Ship what there is by now. To be called in a loop, with a pause: 0, or -1 to be tried again. */
int shipper_run(struct shipper *s, struct ship_result *result, const char **error_r);

#endif
