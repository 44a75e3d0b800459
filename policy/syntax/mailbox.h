/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         mailbox - addresses: the From field, the reverse-path
 * DESCRIPTION  A total parser of RFC 5322 3.4 with RFC 6854 (groups in From), RFC 6532 (UTF-8) and
 * the obsolete forms that still arrive (routes, CFWS everywhere). Everything is decided explicitly:
 * what the grammar doesn't cover is malformed, with a reason, and what can be read of it all the
 * same is still reported, so that policy can look at it. No recursion; comments nest at most
 * LIMIT_COMMENT_DEPTH deep.
 *              malformed is also set where RFC 5322 has one reading and mail programs have others,
 *              so that nothing that people may be shown as the author's domain goes unjudged:
 *              source routes, "@" or "<" in a quoted local-part, encoded words and characters that
 *              hide or look like others in it, comments and blanks inside an address, NUL and
 *              other control bytes, bytes that are not UTF-8. A display name may hold anything:
 *              what it looks like is not judged.
 */
#ifndef ASSAY_MAILBOX_H
#define ASSAY_MAILBOX_H

#include "policy/base/arena.h"
#include "policy/syntax/header.h"

struct mailbox {
	struct slice local_part; /* unquoted */
	struct slice domain;	 /* normal form; empty: none, or not a domain name (a literal) */
};

struct author { /* what the From fields say */
	size_t from_fields;
	struct mailbox *mailboxes; /* at most LIMIT_AUTHORS, in order */
	size_t mailbox_count;
	struct slice *domains; /* distinct author domains, normal form, in order */
	size_t domain_count;
	const char *malformed; /* NULL, or why (static or arena text): readers may see another
				  author, or there is no author domain */
	const char
	    *odd; /* NULL, or what is outside the grammar and misleads nobody (static text) */
};

/*
 * Read all From fields of the header (RFC 9989 5.3.1: zero, one or more author domains).
 * Never fails; *out is arena memory.
 */
void author_read(struct arena *a, const struct header_list *header, struct author *out);

/*
 * The argument of MAIL FROM as a milter gives it: "<a@b>" or "a@b"; "<>" and "" are the null
 * reverse-path and give an empty mailbox. A source route is skipped (RFC 5321 4.1.1.3). The domain
 * is what stands behind the last "@" outside quotes, the local-part what stands before it; both as
 * they came, quotes kept: spf wants them so. Without "@" all of it is local-part. Arena copies;
 * never fails.
 */
void reverse_path_read(
    struct arena *a, struct slice path, struct slice *local_part, struct slice *domain);

#endif
