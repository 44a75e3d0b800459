/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop that libunbound is called from, used as the library uses it: by its table alone. */
#include <sys/time.h>

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unbound-event.h>
#include <unistd.h>

#include "policy/dns/events.h"
#include "policy/dns/internal.h"
#include "tests/support/support.h"

/* An event with what has become of it. */
struct probe {
	struct ub_event *event;
	char letter;
	int calls, fd;
	short bits;
	struct ub_event *kill; /* freed by the first call */
	struct rig *rig;
};

struct rig {
	struct events *events;
	struct ub_event_base *base;
	char order[16]; /* letters of those called */
	int pipes[3][2];
};

static void
on_event(int fd, short bits, void *arg)
{
	struct probe *p = arg;

	p->calls++;
	if (p->letter != '\0')
		p->rig->order[strlen(p->rig->order)] = p->letter;
	p->fd = fd;
	p->bits = bits;
	if (p->kill != NULL)
		p->kill->vmt->free(p->kill);
	p->kill = NULL;
}

static int
set_up(void **state)
{
	static struct rig r;

	memset(&r, 0, sizeof(r));
	r.events = events_new();
	assert_non_null(r.events);
	r.base = events_base(r.events);
	assert_int_equal(r.base->magic, UB_EVENT_MAGIC);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pipe(r.pipes[i]), 0);
	*state = &r;
	return 0;
}

static int
tear_down(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < 3; i++) {
		(void)close(r->pipes[i][0]);
		(void)close(r->pipes[i][1]);
	}
	events_free(&r->events);
	assert_null(r->events);
	return 0;
}

static void
make(struct rig *r, struct probe *p, int fd, short bits)
{
	*p = (struct probe){ .rig = r };
	p->event = r->base->vmt->new_event(r->base, fd, bits, on_event, p);
	assert_non_null(p->event);
	assert_int_equal(p->event->magic, UB_EVENT_MAGIC);
}

static void
add(struct probe *p, long ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	assert_int_equal(p->event->vmt->add(p->event, ms < 0 ? NULL : &tv), 0);
}

static void
drop(struct probe *p)
{
	p->event->vmt->free(p->event);
}

static void
fill(struct rig *r, size_t pipe_number)
{
	assert_int_equal(write(r->pipes[pipe_number][1], "x", 1), 1);
}

/* ---- descriptors ---- */

static void
reading(void **state)
{
	struct rig *r = *state;
	struct probe p;

	make(r, &p, r->pipes[0][0], UB_EV_READ | UB_EV_PERSIST);
	fill(r, 0);
	events_turn(r->events, 0);
	assert_int_equal(p.calls, 0); /* not added yet */
	add(&p, -1);
	events_turn(r->events, 1000);
	events_turn(r->events, 1000);
	assert_int_equal(p.calls, 2); /* by level, and it stays */
	assert_int_equal(p.fd, r->pipes[0][0]);
	assert_int_equal(p.bits, UB_EV_READ);
	assert_int_equal(p.event->vmt->del(p.event), 0);
	assert_int_equal(p.event->vmt->del(p.event), 0);
	events_turn(r->events, 0);
	assert_int_equal(p.calls, 2);
	drop(&p);
}

static void
once(void **state)
{
	struct rig *r = *state;
	struct probe p;

	make(r, &p, r->pipes[0][0], UB_EV_READ);
	add(&p, 5000);
	fill(r, 0);
	events_turn(r->events, 1000);
	events_turn(r->events, 0);
	assert_int_equal(p.calls, 1);
	drop(&p);
}

/* What TCP does: another descriptor, writing instead of reading. */
static void
changes(void **state)
{
	struct rig *r = *state;
	struct probe p;

	make(r, &p, -1, UB_EV_READ | UB_EV_PERSIST | UB_EV_TIMEOUT);
	p.event->vmt->set_fd(p.event, r->pipes[0][1]);
	p.event->vmt->del_bits(p.event, UB_EV_READ | UB_EV_TIMEOUT);
	p.event->vmt->add_bits(p.event, UB_EV_WRITE);
	add(&p, -1);
	events_turn(r->events, 1000);
	assert_int_equal(p.calls, 1);
	assert_int_equal(p.bits, UB_EV_WRITE);
	drop(&p);
}

/* The other end is gone: whoever reads is to find out. */
static void
hung_up(void **state)
{
	struct rig *r = *state;
	struct probe p;

	make(r, &p, r->pipes[0][0], UB_EV_READ | UB_EV_PERSIST);
	add(&p, -1);
	(void)close(r->pipes[0][1]);
	events_turn(r->events, 1000);
	assert_int_equal(p.calls, 1);
	assert_int_equal(p.bits, UB_EV_READ);
	drop(&p);
	assert_int_equal(pipe(r->pipes[0]), 0);
}

static void
bad_descriptor(void **state)
{
	struct rig *r = *state;
	struct probe p;

	make(r, &p, 999999, UB_EV_READ | UB_EV_PERSIST);
	assert_int_equal(p.event->vmt->add(p.event, NULL), -1);
	drop(&p);
}

/* Two are ready at once, and whoever is called first frees the other: it must not be called. */
static void
freed_while_ready(void **state)
{
	struct rig *r = *state;
	struct probe a, b;

	make(r, &a, r->pipes[0][0], UB_EV_READ | UB_EV_PERSIST);
	make(r, &b, r->pipes[1][0], UB_EV_READ | UB_EV_PERSIST);
	add(&a, -1);
	add(&b, -1);
	a.kill = b.event;
	b.kill = a.event;
	fill(r, 0);
	fill(r, 1);
	events_turn(r->events, 1000);
	assert_int_equal(a.calls + b.calls, 1);
	drop(a.calls == 1 ? &a : &b);
}

/* ---- timers ---- */

static void
start(struct rig *r, struct probe *p, char letter, long ms)
{
	struct timeval tv = { 0, ms * 1000 };

	make(r, p, -1, UB_EV_TIMEOUT);
	p->letter = letter;
	assert_int_equal(p->event->vmt->add_timer(p->event, r->base, on_event, p, &tv), 0);
}

/* By time, and those of one time in the order they were set. */
static void
timers(void **state)
{
	static const long ms[] = { 30, 10, 0, 20, 0, 30 };
	struct rig *r = *state;
	struct probe p[6];
	uint64_t before = dns_monotonic_ms();

	for (size_t i = 0; i < 6; i++)
		start(r, &p[i], (char)('a' + i), ms[i]);
	events_turn(r->events, 0);
	assert_string_equal(r->order, "ce");
	assert_int_equal(p[2].bits, UB_EV_TIMEOUT);
	assert_int_equal(p[3].event->vmt->del_timer(p[3].event), 0);
	while (p[5].calls == 0)
		events_turn(r->events, 1000);
	assert_string_equal(r->order, "cebaf");
	assert_true(dns_monotonic_ms() - before >= 30);
	for (size_t i = 0; i < 6; i++)
		drop(&p[i]);
}

/* Set again it runs anew, also from within its own call; freed by another it never comes. */
static void
timers_again(void **state)
{
	struct rig *r = *state;
	struct timeval none = { 0, 0 };
	struct probe p, other;

	start(r, &p, 'a', 0);
	start(r, &other, 'b', 0);
	p.kill = other.event;
	events_turn(r->events, 0);
	assert_string_equal(r->order, "a");
	for (int i = 0; i < 2; i++)
		assert_int_equal(p.event->vmt->add_timer(p.event, r->base, on_event, &p, &none), 0);
	events_turn(r->events, 1000);
	assert_string_equal(r->order, "aa");
	drop(&p);
}

/* An event on a descriptor may have a time as well; what persists is still there behind it. */
static void
time_out_of_a_descriptor(void **state)
{
	struct rig *r = *state;
	struct probe p;

	make(r, &p, r->pipes[0][0], UB_EV_READ | UB_EV_PERSIST | UB_EV_TIMEOUT);
	add(&p, 10);
	while (p.calls == 0)
		events_turn(r->events, 1000);
	assert_int_equal(p.bits, UB_EV_TIMEOUT);
	fill(r, 0);
	events_turn(r->events, 1000);
	assert_int_equal(p.calls, 2);
	assert_int_equal(p.bits, UB_EV_READ);
	drop(&p);
}

/* ---- waking ---- */

static void *
wake_soon(void *arg)
{
	(void)usleep(20 * 1000);
	events_wake(arg);
	return NULL;
}

static void
woken(void **state)
{
	struct rig *r = *state;
	uint64_t before = dns_monotonic_ms();
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, wake_soon, r->events), 0);
	events_turn(r->events, 30000);
	(void)pthread_join(thread, NULL);
	/* Also when it came first; any number of times counts once. */
	events_wake(r->events);
	events_wake(r->events);
	events_turn(r->events, 30000);
	assert_true(dns_monotonic_ms() - before < 30000);
	before = dns_monotonic_ms();
	events_turn(r->events, 30);
	assert_true(dns_monotonic_ms() - before >= 29);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reading, set_up, tear_down),
		cmocka_unit_test_setup_teardown(once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hung_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_descriptor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(freed_while_ready, set_up, tear_down),
		cmocka_unit_test_setup_teardown(timers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(timers_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(time_out_of_a_descriptor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(woken, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
