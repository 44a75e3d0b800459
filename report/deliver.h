/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         deliver - messages out, over SMTP, several at once
 * SYNOPSIS     struct deliver *d = deliver_open(&options, &error);
 *              deliver_start(d, &job);
 *              while (deliver_wait(d, 1000, &done)) ...
 * DESCRIPTION  Everything goes to one server, the local MTA or a smarthost, each message over a
 *              transfer of its own, in a thread of its own: one that hangs holds its own slot until
 *              its time is up and delays no other, whichever answer it waits for. Who is next, and
 *              how many of one domain at once, is up to the caller.
 *
 *              Any answer is waited for as long as the final dot's may take by RFC 5321 4.5.3.2,
 * ten minutes, within transfer_ms; the one to QUIT for a second at most.
 *
 *              What the server said is told in few words: it took the message; it refused this
 *              recipient or this message for good (5xx to RCPT TO, or at the end of DATA); there is
 *              no getting at it at all, up to AUTH. Anything else is for later, 5xx to MAIL FROM
 *              and 5.7.x (relaying denied, policy) included: that is about us, not about the
 *              destination.
 * DIAGNOSTICS  deliver_open(): NULL with *error_r set, static text.
 * BUGS         One struct deliver a process at a time; SIGPIPE must be ignored (OpenSSL). Closing
 *              takes a second where something is under way, longer while a name is looked up.
 *              MT: one thread calls.
 */
#ifndef ASSAY_DELIVER_H
#define ASSAY_DELIVER_H

#include <stdint.h>

#include "policy/base/slice.h"

enum deliver_tls {
	DELIVER_TLS_NEVER,
	DELIVER_TLS_TRY,    /* where it is offered, with a log-in always; the certificate is not
			     * looked at */
	DELIVER_TLS_REQUIRE /* or not at all; the certificate must be good */
};

struct deliver_options {    /* borrowed until deliver_close() */
	const char *server; /* "smtp://host:port" or "smtps://host:port" */
	const char *helo;   /* our name in EHLO */
	enum deliver_tls tls;
	const char *ca_file;	     /* NULL: the system's */
	const char *user, *password; /* NULL: no AUTH */
	uint32_t connect_ms;	     /* until the server has answered */
	uint32_t transfer_ms;	     /* one message, all in all */
	unsigned slots;		     /* transfers at once */
};

struct deliver_job {	      /* borrowed until it is done */
	const char *from;     /* envelope sender, "" for the null one */
	const char *to;	      /* one recipient */
	struct slice message; /* lines end with CR LF */
	void *ctx;
};

enum deliver_result { DELIVER_ACCEPTED, DELIVER_REFUSED, DELIVER_LATER, DELIVER_NO_SERVER };

struct deliver_done {
	void *ctx;
	enum deliver_result result;
	struct slice reply; /* printable, one line: what the server said last, or what went wrong;
			     * good until the next call */
};

struct deliver;

struct deliver *deliver_open(const struct deliver_options *options, const char **error_r);
/* What is under way is cut off, without QUIT. *d becomes NULL; NULL is accepted. */
void deliver_close(struct deliver **d);

/* May another be started? */
bool deliver_has_room(const struct deliver *d);
size_t deliver_under_way(const struct deliver *d);
void deliver_start(struct deliver *d, const struct deliver_job *job);

/* Work for at most wait_ms, until one is done. False: none was. */
bool deliver_wait(struct deliver *d, uint32_t wait_ms, struct deliver_done *out);

#endif
