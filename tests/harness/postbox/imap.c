/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         imap - the session: commands come in whole, and each gets one tagged reply
 */
#include "tests/harness/postbox/imap.h"

#include "tests/harness/postbox/log.h"

/* ---- replies ---- */

static void tagged(struct imap *p, const char *word, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void
tagged(struct imap *p, const char *word, const char *fmt, va_list ap)
{
	const char *text = arena_vprintf(p->c->scratch, fmt, ap);

	/* RFC 3501 7.4.1: numbers hold while a command runs that has them in it. */
	if (p->folder != NULL)
		imap_news(p, p->command == NULL || !p->command->keep_numbers || p->uid);
	stream_write(p->c->stream, p->tag);
	stream_printf(p->c->stream, " %s %s\r\n", word, text);
}

void
imap_ok(struct imap *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tagged(p, "OK", fmt, ap);
	va_end(ap);
}

void
imap_no(struct imap *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tagged(p, "NO", fmt, ap);
	va_end(ap);
}

void
imap_bad(struct imap *p, const char *fmt, ...)
{
	va_list ap;

	p->errors++;
	va_start(ap, fmt);
	tagged(p, "BAD", fmt, ap);
	va_end(ap);
}

void
imap_no_status(struct imap *p, enum store_status status)
{
	const char *code = "";

	switch (status) { /* RFC 5530 3 */
	case STORE_OK:
	case STORE_GONE:
		break;
	case STORE_NO_FOLDER:
		code = "[NONEXISTENT] ";
		break;
	case STORE_EXISTS:
		code = "[ALREADYEXISTS] ";
		break;
	case STORE_BAD_NAME:
		code = "[CANNOT] ";
		break;
	case STORE_FULL:
		code = "[OVERQUOTA] ";
		break;
	case STORE_LIMIT:
		code = "[LIMIT] ";
		break;
	case STORE_FAILED:
		code = "[SERVERBUG] ";
		break;
	}
	imap_no(p, "%s%s", code, store_status_text(status));
}

bool
imap_complete(struct imap *p, struct imap_lex *l)
{
	if (imap_want_end(l))
		return true;
	imap_bad(p, "%s", l->fault);
	return false;
}

/* ---- any time ---- */

/* RFC 3501 6.2.3, RFC 8314 3: no password travels in the clear, unless a test asks for it. */
static bool
passwords_welcome(const struct imap *p)
{
	return p->c->server->options.allow_plain_auth || stream_tls(p->c->stream) != NULL;
}

static const char *
capabilities(const struct imap *p)
{
	const char *login = "";

	if (p->state == IMAP_START)
		login = passwords_welcome(p) ? " AUTH=PLAIN SASL-IR" : " LOGINDISABLED";
	return arena_printf(p->c->scratch,
	    "CAPABILITY IMAP4rev1 LITERAL+%s%s IDLE MOVE UIDPLUS "
	    "UNSELECT CHILDREN NAMESPACE",
	    p->state == IMAP_START && stream_tls(p->c->stream) == NULL ? " STARTTLS" : "", login);
}

static void
imap_capability(struct imap *p, struct imap_lex *l)
{
	if (!imap_complete(p, l))
		return;
	stream_printf(p->c->stream, "* %s\r\n", capabilities(p));
	imap_ok(p, "done");
}

static void
imap_noop(struct imap *p, struct imap_lex *l)
{
	if (imap_complete(p, l))
		imap_ok(p, "done");
}

static void
imap_namespace(struct imap *p, struct imap_lex *l)
{
	if (!imap_complete(p, l))
		return;
	stream_printf(p->c->stream, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n"); /* RFC 2342 */
	imap_ok(p, "done");
}

static void
imap_logout(struct imap *p, struct imap_lex *l)
{
	if (!imap_complete(p, l))
		return;
	stream_printf(p->c->stream, "* BYE bye\r\n");
	imap_unselect(p);
	p->done = true;
	imap_ok(p, "done");
}

/* ---- before and at the door ---- */

static void
imap_starttls(struct imap *p, struct imap_lex *l)
{
	if (!imap_complete(p, l))
		return;
	if (stream_tls(p->c->stream) != NULL) {
		imap_bad(p, "TLS is on already");
		return;
	}
	imap_ok(p, "begin TLS");
	connection_timeout(p->c, POSTBOX_TLS_MS);
	if (stream_tls_accept(p->c->stream, p->c->server->tls_server) != STREAM_OK) {
		log_line(p->c, "STARTTLS: %s", stream_error(p->c->stream));
		p->done = true;
		return;
	}
	connection_timeout(p->c, POSTBOX_IMAP_LOGIN_MS);
}

static void
come_in(struct imap *p, const struct user *user)
{
	if (user == NULL) {
		log_line(p->c, "wrong password");
		p->errors++;
		imap_no(p, "[AUTHENTICATIONFAILED] wrong name or password");
		return;
	}
	p->user = user;
	p->state = IMAP_IN;
	connection_timeout(p->c, POSTBOX_IMAP_MS);
	imap_ok(p, "[%s] welcome", capabilities(p));
}

static void
imap_login(struct imap *p, struct imap_lex *l)
{
	struct slice name, password;

	imap_want(l, ' ');
	name = imap_astring(l);
	imap_want(l, ' ');
	password = imap_astring(l);
	if (!imap_complete(p, l))
		return;
	if (!passwords_welcome(p))
		imap_no(p, "[PRIVACYREQUIRED] use STARTTLS first");
	else
		come_in(p, auth_check(p->c->server, name, password));
}

/* The response: behind the command (RFC 4959), or in a line of its own. False: it is over. */
static bool
sasl_response(struct imap *p, struct imap_lex *l, struct slice *response_r)
{
	if (imap_take(l, ' ')) {
		*response_r = slice_from(l->text, l->at);
		return true;
	}
	if (!imap_complete(p, l))
		return false;
	stream_printf(p->c->stream, "+ \r\n");
	if (stream_line(p->c->stream, POSTBOX_AUTH_LINE_BYTES, response_r) != STREAM_OK) {
		imap_bad(p, "no response");
		return false;
	}
	if (slice_equal(*response_r, SLICE("*"))) { /* RFC 3501 6.2.2 */
		imap_bad(p, "cancelled");
		return false;
	}
	return true;
}

static void
imap_authenticate(struct imap *p, struct imap_lex *l)
{
	struct slice mechanism, response;
	const struct user *user;
	bool malformed;

	imap_want(l, ' ');
	mechanism = imap_atom(l);
	if (l->fault != NULL) {
		imap_bad(p, "%s", l->fault);
		return;
	}
	if (!slice_equal_nocase(mechanism, SLICE("PLAIN"))) {
		imap_no(p, "[CANNOT] PLAIN is the only mechanism");
		return;
	}
	if (!passwords_welcome(p)) {
		imap_no(p, "[PRIVACYREQUIRED] use STARTTLS first");
		return;
	}
	if (!sasl_response(p, l, &response))
		return;
	user = sasl_plain_check(p->c->scratch, p->c->server, response, &malformed);
	if (malformed)
		imap_bad(p, "not a response of PLAIN");
	else
		come_in(p, user);
}

/* ---- the table ---- */

#define IMAP_ANY    (IMAP_START | IMAP_IN | IMAP_SELECTED)
#define IMAP_INSIDE (IMAP_IN | IMAP_SELECTED)

static void imap_uid(struct imap *p, struct imap_lex *l);

/* clang-format off */
static const struct imap_command imap_commands[] = { /* name, states, UID form, keeps numbers */
	{ "CAPABILITY",	  IMAP_ANY,	 false, false, imap_capability },
	{ "NOOP",	  IMAP_ANY,	 false, false, imap_noop },
	{ "LOGOUT",	  IMAP_ANY,	 false, false, imap_logout },
	{ "STARTTLS",	  IMAP_START,	 false, false, imap_starttls },
	{ "LOGIN",	  IMAP_START,	 false, false, imap_login },
	{ "AUTHENTICATE", IMAP_START,	 false, false, imap_authenticate },
	{ "SELECT",	  IMAP_INSIDE,	 false, false, imap_select },
	{ "EXAMINE",	  IMAP_INSIDE,	 false, false, imap_examine },
	{ "CREATE",	  IMAP_INSIDE,	 false, false, imap_create },
	{ "DELETE",	  IMAP_INSIDE,	 false, false, imap_delete },
	{ "RENAME",	  IMAP_INSIDE,	 false, false, imap_rename },
	{ "SUBSCRIBE",	  IMAP_INSIDE,	 false, false, imap_subscribe },
	{ "UNSUBSCRIBE",  IMAP_INSIDE,	 false, false, imap_subscribe },
	{ "LIST",	  IMAP_INSIDE,	 false, false, imap_list },
	{ "LSUB",	  IMAP_INSIDE,	 false, false, imap_list },
	{ "NAMESPACE",	  IMAP_INSIDE,	 false, false, imap_namespace },
	{ "STATUS",	  IMAP_INSIDE,	 false, false, imap_status },
	{ "APPEND",	  IMAP_INSIDE,	 false, false, imap_append },
	{ "IDLE",	  IMAP_INSIDE,	 false, false, imap_idle },
	{ "CHECK",	  IMAP_SELECTED, false, false, imap_noop },
	{ "CLOSE",	  IMAP_SELECTED, false, false, imap_close },
	{ "UNSELECT",	  IMAP_SELECTED, false, false, imap_close },
	{ "EXPUNGE",	  IMAP_SELECTED, true,	false, imap_expunge },
	{ "SEARCH",	  IMAP_SELECTED, true,	true,  imap_search },
	{ "FETCH",	  IMAP_SELECTED, true,	true,  imap_fetch },
	{ "STORE",	  IMAP_SELECTED, true,	true,  imap_store },
	{ "COPY",	  IMAP_SELECTED, true,	false, imap_copy },
	{ "MOVE",	  IMAP_SELECTED, true,	false, imap_move },
	{ "UID",	  IMAP_SELECTED, false, false, imap_uid },
};
/* clang-format on */

static const struct imap_command *
command_named(struct slice name)
{
	for (size_t i = 0; i < sizeof(imap_commands) / sizeof(imap_commands[0]); i++)
		if (slice_equal_nocase(slice_str(imap_commands[i].name), name))
			return &imap_commands[i];
	return NULL;
}

static void
imap_uid(struct imap *p, struct imap_lex *l)
{
	const struct imap_command *command;

	imap_want(l, ' ');
	command = command_named(imap_atom(l));
	if (command == NULL || !command->uid_form) {
		imap_bad(p, "not a command of UID");
		return;
	}
	p->uid = true;
	p->command = command;
	command->handle(p, l);
}

static void
dispatch(struct imap *p, struct slice text)
{
	struct imap_lex l = { .text = text, .arena = p->c->scratch };
	struct slice name;

	p->tag = imap_atom(&l);
	if (l.fault != NULL || slice_find(p->tag, '+') != SLICE_NONE) {
		p->tag = SLICE("*"); /* nobody to address */
		imap_bad(p, "a command begins with a tag");
		return;
	}
	imap_want(&l, ' ');
	name = imap_atom(&l);
	p->command = l.fault != NULL ? NULL : command_named(name);
	p->uid = false;
	if (p->command == NULL)
		imap_bad(p, "unknown command");
	else if ((p->command->states & p->state) == 0)
		imap_bad(p, "not now");
	else
		p->command->handle(p, &l);
}

/* ---- commands come in ---- */

/* How long a literal may be: a message, when one is wanted. */
static size_t
literal_limit(const struct imap *p, struct slice text)
{
	struct imap_lex l = { .text = text, .arena = p->c->scratch };

	(void)imap_atom(&l);
	(void)imap_take(&l, ' ');
	return p->state != IMAP_START && imap_take_word(&l, "APPEND ")
	    ? p->c->server->options.max_message_bytes
	    : POSTBOX_IMAP_LINE_BYTES;
}

static bool
read_literal(struct imap *p, struct strbuf *text, uint64_t bytes)
{
	char piece[POSTBOX_PIECE_BYTES];

	strbuf_str(text, "\r\n");
	while (bytes > 0) {
		size_t len = bytes < sizeof(piece) ? (size_t)bytes : sizeof(piece);

		if (stream_read(p->c->stream, piece, len) != STREAM_OK)
			return false;
		strbuf_add(text, slice_of(piece, len));
		bytes -= len;
	}
	return true;
}

/* The tag of a command that won't be read, for its BAD. */
static void
refuse(struct imap *p, struct slice text, bool too_big)
{
	struct imap_lex l = { .text = text, .arena = p->c->scratch };

	p->tag = imap_atom(&l);
	if (l.fault != NULL)
		p->tag = SLICE("*");
	if (too_big)
		imap_no(p, "[TOOBIG] the literal is too large");
	else
		imap_bad(p, "line too long, or not ending in CR LF");
}

enum incoming { INCOMING_WHOLE, INCOMING_REFUSED, INCOMING_OVER };

/* What follows a line that announces a literal: the go-ahead and its bytes. */
static enum incoming
take_literal(struct imap *p, struct strbuf *text, uint64_t bytes, bool no_wait)
{
	if (bytes > literal_limit(p, strbuf_slice(text))) {
		p->errors++;
		refuse(p, strbuf_slice(text), true);
		/* RFC 7888 4: those bytes come all the same, and nobody wants to wait for them. */
		if (no_wait)
			stream_printf(p->c->stream, "* BYE literal too large\r\n");
		return no_wait ? INCOMING_OVER : INCOMING_REFUSED;
	}
	if (!no_wait)
		stream_printf(p->c->stream, "+ go ahead\r\n");
	return read_literal(p, text, bytes) ? INCOMING_WHOLE : INCOMING_OVER;
}

/* A whole command with its literals. */
static enum incoming
read_command(struct imap *p, struct strbuf *text)
{
	enum incoming incoming = INCOMING_WHOLE;
	enum stream_status status;
	uint64_t bytes = 0;
	struct slice line;
	bool no_wait;

	for (size_t literals = 0; incoming == INCOMING_WHOLE; literals++) {
		status = stream_line(p->c->stream, POSTBOX_IMAP_LINE_BYTES, &line);
		if (status == STREAM_TIMEOUT)
			stream_printf(p->c->stream, "* BYE timed out\r\n"); /* RFC 3501 5.4 */
		if (status != STREAM_OK && status != STREAM_TOO_LONG && status != STREAM_BARE)
			return INCOMING_OVER;
		strbuf_add(text, line);
		if (status != STREAM_OK || text->truncated || literals > IMAP_LITERALS) {
			refuse(p, strbuf_slice(text), false);
			return INCOMING_REFUSED;
		}
		if (!imap_announces(line, &bytes, &no_wait))
			break;
		incoming = take_literal(p, text, bytes, no_wait);
	}
	return incoming;
}

static bool
imap_step(struct imap *p)
{
	struct strbuf text;

	if (p->done)
		return false;
	if (connection_stopping(p->c) || p->errors >= POSTBOX_ERRORS) {
		stream_printf(p->c->stream, "* BYE %s\r\n",
		    p->errors >= POSTBOX_ERRORS ? "too many errors" : "shutting down");
		return false;
	}
	arena_reset(p->c->scratch);
	p->command = NULL;
	p->uid = false;
	strbuf_init(&text, p->c->scratch,
	    p->c->server->options.max_message_bytes + 4u * POSTBOX_IMAP_LINE_BYTES);
	switch (read_command(p, &text)) {
	case INCOMING_WHOLE:
		dispatch(p, strbuf_slice(&text));
		return true;
	case INCOMING_REFUSED:
		return true;
	case INCOMING_OVER:
		break;
	}
	return false;
}

void
imap_run(struct connection *c)
{
	struct imap p = { .c = c, .state = IMAP_START };

	p.listing = arena_new(POSTBOX_CONNECTION_MEMORY);
	p.spare = arena_new(POSTBOX_CONNECTION_MEMORY);
	connection_timeout(c, POSTBOX_IMAP_LOGIN_MS);
	stream_printf(
	    c->stream, "* OK [%s] %s postbox\r\n", capabilities(&p), c->server->options.hostname);
	while (imap_step(&p))
		continue;
	(void)stream_flush(c->stream);
	imap_unselect(&p);
	arena_free(&p.listing);
	arena_free(&p.spare);
}
