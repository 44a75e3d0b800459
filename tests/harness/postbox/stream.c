/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/postbox/stream.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "policy/base/bug.h"
#include "tests/harness/postbox/limits.h"

struct stream {
	int fd;
	uint32_t timeout_ms;
	uint64_t deadline_ms;	   /* of the call that is under way */
	enum stream_status broken; /* of a write that failed; OK: none has */
	struct tls_session *tls;
	struct tls_facts facts;
	const char *error;

	size_t in_start, in_end; /* what has come in and was not read yet */
	size_t out_len;
	char in[POSTBOX_BUFFER_BYTES];
	char out[POSTBOX_BUFFER_BYTES];
};

ENUMTAB_WORDS(stream_status_text, enum stream_status, STREAM_STATUSES)

static uint64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
deadline_start(struct stream *s)
{
	s->deadline_ms = now_ms() + s->timeout_ms;
}

/* poll(2) until deadline, through signals; its result, and 0 when the time is over. */
static int
poll_until(struct pollfd *fds, nfds_t count, uint64_t deadline_ms)
{
	for (;;) {
		uint64_t now = now_ms();
		uint64_t left = now >= deadline_ms ? 0 : deadline_ms - now;
		int ready = poll(fds, count, left > INT32_MAX ? INT32_MAX : (int)left);

		if (ready != -1 || errno != EINTR)
			return ready;
	}
}

static enum stream_status
wait_for(struct stream *s, short events)
{
	struct pollfd p = { .fd = s->fd, .events = events };

	switch (poll_until(&p, 1, s->deadline_ms)) {
	case 0:
		return STREAM_TIMEOUT;
	case -1:
		s->error = "poll failed";
		return STREAM_ERROR;
	}
	return STREAM_OK; /* or an error on the socket, which the next call will find */
}

/* ---- opening and closing ---- */

struct stream *
stream_new(int fd, uint32_t timeout_ms)
{
	struct stream *s = heap_alloc(1, sizeof(*s));
	int on = 1;

	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	/* Buffering is ours; Nagle's would only hold replies back. Fails on a Unix-domain socket.
	 */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	s->fd = fd;
	s->timeout_ms = timeout_ms;
	s->error = "";
	return s;
}

void
stream_free(struct stream **s)
{
	if (*s == NULL)
		return;
	(void)stream_flush(*s);
	tls_session_free(&(*s)->tls);
	(void)close((*s)->fd);
	free(*s);
	*s = NULL;
}

/* A connecting socket becomes a stream, or is closed. */
static struct stream *
finish_connect(struct arena *a, int fd, const struct sockaddr *sa, socklen_t len,
    uint32_t timeout_ms, const char **error_r)
{
	struct stream *s = stream_new(fd, timeout_ms);
	int error = 0;
	socklen_t error_len = sizeof(error);

	if (connect(fd, sa, len) == -1)
		error = errno;
	if (error == EINPROGRESS) {
		deadline_start(s);
		if (wait_for(s, POLLOUT) == STREAM_TIMEOUT)
			error = ETIMEDOUT;
		else
			(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len);
	}
	if (error == 0)
		return s;
	*error_r = arena_printf(a, "connect: %s", strerror(error));
	stream_free(&s);
	return NULL;
}

/* An address in the form of the system; its length. */
static socklen_t
to_sockaddr(const struct ip_address *ip, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	memset(out, 0, sizeof(*out));
	if (ip->family == IP_V4) {
		memcpy(&v4.sin_addr, ip->bytes, sizeof(v4.sin_addr));
		memcpy(out, &v4, sizeof(v4));
		return sizeof(v4);
	}
	memcpy(&v6.sin6_addr, ip->bytes, sizeof(v6.sin6_addr));
	memcpy(out, &v6, sizeof(v6));
	return sizeof(v6);
}

struct stream *
stream_connect(struct arena *a, const struct ip_address *peer, uint16_t port,
    const struct ip_address *from, uint32_t timeout_ms, const char **error_r)
{
	struct sockaddr_storage to, source;
	socklen_t len = to_sockaddr(peer, port, &to), source_len;
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1) {
		*error_r = arena_printf(a, "socket: %s", strerror(errno));
		return NULL;
	}
	if (from != NULL && from->family == peer->family) {
		source_len = to_sockaddr(from, 0, &source);
		if (bind(fd, (const struct sockaddr *)&source, source_len) == -1) {
			*error_r = arena_printf(a, "bind: %s", strerror(errno));
			(void)close(fd);
			return NULL;
		}
	}
	return finish_connect(a, fd, (const struct sockaddr *)&to, len, timeout_ms, error_r);
}

struct stream *
stream_connect_unix(struct arena *a, const char *path, uint32_t timeout_ms, const char **error_r)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd;

	if (len >= sizeof(un.sun_path)) {
		*error_r = "path of the socket is too long";
		return NULL;
	}
	memcpy(un.sun_path, path, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1) {
		*error_r = arena_printf(a, "socket: %s", strerror(errno));
		return NULL;
	}
	return finish_connect(a, fd, (const struct sockaddr *)&un, sizeof(un), timeout_ms, error_r);
}

void
stream_set_timeout(struct stream *s, uint32_t timeout_ms)
{
	s->timeout_ms = timeout_ms;
}

void
stream_shutdown(struct stream *s)
{
	(void)shutdown(s->fd, SHUT_RDWR);
}

void
stream_shutdown_input(struct stream *s)
{
	(void)shutdown(s->fd, SHUT_RD);
}

/* ---- the socket, in the clear or not: one attempt, then what to wait for ---- */

static enum tls_want
plain_result(struct stream *s, ssize_t n, enum tls_want again, size_t *done)
{
	if (n > 0) {
		*done = (size_t)n;
		return TLS_DONE;
	}
	if (n == 0)
		return TLS_CLOSED;
	if (errno == EAGAIN || errno == EINTR)
		return again;
	if (errno == ECONNRESET || errno == EPIPE)
		return TLS_CLOSED;
	s->error = "socket error";
	return TLS_FAILED;
}

static enum tls_want
try_read(struct stream *s, char *p, size_t len, size_t *done)
{
	if (s->tls != NULL)
		return tls_read(s->tls, p, len, done);
	return plain_result(s, recv(s->fd, p, len, 0), TLS_WANT_READ, done);
}

static enum tls_want
try_write(struct stream *s, const char *p, size_t len, size_t *done)
{
	if (s->tls != NULL)
		return tls_write(s->tls, p, len, done);
	return plain_result(s, send(s->fd, p, len, MSG_NOSIGNAL), TLS_WANT_WRITE, done);
}

/* OK: try again. */
static enum stream_status
satisfy(struct stream *s, enum tls_want want)
{
	switch (want) {
	case TLS_DONE:
		return STREAM_OK;
	case TLS_WANT_READ:
		return wait_for(s, POLLIN);
	case TLS_WANT_WRITE:
		return wait_for(s, POLLOUT);
	case TLS_CLOSED:
		return STREAM_EOF;
	case TLS_FAILED:
		if (s->tls != NULL)
			s->error = tls_error(s->tls);
		return STREAM_ERROR;
	}
	bug("satisfy: %d", (int)want);
}

/* ---- writing ---- */

/* Everything that is buffered goes out, within the deadline that runs. */
static enum stream_status
drain(struct stream *s)
{
	size_t sent = 0;

	while (s->broken == STREAM_OK && sent < s->out_len) {
		size_t n = 0;
		enum tls_want want = try_write(s, s->out + sent, s->out_len - sent, &n);

		if (want == TLS_DONE)
			sent += n;
		else
			s->broken = satisfy(s, want);
	}
	s->out_len = 0;
	if (s->broken == STREAM_EOF) { /* nobody reads what we write */
		s->error = "peer closed the connection";
		s->broken = STREAM_ERROR;
	}
	return s->broken;
}

enum stream_status
stream_flush(struct stream *s)
{
	deadline_start(s);
	return drain(s);
}

void
stream_write(struct stream *s, struct slice bytes)
{
	while (bytes.len > 0 && s->broken == STREAM_OK) {
		size_t n = sizeof(s->out) - s->out_len;

		if (n > bytes.len)
			n = bytes.len;
		memcpy(s->out + s->out_len, bytes.p, n);
		s->out_len += n;
		bytes = slice_from(bytes, n);
		if (s->out_len == sizeof(s->out))
			(void)stream_flush(s);
	}
}

void
stream_vprintf(struct stream *s, const char *fmt, va_list ap)
{
	char text[POSTBOX_BUFFER_BYTES];
	int len = vsnprintf(text, sizeof(text), fmt, ap);

	if (len < 0)
		bug("stream_vprintf: %s", fmt);
	stream_write(
	    s, slice_of(text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1));
}

void
stream_printf(struct stream *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	stream_vprintf(s, fmt, ap);
	va_end(ap);
}

/* ---- reading ---- */

/* At least one byte more in the buffer, which has room for it. */
static enum stream_status
fill(struct stream *s)
{
	if (s->out_len > 0)
		(void)drain(s);
	for (;;) {
		enum stream_status status = s->broken;
		enum tls_want want;
		size_t n = 0;

		if (status != STREAM_OK)
			return status;
		want = try_read(s, s->in + s->in_end, sizeof(s->in) - s->in_end, &n);
		if (want == TLS_DONE) {
			s->in_end += n;
			return STREAM_OK;
		}
		status = satisfy(s, want);
		if (status != STREAM_OK)
			return status;
	}
}

/* Read away what is left of a line that was too long. */
static enum stream_status
skip_line(struct stream *s)
{
	for (;;) {
		struct slice have = slice_of(s->in + s->in_start, s->in_end - s->in_start);
		size_t lf = slice_find(have, '\n');
		enum stream_status status;

		if (lf != SLICE_NONE) {
			s->in_start += lf + 1;
			return STREAM_TOO_LONG;
		}
		/* The beginning of the line stays where it is: the caller was promised it. */
		s->in_end = s->in_start;
		status = fill(s);
		if (status != STREAM_OK)
			return status;
	}
}

/* text: all of a line but its LF. */
static enum stream_status
line_ended(struct slice text, struct slice *line)
{
	size_t cr = slice_find(text, '\r');

	if (text.len > 0 && text.p[text.len - 1] == '\r') {
		*line = slice_sub(text, 0, text.len - 1);
		return cr == line->len ? STREAM_OK : STREAM_BARE;
	}
	*line = text;
	return STREAM_BARE;
}

enum stream_status
stream_line(struct stream *s, size_t max_bytes, struct slice *line)
{
	size_t seen = 0;

	/* The beginning of a line that is too long and one byte of its rest must fit. */
	if (max_bytes >= sizeof(s->in))
		max_bytes = sizeof(s->in) - 1;
	deadline_start(s);
	memmove(s->in, s->in + s->in_start, s->in_end - s->in_start);
	s->in_end -= s->in_start;
	s->in_start = 0;
	for (;;) {
		struct slice have = slice_of(s->in, s->in_end);
		size_t lf = slice_find(slice_from(have, seen), '\n');
		enum stream_status status;

		if (lf != SLICE_NONE && seen + lf < max_bytes) {
			s->in_start = seen + lf + 1;
			return line_ended(slice_sub(have, 0, seen + lf), line);
		}
		if (have.len >= max_bytes) {
			*line = slice_sub(have, 0, max_bytes);
			s->in_start = max_bytes;
			return skip_line(s);
		}
		seen = have.len;
		status = fill(s);
		if (status != STREAM_OK)
			return status;
	}
}

enum stream_status
stream_read(struct stream *s, void *p, size_t len)
{
	char *to = p;

	deadline_start(s);
	while (len > 0) {
		size_t n = stream_buffered(s);

		if (n == 0) {
			enum stream_status status;

			s->in_start = s->in_end = 0;
			status = fill(s);
			if (status != STREAM_OK)
				return status;
			continue;
		}
		if (n > len)
			n = len;
		memcpy(to, s->in + s->in_start, n);
		s->in_start += n;
		to += n;
		len -= n;
	}
	return STREAM_OK;
}

size_t
stream_buffered(const struct stream *s)
{
	return s->in_end - s->in_start;
}

enum stream_wait
stream_wait(struct stream *s, int other_fd, uint32_t timeout_ms)
{
	struct pollfd fds[2] = {
		{ .fd = s->fd, .events = POLLIN },
		{ .fd = other_fd, .events = POLLIN }, /* poll(2) passes over -1 */
	};

	if (stream_flush(s) != STREAM_OK || stream_buffered(s) > 0 ||
	    (s->tls != NULL && tls_pending(s->tls) > 0))
		return STREAM_WAIT_INPUT;
	if (poll_until(fds, 2, now_ms() + timeout_ms) == 0)
		return STREAM_WAIT_TIMEOUT;
	return fds[0].revents != 0 || fds[1].revents == 0 ? STREAM_WAIT_INPUT : STREAM_WAIT_OTHER;
}

/* ---- TLS ---- */

static enum stream_status
handshake(struct stream *s, const struct tls_context *tls, const char *server_name)
{
	enum stream_status status = stream_flush(s);

	if (status == STREAM_OK && stream_buffered(s) > 0) {
		s->error = "bytes in the clear before the TLS handshake";
		status = STREAM_ERROR;
	}
	if (status == STREAM_OK && s->tls != NULL)
		bug("TLS within TLS");
	if (status == STREAM_OK)
		s->tls = tls_session_new(tls, s->fd, server_name);
	while (status == STREAM_OK) {
		enum tls_want want = tls_handshake(s->tls, &s->facts);

		if (want == TLS_DONE)
			return STREAM_OK;
		status = satisfy(s, want);
	}
	/* Neither side can tell any more what the other would take for TLS. */
	s->broken = STREAM_ERROR;
	return status;
}

enum stream_status
stream_tls_accept(struct stream *s, const struct tls_context *tls)
{
	return handshake(s, tls, NULL);
}

enum stream_status
stream_tls_connect(struct stream *s, const struct tls_context *tls, const char *server_name)
{
	return handshake(s, tls, server_name);
}

const struct tls_facts *
stream_tls(const struct stream *s)
{
	return s->tls == NULL || s->facts.version[0] == '\0' ? NULL : &s->facts;
}

const char *
stream_error(const struct stream *s)
{
	return s->error;
}
