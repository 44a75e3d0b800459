/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         relay_internal - what the files of relay share
 */
#ifndef POSTBOX_RELAY_INTERNAL_H
#define POSTBOX_RELAY_INTERNAL_H

#include <pthread.h>
#include <time.h>

#include "policy/base/strbuf.h"
#include "tests/harness/postbox/relay.h"

/* The connection that a thread of the queue holds at the moment, for whoever must cut it. */
struct relay_line {
	pthread_mutex_t lock;
	struct stream *stream; /* NULL: none */
	bool cut;	       /* for good: the server stops */
};

/* One attempt to get one message on its way. */
struct relay_attempt {
	struct server *server;
	struct arena *arena; /* of this attempt */
	struct relay_mail *mail;
	struct relay_line *line;
	struct lookups *lookups;
};

/* Recipients of one domain go in one transaction; this is the domain's part of the attempt. */
struct relay_route {
	const struct relay_attempt *attempt;
	struct slice domain;
	time_t deadline_s; /* monotonic */
};

time_t relay_now_s(void);
/* What the server's --timeout says, else ms. */
uint32_t relay_timeout_ms(const struct server *server, uint32_t ms);
/* Everything is to end. */
bool relay_is_cut(struct relay_line *line);

/* Does recipient r still wait, and for this route's domain? */
bool relay_waits(const struct relay_route *route, const struct relay_recipient *r);
/*
 * What has become of a recipient. state WAITS: the fault may be taken away by the next host.
 * status: "5.1.2" (RFC 3463); fmt: the fault.
 */
void relay_settle(struct relay_recipient *r, enum relay_state state, const char *status,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The same for all recipients of the route that wait. */
void relay_settle_all(
    const struct relay_route *route, enum relay_state state, const char *status, const char *fault);

/* Try every recipient that waits, once. */
void relay_attempt(
    struct server *server, struct arena *a, struct relay_mail *mail, struct relay_line *line);

/* Talk to one server; recipients that it took or refused for good don't wait any more. encrypt:
 * with TLS if it has that. False: TLS failed, it is worth another try without. */
bool relay_talk(
    const struct relay_route *route, struct stream *stream, const char *host, bool encrypt);

/* Tell the user which recipients have failed: a message from the null reverse-path (RFC 5321 6.1),
 * into INBOX. Nothing when none has, nor for mail that has no sender. */
void relay_bounce(struct server *server, struct arena *a, const struct relay_mail *mail);

/* ---- files (relay_spool.c); without a maildir they do nothing ---- */

/* The text of a file (relay_spool.c has the format), and back: 0, or -1 for what is none. *mail
 * points into text; its recipients are POSTBOX_RECIPIENTS of the caller's, count being 0. */
void relay_spool_print(struct strbuf *b, const struct relay_mail *mail, int64_t created_s);
int relay_spool_parse(struct slice text, struct relay_mail *mail, int64_t *created_r);
/* created_s: wall clock. 0 or -1 (logged). */
int relay_spool_write(
    const struct server *server, const struct relay_mail *mail, int64_t created_s);
void relay_spool_remove(const struct server *server, const char *id);
/* Each message that is there; *mail is memory of the arena handed over with it, which each() takes.
 * 0, or -1 with *error_r set. */
int relay_spool_load(const struct server *server,
    void (*each)(void *ctx, struct arena *a, struct relay_mail *mail, int64_t created_s), void *ctx,
    const char **error_r);

#endif
