/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "policy/sig/sig.h"

/*
 * The names in order, each with its fields: a sender may send a thousand fields and name hundreds
 * of them in each of many signatures, and looking through all for each would be the sender's way to
 * keep us busy. Not a hash table: names that collide are easily thought of.
 */
struct sig_fields {
	struct arena *arena;
	const struct header_list *header;
	size_t *bottom; /* the lowest field of each name, in the order of compare_names() */
	size_t name_count;
	size_t *above;	/* [field]: the next one up of the same name, or SIG_NO_FIELD */
	size_t *cursor; /* [lowest field of a name]: the next one to take; per signature */
};

static struct slice
name_of(const struct sig_fields *f, size_t field)
{
	return header_name_trim(f->header->fields[field].name);
}

/* Any order does: the length tells most names apart. */
static int
compare_names(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return a.len < b.len ? -1 : 1;
	return slice_compare_nocase(a, b);
}

/* Where in bottom that name stands (true), or would. */
static bool
find_name(const struct sig_fields *f, struct slice name, size_t *at_r)
{
	size_t low = 0, high = f->name_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare_names(name, name_of(f, f->bottom[middle]));

		if (order == 0) {
			*at_r = middle;
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*at_r = low;
	return false;
}

struct sig_fields *
sig_fields_new(struct arena *a, const struct header_list *header)
{
	struct sig_fields *f = arena_alloc(a, sizeof(*f));

	f->arena = a;
	f->header = header;
	f->bottom = arena_array(a, header->count, sizeof(*f->bottom));
	f->above = arena_array(a, header->count, sizeof(*f->above));
	f->cursor = arena_array(a, header->count, sizeof(*f->cursor));
	for (size_t i = 0, at; i < header->count; i++) {
		f->above[i] = SIG_NO_FIELD;
		if (find_name(f, name_of(f, i), &at)) {
			f->above[i] = f->bottom[at];
		} else {
			memmove(&f->bottom[at + 1], &f->bottom[at],
			    (f->name_count - at) * sizeof(*f->bottom));
			f->name_count++;
		}
		f->bottom[at] = i;
	}
	return f;
}

/* RFC 6376 5.4.2: instances are consumed from the bottom of the header upwards. */
static size_t
take(struct sig_fields *f, struct slice name, size_t own)
{
	size_t at, *cursor, taken;

	if (!find_name(f, name, &at))
		return SIG_NO_FIELD;
	cursor = &f->cursor[f->bottom[at]];
	taken = *cursor;
	if (taken != SIG_NO_FIELD && taken == own)
		taken = f->above[taken];
	*cursor = taken == SIG_NO_FIELD ? SIG_NO_FIELD : f->above[taken];
	return taken;
}

const size_t *
sig_fields_select(struct sig_fields *f, const struct slice *names, size_t name_count, size_t own)
{
	size_t *selected = arena_array(f->arena, name_count, sizeof(*selected));

	/* Each name starts again at its lowest field. */
	for (size_t i = 0; i < f->name_count; i++)
		f->cursor[f->bottom[i]] = f->bottom[i];
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
