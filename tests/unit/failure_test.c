/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report/failure: which messages give a failure report (RFC 9989 4.7 fo, RFC 9991 2), what is
 * left of their header, the queue with its limits, and the messages (RFC 5965, RFC 6591) against
 * golden files.
 */
#include <string.h>

#include "policy/syntax/header.h"
#include "report/failure_redact.h"
#include "report/failure_report.h"
#include "tests/support/backend.h"
#include "tests/support/golden.h"
#include "tests/support/support.h"

#define ARENA_BYTES (16u * 1024 * 1024)
#define NOW	    1795651200 /* 2026-11-26 00:00:00 UTC */

/* ---- a message that failed ---- */

struct found { /* a verdict in a few words */
	const char *record;
	enum dmarc_result dmarc;
	bool spf_aligned, dkim_aligned;
	enum spf_result spf;
	enum dkim_result dkim; /* of one signature by the author domain; NONE: unsigned */
	enum dkim_reason reason;
	enum dmarc_source source;
};

static const struct slice spf_domains[] = { { "author.example", 14 }, { "_spf.esp.example", 16 } };

static struct verdict *
make_verdict(struct arena *a, const struct found *f)
{
	struct verdict *v = arena_alloc(a, sizeof(*v));
	struct dmarc_record *r = arena_alloc(a, sizeof(*r));

	assert_int_equal(ip_parse(SLICE("192.0.2.7"), &v->connection.client), 0);
	v->has_message = true;
	v->reverse_path = SLICE("jane.doe+x@author.example");
	v->spf = (struct spf_verdict){ .result = f->spf,
		.domain = SLICE("author.example"),
		.record_domains = spf_domains,
		.record_domain_count = 2 };
	v->dmarc = (struct dmarc_verdict){
		.result = f->dmarc,
		.source = f->source == DMARC_S_NOWHERE ? DMARC_S_AUTHOR : f->source,
		.author_domain = SLICE("author.example"),
		.policy_domain = SLICE("author.example"),
		.organizational_domain = SLICE("author.example"),
		.spf_aligned = f->spf_aligned,
		.dkim_aligned = f->dkim_aligned,
	};
	if (dmarc_record_parse(a, slice_str(f->record), r))
		v->dmarc.record = r;
	if (f->dkim != DKIM_NONE) {
		v->dkim.signatures = arena_alloc(a, sizeof(v->dkim.signatures[0]));
		v->dkim.count = 1;
		v->dkim.signatures[0] = (struct dkim_signature_verdict){ .result = f->dkim,
			.reason = f->reason,
			.domain = SLICE("author.example"),
			.selector = SLICE("sel"),
			.identity = SLICE("jane.doe@author.example"),
			.header_b = SLICE("hETrymCb") };
		v->dmarc.alignments = arena_alloc(a, sizeof(v->dmarc.alignments[0]));
		v->dmarc.alignments[0] = (struct dmarc_alignment){ .method = DMARC_BY_DKIM,
			.domain = SLICE("author.example"),
			.organizational_domain = SLICE("author.example"),
			.aligned = true,
			.compared = true };
		v->dmarc.alignment_count = 1;
	}
	return v;
}

#define RUF "; ruf=mailto:f@author.example"

static const struct {
	struct found found;
	const char *type, *rule;
} fo_rows[] = {
	/* fo=0: all mechanisms fail to produce an aligned pass */
	{ { "v=DMARC1; p=none" RUF, DMARC_FAIL, false, false, .spf = SPF_FAIL, .dkim = DKIM_FAIL,
	      .reason = DKIM_R_BODY_HASH },
	    "dmarc", "fo=0 is the default" },
	{ { "v=DMARC1; p=none; fo=0" RUF, DMARC_PASS, true, false, .spf = SPF_PASS,
	      .dkim = DKIM_FAIL, .reason = DKIM_R_BODY_HASH },
	    "", "fo=0: one passes" },
	{ { "v=DMARC1; p=none", DMARC_FAIL, false, false, .spf = SPF_FAIL }, "", "no ruf" },
	{ { "v=DMARC1; p=none; ruf=nonsense", DMARC_FAIL, false, false, .spf = SPF_FAIL }, "",
	    "no valid ruf" },
	{ { "nonsense", DMARC_NONE, false, false, .spf = SPF_FAIL }, "", "no record" },
	/* fo=1: any of them */
	{ { "v=DMARC1; p=none; fo=1" RUF, DMARC_PASS, true, false, .spf = SPF_PASS }, "dmarc",
	    "fo=1: unsigned" },
	{ { "v=DMARC1; p=none; fo=1" RUF, DMARC_PASS, false, true, .spf = SPF_SOFTFAIL,
	      .dkim = DKIM_PASS },
	    "dmarc", "fo=1: SPF" },
	{ { "v=DMARC1; p=none; fo=1" RUF, DMARC_PASS, true, true, .spf = SPF_PASS,
	      .dkim = DKIM_PASS },
	    "", "fo=1: all pass" },
	/* fo=d: a signature that failed, aligned or not */
	{ { "v=DMARC1; p=none; fo=d" RUF, DMARC_PASS, true, false, .spf = SPF_PASS,
	      .dkim = DKIM_FAIL, .reason = DKIM_R_BODY_HASH },
	    "bodyhash", "fo=d" },
	{ { "v=DMARC1; p=none; fo=d" RUF, DMARC_PASS, true, false, .spf = SPF_PASS,
	      .dkim = DKIM_FAIL, .reason = DKIM_R_SIGNATURE },
	    "signature", "fo=d" },
	{ { "v=DMARC1; p=none; fo=d" RUF, DMARC_PASS, true, false, .spf = SPF_PASS,
	      .dkim = DKIM_PERMERROR, .reason = DKIM_R_KEY_REVOKED },
	    "revoked", "fo=d" },
	{ { "v=DMARC1; p=none; fo=d" RUF, DMARC_PASS, true, false, .spf = SPF_PASS,
	      .dkim = DKIM_TEMPERROR, .reason = DKIM_R_KEY_LOOKUP },
	    "", "fo=d: not evaluated" },
	{ { "v=DMARC1; p=none; fo=d" RUF, DMARC_PASS, true, false, .spf = SPF_PASS,
	      .dkim = DKIM_POLICY, .reason = DKIM_R_SKIPPED },
	    "", "fo=d: not evaluated" },
	{ { "v=DMARC1; p=none; fo=d" RUF, DMARC_FAIL, false, false, .spf = SPF_FAIL }, "",
	    "fo=d alone: no signature" },
	/* fo=s: SPF failed, aligned or not */
	{ { "v=DMARC1; p=none; fo=s" RUF, DMARC_PASS, false, true, .spf = SPF_FAIL,
	      .dkim = DKIM_PASS },
	    "spf", "fo=s" },
	{ { "v=DMARC1; p=none; fo=s" RUF, DMARC_PASS, false, true, .spf = SPF_SOFTFAIL,
	      .dkim = DKIM_PASS },
	    "spf", "fo=s" },
	{ { "v=DMARC1; p=none; fo=s" RUF, DMARC_PASS, false, true, .spf = SPF_PERMERROR,
	      .dkim = DKIM_PASS },
	    "spf", "fo=s" },
	{ { "v=DMARC1; p=none; fo=s" RUF, DMARC_PASS, false, true, .spf = SPF_NONE,
	      .dkim = DKIM_PASS },
	    "", "fo=s: none is no failure" },
	{ { "v=DMARC1; p=none; fo=s" RUF, DMARC_PASS, false, true, .spf = SPF_TEMPERROR,
	      .dkim = DKIM_PASS },
	    "", "fo=s: DNS" },
	/* several */
	{ { "v=DMARC1; p=none; fo=0:d:s" RUF, DMARC_FAIL, false, false, .spf = SPF_FAIL,
	      .dkim = DKIM_FAIL, .reason = DKIM_R_SIGNATURE },
	    "dmarc", "one report a message" },
	{ { "v=DMARC1; p=none; fo=d:s" RUF, DMARC_FAIL, false, false, .spf = SPF_FAIL,
	      .dkim = DKIM_FAIL, .reason = DKIM_R_SIGNATURE },
	    "signature", "one report a message" },
	{ { "v=DMARC1; p=none; fo=d:s" RUF, DMARC_FAIL, false, false, .spf = SPF_FAIL }, "spf",
	    "one report a message" },
	/* never */
	{ { "v=DMARC1; p=none; psd=y; fo=1:d:s" RUF, DMARC_FAIL, false, false, .spf = SPF_FAIL },
	    "", "RFC 9991 2: psd=y" },
	{ { "v=DMARC1; p=none; fo=1:d:s" RUF, DMARC_FAIL, false, false, .spf = SPF_FAIL,
	      .source = DMARC_S_PSD },
	    "", "RFC 9991 2: psd=y" },
	{ { "v=DMARC1; p=none; fo=1:d:s" RUF, DMARC_TEMPERROR, false, false, .spf = SPF_FAIL }, "",
	    "what DNS left open has not failed" },
	{ { "v=DMARC1; p=none; fo=1:d:s" RUF, DMARC_PERMERROR, false, false, .spf = SPF_FAIL }, "",
	    "no author domain, no owner" },
};

static void
options_of_fo(void **state)
{
	size_t bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(fo_rows) / sizeof(fo_rows[0]); i++) {
		struct arena *a = arena_new(ARENA_BYTES);
		struct verdict *v = make_verdict(a, &fo_rows[i].found);
		size_t signature;
		const char *got = failure_type_word(failure_type_of(v, &signature));

		if (strcmp(got, fo_rows[i].type) != 0) {
			(void)printf("FAIL row %zu (%s)\n  got   \"%s\"\n  want  \"%s\"\n", i,
			    fo_rows[i].rule, got, fo_rows[i].type);
			bad++;
		}
		arena_free(&a);
	}
	assert_int_equal(bad, 0);
}

/* ---- the message ---- */

static const struct {
	const char *name, *value;
} sample_header[] = {
	{ "Received",
	    " from out.author.example (out.author.example [192.0.2.7])\r\n"
	    "\tby mx.receiver.example with ESMTPS id 4Ln7Qw4fnvz6Bq\r\n"
	    "\tfor <bob.smith@receiver.example>; Wed, 25 Nov 2026 23:59:59 +0000" },
	{ "DKIM-Signature",
	    " v=1; a=rsa-sha256; d=author.example; s=sel;\r\n"
	    "\ti=jane.doe@author.example; h=from:to; z=To:bob.smith@receiver.example;"
	    "\r\n\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=hETrymCb+bob/=" },
	{ "From", " \"Bob.Smith's friend\" <jane.doe@author.example>" },
	{ "To", " Bob Smith <bob.smith@receiver.example>, alice@receiver.example" },
	{ "Cc", " \"bob.smith\"@receiver.example" },
	{ "Subject", " Your invoice, Bob Smith" },
	{ "Message-ID", " <20261125.bob.smith=receiver.example@author.example>" },
	{ "Date", " Wed, 25 Nov 2026 23:59:58 +0000" },
	{ "List-Unsubscribe", " <https://author.example/u?bob.smith@receiver.example>" },
	{ "X-Original-To", " bob.smith@receiver.example" },
	{ "Sender", " =?utf-8?q?bob=2Esmith?= <alice@author.example>" },
	{ "X-Bad\x01Name", " x" },
	{ "Content-Type", " text/plain; charset=\"utf-8\"; name=\"bob.smith.pdf\"" },
	{ "Reply-To", " \xc3\xa9\x80 <BOB.SMITH@receiver.example>" },
};

static struct failure_event
sample_event(struct arena *a, const struct found *found, bool redact)
{
	static const struct slice recipients[] = { { "<bob.smith@receiver.example>", 28 },
		{ "<alice@receiver.example>", 24 } };
	static const struct disposition disposition = { .action = ACTION_REJECT };
	struct verdict *v = make_verdict(a, found);
	struct dns_record *records = arena_array(a, 2, sizeof(*records));
	struct dns_answer *answer = arena_alloc(a, sizeof(*answer));
	struct lookup *lookups = arena_array(a, 3, sizeof(*lookups));
	struct failure_options options = { .redact = redact,
		.key = { 1, 2, 3 },
		.authserv_id = SLICE("mx.receiver.example"),
		.reporting_mta = SLICE("mx.receiver.example"),
		.user_agent = SLICE("assay/0.1.0") };
	struct header_list header = { .count = 0 };
	struct failure_message m = { .verdict = v,
		.disposition = &disposition,
		.header = &header,
		.recipients = recipients,
		.recipient_count = 2,
		.queue_id = SLICE("65E1A3F0A0") };
	struct failure_event e;

	records[0].text = SLICE("v=spf10 is another thing");
	records[1].text = SLICE("v=spf1 ip4:192.0.2.1 -all");
	*answer = (struct dns_answer){ .status = DNS_OK, .count = 2, .records = records };
	lookups[0] = (struct lookup){ SLICE("author.example"), DNS_TXT, answer, 0, false };
	lookups[1] = (struct lookup){ SLICE("helo.example"), DNS_TXT, answer, 0, false };
	lookups[2] = (struct lookup){ SLICE("_spf.esp.example"), DNS_TXT, answer, 0, false };
	v->lookups = lookups;
	v->lookup_count = 3;
	for (size_t i = 0; i < sizeof(sample_header) / sizeof(sample_header[0]); i++)
		header_list_add(&header, a, slice_str(sample_header[i].name),
		    slice_str(sample_header[i].value));
	if (!failure_event_make(a, &options, &m, NOW - 1, &e))
		fail_msg("no event");
	return e;
}

static const struct found both_failed = { "v=DMARC1; p=reject" RUF, DMARC_FAIL, false, false,
	SPF_FAIL, DKIM_FAIL, DKIM_R_BODY_HASH, DMARC_S_AUTHOR };
static const struct failure_mail sample_mail = { { "dmarc@receiver.example", 22 },
	{ "Receiver", 8 }, { "receiver.example", 16 } };

static struct slice
write_event(struct arena *a, const struct failure_event *e)
{
	struct slice message;
	const char *error = "?";

	if (failure_report_write(
		a, &sample_mail, e, SLICE("f@author.example"), NOW + 60, &message, &error) != 0)
		fail_msg("%s", error);
	return message;
}

/* RFC 9991 4: DKIM-Domain is REQUIRED for the failure of an aligned identifier. Whether one is that
 * failed nobody has asked the DNS: then its name says it. */
static void
signature_told(void **state)
{
	static const struct {
		const char *domain;
		bool compared, aligned, told;
	} cases[] = {
		{ "author.example", true, true, true },
		{ "mail.author.example", false, false, true },
		{ "mail.author.example", true, true, true },
		{ "mail.author.example", true, false, false }, /* strict */
		{ "list.example", false, false, false },
		{ "otherauthor.example", false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *a = arena_new(1 << 20);
		struct verdict *v = make_verdict(a, &both_failed);
		static const struct disposition disposition = { .action = ACTION_REJECT };
		struct failure_options options = { .authserv_id = SLICE("mx"),
			.user_agent = SLICE("x") };
		struct header_list header = { .count = 0 };
		struct failure_message m = {
			.verdict = v, .disposition = &disposition, .header = &header
		};
		struct failure_event e;
		bool told;

		v->dkim.signatures[0].domain = slice_str(cases[i].domain);
		v->dmarc.alignments[0] = (struct dmarc_alignment){ .method = DMARC_BY_DKIM,
			.domain = slice_str(cases[i].domain),
			.compared = cases[i].compared,
			.aligned = cases[i].aligned };
		assert_true(failure_event_make(a, &options, &m, NOW, &e));
		told = strstr(arena_str(a, e.fields), "DKIM-Domain: ") != NULL;
		if (told != cases[i].told)
			fail_msg("case %zu, %s: told %d", i, cases[i].domain, told);
		arena_free(&a);
	}
}

static void
golden(void **state)
{
	static const struct found spf_only = { "v=DMARC1; p=reject; fo=s" RUF, DMARC_PASS, false,
		true, SPF_FAIL, DKIM_PASS, DKIM_R_NONE, DMARC_S_AUTHOR };
	static const struct found dkim_only = { "v=DMARC1; p=reject; fo=d" RUF, DMARC_PASS, true,
		false, SPF_PASS, DKIM_FAIL, DKIM_R_SIGNATURE, DMARC_S_AUTHOR };
	struct arena *a = arena_new(ARENA_BYTES);
	struct failure_event e = sample_event(a, &both_failed, true);

	(void)state;
	e.incidents = 12;
	golden_check("failure-redacted.eml", write_event(a, &e));
	e = sample_event(a, &both_failed, false);
	golden_check("failure-open.eml", write_event(a, &e));
	e = sample_event(a, &spf_only, true);
	golden_check("failure-spf.eml", write_event(a, &e));
	e = sample_event(a, &dkim_only, true);
	golden_check("failure-dkim.eml", write_event(a, &e));
	arena_free(&a);
}

static void
lines(void **state)
{
	struct arena *a = arena_new(ARENA_BYTES);

	(void)state;
	for (int redact = 0; redact < 2; redact++) {
		struct failure_event e = sample_event(a, &both_failed, redact != 0);
		struct slice rest, line;

		e.subject = SLICE("a\r\nBcc: x@y\r\n\r\nbody");
		rest = write_event(a, &e);
		assert_true(slice_is_ascii(rest));
		assert_null(strstr(arena_str(a, rest), "\r\nBcc:"));
		while (slice_next(&rest, '\n', &line))
			assert_true(line.len > 0 && line.len < 999 && line.p[line.len - 1] == '\r');
	}
	arena_free(&a);
}

/* ---- redaction ---- */

static void
nobody_left(void **state)
{
	static const char *const people[] = { "bob.smith", "BOB.SMITH", "alice", "jane.doe",
		"Bob Smith" };
	struct arena *a = arena_new(ARENA_BYTES);
	struct failure_event e = sample_event(a, &both_failed, true);
	const char *text = arena_str(a, write_event(a, &e));

	(void)state;
	for (size_t i = 0; i < sizeof(people) / sizeof(people[0]); i++)
		if (strcasestr(text, people[i]) != NULL)
			fail_msg("%s: %.80s", people[i], strcasestr(text, people[i]));
	arena_free(&a);
}

static void
redact_texts(void **state)
{
	static const struct {
		const char *name, *value, *want; /* J: what stands for jane, B: for bob */
	} rows[] = {
		{ "From", " Jane <jane@a.example>", " <J@a.example>" },
		{ "Received", " for <jane@a.example>; x", " for <J@a.example>; x" },
		{ "Received", " for jane; jane2 xjane jane-x", " for J; jane2 xjane J-x" },
		{ "Received", " (envelope-from <bob+jane=a.example@b.example>)",
		    " (envelope-from <?@b.example>)" },
		{ "Message-ID", " <x.jane.y@a.example>", " <?@a.example>" },
		{ "To", " Jane D <jane@a.example>, \"Bob B\" <bob@b.example>",
		    " <J@a.example>, <B@b.example>" },
		{ "Subject", " jane", " [redacted]" },
		{ "X-Anything", " secret", " [redacted]" },
		{ "from ", " bob@b.example, Jane <jane@a.example>",
		    " <B@b.example>, <J@a.example>" },
		{ "From", " \"j \\\" x\"@a.example", " <?@a.example>" },
		{ "From", " =?utf-8?B?amFuZQ==?= <bob@b.example>", " <B@b.example>" },
		{ "From", " JANE@a.example", " <J@a.example>" },
		{ "Received", " (=?utf-8?B?amFuZQ==?= x)", " ([redacted] x)" },
		{ "Content-Type", " text/plain; name=jane.pdf", " text/plain" },
		{ "DKIM-Signature", " v=1; i=jane@a.example; b=a/jane/b; x=1",
		    " v=1; i=@a.example; b=a/jane/b; x=1" },
		{ "DKIM-Signature", " v=1; z=To:jane@a.example; s=jane",
		    " v=1; z=[redacted]; s=J" },
		{ "From", " @", " redacted:;" },
		{ "To", " undisclosed-recipients:;", " redacted:;" },
		{ "Received", "", "" },
	};
	static const struct slice recipients[] = { { "jane@a.example", 14 },
		{ "<bob@b.example>", 15 }, { "<>", 2 } };
	static const uint8_t key[HASH_KEY_BYTES] = { 7 };
	struct arena *a = arena_new(ARENA_BYTES);
	struct redaction r;
	size_t bad = 0;

	(void)state;
	redaction_init(&r, a, key, recipients, 3);
	assert_int_equal(r.recipient_count, 2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice got = redact_field(
		    &r, slice_str(rows[i].name), slice_str(rows[i].value));
		struct slice jane = redact_local_part(&r, SLICE("jane"));
		struct slice bob = redact_local_part(&r, SLICE("bob"));
		struct strbuf b;

		/* Words back to one letter, so that a row can be read. */
		strbuf_init(&b, a, 1000);
		for (size_t at = 0; at < got.len; at++) {
			struct slice here = slice_sub(got, at, jane.len);
			bool known = slice_equal(here, jane) || slice_equal(here, bob);

			if (known || (slice_starts(here, SLICE("r-")) && here.len == jane.len)) {
				strbuf_char(&b, !known ? '?' : slice_equal(here, jane) ? 'J' : 'B');
				at += jane.len - 1;
			} else {
				strbuf_char(&b, got.p[at]);
			}
		}
		if (!slice_equal(strbuf_slice(&b), slice_str(rows[i].want))) {
			(void)printf("FAIL %s:%s\n  got   %s\n  want  %s\n", rows[i].name,
			    rows[i].value, arena_str(a, strbuf_slice(&b)), rows[i].want);
			bad++;
		}
	}
	assert_int_equal(bad, 0);
	arena_free(&a);
}

/* ---- the queue ---- */

static struct failure_event
event_number(struct arena *a, unsigned n, const char *domain)
{
	return (struct failure_event){
		.cause = slice_str(arena_printf(a, "%032u", n)),
		.domain = slice_str(domain),
		.ruf = slice_str(arena_printf(a, "mailto:f@%s", domain)),
		.author = slice_str(domain),
		.subject = SLICE(REDACTED),
		.fields = SLICE("Feedback-Type: auth-failure\r\n"),
		.header = SLICE("From: [redacted]\r\n"),
		.first_s = NOW,
		.incidents = 1,
	};
}

struct queue_world {
	struct arena *arena;
	char folder[BACKEND_FOLDER_BYTES];
	struct db *db;
	const char *error;
};

static void
queue_open(struct queue_world *q)
{
	struct backend b;

	*q = (struct queue_world){ .arena = arena_new(ARENA_BYTES), .error = "?" };
	assert_true(backend_folder(q->folder));
	backend_sqlite(&b, q->folder, "store.db");
	q->db = backend_open(&b, 1000);
	if (failure_queue_prepare(q->db, &q->error) != 0 ||
	    failure_queue_prepare(q->db, &q->error) != 0)
		fail_msg("%s", q->error);
}

static void
queue_close(struct queue_world *q)
{
	db_close(&q->db);
	backend_folder_remove(q->folder);
	arena_free(&q->arena);
}

static int
add(struct queue_world *q, unsigned n, const char *domain)
{
	struct failure_event e = event_number(q->arena, n, domain);
	int rc = failure_queue_add(q->db, &e, &q->error);

	if (rc < 0)
		fail_msg("%s", q->error);
	return rc;
}

static int
take(struct queue_world *q, const struct failure_rate *rate, int64_t now_s, struct failure_event *e)
{
	int rc = failure_queue_take(q->db, q->arena, rate, now_s, e, &q->error);

	if (rc < 0)
		fail_msg("%s", q->error);
	return rc;
}

static void
joins(void **state)
{
	static const struct failure_rate rate = { .wait_s = 60, .per_domain = 10, .in_all = 100 };
	struct failure_event e;
	struct queue_world q;
	uint64_t dropped;

	(void)state;
	queue_open(&q);
	assert_int_equal(add(&q, 1, "a.example"), 1);
	assert_int_equal(add(&q, 1, "a.example"), 1);
	assert_int_equal(add(&q, 2, "a.example"), 1);
	assert_int_equal(take(&q, &rate, NOW + 59, &e), 0); /* waits for others like it */
	assert_int_equal(take(&q, &rate, NOW + 60, &e), 1);
	assert_int_equal(e.incidents, 2);
	assert_slice(e.domain, "a.example");
	assert_slice(e.ruf, "mailto:f@a.example");
	assert_slice(e.header, "From: [redacted]\r\n");
	assert_int_equal(add(&q, 1, "a.example"), 0); /* told already: only counted */
	assert_int_equal(take(&q, &rate, NOW + 60, &e), 1);
	assert_int_equal(e.incidents, 1);
	assert_int_equal(take(&q, &rate, NOW + 9999, &e), 0);
	/* a day later it is told again */
	assert_int_equal(
	    failure_queue_prune(q.db, NOW + 60 + REPORT_FAILURE_QUIET_S + 1, &dropped, &q.error),
	    0);
	assert_int_equal(dropped, 0);
	assert_int_equal(add(&q, 1, "a.example"), 1);
	queue_close(&q);
}

static void
rate_limit(void **state)
{
	static const struct failure_rate rate = { .wait_s = 0, .per_domain = 3, .in_all = 5 };
	struct failure_event e;
	struct queue_world q;
	unsigned of_a = 0, of_b = 0;
	uint64_t dropped;

	(void)state;
	queue_open(&q);
	for (unsigned n = 0; n < 20; n++)
		assert_int_equal(add(&q, n, n < 10 ? "a.example" : "b.example"), 1);
	for (int64_t now_s = NOW; now_s < NOW + 86400; now_s += 3600)
		while (take(&q, &rate, now_s, &e) == 1)
			*(slice_equal(e.domain, SLICE("a.example")) ? &of_a : &of_b) += 1;
	assert_int_equal(of_a, 3); /* one domain can't use up what is for all */
	assert_int_equal(of_b, 2);
	/* the next day five more */
	while (take(&q, &rate, NOW + 86400 + 3600, &e) == 1)
		of_b++;
	assert_int_equal(of_b, 2 + 5);
	assert_int_equal(
	    failure_queue_prune(q.db, NOW + REPORT_FAILURE_KEEP_S + 1, &dropped, &q.error), 0);
	assert_int_equal(dropped, 10);
	queue_close(&q);
}

static void
bounded(void **state)
{
	struct queue_world q;
	unsigned kept = 0, n;

	(void)state;
	queue_open(&q);
	assert_int_equal(db_begin(q.db, &q.error), 0);
	for (n = 0; n < 3 * REPORT_FAILURES_DOMAIN_MAX; n++)
		kept += (unsigned)add(&q, n, "a.example");
	assert_int_equal(kept, REPORT_FAILURES_DOMAIN_MAX);
	for (unsigned i = 0; i < 3 * REPORT_FAILURES_MAX; i++, n++)
		kept += (unsigned)add(&q, n, arena_printf(q.arena, "d%u.example", i / 10));
	assert_int_equal(kept, REPORT_FAILURES_MAX);
	assert_int_equal(db_commit(q.db, &q.error), 0);
	queue_close(&q);
}

/* ---- from the queue to messages ---- */

static void
from_queue(void **state)
{
	const struct failure_report_options options = { .mail = sample_mail,
		.rate = { .wait_s = 0, .per_domain = 10, .in_all = 10 },
		.dmarc = { .discovery = DMARC_TREEWALK },
		.retry_s = 600 };
	struct failure_reports out;
	struct failure_event e;
	struct queue_world q;
	struct world w;

	(void)state;
	queue_open(&q);
	world_open(&w,
	    "a.example._report._dmarc.yes.example TXT 300 \"v=DMARC1; ruf=mailto:n@yes.example\"\n"
	    "slow.example._report._dmarc.slow2.example TXT 300 !TIMEOUT\n");
	e = event_number(q.arena, 1, "a.example");
	e.ruf = SLICE(
	    "mailto:f@a.example mailto:x@yes.example mailto:x@no.example https://a.example/");
	assert_int_equal(failure_queue_add(q.db, &e, &q.error), 1);
	e = event_number(q.arena, 2, "slow.example");
	e.ruf = SLICE("mailto:f@slow2.example");
	assert_int_equal(failure_queue_add(q.db, &e, &q.error), 1);

	assert_int_equal(
	    failure_report_next(q.db, q.arena, w.lookups, &options, NOW, &out, &q.error), 1);
	assert_int_equal(out.count, 2);
	assert_slice(out.messages[0].to, "f@a.example");
	assert_slice(out.messages[1].to, "n@yes.example"); /* the override of the record */
	assert_int_equal(out.destinations.count, 4);

	/* DNS trouble: once more, later; then no more */
	assert_int_equal(
	    failure_report_next(q.db, q.arena, w.lookups, &options, NOW, &out, &q.error), 1);
	assert_true(out.count == 0 && out.destinations.later);
	assert_int_equal(
	    failure_report_next(q.db, q.arena, w.lookups, &options, NOW + 599, &out, &q.error), 0);
	assert_int_equal(
	    failure_report_next(q.db, q.arena, w.lookups, &options, NOW + 600, &out, &q.error), 1);
	assert_int_equal(
	    failure_report_next(q.db, q.arena, w.lookups, &options, NOW + 9999, &out, &q.error), 0);
	world_close(&w);
	queue_close(&q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_of_fo),
		cmocka_unit_test(signature_told),
		cmocka_unit_test(golden),
		cmocka_unit_test(lines),
		cmocka_unit_test(nobody_left),
		cmocka_unit_test(redact_texts),
		cmocka_unit_test(joins),
		cmocka_unit_test(rate_limit),
		cmocka_unit_test(bounded),
		cmocka_unit_test(from_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
