/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/postbox/server.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "policy/base/bug.h"
#include "tests/harness/postbox/log.h"
#include "tests/harness/postbox/relay.h"

ENUMTAB_WORDS(milter_default_word, enum milter_default, MILTER_DEFAULTS)

struct listener {
	int fd;
	const struct protocol *protocol;
};

/* A connection and its place in the list of those under way. */
struct live {
	struct connection c; /* first: the two are the same address */
	struct live *next, **link;
};

struct server_threads {
	struct listener listeners[POSTBOX_LISTENERS];
	size_t listener_count;
	int wake[2];	      /* a byte here ends server_run() */
	atomic_bool stopping; /* lock-free: set by a signal handler */
	pthread_attr_t attributes;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t gone;
	struct live *live;
	size_t live_count;
	uint64_t number;
};

/* ---- a connection ---- */

void
connection_timeout(struct connection *c, uint32_t ms)
{
	uint32_t instead = c->server->options.timeout_ms;

	stream_set_timeout(c->stream, instead == 0 ? ms : instead);
}

bool
connection_stopping(const struct connection *c)
{
	return atomic_load(&c->server->threads->stopping);
}

static void
live_add(struct server *server, struct live *l)
{
	struct server_threads *t = server->threads;

	(void)pthread_mutex_lock(&t->lock);
	l->c.number = ++t->number;
	l->next = t->live;
	l->link = &t->live;
	if (l->next != NULL)
		l->next->link = &l->next;
	t->live = l;
	t->live_count++;
	(void)pthread_mutex_unlock(&t->lock);
}

/* Once it is off the list nobody else cuts its stream, and the server may be freed. */
static void
live_remove(struct live *l)
{
	struct server_threads *t = l->c.server->threads;

	(void)pthread_mutex_lock(&t->lock);
	*l->link = l->next;
	if (l->next != NULL)
		l->next->link = l->link;
	stream_free(&l->c.stream);
	arena_free(&l->c.scratch);
	arena_free(&l->c.arena);
	free(l);
	tls_thread_end(); /* behind the next line the process may exit */
	t->live_count--;
	(void)pthread_cond_signal(&t->gone);
	(void)pthread_mutex_unlock(&t->lock);
}

static void *
connection_main(void *argument)
{
	struct live *l = argument;
	struct connection *c = &l->c;
	enum stream_status status = STREAM_OK;

	c->arena = arena_new(POSTBOX_CONNECTION_MEMORY);
	c->scratch = arena_new(POSTBOX_CONNECTION_MEMORY);
	connection_timeout(c, POSTBOX_TLS_MS);
	log_debug(c, "connected");
	if (c->protocol->tls_at_once)
		status = stream_tls_accept(c->stream, c->server->tls_server);
	if (status == STREAM_OK)
		c->protocol->run(c);
	else
		log_debug(c, "TLS: %s %s", stream_status_text(status), stream_error(c->stream));
	/* The last words may have to wait for a slow peer: not while the list is locked. */
	(void)stream_flush(c->stream);
	log_debug(c, "done");
	live_remove(l);
	return NULL;
}

/* ---- accepting ---- */

static uint16_t
port_of(const struct sockaddr_storage *sa)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (sa->ss_family == AF_INET) {
		memcpy(&v4, sa, sizeof(v4));
		return ntohs(v4.sin_port);
	}
	memcpy(&v6, sa, sizeof(v6));
	return ntohs(v6.sin6_port);
}

static struct live *
connection_new(struct server *server, const struct protocol *protocol, int fd)
{
	struct live *l = heap_alloc(1, sizeof(*l));
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);

	l->c.server = server;
	l->c.protocol = protocol;
	if (getpeername(fd, (struct sockaddr *)&sa, &len) == 0) {
		l->c.peer = ip_from_sockaddr((const struct sockaddr *)&sa);
		l->c.peer_port = port_of(&sa);
	}
	len = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0) {
		l->c.local = ip_from_sockaddr((const struct sockaddr *)&sa);
		l->c.local_port = port_of(&sa);
	}
	l->c.stream = stream_new(fd, POSTBOX_TLS_MS);
	return l;
}

/* One too many. A socket that was just accepted has room for a line: nobody is waited for. */
static void
turn_away(struct server *server, const struct protocol *protocol, int fd)
{
	(void)atomic_fetch_add(&server->counters.refused, 1);
	if (protocol->busy != NULL && !protocol->tls_at_once)
		(void)send(fd, protocol->busy, strlen(protocol->busy), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)close(fd);
}

static bool
is_full(struct server *server)
{
	struct server_threads *t = server->threads;
	bool full;

	(void)pthread_mutex_lock(&t->lock);
	full = t->live_count >= server->options.max_connections;
	(void)pthread_mutex_unlock(&t->lock);
	return full;
}

static void
accept_one(struct server *server, const struct listener *listener)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	struct live *l;
	pthread_t thread;

	if (fd == -1) {
		/* Out of descriptors: the peer waits in the queue, and we don't spin. */
		if (errno == EMFILE || errno == ENFILE)
			(void)poll(NULL, 0, 10);
		return;
	}
	(void)atomic_fetch_add(&server->counters.connections, 1);
	if (is_full(server)) {
		turn_away(server, listener->protocol, fd);
		return;
	}
	l = connection_new(server, listener->protocol, fd);
	live_add(server, l);
	if (pthread_create(&thread, &server->threads->attributes, connection_main, l) != 0) {
		log_line(&l->c, "no thread for this connection");
		(void)atomic_fetch_add(&server->counters.refused, 1);
		live_remove(l);
	}
}

/* Wait for the connections to go. False: some are still there. */
static bool
wait_gone(struct server_threads *t, uint32_t ms)
{
	struct timespec until;
	int error = 0;
	bool gone;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	(void)pthread_mutex_lock(&t->lock);
	while (t->live_count > 0 && error != ETIMEDOUT)
		error = pthread_cond_timedwait(&t->gone, &t->lock, &until);
	gone = t->live_count == 0;
	(void)pthread_mutex_unlock(&t->lock);
	return gone;
}

static void
end_connections(struct server_threads *t, void (*end)(struct stream *))
{
	(void)pthread_mutex_lock(&t->lock);
	for (struct live *l = t->live; l != NULL; l = l->next)
		end(l->c.stream);
	(void)pthread_mutex_unlock(&t->lock);
}

static void
close_listeners(struct server_threads *t)
{
	for (size_t i = 0; i < t->listener_count; i++)
		(void)close(t->listeners[i].fd);
	t->listener_count = 0;
}

bool
server_run(struct server *server)
{
	struct server_threads *t = server->threads;
	struct pollfd fds[POSTBOX_LISTENERS + 1];

	for (size_t i = 0; i < t->listener_count; i++)
		fds[i] = (struct pollfd){ .fd = t->listeners[i].fd, .events = POLLIN };
	fds[t->listener_count] = (struct pollfd){ .fd = t->wake[0], .events = POLLIN };
	while (!atomic_load(&t->stopping)) {
		if (poll(fds, (nfds_t)(t->listener_count + 1), -1) <= 0)
			continue;
		for (size_t i = 0; i < t->listener_count; i++)
			if (fds[i].revents != 0)
				accept_one(server, &t->listeners[i]);
	}
	close_listeners(t);
	/* Who waits for a command finds no more; who is answering one may finish the sentence. */
	end_connections(t, stream_shutdown_input);
	if (!wait_gone(t, POSTBOX_STOP_WAIT_MS)) {
		end_connections(t, stream_shutdown);
		if (!wait_gone(t, POSTBOX_STOP_WAIT_MS))
			return false;
	}
	/* Nobody adds to the queue any more. */
	return server->queue == NULL || relay_queue_stop(server->queue);
}

void
server_stop(struct server *server)
{
	int saved = errno;
	ssize_t written;

	atomic_store(&server->threads->stopping, true);
	written = write(server->threads->wake[1], "", 1);
	(void)written; /* a pipe that is full wakes as well */
	errno = saved;
}

/* ---- setting up ---- */

static int
open_socket(const struct ip_address *address, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool is_v4 = address->family == IP_V4;
	const struct sockaddr *sa = is_v4 ? (const struct sockaddr *)&v4
					  : (const struct sockaddr *)&v6;
	int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	if (fd == -1)
		return -1;
	memcpy(&v4.sin_addr, address->bytes, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, address->bytes, sizeof(v6.sin6_addr));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, sa, is_v4 ? sizeof(v4) : sizeof(v6)) == 0 && listen(fd, POSTBOX_BACKLOG) == 0)
		return fd;
	on = errno;
	(void)close(fd);
	errno = on;
	return -1;
}

static int
open_listeners(struct server *server, const char **error_r)
{
	struct server_threads *t = server->threads;

	for (size_t i = 0; i < server->options.listen_count; i++) {
		struct listening *asked = &server->options.listen[i];
		struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
		socklen_t len = sizeof(sa);
		int fd = open_socket(&server->options.bind, asked->port);

		if (fd == -1) {
			*error_r = arena_printf(server->arena, "%s: port %u: %s",
			    asked->protocol->name, asked->port, strerror(errno));
			return -1;
		}
		t->listeners[t->listener_count++] = (struct listener){ .fd = fd,
			.protocol = asked->protocol };
		if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0)
			asked->port = port_of(&sa);
	}
	return 0;
}

static int
open_accounts(struct server *server, const char **error_r)
{
	struct store_options options = {
		.maildir = server->options.maildir,
		.max_bytes = server->options.max_store_bytes,
		.max_message_bytes = server->options.max_message_bytes,
	};

	server->store = store_new(server->arena, &options, error_r);
	if (server->store == NULL)
		return -1;
	for (size_t i = 0; i < server->options.user_count; i++) {
		struct user *user = &server->options.users[i];

		user->account = store_account_add(
		    server->arena, server->store, user->name, error_r);
		if (user->account == NULL)
			return -1;
	}
	return 0;
}

static int
open_tls(struct server *server, const char **error_r)
{
	const struct server_options *o = &server->options;

	server->tls_server = tls_server_new(
	    server->arena, o->cert_file, o->key_file, o->hostname, error_r);
	if (server->tls_server == NULL)
		return -1;
	server->tls_client = tls_client_new(server->arena, NULL, error_r);
	return server->tls_client == NULL ? -1 : 0;
}

/* For mail to others: who asks for their MX, and the queue. */
static int
open_relay(struct server *server, const char **error_r)
{
	const char *forwarder = server->options.dns;
	struct dns_unbound_options options = {
		.mode = forwarder == NULL ? DNS_MODE_SYSTEM : DNS_MODE_FORWARD,
		.forwarders = &forwarder,
		.forwarder_count = forwarder == NULL ? 0 : 1,
	};
	struct dns_backend *backend;

	if (!server->options.relay)
		return 0;
	backend = dns_unbound_new(server->arena, &options, error_r);
	if (backend == NULL)
		return -1;
	server->resolver = resolver_new(backend, NULL);
	server->queue = relay_queue_new(server, error_r);
	return server->queue == NULL ? -1 : 0;
}

static void
threads_open(struct server *server)
{
	struct server_threads *t = heap_alloc(1, sizeof(*t));
	pthread_condattr_t monotonic;

	if (pipe2(t->wake, O_CLOEXEC | O_NONBLOCK) == -1)
		bug("pipe2: %s", strerror(errno));
	(void)pthread_attr_init(&t->attributes);
	(void)pthread_attr_setstacksize(&t->attributes, POSTBOX_STACK_BYTES);
	(void)pthread_attr_setdetachstate(&t->attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&t->gone, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	server->threads = t;
}

static void
threads_close(struct server_threads *t)
{
	close_listeners(t);
	(void)close(t->wake[0]);
	(void)close(t->wake[1]);
	(void)pthread_attr_destroy(&t->attributes);
	(void)pthread_mutex_destroy(&t->lock);
	(void)pthread_cond_destroy(&t->gone);
	free(t);
}

struct server *
server_new(struct arena *a, const struct server_options *options, const char **error_r)
{
	struct server *server = heap_alloc(1, sizeof(*server));

	server->arena = a;
	server->options = *options;
	threads_open(server);
	/* Listening comes last: whoever gets through finds everything ready. */
	if (open_accounts(server, error_r) == -1 || open_tls(server, error_r) == -1 ||
	    open_relay(server, error_r) == -1 || open_listeners(server, error_r) == -1) {
		if (server->queue != NULL && !relay_queue_stop(server->queue))
			bug("the queue does not stop");
		server_free(&server);
	}
	return server;
}

void
server_free(struct server **server)
{
	struct server *s = *server;

	*server = NULL;
	if (s == NULL)
		return;
	threads_close(s->threads);
	relay_queue_free(&s->queue);
	resolver_free(&s->resolver);
	tls_free(&s->tls_client);
	tls_free(&s->tls_server);
	store_free(&s->store);
	free(s);
}
