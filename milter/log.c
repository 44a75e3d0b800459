/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/log.h"

#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "policy/base/limits.h"

/* The sink, chosen at start, read-only from then on. */
static enum conf_log_target log_target = CONF_LOG_STDERR;

static int
facility_number(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} facilities[] = {
		{ "mail", LOG_MAIL },
		{ "daemon", LOG_DAEMON },
		{ "user", LOG_USER },
		{ "local0", LOG_LOCAL0 },
		{ "local1", LOG_LOCAL1 },
		{ "local2", LOG_LOCAL2 },
		{ "local3", LOG_LOCAL3 },
		{ "local4", LOG_LOCAL4 },
		{ "local5", LOG_LOCAL5 },
		{ "local6", LOG_LOCAL6 },
		{ "local7", LOG_LOCAL7 },
	};

	for (size_t i = 0; i < sizeof(facilities) / sizeof(facilities[0]); i++)
		if (strcmp(name, facilities[i].name) == 0)
			return facilities[i].number;
	return LOG_MAIL;
}

static int
syslog_priority(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return LOG_ERR;
	case LOG_LEVEL_WARNING:
		return LOG_WARNING;
	case LOG_LEVEL_INFO:
		return LOG_INFO;
	}
	bug("log: level %d", (int)level);
}

void
log_open(enum conf_log_target target, const char *facility)
{
	log_target = target;
	if (target == CONF_LOG_SYSLOG)
		openlog("assayd", LOG_PID | LOG_NDELAY, facility_number(facility));
}

/* ---- standard error ---- */

#define STAMP_BYTES 32

/* Where the lines of this thread are gathered; NULL: nowhere. */
static _Thread_local struct log_gathered *gathered;

static struct iovec
part(const char *text, size_t len)
{
	return (struct iovec){ .iov_base = (void *)(uintptr_t)text, .iov_len = len };
}

/* UTC: no localtime() among threads (PITFALLS 44), and no doubt about summer time. A second has
 * many lines: each thread keeps the last one's stamp. */
static struct iovec
stamp_of_now(void)
{
	static _Thread_local char stamp[STAMP_BYTES];
	static _Thread_local size_t len;
	static _Thread_local time_t second;
	time_t now = time(NULL);
	struct tm tm;

	if (len == 0 || now != second) {
		(void)gmtime_r(&now, &tm);
		len = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ assayd: ", &tm);
		second = now;
	}
	return part(stamp, len);
}

/* True: the line is in g. */
static bool
gather(struct log_gathered *g, const struct iovec *parts, size_t count)
{
	size_t len = 0;

	for (size_t i = 0; i < count; i++)
		len += parts[i].iov_len;
	if (len > g->size - g->len)
		log_flush();
	if (len > g->size)
		return false;
	for (size_t i = 0; i < count; i++) {
		memcpy(g->text + g->len, parts[i].iov_base, parts[i].iov_len);
		g->len += parts[i].iov_len;
	}
	return true;
}

/* One writev, so that lines of threads don't mix. */
static void
write_stderr(const char *text)
{
	const struct iovec parts[] = { stamp_of_now(), part(text, strlen(text)), part("\n", 1) };

	if (gathered != NULL && gather(gathered, parts, 3))
		return;
	if (writev(STDERR_FILENO, parts, 3) < 0)
		return; /* nowhere left to say so */
}

void
log_gather(struct log_gathered *g)
{
	if (g != NULL && g->size > LOG_GATHERED_BYTES)
		bug("log_gather: %zu bytes", g->size);
	log_flush();
	gathered = g;
}

void
log_flush(void)
{
	if (gathered == NULL || gathered->len == 0)
		return;
	/* As one, for the lines of other threads: so it is no more than LOG_GATHERED_BYTES. */
	if (write(STDERR_FILENO, gathered->text, gathered->len) < 0)
		gathered->len = 0; /* nowhere left to say so */
	gathered->len = 0;
}

/* ---- lines ---- */

void
log_text(enum log_level level, const char *text)
{
	switch (log_target) {
	case CONF_LOG_STDERR:
		write_stderr(text);
		return;
	case CONF_LOG_SYSLOG:
		syslog(syslog_priority(level), "%s", text);
		return;
	}
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	char text[LIMIT_LOG_LINE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_text(level, text);
}

void
log_lines(enum log_level level, const char *prefix, const char *text)
{
	struct slice rest = slice_str(text), line;

	while (slice_next(&rest, '\n', &line))
		log_line(level, "%s%.*s", prefix, SLICE_ARG(line));
}
