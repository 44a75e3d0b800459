/* SPDX-License-Identifier: BSD-2-Clause */
/* The openspf.org test suite for RFC 7208, all of it: each YAML document is a zone and its tests.
 */
#include <stdbool.h>
#include <string.h>

#include "policy/base/strbuf.h"
#include "policy/spf/spf.h"
#include "tests/support/support.h"
#include "tests/support/yaml_tree.h"

#define SUITE		 "spf/rfc7208-tests.yml"
#define ZONE_BYTES	 (1024 * 1024)
#define TXT_STRING_BYTES 255

static struct {
	unsigned cases, passed;
} counts;

/* Item i of a sequence; anything else is a sequence of one. */
static yaml_node_t *
item(yaml_document_t *doc, yaml_node_t *n, size_t i)
{
	if (n != NULL && n->type == YAML_SEQUENCE_NODE)
		return yaml_item(doc, n, i);
	return i == 0 ? n : NULL;
}

/* ---- zonedata to zone text, by the rules of the vectors' README ---- */

static void
add_escaped(struct strbuf *b, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c >= 0x7f || strchr("\"\\;#", c) != NULL)
			strbuf_printf(b, "\\%03u", c);
		else
			strbuf_char(b, s.p[i]);
	}
}

static void
add_start(struct strbuf *b, struct slice name, const char *type)
{
	add_escaped(b, name);
	strbuf_printf(b, " %s 300", type);
}

static void
add_txt(struct strbuf *b, struct slice name, yaml_document_t *doc, yaml_node_t *value)
{
	yaml_node_t *n;

	add_start(b, name, "TXT");
	if (item(doc, value, 0) == NULL)
		strbuf_str(b, " \"\"");
	for (size_t i = 0; (n = item(doc, value, i)) != NULL; i++) {
		struct slice s = yaml_scalar(n);

		do {
			strbuf_str(b, " \"");
			add_escaped(b, slice_sub(s, 0, TXT_STRING_BYTES));
			strbuf_char(b, '"');
			s = slice_from(s, TXT_STRING_BYTES);
		} while (s.len > 0);
	}
	strbuf_char(b, '\n');
}

/* A, AAAA, PTR, CNAME: the value; MX: [preference, host]. */
static void
add_other(
    struct strbuf *b, struct slice name, const char *type, yaml_document_t *doc, yaml_node_t *value)
{
	struct slice last = yaml_scalar(item(doc, value, strcmp(type, "MX") == 0 ? 1 : 0));

	add_start(b, name, type);
	if (strcmp(type, "MX") == 0) {
		strbuf_char(b, ' ');
		strbuf_add(b, yaml_scalar(item(doc, value, 0)));
	}
	strbuf_char(b, ' ');
	if (last.len == 0)
		strbuf_char(b, '.');
	add_escaped(b, last);
	strbuf_char(b, '\n');
}

static const char *const types[] = { "A", "AAAA", "MX", "TXT", "PTR", "CNAME" };
#define TYPE_COUNT (sizeof(types) / sizeof(types[0]))
#define TYPE_TXT   3

/* One record of a name; listed[]: types that have data by now. */
static void
add_record(struct strbuf *b, struct slice name, yaml_document_t *doc, yaml_node_t *record,
    bool own_txt, bool *listed)
{
	if (slice_equal(yaml_scalar(record), SLICE("TIMEOUT"))) {
		for (size_t t = 0; t + 1 < TYPE_COUNT; t++) /* of CNAME nobody asks */
			if (!listed[t]) {
				add_start(b, name, types[t]);
				strbuf_str(b, " !TIMEOUT\n");
			}
		return;
	}
	if (yaml_member(doc, record, "SPF") != NULL && !own_txt) {
		add_txt(b, name, doc, yaml_member(doc, record, "SPF"));
		listed[TYPE_TXT] = true;
	}
	for (size_t t = 0; t < TYPE_COUNT; t++) {
		yaml_node_t *value = yaml_member(doc, record, types[t]);

		if (value == NULL || slice_equal(yaml_scalar(value), SLICE("NONE")))
			continue;
		listed[t] = true;
		if (t == TYPE_TXT)
			add_txt(b, name, doc, value);
		else
			add_other(b, name, types[t], doc, value);
	}
}

static void
add_name(struct strbuf *b, struct slice name, yaml_document_t *doc, yaml_node_t *records)
{
	bool listed[TYPE_COUNT] = { false }, own_txt = false;
	size_t before = b->len;
	yaml_node_t *n;

	for (size_t i = 0; (n = item(doc, records, i)) != NULL; i++)
		own_txt = own_txt || yaml_member(doc, n, "TXT") != NULL;
	for (size_t i = 0; (n = item(doc, records, i)) != NULL; i++)
		add_record(b, name, doc, n, own_txt, listed);
	if (b->len == before) { /* it exists all the same */
		add_start(b, name, "NS");
		strbuf_str(b, " ns.invalid\n");
	}
}

static const char *
zone_text(struct arena *a, yaml_document_t *doc, yaml_node_t *zonedata)
{
	struct strbuf b;

	strbuf_init(&b, a, ZONE_BYTES);
	for (yaml_node_pair_t *p = zonedata->data.mapping.pairs.start;
	     p < zonedata->data.mapping.pairs.top; p++)
		add_name(&b, yaml_scalar(yaml_document_get_node(doc, p->key)), doc,
		    yaml_document_get_node(doc, p->value));
	return strbuf_slice(&b).p;
}

/* ---- one test ---- */

static bool
result_fits(yaml_document_t *doc, yaml_node_t *wanted, enum spf_result got)
{
	yaml_node_t *n;

	for (size_t i = 0; (n = item(doc, wanted, i)) != NULL; i++)
		if (slice_equal(yaml_scalar(n), slice_str(spf_result_word(got))))
			return true;
	return false;
}

static void
complain(yaml_document_t *doc, yaml_node_t *test, struct slice name, const struct spf_verdict *v)
{
	struct slice spec = yaml_scalar(yaml_member(doc, test, "spec"));
	struct slice from = yaml_scalar(yaml_member(doc, test, "mailfrom"));
	struct slice host = yaml_scalar(yaml_member(doc, test, "host"));
	struct slice want = yaml_scalar(item(doc, yaml_member(doc, test, "result"), 0));
	struct slice text = yaml_scalar(yaml_member(doc, test, "explanation"));

	printf("FAIL %s %.*s (RFC 7208 %.*s)\n  from %.*s ip %.*s\n", SUITE, SLICE_ARG(name),
	    SLICE_ARG(spec), SLICE_ARG(from), SLICE_ARG(host));
	printf("  got  %s: %s; %.*s; explanation \"%.*s\"\n", spf_result_word(v->result),
	    spf_reason_text(v->reason), SLICE_ARG(v->detail), SLICE_ARG(v->explanation));
	printf("  want %.*s; explanation \"%.*s\"\n", SLICE_ARG(want), SLICE_ARG(text));
}

static void
run_case(yaml_document_t *doc, const char *zone, struct slice name, yaml_node_t *test)
{
	struct slice from = yaml_scalar(yaml_member(doc, test, "mailfrom"));
	struct slice explanation = yaml_scalar(yaml_member(doc, test, "explanation"));
	struct spf_options options = spf_defaults;
	struct spf_input in = { .helo = yaml_scalar(yaml_member(doc, test, "helo")) };
	struct spf_verdict v;
	struct world w;
	size_t at = slice_find_last(from, '@');
	bool good;

	in.domain = from.len == 0 ? in.helo : slice_from(from, at == SLICE_NONE ? 0 : at + 1);
	in.local_part = slice_sub(from, 0, at == SLICE_NONE ? 0 : at);
	if (ip_parse(yaml_scalar(yaml_member(doc, test, "host")), &in.client) != 0)
		fail_msg("%.*s: host", SLICE_ARG(name));
	world_open(&w, zone);
	spf_evaluate(w.arena, w.lookups, &options, &in, &v);
	good = result_fits(doc, yaml_member(doc, test, "result"), v.result);
	/* DEFAULT is the receiver's own text: the publisher's may not be used. */
	if (slice_equal(explanation, SLICE("DEFAULT")))
		good = good && v.explanation.len == 0;
	else if (explanation.len > 0)
		good = good && slice_equal(v.explanation, explanation);
	counts.cases++;
	counts.passed += good;
	if (!good)
		complain(doc, test, name, &v);
	world_close(&w);
}

static void
run_document(yaml_document_t *doc)
{
	yaml_node_t *root = yaml_document_get_root_node(doc);
	yaml_node_t *tests = yaml_member(doc, root, "tests");
	yaml_node_t *zonedata = yaml_member(doc, root, "zonedata");
	struct arena *a = arena_new(ZONE_BYTES);
	const char *zone;

	if (tests == NULL || zonedata == NULL)
		fail_msg("a document without tests or zonedata");
	zone = zone_text(a, doc, zonedata);
	for (yaml_node_pair_t *p = tests->data.mapping.pairs.start;
	     p < tests->data.mapping.pairs.top; p++)
		run_case(doc, zone, yaml_scalar(yaml_document_get_node(doc, p->key)),
		    yaml_document_get_node(doc, p->value));
	arena_free(&a);
}

static void
suite(void **state)
{
	struct arena *a = arena_new(ZONE_BYTES);
	struct slice text = read_file(a, arena_printf(a, "%s/%s", (const char *)*state, SUITE));
	yaml_parser_t parser;

	assert_int_equal(yaml_parser_initialize(&parser), 1);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.len);
	for (;;) {
		yaml_document_t doc;

		if (!yaml_parser_load(&parser, &doc))
			fail_msg("%s: line %zu: %s", SUITE, parser.problem_mark.line + 1,
			    parser.problem);
		if (yaml_document_get_root_node(&doc) == NULL) {
			yaml_document_delete(&doc);
			break;
		}
		run_document(&doc);
		yaml_document_delete(&doc);
	}
	yaml_parser_delete(&parser);
	arena_free(&a);
	printf("%s: %u cases, %u passed, 0 skipped\n", SUITE, counts.cases, counts.passed);
	assert_int_equal(counts.passed, counts.cases);
	assert_true(counts.cases > 0);
}

int
main(void)
{
	const char *folder = vectors_folder();
	const struct CMUnitTest tests[] = { cmocka_unit_test_prestate(
	    suite, (void *)(uintptr_t)folder) };

	if (folder == NULL) {
		printf("skipped: no public vectors (set ASSAY_VECTORS, or put them beside the "
		       "checkout)\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
