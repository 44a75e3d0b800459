/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>
#include <time.h>

#include "policy/base/strbuf.h"
#include "tests/harness/postbox/log.h"
#include "tests/harness/postbox/relay_internal.h"

#define BOUNCE_HEAD 65536 /* of the message that comes back; the rest of its header is cut */
#define BOUNDARY    "postbox-bounce"

/* The header of the message. */
static struct slice
head_of(struct slice text)
{
	for (size_t i = 0; i + 4 <= text.len && i < BOUNCE_HEAD; i++)
		if (memcmp(text.p + i, "\r\n\r\n", 4) == 0)
			return slice_sub(text, 0, i + 2);
	return slice_sub(text, 0, 0);
}

/* For people (RFC 3462 2). */
static void
write_notice(struct strbuf *b, const char *host, const struct relay_mail *mail)
{
	strbuf_printf(b,
	    "--" BOUNDARY "\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
	    "This is %s. Your message could not be delivered to:\r\n\r\n",
	    host);
	for (size_t i = 0; i < mail->count; i++)
		if (mail->recipients[i].state == RELAY_FAILED)
			strbuf_printf(b, "<%.*s>: %s\r\n", SLICE_ARG(mail->recipients[i].address),
			    mail->recipients[i].fault);
}

/* For programs (RFC 3464 2). */
static void
write_status(struct strbuf *b, const char *host, const struct relay_mail *mail)
{
	strbuf_printf(b,
	    "\r\n--" BOUNDARY "\r\nContent-Type: message/delivery-status\r\n\r\n"
	    "Reporting-MTA: dns; %s\r\n",
	    host);
	for (size_t i = 0; i < mail->count; i++) {
		const struct relay_recipient *r = &mail->recipients[i];

		if (r->state == RELAY_FAILED)
			strbuf_printf(b,
			    "\r\nFinal-Recipient: rfc822; %.*s\r\nAction: failed\r\n"
			    "Status: %s\r\nDiagnostic-Code: X-postbox; %s\r\n",
			    SLICE_ARG(r->address), r->status, r->fault);
	}
}

static void
write_bounce(struct strbuf *b, const struct server *server, const struct relay_mail *mail)
{
	const char *host = server->options.hostname;
	time_t now = time(NULL);
	char date[64];
	struct tm tm;

	(void)gmtime_r(&now, &tm);
	(void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	strbuf_printf(b,
	    "Return-Path: <>\r\nDate: %s\r\nFrom: Mail Delivery System <MAILER-DAEMON@%s>\r\n"
	    "To: <%.*s>\r\nSubject: Undelivered Mail Returned to Sender\r\n"
	    "Message-ID: <%s.bounce@%s>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"" BOUNDARY "\"\r\n\r\n",
	    date, host, SLICE_ARG(mail->sender), mail->id, host);
	write_notice(b, host, mail);
	write_status(b, host, mail);
	strbuf_str(b, "\r\n--" BOUNDARY "\r\nContent-Type: text/rfc822-headers\r\n\r\n");
	strbuf_add(b, head_of(mail->text));
	strbuf_str(b, "\r\n--" BOUNDARY "--\r\n");
}

void
relay_bounce(struct server *server, struct arena *a, const struct relay_mail *mail)
{
	const struct user *user = auth_recipient(server, mail->user, slice_of(NULL, 0));
	struct store_arrival arrival = { 0 };
	enum store_status status;
	struct strbuf b;

	/* RFC 5321 4.5.5: nobody is told about mail that tells about mail. */
	if (mail->sender.len == 0 || user == NULL) {
		log_line(NULL, "%s: nobody is told", mail->id);
		return;
	}
	strbuf_init(&b, a, 8 * BOUNCE_HEAD);
	write_bounce(&b, server, mail);
	arrival.bytes = strbuf_slice(&b);
	status = store_deliver(user->account, SLICE("INBOX"), &arrival, NULL);
	if (status != STORE_OK)
		log_line(NULL, "%s: bounce lost: %s", mail->id, store_status_text(status));
}
