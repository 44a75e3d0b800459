/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The input becomes rows: a byte chooses, text follows. Asserted: whatever rows say, a report is
 * written, and valid, in both formats; or there was no row that can be reported.
 */
#include <stdlib.h>

#include "report/aggregate.h"

#define ARENA_BYTES    (16u * 1024 * 1024)
#define ROWS_MAX       20
#define SIGNATURES_MAX 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
	struct arena *arena;
	struct slice rest;
};

static uint8_t
byte(struct source *s)
{
	uint8_t b;

	if (s->rest.len == 0)
		return 0;
	b = (uint8_t)s->rest.p[0];
	s->rest = slice_from(s->rest, 1);
	return b;
}

static struct slice
text(struct source *s)
{
	struct slice t = slice_sub(s->rest, 0, byte(s));

	t = slice_sub(s->rest, 0, t.len);
	s->rest = slice_from(s->rest, t.len);
	return t;
}

static void
signatures(struct source *s, struct report_row *row)
{
	row->signature_count = byte(s) % SIGNATURES_MAX;
	row->signatures = arena_array(s->arena, row->signature_count, sizeof(row->signatures[0]));
	for (size_t i = 0; i < row->signature_count; i++)
		row->signatures[i] = (struct report_signature){
			.domain = text(s),
			.selector = text(s),
			.result = (enum dkim_result)(byte(s) % (DKIM_PERMERROR + 1)),
			.human_result = text(s),
		};
}

static struct report_row
next_row(struct source *s)
{
	struct report_row row = {
		.source.family = (enum ip_family)(byte(s) % 3),
		.disposition = (enum report_disposition)(byte(s) % (REPORT_D_REJECT + 1)),
		.dkim_aligned = byte(s) & 1,
		.override_count = byte(s) % (OVERRIDES_MAX + 1),
		.header_from = text(s),
		.envelope_from = text(s),
		.envelope_to = text(s),
		.has_spf = byte(s) & 1,
		.spf_domain = text(s),
		.spf_result = (enum spf_result)(byte(s) % (SPF_PERMERROR + 1)),
		.spf_human_result = text(s),
	};

	for (size_t i = 0; i < sizeof(row.source.bytes); i++)
		row.source.bytes[i] = byte(s);
	for (size_t i = 0; i < row.override_count; i++)
		row.overrides[i] = (struct report_override){
			.kind = (enum override)(byte(s) % (OVERRIDE_TRUSTED_FORWARDER + 1)),
			.comment = text(s),
		};
	for (size_t i = 0; i < 4; i++)
		row.count = row.count << 8 | byte(s);
	signatures(s, &row);
	return row;
}

static int
give_rows(void *ctx, aggregate_row_fn *fn, void *fn_ctx, const char **error_r)
{
	struct source s = *(struct source *)ctx;

	(void)error_r;
	for (size_t n = 0; n < ROWS_MAX && s.rest.len > 0; n++) {
		struct report_row row = next_row(&s);

		(void)fn(fn_ctx, &row);
	}
	return 0;
}

static bool
is_reportable(struct source s)
{
	for (size_t n = 0; n < ROWS_MAX && s.rest.len > 0; n++) {
		struct report_row row = next_row(&s);

		for (size_t i = 0; i < row.header_from.len; i++)
			if (row.source.family != IP_NONE && row.count > 0 &&
			    ascii_is_alnum(row.header_from.p[i]))
				return true;
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct source s = { .arena = a, .rest = slice_of((const char *)data, size) };
	struct report_policy policy = { .domain = SLICE("example.com"), .pct = 100 };
	struct aggregate_report r = { .email = SLICE("a@example.net"),
		.report_id = SLICE("1"),
		.begin_s = 0,
		.end_s = 86400,
		.policy = &policy,
		.rows = give_rows,
		.ctx = &s };
	struct aggregate_output out;
	const char *error;

	policy.errors = text(&s);
	r.generator = text(&s);
	r.extra_contact = text(&s);
	r.org_name = SLICE("Receiver");
	for (size_t f = AGGREGATE_RFC9990; f <= AGGREGATE_RFC7489; f++) {
		r.format = (enum aggregate_format)f;
		if (aggregate_write(a, &r, &aggregate_limits_default, &out, &error) != 0 &&
		    is_reportable(s))
			abort();
	}
	arena_free(&a);
	return 0;
}
