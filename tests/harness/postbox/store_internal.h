/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         store_internal - what the files of the store share
 * DESCRIPTION  store.c keeps accounts and folders, store_messages.c what is in them, and a backend
 *              keeps the bytes: store_memory.c, or store_maildir.c which makes them outlive us.
 *              The list of messages is in memory either way.
 *              MT: all members of a folder are guarded by its account's lock; backend calls are
 *              made with it held, but for stage() and unstage().
 */
#ifndef POSTBOX_STORE_INTERNAL_H
#define POSTBOX_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/harness/postbox/limits.h"
#include "tests/harness/postbox/store.h"

struct counted_text {
	struct store_text text; /* first: the two are the same address */
	atomic_size_t refs;
	char bytes[];
};

/* A message as the store knows it. */
struct stored {
	struct store_message message;
	struct counted_text *text; /* memory: the bytes; maildir: NULL */
	char *file; /* maildir: path below the folder, "new/..." or "cur/..."; memory: NULL */
};

struct store_folder {
	struct store_account *account;
	char *name;
	size_t refs; /* one is the account's, until the folder is deleted */
	bool dead;
	uint32_t uid_validity, uid_next;
	uint32_t first_recent; /* messages from here on are nobody's \Recent yet */
	struct stored *messages;
	size_t count, size, bytes;
	uint64_t changes;
	char *keywords[POSTBOX_KEYWORDS];
	size_t keyword_count;
	int *watches;
	size_t watch_count;
	pthread_cond_t changed;
};

struct store_account {
	struct store *store;
	char *user;
	pthread_mutex_t lock;
	struct store_folder **folders; /* INBOX first, then by name */
	size_t folder_count;
};

struct store_backend;

struct store {
	struct store_options options;
	const struct store_backend *backend;
	char *maildir;
	struct store_account **accounts;
	size_t account_count;
	atomic_size_t bytes;
	atomic_uint_fast64_t serial; /* for names that must be unique */
	atomic_uint_fast32_t uid_validity;
};

/* 0 or -1 where nothing else is said; -1 was logged. */
struct store_backend {
	/* Add the folders of an account with their messages; INBOX is there already. */
	int (*load)(struct store_account *account);
	/* Can it be a folder's name here? */
	bool (*name_fits)(struct slice name);
	int (*folder_make)(struct store_folder *f);
	int (*folder_remove)(struct store_folder *f);
	int (*folder_rename)(struct store_folder *f, const char *to);
	/* Put the bytes where commit() needs a moment only. MT: without the lock. */
	int (*stage)(
	    struct store_account *account, struct slice bytes, int64_t date_s, struct stored *m);
	void (*unstage)(struct store_account *account, struct stored *m);
	/* m has its UID and flags: when this returns 0 it will be there after a crash. */
	int (*commit)(struct store_folder *f, struct stored *m);
	/* Flags changed, or the message was seen by a session (then it leaves new/). */
	int (*update)(struct store_folder *f, struct stored *m);
	int (*remove)(struct store_folder *f, struct stored *m);
	int (*keywords)(struct store_folder *f);
	/* NULL when it can't be read. Counted. */
	struct counted_text *(*read)(struct store_folder *f, const struct stored *m);
};

extern const struct store_backend store_memory;
extern const struct store_backend store_maildir;

/* A text with room for len bytes, count 1. */
struct counted_text *text_new(size_t len);

/* With the lock held. */
struct store_folder *folder_find(struct store_account *account, struct slice name);
struct store_folder *folder_add(struct store_account *account, struct slice name);
/* The folder and those above it, made where they are missing. */
enum store_status folder_make(
    struct store_account *account, struct slice name, struct store_folder **folder_r);
void folder_unref(struct store_folder *f);
void folder_changed(struct store_folder *f);
/* Append to the list in memory; m is copied. */
void folder_keep(struct store_folder *f, const struct stored *m);
/* All messages of one folder into another (RENAME INBOX). */
enum store_status folder_pour(struct store_folder *from, struct store_folder *to);
void stored_fini(struct stored *m);
uint32_t store_new_uid_validity(struct store *s);

static inline void
account_lock(struct store_account *account)
{
	(void)pthread_mutex_lock(&account->lock);
}

static inline void
account_unlock(struct store_account *account)
{
	(void)pthread_mutex_unlock(&account->lock);
}

#endif
