/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "policy/base/limits.h"
#include "policy/dkim/internal.h"

ENUMTAB_WORDS(dkim_result_word, enum dkim_result, DKIM_RESULTS)
ENUMTAB_WORDS(dkim_change_word, enum dkim_change, DKIM_CHANGES)

const char *
dkim_reason_text(enum dkim_reason reason)
{
	switch (reason) {
#define REASON_TEXT(name, result, text, rfc, section)                                              \
	case name:                                                                                 \
		return text;
		DKIM_REASONS(REASON_TEXT)
	}
	bug("dkim_reason_text: %d", (int)reason);
}

enum dkim_result
dkim_reason_result(enum dkim_reason reason)
{
	switch (reason) {
#define REASON_RESULT(name, result, text, rfc, section)                                            \
	case name:                                                                                 \
		return result;
		DKIM_REASONS(REASON_RESULT)
	}
	bug("dkim_reason_result: %d", (int)reason);
}

static void
read_signatures(struct dkim_verifier *v, int64_t now_s)
{
	const struct header_list *header = v->header;
	size_t met = header_count(header, "DKIM-Signature");

	v->count = met < LIMIT_DKIM_FIELDS ? met : LIMIT_DKIM_FIELDS;
	v->ignored = met - v->count;
	v->signatures = arena_array(v->arena, v->count, sizeof(*v->signatures));
	for (size_t i = 0, field = 0; i < v->count; i++, field++) {
		const struct header_field *f = header_find(header, "DKIM-Signature", field);

		field = (size_t)(f - header->fields);
		v->signatures[i].verdict.field = field;
		dkim_signature_read(v->arena, f->value, v->options, now_s, &v->signatures[i]);
	}
}

struct dkim_verifier *
dkim_verifier_new(struct arena *a, const struct crypto *c, struct lookups *l,
    const struct dkim_options *options, const struct header_list *header,
    const struct slice *author_domains, size_t author_domain_count, int64_t now_s)
{
	struct dkim_verifier *v = arena_alloc(a, sizeof(*v));

	*v = (struct dkim_verifier){
		.arena = a, .crypto = c, .lookups = l, .options = options, .header = header
	};
	v->bodies = sig_bodies_new(a, c);
	read_signatures(v, now_s);
	dkim_signatures_label(a, header, v->signatures, v->count);
	dkim_signatures_choose(
	    v->signatures, v->count, options->max_signatures, author_domains, author_domain_count);
	for (size_t i = 0; i < v->count; i++) {
		struct dkim_signature *s = &v->signatures[i];

		if (!s->chosen)
			continue;
		s->body = sig_bodies_add(v->bodies, s->tags.body_canon, s->tags.length);
		lookups_prefetch(l, s->key_name, DNS_TXT);
	}
	return v;
}

static void
watch(struct dkim_verifier *v, struct dkim_signature *s)
{
	s->watched = true;
	sig_bodies_watch(v->bodies, s->body);
	for (size_t k = 0; k < DKIM_READINGS; k++) {
		enum dkim_reading_kind kind = (enum dkim_reading_kind)k;
		struct sig_bodies *bodies;

		if (!dkim_reading_applies(kind, v->header))
			continue;
		if (v->readings[k] == NULL)
			v->readings[k] = dkim_reading_new(v->arena, v->crypto, kind, v->header);
		bodies = dkim_reading_bodies(v->readings[k]);
		s->readings[k] = sig_bodies_add(bodies, s->tags.body_canon, SIG_BODY_ALL);
		sig_bodies_watch(bodies, s->readings[k]);
	}
}

void
dkim_verifier_watch(struct dkim_verifier *v, bool all)
{
	size_t watched = 0;

	for (size_t i = 0; i < v->count && watched < LIMIT_DIAGNOSED; i++) {
		struct dkim_signature *s = &v->signatures[i];

		if (!s->chosen || s->tags.length_limited || !(s->related || all) ||
		    s->tags.body_hash.len != SHA256_BYTES)
			continue;
		watch(v, s);
		watched++;
	}
}

struct sig_bodies *
dkim_verifier_bodies(struct dkim_verifier *v)
{
	return v->bodies;
}

bool
dkim_verifier_body(struct dkim_verifier *v, struct slice chunk)
{
	for (size_t k = 0; k < DKIM_READINGS; k++)
		if (v->readings[k] != NULL)
			dkim_reading_update(v->readings[k], chunk);
	return sig_bodies_update(v->bodies, chunk);
}

/* RFC 6376 6.1.3 step 3; what is wrong goes to the verdict. */
static enum dkim_reason
check_body(struct dkim_verifier *v, struct dkim_signature *s)
{
	const struct sig_tags *tags = &s->tags;
	uint64_t hashed = sig_bodies_hashed(v->bodies, s->body);
	const char *detail;

	s->verdict.body_bytes = sig_bodies_length(v->bodies, s->body);
	if (tags->length_limited && hashed < tags->length) {
		/* RFC 6376 3.5: l= MUST NOT be larger than the canonical body */
		detail = arena_printf(v->arena, "l=%llu, the canonical body has %llu bytes",
		    (unsigned long long)tags->length, (unsigned long long)hashed);
		s->verdict.detail = slice_str(detail);
		return DKIM_R_LENGTH;
	}
	if (tags->body_hash.len == SHA256_BYTES &&
	    memcmp(tags->body_hash.p, sig_bodies_digest(v->bodies, s->body), SHA256_BYTES) == 0)
		return DKIM_R_NONE;
	if (tags->body_hash.len != SHA256_BYTES)
		detail = arena_printf(v->arena, "tag bh holds %zu bytes, a SHA-256 digest has %d",
		    tags->body_hash.len, SHA256_BYTES);
	else if (tags->length_limited)
		detail = arena_printf(v->arena, "within its first %llu canonical bytes (l=)",
		    (unsigned long long)hashed);
	else
		detail = arena_printf(
		    v->arena, "of all its %llu canonical bytes", (unsigned long long)hashed);
	s->verdict.detail = slice_str(detail);
	return DKIM_R_BODY_HASH;
}

static enum dkim_reason
reason_of(enum sig_reason reason)
{
	switch (reason) {
	case SIG_KEY_LOOKUP:
		return DKIM_R_KEY_LOOKUP;
	case SIG_KEY_NONE:
		return DKIM_R_NO_KEY;
	case SIG_KEY_SYNTAX:
		return DKIM_R_KEY_SYNTAX;
	case SIG_KEY_MISMATCH:
		return DKIM_R_KEY_MISMATCH;
	case SIG_KEY_SHORT:
		return DKIM_R_KEY_SHORT;
	case SIG_KEY_REVOKED:
		return DKIM_R_KEY_REVOKED;
	case SIG_NOT_VERIFIED:
		return DKIM_R_SIGNATURE;
	case SIG_VERIFIED:
		return DKIM_R_NONE;
	}
	bug("dkim: reason %d", (int)reason);
}

const size_t *
dkim_select_fields(struct dkim_verifier *v, const struct dkim_signature *s)
{
	if (v->fields == NULL)
		v->fields = sig_fields_new(v->arena, v->header);
	return sig_fields_select(v->fields, s->tags.names, s->tags.name_count, s->verdict.field);
}

void
dkim_check_fields(struct dkim_verifier *v, const struct dkim_signature *s,
    const struct header_list *header, const size_t *selected, struct sig_finding *finding)
{
	const struct sig_tags *tags = &s->tags;
	uint8_t digest[SHA256_BYTES];
	const struct sig_claim claim = {
		.key_name = s->key_name,
		.algorithm = tags->algorithm,
		.signature = tags->signature,
		.digest = digest,
		.below_domain = s->below_domain,
		.min_rsa_bits = v->options->min_rsa_bits,
	};

	if (v->digest == NULL) {
		v->digest = digest_new(v->crypto);
		sig_header_init(&v->hasher, v->arena, v->digest, tags->header_canon);
	}
	v->hasher.canon = tags->header_canon;
	sig_header_digest(&v->hasher, header, selected, tags->name_count, s->verdict.field, digest);
	sig_check(v->arena, v->crypto, v->lookups, &claim, finding);
}

/* RFC 6376 6.1.2 and the rest of 6.1.3. */
static enum dkim_reason
check_header(struct dkim_verifier *v, struct dkim_signature *s)
{
	struct sig_finding finding;

	dkim_check_fields(v, s, v->header, dkim_select_fields(v, s), &finding);
	s->verdict.key_bits = finding.key_bits;
	s->verdict.key_testing = finding.key_testing;
	s->verdict.detail = finding.detail;
	if (finding.reason == SIG_NOT_VERIFIED)
		s->verdict.detail = dkim_changed_field(v->arena, s->tags.copied, v->header);
	return reason_of(finding.reason);
}

void
dkim_verifier_finish(struct dkim_verifier *v, struct dkim_verdict *out)
{
	*out = (struct dkim_verdict){ .count = v->count, .ignored = v->ignored };
	out->signatures = arena_array(v->arena, v->count, sizeof(*out->signatures));
	sig_bodies_end(v->bodies);
	for (size_t i = 0; i < v->count; i++) {
		struct dkim_signature *s = &v->signatures[i];

		/* The body first: one that doesn't match can't be saved by any key, so that no
		 * trouble with the DNS may speak for it. */
		if (s->chosen)
			s->verdict.reason = check_body(v, s);
		if (s->chosen && s->verdict.reason == DKIM_R_NONE)
			s->verdict.reason = check_header(v, s);
		s->verdict.result = dkim_reason_result(s->verdict.reason);
		out->signatures[i] = s->verdict;
	}
}

void
dkim_verifier_fini(struct dkim_verifier **v)
{
	if (*v == NULL)
		return;
	for (size_t k = 0; k < DKIM_READINGS; k++)
		dkim_reading_fini(&(*v)->readings[k]);
	sig_bodies_fini(&(*v)->bodies);
	digest_free(&(*v)->digest);
	*v = NULL;
}
