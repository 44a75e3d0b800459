/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/compose.h"

#include <string.h>

#include "policy/base/strbuf.h"
#include "report/exchanger.h"
#include "report/report_name.h"

#define TOLD_URI_BYTES 100 /* of an URI in "error" */

struct work {
	struct arena *arena;
	const struct composer *composer;
	const struct store_period *period;
	struct composition *out;
	const char **error_r;
};

static int
count_row(void *ctx, const struct report_row *row)
{
	worth_count(ctx, row);
	return 0;
}

/* Rows that can't be read are not there for anybody: said, and not sent as if nothing was amiss. */
static int
read_rows(struct work *w, store_row_fn *fn, void *ctx)
{
	uint64_t unreadable = 0;

	if (store_rows(w->composer->store, w->period->id, fn, ctx, &unreadable, w->error_r) != 0)
		return -1;
	if (unreadable == 0)
		return 0;
	*w->error_r = arena_printf(
	    w->arena, "%llu of its rows can't be read", (unsigned long long)unreadable);
	return -1;
}

struct giver {
	struct work *work;
	aggregate_row_fn *row;
	void *row_ctx;
	bool repeated; /* rows of more than one message, or the others */
};

static int
give_row(void *ctx, const struct report_row *row)
{
	struct giver *g = ctx;

	return (row->count > 1) == g->repeated ? g->row(g->row_ctx, row) : 0;
}

/* Where not all fit, it is the last that are left out: not those of a sender who is there every
 * day, because somebody makes up selectors or addresses. */
static int
give_rows(void *ctx, aggregate_row_fn *row, void *row_ctx, const char **error_r)
{
	struct work *w = ctx;
	struct giver g = { w, row, row_ctx, true };

	(void)error_r; /* the same place */
	if (read_rows(w, give_row, &g) != 0)
		return -1;
	g.repeated = false;
	return read_rows(w, give_row, &g);
}

/* ---- where to ---- */

static const char *
unreachable_text(enum exchanger_result result)
{
	return result == EXCHANGER_NONE ? "nobody takes mail there"
					: destination_outcome_text(DESTINATION_LATER);
}

static bool
is_faulty(enum destination_outcome outcome)
{
	switch (outcome) {
	case DESTINATION_SEND:
	case DESTINATION_LATER:
	case DESTINATION_REPEATED:
		return false;
	case DESTINATION_MALFORMED:
	case DESTINATION_UNSUPPORTED:
	case DESTINATION_UNCONFIRMED:
	case DESTINATION_TOO_LONG:
	case DESTINATION_ELSEWHERE:
		return true;
	}
	bug("is_faulty: %d", (int)outcome);
}

/* One that may be sent to; *later_r is set where DNS can't tell who takes its mail. */
static void
add_good(struct work *w, struct lookups *l, const struct destination *d,
    struct compose_target *target, bool *later_r)
{
	struct composition *out = w->out;
	struct slice name;
	enum exchanger_result found = exchanger_find(
	    w->arena, l, w->composer->options->dmarc, d->host, &name);

	if (found != EXCHANGER_FOUND) {
		*later_r |= found == EXCHANGER_LATER;
		target->verdict = unreachable_text(found);
		target->faulty = found == EXCHANGER_NONE;
		return;
	}
	target->good = true;
	out->to[out->to_count++] = (struct outbox_destination){
		.address = arena_copy(w->arena, d->address),
		.domain = arena_copy(w->arena, d->host),
		.exchanger = arena_copy(w->arena, name),
	};
}

static void
find_targets(struct work *w, bool *later_r)
{
	const struct compose_options *o = w->composer->options;
	struct lookups_limits limits = o->lookups;
	struct destinations found;
	struct lookups *l;

	if (w->composer->dns_budget_ms > 0 && w->composer->dns_budget_ms < limits.budget_ms)
		limits.budget_ms = w->composer->dns_budget_ms;
	l = lookups_new(w->arena, w->composer->resolver, &limits);
	destinations_find(
	    w->arena, l, o->dmarc, w->period->domain, "rua", w->period->policy.rua, &found);
	*later_r = found.later;
	for (size_t i = 0; i < found.count; i++) {
		const struct destination *d = &found.list[i];
		struct compose_target *target = &w->out->targets[w->out->target_count++];

		*target = (struct compose_target){
			.uri = arena_copy(w->arena, d->uri),
			.address = arena_copy(w->arena, d->address),
			.verdict = destination_outcome_text(d->outcome),
			.faulty = is_faulty(d->outcome),
		};
		if (d->outcome == DESTINATION_SEND)
			add_good(w, l, d, target, later_r);
	}
	lookups_fini(&l);
}

/* Of the first that is not to be sent to, or that DNS can't tell about. */
static const char *
why_not(const struct work *w, bool later)
{
	const char *unknown = destination_outcome_text(DESTINATION_LATER);
	const struct composition *c = w->out;

	for (size_t i = 0; i < c->target_count; i++) {
		const struct compose_target *t = &c->targets[i];

		if (later ? strcmp(t->verdict, unknown) == 0 : t->faulty)
			return arena_printf(w->arena, "%s: %s",
			    arena_printable(w->arena, t->uri, TOLD_URI_BYTES), t->verdict);
	}
	return later ? unknown : "the record names no address (rua)";
}

static void
decide_outcome(struct work *w, int64_t now_s)
{
	struct composition *out = w->out;
	bool later;

	if (!worth_reporting(&w->composer->options->worth, &out->counts, &out->why)) {
		out->outcome = COMPOSE_SKIP;
		return;
	}
	find_targets(w, &later);
	out->outcome = COMPOSE_REPORT;
	if (later && now_s - w->period->end_s < COMPOSE_PATIENCE_S) {
		out->outcome = COMPOSE_LATER;
		out->why = why_not(w, true);
	} else if (out->to_count == 0) {
		out->outcome = COMPOSE_SKIP;
		out->why = why_not(w, later);
	}
}

/* ---- the report ---- */

static int
name_report(struct work *w, int64_t now_s)
{
	const struct compose_options *o = w->composer->options;
	const struct store_period *p = w->period;
	struct outbox_report *r = &w->out->report;
	const struct report_origin origin = {
		.node = o->node,
		.store = store_identity(w->composer->store),
		.period = p->id,
	};

	r->report_id = report_id(
	    w->arena, w->composer->crypto, &p->policy, p->begin_s, p->end_s, &origin);
	r->domain = arena_copy(w->arena, p->domain);
	r->begin_s = p->begin_s;
	r->end_s = p->end_s;
	r->made_s = now_s;
	return report_file_name(w->arena, o->submitter, p->domain, p->begin_s, p->end_s,
	    r->report_id, &r->file_name, w->error_r);
}

/* What is wrong with the record, and with the destinations it names: who gets the report at one of
 * them learns why nothing comes to the other (RFC 9990 3.1.5). */
static struct slice
write_errors(const struct work *w)
{
	const struct composition *c = w->out;
	struct strbuf b;

	strbuf_init(&b, w->arena, REPORT_ERROR_BYTES);
	strbuf_add(&b, w->period->policy.errors);
	for (size_t i = 0; i < c->target_count; i++)
		if (c->targets[i].faulty)
			strbuf_printf(&b, "%srua=\"%s\": %s", b.len > 0 ? "\n" : "",
			    arena_printable(w->arena, c->targets[i].uri, TOLD_URI_BYTES),
			    c->targets[i].verdict);
	return strbuf_slice(&b);
}

static int
write_report(struct work *w)
{
	const struct compose_options *o = w->composer->options;
	struct composition *out = w->out;
	struct report_policy policy = w->period->policy;
	const struct aggregate_report report = {
		.format = o->format,
		.org_name = o->org_name,
		.email = o->email,
		.extra_contact = o->extra_contact,
		.report_id = out->report.report_id,
		.begin_s = w->period->begin_s,
		.end_s = w->period->end_s,
		.generator = o->generator,
		.policy = &policy,
		.rows = give_rows,
		.ctx = w,
	};
	struct aggregate_output written;

	policy.errors = write_errors(w);
	if (aggregate_write(w->arena, &report, &aggregate_limits_default, &written, w->error_r) !=
	    0)
		return -1;
	out->xml = written.xml;
	out->report.bytes = written.gzip;
	out->report.summary = written.summary;
	return 0;
}

int
compose(struct arena *a, const struct composer *c, const struct store_period *period, int64_t now_s,
    bool preview, struct composition *out, const char **error_r)
{
	struct work w = { a, c, period, out, error_r };

	*out = (struct composition){ .why = "" };
	if (read_rows(&w, count_row, &out->counts) != 0 || name_report(&w, now_s) != 0)
		return -1;
	out->report.summary.messages = out->counts.all;
	decide_outcome(&w, now_s);
	if (out->counts.all == 0 || (out->outcome != COMPOSE_REPORT && !preview))
		return 0;
	return write_report(&w);
}
