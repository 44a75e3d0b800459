/* SPDX-License-Identifier: BSD-2-Clause */
/* The native front below its sockets: whole conversations, and the time a peer has for them. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "milter/native/conversation.h"
#include "milter/native/link.h"
#include "milter/native/listener.h"
#include "milter/native/loop.h"
#include "policy/base/limits.h"
#include "tests/support/mta_script.h"
#include "tests/support/support.h"

/* ---- conversations ---- */

static const char zone[] = "reject.example TXT 300 \"v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all\"\n"
			   "_dmarc.reject.example TXT 300 \"v=DMARC1; p=reject\"\n"
			   "evil.example TXT 300 \"v=spf1 ip4:198.51.100.5 -all\"\n";

struct rig {
	struct traffic traffic;
	struct service_slot slot;
	struct conversation_home home;
	struct conversation *conversation;
	struct mta_script script;
	struct wire_output out;
	enum conversation_state state;
	const char *error;
};

static struct slice our_id;

static struct rig *
rig_open(void)
{
	struct rig *g = calloc(1, sizeof(*g));
	struct conf *conf = conf_defaults();
	struct arena *a = arena_new(1024 * 1024);
	const struct waiting nobody = { .begin = NULL };
	const char *why = "?";
	char *error = NULL;
	struct dns_backend *backend = dns_zone_new(a, slice_str(zone), &why);
	struct service *service;

	assert_non_null(g);
	assert_non_null(backend);
	arena_free(&a);
	our_id = SLICE("mx.example.net");
	conf->authserv_id = our_id;
	conf->authserv_ids = &our_id;
	conf->authserv_id_count = 1;
	conf->skip_authenticated = true;
	conf->quarantine_header = "X-Quarantine";
	service = service_over(conf, resolver_new(backend, NULL), &g->traffic, NULL, &error);
	assert_non_null(service);
	service_slot_init(&g->slot, service);
	g->home = (struct conversation_home){ &g->slot, &g->traffic };
	g->conversation = conversation_new(&g->home, &nobody);
	return g;
}

static void
rig_close(struct rig *g)
{
	conversation_free(&g->conversation);
	assert_int_equal(atomic_load(&g->traffic.sessions_open), 0);
	assert_int_equal(atomic_load(&g->traffic.messages_open), 0);
	wire_output_free(&g->out);
	service_slot_fini(&g->slot);
	free(g);
}

static void
rig_talk(struct rig *g, size_t piece)
{
	struct slice in = slice_of((char *)g->script.bytes, g->script.len);

	for (size_t i = 0; i < in.len; i += piece)
		g->state = conversation_feed(
		    g->conversation, slice_sub(in, i, piece), &g->out, &g->error);
	g->script.len = 0;
}

/* What was answered since the last look: "c", "y 550_5.7.26_..." by line; want: its beginning. */
static void
expect_said(struct rig *g, const char *row, const char *want)
{
	char text[8192];

	rig_talk(g, g->script.len + 1);
	mta_show((const unsigned char *)g->out.p, g->out.len, text, sizeof(text));
	if (strncmp(text, want, strlen(want)) != 0 || (want[0] == '\0' && text[0] != '\0'))
		fail_msg("%s: got\n%swant\n%s(%s)", row, text, want,
		    g->error == NULL ? "no error" : g->error);
	g->out.len = 0;
}

static void
rig_begin(struct rig *g, uint32_t steps, const char *ip)
{
	mta_offer(&g->script, 6, 0x1ff, steps);
	rig_talk(g, g->script.len + 1);
	g->out.len = 0;
	mta_connect(&g->script, ip);
}

#define FORGED	"<x@evil.example>", " a@reject.example"
#define REFUSED "s\ny 550_5.7.26_"
#define STAMPED "s\ni ....Authentication-Results._mx.example.net;"

static void
test_messages(void **state)
{
	struct rig *g = rig_open();

	(void)state;
	mta_offer(&g->script, 6, 0x1ff, MTA_STEPS_V6);
	expect_said(g, "negotiation",
	    "O .......1........{assay_none}.....{assay_none}.....{auth_type}_{auth_"
	    "authen}.");
	assert_int_equal(g->state, CONVERSATION_BETWEEN);
	mta_connect(&g->script, "192.0.2.1");
	expect_said(g, "no answer where none is due", "");
	mta_message(&g->script, "<a@reject.example>", " a@reject.example");
	expect_said(g, "genuine", STAMPED);
	mta_message(&g->script, FORGED);
	expect_said(g, "the next by the same client", REFUSED);
	MTA_SAY(&g->script, 'M', "<x@evil.example>\0SIZE=100\0");
	mta_say_text(&g->script, 'R', "<to@here.example>");
	mta_say(&g->script, 'T', NULL, 0);
	expect_said(g, "DATA, though we waved it", "c\n");
	mta_say(&g->script, 'A', NULL, 0);
	mta_say(&g->script, 'Q', NULL, 0);
	expect_said(g, "RSET, QUIT", "");
	assert_int_equal(g->state, CONVERSATION_OVER);
	assert_null(g->error);
	assert_int_equal(atomic_load(&g->traffic.messages), 3);
	assert_int_equal(atomic_load(&g->traffic.aborted), 1);
	rig_close(g);
}

/* Every way of cutting the bytes gives the same answers. */
static void
test_conversation_cut_anywhere(void **state)
{
	unsigned char whole[8192];
	size_t whole_len = 0, script_len = 1;

	(void)state;
	for (size_t piece = script_len; piece > 0; piece = piece == 1 ? script_len : piece - 1) {
		struct rig *g = rig_open();

		mta_offer(&g->script, 6, 0x1ff, MTA_STEPS_V6);
		mta_connect(&g->script, "198.51.100.5");
		mta_message(&g->script, FORGED);
		script_len = g->script.len;
		rig_talk(g, whole_len == 0 ? script_len : piece);
		assert_true(g->out.len <= sizeof(whole) && g->out.len > 0);
		if (whole_len == 0) {
			whole_len = g->out.len;
			memcpy(whole, g->out.p, whole_len);
		}
		assert_int_equal(g->out.len, whole_len);
		assert_memory_equal(g->out.p, whole, whole_len);
		rig_close(g);
		if (piece == 2)
			break;
	}
}

/* A CONNECT behind QUIT_NC is of another client, also where the last message was refused. */
static void
test_quit_new_connection(void **state)
{
	struct rig *g = rig_open();

	(void)state;
	rig_begin(g, MTA_STEPS_V6, "198.51.100.5");
	mta_message(&g->script, FORGED);
	expect_said(g, "refused", REFUSED);
	mta_say(&g->script, 'K', NULL, 0);
	mta_connect(&g->script, "2001:db8::1");
	mta_message(&g->script, "<a@reject.example>", " a@reject.example");
	expect_said(g, "the next client", STAMPED);
	assert_int_equal(atomic_load(&g->traffic.sessions), 2);
	assert_int_equal(atomic_load(&g->traffic.sessions_open), 1);
	rig_close(g);
}

/* An MTA that waits for every answer gets every answer. */
static void
test_old_mta(void **state)
{
	struct rig *g = rig_open();

	(void)state;
	rig_begin(g, MTA_STEPS_V2, "198.51.100.5");
	mta_message(&g->script, "<x@evil.example>", "a@reject.example");
	expect_said(g, "version 2", "c\nc\nc\nc\nc\nc\nc\ny 550_5.7.26_");
	rig_close(g);
}

/* What is out of place ends the message under way, and is passed over if it can't begin one. */
static void
test_order(void **state)
{
	struct rig *g = rig_open();

	(void)state;
	rig_begin(g, MTA_STEPS_V2, "192.0.2.1");
	expect_said(g, "connect", "c\nc\n");
	mta_say_text(&g->script, 'R', "<to@here.example>");
	mta_field(&g->script, "From", "a@b");
	MTA_SAY(&g->script, 'B', "x");
	mta_say(&g->script, 'N', NULL, 0);
	mta_say(&g->script, 'E', NULL, 0);
	mta_say(&g->script, 'A', NULL, 0);
	mta_connect(&g->script, "198.51.100.5");
	expect_said(g, "only the HELO has its place", "c\n");
	mta_say_text(&g->script, 'U', "NOOP");
	expect_said(g, "an unknown command", "c\n");
	mta_say_text(&g->script, 'M', "<a@reject.example>");
	mta_say_text(&g->script, 'M', "<a@reject.example>");
	expect_said(g, "a second MAIL begins anew", "c\nc\n");
	assert_int_equal(atomic_load(&g->traffic.aborted), 1);
	mta_field(&g->script, "From", "a@b");
	expect_said(g, "a field before a recipient ends the message", "");
	assert_int_equal(atomic_load(&g->traffic.aborted), 2);
	assert_false(conversation_has_message(g->conversation));
	mta_message(&g->script, "<a@reject.example>", "a@reject.example");
	expect_said(g, "all is well afterwards", "c\nc\nc\nc\nc\ni ");
	assert_int_equal(g->state, CONVERSATION_BETWEEN);
	rig_close(g);
}

/* The end of a message may bring the last of its body; without it the end of the header is meant.
 */
static void
test_end_of_message(void **state)
{
	struct rig *g = rig_open();

	(void)state;
	rig_begin(g, MTA_STEPS_V6, "198.51.100.5");
	mta_say_text(&g->script, 'M', "<x@evil.example>");
	mta_say_text(&g->script, 'R', "<to@here.example>");
	mta_field(&g->script, "From", " a@reject.example");
	mta_say(&g->script, 'N', NULL, 0);
	MTA_SAY(&g->script, 'E', "the body");
	expect_said(g, "body with the end", "y 550_5.7.26_");
	mta_say_text(&g->script, 'M', "<x@evil.example>");
	mta_say_text(&g->script, 'R', "<to@here.example>");
	mta_say(&g->script, 'E', NULL, 0);
	expect_said(g, "no header at all", "y 550_5.");
	rig_close(g);
}

/* The reply's "%" is doubled; macros of an earlier message are not those of this one. */
static void
test_reply_and_macros(void **state)
{
	struct rig *g = rig_open();
	char text[2048];

	(void)state;
	rig_begin(g, MTA_STEPS_V6, "198.51.100.5");
	mta_say_text(&g->script, 'M', "<x@evil.example>");
	mta_say_text(&g->script, 'R', "<to@here.example>");
	mta_field(&g->script, "From", " a@reject.example");
	mta_say(&g->script, 'N', NULL, 0);
	MTA_SAY(&g->script, 'D', "Ei\000100%s\0");
	mta_say(&g->script, 'E', NULL, 0);
	rig_talk(g, 1);
	mta_show((const unsigned char *)g->out.p, g->out.len, text, sizeof(text));
	assert_non_null(strstr(text, "100%%s"));
	g->out.len = 0;
	MTA_SAY(&g->script, 'D', "M{auth_type}\0PLAIN\0{auth_authen}\0joe\0");
	mta_message(&g->script, FORGED);
	expect_said(g, "authenticated", "s\nc\n");
	MTA_SAY(&g->script, 'D', "M");
	mta_message(&g->script, FORGED);
	expect_said(g, "not authenticated any more", REFUSED);
	rig_close(g);
}

static const struct bad_row {
	const char *name;
	bool negotiated;
	char command;
	const char *data;
	size_t len;
	const char *error;
} bad_rows[] = {
#define BAD(name, negotiated, command, data, error)                                                \
	{                                                                                          \
		name, negotiated, command, data, sizeof(data) - 1, error                           \
	}
	BAD("HELO first", false, 'H', "a\0", "a command before the negotiation"),
	BAD("short negotiation", false, 'O', "\0\0\0\6", "a negotiation that is too short"),
	BAD("unknown command", true, 'Z', "x", "an unknown command"),
	BAD("empty CONNECT", true, 'C', "", "a CONNECT that is too short"),
	BAD("CONNECT without family", true, 'C', "host\0", "a CONNECT that is too short"),
	BAD("CONNECT without address", true, 'C', "host\0004", "a CONNECT without an address"),
	BAD("CONNECT with half a port", true, 'C', "host\0004\0", "a CONNECT without an address"),
	BAD("CONNECT, address without end", true, 'C',
	    "host\0004\0\031"
	    "192.0.2.1",
	    "a CONNECT without an address"),
	BAD("CONNECT, no address", true, 'C', "host\0004\0\0x\0", "a CONNECT with a bad address"),
	BAD("CONNECT, other family", true, 'C', "host\0006\0\0001.2.3.4\0",
	    "a CONNECT with a bad address"),
	BAD("CONNECT, unknown family", true, 'C', "host\0X\0\0x\0",
	    "a CONNECT of an unknown family"),
	BAD("HELO without end", true, 'H', "abc", "a HELO without end"),
	BAD("empty MAIL", true, 'M', "", "a MAIL without end"),
	BAD("empty UNKNOWN", true, 'U', "", "an empty command"),
};

static void
test_bad_commands(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++) {
		const struct bad_row *row = &bad_rows[i];
		struct rig *g = rig_open();

		if (row->negotiated)
			mta_offer(&g->script, 6, 0x1ff, MTA_STEPS_V6);
		mta_say(&g->script, row->command, row->data, row->len);
		MTA_SAY(&g->script, 'H', "nobody hears this\0");
		rig_talk(g, g->script.len + 1);
		if (g->state != CONVERSATION_OVER || g->error == NULL ||
		    strcmp(g->error, row->error) != 0)
			fail_msg("%s: %s", row->name, g->error == NULL ? "taken" : g->error);
		rig_close(g);
	}
}

/* Clients without an address, by a Unix socket, and as Sendmail writes IPv6. */
static void
test_client_addresses(void **state)
{
	struct rig *g = rig_open();

	(void)state;
	mta_offer(&g->script, 6, 0x1ff, MTA_STEPS_V6);
	rig_talk(g, 64);
	g->out.len = 0;
	MTA_SAY(&g->script, 'C', "localhost\0U");
	mta_message(&g->script, FORGED);
	expect_said(g, "no address: not evaluated", "s\nc\n");
	mta_say(&g->script, 'K', NULL, 0);
	MTA_SAY(&g->script, 'C', "localhost\0L\0\0/run/socket\0");
	mta_message(&g->script, FORGED);
	expect_said(g, "a Unix socket: not evaluated", "s\nc\n");
	mta_say(&g->script, 'K', NULL, 0);
	MTA_SAY(&g->script, 'C', "h\0006\0\031IPv6:2001:db8::1\0");
	mta_message(&g->script, "<a@reject.example>", " a@reject.example");
	expect_said(g, "IPv6", STAMPED);
	rig_close(g);
}

/* Once the daemon stops, nobody is welcome, and what runs is finished. */
static void
test_shutting_down(void **state)
{
	struct rig *g = rig_open();

	(void)state;
	rig_begin(g, MTA_STEPS_V6, "192.0.2.1");
	mta_say_text(&g->script, 'M', "<a@reject.example>");
	expect_said(g, "begun", "");
	assert_true(conversation_has_message(g->conversation));
	traffic_close(&g->traffic);
	mta_say_text(&g->script, 'R', "<to@here.example>");
	mta_field(&g->script, "From", " a@reject.example");
	mta_say(&g->script, 'N', NULL, 0);
	mta_say(&g->script, 'E', NULL, 0);
	expect_said(g, "finished", "i ");
	assert_false(conversation_has_message(g->conversation));
	mta_say(&g->script, 'K', NULL, 0);
	expect_said(g, "another client", "");
	assert_int_equal(g->state, CONVERSATION_OVER);
	rig_close(g);
}

/* ---- how long a peer has ---- */

#define TIMEOUT_MS  7210000
#define GREETING_MS LIMIT_MILTER_GREETING_MS
#define FRAME_MS    LIMIT_MILTER_FRAME_MS

/* Bytes of the script from there on, a little later; the time that is left then. */
static uint64_t
time_left(
    struct link *k, struct worker *w, int peer, const struct mta_script *s, size_t from, size_t len)
{
	const struct timespec moment = { 0, 20000000 };
	char answers[1024];

	(void)nanosleep(&moment, NULL);
	assert_int_equal(send(peer, s->bytes + from, len, 0), len);
	w->now_ms = link_clock_ms();
	link_serve(k, w);
	assert_int_equal(link_answer(k, w), LINK_READS);
	wire_output_clear(&w->output);
	(void)recv(peer, answers, sizeof(answers), MSG_DONTWAIT);
	return k->deadline_ms - w->now_ms;
}

/* From the greeting, from a whole frame and from the first byte of the next one; no byte more gives
 * any of it back. */
static void
test_deadlines(void **state)
{
	struct rig *g = rig_open();
	struct mta_script *s = &g->script;
	struct worker w = { .input = malloc(WORKER_INPUT_BYTES) };
	struct link *k;
	size_t offer;
	int pair[2];

	(void)state;
	assert_non_null(w.input);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	k = link_new(pair[0], &g->home, TIMEOUT_MS, NULL, link_clock_ms());
	mta_offer(s, 6, 0x1ff, MTA_STEPS_V6);
	offer = s->len;
	mta_connect(s, "192.0.2.1");
	assert_true(time_left(k, &w, pair[1], s, 0, 3) < GREETING_MS);
	assert_true(time_left(k, &w, pair[1], s, 3, 3) < GREETING_MS);
	assert_int_equal(time_left(k, &w, pair[1], s, 6, offer - 6), TIMEOUT_MS);
	assert_int_equal(time_left(k, &w, pair[1], s, offer, 2), FRAME_MS);
	assert_true(time_left(k, &w, pair[1], s, offer + 2, 1) < FRAME_MS);
	assert_true(time_left(k, &w, pair[1], s, offer + 3, 5) < FRAME_MS);
	assert_int_equal(time_left(k, &w, pair[1], s, offer + 8, s->len - offer - 8), TIMEOUT_MS);
	link_free(&k);
	(void)close(pair[1]);
	wire_output_free(&w.output);
	free(w.input);
	rig_close(g);
}

/* ---- a loop ---- */

static void
wait_for_links(struct loops *all, size_t count)
{
	const struct timespec moment = { 0, 2000000 };

	for (int i = 0; i < 2000 && atomic_load(&all->links) != count; i++)
		(void)nanosleep(&moment, NULL);
	assert_int_equal(atomic_load(&all->links), count);
}

/* One loop, a thread, real sockets. */
struct loop_rig {
	struct rig *g;
	struct loops all;
	struct sockaddr_in address;
};

static void
loop_open(struct loop_rig *r)
{
	socklen_t len = sizeof(r->address);
	const char *why = "?";

	r->g = rig_open();
	r->all = (struct loops){ .home = &r->g->home, .timeout_ms = TIMEOUT_MS };
	r->all.listener = listener_open("inet:0@127.0.0.1", &why);
	r->all.stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->all.team = team_new(loop_lead);
	assert_int_equal(loop_add(&r->all), 0);
	assert_true(team_add(r->all.team, r->all.list[0]));
	assert_int_equal(getsockname(r->all.listener, (struct sockaddr *)&r->address, &len), 0);
}

static void
loop_close(struct loop_rig *r)
{
	loops_stop(&r->all);
	team_wait(&r->all.team);
	loops_free(&r->all);
	(void)close(r->all.listener);
	(void)close(r->all.stop_event);
	rig_close(r->g);
}

/* Connect, and say that. */
static int
loop_peer(const struct loop_rig *r, const void *bytes, size_t len)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&r->address, sizeof(r->address)), 0);
	assert_int_equal(send(fd, bytes, len, 0), len);
	return fd;
}

/*
 * A child that is being started has all sockets for a moment, and an epoll set knows a socket until
 * the last one is closed. What is dropped must not be heard of again.
 */
static void
test_closed_while_another_has_the_socket(void **state)
{
	const struct timespec moment = { 0, 50000000 };
	struct loop_rig r;
	int client, stay[2];
	char byte;
	pid_t child;

	(void)state;
	loop_open(&r);
	client = loop_peer(&r, "", 0);
	wait_for_links(&r.all, 1);
	assert_int_equal(pipe(stay), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)close(stay[1]);
		_exit((int)read(stay[0], &byte, 1)); /* 0: its end */
	}
	(void)shutdown(client, SHUT_RDWR);
	wait_for_links(&r.all, 0);
	(void)nanosleep(&moment, NULL);
	(void)close(stay[0]);
	(void)close(stay[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	(void)close(client);
	loop_close(&r);
}

/* ---- time goes by ---- */

#define LATE_S 20

/* What the front's clock is ahead of the system's. */
static _Atomic(time_t) ahead_s;

/* The system's, but for the one clock that nothing but link_clock_ms() asks. */
int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	if (id == CLOCK_MONOTONIC_COARSE)
		ts->tv_sec += ahead_s;
	return rc;
}

/* Let so many seconds pass, and the loop look at its deadlines: it has when it serves the second of
 * two that come and go. */
static void
pass(struct loop_rig *r, time_t seconds)
{
	const struct timespec moment = { 0, 1000000 };
	char byte;

	ahead_s += seconds;
	for (int i = 0; i < 2; i++) {
		/* QUIT before the negotiation: hung up on at once. */
		int fd = loop_peer(r, "\0\0\0\1Q", 5);

		while (recv(fd, &byte, 1, 0) < 0)
			(void)nanosleep(&moment, NULL);
		(void)close(fd);
	}
}

static bool
is_open(int fd)
{
	char answers[1024];
	ssize_t n;

	while ((n = recv(fd, answers, sizeof(answers), MSG_DONTWAIT)) > 0)
		continue;
	return n < 0 && errno == EAGAIN;
}

/* With the numbers that are in limits.h: who says nothing at all, who stops in the middle of a
 * frame, and who is silent between two. None of them early, by what a machine may be late. */
static void
test_time_is_up(void **state)
{
	struct mta_script s = { .len = 0 };
	int silent, half, idle;
	struct loop_rig r;
	size_t offer;

	(void)state;
	mta_offer(&s, 6, 0x1ff, MTA_STEPS_V6);
	offer = s.len;
	mta_connect(&s, "192.0.2.1");
	loop_open(&r);
	silent = loop_peer(&r, "", 0);
	half = loop_peer(&r, s.bytes, s.len - 1);
	idle = loop_peer(&r, s.bytes, offer);
	pass(&r, 0);
	pass(&r, GREETING_MS / 1000 - LATE_S);
	assert_true(is_open(silent));
	pass(&r, 2 * LATE_S);
	assert_false(is_open(silent));
	assert_true(is_open(half));
	pass(&r, (FRAME_MS - GREETING_MS) / 1000 - 2 * LATE_S);
	assert_true(is_open(half));
	pass(&r, 2 * LATE_S);
	assert_false(is_open(half));
	assert_true(is_open(idle));
	pass(&r, (TIMEOUT_MS - FRAME_MS) / 1000 - 2 * LATE_S);
	assert_true(is_open(idle));
	pass(&r, 2 * LATE_S);
	assert_false(is_open(idle));
	wait_for_links(&r.all, 0);
	for (int *fd = (int[]){ silent, half, idle, -1 }; *fd >= 0; fd++)
		(void)close(*fd);
	loop_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_conversation_cut_anywhere),
		cmocka_unit_test(test_quit_new_connection),
		cmocka_unit_test(test_old_mta),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_end_of_message),
		cmocka_unit_test(test_reply_and_macros),
		cmocka_unit_test(test_bad_commands),
		cmocka_unit_test(test_client_addresses),
		cmocka_unit_test(test_shutting_down),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_closed_while_another_has_the_socket),
		cmocka_unit_test(test_time_is_up),
	};

	return cmocka_run_group_tests_name("native_front", tests, NULL, NULL);
}
