/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         arc_batch - seal or validate a folder of messages in one process
 * SYNOPSIS     arc_batch seal DOMAIN SELECTOR KEYFILE FROM TO
 *              arc_batch verify ZONEFILE FOLDER
 * DESCRIPTION  seal: each file of folder FROM, with an ARC set on top, to folder TO. The results,
 * and the status of the chain so far, are those of Authentication-Results of DOMAIN. verify: a line
 * "name result reason" for each file.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf/key_file.h"
#include "policy/arc/seal.h"
#include "policy/base/strbuf.h"
#include "policy/dkim/sign.h"
#include "policy/own_results.h"
#include "tests/support/message.h"
#include "tests/support/support.h"

#define TEXT_MAX (16u * 1024 * 1024)

struct batch {
	struct world world;
	struct arc_seal_job job;
	const char *to;
};

static void __attribute__((noreturn)) die(const char *what, const char *why)
{
	(void)fprintf(stderr, "arc_batch: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static void
add_field(struct strbuf *b, const char *name, struct slice value)
{
	strbuf_printf(b, "%s:", name);
	strbuf_add(b, value);
	strbuf_str(b, "\r\n");
}

static void
seal_file(void *ctx, const char *path, const char *name)
{
	struct batch *s = ctx;
	struct arena *a = arena_new(TEXT_MAX);
	struct slice raw = read_file(a, path);
	struct test_message m;
	struct own_results found;
	struct arc_sealer *sealer;
	struct arc_sealed set;
	const char *error = "?";
	struct strbuf b;
	FILE *f;

	test_message_read(a, raw, &m);
	own_results_find(a, &m.header, &s->job.key.domain, 1, &found);
	sealer = arc_sealer_new(a, &s->job, &m.header);
	arc_sealer_body(sealer, m.body);
	if (arc_sealer_finish(sealer, found.arc, found.text, &set, &error) != 0)
		die(path, error);
	arc_sealer_fini(&sealer);
	strbuf_init(&b, a, TEXT_MAX);
	add_field(&b, "ARC-Seal", set.seal);
	add_field(&b, "ARC-Message-Signature", set.message);
	add_field(&b, "ARC-Authentication-Results", set.results);
	strbuf_add(&b, raw);
	f = fopen(arena_printf(a, "%s/%s", s->to, name), "wb");
	if (f == NULL || fwrite(b.p, 1, b.len, f) != b.len || fclose(f) != 0)
		die(s->to, "can't be written");
	arena_free(&a);
}

static void
verify_file(void *ctx, const char *path, const char *name)
{
	struct batch *s = ctx;
	static const struct arc_options options = { .min_rsa_bits = 1024, .clock_skew_s = 300 };
	const struct lookups_limits limits = { 1000, 10000, 100 };
	struct arena *a = arena_new(TEXT_MAX);
	struct lookups *lookups = lookups_new(a, s->world.resolver, &limits);
	struct arc_verifier *v;
	struct arc_verdict verdict;
	struct test_message m;

	test_message_read(a, read_file(a, path), &m);
	v = arc_verifier_new(a, s->world.crypto, lookups, &options, &m.header, time(NULL), NULL);
	(void)arc_verifier_body(v, m.body);
	arc_verifier_finish(v, &verdict);
	(void)printf(
	    "%s %s %.*s\n", name, arc_result_word(verdict.result), SLICE_ARG(verdict.reason));
	arc_verifier_fini(&v);
	lookups_fini(&lookups);
	arena_free(&a);
}

static void
seal_all(struct batch *s, char **argv)
{
	struct crypto *c = s->world.crypto;
	struct key_ring *ring = key_ring_new(c);
	const char *error = "?";
	struct private_key *key = key_file_read(
	    s->world.arena, c, argv[2], getuid(), getgid(), &error);
	struct key_holder holder;

	if (key == NULL)
		die("key", error);
	s->job = (struct arc_seal_job){ .crypto = c,
		.holder = &holder,
		.key = { slice_str(argv[0]), slice_str(argv[1]), private_key_type(key), 0 },
		.fields = dkim_sign_default.fields,
		.now_s = time(NULL) };
	s->job.key.number = key_ring_add(ring, key);
	holder = key_ring_holder(ring);
	s->to = argv[4];
	each_file(argv[3], seal_file, s);
	key_ring_free(&ring);
}

int
main(int argc, char **argv)
{
	bool seals = argc == 7 && strcmp(argv[1], "seal") == 0;
	struct arena *a = arena_new(TEXT_MAX);
	struct batch s = { 0 };

	if (!seals && (argc != 4 || strcmp(argv[1], "verify") != 0))
		die("usage", "seal DOMAIN SELECTOR KEYFILE FROM TO | verify ZONEFILE FOLDER");
	world_open(&s.world, seals ? NULL : arena_str(a, read_file(a, argv[2])));
	if (seals)
		seal_all(&s, argv + 2);
	else
		each_file(argv[3], verify_file, &s);
	world_close(&s.world);
	arena_free(&a);
	return EXIT_SUCCESS;
}
