/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/pending.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "policy/dns/hash.h"

#define CHAINS 4096 /* a power of two */

struct side {
	struct pending_row *first, **end;
	struct pending_sum sum;
};

struct pending {
	uint8_t key[HASH_KEY_BYTES];
	struct side sides[2];
	unsigned fresh; /* which of the sides; the other is taken */
	size_t bytes;
	struct pending_row *chains[CHAINS];
};

static void
side_init(struct side *s)
{
	*s = (struct side){ .end = &s->first };
}

struct pending *
pending_new(void)
{
	struct pending *p = heap_alloc(1, sizeof(*p));

	if (getrandom(p->key, sizeof(p->key), 0) != (ssize_t)sizeof(p->key))
		bug("getrandom: %s", strerror(errno));
	side_init(&p->sides[0]);
	side_init(&p->sides[1]);
	return p;
}

static struct pending_row **
chain_of(struct pending *p, uint64_t hash)
{
	return &p->chains[hash % CHAINS];
}

void
pending_free(struct pending **pp)
{
	struct pending *p = *pp;

	*pp = NULL;
	for (size_t i = 0; i < CHAINS; i++)
		while (p->chains[i] != NULL) {
			struct pending_row *row = p->chains[i];

			p->chains[i] = row->chain;
			free(row);
		}
	free(p);
}

/* ---- by content ---- */

uint64_t
pending_hash(const struct pending *p, const struct store_entry *e)
{
	return hash_bytes(p->key, e->row) ^ hash_bytes(p->key, e->policy);
}

static bool
is_entry(const struct pending_row *row, const struct store_entry *e, uint64_t hash)
{
	return row->hash == hash && row->entry.begin_s == e->begin_s &&
	    row->entry.end_s == e->end_s && slice_equal(row->entry.row, e->row) &&
	    slice_equal(row->entry.policy, e->policy);
}

struct pending_row *
pending_find(const struct pending *p, const struct store_entry *e, uint64_t hash)
{
	struct pending_row *row = p->chains[hash % CHAINS];

	while (row != NULL && !is_entry(row, e, hash))
		row = row->chain;
	return row;
}

static size_t
size_of(const struct store_entry *e)
{
	return sizeof(struct pending_row) + e->domain.len + e->policy.len + e->row.len;
}

static struct slice
put(char **to, struct slice s)
{
	char *p = *to;

	if (s.len > 0)
		memcpy(p, s.p, s.len);
	*to = p + s.len;
	return slice_of(p, s.len);
}

struct pending_row *
pending_insert(struct pending *p, const struct store_entry *e, uint64_t hash)
{
	struct pending_row *row = heap_alloc(1, size_of(e)), **chain = chain_of(p, hash);
	char *bytes = (char *)(row + 1);

	row->entry = *e;
	row->entry.domain = put(&bytes, e->domain);
	row->entry.policy = put(&bytes, e->policy);
	row->entry.row = put(&bytes, e->row);
	row->hash = hash;
	row->chain = *chain;
	*chain = row;
	p->bytes += size_of(e);
	return row;
}

/* ---- messages ---- */

static unsigned
side_of(const struct pending *p, enum pending_state state)
{
	return state == PENDING_FRESH ? p->fresh : 1 - p->fresh;
}

bool
pending_add(struct pending *p, struct pending_row *row, uint64_t messages, bool late)
{
	struct side *s = &p->sides[p->fresh];
	bool is_first = row->part[p->fresh].messages == 0;

	if (is_first) {
		row->part[p->fresh].next = NULL;
		*s->end = row;
		s->end = &row->part[p->fresh].next;
		s->sum.rows++;
	}
	row->part[p->fresh].messages += messages;
	s->sum.messages += messages;
	if (late) {
		row->part[p->fresh].late += messages;
		s->sum.late += messages;
	}
	return is_first;
}

void
pending_take(struct pending *p)
{
	if (p->sides[1 - p->fresh].sum.rows != 0)
		bug("pending: taken before the last were committed");
	p->fresh = 1 - p->fresh;
}

void
pending_commit(struct pending *p)
{
	unsigned taken = 1 - p->fresh;
	struct side *s = &p->sides[taken];

	for (struct pending_row *row = s->first; row != NULL; row = row->part[taken].next)
		row->part[taken].messages = row->part[taken].late = 0;
	side_init(s);
}

void
pending_carried(struct pending *p, struct pending_row *row)
{
	p->sides[p->fresh].sum.late -= row->part[p->fresh].late;
	row->part[p->fresh].late = 0;
	row->place = row->carried;
}

void
pending_forget(struct pending *p)
{
	for (size_t i = 0; i < CHAINS; i++) {
		struct pending_row **at = &p->chains[i], *row;

		while ((row = *at) != NULL) {
			if (row->part[0].messages != 0 || row->part[1].messages != 0) {
				at = &row->chain;
				continue;
			}
			*at = row->chain;
			p->bytes -= size_of(&row->entry);
			free(row);
		}
	}
}

/* ---- looking ---- */

const struct pending_sum *
pending_sum(const struct pending *p, enum pending_state state)
{
	return &p->sides[side_of(p, state)].sum;
}

size_t
pending_bytes(const struct pending *p)
{
	return p->bytes;
}

struct pending_row *
pending_first(const struct pending *p, enum pending_state state)
{
	return p->sides[side_of(p, state)].first;
}

struct pending_row *
pending_next(const struct pending *p, enum pending_state state, const struct pending_row *row)
{
	return row->part[side_of(p, state)].next;
}

uint64_t
pending_messages(const struct pending *p, enum pending_state state, const struct pending_row *row)
{
	return row->part[side_of(p, state)].messages;
}
