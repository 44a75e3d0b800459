/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "policy/base/bug.h"
#include "policy/crypto/private_key.h"

#define RING_START 4

struct key_ring {
	const struct crypto *crypto;
	struct private_key **keys;
	uint32_t count, size;
};

struct key_ring *
key_ring_new(const struct crypto *c)
{
	struct key_ring *r = heap_alloc(1, sizeof(*r));

	r->crypto = c;
	return r;
}

void
key_ring_free(struct key_ring **rp)
{
	struct key_ring *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	for (uint32_t i = 0; i < r->count; i++)
		private_key_free(&r->keys[i]);
	free(r->keys);
	free(r);
}

uint32_t
key_ring_add(struct key_ring *r, struct private_key *k)
{
	if (r->count == r->size) {
		uint32_t size = r->size == 0 ? RING_START : 2 * r->size;
		struct private_key **keys = heap_alloc(size, sizeof(struct private_key *));

		for (uint32_t i = 0; i < r->count; i++)
			keys[i] = r->keys[i];
		free(r->keys);
		r->keys = keys;
		r->size = size;
	}
	r->keys[r->count] = k;
	return r->count++;
}

static int
ring_sign(void *ctx, uint32_t key, const uint8_t digest[SHA256_BYTES], struct signature *out,
    const char **error_r)
{
	const struct key_ring *r = ctx;

	if (key >= r->count) {
		*error_r = "no key of that number";
		return -1;
	}
	if (private_key_sign(r->crypto, r->keys[key], digest, out) != 0) {
		*error_r = "OpenSSL failed to sign";
		return -1;
	}
	return 0;
}

struct key_holder
key_ring_holder(const struct key_ring *r)
{
	return (struct key_holder){ .sign = ring_sign, .ctx = (void *)(uintptr_t)r };
}
