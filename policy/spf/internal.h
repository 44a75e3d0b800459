/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         spf/internal - what the files of spf share
 * DESCRIPTION  Macros (RFC 7208 section 7): a macro-string is checked once, when its record is
 *              parsed, and expanded when its turn comes. Both walk it with spf_macro_next().
 *              One evaluation: run.c has what all terms need (verdict, limits, names),
 *              mechanism.c tries a term, eval.c goes from term to term and from record to record.
 */
#ifndef ASSAY_SPF_INTERNAL_H
#define ASSAY_SPF_INTERNAL_H

#include "policy/dns/reverse.h"
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

/* ---- one evaluation ---- */

struct spf_frame {
	struct spf_frame *parent; /* NULL: the identity's own evaluation */
	struct slice domain;	  /* <domain> of RFC 7208 4.1 */
	const struct spf_record *record;
	size_t next;		      /* term after the one whose turn it is */
	const struct spf_term *asker; /* the parent's include */
	const char *via;	      /* how we came here, for people; "" at the start */
};

struct spf_run {
	struct arena *arena;
	struct lookups *lookups;
	const struct spf_options *options;
	const struct spf_input *in;
	struct spf_verdict *out;
	struct spf_frame *top;
	struct slice *record_domains; /* the verdict's, growing */
	struct slice origin;	      /* the identity's domain in normal form, %{o} */
	struct spf_macro_values macros;
	bool macros_set; /* those that stay the same */
	bool local_part_8bit;
	bool validated; /* names is filled */
	bool p_counted; /* %{p} has been counted as a lookup */
	struct dns_reverse names;
};

enum spf_step {
	SPF_STEP_MISS,	/* go on with the next term of the top frame */
	SPF_STEP_MATCH, /* the top frame's current term matches */
	SPF_STEP_ASK,	/* spf_begin_term() only: go on with the name */
	SPF_STEP_STOP,	/* the verdict is there */
};

/* s, or a domain name, as it may stand in a detail text. Arena text. */
const char *spf_show(const struct spf_run *run, struct slice s);
const char *spf_show_name(const struct spf_run *run, struct slice name);

/* What was asked and how it failed: "TXT d.example: timed out". */
const char *spf_show_trouble(const struct spf_run *run, struct slice name, enum dns_type type,
    const struct dns_answer *answer);

/* Say in the verdict where it was decided. record NULL: the domain has none that could be read.
 * written: empty when no term is to blame. */
void spf_place(struct spf_run *run, struct slice domain, const struct spf_record *record,
    struct slice written);

/* End here without a match; detail is arena text. _at: by the fault of a term of the top frame. */
enum spf_step spf_stop(struct spf_run *run, enum spf_reason reason, const char *detail);
enum spf_step spf_stop_at(
    struct spf_run *run, struct slice written, enum spf_reason reason, const char *detail);

/* Count a void lookup (RFC 7208 4.6.4). False: one too many, the verdict is there. */
bool spf_count_void(
    struct spf_run *run, struct slice written, struct slice name, enum dns_type type);

/* The client's names, asked for once. */
const struct dns_reverse *spf_validated_names(struct spf_run *run);

/* Make the letters that depend on the top frame true; %{p} only when text uses it: it asks DNS. */
void spf_set_macros(struct spf_run *run, struct slice text);

/* <target-name> of RFC 7208 4.8. False: the term can't match. */
bool spf_target_name(struct spf_run *run, struct slice spec, struct slice *name_r);

/* What every term that asks DNS does first: be counted (RFC 7208 4.6.4) and find its name. */
enum spf_step spf_begin_term(
    struct spf_run *run, struct slice written, struct slice spec, struct slice *name_r);

/* Any mechanism but include. */
enum spf_step spf_try_term(struct spf_run *run, const struct spf_term *t);

#endif
