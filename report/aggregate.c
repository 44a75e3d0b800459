/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The records are written first, into memory, with a note of where each of them ends; then it is
 * known what is left out, and the head, whose "error" says so, is put in front.
 */
#include "report/aggregate.h"

#include <stdlib.h>
#include <string.h>

#include "policy/base/strbuf.h"
#include "report/aggregate_internal.h"
#include "report/gzip.h"
#include "report/text.h"

#define HEAD_ROOM_BYTES 16384 /* kept for head and end: what they are at most */

ENUMTAB_WORDS(aggregate_format_word, enum aggregate_format, AGGREGATE_FORMATS)

const struct aggregate_limits aggregate_limits_default = {
	.max_xml_bytes = REPORT_XML_BYTES,
	.max_gzip_bytes = REPORT_GZIP_BYTES,
};

struct mark {				  /* behind one record */
	size_t end;			  /* bytes of the body until there */
	struct aggregate_summary summary; /* of the records until there */
};

struct writing { /* one report under way */
	struct arena *arena;
	const struct aggregate_report *report;
	const struct aggregate_limits *limits;
	struct xml *body;
	size_t body_start; /* of the first record */
	size_t room;	   /* for records */
	bool full;
	struct mark *marks; /* heap */
	size_t kept, size;
	uint64_t records, messages; /* all that came */
};

static void
add_mark(struct writing *w, size_t end, const struct report_row *row)
{
	struct mark *m;

	if (w->kept == w->size) {
		w->size = w->size == 0 ? 64 : 2 * w->size;
		w->marks = reallocarray(w->marks, w->size, sizeof(w->marks[0]));
		if (w->marks == NULL)
			out_of_memory(w->size * sizeof(w->marks[0]));
	}
	m = &w->marks[w->kept];
	*m = w->kept == 0 ? (struct mark){ 0 } : w->marks[w->kept - 1];
	w->kept++;
	m->end = end;
	m->summary.records++;
	m->summary.messages += row->count;
	if (row->dkim_aligned || row->spf_aligned)
		m->summary.passed += row->count;
	if (row->folded)
		m->summary.folded += row->count;
	if (row->disposition == REPORT_D_QUARANTINE)
		m->summary.quarantined += row->count;
	if (row->disposition == REPORT_D_REJECT)
		m->summary.rejected += row->count;
}

static int
take_row(void *ctx, const struct report_row *row)
{
	struct writing *w = ctx;

	w->records++;
	w->messages += row->count;
	if (w->full || !xml_record(w->body, w->report->format, row))
		return 0;
	w->full = xml_text(w->body).len - w->body_start > w->room;
	if (!w->full)
		add_mark(w, xml_text(w->body).len, row);
	return 0;
}

/* The faults of the owner's record, and what is left out of the report. */
static struct slice
error_text(const struct writing *w, const struct aggregate_summary *s)
{
	struct slice faults = w->report->policy->errors, line;
	bool lines = w->report->format == AGGREGATE_RFC7489;
	struct strbuf b;

	strbuf_init(&b, w->arena, 2 * REPORT_ERROR_BYTES);
	if (s->records_left_out > 0)
		strbuf_printf(&b, "%llu more records (%llu messages) are left out of this report",
		    (unsigned long long)s->records_left_out,
		    (unsigned long long)s->messages_left_out);
	if (s->folded > 0)
		strbuf_printf(&b,
		    "%s%llu messages are told by their addresses alone: too many differ in names",
		    b.len == 0	? ""
			: lines ? "\n"
				: "; ",
		    (unsigned long long)s->folded);
	while (slice_next(&faults, '\n', &line)) {
		line = report_text(w->arena, line, REPORT_ERROR_BYTES);
		if (line.len > 0 && b.len > 0)
			strbuf_str(&b, lines ? "\n" : "; ");
		strbuf_add(&b, line);
	}
	return strbuf_slice(&b);
}

/* Head, the records kept, end. */
static struct slice
assemble(const struct writing *w, const struct aggregate_summary *summary)
{
	struct xml *x = xml_new();
	struct slice head, end = SLICE(XML_END), body;
	char *p;

	xml_head(x, w->report, error_text(w, summary));
	head = xml_text(x);
	body = slice_sub(
	    xml_text(w->body), w->body_start, w->marks[w->kept - 1].end - w->body_start);
	p = arena_alloc(w->arena, head.len + body.len + end.len + 1);
	memcpy(p, head.p, head.len);
	memcpy(p + head.len, body.p, body.len);
	memcpy(p + head.len + body.len, end.p, end.len);
	xml_free(&x);
	return slice_of(p, head.len + body.len + end.len);
}

/* Records compress alike: so many fit, less a tenth. */
static size_t
fewer(size_t kept, size_t max_bytes, size_t bytes)
{
	size_t fit = (size_t)((double)kept * 0.9 * (double)max_bytes / (double)bytes);

	return fit < kept ? fit : kept - 1;
}

static int
finish(struct writing *w, struct aggregate_output *out, const char **error_r)
{
	while (w->kept > 0) {
		out->summary = w->marks[w->kept - 1].summary;
		out->summary.records_left_out = w->records - out->summary.records;
		out->summary.messages_left_out = w->messages - out->summary.messages;
		out->xml = assemble(w, &out->summary);
		out->gzip = gzip_bytes(w->arena, out->xml);
		if (out->gzip.len <= w->limits->max_gzip_bytes)
			return aggregate_validate(w->arena, out->xml, w->report->format, error_r);
		w->kept = fewer(w->kept, w->limits->max_gzip_bytes, out->gzip.len);
	}
	*error_r = w->records == 0
	    ? "no records: there is nothing to report"
	    : arena_printf(w->arena, "none of %llu records can be put into a report",
		  (unsigned long long)w->records);
	return -1;
}

int
aggregate_write(struct arena *a, const struct aggregate_report *report,
    const struct aggregate_limits *limits, struct aggregate_output *out, const char **error_r)
{
	struct writing w = { .arena = a, .report = report, .limits = limits, .body = xml_new() };
	int rc;

	*out = (struct aggregate_output){ 0 };
	if (limits->max_xml_bytes > HEAD_ROOM_BYTES)
		w.room = limits->max_xml_bytes - HEAD_ROOM_BYTES;
	xml_body(w.body);
	w.body_start = xml_text(w.body).len;
	rc = report->rows(report->ctx, take_row, &w, error_r);
	if (rc == 0)
		rc = finish(&w, out, error_r);
	if (rc != 0)
		*out = (struct aggregate_output){ 0 };
	free(w.marks);
	xml_free(&w.body);
	return rc;
}
