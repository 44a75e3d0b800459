/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded into a program: kills it with SIGKILL before or after a call that has a text in it.
 *      KILL_WHEN  before, after
 *      KILL_WHAT  sql (a statement of SQLite), send (bytes to a socket), end (those that end a
 * message) KILL_TEXT  is in the statement, or in the bytes KILL_SKIP  so many such calls are let
 * pass KILL_WAIT_MS  after: so long later, for what the other side does meanwhile Built by
 * report_send_test.py; no part of any program.
 */
#include <dlfcn.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static atomic_int seen;

static const char *
setting(const char *name)
{
	const char *value = getenv(name);

	return value == NULL ? "" : value;
}

static int
fits(const char *what, const char *bytes, size_t size)
{
	const char *text = setting("KILL_TEXT");

	return strcmp(setting("KILL_WHAT"), what) == 0 && text[0] != '\0' && bytes != NULL &&
	    memmem(bytes, size, text, strlen(text)) != NULL && seen++ == atoi(setting("KILL_SKIP"));
}

static void
die_if(int wanted, const char *when)
{
	if (!wanted || strcmp(setting("KILL_WHEN"), when) != 0)
		return;
	(void)usleep((useconds_t)atoi(setting("KILL_WAIT_MS")) * 1000);
	(void)kill(getpid(), SIGKILL);
	for (;;)
		(void)pause();
}

int
sqlite3_step(sqlite3_stmt *stmt)
{
	static int (*real)(sqlite3_stmt *);
	const char *sql = sqlite3_sql(stmt);
	int wanted = fits("sql", sql, sql == NULL ? 0 : strlen(sql)), rc;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "sqlite3_step");
	die_if(wanted, "before");
	rc = real(stmt);
	die_if(wanted, "after");
	return rc;
}

int
sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *ctx,
    char **error)
{
	static int (*real)(
	    sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **);
	int wanted = fits("sql", sql, strlen(sql)), rc;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "sqlite3_exec");
	die_if(wanted, "before");
	rc = real(db, sql, row, ctx, error);
	die_if(wanted, "after");
	return rc;
}

ssize_t
send(int fd, const void *bytes, size_t size, int flags)
{
	static ssize_t (*real)(int, const void *, size_t, int);
	int wanted = fits("send", bytes, size) || (size <= 5 && fits("end", bytes, size));
	ssize_t n;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "send");
	die_if(wanted, "before");
	n = real(fd, bytes, size, flags);
	die_if(wanted, "after");
	return n;
}
