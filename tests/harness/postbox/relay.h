/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         relay - own users' mail to other servers
 * DESCRIPTION  What a user submits for another domain goes into a queue, and is answered 250 then.
 *              Threads of the queue look up the MX of the domain (RFC 5321 5.1, null MX of
 *              RFC 7505), connect by rising preference, use TLS when it is offered without looking
 *              at the certificate (RFC 7435), and hand the message over. What is refused with 5xx
 *              comes back to the user as a bounce (RFC 3464); what is put off with 4xx, or finds
 *              nobody there, is tried again later, until it is too old.
 *
 *              relay_queue.c has the queue and its threads, relay_spool.c its files, relay_route.c
 *              finds hosts and addresses, relay_client.c talks to one, relay_bounce.c writes back.
 *
 *              Nothing is ever sent to an address that is not loopback unless --relay-anywhere.
 *              --relay-map sends what DNS directs to one address to another address and port:
 *              that is how hosts of a test are told apart that all run on one machine.
 * BUGS         With a maildir every message in the queue is a file, written before it is answered
 *              250. A kill between another server's 250 and the removal of the file has it sent
 *              twice. Without one the queue is memory.
 */
#ifndef POSTBOX_RELAY_H
#define POSTBOX_RELAY_H

#include "tests/harness/postbox/server.h"

#define RELAY_FAULT_BYTES  512
#define RELAY_STATUS_BYTES 12

enum relay_state { RELAY_WAITS, RELAY_SENT, RELAY_FAILED };

struct relay_recipient {
	struct slice address; /* "a@b" */
	struct slice domain;
	enum relay_state state;
	char fault[RELAY_FAULT_BYTES];	 /* why it waits or has failed; "": not tried yet */
	char status[RELAY_STATUS_BYTES]; /* RFC 3463; of that fault */
};

struct relay_mail {
	const char *id;	     /* queue id, for logs; no '/' in it */
	struct slice user;   /* who submitted it, and gets the bounce */
	struct slice sender; /* "a@b"; empty: the null reverse-path */
	struct slice text;   /* header and body, CR LF */
	bool eight_bit, smtputf8;
	struct relay_recipient *recipients;
	size_t count;
};

/* Read what an earlier life left in the maildir, start threads. NULL with *error_r set (arena text
 * of the server). server is borrowed; its store and resolver must be open. */
struct relay_queue *relay_queue_new(struct server *server, const char **error_r);

enum relay_added { RELAY_QUEUED, RELAY_FULL, RELAY_NOT_WRITTEN };
/* A copy of mail. Once it says RELAY_QUEUED it is as durable as the store. MT: any thread. */
enum relay_added relay_queue_add(struct relay_queue *q, const struct relay_mail *mail);

/* Cut what is under way. False: a thread does not come back (it waits for the network); then
 * nothing may be freed. */
bool relay_queue_stop(struct relay_queue *q);
/* After a stop that said true. What is still there is told in the log. *q becomes NULL; NULL is
 * accepted. */
void relay_queue_free(struct relay_queue **q);

#endif
