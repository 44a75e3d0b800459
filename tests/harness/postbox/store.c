/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         store - accounts, folders, keywords and waiting; messages are in store_messages.c
 */
#include "tests/harness/postbox/store.h"

#include <sys/eventfd.h>
#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "policy/base/bug.h"
#include "tests/harness/postbox/store_internal.h"

#define INBOX SLICE("INBOX")

ENUMTAB_WORDS(store_status_text, enum store_status, STORE_STATUSES)

static char *
heap_slice(struct slice s)
{
	char *copy = heap_alloc(s.len + 1, 1);

	if (s.len > 0)
		memcpy(copy, s.p, s.len);
	return copy;
}

static void *
grow(void *array, size_t count, size_t size)
{
	void *bigger = reallocarray(array, count, size);

	if (bigger == NULL)
		out_of_memory(count * size);
	return bigger;
}

/* ---- names ---- */

static bool
is_inbox(struct slice name)
{
	return slice_equal_nocase(name, INBOX);
}

/* Is name the folder above, or far above, other? */
static bool
is_above(struct slice name, struct slice other)
{
	return other.len > name.len && other.p[name.len] == '/' && slice_starts(other, name);
}

/* Parts between slashes, none empty. IMAP's wildcards could not be told from a pattern. */
static bool
name_is_good(const struct store_account *account, struct slice name)
{
	if (name.len == 0 || name.len > POSTBOX_FOLDER_NAME_BYTES)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c < 0x20 || c == 0x7f || c == '*' || c == '%' || c == '\\')
			return false;
		if (c == '/' && (i == 0 || i + 1 == name.len || name.p[i - 1] == '/'))
			return false;
	}
	return account->store->backend->name_fits(name);
}

/* ---- folders, with the lock held ---- */

struct store_folder *
folder_find(struct store_account *account, struct slice name)
{
	for (size_t i = 0; i < account->folder_count; i++) {
		struct store_folder *f = account->folders[i];

		if (slice_equal(slice_str(f->name), name) ||
		    (i == 0 && is_inbox(name))) /* INBOX is always the first */
			return f;
	}
	return NULL;
}

/* Where name belongs in the order. */
static size_t
folder_place(const struct store_account *account, const char *name)
{
	size_t i = account->folder_count == 0 ? 0 : 1;

	while (i < account->folder_count && strcmp(account->folders[i]->name, name) < 0)
		i++;
	return i;
}

static void
folder_insert(struct store_account *account, struct store_folder *f)
{
	size_t at = folder_place(account, f->name);

	account->folders = grow(
	    account->folders, account->folder_count + 1, sizeof(*account->folders));
	memmove(account->folders + at + 1, account->folders + at,
	    (account->folder_count - at) * sizeof(*account->folders));
	account->folders[at] = f;
	account->folder_count++;
}

static void
folder_take_out(struct store_account *account, const struct store_folder *f)
{
	size_t at = 0;

	while (account->folders[at] != f)
		at++;
	account->folder_count--;
	memmove(account->folders + at, account->folders + at + 1,
	    (account->folder_count - at) * sizeof(*account->folders));
}

uint32_t
store_new_uid_validity(struct store *s)
{
	/* Larger than any before (RFC 3501 2.3.1.1): the time, or the last one and a bit more when
	 * two are wanted in a second. */
	uint32_t now = (uint32_t)s->options.now_s();
	uint_fast32_t last = atomic_load(&s->uid_validity);
	uint_fast32_t next;

	do {
		next = now > last ? now : last + 1;
	} while (!atomic_compare_exchange_weak(&s->uid_validity, &last, next));
	return (uint32_t)next;
}

struct store_folder *
folder_add(struct store_account *account, struct slice name)
{
	struct store_folder *f = heap_alloc(1, sizeof(*f));
	pthread_condattr_t monotonic;

	f->account = account;
	f->name = heap_slice(name);
	f->refs = 1;
	f->uid_validity = store_new_uid_validity(account->store);
	f->uid_next = 1;
	f->first_recent = 1;
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&f->changed, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	folder_insert(account, f);
	return f;
}

void
folder_unref(struct store_folder *f)
{
	if (--f->refs > 0)
		return;
	for (size_t i = 0; i < f->count; i++)
		stored_fini(&f->messages[i]);
	for (size_t i = 0; i < f->keyword_count; i++)
		free(f->keywords[i]);
	(void)pthread_cond_destroy(&f->changed);
	free(f->messages);
	free(f->watches);
	free(f->name);
	free(f);
}

void
folder_changed(struct store_folder *f)
{
	static const uint64_t one = 1;

	f->changes++;
	(void)pthread_cond_broadcast(&f->changed);
	for (size_t i = 0; i < f->watch_count; i++) {
		/* A counter that is full is readable already: nothing is lost when this fails. */
		ssize_t written = write(f->watches[i], &one, sizeof(one));

		(void)written;
	}
}

static enum store_status
folder_make_one(struct store_account *account, struct slice name, struct store_folder **folder_r)
{
	struct store_folder *f;

	if (account->folder_count >= POSTBOX_FOLDERS)
		return STORE_LIMIT;
	f = folder_add(account, name);
	if (account->store->backend->folder_make(f) == -1) {
		folder_take_out(account, f);
		folder_unref(f);
		return STORE_FAILED;
	}
	*folder_r = f;
	return STORE_OK;
}

enum store_status
folder_make(struct store_account *account, struct slice name, struct store_folder **folder_r)
{
	if (!name_is_good(account, name))
		return STORE_BAD_NAME;
	/* RFC 3501 6.3.3: superior names SHOULD be made too. */
	for (size_t i = 0; i <= name.len; i++) {
		struct slice part = slice_sub(name, 0, i);
		enum store_status status = STORE_OK;

		if (i < name.len && name.p[i] != '/')
			continue;
		*folder_r = folder_find(account, part);
		if (*folder_r == NULL)
			status = folder_make_one(account, part, folder_r);
		if (status != STORE_OK)
			return status;
	}
	return STORE_OK;
}

/* ---- folders, for everybody ---- */

size_t
store_folders(struct arena *a, struct store_account *account, struct slice **names_r)
{
	size_t count;

	account_lock(account);
	count = account->folder_count;
	*names_r = arena_array(a, count, sizeof(**names_r));
	for (size_t i = 0; i < count; i++)
		(*names_r)[i] = arena_copy(a, slice_str(account->folders[i]->name));
	account_unlock(account);
	return count;
}

enum store_status
store_folder_create(struct store_account *account, struct slice name)
{
	enum store_status status = STORE_EXISTS;
	struct store_folder *f;

	account_lock(account);
	if (folder_find(account, name) == NULL)
		status = folder_make(account, name, &f);
	account_unlock(account);
	return status;
}

enum store_status
store_folder_delete(struct store_account *account, struct slice name)
{
	enum store_status status = STORE_OK;
	struct store_folder *f;

	if (is_inbox(name)) /* RFC 3501 6.3.4: an error */
		return STORE_BAD_NAME;
	account_lock(account);
	f = folder_find(account, name);
	if (f == NULL) {
		status = STORE_NO_FOLDER;
	} else if (account->store->backend->folder_remove(f) == -1) {
		status = STORE_FAILED;
	} else {
		(void)atomic_fetch_sub(&account->store->bytes, f->bytes);
		f->dead = true;
		folder_take_out(account, f);
		folder_changed(f);
		folder_unref(f);
	}
	account_unlock(account);
	return status;
}

/* f and, by the same change of its beginning, nothing else. */
static enum store_status
rename_one(struct store_folder *f, struct slice to)
{
	struct store_account *account = f->account;
	char *name;

	if (!name_is_good(account, to))
		return STORE_BAD_NAME;
	name = heap_slice(to);
	if (account->store->backend->folder_rename(f, name) == -1) {
		free(name);
		return STORE_FAILED;
	}
	folder_take_out(account, f);
	free(f->name);
	f->name = name;
	folder_insert(account, f);
	return STORE_OK;
}

/* The next folder below name. Renaming takes it away from there, so this comes to an end. */
static struct store_folder *
folder_below(const struct store_account *account, struct slice name)
{
	for (size_t i = 1; i < account->folder_count; i++)
		if (is_above(name, slice_str(account->folders[i]->name)))
			return account->folders[i];
	return NULL;
}

static enum store_status
rename_all(struct arena *a, struct store_folder *f, struct slice from, struct slice to)
{
	struct store_account *account = f->account;
	size_t cut = slice_find_last(to, '/');
	struct store_folder *parent, *below;
	enum store_status status = STORE_OK;

	if (cut != SLICE_NONE)
		status = folder_make(account, slice_sub(to, 0, cut), &parent);
	if (status == STORE_OK)
		status = rename_one(f, to);
	while (status == STORE_OK && (below = folder_below(account, from)) != NULL)
		status = rename_one(below,
		    slice_str(arena_printf(a, "%.*s%s", SLICE_ARG(to), below->name + from.len)));
	return status;
}

enum store_status
store_folder_rename(struct store_account *account, struct slice from, struct slice to)
{
	struct arena *a = arena_new(POSTBOX_CONNECTION_MEMORY);
	enum store_status status;
	struct store_folder *f, *target;

	account_lock(account);
	f = folder_find(account, from);
	if (f == NULL)
		status = STORE_NO_FOLDER;
	else if (folder_find(account, to) != NULL)
		status = STORE_EXISTS;
	else if (is_above(from, to) && !is_inbox(from)) /* into itself */
		status = STORE_BAD_NAME;
	else if (is_inbox(from)) {
		status = folder_make(account, to, &target);
		if (status == STORE_OK)
			status = folder_pour(f, target);
	} else
		status = rename_all(a, f, arena_copy(a, from), to);
	account_unlock(account);
	arena_free(&a);
	return status;
}

enum store_status
store_folder_open(struct store_account *account, struct slice name, struct store_folder **folder_r)
{
	struct store_folder *f;

	account_lock(account);
	f = folder_find(account, name);
	if (f != NULL)
		f->refs++;
	account_unlock(account);
	*folder_r = f;
	return f == NULL ? STORE_NO_FOLDER : STORE_OK;
}

void
store_folder_close(struct store_folder **f)
{
	struct store_account *account;

	if (*f == NULL)
		return;
	account = (*f)->account;
	account_lock(account);
	folder_unref(*f);
	account_unlock(account);
	*f = NULL;
}

/* ---- keywords ---- */

enum store_status
store_keyword(struct store_folder *f, struct slice keyword, bool make, uint32_t *flag_r)
{
	enum store_status status = STORE_OK;
	size_t i = 0;

	*flag_r = 0;
	account_lock(f->account);
	while (i < f->keyword_count && !slice_equal_nocase(slice_str(f->keywords[i]), keyword))
		i++;
	if (f->dead)
		status = STORE_NO_FOLDER;
	else if (i < f->keyword_count)
		*flag_r = STORE_KEYWORD(i);
	else if (make && (i == POSTBOX_KEYWORDS || keyword.len > POSTBOX_KEYWORD_BYTES))
		status = STORE_LIMIT;
	else if (make) {
		f->keywords[f->keyword_count++] = heap_slice(keyword);
		if (f->account->store->backend->keywords(f) == 0)
			*flag_r = STORE_KEYWORD(i);
		else {
			free(f->keywords[--f->keyword_count]);
			status = STORE_FAILED;
		}
	}
	account_unlock(f->account);
	return status;
}

enum store_status
store_keywords(struct arena *a, struct store_folder *f, struct slice **names_r, size_t *count_r)
{
	account_lock(f->account);
	*count_r = f->keyword_count;
	*names_r = arena_array(a, f->keyword_count, sizeof(**names_r));
	for (size_t i = 0; i < f->keyword_count; i++)
		(*names_r)[i] = arena_copy(a, slice_str(f->keywords[i]));
	account_unlock(f->account);
	return STORE_OK;
}

/* ---- waiting ---- */

int
store_watch_open(struct store_folder *f)
{
	int watch = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (watch == -1)
		return -1;
	account_lock(f->account);
	f->watches = grow(f->watches, f->watch_count + 1, sizeof(*f->watches));
	f->watches[f->watch_count++] = watch;
	account_unlock(f->account);
	return watch;
}

void
store_watch_clear(int watch)
{
	uint64_t news;
	ssize_t n = read(watch, &news, sizeof(news));

	(void)n; /* no news: as well */
}

void
store_watch_close(struct store_folder *f, int watch)
{
	if (watch == -1)
		return;
	account_lock(f->account);
	for (size_t i = 0; i < f->watch_count; i++)
		if (f->watches[i] == watch) {
			f->watches[i] = f->watches[--f->watch_count];
			break;
		}
	account_unlock(f->account);
	(void)close(watch);
}

bool
store_wait(struct store_folder *f, uint64_t seen, uint32_t timeout_ms)
{
	struct timespec until;
	int error = 0;
	bool news;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	account_lock(f->account);
	while (f->changes == seen && !f->dead && error != ETIMEDOUT)
		error = pthread_cond_timedwait(&f->changed, &f->account->lock, &until);
	news = f->changes != seen || f->dead;
	account_unlock(f->account);
	return news;
}

/* ---- the store ---- */

static int64_t
wall_clock_s(void)
{
	return (int64_t)time(NULL);
}

struct store *
store_new(struct arena *a, const struct store_options *options, const char **error_r)
{
	struct store *s;

	if (options->maildir != NULL && mkdir(options->maildir, 0700) == -1 && errno != EEXIST) {
		*error_r = arena_printf(a, "%s: %s", options->maildir, strerror(errno));
		return NULL;
	}
	s = heap_alloc(1, sizeof(*s));
	s->options = *options;
	if (s->options.now_s == NULL)
		s->options.now_s = wall_clock_s;
	s->backend = options->maildir == NULL ? &store_memory : &store_maildir;
	s->maildir = options->maildir == NULL ? NULL : heap_copy(options->maildir);
	return s;
}

static void
account_free(struct store_account *account)
{
	for (size_t i = 0; i < account->folder_count; i++)
		folder_unref(account->folders[i]);
	(void)pthread_mutex_destroy(&account->lock);
	free(account->folders);
	free(account->user);
	free(account);
}

void
store_free(struct store **s)
{
	if (*s == NULL)
		return;
	for (size_t i = 0; i < (*s)->account_count; i++)
		account_free((*s)->accounts[i]);
	free((*s)->accounts);
	free((*s)->maildir);
	free(*s);
	*s = NULL;
}

struct store_account *
store_account_add(struct arena *a, struct store *s, struct slice user, const char **error_r)
{
	struct store_account *account = heap_alloc(1, sizeof(*account));
	struct store_folder *inbox;

	account->store = s;
	account->user = heap_slice(user);
	(void)pthread_mutex_init(&account->lock, NULL);
	inbox = folder_add(account, INBOX);
	if (s->backend->folder_make(inbox) == -1 || s->backend->load(account) == -1) {
		*error_r = arena_printf(
		    a, "%s: can't open the mail of %s", s->maildir, account->user);
		account_free(account);
		return NULL;
	}
	s->accounts = grow(s->accounts, s->account_count + 1, sizeof(struct store_account *));
	s->accounts[s->account_count++] = account;
	return account;
}

struct store_account *
store_account(struct store *s, struct slice user)
{
	for (size_t i = 0; i < s->account_count; i++)
		if (slice_equal_nocase(slice_str(s->accounts[i]->user), user))
			return s->accounts[i];
	return NULL;
}
