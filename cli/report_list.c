/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/report.h"

#include "policy/syntax/domain.h"
#include "report/suppress.h"

#define ENTRIES_MAX 1000 /* reports shown, the newest */

struct listing {
	struct report_run *run;
	size_t shown;
	const char *heading; /* not yet printed, or NULL */
};

static void
head(struct listing *l)
{
	if (l->heading != NULL)
		(void)puts(l->heading);
	l->heading = NULL;
	l->shown++;
}

/* ---- periods ---- */

static const char *
state_text(const struct report_run *r, const struct store_period *p)
{
	int64_t due_s = p->end_s + r->conf->reports.settle_s;

	switch (p->state) {
	case STORE_OPEN:
		if (p->end_s > report_now_s(r))
			return "open";
		return due_s > report_now_s(r)
		    ? arena_printf(r->arena, "over, its report is made after %s",
			  report_time(r->arena, due_s))
		    : "over, its report is not made yet";
	case STORE_CLOSED:
		return "closed, its report is not made yet";
	case STORE_DONE:
		return "done";
	}
	bug("state_text: %d", (int)p->state);
}

static int
show_period(void *ctx, const struct store_period *p)
{
	struct listing *l = ctx;
	struct arena *a = l->run->arena;

	head(l);
	(void)printf("  %-28s %s to %s  %llu message%s in %llu row%s: %s\n",
	    report_shown(a, p->domain), report_time(a, p->begin_s), report_time(a, p->end_s),
	    (unsigned long long)p->messages, p->messages == 1 ? "" : "s",
	    (unsigned long long)p->rows, p->rows == 1 ? "" : "s", state_text(l->run, p));
	return 0;
}

static int
list_periods(struct report_run *r, struct slice domain, size_t *shown)
{
	const struct store_query query = { .not_done = !r->options.all, .domain = domain };
	struct listing l = { r, 0, "Periods" };
	const char *error = "?";

	if (store_periods(r->store, &query, show_period, &l, &error) != 0)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	*shown += l.shown;
	return 0;
}

/* ---- reports and where they go ---- */

static void
show_delivery(struct report_run *r, const struct outbox_delivery *d)
{
	struct arena *a = r->arena;

	(void)printf(
	    "      to %s: %s", report_shown(a, d->to.address), outbox_state_word(d->state));
	if (d->state != OUTBOX_PENDING)
		(void)printf(" %s", report_time(a, d->changed_s));
	else if (d->next_s > report_now_s(r))
		(void)printf(", next try %s", report_time(a, d->next_s));
	if (d->attempts > 1)
		(void)printf(", tried %u times", d->attempts);
	(void)printf("%s%s\n", d->reply.len > 0 ? ": " : "", report_shown(a, d->reply));
}

static bool
is_done(const struct outbox_delivery *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].state != OUTBOX_SENT)
			return false;
	return true;
}

static int
show_entry(struct listing *l, const struct outbox_report *report)
{
	struct report_run *r = l->run;
	struct outbox_delivery *list;
	const char *error = "?";
	size_t count;

	if (outbox_deliveries(r->db, r->arena, report->report_id, &list, &count, &error) != 0)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	if (!r->options.all && is_done(list, count))
		return 0;
	head(l);
	(void)printf("  %s  %s  %s to %s  %llu message%s\n",
	    report_shown(r->arena, report->report_id), report_shown(r->arena, report->domain),
	    report_time(r->arena, report->begin_s), report_time(r->arena, report->end_s),
	    (unsigned long long)report->summary.messages, report->summary.messages == 1 ? "" : "s");
	if (report->why.len > 0)
		(void)printf("      not reported: %s\n", report_shown(r->arena, report->why));
	for (size_t i = 0; i < count; i++)
		show_delivery(r, &list[i]);
	return 0;
}

static int
list_reports(struct report_run *r, struct slice domain, size_t *shown)
{
	struct listing l = { r, 0, "Reports" };
	struct outbox_report *list;
	const char *error = "?";
	size_t count;
	int status = 0;

	if (outbox_list(r->db, r->arena, domain, ENTRIES_MAX, &list, &count, &error) != 0)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	for (size_t i = 0; status == 0 && i < count; i++)
		status = show_entry(&l, &list[i]);
	*shown += l.shown;
	return status;
}

/* ---- who is left alone ---- */

static int
list_suppressed(struct report_run *r, size_t *shown)
{
	struct listing l = { r, 0, "Destinations that are left alone" };
	struct suppression *list;
	const char *error = "?";
	size_t count;

	if (suppress_list(r->db, r->arena, &list, &count, &error) != 0)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	for (size_t i = 0; i < count; i++) {
		const struct suppression *s = &list[i];

		if (!r->options.all && s->until_s <= report_now_s(r))
			continue;
		head(&l);
		(void)printf("  %s until %s, %s: %s\n", report_shown(r->arena, s->address),
		    s->until_s == SUPPRESS_FOR_EVER ? "lifted" : report_time(r->arena, s->until_s),
		    s->by_hand ? "by hand" : "it refused", report_shown(r->arena, s->reason));
	}
	*shown += l.shown;
	return 0;
}

/* ---- what was too old before it was reported ---- */

static void
show_forgotten(void *ctx, const struct store_forgotten *f)
{
	struct listing *l = ctx;
	struct arena *a = l->run->arena;

	head(l);
	(void)printf("  %-28s %s\n", report_forgotten_name(a, f), report_forgotten_text(a, f));
}

static int
list_forgotten(struct report_run *r, size_t *shown)
{
	struct listing l = { r, 0, "Never reported" };
	const char *error = "?";

	if (store_forgotten(r->store, show_forgotten, &l, &error) != 0)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	*shown += l.shown;
	return 0;
}

int
report_list_suppressed(struct report_run *r)
{
	size_t shown = 0;
	int status = list_suppressed(r, &shown);

	if (status == 0 && shown == 0)
		(void)puts("No destination is left alone.");
	return status;
}

int
report_list_command(struct report_run *r)
{
	struct slice domain = SLICE("");
	const char *error = "?";
	size_t shown = 0;
	int status;

	if (r->options.argument != NULL &&
	    domain_normalize(r->arena, slice_str(r->options.argument), &domain, &error) != 0)
		return report_complain(EXIT_USAGE, r->options.argument, error);

	(void)report_say_why_not(r, stdout);
	status = list_periods(r, domain, &shown);
	if (status == 0)
		status = list_reports(r, domain, &shown);
	if (status == 0 && domain.len == 0)
		status = list_forgotten(r, &shown);
	if (status == 0 && domain.len == 0)
		status = list_suppressed(r, &shown);
	if (status == 0 && shown == 0)
		(void)printf(r->options.all
			? "There is nothing%s%s: no message of a domain that asks for reports has "
			  "been stored.\n"
			: "Nothing is pending%s%s.\n",
		    domain.len > 0 ? " about " : "", report_shown(r->arena, domain));
	return status;
}
