/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Delivery to a server of our own that does what the recipient's name says: takes, refuses, puts
 * off, hangs up or hangs, in the envelope, at the final dot, at QUIT.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "report/deliver.h"
#include "tests/support/support.h"

#define LINE_BYTES 1000
#define KEPT_BYTES 4096
#define SERVED_MAX 200

#define LONG_MS 60000 /* longer than all of this may take */

/* ---- the server: a thread a connection ---- */

static struct {
	int listener;
	char server[64];
	pthread_mutex_t lock;
	char mail_from[LINE_BYTES], helo[LINE_BYTES], data[KEPT_BYTES]; /* of the last message */
	char auth[LINE_BYTES];
	pthread_t accepting, serving[SERVED_MAX];
	size_t served;		 /* the accepting thread's */
	sem_t reached, go, said; /* "late": it is at the final dot, may answer, has answered */
} smtpd = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct session {
	FILE *in;
	int fd;
	char rcpt[LINE_BYTES];
	bool mute; /* says nothing to QUIT */
};

static void
say(const struct session *s, const char *line)
{
	if (dprintf(s->fd, "%s\r\n", line) < 0)
		return; /* it hung up */
}

/* "550-x@y.example" as recipient gives "550 ...". False: no code of that kind. */
static bool
coded_reply(const struct session *s, const char *command, const char *rcpt, char kind)
{
	char reply[128];

	if (rcpt[0] != kind || strlen(rcpt) < 4)
		return false;
	(void)snprintf(reply, sizeof(reply), "%.3s-to %s\r\n%.3s 5.%s no", rcpt + 1, command,
	    rcpt + 1, strstr(rcpt, "relay@") != NULL ? "7.1" : "0.0");
	say(s, reply);
	return true;
}

/* Until it has hung up. */
static void
hang(const struct session *s)
{
	char line[LINE_BYTES];

	while (fgets(line, sizeof(line), s->in) != NULL)
		continue;
}

static void
take_data(struct session *s)
{
	char line[LINE_BYTES], text[KEPT_BYTES] = "";
	size_t used = 0;

	say(s, "354 go");
	while (fgets(line, sizeof(line), s->in) != NULL && strcmp(line, ".\r\n") != 0) {
		size_t len = strlen(line);

		if (used + len < sizeof(text)) {
			memcpy(text + used, line, len + 1);
			used += len;
		}
	}
	pthread_mutex_lock(&smtpd.lock);
	(void)snprintf(smtpd.data, sizeof(smtpd.data), "%s", text);
	pthread_mutex_unlock(&smtpd.lock);
	if (strncmp(s->rcpt, "doze", 4) == 0)
		hang(s);
	if (strncmp(s->rcpt, "late", 4) == 0) {
		(void)sem_post(&smtpd.reached);
		(void)sem_wait(&smtpd.go);
	}
	if (!coded_reply(s, "the message", s->rcpt, 'd'))
		say(s, "250 2.0.0 queued as 4711");
	if (strncmp(s->rcpt, "late", 4) == 0)
		(void)sem_post(&smtpd.said);
}

static void
keep(char *where, const char *line)
{
	pthread_mutex_lock(&smtpd.lock);
	(void)snprintf(where, LINE_BYTES, "%.*s", (int)strcspn(line, "\r\n"), line);
	pthread_mutex_unlock(&smtpd.lock);
}

static void
take_rcpt(struct session *s, const char *line)
{
	(void)snprintf(s->rcpt, sizeof(s->rcpt), "%.*s", (int)strcspn(line + 9, ">"), line + 9);
	s->mute = strstr(s->rcpt, "mute@") != NULL;
	if (strncmp(s->rcpt, "hang", 4) == 0)
		hang(s);
	if (strncmp(s->rcpt, "drop", 4) == 0)
		(void)shutdown(s->fd, SHUT_RDWR);
	else if (!coded_reply(s, "you", s->rcpt, 'r'))
		say(s, "250 2.1.5 ok");
}

static void *
serve(void *arg)
{
	struct session s = { .fd = (int)(intptr_t)arg };
	char line[LINE_BYTES];

	s.in = fdopen(s.fd, "r");
	say(&s, "220 mx.test.example ready");
	while (fgets(line, sizeof(line), s.in) != NULL) {
		if (strncmp(line, "EHLO", 4) == 0) {
			keep(smtpd.helo, line);
			say(&s,
			    "250-mx.test.example\r\n250-SIZE 1000000\r\n250-AUTH PLAIN\r\n250 "
			    "8BITMIME");
		} else if (strncmp(line, "MAIL", 4) == 0) {
			keep(smtpd.mail_from, line);
			say(&s,
			    strstr(line, "<blocked@") != NULL ? "554 5.7.1 you are blocked"
							      : "250 2.1.0 ok");
		} else if (strncmp(line, "AUTH", 4) == 0) {
			keep(smtpd.auth, line);
			say(&s, "334 ");
			if (fgets(line, sizeof(line), s.in) != NULL)
				say(&s, "235 2.7.0 ok");
		} else if (strncmp(line, "RCPT", 4) == 0) {
			take_rcpt(&s, line);
		} else if (strncmp(line, "DATA", 4) == 0) {
			take_data(&s);
		} else if (strncmp(line, "QUIT", 4) == 0) {
			if (s.mute)
				continue;
			say(&s, "221 bye");
			break;
		} else {
			say(&s, "250 ok");
		}
	}
	(void)fclose(s.in);
	return NULL;
}

static void *
accept_all(void *arg)
{
	int fd;

	(void)arg;
	while ((fd = accept(smtpd.listener, NULL, NULL)) >= 0) {
		assert_true(smtpd.served < SERVED_MAX);
		if (pthread_create(
			&smtpd.serving[smtpd.served], NULL, serve, (void *)(intptr_t)fd) != 0)
			fail_msg("no thread for connection %zu", smtpd.served);
		smtpd.served++;
	}
	for (size_t i = 0; i < smtpd.served; i++)
		(void)pthread_join(smtpd.serving[i], NULL);
	return NULL;
}

static int
start_server(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	if (sem_init(&smtpd.reached, 0, 0) != 0 || sem_init(&smtpd.go, 0, 0) != 0 ||
	    sem_init(&smtpd.said, 0, 0) != 0)
		return -1;
	smtpd.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(smtpd.listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(smtpd.listener, 64) != 0 ||
	    getsockname(smtpd.listener, (struct sockaddr *)&address, &size) != 0)
		return -1;
	(void)snprintf(
	    smtpd.server, sizeof(smtpd.server), "smtp://127.0.0.1:%u", ntohs(address.sin_port));
	return pthread_create(&smtpd.accepting, NULL, accept_all, NULL);
}

static int
stop_server(void **state)
{
	(void)state;
	(void)shutdown(smtpd.listener, SHUT_RDWR);
	(void)pthread_join(smtpd.accepting, NULL);
	return close(smtpd.listener);
}

/* ---- what is tried ---- */

static struct deliver_options
options_of(unsigned slots, uint32_t transfer_ms)
{
	return (struct deliver_options){ .server = smtpd.server,
		.helo = "us.example",
		.tls = DELIVER_TLS_TRY,
		.connect_ms = LONG_MS,
		.transfer_ms = transfer_ms,
		.slots = slots };
}

static struct deliver *
open_deliver(const struct deliver_options *o)
{
	const char *error = "?";
	struct deliver *d = deliver_open(o, &error);

	if (d == NULL)
		fail_msg("deliver_open: %s", error);
	return d;
}

static void
assert_kept(const char *where, const char *want)
{
	bool same;

	pthread_mutex_lock(&smtpd.lock);
	same = strcmp(where, want) == 0;
	pthread_mutex_unlock(&smtpd.lock);
	if (!same)
		fail_msg("the server did not hear \"%s\"", want);
}

static struct deliver_done
wait_for_one(struct deliver *d)
{
	struct deliver_done done;

	for (int i = 0; i < LONG_MS / 100; i++)
		if (deliver_wait(d, 100, &done))
			return done;
	fail_msg("nothing was done in %d s", LONG_MS / 1000);
	return done;
}

/* clang-format off */
static const struct {
	const char *from, *to;
	enum deliver_result result;
	const char *reply; /* how it begins */
} rows[] = {
	{ "b@us.example", "a@one.example", DELIVER_ACCEPTED, "250 2.0.0 queued as 4711" },
	{ "", "a@one.example", DELIVER_ACCEPTED, "250 2.0.0 queued" },
	{ "", "r550@one.example", DELIVER_REFUSED, "550 5.0.0 no" },
	{ "", "r450@one.example", DELIVER_LATER, "450 " },
	{ "", "d552@one.example", DELIVER_REFUSED, "552 " },
	{ "", "d451@one.example", DELIVER_LATER, "451 " },
	{ "", "r421@one.example", DELIVER_LATER, "421 " },
	{ "", "r554-relay@one.example", DELIVER_LATER, "554 5.7.1 no" },
	{ "", "r530@one.example", DELIVER_LATER, "530 5.0.0 no" },
	{ "", "d550-relay@one.example", DELIVER_LATER, "550 5.7.1 no" },
	{ "", "drop@one.example", DELIVER_LATER, "" },
	{ "blocked@us.example", "a@one.example", DELIVER_LATER, "554 5.7.1 you are blocked" },
	{ "", "a@one.example", DELIVER_ACCEPTED, "250 " },
};
/* clang-format on */

/* In turn over one slot: what one leaves behind must not touch the next. */
static void
tells_three_ends_apart(void **state)
{
	const struct deliver_options o = options_of(1, LONG_MS);
	struct deliver *d = open_deliver(&o);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct deliver_job job = { rows[i].from, rows[i].to,
			SLICE("Subject: x\r\n\r\n.dot\r\n"), NULL };
		struct deliver_done done;

		deliver_start(d, &job);
		assert_false(deliver_has_room(d));
		done = wait_for_one(d);
		if (done.result != rows[i].result ||
		    !slice_starts(done.reply, slice_str(rows[i].reply)) || done.reply.len == 0)
			fail_msg("<%s> to <%s>: %d, \"%.*s\"", rows[i].from, rows[i].to,
			    done.result, SLICE_ARG(done.reply));
		assert_true(deliver_has_room(d));
	}
	deliver_close(&d);
}

static void
says_what_it_must(void **state)
{
	const struct deliver_options o = options_of(1, LONG_MS);
	struct deliver *d = open_deliver(&o);
	struct deliver_job job = { "", "a@one.example", SLICE("Subject: x\r\n\r\n.dot\r\nend\r\n"),
		NULL };

	(void)state;
	deliver_start(d, &job);
	(void)wait_for_one(d);
	assert_kept(smtpd.helo, "EHLO us.example");
	assert_kept(smtpd.mail_from, "MAIL FROM:<> SIZE=25");
	assert_kept(smtpd.data, "Subject: x\r\n\r\n..dot\r\nend\r\n");
	deliver_close(&d);
}

static int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Three that hang, forty that don't, four slots: the forty are done long before the three. */
static void
is_not_held_up(void **state)
{
	static const char *const hanging[] = { "hang@bad.example", "doze@bad.example" };
	const struct deliver_options o = options_of(4, LONG_MS);
	struct deliver_job well = { "", "a@one.example", SLICE("Subject: x\r\n\r\n"), &smtpd };
	struct deliver_done done;

	(void)state;
	for (size_t n = 0; n < 2; n++) {
		struct deliver_job bad = { "", hanging[n], SLICE("Subject: x\r\n\r\n"), NULL };
		struct deliver *d = open_deliver(&o);

		for (int i = 0; i < 3; i++)
			deliver_start(d, &bad);
		for (int i = 0; i < 40; i++) {
			deliver_start(d, &well);
			done = wait_for_one(d);
			if (done.result != DELIVER_ACCEPTED)
				fail_msg("%s: %d: %.*s", hanging[n], i, SLICE_ARG(done.reply));
			assert_ptr_equal(done.ctx, &smtpd);
		}
		assert_int_equal(deliver_under_way(d), 3);
		deliver_close(&d);
	}
}

/* Where the time is up, in the envelope or at the final dot, and not before it is. */
static void
gives_up_in_time(void **state)
{
	static const char *const hanging[] = { "hang@bad.example", "doze@bad.example" };

	(void)state;
	for (size_t n = 0; n < 2; n++) {
		struct deliver_job bad = { "", hanging[n], SLICE("Subject: x\r\n\r\n"), NULL };
		struct deliver_done done = { .result = DELIVER_NO_SERVER };

		/* A busy machine's time is up before the server is had: that is another case. */
		for (uint32_t ms = 400; done.result == DELIVER_NO_SERVER; ms *= 2) {
			const struct deliver_options o = options_of(1, ms);
			struct deliver *d = open_deliver(&o);
			int64_t began = now_ms();

			deliver_start(d, &bad);
			done = wait_for_one(d);
			assert_true(now_ms() - began >= ms);
			assert_true(slice_starts(done.reply, SLICE("Operation timed out")) ||
			    slice_starts(done.reply, SLICE("server response timeout")));
			deliver_close(&d);
		}
		assert_int_equal(done.result, DELIVER_LATER);
	}
}

/* A deliver that has just given up on a message at the final dot. */
static struct deliver *
open_given_up(struct deliver_options *o)
{
	struct deliver_job late = { "", "late@one.example", SLICE("Subject: x\r\n\r\n"), NULL };

	for (uint32_t ms = 400;; ms *= 2) {
		struct deliver *d;

		*o = options_of(1, ms);
		d = open_deliver(o);
		deliver_start(d, &late);
		assert_int_not_equal(wait_for_one(d).result, DELIVER_ACCEPTED);
		if (sem_trywait(&smtpd.reached) == 0)
			return d;
		deliver_close(&d); /* the machine is busy: not even that far */
	}
}

/*
 * The answer to the final dot comes when nobody waits for it any more. libcurl would use the
 * connection again and take it for the answer to the next MAIL FROM, that one's for RCPT TO's, and
 * so on.
 */
static void
takes_no_answer_for_another(void **state)
{
	struct deliver_job next = { "", "a@one.example", SLICE("Subject: x\r\n\r\n"), NULL };
	struct deliver_options o;
	struct deliver *d = open_given_up(&o);
	struct deliver_done done;
	bool prompt;

	(void)state;
	deliver_start(d, &next);
	prompt = deliver_wait(d, 300, &done); /* on the old connection it would not be done */
	(void)sem_post(&smtpd.go);
	(void)sem_wait(&smtpd.said);
	if (!prompt)
		done = wait_for_one(d);
	assert_int_equal(done.result, DELIVER_ACCEPTED);
	assert_slice(done.reply, "250 2.0.0 queued as 4711");
	deliver_close(&d);
}

/* Who has the time gets it. */
static void
waits_for_the_final_dot(void **state)
{
	const struct deliver_options o = options_of(1, LONG_MS);
	struct deliver_job late = { "", "late@one.example", SLICE("Subject: x\r\n\r\n"), NULL };
	struct deliver *d = open_deliver(&o);
	struct deliver_done done;

	(void)state;
	deliver_start(d, &late);
	(void)sem_wait(&smtpd.reached);
	assert_false(deliver_wait(d, 1500, &done));
	(void)sem_post(&smtpd.go);
	assert_int_equal(wait_for_one(d).result, DELIVER_ACCEPTED);
	(void)sem_wait(&smtpd.said);
	deliver_close(&d);
}

/* A server that says nothing to QUIT: after a refusal, and when all is done. */
static void
waits_for_no_farewell(void **state)
{
	const struct deliver_options o = options_of(1, LONG_MS);
	struct deliver_job refused = { "", "r550-mute@one.example", SLICE("x\r\n"), NULL };
	struct deliver_job taken = { "", "mute@one.example", SLICE("x\r\n"), NULL };
	struct deliver *d = open_deliver(&o);
	int64_t began = now_ms();

	(void)state;
	deliver_start(d, &refused);
	assert_int_equal(wait_for_one(d).result, DELIVER_REFUSED);
	deliver_start(d, &taken);
	assert_int_equal(wait_for_one(d).result, DELIVER_ACCEPTED);
	deliver_close(&d);
	assert_true(now_ms() - began < LONG_MS / 2);
}

static void
says_why_nobody_answers(void **state)
{
	struct deliver_options o = options_of(1, LONG_MS);
	struct deliver_job job = { "", "a@one.example", SLICE("x\r\n"), NULL };
	struct deliver_done done;
	struct deliver *d;

	(void)state;
	o.server = "smtp://127.0.0.1:1";
	d = open_deliver(&o);
	deliver_start(d, &job);
	done = wait_for_one(d);
	assert_int_equal(done.result, DELIVER_NO_SERVER);
	assert_true(slice_starts(done.reply, SLICE("Failed to connect to 127.0.0.1 port 1")));
	deliver_close(&d);
	/* One that is cut off in the middle leaves nothing. */
	o = options_of(2, LONG_MS);
	d = open_deliver(&o);
	job.to = "hang@one.example";
	deliver_start(d, &job);
	assert_false(deliver_wait(d, 200, &done));
	deliver_close(&d);
}

/* STARTTLS is not offered: who requires it sends nothing. */
static void
requires_tls(void **state)
{
	struct deliver_options o = options_of(1, LONG_MS);
	struct deliver_job job = { "", "a@one.example", SLICE("x\r\n"), NULL };
	struct deliver_done done;
	struct deliver *d;

	(void)state;
	o.tls = DELIVER_TLS_REQUIRE;
	d = open_deliver(&o);
	deliver_start(d, &job);
	done = wait_for_one(d);
	assert_int_equal(done.result, DELIVER_NO_SERVER);
	assert_true(slice_find(done.reply, 'S') != SLICE_NONE); /* "... STARTTLS ..." */
	printf("no STARTTLS: %.*s\n", SLICE_ARG(done.reply));
	deliver_close(&d);
}

/* Whoever takes STARTTLS out of the server's answer gets no password, unless that is what was asked
 * for. */
static void
keeps_the_password(void **state)
{
	struct deliver_options o = options_of(1, LONG_MS);
	struct deliver_job job = { "", "a@one.example", SLICE("x\r\n"), NULL };
	struct deliver *d;

	(void)state;
	o.user = "bob";
	o.password = "not-a-secret";
	d = open_deliver(&o);
	deliver_start(d, &job);
	assert_int_equal(wait_for_one(d).result, DELIVER_NO_SERVER);
	assert_kept(smtpd.auth, "");
	deliver_close(&d);
	o.tls = DELIVER_TLS_NEVER;
	d = open_deliver(&o);
	deliver_start(d, &job);
	assert_int_equal(wait_for_one(d).result, DELIVER_ACCEPTED);
	assert_kept(smtpd.auth, "AUTH PLAIN");
	deliver_close(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_three_ends_apart),
		cmocka_unit_test(says_what_it_must),
		cmocka_unit_test(is_not_held_up),
		cmocka_unit_test(gives_up_in_time),
		cmocka_unit_test(takes_no_answer_for_another),
		cmocka_unit_test(waits_for_the_final_dot),
		cmocka_unit_test(waits_for_no_farewell),
		cmocka_unit_test(says_why_nobody_answers),
		cmocka_unit_test(requires_tls),
		cmocka_unit_test(keeps_the_password),
	};

	(void)alarm(2 * LONG_MS / 1000); /* one that hangs fails */
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
