/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines: client address, MAIL FROM, HELO; then the TXT records of d0.example, d1.example, ... ("!"
 * at the start of one stands for a time-out), in a zone where some of these names have addresses,
 * hosts and a PTR. Asserted beyond survival: the limits of RFC 7208 4.6.4 hold for the counts in
 * the verdict and for the questions asked; reason and result fit each other, trouble is always
 * explained in words; the texts meant for people, the explanation above all, are printable ASCII
 * within limits; the same again gives the same verdict without another question.
 */
#include <stdint.h>
#include <stdlib.h>

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/spf/spf.h"

#define ARENA_BYTES   (8u * 1024 * 1024)
#define ZONE_BYTES    65536
#define INPUT_BYTES   8192
#define TXT_BYTES     255
#define MAX_QUESTIONS (1 + LIMIT_SPF_LOOKUPS * (1 + LIMIT_SPF_NAMES) + (1 + LIMIT_SPF_NAMES) + 1)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char fixed_zone[] =
    "d0.example A 300 192.0.2.1\nd1.example A 300 192.0.2.9\nd1.example AAAA 300 2001:db8::1\n"
    "d2.example MX 300 1 d0.example\nd2.example MX 300 2 d1.example\nd3.example MX 300 0 .\n"
    "d4.example A 300 !SERVFAIL\n*.d5.example A 300 127.0.0.2\n*.d6.example TXT 300 \"v=spf1 "
    "+all\"\n"
    "1.2.0.192.in-addr.arpa PTR 300 d0.example\n1.2.0.192.in-addr.arpa PTR 300 d4.example\n";

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static void
must_print(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		must(s.p[i] >= 0x20 && s.p[i] <= 0x7e);
}

static void
add_domain(struct strbuf *b, unsigned n, struct slice text)
{
	strbuf_printf(b, "d%u.example TXT 300 ", n);
	if (text.len > 0 && text.p[0] == '!') {
		strbuf_str(b, "!TIMEOUT\n");
		return;
	}
	strbuf_char(b, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (i > 0 && i % TXT_BYTES == 0)
			strbuf_str(b, "\" \"");
		strbuf_printf(b, "\\%03u", (unsigned char)text.p[i]);
	}
	strbuf_str(b, "\"\n");
}

static struct resolver *
open_zone(struct arena *a, struct slice records)
{
	struct dns_backend *backend;
	struct strbuf b;
	struct slice line;
	const char *error;

	strbuf_init(&b, a, ZONE_BYTES);
	strbuf_str(&b, fixed_zone);
	for (unsigned n = 0; slice_next(&records, '\n', &line); n++)
		add_domain(&b, n, line);
	backend = dns_zone_new(a, strbuf_slice(&b), &error);
	must(backend != NULL);
	return resolver_new(backend, NULL);
}

static void
check(const struct spf_verdict *v, size_t questions)
{
	must(v->lookups <= LIMIT_SPF_LOOKUPS);
	must(v->void_lookups <= LIMIT_SPF_VOID + (v->reason == SPF_R_VOID));
	must(questions <= MAX_QUESTIONS);
	must(v->reason != SPF_R_NONE);
	must((v->result == SPF_TEMPERROR) == (v->reason == SPF_R_DNS));
	must(v->reason == SPF_R_MATCH || (v->result != SPF_PASS && v->result != SPF_FAIL));
	must(v->reason != SPF_R_MATCH || v->mechanism.len > 0);
	must(v->result < SPF_TEMPERROR || v->detail.len > 0);
	must(v->explanation.len == 0 || v->result == SPF_FAIL);
	must(v->explanation.len <= LIMIT_SPF_EXPLANATION_BYTES);
	must_print(v->explanation);
	must_print(v->detail);
	must_print(v->mechanism);
}

static void
evaluate(struct arena *a, struct lookups *l, struct slice input)
{
	struct slice address, from, helo;
	struct spf_input in = { .now_s = 1700000000 };
	struct spf_verdict v, again;
	size_t at, questions, later;

	if (!slice_next(&input, '\n', &address) || !slice_next(&input, '\n', &from) ||
	    !slice_next(&input, '\n', &helo))
		return;
	(void)ip_parse(address, &in.client);
	at = slice_find_last(from, '@');
	in.local_part = slice_sub(from, 0, at == SLICE_NONE ? 0 : at);
	in.domain = slice_from(from, at == SLICE_NONE ? 0 : at + 1);
	in.helo = helo;
	spf_evaluate(a, l, &spf_defaults, &in, &v);
	(void)lookups_log(l, &questions);
	check(&v, questions);
	spf_evaluate(a, l, &spf_defaults, &in, &again);
	(void)lookups_log(l, &later);
	must(later == questions);
	must(v.result == again.result && v.reason == again.reason);
	must(v.lookups == again.lookups && v.void_lookups == again.void_lookups);
	must(slice_equal(v.explanation, again.explanation) && slice_equal(v.detail, again.detail));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct lookups_limits limits = {
		.timeout_ms = 1000, .budget_ms = 1000, .max_lookups = 2 * MAX_QUESTIONS
	};
	struct slice input = slice_of((const char *)data, size), records = input, skipped;
	struct resolver *resolver;
	struct lookups *l;
	struct arena *a;

	if (size > INPUT_BYTES)
		return 0;
	for (int i = 0; i < 3; i++)
		(void)slice_next(&records, '\n', &skipped);
	a = arena_new(ARENA_BYTES);
	resolver = open_zone(a, records);
	l = lookups_new(a, resolver, &limits);
	evaluate(a, l, input);
	lookups_fini(&l);
	resolver_free(&resolver);
	arena_free(&a);
	return 0;
}
