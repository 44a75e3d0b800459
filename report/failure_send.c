/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/failure_send.h"

#include "policy/base/bug.h"
#include "report/suppress.h"

#define WAIT_MS	    500 /* until stop() is asked again */
#define EVENT_BYTES SIZE_MAX

struct round {
	const struct failure_sender *s;
	struct deliver *deliver;
	struct arena *arena; /* of one event */
	const char **error_r;
	struct failure_reports reports;
	size_t accepted, refused; /* of its messages */
	bool no_server;
};

static int64_t
now_of(const struct round *r)
{
	return r->s->sender->now_s(r->s->sender->ctx);
}

static bool
must_stop(const struct round *r)
{
	const struct sender *s = r->s->sender;

	return r->no_server || (s->stop != NULL && s->stop(s->ctx));
}

static void
tell(struct round *r, enum send_event event, const char *address, struct slice text)
{
	if (r->s->watch != NULL)
		r->s->watch(r->s->ctx, event, arena_str(r->arena, r->reports.event.domain), address,
		    arena_str(r->arena, text));
}

/* 1: go on; 0: the address is left alone; -1: the database failed. */
static int
check_suppressed(struct round *r, const struct failure_message_out *m)
{
	struct suppression found;
	int rc = suppress_find(r->s->sender->db, r->arena, m->to, now_of(r), &found, r->error_r);

	if (rc <= 0)
		return rc < 0 ? -1 : 1;
	r->refused++;
	tell(r, SEND_SUPPRESSED, arena_str(r->arena, m->to), found.reason);
	return 0;
}

static int
start(struct round *r, struct failure_message_out *m)
{
	struct deliver_job job = { .from = "", .to = arena_str(r->arena, m->to), .ctx = m };
	const char *why = "?";
	int rc = check_suppressed(r, m);

	if (rc <= 0)
		return rc;
	job.message = m->message;
	if (send_sign(r->arena, r->s->sender->options->sign, now_of(r), &job.message, &why) != 0) {
		r->refused++;
		tell(r, SEND_BROKEN, job.to, slice_str(why));
		return 0;
	}
	deliver_start(r->deliver, &job);
	return 0;
}

static int
finish(struct round *r, const struct deliver_done *done)
{
	const struct failure_message_out *m = done->ctx;
	const char *to = arena_str(r->arena, m->to);

	switch (done->result) {
	case DELIVER_ACCEPTED:
		r->accepted++;
		tell(r, SEND_ACCEPTED, to, done->reply);
		return 0;
	case DELIVER_REFUSED:
		r->refused++;
		tell(r, SEND_REFUSED, to, done->reply);
		return suppress_strike(r->s->sender->db, m->to, done->reply, now_of(r), r->error_r);
	case DELIVER_NO_SERVER:
		r->no_server = true;
		tell(r, SEND_LATER, to, done->reply);
		return 0;
	case DELIVER_LATER:
		tell(r, SEND_LATER, to, done->reply);
		return 0;
	}
	bug("failure: delivery %d", (int)done->result);
}

/* The text is the database's until its next call. */
static int
fail(struct round *r)
{
	*r->error_r = arena_str(r->arena, slice_str(*r->error_r));
	return -1;
}

/* As many at once as there are slots. Where the database fails, what is under way is waited for all
 * the same: its messages are read by the threads of deliver. */
static int
send_messages(struct round *r)
{
	struct deliver_done done;
	size_t next = 0;
	int rc = 0;

	while ((rc == 0 && next < r->reports.count) || deliver_under_way(r->deliver) > 0) {
		while (rc == 0 && next < r->reports.count && deliver_has_room(r->deliver))
			if (start(r, &r->reports.messages[next++]) != 0)
				rc = fail(r);
		if (deliver_wait(r->deliver, WAIT_MS, &done) && finish(r, &done) != 0)
			rc = fail(r);
	}
	return rc;
}

static int
send_event(struct round *r)
{
	r->accepted = r->refused = 0;
	if (send_messages(r) != 0)
		return -1;
	if (r->reports.count == 0 || r->accepted + r->refused > 0)
		return 0;
	return failure_queue_return(
	    r->s->queue, r->reports.event.id, now_of(r) + FAILURE_RETRY_S, r->error_r);
}

/* What became of addresses that get no message. */
static void
tell_passed_over(struct round *r)
{
	const struct destinations *d = &r->reports.destinations;

	for (size_t i = 0; i < d->count; i++)
		if (d->list[i].outcome != DESTINATION_SEND &&
		    d->list[i].outcome != DESTINATION_REPEATED)
			tell(r, d->list[i].outcome == DESTINATION_LATER ? SEND_LATER : SEND_REFUSED,
			    arena_printable(r->arena, d->list[i].uri, REPORT_NAME_BYTES),
			    slice_str(destination_outcome_text(d->list[i].outcome)));
	if (r->reports.over_limit > 0)
		tell(r, SEND_GIVEN_UP,
		    arena_printf(r->arena, "%zu more addresses", r->reports.over_limit),
		    SLICE("limit of failure reports a day"));
}

/* 1: one was sent; 0: none is due; -1. */
static int
send_next(struct round *r)
{
	const struct failure_sender *s = r->s;
	const struct failure_report_options options = {
		.mail = { s->sender->options->from, s->sender->options->from_name,
		    s->sender->options->submitter },
		.rate = s->rate,
		.dmarc = *s->dmarc,
		.retry_s = FAILURE_RETRY_S,
	};
	struct lookups *l = lookups_new(r->arena, s->resolver, s->lookups);
	int rc = failure_report_next(
	    s->queue, r->arena, l, &options, now_of(r), &r->reports, r->error_r);

	if (rc == 1) {
		tell_passed_over(r);
		rc = send_event(r) == 0 ? 1 : -1;
	}
	lookups_fini(&l);
	return rc;
}

int
failure_send_due(const struct failure_sender *s, const char **error_r)
{
	struct round r = { .s = s, .error_r = error_r };
	uint64_t dropped;
	int rc = 1;

	if (failure_queue_prepare(s->queue, error_r) != 0)
		return -1;
	r.deliver = deliver_open(&s->sender->options->deliver, error_r);
	if (r.deliver == NULL)
		return -1;
	r.arena = arena_new(EVENT_BYTES);
	while (rc == 1 && !must_stop(&r)) {
		rc = send_next(&r);
		if (rc < 0)
			*error_r = arena_str(s->sender->arena, slice_str(*error_r));
		arena_reset(r.arena);
	}
	if (rc >= 0)
		rc = failure_queue_prune(s->queue, now_of(&r), &dropped, error_r);
	deliver_close(&r.deliver);
	arena_free(&r.arena);
	return rc < 0 ? -1 : 0;
}
