/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         front - what speaks the milter protocol with the MTA
 * DESCRIPTION  A table of calls; it turns commands into session_*() and struct mta into what the
 *              MTA understands, and decides nothing. Neither session nor engine knows which front
 *              it runs on.
 *
 *              libmilter (front_libmilter.c)  Sendmail's own library
 *              native (native/)               the protocol itself, by a few threads with an event
 *                                             loop each
 * BUGS         One front a process, opened once: libmilter keeps its state in globals.
 */
#ifndef ASSAY_FRONT_H
#define ASSAY_FRONT_H

#include "milter/service.h"

struct front {
	const char *name;
	/*
	 * Open the listening socket, as who we are now (before privileges are dropped). address as
	 * in the configuration. slot and traffic are borrowed for the life of the process; nothing
	 * is asked of slot before run(). 0, or -1: why is in errno, or the front has logged it.
	 */
	int (*open)(struct service_slot *slot, struct traffic *traffic, const char *address,
	    uint32_t timeout_s);
	/* Serve. Returns when it is stopped, or -1: the listener is gone, or there are no threads.
	 */
	int (*run)(void);
	/* Once run() was called in another thread: NULL, or why it can't serve, after wait_ms. */
	const char *(*trouble)(uint32_t wait_ms);
	/*
	 * Take no new connection, close those without a message, finish the others. True: run()
	 * returns once all are closed; false: it does not.
	 */
	bool (*stop)(void);
};

extern const struct front front_libmilter;
extern const struct front front_native;

#endif
