/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         protocol - the table of what postbox can speak
 * DESCRIPTION  A row a listening port. protocols.c holds the rows; a new protocol is a file with a
 *              run() function, its declaration below, and a row.
 */
#ifndef POSTBOX_PROTOCOL_H
#define POSTBOX_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;

struct protocol {
	const char *name; /* as --port and --print-ports say it */
	uint16_t port;	  /* the one IANA assigned; --port-offset is added */
	bool tls_at_once; /* RFC 8314: the handshake is done before run() is called */
	bool submission;  /* SMTP only: authentication required, own users' mail is relayed */
	const char *busy; /* said to one connection too many, with CR LF; NULL: nothing */
	/*
	 * Hold the conversation, to the end. The stream's timeout is at first that of the server's
	 * options or POSTBOX_TLS_MS; run() sets its own by state with connection_timeout(). Returns
	 * to have the connection closed; frees what it made.
	 */
	void (*run)(struct connection *c);
};

extern const struct protocol protocols[];
extern const size_t protocol_count;

/* NULL for a name that is none. */
const struct protocol *protocol_named(const char *name);

void smtp_run(struct connection *c);
void pop3_run(struct connection *c);
void imap_run(struct connection *c);

#endif
