/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message that was signed and then changed. The first byte says how the body is cut into pieces,
 * the second in which tenth of the body the signed part ends; the rest is the message that arrives,
 * a header that is signed and a body. Asserts that cutting makes no difference, that without a key
 * nothing is complete, and that what stands behind the signed part is found as a footer.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/base/bug.h"
#include "policy/dkim/dkim.h"
#include "policy/sig/sig.h"
#include "policy/syntax/base64.h"
#include "policy/syntax/message.h"

#define FOOTER_BYTES 3000 /* no more lines than are searched */

static const struct dkim_options options = {
	.min_rsa_bits = 1024, .max_signatures = 8, .clock_skew_s = 300
};

struct mail {
	struct arena *arena;
	struct header_list header;
	struct strbuf body;
};

static void
on_field(void *ctx, struct slice name, struct slice value)
{
	struct mail *m = ctx;

	header_list_add(&m->header, m->arena, name, value);
}

static void
on_end_of_header(void *ctx)
{
	(void)ctx;
}

static void
on_body(void *ctx, struct slice chunk)
{
	strbuf_add(&((struct mail *)ctx)->body, chunk);
}

static struct slice
body_hash(struct arena *a, const struct crypto *c, struct slice body)
{
	struct sig_bodies *b = sig_bodies_new(a, c);
	size_t number = sig_bodies_add(b, SIG_SIMPLE, SIG_BODY_ALL);
	struct slice hash;

	(void)sig_bodies_update(b, body);
	sig_bodies_end(b);
	hash = base64_encode(a, slice_of((const char *)sig_bodies_digest(b, number), SHA256_BYTES));
	sig_bodies_fini(&b);
	return hash;
}

static struct dkim_diagnosis
diagnose(struct mail *m, const struct crypto *c, struct lookups *l, size_t piece)
{
	struct slice body = strbuf_slice(&m->body);
	struct dkim_verdict verdict;
	struct dkim_verifier *v = dkim_verifier_new(
	    m->arena, c, l, &options, &m->header, NULL, 0, 1000000);

	dkim_verifier_watch(v, true);
	for (size_t i = 0; i < body.len; i += piece)
		(void)dkim_verifier_body(v, slice_sub(body, i, piece));
	dkim_verifier_finish(v, &verdict);
	dkim_verifier_diagnose(v, &verdict);
	dkim_verifier_fini(&v);
	for (size_t i = 0; i < verdict.count; i++)
		if (verdict.signatures[i].result == DKIM_PASS ||
		    verdict.signatures[i].diagnosis.complete)
			bug("a signature verifies without a key");
	return verdict.signatures[0].diagnosis;
}

/* Behind the last whole line, not empty, in the first tenths of the body; 0: there is none. */
static size_t
signed_part(struct slice body, unsigned tenths)
{
	for (size_t n = body.len * tenths / 10; n > 2; n--)
		if (body.p[n - 1] == '\n' && body.p[n - 2] == '\r' && body.p[n - 3] != '\n')
			return n;
	return 0;
}

static void
check(struct mail *m, const struct crypto *c, unsigned tenths, size_t piece)
{
	const struct lookups_limits limits = {
		.timeout_ms = 1000, .budget_ms = 1000, .max_lookups = 100
	};
	const char *error = "?";
	struct dns_backend *zone = dns_zone_new(m->arena, SLICE(""), &error);
	struct resolver *r = resolver_new(zone, NULL);
	struct lookups *l = lookups_new(m->arena, r, &limits);
	struct slice body = strbuf_slice(&m->body), hash;
	size_t end = signed_part(body, tenths);
	struct dkim_diagnosis whole, pieces;

	hash = body_hash(m->arena, c, slice_sub(body, 0, end));
	m->header.fields[0].value = slice_str(arena_printf(m->arena,
	    " v=1; a=rsa-sha256; d=a.example; s=s; b=AAAA; bh=%s; h=From:Subject:Reply-To:"
	    "Content-Type:Content-Transfer-Encoding",
	    hash.p));
	whole = diagnose(m, c, l, body.len + 1);
	pieces = diagnose(m, c, l, piece);
	if (!slice_equal(whole.text, pieces.text) || whole.changes != pieces.changes)
		bug("pieces make a difference");
	if (end > 0 && body.len - end < FOOTER_BYTES && whole.text.len == 0 &&
	    !slice_equal(body_hash(m->arena, c, body), hash))
		bug("a footer was not found");
	lookups_fini(&l);
	resolver_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mail m = { .arena = arena_new(64u * 1024 * 1024) };
	const struct message_handler handler = { on_field, on_end_of_header, on_body, &m };
	const char *error = "?";
	struct crypto *c = crypto_new(m.arena, &error);
	struct message_reader reader;

	strbuf_init(&m.body, m.arena, 2 * size + 2);
	header_list_add(&m.header, m.arena, SLICE("DKIM-Signature"), SLICE(""));
	message_reader_init(&reader, m.arena, &handler);
	if (size > 2 &&
	    message_reader_feed(&reader, slice_of((const char *)data + 2, size - 2)) == 0 &&
	    message_reader_end(&reader) == 0)
		check(&m, c, data[1] % 11, 1 + data[0] % 9u);
	crypto_free(&c);
	arena_free(&m.arena);
	return 0;
}
