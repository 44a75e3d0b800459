/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/golden.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

#define GOLDEN_ARENA_BYTES (1024u * 1024)

static void
write_golden(const char *path, struct slice got)
{
	FILE *f = fopen(path, "wb");

	if (f == NULL || fwrite(got.p, 1, got.len, f) != got.len || fclose(f) != 0)
		fail_msg("can't write %s", path);
	(void)printf("wrote %s\n", path);
}

static void
first_difference(const char *path, struct slice got, struct slice want)
{
	struct slice got_line, want_line;

	for (size_t n = 1;; n++) {
		bool more_got = slice_next(&got, '\n', &got_line);
		bool more_want = slice_next(&want, '\n', &want_line);

		if (!more_got)
			got_line = SLICE("(the end)");
		if (!more_want)
			want_line = SLICE("(the end)");
		if (!slice_equal(got_line, want_line))
			fail_msg("%s:%zu\n  got   %.*s\n  want  %.*s\n  (make golden rewrites it)",
			    path, n, SLICE_ARG(got_line), SLICE_ARG(want_line));
		if (!more_got)
			fail_msg("%s: line ends at the end differ", path);
	}
}

void
golden_check(const char *name, struct slice got)
{
	struct arena *a = arena_new(GOLDEN_ARENA_BYTES);
	const char *source = getenv("ASSAY_SOURCE"), *mode = getenv("ASSAY_GOLDEN");
	const char *path = arena_printf(
	    a, "%s/tests/golden/%s", source == NULL ? "." : source, name);

	if (mode != NULL && strcmp(mode, "write") == 0) {
		write_golden(path, got);
	} else {
		struct slice want = read_file(a, path);

		if (!slice_equal(got, want))
			first_difference(path, got, want);
	}
	arena_free(&a);
}
