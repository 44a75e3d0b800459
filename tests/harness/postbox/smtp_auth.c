/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/postbox/log.h"
#include "tests/harness/postbox/smtp.h"

bool
smtp_auth_allowed(const struct smtp_session *s)
{
	return stream_tls(s->c->stream) != NULL || s->c->server->options.allow_plain_auth;
}

enum answer { ANSWERED, REFUSED, GONE };

/* Prompt, and the client's line (scratch). REFUSED and GONE: *next_r is what to return. */
static enum answer
ask(struct smtp_session *s, const char *prompt, struct slice *answer, enum smtp_next *next_r)
{
	enum stream_status status;

	stream_printf(s->c->stream, "334 %s\r\n", prompt);
	status = stream_line(s->c->stream, POSTBOX_AUTH_LINE_BYTES, answer);
	switch (status) {
	case STREAM_OK:
		break;
	case STREAM_TOO_LONG: /* RFC 4954 4 */
		*next_r = smtp_error(s, "500", "5.5.6", "Authentication exchange line is too long");
		return REFUSED;
	case STREAM_BARE:
		*next_r = smtp_error(s, "501", "5.5.2", "Error: bare CR or LF");
		return REFUSED;
	case STREAM_EOF:
	case STREAM_TIMEOUT:
	case STREAM_ERROR:
		*next_r = smtp_gone(s, status);
		return GONE;
	}
	if (slice_equal(*answer, SLICE("*"))) { /* RFC 4954 4: the client cancels */
		*next_r = smtp_error(s, "501", "5.7.0", "Authentication aborted");
		return REFUSED;
	}
	*answer = arena_copy(s->c->scratch, *answer);
	return ANSWERED;
}

static enum smtp_next
finish(struct smtp_session *s, const char *mechanism, const struct user *user, bool malformed)
{
	if (malformed)
		return smtp_error(s, "501", "5.5.2", "Cannot decode response");
	if (user == NULL) {
		log_line(s->c, "AUTH %s: refused", mechanism);
		return smtp_error(s, "535", "5.7.8", "Authentication credentials invalid");
	}
	s->user = user;
	s->mechanism = mechanism;
	smtp_reply(s, "235", "2.7.0", "Authentication successful");
	return SMTP_GO_ON;
}

static enum smtp_next
auth_plain(struct smtp_session *s, struct slice response)
{
	enum smtp_next next;
	const struct user *user;
	bool malformed;

	if (response.len == 0 && ask(s, "", &response, &next) != ANSWERED)
		return next;
	user = sasl_plain_check(s->c->scratch, s->c->server, response, &malformed);
	return finish(s, "PLAIN", user, malformed);
}

static enum smtp_next
auth_login(struct smtp_session *s, struct slice response)
{
	struct slice name, password;
	enum smtp_next next;

	if (response.len == 0 && ask(s, SASL_LOGIN_NAME, &response, &next) != ANSWERED)
		return next;
	if (sasl_login_decode(s->c->scratch, response, &name) == -1)
		return finish(s, "LOGIN", NULL, true);
	if (ask(s, SASL_LOGIN_PASSWORD, &response, &next) != ANSWERED)
		return next;
	if (sasl_login_decode(s->c->scratch, response, &password) == -1)
		return finish(s, "LOGIN", NULL, true);
	return finish(s, "LOGIN", auth_check(s->c->server, name, password), false);
}

static const struct mechanism {
	const char *name;
	enum smtp_next (*run)(struct smtp_session *s, struct slice response);
} mechanisms[] = {
	{ "PLAIN", auth_plain },
	{ "LOGIN", auth_login },
};

enum smtp_next
smtp_auth(struct smtp_session *s, struct slice rest)
{
	size_t space = slice_find(rest, ' ');
	struct slice name = slice_sub(rest, 0, space == SLICE_NONE ? rest.len : space);
	struct slice response = slice_trim(slice_from(rest, name.len));

	if (!s->extended) /* RFC 4954 3: an extension needs EHLO */
		return smtp_error(s, "503", "5.5.1", "Error: send EHLO first");
	if (s->user != NULL) /* RFC 4954 4 */
		return smtp_error(s, "503", "5.5.1", "Error: already authenticated");
	if (!smtp_auth_allowed(s))
		return smtp_error(s, "530", "5.7.0", "Must issue a STARTTLS command first");
	if (name.len == 0)
		return smtp_error(s, "501", "5.5.4", "Syntax: AUTH mechanism");
	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
		if (slice_equal_nocase(name, slice_str(mechanisms[i].name)))
			return mechanisms[i].run(s, response);
	return smtp_error(s, "504", "5.5.4", "Unrecognized authentication type");
}
