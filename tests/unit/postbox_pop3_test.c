/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POP3: every command in the right and in the wrong state, with good and bad arguments; what is
 * deleted and when; what is sent of a message, byte by byte.
 */
#include "tests/harness/postbox/protocol.h"
#include "tests/support/support.h"
#include "tests/support/talk.h"

#define HELLO  "S: +OK mail.example.org postbox POP3\n"
#define LOG_IN HELLO "C: USER bob\nS: +OK ***\nC: PASS secret\nS: +OK ***\n"
#define TWO                                                                                        \
	"MAIL: Subject: one\\r\\n\\r\\nfirst\\r\\n.dot\\r\\n..\\r\\n.\\r\\nlast\\r\\n\n"           \
	"MAIL: Subject: two\\r\\n\\r\\nsecond\\r\\n\n"

static const struct row {
	const char *name;
	bool allow_plain_auth;
	const char *script;
} rows[] = {
	{ "RFC 1939 5: STAT, LIST, UIDL of an empty maildrop", true,
	    LOG_IN "C: STAT\nS: +OK 0 0\nC: LIST\nS: +OK 0 ***\nS: .\nC: UIDL\nS: +OK ***\nS: .\n"
		   "C: QUIT\nS: +OK ***\nEOF\n" },
	{ "RFC 1939 5: STAT and LIST", true,
	    TWO LOG_IN "C: stat\nS: +OK 2 66\nC: LIST\nS: +OK 2 ***\nS: 1 42\nS: 2 24\nS: .\n"
		       "C: LIST 2\nS: +OK 2 24\nC: LIST 3\nS: -ERR no such message\n"
		       "C: LIST 0\nS: -ERR ***\nC: LIST x\nS: -ERR ***\n"
		       "C: LIST 1 2\nS: -ERR ***\nC: LIST 99999999999999999999\nS: -ERR ***\n" },
	{ "RFC 1939 3: RETR stuffs dots", true,
	    TWO LOG_IN "C: RETR 1\nS: +OK 42 octets\nS: Subject: one\nS:\nS: first\nS: ..dot\n"
		       "S: ...\nS: ..\nS: last\nS: .\nC: NOOP\nS: +OK\n"
		       "C: RETR\nS: -ERR argument wanted\nC: RETR 3\nS: -ERR ***\n" },
	{ "a last line without an end gets one", true,
	    "MAIL: A: b\\r\\n\\r\\nx\n" LOG_IN "C: RETR 1\nS: +OK ***\nS: A: b\nS:\nS: x\nS: .\n"
	    "C: NOOP\nS: +OK\n" },
	{ "RFC 1939 7: TOP", true,
	    TWO LOG_IN "C: TOP 1 0\nS: +OK ***\nS: Subject: one\nS:\nS: .\n"
		       "C: TOP 1 2\nS: +OK ***\nS: Subject: one\nS:\nS: first\nS: ..dot\nS: .\n"
		       "C: TOP 2 100\nS: +OK ***\nS: Subject: two\nS:\nS: second\nS: .\n"
		       "C: TOP 1\nS: -ERR ***\nC: TOP 1 -1\nS: -ERR ***\nC: TOP 9 1\nS: -ERR ***\n"
		       "C: TOP 1 1 1\nS: -ERR ***\n" },
	{ "RFC 1939 7: UIDL stays the message's", true,
	    TWO LOG_IN "C: UIDL 2\nS: +OK 2 ***00000002\nC: DELE 1\nS: +OK ***\n"
		       "C: UIDL\nS: +OK 1 ***\nS: 2 ***00000002\nS: .\nC: UIDL 1\nS: -ERR ***\n" },
	{ "RFC 1939 6: deletion at QUIT", true,
	    TWO LOG_IN "C: DELE 1\nS: +OK ***\nBOX: INBOX 2\nC: STAT\nS: +OK 1 24\n"
		       "C: RETR 1\nS: -ERR no such message\nC: DELE 1\nS: -ERR no such message\n"
		       "C: LIST 2\nS: +OK 2 24\nC: QUIT\nS: +OK bye, 1 deleted\nEOF\n"
		       "BOX: INBOX 1\n" },
	{ "RFC 1939 6: no QUIT, no deletion", true,
	    TWO LOG_IN "C: DELE 1\nS: +OK ***\nSHUT\nEOF\nBOX: INBOX 2\n" },
	{ "RFC 1939 5: RSET takes marks off", true,
	    TWO LOG_IN "C: DELE 1\nS: +OK ***\nC: DELE 2\nS: +OK ***\nC: STAT\nS: +OK 0 0\n"
		       "C: RSET\nS: +OK\nC: STAT\nS: +OK 2 66\nC: QUIT\nS: +OK ***\n"
		       "BOX: INBOX 2\n" },
	{ "what arrives later is not seen", true,
	    TWO LOG_IN "MAIL: Subject: three\\r\\n\\r\\n\nC: STAT\nS: +OK 2 66\n" },
	{ "pipelined", true,
	    TWO HELLO
	    "R: USER bob\\r\\nPASS secret\\r\\nSTAT\\r\\nQUIT\\r\\n\nS: +OK ***\nS: +OK ***\n"
	    "S: +OK 2 66\nS: +OK bye***\nEOF\n" },
	{ "a password with a blank in it", true,
	    HELLO "C: USER carol\nS: +OK ***\nC: PASS other one\nS: +OK ***\n" },
	{ "bad: wrong password, unknown user: one answer", true,
	    HELLO "C: USER bob\nS: +OK ***\nC: PASS wrong\nS: -ERR [AUTH] wrong name or password\n"
		  "C: PASS secret\nS: -ERR USER comes first\n"
		  "C: USER eve\nS: +OK ***\nC: PASS secret\nS: -ERR [AUTH] wrong name or password\n"
		  "C: STAT\nS: -ERR log in first\n" },
	{ "bad: wrong order", true,
	    HELLO "C: STAT\nS: -ERR log in first\nC: PASS secret\nS: -ERR USER comes first\n"
		  "C: RETR 1\nS: -ERR ***\nC: NOOP\nS: -ERR ***\nC: DELE 1\nS: -ERR ***\n"
		  "C: USER bob\nS: +OK ***\nC: PASS secret\nS: +OK ***\n"
		  "C: USER bob\nS: -ERR logged in already\nC: STLS\nS: -ERR ***\n"
		  "C: QUIT now\nS: -ERR no argument wanted\nC: STAT 1\nS: -ERR ***\n" },
	{ "bad: unknown command, empty line, bare LF", true,
	    HELLO "C: XYZZY\nS: -ERR unknown command\nR: \\r\\n\nS: -ERR unknown command\n"
		  "R: QUIT\\n\nS: -ERR a line ends in CR LF\nC: USER\nS: -ERR argument wanted\n"
		  "C: USER a b\nS: -ERR ***\nC: QUIT\nS: +OK ***\nEOF\n" },
	{ "bad: over-long line", true,
	    HELLO "X: 600 a\nC: \nS: -ERR line too long\nC: QUIT\nS: +OK ***\nEOF\n" },
	{ "bad: too many errors", true,
	    HELLO "X: 3 aaaaaaaaaa\nC: \nX: 1 a\nC:  x\n"
		  "S: -ERR unknown command\nS: -ERR unknown command\n"
		  "R: \\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\n"
		  "S* -ERR too many errors\nEOF\n" },
	{ "half a line is no command", true,
	    TWO LOG_IN "C: DELE 1\nS: +OK ***\nR: QUIT\nSHUT\nEOF\nBOX: INBOX 2\n" },
	{ "RFC 2449 5: CAPA", true,
	    HELLO "C: CAPA\nS: +OK\nS: TOP\nS: UIDL\nS: PIPELINING\nS: RESP-CODES\n"
		  "S: AUTH-RESP-CODE\nS: USER\nS: STLS\nS: EXPIRE NEVER\nS: IMPLEMENTATION ***\n"
		  "S: .\n" },
	{ "RFC 8314 3: no password in the clear", false,
	    HELLO "C: USER bob\nS: -ERR [AUTH] use STLS first\nC: PASS secret\nS: -ERR ***\n"
		  "C: CAPA\nS* AUTH-RESP-CODE\nS: STLS\nS* .\nC: QUIT\nS: +OK ***\nEOF\n" },
	{ "RFC 2595 4: STLS", false,
	    TWO HELLO "C: STLS\nS: +OK begin TLS\nTLS\nC: CAPA\nS* AUTH-RESP-CODE\nS: USER\n"
		      "S: EXPIRE NEVER\nS* .\nC: STLS\nS: -ERR TLS is on already\n"
		      "C: USER bob\nS: +OK ***\nC: PASS secret\nS: +OK 2 messages\n"
		      "C: RETR 2\nS: +OK ***\nS: Subject: two\nS:\nS: second\nS: .\n"
		      "C: QUIT\nS: +OK ***\n" },
	{ "RFC 2595 4: STLS forgets the name", true,
	    HELLO "C: USER bob\nS: +OK ***\nC: STLS\nS: +OK ***\nTLS\nC: PASS secret\n"
		  "S: -ERR USER comes first\n" },
	{ "CVE-2011-0411: commands slipped in before the handshake", true,
	    HELLO "R: STLS\\r\\nUSER eve\\r\\n\nS: +OK begin TLS\nEOF\n" },
};

static void
test_conversations(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct talk_options options = { .run = pop3_run,
			.allow_plain_auth = rows[i].allow_plain_auth };

		talk_run(rows[i].name, &options, rows[i].script);
	}
}

/* RFC 1939 3: an idle client is left without a word, and nothing is deleted. */
static void
test_timeout(void **state)
{
	const struct talk_options options = {
		.run = pop3_run, .allow_plain_auth = true, .timeout_ms = 100
	};

	(void)state;
	talk_run("timeout", &options, TWO LOG_IN "C: DELE 1\nS: +OK ***\nEOF\nBOX: INBOX 2\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversations),
		cmocka_unit_test(test_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
