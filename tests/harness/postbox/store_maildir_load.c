/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         store_maildir_load - what a maildir holds when the program starts
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/base/bug.h"
#include "policy/base/num.h"
#include "policy/base/strbuf.h"
#include "tests/harness/postbox/file.h"
#include "tests/harness/postbox/log.h"
#include "tests/harness/postbox/store_maildir.h"

#define LOAD_MEMORY ((size_t)1 << 28) /* the arena of one folder; it has no say in what is kept */

struct found {		  /* a file of new/ or cur/ */
	const char *file; /* "new/..." */
	struct slice base;
	uint32_t uid; /* 0: none noted */
	struct stat st;
};

struct load {
	struct arena *arena;
	struct store_folder *folder;
	struct found *found;
	size_t count, size;
};

/* ---- the files ---- */

static void
found_add(struct load *l, const char *below, const char *name)
{
	struct found f = { .file = arena_printf(l->arena, "%s/%s", below, name) };
	char path[MAILDIR_PATH_BYTES];
	size_t colon;

	if (name[0] == '.' || maildir_path(path, l->folder, f.file) == -1 ||
	    stat(path, &f.st) == -1 || !S_ISREG(f.st.st_mode) ||
	    l->count == POSTBOX_FOLDER_MESSAGES)
		return;
	f.base = slice_from(slice_str(f.file), MAILDIR_SUB_BYTES);
	colon = slice_find(f.base, ':');
	if (colon != SLICE_NONE)
		f.base = slice_sub(f.base, 0, colon);
	if (l->count == l->size) {
		size_t size = l->size == 0 ? 64 : l->size * 2;
		struct found *bigger = arena_array(l->arena, size, sizeof(*bigger));

		if (l->count > 0)
			memcpy(bigger, l->found, l->count * sizeof(*bigger));
		l->found = bigger;
		l->size = size;
	}
	l->found[l->count++] = f;
}

static int
find_files(struct load *l, const char *below)
{
	char path[MAILDIR_PATH_BYTES];
	const struct dirent *entry;
	DIR *directory;

	if (maildir_path(path, l->folder, below) == -1)
		return -1;
	directory = opendir(path);
	if (directory == NULL) {
		log_line(NULL, "maildir: %s: %s", path, strerror(errno));
		return -1;
	}
	while ((entry = readdir(directory)) != NULL)
		found_add(l, below, entry->d_name);
	(void)closedir(directory);
	return 0;
}

static int
by_base(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	size_t len = x->base.len < y->base.len ? x->base.len : y->base.len;
	int order = len == 0 ? 0 : memcmp(x->base.p, y->base.p, len);

	if (order != 0)
		return order;
	return (x->base.len > y->base.len) - (x->base.len < y->base.len);
}

static int
by_uid(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return by_base(a, b);
}

/* ---- the small files ---- */

static void
take_header(struct store_folder *f, struct slice line)
{
	struct slice word;
	uint32_t number;

	if (!slice_next(&line, ' ', &word) || !slice_equal(word, SLICE(MAILDIR_UIDS)) ||
	    !slice_next(&line, ' ', &word) || !slice_equal(word, SLICE("1")))
		return;
	if (slice_next(&line, ' ', &word) && num_u32(word, 1, UINT32_MAX, &number) == 0)
		f->uid_validity = number;
	if (slice_next(&line, ' ', &word) && num_u32(word, 1, UINT32_MAX, &number) == 0)
		f->uid_next = number;
}

/* "UID NAME". The last line may be half of one, after a crash. */
static void
take_uid(struct load *l, struct slice line)
{
	struct found key = { 0 };
	struct found *found;
	struct slice word;
	uint32_t uid;

	if (!slice_next(&line, ' ', &word) || num_u32(word, 1, UINT32_MAX - 1, &uid) == -1)
		return;
	if (uid >= l->folder->uid_next)
		l->folder->uid_next = uid + 1;
	key.base = line;
	found = l->count == 0 ? NULL
			      : bsearch(&key, l->found, l->count, sizeof(*l->found), by_base);
	if (found != NULL)
		found->uid = uid;
}

static void
load_uids(struct load *l)
{
	char path[MAILDIR_PATH_BYTES];
	struct slice text, line;

	if (maildir_path(path, l->folder, MAILDIR_UIDS) == -1)
		return;
	text = file_read(l->arena, path);
	if (slice_next(&text, '\n', &line))
		take_header(l->folder, line);
	while (slice_next(&text, '\n', &line))
		take_uid(l, line);
}

static void
load_keywords(struct load *l)
{
	struct store_folder *f = l->folder;
	char path[MAILDIR_PATH_BYTES];
	struct slice text, line;

	if (maildir_path(path, f, MAILDIR_KEYWORDS) == -1)
		return;
	text = file_read(l->arena, path);
	while (f->keyword_count < POSTBOX_KEYWORDS && slice_next(&text, '\n', &line))
		f->keywords[f->keyword_count++] = heap_copy(
		    arena_str(l->arena, slice_sub(line, 0, POSTBOX_KEYWORD_BYTES)));
}

/* What was found and numbered, without the lines of messages long gone. */
static int
write_uids(struct load *l)
{
	struct strbuf b;

	strbuf_init(&b, l->arena, LOAD_MEMORY);
	strbuf_printf(&b, MAILDIR_UIDS " 1 %u %u\n", l->folder->uid_validity, l->folder->uid_next);
	for (size_t i = 0; i < l->count; i++) {
		strbuf_printf(&b, "%u ", l->found[i].uid);
		strbuf_add(&b, l->found[i].base);
		strbuf_char(&b, '\n');
	}
	return maildir_replace(l->folder, MAILDIR_UIDS, strbuf_slice(&b));
}

/* ---- a folder ---- */

static uint32_t
flags_of(const char *file)
{
	const char *info = strstr(file, MAILDIR_INFO);
	uint32_t flags = 0;

	for (info = info == NULL ? "" : info + strlen(MAILDIR_INFO); *info != '\0'; info++) {
		if (*info >= 'a' && *info <= 'z')
			flags |= STORE_KEYWORD(*info - 'a');
		flags |= maildir_letter_flag(*info);
	}
	return flags;
}

static void
keep(struct load *l)
{
	struct store_folder *f = l->folder;

	f->first_recent = f->uid_next;
	for (size_t i = l->count; i > 0 && l->found[i - 1].file[0] == 'n'; i--)
		f->first_recent = l->found[i - 1].uid;
	for (size_t i = 0; i < l->count; i++) {
		const struct found *found = &l->found[i];
		struct stored m = {
			.message = {
				.uid = found->uid,
				.flags = flags_of(found->file),
				.date_s = (int64_t)found->st.st_mtime,
				.bytes = (size_t)found->st.st_size,
			},
			.file = heap_copy(found->file),
		};

		folder_keep(f, &m);
		(void)atomic_fetch_add(&f->account->store->bytes, m.message.bytes);
	}
}

static int
load_folder(struct store_folder *f)
{
	struct load l = { .arena = arena_new(LOAD_MEMORY), .folder = f };
	int result = -1;

	if (find_files(&l, "new") == 0 && find_files(&l, "cur") == 0) {
		if (l.count > 0)
			qsort(l.found, l.count, sizeof(*l.found), by_base);
		load_uids(&l);
		/* Names begin with the time: in their order strangers get the next numbers. */
		for (size_t i = 0; i < l.count; i++)
			if (l.found[i].uid == 0)
				l.found[i].uid = f->uid_next++;
		if (l.count > 0)
			qsort(l.found, l.count, sizeof(*l.found), by_uid);
		load_keywords(&l);
		keep(&l);
		result = write_uids(&l);
	}
	arena_free(&l.arena);
	return result;
}

/* ---- an account ---- */

/* The name of the folder that lies in a directory ".A.B". False: not one of ours. */
static bool
name_of(char name[POSTBOX_FOLDER_NAME_BYTES + 1], const char *directory)
{
	size_t n = 0;

	for (const char *p = directory + 1; *p != '\0'; p++) {
		if (n == POSTBOX_FOLDER_NAME_BYTES || (*p == '.' && (n == 0 || p[1] == '.')))
			return false;
		if (strncmp(p, "%2E", 3) == 0) {
			name[n++] = '.';
			p += 2;
		} else {
			name[n++] = *p == '.' ? '/' : *p;
		}
	}
	name[n] = '\0';
	return n > 0;
}

/* What a killed program left in tmp/: nothing that was promised to anybody. */
static int
clear_tmp(const struct store_account *account)
{
	char path[MAILDIR_PATH_BYTES];

	if (maildir_path_named(path, account, "INBOX", "tmp") == -1 ||
	    maildir_remove_tree(path) == -1)
		return -1;
	return mkdir(path, 0700);
}

int
maildir_load(struct store_account *account)
{
	char path[MAILDIR_PATH_BYTES], name[POSTBOX_FOLDER_NAME_BYTES + 1];
	const struct dirent *entry;
	DIR *directory;
	int result = 0;

	if (clear_tmp(account) == -1 || load_folder(account->folders[0]) == -1 ||
	    maildir_path_named(path, account, "INBOX", "") == -1)
		return -1;
	directory = opendir(path);
	if (directory == NULL)
		return -1;
	while (result == 0 && (entry = readdir(directory)) != NULL) {
		struct store_folder *f;

		if (entry->d_name[0] != '.' || !name_of(name, entry->d_name) ||
		    folder_find(account, slice_str(name)) != NULL)
			continue;
		f = folder_add(account, slice_str(name));
		result = account->store->backend->folder_make(f); /* mends a half-made one */
		if (result == 0)
			result = load_folder(f);
	}
	(void)closedir(directory);
	return result;
}
