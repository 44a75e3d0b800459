/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The field is a row of units with a blank or a fold between: no unit holds a line break, and a
 * unit is short enough that no line passes 998 bytes (RFC 5322 2.1.1).
 *
 * What a value may hold: printable ASCII, HTAB and UTF-8 (RFC 8601 2.2 with RFC 6532) are kept as
 * they are. Each control byte, C1 control, line separator of Unicode (U+2028, U+2029: a line end to
 * some libraries) and byte that is not UTF-8 becomes "?". A reader gets back what was given, but
 * for those.
 */
#include "policy/authres/authres.h"
#include "policy/authres/internal.h"
#include "policy/base/limits.h"
#include "policy/base/strbuf.h"

#define LINE_WISH    78 /* RFC 5322 2.1.1: lines SHOULD be no longer */
#define TAB_COLUMNS  8
#define UNIT_BYTES   1000
#define FIELD_BYTES  (1024u * 1024)
#define NAME_COLUMNS 24 /* "Authentication-Results: " */
#define AAR_COLUMNS  28

struct writer {
	struct arena *arena;
	struct strbuf text;
	struct strbuf unit; /* coming up */
	size_t column;
	bool fold; /* before the next unit, in any case */
};

/* Put the unit down, behind a blank or a fold. */
static void
flush_unit(struct writer *w)
{
	struct slice unit = strbuf_slice(&w->unit);

	if (w->text.len > 0 && (w->fold || w->column + 1 + unit.len > LINE_WISH)) {
		strbuf_str(&w->text, "\r\n\t");
		w->column = TAB_COLUMNS;
	} else if (w->text.len > 0) {
		strbuf_char(&w->text, ' ');
		w->column++;
	}
	w->fold = false;
	strbuf_add(&w->text, unit);
	w->column += unit.len;
	w->unit.len = 0;
}

/* The character at *at as it may be written, *at moved behind it. */
static struct slice
clean_character(struct slice s, size_t *at)
{
	uint32_t code_point;
	size_t len = utf8_decode(s, *at, &code_point), start = *at;

	*at += len == 0 ? 1 : len;
	if (len == 0 || (code_point < 0x20 && code_point != '\t') ||
	    (code_point >= 0x7f && code_point <= 0x9f) || code_point == 0x2028 ||
	    code_point == 0x2029)
		return SLICE("?");
	return slice_sub(s, start, len);
}

static bool
is_among(char c, struct slice set)
{
	for (size_t i = 0; i < set.len; i++)
		if (set.p[i] == c)
			return true;
	return false;
}

/* As many bytes as may be written as they are and are none of specials: most text is only that. */
static size_t
plain_length(struct slice s, struct slice specials)
{
	size_t n = 0;

	while (n < s.len && s.p[n] >= 0x20 && s.p[n] < 0x7f && !is_among(s.p[n], specials))
		n++;
	return n;
}

/* The character at *at, which is none of the plain, as it may be written. */
static void
escape_character(struct strbuf *b, struct slice s, size_t *at, struct slice specials)
{
	struct slice c = clean_character(s, at);
	bool is_special = is_among(c.p[0], specials);

	if (b->len + c.len + is_special > b->max_bytes) {
		*at = s.len;
		return;
	}
	if (is_special)
		strbuf_char(b, '\\');
	strbuf_add(b, c);
}

/* s with a backslash before each byte of specials, cut at LIMIT_AUTHRES_VALUE_BYTES. */
static struct slice
escape(struct writer *w, struct slice s, struct slice specials)
{
	struct strbuf b;

	if (s.len <= LIMIT_AUTHRES_VALUE_BYTES && plain_length(s, specials) == s.len)
		return s;
	strbuf_init(&b, w->arena, LIMIT_AUTHRES_VALUE_BYTES);
	for (size_t at = 0; at < s.len;) {
		size_t plain = plain_length(slice_from(s, at), specials);

		strbuf_add(&b, slice_sub(s, at, plain));
		at += plain;
		if (at < s.len)
			escape_character(&b, s, &at, specials);
	}
	return strbuf_slice(&b);
}

/* Is every character one that may be written? */
static bool
is_clean(struct slice s)
{
	for (size_t at = plain_length(s, SLICE("")); at < s.len;) {
		size_t from = at;
		struct slice c = clean_character(s, &at);

		if (!slice_equal(c, slice_sub(s, from, at - from)))
			return false;
	}
	return true;
}

static bool
is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!authres_is_token(s.p[i]))
			return false;
	return s.len > 0;
}

/*
 * May s stand as it is where a pvalue is read? RFC 8601 2.2 lets an address stand bare, with all
 * that a local-part may hold. DIFFERS: one with "/", "=", ";" or the like in it is quoted as a
 * whole, as readers expect who know tokens only (PITFALLS 42).
 */
static bool
is_bare_pvalue(struct writer *w, struct slice s)
{
	struct lex l = lex_over(s);
	struct slice value;

	if (is_token(s))
		return true;
	for (size_t i = 0; i < s.len; i++)
		if (slice_find(SLICE("/=?;()\\"), s.p[i]) != SLICE_NONE)
			return false;
	return authres_read_pvalue(&l, w->arena, &value) == 0 && lex_at_end(&l) &&
	    slice_equal(value, s);
}

static void
add_value(struct writer *w, struct slice s, bool is_pvalue)
{
	bool fits = s.len <= LIMIT_AUTHRES_VALUE_BYTES && is_clean(s);

	if (fits && (is_pvalue ? is_bare_pvalue(w, s) : is_token(s))) {
		strbuf_add(&w->unit, s);
		return;
	}
	strbuf_char(&w->unit, '"');
	strbuf_add(&w->unit, escape(w, s, SLICE("\"\\")));
	strbuf_char(&w->unit, '"');
}

/* Keywords are ours; one that isn't a Keyword is made one, so that nothing can stand in it. */
static void
add_keyword(struct writer *w, struct slice s)
{
	s = slice_sub(s, 0, LIMIT_AUTHRES_KEYWORD_BYTES);
	if (authres_is_keyword(s))
		strbuf_add(&w->unit, s);
	else
		strbuf_char(&w->unit, 'x');
}

/* A comment folds at its blanks; runs of them become one. */
static void
add_comment(struct writer *w, struct slice comment)
{
	struct slice rest = slice_trim(escape(w, comment, SLICE("()\\")));
	bool is_first = true;

	while (rest.len > 0) {
		size_t len = 0;

		while (len < rest.len && !ascii_is_wsp(rest.p[len]))
			len++;
		flush_unit(w);
		if (is_first)
			strbuf_char(&w->unit, '(');
		is_first = false;
		strbuf_add(&w->unit, slice_sub(rest, 0, len));
		rest = slice_trim(slice_from(rest, len));
	}
	if (!is_first)
		strbuf_char(&w->unit, ')');
}

static void
add_result(struct writer *w, const struct authres_result *r)
{
	add_keyword(w, r->method);
	if (r->method_version > 1)
		strbuf_printf(&w->unit, "/%u", (unsigned)r->method_version);
	strbuf_char(&w->unit, '=');
	add_keyword(w, r->result);
	if (r->reason.len > 0) {
		flush_unit(w);
		strbuf_str(&w->unit, "reason=");
		add_value(w, r->reason, false);
	}
	add_comment(w, r->comment);
	for (size_t i = 0; i < r->property_count; i++) {
		flush_unit(w);
		add_keyword(w, r->properties[i].ptype);
		strbuf_char(&w->unit, '.');
		add_keyword(w, r->properties[i].property);
		strbuf_char(&w->unit, '=');
		add_value(w, r->properties[i].value, true);
	}
}

struct slice
authres_write(struct arena *a, const struct authres *in)
{
	struct writer w = { .arena = a, .column = in->instance > 0 ? AAR_COLUMNS : NAME_COLUMNS };

	strbuf_init(&w.text, a, FIELD_BYTES);
	strbuf_init(&w.unit, a, UNIT_BYTES);
	if (in->instance > 0) { /* RFC 8617 4.1.1 */
		strbuf_printf(&w.unit, "i=%u;", (unsigned)in->instance);
		flush_unit(&w);
	}
	add_value(&w, in->authserv_id, false);
	if (in->version > 1)
		strbuf_printf(&w.unit, " %u", (unsigned)in->version);
	if (in->result_count == 0) {
		strbuf_char(&w.unit, ';');
		flush_unit(&w);
		strbuf_str(&w.unit, "none");
	}
	for (size_t i = 0; i < in->result_count; i++) {
		strbuf_char(&w.unit, ';');
		flush_unit(&w);
		w.fold = true;
		add_result(&w, &in->results[i]);
	}
	flush_unit(&w);
	return strbuf_slice(&w.text);
}
