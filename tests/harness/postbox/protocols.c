/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         protocols - the rows of protocol.h
 */
#include <string.h>

#include "tests/harness/postbox/protocol.h"

#define SMTP_BUSY "421 4.3.2 too many connections\r\n"
#define POP3_BUSY "-ERR [SYS/TEMP] too many connections\r\n"
#define IMAP_BUSY "* BYE [UNAVAILABLE] too many connections\r\n"

/* clang-format off */
const struct protocol protocols[] = {
	{ .name = "smtp", .port = 25, .busy = SMTP_BUSY, .run = smtp_run },
	{ .name = "smtps", .port = 465, .busy = SMTP_BUSY, .run = smtp_run, .tls_at_once = true, .submission = true },
	{ .name = "submission", .port = 587, .busy = SMTP_BUSY, .run = smtp_run, .submission = true },
	{ .name = "pop3", .port = 110, .busy = POP3_BUSY, .run = pop3_run },
	{ .name = "pop3s", .port = 995, .busy = POP3_BUSY, .run = pop3_run, .tls_at_once = true },
	{ .name = "imap", .port = 143, .busy = IMAP_BUSY, .run = imap_run },
	{ .name = "imaps", .port = 993, .busy = IMAP_BUSY, .run = imap_run, .tls_at_once = true },
};
/* clang-format on */
const size_t protocol_count = sizeof(protocols) / sizeof(protocols[0]);

const struct protocol *
protocol_named(const char *name)
{
	for (size_t i = 0; i < protocol_count; i++)
		if (strcmp(protocols[i].name, name) == 0)
			return &protocols[i];
	return NULL;
}
