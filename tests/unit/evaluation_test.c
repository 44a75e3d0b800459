/* SPDX-License-Identifier: BSD-2-Clause */
/* The whole engine in one process: envelope and message in, verdict, decision and field out. */
#include <string.h>

#include "policy/stamp.h"
#include "policy/syntax/message.h"
#include "tests/support/engine.h"

static const char zone_text[] = "good.example TXT 300 \"v=spf1 ip4:192.0.2.1 -all\"\n"
				"_dmarc.good.example TXT 300 \"v=DMARC1; p=reject\"\n"
				"lenient.example TXT 300 \"v=spf1 ip4:192.0.2.1 -all\"\n"
				"mta.good.example TXT 300 \"v=spf1 a -all\"\n"
				"mta.good.example A 300 192.0.2.1\n"
				"1.2.0.192.in-addr.arpa PTR 300 mta.good.example\n"
				"evil.example TXT 300 \"v=spf1 ip4:198.51.100.5 -all\"\n"
				"list.example TXT 300 \"v=spf1 ip4:198.51.100.5 -all\"\n"
				"slow.example TXT 300 !TIMEOUT\n"
				"_dmarc.slow.example TXT 300 \"v=DMARC1; p=reject\"\n";

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

static const struct row {
	const char *name;
	struct engine_mail mail;
	enum action action;
	const char *reply; /* whole, or NULL */
	const char *field; /* whole A-R body; @B is the signature's header.b */
} rows[] = {
	{ "genuine: SPF and DKIM pass, aligned",
	    { "192.0.2.1", "mta.good.example", "<a@good.example>",
		{ "From: Ann <a@good.example>", "Subject: x" }, "Hello\r\n", .sign = true },
	    ACTION_ACCEPT, NULL,
	    "mx.rcpt.example;\r\n"
	    "\tdmarc=pass (p=reject dis=none) header.from=good.example\r\n"
	    "\tpolicy.dmarc=reject;\r\n"
	    "\tspf=pass smtp.mailfrom=good.example;\r\n"
	    "\tspf=pass smtp.helo=mta.good.example;\r\n"
	    "\tdkim=pass (256-bit key) header.d=good.example header.s=sel\r\n"
	    "\theader.a=ed25519-sha256 header.b=@B;\r\n"
	    "\tiprev=pass (mta.good.example) policy.iprev=192.0.2.1" },
	{ "the classic forgery",
	    { "198.51.100.5", "evil.example", "<x@evil.example>",
		{ "From: ceo@good.example", "Subject: x" }, "Pay\r\n", .sign = false },
	    ACTION_REJECT,
	    "550 5.7.26 mail from good.example is not authenticated: SPF of evil.example is pass "
	    "(ip4:198.51.100.5 of evil.example) but not aligned; no DKIM signature; DMARC policy "
	    "p=reject "
	    "of good.example (queue id Q1)",
	    NULL },
	{ "a genuine message that a list sent on unchanged",
	    { "198.51.100.5", "list.example", "<l@list.example>",
		{ "From: a@good.example", "Subject: x" }, "Hello\r\n", .sign = true },
	    ACTION_ACCEPT, NULL, NULL },
	{ "a forgery by way of a list that authenticates",
	    { "198.51.100.5", "list.example", "<l@list.example>",
		{ "From: a@good.example", "Subject: x", "List-Id: L <all.list.example>" },
		"Hello\r\n", .sign = false },
	    ACTION_QUARANTINE, NULL, NULL },
	{ "null reverse-path: postmaster at the HELO name (RFC 7208 2.4, RFC 9989 3.2.4)",
	    { "192.0.2.1", "mta.good.example", "<>",
		{ "From: mailer-daemon@good.example", "Subject: x" }, "Hello\r\n", .sign = false },
	    ACTION_ACCEPT, NULL,
	    "mx.rcpt.example;\r\n"
	    "\tdmarc=pass (p=reject dis=none) header.from=good.example\r\n"
	    "\tpolicy.dmarc=reject;\r\n"
	    "\tspf=pass smtp.mailfrom=mta.good.example;\r\n"
	    "\tspf=pass smtp.helo=mta.good.example;\r\n"
	    "\tdkim=none;\r\n"
	    "\tiprev=pass (mta.good.example) policy.iprev=192.0.2.1" },
	{ "a failure that could have hidden a pass",
	    { "192.0.2.1", "mta.good.example", "<a@slow.example>",
		{ "From: a@slow.example", "Subject: x" }, "Hello\r\n", .sign = false },
	    ACTION_TEMPFAIL, NULL, NULL },
	{ "a failure of a stranger's domain hides nothing (PITFALLS 34)",
	    { "192.0.2.1", "mta.good.example", "<a@slow.example>",
		{ "From: a@good.example", "Subject: x" }, "Hello\r\n", .sign = false },
	    ACTION_REJECT, NULL, NULL },
	{ "two author domains",
	    { "192.0.2.1", "mta.good.example", "<a@good.example>",
		{ "From: a@good.example, b@evil.example", "Subject: x" }, "Hello\r\n",
		.sign = false },
	    ACTION_REJECT, NULL, NULL },
	{ "two From fields, the lower one signed",
	    { "198.51.100.5", "evil.example", "<x@evil.example>",
		{ "From: b@evil.example", "From: a@good.example", "Subject: x" }, "Hello\r\n",
		.sign = true },
	    ACTION_REJECT, "550 5.7.1 the message has 2 From fields (queue id Q1)", NULL },
	{ "a tag whose name has a NUL and a backslash: shown escaped, once",
	    { "198.51.100.5", "evil.example", "<x@evil.example>",
		{ "From: ceo@good.example",
		    "DKIM-Signature: v=1; a=rsa-sha256; q\x01\\=1; d=evil.example; s=x" },
		"Pay\r\n", .sign = false },
	    ACTION_REJECT, NULL,
	    "mx.rcpt.example;\r\n"
	    "\tdmarc=fail reason=\"no aligned identifier passed\" (p=reject dis=reject)\r\n"
	    "\theader.from=good.example policy.dmarc=reject;\r\n"
	    "\tspf=pass smtp.mailfrom=evil.example;\r\n"
	    "\tspf=pass smtp.helo=evil.example;\r\n"
	    "\tdkim=permerror\r\n"
	    "\treason=\"signature can't be read: tag q\\\\x01\\\\x5c is not a tag name\"\r\n"
	    "\theader.d=evil.example header.s=x header.a=rsa-sha256;\r\n"
	    "\tiprev=permerror policy.iprev=198.51.100.5" },
	{ "U-labels are written as A-labels, other UTF-8 escaped: not every reader takes UTF-8",
	    { "198.51.100.5", "-\xc3\xbc-.example", "<x@evil.example>",
		{ "From: ceo@good.example",
		    "DKIM-Signature: v=1; a=rs\xc3\xa4; d=b\xc3\xbc"
		    "cher.example; s=s\xc3\xa9l; h=from; bh=eHg=; b=eHg=" },
		"Pay\r\n", .sign = false },
	    ACTION_REJECT, NULL,
	    "mx.rcpt.example;\r\n"
	    "\tdmarc=fail reason=\"no aligned identifier passed\" (p=reject dis=reject)\r\n"
	    "\theader.from=good.example policy.dmarc=reject;\r\n"
	    "\tspf=pass smtp.mailfrom=evil.example;\r\n"
	    "\tspf=none smtp.helo=\"-\\\\xc3\\\\xbc-.example\";\r\n"
	    "\tdkim=permerror reason=\"unknown algorithm\"\r\n"
	    "\theader.d=xn--bcher-kva.example header.s=xn--sl-bja\r\n"
	    "\theader.a=\"rs\\\\xc3\\\\xa4\" header.b=\"eHg=\";\r\n"
	    "\tiprev=permerror policy.iprev=198.51.100.5" },
	{ "no client address (mail from a local program)",
	    { NULL, "", "<a@good.example>", { "From: a@good.example", "Subject: x" }, "Hello\r\n",
		.sign = true },
	    ACTION_ACCEPT, NULL, NULL },
};

/* want with "@B" put for the signature's header.b. */
static const char *
fill_in(struct arena *a, const char *want, const struct verdict *v)
{
	const char *at = strstr(want, "@B");
	struct slice b = v->dkim.count > 0 ? v->dkim.signatures[0].header_b : SLICE("");
	bool quote = slice_find(b, '/') != SLICE_NONE || slice_find(b, '=') != SLICE_NONE;

	if (at == NULL)
		return want;
	return arena_printf(a, "%.*s%s%.*s%s%s", (int)(at - want), want, quote ? "\"" : "",
	    SLICE_ARG(b), quote ? "\"" : "", at + 2);
}

static void
check_row(struct engine *e, const struct row *row)
{
	struct arena *a = arena_new(LIMIT_MESSAGE_MEMORY);
	struct evaluation *ev = engine_feed(e, a, &row->mail, NULL);
	const struct verdict *v = evaluation_finish(ev);
	struct disposition d;
	struct slice field;

	decide(a, &decide_defaults, v, SLICE("Q1"), &d);
	field = stamp_write(a, SLICE("mx.rcpt.example"), v, &d);
	if (v->list.stands) {
		/* The override is named in the decision and in the field. */
		assert_int_equal(d.override_count, 1);
		assert_int_equal(d.overrides[0].kind, OVERRIDE_MAILING_LIST);
		assert_non_null(strstr(field.p, "override=mailing_list: list all.list.example"));
	}
	if (d.action != row->action)
		fail_msg("%s: %s: %s", row->name, action_word(d.action), d.explanation);
	if (row->reply != NULL)
		assert_string_equal(d.reply, row->reply);
	if (row->field != NULL)
		assert_string_equal(field.p, fill_in(a, row->field, v));
	evaluation_end(&ev);
	arena_free(&a);
}

static void
messages(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(*state, &rows[i]);
}

/* What broke a signature is looked for where DMARC fails, and nothing is remembered where it won't.
 */
static void
broken_on_the_way(void **state)
{
	static const struct {
		const char *client, *reverse_path;
		const char *text;
		enum action action;
	} cases[] = {
		{ "203.0.113.9", "<l@nowhere.example>", "valid without the last 8 bytes",
		    ACTION_QUARANTINE },
		{ "192.0.2.1", "<a@good.example>", "", ACTION_ACCEPT }, /* SPF will do */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct engine_mail mail = { .client = cases[i].client,
			.helo = "x.example",
			.reverse_path = cases[i].reverse_path,
			.fields = { "From: a@good.example", "Subject: x",
			    "List-Id: <all.list.example>" },
			.body = "Hello\r\n",
			.sign = true };
		struct arena *a = arena_new(LIMIT_MESSAGE_MEMORY);
		struct evaluation *ev = engine_feed(*state, a, &mail, "footer\r\n");
		const struct verdict *v = evaluation_finish(ev);
		struct disposition d;

		decide(a, &decide_defaults, v, SLICE("Q1"), &d);
		assert_int_equal(v->dkim.signatures[0].result, DKIM_FAIL);
		assert_slice(v->dkim.signatures[0].diagnosis.text, cases[i].text);
		assert_int_equal(d.action, cases[i].action);
		evaluation_end(&ev);
		arena_free(&a);
	}
}

static void
envelope_alone(void **state)
{
	struct engine *e = *state;
	struct arena *a = arena_new(LIMIT_MESSAGE_MEMORY);
	struct connection c = { .helo = SLICE("mta.good.example") };
	struct evaluation *ev;
	const struct verdict *v;
	struct disposition d;

	assert_int_equal(ip_parse(SLICE("203.0.113.9"), &c.client), 0);
	ev = evaluation_begin(e->evaluator, a, &c);
	evaluation_mail_from(ev, SLICE("a@good.example"), ENGINE_NOW_S);
	assert_int_equal(evaluation_so_far(ev)->spf.result, SPF_FAIL);
	v = evaluation_finish(ev);
	decide(a, &decide_defaults, v, SLICE(""), &d);
	assert_int_equal(d.action, ACTION_ACCEPT); /* RFC 9989 7.1: -all alone rejects nothing */
	assert_false(v->has_message);
	assert_slice(stamp_write(a, SLICE("mx.rcpt.example"), v, &d),
	    "mx.rcpt.example;\r\n"
	    "\tspf=fail smtp.mailfrom=good.example;\r\n"
	    "\tspf=fail smtp.helo=mta.good.example;\r\n"
	    "\tiprev=permerror policy.iprev=203.0.113.9");
	evaluation_end(&ev);
	arena_free(&a);
}

/* Which limit is met is said; what follows is not taken; the decision is to tempfail. */
static void
limits(void **state)
{
	static char large[LIMIT_HEADER_BYTES + 1];
	static const struct {
		size_t fields, bytes;
		const char *limit;
	} cases[] = {
		{ LIMIT_HEADER_FIELDS + 1, 1, "more header fields than are read" },
		{ 1, sizeof(large), "header longer than is read" },
		{ 20, sizeof(large) / 16, "header longer than is read" },
		{ LIMIT_HEADER_FIELDS - 2, 1, NULL },
	};
	struct engine *e = *state;
	struct connection c = { .helo = SLICE("x") };

	memset(large, 'x', sizeof(large));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *a = arena_new(LIMIT_MESSAGE_MEMORY);
		struct evaluation *ev = evaluation_begin(e->evaluator, a, &c);
		struct disposition d;
		int rc = 0;

		evaluation_mail_from(ev, SLICE("<>"), ENGINE_NOW_S);
		(void)evaluation_header(ev, SLICE("From"), SLICE(" a@unknown.example"));
		for (size_t n = 0; n < cases[i].fields; n++)
			rc = evaluation_header(ev, SLICE("X"), slice_of(large, cases[i].bytes));
		assert_int_equal(rc, cases[i].limit == NULL ? 0 : -1);
		evaluation_end_of_headers(ev);
		(void)evaluation_body(ev, SLICE("x"));
		decide(a, &decide_defaults, evaluation_finish(ev), SLICE(""), &d);
		assert_int_equal(
		    d.action, cases[i].limit == NULL ? ACTION_ACCEPT : ACTION_TEMPFAIL);
		if (cases[i].limit != NULL)
			assert_non_null(strstr(d.reply, cases[i].limit));
		evaluation_end(&ev);
		arena_free(&a);
	}
}

/* Ended at any point, nothing is left behind (the sanitizer build watches). */
static void
aborted_anywhere(void **state)
{
	struct engine *e = *state;
	struct connection c = { .helo = SLICE("x") };

	assert_int_equal(ip_parse(SLICE("192.0.2.1"), &c.client), 0);
	for (int stage = 0; stage < 5; stage++) {
		struct arena *a = arena_new(LIMIT_MESSAGE_MEMORY);
		struct evaluation *ev = evaluation_begin(e->evaluator, a, &c);

		if (stage > 0)
			evaluation_mail_from(ev, SLICE("a@good.example"), ENGINE_NOW_S);
		if (stage > 1)
			(void)evaluation_header(ev, SLICE("From"), SLICE(" a@good.example"));
		if (stage > 2)
			evaluation_end_of_headers(ev);
		if (stage > 3)
			(void)evaluation_body(ev, SLICE("x"));
		evaluation_end(&ev);
		assert_null(ev);
		arena_free(&a);
	}
}

/* Without a signature nobody needs the body: the MTA may keep it. */
static void
body_not_needed(void **state)
{
	struct engine *e = *state;
	struct arena *a = arena_new(LIMIT_MESSAGE_MEMORY);
	const struct engine_mail unsigned_mail = { "192.0.2.1", "x", "<a@good.example>",
		{ "From: a@good.example" }, "Hello\r\n", .sign = false };
	struct engine_mail signed_mail = unsigned_mail;
	struct evaluation *ev = engine_feed(e, a, &unsigned_mail, NULL);

	assert_false(evaluation_body(ev, SLICE("more")));
	evaluation_end(&ev);
	signed_mail.sign = true;
	ev = engine_feed(e, a, &signed_mail, NULL);
	assert_true(evaluation_body(ev, SLICE("more")));
	evaluation_end(&ev);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages),
		cmocka_unit_test(broken_on_the_way),
		cmocka_unit_test(envelope_alone),
		cmocka_unit_test(limits),
		cmocka_unit_test(aborted_anywhere),
		cmocka_unit_test(body_not_needed),
	};

	return cmocka_run_group_tests_name("evaluation", tests, open_engine, close_engine);
}
