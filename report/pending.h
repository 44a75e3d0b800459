/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         pending - rows of messages that are not in the store yet, equal ones merged
 * DESCRIPTION  A table by content: a message whose row is there adds to its count, and costs no
 *              memory. Messages are fresh when they come. Whoever writes them takes all that are
 *              fresh at once, and says when they are committed; what comes meanwhile is fresh
 *              again, of the same rows or of others.
 *
 *              A row without messages stays until pending_forget(): the next message with it finds
 *              where it stands in the journal.
 *
 *              Strangers choose what is in a row, so the table's hash has a secret key.
 * BUGS         MT: the caller's lock, but for reading those that are taken, by who took them.
 */
#ifndef ASSAY_REPORT_PENDING_H
#define ASSAY_REPORT_PENDING_H

#include "report/store.h"

enum pending_state { PENDING_FRESH, PENDING_TAKEN };

struct pending_row {
	struct store_entry entry; /* but for count; its bytes stand behind the row */
	int64_t place;		  /* in the journal; 0: it is not there */
	int64_t carried;	  /* in the next one, while that is made */

	/* private */
	uint64_t hash;
	struct pending_row *chain;
	struct {
		uint64_t messages, late;
		struct pending_row *next;
	} part[2];
};

struct pending_sum {
	size_t rows;
	uint64_t messages;
	uint64_t late; /* of the messages: they are in memory alone */
};

struct pending;

struct pending *pending_new(void) __attribute__((returns_nonnull));
void pending_free(struct pending **p); /* *p becomes NULL */

/* MT: any thread, without the lock. */
uint64_t pending_hash(const struct pending *p, const struct store_entry *entry);

/* The row of that content and period; NULL: it is not there. hash: pending_hash() of it. */
struct pending_row *pending_find(
    const struct pending *p, const struct store_entry *entry, uint64_t hash);

/* A copy of one that is not there, without messages. */
struct pending_row *pending_insert(
    struct pending *p, const struct store_entry *entry, uint64_t hash);

/* So many messages more, which are fresh. True: the row had none before that are. */
bool pending_add(struct pending *p, struct pending_row *row, uint64_t messages, bool late);

/* All that are fresh are taken; none must be. */
void pending_take(struct pending *p);

/* Those that are taken are in the store. */
void pending_commit(struct pending *p);

/* Those of the row that are fresh have been carried: none is in memory alone. */
void pending_carried(struct pending *p, struct pending_row *row);

/* Rows without messages go. */
void pending_forget(struct pending *p);

/* ---- looking ---- */

const struct pending_sum *pending_sum(const struct pending *p, enum pending_state);
size_t pending_bytes(const struct pending *p); /* of all rows */

/* Rows with messages of that state, in the order in which they came; and how many messages. */
struct pending_row *pending_first(const struct pending *p, enum pending_state);
struct pending_row *pending_next(
    const struct pending *p, enum pending_state, const struct pending_row *row);
uint64_t pending_messages(
    const struct pending *p, enum pending_state, const struct pending_row *row);

#endif
