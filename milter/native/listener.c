/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/native/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "milter/socket_file.h"
#include "policy/base/slice.h"

#define PORT_TEXT_BYTES 6
#define HOST_TEXT_BYTES 256

static int
listen_at(int family, const struct sockaddr *address, socklen_t len, const char **error_r)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;

	if (fd >= 0 &&
	    (family == AF_UNIX || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0) &&
	    bind(fd, address, len) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	*error_r = strerror(errno);
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static int
listen_unix(const char *path, const char **error_r)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sun.sun_path)) {
		*error_r = "the path is too long for a Unix socket";
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);
	return listen_at(AF_UNIX, (const struct sockaddr *)&sun, sizeof(sun), error_r);
}

static bool
copy_text(char *out, size_t size, struct slice text)
{
	if (text.len == 0 || text.len >= size)
		return false;
	memcpy(out, text.p, text.len);
	out[text.len] = '\0';
	return true;
}

/* "port@host" */
static int
listen_inet(int family, struct slice where, const char **error_r)
{
	const struct addrinfo hints = {
		.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE
	};
	char port[PORT_TEXT_BYTES], host[HOST_TEXT_BYTES];
	size_t at = slice_find(where, '@');
	struct addrinfo *found = NULL;
	int fd, rc;

	if (at == SLICE_NONE || !copy_text(port, sizeof(port), slice_sub(where, 0, at)) ||
	    !copy_text(host, sizeof(host), slice_from(where, at + 1))) {
		*error_r = "no port@host";
		return -1;
	}
	rc = getaddrinfo(host, port, &hints, &found);
	if (rc != 0) {
		*error_r = gai_strerror(rc);
		return -1;
	}
	fd = listen_at(family, found->ai_addr, found->ai_addrlen, error_r);
	freeaddrinfo(found);
	return fd;
}

int
listener_open(const char *address, const char **error_r)
{
	const char *path = socket_file_path(address);
	struct slice text = slice_str(address);

	if (path != NULL)
		return listen_unix(path, error_r);
	if (slice_starts_nocase(text, SLICE("inet:")))
		return listen_inet(AF_INET, slice_from(text, 5), error_r);
	if (slice_starts_nocase(text, SLICE("inet6:")))
		return listen_inet(AF_INET6, slice_from(text, 6), error_r);
	*error_r = "no address of a socket";
	return -1;
}

int
listener_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	const int on = 1;

	/* An answer is one write: nothing is gained by holding it back. Not for Unix sockets. */
	if (fd >= 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}
