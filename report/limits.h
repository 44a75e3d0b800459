/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         limits - bounds on what strangers can make report/ keep
 * DESCRIPTION  As in policy/base/limits.h: value, unit, where it comes from, and what happens
 *              beyond it. The lengths of texts in reports stand in rfc9990.xsd and rfc7489.xsd too.
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

/* One period of one policy configuration: at first. */
#define REPORT_PERIOD_ROWS	  50000 /* different rows; ours; new ones then without names */
#define REPORT_PERIOD_FOLDED_ROWS 10000 /* of those, beside them; ours; then without address, too */

/* Encoded (report/encode.h) */
#define REPORT_ENCODED_BYTES	65536	/* one row or policy; beyond: not one of ours */

/* What waits to be sent */
#define REPORT_OUTBOX_PENDING 10000 /* deliveries; ours; what failed most or was put off is given up, or reports are made later */
#define REPORT_FILE_BYTES     (5LL * 1024 * 1024 * 1024) /* for who reports; ours; as a full disk */
/* That is a GiB more than the writer of rows has (WRITER_FILE_BYTES): a full file can be reported. */

/* Aggregate reports */
#define REPORT_XML_BYTES	(64 * 1024 * 1024)	/* one document; ours; records beyond are left out, and it says so */
#define REPORT_GZIP_BYTES	(7 * 1024 * 1024)	/* in base64 it fits Postfix' message_size_limit of 10240000; the same */
#define REPORT_EMAIL_BYTES	320	/* RFC 5321 4.5.3.1 by arithmetic; cut */
#define REPORT_CONTACT_BYTES	500	/* org_name, extra_contact_info, generator; ours; cut */
#define REPORT_ERROR_BYTES	2000	/* "error" as a whole; RFC 9990 3.1.5: not extremely large; cut */
#define REPORT_ID_BYTES		255	/* Report-ID; ours; refused */

/* Destinations */
#define LIMIT_DESTINATIONS	16	/* of one report; = LIMIT_DMARC_URIS; rest ignored */
#define LIMIT_DESTINATION_LOCAL_BYTES 64	/* RFC 5321 4.5.3.1.1; URI ignored */

/* Failure reports */
#define REPORT_FAILURE_HEADER_BYTES 32768	/* of the message's header; ours; rest left out */
#define REPORT_FAILURE_LINE_BYTES 900	/* RFC 5322 2.1.1: 998; folded */
#define REPORT_FAILURES_MAX	1000	/* events that wait; ours; dropped */
#define REPORT_FAILURES_DOMAIN_MAX 50	/* of one policy domain; ours; dropped */
#define REPORT_FAILURE_QUIET_S	86400	/* one cause is told once in that time; ours; counted, not told */
#define REPORT_FAILURE_KEEP_S	172800	/* an event that waits longer is dropped; ours */
#define REPORT_FAILURE_SPF_BYTES 1000	/* of a record in SPF-DNS; ours; cut */

/* clang-format on */

#endif
