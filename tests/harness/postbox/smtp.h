/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         smtp - what the files of the SMTP session share
 * DESCRIPTION  smtp.c has the loop, the table of commands and the small ones; smtp_auth.c AUTH;
 *              smtp_envelope.c MAIL, RCPT and XCLIENT; smtp_data.c the message; smtp_milter.c asks
 *              the filter. What own users send to others goes into the queue of relay.h.
 *
 *              A command's function answers and says whether the session goes on. What lives as
 *              long as one message is in session->mail, which smtp_forget_mail() empties.
 * BUGS         MT: one session, one thread.
 */
#ifndef POSTBOX_SMTP_H
#define POSTBOX_SMTP_H

#include "policy/syntax/header.h"
#include "tests/harness/postbox/server.h"

struct smtp_filter; /* smtp_milter.c */
struct milter_client;

#define SMTP_NAME_BYTES	 256 /* a domain name, RFC 5321 4.5.3.1.2, with NUL */
#define SMTP_REPLY_BYTES 1024
#define SMTP_ID_BYTES	 32

struct smtp_address {
	struct slice path;	 /* "<a@b>", as it came */
	struct slice address;	 /* without the brackets */
	struct slice local_part; /* unquoted */
	struct slice domain;	 /* as it came; empty: none */
};

struct smtp_recipient {
	struct smtp_address to;
	const struct user *user; /* NULL: relayed */
};

enum smtp_next { SMTP_GO_ON, SMTP_CLOSE };

struct smtp_session {
	struct connection *c;
	bool greeted, extended; /* HELO or EHLO was accepted; it was EHLO */
	char helo[SMTP_NAME_BYTES];
	char client_name[SMTP_NAME_BYTES]; /* of the peer; "unknown" unless XCLIENT says */
	struct ip_address client;	   /* the peer, or who XCLIENT says it is */
	uint16_t client_port;
	const struct user *user; /* authenticated */
	const char *mechanism;
	size_t errors;
	uint64_t messages; /* so far; for queue ids */

	struct smtp_filter *filter;	/* NULL: none */
	char refusal[SMTP_REPLY_BYTES]; /* the filter refuses this client; "": it does not */

	struct arena *mail;
	bool in_mail;
	bool eight_bit, smtputf8;
	char queue_id[SMTP_ID_BYTES];
	struct smtp_address sender;
	struct smtp_recipient *recipients; /* POSTBOX_RECIPIENTS; NULL: none yet */
	size_t recipient_count;
};

/* A line of a reply. code: "250" or "250-"; enhanced (RFC 3463): "2.1.0", NULL for none. */
void smtp_reply(struct smtp_session *s, const char *code, const char *enhanced, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));
/* The same for a command that was wrong: too many of them end the session. */
enum smtp_next smtp_error(struct smtp_session *s, const char *code, const char *enhanced,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The same for a whole reply, "550 5.1.1 text". */
enum smtp_next smtp_error_reply(struct smtp_session *s, const char *reply);
/* What a filter wants said: "550 5.7.1 text". 421 ends the session. */
enum smtp_next smtp_filter_said(struct smtp_session *s, const char *reply);
/* Nothing more can be read: 421 when the peer may still hear it. */
enum smtp_next smtp_gone(struct smtp_session *s, enum stream_status status);
/* End of a mail transaction, well or not. */
void smtp_forget_mail(struct smtp_session *s);
/* The state after the greeting (RFC 3207 4.2, XCLIENT): what the client said is forgotten. */
void smtp_forget_client(struct smtp_session *s);
/* "name [192.0.2.1]"; scratch. */
const char *smtp_client_text(const struct smtp_session *s);

/* The commands that have a file of their own. rest: behind the verb, trimmed; scratch memory. */
enum smtp_next smtp_mail(struct smtp_session *s, struct slice rest);
enum smtp_next smtp_rcpt(struct smtp_session *s, struct slice rest);
enum smtp_next smtp_data(struct smtp_session *s, struct slice rest);
enum smtp_next smtp_auth(struct smtp_session *s, struct slice rest);
enum smtp_next smtp_xclient(struct smtp_session *s, struct slice rest);
/* May this client send passwords now? */
bool smtp_auth_allowed(const struct smtp_session *s);
bool smtp_xclient_allowed(const struct smtp_session *s);

/* "<a@b>" or "<>". NULL, or a fault. Everything in *out is memory of a. */
const char *smtp_read_path(struct arena *a, struct slice path, struct smtp_address *out);
/* Who is r->to for? NULL: r->user, or whoever it is relayed to; else a reply that refuses. */
const char *smtp_find_recipient(struct smtp_session *s, struct smtp_recipient *r);

/* ---- the message ---- */

struct smtp_message {
	struct header_list header; /* own Received first; values in wire form */
	struct slice body;
	const char *quarantine; /* the filter's reason; NULL: no */
	bool discard;		/* say 250, keep nothing */
};

/* ---- the filter: each gives NULL to go on, or the reply; all accept a session without one ---- */

/* Connects and negotiates; what goes wrong becomes the default action. */
void smtp_filter_open(struct smtp_session *s);
const char *smtp_filter_connect(struct smtp_session *s);
const char *smtp_filter_helo(struct smtp_session *s);
const char *smtp_filter_mail(struct smtp_session *s);
const char *smtp_filter_rcpt(struct smtp_session *s, const struct smtp_recipient *to);
const char *smtp_filter_data(struct smtp_session *s);
/* Header, body, end; changes are made to m. own: fields at the top the filter is not shown. */
const char *smtp_filter_message(struct smtp_session *s, struct smtp_message *m, size_t own);
/* A command that nobody knows. */
const char *smtp_filter_unknown(struct smtp_session *s, struct slice line);
/* Do to m, sender and recipients what the filter has asked for (smtp_edits.c). */
void smtp_apply_edits(
    struct smtp_session *s, struct smtp_message *m, const struct milter_client *client);
/* The message under way will not be finished. */
void smtp_filter_abort(struct smtp_session *s);
void smtp_filter_close(struct smtp_session *s);

#endif
