/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         team - the threads of the native front
 * DESCRIPTION  Each event loop is led by one thread at a time. The leader serves what its loop
 * finds by itself, so the common case costs no wake-up. When a call into the session is going to
 * wait, the leader gives its loop to a thread that has none, waits, finishes the one connection it
 * holds, and joins those without a loop. So there are as many threads as loops and waits under way,
 * at most LIMIT_MILTER_THREADS; beyond, a loop waits with its leader. Threads without work end
 * after a while, but for a few.
 *
 *              MT: all may be called from any thread. lock is a leaf.
 */
#ifndef ASSAY_TEAM_H
#define ASSAY_TEAM_H

#include <pthread.h>

#include "milter/log.h"
#include "milter/native/wire.h"

#define WORKER_INPUT_BYTES 65536
#define WORKER_TURN_LINKS  16 /* that are answered together */

struct team;
struct link;

struct worker { /* a thread; its own */
	struct team *team;
	void *leads; /* the loop it leads; NULL: none, any more */
	uint64_t now_ms;
	struct wire_output output; /* answers, those of one link behind those of another */
	struct link *answered[WORKER_TURN_LINKS]; /* whose answers have not been sent yet */
	size_t answered_count;
	struct log_gathered log;
	char *input; /* WORKER_INPUT_BYTES, and behind them the text of log */
};

/* lead() serves loop as long as w->leads is set. False: the loop has ended. */
struct team *team_new(bool (*lead)(void *loop, struct worker *w));

/* A new loop; at most LIMIT_MILTER_LOOPS. False: no thread can be had for it. */
bool team_add(struct team *t, void *loop);

/* Have somebody else lead that loop of the team. False: there are too many threads, or the system
 * has no more. */
bool team_call(struct team *t, void *loop);

/* Until every loop that was added has ended, and all threads but the caller's. Frees. */
void team_wait(struct team **t);

#endif
