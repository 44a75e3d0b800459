/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sign then verify passes: any message that can be signed, in the forms that the first byte says,
 * verifies with what was put before it. The fields that are put there have no line over 998 bytes.
 */
#include <stdint.h>

#include "policy/base/bug.h"
#include "policy/crypto/private_key.h"
#include "policy/dkim/dkim.h"
#include "policy/dkim/sign.h"
#include "policy/dns/dns.h"
#include "policy/syntax/base64.h"
#include "policy/syntax/message.h"

#define NOW_S 1790000000

static struct {
	struct arena *arena;
	struct crypto *crypto;
	struct key_ring *ring;
	struct resolver *resolver;
} once;

static void
set_up(void)
{
	struct arena *a = once.arena = arena_new(1024 * 1024);
	struct private_key *k = private_key_generate(KEY_ED25519, 0);
	const char *error = "?";
	struct slice record = sig_key_write(a, KEY_ED25519, private_key_public(a, k));
	const char *zone = arena_printf(
	    a, "s._domainkey.a.example TXT 300 \"%.*s\"\n", SLICE_ARG(record));

	once.crypto = crypto_new(a, &error);
	once.ring = key_ring_new(once.crypto);
	(void)key_ring_add(once.ring, k);
	once.resolver = resolver_new(dns_zone_new(a, slice_str(zone), &error), NULL);
}

struct reading {
	struct arena *arena;
	struct header_list header;
	struct dkim_verifier *verifier;
	struct lookups *lookups;
};

static void
on_field(void *ctx, struct slice name, struct slice value)
{
	struct reading *r = ctx;

	header_list_add(&r->header, r->arena, name, value);
}

static void
on_end_of_header(void *ctx)
{
	static const struct dkim_options options = { 1024, 8, 300 };
	struct reading *r = ctx;

	r->verifier = dkim_verifier_new(
	    r->arena, once.crypto, r->lookups, &options, &r->header, NULL, 0, NOW_S);
}

static void
on_body(void *ctx, struct slice chunk)
{
	(void)dkim_verifier_body(((struct reading *)ctx)->verifier, chunk);
}

static void
verify(struct arena *a, struct slice fields, struct slice message)
{
	const struct lookups_limits limits = { 1000, 1000, 100 };
	struct reading r = { .arena = a, .lookups = lookups_new(a, once.resolver, &limits) };
	const struct message_handler handler = { on_field, on_end_of_header, on_body, &r };
	struct message_reader reader;
	struct dkim_verdict v;

	message_reader_init(&reader, a, &handler);
	if (message_reader_feed(&reader, fields) != 0 ||
	    message_reader_feed(&reader, message) != 0 || message_reader_end(&reader) != 0)
		bug("signed, and can't be read: %s", reader.error);
	dkim_verifier_finish(r.verifier, &v);
	if (v.count == 0 || v.signatures[0].result != DKIM_PASS)
		bug("signed, and does not verify: %s",
		    v.count == 0 ? "no signature" : dkim_reason_text(v.signatures[0].reason));
	dkim_verifier_fini(&r.verifier);
	lookups_fini(&r.lookups);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sig_signing_key key = { SLICE("a.example"), SLICE("s"), KEY_ED25519, 0 };
	struct slice message = slice_of((const char *)data + 1, size - 1), fields, rest, line;
	struct dkim_sign_options options = dkim_sign_default;
	struct arena *a;
	struct key_holder holder;
	const char *error;

	if (size == 0 || (size > 5 && slice_starts(message, SLICE("From "))))
		return 0; /* a mailbox's line would come behind what is put before it */
	if (once.crypto == NULL)
		set_up();
	a = arena_new(64u * 1024 * 1024);
	holder = key_ring_holder(once.ring);
	options.header_canon = (data[0] & 1) != 0 ? SIG_RELAXED : SIG_SIMPLE;
	options.body_canon = (data[0] & 2) != 0 ? SIG_RELAXED : SIG_SIMPLE;
	if (dkim_sign_message(a,
		&(struct dkim_sign_job){ once.crypto, &holder, &options, &key, 1, NOW_S }, message,
		&fields, &error) == 0) {
		rest = fields;
		while (slice_next(&rest, '\n', &line))
			if (line.len > 998)
				bug("a line of %zu bytes", line.len);
		verify(a, fields, message);
	}
	arena_free(&a);
	return 0;
}
