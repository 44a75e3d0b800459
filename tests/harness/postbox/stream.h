/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         stream - one connection's bytes, in the clear or over TLS, either side
 * DESCRIPTION  Blocking calls, each of which ends within the stream's timeout, however slowly the
 *              peer drips: the time is for the whole line or the whole count of bytes, not for one
 *              byte. The descriptor itself is non-blocking and poll(2) does the waiting.
 *
 *              Writing fills a buffer. It goes out when it is full, at stream_flush(), and before
 *              any read that would have to wait: replies to pipelined commands travel together
 *              with no help from the protocol. A failed write is remembered; every later write does
 *              nothing and every later read and flush says it.
 *
 *                  while ((status = stream_line(s, POSTBOX_SMTP_LINE_BYTES, &line)) == STREAM_OK)
 *                          stream_printf(s, "250 ok\r\n");
 * DIAGNOSTICS  enum stream_status. After EOF, TIMEOUT and ERROR the connection is of no more use
 *              (write a last line and leave); after TOO_LONG and BARE the next line can be read.
 * BUGS         MT: one thread at a time, but for stream_shutdown().
 */
#ifndef POSTBOX_STREAM_H
#define POSTBOX_STREAM_H

#include <stdarg.h>
#include <stdint.h>

#include "policy/base/arena.h"
#include "policy/base/ip.h"
#include "tests/harness/postbox/tls.h"

/* clang-format off */
#define STREAM_STATUSES(X) \
	X(STREAM_OK,       "ok") \
	X(STREAM_EOF,      "peer closed the connection") \
	X(STREAM_TIMEOUT,  "timed out") \
	X(STREAM_TOO_LONG, "line too long")		/* its end was skipped */ \
	X(STREAM_BARE,     "bare CR or LF") \
	X(STREAM_ERROR,    "connection failed")
/* clang-format on */

#include "policy/base/enumtab.h"
enum stream_status { STREAM_STATUSES(ENUMTAB_NAME) };
const char *stream_status_text(enum stream_status);

struct stream;

/* Takes the connected socket fd, which becomes non-blocking. */
struct stream *stream_new(int fd, uint32_t timeout_ms) __attribute__((returns_nonnull));
/* Flushes what can be, says goodbye to TLS, closes. *s becomes NULL; NULL is accepted. */
void stream_free(struct stream **s);

/*
 * A connection to a server, as a client. from: the address to come from, if it is of the same
 * family; NULL: any. NULL with *error_r set (arena text).
 */
struct stream *stream_connect(struct arena *a, const struct ip_address *peer, uint16_t port,
    const struct ip_address *from, uint32_t timeout_ms, const char **error_r);
/* The same to a Unix-domain socket (the milter). */
struct stream *stream_connect_unix(
    struct arena *a, const char *path, uint32_t timeout_ms, const char **error_r);

/* For the calls that follow. */
void stream_set_timeout(struct stream *s, uint32_t timeout_ms);

/*
 * Cut the connection: reads end with EOF, writes fail. MT: any thread, while s is alive.
 */
void stream_shutdown(struct stream *s);
/* The same for reading only: an answer that is under way still goes out. */
void stream_shutdown_input(struct stream *s);

/* ---- reading ---- */

/*
 * The next line, without its line end; valid until the next read of any kind. A line ends at LF.
 *   OK        it ended in CR LF, and no other CR stands in it
 *   BARE      it ended in LF alone, or a CR stands elsewhere in it: *line is all but the final LF
 *             and a CR before that. Never the "." line of DATA, whatever it looks like (SMTP
 *             smuggling, RFC 5321 2.3.8).
 *   TOO_LONG  longer than max_bytes, line end included; *line is its beginning, the rest is gone
 *   EOF       the peer closed, even in the middle of a line: half a line is no line
 * max_bytes: at most POSTBOX_BUFFER_BYTES.
 */
enum stream_status stream_line(struct stream *s, size_t max_bytes, struct slice *line)
    __attribute__((warn_unused_result));

/* Exactly len bytes into p. The caller cuts a literal in pieces of POSTBOX_PIECE_BYTES or so and
 * each piece has the whole timeout. EOF when the peer closes before. */
enum stream_status stream_read(struct stream *s, void *p, size_t len)
    __attribute__((warn_unused_result));

/* Bytes that have come in and were not read yet; the buffer only, the socket is not asked. */
size_t stream_buffered(const struct stream *s);

/* ---- writing ---- */

void stream_write(struct stream *s, struct slice bytes);
/* The formatted text may be at most POSTBOX_BUFFER_BYTES; it is cut there. */
void stream_printf(struct stream *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void stream_vprintf(struct stream *s, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
/* OK, TIMEOUT or ERROR. */
enum stream_status stream_flush(struct stream *s);

/* ---- waiting for two things (IMAP IDLE) ---- */

enum stream_wait { STREAM_WAIT_INPUT, STREAM_WAIT_OTHER, STREAM_WAIT_TIMEOUT };

/*
 * Flush, then wait until the stream has something to read (or has ended: the next read says so), or
 * until other_fd is readable, or for timeout_ms. other_fd -1: none. Input goes first.
 */
enum stream_wait stream_wait(struct stream *s, int other_fd, uint32_t timeout_ms);

/* ---- TLS ---- */

/*
 * Flush, then shake hands as a server or as a client. ERROR when bytes are already buffered that
 * came in the clear: a man in the middle may have put commands there, to be obeyed as if they had
 * come encrypted (RFC 3207 section 5, CVE-2011-0411). Whatever fails: close the connection, nothing
 * can be said on it any more. tls is borrowed for the stream's life.
 * server_name: for SNI, and checked when tls was made to verify; NULL: neither.
 */
enum stream_status stream_tls_accept(struct stream *s, const struct tls_context *tls)
    __attribute__((warn_unused_result));
enum stream_status stream_tls_connect(struct stream *s, const struct tls_context *tls,
    const char *server_name) __attribute__((warn_unused_result));

/* NULL in the clear; otherwise valid as long as the stream. */
const struct tls_facts *stream_tls(const struct stream *s);

/* Why the last call failed, in more words than its status; "" when there are none. */
const char *stream_error(const struct stream *s);

#endif
