/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "conf/key_file.h"
#include "policy/base/num.h"
#include "policy/base/strbuf.h"
#include "policy/sig/sig.h"
#include "policy/syntax/domain.h"

#define RSA_BITS_DEFAULT                                                                           \
	2048		 /* RFC 8301 3.2: "Signers SHOULD use RSA keys of at least 2048 bits" */
#define STRING_BYTES 255 /* RFC 1035 3.3: of one string of a TXT record */

static const char usage[] =
    "usage: assay keygen --domain NAME --selector NAME [--type rsa|ed25519] [--bits N]\n"
    "                    [--value] FILE\n"
    "       assay keygen --domain NAME --selector NAME --show [--value] FILE\n"
    "\n"
    "Writes a new private key to FILE, which must not exist, and prints the DNS record for it.\n"
    "\n"
    "  --domain NAME    the domain that signs, d=\n"
    "  --selector NAME  name of the key within it, s=\n"
    "  --type TYPE      rsa (the default) or ed25519\n"
    "  --bits N         of an RSA key, 1024 to 8192; default 2048\n"
    "  --show           FILE is there already: only print its record\n"
    "  --value          print the record's text alone, on one line\n";

enum { OPT_DOMAIN = 1, OPT_SELECTOR, OPT_TYPE, OPT_BITS, OPT_SHOW, OPT_VALUE, OPT_HELP };

static const struct option long_options[] = {
	{ "domain", required_argument, NULL, OPT_DOMAIN },
	{ "selector", required_argument, NULL, OPT_SELECTOR },
	{ "type", required_argument, NULL, OPT_TYPE },
	{ "bits", required_argument, NULL, OPT_BITS },
	{ "show", no_argument, NULL, OPT_SHOW },
	{ "value", no_argument, NULL, OPT_VALUE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

struct keygen {
	struct arena *arena;
	struct slice domain, selector; /* normal form; empty: not given */
	enum key_type type;
	uint32_t bits;
	bool show, value_only, help;
	const char *file;
};

static int
complain(const char *what, const char *why)
{
	(void)fprintf(stderr, "assay keygen: %s: %s\n", what, why);
	return -1;
}

static int
take_name(struct keygen *k, const char *option, struct slice *out)
{
	const char *why;

	if (domain_normalize(k->arena, slice_str(optarg), out, &why) == 0)
		return 0;
	return complain(arena_printf(k->arena, "%s \"%s\"", option, optarg), why);
}

static int
take_type(struct keygen *k)
{
	k->type = strcmp(optarg, "ed25519") == 0 ? KEY_ED25519 : KEY_RSA;
	if (k->type == KEY_RSA && strcmp(optarg, "rsa") != 0)
		return complain("--type", "rsa or ed25519");
	return 0;
}

static int
take_option(struct keygen *k, int option)
{
	switch (option) {
	case OPT_DOMAIN:
		return take_name(k, "--domain", &k->domain);
	case OPT_SELECTOR:
		return take_name(k, "--selector", &k->selector);
	case OPT_TYPE:
		return take_type(k);
	case OPT_BITS:
		if (num_u32(slice_str(optarg), LIMIT_DKIM_RSA_BITS_MIN, LIMIT_DKIM_RSA_BITS_MAX,
			&k->bits) != 0)
			return complain("--bits", "a number from 1024 to 8192");
		return 0;
	case OPT_SHOW:
		k->show = true;
		return 0;
	case OPT_VALUE:
		k->value_only = true;
		return 0;
	case OPT_HELP:
		k->help = true;
		return 0;
	default:
		return -1; /* getopt_long() has complained */
	}
}

static int
parse(struct keygen *k, int argc, char **argv)
{
	int option;

	optind = 1;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (take_option(k, option) != 0)
			return -1;
	if (k->help)
		return 0;
	if (k->domain.len == 0 || k->selector.len == 0)
		return complain("--domain and --selector", "both are needed");
	if (argc - optind != 1)
		return complain("FILE", "one is needed");
	k->file = argv[optind];
	return 0;
}

/* The record as a zone file has it: one string holds 255 bytes at most. */
static void
print_zone_line(struct slice name, struct slice record)
{
	(void)printf("%.*s. IN TXT (", SLICE_ARG(name));
	for (size_t at = 0; at < record.len; at += STRING_BYTES) {
		struct slice string = slice_sub(record, at, STRING_BYTES);

		(void)printf(" \"%.*s\"%s", SLICE_ARG(string),
		    at + STRING_BYTES < record.len ? "\n\t" : " )\n");
	}
}

static int
print_record(const struct keygen *k, const struct private_key *key)
{
	struct slice record = sig_key_write(
	    k->arena, private_key_type(key), private_key_public(k->arena, key));

	if (k->value_only)
		(void)printf("%.*s\n", SLICE_ARG(record));
	else
		print_zone_line(sig_key_name(k->arena, k->selector, k->domain), record);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	(void)complain("standard output", "can't be written");
	return EXIT_INTERNAL;
}

/* Never over what is there: the only copy of a key that signs would be gone. */
static int
write_key(const char *file, const char *pem, size_t len)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool good;

	if (fd < 0)
		return -1;
	good = write(fd, pem, len) == (ssize_t)len && fchmod(fd, 0600) == 0 && fsync(fd) == 0;
	good = close(fd) == 0 && good;
	if (!good)
		(void)unlink(file);
	return good ? 0 : -1;
}

static struct private_key *
make_key(const struct keygen *k)
{
	struct private_key *key = private_key_generate(k->type, k->bits);
	size_t len;
	char *pem;
	int rc;

	if (key == NULL) {
		(void)complain("OpenSSL", "can't make a key");
		return NULL;
	}
	pem = private_key_pem(key, &len);
	rc = write_key(k->file, pem, len);
	private_key_pem_free(&pem, len);
	if (rc == 0)
		return key;
	(void)complain(k->file, strerror(errno));
	private_key_free(&key);
	return NULL;
}

static int
run(const struct keygen *k)
{
	struct private_key *key = NULL;
	const char *error = NULL;
	struct crypto *crypto = crypto_new(k->arena, &error);
	int status = EXIT_UNREADABLE;

	if (crypto == NULL) {
		(void)complain("OpenSSL", error);
		return EXIT_INTERNAL;
	}
	if (k->show) {
		key = key_file_read(k->arena, crypto, k->file, getuid(), getgid(), &error);
		if (key == NULL)
			(void)fprintf(stderr, "assay keygen: %s\n", error);
	} else {
		key = make_key(k);
	}
	if (key != NULL)
		status = print_record(k, key);
	private_key_free(&key);
	crypto_free(&crypto);
	return status;
}

int
keygen_command(int argc, char **argv)
{
	struct keygen k = {
		.arena = arena_new(SIZE_MAX), .type = KEY_RSA, .bits = RSA_BITS_DEFAULT
	};
	int status = EXIT_USAGE;

	if (parse(&k, argc, argv) != 0) {
		fputs(usage, stderr);
	} else if (k.help) {
		fputs(usage, stdout);
		status = 0;
	} else {
		status = run(&k);
	}
	arena_free(&k.arena);
	return status;
}
