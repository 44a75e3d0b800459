/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         taglist - tag=value lists: DKIM and ARC signatures, key records, DMARC records
 * SYNOPSIS     One table of rules per kind of list; the duplicate, required and default rules are
 *              here, once.
 * DESCRIPTION  Splits text by RFC 6376 section 3.2 and hands each value, trimmed of FWS, to the
 * rule with that name. Tags without a rule are skipped. Slices given to a rule point into text. A
 * rule that is absent from the text and has a fallback is given that. DIAGNOSTICS  0, or -1 with
 * *error_r set (arena text for people: which tag, what was wrong). obj may then be half filled.
 * BUGS         A rule sees one tag; checks across tags belong to the caller.
 */
#ifndef ASSAY_TAGLIST_H
#define ASSAY_TAGLIST_H

#include "policy/base/arena.h"

#define TAG_REQUIRED 1u /* absent: the list is invalid */
#define TAG_FIRST    2u /* must be the first tag when it is there */
#define TAG_LENIENT  4u /* a value that the rule refuses counts as absent; see on_fault */

struct tag_rule {
	const char *name;
	/* 0, or -1 with *why_r a static text ("is not base64"). */
	int (*parse)(struct arena *a, struct slice value, void *obj, const char **why_r);
	unsigned flags;
	const char *fallback; /* NULL: nothing is done when the tag is absent */
};

#define TAGLIST_NOCASE 1u /* tag names without regard to case (DMARC) */
#define TAGLIST_SLOPPY                                                                             \
	2u /* pieces that are no tag, and repeated tags, are skipped (DMARC);                      \
	      TAG_FIRST and TAG_REQUIRED hold all the same */

struct taglist_grammar {
	const struct tag_rule *rules;
	size_t rule_count; /* at most 64 */
	unsigned flags;
	/* What a lenient rule or TAGLIST_SLOPPY let pass; may be NULL. why is static text. */
	void (*on_fault)(
	    struct arena *a, void *obj, struct slice name, struct slice value, const char *why);
};

int taglist_parse(struct arena *a, struct slice text, const struct taglist_grammar *grammar,
    void *obj, const char **error_r) __attribute__((warn_unused_result));

#endif
