/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         imap_parse - the words of a command (RFC 3501 9)
 */
#include <string.h>

#include "policy/base/num.h"
#include "tests/harness/postbox/imap.h"

bool
imap_announces(struct slice line, uint64_t *bytes_r, bool *no_wait_r)
{
	size_t brace = slice_find_last(line, '{');
	struct slice number;

	if (brace == SLICE_NONE || line.p[line.len - 1] != '}')
		return false;
	number = slice_sub(line, brace + 1, line.len - brace - 2);
	*no_wait_r = number.len > 0 && number.p[number.len - 1] == '+';
	if (*no_wait_r)
		number.len--;
	return num_u64(number, 0, UINT32_MAX, bytes_r) == 0;
}

void
imap_fault(struct imap_lex *l, const char *fault)
{
	if (l->fault == NULL)
		l->fault = fault;
	l->at = l->text.len;
}

char
imap_peek(const struct imap_lex *l)
{
	return imap_at_end(l) ? '\0' : l->text.p[l->at];
}

bool
imap_take(struct imap_lex *l, char c)
{
	if (imap_at_end(l) || l->text.p[l->at] != c)
		return false;
	l->at++;
	return true;
}

bool
imap_take_word(struct imap_lex *l, const char *word)
{
	struct slice w = slice_str(word);

	if (!slice_starts_nocase(slice_from(l->text, l->at), w))
		return false;
	l->at += w.len;
	return true;
}

void
imap_want(struct imap_lex *l, char c)
{
	if (!imap_take(l, c))
		imap_fault(l, c == ' ' ? "argument missing" : "parenthesis or bracket missing");
}

bool
imap_want_end(struct imap_lex *l)
{
	if (!imap_at_end(l))
		imap_fault(l, "something follows the command");
	return l->fault == NULL;
}

bool
imap_is_atom_char(char c)
{
	return (unsigned char)c > ' ' && (unsigned char)c < 0x7f && strchr("(){%*\"\\]", c) == NULL;
}

static bool
is_astring_char(char c)
{
	return imap_is_atom_char(c) || c == ']';
}

static bool
is_pattern_char(char c)
{
	return is_astring_char(c) || c == '%' || c == '*';
}

static struct slice
run_of(struct imap_lex *l, bool (*is_member)(char))
{
	size_t from = l->at;

	while (!imap_at_end(l) && is_member(l->text.p[l->at]))
		l->at++;
	if (l->at == from)
		imap_fault(l, "word missing, or a character that has no place there");
	return slice_sub(l->text, from, l->at - from);
}

struct slice
imap_atom(struct imap_lex *l)
{
	return run_of(l, imap_is_atom_char);
}

/* Behind the opening quote. */
static struct slice
quoted(struct imap_lex *l)
{
	char *p = arena_alloc(l->arena, l->text.len - l->at + 1);
	size_t len = 0;

	while (!imap_at_end(l)) {
		char c = l->text.p[l->at++];

		if (c == '"')
			return slice_of(p, len);
		if (c == '\\') {
			c = imap_peek(l);
			if (c != '"' && c != '\\') /* quoted-specials and nothing else */
				break;
			l->at++;
		}
		if (c == '\r' || c == '\n' || c == '\0')
			break;
		p[len++] = c;
	}
	imap_fault(l, "quoted string without end");
	return slice_of(NULL, 0);
}

static struct slice
literal(struct imap_lex *l)
{
	struct slice rest = slice_from(l->text, l->at), body;
	size_t end = slice_find(rest, '\n');
	uint64_t bytes;
	bool no_wait;

	if (end == SLICE_NONE || end == 0 || rest.p[end - 1] != '\r' ||
	    !imap_announces(slice_sub(rest, 0, end - 1), &bytes, &no_wait) ||
	    bytes > rest.len - end - 1) {
		imap_fault(l, "not a literal");
		return slice_of(NULL, 0);
	}
	body = slice_sub(rest, end + 1, bytes);
	l->at += end + 1 + bytes;
	return body;
}

static struct slice
string_or(struct imap_lex *l, bool (*is_member)(char))
{
	if (imap_take(l, '"'))
		return quoted(l);
	if (imap_peek(l) == '{')
		return literal(l);
	return run_of(l, is_member);
}

struct slice
imap_astring(struct imap_lex *l)
{
	return string_or(l, is_astring_char);
}

struct slice
imap_pattern(struct imap_lex *l)
{
	return string_or(l, is_pattern_char);
}

uint32_t
imap_number(struct imap_lex *l)
{
	size_t from = l->at;
	uint32_t number = 0;

	while (ascii_is_digit(imap_peek(l)))
		l->at++;
	if (num_u32(slice_sub(l->text, from, l->at - from), 0, UINT32_MAX, &number) == -1)
		imap_fault(l, "number missing or too large");
	return number;
}

/* ---- sequence sets ---- */

static uint32_t
set_number(struct imap_lex *l)
{
	uint32_t number;

	if (imap_take(l, '*'))
		return UINT32_MAX;
	number = imap_number(l);
	if (number == 0)
		imap_fault(l, "messages count from 1"); /* nz-number */
	return number;
}

void
imap_set_read(struct imap_lex *l, struct imap_set *out)
{
	size_t most = 1;

	for (size_t i = l->at; i < l->text.len && l->text.p[i] != ' '; i++)
		most += l->text.p[i] == ',';
	out->ranges = arena_array(l->arena, most, sizeof(*out->ranges));
	out->count = 0;
	do {
		struct imap_range r;

		r.low = set_number(l);
		r.high = imap_take(l, ':') ? set_number(l) : r.low;
		if (l->fault != NULL)
			return;
		if (r.low > r.high) /* "4:2" is "2:4" */
			r = (struct imap_range){ r.high, r.low };
		out->ranges[out->count++] = r;
	} while (imap_take(l, ',') && out->count < most);
}

/* ---- dates ---- */

uint32_t
imap_month(struct slice name)
{
	static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";

	for (uint32_t m = 0; m < 12; m++)
		if (slice_equal_nocase(name, slice_of(months + 3 * m, 3)))
			return m + 1;
	return 0;
}

/* Days since 1970-01-01 of the Gregorian calendar; years begin in March here, so that the leap day
 * is the last. */
int64_t
imap_days(int64_t year, uint32_t month, uint32_t day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t m = month <= 2 ? month + 9 : month - 3;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* The number of digits that is next, at most two or four of them, from min to max. */
static uint32_t
date_number(struct imap_lex *l, size_t digits, uint32_t min, uint32_t max)
{
	size_t from = l->at;
	uint32_t number = min;

	while (l->at - from < digits && ascii_is_digit(imap_peek(l)))
		l->at++;
	if (num_u32(slice_sub(l->text, from, l->at - from), min, max, &number) == -1)
		imap_fault(l, "not a date");
	return number;
}

static int64_t
bare_date(struct imap_lex *l)
{
	uint32_t day = date_number(l, 2, 1, 31), month, year;

	imap_want(l, '-');
	month = imap_month(slice_sub(l->text, l->at, 3));
	if (month == 0)
		imap_fault(l, "not a month");
	else
		l->at += 3;
	imap_want(l, '-');
	year = date_number(l, 4, 1, 9999);
	return l->fault != NULL ? 0 : imap_days(year, month, day);
}

int64_t
imap_date(struct imap_lex *l)
{
	bool quote = imap_take(l, '"');
	int64_t days = bare_date(l);

	if (quote)
		imap_want(l, '"');
	return days;
}

int64_t
imap_date_time(struct imap_lex *l)
{
	int64_t seconds, zone;
	bool west;

	imap_want(l, '"');
	(void)imap_take(l, ' '); /* date-day-fixed */
	seconds = bare_date(l) * 86400;
	imap_want(l, ' ');
	seconds += date_number(l, 2, 0, 23) * 3600;
	imap_want(l, ':');
	seconds += date_number(l, 2, 0, 59) * 60;
	imap_want(l, ':');
	seconds += date_number(l, 2, 0, 60);
	imap_want(l, ' ');
	west = imap_take(l, '-');
	if (!west)
		imap_want(l, '+');
	zone = date_number(l, 2, 0, 23) * 3600;
	zone += date_number(l, 2, 0, 59) * 60;
	imap_want(l, '"');
	return west ? seconds + zone : seconds - zone;
}
