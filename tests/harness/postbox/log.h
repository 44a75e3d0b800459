/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         log - lines on standard error for whoever runs a test
 * DESCRIPTION  One write(2) a line, so that threads do not mix. What a peer said goes through
 *              arena_printable() first. log_debug() speaks only with --verbose.
 */
#ifndef POSTBOX_LOG_H
#define POSTBOX_LOG_H

struct connection;

/* c: may be NULL; adds "smtp[17] 127.0.0.1: " in front. MT: any thread. */
void log_line(const struct connection *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void log_debug(const struct connection *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
