/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IMAP: every command in the right and in the wrong state, with good and bad arguments; literals;
 * what is told to a session about the deeds of others.
 */
#include "tests/harness/postbox/imap.h"
#include "tests/support/support.h"
#include "tests/support/talk.h"

#define HELLO  "S: * OK [CAPABILITY IMAP4rev1 ***\n"
#define LOG_IN HELLO "C: a LOGIN bob secret\nS: a OK [CAPABILITY ***\n"
#define INBOX  LOG_IN "C: b SELECT inbox\nS* b OK [READ-WRITE] done\n"
#define ONE                                                                                        \
	"MAIL: From: \"Alice, A.\" <alice@a.example>\\r\\nTo: bob@b.example\\r\\n"                 \
	"Subject: one\\r\\nDate: Mon, 23 Nov 2026 10:00:00 +0000\\r\\n"                            \
	"Message-ID: <1@a.example>\\r\\n\\r\\nfirst\\r\\n\n"
#define TWO ONE "MAIL: Subject: two\\r\\nFrom: carol@c.example\\r\\n\\r\\nsecond text\\r\\n\n"
#define PARTS                                                                                      \
	"MAIL: Subject: parts\\r\\nContent-Type: multipart/mixed; boundary=\"x\"\\r\\n\\r\\n"      \
	"pre\\r\\n--x\\r\\n\\r\\nplain\\r\\n--x\\r\\nContent-Type: message/rfc822\\r\\n\\r\\n"     \
	"Subject: in\\r\\n\\r\\ninner\\r\\n--x\\r\\n"                                              \
	"Content-Type: image/png; name=a.png\\r\\nContent-Transfer-Encoding: base64\\r\\n"         \
	"Content-Disposition: attachment; filename=a.png\\r\\n\\r\\nAAAA\\r\\n--x--\\r\\n\n"

static const struct row {
	const char *name;
	bool allow_plain_auth;
	const char *script;
} rows[] = {
	{ "RFC 3501 6.1: any state", true,
	    HELLO "C: a CAPABILITY\nS: * CAPABILITY IMAP4rev1 LITERAL+ STARTTLS AUTH=PLAIN ***\n"
		  "S: a OK done\nC: b noop\nS: b OK done\nC: c LOGOUT\nS: * BYE bye\nS: c OK done\n"
		  "EOF\n" },
	{ "RFC 3501 6.2.3: LOGIN", true,
	    HELLO "C: a LOGIN bob wrong\nS: a NO [AUTHENTICATIONFAILED] ***\n"
		  "C: a LOGIN eve secret\nS: a NO [AUTHENTICATIONFAILED] ***\n"
		  "C: a LOGIN bob\nS: a BAD argument missing\nC: a LOGIN\nS: a BAD ***\n"
		  "C: a LOGIN bob secret x\nS: a BAD ***\nC: a SELECT INBOX\nS: a BAD not now\n"
		  "C: a LOGIN \"carol\" {9}\nS: + go ahead\nC: other one\nS: a OK ***\n"
		  "C: b LOGIN bob secret\nS: b BAD not now\n" },
	{ "RFC 7888: LOGIN with literals that don't wait", true,
	    HELLO "R: a LOGIN {3+}\\r\\nbob {6+}\\r\\nsecret\\r\\n\nS: a OK ***\n" },
	{ "RFC 3501 6.2.2: AUTHENTICATE PLAIN", true,
	    HELLO
	    "C: a AUTHENTICATE PLAIN\nS: + \nC: *\nS: a BAD cancelled\n"
	    "C: a AUTHENTICATE PLAIN !!\nS: a BAD ***\nC: a AUTHENTICATE GSSAPI\nS: a NO ***\n"
	    "C: a AUTHENTICATE PLAIN AGJvYgB3cm9uZw==\nS: a NO ***\n"
	    "C: a AUTHENTICATE PLAIN\nS: + \nC: AGJvYgBzZWNyZXQ=\nS: a OK ***\n" },
	{ "RFC 8314 3: no password in the clear", false,
	    "S: * OK [CAPABILITY IMAP4rev1 LITERAL+ STARTTLS LOGINDISABLED ***\n"
	    "C: a LOGIN bob secret\nS: a NO [PRIVACYREQUIRED] ***\n"
	    "C: a AUTHENTICATE PLAIN AGJvYgBzZWNyZXQ=\nS: a NO [PRIVACYREQUIRED] ***\n"
	    "C: a STARTTLS\nS: a OK begin TLS\nTLS\nC: b LOGIN bob secret\nS: b OK ***\n" },
	{ "CVE-2011-0411: commands slipped in before the handshake", false,
	    HELLO "R: a STARTTLS\\r\\nb NOOP\\r\\n\nS: a OK begin TLS\nEOF\n" },
	{ "bad: lines that are no commands", true,
	    HELLO "C: \nS: * BAD ***\nC: a\nS: a BAD unknown command\nC: a XYZZY\n"
		  "S: a BAD unknown command\nC: (a) NOOP\nS: * BAD ***\nC: a NOOP x\nS: a BAD ***\n"
		  "C: a UID NOOP\nS: a BAD not now\nR: a NOOP\\n\nS: a BAD line too long, or ***\n"
		  "C: b NOOP\nS: b OK done\n" },
	{ "bad: over-long line", true,
	    HELLO
	    "R: a LOGIN \nX: 9000 x\nC: \nS: a BAD line too long***\nC: b NOOP\nS: b OK ***\n" },
	{ "bad: too many errors", true,
	    HELLO
	    "R: "
	    "x\\r\\nx\\r\\nx\\r\\nx\\r\\nx\\r\\nx\\r\\nx\\r\\nx\\r\\nx\\r\\nx\\r\\nx\\r\\nx\\r\\n"
	    "x\\r\\nx\\r\\nx\\r\\nx\\r\\nx\\r\\nx\\r\\nx\\r\\nx\\r\\n\nS* * BYE too many errors\n"
	    "EOF\n" },
	{ "bad: a literal too large, before login", true,
	    HELLO "C: a LOGIN {9000}\nS: a NO [TOOBIG] ***\nC: b NOOP\nS: b OK done\n"
		  "C: c APPEND x {9000}\nS: c NO [TOOBIG] ***\n"
		  "C: d LOGIN {9000+}\nS: d NO [TOOBIG] ***\nS: * BYE ***\nEOF\n" },
	{ "bad: half a literal", true,
	    LOG_IN "C: b APPEND INBOX {100}\nS: + ***\nR: half\nSHUT\nEOF\n" },
	{ "RFC 3501 6.3.1: SELECT and EXAMINE", true,
	    TWO LOG_IN
	    "C: b SELECT INBOX\nS: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\n"
	    "S: * OK [PERMANENTFLAGS (***\\*)] ***\nS: * 2 EXISTS\nS: * 2 RECENT\n"
	    "S: * OK [UNSEEN 1] ***\nS: * OK [UIDVALIDITY ***\nS: * OK [UIDNEXT 3] ***\n"
	    "S: b OK [READ-WRITE] done\nC: c EXAMINE INBOX\nS* * 0 RECENT\n"
	    "S* c OK [READ-ONLY] done\nC: d STORE 1 +FLAGS (\\Seen)\n"
	    "S: d NO [READ-ONLY] ***\nC: e SELECT nowhere\nS: e NO [NONEXISTENT] ***\n"
	    "C: f FETCH 1 FLAGS\nS: f BAD not now\n" },
	{ "RFC 3501 6.3: folders", true,
	    LOG_IN
	    "C: a CREATE Work\nS: a OK done\nC: a CREATE Work\nS: a NO [ALREADYEXISTS] ***\n"
	    "C: a CREATE Work/Old/\nS: a OK done\nC: a LIST \"\" *\n"
	    "S: * LIST (\\HasNoChildren) \"/\" \"INBOX\"\n"
	    "S: * LIST (\\HasChildren) \"/\" \"Work\"\n"
	    "S: * LIST (\\HasNoChildren) \"/\" \"Work/Old\"\nS: a OK done\n"
	    "C: a LIST \"\" %\nS* * LIST (\\HasChildren) \"/\" \"Work\"\nS: a OK done\n"
	    "C: a LIST Work/ \"%\"\nS: * LIST ***\"Work/Old\"\nS: a OK done\n"
	    "C: a LIST \"\" inbox\nS: * LIST ***\"INBOX\"\nS: a OK done\n"
	    "C: a LIST \"\" \"\"\nS: * LIST (\\Noselect) \"/\" \"\"\nS: a OK done\n"
	    "C: a LSUB \"\" W*d\nS: * LSUB ***\"Work/Old\"\nS: a OK done\n"
	    "C: a RENAME Work Play\nS: a OK done\nC: a LIST \"\" P*\nS: * LIST ***\"Play\"\n"
	    "S: * LIST ***\"Play/Old\"\nS: a OK done\nC: a DELETE Play/Old\nS: a OK done\n"
	    "C: a DELETE Play/Old\nS: a NO [NONEXISTENT] ***\nC: a DELETE INBOX\nS: a NO ***\n"
	    "C: a SUBSCRIBE Play\nS: a OK ***\nC: a CREATE\nS: a BAD ***\n"
	    "C: a LIST \"\nS: a BAD ***\n" },
	{ "RFC 3501 6.3.10: STATUS", true,
	    TWO LOG_IN
	    "C: a STATUS INBOX (MESSAGES UIDNEXT UNSEEN RECENT)\n"
	    "S: * STATUS \"INBOX\" (MESSAGES 2 UIDNEXT 3 UNSEEN 2 RECENT 2)\nS: a OK done\n"
	    "C: a STATUS nowhere (MESSAGES)\nS: a NO ***\nC: a STATUS INBOX (X)\nS: a BAD ***\n"
	    "C: a STATUS INBOX ()\nS: a BAD ***\n" },
	{ "RFC 3501 6.3.11: APPEND", true,
	    INBOX
	    "C: c APPEND INBOX (\\Seen $Mine) \" 1-Feb-2026 10:00:00 +0100\" {9}\nS: + ***\n"
	    "R: A: b\\r\\n\\r\\nx\\r\\n\nS* * 1 EXISTS\nS: * 1 RECENT\nS: c OK [APPENDUID ***\n"
	    "C: d FETCH 1 (INTERNALDATE FLAGS RFC822.SIZE)\n"
	    "S: * 1 FETCH (INTERNALDATE \" 1-Feb-2026 09:00:00 +0000\" FLAGS (\\Recent \\Seen "
	    "$Mine) RFC822.SIZE 9)\nS: d OK done\n"
	    "C: e APPEND nowhere {1}\nS: + ***\nC: x\nS: e NO [TRYCREATE] ***\n"
	    "C: e APPEND INBOX x\nS: e BAD ***\nC: e APPEND INBOX (\\Recent) {1}\nS: + ***\nC: x\n"
	    "S: e BAD ***\nC: e APPEND INBOX \"32-Feb-2026 10:00:00 +0100\" {1}\nS: + ***\nC: x\n"
	    "S: e BAD ***\nC: f APPEND INBOX {3000}\nS: f NO [TOOBIG] ***\nBOX: INBOX 1\n" },
	{ "RFC 3501 6.4.5: FETCH of the simple items", true,
	    TWO INBOX
	    "C: c FETCH 1:* (UID FLAGS)\nS: * 1 FETCH (UID 1 FLAGS (\\Recent))\n"
	    "S: * 2 FETCH (UID 2 FLAGS (\\Recent))\nS: c OK done\nC: d UID FETCH 2 FLAGS\n"
	    "S: * 2 FETCH (FLAGS (\\Recent) UID 2)\nS: d OK done\nC: e FETCH 2 FAST\n"
	    "S: * 2 FETCH (FLAGS (\\Recent) INTERNALDATE \"23-Nov-2026 10:00:00 +0000\" "
	    "RFC822.SIZE 52)\nS: e OK done\nC: f FETCH 3 FLAGS\nS: f BAD ***\n"
	    "C: f FETCH 0 FLAGS\nS: f BAD ***\nC: f FETCH 1 (FLAGS\nS: f BAD ***\n"
	    "C: f FETCH 1 XYZZY\nS: f BAD ***\nC: f FETCH 1 BODY[X]\nS: f BAD ***\n"
	    "C: f FETCH 1 BODY[MIME]\nS: f BAD ***\nC: f UID FETCH 9 FLAGS\nS: f OK done\n"
	    "C: f UID FETCH 9:* UID\nS: * 2 FETCH (UID 2)\nS: f OK done\n" },
	{ "RFC 3501 6.4.5: FETCH of text", true,
	    ONE INBOX
	    "C: c FETCH 1 BODY.PEEK[TEXT]\nS: * 1 FETCH (BODY[TEXT] {7}\nS: first\nS: )\n"
	    "S: c OK done\nC: d FETCH 1 BODY[TEXT]<1.3>\n"
	    "S: * 1 FETCH (BODY[TEXT]<1> {3}\nS: irs FLAGS (\\Recent \\Seen))\n"
	    "S: d OK done\nC: e FETCH 1 (BODY[HEADER.FIELDS (subject X-No)])\n"
	    "S: * 1 FETCH (BODY[HEADER.FIELDS (subject X-No)] {16}\nS: Subject: one\nS:\nS: )\n"
	    "S: e OK done\nC: f FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (From To Date Message-ID)]\n"
	    "S: * 1 FETCH ***{16}\nS: Subject: one\nS:\nS: )\nS: f OK done\n"
	    "C: g FETCH 1 RFC822\nS: * 1 FETCH (RFC822 {***}\nS* first\nS: )\nS: g OK done\n"
	    "C: h FETCH 1 RFC822.HEADER\nS: * 1 FETCH (RFC822.HEADER {***}\nS* )\nS: h OK done\n"
	    "C: i FETCH 1 BODY[]<0.5>\nS: * 1 FETCH (BODY[]<0> {5}\nS: From:)\nS: i OK done\n"
	    "C: j FETCH 1 BODY[]<9999.5>\nS: * 1 FETCH (BODY[]<9999> {0}\nS: )\nS: j OK done\n"
	    "C: k FETCH 1 BODY[1]\nS: * 1 FETCH (BODY[1] {7}\nS: first\nS: )\nS: k OK done\n"
	    "C: l FETCH 1 BODY[2]\nS: * 1 FETCH (BODY[2] NIL)\nS: l OK done\n" },
	{ "RFC 3501 7.4.2: ENVELOPE and BODYSTRUCTURE", true,
	    ONE INBOX
	    "C: c FETCH 1 ENVELOPE\nS: * 1 FETCH (ENVELOPE (\"Mon, 23 Nov 2026 10:00:00 +0000\" "
	    "\"one\" ((\"Alice, A.\" NIL \"alice\" \"a.example\")) ((\"Alice, A.\" NIL "
	    "\"alice\" \"a.example\")) ((\"Alice, A.\" NIL \"alice\" \"a.example\")) ((NIL NIL "
	    "\"bob\" \"b.example\")) NIL NIL NIL \"<1@a.example>\"))\nS: c OK done\n"
	    "C: d FETCH 1 BODY\nS: * 1 FETCH (BODY (\"text\" \"plain\" (\"charset\" "
	    "\"us-ascii\") NIL NIL \"7bit\" 7 1))\nS: d OK done\n" },
	{ "RFC 3501 7.4.2: parts", true,
	    PARTS INBOX
	    "C: c FETCH 1 BODYSTRUCTURE\nS: * 1 FETCH (BODYSTRUCTURE ((\"text\" \"plain\" "
	    "(\"charset\" "
	    "\"us-ascii\") NIL NIL \"7bit\" 5 0 NIL NIL NIL NIL)(\"message\" \"rfc822\" NIL NIL "
	    "NIL "
	    "\"7bit\" 20 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" \"plain\" "
	    "(\"charset\" "
	    "\"us-ascii\") NIL NIL \"7bit\" 5 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL)(\"image\" "
	    "\"png\" "
	    "(\"name\" \"a.png\") NIL NIL \"base64\" 4 NIL (\"attachment\" (\"filename\" "
	    "\"a.png\")) NIL "
	    "NIL) \"mixed\" (\"boundary\" \"x\") NIL NIL NIL))\nS: c OK done\n"
	    "C: d FETCH 1 BODY.PEEK[1]\nS: * 1 FETCH (BODY[1] {5}\nS: plain)\nS: d OK done\n"
	    "C: d FETCH 1 BODY.PEEK[2.TEXT]\nS: * 1 FETCH (BODY[2.TEXT] {5}\nS: inner)\nS: d OK "
	    "done\n"
	    "C: d FETCH 1 BODY.PEEK[2.1]\nS: * 1 FETCH (BODY[2.1] {5}\nS: inner)\nS: d OK done\n"
	    "C: d FETCH 1 BODY.PEEK[2.HEADER]\nS: * 1 FETCH (BODY[2.HEADER] {15}\nS: Subject: "
	    "in\nS:\n"
	    "S: )\nS: d OK done\nC: d FETCH 1 BODY.PEEK[3]\nS: * 1 FETCH (BODY[3] {4}\nS: AAAA)\n"
	    "S: d OK done\nC: d FETCH 1 BODY.PEEK[3.MIME]\nS: * 1 FETCH (BODY[3.MIME] {***\n"
	    "S: Content-Type: image/png; name=a.png\nS* d OK done\n"
	    "C: d FETCH 1 BODY.PEEK[4]\nS: * 1 FETCH (BODY[4] NIL)\nS: d OK done\n"
	    "C: d FETCH 1 BODY.PEEK[3.TEXT]\nS: * 1 FETCH (BODY[3.TEXT] NIL)\nS: d OK done\n" },
	{ "RFC 3501 6.4.6: STORE", true,
	    TWO INBOX
	    "C: c STORE 1 +FLAGS (\\Seen work)\nS: * 1 FETCH (FLAGS (\\Recent \\Seen work))\n"
	    "S* c OK done\nC: d UID STORE 2 FLAGS \\Deleted\n"
	    "S: * 2 FETCH (UID 2 FLAGS (\\Recent \\Deleted))\nS: d OK done\n"
	    "C: e STORE 1:2 -FLAGS.SILENT (\\Seen \\Deleted)\nS: e OK done\n"
	    "C: f FETCH 1 FLAGS\nS: * 1 FETCH (FLAGS (\\Recent work))\nS: f OK done\n"
	    "C: g STORE 1 +FLAGS (\\Recent)\nS: g BAD ***\nC: g STORE 1 X (\\Seen)\nS: g BAD ***\n"
	    "C: g STORE 1 FLAGS ()\nS: * 1 FETCH (FLAGS (\\Recent))\nS: g OK done\n" },
	{ "RFC 3501 6.4.3: EXPUNGE, and UID EXPUNGE of RFC 4315", true,
	    TWO INBOX
	    "C: c STORE 1:2 +FLAGS.SILENT \\Deleted\nS: c OK done\nC: d UID EXPUNGE 2\n"
	    "S: * 2 EXPUNGE\nS: d OK done\nC: e EXPUNGE\nS: * 1 EXPUNGE\nS: e OK done\n"
	    "BOX: INBOX 0\nC: f FETCH 1 FLAGS\nS: f BAD ***\nC: f EXPUNGE x\nS: f BAD ***\n" },
	{ "RFC 3501 6.4.2: CLOSE removes, UNSELECT of RFC 3691 does not", true,
	    TWO INBOX
	    "C: c STORE 1 +FLAGS.SILENT \\Deleted\nS: c OK done\nC: d UNSELECT\nS: d OK done\n"
	    "BOX: INBOX 2\nC: e SELECT INBOX\nS* e OK ***\nC: f CLOSE\nS: f OK done\n"
	    "BOX: INBOX 1\nC: g CLOSE\nS: g BAD not now\n" },
	{ "RFC 3501 6.4.7: COPY, RFC 6851: MOVE", true,
	    TWO INBOX
	    "C: c COPY 1:2 Other\nS: c NO [TRYCREATE] ***\nC: d CREATE Other\nS: d OK done\n"
	    "C: e COPY 1:2 Other\nS: e OK [COPYUID *** 1,2 1,2] done\nBOX: Other 2\n"
	    "C: f UID MOVE 1 Other\nS: * OK [COPYUID *** 1 3] moved\nS: * 1 EXPUNGE\n"
	    "S: f OK done\nBOX: Other 3\nBOX: INBOX 1\nC: g UID COPY 99 Other\nS: g OK done\n"
	    "C: g COPY 7 Other\nS: g BAD ***\n" },
	{ "RFC 3501 6.4.4: SEARCH", true,
	    TWO INBOX
	    "C: c STORE 1 +FLAGS.SILENT (\\Seen mine)\nS* c OK done\n"
	    "C: c SEARCH ALL\nS: * SEARCH 1 2\nS: c OK done\n"
	    "C: c SEARCH UNSEEN\nS: * SEARCH 2\nS: c OK done\n"
	    "C: c UID SEARCH SEEN\nS: * SEARCH 1\nS: c OK done\n"
	    "C: c SEARCH FROM ALICE\nS: * SEARCH 1\nS: c OK done\n"
	    "C: c SEARCH NOT FROM alice SUBJECT \"two\"\nS: * SEARCH 2\nS: c OK done\n"
	    "C: c SEARCH OR SUBJECT one BODY second\nS: * SEARCH 1 2\nS: c OK done\n"
	    "C: c SEARCH OR (SEEN SUBJECT two) (UNSEEN TEXT second)\nS: * SEARCH 2\nS: c OK done\n"
	    "C: c SEARCH NOT (NOT (SEEN))\nS: * SEARCH 1\nS: c OK done\n"
	    "C: c SEARCH KEYWORD mine\nS: * SEARCH 1\nS: c OK done\n"
	    "C: c SEARCH UNKEYWORD mine KEYWORD none\nS: * SEARCH\nS: c OK done\n"
	    "C: c SEARCH ON 23-Nov-2026 SINCE 23-Nov-2026\nS: * SEARCH 1 2\nS: c OK done\n"
	    "C: c SEARCH BEFORE 23-Nov-2026\nS: * SEARCH\nS: c OK done\n"
	    "C: c SEARCH SENTON 23-Nov-2026\nS: * SEARCH 1\nS: c OK done\n"
	    "C: c SEARCH LARGER 60\nS: * SEARCH 1\nS: c OK done\n"
	    "C: c SEARCH SMALLER 60\nS: * SEARCH 2\nS: c OK done\n"
	    "C: c SEARCH 2:* NEW\nS: * SEARCH 2\nS: c OK done\n"
	    "C: c SEARCH UID 1 OLD\nS: * SEARCH\nS: c OK done\n"
	    "C: c SEARCH HEADER Message-ID \"\"\nS: * SEARCH 1\nS: c OK done\n"
	    "C: c SEARCH CHARSET UTF-8 TEXT {6}\nS: + ***\nC: second\nS: * SEARCH 2\nS: c OK done\n"
	    "C: c SEARCH CHARSET KOI8-R ALL\nS: c NO [BADCHARSET ***\n" },
	{ "bad: SEARCH", true,
	    TWO INBOX
	    "C: c SEARCH\nS: c BAD ***\nC: c SEARCH XYZZY\nS: c BAD ***\n"
	    "C: c SEARCH (ALL\nS: c BAD ***\nC: c SEARCH ALL)\nS: c BAD ***\n"
	    "C: c SEARCH ()\nS: c BAD ***\nC: c SEARCH NOT\nS: c BAD ***\n"
	    "C: c SEARCH OR ALL\nS: c BAD ***\nC: c SEARCH SINCE yesterday\nS: c BAD ***\n"
	    "C: c SEARCH 9\nS: c BAD ***\nC: c SEARCH (NOT) ALL\nS: c BAD ***\n"
	    "R: c SEARCH \nX: 100 NOT \nC: ALL\nS: c BAD too many keys***\n" },
	{ "RFC 2177: IDLE tells of arrivals", true,
	    INBOX "C: c IDLE\nS: + idling\n" ONE
		  "S: * 1 EXISTS\nS: * 1 RECENT\nC: DONE\nS: c OK done\n"
		  "C: d IDLE\nS: + idling\nC: NOOP\nS: d BAD DONE ends IDLE\n" },
	{ "RFC 3501 5.2: NOOP tells of arrivals", true,
	    INBOX ONE "C: c NOOP\nS: * 1 EXISTS\nS: * 1 RECENT\nS: c OK done\n" },
};

static void
test_conversations(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct talk_options options = { .run = imap_run,
			.allow_plain_auth = rows[i].allow_plain_auth,
			.max_message_bytes = 2048 };

		talk_run(rows[i].name, &options, rows[i].script);
	}
}

/* RFC 3501 5.4: a session that says nothing is told BYE, while idling too. */
static void
test_timeout(void **state)
{
	const struct talk_options options = {
		.run = imap_run, .allow_plain_auth = true, .timeout_ms = 100
	};

	(void)state;
	talk_run("timeout", &options, HELLO "S: * BYE timed out\nEOF\n");
	talk_run("timeout, idle", &options, INBOX "C: c IDLE\nS: + idling\nS: * BYE ***\nEOF\n");
	talk_run("timeout, half a literal", &options,
	    LOG_IN "C: c APPEND INBOX {50}\nS: + ***\nR: half\nEOF\nBOX: INBOX 0\n");
}

static const struct set_row {
	const char *text;
	size_t count; /* 0: a fault */
	uint32_t low, high;
} set_rows[] = {
	{ "1", 1, 1, 1 },
	{ "1:4", 1, 1, 4 },
	{ "4:1", 1, 1, 4 },
	{ "*", 1, UINT32_MAX, UINT32_MAX },
	{ "*:3", 1, 3, UINT32_MAX },
	{ "2,4:7,9", 3, 2, 2 },
	{ "0", 0, 0, 0 },
	{ "", 0, 0, 0 },
	{ "1,", 0, 0, 0 },
	{ "1:", 0, 0, 0 },
	{ "4294967296", 0, 0, 0 },
	{ "a", 0, 0, 0 },
};

static void
test_sets(void **state)
{
	struct arena *a = arena_new(65536);

	(void)state;
	for (size_t i = 0; i < sizeof(set_rows) / sizeof(set_rows[0]); i++) {
		const struct set_row *r = &set_rows[i];
		struct imap_lex l = { .text = slice_str(r->text), .arena = a };
		struct imap_set set;

		imap_set_read(&l, &set);
		if ((l.fault == NULL) != (r->count > 0))
			fail_msg("RFC 3501 9 sequence-set \"%s\": fault %s", r->text, l.fault);
		if (r->count > 0 &&
		    (set.count != r->count || set.ranges[0].low != r->low ||
			set.ranges[0].high != r->high))
			fail_msg("RFC 3501 9 sequence-set \"%s\": %zu ranges, the first %u to %u",
			    r->text, set.count, set.ranges[0].low, set.ranges[0].high);
	}
	arena_free(&a);
}

static const struct string_row {
	const char *text, *want; /* NULL: a fault */
} string_rows[] = {
	{ "atom", "atom" },
	{ "a]b", "a]b" },
	{ "\"a \\\"b\\\\\"", "a \"b\\" },
	{ "{3}\r\nabc", "abc" },
	{ "{3+}\r\nabc", "abc" },
	{ "{0}\r\n", "" },
	{ "\"\"", "" },
	{ "", NULL },
	{ "\"open", NULL },
	{ "\"a\\b\"", NULL },
	{ "{4}\r\nabc", NULL },
	{ "{x}\r\nabc", NULL },
	{ "{3}abc", NULL },
	{ "{99999999999}\r\n", NULL },
	{ "(", NULL },
};

static void
test_strings(void **state)
{
	struct arena *a = arena_new(65536);

	(void)state;
	for (size_t i = 0; i < sizeof(string_rows) / sizeof(string_rows[0]); i++) {
		const struct string_row *r = &string_rows[i];
		struct imap_lex l = { .text = slice_str(r->text), .arena = a };
		struct slice got = imap_astring(&l);

		if ((l.fault == NULL) != (r->want != NULL) ||
		    (r->want != NULL && !slice_equal(got, slice_str(r->want))))
			fail_msg("RFC 3501 9 astring \"%s\": got \"%.*s\", want \"%s\"", r->text,
			    SLICE_ARG(got), r->want == NULL ? "a fault" : r->want);
	}
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversations),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
