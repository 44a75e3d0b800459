/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         gzip - the only door to zlib
 * DESCRIPTION  RFC 1952 with time 0, no name and "Unix" as system: the same bytes always give the
 *              same result, as far as zlib itself stays the same.
 */
#ifndef ASSAY_REPORT_GZIP_H
#define ASSAY_REPORT_GZIP_H

#include "policy/base/arena.h"

/* Arena memory. At most 4 GB in. */
struct slice gzip_bytes(struct arena *a, struct slice bytes);

/*
 * What gzip_bytes() or another program made. 0, or -1: not gzip, cut short, bytes behind it, or
 * more than max_bytes (a small file may claim to be terabytes).
 */
int gunzip_bytes(struct arena *a, struct slice gzip, size_t max_bytes, struct slice *out)
    __attribute__((warn_unused_result));

#endif
