/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/postbox/file.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/postbox/log.h"

int
file_failed(const char *what, const char *path)
{
	log_line(NULL, "%s %s: %s", what, path, strerror(errno));
	return -1;
}

int
file_write_out(int fd, const char *path, struct slice bytes)
{
	int result = 0;

	while (bytes.len > 0 && result == 0) {
		ssize_t n = write(fd, bytes.p, bytes.len);

		if (n > 0)
			bytes = slice_from(bytes, (size_t)n);
		else if (n == 0 || errno != EINTR)
			result = file_failed("write", path);
	}
	if (result == 0 && fsync(fd) == -1)
		result = file_failed("fsync", path);
	if (close(fd) == -1 && result == 0)
		result = file_failed("close", path);
	return result;
}

int
file_replace(const char *path, const char *temporary, struct slice text)
{
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd == -1)
		return file_failed("open", temporary);
	if (file_write_out(fd, temporary, text) == -1)
		return -1;
	return rename(temporary, path) == -1 ? file_failed("rename", temporary) : 0;
}

int
file_sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result;

	if (fd == -1)
		return file_failed("open", path);
	result = fsync(fd);
	if (result == -1)
		(void)file_failed("fsync", path);
	(void)close(fd);
	return result;
}

int
file_make_directory(const char *path)
{
	return mkdir(path, 0700) == -1 && errno != EEXIST ? file_failed("mkdir", path) : 0;
}

struct slice
file_read(struct arena *a, const char *path)
{
	FILE *file = fopen(path, "re");
	struct stat st;
	char *text;
	size_t len;

	if (file == NULL || fstat(fileno(file), &st) == -1 || st.st_size < 0) {
		if (file != NULL)
			(void)fclose(file);
		return slice_of(NULL, 0);
	}
	text = arena_alloc(a, (size_t)st.st_size);
	len = fread(text, 1, (size_t)st.st_size, file);
	(void)fclose(file);
	return slice_of(text, len);
}
