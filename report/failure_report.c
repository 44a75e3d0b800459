/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/failure_report.h"

#include <inttypes.h>

#include "policy/dns/hash.h"
#include "report/mail_parts.h"
#include "report/text.h"

#define BOUNDARY   "=_assay_failure_="
#define HEAD_BYTES (64u * 1024)

static int
check(struct arena *a, const char *what, struct slice address, const char **error_r)
{
	const char *fault = mail_address_fault(address);

	if (fault == NULL)
		return 0;
	*error_r = arena_printf(
	    a, "%s \"%s\" %s", what, arena_printable(a, address, REPORT_NAME_BYTES), fault);
	return -1;
}

/* ASCII: what is not becomes "?". */
static void
add_ascii(struct strbuf *b, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		strbuf_char(b, (unsigned char)s.p[i] < 0x80 ? s.p[i] : '?');
}

/* The key is no secret: it only makes two recipients of a report two messages. */
static void
message_id(struct strbuf *b, const struct failure_mail *mail, const struct failure_event *e,
    struct slice to)
{
	static const uint8_t key[HASH_KEY_BYTES] = { 0 };

	strbuf_printf(b, "Message-ID: <failure.%.*s.%" PRId64 ".%016" PRIx64 "@%.*s>\r\n",
	    SLICE_ARG(e->cause), e->first_s, hash_bytes(key, to), SLICE_ARG(mail->submitter));
}

static void
header(struct strbuf *b, const struct failure_mail *mail, const struct failure_event *e,
    struct slice to, int64_t date_s)
{
	strbuf_str(b, "Date: ");
	mail_date(b, date_s);
	strbuf_str(b, "\r\nFrom: ");
	mail_mailbox(b, mail->from_name, mail->from);
	strbuf_str(b, "\r\nTo: ");
	mail_mailbox(b, slice_of(NULL, 0), to);
	strbuf_str(b, "\r\nSubject: FW: ");
	add_ascii(b, report_text(b->arena, e->subject, REPORT_TEXT_BYTES));
	strbuf_str(b, "\r\n");
	message_id(b, mail, e, to);
	strbuf_str(b,
	    "Auto-Submitted: auto-generated\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=feedback-report;\r\n"
	    " boundary=\"" BOUNDARY "\"\r\n\r\n");
}

static void
text_part(struct strbuf *b, const struct failure_event *e)
{
	strbuf_str(b,
	    "--" BOUNDARY "\r\n"
	    "Content-Type: text/plain; charset=us-ascii\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\n");
	strbuf_printf(b,
	    "This is a DMARC failure report about a message with the author domain\r\n%.*s\r\n"
	    "that was received at ",
	    SLICE_ARG(e->author));
	mail_time_text(b, e->first_s);
	strbuf_str(b, " UTC and failed authentication as the next part says.\r\n");
	if (e->incidents > 1)
		strbuf_printf(b,
		    "%" PRIu64 " messages failed in the same way; this is the first.\r\n",
		    e->incidents);
	strbuf_printf(b,
	    "It is sent because the DMARC record of the domain %.*s\r\nasks for it (ruf, fo). "
	    "Only the header of the message is here.\r\n\r\n",
	    SLICE_ARG(e->domain));
}

int
failure_report_write(struct arena *a, const struct failure_mail *mail,
    const struct failure_event *e, struct slice to, int64_t date_s, struct slice *message_r,
    const char **error_r)
{
	struct strbuf b;

	if (check(a, "sender", mail->from, error_r) != 0 || check(a, "recipient", to, error_r) != 0)
		return -1;
	strbuf_init(&b, a, HEAD_BYTES + e->fields.len + e->header.len);
	header(&b, mail, e, to, date_s);
	text_part(&b, e);
	strbuf_str(&b,
	    "--" BOUNDARY "\r\n"
	    "Content-Type: message/feedback-report\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\n");
	strbuf_add(&b, e->fields);
	if (e->incidents > 1) /* RFC 5965 3.2 */
		strbuf_printf(&b, "Incidents: %" PRIu64 "\r\n",
		    e->incidents < UINT32_MAX ? e->incidents : UINT32_MAX);
	strbuf_str(&b,
	    "\r\n--" BOUNDARY "\r\n"
	    "Content-Type: text/rfc822-headers\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\n");
	strbuf_add(&b, e->header);
	strbuf_str(&b, "\r\n--" BOUNDARY "--\r\n");
	*message_r = strbuf_slice(&b);
	return 0;
}

/* ---- from the queue ---- */

static int
write_all(struct arena *a, const struct failure_mail *mail, int64_t now_s,
    struct failure_reports *out, const char **error_r)
{
	for (size_t i = 0; i < out->destinations.count; i++) {
		const struct destination *d = &out->destinations.list[i];
		struct failure_message_out *m = &out->messages[out->count];

		if (d->outcome != DESTINATION_SEND)
			continue;
		/* RFC 9991 2: the limit is one on outgoing reports, and each address has its own.
		 */
		if (out->count == out->event.room) {
			out->over_limit++;
			continue;
		}
		m->to = d->address;
		if (failure_report_write(
			a, mail, &out->event, m->to, now_s, &m->message, error_r) != 0)
			return -1;
		out->count++;
	}
	return 0;
}

int
failure_report_next(struct db *db, struct arena *a, struct lookups *l,
    const struct failure_report_options *options, int64_t now_s, struct failure_reports *out,
    const char **error_r)
{
	struct dmarc_options dmarc = options->dmarc;
	int rc;

	*out = (struct failure_reports){ .count = 0 };
	rc = failure_queue_take(db, a, &options->rate, now_s, &out->event, error_r);
	if (rc <= 0)
		return rc;
	if (out->event.discovery == DMARC_TREEWALK || dmarc.psl != NULL)
		dmarc.discovery = out->event.discovery;
	destinations_find(
	    a, l, &dmarc, out->event.domain, "ruf", out->event.ruf, &out->destinations);
	if (write_all(a, &options->mail, now_s, out, error_r) != 0 ||
	    failure_queue_count(db, out->event.id, out->count, error_r) != 0)
		return -1;
	/* Nobody was settled yet: once more, later. */
	if (out->count == 0 && out->destinations.later &&
	    failure_queue_return(db, out->event.id, now_s + options->retry_s, error_r) != 0)
		return -1;
	return 1;
}
