/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/send.h"

#include <stdlib.h>
#include <string.h>

#include "policy/base/bug.h"
#include "policy/base/strbuf.h"
#include "report/report_mail.h"
#include "report/suppress.h"

#define DUE_MAX	      500 /* deliveries looked at in one go */
#define WAIT_MS	      500 /* until stop() is asked again */
#define DAY_S	      86400
#define ADDRESS_BYTES 400

/* One that is under way, or was. */
struct item {
	struct outbox_delivery delivery; /* in the round's arena */
	struct arena *arena;		 /* of its message; NULL: not begun, or over */
	bool looked_at;			 /* begun, or not to be tried in this round */
};

struct round {
	const struct sender *sender;
	struct deliver *deliver;
	struct arena *arena;
	struct item *items;
	size_t count;
	struct send_counts *counts;
	const char **error_r;
	bool ending; /* nothing new is begun */
};

/* ---- the message ---- */

/* RFC 3463 and RFC 3464 bounces find us by it: "*" is replaced by the token. */
static const char *
envelope_from(struct arena *a, struct slice pattern, struct slice token)
{
	size_t star = slice_find(pattern, '*');
	struct strbuf b;

	strbuf_init(&b, a, ADDRESS_BYTES);
	strbuf_add(&b, slice_sub(pattern, 0, star));
	if (star != SLICE_NONE) {
		strbuf_add(&b, token);
		strbuf_add(&b, slice_from(pattern, star + 1));
	}
	return strbuf_slice(&b).p;
}

int
send_sign(struct arena *a, const struct dkim_sign_job *template, int64_t now_s,
    struct slice *message, const char **error_r)
{
	struct dkim_sign_job job;
	struct slice fields;
	struct strbuf b;

	if (template == NULL)
		return 0;
	job = *template;
	job.now_s = now_s;
	if (dkim_sign_message(a, &job, *message, &fields, error_r) != 0)
		return -1;
	strbuf_init(&b, a, fields.len + message->len);
	strbuf_add(&b, fields);
	strbuf_add(&b, *message);
	*message = strbuf_slice(&b);
	return 0;
}

int
send_message(struct arena *a, const struct send_options *o, const struct outbox_report *r,
    const struct outbox_delivery *d, int64_t now_s, struct slice *message_r,
    const char **envelope_from_r, const char **error_r)
{
	const struct report_mail mail = {
		.submitter = o->submitter,
		.policy_domain = r->domain,
		.report_id = r->report_id,
		.file_name = r->file_name,
		.begin_s = r->begin_s,
		.end_s = r->end_s,
		.date_s = r->made_s,
		.from = o->from,
		.from_name = o->from_name,
		.to = d->to.address,
		.token = d->token,
		.gzip = r->bytes,
		.summary = r->summary,
	};

	*envelope_from_r = envelope_from(a, o->envelope_from, d->token);
	if (report_mail_write(a, &mail, message_r, error_r) != 0)
		return -1;
	return send_sign(a, o->sign, now_s, message_r, error_r);
}

/* ---- telling ---- */

static int64_t
now_of(const struct round *r)
{
	return r->sender->now_s(r->sender->ctx);
}

static bool
must_stop(struct round *r)
{
	if (r->sender->stop != NULL && r->sender->stop(r->sender->ctx))
		r->ending = true;
	return r->ending;
}

static void
tell(struct round *r, enum send_event event, const struct outbox_delivery *d, struct slice text)
{
	r->counts->by_event[event]++;
	if (r->sender->watch != NULL)
		r->sender->watch(r->sender->ctx, event, d, text);
}

/* ---- before it goes out: 1: go on; 0: not in this round; -1: the database failed ---- */

static int
check_suppressed(struct round *r, const struct outbox_delivery *d)
{
	struct db *db = r->sender->db;
	struct suppression s;
	int rc = suppress_find(db, r->arena, d->to.address, now_of(r), &s, r->error_r);

	if (rc <= 0)
		return rc < 0 ? -1 : 1;
	if (outbox_end(db, d, OUTBOX_SUPPRESSED, s.reason, now_of(r), r->error_r) != 0)
		return -1;
	tell(r, SEND_SUPPRESSED, d, s.reason);
	return 0;
}

static bool
same_exchanger(const struct outbox_delivery *a, const struct outbox_delivery *b)
{
	return slice_equal(a->to.exchanger, b->to.exchanger);
}

static bool
same_address(const struct outbox_delivery *a, const struct outbox_delivery *b)
{
	return slice_equal(a->to.address, b->to.address);
}

static bool
any(const struct outbox_delivery *a, const struct outbox_delivery *b)
{
	(void)a;
	(void)b;
	return true;
}

static int64_t
under_way(const struct round *r, const struct outbox_delivery *d,
    bool (*alike)(const struct outbox_delivery *, const struct outbox_delivery *))
{
	int64_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		n += r->items[i].arena != NULL && alike(d, &r->items[i].delivery);
	return n;
}

/* What is under way counts as sent. NULL: no limit is met. */
static const char *
limit_met(
    const struct round *r, const struct outbox_delivery *d, const struct outbox_sent_counts *sent)
{
	const struct send_limits *l = &r->sender->options->limits;

	if (l->total > 0 && sent->total + under_way(r, d, any) >= l->total)
		return "limit of reports a day";
	if (l->address > 0 && sent->address + under_way(r, d, same_address) >= l->address)
		return "limit of reports a day to one destination";
	if (l->exchanger > 0 && sent->exchanger + under_way(r, d, same_exchanger) >= l->exchanger)
		return "limit of reports a day to one mail exchanger";
	return NULL;
}

static int
check_limits(struct round *r, const struct outbox_delivery *d)
{
	int64_t now = now_of(r), today = now / DAY_S * DAY_S;
	struct outbox_sent_counts sent;
	const char *why;
	bool given_up;

	if (outbox_count_sent(r->sender->db, &d->to, today, &sent, r->error_r) != 0)
		return -1;
	why = limit_met(r, d, &sent);
	if (why == NULL)
		return 1;
	if (outbox_postpone(r->sender->db, d, &r->sender->options->retry, slice_str(why),
		today + DAY_S, now, &given_up, r->error_r) != 0)
		return -1;
	tell(r, given_up ? SEND_GIVEN_UP : SEND_LIMITED, d, slice_str(why));
	return 0;
}

/* ---- under way ---- */

/* The message can't be made: ours to mend, and no fault of the destination. */
static int
put_off(struct round *r, struct item *item, const char *why)
{
	bool given_up;
	int rc = outbox_failed(r->sender->db, &item->delivery, &r->sender->options->retry,
	    slice_str(why), now_of(r), &given_up, r->error_r);

	tell(r, given_up ? SEND_GIVEN_UP : SEND_BROKEN, &item->delivery, slice_str(why));
	arena_free(&item->arena);
	return rc == 0 ? 0 : -1;
}

static int
begin(struct round *r, struct item *item)
{
	const struct send_options *o = r->sender->options;
	struct outbox_report report;
	struct deliver_job job = { .ctx = item };
	const char *why = "the report is gone";
	int rc;

	item->arena = arena_new(SIZE_MAX);
	rc = outbox_find(
	    r->sender->db, item->arena, item->delivery.report_id, true, &report, r->error_r);
	if (rc < 0)
		return -1;
	if (rc == 0 ||
	    send_message(item->arena, o, &report, &item->delivery, now_of(r), &job.message,
		&job.from, &why) != 0)
		return put_off(r, item, why);
	job.to = arena_str(item->arena, item->delivery.to.address);
	deliver_start(r->deliver, &job);
	return 0;
}

static int
try_item(struct round *r, struct item *item)
{
	const struct outbox_delivery *d = &item->delivery;
	int rc = check_suppressed(r, d);

	item->looked_at = true;
	if (rc == 1)
		rc = check_limits(r, d);
	if (rc == 1)
		rc = outbox_claim(
		    r->sender->db, d, &r->sender->options->retry, now_of(r), r->error_r);
	return rc == 1 ? begin(r, item) : rc;
}

static int
record(struct round *r, const struct outbox_delivery *d, const struct deliver_done *done,
    enum send_event *event_r)
{
	struct db *db = r->sender->db;
	int64_t now = now_of(r);
	bool given_up;

	switch (done->result) {
	case DELIVER_ACCEPTED:
		*event_r = SEND_ACCEPTED;
		if (outbox_sent(db, d, done->reply, now, r->error_r) != 0)
			return -1;
		return suppress_clear(db, d->to.address, now, r->error_r);
	case DELIVER_REFUSED:
		*event_r = SEND_REFUSED;
		if (outbox_end(db, d, OUTBOX_GIVEN_UP, done->reply, now, r->error_r) != 0)
			return -1;
		return suppress_strike(db, d->to.address, done->reply, now, r->error_r);
	case DELIVER_LATER:
	case DELIVER_NO_SERVER:
		if (outbox_failed(db, d, &r->sender->options->retry, done->reply, now, &given_up,
			r->error_r) != 0)
			return -1;
		*event_r = given_up ? SEND_GIVEN_UP : SEND_LATER;
		if (!given_up || done->result == DELIVER_NO_SERVER)
			return 0;
		return suppress_strike(db, d->to.address, done->reply, now, r->error_r);
	}
	bug("record: %d", (int)done->result);
}

static int
finish(struct round *r, const struct deliver_done *done)
{
	struct item *item = done->ctx;
	enum send_event event = SEND_LATER;
	int rc = record(r, &item->delivery, done, &event);

	if (rc == 0)
		tell(r, event, &item->delivery, done->reply);
	if (done->result == DELIVER_NO_SERVER)
		r->counts->no_server = r->ending = true;
	arena_free(&item->arena);
	return rc;
}

/* ---- a round: what is due now ---- */

/* One of a domain at a time; of those that failed before, half of the slots. */
static bool
may_begin(const struct round *r, const struct item *item)
{
	size_t retried = 0;

	for (size_t i = 0; i < r->count; i++) {
		const struct item *other = &r->items[i];

		if (other->arena == NULL)
			continue;
		if (slice_equal(other->delivery.to.domain, item->delivery.to.domain))
			return false;
		retried += other->delivery.attempts > 0;
	}
	return item->delivery.attempts == 0 ||
	    retried < (r->sender->options->deliver.slots + 1) / 2;
}

static int
begin_some(struct round *r)
{
	for (size_t i = 0; i < r->count && deliver_has_room(r->deliver) && !must_stop(r); i++) {
		struct item *item = &r->items[i];

		if (!item->looked_at && may_begin(r, item) && try_item(r, item) != 0)
			return -1;
	}
	return 0;
}

/* Nothing new is begun. The text is the database's until its next call. */
static int
fail(struct round *r)
{
	r->ending = true;
	*r->error_r = arena_str(r->arena, slice_str(*r->error_r));
	return -1;
}

/* Where the database fails, what is under way is waited for all the same: its messages are read by
 * the threads of deliver, and what is cut off may have been taken. */
static int
play(struct round *r)
{
	struct deliver_done done;
	int rc = 0;

	do {
		if (!must_stop(r) && begin_some(r) != 0)
			rc = fail(r);
		if (deliver_wait(r->deliver, WAIT_MS, &done) && finish(r, &done) != 0)
			rc = fail(r);
	} while (deliver_under_way(r->deliver) > 0);
	return rc;
}

/* *count_r: how many were due. */
static int
play_round(struct round *r, size_t *count_r)
{
	struct outbox_delivery *due;
	int rc;

	if (outbox_due(r->sender->db, r->arena, now_of(r), DUE_MAX, &due, count_r, r->error_r) != 0)
		return -1;
	r->count = *count_r;
	r->items = arena_array(r->arena, r->count, sizeof(*r->items));
	for (size_t i = 0; i < r->count; i++)
		r->items[i].delivery = due[i];
	rc = play(r);
	for (size_t i = 0; i < r->count; i++)
		arena_free(&r->items[i].arena);
	return rc;
}

int
send_due(const struct sender *s, struct send_counts *counts, const char **error_r)
{
	struct round r = { .sender = s, .counts = counts, .error_r = error_r };
	size_t due = 1;
	int rc = 0;

	*counts = (struct send_counts){ .no_server = false };
	r.deliver = deliver_open(&s->options->deliver, error_r);
	if (r.deliver == NULL)
		return -1;
	r.arena = arena_new(SIZE_MAX);
	while (rc == 0 && due > 0 && !r.ending) {
		rc = play_round(&r, &due);
		if (rc != 0)
			*error_r = arena_str(s->arena, slice_str(*error_r));
		arena_reset(r.arena);
	}
	deliver_close(&r.deliver);
	arena_free(&r.arena);
	return rc;
}
