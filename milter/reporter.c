/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/reporter.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "milter/log.h"

#define PAUSE_FIRST_S	1
#define PAUSE_LONGEST_S 300
#define LONG_RUN_S	300 /* who ran for so long is started again at once */
#define STOP_WAIT_MS	5000
#define TICK_MS		50
#define STATUS_CONFIG	78 /* EX_CONFIG of sysexits.h */

struct reporter {
	char *program;
	const char *conf_file;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Guarded by lock. */
	bool stopping, reloaded;
	pid_t pid; /* 0: not running */
};

static int64_t
now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec;
}

/* ---- the child ---- */

static int
spawn(const struct reporter *r, int in, pid_t *pid_r)
{
	char *const argv[] = { (char *)(uintptr_t)r->program, (char *)(uintptr_t) "report",
		(char *)(uintptr_t) "run", (char *)(uintptr_t) "--until-eof",
		(char *)(uintptr_t) "--config", (char *)(uintptr_t)r->conf_file, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int rc;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	(void)posix_spawn_file_actions_init(&files);
	(void)posix_spawnattr_init(&attributes);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setsigdefault(&attributes, &all);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	(void)posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	/* libmilter does not mark its sockets: a child must not keep ours open. */
	(void)posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	rc = posix_spawn(pid_r, r->program, &files, &attributes, argv, environ);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&files);
	return rc;
}

/* What it ended with, -1 when a signal did it, or it could not be started. */
static int
run_once(struct reporter *r)
{
	int pipe_ends[2], status = 0, rc;
	pid_t pid = 0;

	if (pipe2(pipe_ends, O_CLOEXEC) != 0) {
		log_line(LOG_LEVEL_ERROR, "reports: no pipe: %s", strerror(errno));
		return -1;
	}
	pthread_mutex_lock(&r->lock);
	rc = r->stopping ? ECANCELED : spawn(r, pipe_ends[0], &pid);
	r->pid = rc == 0 ? pid : 0;
	pthread_mutex_unlock(&r->lock);
	(void)close(pipe_ends[0]);
	if (rc == 0) {
		log_line(LOG_LEVEL_INFO, "reports: %s report run started, pid=%ld", r->program,
		    (long)pid);
		/* It stays there, for kill(), until we let it go. */
		while (waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT) != 0 &&
		    errno == EINTR)
			;
		pthread_mutex_lock(&r->lock);
		r->pid = 0;
		(void)waitpid(pid, &status, 0);
		pthread_mutex_unlock(&r->lock);
	} else if (rc != ECANCELED) {
		log_line(LOG_LEVEL_ERROR, "reports: %s: %s", r->program, strerror(rc));
	}
	(void)close(pipe_ends[1]);
	return rc == 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- the thread ---- */

/* Until pause_s is over, or a reload, or the end. False: the end. */
static bool
rest(struct reporter *r, int64_t pause_s, bool only_reload)
{
	struct timespec until;
	bool goes_on;
	int rc = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)pause_s;
	pthread_mutex_lock(&r->lock);
	while (!r->stopping && !r->reloaded && rc == 0)
		rc = only_reload ? pthread_cond_wait(&r->changed, &r->lock)
				 : pthread_cond_timedwait(&r->changed, &r->lock, &until);
	goes_on = !r->stopping;
	r->reloaded = false;
	pthread_mutex_unlock(&r->lock);
	return goes_on;
}

static void *
keep_running(void *arg)
{
	struct reporter *r = arg;
	int64_t pause_s = PAUSE_FIRST_S;

	for (;;) {
		int64_t began = now_s();
		int status = run_once(r);
		bool configured = status != STATUS_CONFIG;

		if (now_s() - began >= LONG_RUN_S)
			pause_s = PAUSE_FIRST_S;
		if (!configured)
			log_line(LOG_LEVEL_WARNING,
			    "reports: nothing is sent with this configuration, see assay report "
			    "list");
		else if (status > 0)
			log_line(LOG_LEVEL_WARNING, "reports: it ended with status %d", status);
		if (!rest(r, pause_s, !configured))
			return NULL;
		pause_s = pause_s * 2 < PAUSE_LONGEST_S ? pause_s * 2 : PAUSE_LONGEST_S;
	}
}

struct reporter *
reporter_start(const char *program, const char *conf_file)
{
	struct reporter *r = heap_alloc(1, sizeof(*r));
	pthread_condattr_t attributes;

	r->program = heap_copy(program);
	r->conf_file = conf_file;
	(void)pthread_mutex_init(&r->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&r->changed, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	if (pthread_create(&r->thread, NULL, keep_running, r) != 0) {
		log_line(LOG_LEVEL_ERROR, "reports: can't start a thread");
		free(r->program);
		free(r);
		return NULL;
	}
	return r;
}

/* The child, if any, is told; the thread is woken. */
static bool
tell(struct reporter *r, int number, bool stopping)
{
	bool running;

	pthread_mutex_lock(&r->lock);
	r->stopping |= stopping;
	r->reloaded = !stopping;
	running = r->pid != 0;
	if (running)
		(void)kill(r->pid, number);
	(void)pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	return running;
}

void
reporter_reload(struct reporter *r)
{
	if (r != NULL)
		(void)tell(r, SIGTERM, false);
}

void
reporter_stop(struct reporter **r)
{
	const struct timespec tick = { 0, TICK_MS * 1000000L };

	if (*r == NULL)
		return;
	for (int ms = 0; tell(*r, ms < STOP_WAIT_MS ? SIGTERM : SIGKILL, true); ms += TICK_MS)
		(void)nanosleep(&tick, NULL);
	(void)pthread_join((*r)->thread, NULL);
	(void)pthread_cond_destroy(&(*r)->changed);
	(void)pthread_mutex_destroy(&(*r)->lock);
	free((*r)->program);
	free(*r);
	*r = NULL;
}
