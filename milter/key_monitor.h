/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         key_monitor - the processes that hold the private keys
 * DESCRIPTION  assayd reads what strangers send; its keys are therefore never in its memory. Before
 *              it gives up the rights it started with it forks the monitor, which keeps them, and
 *              which does one thing: whenever it is handed a socket, it forks a worker for it. The
 *              worker reads the configuration and the key files that are named there (by the rights
 *              of the monitor), becomes the unprivileged user, forbids itself all system calls but
 *              a few where the platform can, and signs digests that come over the socket
 *              (key_packet.h) until that is closed. A new worker is asked for at each start, each
 *              reload, and where one has died.
 *              assayd can ask for no file: which are read stands in the configuration.
 *              Both processes let signals pass and end when their sockets do, that is, with assayd.
 * DIAGNOSTICS  A worker that can't do its work says so over the socket and ends.
 */
#ifndef ASSAY_KEY_MONITOR_H
#define ASSAY_KEY_MONITOR_H

#include "milter/privileges.h"

struct key_monitor { /* MT: immutable */
	int fd;	     /* private; -1: it is not there */
	pid_t pid;
};

/* Before threads exist, and with the rights to read keys. conf_file is borrowed. who: whom workers
 * become. 0, or -1 with errno set. */
int key_monitor_start(struct key_monitor *m, const char *conf_file, const struct identity *who);
/* It ends, its workers go on as long as their sockets. */
void key_monitor_stop(struct key_monitor *m);

/* Have a worker at the other end of a socket. The socket, or -1. */
int key_monitor_ask(const struct key_monitor *m);

#endif
