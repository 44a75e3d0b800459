/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/base/arena.h"
#include "report/limits.h"

#define MAGIC	    "assayJ1\n"
#define MAGIC_BYTES 8
#define HEAD_BYTES  (MAGIC_BYTES + 8) /* and the journal's number */
#define ROW_WORDS   7		      /* sum, begin, end, count, lengths of domain, policy, row */
#define ROW_HEAD    (ROW_WORDS * 8)
#define ROW_BYTES   (ROW_HEAD + 512 + 2 * REPORT_ENCODED_BYTES)
#define FILE_MODE   0640
#define PATH_BYTES  4096

struct part {	/* a file */
	int fd; /* -1: not open */
	int64_t number, size;
};

struct journal {
	char *file;
	int lock_fd;
	struct part now, next; /* next: while it is begun anew */
	char error[512];
	char buffer[ROW_BYTES];
};

static int
fail(struct journal *j, const char *what, const char **error_r)
{
	(void)snprintf(j->error, sizeof(j->error), "%s: %s", j->file, what);
	*error_r = j->error;
	return -1;
}

struct journal *
journal_new(const char *file)
{
	struct journal *j = heap_alloc(1, sizeof(*j));

	j->file = heap_copy(file);
	j->lock_fd = j->now.fd = j->next.fd = -1;
	return j;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

void
journal_free(struct journal **jp)
{
	struct journal *j = *jp;

	*jp = NULL;
	if (j == NULL)
		return;
	close_fd(&j->now.fd);
	close_fd(&j->next.fd);
	close_fd(&j->lock_fd);
	free(j->file);
	free(j);
}

/* ---- writing ---- */

static void
next_path(const struct journal *j, char path[PATH_BYTES])
{
	(void)snprintf(path, PATH_BYTES, "%s.new", j->file);
}

static int
make_next(struct journal *j, const char **error_r)
{
	char head[HEAD_BYTES], path[PATH_BYTES];

	close_fd(&j->next.fd);
	if (getrandom(&j->next.number, sizeof(j->next.number), 0) !=
	    (ssize_t)sizeof(j->next.number))
		return fail(j, "the system has no random numbers", error_r);
	j->next.number &= INT64_MAX;
	memcpy(head, MAGIC, MAGIC_BYTES);
	memcpy(head + MAGIC_BYTES, &j->next.number, 8);
	next_path(j, path);
	j->next.fd = open(
	    path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	j->next.size = HEAD_BYTES;
	if (j->next.fd < 0 || write(j->next.fd, head, HEAD_BYTES) != HEAD_BYTES)
		return fail(j, strerror(errno), error_r);
	return 0;
}

/* It takes the place of the old at once: there is always a whole one. */
static int
publish_next(struct journal *j, const char **error_r)
{
	char path[PATH_BYTES];

	next_path(j, path);
	if (rename(path, j->file) != 0)
		return fail(j, strerror(errno), error_r);
	close_fd(&j->now.fd);
	j->now = j->next;
	j->next.fd = -1;
	return 0;
}

static int
begin_anew(struct journal *j, const char **error_r)
{
	return make_next(j, error_r) == 0 ? publish_next(j, error_r) : -1;
}

/* FNV-1a: it has to tell a row that was cut short from a whole one, nothing else. */
static uint64_t
sum_of(const char *bytes, size_t len)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)bytes[i]) * 0x100000001b3;
	return h;
}

/* Bytes in the buffer; 0: too large. */
static size_t
write_row(struct journal *j, const struct store_entry *e)
{
	const struct slice texts[] = { e->domain, e->policy, e->row };
	uint64_t words[ROW_WORDS] = { 0, (uint64_t)e->begin_s, (uint64_t)e->end_s, e->count,
		e->domain.len, e->policy.len, e->row.len };
	size_t len = ROW_HEAD;

	for (size_t i = 0; i < 3; i++) {
		if (texts[i].len > ROW_BYTES - len)
			return 0;
		if (texts[i].len > 0)
			memcpy(j->buffer + len, texts[i].p, texts[i].len);
		len += texts[i].len;
	}
	memcpy(j->buffer, words, ROW_HEAD);
	words[0] = sum_of(j->buffer + 8, len - 8);
	memcpy(j->buffer, words, 8);
	return len;
}

static int
append(struct journal *j, struct part *part, const struct store_entry *e, int64_t *place_r,
    const char **error_r)
{
	size_t len = write_row(j, e);
	ssize_t written;

	if (len == 0 || part->size + (int64_t)len > JOURNAL_BYTES_MAX)
		return fail(j, "it is full", error_r);
	written = write(part->fd, j->buffer, len);
	if (written != (ssize_t)len) {
		(void)fail(j, written < 0 ? strerror(errno) : "no room on the disk", error_r);
		/* What stands there of it would hide all that comes after. */
		if (ftruncate(part->fd, part->size) != 0)
			close_fd(&part->fd);
		return -1;
	}
	part->size += written;
	*place_r = part->size;
	return 0;
}

int
journal_add(struct journal *j, const struct store_entry *e, int64_t *place_r, const char **error_r)
{
	if (j->now.fd < 0)
		return fail(j, "not open", error_r);
	return append(j, &j->now, e, place_r, error_r);
}

int
journal_renew(struct journal *j)
{
	const char *error;

	return j->now.fd < 0 || j->now.size >= JOURNAL_NEW_BYTES ? make_next(j, &error) : -1;
}

int
journal_carry(struct journal *j, const struct store_entry *e, int64_t *place_r)
{
	const char *error;

	return append(j, &j->next, e, place_r, &error);
}

int
journal_renewed(struct journal *j)
{
	const char *error;

	return publish_next(j, &error);
}

void
journal_clear(struct journal *j)
{
	const char *error;

	(void)begin_anew(j, &error); /* else the old one says for itself what is noted */
}

/* ---- what the store has of it ---- */

int
journal_note(struct journal *j, struct db *db, int64_t place, const char **error_r)
{
	static const char number_sql[] = "INSERT INTO report_facts (name, number) "
					 "VALUES ('journal', $1) ON CONFLICT (name) "
					 "DO UPDATE SET number = excluded.number";
	static const char place_sql[] = "INSERT INTO report_facts (name, number) "
					"VALUES ('journal_place', $1) ON CONFLICT (name) "
					"DO UPDATE SET number = excluded.number";
	struct db_value params[] = { db_int(j->now.number) };

	if (db_run(db, number_sql, params, 1, NULL, NULL, error_r) != 0)
		return -1;
	params[0] = db_int(place);
	return db_run(db, place_sql, params, 1, NULL, NULL, error_r);
}

/* Where the store's rows of this journal end. */
static int
noted_place(struct journal *j, struct db *db, int64_t *place_r, const char **error_r)
{
	static const char number_sql[] = "SELECT number FROM report_facts WHERE name = 'journal'";
	static const char place_sql[] =
	    "SELECT number FROM report_facts WHERE name = 'journal_place'";
	int64_t number;
	int found = db_number(db, number_sql, NULL, 0, &number, error_r);

	*place_r = HEAD_BYTES;
	if (found < 0 ||
	    (found == 1 && number == j->now.number &&
		db_number(db, place_sql, NULL, 0, place_r, error_r) < 0))
		return -1;
	return 0;
}

/* ---- recovery ---- */

/* The row at the place, which is moved behind it. False: there is no whole one. */
static bool
read_row(struct journal *j, int64_t *place, struct store_entry *e)
{
	uint64_t words[ROW_WORDS], len = ROW_HEAD;

	if (pread(j->now.fd, words, ROW_HEAD, *place) != ROW_HEAD)
		return false;
	for (size_t i = 4; i < ROW_WORDS; i++) {
		if (words[i] > ROW_BYTES - len)
			return false;
		len += words[i];
	}
	if (pread(j->now.fd, j->buffer, len, *place) != (ssize_t)len ||
	    sum_of(j->buffer + 8, len - 8) != words[0])
		return false;
	*e = (struct store_entry){
		.begin_s = (int64_t)words[1],
		.end_s = (int64_t)words[2],
		.count = words[3],
		.domain = slice_of(j->buffer + ROW_HEAD, words[4]),
		.policy = slice_of(j->buffer + ROW_HEAD + words[4], words[5]),
		.row = slice_of(j->buffer + ROW_HEAD + words[4] + words[5], words[6]),
	};
	*place += (int64_t)len;
	return true;
}

/* 1; 0: there is no journal, or what is there is none; -1: it can't be read, which is no reason to
 * throw it away. */
static int
open_old(struct journal *j, const char **error_r)
{
	char head[HEAD_BYTES];
	ssize_t len;

	close_fd(&j->now.fd);
	j->now.fd = open(j->file, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (j->now.fd < 0)
		return errno == ENOENT ? 0 : fail(j, strerror(errno), error_r);
	len = pread(j->now.fd, head, HEAD_BYTES, 0);
	if (len < 0)
		(void)fail(j, strerror(errno), error_r);
	if (len != HEAD_BYTES || memcmp(head, MAGIC, MAGIC_BYTES) != 0) {
		close_fd(&j->now.fd);
		return len < 0 ? -1 : 0;
	}
	memcpy(&j->now.number, head + MAGIC_BYTES, 8);
	return 1;
}

static int
merge_rest(
    struct journal *j, struct store *s, struct db *db, uint64_t *count_r, const char **error_r)
{
	struct store_entry e;
	int64_t place;

	if (noted_place(j, db, &place, error_r) != 0)
		return -1;
	while (read_row(j, &place, &e)) {
		if (store_merge(s, &e, error_r) != 0)
			return -1;
		*count_r += e.count;
	}
	return journal_note(j, db, place, error_r);
}

/* Held to the end of the journal or of the process. Not the journal itself: that is replaced. */
static int
lock(struct journal *j, const char **error_r)
{
	char path[PATH_BYTES];

	if (j->lock_fd >= 0)
		return 0;
	(void)snprintf(path, sizeof(path), "%s.lock", j->file);
	j->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (j->lock_fd >= 0 && flock(j->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	(void)fail(j, errno == EWOULDBLOCK ? "another process has it" : strerror(errno), error_r);
	close_fd(&j->lock_fd);
	return -1;
}

int
journal_recover(
    struct journal *j, struct store *s, struct db *db, uint64_t *count_r, const char **error_r)
{
	int found;

	*count_r = 0;
	if (lock(j, error_r) != 0)
		return -1;
	found = open_old(j, error_r);
	if (found <= 0)
		return found < 0 ? -1 : begin_anew(j, error_r);
	if (store_begin(s, error_r) != 0 || merge_rest(j, s, db, count_r, error_r) != 0 ||
	    store_commit(s, error_r) != 0) {
		store_rollback(s);
		close_fd(&j->now.fd);
		return -1;
	}
	return begin_anew(j, error_r);
}
