/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/session.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "milter/apply.h"
#include "milter/log.h"
#include "milter/log_message.h"
#include "milter/service.h"
#include "policy/base/limits.h"
#include "policy/stamp.h"

/* A wait at the end of a message is told to the MTA, once in this time: whatever waits there (DNS,
 * a signature, the store) may take longer than the MTA has patience, Sendmail's being 10 s. */
#define PROGRESS_EVERY_MS 2000

struct message { /* all of it is zeroed between messages */
	bool under_way;
	bool awaited;		       /* a shutdown waits for it */
	const char *skipped;	       /* why it is not evaluated; NULL: it is */
	struct evaluation *evaluation; /* NULL when skipped */
	struct outgoing *outgoing;     /* NULL: not ours to sign */
	struct sealing *sealing;       /* NULL: not sealed */
	uint64_t began_ms;
	const struct mta *ending; /* NULL: its end has not come */
	uint64_t progress_ms;	  /* the next one is told then; 0: none has been */
	struct slice from, to;
	size_t recipients;
	struct slice recipient_list[LIMIT_RECIPIENTS]; /* the first of them */
	struct edits edits;
};

struct session {
	struct service *service;
	struct arena *arena; /* of the message; reset between messages */
	bool leading_space;
	struct waiting waiting; /* ours, which tells the front's */
	struct waiting front;
	struct ip_address client;
	char host[LIMIT_HELO_BYTES + 1];
	char helo[LIMIT_HELO_BYTES + 1];
	struct message message;
};

static const struct disposition skipped_disposition = {
	.action = ACTION_ACCEPT,
	.cause = CAUSE_NONE,
	.explanation = "",
	.policy_applied = DMARC_P_NONE,
};

static uint64_t
monotonic_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int64_t
wall_clock_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

/* At the end of a message, however it came. */
static void
message_end(struct session *s)
{
	evaluation_end(&s->message.evaluation);
	outgoing_end(&s->message.outgoing);
	sealing_end(&s->message.sealing);
	if (s->message.awaited)
		traffic_message_end(service_traffic(s->service));
	s->message = (struct message){ 0 };
	arena_reset(s->arena);
}

static void
on_wait(void *ctx)
{
	struct session *s = ctx;
	struct message *m = &s->message;
	uint64_t now = m->ending == NULL ? 0 : monotonic_ms();

	if (m->ending != NULL && now >= m->progress_ms) {
		(void)m->ending->calls->progress(m->ending->ctx);
		m->progress_ms = now + PROGRESS_EVERY_MS;
	}
	waiting_begin(&s->front);
}

static void
on_wait_over(void *ctx)
{
	struct session *s = ctx;

	waiting_end(&s->front);
}

struct session *
session_new(struct service *service, bool leading_space, const struct waiting *waiting)
{
	struct session *s = heap_alloc(1, sizeof(*s));

	s->service = service_ref(service);
	s->arena = arena_new(LIMIT_MESSAGE_MEMORY);
	s->leading_space = leading_space;
	s->waiting = (struct waiting){ on_wait, on_wait_over, s };
	if (waiting != NULL)
		s->front = *waiting;
	return s;
}

void
session_free(struct session **sp)
{
	struct session *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	(void)session_abort(s);
	arena_free(&s->arena);
	service_unref(&s->service);
	free(s);
}

static void
keep_text(char kept[LIMIT_HELO_BYTES + 1], const char *text)
{
	size_t len = text == NULL ? 0 : strnlen(text, LIMIT_HELO_BYTES);

	if (len > 0)
		memcpy(kept, text, len);
	kept[len] = '\0';
}

enum answer
session_connect(
    struct session *s, const struct mta *mta, const char *host, const struct ip_address *client)
{
	(void)mta;
	keep_text(s->host, host);
	s->client = *client;
	return ANSWER_CONTINUE;
}

enum answer
session_helo(struct session *s, const struct mta *mta, const char *helo)
{
	(void)mta;
	keep_text(s->helo, helo);
	return ANSWER_CONTINUE;
}

static bool
is_trusted(const struct conf *conf, const struct ip_address *client)
{
	for (size_t i = 0; i < conf->trusted_network_count; i++)
		if (ip_in_network(client, &conf->trusted_networks[i]))
			return true;
	return false;
}

static bool
is_authenticated(const struct mta *mta)
{
	const char *type = mta->calls->macro(mta->ctx, "{auth_type}");
	const char *authen = mta->calls->macro(mta->ctx, "{auth_authen}");

	return (type != NULL && type[0] != '\0') || (authen != NULL && authen[0] != '\0');
}

/* Mail of our own people says nothing about who sends it to us; only its fields are looked at. */
static const char *
why_skip(const struct session *s, const struct mta *mta)
{
	const struct conf *conf = service_conf(s->service);

	if (s->client.family == IP_NONE)
		return "no client address";
	if (is_trusted(conf, &s->client))
		return "trusted network";
	if (conf->skip_authenticated && is_authenticated(mta))
		return "authenticated";
	return NULL;
}

static struct outgoing *
begin_outgoing(const struct session *s, const struct mta *mta)
{
	struct outgoing_parts parts = service_outgoing(s->service);
	struct slice login = slice_str(mta->calls->macro(mta->ctx, "{auth_authen}"));

	parts.blanks_unknown = !s->leading_space;
	return outgoing_begin(s->arena, &parts, &s->client, is_authenticated(mta), login);
}

/* Who logs in on one of our own hosts (webmail) wrote what it sends, results included. */
static struct sealing *
begin_sealing(const struct session *s, const struct mta *mta)
{
	struct outgoing_parts parts = service_outgoing(s->service);
	bool own_host = is_trusted(service_conf(s->service), &s->client) && !is_authenticated(mta);

	return sealing_begin(s->arena, &parts, s->message.skipped == NULL, own_host);
}

enum answer
session_mail(struct session *s, const struct mta *mta, const char *reverse_path)
{
	struct message *m = &s->message;
	const struct connection connection = { s->client, slice_str(s->helo) };

	(void)session_abort(s); /* an MTA that did not say how the last one ended */
	m->under_way = true;
	m->awaited = traffic_message_begin(service_traffic(s->service));
	m->began_ms = monotonic_ms();
	m->from = arena_copy(s->arena, slice_str(reverse_path));
	m->outgoing = begin_outgoing(s, mta);
	m->skipped = why_skip(s, mta);
	m->sealing = begin_sealing(s, mta);
	if (m->skipped != NULL) {
		atomic_fetch_add(&service_traffic(s->service)->skipped, 1);
		return ANSWER_CONTINUE;
	}
	m->evaluation = evaluation_begin(service_evaluator(s->service), s->arena, &connection);
	evaluation_tell_waits(m->evaluation, &s->waiting);
	/* Whatever SPF says, nothing is refused here: DKIM may still rescue it (RFC 9989 7.1). */
	evaluation_mail_from(m->evaluation, m->from, wall_clock_s());
	return ANSWER_CONTINUE;
}

enum answer
session_rcpt(struct session *s, const struct mta *mta, const char *recipient)
{
	struct message *m = &s->message;

	(void)mta;
	if (m->under_way && m->recipients++ < LIMIT_RECIPIENTS)
		m->recipient_list[m->recipients - 1] = arena_copy(s->arena, slice_str(recipient));
	m->to = m->recipient_list[0];
	if (s->message.sealing != NULL)
		sealing_recipient(s->message.sealing, slice_str(recipient));
	return ANSWER_CONTINUE;
}

/*
 * Without SMFIP_HDR_LEADSPC the MTA has taken exactly one SP away (PITFALLS 13). Where there is no
 * room to put it back the value stays without: nobody has room for it then.
 */
static struct slice
wire_value(const struct session *s, struct slice value)
{
	if (s->leading_space || !arena_has_room(s->arena, value.len + 2))
		return value;
	return arena_join(s->arena, SLICE(" "), value);
}

/* Beyond a limit nothing more is taken; the verdict names it and is a tempfail. */
static void
evaluate_field(struct session *s, struct slice name, struct slice value)
{
	struct evaluation *ev = s->message.evaluation;

	if (s->message.edits.full)
		evaluation_give_up(ev, "fields to be removed");
	else if (arena_has_room(s->arena, value.len + 2))
		(void)evaluation_header(ev, name, value);
	else
		evaluation_give_up(ev, "memory of one message");
}

enum answer
session_header(
    struct session *s, const struct mta *mta, const char *name_text, const char *value_text)
{
	struct slice name = slice_str(name_text), value = slice_str(value_text);
	struct message *m = &s->message;

	(void)mta;
	if (!m->under_way)
		return ANSWER_CONTINUE;
	edits_note(&m->edits, s->arena, service_conf(s->service), name, value);
	value = wire_value(s, value);
	if (m->outgoing != NULL)
		outgoing_header(m->outgoing, name, value);
	if (m->sealing != NULL)
		sealing_header(m->sealing, name, value);
	if (m->evaluation != NULL)
		evaluate_field(s, name, value);
	return ANSWER_CONTINUE;
}

enum answer
session_end_of_headers(struct session *s, const struct mta *mta)
{
	struct evaluation *ev = s->message.evaluation;

	(void)mta;
	if (s->message.outgoing != NULL)
		outgoing_end_of_headers(s->message.outgoing, wall_clock_s());
	if (s->message.sealing != NULL)
		sealing_end_of_headers(s->message.sealing, wall_clock_s());
	if (ev != NULL && !evaluation_so_far(ev)->has_message)
		evaluation_end_of_headers(ev);
	return ANSWER_CONTINUE;
}

enum answer
session_body(struct session *s, const struct mta *mta, struct slice chunk)
{
	bool more = false;

	/* libmilter lets an MTA leave it out; without it nobody would want the body. */
	(void)session_end_of_headers(s, mta);
	if (s->message.outgoing != NULL)
		more = outgoing_body(s->message.outgoing, chunk);
	if (s->message.sealing != NULL && sealing_body(s->message.sealing, chunk))
		more = true;
	if (s->message.evaluation != NULL && evaluation_body(s->message.evaluation, chunk))
		more = true;
	return more ? ANSWER_CONTINUE : ANSWER_SKIP;
}

static void
log_result(const struct session *s, const struct verdict *v, const struct disposition *d,
    struct slice queue_id, bool refused_edit)
{
	const struct message *m = &s->message;
	const struct log_message entry = {
		.queue_id = queue_id,
		.client = s->client,
		.host = slice_str(s->host),
		.helo = slice_str(s->helo),
		.from = m->from,
		.to = m->to,
		.recipients = m->recipients,
		.skipped = m->skipped,
		.verdict = v,
		.disposition = d,
		.refused_edit = refused_edit,
		.removed = m->edits.count,
		.took_ms = monotonic_ms() - m->began_ms,
	};

	log_text(LOG_LEVEL_INFO, log_message_text(s->arena, &entry));
}

/* What becomes of a message that is to be delivered, once it is tried to sign it. */
static const struct disposition *
sign_outgoing(struct session *s, const struct disposition *d, struct slice queue_id)
{
	static const struct disposition unsigned_disposition = {
		.action = ACTION_TEMPFAIL,
		.cause = CAUSE_SIGNING,
		.reply = "451 4.7.5 Local trouble: the message can't be signed now",
		.explanation = "the message can't be signed now",
	};
	bool waits;
	int rc;

	if (s->message.outgoing == NULL ||
	    (d->action != ACTION_ACCEPT && d->action != ACTION_QUARANTINE))
		return d;
	waits = outgoing_will_wait(s->message.outgoing);
	if (waits)
		waiting_begin(&s->waiting);
	rc = outgoing_sign(s->message.outgoing, queue_id);
	if (waits)
		waiting_end(&s->waiting);
	return rc == 0 ? d : &unsigned_disposition;
}

static void
seal(struct session *s, const struct verdict *v, const struct disposition *d, struct slice queue_id)
{
	bool waits = sealing_will_wait(s->message.sealing);

	if (waits)
		waiting_begin(&s->waiting);
	sealing_seal(s->message.sealing, v, d, queue_id);
	if (waits)
		waiting_end(&s->waiting);
}

/* For reports to domain owners. */
static void
remember(
    struct session *s, const struct verdict *v, const struct disposition *d, struct slice queue_id)
{
	const struct header_list *header = evaluation_header_list(s->message.evaluation);
	const struct conf *conf = service_conf(s->service);
	struct recorder *r = service_recorder(s->service);
	const size_t n = s->message.recipients;
	const struct record_envelope envelope = { .queue_id = queue_id,
		.recipients = s->message.recipient_list,
		.recipient_count = n < LIMIT_RECIPIENTS ? n : LIMIT_RECIPIENTS,
		.all_recipients = n <= LIMIT_RECIPIENTS };

	record_message(r, s->arena, v, d, header,
	    conf->report_recipient ? s->message.to : slice_of(NULL, 0), &s->waiting);
	record_failure(r, conf, s->arena, v, d, header, &envelope);
}

static enum answer
finish_message(struct session *s, const struct mta *mta, const struct verdict *v,
    const struct disposition *d, struct slice queue_id, struct slice authres)
{
	struct traffic *traffic = service_traffic(s->service);
	enum answer answer;
	bool refused;

	d = sign_outgoing(s, d, queue_id);
	if (s->message.sealing != NULL && d->reply == NULL && d->action != ACTION_DISCARD)
		seal(s, v, d, queue_id);
	answer = apply_disposition(s->arena, mta, service_conf(s->service), &s->message.edits, d,
	    s->message.outgoing, s->message.sealing, authres, &refused);
	traffic_action(traffic, refused ? ACTION_TEMPFAIL : d->action);
	if (refused)
		atomic_fetch_add(&traffic->refused_edits, 1);
	else if (v != NULL)
		remember(s, v, d, queue_id);
	log_result(s, v, d, queue_id, refused);
	return answer;
}

/* Only the forged fields go. More of them than we remember: not delivered, or some would stay. */
static enum answer
finish_skipped(struct session *s, const struct mta *mta, struct slice queue_id)
{
	static const struct disposition too_many = {
		.action = ACTION_TEMPFAIL,
		.cause = CAUSE_LIMIT,
		.reply = "451 4.3.0 Too many Authentication-Results fields",
		.explanation = "too many Authentication-Results fields",
	};
	const struct disposition *d = s->message.edits.full ? &too_many : &skipped_disposition;

	return finish_message(s, mta, NULL, d, queue_id, SLICE(""));
}

static enum answer
finish_evaluated(struct session *s, const struct mta *mta, struct slice queue_id)
{
	const struct conf *conf = service_conf(s->service);
	struct disposition d = { 0 };
	const struct verdict *v;

	v = evaluation_finish(s->message.evaluation);
	decide(s->arena, &conf->decide, v, queue_id, &d);
	return finish_message(
	    s, mta, v, &d, queue_id, stamp_write(s->arena, conf->authserv_id, v, &d));
}

enum answer
session_end_of_message(struct session *s, const struct mta *mta)
{
	/* Postfix knows it from the first recipient on, Sendmail earlier: now it is sure. */
	struct slice queue_id = slice_str(mta->calls->macro(mta->ctx, "i"));
	enum answer answer;

	if (!s->message.under_way)
		return ANSWER_CONTINUE;
	s->message.ending = mta;
	queue_id = arena_copy(s->arena, queue_id);
	/* libmilter lets an MTA leave it out; without it there would be SPF only, and no DMARC. */
	(void)session_end_of_headers(s, mta);
	answer = s->message.evaluation == NULL ? finish_skipped(s, mta, queue_id)
					       : finish_evaluated(s, mta, queue_id);
	message_end(s);
	return answer;
}

enum answer
session_abort(struct session *s)
{
	if (s->message.under_way) {
		atomic_fetch_add(&service_traffic(s->service)->aborted, 1);
		message_end(s);
	}
	return ANSWER_CONTINUE;
}
