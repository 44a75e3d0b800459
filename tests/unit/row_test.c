/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which messages make a row of an aggregate report, and what stands in it: messages through the
 * whole engine over a zone, the row as one line of text. And the priority of signatures.
 */
#include <string.h>

#include "policy/base/strbuf.h"
#include "report/exempt.h"
#include "report/limits.h"
#include "report/row.h"
#include "tests/support/engine.h"

#define RUA "rua=mailto:d@rua.example"

static const char zone_text[] =
    "good.example TXT 300 \"v=spf1 ip4:192.0.2.1 -all\"\n"
    "_dmarc.good.example TXT 300 \"v=DMARC1; p=reject; sp=none; fo=1:d; "
    "ruf=mailto:f@rua.example; " RUA "\"\n"
    "sub.good.example TXT 300 \"v=spf1 ip4:192.0.2.1 -all\"\n"
    "none.example TXT 300 \"v=spf1 ip4:192.0.2.1 -all\"\n"
    "_dmarc.none.example TXT 300 \"v=DMARC1; p=none; " RUA "\"\n"
    "_dmarc.test.example TXT 300 \"v=DMARC1; p=reject; t=y; " RUA "\"\n"
    "_dmarc.quiet.example TXT 300 \"v=DMARC1; p=reject\"\n"
    "_dmarc.http.example TXT 300 \"v=DMARC1; p=reject; rua=https://x.example/\"\n"
    "_dmarc.faulty.example TXT 300 \"v=DMARC1; p=reject; sp=bad; np=\\\"\\007; "
    "rua=mailto:a@b.example!10m,nonsense,mailto:c@d.example; aspf=s\"\n"
    "_dmarc.twice.good.example TXT 300 \"v=DMARC1; p=none\"\n"
    "_dmarc.twice.good.example TXT 300 \"v=DMARC1; p=reject\"\n"
    "_dmarc.nop.example TXT 300 \"v=DMARC1; " RUA "\"\n"
    "_dmarc.xn--bcher-kva.example TXT 300 \"v=DMARC1; p=quarantine; " RUA "\"\n"
    "slow.example TXT 300 !TIMEOUT\n"
    "_dmarc.slow.example TXT 300 \"v=DMARC1; p=reject; " RUA "\"\n"
    "evil.example TXT 300 \"v=spf1 ip4:198.51.100.5 -all\"\n";

static int
open_engine(void **state)
{
	static struct engine e;

	engine_open(&e, zone_text);
	*state = &e;
	return 0;
}

static int
close_engine(void **state)
{
	engine_close(*state);
	return 0;
}

/* disposition dkim spf | source from mfrom to | spf | signatures | reasons */
static const char *
row_text(struct arena *a, const struct report_row *r)
{
	char ip[IP_TEXT_BYTES];
	struct strbuf b;

	strbuf_init(&b, a, 65536);
	strbuf_printf(&b, "%s dkim=%s spf=%s | %s from=%.*s mfrom=%.*s to=%.*s |",
	    report_disposition_word(r->disposition), r->dkim_aligned ? "pass" : "fail",
	    r->spf_aligned ? "pass" : "fail", ip_print(&r->source, ip), SLICE_ARG(r->header_from),
	    SLICE_ARG(r->envelope_from), SLICE_ARG(r->envelope_to));
	if (r->has_spf)
		strbuf_printf(&b, " %.*s=%s (%.*s)", SLICE_ARG(r->spf_domain),
		    spf_result_word(r->spf_result), SLICE_ARG(r->spf_human_result));
	strbuf_str(&b, " |");
	for (size_t i = 0; i < r->signature_count; i++)
		strbuf_printf(&b, " %.*s/%.*s=%s", SLICE_ARG(r->signatures[i].domain),
		    SLICE_ARG(r->signatures[i].selector),
		    dkim_result_word(r->signatures[i].result));
	strbuf_str(&b, " |");
	for (size_t i = 0; i < r->override_count; i++)
		strbuf_printf(&b, " %s(%.*s)", override_word(r->overrides[i].kind),
		    SLICE_ARG(r->overrides[i].comment));
	return strbuf_slice(&b).p;
}

static const struct decide_rules rules_spf_reject = {
	.on_policy_reject = ACTION_REJECT,
	.on_spf_fail = ACTION_REJECT,
};
static const struct decide_rules rules_lenient = {
	.on_policy_reject = ACTION_QUARANTINE,
	.on_temperror = ACTION_ACCEPT,
};

#define EVIL "198.51.100.5", "evil.example", "<x@evil.example>"
#define EVIL_SPF                                                                                   \
	"mfrom=evil.example to= | evil.example=pass (mechanism matched: ip4:198.51.100.5) | |"

static const struct row {
	const char *name;
	struct engine_mail mail;
	const struct decide_rules *rules; /* NULL: the defaults */
	const char *why;		  /* why there is none; NULL: there is */
	const char *text;
} rows[] = {
	{ "an aligned pass under an enforcing policy is pass",
	    { "192.0.2.1", "mta.good.example", "<a@good.example>",
		.fields = { "From: a@good.example" }, .sign = true },
	    NULL, NULL,
	    "pass dkim=pass spf=pass | 192.0.2.1 from=good.example mfrom=good.example to= | "
	    "good.example=pass (mechanism matched: ip4:192.0.2.1) | good.example/sel=pass |" },
	{ "an aligned pass under p=none is none",
	    { "192.0.2.1", "mta.none.example", "<a@none.example>",
		.fields = { "From: a@none.example" } },
	    NULL, NULL,
	    "none dkim=fail spf=pass | 192.0.2.1 from=none.example mfrom=none.example to= | "
	    "none.example=pass (mechanism matched: ip4:192.0.2.1) | |" },
	{ "a failure is rejected", { EVIL, .fields = { "From: a@good.example" } }, NULL, NULL,
	    "reject dkim=fail spf=fail | 198.51.100.5 from=good.example " EVIL_SPF },
	{ "of a subdomain, by sp=", { EVIL, .fields = { "From: a@sub.good.example" } }, NULL, NULL,
	    "none dkim=fail spf=fail | 198.51.100.5 from=sub.good.example " EVIL_SPF },
	{ "the recipient's domain, where it is kept",
	    { EVIL, .fields = { "From: a@good.example" }, .recipient = "<U@RCPT.example>" }, NULL,
	    NULL,
	    "reject dkim=fail spf=fail | 198.51.100.5 from=good.example mfrom=evil.example "
	    "to=rcpt.example | evil.example=pass (mechanism matched: ip4:198.51.100.5) | |" },
	{ "t=y is an override", { EVIL, .fields = { "From: a@test.example" } }, NULL, NULL,
	    "quarantine dkim=fail spf=fail | 198.51.100.5 from=test.example " EVIL_SPF
	    " policy_test_mode(t=y)" },
	{ "a local choice is an override", { EVIL, .fields = { "From: a@good.example" } },
	    &rules_lenient, NULL,
	    "quarantine dkim=fail spf=fail | 198.51.100.5 from=good.example " EVIL_SPF
	    " local_policy(on_policy_reject is quarantine)" },
	{ "another reason to reject is said",
	    { "198.51.100.5", "evil.example", "<a@none.example>",
		.fields = { "From: a@none.example" } },
	    &rules_spf_reject, NULL,
	    "reject dkim=fail spf=fail | 198.51.100.5 from=none.example mfrom=none.example to= | "
	    "none.example=fail (mechanism matched: -all) | | local_policy(on_spf_fail)" },
	{ "null reverse-path: postmaster@HELO, which aligns (RFC 9989 3.2.4)",
	    { "192.0.2.1", "good.example", "<>", .fields = { "From: a@good.example" } }, NULL, NULL,
	    "pass dkim=fail spf=pass | 192.0.2.1 from=good.example mfrom= to= | "
	    "good.example=pass (mechanism matched: ip4:192.0.2.1) | |" },
	{ "null reverse-path, HELO no domain",
	    { "192.0.2.1", "[192.0.2.1]", "<>", .fields = { "From: a@good.example" } }, NULL, NULL,
	    "reject dkim=fail spf=fail | 192.0.2.1 from=good.example mfrom= to= | "
	    "[192.0.2.1]=none (not a domain that can have a policy) | |" },
	{ "U-labels become A-labels",
	    { "198.51.100.5", "evil.example", "<x@b\xc3\xbc\x63her.example>",
		.fields = { "From: a@b\xc3\xbc\x63her.example" } },
	    NULL, NULL,
	    "quarantine dkim=fail spf=fail | 198.51.100.5 from=xn--bcher-kva.example "
	    "mfrom=xn--bcher-kva.example to= | xn--bcher-kva.example=none (no SPF record) | |" },
	{ "what is no domain is shown printable",
	    { "198.51.100.5", "evil.example", "<x@E\xff\x01>",
		.fields = { "From: a@good.example" } },
	    NULL, NULL,
	    "reject dkim=fail spf=fail | 198.51.100.5 from=good.example mfrom=e\\xff\\x01 to= | "
	    "e\\xff\\x01=none (not a domain that can have a policy) | |" },
	{ "an undecided message that is taken all the same",
	    { "198.51.100.5", "evil.example", "<a@slow.example>",
		.fields = { "From: a@slow.example" } },
	    &rules_lenient, NULL,
	    "none dkim=fail spf=fail | 198.51.100.5 from=slow.example mfrom=slow.example to= | "
	    "slow.example=temperror (DNS lookup failed) | | "
	    "other(DMARC could not be decided: DNS)" },
	{ "a tempfail comes again",
	    { "198.51.100.5", "evil.example", "<a@slow.example>",
		.fields = { "From: a@slow.example" } },
	    NULL, "not taken yet", NULL },
	{ "no record", { EVIL, .fields = { "From: a@nothing.example" } }, NULL, "no policy record",
	    NULL },
	{ "two authors", { EVIL, .fields = { "From: a@good.example, b@none.example" } }, NULL,
	    "no policy record", NULL },
	{ "no rua", { EVIL, .fields = { "From: a@quiet.example" } }, NULL, "no address for reports",
	    NULL },
	{ "only a web address", { EVIL, .fields = { "From: a@http.example" } }, NULL,
	    "no address for reports", NULL },
};

/* PITFALLS, Reports, 21 and 22: counted like any other mail, and marked. */
static const struct {
	const char *name;
	struct engine_mail mail;
	bool answer;
} answer_rows[] = {
	{ "another's aggregate report",
	    { EVIL,
		.fields = { "From: a@good.example",
		    "Subject: Report Domain: rcpt.example\r\n Submitter: good.example\r\n "
		    "Report-ID: <1@good.example>" } },
	    true },
	{ "in any case and folding, and with words before it",
	    { EVIL,
		.fields = { "From: a@good.example",
		    "subject:\t[Preview] report\r\n\tdomain:  rcpt.example SUBMITTER: "
		    "x.example" } },
	    true },
	{ "a report on TLS by its fields (RFC 8460 5.3)",
	    { EVIL, .fields = { "From: a@good.example", "TLS-Report-Domain: rcpt.example" } },
	    true },
	{ "feedback, receipts, TLS reports by their type",
	    { EVIL,
		.fields = { "From: a@good.example",
		    "Content-Type: (x) Multipart/\r\n Report; report-type=feedback-report" } },
	    true },
	{ "a delivery status without a body",
	    { "192.0.2.1", "good.example", "<>",
		.fields = { "From: a@good.example", "Content-Type: message/delivery-status" } },
	    true },
	{ "automatic, with a null reverse-path",
	    { "192.0.2.1", "good.example", "<>",
		.fields = { "From: a@good.example", "Auto-Submitted: auto-generated" } },
	    true },
	{ "an old mailer's bounce",
	    { "192.0.2.1", "good.example", "<>", .fields = { "From: MAILER-DAEMON@good.example" } },
	    true },
	{ "an automatic reply, whoever sent it",
	    { EVIL, .fields = { "From: a@good.example", "Auto-Submitted: auto-replied" } }, true },
	{ "an automatic message with a sender is mail",
	    { EVIL, .fields = { "From: a@good.example", "Auto-Submitted: auto-generated" } },
	    false },
	{ "a subject that only begins so is mail",
	    { EVIL, .fields = { "From: a@good.example", "Subject: Report Domain: is yours" } },
	    false },
	{ "mail", { EVIL, .fields = { "From: a@good.example", "Auto-Submitted: no" } }, false },
};

static void
marks_answers(void **state)
{
	for (size_t i = 0; i < sizeof(answer_rows) / sizeof(answer_rows[0]); i++) {
		struct arena *a = arena_new(SIZE_MAX);
		struct evaluation *ev = engine_feed(*state, a, &answer_rows[i].mail, NULL);
		const struct verdict *v = evaluation_finish(ev);
		const struct header_list *header = evaluation_header_list(ev);
		struct report_policy policy;
		struct report_row made;
		struct disposition d;

		decide(a, &decide_defaults, v, SLICE("Q"), &d);
		assert_null(report_row_make(
		    a, &(struct report_message){ v, &d, header, { 0 } }, &policy, &made));
		if (made.count != 1 || made.answers != answer_rows[i].answer ||
		    (report_exempt(a, v, header) != NULL) != answer_rows[i].answer)
			fail_msg("%s: %llu", answer_rows[i].name, (unsigned long long)made.answers);
		evaluation_end(&ev);
		arena_free(&a);
	}
}

static void
check_row(const struct engine *e, const struct row *row)
{
	struct arena *a = arena_new(SIZE_MAX);
	struct evaluation *ev = engine_feed(e, a, &row->mail, NULL);
	const struct verdict *v = evaluation_finish(ev);
	struct disposition d;
	struct report_policy policy;
	struct report_row made;
	const char *why;

	decide(a, row->rules == NULL ? &decide_defaults : row->rules, v, SLICE("Q"), &d);
	why = report_row_make(a,
	    &(struct report_message){
		v, &d, evaluation_header_list(ev), slice_str(row->mail.recipient) },
	    &policy, &made);
	if ((why == NULL) != (row->why == NULL) || (why != NULL && strcmp(why, row->why) != 0))
		fail_msg("%s\n  got  no row: %s\n  want no row: %s", row->name,
		    why == NULL ? "(there is)" : why, row->why == NULL ? "(there is)" : row->why);
	if (why == NULL && strcmp(row_text(a, &made), row->text) != 0)
		fail_msg("%s\n  got  %s\n  want %s", row->name, row_text(a, &made), row->text);
	evaluation_end(&ev);
	arena_free(&a);
}

static void
makes_rows(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(*state, &rows[i]);
}

/* What the policy record says, its faults included. */
static void
tells_the_policy(void **state)
{
	const struct engine_mail mails[] = { { EVIL, .fields = { "From: a@good.example" } },
		{ EVIL, .fields = { "From: a@faulty.example" } },
		{ EVIL, .fields = { "From: a@twice.good.example" } },
		{ EVIL, .fields = { "From: a@nop.example" } } };
	struct report_policy p[4];
	struct arena *a = arena_new(SIZE_MAX);
	struct report_row row, last;

	for (size_t i = 0; i < 4; i++) {
		struct evaluation *ev = engine_feed(*state, a, &mails[i], NULL);
		const struct verdict *v = evaluation_finish(ev);
		struct disposition d;

		decide(a, &decide_defaults, v, SLICE("Q"), &d);
		assert_null(report_row_make(a,
		    &(struct report_message){ v, &d, evaluation_header_list(ev), { 0 } }, &p[i],
		    i == 1 ? &row : &last));
		evaluation_end(&ev);
	}
	assert_slice(p[0].domain, "good.example");
	assert_int_equal(p[0].p, DMARC_P_REJECT);
	assert_int_equal(p[0].sp, DMARC_P_NONE);
	assert_int_equal(p[0].np, DMARC_P_UNSET);
	assert_slice(p[0].fo, "1:d");
	assert_slice(p[0].rua, "mailto:d@rua.example");
	assert_slice(p[0].errors, "");
	assert_false(p[0].strict_spf);
	assert_true(p[1].strict_spf);
	/* RFC 9989 4.10.1: with that sp it counts as p=none, and so nothing was rejected. */
	assert_int_equal(p[1].p, DMARC_P_NONE);
	assert_int_equal(p[1].sp, DMARC_P_UNSET);
	assert_int_equal(p[1].np, DMARC_P_UNSET);
	assert_int_equal(row.disposition, REPORT_D_NONE);
	assert_int_equal(row.override_count, 0);
	assert_slice(p[1].rua, "mailto:a@b.example mailto:c@d.example");
	assert_slice(p[1].errors,
	    "sp=\"bad\": is not none, quarantine or reject\n"
	    "np=\"\"\\x07\": is not valid\nrua=\"nonsense\": has no scheme\n"
	    "the record counts as p=none");
	/* On the way from the author domain to the record that applies. */
	assert_slice(p[2].domain, "good.example");
	assert_slice(p[2].errors, "_dmarc.twice.good.example: 2 DMARC records, none counts");
	assert_slice(p[3].errors, "p: is missing; the record counts as p=none");
	arena_free(&a);
}

/* RFC 9990 3.1.3: in decreasing priority, at most 100. */
static void
orders_signatures(void **state)
{
	static struct dkim_signature_verdict s[LIMIT_DKIM_FIELDS + 20];
	struct slice rua = SLICE("mailto:d@rua.example");
	const struct dmarc_record record = { .p = DMARC_P_REJECT, .rua = &rua, .rua_count = 1 };
	struct verdict v = { .has_message = true, .dkim = { .signatures = s } };
	const struct disposition d = { .policy_applied = DMARC_P_REJECT };
	const struct header_list header = { 0 };
	struct arena *a = arena_new(SIZE_MAX);
	struct report_policy policy;
	struct report_row row;

	(void)state;
	for (size_t i = 0; i < sizeof(s) / sizeof(s[0]); i++)
		s[i] = (struct dkim_signature_verdict){ .result = DKIM_FAIL,
			.reason = DKIM_R_BODY_HASH,
			.domain = SLICE("x.example"),
			.selector = SLICE("s") };
	v.dkim.count = sizeof(s) / sizeof(s[0]);
	s[1].selector = SLICE(""); /* could not be read */
	s[50].result = s[80].result = s[110].result = s[119].result = DKIM_PASS;
	s[50].reason = s[80].reason = s[110].reason = s[119].reason = DKIM_R_NONE;
	s[80].domain = SLICE("mail.a.example");
	s[110].domain = SLICE("a.example");
	s[119].domain = SLICE("sub.author.a.example");
	v.dmarc = (struct dmarc_verdict){ .result = DMARC_FAIL,
		.record = &record,
		.author_domain = SLICE("a.example"),
		.organizational_domain = SLICE("a.example"),
		.policy_domain = SLICE("a.example"),
		.requested_policy = DMARC_P_REJECT };
	assert_null(
	    report_row_make(a, &(struct report_message){ &v, &d, &header, { 0 } }, &policy, &row));
	assert_int_equal(row.signature_count, REPORT_SIGNATURES_MAX);
	assert_slice(row.signatures[0].domain, "a.example");
	assert_slice(row.signatures[1].domain, "mail.a.example");
	assert_slice(row.signatures[2].domain, "sub.author.a.example");
	assert_slice(row.signatures[3].domain, "x.example");
	assert_int_equal(row.signatures[3].result, DKIM_PASS);
	assert_slice(row.signatures[3].human_result, "");
	assert_int_equal(row.signatures[4].result, DKIM_FAIL);
	assert_slice(row.signatures[4].human_result, "body hash did not verify");
	for (size_t i = 0; i < row.signature_count; i++)
		assert_true(row.signatures[i].selector.len > 0);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_rows),
		cmocka_unit_test(marks_answers),
		cmocka_unit_test(tells_the_policy),
		cmocka_unit_test(orders_signatures),
	};

	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
