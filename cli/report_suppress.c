/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/report.h"

#include <errno.h>
#include <string.h>

#include "policy/base/strbuf.h"
#include "report/dsn.h"
#include "report/mail_parts.h"
#include "report/suppress.h"

#define DAY_S ((int64_t)86400)

/* The address as destinations are stored: its domain in lower case. */
static struct slice
stored_address(struct arena *a, struct slice address)
{
	size_t at = slice_find_last(address, '@');
	struct strbuf b;

	strbuf_init(&b, a, address.len);
	strbuf_add(&b, slice_sub(address, 0, at));
	if (at != SLICE_NONE)
		strbuf_add(&b, arena_copy_lower(a, slice_from(address, at)));
	return strbuf_slice(&b);
}

static int
put_on_list(struct report_run *r, struct slice address)
{
	int64_t now = report_now_s(r);
	int64_t until = r->options.for_days == 0 ? SUPPRESS_FOR_EVER
						 : now + r->options.for_days * DAY_S;
	const char *reason = r->options.reason == NULL ? "no reason given" : r->options.reason;
	const char *error = "?";

	if (suppress_by_hand(r->db, address,
		slice_str(arena_printable(r->arena, slice_str(reason), OUTBOX_REPLY_BYTES)), now,
		until, &error) != 0)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	(void)printf("%s is left alone %s%s\n", report_shown(r->arena, address),
	    until == SUPPRESS_FOR_EVER ? "until that is lifted" : "until ",
	    until == SUPPRESS_FOR_EVER ? "" : report_time(r->arena, until));
	return 0;
}

static int
take_off_list(struct report_run *r, struct slice address)
{
	const char *error = "?";
	int rc = suppress_lift(r->db, address, &error);

	if (rc < 0)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	if (rc == 0)
		return report_complain(EXIT_REFUSED, r->options.argument, "is not on the list");
	(void)printf("%s is left alone no longer\n", report_shown(r->arena, address));
	return 0;
}

int
report_suppress_command(struct report_run *r)
{
	struct slice address = slice_str(r->options.argument);
	const char *fault;

	if (address.len == 0)
		return report_list_suppressed(r);
	fault = mail_address_fault(address);
	if (fault != NULL)
		return report_complain(EXIT_USAGE, r->options.argument, fault);
	address = stored_address(r->arena, address);
	return r->options.lift ? take_off_list(r, address) : put_on_list(r, address);
}

/* ---- bounces ---- */

static int
read_bounce(struct report_run *r, struct slice *text_r)
{
	const char *name = r->options.argument;
	FILE *f = name == NULL || strcmp(name, "-") == 0 ? stdin : fopen(name, "rbe");
	char chunk[4096];
	struct strbuf b;
	bool failed;
	size_t n;

	if (f == NULL)
		return report_complain(EXIT_UNREADABLE, name, strerror(errno));
	strbuf_init(&b, r->arena, DSN_MAX_BYTES);
	/* To its end, or the MTA that pipes it in would see a broken pipe. */
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		if (!b.truncated)
			strbuf_add(&b, slice_of(chunk, n));
	failed = ferror(f) != 0;
	if (f != stdin)
		(void)fclose(f);
	*text_r = strbuf_slice(&b);
	return failed ? report_complain(EXIT_UNREADABLE, name, "can't be read to its end") : 0;
}

/* 1: one of our deliveries; 0: none of the tokens is ours. */
static int
find_delivery(
    struct report_run *r, const struct dsn *dsn, struct outbox_delivery *out, const char **error_r)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < dsn->token_count; i++)
		rc = outbox_find_token(r->db, r->arena, dsn->tokens[i], out, error_r);
	return rc;
}

static int
take_bounce(struct report_run *r, const struct outbox_delivery *d, const struct dsn *dsn)
{
	struct slice reply = slice_str(
	    arena_printf(r->arena, "bounced: %s", report_shown(r->arena, dsn->diagnostic)));
	const char *error = "?";

	if (outbox_end(r->db, d, OUTBOX_GIVEN_UP, reply, report_now_s(r), &error) != 0 ||
	    suppress_strike(r->db, d->to.address, reply, report_now_s(r), &error) != 0)
		return report_complain(EXIT_TEMPFAIL, "report_store", error);
	(void)printf("%s: %s\n", report_shown(r->arena, d->to.address), reply.p);
	return 0;
}

int
report_bounce_command(struct report_run *r)
{
	struct outbox_delivery d;
	struct dsn dsn;
	struct slice text;
	const char *error = "?";
	int status = read_bounce(r, &text);

	if (status != 0)
		return status;
	if (dsn_read(r->arena, text, &dsn, &error) != 0)
		return report_complain(EXIT_UNREADABLE, "bounce", error);
	status = find_delivery(r, &dsn, &d, &error);
	if (status < 0)
		return report_complain(EXIT_TEMPFAIL, "report_store", error);
	if (status == 0)
		return report_complain(EXIT_REFUSED, "bounce", "it is about no message of ours");
	if (!dsn.failed) {
		(void)puts("It tells of no failure: nothing was changed.");
		return 0;
	}
	return take_bounce(r, &d, &dsn);
}
