/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/report.h"

#define SHOWN_BYTES 400

const char *
report_time(struct arena *a, int64_t time_s)
{
	time_t t = (time_t)time_s;
	char text[32];
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm) == 0)
		return "?";
	return arena_str(a, slice_str(text));
}

const char *
report_shown(struct arena *a, struct slice s)
{
	return arena_printable(a, s, SHOWN_BYTES);
}

int
report_check_folder(const char *folder)
{
	struct stat st;

	if (stat(folder, &st) == 0 && !S_ISDIR(st.st_mode))
		errno = ENOTDIR;
	else if (access(folder, W_OK | X_OK) == 0)
		return 0;
	return report_complain(EXIT_UNREADABLE, folder, strerror(errno));
}

int
report_write_file(struct report_run *r, const char *folder, const char *name, struct slice bytes)
{
	const char *path = arena_printf(r->arena, "%s/%s", folder, name);
	FILE *f;
	bool failed;

	if (strchr(name, '/') != NULL)
		return report_complain(EXIT_INTERNAL, name, "no name for a file");
	f = fopen(path, "wbe");
	if (f == NULL)
		return report_complain(EXIT_UNREADABLE, path, strerror(errno));
	failed = fwrite(bytes.p, 1, bytes.len, f) != bytes.len;
	failed = fclose(f) != 0 || failed;
	return failed ? report_complain(EXIT_UNREADABLE, path, "can't be written") : 0;
}

const char *
report_forgotten_name(struct arena *a, const struct store_forgotten *f)
{
	return f->domain.len == 0 ? "other domains" : report_shown(a, f->domain);
}

const char *
report_forgotten_text(struct arena *a, const struct store_forgotten *f)
{
	return arena_printf(a, "%llu message%s of %s to %s, older than report_keep",
	    (unsigned long long)f->messages, f->messages == 1 ? "" : "s",
	    report_time(a, f->begin_s), report_time(a, f->end_s));
}
