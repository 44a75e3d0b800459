/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * assayd with peers that are slow, many, silent, or cut their words anywhere; and with a DNS that
 * never answers. What only the native front promises is skipped on the other.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "policy/base/limits.h"
#include "tests/harness/milter_rig.h"
#include "tests/support/mta_script.h"

#define SLOW_PEERS    40
#define IDLE_PEERS    500
#define FEW_PEERS     64
#define WAITING_PEERS 24
#define THREADS_AT_REST                                                                            \
	24 /* loops, libunbound, log and the like, on a machine with many processors */
#define SAID_MAX    8192
#define CROWD	    (LIMIT_MILTER_THREADS + 100)
#define WAITING_KIB 32 /* a message that waits: a session, the stack and the buffer of a thread */

static bool
is_native(void)
{
	return strcmp(front_name(), "native") == 0;
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* A descriptor for each of a crowd. */
static void
allow_files(void)
{
	struct rlimit files;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_max < CROWD + 100)
		skip();
	files.rlim_cur = files.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
}

static size_t
threads_of(const struct rig *g)
{
	struct dirent *entry;
	size_t count = 0;
	char path[64];
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%ld/task", (long)g->assayd.pid);
	d = opendir(path);
	assert_non_null(d);
	while ((entry = readdir(d)) != NULL)
		count += entry->d_name[0] != '.';
	(void)closedir(d);
	return count;
}

static long
memory_kib(const struct rig *g)
{
	char path[64], line[128];
	long kib = -1;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%ld/status", (long)g->assayd.pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	(void)fclose(f);
	return kib;
}

static void
write_forgery(struct mta_script *s)
{
	s->len = 0;
	mta_offer(s, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS);
	mta_connect(s, "198.51.100.5");
	mta_message(s, "<x@evil.example>", " a@reject.example");
	mta_say(s, 'Q', NULL, 0);
}

/* Send two parts (or, cut 0, a byte at a time) and read all that is said. */
static size_t
talk(const struct rig *g, const struct mta_script *s, size_t cut, unsigned char *said)
{
	size_t piece = cut == 0 ? 1 : cut, len;
	struct milter_client c;

	must(&c, milter_open(&c, g->address, WAIT_MS));
	for (size_t at = 0; at < s->len; at += piece, piece = cut == 0 ? 1 : s->len)
		must(&c,
		    milter_send_raw(&c, s->bytes + at, piece < s->len - at ? piece : s->len - at));
	len = milter_receive_all(&c, said, SAID_MAX);
	if (len == MILTER_NO_END)
		fail_msg("cut at %zu: %s", cut, c.error);
	milter_close(&c);
	return milter_without_progress(said, len);
}

static void
test_cut_at_every_byte(void **state)
{
	static unsigned char whole[SAID_MAX], cut[SAID_MAX];
	static struct mta_script s;
	size_t whole_len;
	struct rig g;

	rig_open(&g, state, false, "");
	write_forgery(&s);
	whole_len = talk(&g, &s, s.len, whole);
	assert_true(whole_len > 100);
	for (size_t at = 0; at < s.len; at++) {
		assert_int_equal(talk(&g, &s, at, cut), whole_len);
		assert_memory_equal(cut, whole, whole_len);
	}
	rig_close(&g);
}

static void
test_oversized(void **state)
{
	static const char *const heads[] = { "\0\x10\0\2L", "\x7f\xff\xff\xffL",
		"\377\377\377\377B" };
	unsigned char said[SAID_MAX];
	struct milter_client c;
	struct rig g;

	rig_open(&g, state, false, "");
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		open_client(&c, &g, 6, "192.0.2.1");
		must(&c, milter_send_raw(&c, heads[i], 5));
		if (is_native()) /* libmilter does not hang up */
			assert_int_equal(milter_receive_all(&c, said, sizeof(said)), 0);
		milter_close(&c);
	}
	expect_alive(&g);
	rig_close(&g);
}

/* Half a frame holds a descriptor and a few bytes, but no thread. libmilter's workers wait for the
 * rest, and once they all do nobody else is served. */
static void
test_slow_peers(void **state)
{
	struct milter_client c[SLOW_PEERS];
	uint64_t began;
	struct rig g;

	if (!is_native())
		skip();
	rig_open(&g, state, false, "");
	expect_alive(&g); /* then no lookup has to be waited for */
	for (size_t i = 0; i < SLOW_PEERS; i++) {
		if (i % 2 == 0) {
			must(&c[i], milter_open(&c[i], g.address, WAIT_MS));
			must(&c[i], milter_send_raw(&c[i], "\0\0\0\15O\0\0", i % 7));
			continue;
		}
		open_client(&c[i], &g, 6, "192.0.2.1");
		must(&c[i], milter_mail(&c[i], "<a@reject.example>"));
		must(&c[i], milter_rcpt(&c[i], "<to@here.example>"));
		must(&c[i], milter_send_raw(&c[i], "\0\0\1\0LSubject", 12));
	}
	began = now_ms();
	expect_alive(&g);
	assert_true(now_ms() - began < SANE_STOP_MS);
	assert_true(threads_of(&g) <= THREADS_AT_REST);
	for (size_t i = 0; i < SLOW_PEERS; i++)
		milter_close(&c[i]);
	expect_alive(&g);
	rig_close(&g);
}

/* Connections that have had a message and wait for the next: what each costs. */
static void
test_idle_peers(void **state)
{
	static struct milter_client c[IDLE_PEERS];
	long few = 0, many;
	struct rig g;

	rig_open(&g, state, false, "");
	for (size_t i = 0; i < IDLE_PEERS; i++) {
		open_client(&c[i], &g, 6, "192.0.2.1");
		expect_good(&c[i]);
		if (i + 1 == FEW_PEERS)
			few = memory_kib(&g);
	}
	many = memory_kib(&g);
	print_message("%s: %ld KiB with %d connections, %ld KiB with %d: %ld bytes each\n",
	    front_name(), few, FEW_PEERS, many, IDLE_PEERS,
	    (many - few) * 1024 / (IDLE_PEERS - FEW_PEERS));
	if (is_native() && getenv("ASSAY_SANITIZED") == NULL) {
		assert_true(few < 24 * 1024);
		assert_true(many < 64 * 1024);
		assert_true((many - few) * 1024 / (IDLE_PEERS - FEW_PEERS) <= 32 * 1024);
		assert_true(threads_of(&g) <= THREADS_AT_REST);
	}
	for (size_t i = 0; i < IDLE_PEERS; i++) {
		if (i % 50 == 0)
			expect_good(&c[i]);
		milter_close(&c[i]);
	}
	expect_alive(&g);
	rig_close(&g);
}

/* libmilter counts from each byte; here a frame has its time once. */
static void
test_silent_peers_are_closed(void **state)
{
	struct milter_client idle, half, busy;
	unsigned char said[SAID_MAX];
	struct rig g;

	if (!is_native())
		skip();
	rig_open(&g, state, false, "milter_timeout = 10s\n");
	open_client(&idle, &g, 6, "192.0.2.1");
	open_client(&half, &g, 6, "192.0.2.1");
	open_client(&busy, &g, 6, "192.0.2.1");
	for (int i = 0; i < 12; i++) {
		expect_good(&busy);
		if (i < 9)
			must(&half, milter_send_raw(&half, &"\0\0\0\15HHHHH"[i], 1));
		sleep_ms(1000);
	}
	assert_int_equal(milter_receive_all(&idle, said, sizeof(said)), 0);
	assert_int_equal(milter_receive_all(&half, said, sizeof(said)), 0);
	assert_true(child_logged(&g.assayd, "connection closed: the MTA was silent", 2, 0));
	expect_good(&busy);
	milter_close(&idle);
	milter_close(&half);
	milter_close(&busy);
	rig_close(&g);
}

/* QUIT_NC is heard also behind a message that was refused; libmilter ignores it there. */
static void
test_next_client_after_a_refusal(void **state)
{
	struct milter_client c;
	struct rig g;

	if (!is_native())
		skip();
	rig_open(&g, state, false, "");
	open_client(&c, &g, 6, "198.51.100.5");
	expect_forgery_refused(&c);
	must(&c, milter_quit_new_connection(&c));
	must(&c, milter_connect(&c, "other.example", "192.0.2.1"));
	must(&c, milter_helo(&c, "other.example"));
	expect_good(&c);
	milter_close(&c);
	rig_close(&g);
}

/* A field that Postfix may send (header_size_limit), and that doesn't fit a frame of 64 KB. */
static void
test_long_field(void **state)
{
	static char value[100000];
	const char *const fields[] = { "From", " a@reject.example", "Subject", value, NULL };
	struct milter_client c;
	struct rig g;

	if (!is_native())
		skip();
	rig_open(&g, state, false, "");
	memset(value, 'x', sizeof(value) - 1);
	open_client(&c, &g, 6, "192.0.2.1");
	send_envelope_and_header(&c, "<a@reject.example>", fields);
	assert_int_equal(finish_message(&c, "4QUEUE"), 'c');
	milter_close(&c);
	rig_close(&g);
}

/* An MTA that doesn't read its answers holds no thread, and hears them once it does. */
static void
test_peer_does_not_read(void **state)
{
	static struct mta_script s;
	struct milter_client c;
	size_t sent = 0;
	struct rig g;
	int small = 1;

	if (!is_native())
		skip();
	rig_open(&g, state, false, "");
	must(&c, milter_open(&c, g.address, 300));
	(void)setsockopt(c.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	s.len = 0;
	mta_offer(&s, 2, MILTER_V2_ACTIONS, MILTER_V2_STEPS);
	mta_connect(&s, "192.0.2.1");
	must(&c, milter_send_raw(&c, s.bytes, s.len));
	s.len = 0;
	for (int i = 0; i < 3000; i++)
		mta_say_text(&s, 'H', "again.example");
	/* Until it is not taken any more: what is not read is not answered for ever. */
	while (milter_send_raw(&c, s.bytes, s.len) == 0 && sent < 64u * 1024 * 1024)
		sent += s.len;
	assert_true(sent < 64u * 1024 * 1024);
	expect_alive(&g);
	assert_true(threads_of(&g) <= THREADS_AT_REST);
	milter_close(&c);
	expect_alive(&g);
	rig_close(&g);
}

/* A DNS server that says nothing; assayd asks it from then on. */
static int
open_silent_dns(struct rig *g, void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int silent = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sin);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(silent, (const struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(silent, (struct sockaddr *)&sin, &len), 0);
	((struct stage *)*state)->forwarder_port = ntohs(sin.sin_port);
	rig_open(g, state, false, "dns_timeout = 3s\ndns_budget = 4s\n");
	((struct stage *)*state)->forwarder_port = 0;
	return silent;
}

/* All of a message, whose answer has to wait for DNS. */
static void
send_waiting(struct milter_client *c)
{
	const char *const fields[] = { "From", " a@reject.example", NULL };

	send_envelope_and_header(c, "<a@reject.example>", fields);
	must(c, milter_send_eom(c));
}

static void
expect_put_off(struct milter_client *c)
{
	assert_int_equal(milter_wait(c), 'y');
	assert_int_equal(strncmp(c->reply, "451 4.", 6), 0);
}

/* Many that wait for DNS hold up nobody who need not. */
static void
test_waiting_holds_nobody_up(void **state)
{
	struct milter_client c[WAITING_PEERS], free_one;
	uint64_t began, took;
	struct rig g;
	int silent = open_silent_dns(&g, state);

	began = now_ms();
	for (size_t i = 0; i < WAITING_PEERS; i++) {
		open_client(&c[i], &g, 6, "192.0.2.1");
		send_waiting(&c[i]);
	}
	open_client(&free_one, &g, 6, "127.0.0.1"); /* trusted: no DNS */
	for (int i = 0; i < 20; i++)
		assert_int_equal(send_message(&free_one, "<x@evil.example>", " a@b.example"), 'c');
	took = now_ms() - began;
	if (is_native() && getenv("ASSAY_SANITIZED") == NULL)
		assert_true(took < 2500);
	for (size_t i = 0; i < WAITING_PEERS; i++) {
		expect_put_off(&c[i]);
		assert_int_equal(c[i].progress_count, 1);
	}
	/* Side by side: not one after the other. */
	assert_true(now_ms() - began < WAIT_MS + SANE_STOP_MS);
	for (size_t i = 0; i < WAITING_PEERS; i++)
		milter_close(&c[i]);
	milter_close(&free_one);
	rig_close(&g);
	(void)close(silent);
}

/* More that wait for DNS than there may be threads: the rest waits with its loop, nobody is
 * refused, everybody is answered. */
static void
test_more_wait_than_threads(void **state)
{
	static struct milter_client c[CROWD];
	size_t threads, most = 0;
	long before;
	struct rig g;
	int silent;

	if (!is_native())
		skip();
	allow_files();
	silent = open_silent_dns(&g, state);
	for (size_t i = 0; i < CROWD; i++)
		open_client(&c[i], &g, 6, "192.0.2.1");
	before = memory_kib(&g);
	assert_true(threads_of(&g) <= THREADS_AT_REST);
	for (size_t i = 0; i < CROWD; i++) /* none of this waits for an answer */
		send_waiting(&c[i]);
	for (int i = 0; i < WAIT_MS / 50 && most < LIMIT_MILTER_THREADS; i++) {
		threads = threads_of(&g);
		most = threads > most ? threads : most;
		sleep_ms(50);
	}
	print_message("%d wait: %zu threads, %ld KiB more\n", CROWD, most, memory_kib(&g) - before);
	if (getenv("ASSAY_SANITIZED") == NULL)
		assert_true(memory_kib(&g) - before < CROWD * WAITING_KIB);
	for (size_t i = 0; i < CROWD; i++) {
		expect_put_off(&c[i]);
		if (i % 100 == 0 && (threads = threads_of(&g)) > most)
			most = threads;
		milter_close(&c[i]);
	}
	assert_true(most >= LIMIT_MILTER_THREADS);
	assert_true(most <= LIMIT_MILTER_THREADS + THREADS_AT_REST);
	assert_false(child_logged(&g.assayd, "connection closed", 1, 0));
	assert_false(child_logged(&g.assayd, "no new connections", 1, 0));
	rig_close(&g);
	(void)close(silent);
}

int
main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_cut_at_every_byte, rig_teardown),
		cmocka_unit_test_teardown(test_oversized, rig_teardown),
		cmocka_unit_test_teardown(test_slow_peers, rig_teardown),
		cmocka_unit_test_teardown(test_idle_peers, rig_teardown),
		cmocka_unit_test_teardown(test_silent_peers_are_closed, rig_teardown),
		cmocka_unit_test_teardown(test_next_client_after_a_refusal, rig_teardown),
		cmocka_unit_test_teardown(test_long_field, rig_teardown),
		cmocka_unit_test_teardown(test_peer_does_not_read, rig_teardown),
		cmocka_unit_test_teardown(test_waiting_holds_nobody_up, rig_teardown),
		cmocka_unit_test_teardown(test_more_wait_than_threads, rig_teardown),
	};

	return run_on_stage(tests);
}
