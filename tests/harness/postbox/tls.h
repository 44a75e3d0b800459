/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         tls - the harness's door to OpenSSL
 * DESCRIPTION  A context is made once at start and shared by all connections; a session belongs to
 *              one struct stream, which alone calls the tls_session functions. TLS 1.2 and 1.3.
 *              tls.c is the only file of the harness that sees <openssl/...>.
 * BUGS         OpenSSL writes to a socket whose peer is gone: the program must ignore SIGPIPE.
 */
#ifndef POSTBOX_TLS_H
#define POSTBOX_TLS_H

#include <sys/types.h>

#include "policy/base/arena.h"

struct tls_context; /* MT: immutable once made */

/*
 * cert_file and key_file: PEM, the chain behind the certificate. Both NULL: a key (P-256) and a
 * certificate signed by itself for hostname, "localhost" and 127.0.0.1 are made, good for a year.
 * NULL with *error_r set (arena text).
 */
struct tls_context *tls_server_new(struct arena *a, const char *cert_file, const char *key_file,
    const char *hostname, const char **error_r);

/* ca_file: PEM certificates that are trusted; NULL: the peer's certificate is not looked at
 * (opportunistic TLS between mail servers, RFC 7435). */
struct tls_context *tls_client_new(struct arena *a, const char *ca_file, const char **error_r);

/* *tls becomes NULL; NULL is accepted. No session may be left. */
void tls_free(struct tls_context **tls);

/* The server's certificate, PEM, for clients that want to trust it. Arena memory. */
struct slice tls_certificate(struct arena *a, const struct tls_context *tls);

struct tls_facts {	  /* for Received fields, logs and milter macros */
	char version[16]; /* "TLSv1.3" */
	char cipher[64];
	int cipher_bits;
};

/* ---- one connection; fd is non-blocking ---- */

struct tls_session;

struct tls_session *tls_session_new(const struct tls_context *tls, int fd, const char *server_name);
/* Sends the closing alert if it can be sent at once. *session becomes NULL; NULL is accepted. */
void tls_session_free(struct tls_session **session);

/* This thread uses no TLS again: what OpenSSL keeps for it goes now. OpenSSL would do so when the
 * thread ends, which may be in the middle of its own end, at exit(). */
void tls_thread_end(void);

/* What a call wants before it is made again. */
enum tls_want { TLS_DONE, TLS_WANT_READ, TLS_WANT_WRITE, TLS_CLOSED, TLS_FAILED };

enum tls_want tls_handshake(struct tls_session *session, struct tls_facts *facts);
enum tls_want tls_read(struct tls_session *session, void *p, size_t len, size_t *done);
enum tls_want tls_write(struct tls_session *session, const void *p, size_t len, size_t *done);
/* Decrypted bytes that poll(2) does not know of. */
size_t tls_pending(const struct tls_session *session);
/* Why it failed; valid until the session ends. */
const char *tls_error(const struct tls_session *session);

#endif
