/* SPDX-License-Identifier: BSD-2-Clause */
/* The validation tests of ValiMail's arc_test_suite and our generated chains, RFC 8617. */
#include <jansson.h>
#include <string.h>

#include "policy/arc/arc.h"
#include "policy/syntax/message.h"
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

	r->verifier = arc_verifier_new(
	    r->world.arena, r->world.crypto, r->world.lookups, &options, &r->header, r->now_s);
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
		cmocka_unit_test(generated_chains),
	};

	if (vectors_folder() == NULL) {
		puts("skipped: no public vectors beside the checkout, none in ASSAY_VECTORS");
		return SKIPPED;
	}
	return cmocka_run_group_tests_name("arc vectors", tests, NULL, NULL);
}
