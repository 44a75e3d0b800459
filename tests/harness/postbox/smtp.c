/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/postbox/smtp.h"

#include <stdio.h>
#include <string.h>

#include "policy/base/bug.h"
#include "policy/base/limits.h"
#include "tests/harness/postbox/log.h"

/* ---- replies ---- */

static void __attribute__((format(printf, 4, 0)))
reply_v(struct smtp_session *s, const char *code, const char *enhanced, const char *fmt, va_list ap)
{
	bool more = strlen(code) == 4; /* "250-" */
	const char *text = arena_vprintf(s->c->scratch, fmt, ap);

	log_debug(s->c, "%s %s", code, text);
	stream_printf(s->c->stream, "%.3s%c", code, more ? '-' : ' ');
	if (enhanced != NULL)
		stream_printf(s->c->stream, "%s ", enhanced);
	stream_write(s->c->stream, slice_str(text));
	stream_write(s->c->stream, SLICE("\r\n"));
}

void
smtp_reply(struct smtp_session *s, const char *code, const char *enhanced, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	reply_v(s, code, enhanced, fmt, ap);
	va_end(ap);
}

enum smtp_next
smtp_error(struct smtp_session *s, const char *code, const char *enhanced, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	reply_v(s, code, enhanced, fmt, ap);
	va_end(ap);
	if (++s->errors < POSTBOX_ERRORS)
		return SMTP_GO_ON;
	smtp_reply(s, "421", "4.7.0", "%s Error: too many errors", s->c->server->options.hostname);
	return SMTP_CLOSE;
}

enum smtp_next
smtp_error_reply(struct smtp_session *s, const char *reply)
{
	/* "550 5.1.1 text" */
	return smtp_error(s, arena_printf(s->c->scratch, "%.3s", reply), NULL, "%s", reply + 4);
}

enum smtp_next
smtp_filter_said(struct smtp_session *s, const char *reply)
{
	stream_printf(s->c->stream, "%s\r\n", reply);
	return strncmp(reply, "421", 3) == 0 ? SMTP_CLOSE : SMTP_GO_ON;
}

enum smtp_next
smtp_gone(struct smtp_session *s, enum stream_status status)
{
	const char *hostname = s->c->server->options.hostname;

	/* RFC 5321 3.8: a server that goes away by itself says 421. */
	if (connection_stopping(s->c))
		smtp_reply(s, "421", "4.3.2", "%s Service shutting down", hostname);
	else if (status == STREAM_TIMEOUT)
		smtp_reply(s, "421", "4.4.2", "%s Error: timeout exceeded", hostname);
	else
		log_debug(s->c, "%s", stream_status_text(status));
	return SMTP_CLOSE;
}

const char *
smtp_client_text(const struct smtp_session *s)
{
	char text[IP_TEXT_BYTES];

	return arena_printf(s->c->scratch, "%s [%s%s]", s->client_name,
	    s->client.family == IP_V6 ? "IPv6:" : "", ip_print(&s->client, text));
}

/* ---- state ---- */

void
smtp_forget_mail(struct smtp_session *s)
{
	if (s->in_mail)
		smtp_filter_abort(s);
	s->in_mail = false;
	s->eight_bit = s->smtputf8 = false;
	s->sender = (struct smtp_address){ 0 };
	s->recipients = NULL;
	s->recipient_count = 0;
	s->queue_id[0] = '\0';
	arena_reset(s->mail);
}

void
smtp_forget_client(struct smtp_session *s)
{
	smtp_forget_mail(s);
	s->greeted = s->extended = false;
	s->helo[0] = '\0';
}

/* ---- small commands ---- */

/* RFC 5321 4.1.3 and 4.1.1.1: a domain or a literal. Names that DNS would not have are let pass, as
 * everybody does; what would break a Received field is not. */
static bool
helo_is_good(struct slice name)
{
	if (name.len == 0 || name.len >= SMTP_NAME_BYTES)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!ascii_is_alnum(name.p[i]) && strchr(".-_:[]", name.p[i]) == NULL)
			return false;
	return true;
}

/* True: the client is known from now on. False: *next_r says what the answer was. */
static bool
greet(struct smtp_session *s, struct slice name, bool extended, enum smtp_next *next_r)
{
	const char *refused;

	if (!helo_is_good(name)) {
		*next_r = smtp_error(
		    s, "501", "5.5.4", "Syntax: %s hostname", extended ? "EHLO" : "HELO");
		return false;
	}
	smtp_forget_client(s); /* RFC 5321 4.1.4: as RSET */
	memcpy(s->helo, name.p, name.len);
	s->helo[name.len] = '\0';
	refused = smtp_filter_helo(s);
	if (refused != NULL) {
		*next_r = smtp_filter_said(s, refused);
		return false;
	}
	s->greeted = true;
	s->extended = extended;
	*next_r = SMTP_GO_ON;
	return true;
}

static enum smtp_next
command_helo(struct smtp_session *s, struct slice rest)
{
	enum smtp_next next;

	if (greet(s, rest, false, &next))
		smtp_reply(s, "250", NULL, "%s", s->c->server->options.hostname);
	return next;
}

static enum smtp_next
command_ehlo(struct smtp_session *s, struct slice rest)
{
	const struct server *server = s->c->server;
	enum smtp_next next;

	if (!greet(s, rest, true, &next))
		return next;
	smtp_reply(s, "250-", NULL, "%s", server->options.hostname);
	smtp_reply(s, "250-", NULL, "PIPELINING");				    /* RFC 2920 */
	smtp_reply(s, "250-", NULL, "SIZE %zu", server->options.max_message_bytes); /* RFC 1870 */
	if (server->tls_server != NULL && stream_tls(s->c->stream) == NULL)
		smtp_reply(s, "250-", NULL, "STARTTLS"); /* RFC 3207 4.2: not again */
	if (smtp_auth_allowed(s))
		smtp_reply(s, "250-", NULL, "AUTH PLAIN LOGIN"); /* RFC 4954 */
	if (smtp_xclient_allowed(s))
		smtp_reply(s, "250-", NULL, "XCLIENT NAME ADDR PORT PROTO HELO LOGIN");
	smtp_reply(s, "250-", NULL, "ENHANCEDSTATUSCODES"); /* RFC 2034 */
	smtp_reply(s, "250-", NULL, "8BITMIME");	    /* RFC 6152 */
	smtp_reply(s, "250", NULL, "SMTPUTF8");		    /* RFC 6531 */
	return SMTP_GO_ON;
}

static enum smtp_next
command_starttls(struct smtp_session *s, struct slice rest)
{
	enum stream_status status;

	if (rest.len > 0) /* RFC 3207 4 */
		return smtp_error(s, "501", "5.5.4", "Syntax: STARTTLS");
	if (s->c->server->tls_server == NULL)
		return smtp_error(s, "502", "5.5.1", "Error: command not implemented");
	if (stream_tls(s->c->stream) != NULL)
		return smtp_error(s, "554", "5.5.1", "Error: TLS already active");
	/* CVE-2011-0411: what came behind the command came in the clear. */
	if (stream_buffered(s->c->stream) > 0) {
		smtp_reply(s, "554", "5.5.0", "Error: nothing may follow STARTTLS");
		return SMTP_CLOSE;
	}
	smtp_reply(s, "220", "2.0.0", "Ready to start TLS");
	connection_timeout(s->c, POSTBOX_TLS_MS);
	status = stream_tls_accept(s->c->stream, s->c->server->tls_server);
	if (status != STREAM_OK) {
		log_line(s->c, "TLS: %s", stream_error(s->c->stream));
		return SMTP_CLOSE;
	}
	/* RFC 3207 4.2: what was said in the clear counts no more. */
	smtp_forget_client(s);
	s->user = NULL;
	s->mechanism = NULL;
	return SMTP_GO_ON;
}

static enum smtp_next
command_rset(struct smtp_session *s, struct slice rest)
{
	if (rest.len > 0)
		return smtp_error(s, "501", "5.5.4", "Syntax: RSET");
	smtp_forget_mail(s);
	smtp_reply(s, "250", "2.0.0", "Ok");
	return SMTP_GO_ON;
}

static enum smtp_next
command_noop(struct smtp_session *s, struct slice rest)
{
	(void)rest; /* RFC 5321 4.1.1.9: ignored */
	smtp_reply(s, "250", "2.0.0", "Ok");
	return SMTP_GO_ON;
}

static enum smtp_next
command_vrfy(struct smtp_session *s, struct slice rest)
{
	if (rest.len == 0)
		return smtp_error(s, "501", "5.5.4", "Syntax: VRFY address");
	/* RFC 5321 7.3: who collects addresses learns nothing. */
	smtp_reply(s, "252", "2.0.0", "Cannot verify; send some mail, I'll try my best");
	return SMTP_GO_ON;
}

static enum smtp_next
command_quit(struct smtp_session *s, struct slice rest)
{
	if (rest.len > 0)
		return smtp_error(s, "501", "5.5.4", "Syntax: QUIT");
	smtp_reply(s, "221", "2.0.0", "Bye");
	return SMTP_CLOSE;
}

static enum smtp_next
command_unknown_here(struct smtp_session *s, struct slice rest)
{
	(void)rest;
	return smtp_error(s, "502", "5.5.1", "Error: command not implemented");
}

/* ---- the table ---- */

#define NEEDS_GREETING 1u
#define NEEDS_USER     2u /* on a submission port, RFC 6409 4.3 */
#define NO_MAIL	       4u /* not within a mail transaction */

static const struct command {
	const char *verb;
	enum smtp_next (*run)(struct smtp_session *s, struct slice rest);
	unsigned flags;
} commands[] = {
	{ "HELO", command_helo, 0 },
	{ "EHLO", command_ehlo, 0 },
	{ "STARTTLS", command_starttls, NEEDS_GREETING | NO_MAIL },
	{ "AUTH", smtp_auth, NEEDS_GREETING | NO_MAIL },
	{ "MAIL", smtp_mail, NEEDS_GREETING | NEEDS_USER },
	{ "RCPT", smtp_rcpt, NEEDS_GREETING | NEEDS_USER },
	{ "DATA", smtp_data, NEEDS_GREETING | NEEDS_USER },
	{ "RSET", command_rset, 0 },
	{ "NOOP", command_noop, 0 },
	{ "VRFY", command_vrfy, NEEDS_GREETING | NEEDS_USER },
	{ "QUIT", command_quit, 0 },
	{ "XCLIENT", smtp_xclient, NO_MAIL },
	{ "EXPN", command_unknown_here, 0 },
	{ "HELP", command_unknown_here, 0 },
	{ "TURN", command_unknown_here, 0 },
	{ "ETRN", command_unknown_here, 0 },
	{ "BDAT", command_unknown_here, 0 },
};

static const struct command *
command_named(struct slice verb)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (slice_equal_nocase(verb, slice_str(commands[i].verb)))
			return &commands[i];
	return NULL;
}

static enum smtp_next
run_command(struct smtp_session *s, struct slice line)
{
	size_t space = slice_find(line, ' ');
	struct slice verb = slice_sub(line, 0, space == SLICE_NONE ? line.len : space);
	struct slice rest = slice_trim(slice_from(line, verb.len));
	const struct command *command = command_named(verb);

	if (command == NULL) {
		const char *refused = smtp_filter_unknown(s, line);

		if (refused != NULL)
			return smtp_filter_said(s, refused);
		return smtp_error(s, "500", "5.5.2", "Error: command not recognized");
	}
	if ((command->flags & NEEDS_GREETING) != 0 && !s->greeted)
		return smtp_error(s, "503", "5.5.1", "Error: send HELO/EHLO first");
	if ((command->flags & NEEDS_USER) != 0 && s->c->protocol->submission && s->user == NULL)
		return smtp_error(s, "530", "5.7.0", "Authentication required");
	if ((command->flags & NO_MAIL) != 0 && s->in_mail)
		return smtp_error(
		    s, "503", "5.5.1", "Error: %s during mail transaction", command->verb);
	return command->run(s, rest);
}

static enum smtp_next
read_command(struct smtp_session *s)
{
	struct slice line;
	enum stream_status status;

	connection_timeout(s->c, POSTBOX_SMTP_COMMAND_MS);
	status = stream_line(s->c->stream, POSTBOX_SMTP_LINE_BYTES, &line);
	switch (status) {
	case STREAM_OK:
		break;
	case STREAM_TOO_LONG: /* RFC 5321 4.5.3.1.9 */
		return smtp_error(s, "500", "5.5.2", "Error: line too long");
	case STREAM_BARE: /* RFC 5321 2.3.8 */
		return smtp_error(s, "500", "5.5.2", "Error: bare CR or LF, lines end in CR LF");
	case STREAM_EOF:
	case STREAM_TIMEOUT:
	case STREAM_ERROR:
		return smtp_gone(s, status);
	}
	if (connection_stopping(s->c))
		return smtp_gone(s, STREAM_OK);
	arena_reset(s->c->scratch);
	line = arena_copy(s->c->scratch, line); /* commands read more lines */
	log_debug(s->c, "%s",
	    slice_starts_nocase(line, SLICE("AUTH ")) ? "AUTH ..."
						      : arena_printable(s->c->scratch, line, 200));
	if (slice_find(line, '\0') != SLICE_NONE)
		return smtp_error(s, "500", "5.5.2", "Error: NUL in a command");
	return run_command(s, line);
}

void
smtp_run(struct connection *c)
{
	struct smtp_session s = {
		.c = c,
		.client = c->peer,
		.client_port = c->peer_port,
		.client_name = "unknown",
		.mail = arena_new(LIMIT_HEADER_BYTES * 4),
	};
	enum smtp_next next = SMTP_GO_ON;
	const char *refused;

	smtp_filter_open(&s);
	refused = smtp_filter_connect(&s);
	/* Said at HELO, RSET and NOOP it would only confuse: MAIL is refused (as Postfix does). */
	(void)snprintf(s.refusal, sizeof(s.refusal), "%s", refused == NULL ? "" : refused);
	if (strncmp(s.refusal, "421", 3) == 0)
		next = smtp_filter_said(&s, s.refusal);
	else
		smtp_reply(&s, "220", NULL, "%s ESMTP postbox", c->server->options.hostname);
	while (next == SMTP_GO_ON)
		next = read_command(&s);
	smtp_forget_mail(&s);
	smtp_filter_close(&s);
	arena_free(&s.mail);
}
