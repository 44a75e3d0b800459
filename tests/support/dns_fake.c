/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/dns_fake.h"

#include <errno.h>
#include <stdlib.h>

static void
fake_start(struct dns_backend *backend, struct dns_request *request)
{
	struct dns_fake *f = (struct dns_fake *)backend;

	f->asked++;
	if (!f->hold) {
		request->done(request, dns_answer_make(&f->draft, request->type));
		return;
	}
	(void)pthread_mutex_lock(&f->lock);
	assert_true(f->held_count < DNS_FAKE_HELD_MAX);
	f->held[f->held_count++] = request;
	(void)pthread_mutex_unlock(&f->lock);
}

void
dns_fake_release(struct dns_fake *f)
{
	(void)pthread_mutex_lock(&f->lock);
	while (f->held_count > 0) {
		struct dns_request *request = f->held[--f->held_count];

		request->done(request, dns_answer_make(&f->draft, request->type));
	}
	(void)pthread_mutex_unlock(&f->lock);
}

static void
fake_close(struct dns_backend *backend)
{
	struct dns_fake *f = (struct dns_fake *)backend;

	(void)pthread_mutex_destroy(&f->lock);
	if (f->closed != NULL)
		(*f->closed)++;
	free(f);
}

static const struct dns_backend_calls fake_calls = { .start = fake_start, .close = fake_close };

const struct dns_record dns_fake_address = { .address = {
						 .family = IP_V4, .bytes = { 192, 0, 2, 1 } } };

struct dns_fake *
dns_fake_new(bool hold)
{
	struct dns_fake *f = heap_alloc(1, sizeof(*f));

	f->backend.calls = &fake_calls;
	f->hold = hold;
	f->draft = (struct dns_answer){
		.status = DNS_OK, .ttl_s = 100, .count = 1, .records = &dns_fake_address
	};
	(void)pthread_mutex_init(&f->lock, NULL);
	return f;
}

_Atomic(uint64_t) dns_fake_now_ms;

static uint64_t
fake_clock(void)
{
	return dns_fake_now_ms;
}

static int
wait_for_ever(pthread_cond_t *arrived, pthread_mutex_t *lock, uint64_t until_ms)
{
	(void)until_ms;
	return pthread_cond_wait(arrived, lock);
}

static int
wait_in_no_time(pthread_cond_t *arrived, pthread_mutex_t *lock, uint64_t until_ms)
{
	(void)arrived;
	(void)lock;
	if (dns_fake_now_ms < until_ms)
		dns_fake_now_ms = until_ms;
	return ETIMEDOUT;
}

const struct dns_clock dns_fake_standing = { fake_clock, wait_for_ever };
const struct dns_clock dns_fake_jumping = { fake_clock, wait_in_no_time };

struct resolver *
dns_fake_resolver(struct dns_fake *f, size_t cache_bytes, const struct dns_clock *clock)
{
	struct resolver_options o = resolver_defaults;

	o.clock = clock;
	if (cache_bytes > 0)
		o.cache_bytes = cache_bytes;
	return resolver_new(&f->backend, &o);
}

static const struct lookups_limits wide = { 5000, 20000, 300 };

bool
dns_fake_ask(struct resolver *r, const char *name, enum dns_status want)
{
	struct arena *a = arena_new(1 << 20);
	struct lookups *l = lookups_new(a, r, &wide);
	const struct dns_answer *answer = lookups_ask(l, slice_str(name), DNS_A);
	size_t n;
	bool cached = lookups_log(l, &n)->cached;

	if (answer->status != want)
		fail_msg("%s: got %s, want %s", name, dns_status_word(answer->status),
		    dns_status_word(want));
	lookups_fini(&l);
	arena_free(&a);
	return cached;
}
