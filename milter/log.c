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

/* UTC: no localtime() among threads (PITFALLS 44), and no doubt about summer time. One writev, so
 * that lines of threads don't mix. */
static void
write_stderr(const char *text)
{
	time_t now = time(NULL);
	struct tm tm;
	char stamp[32];
	struct iovec iov[3];

	(void)gmtime_r(&now, &tm);
	iov[0].iov_base = stamp;
	iov[0].iov_len = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ assayd: ", &tm);
	iov[1].iov_base = (void *)(uintptr_t)text;
	iov[1].iov_len = strlen(text);
	iov[2].iov_base = (void *)(uintptr_t) "\n";
	iov[2].iov_len = 1;
	if (writev(STDERR_FILENO, iov, 3) < 0)
		return; /* nowhere left to say so */
}

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
