/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/socket_file.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "policy/base/slice.h"

const char *
socket_file_path(const char *address)
{
	struct slice text = slice_str(address);

	if (slice_starts_nocase(text, SLICE("unix:")))
		return address + 5;
	if (slice_starts_nocase(text, SLICE("local:")))
		return address + 6;
	return address[0] == '/' ? address : NULL;
}

/* Does somebody answer there? */
static bool
is_alive(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive = true;

	if (fd < 0 || strlen(path) >= sizeof(sun.sun_path))
		goto out; /* the bind will tell */
	memcpy(sun.sun_path, path, strlen(path) + 1);
	/* EAGAIN: somebody listens whose queue is full. */
	alive = connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0 ||
	    errno != ECONNREFUSED;
out:
	if (fd >= 0)
		(void)close(fd);
	return alive;
}

int
socket_file_clear(const char *path, const char **error_r)
{
	struct stat st;

	if (lstat(path, &st) != 0) {
		if (errno == ENOENT)
			return 0;
		*error_r = strerror(errno);
		return -1;
	}
	if (!S_ISSOCK(st.st_mode)) {
		*error_r = "exists and is no socket";
		return -1;
	}
	if (is_alive(path)) {
		*error_r = "another program listens there";
		return -1;
	}
	if (unlink(path) != 0) {
		*error_r = strerror(errno);
		return -1;
	}
	return 0;
}

int
socket_file_hand_over(
    const char *path, mode_t mode, const struct identity *who, const char **error_r)
{
	if ((who->wanted && lchown(path, who->uid, who->gid) != 0) || chmod(path, mode) != 0) {
		*error_r = strerror(errno);
		return -1;
	}
	return 0;
}
