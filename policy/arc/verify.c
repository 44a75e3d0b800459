/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "policy/arc/internal.h"

#define DETAIL_SHOWN 120

struct arc_verifier {
	struct arena *arena;
	const struct crypto *crypto;
	struct lookups *lookups;
	const struct arc_options *options;
	const struct header_list *header;
	int64_t now_s;
	struct arc_chain chain;
	const char *fault; /* NULL, or why the chain fails already */
	bool any_field;	   /* there is a chain, or what is left of one */
	struct sig_bodies *bodies;
	bool bodies_shared; /* another verifier's */
	struct sig_fields *fields;
	struct digest *digest;	  /* of one header after the other */
	struct sig_header hasher; /* around it; keeps its room: a chain has a hundred signatures */
};

ENUMTAB_WORDS(arc_result_word, enum arc_result, ARC_RESULTS)

static bool
has_arc_field(const struct header_list *header)
{
	return header_find(header, "ARC-Seal", 0) != NULL ||
	    header_find(header, "ARC-Message-Signature", 0) != NULL ||
	    header_find(header, "ARC-Authentication-Results", 0) != NULL;
}

struct arc_verifier *
arc_verifier_new(struct arena *a, const struct crypto *c, struct lookups *l,
    const struct arc_options *options, const struct header_list *header, int64_t now_s,
    struct sig_bodies *bodies)
{
	struct arc_verifier *v = arena_alloc(a, sizeof(*v));

	v->arena = a;
	v->crypto = c;
	v->lookups = l;
	v->options = options;
	v->header = header;
	v->now_s = now_s;
	v->any_field = has_arc_field(header);
	if (!v->any_field || arc_chain_read(a, header, &v->chain, &v->fault) != 0)
		return v;
	v->bodies_shared = bodies != NULL;
	v->bodies = bodies != NULL ? bodies : sig_bodies_new(a, c);
	v->fields = sig_fields_new(a, header);
	for (uint32_t i = v->chain.count; i > 0; i--) {
		struct arc_set *set = &v->chain.sets[i - 1];
		struct sig_tags *tags = &set->message->tags;

		/* A chain of slow names must not fill the resolver; most chains are shorter than
		 * this. */
		bool ahead = v->chain.count - i < LIMIT_ARC_PREFETCH;

		if (ahead)
			lookups_prefetch(l, set->seal->key_name, DNS_TXT);
		/* Each l= is a digest of its own. Only the newest AMS decides; an older one with l=
		 * is not looked at, so that fifty of them can't make us read the body fifty times.
		 */
		if (i < v->chain.count && tags->length_limited)
			continue;
		if (ahead)
			lookups_prefetch(l, set->message->key_name, DNS_TXT);
		set->message->body = sig_bodies_add(v->bodies, tags->body_canon, tags->length);
		if (!set->message->canon_given)
			set->message->body_relaxed = sig_bodies_add(
			    v->bodies, SIG_RELAXED, tags->length);
	}
	return v;
}

bool
arc_verifier_body(struct arc_verifier *v, struct slice chunk)
{
	return v->bodies != NULL && !v->bodies_shared && sig_bodies_update(v->bodies, chunk);
}

/* NULL when it verifies, else why not. */
static const char *
check_signature(
    struct arc_verifier *v, const struct arc_signature *s, const uint8_t digest[SHA256_BYTES])
{
	const struct sig_claim claim = {
		.key_name = s->key_name,
		.algorithm = s->tags.algorithm,
		.signature = s->tags.signature,
		.digest = digest,
		.min_rsa_bits = v->options->min_rsa_bits,
	};
	struct sig_finding finding;

	sig_check(v->arena, v->crypto, v->lookups, &claim, &finding);
	if (finding.reason == SIG_VERIFIED)
		return NULL;
	if (finding.detail.len == 0)
		return sig_reason_text(finding.reason);
	return arena_printf(v->arena, "%s (%s)", sig_reason_text(finding.reason),
	    arena_cut(v->arena, finding.detail, DETAIL_SHOWN));
}

/* RFC 6376 6.1.3 in one canonical form. */
static const char *
check_form(struct arc_verifier *v, const struct arc_signature *s, enum sig_canon canon, size_t body)
{
	const struct sig_tags *tags = &s->tags;
	uint8_t digest[SHA256_BYTES];
	const size_t *selected;

	if (tags->length_limited && sig_bodies_hashed(v->bodies, body) < tags->length)
		return "l= is more than the body has";
	if (tags->body_hash.len != SHA256_BYTES ||
	    memcmp(tags->body_hash.p, sig_bodies_digest(v->bodies, body), SHA256_BYTES) != 0)
		return "body hash did not verify";
	selected = sig_fields_select(v->fields, tags->names, tags->name_count, s->field);
	v->hasher.canon = canon;
	sig_header_digest(&v->hasher, v->header, selected, tags->name_count, s->field, digest);
	return check_signature(v, s, digest);
}

/*
 * RFC 8617 5.2 step 4: as a DKIM signature.
 * DIFFERS: without c= the form is simple/simple (RFC 6376 3.5), but sealers in the field, and the
 * public suite, take it as relaxed/relaxed: such a signature may verify in either form.
 */
static const char *
check_message_signature(struct arc_verifier *v, const struct arc_signature *s)
{
	const struct sig_tags *tags = &s->tags;
	const char *why;

	if (tags->has_expires_at && tags->expires_at < v->now_s)
		return "expired";
	if (tags->has_signed_at && tags->signed_at - (int64_t)v->options->clock_skew_s > v->now_s)
		return "signed in the future";
	why = check_form(v, s, tags->header_canon, s->body);
	if (why != NULL && !s->canon_given)
		why = check_form(v, s, SIG_RELAXED, s->body_relaxed);
	return why;
}

/* RFC 8617 5.1.1: all sets up to this one, oldest first, each as AAR, AMS, AS; always relaxed. */
static const char *
check_seal(struct arc_verifier *v, uint32_t instance)
{
	const struct arc_signature *seal = v->chain.sets[instance - 1].seal;
	uint8_t digest[SHA256_BYTES];

	v->hasher.canon = SIG_RELAXED;
	for (uint32_t i = 1; i <= instance; i++) {
		const struct arc_set *set = &v->chain.sets[i - 1];

		sig_header_add(&v->hasher, &v->header->fields[set->results]);
		sig_header_add(&v->hasher, &v->header->fields[set->message->field]);
		if (i < instance)
			sig_header_add(&v->hasher, &v->header->fields[set->seal->field]);
	}
	sig_header_end(&v->hasher, &v->header->fields[seal->field], digest);
	return check_signature(v, seal, digest);
}

/* RFC 8617 5.2 step 5: 0 when all verify, else one above the newest that does not. */
static int
find_oldest_pass(struct arc_verifier *v)
{
	for (uint32_t i = v->chain.count - 1; i > 0; i--) {
		const struct arc_signature *s = v->chain.sets[i - 1].message;

		if (s->tags.length_limited || check_message_signature(v, s) != NULL)
			return (int)i + 1;
	}
	return 0;
}

/* Steps 4 and 6. NULL when the chain passes. */
static const char *
check_chain(struct arc_verifier *v)
{
	const char *why = check_message_signature(v, v->chain.sets[v->chain.count - 1].message);

	if (why != NULL)
		return arena_printf(v->arena, "ARC-Message-Signature %u: %s", v->chain.count, why);
	for (uint32_t i = v->chain.count; i > 0; i--) {
		why = check_seal(v, i);
		if (why != NULL)
			return arena_printf(v->arena, "ARC-Seal %u: %s", i, why);
	}
	return NULL;
}

/* What the chain says, for those who trust its sealers. */
static void
show_seals(struct arc_verifier *v, struct arc_verdict *out)
{
	const struct sig_tags *newest = &v->chain.sets[v->chain.count - 1].message->tags;
	struct arc_seal *seals = arena_array(v->arena, v->chain.count, sizeof(*seals));

	for (uint32_t i = 0; i < v->chain.count; i++) {
		const struct arc_set *set = &v->chain.sets[i];

		seals[i].domain = set->seal->tags.domain;
		seals[i].selector = set->seal->tags.selector;
		seals[i].results = v->header->fields[set->results].value;
	}
	out->seals = seals;
	out->covers_author = sig_signs(newest, "From") && !newest->length_limited;
}

void
arc_verifier_finish(struct arc_verifier *v, struct arc_verdict *out)
{
	*out = (struct arc_verdict){ .result = ARC_NONE, .oldest_pass = -1 };
	if (!v->any_field)
		return;
	out->instances = v->chain.count;
	if (v->fault == NULL) {
		const struct arc_signature *seal = v->chain.sets[v->chain.count - 1].seal;

		out->domain = seal->tags.domain;
		out->selector = seal->tags.selector;
		v->digest = digest_new(v->crypto);
		sig_header_init(&v->hasher, v->arena, v->digest, SIG_RELAXED);
		if (!v->bodies_shared)
			sig_bodies_end(v->bodies);
		v->fault = check_chain(v);
	}
	/* RFC 8617 5.2.1: whatever went wrong, DNS included, is permanent. */
	out->result = v->fault == NULL ? ARC_PASS : ARC_FAIL;
	if (v->fault != NULL) {
		out->reason = slice_str(v->fault);
		return;
	}
	out->oldest_pass = find_oldest_pass(v);
	show_seals(v, out);
}

void
arc_verifier_fini(struct arc_verifier **v)
{
	if (*v == NULL)
		return;
	if (!(*v)->bodies_shared)
		sig_bodies_fini(&(*v)->bodies);
	digest_free(&(*v)->digest);
	*v = NULL;
}
