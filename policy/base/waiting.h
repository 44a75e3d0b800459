/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         waiting - who is told that a thread is going to sleep
 * DESCRIPTION  A front that serves many connections with few threads must know when a call into the
 *              engine is about to wait (for DNS, for a commit), so that another thread takes over
 *              meanwhile. Whoever waits calls begin() right before and end() right after it, with
 *              no lock held, on the thread that waits; nothing is called where the answer is
 *              already there.
 */
#ifndef ASSAY_WAITING_H
#define ASSAY_WAITING_H

#include <stddef.h>

struct waiting { /* zeroed: nobody wants to know */
	void (*begin)(void *ctx);
	void (*end)(void *ctx);
	void *ctx;
};

static inline void
waiting_begin(const struct waiting *w)
{
	if (w->begin != NULL)
		w->begin(w->ctx);
}

static inline void
waiting_end(const struct waiting *w)
{
	if (w->end != NULL)
		w->end(w->ctx);
}

#endif
