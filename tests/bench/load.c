/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/load.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define WRITE_BYTES 4096 /* VSTREAM_BUFSIZE */
#define EVENTS	    64
#define INPUT_BYTES 16384
#define OPEN_MS	    10000
#define NONE	    SIZE_MAX

struct conn {
	int fd; /* -1: none */
	const struct act *act;
	size_t step, sent; /* of the step */
	bool waiting;	   /* for the step's answer */
	bool skipping;
	bool in_message; /* act is one, not a beginning */
	bool idle;	 /* nothing to send until its turn comes */
	bool wants_out;	 /* epoll knows that we wait to write */
	size_t done;	 /* messages on this connection */
	size_t first; /* number of its first message, which is that of its beginning; NONE: given */
	uint64_t began_us, ended_us;
	size_t input_len;
	char input[INPUT_BYTES];
};

struct load {
	const struct script *script;
	struct load_plan plan;
	struct load_result *out;
	int epoll;
	struct conn *conns;
	struct conn **idle; /* ring of those that wait for their turn */
	size_t idle_first, idle_count;
	size_t next; /* message to be given out */
	uint64_t start_us;
};

static void step_on(struct load *l, struct conn *c);

/* ---- connections ---- */

static void
close_conn(struct load *l, struct conn *c)
{
	(void)l;
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

static void
break_conn(struct load *l, struct conn *c)
{
	l->out->broken++;
	close_conn(l, c);
}

static void
begin_act(struct conn *c, const struct act *act, bool in_message)
{
	c->act = act;
	c->step = c->sent = 0;
	c->in_message = in_message;
	c->skipping = c->waiting = false;
	if (in_message)
		c->began_us = now_us();
}

static void
open_conn(struct load *l, struct conn *c)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
	struct milter_client client;

	if (milter_open(&client, l->script->address, OPEN_MS) != 0) {
		milter_close(&client);
		break_conn(l, c);
		return;
	}
	c->fd = client.fd;
	c->done = 0;
	c->input_len = 0;
	c->wants_out = false;
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
		bug("load: epoll_ctl: %s", strerror(errno));
	c->first = l->next++;
	begin_act(c, &l->script->beginnings[c->first % l->script->count], false);
	step_on(l, c);
}

static void
say(struct conn *c, char command)
{
	const char packet[5] = { 0, 0, 0, 1, command };

	(void)send(c->fd, packet, sizeof(packet), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
quit_conn(struct load *l, struct conn *c)
{
	say(c, 'Q');
	close_conn(l, c);
}

/* ---- whose turn it is ---- */

static bool
all_given_out(const struct load *l)
{
	return l->next >= l->plan.messages;
}

static uint64_t
due_us(const struct load *l)
{
	return l->plan.rate == 0 ? 0 : l->start_us + l->next * 1000000 / l->plan.rate;
}

static void
begin_message(struct load *l, struct conn *c, size_t number)
{
	begin_act(c, &l->script->messages[number % l->script->count], true);
	step_on(l, c);
}

/* The next message for a connection that has none. */
static void
give_message(struct load *l, struct conn *c)
{
	size_t most = l->plan.messages_per_connection, first = c->first;

	c->first = NONE;
	if (first != NONE && first < l->plan.messages) {
		begin_message(l, c, first);
	} else if (all_given_out(l)) {
		if (!l->plan.stay)
			quit_conn(l, c);
	} else if (most > 0 && c->done >= most) {
		quit_conn(l, c);
		open_conn(l, c);
	} else if (due_us(l) > now_us()) {
		l->idle[(l->idle_first + l->idle_count++) % l->plan.connections] = c;
	} else {
		begin_message(l, c, l->next++);
	}
}

static void
wake_idle(struct load *l)
{
	while (l->idle_count > 0 && (all_given_out(l) || due_us(l) <= now_us())) {
		struct conn *c = l->idle[l->idle_first];

		l->idle_first = (l->idle_first + 1) % l->plan.connections;
		l->idle_count--;
		give_message(l, c);
	}
}

/* ---- writing ---- */

static void
watch_out(struct load *l, struct conn *c, bool wanted)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };

	if (c->wants_out == wanted)
		return;
	c->wants_out = wanted;
	if (wanted)
		event.events |= EPOLLOUT;
	(void)epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &event);
}

/* False: the socket is full, or gone. */
static bool
write_step(struct load *l, struct conn *c, const struct step *step)
{
	while (c->sent < step->len) {
		size_t piece = step->len - c->sent < WRITE_BYTES ? step->len - c->sent
								 : WRITE_BYTES;
		ssize_t n = send(
		    c->fd, c->act->bytes + step->at + c->sent, piece, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			c->sent += (size_t)n;
		} else if (errno == EAGAIN) {
			watch_out(l, c, true);
			return false;
		} else {
			break_conn(l, c);
			return false;
		}
	}
	watch_out(l, c, false);
	return true;
}

/* Go on from where the connection stands, until it must wait. */
static void
step_on(struct load *l, struct conn *c)
{
	while (c->step < c->act->step_count) {
		const struct step *step = &c->act->steps[c->step];

		if (step->body && c->skipping) {
			c->step++;
			continue;
		}
		if (!write_step(l, c, step))
			return;
		if (step->wait == WAIT_END)
			c->ended_us = now_us();
		if (step->wait != WAIT_NOTHING) {
			c->waiting = true;
			return;
		}
		c->step++;
		c->sent = 0;
	}
	if (!c->in_message)
		give_message(l, c);
}

/* ---- reading ---- */

static void
count_answer(struct load *l, const struct conn *c, char answer)
{
	struct load_result *out = l->out;
	bool refused = answer == 'y' && c->input[5] == '5';

	refused = refused || answer == 'r';
	if (answer == 'c' || answer == 'a')
		out->accepted++;
	else if (refused)
		out->refused++;
	else
		out->tempfailed++;
	if (refused != c->act->forged || answer == 't' || (answer == 'y' && !refused))
		out->wrong++;
}

static void
message_done(struct load *l, struct conn *c, char answer)
{
	struct load_result *out = l->out;
	uint64_t now = now_us();

	count_answer(l, c, answer);
	out->whole_us[out->messages] = (uint32_t)(now - c->began_us);
	out->end_us[out->messages] = (uint32_t)(now - c->ended_us);
	out->messages++;
	out->took_us = now - l->start_us;
	if (out->messages == l->plan.lead_in)
		out->lead_us = out->took_us;
	c->done++;
	say(c, 'A'); /* Postfix, whenever a message is over */
	give_message(l, c);
}

/* One packet, its command given. */
static void
take_packet(struct load *l, struct conn *c, char command)
{
	const struct step *step = &c->act->steps[c->step];

	if (strchr("p+2-himqbe", command) != NULL)
		return; /* edits, progress */
	if (!c->waiting) {
		break_conn(l, c);
		return;
	}
	c->waiting = false;
	if (command == 's')
		c->skipping = true;
	if (step->wait == WAIT_END ||
	    (c->in_message && step->wait == WAIT_ANSWER && command != 'c' && command != 's')) {
		if (step->wait != WAIT_END)
			c->ended_us = now_us();
		message_done(l, c, command);
		return;
	}
	c->step++;
	c->sent = 0;
	step_on(l, c);
}

static void
read_conn(struct load *l, struct conn *c)
{
	ssize_t n = recv(
	    c->fd, c->input + c->input_len, sizeof(c->input) - c->input_len, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		break_conn(l, c);
		return;
	}
	c->input_len += (size_t)n;
	while (c->fd >= 0 && c->input_len >= 5) {
		uint32_t size;
		size_t whole;
		int fd = c->fd;
		char packet_command = c->input[4];

		memcpy(&size, c->input, sizeof(size));
		whole = (size_t)ntohl(size) + 4;
		if (whole < 5 || whole > sizeof(c->input)) {
			break_conn(l, c);
			return;
		}
		if (c->input_len < whole)
			return;
		take_packet(l, c, packet_command);
		if (c->fd != fd || c->input_len < whole)
			return; /* it is another connection now */
		c->input_len -= whole;
		memmove(c->input, c->input + whole, c->input_len);
	}
}

/* ---- the run ---- */

/*
 * How long nothing need happen; to the microsecond. In milliseconds, as epoll_wait(2) has them, it
 * would be none at all between two messages, and the load would keep a processor busy by itself.
 */
static struct timespec
idle_time(const struct load *l)
{
	uint64_t now = now_us(), due = l->idle_count == 0 ? now + 1000000 : due_us(l);
	uint64_t us = due > now ? due - now : 0;

	return (struct timespec){ .tv_sec = (time_t)(us / 1000000),
		.tv_nsec = (long)(us % 1000000 * 1000) };
}

static void
turn(struct load *l)
{
	struct epoll_event events[EVENTS];
	const struct timespec most = idle_time(l);
	int n = epoll_pwait2(l->epoll, events, EVENTS, &most, NULL);

	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;

		if (c->fd >= 0 && (events[i].events & EPOLLOUT) != 0)
			step_on(l, c);
		if (c->fd >= 0 && (events[i].events & ~(uint32_t)EPOLLOUT) != 0)
			read_conn(l, c);
	}
	wake_idle(l);
}

static bool
any_open(const struct load *l)
{
	for (size_t i = 0; i < l->plan.connections; i++)
		if (l->conns[i].fd >= 0)
			return true;
	return false;
}

static int
compare_u32(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

struct load *
load_run(const struct script *s, const struct load_plan *plan, uint32_t timeout_s,
    struct load_result *out)
{
	struct load *l = heap_alloc(1, sizeof(*l));

	*out = (struct load_result){ 0 };
	out->whole_us = heap_alloc(plan->messages + 1, sizeof(*out->whole_us));
	out->end_us = heap_alloc(plan->messages + 1, sizeof(*out->end_us));
	*l = (struct load){ .script = s, .plan = *plan, .out = out };
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->conns = heap_alloc(plan->connections, sizeof(*l->conns));
	l->idle = heap_alloc(plan->connections, sizeof(struct conn *));
	l->start_us = now_us();
	for (size_t i = 0; i < plan->connections; i++)
		l->conns[i].fd = -1;
	for (size_t i = 0; i < plan->connections; i++)
		open_conn(l, &l->conns[i]);
	while (out->messages < plan->messages && any_open(l) &&
	    now_us() - l->start_us < (uint64_t)timeout_s * 1000000)
		turn(l);
	qsort(out->whole_us, out->messages, sizeof(*out->whole_us), compare_u32);
	qsort(out->end_us, out->messages, sizeof(*out->end_us), compare_u32);
	return l;
}

void
load_end(struct load **lp, struct load_result *out)
{
	struct load *l = *lp;

	*lp = NULL;
	for (size_t i = 0; i < l->plan.connections; i++)
		close_conn(l, &l->conns[i]);
	(void)close(l->epoll);
	free(l->conns);
	free(l->idle);
	free(l);
	free(out->whole_us);
	free(out->end_us);
	out->whole_us = out->end_us = NULL;
}

uint32_t
load_percentile(const uint32_t *sorted_us, size_t count, double percent)
{
	size_t at = (size_t)((double)count * percent / 100);

	if (count == 0)
		return 0;
	return sorted_us[at < count ? at : count - 1];
}
