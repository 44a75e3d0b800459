/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         listener - the socket that MTAs connect to
 * DESCRIPTION  Addresses as libmilter takes them: "unix:/path" or "local:/path",
 *              "inet:port@host", "inet6:port@host".
 */
#ifndef ASSAY_LISTENER_H
#define ASSAY_LISTENER_H

/* A listening descriptor that never blocks, or -1 with *error_r set (static or errno text). */
int listener_open(const char *address, const char **error_r);

/* The next connection, which never blocks either, or -1 with errno. */
int listener_accept(int listener);

#endif
