/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         report/text - text from the wire, fit for a report
 * DESCRIPTION  What comes out is UTF-8 without control characters (C0, DEL, C1), without line
 *              separators and without what XML can't hold. Arena memory, NUL-terminated.
 */
#ifndef ASSAY_REPORT_TEXT_H
#define ASSAY_REPORT_TEXT_H

#include "policy/base/arena.h"

/* Line ends and tabs become blanks, blanks at the ends are cut off; at most max_bytes, cut between
 * characters. */
struct slice report_text(struct arena *a, struct slice s, size_t max_bytes);

/* The same for a name: blanks are dropped altogether. */
struct slice report_name_text(struct arena *a, struct slice s, size_t max_bytes);

#endif
