/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/base/bug.h"
#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/message.h"
#include "tests/harness/postbox/log.h"
#include "tests/harness/postbox/relay.h"
#include "tests/harness/postbox/smtp.h"

#define FIRST_BYTES (16 * 1024)
#define DRAIN_MS    2000 /* for a client that is being thrown out to read why */

/* ---- the text as it comes in ---- */

/* Bytes of all messages that are on their way in; MT: atomic. */
static atomic_size_t incoming_bytes;

struct text {
	char *p;
	size_t len, size;
	const char *refused; /* "552 5.3.4 text"; NULL: good so far */
};

static bool
incoming_take(size_t bytes)
{
	if (atomic_fetch_add(&incoming_bytes, bytes) + bytes <= POSTBOX_INCOMING_BYTES)
		return true;
	atomic_fetch_sub(&incoming_bytes, bytes);
	return false;
}

static void
text_fini(struct text *t)
{
	atomic_fetch_sub(&incoming_bytes, t->size);
	free(t->p);
	*t = (struct text){ 0 };
}

static bool
text_grow(struct text *t, size_t needed)
{
	size_t size = t->size == 0 ? FIRST_BYTES : t->size;

	while (size < needed)
		size *= 2;
	if (size == t->size)
		return true;
	if (!incoming_take(size - t->size))
		return false;
	t->p = realloc(t->p, size);
	if (t->p == NULL)
		out_of_memory(size);
	t->size = size;
	return true;
}

/* A line and its CR LF; once the message is refused nothing is kept. */
static void
text_add(struct text *t, struct slice line, size_t max_bytes)
{
	if (t->refused != NULL)
		return;
	if (slice_find(line, '\0') != SLICE_NONE) /* RFC 5321 4.5.2: and a filter stops there */
		t->refused = "554 5.6.0 Error: NUL in a message";
	else if (t->len + line.len + 2 > max_bytes) /* RFC 1870 6.3 */
		t->refused = "552 5.3.4 Error: message file too big";
	else if (!text_grow(t, t->len + line.len + 2))
		t->refused = "452 4.3.1 Error: too much mail at once, try again later";
	if (t->refused != NULL)
		return;
	if (line.len > 0)
		memcpy(t->p + t->len, line.p, line.len);
	memcpy(t->p + t->len + line.len, "\r\n", 2);
	t->len += line.len + 2;
}

/*
 * The line ends are not what they must be. Where the message ends, and what would be a command
 * behind it, is a matter of opinion then (SMTP smuggling): nothing that this client sends is obeyed
 * any more. Reading on for a while lets it see the answer instead of a reset connection.
 */
static enum smtp_next
throw_out(struct smtp_session *s, const char *why)
{
	struct slice line;
	enum stream_status status = STREAM_OK;
	size_t left = s->c->server->options.max_message_bytes;

	log_line(s->c, "%s", why);
	stream_printf(s->c->stream, "%s\r\n", why);
	connection_timeout(s->c, DRAIN_MS);
	while (status != STREAM_EOF && status != STREAM_TIMEOUT && status != STREAM_ERROR) {
		status = stream_line(s->c->stream, POSTBOX_TEXT_LINE_BYTES, &line);
		if (status == STREAM_OK && slice_equal(line, SLICE(".")))
			break;
		if (left < POSTBOX_TEXT_LINE_BYTES)
			break;
		left -= POSTBOX_TEXT_LINE_BYTES / 8;
	}
	return SMTP_CLOSE;
}

/* Everything up to the final dot. */
static enum smtp_next
read_text(struct smtp_session *s, struct text *t)
{
	size_t max_bytes = s->c->server->options.max_message_bytes, seen = 0;
	struct slice line;

	connection_timeout(s->c, POSTBOX_SMTP_DATA_MS);
	for (;;) {
		enum stream_status status = stream_line(
		    s->c->stream, POSTBOX_TEXT_LINE_BYTES, &line);

		switch (status) {
		case STREAM_OK:
			break;
		case STREAM_BARE: /* RFC 5321 2.3.8 */
			return throw_out(s, "554 5.5.2 Error: bare CR or LF received");
		case STREAM_TOO_LONG: /* who knows how its end looked */
			return throw_out(s, "554 5.5.2 Error: line too long");
		case STREAM_EOF:
		case STREAM_TIMEOUT:
		case STREAM_ERROR:
			return smtp_gone(s, status);
		}
		if (connection_stopping(s->c))
			return smtp_gone(s, STREAM_OK);
		/* RFC 5321 4.5.2: a lone dot ends it, any other first dot was put there. */
		if (slice_equal(line, SLICE(".")))
			return SMTP_GO_ON;
		if (line.len > 0 && line.p[0] == '.')
			line = slice_from(line, 1);
		text_add(t, line, max_bytes);
		seen += line.len + 2;
		if (seen / 4 > max_bytes) /* it was told the limit, and does not stop */
			return throw_out(s, "552 5.3.4 Error: message file too big");
	}
}

/* ---- the message ---- */

struct parts {
	struct arena *arena;
	struct header_list header;
	size_t body_bytes;
};

static void
on_field(void *ctx, struct slice name, struct slice value)
{
	struct parts *p = ctx;

	header_list_add(&p->header, p->arena, name, value);
}

static void
on_end_of_header(void *ctx)
{
	(void)ctx;
}

static void
on_body(void *ctx, struct slice chunk)
{
	struct parts *p = ctx;

	p->body_bytes += chunk.len;
}

/* Take it apart; own Received first. NULL, or the reply that refuses it. */
static const char *
read_message(
    struct smtp_session *s, const struct text *t, const char *received, struct smtp_message *m)
{
	struct parts parts = { .arena = s->mail };
	const struct message_handler handler = { on_field, on_end_of_header, on_body, &parts };
	struct message_reader reader;

	header_list_add(&parts.header, s->mail, SLICE("Received"), slice_str(received));
	message_reader_init(&reader, s->mail, &handler);
	if (message_reader_feed(&reader, slice_of(t->p, t->len)) == -1 ||
	    message_reader_end(&reader) == -1)
		return "552 5.3.4 Error: header too big";
	/* RFC 5321 6.3 */
	if (header_count(&parts.header, "Received") > POSTBOX_HOPS)
		return "554 5.4.6 Error: too many hops";
	/* CR LF throughout: the body is the end of the text, byte for byte. */
	m->header = parts.header;
	m->body = slice_from(slice_of(t->p, t->len), t->len - parts.body_bytes);
	return NULL;
}

static const char *
date_text(struct arena *a)
{
	char text[64];
	time_t now = time(NULL);
	struct tm tm;

	(void)gmtime_r(&now, &tm);
	if (strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000", &tm) == 0)
		bug("date_text");
	return arena_printf(a, "%s", text);
}

/* RFC 5321 4.4; the words of RFC 3848 and RFC 6531 4.3. */
static const char *
received_value(struct smtp_session *s)
{
	struct arena *a = s->mail;
	const struct tls_facts *tls = stream_tls(s->c->stream);
	const char *with = arena_printf(a, "%s%s%s",
	    s->smtputf8	      ? "UTF8SMTP"
		: s->extended ? "ESMTP"
			      : "SMTP",
	    tls != NULL && s->extended ? "S" : "", s->user != NULL && s->extended ? "A" : "");
	const char *cipher = tls == NULL
	    ? ""
	    : arena_printf(a, "\r\n\t(using %s with cipher %s)", tls->version, tls->cipher);
	/* Who else it went to is nobody's business (RFC 5321 7.2). */
	const char *to = s->recipient_count != 1
	    ? ""
	    : arena_printf(a, "\r\n\tfor <%.*s>", SLICE_ARG(s->recipients[0].to.address));

	return arena_printf(a, " from %s (%s)%s\r\n\tby %s (postbox) with %s id %s%s;\r\n\t%s",
	    s->helo, smtp_client_text(s), cipher, s->c->server->options.hostname, with, s->queue_id,
	    to, date_text(a));
}

/* ---- where it goes ---- */

static bool
seen_before(const struct smtp_session *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s->recipients[i].user == s->recipients[n].user)
			return true;
	return false;
}

/* How a message reads on its way: header, an empty line, body. */
static struct slice
whole_text(struct arena *a, const struct smtp_message *m, const char *return_path)
{
	size_t max_bytes = m->header.bytes + m->body.len + LIMIT_HEADER_BYTES;
	struct strbuf b;

	strbuf_init(&b, a, max_bytes);
	strbuf_str(&b, return_path);
	for (size_t i = 0; i < m->header.count; i++) {
		const struct header_field *f = &m->header.fields[i];

		strbuf_add(&b, f->name);
		strbuf_char(&b, ':');
		strbuf_add(&b, f->value);
		strbuf_str(&b, "\r\n");
	}
	strbuf_str(&b, "\r\n");
	strbuf_add(&b, m->body);
	return strbuf_slice(&b);
}

static const char *
store_reply(enum store_status status)
{
	switch (status) {
	case STORE_OK:
		return NULL;
	case STORE_FULL:
	case STORE_LIMIT:
		return "452 4.2.2 Error: mailbox full";
	case STORE_NO_FOLDER:
	case STORE_EXISTS:
	case STORE_BAD_NAME:
	case STORE_GONE:
	case STORE_FAILED:
		return "451 4.3.0 Error: storage failed";
	}
	bug("store_reply: %d", (int)status);
}

/* Into every local recipient's mailbox, once. NULL, or a reply: who repeats the message then may
 * give some of them a second copy, which is better than none. */
static const char *
deliver(struct smtp_session *s, struct arena *a, const struct smtp_message *m)
{
	/* RFC 5321 4.4: final delivery notes the reverse-path. */
	const char *return_path = arena_printf(
	    a, "Return-Path: <%.*s>\r\n", SLICE_ARG(s->sender.address));
	struct slice folder = m->quarantine == NULL ? SLICE("INBOX") : SLICE("Quarantine");
	struct store_arrival arrival = { .bytes = whole_text(a, m, return_path) };

	for (size_t i = 0; i < s->recipient_count; i++) {
		/* Nobody else's server is asked to keep what is quarantined: its sender has it. */
		const struct user *user = s->recipients[i].user != NULL || m->quarantine == NULL
		    ? s->recipients[i].user
		    : s->user;
		const char *refused;

		if (user == NULL || seen_before(s, i))
			continue;
		/* With what was added on the way it may have grown beyond the limit. */
		if (arrival.bytes.len > s->c->server->options.max_message_bytes)
			return "552 5.3.4 Error: message file too big";
		refused = store_reply(store_deliver(user->account, folder, &arrival, NULL));
		if (refused != NULL)
			return refused;
		atomic_fetch_add(&s->c->server->counters.delivered, 1);
		log_line(s->c, "%s: delivered to %.*s/%.*s", s->queue_id, SLICE_ARG(user->name),
		    SLICE_ARG(folder));
	}
	return NULL;
}

/* What goes to others is queued. NULL, or a reply. */
static const char *
relay(struct smtp_session *s, struct arena *a, const struct smtp_message *m)
{
	struct relay_mail mail = {
		.id = s->queue_id,
		.user = s->user == NULL ? slice_of(NULL, 0) : s->user->name,
		.sender = s->sender.address,
		.eight_bit = s->eight_bit,
		.smtputf8 = s->smtputf8,
		.recipients = arena_array(a, s->recipient_count, sizeof(struct relay_recipient)),
	};

	for (size_t i = 0; i < s->recipient_count; i++)
		if (s->recipients[i].user == NULL)
			mail.recipients[mail.count++] = (struct relay_recipient){
				.address = s->recipients[i].to.address,
				.domain = s->recipients[i].to.domain
			};
	if (mail.count == 0 || m->quarantine != NULL)
		return NULL;
	mail.text = whole_text(a, m, "");
	switch (relay_queue_add(s->c->server->queue, &mail)) {
	case RELAY_QUEUED:
		return NULL;
	case RELAY_FULL:
		return "452 4.3.1 Error: queue full";
	case RELAY_NOT_WRITTEN:
		return "451 4.3.0 Error: queue can't be written";
	}
	bug("relay_queue_add");
}

/* NULL: it is ours now. */
static const char *
accept_text(struct smtp_session *s, const struct text *t)
{
	struct smtp_message m = { 0 };
	const char *refused = read_message(s, t, received_value(s), &m);
	struct arena *a;

	if (refused == NULL)
		refused = smtp_filter_message(s, &m, 1);
	if (refused != NULL || m.discard)
		return refused;
	a = arena_new(t->len + POSTBOX_CONNECTION_MEMORY);
	refused = deliver(s, a, &m);
	if (refused == NULL)
		refused = relay(s, a, &m);
	arena_free(&a);
	return refused;
}

enum smtp_next
smtp_data(struct smtp_session *s, struct slice rest)
{
	struct text t = { 0 };
	const char *refused;
	enum smtp_next next;

	if (rest.len > 0)
		return smtp_error(s, "501", "5.5.4", "Syntax: DATA");
	if (!s->in_mail)
		return smtp_error(s, "503", "5.5.1", "Error: need MAIL command");
	if (s->recipient_count == 0) /* RFC 2920 3.1: none was accepted */
		return smtp_error(s, "554", "5.5.1", "Error: no valid recipients");
	refused = smtp_filter_data(s);
	if (refused != NULL) {
		next = smtp_filter_said(s, refused);
		smtp_forget_mail(s);
		return next;
	}
	smtp_reply(s, "354", NULL, "End data with <CR><LF>.<CR><LF>");
	next = read_text(s, &t);
	if (next == SMTP_GO_ON) {
		refused = t.refused != NULL ? t.refused : accept_text(s, &t);
		if (refused != NULL) {
			atomic_fetch_add(&s->c->server->counters.rejected, 1);
			log_line(s->c, "%s: %s", s->queue_id, refused);
			next = smtp_filter_said(s, refused);
		} else {
			smtp_reply(s, "250", "2.0.0", "Ok: queued as %s", s->queue_id);
		}
	}
	text_fini(&t);
	smtp_forget_mail(s);
	return next;
}
