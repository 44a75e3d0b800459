/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/talk.h"

#include <sys/socket.h>

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "policy/base/bug.h"
#include "policy/base/num.h"
#include "policy/base/strbuf.h"
#include "tests/support/support.h"

#define TALK_WAIT_MS 10000

struct talk {
	const char *name;
	size_t line; /* of the script */
	struct server server;
	struct connection connection;
	struct protocol protocol;
	const struct talk_options *options;
	struct arena *arena;
	struct stream *client;
	struct store_account *bob;
	int client_fd;
	pthread_t thread;
};

/* ---- what server.c does in the program ---- */

void
connection_timeout(struct connection *c, uint32_t ms)
{
	stream_set_timeout(
	    c->stream, c->server->options.timeout_ms != 0 ? c->server->options.timeout_ms : ms);
}

bool
connection_stopping(const struct connection *c)
{
	(void)c;
	return false;
}

/* ---- both ends ---- */

static void *
serve(void *ctx)
{
	struct talk *t = ctx;

	t->options->run(&t->connection);
	stream_free(&t->connection.stream);
	return NULL;
}

static struct store_account *
add_user(struct talk *t, struct slice name, struct slice password)
{
	struct user *user = &t->server.options.users[t->server.options.user_count++];
	const char *error;

	user->name = name;
	user->password = password;
	user->account = store_account_add(t->arena, t->server.store, name, &error);
	if (user->account == NULL)
		fail_msg("%s: %s", t->name, error);
	return user->account;
}

static void
talk_open(struct talk *t, const char *name, const struct talk_options *options)
{
	struct store_options store = { .max_bytes = POSTBOX_STORE_BYTES };
	const char *error = "";
	int fds[2];

	memset(t, 0, sizeof(*t));
	t->name = name;
	t->options = options;
	t->arena = arena_new(POSTBOX_CONNECTION_MEMORY);
	store.max_message_bytes = options->max_message_bytes == 0 ? POSTBOX_MESSAGE_BYTES
								  : options->max_message_bytes;
	t->server.store = store_new(t->arena, &store, &error);
	if (t->server.store == NULL)
		fail_msg("%s: %s", name, error);
	t->server.options.hostname = "mail.example.org";
	t->server.options.allow_plain_auth = options->allow_plain_auth;
	t->server.options.max_message_bytes = store.max_message_bytes;
	t->server.options.timeout_ms = options->timeout_ms;
	t->bob = add_user(t, SLICE("bob"), SLICE("secret"));
	(void)add_user(t, SLICE("carol"), SLICE("other one"));
	t->connection.server = &t->server;
	t->protocol = (struct protocol){
		.name = "talk", .submission = options->submission, .run = options->run
	};
	t->connection.protocol = &t->protocol;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	t->client_fd = fds[1];
	t->client = stream_new(fds[1], TALK_WAIT_MS);
	t->connection.stream = stream_new(fds[0], TALK_WAIT_MS);
	t->connection.arena = arena_new(POSTBOX_CONNECTION_MEMORY);
	t->connection.scratch = arena_new(POSTBOX_CONNECTION_MEMORY);
	if (options->configure != NULL)
		options->configure(&t->server, &t->connection, options->ctx);
}

static void
talk_close(struct talk *t)
{
	stream_free(&t->client);
	(void)pthread_join(t->thread, NULL);
	arena_free(&t->connection.arena);
	arena_free(&t->connection.scratch);
	tls_free(&t->server.tls_server);
	tls_free(&t->server.tls_client);
	store_free(&t->server.store);
	arena_free(&t->arena);
}

/* ---- lines of the script ---- */

static bool
matches(struct slice line, struct slice pattern)
{
	bool first = true;

	for (;;) {
		size_t wild = 0, at = 0;
		struct slice piece;

		while (wild + 3 <= pattern.len && memcmp(pattern.p + wild, "***", 3) != 0)
			wild++;
		if (wild + 3 > pattern.len) /* the last piece stands at the end */
			return first ? slice_equal(line, pattern)
				     : line.len >= pattern.len &&
				slice_equal(slice_from(line, line.len - pattern.len), pattern);
		piece = slice_sub(pattern, 0, wild);
		while (!slice_starts(slice_from(line, at), piece) && !first && at < line.len)
			at++;
		if (!slice_starts(slice_from(line, at), piece))
			return false;
		line = slice_from(line, at + piece.len);
		pattern = slice_from(pattern, wild + 3);
		first = false;
	}
}

static struct slice
unescape(struct arena *a, struct slice text)
{
	struct strbuf b;

	strbuf_init(&b, a, POSTBOX_CONNECTION_MEMORY);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];

		if (c == '\\' && i + 1 < text.len) {
			c = text.p[++i];
			c = c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c;
		}
		strbuf_char(&b, c);
	}
	return strbuf_slice(&b);
}

static void
expect_line(struct talk *t, struct slice pattern, bool skip)
{
	enum stream_status status;
	struct slice line;

	do {
		status = stream_line(t->client, POSTBOX_BUFFER_BYTES, &line);
		if (status != STREAM_OK)
			fail_msg("%s, line %zu: want \"%.*s\", got: %s", t->name, t->line,
			    SLICE_ARG(pattern), stream_status_text(status));
		if (matches(line, pattern))
			return;
	} while (skip);
	fail_msg("%s, line %zu: want \"%.*s\", got \"%s\"", t->name, t->line, SLICE_ARG(pattern),
	    arena_printable(t->arena, line, 400));
}

static void
expect_eof(struct talk *t)
{
	struct slice line;
	enum stream_status status = stream_line(t->client, POSTBOX_BUFFER_BYTES, &line);

	if (status != STREAM_EOF && status != STREAM_ERROR)
		fail_msg("%s, line %zu: want the end, got %s \"%s\"", t->name, t->line,
		    stream_status_text(status), arena_printable(t->arena, line, 400));
}

static void
shake_hands(struct talk *t)
{
	const char *error = "";

	t->server.tls_client = tls_client_new(t->arena, NULL, &error);
	assert_non_null(t->server.tls_client);
	if (stream_tls_connect(t->client, t->server.tls_client, NULL) != STREAM_OK)
		fail_msg("%s, line %zu: TLS: %s", t->name, t->line, stream_error(t->client));
}

static void
expect_box(struct talk *t, struct slice text)
{
	size_t blank = slice_find_last(text, ' ');
	struct store_folder_state state = { 0 };
	struct store_folder *f;
	uint32_t want;

	assert_int_equal(num_u32(slice_from(text, blank + 1), 0, UINT32_MAX, &want), 0);
	if (store_folder_open(t->bob, slice_sub(text, 0, blank), &f) != STORE_OK)
		fail_msg("%s, line %zu: no folder %.*s", t->name, t->line, SLICE_ARG(text));
	(void)store_folder_state(f, &state);
	store_folder_close(&f);
	if (state.messages != want)
		fail_msg("%s, line %zu: want %.*s, got %zu", t->name, t->line, SLICE_ARG(text),
		    state.messages);
}

static bool
has_line(struct slice text, struct slice pattern)
{
	struct slice line;

	while (slice_next(&text, '\n', &line)) {
		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		if (matches(line, pattern))
			return true;
	}
	return false;
}

static void
expect_text(struct talk *t, struct slice folder_pattern, bool want)
{
	size_t blank = slice_find(folder_pattern, ' ');
	struct slice pattern = slice_from(folder_pattern, blank + 1);
	struct store_message *messages;
	const struct store_text *text = NULL;
	struct store_folder *f;
	size_t count;
	uint64_t changes;

	if (store_folder_open(t->bob, slice_sub(folder_pattern, 0, blank), &f) != STORE_OK ||
	    store_list(t->arena, f, &messages, &count, &changes) != STORE_OK || count == 0 ||
	    store_text_open(f, messages[count - 1].uid, &text) != STORE_OK)
		fail_msg("%s, line %zu: no message in %.*s", t->name, t->line,
		    SLICE_ARG(folder_pattern));
	if (has_line(text->bytes, pattern) != want)
		fail_msg("%s, line %zu: %s \"%.*s\" in:\n%.*s", t->name, t->line,
		    want ? "no line" : "a line", SLICE_ARG(pattern), SLICE_ARG(text->bytes));
	store_text_close(&text);
	store_folder_close(&f);
}

static void
say_often(struct talk *t, struct slice text)
{
	size_t blank = slice_find(text, ' ');
	uint32_t times;

	assert_int_equal(num_u32(slice_sub(text, 0, blank), 1, UINT32_MAX, &times), 0);
	for (uint32_t i = 0; i < times; i++)
		stream_write(t->client, slice_from(text, blank + 1));
}

static void
deliver(struct talk *t, struct slice text)
{
	/* 2026-11-23 10:00:00 UTC */
	struct store_arrival arrival = { .bytes = unescape(t->arena, text), .date_s = 1795428000 };

	assert_int_equal(store_deliver(t->bob, SLICE("INBOX"), &arrival, NULL), STORE_OK);
}

static void
talk_line(struct talk *t, struct slice line)
{
	if (slice_starts(line, SLICE("C: ")) || slice_equal(line, SLICE("C:"))) {
		stream_write(t->client, slice_from(line, 3));
		stream_write(t->client, SLICE("\r\n"));
		(void)stream_flush(t->client);
	} else if (slice_starts(line, SLICE("R: "))) {
		stream_write(t->client, unescape(t->arena, slice_from(line, 3)));
		(void)stream_flush(t->client);
	} else if (slice_starts(line, SLICE("X: "))) {
		say_often(t, slice_from(line, 3));
	} else if (slice_starts(line, SLICE("S: ")) || slice_starts(line, SLICE("S* "))) {
		expect_line(t, slice_from(line, 3), line.p[1] == '*');
	} else if (slice_equal(line, SLICE("S:"))) {
		expect_line(t, slice_of(NULL, 0), false);
	} else if (slice_starts(line, SLICE("MAIL: "))) {
		deliver(t, slice_from(line, 6));
	} else if (slice_starts(line, SLICE("BOX: "))) {
		expect_box(t, slice_from(line, 5));
	} else if (slice_starts(line, SLICE("TEXT: "))) {
		expect_text(t, slice_from(line, 6), true);
	} else if (slice_starts(line, SLICE("NOTEXT: "))) {
		expect_text(t, slice_from(line, 8), false);
	} else if (slice_equal(line, SLICE("TLS"))) {
		shake_hands(t);
	} else if (slice_equal(line, SLICE("EOF"))) {
		expect_eof(t);
	} else if (slice_equal(line, SLICE("SHUT"))) {
		(void)stream_flush(t->client);
		(void)shutdown(t->client_fd, SHUT_WR);
	} else {
		bug("%s, line %zu: not a line of a script: %.*s", t->name, t->line,
		    SLICE_ARG(line));
	}
}

void
talk_run(const char *name, const struct talk_options *options, const char *script)
{
	struct slice rest = slice_str(script), line;
	const char *error = "";
	bool begun = false;
	struct talk t;

	(void)signal(SIGPIPE, SIG_IGN); /* as in main.c */
	talk_open(&t, name, options);
	/* Keys cost time: only where they are wanted. */
	if (strstr(script, "TLS\n") != NULL) {
		t.server.tls_server = tls_server_new(t.arena, NULL, NULL, "localhost", &error);
		if (t.server.tls_server == NULL)
			fail_msg("%s: %s", name, error);
	}
	while (slice_next(&rest, '\n', &line)) {
		t.line++;
		/* Mail that comes first is there when the conversation begins. */
		if (!begun && !slice_starts(line, SLICE("MAIL: "))) {
			assert_int_equal(pthread_create(&t.thread, NULL, serve, &t), 0);
			begun = true;
		}
		talk_line(&t, line);
	}
	talk_close(&t);
}
