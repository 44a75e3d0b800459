/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         server - listeners, a thread for each connection, and what they all share
 * DESCRIPTION  A thread a connection with blocking calls: the code of a protocol reads like its
 *              RFC, and hundreds of small stacks cost nothing. One thread accepts. struct server is
 *              filled by options.c before threads start and read-only from then on, but for the
 *              members that say otherwise.
 */
#ifndef POSTBOX_SERVER_H
#define POSTBOX_SERVER_H

#include <stdatomic.h>
#include <stdint.h>

#include "policy/base/ip.h"
#include "policy/dns/dns.h"
#include "tests/harness/postbox/auth.h"
#include "tests/harness/postbox/limits.h"
#include "tests/harness/postbox/protocol.h"
#include "tests/harness/postbox/store.h"
#include "tests/harness/postbox/stream.h"

/* clang-format off */
#define MILTER_DEFAULTS(X) \
	X(MILTER_DEFAULT_ACCEPT,   "accept") \
	X(MILTER_DEFAULT_TEMPFAIL, "tempfail") \
	X(MILTER_DEFAULT_REJECT,   "reject") \
	X(MILTER_DEFAULT_QUARANTINE, "quarantine")
/* clang-format on */
/* What happens to mail when the milter can't be asked. */
enum milter_default { MILTER_DEFAULTS(ENUMTAB_NAME) };
const char *milter_default_word(enum milter_default);

struct listening { /* a row of --port and --print-ports */
	const struct protocol *protocol;
	uint16_t port; /* asked for; once listening, what it is */
};

struct networks {
	struct ip_network list[POSTBOX_DOMAINS];
	size_t count;
};

/* --relay-map: what DNS directs to one address goes to another. */
struct relay_map {
	struct ip_address from, to;
	uint16_t port;
};

struct server_options {		/* borrowed text lives in the arena of the server */
	const char *hostname;	/* in greetings, HELO and Received */
	struct ip_address bind; /* 127.0.0.1 */
	struct listening listen[POSTBOX_LISTENERS];
	size_t listen_count;

	struct slice domains[POSTBOX_DOMAINS]; /* served here; normal form */
	size_t domain_count;
	struct user users[POSTBOX_USERS];
	size_t user_count;
	const char *cert_file, *key_file; /* both NULL: made at start */
	bool allow_plain_auth;		  /* passwords in the clear */
	struct networks xclient;	  /* clients that may use XCLIENT */

	const char *milter; /* "unix:/path", "inet:port@host"; NULL: none */
	enum milter_default milter_default;
	uint32_t milter_timeout_ms; /* a reply of the milter */

	bool relay;		   /* --relay: own users' mail goes out to the MX of its domain */
	struct networks relay_for; /* and that of these clients, without a password */
	bool relay_anywhere;	   /* to addresses that are not loopback, too */
	uint16_t relay_port;	   /* of every MX that is not in the map */
	struct relay_map relay_map[POSTBOX_DOMAINS];
	size_t relay_map_count;
	struct ip_address relay_host; /* everything goes there instead, if the port is not 0 */
	uint16_t relay_host_port;
	uint32_t relay_retry_ms, relay_lifetime_ms;
	const char *dns; /* "127.0.0.1@5353"; NULL: the system's resolver */

	size_t max_message_bytes;
	size_t max_store_bytes;
	size_t max_connections;
	uint32_t timeout_ms; /* replaces every time-out of limits.h; 0: those hold */
	const char *maildir; /* NULL: memory */
	bool print_ports;
	bool verbose;
};

struct relay_queue; /* relay.h */

struct server_counters { /* MT: atomic */
	atomic_uint_fast64_t connections, refused, delivered, relayed, rejected;
};

struct server {
	struct arena *arena; /* configuration; not used any more once threads run */
	struct server_options options;
	struct store *store;
	struct tls_context *tls_server;
	struct tls_context *tls_client; /* opportunistic, for relaying */
	struct resolver *resolver;	/* for MX; NULL unless options.relay */
	struct relay_queue *queue;	/* the same */
	struct server_counters counters;
	struct server_threads *threads; /* server.c's own */
};

struct connection {	       /* MT: its own thread only */
	struct server *server; /* shared: what is not atomic is const */
	const struct protocol *protocol;
	struct stream *stream;
	struct arena *arena;   /* of the whole connection */
	struct arena *scratch; /* of one command: the protocol resets it when it likes */
	struct ip_address peer, local;
	uint16_t peer_port, local_port;
	uint64_t number; /* counts connections; for logs and queue ids */
};

/* The time-out of a state: ms, or what --timeout said. */
void connection_timeout(struct connection *c, uint32_t ms);
/* The server is stopping: say goodbye (421, * BYE) instead of reading on. */
bool connection_stopping(const struct connection *c);

/*
 * Open the store, make keys, listen. Ports that were 0 are filled in.
 * NULL with *error_r set (arena text). options is copied; a is kept as server->arena.
 */
struct server *server_new(
    struct arena *a, const struct server_options *options, const char **error_r);
/*
 * Accept until server_stop(). Then nobody can read any more, POSTBOX_STOP_WAIT_MS later nobody can
 * write. False: there are connections even then (one waits for another server); nothing may be
 * freed, the program is to end by _exit(2).
 */
bool server_run(struct server *server);
/* MT: any thread, and a signal handler. */
void server_stop(struct server *server);
/* After server_run() has said true, or instead of it. *server becomes NULL; NULL is accepted. */
void server_free(struct server **server);

#endif
