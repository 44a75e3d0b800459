/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         imap_envelope - the ENVELOPE of a message (RFC 3501 7.4.2), and strings
 */
#include "policy/syntax/lex.h"
#include "tests/harness/postbox/imap.h"

void
imap_put_string(struct strbuf *b, struct slice s)
{
	bool plain = s.len < 1000;

	if (s.p == NULL) {
		strbuf_str(b, "NIL");
		return;
	}
	for (size_t i = 0; i < s.len && plain; i++)
		plain = (unsigned char)s.p[i] < 0x80 && s.p[i] != '\r' && s.p[i] != '\n' &&
		    s.p[i] != '\0';
	if (!plain) { /* RFC 3501 4.3: quoted has neither */
		strbuf_printf(b, "{%zu}\r\n", s.len);
		strbuf_add(b, s);
		return;
	}
	strbuf_char(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			strbuf_char(b, '\\');
		strbuf_char(b, s.p[i]);
	}
	strbuf_char(b, '"');
}

/* An address as it is read. */
struct address {
	struct strbuf words;		/* a display name, or a local part */
	struct slice name, local, host; /* p NULL: none yet */
	bool in_angle, behind_at, spaced;
};

static void
address_begin(struct address *d, struct arena *a)
{
	*d = (struct address){ 0 };
	strbuf_init(&d->words, a, POSTBOX_BUFFER_BYTES);
}

static struct slice
words_taken(struct address *d, struct arena *a)
{
	struct slice taken = arena_copy(a, strbuf_slice(&d->words));

	strbuf_init(&d->words, a, POSTBOX_BUFFER_BYTES);
	d->spaced = false;
	return taken.len == 0 ? slice_of(NULL, 0) : taken;
}

static void
put_address(struct strbuf *out, struct slice name, struct slice mailbox, struct slice host)
{
	strbuf_char(out, '(');
	imap_put_string(out, name);
	strbuf_str(out, " NIL ");
	imap_put_string(out, mailbox);
	strbuf_char(out, ' ');
	imap_put_string(out, host);
	strbuf_char(out, ')');
}

static void
address_end(struct address *d, struct arena *a, struct strbuf *out)
{
	struct slice rest = words_taken(d, a);

	if (d->behind_at)
		d->host = rest;
	else if (rest.p != NULL)
		d->local = rest; /* no "@": shown all the same */
	if (d->local.p != NULL || d->host.p != NULL)
		/* NIL as host or mailbox would mean a group */
		put_address(out, d->name, d->local.p == NULL ? SLICE("") : d->local,
		    d->host.p == NULL ? SLICE("") : d->host);
	address_begin(d, a);
}

/* One of the characters that part addresses. */
static void
address_special(struct address *d, struct arena *a, char c, struct strbuf *out)
{
	if (c == ',' || c == ';') {
		address_end(d, a, out);
		if (c == ';')
			put_address(out, slice_of(NULL, 0), slice_of(NULL, 0), slice_of(NULL, 0));
	} else if (c == '<') {
		d->name = words_taken(d, a);
		d->in_angle = true;
	} else if (c == ':' && d->in_angle) { /* a source route ends */
		(void)words_taken(d, a);
		d->behind_at = false;
		d->local = slice_of(NULL, 0);
	} else if (c == ':') { /* a group begins: its name stands as the mailbox */
		put_address(out, slice_of(NULL, 0), words_taken(d, a), slice_of(NULL, 0));
		address_begin(d, a);
	} else if (c == '@' && !d->behind_at) {
		d->local = words_taken(d, a);
		d->behind_at = true;
	}
}

static void
put_addresses(struct arena *a, struct slice value, struct strbuf *out)
{
	struct lex l = lex_over(value);
	size_t begin = out->len;
	struct address d;

	address_begin(&d, a);
	strbuf_char(out, '(');
	while (lex_skip(&l), !lex_at_end(&l)) {
		char c = lex_peek(&l);
		struct slice text;

		if (l.blank && d.words.len > 0)
			d.spaced = true;
		if (c == '"')
			text = lex_quoted(&l, a);
		else if (c == '[')
			text = lex_literal(&l);
		else
			text = lex_run(&l, lex_is_atext_or_control);
		if (text.len == 0 && c != '"') {
			address_special(&d, a, c, out);
			if (c == '.')
				strbuf_char(&d.words, c);
			if (!lex_at_end(&l) && lex_peek(&l) == c)
				l.at++;
			continue;
		}
		if (d.spaced && !d.in_angle && !d.behind_at)
			strbuf_char(&d.words, ' ');
		d.spaced = false;
		strbuf_add(&d.words, text);
	}
	address_end(&d, a, out);
	if (out->len == begin + 1) { /* nothing in it */
		out->len = begin;
		strbuf_str(out, "NIL");
	} else {
		strbuf_char(out, ')');
	}
}

void
imap_envelope(struct arena *a, struct slice header, struct strbuf *out)
{
	static const char *const people[] = { "From", "Sender", "Reply-To", "To", "Cc", "Bcc" };
	struct slice from = mime_field(a, header, SLICE("From"));

	strbuf_char(out, '(');
	imap_put_string(out, mime_field(a, header, SLICE("Date")));
	strbuf_char(out, ' ');
	imap_put_string(out, mime_field(a, header, SLICE("Subject")));
	for (size_t i = 0; i < sizeof(people) / sizeof(people[0]); i++) {
		struct slice value = mime_field(a, header, slice_str(people[i]));

		strbuf_char(out, ' ');
		/* RFC 3501 7.4.2: without Sender and Reply-To, From is said again. */
		put_addresses(a, value.len == 0 && (i == 1 || i == 2) ? from : value, out);
	}
	strbuf_char(out, ' ');
	imap_put_string(out, mime_field(a, header, SLICE("In-Reply-To")));
	strbuf_char(out, ' ');
	imap_put_string(out, mime_field(a, header, SLICE("Message-ID")));
	strbuf_char(out, ')');
}
