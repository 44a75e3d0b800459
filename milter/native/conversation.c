/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/native/conversation.h"

#include <stdlib.h>
#include <string.h>

#include "milter/native/commands.h"
#include "milter/session.h"

struct conversation *
conversation_new(const struct conversation_home *home, const struct waiting *waiting)
{
	struct conversation *c = heap_alloc(1, sizeof(*c));

	c->home = home;
	c->waiting = *waiting;
	return c;
}

/* The client is gone: what is kept for it goes. */
static void
end_session(struct conversation *c)
{
	session_free(&c->session);
	replies_forget(c);
	macros_forget_all(&c->macros);
	if (c->counted)
		traffic_session_end(c->home->traffic);
	c->counted = false;
}

void
conversation_free(struct conversation **cp)
{
	struct conversation *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	end_session(c);
	wire_reader_free(&c->reader);
	free(c);
}

uint64_t
conversation_frames(const struct conversation *c)
{
	return c->reader.frames;
}

bool
conversation_has_message(const struct conversation *c)
{
	return (PHASE_BIT(c->phase) & PHASES_OF_MESSAGE) != 0;
}

/* False: we are shutting down. */
static bool
count_session(struct conversation *c)
{
	if (c->counted)
		return true;
	c->counted = true;
	return traffic_session_begin(c->home->traffic);
}

struct session *
conversation_session(struct conversation *c)
{
	struct service *service;

	if (c->session == NULL) {
		service = service_slot_get(c->home->slot);
		c->session = session_new(
		    service, (c->terms.steps & TERMS_LEADING_SPACE) != 0, &c->waiting);
		service_unref(&service);
	}
	return c->session;
}

/* ---- commands that no session hears of ---- */

static int
run_negotiate(struct conversation *c, const struct wire_frame *f)
{
	if (negotiate(f->data, &c->terms, &c->error) != 0)
		return -1;
	if (!count_session(c)) /* as if nobody were listening */
		return conversation_fail(c, "a connection while we shut down");
	agreement_put(&c->terms, c->out);
	return 0;
}

static int
run_macros(struct conversation *c, const struct wire_frame *f)
{
	return macros_set(&c->macros, f->data, &c->error);
}

static int
run_other(struct conversation *c, const struct wire_frame *f)
{
	if (f->command == WIRE_UNKNOWN && f->data.len == 0)
		return conversation_fail(c, "an empty command");
	replies_answer(
	    c, ANSWER_CONTINUE, f->command == WIRE_DATA ? TERMS_NR_DATA : TERMS_NR_UNKNOWN);
	return 0;
}

static int
run_abort(struct conversation *c, const struct wire_frame *f)
{
	(void)f;
	if (c->session != NULL)
		(void)session_abort(c->session);
	return 0;
}

static int
run_quit(struct conversation *c, const struct wire_frame *f)
{
	(void)f;
	c->over = true;
	return 0;
}

static int
run_quit_new(struct conversation *c, const struct wire_frame *f)
{
	(void)f;
	end_session(c);
	return count_session(c) ? 0 : conversation_fail(c, "a connection while we shut down");
}

/* ---- the order of commands ---- */

#define ANY_TIME (~PHASE_BIT(PHASE_START))

static const struct command_row {
	char command;
	unsigned phases; /* where it has its place */
	enum phase next; /* PHASE_START: stay */
	int (*run)(struct conversation *c, const struct wire_frame *f);
} command_rows[] = {
	{ WIRE_HEADER, PHASE_BIT(PHASE_RCPT) | PHASE_BIT(PHASE_HEADER), PHASE_HEADER, run_header },
	{ WIRE_BODY, PHASE_BIT(PHASE_RCPT) | PHASE_BIT(PHASE_BODY), PHASE_BODY, run_body },
	{ WIRE_MACROS, ANY_TIME, PHASE_START, run_macros },
	{ WIRE_MAIL, PHASE_BIT(PHASE_OPEN) | PHASE_BIT(PHASE_IDLE), PHASE_MAIL, run_mail },
	{ WIRE_RCPT, PHASE_BIT(PHASE_MAIL) | PHASE_BIT(PHASE_RCPT), PHASE_RCPT, run_rcpt },
	{ WIRE_DATA, PHASE_BIT(PHASE_RCPT), PHASE_HEADER, run_other },
	{ WIRE_END_OF_HEADERS, PHASE_BIT(PHASE_RCPT) | PHASE_BIT(PHASE_HEADER), PHASE_BODY,
	    run_end_of_headers },
	{ WIRE_END_OF_MESSAGE, PHASE_BIT(PHASE_RCPT) | PHASE_BIT(PHASE_BODY), PHASE_BODY,
	    run_end_of_message },
	{ WIRE_ABORT, PHASES_OF_MESSAGE, PHASE_IDLE, run_abort },
	{ WIRE_CONNECT, PHASE_BIT(PHASE_OPEN), PHASE_IDLE, run_connect },
	{ WIRE_HELO, PHASE_BIT(PHASE_OPEN) | PHASE_BIT(PHASE_IDLE), PHASE_IDLE, run_helo },
	{ WIRE_UNKNOWN, ANY_TIME, PHASE_START, run_other },
	{ WIRE_QUIT, ~0u, PHASE_START, run_quit },
	{ WIRE_QUIT_NEW, ANY_TIME, PHASE_OPEN, run_quit_new },
	{ WIRE_NEGOTIATE, PHASE_BIT(PHASE_START), PHASE_OPEN, run_negotiate },
};

static const struct command_row *
row_of(char command)
{
	for (size_t i = 0; i < sizeof(command_rows) / sizeof(command_rows[0]); i++)
		if (command_rows[i].command == command)
			return &command_rows[i];
	return NULL;
}

int
conversation_fail(struct conversation *c, const char *why)
{
	c->error = why;
	return -1;
}

/* Out of place: what was under way is no message. False: nor is it a beginning. */
static bool
put_in_place(struct conversation *c, const struct command_row *row)
{
	if ((row->phases & PHASE_BIT(c->phase)) != 0)
		return true;
	if (conversation_has_message(c))
		(void)run_abort(c, NULL);
	c->phase = PHASE_IDLE;
	return (row->phases & PHASE_BIT(PHASE_IDLE)) != 0;
}

static int
run_frame(struct conversation *c, const struct wire_frame *f)
{
	const struct command_row *row = row_of(f->command);

	if (row == NULL)
		return conversation_fail(c, "an unknown command");
	if ((row->phases & PHASE_BIT(PHASE_START)) == 0 && c->phase == PHASE_START)
		return conversation_fail(c, "a command before the negotiation");
	if (!put_in_place(c, row))
		return 0;
	if (row->next != PHASE_START)
		c->phase = row->next;
	return row->run(c, f);
}

static enum conversation_state
state_of(const struct conversation *c)
{
	if (c->over || c->error != NULL)
		return CONVERSATION_OVER;
	if (wire_is_inside(&c->reader))
		return CONVERSATION_INSIDE;
	return c->phase == PHASE_START ? CONVERSATION_NEW : CONVERSATION_BETWEEN;
}

enum conversation_state
conversation_feed(
    struct conversation *c, struct slice input, struct wire_output *out, const char **error_r)
{
	struct wire_frame frame;
	enum wire_step step = WIRE_FRAME;

	c->out = out;
	while (!c->over && c->error == NULL &&
	    (step = wire_next(&c->reader, &input, &frame)) == WIRE_FRAME)
		(void)run_frame(c, &frame);
	if (step == WIRE_BAD)
		c->error = c->reader.error;
	c->out = NULL;
	*error_r = c->error;
	return state_of(c);
}
