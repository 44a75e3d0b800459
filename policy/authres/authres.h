/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         authres - the Authentication-Results field, RFC 8601
 * DESCRIPTION  One struct, two directions: authres_parse() reads what others wrote, authres_write()
 *              writes ours; parse(write(x)) is x. Knows syntax only, no method.
 */
#ifndef ASSAY_AUTHRES_H
#define ASSAY_AUTHRES_H

#include <stdint.h>

#include "policy/base/arena.h"
#include "policy/syntax/header.h"

struct authres_property {
	struct slice ptype;    /* smtp, header, body, policy; lower case */
	struct slice property; /* lower case */
	struct slice value;    /* unquoted */
};

struct authres_result {
	struct slice method;	 /* lower case */
	uint32_t method_version; /* 1 */
	struct slice result;	 /* lower case */
	struct slice reason;	 /* unquoted; empty: none */
	struct slice comment;	 /* write only: a comment behind the result, escaped as needed */
	struct authres_property *properties;
	size_t property_count;
};

struct authres {
	struct slice authserv_id;	/* unquoted */
	uint32_t version;		/* 1 */
	uint32_t instance;		/* i= of an ARC-Authentication-Results; 0: a plain field */
	struct authres_result *results; /* none: "none" */
	size_t result_count;
};

/*
 * value in wire form. 0, or -1 with *error_r set: not the syntax of RFC 8601 2.2, taken strictly
 * (no empty result, no final ";", no pvalue that needs quotes and has none). A pvalue that is an
 * address keeps the quotes of its local-part.
 */
int authres_parse(struct arena *a, struct slice value, bool is_aar, struct authres *out,
    const char **error_r) __attribute__((warn_unused_result));

/*
 * The same, for a field whose writer is trusted and known not to keep to the grammar (Microsoft's
 * "action=none" has no ptype): a property that can't be read is left out, and so is a result. Where
 * comments, quoted strings and results end is as strict as ever, so that no text of a stranger in
 * them becomes a result; what authres_parse() accepts is read alike.
 */
int authres_parse_lenient(struct arena *a, struct slice value, bool is_aar, struct authres *out,
    const char **error_r) __attribute__((warn_unused_result));

/*
 * The field body, folded with CRLF + HTAB between results and where a line would pass 78 columns,
 * no leading blank, no final CRLF. Everything is encoded: no byte of a value can end the field, a
 * quoted string or a comment. UTF-8 is kept (RFC 8601 2.2); control bytes and what is not UTF-8
 * become "?"; a value or comment is cut at LIMIT_AUTHRES_VALUE_BYTES, so that no line passes 998.
 * A version of 0 is written as 1.
 */
struct slice authres_write(struct arena *a, const struct authres *in);

/*
 * Does RFC 8601 section 5 want this field removed? It claims our authserv-id (compared as a whole,
 * case ignored; comments, quoting, a version and odd folds are seen through), or is of a version
 * that we don't know. A field that can't be read but might be taken for ours by somebody else goes
 * too: see claims.c. ids: our authserv_id and its aliases, A-labels or U-labels.
 */
bool authres_must_go(struct arena *a, struct slice value, const struct slice *ids, size_t id_count);

#endif
