/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/milter_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX (1024u * 1024)

static int fail(struct milter_client *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int
fail(struct milter_client *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(c->error, sizeof(c->error), fmt, ap);
	va_end(ap);
	return -1;
}

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* ---- connection ---- */

static uint64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int
wait_for(struct milter_client *c, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = c->fd, .events = events };

	for (;;) {
		uint64_t now = now_ms();
		int n = poll(&p, 1, now >= deadline ? 0 : (int)(deadline - now));

		if (n > 0)
			return 0;
		if (n == 0)
			return fail(c, "timed out");
		if (errno != EINTR)
			return fail(c, "poll: %s", strerror(errno));
	}
}

/* A Unix socket whose queue is full says EAGAIN, and can't be waited for: tried again. */
static int
connect_to(struct milter_client *c, const struct sockaddr *sa, socklen_t len)
{
	uint64_t deadline = now_ms() + c->timeout_ms;
	int error = 0;
	socklen_t error_len = sizeof(error);

	c->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return fail(c, "socket: %s", strerror(errno));
	while (connect(c->fd, sa, len) != 0) {
		if (errno == EINPROGRESS) {
			if (wait_for(c, POLLOUT, deadline) != 0)
				return -1;
			(void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &error_len);
			return error == 0 ? 0 : fail(c, "connect: %s", strerror(error));
		}
		if (errno != EAGAIN && errno != EINTR)
			return fail(c, "connect: %s", strerror(errno));
		if (now_ms() >= deadline)
			return fail(c, "connect: timed out");
		(void)poll(NULL, 0, 10);
	}
	return 0;
}

static int
open_unix(struct milter_client *c, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sun.sun_path))
		return fail(c, "path too long");
	memcpy(sun.sun_path, path, strlen(path) + 1);
	return connect_to(c, (const struct sockaddr *)&sun, sizeof(sun));
}

static int
open_inet(struct milter_client *c, const char *port_at_host)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	const char *at = strchr(port_at_host, '@');
	long port = strtol(port_at_host, NULL, 10);

	if (at == NULL || port < 1 || port > 65535 ||
	    inet_pton(AF_INET, at + 1, &sin.sin_addr) != 1)
		return fail(c, "bad address %s", port_at_host);
	sin.sin_port = htons((uint16_t)port);
	return connect_to(c, (const struct sockaddr *)&sin, sizeof(sin));
}

int
milter_open(struct milter_client *c, const char *address, uint32_t timeout_ms)
{
	*c = (struct milter_client){ .fd = -1, .timeout_ms = timeout_ms };
	if (strncmp(address, "unix:", 5) == 0)
		return open_unix(c, address + 5);
	if (strncmp(address, "inet:", 5) == 0)
		return open_inet(c, address + 5);
	return fail(c, "bad address %s", address);
}

void
milter_attach(struct milter_client *c, int fd, uint32_t timeout_ms)
{
	*c = (struct milter_client){ .fd = fd, .timeout_ms = timeout_ms };
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void
forget_edits(struct milter_client *c)
{
	for (size_t i = 0; i < c->edit_count; i++) {
		free(c->edits[i].name);
		free(c->edits[i].value);
		free(c->edits[i].args);
	}
	free(c->edits);
	c->edits = NULL;
	c->edit_count = c->edit_bytes = 0;
	c->at_end = false;
	c->progress_count = 0;
	c->reply[0] = '\0';
	c->skipping = false;
}

void
milter_close(struct milter_client *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	forget_edits(c);
	for (size_t i = 0; i < MILTER_STAGES; i++) {
		free(c->macros[i]);
		c->macros[i] = NULL;
	}
}

/* ---- bytes ---- */

int
milter_send_raw(struct milter_client *c, const void *bytes, size_t len)
{
	uint64_t deadline = now_ms() + c->timeout_ms;
	const char *p = bytes;

	while (len > 0) {
		ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			if (wait_for(c, POLLOUT, deadline) != 0)
				return -1;
		} else if (errno != EINTR) {
			return fail(c, "send: %s", strerror(errno));
		}
	}
	return 0;
}

int
milter_send(struct milter_client *c, char command, const void *data, size_t len)
{
	uint32_t size = htonl((uint32_t)(len + 1));
	char *packet = must(malloc(len + 5));
	int rc;

	memcpy(packet, &size, 4);
	packet[4] = command;
	if (len > 0)
		memcpy(packet + 5, data, len);
	rc = milter_send_raw(c, packet, len + 5);
	free(packet);
	return rc;
}

static int
receive(struct milter_client *c, void *bytes, size_t len, uint64_t deadline)
{
	char *p = bytes;

	while (len > 0) {
		ssize_t n;

		if (wait_for(c, POLLIN, deadline) != 0)
			return -1;
		n = recv(c->fd, p, len, 0);
		if (n == 0)
			return fail(c, "closed by the filter");
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return fail(c, "recv: %s", strerror(errno));
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

size_t
milter_receive_all(struct milter_client *c, void *bytes, size_t max)
{
	uint64_t deadline = now_ms() + c->timeout_ms;
	size_t len = 0;

	while (len < max) {
		ssize_t n;

		if (wait_for(c, POLLIN, deadline) != 0)
			return MILTER_NO_END;
		n = recv(c->fd, (char *)bytes + len, max - len, 0);
		/* A peer that closes with our bytes unread resets the connection. */
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return len;
		if (n < 0) {
			(void)fail(c, "recv: %s", strerror(errno));
			return MILTER_NO_END;
		}
		len += (size_t)n;
	}
	(void)fail(c, "more than %zu bytes", max);
	return MILTER_NO_END;
}

size_t
milter_without_progress(void *bytes, size_t len)
{
	unsigned char *p = bytes;
	size_t kept = 0, at = 0;

	while (len - at > 4) {
		uint32_t size;
		size_t whole;

		memcpy(&size, p + at, 4);
		whole = (size_t)ntohl(size) + 4;
		if (whole > len - at)
			break;
		if (size == 0 || p[at + 4] != 'p') {
			memmove(p + kept, p + at, whole);
			kept += whole;
		}
		at += whole;
	}
	memmove(p + kept, p + at, len - at);
	return kept + len - at;
}

/* One packet: command, and data with a NUL behind; the caller frees *data_r. */
static int
receive_packet(struct milter_client *c, char *command, char **data_r, size_t *len_r)
{
	uint64_t deadline = now_ms() + c->timeout_ms;
	uint32_t size;
	char *data;

	if (receive(c, &size, 4, deadline) != 0)
		return -1;
	size = ntohl(size);
	if (size < 1 || size > PACKET_MAX)
		return fail(c, "packet of %u bytes", size);
	data = must(calloc(1, size));
	if (receive(c, command, 1, deadline) != 0 || receive(c, data, size - 1, deadline) != 0) {
		free(data);
		return -1;
	}
	*data_r = data;
	*len_r = size - 1;
	return 0;
}

/* ---- what the filter says ---- */

/* The text at *at, which moves behind its NUL; NULL when there is no NUL. */
static const char *
take_text(const char *data, size_t len, size_t *at)
{
	const char *text = data + *at, *end;

	if (*at >= len)
		return NULL;
	end = memchr(text, '\0', len - *at);
	if (end == NULL)
		return NULL;
	*at += (size_t)(end - text) + 1;
	return text;
}

static uint32_t
get_u32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return ntohl(v);
}

/* What a filter can ask for at the end of a message. */
static const struct edit_row {
	char command;
	enum milter_edit_kind kind;
	uint32_t action; /* under which it is negotiated */
	bool index, name, args, bytes;
} edit_rows[] = {
	{ 'h', MILTER_EDIT_ADD, MILTER_ADD_HEADERS, .name = true },
	{ 'i', MILTER_EDIT_INSERT, MILTER_ADD_HEADERS, .index = true, .name = true },
	{ 'm', MILTER_EDIT_CHANGE, MILTER_CHANGE_HEADERS, .index = true, .name = true },
	{ 'q', MILTER_EDIT_QUARANTINE, MILTER_QUARANTINE, .name = false },
	{ '+', MILTER_EDIT_ADD_RCPT, MILTER_ADD_RCPT, .name = false },
	{ '2', MILTER_EDIT_ADD_RCPT, MILTER_ADD_RCPT_ARGS, .args = true },
	{ '-', MILTER_EDIT_DELETE_RCPT, MILTER_DELETE_RCPT, .name = false },
	{ 'e', MILTER_EDIT_SENDER, MILTER_CHANGE_SENDER, .args = true },
	{ 'b', MILTER_EDIT_BODY, MILTER_CHANGE_BODY, .bytes = true },
};

static const struct edit_row *
edit_row(char command)
{
	for (size_t i = 0; i < sizeof(edit_rows) / sizeof(edit_rows[0]); i++)
		if (edit_rows[i].command == command)
			return &edit_rows[i];
	return NULL;
}

/* A copy with a NUL behind; NULL stays NULL. */
static char *
copy(const char *text, size_t len)
{
	char *p;

	if (text == NULL)
		return NULL;
	p = must(malloc(len + 1));
	memcpy(p, text, len);
	p[len] = '\0';
	return p;
}

static int
read_edit(struct milter_client *c, const struct edit_row *row, const char *data, size_t len)
{
	struct milter_edit e = { .kind = row->kind, .kind_byte = row->command };
	const char *name = NULL, *value = data, *args = NULL;
	size_t at = row->index ? 4 : 0;

	if (len < at)
		return fail(c, "short '%c'", row->command);
	if (row->index)
		e.index = get_u32(data);
	if (row->bytes) {
		e.value_len = at = len;
	} else {
		name = row->name ? take_text(data, len, &at) : NULL;
		value = take_text(data, len, &at);
		args = row->args ? take_text(data, len, &at) : NULL;
		if ((row->name && name == NULL) || value == NULL || at != len)
			return fail(c, "malformed '%c'", row->command);
		e.value_len = strlen(value);
	}
	e.name = copy(name, name == NULL ? 0 : strlen(name));
	e.value = copy(value, e.value_len);
	e.args = copy(args, args == NULL ? 0 : strlen(args));
	c->edits = must(realloc(c->edits, (c->edit_count + 1) * sizeof(e)));
	c->edits[c->edit_count++] = e;
	c->edit_bytes += len;
	return 0;
}

static int
note_edit(struct milter_client *c, const struct edit_row *row, const char *data, size_t len)
{
	if (!c->at_end)
		return fail(c, "'%c' before the end of a message", row->command);
	if ((c->actions & row->action) == 0)
		return fail(c, "'%c' was not negotiated", row->command);
	if (c->edit_count == MILTER_EDITS_MAX || len > MILTER_EDIT_BYTES_MAX - c->edit_bytes)
		return fail(c, "too many edits");
	return read_edit(c, row, data, len);
}

/* Is it an answer that ends the wait? Else it was taken note of. -1: nonsense. */
static int
take_packet(struct milter_client *c, char command, const char *data, size_t len)
{
	const struct edit_row *row = edit_row(command);

	if (row != NULL)
		return note_edit(c, row, data, len);
	switch (command) {
	case 'p': /* progress */
		c->progress_count++;
		return 0;
	case 'y':
		if (len == 0 || data[len - 1] != '\0')
			return fail(c, "reply without end");
		(void)snprintf(c->reply, sizeof(c->reply), "%s", data);
		return 1;
	case 's':
		c->skipping = true;
		return 1;
	case 'a':
	case 'c':
	case 'd':
	case 'f':
	case 'r':
	case 't':
	case '4':
		return 1;
	default:
		return fail(c, "unknown answer 0x%02x", (unsigned)(unsigned char)command);
	}
}

int
milter_wait(struct milter_client *c)
{
	for (;;) {
		char command, *data;
		size_t len;
		int rc;

		if (receive_packet(c, &command, &data, &len) != 0)
			return -1;
		rc = take_packet(c, command, data, len);
		free(data);
		if (rc != 0)
			return rc < 0 ? -1 : command;
	}
}

/* ---- commands ---- */

static int
command(struct milter_client *c, char cmd, const void *data, size_t len, uint32_t no_step,
    uint32_t no_reply)
{
	if ((c->steps & no_step) != 0)
		return MILTER_NO_ANSWER;
	if (milter_send(c, cmd, data, len) != 0)
		return -1;
	return (c->steps & no_reply) != 0 ? MILTER_NO_ANSWER : milter_wait(c);
}

static int
text_command(
    struct milter_client *c, char cmd, const char *text, uint32_t no_step, uint32_t no_reply)
{
	return command(c, cmd, text, strlen(text) + 1, no_step, no_reply);
}

static int
read_macro_lists(struct milter_client *c, const char *data, size_t len, size_t at)
{
	while (at < len) {
		uint32_t stage;
		const char *list;

		if (len - at < 4)
			return fail(c, "malformed macro list");
		stage = get_u32(data + at);
		at += 4;
		list = take_text(data, len, &at);
		if (list == NULL || stage >= MILTER_STAGES)
			return fail(c, "malformed macro list");
		free(c->macros[stage]);
		c->macros[stage] = must(strdup(list));
	}
	return 0;
}

int
milter_negotiate(struct milter_client *c, uint32_t version, uint32_t actions, uint32_t steps)
{
	const uint32_t offer[3] = { htonl(version), htonl(actions), htonl(steps) };
	char cmd, *data;
	size_t len;
	int rc = 0;

	if (milter_send(c, 'O', offer, sizeof(offer)) != 0 ||
	    receive_packet(c, &cmd, &data, &len) != 0)
		return -1;
	if (cmd != 'O' || len < 12) {
		rc = fail(c, "no negotiation");
	} else {
		c->version = get_u32(data);
		c->actions = get_u32(data + 4);
		c->steps = get_u32(data + 8);
		if (c->version > version || (c->actions & ~actions) != 0 ||
		    (c->steps & ~steps) != 0)
			rc = fail(c, "more taken than offered");
		else
			rc = read_macro_lists(c, data, len, 12);
	}
	free(data);
	return rc;
}

int
milter_macros(struct milter_client *c, char cmd, const char *const *names_values)
{
	char data[8192];
	size_t at = 0;

	data[at++] = cmd;
	for (; *names_values != NULL; names_values++) {
		size_t len = strlen(*names_values) + 1;

		if (at + len > sizeof(data))
			return fail(c, "macros too long");
		memcpy(data + at, *names_values, len);
		at += len;
	}
	return milter_send(c, 'D', data, at);
}

int
milter_connect(struct milter_client *c, const char *host, const char *ip)
{
	char data[2048];
	size_t at = strlen(host) + 1;
	char family = ip == NULL ? 'U' : ip[0] == '/' ? 'L' : strchr(ip, ':') != NULL ? '6' : '4';

	if (at + 3 + (ip == NULL ? 0 : strlen(ip) + 1) > sizeof(data))
		return fail(c, "host too long");
	memcpy(data, host, at);
	data[at++] = family;
	if (ip != NULL) {
		data[at++] = 0x30;
		data[at++] = 0x39;
		memcpy(data + at, ip, strlen(ip) + 1);
		at += strlen(ip) + 1;
	}
	return command(c, 'C', data, at, MILTER_NO_CONNECT, MILTER_NR_CONNECT);
}

int
milter_helo(struct milter_client *c, const char *helo)
{
	return text_command(c, 'H', helo, MILTER_NO_HELO, MILTER_NR_HELO);
}

int
milter_mail(struct milter_client *c, const char *path)
{
	forget_edits(c);
	return text_command(c, 'M', path, MILTER_NO_MAIL, MILTER_NR_MAIL);
}

int
milter_rcpt(struct milter_client *c, const char *path)
{
	return text_command(c, 'R', path, MILTER_NO_RCPT, MILTER_NR_RCPT);
}

int
milter_data(struct milter_client *c)
{
	return c->version < 4 ? MILTER_NO_ANSWER
			      : command(c, 'T', NULL, 0, MILTER_NO_DATA, MILTER_NR_DATA);
}

int
milter_unknown(struct milter_client *c, const char *line)
{
	return c->version < 3 ? MILTER_NO_ANSWER
			      : text_command(c, 'U', line, MILTER_NO_UNKNOWN, MILTER_NR_UNKNOWN);
}

int
milter_header(struct milter_client *c, const char *name, const char *value)
{
	size_t nlen = strlen(name) + 1, vlen;
	char *data;
	int rc;

	if ((c->steps & MILTER_LEADSPC) == 0 && value[0] == ' ')
		value++;
	vlen = strlen(value) + 1;
	data = must(malloc(nlen + vlen));
	memcpy(data, name, nlen);
	memcpy(data + nlen, value, vlen);
	rc = command(c, 'L', data, nlen + vlen, MILTER_NO_HEADERS, MILTER_NR_HEADER);
	free(data);
	return rc;
}

int
milter_eoh(struct milter_client *c)
{
	return command(c, 'N', NULL, 0, MILTER_NO_EOH, MILTER_NR_EOH);
}

int
milter_body(struct milter_client *c, const char *bytes, size_t len)
{
	if (c->skipping)
		return MILTER_NO_ANSWER;
	return command(c, 'B', bytes, len, MILTER_NO_BODY, MILTER_NR_BODY);
}

int
milter_send_eom(struct milter_client *c)
{
	c->at_end = true;
	return milter_send(c, 'E', NULL, 0);
}

int
milter_eom(struct milter_client *c)
{
	int answer = milter_send_eom(c) != 0 ? -1 : milter_wait(c);

	c->at_end = false;
	return answer;
}

int
milter_abort(struct milter_client *c)
{
	return milter_send(c, 'A', NULL, 0);
}

int
milter_quit(struct milter_client *c)
{
	return milter_send(c, 'Q', NULL, 0);
}

int
milter_quit_new_connection(struct milter_client *c)
{
	return milter_send(c, 'K', NULL, 0);
}

const struct milter_edit *
milter_find_edit(
    const struct milter_client *c, enum milter_edit_kind kind, const char *name, size_t n)
{
	for (size_t i = 0; i < c->edit_count; i++) {
		const struct milter_edit *e = &c->edits[i];

		if (e->kind == kind &&
		    (name == NULL || (e->name != NULL && strcasecmp(e->name, name) == 0)) &&
		    n-- == 0)
			return e;
	}
	return NULL;
}
