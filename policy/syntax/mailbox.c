/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One pass over the tokens of a From value, as a flat machine: an element is what stands between
 * commas, and inside it words pile up until an "@", a "<" or a ":" says what they were. Each turn
 * eats at least one token. What the grammar doesn't know sets malformed and reading goes on, so
 * that an address behind the fault is still seen.
 *
 * malformed is wider than RFC 5322. DIFFERS: an address is malformed too when the grammar has one
 * reading of it and mail programs are known to have another. The domain we would judge by is then
 * not the domain that people see, and a pass for it is worth nothing. Each such place says so.
 */
#include "policy/syntax/mailbox.h"

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/domain.h"
#include "policy/syntax/lex.h"

/* Atoms, quoted strings and dots in a row: a phrase, a local-part, or neither. */
struct words {
	struct strbuf text; /* unquoted, the dots in it, without what stood between */
	size_t count;	    /* dots counted too */
	bool dot_last;
	bool is_phrase;	    /* RFC 5322 4.1 obs-phrase: begins with a word */
	bool is_local_part; /* RFC 5322 4.4 obs-local-part: words with one dot between */
	bool is_spaced;	    /* CFWS between */
};

struct reader {
	struct arena *arena;
	struct lex lex;
	struct author *out;
	struct words words;
	size_t addresses; /* in this element */
	bool in_group, after_group, in_angle;
	bool after_angle; /* this element has had a "<" */
	bool bare_name;	  /* words that belong to no address were met */
	bool full;	  /* more than LIMIT_AUTHORS: nothing more is read, which bounds memory */
};

static void
malformed(struct author *out, const char *why)
{
	if (out->malformed == NULL)
		out->malformed = why;
}

static void
odd(struct author *out, const char *why)
{
	if (out->odd == NULL)
		out->odd = why;
}

static void
words_start(struct reader *r)
{
	struct strbuf text = r->words.text;

	text.len = 0; /* one buffer for all: a field of commas must not cost one each */
	r->words = (struct words){ .text = text, .is_phrase = true, .is_local_part = true };
}

static void
words_add(struct reader *r, struct slice text, bool is_dot)
{
	struct words *w = &r->words;

	if (r->after_group || r->addresses > 0)
		malformed(r->out, "has text behind an address");
	if (w->count == 0)
		w->is_phrase = w->is_local_part = !is_dot;
	else
		w->is_local_part &= w->dot_last != is_dot;
	if (w->count > 0 && (r->lex.blank || r->lex.comment))
		w->is_spaced = true;
	w->dot_last = is_dot;
	w->count++;
	strbuf_add(&w->text, text);
}

static bool
contains(struct slice text, const char *needle)
{
	struct slice n = slice_str(needle);

	for (size_t i = 0; i + n.len <= text.len; i++)
		if (slice_starts(slice_from(text, i), n))
			return true;
	return false;
}

/*
 * Characters that look like an "@", or that turn or hide what stands around them: bidirectional
 * controls, zero width, C1 controls.
 */
static bool
is_deceptive(uint32_t c)
{
	return (c >= 0x80 && c <= 0x9f) || (c >= 0x200b && c <= 0x200f) ||
	    (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	    c == 0xfe6b || c == 0xff20;
}

/* Could a person be shown an address in this local-part? Static text, or NULL. */
static const char *
local_part_fault(struct slice local_part)
{
	uint32_t code_point;
	size_t len;

	if (local_part.len > LIMIT_LOCAL_PART_BYTES)
		return "has a local part longer than 256 bytes";
	/* DIFFERS: <"a <x@y>"@example.com> is RFC 5322; readers that look for "@" find x@y. */
	for (size_t i = 0; i < local_part.len; i++)
		if (slice_find(SLICE("@<>"), local_part.p[i]) != SLICE_NONE)
			return "has a local part that looks like an address";
	/* RFC 2047 5: an encoded-word MUST NOT appear in any portion of an addr-spec. */
	if (contains(local_part, "=?") && contains(local_part, "?="))
		return "has an encoded word in an address";
	for (size_t at = 0; at < local_part.len; at += len) {
		len = utf8_decode(local_part, at, &code_point);
		if (len == 0)
			return "is not UTF-8"; /* RFC 6532 3.1 */
		if (is_deceptive(code_point))
			return "has a local part that looks like an address";
	}
	return NULL;
}

static void
add_mailbox(struct reader *r, struct slice local_part, struct slice domain)
{
	struct author *out = r->out;

	if (out->mailbox_count == LIMIT_AUTHORS) {
		malformed(out, "has more than 32 addresses");
		r->full = true;
		return;
	}
	out->mailboxes[out->mailbox_count++] = (struct mailbox){ local_part, domain };
	for (size_t i = 0; i < out->domain_count; i++)
		if (slice_equal(out->domains[i], domain))
			return;
	if (domain.len > 0)
		out->domains[out->domain_count++] = domain;
}

/*
 * Behind the "@": dot-atom or obs-domain (RFC 5322 3.4.1, 4.4), joined in *text. A dot at the end
 * is outside the grammar, but read (one final dot means the same name).
 */
static void
join_domain(struct reader *r, struct strbuf *text)
{
	struct lex *l = &r->lex;
	bool gap = false;

	for (;;) {
		size_t before = l->at;
		struct slice atom = lex_run(l, lex_is_atext_or_control);

		strbuf_add(text, atom);
		if (atom.len > 0) {
			before = l->at;
			lex_skip(l);
			gap = l->blank || l->comment;
		}
		if (lex_peek(l) != '.') {
			l->at = before; /* the CFWS belongs to what follows */
			return;
		}
		(void)lex_take(l, '.');
		strbuf_char(text, '.');
		lex_skip(l);
		gap |= l->blank || l->comment;
		/* DIFFERS: <a@bank.example (x) .evil.example>; many readers stop at the blank. */
		if (gap)
			malformed(r->out, "has blanks or comments within a domain");
		gap = false;
		if (!lex_is_atext_or_control(lex_peek(l)) && lex_peek(l) != '.')
			return;
	}
}

/* The domain in normal form, or empty with malformed set. */
static struct slice
read_domain(struct reader *r)
{
	struct strbuf text;
	struct slice domain = { NULL, 0 };
	const char *why;

	/* DIFFERS: a comment between "@" and domain is RFC 5322 and shown to people as a domain. */
	lex_skip(&r->lex);
	if (r->lex.comment)
		malformed(r->out, "has a comment within an address");
	if (lex_peek(&r->lex) == '[') {
		(void)lex_literal(&r->lex);
		malformed(r->out, "has an address literal for a domain");
		return domain;
	}
	strbuf_init(&text, r->arena, LIMIT_AUTHOR_BYTES);
	join_domain(r, &text);
	if (text.len == 0)
		malformed(r->out, "has an address without a domain");
	else if (domain_normalize(r->arena, strbuf_slice(&text), &domain, &why) != 0)
		malformed(r->out, arena_printf(r->arena, "has a domain that %s", why));
	else if (!domain_is_host_name(domain))
		malformed(r->out, "has a domain with a byte that no host name holds");
	else if (text.p[text.len - 1] == '.')
		malformed(r->out, "has a domain that ends in a dot");
	if (!domain_is_host_name(domain))
		return slice_of(NULL, 0);
	return domain;
}

/* At "@": the words so far were a local-part; the domain follows. */
static void
on_at(struct reader *r)
{
	struct slice local_part = arena_copy(r->arena, strbuf_slice(&r->words.text));
	const char *why = local_part_fault(local_part);

	(void)lex_take(&r->lex, '@');
	if (r->addresses > 0 || r->after_group)
		malformed(r->out, "has more than one address where one belongs");
	if (r->words.count == 0)
		malformed(r->out, "has an address without a local part");
	else if (!r->words.is_local_part || r->words.dot_last)
		malformed(r->out, "has a local part that is not one");
	else if (r->words.is_spaced)
		/* DIFFERS: RFC 5322 4.4 lets CFWS stand around the dots; see join_domain(). */
		malformed(r->out, "has blanks or comments within a local part");
	if (r->words.count > 0 && r->lex.comment)
		malformed(r->out, "has a comment within an address");
	if (why != NULL)
		malformed(r->out, why);
	add_mailbox(r, local_part, read_domain(r));
	r->addresses++;
	words_start(r);
}

/*
 * RFC 5322 4.4 obs-route, "<@a,@b:c@d>": the route SHOULD be ignored. DIFFERS: it is, but whoever
 * searches for the first "@" shows a domain of it.
 */
static void
skip_route(struct reader *r)
{
	struct lex *l = &r->lex;
	size_t start = l->at;
	struct strbuf ignored;

	strbuf_init(&ignored, r->arena, LIMIT_AUTHOR_BYTES);
	while (lex_peek(l) == '@' || lex_peek(l) == ',') {
		if (lex_take(l, '@')) {
			lex_skip(l);
			if (lex_peek(l) == '[')
				(void)lex_literal(l);
			else
				join_domain(r, &ignored);
		} else {
			(void)lex_take(l, ',');
		}
		lex_skip(l);
	}
	malformed(r->out, "has a source route");
	if (!lex_take(l, ':'))
		l->at = start; /* no route: an address without local part */
}

static void
on_angle_open(struct reader *r)
{
	(void)lex_take(&r->lex, '<');
	if (r->in_angle)
		malformed(r->out, "has a \"<\" within angle brackets");
	/* "a@b.example <a@b.example>" is common and wrong. Both count as authors, so one that shows
	 * another domain than it has is refused for having two. */
	if (r->addresses == 1 && !r->after_angle && !r->after_group) {
		odd(r->out, "has an unquoted address for a display name");
		r->addresses = 0;
	} else if (r->addresses > 0 || r->after_group) {
		malformed(r->out, "has more than one address where one belongs");
	}
	if (!r->words.is_phrase)
		malformed(r->out, "has a display name that is not a phrase");
	r->in_angle = true;
	r->after_angle = true;
	words_start(r);
	lex_skip(&r->lex);
	if (lex_peek(&r->lex) == '@' || lex_peek(&r->lex) == ',')
		skip_route(r);
}

/* Words that no "@" made an address of: "joe", "<joe>". */
static void
flush_words(struct reader *r)
{
	if (r->addresses == 0 && r->words.count > 0) {
		struct slice words = strbuf_slice(&r->words.text);

		/* "Acme, Inc. <a@acme.example>" wants quotes, and shows nobody another domain; a
		 * quoted address that is no display name does. */
		if (r->in_angle) {
			malformed(r->out, "has a name without an address");
			add_mailbox(r, arena_copy(r->arena, words), slice_of(NULL, 0));
		} else if (slice_find(words, '@') != SLICE_NONE) {
			malformed(r->out, "has a quoted address where an address belongs");
		} else {
			r->bare_name = true;
		}
		r->addresses++;
	}
	words_start(r);
}

static void
on_angle_close(struct reader *r)
{
	(void)lex_take(&r->lex, '>');
	if (!r->in_angle)
		malformed(r->out, "has a \">\" without \"<\"");
	if (r->addresses == 0 && r->words.count == 0)
		malformed(r->out, "has empty angle brackets");
	flush_words(r);
	r->in_angle = false;
}

static void
end_element(struct reader *r)
{
	if (r->in_angle)
		malformed(r->out, "has a \"<\" without \">\"");
	flush_words(r);
	r->in_angle = false;
	r->after_angle = false;
	r->after_group = false;
	r->addresses = 0;
}

/* RFC 6854: group = display-name ":" [group-list] ";" */
static void
on_colon(struct reader *r)
{
	(void)lex_take(&r->lex, ':');
	if (r->in_group || r->in_angle || r->addresses > 0 || r->after_group)
		malformed(r->out, "has a colon out of place");
	else if (r->words.count == 0 || !r->words.is_phrase)
		malformed(r->out, "has a group without a name");
	words_start(r);
	r->in_group = true;
}

static void
on_semicolon(struct reader *r)
{
	bool in_group = r->in_group;

	(void)lex_take(&r->lex, ';');
	if (!in_group || r->in_angle)
		malformed(r->out, "has a semicolon out of place");
	end_element(r);
	r->in_group = false;
	r->after_group = in_group;
}

/* "[Acme]": nothing in it that another reader would take for a quote, a comment or an address. */
static bool
is_plain(struct slice literal)
{
	for (size_t i = 0; i < literal.len; i++)
		if (slice_find(SLICE("\"(),:;<>@\\"), literal.p[i]) != SLICE_NONE)
			return false;
	return true;
}

static void
on_other(struct reader *r)
{
	struct slice atom = lex_run(&r->lex, lex_is_atext_or_control);

	if (atom.len > 0) {
		words_add(r, atom, false);
	} else if (lex_peek(&r->lex) == '[') {
		bool plain = is_plain(lex_literal(&r->lex));

		if (plain && !r->in_angle && r->addresses == 0 && !r->after_group)
			odd(r->out, "has a \"[\" in a display name");
		else
			malformed(r->out, "has a \"[\" out of place");
	} else { /* RFC 5322 3.2.3: what is left of specials is ")", "]" and the backslash */
		r->lex.at++;
		malformed(r->out, "has a special character out of place");
	}
}

static void
read_token(struct reader *r)
{
	switch (lex_peek(&r->lex)) {
	case '@':
		on_at(r);
		return;
	case '<':
		on_angle_open(r);
		return;
	case '>':
		on_angle_close(r);
		return;
	case ':':
		on_colon(r);
		return;
	case ';':
		on_semicolon(r);
		return;
	case ',':
		(void)lex_take(&r->lex, ',');
		if (r->in_angle)
			malformed(r->out, "has a comma within angle brackets");
		end_element(r);
		return;
	case '.':
		(void)lex_take(&r->lex, '.');
		words_add(r, SLICE("."), true);
		return;
	case '"':
		words_add(r, lex_quoted(&r->lex, r->arena), false);
		return;
	}
	on_other(r);
}

static void
read_value(struct arena *a, struct slice value, struct author *out)
{
	struct reader r = { .arena = a, .out = out, .lex = lex_over(value) };

	/* RFC 6532 3.1. Old programs put Latin-1 into display names; in addresses it is refused
	 * where they are read. */
	if (!utf8_is_valid(value))
		odd(out, "is not UTF-8");
	strbuf_init(&r.words.text, a, LIMIT_AUTHOR_BYTES);
	words_start(&r);
	for (lex_skip(&r.lex); !lex_at_end(&r.lex) && !r.full; lex_skip(&r.lex))
		read_token(&r);
	if (r.lex.fault != NULL)
		malformed(out, r.lex.fault);
	end_element(&r);
	if (r.in_group)
		malformed(out, "has a group without a semicolon");
	if (r.bare_name && out->domain_count > 0)
		odd(out, "has a name without an address");
	else if (r.bare_name)
		malformed(out, "has a name without an address");
}

void
author_read(struct arena *a, const struct header_list *header, struct author *out)
{
	const struct header_field *from;
	size_t budget = LIMIT_AUTHOR_BYTES;

	*out = (struct author){ .mailboxes = arena_array(a, LIMIT_AUTHORS, sizeof(struct mailbox)),
		.domains = arena_array(a, LIMIT_AUTHORS, sizeof(struct slice)) };
	out->from_fields = header_count(header, "From");
	if (out->from_fields == 0)
		malformed(out, "is missing");
	if (out->from_fields > 1) /* RFC 5322 3.6: exactly one */
		malformed(out, "occurs more than once");
	for (size_t i = 0; (from = header_find(header, "From", i)) != NULL;) {
		if (from->value.len > budget)
			malformed(out, "is longer than 32768 bytes");
		read_value(a, slice_sub(from->value, 0, budget), out);
		budget -= from->value.len < budget ? from->value.len : budget;
		i = (size_t)(from - header->fields) + 1;
	}
	/* RFC 6854 lets a group be empty; RFC 9989 5.3.1 then has no author domain to judge by. */
	if (out->mailbox_count == 0)
		malformed(out, "holds no address");
}

/* Index of the last (or the first) c outside quoted strings and literals, or SLICE_NONE. */
static size_t
find_outside(struct slice path, char c, bool want_first)
{
	size_t found = SLICE_NONE;
	bool in_quotes = false, in_literal = false;

	for (size_t i = 0; i < path.len; i++) {
		char here = path.p[i];

		if (in_quotes && here == '\\') {
			i++;
		} else if (here == '"' && !in_literal) {
			in_quotes = !in_quotes;
		} else if (!in_quotes && (here == '[' || here == ']')) {
			in_literal = here == '[';
		} else if (!in_quotes && !in_literal && here == c) {
			found = i;
			if (want_first)
				break;
		}
	}
	return found;
}

void
reverse_path_read(
    struct arena *a, struct slice path, struct slice *local_part, struct slice *domain)
{
	size_t at;

	path = slice_trim(path);
	if (path.len > 0 && path.p[0] == '<')
		path = slice_from(path, 1);
	if (path.len > 0 && path.p[path.len - 1] == '>')
		path.len--;
	/* RFC 5321 4.1.1.3: a source route, "@a,@b:", is accepted and ignored. */
	at = path.len > 0 && path.p[0] == '@' ? find_outside(path, ':', true) : SLICE_NONE;
	if (at != SLICE_NONE)
		path = slice_from(path, at + 1);
	at = find_outside(path, '@', false);
	*local_part = arena_copy(a, slice_sub(path, 0, at));
	*domain = arena_copy(a, at == SLICE_NONE ? slice_of(NULL, 0) : slice_from(path, at + 1));
}
