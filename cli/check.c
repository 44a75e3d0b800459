/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check_options.h"
#include "cli/cli.h"
#include "conf/conf.h"
#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/stamp.h"
#include "policy/syntax/message.h"

#define CHUNK_BYTES    65536
#define ZONE_MAX_BYTES (64u * 1024 * 1024)

/* Everything one run holds; check_command() opens and closes it. */
struct check {
	struct check_options options;
	struct arena *arena;	     /* what lives as long as the run */
	struct arena *message_arena; /* what the evaluation carves from */
	struct conf *conf;
	struct psl *psl;
	struct crypto *crypto;
	struct resolver *resolver;
	struct evaluator *evaluator;
	struct evaluation *evaluation;
};

static int
complain(int status, const char *what, const char *why)
{
	(void)fprintf(stderr, "assay check: %s: %s\n", what, why);
	return status;
}

/* ---- opening ---- */

static int
load_configuration(struct check *c)
{
	char *error = NULL;

	c->conf = c->options.config_file == NULL ? conf_defaults()
						 : conf_load(c->options.config_file, &error);
	if (c->conf != NULL)
		return 0;
	(void)fprintf(stderr, "%s\n", error);
	free(error);
	return EXIT_UNREADABLE;
}

/* The whole zone file, which may be a pipe. NULL, or what is wrong. */
static const char *
read_zone(struct check *c, struct slice *text_r)
{
	FILE *f = fopen(c->options.zone_file, "rb");
	char chunk[4096];
	struct strbuf text;
	const char *error = NULL;
	size_t n;

	if (f == NULL)
		return strerror(errno);
	strbuf_init(&text, c->arena, ZONE_MAX_BYTES);
	while (!text.truncated && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		strbuf_add(&text, slice_of(chunk, n));
	if (ferror(f))
		error = "can't be read to its end";
	else if (text.truncated)
		error = "is larger than a zone for a test should be";
	(void)fclose(f);
	*text_r = strbuf_slice(&text);
	return error;
}

static int
open_resolver(struct check *c)
{
	struct dns_backend *backend;
	const char *error = "?";
	struct slice zone;

	if (c->options.zone_file != NULL) {
		error = read_zone(c, &zone);
		if (error != NULL)
			return complain(EXIT_UNREADABLE, c->options.zone_file, error);
		backend = dns_zone_new(c->arena, zone, &error);
		if (backend == NULL)
			return complain(EXIT_UNREADABLE, c->options.zone_file, error);
	} else {
		backend = dns_unbound_new(c->arena, &c->conf->dns, &error);
		if (backend == NULL)
			return complain(EXIT_INTERNAL, "DNS", error);
	}
	c->resolver = resolver_new(backend, &c->conf->resolver);
	return 0;
}

static int
open_evaluator(struct check *c)
{
	struct evaluator_options options = c->conf->evaluator;
	const char *error = "?";
	int status = open_resolver(c);

	if (status != 0)
		return status;
	if (options.dmarc.discovery == DMARC_PSL) {
		c->psl = psl_open(c->arena, c->conf->psl_file, &error);
		if (c->psl == NULL)
			return complain(EXIT_UNREADABLE, "public suffix list", error);
		options.dmarc.psl = c->psl;
	}
	c->crypto = crypto_new(c->arena, &error);
	if (c->crypto == NULL)
		return complain(EXIT_INTERNAL, "OpenSSL", error);
	options.diagnose_all = true; /* a person is asking */
	c->evaluator = evaluator_new(&options, c->resolver, c->crypto);
	return 0;
}

/* ---- the message ---- */

static void
on_field(void *ctx, struct slice name, struct slice value)
{
	struct check *c = ctx;

	/* A limit that is met is in the verdict; there is nobody to stop here. */
	(void)evaluation_header(c->evaluation, name, value);
}

static void
on_end_of_header(void *ctx)
{
	struct check *c = ctx;

	evaluation_end_of_headers(c->evaluation);
}

static void
on_body(void *ctx, struct slice chunk)
{
	struct check *c = ctx;

	(void)evaluation_body(c->evaluation, chunk);
}

static const char *
feed_message(struct check *c, FILE *f)
{
	const struct message_handler handler = { on_field, on_end_of_header, on_body, c };
	struct message_reader reader;
	static const char unreadable[] = "can't be read to its end";
	char *chunk = arena_alloc(c->arena, CHUNK_BYTES);
	int rc = 0;
	size_t n;

	message_reader_init(&reader, c->arena, &handler); /* assayd has no such reader */
	while (rc == 0 && (n = fread(chunk, 1, CHUNK_BYTES, f)) > 0)
		rc = message_reader_feed(&reader, slice_of(chunk, n));
	if (ferror(f))
		return unreadable;
	if (rc == 0)
		rc = message_reader_end(&reader);
	if (rc != 0) {
		evaluation_give_up(c->evaluation, reader.error);
		evaluation_end_of_headers(c->evaluation);
	}
	return NULL;
}

static int
read_message(struct check *c)
{
	const char *name = c->options.message_file;
	bool is_stdin = strcmp(name, "-") == 0;
	FILE *f = is_stdin ? stdin : fopen(name, "rb");
	const char *error;

	if (f == NULL)
		return complain(EXIT_UNREADABLE, name, strerror(errno));
	error = feed_message(c, f);
	if (!is_stdin)
		(void)fclose(f);
	return error == NULL ? 0 : complain(EXIT_UNREADABLE, name, error);
}

/* ---- the outcome ---- */

static int
write_record(struct check *c, const struct verdict *v)
{
	FILE *f = fopen(c->options.record_file, "wb");
	struct slice zone;
	bool failed;

	if (f == NULL)
		return complain(EXIT_UNREADABLE, c->options.record_file, strerror(errno));
	zone = dns_zone_write(c->arena, v->lookups, v->lookup_count);
	failed = fwrite(zone.p, 1, zone.len, f) != zone.len;
	failed = fclose(f) != 0 || failed;
	return failed ? complain(EXIT_UNREADABLE, c->options.record_file, "can't be written") : 0;
}

/* Why assayd would not look at this connection at all: said, but not acted on, for who asks wants
 * to know. */
static const char *
find_note(const struct check *c)
{
	char text[IP_TEXT_BYTES];

	for (size_t i = 0; i < c->conf->trusted_network_count; i++)
		if (ip_in_network(&c->options.client, &c->conf->trusted_networks[i]))
			return arena_printf(c->arena,
			    "%s is in trusted_networks: assayd would not evaluate this connection",
			    ip_print(&c->options.client, text));
	return NULL;
}

static int
exit_status(enum action action)
{
	switch (action) {
	case ACTION_ACCEPT:
		return 0;
	case ACTION_REJECT:
	case ACTION_QUARANTINE:
	case ACTION_DISCARD:
		return EXIT_REFUSED;
	case ACTION_TEMPFAIL:
		return EXIT_TEMPFAIL;
	}
	bug("exit_status: %d", (int)action);
}

static int
report(struct check *c, const struct verdict *v)
{
	struct disposition disposition;
	struct check_outcome outcome = {
		.verdict = v, .disposition = &disposition, .note = find_note(c)
	};
	int rc;

	decide(c->message_arena, &c->conf->decide, v, slice_of(NULL, 0), &disposition);
	outcome.authentication_results = stamp_write(
	    c->message_arena, c->conf->authserv_id, v, &disposition);
	if (c->options.record_file != NULL) {
		int status = write_record(c, v);

		if (status != 0)
			return status;
	}
	rc = c->options.json ? check_print_json(c->message_arena, &outcome)
			     : check_print_text(c->message_arena, &outcome);
	if (rc != 0)
		return complain(EXIT_INTERNAL, "standard output", "can't be written");
	return exit_status(disposition.action);
}

static int
run(struct check *c)
{
	const struct connection connection = { .client = c->options.client,
		.helo = slice_str(c->options.helo) };
	int status = load_configuration(c);

	if (status == 0)
		status = open_evaluator(c);
	if (status != 0)
		return status;
	c->evaluation = evaluation_begin(c->evaluator, c->message_arena, &connection);
	evaluation_mail_from(c->evaluation, slice_str(c->options.reverse_path), c->options.time_s);
	if (c->options.message_file != NULL)
		status = read_message(c);
	return status == 0 ? report(c, evaluation_finish(c->evaluation)) : status;
}

int
check_command(int argc, char **argv)
{
	struct check c = { .arena = NULL };
	int status;

	if (check_options_parse(argc, argv, &c.options) != 0) {
		fputs(check_usage, stderr);
		return EXIT_USAGE;
	}
	if (c.options.help) {
		fputs(check_usage, stdout);
		return 0;
	}
	c.arena = arena_new(SIZE_MAX);
	c.message_arena = arena_new(LIMIT_MESSAGE_MEMORY);
	status = run(&c);
	evaluation_end(&c.evaluation);
	evaluator_free(&c.evaluator);
	resolver_free(&c.resolver);
	psl_close(&c.psl);
	crypto_free(&c.crypto);
	conf_free(&c.conf);
	arena_free(&c.message_arena);
	arena_free(&c.arena);
	return status;
}
