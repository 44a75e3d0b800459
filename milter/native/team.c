/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/native/team.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "policy/base/bug.h"
#include "policy/base/limits.h"

#define THREAD_STACK_BYTES (512 * 1024)
#define IDLE_KEPT	   2  /* threads without work that stay */
#define IDLE_S		   10 /* how long the others stay */

struct team {
	bool (*lead)(void *loop, struct worker *w);
	pthread_attr_t thread_attributes;
	pthread_mutex_t lock;		   /* of all below */
	pthread_cond_t wanted;		   /* a loop wants a leader, or all is over */
	pthread_cond_t gone;		   /* a thread has ended */
	void *orphans[LIMIT_MILTER_LOOPS]; /* loops without a leader */
	size_t orphan_count;
	size_t loops; /* that have not ended */
	size_t threads, idle;
};

struct team *
team_new(bool (*lead)(void *loop, struct worker *w))
{
	struct team *t = heap_alloc(1, sizeof(*t));

	t->lead = lead;
	if (pthread_mutex_init(&t->lock, NULL) != 0 || pthread_cond_init(&t->wanted, NULL) != 0 ||
	    pthread_cond_init(&t->gone, NULL) != 0 || pthread_attr_init(&t->thread_attributes) != 0)
		bug("team: can't make its locks");
	(void)pthread_attr_setdetachstate(&t->thread_attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&t->thread_attributes, THREAD_STACK_BYTES);
	return t;
}

/* ---- a thread ---- */

/* True: it is time for this thread to go. With lock held. */
static bool
sleep_idle(struct team *t)
{
	struct timespec until;
	int rc;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += IDLE_S;
	t->idle++;
	rc = pthread_cond_timedwait(&t->wanted, &t->lock, &until);
	t->idle--;
	return rc == ETIMEDOUT && t->orphan_count == 0 && t->idle >= IDLE_KEPT;
}

/* A loop to lead; NULL: none will come. With lock held. */
static void *
next_loop(struct team *t)
{
	while (t->orphan_count == 0)
		if (t->loops == 0 || sleep_idle(t))
			return NULL;
	return t->orphans[--t->orphan_count];
}

static void
loop_ended(struct team *t)
{
	if (--t->loops == 0)
		(void)pthread_cond_broadcast(&t->wanted);
}

static void *
run_worker(void *arg)
{
	struct team *t = arg;
	struct worker *w = heap_alloc(1, sizeof(*w));

	w->team = t;
	/* Not zeroed: pages that no message needs stay untouched. */
	w->input = malloc(WORKER_INPUT_BYTES + LOG_GATHERED_BYTES);
	if (w->input == NULL)
		out_of_memory(WORKER_INPUT_BYTES + LOG_GATHERED_BYTES);
	w->log = (struct log_gathered){ .text = w->input + WORKER_INPUT_BYTES,
		.size = LOG_GATHERED_BYTES };
	log_gather(&w->log);
	(void)pthread_mutex_lock(&t->lock);
	while ((w->leads = next_loop(t)) != NULL) {
		bool goes_on;

		(void)pthread_mutex_unlock(&t->lock);
		goes_on = t->lead(w->leads, w);
		(void)pthread_mutex_lock(&t->lock);
		if (!goes_on)
			loop_ended(t);
	}
	log_gather(NULL);
	wire_output_free(&w->output);
	free(w->input);
	free(w);
	t->threads--;
	(void)pthread_cond_signal(&t->gone);
	(void)pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* ---- the team ---- */

/* With lock held. */
static bool
start_thread(struct team *t)
{
	pthread_t thread;

	if (t->threads >= LIMIT_MILTER_THREADS ||
	    pthread_create(&thread, &t->thread_attributes, run_worker, t) != 0)
		return false;
	t->threads++;
	return true;
}

static bool
call_with_lock(struct team *t, void *loop)
{
	/* Those asleep, less the loops that they were woken for and have not taken yet. */
	if (t->idle <= t->orphan_count && !start_thread(t))
		return false;
	if (t->orphan_count == LIMIT_MILTER_LOOPS)
		bug("team: more orphans than loops");
	t->orphans[t->orphan_count++] = loop;
	(void)pthread_cond_signal(&t->wanted);
	return true;
}

bool
team_call(struct team *t, void *loop)
{
	bool called;

	(void)pthread_mutex_lock(&t->lock);
	called = call_with_lock(t, loop);
	(void)pthread_mutex_unlock(&t->lock);
	return called;
}

bool
team_add(struct team *t, void *loop)
{
	bool called;

	(void)pthread_mutex_lock(&t->lock);
	called = call_with_lock(t, loop);
	if (called)
		t->loops++;
	(void)pthread_mutex_unlock(&t->lock);
	return called;
}

void
team_wait(struct team **tp)
{
	struct team *t = *tp;

	*tp = NULL;
	(void)pthread_mutex_lock(&t->lock);
	while (t->threads > 0)
		(void)pthread_cond_wait(&t->gone, &t->lock);
	(void)pthread_mutex_unlock(&t->lock);
	(void)pthread_attr_destroy(&t->thread_attributes);
	(void)pthread_cond_destroy(&t->wanted);
	(void)pthread_cond_destroy(&t->gone);
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}
