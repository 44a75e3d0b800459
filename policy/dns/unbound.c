/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         unbound - the only door to libunbound
 * DESCRIPTION  The library is used by its event interface (ub_ctx_create_ub_event()): one thread of
 *              ours hands questions in, and the library's work is done on that thread, whenever a
 *              descriptor or a timer of its own is ready (events.h). Answers come as packets, which
 *              packet.h reads. ub_resolve() is never used: it builds a whole resolver for each
 *              call. Nor is ub_resolve_async(): its own thread stands behind two pipes, through
 *              which every question and every answer is copied.
 *
 *              Every call into the context after set-up is made by that thread. So there is no lock
 *              order between the library and us: start() takes backend->lock to queue the job,
 *              nothing else while holding it, and no lock is held when a request is completed.
 *
 *              The library promises a callback for every question. OpenDKIM#149 is what happens to
 *              those who believe it: bogus data, no callback, descriptors gone. Here each job has
 *              its own deadline, kept by our thread: then the request is completed as a time-out
 *              and the job cancelled, whatever the library is doing. ub_cancel() takes away the
 *              callback only; the socket is closed when the library has given up on the server by
 *              itself, which the settings below make a matter of seconds.
 * BUGS         The library's cache of one megabyte stands behind ours: resolver_flush() does not
 *              reach it. Its log is the process's, not the context's.
 */
#include <sys/queue.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound-event.h>
#include <unbound.h>
#include <unistd.h>

#include "policy/dns/events.h"
#include "policy/dns/internal.h"
#include "policy/dns/packet.h"

#define CLASS_IN 1
#define IDLE_MS	 60000

/* What ub_event_callback_type calls sec. */
enum { SEC_INSECURE = 0, SEC_BOGUS = 1, SEC_SECURE = 2 };

/* One request in the library's hands. */
struct job {
	TAILQ_ENTRY(job) link;
	struct unbound_backend *owner;
	struct dns_request *request;
	uint64_t deadline_ms;
	int async_id;
};
TAILQ_HEAD(job_list, job);

struct unbound_backend {
	struct dns_backend backend; /* first */
	struct ub_ctx *ctx;	    /* MT: the thread, after set-up */
	struct events *events;	    /* woken: something is in incoming, or closing */
	pthread_t thread;
	pthread_mutex_t lock;
	struct job_list incoming; /* MT: lock */
	bool closing;		  /* MT: lock */
	atomic_size_t open;	  /* jobs in all */
	/* MT: the thread only */
	struct job_list running;  /* by deadline, earliest first */
	struct job *being_handed; /* to the library; NULL: it has answered already */
	struct arena *scratch;	  /* one answer long */
};

/* ---- answers ---- */

static struct dns_answer
tempfail(enum dns_reason reason, const char *detail)
{
	return (struct dns_answer){ .status = DNS_TEMPFAIL,
		.reason = reason,
		.security = reason == DNS_R_BOGUS ? DNS_BOGUS : DNS_INSECURE,
		.detail = slice_str(detail) };
}

/* ---- jobs; on the thread ---- */

static void
job_free(struct job *job)
{
	job->owner->open--;
	free(job);
}

/* Complete the request and free the job, which is in no list any more. */
static void
complete(struct job *job, const struct dns_answer *draft)
{
	struct dns_request *request = job->request;

	job_free(job);
	request->done(request, dns_answer_make(draft, request->type));
}

/* The library has an answer, or gives up; perhaps from within ub_resolve_event(). */
static void
on_answer(
    void *arg, int rcode, void *packet, int packet_len, int sec, char *why_bogus, int ratelimited)
{
	struct job *job = arg;
	struct unbound_backend *u = job->owner;
	struct dns_answer draft;

	(void)ratelimited;
	/* RFC 4035 5.5: bogus data is no data; the rcode does not matter any more. */
	if (sec == SEC_BOGUS || why_bogus != NULL) {
		draft = tempfail(DNS_R_BOGUS, why_bogus);
	} else if (rcode != 0 || packet == NULL || packet_len < 0) {
		draft = tempfail(DNS_R_SERVFAIL, arena_printf(u->scratch, "rcode %d", rcode));
	} else {
		draft = packet_answer(
		    u->scratch, slice_of(packet, (size_t)packet_len), job->request->type);
		if (draft.status != DNS_TEMPFAIL && sec == SEC_SECURE)
			draft.security = DNS_SECURE;
	}
	if (u->being_handed == job)
		u->being_handed = NULL;
	TAILQ_REMOVE(&u->running, job, link);
	complete(job, &draft);
	arena_reset(u->scratch);
}

/* The library reads master-file text: what zone text escapes must be escaped for it as well. */
static void
presentation(struct slice name, char out[4 * LIMIT_DOMAIN_BYTES + 1])
{
	size_t len = 0;

	for (size_t i = 0; i < name.len; i++) {
		char c = name.p[i];

		if (dns_name_escapes(c)) {
			(void)snprintf(out + len, 5, "\\%03u", (unsigned)(unsigned char)c);
			len += 4;
		} else {
			out[len++] = c;
		}
	}
	out[len] = '\0';
}

/* Nearly always at the end: time-outs are mostly the same. */
static void
insert_by_deadline(struct job_list *list, struct job *job)
{
	struct job *before = TAILQ_LAST(list, job_list);

	while (before != NULL && before->deadline_ms > job->deadline_ms)
		before = TAILQ_PREV(before, job_list, link);
	if (before == NULL)
		TAILQ_INSERT_HEAD(list, job, link);
	else
		TAILQ_INSERT_AFTER(list, before, job, link);
}

static void
submit(struct unbound_backend *u, struct job *job)
{
	char name[4 * LIMIT_DOMAIN_BYTES + 1];
	struct dns_answer draft;
	int rc, id = 0;

	presentation(job->request->name, name);
	insert_by_deadline(&u->running, job);
	u->being_handed = job;
	rc = ub_resolve_event(u->ctx, name, (int)job->request->type, CLASS_IN, job, on_answer, &id);
	if (u->being_handed == NULL)
		return; /* answered, and freed */
	u->being_handed = NULL;
	job->async_id = id;
	if (rc == 0)
		return;
	draft = tempfail(DNS_R_SERVFAIL, ub_strerror(rc));
	TAILQ_REMOVE(&u->running, job, link);
	complete(job, &draft);
}

/* End a running job without the library. A query that it does not know has no callback either. */
static void
give_up(struct unbound_backend *u, struct job *job, enum dns_reason reason)
{
	struct dns_answer draft = tempfail(reason, NULL);

	TAILQ_REMOVE(&u->running, job, link);
	(void)ub_cancel(u->ctx, job->async_id);
	complete(job, &draft);
}

static void
expire(struct unbound_backend *u)
{
	uint64_t now = dns_monotonic_ms();
	struct job *job;

	while ((job = TAILQ_FIRST(&u->running)) != NULL && job->deadline_ms <= now)
		give_up(u, job, DNS_R_TIMEOUT);
}

/* Move what start() has queued to *list. False: closing. */
static bool
take_incoming(struct unbound_backend *u, struct job_list *list)
{
	bool closing;

	TAILQ_INIT(list);
	(void)pthread_mutex_lock(&u->lock);
	TAILQ_CONCAT(list, &u->incoming, link);
	closing = u->closing;
	(void)pthread_mutex_unlock(&u->lock);
	return !closing;
}

/* Until the next deadline. */
static uint64_t
time_to_wait(const struct unbound_backend *u)
{
	const struct job *first = TAILQ_FIRST(&u->running);
	uint64_t now = dns_monotonic_ms();

	if (first == NULL)
		return IDLE_MS;
	return first->deadline_ms > now ? first->deadline_ms - now : 0;
}

static void *
work(void *arg)
{
	struct unbound_backend *u = arg;
	struct job_list list;
	struct job *job;
	bool open = true;

	while (open) {
		open = take_incoming(u, &list);
		while ((job = TAILQ_FIRST(&list)) != NULL) {
			TAILQ_REMOVE(&list, job, link);
			submit(u, job);
		}
		expire(u);
		if (open)
			events_turn(u->events, time_to_wait(u));
	}
	while ((job = TAILQ_FIRST(&u->running)) != NULL)
		give_up(u, job, DNS_R_CLOSING);
	return NULL;
}

/* ---- the backend's calls ---- */

static void
unbound_start(struct dns_backend *backend, struct dns_request *request)
{
	struct unbound_backend *u = (struct unbound_backend *)backend;
	struct job *job;
	bool closing, awake; /* awake: told already, and takes all there is */

	if (u->open >= LIMIT_DNS_IN_FLIGHT) {
		struct dns_answer draft = tempfail(DNS_R_BUSY, NULL);

		request->done(request, dns_answer_make(&draft, request->type));
		return;
	}
	job = heap_alloc(1, sizeof(*job));
	job->owner = u;
	job->request = request;
	job->deadline_ms = dns_monotonic_ms() + request->timeout_ms;
	u->open++;
	(void)pthread_mutex_lock(&u->lock);
	closing = u->closing;
	awake = !TAILQ_EMPTY(&u->incoming);
	if (!closing)
		TAILQ_INSERT_TAIL(&u->incoming, job, link);
	(void)pthread_mutex_unlock(&u->lock);
	if (closing) {
		struct dns_answer draft = tempfail(DNS_R_CLOSING, NULL);

		complete(job, &draft);
		return;
	}
	if (!awake)
		events_wake(u->events);
}

static void
backend_free(struct unbound_backend *u)
{
	/* Ends whatever the library has under way; there are no callbacks. */
	if (u->ctx != NULL)
		ub_ctx_delete(u->ctx);
	events_free(&u->events);
	(void)pthread_mutex_destroy(&u->lock);
	arena_free(&u->scratch);
	free(u);
}

static void
unbound_close(struct dns_backend *backend)
{
	struct unbound_backend *u = (struct unbound_backend *)backend;

	(void)pthread_mutex_lock(&u->lock);
	u->closing = true;
	(void)pthread_mutex_unlock(&u->lock);
	events_wake(u->events);
	(void)pthread_join(u->thread, NULL);
	backend_free(u);
}

static const struct dns_backend_calls unbound_calls = { .start = unbound_start,
	.close = unbound_close };

/* ---- set-up ---- */

/*
 * What the library would answer by itself though a forwarder knows better: RFC 6761 6.2, RFC 8375.
 * The reverse zones of private and documentation networks go by unblock-lan-zones. localhost,
 * invalid and onion stay: nobody may be asked about them.
 */
static const char *const builtin_zones[] = { "test.", "home.arpa." };

struct setting {
	const char *name, *value;
};

/* Older libraries don't know all of these; they are improvements, not needs. */
static const struct setting settings[] = {
	/* A dead server is given up soon, so that the sockets of cancelled queries close. */
	{ "outbound-msg-retry:", "3" },
	{ "infra-cache-max-rtt:", "2000" },
	/* How long the shortest wait for an answer is. By default, 50 ms, whatever a resolver must
	 * ask others first is asked of it twice. */
	{ "infra-cache-min-rtt:", "500" },
	{ "infra-keep-probing:", "yes" },
	/* Queries beyond this many sockets wait for one: the default of 16 lets 16 dead servers
	 * delay everybody. */
	{ "outgoing-range:", "256" },
};

/*
 * How long a server counts as dead. The default of 900 s is for a world with other servers: a
 * forwarder that was away for a minute was not asked again for more than 30 s.
 */
static const struct setting forward_settings[] = {
	{ "infra-host-ttl:", "2" },
	{ "unblock-lan-zones:", "yes" },
	{ "insecure-lan-zones:", "yes" },
};
static const struct setting recursive_settings[] = {
	{ "infra-host-ttl:", "60" },
};

/* Without anything to validate by, the validator costs a fifth of what a question costs here. */
static const struct setting unvalidated_settings[] = {
	{ "module-config:", "iterator" },
};

#define SET(ctx, table) set_all(ctx, table, sizeof(table) / sizeof((table)[0]))

static void
set_all(struct ub_ctx *ctx, const struct setting *s, size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)ub_ctx_set_option(ctx, s[i].name, s[i].value);
}

static void
set_options(struct ub_ctx *ctx, const struct dns_unbound_options *o)
{
	SET(ctx, settings);
	if (o->mode == DNS_MODE_RECURSIVE)
		SET(ctx, recursive_settings);
	else
		SET(ctx, forward_settings);
	if (o->trust_anchor_file == NULL)
		SET(ctx, unvalidated_settings);
}

static int
set_servers(
    struct arena *a, struct ub_ctx *ctx, const struct dns_unbound_options *o, const char **error_r)
{
	const char *file = o->resolv_conf == NULL ? "/etc/resolv.conf" : o->resolv_conf;

	switch (o->mode) {
	case DNS_MODE_SYSTEM:
		if (access(file, R_OK) != 0)
			*error_r = arena_printf(a, "can't read %s: %s", file, strerror(errno));
		else if (ub_ctx_resolvconf(ctx, file) != 0)
			*error_r = arena_printf(a, "%s: a nameserver is no address", file);
		else
			return 0;
		return -1;
	case DNS_MODE_RECURSIVE:
		return 0;
	case DNS_MODE_FORWARD:
		break;
	}
	if (o->forwarder_count == 0) {
		*error_r = "no forwarder given";
		return -1;
	}
	/* The library puts each in front of the list: the first given shall be the first. */
	for (size_t i = o->forwarder_count; i-- > 0;) {
		if (ub_ctx_set_fwd(ctx, o->forwarders[i]) != 0) {
			*error_r = arena_printf(a,
			    "forwarder \"%s\" is neither address nor address@port",
			    o->forwarders[i]);
			return -1;
		}
	}
	return 0;
}

static int
set_anchor(struct arena *a, struct ub_ctx *ctx, const char *file, const char **error_r)
{
	if (file == NULL)
		return 0;
	if (access(file, R_OK) != 0 || ub_ctx_add_ta_file(ctx, file) != 0) {
		*error_r = arena_printf(
		    a, "can't read trust anchor file %s: %s", file, strerror(errno));
		return -1;
	}
	return 0;
}

/* From here on the library reads what it was given: the first call after set-up does that. */
static int
finalize(struct ub_ctx *ctx, bool forwards)
{
	int rc = ub_ctx_zone_remove(ctx, "nothing.invalid.");

	for (size_t i = 0; rc == 0 && forwards && i < sizeof(builtin_zones) / sizeof(char *); i++)
		rc = ub_ctx_zone_remove(ctx, builtin_zones[i]);
	return rc;
}

/* What the library has said while it was set up; its log is one line a complaint. */
static const char *
complaint(struct arena *a, const char *said, int rc)
{
	const char *error = strstr(said, "error: ");

	if (error == NULL)
		return ub_strerror(rc);
	error += strlen("error: ");
	return arena_printable(a, slice_of(error, strcspn(error, "\n")), 200);
}

static int
set_up(struct arena *a, struct unbound_backend *u, const struct dns_unbound_options *options,
    const char **error_r)
{
	bool forwards = options->mode != DNS_MODE_RECURSIVE;
	char *said = NULL;
	size_t said_len;
	FILE *log = open_memstream(&said, &said_len);
	int rc = -1;

	if (log == NULL)
		out_of_memory(0);
	u->ctx = ub_ctx_create_ub_event(events_base(u->events));
	if (u->ctx == NULL) {
		*error_r = "libunbound can't start";
	} else if (ub_ctx_debugout(u->ctx, log) != 0) {
		*error_r = "libunbound refuses our settings";
	} else if (set_servers(a, u->ctx, options, error_r) == 0 &&
	    set_anchor(a, u->ctx, options->trust_anchor_file, error_r) == 0) {
		set_options(u->ctx, options);
		rc = finalize(u->ctx, forwards);
		(void)fflush(log);
		if (rc != 0)
			*error_r = arena_printf(a, "libunbound: %s", complaint(a, said, rc));
	}
	/* The library logs for the whole process; what matters comes with the answers. */
	if (u->ctx != NULL)
		(void)ub_ctx_debugout(u->ctx, NULL);
	(void)fclose(log);
	free(said);
	return rc;
}

/* Our thread takes no signals: those are the program's. */
static int
start_thread(struct unbound_backend *u)
{
	sigset_t all, before;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&u->thread, NULL, work, u);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

struct dns_backend *
dns_unbound_new(struct arena *a, const struct dns_unbound_options *options, const char **error_r)
{
	struct unbound_backend *u = heap_alloc(1, sizeof(*u));

	u->backend.calls = &unbound_calls;
	TAILQ_INIT(&u->incoming);
	TAILQ_INIT(&u->running);
	u->scratch = arena_new(SIZE_MAX);
	u->events = events_new();
	if (pthread_mutex_init(&u->lock, NULL) != 0)
		bug("pthread_mutex_init");
	if (u->events == NULL) {
		*error_r = arena_printf(a, "epoll or eventfd: %s", strerror(errno));
	} else if (set_up(a, u, options, error_r) == 0) {
		int rc = start_thread(u);

		if (rc == 0)
			return &u->backend;
		*error_r = arena_printf(a, "can't start a thread: %s", strerror(rc));
	}
	backend_free(u);
	return NULL;
}
