/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "policy/sig/sig.h"

/*
 * A hash table of names, chained through the fields themselves: a sender may send a thousand fields
 * and name hundreds of them in each of many signatures, and looking through all for each would be
 * the sender's way to keep us busy.
 */
#define BUCKETS	     64 /* a power of two; most messages have fewer fields */
#define HASHED_BYTES 3	/* of a name, from either end */

struct sig_fields {
	struct arena *arena;
	const struct header_list *header;
	size_t bottom[BUCKETS]; /* the lowest field of that hash */
	size_t *above;		/* [field]: the next one up with the same hash */
	size_t *cursor;		/* [lowest field of a name]: the next one to take; per signature */
};

/* Of the length and of both ends, which tell most names apart. */
static size_t
hash_name(struct slice name)
{
	size_t part = name.len < HASHED_BYTES ? name.len : HASHED_BYTES;
	uint32_t h = 2166136261u ^ (uint32_t)name.len; /* FNV-1a */

	for (size_t i = 0; i < part; i++)
		h = (h ^ (unsigned char)ascii_lower(name.p[i])) * 16777619u;
	for (size_t i = name.len - part; i < name.len; i++)
		h = (h ^ (unsigned char)ascii_lower(name.p[i])) * 16777619u;
	return (h ^ h >> 16) & (BUCKETS - 1);
}

static struct slice
name_of(const struct sig_fields *f, size_t field)
{
	return header_name_trim(f->header->fields[field].name);
}

/* The lowest field of that name among the chain from start. */
static size_t
find_in_chain(const struct sig_fields *f, size_t start, struct slice name)
{
	size_t i = start;

	while (i != SIG_NO_FIELD && !slice_equal_nocase(name_of(f, i), name))
		i = f->above[i];
	return i;
}

struct sig_fields *
sig_fields_new(struct arena *a, const struct header_list *header)
{
	struct sig_fields *f = arena_alloc(a, sizeof(*f));

	f->arena = a;
	f->header = header;
	f->above = arena_array(a, header->count, sizeof(*f->above));
	f->cursor = arena_array(a, header->count, sizeof(*f->cursor));
	for (size_t i = 0; i < BUCKETS; i++)
		f->bottom[i] = SIG_NO_FIELD;
	for (size_t i = 0; i < header->count; i++) {
		size_t *bottom = &f->bottom[hash_name(name_of(f, i))];

		f->above[i] = *bottom;
		*bottom = i;
	}
	return f;
}

/* RFC 6376 5.4.2: instances are consumed from the bottom of the header upwards. */
static size_t
take(struct sig_fields *f, struct slice name, size_t own)
{
	size_t head = find_in_chain(f, f->bottom[hash_name(name)], name);
	size_t taken;

	if (head == SIG_NO_FIELD || f->cursor[head] == SIG_NO_FIELD)
		return SIG_NO_FIELD;
	taken = f->cursor[head];
	if (taken == own)
		taken = find_in_chain(f, f->above[taken], name);
	f->cursor[head] = taken == SIG_NO_FIELD ? SIG_NO_FIELD
						: find_in_chain(f, f->above[taken], name);
	return taken;
}

const size_t *
sig_fields_select(struct sig_fields *f, const struct slice *names, size_t name_count, size_t own)
{
	size_t *selected = arena_array(f->arena, name_count, sizeof(*selected));

	/* Each name starts again at its lowest field. */
	for (size_t i = 0; i < f->header->count; i++)
		f->cursor[i] = i;
	for (size_t i = 0; i < name_count; i++)
		selected[i] = take(f, names[i], own);
	return selected;
}

void
sig_header_init(struct sig_header *h, struct arena *a, struct digest *digest, enum sig_canon canon)
{
	*h = (struct sig_header){ .arena = a, .digest = digest, .canon = canon };
}

/* Room for the canonical form of such a field, with CRLF. */
static char *
make_room(struct sig_header *h, size_t name_len, size_t value_len)
{
	size_t want = name_len + 1 + value_len + 2;

	if (want > h->room_size) {
		h->room_size = 2 * want;
		h->room = arena_bytes(h->arena, h->room_size);
	}
	return h->room;
}

void
sig_header_add(struct sig_header *h, const struct header_field *field)
{
	char *room = make_room(h, field->name.len, field->value.len);
	size_t len = sig_canon_field(h->canon, field->name, field->value, room);

	room[len++] = '\r';
	room[len++] = '\n';
	digest_update(h->digest, room, len);
}

void
sig_header_end(
    struct sig_header *h, const struct header_field *signature, uint8_t out[SHA256_BYTES])
{
	struct slice value = signature->value, b = sig_raw_tag(value, "b");
	char *room = make_room(h, signature->name.len, value.len), *without;
	size_t before, len;

	if (b.p != NULL) {
		before = (size_t)(b.p - value.p);
		without = arena_bytes(h->arena, value.len);
		memcpy(without, value.p, before);
		memcpy(without + before, b.p + b.len, value.len - before - b.len);
		value = slice_of(without, value.len - b.len);
	}
	len = sig_canon_field(h->canon, signature->name, value, room);
	digest_update(h->digest, room, len);
	digest_final(h->digest, out);
}

void
sig_header_add_selected(struct sig_header *h, const struct header_list *header,
    const size_t *selected, size_t selected_count)
{
	for (size_t i = 0; i < selected_count; i++)
		if (selected[i] != SIG_NO_FIELD)
			sig_header_add(h, &header->fields[selected[i]]);
}

void
sig_header_digest(struct sig_header *h, const struct header_list *header, const size_t *selected,
    size_t selected_count, size_t own, uint8_t out[SHA256_BYTES])
{
	sig_header_add_selected(h, header, selected, selected_count);
	sig_header_end(h, &header->fields[own], out);
}

static size_t
skip_space(struct slice s, size_t at)
{
	while (at < s.len && ascii_is_space(s.p[at]))
		at++;
	return at;
}

/* Name and value of "name=value"; false: the piece is no such thing. */
static bool
split_tag(struct slice piece, struct slice *name, struct slice *value)
{
	size_t start = skip_space(piece, 0), end = start, at;

	while (end < piece.len && piece.p[end] != '=' && !ascii_is_space(piece.p[end]))
		end++;
	at = skip_space(piece, end);
	if (at == piece.len || piece.p[at] != '=')
		return false;
	*name = slice_sub(piece, start, end - start);
	*value = slice_of(piece.p + at + 1, piece.len - at - 1);
	return true;
}

void
sig_raw_tags(struct slice list, const char *const *names, size_t count, struct slice *values_r)
{
	struct slice piece, name, value;
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		values_r[i] = slice_of(NULL, 0);
	while (found < count && slice_next(&list, ';', &piece)) {
		if (!split_tag(piece, &name, &value))
			continue;
		for (size_t i = 0; i < count; i++)
			if (values_r[i].p == NULL && slice_equal(name, slice_str(names[i]))) {
				values_r[i] = value;
				found++;
			}
	}
}

struct slice
sig_raw_tag(struct slice list, const char *name)
{
	struct slice value;

	sig_raw_tags(list, &name, 1, &value);
	return value;
}

struct slice
sig_squeeze_head(struct arena *a, struct slice s, size_t max)
{
	char *p = arena_bytes(a, (s.len < max ? s.len : max) + 1);
	size_t len = 0;

	for (size_t i = 0; i < s.len && len < max; i++)
		if (!ascii_is_space(s.p[i]))
			p[len++] = s.p[i];
	p[len] = '\0';
	return slice_of(p, len);
}

struct slice
sig_squeeze(struct arena *a, struct slice s)
{
	return sig_squeeze_head(a, s, s.len);
}
