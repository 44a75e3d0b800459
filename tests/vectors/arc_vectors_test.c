/* SPDX-License-Identifier: BSD-2-Clause */
/* The validation tests of ValiMail's arc_test_suite and our generated chains, RFC 8617. */
#include <jansson.h>
#include <string.h>

#include "policy/arc/arc.h"
#include "policy/arc/seal.h"
#include "policy/base/num.h"
#include "policy/crypto/private_key.h"
#include "policy/own_results.h"
#include "policy/syntax/message.h"
#include "tests/support/dkim_signer.h"
#include "tests/support/message.h"
#include "tests/support/support.h"
#include "tests/support/yaml_tree.h"

#define BODY_MAX   (4u * 1024 * 1024)
#define SUITE_TIME 1800000000 /* the suites say no time; all their t= are before this */

static const struct arc_options options = { .min_rsa_bits = 1024, .clock_skew_s = 300 };

struct run { /* one message on its way through a verifier */
	struct world world;
	struct header_list header;
	struct arc_verifier *verifier;
	int64_t now_s;
};

static void
on_field(void *ctx, struct slice name, struct slice value)
{
	struct run *r = ctx;

	header_list_add(&r->header, r->world.arena, name, value);
}

static void
on_end_of_header(void *ctx)
{
	struct run *r = ctx;

	r->verifier = arc_verifier_new(r->world.arena, r->world.crypto, r->world.lookups, &options,
	    &r->header, r->now_s, NULL);
}

static void
on_body(void *ctx, struct slice chunk)
{
	struct run *r = ctx;

	(void)arc_verifier_body(r->verifier, chunk);
}

/* Validate one message against one zone. The verdict's text is gone when this returns. */
static struct arc_verdict
validate(struct slice message, const char *zone, int64_t now_s)
{
	struct run r = { .now_s = now_s };
	const struct message_handler handler = { on_field, on_end_of_header, on_body, &r };
	struct message_reader reader;
	struct arc_verdict verdict;

	world_open(&r.world, zone);
	message_reader_init(&reader, r.world.arena, &handler);
	assert_int_equal(message_reader_feed(&reader, message), 0);
	assert_int_equal(message_reader_end(&reader), 0);
	arc_verifier_finish(r.verifier, &verdict);
	arc_verifier_fini(&r.verifier);
	world_close(&r.world);
	return verdict;
}

/* ---- the public suite ---- */

/* "name TXT 300 "..." "..."", line breaks of the YAML value taken out. */
static const char *
suite_zone(struct arena *a, yaml_document_t *doc, const yaml_node_t *records)
{
	struct strbuf zone;

	strbuf_init(&zone, a, BODY_MAX);
	for (yaml_node_pair_t *p = records->data.mapping.pairs.start;
	     p < records->data.mapping.pairs.top; p++) {
		struct slice name = yaml_scalar(yaml_document_get_node(doc, p->key));
		struct slice text = yaml_scalar(yaml_document_get_node(doc, p->value));
		size_t in_string = 0;

		if (slice_trim(text).len == 0)
			continue;
		strbuf_add(&zone, name);
		strbuf_str(&zone, " TXT 300 \"");
		for (size_t i = 0; i < text.len; i++) {
			if (text.p[i] == '\n')
				continue;
			if (in_string++ == 200) {
				strbuf_str(&zone, "\" \"");
				in_string = 1;
			}
			strbuf_char(&zone, text.p[i]);
		}
		strbuf_str(&zone, "\"\n");
	}
	return strbuf_slice(&zone).p;
}

static enum arc_result
wanted_result(struct slice cv)
{
	if (slice_equal_nocase(cv, SLICE("none")))
		return ARC_NONE;
	if (slice_equal_nocase(cv, SLICE("pass")))
		return ARC_PASS;
	return ARC_FAIL; /* an empty cv means fail (vectors/README.md) */
}

static size_t
run_scenario(struct arena *a, yaml_document_t *doc, size_t *failed)
{
	yaml_node_t *root = yaml_document_get_root_node(doc);
	yaml_node_t *tests = yaml_member(doc, root, "tests");
	const char *zone = suite_zone(a, doc, yaml_member(doc, root, "txt-records"));
	size_t run = 0;

	for (yaml_node_pair_t *p = tests->data.mapping.pairs.start;
	     p < tests->data.mapping.pairs.top; p++, run++) {
		yaml_node_t *test = yaml_document_get_node(doc, p->value);
		struct slice name = yaml_scalar(yaml_document_get_node(doc, p->key));
		enum arc_result want = wanted_result(yaml_scalar(yaml_member(doc, test, "cv")));
		struct arc_verdict got = validate(
		    yaml_scalar(yaml_member(doc, test, "message")), zone, SUITE_TIME);

		if (got.result == want)
			continue;
		(*failed)++;
		(void)printf("FAIL %.*s: got %s, want %s\n", SLICE_ARG(name),
		    arc_result_word(got.result), arc_result_word(want));
	}
	return run;
}

static void
public_suite(void **state)
{
	struct arena *a = arena_new(BODY_MAX);
	const char *path = arena_printf(
	    a, "%s/arc/arc-draft-validation-tests.yml", vectors_folder());
	struct slice text = read_file(a, path);
	yaml_parser_t parser;
	yaml_document_t doc;
	size_t run = 0, failed = 0;

	(void)state;
	assert_int_equal(yaml_parser_initialize(&parser), 1);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.len);
	while (yaml_parser_load(&parser, &doc) && yaml_document_get_root_node(&doc) != NULL) {
		run += run_scenario(a, &doc, &failed);
		yaml_document_delete(&doc);
	}
	yaml_document_delete(&doc); /* the empty one behind the last */
	yaml_parser_delete(&parser);
	(void)printf("arc/arc-draft-validation-tests.yml: %zu cases, %zu passed, 0 skipped\n", run,
	    run - failed);
	assert_int_equal(failed, 0);
	assert_int_equal(run, 175); /* four of its 171 names stand twice */
	arena_free(&a);
}

/* ---- the public suite, signing ---- */

/* The key of the suite, its armor put back (vectors/README.md). */
static struct private_key *
suite_key(struct arena *a, const struct crypto *c, struct slice text)
{
	const char *error = "?";
	struct private_key *key;
	struct slice line;
	struct strbuf b;

	strbuf_init(&b, a, BODY_MAX);
	while (slice_next(&text, '\n', &line)) {
		struct slice words = slice_trim(line);

		if (slice_starts(words, SLICE("[armor: ")))
			strbuf_printf(&b, "-----%s RSA PRIVATE KEY-----\n",
			    slice_starts(words, SLICE("[armor: begin")) ? "BEGIN" : "END");
		else
			strbuf_printf(&b, "%s\n", arena_str(a, words));
	}
	key = private_key_read(c, strbuf_slice(&b), &error);
	if (key == NULL)
		fail_msg("the suite's key %s", error);
	return key;
}

/* Tags other than b= are those of the suite; it asks for no order. */
static bool
same_tags(struct arena *a, struct slice got, struct slice want, size_t count)
{
	size_t n = 0;
	struct slice tag;

	while (slice_next(&want, ';', &tag)) {
		const char *name = arena_str(
		    a, slice_trim(slice_sub(tag, 0, slice_find(tag, '='))));

		n++;
		if (strcmp(name, "b") != 0 &&
		    !slice_equal(sig_squeeze(a, sig_raw_tag(got, name)),
			sig_squeeze(a, slice_from(tag, slice_find(tag, '=') + 1))))
			return false;
	}
	return n == count;
}

static bool
same_results(struct arena *a, struct slice got, struct slice want)
{
	struct slice canon[2];
	const struct slice values[2] = { got, want };

	for (int i = 0; i < 2; i++) {
		struct strbuf b;

		/* Folds are CRLF there and LF here; the suite ends some lines in blanks. */
		strbuf_init(&b, a, BODY_MAX);
		for (size_t k = 0; k < values[i].len; k++)
			strbuf_char(&b, ascii_is_space(values[i].p[k]) ? ' ' : values[i].p[k]);
		canon[i] = test_canon_field(a, true, SLICE(""), slice_trim(strbuf_slice(&b)));
	}
	return slice_equal(canon[0], canon[1]);
}

struct signing { /* the suite's settings */
	struct world world;
	struct key_ring *ring;
	struct key_holder holder;
	struct arc_seal_job job;
	const char *zone;
};

/* The message with the set on top, validated. */
static enum arc_result
validate_sealed(struct signing *g, const struct test_message *m, const struct arc_sealed *set)
{
	struct arena *a = g->world.arena;
	struct arc_verdict verdict;
	struct arc_verifier *v;
	struct header_list list = { 0 };

	header_list_add(&list, a, SLICE("ARC-Seal"), set->seal);
	header_list_add(&list, a, SLICE("ARC-Message-Signature"), set->message);
	header_list_add(&list, a, SLICE("ARC-Authentication-Results"), set->results);
	for (size_t i = 0; i < m->header.count; i++)
		header_list_add(&list, a, m->header.fields[i].name, m->header.fields[i].value);
	v = arc_verifier_new(
	    a, g->world.crypto, g->world.lookups, &options, &list, SUITE_TIME, NULL);
	(void)arc_verifier_body(v, m->body);
	arc_verifier_finish(v, &verdict);
	arc_verifier_fini(&v);
	return verdict.result;
}

/* NULL, or what is wrong. */
static const char *
sign_case(struct signing *g, yaml_document_t *doc, yaml_node_t *test)
{
	struct arena *a = g->world.arena;
	struct slice wanted = yaml_scalar(yaml_member(doc, test, "AAR")), names[16], name;
	struct slice headers = yaml_scalar(yaml_member(doc, test, "sig-headers"));
	struct slice id = yaml_scalar(yaml_member(doc, test, "srv-id"));
	struct test_message m;
	struct own_results found;
	struct arc_sealed set;
	struct arc_sealer *s;
	const char *error = NULL;
	uint64_t now = 0;
	int rc;

	test_message_read(a, yaml_scalar(yaml_member(doc, test, "message")), &m);
	own_results_find(a, &m.header, &id, 1, &found);
	assert_int_equal(num_u64(yaml_scalar(yaml_member(doc, test, "t")), 0, UINT32_MAX, &now), 0);
	g->job.now_s = (int64_t)now;
	g->job.fields = (struct sig_field_choice){ .sign = names };
	while (slice_next(&headers, ':', &name))
		names[g->job.fields.sign_count++] = name;
	s = arc_sealer_new(a, &g->job, &m.header);
	arc_sealer_body(s, m.body);
	rc = arc_sealer_finish(s, found.arc, found.text, &set, &error);
	arc_sealer_fini(&s);
	if (slice_trim(wanted).len == 0)
		return rc != 0 ? NULL : "sealed, though the chain is marked as failed";
	if (rc != 0)
		return error;
	if (!same_results(a, set.results, wanted))
		return arena_printf(a, "AAR is %s", arena_str(a, set.results));
	if (!same_tags(a, set.message, yaml_scalar(yaml_member(doc, test, "AMS")), 9))
		return arena_printf(a, "AMS is %s", arena_str(a, set.message));
	if (!same_tags(a, set.seal, yaml_scalar(yaml_member(doc, test, "AS")), 7))
		return arena_printf(a, "AS is %s", arena_str(a, set.seal));
	if (validate_sealed(g, &m, &set) != (set.cv == ARC_FAIL ? ARC_FAIL : ARC_PASS))
		return "what was made does not verify";
	return NULL;
}

static void
signing_suite(void **state)
{
	struct arena *a = arena_new(BODY_MAX);
	struct slice text = read_file(
	    a, arena_printf(a, "%s/arc/arc-draft-sign-tests.yml", vectors_folder()));
	struct signing g = { .job.key = { .type = KEY_RSA } };
	yaml_parser_t parser;
	yaml_document_t doc;
	size_t run = 0, failed = 0;

	(void)state;
	assert_int_equal(yaml_parser_initialize(&parser), 1);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.len);
	while (yaml_parser_load(&parser, &doc) && yaml_document_get_root_node(&doc) != NULL) {
		yaml_node_t *root = yaml_document_get_root_node(&doc);
		yaml_node_t *tests = yaml_member(&doc, root, "tests");

		world_open(&g.world, suite_zone(a, &doc, yaml_member(&doc, root, "txt-records")));
		g.ring = key_ring_new(g.world.crypto);
		g.job.crypto = g.world.crypto;
		g.job.key.domain = yaml_scalar(yaml_member(&doc, root, "domain"));
		g.job.key.selector = yaml_scalar(yaml_member(&doc, root, "sel"));
		g.job.key.number = key_ring_add(g.ring,
		    suite_key(
			a, g.world.crypto, yaml_scalar(yaml_member(&doc, root, "privatekey"))));
		g.holder = key_ring_holder(g.ring);
		g.job.holder = &g.holder;
		for (yaml_node_pair_t *p = tests->data.mapping.pairs.start;
		     p < tests->data.mapping.pairs.top; p++, run++) {
			const char *why = sign_case(
			    &g, &doc, yaml_document_get_node(&doc, p->value));

			if (why == NULL)
				continue;
			failed++;
			(void)printf("FAIL %.*s: %s\n",
			    SLICE_ARG(yaml_scalar(yaml_document_get_node(&doc, p->key))), why);
		}
		key_ring_free(&g.ring);
		world_close(&g.world);
		yaml_document_delete(&doc);
	}
	yaml_document_delete(&doc);
	yaml_parser_delete(&parser);
	(void)printf(
	    "arc/arc-draft-sign-tests.yml: %zu cases, %zu passed, 0 skipped\n", run, run - failed);
	assert_int_equal(failed, 0);
	assert_int_equal(run, 17);
	arena_free(&a);
}

/* ---- our generated chains ---- */

static bool
acceptable(const json_t *expected, const char *got)
{
	const json_t *accept = json_object_get(expected, "arc_accept"), *word;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)accept, i, word)
	{
		if (strcmp(json_string_value(word), got) == 0)
			return true;
	}
	return strcmp(json_string_value(json_object_get(expected, "arc")), got) == 0;
}

static const char *
case_zone(struct arena *a, const char *folder, const json_t *zone)
{
	const json_t *line;
	struct strbuf text;
	size_t i;

	if (json_is_string(zone))
		return arena_str(
		    a, read_file(a, arena_printf(a, "%s/%s", folder, json_string_value(zone))));
	strbuf_init(&text, a, BODY_MAX);
	json_array_foreach((json_t *)(uintptr_t)zone, i, line)
	    strbuf_printf(&text, "%s\n", json_string_value(line));
	return strbuf_slice(&text).p;
}

static bool
run_case(struct arena *a, const char *folder, const json_t *c)
{
	const json_t *expected = json_object_get(c, "expected");
	const json_t *oldest = json_object_get(expected, "oldest_pass");
	const json_t *time = json_object_get(c, "time");
	const char *message_file = json_string_value(json_object_get(c, "message_file"));
	struct arc_verdict got = validate(
	    read_file(a, arena_printf(a, "%s/%s", folder, message_file)),
	    case_zone(a, folder, json_object_get(c, "zone")),
	    time != NULL ? json_integer_value(time) : SUITE_TIME);

	if (acceptable(expected, arc_result_word(got.result)) &&
	    (oldest == NULL || got.oldest_pass == json_integer_value(oldest)))
		return true;
	(void)printf("FAIL %s: got %s oldest-pass %d\n",
	    json_string_value(json_object_get(c, "name")), arc_result_word(got.result),
	    got.oldest_pass);
	return false;
}

static void
generated_chains(void **state)
{
	struct arena *a = arena_new(64 * BODY_MAX);
	const char *folder = arena_printf(a, "%s/arc/generated", vectors_folder());
	json_error_t error;
	json_t *cases = json_load_file(arena_printf(a, "%s/cases.json", folder), 0, &error), *c;
	size_t i, failed = 0;

	(void)state;
	assert_non_null(cases);
	json_array_foreach(cases, i, c) failed += !run_case(a, folder, c);
	(void)printf("arc/generated/cases.json: %zu cases, %zu passed, 0 skipped\n",
	    json_array_size(cases), json_array_size(cases) - failed);
	json_decref(cases);
	assert_int_equal(failed, 0);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(public_suite),
		cmocka_unit_test(signing_suite),
		cmocka_unit_test(generated_chains),
	};

	if (vectors_folder() == NULL) {
		puts("skipped: no public vectors beside the checkout, none in ASSAY_VECTORS");
		return SKIPPED;
	}
	return cmocka_run_group_tests_name("arc vectors", tests, NULL, NULL);
}
