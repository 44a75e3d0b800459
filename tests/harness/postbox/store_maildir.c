/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/postbox/store_maildir.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "policy/base/bug.h"
#include "tests/harness/postbox/file.h"
#include "tests/harness/postbox/log.h"

#define NAME_BYTES 255 /* of one file; every file system we meet */

/* The system flags in the order of the alphabet, as a maildir's info wants its letters. */
static const struct {
	char letter;
	uint32_t flag;
} letters[] = {
	{ 'D', STORE_DRAFT },
	{ 'F', STORE_FLAGGED },
	{ 'R', STORE_ANSWERED },
	{ 'S', STORE_SEEN },
	{ 'T', STORE_DELETED },
};
#define LETTERS (sizeof(letters) / sizeof(letters[0]))

uint32_t
maildir_letter_flag(char letter)
{
	for (size_t i = 0; i < LETTERS; i++)
		if (letters[i].letter == letter)
			return letters[i].flag;
	return 0;
}

/* ---- paths ---- */

/* A folder's directory below its account's. INBOX is the account's own. False: too long. */
static bool
directory_of(char out[NAME_BYTES + 1], struct slice name)
{
	size_t n = 0;

	out[0] = '\0';
	if (slice_equal(name, SLICE("INBOX")))
		return true;
	out[n++] = '.';
	for (size_t i = 0; i < name.len; i++) {
		if (n + 4 > NAME_BYTES)
			return false;
		if (name.p[i] == '.') {
			memcpy(out + n, "%2E", 3);
			n += 3;
		} else {
			out[n++] = name.p[i] == '/' ? '.' : name.p[i];
		}
	}
	out[n] = '\0';
	return true;
}

int
maildir_path_named(char path[MAILDIR_PATH_BYTES], const struct store_account *account,
    const char *name, const char *below)
{
	char directory[NAME_BYTES + 1];
	int len;

	if (!directory_of(directory, slice_str(name)))
		return -1;
	len = snprintf(path, MAILDIR_PATH_BYTES, "%s/%s/%s%s%s", account->store->maildir,
	    account->user, directory, directory[0] == '\0' ? "" : "/", below);
	if (len > 0 && len < MAILDIR_PATH_BYTES)
		return 0;
	errno = ENAMETOOLONG;
	return file_failed("path of", name);
}

int
maildir_path(char path[MAILDIR_PATH_BYTES], const struct store_folder *f, const char *below)
{
	return maildir_path_named(path, f->account, f->name, below);
}

static bool
maildir_name_fits(struct slice name)
{
	char directory[NAME_BYTES + 1];

	return directory_of(directory, name);
}

/* ---- files ---- */

int
maildir_sync(const struct store_folder *f, const char *below)
{
	char path[MAILDIR_PATH_BYTES];

	return maildir_path(path, f, below) == -1 ? -1 : file_sync_directory(path);
}

int
maildir_replace(const struct store_folder *f, const char *file, struct slice text)
{
	char path[MAILDIR_PATH_BYTES], temporary[MAILDIR_PATH_BYTES];
	char below[64];

	(void)snprintf(below, sizeof(below), "tmp/%s", file);
	if (maildir_path(path, f, file) == -1 || maildir_path(temporary, f, below) == -1)
		return -1;
	return file_replace(path, temporary, text) == -1 ? -1 : maildir_sync(f, "");
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) == -1 && errno != ENOENT ? -1 : 0;
}

int
maildir_remove_tree(const char *path)
{
	if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == -1 && errno != ENOENT)
		return file_failed("remove", path);
	return 0;
}

/* ---- folders ---- */

static int
maildir_folder_make(struct store_folder *f)
{
	static const char *const below[] = { "", "tmp", "new", "cur" };
	char path[MAILDIR_PATH_BYTES], header[64];

	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++)
		if (maildir_path(path, f, below[i]) == -1 || file_make_directory(path) == -1)
			return -1;
	if (maildir_path(path, f, MAILDIR_UIDS) == -1)
		return -1;
	if (access(path, F_OK) == 0) /* INBOX of an account that was there before */
		return 0;
	(void)snprintf(header, sizeof(header), MAILDIR_UIDS " 1 %u 1\n", f->uid_validity);
	if (maildir_replace(f, MAILDIR_UIDS, slice_str(header)) == -1)
		return -1;
	/* The name of the folder is in its parent, of which INBOX is always the one. */
	return maildir_sync(f->account->folders[0], "");
}

static int
maildir_folder_remove(struct store_folder *f)
{
	char path[MAILDIR_PATH_BYTES], trash[MAILDIR_PATH_BYTES], below[64];

	/* Gone at once for the next start; what is in it goes at leisure, even then. */
	(void)snprintf(below, sizeof(below), "tmp/trash-%llu",
	    (unsigned long long)atomic_fetch_add(&f->account->store->serial, 1));
	if (maildir_path(path, f, "") == -1 ||
	    maildir_path_named(trash, f->account, "INBOX", below) == -1)
		return -1;
	if (rename(path, trash) == -1)
		return file_failed("rename", path);
	(void)maildir_remove_tree(trash);
	return maildir_sync(f->account->folders[0], "");
}

static int
maildir_folder_rename(struct store_folder *f, const char *to)
{
	char from_path[MAILDIR_PATH_BYTES], to_path[MAILDIR_PATH_BYTES];

	if (maildir_path(from_path, f, "") == -1 ||
	    maildir_path_named(to_path, f->account, to, "") == -1)
		return -1;
	if (rename(from_path, to_path) == -1)
		return file_failed("rename", from_path);
	return maildir_sync(f->account->folders[0], "");
}

static int
maildir_keywords(struct store_folder *f)
{
	char text[POSTBOX_KEYWORDS * (POSTBOX_KEYWORD_BYTES + 1)];
	size_t len = 0;

	for (size_t i = 0; i < f->keyword_count; i++) {
		size_t n = strlen(f->keywords[i]);

		memcpy(text + len, f->keywords[i], n);
		len += n;
		text[len++] = '\n';
	}
	return maildir_replace(f, MAILDIR_KEYWORDS, slice_of(text, len));
}

/* ---- messages ---- */

/* The base name of a message: below "new/", up to the info. */
static struct slice
base_name(const char *file)
{
	struct slice base = slice_from(slice_str(file), MAILDIR_SUB_BYTES);
	size_t colon = slice_find(base, ':');

	return colon == SLICE_NONE ? base : slice_sub(base, 0, colon);
}

/* "cur/BASE:2,FLAGS"; heap. */
static char *
file_in_cur(const struct stored *m)
{
	struct slice base = base_name(m->file);
	size_t size = base.len + MAILDIR_SUB_BYTES + sizeof(MAILDIR_INFO) + 32;
	char *file = heap_alloc(size, 1);
	size_t len = (size_t)snprintf(file, size, "cur/%.*s" MAILDIR_INFO, SLICE_ARG(base));

	for (size_t i = 0; i < LETTERS; i++)
		if ((m->message.flags & letters[i].flag) != 0)
			file[len++] = letters[i].letter;
	for (size_t i = 0; i < POSTBOX_KEYWORDS; i++)
		if ((m->message.flags & STORE_KEYWORD(i)) != 0)
			file[len++] = (char)('a' + (int)i);
	return file;
}

static int
maildir_stage(struct store_account *account, struct slice bytes, int64_t date_s, struct stored *m)
{
	char path[MAILDIR_PATH_BYTES], file[128];
	struct timespec times[2] = { { .tv_sec = date_s }, { .tv_sec = date_s } };
	struct timespec now;
	int fd;

	/* Time, process and a number: unique even when a killed program's process id comes back. */
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)snprintf(file, sizeof(file), "tmp/%lld.M%09ldP%ldQ%llu.postbox",
	    (long long)now.tv_sec, now.tv_nsec, (long)getpid(),
	    (unsigned long long)atomic_fetch_add(&account->store->serial, 1));
	if (maildir_path_named(path, account, "INBOX", file) == -1)
		return -1;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return file_failed("open", path);
	m->file = heap_copy(file);
	if (file_write_out(fd, path, bytes) == 0) {
		/* A wrong date is no reason to lose the mail. */
		(void)utimensat(AT_FDCWD, path, times, 0);
		return 0;
	}
	(void)unlink(path);
	stored_fini(m);
	return -1;
}

static void
maildir_unstage(struct store_account *account, struct stored *m)
{
	char path[MAILDIR_PATH_BYTES];

	if (maildir_path_named(path, account, "INBOX", m->file) == 0)
		(void)unlink(path);
	stored_fini(m);
}

static int
note_uid(const struct store_folder *f, const struct stored *m)
{
	struct slice base = base_name(m->file);
	char path[MAILDIR_PATH_BYTES], line[NAME_BYTES + 32];
	int fd, len;

	if (maildir_path(path, f, MAILDIR_UIDS) == -1)
		return -1;
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd == -1)
		return file_failed("open", path);
	len = snprintf(line, sizeof(line), "%u %.*s\n", m->message.uid, SLICE_ARG(base));
	return file_write_out(fd, path, slice_of(line, (size_t)len));
}

static int
maildir_commit(struct store_folder *f, struct stored *m)
{
	char from[MAILDIR_PATH_BYTES], to[MAILDIR_PATH_BYTES];
	bool is_new = m->message.flags == 0;
	char *file = file_in_cur(m);

	if (is_new) { /* new/ has names without info */
		memcpy(file, "new/", MAILDIR_SUB_BYTES);
		file[strlen(file) - strlen(MAILDIR_INFO)] = '\0';
	}
	if (note_uid(f, m) == -1 || maildir_path_named(from, f->account, "INBOX", m->file) == -1 ||
	    maildir_path(to, f, file) == -1) {
		free(file);
		return -1;
	}
	if (rename(from, to) == -1) {
		free(file);
		return file_failed("rename", from);
	}
	if (maildir_sync(f, is_new ? "new" : "cur") == -1) {
		(void)unlink(to); /* the sender is told no: it must not turn up after all */
		free(file);
		return -1;
	}
	free(m->file);
	m->file = file;
	return 0;
}

static int
maildir_update(struct store_folder *f, struct stored *m)
{
	char from[MAILDIR_PATH_BYTES], to[MAILDIR_PATH_BYTES];
	char *file = file_in_cur(m);

	if (strcmp(file, m->file) == 0) {
		free(file);
		return 0;
	}
	if (maildir_path(from, f, m->file) == -1 || maildir_path(to, f, file) == -1) {
		free(file);
		return -1;
	}
	if (rename(from, to) == -1) {
		free(file);
		return file_failed("rename", from);
	}
	free(m->file);
	m->file = file;
	return 0;
}

static int
maildir_remove(struct store_folder *f, struct stored *m)
{
	char path[MAILDIR_PATH_BYTES];

	if (maildir_path(path, f, m->file) == -1)
		return -1;
	return unlink(path) == -1 && errno != ENOENT ? file_failed("unlink", path) : 0;
}

/* All of fd into text, whose size is what the file had at start. */
static bool
read_all(int fd, struct counted_text *text)
{
	size_t len = 0;

	while (len < text->text.bytes.len) {
		ssize_t n = read(fd, text->bytes + len, text->text.bytes.len - len);

		if (n > 0)
			len += (size_t)n;
		else if (n == 0 || errno != EINTR)
			return false;
	}
	return true;
}

static struct counted_text *
maildir_read(struct store_folder *f, const struct stored *m)
{
	char path[MAILDIR_PATH_BYTES];
	struct counted_text *text = NULL;
	int fd;

	if (maildir_path(path, f, m->file) == -1)
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd != -1) {
		text = text_new(m->message.bytes);
		if (!read_all(fd, text)) {
			free(text);
			text = NULL;
		}
		(void)close(fd);
	}
	if (text == NULL)
		(void)file_failed("read", path);
	return text;
}

const struct store_backend store_maildir = {
	.load = maildir_load,
	.name_fits = maildir_name_fits,
	.folder_make = maildir_folder_make,
	.folder_remove = maildir_folder_remove,
	.folder_rename = maildir_folder_rename,
	.stage = maildir_stage,
	.unstage = maildir_unstage,
	.commit = maildir_commit,
	.update = maildir_update,
	.remove = maildir_remove,
	.keywords = maildir_keywords,
	.read = maildir_read,
};
