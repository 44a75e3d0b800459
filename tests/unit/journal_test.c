/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal of the report store: whatever stands in the file when the process ends, every message
 * whose record is whole counts once, and nothing else does.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/dns/hash.h"
#include "report/journal.h"
#include "tests/support/backend.h"
#include "tests/support/support.h"

#define HEAD_BYTES 16
#define ROW_WORDS  8 /* sum, row, count, begin, end, and three lengths */
#define FILE_BYTES 8192

static char folder[BACKEND_FOLDER_BYTES];

/* A store with a journal beside it, as a process opens them. */
struct rig {
	char journal_file[280];
	struct backend backend;
	struct db *db;
	struct store *store;
	struct journal *journal;
	struct journal_recovery found;
};

static void
open_rig(struct rig *r, const char *name)
{
	const char *error = "?";

	backend_sqlite(&r->backend, folder, name);
	(void)snprintf(r->journal_file, sizeof(r->journal_file), "%s.pending", r->backend.place);
	r->db = backend_open(&r->backend, 1000);
	r->store = store_open(r->db, &error);
	if (r->store == NULL)
		fail_msg("%s", error);
	r->journal = journal_new(r->journal_file);
	if (journal_recover(r->journal, r->store, r->db, &r->found, &error) != 0)
		fail_msg("%s", error);
}

/* As by kill -9: the files stay as they are. */
static void
kill_rig(struct rig *r)
{
	journal_free(&r->journal);
	store_close(&r->store);
	db_close(&r->db);
}

static uint64_t
stored(const struct rig *r)
{
	static const char sql[] = "SELECT coalesce(sum(messages), 0) FROM report_rows";
	const char *error = "?";
	int64_t sum = 0;

	if (db_number(r->db, sql, NULL, 0, &sum, &error) != 1)
		fail_msg("%s", error);
	return (uint64_t)sum;
}

static struct store_entry
entry_of(const char *row, uint64_t count)
{
	return (struct store_entry){
		.domain = SLICE("example.com"),
		.policy = SLICE("a policy"),
		.row = slice_str(row),
		.begin_s = 86400,
		.end_s = 2 * 86400,
		.count = count,
	};
}

static int64_t
add(struct rig *r, const char *row, uint64_t count)
{
	const struct store_entry e = entry_of(row, count);
	int64_t place = -1;

	assert_int_equal(journal_add(r->journal, &e, &place), 0);
	return place;
}

static void
again(struct rig *r, int64_t place, uint64_t count)
{
	assert_int_equal(journal_again(r->journal, place, count), 0);
}

static void
note(struct rig *r, int64_t place)
{
	const char *error = "?";

	assert_int_equal(db_begin(r->db, &error), 0);
	assert_int_equal(journal_note(r->journal, r->db, place, &error), 0);
	assert_int_equal(db_commit(r->db, &error), 0);
}

/* ---- files ---- */

struct bytes {
	size_t len;
	char p[FILE_BYTES];
};

static void
load(struct bytes *b, const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, b->p, FILE_BYTES);
	assert_true(n >= 0 && n < FILE_BYTES);
	b->len = (size_t)n;
	(void)close(fd);
}

static void
save(const char *path, const char *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, len), len);
	(void)close(fd);
}

/* ---- cut and damaged ---- */

#define RECORDS 6

/* Rows and repetitions; ends: behind each record, messages: up to it. */
static void
write_journal(struct bytes *out, size_t ends[RECORDS + 1], uint64_t messages[RECORDS + 1])
{
	static const struct {
		const char *row; /* NULL: the one that was written as that number once more */
		size_t of;
		uint64_t count;
	} records[RECORDS] = { { "first", 0, 1 }, { NULL, 0, 1 }, { "second", 0, 3 },
		{ NULL, 0, 7 }, { NULL, 2, 1 }, { "the third", 0, 1 } };
	int64_t places[RECORDS];
	struct rig r;

	open_rig(&r, "whole.db");
	ends[0] = HEAD_BYTES;
	messages[0] = 0;
	for (size_t i = 0; i < RECORDS; i++) {
		if (records[i].row != NULL)
			places[i] = add(&r, records[i].row, records[i].count);
		else
			again(&r, places[records[i].of], records[i].count);
		ends[i + 1] = (size_t)journal_place(r.journal);
		messages[i + 1] = messages[i] + records[i].count;
	}
	load(out, r.journal_file);
	assert_int_equal(out->len, ends[RECORDS]);
	kill_rig(&r);
}

/* What a process finds that starts with such a journal and an empty store. */
static uint64_t
recovered_from(const char *p, size_t len, bool *set_aside_r)
{
	struct rig r;
	char command[300];
	uint64_t messages;

	(void)snprintf(command, sizeof(command), "rm -f '%s'/cut.db*", folder);
	assert_int_equal(system(command), 0);
	(void)snprintf(command, sizeof(command), "%s/cut.db.pending", folder);
	save(command, p, len);
	open_rig(&r, "cut.db");
	messages = r.found.messages;
	assert_int_equal(stored(&r), messages);
	*set_aside_r = r.found.set_aside != NULL;
	/* And it takes rows again. */
	(void)add(&r, "after", 1);
	kill_rig(&r);
	open_rig(&r, "cut.db");
	assert_int_equal(r.found.messages, 1);
	assert_int_equal(stored(&r), messages + 1);
	kill_rig(&r);
	return messages;
}

static void
a_journal_is_good_up_to_where_it_was_cut(void **state)
{
	struct bytes whole;
	size_t ends[RECORDS + 1], n = 0;
	uint64_t messages[RECORDS + 1];
	bool aside;

	(void)state;
	write_journal(&whole, ends, messages);
	for (size_t len = 0; len <= whole.len; len++) {
		while (n < RECORDS && ends[n + 1] <= len)
			n++;
		if (recovered_from(whole.p, len, &aside) != messages[n])
			fail_msg("cut at %zu, in record %zu", len, n);
		assert_false(aside);
	}
}

static void
a_journal_is_good_up_to_what_was_changed(void **state)
{
	struct bytes whole;
	size_t ends[RECORDS + 1], n = 0;
	uint64_t messages[RECORDS + 1];

	(void)state;
	write_journal(&whole, ends, messages);
	for (size_t at = 0; at < whole.len; at++) {
		uint64_t got;
		bool aside;

		while (ends[n] <= at && ends[n + 1] <= at)
			n++;
		whole.p[at] = (char)(whole.p[at] ^ 0x20);
		got = recovered_from(whole.p, whole.len, &aside);
		whole.p[at] = (char)(whole.p[at] ^ 0x20);
		/* In its head: another layout, or another number, of which no record is. */
		if (got != (at < HEAD_BYTES ? 0 : messages[n]) || aside != (at < 8))
			fail_msg("changed at %zu: %llu messages", at, (unsigned long long)got);
	}
}

static void
zeroes_behind_the_end_are_no_records(void **state)
{
	struct bytes whole;
	size_t ends[RECORDS + 1];
	uint64_t messages[RECORDS + 1];
	bool aside;

	(void)state;
	write_journal(&whole, ends, messages);
	memset(whole.p + whole.len, 0, 1000);
	assert_int_equal(recovered_from(whole.p, whole.len + 1000, &aside), messages[RECORDS]);
}

/* ---- what an enemy would write, who knows the number ---- */

static size_t
put_record(struct bytes *b, const uint64_t *words, size_t count, const char *text)
{
	int64_t place = (int64_t)b->len;
	uint8_t key[HASH_KEY_BYTES];
	char *record = b->p + b->len;
	size_t len = 8 * count + strlen(text);
	uint64_t sum;

	memcpy(record, words, 8 * count);
	memcpy(record + 8 * count, text, strlen(text));
	memcpy(key, b->p + 8, 8);
	memcpy(key + 8, &place, 8);
	sum = hash_bytes(key, slice_of(record + 8, len - 8));
	memcpy(record, &sum, 8);
	b->len += len;
	return (size_t)place;
}

static void
records_that_we_never_write_do_no_harm(void **state)
{
	const uint64_t row[ROW_WORDS] = { 0, 0, 1, 86400, 2 * 86400, 0, 1, 1 };
	struct {
		const char *name;
		uint64_t words[ROW_WORDS];
		size_t count;
		uint64_t messages;
	} cases[] = {
		{ "what we do write", { 0, HEAD_BYTES, 1 }, 3, 3 },
		{ "a row in the head", { 0, 8, 1 }, 3, 2 },
		{ "a row within a row", { 0, HEAD_BYTES + 8, 1 }, 3, 2 },
		{ "a repetition of a repetition", { 0, HEAD_BYTES + 66, 1 }, 3, 2 },
		{ "itself", { 0, HEAD_BYTES + 66 + 24, 1 }, 3, 2 },
		{ "what stands behind it", { 0, HEAD_BYTES + 66 + 48, 1 }, 3, 2 },
		{ "beyond the file", { 0, 1 << 30, 1 }, 3, 2 },
		{ "a negative place", { 0, (uint64_t)-16, 1 }, 3, 2 },
		{ "no messages", { 0, HEAD_BYTES, 0 }, 3, 2 },
		{ "as many as can't be", { 0, HEAD_BYTES, (uint64_t)1 << 32 }, 3, 2 },
		{ "a row of all memory", { 0, 0, 1, 0, 0, UINT64_MAX, 0, 0 }, ROW_WORDS, 2 },
		{ "lengths that overflow", { 0, 0, 1, 0, 0, UINT64_MAX, 2, 1 }, ROW_WORDS, 2 },
		{ "a row beyond the file", { 0, 0, 1, 0, 0, 0, 60000, 60000 }, ROW_WORDS, 2 },
		{ "an empty row", { 0, 0, 5, 0, 0, 0, 0, 0 }, ROW_WORDS, 7 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t one_more[] = { 0, HEAD_BYTES, 1 };
		struct bytes b = { .len = HEAD_BYTES, .p = "assayJ2\nany num" };
		uint64_t got;
		bool aside;

		(void)put_record(&b, row, ROW_WORDS, "pr");
		(void)put_record(&b, one_more, 3, "");
		(void)put_record(&b, cases[i].words, cases[i].count, "");
		got = recovered_from(b.p, b.len, &aside);
		if (got != cases[i].messages)
			fail_msg("%s: %llu messages, want %llu", cases[i].name,
			    (unsigned long long)got, (unsigned long long)cases[i].messages);
	}
}

/* ---- once each ---- */

static void
what_is_noted_is_not_merged_again(void **state)
{
	struct bytes old;
	struct rig r;
	int64_t place;

	(void)state;
	open_rig(&r, "noted.db");
	place = add(&r, "row", 1);
	again(&r, place, 1);
	note(&r, journal_place(r.journal)); /* and not in the store, so that it would show */
	again(&r, place, 4);
	(void)add(&r, "other", 1);
	load(&old, r.journal_file);
	kill_rig(&r);
	open_rig(&r, "noted.db");
	assert_int_equal(r.found.messages, 5);
	assert_int_equal(stored(&r), 5);
	kill_rig(&r);
	/* Killed between the commit and the new journal: the old one is there once more. */
	save(r.journal_file, old.p, old.len);
	open_rig(&r, "noted.db");
	assert_int_equal(r.found.messages, 0);
	assert_int_equal(stored(&r), 5);
	kill_rig(&r);
}

/* More repetitions than are added up at once, of few rows. */
static void
many_repetitions_are_added_up(void **state)
{
	const unsigned many = 150000;
	struct rig r;
	int64_t places[3];

	(void)state;
	open_rig(&r, "many.db");
	places[0] = add(&r, "a", 1);
	places[1] = add(&r, "b", 1);
	places[2] = add(&r, "c", 1);
	for (unsigned i = 0; i < many; i++)
		again(&r, places[i % 3], 1);
	kill_rig(&r);
	open_rig(&r, "many.db");
	assert_int_equal(r.found.messages, many + 3);
	assert_int_equal(stored(&r), many + 3);
	kill_rig(&r);
}

static void
a_new_journal_has_what_was_carried(void **state)
{
	const struct store_entry e = entry_of("row", 3);
	struct rig r;
	int64_t place, carried;

	(void)state;
	open_rig(&r, "new.db");
	(void)add(&r, "committed", 1);
	note(&r, journal_place(r.journal));
	place = add(&r, "row", 1);
	again(&r, place, 2);
	assert_int_equal(journal_begin_next(r.journal), 0);
	assert_int_equal(journal_carry(r.journal, &e, &carried), 0);
	again(&r, place, 1); /* nothing has happened yet */
	assert_int_equal(journal_replace(r.journal), 0);
	journal_end_old(r.journal);
	again(&r, carried, 10);
	kill_rig(&r);
	open_rig(&r, "new.db");
	assert_int_equal(r.found.messages, 13);
	kill_rig(&r);
}

static void
the_old_journal_stands_where_there_can_be_no_new_one(void **state)
{
	char next[300];
	struct rig r;
	int64_t place;

	(void)state;
	open_rig(&r, "stands.db");
	place = add(&r, "row", 1);
	(void)snprintf(next, sizeof(next), "%s.new", r.journal_file);
	assert_int_equal(mkdir(next, 0700), 0);
	assert_int_equal(journal_begin_next(r.journal), -1);
	again(&r, place, 1);
	assert_int_equal(rmdir(next), 0);
	assert_int_equal(journal_begin_next(r.journal), 0);
	assert_int_equal(unlink(next), 0); /* somebody tidies up */
	assert_int_equal(journal_replace(r.journal), -1);
	again(&r, place, 1);
	kill_rig(&r);
	open_rig(&r, "stands.db");
	assert_int_equal(r.found.messages, 3);
	kill_rig(&r);
}

/* ---- trouble ---- */

/* A limit on files is as good as a full disk: of a record the first bytes are written. */
static void
a_full_disk_leaves_whole_records(void **state)
{
	struct rlimit was, limit;
	struct rig r;
	int64_t place;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	limit = was;
	open_rig(&r, "full.db");
	place = add(&r, "row", 1);
	for (rlim_t room = 0; room < 24; room++) {
		limit.rlim_cur = (rlim_t)journal_place(r.journal) + room;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		assert_int_equal(journal_again(r.journal, place, 1), -1);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
		again(&r, place, 1);
	}
	kill_rig(&r);
	open_rig(&r, "full.db");
	assert_int_equal(r.found.messages, 25);
	kill_rig(&r);
}

static void
only_so_much_is_taken(void **state)
{
	static char text[60000];
	struct store_entry e = entry_of("", 1);
	struct rig r;
	unsigned taken = 0;
	int64_t place;

	(void)state;
	memset(text, 'x', sizeof(text));
	e.row = slice_of(text, sizeof(text));
	open_rig(&r, "large.db");
	while (journal_add(r.journal, &e, &place) == 0)
		taken++;
	assert_int_equal(taken,
	    (JOURNAL_BYTES_MAX - HEAD_BYTES) /
		(8 * ROW_WORDS + e.domain.len + e.policy.len + e.row.len));
	assert_true(journal_is_worn(r.journal));
	e.count = (uint64_t)JOURNAL_COUNT_MAX + 1;
	assert_int_equal(journal_add(r.journal, &e, &place), -1);
	assert_int_equal(journal_again(r.journal, HEAD_BYTES, e.count), -1);
	kill_rig(&r);
	open_rig(&r, "large.db");
	assert_int_equal(r.found.messages, taken);
	kill_rig(&r);
}

static void
another_layout_is_set_aside(void **state)
{
	static const char old[] = "assayJ1\n12345678 and then the rows of an earlier assay";
	struct bytes kept;
	char path[160], name[200];
	struct rig r;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/layout.db.pending", folder);
	save(path, old, sizeof(old) - 1);
	open_rig(&r, "layout.db");
	assert_non_null(r.found.set_aside);
	(void)snprintf(name, sizeof(name), "%s", r.found.set_aside);
	load(&kept, name);
	assert_slice(slice_of(kept.p, kept.len), old);
	(void)add(&r, "row", 1);
	kill_rig(&r);
	open_rig(&r, "layout.db");
	assert_null(r.found.set_aside);
	assert_int_equal(r.found.messages, 1);
	kill_rig(&r);
	/* That of a clean end has nothing in it. */
	save(path, old, HEAD_BYTES);
	open_rig(&r, "layout.db");
	assert_null(r.found.set_aside);
	kill_rig(&r);
}

static void
only_one_process_has_a_journal(void **state)
{
	struct journal_recovery found;
	const char *error = "?";
	struct journal *second;
	struct rig r;

	(void)state;
	open_rig(&r, "one.db");
	second = journal_new(r.journal_file);
	assert_int_equal(journal_recover(second, r.store, r.db, &found, &error), -1);
	assert_non_null(strstr(error, "another process has it"));
	journal_free(&second);
	kill_rig(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_journal_is_good_up_to_where_it_was_cut),
		cmocka_unit_test(a_journal_is_good_up_to_what_was_changed),
		cmocka_unit_test(zeroes_behind_the_end_are_no_records),
		cmocka_unit_test(records_that_we_never_write_do_no_harm),
		cmocka_unit_test(what_is_noted_is_not_merged_again),
		cmocka_unit_test(many_repetitions_are_added_up),
		cmocka_unit_test(a_new_journal_has_what_was_carried),
		cmocka_unit_test(the_old_journal_stands_where_there_can_be_no_new_one),
		cmocka_unit_test(a_full_disk_leaves_whole_records),
		cmocka_unit_test(only_so_much_is_taken),
		cmocka_unit_test(another_layout_is_set_aside),
		cmocka_unit_test(only_one_process_has_a_journal),
	};

	return backend_run_tests(tests, folder);
}
