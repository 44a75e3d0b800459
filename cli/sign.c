/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "conf/conf.h"
#include "conf/key_file.h"
#include "conf/signing_rules.h"
#include "policy/base/num.h"
#include "policy/dkim/sign.h"
#include "policy/syntax/domain.h"
#include "policy/syntax/mailbox.h"
#include "policy/syntax/message.h"

#define CHUNK_BYTES 65536
#define KEYS_MAX    8

static const char usage[] =
    "usage: assay sign --domain NAME --key SELECTOR=FILE... [OPTION]... [FILE|-]\n"
    "       assay sign --config FILE [OPTION]... [FILE|-]\n"
    "\n"
    "Prints the message with a DKIM-Signature field for each key above it.\n"
    "\n"
    "  --domain NAME        the domain that signs, d=\n"
    "  --key SELECTOR=FILE  a private key, and its name in the DNS, s=; up to 8 times\n"
    "  --config FILE        keys and forms as assayd takes them for the author's domain\n"
    "  --canon HEADER/BODY  relaxed or simple each; default relaxed/relaxed\n"
    "  --identity ADDR      i=, an address or @domain within the domain that signs\n"
    "  --expire SECONDS     x=, that much from now\n"
    "  --time EPOCH         sign as if now were this Unix time\n";

enum {
	OPT_DOMAIN = 1,
	OPT_KEY,
	OPT_CONFIG,
	OPT_CANON,
	OPT_IDENTITY,
	OPT_EXPIRE,
	OPT_TIME,
	OPT_HELP
};

static const struct option long_options[] = {
	{ "domain", required_argument, NULL, OPT_DOMAIN },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "canon", required_argument, NULL, OPT_CANON },
	{ "identity", required_argument, NULL, OPT_IDENTITY },
	{ "expire", required_argument, NULL, OPT_EXPIRE },
	{ "time", required_argument, NULL, OPT_TIME },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

/* One run; sign_command() opens and closes it. */
struct sign {
	struct arena *arena;
	struct crypto *crypto;
	struct key_ring *ring;
	const char *conf_file; /* NULL: domain and key_options say it all */
	struct conf *conf;
	struct slice domain;
	struct slice key_options[KEYS_MAX]; /* "selector=file" */
	struct sig_signing_key *keys;
	size_t key_count;
	struct dkim_sign_options options;
	bool canon_given;
	int64_t now_s;
	bool help;
	const char *file; /* "-": standard input */
};

static int
complain(const char *what, const char *why)
{
	(void)fprintf(stderr, "assay sign: %s: %s\n", what, why);
	return -1;
}

/* ---- the command line ---- */

static int
take_canon(struct sign *s)
{
	struct sig_tags tags;
	const char *why;

	if (strchr(optarg, '/') == NULL || sig_tag_c(s->arena, slice_str(optarg), &tags, &why) != 0)
		return complain("--canon", "simple or relaxed on either side of a slash");
	s->canon_given = true;
	s->options.header_canon = tags.header_canon;
	s->options.body_canon = tags.body_canon;
	return 0;
}

static int
take_key(struct sign *s)
{
	if (strchr(optarg, '=') == NULL)
		return complain("--key", "SELECTOR=FILE");
	if (s->key_count == KEYS_MAX)
		return complain("--key", "no more than 8 times");
	s->key_options[s->key_count++] = slice_str(optarg);
	return 0;
}

static int
take_time(struct sign *s)
{
	uint64_t n;

	if (num_u64(slice_str(optarg), 0, INT64_MAX / 2, &n) != 0)
		return complain("--time", "seconds since 1970");
	s->now_s = (int64_t)n;
	return 0;
}

static int
take_option(struct sign *s, int option)
{
	const char *why;

	switch (option) {
	case OPT_DOMAIN:
		return domain_normalize(s->arena, slice_str(optarg), &s->domain, &why) == 0
		    ? 0
		    : complain("--domain", why);
	case OPT_KEY:
		return take_key(s);
	case OPT_CONFIG:
		s->conf_file = optarg;
		return 0;
	case OPT_CANON:
		return take_canon(s);
	case OPT_IDENTITY:
		s->options.identity = slice_str(optarg);
		return 0;
	case OPT_EXPIRE:
		return num_u32(slice_str(optarg), 1, UINT32_MAX, &s->options.expire_s) == 0
		    ? 0
		    : complain("--expire", "a number of seconds");
	case OPT_TIME:
		return take_time(s);
	case OPT_HELP:
		s->help = true;
		return 0;
	default:
		return -1; /* getopt_long() has complained */
	}
}

/* RFC 6376 3.5: i= is within d=, and nothing in it may end the tag. */
static int
check_identity(const struct sign *s)
{
	struct slice identity = s->options.identity;
	size_t at = slice_find_last(identity, '@');

	if (identity.len == 0)
		return 0;
	for (size_t i = 0; i < identity.len; i++)
		if (identity.p[i] <= ' ' || identity.p[i] > '~' || identity.p[i] == ';' ||
		    identity.p[i] == '=')
			return complain("--identity", "has a character that needs an encoding");
	if (s->conf_file != NULL)
		return complain("--identity", "wants --domain");
	if (at == SLICE_NONE || !domain_covers(s->domain, slice_from(identity, at + 1)))
		return complain("--identity", "is not within --domain");
	return 0;
}

static int
parse(struct sign *s, int argc, char **argv)
{
	int option;

	optind = 1;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (take_option(s, option) != 0)
			return -1;
	if (s->help)
		return 0;
	if (s->conf_file == NULL && (s->domain.len == 0 || s->key_count == 0))
		return complain("--domain and --key", "both are needed");
	if (s->conf_file != NULL && (s->domain.len > 0 || s->key_count > 0))
		return complain("--config", "says which domain and keys; no --domain, no --key");
	if (argc - optind > 1)
		return complain(argv[optind + 1], "one message at a time, this is one too many");
	s->file = optind < argc ? argv[optind] : "-";
	return check_identity(s);
}

/* ---- keys ---- */

/* A key of the file at path, to sign for domain under selector. */
static int
load_key(struct sign *s, const char *path, struct slice domain, struct slice selector,
    struct sig_signing_key *out)
{
	const char *error;
	struct private_key *private = key_file_read(
	    s->arena, s->crypto, path, getuid(), getgid(), &error);

	if (private == NULL) {
		(void)fprintf(stderr, "assay sign: %s\n", error);
		return -1;
	}
	*out = (struct sig_signing_key){ domain, selector, private_key_type(private), 0 };
	out->number = key_ring_add(s->ring, private);
	return 0;
}

static int
load_keys_of_options(struct sign *s)
{
	s->keys = arena_array(s->arena, s->key_count, sizeof(*s->keys));
	for (size_t i = 0; i < s->key_count; i++) {
		struct slice option = s->key_options[i], selector;
		size_t equals = slice_find(option, '=');
		const char *path = arena_str(s->arena, slice_from(option, equals + 1)), *error;

		if (domain_normalize(s->arena, slice_sub(option, 0, equals), &selector, &error) !=
		    0)
			return complain("--key: selector", error);
		if (load_key(s, path, s->domain, selector, &s->keys[i]) != 0)
			return -1;
	}
	return 0;
}

/* As assayd would choose them for this author. */
static int
load_keys_of_conf(struct sign *s, const struct header_list *header)
{
	size_t *numbers = arena_array(s->arena, s->conf->dkim_key_count, sizeof(*numbers));
	struct author author;

	author_read(s->arena, header, &author);
	if (author.domain_count != 1)
		return complain(s->file, "there is not one author domain");
	s->key_count = signing_choose_keys(s->conf, author.domains[0], numbers);
	if (s->key_count == 0)
		return complain(
		    arena_str(s->arena, author.domains[0]), "there is no key for this domain");
	s->keys = arena_array(s->arena, s->key_count, sizeof(*s->keys));
	for (size_t i = 0; i < s->key_count; i++) {
		const struct conf_dkim_key *k = &s->conf->dkim_keys[numbers[i]];
		struct slice domain = k->domain.len > 0 ? k->domain : author.domains[0];

		if (load_key(s, k->key_file, domain, k->selector, &s->keys[i]) != 0)
			return -1;
	}
	return 0;
}

static int
load_configuration(struct sign *s)
{
	char *error = NULL;

	if (s->conf_file == NULL)
		return 0;
	s->conf = conf_load(s->conf_file, &error);
	if (s->conf == NULL) {
		(void)fprintf(stderr, "%s\n", error);
		free(error);
		return -1;
	}
	s->options.fields = s->conf->sign.fields;
	if (!s->canon_given) {
		s->options.header_canon = s->conf->sign.header_canon;
		s->options.body_canon = s->conf->sign.body_canon;
	}
	s->options.timestamp = s->conf->sign.timestamp;
	if (s->options.expire_s == 0)
		s->options.expire_s = s->conf->sign.expire_s;
	return 0;
}

/* ---- the message ---- */

/* Once through the message for its author, once for its digests, once to print it. What can't be
 * read again (a pipe) goes to a file without a name. */
static FILE *
open_message(struct sign *s)
{
	FILE *in = strcmp(s->file, "-") == 0 ? stdin : fopen(s->file, "rbe"), *copy;
	char chunk[CHUNK_BYTES];
	size_t n;

	if (in == NULL) {
		(void)complain(s->file, strerror(errno));
		return NULL;
	}
	if (fseeko(in, 0, SEEK_CUR) == 0)
		return in;
	copy = tmpfile();
	while (copy != NULL && (n = fread(chunk, 1, sizeof(chunk), in)) > 0)
		if (fwrite(chunk, 1, n, copy) != n)
			break;
	if (copy == NULL || ferror(in) || !feof(in) || fflush(copy) != 0) {
		(void)complain("temporary file", strerror(errno));
		if (copy != NULL)
			(void)fclose(copy);
		copy = NULL;
	}
	if (copy != NULL)
		rewind(copy);
	if (in != stdin)
		(void)fclose(in);
	return copy;
}

struct header_reading {
	struct arena *arena;
	struct header_list header;
	bool ended;
};

static void
on_field(void *ctx, struct slice name, struct slice value)
{
	struct header_reading *r = ctx;

	header_list_add(&r->header, r->arena, name, value);
}

static void
on_end_of_header(void *ctx)
{
	((struct header_reading *)ctx)->ended = true;
}

static void
on_body(void *ctx, struct slice chunk)
{
	(void)ctx;
	(void)chunk;
}

/* Who wrote it decides about the keys, and so comes before them. */
static int
choose_keys(struct sign *s, FILE *in)
{
	struct header_reading r = { .arena = s->arena };
	const struct message_handler handler = { on_field, on_end_of_header, on_body, &r };
	struct message_reader reader;
	char chunk[CHUNK_BYTES];
	size_t n;
	int rc = 0;

	if (s->conf == NULL)
		return load_keys_of_options(s);
	message_reader_init(&reader, s->arena, &handler);
	while (rc == 0 && !r.ended && (n = fread(chunk, 1, sizeof(chunk), in)) > 0)
		rc = message_reader_feed(&reader, slice_of(chunk, n));
	if (rc == 0 && !r.ended)
		rc = message_reader_end(&reader);
	if (rc != 0)
		return complain(s->file, reader.error);
	return load_keys_of_conf(s, &r.header);
}

static int
digest_message(struct sign *s, FILE *in, struct slice *fields_r)
{
	struct key_holder holder = key_ring_holder(s->ring);
	const struct dkim_sign_job job = {
		.crypto = s->crypto,
		.holder = &holder,
		.options = &s->options,
		.keys = s->keys,
		.key_count = s->key_count,
		.now_s = s->now_s,
	};
	struct dkim_message_signer *signer = dkim_message_signer_new(s->arena, &job);
	const char *error = NULL;
	char chunk[CHUNK_BYTES];
	size_t n;
	int rc = 0;

	while (rc == 0 && (n = fread(chunk, 1, sizeof(chunk), in)) > 0)
		rc = dkim_message_signer_feed(signer, slice_of(chunk, n), &error);
	if (rc == 0)
		rc = dkim_message_signer_finish(signer, fields_r, &error);
	dkim_message_signer_fini(&signer);
	return rc == 0 ? 0 : complain(s->file, error);
}

/* The line that mailboxes have before a message stays before it. */
static size_t
mailbox_line(const char *chunk, size_t n)
{
	const char *end = memchr(chunk, '\n', n);

	return end != NULL && n >= 5 && memcmp(chunk, "From ", 5) == 0 ? (size_t)(end - chunk) + 1
								       : 0;
}

static int
print_message(struct sign *s, FILE *in, struct slice fields)
{
	char chunk[CHUNK_BYTES];
	size_t n = fread(chunk, 1, sizeof(chunk), in), first = mailbox_line(chunk, n);

	(void)fwrite(chunk, 1, first, stdout);
	(void)fwrite(fields.p, 1, fields.len, stdout);
	(void)fwrite(chunk + first, 1, n - first, stdout);
	while ((n = fread(chunk, 1, sizeof(chunk), in)) > 0)
		(void)fwrite(chunk, 1, n, stdout);
	if (ferror(in))
		return complain(s->file, "can't be read again");
	if (fflush(stdout) != 0 || ferror(stdout))
		return complain("standard output", "can't be written");
	return 0;
}

static int
go_back(const struct sign *s, FILE *in, off_t start)
{
	if (!ferror(in) && fseeko(in, start, SEEK_SET) == 0)
		return 0;
	return complain(s->file, strerror(errno));
}

static int
sign_file(struct sign *s)
{
	FILE *in = open_message(s);
	struct slice fields;
	off_t start;
	int rc = -1;

	if (in == NULL)
		return -1;
	start = ftello(in);
	if (choose_keys(s, in) == 0 && go_back(s, in, start) == 0 &&
	    digest_message(s, in, &fields) == 0 && go_back(s, in, start) == 0)
		rc = print_message(s, in, fields);
	if (in != stdin)
		(void)fclose(in);
	return rc;
}

static int
run(struct sign *s)
{
	const char *error;
	int rc;

	s->crypto = crypto_new(s->arena, &error);
	if (s->crypto == NULL) {
		(void)complain("OpenSSL", error);
		return EXIT_INTERNAL;
	}
	s->ring = key_ring_new(s->crypto);
	rc = load_configuration(s) == 0 ? sign_file(s) : -1;
	conf_free(&s->conf);
	key_ring_free(&s->ring);
	crypto_free(&s->crypto);
	return rc == 0 ? 0 : EXIT_UNREADABLE;
}

int
sign_command(int argc, char **argv)
{
	struct sign s = {
		.arena = arena_new(SIZE_MAX), .options = dkim_sign_default, .now_s = time(NULL)
	};
	int status = EXIT_USAGE;

	if (parse(&s, argc, argv) != 0) {
		fputs(usage, stderr);
	} else if (s.help) {
		fputs(usage, stdout);
		status = 0;
	} else {
		status = run(&s);
	}
	arena_free(&s.arena);
	return status;
}
