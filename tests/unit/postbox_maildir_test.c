/* SPDX-License-Identifier: BSD-2-Clause */
/* What a maildir keeps: over a restart, a crash, and other programs' hands. */
#include <sys/stat.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/support.h"
#include "tests/unit/store_bench.h"

static void
store_bench_restart(struct store_bench *b)
{
	store_free(&b->store);
	store_bench_start(b);
}

static void
survives(void **state)
{
	static const uint32_t second[] = { 2 };
	struct store_bench b = store_bench_open(true);
	struct store_folder_state before, after;
	struct store_message *all;
	struct store_folder *f = store_bench_folder(&b, "INBOX");
	uint64_t changes;
	uint32_t flag, first;
	size_t count;

	(void)state;
	store_bench_expect("keyword", store_keyword(f, SLICE("Work"), true, &flag), STORE_OK);
	(void)store_bench_deliver(&b, "INBOX", "one", STORE_SEEN | flag);
	(void)store_bench_deliver(&b, "INBOX", "two", 0);
	(void)store_bench_deliver(&b, "INBOX", "three", 0);
	(void)store_bench_deliver(&b, "Projects/v1.2", "four", STORE_FLAGGED);
	store_bench_expect("claim", store_claim_recent(f, true, &first), STORE_OK);
	(void)store_bench_deliver(&b, "INBOX", "five", 0);
	store_bench_expect("expunge", store_expunge(f, second, 1), STORE_OK);
	store_bench_expect("state", store_folder_state(f, &before), STORE_OK);
	store_folder_close(&f);
	store_bench_restart(&b);
	assert_string_equal(store_bench_names(&b), "INBOX Projects Projects/v1.2");
	f = store_bench_folder(&b, "INBOX");
	assert_string_equal(store_bench_listing(&b, f), "1S(Work) 3 4");
	store_bench_expect_text(&b, f, 4, "five");
	store_bench_expect("state", store_folder_state(f, &after), STORE_OK);
	assert_int_equal(after.uid_validity, before.uid_validity);
	assert_int_equal(after.uid_next, 5);
	assert_int_equal(after.recent, 1);
	store_bench_expect("list", store_list(b.arena, f, &all, &count, &changes), STORE_OK);
	assert_int_equal(all[0].date_s, STORE_BENCH_DATE_S);
	store_folder_close(&f);
	f = store_bench_folder(&b, "Projects/v1.2");
	assert_string_equal(store_bench_listing(&b, f), "1F");
	store_folder_close(&f);
	store_bench_close(&b);
}

/* UIDs of messages that are gone do not come back, even when they were the last ones. */
static void
uids_stay_used(void **state)
{
	static const uint32_t both[] = { 1, 2 };
	struct store_bench b = store_bench_open(true);
	struct store_folder *f = store_bench_folder(&b, "INBOX");

	(void)state;
	(void)store_bench_deliver(&b, "INBOX", "one", 0);
	(void)store_bench_deliver(&b, "INBOX", "two", 0);
	store_bench_expect("expunge", store_expunge(f, both, 2), STORE_OK);
	store_folder_close(&f);
	store_bench_restart(&b);
	store_bench_restart(&b); /* the list was written anew: the header has it now */
	assert_int_equal(store_bench_deliver(&b, "INBOX", "three", 0), 3);
	store_bench_close(&b);
}

static void
put_file(const struct store_bench *b, const char *below, const char *text)
{
	const char *path = arena_printf(b->arena, "%s/alice/%s", b->folder, below);
	FILE *f = fopen(path, "w");

	if (f == NULL)
		fail_msg("%s", path);
	assert_int_equal(fputs(text, f) >= 0, 1);
	assert_int_equal(fclose(f), 0);
}

/* What a crash, or another program, may have left. */
static void
mends(void **state)
{
	struct store_bench b = store_bench_open(true);
	const char *rest = arena_printf(b.arena, "%s/alice/tmp/1700000000.rest", b.folder);
	struct store_folder *f;

	(void)state;
	(void)store_bench_deliver(&b, "INBOX", "one", 0);
	store_free(&b.store);
	put_file(&b, "tmp/1700000000.rest", "half a mess");
	put_file(&b, "new/1900000000.stranger", "two");
	put_file(&b, "cur/1800000000.stranger:2,FS", "three");
	put_file(&b, "new/.hidden", "not mail");
	assert_int_equal(mkdir(arena_printf(b.arena, "%s/alice/.Half", b.folder), 0700), 0);
	store_bench_start(&b);
	assert_int_equal(access(rest, F_OK), -1);
	f = store_bench_folder(&b, "INBOX");
	assert_string_equal(store_bench_listing(&b, f), "1 2SF 3");
	store_bench_expect_text(&b, f, 2, "three");
	store_folder_close(&f);
	assert_int_equal(store_bench_deliver(&b, "Half", "made whole", 0), 1);
	store_bench_close(&b);
}

/* A list of UIDs that is nonsense costs the numbers, never the mail. */
static void
spoiled_lists(void **state)
{
	static const struct {
		const char *name, *text;
		const char *want;
	} rows[] = {
		{ "empty", "", "1" },
		{ "no header", "17 x\n", "1" },
		{ "another version", "postbox-uids 2 5 9\n", "1" },
		{ "no number", "postbox-uids 1 5 9\nx y\n", "9" },
		{ "half a line", "postbox-uids 1 5 9\n12", "13" },
		{ "too large", "postbox-uids 1 5 9\n4294967295 x\n", "9" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct store_bench b = store_bench_open(true);
		struct store_folder *f;

		(void)store_bench_deliver(&b, "INBOX", "one", 0);
		store_free(&b.store);
		put_file(&b, "postbox-uids", rows[i].text);
		store_bench_start(&b);
		f = store_bench_folder(&b, "INBOX");
		if (strcmp(store_bench_listing(&b, f), rows[i].want) != 0)
			fail_msg("%s: got %s, want %s", rows[i].name, store_bench_listing(&b, f),
			    rows[i].want);
		store_folder_close(&f);
		store_bench_close(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(survives),
		cmocka_unit_test(uids_stay_used),
		cmocka_unit_test(mends),
		cmocka_unit_test(spoiled_lists),
	};

	return cmocka_run_group_tests_name("postbox_maildir", tests, NULL, NULL);
}
