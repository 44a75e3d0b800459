/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         conf - the configuration, read once, immutable from then on
 * DESCRIPTION  One table of settings (schema.c) makes the parser, the defaults, the checks, the
 *              sample file and the list that assay.conf(5) is checked against. Options travel down
 *              as the plain structs that the modules declare; nothing in policy/ knows this header.
 * DIAGNOSTICS  Errors name file, line, setting, what was found and what is allowed. An unknown
 *              setting is an error.
 * BUGS         MT: conf_load() is for one thread at a time (libconfuse).
 */
#ifndef ASSAY_CONF_H
#define ASSAY_CONF_H

#include "policy/decide.h"
#include "policy/dkim/sign.h"
#include "policy/evaluation.h"

enum conf_log_target { CONF_LOG_STDERR, CONF_LOG_SYSLOG };
enum conf_front { CONF_FRONT_LIBMILTER, CONF_FRONT_NATIVE };
enum conf_quarantine { CONF_QUARANTINE_HOLD, CONF_QUARANTINE_HEADER };

/* A domain; with subdomains set, those below it and not itself. */
struct conf_pattern {
	struct slice domain; /* normal form */
	bool subdomains;
};

/* A key to sign with, as its section says. */
struct conf_dkim_key {
	struct slice name;			   /* of the section */
	const struct conf_pattern *author_domains; /* it signs for these; none: for domain */
	size_t author_domain_count;
	struct slice domain; /* d=; empty: the author's domain */
	struct slice selector;
	const char *key_file;
};

/* For which author domains mail of one login is signed. */
struct conf_sender {
	struct slice login;
	const struct conf_pattern *domains;
	size_t domain_count;
};

enum conf_seal { CONF_SEAL_NONE, CONF_SEAL_FORWARDED, CONF_SEAL_ALL };
enum conf_report_format { CONF_REPORT_RFC9990, CONF_REPORT_RFC7489 };
enum conf_report_when {
	CONF_REPORT_PASS,
	CONF_REPORT_ACCEPTED,
	CONF_REPORT_FAILURES,
	CONF_REPORT_ALWAYS
};
enum conf_smtp_tls { CONF_TLS_NEVER, CONF_TLS_TRY, CONF_TLS_REQUIRE };

/* How aggregate reports are made and sent; by assay(1), assayd only starts it. */
struct conf_reports {
	const char *org_name, *email; /* NULL: nothing is sent */
	const char *extra_contact;
	enum conf_report_format format;
	enum conf_report_when when;
	uint32_t failures; /* when FAILURES: so many */
	uint32_t settle_s; /* behind a period's end */

	const char *server, *user, *password_file;
	enum conf_smtp_tls tls;
	const char *envelope_from; /* NULL: the null sender; "*" becomes a token */
	uint32_t limit_total, limit_address, limit_exchanger; /* a day; 0: none */
	uint32_t retry_interval_s, retry_limit_s;

	bool run;	     /* assayd starts `assay report run` */
	const char *program; /* NULL: the assay that was installed with assayd */
};

enum conf_logins { CONF_LOGINS_OWN, CONF_LOGINS_ANY, CONF_LOGINS_NONE };

/* Failure reports; the last two in 24 hours. */
struct conf_failures {
	bool enabled, redact;
	uint32_t wait_s;
	uint32_t per_domain, in_all;
};

struct conf {		     /* MT: immutable after conf_load() */
	struct arena *arena; /* owns all text below */
	const char *file;    /* NULL: the defaults */

	/* the daemon */
	const char *socket;	  /* "unix:/path", "inet:port@host", "inet6:port@host" */
	enum conf_front front;	  /* what speaks with the MTA */
	uint32_t socket_mode;	  /* of a Unix socket, octal */
	const char *user, *group; /* NULL: stay who we are */
	const char *pid_file;	  /* NULL: none */
	enum conf_log_target log_target;
	const char *syslog_facility; /* "mail" */
	uint32_t milter_timeout_s;

	/* who we are, whom we don't look at */
	struct slice hostname;		  /* normal form; also SPF's receiver */
	struct slice authserv_id;	  /* default: the host name */
	const struct slice *authserv_ids; /* it and its aliases */
	size_t authserv_id_count;
	const struct ip_network *trusted_networks; /* connections that are not evaluated */
	size_t trusted_network_count;
	bool skip_authenticated; /* nor those of authenticated clients */

	/* what is done */
	enum conf_quarantine quarantine;
	const char *quarantine_header; /* name of the field added when quarantine is by header */

	/* what is signed; sign.fields is derived from the lists behind it */
	const struct conf_dkim_key *dkim_keys;
	size_t dkim_key_count;
	const struct ip_network *sign_networks;
	size_t sign_network_count;
	const struct conf_sender *senders;
	size_t sender_count;
	enum conf_logins unlisted_senders;
	bool require_published;
	enum action on_sign_failure; /* ACTION_TEMPFAIL or ACTION_ACCEPT: goes out unsigned */
	struct dkim_sign_options sign;
	const struct slice *sign_also, *oversign_also, *sign_not;
	size_t sign_also_count, oversign_also_count, sign_not_count;

	/* what is sealed (ARC) */
	enum conf_seal seal;
	const char *seal_key;		   /* name of its section; NULL: none */
	size_t seal_key_number;		   /* in dkim_keys, where seal is not none */
	const struct slice *local_domains; /* recipients there are not forwarded to */
	size_t local_domain_count;

	/* DNS */
	struct dns_unbound_options dns;
	struct resolver_options resolver;

	/* DMARC by the public suffix list */
	const char *psl_file; /* NULL: the list libpsl was built with */

	/* what is remembered for aggregate reports */
	const char *report_store; /* file; NULL: nothing is */
	uint32_t report_store_wait_ms;
	uint32_t report_period_s, report_keep_s;
	bool report_recipient;	     /* with the recipient's domain */
	const char *report_database; /* the fleet's, as libpq takes it; NULL: none */
	const char *report_node;     /* our name in it; NULL: the hostname */
	struct conf_reports reports;

	struct conf_failures failures;

	/* handed down as they are; dmarc.psl is set by whoever opens it */
	struct evaluator_options evaluator;
	struct decide_rules decide;
};

/*
 * NULL with *error_r set (heap text, the caller frees it): every fault found, one a line, no final
 * line break: "file:line: setting: found "x", allowed: ...".
 */
struct conf *conf_load(const char *file, char **error_r);

/* What an empty file gives. Never fails. */
struct conf *conf_defaults(void);

/* *c becomes NULL; NULL is accepted. */
void conf_free(struct conf **c);

/* A file that says nothing: every setting as a comment with what it is for, what is allowed and its
 * default. conf/assay.conf is this. Arena memory. */
struct slice conf_write_sample(struct arena *a);

#endif
