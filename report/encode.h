/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         encode - rows and policies as bytes
 * DESCRIPTION  Canonical: equal things give equal bytes, on every machine, so a digest of them is
 *              a key. Enumerators are written as their words, which RFCs fix, not as numbers,
 *              which a later assay may shift.
 *              What is read back comes from a file or a server that others may write to: the
 *              reader believes no length and no word.
 * DIAGNOSTICS  -1 with *error_r set, a static text.
 */
#ifndef ASSAY_REPORT_ENCODE_H
#define ASSAY_REPORT_ENCODE_H

#include "report/row.h"

/* Arena memory. Text is cut and signatures are dropped where limits.h says so. */
struct slice report_policy_encode(struct arena *a, const struct report_policy *policy);

/* Without the count, by which equal rows may differ. Where all its messages are answers, it is
 * marked as such: on its way to the store, which counts them and keeps the row unmarked. */
struct slice report_row_encode(struct arena *a, const struct report_row *row);
bool report_row_is_marked(struct slice bytes);
struct slice report_row_unmark(struct arena *a, struct slice bytes); /* bytes, or a copy */

/* *out is filled; its text points into bytes, its signatures are arena memory. */
int report_policy_decode(struct slice bytes, struct report_policy *out, const char **error_r);

/* The same, of one that is not marked; out->count and out->answers are 0. */
int report_row_decode(
    struct arena *a, struct slice bytes, struct report_row *out, const char **error_r);

#endif
