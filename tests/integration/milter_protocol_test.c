/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The real assayd, driven over its socket by a client that speaks the MTA's side: what Sendmail and
 * Postfix of any age may say, and what nobody sane would. DNS is an nsd on loopback. Postfix itself
 * is in postfix_test.py.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/milter_rig.h"

static void
test_negotiation(void **state)
{
	const uint32_t wanted = MILTER_LEADSPC | MILTER_CAN_SKIP | MILTER_NR_CONNECT |
	    MILTER_NR_HELO | MILTER_NR_MAIL | MILTER_NR_RCPT | MILTER_NR_HEADER | MILTER_NR_EOH |
	    MILTER_NO_DATA | MILTER_NO_UNKNOWN;
	struct milter_client c;
	struct rig g;

	rig_open(&g, state, false, "");
	open_client(&c, &g, 6, "192.0.2.1");
	assert_int_equal(c.version, 6);
	assert_int_equal(c.steps, wanted);
	assert_int_equal(c.actions,
	    MILTER_ADD_HEADERS | MILTER_CHANGE_HEADERS | MILTER_QUARANTINE | MILTER_SET_MACROS);
	assert_string_equal(c.macros[2], "{auth_type} {auth_authen}");
	assert_string_equal(c.macros[5], "i");
	expect_good(&c);
	/* With LEADSPC the blank behind the colon is ours to send. */
	assert_int_equal(
	    milter_find_edit(&c, MILTER_EDIT_INSERT, "Authentication-Results", 0)->value[0], ' ');
	assert_true(c.skipping); /* nothing is signed: no more of the body is wanted */
	milter_close(&c);
	rig_close(&g);
}

static void
test_old_mtas(void **state)
{
	struct rig g;

	rig_open(&g, state, true, "");
	for (uint32_t version = 2; version < 6; version++) {
		struct milter_client c;

		open_client(&c, &g, version, "192.0.2.1");
		assert_int_equal(c.version, version);
		assert_int_equal(c.steps & MILTER_LEADSPC, 0);
		expect_good(&c);
		assert_int_not_equal(
		    milter_find_edit(&c, MILTER_EDIT_INSERT, "Authentication-Results", 0)->value[0],
		    ' ');
		assert_false(c.skipping);
		must(&c, milter_quit(&c));
		milter_close(&c);
		open_client(&c, &g, version, "198.51.100.5");
		expect_forgery_refused(&c);
		milter_close(&c);
	}
	rig_close(&g);
}

/* An MTA that lets no header be changed is no MTA for us. */
static void
test_too_little_offered(void **state)
{
	struct milter_client c;
	struct rig g;

	rig_open(&g, state, false, "");
	must(&c, milter_open(&c, g.address, WAIT_MS));
	assert_int_equal(milter_negotiate(&c, 6, MILTER_ADD_HEADERS, MILTER_V6_STEPS), -1);
	milter_close(&c);
	must(&c, milter_open(&c, g.address, WAIT_MS));
	assert_int_equal(milter_negotiate(&c, 6, 0, 0), -1);
	milter_close(&c);
	must(&c, milter_open(&c, g.address, WAIT_MS));
	assert_int_equal(milter_negotiate(&c, 1, MILTER_V2_ACTIONS, MILTER_V2_STEPS), -1);
	milter_close(&c);
	expect_alive(&g);
	rig_close(&g);
}

static void
test_reply(void **state)
{
	const char *const fields[] = { "From", " a@reject.example", NULL };
	struct milter_client c;
	struct rig g;

	rig_open(&g, state, false, "");
	open_client(&c, &g, 6, "198.51.100.5");
	expect_forgery_refused(&c);
	assert_non_null(strstr(c.reply, "reject.example"));
	assert_non_null(strstr(c.reply, "4QUEUE"));
	/* "%" is a directive in a milter's reply; the MTA undoes the doubling. */
	send_envelope_and_header(&c, "<x@evil.example>", fields);
	assert_int_equal(finish_message(&c, "100%s%n"), 'y');
	assert_non_null(strstr(c.reply, "100%%s%%n"));
	milter_close(&c);
	rig_close(&g);
}

static void
test_quarantine(void **state)
{
	struct milter_client c;
	struct rig g;

	rig_open(&g, state, false, "");
	open_client(&c, &g, 6, "198.51.100.5");
	assert_int_equal(send_message(&c, "<x@evil.example>", " a@quarantine.example"), 'c');
	assert_non_null(milter_find_edit(&c, MILTER_EDIT_QUARANTINE, NULL, 0));
	assert_non_null(milter_find_edit(&c, MILTER_EDIT_INSERT, "Authentication-Results", 0));
	milter_close(&c);
	rig_close(&g);

	rig_open(&g, state, false, "quarantine = header\n");
	open_client(&c, &g, 6, "198.51.100.5");
	assert_int_equal(send_message(&c, "<x@evil.example>", " a@quarantine.example"), 'c');
	assert_null(milter_find_edit(&c, MILTER_EDIT_QUARANTINE, NULL, 0));
	assert_non_null(milter_find_edit(&c, MILTER_EDIT_INSERT, "X-Assay-Quarantine", 0));
	milter_close(&c);
	rig_close(&g);
}

static void
test_forged_fields(void **state)
{
	const char *const fields[] = { "Authentication-Results", " mx.example.net; dmarc=pass",
		"From", " a@reject.example", "Authentication-Results", " other.example; none",
		"Authentication-Results", "\n\tmx.example.net;\n none", NULL };
	struct milter_client c;
	struct rig g;

	rig_open(&g, state, false, "");
	open_client(&c, &g, 6, "192.0.2.1");
	send_envelope_and_header(&c, "<a@reject.example>", fields);
	assert_int_equal(finish_message(&c, "4QUEUE"), 'c');
	assert_int_equal(c.edit_count, 3);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(c.edits[i].kind, MILTER_EDIT_CHANGE);
		assert_string_equal(c.edits[i].name, "Authentication-Results");
		assert_string_equal(c.edits[i].value, "");
		assert_int_equal(c.edits[i].index, i == 0 ? 3 : 1);
	}
	assert_int_equal(c.edits[2].kind, MILTER_EDIT_INSERT);
	assert_null(strchr(c.edits[2].value, '\r')); /* a milter folds with LF */
	milter_close(&c);
	rig_close(&g);
}

static void
test_authenticated(void **state)
{
	const char *const auth[] = { "{auth_type}", "PLAIN", "{auth_authen}", "joe", NULL };
	struct milter_client c;
	struct rig g;

	rig_open(&g, state, false, "");
	open_client(&c, &g, 6, "198.51.100.5");
	must(&c, milter_macros(&c, 'M', auth));
	assert_int_equal(send_message(&c, "<x@evil.example>", " a@reject.example"), 'c');
	assert_int_equal(c.edit_count, 0);
	assert_true(child_logged(&g.assayd, " skipped=authenticated ", 1, WAIT_MS));
	milter_close(&c);
	/* Mail by no network, and from a network that we trust. */
	open_client(&c, &g, 6, NULL);
	assert_int_equal(send_message(&c, "<x@evil.example>", " a@reject.example"), 'c');
	milter_close(&c);
	open_client(&c, &g, 6, "127.0.0.1");
	assert_int_equal(send_message(&c, "<x@evil.example>", " a@reject.example"), 'c');
	milter_close(&c);
	rig_close(&g);
}

static void
test_several_messages(void **state)
{
	const char *const fields[] = { "From", " a@reject.example", "Authentication-Results",
		" mx.example.net; none", NULL };
	struct milter_client c;
	struct rig g;

	rig_open(&g, state, false, "");
	open_client(&c, &g, 6, "198.51.100.5");
	expect_forgery_refused(&c);
	send_envelope_and_header(&c, "<x@evil.example>", fields);
	must(&c, milter_abort(&c)); /* RSET */
	must(&c, milter_mail(&c, "<x@evil.example>"));
	must(&c, milter_abort(&c));
	must(&c, milter_helo(&c, "again.example"));
	expect_forgery_refused(&c);
	/* An MTA may keep the channel for the next client. libmilter hears it behind a message that
	 * was not refused only (front_libmilter.c). */
	assert_int_equal(send_message(&c, "<x@evil.example>", " x@evil.example"), 'c');
	must(&c, milter_quit_new_connection(&c));
	must(&c, milter_connect(&c, "other.example", "192.0.2.1"));
	must(&c, milter_helo(&c, "other.example"));
	expect_good(&c);
	expect_good(&c);
	must(&c, milter_quit(&c));
	milter_close(&c);
	assert_int_equal(kill(g.assayd.pid, SIGUSR1), 0);
	assert_true(
	    child_logged(&g.assayd, " sessions=2 messages=7 accept=3 reject=2 ", 1, WAIT_MS));
	assert_true(child_logged(&g.assayd, " aborted=2 ", 1, WAIT_MS));
	rig_close(&g);
}

static void
test_peer_disappears(void **state)
{
	const char *const fields[] = { "From", " a@reject.example", NULL };
	struct milter_client c;
	struct rig g;

	rig_open(&g, state, false, "");
	for (int step = 0; step < 5; step++) {
		must(&c, milter_open(&c, g.address, WAIT_MS));
		if (step > 0)
			must(&c, milter_negotiate(&c, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS));
		if (step > 1)
			must(&c, milter_connect(&c, "client.example", "192.0.2.1"));
		if (step > 2)
			send_envelope_and_header(&c, "<a@reject.example>", fields);
		if (step > 3)
			must(&c, milter_send_eom(&c));
		milter_close(&c);
	}
	expect_alive(&g);
	rig_close(&g);
}

/* ---- nonsense ---- */

struct nonsense_row {
	const char *name;
	char command; /* 0: bytes as they are, without a packet around */
	const char *data;
	size_t len;
};

#define ROW(name, command, data)                                                                   \
	{                                                                                          \
		name, command, data, sizeof(data) - 1                                              \
	}
static const struct nonsense_row nonsense_rows[] = {
	ROW("no packet", 0, "GET / HTTP/1.1\r\n\r\n"),
	ROW("length 0", 0, "\0\0\0\0"),
	ROW("length 4 GB", 0, "\377\377\377\377M"),
	ROW("unknown command", 'Z', "x"),
	ROW("empty connect", 'C', ""),
	ROW("connect without NUL", 'C', "host"),
	ROW("connect of an unknown family", 'C', "host\0X\0\0addr\0"),
	ROW("connect with no address", 'C',
	    "host\0"
	    "4"),
	ROW("connect with a bad address", 'C',
	    "host\0"
	    "4\0\0"
	    "999.1.1.1\0"),
	ROW("empty helo", 'H', ""),
	ROW("helo without NUL", 'H', "abc"),
	ROW("mail before all", 'M', "<a@reject.example>\0"),
	ROW("mail without NUL", 'M', "<a@"),
	ROW("empty mail", 'M', ""),
	ROW("rcpt before mail", 'R', "<a@b>\0"),
	ROW("header before mail", 'L', "From\0 a@b\0"),
	ROW("header without value", 'L', "From\0"),
	ROW("header without NUL", 'L', "From"),
	ROW("body before mail", 'B', "hello"),
	ROW("end of header before mail", 'N', ""),
	ROW("end of message before mail", 'E', ""),
	ROW("abort before mail", 'A', ""),
	ROW("macros for no command", 'D', "\377i\0x\0"),
	ROW("macro without value", 'D', "Mi\0"),
	ROW("empty macros", 'D', ""),
	ROW("negotiation again", 'O', "\0\0\0\6\0\0\1\377\0\37\377\377"),
	ROW("short negotiation", 'O', "\0\0"),
};

/* Each by itself after a negotiation, then all of them down one connection. */
static void
test_nonsense(void **state)
{
	struct milter_client c;
	struct rig g;

	rig_open(&g, state, false, "");
	for (size_t i = 0; i < sizeof(nonsense_rows) / sizeof(nonsense_rows[0]); i++) {
		const struct nonsense_row *row = &nonsense_rows[i];

		for (int stage = 0; stage < 3; stage++) {
			must(&c, milter_open(&c, g.address, WAIT_MS));
			if (stage > 0)
				must(&c,
				    milter_negotiate(&c, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS));
			if (stage > 1)
				(void)milter_mail(&c, "<a@reject.example>");
			(void)(row->command == 0
				? milter_send_raw(&c, row->data, row->len)
				: milter_send(&c, row->command, row->data, row->len));
			(void)milter_send(&c, 'E', NULL, 0);
			milter_close(&c);
		}
		if (child_wait(&g.assayd, 0) != -1)
			fail_msg("%s: assayd is gone", row->name);
	}
	expect_alive(&g);
	rig_close(&g);
}

/* Valid packets in any order and with any bytes in them; the seed is fixed, so that a failure comes
 * again. */
static void
test_random_packets(void **state)
{
	static const char commands[] = "CHMRTLNBEADOQKU";
	struct milter_client c;
	unsigned seed = 20261123;
	struct rig g;

	rig_open(&g, state, false, "");
	for (int i = 0; i < 200; i++) {
		must(&c, milter_open(&c, g.address, WAIT_MS));
		must(&c, milter_negotiate(&c, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS));
		(void)milter_connect(&c, "client.example", "192.0.2.1");
		for (int n = 0; n < 30; n++) {
			char data[64];
			size_t len = (size_t)rand_r(&seed) % sizeof(data);

			for (size_t k = 0; k < len; k++)
				data[k] = (char)(rand_r(&seed) % 4 == 0 ? 0 : rand_r(&seed));
			if (len > 0 && rand_r(&seed) % 2 == 0)
				data[len - 1] = '\0';
			if (milter_send(&c,
				commands[(size_t)rand_r(&seed) % (sizeof(commands) - 1)], data,
				len) != 0)
				break;
		}
		milter_close(&c);
	}
	expect_alive(&g);
	rig_close(&g);
}

int
main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_negotiation, rig_teardown),
		cmocka_unit_test_teardown(test_old_mtas, rig_teardown),
		cmocka_unit_test_teardown(test_too_little_offered, rig_teardown),
		cmocka_unit_test_teardown(test_reply, rig_teardown),
		cmocka_unit_test_teardown(test_quarantine, rig_teardown),
		cmocka_unit_test_teardown(test_forged_fields, rig_teardown),
		cmocka_unit_test_teardown(test_authenticated, rig_teardown),
		cmocka_unit_test_teardown(test_several_messages, rig_teardown),
		cmocka_unit_test_teardown(test_peer_disappears, rig_teardown),
		cmocka_unit_test_teardown(test_nonsense, rig_teardown),
		cmocka_unit_test_teardown(test_random_packets, rig_teardown),
	};

	return run_on_stage(tests);
}
