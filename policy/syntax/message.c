/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/syntax/message.h"

#include <string.h>

#include "policy/base/limits.h"
#include "policy/syntax/header.h"

/* What is held of a header is looked at before it grows; a fold that came as LF is held as CR LF.
 */
#define HELD_BYTES (2 * LIMIT_HEADER_BYTES)

void
message_reader_init(
    struct message_reader *r, struct arena *a, const struct message_handler *handler)
{
	*r = (struct message_reader){ .handler = handler };
	strbuf_init(&r->line, a, HELD_BYTES);
	strbuf_init(&r->field, a, HELD_BYTES);
}

static void
hand_over_field(struct message_reader *r)
{
	struct slice field = strbuf_slice(&r->field);
	size_t colon = slice_find(field, ':');

	if (field.len == 0)
		return;
	r->field.len = 0;
	r->bytes += field.len + strlen("\r\n");
	r->error = header_limit(++r->fields, r->bytes);
	if (r->error != NULL)
		return;
	r->handler->field(
	    r->handler->ctx, slice_sub(field, 0, colon), slice_from(field, colon + 1));
}

static void
end_header(struct message_reader *r)
{
	hand_over_field(r);
	r->in_body = true;
	if (r->error == NULL)
		r->handler->end_of_header(r->handler->ctx);
}

/* Each LF that has no CR before it becomes CR LF; the runs between go on as they are. */
static void
body_from_lf(struct message_reader *r, struct slice bytes)
{
	size_t at;

	while ((at = slice_find(bytes, '\n')) != SLICE_NONE) {
		bool has_cr = at > 0 ? bytes.p[at - 1] == '\r' : r->after_cr;

		if (at > 0)
			r->handler->body(r->handler->ctx, slice_sub(bytes, 0, at));
		r->handler->body(r->handler->ctx, has_cr ? SLICE("\n") : SLICE("\r\n"));
		r->after_cr = false;
		bytes = slice_from(bytes, at + 1);
	}
	if (bytes.len == 0)
		return;
	r->handler->body(r->handler->ctx, bytes);
	r->after_cr = bytes.p[bytes.len - 1] == '\r';
}

static void
body(struct message_reader *r, struct slice bytes)
{
	if (bytes.len == 0)
		return;
	if (r->lines == MESSAGE_LINES_LF)
		body_from_lf(r, bytes);
	else
		r->handler->body(r->handler->ctx, bytes);
}

/* RFC 5322 2.2: printable ASCII but the colon; 4.5.1: blanks may stand before the colon. */
static bool
is_field(struct slice line)
{
	struct slice name = header_name_trim(slice_sub(line, 0, slice_find(line, ':')));

	if (slice_find(line, ':') == SLICE_NONE || name.len == 0)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (name.p[i] <= 0x20 || name.p[i] >= 0x7f)
			return false;
	return true;
}

/* line: without its end; broken: there was one. */
static void
header_line(struct message_reader *r, struct slice line, bool broken)
{
	bool first = !r->after_first;

	r->after_first = true;
	if (line.len == 0 && broken) {
		end_header(r);
	} else if (r->field.len > 0 && line.len > 0 && ascii_is_wsp(line.p[0])) {
		strbuf_str(&r->field, "\r\n");
		strbuf_add(&r->field, line);
	} else if (is_field(line)) {
		hand_over_field(r);
		strbuf_add(&r->field, line);
	} else if (line.len > 0 && !(first && slice_starts(line, SLICE("From ")))) {
		end_header(r);
		if (r->error == NULL) {
			r->handler->body(r->handler->ctx, line);
			if (broken)
				r->handler->body(r->handler->ctx, SLICE("\r\n"));
		}
	}
}

/* Take a whole header line off bytes, or keep the piece of one. */
static void
header_bytes(struct message_reader *r, struct slice *bytes)
{
	size_t at = slice_find(*bytes, '\n');
	struct slice piece = slice_sub(*bytes, 0, at == SLICE_NONE ? bytes->len : at);
	struct slice line;

	r->error = header_limit(r->fields, r->field.len + r->line.len + piece.len);
	if (r->error != NULL)
		return;
	strbuf_add(&r->line, piece);
	*bytes = slice_from(*bytes, piece.len + 1);
	if (at == SLICE_NONE)
		return;
	line = strbuf_slice(&r->line);
	r->line.len = 0;
	if (r->lines == MESSAGE_LINES_UNKNOWN)
		r->lines = line.len > 0 && line.p[line.len - 1] == '\r' ? MESSAGE_LINES_CRLF
									: MESSAGE_LINES_LF;
	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	header_line(r, line, true);
}

int
message_reader_feed(struct message_reader *r, struct slice bytes)
{
	while (bytes.len > 0 && !r->in_body && r->error == NULL)
		header_bytes(r, &bytes);
	if (r->error != NULL)
		return -1;
	body(r, bytes);
	return 0;
}

int
message_reader_end(struct message_reader *r)
{
	if (r->in_body || r->error != NULL)
		return r->error == NULL ? 0 : -1;
	header_line(r, strbuf_slice(&r->line), false);
	if (!r->in_body && r->error == NULL)
		end_header(r);
	return r->error == NULL ? 0 : -1;
}
