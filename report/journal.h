/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         journal - rows on their way into a store, safe from the end of the process
 * DESCRIPTION  A row is appended by one write(2) and needs no transaction of its own: the system
 *              keeps what was written when the process is killed. The store takes rows in large
 * groups and notes, in the same transaction, up to where (journal, place) it has them; whoever
 *              opens the journal again merges what is behind that place, so every row counts once.
 *
 *              The journal is begun anew, under a new number, when all of it is in the store.
 * DIAGNOSTICS  0, or -1 with *error_r set; text of the journal's, valid until its next call.
 * BUGS         A power cut may cost what was written in the last moments.
 *              MT: one thread at a time.
 */
#ifndef ASSAY_REPORT_JOURNAL_H
#define ASSAY_REPORT_JOURNAL_H

#include "report/store.h"

#define JOURNAL_BYTES_MAX (64LL * 1024 * 1024) /* beyond, nothing is taken */
#define JOURNAL_NEW_BYTES (1024 * 1024)	       /* begun anew when it has as much */

struct journal;

/* Never fails: the file is made by the first call that needs it. */
struct journal *journal_new(const char *file) __attribute__((returns_nonnull));
void journal_free(struct journal **j); /* the file stays */

/* Append one row; *place_r: behind it. */
int journal_add(
    struct journal *j, const struct store_entry *entry, int64_t *place_r, const char **error_r);

/* In a transaction of the store: it has all rows up to place. */
int journal_note(struct journal *j, struct db *db, int64_t place, const char **error_r);

/*
 * Begin anew where that is worth it, once what was noted is committed: 0, and then journal_carry()
 * for each row that is not, in order, and journal_renewed(). Until that the old one stands.
 */
int journal_renew(struct journal *j);
int journal_carry(struct journal *j, const struct store_entry *entry, int64_t *place_r);
int journal_renewed(struct journal *j); /* -1: the old one stands */

/* All of it is noted and committed: leave an empty one behind. */
void journal_clear(struct journal *j);

/*
 * Merge what a former process has left, in one transaction of the store, and begin anew. *count_r:
 * messages. Before the first journal_add(). Only one process at a time has a journal: -1 while
 * another has it.
 */
int journal_recover(
    struct journal *j, struct store *s, struct db *db, uint64_t *count_r, const char **error_r);

#endif
