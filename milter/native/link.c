/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/native/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "milter/log.h"
#include "policy/base/limits.h"

uint64_t
link_clock_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct link *
link_new(int fd, const struct conversation_home *home, uint64_t timeout_ms,
    void (*waiting)(void *ctx), uint64_t now_ms)
{
	struct link *k = heap_alloc(1, sizeof(*k));
	const struct waiting tell = { .begin = waiting, .ctx = k };

	k->fd = fd;
	k->conversation = conversation_new(home, &tell);
	k->timeout_ms = timeout_ms;
	k->deadline_ms = now_ms + LIMIT_MILTER_GREETING_MS;
	return k;
}

void
link_free(struct link **kp)
{
	struct link *k = *kp;

	*kp = NULL;
	conversation_free(&k->conversation);
	(void)close(k->fd);
	free(k->unsent.p);
	free(k);
}

/* ---- sending ---- */

/* How much the peer takes now. */
static size_t
send_some(struct link *k, const char *p, size_t len)
{
	ssize_t n = len == 0 || k->broken ? 0 : send(k->fd, p, len, MSG_NOSIGNAL);

	if (n >= 0)
		return (size_t)n;
	if (errno != EAGAIN && errno != EINTR)
		k->broken = true;
	return 0;
}

static void
keep_unsent(struct link *k, const char *p, size_t len)
{
	char *grown = realloc(k->unsent.p, k->unsent.len + len);

	if (grown == NULL)
		out_of_memory(k->unsent.len + len);
	memcpy(grown + k->unsent.len, p, len);
	k->unsent.p = grown;
	k->unsent.len += len;
}

static void
forget_unsent(struct link *k)
{
	free(k->unsent.p);
	k->unsent.p = NULL;
	k->unsent.len = k->unsent.at = 0;
}

static void
send_unsent(struct link *k)
{
	k->unsent.at += send_some(k, k->unsent.p + k->unsent.at, k->unsent.len - k->unsent.at);
	if (k->unsent.at == k->unsent.len)
		forget_unsent(k);
}

static void
send_answers(struct link *k, const char *p, size_t len)
{
	size_t sent = k->unsent.len > 0 ? 0 : send_some(k, p, len);

	if (sent < len && !k->broken)
		keep_unsent(k, p + sent, len - sent);
}

void
link_flush(struct link *k, struct worker *w)
{
	struct wire_output *out = &w->output;

	if (out->len == k->answer_at)
		return;
	send_answers(k, out->p + k->answer_at, out->len - k->answer_at);
	out->len = k->answer_at;
}

/* ---- serving ---- */

static uint64_t
shorter(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* A frame on its way, and an answer, get their time once, however slowly they trickle; the first
 * frame is in the greeting's. */
static void
set_deadline(struct link *k, uint64_t now_ms)
{
	uint64_t frames = conversation_frames(k->conversation);
	bool gets_on = frames != k->frames || (!k->busy && frames > 0);

	k->frames = frames;
	k->busy = k->unsent.len > 0 || k->state == CONVERSATION_INSIDE;
	if (k->busy) {
		if (gets_on)
			k->deadline_ms = now_ms + shorter(k->timeout_ms, LIMIT_MILTER_FRAME_MS);
	} else if (k->state == CONVERSATION_BETWEEN) {
		k->deadline_ms = now_ms + k->timeout_ms;
	}
}

static enum link_wish
wish(struct link *k)
{
	if (k->broken)
		return LINK_CLOSES;
	if (k->unsent.len > 0)
		return LINK_WRITES;
	return k->state == CONVERSATION_OVER ? LINK_CLOSES : LINK_READS;
}

static void
hear(struct link *k, struct worker *w, struct slice input)
{
	const char *error = NULL;

	k->worker = w;
	k->answer_at = w->output.len;
	k->state = conversation_feed(k->conversation, input, &w->output, &error);
	k->answer_len = w->output.len - k->answer_at;
	k->worker = NULL;
	if (error != NULL)
		log_line(LOG_LEVEL_WARNING, "connection closed: the MTA sent %s", error);
	w->now_ms = link_clock_ms(); /* it may have waited */
}

void
link_serve(struct link *k, struct worker *w)
{
	ssize_t n;

	if (k->unsent.len > 0) {
		send_unsent(k);
		return;
	}
	n = recv(k->fd, w->input, WORKER_INPUT_BYTES, 0);
	if (n > 0)
		hear(k, w, slice_of(w->input, (size_t)n));
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		k->broken = true;
}

enum link_wish
link_answer(struct link *k, struct worker *w)
{
	if (k->answer_len > 0)
		send_answers(k, w->output.p + k->answer_at, k->answer_len);
	k->answer_len = 0;
	set_deadline(k, w->now_ms);
	return wish(k);
}

bool
link_is_idle(const struct link *k)
{
	if (k->state == CONVERSATION_OVER)
		return true;
	return k->unsent.len == 0 && !conversation_has_message(k->conversation);
}
