/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         postbox_store_test - folders and messages, in memory and in a maildir alike
 */
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "tests/harness/postbox/limits.h"
#include "tests/support/support.h"
#include "tests/unit/store_bench.h"

#define INBOX SLICE("INBOX")

/* Each test runs on both kinds of store. */
static void
on_both(void (*test)(struct store_bench *b))
{
	for (int on_disk = 0; on_disk < 2; on_disk++) {
		struct store_bench b = store_bench_open(on_disk != 0);

		test(&b);
		store_bench_close(&b);
	}
}

/* ---- folders ---- */

static void
folder_names(struct store_bench *b)
{
	static const struct {
		const char *name;
		enum store_status want;
	} rows[] = {
		{ "Sent", STORE_OK },
		{ "Sent", STORE_EXISTS },
		{ "sent", STORE_OK },
		{ "inbox", STORE_EXISTS },
		{ "a/b/c", STORE_OK }, /* RFC 3501 6.3.3: with those above */
		{ "a/b", STORE_EXISTS },
		{ "v1.2/x", STORE_OK },
		{ "..", STORE_OK }, /* a dot is a letter like any other, on disk too */
		{ "../up", STORE_OK },
		{ "&AOk-t&AOk-", STORE_OK }, /* modified UTF-7 */
		{ "", STORE_BAD_NAME },
		{ "/", STORE_BAD_NAME },
		{ "a//b", STORE_BAD_NAME },
		{ "/a", STORE_BAD_NAME },
		{ "a/", STORE_BAD_NAME },
		{ "a*", STORE_BAD_NAME },
		{ "100%", STORE_BAD_NAME },
		{ "a\nb", STORE_BAD_NAME },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		store_bench_expect(rows[i].name,
		    store_folder_create(b->alice, slice_str(rows[i].name)), rows[i].want);
	assert_string_equal(
	    store_bench_names(b), "INBOX &AOk-t&AOk- .. ../up Sent a a/b a/b/c sent v1.2 v1.2/x");
}

static void
test_folder_names(void **state)
{
	(void)state;
	on_both(folder_names);
}

static void
folder_life(struct store_bench *b)
{
	struct store_folder *f;
	struct store_folder_state before, after;

	(void)store_bench_deliver(b, "a/b", "one", 0);
	f = store_bench_folder(b, "a/b");
	store_bench_expect("state", store_folder_state(f, &before), STORE_OK);
	/* RFC 3501 6.3.5: those below go along, and an open one keeps what it has. */
	store_bench_expect(
	    "rename", store_folder_rename(b->alice, SLICE("a"), SLICE("new/x")), STORE_OK);
	assert_string_equal(store_bench_names(b), "INBOX new new/x new/x/b");
	store_bench_expect_text(b, f, 1, "one");
	store_bench_expect("into itself",
	    store_folder_rename(b->alice, SLICE("new"), SLICE("new/y")), STORE_BAD_NAME);
	store_bench_expect("onto another",
	    store_folder_rename(b->alice, SLICE("new"), SLICE("new/x")), STORE_EXISTS);
	store_bench_expect("a stranger", store_folder_rename(b->alice, SLICE("no"), SLICE("yes")),
	    STORE_NO_FOLDER);
	store_bench_expect("delete", store_folder_delete(b->alice, SLICE("new/x/b")), STORE_OK);
	store_bench_expect(
	    "again", store_folder_delete(b->alice, SLICE("new/x/b")), STORE_NO_FOLDER);
	store_bench_expect("INBOX", store_folder_delete(b->alice, SLICE("Inbox")), STORE_BAD_NAME);
	assert_string_equal(store_bench_listing(b, f), "gone");
	store_folder_close(&f);
	/* RFC 3501 2.3.1.1: a name that comes back has a larger UIDVALIDITY. */
	(void)store_bench_deliver(b, "new/x/b", "two", 0);
	f = store_bench_folder(b, "new/x/b");
	store_bench_expect("state", store_folder_state(f, &after), STORE_OK);
	assert_true(after.uid_validity > before.uid_validity);
	store_folder_close(&f);
}

static void
test_folder_life(void **state)
{
	(void)state;
	on_both(folder_life);
}

static void
rename_inbox(struct store_bench *b)
{
	struct store_folder *inbox = store_bench_folder(b, "INBOX"), *old;

	(void)store_bench_deliver(b, "INBOX", "one", STORE_SEEN);
	(void)store_bench_deliver(b, "INBOX", "two", 0);
	store_bench_expect("rename", store_folder_rename(b->alice, INBOX, SLICE("old")), STORE_OK);
	old = store_bench_folder(b, "old");
	assert_string_equal(store_bench_listing(b, inbox), "");
	assert_string_equal(store_bench_listing(b, old), "1S 2");
	assert_int_equal(store_bench_deliver(b, "INBOX", "three", 0), 3);
	store_folder_close(&inbox);
	store_folder_close(&old);
}

static void
test_rename_inbox(void **state)
{
	(void)state;
	on_both(rename_inbox);
}

static void
too_many_folders(struct store_bench *b)
{
	enum store_status status = STORE_OK;
	size_t made = 1; /* INBOX */

	while (status == STORE_OK && made <= POSTBOX_FOLDERS) {
		status = store_folder_create(
		    b->alice, slice_str(arena_printf(b->arena, "f%zu", made)));
		made += status == STORE_OK;
	}
	store_bench_expect("the last", status, STORE_LIMIT);
	assert_int_equal(made, POSTBOX_FOLDERS);
}

static void
test_too_many_folders(void **state)
{
	(void)state;
	on_both(too_many_folders);
}

/* ---- messages ---- */

static void
messages(struct store_bench *b)
{
	static const uint32_t middle[] = { 2, 9 }, all[] = { 1, 2, 3 };
	const struct store_text *kept;
	struct store_folder_state s;
	struct store_folder *f = store_bench_folder(b, "inbox");
	uint32_t first;

	assert_int_equal(store_bench_deliver(b, "INBOX", "one", 0), 1);
	assert_int_equal(store_bench_deliver(b, "INBOX", "two\r\n", STORE_FLAGGED), 2);
	assert_int_equal(store_bench_deliver(b, "INBOX", "", 0), 3);
	assert_string_equal(store_bench_listing(b, f), "1 2F 3");
	store_bench_expect("text", store_text_open(f, 2, &kept), STORE_OK);
	store_bench_expect(
	    "set", store_change_flags(f, all, 3, STORE_FLAGS_ADD, STORE_SEEN), STORE_OK);
	store_bench_expect(
	    "set", store_change_flags(f, middle, 2, STORE_FLAGS_SET, STORE_DELETED), STORE_OK);
	store_bench_expect(
	    "set", store_change_flags(f, all, 1, STORE_FLAGS_REMOVE, STORE_SEEN), STORE_OK);
	assert_string_equal(store_bench_listing(b, f), "1 2T 3S");
	store_bench_expect("claim", store_claim_recent(f, false, &first), STORE_OK);
	assert_int_equal(first, 1);
	store_bench_expect("claim", store_claim_recent(f, true, &first), STORE_OK);
	store_bench_expect("claim", store_claim_recent(f, true, &first), STORE_OK);
	assert_int_equal(first, 4);
	store_bench_expect("expunge", store_expunge(f, middle, 2), STORE_OK);
	assert_string_equal(store_bench_listing(b, f), "1 3S");
	assert_slice(kept->bytes, "two\r\n"); /* gone, and still read */
	store_text_close(&kept);
	store_bench_expect("text", store_text_open(f, 2, &kept), STORE_GONE);
	assert_int_equal(store_bench_deliver(b, "INBOX", "four", 0), 4);
	store_bench_expect("state", store_folder_state(f, &s), STORE_OK);
	assert_int_equal(s.messages, 3);
	assert_int_equal(s.unseen, 2);
	assert_int_equal(s.recent, 1);
	assert_int_equal(s.bytes, 7);
	assert_int_equal(s.uid_next, 5);
	store_folder_close(&f);
}

static void
test_messages(void **state)
{
	(void)state;
	on_both(messages);
}

static void
copies(struct store_bench *b)
{
	static const uint32_t uids[] = { 1, 2, 3 };
	struct store_folder *from = store_bench_folder(b, "INBOX"), *to;
	uint32_t flag, *new_uids;

	store_bench_expect(
	    "keyword", store_keyword(from, SLICE("$Forwarded"), true, &flag), STORE_OK);
	store_bench_expect(
	    "again", store_keyword(from, SLICE("$forwarded"), false, &flag), STORE_OK);
	assert_int_equal(flag, STORE_KEYWORD(0));
	(void)store_bench_deliver(b, "INBOX", "one", flag | STORE_SEEN);
	(void)store_bench_deliver(b, "INBOX", "three", 0);
	(void)store_bench_deliver(b, "INBOX", "gone", 0);
	store_bench_expect("expunge", store_expunge(from, uids + 1, 1), STORE_OK);
	(void)store_bench_deliver(b, "Archive", "first", 0);
	to = store_bench_folder(b, "Archive");
	/* There the first letter is another word's. */
	store_bench_expect("keyword", store_keyword(to, SLICE("Work"), true, &flag), STORE_OK);
	store_bench_expect("copy", store_copy(b->arena, from, uids, 3, to, &new_uids), STORE_OK);
	assert_int_equal(new_uids[0], 2);
	assert_int_equal(new_uids[1], 0);
	assert_int_equal(new_uids[2], 3);
	assert_string_equal(store_bench_listing(b, to), "1 2S($Forwarded) 3");
	store_bench_expect_text(b, to, 2, "one");
	store_bench_expect("move", store_move(b->arena, from, uids, 1, to, NULL), STORE_OK);
	assert_string_equal(store_bench_listing(b, from), "3");
	assert_string_equal(store_bench_listing(b, to), "1 2S($Forwarded) 3 4S($Forwarded)");
	/* A folder into itself. */
	store_bench_expect("copy", store_copy(b->arena, from, uids, 3, from, &new_uids), STORE_OK);
	assert_string_equal(store_bench_listing(b, from), "3 4");
	store_folder_close(&from);
	store_folder_close(&to);
}

static void
test_copies(void **state)
{
	(void)state;
	on_both(copies);
}

/* All or nothing: the copy that doesn't fit takes those before it along. */
static void
quota(struct store_bench *b)
{
	static const uint32_t uids[] = { 1, 2, 3 };
	char text[1026] = "";
	struct store_folder *from, *to;
	struct store_arrival large = { .bytes = slice_of(text, 1025) };

	memset(text, 'x', sizeof(text));
	text[1025] = '\0';
	store_bench_expect("message", store_deliver(b->alice, INBOX, &large, NULL), STORE_FULL);
	text[1000] = '\0';
	for (int i = 0; i < 3; i++)
		(void)store_bench_deliver(b, "INBOX", text, 0);
	from = store_bench_folder(b, "INBOX");
	store_bench_expect("make", store_folder_create(b->alice, SLICE("to")), STORE_OK);
	to = store_bench_folder(b, "to");
	store_bench_expect("copy", store_copy(b->arena, from, uids, 3, to, NULL), STORE_FULL);
	assert_string_equal(store_bench_listing(b, to), "");
	store_bench_expect("copy", store_copy(b->arena, from, uids, 1, to, NULL), STORE_OK);
	large.bytes.len = 1000;
	store_bench_expect("full", store_append(to, &large, NULL), STORE_FULL);
	store_bench_expect("expunge", store_expunge(from, uids, 3), STORE_OK);
	store_bench_expect("room", store_append(to, &large, NULL), STORE_OK);
	store_folder_close(&to);
	store_bench_expect("delete", store_folder_delete(b->alice, SLICE("to")), STORE_OK);
	for (int i = 0; i < 4; i++)
		(void)store_bench_deliver(b, "INBOX", text, 0);
	store_folder_close(&from);
}

static void
test_quota(void **state)
{
	(void)state;
	on_both(quota);
}

static void
keyword_limits(struct store_bench *b)
{
	struct store_folder *f = store_bench_folder(b, "INBOX");
	char longest[POSTBOX_KEYWORD_BYTES + 1];
	uint32_t flag;

	memset(longest, 'k', sizeof(longest));
	store_bench_expect(
	    "long", store_keyword(f, slice_of(longest, sizeof(longest)), true, &flag), STORE_LIMIT);
	store_bench_expect("unknown", store_keyword(f, SLICE("no"), false, &flag), STORE_OK);
	assert_int_equal(flag, 0);
	for (size_t i = 0; i < POSTBOX_KEYWORDS; i++) {
		store_bench_expect("make",
		    store_keyword(f, slice_str(arena_printf(b->arena, "k%zu", i)), true, &flag),
		    STORE_OK);
		assert_int_equal(flag, STORE_KEYWORD(i));
	}
	store_bench_expect("one more", store_keyword(f, SLICE("more"), true, &flag), STORE_LIMIT);
	store_folder_close(&f);
}

static void
test_keyword_limits(void **state)
{
	(void)state;
	on_both(keyword_limits);
}

/* ---- waiting ---- */

static void *
deliver_one(void *argument)
{
	(void)store_bench_deliver(argument, "INBOX", "news", 0);
	return NULL;
}

static void
waiting(struct store_bench *b)
{
	struct store_folder *f = store_bench_folder(b, "INBOX");
	struct store_folder_state s;
	int watch = store_watch_open(f);
	struct pollfd p = { .fd = watch, .events = POLLIN };
	pthread_t thread;

	assert_int_not_equal(watch, -1);
	store_bench_expect("state", store_folder_state(f, &s), STORE_OK);
	assert_false(store_wait(f, s.changes, 1));
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, deliver_one, b), 0);
	assert_true(store_wait(f, s.changes, 20000));
	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	store_watch_clear(watch);
	assert_int_equal(poll(&p, 1, 0), 0);
	store_watch_close(f, watch);
	store_folder_close(&f);
}

static void
test_waiting(void **state)
{
	(void)state;
	on_both(waiting);
}

/* ---- threads ---- */

#define THREADS 8
#define ROUNDS	20

struct worker {
	struct store_bench *b;
	struct arena *arena;
	size_t delivered, moved;
};

/* What several sessions of one user do at once. */
static void *
work(void *argument)
{
	struct worker *w = argument;
	const struct store_bench own = { .arena = w->arena, .alice = w->b->alice };
	struct store_folder *inbox = store_bench_folder(&own, "INBOX"),
			    *trash = store_bench_folder(&own, "Trash");

	for (size_t i = 0; i < ROUNDS; i++) {
		uint32_t uid = store_bench_deliver(&own, "INBOX", "bytes", 0), *copies;
		const struct store_text *text;

		w->delivered++;
		store_bench_expect("flags",
		    store_change_flags(inbox, &uid, 1, STORE_FLAGS_ADD, STORE_SEEN), STORE_OK);
		store_bench_expect("text", store_text_open(inbox, uid, &text), STORE_OK);
		store_bench_expect(
		    "move", store_move(w->arena, inbox, &uid, 1, trash, &copies), STORE_OK);
		assert_slice(text->bytes, "bytes");
		store_text_close(&text);
		w->moved += copies[0] != 0;
		if (i % 2 == 0)
			store_bench_expect("expunge", store_expunge(trash, copies, 1), STORE_OK);
		(void)store_bench_listing(&own, trash);
	}
	store_folder_close(&inbox);
	store_folder_close(&trash);
	return NULL;
}

static void
threads(struct store_bench *b)
{
	struct worker workers[THREADS];
	pthread_t ids[THREADS];
	struct store_folder_state s;
	struct store_folder *f;

	store_bench_expect("make", store_folder_create(b->alice, SLICE("Trash")), STORE_OK);
	for (size_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .b = b, .arena = arena_new(1 << 20) };
		assert_int_equal(pthread_create(&ids[i], NULL, work, &workers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(ids[i], NULL), 0);
		assert_int_equal(workers[i].moved, ROUNDS);
		arena_free(&workers[i].arena);
	}
	f = store_bench_folder(b, "Trash");
	store_bench_expect("state", store_folder_state(f, &s), STORE_OK);
	assert_int_equal(s.messages, THREADS * ROUNDS / 2);
	assert_int_equal(s.uid_next, THREADS * ROUNDS + 1);
	store_folder_close(&f);
	f = store_bench_folder(b, "INBOX");
	assert_string_equal(store_bench_listing(b, f), "");
	store_folder_close(&f);
}

static void
test_threads(void **state)
{
	(void)state;
	on_both(threads);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folder_names),
		cmocka_unit_test(test_folder_life),
		cmocka_unit_test(test_rename_inbox),
		cmocka_unit_test(test_too_many_folders),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_keyword_limits),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("postbox_store", tests, NULL, NULL);
}
