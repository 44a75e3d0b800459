/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         store_messages - what is in a folder: arrivals, copies, flags, removal
 */
#include <stdlib.h>
#include <string.h>

#include "policy/base/bug.h"
#include "tests/harness/postbox/store.h"
#include "tests/harness/postbox/store_internal.h"

/* ---- the bytes ---- */

struct counted_text *
text_new(size_t len)
{
	struct counted_text *t = heap_alloc(1, sizeof(*t) + len);

	t->text.bytes = slice_of(t->bytes, len);
	atomic_init(&t->refs, 1);
	return t;
}

void
store_text_close(const struct store_text **text)
{
	struct counted_text *t = (struct counted_text *)(uintptr_t)*text;

	if (t == NULL)
		return;
	if (atomic_fetch_sub(&t->refs, 1) == 1)
		free(t);
	*text = NULL;
}

void
stored_fini(struct stored *m)
{
	if (m->text != NULL) {
		const struct store_text *text = &m->text->text;

		store_text_close(&text);
	}
	free(m->file);
	m->text = NULL;
	m->file = NULL;
}

/* ---- the list, with the lock held ---- */

/* Index of the first message whose UID is at least uid: the list is in their order. */
static size_t
place_of(const struct store_folder *f, uint32_t uid)
{
	size_t low = 0, high = f->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (f->messages[middle].message.uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct stored *
message_find(struct store_folder *f, uint32_t uid)
{
	size_t at = place_of(f, uid);

	return at < f->count && f->messages[at].message.uid == uid ? &f->messages[at] : NULL;
}

void
folder_keep(struct store_folder *f, const struct stored *m)
{
	if (f->count == f->size) {
		size_t size = f->size == 0 ? 16 : f->size * 2;
		struct stored *bigger = reallocarray(f->messages, size, sizeof(*bigger));

		if (bigger == NULL)
			out_of_memory(size * sizeof(*bigger));
		f->messages = bigger;
		f->size = size;
	}
	f->messages[f->count++] = *m;
	f->bytes += m->message.bytes;
}

static int
message_remove(struct store_folder *f, struct stored *m)
{
	size_t at = (size_t)(m - f->messages);

	if (f->account->store->backend->remove(f, m) == -1)
		return -1;
	f->bytes -= m->message.bytes;
	(void)atomic_fetch_sub(&f->account->store->bytes, m->message.bytes);
	stored_fini(m);
	f->count--;
	memmove(m, m + 1, (f->count - at) * sizeof(*m));
	return 0;
}

/* ---- arrivals ---- */

/* Room for bytes more, taken if it is there. MT: no lock needed. */
static bool
reserve(struct store *s, size_t bytes)
{
	size_t used = atomic_load(&s->bytes);

	do {
		if (s->options.max_bytes < bytes || used > s->options.max_bytes - bytes)
			return false;
	} while (!atomic_compare_exchange_weak(&s->bytes, &used, used + bytes));
	return true;
}

/* A staged message becomes one of the folder's. With the lock held. */
static enum store_status
admit(struct store_folder *f, struct stored *m)
{
	if (f->dead)
		return STORE_NO_FOLDER;
	if (f->count >= POSTBOX_FOLDER_MESSAGES || f->uid_next == UINT32_MAX)
		return STORE_FULL;
	m->message.uid = f->uid_next;
	/* Even if this fails the UID is not given again: a trace of it may be on disk. */
	f->uid_next++;
	if (f->account->store->backend->commit(f, m) == -1)
		return STORE_FAILED;
	folder_keep(f, m);
	return STORE_OK;
}

/* Where an arrival goes: a folder, or a name to be made one. */
struct destination {
	struct store_account *account;
	struct store_folder *folder; /* NULL: by name */
	struct slice name;
};

static enum store_status
admit_at(const struct destination *to, struct stored *m)
{
	struct store_folder *f = to->folder;
	enum store_status status = STORE_OK;

	account_lock(to->account);
	if (f == NULL && (f = folder_find(to->account, to->name)) == NULL)
		status = folder_make(to->account, to->name, &f);
	if (status == STORE_OK)
		status = admit(f, m);
	if (status == STORE_OK)
		folder_changed(f);
	account_unlock(to->account);
	return status;
}

static enum store_status
arrive(const struct destination *to, const struct store_arrival *arrival, uint32_t *uid_r)
{
	struct store *s = to->account->store;
	struct stored m = { 0 };
	enum store_status status;

	if (arrival->bytes.len > s->options.max_message_bytes || !reserve(s, arrival->bytes.len))
		return STORE_FULL;
	m.message.flags = arrival->flags;
	m.message.date_s = arrival->date_s == 0 ? s->options.now_s() : arrival->date_s;
	m.message.bytes = arrival->bytes.len;
	/* The slow part, the disk, holds up nobody. */
	if (s->backend->stage(to->account, arrival->bytes, m.message.date_s, &m) == -1) {
		status = STORE_FAILED;
	} else {
		status = admit_at(to, &m);
		if (status != STORE_OK)
			s->backend->unstage(to->account, &m);
	}
	if (status != STORE_OK)
		(void)atomic_fetch_sub(&s->bytes, arrival->bytes.len);
	else if (uid_r != NULL)
		*uid_r = m.message.uid;
	return status;
}

enum store_status
store_deliver(struct store_account *account, struct slice folder,
    const struct store_arrival *arrival, uint32_t *uid_r)
{
	struct destination to = { .account = account, .name = folder };

	return arrive(&to, arrival, uid_r);
}

enum store_status
store_append(struct store_folder *f, const struct store_arrival *arrival, uint32_t *uid_r)
{
	struct destination to = { .account = f->account, .folder = f };

	return arrive(&to, arrival, uid_r);
}

/* ---- looking ---- */

enum store_status
store_folder_state(struct store_folder *f, struct store_folder_state *out)
{
	enum store_status status;

	memset(out, 0, sizeof(*out));
	account_lock(f->account);
	status = f->dead ? STORE_NO_FOLDER : STORE_OK;
	out->uid_validity = f->uid_validity;
	out->uid_next = f->uid_next;
	out->messages = f->count;
	out->recent = f->count - place_of(f, f->first_recent);
	out->bytes = f->bytes;
	out->changes = f->changes;
	for (size_t i = 0; i < f->count; i++)
		out->unseen += (f->messages[i].message.flags & STORE_SEEN) == 0;
	account_unlock(f->account);
	return status;
}

enum store_status
store_claim_recent(struct store_folder *f, bool claim, uint32_t *first_uid_r)
{
	enum store_status status;

	account_lock(f->account);
	status = f->dead ? STORE_NO_FOLDER : STORE_OK;
	*first_uid_r = f->first_recent;
	if (status == STORE_OK && claim) {
		/* What can't be moved to cur/ is recent once more after a restart: no harm. */
		for (size_t i = place_of(f, f->first_recent); i < f->count; i++)
			(void)f->account->store->backend->update(f, &f->messages[i]);
		f->first_recent = f->uid_next;
	}
	account_unlock(f->account);
	return status;
}

enum store_status
store_list(struct arena *a, struct store_folder *f, struct store_message **messages_r,
    size_t *count_r, uint64_t *changes_r)
{
	enum store_status status;

	account_lock(f->account);
	status = f->dead ? STORE_NO_FOLDER : STORE_OK;
	*count_r = status == STORE_OK ? f->count : 0;
	*messages_r = arena_array(a, *count_r, sizeof(**messages_r));
	for (size_t i = 0; i < *count_r; i++)
		(*messages_r)[i] = f->messages[i].message;
	*changes_r = f->changes;
	account_unlock(f->account);
	return status;
}

enum store_status
store_text_open(struct store_folder *f, uint32_t uid, const struct store_text **text_r)
{
	enum store_status status = STORE_GONE;
	struct counted_text *text = NULL;
	const struct stored *m;

	account_lock(f->account);
	m = f->dead ? NULL : message_find(f, uid);
	if (m != NULL) {
		text = f->account->store->backend->read(f, m);
		status = text == NULL ? STORE_FAILED : STORE_OK;
	}
	account_unlock(f->account);
	*text_r = text == NULL ? NULL : &text->text;
	return status;
}

/* ---- copies, with the lock held ---- */

/* The flags of a message in another folder: its keywords go by name. One for which there is no
 * room there is left behind. */
static uint32_t
flags_for(struct store_folder *from, uint32_t flags, struct store_folder *to)
{
	uint32_t out = flags & STORE_SYSTEM_FLAGS;

	for (size_t i = 0; i < from->keyword_count; i++) {
		size_t k = 0;

		if ((flags & STORE_KEYWORD(i)) == 0)
			continue;
		while (k < to->keyword_count && strcasecmp(to->keywords[k], from->keywords[i]) != 0)
			k++;
		if (k == POSTBOX_KEYWORDS)
			continue;
		if (k == to->keyword_count) {
			to->keywords[to->keyword_count++] = heap_copy(from->keywords[i]);
			(void)to->account->store->backend->keywords(to);
		}
		out |= STORE_KEYWORD(k);
	}
	return out;
}

static enum store_status
copy_one(
    struct store_folder *from, const struct stored *m, struct store_folder *to, uint32_t *uid_r)
{
	struct store *s = from->account->store;
	struct stored copy = { .message = m->message };
	struct counted_text *counted = s->backend->read(from, m);
	const struct store_text *text;
	enum store_status status = STORE_FAILED;

	if (counted == NULL)
		return STORE_FAILED;
	text = &counted->text;
	copy.message.flags = flags_for(from, m->message.flags, to);
	copy.message.bytes = text->bytes.len;
	if (!reserve(s, text->bytes.len)) {
		store_text_close(&text);
		return STORE_FULL;
	}
	if (s->backend->stage(from->account, text->bytes, m->message.date_s, &copy) == 0) {
		status = admit(to, &copy);
		if (status != STORE_OK)
			s->backend->unstage(from->account, &copy);
	}
	if (status != STORE_OK)
		(void)atomic_fetch_sub(&s->bytes, text->bytes.len);
	*uid_r = copy.message.uid;
	store_text_close(&text);
	return status;
}

static void
remove_all(struct store_folder *f, const uint32_t *uids, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct stored *m = uids[i] == 0 ? NULL : message_find(f, uids[i]);

		if (m != NULL)
			(void)message_remove(f, m);
	}
}

/* copies[count] gets the new UIDs, 0 for what is gone. All or nothing. */
static enum store_status
copy_all(struct store_folder *from, const uint32_t *uids, size_t count, struct store_folder *to,
    uint32_t *copies)
{
	enum store_status status = STORE_OK;
	bool any = false;

	for (size_t i = 0; i < count && status == STORE_OK; i++) {
		const struct stored *m = message_find(from, uids[i]);
		uint32_t uid = 0;

		if (m == NULL)
			continue;
		status = copy_one(from, m, to, &uid);
		if (status == STORE_OK) {
			copies[i] = uid;
			any = true;
		}
	}
	if (status != STORE_OK) {
		remove_all(to, copies, count);
		memset(copies, 0, count * sizeof(*copies));
	}
	if (any)
		folder_changed(to);
	return status;
}

static enum store_status
move_all(struct store_folder *from, const uint32_t *uids, size_t count, struct store_folder *to,
    uint32_t *copies)
{
	enum store_status status = copy_all(from, uids, count, to, copies);

	if (status == STORE_OK) {
		remove_all(from, uids, count);
		folder_changed(from);
	}
	return status;
}

enum store_status
folder_pour(struct store_folder *from, struct store_folder *to)
{
	size_t count = from->count;
	uint32_t *uids = heap_alloc(2 * count + 1, sizeof(*uids));
	enum store_status status;

	for (size_t i = 0; i < count; i++)
		uids[i] = from->messages[i].message.uid;
	status = move_all(from, uids, count, to, uids + count);
	free(uids);
	return status;
}

/* ---- copies, for everybody ---- */

static enum store_status
transfer(struct arena *a, struct store_folder *from, const uint32_t *uids, size_t count,
    struct store_folder *to, uint32_t **copies_r, bool move)
{
	uint32_t *copies = arena_array(a, count, sizeof(*copies));
	enum store_status status;

	if (from->account != to->account)
		bug("store: copy from %s to %s", from->account->user, to->account->user);
	account_lock(from->account);
	if (from->dead || to->dead)
		status = STORE_NO_FOLDER;
	else if (move)
		status = move_all(from, uids, count, to, copies);
	else
		status = copy_all(from, uids, count, to, copies);
	account_unlock(from->account);
	if (copies_r != NULL)
		*copies_r = copies;
	return status;
}

enum store_status
store_copy(struct arena *a, struct store_folder *from, const uint32_t *uids, size_t count,
    struct store_folder *to, uint32_t **copies_r)
{
	return transfer(a, from, uids, count, to, copies_r, false);
}

enum store_status
store_move(struct arena *a, struct store_folder *from, const uint32_t *uids, size_t count,
    struct store_folder *to, uint32_t **copies_r)
{
	return transfer(a, from, uids, count, to, copies_r, true);
}

/* ---- flags and removal ---- */

static uint32_t
flags_after(uint32_t before, enum store_change change, uint32_t flags)
{
	switch (change) {
	case STORE_FLAGS_SET:
		return flags;
	case STORE_FLAGS_ADD:
		return before | flags;
	case STORE_FLAGS_REMOVE:
		return before & ~flags;
	}
	bug("store_change: %d", (int)change);
}

enum store_status
store_change_flags(struct store_folder *f, const uint32_t *uids, size_t count,
    enum store_change change, uint32_t flags)
{
	enum store_status status = STORE_OK;
	bool any = false;

	account_lock(f->account);
	if (f->dead)
		status = STORE_NO_FOLDER;
	for (size_t i = 0; i < count && status == STORE_OK; i++) {
		struct stored *m = message_find(f, uids[i]);
		uint32_t before = m == NULL ? 0 : m->message.flags;
		uint32_t after = flags_after(before, change, flags);

		if (m == NULL || after == before)
			continue;
		m->message.flags = after;
		if (f->account->store->backend->update(f, m) == -1) {
			m->message.flags = before;
			status = STORE_FAILED;
			continue;
		}
		any = true;
	}
	if (any)
		folder_changed(f);
	account_unlock(f->account);
	return status;
}

enum store_status
store_expunge(struct store_folder *f, const uint32_t *uids, size_t count)
{
	enum store_status status = STORE_OK;
	size_t before;

	account_lock(f->account);
	before = f->count;
	if (f->dead)
		status = STORE_NO_FOLDER;
	for (size_t i = 0; i < count && status == STORE_OK; i++) {
		struct stored *m = message_find(f, uids[i]);

		if (m != NULL && message_remove(f, m) == -1)
			status = STORE_FAILED;
	}
	if (f->count != before)
		folder_changed(f);
	account_unlock(f->account);
	return status;
}
