/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/dsn.h"

#include <string.h>

#include "policy/base/strbuf.h"
#include "policy/syntax/header.h"
#include "policy/syntax/lex.h"
#include "policy/syntax/message.h"
#include "policy/syntax/multipart.h"
#include "report/outbox.h"

#define FIELD_BYTES  1000		 /* of a value that is looked at */
#define STATUS_BYTES ((size_t)32 * 1024) /* of delivery-status that is looked at */

/* ---- header and body of anything that has both ---- */

struct entity {
	struct arena *arena;
	struct header_list header;
	struct strbuf body;
};

static void
on_field(void *ctx, struct slice name, struct slice value)
{
	struct entity *e = ctx;

	header_list_add(&e->header, e->arena, name, value);
}

static void
on_end_of_header(void *ctx)
{
	(void)ctx;
}

static void
on_body(void *ctx, struct slice chunk)
{
	struct entity *e = ctx;

	strbuf_add(&e->body, chunk);
}

/* False: its header passes a limit. */
static bool
read_entity(struct arena *a, struct slice text, struct entity *out)
{
	const struct message_handler handler = { on_field, on_end_of_header, on_body, out };
	struct message_reader reader;

	*out = (struct entity){ .arena = a };
	strbuf_init(&out->body, a, 2 * text.len); /* LF becomes CR LF */
	message_reader_init(&reader, a, &handler);
	return message_reader_feed(&reader, text) == 0 && message_reader_end(&reader) == 0;
}

/* The field's value unfolded, cut; empty when there is none. */
static struct slice
field(struct entity *e, const char *name)
{
	const struct header_field *f = header_find(&e->header, name, 0);

	return f == NULL ? slice_of(NULL, 0)
			 : header_unfold(e->arena, slice_sub(f->value, 0, FIELD_BYTES));
}

/* ---- Content-Type (RFC 2045 5.1) ---- */

static bool
is_token_char(char c)
{
	return c > ' ' && c <= '~' && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

static bool
next_parameter(struct arena *a, struct lex *l, struct slice *name_r, struct slice *value_r)
{
	lex_skip(l);
	if (!lex_take(l, ';'))
		return false;
	lex_skip(l);
	*name_r = lex_run(l, is_token_char);
	lex_skip(l);
	if (!lex_take(l, '='))
		return false;
	lex_skip(l);
	*value_r = lex_peek(l) == '"' ? lex_quoted(l, a) : lex_run(l, is_token_char);
	return true;
}

/* Is value of that type, "message/rfc822"? *l stands behind it. */
static bool
is_type(struct lex *l, struct slice value, const char *type)
{
	struct slice want = slice_str(type), main_type, subtype;
	size_t slash = slice_find(want, '/');

	*l = lex_over(value);
	lex_skip(l);
	main_type = lex_run(l, is_token_char);
	lex_skip(l);
	if (!lex_take(l, '/'))
		return false;
	lex_skip(l);
	subtype = lex_run(l, is_token_char);
	return slice_equal_nocase(main_type, slice_sub(want, 0, slash)) &&
	    slice_equal_nocase(subtype, slice_from(want, slash + 1));
}

static bool
has_type(struct entity *e, const char *type)
{
	struct lex l;

	return is_type(&l, field(e, "Content-Type"), type);
}

/* The boundary of a multipart/report of delivery status; empty: it is none. */
static struct slice
report_boundary(struct entity *e)
{
	struct slice name, value, boundary = slice_of(NULL, 0);
	bool is_status = false;
	struct lex l;

	if (!is_type(&l, field(e, "Content-Type"), "multipart/report"))
		return boundary;
	while (next_parameter(e->arena, &l, &name, &value)) {
		if (slice_equal_nocase(name, SLICE("boundary")))
			boundary = value;
		else if (slice_equal_nocase(name, SLICE("report-type")))
			is_status = slice_equal_nocase(value, SLICE("delivery-status"));
	}
	return is_status ? boundary : slice_of(NULL, 0);
}

/* ---- tokens ---- */

static bool
is_hexadecimal(char c)
{
	return ascii_hex(c) >= 0;
}

static void
add_token(struct arena *a, struct dsn *out, struct slice token)
{
	struct slice lower = arena_copy_lower(a, token);

	for (size_t i = 0; i < out->token_count; i++)
		if (slice_equal(out->tokens[i], lower))
			return;
	if (out->token_count < DSN_TOKENS)
		out->tokens[out->token_count++] = lower;
}

/* Runs of hexadecimal digits that are as long as a token, no longer. */
static void
find_tokens(struct arena *a, struct dsn *out, struct slice text)
{
	for (size_t at = 0; at < text.len;) {
		size_t end = at;

		while (end < text.len && is_hexadecimal(text.p[end]))
			end++;
		if (end - at == OUTBOX_TOKEN_BYTES)
			add_token(a, out, slice_sub(text, at, end - at));
		at = end + 1;
	}
}

/* Fields that may repeat. */
static void
find_in_fields(struct dsn *out, struct entity *e, const char *name)
{
	for (size_t i = 0; i < e->header.count; i++)
		if (slice_equal_nocase(header_name_trim(e->header.fields[i].name), slice_str(name)))
			find_tokens(
			    e->arena, out, slice_sub(e->header.fields[i].value, 0, FIELD_BYTES));
}

static void
find_in_bounce(struct dsn *out, struct entity *bounce)
{
	static const char *const names[] = { "To", "Delivered-To", "X-Original-To", "Envelope-To",
		"In-Reply-To", "References" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		find_in_fields(out, bounce, names[i]);
}

/* ---- the parts ---- */

/* RFC 3464 2.1: one group for the message, one for each recipient. */
static void
read_status(struct arena *a, struct slice text, struct dsn *out)
{
	text = slice_sub(text, 0, STATUS_BYTES);
	for (size_t i = 0; i < DSN_GROUPS && text.len > 0; i++) {
		struct entity group;

		if (!read_entity(a, text, &group))
			return;
		find_in_fields(out, &group, "Original-Envelope-Id"); /* RFC 3464 2.2.1 */
		if (slice_equal_nocase(field(&group, "Action"), SLICE("failed")) && !out->failed) {
			out->failed = true;
			out->status = field(&group, "Status"); /* RFC 3464 2.3.4 */
			/* RFC 3464 2.3.6 */
			out->diagnostic = field(&group, "Diagnostic-Code");
			if (out->diagnostic.len == 0)
				out->diagnostic = out->status;
		}
		text = strbuf_slice(&group.body);
	}
}

static void
read_part(struct arena *a, struct slice text, struct dsn *out, bool *status_seen)
{
	struct entity part, returned;

	if (!read_entity(a, text, &part))
		return;
	if (has_type(&part, "message/delivery-status") ||
	    has_type(&part, "message/global-delivery-status")) {
		*status_seen = true;
		read_status(a, strbuf_slice(&part.body), out);
	} else if (has_type(&part, "message/rfc822") || has_type(&part, "text/rfc822-headers") ||
	    has_type(&part, "message/global") || has_type(&part, "message/global-headers")) {
		if (read_entity(a, strbuf_slice(&part.body), &returned))
			find_in_fields(out, &returned, "Message-ID");
	}
}

static bool
read_parts(struct arena *a, struct slice body, struct slice boundary, struct dsn *out)
{
	struct multipart m = { .body = body, .boundary = boundary };
	bool status_seen = false;
	struct slice part;

	for (size_t n = 0; n < DSN_PARTS && multipart_next(&m, &part); n++)
		read_part(a, part, out, &status_seen);
	return status_seen;
}

int
dsn_read(struct arena *a, struct slice text, struct dsn *out, const char **why_r)
{
	struct entity bounce;
	struct slice boundary;

	*out = (struct dsn){ .token_count = 0 };
	if (!read_entity(a, slice_sub(text, 0, DSN_MAX_BYTES), &bounce)) {
		*why_r = "its header is too large";
		return -1;
	}
	boundary = report_boundary(&bounce);
	if (boundary.len == 0) {
		*why_r = "not a report of delivery status (RFC 3464)";
		return -1;
	}
	find_in_bounce(out, &bounce);
	if (!read_parts(a, strbuf_slice(&bounce.body), boundary, out)) {
		*why_r = "it has no part message/delivery-status";
		return -1;
	}
	return 0;
}
