/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/row.h"

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/domain.h"
#include "policy/syntax/mailbox.h"
#include "report/exempt.h"
#include "report/limits.h"

ENUMTAB_WORDS(report_disposition_word, enum report_disposition, REPORT_DISPOSITIONS)

/* ---- text of strangers ---- */

static struct slice
clean_text(struct arena *a, struct slice s)
{
	return slice_sub(slice_str(arena_printable(a, s, REPORT_TEXT_BYTES)), 0, REPORT_TEXT_BYTES);
}

/* A-labels; what is no domain name comes as it can be shown. */
static struct slice
clean_name(struct arena *a, struct slice s)
{
	struct slice name;
	const char *why;

	if (domain_normalize(a, s, &name, &why) == 0)
		return name;
	name = slice_str(arena_printable(a, s, LIMIT_DOMAIN_BYTES));
	return arena_copy_lower(a, slice_sub(name, 0, REPORT_NAME_BYTES));
}

/* Domain of an address as it stands in MAIL FROM and RCPT TO; empty: it has none. */
static struct slice
domain_of_path(struct arena *a, struct slice path)
{
	struct slice local_part, domain;

	reverse_path_read(a, path, &local_part, &domain);
	return domain.len == 0 ? domain : clean_name(a, domain);
}

/* ---- policy_published, RFC 9990 3.1.1.5 ---- */

static bool
is_mailto(struct slice uri)
{
	return slice_starts_nocase(uri, SLICE("mailto:"));
}

/* Reports are wanted, at an address we can send to (RFC 9990 3.5). */
static bool
wants_reports(const struct dmarc_record *r)
{
	for (size_t i = 0; i < r->rua_count; i++)
		if (is_mailto(r->rua[i]))
			return true;
	return false;
}

static struct slice
join_rua(struct arena *a, const struct dmarc_record *r)
{
	struct strbuf b;

	strbuf_init(&b, a, REPORT_RUA_BYTES);
	for (size_t i = 0; i < r->rua_count; i++) {
		/* Whole addresses only: a cut one is somebody else's. */
		if (b.len + r->rua[i].len + 1 > REPORT_RUA_BYTES)
			break;
		if (b.len > 0)
			strbuf_char(&b, ' ');
		strbuf_add(&b, r->rua[i]);
	}
	return strbuf_slice(&b);
}

static struct slice
write_fo(struct arena *a, const struct dmarc_record *r)
{
	const struct {
		bool set;
		char c;
	} options[] = { { r->fo_all, '0' }, { r->fo_any, '1' }, { r->fo_dkim, 'd' },
		{ r->fo_spf, 's' } };
	struct strbuf b;

	strbuf_init(&b, a, 16);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (!options[i].set)
			continue;
		if (b.len > 0)
			strbuf_char(&b, ':');
		strbuf_char(&b, options[i].c);
	}
	return strbuf_slice(&b);
}

static void
start_line(struct strbuf *b)
{
	if (b->len > 0)
		strbuf_char(b, '\n');
}

/* RFC 9990 3.1.5: "invalid rua or sp, etc.", "multiple DMARC Policy Records at a given location",
 * the latter on the way from the author domain to the record that applies. */
static struct slice
write_errors(struct arena *a, const struct dmarc_verdict *v, bool counts_as_none)
{
	const struct dmarc_record *r = v->record;
	struct strbuf b;

	strbuf_init(&b, a, REPORT_ERRORS_BYTES);
	for (size_t i = 0; i < v->walk_count; i++) {
		if (v->walk[i].records <= 1)
			continue;
		start_line(&b);
		strbuf_printf(&b, "%s: %zu DMARC records, none counts",
		    arena_printable(a, v->walk[i].name, REPORT_NAME_BYTES), v->walk[i].records);
	}
	for (size_t i = 0; i < r->fault_count; i++) {
		start_line(&b);
		strbuf_printf(&b, "%s=\"%s\": %s", arena_printable(a, r->faults[i].tag, 32),
		    arena_printable(a, r->faults[i].value, 100), r->faults[i].why);
	}
	if (counts_as_none) {
		start_line(&b);
		strbuf_str(&b,
		    r->p == DMARC_P_UNSET && !r->p_invalid
			? "p: is missing; the record counts as p=none"
			: "the record counts as p=none");
	}
	return strbuf_slice(&b);
}

static void
fill_policy(struct arena *a, const struct dmarc_verdict *v, struct report_policy *out)
{
	const struct dmarc_record *r = v->record;
	bool counts_as_none = dmarc_record_usability(r, v->discovery) == DMARC_USABLE_AS_NONE;

	*out = (struct report_policy){
		.domain = clean_name(a, v->policy_domain),
		.discovery = v->discovery,
		.p = r->p,
		.sp = r->sp,
		.np = r->np,
		.strict_dkim = r->strict_dkim,
		.strict_spf = r->strict_spf,
		.testing = r->testing,
		.psd = r->psd,
		.pct = r->pct,
		.fo = write_fo(a, r),
		.rua = join_rua(a, r),
		.errors = write_errors(a, v, counts_as_none),
	};
	/* RFC 9989 4.10.1: as if it were p=none. A disposition of none would contradict what stands
	 * in the record, and no reason is to be given where nothing was overridden. */
	if (counts_as_none) {
		out->p = DMARC_P_NONE;
		out->sp = out->np = DMARC_P_UNSET;
	}
}

/* ---- policy_evaluated, RFC 9990 3.1.1.9 ---- */

static enum report_disposition
disposition_of(enum dmarc_policy policy)
{
	switch (policy) {
	case DMARC_P_UNSET:
	case DMARC_P_NONE:
		return REPORT_D_NONE;
	case DMARC_P_QUARANTINE:
		return REPORT_D_QUARANTINE;
	case DMARC_P_REJECT:
		return REPORT_D_REJECT;
	}
	bug("disposition_of: %d", (int)policy);
}

static void
add_override(struct report_row *row, enum override kind, struct slice comment)
{
	if (row->override_count < OVERRIDES_MAX)
		row->overrides[row->override_count++] = (struct report_override){ kind, comment };
}

/* Refused or set aside for something else than DMARC: From can't be read, SPF where it decides. */
static void
fill_other_cause(const struct disposition *d, struct report_row *row)
{
	if (d->cause == CAUSE_DMARC || d->cause == CAUSE_RULE || d->cause == CAUSE_NONE)
		return;
	if (d->action == ACTION_QUARANTINE)
		row->disposition = REPORT_D_QUARANTINE;
	else if (d->action == ACTION_REJECT || d->action == ACTION_DISCARD)
		row->disposition = REPORT_D_REJECT;
	else
		return;
	add_override(row, OVERRIDE_LOCAL_POLICY,
	    slice_str(d->cause == CAUSE_AUTHOR ? "the From field can't be relied on"
		    : d->cause == CAUSE_SPF    ? "on_spf_fail"
		    : d->cause == CAUSE_IPREV  ? "on_iprev_fail"
					       : "not by DMARC"));
}

static void
fill_evaluated(
    struct arena *a, const struct verdict *v, const struct disposition *d, struct report_row *row)
{
	const struct dmarc_verdict *dmarc = &v->dmarc;

	row->dkim_aligned = dmarc->dkim_aligned;
	row->spf_aligned = dmarc->spf_aligned;
	for (size_t i = 0; i < d->override_count; i++)
		add_override(
		    row, d->overrides[i].kind, clean_text(a, slice_str(d->overrides[i].comment)));
	if (dmarc->result == DMARC_PASS) {
		/* The schema of RFC 9990: "No action, passing DMARC w/enforcing policy" */
		row->disposition = dmarc->requested_policy > DMARC_P_NONE ? REPORT_D_PASS
									  : REPORT_D_NONE;
		return;
	}
	row->disposition = disposition_of(d->policy_applied);
	fill_other_cause(d, row);
	/* RFC 9990 3.1.1.9: where the disposition is not what the policy says, a reason MUST be
	 * there. */
	if (row->override_count > 0 || row->disposition == disposition_of(dmarc->requested_policy))
		return;
	if (dmarc->result == DMARC_TEMPERROR)
		add_override(row, OVERRIDE_OTHER, SLICE("DMARC could not be decided: DNS"));
	else
		add_override(row, OVERRIDE_OTHER,
		    dmarc->sampled_out ? SLICE("left out by pct") : SLICE("not applied"));
}

/* ---- auth_results ---- */

enum priority { PASS_STRICT, PASS_RELAXED, PASS_OTHER, NO_PASS, PRIORITY_COUNT };

/*
 * RFC 9990 3.1.3. Alignment is looked at by names: which record says adkim=s and which signature
 * was not needed for the result makes no difference here.
 */
static enum priority
priority_of(const struct dmarc_verdict *dmarc, const struct dkim_signature_verdict *s)
{
	if (s->result != DKIM_PASS)
		return NO_PASS;
	if (slice_equal_nocase(s->domain, dmarc->author_domain))
		return PASS_STRICT;
	return domain_covers(dmarc->organizational_domain, s->domain) ? PASS_RELAXED : PASS_OTHER;
}

static void
fill_signature(
    struct arena *a, const struct dkim_signature_verdict *s, struct report_signature *out)
{
	out->domain = clean_name(a, s->domain);
	out->selector = clean_name(a, s->selector);
	out->result = s->result;
	if (s->reason != DKIM_R_NONE)
		out->human_result = slice_str(dkim_reason_text(s->reason));
}

/* Those that can't be read have neither of the names that a report must give. */
static void
fill_signatures(struct arena *a, const struct verdict *v, struct report_row *row)
{
	const struct dkim_verdict *dkim = &v->dkim;
	const size_t room = dkim->count < REPORT_SIGNATURES_MAX ? dkim->count
								: REPORT_SIGNATURES_MAX;

	row->signatures = arena_array(a, room, sizeof(*row->signatures));
	for (unsigned p = PASS_STRICT; p < PRIORITY_COUNT; p++)
		for (size_t i = 0; i < dkim->count; i++) {
			const struct dkim_signature_verdict *s = &dkim->signatures[i];

			if (row->signature_count < room && priority_of(&v->dmarc, s) == p &&
			    s->domain.len > 0 && s->selector.len > 0)
				fill_signature(a, s, &row->signatures[row->signature_count++]);
		}
}

/*
 * RFC 9990 3.1.1.13: MAIL FROM's result, which for a null reverse-path is that of postmaster at the
 * HELO name (RFC 9989 3.2.4). The HELO result is a different thing and never reported.
 */
static void
fill_spf(struct arena *a, const struct spf_verdict *spf, struct report_row *row)
{
	struct strbuf reason;

	if (spf->domain.len == 0)
		return;
	row->has_spf = true;
	row->spf_domain = clean_name(a, spf->domain);
	row->spf_result = spf->result;
	strbuf_init(&reason, a, REPORT_TEXT_BYTES);
	strbuf_str(&reason, spf_reason_text(spf->reason));
	if (spf->mechanism.len > 0) {
		strbuf_str(&reason, ": ");
		strbuf_add(&reason, slice_sub(spf->mechanism, 0, 100));
	}
	row->spf_human_result = clean_text(a, strbuf_slice(&reason));
}

/* ---- the row ---- */

static const char *
why_none(const struct report_message *m)
{
	const struct verdict *v = m->verdict;

	if (!v->has_message || v->dmarc.record == NULL || v->dmarc.author_domain.len == 0)
		return "no policy record";
	if (v->dmarc.result != DMARC_PASS && v->dmarc.result != DMARC_FAIL &&
	    v->dmarc.result != DMARC_TEMPERROR)
		return "no DMARC result";
	if (!wants_reports(v->dmarc.record))
		return "no address for reports";
	/* It comes again, and would count twice. */
	return m->disposition->action == ACTION_TEMPFAIL ? "not taken yet" : NULL;
}

const char *
report_row_make(struct arena *a, const struct report_message *m, struct report_policy *policy,
    struct report_row *row)
{
	const struct verdict *v = m->verdict;
	const char *why = why_none(m);

	if (why != NULL)
		return why;
	fill_policy(a, &v->dmarc, policy);
	*row = (struct report_row){
		.source = v->connection.client,
		.header_from = clean_name(a, v->dmarc.author_domain),
		.envelope_from = domain_of_path(a, v->reverse_path),
		.envelope_to = domain_of_path(a, m->recipient),
		.count = 1,
		.answers = report_exempt(a, v, m->header) != NULL,
	};
	fill_evaluated(a, v, m->disposition, row);
	fill_signatures(a, v, row);
	fill_spf(a, &v->spf, row);
	return NULL;
}

void
report_row_fold(struct report_row *row, struct slice policy_domain, bool with_source)
{
	struct report_row folded = {
		.disposition = row->disposition,
		.dkim_aligned = row->dkim_aligned,
		.spf_aligned = row->spf_aligned,
		.override_count = row->override_count,
		.header_from = policy_domain,
		.count = row->count,
		.answers = row->answers,
		.folded = true,
	};

	if (with_source)
		folded.source = row->source;
	/* RFC 9990 3.1.1.9: where the disposition is not the policy's, a reason MUST be there. */
	for (size_t i = 0; i < row->override_count; i++)
		folded.overrides[i].kind = row->overrides[i].kind;
	*row = folded;
}
