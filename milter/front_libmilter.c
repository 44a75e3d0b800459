/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What libmilter does, as far as it shaped this file (8.17.1, built with its worker pool):
 * - Callbacks of one connection come from different threads, one at a time: all state hangs on the
 *   connection (smfi_setpriv()).
 * - "No reply" (SMFIP_NR_*) is always to be had: where the MTA doesn't know it, libmilter answers
 *   "continue" by itself. A filter that negotiated it must answer SMFIS_NOREPLY.
 * - MAIL may come without CONNECT, if the peer talks nonsense: session_of() copes.
 * - SMFIC_QUIT_NC ("quit, new connection follows") is a close without a negotiation behind it, and
 *   a close doesn't say which of both it is. What was negotiated last is kept for that case.
 *   libmilter ignores QUIT_NC, and the CONNECT behind it, after a message that was refused; an MTA
 *   that shares channels so (Postfix and Sendmail don't) would have the next client taken for the
 *   last one.
 */
#include <libmilter/mfapi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/front.h"
#include "milter/session.h"
#include "milter/signals.h"
#include "milter/terms.h"

/* One connection of the MTA. */
struct connection_link {
	SMFICTX *ctx;
	struct session *session;  /* NULL before the first callback that needs it */
	unsigned long negotiated; /* of TERMS_IF_OFFERED */
	bool welcome;		  /* we were not shutting down when it came */
};

/* libmilter hands callbacks no word of ours but by globals. Set once, before it runs. */
static struct service_slot *front_slot;
static struct traffic *front_traffic;
static atomic_ulong last_negotiated;

/* ---- struct mta over libmilter ---- */

/* smfi_setreply() takes "%" for a directive of its own and wants it doubled. */
static char *
double_percent(const char *text)
{
	char *doubled = heap_alloc(2, strlen(text) + 1);
	char *out = doubled;

	for (; *text != '\0'; text++) {
		if (*text == '%')
			*out++ = '%';
		*out++ = *text;
	}
	*out = '\0';
	return doubled;
}

/* libmilter's prototypes lack const; it copies and changes nothing. */
static char *
unconst(const char *text)
{
	return (char *)(uintptr_t)text;
}

static int
call_reply(void *ctx, const char *code, const char *enhanced, const char *text)
{
	const struct connection_link *link = ctx;
	char *doubled = double_percent(text);
	int ok = smfi_setreply(link->ctx, unconst(code), unconst(enhanced), doubled);

	free(doubled);
	return ok == MI_SUCCESS ? 0 : -1;
}

static int
call_insert_header(void *ctx, int index, const char *name, const char *value)
{
	const struct connection_link *link = ctx;
	/* PITFALLS 13: with SMFIP_HDR_LEADSPC the blank behind the colon is ours to write. */
	const char *blank = (link->negotiated & TERMS_LEADING_SPACE) != 0 ? " " : "";
	size_t size = strlen(value) + 2;
	char *text = heap_alloc(1, size);
	int ok;

	(void)snprintf(text, size, "%s%s", blank, value);
	ok = smfi_insheader(link->ctx, index, unconst(name), text);
	free(text);
	return ok == MI_SUCCESS ? 0 : -1;
}

static int
call_change_header(void *ctx, const char *name, int index, const char *value)
{
	const struct connection_link *link = ctx;

	return smfi_chgheader(link->ctx, unconst(name), index, unconst(value)) == MI_SUCCESS ? 0
											     : -1;
}

static int
call_quarantine(void *ctx, const char *reason)
{
	const struct connection_link *link = ctx;

	return smfi_quarantine(link->ctx, unconst(reason)) == MI_SUCCESS ? 0 : -1;
}

static int
call_progress(void *ctx)
{
	const struct connection_link *link = ctx;

	return smfi_progress(link->ctx) == MI_SUCCESS ? 0 : -1;
}

static const char *
call_macro(void *ctx, const char *name)
{
	const struct connection_link *link = ctx;

	return smfi_getsymval(link->ctx, unconst(name));
}

static const struct mta_calls libmilter_calls = {
	.reply = call_reply,
	.insert_header = call_insert_header,
	.change_header = call_change_header,
	.quarantine = call_quarantine,
	.progress = call_progress,
	.macro = call_macro,
};

/* ---- callbacks ---- */

static sfsistat
status_of(enum answer answer, sfsistat cont)
{
	switch (answer) {
	case ANSWER_CONTINUE:
		return cont;
	case ANSWER_ACCEPT:
		return SMFIS_ACCEPT;
	case ANSWER_REJECT:
		return SMFIS_REJECT;
	case ANSWER_TEMPFAIL:
		return SMFIS_TEMPFAIL;
	case ANSWER_DISCARD:
		return SMFIS_DISCARD;
	case ANSWER_SKIP:
		return SMFIS_SKIP;
	}
	bug("front: answer %d", (int)answer);
}

static struct connection_link *
link_of(SMFICTX *ctx)
{
	struct connection_link *link = smfi_getpriv(ctx);

	if (link == NULL) {
		link = heap_alloc(1, sizeof(*link));
		link->ctx = ctx;
		link->negotiated = atomic_load(&last_negotiated);
		link->welcome = traffic_session_begin(front_traffic);
		(void)smfi_setpriv(ctx, link);
	}
	return link;
}

/* Also sets *mta. */
static struct session *
session_of(SMFICTX *ctx, struct mta *mta)
{
	struct connection_link *link = link_of(ctx);
	struct service *service;

	*mta = (struct mta){ &libmilter_calls, link };
	if (link->session == NULL) {
		service = service_slot_get(front_slot);
		link->session = session_new(
		    service, (link->negotiated & TERMS_LEADING_SPACE) != 0, NULL);
		service_unref(&service);
	}
	return link->session;
}

/* Both number the stages of a session, each its own way. */
static void
ask_for_macros(SMFICTX *ctx)
{
	static const struct {
		int theirs;
		enum terms_stage ours;
	} stages[] = {
		{ SMFIM_CONNECT, STAGE_CONNECT },
		{ SMFIM_HELO, STAGE_HELO },
		{ SMFIM_ENVFROM, STAGE_MAIL },
		{ SMFIM_ENVRCPT, STAGE_RCPT },
		{ SMFIM_DATA, STAGE_DATA },
		{ SMFIM_EOM, STAGE_END_OF_MESSAGE },
		{ SMFIM_EOH, STAGE_END_OF_HEADERS },
	};

	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		(void)smfi_setsymlist(ctx, stages[i].theirs, unconst(terms_macros[stages[i].ours]));
}

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long f2,
    unsigned long f3, unsigned long *actions_r, unsigned long *steps_r, unsigned long *f2_r,
    unsigned long *f3_r)
{
	struct connection_link *link = link_of(ctx);

	(void)f2;
	(void)f3;
	*f2_r = *f3_r = 0;
	if (!link->welcome)
		return SMFIS_REJECT; /* shutting down: as if nobody were listening */
	link->negotiated = steps & TERMS_IF_OFFERED;
	atomic_store(&last_negotiated, link->negotiated);
	/* libmilter refuses an MTA that does not offer what is needed, and logs it. */
	*actions_r = TERMS_ACTIONS_NEEDED | (actions & TERMS_ACTIONS_OFFERED);
	*steps_r = TERMS_NO_REPLY | TERMS_NO_STEP | link->negotiated;
	if ((actions & TERMS_SET_MACROS) != 0)
		ask_for_macros(ctx);
	return SMFIS_CONTINUE;
}

static sfsistat
on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
	struct ip_address client = ip_from_sockaddr((const struct sockaddr *)address);
	struct mta mta;
	struct session *s = session_of(ctx, &mta);

	return status_of(session_connect(s, &mta, host, &client), SMFIS_NOREPLY);
}

static sfsistat
on_helo(SMFICTX *ctx, char *helo)
{
	struct mta mta;
	struct session *s = session_of(ctx, &mta);

	return status_of(session_helo(s, &mta, helo), SMFIS_NOREPLY);
}

static sfsistat
on_mail(SMFICTX *ctx, char **argv)
{
	struct mta mta;
	struct session *s = session_of(ctx, &mta);

	return status_of(session_mail(s, &mta, argv[0]), SMFIS_NOREPLY);
}

static sfsistat
on_rcpt(SMFICTX *ctx, char **argv)
{
	struct mta mta;
	struct session *s = session_of(ctx, &mta);

	return status_of(session_rcpt(s, &mta, argv[0]), SMFIS_NOREPLY);
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	struct mta mta;
	struct session *s = session_of(ctx, &mta);

	return status_of(session_header(s, &mta, name, value), SMFIS_NOREPLY);
}

static sfsistat
on_end_of_headers(SMFICTX *ctx)
{
	struct mta mta;
	struct session *s = session_of(ctx, &mta);

	return status_of(session_end_of_headers(s, &mta), SMFIS_NOREPLY);
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *bytes, size_t len)
{
	struct mta mta;
	struct session *s = session_of(ctx, &mta);
	bool may_skip = (link_of(ctx)->negotiated & TERMS_SKIP) != 0;
	enum answer answer = session_body(s, &mta, slice_of((const char *)bytes, len));

	if (answer == ANSWER_SKIP && !may_skip)
		answer = ANSWER_CONTINUE; /* then the rest comes, and is not looked at */
	return status_of(answer, SMFIS_CONTINUE);
}

static sfsistat
on_end_of_message(SMFICTX *ctx)
{
	struct mta mta;
	struct session *s = session_of(ctx, &mta);

	return status_of(session_end_of_message(s, &mta), SMFIS_CONTINUE);
}

static sfsistat
on_abort(SMFICTX *ctx)
{
	struct mta mta;

	return status_of(session_abort(session_of(ctx, &mta)), SMFIS_CONTINUE);
}

static sfsistat
on_close(SMFICTX *ctx)
{
	struct connection_link *link = smfi_getpriv(ctx);

	if (link != NULL) {
		(void)smfi_setpriv(ctx, NULL);
		session_free(&link->session);
		traffic_session_end(front_traffic);
		free(link);
	}
	return SMFIS_CONTINUE;
}

static int
libmilter_open(
    struct service_slot *slot, struct traffic *traffic, const char *address, uint32_t timeout_s)
{
	const struct smfiDesc description = {
		.xxfi_name = unconst("assayd"),
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = TERMS_ACTIONS_NEEDED | TERMS_ACTIONS_OFFERED,
		.xxfi_connect = on_connect,
		.xxfi_helo = on_helo,
		.xxfi_envfrom = on_mail,
		.xxfi_envrcpt = on_rcpt,
		.xxfi_header = on_header,
		.xxfi_eoh = on_end_of_headers,
		.xxfi_body = on_body,
		.xxfi_eom = on_end_of_message,
		.xxfi_abort = on_abort,
		.xxfi_close = on_close,
		.xxfi_negotiate = on_negotiate,
	};

	front_slot = slot;
	front_traffic = traffic;
	if (smfi_register(description) != MI_SUCCESS ||
	    smfi_setconn(unconst(address)) != MI_SUCCESS ||
	    smfi_settimeout((int)timeout_s) != MI_SUCCESS || smfi_opensocket(false) != MI_SUCCESS)
		return -1;
	return 0;
}

static int
libmilter_run(void)
{
	return smfi_main() == MI_SUCCESS ? 0 : -1;
}

static const char *
libmilter_trouble(uint32_t wait_ms)
{
	return signals_libmilter_is_deaf(wait_ms)
	    ? NULL
	    : "this libmilter can't be kept from taking SIGHUP for an order to stop";
}

/*
 * libmilter's own stop is not used: it frees sessions under the feet of its workers. on_negotiate()
 * refuses what comes now.
 */
static bool
libmilter_stop(void)
{
	return false;
}

const struct front front_libmilter = {
	.name = "libmilter",
	.open = libmilter_open,
	.run = libmilter_run,
	.trouble = libmilter_trouble,
	.stop = libmilter_stop,
};
