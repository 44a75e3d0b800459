/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RFC 8601 section 5: a field that claims our authserv-id must go. The question is not only what
 * RFC 8601 reads in it but what any reader behind us might: a mail program with a looser parser
 * than ours must not find a verdict of ours that somebody else wrote. So the id is looked for
 *
 *      where the grammar has it, compared as a whole name, never as a prefix;
 *      in what stands before it: comments that some readers see the end of elsewhere;
 *      in the text before the first ";" with blanks, comments, quotes and control bytes taken out;
 *      and, when the grammar can't read the field up to its first ";", as a whole name anywhere.
 *
 * And whosever it is: in a version that we don't know nobody can say what is in it.
 */
#include "policy/authres/authres.h"
#include "policy/authres/internal.h"
#include "policy/base/limits.h"
#include "policy/base/num.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/domain.h"

#define HEAD_BYTES 1024 /* of the text before ";" that are joined; no id is longer */

struct claim {
	struct arena *arena;
	const struct slice *ids;
	struct slice *normal_forms; /* of ids; empty for an id that is no domain */
	size_t id_count;
	size_t names_8bit; /* names with U-labels that were compared */
};

static struct slice
without_final_dot(struct slice s)
{
	return s.len > 0 && s.p[s.len - 1] == '.' ? slice_sub(s, 0, s.len - 1) : s;
}

/* RFC 8601 2.5: an authserv-id may hold U-labels; then both sides are compared as A-labels. */
static bool
is_ours(struct claim *c, struct slice name)
{
	struct slice form;
	const char *why;

	name = form = without_final_dot(name);
	if (!slice_is_ascii(name)) {
		if (++c->names_8bit > LIMIT_AUTHRES_LABELS)
			return true;
		if (domain_normalize(c->arena, name, &form, &why) != 0)
			form = name;
	}
	for (size_t i = 0; i < c->id_count && name.len > 0; i++)
		if (slice_equal_nocase(name, without_final_dot(c->ids[i])) ||
		    slice_equal_nocase(form, c->normal_forms[i]))
			return true;
	return false;
}

static bool
is_name_byte(char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_' || c == '.' || (unsigned char)c >= 0x80;
}

/* Does one of our ids stand in text, as a whole name? */
static bool
mentions_us(struct claim *c, struct slice text)
{
	for (struct lex l = lex_over(text); !lex_at_end(&l);) {
		struct slice name = lex_run(&l, is_name_byte);

		if (name.len == 0)
			l.at++;
		else if (is_ours(c, name))
			return true;
	}
	return false;
}

/* The text before the first ";" without blanks, comments, quotes, backslashes, control bytes. */
static struct slice
join_head(struct arena *a, struct slice value)
{
	struct lex l = lex_over(value);
	struct strbuf b;

	strbuf_init(&b, a, HEAD_BYTES);
	for (lex_skip(&l); !lex_at_end(&l) && lex_peek(&l) != ';' && !b.truncated; lex_skip(&l)) {
		char byte = lex_peek(&l);

		/* A version is no part of the name. */
		if (l.blank && ascii_is_digit(byte) && b.len > 0 && b.p[b.len - 1] != '.')
			break;
		if ((unsigned char)byte > 0x20 && byte != 0x7f && byte != '"' && byte != '\\')
			strbuf_char(&b, byte);
		l.at++;
	}
	return strbuf_slice(&b);
}

/* Has the text an RFC 2047 encoded word? Many libraries decode first and parse then. */
static bool
has_encoded_word(struct slice text)
{
	for (size_t i = 0; i + 1 < text.len; i++)
		if (text.p[i] == '=' && text.p[i + 1] == '?')
			return true;
	return false;
}

/* RFC 8601 5: one that bears a version that is not supported MUST be removed. Here: behind the id.
 */
static bool
is_version_unknown(struct lex *l)
{
	struct slice digits = l->blank || l->comment ? lex_run(l, ascii_is_digit)
						     : slice_of(NULL, 0);
	uint32_t version;

	return digits.len > 0 && num_u32(digits, 1, 1, &version) != 0;
}

bool
authres_must_go(struct arena *a, struct slice value, const struct slice *ids, size_t id_count)
{
	struct claim c = { .arena = a, .ids = ids, .id_count = id_count };
	struct lex l = lex_over(value);
	struct slice id;
	const char *why;
	bool unknown, readable;

	c.normal_forms = arena_array(a, id_count, sizeof(*c.normal_forms));
	for (size_t i = 0; i < id_count; i++)
		if (domain_normalize(a, ids[i], &c.normal_forms[i], &why) != 0)
			c.normal_forms[i] = slice_of(NULL, 0);
	lex_skip(&l);
	if (mentions_us(&c, slice_sub(value, 0, l.at)))
		return true;
	id = lex_peek(&l) == '"' ? lex_quoted(&l, a) : lex_run(&l, authres_is_token);
	if (is_ours(&c, id) || is_ours(&c, join_head(a, value)))
		return true;
	lex_skip(&l);
	unknown = is_version_unknown(&l);
	lex_skip(&l);
	readable = id.len > 0 && l.fault == NULL && (lex_at_end(&l) || lex_peek(&l) == ';');
	return readable ? unknown : has_encoded_word(value) || mentions_us(&c, value);
}
