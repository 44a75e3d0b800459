/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         front - what speaks the milter protocol with the MTA
 * DESCRIPTION  The only front so far is libmilter (front_libmilter.c). It turns callbacks into
 *              session_*() and struct mta into the library's calls; it decides nothing.
 * BUGS         One a process: libmilter keeps its state in globals.
 */
#ifndef ASSAY_FRONT_H
#define ASSAY_FRONT_H

#include "milter/service.h"

/*
 * Open the listening socket, as who we are now (before privileges are dropped). address as in the
 * configuration. slot and traffic are borrowed for the life of the process; nothing is asked of
 * slot before front_run(). 0, or -1: libmilter has logged why.
 */
int front_open(
    struct service_slot *slot, struct traffic *traffic, const char *address, uint32_t timeout_s);

/* Serve. Does not return while all is well: 0 or -1 then, the listener is gone. */
int front_run(void);

#endif
