/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/native/commands.h"

#include <string.h>

#define FAMILY_UNKNOWN 'U'
#define FAMILY_UNIX    'L'
#define FAMILY_INET    '4'
#define FAMILY_INET6   '6'
#define PORT_BYTES     2

static struct mta
mta_of(struct conversation *c)
{
	return (struct mta){ &replies_calls, c };
}

/* The text at the head of *rest up to its NUL, behind which *rest moves; NULL: there is no NUL. */
static const char *
take_text(struct slice *rest)
{
	size_t end = slice_find(*rest, '\0');
	const char *text = rest->p;

	if (end == SLICE_NONE)
		return NULL;
	*rest = slice_from(*rest, end + 1);
	return text;
}

/* Sendmail writes "IPv6:" before an address of that family. */
static int
parse_address(char family, struct slice text, struct ip_address *out)
{
	if (family == FAMILY_INET6 && slice_starts_nocase(text, SLICE("IPv6:")))
		text = slice_from(text, 5);
	if ((slice_find(text, ':') != SLICE_NONE) != (family == FAMILY_INET6))
		return -1;
	return ip_parse(text, out);
}

/* host NUL family, and, unless it is unknown, port address NUL. */
int
run_connect(struct conversation *c, const struct wire_frame *f)
{
	struct ip_address client = { .family = IP_NONE };
	struct slice rest = f->data;
	const char *host = take_text(&rest), *address = NULL;
	struct mta mta = mta_of(c);
	char family;

	macros_forget_after(&c->macros, STAGE_CONNECT);
	if (host == NULL || rest.len == 0)
		return conversation_fail(c, "a CONNECT that is too short");
	family = rest.p[0];
	rest = slice_from(rest, 1 + PORT_BYTES);
	if (family != FAMILY_UNKNOWN) {
		address = take_text(&rest);
		if (address == NULL)
			return conversation_fail(c, "a CONNECT without an address");
	}
	if (family == FAMILY_INET || family == FAMILY_INET6) {
		if (parse_address(family, slice_str(address), &client) != 0)
			return conversation_fail(c, "a CONNECT with a bad address");
	} else if (family != FAMILY_UNKNOWN && family != FAMILY_UNIX) {
		return conversation_fail(c, "a CONNECT of an unknown family");
	}
	replies_answer(
	    c, session_connect(conversation_session(c), &mta, host, &client), TERMS_NR_CONNECT);
	return 0;
}

int
run_helo(struct conversation *c, const struct wire_frame *f)
{
	struct slice rest = f->data;
	const char *helo = take_text(&rest);
	struct mta mta = mta_of(c);

	macros_forget_after(&c->macros, STAGE_HELO);
	if (helo == NULL)
		return conversation_fail(c, "a HELO without end");
	replies_answer(c, session_helo(conversation_session(c), &mta, helo), TERMS_NR_HELO);
	return 0;
}

/* Parameters of the command may stand behind the address, each with its NUL. */
int
run_mail(struct conversation *c, const struct wire_frame *f)
{
	struct slice rest = f->data;
	const char *path = take_text(&rest);
	struct mta mta = mta_of(c);

	macros_forget_after(&c->macros, STAGE_MAIL);
	if (path == NULL)
		return conversation_fail(c, "a MAIL without end");
	replies_answer(c, session_mail(conversation_session(c), &mta, path), TERMS_NR_MAIL);
	return 0;
}

int
run_rcpt(struct conversation *c, const struct wire_frame *f)
{
	struct slice rest = f->data;
	const char *path = take_text(&rest);
	struct mta mta = mta_of(c);

	macros_forget_after(&c->macros, STAGE_RCPT);
	if (path == NULL)
		return conversation_fail(c, "a RCPT without end");
	replies_answer(c, session_rcpt(conversation_session(c), &mta, path), TERMS_NR_RCPT);
	return 0;
}

int
run_header(struct conversation *c, const struct wire_frame *f)
{
	struct slice rest = f->data;
	const char *name = take_text(&rest);
	const char *value = take_text(&rest);
	struct mta mta = mta_of(c);

	if (name == NULL || name[0] == '\0' || value == NULL)
		return conversation_fail(c, "a header field without name or value");
	replies_answer(
	    c, session_header(conversation_session(c), &mta, name, value), TERMS_NR_HEADER);
	return 0;
}

int
run_end_of_headers(struct conversation *c, const struct wire_frame *f)
{
	struct mta mta = mta_of(c);

	(void)f;
	replies_answer(c, session_end_of_headers(conversation_session(c), &mta), TERMS_NR_EOH);
	return 0;
}

/* A piece of the body. */
static enum answer
body_piece(struct conversation *c, struct slice piece)
{
	struct mta mta = mta_of(c);
	enum answer answer = session_body(conversation_session(c), &mta, piece);

	/* Then the rest comes, and is not looked at. */
	if (answer == ANSWER_SKIP && (c->terms.steps & TERMS_SKIP) == 0)
		return ANSWER_CONTINUE;
	return answer;
}

/* However often a chunk is cut, it gets one answer: that of its last piece, which knows all. */
int
run_body(struct conversation *c, const struct wire_frame *f)
{
	enum answer answer;

	if (f->data.len == 0)
		return conversation_fail(c, "an empty piece of a body");
	answer = body_piece(c, f->data);
	if (f->last)
		replies_answer(c, answer, TERMS_NR_BODY);
	return 0;
}

/* The last of the body may come with it; it has no answer of its own. */
int
run_end_of_message(struct conversation *c, const struct wire_frame *f)
{
	struct mta mta = mta_of(c);
	enum answer answer;

	if (f->data.len > 0)
		(void)body_piece(c, f->data);
	if (!f->last)
		return 0;
	c->at_end = true;
	answer = session_end_of_message(conversation_session(c), &mta);
	c->at_end = false;
	c->phase = PHASE_IDLE;
	replies_answer(c, answer, 0);
	return 0;
}
