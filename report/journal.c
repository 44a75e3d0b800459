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
#include <time.h>
#include <unistd.h>

#include "policy/base/arena.h"
#include "policy/dns/hash.h"
#include "report/limits.h"

#define MAGIC	    "assayJ2\n"
#define MAGIC_BYTES 8
#define HEAD_BYTES  (MAGIC_BYTES + 8) /* and the journal's number */
#define FILE_MODE   0640
#define PATH_BYTES  4096

/* A record is words of eight bytes as the machine has them, and then texts. */
enum word {
	WORD_SUM,   /* of what follows */
	WORD_ROW,   /* 0; or the place of the row that it repeats, and WORD_COUNT is the last */
	WORD_COUNT, /* messages */
	AGAIN_WORDS,
	WORD_BEGIN = AGAIN_WORDS,
	WORD_END,
	WORD_DOMAIN, /* lengths of the texts */
	WORD_POLICY,
	WORD_TEXT,
	ROW_WORDS,
};
#define AGAIN_BYTES (AGAIN_WORDS * 8)
#define ROW_HEAD    (ROW_WORDS * 8)
#define ROW_BYTES   (ROW_HEAD + 512 + 2 * REPORT_ENCODED_BYTES)

struct part {	/* a file */
	int fd; /* -1: not open */
	int64_t number, size;
};

struct journal {
	char *file;
	int lock_fd, old_fd;   /* old: its place is taken */
	struct part now, next; /* next: while it is begun anew */
	char error[512];
	char set_aside[PATH_BYTES];
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
	j->lock_fd = j->old_fd = j->now.fd = j->next.fd = -1;
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
	close_fd(&j->old_fd);
	close_fd(&j->lock_fd);
	free(j->file);
	free(j);
}

/* ---- writing ---- */

static uint64_t
sum_of(const struct part *part, int64_t place, const char *record, size_t len)
{
	uint8_t key[HASH_KEY_BYTES];

	memcpy(key, &part->number, 8);
	memcpy(key + 8, &place, 8);
	return hash_bytes(key, slice_of(record + 8, len - 8));
}

/* The sum is made here. */
static int
append(struct part *part, char *record, size_t len, int64_t *place_r)
{
	const int64_t place = part->size;
	uint64_t sum;
	ssize_t written;

	if (part->fd < 0 || place + (int64_t)len > JOURNAL_BYTES_MAX)
		return -1;
	sum = sum_of(part, place, record, len);
	memcpy(record, &sum, 8);
	written = write(part->fd, record, len);
	if (written != (ssize_t)len) {
		/* What stands there of it would hide all that comes after. */
		if (ftruncate(part->fd, place) != 0)
			close_fd(&part->fd);
		return -1;
	}
	part->size += written;
	*place_r = place;
	return 0;
}

/* Bytes in the buffer; 0: too large. */
static size_t
put_row(struct journal *j, const struct store_entry *e)
{
	const struct slice texts[] = { e->domain, e->policy, e->row };
	const uint64_t words[ROW_WORDS] = {
		[WORD_COUNT] = e->count,
		[WORD_BEGIN] = (uint64_t)e->begin_s,
		[WORD_END] = (uint64_t)e->end_s,
		[WORD_DOMAIN] = e->domain.len,
		[WORD_POLICY] = e->policy.len,
		[WORD_TEXT] = e->row.len,
	};
	size_t len = ROW_HEAD;

	memcpy(j->buffer, words, ROW_HEAD);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].len > ROW_BYTES - len)
			return 0;
		if (texts[i].len > 0)
			memcpy(j->buffer + len, texts[i].p, texts[i].len);
		len += texts[i].len;
	}
	return len;
}

static int
append_row(struct journal *j, struct part *part, const struct store_entry *e, int64_t *place_r)
{
	size_t len = e->count > JOURNAL_COUNT_MAX ? 0 : put_row(j, e);

	return len == 0 ? -1 : append(part, j->buffer, len, place_r);
}

int
journal_add(struct journal *j, const struct store_entry *e, int64_t *place_r)
{
	return append_row(j, &j->now, e, place_r);
}

int
journal_again(struct journal *j, int64_t place, uint64_t count)
{
	const uint64_t words[AGAIN_WORDS] = { [WORD_ROW] = (uint64_t)place, [WORD_COUNT] = count };
	char record[AGAIN_BYTES];

	if (count > JOURNAL_COUNT_MAX)
		return -1;
	memcpy(record, words, AGAIN_BYTES);
	return append(&j->now, record, AGAIN_BYTES, &place);
}

int64_t
journal_place(const struct journal *j)
{
	return j->now.size;
}

/* What is written to it then is gone with the process. */
static bool
is_removed(const struct journal *j)
{
	struct stat st;

	return fstat(j->now.fd, &st) == 0 && st.st_nlink == 0;
}

bool
journal_is_worn(const struct journal *j)
{
	return j->now.fd < 0 || j->now.size >= JOURNAL_NEW_BYTES || is_removed(j);
}

/* ---- beginning anew ---- */

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
replace(struct journal *j, const char **error_r)
{
	char path[PATH_BYTES];

	next_path(j, path);
	if (rename(path, j->file) != 0)
		return fail(j, strerror(errno), error_r);
	close_fd(&j->old_fd);
	j->old_fd = j->now.fd;
	j->now = j->next;
	j->next.fd = -1;
	return 0;
}

static int
begin_anew(struct journal *j, const char **error_r)
{
	if (make_next(j, error_r) != 0 || replace(j, error_r) != 0)
		return -1;
	journal_end_old(j);
	return 0;
}

int
journal_begin_next(struct journal *j)
{
	const char *error;

	return make_next(j, &error);
}

int
journal_carry(struct journal *j, const struct store_entry *e, int64_t *place_r)
{
	return append_row(j, &j->next, e, place_r);
}

int
journal_replace(struct journal *j)
{
	const char *error;

	return replace(j, &error);
}

void
journal_end_old(struct journal *j)
{
	close_fd(&j->old_fd);
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

struct record {
	int64_t row; /* where its row stands */
	struct store_entry
	    entry; /* where that is this record; but for count, which it always has */
	int64_t end;
};

/* The words of a record, and how long it says it is; 0: there is none. */
static size_t
read_words(const struct journal *j, int64_t place, uint64_t words[ROW_WORDS])
{
	ssize_t got = pread(j->now.fd, words, ROW_HEAD, place);
	size_t len = ROW_HEAD;

	if (got < AGAIN_BYTES || words[WORD_COUNT] == 0 || words[WORD_COUNT] > JOURNAL_COUNT_MAX)
		return 0;
	if (words[WORD_ROW] != 0)
		return words[WORD_ROW] < (uint64_t)place ? AGAIN_BYTES : 0;
	if (got < ROW_HEAD)
		return 0;
	for (size_t i = WORD_DOMAIN; i <= WORD_TEXT; i++) {
		if (words[i] > ROW_BYTES - len)
			return 0;
		len += words[i];
	}
	return len;
}

/* The record at the place. False: there is no whole one. Its text is in the buffer. */
static bool
read_record(struct journal *j, int64_t place, struct record *out)
{
	uint64_t words[ROW_WORDS];
	size_t len = read_words(j, place, words);
	const char *text = j->buffer + ROW_HEAD;

	if (len == 0 || pread(j->now.fd, j->buffer, len, place) != (ssize_t)len ||
	    sum_of(&j->now, place, j->buffer, len) != words[WORD_SUM])
		return false;
	*out = (struct record){ .row = (int64_t)words[WORD_ROW],
		.entry.count = words[WORD_COUNT],
		.end = place + (int64_t)len };
	if (out->row != 0)
		return true;
	out->row = place;
	out->entry.begin_s = (int64_t)words[WORD_BEGIN];
	out->entry.end_s = (int64_t)words[WORD_END];
	out->entry.domain = slice_of(text, words[WORD_DOMAIN]);
	out->entry.policy = slice_of(text + words[WORD_DOMAIN], words[WORD_POLICY]);
	out->entry.row = slice_of(text + words[WORD_DOMAIN] + words[WORD_POLICY], words[WORD_TEXT]);
	return true;
}

/* What many records say of few rows, until it is merged. */
#define TALLY_MAX 65536
struct tally {
	size_t count;
	struct {
		int64_t row;
		uint64_t messages;
	} lines[TALLY_MAX];
};

static int
by_row(const void *a, const void *b)
{
	int64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

/* Where no row stands, nothing is merged: we write no such record. */
static int
merge_row(struct journal *j, struct store *s, int64_t place, uint64_t messages, uint64_t *merged,
    const char **error_r)
{
	struct record r;

	if (!read_record(j, place, &r) || r.row != place)
		return 0;
	r.entry.count = messages;
	*merged += messages;
	return store_merge(s, &r.entry, error_r);
}

static int
merge_tally(
    struct journal *j, struct store *s, struct tally *t, uint64_t *merged, const char **error_r)
{
	qsort(t->lines, t->count, sizeof(t->lines[0]), by_row);
	for (size_t i = 0; i < t->count;) {
		int64_t row = t->lines[i].row;
		uint64_t messages = 0;

		for (; i < t->count && t->lines[i].row == row; i++)
			messages += t->lines[i].messages;
		if (merge_row(j, s, row, messages, merged, error_r) != 0)
			return -1;
	}
	t->count = 0;
	return 0;
}

static int
merge_all(struct journal *j, struct store *s, struct tally *t, int64_t *place, uint64_t *merged,
    const char **error_r)
{
	struct record r;

	for (; read_record(j, *place, &r); *place = r.end) {
		if (t->count == TALLY_MAX && merge_tally(j, s, t, merged, error_r) != 0)
			return -1;
		t->lines[t->count].row = r.row;
		t->lines[t->count++].messages = r.entry.count;
	}
	return merge_tally(j, s, t, merged, error_r);
}

static int
merge_rest(
    struct journal *j, struct store *s, struct db *db, uint64_t *merged, const char **error_r)
{
	struct tally *t;
	int64_t place;
	int rc;

	if (noted_place(j, db, &place, error_r) != 0)
		return -1;
	t = heap_alloc(1, sizeof(*t));
	rc = merge_all(j, s, t, &place, merged, error_r);
	free(t);
	return rc == 0 ? journal_note(j, db, place, error_r) : -1;
}

/* 1; 0: there is none of ours; -1: it can't be read, which is no reason to throw it away. */
static int
read_head(struct journal *j, const char **error_r)
{
	char head[HEAD_BYTES];
	ssize_t len = pread(j->now.fd, head, HEAD_BYTES, 0);

	if (len < 0)
		return fail(j, strerror(errno), error_r);
	if (len != HEAD_BYTES || memcmp(head, MAGIC, MAGIC_BYTES) != 0)
		return 0;
	memcpy(&j->now.number, head + MAGIC_BYTES, 8);
	return 1;
}

/* It may have rows in it: another program's, or what an earlier one could not bring in. */
static int
set_aside(struct journal *j, const char **set_aside_r, const char **error_r)
{
	struct stat st;

	if (fstat(j->now.fd, &st) != 0)
		return fail(j, strerror(errno), error_r);
	if (st.st_size <= HEAD_BYTES)
		return 0;
	(void)snprintf(
	    j->set_aside, sizeof(j->set_aside), "%s.other-%lld", j->file, (long long)time(NULL));
	if (rename(j->file, j->set_aside) != 0)
		return fail(j, strerror(errno), error_r);
	*set_aside_r = j->set_aside;
	return 0;
}

/* 1; 0: there is none; -1. */
static int
open_old(struct journal *j, const char **set_aside_r, const char **error_r)
{
	int found;

	close_fd(&j->now.fd);
	j->now.fd = open(j->file, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (j->now.fd < 0)
		return errno == ENOENT ? 0 : fail(j, strerror(errno), error_r);
	found = read_head(j, error_r);
	if (found == 0 && set_aside(j, set_aside_r, error_r) != 0)
		found = -1;
	if (found != 1)
		close_fd(&j->now.fd);
	return found;
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
journal_recover(struct journal *j, struct store *s, struct db *db, struct journal_recovery *out,
    const char **error_r)
{
	int found;

	*out = (struct journal_recovery){ 0 };
	if (lock(j, error_r) != 0)
		return -1;
	found = open_old(j, &out->set_aside, error_r);
	if (found <= 0)
		return found < 0 ? -1 : begin_anew(j, error_r);
	if (store_begin(s, error_r) != 0 || merge_rest(j, s, db, &out->messages, error_r) != 0 ||
	    store_commit(s, error_r) != 0) {
		store_rollback(s);
		close_fd(&j->now.fd);
		return -1;
	}
	return begin_anew(j, error_r);
}
