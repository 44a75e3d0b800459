/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/native/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "milter/log.h"
#include "milter/native/listener.h"

#define EVENTS		64   /* taken from the system at once */
#define TICK_MS		1000 /* how often deadlines are looked at */
#define STOP_TICK_MS	20
#define ACCEPTS		16   /* connections taken in one go */
#define ACCEPT_PAUSE_MS 1000 /* when there are too many */

struct loop {
	struct loops *all;
	int epoll;
	uint64_t tick_ms;   /* when the next is due; the leader's */
	uint64_t accept_ms; /* when we listen again; 0: we do; the leader's */
	bool heard_stop;    /* the leader's */
	atomic_size_t count;
	pthread_mutex_t lock; /* of the list and its links' `away`, next, prev */
	struct link *links;
};

/* ---- the epoll set ---- */

/* ptr: a link; the loop: its listener; all loops: the order to stop. */
static int
watch(struct loop *l, int op, int fd, uint32_t events, void *ptr)
{
	struct epoll_event e = { .events = events, .data.ptr = ptr };

	return epoll_ctl(l->epoll, op, fd, &e);
}

static int
watch_link(struct loop *l, int op, struct link *k, enum link_wish wish)
{
	return watch(l, op, k->fd, wish == LINK_WRITES ? EPOLLOUT : EPOLLIN, k);
}

static int
watch_listener(struct loop *l)
{
	/* Exclusive: one connection need not wake all loops. */
	return watch(l, EPOLL_CTL_ADD, l->all->listener, EPOLLIN | EPOLLEXCLUSIVE, l);
}

int
loop_add(struct loops *all)
{
	struct loop *l = heap_alloc(1, sizeof(*l));

	l->all = all;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (pthread_mutex_init(&l->lock, NULL) != 0)
		bug("loop: can't make a lock");
	all->list[all->count++] = l;
	if (l->epoll < 0 || watch_listener(l) != 0 ||
	    watch(l, EPOLL_CTL_ADD, all->stop_event, EPOLLIN, all) != 0)
		return -1;
	return 0;
}

/* ---- links ---- */

/* With the lock held. */
static void
unlink_link(struct loop *l, struct link *k)
{
	if (k->next != NULL)
		k->next->prev = k->prev;
	if (k->prev != NULL)
		k->prev->next = k->next;
	else
		l->links = k->next;
	k->next = k->prev = NULL;
}

/* Into the list and the set as one: from then on it is the leader's. 0, or -1: it is still ours. */
static int
enlist(struct loop *l, struct link *k)
{
	int rc;

	k->loop = l;
	(void)pthread_mutex_lock(&l->lock);
	k->next = l->links;
	if (k->next != NULL)
		k->next->prev = k;
	l->links = k;
	rc = watch_link(l, EPOLL_CTL_ADD, k, LINK_READS);
	if (rc == 0) {
		atomic_fetch_add(&l->count, 1);
		atomic_fetch_add(&l->all->links, 1);
	} else {
		unlink_link(l, k);
	}
	(void)pthread_mutex_unlock(&l->lock);
	return rc;
}

/* Its memory may not be used by a batch of events any more: only who serves it drops it. */
static void
drop(struct loop *l, struct link *k)
{
	(void)pthread_mutex_lock(&l->lock);
	unlink_link(l, k);
	(void)pthread_mutex_unlock(&l->lock);
	/* Closing it is not enough: a child that is being started (reporter.c) may have it as well,
	 * and the set would tell of it until that is gone. */
	(void)watch(l, EPOLL_CTL_DEL, k->fd, 0, NULL);
	link_free(&k);
	atomic_fetch_sub(&l->all->links, 1);
	/* Last: who sees 0 may end the loop. */
	atomic_fetch_sub(&l->count, 1);
}

static void
set_away(struct loop *l, struct link *k, bool away)
{
	(void)pthread_mutex_lock(&l->lock);
	k->away = away;
	(void)pthread_mutex_unlock(&l->lock);
}

/* ---- a turn ---- */

/* What the link wishes for now, told to the epoll set. */
static void
settle(struct loop *l, struct link *k, bool was_writing, enum link_wish wish)
{
	if (atomic_load_explicit(&l->all->stopping, memory_order_relaxed) && link_is_idle(k))
		wish = LINK_CLOSES;
	if (wish != LINK_CLOSES && was_writing != (wish == LINK_WRITES) &&
	    watch_link(l, EPOLL_CTL_MOD, k, wish) != 0)
		wish = LINK_CLOSES;
	if (wish == LINK_CLOSES)
		drop(l, k);
}

/* The log first: what is not in it has not been answered either, whatever becomes of us. */
static void
answer_all(struct loop *l, struct worker *w)
{
	log_flush();
	for (size_t i = 0; i < w->answered_count; i++)
		settle(l, w->answered[i], false, link_answer(w->answered[i], w));
	w->answered_count = 0;
}

static void
end_turn(struct loop *l, struct worker *w)
{
	answer_all(l, w);
	wire_output_clear(&w->output);
}

/* ---- sessions that wait ---- */

/* The session of a link is going to wait, maybe not for the first time in this go. */
static void
on_wait(void *ctx)
{
	struct link *k = ctx;
	struct worker *w = k->worker;
	struct loop *l = k->loop;

	answer_all(l, w); /* no MTA need wait for what has been said */
	link_flush(k, w);
	if (w->leads == NULL)
		return;
	(void)watch_link(l, EPOLL_CTL_DEL, k, LINK_READS);
	set_away(l, k, true);
	if (team_call(w->team, l)) {
		w->leads = NULL;
		return;
	}
	/* Too many threads: the loop waits with us. */
	set_away(l, k, false);
	if (watch_link(l, EPOLL_CTL_ADD, k, LINK_READS) != 0)
		k->broken = true;
}

static void
come_back(struct loop *l, struct worker *w, struct link *k)
{
	enum link_wish wish;
	bool is_back;

	log_flush();
	wish = link_answer(k, w);
	wire_output_clear(&w->output);
	if (atomic_load(&l->all->stopping) && link_is_idle(k))
		wish = LINK_CLOSES;
	if (wish == LINK_CLOSES) {
		drop(l, k);
		return;
	}
	/* As one: then it is the leader's. */
	(void)pthread_mutex_lock(&l->lock);
	k->away = watch_link(l, EPOLL_CTL_ADD, k, wish) != 0;
	is_back = !k->away;
	(void)pthread_mutex_unlock(&l->lock);
	if (is_back)
		return;
	log_line(LOG_LEVEL_ERROR, "connection closed: %s", strerror(errno));
	drop(l, k);
}

static void
serve(struct loop *l, struct worker *w, struct link *k)
{
	bool was_writing = k->unsent.len > 0;

	link_serve(k, w);
	if (w->leads == NULL)
		come_back(l, w, k);
	else if (k->answer_len == 0)
		settle(l, k, was_writing, link_answer(k, w));
	else
		w->answered[w->answered_count++] = k;
	if (w->answered_count == WORKER_TURN_LINKS)
		end_turn(l, w);
}

/* ---- new connections ---- */

static struct loop *
least_busy(const struct loops *all)
{
	struct loop *least = all->list[0];

	for (size_t i = 1; i < all->count; i++)
		if (atomic_load(&all->list[i]->count) < atomic_load(&least->count))
			least = all->list[i];
	return least;
}

static void
take_connection(struct loop *l, int fd, uint64_t now_ms)
{
	struct loop *target = least_busy(l->all);
	struct link *k = link_new(fd, l->all->home, l->all->timeout_ms, on_wait, now_ms);

	if (enlist(target, k) != 0) {
		log_line(LOG_LEVEL_ERROR, "connection closed: %s", strerror(errno));
		link_free(&k);
	}
}

/* Those that come now stay in the socket's queue for a while. */
static void
pause_accepting(struct loop *l, uint64_t now_ms, const char *why)
{
	log_line(LOG_LEVEL_WARNING, "no new connections for a second: %s", why);
	(void)watch(l, EPOLL_CTL_DEL, l->all->listener, 0, NULL);
	l->accept_ms = now_ms + ACCEPT_PAUSE_MS;
}

static void
accept_some(struct loop *l, uint64_t now_ms)
{
	for (int i = 0; i < ACCEPTS && !atomic_load(&l->all->stopping); i++) {
		int fd;

		if (atomic_load(&l->all->links) >= LIMIT_MILTER_CONNECTIONS) {
			pause_accepting(l, now_ms, "too many are open");
			return;
		}
		fd = listener_accept(l->all->listener);
		if (fd >= 0)
			take_connection(l, fd, now_ms);
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR && errno != ECONNABORTED) {
			pause_accepting(l, now_ms, strerror(errno));
			return;
		}
	}
}

/* ---- time, and the end ---- */

/* Links whose time is over, out of the list; the leader's alone from here on. */
static struct link *
find_overdue(struct loop *l, uint64_t now_ms)
{
	bool stopping = atomic_load(&l->all->stopping);
	struct link *overdue = NULL;

	(void)pthread_mutex_lock(&l->lock);
	for (struct link *k = l->links; k != NULL && overdue == NULL; k = k->next)
		if (!k->away && (k->deadline_ms <= now_ms || (stopping && link_is_idle(k))))
			overdue = k;
	(void)pthread_mutex_unlock(&l->lock);
	return overdue;
}

static void
tick(struct loop *l, uint64_t now_ms)
{
	bool stopping = atomic_load(&l->all->stopping);
	struct link *k;

	while ((k = find_overdue(l, now_ms)) != NULL) {
		if (!stopping)
			log_line(LOG_LEVEL_WARNING, "connection closed: the MTA was silent");
		drop(l, k);
	}
	if (l->accept_ms != 0 && l->accept_ms <= now_ms && !stopping) {
		l->accept_ms = 0;
		if (watch_listener(l) != 0)
			l->accept_ms = now_ms + ACCEPT_PAUSE_MS;
	}
	l->tick_ms = now_ms + TICK_MS;
}

/* The event stays for the other loops. */
static void
hear_stop(struct loop *l)
{
	(void)watch(l, EPOLL_CTL_DEL, l->all->stop_event, 0, NULL);
	(void)watch(l, EPOLL_CTL_DEL, l->all->listener, 0, NULL);
	l->heard_stop = true;
}

void
loops_stop(struct loops *all)
{
	atomic_store(&all->stopping, true);
	/* Who connects now is refused at once. */
	(void)shutdown(all->listener, SHUT_RDWR);
	if (eventfd_write(all->stop_event, 1) != 0)
		log_line(LOG_LEVEL_ERROR, "stop: %s", strerror(errno));
}

void
loops_free(struct loops *all)
{
	for (size_t i = 0; i < all->count; i++) {
		/* One that came as all ended. */
		while (all->list[i]->links != NULL)
			drop(all->list[i], all->list[i]->links);
		(void)close(all->list[i]->epoll);
		(void)pthread_mutex_destroy(&all->list[i]->lock);
		free(all->list[i]);
	}
	all->count = 0;
}

static void
handle(struct loop *l, struct worker *w, void *ptr)
{
	if (ptr == l->all)
		hear_stop(l);
	else if (ptr == l)
		accept_some(l, w->now_ms);
	else
		serve(l, w, ptr);
}

bool
loop_lead(void *loop, struct worker *w)
{
	struct loop *l = loop;
	struct epoll_event events[EVENTS];

	for (;;) {
		int n = epoll_wait(
		    l->epoll, events, EVENTS, l->heard_stop ? STOP_TICK_MS : TICK_MS);

		w->now_ms = link_clock_ms();
		for (int i = 0; i < n && w->leads != NULL; i++)
			handle(l, w, events[i].data.ptr);
		if (w->leads == NULL) {
			log_flush();
			return true;
		}
		end_turn(l, w);
		if (l->heard_stop || w->now_ms >= l->tick_ms)
			tick(l, w->now_ms);
		log_flush();
		if (l->heard_stop && atomic_load(&l->count) == 0)
			return false;
	}
}
