/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How include and redirect nest without recursion: every check_host() under way is a struct
 * spf_frame, linked to the one whose include it answers. A redirect replaces the record of its
 * frame. Entering either is a counted lookup, so there are never more frames than lookups allowed,
 * plus one.
 */
#include "policy/base/limits.h"
#include "policy/spf/internal.h"
#include "policy/syntax/domain.h"

const struct spf_options spf_defaults = {
	.max_lookups = LIMIT_SPF_LOOKUPS,
	.max_void_lookups = LIMIT_SPF_VOID,
};

#define SECTION_CASE(name, text, section)                                                          \
	case name:                                                                                 \
		return section;

ENUMTAB_WORDS(spf_result_word, enum spf_result, SPF_RESULTS)
ENUMTAB_WORDS(spf_scope_word, enum spf_scope, SPF_SCOPES)
ENUMTAB_WORDS(spf_reason_text, enum spf_reason, SPF_REASONS)

const char *
spf_reason_section(enum spf_reason value)
{
	switch (value) {
		SPF_REASONS(SECTION_CASE)
	}
	bug("spf_reason_section: %d", (int)value);
}

/* ---- one domain's record, RFC 7208 4.3 to 4.5 ---- */

/* For who wants to say what the result came from. */
static void
note_record(struct spf_run *run, struct slice domain)
{
	struct spf_verdict *out = run->out;

	/* Each but the first is a counted lookup. */
	if (run->record_domains == NULL)
		out->record_domains = run->record_domains = arena_array(run->arena,
		    (size_t)run->options->max_lookups + 1, sizeof(*run->record_domains));
	run->record_domains[out->record_domain_count++] = domain;
}

/* SPF_R_NONE with *record_r, or why not with *detail_r; *domain_r as far as it is known. */
static enum spf_reason
fetch_record(struct spf_run *run, struct slice name, struct slice *domain_r,
    const struct spf_record **record_r, const char **detail_r)
{
	const struct dns_answer *answer;
	enum spf_reason reason = SPF_R_NONE;
	const char *why;

	*record_r = NULL;
	*domain_r = arena_copy(run->arena, name);
	if (domain_normalize(run->arena, name, domain_r, &why) != 0) {
		*detail_r = arena_printf(run->arena, "\"%s\" %s", spf_show_name(run, name), why);
		return SPF_R_NO_DOMAIN;
	}
	if (domain_labels(*domain_r) < 2) {
		*detail_r = arena_printf(
		    run->arena, "\"%s\" is a single label", spf_show_name(run, *domain_r));
		return SPF_R_NO_DOMAIN;
	}
	answer = lookups_ask(run->lookups, *domain_r, DNS_TXT);
	if (answer->status == DNS_TEMPFAIL) {
		*detail_r = spf_show_trouble(run, *domain_r, DNS_TXT, answer);
		return SPF_R_DNS;
	}
	*record_r = spf_record_select(answer, &reason);
	if (*record_r != NULL || reason == SPF_R_SEVERAL)
		note_record(run, *domain_r);
	if (*record_r == NULL) {
		*detail_r = arena_printf(run->arena, "%s %s", spf_show_name(run, *domain_r),
		    reason == SPF_R_SEVERAL		 ? "has more than one SPF record"
			: answer->status == DNS_NXDOMAIN ? "does not exist"
							 : "has no SPF record");
		return reason;
	}
	if ((*record_r)->reason != SPF_R_NONE) {
		struct slice term = spf_record_text(*record_r, (*record_r)->fault_term);

		*detail_r = term.len == 0 ? (*record_r)->fault
					  : arena_printf(run->arena, "term \"%s\": %s",
						spf_show(run, term), (*record_r)->fault);
	}
	return (*record_r)->reason;
}

/*
 * Go into another domain's record: for an include (t), or in place of the top frame's record.
 * none is what its being without a record means here.
 */
static enum spf_step
enter(struct spf_run *run, const struct spf_term *t, struct slice written, struct slice name,
    enum spf_reason none)
{
	struct spf_frame *old = run->top, *f = arena_alloc(run->arena, sizeof(*f));
	const char *detail;
	enum spf_reason reason;

	f->parent = t != NULL ? old : old->parent;
	f->asker = t != NULL ? t : old->asker;
	f->via = arena_printf(run->arena, "%s%s%s at %s", old->via,
	    old->via[0] == '\0' ? "" : ", then ", spf_show(run, written),
	    spf_show_name(run, old->domain));
	reason = fetch_record(run, name, &f->domain, &f->record, &detail);
	/* RFC 7208 5.2 and 6.1: "none", a malformed name included, becomes "permerror" */
	if (reason == SPF_R_NO_RECORD || reason == SPF_R_NO_DOMAIN)
		return spf_stop_at(run, written, none, detail);
	run->top = f;
	if (reason == SPF_R_NONE)
		return SPF_STEP_MISS;
	spf_place(run, f->domain, f->record, slice_of(NULL, 0));
	return spf_stop(run, reason, detail);
}

/* ---- from term to term ---- */

static enum spf_step
try_include(struct spf_run *run, const struct spf_term *t)
{
	struct slice written = spf_record_text(run->top->record, t->written);
	struct slice spec = spf_record_text(run->top->record, t->argument), name;
	enum spf_step step = spf_begin_term(run, written, spec, &name);

	if (step != SPF_STEP_ASK)
		return step;
	return enter(run, t, written, name, SPF_R_INCLUDE_NONE);
}

/*
 * Term t of the top frame matched: that is the result of its record, which in an include counts as
 * a match of the include when it is "pass", else as none (RFC 7208 5.2).
 */
static enum spf_step
apply_match(struct spf_run *run, const struct spf_term *t)
{
	const struct spf_frame *decided = run->top;
	const struct spf_term *term = t;
	const char *via = decided->via;

	while (run->top->parent != NULL) {
		if (t->result != SPF_PASS) {
			run->top = run->top->parent;
			return SPF_STEP_MISS;
		}
		t = run->top->asker;
		run->top = run->top->parent;
		/* The term that decided is the innermost one, unless an include around it gave the
		 * match another meaning. */
		if (t->result != SPF_PASS) {
			decided = run->top;
			term = t;
		}
	}
	spf_place(
	    run, decided->domain, decided->record, spf_record_text(decided->record, term->written));
	run->out->result = t->result;
	run->out->reason = SPF_R_MATCH;
	run->out->detail = slice_str(via[0] == '\0' ? "" : arena_printf(run->arena, "by %s", via));
	return SPF_STEP_STOP;
}

/* No term of the top frame matched. */
static enum spf_step
end_of_record(struct spf_run *run)
{
	const struct spf_record *record = run->top->record;
	struct slice written = spf_record_text(record, record->redirect.written);
	struct slice spec = spf_record_text(record, record->redirect.argument), name;

	/* RFC 7208 6.1: redirect MUST be ignored if there is an "all" anywhere; here none matched,
	 * so there is none. */
	if (written.len > 0) {
		enum spf_step step = spf_begin_term(run, written, spec, &name);

		if (step == SPF_STEP_STOP)
			return step;
		/* With a local part that can't be expanded (RFC 8616 4) it is as if not there. */
		if (step == SPF_STEP_ASK)
			return enter(run, NULL, written, name, SPF_R_REDIRECT_NONE);
	}
	if (run->top->parent != NULL) { /* neutral: the include does not match */
		run->top = run->top->parent;
		return SPF_STEP_MISS;
	}
	spf_place(run, run->top->domain, record, slice_of(NULL, 0));
	return spf_stop(run, SPF_R_DEFAULT, "");
}

static void
walk_terms(struct spf_run *run)
{
	enum spf_step step = SPF_STEP_MISS;

	while (step != SPF_STEP_STOP) {
		struct spf_frame *f = run->top;
		const struct spf_term *t;

		if (f->next == f->record->count) {
			step = end_of_record(run);
			continue;
		}
		t = &f->record->terms[f->next++];
		step = t->mechanism == SPF_INCLUDE ? try_include(run, t) : spf_try_term(run, t);
		if (step == SPF_STEP_MATCH)
			step = apply_match(run, t);
	}
}

/* ---- exp=, RFC 7208 6.2, 11.5.2 ---- */

static bool
is_printable(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return false;
	return true;
}

/* run->top is the identity's own frame again, or what a redirect made of it: whatever was included
 * has no say. Any trouble means no explanation, and no lookup here counts. */
static void
explain(struct spf_run *run)
{
	const struct spf_record *record = run->top->record;
	struct slice spec = spf_record_text(record, record->explanation.argument), name, text;
	const struct dns_answer *answer;

	if (spec.len == 0 || !spf_target_name(run, spec, &name))
		return;
	answer = lookups_ask(run->lookups, name, DNS_TXT);
	if (answer->status != DNS_OK || answer->count != 1)
		return;
	text = answer->records[0].text;
	if (spf_explain_string_fault(text) != NULL)
		return;
	spf_set_macros(run, text);
	text = spf_macro_explanation(run->arena, &run->macros, text);
	/* The record is clean, but a HELO or a local part may hold anything. */
	if (is_printable(text))
		run->out->explanation = text;
}

/* ---- the start ---- */

/* The identity's own record. False: the verdict is there. */
static bool
begin(struct spf_run *run, struct spf_frame *first)
{
	const char *detail;
	enum spf_reason reason;

	first->via = "";
	reason = fetch_record(run, run->in->domain, &first->domain, &first->record, &detail);
	run->out->domain = first->domain;
	/* RFC 7208 4.3: a malformed domain. Its owner may well have a record for it; but a pass for
	 * "bank.example(.evil.example" is none that anybody should be shown. */
	if (reason == SPF_R_NONE && !domain_is_host_name(first->domain)) {
		reason = SPF_R_NO_DOMAIN;
		detail = arena_printf(run->arena, "\"%s\" has a byte that no host name holds",
		    spf_show_name(run, first->domain));
	}
	if (reason == SPF_R_NONE)
		return true;
	spf_place(run, first->domain, first->record, slice_of(NULL, 0));
	(void)spf_stop(run, reason, detail);
	return false;
}

void
spf_evaluate(struct arena *a, struct lookups *l, const struct spf_options *options,
    const struct spf_input *in, struct spf_verdict *out)
{
	struct spf_run run = { .arena = a, .lookups = l, .options = options, .in = in, .out = out };
	struct spf_frame first = { .parent = NULL };

	*out = (struct spf_verdict){ .scope = in->scope };
	/* RFC 7208 4.3: no local-part becomes "postmaster" */
	out->local_part = in->local_part.len > 0 ? arena_copy(a, in->local_part)
						 : SLICE("postmaster");
	out->domain = arena_copy(a, in->domain);
	if (in->client.family == IP_NONE) {
		(void)spf_stop(&run, SPF_R_NO_ADDRESS, "");
		return;
	}
	if (!begin(&run, &first))
		return;
	run.top = &first;
	run.origin = first.domain;
	run.local_part_8bit = !slice_is_ascii(
	    slice_sub(out->local_part, 0, LIMIT_LOCAL_PART_BYTES));
	walk_terms(&run);
	if (out->result == SPF_FAIL)
		explain(&run);
}
