/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         postbox/limits - every bound on what a peer can make postbox do
 * DESCRIPTION  value, unit, where it comes from, and what happens beyond it; as
 * policy/base/limits.h does for the product. Those that are defaults of an option say so.
 */
#ifndef POSTBOX_LIMITS_H
#define POSTBOX_LIMITS_H

/* clang-format off */

/* Connections */
#define POSTBOX_CONNECTIONS	512	/* at once; --connections; -> accepted, told "busy", closed */
#define POSTBOX_STACK_BYTES	(256 * 1024)	/* of a connection's thread; ours */
#define POSTBOX_BACKLOG		512	/* listen(2); ours */
#define POSTBOX_STOP_WAIT_MS	5000	/* connections under way at SIGTERM; ours; -> cut off */
#define POSTBOX_LISTENERS	16	/* sockets; ours; -> refused at start */
#define POSTBOX_CONNECTION_MEMORY (1024 * 1024)	/* arena of a connection; ours; -> see arena_has_room() */
#define POSTBOX_ERRORS		20	/* bad commands on one connection; Postfix hard_error_limit; -> closed */

/* Time; --timeout replaces all of them, for tests */
#define POSTBOX_TLS_MS		30000	/* one TLS handshake; ours; -> closed */
#define POSTBOX_SMTP_COMMAND_MS	300000	/* RFC 5321 4.5.3.2.7: at least 5 minutes; -> 421 */
#define POSTBOX_SMTP_DATA_MS	180000	/* one piece of DATA; RFC 5321 4.5.3.2.5; -> 421 */
#define POSTBOX_POP3_MS		600000	/* RFC 1939 3: at least 10 minutes; -> closed, nothing deleted */
#define POSTBOX_IMAP_LOGIN_MS	60000	/* before authentication; ours; -> BYE */
#define POSTBOX_IMAP_MS		1800000	/* RFC 3501 5.4: at least 30 minutes; -> BYE */
#define POSTBOX_WRITE_MS	60000	/* a peer that reads nothing; ours; -> closed */
#define POSTBOX_RELAY_MS	120000	/* one domain in one attempt; ours; -> tried again later */
#define POSTBOX_CONNECT_MS	30000	/* to another server; ours; -> the next host */
#define POSTBOX_DNS_MS		5000	/* one lookup for relaying; ours; -> tried again later */
#define POSTBOX_RETRY_MS	300000	/* before the second attempt; --relay-retry; doubles each time */
#define POSTBOX_RETRY_MAX_MS	3600000	/* and grows no further; RFC 5321 4.5.4.1: 30 minutes and more */
#define POSTBOX_LIFETIME_MS	432000000	/* 5 days; --relay-lifetime; RFC 5321 4.5.4.1; -> bounced */

/* One connection's bytes */
#define POSTBOX_BUFFER_BYTES	16384	/* each way; a line is never longer; ours */
#define POSTBOX_PIECE_BYTES	8192	/* a literal or a text is read in pieces of this; ours */
#define POSTBOX_SMTP_LINE_BYTES	2048	/* command; RFC 5321 4.5.3.1.4 says 512, extensions add; -> 500 */
#define POSTBOX_TEXT_LINE_BYTES	8192	/* line of DATA; RFC 5321 4.5.3.1.6 says 1000; -> 554 */
#define POSTBOX_AUTH_LINE_BYTES	12288	/* RFC 4954 4; -> 500 */
#define POSTBOX_POP3_LINE_BYTES	512	/* command; RFC 2449 4 says 255; -> -ERR */
#define POSTBOX_IMAP_LINE_BYTES	8192	/* command without literals; RFC 2683 3.2.1.5 says 8000; -> BAD */

/* Mail */
#define POSTBOX_MESSAGE_BYTES	(16 * 1024 * 1024)	/* one message; --message-size; -> 552, NO [TOOBIG] */
#define POSTBOX_INCOMING_BYTES	(128 * 1024 * 1024)	/* all messages in DATA at once; ours; -> 452 */
#define POSTBOX_STORE_BYTES	(256 * 1024 * 1024)	/* all mail of all users; --store-size; -> 452, NO [OVERQUOTA] */
#define POSTBOX_FOLDER_MESSAGES	100000	/* in one folder; ours; -> 452, NO [OVERQUOTA] */
#define POSTBOX_FOLDERS		256	/* of one user; ours; -> NO [LIMIT] */
#define POSTBOX_FOLDER_NAME_BYTES 200	/* on disk it is one file name of 255; ours; -> NO [CANNOT] */
#define POSTBOX_KEYWORDS	26	/* of one folder: a maildir has letters a to z; ours; -> NO [LIMIT] */
#define POSTBOX_KEYWORD_BYTES	64	/* one keyword; ours; -> BAD */
#define POSTBOX_RECIPIENTS	100	/* of one message; RFC 5321 4.5.3.1.8; -> 452 */
#define POSTBOX_HOPS		50	/* Received fields; RFC 5321 6.3 says at least 100 is a loop; Postfix 50; -> 554 */
#define POSTBOX_QUEUE_MESSAGES	1000	/* waiting to be relayed; ours; -> 452 */
#define POSTBOX_QUEUE_BYTES	((size_t)64 * 1024 * 1024)	/* the same; ours; -> 452 */
#define POSTBOX_RELAY_THREADS	4	/* messages being relayed at once; ours; -> they wait */

/* Configuration */
#define POSTBOX_USERS		64	/* ours; -> refused at start */
#define POSTBOX_DOMAINS		64	/* ours; -> refused at start */
#define POSTBOX_PASSWORD_BYTES	256	/* ours; longer never matches */

/* clang-format on */

#endif
