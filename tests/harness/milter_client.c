/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/milter_client.h"

#include <arpa/inet.h>
#include <errno.h>
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

static int
connect_to(struct milter_client *c, const struct sockaddr *sa, socklen_t len)
{
	c->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, sa, len) != 0)
		return fail(c, "connect: %s", strerror(errno));
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

static void
forget_edits(struct milter_client *c)
{
	for (size_t i = 0; i < c->edit_count; i++) {
		free(c->edits[i].name);
		free(c->edits[i].value);
	}
	free(c->edits);
	c->edits = NULL;
	c->edit_count = 0;
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
		if (n < 0)
			return fail(c, "recv: %s", strerror(errno));
		p += n;
		len -= (size_t)n;
	}
	return 0;
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

static int
note_edit(struct milter_client *c, char command, const char *data, size_t len)
{
	static const struct {
		char command;
		enum milter_edit_kind kind;
		bool index, name;
	} kinds[] = {
		{ 'h', MILTER_EDIT_ADD, false, true },
		{ 'i', MILTER_EDIT_INSERT, true, true },
		{ 'm', MILTER_EDIT_CHANGE, true, true },
		{ 'q', MILTER_EDIT_QUARANTINE, false, false },
	};
	struct milter_edit e = { .kind = MILTER_EDIT_OTHER, .kind_byte = command };
	const char *name = NULL, *value = "";
	size_t at = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].command != command)
			continue;
		e.kind = kinds[i].kind;
		if (kinds[i].index) {
			if (len < 4)
				return fail(c, "short '%c'", command);
			e.index = get_u32(data);
			at = 4;
		}
		name = kinds[i].name ? take_text(data, len, &at) : NULL;
		value = take_text(data, len, &at);
		if ((kinds[i].name && name == NULL) || value == NULL || at != len)
			return fail(c, "malformed '%c'", command);
	}
	if (c->edit_count == MILTER_EDITS_MAX)
		return fail(c, "too many edits");
	e.name = name == NULL ? NULL : must(strdup(name));
	e.value = must(strdup(value));
	c->edits = must(realloc(c->edits, (c->edit_count + 1) * sizeof(e)));
	c->edits[c->edit_count++] = e;
	return 0;
}

/* Is it an answer that ends the wait? Else it was taken note of. -1: nonsense. */
static int
take_packet(struct milter_client *c, char command, const char *data, size_t len)
{
	switch (command) {
	case 'p': /* progress */
		c->progress_count++;
		return 0;
	case 'h':
	case 'i':
	case 'm':
	case 'q':
	case '+':
	case '2':
	case '-':
	case 'b':
	case 'e':
		return note_edit(c, command, data, len) == 0 ? 0 : -1;
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
	return milter_send(c, 'E', NULL, 0);
}

int
milter_eom(struct milter_client *c)
{
	return milter_send_eom(c) != 0 ? -1 : milter_wait(c);
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
