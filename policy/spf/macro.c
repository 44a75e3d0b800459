/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "policy/base/limits.h"
#include "policy/base/num.h"
#include "policy/base/strbuf.h"
#include "policy/spf/internal.h"

/* The longest value is %{s}; what is longer (a HELO of a thousand bytes) is cut. */
#define VALUE_MAX (LIMIT_LOCAL_PART_BYTES + 1 + LIMIT_DOMAIN_BYTES)

/* Of a name that grows only its end matters. Cut to NAME_KEEP whenever past NAME_FULL: a token adds
 * at most three times VALUE_MAX, so nothing is lost. */
#define NAME_KEEP  (2 * LIMIT_DOMAIN_BYTES)
#define NAME_FULL  2048
#define NAME_TOKEN (3 * VALUE_MAX)

#define LETTERS		    "slodiphv"
#define LETTERS_EXPLANATION "crt" /* RFC 7208 7.2: allowed only in "exp" text */
#define DELIMITERS	    ".-+,/_="

/* ---- reading ---- */

static bool
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* Inside the braces: macro-letter transformers *delimiter. */
static const char *
parse_expand(struct slice body, struct spf_macro *m)
{
	size_t i = 1;

	if (body.len == 0)
		return "an empty macro";
	m->letter = ascii_lower(body.p[0]);
	m->escape = m->letter != body.p[0];
	if (!is_one_of(m->letter, LETTERS) && !is_one_of(m->letter, LETTERS_EXPLANATION))
		return "no such macro letter";
	while (i < body.len && ascii_is_digit(body.p[i]))
		i++;
	/* RFC 7208 7.3: the value MUST be nonzero; more than there can be parts means all of them
	 */
	if (i > 1 && num_u32(slice_sub(body, 1, i - 1), 0, VALUE_MAX, &m->keep) != 0)
		m->keep = VALUE_MAX;
	if (i > 1 && m->keep == 0)
		return "a macro that keeps zero parts";
	m->reverse = i < body.len && ascii_lower(body.p[i]) == 'r';
	i += m->reverse;
	m->delimiters = slice_from(body, i);
	for (; i < body.len; i++)
		if (!is_one_of(body.p[i], DELIMITERS))
			return "not a macro delimiter";
	return NULL;
}

int
spf_macro_next(struct slice *rest, struct spf_macro *m, const char **fault_r)
{
	size_t n = slice_find(*rest, '%');
	char c;

	if (rest->len == 0)
		return 0;
	*m = (struct spf_macro){ .expand = n == 0 };
	if (n != 0) {
		m->literal = slice_sub(*rest, 0, n);
		*rest = slice_from(*rest, m->literal.len);
		return 1;
	}
	c = rest->len > 1 ? rest->p[1] : '\0';
	n = 2;
	if (c == '{') {
		n = slice_find(*rest, '}');
		if (n == SLICE_NONE) {
			*fault_r = "a macro without its closing brace";
			return -1;
		}
		*fault_r = parse_expand(slice_sub(*rest, 2, n - 2), m);
		if (*fault_r != NULL)
			return -1;
		n++;
	} else if (c == '%') {
		m->literal = SLICE("%");
	} else if (c == '_') {
		m->literal = SLICE(" ");
	} else if (c == '-') {
		m->literal = SLICE("%20");
	} else {
		/* RFC 7208 7.3: a '%' not followed by '{', '%', '-' or '_' is a syntax error */
		*fault_r = "\"%\" is not followed by \"{\", \"%\", \"-\" or \"_\"";
		return -1;
	}
	*rest = slice_from(*rest, n);
	return 1;
}

enum kind { DOMAIN_SPEC, MACRO_STRING, EXPLAIN_STRING };

/* Walk all tokens; *tail_r is the literal text at the end, empty if the last token is none. */
static const char *
walk(struct slice text, enum kind kind, struct slice *tail_r)
{
	struct spf_macro m;
	const char *fault = NULL;
	int rc;

	*tail_r = slice_of(NULL, 0);
	while ((rc = spf_macro_next(&text, &m, &fault)) == 1) {
		*tail_r = m.expand ? slice_of(NULL, 0) : m.literal;
		for (size_t i = 0; i < tail_r->len; i++)
			if (tail_r->p[i] < (kind == EXPLAIN_STRING ? 0x20 : 0x21) ||
			    tail_r->p[i] > 0x7e)
				return "a byte that is not visible ASCII";
		if (kind == DOMAIN_SPEC && m.letter != 0 &&
		    is_one_of(m.letter, LETTERS_EXPLANATION))
			return "%{c}, %{r} and %{t} are for explanation texts only";
	}
	return rc == 0 ? NULL : fault;
}

/* toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum ) */
static const char *
toplabel_fault(struct slice label)
{
	bool digits = true;

	if (label.len == 0 || label.p[0] == '-' || label.p[label.len - 1] == '-')
		return "the last label is empty, or begins or ends with \"-\"";
	for (size_t i = 0; i < label.len; i++) {
		if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-')
			return "the last label has other characters than letters, digits and \"-\"";
		digits = digits && ascii_is_digit(label.p[i]);
	}
	return digits ? "the last label is a number: addresses need ip4: or ip6:" : NULL;
}

const char *
spf_domain_spec_fault(struct slice text)
{
	struct slice tail;
	const char *fault;
	size_t dot;

	if (text.len == 0)
		return "the domain is empty";
	fault = walk(text, DOMAIN_SPEC, &tail);
	if (fault != NULL || tail.len == 0)
		return fault; /* domain-end = macro-expand */
	if (tail.p[tail.len - 1] == '.')
		tail.len--;
	dot = slice_find_last(tail, '.');
	if (dot == SLICE_NONE)
		return "the domain must end in a dot and a label, or in a macro";
	return toplabel_fault(slice_from(tail, dot + 1));
}

const char *
spf_macro_string_fault(struct slice text)
{
	struct slice tail;

	return walk(text, MACRO_STRING, &tail);
}

const char *
spf_explain_string_fault(struct slice text)
{
	struct slice tail;

	return walk(text, EXPLAIN_STRING, &tail);
}

bool
spf_macro_uses(struct slice text, const char *letters)
{
	struct spf_macro m;
	const char *fault;

	while (spf_macro_next(&text, &m, &fault) == 1)
		if (m.letter != 0 && is_one_of(m.letter, letters))
			return true;
	return false;
}

/* ---- expanding ---- */

static void
add_escaped(struct strbuf *out, struct slice s)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		/* RFC 3986 2.3: unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~" */
		if (ascii_is_alnum(s.p[i]) || is_one_of(s.p[i], "-._~")) {
			strbuf_char(out, s.p[i]);
		} else {
			strbuf_char(out, '%');
			strbuf_char(out, digits[c >> 4]);
			strbuf_char(out, digits[c & 15]);
		}
	}
}

/* Parts between delimiters, empty ones too (RFC 7208 7.3). parts has room for VALUE_MAX + 1. */
static size_t
split(struct slice value, const char *delimiters, struct slice *parts)
{
	size_t n = 0, start = 0;

	for (size_t i = 0; i <= value.len; i++)
		if (i == value.len || is_one_of(value.p[i], delimiters)) {
			parts[n++] = slice_of(value.p + start, i - start);
			start = i + 1;
		}
	return n;
}

static void
add_value(struct strbuf *out, const struct spf_macro *m, struct slice value)
{
	struct slice parts[VALUE_MAX + 1];
	char delimiters[sizeof(DELIMITERS)] = ".";
	size_t count, first = 0;

	/* Repeated delimiters change nothing: the set is what counts. */
	if (m->delimiters.len > 0) {
		size_t n = 0;

		for (const char *d = DELIMITERS; *d != '\0'; d++)
			if (slice_find(m->delimiters, *d) != SLICE_NONE)
				delimiters[n++] = *d;
		delimiters[n] = '\0';
	}
	count = split(value, delimiters, parts);
	if (m->keep != 0 && m->keep < count)
		first = count - m->keep;
	for (size_t i = first; i < count; i++) {
		struct slice part = parts[m->reverse ? count - 1 - i : i];

		/* RFC 7208 7.3: rejoined using "." and not the original splitting characters */
		if (i > first)
			strbuf_char(out, '.');
		if (m->escape)
			add_escaped(out, part);
		else
			strbuf_add(out, part);
	}
}

static void
add_token(struct strbuf *out, const struct spf_macro *m, const struct spf_macro_values *values)
{
	struct slice value;

	if (m->letter == 0) {
		strbuf_add(out, m->literal);
		return;
	}
	value = slice_sub(SPF_MACRO_VALUE(values, m->letter), 0, VALUE_MAX);
	if (value.len > 0)
		add_value(out, m, value);
}

static void
keep_right(struct strbuf *b, size_t bytes)
{
	if (b->len <= bytes)
		return;
	memmove(b->p, b->p + b->len - bytes, bytes);
	b->len = bytes;
}

struct slice
spf_macro_name(struct arena *a, const struct spf_macro_values *values, struct slice text)
{
	struct spf_macro m;
	struct strbuf b;
	struct slice name;
	const char *fault;

	strbuf_init(&b, a, NAME_FULL + NAME_TOKEN);
	while (spf_macro_next(&text, &m, &fault) == 1) {
		if (m.literal.len > NAME_KEEP)
			m.literal = slice_from(m.literal, m.literal.len - NAME_KEEP);
		add_token(&b, &m, values);
		if (b.len > NAME_FULL)
			keep_right(&b, NAME_KEEP);
	}
	name = strbuf_slice(&b);
	if (name.len > 0 && name.p[name.len - 1] == '.')
		name.len--;
	/* RFC 7208 7.3: remove successive labels from the left until 253 characters are left */
	while (name.len > LIMIT_DOMAIN_BYTES) {
		size_t dot = slice_find(name, '.');

		if (dot == SLICE_NONE)
			break;
		name = slice_from(name, dot + 1);
	}
	return name;
}

struct slice
spf_macro_explanation(struct arena *a, const struct spf_macro_values *values, struct slice text)
{
	struct spf_macro m;
	struct strbuf b;
	const char *fault;

	strbuf_init(&b, a, LIMIT_SPF_EXPLANATION_BYTES);
	while (!b.truncated && spf_macro_next(&text, &m, &fault) == 1)
		add_token(&b, &m, values);
	return strbuf_slice(&b);
}
