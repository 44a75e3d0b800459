/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         postbox_stream_test - lines, counts, time-outs and TLS over a pair of sockets
 */
#include "tests/harness/postbox/stream.h"

#include <sys/socket.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/postbox/limits.h"
#include "tests/support/support.h"

#define SHORT_MS 50
#define LONG_MS	 20000

/* A stream and the bare socket at its other end. */
struct pair {
	struct stream *s;
	int peer;
};

static struct pair
pair_open(uint32_t timeout_ms)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	return (struct pair){ .s = stream_new(fds[0], timeout_ms), .peer = fds[1] };
}

static void
pair_close(struct pair *p)
{
	stream_free(&p->s);
	assert_null(p->s);
	if (p->peer != -1)
		(void)close(p->peer);
}

static void
say(const struct pair *p, struct slice bytes)
{
	assert_int_equal(send(p->peer, bytes.p, bytes.len, MSG_NOSIGNAL), bytes.len);
}

static void
expect_status(const char *what, enum stream_status got, enum stream_status want)
{
	if (got != want)
		fail_msg("%s: got \"%s\", want \"%s\"", what, stream_status_text(got),
		    stream_status_text(want));
}

/* ---- lines ---- */

static void
lines(void **state)
{
	static const struct {
		const char *name;
		struct slice input;
		enum stream_status want;
		const char *line, *next; /* the line after it, NULL: none is looked for */
	} rows[] = {
		{ "a line", SLICE("NOOP\r\nQUIT\r\n"), STREAM_OK, "NOOP", "QUIT" },
		{ "an empty line", SLICE("\r\nQUIT\r\n"), STREAM_OK, "", "QUIT" },
		{ "bare LF", SLICE("NOOP\nQUIT\r\n"), STREAM_BARE, "NOOP", "QUIT" },
		{ "bare CR", SLICE("NO\rOP\r\nQUIT\r\n"), STREAM_BARE, "NO\rOP", "QUIT" },
		{ "CR CR LF", SLICE("NOOP\r\r\nQUIT\r\n"), STREAM_BARE, "NOOP\r", "QUIT" },
		{ "lone LF", SLICE("\nQUIT\r\n"), STREAM_BARE, "", "QUIT" },
		/* RFC 5321 2.3.8, SMTP smuggling: none of these is the end of DATA */
		{ "LF . LF", SLICE(".\nx\r\n"), STREAM_BARE, ".", "x" },
		{ "CR . CR LF", SLICE("\r.\r\nx\r\n"), STREAM_BARE, "\r.", "x" },
		{ "as long as may be", SLICE("12345678\r\nx\r\n"), STREAM_OK, "12345678", "x" },
		{ "one too long", SLICE("123456789\r\nx\r\n"), STREAM_TOO_LONG, "123456789\r",
		    "x" },
		{ "much too long", SLICE("1234567890abcdefghijkl\r\nx\r\n"), STREAM_TOO_LONG,
		    "1234567890", "x" },
		{ "too long and bare", SLICE("1234567890abc\nx\r\n"), STREAM_TOO_LONG, "1234567890",
		    "x" },
		{ "half a line", SLICE("NOO"), STREAM_EOF, NULL, NULL },
		{ "half a line end", SLICE("NOOP\r"), STREAM_EOF, NULL, NULL },
		{ "nothing", SLICE(""), STREAM_EOF, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* Byte by byte and at once must be the same. */
		for (int piecewise = 0; piecewise < 2; piecewise++) {
			struct pair p = pair_open(LONG_MS);
			struct slice line = SLICE("");

			for (size_t k = 0; piecewise && k < rows[i].input.len; k++)
				say(&p, slice_sub(rows[i].input, k, 1));
			if (!piecewise)
				say(&p, rows[i].input);
			(void)shutdown(p.peer, SHUT_WR);
			expect_status(rows[i].name, stream_line(p.s, 10, &line), rows[i].want);
			if (rows[i].line != NULL)
				assert_slice(line, rows[i].line);
			if (rows[i].next != NULL) {
				expect_status(rows[i].name, stream_line(p.s, 10, &line), STREAM_OK);
				assert_slice(line, rows[i].next);
			}
			pair_close(&p);
		}
	}
}

/* An endless line fills no memory and its sender learns of it when it ends. */
static void
line_longer_than_the_buffer(void **state)
{
	static const char block[1024] = "no line end in here";
	struct pair p = pair_open(LONG_MS);
	struct slice line;

	(void)state;
	for (int i = 0; i < 40; i++)
		say(&p, slice_of(block, sizeof(block)));
	say(&p, SLICE("\r\nQUIT\r\n"));
	expect_status("endless", stream_line(p.s, POSTBOX_BUFFER_BYTES, &line), STREAM_TOO_LONG);
	assert_true(slice_starts(line, SLICE("no line end")));
	expect_status("next", stream_line(p.s, POSTBOX_BUFFER_BYTES, &line), STREAM_OK);
	assert_slice(line, "QUIT");
	pair_close(&p);
}

static void
counts(void **state)
{
	struct pair p = pair_open(LONG_MS);
	struct slice line;
	char bytes[6] = "";

	(void)state;
	say(&p, SLICE("A {5}\r\n\r\n\0\n. done\r\nabc"));
	expect_status("command", stream_line(p.s, 100, &line), STREAM_OK);
	assert_slice(line, "A {5}");
	expect_status("literal", stream_read(p.s, bytes, 5), STREAM_OK);
	assert_memory_equal(bytes, "\r\n\0\n.", 5);
	expect_status("rest", stream_line(p.s, 100, &line), STREAM_OK);
	assert_slice(line, " done");
	assert_int_equal(stream_buffered(p.s), 3);
	(void)shutdown(p.peer, SHUT_WR);
	expect_status("half a literal", stream_read(p.s, bytes, 4), STREAM_EOF);
	pair_close(&p);
}

/* ---- time ---- */

static void *
drip(void *argument)
{
	const int *fd = argument;

	for (int i = 0; i < 1000; i++) {
		if (send(*fd, "x", 1, MSG_NOSIGNAL) != 1)
			break;
		(void)usleep(SHORT_MS * 1000 / 5);
	}
	return NULL;
}

/* A byte now and then does not keep a connection: the time is for the whole line. */
static void
dripping(void **state)
{
	struct pair p = pair_open(SHORT_MS);
	struct slice line;
	char bytes[64];
	pthread_t thread;

	(void)state;
	expect_status("silence", stream_line(p.s, 100, &line), STREAM_TIMEOUT);
	assert_int_equal(pthread_create(&thread, NULL, drip, &p.peer), 0);
	expect_status("dripping line", stream_line(p.s, 1000, &line), STREAM_TIMEOUT);
	expect_status("dripping bytes", stream_read(p.s, bytes, sizeof(bytes)), STREAM_TIMEOUT);
	stream_shutdown(p.s);
	assert_int_equal(pthread_join(thread, NULL), 0);
	pair_close(&p);
}

/* A peer that never reads: the write ends in time and later ones do nothing. */
static void
deaf_peer(void **state)
{
	static const char block[4096];
	struct pair p = pair_open(SHORT_MS);
	struct slice line;

	(void)state;
	for (int i = 0; i < 1000; i++)
		stream_write(p.s, slice_of(block, sizeof(block)));
	expect_status("flush", stream_flush(p.s), STREAM_TIMEOUT);
	say(&p, SLICE("NOOP\r\n"));
	expect_status("line", stream_line(p.s, 100, &line), STREAM_TIMEOUT);
	pair_close(&p);
}

static void
gone_peer(void **state)
{
	struct pair p = pair_open(LONG_MS);

	(void)state;
	(void)close(p.peer);
	p.peer = -1;
	stream_printf(p.s, "250 %s\r\n", "Ok");
	expect_status("flush", stream_flush(p.s), STREAM_ERROR);
	pair_close(&p);
}

/* ---- writing ---- */

/* What was written goes out by itself before a read that waits, and not before. */
static void
pipelining(void **state)
{
	struct pair p = pair_open(SHORT_MS);
	struct slice line;
	char got[64] = "";

	(void)state;
	say(&p, SLICE("one\r\ntwo\r\n"));
	for (int i = 0; i < 2; i++) {
		expect_status("line", stream_line(p.s, 100, &line), STREAM_OK);
		stream_printf(p.s, "250 %d\r\n", i);
		assert_int_equal(recv(p.peer, got, sizeof(got), MSG_DONTWAIT), -1);
	}
	expect_status("no more", stream_line(p.s, 100, &line), STREAM_TIMEOUT);
	assert_int_equal(recv(p.peer, got, sizeof(got), MSG_DONTWAIT), 14);
	assert_memory_equal(got, "250 0\r\n250 1\r\n", 14);
	pair_close(&p);
}

static void
waiting(void **state)
{
	struct pair p = pair_open(LONG_MS);
	int other[2];
	struct slice line;

	(void)state;
	assert_int_equal(pipe(other), 0);
	assert_int_equal(stream_wait(p.s, other[0], 1), STREAM_WAIT_TIMEOUT);
	assert_int_equal(stream_wait(p.s, -1, 1), STREAM_WAIT_TIMEOUT);
	assert_int_equal(write(other[1], "", 1), 1);
	assert_int_equal(stream_wait(p.s, other[0], LONG_MS), STREAM_WAIT_OTHER);
	say(&p, SLICE("DONE\r\nNOOP\r\n"));
	assert_int_equal(stream_wait(p.s, other[0], LONG_MS), STREAM_WAIT_INPUT);
	expect_status("line", stream_line(p.s, 100, &line), STREAM_OK);
	/* The second line is in the buffer, where poll(2) doesn't see it. */
	assert_int_equal(stream_wait(p.s, -1, 1), STREAM_WAIT_INPUT);
	(void)close(other[0]);
	(void)close(other[1]);
	pair_close(&p);
}

/* ---- TLS ---- */

struct greeter { /* the server's side, in a thread of its own */
	struct stream *s;
	const struct tls_context *tls;
	enum stream_status shaken, said;
	char line[64];
};

static void *
greet(void *argument)
{
	struct greeter *g = argument;
	struct slice line = SLICE("");

	g->shaken = stream_tls_accept(g->s, g->tls);
	if (g->shaken == STREAM_OK) {
		g->said = stream_line(g->s, sizeof(g->line), &line);
		memcpy(g->line, line.p == NULL ? "" : line.p, line.len);
		stream_printf(g->s, "250 hello\r\n");
	}
	stream_free(&g->s);
	return NULL;
}

static void
write_pem(struct arena *a, const struct tls_context *tls, const char *path)
{
	struct slice pem = tls_certificate(a, tls);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(pem.p, 1, pem.len, f), pem.len);
	assert_int_equal(fclose(f), 0);
}

static void
handshakes(void **state)
{
	static const struct {
		const char *name, *server_name;
		bool verify, right_ca;
		enum stream_status want;
	} rows[] = {
		{ "opportunistic", NULL, false, false, STREAM_OK },
		{ "trusted", "mx.bob.example", true, true, STREAM_OK },
		{ "trusted, by the other name", "localhost", true, true, STREAM_OK },
		{ "another name", "mx.eve.example", true, true, STREAM_ERROR },
		{ "another authority", "mx.bob.example", true, false, STREAM_ERROR },
	};
	struct arena *a = arena_new(1 << 20);
	const char *error = NULL;
	struct tls_context *server = tls_server_new(a, NULL, NULL, "mx.bob.example", &error);
	struct tls_context *stranger = tls_server_new(a, NULL, NULL, "mx.bob.example", &error);
	char path[] = "/tmp/postbox_ca_XXXXXX";

	(void)state;
	assert_non_null(server);
	assert_non_null(stranger);
	(void)close(mkstemp(path));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls_context *client;
		struct greeter g = { .tls = server };
		struct slice line;
		struct stream *s;
		pthread_t thread;
		int fds[2];

		write_pem(a, rows[i].right_ca ? server : stranger, path);
		client = tls_client_new(a, rows[i].verify ? path : NULL, &error);
		assert_non_null(client);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		g.s = stream_new(fds[0], LONG_MS);
		s = stream_new(fds[1], LONG_MS);
		assert_null(stream_tls(s));
		assert_int_equal(pthread_create(&thread, NULL, greet, &g), 0);
		expect_status(
		    rows[i].name, stream_tls_connect(s, client, rows[i].server_name), rows[i].want);
		if (rows[i].want == STREAM_OK) {
			stream_printf(s, "EHLO alice\r\n");
			expect_status(rows[i].name, stream_line(s, 100, &line), STREAM_OK);
			assert_slice(line, "250 hello");
			assert_string_equal(stream_tls(s)->version, "TLSv1.3");
			expect_status("end", stream_line(s, 100, &line), STREAM_EOF);
		} else {
			assert_true(strlen(stream_error(s)) > 0);
		}
		stream_free(&s);
		assert_int_equal(pthread_join(thread, NULL), 0);
		if (rows[i].want == STREAM_OK)
			assert_string_equal(g.line, "EHLO alice");
		tls_free(&client);
	}
	(void)unlink(path);
	tls_free(&server);
	tls_free(&stranger);
	arena_free(&a);
}

/* RFC 3207 5, CVE-2011-0411: what came with STARTTLS in one packet must not be obeyed. */
static void
injected_command(void **state)
{
	struct arena *a = arena_new(1 << 20);
	const char *error = NULL;
	struct tls_context *server = tls_server_new(a, NULL, NULL, "localhost", &error);
	struct pair p = pair_open(LONG_MS);
	struct slice line;

	(void)state;
	say(&p, SLICE("STARTTLS\r\nRSET\r\n"));
	expect_status("command", stream_line(p.s, 100, &line), STREAM_OK);
	expect_status("handshake", stream_tls_accept(p.s, server), STREAM_ERROR);
	expect_status("nothing afterwards", stream_flush(p.s), STREAM_ERROR);
	assert_null(stream_tls(p.s));
	pair_close(&p);
	tls_free(&server);
	arena_free(&a);
}

/* Half a handshake, or none, holds nobody up. */
static void
handshake_in_time(void **state)
{
	static const struct {
		const char *name;
		struct slice bytes;
		enum stream_status want;
	} rows[] = {
		{ "silence", SLICE(""), STREAM_TIMEOUT },
		{ "half a hello", SLICE("\x16\x03\x01\x02\x00\x01"), STREAM_TIMEOUT },
		{ "not TLS", SLICE("EHLO alice.example\r\n"), STREAM_ERROR },
	};
	struct arena *a = arena_new(1 << 20);
	const char *error = NULL;
	struct tls_context *server = tls_server_new(a, NULL, NULL, "localhost", &error);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p = pair_open(SHORT_MS);

		if (rows[i].bytes.len > 0)
			say(&p, rows[i].bytes);
		expect_status(rows[i].name, stream_tls_accept(p.s, server), rows[i].want);
		pair_close(&p);
	}
	tls_free(&server);
	arena_free(&a);
}

static void
bad_files(void **state)
{
	static const char nowhere[] = "/nonexistent/cert.pem";
	struct arena *a = arena_new(1 << 20);
	const char *error = NULL;

	(void)state;
	assert_null(tls_server_new(a, nowhere, nowhere, "localhost", &error));
	assert_non_null(error);
	error = NULL;
	assert_null(tls_server_new(a, nowhere, NULL, "localhost", &error));
	assert_non_null(error);
	error = NULL;
	assert_null(tls_client_new(a, nowhere, &error));
	assert_non_null(error);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(line_longer_than_the_buffer),
		cmocka_unit_test(counts),
		cmocka_unit_test(dripping),
		cmocka_unit_test(deaf_peer),
		cmocka_unit_test(gone_peer),
		cmocka_unit_test(pipelining),
		cmocka_unit_test(waiting),
		cmocka_unit_test(handshakes),
		cmocka_unit_test(injected_command),
		cmocka_unit_test(handshake_in_time),
		cmocka_unit_test(bad_files),
	};

	/* OpenSSL writes without MSG_NOSIGNAL; main() of postbox does the same. */
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("postbox_stream", tests, NULL, NULL);
}
