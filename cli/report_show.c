/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/report.h"

#include <string.h>

#include "policy/syntax/domain.h"
#include "report/gzip.h"

#define ENTRIES_MAX 100000 /* reports exported; more are not kept */

/* ---- in plain words ---- */

static void
print_xml(struct slice xml)
{
	(void)fwrite(xml.p, 1, xml.len, stdout);
}

static int
count_source(void *ctx, const struct report_row *row)
{
	char text[IP_TEXT_BYTES];
	struct arena *a = ctx;

	(void)printf("  %6llu  %-39s %-10s DKIM %s, SPF %s, From %s\n",
	    (unsigned long long)row->count,
	    row->source.family == IP_NONE ? "various" : ip_print(&row->source, text),
	    report_disposition_word(row->disposition), row->dkim_aligned ? "pass" : "fail",
	    row->spf_aligned ? "pass" : "fail", report_shown(a, row->header_from));
	return 0;
}

static void
print_counts(const struct aggregate_summary *n)
{
	(void)printf("Messages:    %llu in %llu record%s, %llu passed, %llu quarantined, %llu "
		     "rejected\n",
	    (unsigned long long)n->messages, (unsigned long long)n->records,
	    n->records == 1 ? "" : "s", (unsigned long long)n->passed,
	    (unsigned long long)n->quarantined, (unsigned long long)n->rejected);
	if (n->messages_left_out > 0)
		(void)printf("Left out:    %llu messages, the report would be too large\n",
		    (unsigned long long)n->messages_left_out);
}

static void
print_report(struct arena *a, const struct outbox_report *report)
{
	(void)printf("Report-ID:   %s\n", report_shown(a, report->report_id));
	(void)printf("About:       %s, %s to %s UTC\n", report_shown(a, report->domain),
	    report_time(a, report->begin_s), report_time(a, report->end_s));
	if (report->why.len > 0) {
		(void)printf("Messages:    %llu\nNot made:    %s\n",
		    (unsigned long long)report->summary.messages, report_shown(a, report->why));
		return;
	}
	(void)printf(
	    "File:        %s, %zu bytes\n", report_shown(a, report->file_name), report->bytes.len);
	print_counts(&report->summary);
}

/* ---- show ---- */

static int
show_deliveries(struct report_run *r, struct slice report_id)
{
	struct outbox_delivery *list;
	const char *error = "?";
	size_t count;

	if (outbox_deliveries(r->db, r->arena, report_id, &list, &count, &error) != 0)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	for (size_t i = 0; i < count; i++)
		(void)printf("To:          %s: %s %s%s%s\n",
		    report_shown(r->arena, list[i].to.address), outbox_state_word(list[i].state),
		    report_time(r->arena, list[i].changed_s), list[i].reply.len > 0 ? ": " : "",
		    report_shown(r->arena, list[i].reply));
	return 0;
}

int
report_show_command(struct report_run *r)
{
	struct outbox_report report;
	const char *error = "?";
	struct slice xml;
	int found = outbox_find(
	    r->db, r->arena, slice_str(r->options.argument), true, &report, &error);

	if (found < 0)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	if (found == 0)
		return report_complain(EXIT_REFUSED, r->options.argument, "no such report");
	if (!r->options.xml) {
		print_report(r->arena, &report);
		return show_deliveries(r, report.report_id);
	}
	if (report.bytes.len == 0)
		return report_complain(EXIT_REFUSED, r->options.argument, "nothing was reported");
	if (gunzip_bytes(r->arena, report.bytes, REPORT_XML_BYTES, &xml) != 0)
		return report_complain(
		    EXIT_INTERNAL, r->options.argument, "what is kept is damaged");
	print_xml(xml);
	return 0;
}

/* ---- preview ---- */

struct preview {
	struct report_run *run;
	struct arena *arena; /* of one report */
	size_t count;
	const char *error; /* or NULL */
};

static void
print_composed(struct preview *p, const struct store_period *period, const struct composition *c)
{
	struct arena *a = p->arena;
	uint64_t unreadable;
	const char *error;

	print_report(a, &c->report);
	(void)printf("Would be:    %s%s%s\n",
	    c->outcome == COMPOSE_REPORT      ? "sent"
		: c->outcome == COMPOSE_LATER ? "put off"
					      : "not sent",
	    c->why[0] != '\0' ? ": " : "", c->why);
	for (size_t i = 0; i < c->target_count; i++)
		(void)printf("To:          %s: %s\n", report_shown(a, c->targets[i].uri),
		    c->targets[i].verdict);
	(void)store_rows(p->run->store, period->id, count_source, a, &unreadable, &error);
}

static int
preview_one(void *ctx, const struct store_period *period)
{
	struct preview *p = ctx;
	struct report_run *r = p->run;
	const struct composer composer = { r->store, r->resolver, r->crypto, &r->compose, 0 };
	struct composition c;
	const char *error = "?";

	arena_reset(p->arena);
	if (compose(p->arena, &composer, period, report_now_s(r), true, &c, &error) != 0) {
		p->error = arena_str(r->arena, slice_str(error));
		return 1;
	}
	if (p->count++ > 0 && !r->options.xml)
		(void)putchar('\n');
	if (r->options.xml)
		print_xml(c.xml);
	else
		print_composed(p, period, &c);
	return 0;
}

int
report_preview_command(struct report_run *r)
{
	struct preview p = { .run = r };
	struct store_query query = { .not_done = true };
	const char *error = "?";
	int status = 0;

	if (domain_normalize(r->arena, slice_str(r->options.argument), &query.domain, &error) != 0)
		return report_complain(EXIT_USAGE, r->options.argument, error);
	status = report_open_engine(r);
	if (status != 0)
		return status;
	p.arena = arena_new(SIZE_MAX);
	if (store_periods(r->store, &query, preview_one, &p, &error) != 0)
		status = report_complain(EXIT_INTERNAL, "report_store", error);
	else if (p.error != NULL)
		status = report_complain(EXIT_INTERNAL, r->options.argument, p.error);
	else if (p.count == 0)
		status = report_complain(EXIT_REFUSED, r->options.argument,
		    "no message since the last report, or none of a domain that asks for reports");
	arena_free(&p.arena);
	return status;
}

/* ---- export ---- */

static int
export_one(struct report_run *r, const struct outbox_report *e, size_t *count)
{
	struct outbox_report report;
	const char *error = "?";

	if (e->why.len > 0)
		return 0;
	if (outbox_find(r->db, r->arena, e->report_id, true, &report, &error) != 1)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	(*count)++;
	return report_write_file(
	    r, r->options.argument, arena_str(r->arena, report.file_name), report.bytes);
}

int
report_export_command(struct report_run *r)
{
	struct outbox_report *list;
	const char *error = "?";
	size_t count, written = 0;
	int status = 0;

	status = report_check_folder(r->options.argument);
	if (status != 0)
		return status;
	if (outbox_list(r->db, r->arena, SLICE(""), ENTRIES_MAX, &list, &count, &error) != 0)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	for (size_t i = 0; status == 0 && i < count; i++)
		status = export_one(r, &list[i], &written);
	if (status == 0)
		(void)printf("%zu report%s written to %s\n", written, written == 1 ? "" : "s",
		    r->options.argument);
	return status;
}
