/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy/dmarc from zone, From field and results of SPF and DKIM to the verdict: RFC 9989 sections
 * 4.7, 4.10 and 5.3, RFC 7489 sections 3.2 and 6.6. The record parser has dmarc_record_test.c.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/base/strbuf.h"
#include "policy/dmarc/dmarc.h"
#include "tests/support/support.h"

#define TEXT_BYTES     4096
#define SIGNATURES_MAX 8

struct row {
	const char *name, *rule;
	const char *zone; /* "_dmarc.N TXT 300 ..." lines */
	const char *from; /* value of From; NULL: author@example.com */
	const char *spf;  /* "pass example.com"; NULL: none */
	const char *dkim; /* the same, several with "," between */
	enum dmarc_discovery discovery;
	uint32_t sample; /* with DMARC_PSL, where pct is honoured */
	enum dmarc_result result;
	enum dmarc_reason reason;
	const char *policy; /* "source domain tag requested>policy"; NULL: not compared */
	const char *org;    /* of the author domain */
	const char *ids;    /* each +aligned -not aligned ?uncertain .not compared */
	const char *walk;   /* names without "_dmarc.", "!" behind one with a record */
	const char *detail;
};

/* One DMARC record in zone text. */
#define AT(domain, text) "_dmarc." domain " TXT 300 \"v=DMARC1; " text "\"\n"
#define SERVFAIL(name)	 name " ANY 300 !SERVFAIL\n"
#define TIMEOUT(name)	 name " ANY 300 !TIMEOUT\n"

static const struct row rows[] = {
#include "tests/unit/dmarc_rows.h"
};

/* ---- from text ---- */

static struct slice
next_word(struct slice *text)
{
	size_t blank = slice_find(*text, ' ');
	struct slice word = slice_sub(*text, 0, blank);

	*text = blank == SLICE_NONE ? slice_of(NULL, 0) : slice_from(*text, blank + 1);
	return word;
}

static void
read_spf(struct slice text, struct spf_verdict *out)
{
	struct slice word = next_word(&text);

	*out = (struct spf_verdict){ .result = SPF_NONE };
	for (enum spf_result r = SPF_NONE; r <= SPF_PERMERROR; r++)
		if (slice_equal(word, slice_str(spf_result_word(r))))
			out->result = r;
	out->domain = text;
}

static void
read_dkim(struct arena *a, struct slice text, struct dkim_verdict *out)
{
	struct slice signature;

	*out = (struct dkim_verdict){ .count = 0 };
	out->signatures = arena_array(a, SIGNATURES_MAX, sizeof(out->signatures[0]));
	while (slice_next(&text, ',', &signature)) {
		struct dkim_signature_verdict *s = &out->signatures[out->count++];
		struct slice word = next_word(&signature);

		for (enum dkim_result r = DKIM_NONE; r <= DKIM_PERMERROR; r++)
			if (slice_equal(word, slice_str(dkim_result_word(r))))
				s->result = r;
		s->domain = signature;
	}
}

/* Values of From fields, "|" between. */
static void
read_from(struct arena *a, const char *from, struct author *out)
{
	struct slice rest = slice_str(from == NULL ? "author@example.com" : from), value;
	struct header_list header = { .fields = NULL };

	while (slice_next(&rest, '|', &value))
		header_list_add(&header, a, SLICE("From"), value);
	author_read(a, &header, out);
}

/* ---- to text ---- */

static const char *
policy_text(struct arena *a, const struct dmarc_verdict *v)
{
	if (v->policy_domain.len == 0)
		return "";
	return arena_printf(a, "%s %.*s %s %s>%s%s%s%s", dmarc_source_word(v->source),
	    SLICE_ARG(v->policy_domain), v->policy_tag, dmarc_policy_word(v->requested_policy),
	    dmarc_policy_word(v->policy), v->policy_test_mode ? " test" : "",
	    v->sampled_out ? " sampled" : "", v->author_domain_exists ? "" : " nonexistent");
}

static const char *
ids_text(struct arena *a, const struct dmarc_verdict *v)
{
	struct strbuf b;

	strbuf_init(&b, a, TEXT_BYTES);
	for (size_t i = 0; i < v->alignment_count; i++) {
		const struct dmarc_alignment *al = &v->alignments[i];

		strbuf_printf(&b, "%s%c%.*s", i == 0 ? "" : " ",
		    al->uncertain	? '?'
			: !al->compared ? '.'
			: al->aligned	? '+'
					: '-',
		    SLICE_ARG(al->domain));
	}
	return arena_str(a, strbuf_slice(&b));
}

static const char *
walk_text(struct arena *a, const struct dmarc_verdict *v)
{
	struct strbuf b;

	strbuf_init(&b, a, TEXT_BYTES);
	for (size_t i = 0; i < v->walk_count; i++)
		strbuf_printf(&b, "%s%.*s%s", i == 0 ? "" : " ",
		    SLICE_ARG(slice_from(v->walk[i].name, strlen("_dmarc."))),
		    v->walk[i].records == 1 ? "!" : "");
	return arena_str(a, strbuf_slice(&b));
}

/* ---- the run ---- */

static bool
differs(const struct row *row, const char *field, const char *got, const char *want)
{
	if (want == NULL || strcmp(got, want) == 0)
		return false;
	(void)printf("FAIL %s: %s\n  got    %s\n  want   %s\n  rule   %s\n  from   %s\n"
		     "  spf    %s\n  dkim   %s\n  zone\n%s",
	    row->name, field, got, want, row->rule, row->from == NULL ? "" : row->from,
	    row->spf == NULL ? "" : row->spf, row->dkim == NULL ? "" : row->dkim, row->zone);
	return true;
}

/* What must hold of every verdict, whatever the row is about. */
static bool
breaks_an_invariant(const struct row *row, const struct dmarc_verdict *v)
{
	bool aligned = v->spf_aligned || v->dkim_aligned;
	const char *broken = NULL;

	if (aligned != (v->result == DMARC_PASS))
		broken = "aligned exactly when pass";
	if (v->record == NULL && (v->result == DMARC_PASS || v->result == DMARC_FAIL))
		broken = "pass or fail under a record only";
	if (v->policy > v->requested_policy)
		broken = "policy never above the one requested";
	if ((v->result == DMARC_TEMPERROR || v->result == DMARC_PERMERROR) && v->detail.len == 0)
		broken = "an error says what exactly";
	return broken != NULL && differs(row, "invariant", "broken", broken);
}

static bool
run(const struct row *row, const struct psl *psl)
{
	struct dmarc_options options = {
		.discovery = row->discovery, .psl = psl, .honour_pct = true, .sample = row->sample
	};
	struct dmarc_verdict v;
	struct spf_verdict spf;
	struct dkim_verdict dkim;
	struct author author;
	struct world w;
	bool failed;

	world_open(&w, row->zone);
	read_from(w.arena, row->from, &author);
	read_spf(slice_str(row->spf), &spf);
	read_dkim(w.arena, slice_str(row->dkim), &dkim);
	dmarc_evaluate(w.arena, w.lookups, &options, &author, &spf, &dkim, &v);
	failed = differs(
	    row, "result", dmarc_result_word(v.result), dmarc_result_word(row->result));
	failed |= differs(
	    row, "reason", dmarc_reason_text(v.reason), dmarc_reason_text(row->reason));
	failed |= differs(row, "policy", policy_text(w.arena, &v), row->policy);
	failed |= differs(
	    row, "organizational domain", arena_str(w.arena, v.organizational_domain), row->org);
	failed |= differs(row, "identifiers", ids_text(w.arena, &v), row->ids);
	failed |= differs(row, "walk", walk_text(w.arena, &v), row->walk);
	failed |= differs(row, "detail", arena_str(w.arena, v.detail), row->detail);
	failed |= breaks_an_invariant(row, &v);
	world_close(&w);
	return failed;
}

static void
test_rows(void **state)
{
	struct arena *a = arena_new(TEXT_BYTES);
	const char *error = "?";
	struct psl *psl = psl_open(a, NULL, &error);
	size_t failed = 0;

	(void)state;
	if (psl == NULL)
		fail_msg("%s", error);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		failed += run(&rows[i], psl);
	psl_close(&psl);
	arena_free(&a);
	assert_int_equal(failed, 0);
}

/* The verdict's record comes out of the cache, where it is parsed once, and has all its parts. */
static void
test_record_of_verdict(void **state)
{
	const struct dmarc_options options = { .discovery = DMARC_TREEWALK };
	const struct dmarc_record *first;
	struct dmarc_verdict v;
	struct author author;
	struct world w;

	(void)state;
	world_open(&w,
	    AT("example.com",
		"p=reject; x; rua=mailto:a@example.com, mailto:b@example.com!1m; "
		"ruf=mailto:f@example.com; fo=d"));
	read_from(w.arena, NULL, &author);
	dmarc_evaluate(w.arena, w.lookups, &options, &author, NULL, NULL, &v);
	first = v.record;
	assert_non_null(first);
	assert_int_equal(first->rua_count, 2);
	assert_slice(first->rua[0], "mailto:a@example.com");
	assert_slice(first->rua[1], "mailto:b@example.com");
	assert_int_equal(first->ruf_count, 1);
	assert_slice(first->ruf[0], "mailto:f@example.com");
	assert_true(first->fo_dkim && !first->fo_all);
	assert_int_equal(first->fault_count, 1);
	assert_slice(first->faults[0].tag, "x");
	dmarc_evaluate(w.arena, w.lookups, &options, &author, NULL, NULL, &v);
	assert_ptr_equal(v.record, first);
	world_close(&w);
}

/* ---- cost ---- */

static size_t
questions(struct lookups *l)
{
	size_t count;

	(void)lookups_log(l, &count);
	return count;
}

/* Whatever is needed for the policy was started; evaluation asks nothing else of a forgery. */
static void
test_prefetch(void **state)
{
	static const struct {
		enum dmarc_discovery discovery;
		const char *from;
		size_t questions;
	} cases[] = {
		{ DMARC_TREEWALK, "a@mail.example.com", 3 },
		{ DMARC_TREEWALK, "a@a.b.c.d.e.f.g.h.i.example.com", 8 },
		{ DMARC_TREEWALK, "a@com", 1 },
		{ DMARC_PSL, "a@a.b.example.com", 2 },
		{ DMARC_PSL, "a@example.com", 1 },
		{ DMARC_TREEWALK, "a@example.com, b@example.net", 0 },
	};
	struct arena *a = arena_new(TEXT_BYTES);
	const char *error = "?";
	struct psl *psl = psl_open(a, NULL, &error);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dmarc_options options = { .discovery = cases[i].discovery, .psl = psl };
		struct dmarc_verdict v;
		struct author author;
		struct world w;

		world_open(&w, NULL);
		read_from(w.arena, cases[i].from, &author);
		dmarc_prefetch(w.lookups, &options, &author);
		assert_int_equal(questions(w.lookups), cases[i].questions);
		dmarc_evaluate(w.arena, w.lookups, &options, &author, NULL, NULL, &v);
		assert_int_equal(questions(w.lookups), cases[i].questions);
		world_close(&w);
	}
	psl_close(&psl);
	arena_free(&a);
}

/* PITFALLS: signatures times names of a walk is an attack; so are the signatures of strangers. */
static void
test_cost_of_signatures(void **state)
{
	struct dmarc_options options = { .discovery = DMARC_TREEWALK };
	struct dkim_signature_verdict signatures[LIMIT_DKIM_FIELDS] = { { .result = DKIM_PASS } };
	struct dkim_verdict dkim = { .signatures = signatures, .count = LIMIT_DKIM_FIELDS };
	struct dmarc_verdict v;
	struct author author;
	struct world w;

	(void)state;
	for (size_t pass = 0; pass < 2; pass++) {
		world_open(&w, AT("example.com", "p=reject; psd=n"));
		read_from(w.arena, NULL, &author);
		for (size_t i = 0; i < LIMIT_DKIM_FIELDS; i++) {
			signatures[i].result = pass == 0 ? DKIM_PASS : DKIM_TEMPERROR;
			/* half of strangers, half of names below, with records that part them */
			signatures[i].domain = slice_str(arena_printf(w.arena, "a.b.c.d.e.f%zu.%s",
			    i, i % 2 == 0 ? "attacker.example" : "example.com.example"));
		}
		dmarc_evaluate(w.arena, w.lookups, &options, &author, NULL, &dkim, &v);
		assert_int_equal(v.result, DMARC_FAIL);
		assert_int_equal(v.alignment_count, LIMIT_DKIM_FIELDS);
		assert_int_equal(questions(w.lookups), 1);
		for (size_t i = 0; i < LIMIT_DKIM_FIELDS; i++)
			signatures[i].domain = slice_str(
			    arena_printf(w.arena, "a.b.c.d.e.psd%zu.example.com", i));
		dmarc_evaluate(w.arena, w.lookups, &options, &author, NULL, &dkim, &v);
		assert_int_equal(v.result, pass == 0 ? DMARC_PASS : DMARC_TEMPERROR);
		assert_true(
		    questions(w.lookups) <= LIMIT_DMARC_WALK * (LIMIT_DMARC_IDENTIFIERS + 1));
		world_close(&w);
	}
}

/* ---- the rest ---- */

static void
test_sample(void **state)
{
	size_t seen[100] = { 0 };
	char text[32];

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		uint32_t sample;

		(void)snprintf(text, sizeof(text), "4bX%07uz1234", i);
		sample = dmarc_sample(slice_str(text));
		assert_true(sample < 100);
		assert_int_equal(sample, dmarc_sample(slice_str(text)));
		seen[sample]++;
	}
	/* RFC 7489 6.6.4: a close approximation to the requested percentage */
	for (size_t i = 0; i < 100; i++)
		assert_in_range(seen[i], 800, 1200);
}

static void
test_words(void **state)
{
	(void)state;
	for (enum dmarc_reason r = DMARC_R_ALIGNED; r <= DMARC_R_HIDDEN_PASS; r++)
		assert_true(strlen(dmarc_reason_text(r)) > 0);
	assert_string_equal(dmarc_discovery_word(DMARC_TREEWALK), "treewalk");
	assert_string_equal(dmarc_discovery_word(DMARC_PSL), "psl");
	assert_string_equal(dmarc_source_word(DMARC_S_PSD), "psd");
}

static void
write_file(char path[32], const char *text)
{
	int fd;

	(void)snprintf(path, 32, "/tmp/dmarc_test.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

static void
test_psl_file(void **state)
{
	static const struct row own_list = { .name = "own list",
		.rule = "RFC 7489 3.2",
		.zone = AT("x.hosting.example", "p=reject"),
		.from = "a@b.x.hosting.example",
		.discovery = DMARC_PSL,
		.result = DMARC_FAIL,
		.reason = DMARC_R_NOT_ALIGNED,
		.policy = "org x.hosting.example p reject>reject",
		.org = "x.hosting.example",
		.walk = "b.x.hosting.example x.hosting.example!" };
	struct arena *a = arena_new(TEXT_BYTES);
	const char *error = NULL;
	struct psl *psl = NULL;
	char path[32];

	(void)state;
	psl_close(&psl);
	assert_null(psl_open(a, "/nonexistent/list", &error));
	assert_string_equal(error, "can't read a public suffix list from /nonexistent/list");

	write_file(path, "// nothing but a comment\n");
	assert_null(psl_open(a, path, &error));
	assert_string_equal(error, arena_printf(a, "no public suffix in %s", path));
	assert_int_equal(unlink(path), 0);

	write_file(path, "example\nhosting.example\n");
	psl = psl_open(a, path, &error);
	assert_non_null(psl);
	assert_false(run(&own_list, psl));
	psl_close(&psl);
	assert_null(psl);
	assert_int_equal(unlink(path), 0);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_record_of_verdict),
		cmocka_unit_test(test_prefetch),
		cmocka_unit_test(test_cost_of_signatures),
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_psl_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
