/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/deliver.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/base/bug.h"

#define REPLY_BYTES  400
#define REPLY_WAIT_S 120 /* as libcurl has it */
#define VERB_BYTES   8	 /* "STARTTLS" is the longest that is looked at */

struct transfer {
	struct deliver_job job;
	bool busy;
	CURL *curl; /* kept between messages, and its connection with it */
	struct curl_slist *to;
	size_t read;		   /* bytes of the message handed over */
	char verb[VERB_BYTES + 1]; /* the last command; "": none yet */
	bool parting;		   /* QUIT was said: what comes is of no interest */
	int code;		   /* of the last reply; 0: none came */
	char reply[REPLY_BYTES + 1];
	char error[CURL_ERROR_SIZE];
};

struct deliver {
	const struct deliver_options *options;
	CURLM *multi;
	char *url;
	struct transfer *transfers;
	size_t under_way;
	char reply[REPLY_BYTES + 1]; /* of the one that was told last */
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

static size_t
drop_bytes(char *from, size_t size, size_t count, void *ctx)
{
	(void)from;
	(void)ctx;
	return size * count;
}

/* ---- opening ---- */

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

static long
reply_wait_s(const struct deliver_options *o)
{
	long half_s = (long)(o->transfer_ms / 2000) + 1;

	return half_s < REPLY_WAIT_S ? half_s : REPLY_WAIT_S;
}

static bool
open_transfer(struct deliver *d, struct transfer *t)
{
	const struct deliver_options *o = d->options;
	CURL *curl = curl_easy_init();

	t->curl = curl;
	if (curl == NULL)
		return false;
	(void)curl_easy_setopt(curl, CURLOPT_URL, d->url);
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
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t->error);
	(void)curl_easy_setopt(curl, CURLOPT_PRIVATE, t);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_ms);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)o->transfer_ms);
	/* That does not bound the wait for the answer to QUIT, for which libcurl blocks. */
	(void)curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, reply_wait_s(o));
	if (o->user != NULL) {
		(void)curl_easy_setopt(curl, CURLOPT_USERNAME, o->user);
		(void)curl_easy_setopt(
		    curl, CURLOPT_PASSWORD, o->password == NULL ? "" : o->password);
	}
	set_tls(curl, o);
	return true;
}

/* curl takes the name for EHLO from the path. */
static char *
make_url(const struct deliver_options *o)
{
	size_t size = strlen(o->server) + strlen(o->helo) + 2;
	char *url = heap_alloc(1, size);

	(void)snprintf(url, size, "%s/%s", o->server, o->helo);
	return url;
}

struct deliver *
deliver_open(const struct deliver_options *options, const char **error_r)
{
	struct deliver *d;
	bool good;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		*error_r = "libcurl can't be used";
		return NULL;
	}
	d = heap_alloc(1, sizeof(*d));
	d->options = options;
	d->url = make_url(options);
	d->transfers = heap_alloc(options->slots, sizeof(*d->transfers));
	d->multi = curl_multi_init();
	good = d->multi != NULL;
	for (unsigned i = 0; good && i < options->slots; i++)
		good = open_transfer(d, &d->transfers[i]);
	if (!good) {
		*error_r = "libcurl has no memory";
		deliver_close(&d);
	}
	return d;
}

void
deliver_close(struct deliver **d)
{
	if (*d == NULL)
		return;
	for (unsigned i = 0; i < (*d)->options->slots; i++) {
		struct transfer *t = &(*d)->transfers[i];

		if (t->busy)
			(void)curl_multi_remove_handle((*d)->multi, t->curl);
		curl_slist_free_all(t->to);
		curl_easy_cleanup(t->curl);
	}
	(void)curl_multi_cleanup((*d)->multi);
	free((*d)->transfers);
	free((*d)->url);
	free(*d);
	*d = NULL;
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

void
deliver_start(struct deliver *d, const struct deliver_job *job)
{
	struct transfer *t = d->transfers;

	while (t < d->transfers + d->options->slots && t->busy)
		t++;
	if (t == d->transfers + d->options->slots)
		bug("deliver_start: no room");
	t->job = *job;
	t->busy = true;
	t->read = 0;
	t->verb[0] = '\0';
	t->parting = false;
	t->code = 0;
	t->reply[0] = t->error[0] = '\0';
	curl_slist_free_all(t->to);
	t->to = curl_slist_append(NULL, job->to);
	if (t->to == NULL)
		out_of_memory(strlen(job->to));
	(void)curl_easy_setopt(t->curl, CURLOPT_MAIL_FROM, job->from);
	(void)curl_easy_setopt(t->curl, CURLOPT_MAIL_RCPT, t->to);
	(void)curl_easy_setopt(t->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)job->message.len);
	if (curl_multi_add_handle(d->multi, t->curl) != CURLM_OK)
		bug("deliver_start: libcurl does not take it");
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
finish(struct deliver *d, struct transfer *t, CURLcode status, struct deliver_done *out)
{
	(void)curl_multi_remove_handle(d->multi, t->curl);
	d->under_way--;
	t->busy = false;
	out->ctx = t->job.ctx;
	out->result = judge(t, status);
	if (t->code != 0 && (status == CURLE_OK || t->code >= 400))
		put_printable(d->reply, sizeof(d->reply), slice_str(t->reply));
	else
		put_printable(d->reply, sizeof(d->reply),
		    slice_str(t->error[0] != '\0' ? t->error : curl_easy_strerror(status)));
	out->reply = slice_str(d->reply);
}

bool
deliver_wait(struct deliver *d, uint32_t wait_ms, struct deliver_done *out)
{
	int running, left;
	CURLMsg *message;
	void *ctx;

	for (int i = 0; i < 2; i++) {
		(void)curl_multi_perform(d->multi, &running);
		while ((message = curl_multi_info_read(d->multi, &left)) != NULL) {
			if (message->msg != CURLMSG_DONE ||
			    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &ctx) !=
				CURLE_OK)
				continue;
			finish(d, ctx, message->data.result, out);
			return true;
		}
		if (i == 0 && d->under_way > 0)
			(void)curl_multi_poll(d->multi, NULL, 0, (int)wait_ms, NULL);
	}
	return false;
}
