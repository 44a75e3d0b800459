/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         dkim_batch - sign or verify a folder of messages in one process
 * SYNOPSIS     dkim_batch sign DOMAIN SELECTOR KEYFILE HEADER/BODY FROM TO
 *              dkim_batch verify ZONEFILE FOLDER
 * DESCRIPTION  sign: each file of folder FROM, with a DKIM-Signature on top, to folder TO.
 *              verify: a line "name result reason" for each signature of each file.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf/key_file.h"
#include "policy/dkim/sign.h"
#include "tests/support/dkim_lab.h"

static void __attribute__((noreturn)) die(const char *what, const char *why)
{
	(void)fprintf(stderr, "dkim_batch: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static struct slice
file_of(struct arena *a, const char *path)
{
	FILE *f = fopen(path, "rb");
	char chunk[65536];
	struct strbuf b;
	size_t n;

	if (f == NULL)
		die(path, "can't be opened");
	strbuf_init(&b, a, TEXT_MAX);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		strbuf_add(&b, slice_of(chunk, n));
	(void)fclose(f);
	return strbuf_slice(&b);
}

static void
sign_file(const struct dkim_sign_job *job, const char *from, const char *to)
{
	struct arena *a = arena_new(TEXT_MAX);
	struct slice raw = file_of(a, from), fields;
	const char *error = "?";
	FILE *f = fopen(to, "wb");

	if (f == NULL)
		die(to, "can't be written");
	if (dkim_sign_message(a, job, raw, &fields, &error) != 0)
		die(from, error);
	if (fwrite(fields.p, 1, fields.len, f) != fields.len ||
	    fwrite(raw.p, 1, raw.len, f) != raw.len || fclose(f) != 0)
		die(to, "can't be written");
	arena_free(&a);
}

struct signing {
	struct dkim_sign_job job;
	const char *to;
};

static void
sign_each(void *ctx, const char *path, const char *name)
{
	const struct signing *s = ctx;
	char to[1024];

	(void)snprintf(to, sizeof(to), "%s/%s", s->to, name);
	sign_file(&s->job, path, to);
}

static void
sign_all(char **argv)
{
	struct arena *a = arena_new(TEXT_MAX);
	const char *error = "?";
	struct crypto *crypto = crypto_new(a, &error);
	struct key_ring *ring = key_ring_new(crypto);
	struct private_key *private = key_file_read(a, crypto, argv[2], getuid(), getgid(), &error);
	struct sig_signing_key key = { slice_str(argv[0]), slice_str(argv[1]), KEY_RSA, 0 };
	struct dkim_sign_options options = dkim_sign_default;
	struct key_holder holder;
	struct sig_tags tags;
	struct signing s = { .to = argv[5] };

	if (private == NULL)
		die("key", error);
	if (sig_tag_c(a, slice_str(argv[3]), &tags, &error) != 0)
		die(argv[3], error);
	options.header_canon = tags.header_canon;
	options.body_canon = tags.body_canon;
	key.type = private_key_type(private);
	key.number = key_ring_add(ring, private);
	holder = key_ring_holder(ring);
	s.job = (struct dkim_sign_job){ crypto, &holder, &options, &key, 1, time(NULL) };
	each_file(argv[4], sign_each, &s);
	key_ring_free(&ring);
	crypto_free(&crypto);
	arena_free(&a);
}

static void
verify_each(void *ctx, const char *path, const char *name)
{
	static const struct slice nobody = { "", 0 };
	const struct world *shared = ctx;
	struct arena *a = arena_new(TEXT_MAX);
	const struct lookups_limits limits = { 1000, 10000, 100 };
	struct lookups *lookups = lookups_new(a, shared->resolver, &limits);
	struct dkim_verdict v;
	struct dkim_verifier *verifier;
	struct test_message m;

	test_message_read(a, file_of(a, path), &m);
	verifier = dkim_verifier_new(
	    a, shared->crypto, lookups, &dkim_lab_options, &m.header, &nobody, 0, time(NULL));
	(void)dkim_verifier_body(verifier, m.body);
	dkim_verifier_finish(verifier, &v);
	if (v.count == 0)
		(void)printf("%s none\n", name);
	for (size_t i = 0; i < v.count; i++)
		(void)printf("%s %s %s\n", name, dkim_result_word(v.signatures[i].result),
		    dkim_reason_text(v.signatures[i].reason));
	dkim_verifier_fini(&verifier);
	lookups_fini(&lookups);
	arena_free(&a);
}

int
main(int argc, char **argv)
{
	struct world w;

	if (argc == 8 && strcmp(argv[1], "sign") == 0) {
		sign_all(argv + 2);
		return EXIT_SUCCESS;
	}
	if (argc == 4 && strcmp(argv[1], "verify") == 0) {
		struct arena *a = arena_new(TEXT_MAX);

		world_open(&w, arena_str(a, file_of(a, argv[2])));
		each_file(argv[3], verify_each, &w);
		world_close(&w);
		arena_free(&a);
		return EXIT_SUCCESS;
	}
	die("usage", "sign DOMAIN SELECTOR KEYFILE HEADER/BODY FROM TO | verify ZONEFILE FOLDER");
}
