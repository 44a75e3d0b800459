/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         dsn - bounces that come back (RFC 3464, RFC 6522)
 * DESCRIPTION  What a multipart/report of type delivery-status says, and the tokens (outbox.h) that
 *              are found where a mail server repeats what we sent: the address the bounce came
 *              to, its In-Reply-To and References, Original-Envelope-Id, and Message-ID of the
 *              message that is returned. Anybody may send a bounce (RFC 3464 4.1): only a token
 *              that the outbox knows binds it to one of our messages, nothing else in it is
 *              believed.
 *              One level of parts; nothing is decoded; no recursion.
 * DIAGNOSTICS  -1 and a static text: not such a message.
 */
#ifndef ASSAY_DSN_H
#define ASSAY_DSN_H

#include "policy/base/arena.h"

#define DSN_MAX_BYTES ((size_t)256 * 1024) /* what is behind is not looked at */
#define DSN_PARTS     16		   /* parts looked at; rest ignored */
#define DSN_GROUPS    64		   /* groups of fields in delivery-status; rest ignored */
#define DSN_TOKENS    32		   /* tokens kept; rest ignored */

struct dsn {
	bool failed;			 /* Action: failed, for a recipient (RFC 3464 2.3.3) */
	struct slice status;		 /* of that recipient, "5.1.1"; or empty */
	struct slice diagnostic;	 /* its Diagnostic-Code, else its Status; raw */
	struct slice tokens[DSN_TOKENS]; /* lower case */
	size_t token_count;
};

/* *out is arena memory. */
int dsn_read(struct arena *a, struct slice text, struct dsn *out, const char **why_r)
    __attribute__((warn_unused_result));

#endif
