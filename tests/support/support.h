/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         support - what every test program shares
 * DESCRIPTION  cmocka with its odd include order, a world (arena, resolver over zone text, lookups,
 *              crypto) in one call, files, and the place of the public vectors.
 */
#ifndef ASSAY_TEST_SUPPORT_H
#define ASSAY_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "policy/base/arena.h"
#include "policy/crypto/crypto.h"
#include "policy/dns/dns.h"

struct world {
	struct arena *arena;
	struct crypto *crypto;
	struct resolver *resolver; /* over the zone text given */
	struct lookups *lookups;
};

/* zone: zone text, NULL for the empty zone (everything NXDOMAIN). A fault in it ends the test. */
void world_open(struct world *w, const char *zone);
void world_close(struct world *w);

/* Bytes of the heap that are in use: those of malloc(), or of a sanitizer's own. */
size_t heap_in_use(void);

/* The whole file; fails the test when it can't be read. Arena memory. */
struct slice read_file(struct arena *a, const char *path);

/* Calls handle with the path and the name of each file in the folder, in no order. */
void each_file(
    const char *folder, void (*handle)(void *ctx, const char *path, const char *name), void *ctx);

/* Folder of the public vectors: $ASSAY_VECTORS, or ../shared/vectors beside the checkout; NULL when
 * there is none: then print why and return SKIPPED from main. */
const char *vectors_folder(void);
#define SKIPPED 77 /* automake's exit code for a skipped test */

/* assert_slice(got, "want") */
#define assert_slice(got, want)                                                                    \
	do {                                                                                       \
		struct slice got_ = (got);                                                         \
		if (!slice_equal(got_, slice_str(want)))                                           \
			fail_msg("got \"%.*s\", want \"%s\"", SLICE_ARG(got_), (want));            \
	} while (0)

#endif
