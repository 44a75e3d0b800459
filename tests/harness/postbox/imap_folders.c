/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         imap_folders - commands about folders, what arrives in them, and waiting for it
 */
#include <string.h>

#include "tests/harness/postbox/imap.h"

#define IDLE_LOOK_MS 500 /* how often IDLE asks whether the server is stopping */

/* One mailbox name as the only argument. False: answered. */
static bool
one_name(struct imap *p, struct imap_lex *l, struct slice *name_r)
{
	imap_want(l, ' ');
	*name_r = imap_astring(l);
	return imap_complete(p, l);
}

static void
answer(struct imap *p, enum store_status status)
{
	if (status == STORE_OK)
		imap_ok(p, "done");
	else
		imap_no_status(p, status);
}

/* ---- SELECT ---- */

static void
tell_selected(struct imap *p)
{
	struct stream *s = p->c->stream;
	struct store_folder_state state;
	size_t recent = 0, unseen = p->count;

	(void)store_folder_state(p->folder, &state);
	for (size_t i = p->count; i-- > 0;) {
		recent += p->messages[i].uid >= p->first_recent;
		if ((p->messages[i].flags & STORE_SEEN) == 0)
			unseen = i;
	}
	imap_tell_flags(p);
	stream_printf(s, "* %zu EXISTS\r\n* %zu RECENT\r\n", p->count, recent);
	if (unseen < p->count)
		stream_printf(s, "* OK [UNSEEN %zu] the first\r\n", unseen + 1);
	stream_printf(s, "* OK [UIDVALIDITY %u] good\r\n* OK [UIDNEXT %u] the next\r\n",
	    state.uid_validity, state.uid_next);
}

static void
select_folder(struct imap *p, struct imap_lex *l, bool read_only)
{
	enum store_status status;
	struct slice name;

	if (!one_name(p, l, &name))
		return;
	imap_unselect(p); /* RFC 3501 6.3.1: even if this one fails */
	status = store_folder_open(p->user->account, name, &p->folder);
	if (status == STORE_OK)
		status = store_claim_recent(p->folder, !read_only, &p->first_recent);
	arena_reset(p->listing);
	if (status == STORE_OK)
		status = store_list(p->listing, p->folder, &p->messages, &p->count, &p->changes);
	if (status != STORE_OK) {
		imap_unselect(p);
		imap_no_status(p, status);
		return;
	}
	p->read_only = read_only;
	p->state = IMAP_SELECTED;
	tell_selected(p);
	imap_ok(p, "[%s] done", read_only ? "READ-ONLY" : "READ-WRITE");
}

void
imap_select(struct imap *p, struct imap_lex *l)
{
	select_folder(p, l, false);
}

void
imap_examine(struct imap *p, struct imap_lex *l)
{
	select_folder(p, l, true);
}

/* ---- folders come and go ---- */

void
imap_create(struct imap *p, struct imap_lex *l)
{
	struct slice name;

	if (!one_name(p, l, &name))
		return;
	if (name.len > 1 && name.p[name.len - 1] == '/') /* RFC 3501 6.3.3: folders below follow */
		name.len--;
	answer(p, store_folder_create(p->user->account, name));
}

void
imap_delete(struct imap *p, struct imap_lex *l)
{
	struct slice name;

	if (one_name(p, l, &name))
		answer(p, store_folder_delete(p->user->account, name));
}

void
imap_rename(struct imap *p, struct imap_lex *l)
{
	struct slice from, to;

	imap_want(l, ' ');
	from = imap_astring(l);
	if (one_name(p, l, &to))
		answer(p, store_folder_rename(p->user->account, from, to));
}

/* Every folder is subscribed to, always: SUBSCRIBE and UNSUBSCRIBE change nothing. */
void
imap_subscribe(struct imap *p, struct imap_lex *l)
{
	struct slice name;

	if (one_name(p, l, &name))
		imap_ok(p, "every folder is subscribed to");
}

/* ---- LIST ---- */

/*
 * RFC 3501 6.3.8: '*' is anything, '%' anything without '/'. One pass over the pattern with the set
 * of places in the name where it may stand: no pattern takes long.
 */
static bool
list_matches(struct slice name, struct slice pattern)
{
	bool at[POSTBOX_FOLDER_NAME_BYTES + 2] = { true };

	if (name.len > POSTBOX_FOLDER_NAME_BYTES)
		return false;
	for (size_t i = 0; i < pattern.len; i++) {
		char c = pattern.p[i];

		if (c == '*' || c == '%') {
			for (size_t j = 0; j < name.len; j++)
				if (at[j] && (c == '*' || name.p[j] != '/'))
					at[j + 1] = true;
			continue;
		}
		for (size_t j = name.len; j > 0; j--)
			at[j] = at[j - 1] && name.p[j - 1] == c;
		at[0] = false;
	}
	return at[name.len];
}

/* INBOX is written so in any case. */
static struct slice
inbox_upper(struct slice pattern)
{
	return slice_equal_nocase(pattern, SLICE("INBOX")) ? SLICE("INBOX") : pattern;
}

static void
list_folder(struct imap *p, const struct slice *names, size_t count, size_t i)
{
	struct strbuf b;
	bool children = false;

	for (size_t j = 0; j < count; j++)
		children = children ||
		    (names[j].len > names[i].len && slice_starts(names[j], names[i]) &&
			names[j].p[names[i].len] == '/');
	strbuf_init(&b, p->c->scratch, POSTBOX_BUFFER_BYTES);
	imap_put_string(&b, names[i]);
	stream_printf(p->c->stream, "* %s (%s) \"/\" ", p->command->name,
	    children ? "\\HasChildren" : "\\HasNoChildren");
	stream_write(p->c->stream, strbuf_slice(&b));
	stream_write(p->c->stream, SLICE("\r\n"));
}

void
imap_list(struct imap *p, struct imap_lex *l)
{
	struct slice reference, pattern, *names;
	struct strbuf whole;
	size_t count;

	imap_want(l, ' ');
	reference = imap_astring(l);
	imap_want(l, ' ');
	pattern = imap_pattern(l);
	if (!imap_complete(p, l))
		return;
	if (pattern.len == 0) { /* asks for the separator */
		stream_printf(p->c->stream, "* %s (\\Noselect) \"/\" \"\"\r\n", p->command->name);
		imap_ok(p, "done");
		return;
	}
	strbuf_init(&whole, p->c->scratch, 4u * POSTBOX_IMAP_LINE_BYTES);
	strbuf_add(&whole, reference);
	strbuf_add(&whole, pattern);
	count = store_folders(p->c->scratch, p->user->account, &names);
	for (size_t i = 0; i < count; i++)
		if (list_matches(names[i], inbox_upper(strbuf_slice(&whole))))
			list_folder(p, names, count, i);
	imap_ok(p, "done");
}

/* ---- STATUS ---- */

static void
status_item(const struct store_folder_state *state, struct imap_lex *l, struct strbuf *b)
{
	const struct {
		const char *name;
		size_t value;
	} items[] = {
		{ "MESSAGES", state->messages }, { "RECENT", state->recent },
		{ "UIDNEXT", state->uid_next }, { "UIDVALIDITY", state->uid_validity },
		{ "UNSEEN", state->unseen }, { "SIZE", state->bytes }, /* RFC 8438 */
	};
	struct slice name = imap_atom(l);

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		if (!slice_equal_nocase(name, slice_str(items[i].name)))
			continue;
		strbuf_printf(b, "%s%s %zu", b->len == 0 ? "" : " ", items[i].name, items[i].value);
		return;
	}
	imap_fault(l, "not an item of STATUS");
}

void
imap_status(struct imap *p, struct imap_lex *l)
{
	struct store_folder_state state = { 0 };
	struct store_folder *f = NULL;
	struct strbuf items, quoted;
	enum store_status status;
	struct slice name;

	imap_want(l, ' ');
	name = imap_astring(l);
	imap_want(l, ' ');
	imap_want(l, '(');
	status = store_folder_open(p->user->account, name, &f);
	if (status == STORE_OK)
		status = store_folder_state(f, &state);
	store_folder_close(&f);
	strbuf_init(&items, p->c->scratch, POSTBOX_BUFFER_BYTES);
	do
		status_item(&state, l, &items);
	while (imap_take(l, ' '));
	imap_want(l, ')');
	if (!imap_complete(p, l))
		return;
	if (status != STORE_OK) {
		imap_no_status(p, status);
		return;
	}
	strbuf_init(&quoted, p->c->scratch, POSTBOX_BUFFER_BYTES);
	imap_put_string(&quoted, name);
	stream_printf(
	    p->c->stream, "* STATUS %s (%s)\r\n", strbuf_slice(&quoted).p, strbuf_slice(&items).p);
	imap_ok(p, "done");
}

/* ---- APPEND ---- */

static void
append_to(struct imap *p, struct imap_lex *l, struct store_folder *f)
{
	struct store_arrival arrival = { 0 };
	enum store_status status = STORE_OK;
	struct store_folder_state state;
	uint32_t uid = 0;

	if (imap_peek(l) != '"' && imap_peek(l) != '{') {
		status = imap_flag_list(l, f, true, &arrival.flags);
		imap_want(l, ' ');
	}
	if (imap_peek(l) == '"') {
		arrival.date_s = imap_date_time(l);
		imap_want(l, ' ');
	}
	if (imap_peek(l) != '{')
		imap_fault(l, "the message is a literal");
	arrival.bytes = imap_astring(l);
	if (!imap_complete(p, l))
		return;
	if (status == STORE_OK)
		status = store_append(f, &arrival, &uid);
	if (status == STORE_OK)
		status = store_folder_state(f, &state);
	if (status == STORE_OK) /* RFC 4315 3 */
		imap_ok(p, "[APPENDUID %u %u] done", state.uid_validity, uid);
	else
		imap_no_status(p, status);
}

void
imap_append(struct imap *p, struct imap_lex *l)
{
	struct store_folder *f;
	enum store_status status;
	struct slice name;

	imap_want(l, ' ');
	name = imap_astring(l);
	imap_want(l, ' ');
	if (l->fault != NULL) {
		imap_bad(p, "%s", l->fault);
		return;
	}
	status = store_folder_open(p->user->account, name, &f);
	if (status == STORE_NO_FOLDER) {
		imap_no(p, "[TRYCREATE] no such folder"); /* RFC 3501 6.3.11 */
		return;
	}
	if (status != STORE_OK) {
		imap_no_status(p, status);
		return;
	}
	append_to(p, l, f);
	store_folder_close(&f);
}

/* ---- IDLE (RFC 2177) ---- */

/* Until the client speaks. False: time is up, or the server stops, or the folder is gone. */
static bool
idle_wait(struct imap *p, int watch)
{
	uint32_t limit = p->c->server->options.timeout_ms;

	if (limit == 0)
		limit = POSTBOX_IMAP_MS;
	for (uint32_t waited = 0; waited < limit && !connection_stopping(p->c) && !p->done;) {
		switch (stream_wait(p->c->stream, watch, IDLE_LOOK_MS)) {
		case STREAM_WAIT_INPUT:
			return true;
		case STREAM_WAIT_OTHER:
			store_watch_clear(watch);
			imap_news(p, true);
			break;
		case STREAM_WAIT_TIMEOUT:
			waited += IDLE_LOOK_MS;
			break;
		}
	}
	return false;
}

void
imap_idle(struct imap *p, struct imap_lex *l)
{
	struct store_folder *watched = p->folder;
	int watch = -1;
	struct slice line;
	bool spoke;

	if (!imap_complete(p, l))
		return;
	if (watched != NULL)
		watch = store_watch_open(watched);
	stream_printf(p->c->stream, "+ idling\r\n");
	if (p->folder != NULL)
		imap_news(p, true);
	spoke = idle_wait(p, watch);
	if (watch != -1)
		store_watch_close(watched, watch);
	if (!spoke) {
		if (!p->done)
			stream_printf(p->c->stream, "* BYE idle for too long\r\n");
		p->done = true;
	} else if (stream_line(p->c->stream, POSTBOX_IMAP_LINE_BYTES, &line) == STREAM_OK &&
	    slice_equal_nocase(line, SLICE("DONE"))) {
		imap_ok(p, "done");
	} else {
		imap_bad(p, "DONE ends IDLE");
	}
}
