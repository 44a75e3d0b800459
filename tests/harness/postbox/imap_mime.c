/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         imap_mime - the parts of a message (RFC 2045, 2046), and BODYSTRUCTURE
 * DESCRIPTION  Parts are a list in which the children of one stand together, made by going through
 *              the list while it grows: nothing calls itself, however deep a message nests.
 */
#include <string.h>

#include "policy/syntax/header.h"
#include "policy/syntax/lex.h"
#include "policy/syntax/multipart.h"
#include "tests/harness/postbox/imap.h"

/* ---- header and body ---- */

/* The line at text[at] with its end. */
static struct slice
line_at(struct slice text, size_t at)
{
	struct slice rest = slice_from(text, at);
	size_t end = slice_find(rest, '\n');

	return slice_sub(rest, 0, end == SLICE_NONE ? rest.len : end + 1);
}

void
mime_split(struct slice text, struct slice *header_r, struct slice *body_r)
{
	size_t at = 0;

	while (at < text.len) {
		struct slice line = line_at(text, at);

		at += line.len;
		if (slice_trim(line).len == 0 && !ascii_is_wsp(line.p[0]))
			break;
	}
	*header_r = slice_sub(text, 0, at);
	*body_r = slice_from(text, at);
}

bool
mime_next_field(struct slice *header, struct slice *field_r, struct slice *name_r)
{
	struct slice line = line_at(*header, 0);
	size_t end = line.len, colon;

	if (slice_trim(line).len == 0)
		return false;
	while (end < header->len && ascii_is_wsp(header->p[end]))
		end += line_at(*header, end).len;
	*field_r = slice_sub(*header, 0, end);
	colon = slice_find(*field_r, ':');
	*name_r = slice_trim(slice_sub(*field_r, 0, colon == SLICE_NONE ? 0 : colon));
	*header = slice_from(*header, end);
	return true;
}

struct slice
mime_field(struct arena *a, struct slice header, struct slice name)
{
	struct slice field, found;

	while (mime_next_field(&header, &field, &found))
		if (slice_equal_nocase(found, name))
			return arena_copy(
			    a, header_unfold(a, slice_from(field, slice_find(field, ':') + 1)));
	return slice_of(NULL, 0);
}

/* ---- Content-Type and its like ---- */

/* RFC 2045 5.1: anything printable but tspecials. */
static bool
is_token_char(char c)
{
	return (unsigned char)c > ' ' && (unsigned char)c != 0x7f &&
	    strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

/* The next "; name=value". False: no more that can be read. */
static bool
next_parameter(struct arena *a, struct lex *l, struct slice *name_r, struct slice *value_r)
{
	lex_skip(l);
	while (lex_take(l, ';'))
		lex_skip(l);
	*name_r = lex_run(l, is_token_char);
	lex_skip(l);
	if (name_r->len == 0 || !lex_take(l, '='))
		return false;
	lex_skip(l);
	*value_r = lex_peek(l) == '"' ? lex_quoted(l, a) : lex_run(l, is_token_char);
	return true;
}

/* The word, or the two with '/' between, that the value begins with; *l stands behind. */
static void
read_type(struct arena *a, struct lex *l, struct slice *type_r, struct slice *subtype_r)
{
	lex_skip(l);
	*type_r = arena_copy_lower(a, lex_run(l, is_token_char));
	lex_skip(l);
	*subtype_r = slice_of(NULL, 0);
	if (lex_take(l, '/')) {
		lex_skip(l);
		*subtype_r = arena_copy_lower(a, lex_run(l, is_token_char));
	}
}

static struct slice
boundary_of(struct arena *a, struct slice content_type)
{
	struct lex l = lex_over(content_type);
	struct slice name, value, type, subtype;

	read_type(a, &l, &type, &subtype);
	while (next_parameter(a, &l, &name, &value))
		if (slice_equal_nocase(name, SLICE("boundary")))
			return value;
	return slice_of(NULL, 0);
}

/* ---- taking apart ---- */

/* A new part at the end; NULL when there are too many. */
static struct mime_part *
add_part(struct arena *a, struct mime *mime, struct slice text, size_t depth, bool digest)
{
	struct mime_part *part;
	struct lex l;

	if (mime->count == MIME_PARTS)
		return NULL;
	part = &mime->parts[mime->count++];
	mime_split(text, &part->header, &part->body);
	part->depth = depth;
	part->content_type = mime_field(a, part->header, SLICE("Content-Type"));
	l = lex_over(part->content_type);
	read_type(a, &l, &part->type, &part->subtype);
	if (part->type.len == 0 || part->subtype.len == 0) { /* RFC 2045 5.2, RFC 2046 5.1.5 */
		part->type = digest ? SLICE("message") : SLICE("text");
		part->subtype = digest ? SLICE("rfc822") : SLICE("plain");
		part->content_type = slice_of(NULL, 0);
	}
	part->multipart = depth < MIME_DEPTH && slice_equal(part->type, SLICE("multipart"));
	part->message = depth < MIME_DEPTH && slice_equal(part->type, SLICE("message")) &&
	    slice_equal(part->subtype, SLICE("rfc822"));
	return part;
}

static void
split_multipart(struct arena *a, struct mime *mime, size_t index)
{
	struct mime_part *part = &mime->parts[index];
	struct multipart m = { .body = part->body, .boundary = boundary_of(a, part->content_type) };
	bool digest = slice_equal(part->subtype, SLICE("digest"));
	struct slice text;

	part->first_child = mime->count;
	while (multipart_next(&m, &text))
		(void)add_part(a, mime, text, part->depth + 1, digest);
	part->child_count = mime->count - part->first_child;
	/* One without parts can't be said in BODYSTRUCTURE. */
	part->multipart = part->child_count > 0;
	if (!part->multipart) {
		part->type = SLICE("text");
		part->subtype = SLICE("plain");
	}
}

void
mime_read(struct arena *a, struct slice text, struct mime *out)
{
	out->parts = arena_array(a, MIME_PARTS, sizeof(*out->parts));
	out->count = 0;
	(void)add_part(a, out, text, 0, false);
	for (size_t i = 0; i < out->count; i++) {
		struct mime_part *part = &out->parts[i];

		if (part->multipart) {
			split_multipart(a, out, i);
		} else if (part->message) {
			part->first_child = out->count;
			part->message = add_part(a, out, part->body, part->depth + 1, false) !=
			    NULL;
			part->child_count = part->message ? 1 : 0;
		}
	}
}

/* ---- BODYSTRUCTURE (RFC 3501 7.4.2) ---- */

static void
put_parameters(struct arena *a, struct lex *l, struct strbuf *out)
{
	struct slice name, value;
	bool any = false;

	while (next_parameter(a, l, &name, &value)) {
		strbuf_char(out, any ? ' ' : '(');
		imap_put_string(out, arena_copy_lower(a, name));
		strbuf_char(out, ' ');
		imap_put_string(out, value.p == NULL ? SLICE("") : value);
		any = true;
	}
	strbuf_str(out, any ? ")" : "NIL");
}

static void
put_field(struct arena *a, const struct mime_part *part, struct slice name, struct strbuf *out)
{
	strbuf_char(out, ' ');
	imap_put_string(out, mime_field(a, part->header, name));
}

static void
put_content_parameters(struct arena *a, const struct mime_part *part, struct strbuf *out)
{
	struct lex l = lex_over(part->content_type);
	struct slice type, subtype;

	read_type(a, &l, &type, &subtype);
	if (part->content_type.len == 0)
		strbuf_str(out, "(\"charset\" \"us-ascii\")");
	else
		put_parameters(a, &l, out);
}

/* ("ATTACHMENT" ("FILENAME" "x")), language and location. */
static void
put_extension(struct arena *a, const struct mime_part *part, struct strbuf *out)
{
	struct slice value = mime_field(a, part->header, SLICE("Content-Disposition")), type, none;
	struct lex l = lex_over(value);

	read_type(a, &l, &type, &none);
	if (type.len == 0) {
		strbuf_str(out, " NIL");
	} else {
		strbuf_str(out, " (");
		imap_put_string(out, type);
		strbuf_char(out, ' ');
		put_parameters(a, &l, out);
		strbuf_char(out, ')');
	}
	put_field(a, part, SLICE("Content-Language"), out);
	put_field(a, part, SLICE("Content-Location"), out);
}

static size_t
lines_of(struct slice text)
{
	size_t lines = 0;

	for (size_t i = 0; i < text.len; i++)
		lines += text.p[i] == '\n';
	return lines;
}

/* Type to size, without parentheses. */
static void
put_leaf(struct arena *a, const struct mime_part *part, struct strbuf *out)
{
	struct slice encoding = mime_field(a, part->header, SLICE("Content-Transfer-Encoding"));

	imap_put_string(out, part->type);
	strbuf_char(out, ' ');
	imap_put_string(out, part->subtype);
	strbuf_char(out, ' ');
	put_content_parameters(a, part, out);
	put_field(a, part, SLICE("Content-ID"), out);
	put_field(a, part, SLICE("Content-Description"), out);
	strbuf_char(out, ' ');
	imap_put_string(out, encoding.len == 0 ? SLICE("7bit") : arena_copy_lower(a, encoding));
	strbuf_printf(out, " %zu", part->body.len);
}

/* What begins a part, up to its children. */
static void
put_opening(
    struct arena *a, const struct mime *mime, const struct mime_part *part, struct strbuf *out)
{
	strbuf_char(out, '(');
	if (part->multipart)
		return;
	put_leaf(a, part, out);
	if (part->message) {
		strbuf_char(out, ' ');
		imap_envelope(a, mime->parts[part->first_child].header, out);
		strbuf_char(out, ' ');
	}
}

static void
put_closing(struct arena *a, const struct mime_part *part, bool extended, struct strbuf *out)
{
	if (part->multipart) {
		strbuf_char(out, ' ');
		imap_put_string(out, part->subtype);
		if (extended) {
			strbuf_char(out, ' ');
			put_content_parameters(a, part, out);
		}
	} else {
		if (part->message || slice_equal(part->type, SLICE("text")))
			strbuf_printf(out, " %zu", lines_of(part->body));
		if (extended)
			put_field(a, part, SLICE("Content-MD5"), out);
	}
	if (extended)
		put_extension(a, part, out);
	strbuf_char(out, ')');
}

void
mime_structure(struct arena *a, const struct mime *mime, bool extended, struct strbuf *out)
{
	struct { /* the parts that are open, and which child is next */
		size_t part, next;
	} stack[MIME_DEPTH + 2];
	size_t depth = 1;

	stack[0].part = stack[0].next = 0;
	while (depth > 0) {
		const struct mime_part *part = &mime->parts[stack[depth - 1].part];
		size_t next = stack[depth - 1].next++;

		if (next == 0)
			put_opening(a, mime, part, out);
		if (next < part->child_count) {
			stack[depth].part = part->first_child + next;
			stack[depth++].next = 0;
			continue;
		}
		put_closing(a, part, extended, out);
		depth--;
	}
}
