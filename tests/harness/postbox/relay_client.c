/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "policy/base/num.h"
#include "tests/harness/postbox/relay_internal.h"

#define REPLY_LINES 128 /* of another server; ours; -> given up */
#define REPLY_TEXT  400

/* A conversation with another server, on behalf of the recipients of a route. */
struct client {
	const struct relay_route *route;
	struct relay_mail *mail;
	struct stream *stream;
	const char *host;
	int code;			 /* of the last reply; -1: none came */
	char fault[RELAY_FAULT_BYTES];	 /* that reply, or why there is none */
	char status[RELAY_STATUS_BYTES]; /* of that reply */
	bool starttls, eight_bit, smtputf8, size;
};

/* ---- replies ---- */

static int __attribute__((format(printf, 2, 3))) no_reply(struct client *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(k->fault, sizeof(k->fault), fmt, ap);
	va_end(ap);
	(void)snprintf(k->status, sizeof(k->status), "4.4.2");
	k->code = -1;
	return k->code;
}

/* "5.1.1" at the beginning of text (RFC 2034 4), else what the code alone says. */
static void
read_status(struct client *k, struct slice text)
{
	struct slice rest = text, word, number;
	size_t numbers = 0;
	uint32_t value;

	(void)snprintf(k->status, sizeof(k->status), "%c.0.0", '0' + k->code / 100);
	if (!slice_next(&rest, ' ', &word) || word.len >= sizeof(k->status) || word.len == 0 ||
	    word.p[0] - '0' != k->code / 100)
		return;
	for (rest = word; slice_next(&rest, '.', &number); numbers++)
		if (num_u32(number, 0, 999, &value) == -1)
			return;
	if (numbers == 3)
		(void)snprintf(k->status, sizeof(k->status), "%.*s", SLICE_ARG(word));
}

static void
note_extension(struct client *k, struct slice line)
{
	if (slice_starts_nocase(line, SLICE("STARTTLS")))
		k->starttls = true;
	else if (slice_starts_nocase(line, SLICE("8BITMIME")))
		k->eight_bit = true;
	else if (slice_starts_nocase(line, SLICE("SMTPUTF8")))
		k->smtputf8 = true;
	else if (slice_starts_nocase(line, SLICE("SIZE")))
		k->size = true;
}

/* The code of a reply, -1 when none came. */
static int
read_reply(struct client *k)
{
	struct arena *a = k->route->attempt->arena;

	for (size_t i = 0; i < REPLY_LINES && relay_now_s() <= k->route->deadline_s; i++) {
		struct slice line;
		uint32_t code;
		enum stream_status status = stream_line(k->stream, POSTBOX_SMTP_LINE_BYTES, &line);

		if (status != STREAM_OK)
			return no_reply(k, "%s: %s", k->host, stream_status_text(status));
		if (num_u32(slice_sub(line, 0, 3), 200, 599, &code) == -1 ||
		    (line.len > 3 && line.p[3] != ' ' && line.p[3] != '-'))
			return no_reply(k, "%s: not an SMTP reply", k->host);
		note_extension(k, slice_from(line, 4));
		if (line.len > 3 && line.p[3] == '-')
			continue;
		k->code = (int)code;
		read_status(k, slice_from(line, 4));
		(void)snprintf(k->fault, sizeof(k->fault), "%s said: %s", k->host,
		    arena_printable(a, line, REPLY_TEXT));
		return k->code;
	}
	return no_reply(k, "%s: no end of its reply in time", k->host);
}

static int __attribute__((format(printf, 2, 3))) ask(struct client *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	stream_vprintf(k->stream, fmt, ap);
	va_end(ap);
	stream_write(k->stream, SLICE("\r\n"));
	return read_reply(k);
}

static bool
positive(int code)
{
	return code >= 200 && code < 300;
}

/* Only a whole transaction is refused for good; a server may be out of order for a while, whatever
 * it says. */
static enum relay_state
state_of(int code)
{
	return positive(code) ? RELAY_SENT : code >= 500 ? RELAY_FAILED : RELAY_WAITS;
}

/* ---- a transaction ---- */

/* EHLO, or HELO for a server of old (RFC 5321 3.2). 0 or -1. */
static int
say_hello(struct client *k)
{
	const char *name = k->route->attempt->server->options.hostname;

	k->starttls = k->eight_bit = k->smtputf8 = k->size = false;
	if (positive(ask(k, "EHLO %s", name)))
		return 0;
	return k->code >= 500 && positive(ask(k, "HELO %s", name)) ? 0 : -1;
}

static void
send_text(struct client *k, struct slice text)
{
	bool at_start = true;

	while (text.len > 0) {
		size_t lf = slice_find(text, '\n');
		struct slice line = lf == SLICE_NONE ? text : slice_sub(text, 0, lf + 1);

		if (at_start && line.p[0] == '.') /* RFC 5321 4.5.2 */
			stream_write(k->stream, SLICE("."));
		stream_write(k->stream, line);
		text = slice_from(text, line.len);
		at_start = lf != SLICE_NONE;
	}
	stream_write(k->stream, at_start ? SLICE(".\r\n") : SLICE("\r\n.\r\n"));
}

/* RCPT for all of the domain. Who was taken is marked; how many. */
static size_t
name_recipients(struct client *k, bool *taken)
{
	size_t count = 0;

	for (size_t i = 0; i < k->mail->count && k->code != -1; i++) {
		struct relay_recipient *r = &k->mail->recipients[i];

		if (!relay_waits(k->route, r))
			continue;
		taken[i] = positive(ask(k, "RCPT TO:<%.*s>", SLICE_ARG(r->address)));
		count += taken[i];
		if (!taken[i])
			relay_settle(r, state_of(k->code), k->status, "%s", k->fault);
	}
	return k->code == -1 ? 0 : count;
}

/* What the mail needs and this server has not. NULL: it will do. */
static const char *
missing_extension(const struct client *k)
{
	if (k->mail->smtputf8 && !k->smtputf8)
		return "SMTPUTF8"; /* RFC 6531 3.5: nothing to be done about it */
	if (k->mail->eight_bit && !k->eight_bit)
		return "8BITMIME"; /* RFC 6152 3: or it would have to be rewritten */
	return NULL;
}

static int
say_mail(struct client *k)
{
	char size[32] = "";

	if (k->size) /* RFC 1870 */
		(void)snprintf(size, sizeof(size), " SIZE=%zu", k->mail->text.len);
	return ask(k, "MAIL FROM:<%.*s>%s%s%s", SLICE_ARG(k->mail->sender), size,
	    k->mail->eight_bit ? " BODY=8BITMIME" : "", k->mail->smtputf8 ? " SMTPUTF8" : "");
}

static void
transact(struct client *k)
{
	const char *missing = missing_extension(k);
	bool *taken = arena_array(k->route->attempt->arena, k->mail->count, sizeof(*taken));

	if (missing != NULL) {
		(void)snprintf(k->fault, sizeof(k->fault), "%s does not take %s", k->host, missing);
		relay_settle_all(k->route, RELAY_FAILED, "5.6.3", k->fault);
		return;
	}
	if (!positive(say_mail(k))) {
		relay_settle_all(k->route, state_of(k->code), k->status, k->fault);
		return;
	}
	if (name_recipients(k, taken) == 0)
		return;
	if (ask(k, "DATA") == 354) {
		send_text(k, k->mail->text);
		(void)read_reply(k);
	} else if (positive(k->code)) {
		(void)no_reply(k, "%s: takes DATA for something else", k->host);
	}
	for (size_t i = 0; i < k->mail->count; i++)
		if (taken[i])
			relay_settle(
			    &k->mail->recipients[i], state_of(k->code), k->status, "%s", k->fault);
}

bool
relay_talk(const struct relay_route *route, struct stream *stream, const char *host, bool encrypt)
{
	const struct server *server = route->attempt->server;
	struct client k = {
		.route = route, .mail = route->attempt->mail, .stream = stream, .host = host
	};

	/* A greeting of 5xx says no to us, now; another host may say yes (as Postfix has it). */
	if (!positive(read_reply(&k)) || say_hello(&k) == -1) {
		relay_settle_all(route, RELAY_WAITS, k.status, k.fault);
		return true;
	}
	/* RFC 7435: encrypted when it can be, whoever it is. RFC 3207 4.1: refused, on without. */
	if (encrypt && k.starttls && server->tls_client != NULL && ask(&k, "STARTTLS") == 220) {
		if (stream_tls_connect(stream, server->tls_client, NULL) != STREAM_OK)
			return false;
		if (say_hello(&k) == -1) {
			relay_settle_all(route, RELAY_WAITS, k.status, k.fault);
			return true;
		}
	}
	transact(&k);
	if (k.code != -1)
		(void)ask(&k, "QUIT");
	return true;
}
