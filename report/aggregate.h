/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         aggregate - aggregate reports as XML (RFC 9990 3.1, RFC 7489 Appendix C)
 * SYNOPSIS     struct aggregate_report r = { .org_name = ..., .rows = rows_from_store, ... };
 *              aggregate_write(arena, &r, &aggregate_limits_default, &out, &error);
 * DESCRIPTION  One report: who makes it, the policy that it is about (one policy domain and one
 *              configuration, RFC 9990 3.1.2 and 3.3), and rows, which come one by one and are not
 *              kept. What is not valid against our own schema (rfc9990.xsd,
 *              rfc7489.xsd: all that those of RFC 9990 A and RFC 7489 ask for, and more) is an
 * error and never handed out.
 *
 *              All text from the wire is cleaned on the way: bytes that are not UTF-8, control
 *              characters and what XML can't hold are dropped, blanks in names too, lengths are
 *              bounded (report/limits.h); libxml2 escapes the rest.
 *
 *              The same report gives the same bytes, compressed as well.
 *
 *              Too large: records are written in the order in which they come. The first that would
 * pass a limit, and all behind it, are left out; the report's "error" says how many records and
 * messages, and it stays one valid report. Rows that can't be reported are left out too and counted
 * alike: no address (mail from a local pipe, and what report_row_fold() made of it), no author
 * domain, no messages. "error" also says how many messages are told without names.
 *
 *              Whoever makes rows sees to it that one whose policy was not applied has an override
 *              (RFC 9990 3.1.1.9).
 *
 *              AGGREGATE_RFC7489 has no namespace and none of discovery_method, np, testing,
 *              generator; it wants sp, pct, fo and an SPF result, which get their defaults; the
 *              disposition pass is none there, policy_test_mode is other with that word in its
 *              comment, and each fault in the record is an "error" of its own.
 * DIAGNOSTICS  -1 with *error_r set, arena text. No record at all is an error: RFC 9990 3.1.1.2
 *              wants at least one.
 * BUGS         MT: the first call before threads are started (libxml2).
 */
#ifndef ASSAY_AGGREGATE_H
#define ASSAY_AGGREGATE_H

#include "report/limits.h"
#include "report/row.h"

/* clang-format off */
#define AGGREGATE_FORMATS(X) \
	X(AGGREGATE_RFC9990, "rfc9990") \
	X(AGGREGATE_RFC7489, "rfc7489")
/* clang-format on */
enum aggregate_format { AGGREGATE_FORMATS(ENUMTAB_NAME) };
const char *aggregate_format_word(enum aggregate_format);

/* Takes one row, which needs to be good during the call only. Always 0. */
typedef int aggregate_row_fn(void *ctx, const struct report_row *row);

/* Hands all rows to row(row_ctx, ...), as store_rows() does. 0, or -1 with *error_r set. */
typedef int aggregate_rows_fn(
    void *ctx, aggregate_row_fn *row, void *row_ctx, const char **error_r);

struct aggregate_report { /* borrows all of it */
	enum aggregate_format format;
	struct slice org_name;
	struct slice email;	    /* contact, an address */
	struct slice extra_contact; /* or empty */
	struct slice report_id;	    /* report_name.h */
	int64_t begin_s, end_s;	    /* first second of the period, and the first behind it; the
				       report names the last (RFC 9990 3.1.1.4) */
	struct slice generator;	    /* name and version of the program; or empty */
	const struct report_policy *policy; /* its errors become "error" */
	aggregate_rows_fn *rows;
	void *ctx; /* for rows */
};

struct aggregate_limits {
	size_t max_xml_bytes, max_gzip_bytes;
};
extern const struct aggregate_limits aggregate_limits_default; /* report/limits.h */

struct aggregate_summary { /* messages, but for records and sources */
	uint64_t records, messages;
	uint64_t passed; /* an aligned identifier passed */
	uint64_t quarantined, rejected;
	uint64_t records_left_out, messages_left_out;
	uint64_t folded; /* of messages: without names, see report_row_fold() */
};

struct aggregate_output { /* arena memory */
	struct slice xml;
	struct slice gzip; /* of it: RFC 1952, no name, time 0 */
	struct aggregate_summary summary;
};

/* 0 or -1. */
int aggregate_write(struct arena *a, const struct aggregate_report *report,
    const struct aggregate_limits *limits, struct aggregate_output *out, const char **error_r)
    __attribute__((warn_unused_result));

/* Is it well-formed, and valid by our schema? 0, or -1 with the first fault and its line. */
int aggregate_validate(struct arena *a, struct slice xml, enum aggregate_format format,
    const char **error_r) __attribute__((warn_unused_result));

#endif
