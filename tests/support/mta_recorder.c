/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/mta_recorder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/support.h"

static int record(struct mta_recorder *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int
record(struct mta_recorder *r, const char *fmt, ...)
{
	size_t len = strlen(r->calls);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(r->calls + len, sizeof(r->calls) - len, fmt, ap);
	va_end(ap);
	return r->refuse != NULL && strncmp(r->calls + len, r->refuse, strlen(r->refuse)) == 0 ? -1
											       : 0;
}

static int
rec_reply(void *ctx, const char *code, const char *enhanced, const char *text)
{
	return record(ctx, "reply %s %s %s\n", code, enhanced, text);
}

static int
rec_insert(void *ctx, int index, const char *name, const char *value)
{
	assert_null(strchr(value, '\r'));
	assert_false(value[0] == ' ');
	return record(ctx, "insert %d %s: %.40s\n", index, name, value);
}

static int
rec_change(void *ctx, const char *name, int index, const char *value)
{
	return record(ctx, "change %s %d %s\n", name, index, value == NULL ? "delete" : value);
}

static int
rec_quarantine(void *ctx, const char *reason)
{
	return record(ctx, "quarantine %s\n", reason[0] != '\0' ? "because" : "?");
}

static int
rec_progress(void *ctx)
{
	(void)ctx;
	return 0;
}

static const char *
rec_macro(void *ctx, const char *name)
{
	const struct mta_recorder *r = ctx;

	if (strcmp(name, "i") == 0)
		return r->queue_id;
	if (strcmp(name, "{auth_type}") == 0)
		return r->auth_type;
	if (strcmp(name, "{auth_authen}") == 0)
		return r->auth_authen;
	return NULL;
}

const struct mta_calls mta_recorder_calls = {
	.reply = rec_reply,
	.insert_header = rec_insert,
	.change_header = rec_change,
	.quarantine = rec_quarantine,
	.progress = rec_progress,
	.macro = rec_macro,
};
