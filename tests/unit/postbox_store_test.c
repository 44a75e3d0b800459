/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         postbox_store_test - folders and messages, in memory and in a maildir alike
 */
#include "tests/harness/postbox/store.h"

#include <sys/stat.h>

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/postbox/limits.h"
#include "tests/harness/postbox/store_maildir.h"
#include "tests/support/support.h"

#define INBOX  SLICE("INBOX")
#define DATE_S 1700000000

struct bench {
	struct arena *arena;
	char folder[64]; /* of the maildir; "" in memory */
	struct store *store;
	struct store_account *alice;
};

static void
bench_start(struct bench *b)
{
	const struct store_options options = {
		.maildir = b->folder[0] == '\0' ? NULL : b->folder,
		.max_bytes = 4096,
		.max_message_bytes = 1024,
	};
	const char *error = "";

	b->store = store_new(b->arena, &options, &error);
	assert_non_null(b->store);
	b->alice = store_account_add(b->arena, b->store, SLICE("alice"), &error);
	if (b->alice == NULL)
		fail_msg("%s", error);
}

static struct bench
bench_open(bool on_disk)
{
	struct bench b = { .arena = arena_new(1 << 20) };

	if (on_disk) {
		(void)snprintf(b.folder, sizeof(b.folder), "/tmp/postbox_store_XXXXXX");
		assert_non_null(mkdtemp(b.folder));
	}
	bench_start(&b);
	return b;
}

static void
bench_close(struct bench *b)
{
	store_free(&b->store);
	assert_null(b->store);
	if (b->folder[0] != '\0')
		assert_int_equal(maildir_remove_tree(b->folder), 0);
	arena_free(&b->arena);
}

static void
expect(const char *what, enum store_status got, enum store_status want)
{
	if (got != want)
		fail_msg("%s: got \"%s\", want \"%s\"", what, store_status_text(got),
		    store_status_text(want));
}

static uint32_t
deliver(const struct bench *b, const char *folder, const char *text, uint32_t flags)
{
	struct store_arrival arrival = {
		.bytes = slice_str(text),
		.flags = flags,
		.date_s = DATE_S,
	};
	uint32_t uid = 0;

	expect("deliver", store_deliver(b->alice, slice_str(folder), &arrival, &uid), STORE_OK);
	return uid;
}

static struct store_folder *
folder(const struct bench *b, const char *name)
{
	struct store_folder *f = NULL;

	expect(name, store_folder_open(b->alice, slice_str(name), &f), STORE_OK);
	return f;
}

/* "1 2 5S": UIDs with the letters of their flags. */
static const char *
listing(const struct bench *b, struct store_folder *f)
{
	struct store_message *messages;
	struct slice *keywords;
	const char *text = "";
	size_t count, keyword_count;
	uint64_t changes;

	if (store_list(b->arena, f, &messages, &count, &changes) != STORE_OK)
		return "gone";
	expect("keywords", store_keywords(b->arena, f, &keywords, &keyword_count), STORE_OK);
	for (size_t i = 0; i < count; i++) {
		uint32_t flags = messages[i].flags;

		text = arena_printf(b->arena, "%s%s%u%s%s%s", text, i == 0 ? "" : " ",
		    messages[i].uid, (flags & STORE_SEEN) ? "S" : "",
		    (flags & STORE_DELETED) ? "T" : "", (flags & STORE_FLAGGED) ? "F" : "");
		for (size_t k = 0; k < keyword_count; k++)
			if ((flags & STORE_KEYWORD(k)) != 0)
				text = arena_printf(
				    b->arena, "%s(%s)", text, arena_str(b->arena, keywords[k]));
	}
	return text;
}

static const char *
names(const struct bench *b)
{
	struct slice *all;
	size_t count = store_folders(b->arena, b->alice, &all);
	const char *text = "";

	for (size_t i = 0; i < count; i++)
		text = arena_printf(
		    b->arena, "%s%s%s", text, i == 0 ? "" : " ", arena_str(b->arena, all[i]));
	return text;
}

static void
expect_text(const struct bench *b, struct store_folder *f, uint32_t uid, const char *want)
{
	const struct store_text *text;

	(void)b;
	expect(want, store_text_open(f, uid, &text), STORE_OK);
	assert_slice(text->bytes, want);
	store_text_close(&text);
	assert_null(text);
}

/* Each test runs on both kinds of store. */
static void
on_both(void (*test)(struct bench *b))
{
	for (int on_disk = 0; on_disk < 2; on_disk++) {
		struct bench b = bench_open(on_disk != 0);

		test(&b);
		bench_close(&b);
	}
}

/* ---- folders ---- */

static void
folder_names(struct bench *b)
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
		expect(rows[i].name, store_folder_create(b->alice, slice_str(rows[i].name)),
		    rows[i].want);
	assert_string_equal(
	    names(b), "INBOX &AOk-t&AOk- .. ../up Sent a a/b a/b/c sent v1.2 v1.2/x");
}

static void
test_folder_names(void **state)
{
	(void)state;
	on_both(folder_names);
}

static void
folder_life(struct bench *b)
{
	struct store_folder *f;
	struct store_folder_state before, after;

	(void)deliver(b, "a/b", "one", 0);
	f = folder(b, "a/b");
	expect("state", store_folder_state(f, &before), STORE_OK);
	/* RFC 3501 6.3.5: those below go along, and an open one keeps what it has. */
	expect("rename", store_folder_rename(b->alice, SLICE("a"), SLICE("new/x")), STORE_OK);
	assert_string_equal(names(b), "INBOX new new/x new/x/b");
	expect_text(b, f, 1, "one");
	expect("into itself", store_folder_rename(b->alice, SLICE("new"), SLICE("new/y")),
	    STORE_BAD_NAME);
	expect("onto another", store_folder_rename(b->alice, SLICE("new"), SLICE("new/x")),
	    STORE_EXISTS);
	expect("a stranger", store_folder_rename(b->alice, SLICE("no"), SLICE("yes")),
	    STORE_NO_FOLDER);
	expect("delete", store_folder_delete(b->alice, SLICE("new/x/b")), STORE_OK);
	expect("again", store_folder_delete(b->alice, SLICE("new/x/b")), STORE_NO_FOLDER);
	expect("INBOX", store_folder_delete(b->alice, SLICE("Inbox")), STORE_BAD_NAME);
	assert_string_equal(listing(b, f), "gone");
	store_folder_close(&f);
	/* RFC 3501 2.3.1.1: a name that comes back has a larger UIDVALIDITY. */
	(void)deliver(b, "new/x/b", "two", 0);
	f = folder(b, "new/x/b");
	expect("state", store_folder_state(f, &after), STORE_OK);
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
rename_inbox(struct bench *b)
{
	struct store_folder *inbox = folder(b, "INBOX"), *old;

	(void)deliver(b, "INBOX", "one", STORE_SEEN);
	(void)deliver(b, "INBOX", "two", 0);
	expect("rename", store_folder_rename(b->alice, INBOX, SLICE("old")), STORE_OK);
	old = folder(b, "old");
	assert_string_equal(listing(b, inbox), "");
	assert_string_equal(listing(b, old), "1S 2");
	assert_int_equal(deliver(b, "INBOX", "three", 0), 3);
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
too_many_folders(struct bench *b)
{
	enum store_status status = STORE_OK;
	size_t made = 1; /* INBOX */

	while (status == STORE_OK && made <= POSTBOX_FOLDERS) {
		status = store_folder_create(
		    b->alice, slice_str(arena_printf(b->arena, "f%zu", made)));
		made += status == STORE_OK;
	}
	expect("the last", status, STORE_LIMIT);
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
messages(struct bench *b)
{
	static const uint32_t middle[] = { 2, 9 }, all[] = { 1, 2, 3 };
	const struct store_text *kept;
	struct store_folder_state s;
	struct store_folder *f = folder(b, "inbox");
	uint32_t first;

	assert_int_equal(deliver(b, "INBOX", "one", 0), 1);
	assert_int_equal(deliver(b, "INBOX", "two\r\n", STORE_FLAGGED), 2);
	assert_int_equal(deliver(b, "INBOX", "", 0), 3);
	assert_string_equal(listing(b, f), "1 2F 3");
	expect("text", store_text_open(f, 2, &kept), STORE_OK);
	expect("set", store_change_flags(f, all, 3, STORE_FLAGS_ADD, STORE_SEEN), STORE_OK);
	expect("set", store_change_flags(f, middle, 2, STORE_FLAGS_SET, STORE_DELETED), STORE_OK);
	expect("set", store_change_flags(f, all, 1, STORE_FLAGS_REMOVE, STORE_SEEN), STORE_OK);
	assert_string_equal(listing(b, f), "1 2T 3S");
	expect("claim", store_claim_recent(f, false, &first), STORE_OK);
	assert_int_equal(first, 1);
	expect("claim", store_claim_recent(f, true, &first), STORE_OK);
	expect("claim", store_claim_recent(f, true, &first), STORE_OK);
	assert_int_equal(first, 4);
	expect("expunge", store_expunge(f, middle, 2), STORE_OK);
	assert_string_equal(listing(b, f), "1 3S");
	assert_slice(kept->bytes, "two\r\n"); /* gone, and still read */
	store_text_close(&kept);
	expect("text", store_text_open(f, 2, &kept), STORE_GONE);
	assert_int_equal(deliver(b, "INBOX", "four", 0), 4);
	expect("state", store_folder_state(f, &s), STORE_OK);
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
copies(struct bench *b)
{
	static const uint32_t uids[] = { 1, 2, 3 };
	struct store_folder *from = folder(b, "INBOX"), *to;
	uint32_t flag, *new_uids;

	expect("keyword", store_keyword(from, SLICE("$Forwarded"), true, &flag), STORE_OK);
	expect("again", store_keyword(from, SLICE("$forwarded"), false, &flag), STORE_OK);
	assert_int_equal(flag, STORE_KEYWORD(0));
	(void)deliver(b, "INBOX", "one", flag | STORE_SEEN);
	(void)deliver(b, "INBOX", "three", 0);
	(void)deliver(b, "INBOX", "gone", 0);
	expect("expunge", store_expunge(from, uids + 1, 1), STORE_OK);
	(void)deliver(b, "Archive", "first", 0);
	to = folder(b, "Archive");
	/* There the first letter is another word's. */
	expect("keyword", store_keyword(to, SLICE("Work"), true, &flag), STORE_OK);
	expect("copy", store_copy(b->arena, from, uids, 3, to, &new_uids), STORE_OK);
	assert_int_equal(new_uids[0], 2);
	assert_int_equal(new_uids[1], 0);
	assert_int_equal(new_uids[2], 3);
	assert_string_equal(listing(b, to), "1 2S($Forwarded) 3");
	expect_text(b, to, 2, "one");
	expect("move", store_move(b->arena, from, uids, 1, to, NULL), STORE_OK);
	assert_string_equal(listing(b, from), "3");
	assert_string_equal(listing(b, to), "1 2S($Forwarded) 3 4S($Forwarded)");
	/* A folder into itself. */
	expect("copy", store_copy(b->arena, from, uids, 3, from, &new_uids), STORE_OK);
	assert_string_equal(listing(b, from), "3 4");
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
quota(struct bench *b)
{
	static const uint32_t uids[] = { 1, 2, 3 };
	char text[1026] = "";
	struct store_folder *from, *to;
	struct store_arrival large = { .bytes = slice_of(text, 1025) };

	memset(text, 'x', sizeof(text));
	text[1025] = '\0';
	expect("message", store_deliver(b->alice, INBOX, &large, NULL), STORE_FULL);
	text[1000] = '\0';
	for (int i = 0; i < 3; i++)
		(void)deliver(b, "INBOX", text, 0);
	from = folder(b, "INBOX");
	expect("make", store_folder_create(b->alice, SLICE("to")), STORE_OK);
	to = folder(b, "to");
	expect("copy", store_copy(b->arena, from, uids, 3, to, NULL), STORE_FULL);
	assert_string_equal(listing(b, to), "");
	expect("copy", store_copy(b->arena, from, uids, 1, to, NULL), STORE_OK);
	large.bytes.len = 1000;
	expect("full", store_append(to, &large, NULL), STORE_FULL);
	expect("expunge", store_expunge(from, uids, 3), STORE_OK);
	expect("room", store_append(to, &large, NULL), STORE_OK);
	store_folder_close(&to);
	expect("delete", store_folder_delete(b->alice, SLICE("to")), STORE_OK);
	for (int i = 0; i < 4; i++)
		(void)deliver(b, "INBOX", text, 0);
	store_folder_close(&from);
}

static void
test_quota(void **state)
{
	(void)state;
	on_both(quota);
}

static void
keyword_limits(struct bench *b)
{
	struct store_folder *f = folder(b, "INBOX");
	char longest[POSTBOX_KEYWORD_BYTES + 1];
	uint32_t flag;

	memset(longest, 'k', sizeof(longest));
	expect(
	    "long", store_keyword(f, slice_of(longest, sizeof(longest)), true, &flag), STORE_LIMIT);
	expect("unknown", store_keyword(f, SLICE("no"), false, &flag), STORE_OK);
	assert_int_equal(flag, 0);
	for (size_t i = 0; i < POSTBOX_KEYWORDS; i++) {
		expect("make",
		    store_keyword(f, slice_str(arena_printf(b->arena, "k%zu", i)), true, &flag),
		    STORE_OK);
		assert_int_equal(flag, STORE_KEYWORD(i));
	}
	expect("one more", store_keyword(f, SLICE("more"), true, &flag), STORE_LIMIT);
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
	(void)deliver(argument, "INBOX", "news", 0);
	return NULL;
}

static void
waiting(struct bench *b)
{
	struct store_folder *f = folder(b, "INBOX");
	struct store_folder_state s;
	int watch = store_watch_open(f);
	struct pollfd p = { .fd = watch, .events = POLLIN };
	pthread_t thread;

	assert_int_not_equal(watch, -1);
	expect("state", store_folder_state(f, &s), STORE_OK);
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
	struct bench *b;
	struct arena *arena;
	size_t delivered, moved;
};

/* What several sessions of one user do at once. */
static void *
work(void *argument)
{
	struct worker *w = argument;
	const struct bench own = { .arena = w->arena, .alice = w->b->alice };
	struct store_folder *inbox = folder(&own, "INBOX"), *trash = folder(&own, "Trash");

	for (size_t i = 0; i < ROUNDS; i++) {
		uint32_t uid = deliver(&own, "INBOX", "bytes", 0), *copies;
		const struct store_text *text;

		w->delivered++;
		expect("flags", store_change_flags(inbox, &uid, 1, STORE_FLAGS_ADD, STORE_SEEN),
		    STORE_OK);
		expect("text", store_text_open(inbox, uid, &text), STORE_OK);
		expect("move", store_move(w->arena, inbox, &uid, 1, trash, &copies), STORE_OK);
		assert_slice(text->bytes, "bytes");
		store_text_close(&text);
		w->moved += copies[0] != 0;
		if (i % 2 == 0)
			expect("expunge", store_expunge(trash, copies, 1), STORE_OK);
		(void)listing(&own, trash);
	}
	store_folder_close(&inbox);
	store_folder_close(&trash);
	return NULL;
}

static void
threads(struct bench *b)
{
	struct worker workers[THREADS];
	pthread_t ids[THREADS];
	struct store_folder_state s;
	struct store_folder *f;

	expect("make", store_folder_create(b->alice, SLICE("Trash")), STORE_OK);
	for (size_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .b = b, .arena = arena_new(1 << 20) };
		assert_int_equal(pthread_create(&ids[i], NULL, work, &workers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(ids[i], NULL), 0);
		assert_int_equal(workers[i].moved, ROUNDS);
		arena_free(&workers[i].arena);
	}
	f = folder(b, "Trash");
	expect("state", store_folder_state(f, &s), STORE_OK);
	assert_int_equal(s.messages, THREADS * ROUNDS / 2);
	assert_int_equal(s.uid_next, THREADS * ROUNDS + 1);
	store_folder_close(&f);
	f = folder(b, "INBOX");
	assert_string_equal(listing(b, f), "");
	store_folder_close(&f);
}

static void
test_threads(void **state)
{
	(void)state;
	on_both(threads);
}

/* ---- what a maildir keeps ---- */

static void
bench_restart(struct bench *b)
{
	store_free(&b->store);
	bench_start(b);
}

static void
survives(void **state)
{
	static const uint32_t second[] = { 2 };
	struct bench b = bench_open(true);
	struct store_folder_state before, after;
	struct store_message *all;
	struct store_folder *f = folder(&b, "INBOX");
	uint64_t changes;
	uint32_t flag, first;
	size_t count;

	(void)state;
	expect("keyword", store_keyword(f, SLICE("Work"), true, &flag), STORE_OK);
	(void)deliver(&b, "INBOX", "one", STORE_SEEN | flag);
	(void)deliver(&b, "INBOX", "two", 0);
	(void)deliver(&b, "INBOX", "three", 0);
	(void)deliver(&b, "Projects/v1.2", "four", STORE_FLAGGED);
	expect("claim", store_claim_recent(f, true, &first), STORE_OK);
	(void)deliver(&b, "INBOX", "five", 0);
	expect("expunge", store_expunge(f, second, 1), STORE_OK);
	expect("state", store_folder_state(f, &before), STORE_OK);
	store_folder_close(&f);
	bench_restart(&b);
	assert_string_equal(names(&b), "INBOX Projects Projects/v1.2");
	f = folder(&b, "INBOX");
	assert_string_equal(listing(&b, f), "1S(Work) 3 4");
	expect_text(&b, f, 4, "five");
	expect("state", store_folder_state(f, &after), STORE_OK);
	assert_int_equal(after.uid_validity, before.uid_validity);
	assert_int_equal(after.uid_next, 5);
	assert_int_equal(after.recent, 1);
	expect("list", store_list(b.arena, f, &all, &count, &changes), STORE_OK);
	assert_int_equal(all[0].date_s, DATE_S);
	store_folder_close(&f);
	f = folder(&b, "Projects/v1.2");
	assert_string_equal(listing(&b, f), "1F");
	store_folder_close(&f);
	bench_close(&b);
}

/* UIDs of messages that are gone do not come back, even when they were the last ones. */
static void
uids_stay_used(void **state)
{
	static const uint32_t both[] = { 1, 2 };
	struct bench b = bench_open(true);
	struct store_folder *f = folder(&b, "INBOX");

	(void)state;
	(void)deliver(&b, "INBOX", "one", 0);
	(void)deliver(&b, "INBOX", "two", 0);
	expect("expunge", store_expunge(f, both, 2), STORE_OK);
	store_folder_close(&f);
	bench_restart(&b);
	bench_restart(&b); /* the list was written anew: the header has it now */
	assert_int_equal(deliver(&b, "INBOX", "three", 0), 3);
	bench_close(&b);
}

static void
put_file(const struct bench *b, const char *below, const char *text)
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
	struct bench b = bench_open(true);
	const char *rest = arena_printf(b.arena, "%s/alice/tmp/1700000000.rest", b.folder);
	struct store_folder *f;

	(void)state;
	(void)deliver(&b, "INBOX", "one", 0);
	store_free(&b.store);
	put_file(&b, "tmp/1700000000.rest", "half a mess");
	put_file(&b, "new/1900000000.stranger", "two");
	put_file(&b, "cur/1800000000.stranger:2,FS", "three");
	put_file(&b, "new/.hidden", "not mail");
	assert_int_equal(mkdir(arena_printf(b.arena, "%s/alice/.Half", b.folder), 0700), 0);
	bench_start(&b);
	assert_int_equal(access(rest, F_OK), -1);
	f = folder(&b, "INBOX");
	assert_string_equal(listing(&b, f), "1 2SF 3");
	expect_text(&b, f, 2, "three");
	store_folder_close(&f);
	assert_int_equal(deliver(&b, "Half", "made whole", 0), 1);
	bench_close(&b);
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
		struct bench b = bench_open(true);
		struct store_folder *f;

		(void)deliver(&b, "INBOX", "one", 0);
		store_free(&b.store);
		put_file(&b, "postbox-uids", rows[i].text);
		bench_start(&b);
		f = folder(&b, "INBOX");
		if (strcmp(listing(&b, f), rows[i].want) != 0)
			fail_msg("%s: got %s, want %s", rows[i].name, listing(&b, f), rows[i].want);
		store_folder_close(&f);
		bench_close(&b);
	}
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
		cmocka_unit_test(survives),
		cmocka_unit_test(uids_stay_used),
		cmocka_unit_test(mends),
		cmocka_unit_test(spoiled_lists),
	};

	return cmocka_run_group_tests_name("postbox_store", tests, NULL, NULL);
}
