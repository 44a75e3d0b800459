/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         spf/internal - what the files of spf share: macros, RFC 7208 section 7
 * DESCRIPTION  A macro-string is checked once, when its record is parsed, and expanded when its
 *              turn comes. Both walk it with spf_macro_next().
 */
#ifndef ASSAY_SPF_INTERNAL_H
#define ASSAY_SPF_INTERNAL_H

#include "policy/spf/spf.h"

/* One token: text to copy, or a letter with its transformers. */
struct spf_macro {
	struct slice literal; /* when letter is 0 */
	char letter;	      /* lower case */
	bool expand;	      /* a macro-expand of the grammar: %{...}, %%, %_, %- */
	bool escape;	      /* the letter was upper case: URL-escape the value */
	bool reverse;
	uint32_t keep;		 /* right-hand parts kept; 0: all */
	struct slice delimiters; /* empty: split at dots */
};

/* 1 with *m filled and its text cut off *rest; 0 at the end; -1 with *fault_r, a static text. */
int spf_macro_next(struct slice *rest, struct spf_macro *m, const char **fault_r);

/* NULL, or what is wrong, a static text. A domain-spec may not hold %{c}, %{r} and %{t}. */
const char *spf_domain_spec_fault(struct slice text);
const char *spf_macro_string_fault(struct slice text);
const char *spf_explain_string_fault(struct slice text);

/* Does a (valid) macro-string use one of these letters, in either case? */
bool spf_macro_uses(struct slice text, const char *letters);

/* What the letters stand for: value[letter - 'a']. */
#define SPF_MACRO_VALUE(v, letter) ((v)->value[(letter) - 'a'])
struct spf_macro_values {
	struct slice value['z' - 'a' + 1];
};

/*
 * Expand a text that has no fault. For a name: without its final dot, labels taken off the left
 * until 253 bytes are left (RFC 7208 7.3); it may still be no name that DNS knows. For an
 * explanation: cut at LIMIT_SPF_EXPLANATION_BYTES. Arena memory.
 */
struct slice spf_macro_name(
    struct arena *a, const struct spf_macro_values *values, struct slice text);
struct slice spf_macro_explanation(
    struct arena *a, const struct spf_macro_values *values, struct slice text);

/* The one SPF record of a TXT answer, parsed and kept with the answer; NULL with *reason_r when
 * there is none, or more than one. */
const struct spf_record *spf_record_select(
    const struct dns_answer *answer, enum spf_reason *reason_r);

#endif
