/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/limits.h"
#include "policy/sig/sig.h"
#include "policy/syntax/base64.h"

#define LINE_WISH   78 /* RFC 5322 2.1.1: lines SHOULD be no longer */
#define TAB_COLUMNS 8

const char *
sig_algorithm_word(enum key_type type)
{
	switch (type) {
	case KEY_RSA:
		return "rsa-sha256"; /* RFC 8301 3.1: never rsa-sha1 */
	case KEY_ED25519:
		return "ed25519-sha256";
	}
	bug("sig_algorithm_word: %d", (int)type);
}

const char *
sig_canon_word(enum sig_canon canon)
{
	switch (canon) {
	case SIG_SIMPLE:
		return "simple";
	case SIG_RELAXED:
		return "relaxed";
	}
	bug("sig_canon_word: %d", (int)canon);
}

/* ---- h= ---- */

static bool
is_among(struct slice name, const struct slice *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (slice_equal_nocase(name, names[i]))
			return true;
	return false;
}

/* False: the list is full. */
static bool
add_times(struct slice *list, size_t *count, struct slice name, size_t times)
{
	if (times > LIMIT_DKIM_SIGNED_FIELDS - *count)
		return false;
	for (size_t i = 0; i < times; i++)
		list[(*count)++] = name;
	return true;
}

int
sig_choose_fields(struct arena *a, const struct sig_field_choice *choice,
    const struct header_list *header, struct slice **names_r, size_t *count_r, const char **error_r)
{
	struct slice *list = arena_array(a, LIMIT_DKIM_SIGNED_FIELDS, sizeof(*list));
	size_t count = 0;
	bool fits = true;

	/* RFC 6376 5.4.2, 8.15: once more than it is there, so that none can be added */
	for (size_t i = 0; fits && i < choice->oversign_count; i++) {
		struct slice name = choice->oversign[i];

		if (!is_among(name, choice->oversign, i))
			fits = add_times(
			    list, &count, name, 1 + header_count(header, arena_str(a, name)));
	}
	for (size_t i = 0; fits && i < choice->sign_count; i++) {
		struct slice name = choice->sign[i];

		if (!is_among(name, choice->sign, i) &&
		    !is_among(name, choice->oversign, choice->oversign_count))
			fits = add_times(
			    list, &count, name, header_count(header, arena_str(a, name)));
	}
	if (!fits) {
		*error_r = "the header has too many fields to be signed";
		return -1;
	}
	*names_r = list;
	*count_r = count;
	return 0;
}

/* ---- the field ---- */

void
sig_write_begin(struct sig_writer *w, struct arena *a, const char *field_name)
{
	*w = (struct sig_writer){ .field_name = slice_str(field_name) };
	strbuf_init(&w->text, a, LIMIT_HEADER_BYTES);
	w->column = w->field_name.len + 1;
}

/* A unit behind a blank or a fold; nothing is ever folded inside one. */
static void
put_unit(struct sig_writer *w, struct slice unit, bool glued)
{
	if (w->text.len > 0 && w->column + !glued + unit.len > LINE_WISH) {
		strbuf_str(&w->text, "\r\n\t");
		w->column = TAB_COLUMNS;
	} else if (!glued) {
		strbuf_char(&w->text, ' ');
		w->column++;
	}
	strbuf_add(&w->text, unit);
	w->column += unit.len;
}

void
sig_write_tag(struct sig_writer *w, const char *tag, struct slice value)
{
	struct strbuf unit;

	strbuf_init(&unit, w->text.arena, LIMIT_HEADER_BYTES);
	strbuf_printf(&unit, "%s=", tag);
	strbuf_add(&unit, value);
	strbuf_char(&unit, ';');
	put_unit(w, strbuf_slice(&unit), false);
}

void
sig_write_number(struct sig_writer *w, const char *tag, uint64_t value)
{
	sig_write_tag(
	    w, tag, slice_str(arena_printf(w->text.arena, "%llu", (unsigned long long)value)));
}

void
sig_write_base64(struct sig_writer *w, const char *tag, struct slice bytes)
{
	sig_write_tag(w, tag, base64_encode(w->text.arena, bytes));
}

/* RFC 6376 3.5: h= may have FWS on either side of a colon; ours is behind it. */
void
sig_write_names(struct sig_writer *w, const char *tag, const struct slice *names, size_t count)
{
	struct strbuf unit;

	strbuf_init(&unit, w->text.arena, LIMIT_HEADER_BYTES);
	strbuf_printf(&unit, "%s=", tag);
	for (size_t i = 0; i < count; i++) {
		strbuf_add(&unit, names[i]);
		strbuf_char(&unit, i + 1 < count ? ':' : ';');
		put_unit(w, strbuf_slice(&unit), i > 0);
		unit.len = 0;
	}
}

/* b= comes last, so that the value without a signature is simply shorter. */
static struct slice
write_signature(struct sig_writer *w, const struct signature *s)
{
	struct slice bytes = slice_of((const char *)s->bytes, s->len);
	struct slice rest = base64_encode(w->text.arena, bytes);

	while (rest.len > 0) {
		size_t room = w->column < LINE_WISH ? LINE_WISH - w->column : 0;

		if (room == 0) {
			strbuf_str(&w->text, "\r\n\t");
			w->column = TAB_COLUMNS;
			continue;
		}
		strbuf_add(&w->text, slice_sub(rest, 0, room));
		w->column += room;
		rest = slice_from(rest, room);
	}
	return strbuf_slice(&w->text);
}

int
sig_write_sign(struct sig_writer *w, struct sig_header *h, const struct key_holder *holder,
    uint32_t key, struct slice *value_r, const char **error_r)
{
	uint8_t digest[SHA256_BYTES];
	struct header_field field;
	struct signature s;

	put_unit(w, SLICE("b="), false);
	field = (struct header_field){ w->field_name, strbuf_slice(&w->text) };
	sig_header_end(h, &field, digest);
	if (holder->sign(holder->ctx, key, digest, &s, error_r) != 0)
		return -1;
	*value_r = write_signature(w, &s);
	return 0;
}
