/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The native front: listener, loops and threads put together. One a process, as the other front;
 * its state is static for that reason, and written before there are threads.
 */
#include "milter/front.h"

#include <errno.h>
#include <malloc.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "milter/log.h"
#include "milter/native/listener.h"
#include "milter/native/loop.h"

#define MALLOC_ARENAS 2 /* glibc: else a heap for nearly every thread that ever waited */

static struct conversation_home home;
static struct loops loops = { .listener = -1, .stop_event = -1 };

static int
native_open(
    struct service_slot *slot, struct traffic *traffic, const char *address, uint32_t timeout_s)
{
	const char *why = "?";

	home = (struct conversation_home){ slot, traffic };
	loops.home = &home;
	loops.timeout_ms = (uint64_t)timeout_s * 1000;
	loops.stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loops.listener = listener_open(address, &why);
	if (loops.listener < 0) {
		log_line(LOG_LEVEL_ERROR, "socket %s: %s", address, why);
		return -1;
	}
	return loops.stop_event < 0 ? -1 : 0;
}

static size_t
processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (n < 1)
		return 1;
	return n < LIMIT_MILTER_LOOPS ? (size_t)n : LIMIT_MILTER_LOOPS;
}

/* All loops, with a thread for each; 0, or -1 with errno. */
static int
start_loops(void)
{
	size_t wanted = processors();

	(void)mallopt(M_ARENA_MAX, MALLOC_ARENAS);
	loops.team = team_new(loop_lead);
	for (size_t i = 0; i < wanted; i++)
		if (loop_add(&loops) != 0)
			return -1;
	for (size_t i = 0; i < wanted; i++)
		if (!team_add(loops.team, loops.list[i]))
			return -1;
	return 0;
}

static int
native_run(void)
{
	int rc = start_loops();

	if (rc != 0) {
		log_line(LOG_LEVEL_ERROR, "can't start threads");
		loops_stop(&loops);
	}
	team_wait(&loops.team);
	/* Listener and event go with the process: who told us to stop may still have them in use.
	 */
	loops_free(&loops);
	return rc;
}

/* The socket is open, and who connects before the threads are there waits in its queue. */
static const char *
native_trouble(uint32_t wait_ms)
{
	(void)wait_ms;
	return NULL;
}

static bool
native_stop(void)
{
	loops_stop(&loops);
	return true;
}

const struct front front_native = {
	.name = "native",
	.open = native_open,
	.run = native_run,
	.trouble = native_trouble,
	.stop = native_stop,
};
