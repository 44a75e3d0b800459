/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers, the resolver's cache and its flights, over a fake backend.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/dns_fake.h"

static const struct lookups_limits wide = { 5000, 20000, 300 };

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
	const struct dns_answer draft = {
		.status = DNS_OK, .count = 1, .records = &dns_fake_address
	};
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
	const struct dns_answer draft = {
		.status = DNS_OK, .count = 1, .records = &dns_fake_address
	};
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
		struct dns_fake *f = dns_fake_new(false);
		struct resolver *r = dns_fake_resolver(f, 0, &dns_fake_standing);
		bool first, inside, after;

		f->draft = rows[i].draft;
		f->draft.records = &dns_fake_address;
		first = dns_fake_ask(r, "a.example", rows[i].draft.status);
		dns_fake_now_ms += rows[i].kept_s * 1000 - 1;
		inside = dns_fake_ask(r, "A.EXAMPLE.", rows[i].draft.status);
		dns_fake_now_ms += 1;
		after = dns_fake_ask(r, "a.example", rows[i].draft.status);
		if (first || !inside || after || f->asked != 2)
			fail_msg("%s: cached %d %d %d, asked %zu", rows[i].name, first, inside,
			    after, (size_t)f->asked);
		resolver_free(&r);
	}
}

static void
cache_flush(void **state)
{
	struct dns_fake *f = dns_fake_new(false);
	struct resolver *r = dns_fake_resolver(f, 0, &dns_fake_standing);
	struct resolver_stats stats;

	(void)state;
	assert_false(dns_fake_ask(r, "a.example", DNS_OK));
	assert_true(dns_fake_ask(r, "a.example", DNS_OK));
	resolver_flush(r);
	resolver_stats(r, &stats);
	assert_int_equal(stats.cache_entries, 0);
	assert_int_equal(stats.cache_bytes, 0);
	assert_false(dns_fake_ask(r, "a.example", DNS_OK));
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
	struct dns_fake *f = dns_fake_new(false);
	struct resolver *r = dns_fake_resolver(f, bytes, &dns_fake_standing);
	struct resolver_stats stats;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "n%d.example", i);
		(void)dns_fake_ask(r, name, DNS_OK);
		/* What is used stays, however much else comes by. */
		if (i % 10 == 0 && dns_fake_ask(r, "hot.example", DNS_OK) != (i > 0))
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
	struct dns_fake *f = dns_fake_new(false);
	struct resolver *r = dns_fake_resolver(f, 64 * 1024, &dns_fake_standing);
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
	struct dns_fake *f = dns_fake_new(false);
	struct resolver *r = dns_fake_resolver(f, 1, &dns_fake_standing);

	(void)state;
	assert_false(dns_fake_ask(r, "a.example", DNS_OK));
	assert_false(dns_fake_ask(r, "a.example", DNS_OK));
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
		struct dns_fake *f = dns_fake_new(false);
		struct resolver *r = dns_fake_resolver(f, 0, &dns_fake_standing);

		f->draft = (struct dns_answer){ .status = DNS_TEMPFAIL, .reason = rows[i].reason };
		(void)dns_fake_ask(r, "a.example", DNS_TEMPFAIL);
		if (dns_fake_ask(r, "a.example", DNS_TEMPFAIL) != rows[i].kept)
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
	(void)dns_fake_ask(arg, "same.example", DNS_OK);
	return NULL;
}

static void
single_flight(void **state)
{
	struct dns_fake *f = dns_fake_new(true);
	struct resolver *r = dns_fake_resolver(f, 0, &dns_fake_standing);
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
	dns_fake_release(f);
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
	struct dns_fake *f = dns_fake_new(false);
	struct resolver *r = dns_fake_resolver(f, 16 * 1024, &dns_fake_standing);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
