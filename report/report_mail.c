/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/report_mail.h"

#include <inttypes.h>

#include "policy/syntax/domain.h"
#include "report/mail_parts.h"

#define HEAD_BYTES (64u * 1024) /* all but the attachment; it is far less */

/* ---- what may stand in the header ---- */

/* Atoms, dots and "@": what RFC 9990 3.5.1 allows, and no blank or line end above all. */
static bool
is_plain(struct slice s, struct slice others)
{
	if (s.len == 0 || s.len > REPORT_NAME_BYTES)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_alnum(s.p[i]) && slice_find(others, s.p[i]) == SLICE_NONE)
			return false;
	return true;
}

static const char *
file_name_fault(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= 0x20 || s.p[i] >= 0x7f || s.p[i] == '"' || s.p[i] == '\\')
			return "is no file name";
	return s.len > 0 && s.len <= 4 * REPORT_NAME_BYTES ? NULL : "is no file name";
}

static const char *
domain_fault(struct slice domain)
{
	return is_plain(domain, SLICE("-_.")) ? NULL : "is no domain name";
}

static const char *
from_fault(const struct report_mail *m)
{
	const char *fault = mail_address_fault(m->from);
	struct slice domain = mail_address_domain(m->from);

	if (fault != NULL)
		return fault;
	return domain_covers(domain, m->submitter) || domain_covers(m->submitter, domain)
	    ? NULL
	    : "is not of the reporting domain";
}

static int
check(struct arena *a, const struct report_mail *m, const char **error_r)
{
	const struct {
		const char *what;
		struct slice text;
		const char *fault;
	} rows[] = {
		{ "submitter", m->submitter, domain_fault(m->submitter) },
		{ "policy domain", m->policy_domain, domain_fault(m->policy_domain) },
		{ "Report-ID", m->report_id,
		    is_plain(m->report_id, SLICE("-_.@")) ? NULL : "is no Report-ID" },
		{ "token", m->token, is_plain(m->token, SLICE("-_.")) ? NULL : "is no Message-ID" },
		{ "file name", m->file_name, file_name_fault(m->file_name) },
		{ "sender", m->from, from_fault(m) },
		{ "recipient", m->to, mail_address_fault(m->to) },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].fault != NULL) {
			*error_r = arena_printf(a, "%s \"%s\" %s", rows[i].what,
			    arena_printable(a, rows[i].text, REPORT_NAME_BYTES), rows[i].fault);
			return -1;
		}
	return 0;
}

/* ---- the message ---- */

static void
header(struct strbuf *b, const struct report_mail *m)
{
	strbuf_str(b, "Date: ");
	mail_date(b, m->date_s);
	strbuf_str(b, "\r\nFrom: ");
	mail_mailbox(b, m->from_name, m->from);
	strbuf_str(b, "\r\nTo: ");
	mail_mailbox(b, slice_of(NULL, 0), m->to);
	/* RFC 9990 3.5.2 dmarc-subject, folded as in its example */
	strbuf_printf(b,
	    "\r\nSubject: Report Domain: %.*s\r\n Submitter: %.*s\r\n Report-ID: <%.*s>\r\n",
	    SLICE_ARG(m->policy_domain), SLICE_ARG(m->submitter), SLICE_ARG(m->report_id));
	strbuf_printf(
	    b, "Message-ID: <%.*s@%.*s>\r\n", SLICE_ARG(m->token), SLICE_ARG(m->submitter));
	strbuf_str(b,
	    "Auto-Submitted: auto-generated\r\n" /* RFC 3834 5: nobody answers it */
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/mixed;\r\n boundary=\"=_assay_report_=\"\r\n\r\n");
}

static void
counts(struct strbuf *b, const struct aggregate_summary *s)
{
	strbuf_printf(b, "Messages:          %" PRIu64 "\r\n", s->messages);
	if (s->records == 0)
		return;
	strbuf_printf(b, "  passed DMARC:    %" PRIu64 "\r\n", s->passed);
	strbuf_printf(b, "  did not pass:    %" PRIu64 "\r\n", s->messages - s->passed);
	strbuf_printf(b, "    quarantined:   %" PRIu64 "\r\n", s->quarantined);
	strbuf_printf(b, "    rejected:      %" PRIu64 "\r\n", s->rejected);
	if (s->records_left_out > 0)
		strbuf_printf(b, "Not in the report: %" PRIu64 " (it would be too large)\r\n",
		    s->messages_left_out);
}

static void
text_part(struct strbuf *b, const struct report_mail *m)
{
	strbuf_str(b,
	    "--=_assay_report_=\r\n"
	    "Content-Type: text/plain; charset=us-ascii\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\n");
	strbuf_printf(b,
	    "This is a DMARC aggregate report about mail with the author domain\r\n%.*s\r\n"
	    "or a domain below it, as it was received by\r\n%.*s\r\nfrom ",
	    SLICE_ARG(m->policy_domain), SLICE_ARG(m->submitter));
	mail_time_text(b, m->begin_s);
	strbuf_str(b, " to ");
	mail_time_text(b, m->end_s - 1);
	strbuf_str(b, " UTC.\r\n\r\n");
	counts(b, &m->summary);
	strbuf_printf(b,
	    "\r\nThe report is attached: XML, compressed with gzip. It is sent because the\r\n"
	    "DMARC record of the domain asks for it (rua).\r\n\r\n"
	    "Report-ID: %.*s\r\n\r\n",
	    SLICE_ARG(m->report_id));
}

static void
attachment(struct strbuf *b, const struct report_mail *m)
{
	strbuf_str(b, "--=_assay_report_=\r\n");
	strbuf_printf(b,
	    "Content-Type: application/gzip;\r\n name=\"%.*s\"\r\n"
	    "Content-Disposition: attachment;\r\n filename=\"%.*s\"\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n",
	    SLICE_ARG(m->file_name), SLICE_ARG(m->file_name));
	mail_base64(b, m->gzip);
	strbuf_str(b, "--=_assay_report_=--\r\n");
}

int
report_mail_write(
    struct arena *a, const struct report_mail *m, struct slice *message_r, const char **error_r)
{
	struct strbuf b;

	if (check(a, m, error_r) != 0)
		return -1;
	strbuf_init(&b, a, HEAD_BYTES + 2 * m->gzip.len);
	header(&b, m);
	text_part(&b, m);
	attachment(&b, m);
	*message_r = strbuf_slice(&b);
	return 0;
}
