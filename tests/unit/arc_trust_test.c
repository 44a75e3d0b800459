/* SPDX-License-Identifier: BSD-2-Clause */
/* Chains that passed, made by hand, and what a receiver who trusts some sealers makes of them. */
#include <string.h>

#include "policy/arc_trust.h"
#include "tests/support/support.h"

#define SETS 3
#define PASS " list.example; arc=none smtp.remote-ip=192.0.2.7; dmarc=pass header.from=a.example"
#define FAIL " list.example; arc=pass; dmarc=fail header.from=a.example"

static const struct row {
	const char *name;
	const char *domains[SETS]; /* d= of the seals, oldest first */
	const char *results[SETS]; /* without "i=N;" */
	const char *comment;	   /* NULL: not vouched for */
	bool fails, without_from;
	const char *author; /* NULL: a.example */
} rows[] = {
	{ "one trusted sealer", { "list.example" }, { PASS },
	    .comment = "arc=pass as[1].d=list.example as[1].s=s1 remote-ip[1]=192.0.2.7" },
	{ "below a trusted name", { "sub.list.example" }, { PASS },
	    .comment = "arc=pass as[1].d=sub.list.example as[1].s=s1 remote-ip[1]=192.0.2.7" },
	{ "two that are trusted; the second got it broken", { "list.example", "fwd.example" },
	    { PASS, FAIL },
	    .comment = "arc=pass as[2].d=fwd.example as[2].s=s2 as[1].d=list.example as[1].s=s1 "
		       "remote-ip[1]=192.0.2.7" },
	{ "a stranger's dmarc=pass, sealed on by a trusted list",
	    { "evil.example", "list.example" }, { PASS, FAIL }, .comment = NULL },
	{ "a trusted list behind a stranger found the pass itself",
	    { "other.example", "list.example" }, { FAIL, PASS },
	    .comment =
		"arc=pass as[2].d=list.example as[2].s=s2 as[1].d=other.example as[1].s=s1" },
	{ "a stranger on top", { "list.example", "evil.example" }, { PASS, PASS },
	    .comment = NULL },
	{ "a stranger between", { "list.example", "evil.example", "fwd.example" },
	    { PASS, PASS, FAIL }, .comment = NULL },
	{ "a name that only ends alike", { "badlist.example" }, { PASS }, .comment = NULL },
	{ "the chain fails", { "list.example" }, { PASS }, .comment = NULL, .fails = true },
	{ "the newest AMS leaves From out", { "list.example" }, { PASS }, .comment = NULL,
	    .without_from = true },
	{ "another author", { "list.example" }, { PASS }, .comment = NULL, .author = "b.example" },
	{ "no author domain", { "list.example" }, { PASS }, .comment = NULL, .author = "" },
	{ "dmarc=fail", { "list.example" }, { FAIL }, .comment = NULL },
	{ "no dmarc result", { "list.example" }, { " list.example; spf=pass" }, .comment = NULL },
	{ "dmarc=pass for nobody", { "list.example" }, { " list.example; dmarc=pass" },
	    .comment = NULL },
	{ "pass and fail", { "list.example" }, { PASS "; dmarc=fail header.from=a.example" },
	    .comment = NULL },
	{ "pass for two", { "list.example" }, { PASS "; dmarc=pass header.from=b.example" },
	    .comment = NULL },
	{ "results nobody can read", { "list.example" }, { PASS " (" }, .comment = NULL },
	{ "dmarc=pass in a comment", { "list.example" },
	    { " x; spf=pass (; dmarc=pass header.from=a.example;)" }, .comment = NULL },
	{ "Microsoft's way", { "list.example" },
	    { " mx.microsoft.com 1; spf=pass (sender ip is 192.0.2.9) smtp.mailfrom=a.example; "
	      "dmarc=pass (p=none sp=none pct=100) action=none header.from=a.example; arc=none" },
	    .comment = "arc=pass as[1].d=list.example as[1].s=s1" },
	{ "an address as author, origin by iprev (RFC 8601 2.7.3)", { "list.example" },
	    { " x; iprev=pass policy.iprev=2001:db8::1; dmarc=pass header.from=u@A.Example" },
	    .comment = "arc=pass as[1].d=list.example as[1].s=s1 remote-ip[1]=2001:db8::1" },
	{ "an origin that is no address", { "list.example" },
	    { " x; arc=none smtp.remote-ip=nowhere; dmarc=pass header.from=a.example" },
	    .comment = "arc=pass as[1].d=list.example as[1].s=s1" },
};

static void
trust(void **state)
{
	static const struct slice sealers[] = { SLICE("list.example"), SLICE("fwd.example") };
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct arc_seal seals[SETS];
		struct arc_verdict arc = { .result = row->fails ? ARC_FAIL : ARC_PASS,
			.seals = row->fails ? NULL : seals,
			.covers_author = !row->without_from };
		const char *author = row->author == NULL ? "a.example" : row->author, *got = "";

		for (uint32_t n = 0; n < SETS && row->domains[n] != NULL; n++) {
			seals[n].domain = slice_str(row->domains[n]);
			seals[n].selector = slice_str(arena_printf(a, "s%u", n + 1));
			seals[n].results = slice_str(
			    arena_printf(a, " i=%u;%s", n + 1, row->results[n]));
			arc.instances = n + 1;
		}
		if (arc_trust_find(a, sealers, 2, &arc, slice_str(author), &got) !=
		    (row->comment != NULL))
			fail_msg("%s: %s", row->name, got);
		if (row->comment != NULL)
			assert_string_equal(got, row->comment);
		assert_false(arc_trust_find(a, NULL, 0, &arc, slice_str(author), &got));
	}
	arena_free(&a);
}

/* Fifty sets: bounded, the newest seals and the origin are there. */
static void
long_chain(void **state)
{
	static const struct slice sealer = SLICE("list.example");
	struct arena *a = arena_new(1 << 20);
	struct arc_seal seals[50];
	struct arc_verdict arc = {
		.result = ARC_PASS, .instances = 50, .seals = seals, .covers_author = true
	};
	const char *got = "";

	(void)state;
	for (uint32_t n = 0; n < 50; n++)
		seals[n] = (struct arc_seal){ .domain = sealer,
			.selector = SLICE("s\r\n"),
			.results = slice_str(
			    arena_printf(a, " i=%u;%s", n + 1, n == 0 ? PASS : FAIL)) };
	assert_true(arc_trust_find(a, &sealer, 1, &arc, SLICE("a.example"), &got));
	assert_true(slice_starts(
	    slice_str(got), SLICE("arc=pass as[50].d=list.example as[50].s=s\\x0d\\x0a as[49]")));
	assert_true(slice_ends_nocase(slice_str(got), SLICE(" remote-ip[1]=192.0.2.7")));
	assert_true(strlen(got) <= 700);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trust),
		cmocka_unit_test(long_chain),
	};

	return cmocka_run_group_tests_name("arc_trust", tests, NULL, NULL);
}
