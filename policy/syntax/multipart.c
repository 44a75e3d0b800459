/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/syntax/multipart.h"

enum kind { TEXT, DELIMITER, LAST };

static enum kind
kind_of(struct slice line, struct slice boundary)
{
	if (!slice_starts(line, SLICE("--")) || !slice_starts(slice_from(line, 2), boundary))
		return TEXT;
	line = slice_from(line, 2 + boundary.len);
	if (slice_starts(line, SLICE("--")))
		return LAST;
	return slice_trim(line).len == 0 ? DELIMITER : TEXT;
}

static struct slice
line_at(struct slice s, size_t at)
{
	size_t end = slice_find(slice_from(s, at), '\n');

	return end == SLICE_NONE ? slice_from(s, at) : slice_sub(s, at, end + 1);
}

static struct slice
without_line_end(struct slice s)
{
	if (s.len > 0 && s.p[s.len - 1] == '\n')
		s.len--;
	if (s.len > 0 && s.p[s.len - 1] == '\r')
		s.len--;
	return s;
}

/* What stands before the next delimiter; behind that the body goes on. TEXT: there is none. */
static enum kind
read_up_to_delimiter(struct multipart *m, struct slice *before)
{
	size_t from = m->at;

	while (m->at < m->body.len) {
		struct slice line = line_at(m->body, m->at);
		enum kind kind = kind_of(line, m->boundary);

		*before = slice_sub(m->body, from, m->at - from);
		m->at += line.len;
		if (kind == TEXT)
			continue;
		*before = without_line_end(*before);
		return kind;
	}
	*before = slice_from(m->body, from);
	return TEXT;
}

bool
multipart_next(struct multipart *m, struct slice *part)
{
	if (m->place == MULTIPART_BEFORE)
		m->place = m->boundary.len > 0 && read_up_to_delimiter(m, part) == DELIMITER
		    ? MULTIPART_INSIDE
		    : MULTIPART_BEHIND;
	if (m->place != MULTIPART_INSIDE)
		return false;
	if (read_up_to_delimiter(m, part) != DELIMITER)
		m->place = MULTIPART_BEHIND;
	return true;
}
