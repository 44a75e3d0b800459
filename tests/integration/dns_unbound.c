/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The libunbound backend against servers that answer, that lie, that are slow and that are silent.
 * Started by dns_test.sh, which provides in the environment:
 *   DNS_TEST_SERVER  address@port of nsd       DNS_TEST_ANCHOR  trust anchors of its signed zones
 *   DNS_TEST_FOLDER  a folder for files
 * The silent and the slow server are sockets of this program.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/base/strbuf.h"
#include "policy/dns/internal.h"
#include "tests/support/support.h"

static const struct lookups_limits wide = { 5000, 20000, 300 };

/* ---- a resolver over libunbound ---- */

struct net {
	struct arena *arena;
	struct resolver *resolver;
	struct lookups *lookups;
};

static void
net_open(struct net *n, const struct dns_unbound_options *options, const struct lookups_limits *l)
{
	const char *error;
	struct dns_backend *backend;

	n->arena = arena_new(1 << 22);
	backend = dns_unbound_new(n->arena, options, &error);
	if (backend == NULL)
		fail_msg("dns_unbound_new: %s", error);
	n->resolver = resolver_new(backend, NULL);
	n->lookups = lookups_new(n->arena, n->resolver, l);
}

static void
net_open_forward(
    struct net *n, const char *server, const char *anchor, const struct lookups_limits *limits)
{
	const struct dns_unbound_options options = { .mode = DNS_MODE_FORWARD,
		.forwarders = &server,
		.forwarder_count = 1,
		.trust_anchor_file = anchor };

	net_open(n, &options, limits);
}

static void
net_close(struct net *n)
{
	lookups_fini(&n->lookups);
	resolver_free(&n->resolver);
	arena_free(&n->arena);
}

static size_t
open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

/* ---- answers of a real server ---- */

static const char *
print_answer(struct arena *a, const struct dns_answer *answer, enum dns_type type)
{
	struct strbuf b;

	strbuf_init(&b, a, 1 << 20);
	strbuf_printf(
	    &b, "%s %s", dns_status_word(answer->status), dns_security_word(answer->security));
	if (answer->reason != DNS_R_NONE)
		strbuf_printf(&b, " %s", dns_reason_text(answer->reason));
	for (size_t i = 0; i < answer->count; i++) {
		const struct dns_record *r = &answer->records[i];
		char ip[IP_TEXT_BYTES];

		strbuf_char(&b, i == 0 ? ' ' : '|');
		if (type == DNS_A || type == DNS_AAAA)
			strbuf_str(&b, ip_print(&r->address, ip));
		else if (type == DNS_MX)
			strbuf_printf(&b, "%u %s", r->mx.preference, r->mx.host.p);
		else if (r->text.len > 100)
			strbuf_printf(&b, "%zu bytes", r->text.len);
		else
			strbuf_add(&b, r->text); /* the same place as name */
	}
	return strbuf_slice(&b).p;
}

static const struct question {
	const char *name;
	enum dns_type type;
	const char *want;
} questions[] = {
	{ "a.plain.example", DNS_A, "ok insecure 192.0.2.1" },
	{ "a.plain.example", DNS_AAAA, "ok insecure 2001:db8::1" },
	{ "TXT.plain.example.", DNS_TXT, "ok insecure v=spf1 -all" },
	{ "mx.plain.example", DNS_MX, "ok insecure 10 a.plain.example|20 b.plain.example" },
	{ "alias.plain.example", DNS_AAAA, "ok insecure 2001:db8::1" },
	{ "alias.plain.example", DNS_TXT, "nodata insecure" },
	{ "dangling.plain.example", DNS_A, "nxdomain insecure" },
	{ "nowhere.plain.example", DNS_A, "nxdomain insecure" },
	{ "a.plain.example", DNS_TXT, "nodata insecure" },
	{ "big.plain.example", DNS_TXT, "ok insecure 5000 bytes" }, /* over TCP */
	{ "sp ace.plain.example", DNS_A, "ok insecure 192.0.2.2" },
	/* The library's own idea of these is out of the way (RFC 6761, RFC 6303). */
	{ "a.x.test", DNS_A, "ok insecure 192.0.2.1" },
	{ "1.2.0.192.in-addr.arpa", DNS_PTR, "ok insecure host.example" },
	{ "a.refused.example", DNS_A, "tempfail insecure server failure" },
	/* RFC 4035 4.3 */
	{ "a.signed.example", DNS_A, "ok secure 192.0.2.1" },
	{ "alias.signed.example", DNS_A, "ok secure 192.0.2.1" },
	{ "big.signed.example", DNS_TXT, "ok secure 5000 bytes" },
	{ "a.signed.example", DNS_TXT, "nodata secure" },
	{ "nowhere.signed.example", DNS_A, "nxdomain secure" },
	{ "a.child.signed.example", DNS_A, "ok insecure 192.0.2.1" },
	{ "tampered.signed.example", DNS_A, "tempfail bogus DNSSEC validation failed" },
	{ "a.old.example", DNS_A, "tempfail bogus DNSSEC validation failed" },
	{ "nowhere.old.example", DNS_A, "tempfail bogus DNSSEC validation failed" },
};
#define QUESTION_COUNT (sizeof(questions) / sizeof(questions[0]))

static void
real_answers(void **state)
{
	size_t before = open_descriptors();
	struct net n;

	(void)state;
	net_open_forward(&n, getenv("DNS_TEST_SERVER"), getenv("DNS_TEST_ANCHOR"), &wide);
	for (size_t i = 0; i < QUESTION_COUNT; i++)
		lookups_prefetch(n.lookups, slice_str(questions[i].name), questions[i].type);
	for (size_t i = 0; i < QUESTION_COUNT; i++) {
		const struct question *q = &questions[i];
		const struct dns_answer *answer = lookups_ask(
		    n.lookups, slice_str(q->name), q->type);
		const char *got = print_answer(n.arena, answer, q->type);

		if (strcmp(got, q->want) != 0)
			fail_msg("%s %s:\n  got  %s (%s)\n  want %s", q->name,
			    dns_type_word(q->type), got,
			    arena_printable(n.arena, answer->detail, 500), q->want);
		if (answer->security == DNS_BOGUS && answer->detail.len == 0)
			fail_msg("%s: bogus without a word why", q->name);
	}
	net_close(&n);
	assert_int_equal(open_descriptors(), before);
}

/* Without an anchor nothing is validated: expired signatures don't matter. */
static void
no_validation(void **state)
{
	struct net n;

	(void)state;
	net_open_forward(&n, getenv("DNS_TEST_SERVER"), NULL, &wide);
	assert_string_equal(
	    print_answer(n.arena, lookups_ask(n.lookups, SLICE("a.old.example"), DNS_A), DNS_A),
	    "ok insecure 192.0.2.1");
	net_close(&n);
}

/* ---- a silent server ---- */

/* A UDP socket on loopback; its address@port in text. */
static int
udp_socket(char text[32])
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	(void)snprintf(text, 32, "127.0.0.1@%u", (unsigned)ntohs(sin.sin_port));
	return fd;
}

#define SILENT_NAMES 50

static void
silent_server(void **state)
{
	static const struct lookups_limits limits = { 300, 20000, 300 };
	size_t before = open_descriptors(), with_backend, now;
	struct resolver_stats stats;
	char server[32], name[32];
	int fd = udp_socket(server);
	uint64_t start, took;
	struct net n;
	int seconds = 0;

	(void)state;
	net_open_forward(&n, server, NULL, &limits);
	start = dns_monotonic_ms();
	assert_int_equal(
	    lookups_ask(n.lookups, SLICE("first.example"), DNS_A)->reason, DNS_R_TIMEOUT);
	took = dns_monotonic_ms() - start;
	if (took < 295 || took > 350 + 200)
		fail_msg("a lookup of 300 ms took %u ms", (unsigned)took);
	with_backend = open_descriptors();
	for (int i = 0; i < SILENT_NAMES; i++) {
		(void)snprintf(name, sizeof(name), "n%d.example", i);
		lookups_prefetch(n.lookups, slice_str(name), DNS_A);
	}
	for (int i = 0; i < SILENT_NAMES; i++) {
		(void)snprintf(name, sizeof(name), "n%d.example", i);
		assert_int_equal(
		    lookups_ask(n.lookups, slice_str(name), DNS_A)->reason, DNS_R_TIMEOUT);
	}
	/* All of them flew at once. */
	took = dns_monotonic_ms() - start;
	if (took > 1500)
		fail_msg(
		    "%d prefetched lookups of 300 ms took %u ms", SILENT_NAMES, (unsigned)took);
	/* The backend completes what nobody waits for any more, */
	(void)usleep(100 * 1000);
	resolver_stats(n.resolver, &stats);
	assert_int_equal(stats.in_flight, 0);
	/* and the library closes the sockets when it has given up by itself. */
	while ((now = open_descriptors()) > with_backend && seconds++ < 30)
		(void)sleep(1);
	print_message("silent server: %zu descriptors with the first query out, %zu after %d s\n",
	    with_backend, now, seconds);
	assert_true(now <= with_backend);
	net_close(&n);
	(void)close(fd);
	assert_int_equal(open_descriptors(), before);
}

/* Closing with queries out neither waits for them nor loses them. */
static void
close_in_flight(void **state)
{
	size_t before = open_descriptors();
	char server[32];
	int fd = udp_socket(server);
	uint64_t start;
	struct net n;

	(void)state;
	net_open_forward(&n, server, NULL, &wide);
	lookups_prefetch(n.lookups, SLICE("a.example"), DNS_A);
	lookups_prefetch(n.lookups, SLICE("b.example"), DNS_TXT);
	(void)usleep(20 * 1000);
	start = dns_monotonic_ms();
	net_close(&n);
	assert_true(dns_monotonic_ms() - start < 1000);
	(void)close(fd);
	assert_int_equal(open_descriptors(), before);
}

/* ---- a slow server that counts ---- */

struct slow {
	int fd;
	_Atomic(int) asked;
	atomic_bool silent;
	useconds_t delay_us;
};

/* Answers every question with 192.0.2.1. */
static void *
serve_slowly(void *arg)
{
	static const unsigned char record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2,
		1 };
	struct slow *s = arg;
	struct sockaddr_in from;

	for (;;) {
		unsigned char packet[1024];
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(
		    s->fd, packet, sizeof(packet) / 2, 0, (struct sockaddr *)&from, &from_len);
		size_t end = 12;

		if (n <= 12) /* one byte: stop */
			return NULL;
		s->asked++;
		if (s->silent)
			continue;
		(void)usleep(s->delay_us);
		while (end < (size_t)n && packet[end] != 0)
			end += packet[end] + 1u;
		end += 5; /* root, type, class */
		memcpy(packet + end, record, sizeof(record));
		packet[2] = 0x85; /* QR AA RD */
		packet[3] = 0x80; /* RA */
		packet[7] = 1;	  /* one answer */
		packet[11] = 0;	  /* no OPT */
		(void)sendto(
		    s->fd, packet, end + sizeof(record), 0, (struct sockaddr *)&from, from_len);
	}
}

static void
slow_start(struct slow *s, pthread_t *thread, char address[32])
{
	s->fd = udp_socket(address);
	assert_int_equal(pthread_create(thread, NULL, serve_slowly, s), 0);
}

static void
slow_stop(struct slow *s, pthread_t thread)
{
	struct sockaddr_in self;
	socklen_t self_len = sizeof(self);

	(void)getsockname(s->fd, (struct sockaddr *)&self, &self_len);
	(void)sendto(s->fd, "x", 1, 0, (struct sockaddr *)&self, self_len);
	(void)pthread_join(thread, NULL);
	(void)close(s->fd);
}

static void *
ask_in_thread(void *arg)
{
	struct arena *a = arena_new(1 << 20);
	struct lookups *l = lookups_new(a, arg, &wide);
	const struct dns_answer *answer = lookups_ask(l, SLICE("same.example"), DNS_A);
	bool good = answer->status == DNS_OK && answer->count == 1;

	lookups_fini(&l);
	arena_free(&a);
	return good ? arg : NULL;
}

#define THREADS 100

static void
hundred_ask_one(void **state)
{
	struct slow s = { .delay_us = 200 * 1000 };
	pthread_t server, threads[THREADS];
	struct resolver_stats stats;
	char text[32];
	struct net n;

	(void)state;
	slow_start(&s, &server, text);
	net_open_forward(&n, text, NULL, &wide);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_in_thread, n.resolver), 0);
	for (size_t i = 0; i < THREADS; i++) {
		void *good;

		(void)pthread_join(threads[i], &good);
		assert_non_null(good);
	}
	resolver_stats(n.resolver, &stats);
	assert_int_equal(stats.upstream, 1);
	assert_int_equal(stats.questions, THREADS);
	assert_int_equal(s.asked, 1);
	net_close(&n);
	slow_stop(&s, server);
}

/* Questions of one thread, each with a time-out of its own. */
struct racer {
	struct resolver *resolver;
	uint32_t number;
	unsigned answered, late, other;
};

#define RACERS	    6
#define RACE_ROUNDS 60

static void *
race(void *arg)
{
	struct racer *racer = arg;
	struct arena *a = arena_new(1 << 20);

	for (uint32_t i = 0; i < RACE_ROUNDS; i++) {
		const struct lookups_limits limits = { 1 + i % 15, 20000, 300 };
		struct lookups *l = lookups_new(a, racer->resolver, &limits);
		const char *name = arena_printf(a, "r%u-%u.example", racer->number, i);
		const struct dns_answer *answer = lookups_ask(l, slice_str(name), DNS_A);

		if (answer->status == DNS_OK)
			racer->answered++;
		else if (answer->reason == DNS_R_TIMEOUT)
			racer->late++;
		else
			racer->other++;
		lookups_fini(&l);
	}
	arena_free(&a);
	return NULL;
}

/* Answers come about when their time is up: callback, cancel and departure meet in every order. */
static void
answers_race_deadlines(void **state)
{
	struct slow s = { .delay_us = 1000 };
	struct racer racers[RACERS];
	pthread_t server, threads[RACERS];
	unsigned answered = 0, late = 0;
	struct resolver_stats stats;
	char text[32];
	struct net n;

	(void)state;
	slow_start(&s, &server, text);
	net_open_forward(&n, text, NULL, &wide);
	for (uint32_t i = 0; i < RACERS; i++) {
		racers[i] = (struct racer){ .resolver = n.resolver, .number = i };
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (size_t i = 0; i < RACERS; i++) {
		(void)pthread_join(threads[i], NULL);
		answered += racers[i].answered;
		late += racers[i].late;
		assert_int_equal(racers[i].other, 0);
	}
	print_message("race: %u answered, %u late\n", answered, late);
	assert_int_equal(answered + late, RACERS * RACE_ROUNDS);
	assert_true(late > 0);
	(void)usleep(100 * 1000);
	resolver_stats(n.resolver, &stats);
	assert_int_equal(stats.in_flight, 0);
	net_close(&n);
	slow_stop(&s, server);
}

/* ---- reload ---- */

struct asker {
	struct net net;
	uint32_t number;
};

#define QUESTIONS_EACH 20

/* Half of the questions are waited for, half are under way when all is closed. */
static void *
ask_and_close(void *arg)
{
	struct asker *asker = arg;
	struct net *n = &asker->net;
	size_t good = 0;

	for (int i = 0; i < 2 * QUESTIONS_EACH; i++)
		lookups_prefetch(n->lookups,
		    slice_str(arena_printf(n->arena, "n%u-%d.example", asker->number, i)), DNS_A);
	for (int i = 0; i < QUESTIONS_EACH; i++)
		good += lookups_ask(n->lookups,
			    slice_str(arena_printf(n->arena, "n%u-%d.example", asker->number, i)),
			    DNS_A)
			    ->status == DNS_OK;
	net_close(n);
	return good == QUESTIONS_EACH ? arg : NULL;
}

#define RELOADS 30

/* At a reload a new one is made while older ones are in use, and an old one goes as soon as its
 * last message is over, whatever it still has under way. */
static void
old_and_new(void **state)
{
	struct slow s = { .delay_us = 200 };
	static struct asker askers[RELOADS];
	pthread_t server, threads[RELOADS];
	size_t before = open_descriptors();
	char text[32];

	(void)state;
	slow_start(&s, &server, text);
	for (uint32_t i = 0; i < RELOADS; i++) {
		askers[i].number = i;
		net_open_forward(&askers[i].net, text, NULL, &wide);
		assert_int_equal(pthread_create(&threads[i], NULL, ask_and_close, &askers[i]), 0);
		(void)usleep(2000);
	}
	for (size_t i = 0; i < RELOADS; i++) {
		void *good;

		(void)pthread_join(threads[i], &good);
		assert_non_null(good);
	}
	slow_stop(&s, server);
	assert_int_equal(open_descriptors(), before);
}

/* A server that was silent for a while is believed again soon after it comes back. */
static void
server_comes_back(void **state)
{
	static const struct lookups_limits limits = { 400, 600000, 10000 };
	struct slow s = { .silent = true };
	pthread_t server;
	char text[32], name[32];
	uint64_t start, took = 0;
	struct net n;
	int i = 0;

	(void)state;
	slow_start(&s, &server, text);
	net_open_forward(&n, text, NULL, &limits);
	for (int round = 0; round < 20; round++) {
		for (int k = 0; k < 5; k++) {
			(void)snprintf(name, sizeof(name), "s%d.example", i++);
			lookups_prefetch(n.lookups, slice_str(name), DNS_A);
		}
		/* A time-out, or the library has noticed by itself. */
		assert_int_equal(
		    lookups_ask(n.lookups, slice_str(name), DNS_A)->status, DNS_TEMPFAIL);
	}
	s.silent = false;
	start = dns_monotonic_ms();
	do {
		(void)usleep(100 * 1000);
		(void)snprintf(name, sizeof(name), "s%d.example", i++);
		took = dns_monotonic_ms() - start;
	} while (lookups_ask(n.lookups, slice_str(name), DNS_A)->status != DNS_OK && took < 30000);
	print_message("server back: believed after %u ms\n", (unsigned)took);
	assert_true(took < 10000);
	net_close(&n);
	slow_stop(&s, server);
}

/* ---- set-up ---- */

static const char *
put_file(struct arena *a, const char *name, const char *text)
{
	const char *path = arena_printf(a, "%s/%s", getenv("DNS_TEST_FOLDER"), name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	(void)fputs(text, f);
	(void)fclose(f);
	return path;
}

static void
bad_options(void **state)
{
	static const char *const bad_server[] = { "192.0.2.1", "dns.example" };
	struct arena *a = arena_new(1 << 20);
	const char *const good[] = { "127.0.0.1" };
	const struct {
		struct dns_unbound_options options;
		const char *want;
	} rows[] = {
		{ { .mode = DNS_MODE_FORWARD }, "no forwarder given" },
		{ { .mode = DNS_MODE_FORWARD, .forwarders = bad_server, .forwarder_count = 2 },
		    "forwarder \"dns.example\" is neither address nor address@port" },
		{ { .mode = DNS_MODE_SYSTEM, .resolv_conf = "/nonexistent/resolv.conf" },
		    "can't read /nonexistent/resolv.conf: No such file or directory" },
		{ { .mode = DNS_MODE_SYSTEM,
		      .resolv_conf = put_file(a, "bad.conf", "nameserver never\n") },
		    "bad.conf: a nameserver is no address" },
		{ { .mode = DNS_MODE_FORWARD,
		      .forwarders = good,
		      .forwarder_count = 1,
		      .trust_anchor_file = "/nonexistent/anchor" },
		    "can't read trust anchor file /nonexistent/anchor: No such file or directory" },
		{ { .mode = DNS_MODE_FORWARD,
		      .forwarders = good,
		      .forwarder_count = 1,
		      .trust_anchor_file = put_file(a, "bad.anchor", "this is no anchor\n") },
		    "libunbound: " },
	};
	size_t before = open_descriptors();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *error = NULL;

		if (dns_unbound_new(a, &rows[i].options, &error) != NULL)
			fail_msg("row %zu was taken", i);
		if (strstr(error, rows[i].want) == NULL)
			fail_msg("row %zu: got %s, want %s", i, error, rows[i].want);
		print_message("refused: %s\n", error);
	}
	arena_free(&a);
	assert_int_equal(open_descriptors(), before);
}

/* Both modes can be set up; nothing is asked, for that would leave the machine. */
static void
other_modes(void **state)
{
	struct arena *a = arena_new(1 << 20);
	const struct dns_unbound_options options[] = {
		{ .mode = DNS_MODE_RECURSIVE },
		{ .mode = DNS_MODE_SYSTEM,
		    .resolv_conf = put_file(a, "good.conf", "nameserver 127.0.0.1\n") },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct net n;

		net_open(&n, &options[i], &wide);
		/* Answered by the library itself (RFC 6761 6.4). */
		assert_int_equal(
		    lookups_ask(n.lookups, SLICE("x.invalid"), DNS_A)->status, DNS_NXDOMAIN);
		net_close(&n);
	}
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_answers),
		cmocka_unit_test(no_validation),
		cmocka_unit_test(silent_server),
		cmocka_unit_test(close_in_flight),
		cmocka_unit_test(hundred_ask_one),
		cmocka_unit_test(answers_race_deadlines),
		cmocka_unit_test(old_and_new),
		cmocka_unit_test(server_comes_back),
		cmocka_unit_test(bad_options),
		cmocka_unit_test(other_modes),
	};

	if (getenv("DNS_TEST_SERVER") == NULL) {
		print_message("SKIPPED: to be started by dns_test.sh\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
