/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/postbox/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/postbox/server.h"

#define LINE_BYTES 1024

static void write_line(const struct connection *c, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void
write_line(const struct connection *c, const char *fmt, va_list ap)
{
	char line[LINE_BYTES], address[IP_TEXT_BYTES];
	size_t len = 0;
	ssize_t written;
	int n = 0;

	if (c != NULL)
		n = snprintf(line, sizeof(line), "postbox: %s[%llu] %s: ", c->protocol->name,
		    (unsigned long long)c->number, ip_print(&c->peer, address));
	else
		n = snprintf(line, sizeof(line), "postbox: ");
	len = n < 0 ? 0 : (size_t)n;
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	len += n < 0 ? 0 : (size_t)n;
	if (len > sizeof(line) - 2) /* cut, and still with its end of line */
		len = sizeof(line) - 2;
	line[len++] = '\n';
	written = write(STDERR_FILENO, line, len);
	(void)written;
}

void
log_line(const struct connection *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(c, fmt, ap);
	va_end(ap);
}

void
log_debug(const struct connection *c, const char *fmt, ...)
{
	va_list ap;

	if (c == NULL || !c->server->options.verbose)
		return;
	va_start(ap, fmt);
	write_line(c, fmt, ap);
	va_end(ap);
}
