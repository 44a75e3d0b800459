/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         store_internal - what the files of the store and the shipping of it share
 */
#ifndef ASSAY_REPORT_STORE_INTERNAL_H
#define ASSAY_REPORT_STORE_INTERNAL_H

#include "policy/crypto/crypto.h"
#include "report/store.h"

#define STORE_KEY_BYTES 16 /* of a digest: 2^64 tries to make two of ours meet */
#define STORE_MEMO	1024

/* Which open period a policy's rows go to. Only good within a transaction: between two of them
 * somebody else may close it. */
struct store_memo {
	uint8_t policy[STORE_KEY_BYTES];
	int64_t begin_s, end_s, id; /* id 0: empty */
	int64_t row_count;	    /* no more than this */
	bool counted;		    /* and not less */
	bool changed;		    /* neither is in the table yet */
};

struct store {
	struct db *db;
	struct arena *setup, *scratch; /* scratch: of one append */
	struct arena *folding;	       /* of one merge */
	struct crypto *crypto;
	struct digest *digest;
	uint64_t identity;
	bool in_transaction;
	struct store_memo memo[STORE_MEMO];
};

/* The next number of report_facts under that name. */
int store_next_number(struct store *s, const char *name, int64_t *number_r, const char **error_r);

/* At most max of the period's rows, and the period itself when none is left. */
int store_delete_period(
    struct store *s, int64_t id, int64_t max, int64_t *deleted_r, const char **error_r);

/* ---- batches, report/ship.h; transactions of their own ---- */

/* Batches of a store are numbered one after the other. The token is random: two that have the same
 * number, because the file is an old copy of itself, differ in it. */
struct store_batch {
	int64_t number, token;
};

struct store_place { /* of a row in a batch; zeroed: before the first */
	int64_t period;
	uint8_t key[STORE_KEY_BYTES];
};

/* The batch that is on its way, or a new one of all that is open or closed. 1; 0: there is none. */
int store_batch_begin(struct store *s, struct store_batch *batch_r, const char **error_r);

/* Rows of a batch behind a place, at most max, always in the same order. */
typedef int store_batch_fn(
    void *ctx, const struct store_entry *entry, const struct store_place *place);
int store_batch_rows(struct store *s, int64_t batch, const struct store_place *after, size_t max,
    store_batch_fn *fn, void *ctx, const char **error_r);

/* It has arrived: delete it, in pieces. */
int store_batch_end(struct store *s, int64_t batch, const char **error_r);

/* Draw another identity: the one we have stands for what we are no more. */
int store_change_identity(struct store *s, const char **error_r);

#endif
