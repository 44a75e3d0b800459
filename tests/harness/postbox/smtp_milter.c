/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/base/bug.h"
#include "policy/base/strbuf.h"
#include "tests/harness/milter_client.h"
#include "tests/harness/postbox/log.h"
#include "tests/harness/postbox/smtp.h"

#define BODY_CHUNK_BYTES 65535 /* MILTER_CHUNK_SIZE of libmilter */
#define MACROS_MAX	 32

struct smtp_filter {
	struct milter_client client;
	bool accepted;	       /* it wants to hear no more of this session */
	bool message_accepted; /* ... of this message */
	bool discard;	       /* say yes to this message, keep nothing */
	bool in_message;       /* it heard MAIL, and no end yet */
	bool quarantine;       /* it is gone, and what comes is kept aside */
	const char *fallback;  /* what it would have said, now that it is gone; "": it is there */
	char reply[SMTP_REPLY_BYTES + 16];
};

/* ---- macros ---- */

/* In the order of the negotiation's lists; those behind have none of their own. */
enum stage {
	AT_CONNECT,
	AT_HELO,
	AT_MAIL,
	AT_RCPT,
	AT_DATA,
	AT_EOM,
	AT_EOH,
	AT_UNKNOWN,
	AT_HEADER,
	AT_BODY,
};

/* What Postfix sends where the filter asks for nothing in particular (milter_*_macros of
 * postconf(5)), and the command each goes with. */
static const struct {
	char command;
	uint32_t no_step; /* not sent where the filter waves the command */
	const char *names;
} stages[] = {
	[AT_CONNECT] = { 'C', MILTER_NO_CONNECT, "j {daemon_name} {daemon_addr} v _" },
	[AT_HELO] = { 'H', MILTER_NO_HELO,
	    "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}" },
	[AT_MAIL] = { 'M', MILTER_NO_MAIL,
	    "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}" },
	[AT_RCPT] = { 'R', MILTER_NO_RCPT, "i {rcpt_addr} {rcpt_host} {rcpt_mailer}" },
	[AT_DATA] = { 'T', MILTER_NO_DATA, "i" },
	[AT_EOM] = { 'E', 0, "i" },
	[AT_EOH] = { 'N', MILTER_NO_EOH, "i" },
	[AT_UNKNOWN] = { 'U', MILTER_NO_UNKNOWN, "" },
	[AT_HEADER] = { 'L', MILTER_NO_HEADERS, "i" },
	[AT_BODY] = { 'B', MILTER_NO_BODY, "i" },
};

struct macro_source {
	const struct smtp_session *s;
	const struct smtp_recipient *to; /* at AT_RCPT */
	struct arena *a;
};

static const char *
address_text(struct arena *a, const struct ip_address *ip)
{
	char text[IP_TEXT_BYTES];

	return arena_printf(a, "%s%s", ip->family == IP_V6 ? "IPv6:" : "", ip_print(ip, text));
}

static const char *
session_macro(const struct macro_source *m, struct slice name)
{
	const struct smtp_session *s = m->s;

	if (slice_equal(name, SLICE("j")))
		return s->c->server->options.hostname;
	if (slice_equal(name, SLICE("v")))
		return "postbox";
	if (slice_equal(name, SLICE("_")))
		return smtp_client_text(s);
	if (slice_equal(name, SLICE("i")))
		return s->recipient_count == 0 ? NULL : s->queue_id;
	if (slice_equal(name, SLICE("daemon_name")))
		return s->c->server->options.hostname;
	if (slice_equal(name, SLICE("daemon_addr")) || slice_equal(name, SLICE("if_addr")))
		return address_text(m->a, &s->c->local);
	if (slice_equal(name, SLICE("daemon_port")))
		return arena_printf(m->a, "%u", s->c->local_port);
	if (slice_equal(name, SLICE("client_addr")))
		return address_text(m->a, &s->client);
	if (slice_equal(name, SLICE("client_name")) || slice_equal(name, SLICE("client_ptr")))
		return s->client_name;
	if (slice_equal(name, SLICE("client_port")))
		return arena_printf(m->a, "%u", s->client_port);
	if (s->user != NULL && slice_equal(name, SLICE("auth_type")))
		return s->mechanism;
	if (s->user != NULL && slice_equal(name, SLICE("auth_authen")))
		return arena_str(m->a, s->user->name);
	return NULL;
}

static const char *
tls_macro(const struct macro_source *m, struct slice name)
{
	const struct tls_facts *tls = stream_tls(m->s->c->stream);

	if (tls == NULL)
		return NULL;
	if (slice_equal(name, SLICE("tls_version")))
		return tls->version;
	if (slice_equal(name, SLICE("cipher")))
		return tls->cipher;
	if (slice_equal(name, SLICE("cipher_bits")))
		return arena_printf(m->a, "%d", tls->cipher_bits);
	return NULL;
}

static const char *
envelope_macro(const struct macro_source *m, struct slice name)
{
	const struct smtp_session *s = m->s;

	if (s->in_mail && slice_equal(name, SLICE("mail_addr")))
		return arena_str(m->a, s->sender.address);
	if (s->in_mail && slice_equal(name, SLICE("mail_host")) && s->sender.domain.len > 0)
		return arena_str(m->a, s->sender.domain);
	if (s->in_mail && slice_equal(name, SLICE("mail_mailer")))
		return "smtp";
	if (m->to == NULL)
		return NULL;
	if (slice_equal(name, SLICE("rcpt_addr")))
		return arena_str(m->a, m->to->to.address);
	if (slice_equal(name, SLICE("rcpt_host")) && m->to->to.domain.len > 0)
		return arena_str(m->a, m->to->to.domain);
	if (slice_equal(name, SLICE("rcpt_mailer")))
		return m->to->user != NULL ? "local" : "smtp";
	return NULL;
}

/* NULL: there is no such thing (yet); then nothing is sent. */
static const char *
macro_value(const struct macro_source *m, struct slice name)
{
	const char *value;

	if (name.len > 2 && name.p[0] == '{')
		name = slice_sub(name, 1, name.len - 2);
	value = session_macro(m, name);
	if (value == NULL)
		value = tls_macro(m, name);
	return value != NULL ? value : envelope_macro(m, name);
}

/* Macros for the command of a stage: those it negotiated, else the usual ones. As Postfix does it,
 * ahead of every command, and a packet without macros where there are none. 0 or -1. */
static int
send_macros(const struct smtp_session *s, enum stage stage, const struct smtp_recipient *to)
{
	struct milter_client *client = &s->filter->client;
	struct macro_source source = { s, to, s->c->scratch };
	/* Header fields and pieces of the body go by the list of the end. */
	enum stage list_stage = stage == AT_HEADER || stage == AT_BODY ? AT_EOM : stage;
	const char *asked = list_stage < MILTER_STAGES ? client->macros[list_stage] : NULL;
	const char *list = asked != NULL ? asked : stages[stage].names;
	const char *names_values[MACROS_MAX * 2 + 1];
	struct slice rest = slice_str(list), name;
	size_t count = 0;

	if ((client->steps & stages[stage].no_step) != 0 || (stage == AT_BODY && client->skipping))
		return 0;
	while (count < MACROS_MAX * 2 && slice_next(&rest, ' ', &name)) {
		const char *value = name.len == 0 ? NULL : macro_value(&source, name);

		if (value == NULL)
			continue;
		names_values[count++] = arena_str(s->c->scratch, name);
		names_values[count++] = value;
	}
	names_values[count] = NULL;
	return milter_macros(client, stages[stage].command, names_values);
}

/* ---- answers ---- */

static const char *
default_reply(enum milter_default action)
{
	switch (action) {
	case MILTER_DEFAULT_ACCEPT:
	case MILTER_DEFAULT_QUARANTINE:
		return NULL;
	case MILTER_DEFAULT_TEMPFAIL:
		return "451 4.7.1 Service unavailable - try again later";
	case MILTER_DEFAULT_REJECT:
		return "550 5.7.1 Service unavailable";
	}
	bug("default_reply: %d", (int)action);
}

/* It is gone, slow, or talks nonsense: the default action holds for the rest of the session. */
static const char *
lost(struct smtp_session *s)
{
	struct smtp_filter *f = s->filter;

	log_line(s->c, "milter %s: %s", s->c->server->options.milter, f->client.error);
	milter_close(&f->client);
	f->in_message = false;
	f->fallback = default_reply(s->c->server->options.milter_default);
	f->accepted = f->fallback == NULL;
	f->quarantine = s->c->server->options.milter_default == MILTER_DEFAULT_QUARANTINE;
	return f->fallback;
}

/* Its reply as it goes out: complete, one line. NULL: not an SMTP reply at all. */
static const char *
own_reply(struct smtp_filter *f)
{
	struct slice reply = slice_str(f->client.reply);

	if (reply.len < 4 || (reply.p[0] != '4' && reply.p[0] != '5') ||
	    !ascii_is_digit(reply.p[1]) || !ascii_is_digit(reply.p[2]))
		return NULL;
	/* Several lines come as in SMTP, CR LF between; anything else would end the reply early. */
	(void)snprintf(f->reply, sizeof(f->reply), "%s", f->client.reply);
	for (char *p = f->reply; *p != '\0'; p++) {
		if (p[0] == '\r' && p[1] == '\n' && strncmp(p + 2, f->reply, 3) == 0)
			p += 2;
		else if (*p == '\r' || *p == '\n')
			*p = ' ';
		else if (*p ==
		    '%') /* libmilter has it doubled; a single one goes, as with Postfix */
			memmove(p, p + 1, strlen(p));
	}
	return f->reply;
}

/* What an answer means for SMTP. NULL: go on. */
static const char *
judge(struct smtp_session *s, int answer)
{
	struct smtp_filter *f = s->filter;

	switch (answer) {
	case MILTER_NO_ANSWER:
	case 'c':
	case 's':
		return NULL;
	case 'a':
		if (f->in_message)
			f->message_accepted = true;
		else
			f->accepted = true;
		return NULL;
	case 'd':
		f->discard = f->message_accepted = true;
		return NULL;
	case 'r':
		return "550 5.7.1 Command rejected";
	case 't':
	case 'f': /* of an old connection; Postfix does not close it either */
		return "451 4.7.1 Service unavailable - try again later";
	case '4':
		return "421 4.7.0 Server closing connection";
	case 'y':
		if (own_reply(f) != NULL)
			return f->reply;
		(void)snprintf(f->client.error, sizeof(f->client.error), "bad reply code");
		return lost(s);
	case -1:
		return lost(s);
	}
	(void)snprintf(f->client.error, sizeof(f->client.error), "answer 0x%02x out of place",
	    (unsigned)answer);
	return lost(s);
}

/* Does it still want to hear? If not, *reply_r is what holds. */
static bool
listens(const struct smtp_session *s, const char **reply_r)
{
	*reply_r = NULL;
	if (s->filter == NULL || s->filter->accepted || s->filter->message_accepted)
		return false;
	*reply_r = s->filter->fallback;
	return s->filter->fallback == NULL;
}

/* ---- the session ---- */

void
smtp_filter_open(struct smtp_session *s)
{
	const struct server_options *o = &s->c->server->options;
	struct milter_client *client;

	if (o->milter == NULL)
		return;
	s->filter = heap_alloc(1, sizeof(*s->filter));
	client = &s->filter->client;
	if (milter_open(client, o->milter, o->milter_timeout_ms) == -1 ||
	    milter_negotiate(client, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS) == -1)
		(void)lost(s);
}

const char *
smtp_filter_connect(struct smtp_session *s)
{
	char ip[IP_TEXT_BYTES];
	const char *reply, *name = s->client_name;

	if (!listens(s, &reply))
		return reply;
	if (send_macros(s, AT_CONNECT, NULL) == -1)
		return lost(s);
	/* Who has no name is called by the address, as Sendmail and Postfix do. */
	if (strcmp(name, "unknown") == 0 && s->client.family != IP_NONE)
		name = arena_printf(s->c->scratch, "[%s%s]",
		    s->client.family == IP_V6 ? "IPv6:" : "", ip_print(&s->client, ip));
	return judge(s,
	    milter_connect(&s->filter->client, name,
		s->client.family == IP_NONE ? NULL : ip_print(&s->client, ip)));
}

const char *
smtp_filter_helo(struct smtp_session *s)
{
	const char *reply;

	if (!listens(s, &reply))
		return NULL; /* MAIL will be refused */
	if (send_macros(s, AT_HELO, NULL) == -1)
		return lost(s);
	return judge(s, milter_helo(&s->filter->client, s->helo));
}

const char *
smtp_filter_mail(struct smtp_session *s)
{
	const char *reply;

	if (!listens(s, &reply))
		return reply;
	s->filter->in_message = true;
	if (send_macros(s, AT_MAIL, NULL) == -1)
		return lost(s);
	return judge(s, milter_mail(&s->filter->client, arena_str(s->c->scratch, s->sender.path)));
}

const char *
smtp_filter_rcpt(struct smtp_session *s, const struct smtp_recipient *to)
{
	const char *reply;

	if (!listens(s, &reply))
		return reply;
	if (send_macros(s, AT_RCPT, to) == -1)
		return lost(s);
	return judge(s, milter_rcpt(&s->filter->client, arena_str(s->c->scratch, to->to.path)));
}

const char *
smtp_filter_data(struct smtp_session *s)
{
	const char *reply;

	if (!listens(s, &reply))
		return reply;
	if (send_macros(s, AT_DATA, NULL) == -1)
		return lost(s);
	return judge(s, milter_data(&s->filter->client));
}

const char *
smtp_filter_unknown(struct smtp_session *s, struct slice line)
{
	const char *reply;

	if (!listens(s, &reply))
		return NULL;
	if (send_macros(s, AT_UNKNOWN, NULL) == -1)
		return lost(s);
	return judge(s, milter_unknown(&s->filter->client, arena_str(s->c->scratch, line)));
}

void
smtp_filter_abort(struct smtp_session *s)
{
	struct smtp_filter *f = s->filter;

	if (f == NULL)
		return;
	if (f->in_message && milter_abort(&f->client) == -1)
		(void)lost(s);
	f->in_message = false;
	f->message_accepted = f->discard = false;
}

void
smtp_filter_close(struct smtp_session *s)
{
	if (s->filter == NULL)
		return;
	if (s->filter->client.fd >= 0)
		(void)milter_quit(&s->filter->client);
	milter_close(&s->filter->client);
	free(s->filter);
	s->filter = NULL;
}

/* ---- the message ---- */

/* Folds with LF alone, as MTAs hand them over. */
static const char *
value_for_filter(struct arena *a, struct slice value)
{
	char *text = arena_alloc(a, value.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < value.len; i++)
		if (value.p[i] != '\r')
			text[len++] = value.p[i];
	return text;
}

/* Does the answer to a part of the message end it? *reply_r then holds. */
static bool
ends(struct smtp_session *s, int answer, const char **reply_r)
{
	*reply_r = judge(s, answer);
	return *reply_r != NULL || s->filter->accepted || s->filter->message_accepted;
}

static bool
send_header_ends(struct smtp_session *s, struct smtp_message *m, size_t own, const char **reply_r)
{
	struct milter_client *client = &s->filter->client;

	for (size_t i = own; i < m->header.count; i++) {
		const struct header_field *f = &m->header.fields[i];
		const char *name = arena_str(s->mail, f->name);

		int answer = send_macros(s, AT_HEADER, NULL) == -1
		    ? -1
		    : milter_header(client, name, value_for_filter(s->mail, f->value));

		if (ends(s, answer, reply_r))
			return true;
	}
	return ends(s, send_macros(s, AT_EOH, NULL) == -1 ? -1 : milter_eoh(client), reply_r);
}

static bool
send_body_ends(struct smtp_session *s, struct smtp_message *m, const char **reply_r)
{
	struct slice rest = m->body;

	while (rest.len > 0) {
		struct slice chunk = slice_sub(rest, 0, BODY_CHUNK_BYTES);

		int answer = send_macros(s, AT_BODY, NULL) == -1
		    ? -1
		    : milter_body(&s->filter->client, chunk.p, chunk.len);

		if (ends(s, answer, reply_r))
			return true;
		rest = slice_from(rest, chunk.len);
	}
	return false;
}

static const char *
end_message(struct smtp_session *s, struct smtp_message *m)
{
	int answer = send_macros(s, AT_EOM, NULL) == -1 ? -1 : milter_eom(&s->filter->client);
	const char *reply = judge(s, answer);

	/* Answered: there is nothing left to abort. */
	if (answer != -1)
		s->filter->in_message = false;
	if (reply == NULL && (answer == 'c' || answer == 'a'))
		smtp_apply_edits(s, m, &s->filter->client);
	return reply;
}

const char *
smtp_filter_message(struct smtp_session *s, struct smtp_message *m, size_t own)
{
	const char *reply;

	if (listens(s, &reply) && !send_header_ends(s, m, own, &reply) &&
	    !send_body_ends(s, m, &reply))
		reply = end_message(s, m);
	m->discard = s->filter != NULL && s->filter->discard;
	if (s->filter != NULL && s->filter->quarantine)
		m->quarantine = "the filter is gone";
	return reply;
}
