/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/key_client.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "milter/key_packet.h"
#include "milter/log.h"

#define LOAD_TIMEOUT_S 10 /* for a worker to read its keys */
#define SIGN_TIMEOUT_S 5  /* an RSA key of 8192 bits takes a tenth of a second */
#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 60000
#define NO_KEY	       UINT32_MAX
#define INFO_BYTES     ((size_t)1024 * 1024)

struct key_client {
	const struct key_monitor *monitor;
	const struct conf *conf;
	struct arena *arena; /* of infos */
	struct outgoing_keys keys;
	pthread_mutex_t lock; /* guards what follows, and the conversation with the worker */
	int fd;		      /* -1: no worker */
	uint32_t *numbers;    /* [ours]: the worker's, or NO_KEY */
	uint32_t serial;
	uint64_t next_try_ms;
	uint32_t backoff_ms; /* 0: nothing went wrong since the last signature */
};

static uint64_t
monotonic_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void
set_timeout(int fd, int seconds)
{
	const struct timeval t = { .tv_sec = seconds };

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

/* ---- the table of keys ---- */

/* What the worker says a key is, for good. False: its public part is none. */
static bool
describe_key(struct key_client *c, struct key_info *info, const struct key_packet *p)
{
	info->type = p->type;
	info->bits = p->bits;
	info->public = arena_copy(c->arena, p->payload);
	info->key = public_key_new(p->type, info->public);
	return info->key != NULL;
}

static bool
is_unchanged(const struct key_info *info, const struct key_packet *p)
{
	return info->type == p->type && slice_equal(info->public, p->payload);
}

/* One key of the worker's; first: the first worker says what our keys are. */
static void
take_key(struct key_client *c, const struct key_packet *p, bool first)
{
	for (size_t i = 0; i < c->conf->dkim_key_count; i++) {
		struct slice name = slice_sub(c->conf->dkim_keys[i].name, 0, KEY_PACKET_NAME_BYTES);

		if (!slice_equal(name, p->name))
			continue;
		if (first && !describe_key(c, &c->keys.infos[i], p))
			continue;
		if (is_unchanged(&c->keys.infos[i], p))
			c->numbers[i] = p->number;
	}
}

static char *
copy_text(struct slice text)
{
	char *copy = heap_alloc(1, text.len + 1);

	memcpy(copy, text.p, text.len);
	return copy;
}

/* NULL, or heap text: why there are no keys. */
static char *
read_table(struct key_client *c, int fd, bool first)
{
	char room[KEY_PACKET_BYTES];
	struct key_packet p;

	for (size_t i = 0; i < c->conf->dkim_key_count; i++)
		c->numbers[i] = NO_KEY;
	for (;;) {
		if (key_packet_receive(fd, room, &p) != 0)
			return heap_copy("the key worker did not come up");
		switch (p.kind) {
		case KEY_PACKET_KEY:
			take_key(c, &p, first);
			break;
		case KEY_PACKET_READY:
			return NULL;
		case KEY_PACKET_FAULT:
			return copy_text(p.payload);
		case KEY_PACKET_SIGN:
		case KEY_PACKET_SIGNED:
		case KEY_PACKET_REFUSED:
			return heap_copy("the key worker does not keep to the protocol");
		}
	}
}

/* Have a worker. NULL, or heap text. */
static char *
connect_worker(struct key_client *c, bool first)
{
	int fd = key_monitor_ask(c->monitor);
	char *error;

	if (fd < 0)
		return heap_copy("the process that starts key workers is gone");
	set_timeout(fd, LOAD_TIMEOUT_S);
	error = read_table(c, fd, first);
	if (error != NULL) {
		(void)close(fd);
		return error;
	}
	set_timeout(fd, SIGN_TIMEOUT_S);
	c->fd = fd;
	return NULL;
}

static char *
missing_key(const struct key_client *c)
{
	for (size_t i = 0; i < c->conf->dkim_key_count; i++)
		if (c->numbers[i] == NO_KEY)
			return heap_copy("the configuration changed while keys were read");
	return NULL;
}

/* ---- signing ---- */

/* The worker is not to be trusted any more, or not there. */
static void
drop_worker(struct key_client *c)
{
	(void)close(c->fd);
	c->fd = -1;
	c->next_try_ms = monotonic_ms() + c->backoff_ms;
	log_line(LOG_LEVEL_ERROR, "key worker died or did not answer; a new one comes in %u ms",
	    c->backoff_ms);
}

static void
back_off(struct key_client *c)
{
	c->backoff_ms = c->backoff_ms == 0 ? BACKOFF_MIN_MS : 2 * c->backoff_ms;
	if (c->backoff_ms > BACKOFF_MAX_MS)
		c->backoff_ms = BACKOFF_MAX_MS;
}

/* True: there is a worker now. */
static bool
replace_worker(struct key_client *c)
{
	char *error;

	if (monotonic_ms() < c->next_try_ms)
		return false;
	error = connect_worker(c, false);
	back_off(c); /* until it has signed something */
	if (error == NULL) {
		log_line(LOG_LEVEL_WARNING, "key worker started anew");
		return true;
	}
	c->next_try_ms = monotonic_ms() + c->backoff_ms;
	log_lines(LOG_LEVEL_ERROR, "key worker: ", error);
	free(error);
	return false;
}

/* 0, 1: refused, with *error_r set, -1: no answer that makes sense. */
static int
exchange(struct key_client *c, uint32_t number, const uint8_t digest[SHA256_BYTES],
    struct signature *out, const char **error_r)
{
	const struct key_packet ask = { .kind = KEY_PACKET_SIGN,
		.number = number,
		.serial = ++c->serial,
		.payload = slice_of((const char *)digest, SHA256_BYTES) };
	char room[KEY_PACKET_BYTES];
	struct key_packet answer;

	if (key_packet_send(c->fd, &ask) != 0 || key_packet_receive(c->fd, room, &answer) != 0 ||
	    answer.serial != ask.serial)
		return -1;
	if (answer.kind == KEY_PACKET_REFUSED) {
		*error_r = "the key worker can't sign";
		return 1;
	}
	if (answer.kind != KEY_PACKET_SIGNED)
		return -1;
	memcpy(out->bytes, answer.payload.p, answer.payload.len);
	out->len = answer.payload.len;
	c->backoff_ms = 0;
	return 0;
}

static int
sign_locked(struct key_client *c, uint32_t key, const uint8_t digest[SHA256_BYTES],
    struct signature *out, const char **error_r)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		int rc;

		if (c->fd < 0 && !replace_worker(c))
			break;
		if (c->numbers[key] == NO_KEY) {
			*error_r = "the key file has changed: reload";
			return -1;
		}
		rc = exchange(c, c->numbers[key], digest, out, error_r);
		if (rc >= 0)
			return rc == 0 ? 0 : -1;
		drop_worker(c);
	}
	*error_r = "there is no key worker";
	return -1;
}

static int
client_sign(void *ctx, uint32_t key, const uint8_t digest[SHA256_BYTES], struct signature *out,
    const char **error_r)
{
	struct key_client *c = ctx;
	int rc;

	if (key >= c->conf->dkim_key_count) {
		*error_r = "no key of that number";
		return -1;
	}
	(void)pthread_mutex_lock(&c->lock);
	rc = sign_locked(c, key, digest, out, error_r);
	(void)pthread_mutex_unlock(&c->lock);
	return rc;
}

/* ---- open and close ---- */

struct key_client *
key_client_open(const struct key_monitor *monitor, const struct conf *conf, char **error_r)
{
	struct key_client *c = heap_alloc(1, sizeof(*c));
	size_t count = conf->dkim_key_count;
	char *error;

	*c = (struct key_client){ .monitor = monitor, .conf = conf, .fd = -1 };
	c->arena = arena_new(INFO_BYTES);
	c->keys.infos = arena_array(c->arena, count, sizeof(*c->keys.infos));
	c->keys.holder = (struct key_holder){ .sign = client_sign, .ctx = c };
	c->numbers = arena_array(c->arena, count, sizeof(*c->numbers));
	(void)pthread_mutex_init(&c->lock, NULL);
	error = connect_worker(c, true);
	if (error == NULL)
		error = missing_key(c);
	if (error == NULL)
		return c;
	*error_r = error;
	key_client_close(&c);
	return NULL;
}

void
key_client_close(struct key_client **cp)
{
	struct key_client *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	if (c->fd >= 0)
		(void)close(c->fd);
	for (size_t i = 0; i < c->conf->dkim_key_count; i++)
		public_key_free(&c->keys.infos[i].key);
	(void)pthread_mutex_destroy(&c->lock);
	arena_free(&c->arena);
	free(c);
}

const struct outgoing_keys *
key_client_keys(const struct key_client *c)
{
	return &c->keys;
}
