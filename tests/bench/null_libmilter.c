/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         null_libmilter - the floor for a filter on libmilter
 * SYNOPSIS     null_libmilter ADDRESS
 */
#include <libmilter/mfapi.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/null_work.h"

/* As in milter/front_libmilter.c. */
#define NO_REPLY                                                                                   \
	(SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_HDR |            \
	    SMFIP_NR_EOH)
#define NO_STEP (SMFIP_NODATA | SMFIP_NOUNKNOWN)

static struct null_key *key;

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long f2,
    unsigned long f3, unsigned long *actions_r, unsigned long *steps_r, unsigned long *f2_r,
    unsigned long *f3_r)
{
	(void)actions;
	(void)f2;
	(void)f3;
	*f2_r = *f3_r = 0;
	*actions_r = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_QUARANTINE | SMFIF_SETSYMLIST;
	*steps_r = NO_REPLY | NO_STEP | (steps & (SMFIP_HDR_LEADSPC | SMFIP_SKIP));
	for (int stage = SMFIM_FIRST; stage <= SMFIM_LAST; stage++) {
		char text[] = "{assay_none}", mail[] = "{auth_type} {auth_authen}", end[] = "i";

		(void)smfi_setsymlist(ctx, stage,
		    stage == SMFIM_ENVFROM   ? mail
			: stage == SMFIM_EOM ? end
					     : text);
	}
	return SMFIS_CONTINUE;
}

static sfsistat
on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
	(void)host;
	(void)address;
	(void)smfi_setpriv(ctx, null_message_new(key));
	return SMFIS_NOREPLY;
}

static sfsistat
on_text(SMFICTX *ctx, char *text)
{
	(void)ctx;
	(void)text;
	return SMFIS_NOREPLY;
}

static sfsistat
on_path(SMFICTX *ctx, char **argv)
{
	(void)ctx;
	(void)argv;
	return SMFIS_NOREPLY;
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	(void)ctx;
	(void)name;
	(void)value;
	return SMFIS_NOREPLY;
}

static sfsistat
on_end_of_headers(SMFICTX *ctx)
{
	(void)ctx;
	return SMFIS_NOREPLY;
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *bytes, size_t len)
{
	null_message_body(smfi_getpriv(ctx), bytes, len);
	return SMFIS_CONTINUE;
}

static sfsistat
on_end(SMFICTX *ctx)
{
	null_message_end(smfi_getpriv(ctx));
	return SMFIS_CONTINUE;
}

static sfsistat
on_close(SMFICTX *ctx)
{
	struct null_message *m = smfi_getpriv(ctx);

	(void)smfi_setpriv(ctx, NULL);
	null_message_free(&m);
	return SMFIS_CONTINUE;
}

int
main(int argc, char **argv)
{
	char name[] = "null_libmilter";
	const struct smfiDesc description = {
		.xxfi_name = name,
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_QUARANTINE | SMFIF_SETSYMLIST,
		.xxfi_connect = on_connect,
		.xxfi_helo = on_text,
		.xxfi_envfrom = on_path,
		.xxfi_envrcpt = on_path,
		.xxfi_header = on_header,
		.xxfi_eoh = on_end_of_headers,
		.xxfi_body = on_body,
		.xxfi_eom = on_end,
		.xxfi_close = on_close,
		.xxfi_negotiate = on_negotiate,
	};

	if (argc != 2) {
		(void)fprintf(stderr, "usage: null_libmilter ADDRESS\n");
		return EXIT_FAILURE;
	}
	key = null_key_new();
	if (smfi_register(description) != MI_SUCCESS || smfi_setconn(argv[1]) != MI_SUCCESS ||
	    smfi_main() != MI_SUCCESS)
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
