/* SPDX-License-Identifier: BSD-2-Clause */
/* report/report_mail and mail_parts: the message around an aggregate report (RFC 9990 3.5.2). */
#include <string.h>

#include "report/mail_parts.h"
#include "report/report_mail.h"
#include "tests/support/golden.h"
#include "tests/support/report_sample.h"
#include "tests/support/support.h"

#define ARENA_BYTES (16u * 1024 * 1024)

static struct report_mail
sample(void)
{
	return (struct report_mail){
		.submitter = SLICE("receiver.example"),
		.policy_domain = SLICE("example.com"),
		.report_id = SLICE("00112233445566778899aabbccddeeff"),
		.file_name = SLICE("receiver.example!example.com!1795564800!1795651199!"
				   "00112233445566778899aabbccddeeff.xml.gz"),
		.token = SLICE("ffeeddccbbaa99887766554433221100"),
		.begin_s = SAMPLE_BEGIN_S,
		.end_s = SAMPLE_END_S,
		.date_s = SAMPLE_END_S + 3600,
		.from = SLICE("dmarc@receiver.example"),
		.from_name = SLICE("Receiver \"R&S\""),
		.to = SLICE("\"a,b\"@example.com"),
		.gzip = SLICE("Not gzip, but some bytes that take more than one line of base64: "
			      "\x01\x02\xff."),
		.summary = { .records = 4,
		    .messages = 1245,
		    .passed = 1234,
		    .rejected = 3,
		    .quarantined = 1,
		    .records_left_out = 2,
		    .messages_left_out = 5 },
	};
}

static struct slice
write_mail(struct arena *a, const struct report_mail *m)
{
	struct slice message;
	const char *error = "?";

	if (report_mail_write(a, m, &message, &error) != 0)
		fail_msg("%s", error);
	return message;
}

/* What every message must be (RFC 5322 2.1.1, 2.2). */
static void
check_lines(struct slice message)
{
	struct slice line;

	assert_true(slice_is_ascii(message));
	while (slice_next(&message, '\n', &line)) {
		assert_true(line.len > 0 && line.p[line.len - 1] == '\r');
		assert_true(line.len <= 999);
		assert_int_equal(slice_find(slice_sub(line, 0, line.len - 1), '\r'), SLICE_NONE);
	}
}

static void
golden(void **state)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct report_mail m = sample();
	struct slice message = write_mail(a, &m);

	(void)state;
	check_lines(message);
	golden_check("aggregate-report.eml", message);
	assert_true(slice_equal(message, write_mail(a, &m)));
	m.summary = (struct aggregate_summary){ .messages = 1245 };
	assert_null(strstr(arena_str(a, write_mail(a, &m)), "rejected"));
	arena_free(&a);
}

static void
international(void **state)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct report_mail m = sample();
	struct slice message;

	(void)state;
	m.from_name = SLICE("Empfänger für Berichte über sehr viele Nachrichten und mehr — ✉✉✉✉");
	message = write_mail(a, &m);
	check_lines(message);
	golden_check("aggregate-report-utf8.eml", message);
	arena_free(&a);
}

static void
refused(void **state)
{
	static const struct {
		const char *field, *value;
	} rows[] = {
		{ "to", "a@example.com\r\nBcc: b@example.com" },
		{ "to", "" },
		{ "to", "a b@example.com" },
		{ "to", "a@b@example.com" },
		{ "to", "a..b@example.com" },
		{ "to", "\"a\"b\"@example.com" },
		{ "to", "\"a\\\"@example.com" },
		{ "to", "\"a\rb\"@example.com" },
		{ "to", "a@[192.0.2.1]" },
		{ "to", "a@example..com" },
		{ "to", "<a@example.com>" },
		{ "to", "\xc3\xa9@example.com" },
		{ "to",
		    "01234567890123456789012345678901234567890123456789012345678901234@a.example" },
		{ "from", "dmarc@other.example" },
		{ "from", "dmarc@evilreceiver.example" },
		{ "from", "dmarc" },
		{ "submitter", "a b" },
		{ "submitter", "a\r\nX: y" },
		{ "policy_domain", "" },
		{ "policy_domain", "example.com Submitter:" },
		{ "report_id", "<a>" },
		{ "report_id", "a b" },
		{ "token", "" },
		{ "token", "a@b" },
		{ "file_name", "a\"; x=\"b" },
		{ "file_name", "a\r\nb" },
	};
	struct arena *a = arena_new(ARENA_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct report_mail m = sample();
		struct slice value = slice_str(rows[i].value), message;
		const char *field = rows[i].field, *error = NULL;
		struct slice *place = strcmp(field, "to") == 0 ? &m.to
		    : strcmp(field, "from") == 0	       ? &m.from
		    : strcmp(field, "submitter") == 0	       ? &m.submitter
		    : strcmp(field, "policy_domain") == 0      ? &m.policy_domain
		    : strcmp(field, "token") == 0	       ? &m.token
		    : strcmp(field, "report_id") == 0	       ? &m.report_id
							       : &m.file_name;

		*place = value;
		if (report_mail_write(a, &m, &message, &error) == 0)
			fail_msg("%s \"%s\" was taken", field, rows[i].value);
		assert_non_null(error);
		assert_null(strchr(error, '\n'));
	}
	arena_free(&a);
}

static void
accepted(void **state)
{
	static const char *const from[] = { "dmarc@receiver.example", "dmarc@mx.receiver.example",
		"x+y@RECEIVER.example" };
	static const char *const to[] = { "a@b", "a.b+c=d@example.com", "\"a b\"@example.com",
		"\"a\\\"b\"@example.com", "!#$%&'*/=?^_`{|}~@xn--fiqs8s.example", "a@_x.example" };
	struct arena *a = arena_new(ARENA_BYTES);
	struct report_mail m = sample();

	(void)state;
	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		m.from = slice_str(from[i]);
		(void)write_mail(a, &m);
	}
	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		m.to = slice_str(to[i]);
		(void)write_mail(a, &m);
	}
	arena_free(&a);
}

static void
dates(void **state)
{
	static const struct {
		int64_t time_s;
		const char *date, *text;
	} rows[] = {
		{ 0, "Thu, 1 Jan 1970 00:00:00 +0000", "1970-01-01 00:00:00" },
		{ 1795651199, "Wed, 25 Nov 2026 23:59:59 +0000", "2026-11-25 23:59:59" },
		{ 951782400, "Tue, 29 Feb 2000 00:00:00 +0000", "2000-02-29 00:00:00" },
	};
	struct arena *a = arena_new(ARENA_BYTES);
	struct strbuf b;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		strbuf_init(&b, a, 100);
		mail_date(&b, rows[i].time_s);
		assert_slice(strbuf_slice(&b), rows[i].date);
		strbuf_init(&b, a, 100);
		mail_time_text(&b, rows[i].time_s);
		assert_slice(strbuf_slice(&b), rows[i].text);
	}
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),
		cmocka_unit_test(international),
		cmocka_unit_test(refused),
		cmocka_unit_test(accepted),
		cmocka_unit_test(dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
