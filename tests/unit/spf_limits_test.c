/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A property: no set of records drives SPF past its limits (RFC 7208 4.6.4 and 11.1). Random zones,
 * full of loops, dead names and long lists, from a fixed seed; what is asked is counted behind the
 * evaluator's back, in the log of lookups and at the resolver.
 */
#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/spf/spf.h"
#include "tests/support/support.h"

#define ROUNDS	   1500
#define DOMAINS	   7
#define ZONE_BYTES 65536

static uint64_t
next(uint64_t *seed)
{
	*seed ^= *seed << 13; /* xorshift64 */
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static unsigned
below(uint64_t *seed, unsigned n)
{
	return (unsigned)(next(seed) % n);
}

static const char *const terms[] = {
	"include:d%u.example",
	"?include:d%u.example",
	"-include:d%u.%{d1}",
	"a:d%u.example",
	"a",
	"mx",
	"mx:d%u.example/31",
	"ptr:d%u.example",
	"ptr",
	"exists:%%{ir}.d%u.example",
	"exists:%%{p}.d%u.example",
	"a:%%{l}.%%{p}.d%u.example",
	"a:dead%u.example",
	"exists:dead%u.example",
	"ip4:203.0.113.%u",
	"redirect=d%u.example",
	"exp=e%u.example",
};

static void
add_term(struct strbuf *b, uint64_t *seed)
{
	const char *t = terms[below(seed, sizeof(terms) / sizeof(terms[0]))];
	unsigned n = below(seed, DOMAINS);

	strbuf_str(b, "\" \" "); /* a string of its own: they hold 255 bytes at most */
	for (; *t != '\0'; t++) {
		if (t[0] == '%' && t[1] == 'u')
			strbuf_printf(b, "%u", n);
		else if (t[0] != '%' || t[1] != '%')
			strbuf_char(b, *t);
		if (t[0] == '%' && t[1] == 'u')
			t++;
	}
}

static void
add_domain(struct strbuf *b, uint64_t *seed, unsigned n)
{
	unsigned count = below(seed, 8);

	if (below(seed, 12) == 0)
		strbuf_printf(b, "d%u.example TXT 300 !TIMEOUT\n", n);
	strbuf_printf(b, "d%u.example TXT 300 \"v=spf1", n);
	for (unsigned i = below(seed, 16); i > 0; i--)
		add_term(b, seed);
	strbuf_str(b, "\"\n");
	for (unsigned i = 0; i < count; i++)
		strbuf_printf(b, "d%u.example A 300 198.51.100.%u\n", n, below(seed, 256));
	count = below(seed, 4) == 0 ? 20 : below(seed, 11);
	for (unsigned i = 0; i < count; i++)
		strbuf_printf(b, "d%u.example MX 300 %u m%u-%u.example\n", n, i, n, i);
	strbuf_printf(b, "e%u.example TXT 300 \"%%{p} %%{d} %%{s}\"\n", n);
}

static const char *
random_zone(struct arena *a, uint64_t *seed)
{
	struct strbuf b;

	strbuf_init(&b, a, ZONE_BYTES);
	for (unsigned n = 0; n < DOMAINS; n++)
		add_domain(&b, seed, n);
	for (unsigned i = below(seed, 25); i > 0; i--)
		strbuf_printf(&b, "1.2.0.192.in-addr.arpa PTR 300 p%u.d0.example\n", i);
	strbuf_printf(&b, "p%u.d0.example A 300 192.0.2.1\n", below(seed, 25));
	return strbuf_slice(&b).p;
}

struct tally {
	size_t all, txt, mx, ptr;
};

static struct tally
count_questions(struct lookups *l)
{
	struct tally t = { 0, 0, 0, 0 };
	const struct lookup *log = lookups_log(l, &t.all);

	for (size_t i = 0; i < t.all; i++) {
		t.txt += log[i].type == DNS_TXT;
		t.mx += log[i].type == DNS_MX;
		t.ptr += log[i].type == DNS_PTR;
	}
	return t;
}

/* What max terms can ask at most. */
static bool
within(const struct tally *t, const struct spf_verdict *v, const struct spf_options *o)
{
	size_t max = o->max_lookups;

	if (v->lookups > max || v->void_lookups > o->max_void_lookups + 1)
		return false;
	if ((v->void_lookups > o->max_void_lookups) != (v->reason == SPF_R_VOID))
		return false;
	if (v->reason == SPF_R_LOOKUPS && v->lookups != max)
		return false;
	/* The record itself, each include or redirect, the explanation; the client's names once. */
	return t->txt <= 1 + max + 1 && t->mx <= max && t->ptr <= 1 &&
	    t->all <= 1 + max * (1 + LIMIT_SPF_NAMES) + (1 + LIMIT_SPF_NAMES) + 1;
}

static void
run_round(unsigned round, uint64_t *seed, unsigned *met)
{
	struct spf_options options = spf_defaults;
	struct spf_input in = { .local_part = SLICE("u"), .domain = SLICE("d0.example") };
	struct resolver_stats stats;
	struct spf_verdict v;
	struct tally t;
	struct world w;
	const char *zone;
	struct arena *a = arena_new(ZONE_BYTES);

	if (round % 3 == 0) {
		options.max_lookups = below(seed, 15);
		options.max_void_lookups = below(seed, 4);
	}
	zone = random_zone(a, seed);
	world_open(&w, zone);
	assert_int_equal(ip_parse(SLICE("192.0.2.1"), &in.client), 0);
	spf_evaluate(w.arena, w.lookups, &options, &in, &v);
	t = count_questions(w.lookups);
	resolver_stats(w.resolver, &stats);
	if (!within(&t, &v, &options) || stats.upstream > t.all)
		fail_msg(
		    "round %u\n%s\n  %s (%s) lookups=%u void=%u; asked %zu (TXT %zu, MX %zu, PTR "
		    "%zu), upstream %ju (RFC 7208 4.6.4)",
		    round, zone, spf_result_word(v.result), spf_reason_text(v.reason), v.lookups,
		    v.void_lookups, t.all, t.txt, t.mx, t.ptr, (uintmax_t)stats.upstream);
	met[v.reason]++;
	world_close(&w);
	arena_free(&a);
}

static void
no_records_pass_the_limits(void **state)
{
	static const enum spf_reason wanted[] = { SPF_R_MATCH, SPF_R_DEFAULT, SPF_R_LOOKUPS,
		SPF_R_VOID, SPF_R_MX_NAMES, SPF_R_SYNTAX, SPF_R_DNS };
	unsigned met[SPF_R_DNS + 1] = { 0 };
	uint64_t seed = 7208;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++)
		run_round(round, &seed, met);
	/* The zones are worth something only if they lead everywhere. */
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (met[wanted[i]] == 0)
			fail_msg("no zone ended in \"%s\"", spf_reason_text(wanted[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(no_records_pass_the_limits) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
