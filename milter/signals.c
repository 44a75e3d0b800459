/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "policy/base/bug.h"

/* Set once, by libmilter's thread. */
static atomic_bool libmilter_is_deaf;

static void
signals_set(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGHUP);
	(void)sigaddset(set, SIGTERM);
	(void)sigaddset(set, SIGINT);
	(void)sigaddset(set, SIGUSR1);
}

void
signals_block(void)
{
	sigset_t set;

	signals_set(&set);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		bug("signals: can't block");
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error like a full disk */
}

int
signals_next(uint32_t timeout_ms)
{
	const struct timespec timeout = { timeout_ms / 1000, (long)(timeout_ms % 1000) * 1000000 };
	sigset_t set;
	int sig;

	signals_set(&set);
	do
		sig = timeout_ms == SIGNALS_WAIT ? sigwaitinfo(&set, NULL)
						 : sigtimedwait(&set, NULL, &timeout);
	while (sig < 0 && errno == EINTR);
	return sig < 0 ? 0 : sig;
}

/*
 * Instead of libc's, for libmilter alone. smfi_main() starts a thread that waits in sigwait() for
 * SIGHUP, SIGTERM and SIGINT and takes each as the order to stop at once: SIGHUP would end the
 * daemon (OpenDMARC issue 322), and SIGTERM would free sessions that are being served (its pool
 * controller closes them all while workers run). Two threads waiting for the same signal get it by
 * chance, and there is no call to tell libmilter to leave signals alone. So its thread waits here,
 * for nothing, and signals_next(), which does not use sigwait(), is the only one to hear. Where
 * this did not take, signals_libmilter_is_deaf() tells, and the daemon does not start.
 */
int
sigwait(const sigset_t *restrict set, int *restrict sig)
{
	(void)set;
	*sig = 0;
	atomic_store(&libmilter_is_deaf, true);
	for (;;)
		(void)pause();
}

bool
signals_libmilter_is_deaf(uint32_t timeout_ms)
{
	const struct timespec tick = { 0, 1000000 };

	for (uint32_t ms = 0; !atomic_load(&libmilter_is_deaf) && ms < timeout_ms; ms++)
		(void)nanosleep(&tick, NULL);
	return atomic_load(&libmilter_is_deaf);
}
