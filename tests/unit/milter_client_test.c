/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MTA's side of the milter protocol over a socket pair: what a filter may answer, what it may
 * ask for and when, and what is nonsense; what is sent.
 */
#include <sys/socket.h>

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/milter_client.h"
#include "tests/support/support.h"

#define ALL_ACTIONS "\0\0\1\xff"
#define NO_STEPS    "\0\0\0\0"
#define NEGOTIATED  "\0\0\0\x0dO\0\0\0\6" ALL_ACTIONS NO_STEPS
#define CONTINUE    "\0\0\0\1c"
#define BYTES(text) text, sizeof(text) - 1

/* ---- a filter that says what stands in its script, whatever it hears ---- */

struct filter {
	struct milter_client client;
	int fd;
	char heard[4096]; /* of what the client sent, once both are done */
	size_t heard_len;
};

static void
filter_open(struct filter *f, const char *script, size_t len)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	f->fd = fds[1];
	f->heard_len = 0;
	milter_attach(&f->client, fds[0], 200);
	assert_int_equal(write(f->fd, script, len), len);
}

/* Everything the client has said so far. */
static void
filter_listen(struct filter *f)
{
	ssize_t n = recv(f->fd, f->heard, sizeof(f->heard), MSG_DONTWAIT);

	f->heard_len = n > 0 ? (size_t)n : 0;
}

static void
filter_close(struct filter *f)
{
	milter_close(&f->client);
	(void)close(f->fd);
}

static void
expect_heard(struct filter *f, const char *what, const char *want, size_t len)
{
	filter_listen(f);
	if (f->heard_len != len || memcmp(f->heard, want, len) != 0)
		fail_msg("%s: %zu bytes were sent, want %zu", what, f->heard_len, len);
}

/* ---- answers at the end of a message ---- */

static const struct row {
	const char *name;
	const char *script; /* behind the negotiation */
	size_t len;
	int answer;
	const char *error; /* part of it, with -1 */
	enum milter_edit_kind kind;
	size_t edits;
	uint32_t index;
	const char *field, *value, *args; /* of the first */
} rows[] = {
	{ "continue", BYTES("\0\0\0\1c"), 'c', .edits = 0 },
	{ "accept", BYTES("\0\0\0\1a"), 'a', .edits = 0 },
	{ "reject", BYTES("\0\0\0\1r"), 'r', .edits = 0 },
	{ "tempfail", BYTES("\0\0\0\1t"), 't', .edits = 0 },
	{ "discard", BYTES("\0\0\0\1d"), 'd', .edits = 0 },
	{ "connection failure", BYTES("\0\0\0\1f"), 'f', .edits = 0 },
	{ "shutdown",
	    BYTES("\0\0\0\1"
		  "4"),
	    '4', .edits = 0 },
	{ "a reply of its own", BYTES("\0\0\0\x0by450 later\0"), 'y', .edits = 0 },
	{ "progress, then the answer", BYTES("\0\0\0\1p\0\0\0\1p\0\0\0\1a"), 'a', .edits = 0 },
	{ "add", BYTES("\0\0\0\6hX-A\0v\0" CONTINUE), -1, "malformed 'h'", .edits = 0 },
	{ "add a field", BYTES("\0\0\0\7hX-A\0v\0" CONTINUE), 'c', NULL, MILTER_EDIT_ADD, 1, 0,
	    "X-A", "v", NULL },
	{ "insert a field", BYTES("\0\0\0\x0bi\0\0\0\2X-A\0v\0" CONTINUE), 'c', NULL,
	    MILTER_EDIT_INSERT, 1, 2, "X-A", "v", NULL },
	{ "change a field", BYTES("\0\0\0\x0bm\0\0\0\3X-A\0v\0" CONTINUE), 'c', NULL,
	    MILTER_EDIT_CHANGE, 1, 3, "X-A", "v", NULL },
	{ "delete a field", BYTES("\0\0\0\x0am\0\0\0\1X-A\0\0" CONTINUE), 'c', NULL,
	    MILTER_EDIT_CHANGE, 1, 1, "X-A", "", NULL },
	{ "quarantine", BYTES("\0\0\0\5qbad\0" CONTINUE), 'c', NULL, MILTER_EDIT_QUARANTINE, 1, 0,
	    NULL, "bad", NULL },
	{ "add a recipient", BYTES("\0\0\0\7+<a@b>\0" CONTINUE), 'c', NULL, MILTER_EDIT_ADD_RCPT, 1,
	    0, NULL, "<a@b>", NULL },
	{ "add a recipient with parameters",
	    BYTES("\0\0\0\x0b"
		  "2<a@b>\0X=1\0" CONTINUE),
	    'c', NULL, MILTER_EDIT_ADD_RCPT, 1, 0, NULL, "<a@b>", "X=1" },
	{ "delete a recipient", BYTES("\0\0\0\7-<a@b>\0" CONTINUE), 'c', NULL,
	    MILTER_EDIT_DELETE_RCPT, 1, 0, NULL, "<a@b>", NULL },
	{ "change the sender", BYTES("\0\0\0\7e<a@b>\0" CONTINUE), 'c', NULL, MILTER_EDIT_SENDER, 1,
	    0, NULL, "<a@b>", NULL },
	{ "change the sender, with parameters",
	    BYTES("\0\0\0\x0b"
		  "e<a@b>\0X=1\0" CONTINUE),
	    'c', NULL, MILTER_EDIT_SENDER, 1, 0, NULL, "<a@b>", "X=1" },
	{ "replace the body, in pieces", BYTES("\0\0\0\4bone\0\0\0\4btwo" CONTINUE), 'c', NULL,
	    MILTER_EDIT_BODY, 2, 0, NULL, "one", NULL },
	{ "bad: a length of nothing", BYTES("\0\0\0\0"), -1, "packet of 0 bytes", .edits = 0 },
	{ "bad: a length of everything", BYTES("\xff\xff\xff\xff"), -1, "packet of", .edits = 0 },
	{ "bad: an answer that is none", BYTES("\0\0\0\1z"), -1, "unknown answer 0x7a",
	    .edits = 0 },
	{ "bad: an index cut short", BYTES("\0\0\0\4m\0\0\0"), -1, "short 'm'", .edits = 0 },
	{ "bad: no end of the name", BYTES("\0\0\0\4hX-A"), -1, "malformed 'h'", .edits = 0 },
	{ "bad: something behind the value", BYTES("\0\0\0\6qbad\0x"), -1, "malformed 'q'",
	    .edits = 0 },
	{ "bad: a reply without end", BYTES("\0\0\0\4y450"), -1, "reply without end", .edits = 0 },
	{ "bad: half a packet", BYTES("\0\0\0\5qb"), -1, "timed out", .edits = 0 },
	{ "bad: nothing", BYTES(""), -1, "timed out", .edits = 0 },
};

static void
check_edit(const struct row *row, const struct milter_edit *e)
{
	if (e->kind != row->kind || e->index != row->index || strcmp(e->value, row->value) != 0 ||
	    e->value_len != strlen(row->value))
		fail_msg("%s: kind %d index %u value \"%s\"", row->name, (int)e->kind, e->index,
		    e->value);
	if ((e->name == NULL) != (row->field == NULL) ||
	    (e->name != NULL && strcmp(e->name, row->field) != 0))
		fail_msg("%s: field %s", row->name, e->name);
	if ((e->args == NULL) != (row->args == NULL) ||
	    (e->args != NULL && strcmp(e->args, row->args) != 0))
		fail_msg("%s: arguments %s", row->name, e->args);
}

static void
test_end_of_message(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct filter f;
		int answer;

		filter_open(&f, BYTES(NEGOTIATED));
		assert_int_equal(write(f.fd, row->script, row->len), row->len);
		assert_int_equal(
		    milter_negotiate(&f.client, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS), 0);
		answer = milter_eom(&f.client);
		if (answer != row->answer || f.client.edit_count != row->edits)
			fail_msg("%s: answer %d, %zu edits, error \"%s\"", row->name, answer,
			    f.client.edit_count, f.client.error);
		if (row->error != NULL && strstr(f.client.error, row->error) == NULL)
			fail_msg("%s: error \"%s\"", row->name, f.client.error);
		if (row->edits > 0)
			check_edit(row, &f.client.edits[0]);
		filter_close(&f);
	}
}

/* ---- when, and what was agreed on ---- */

static void
test_edits_out_of_place(void **state)
{
	static const char add[] = "\0\0\0\7hX-A\0v\0" CONTINUE;
	static const char few[] = "\0\0\0\x0dO\0\0\0\6\0\0\0\x20" NO_STEPS;
	struct filter f;

	(void)state;
	filter_open(&f, BYTES(NEGOTIATED));
	assert_int_equal(write(f.fd, add, sizeof(add) - 1), sizeof(add) - 1);
	assert_int_equal(milter_negotiate(&f.client, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS), 0);
	assert_int_equal(milter_helo(&f.client, "x"), -1);
	assert_string_equal(f.client.error, "'h' before the end of a message");
	filter_close(&f);

	filter_open(&f, few, sizeof(few) - 1);
	assert_int_equal(write(f.fd, add, sizeof(add) - 1), sizeof(add) - 1);
	assert_int_equal(milter_negotiate(&f.client, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS), 0);
	assert_int_equal(milter_eom(&f.client), -1);
	assert_string_equal(f.client.error, "'h' was not negotiated");
	filter_close(&f);
}

static const struct negotiation_row {
	const char *name;
	const char *script;
	size_t len;
	const char *error; /* NULL: good */
} negotiation_rows[] = {
	{ "all of it", BYTES(NEGOTIATED), NULL },
	{ "with a list of macros",
	    BYTES("\0\0\0\x17O\0\0\0\6" ALL_ACTIONS NO_STEPS "\0\0\0\2{a} b\0"), NULL },
	{ "bad: more actions than offered", BYTES("\0\0\0\x0dO\0\0\0\6\0\0\xff\xff" NO_STEPS),
	    "more taken than offered" },
	{ "bad: another version", BYTES("\0\0\0\x0dO\0\0\0\7" ALL_ACTIONS NO_STEPS),
	    "more taken than offered" },
	{ "bad: too short", BYTES("\0\0\0\5O\0\0\0\6"), "no negotiation" },
	{ "bad: something else", BYTES(CONTINUE), "no negotiation" },
	{ "bad: a stage that is none",
	    BYTES("\0\0\0\x13O\0\0\0\6" ALL_ACTIONS NO_STEPS "\0\0\0\x09"
		  "b\0"),
	    "malformed macro list" },
	{ "bad: a list without end", BYTES("\0\0\0\x12O\0\0\0\6" ALL_ACTIONS NO_STEPS "\0\0\0\2b"),
	    "malformed macro list" },
};

static void
test_negotiation(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(negotiation_rows) / sizeof(negotiation_rows[0]); i++) {
		const struct negotiation_row *row = &negotiation_rows[i];
		struct filter f;
		int result;

		filter_open(&f, row->script, row->len);
		result = milter_negotiate(&f.client, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS);
		if (result != (row->error == NULL ? 0 : -1) ||
		    (row->error != NULL && strstr(f.client.error, row->error) == NULL))
			fail_msg("%s: %d, error \"%s\"", row->name, result, f.client.error);
		filter_close(&f);
	}
}

/* ---- what is sent ---- */

static void
test_commands(void **state)
{
	static const char *const macros[] = { "i", "Q1", "{x}", "y", NULL };
	struct filter f;

	(void)state;
	filter_open(&f,
	    BYTES(NEGOTIATED CONTINUE CONTINUE CONTINUE CONTINUE CONTINUE CONTINUE CONTINUE CONTINUE
		    CONTINUE));
	assert_int_equal(milter_negotiate(&f.client, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS), 0);
	expect_heard(&f, "negotiation", BYTES("\0\0\0\x0dO\0\0\0\6\0\0\1\xff\0\x1f\xff\xff"));
	assert_int_equal(milter_macros(&f.client, 'C', macros), 0);
	expect_heard(&f, "macros",
	    BYTES("\0\0\0\x0d"
		  "DCi\0Q1\0{x}\0y\0"));
	assert_int_equal(milter_connect(&f.client, "h", "192.0.2.1"), 'c');
	expect_heard(&f, "connect",
	    BYTES("\0\0\0\x10"
		  "Ch\0"
		  "4\x30\x39"
		  "192.0.2.1\0"));
	assert_int_equal(milter_helo(&f.client, "x"), 'c');
	expect_heard(&f, "helo", BYTES("\0\0\0\3Hx\0"));
	assert_int_equal(milter_unknown(&f.client, "FOO"), 'c');
	expect_heard(&f, "unknown", BYTES("\0\0\0\5UFOO\0"));
	assert_int_equal(milter_mail(&f.client, "<>"), 'c');
	expect_heard(&f, "mail", BYTES("\0\0\0\4M<>\0"));
	assert_int_equal(milter_rcpt(&f.client, "<a>"), 'c');
	expect_heard(&f, "rcpt", BYTES("\0\0\0\5R<a>\0"));
	assert_int_equal(milter_data(&f.client), 'c');
	expect_heard(&f, "data", BYTES("\0\0\0\1T"));
	/* Without LEADSPC one blank goes, as MTAs do it. */
	assert_int_equal(milter_header(&f.client, "A", "  b"), 'c');
	expect_heard(&f, "header", BYTES("\0\0\0\6LA\0 b\0"));
	assert_int_equal(milter_eoh(&f.client), 'c');
	expect_heard(&f, "end of header", BYTES("\0\0\0\1N"));
	assert_int_equal(milter_body(&f.client, "xy", 2), 'c');
	expect_heard(&f, "body", BYTES("\0\0\0\3Bxy"));
	assert_int_equal(milter_abort(&f.client), 0);
	assert_int_equal(milter_quit(&f.client), 0);
	expect_heard(&f, "abort, quit", BYTES("\0\0\0\1A\0\0\0\1Q"));
	filter_close(&f);
}

/* "No reply" is not waited for, what the filter waved is not sent, and neither is a body it has had
 * enough of. */
static void
test_waived(void **state)
{
	static const char script[] = "\0\0\0\x0dO\0\0\0\6" ALL_ACTIONS "\0\x04\x04\x82\0\0\0\1s";
	struct filter f;

	(void)state;
	filter_open(&f, script, sizeof(script) - 1);
	assert_int_equal(milter_negotiate(&f.client, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS), 0);
	filter_listen(&f);
	assert_int_equal(milter_helo(&f.client, "x"), MILTER_NO_ANSWER);
	expect_heard(&f, "no HELO", BYTES(""));
	assert_int_equal(milter_header(&f.client, "A", "b"), MILTER_NO_ANSWER);
	expect_heard(&f, "no reply to header", BYTES("\0\0\0\5LA\0b\0"));
	assert_int_equal(milter_body(&f.client, "x", 1), 's');
	expect_heard(&f, "body", BYTES("\0\0\0\2Bx"));
	assert_int_equal(milter_body(&f.client, "y", 1), MILTER_NO_ANSWER);
	expect_heard(&f, "body after skip", BYTES(""));
	filter_close(&f);
}

/* ---- a filter that is gone, or slow ---- */

static void *
say_progress(void *ctx)
{
	struct filter *f = ctx;

	for (int i = 0; i < 4; i++) {
		(void)usleep(100000);
		if (write(f->fd, BYTES("\0\0\0\1p")) != 5)
			return NULL;
	}
	(void)usleep(100000);
	(void)!write(f->fd, BYTES("\0\0\0\1a"));
	return NULL;
}

/* Half a second in all, with a time-out of a fifth: each sign of progress begins it anew. */
static void
test_progress(void **state)
{
	struct filter f;
	pthread_t thread;

	(void)state;
	filter_open(&f, BYTES(NEGOTIATED));
	assert_int_equal(milter_negotiate(&f.client, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS), 0);
	assert_int_equal(pthread_create(&thread, NULL, say_progress, &f), 0);
	assert_int_equal(milter_eom(&f.client), 'a');
	assert_int_equal(f.client.progress_count, 4);
	(void)pthread_join(thread, NULL);
	filter_close(&f);
}

static void
test_gone(void **state)
{
	struct milter_client c;
	struct filter f;

	(void)state;
	filter_open(&f, BYTES(NEGOTIATED));
	assert_int_equal(milter_negotiate(&f.client, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS), 0);
	(void)shutdown(f.fd, SHUT_RDWR);
	assert_int_equal(milter_helo(&f.client, "x"), -1);
	assert_string_not_equal(f.client.error, "");
	filter_close(&f);

	assert_int_equal(milter_open(&c, "unix:/nonexistent/socket", 200), -1);
	assert_non_null(strstr(c.error, "connect: "));
	milter_close(&c);
	assert_int_equal(milter_open(&c, "inet:0@127.0.0.1", 200), -1);
	milter_close(&c);
	assert_int_equal(milter_open(&c, "carrier pigeon", 200), -1);
	milter_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end_of_message),
		cmocka_unit_test(test_edits_out_of_place),
		cmocka_unit_test(test_negotiation),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_waived),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
