/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/exempt.h"

#include "policy/syntax/header.h"
#include "policy/syntax/lex.h"

#define SUBJECT_READ 1024 /* bytes of it; a report's is far shorter */

/* ---- media type ---- */

static bool
is_token(char c)
{
	return lex_is_atext(c) && c != '/';
}

/* Is the whole message of that type (RFC 2045 5.1)? subtype "": any. */
static bool
has_type(const struct header_list *header, struct slice type, struct slice subtype)
{
	const struct header_field *field = header_find(header, "Content-Type", 0);
	struct slice found;
	struct lex l;

	if (field == NULL)
		return false;
	l = lex_over(field->value);
	lex_skip(&l);
	if (!slice_equal_nocase(lex_run(&l, is_token), type))
		return false;
	lex_skip(&l);
	if (!lex_take(&l, '/'))
		return false;
	lex_skip(&l);
	found = lex_run(&l, is_token);
	return subtype.len == 0 || slice_equal_nocase(found, subtype);
}

/* ---- the subject of an aggregate report ---- */

static void
skip_blanks(struct slice *s)
{
	while (s->len > 0 && ascii_is_space(s->p[0]))
		*s = slice_from(*s, 1);
}

/* The next word, and what stands behind it. */
static struct slice
next_word(struct slice *s)
{
	size_t len = 0;
	struct slice word;

	skip_blanks(s);
	while (len < s->len && !ascii_is_space(s->p[len]))
		len++;
	word = slice_sub(*s, 0, len);
	*s = slice_from(*s, len);
	return word;
}

/*
 * RFC 9990 3.5.2, dmarc-subject: "Report Domain: NAME Submitter: NAME [Report-ID: ID]". Programs
 * write what they like before it ("[Preview]") and behind it.
 */
static bool
is_report_subject(struct arena *a, const struct header_list *header)
{
	const struct header_field *field = header_find(header, "Subject", 0);
	struct slice s, word;

	if (field == NULL)
		return false;
	s = header_unfold(a, slice_sub(field->value, 0, SUBJECT_READ));
	while ((word = next_word(&s)).len > 0) {
		struct slice rest = s;

		if (slice_equal_nocase(word, SLICE("Report")) &&
		    slice_equal_nocase(next_word(&rest), SLICE("Domain:")) &&
		    next_word(&rest).len > 0 &&
		    slice_equal_nocase(next_word(&rest), SLICE("Submitter:")) &&
		    next_word(&rest).len > 0)
			return true;
	}
	return false;
}

/* ---- bounces ---- */

/* RFC 3834 5: sent by a program, and whether in answer to something. */
static struct slice
auto_submitted(const struct header_list *header)
{
	const struct header_field *field = header_find(header, "Auto-Submitted", 0);

	return field == NULL ? SLICE("no") : slice_trim(field->value);
}

static bool
is_from_mailer(const struct author *author)
{
	for (size_t i = 0; i < author->mailbox_count; i++)
		if (slice_equal_nocase(author->mailboxes[i].local_part, SLICE("mailer-daemon")))
			return true;
	return false;
}

const char *
report_exempt(struct arena *a, const struct verdict *v, const struct header_list *header)
{
	/* RFC 6522: delivery status, receipts, RFC 5965 feedback, RFC 8460 TLS reports. */
	if (has_type(header, SLICE("multipart"), SLICE("report")))
		return "a report (multipart/report)";
	if (is_report_subject(a, header))
		return "an aggregate report";
	if (header_count(header, "TLS-Report-Domain") > 0)
		return "a TLS report";
	if (slice_starts_nocase(auto_submitted(header), SLICE("auto-replied")))
		return "an automatic reply";
	if (v->reverse_path.len > 0)
		return NULL;
	if (has_type(header, SLICE("message"), SLICE("delivery-status")) ||
	    !slice_starts_nocase(auto_submitted(header), SLICE("no")) ||
	    is_from_mailer(&v->author) || header_count(header, "X-Failed-Recipients") > 0)
		return "a bounce";
	return NULL;
}
