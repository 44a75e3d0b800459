/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/mail_parts.h"

#include <time.h>

#include "policy/base/bug.h"
#include "policy/base/limits.h"
#include "policy/syntax/base64.h"
#include "policy/syntax/domain.h"
#include "policy/syntax/lex.h"
#include "report/limits.h"
#include "report/text.h"

#define BASE64_LINE	   76
#define ENCODED_WORD_BYTES 45 /* of text: 60 in base64, 72 with =?utf-8?B? ?= (RFC 2047 2: 75) */

static struct tm
utc(int64_t time_s)
{
	time_t t = (time_t)time_s;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL)
		bug("mail: time %lld", (long long)time_s);
	return tm;
}

void
mail_date(struct strbuf *b, int64_t date_s)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = utc(date_s);

	strbuf_printf(b, "%.3s, %d %.3s %04d %02d:%02d:%02d +0000", days + 3 * tm.tm_wday,
	    tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
	    tm.tm_sec);
}

void
mail_time_text(struct strbuf *b, int64_t time_s)
{
	struct tm tm = utc(time_s);

	strbuf_printf(b, "%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* ---- mailboxes ---- */

void
mail_quoted(struct strbuf *b, struct slice s)
{
	strbuf_char(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			strbuf_char(b, '\\');
		strbuf_char(b, s.p[i]);
	}
	strbuf_char(b, '"');
}

/* Whole characters, so many that an encoded word holds them. */
static struct slice
next_word(struct slice *rest)
{
	size_t len = 0, more;
	uint32_t c;
	struct slice word;

	while (len < rest->len && (more = utf8_decode(*rest, len, &c)) > 0 &&
	    len + more <= ENCODED_WORD_BYTES)
		len += more;
	word = slice_sub(*rest, 0, len);
	*rest = slice_from(*rest, len);
	return word;
}

void
mail_mailbox(struct strbuf *b, struct slice name, struct slice address)
{
	struct slice rest = report_text(b->arena, name, REPORT_NAME_BYTES);

	if (rest.len > 0 && slice_is_ascii(rest)) {
		mail_quoted(b, rest);
		strbuf_str(b, "\r\n ");
	} else {
		while (rest.len > 0) {
			strbuf_str(b, "=?utf-8?B?");
			strbuf_add(b, base64_encode(b->arena, next_word(&rest)));
			strbuf_str(b, "?=\r\n ");
		}
	}
	strbuf_char(b, '<');
	strbuf_add(b, address);
	strbuf_char(b, '>');
}

bool
mail_is_dot_atom(struct slice s)
{
	bool dot = true;

	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '.' ? dot : !lex_is_atext(s.p[i]))
			return false;
		dot = s.p[i] == '.';
	}
	return !dot;
}

/* RFC 5321 4.1.2: Dot-string, or Quoted-string. */
static bool
is_local_part(struct slice s)
{
	bool is_quoted = s.len >= 2 && s.p[0] == '"' && s.p[s.len - 1] == '"';

	if (s.len == 0 || s.len > LIMIT_DESTINATION_LOCAL_BYTES)
		return false;
	if (!is_quoted)
		return mail_is_dot_atom(s);
	for (size_t i = 1; i + 1 < s.len; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return false;
		if (i + 1 == s.len || s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	}
	return true;
}

struct slice
mail_address_domain(struct slice address)
{
	size_t at = slice_find_last(address, '@');

	return at == SLICE_NONE ? slice_of(NULL, 0) : slice_from(address, at + 1);
}

static bool
is_mail_domain(struct slice domain)
{
	struct slice label;

	if (domain.len == 0 || domain.len > LIMIT_DOMAIN_BYTES || domain.p[domain.len - 1] == '.')
		return false;
	while (slice_next(&domain, '.', &label)) {
		if (label.len == 0 || label.len > LIMIT_LABEL_BYTES)
			return false;
		for (size_t i = 0; i < label.len; i++)
			if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
				return false;
	}
	return true;
}

const char *
mail_address_fault(struct slice address)
{
	size_t at = slice_find_last(address, '@');

	if (at == SLICE_NONE)
		return "has no \"@\"";
	if (!slice_is_ascii(address))
		return "is not ASCII";
	if (!is_mail_domain(slice_from(address, at + 1)))
		return "has no domain name";
	return is_local_part(slice_sub(address, 0, at)) ? NULL : "has no valid local part";
}

void
mail_base64(struct strbuf *b, struct slice bytes)
{
	struct slice text = base64_encode(b->arena, bytes);

	for (size_t at = 0; at < text.len; at += BASE64_LINE) {
		strbuf_add(b, slice_sub(text, at, BASE64_LINE));
		strbuf_str(b, "\r\n");
	}
}
