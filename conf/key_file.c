/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/base/bug.h"

/* NULL, or what is wrong with who may read or change it. */
static const char *
check_rights(struct arena *a, const struct stat *st, uid_t uid, gid_t gid)
{
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (st->st_uid != 0 && st->st_uid != uid)
		return arena_printf(
		    a, "belongs to user %u, who is neither root nor us", (unsigned)st->st_uid);
	if ((st->st_mode & (S_IRWXO | S_IWGRP)) != 0)
		return arena_printf(a, "has mode %04o: others could read or change it; chmod 0600",
		    (unsigned)(st->st_mode & 07777));
	if ((st->st_mode & S_IRGRP) != 0 && st->st_gid != 0 && st->st_gid != gid)
		return arena_printf(a,
		    "has mode %04o: group %u, which is neither root's nor ours, could read it; "
		    "chmod 0600",
		    (unsigned)(st->st_mode & 07777), (unsigned)st->st_gid);
	return NULL;
}

/* Up to size bytes. -1 with errno set. */
static ssize_t
read_all(int fd, char *bytes, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, bytes + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static struct private_key *
read_key(const struct crypto *c, int fd, const char **why_r)
{
	static const size_t size = PRIVATE_KEY_FILE_BYTES + 1;
	char *bytes = heap_alloc(1, size);
	ssize_t len = read_all(fd, bytes, size);
	struct private_key *k = NULL;

	if (len < 0)
		*why_r = strerror(errno);
	else
		k = private_key_read(c, slice_of(bytes, (size_t)len), why_r);
	explicit_bzero(bytes, size);
	free(bytes);
	return k;
}

int
key_file_open(struct arena *a, const char *path, uid_t uid, gid_t gid, const char **error_r)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *why;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		why = strerror(errno);
	else
		why = check_rights(a, &st, uid, gid);
	if (why == NULL)
		return fd;
	*error_r = arena_printf(a, "%s: %s", path, why);
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

struct private_key *
key_file_read(struct arena *a, const struct crypto *c, const char *path, uid_t uid, gid_t gid,
    const char **error_r)
{
	int fd = key_file_open(a, path, uid, gid, error_r);
	struct private_key *k;
	const char *why = "?";

	if (fd < 0)
		return NULL;
	k = read_key(c, fd, &why);
	(void)close(fd);
	if (k == NULL)
		*error_r = arena_printf(a, "%s: %s", path, why);
	return k;
}
