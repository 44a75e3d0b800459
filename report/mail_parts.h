/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         mail_parts - pieces of the messages that carry reports
 * DESCRIPTION  Lines end with CR LF and are no longer than 78 where they can be broken.
 */
#ifndef ASSAY_REPORT_MAIL_PARTS_H
#define ASSAY_REPORT_MAIL_PARTS_H

#include <stdint.h>

#include "policy/base/strbuf.h"

/* "Thu, 26 Nov 2026 09:00:00 +0000" (RFC 5322 3.3), whatever the locale. */
void mail_date(struct strbuf *b, int64_t date_s);

/* "2026-11-26 09:00:00" */
void mail_time_text(struct strbuf *b, int64_t time_s);

/*
 * name <address>: name as a quoted string, or as encoded words where it is not ASCII (RFC 2047);
 * cleaned. address has passed mail_address_fault().
 */
void mail_mailbox(struct strbuf *b, struct slice name, struct slice address);

/*
 * May it stand in a header field and in MAIL FROM or RCPT TO as it is (RFC 5321 4.1.2 Mailbox,
 * ASCII, a domain name behind the @)? NULL, or what is wrong.
 */
const char *mail_address_fault(struct slice address);

/* Atoms with single dots between (RFC 5322 3.2.3), UTF-8 among them. */
bool mail_is_dot_atom(struct slice s);

/* A quoted string. */
void mail_quoted(struct strbuf *b, struct slice s);

/* Behind the last "@". */
struct slice mail_address_domain(struct slice address);

/* Base64 in lines of 76 (RFC 2045 6.8). */
void mail_base64(struct strbuf *b, struct slice bytes);

#endif
