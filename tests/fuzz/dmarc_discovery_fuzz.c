/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small name space where each name has no record, one with psd=u, n or y, several, or can't be
 * asked; author, SPF and DKIM domains are chosen from it. Asserted beyond survival, by putting each
 * possible record in the place of every name that could not be asked:
 *      pass, fail and none are what they would have been without the trouble;
 *      a temperror that speaks of a hidden pass hides one: some of them pass, some fail;
 *      the walk is never longer than eight names, and a policy is never above the one requested.
 */
#include <stdint.h>
#include <stdlib.h>

#include "policy/base/strbuf.h"
#include "policy/dmarc/dmarc.h"

#define ARENA_BYTES (1024u * 1024)
#define UNKNOWN_MAX 3 /* names in trouble at once: 4^3 evaluations */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
	"test",
	"e.test",
	"a.e.test",
	"b.e.test",
	"x.a.e.test",
	"8.7.6.5.4.3.2.1.a.e.test",
	"2.1.a.e.test",
};
#define NAMES (sizeof(names) / sizeof(names[0]))

enum kind { NOTHING, PSD_U, PSD_N, PSD_Y, SEVERAL, TROUBLE, KINDS };

static const char *const tags[KINDS] = {
	[PSD_U] = "p=reject",
	[PSD_N] = "p=reject; psd=n",
	[PSD_Y] = "p=reject; psd=y",
	[SEVERAL] = "p=none",
};

struct scene {
	const char *author, *spf, *dkim;
	bool strict;
	enum kind kinds[NAMES];
};

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static struct slice
zone_of(struct arena *a, const struct scene *s)
{
	struct strbuf b;

	strbuf_init(&b, a, 16384);
	for (size_t i = 0; i < NAMES; i++) {
		if (s->kinds[i] == TROUBLE)
			strbuf_printf(&b, "_dmarc.%s TXT 300 !SERVFAIL\n", names[i]);
		if (tags[s->kinds[i]] == NULL)
			continue;
		for (size_t copies = s->kinds[i] == SEVERAL ? 2 : 1; copies > 0; copies--)
			strbuf_printf(&b, "_dmarc.%s TXT 300 \"v=DMARC1; %s%s\"\n", names[i],
			    tags[s->kinds[i]], s->strict ? "; adkim=s" : "");
	}
	return strbuf_slice(&b);
}

static void
evaluate(const struct scene *s, struct dmarc_verdict *v)
{
	const struct lookups_limits limits = { 5000, 20000, 100 };
	const struct dmarc_options options = { .discovery = DMARC_TREEWALK };
	struct slice domain = slice_str(s->author);
	struct author author = { .from_fields = 1, .domains = &domain, .domain_count = 1 };
	struct spf_verdict spf = { .result = SPF_PASS, .domain = slice_str(s->spf) };
	struct dkim_signature_verdict signature = { .result = DKIM_PASS,
		.domain = slice_str(s->dkim) };
	struct dkim_verdict dkim = { .signatures = &signature, .count = s->dkim != NULL };
	struct arena *a = arena_new(ARENA_BYTES);
	const char *error;
	struct dns_backend *zone = dns_zone_new(a, zone_of(a, s), &error);
	struct resolver *r;
	struct lookups *l;

	must(zone != NULL);
	r = resolver_new(zone, NULL);
	l = lookups_new(a, r, &limits);
	dmarc_evaluate(a, l, &options, &author, s->spf != NULL ? &spf : NULL, &dkim, v);
	must(v->walk_count <= LIMIT_DMARC_WALK && v->policy <= v->requested_policy);
	must((v->result == DMARC_PASS) == (v->spf_aligned || v->dkim_aligned));
	lookups_fini(&l);
	resolver_free(&r);
	arena_free(&a);
}

/* Each way in which the names in trouble could have answered. */
static void
compare_with_answers(const struct scene *s, const struct dmarc_verdict *v)
{
	size_t unknown[NAMES], count = 0;
	bool passes = false, fails = false;

	for (size_t i = 0; i < NAMES; i++)
		if (s->kinds[i] == TROUBLE)
			unknown[count++] = i;
	if (count == 0 || count > UNKNOWN_MAX || v->reason == DMARC_R_POLICY_LOOKUP)
		return;
	for (unsigned code = 0; code < 1u << 2 * count; code++) {
		struct scene settled = *s;
		struct dmarc_verdict answer;

		for (size_t i = 0; i < count; i++)
			settled.kinds[unknown[i]] = (enum kind)(code >> 2 * i & 3);
		evaluate(&settled, &answer);
		must(v->result == DMARC_TEMPERROR || answer.result == v->result);
		passes = passes || answer.result == DMARC_PASS;
		fails = fails || answer.result == DMARC_FAIL;
	}
	must(v->result != DMARC_TEMPERROR || (passes && fails));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scene s;
	struct dmarc_verdict v;

	if (size < 4 + NAMES)
		return 0;
	s.author = names[data[0] % NAMES];
	s.spf = data[1] % (NAMES + 1) < NAMES ? names[data[1] % (NAMES + 1)] : NULL;
	s.dkim = data[2] % (NAMES + 1) < NAMES ? names[data[2] % (NAMES + 1)] : NULL;
	s.strict = data[3] % 2 == 1;
	for (size_t i = 0; i < NAMES; i++)
		s.kinds[i] = (enum kind)(data[4 + i] % KINDS);
	evaluate(&s, &v);
	compare_with_answers(&s, &v);
	return 0;
}
