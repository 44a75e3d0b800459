/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         store_file - the store in its file, whatever becomes of the file
 * DESCRIPTION  Opens it when it is needed, opens it anew when somebody has removed or replaced it,
 *              sets a damaged one aside (".damaged-" and the time) and begins a new one, and
 *              deletes periods that are reported or past keeping.
 * DIAGNOSTICS  What was done about a damaged file is told; what else fails, by store_file_failed().
 * BUGS         MT: one thread.
 */
#ifndef ASSAY_REPORT_STORE_FILE_H
#define ASSAY_REPORT_STORE_FILE_H

#include <sys/types.h>

#include "report/store.h"

struct store_file {
	const char *file;
	int64_t file_bytes;			   /* of the database; beyond: as a full disk */
	void (*tell)(void *ctx, const char *text); /* NULL: nobody wants to know */
	void *ctx;

	struct db *db;
	struct store *store; /* NULL: not open */

	/* private */
	ino_t inode;
	time_t looked_s, pruned_s;
	bool more_to_prune;
};

/* Open it, where it is not. 0, or -1 with *error_r set. */
int store_file_open(struct store_file *f, const char **error_r);
void store_file_close(struct store_file *f);

/* A call on the store has failed: roll back and be ready for another attempt. error: is told,
 * unless the file is damaged, where it is told what was done. */
void store_file_failed(struct store_file *f, const char *error);

/* Between two groups, now and then: delete periods that ended keep_s ago, a piece at a time. keep_s
 * 0: never. */
void store_file_prune(struct store_file *f, int64_t keep_s);
bool store_file_has_more_to_prune(const struct store_file *f);
#define STORE_FILE_PRUNE_S 600 /* how often it is worth calling */

/* After a failure for want of room: what is reported goes at once, and what is past keeping. */
void store_file_make_room(struct store_file *f, int64_t keep_s);

#endif
