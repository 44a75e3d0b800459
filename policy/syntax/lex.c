/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/syntax/lex.h"

#include <string.h>

#include "policy/base/limits.h"

struct lex
lex_over(struct slice text)
{
	return (struct lex){ .text = text };
}

static void
fault(struct lex *l, const char *what)
{
	if (l->fault == NULL)
		l->fault = what;
}

/*
 * What stands inside a comment, a quoted string or a literal. RFC 5322 4.1 has control bytes in
 * its obsolete forms. DIFFERS: they are a fault here, because readers disagree about what a NUL or
 * a bare CR ends, and no mail that means well holds one.
 */
static void
check_byte(struct lex *l)
{
	unsigned char c = (unsigned char)l->text.p[l->at];
	char next = l->at + 1 < l->text.len ? l->text.p[l->at + 1] : '\0';

	if (c == '\n' ? !ascii_is_wsp(next) : c == '\r' && next != '\n')
		fault(l, "has a line break that is no fold");
	else if ((c < 0x20 && !ascii_is_space((char)c)) || c == 0x7f)
		fault(l, "has a control byte");
}

/*
 * At a backslash: on to the byte it quotes. RFC 5322 4.1 lets it quote CR and LF; a fold that
 * stands there quotes the blank behind it for those who unfold first: a fault.
 */
static void
step_to_quoted(struct lex *l)
{
	if (l->at + 1 >= l->text.len)
		return;
	l->at++;
	check_byte(l);
	if (l->text.p[l->at] == '\r' || l->text.p[l->at] == '\n')
		fault(l, "has a quoted line break");
}

bool
lex_take(struct lex *l, char c)
{
	if (lex_at_end(l) || l->text.p[l->at] != c)
		return false;
	l->at++;
	return true;
}

/* RFC 5322 3.2.2: comments may nest. The depth is counted: no recursion on input. */
static void
skip_comment(struct lex *l)
{
	size_t depth = 0;

	for (; !lex_at_end(l); l->at++) {
		char c = l->text.p[l->at];

		check_byte(l);
		if (c == '\\') {
			step_to_quoted(l);
		} else if (c == '(' && ++depth > LIMIT_COMMENT_DEPTH) {
			fault(l, "has comments nested too deep");
			l->at = l->text.len;
			return;
		} else if (c == ')' && --depth == 0) {
			l->at++;
			return;
		}
	}
	fault(l, "has a comment without end");
}

void
lex_skip(struct lex *l)
{
	l->blank = false;
	l->comment = false;
	while (!lex_at_end(l)) {
		char c = l->text.p[l->at];

		if (c == '(') {
			l->comment = true;
			skip_comment(l);
		} else if (ascii_is_space(c)) {
			l->blank = true;
			check_byte(l);
			l->at++;
		} else {
			return;
		}
	}
}

struct slice
lex_run(struct lex *l, bool (*is_member)(char))
{
	size_t start = l->at;

	while (!lex_at_end(l) && is_member(l->text.p[l->at])) {
		check_byte(l);
		l->at++;
	}
	return slice_sub(l->text, start, l->at - start);
}

/* Bytes of a quoted string behind its first quote, the last quote included. */
static size_t
quoted_length(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == '"')
			return i + 1;
		i += text.p[i] == '\\';
	}
	return text.len;
}

struct slice
lex_quoted(struct lex *l, struct arena *a)
{
	char *p = arena_alloc(a, quoted_length(slice_from(l->text, l->at + 1)) + 1);
	size_t len = 0;

	for (l->at++; !lex_at_end(l); l->at++) {
		check_byte(l);
		if (lex_take(l, '"'))
			return slice_of(p, len);
		if (lex_peek(l) == '\\')
			step_to_quoted(l);
		/* RFC 5322 3.2.4: the CRLF in FWS is invisible. */
		if (lex_peek(l) != '\r' && lex_peek(l) != '\n')
			p[len++] = lex_peek(l);
	}
	fault(l, "has a quoted string without end");
	return slice_of(p, len);
}

struct slice
lex_literal(struct lex *l)
{
	size_t start = l->at;

	for (; !lex_at_end(l); l->at++) {
		check_byte(l);
		if (l->text.p[l->at] == ']') {
			l->at++;
			return slice_sub(l->text, start, l->at - start);
		}
	}
	fault(l, "has a \"[\" without \"]\"");
	return slice_from(l->text, start);
}

/* Printable ASCII without the specials of RFC 5322 3.2.3: ()<>[]:;@\,." */
const bool lex_atext[256] = {
	['!'] = true,
	['#' ... '\''] = true,
	['*' ... '+'] = true,
	['-'] = true,
	['/' ... '9'] = true,
	['='] = true,
	['?'] = true,
	['A' ... 'Z'] = true,
	['^' ... '~'] = true,
	[0x80 ... 0xff] = true,
};

bool
lex_is_atext_or_control(char c)
{
	return lex_is_atext(c) || c == 0x7f || ((unsigned char)c < 0x20 && !ascii_is_space(c));
}

size_t
utf8_decode(struct slice text, size_t at, uint32_t *code_point_r)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char lead = (unsigned char)text.p[at];
	size_t len = lead < 0x80 ? 1 : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	uint32_t code = len < 2 ? lead : lead & (0x7fu >> len);

	if (len == 0 || lead >= 0xf8 || len > text.len - at)
		return 0;
	for (size_t i = 1; i < len; i++) {
		unsigned char c = (unsigned char)text.p[at + i];

		if ((c & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (c & 0x3f);
	}
	if (code < smallest[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*code_point_r = code;
	return len;
}

bool
utf8_is_valid(struct slice text)
{
	uint32_t code_point;
	size_t len;

	for (size_t at = 0; at < text.len; at += len) {
		len = utf8_decode(text, at, &code_point);
		if (len == 0)
			return false;
	}
	return true;
}
