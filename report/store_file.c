/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/store_file.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define BUSY_MS	     250 /* for another's lock, at a time: a stop must not wait long */
#define LOOK_EVERY_S 2	 /* whether the file is still the one we have open */
#define PATH_BYTES   4096

static void
tell(const struct store_file *f, const char *text)
{
	if (f->tell != NULL)
		f->tell(f->ctx, text);
}

/* ---- opening ---- */

void
store_file_close(struct store_file *f)
{
	store_close(&f->store);
	db_close(&f->db);
}

static int
connect_store(struct store_file *f, const char **error_r)
{
	struct stat st;

	if (f->db == NULL) {
		f->db = db_new_sqlite(f->file, BUSY_MS);
		db_limit_file(f->db, f->file_bytes);
	}
	if (db_reopen(f->db, error_r) != 0)
		return -1;
	f->store = store_open(f->db, error_r);
	if (f->store == NULL)
		return -1;
	f->inode = stat(f->file, &st) == 0 ? st.st_ino : 0;
	return 0;
}

/* SQLite would go on for ever in a file that somebody has removed or put another in the place of.
 */
static bool
is_replaced(struct store_file *f)
{
	time_t now = time(NULL);
	struct stat st;

	if (now - f->looked_s < LOOK_EVERY_S && now >= f->looked_s)
		return false;
	f->looked_s = now;
	return stat(f->file, &st) != 0 || st.st_ino != f->inode;
}

int
store_file_open(struct store_file *f, const char **error_r)
{
	if (f->store != NULL && is_replaced(f))
		store_file_close(f);
	return f->store != NULL ? 0 : connect_store(f, error_r);
}

/* ---- faults ---- */

/* Kept for whoever can read more of it than SQLite does. */
static void
set_aside(struct store_file *f)
{
	static const char *const parts[] = { "", "-wal", "-shm" };
	char from[PATH_BYTES], to[PATH_BYTES];

	store_file_close(f);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		(void)snprintf(from, sizeof(from), "%s%s", f->file, parts[i]);
		(void)snprintf(
		    to, sizeof(to), "%s.damaged-%lld%s", f->file, (long long)time(NULL), parts[i]);
		if (rename(from, to) == 0 && i == 0)
			tell(f, "the file was damaged: set aside, a new one is begun");
	}
}

void
store_file_failed(struct store_file *f, const char *error)
{
	enum db_fault fault = f->db == NULL ? DB_F_OTHER : db_fault(f->db);

	if (fault != DB_F_CORRUPT)
		tell(f, error);
	if (f->store != NULL)
		store_rollback(f->store);
	if (fault == DB_F_CORRUPT)
		set_aside(f);
	else if (fault != DB_F_BUSY && fault != DB_F_FULL)
		store_file_close(f);
}

/* ---- deleting ---- */

static void
prune_piece(struct store_file *f, int64_t done_before_s, int64_t any_before_s)
{
	const char *error;
	int more = -1;

	f->more_to_prune = false;
	if (store_begin(f->store, &error) == 0)
		more = store_prune(f->store, done_before_s, any_before_s, &error);
	if (more < 0 || store_commit(f->store, &error) != 0)
		store_rollback(f->store);
	else
		f->more_to_prune = more == 1;
}

void
store_file_prune(struct store_file *f, int64_t keep_s)
{
	time_t now = time(NULL);

	if (f->store == NULL || keep_s == 0 ||
	    (!f->more_to_prune && now - f->pruned_s < STORE_FILE_PRUNE_S && now >= f->pruned_s))
		return;
	f->pruned_s = now;
	prune_piece(f, now - keep_s, now - keep_s);
}

bool
store_file_has_more_to_prune(const struct store_file *f)
{
	return f->more_to_prune;
}

/* Nothing would ever go otherwise, for there is no time between two groups. */
void
store_file_make_room(struct store_file *f, int64_t keep_s)
{
	int64_t now = time(NULL);

	if (f->store != NULL && db_fault(f->db) == DB_F_FULL)
		prune_piece(f, now, keep_s == 0 ? 0 : now - keep_s);
}
