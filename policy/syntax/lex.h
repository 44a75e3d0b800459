/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         lex - the pieces structured header fields are made of
 * DESCRIPTION  A cursor over one field value with the lexical tokens of RFC 5322 3.2: CFWS,
 *              comments, quoted strings, domain literals and runs of a class of bytes. The callers
 *              (mailbox, authres) hold the grammar. Every call goes forward or stays; none goes
 *              past the end.
 * DIAGNOSTICS  fault is the first thing met that RFC 5322 doesn't cover. It is sticky: reading goes
 *              on, and the caller looks once, at the end.
 * BUGS         UTF-8 (RFC 6532) counts as atext without being decoded: see utf8_is_valid().
 */
#ifndef ASSAY_LEX_H
#define ASSAY_LEX_H

#include <stdint.h>

#include "policy/base/arena.h"

struct lex {
	struct slice text;
	size_t at;
	const char *fault; /* static text */
	bool blank;	   /* the last lex_skip() passed white space */
	bool comment;	   /* ... passed a comment */
};

struct lex lex_over(struct slice text);

static inline bool
lex_at_end(const struct lex *l)
{
	return l->at >= l->text.len;
}

/* The byte at the cursor; '\0' at the end too: ask lex_at_end(). */
static inline char
lex_peek(const struct lex *l)
{
	return lex_at_end(l) ? '\0' : l->text.p[l->at];
}

/* Step over c if it is next. */
bool lex_take(struct lex *l, char c);

/*
 * Step over CFWS. A comment without end takes the rest of the text; so does one that nests deeper
 * than LIMIT_COMMENT_DEPTH, because nobody knows where its other readers give up.
 */
void lex_skip(struct lex *l);

/* The longest run of bytes of a class; empty when the next byte is not one. Borrows from text. */
struct slice lex_run(struct lex *l, bool (*is_member)(char));

/*
 * The quoted string at the cursor, which stands on its quote: contents without quoted-pairs and
 * folds, arena memory. One without end takes the rest of the text.
 */
struct slice lex_quoted(struct lex *l, struct arena *a);

/* The same for "[...]", brackets kept (RFC 5322 3.4.1: domain-literal); borrows from text. */
struct slice lex_literal(struct lex *l);

/* RFC 5322 3.2.3 atext, RFC 6532 3.2: bytes from 0x80 on. */
extern const bool lex_atext[256];

static inline bool
lex_is_atext(char c)
{
	return lex_atext[(unsigned char)c];
}

/* Anything but specials and white space: atext and the control bytes that have no place there. */
bool lex_is_atext_or_control(char c);

/*
 * The character at text[at]: bytes it takes, or 0 when they are not UTF-8 (RFC 3629: no overlong
 * forms, no surrogates, nothing above U+10FFFF). at must be inside.
 */
size_t utf8_decode(struct slice text, size_t at, uint32_t *code_point_r);

bool utf8_is_valid(struct slice text);

#endif
