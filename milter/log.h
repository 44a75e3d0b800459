/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         log - where lines go
 * DESCRIPTION  Standard error, each line with the time in UTC before it, or syslog. The sink is
 *              chosen once, at start. Text must be clean: one line, printable (log_value() of
 *              log_message.h, arena_printable()).
 *
 *              A thread that does much in one go may have its lines gathered, and written as one
 *              when it is done. What it then makes known to others must wait for that: else a crash
 *              could take lines about it along.
 *              MT: any thread after log_open(); a line is written as one.
 */
#ifndef ASSAY_LOG_H
#define ASSAY_LOG_H

#include <limits.h>
#include <stdarg.h>

#include "conf/conf.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO };

/* facility: "mail", "daemon", "local0".. "local7"; anything else is "mail". Before threads exist.
 * Without this call lines go to standard error. */
void log_open(enum conf_log_target target, const char *facility);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same for a text that is a line as it stands. */
void log_text(enum log_level level, const char *text);

/* One log line a line of text. */
void log_lines(enum log_level level, const char *prefix, const char *text);

/* What a pipe takes as one even when it is nearly full and others write to it (POSIX). */
#define LOG_GATHERED_BYTES PIPE_BUF

struct log_gathered {
	char *text;  /* the owner's */
	size_t size; /* at most LOG_GATHERED_BYTES */
	size_t len;
};

/* From now on lines of the calling thread stay in g until log_flush(), or until it is full; NULL:
 * each is written as it comes, as before the first call. syslog gets its lines at once anyway. */
void log_gather(struct log_gathered *g);

/* Write what the calling thread has gathered. */
void log_flush(void);

#endif
