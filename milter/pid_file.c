/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/pid_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int
pid_file_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	int rc;

	if (fd < 0)
		return -1;
	rc = fchmod(fd, 0644) == 0 && dprintf(fd, "%ld\n", (long)getpid()) > 0 ? 0 : -1;
	return close(fd) == 0 ? rc : -1;
}
