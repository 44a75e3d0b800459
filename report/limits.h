/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         limits - bounds on what strangers can make report/ keep
 * DESCRIPTION  As in policy/base/limits.h: value, unit, where it comes from, and what happens
 *              beyond it.
 */
#ifndef ASSAY_REPORT_LIMITS_H
#define ASSAY_REPORT_LIMITS_H

/* clang-format off */

/* One row */
#define REPORT_SIGNATURES_MAX	100	/* RFC 9990 3.1.3; the least telling dropped */
#define REPORT_SIGNATURE_BYTES	16384	/* text of all signatures of one row; ours; the least telling dropped */
#define REPORT_TEXT_BYTES	200	/* a comment or human_result; ours; cut */
#define REPORT_NAME_BYTES	300	/* a domain or selector, escapes included; ours; cut */

/* One policy configuration */
#define REPORT_RUA_BYTES	4096	/* addresses of rua, the record's own limit; ours; the last dropped */
#define REPORT_ERRORS_BYTES	1000	/* RFC 9990 3.1.5: not extremely large; cut */

/* Encoded (report/encode.h) */
#define REPORT_ENCODED_BYTES	65536	/* one row or policy; beyond: not one of ours */

/* clang-format on */

#endif
