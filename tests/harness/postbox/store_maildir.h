/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         store_maildir - mail that outlives the program
 * DESCRIPTION  DIR/USER is a Maildir++: INBOX is its new/, cur/ and tmp/, and a folder "A/B" is a
 *              maildir of its own named ".A.B" ('.' within a part is written "%2E"). Beside the
 *              three lie two files of ours, text, replaced as a whole or appended to:
 *
 *                  postbox-uids      "postbox-uids 1 UIDVALIDITY UIDNEXT", then "UID NAME" a line;
 *                                    a line whose file is gone means nothing
 *                  postbox-keywords  one a line; the first is letter 'a' in a file's flags
 *
 *              A message is written to tmp/ and synced, its UID noted and synced, then renamed to
 *              new/ and the directory synced: only then is it answered 250. A kill at any moment
 *              leaves it there whole, or nowhere. A file that has no UID yet gets one at start.
 * BUGS         The program has the maildir to itself while it runs: what others do to it is seen
 *              at the next start.
 */
#ifndef POSTBOX_STORE_MAILDIR_H
#define POSTBOX_STORE_MAILDIR_H

#include "tests/harness/postbox/store_internal.h"

#define MAILDIR_PATH_BYTES 1024
#define MAILDIR_UIDS	   "postbox-uids"
#define MAILDIR_KEYWORDS   "postbox-keywords"
#define MAILDIR_INFO	   ":2,"
/* "new/" or "cur/" */
#define MAILDIR_SUB_BYTES 4

/* "DIR/USER", a folder's own part, "/" and below. 0, or -1: too long. */
int maildir_path(char path[MAILDIR_PATH_BYTES], const struct store_folder *f, const char *below);
/* The same for a folder of that name. */
int maildir_path_named(char path[MAILDIR_PATH_BYTES], const struct store_account *account,
    const char *name, const char *below);

/* Replace a small file of a folder: written beside it, synced, renamed. 0 or -1 (logged). */
int maildir_replace(const struct store_folder *f, const char *file, struct slice text);

/* The system flag of a letter in a file's info; 0 for one that is none. */
uint32_t maildir_letter_flag(char letter);

/* Make names in a directory last. 0 or -1 (logged). */
int maildir_sync(const struct store_folder *f, const char *below);

/* A file or a whole tree; what is missing is no trouble. */
int maildir_remove_tree(const char *path);

/* The folders below an account, and what is in them. */
int maildir_load(struct store_account *account);

#endif
