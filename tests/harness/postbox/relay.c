/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/postbox/relay.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "policy/base/num.h"
#include "policy/base/strbuf.h"
#include "tests/harness/postbox/log.h"

#define REPLY_LINES 128 /* of another server; ours; -> given up */
#define BOUNCE_HEAD 65536

/* A conversation with another server, on behalf of some recipients. */
struct client {
	struct connection *c;
	struct arena *a;
	struct stream *stream;
	const char *host;
	const char *fault; /* why the last step failed (arena text) */
	time_t deadline_s; /* of this domain */
	bool starttls, eight_bit, smtputf8, size;
};

/* What became of one host. */
enum outcome { HOST_DONE, HOST_FAILED };

/* ---- talking ---- */

static uint32_t
timeout_ms(const struct connection *c)
{
	uint32_t given = c->server->options.timeout_ms;

	return given != 0 ? given : POSTBOX_CONNECT_MS;
}

static time_t
now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* The code of a reply, -1 when none came. each: told every line behind the code; may be NULL. */
static int
read_reply(struct client *k, void (*each)(struct client *k, struct slice line))
{
	for (size_t i = 0; i < REPLY_LINES && now_s() <= k->deadline_s; i++) {
		struct slice line;
		uint32_t code;
		enum stream_status status = stream_line(k->stream, POSTBOX_SMTP_LINE_BYTES, &line);

		if (status != STREAM_OK) {
			k->fault = arena_printf(
			    k->a, "%s: %s", k->host, stream_status_text(status));
			return -1;
		}
		if (num_u32(slice_sub(line, 0, 3), 200, 599, &code) == -1 ||
		    (line.len > 3 && line.p[3] != ' ' && line.p[3] != '-')) {
			k->fault = arena_printf(k->a, "%s: not an SMTP reply", k->host);
			return -1;
		}
		if (each != NULL)
			each(k, slice_from(line, 4));
		if (line.len == 3 || line.p[3] == ' ') {
			k->fault = arena_printf(
			    k->a, "%s said: %s", k->host, arena_printable(k->a, line, 400));
			return (int)code;
		}
	}
	k->fault = arena_printf(k->a, "%s: no end of its reply in time", k->host);
	return -1;
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

static int __attribute__((format(printf, 2, 3))) ask(struct client *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	stream_vprintf(k->stream, fmt, ap);
	va_end(ap);
	stream_write(k->stream, SLICE("\r\n"));
	return read_reply(k, NULL);
}

static bool
positive(int code)
{
	return code >= 200 && code < 300;
}

/* EHLO, or HELO for a server of old. 0 or -1. */
static int
say_hello(struct client *k)
{
	const char *name = k->c->server->options.hostname;

	k->starttls = k->eight_bit = k->smtputf8 = k->size = false;
	stream_printf(k->stream, "EHLO %s\r\n", name);
	if (positive(read_reply(k, note_extension)))
		return 0;
	return positive(ask(k, "HELO %s", name)) ? 0 : -1;
}

/* RFC 7435: encrypted when it can be, whoever it is. 0 or -1. */
static int
encrypt(struct client *k)
{
	const struct tls_context *tls = k->c->server->tls_client;

	if (!k->starttls || tls == NULL)
		return 0;
	if (ask(k, "STARTTLS") != 220)
		return 0; /* RFC 3207 4.1: the client may go on without */
	if (stream_tls_connect(k->stream, tls, NULL) != STREAM_OK) {
		k->fault = arena_printf(k->a, "%s: TLS: %s", k->host, stream_error(k->stream));
		return -1;
	}
	return say_hello(k);
}

/* ---- a transaction ---- */

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

static bool
wanted(const struct relay_recipient *r, struct slice domain)
{
	return !r->done && slice_equal_nocase(r->domain, domain);
}

/* RCPT for all of domain; how many were taken. Those that were refused for good are done. */
static size_t
name_recipients(struct client *k, struct relay_mail *mail, struct slice domain)
{
	size_t taken = 0;

	for (size_t i = 0; i < mail->count; i++) {
		struct relay_recipient *r = &mail->recipients[i];
		int code;

		if (!wanted(r, domain))
			continue;
		code = ask(k, "RCPT TO:<%.*s>", SLICE_ARG(r->address));
		r->fault = positive(code) ? NULL : k->fault;
		r->done = code >= 500;
		if (r->fault == NULL)
			taken++;
	}
	return taken;
}

/* What happened to the message is what happened to those whom RCPT had taken. */
static void
settle(struct relay_mail *mail, struct slice domain, const char *fault, bool done)
{
	for (size_t i = 0; i < mail->count; i++) {
		struct relay_recipient *r = &mail->recipients[i];

		if (!wanted(r, domain) || r->fault != NULL)
			continue;
		r->fault = fault;
		r->done = done;
	}
}

static enum outcome
transact(struct client *k, struct relay_mail *mail, struct slice domain)
{
	int code;

	if (mail->smtputf8 && !k->smtputf8) { /* RFC 6531 3.5: nothing to be done about it */
		settle(
		    mail, domain, arena_printf(k->a, "%s does not take SMTPUTF8", k->host), true);
		return HOST_DONE;
	}
	code = ask(k, "MAIL FROM:<%.*s>%s%s", SLICE_ARG(mail->sender),
	    mail->eight_bit && k->eight_bit ? " BODY=8BITMIME" : "",
	    mail->smtputf8 ? " SMTPUTF8" : "");
	if (positive(code) && name_recipients(k, mail, domain) == 0)
		return HOST_DONE;
	if (positive(code))
		code = ask(k, "DATA");
	if (code == 354) {
		send_text(k, mail->text);
		code = read_reply(k, NULL);
	}
	settle(mail, domain, positive(code) ? NULL : k->fault, positive(code) || code >= 500);
	return positive(code) || code >= 500 ? HOST_DONE : HOST_FAILED;
}

static enum outcome
talk(struct client *k, struct relay_mail *mail, struct slice domain)
{
	enum outcome outcome = HOST_FAILED;

	if (positive(read_reply(k, NULL)) && say_hello(k) == 0 && encrypt(k) == 0)
		outcome = transact(k, mail, domain);
	else
		settle(mail, domain, k->fault, false);
	if (outcome == HOST_DONE)
		(void)ask(k, "QUIT");
	return outcome;
}

/* ---- hosts ---- */

struct route {
	struct connection *c;
	struct arena *a;
	struct lookups *lookups;
	struct relay_mail *mail;
	struct slice domain;
	uint16_t port;
	time_t deadline_s;
};

/* The recipients that wait have this fault for now; the next host may take it away. */
static void
note_fault(const struct route *r, const char *fault)
{
	for (size_t i = 0; i < r->mail->count; i++)
		if (wanted(&r->mail->recipients[i], r->domain))
			r->mail->recipients[i].fault = fault;
}

static enum outcome
try_address(const struct route *r, const char *host, const struct ip_address *address)
{
	struct client k = { .c = r->c, .a = r->a, .host = host, .deadline_s = r->deadline_s };
	enum outcome outcome;
	const char *error;

	if (now_s() > r->deadline_s) {
		note_fault(r, arena_printf(r->a, "%s: no time left", host));
		return HOST_DONE;
	}
	k.stream = stream_connect(r->a, address, r->port, timeout_ms(r->c), &error);
	if (k.stream == NULL) {
		note_fault(r, arena_printf(r->a, "%s: %s", host, error));
		return HOST_FAILED;
	}
	note_fault(r, NULL);
	outcome = talk(&k, r->mail, r->domain);
	stream_free(&k.stream);
	return outcome;
}

static enum outcome
try_host(const struct route *r, struct slice name)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA };
	const char *host = arena_printable(r->a, name, 255);
	struct ip_address literal;

	if (ip_parse(name, &literal) == 0)
		return try_address(r, host, &literal);
	for (size_t t = 0; r->lookups != NULL && t < sizeof(types) / sizeof(types[0]); t++) {
		const struct dns_answer *answer = lookups_ask(r->lookups, name, types[t]);

		for (size_t i = 0; answer->status == DNS_OK && i < answer->count; i++)
			if (try_address(r, host, &answer->records[i].address) == HOST_DONE)
				return HOST_DONE;
		if (answer->status != DNS_OK && t == 0)
			note_fault(r,
			    arena_printf(
				r->a, "%s: address: %s", host, dns_status_word(answer->status)));
	}
	return HOST_FAILED;
}

/* RFC 5321 5.1: by rising preference; without any MX the domain itself. */
static void
try_domain(const struct route *r)
{
	const struct dns_answer *answer = lookups_ask(r->lookups, r->domain, DNS_MX);
	const char *domain = arena_printable(r->a, r->domain, 255);

	switch (answer->status) {
	case DNS_OK:
		break;
	case DNS_NODATA:
		(void)try_host(r, r->domain);
		return;
	case DNS_NXDOMAIN:
		note_fault(r, arena_printf(r->a, "%s: no such domain", domain));
		return;
	case DNS_TEMPFAIL:
		note_fault(
		    r, arena_printf(r->a, "%s: MX: %s", domain, dns_reason_text(answer->reason)));
		return;
	}
	for (size_t i = 0; i < answer->count; i++) {
		if (answer->records[i].mx.host.len == 0) { /* RFC 7505 3 */
			note_fault(r, arena_printf(r->a, "%s takes no mail (null MX)", domain));
			return;
		}
		if (try_host(r, answer->records[i].mx.host) == HOST_DONE)
			return;
	}
}

/* --relay-host "host:port" */
static void
try_relay_host(struct route *r, struct slice host_port)
{
	size_t colon = slice_find_last(host_port, ':');
	uint32_t port;

	if (colon == SLICE_NONE ||
	    num_u32(slice_from(host_port, colon + 1), 1, UINT16_MAX, &port)) {
		note_fault(r, "bad relay host");
		return;
	}
	r->port = (uint16_t)port;
	(void)try_host(r, slice_sub(host_port, 0, colon));
}

static void
finish_domain(const struct route *r)
{
	for (size_t i = 0; i < r->mail->count; i++) {
		struct relay_recipient *to = &r->mail->recipients[i];

		/* Refused for a while: without a queue, as good as for good. */
		if (!slice_equal_nocase(to->domain, r->domain))
			continue;
		to->done = true;
		if (to->fault == NULL)
			atomic_fetch_add(&r->c->server->counters.relayed, 1);
		log_line(r->c, "relay to %s: %s", arena_printable(r->a, to->address, 255),
		    to->fault == NULL ? "sent" : to->fault);
	}
}

void
relay_send(struct connection *c, struct arena *a, struct relay_mail *mail)
{
	const struct server_options *o = &c->server->options;
	const struct lookups_limits limits = {
		.timeout_ms = timeout_ms(c),
		.budget_ms = timeout_ms(c),
		.max_lookups = POSTBOX_RECIPIENTS * 4,
	};
	struct lookups *lookups = c->server->resolver == NULL
	    ? NULL
	    : lookups_new(a, c->server->resolver, &limits);

	for (size_t i = 0; i < mail->count; i++) {
		struct route r = { c, a, lookups, mail, mail->recipients[i].domain, o->relay_port,
			now_s() + POSTBOX_RELAY_MS / 1000 };

		if (mail->recipients[i].done)
			continue;
		if (o->relay_host != NULL)
			try_relay_host(&r, slice_str(o->relay_host));
		else if (lookups != NULL)
			try_domain(&r);
		else
			note_fault(&r, "no resolver");
		finish_domain(&r);
	}
	lookups_fini(&lookups);
}

/* ---- bounces ---- */

/* The header of the message, for the bounce. */
static struct slice
head_of(struct slice text)
{
	for (size_t i = 0; i + 4 <= text.len && i < BOUNCE_HEAD; i++)
		if (memcmp(text.p + i, "\r\n\r\n", 4) == 0)
			return slice_sub(text, 0, i + 2);
	return slice_sub(text, 0, 0);
}

static void
write_bounce(struct strbuf *b, const struct connection *c, const struct relay_mail *mail)
{
	const char *host = c->server->options.hostname;
	time_t now = time(NULL);
	char date[64];
	struct tm tm;

	(void)gmtime_r(&now, &tm);
	(void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	strbuf_printf(b,
	    "Return-Path: <>\r\nDate: %s\r\nFrom: Mail Delivery System <MAILER-DAEMON@%s>\r\n"
	    "To: <%.*s>\r\nSubject: Undelivered Mail Returned to Sender\r\n"
	    "Message-ID: <%lld.%llu@%s>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n\r\n"
	    "Your message could not be delivered to:\r\n\r\n",
	    date, host, SLICE_ARG(mail->sender), (long long)now, (unsigned long long)c->number,
	    host);
	for (size_t i = 0; i < mail->count; i++)
		if (mail->recipients[i].fault != NULL)
			strbuf_printf(b, "<%.*s>: %s\r\n", SLICE_ARG(mail->recipients[i].address),
			    mail->recipients[i].fault);
	strbuf_str(b, "\r\nIts header was:\r\n\r\n");
	strbuf_add(b, head_of(mail->text));
}

void
relay_bounce(
    struct connection *c, struct arena *a, const struct relay_mail *mail, const struct user *user)
{
	struct store_arrival arrival = { 0 };
	struct strbuf b;
	size_t failed = 0;
	enum store_status status;

	for (size_t i = 0; i < mail->count; i++)
		failed += mail->recipients[i].fault != NULL;
	if (failed == 0 || user == NULL)
		return;
	strbuf_init(&b, a, 4 * BOUNCE_HEAD);
	write_bounce(&b, c, mail);
	arrival.bytes = strbuf_slice(&b);
	status = store_deliver(user->account, SLICE("INBOX"), &arrival, NULL);
	if (status != STORE_OK)
		log_line(
		    c, "bounce to %.*s lost: %s", SLICE_ARG(user->name), store_status_text(status));
}
