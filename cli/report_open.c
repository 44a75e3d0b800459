/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/report.h"
#include "conf/key_file.h"
#include "config.h"
#include "policy/syntax/domain.h"
#include "report/mail_parts.h"
#include "report/suppress.h"

#define BUSY_MS	       10000   /* waiting for assayd's writer */
#define SLOTS	       8       /* messages under way at once */
#define CONNECT_MS     300000  /* RFC 5321 4.5.3.2.1: the greeting's */
#define TRANSFER_MS    1200000 /* 4.5.3.2.6: ten minutes for the final dot, and as much before it */
#define RETRY_MOST_S   14400
#define FILE_MS	       1000  /* until a store that is not there yet is looked for again */
#define FLEET_MS       10000 /* connecting to its database, and each call */
#define PASSWORD_BYTES 256

_Static_assert(TRANSFER_MS / 1000 < OUTBOX_LEASE_S, "a claim may end before its transfer");

/* ---- configuration, database ---- */

static int
load_configuration(struct report_run *r)
{
	char *error = NULL;

	r->conf = r->options.config_file == NULL ? conf_defaults()
						 : conf_load(r->options.config_file, &error);
	if (r->conf != NULL)
		return 0;
	(void)fprintf(stderr, "%s\n", error);
	free(error);
	return EXIT_UNREADABLE;
}

/* Reports are made from the database of the fleet, and what is in our store goes there first. */
static struct db *
open_fleet(struct report_run *r, char **error_r)
{
	const struct conf *c = r->conf;
	const char *node = c->report_node != NULL ? c->report_node
						  : arena_str(r->arena, c->hostname);

	if (c->report_store != NULL)
		r->shipper = shipper_new(c->report_store, c->report_database, node, FLEET_MS);
	lease_holder(node, r->node_holder);
	return db_open_postgres(c->report_database, FLEET_MS, error_r);
}

/* Made by us, as root perhaps, it would be none that assayd can write to. errno is set. */
static bool
is_there(const struct report_run *r)
{
	bool stop = false;

	for (;;) {
		if (access(r->conf->report_store, F_OK) == 0)
			return true;
		if (errno != ENOENT || !r->patient || stop)
			return false;
		stop = report_must_stop(r, FILE_MS);
	}
}

/* 0: there is no such file. */
static ino_t
inode_of(const char *file)
{
	struct stat st;

	return stat(file, &st) == 0 ? st.st_ino : 0;
}

/* The queue: failure reports don't go to the fleet, each node sends its own. */
static int
open_file(struct report_run *r)
{
	const char *error = "?";

	if (!is_there(r))
		return report_complain(EXIT_TEMPFAIL, r->conf->report_store,
		    errno == ENOENT ? "not there yet: assayd makes it" : strerror(errno));
	r->queue = db_new_sqlite(r->conf->report_store, BUSY_MS);
	db_limit_file(r->queue, REPORT_FILE_BYTES);
	if (db_reopen(r->queue, &error) != 0)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	r->inode = inode_of(r->conf->report_store);
	return 0;
}

static int
open_database(struct report_run *r)
{
	char *error = NULL;
	int status;

	if (r->conf->report_database != NULL) {
		r->db = open_fleet(r, &error);
		if (r->db != NULL)
			return r->conf->report_store == NULL ? 0 : open_file(r);
		(void)report_complain(EXIT_INTERNAL, "report_database", error);
		free(error);
		return EXIT_INTERNAL;
	}
	if (r->conf->report_store == NULL)
		return report_complain(
		    EXIT_CONFIG, "report_store", "nothing is kept, so there is nothing to report");
	status = open_file(r);
	r->db = r->queue;
	return status;
}

static int
open_store(struct report_run *r)
{
	const char *error = "?";
	int status = open_database(r);

	if (status != 0)
		return status;
	r->store = store_open(r->db, &error);
	if (r->store == NULL || outbox_prepare(r->db, &error) != 0 ||
	    suppress_prepare(r->db, &error) != 0 ||
	    (r->conf->report_database != NULL && lease_open(r->db, &error) != 0))
		return report_complain(EXIT_INTERNAL, "report_store", error);
	return 0;
}

static void
close_store(struct report_run *r)
{
	shipper_free(&r->shipper);
	store_close(&r->store);
	if (r->queue != r->db)
		db_close(&r->queue);
	r->queue = NULL;
	db_close(&r->db);
}

int
report_open_store(struct report_run *r)
{
	int status = load_configuration(r);

	return status == 0 ? open_store(r) : status;
}

/* SQLite would go on for ever in a file that is no longer there. */
int
report_follow_store(struct report_run *r)
{
	if (r->queue == NULL || inode_of(r->conf->report_store) == r->inode)
		return 0;
	close_store(r);
	return open_store(r);
}

/* ---- keys: those of the reporting domain ---- */

static bool
pattern_fits(const struct conf_pattern *p, struct slice domain)
{
	return p->subdomains ? !slice_equal(p->domain, domain) && domain_covers(p->domain, domain)
			     : slice_equal(p->domain, domain);
}

static bool
signs_for(const struct conf_dkim_key *key, struct slice domain)
{
	if (key->author_domain_count == 0)
		return slice_equal(key->domain, domain);
	for (size_t i = 0; i < key->author_domain_count; i++)
		if (pattern_fits(&key->author_domains[i], domain))
			return true;
	return false;
}

static int
load_key(struct report_run *r, const struct conf_dkim_key *key)
{
	struct sig_signing_key *out = &r->keys[r->key_count];
	const char *error = "?";
	struct private_key *private = key_file_read(
	    r->arena, r->crypto, key->key_file, geteuid(), getegid(), &error);

	if (private == NULL)
		return report_complain(EXIT_UNREADABLE, "dkim_key", error);
	out->domain = key->domain.len > 0 ? key->domain : r->compose.submitter;
	out->selector = key->selector;
	out->type = private_key_type(private);
	out->number = key_ring_add(r->ring, private);
	r->key_count++;
	return 0;
}

static int
load_keys(struct report_run *r)
{
	int status = 0;

	r->ring = key_ring_new(r->crypto);
	for (size_t i = 0; status == 0 && i < r->conf->dkim_key_count; i++)
		if (r->key_count < REPORT_KEYS_MAX &&
		    signs_for(&r->conf->dkim_keys[i], r->compose.submitter))
			status = load_key(r, &r->conf->dkim_keys[i]);
	r->holder = key_ring_holder(r->ring);
	r->sign_options = r->conf->sign;
	if (r->options.time_s != 0) { /* made at a pretended time it would not verify */
		r->sign_options.timestamp = false;
		r->sign_options.expire_s = 0;
	}
	r->sign = (struct dkim_sign_job){
		.crypto = r->crypto,
		.holder = &r->holder,
		.options = &r->sign_options,
		.keys = r->keys,
		.key_count = r->key_count,
	};
	return status;
}

/* ---- options ---- */

static enum worth_when
worth_of(enum conf_report_when when)
{
	switch (when) {
	case CONF_REPORT_PASS:
		return WORTH_PASS;
	case CONF_REPORT_ACCEPTED:
		return WORTH_ACCEPTED;
	case CONF_REPORT_FAILURES:
		return WORTH_FAILURES;
	case CONF_REPORT_ALWAYS:
		return WORTH_ALWAYS;
	}
	bug("worth_of: %d", (int)when);
}

static enum deliver_tls
tls_of(enum conf_smtp_tls tls)
{
	switch (tls) {
	case CONF_TLS_NEVER:
		return DELIVER_TLS_NEVER;
	case CONF_TLS_TRY:
		return DELIVER_TLS_TRY;
	case CONF_TLS_REQUIRE:
		return DELIVER_TLS_REQUIRE;
	}
	bug("tls_of: %d", (int)tls);
}

/* Who previews before anything is set up reports as this host. */
static void
set_compose(struct report_run *r)
{
	const struct conf *c = r->conf;
	const struct conf_reports *reports = &c->reports;
	struct slice email = reports->email != NULL
	    ? slice_str(reports->email)
	    : slice_str(arena_printf(r->arena, "postmaster@%.*s", SLICE_ARG(c->hostname)));

	r->compose = (struct compose_options){
		.org_name = reports->org_name != NULL ? slice_str(reports->org_name) : c->hostname,
		.email = email,
		.extra_contact = slice_str(reports->extra_contact),
		.submitter = arena_copy_lower(r->arena, mail_address_domain(email)),
		/* The reports of a fleet are the same whoever makes them. */
		.node = c->report_database != NULL ? SLICE("fleet") : c->hostname,
		.generator = SLICE(PACKAGE_STRING),
		.format = reports->format == CONF_REPORT_RFC9990 ? AGGREGATE_RFC9990
								 : AGGREGATE_RFC7489,
		.worth = { worth_of(reports->when), reports->failures },
		.dmarc = &r->dmarc,
		.lookups = c->evaluator.lookups,
	};
}

/* The first line. */
static int
read_password(struct report_run *r, const char **password_r)
{
	const char *path = r->conf->reports.password_file;
	char line[PASSWORD_BYTES] = "";
	const char *error = "?";
	FILE *f;
	int fd;

	if (path == NULL)
		return 0;
	fd = key_file_open(r->arena, path, geteuid(), getegid(), &error);
	if (fd < 0)
		return report_complain(EXIT_UNREADABLE, "report_password_file", error);
	f = fdopen(fd, "r");
	if (f == NULL)
		bug("fdopen: %s", strerror(errno));
	if (fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0';
	(void)fclose(f);
	line[strcspn(line, "\r\n")] = '\0';
	*password_r = arena_str(r->arena, slice_str(line));
	explicit_bzero(line, sizeof(line));
	return 0;
}

static int
set_send(struct report_run *r)
{
	const struct conf_reports *reports = &r->conf->reports;

	r->send = (struct send_options){
		.deliver = { .server = reports->server,
		    .helo = arena_str(r->arena, r->conf->hostname),
		    .tls = tls_of(reports->tls),
		    .user = reports->user,
		    .connect_ms = CONNECT_MS,
		    .transfer_ms = TRANSFER_MS,
		    .slots = SLOTS },
		.retry = { .interval_s = reports->retry_interval_s,
		    .most_s = reports->retry_interval_s > RETRY_MOST_S ? reports->retry_interval_s
								       : RETRY_MOST_S,
		    .limit_s = reports->retry_limit_s },
		.limits = { reports->limit_total, reports->limit_address,
		    reports->limit_exchanger },
		.from = r->compose.email,
		.from_name = r->compose.org_name,
		.submitter = r->compose.submitter,
		.envelope_from = slice_str(reports->envelope_from),
		.sign = r->key_count > 0 ? &r->sign : NULL,
	};
	return read_password(r, &r->send.deliver.password);
}

/* ---- DNS, crypto ---- */

static int
open_libraries(struct report_run *r)
{
	struct dns_backend *backend;
	const char *error = "?";

	r->dmarc = r->conf->evaluator.dmarc;
	if (r->dmarc.discovery == DMARC_PSL) {
		r->psl = psl_open(r->arena, r->conf->psl_file, &error);
		if (r->psl == NULL)
			return report_complain(EXIT_UNREADABLE, "public suffix list", error);
		r->dmarc.psl = r->psl;
	}
	r->crypto = crypto_new(r->arena, &error);
	if (r->crypto == NULL)
		return report_complain(EXIT_INTERNAL, "OpenSSL", error);
	backend = dns_unbound_new(r->arena, &r->conf->dns, &error);
	if (backend == NULL)
		return report_complain(EXIT_INTERNAL, "DNS", error);
	r->resolver = resolver_new(backend, &r->conf->resolver);
	return 0;
}

int
report_open_engine(struct report_run *r)
{
	int status = open_libraries(r);

	if (status != 0)
		return status;
	set_compose(r);
	status = load_keys(r);
	return status == 0 ? set_send(r) : status;
}

void
report_close(struct report_run *r)
{
	close_store(r);
	resolver_free(&r->resolver);
	key_ring_free(&r->ring);
	crypto_free(&r->crypto);
	psl_close(&r->psl);
	conf_free(&r->conf);
	arena_free(&r->arena);
}

size_t
report_say_why_not(const struct report_run *r, FILE *f)
{
	const struct conf_reports *reports = &r->conf->reports;
	struct slice domain;

	if (reports->email == NULL) {
		(void)fputs("Nothing is sent: report_email and report_org_name are not set.\n", f);
		return 1;
	}
	domain = mail_address_domain(slice_str(reports->email));
	for (size_t i = 0; i < r->conf->dkim_key_count; i++)
		if (signs_for(&r->conf->dkim_keys[i], domain))
			return 0;
	(void)fprintf(f,
	    "Reports go out unsigned: there is no dkim_key for %.*s, so they may fail DMARC.\n",
	    SLICE_ARG(domain));
	return 0;
}
