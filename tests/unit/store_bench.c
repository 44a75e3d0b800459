/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/store_bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/postbox/store_maildir.h"
#include "tests/support/support.h"

void
store_bench_start(struct store_bench *b)
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

struct store_bench
store_bench_open(bool on_disk)
{
	struct store_bench b = { .arena = arena_new(1 << 20) };

	if (on_disk) {
		(void)snprintf(b.folder, sizeof(b.folder), "/tmp/postbox_store_XXXXXX");
		assert_non_null(mkdtemp(b.folder));
	}
	store_bench_start(&b);
	return b;
}

void
store_bench_close(struct store_bench *b)
{
	store_free(&b->store);
	assert_null(b->store);
	if (b->folder[0] != '\0')
		assert_int_equal(maildir_remove_tree(b->folder), 0);
	arena_free(&b->arena);
}

void
store_bench_expect(const char *what, enum store_status got, enum store_status want)
{
	if (got != want)
		fail_msg("%s: got \"%s\", want \"%s\"", what, store_status_text(got),
		    store_status_text(want));
}

uint32_t
store_bench_deliver(
    const struct store_bench *b, const char *folder, const char *text, uint32_t flags)
{
	struct store_arrival arrival = {
		.bytes = slice_str(text),
		.flags = flags,
		.date_s = STORE_BENCH_DATE_S,
	};
	uint32_t uid = 0;

	store_bench_expect(
	    "deliver", store_deliver(b->alice, slice_str(folder), &arrival, &uid), STORE_OK);
	return uid;
}

struct store_folder *
store_bench_folder(const struct store_bench *b, const char *name)
{
	struct store_folder *f = NULL;

	store_bench_expect(name, store_folder_open(b->alice, slice_str(name), &f), STORE_OK);
	return f;
}

const char *
store_bench_listing(const struct store_bench *b, struct store_folder *f)
{
	struct store_message *messages;
	struct slice *keywords;
	const char *text = "";
	size_t count, keyword_count;
	uint64_t changes;

	if (store_list(b->arena, f, &messages, &count, &changes) != STORE_OK)
		return "gone";
	store_bench_expect(
	    "keywords", store_keywords(b->arena, f, &keywords, &keyword_count), STORE_OK);
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

const char *
store_bench_names(const struct store_bench *b)
{
	struct slice *all;
	size_t count = store_folders(b->arena, b->alice, &all);
	const char *text = "";

	for (size_t i = 0; i < count; i++)
		text = arena_printf(
		    b->arena, "%s%s%s", text, i == 0 ? "" : " ", arena_str(b->arena, all[i]));
	return text;
}

void
store_bench_expect_text(
    const struct store_bench *b, struct store_folder *f, uint32_t uid, const char *want)
{
	const struct store_text *text;

	(void)b;
	store_bench_expect(want, store_text_open(f, uid, &text), STORE_OK);
	assert_slice(text->bytes, want);
	store_text_close(&text);
	assert_null(text);
}
