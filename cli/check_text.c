/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>

#include "cli/check.h"
#include "policy/explain.h"

#define SHOWN 400

static const char *
shown(struct arena *a, struct slice s)
{
	return s.len == 0 ? "-" : arena_printable(a, s, SHOWN);
}

static const char *
plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void
print_decision(const struct check_outcome *o)
{
	const struct disposition *d = o->disposition;

	(void)printf("%s: %s\n", action_word(d->action), d->explanation);
	if (d->reply != NULL)
		(void)printf("  reply     %s\n", d->reply);
	for (size_t i = 0; i < d->override_count; i++)
		(void)printf("  override  %s: %s\n", override_word(d->overrides[i].kind),
		    d->overrides[i].comment);
	if (o->note != NULL)
		(void)printf("  note      %s\n", o->note);
}

static void
print_spf(struct arena *a, const char *label, const struct spf_verdict *s)
{
	(void)printf("\n%-9s %s; %u lookup%s, %u void\n", label, explain_spf(a, s), s->lookups,
	    plural(s->lookups), s->void_lookups);
	if (s->record.len > 0)
		(void)printf(
		    "  record    %s: %s\n", shown(a, s->record_domain), shown(a, s->record));
	if (s->mechanism.len > 0)
		(void)printf("  term      %s\n", shown(a, s->mechanism));
	if (s->explanation.len > 0)
		(void)printf("  explains  %s\n", shown(a, s->explanation));
}

static void
print_dkim(struct arena *a, const struct dkim_verdict *dkim)
{
	if (dkim->count == 0)
		(void)printf("\ndkim      no signature\n");
	for (size_t i = 0; i < dkim->count; i++) {
		const struct dkim_signature_verdict *s = &dkim->signatures[i];

		(void)printf("\ndkim      %s\n", explain_signature(a, s));
		(void)printf("  tags      a=%s c=%s i=%s, key of %u bits%s\n",
		    shown(a, s->algorithm), shown(a, s->canonicalization), shown(a, s->identity),
		    s->key_bits, s->key_testing ? ", in test mode (t=y)" : "");
		if (s->body_length_limited)
			(void)printf("  body      l=%ju of %ju bytes signed\n",
			    (uintmax_t)s->body_length, (uintmax_t)s->body_bytes);
	}
	if (dkim->ignored > 0)
		(void)printf("\ndkim      %zu more signature%s not read\n", dkim->ignored,
		    dkim->ignored == 1 ? " was" : "s were");
}

/* RFC 8617 2.1: who says so, and what he found when the message came to him. */
static void
print_arc(struct arena *a, const struct arc_verdict *arc)
{
	if (arc->result == ARC_NONE)
		return;
	(void)printf("\narc       %s, %u set%s%s%s\n", arc_result_word(arc->result), arc->instances,
	    plural(arc->instances), arc->reason.len > 0 ? ": " : "",
	    arc->reason.len > 0 ? shown(a, arc->reason) : "");
	if (arc->result == ARC_PASS && !arc->covers_author)
		(void)printf(
		    "  note      its newest signature leaves From or a part of the body out\n");
	for (uint32_t i = arc->instances; arc->seals != NULL && i > 0; i--) {
		const struct arc_seal *s = &arc->seals[i - 1];

		(void)printf("  sealed by %s (selector %s), who found %s\n", shown(a, s->domain),
		    shown(a, s->selector), shown(a, header_unfold(a, s->results)));
	}
}

static void
print_walk(struct arena *a, const struct dmarc_verdict *d)
{
	for (size_t i = 0; i < d->walk_count; i++) {
		const struct dmarc_walk_step *step = &d->walk[i];

		(void)printf("  asked     %s TXT: %s\n", shown(a, step->name),
		    step->records > 1			 ? "several DMARC records, none counts"
			: step->records == 1		 ? "a DMARC record"
			: step->answer->status == DNS_OK ? "no DMARC record"
							 : dns_status_word(step->answer->status));
	}
}

static void
print_dmarc(struct arena *a, const struct verdict *v)
{
	const struct dmarc_verdict *d = &v->dmarc;

	/* What SPF and DKIM said stands above: only what DMARC adds to it. */
	(void)printf("\ndmarc     %s", dmarc_result_word(d->result));
	if (d->reason != DMARC_R_NONE)
		(void)printf(": %s", dmarc_reason_text(d->reason));
	if (d->detail.len > 0)
		(void)printf(" (%s)", arena_cut(a, d->detail, SHOWN));
	(void)printf("\n");
	if (d->author_domain.len > 0)
		(void)printf("  author    %s, organizational domain %s (%s)\n",
		    shown(a, d->author_domain), shown(a, d->organizational_domain),
		    dmarc_discovery_word(d->discovery));
	if (d->policy_tag[0] != '\0')
		(void)printf("  policy    %s=%s of %s%s\n", d->policy_tag,
		    dmarc_policy_word(d->requested_policy), shown(a, d->policy_domain),
		    d->policy_test_mode ? ", lowered by test mode (t=y)" : "");
	print_walk(a, d);
	if (d->record != NULL)
		(void)printf(
		    "  record    %s: %s\n", shown(a, d->policy_domain), shown(a, d->record->text));
	for (size_t i = 0; d->record != NULL && i < d->record->fault_count; i++)
		(void)printf("  ignored   %s=%s: %s\n", shown(a, d->record->faults[i].tag),
		    shown(a, d->record->faults[i].value), d->record->faults[i].why);
	for (size_t i = 0; i < d->alignment_count; i++) {
		const struct dmarc_alignment *al = &d->alignments[i];

		(void)printf("  compared  %s %s (%s, %s): %s\n", dmarc_method_name(al->method),
		    shown(a, al->domain), al->result, al->strict ? "strict" : "relaxed",
		    !al->compared     ? "not looked at"
			: al->aligned ? "aligned"
				      : "not aligned");
	}
}

static void
print_lookups(struct arena *a, const struct verdict *v)
{
	(void)printf("\nDNS       %zu question%s\n", v->lookup_count, plural(v->lookup_count));
	for (size_t i = 0; i < v->lookup_count; i++) {
		const struct lookup *l = &v->lookups[i];

		if (l->answer == NULL)
			continue;
		(void)printf("  %-5s %s: %s%s%s, %zu record%s, ttl %u, %s\n",
		    dns_type_word(l->type), shown(a, l->name), dns_status_word(l->answer->status),
		    l->answer->reason != DNS_R_NONE ? ", " : "", dns_reason_text(l->answer->reason),
		    l->answer->count, plural(l->answer->count), l->answer->ttl_s,
		    dns_security_word(l->answer->security));
	}
}

/* The field is folded by CRLF; a terminal wants LF. */
static void
print_field(struct slice body)
{
	struct slice line;

	(void)printf("\nAuthentication-Results: ");
	while (slice_next(&body, '\n', &line)) {
		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		(void)printf("%.*s\n", SLICE_ARG(line));
	}
}

int
check_print_text(struct arena *a, const struct check_outcome *o)
{
	const struct verdict *v = o->verdict;

	print_decision(o);
	print_spf(a, "spf", &v->spf);
	if (v->helo_checked && v->spf_helo.domain.len > 0)
		print_spf(a, "spf helo", &v->spf_helo);
	if (v->has_message && v->limit_met == NULL) {
		print_dkim(a, &v->dkim);
		print_arc(a, &v->arc);
		print_dmarc(a, v);
	}
	if (v->iprev_checked)
		(void)printf("\niprev     %s, %s\n", iprev_result_word(v->iprev.result),
		    v->iprev.name.len > 0 ? shown(a, v->iprev.name) : "no name");
	print_lookups(a, v);
	print_field(o->authentication_results);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -1;
}
