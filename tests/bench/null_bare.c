/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         null_bare - the floor for a filter that speaks the protocol itself
 * SYNOPSIS     null_bare PATH
 * DESCRIPTION  One thread on epoll, a Unix socket, packets taken apart where they were read. It
 *              trusts its peer: what a real filter must check costs something, and is not the
 * floor.
 */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/base/bug.h"
#include "tests/bench/null_work.h"
#include "tests/harness/milter_client.h"

#define INPUT_BYTES (80 * 1024) /* more than the largest packet */
#define EVENTS	    64
#define STEPS                                                                                      \
	(MILTER_NR_CONNECT | MILTER_NR_HELO | MILTER_NR_MAIL | MILTER_NR_RCPT | MILTER_NR_HEADER | \
	    MILTER_NR_EOH | MILTER_NO_DATA | MILTER_NO_UNKNOWN | MILTER_CAN_SKIP | MILTER_LEADSPC)
#define ACTIONS (MILTER_ADD_HEADERS | MILTER_CHANGE_HEADERS | MILTER_QUARANTINE | MILTER_SET_MACROS)

/* The macro lists, one a stage. */
static const char *const macros[MILTER_STAGES] = { "", "", "{auth_type} {auth_authen}", "", "", "i",
	"" };

struct conn {
	int fd;
	struct null_message *message;
	size_t len;
	char input[INPUT_BYTES];
};

static void
answer(const struct conn *c, const void *data, size_t len)
{
	char packet[256];
	uint32_t size = htonl((uint32_t)len);

	memcpy(packet, &size, sizeof(size));
	memcpy(packet + 4, data, len);
	if (send(c->fd, packet, len + 4, MSG_NOSIGNAL) < 0)
		return; /* its end is seen when reading */
}

static void
answer_negotiation(const struct conn *c)
{
	const uint32_t fixed[3] = { htonl(6), htonl(ACTIONS), htonl(STEPS) };
	char data[256];
	size_t at = 0;

	data[at++] = 'O';
	memcpy(data + at, fixed, sizeof(fixed));
	at += sizeof(fixed);
	for (uint32_t i = 0; i < MILTER_STAGES; i++) {
		uint32_t stage = htonl(i);

		memcpy(data + at, &stage, sizeof(stage));
		at += sizeof(stage);
		memcpy(data + at, macros[i], strlen(macros[i]) + 1);
		at += strlen(macros[i]) + 1;
	}
	answer(c, data, at);
}

/* False: it is over. */
static bool
take_packet(struct conn *c, char command, const char *data, size_t len)
{
	switch (command) {
	case 'O':
		answer_negotiation(c);
		break;
	case 'B':
		null_message_body(c->message, data, len);
		answer(c, "c", 1);
		break;
	case 'E':
		null_message_end(c->message);
		answer(c, "c", 1);
		break;
	case 'Q':
		return false;
	default:
		break;
	}
	return true;
}

/* False: it is over. */
static bool
take_input(struct conn *c)
{
	ssize_t n = recv(c->fd, c->input + c->len, sizeof(c->input) - c->len, MSG_DONTWAIT);
	size_t at = 0;

	if (n <= 0)
		return false;
	c->len += (size_t)n;
	while (c->len - at >= 5) {
		uint32_t size;

		memcpy(&size, c->input + at, sizeof(size));
		size = ntohl(size);
		if (size == 0 || size > INPUT_BYTES - 4)
			return false;
		if (c->len - at < size + 4)
			break;
		if (!take_packet(c, c->input[at + 4], c->input + at + 5, size - 1))
			return false;
		at += size + 4;
	}
	c->len -= at;
	memmove(c->input, c->input + at, c->len);
	return true;
}

static void
accept_one(int epoll, int listener, const struct null_key *key)
{
	struct conn *c = heap_alloc(1, sizeof(*c));
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };

	c->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	c->message = null_message_new(key);
	if (c->fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
		bug("null_bare: accept");
}

static void
close_one(struct conn *c)
{
	(void)close(c->fd);
	null_message_free(&c->message);
	free(c);
}

static int
listen_on(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0 || listen(fd, 1024) != 0)
		bug("null_bare: %s", path);
	return fd;
}

int
main(int argc, char **argv)
{
	struct epoll_event events[EVENTS], event = { .events = EPOLLIN };
	struct null_key *key = null_key_new();
	int listener, epoll = epoll_create1(EPOLL_CLOEXEC);

	if (argc != 2) {
		(void)fprintf(stderr, "usage: null_bare PATH\n");
		return EXIT_FAILURE;
	}
	listener = listen_on(argv[1]);
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0)
		bug("null_bare: epoll");
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;

			if (c == NULL)
				accept_one(epoll, listener, key);
			else if (!take_input(c))
				close_one(c);
		}
	}
}
