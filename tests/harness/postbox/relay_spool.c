/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         relay_spool - the queue as files
 * DESCRIPTION  DIR/.queue/ID, DIR being the maildir's; no user's name begins with a dot. Lines, an
 *              empty one, and the message:
 *
 *                  postbox-queue 1 CREATED     seconds since 1970
 *                  user NAME
 *                  sender A@B                  or nothing behind the blank
 *                  eight-bit                   if so
 *                  smtputf8                    if so
 *                  to A@B DOMAIN               once for each recipient that waits
 *
 *              DIR/.queue/tmp-ID is a file being written, or half of one after a kill, removed at
 *              start. One that can't be read is told in the log and left where it is.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "policy/base/num.h"
#include "policy/base/strbuf.h"
#include "tests/harness/postbox/file.h"
#include "tests/harness/postbox/log.h"
#include "tests/harness/postbox/relay_internal.h"

#define SPOOL_NAME  ".queue"
#define SPOOL_MAGIC "postbox-queue"
#define HEAD_BYTES  (POSTBOX_RECIPIENTS * 1024)

/* ---- writing ---- */

void
relay_spool_print(struct strbuf *b, const struct relay_mail *mail, int64_t created_s)
{
	strbuf_printf(b, SPOOL_MAGIC " 1 %lld\nuser %.*s\nsender %.*s\n", (long long)created_s,
	    SLICE_ARG(mail->user), SLICE_ARG(mail->sender));
	if (mail->eight_bit)
		strbuf_str(b, "eight-bit\n");
	if (mail->smtputf8)
		strbuf_str(b, "smtputf8\n");
	for (size_t i = 0; i < mail->count; i++)
		strbuf_printf(b, "to %.*s %.*s\n", SLICE_ARG(mail->recipients[i].address),
		    SLICE_ARG(mail->recipients[i].domain));
	strbuf_char(b, '\n');
	strbuf_add(b, mail->text);
}

int
relay_spool_write(const struct server *server, const struct relay_mail *mail, int64_t created_s)
{
	const char *maildir = server->options.maildir, *folder;
	struct arena *a;
	struct strbuf b;
	int result;

	if (maildir == NULL)
		return 0;
	a = arena_new(mail->text.len + 2 * HEAD_BYTES);
	folder = arena_printf(a, "%s/" SPOOL_NAME, maildir);
	strbuf_init(&b, a, mail->text.len + HEAD_BYTES);
	relay_spool_print(&b, mail, created_s);
	result = file_replace(arena_printf(a, "%s/%s", folder, mail->id),
	    arena_printf(a, "%s/tmp-%s", folder, mail->id), strbuf_slice(&b));
	if (result == 0)
		result = file_sync_directory(folder);
	arena_free(&a);
	return result;
}

void
relay_spool_remove(const struct server *server, const char *id)
{
	struct arena *a;
	const char *path;

	if (server->options.maildir == NULL)
		return;
	a = arena_new(HEAD_BYTES);
	path = arena_printf(a, "%s/" SPOOL_NAME "/%s", server->options.maildir, id);
	if (unlink(path) == -1)
		(void)file_failed("unlink", path);
	arena_free(&a);
}

/* ---- reading ---- */

static int
read_recipient(struct relay_mail *mail, struct slice rest)
{
	size_t blank = slice_find_last(rest, ' ');

	if (blank == SLICE_NONE || mail->count == POSTBOX_RECIPIENTS)
		return -1;
	mail->recipients[mail->count++] = (struct relay_recipient){
		.address = slice_sub(rest, 0, blank), .domain = slice_from(rest, blank + 1)
	};
	return 0;
}

/* A line of the head. 0 or -1. */
static int
read_line(struct relay_mail *mail, struct slice line)
{
	if (slice_starts(line, SLICE("user ")))
		mail->user = slice_from(line, 5);
	else if (slice_starts(line, SLICE("sender ")))
		mail->sender = slice_from(line, 7);
	else if (slice_equal(line, SLICE("eight-bit")))
		mail->eight_bit = true;
	else if (slice_equal(line, SLICE("smtputf8")))
		mail->smtputf8 = true;
	else if (slice_starts(line, SLICE("to ")))
		return read_recipient(mail, slice_from(line, 3));
	else
		return -1;
	return 0;
}

int
relay_spool_parse(struct slice text, struct relay_mail *mail, int64_t *created_r)
{
	struct slice line;
	uint64_t created;

	if (!slice_next(&text, '\n', &line) || !slice_starts(line, SLICE(SPOOL_MAGIC " 1 ")) ||
	    num_u64(slice_from(line, sizeof(SPOOL_MAGIC) + 2), 0, INT64_MAX, &created) == -1)
		return -1;
	*created_r = (int64_t)created;
	while (slice_next(&text, '\n', &line)) {
		if (line.len == 0) {
			mail->text = text;
			return mail->count > 0 ? 0 : -1;
		}
		if (read_line(mail, line) == -1)
			return -1;
	}
	return -1;
}

static struct arena *
load_file(const char *folder, const char *name, struct relay_mail *mail, int64_t *created_r)
{
	struct arena *a = arena_new(POSTBOX_QUEUE_BYTES);
	const char *path = arena_printf(a, "%s/%s", folder, name);

	*mail = (struct relay_mail){ .id = arena_printf(a, "%s", name) };
	mail->recipients = arena_array(a, POSTBOX_RECIPIENTS, sizeof(*mail->recipients));
	if (relay_spool_parse(file_read(a, path), mail, created_r) == -1) {
		log_line(NULL, "%s: not a message of the queue: left alone", path);
		arena_free(&a);
	}
	return a;
}

int
relay_spool_load(const struct server *server,
    void (*each)(void *ctx, struct arena *a, struct relay_mail *mail, int64_t created_s), void *ctx,
    const char **error_r)
{
	const char *folder;
	struct dirent *file;
	DIR *directory;

	if (server->options.maildir == NULL)
		return 0;
	folder = arena_printf(server->arena, "%s/" SPOOL_NAME, server->options.maildir);
	if (file_make_directory(folder) == -1 || (directory = opendir(folder)) == NULL) {
		*error_r = arena_printf(server->arena, "%s: %s", folder, strerror(errno));
		return -1;
	}
	while ((file = readdir(directory)) != NULL) {
		struct relay_mail mail;
		int64_t created_s = 0;
		struct arena *a;

		if (file->d_name[0] == '.')
			continue;
		if (slice_starts(slice_str(file->d_name), SLICE("tmp-"))) {
			relay_spool_remove(server, file->d_name);
			continue;
		}
		a = load_file(folder, file->d_name, &mail, &created_s);
		if (a != NULL)
			each(ctx, a, &mail, created_s);
	}
	(void)closedir(directory);
	return 0;
}
