/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         failure_buffer - failure events on their way from sessions to the queue
 * DESCRIPTION  Sessions add and never wait; the store's writer empties it into the queue between
 *              two commits. Bounded: what it can't hold is dropped, as is what can't be written,
 *              for reports about failures must not cost what rows need.
 * BUGS         MT: any thread; has a lock of its own, taken last.
 */
#ifndef ASSAY_REPORT_FAILURE_BUFFER_H
#define ASSAY_REPORT_FAILURE_BUFFER_H

#include "report/failure.h"

#define FAILURE_BUFFER_MAX 200 /* events; beyond: dropped */

struct failure_buffer;

struct failure_buffer *failure_buffer_new(void);
void failure_buffer_free(struct failure_buffer **b); /* NULL is accepted */

/* A copy. False: there is no room. */
bool failure_buffer_add(struct failure_buffer *b, const struct failure_event *event);

bool failure_buffer_is_empty(struct failure_buffer *b);

/* All of them into the queue, in a transaction of its own; the tables are made where they are
 * missing. Empty afterwards, in any case. 0, or -1 with *error_r set: they are lost. */
int failure_buffer_write(struct failure_buffer *b, struct db *db, const char **error_r);

#endif
