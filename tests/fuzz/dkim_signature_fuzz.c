/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DKIM-Signature parser and its rules (RFC 6376 8.9), header selection included. Asserts that a
 * signature which may be verified keeps all of RFC 6376 6.1.1: a domain in normal form that covers
 * i=, From in h=, an acceptable algorithm, times in order; and that header_b is a prefix of b=.
 */
#include <stdint.h>

#include "policy/base/bug.h"
#include "policy/base/limits.h"
#include "policy/dkim/internal.h"
#include "policy/syntax/domain.h"

#define NOW_S 1000000

static void
check_usable(struct arena *a, const struct dkim_signature *s)
{
	const struct sig_tags *t = &s->tags;
	struct slice again;
	const char *why;

	if (domain_normalize(a, t->domain, &again, &why) != 0 || !slice_equal(again, t->domain))
		bug("d= is not in normal form");
	if (!sig_signs(t, "from") || t->name_count > LIMIT_DKIM_SIGNED_FIELDS)
		bug("h= lacks From, or is too long");
	if (t->algorithm != SIG_RSA_SHA256 && t->algorithm != SIG_ED25519_SHA256)
		bug("algorithm");
	if (t->has_expires_at &&
	    (t->expires_at < NOW_S || (t->has_signed_at && t->expires_at <= t->signed_at)))
		bug("times");
	if (t->signature.len == 0 || t->body_hash.len == 0 || s->key_name.len == 0)
		bug("something is missing");
	if (!slice_equal(s->verdict.domain, t->domain))
		bug("another domain is shown than is verified");
}

static void
check_selection(struct arena *a, const struct header_list *header, const struct dkim_signature *s)
{
	struct sig_fields *f = sig_fields_new(a, header);
	const size_t *selected = sig_fields_select(
	    f, s->tags.names, s->tags.name_count, s->verdict.field);

	for (size_t i = 0; i < s->tags.name_count; i++) {
		if (selected[i] == SIG_NO_FIELD)
			continue;
		if (selected[i] >= header->count || selected[i] == s->verdict.field)
			bug("selected what is not there, or the signature itself");
		for (size_t j = 0; j < i; j++)
			if (selected[j] == selected[i])
				bug("field %zu was taken twice", selected[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dkim_options options = {
		.min_rsa_bits = 1024, .max_signatures = 8, .clock_skew_s = 300
	};
	struct arena *a = arena_new(64u * 1024 * 1024);
	struct header_list header = { 0 };
	struct dkim_signature s = { 0 };
	struct slice b;

	header_list_add(&header, a, SLICE("From"), SLICE(" a@a.example"));
	header_list_add(&header, a, SLICE("DKIM-Signature"), slice_of((const char *)data, size));
	header_list_add(&header, a, SLICE("from"), SLICE(" a@a.example"));
	header_list_add(&header, a, SLICE("Subject"), SLICE(" x"));
	s.verdict.field = 1;
	dkim_signature_read(a, header.fields[1].value, &options, NOW_S, &s);
	dkim_signatures_label(a, &header, &s, 1);
	b = sig_squeeze(a, sig_raw_tag(header.fields[1].value, "b"));
	if (!slice_starts(b, s.verdict.header_b))
		bug("header_b is not the start of b=");
	if (s.verdict.reason == DKIM_R_NONE) {
		check_usable(a, &s);
		check_selection(a, &header, &s);
	}
	(void)dkim_changed_field(a, s.tags.copied, &header);
	arena_free(&a);
	return 0;
}
