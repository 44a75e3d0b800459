/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         imap_store - messages that change: flags, copies, removal, and what is told of it
 */
#include <string.h>

#include "tests/harness/postbox/imap.h"

/* ---- flags ---- */

static const struct system_flag {
	const char *name;
	uint32_t flag;
} system_flags[] = {
	{ "\\Answered", STORE_ANSWERED },
	{ "\\Flagged", STORE_FLAGGED },
	{ "\\Deleted", STORE_DELETED },
	{ "\\Seen", STORE_SEEN },
	{ "\\Draft", STORE_DRAFT },
};
#define SYSTEM_FLAG_COUNT (sizeof(system_flags) / sizeof(system_flags[0]))

/* Words in parentheses. */
struct words {
	struct stream *s;
	bool begun;
};

static void
word(struct words *w, struct slice text)
{
	stream_write(w->s, w->begun ? SLICE(" ") : SLICE("("));
	stream_write(w->s, text);
	w->begun = true;
}

static void
words_end(struct words *w)
{
	stream_write(w->s, w->begun ? SLICE(")") : SLICE("()"));
}

static void
write_flag_words(struct imap *p, uint32_t flags, struct words *w)
{
	struct slice *names;
	size_t count;

	for (size_t i = 0; i < SYSTEM_FLAG_COUNT; i++)
		if ((flags & system_flags[i].flag) != 0)
			word(w, slice_str(system_flags[i].name));
	if ((flags & STORE_KEYWORD_FLAGS) == 0 ||
	    store_keywords(p->c->scratch, p->folder, &names, &count) != STORE_OK)
		return;
	for (size_t i = 0; i < count; i++)
		if ((flags & STORE_KEYWORD(i)) != 0)
			word(w, names[i]);
}

void
imap_write_flags(struct imap *p, const struct store_message *m)
{
	struct words w = { .s = p->c->stream };

	if (m->uid >= p->first_recent)
		word(&w, SLICE("\\Recent"));
	write_flag_words(p, m->flags, &w);
	words_end(&w);
}

void
imap_tell_flags(struct imap *p)
{
	struct words w = { .s = p->c->stream };
	struct slice *names;
	size_t count;

	if (store_keywords(p->c->scratch, p->folder, &names, &count) != STORE_OK)
		return;
	p->keywords_told = count;
	stream_printf(p->c->stream, "* FLAGS ");
	write_flag_words(p, UINT32_MAX, &w);
	words_end(&w);
	stream_printf(p->c->stream, "\r\n* OK [PERMANENTFLAGS ");
	w.begun = false;
	if (!p->read_only) {
		write_flag_words(p, UINT32_MAX, &w);
		word(&w, SLICE("\\*"));
	}
	words_end(&w);
	stream_printf(p->c->stream, "] what stays\r\n");
}

/* ---- news ---- */

static void
tell_message_flags(struct imap *p, size_t i)
{
	stream_printf(p->c->stream, "* %zu FETCH (", i + 1);
	if (p->uid)
		stream_printf(p->c->stream, "UID %u ", p->messages[i].uid);
	stream_printf(p->c->stream, "FLAGS ");
	imap_write_flags(p, &p->messages[i]);
	stream_printf(p->c->stream, ")\r\n");
}

/* Messages of the session that a new listing has not. tell: say so; last first, so that the numbers
 * said are right as they stand. */
static size_t
gone(struct imap *p, const struct store_message *now, size_t count, bool tell)
{
	size_t found = 0, at = count;

	for (size_t i = p->count; i-- > 0;) {
		while (at > 0 && now[at - 1].uid > p->messages[i].uid)
			at--;
		if (at > 0 && now[at - 1].uid == p->messages[i].uid)
			continue;
		found++;
		if (tell)
			stream_printf(p->c->stream, "* %zu EXPUNGE\r\n", i + 1);
	}
	return found;
}

/* The folder itself is gone: all that is left to say is goodbye (RFC 2180 3.3). */
static void
folder_is_gone(struct imap *p)
{
	p->done = true;
	stream_printf(p->c->stream, "* BYE the folder was deleted\r\n");
}

/* The new listing is the session's; what is said is the difference. */
static void
adopt(struct imap *p, struct store_message *now, size_t count)
{
	const struct store_message *before = p->messages;
	size_t old_count = p->count - gone(p, now, count, true), old = 0;
	struct arena *arena = p->listing;

	p->listing = p->spare;
	p->spare = arena; /* before lives until the next listing */
	p->messages = now;
	for (size_t i = 0; i < old_count && i < count; i++) {
		while (before[old].uid != now[i].uid)
			old++;
		if (before[old].flags != now[i].flags)
			tell_message_flags(p, i);
	}
	p->count = count;
	if (count > old_count) {
		uint32_t first;
		size_t recent = 0;

		(void)store_claim_recent(p->folder, !p->read_only, &first);
		for (size_t i = 0; i < count; i++)
			recent += now[i].uid >= p->first_recent;
		stream_printf(p->c->stream, "* %zu EXISTS\r\n* %zu RECENT\r\n", count, recent);
	}
}

void
imap_news(struct imap *p, bool may_expunge)
{
	struct store_folder_state state;
	struct store_message *now;
	size_t count, keywords;
	struct slice *names;
	uint64_t changes;

	if (p->done)
		return;
	if (store_folder_state(p->folder, &state) != STORE_OK) {
		folder_is_gone(p);
		return;
	}
	if (state.changes == p->changes)
		return;
	arena_reset(p->spare);
	if (store_list(p->spare, p->folder, &now, &count, &changes) != STORE_OK) {
		folder_is_gone(p);
		return;
	}
	if (!may_expunge && gone(p, now, count, false) > 0)
		return; /* all of it later */
	if (store_keywords(p->c->scratch, p->folder, &names, &keywords) == STORE_OK &&
	    keywords > p->keywords_told)
		imap_tell_flags(p);
	p->changes = changes;
	adopt(p, now, count);
}

void
imap_take_flags(struct imap *p)
{
	struct store_message *now;
	size_t count, at = 0;
	uint64_t changes;

	arena_reset(p->spare);
	if (store_list(p->spare, p->folder, &now, &count, &changes) != STORE_OK)
		return;
	for (size_t i = 0; i < p->count; i++) {
		while (at < count && now[at].uid < p->messages[i].uid)
			at++;
		if (at < count && now[at].uid == p->messages[i].uid)
			p->messages[i].flags = now[at].flags;
	}
}

/* ---- which messages ---- */

/* The first index whose number, or UID, is at least n. */
static size_t
index_of(const struct imap *p, uint32_t n)
{
	size_t low = 0, high = p->count;

	if (!p->uid)
		return n - 1 < p->count ? n - 1 : p->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->messages[middle].uid < n)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int
imap_messages(struct imap *p, const struct imap_set *set, size_t **indexes_r, size_t *count_r)
{
	/* One up where a range begins, one down behind its end: long sets cost no more. */
	int32_t *step = arena_array(p->c->scratch, p->count + 1, sizeof(*step)), inside = 0;

	*count_r = 0;
	*indexes_r = arena_array(p->c->scratch, p->count, sizeof(**indexes_r));
	for (size_t i = 0; i < set->count; i++) {
		struct imap_range r = set->ranges[i];
		size_t low, high;

		if (!p->uid &&
		    ((r.low > p->count && r.low != UINT32_MAX) ||
			(r.high > p->count && r.high != UINT32_MAX))) {
			imap_bad(p, "there is no message of that number");
			return -1;
		}
		if (p->count == 0)
			continue;
		low = r.low == UINT32_MAX ? p->count - 1 : index_of(p, r.low);
		high = r.high == UINT32_MAX ? p->count : index_of(p, r.high + 1);
		/* RFC 3501 6.4.8: "559:*" has the last message, even if its UID is less. */
		if (r.high == UINT32_MAX && low == p->count)
			low--;
		if (low < high) {
			step[low]++;
			step[high]--;
		}
	}
	for (size_t i = 0; i < p->count; i++) {
		inside += step[i];
		if (inside > 0)
			(*indexes_r)[(*count_r)++] = i;
	}
	return 0;
}

uint32_t *
imap_uids(struct imap *p, const size_t *indexes, size_t count)
{
	uint32_t *uids = arena_array(p->c->scratch, count, sizeof(*uids));

	for (size_t i = 0; i < count; i++)
		uids[i] = p->messages[indexes[i]].uid;
	return uids;
}

/* ---- STORE ---- */

/* -1: answered. */
static int
change_read(struct imap *p, struct imap_lex *l, enum store_change *change_r, bool *silent_r)
{
	*change_r = STORE_FLAGS_SET;
	if (imap_take(l, '+'))
		*change_r = STORE_FLAGS_ADD;
	else if (imap_take(l, '-'))
		*change_r = STORE_FLAGS_REMOVE;
	if (!imap_take_word(l, "FLAGS")) {
		imap_bad(p, "STORE changes FLAGS");
		return -1;
	}
	*silent_r = imap_take_word(l, ".SILENT");
	imap_want(l, ' ');
	return 0;
}

enum store_status
imap_flag_list(struct imap_lex *l, struct store_folder *f, bool make, uint32_t *flags_r)
{
	bool list = imap_take(l, '(');
	enum store_status status = STORE_OK;

	*flags_r = 0;
	if (list && imap_take(l, ')'))
		return STORE_OK;
	do {
		bool system = imap_take(l, '\\');
		struct slice name = imap_atom(l);
		uint32_t flag = 0;

		for (size_t i = 0; system && i < SYSTEM_FLAG_COUNT; i++)
			if (slice_equal_nocase(name, slice_str(system_flags[i].name + 1)))
				flag = system_flags[i].flag;
		if (system && flag == 0)
			imap_fault(l, "no such flag"); /* \Recent can't be set either */
		else if (!system && name.len > POSTBOX_KEYWORD_BYTES)
			imap_fault(l, "keyword too long");
		else if (!system && l->fault == NULL && status == STORE_OK)
			status = store_keyword(f, name, make, &flag);
		*flags_r |= flag;
	} while (imap_take(l, ' '));
	if (list)
		imap_want(l, ')');
	return status;
}

void
imap_store(struct imap *p, struct imap_lex *l)
{
	enum store_change change;
	enum store_status status;
	struct imap_set set;
	size_t *indexes, count;
	uint32_t flags;
	bool silent;

	imap_want(l, ' ');
	imap_set_read(l, &set);
	imap_want(l, ' ');
	if (change_read(p, l, &change, &silent) == -1)
		return;
	if (p->read_only) {
		imap_no(p, "[READ-ONLY] the folder was opened with EXAMINE");
		return;
	}
	status = imap_flag_list(l, p->folder, change != STORE_FLAGS_REMOVE, &flags);
	if (!imap_complete(p, l) || imap_messages(p, &set, &indexes, &count) == -1)
		return;
	if (status == STORE_OK)
		status = store_change_flags(
		    p->folder, imap_uids(p, indexes, count), count, change, flags);
	if (status != STORE_OK) {
		imap_no_status(p, status);
		return;
	}
	imap_take_flags(p);
	for (size_t i = 0; i < count && !silent; i++)
		tell_message_flags(p, indexes[i]);
	imap_ok(p, "done");
}

/* ---- COPY and MOVE ---- */

/* "12,13,15": those whose copy is 0 are gone and stay out. */
static struct slice
uid_list(struct imap *p, const uint32_t *uids, const uint32_t *copies, size_t count)
{
	struct strbuf b;

	strbuf_init(&b, p->c->scratch, POSTBOX_CONNECTION_MEMORY);
	for (size_t i = 0; i < count; i++)
		if (copies[i] != 0)
			strbuf_printf(&b, "%s%u", b.len == 0 ? "" : ",", uids[i]);
	return strbuf_slice(&b);
}

/* RFC 4315 3: which became which. "" when nothing was copied. */
static const char *
copyuid(struct imap *p, struct store_folder *to, const uint32_t *uids, const uint32_t *copies,
    size_t count)
{
	struct store_folder_state state;
	struct slice from_list = uid_list(p, uids, copies, count);

	if (from_list.len == 0 || store_folder_state(to, &state) != STORE_OK)
		return "";
	return arena_printf(p->c->scratch, "[COPYUID %u %s %s] ", state.uid_validity, from_list.p,
	    uid_list(p, copies, copies, count).p);
}

static void
copy_to(struct imap *p, struct store_folder *to, const size_t *indexes, size_t count, bool move)
{
	uint32_t *uids = imap_uids(p, indexes, count), *copies;
	enum store_status status;
	const char *code;

	status = (move ? store_move : store_copy)(
	    p->c->scratch, p->folder, uids, count, to, &copies);
	if (status != STORE_OK) {
		imap_no_status(p, status);
		return;
	}
	code = copyuid(p, to, uids, copies, count);
	if (move && code[0] != '\0') /* RFC 6851 4.3: before the EXPUNGEs */
		stream_printf(p->c->stream, "* OK %smoved\r\n", code);
	imap_ok(p, "%sdone", move ? "" : code);
}

static void
copy_or_move(struct imap *p, struct imap_lex *l, bool move)
{
	struct store_folder *to;
	enum store_status status;
	size_t *indexes, count;
	struct imap_set set;
	struct slice name;

	imap_want(l, ' ');
	imap_set_read(l, &set);
	imap_want(l, ' ');
	name = imap_astring(l);
	if (!imap_complete(p, l) || imap_messages(p, &set, &indexes, &count) == -1)
		return;
	if (move && p->read_only) {
		imap_no(p, "[READ-ONLY] the folder was opened with EXAMINE");
		return;
	}
	status = store_folder_open(p->user->account, name, &to);
	if (status == STORE_NO_FOLDER) {
		imap_no(p, "[TRYCREATE] no such folder"); /* RFC 3501 6.4.7 */
		return;
	}
	if (status != STORE_OK) {
		imap_no_status(p, status);
		return;
	}
	copy_to(p, to, indexes, count, move);
	store_folder_close(&to);
}

void
imap_copy(struct imap *p, struct imap_lex *l)
{
	copy_or_move(p, l, false);
}

void
imap_move(struct imap *p, struct imap_lex *l)
{
	copy_or_move(p, l, true);
}

/* ---- EXPUNGE and CLOSE ---- */

/* Of the messages at these indexes, those that are \Deleted go. */
static enum store_status
expunge(struct imap *p, const size_t *indexes, size_t count)
{
	uint32_t *uids = arena_array(p->c->scratch, count, sizeof(*uids));
	size_t n = 0;

	imap_take_flags(p);
	for (size_t i = 0; i < count; i++)
		if ((p->messages[indexes[i]].flags & STORE_DELETED) != 0)
			uids[n++] = p->messages[indexes[i]].uid;
	return n == 0 ? STORE_OK : store_expunge(p->folder, uids, n);
}

static const struct imap_set everything = { .ranges = &(struct imap_range){ 1, UINT32_MAX },
	.count = 1 };

void
imap_expunge(struct imap *p, struct imap_lex *l)
{
	struct imap_set set = everything;
	enum store_status status;
	size_t *indexes, count;

	if (p->uid) { /* RFC 4315 2.1 */
		imap_want(l, ' ');
		imap_set_read(l, &set);
	}
	if (!imap_complete(p, l) || imap_messages(p, &set, &indexes, &count) == -1)
		return;
	if (p->read_only) {
		imap_no(p, "[READ-ONLY] the folder was opened with EXAMINE");
		return;
	}
	status = expunge(p, indexes, count);
	if (status == STORE_OK)
		imap_ok(p, "done");
	else
		imap_no_status(p, status);
}

void
imap_unselect(struct imap *p)
{
	store_folder_close(&p->folder);
	p->messages = NULL;
	p->count = 0;
	if (p->state == IMAP_SELECTED)
		p->state = IMAP_IN;
}

/* CLOSE, and UNSELECT (RFC 3691) which removes nothing. */
void
imap_close(struct imap *p, struct imap_lex *l)
{
	enum store_status status = STORE_OK;
	size_t *indexes, count;

	if (!imap_complete(p, l))
		return;
	if (!p->read_only && p->command->name[0] == 'C') {
		(void)imap_messages(p, &everything, &indexes, &count);
		status = expunge(p, indexes, count);
	}
	imap_unselect(p); /* RFC 3501 6.4.2: no EXPUNGE is told */
	if (status == STORE_OK)
		imap_ok(p, "done");
	else
		imap_no_status(p, status);
}
