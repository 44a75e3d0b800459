/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         store_bench - a small store of postbox with one account, and looks at it
 * DESCRIPTION  What does not go as wanted fails the test. Texts live in the bench's arena.
 */
#ifndef ASSAY_STORE_BENCH_H
#define ASSAY_STORE_BENCH_H

#include "tests/harness/postbox/store.h"

#define STORE_BENCH_DATE_S 1700000000 /* of all that is delivered */

struct store_bench {
	struct arena *arena;
	char folder[64]; /* of the maildir; "" in memory */
	struct store *store;
	struct store_account *alice;
};

struct store_bench store_bench_open(bool on_disk);
/* The store over what the folder has; after store_free(). */
void store_bench_start(struct store_bench *b);
void store_bench_close(struct store_bench *b);

/* what: for people. */
void store_bench_expect(const char *what, enum store_status got, enum store_status want);
void store_bench_expect_text(
    const struct store_bench *b, struct store_folder *f, uint32_t uid, const char *want);

/* The UID. */
uint32_t store_bench_deliver(
    const struct store_bench *b, const char *folder, const char *text, uint32_t flags);
/* The caller closes it. */
struct store_folder *store_bench_folder(const struct store_bench *b, const char *name);

/* "1 2 5S": UIDs with the letters of their flags. */
const char *store_bench_listing(const struct store_bench *b, struct store_folder *f);
/* All folders, a blank between them. */
const char *store_bench_names(const struct store_bench *b);

#endif
