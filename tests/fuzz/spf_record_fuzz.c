/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The input is a TXT record. Asserted beyond survival:
 *      every span lies in the text, and a fault always has its words;
 *      a record put together anew from the terms of a good one parses to the same terms;
 *      the domain of every term of a good record expands, and what comes out fits a DNS question
 *      unless it is one label that is too long;
 *      as an explanation it expands within its limit.
 */
#include <stdint.h>
#include <stdlib.h>

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/spf/internal.h"

#define ARENA_BYTES (8u * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static struct slice
text_of(const struct spf_record *r, struct spf_span span)
{
	must((size_t)span.at + span.len <= r->text.len);
	return spf_record_text(r, span);
}

static bool
same(const struct spf_record *a, struct spf_span in_a, const struct spf_record *b,
    struct spf_span in_b)
{
	return slice_equal(text_of(a, in_a), text_of(b, in_b));
}

static void
check_again(struct arena *a, const struct spf_record *r)
{
	struct spf_record *again;
	struct strbuf b;

	strbuf_init(&b, a, 2 * LIMIT_SPF_RECORD_BYTES);
	strbuf_str(&b, "v=spf1 ");
	strbuf_add(&b, text_of(r, r->explanation.written));
	for (size_t i = 0; i < r->count; i++) {
		strbuf_char(&b, ' ');
		strbuf_add(&b, text_of(r, r->terms[i].written));
	}
	strbuf_char(&b, ' ');
	strbuf_add(&b, text_of(r, r->redirect.written));
	again = spf_record_new(strbuf_slice(&b));
	must(again->reason == SPF_R_NONE || b.len > LIMIT_SPF_RECORD_BYTES);
	if (again->reason == SPF_R_NONE) {
		must(again->count == r->count);
		must(same(r, r->redirect.argument, again, again->redirect.argument));
		must(same(r, r->explanation.argument, again, again->explanation.argument));
		for (size_t i = 0; i < r->count; i++) {
			const struct spf_term *x = &r->terms[i], *y = &again->terms[i];

			must(x->mechanism == y->mechanism && x->result == y->result);
			must(x->prefix4_bits == y->prefix4_bits);
			must(x->prefix6_bits == y->prefix6_bits);
			must(same(r, x->argument, again, y->argument));
		}
	}
	spf_record_free(&again);
}

static void
check_name(struct arena *a, const struct spf_macro_values *v, struct slice spec)
{
	struct slice name;

	if (spec.len == 0)
		return;
	must(spf_domain_spec_fault(spec) == NULL);
	name = spf_macro_name(a, v, spec);
	must(name.len <= LIMIT_DOMAIN_BYTES || slice_find(name, '.') == SLICE_NONE);
}

static void
check_names(struct arena *a, const struct spf_macro_values *v, const struct spf_record *r)
{
	check_name(a, v, text_of(r, r->redirect.argument));
	check_name(a, v, text_of(r, r->explanation.argument));
	for (size_t i = 0; i < r->count; i++) {
		enum spf_mechanism m = r->terms[i].mechanism;

		must(r->terms[i].prefix4_bits <= 32 && r->terms[i].prefix6_bits <= 128);
		if (m != SPF_IP4 && m != SPF_IP6)
			check_name(a, v, text_of(r, r->terms[i].argument));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spf_macro_values v;
	struct slice text = slice_of((const char *)data, size);
	struct arena *a;

	for (size_t i = 0; i < sizeof(v.value) / sizeof(v.value[0]); i++)
		v.value[i] = SLICE("User.+x_/y\xff@mail.-sub..example.org");
	a = arena_new(ARENA_BYTES);
	if (spf_record_version(text)) {
		struct spf_record *r = spf_record_new(text);

		must((r->reason == SPF_R_NONE) == (r->fault == NULL));
		(void)text_of(r, r->fault_term);
		if (r->reason == SPF_R_NONE) {
			check_again(a, r);
			check_names(a, &v, r);
		}
		spf_record_free(&r);
	}
	if (spf_explain_string_fault(text) == NULL)
		must(spf_macro_explanation(a, &v, text).len <= LIMIT_SPF_EXPLANATION_BYTES);
	arena_free(&a);
	return 0;
}
