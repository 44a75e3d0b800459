/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report_sample FOLDER: writes the sample report of tests/support as messages, rfc9990.eml and
 * rfc7489.eml, for report_readers_test.py to show to programs that are not ours.
 */
#include <stdio.h>
#include <stdlib.h>

#include "report/report_mail.h"
#include "report/report_name.h"
#include "tests/support/report_sample.h"

#define ARENA_BYTES (16u * 1024 * 1024)

static void
write_file(const char *folder, const char *format, struct slice message)
{
	char path[4096];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s.eml", folder, format);
	f = fopen(path, "wb");
	if (f == NULL || fwrite(message.p, 1, message.len, f) != message.len || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static void
must(int rc, const char *error)
{
	if (rc == 0)
		return;
	(void)fprintf(stderr, "report_sample: %s\n", error);
	exit(1);
}

static void
write_report(struct arena *a, const char *folder, enum aggregate_format format)
{
	struct row_source source = {
		.rows = sample_rows, .count = sample_row_count, .fail_at = SIZE_MAX
	};
	struct aggregate_report r = sample_report(&source, format);
	struct report_mail m = { .submitter = SLICE("receiver.example"),
		.policy_domain = sample_policy.domain,
		.report_id = r.report_id,
		.token = SLICE("ffeeddccbbaa99887766554433221100"),
		.begin_s = r.begin_s,
		.end_s = r.end_s,
		.date_s = r.end_s,
		.from = SLICE("dmarc@receiver.example"),
		.to = SLICE("agg@example.com") };
	struct aggregate_output out;
	struct slice message;
	const char *error = "";

	must(aggregate_write(a, &r, &aggregate_limits_default, &out, &error), error);
	m.gzip = out.gzip;
	m.summary = out.summary;
	must(report_file_name(a, m.submitter, m.policy_domain, m.begin_s, m.end_s, m.report_id,
		 &m.file_name, &error),
	    error);
	must(report_mail_write(a, &m, &message, &error), error);
	write_file(folder, aggregate_format_word(format), message);
}

int
main(int argc, char **argv)
{
	struct arena *a = arena_new(ARENA_BYTES);

	if (argc != 2) {
		(void)fprintf(stderr, "usage: report_sample folder\n");
		return 2;
	}
	write_report(a, argv[1], AGGREGATE_RFC9990);
	write_report(a, argv[1], AGGREGATE_RFC7489);
	arena_free(&a);
	return 0;
}
