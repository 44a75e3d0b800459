/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         relay - own users' mail to other servers
 * DESCRIPTION  Looks up the MX of a domain (RFC 5321 5.1, null MX of RFC 7505), connects, uses TLS
 *              when it is offered without looking at the certificate (RFC 7435), and hands the
 *              message over. There is no queue: it happens before the submission is answered, in
 *              bounded time, and what does not work the first time comes back as a bounce.
 */
#ifndef POSTBOX_RELAY_H
#define POSTBOX_RELAY_H

#include "tests/harness/postbox/server.h"

struct relay_recipient {
	struct slice address; /* "a@b" */
	struct slice domain;
	bool done;
	const char *fault; /* NULL: delivered */
};

struct relay_mail {
	struct slice sender; /* "a@b"; empty: the null reverse-path */
	struct slice text;   /* header and body, CR LF */
	bool eight_bit, smtputf8;
	struct relay_recipient *recipients;
	size_t count;
};

/* Every recipient is done afterwards, well or with a fault (arena text). Recipients of one domain
 * go in one transaction. */
void relay_send(struct connection *c, struct arena *a, struct relay_mail *mail);

/* Tell the user which recipients were not reached: a message from the null reverse-path
 * (RFC 5321 6.1), into INBOX. Nothing when all were. */
void relay_bounce(
    struct connection *c, struct arena *a, const struct relay_mail *mail, const struct user *user);

#endif
