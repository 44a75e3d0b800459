/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         journal - rows on their way into a store, safe from the end of the process
 * DESCRIPTION  What is known of a message is appended by one write(2) and needs no transaction of
 *              its own: the system keeps what was written when the process is killed. A row is
 *              written out once; a message with an equal row adds a record of 24 bytes that says
 *              where. The store takes all of it in large groups and notes, in the same
 *              transaction, up to where (journal, place) it has them; whoever opens the journal
 *              again merges what is behind that place, so every message counts once.
 *
 *              A record is as good as its sum, which is keyed by the number that was drawn for the
 *              journal and by its place: one that was cut short, bytes of a former journal and
 *              what strangers have in their names are no records. Reading ends at the first that
 *              is none.
 *
 *              The journal is begun anew, under a new number, when all of it is in the store. A
 *              file of another layout is set aside, not read: an earlier assay leaves rows in its
 *              own only where it was killed, or ended while it could not write its store.
 *
 *              Not mapped into memory: a file that somebody cuts, or a disk that fails, would end
 *              the process instead of a call, and the write is a quarter of a microsecond.
 * DIAGNOSTICS  0, or -1; with *error_r set where there is one: text of the journal's, valid until
 *              its next call.
 * BUGS         A power cut may cost what was written in the last moments.
 *              MT: one thread at a time, but for journal_begin_next() and journal_end_old(), which
 *              may be called beside journal_add(), _again(), _place() and _is_worn().
 */
#ifndef ASSAY_REPORT_JOURNAL_H
#define ASSAY_REPORT_JOURNAL_H

#include "report/store.h"

#define JOURNAL_BYTES_MAX (64LL * 1024 * 1024) /* beyond, nothing is taken */
#define JOURNAL_NEW_BYTES (1024 * 1024)	       /* begun anew when it has as much */
#define JOURNAL_COUNT_MAX UINT32_MAX	       /* messages of one record */

struct journal;

/* Never fails: the file is made by the first call that needs it. */
struct journal *journal_new(const char *file) __attribute__((returns_nonnull));
void journal_free(struct journal **j); /* the file stays */

/* ---- what messages need: one write(2) each ---- */

/* Append a row with its count, 1 .. JOURNAL_COUNT_MAX; *place_r: where it stands. -1: it is not in
 * the journal. */
int journal_add(struct journal *j, const struct store_entry *entry, int64_t *place_r);

/* So many more of the row that was added there since the journal was begun. */
int journal_again(struct journal *j, int64_t place, uint64_t count);

/* Behind the last record. */
int64_t journal_place(const struct journal *j);

/* It is large enough to be begun anew, was removed, or can't be written any more. */
bool journal_is_worn(const struct journal *j);

/* ---- what the writer's thread needs ---- */

/* In a transaction of the store: it has all that stands before place. */
int journal_note(struct journal *j, struct db *db, int64_t place, const char **error_r);

/*
 * Begin anew, once what was noted is committed: journal_begin_next(), which makes the file; then,
 * in one piece as others see it, journal_carry() for each row that is not committed, and
 * journal_replace(). Until that, and where one of them fails, the old one stands. After it
 * journal_end_old() gives back its room on the disk.
 */
int journal_begin_next(struct journal *j);
int journal_carry(struct journal *j, const struct store_entry *entry, int64_t *place_r);
int journal_replace(struct journal *j);
void journal_end_old(struct journal *j);

/* All of it is noted and committed: leave an empty one behind. */
void journal_clear(struct journal *j);

struct journal_recovery {
	uint64_t messages;     /* merged */
	const char *set_aside; /* NULL, or how a file that is no journal of ours is called now */
};

/*
 * Merge what a former process has left, in one transaction of the store, and begin anew. Before the
 * first journal_add(). Only one process at a time has a journal: -1 while another has it.
 */
int journal_recover(struct journal *j, struct store *s, struct db *db, struct journal_recovery *out,
    const char **error_r);

#endif
