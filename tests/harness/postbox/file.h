/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         file - files that outlive a kill
 * DIAGNOSTICS  -1: logged with the path and the system's reason.
 */
#ifndef POSTBOX_FILE_H
#define POSTBOX_FILE_H

#include "policy/base/arena.h"

/* Log that what, done to path, has failed with errno; -1. */
int file_failed(const char *what, const char *path);

/* Write, sync and close fd, whatever happens. path: for the log. 0 or -1. */
int file_write_out(int fd, const char *path, struct slice bytes);

/* Replace the file path by text: written as temporary (of the same directory or one beside it),
 * synced, renamed. The directory is the caller's to sync. 0 or -1. */
int file_replace(const char *path, const char *temporary, struct slice text);

/* Make the names in a directory last. 0 or -1. */
int file_sync_directory(const char *path);

int file_make_directory(const char *path); /* there already is fine; 0 or -1 */

/* The whole file as arena memory; empty when there is none. */
struct slice file_read(struct arena *a, const char *path);

#endif
