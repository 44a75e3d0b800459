/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "policy/base/bug.h"
#include "policy/base/num.h"
#include "policy/syntax/domain.h"
#include "policy/syntax/lex.h"
#include "policy/syntax/mailbox.h"
#include "tests/harness/postbox/log.h"
#include "tests/harness/postbox/smtp.h"

#define LOCAL_PART_BYTES 64  /* RFC 5321 4.5.3.1.1 */
#define PATH_BYTES	 256 /* RFC 5321 4.5.3.1.3 */

/* ---- addresses ---- */

/* RFC 5321 4.1.2: Dot-string or Quoted-string. *plain: what it means. */
static bool
read_local_part(struct arena *a, struct slice text, struct slice *plain)
{
	struct lex l = lex_over(text);
	struct slice rest = text, atom;

	if (text.len == 0 || text.len > LOCAL_PART_BYTES)
		return false;
	if (lex_peek(&l) == '"') {
		*plain = lex_quoted(&l, a);
		return l.fault == NULL && lex_at_end(&l);
	}
	*plain = text;
	if (text.p[text.len - 1] == '.')
		return false;
	while (slice_next(&rest, '.', &atom)) {
		if (atom.len == 0)
			return false;
		for (size_t i = 0; i < atom.len; i++)
			if (!lex_is_atext(atom.p[i]))
				return false;
	}
	return true;
}

static bool
domain_is_good(struct arena *a, struct slice domain)
{
	struct slice normal;
	const char *why;
	struct ip_address ip;

	if (domain.len > 2 && domain.p[0] == '[' && domain.p[domain.len - 1] == ']') {
		struct slice text = slice_sub(domain, 1, domain.len - 2);

		if (slice_starts_nocase(text, SLICE("IPv6:")))
			text = slice_from(text, 5);
		return ip_parse(text, &ip) == 0;
	}
	return domain_normalize(a, domain, &normal, &why) == 0;
}

/* The end of "<...>" at the beginning of text, or SLICE_NONE: quotes hide a ">". */
static size_t
path_end(struct slice text)
{
	bool quoted = false;

	if (text.len == 0 || text.p[0] != '<')
		return SLICE_NONE;
	for (size_t i = 1; i < text.len; i++) {
		if (quoted && text.p[i] == '\\')
			i++;
		else if (text.p[i] == '"')
			quoted = !quoted;
		else if (text.p[i] == '>' && !quoted)
			return i + 1;
	}
	return SLICE_NONE;
}

const char *
smtp_read_path(struct arena *a, struct slice path, struct smtp_address *out)
{
	struct slice local;

	if (path_end(path) != path.len)
		return "Syntax: address in angle brackets";
	if (path.len > PATH_BYTES)
		return "Path too long";
	out->path = arena_copy(a, path);
	reverse_path_read(a, out->path, &local, &out->domain);
	out->local_part = local;
	out->address = local;
	if (local.len == 0 && out->domain.len == 0)
		return NULL; /* "<>": the caller knows whether it may be */
	if (!read_local_part(a, local, &out->local_part))
		return "Bad address syntax";
	if (out->path.len > 2 && out->path.p[out->path.len - 2] == '@')
		return "Bad domain"; /* "bob@" is no bare name */
	if (out->domain.len == 0)
		return NULL; /* a bare name; as before */
	if (!domain_is_good(a, out->domain))
		return "Bad domain";
	out->address = slice_str(
	    arena_printf(a, "%.*s@%.*s", SLICE_ARG(local), SLICE_ARG(out->domain)));
	return NULL;
}

/*
 * "FROM:<path> parameters" (keyword "FROM:"). NULL, or a fault; *parameters behind it.
 */
static const char *
read_argument(struct arena *a, struct slice rest, struct slice keyword, struct smtp_address *out,
    struct slice *parameters)
{
	struct slice text;
	size_t end;

	if (!slice_starts_nocase(rest, keyword))
		return "Syntax error";
	/* A blank here is wrong (RFC 5321 3.3) and frequent. */
	text = slice_trim(slice_from(rest, keyword.len));
	end = path_end(text);
	if (end == SLICE_NONE || (end < text.len && text.p[end] != ' '))
		return "Syntax: address in angle brackets";
	*parameters = slice_trim(slice_from(text, end));
	return smtp_read_path(a, slice_sub(text, 0, end), out);
}

/* ---- parameters of MAIL ---- */

/* Each answers and returns false, or takes note and returns true. */

static bool
parameter_size(struct smtp_session *s, struct slice value)
{
	uint64_t size;

	if (num_u64(value, 0, UINT64_MAX, &size) == -1) {
		(void)smtp_error(s, "501", "5.5.4", "Bad SIZE");
		return false;
	}
	/* RFC 1870 6.1: refused before it is sent. */
	if (size > s->c->server->options.max_message_bytes) {
		smtp_reply(s, "552", "5.3.4", "Message size exceeds fixed limit");
		return false;
	}
	return true;
}

static bool
parameter_body(struct smtp_session *s, struct slice value)
{
	s->eight_bit = slice_equal_nocase(value, SLICE("8BITMIME"));
	if (s->eight_bit || slice_equal_nocase(value, SLICE("7BIT")))
		return true;
	/* A value that is not implemented is a parameter that is not (as Postfix has it). */
	(void)smtp_error(s, "555", "5.5.4", "Unsupported BODY");
	return false;
}

static bool
parameter_utf8(struct smtp_session *s, struct slice value)
{
	s->smtputf8 = true;
	if (value.len == 0)
		return true;
	(void)smtp_error(s, "501", "5.5.4", "SMTPUTF8 takes no value"); /* RFC 6531 3.4 */
	return false;
}

static bool
parameter_auth(struct smtp_session *s, struct slice value)
{
	if (value.len > 0)
		return true; /* RFC 4954 5: may be ignored; nobody here believes it */
	(void)smtp_error(s, "501", "5.5.4", "Bad AUTH");
	return false;
}

static const struct parameter {
	const char *name;
	bool (*take)(struct smtp_session *s, struct slice value);
} mail_parameters[] = {
	{ "SIZE", parameter_size },
	{ "BODY", parameter_body },
	{ "SMTPUTF8", parameter_utf8 },
	{ "AUTH", parameter_auth },
};

static bool
take_parameter(struct smtp_session *s, struct slice text)
{
	size_t equals = slice_find(text, '=');
	struct slice name = slice_sub(text, 0, equals == SLICE_NONE ? text.len : equals);

	for (size_t i = 0; i < sizeof(mail_parameters) / sizeof(mail_parameters[0]); i++)
		if (s->extended && slice_equal_nocase(name, slice_str(mail_parameters[i].name)))
			return mail_parameters[i].take(s, slice_from(text, name.len + 1));
	/* RFC 5321 4.1.1.11 */
	(void)smtp_error(
	    s, "555", "5.5.4", "Unsupported option: %s", arena_printable(s->c->scratch, text, 100));
	return false;
}

/* ---- MAIL and RCPT ---- */

/* RFC 6531 3.4: only a client that said so sends such addresses. */
static bool
needs_utf8(const struct smtp_session *s, const struct smtp_address *address)
{
	return !s->smtputf8 && !slice_is_ascii(address->path);
}

/* Errors are counted where they were answered; the session ends when there were too many. */
static enum smtp_next
refused_mail(struct smtp_session *s)
{
	smtp_forget_mail(s);
	return s->errors < POSTBOX_ERRORS ? SMTP_GO_ON : SMTP_CLOSE;
}

static void
make_queue_id(struct smtp_session *s)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	/* It is a file's name in the queue: not to be given again in another life. */
	(void)snprintf(s->queue_id, sizeof(s->queue_id), "%llX%05lX%llX%llX",
	    (unsigned long long)now.tv_sec, (unsigned long)(now.tv_nsec / 1000),
	    (unsigned long long)s->c->number, (unsigned long long)++s->messages);
}

enum smtp_next
smtp_mail(struct smtp_session *s, struct slice rest)
{
	struct slice parameters, parameter;
	const char *fault;

	if (s->in_mail) /* RFC 5321 4.1.4 */
		return smtp_error(s, "503", "5.5.1", "Error: nested MAIL command");
	if (s->refusal[0] != '\0')
		return smtp_filter_said(s, s->refusal);
	fault = read_argument(s->mail, rest, SLICE("FROM:"), &s->sender, &parameters);
	if (fault != NULL)
		(void)smtp_error(s, "501", "5.1.7", "%s: MAIL FROM:<address>", fault);
	while (fault == NULL && slice_next(&parameters, ' ', &parameter))
		if (parameter.len > 0 && !take_parameter(s, parameter))
			fault = "answered";
	if (fault == NULL && needs_utf8(s, &s->sender)) {
		(void)smtp_error(s, "550", "5.6.7", "Address needs SMTPUTF8");
		fault = "answered";
	}
	if (fault != NULL)
		return refused_mail(s);
	make_queue_id(s);
	s->in_mail = true;
	fault = smtp_filter_mail(s);
	if (fault != NULL) {
		enum smtp_next next = smtp_filter_said(s, fault);

		smtp_forget_mail(s);
		return next;
	}
	smtp_reply(s, "250", "2.1.0", "Ok");
	return SMTP_GO_ON;
}

static bool
in_networks(const struct ip_address *address, const struct networks *networks)
{
	for (size_t i = 0; i < networks->count; i++)
		if (ip_in_network(address, &networks->list[i]))
			return true;
	return false;
}

/* No open relay. */
static bool
may_relay(const struct smtp_session *s)
{
	const struct server_options *o = &s->c->server->options;

	return o->relay && (s->user != NULL || in_networks(&s->client, &o->relay_for));
}

const char *
smtp_find_recipient(struct smtp_session *s, struct smtp_recipient *r)
{
	const struct server *server = s->c->server;
	const char *address = arena_printable(s->c->scratch, r->to.address, PATH_BYTES);

	r->user = auth_recipient(server, r->to.local_part, r->to.domain);
	if (r->user != NULL)
		return NULL;
	if (r->to.domain.len == 0 || auth_serves(server, r->to.domain))
		return arena_printf(s->c->scratch,
		    "550 5.1.1 <%s>: Recipient address rejected: User unknown", address);
	if (!may_relay(s))
		return arena_printf(s->c->scratch, "554 5.7.1 <%s>: Relay access denied", address);
	return NULL;
}

/* The address is understood: is it taken? */
static enum smtp_next
add_recipient(struct smtp_session *s, struct smtp_recipient *r)
{
	const char *refused;

	if (needs_utf8(s, &r->to))
		return smtp_error(s, "550", "5.6.7", "Address needs SMTPUTF8");
	refused = smtp_find_recipient(s, r);
	if (refused != NULL)
		return smtp_error_reply(s, refused);
	refused = smtp_filter_rcpt(s, r);
	if (refused != NULL)
		return smtp_filter_said(s, refused);
	if (s->recipients == NULL)
		s->recipients = arena_array(s->mail, POSTBOX_RECIPIENTS, sizeof(*r));
	s->recipients[s->recipient_count++] = *r;
	smtp_reply(s, "250", "2.1.5", "Ok");
	return SMTP_GO_ON;
}

enum smtp_next
smtp_rcpt(struct smtp_session *s, struct slice rest)
{
	struct smtp_recipient r = { 0 };
	struct slice parameters;
	const char *fault;

	if (!s->in_mail)
		return smtp_error(s, "503", "5.5.1", "Error: need MAIL command");
	if (s->recipient_count == POSTBOX_RECIPIENTS) /* RFC 5321 4.5.3.1.10 */
		return smtp_error(s, "452", "4.5.3", "Error: too many recipients");
	if (!arena_has_room(s->mail, rest.len * 8))
		return smtp_error(s, "452", "4.3.1", "Error: too much said in one transaction");
	fault = read_argument(s->mail, rest, SLICE("TO:"), &r.to, &parameters);
	if (fault == NULL && r.to.address.len == 0)
		fault = "Empty address";
	if (fault != NULL)
		return smtp_error(s, "501", "5.1.3", "%s: RCPT TO:<address>", fault);
	if (parameters.len > 0)
		return smtp_error(s, "555", "5.5.4", "Unsupported option: %s",
		    arena_printable(s->c->scratch, parameters, 100));
	return add_recipient(s, &r);
}

/* ---- XCLIENT, as Postfix has it: tests say who the client is ---- */

bool
smtp_xclient_allowed(const struct smtp_session *s)
{
	return in_networks(&s->c->peer, &s->c->server->options.xclient);
}

/* xtext (RFC 3461 4): "+" and two hex digits. -1: not that, or too long, or not printable. */
static int
xtext_decode(struct slice text, char *out, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];

		if (c == '+') {
			if (i + 2 >= text.len || ascii_hex(text.p[i + 1]) < 0 ||
			    ascii_hex(text.p[i + 2]) < 0)
				return -1;
			c = (char)(ascii_hex(text.p[i + 1]) * 16 + ascii_hex(text.p[i + 2]));
			i += 2;
		}
		if (c <= ' ' || c > '~' || len + 1 >= size)
			return -1;
		out[len++] = c;
	}
	out[len] = '\0';
	return 0;
}

static int
xclient_addr(struct smtp_session *s, struct slice value)
{
	if (slice_starts_nocase(value, SLICE("IPV6:")))
		value = slice_from(value, 5);
	return ip_parse(value, &s->client);
}

static int
xclient_port(struct smtp_session *s, struct slice value)
{
	uint32_t port;

	if (num_u32(value, 0, UINT16_MAX, &port) == -1)
		return -1;
	s->client_port = (uint16_t)port;
	return 0;
}

static int
xclient_name(struct smtp_session *s, struct slice value)
{
	memcpy(s->client_name, value.p, value.len + 1);
	return 0;
}

static int
xclient_helo(struct smtp_session *s, struct slice value)
{
	memcpy(s->helo, value.p, value.len + 1);
	return 0;
}

static int
xclient_proto(struct smtp_session *s, struct slice value)
{
	s->extended = slice_equal_nocase(value, SLICE("ESMTP"));
	return s->extended || slice_equal_nocase(value, SLICE("SMTP")) ? 0 : -1;
}

static int
xclient_login(struct smtp_session *s, struct slice value)
{
	s->user = auth_recipient(s->c->server, value, slice_of(NULL, 0));
	s->mechanism = "XCLIENT";
	return s->user == NULL ? -1 : 0;
}

static const struct xclient_attribute {
	const char *name;
	int (*take)(struct smtp_session *s, struct slice value);
} xclient_attributes[] = {
	{ "NAME", xclient_name },
	{ "ADDR", xclient_addr },
	{ "PORT", xclient_port },
	{ "PROTO", xclient_proto },
	{ "HELO", xclient_helo },
	{ "LOGIN", xclient_login },
};

static int
take_attribute(struct smtp_session *s, struct slice text)
{
	size_t equals = slice_find(text, '=');
	char value[SMTP_NAME_BYTES];

	if (equals == SLICE_NONE ||
	    xtext_decode(slice_from(text, equals + 1), value, sizeof(value)) == -1)
		return -1;
	if (strcasecmp(value, "[UNAVAILABLE]") == 0 || strcasecmp(value, "[TEMPUNAVAIL]") == 0)
		return 0;
	for (size_t i = 0; i < sizeof(xclient_attributes) / sizeof(xclient_attributes[0]); i++)
		if (slice_equal_nocase(
			slice_sub(text, 0, equals), slice_str(xclient_attributes[i].name)))
			return xclient_attributes[i].take(s, slice_str(value));
	return -1;
}

enum smtp_next
smtp_xclient(struct smtp_session *s, struct slice rest)
{
	struct slice attribute, again = rest;
	struct smtp_session trial = *s;
	const char *refused;

	if (!smtp_xclient_allowed(s))
		return smtp_error(s, "550", "5.7.0", "Error: insufficient authorization");
	if (rest.len == 0)
		return smtp_error(s, "501", "5.5.4", "Syntax: XCLIENT attribute=value...");
	/* All or nothing: a client that is refused stays who it was. */
	while (slice_next(&rest, ' ', &attribute))
		if (attribute.len > 0 && take_attribute(&trial, attribute) == -1)
			return smtp_error(s, "501", "5.5.4", "Bad XCLIENT attribute: %s",
			    arena_printable(s->c->scratch, attribute, 100));
	smtp_forget_client(s);
	while (slice_next(&again, ' ', &attribute))
		if (attribute.len > 0 && take_attribute(s, attribute) == -1)
			bug("smtp_xclient: good at first");
	/* Another client: another session for the filter. */
	smtp_filter_close(s);
	smtp_filter_open(s);
	refused = smtp_filter_connect(s);
	(void)snprintf(s->refusal, sizeof(s->refusal), "%s", refused == NULL ? "" : refused);
	smtp_reply(s, "220", NULL, "%s ESMTP postbox", s->c->server->options.hostname);
	return SMTP_GO_ON;
}
