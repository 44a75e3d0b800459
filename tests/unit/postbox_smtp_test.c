/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SMTP: every command in the right and in the wrong state, with good and bad input; what ends up in
 * the mailbox.
 */
#include <string.h>

#include "tests/harness/postbox/protocol.h"
#include "tests/support/support.h"
#include "tests/support/talk.h"

#define HELLO "S: 220 mail.example.org ESMTP postbox\n"
#define EHLO  HELLO "C: EHLO client.example\nS* 250 SMTPUTF8\n"
#define FROM  "C: MAIL FROM:<alice@example.com>\nS: 250 2.1.0 Ok\n"
#define TO    "C: RCPT TO:<bob@example.org>\nS: 250 2.1.5 Ok\n"
#define DATA  "C: DATA\nS: 354 ***\n"
#define DONE  "C: .\nS: 250 2.0.0 Ok: queued as ***\n"
#define QUIT  "C: QUIT\nS: 221 2.0.0 Bye\nEOF\n"
#define HOPS                                                                                       \
	"R: "                                                                                      \
	"Received:x\\r\\nReceived:x\\r\\nReceived:x\\r\\nReceived:x\\r\\nReceived:"                \
	"x\\r\\nReceived:x\\r\\nReceived:x\\r\\nReceived:x\\r\\nReceived:x\\r\\nReceived:"         \
	"x\\r\\n\n"
#define BOB  "AGJvYgBzZWNyZXQ=" /* NUL bob NUL secret */
#define NAME "VXNlcm5hbWU6"
#define PASS "UGFzc3dvcmQ6"

#define CLEAR	   1u /* passwords in the clear */
#define SUBMISSION 2u
#define SMALL	   4u /* messages of 400 bytes at most */
#define XCLIENT	   8u
#define SLOW	   16u /* time-outs of 100 ms */

static const struct row {
	const char *name;
	unsigned flags;
	const char *script;
} rows[] = {
	{ "RFC 5321 D.1: a message", 0,
	    EHLO FROM TO DATA "C: Subject: one\nC:\nC: text\n" DONE QUIT
			      "BOX: INBOX 1\nTEXT: INBOX Return-Path: <alice@example.com>\n"
			      "TEXT: INBOX Received: from client.example (unknown [127.0.0.1])\n"
			      "TEXT: INBOX \tby mail.example.org (postbox) with ESMTP id ***\n"
			      "TEXT: INBOX \tfor <bob@example.org>;\n"
			      "TEXT: INBOX Subject: one\nTEXT: INBOX text\n" },
	{ "RFC 5321 4.1.1.1: HELO", 0,
	    HELLO "C: HELO client.example\nS: 250 mail.example.org\n" FROM TO DATA "C: A: b\n" DONE
		  "TEXT: INBOX \tby *** with SMTP id ***\n" },
	{ "RFC 5321 4.1.1.1: EHLO in the clear", 0,
	    HELLO "C: EHLO [127.0.0.1]\nS: 250-mail.example.org\nS: 250-PIPELINING\n"
		  "S: 250-SIZE 16777216\nS: 250-ENHANCEDSTATUSCODES\nS: 250-8BITMIME\n"
		  "S: 250 SMTPUTF8\n" },
	{ "two messages, the second of the null sender", 0,
	    EHLO FROM TO DATA "C: A: 1\nC:\n" DONE "C: MAIL FROM:<>\nS: 250 ***\n" TO DATA
			      "C: A: 2\nC:\n" DONE
			      "BOX: INBOX 2\nTEXT: INBOX Return-Path: <>\n" QUIT },
	{ "RFC 5321 4.5.2: dots", 0,
	    EHLO FROM TO DATA "C: A: b\nC:\nC: ..\nC: ..x\nC: ....\nC: x.\n" DONE
			      "TEXT: INBOX .\nTEXT: INBOX .x\nTEXT: INBOX ...\nTEXT: INBOX x.\n" },
	{ "an empty message", 0, EHLO FROM TO DATA DONE "BOX: INBOX 1\n" },
	{ "a text without a header", 0,
	    EHLO FROM TO DATA "C: no field\n" DONE "TEXT: INBOX no field\n" },
	{ "RFC 2920: pipelining", 0,
	    EHLO "R: MAIL FROM:<a@b.example>\\r\\nRCPT TO:<bob@example.org>\\r\\nDATA\\r\\n\n"
		 "S: 250 ***\nS: 250 ***\nS: 354 ***\n"
		 "R: A: b\\r\\n\\r\\nc\\r\\n.\\r\\nMAIL FROM:<>\\r\\nQUIT\\r\\n\n"
		 "S: 250 ***queued***\nS: 250 ***\nS: 221 ***\nEOF\nBOX: INBOX 1\n" },
	{ "RFC 2920 3.1: pipelined, every recipient refused", 0,
	    EHLO "R: MAIL FROM:<a@b.example>\\r\\nRCPT TO:<eve@example.org>\\r\\nDATA\\r\\n\n"
		 "S: 250 ***\nS: 550 5.1.1 ***\nS: 554 5.5.1 ***\n" },
	{ "RSET forgets the mail, not the client", 0,
	    EHLO FROM TO "C: RSET\nS: 250 2.0.0 Ok\nC: DATA\nS: 503 ***\nC: RCPT TO:<bob>\n"
			 "S: 503 ***\n" FROM TO DATA "C: A: b\n" DONE "BOX: INBOX 1\n" },
	{ "RFC 5321 4.1.4: EHLO is as RSET", 0,
	    EHLO FROM TO "C: EHLO client.example\nS* 250 SMTPUTF8\nC: DATA\nS: 503 ***\n" },
	{ "two recipients, one of them twice", 0,
	    EHLO FROM TO "C: RCPT TO:<carol@example.org>\nS: 250 ***\n"
			 "C: RCPT TO:<bob+list@EXAMPLE.org>\nS: 250 ***\n" DATA "C: A: b\n" DONE
			 "BOX: INBOX 1\nNOTEXT: INBOX ***for <***\n" },
	{ "postmaster without a domain, a quoted local part, a route", 0,
	    EHLO FROM "C: RCPT TO:<Postmaster>\nS: 250 ***\nC: RCPT TO:<\"b\\ob\"@example.org>\n"
		      "S: 250 ***\nC: RCPT TO:<@a.example,@b.example:bob@example.org>\nS: 250 ***\n"
		      "C: RCPT TO:<\"b>x\"@example.org>\nS: 550 5.1.1 ***\n" },
	{ "commands in any case, a blank behind the colon", 0,
	    EHLO "C: mail from: <alice@example.com>\nS: 250 ***\n"
		 "C: rcpt to: <bob@example.org>\nS: 250 ***\nC: noop x\nS: 250 ***\n"
		 "C: vrfy bob\nS: 252 ***\n" },
	{ "parameters", 0,
	    EHLO "C: MAIL FROM:<a@b.example> SIZE=100 BODY=8BITMIME AUTH=<> SMTPUTF8\n"
		 "S: 250 ***\n" },
	{ "bad: parameters", 0,
	    EHLO "C: MAIL FROM:<a@b.example> SIZE=x\nS: 501 5.5.4 ***\n"
		 "C: MAIL FROM:<a@b.example> BODY=BINARYMIME\nS: 555 5.5.4 ***\n"
		 "C: MAIL FROM:<a@b.example> FOO=1\nS: 555 5.5.4 ***\n"
		 "C: MAIL FROM:<a@b.example> SMTPUTF8=1\nS: 501 ***\n"
		 "C: MAIL FROM:<a@b.example>SIZE=1\nS: 501 ***\n" FROM
		 "C: RCPT TO:<bob@example.org> NOTIFY=NEVER\nS: 555 ***\n" TO },
	{ "bad: parameters without EHLO", 0,
	    HELLO "C: HELO x\nS: 250 ***\nC: MAIL FROM:<a@b.example> SIZE=1\nS: 555 ***\n" },
	{ "RFC 6531 3.4: an address in UTF-8 needs SMTPUTF8", 0,
	    EHLO "C: MAIL FROM:<\xc3\xa4@b.example>\nS: 550 5.6.7 ***\n"
		 "C: MAIL FROM:<\xc3\xa4@b.example> SMTPUTF8\nS: 250 ***\n" TO DATA "C: A: b\n" DONE
		 "TEXT: INBOX ***with UTF8SMTP id***\n" },
	{ "bad: wrong order", 0,
	    HELLO "C: MAIL FROM:<a@b.example>\nS: 503 5.5.1 ***\nC: RCPT TO:<bob@example.org>\n"
		  "S: 503 ***\nC: DATA\nS: 503 ***\nC: VRFY bob\nS: 503 ***\nC: AUTH PLAIN\n"
		  "S: 503 ***\nC: STARTTLS\nS: 503 ***\nC: EHLO x\nS* 250 SMTPUTF8\n"
		  "C: RCPT TO:<bob@example.org>\nS: 503 ***\nC: DATA\nS: 503 ***\n" FROM
		  "C: DATA\nS: 554 5.5.1 ***\nC: MAIL FROM:<a@b.example>\nS: 503 ***\n"
		  "C: AUTH PLAIN\nS: 503 ***\n" TO },
	{ "bad: unknown commands and arguments", 0,
	    EHLO "C: XYZZY\nS: 500 5.5.2 ***\nC:\nS: 500 ***\nC: EXPN x\nS: 502 5.5.1 ***\n"
		 "C: HELP\nS: 502 ***\nC: RSET now\nS: 501 ***\nC: QUIT now\nS: 501 ***\n"
		 "C: VRFY\nS: 501 ***\nC: EHLO\nS: 501 5.5.4 ***\nC: HELO a b\nS: 501 ***\n" FROM
		 "C: DATA now\nS: 501 ***\n" },
	{ "bad: paths", 0,
	    EHLO "C: MAIL\nS: 501 5.1.7 ***\nC: MAIL FROM\nS: 501 ***\n"
		 "C: MAIL FROM:a@b.example\nS: 501 ***\nC: MAIL FROM:<a@b.example\nS: 501 ***\n"
		 "C: MAIL FROM:<a..b@b.example>\nS: 501 ***\nC: MAIL FROM:<a b@b.example>\n"
		 "S: 501 ***\nC: MAIL FROM:<a@b..example>\nS: 501 ***\n"
		 "C: MAIL FROM:<a@[1.2.3]>\nS: 501 ***\n" FROM
		 "C: RCPT TO:<>\nS: 501 5.1.3 ***\nC: RCPT FROM:<bob@example.org>\nS: 501 ***\n"
		 "C: RCPT TO:<bob@>\nS: 5***\n" },
	{ "bad: unknown user, no open relay", 0,
	    EHLO FROM "C: RCPT TO:<eve@example.org>\nS: 550 5.1.1 ***\n"
		      "C: RCPT TO:<eve>\nS: 550 5.1.1 ***\n"
		      "C: RCPT TO:<bob@elsewhere.example>\nS: 554 5.7.1 ***\n"
		      "C: RCPT TO:<bob@[127.0.0.1]>\nS: 554 5.7.1 ***\n"
		      "C: RCPT TO:<bob%elsewhere.example@example.org>\nS: 550 ***\n" TO },
	{ "bad: over-long line", 0, EHLO "X: 3000 a\nC:\nS: 500 5.5.2 ***\nC: NOOP\nS: 250 ***\n" },
	{ "RFC 5321 2.3.8: bare LF and bare CR in a command", 0,
	    EHLO
	    "R: NOOP\\n\nS: 500 5.5.2 ***\nR: NO\\rOP\\r\\n\nS: 500 ***\nC: NOOP\nS: 250 ***\n" },
	{ "smuggling: LF . CR LF is no end", 0,
	    EHLO FROM TO DATA "R: A: b\\r\\n\\r\\nx\\n.\\r\\nMAIL FROM:<evil@x.example>\\r\\n\n"
			      "S: 554 5.5.2 Error: bare CR or LF received\nEOF\nBOX: INBOX 0\n" },
	{ "smuggling: LF . LF is no end", 0,
	    EHLO FROM TO DATA "R: A: b\\r\\n\\r\\nx\\n.\\nMAIL FROM:<>\\r\\n.\\r\\nNOOP\\r\\n\n"
			      "S: 554 5.5.2 ***\nEOF\nBOX: INBOX 0\n" },
	{ "smuggling: CR . CR is no end", 0,
	    EHLO FROM TO DATA "R: A: b\\r\\n\\r\\nx\\r.\\rMAIL FROM:<>\\r\\n.\\r\\n\n"
			      "S: 554 5.5.2 ***\nEOF\nBOX: INBOX 0\n" },
	{ "smuggling: CR LF . LF is no end", 0,
	    EHLO FROM TO DATA "R: A: b\\r\\n\\r\\nx\\r\\n.\\nMAIL FROM:<>\\r\\n.\\r\\n\n"
			      "S: 554 5.5.2 ***\nEOF\nBOX: INBOX 0\n" },
	{ "bad: over-long line of DATA", 0,
	    EHLO FROM TO DATA "X: 9000 a\nC:\nS: 554 5.5.2 ***\nC: .\nEOF\nBOX: INBOX 0\n" },
	{ "bad: half a message", 0, EHLO FROM TO DATA "C: A: b\nSHUT\nEOF\nBOX: INBOX 0\n" },
	{ "RFC 1870 6.1: SIZE too big", SMALL,
	    EHLO "C: MAIL FROM:<a@b.example> SIZE=401\nS: 552 5.3.4 ***\n"
		 "C: MAIL FROM:<a@b.example> SIZE=400\nS: 250 ***\n" },
	{ "RFC 1870 6.3: a message too big, then another", SMALL,
	    EHLO FROM TO DATA "X: 390 a\nC:\nC: 0123456789\nC: .\nS: 552 5.3.4 ***\nBOX: INBOX 0\n"
			      "C: DATA\nS: 503 ***\n" FROM TO DATA "C: A: b\n" DONE
			      "BOX: INBOX 1\n" },
	{ "a client that does not stop", SMALL,
	    EHLO FROM TO DATA "X: 300 abcdefghij\nC:\nX: 300 abcdefghij\nC:\nS: 552 ***\n"
			      "C: .\nEOF\n" },
	{ "bad: too many errors", 0,
	    EHLO "R: X\\r\\nX\\r\\nX\\r\\nX\\r\\nX\\r\\nX\\r\\nX\\r\\nX\\r\\nX\\r\\nX\\r\\n\n"
		 "R: X\\r\\nX\\r\\nX\\r\\nX\\r\\nX\\r\\nX\\r\\nX\\r\\nX\\r\\nX\\r\\nX\\r\\n\n"
		 "S* 421 4.7.0 ***\nEOF\n" },
	{ "RFC 4954 4: AUTH PLAIN at once", CLEAR,
	    EHLO "C: AUTH PLAIN " BOB "\nS: 235 2.7.0 ***\nC: AUTH PLAIN " BOB
		 "\nS: 503 ***\n" FROM TO DATA "C: A: b\n" DONE
		 "TEXT: INBOX ***with ESMTPA id***\n" },
	{ "RFC 4954 4: AUTH PLAIN asked for", CLEAR,
	    EHLO "C: AUTH plain\nS: 334 \nC: " BOB "\nS: 235 ***\n" },
	{ "AUTH LOGIN", CLEAR,
	    EHLO "C: AUTH LOGIN\nS: 334 " NAME "\nC: Ym9i\nS: 334 " PASS "\nC: c2VjcmV0\n"
		 "S: 235 ***\n" },
	{ "AUTH LOGIN with the name at once", CLEAR,
	    EHLO "C: AUTH LOGIN Ym9i\nS: 334 " PASS "\nC: c2VjcmV0\nS: 235 ***\n" },
	{ "bad: wrong passwords", CLEAR,
	    EHLO "C: AUTH PLAIN AGJvYgB3cm9uZw==\nS: 535 5.7.8 ***\n"
		 "C: AUTH PLAIN AGV2ZQBzZWNyZXQ=\nS: 535 5.7.8 ***\n"
		 "C: AUTH PLAIN Y2Fyb2wAYm9iAHNlY3JldA==\nS: 535 ***\n"
		 "C: AUTH LOGIN Ym9i\nS: 334 ***\nC: Ym9i\nS: 535 ***\n" },
	{ "bad: AUTH", CLEAR,
	    EHLO "C: AUTH\nS: 501 ***\nC: AUTH CRAM-MD5\nS: 504 5.5.4 ***\n"
		 "C: AUTH PLAIN !!!\nS: 501 5.5.2 ***\nC: AUTH PLAIN =\nS: 501 ***\n"
		 "C: AUTH PLAIN\nS: 334 \nC: *\nS: 501 5.7.0 ***\n"
		 "C: AUTH LOGIN\nS: 334 ***\nC: Ym9i\nS: 334 ***\nC: *\nS: 501 ***\n"
		 "C: AUTH LOGIN\nS: 334 ***\nX: 13000 a\nC:\nS: 500 5.5.6 ***\n"
		 "C: AUTH PLAIN\nS: 334 \nR: " BOB "\\n\nS: 501 ***\n" },
	{ "bad: AUTH after HELO", CLEAR,
	    HELLO "C: HELO x\nS: 250 ***\nC: AUTH PLAIN " BOB "\nS: 503 ***\n" },
	{ "no password in the clear", 0,
	    EHLO "C: AUTH PLAIN " BOB "\nS: 530 5.7.0 ***\nC: AUTH LOGIN\nS: 530 ***\n" },
	{ "RFC 6409 4.3: submission wants a user", SUBMISSION | CLEAR,
	    EHLO "C: MAIL FROM:<bob@example.org>\nS: 530 5.7.0 ***\nC: VRFY bob\nS: 530 ***\n"
		 "C: AUTH PLAIN " BOB "\nS: 235 ***\n" FROM TO DATA "C: A: b\n" DONE
		 "BOX: INBOX 1\n" },
	{ "RFC 3207: STARTTLS, and what is said before is forgotten", 0,
	    EHLO FROM "C: STARTTLS\nS: 503 ***\nC: RSET\nS: 250 ***\nC: STARTTLS x\nS: 501 ***\n"
		      "C: STARTTLS\nS: 220 2.0.0 ***\nTLS\n"
		      "C: MAIL FROM:<a@b.example>\nS: 503 ***\n"
		      "C: EHLO client.example\nS: 250-mail.example.org\nS: 250-PIPELINING\n"
		      "S: 250-SIZE ***\nS: 250-AUTH PLAIN LOGIN\nS: 250-ENHANCEDSTATUSCODES\n"
		      "S: 250-8BITMIME\nS: 250 SMTPUTF8\nC: STARTTLS\nS: 554 5.5.1 ***\n"
		      "C: AUTH PLAIN " BOB "\nS: 235 ***\n" FROM TO DATA "C: A: b\n" DONE
		      "TEXT: INBOX ***with ESMTPSA id***\nTEXT: INBOX \t(using TLS***\n" },
	{ "no STARTTLS without keys", 0, EHLO "C: STARTTLS \nS: 502 ***\n" },
	{ "CVE-2011-0411: commands slipped in before the handshake", 0,
	    EHLO "R: STARTTLS\\r\\nNOOP\\r\\n\nS: 554 5.5.0 ***\nEOF\nC: TLS\n" },
	{ "XCLIENT: not for everybody", 0, EHLO "C: XCLIENT ADDR=192.0.2.1\nS: 550 5.7.0 ***\n" },
	{ "XCLIENT", XCLIENT,
	    HELLO "C: EHLO client.example\nS* 250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN\n"
		  "S* 250 SMTPUTF8\nC: XCLIENT NAME=a.example ADDR=IPV6:2001:db8::1 PORT=99\n"
		  "S: 220 ***\nC: MAIL FROM:<>\nS: 503 ***\n"
		  "C: EHLO x.example\nS* 250 SMTPUTF8\n" FROM TO DATA "C: A: b\n" DONE
		  "TEXT: INBOX Received: from x.example (a.example [IPv6:2001:db8::1])\n" },
	{ "bad: XCLIENT", XCLIENT,
	    HELLO
	    "C: XCLIENT\nS: 501 ***\nC: XCLIENT ADDR=x\nS: 501 ***\n"
	    "C: XCLIENT NAME=a+0Ab\nS: 501 ***\nC: XCLIENT FOO=1\nS: 501 ***\n"
	    "C: XCLIENT LOGIN=eve\nS: 501 ***\nC: XCLIENT PROTO=HTTP\nS: 501 ***\n"
	    "C: XCLIENT NAME=[UNAVAILABLE] LOGIN=bob HELO=h.example PROTO=ESMTP\nS: 220 ***\n" },
	{ "RFC 5321 6.3: a loop", 0,
	    EHLO FROM TO DATA HOPS HOPS HOPS HOPS HOPS "C:\nC: .\nS: 554 5.4.6 ***\n" },
	{ "a time-out between commands", SLOW, EHLO "S: 421 4.4.2 ***\nEOF\n" },
	{ "a time-out within DATA", SLOW,
	    EHLO FROM TO DATA "R: A: b\nS: 421 4.4.2 ***\nEOF\nBOX: INBOX 0\n" },
};

static void
configure(struct server *server, struct connection *c, void *ctx)
{
	const struct row *row = ctx;
	struct server_options *o = &server->options;

	o->domains[o->domain_count++] = SLICE("example.org");
	assert_int_equal(ip_parse(SLICE("127.0.0.1"), &c->peer), 0);
	c->local = c->peer;
	c->peer_port = 4711;
	c->local_port = 2525;
	if ((row->flags & XCLIENT) != 0)
		assert_int_equal(
		    ip_network_parse(SLICE("127.0.0.0/8"), &o->xclient.list[o->xclient.count++]),
		    0);
}

static void
test_conversations(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct row row = rows[i];
		const struct talk_options options = {
			.run = smtp_run,
			.allow_plain_auth = (row.flags & CLEAR) != 0,
			.submission = (row.flags & SUBMISSION) != 0,
			.max_message_bytes = (row.flags & SMALL) != 0 ? 400 : 0,
			.timeout_ms = (row.flags & SLOW) != 0 ? 100 : 0,
			.configure = configure,
			.ctx = &row,
		};

		talk_run(row.name, &options, row.script);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
