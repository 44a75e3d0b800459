/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/report_sample.h"

#define TEXT(s)                                                                                    \
	{                                                                                          \
		s, sizeof(s) - 1                                                                   \
	}
#define V4(a, b, c, d)                                                                             \
	{                                                                                          \
		.family = IP_V4, .bytes = { a, b, c, d }                                           \
	}

const struct report_policy sample_policy = {
	.domain = TEXT("example.com"),
	.discovery = DMARC_TREEWALK,
	.p = DMARC_P_REJECT,
	.sp = DMARC_P_QUARANTINE,
	.strict_spf = true,
	.pct = 100,
	.fo = TEXT("1:d"),
	.rua = TEXT("mailto:agg@example.com"),
	.errors = TEXT("rua: \"10.0.0.1\" has no scheme\nadkim: \"<x>\" is not one of its letters"),
};

static struct report_signature passing[] = {
	{ .domain = TEXT("example.com"), .selector = TEXT("s1"), .result = DKIM_PASS },
	{ .domain = TEXT("list.example.net"),
	    .selector = TEXT("2026"),
	    .result = DKIM_FAIL,
	    .human_result = TEXT("body hash did not verify") },
};

static struct report_signature each_result[] = {
	{ .domain = TEXT("a.example"), .selector = TEXT("s"), .result = DKIM_NONE },
	{ .domain = TEXT("b.example"), .selector = TEXT("s"), .result = DKIM_POLICY },
	{ .domain = TEXT("c.example"), .selector = TEXT("s"), .result = DKIM_NEUTRAL },
	{ .domain = TEXT("d.example"), .selector = TEXT("s"), .result = DKIM_TEMPERROR },
	{ .domain = TEXT("e.example"), .selector = TEXT(""), .result = DKIM_PERMERROR },
};

/* Every byte that a stranger could hope to get through. */
static struct report_signature hostile[] = {
	{ .domain = TEXT("evil.example</domain><domain>bank.example"),
	    .selector = TEXT("a\r\nb\0c\x1b[31m &amp; ]]>"),
	    .result = DKIM_FAIL,
	    .human_result = TEXT(
		"<script>\xff\xfe \xc3\xa9\xe2\x80\xa8 \xed\xa0\x80\xef\xbf\xbf") },
	{ .domain = TEXT("\x01\x02"), .selector = TEXT("s"), .result = DKIM_FAIL },
};

const struct report_row sample_rows[] = {
	{ .source = V4(192, 0, 2, 1),
	    .disposition = REPORT_D_PASS,
	    .dkim_aligned = true,
	    .header_from = TEXT("example.com"),
	    .envelope_from = TEXT("bounce.example.com"),
	    .envelope_to = TEXT("receiver.example"),
	    .signatures = passing,
	    .signature_count = 2,
	    .has_spf = true,
	    .spf_domain = TEXT("bounce.example.com"),
	    .spf_result = SPF_PASS,
	    .count = 1234 },
	{ .source = { .family = IP_V6, .bytes = { 0x20, 1, 0xd, 0xb8, [15] = 1 } },
	    .disposition = REPORT_D_NONE,
	    .overrides = { { OVERRIDE_MAILING_LIST, TEXT("list <dev.example.net> passed DKIM") },
		{ OVERRIDE_LOCAL_POLICY, TEXT("") }, { OVERRIDE_POLICY_TEST_MODE, TEXT("t=y") },
		{ OVERRIDE_TRUSTED_FORWARDER, TEXT("192.0.2.0/24") } },
	    .override_count = 4,
	    .header_from = TEXT("sub.example.com"),
	    .envelope_from = TEXT("list.example.net"),
	    .signatures = each_result,
	    .signature_count = 5,
	    .has_spf = true,
	    .spf_domain = TEXT("list.example.net"),
	    .spf_result = SPF_SOFTFAIL,
	    .spf_human_result = TEXT("mechanism matched: ~all"),
	    .count = 7 },
	/* a bounce: null reverse-path, SPF for postmaster@HELO */
	{ .source = V4(198, 51, 100, 25),
	    .disposition = REPORT_D_REJECT,
	    .header_from = TEXT("example.com"),
	    .has_spf = true,
	    .spf_domain = TEXT("mail.example.org"),
	    .spf_result = SPF_PASS,
	    .count = 3 },
	{ .source = V4(203, 0, 113, 200),
	    .disposition = REPORT_D_QUARANTINE,
	    .header_from = TEXT("example.com"),
	    .envelope_from = TEXT("evil example\x7f\r\n.example"),
	    .signatures = hostile,
	    .signature_count = 2,
	    .overrides = { { OVERRIDE_OTHER, TEXT("line one\nline two & \"quotes\"") } },
	    .override_count = 1,
	    .has_spf = false,
	    .count = 1 },
};
const size_t sample_row_count = sizeof(sample_rows) / sizeof(sample_rows[0]);

int
row_source_give(void *ctx, aggregate_row_fn *row, void *row_ctx, const char **error_r)
{
	const struct row_source *s = ctx;

	for (uint64_t n = 0; n <= s->repeat; n++)
		for (size_t i = 0; i < s->count; i++) {
			if (i == s->fail_at) {
				*error_r = "the store is gone";
				return -1;
			}
			(void)row(row_ctx, &s->rows[i]);
		}
	return 0;
}

struct aggregate_report
sample_report(struct row_source *source, enum aggregate_format format)
{
	return (struct aggregate_report){
		.format = format,
		.org_name = SLICE("Receiver & Söhne"),
		.email = SLICE("postmaster@receiver.example"),
		.extra_contact = SLICE("https://receiver.example/dmarc?a=1&b=2"),
		.report_id = SLICE("00112233445566778899aabbccddeeff"),
		.begin_s = SAMPLE_BEGIN_S,
		.end_s = SAMPLE_END_S,
		.generator = SLICE("assay 0.1.0"),
		.policy = &sample_policy,
		.rows = row_source_give,
		.ctx = source,
	};
}
