/* SPDX-License-Identifier: BSD-2-Clause */
/* Bounces as mail servers write them, and as an enemy would. */
#include <stdlib.h>
#include <string.h>

#include "policy/base/strbuf.h"
#include "report/dsn.h"
#include "tests/support/support.h"

#define T1 "0123456789abcdef0123456789abcdef"
#define T2 "fedcba9876543210fedcba9876543210"

#define TOP                                                                                        \
	"From: MAILER-DAEMON@mx.example\r\nTo: bounce@us.example\r\nMIME-Version: 1.0\r\n"         \
	"Content-Type: multipart/report; report-type=delivery-status;\r\n "                        \
	"boundary=\"b/1\"\r\n\r\n"
#define TEXT   "This is the mail system.\r\n--b/1\r\n\r\nI'm sorry.\r\n\r\n"
#define STATUS "--b/1\r\nContent-Type: message/delivery-status\r\n\r\n"
#define FAILED                                                                                     \
	"Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; a@one.example\r\n"         \
	"Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n no such user\r\n"
#define RETURNED                                                                                   \
	"\r\n--b/1\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <" T1                        \
	".report@us.example>\r\nSubject: Report\r\n\r\nbody\r\n--b/1--\r\n"

/* clang-format off */
static const struct {
	const char *name, *text;
	bool readable, failed;
	const char *status, *diagnostic, *tokens; /* one blank between */
} rows[] = {
	{ "Postfix", TOP TEXT STATUS FAILED RETURNED, true, true, "5.1.1", "smtp; 550 5.1.1 no such user", T1 },
	{ "line ends of Unix", NULL, true, true, "5.1.1", "smtp; 550 5.1.1 no such user", T1 },
	{ "headers alone come back", TOP STATUS FAILED "\r\n--b/1\r\nContent-Type: Text/RFC822-Headers\r\n\r\n"
	    "message-id: <" T1 "@us.example>\r\n--b/1--\r\n", true, true, "5.1.1", "smtp; 550 5.1.1 no such user", T1 },
	{ "the address alone (VERP)", "Delivered-To: bounce+" T2 "@us.example\r\n" TOP STATUS FAILED "--b/1--", true, true,
	    "5.1.1", "smtp; 550 5.1.1 no such user", T2 },
	{ "both, upper case", "X-Original-To: B+0123456789ABCDEF0123456789ABCDEF@US.EXAMPLE\r\nIn-Reply-To: <" T2 "@x>\r\n"
	    TOP STATUS FAILED RETURNED, true, true, "5.1.1", "smtp; 550 5.1.1 no such user", T1 " " T2 },
	{ "envelope id", TOP STATUS "Original-Envelope-Id: " T2 "\r\n\r\nAction: failed\r\nStatus: 4.4.7\r\n\r\n--b/1--\r\n",
	    true, true, "4.4.7", "4.4.7", T2 },
	{ "delayed only", TOP STATUS "Reporting-MTA: dns; x\r\n\r\nAction: delayed\r\nStatus: 4.0.0\r\n" RETURNED, true, false,
	    "", "", T1 },
	{ "delivered", TOP STATUS "A: b\r\n\r\nAction: delivered\r\n" RETURNED, true, false, "", "", T1 },
	{ "the second recipient failed", TOP STATUS "A: b\r\n\r\nAction: relayed\r\n\r\nAction: Failed \r\nStatus: 5.2.2\r\n" RETURNED,
	    true, true, "5.2.2", "5.2.2", T1 },
	{ "cut off", TOP STATUS FAILED, true, true, "5.1.1", "smtp; 550 5.1.1 no such user", "" },
	{ "tokens too long and too short", "To: b+" T1 "0@x, c+0123456789abcdef@x\r\n" TOP STATUS FAILED "\r\n--b/1--",
	    true, true, "5.1.1", "smtp; 550 5.1.1 no such user", "" },
	{ "no status", TOP TEXT RETURNED, false, false, "", "", "" },
	{ "read receipt", "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n--b\r\n",
	    false, false, "", "", "" },
	{ "plain message", "Subject: bounce of " T1 "\r\n\r\n550 no such user\r\n", false, false, "", "", "" },
	{ "no boundary", "Content-Type: multipart/report; report-type=delivery-status\r\n\r\n" STATUS FAILED, false, false, "", "", "" },
	{ "empty boundary", "Content-Type: multipart/report; report-type=delivery-status; boundary=\"\"\r\n\r\n--\r\n\r\n",
	    false, false, "", "", "" },
	{ "empty", "", false, false, "", "", "" },
};
/* clang-format on */

static struct slice
with_lf(struct arena *a, const char *text)
{
	struct strbuf b;

	strbuf_init(&b, a, strlen(text));
	for (; *text != '\0'; text++)
		if (*text != '\r')
			strbuf_char(&b, *text);
	return strbuf_slice(&b);
}

/* Are these the tokens, in any order? */
static bool
has_tokens(const struct dsn *dsn, const char *want)
{
	struct slice rest = slice_str(want), token;
	size_t wanted = 0, found = 0;

	while (slice_next(&rest, ' ', &token)) {
		wanted++;
		for (size_t i = 0; i < dsn->token_count; i++)
			found += slice_equal(dsn->tokens[i], token);
	}
	return wanted == found && wanted == dsn->token_count;
}

static void
reads_bounces(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *a = arena_new(SIZE_MAX);
		struct slice text = rows[i].text == NULL ? with_lf(a, rows[0].text)
							 : slice_str(rows[i].text);
		const char *why = "?";
		struct dsn dsn;
		bool readable = dsn_read(a, text, &dsn, &why) == 0;

		if (readable != rows[i].readable)
			fail_msg("%s: %s", rows[i].name, readable ? "must not be read" : why);
		if (readable &&
		    (dsn.failed != rows[i].failed ||
			!slice_equal(dsn.status, slice_str(rows[i].status)) ||
			!slice_equal(dsn.diagnostic, slice_str(rows[i].diagnostic)) ||
			!has_tokens(&dsn, rows[i].tokens)))
			fail_msg("%s: failed %d, status \"%.*s\", diagnostic \"%.*s\", %zu tokens",
			    rows[i].name, dsn.failed, SLICE_ARG(dsn.status),
			    SLICE_ARG(dsn.diagnostic), dsn.token_count);
		arena_free(&a);
	}
}

/* A part in a part in a part: one level is looked at, the rest costs nothing. */
static void
stays_within_limits(void **state)
{
	struct arena *a = arena_new(SIZE_MAX);
	const char *why;
	struct strbuf b;
	struct dsn dsn;

	(void)state;
	strbuf_init(&b, a, 3 * DSN_MAX_BYTES);
	strbuf_str(&b, TOP);
	for (size_t i = 0; i < 50000; i++)
		strbuf_str(&b, "--b/1\r\nContent-Type: message/delivery-status\r\n\r\n");
	strbuf_str(&b, FAILED);
	assert_int_equal(dsn_read(a, strbuf_slice(&b), &dsn, &why), 0);
	assert_false(dsn.failed); /* beyond DSN_PARTS */
	b.len = 0;
	strbuf_str(&b, TOP STATUS);
	for (size_t i = 0; i < 200000; i++)
		strbuf_str(&b, "a: b\r\n\r\n");
	strbuf_str(&b, FAILED);
	assert_int_equal(dsn_read(a, strbuf_slice(&b), &dsn, &why), 0);
	assert_false(dsn.failed); /* beyond DSN_GROUPS */
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_bounces),
		cmocka_unit_test(stays_within_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
