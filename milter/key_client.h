/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         key_client - assayd's side of the process that holds its keys
 * DESCRIPTION  One worker (key_monitor.h) for one configuration. Keys are numbered as dkim_keys of
 *              the configuration are. A worker that dies or does not answer is replaced: at once,
 *              and where that does not help, after a time that doubles up to a minute; a signature
 *              that was under way is tried once more with the new one. Until there is one, every
 *              signature fails.
 *              A key file that changed since the configuration was read is not used before a
 *              reload: its record, and perhaps its kind, would be another.
 * DIAGNOSTICS  What happens to workers is logged.
 */
#ifndef ASSAY_KEY_CLIENT_H
#define ASSAY_KEY_CLIENT_H

#include "conf/conf.h"
#include "milter/key_monitor.h"
#include "milter/outgoing.h"

struct key_client; /* MT: locked inside; the lock is taken last, and held while a worker signs */

/* Waits for the worker. conf and monitor are borrowed. NULL with *error_r set (heap text): a key
 * can't be read. */
struct key_client *key_client_open(
    const struct key_monitor *monitor, const struct conf *conf, char **error_r);
void key_client_close(struct key_client **c); /* *c becomes NULL; NULL is accepted */

/* Good as long as the client. */
const struct outgoing_keys *key_client_keys(const struct key_client *c);

#endif
