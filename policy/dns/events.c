/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/dns/events.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/time.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unbound-event.h>
#include <unistd.h>

#include "policy/dns/internal.h"

#define READY_MAX 64 /* events taken from the system at one time */

TAILQ_HEAD(event_list, event);

/* One event of libunbound's: on a descriptor, with a time, or both. */
struct event {
	struct ub_event handle; /* first: all that the library knows */
	struct events *events;
	TAILQ_ENTRY(event) link;
	struct event_list *timers; /* the list it is in; NULL: no time is set */
	uint64_t due_ms;
	int fd; /* -1: none */
	short bits;
	bool watched;
	void (*call)(int fd, short bits, void *arg);
	void *arg;
};

struct events {
	struct ub_event_base base; /* first */
	int epoll, wake;
	/* By time, earliest first. What shall happen at once (the library puts off the sending of
	 * each query that way) has a list of its own: in the other it would be sorted in at the far
	 * end. */
	struct event_list now, later;
	struct epoll_event ready[READY_MAX];
	int ready_count; /* of which those before the one that is being served are done */
};

static struct event *
event_of(struct ub_event *handle)
{
	return (struct event *)handle;
}

/* ---- timers ---- */

static void
stop_timer(struct event *e)
{
	if (e->timers != NULL)
		TAILQ_REMOVE(e->timers, e, link);
	e->timers = NULL;
}

/* Sorted in from the end: most times are equally long. */
static void
start_timer(struct event *e, const struct timeval *tv)
{
	uint64_t length_ms = (uint64_t)tv->tv_sec * 1000 + ((uint64_t)tv->tv_usec + 999) / 1000;
	struct event *before;

	stop_timer(e);
	e->due_ms = dns_monotonic_ms() + length_ms;
	e->timers = length_ms == 0 ? &e->events->now : &e->events->later;
	before = TAILQ_LAST(e->timers, event_list);
	while (before != NULL && before->due_ms > e->due_ms)
		before = TAILQ_PREV(before, event_list, link);
	if (before == NULL)
		TAILQ_INSERT_HEAD(e->timers, e, link);
	else
		TAILQ_INSERT_AFTER(e->timers, before, e, link);
}

/* ---- descriptors ---- */

/* Its descriptor may be closed and given to another event within the same turn. */
static void
forget_ready(struct events *events, const struct event *e)
{
	for (int i = 0; i < events->ready_count; i++)
		if (events->ready[i].data.ptr == e)
			events->ready[i].data.ptr = NULL;
}

static void
unwatch(struct event *e)
{
	if (!e->watched)
		return;
	e->watched = false;
	(void)epoll_ctl(e->events->epoll, EPOLL_CTL_DEL, e->fd, NULL);
	forget_ready(e->events, e);
}

static int
watch(struct event *e)
{
	struct epoll_event event = { .data.ptr = e };

	unwatch(e);
	if (e->fd < 0 || (e->bits & (UB_EV_READ | UB_EV_WRITE)) == 0)
		return 0;
	if ((e->bits & UB_EV_READ) != 0)
		event.events |= EPOLLIN;
	if ((e->bits & UB_EV_WRITE) != 0)
		event.events |= EPOLLOUT;
	if (epoll_ctl(e->events->epoll, EPOLL_CTL_ADD, e->fd, &event) != 0)
		return -1;
	e->watched = true;
	return 0;
}

/* ---- the table; what it says of its functions is in unbound-event.h ---- */

static void
event_add_bits(struct ub_event *handle, short bits)
{
	event_of(handle)->bits |= bits;
}

static void
event_del_bits(struct ub_event *handle, short bits)
{
	event_of(handle)->bits &= (short)~bits;
}

static void
event_set_fd(struct ub_event *handle, int fd)
{
	event_of(handle)->fd = fd;
}

static int
event_del(struct ub_event *handle)
{
	struct event *e = event_of(handle);

	stop_timer(e);
	unwatch(e);
	return 0;
}

static void
event_free(struct ub_event *handle)
{
	(void)event_del(handle);
	free(event_of(handle));
}

static int
event_add(struct ub_event *handle, struct timeval *tv)
{
	struct event *e = event_of(handle);

	if (watch(e) != 0)
		return -1;
	if (tv != NULL)
		start_timer(e, tv);
	return 0;
}

static int
event_add_timer(struct ub_event *handle, struct ub_event_base *base,
    void (*call)(int, short, void *), void *arg, struct timeval *tv)
{
	struct event *e = event_of(handle);

	(void)base;
	(void)event_del(handle);
	e->fd = -1;
	e->bits = UB_EV_TIMEOUT;
	e->call = call;
	e->arg = arg;
	start_timer(e, tv);
	return 0;
}

static struct ub_event_vmt event_calls = {
	.add_bits = event_add_bits,
	.del_bits = event_del_bits,
	.set_fd = event_set_fd,
	.free = event_free,
	.add = event_add,
	.del = event_del,
	.add_timer = event_add_timer,
	.del_timer = event_del,
	/* Signals and what Windows needs are never asked of us. */
};

static struct ub_event *
base_new_event(
    struct ub_event_base *base, int fd, short bits, void (*call)(int, short, void *), void *arg)
{
	struct event *e = heap_alloc(1, sizeof(*e));

	e->handle = (struct ub_event){ .magic = UB_EVENT_MAGIC, .vmt = &event_calls };
	e->events = (struct events *)base;
	e->fd = fd;
	e->bits = bits;
	e->call = call;
	e->arg = arg;
	return &e->handle;
}

/* The loop is ours to leave. */
static int
base_loopexit(struct ub_event_base *base, struct timeval *tv)
{
	(void)base;
	(void)tv;
	return 0;
}

static struct ub_event_base_vmt base_calls = {
	.loopexit = base_loopexit, .new_event = base_new_event,
	/* free and dispatch are not called either with ub_resolve_event(). */
};

/* ---- the loop ---- */

struct events *
events_new(void)
{
	struct events *events = heap_alloc(1, sizeof(*events));
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = events };

	events->base = (struct ub_event_base){ .magic = UB_EVENT_MAGIC, .vmt = &base_calls };
	TAILQ_INIT(&events->now);
	TAILQ_INIT(&events->later);
	events->epoll = epoll_create1(EPOLL_CLOEXEC);
	events->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (events->epoll >= 0 && events->wake >= 0 &&
	    epoll_ctl(events->epoll, EPOLL_CTL_ADD, events->wake, &event) == 0)
		return events;
	events_free(&events);
	return NULL;
}

void
events_free(struct events **events)
{
	int error = errno;

	if (*events == NULL)
		return;
	if ((*events)->epoll >= 0)
		(void)close((*events)->epoll);
	if ((*events)->wake >= 0)
		(void)close((*events)->wake);
	free(*events);
	*events = NULL;
	errno = error;
}

struct ub_event_base *
events_base(struct events *events)
{
	return &events->base;
}

static void
drain_wake(const struct events *events)
{
	uint64_t count;

	if (read(events->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
		bug("dns: eventfd: %s", strerror(errno));
}

/* Those whose time had come when this began: some start anew. */
static void
fire_timers(const struct event_list *timers)
{
	uint64_t now = dns_monotonic_ms();
	struct event *e;

	while ((e = TAILQ_FIRST(timers)) != NULL && e->due_ms <= now) {
		stop_timer(e);
		if ((e->bits & UB_EV_PERSIST) == 0)
			unwatch(e);
		e->call(e->fd, UB_EV_TIMEOUT, e->arg); /* may free it */
	}
}

/* What came to the descriptor. An error is for whoever reads or writes to find. */
static void
serve(struct event *e, uint32_t came)
{
	short bits = 0;

	if ((came & ~(uint32_t)EPOLLOUT) != 0)
		bits |= UB_EV_READ;
	if ((came & ~(uint32_t)EPOLLIN) != 0)
		bits |= UB_EV_WRITE;
	bits &= e->bits;
	if ((e->bits & UB_EV_PERSIST) == 0)
		(void)event_del(&e->handle);
	e->call(e->fd, bits, e->arg); /* may free it */
}

/* Until the first timer, but no longer than wait_ms. */
static int
time_to_wait(const struct events *events, uint64_t wait_ms)
{
	const struct event *first = TAILQ_FIRST(&events->later);
	uint64_t now = dns_monotonic_ms();

	if (!TAILQ_EMPTY(&events->now))
		return 0;
	if (first != NULL && first->due_ms < now + wait_ms)
		wait_ms = first->due_ms > now ? first->due_ms - now : 0;
	return wait_ms < INT_MAX ? (int)wait_ms : INT_MAX;
}

void
events_turn(struct events *events, uint64_t wait_ms)
{
	fire_timers(&events->now);
	fire_timers(&events->later);
	events->ready_count = epoll_wait(
	    events->epoll, events->ready, READY_MAX, time_to_wait(events, wait_ms));
	for (int i = 0; i < events->ready_count; i++) {
		void *who = events->ready[i].data.ptr;

		if (who == events)
			drain_wake(events);
		else if (who != NULL)
			serve(who, events->ready[i].events);
	}
	events->ready_count = 0;
}

void
events_wake(const struct events *events)
{
	const uint64_t one = 1;

	if (write(events->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		bug("dns: eventfd: %s", strerror(errno));
}
