/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         store - users' mail: folders of messages
 * DESCRIPTION  A user's account has folders; INBOX is always there (its name in any case), others
 *              are made by their owner, or by delivery (Quarantine). A name is a path of parts with
 *              '/' between them; its bytes are not interpreted otherwise (IMAP's modified UTF-7
 *              stays as it is).
 *
 *              A message has a UID that is never given twice, an internal date, flags, and bytes
 *              that never change. A folder never renumbers: a session that wants sequence numbers
 *              takes a listing, numbers that, and takes the next when its protocol may say what
 *              changed. A counter says whether anything did, and a watch wakes whoever waits.
 *
 *              Mail lives in memory, or with a maildir behind it on disk: then a message is on the
 *              platter, its name too, before store_deliver() says OK, and what was answered 250
 *              survives a SIGKILL. The layout is Maildir++ (store_maildir.h).
 * DIAGNOSTICS  enum store_status.
 * BUGS         MT: every function may be called by any thread; one lock an account, never two at
 *              once, none held on return. A new message goes to disk outside the lock.
 */
#ifndef POSTBOX_STORE_H
#define POSTBOX_STORE_H

#include <stdint.h>

#include "policy/base/arena.h"

/* clang-format off */
#define STORE_STATUSES(X) \
	X(STORE_OK,        "ok") \
	X(STORE_NO_FOLDER, "no such folder") \
	X(STORE_EXISTS,    "folder exists") \
	X(STORE_BAD_NAME,  "not a folder name") \
	X(STORE_GONE,      "no such message") \
	X(STORE_FULL,      "over quota") \
	X(STORE_LIMIT,     "too many folders or keywords") \
	X(STORE_FAILED,    "storage failed")		/* the disk; logged where it happened */
/* clang-format on */

#include "policy/base/enumtab.h"
enum store_status { STORE_STATUSES(ENUMTAB_NAME) };
const char *store_status_text(enum store_status);

struct store;
struct store_account; /* lives as long as the store */
struct store_folder;  /* counted; a session holds one from SELECT to CLOSE */

struct store_options {
	const char *maildir; /* folder with one maildir a user; NULL: memory only */
	size_t max_bytes;    /* of all mail; beyond: STORE_FULL */
	size_t max_message_bytes;
	int64_t (*now_s)(void); /* wall clock; NULL: time(2) */
};

/* NULL with *error_r set (arena text). */
struct store *store_new(struct arena *a, const struct store_options *options, const char **error_r);
/* No folder, text or watch may be left open. *s becomes NULL; NULL is accepted. */
void store_free(struct store **s);

/*
 * Make the account of a user, with what its maildir holds; once each, before threads start.
 * NULL with *error_r set.
 */
struct store_account *store_account_add(
    struct arena *a, struct store *s, struct slice user, const char **error_r);
/* NULL for a stranger. Names are compared without case. */
struct store_account *store_account(struct store *s, struct slice user);

/* ---- flags ---- */

/* The first five are the system flags of RFC 3501 2.3.2, the rest a folder's keywords. \Recent is
 * no flag here: see store_claim_recent(). */
#define STORE_SEEN	    (1u << 0)
#define STORE_ANSWERED	    (1u << 1)
#define STORE_FLAGGED	    (1u << 2)
#define STORE_DELETED	    (1u << 3)
#define STORE_DRAFT	    (1u << 4)
#define STORE_SYSTEM_FLAGS  0x1fu
#define STORE_KEYWORD(n)    (1u << (6 + (n))) /* n < POSTBOX_KEYWORDS */
#define STORE_KEYWORD_FLAGS 0xffffffc0u

/*
 * The flag of a keyword, any case. make: give it the folder's next free one if it has none yet.
 * *flag_r is 0 when it has none and make is false. STORE_LIMIT when all are taken.
 */
enum store_status store_keyword(
    struct store_folder *f, struct slice keyword, bool make, uint32_t *flag_r);

/* names[n] is the keyword of STORE_KEYWORD(n), as first written. Arena copies. */
enum store_status store_keywords(
    struct arena *a, struct store_folder *f, struct slice **names_r, size_t *count_r);

/* ---- folders ---- */

/* Sorted by name, INBOX first; arena copies. */
size_t store_folders(struct arena *a, struct store_account *account, struct slice **names_r);

enum store_status store_folder_create(struct store_account *account, struct slice name);
/* INBOX can't be. Whoever holds it open finds STORE_NO_FOLDER. */
enum store_status store_folder_delete(struct store_account *account, struct slice name);
/* The folders below move along. Renaming INBOX moves its messages and leaves it empty
 * (RFC 3501 6.3.5). */
enum store_status store_folder_rename(
    struct store_account *account, struct slice from, struct slice to);

/* Gives a counted folder, to be given back by store_folder_close(). */
enum store_status store_folder_open(
    struct store_account *account, struct slice name, struct store_folder **folder_r);
/* *f becomes NULL; NULL is accepted. */
void store_folder_close(struct store_folder **f);

struct store_folder_state {
	uint32_t uid_validity;
	uint32_t uid_next;
	size_t messages;
	size_t unseen;
	size_t recent; /* nobody has claimed them yet */
	size_t bytes;
	uint64_t changes; /* grows with every arrival, removal and change of flags */
};

enum store_status store_folder_state(struct store_folder *f, struct store_folder_state *out);

/*
 * Messages from *first_uid_r on are this session's to call \Recent, for as long as it wants; the
 * next caller gets later ones only (RFC 3501 2.3.2). claim false (EXAMINE): look, take nothing.
 */
enum store_status store_claim_recent(struct store_folder *f, bool claim, uint32_t *first_uid_r);

/* ---- messages ---- */

struct store_message {
	uint32_t uid;
	uint32_t flags;
	int64_t date_s; /* internal date, Unix seconds */
	size_t bytes;
};

/* All of them by rising UID; arena copies. *changes_r as in the state, read in the same moment. */
enum store_status store_list(struct arena *a, struct store_folder *f,
    struct store_message **messages_r, size_t *count_r, uint64_t *changes_r);

/* The bytes of a message. Counted: readable after somebody else has expunged it. */
struct store_text {
	struct slice bytes;
};
enum store_status store_text_open(
    struct store_folder *f, uint32_t uid, const struct store_text **text_r);
/* *text becomes NULL; NULL is accepted. */
void store_text_close(const struct store_text **text);

/* What goes in. */
struct store_arrival {
	struct slice bytes; /* copied */
	uint32_t flags;	    /* keywords are the folder's own, from store_keyword() */
	int64_t date_s;	    /* 0: now */
};

/*
 * Into a folder by name, which is made when it is missing: what SMTP does. When it says OK the
 * message is as durable as the store can make it. uid_r may be NULL.
 */
enum store_status store_deliver(struct store_account *account, struct slice folder,
    const struct store_arrival *arrival, uint32_t *uid_r);

/* Into an open folder (APPEND). */
enum store_status store_append(
    struct store_folder *f, const struct store_arrival *arrival, uint32_t *uid_r);

/* uids: rising. A message that is gone is left out silently; *copies_r (arena; may be NULL) has
 * the new UID of each, 0 for those. Keywords go along by name. All or nothing. Both folders are of
 * one account. */
enum store_status store_copy(struct arena *a, struct store_folder *from, const uint32_t *uids,
    size_t count, struct store_folder *to, uint32_t **copies_r);
enum store_status store_move(struct arena *a, struct store_folder *from, const uint32_t *uids,
    size_t count, struct store_folder *to, uint32_t **copies_r);

enum store_change { STORE_FLAGS_SET, STORE_FLAGS_ADD, STORE_FLAGS_REMOVE };

/* Messages that are gone are left out. STORE_FAILED: those before the one that failed have changed.
 */
enum store_status store_change_flags(struct store_folder *f, const uint32_t *uids, size_t count,
    enum store_change change, uint32_t flags);

/* Remove for good, whatever their flags say: the caller has looked for \Deleted. */
enum store_status store_expunge(struct store_folder *f, const uint32_t *uids, size_t count);

/* ---- waiting (IDLE) ---- */

/*
 * A descriptor that becomes readable when the folder changes: for stream_wait(). -1 when there is
 * none to be had. Changes before the watch are not told: take the listing afterwards.
 */
int store_watch_open(struct store_folder *f);
/* Take the news off, before the listing is taken. */
void store_watch_clear(int watch);
void store_watch_close(struct store_folder *f, int watch);

/* Wait until changes differs from seen, or for timeout_ms. True if it does, or the folder is gone.
 */
bool store_wait(struct store_folder *f, uint64_t seen, uint32_t timeout_ms);

#endif
