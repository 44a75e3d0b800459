/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         key_worker - reads keys, then signs and does nothing else
 * DESCRIPTION  See key_monitor.h.
 */
#ifndef ASSAY_KEY_WORKER_H
#define ASSAY_KEY_WORKER_H

#include "milter/privileges.h"
#include "policy/crypto/crypto.h"

/* The life of a worker, in a process of its own. Returns its exit status. Takes socket. */
int key_worker_main(int socket, const char *conf_file, const struct identity *who);

/* Its last part: answer until the peer is gone or does not keep to the protocol. */
void key_worker_serve(int socket, const struct key_holder *holder);

#endif
