/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         imap_search - SEARCH and UID SEARCH (RFC 3501 6.4.4)
 * DESCRIPTION  The keys become a program in postfix order, run for every message on a stack of
 *              truths. What is open while reading (NOT, OR, a parenthesis) is a stack as well.
 * BUGS         Text is compared byte for byte, without case in ASCII: encoded words, transfer
 *              encodings and character sets are not undone.
 */
#include "policy/base/bug.h"
#include "policy/base/num.h"
#include "tests/harness/postbox/imap.h"

enum search_op {
	SEARCH_ALL,
	SEARCH_FLAG,   /* all of flags set, none of without */
	SEARCH_RECENT, /* want */
	SEARCH_NEW,
	SEARCH_HEADER, /* name, text */
	SEARCH_BODY,
	SEARCH_TEXT,
	SEARCH_BEFORE, /* days */
	SEARCH_ON,
	SEARCH_SINCE,
	SEARCH_SENT_BEFORE,
	SEARCH_SENT_ON,
	SEARCH_SENT_SINCE,
	SEARCH_LARGER, /* number */
	SEARCH_SMALLER,
	SEARCH_SET, /* in */
	SEARCH_NOT,
	SEARCH_OR,
	SEARCH_AND,
};

struct search_step {
	enum search_op op;
	uint32_t set, clear, number;
	bool want;
	struct slice name, text;
	size_t *prefix; /* of text, for find_nocase() */
	int64_t days;
	bool *in; /* by index */
};

struct search {
	struct search_step *steps;
	size_t count, size;
	struct { /* what is open: SEARCH_NOT, SEARCH_OR, or SEARCH_AND for a list; keys it has */
		enum search_op op;
		size_t keys;
	} open[IMAP_SEARCH_DEPTH];
	size_t depth;
	bool missing; /* a set names a message that is not there */
};

/* ---- reading ---- */

enum search_argument { ARG_NONE, ARG_TEXT, ARG_HEADER, ARG_DATE, ARG_NUMBER, ARG_KEYWORD, ARG_UID };

static const struct search_word {
	const char *name;
	enum search_op op;
	enum search_argument argument;
	uint32_t set, clear;
	const char *header;
} search_words[] = {
	{ "ALL", SEARCH_ALL, ARG_NONE, 0, 0, NULL },
	{ "ANSWERED", SEARCH_FLAG, ARG_NONE, STORE_ANSWERED, 0, NULL },
	{ "BCC", SEARCH_HEADER, ARG_TEXT, 0, 0, "Bcc" },
	{ "BEFORE", SEARCH_BEFORE, ARG_DATE, 0, 0, NULL },
	{ "BODY", SEARCH_BODY, ARG_TEXT, 0, 0, NULL },
	{ "CC", SEARCH_HEADER, ARG_TEXT, 0, 0, "Cc" },
	{ "DELETED", SEARCH_FLAG, ARG_NONE, STORE_DELETED, 0, NULL },
	{ "DRAFT", SEARCH_FLAG, ARG_NONE, STORE_DRAFT, 0, NULL },
	{ "FLAGGED", SEARCH_FLAG, ARG_NONE, STORE_FLAGGED, 0, NULL },
	{ "FROM", SEARCH_HEADER, ARG_TEXT, 0, 0, "From" },
	{ "HEADER", SEARCH_HEADER, ARG_HEADER, 0, 0, NULL },
	{ "KEYWORD", SEARCH_FLAG, ARG_KEYWORD, 0, 0, NULL },
	{ "LARGER", SEARCH_LARGER, ARG_NUMBER, 0, 0, NULL },
	{ "NEW", SEARCH_NEW, ARG_NONE, 0, 0, NULL },
	{ "OLD", SEARCH_RECENT, ARG_NONE, 0, 1, NULL },
	{ "ON", SEARCH_ON, ARG_DATE, 0, 0, NULL },
	{ "RECENT", SEARCH_RECENT, ARG_NONE, 1, 0, NULL },
	{ "SEEN", SEARCH_FLAG, ARG_NONE, STORE_SEEN, 0, NULL },
	{ "SENTBEFORE", SEARCH_SENT_BEFORE, ARG_DATE, 0, 0, NULL },
	{ "SENTON", SEARCH_SENT_ON, ARG_DATE, 0, 0, NULL },
	{ "SENTSINCE", SEARCH_SENT_SINCE, ARG_DATE, 0, 0, NULL },
	{ "SINCE", SEARCH_SINCE, ARG_DATE, 0, 0, NULL },
	{ "SMALLER", SEARCH_SMALLER, ARG_NUMBER, 0, 0, NULL },
	{ "SUBJECT", SEARCH_HEADER, ARG_TEXT, 0, 0, "Subject" },
	{ "TEXT", SEARCH_TEXT, ARG_TEXT, 0, 0, NULL },
	{ "TO", SEARCH_HEADER, ARG_TEXT, 0, 0, "To" },
	{ "UID", SEARCH_SET, ARG_UID, 0, 0, NULL },
	{ "UNANSWERED", SEARCH_FLAG, ARG_NONE, 0, STORE_ANSWERED, NULL },
	{ "UNDELETED", SEARCH_FLAG, ARG_NONE, 0, STORE_DELETED, NULL },
	{ "UNDRAFT", SEARCH_FLAG, ARG_NONE, 0, STORE_DRAFT, NULL },
	{ "UNFLAGGED", SEARCH_FLAG, ARG_NONE, 0, STORE_FLAGGED, NULL },
	{ "UNKEYWORD", SEARCH_FLAG, ARG_KEYWORD, 0, 1, NULL },
	{ "UNSEEN", SEARCH_FLAG, ARG_NONE, 0, STORE_SEEN, NULL },
};

/* The prefix function of Knuth, Morris and Pratt: no text takes more than one pass. */
static size_t *
prefixes(struct arena *a, struct slice text)
{
	size_t *prefix = arena_array(a, text.len + 1, sizeof(*prefix)), k = 0;

	for (size_t i = 1; i < text.len; i++) {
		while (k > 0 && ascii_lower(text.p[k]) != ascii_lower(text.p[i]))
			k = prefix[k - 1];
		k += ascii_lower(text.p[k]) == ascii_lower(text.p[i]);
		prefix[i] = k;
	}
	return prefix;
}

static bool
find_nocase(struct slice in, struct slice text, const size_t *prefix)
{
	size_t k = 0;

	if (text.len == 0)
		return true;
	for (size_t i = 0; i < in.len; i++) {
		while (k > 0 && ascii_lower(text.p[k]) != ascii_lower(in.p[i]))
			k = prefix[k - 1];
		k += ascii_lower(text.p[k]) == ascii_lower(in.p[i]);
		if (k == text.len)
			return true;
	}
	return false;
}

static struct search_step *
emit(struct search *s, enum search_op op)
{
	if (s->count == s->size) /* sized by the text: can't be */
		bug("search: %zu steps", s->count);
	s->steps[s->count] = (struct search_step){ .op = op };
	return &s->steps[s->count++];
}

/* A key is complete: so may be what it belongs to. */
static void
key_done(struct search *s)
{
	while (s->depth > 0) {
		enum search_op op = s->open[s->depth - 1].op;
		size_t keys = ++s->open[s->depth - 1].keys;

		if (op == SEARCH_AND) {
			if (keys > 1)
				(void)emit(s, SEARCH_AND);
			return;
		}
		if (op == SEARCH_OR && keys < 2)
			return;
		(void)emit(s, op);
		s->depth--;
	}
}

static void
open_key(struct search *s, struct imap_lex *l, enum search_op op)
{
	if (s->depth == IMAP_SEARCH_DEPTH) {
		imap_fault(l, "too many keys inside each other");
		return;
	}
	s->open[s->depth].op = op;
	s->open[s->depth++].keys = 0;
}

static void
read_set(struct imap *p, struct search *s, struct imap_lex *l, struct search_step *step, bool uid)
{
	bool uid_form = p->uid;
	size_t *indexes, count;
	struct imap_set set;

	imap_set_read(l, &set);
	step->in = arena_array(l->arena, p->count, sizeof(*step->in));
	for (size_t i = 0; i < set.count && !uid; i++)
		if (set.ranges[i].low > p->count && set.ranges[i].low != UINT32_MAX)
			s->missing = true;
	for (size_t i = 0; i < set.count && !uid; i++)
		if (set.ranges[i].high > p->count && set.ranges[i].high != UINT32_MAX)
			s->missing = true;
	if (l->fault != NULL || s->missing)
		return;
	p->uid = uid;
	if (imap_messages(p, &set, &indexes, &count) == 0)
		for (size_t i = 0; i < count; i++)
			step->in[indexes[i]] = true;
	p->uid = uid_form;
}

static void
read_argument(struct imap *p, struct search *s, struct imap_lex *l, const struct search_word *word,
    struct search_step *step)
{
	uint32_t flag = 0;

	if (word->argument != ARG_NONE)
		imap_want(l, ' ');
	switch (word->argument) {
	case ARG_NONE:
		break;
	case ARG_HEADER:
		step->name = imap_astring(l);
		imap_want(l, ' ');
		step->text = imap_astring(l);
		break;
	case ARG_TEXT:
		step->text = imap_astring(l);
		break;
	case ARG_DATE:
		step->days = imap_date(l);
		break;
	case ARG_NUMBER:
		step->number = imap_number(l);
		break;
	case ARG_KEYWORD:
		(void)store_keyword(p->folder, imap_atom(l), false, &flag);
		/* One that nobody has: bit 5 is no flag at all. */
		flag = flag == 0 ? 1u << 5 : flag;
		step->set = word->clear == 0 ? flag : 0;
		step->clear = word->clear == 0 ? 0 : flag;
		break;
	case ARG_UID:
		read_set(p, s, l, step, true);
		break;
	}
	step->prefix = prefixes(l->arena, step->text);
}

static void
read_key(struct imap *p, struct search *s, struct imap_lex *l)
{
	struct search_step *step;
	struct slice name;

	if (imap_take(l, '(')) {
		open_key(s, l, SEARCH_AND);
		return;
	}
	if (ascii_is_digit(imap_peek(l)) || imap_peek(l) == '*') {
		step = emit(s, SEARCH_SET);
		read_set(p, s, l, step, false);
		key_done(s);
		return;
	}
	name = imap_atom(l);
	if (slice_equal_nocase(name, SLICE("NOT")) || slice_equal_nocase(name, SLICE("OR"))) {
		open_key(s, l, name.len == 3 ? SEARCH_NOT : SEARCH_OR);
		imap_want(l, ' ');
		return;
	}
	for (size_t i = 0; i < sizeof(search_words) / sizeof(search_words[0]); i++) {
		const struct search_word *word = &search_words[i];

		if (!slice_equal_nocase(name, slice_str(word->name)))
			continue;
		step = emit(s, word->op);
		step->set = word->set;
		step->clear = word->clear;
		step->want = word->set != 0;
		step->name = slice_str(word->header);
		read_argument(p, s, l, word, step);
		key_done(s);
		return;
	}
	imap_fault(l, "not a key of SEARCH");
}

/* Behind a key: parentheses that close, then a blank if another key follows. */
static void
read_between(struct search *s, struct imap_lex *l)
{
	while (imap_take(l, ')')) {
		if (s->depth < 2 || s->open[s->depth - 1].op != SEARCH_AND ||
		    s->open[s->depth - 1].keys == 0) {
			imap_fault(l, "parenthesis without beginning, or a key missing");
			return;
		}
		s->depth--;
		key_done(s);
	}
	if (!imap_at_end(l))
		imap_want(l, ' ');
}

static void
read_keys(struct imap *p, struct search *s, struct imap_lex *l)
{
	bool begun;

	/* A key takes two bytes at least, and brings one operator at most. */
	s->size = l->text.len + 2;
	s->steps = arena_array(l->arena, s->size, sizeof(*s->steps));
	open_key(s, l, SEARCH_AND);
	do {
		size_t depth = s->depth;

		read_key(p, s, l);
		begun = s->depth > depth; /* what was opened wants its key at once */
		if (!begun)
			read_between(s, l);
	} while (l->fault == NULL && (begun || !imap_at_end(l)));
	if (s->depth != 1 || s->open[0].keys == 0)
		imap_fault(l, "a key is missing");
}

/* ---- running ---- */

struct searched { /* one message */
	struct imap *p;
	const struct store_message *message;
	size_t index;
	const struct store_text *text; /* NULL: not read yet, or gone */
	struct slice header, body;
	bool asked;
};

static void
want_text(struct searched *m)
{
	if (m->asked)
		return;
	m->asked = true;
	if (store_text_open(m->p->folder, m->message->uid, &m->text) == STORE_OK)
		mime_split(m->text->bytes, &m->header, &m->body);
}

static bool
header_matches(struct searched *m, const struct search_step *step)
{
	struct slice header, field, name;

	want_text(m);
	header = m->header;
	while (mime_next_field(&header, &field, &name))
		if (slice_equal_nocase(name, step->name) &&
		    find_nocase(
			slice_from(field, slice_find(field, ':') + 1), step->text, step->prefix))
			return true;
	return false;
}

/* A number up to max, 0 for what is none. */
static uint32_t
date_word(struct slice word, uint32_t max)
{
	uint32_t number = 0;

	return num_u32(word, 1, max, &number) == -1 ? 0 : number;
}

/* Days of the Date field, whatever its zone (RFC 3501 6.4.4); false when there are none. */
static bool
sent_days(struct searched *m, int64_t *days_r)
{
	struct slice rest, word;
	uint32_t day = 0, month = 0, year = 0;

	want_text(m);
	rest = mime_field(m->p->c->scratch, m->header, SLICE("Date"));
	while (year == 0 && slice_next(&rest, ' ', &word)) {
		if (day == 0)
			day = date_word(word, 31);
		else if (month == 0)
			month = imap_month(slice_sub(word, 0, 3));
		else
			year = date_word(word, 9999);
	}
	if (year == 0)
		return false;
	*days_r = imap_days(year, month, day);
	return true;
}

static bool
sent_matches(struct searched *m, const struct search_step *step)
{
	int64_t days;

	if (!sent_days(m, &days))
		return false;
	if (step->op == SEARCH_SENT_BEFORE)
		return days < step->days;
	return step->op == SEARCH_SENT_ON ? days == step->days : days >= step->days;
}

static bool
key_matches(struct searched *m, const struct search_step *step)
{
	bool recent = m->message->uid >= m->p->first_recent;
	int64_t days = m->message->date_s / 86400;

	switch (step->op) {
	case SEARCH_ALL:
		return true;
	case SEARCH_FLAG:
		return (m->message->flags & step->set) == step->set &&
		    (m->message->flags & step->clear) == 0;
	case SEARCH_RECENT:
		return recent == step->want;
	case SEARCH_NEW:
		return recent && (m->message->flags & STORE_SEEN) == 0;
	case SEARCH_HEADER:
		return header_matches(m, step);
	case SEARCH_BODY:
		want_text(m);
		return find_nocase(m->body, step->text, step->prefix);
	case SEARCH_TEXT:
		want_text(m);
		return m->text != NULL && find_nocase(m->text->bytes, step->text, step->prefix);
	case SEARCH_BEFORE:
		return days < step->days;
	case SEARCH_ON:
		return days == step->days;
	case SEARCH_SINCE:
		return days >= step->days;
	case SEARCH_SENT_BEFORE:
	case SEARCH_SENT_ON:
	case SEARCH_SENT_SINCE:
		return sent_matches(m, step);
	case SEARCH_LARGER:
		return m->message->bytes > step->number;
	case SEARCH_SMALLER:
		return m->message->bytes < step->number;
	case SEARCH_SET:
		return step->in[m->index];
	case SEARCH_NOT:
	case SEARCH_OR:
	case SEARCH_AND:
		break;
	}
	bug("search: operator %d is no key", (int)step->op);
}

/* stack has room for all steps. */
static bool
run(const struct search *s, struct searched *m, bool *stack)
{
	size_t depth = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct search_step *step = &s->steps[i];

		if (step->op == SEARCH_NOT) {
			stack[depth - 1] = !stack[depth - 1];
		} else if (step->op == SEARCH_OR) {
			depth--;
			stack[depth - 1] = stack[depth - 1] || stack[depth];
		} else if (step->op == SEARCH_AND) {
			depth--;
			stack[depth - 1] = stack[depth - 1] && stack[depth];
		} else {
			stack[depth++] = key_matches(m, step);
		}
	}
	return stack[0];
}

static void
search_all(struct imap *p, const struct search *s)
{
	bool *stack = arena_array(p->c->scratch, s->count, sizeof(*stack));

	stream_printf(p->c->stream, "* SEARCH");
	for (size_t i = 0; i < p->count; i++) {
		struct searched m = { .p = p, .message = &p->messages[i], .index = i };

		if (run(s, &m, stack))
			stream_printf(
			    p->c->stream, " %zu", p->uid ? (size_t)m.message->uid : i + 1);
		store_text_close(&m.text);
	}
	stream_printf(p->c->stream, "\r\n");
}

void
imap_search(struct imap *p, struct imap_lex *l)
{
	struct search *s = arena_alloc(l->arena, sizeof(*s));
	struct slice charset = SLICE("UTF-8");

	imap_want(l, ' ');
	if (imap_take_word(l, "CHARSET ")) {
		charset = imap_astring(l);
		imap_want(l, ' ');
	}
	read_keys(p, s, l);
	if (!imap_complete(p, l))
		return;
	if (s->missing)
		imap_bad(p, "there is no message of that number");
	else if (!slice_equal_nocase(charset, SLICE("UTF-8")) &&
	    !slice_equal_nocase(charset, SLICE("US-ASCII"))) {
		imap_no(p, "[BADCHARSET (US-ASCII UTF-8)] that is not understood");
	} else {
		search_all(p, s);
		imap_ok(p, "done");
	}
}
