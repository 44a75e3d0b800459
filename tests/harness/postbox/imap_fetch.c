/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         imap_fetch - FETCH and UID FETCH (RFC 3501 6.4.5)
 */
#include <time.h>

#include "tests/harness/postbox/imap.h"

enum fetch_kind {
	FETCH_FLAGS,
	FETCH_UID,
	FETCH_DATE,
	FETCH_SIZE,
	FETCH_ENVELOPE,
	FETCH_STRUCTURE,	  /* BODY */
	FETCH_STRUCTURE_EXTENDED, /* BODYSTRUCTURE */
	FETCH_SECTION,
};

enum fetch_text { TEXT_WHOLE, TEXT_HEADER, TEXT_FIELDS, TEXT_FIELDS_NOT, TEXT_TEXT, TEXT_MIME };

struct fetch_item {
	enum fetch_kind kind;
	struct slice label; /* what a section is called in the response, arena */
	bool peek;
	uint32_t path[IMAP_SECTION_DEPTH];
	size_t path_len;
	enum fetch_text text;
	struct slice *names; /* of TEXT_FIELDS and TEXT_FIELDS_NOT */
	size_t name_count;
	bool partial;
	uint32_t offset, length;
};

struct fetch {
	struct fetch_item items[IMAP_FETCH_ITEMS];
	size_t count;
	bool wants_text, sets_seen;
};

/* ---- what is asked for ---- */

/* Sorted so that no word stands before a longer one that begins with it. */
static const struct fetch_word {
	const char *name;
	enum fetch_kind kind;
	enum fetch_text text;
	bool peek;
} fetch_words[] = {
	{ "FLAGS", FETCH_FLAGS, TEXT_WHOLE, true },
	{ "UID", FETCH_UID, TEXT_WHOLE, true },
	{ "INTERNALDATE", FETCH_DATE, TEXT_WHOLE, true },
	{ "RFC822.SIZE", FETCH_SIZE, TEXT_WHOLE, true },
	{ "RFC822.HEADER", FETCH_SECTION, TEXT_HEADER, true },
	{ "RFC822.TEXT", FETCH_SECTION, TEXT_TEXT, false },
	{ "RFC822", FETCH_SECTION, TEXT_WHOLE, false },
	{ "ENVELOPE", FETCH_ENVELOPE, TEXT_WHOLE, true },
	{ "BODYSTRUCTURE", FETCH_STRUCTURE_EXTENDED, TEXT_WHOLE, true },
	{ "BODY.PEEK[", FETCH_SECTION, TEXT_WHOLE, true },
	{ "BODY[", FETCH_SECTION, TEXT_WHOLE, false },
	{ "BODY", FETCH_STRUCTURE, TEXT_WHOLE, true },
};

/* "(Subject From)" behind HEADER.FIELDS. */
static void
read_names(struct imap_lex *l, struct fetch_item *item, struct strbuf *label)
{
	size_t most = l->text.len - (l->at < l->text.len ? l->at : l->text.len);

	item->names = arena_array(l->arena, most / 2 + 1, sizeof(*item->names));
	imap_want(l, ' ');
	imap_want(l, '(');
	strbuf_str(label, " (");
	do {
		struct slice name = imap_astring(l);

		if (l->fault != NULL)
			return;
		for (size_t i = 0; i < name.len; i++)
			if (!imap_is_atom_char(name.p[i]) || name.p[i] == ':')
				imap_fault(l, "not the name of a header field");
		if (item->name_count > 0)
			strbuf_char(label, ' ');
		strbuf_add(label, name);
		item->names[item->name_count++] = name;
	} while (imap_take(l, ' '));
	imap_want(l, ')');
	strbuf_char(label, ')');
}

/* The words of a section, behind its numbers. */
static void
read_text(struct imap_lex *l, struct fetch_item *item, struct strbuf *label)
{
	static const struct {
		const char *name;
		enum fetch_text text;
	} texts[] = {
		{ "HEADER.FIELDS.NOT", TEXT_FIELDS_NOT },
		{ "HEADER.FIELDS", TEXT_FIELDS },
		{ "HEADER", TEXT_HEADER },
		{ "TEXT", TEXT_TEXT },
		{ "MIME", TEXT_MIME },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (!imap_take_word(l, texts[i].name))
			continue;
		item->text = texts[i].text;
		strbuf_str(label, texts[i].name);
		if (item->text == TEXT_FIELDS || item->text == TEXT_FIELDS_NOT)
			read_names(l, item, label);
		if (item->text == TEXT_MIME && item->path_len == 0)
			break; /* only a part has one */
		return;
	}
	imap_fault(l, "not a section");
}

/* Behind "BODY[": section, "]", "<0.100>". */
static void
read_section(struct imap_lex *l, struct fetch_item *item)
{
	struct strbuf label;
	bool dot = true;

	strbuf_init(&label, l->arena, 4u * POSTBOX_IMAP_LINE_BYTES);
	strbuf_str(&label, "BODY[");
	while (dot && ascii_is_digit(imap_peek(l))) {
		uint32_t number = imap_number(l);

		if (item->path_len == IMAP_SECTION_DEPTH || number == 0) {
			imap_fault(l, "not a section");
			return;
		}
		item->path[item->path_len++] = number;
		dot = imap_take(l, '.');
		strbuf_printf(&label, "%u%s", number, dot ? "." : "");
	}
	if (imap_peek(l) != ']' || (item->path_len > 0 && dot))
		read_text(l, item, &label);
	imap_want(l, ']');
	strbuf_char(&label, ']');
	if (imap_take(l, '<')) {
		item->partial = true;
		item->offset = imap_number(l);
		imap_want(l, '.');
		item->length = imap_number(l);
		imap_want(l, '>');
		strbuf_printf(&label, "<%u>", item->offset);
	}
	item->label = strbuf_slice(&label);
}

static struct fetch_item *
add_item(struct fetch *f, struct imap_lex *l, enum fetch_kind kind)
{
	struct fetch_item *item;

	if (f->count == IMAP_FETCH_ITEMS) {
		imap_fault(l, "too many items");
		return &f->items[0];
	}
	item = &f->items[f->count++];
	*item = (struct fetch_item){ .kind = kind };
	return item;
}

static void
read_item(struct imap_lex *l, struct fetch *f)
{
	for (size_t i = 0; i < sizeof(fetch_words) / sizeof(fetch_words[0]); i++) {
		const struct fetch_word *word = &fetch_words[i];
		struct fetch_item *item;

		if (!imap_take_word(l, word->name))
			continue;
		item = add_item(f, l, word->kind);
		item->text = word->text;
		item->peek = word->peek;
		item->label = slice_str(word->name);
		if (item->label.p[item->label.len - 1] == '[')
			read_section(l, item);
		f->wants_text = f->wants_text || word->kind >= FETCH_ENVELOPE;
		f->sets_seen = f->sets_seen || !word->peek;
		return;
	}
	imap_fault(l, "not an item of FETCH");
}

/* RFC 3501 6.4.5: ALL, FULL, FAST stand for these. */
static bool
read_macro(struct imap_lex *l, struct fetch *f)
{
	bool all = imap_take_word(l, "ALL"), full = !all && imap_take_word(l, "FULL");

	if (!all && !full && !imap_take_word(l, "FAST"))
		return false;
	(void)add_item(f, l, FETCH_FLAGS);
	(void)add_item(f, l, FETCH_DATE);
	(void)add_item(f, l, FETCH_SIZE);
	if (all || full)
		(void)add_item(f, l, FETCH_ENVELOPE);
	if (full)
		(void)add_item(f, l, FETCH_STRUCTURE);
	f->wants_text = all || full;
	return true;
}

static void
read_items(struct imap_lex *l, struct fetch *f)
{
	if (read_macro(l, f))
		return;
	if (!imap_take(l, '(')) {
		read_item(l, f);
		return;
	}
	do
		read_item(l, f);
	while (imap_take(l, ' '));
	imap_want(l, ')');
}

/* ---- sections ---- */

/* The part that numbers lead to, or NULL (RFC 3501 6.4.5: a part that is no multipart is its own
 * 1). */
static const struct mime_part *
find_part(const struct mime *mime, const struct fetch_item *item)
{
	const struct mime_part *part = &mime->parts[0];

	for (size_t i = 0; i < item->path_len; i++) {
		/* The numbers behind a message's are those of what is in it. */
		if (i > 0 && part->message)
			part = &mime->parts[part->first_child];
		else if (i > 0 && !part->multipart)
			return NULL;
		if (!part->multipart && item->path[i] == 1)
			continue;
		if (!part->multipart || item->path[i] > part->child_count)
			return NULL;
		part = &mime->parts[part->first_child + item->path[i] - 1];
	}
	return part;
}

/* Those fields, or all others, and the empty line. */
static struct slice
some_fields(struct arena *a, struct slice header, const struct fetch_item *item)
{
	struct slice field, name;
	struct strbuf b;

	strbuf_init(&b, a, header.len + 2);
	while (mime_next_field(&header, &field, &name)) {
		bool listed = false;

		for (size_t i = 0; i < item->name_count; i++)
			listed = listed || slice_equal_nocase(name, item->names[i]);
		if (listed == (item->text == TEXT_FIELDS))
			strbuf_add(&b, field);
	}
	strbuf_str(&b, "\r\n");
	return strbuf_slice(&b);
}

/* p NULL: there is no such part. */
static struct slice
section(struct arena *a, const struct mime *mime, struct slice whole, const struct fetch_item *item)
{
	const struct mime_part *part = find_part(mime, item);

	if (part == NULL)
		return slice_of(NULL, 0);
	if (item->text == TEXT_MIME)
		return part->header;
	if (item->path_len > 0 && item->text == TEXT_WHOLE)
		return part->body.p == NULL ? SLICE("") : part->body;
	if (item->path_len > 0) { /* header and text are those of a message in the message */
		if (!part->message)
			return slice_of(NULL, 0);
		part = &mime->parts[part->first_child];
	}
	switch (item->text) {
	case TEXT_HEADER:
		return part->header;
	case TEXT_FIELDS:
	case TEXT_FIELDS_NOT:
		return some_fields(a, part->header, item);
	case TEXT_TEXT:
		return part->body.p == NULL ? SLICE("") : part->body;
	case TEXT_WHOLE:
	case TEXT_MIME:
		break;
	}
	return whole.p == NULL ? SLICE("") : whole;
}

/* ---- what is sent ---- */

struct sending { /* one message */
	struct imap *p;
	const struct store_message *message;
	struct slice whole;
	struct mime mime; /* count 0: not read yet */
};

static void
send_date(struct stream *s, int64_t date_s)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t when = (time_t)date_s;
	struct tm tm;

	if (gmtime_r(&when, &tm) == NULL)
		tm = (struct tm){ .tm_mday = 1, .tm_year = 70 };
	stream_printf(s, "INTERNALDATE \"%2d-%.3s-%04d %02d:%02d:%02d +0000\"", tm.tm_mday,
	    months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void
send_section(struct sending *m, const struct fetch_item *item)
{
	struct stream *s = m->p->c->stream;
	struct slice text = section(m->p->c->scratch, &m->mime, m->whole, item);

	stream_write(s, item->label);
	if (text.p == NULL) {
		stream_printf(s, " NIL");
		return;
	}
	if (item->partial)
		text = slice_sub(text, item->offset, item->length);
	stream_printf(s, " {%zu}\r\n", text.len);
	stream_write(s, text);
}

static void
send_built(struct sending *m, const struct fetch_item *item)
{
	struct arena *a = m->p->c->scratch;
	struct strbuf b;

	strbuf_init(&b, a, IMAP_OUT_BYTES);
	if (item->kind == FETCH_ENVELOPE)
		imap_envelope(a, m->mime.parts[0].header, &b);
	else
		mime_structure(a, &m->mime, item->kind == FETCH_STRUCTURE_EXTENDED, &b);
	stream_printf(m->p->c->stream, "%s ",
	    item->kind == FETCH_ENVELOPE	? "ENVELOPE"
		: item->kind == FETCH_STRUCTURE ? "BODY"
						: "BODYSTRUCTURE");
	stream_write(m->p->c->stream, b.truncated ? SLICE("NIL") : strbuf_slice(&b));
}

static void
send_item(struct sending *m, const struct fetch_item *item)
{
	struct stream *s = m->p->c->stream;

	switch (item->kind) {
	case FETCH_FLAGS:
		stream_printf(s, "FLAGS ");
		imap_write_flags(m->p, m->message);
		break;
	case FETCH_UID:
		stream_printf(s, "UID %u", m->message->uid);
		break;
	case FETCH_DATE:
		send_date(s, m->message->date_s);
		break;
	case FETCH_SIZE:
		stream_printf(s, "RFC822.SIZE %zu", m->message->bytes);
		break;
	case FETCH_ENVELOPE:
	case FETCH_STRUCTURE:
	case FETCH_STRUCTURE_EXTENDED:
		send_built(m, item);
		break;
	case FETCH_SECTION:
		send_section(m, item);
		break;
	}
}

/* \Seen comes with reading; true if it is new. */
static bool
mark_seen(struct imap *p, struct store_message *m)
{
	if (p->read_only || (m->flags & STORE_SEEN) != 0)
		return false;
	if (store_change_flags(p->folder, &m->uid, 1, STORE_FLAGS_ADD, STORE_SEEN) != STORE_OK)
		return false;
	m->flags |= STORE_SEEN;
	return true;
}

/* False: the message can't be had any more. */
static bool
fetch_message(struct imap *p, const struct fetch *f, size_t index)
{
	struct sending m = { .p = p, .message = &p->messages[index] };
	const struct store_text *text = NULL;
	bool uid_said = false, flags_said = false;

	if (f->wants_text) {
		if (store_text_open(p->folder, m.message->uid, &text) != STORE_OK)
			return false;
		m.whole = text->bytes;
		mime_read(p->c->scratch, m.whole, &m.mime);
	}
	if (f->sets_seen && !mark_seen(p, &p->messages[index]))
		flags_said = true; /* nothing new to say */
	stream_printf(p->c->stream, "* %zu FETCH (", index + 1);
	for (size_t i = 0; i < f->count; i++) {
		uid_said = uid_said || f->items[i].kind == FETCH_UID;
		flags_said = flags_said || f->items[i].kind == FETCH_FLAGS;
		stream_write(p->c->stream, i == 0 ? SLICE("") : SLICE(" "));
		send_item(&m, &f->items[i]);
	}
	if (p->uid && !uid_said) /* RFC 3501 6.4.8 */
		stream_printf(p->c->stream, " UID %u", m.message->uid);
	if (f->sets_seen && !flags_said) {
		stream_printf(p->c->stream, " FLAGS ");
		imap_write_flags(p, m.message);
	}
	stream_printf(p->c->stream, ")\r\n");
	store_text_close(&text);
	return true;
}

/* All of them; the memory of one is given back before the next. */
static bool
fetch_messages(struct imap *p, const struct fetch *f, const size_t *indexes, size_t count)
{
	struct arena *of_command = p->c->scratch,
		     *of_message = arena_new(POSTBOX_CONNECTION_MEMORY);
	bool whole = true;

	p->c->scratch = of_message;
	for (size_t i = 0; i < count; i++) {
		whole = fetch_message(p, f, indexes[i]) && whole;
		arena_reset(of_message);
	}
	p->c->scratch = of_command;
	arena_free(&of_message);
	return whole;
}

void
imap_fetch(struct imap *p, struct imap_lex *l)
{
	struct fetch *f = arena_alloc(l->arena, sizeof(*f));
	size_t *indexes, count;
	struct imap_set set;

	imap_want(l, ' ');
	imap_set_read(l, &set);
	imap_want(l, ' ');
	read_items(l, f);
	if (!imap_complete(p, l) || imap_messages(p, &set, &indexes, &count) == -1)
		return;
	if (fetch_messages(p, f, indexes, count))
		imap_ok(p, "done");
	else
		imap_no(p, "[EXPUNGEISSUED] some messages are gone"); /* RFC 5530 3 */
}
