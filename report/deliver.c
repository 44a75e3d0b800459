/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/deliver.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "policy/base/bug.h"
#include "report/deadline.h"

#define REPLY_BYTES  400
#define REPLY_WAIT_S 600 /* RFC 5321 4.5.3.2.6: the final dot's; the others' are shorter */
#define VERB_BYTES   8	 /* "STARTTLS" is the longest that is looked at */

enum stage { TRANSFER_FREE, TRANSFER_BUSY, TRANSFER_OVER };

/* A slot, and its thread. While it is busy all but stage is the thread's. */
struct transfer {
	struct deliver *deliver;
	pthread_t thread;
	enum stage stage; /* MT: deliver->lock */
	struct deliver_job job;
	CURL *curl;  /* kept between messages, and its connection with it; NULL: not yet */
	size_t read; /* bytes of the message handed over */
	char verb[VERB_BYTES + 1]; /* the last command; "": none yet */
	bool parting;		   /* QUIT was said: what comes is of no interest */
	int code;		   /* of the last reply; 0: none came */
	char reply[REPLY_BYTES + 1];
	char error[CURL_ERROR_SIZE];
	CURLcode status; /* how it ended */
};

/*
 * A thread a slot, for libcurl (7.88) blocks: for the answer to the final dot and for the one to
 * QUIT, in curl_multi_perform() too.
 */
struct deliver {
	const struct deliver_options *options; /* MT: these two immutable */
	char *url;
	struct transfer *transfers;
	unsigned threads; /* that were started */
	size_t under_way;
	char reply[REPLY_BYTES + 1]; /* of the one that was told last */
	atomic_bool closing;
	pthread_mutex_t lock;
	pthread_cond_t work; /* one is busy, or closing */
	pthread_cond_t over; /* one is over */
};

/* ---- what goes over the wire ---- */

static size_t
give_bytes(char *to, size_t size, size_t count, void *ctx)
{
	struct transfer *t = ctx;
	struct slice next = slice_sub(t->job.message, t->read, size * count);

	if (next.len > 0)
		memcpy(to, next.p, next.len);
	t->read += next.len;
	return next.len;
}

static void
put_printable(char *out, size_t size, struct slice text)
{
	size_t len = 0;

	text = slice_trim(text);
	for (size_t i = 0; i < text.len && len + 1 < size; i++)
		out[len++] = text.p[i] >= ' ' && text.p[i] <= '~' ? text.p[i] : '?';
	out[len] = '\0';
}

static void
take_command(struct transfer *t, struct slice line)
{
	size_t len = 0;

	t->parting |= slice_starts_nocase(line, SLICE("QUIT"));
	if (t->parting)
		return;
	/* AUTH goes on with lines that are no commands. */
	if (strcmp(t->verb, "AUTH") == 0 && !slice_starts_nocase(line, SLICE("MAIL ")))
		return;
	while (len < line.len && len < VERB_BYTES && ascii_is_alpha(line.p[len])) {
		t->verb[len] = line.p[len];
		len++;
	}
	t->verb[len] = '\0';
}

/* The last line of a reply: three digits and no hyphen behind them. */
static void
take_reply(struct transfer *t, struct slice line)
{
	if (line.len < 3 || !ascii_is_digit(line.p[0]) || !ascii_is_digit(line.p[1]) ||
	    !ascii_is_digit(line.p[2]) || (line.len > 3 && line.p[3] == '-'))
		return;
	if (t->parting)
		return;
	t->code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + line.p[2] - '0';
	put_printable(t->reply, sizeof(t->reply), line);
}

static int
listen_in(CURL *curl, curl_infotype type, char *data, size_t size, void *ctx)
{
	struct transfer *t = ctx;

	(void)curl;
	if (type == CURLINFO_HEADER_OUT)
		take_command(t, slice_of(data, size));
	else if (type == CURLINFO_HEADER_IN)
		take_reply(t, slice_of(data, size));
	return 0;
}

/*
 * Not 0: go on no longer. libcurl asks once a second at least, and so waits for the answer to QUIT
 * no longer than that; Postfix does not wait for it at all (smtp_skip_quit_response).
 */
static int
must_end(void *ctx, curl_off_t to_get, curl_off_t got, curl_off_t to_send, curl_off_t sent)
{
	const struct transfer *t = ctx;

	(void)to_get;
	(void)got;
	(void)to_send;
	(void)sent;
	return t->parting || t->deliver->closing;
}

static size_t
drop_bytes(char *from, size_t size, size_t count, void *ctx)
{
	(void)from;
	(void)ctx;
	return size * count;
}

/* ---- a handle of libcurl ---- */

static void
set_tls(CURL *curl, const struct deliver_options *o)
{
	bool strict = o->tls == DELIVER_TLS_REQUIRE;
	/* Who stands in between could take the offer away, and be told the password. */
	bool needed = strict || (o->tls == DELIVER_TLS_TRY && o->user != NULL);

	(void)curl_easy_setopt(curl, CURLOPT_USE_SSL,
	    (long)(needed			? CURLUSESSL_ALL
		    : o->tls == DELIVER_TLS_TRY ? CURLUSESSL_TRY
						: CURLUSESSL_NONE));
	/* Who would go on in the clear gains nothing from refusing a name that is wrong (RFC 7435).
	 */
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, strict ? 1L : 0L);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, strict ? 2L : 0L);
	if (o->ca_file != NULL)
		(void)curl_easy_setopt(curl, CURLOPT_CAINFO, o->ca_file);
}

static CURL *
open_curl(struct transfer *t)
{
	const struct deliver_options *o = t->deliver->options;
	CURL *curl = curl_easy_init();

	if (curl == NULL)
		return NULL;
	(void)curl_easy_setopt(curl, CURLOPT_URL, t->deliver->url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
	(void)curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_bytes);
	(void)curl_easy_setopt(curl, CURLOPT_READDATA, t);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop_bytes);
	(void)curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, listen_in);
	(void)curl_easy_setopt(curl, CURLOPT_DEBUGDATA, t);
	(void)curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, must_end);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t->error);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_ms);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)o->transfer_ms);
	(void)curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)REPLY_WAIT_S);
	if (o->user != NULL) {
		(void)curl_easy_setopt(curl, CURLOPT_USERNAME, o->user);
		(void)curl_easy_setopt(
		    curl, CURLOPT_PASSWORD, o->password == NULL ? "" : o->password);
	}
	set_tls(curl, o);
	return curl;
}

/*
 * The connection, if there is one, goes with it. libcurl says QUIT and would wait for two minutes,
 * with no callback: so there is nothing more to be read.
 */
static void
close_curl(struct transfer *t)
{
	curl_socket_t fd = CURL_SOCKET_BAD;

	if (t->curl == NULL)
		return;
	if (curl_easy_getinfo(t->curl, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK &&
	    fd != CURL_SOCKET_BAD)
		(void)shutdown(fd, SHUT_RD);
	curl_easy_cleanup(t->curl);
	t->curl = NULL;
}

/* ---- the thread of a slot ---- */

static CURLcode
perform(struct transfer *t)
{
	struct curl_slist *to = curl_slist_append(NULL, t->job.to);
	CURLcode status;

	if (to == NULL)
		out_of_memory(strlen(t->job.to));
	t->read = 0;
	t->verb[0] = '\0';
	t->parting = false;
	t->code = 0;
	t->reply[0] = t->error[0] = '\0';
	if (t->curl == NULL)
		t->curl = open_curl(t);
	if (t->curl == NULL)
		out_of_memory(sizeof(*t));
	(void)curl_easy_setopt(t->curl, CURLOPT_MAIL_FROM, t->job.from);
	(void)curl_easy_setopt(t->curl, CURLOPT_MAIL_RCPT, to);
	(void)curl_easy_setopt(t->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->job.message.len);
	status = curl_easy_perform(t->curl);
	/*
	 * Where the answer to the final dot did not come in time libcurl would use the connection
	 * again, and take that answer for the one to the next message's MAIL FROM, and so on.
	 */
	if (status != CURLE_OK)
		close_curl(t);
	curl_slist_free_all(to);
	return status;
}

static void *
run_transfers(void *arg)
{
	struct transfer *t = arg;
	struct deliver *d = t->deliver;

	(void)pthread_mutex_lock(&d->lock);
	for (;;) {
		while (t->stage != TRANSFER_BUSY && !d->closing)
			(void)pthread_cond_wait(&d->work, &d->lock);
		if (d->closing)
			break;
		(void)pthread_mutex_unlock(&d->lock);
		t->status = perform(t);
		(void)pthread_mutex_lock(&d->lock);
		t->stage = TRANSFER_OVER;
		(void)pthread_cond_signal(&d->over);
	}
	(void)pthread_mutex_unlock(&d->lock);
	close_curl(t);
	return NULL;
}

/* ---- the whole ---- */

/* curl takes the name for EHLO from the path. */
static char *
make_url(const struct deliver_options *o)
{
	size_t size = strlen(o->server) + strlen(o->helo) + 2;
	char *url = heap_alloc(1, size);

	(void)snprintf(url, size, "%s/%s", o->server, o->helo);
	return url;
}

static void
init_lock(struct deliver *d)
{
	pthread_condattr_t monotonic;

	(void)pthread_condattr_init(&monotonic);
	if (pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) != 0 ||
	    pthread_mutex_init(&d->lock, NULL) != 0 || pthread_cond_init(&d->work, NULL) != 0 ||
	    pthread_cond_init(&d->over, &monotonic) != 0)
		bug("deliver_open: no lock");
	(void)pthread_condattr_destroy(&monotonic);
}

static bool
start_threads(struct deliver *d)
{
	while (d->threads < d->options->slots) {
		struct transfer *t = &d->transfers[d->threads];

		t->deliver = d;
		if (pthread_create(&t->thread, NULL, run_transfers, t) != 0)
			return false;
		d->threads++;
	}
	return true;
}

struct deliver *
deliver_open(const struct deliver_options *options, const char **error_r)
{
	struct deliver *d;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		*error_r = "libcurl can't be used";
		return NULL;
	}
	d = heap_alloc(1, sizeof(*d));
	d->options = options;
	d->url = make_url(options);
	d->transfers = heap_alloc(options->slots, sizeof(*d->transfers));
	init_lock(d);
	if (!start_threads(d)) {
		*error_r = "no threads to deliver with";
		deliver_close(&d);
	}
	return d;
}

void
deliver_close(struct deliver **deliver)
{
	struct deliver *d = *deliver;

	if (d == NULL)
		return;
	(void)pthread_mutex_lock(&d->lock);
	d->closing = true;
	(void)pthread_cond_broadcast(&d->work);
	(void)pthread_mutex_unlock(&d->lock);
	for (unsigned i = 0; i < d->threads; i++)
		(void)pthread_join(d->transfers[i].thread, NULL);
	(void)pthread_cond_destroy(&d->over);
	(void)pthread_cond_destroy(&d->work);
	(void)pthread_mutex_destroy(&d->lock);
	free(d->transfers);
	free(d->url);
	free(d);
	*deliver = NULL;
	curl_global_cleanup();
}

/* ---- transfers ---- */

bool
deliver_has_room(const struct deliver *d)
{
	return d->under_way < d->options->slots;
}

size_t
deliver_under_way(const struct deliver *d)
{
	return d->under_way;
}

/* d->lock is held. NULL: none is at that stage. */
static struct transfer *
find_transfer(struct deliver *d, enum stage stage)
{
	for (unsigned i = 0; i < d->options->slots; i++)
		if (d->transfers[i].stage == stage)
			return &d->transfers[i];
	return NULL;
}

void
deliver_start(struct deliver *d, const struct deliver_job *job)
{
	struct transfer *t;

	(void)pthread_mutex_lock(&d->lock);
	t = find_transfer(d, TRANSFER_FREE);
	if (t == NULL)
		bug("deliver_start: no room");
	t->job = *job;
	t->stage = TRANSFER_BUSY;
	(void)pthread_cond_broadcast(&d->work);
	(void)pthread_mutex_unlock(&d->lock);
	d->under_way++;
}

/* Did it end before the server could be told of any message? */
static bool
before_mail(const struct transfer *t)
{
	static const char *const verbs[] = { "", "EHLO", "HELO", "STARTTLS", "AUTH" };

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(t->verb, verbs[i]) == 0)
			return true;
	return false;
}

/* RFC 3463 3.8, "Security or Policy Status": "554 5.7.1 Relay access denied" is what a server says
 * that does not know us, and so to all recipients. */
static bool
is_about_us(const struct transfer *t)
{
	return t->code == 530 || slice_starts(slice_from(slice_str(t->reply), 4), SLICE("5.7."));
}

static enum deliver_result
judge(const struct transfer *t, CURLcode status)
{
	if (status == CURLE_OK)
		return DELIVER_ACCEPTED;
	if (before_mail(t))
		return DELIVER_NO_SERVER;
	/* A time-out after a reply leaves that reply's code behind: it was none of these. */
	if (status == CURLE_OPERATION_TIMEDOUT || t->code < 500)
		return DELIVER_LATER;
	if (is_about_us(t))
		return DELIVER_LATER;
	if (strcmp(t->verb, "RCPT") == 0 || strcmp(t->verb, "DATA") == 0)
		return DELIVER_REFUSED;
	return DELIVER_LATER;
}

static void
tell(struct deliver *d, const struct transfer *t, struct deliver_done *out)
{
	out->ctx = t->job.ctx;
	out->result = judge(t, t->status);
	if (t->code != 0 && (t->status == CURLE_OK || t->code >= 400))
		put_printable(d->reply, sizeof(d->reply), slice_str(t->reply));
	else
		put_printable(d->reply, sizeof(d->reply),
		    slice_str(t->error[0] != '\0' ? t->error : curl_easy_strerror(t->status)));
	out->reply = slice_str(d->reply);
}

bool
deliver_wait(struct deliver *d, uint32_t wait_ms, struct deliver_done *out)
{
	const struct timespec until = deadline_in_ms(wait_ms);
	struct transfer *t;
	int rc = 0;

	(void)pthread_mutex_lock(&d->lock);
	while ((t = find_transfer(d, TRANSFER_OVER)) == NULL && d->under_way > 0 && rc == 0)
		rc = pthread_cond_timedwait(&d->over, &d->lock, &until);
	if (t != NULL) {
		tell(d, t, out);
		t->stage = TRANSFER_FREE;
		d->under_way--;
	}
	(void)pthread_mutex_unlock(&d->lock);
	return t != NULL;
}
