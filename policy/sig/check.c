/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/limits.h"
#include "policy/sig/internal.h"

#define SHOWN_BYTES 80 /* of a fault's text, part of which may be the peer's */

ENUMTAB_WORDS(sig_reason_text, enum sig_reason, SIG_REASONS)

static struct slice
say(struct arena *a, struct slice key_name, const char *what)
{
	return slice_str(
	    arena_printf(a, "%s: %s", arena_printable(a, key_name, 2 * LIMIT_DOMAIN_BYTES), what));
}

/* Is the claim's algorithm one of this type of key? */
static bool
is_for(const struct public_key *key, enum sig_algorithm algorithm)
{
	switch (algorithm) {
	case SIG_RSA_SHA256:
		return public_key_type(key) == KEY_RSA;
	case SIG_ED25519_SHA256: /* RFC 8463 5: MUST be implemented */
		return public_key_type(key) == KEY_ED25519;
	case SIG_RSA_SHA1:
	case SIG_OTHER:
		return false;
	}
	bug("sig_check: algorithm %d", (int)algorithm);
}

static void
try_key(struct arena *a, const struct crypto *c, const struct sig_key *k,
    const struct sig_claim *claim, struct sig_finding *out)
{
	uint32_t min_bits = claim->min_rsa_bits < LIMIT_DKIM_RSA_BITS_MIN ? LIMIT_DKIM_RSA_BITS_MIN
									  : claim->min_rsa_bits;
	const char *what = k->fault_text;

	*out = (struct sig_finding){ .reason = k->fault, .key_testing = k->testing };
	if (k->key != NULL) {
		out->key_bits = public_key_bits(k->key);
		if (!is_for(k->key, claim->algorithm)) {
			out->reason = SIG_KEY_MISMATCH;
			what = "tag k is not for the signature's algorithm";
		} else if (k->strict && claim->below_domain) {
			/* RFC 6376 3.6.1: t=s, "i= ... MUST NOT be a subdomain of d=" */
			out->reason = SIG_KEY_MISMATCH;
			what = "tag t=s, but i= is below d=";
		} else if (public_key_type(k->key) == KEY_RSA && out->key_bits < min_bits) {
			/* RFC 6376 3.3.3, RFC 8301 3.2 */
			out->reason = SIG_KEY_SHORT;
			what = arena_printf(
			    a, "RSA key of %u bits, at least %u", out->key_bits, min_bits);
		} else {
			out->reason = public_key_verify(c, k->key, claim->digest, claim->signature)
			    ? SIG_VERIFIED
			    : SIG_NOT_VERIFIED;
		}
	}
	if (what != NULL)
		out->detail = say(a, claim->key_name, arena_cut(a, slice_str(what), SHOWN_BYTES));
}

/* RFC 6376 6.1.2: no record is for good, no answer is for now. */
static void
no_record(struct arena *a, const struct dns_answer *answer, const struct sig_claim *claim,
    struct sig_finding *out)
{
	bool failed = answer->status == DNS_TEMPFAIL;
	const char *why = dns_reason_text(answer->reason);

	*out = (struct sig_finding){ .reason = failed ? SIG_KEY_LOOKUP : SIG_KEY_NONE };
	if (why[0] == '\0')
		why = dns_status_word(answer->status);
	out->detail = say(a, claim->key_name, why);
}

void
sig_check(struct arena *a, const struct crypto *c, struct lookups *l, const struct sig_claim *claim,
    struct sig_finding *out)
{
	const struct dns_answer *answer = lookups_ask(l, claim->key_name, DNS_TXT);
	const struct sig_keys *keys;

	if (answer->status != DNS_OK || answer->count == 0) {
		no_record(a, answer, claim, out);
		return;
	}
	keys = dns_answer_decoded(answer, &sig_keys_decoder, NULL);
	try_key(a, c, &keys->keys[0], claim, out);
	for (size_t i = 1; i < keys->count && out->reason != SIG_VERIFIED; i++) {
		struct sig_finding next;

		try_key(a, c, &keys->keys[i], claim, &next);
		if (next.reason > out->reason)
			*out = next;
	}
}

enum sig_published
sig_key_published(struct arena *a, struct lookups *l, struct slice key_name,
    const struct public_key *ours, const char **detail_r)
{
	const struct dns_answer *answer = lookups_ask(l, key_name, DNS_TXT);
	const struct sig_keys *keys;
	const char *fault = NULL;

	if (answer->status == DNS_TEMPFAIL) {
		*detail_r = "the DNS did not say whether the key is published";
		return SIG_PUBLISHED_UNKNOWN;
	}
	if (answer->status != DNS_OK || answer->count == 0) {
		*detail_r = "the key is not published";
		return SIG_PUBLISHED_NONE;
	}
	keys = dns_answer_decoded(answer, &sig_keys_decoder, NULL);
	*detail_r = "the key is published";
	for (size_t i = 0; i < keys->count; i++) {
		if (keys->keys[i].key == NULL)
			fault = keys->keys[i].fault_text;
		else if (public_key_equal(keys->keys[i].key, ours))
			return SIG_PUBLISHED;
	}
	*detail_r = fault == NULL ? "the record in the DNS is that of another key"
				  : arena_printf(a, "the record in the DNS can't be used: %s",
					arena_cut(a, slice_str(fault), SHOWN_BYTES));
	return SIG_PUBLISHED_OTHER;
}
