/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/sig/internal.h"
#include "policy/syntax/base64.h"

#define SCRATCH_BYTES (4 * LIMIT_DNS_RDATA_BYTES)

/* The record as its tags say it, before anything is made of it. */
struct key_record {
	bool sha256;
	bool email;
	bool known_type;
	enum key_type type;
	bool testing, strict;
	bool revoked;
	struct slice key; /* p=, decoded */
};

static bool
list_has(struct slice list, const char *want)
{
	struct slice item;

	while (slice_next(&list, ':', &item))
		if (slice_equal(slice_trim(item), slice_str(want)))
			return true;
	return false;
}

/* RFC 6376 3.6.1: "v= ... records beginning with a v= tag with any other value MUST be discarded".
 */
static int
tag_v(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	(void)a;
	(void)obj;
	*why_r = "is not DKIM1";
	return slice_equal(value, SLICE("DKIM1")) ? 0 : -1;
}

/* RFC 6376 3.6.1: acceptable hash algorithms; those we don't know are ignored. */
static int
tag_h(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	(void)a;
	(void)why_r;
	((struct key_record *)obj)->sha256 = list_has(value, "sha256");
	return 0;
}

static int
tag_k(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct key_record *r = obj;

	(void)a;
	(void)why_r;
	r->known_type = true;
	if (slice_equal(value, SLICE("rsa")))
		r->type = KEY_RSA;
	else if (slice_equal(value, SLICE("ed25519"))) /* RFC 8463 4.2 */
		r->type = KEY_ED25519;
	else
		r->known_type = false;
	return 0;
}

/* RFC 6376 3.6.1: "An empty value means that this public key has been revoked." */
static int
tag_p(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct key_record *r = obj;

	r->revoked = value.len == 0;
	*why_r = "is not base64";
	return r->revoked ? 0 : base64_decode(a, value, &r->key);
}

/* RFC 6376 3.6.1: service types; "*" is all, "email" is ours. */
static int
tag_s(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	(void)a;
	(void)why_r;
	((struct key_record *)obj)->email = list_has(value, "*") || list_has(value, "email");
	return 0;
}

static int
tag_t(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct key_record *r = obj;

	(void)a;
	(void)why_r;
	r->testing = list_has(value, "y");
	r->strict = list_has(value, "s");
	return 0;
}

static int
tag_n(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	(void)a;
	(void)value;
	(void)obj;
	(void)why_r;
	return 0; /* RFC 6376 3.6.1: notes for administrators, not interpreted */
}

static const struct tag_rule rules[] = {
	/* RFC 6376 3.6.1; without g=, which MUST be ignored (RFC 6376 C.2) */
	{ "v", tag_v, TAG_FIRST, NULL },
	{ "h", tag_h, 0, "sha256" },
	{ "k", tag_k, 0, "rsa" },
	{ "n", tag_n, 0, NULL },
	{ "p", tag_p, TAG_REQUIRED, NULL },
	{ "s", tag_s, 0, "*" },
	{ "t", tag_t, 0, NULL },
};
static const struct taglist_grammar grammar = {
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
};

static struct sig_key
faulty(enum sig_reason fault, const char *text)
{
	return (struct sig_key){ .fault = fault, .fault_text = heap_copy(text) };
}

/* What is against using this record, if anything. */
static struct sig_key
judge(const struct key_record *r)
{
	struct sig_key k = { .fault = SIG_VERIFIED };

	if (r->revoked)
		return faulty(SIG_KEY_REVOKED, "tag p is empty");
	if (!r->known_type)
		return faulty(SIG_KEY_MISMATCH, "tag k names an unknown key type");
	if (!r->sha256)
		return faulty(SIG_KEY_MISMATCH, "tag h does not allow sha256");
	if (!r->email)
		return faulty(SIG_KEY_MISMATCH, "tag s is not for email");
	k.key = public_key_new(r->type, r->key);
	if (k.key != NULL)
		return k;
	switch (r->type) {
	case KEY_RSA:
		return faulty(SIG_KEY_SYNTAX, "tag p holds no RSA key that can be used");
	case KEY_ED25519:
		return faulty(SIG_KEY_SYNTAX, "tag p is not the 32 bytes of an Ed25519 key");
	}
	bug("sig_key: type %d", (int)r->type);
}

struct sig_key
sig_key_parse(struct arena *scratch, struct slice record)
{
	struct key_record r = { 0 };
	const char *error = "";
	struct sig_key k;

	if (taglist_parse(scratch, record, &grammar, &r, &error) != 0)
		return faulty(SIG_KEY_SYNTAX, error);
	k = judge(&r);
	k.testing = r.testing;
	k.strict = r.strict;
	return k;
}

void
sig_key_fini(struct sig_key *k)
{
	public_key_free(&k->key);
	free((void *)(uintptr_t)k->fault_text);
	k->fault_text = NULL;
}

static void *
decode_keys(const struct dns_answer *answer, void *ctx)
{
	struct arena *scratch = arena_new(SCRATCH_BYTES);
	size_t count = answer->count;
	struct sig_keys *keys;

	(void)ctx;
	if (count > LIMIT_DKIM_KEY_RECORDS)
		count = LIMIT_DKIM_KEY_RECORDS;
	keys = heap_alloc(1, sizeof(*keys) + count * sizeof(keys->keys[0]));
	keys->count = count;
	for (size_t i = 0; i < count; i++) {
		keys->keys[i] = sig_key_parse(scratch, answer->records[i].text);
		arena_reset(scratch);
	}
	arena_free(&scratch);
	return keys;
}

static void
free_keys(void *object)
{
	struct sig_keys *keys = object;

	for (size_t i = 0; i < keys->count; i++)
		sig_key_fini(&keys->keys[i]);
	free(keys);
}

const struct dns_decoder sig_keys_decoder = {
	.name = "dkim key",
	.decode = decode_keys,
	.free = free_keys,
};

struct slice
sig_key_write(struct arena *a, enum key_type type, struct slice public)
{
	struct slice p = base64_encode(a, public);
	struct strbuf b;

	strbuf_init(&b, a, LIMIT_DNS_RDATA_BYTES);
	strbuf_printf(&b, "v=DKIM1; k=%s; p=", type == KEY_RSA ? "rsa" : "ed25519");
	strbuf_add(&b, p);
	return strbuf_slice(&b);
}

struct slice
sig_key_name(struct arena *a, struct slice selector, struct slice domain)
{
	struct strbuf b;

	strbuf_init(&b, a, 2 * LIMIT_DOMAIN_BYTES + sizeof("._domainkey."));
	strbuf_add(&b, selector);
	strbuf_str(&b, "._domainkey."); /* RFC 6376 3.1, 3.6.2.1 */
	strbuf_add(&b, domain);
	return strbuf_slice(&b);
}
