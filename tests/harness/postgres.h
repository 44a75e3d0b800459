/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         postgres - a real PostgreSQL for a test
 * DESCRIPTION  A cluster of its own in a folder, on a free port of 127.0.0.1, as user postgres
 * where we are root (the server won't run as root). It can be stopped, crashed, and made silent:
 * SIGSTOP to all its processes, so that connections stay and nobody answers. Faults end the test.
 */
#ifndef ASSAY_POSTGRES_H
#define ASSAY_POSTGRES_H

#include "tests/harness/child.h"

struct postgres {
	char folder[128];
	char programs[128]; /* /usr/lib/postgresql/15/bin */
	char conninfo[256]; /* for libpq */
	uint16_t port;
	struct child server;
};

/* Is there one on this machine? */
bool postgres_installed(void);

/* Makes the cluster below folder, and starts it. */
void postgres_open(struct postgres *p, const char *folder);
void postgres_close(struct postgres *p);

void postgres_start(struct postgres *p);
void postgres_stop(struct postgres *p);	 /* clients are sent away */
void postgres_crash(struct postgres *p); /* as if killed; the cluster recovers at the next start */
void postgres_silence(struct postgres *p, bool silent);

#endif
