/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/support.h"

#include <dirent.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/stat.h>

#define TEST_ARENA_BYTES (64u * 1024 * 1024)

void
world_open(struct world *w, const char *zone)
{
	const struct lookups_limits limits = {
		.timeout_ms = 5000, .budget_ms = 20000, .max_lookups = 1000
	};
	const char *error = "?";
	struct dns_backend *backend;

	w->arena = arena_new(TEST_ARENA_BYTES);
	w->crypto = crypto_new(w->arena, &error);
	if (w->crypto == NULL)
		fail_msg("crypto: %s", error);
	backend = dns_zone_new(w->arena, slice_str(zone), &error);
	if (backend == NULL)
		fail_msg("zone: %s", error);
	w->resolver = resolver_new(backend, NULL);
	w->lookups = lookups_new(w->arena, w->resolver, &limits);
}

void
world_close(struct world *w)
{
	lookups_fini(&w->lookups);
	resolver_free(&w->resolver);
	crypto_free(&w->crypto);
	arena_free(&w->arena);
}

/* Of the run-time libraries of sanitizers. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

size_t
heap_in_use(void)
{
	struct mallinfo2 info;

	if (__sanitizer_get_current_allocated_bytes != NULL)
		return __sanitizer_get_current_allocated_bytes();
	info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

struct slice
read_file(struct arena *a, const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	char *p;
	size_t n;

	if (f == NULL || fstat(fileno(f), &st) != 0)
		fail_msg("can't read %s", path);
	p = arena_alloc(a, (size_t)st.st_size + 1);
	n = fread(p, 1, (size_t)st.st_size, f);
	(void)fclose(f);
	if (n != (size_t)st.st_size)
		fail_msg("short read of %s", path);
	return slice_of(p, n);
}

void
each_file(
    const char *folder, void (*handle)(void *ctx, const char *path, const char *name), void *ctx)
{
	DIR *d = opendir(folder);
	const struct dirent *e;
	char path[1024];

	if (d == NULL)
		fail_msg("%s can't be opened", folder);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		handle(ctx, path, e->d_name);
	}
	(void)closedir(d);
}

const char *
vectors_folder(void)
{
	static char beside[4096];
	const char *env = getenv("ASSAY_VECTORS");
	const char *source = getenv("ASSAY_SOURCE");
	struct stat st;

	if (env != NULL && env[0] != '\0')
		return stat(env, &st) == 0 ? env : NULL;
	(void)snprintf(
	    beside, sizeof(beside), "%s/../shared/vectors", source != NULL ? source : ".");
	return stat(beside, &st) == 0 ? beside : NULL;
}
