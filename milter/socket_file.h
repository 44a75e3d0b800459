/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         socket_file - the file of a Unix socket
 * DESCRIPTION  libmilter opens the socket but leaves what a killed predecessor left lying, and its
 *              own file at the end. Addresses that are no Unix socket need nothing of this.
 */
#ifndef ASSAY_SOCKET_FILE_H
#define ASSAY_SOCKET_FILE_H

#include "milter/privileges.h"

/* The path in "unix:/path", "local:/path" or "/path"; NULL: another kind of address. */
const char *socket_file_path(const char *address);

/* Remove a socket that nobody listens on. 0, or -1 with *error_r: somebody does, it is no socket,
 * or it can't be removed. */
int socket_file_clear(const char *path, const char **error_r);

/* Once it is open: mode, and who may remove it. 0, or -1 with *error_r. */
int socket_file_hand_over(
    const char *path, mode_t mode, const struct identity *who, const char **error_r);

#endif
