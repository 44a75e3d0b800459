/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The public DMARC suites: dmarc/discovery.json under RFC 9989 and under RFC 7489,
 * dmarc/records.json, and dmarc/report-destinations.json. Formats: vectors/README.md.
 */
#include <string.h>

#include <jansson.h>

#include "policy/base/strbuf.h"
#include "policy/dmarc/dmarc.h"
#include "policy/syntax/domain.h"
#include "report/destination.h"
#include "tests/support/support.h"

#define ZONE_BYTES (1024 * 1024)

struct suite {
	const char *name;
	size_t cases, passed, not_applicable;
};

struct check { /* one case under one set of rules */
	const char *suite, *name, *rules, *rfc;
	json_t *expected;
	bool failed;
};

static void
mismatch(struct check *c, const char *field, const char *got, const char *want)
{
	(void)printf("FAIL %s: %s (%s)\n  %-12s %s\n  %-12s %s\n  rule         %s\n", c->suite,
	    c->name, c->rules, field, got, "want", want, c->rfc);
	c->failed = true;
}

static void
want_word(struct check *c, const char *field, const char *got)
{
	json_t *want = json_object_get(c->expected, field);
	const char *text = json_is_string(want) ? json_string_value(want) : "";

	if (want != NULL && strcmp(got, text) != 0)
		mismatch(c, field, got, text);
}

static void
want_slice(struct check *c, struct arena *a, const char *field, struct slice got)
{
	want_word(c, field, arena_printable(a, got, 300));
}

static void
want_bool(struct check *c, const char *field, bool got)
{
	json_t *want = json_object_get(c->expected, field);

	if (want != NULL && got != json_is_true(want))
		mismatch(c, field, got ? "true" : "false", json_is_true(want) ? "true" : "false");
}

static json_t *
load(const char *file)
{
	json_error_t error;
	char path[4096];
	json_t *cases;

	(void)snprintf(path, sizeof(path), "%s/dmarc/%s", vectors_folder(), file);
	cases = json_load_file(path, 0, &error);
	if (cases == NULL)
		fail_msg("%s:%d: %s", path, error.line, error.text);
	return cases;
}

static void
summary(const struct suite *s)
{
	(void)printf("%s: %zu cases, %zu passed, %zu skipped%s\n", s->name, s->cases, s->passed,
	    s->not_applicable,
	    s->not_applicable > 0 ? " (the suite expects nothing of them under these rules)" : "");
	if (s->passed != s->cases)
		fail_msg("%s: %zu of %zu failed", s->name, s->cases - s->passed, s->cases);
}

/* ---- discovery.json ---- */

static const char *
zone_of(struct arena *a, json_t *test)
{
	struct strbuf b;
	json_t *line;
	size_t i;

	strbuf_init(&b, a, ZONE_BYTES);
	json_array_foreach(json_object_get(test, "zone"), i, line)
	{
		strbuf_str(&b, json_string_value(line));
		strbuf_char(&b, '\n');
	}
	return arena_str(a, strbuf_slice(&b));
}

static void
author_of(struct arena *a, json_t *test, struct author *author)
{
	json_t *from = json_object_get(test, "from"), *address;
	size_t i;

	*author = (struct author){ .from_fields = 1 };
	author->domains = arena_array(a, json_array_size(from), sizeof(author->domains[0]));
	json_array_foreach(from, i, address)
	{
		struct slice text = slice_str(json_string_value(address)), domain;
		const char *why;
		size_t k;

		if (domain_normalize(
			a, slice_from(text, slice_find_last(text, '@') + 1), &domain, &why) != 0)
			fail_msg("%s %s", json_string_value(address), why);
		for (k = 0; k < author->domain_count; k++)
			if (slice_equal(author->domains[k], domain))
				break;
		if (k == author->domain_count)
			author->domains[author->domain_count++] = domain;
	}
}

static void
spf_of(struct arena *a, json_t *test, struct spf_verdict *out)
{
	json_t *spf = json_object_get(test, "spf");
	const char *why;

	*out = (struct spf_verdict){ .result = SPF_NONE };
	if (!json_is_object(spf))
		return;
	if (domain_normalize(a, slice_str(json_string_value(json_object_get(spf, "domain"))),
		&out->domain, &why) != 0)
		fail_msg("spf domain %s", why);
	for (enum spf_result r = SPF_NONE; r <= SPF_PERMERROR; r++)
		if (strcmp(spf_result_word(r), json_string_value(json_object_get(spf, "result"))) ==
		    0)
			out->result = r;
}

static void
dkim_of(struct arena *a, json_t *test, struct dkim_verdict *out)
{
	json_t *list = json_object_get(test, "dkim"), *signature;
	const char *why;
	size_t i;

	*out = (struct dkim_verdict){ .count = json_array_size(list) };
	out->signatures = arena_array(a, out->count, sizeof(out->signatures[0]));
	json_array_foreach(list, i, signature)
	{
		struct dkim_signature_verdict *s = &out->signatures[i];
		const char *result = json_string_value(json_object_get(signature, "result"));

		if (domain_normalize(a,
			slice_str(json_string_value(json_object_get(signature, "d"))), &s->domain,
			&why) != 0)
			fail_msg("d= %s", why);
		for (enum dkim_result r = DKIM_NONE; r <= DKIM_PERMERROR; r++)
			if (strcmp(dkim_result_word(r), result) == 0)
				s->result = r;
	}
}

static void
check_walk(struct check *c, struct arena *a, json_t *test, const struct dmarc_verdict *v)
{
	json_t *walk = json_object_get(test, "tree_walk");

	if (walk == NULL || v->discovery != DMARC_TREEWALK)
		return;
	if (json_array_size(walk) != v->walk_count)
		mismatch(c, "tree_walk", arena_printf(a, "%zu names", v->walk_count),
		    arena_printf(a, "%zu names", json_array_size(walk)));
	for (size_t i = 0; i < v->walk_count && i < json_array_size(walk); i++) {
		const char *want = json_string_value(json_array_get(walk, i));

		if (!slice_equal(v->walk[i].name, slice_str(want)))
			mismatch(c, "tree_walk", arena_str(a, v->walk[i].name), want);
	}
}

static bool
is_accepted(json_t *test, const char *result)
{
	json_t *accept = json_object_get(json_object_get(test, "expected"), "dmarc_accept"), *word;
	size_t i;

	json_array_foreach(
	    accept, i, word) if (strcmp(json_string_value(word), result) == 0) return true;
	return false;
}

static void
check_verdict(struct check *c, struct arena *a, json_t *test, const struct dmarc_verdict *v)
{
	if (!is_accepted(test, dmarc_result_word(v->result)))
		want_word(c, "result", dmarc_result_word(v->result));
	want_slice(c, a, "policy_domain", v->policy_domain);
	want_word(c, "policy_source", dmarc_source_word(v->source));
	want_slice(c, a, "org_domain", v->organizational_domain);
	want_word(c, "requested_policy", dmarc_policy_word(v->requested_policy));
	want_word(c, "policy", dmarc_policy_word(v->policy));
	want_bool(c, "dkim_aligned", v->dkim_aligned);
	want_bool(c, "spf_aligned", v->spf_aligned);
	if (v->record != NULL) {
		want_word(c, "adkim", v->record->strict_dkim ? "s" : "r");
		want_word(c, "aspf", v->record->strict_spf ? "s" : "r");
	}
	check_walk(c, a, test, v);
}

static bool
run_discovery(json_t *test, json_t *expected, enum dmarc_discovery discovery, const struct psl *psl)
{
	struct check c = { .suite = "dmarc/discovery.json",
		.name = json_string_value(json_object_get(test, "name")),
		.rules = discovery == DMARC_PSL ? "rfc7489" : "rfc9989",
		.rfc = discovery == DMARC_PSL ? "RFC 7489 6.6" : "RFC 9989 4.10, 5.3",
		.expected = expected };
	struct dmarc_options options = { .discovery = discovery, .psl = psl };
	struct arena *a = arena_new(ZONE_BYTES);
	struct dmarc_verdict *v = arena_alloc(a, sizeof(*v));
	struct author author;
	struct spf_verdict spf;
	struct dkim_verdict dkim;
	struct world w;

	world_open(&w, zone_of(a, test));
	author_of(a, test, &author);
	spf_of(a, test, &spf);
	dkim_of(a, test, &dkim);
	dmarc_prefetch(w.lookups, &options, &author);
	dmarc_evaluate(w.arena, w.lookups, &options, &author, &spf, &dkim, v);
	check_verdict(&c, a, test, v);
	world_close(&w);
	arena_free(&a);
	return !c.failed;
}

static void
discovery(enum dmarc_discovery method, const char *rules, const struct psl *psl)
{
	json_t *cases = load("discovery.json"), *test;
	struct suite s = { .name = "?" };
	char name[64];
	size_t i;

	(void)snprintf(name, sizeof(name), "dmarc/discovery.json (%s)", rules);
	s.name = name;
	json_array_foreach(cases, i, test)
	{
		json_t *expected = json_object_get(
		    json_object_get(json_object_get(test, "expected"), "dmarc"), rules);

		if (expected == NULL) { /* the case turns on what these rules do not have */
			s.not_applicable++;
			continue;
		}
		s.cases++;
		s.passed += run_discovery(test, expected, method, psl);
	}
	json_decref(cases);
	summary(&s);
}

static void
test_discovery_rfc9989(void **state)
{
	(void)state;
	discovery(DMARC_TREEWALK, "rfc9989", NULL);
}

static void
test_discovery_rfc7489(void **state)
{
	struct arena *a = arena_new(ZONE_BYTES);
	const char *error = "?";
	struct psl *psl = psl_open(a, NULL, &error);

	(void)state;
	if (psl == NULL)
		fail_msg("%s", error);
	discovery(DMARC_PSL, "rfc7489", psl);
	psl_close(&psl);
	arena_free(&a);
}

/* ---- records.json ---- */

static void
check_uris(struct check *c, struct arena *a, const char *tag, const struct slice *uris, size_t n)
{
	json_t *want = json_object_get(c->expected, tag), *uri;
	size_t i;

	if (json_array_size(want) != n)
		mismatch(c, tag, arena_printf(a, "%zu URIs", n),
		    arena_printf(a, "%zu URIs", json_array_size(want)));
	json_array_foreach(
	    want, i, uri) if (i < n && !slice_equal(uris[i], slice_str(json_string_value(uri))))
	    mismatch(c, tag, arena_printable(a, uris[i], 300), json_string_value(uri));
}

static void
check_fo(struct check *c, struct arena *a, const struct dmarc_record *r)
{
	const char *got = arena_printf(a, "%s%s%s%s", r->fo_all ? "0" : "", r->fo_any ? "1" : "",
	    r->fo_dkim ? "d" : "", r->fo_spf ? "s" : "");
	json_t *option;
	const char *want = "";
	size_t i;

	json_array_foreach(json_object_get(c->expected, "fo"), i, option)
	    want = arena_printf(a, "%s%s", want, json_string_value(option));
	if (strcmp(got, want) != 0)
		mismatch(c, "fo", got, want);
}

/* Absent and not valid are both null; the fall back is discovery's. */
static bool
run_record(json_t *test)
{
	struct check c = { .suite = "dmarc/records.json",
		.name = json_string_value(json_object_get(test, "name")),
		.rules = json_string_value(json_object_get(test, "record")),
		.rfc = "RFC 9989 4.7, 4.8, 4.10.1",
		.expected = json_object_get(test, "expected") };
	struct arena *a = arena_new(ZONE_BYTES);
	struct dmarc_record r;
	bool valid = dmarc_record_parse(a, slice_str(c.rules), &r);

	want_bool(&c, "valid", valid);
	if (valid && json_object_get(test, "ambiguous") == NULL) {
		want_word(&c, "p", dmarc_policy_word(r.p));
		want_word(&c, "sp", dmarc_policy_word(r.sp));
		want_word(&c, "np", dmarc_policy_word(r.np));
		want_word(&c, "psd", dmarc_psd_word(r.psd));
		want_word(&c, "t", r.testing ? "y" : "n");
		want_word(&c, "adkim", r.strict_dkim ? "s" : "r");
		want_word(&c, "aspf", r.strict_spf ? "s" : "r");
		want_word(
		    &c, "usable", dmarc_usability_word(dmarc_record_usability(&r, DMARC_TREEWALK)));
		check_uris(&c, a, "rua", r.rua, r.rua_count);
		check_uris(&c, a, "ruf", r.ruf, r.ruf_count);
		check_fo(&c, a, &r);
	}
	arena_free(&a);
	return !c.failed;
}

static void
test_records(void **state)
{
	json_t *cases = load("records.json"), *test;
	struct suite s = { .name = "dmarc/records.json" };
	size_t i;

	(void)state;
	json_array_foreach(cases, i, test)
	{
		s.cases++;
		s.passed += run_record(test);
	}
	json_decref(cases);
	summary(&s);
}

/* ---- report-destinations.json ---- */

static bool
is_list(json_t *want, struct slice *got, size_t count)
{
	json_t *address;
	size_t i;

	if (json_array_size(want) != count)
		return false;
	json_array_foreach(want, i,
	    address) if (!slice_equal(got[i], slice_str(json_string_value(address)))) return false;
	return true;
}

static const char *
join(struct arena *a, const struct slice *list, size_t count)
{
	const char *text = "";

	for (size_t i = 0; i < count; i++)
		text = arena_printf(a, "%s%s%s", text, i == 0 ? "" : " ", arena_str(a, list[i]));
	return text;
}

static void
check_addresses(
    struct check *c, struct arena *a, const char *field, struct slice *got, size_t count)
{
	json_t *accept = json_object_get(c->expected, "send_to_accept"), *list;
	size_t i;

	if (is_list(json_object_get(c->expected, field), got, count))
		return;
	if (strcmp(field, "send_to") == 0)
		json_array_foreach(accept, i, list) if (is_list(list, got, count)) return;
	mismatch(c, field, join(a, got, count),
	    json_dumps(json_object_get(c->expected, field), JSON_ENCODE_ANY));
}

/* The names asked below "_report._dmarc", and no other of that form. */
static void
check_queries(struct check *c, struct world *w)
{
	size_t count, queries = 0;
	const struct lookup *log = lookups_log(w->lookups, &count);
	struct slice *names = arena_array(w->arena, count + 1, sizeof(names[0]));

	if (json_object_get(c->expected, "queries") == NULL)
		return;
	for (size_t i = 0; i < count; i++)
		if (strstr(arena_str(w->arena, log[i].name), "_report._dmarc") != NULL)
			names[queries++] = log[i].name;
	check_addresses(c, w->arena, "queries", names, queries);
}

static bool
run_destinations(json_t *test)
{
	static const struct dmarc_options options = { .discovery = DMARC_TREEWALK };
	struct check c = { .suite = "dmarc/report-destinations.json",
		.name = json_string_value(json_object_get(test, "name")),
		.rules = json_string_value(json_object_get(test, "rua")),
		.rfc = "RFC 9990 3.5, 4",
		.expected = json_object_get(test, "expected") };
	struct slice send[LIMIT_DESTINATIONS], later[LIMIT_DESTINATIONS];
	size_t send_count = 0, later_count = 0;
	struct arena *a = arena_new(ZONE_BYTES);
	struct destinations d;
	struct world w;

	world_open(&w, zone_of(a, test));
	destinations_find(w.arena, w.lookups, &options,
	    slice_str(json_string_value(json_object_get(test, "policy_domain"))), "rua",
	    slice_str(c.rules), &d);
	for (size_t i = 0; i < d.count; i++) {
		if (d.list[i].outcome == DESTINATION_SEND)
			send[send_count++] = d.list[i].address;
		if (d.list[i].outcome == DESTINATION_LATER)
			later[later_count++] = d.list[i].address;
	}
	check_addresses(&c, w.arena, "send_to", send, send_count);
	if (json_object_get(c.expected, "temporary") != NULL || later_count > 0)
		check_addresses(&c, w.arena, "temporary", later, later_count);
	check_queries(&c, &w);
	world_close(&w);
	arena_free(&a);
	return !c.failed;
}

static void
test_destinations(void **state)
{
	json_t *cases = load("report-destinations.json"), *test;
	struct suite s = { .name = "dmarc/report-destinations.json" };
	size_t i;

	(void)state;
	json_array_foreach(cases, i, test)
	{
		s.cases++;
		s.passed += run_destinations(test);
	}
	json_decref(cases);
	summary(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_discovery_rfc9989),
		cmocka_unit_test(test_discovery_rfc7489),
		cmocka_unit_test(test_destinations),
	};

	if (vectors_folder() == NULL) {
		(void)printf("dmarc vectors: skipped, no folder of public vectors\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
