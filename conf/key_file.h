/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         key_file - a private key from a file that only those may read who should
 * DESCRIPTION  The file must be a regular one, belong to root or to us, be readable by no other but
 *              its owner and perhaps one group (root's, or ours), and be writable by its owner
 *              alone.
 * DIAGNOSTICS  NULL and *error_r, arena text that begins with the path and says what to change.
 */
#ifndef ASSAY_KEY_FILE_H
#define ASSAY_KEY_FILE_H

#include <sys/types.h>

#include "policy/crypto/private_key.h"

/* The same checks for another secret. A descriptor to read from; -1 with *error_r set. */
int key_file_open(struct arena *a, const char *path, uid_t uid, gid_t gid, const char **error_r);

/* uid, gid: who "we" are, besides root. Heap object. Nothing of the file stays in memory but the
 * key. */
struct private_key *key_file_read(struct arena *a, const struct crypto *c, const char *path,
    uid_t uid, gid_t gid, const char **error_r);

#endif
