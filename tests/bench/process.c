/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/process.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FAMILY_MAX 64

/* The pid and those of its descendants. */
struct family {
	pid_t pids[FAMILY_MAX];
	size_t count;
};

static pid_t
parent_of(pid_t pid)
{
	char path[64], text[512], *behind;
	FILE *f;
	pid_t parent = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (f == NULL)
		return 0;
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	(void)fclose(f);
	behind = strrchr(text, ')'); /* the name in parentheses may hold anything */
	if (behind != NULL && strlen(behind) > 4)
		parent = (pid_t)strtol(behind + 4, NULL, 10);
	return parent;
}

static bool
is_member(const struct family *f, pid_t pid)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->pids[i] == pid)
			return true;
	return false;
}

/* One look at /proc: those whose parent is known already. */
static bool
add_children(struct family *f)
{
	DIR *proc = opendir("/proc");
	const struct dirent *e;
	size_t before = f->count;

	while (proc != NULL && (e = readdir(proc)) != NULL) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

		if (pid > 0 && f->count < FAMILY_MAX && !is_member(f, pid) &&
		    is_member(f, parent_of(pid)))
			f->pids[f->count++] = pid;
	}
	if (proc != NULL)
		(void)closedir(proc);
	return f->count > before;
}

static void
find_family(pid_t pid, struct family *f)
{
	*f = (struct family){ .pids = { pid }, .count = 1 };
	while (add_children(f))
		;
}

uint64_t
process_cpu_ns(pid_t pid)
{
	struct family f;
	uint64_t sum = 0;

	find_family(pid, &f);
	for (size_t i = 0; i < f.count; i++) {
		struct timespec t;
		clockid_t clock;

		if (clock_getcpuclockid(f.pids[i], &clock) == 0 && clock_gettime(clock, &t) == 0)
			sum += (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	}
	return sum;
}

static size_t
status_kb(pid_t pid, const char *key)
{
	char path[64], line[256];
	size_t kb = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			kb = strtoul(line + strlen(key), NULL, 10);
	if (f != NULL)
		(void)fclose(f);
	return kb;
}

static size_t
sum_kb(pid_t pid, const char *key)
{
	struct family f;
	size_t sum = 0;

	find_family(pid, &f);
	for (size_t i = 0; i < f.count; i++)
		sum += status_kb(f.pids[i], key);
	return sum;
}

size_t
process_rss_kb(pid_t pid)
{
	return sum_kb(pid, "VmRSS:");
}

size_t
process_peak_rss_kb(pid_t pid)
{
	return sum_kb(pid, "VmHWM:");
}
