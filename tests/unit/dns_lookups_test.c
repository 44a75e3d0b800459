/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One message's lookups: its time, its number of questions, its phases; over a fake backend that
 * waits or never answers.
 */
#include "tests/support/dns_fake.h"

static const struct lookups_limits wide = { 5000, 20000, 300 };

struct message {
	struct arena *arena;
	struct dns_fake *fake;
	struct resolver *resolver;
	struct lookups *lookups;
};

static void
message_open_by(struct message *m, bool hold, const struct lookups_limits *limits,
    const struct dns_clock *clock)
{
	m->arena = arena_new(1 << 20);
	m->fake = dns_fake_new(hold);
	m->resolver = dns_fake_resolver(m->fake, 0, clock);
	m->lookups = lookups_new(m->arena, m->resolver, limits);
}

static void
message_open(struct message *m, bool hold, const struct lookups_limits *limits)
{
	message_open_by(m, hold, limits, &dns_fake_jumping);
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
	uint64_t start = dns_fake_now_ms, took;
	const struct dns_answer *answer = lookups_ask(m->lookups, slice_str(name), DNS_A);

	took = dns_fake_now_ms - start;
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
	dns_fake_now_ms += 40;
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
	dns_fake_release(m.fake);
	assert_true(dns_fake_ask(m.resolver, "late.example", DNS_OK));
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
	dns_fake_release(m.fake);
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
	dns_fake_release(m.fake);
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
	dns_fake_release(m.fake);
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
