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

/* Without the count, by which equal rows may differ. */
struct slice report_row_encode(struct arena *a, const struct report_row *row);

/* *out is filled; its text points into bytes, its signatures are arena memory. */
int report_policy_decode(struct slice bytes, struct report_policy *out, const char **error_r);

/* The same; out->count is 0. */
int report_row_decode(
    struct arena *a, struct slice bytes, struct report_row *out, const char **error_r);

#endif
