/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "policy/sig/sig.h"

/* ---- header fields ---- */

static char *
put(char *out, const char *from, const char *to)
{
	size_t len = (size_t)(to - from);

	if (len > 0)
		memcpy(out, from, len);
	return out + len;
}

/*
 * RFC 6376 3.4.2: unfold, each run of WSP to one SP, none at either end. CR and LF are dropped only
 * where they fold, that is, as CRLF (header_list keeps a CR alone; it stays here as well).
 */
static char *
put_relaxed_value(char *out, struct slice value)
{
	bool blank = false, started = false;

	for (size_t i = 0; i < value.len; i++) {
		char c = value.p[i];

		if ((unsigned char)c <= ' ') { /* nearly all bytes are more */
			bool is_blank = ascii_is_wsp(c);

			if (is_blank || c == '\n' ||
			    (c == '\r' && i + 1 < value.len && value.p[i + 1] == '\n')) {
				/* "Unfold": CRLF goes; a fold has WSP beside it, the blank. */
				blank = blank || is_blank;
				continue;
			}
		}
		if (blank && started)
			*out++ = ' ';
		*out++ = c;
		started = true;
		blank = false;
	}
	return out;
}

size_t
sig_canon_field(enum sig_canon canon, struct slice name, struct slice value, char *out)
{
	char *start = out;

	switch (canon) {
	case SIG_SIMPLE: /* RFC 6376 3.4.1: not changed in any way */
		out = put(out, name.p, name.p + name.len);
		*out++ = ':';
		out = put(out, value.p, value.p + value.len);
		break;
	case SIG_RELAXED:
		name = header_name_trim(name);
		for (size_t i = 0; i < name.len; i++)
			*out++ = ascii_lower(name.p[i]);
		*out++ = ':';
		out = put_relaxed_value(out, value);
		break;
	}
	return (size_t)(out - start);
}

/* ---- body ---- */

void
sig_canon_body_init(struct sig_canon_body *b, enum sig_canon canon, sig_canon_sink *sink, void *ctx)
{
	*b = (struct sig_canon_body){ .canon = canon, .sink = sink, .ctx = ctx };
}

static void
hand_on(struct sig_canon_body *b, const char *p, size_t len)
{
	if (len > 0)
		b->sink(b->ctx, p, len);
}

/* A text full of tabs is all short runs, and a digest pays for each call: they are gathered. */
static void
flush_run(struct sig_canon_body *b)
{
	if (b->run_len > sizeof(b->gathered) - b->gathered_len) {
		hand_on(b, b->gathered, b->gathered_len);
		b->gathered_len = 0;
	}
	if (b->run_len > sizeof(b->gathered)) {
		hand_on(b, b->run, b->run_len);
	} else if (b->run_len > 0) {
		memcpy(b->gathered + b->gathered_len, b->run, b->run_len);
		b->gathered_len += b->run_len;
	}
	b->run_len = 0;
}

/* The chunk's memory is the caller's again; nothing is kept back that can be handed on. */
static void
flush_all(struct sig_canon_body *b)
{
	flush_run(b);
	hand_on(b, b->gathered, b->gathered_len);
	b->gathered_len = 0;
	b->held_lines_at = b->held_wsp_at = b->run = NULL;
}

/* Hand bytes on; what continues the run in memory only makes it longer. */
static void
emit(struct sig_canon_body *b, const char *p, size_t len)
{
	b->started = true;
	if (b->run_len > 0 && b->run + b->run_len == p) {
		b->run_len += len;
		return;
	}
	flush_run(b);
	b->run = p;
	b->run_len = len;
}

static void
emit_line_ends(struct sig_canon_body *b, uint64_t count)
{
	static const char ends[] =
	    "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
	const uint64_t most = (sizeof(ends) - 1) / 2;

	while (count > 0) {
		uint64_t n = count < most ? count : most;

		emit(b, ends, (size_t)(2 * n));
		flush_run(b); /* the same bytes may come again: they don't continue the run */
		count -= n;
	}
}

/* Text follows: lines that were held were not the last ones after all. */
static void
emit_held(struct sig_canon_body *b)
{
	if (b->held_lines > 0 && b->held_lines_at != NULL)
		emit(b, b->held_lines_at, (size_t)(2 * b->held_lines));
	else
		emit_line_ends(b, b->held_lines);
	b->held_lines = 0;
	/* RFC 6376 3.4.4: all WSP within a line to a single SP */
	if (b->held_wsp)
		emit(b, b->held_wsp_at != NULL ? b->held_wsp_at : " ", 1);
	b->held_wsp = false;
}

/* A line ends; its CRLF stands at at, or was cut in two (NULL). */
static void
hold_line(struct sig_canon_body *b, const char *at)
{
	if (b->held_lines == 0)
		b->held_lines_at = at;
	else if (b->held_lines_at != NULL && b->held_lines_at + 2 * b->held_lines != at)
		b->held_lines_at = NULL;
	b->held_lines++;
	b->held_wsp = false; /* RFC 6376 3.4.4: WSP at the end of a line is ignored */
}

/* ---- what can't go on as it is ---- */

/* Sixteen bytes at a time, in whatever registers the machine has. */
typedef unsigned char block __attribute__((vector_size(16)));
#define ALL(c)                                                                                     \
	{                                                                                          \
		c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c                                     \
	}

static const block all_tab = ALL('\t'), all_sp = ALL(' '), all_cr = ALL('\r'), all_lf = ALL('\n');

/*
 * The first byte from p on that is TAB, or SP with SP or CR behind it, or LF with CR behind it. All
 * else relaxed keeps as it is, but for blanks at the end of a piece. With less than a block left
 * it says where that begins: it may be wrong there, to the safe side.
 */
static const char *
next_odd(const char *p, const char *end)
{
	block here, next, odd;
	uint64_t halves[2];

	for (; end - p > (ptrdiff_t)sizeof(block); p += sizeof(block)) {
		memcpy(&here, p, sizeof(here));
		memcpy(&next, p + 1, sizeof(next));
		odd = (block)(here == all_tab) |
		    ((block)(here == all_sp) & (block)((next == all_sp) | (next == all_cr))) |
		    ((block)(here == all_lf) & (block)(next == all_cr));
		memcpy(halves, &odd, sizeof(halves));
		if ((halves[0] | halves[1]) == 0)
			continue;
		for (size_t i = 0;; i++)
			if (odd[i] != 0)
				return p + i;
	}
	return p;
}

/* The same to the very end, which it gives where there is none. */
static const char *
next_blank(const char *p, const char *end)
{
	for (p = next_odd(p, end); p < end; p++)
		if (*p == '\t' || (*p == ' ' && p + 1 < end && p[1] == ' '))
			break;
	return p;
}

/* p is no WSP. The end of the longest stretch from p that relaxed leaves as it is; *blank is what
 * next_blank() said last: a line is searched once however many there are. */
static const char *
clean_until(const char **blank, const char *p, const char *end)
{
	const char *until;

	if (*blank < p)
		*blank = next_blank(p, end);
	until = *blank;
	while (until > p && ascii_is_wsp(until[-1]))
		until--;
	return until;
}

/* A piece of one line, without line ends. */
static void
relaxed_text(struct sig_canon_body *b, const char *p, const char *end)
{
	const char *blank = next_blank(p, end);

	while (p < end) {
		const char *start = p;

		if (ascii_is_wsp(*p)) {
			while (p < end && ascii_is_wsp(*p))
				p++;
			b->held_wsp_at = !b->held_wsp && p == start + 1 && *start == ' ' ? start
											 : NULL;
			b->held_wsp = true;
			continue;
		}
		p = clean_until(&blank, p, end);
		emit_held(b);
		emit(b, start, (size_t)(p - start));
	}
}

static void
simple_text(struct sig_canon_body *b, const char *p, const char *end)
{
	if (p == end)
		return;
	emit_held(b);
	emit(b, p, (size_t)(end - p));
}

static void
text(struct sig_canon_body *b, const char *p, const char *end)
{
	switch (b->canon) {
	case SIG_SIMPLE:
		simple_text(b, p, end);
		return;
	case SIG_RELAXED:
		relaxed_text(b, p, end);
		return;
	}
}

/* The chunk before this one ended in CR: half a line end, or a byte like any other. */
static void
settle_cr(struct sig_canon_body *b, struct slice *chunk)
{
	static const char cr = '\r';

	b->held_cr = false;
	if (chunk->p[0] == '\n') {
		hold_line(b, NULL);
		*chunk = slice_from(*chunk, 1);
	} else {
		text(b, &cr, &cr + 1);
	}
}

/*
 * Lines from the start of one that are the same in the canonical form: handed on in one piece but
 * for the last line end, which is held. Returns where the first line begins that is not, or may not
 * be.
 */
static const char *
clean_lines(struct sig_canon_body *b, const char *line, const char *end)
{
	const char *p = line;

	if (b->held_wsp || line == end || *line == '\r')
		return line;
	for (p = next_odd(line, end); p - line >= 2; p--)
		if (p[-1] == '\n' && p[-2] == '\r')
			break;
	if (p - line < 2)
		return line;
	emit_held(b);
	emit(b, line, (size_t)(p - 2 - line));
	hold_line(b, p - 2);
	return p;
}

static bool
ends_a_line(const char *start, const char *end)
{
	return end - start >= 2 && end[-1] == '\n' && end[-2] == '\r';
}

/* Nothing is changed but for the line ends at the very end, so only those need to be looked for. */
static void
simple_lines(struct sig_canon_body *b, const char *p, const char *end)
{
	const char *last = end;

	while (ends_a_line(p, last))
		last -= 2;
	simple_text(b, p, last);
	for (; last < end; last += 2)
		hold_line(b, last);
}

/* Lines from p on; the last one may go on in the next chunk. */
static void
relaxed_lines(struct sig_canon_body *b, const char *p, const char *end)
{
	const char *line, *lf;

	p = line = clean_lines(b, p, end);
	while (p < end && (lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		p = lf + 1;
		if (lf > line && lf[-1] == '\r') {
			relaxed_text(b, line, lf - 1);
			hold_line(b, lf - 1);
			p = line = clean_lines(b, p, end);
		}
	}
	relaxed_text(b, line, end);
}

void
sig_canon_body_update(struct sig_canon_body *b, struct slice chunk)
{
	if (chunk.len > 0 && b->held_cr)
		settle_cr(b, &chunk);
	if (chunk.len > 0 && chunk.p[chunk.len - 1] == '\r') {
		b->held_cr = true;
		chunk.len--;
	}
	if (chunk.len > 0) {
		switch (b->canon) {
		case SIG_SIMPLE:
			simple_lines(b, chunk.p, chunk.p + chunk.len);
			break;
		case SIG_RELAXED:
			relaxed_lines(b, chunk.p, chunk.p + chunk.len);
			break;
		}
	}
	flush_all(b);
}

bool
sig_canon_forms_agree(struct slice chunk)
{
	const char *p, *end;

	if (chunk.len == 0)
		return true;
	end = chunk.p + chunk.len;
	for (p = next_odd(chunk.p, end); p < end; p = next_odd(p + 1, end))
		if (*p == '\t' ||
		    (*p == ' ' && (p + 1 == end || p[1] == ' ' || p[1] == '\t' || p[1] == '\r')))
			return false;
	return true;
}

void
sig_canon_body_follow(struct sig_canon_body *b, const struct sig_canon_body *other)
{
	b->held_lines = other->held_lines;
	b->held_cr = other->held_cr;
	b->started = other->started;
}

void
sig_canon_body_end(struct sig_canon_body *b)
{
	static const char cr = '\r';

	if (b->held_cr)
		text(b, &cr, &cr + 1);
	b->held_cr = false;
	/*
	 * RFC 6376 3.4.3: trailing empty lines go, one CRLF ends the body, and is the whole of an
	 * empty one. 3.4.4: the same, but an empty body stays empty.
	 */
	if (b->started || b->canon == SIG_SIMPLE)
		emit_line_ends(b, 1);
	flush_all(b);
}
