/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report/aggregate: whole reports against golden files, read back with libxml2 and compared with
 * the rows they were made from, and what is left out of one that grows too large.
 */
#include <string.h>

#include "report/gzip.h"
#include "report/report_name.h"
#include "report/text.h"
#include "tests/support/golden.h"
#include "tests/support/report_reader.h"
#include "tests/support/report_sample.h"
#include "tests/support/support.h"

#define ARENA_BYTES (256u * 1024 * 1024)

static const enum aggregate_format formats[] = { AGGREGATE_RFC9990, AGGREGATE_RFC7489 };

static struct row_source
all_rows(void)
{
	return (struct row_source){
		.rows = sample_rows, .count = sample_row_count, .fail_at = SIZE_MAX
	};
}

static struct aggregate_output
write_sample(struct arena *a, enum aggregate_format format)
{
	struct row_source source = all_rows();
	struct aggregate_report r = sample_report(&source, format);
	struct aggregate_output out;
	const char *error = "?";

	if (aggregate_write(a, &r, &aggregate_limits_default, &out, &error) != 0)
		fail_msg("%s", error);
	return out;
}

static void
golden(void **state)
{
	struct arena *a = arena_new(ARENA_BYTES);

	(void)state;
	golden_check("aggregate-rfc9990.xml", write_sample(a, AGGREGATE_RFC9990).xml);
	golden_check("aggregate-rfc7489.xml", write_sample(a, AGGREGATE_RFC7489).xml);
	arena_free(&a);
}

/* ---- write, read back, compare ---- */

static void
same_text(struct arena *a, const char *what, struct slice got, struct slice sent, bool name)
{
	struct slice want = name ? report_name_text(a, sent, REPORT_NAME_BYTES)
				 : report_text(a, sent, REPORT_TEXT_BYTES);

	if (!slice_equal(got, want))
		fail_msg("%s: got \"%.*s\", want \"%.*s\"", what, SLICE_ARG(got), SLICE_ARG(want));
}

static void
same_signatures(struct arena *a, const struct report_row *got, const struct report_row *sent)
{
	size_t k = 0;

	for (size_t i = 0; i < sent->signature_count && k < REPORT_SIGNATURES_MAX; i++) {
		const struct report_signature *s = &sent->signatures[i];

		if (report_name_text(a, s->domain, REPORT_NAME_BYTES).len == 0)
			continue;
		assert_true(k < got->signature_count);
		same_text(a, "dkim/domain", got->signatures[k].domain, s->domain, true);
		same_text(a, "dkim/selector", got->signatures[k].selector, s->selector, true);
		same_text(a, "dkim/human_result", got->signatures[k].human_result, s->human_result,
		    false);
		assert_int_equal(got->signatures[k].result, s->result);
		k++;
	}
	assert_int_equal(got->signature_count, k);
}

static void
same_row(struct arena *a, const struct report_row *got, const struct report_row *sent)
{
	assert_true(ip_equal(&got->source, &sent->source));
	assert_int_equal(got->count, sent->count);
	assert_int_equal(got->disposition, sent->disposition);
	assert_int_equal(got->dkim_aligned, sent->dkim_aligned);
	assert_int_equal(got->spf_aligned, sent->spf_aligned);
	assert_int_equal(got->override_count, sent->override_count);
	for (size_t i = 0; i < sent->override_count; i++) {
		assert_int_equal(got->overrides[i].kind, sent->overrides[i].kind);
		same_text(
		    a, "comment", got->overrides[i].comment, sent->overrides[i].comment, false);
	}
	same_text(a, "header_from", got->header_from, sent->header_from, true);
	same_text(a, "envelope_from", got->envelope_from, sent->envelope_from, true);
	same_text(a, "envelope_to", got->envelope_to, sent->envelope_to, true);
	same_signatures(a, got, sent);
	assert_int_equal(got->has_spf, sent->has_spf);
	if (sent->has_spf) {
		same_text(a, "spf/domain", got->spf_domain, sent->spf_domain, true);
		same_text(
		    a, "spf/human_result", got->spf_human_result, sent->spf_human_result, false);
		assert_int_equal(got->spf_result, sent->spf_result);
	}
}

static void
read_back(void **state)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct aggregate_output out = write_sample(a, AGGREGATE_RFC9990);
	struct read_report r;

	(void)state;
	report_read(a, out.xml, &r);
	assert_slice(r.org_name, "Receiver & Söhne");
	assert_slice(r.email, "postmaster@receiver.example");
	assert_slice(r.extra_contact, "https://receiver.example/dmarc?a=1&b=2");
	assert_slice(r.report_id, "00112233445566778899aabbccddeeff");
	assert_int_equal(r.begin_s, SAMPLE_BEGIN_S);
	assert_int_equal(r.end_s, SAMPLE_END_S - 1);
	assert_slice(r.generator, "assay 0.1.0");
	assert_slice(r.policy.domain, "example.com");
	assert_int_equal(r.policy.p, DMARC_P_REJECT);
	assert_int_equal(r.policy.sp, DMARC_P_QUARANTINE);
	assert_int_equal(r.policy.np, DMARC_P_QUARANTINE); /* default: sp */
	assert_true(!r.policy.strict_dkim && r.policy.strict_spf && !r.policy.testing);
	assert_slice(r.policy.fo, "1:d");
	assert_slice(r.policy.errors,
	    "rua: \"10.0.0.1\" has no scheme; adkim: \"<x>\" is not one of its letters");
	assert_int_equal(r.row_count, sample_row_count);
	for (size_t i = 0; i < r.row_count; i++)
		same_row(a, &r.rows[i], &sample_rows[i]);
	arena_free(&a);
}

static void
summary(void **state)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct aggregate_summary s = write_sample(a, AGGREGATE_RFC9990).summary;

	(void)state;
	assert_int_equal(s.records, 4);
	assert_int_equal(s.messages, 1234 + 7 + 3 + 1);
	assert_int_equal(s.passed, 1234);
	assert_int_equal(s.rejected, 3);
	assert_int_equal(s.quarantined, 1);
	assert_int_equal(s.records_left_out + s.messages_left_out, 0);
	arena_free(&a);
}

/* ---- RFC 7489 has fewer words ---- */

static void
old_words(void **state)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct aggregate_output out = write_sample(a, AGGREGATE_RFC7489);
	struct read_report r;

	(void)state;
	report_read(a, out.xml, &r);
	assert_int_equal(r.rows[0].disposition, REPORT_D_NONE);
	assert_int_equal(r.rows[1].overrides[2].kind, OVERRIDE_OTHER);
	assert_slice(r.rows[1].overrides[2].comment, "policy_test_mode: t=y");
	assert_true(r.rows[3].has_spf); /* wanted in every record */
	assert_int_equal(r.rows[3].spf_result, SPF_NONE);
	assert_int_equal(r.error_count, 2);
	assert_null(strstr(arena_str(a, out.xml), "xmlns"));
	assert_null(strstr(arena_str(a, out.xml), "generator"));
	arena_free(&a);
}

/* ---- what the policy says ---- */

static void
policies(void **state)
{
	static const struct {
		struct report_policy policy;
		const char *want; /* in this order, somewhere in the XML without its white space */
	} rows[] = {
		{ { .discovery = DMARC_TREEWALK, .p = DMARC_P_NONE, .pct = 100 },
		    "<discovery_method>treewalk</discovery_method><p>none</p><sp>none</sp>"
		    "<np>none</np><fo>0</fo><adkim>r</adkim><aspf>r</aspf><testing>n</testing>" },
		{ { .discovery = DMARC_TREEWALK,
		      .testing = true,
		      .strict_dkim = true,
		      .p = DMARC_P_QUARANTINE,
		      .np = DMARC_P_REJECT },
		    "<p>quarantine</p><sp>quarantine</sp><np>reject</np><fo>0</fo>"
		    "<adkim>s</adkim><aspf>r</aspf><testing>y</testing>" },
		/* no valid p: as p=none */
		{ { .discovery = DMARC_TREEWALK }, "<p>none</p><sp>none</sp><np>none</np>" },
		{ { .discovery = DMARC_PSL, .p = DMARC_P_REJECT },
		    "<discovery_method>psl</discovery_method><p>reject</p><sp>reject</sp>"
		    "<fo>0</fo><adkim>r</adkim><aspf>r</aspf></policy_published>" },
	};
	struct arena *a = arena_new(ARENA_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct row_source source = all_rows();
		struct aggregate_report r = sample_report(&source, AGGREGATE_RFC9990);
		struct report_policy policy = rows[i].policy;
		struct aggregate_output out;
		const char *error = "?";
		char *text;
		size_t n = 0;

		policy.domain = SLICE("example.com");
		r.policy = &policy;
		if (aggregate_write(a, &r, &aggregate_limits_default, &out, &error) != 0)
			fail_msg("row %zu: %s", i, error);
		text = arena_alloc(a, out.xml.len + 1);
		for (size_t k = 0; k < out.xml.len; k++)
			if (!ascii_is_space(out.xml.p[k]))
				text[n++] = out.xml.p[k];
		if (strstr(text, rows[i].want) == NULL)
			fail_msg("row %zu: no %s in %s", i, rows[i].want, text);
	}
	arena_free(&a);
}

/* ---- limits ---- */

static void
too_large(void **state)
{
	static const struct {
		size_t xml, gzip;
	} rows[] = { { 100 * 1024, 1024 * 1024 }, { 16 * 1024 * 1024, 4000 } };
	struct arena *a = arena_new(ARENA_BYTES);

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (size_t f = 0; f < 2; f++) {
			struct row_source source = all_rows();
			struct aggregate_report r = sample_report(&source, formats[f]);
			struct aggregate_limits limits = { rows[i].xml, rows[i].gzip };
			struct aggregate_output out;
			struct read_report read;
			const char *error = "?";

			source.repeat = 999;
			if (aggregate_write(a, &r, &limits, &out, &error) != 0)
				fail_msg("%s", error);
			assert_true(out.xml.len <= rows[i].xml && out.gzip.len <= rows[i].gzip);
			assert_true(out.summary.records > 40 && out.summary.records < 4000);
			assert_int_equal(out.summary.records + out.summary.records_left_out, 4000);
			assert_int_equal(
			    out.summary.messages + out.summary.messages_left_out, 1245000);
			report_read(a, out.xml, &read);
			assert_int_equal(read.row_count, out.summary.records);
			if (strstr(arena_str(a, read.policy.errors),
				arena_printf(a, "%llu more records (%llu messages)",
				    (unsigned long long)out.summary.records_left_out,
				    (unsigned long long)out.summary.messages_left_out)) == NULL)
				fail_msg("error: %s", arena_str(a, read.policy.errors));
		}
	arena_free(&a);
}

static void
left_out_rows(void **state)
{
	struct report_row rows[] = { sample_rows[0], sample_rows[0], sample_rows[0],
		sample_rows[0] };
	struct arena *a = arena_new(ARENA_BYTES);
	struct row_source source = { .rows = rows, .count = 4, .fail_at = SIZE_MAX };
	struct aggregate_report r = sample_report(&source, AGGREGATE_RFC9990);
	struct aggregate_output out;
	const char *error = "?";

	(void)state;
	rows[0].source.family = IP_NONE;
	rows[1].header_from = SLICE(" \x01 ");
	rows[2].count = 0;
	assert_int_equal(aggregate_write(a, &r, &aggregate_limits_default, &out, &error), 0);
	assert_int_equal(out.summary.records, 1);
	assert_int_equal(out.summary.records_left_out, 3);
	arena_free(&a);
}

/* Text of which nothing is left once it is clean: no empty element, which would not be valid. */
static void
nothing_to_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct arena *a = arena_new(ARENA_BYTES);
		struct row_source source = all_rows();
		struct aggregate_report r = sample_report(&source, formats[i]);
		struct report_policy policy = *r.policy;
		struct aggregate_output out;
		const char *error = "?";

		policy.errors = r.generator = r.extra_contact = SLICE("\x01 \n\x04");
		r.policy = &policy;
		if (aggregate_write(a, &r, &aggregate_limits_default, &out, &error) != 0)
			fail_msg("%s", error);
		assert_null(memmem(out.xml.p, out.xml.len, "<error", strlen("<error")));
		arena_free(&a);
	}
}

static void
many_signatures(void **state)
{
	struct report_signature signatures[150];
	struct report_row row = sample_rows[0];
	struct arena *a = arena_new(ARENA_BYTES);
	struct row_source source = { .rows = &row, .count = 1, .fail_at = SIZE_MAX };
	struct aggregate_report r = sample_report(&source, AGGREGATE_RFC9990);
	struct aggregate_output out;
	struct read_report read;
	const char *error = "?";

	(void)state;
	for (size_t i = 0; i < 150; i++)
		signatures[i] = (struct report_signature){ .domain = SLICE("example.com"),
			.selector = slice_str(arena_printf(a, "s%zu", i)) };
	row.signatures = signatures;
	row.signature_count = 150;
	assert_int_equal(aggregate_write(a, &r, &aggregate_limits_default, &out, &error), 0);
	report_read(a, out.xml, &read);
	assert_int_equal(read.rows[0].signature_count, 100); /* RFC 9990 3.1.3 */
	assert_slice(read.rows[0].signatures[99].selector, "s99");
	arena_free(&a);
}

/* A million messages in 70,000 records: past 10 MB, where libxml2 has limits of its own. */
static void
large(void **state)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct row_source source = all_rows();
	struct aggregate_report r = sample_report(&source, AGGREGATE_RFC9990);
	struct aggregate_output out;
	const char *error = "?";

	(void)state;
	source.repeat = 4999;
	if (aggregate_write(a, &r, &aggregate_limits_default, &out, &error) != 0)
		fail_msg("%s", error);
	(void)printf("%llu records: %zu bytes, compressed %zu\n",
	    (unsigned long long)out.summary.records, out.xml.len, out.gzip.len);
	assert_true(out.xml.len > 16 * 1024 * 1024);
	assert_int_equal(out.summary.records, 20000);
	arena_free(&a);
}

/* ---- what gives no report ---- */

static void
refused(void **state)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct report_policy bad = sample_policy;
	struct aggregate_output out;
	const char *error;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		struct row_source source = all_rows();
		struct aggregate_report r = sample_report(&source, AGGREGATE_RFC9990);
		struct aggregate_limits limits = aggregate_limits_default;

		error = NULL;
		switch (i) {
		case 0:
			source.count = 0;
			break;
		case 1:
			source.fail_at = 2;
			break;
		case 2:
			r.email = SLICE("nobody");
			break;
		case 3:
			r.report_id = SLICE("a b");
			break;
		case 4:
			limits.max_gzip_bytes = 100;
			break;
		default:
			bad.domain = SLICE("a!b/c.example");
			r.policy = &bad;
			break;
		}
		if (aggregate_write(a, &r, &limits, &out, &error) == 0)
			fail_msg("case %zu was written", i);
		assert_non_null(error);
		assert_int_equal(out.xml.len + out.gzip.len, 0);
		(void)printf("refused: %s\n", error);
	}
	arena_free(&a);
}

/* ---- the same report, the same bytes ---- */

static void
same_bytes(void **state)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct aggregate_output one = write_sample(a, AGGREGATE_RFC9990);
	struct aggregate_output two = write_sample(a, AGGREGATE_RFC9990);
	struct slice back;

	(void)state;
	assert_true(slice_equal(one.gzip, two.gzip));
	/* RFC 1952 2.3: no flags, time 0, Unix */
	assert_memory_equal(one.gzip.p, "\x1f\x8b\x08\0\0\0\0\0", 8);
	assert_int_equal(one.gzip.p[9], 3);
	assert_int_equal(gunzip_bytes(a, one.gzip, one.xml.len, &back), 0);
	assert_true(slice_equal(back, one.xml));
	assert_int_equal(gunzip_bytes(a, one.gzip, one.xml.len - 1, &back), -1);
	assert_int_equal(
	    gunzip_bytes(a, slice_sub(one.gzip, 0, one.gzip.len - 1), 1 << 20, &back), -1);
	assert_int_equal(gunzip_bytes(a, SLICE("no gzip"), 1 << 20, &back), -1);
	arena_free(&a);
}

static void
names(void **state)
{
	struct world w;
	struct report_policy p = sample_policy, q = sample_policy;
	const struct report_origin origin = { SLICE("mx.example"), 77, 5 };
	struct slice id, file;
	const char *error;

	(void)state;
	world_open(&w, NULL);
	id = report_id(w.arena, w.crypto, &p, 0, 86400, &origin);
	assert_int_equal(id.len, 32);
	assert_true(slice_equal(id, report_id(w.arena, w.crypto, &q, 0, 86400, &origin)));
#define DIFFERENT(...) assert_false(slice_equal(id, report_id(w.arena, w.crypto, __VA_ARGS__)))
	DIFFERENT(&p, 0, 86399, &origin);
	DIFFERENT(&p, 1, 86400, &origin);
	DIFFERENT(&p, 0, 86400, &(struct report_origin){ SLICE("mx2.example"), 77, 5 });
	DIFFERENT(&p, 0, 86400, &(struct report_origin){ SLICE("mx.example"), 78, 5 });
	DIFFERENT(&p, 0, 86400, &(struct report_origin){ SLICE("mx.example"), 77, 6 });
	q.domain = SLICE("example.org");
	DIFFERENT(&q, 0, 86400, &origin);
	q = p;
	q.testing = true;
	DIFFERENT(&q, 0, 86400, &origin);
	q = p;
	q.rua = SLICE("mailto:agg@example.co");
	DIFFERENT(&q, 0, 86400, &origin);
#undef DIFFERENT
	assert_int_equal(
	    report_file_name(w.arena, SLICE("mail.receiver.example"), SLICE("example.com"),
		1013662812, 1013749131, SLICE("abc"), &file, &error),
	    0);
	assert_slice(file, "mail.receiver.example!example.com!1013662812!1013749130!abc.xml.gz");
	assert_int_equal(report_file_name(w.arena, SLICE("mail.receiver.example"),
			     SLICE("../../etc"), 0, 1, SLICE("abc"), &file, &error),
	    -1);
	assert_int_equal(report_file_name(w.arena, SLICE("a!b"), SLICE("example.com"), 0, 1,
			     SLICE("abc"), &file, &error),
	    -1);
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),
		cmocka_unit_test(read_back),
		cmocka_unit_test(summary),
		cmocka_unit_test(old_words),
		cmocka_unit_test(policies),
		cmocka_unit_test(too_large),
		cmocka_unit_test(left_out_rows),
		cmocka_unit_test(nothing_to_say),
		cmocka_unit_test(many_signatures),
		cmocka_unit_test(large),
		cmocka_unit_test(refused),
		cmocka_unit_test(same_bytes),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
