/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/native/commands.h"
#include "policy/base/bug.h"

/* As libmilter has them. */
#define REPLY_CODE_BYTES 3
#define REPLY_TEXT_BYTES 980 /* with each "%" doubled */

/* ---- struct mta ---- */

static struct slice
with_nul(const char *text)
{
	return slice_of(text, strlen(text) + 1);
}

static int
put(struct conversation *c, char command, const struct slice *parts, size_t count)
{
	size_t len = 0;

	for (size_t i = 0; i < count; i++)
		len += parts[i].len;
	if (!c->at_end || len > c->terms.data_max)
		return -1;
	wire_put(c->out, command, parts, count);
	return 0;
}

static bool
may(const struct conversation *c, uint32_t action)
{
	return (c->terms.actions & action) != 0;
}

/* "4xx" or "5xx" */
static bool
is_code(const char *code)
{
	return strlen(code) == REPLY_CODE_BYTES && (code[0] == '4' || code[0] == '5') &&
	    ascii_is_digit(code[1]) && ascii_is_digit(code[2]);
}

/* "%" is a directive in the reply of a filter: an MTA wants it doubled. */
static size_t
double_percent(char *out, const char *text)
{
	size_t len = 0;

	for (; *text != '\0'; text++) {
		if (*text == '%')
			out[len++] = '%';
		out[len++] = *text;
	}
	out[len] = '\0';
	return len;
}

static int
call_reply(void *ctx, const char *code, const char *enhanced, const char *text)
{
	struct conversation *c = ctx;
	size_t head = strlen(code) + strlen(enhanced) + 2;
	char *reply;

	if (!is_code(code) || strpbrk(text, "\r\n") != NULL)
		return -1;
	reply = heap_alloc(1, head + 2 * strlen(text) + 1);
	(void)snprintf(reply, head + 1, "%s %s ", code, enhanced);
	if (double_percent(reply + head, text) > REPLY_TEXT_BYTES) {
		free(reply);
		return -1;
	}
	free(c->reply);
	c->reply = reply;
	return 0;
}

static int
call_insert_header(void *ctx, int index, const char *name, const char *value)
{
	struct conversation *c = ctx;
	char number[4];
	const struct slice parts[] = {
		wire_number(number, (uint32_t)index),
		with_nul(name),
		/* PITFALLS 13: where values come with their leading blank, ours has one too. */
		(c->terms.steps & TERMS_LEADING_SPACE) != 0 ? SLICE(" ") : SLICE(""),
		with_nul(value),
	};

	if (!may(c, TERMS_ADD_HEADERS) || index < 0 || name[0] == '\0')
		return -1;
	return put(c, WIRE_INSERT_HEADER, parts, 4);
}

static int
call_change_header(void *ctx, const char *name, int index, const char *value)
{
	struct conversation *c = ctx;
	char number[4];
	const struct slice parts[] = {
		wire_number(number, (uint32_t)index),
		with_nul(name),
		with_nul(value == NULL ? "" : value),
	};

	if (!may(c, TERMS_CHANGE_HEADERS) || index < 0 || name[0] == '\0')
		return -1;
	return put(c, WIRE_CHANGE_HEADER, parts, 3);
}

static int
call_quarantine(void *ctx, const char *reason)
{
	struct conversation *c = ctx;
	const struct slice text = with_nul(reason);

	if (!may(c, TERMS_QUARANTINE) || reason[0] == '\0')
		return -1;
	return put(c, WIRE_QUARANTINE, &text, 1);
}

static int
call_progress(void *ctx)
{
	return put(ctx, WIRE_PROGRESS, NULL, 0);
}

static const char *
call_macro(void *ctx, const char *name)
{
	const struct conversation *c = ctx;

	return macros_get(&c->macros, name);
}

const struct mta_calls replies_calls = {
	.reply = call_reply,
	.insert_header = call_insert_header,
	.change_header = call_change_header,
	.quarantine = call_quarantine,
	.progress = call_progress,
	.macro = call_macro,
};

/* ---- answers ---- */

void
replies_forget(struct conversation *c)
{
	free(c->reply);
	c->reply = NULL;
}

/* The reply that was set, if it is of that kind, else the MTA's own words. */
static void
refuse(struct conversation *c, char kind, char command)
{
	struct slice text;

	if (c->reply == NULL || c->reply[0] != kind) {
		wire_put(c->out, command, NULL, 0);
		return;
	}
	text = with_nul(c->reply);
	wire_put(c->out, WIRE_REPLY, &text, 1);
	replies_forget(c);
}

void
replies_answer(struct conversation *c, enum answer answer, uint32_t waived)
{
	if ((c->terms.steps & waived) != 0)
		return;
	switch (answer) {
	case ANSWER_CONTINUE:
		wire_put(c->out, WIRE_CONTINUE, NULL, 0);
		return;
	case ANSWER_SKIP:
		wire_put(c->out, WIRE_SKIP, NULL, 0);
		return;
	case ANSWER_ACCEPT:
		wire_put(c->out, WIRE_ACCEPT, NULL, 0);
		break;
	case ANSWER_REJECT:
		refuse(c, '5', WIRE_REJECT);
		break;
	case ANSWER_TEMPFAIL:
		refuse(c, '4', WIRE_TEMPFAIL);
		break;
	case ANSWER_DISCARD:
		wire_put(c->out, WIRE_DISCARD, NULL, 0);
		break;
	}
	/* Nothing more is to be heard of the message; but a refused recipient is no refused
	 * message. */
	if (c->phase != PHASE_RCPT || answer == ANSWER_ACCEPT)
		c->phase = PHASE_IDLE;
}
