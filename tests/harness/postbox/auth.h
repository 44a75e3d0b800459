/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         auth - who may read which mail, and submit
 * DESCRIPTION  Users are a list from the command line. A user named NAME answers to NAME and to
 *              NAME@DOMAIN for every domain served. The SASL helpers decode what a client sends;
 *              the protocols do the talking.
 * DIAGNOSTICS  A wrong password and an unknown user give the same answer in the same time.
 */
#ifndef POSTBOX_AUTH_H
#define POSTBOX_AUTH_H

#include "policy/base/arena.h"

struct server;

struct user {
	struct slice name;
	struct slice password;
	struct store_account *account;
};

/* NULL unless the password is name's. */
const struct user *auth_check(
    const struct server *server, struct slice name, struct slice password);

/*
 * The user whom mail to local_part@domain goes to, NULL if there is none: case is ignored,
 * "name+detail" is name's. domain must be one that is served, or empty (then it is "postmaster"
 * or a bare name).
 */
const struct user *auth_recipient(
    const struct server *server, struct slice local_part, struct slice domain);
/* Is mail for domain delivered here? Any case, one final dot tolerated. */
bool auth_serves(const struct server *server, struct slice domain);

struct sasl_plain {
	struct slice authorize; /* whom to act as: must be empty or the same user */
	struct slice name;
	struct slice password;
};

/*
 * The response of SASL PLAIN (RFC 4616): base64 of [authorize] NUL name NUL password. "=" is the
 * empty one (RFC 4954 4). 0, or -1 when it is not that. Arena memory.
 */
int sasl_plain_decode(struct arena *a, struct slice base64, struct sasl_plain *out)
    __attribute__((warn_unused_result));
/* The same and auth_check(); acting as somebody else is refused. *malformed_r tells bad base64
 * (501) from a bad password (535). */
const struct user *sasl_plain_check(
    struct arena *a, const struct server *server, struct slice base64, bool *malformed_r);

/* SASL LOGIN: two prompts, and one decoded answer each. 0 or -1. */
#define SASL_LOGIN_NAME	    "VXNlcm5hbWU6" /* "Username:" */
#define SASL_LOGIN_PASSWORD "UGFzc3dvcmQ6" /* "Password:" */
int sasl_login_decode(struct arena *a, struct slice base64, struct slice *out)
    __attribute__((warn_unused_result));

/* What a client sends for PLAIN. */
struct slice sasl_plain_encode(struct arena *a, struct slice name, struct slice password);

#endif
