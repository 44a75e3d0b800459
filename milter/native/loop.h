/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         loop - an event loop and its connections
 * DESCRIPTION  Several loops take connections from one listener; each new one goes to the loop that
 *              has fewest, and stays there. A loop is led by one thread at a time (team.h).
 *
 *              A link whose session is going to wait leaves the epoll set, and its thread leaves
 *              the loop to another; it comes back when its input is worked off. What else the
 *              leader had been told of by then is told to the next one: events are by level.
 *
 *              What a leader was told of at once is a turn: first all of it is worked off, then the
 *              log is written, then the answers go out, which saves the log many writes and the
 *              MTA many awakenings. No answer waits for more than WORKER_TURN_LINKS messages, and
 *              none for a session that waits.
 *
 *              MT: a loop's lock guards the list of its links and their being away; a leaf.
 *              A link is touched by the leader, or while it is away by the thread that took it.
 */
#ifndef ASSAY_LOOP_H
#define ASSAY_LOOP_H

#include <stdatomic.h>

#include "milter/native/link.h"
#include "policy/base/limits.h"

struct loop;

struct loops { /* what they share */
	const struct conversation_home *home;
	struct team *team;
	int listener;
	int stop_event; /* eventfd */
	uint64_t timeout_ms;
	atomic_bool stopping;
	atomic_size_t links; /* of all */
	struct loop *list[LIMIT_MILTER_LOOPS];
	size_t count;
};

/* One more in the list; before any is led. 0, or -1 with errno. */
int loop_add(struct loops *all);

/* Serve until leadership is lost (true) or the loop has ended (false): stopping, and no link. */
bool loop_lead(void *loop, struct worker *w);

/* Take nothing new, end when the last link is gone. MT: any thread. */
void loops_stop(struct loops *all);

/* When none is led any more. */
void loops_free(struct loops *all);

#endif
