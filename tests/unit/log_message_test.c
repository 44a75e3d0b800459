/* SPDX-License-Identifier: BSD-2-Clause */
/* The log line of a message: one line, bounded, whatever a sender writes; and when it is written.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "milter/log.h"
#include "milter/log_message.h"
#include "policy/base/limits.h"
#include "tests/support/support.h"

static void
test_log_value(void **state)
{
	static const struct {
		const char *name;
		struct slice in;
		const char *want;
	} rows[] = {
		{ "bare", { "a-b.c@d_e", 9 }, "a-b.c@d_e" },
		{ "path", { "<a@b.example>", 13 }, "<a@b.example>" },
		{ "empty", { "", 0 }, "\"\"" },
		{ "blank", { "a b", 3 }, "\"a b\"" },
		{ "equals", { "a=b", 3 }, "\"a=b\"" },
		{ "quote", { "a\"b", 3 }, "\"a\\x22b\"" },
		{ "backslash", { "a\\b", 3 }, "\"a\\x5Cb\"" },
		{ "a second line", { "a\nqid=1", 7 }, "\"a\\x0Aqid=1\"" },
		{ "NUL and CR", { "a\0\rb", 4 }, "\"a\\x00\\x0Db\"" },
		{ "UTF-8", { "\xC3\xA9", 2 }, "\"\\xC3\\xA9\"" },
		{ "escape sequence", { "\033[2J", 4 }, "\"\\x1B[2J\"" },
		{ "DEL", { "\177", 1 }, "\"\\x7F\"" },
	};
	struct arena *a = arena_new(65536);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct strbuf b;

		strbuf_init(&b, a, 4096);
		log_value(&b, rows[i].in);
		if (!slice_equal(strbuf_slice(&b), slice_str(rows[i].want)))
			fail_msg("%s: got %.*s, want %s", rows[i].name, SLICE_ARG(strbuf_slice(&b)),
			    rows[i].want);
	}
	arena_free(&a);
}

static void
test_log_line_is_one_and_bounded(void **state)
{
	static char nasty[20000];
	static struct dkim_signature_verdict signatures[50];
	static struct verdict v;
	const struct disposition d = {
		.action = ACTION_REJECT, .cause = CAUSE_DMARC, .explanation = "because of that"
	};
	struct arena *a = arena_new(1024 * 1024);
	struct log_message m = { .verdict = &v, .disposition = &d, .recipients = 2, .took_ms = 7 };
	const char *text;

	(void)state;
	memset(nasty, '\n', sizeof(nasty));
	m.queue_id = m.host = m.helo = m.from = m.to = slice_of(nasty, sizeof(nasty));
	for (size_t i = 0; i < 50; i++) {
		signatures[i].result = DKIM_FAIL;
		signatures[i].reason = DKIM_R_SIGNATURE;
		signatures[i].domain = signatures[i].selector = slice_of(nasty, 200);
	}
	v.dkim.signatures = signatures;
	v.dkim.count = 50;
	text = log_message_text(a, &m);
	assert_true(strlen(text) < LIMIT_LOG_LINE_BYTES);
	assert_null(strchr(text, '\n'));
	assert_non_null(strstr(text, " action=reject cause=dmarc "));
	arena_free(&a);
}

static void
test_log_line_keys(void **state)
{
	static const struct verdict v = { 0 };
	struct disposition d = { .action = ACTION_QUARANTINE,
		.cause = CAUSE_DMARC,
		.explanation = "text here",
		.override_count = 1,
		.overrides = { { OVERRIDE_MAILING_LIST, "list.example" } } };
	struct arena *a = arena_new(65536);
	struct log_message m = { .queue_id = SLICE("4Q"),
		.client = { IP_V4, { 192, 0, 2, 1 } },
		.helo = SLICE("h.example"),
		.from = SLICE("<>"),
		.to = SLICE("<t@here.example>"),
		.recipients = 1,
		.verdict = &v,
		.disposition = &d,
		.removed = 2,
		.took_ms = 12 };

	(void)state;
	assert_string_equal(log_message_text(a, &m),
	    "qid=4Q action=quarantine cause=dmarc client=192.0.2.1 helo=h.example from=<> "
	    "to=<t@here.example> nrcpt=1 author=\"\" spf=none spf_domain=\"\" spf_reason=\"\" "
	    "dkim=none dmarc=none override=mailing_list override_why=list.example "
	    "why=\"text here\" removed=2 lookups=0 dns_ms=0 ms=12");
	m.refused_edit = true;
	assert_non_null(strstr(log_message_text(a, &m), "qid=4Q action=tempfail cause=mta "));
	m.verdict = NULL;
	m.skipped = "authenticated";
	assert_non_null(strstr(log_message_text(a, &m), " skipped=authenticated "));
	arena_free(&a);
}

/* ---- standard error ---- */

#define STAMP_BYTES (sizeof("2026-01-01T00:00:00Z assayd: ") - 1)

static int
say_into_pipe(int pipe_r[2])
{
	int saved = dup(STDERR_FILENO);

	assert_int_equal(pipe2(pipe_r, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(dup2(pipe_r[1], STDERR_FILENO), STDERR_FILENO);
	return saved;
}

/* What was written since the last look, each line without its time. */
static void
expect_lines(int fd, const char *want)
{
	char text[8192], got[8192];
	size_t len = 0;
	ssize_t n = read(fd, text, sizeof(text));
	struct slice rest = slice_of(text, n < 0 ? 0 : (size_t)n), line;

	while (slice_next(&rest, '\n', &line)) {
		assert_true(line.len >= STAMP_BYTES);
		line = slice_from(line, STAMP_BYTES);
		assert_true(line.len + 2 < sizeof(got) - len);
		memcpy(got + len, line.p, line.len);
		len += line.len;
		got[len++] = '|';
	}
	got[len] = '\0';
	assert_string_equal(got, want);
}

/* Lines are held until they are flushed or there is no room, and keep their order. */
static void
test_gathered_lines(void **state)
{
	char room[2 * STAMP_BYTES + 12], large[sizeof(room)], want[sizeof(large) + 32];
	struct log_gathered g = { .text = room, .size = sizeof(room) };
	int ends[2], saved;

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	saved = say_into_pipe(ends);
	log_text(LOG_LEVEL_INFO, "at once");
	expect_lines(ends[0], "at once|");
	log_gather(&g);
	log_text(LOG_LEVEL_INFO, "one");
	log_line(LOG_LEVEL_WARNING, "t%s", "wo");
	expect_lines(ends[0], "");
	log_text(LOG_LEVEL_INFO, "three");
	expect_lines(ends[0], "one|two|");
	log_flush();
	expect_lines(ends[0], "three|");
	log_flush();
	expect_lines(ends[0], "");
	log_text(LOG_LEVEL_INFO, "four");
	log_text(LOG_LEVEL_INFO, large);
	assert_int_equal(g.len, 0);
	log_text(LOG_LEVEL_INFO, "five");
	log_gather(NULL);
	log_text(LOG_LEVEL_INFO, "six");
	(void)dup2(saved, STDERR_FILENO);
	(void)snprintf(want, sizeof(want), "four|%s|five|six|", large);
	expect_lines(ends[0], want);
	(void)close(saved);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

#define TALKERS	     2
#define TALKER_LINES 2000

static void *
talk(void *arg)
{
	char room[LOG_GATHERED_BYTES], line[300];
	struct log_gathered g = { .text = room, .size = sizeof(room) };

	memset(line, *(const char *)arg, sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	log_gather(&g);
	for (int i = 0; i < TALKER_LINES; i++)
		log_text(LOG_LEVEL_INFO, line);
	log_gather(NULL);
	return NULL;
}

/* A pipe whose reader is slow is full at any moment, also in the middle of what is written. */
static void
test_gathered_lines_of_threads_stay_whole(void **state)
{
	static const char letters[TALKERS] = "ab";
	pthread_t threads[TALKERS];
	char got[STAMP_BYTES + 300 + 1];
	int ends[2], saved = say_into_pipe(ends);
	FILE *in;

	(void)state;
	assert_int_equal(fcntl(ends[0], F_SETFL, 0), 0);
	assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
	in = fdopen(ends[0], "r");
	assert_non_null(in);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, PIPE_BUF) > 0);
	for (size_t i = 0; i < TALKERS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, talk, (void *)(uintptr_t)&letters[i]), 0);
	for (int i = 0; i < TALKERS * TALKER_LINES; i++) {
		const char *text = got + STAMP_BYTES;

		assert_non_null(fgets(got, sizeof(got), in));
		assert_int_equal(strlen(got), sizeof(got) - 1);
		assert_int_equal(strspn(text, (const char[]){ text[0], '\0' }), 299);
	}
	for (size_t i = 0; i < TALKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	(void)dup2(saved, STDERR_FILENO);
	(void)close(saved);
	(void)close(ends[1]);
	(void)fclose(in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_value),
		cmocka_unit_test(test_log_line_is_one_and_bounded),
		cmocka_unit_test(test_log_line_keys),
		cmocka_unit_test(test_gathered_lines),
		cmocka_unit_test(test_gathered_lines_of_threads_stay_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
