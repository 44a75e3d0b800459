/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         report - what the parts of `assay report` share
 * DESCRIPTION  One run: its options, and what was opened for them. Parts return the exit status.
 */
#ifndef ASSAY_CLI_REPORT_H
#define ASSAY_CLI_REPORT_H

#include <stdio.h>
#include <sys/types.h>

#include "cli/cli.h"
#include "conf/conf.h"
#include "report/lease.h"
#include "report/make.h"
#include "report/send.h"
#include "report/ship.h"

#define REPORT_KEYS_MAX 8

struct report_options {		 /* text points into argv */
	const char *config_file; /* NULL: the defaults */
	const char *dry_run;	 /* folder, or NULL */
	const char *again;	 /* Report-ID, or NULL */
	const char *reason;	 /* or NULL */
	const char *argument;	 /* what is no option, or NULL */
	int64_t time_s;		 /* 0: the clock's */
	uint32_t for_days;	 /* 0: not given */
	bool all, xml, lift, until_eof, help;
};

struct report_run {
	struct report_options options;
	struct arena *arena;
	struct conf *conf;
	struct db *db;
	struct db *queue; /* this machine's, with its failure reports; db where there is no fleet */
	struct store *store;
	ino_t inode;		/* of the file of queue */
	int64_t clock_offset_s; /* by which --time shifts the clock */
	bool patient;		/* waits for a store that is not there yet */

	/* of a fleet: db is the database of all; NULL and empty where there is none */
	struct shipper *shipper;
	char node_holder[LEASE_HOLDER_BYTES];

	/* for making and sending; report_open_engine() */
	struct psl *psl;
	struct crypto *crypto;
	struct resolver *resolver;
	struct dmarc_options dmarc;
	struct key_ring *ring;
	struct key_holder holder;
	struct sig_signing_key keys[REPORT_KEYS_MAX];
	size_t key_count;
	struct dkim_sign_options sign_options;
	struct dkim_sign_job sign;
	struct compose_options compose;
	struct send_options send;
};

int64_t report_now_s(const struct report_run *r);

/* Prints "assay report: what: why" and returns status. */
int report_complain(int status, const char *what, const char *why);

/* ---- report_open.c: 0, or an exit status after a complaint ---- */

int report_open_store(struct report_run *r);   /* configuration, database, tables */
int report_follow_store(struct report_run *r); /* opens anew what was removed or replaced */
int report_open_engine(struct report_run *r);  /* DNS, crypto, keys; both option structs */
void report_close(struct report_run *r);

/* Why nothing would be sent: one line each on f. How many lines. */
size_t report_say_why_not(const struct report_run *r, FILE *f);

/* ---- the subcommands ---- */

/* Are we asked to stop, or has, with --until-eof, whoever started us gone? Waits for that at most
 * wait_ms. */
bool report_must_stop(const struct report_run *r, int wait_ms);

int report_list_command(struct report_run *r);
int report_show_command(struct report_run *r);
int report_preview_command(struct report_run *r);
int report_export_command(struct report_run *r);
int report_send_command(struct report_run *r);
int report_run_command(struct report_run *r);
int report_suppress_command(struct report_run *r);
int report_bounce_command(struct report_run *r);

/* Who is left alone; for `suppress` without an address. */
int report_list_suppressed(struct report_run *r);

/* ---- report_text.c ---- */

/* "2026-11-26 09:00", UTC; arena text. */
const char *report_time(struct arena *a, int64_t time_s);

/* Can files be put there? Said before any work is done. 0, or an exit status. */
int report_check_folder(const char *folder);

/* A whole file of bytes into a folder, under a name that has no slash. 0, or an exit status. */
int report_write_file(
    struct report_run *r, const char *folder, const char *name, struct slice bytes);

/* Of periods that nobody was told about (store.h), for people: whose, and how much of it. */
const char *report_forgotten_name(struct arena *a, const struct store_forgotten *f);
const char *report_forgotten_text(struct arena *a, const struct store_forgotten *f);

/* What is shown of text from outside. */
const char *report_shown(struct arena *a, struct slice s);

#endif
