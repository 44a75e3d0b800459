/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/sig/sig.h"
#include "policy/sig/tail.h"

#define CANONS	     2
#define WISHES_START 8

struct wish {
	enum sig_canon canon;
	uint64_t limit;
	uint64_t hashed;
	struct digest *digest;
	struct sig_tail *tail; /* NULL: nobody asks what was added */
	uint8_t result[SHA256_BYTES];
};

/* One form of the body; only what some signature wants is made. */
struct form {
	struct sig_bodies *owner;
	struct sig_canon_body canon;
	uint64_t length;
	bool wanted;
};

/*
 * Two digests of the whole body, one for each form, are a common pair (relaxed/relaxed of the
 * author, relaxed/simple of a service), and most bodies have no blank that relaxed would change for
 * long, attachments none at all. Until one comes only the relaxed form is made, and stands for
 * both.
 */
enum pairing { PAIR_UNKNOWN, PAIR_TOGETHER, PAIR_APART };

struct sig_bodies {
	struct arena *arena;
	const struct crypto *crypto;
	struct form forms[CANONS];
	struct wish *wishes;
	size_t count, size;
	enum pairing pair;
};

/* Cut the run at each digest's own l= (PITFALLS 19: one digest's end is not another's). */
static void
take_run(void *ctx, const char *bytes, size_t len)
{
	struct form *form = ctx;
	struct sig_bodies *b = form->owner;

	form->length += len;
	for (size_t i = 0; i < b->count; i++) {
		struct wish *w = &b->wishes[i];
		uint64_t room = w->limit - w->hashed;

		if (&b->forms[w->canon] != form)
			continue;
		if (room > len)
			room = len;
		if (w->tail != NULL)
			sig_tail_update(w->tail, bytes, (size_t)room);
		else
			digest_update(w->digest, bytes, (size_t)room);
		w->hashed += room;
	}
}

struct sig_bodies *
sig_bodies_new(struct arena *a, const struct crypto *c)
{
	struct sig_bodies *b = arena_alloc(a, sizeof(*b));

	b->arena = a;
	b->crypto = c;
	for (size_t i = 0; i < CANONS; i++) {
		b->forms[i].owner = b;
		sig_canon_body_init(&b->forms[i].canon, (enum sig_canon)i, take_run, &b->forms[i]);
	}
	return b;
}

void
sig_bodies_fini(struct sig_bodies **b)
{
	if (*b == NULL)
		return;
	for (size_t i = 0; i < (*b)->count; i++) {
		sig_tail_fini(&(*b)->wishes[i].tail);
		digest_free(&(*b)->wishes[i].digest);
	}
	*b = NULL;
}

size_t
sig_bodies_add(struct sig_bodies *b, enum sig_canon canon, uint64_t limit)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->wishes[i].canon == canon && b->wishes[i].limit == limit)
			return i;
	if (b->count == b->size) {
		size_t size = b->size == 0 ? WISHES_START : 2 * b->size;
		struct wish *grown = arena_array(b->arena, size, sizeof(*grown));

		for (size_t i = 0; i < b->count; i++)
			grown[i] = b->wishes[i];
		b->wishes = grown;
		b->size = size;
	}
	b->wishes[b->count] = (struct wish){
		.canon = canon, .limit = limit, .digest = digest_new(b->crypto)
	};
	b->forms[canon].wanted = true;
	return b->count++;
}

void
sig_bodies_watch(struct sig_bodies *b, size_t number)
{
	struct wish *w = &b->wishes[number];

	if (w->tail == NULL)
		w->tail = sig_tail_new(b->arena, b->crypto, w->digest);
}

/* ---- two forms as one ---- */

static bool
is_whole(const struct wish *w)
{
	return w->limit == SIG_BODY_ALL && w->tail == NULL;
}

static bool
is_pair(const struct sig_bodies *b)
{
	return b->count == 2 && b->wishes[0].canon != b->wishes[1].canon &&
	    is_whole(&b->wishes[0]) && is_whole(&b->wishes[1]);
}

/* From here on each form is made for itself. */
static void
part(struct sig_bodies *b)
{
	struct form *simple = &b->forms[SIG_SIMPLE], *relaxed = &b->forms[SIG_RELAXED];
	bool first = b->wishes[0].canon == SIG_RELAXED;
	struct wish *ahead = &b->wishes[first ? 0 : 1], *behind = &b->wishes[first ? 1 : 0];

	sig_canon_body_follow(&simple->canon, &relaxed->canon);
	simple->length = relaxed->length;
	digest_copy(behind->digest, ahead->digest);
	behind->hashed = ahead->hashed;
	b->pair = PAIR_APART;
}

bool
sig_bodies_update(struct sig_bodies *b, struct slice chunk)
{
	bool more = false;

	if (b->pair == PAIR_UNKNOWN)
		b->pair = is_pair(b) ? PAIR_TOGETHER : PAIR_APART;
	if (b->pair == PAIR_TOGETHER && !sig_canon_forms_agree(chunk))
		part(b);
	for (size_t i = 0; i < CANONS; i++)
		if (b->forms[i].wanted && (b->pair == PAIR_APART || i == SIG_RELAXED))
			sig_canon_body_update(&b->forms[i].canon, chunk);
	for (size_t i = 0; i < b->count; i++)
		more = more || b->wishes[i].hashed < b->wishes[i].limit;
	return more;
}

void
sig_bodies_end(struct sig_bodies *b)
{
	if (b->pair == PAIR_TOGETHER)
		part(b);
	for (size_t i = 0; i < CANONS; i++)
		if (b->forms[i].wanted)
			sig_canon_body_end(&b->forms[i].canon);
	for (size_t i = 0; i < b->count; i++)
		digest_final(b->wishes[i].digest, b->wishes[i].result);
}

const uint8_t *
sig_bodies_digest(const struct sig_bodies *b, size_t number)
{
	return b->wishes[number].result;
}

uint64_t
sig_bodies_hashed(const struct sig_bodies *b, size_t number)
{
	return b->wishes[number].hashed;
}

uint64_t
sig_bodies_length(const struct sig_bodies *b, size_t number)
{
	return b->forms[b->wishes[number].canon].length;
}

bool
sig_bodies_search(const struct sig_bodies *b, size_t number, const uint8_t want[SHA256_BYTES],
    struct sig_cut *out)
{
	return sig_tail_search(b->wishes[number].tail, want, out);
}
