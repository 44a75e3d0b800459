/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers, the resolver's cache and its flights, and one message's lookups; over a fake backend
 * that counts, waits or never answers.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/dns/internal.h"
#include "tests/support/support.h"

/* ---- the fake ---- */

#define HELD_MAX 64

struct fake {
	struct dns_backend backend; /* first */
	struct dns_answer draft;    /* given to everybody */
	bool hold;		    /* keep requests until fake_release() or for ever */
	pthread_mutex_t lock;
	struct dns_request *held[HELD_MAX]; /* MT: lock */
	size_t held_count;		    /* MT: lock */
	_Atomic(size_t) asked;
	_Atomic(size_t) *closed; /* counted when the resolver lets go */
};

static void
fake_start(struct dns_backend *backend, struct dns_request *request)
{
	struct fake *f = (struct fake *)backend;

	f->asked++;
	if (!f->hold) {
		request->done(request, dns_answer_make(&f->draft, request->type));
		return;
	}
	(void)pthread_mutex_lock(&f->lock);
	assert_true(f->held_count < HELD_MAX);
	f->held[f->held_count++] = request;
	(void)pthread_mutex_unlock(&f->lock);
}

static void
fake_release(struct fake *f)
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
	struct fake *f = (struct fake *)backend;

	(void)pthread_mutex_destroy(&f->lock);
	if (f->closed != NULL)
		(*f->closed)++;
	free(f);
}

static const struct dns_backend_calls fake_calls = { .start = fake_start, .close = fake_close };

static const struct dns_record one_address = { .address = {
						   .family = IP_V4, .bytes = { 192, 0, 2, 1 } } };

static struct fake *
fake_new(bool hold)
{
	struct fake *f = heap_alloc(1, sizeof(*f));

	f->backend.calls = &fake_calls;
	f->hold = hold;
	f->draft = (struct dns_answer){
		.status = DNS_OK, .ttl_s = 100, .count = 1, .records = &one_address
	};
	(void)pthread_mutex_init(&f->lock, NULL);
	return f;
}

/* A clock that stands until it is moved. */
static _Atomic(uint64_t) fake_now_ms;

static uint64_t
fake_clock(void)
{
	return fake_now_ms;
}

/* For answers that come: however slow the machine is, nobody's time is up. */
static int
wait_for_ever(pthread_cond_t *arrived, pthread_mutex_t *lock, uint64_t until_ms)
{
	(void)until_ms;
	return pthread_cond_wait(arrived, lock);
}

/* For answers that don't: it is until_ms at once, and no later. */
static int
wait_in_no_time(pthread_cond_t *arrived, pthread_mutex_t *lock, uint64_t until_ms)
{
	(void)arrived;
	(void)lock;
	if (fake_now_ms < until_ms)
		fake_now_ms = until_ms;
	return ETIMEDOUT;
}

static const struct dns_clock standing = { fake_clock, wait_for_ever };
static const struct dns_clock jumping = { fake_clock, wait_in_no_time };

static struct resolver *
fake_resolver(struct fake *f, size_t cache_bytes, const struct dns_clock *clock)
{
	struct resolver_options o = resolver_defaults;

	o.clock = clock;
	if (cache_bytes > 0)
		o.cache_bytes = cache_bytes;
	return resolver_new(&f->backend, &o);
}

static const struct lookups_limits wide = { 5000, 20000, 300 };

/* One question of a message of its own; true if it was answered without the backend. */
static bool
ask_once(struct resolver *r, const char *name, enum dns_status want)
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

/* ---- answers ---- */

static _Atomic(int) decode_calls, decode_frees;

static void *
decode_length(const struct dns_answer *answer, void *ctx)
{
	size_t *n;

	decode_calls++;
	if (ctx != NULL) /* make a race likely */
		(void)usleep(1000);
	if (answer->count == 0)
		return NULL;
	n = heap_alloc(1, sizeof(*n));
	*n = answer->count;
	return n;
}

static void
decode_free(void *object)
{
	decode_frees++;
	free(object);
}

static const struct dns_decoder decoder = { "length", decode_length, decode_free };
static const struct dns_decoder other_decoder = { "other", decode_length, decode_free };

static void
decoded_once(void **state)
{
	const struct dns_answer draft = { .status = DNS_OK, .count = 1, .records = &one_address };
	const struct dns_answer *answer = dns_answer_make(&draft, DNS_A);
	const struct dns_answer *none = dns_answer_fail(DNS_R_TIMEOUT);
	const size_t *n = dns_answer_decoded(answer, &decoder, NULL);

	(void)state;
	decode_frees = 0;
	assert_int_equal(*n, 1);
	assert_ptr_equal(dns_answer_decoded(answer, &decoder, NULL), n);
	assert_int_equal(decode_calls, 1);
	assert_ptr_not_equal(dns_answer_decoded(answer, &other_decoder, NULL), n);
	assert_int_equal(decode_calls, 2);
	assert_null(dns_answer_decoded(none, &decoder, NULL));
	assert_null(dns_answer_decoded(none, &decoder, NULL));
	assert_int_equal(decode_calls, 3); /* NULL is remembered as well */
	dns_answer_unref(&answer);
	dns_answer_unref(&none);
	assert_int_equal(decode_frees, 2);
}

static void *
decode_in_thread(void *arg)
{
	static int slowly;

	return (void *)(uintptr_t)dns_answer_decoded(arg, &decoder, &slowly);
}

#define THREADS 100

static void
decoded_by_many(void **state)
{
	const struct dns_answer draft = { .status = DNS_OK, .count = 1, .records = &one_address };
	const struct dns_answer *answer = dns_answer_make(&draft, DNS_A);
	pthread_t threads[THREADS];
	void *first = NULL;

	(void)state;
	decode_calls = decode_frees = 0;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, decode_in_thread, (void *)(uintptr_t)answer),
		    0);
	for (size_t i = 0; i < THREADS; i++) {
		void *got;

		(void)pthread_join(threads[i], &got);
		assert_non_null(got);
		assert_true(first == NULL || first == got);
		first = got;
	}
	dns_answer_unref(&answer);
	assert_int_equal(decode_calls, decode_frees);
}

/* ---- cache ---- */

static void
cache_ttl(void **state)
{
	static const struct {
		const char *name;
		struct dns_answer draft;
		uint32_t kept_s;
	} rows[] = {
		{ "as received", { .status = DNS_OK, .ttl_s = 100, .count = 1 }, 100 },
		{ "floor", { .status = DNS_OK, .ttl_s = 0, .count = 1 }, LIMIT_DNS_TTL_MIN_S },
		{ "ceiling", { .status = DNS_OK, .ttl_s = 999999, .count = 1 },
		    LIMIT_DNS_TTL_MAX_S },
		{ "nxdomain", { .status = DNS_NXDOMAIN, .ttl_s = 100 }, 100 },
		{ "nxdomain ceiling, RFC 2308 5", { .status = DNS_NXDOMAIN, .ttl_s = 999999 },
		    LIMIT_DNS_TTL_NEGATIVE_S },
		{ "nodata ceiling, RFC 2308 5", { .status = DNS_NODATA, .ttl_s = 999999 },
		    LIMIT_DNS_TTL_NEGATIVE_S },
		{ "failure, RFC 2308 7",
		    { .status = DNS_TEMPFAIL, .reason = DNS_R_SERVFAIL, .ttl_s = 999999 },
		    LIMIT_DNS_TTL_FAIL_S },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake *f = fake_new(false);
		struct resolver *r = fake_resolver(f, 0, &standing);
		bool first, inside, after;

		f->draft = rows[i].draft;
		f->draft.records = &one_address;
		first = ask_once(r, "a.example", rows[i].draft.status);
		fake_now_ms += rows[i].kept_s * 1000 - 1;
		inside = ask_once(r, "A.EXAMPLE.", rows[i].draft.status);
		fake_now_ms += 1;
		after = ask_once(r, "a.example", rows[i].draft.status);
		if (first || !inside || after || f->asked != 2)
			fail_msg("%s: cached %d %d %d, asked %zu", rows[i].name, first, inside,
			    after, (size_t)f->asked);
		resolver_free(&r);
	}
}

static void
cache_flush(void **state)
{
	struct fake *f = fake_new(false);
	struct resolver *r = fake_resolver(f, 0, &standing);
	struct resolver_stats stats;

	(void)state;
	assert_false(ask_once(r, "a.example", DNS_OK));
	assert_true(ask_once(r, "a.example", DNS_OK));
	resolver_flush(r);
	resolver_stats(r, &stats);
	assert_int_equal(stats.cache_entries, 0);
	assert_int_equal(stats.cache_bytes, 0);
	assert_false(ask_once(r, "a.example", DNS_OK));
	resolver_stats(r, &stats);
	assert_int_equal(stats.questions, 3);
	assert_int_equal(stats.cache_hits, 1);
	assert_int_equal(stats.upstream, 2);
	resolver_free(&r);
}

static void
cache_bound(void **state)
{
	const size_t bytes = 64 * 1024;
	struct fake *f = fake_new(false);
	struct resolver *r = fake_resolver(f, bytes, &standing);
	struct resolver_stats stats;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "n%d.example", i);
		(void)ask_once(r, name, DNS_OK);
		/* What is used stays, however much else comes by. */
		if (i % 10 == 0 && ask_once(r, "hot.example", DNS_OK) != (i > 0))
			fail_msg("after %d names: hot.example is gone", i);
		resolver_stats(r, &stats);
		assert_true(stats.cache_bytes <= bytes);
	}
	assert_true(stats.evictions > 1000);
	assert_true(stats.cache_entries > 50);
	resolver_free(&r);
}

/* The least cache that can be configured still keeps the largest answers. */
static void
cache_small(void **state)
{
	static char text[LIMIT_DNS_RDATA_BYTES];
	const struct dns_record record = { .text = { text, sizeof(text) } };
	struct fake *f = fake_new(false);
	struct resolver *r = fake_resolver(f, 64 * 1024, &standing);
	struct arena *a = arena_new(1 << 20);

	(void)state;
	memset(text, 'x', sizeof(text));
	f->draft.records = &record;
	for (int i = 0; i < 2; i++) {
		struct lookups *l = lookups_new(a, r, &wide);

		assert_int_equal(lookups_ask(l, SLICE("big.example"), DNS_TXT)->count, 1);
		lookups_fini(&l);
	}
	assert_int_equal(f->asked, 1);
	resolver_free(&r);
	arena_free(&a);
}

static void
cache_off(void **state)
{
	struct fake *f = fake_new(false);
	struct resolver *r = fake_resolver(f, 1, &standing);

	(void)state;
	assert_false(ask_once(r, "a.example", DNS_OK));
	assert_false(ask_once(r, "a.example", DNS_OK));
	resolver_free(&r);
}

/* A failure of the name's is remembered; one of our own (too much under way) is not. */
static void
cache_failures(void **state)
{
	static const struct {
		enum dns_reason reason;
		bool kept;
	} rows[] = {
		{ DNS_R_SERVFAIL, true },
		{ DNS_R_TIMEOUT, true },
		{ DNS_R_BOGUS, true },
		{ DNS_R_BUSY, false },
		{ DNS_R_CLOSING, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake *f = fake_new(false);
		struct resolver *r = fake_resolver(f, 0, &standing);

		f->draft = (struct dns_answer){ .status = DNS_TEMPFAIL, .reason = rows[i].reason };
		(void)ask_once(r, "a.example", DNS_TEMPFAIL);
		if (ask_once(r, "a.example", DNS_TEMPFAIL) != rows[i].kept)
			fail_msg("%s: got %s, want %s (RFC 2308 7)",
			    dns_reason_text(rows[i].reason), rows[i].kept ? "forgotten" : "kept",
			    rows[i].kept ? "kept" : "forgotten");
		resolver_free(&r);
	}
}

/* ---- flights ---- */

static void *
ask_in_thread(void *arg)
{
	(void)ask_once(arg, "same.example", DNS_OK);
	return NULL;
}

static void
single_flight(void **state)
{
	struct fake *f = fake_new(true);
	struct resolver *r = fake_resolver(f, 0, &standing);
	struct resolver_stats stats;
	pthread_t threads[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_in_thread, r), 0);
	do {
		(void)usleep(1000);
		resolver_stats(r, &stats);
	} while (stats.questions < THREADS);
	assert_int_equal(stats.in_flight, 1);
	fake_release(f);
	for (size_t i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	resolver_stats(r, &stats);
	assert_int_equal(f->asked, 1);
	assert_int_equal(stats.upstream, 1);
	assert_int_equal(stats.joined + stats.cache_hits, THREADS - 1);
	assert_int_equal(stats.in_flight, 0);
	resolver_free(&r);
}

static void *
churn(void *arg)
{
	struct arena *a = arena_new(1 << 20);

	for (unsigned round = 0; round < 50; round++) {
		struct lookups *l = lookups_new(a, arg, &wide);

		for (unsigned i = 0; i < 20; i++) {
			char name[32];

			(void)snprintf(name, sizeof(name), "n%u.example", (round * 7 + i) % 40);
			lookups_prefetch(l, slice_str(name), DNS_A);
			if (i % 3 == 0)
				(void)lookups_ask(l, slice_str(name), DNS_A);
			if (i == 10 && round % 10 == 0)
				resolver_flush(arg);
		}
		lookups_fini(&l);
		arena_reset(a);
	}
	arena_free(&a);
	return NULL;
}

/* Nothing to assert but that the sanitizers are silent and nothing is left. */
static void
many_messages_at_once(void **state)
{
	struct fake *f = fake_new(false);
	struct resolver *r = fake_resolver(f, 16 * 1024, &standing);
	struct resolver_stats stats;
	pthread_t threads[8];

	(void)state;
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, r), 0);
	for (size_t i = 0; i < 8; i++)
		(void)pthread_join(threads[i], NULL);
	resolver_stats(r, &stats);
	assert_int_equal(stats.questions, 8 * 50 * 20);
	assert_int_equal(stats.questions, stats.cache_hits + stats.joined + stats.upstream);
	assert_int_equal(stats.in_flight, 0);
	resolver_free(&r);
}

/* ---- one message ---- */

struct message {
	struct arena *arena;
	struct fake *fake;
	struct resolver *resolver;
	struct lookups *lookups;
};

static void
message_open_by(struct message *m, bool hold, const struct lookups_limits *limits,
    const struct dns_clock *clock)
{
	m->arena = arena_new(1 << 20);
	m->fake = fake_new(hold);
	m->resolver = fake_resolver(m->fake, 0, clock);
	m->lookups = lookups_new(m->arena, m->resolver, limits);
}

static void
message_open(struct message *m, bool hold, const struct lookups_limits *limits)
{
	message_open_by(m, hold, limits, &jumping);
}

static void
message_close(struct message *m)
{
	lookups_fini(&m->lookups);
	resolver_free(&m->resolver);
	arena_free(&m->arena);
}

static void
assert_fails(struct message *m, const char *name, enum dns_reason want, uint64_t want_ms)
{
	uint64_t start = fake_now_ms, took;
	const struct dns_answer *answer = lookups_ask(m->lookups, slice_str(name), DNS_A);

	took = fake_now_ms - start;
	if (answer->status != DNS_TEMPFAIL || answer->reason != want)
		fail_msg("%s: got %s (%s), want %s", name, dns_status_word(answer->status),
		    dns_reason_text(answer->reason), dns_reason_text(want));
	if (took != want_ms)
		fail_msg("%s: took %u ms, want %u", name, (unsigned)took, (unsigned)want_ms);
}

static void
deadline(void **state)
{
	static const struct lookups_limits limits = { 60, 20000, 300 };
	struct message m;

	(void)state;
	message_open(&m, true, &limits);
	assert_fails(&m, "silent.example", DNS_R_TIMEOUT, 60);
	assert_fails(&m, "silent.example", DNS_R_TIMEOUT, 0); /* the answer stays */
	/* A prefetch's time runs from its start. */
	lookups_prefetch(m.lookups, SLICE("early.example"), DNS_A);
	fake_now_ms += 40;
	assert_fails(&m, "early.example", DNS_R_TIMEOUT, 20);
	message_close(&m);
}

/* The clock that is not a fake: never too short. How much too long is up to the machine. */
static void
real_deadline(void **state)
{
	static const struct lookups_limits limits = { 60, 100, 300 };
	uint64_t start = dns_monotonic_ms(), took[3];
	struct message m;

	(void)state;
	message_open_by(&m, true, &limits, NULL);
	lookups_prefetch(m.lookups, SLICE("one.example"), DNS_A);
	assert_int_equal(
	    lookups_ask(m.lookups, SLICE("one.example"), DNS_A)->reason, DNS_R_TIMEOUT);
	took[0] = dns_monotonic_ms() - start;
	(void)lookups_ask(m.lookups, SLICE("two.example"), DNS_A);
	took[1] = dns_monotonic_ms() - start;
	assert_int_equal(
	    lookups_ask(m.lookups, SLICE("three.example"), DNS_A)->reason, DNS_R_BUDGET);
	took[2] = dns_monotonic_ms() - start;
	message_close(&m);
	if (took[0] < 60 || took[1] < 100 || took[2] < 100)
		fail_msg("after %u, %u and %u ms, want 60, 100 and 100", (unsigned)took[0],
		    (unsigned)took[1], (unsigned)took[2]);
}

/* The one who asked has gone; the answer comes all the same and is kept for the next. */
static void
late_answer(void **state)
{
	static const struct lookups_limits limits = { 30, 20000, 300 };
	struct resolver_stats stats;
	struct message m;

	(void)state;
	message_open(&m, true, &limits);
	assert_fails(&m, "late.example", DNS_R_TIMEOUT, 30);
	lookups_fini(&m.lookups);
	fake_release(m.fake);
	assert_true(ask_once(m.resolver, "late.example", DNS_OK));
	resolver_stats(m.resolver, &stats);
	assert_int_equal(stats.in_flight, 0);
	message_close(&m);
}

/* RFC 7208 4.6.4: all waiting for one message is bounded. */
static void
budget(void **state)
{
	static const struct lookups_limits limits = { 50, 80, 300 };
	struct message m;

	(void)state;
	message_open(&m, true, &limits);
	lookups_prefetch(m.lookups, SLICE("known.example"), DNS_A);
	fake_release(m.fake);
	assert_fails(&m, "one.example", DNS_R_TIMEOUT, 50);
	assert_fails(&m, "two.example", DNS_R_BUDGET, 30);
	assert_fails(&m, "three.example", DNS_R_BUDGET, 0);
	assert_int_equal(m.fake->asked, 3); /* three.example was not even started */
	assert_int_equal(lookups_ask(m.lookups, SLICE("known.example"), DNS_A)->status, DNS_OK);
	message_close(&m);
}

static void
too_many(void **state)
{
	static const struct lookups_limits limits = { 50, 20000, 2 };
	struct message m;
	size_t n;

	(void)state;
	message_open(&m, false, &limits);
	lookups_prefetch(m.lookups, SLICE("one.example"), DNS_A);
	assert_int_equal(lookups_ask(m.lookups, SLICE("two.example"), DNS_A)->status, DNS_OK);
	assert_fails(&m, "three.example", DNS_R_TOO_MANY, 0);
	assert_fails(&m, "four.example", DNS_R_TOO_MANY, 0);
	lookups_prefetch(m.lookups, SLICE("five.example"), DNS_A);
	/* What was asked before can be asked again. */
	assert_int_equal(lookups_ask(m.lookups, SLICE("one.example."), DNS_A)->status, DNS_OK);
	(void)lookups_log(m.lookups, &n);
	assert_int_equal(n, 2);
	assert_int_equal(m.fake->asked, 2);
	message_close(&m);
}

/* What phase one has used up is there again in phase two, and what it had no time for is asked. */
static void
next_phase_time(void **state)
{
	static const struct lookups_limits limits = { 50, 80, 300 };
	struct message m;

	(void)state;
	message_open(&m, true, &limits);
	assert_fails(&m, "one.example", DNS_R_TIMEOUT, 50);
	assert_fails(&m, "two.example", DNS_R_BUDGET, 30);
	assert_fails(&m, "three.example", DNS_R_BUDGET, 0);
	lookups_prefetch(m.lookups, SLICE("four.example"), DNS_A);
	assert_int_equal(m.fake->asked, 2); /* neither three nor four */

	lookups_next_phase(m.lookups);
	assert_fails(&m, "one.example", DNS_R_TIMEOUT, 0); /* its own time was up: it stays */
	assert_fails(&m, "two.example", DNS_R_TIMEOUT, 50);
	assert_int_equal(m.fake->asked, 2); /* the old flight was joined */
	assert_fails(&m, "five.example", DNS_R_BUDGET, 30);
	assert_fails(&m, "five.example", DNS_R_BUDGET, 0); /* no new phase, no new try */

	lookups_next_phase(m.lookups);
	fake_release(m.fake);
	m.fake->hold = false;
	assert_int_equal(lookups_ask(m.lookups, SLICE("three.example"), DNS_A)->status, DNS_OK);
	/* A prefetch that was never started. */
	assert_int_equal(lookups_ask(m.lookups, SLICE("four.example"), DNS_A)->status, DNS_OK);
	assert_int_equal(lookups_ask(m.lookups, SLICE("five.example"), DNS_A)->status, DNS_OK);
	message_close(&m);
}

static void
next_phase_count(void **state)
{
	static const struct lookups_limits limits = { 50, 20000, 2 };
	struct message m;
	size_t n;

	(void)state;
	message_open(&m, false, &limits);
	lookups_prefetch(m.lookups, SLICE("one.example"), DNS_A);
	lookups_prefetch(m.lookups, SLICE("two.example"), DNS_A);
	assert_fails(&m, "three.example", DNS_R_TOO_MANY, 0);

	lookups_next_phase(m.lookups);
	/* An answer of phase one costs nothing in phase two. */
	assert_int_equal(lookups_ask(m.lookups, SLICE("one.example"), DNS_A)->status, DNS_OK);
	assert_int_equal(lookups_ask(m.lookups, SLICE("three.example"), DNS_A)->status, DNS_OK);
	assert_int_equal(lookups_ask(m.lookups, SLICE("four.example"), DNS_A)->status, DNS_OK);
	assert_fails(&m, "five.example", DNS_R_TOO_MANY, 0);
	(void)lookups_log(m.lookups, &n);
	assert_int_equal(n, 4);
	assert_int_equal(m.fake->asked, 4);
	message_close(&m);
}

static void
story(void **state)
{
	const struct lookup *log;
	struct message m;
	size_t n;

	(void)state;
	message_open(&m, true, &wide);
	lookups_prefetch(m.lookups, SLICE("Early.example"), DNS_A);
	lookups_prefetch(m.lookups, SLICE("early.example."), DNS_A);
	assert_int_equal(lookups_ask(m.lookups, SLICE("a..b"), DNS_A)->reason, DNS_R_BAD_NAME);
	log = lookups_log(m.lookups, &n);
	assert_int_equal(n, 2);
	assert_slice(log[0].name, "early.example");
	assert_null(log[0].answer);
	assert_slice(log[1].name, "a..b");
	assert_int_equal(log[1].answer->status, DNS_NXDOMAIN);
	fake_release(m.fake);
	log = lookups_log(m.lookups, &n);
	assert_int_equal(log[0].answer->status, DNS_OK);
	assert_false(log[0].cached);
	assert_ptr_equal(lookups_ask(m.lookups, SLICE("EARLY.example"), DNS_A), log[0].answer);
	message_close(&m);
}

/* What the backend never answers ends when the resolver does, and the backend is let go. */
static void
closing(void **state)
{
	static const struct lookups_limits limits = { 10, 20000, 300 };
	_Atomic(size_t) closed = 0;
	struct message m;

	(void)state;
	message_open(&m, true, &limits);
	m.fake->closed = &closed;
	assert_fails(&m, "silent.example", DNS_R_TIMEOUT, 10);
	lookups_prefetch(m.lookups, SLICE("other.example"), DNS_A);
	message_close(&m);
	assert_int_equal(closed, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoded_once),
		cmocka_unit_test(decoded_by_many),
		cmocka_unit_test(cache_ttl),
		cmocka_unit_test(cache_flush),
		cmocka_unit_test(cache_bound),
		cmocka_unit_test(cache_small),
		cmocka_unit_test(cache_off),
		cmocka_unit_test(cache_failures),
		cmocka_unit_test(single_flight),
		cmocka_unit_test(many_messages_at_once),
		cmocka_unit_test(deadline),
		cmocka_unit_test(real_deadline),
		cmocka_unit_test(late_answer),
		cmocka_unit_test(budget),
		cmocka_unit_test(too_many),
		cmocka_unit_test(next_phase_time),
		cmocka_unit_test(next_phase_count),
		cmocka_unit_test(story),
		cmocka_unit_test(closing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
