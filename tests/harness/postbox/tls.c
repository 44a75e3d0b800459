/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/postbox/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "policy/base/bug.h"

#define CERTIFICATE_LIFE_S (365L * 86400)

struct tls_context {
	SSL_CTX *ctx;
	bool verify;
};

struct tls_session {
	SSL *ssl;
	char error[256];
};

/* ---- contexts ---- */

static const char *
openssl_error(struct arena *a, const char *what)
{
	char text[256];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	ERR_clear_error();
	return arena_printf(a, "%s: %s", what, text);
}

static struct tls_context *
context_new(struct arena *a, const SSL_METHOD *method, const char **error_r)
{
	struct tls_context *tls;
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
		*error_r = openssl_error(a, "TLS");
		SSL_CTX_free(ctx);
		return NULL;
	}
	/* A buffer that is written again after a wait may have moved; a part of it is progress. */
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	tls = heap_alloc(1, sizeof(*tls));
	tls->ctx = ctx;
	return tls;
}

static int
add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX v3;
	X509_EXTENSION *extension;
	int ok;

	X509V3_set_ctx_nodb(&v3);
	X509V3_set_ctx(&v3, cert, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &v3, nid, value);
	ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return ok ? 0 : -1;
}

/* A certificate for hostname, signed by its own key. It may sign (CA:TRUE), so that a client can
 * take it as the one authority that it trusts. */
static X509 *
self_signed(struct arena *a, EVP_PKEY *key, const char *hostname)
{
	const char *names = arena_printf(a, "DNS:%s,DNS:localhost,IP:127.0.0.1,IP:::1", hostname);
	X509 *cert = X509_new();
	X509_NAME *subject = cert == NULL ? NULL : X509_get_subject_name(cert);

	if (subject == NULL || X509_set_version(cert, X509_VERSION_3) != 1 ||
	    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), -3600) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(cert), CERTIFICATE_LIFE_S) == NULL ||
	    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC,
		(const unsigned char *)"postbox test harness", -1, -1, 0) != 1 ||
	    X509_set_issuer_name(cert, subject) != 1 || X509_set_pubkey(cert, key) != 1 ||
	    add_extension(cert, NID_basic_constraints, "critical,CA:TRUE") == -1 ||
	    add_extension(cert, NID_subject_key_identifier, "hash") == -1 ||
	    add_extension(cert, NID_subject_alt_name, names) == -1 ||
	    X509_sign(cert, key, EVP_sha256()) == 0) {
		X509_free(cert);
		return NULL;
	}
	return cert;
}

static int
use_self_signed(struct arena *a, SSL_CTX *ctx, const char *hostname)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = key == NULL ? NULL : self_signed(a, key, hostname);
	bool ok = cert != NULL && SSL_CTX_use_certificate(ctx, cert) == 1 &&
	    SSL_CTX_use_PrivateKey(ctx, key) == 1;

	X509_free(cert);
	EVP_PKEY_free(key);
	return ok ? 0 : -1;
}

struct tls_context *
tls_server_new(struct arena *a, const char *cert_file, const char *key_file, const char *hostname,
    const char **error_r)
{
	struct tls_context *tls = context_new(a, TLS_server_method(), error_r);

	if (tls == NULL)
		return NULL;
	if (cert_file == NULL && key_file == NULL) {
		if (use_self_signed(a, tls->ctx, hostname) == 0)
			return tls;
		*error_r = openssl_error(a, "making a certificate");
	} else if (cert_file == NULL || key_file == NULL) {
		*error_r = "a certificate needs its key, and a key its certificate";
	} else {
		if (SSL_CTX_use_certificate_chain_file(tls->ctx, cert_file) == 1 &&
		    SSL_CTX_use_PrivateKey_file(tls->ctx, key_file, SSL_FILETYPE_PEM) == 1 &&
		    SSL_CTX_check_private_key(tls->ctx) == 1)
			return tls;
		*error_r = openssl_error(a, cert_file);
	}
	tls_free(&tls);
	return NULL;
}

struct tls_context *
tls_client_new(struct arena *a, const char *ca_file, const char **error_r)
{
	struct tls_context *tls = context_new(a, TLS_client_method(), error_r);

	if (tls == NULL || ca_file == NULL)
		return tls;
	if (SSL_CTX_load_verify_locations(tls->ctx, ca_file, NULL) != 1) {
		*error_r = openssl_error(a, ca_file);
		tls_free(&tls);
		return NULL;
	}
	SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
	tls->verify = true;
	return tls;
}

void
tls_free(struct tls_context **tls)
{
	if (*tls == NULL)
		return;
	SSL_CTX_free((*tls)->ctx);
	free(*tls);
	*tls = NULL;
}

struct slice
tls_certificate(struct arena *a, const struct tls_context *tls)
{
	X509 *cert = SSL_CTX_get0_certificate(tls->ctx);
	BIO *bio = BIO_new(BIO_s_mem());
	struct slice pem = { NULL, 0 };
	char *p;
	long len;

	if (cert != NULL && bio != NULL && PEM_write_bio_X509(bio, cert) == 1 &&
	    (len = BIO_get_mem_data(bio, &p)) > 0)
		pem = arena_copy(a, slice_of(p, (size_t)len));
	BIO_free(bio);
	return pem;
}

/* ---- sessions ---- */

struct tls_session *
tls_session_new(const struct tls_context *tls, int fd, const char *server_name)
{
	struct tls_session *session = heap_alloc(1, sizeof(*session));
	SSL *ssl = SSL_new(tls->ctx);

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
		out_of_memory(sizeof(*session));
	if (SSL_is_server(ssl))
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	if (server_name != NULL) {
		(void)SSL_set_tlsext_host_name(ssl, server_name);
		if (tls->verify)
			(void)SSL_set1_host(ssl, server_name);
	}
	session->ssl = ssl;
	return session;
}

void
tls_session_free(struct tls_session **session)
{
	if (*session == NULL)
		return;
	/* After a fatal error nothing may be sent, and OpenSSL says so in its error queue. */
	(void)SSL_shutdown((*session)->ssl);
	ERR_clear_error();
	SSL_free((*session)->ssl);
	free(*session);
	*session = NULL;
}

void
tls_thread_end(void)
{
	OPENSSL_thread_stop();
}

/* What result of an SSL call means. The error queue is the thread's: it was empty before. */
static enum tls_want
want(struct tls_session *session, int result)
{
	int error = SSL_get_error(session->ssl, result);
	unsigned long code;
	long verified;

	switch (error) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_CLOSED;
	}
	code = ERR_get_error();
	ERR_clear_error();
	/* Peers often close without the alert; the protocols above know their own ends. */
	if (code == 0 || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return TLS_CLOSED;
	verified = SSL_get_verify_result(session->ssl);
	if (verified != X509_V_OK && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		(void)snprintf(session->error, sizeof(session->error), "certificate: %s",
		    X509_verify_cert_error_string(verified));
	else
		ERR_error_string_n(code, session->error, sizeof(session->error));
	return TLS_FAILED;
}

enum tls_want
tls_handshake(struct tls_session *session, struct tls_facts *facts)
{
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(session->ssl);
	if (result != 1)
		return want(session, result);
	(void)snprintf(facts->version, sizeof(facts->version), "%s", SSL_get_version(session->ssl));
	(void)snprintf(facts->cipher, sizeof(facts->cipher), "%s", SSL_get_cipher(session->ssl));
	facts->cipher_bits = SSL_get_cipher_bits(session->ssl, NULL);
	return TLS_DONE;
}

enum tls_want
tls_read(struct tls_session *session, void *p, size_t len, size_t *done)
{
	int result;

	ERR_clear_error();
	result = SSL_read_ex(session->ssl, p, len, done);
	return result == 1 ? TLS_DONE : want(session, result);
}

enum tls_want
tls_write(struct tls_session *session, const void *p, size_t len, size_t *done)
{
	int result;

	ERR_clear_error();
	result = SSL_write_ex(session->ssl, p, len, done);
	return result == 1 ? TLS_DONE : want(session, result);
}

size_t
tls_pending(const struct tls_session *session)
{
	return (size_t)SSL_pending(session->ssl);
}

const char *
tls_error(const struct tls_session *session)
{
	return session->error;
}
