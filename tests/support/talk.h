/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         talk - one conversation with a protocol of postbox, over a socket pair
 * DESCRIPTION  No port, no server thread but the one that runs the protocol: a fresh store with the
 *              users bob (password "secret") and carol ("other one"), and a script. A line of it is
 *
 *                  C: text         said to the server, CR LF added
 *                  R: text         said as it is; \r \n \t \\ are what they are in C
 *                  X: count text   text said count times, no line end
 *                  S: pattern      the next line must match; *** stands for anything
 *                  S* pattern      so must the first line from here on; those before are skipped
 *                  TLS             handshake now
 *                  MAIL: text      a message of text (escapes as above) arrives for bob
 *                  BOX: name n     bob's folder holds n messages
 *                  TEXT: name p    a line of the newest message in bob's folder matches pattern p
 *                  NOTEXT: name p  none does
 *                  EOF             the server has closed
 *                  SHUT            the client closes its side for writing
 */
#ifndef ASSAY_TEST_TALK_H
#define ASSAY_TEST_TALK_H

#include "tests/harness/postbox/server.h"

struct talk_options {
	void (*run)(struct connection *c);
	bool allow_plain_auth;
	size_t max_message_bytes; /* 0: that of limits.h */
	uint32_t timeout_ms;	  /* of the server; 0: those of limits.h */
	/* Whatever else the protocol wants set, before it runs; NULL: nothing. */
	void (*configure)(struct server *server, struct connection *c, void *ctx);
	void *ctx;
	bool submission;
};

/* Fails the test with name, line, expectation and what came. */
void talk_run(const char *name, const struct talk_options *options, const char *script);

#endif
