/* SPDX-License-Identifier: BSD-2-Clause */
/* A session behind a recorder instead of an MTA: what is asked of the MTA, and in which order. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "milter/service.h"
#include "milter/session.h"
#include "policy/base/limits.h"
#include "tests/support/mta_recorder.h"
#include "tests/support/support.h"

static const char zone[] = "reject.example TXT 300 \"v=spf1 ip4:192.0.2.1 -all\"\n"
			   "_dmarc.reject.example TXT 300 \"v=DMARC1; p=reject\"\n"
			   "quarantine.example TXT 300 \"v=spf1 ip4:192.0.2.1 -all\"\n"
			   "_dmarc.quarantine.example TXT 300 \"v=DMARC1; p=quarantine\"\n"
			   "temp.example TXT 300 \"v=spf1 ip4:192.0.2.1 -all\"\n"
			   "_dmarc.temp.example TXT 300 !SERVFAIL\n"
			   "none.example TXT 300 \"v=spf1 ip4:192.0.2.1 -all\"\n"
			   "evil.example TXT 300 \"v=spf1 ip4:198.51.100.5 -all\"\n";

/* ---- a session in a small world ---- */

struct rig {
	struct traffic traffic;
	struct service *service;
	struct session *session;
	struct mta_recorder recorder;
	struct mta mta;
};

static const struct ip_network trusted = { { IP_V4, { 203, 0, 113, 0 } }, 24 };

static struct slice our_ids[2];

static int
sign_anything(void *ctx, uint32_t key, const uint8_t digest[SHA256_BYTES], struct signature *out,
    const char **error_r)
{
	(void)ctx, (void)key, (void)digest, (void)error_r;
	out->len = 1;
	out->bytes[0] = 1;
	return 0;
}

static const struct conf_dkim_key seal_key = { .domain = SLICE("example.net"),
	.selector = SLICE("s") };
static struct key_info seal_info = { .type = KEY_ED25519 };
static const struct outgoing_keys seal_keys = { { sign_anything, NULL }, &seal_info };

static void
rig_open_sealing(struct rig *g, enum conf_quarantine quarantine, bool leading_space, bool seals)
{
	struct conf *conf = conf_defaults();
	struct arena *a = arena_new(1024 * 1024);
	const char *why = "?";
	char *error = NULL;
	struct dns_backend *backend = dns_zone_new(a, slice_str(zone), &why);

	if (backend == NULL)
		fail_msg("zone: %s", why);
	arena_free(&a);
	memset(g, 0, sizeof(*g));
	our_ids[0] = SLICE("mx.example.net");
	our_ids[1] = SLICE("old.example.net");
	conf->authserv_id = our_ids[0];
	conf->authserv_ids = our_ids;
	conf->authserv_id_count = 2;
	conf->trusted_networks = &trusted;
	conf->trusted_network_count = 1;
	conf->skip_authenticated = true;
	conf->quarantine = quarantine;
	conf->quarantine_header = "X-Quarantine";
	conf->dkim_keys = &seal_key;
	conf->dkim_key_count = seals;
	conf->seal = seals ? CONF_SEAL_ALL : CONF_SEAL_NONE;
	g->service = service_over(
	    conf, resolver_new(backend, NULL), &g->traffic, seals ? &seal_keys : NULL, &error);
	if (g->service == NULL)
		fail_msg("service: %s", error);
	g->session = session_new(g->service, leading_space, NULL);
	g->recorder.queue_id = "4QUEUE";
	g->mta = (struct mta){ &mta_recorder_calls, &g->recorder };
}

static void
rig_open(struct rig *g, enum conf_quarantine quarantine, bool leading_space)
{
	rig_open_sealing(g, quarantine, leading_space, false);
}

static void
rig_close(struct rig *g)
{
	session_free(&g->session);
	assert_null(g->session);
	assert_int_equal(atomic_load(&g->traffic.messages_open), 0);
	service_unref(&g->service);
}

static void
rig_connect(struct rig *g, const char *ip)
{
	struct ip_address client = { IP_NONE, { 0 } };

	if (ip[0] != '\0')
		assert_int_equal(ip_parse(slice_str(ip), &client), 0);
	assert_int_equal(
	    session_connect(g->session, &g->mta, "host.example", &client), ANSWER_CONTINUE);
	assert_int_equal(session_helo(g->session, &g->mta, "host.example"), ANSWER_CONTINUE);
}

/* fields: "Name: value" lines; a blank behind the colon is part of the value, as with LEADSPC. */
static void
rig_header(struct rig *g, const char *const *fields)
{
	for (; *fields != NULL; fields++) {
		const char *colon = strchr(*fields, ':');
		char name[64];

		(void)snprintf(name, sizeof(name), "%.*s", (int)(colon - *fields), *fields);
		assert_int_equal(
		    session_header(g->session, &g->mta, name, colon + 1), ANSWER_CONTINUE);
	}
}

static enum answer
rig_message(struct rig *g, const char *from, const char *const *fields)
{
	g->recorder.calls[0] = '\0';
	assert_int_equal(session_mail(g->session, &g->mta, from), ANSWER_CONTINUE);
	assert_int_equal(session_rcpt(g->session, &g->mta, "<to@here.example>"), ANSWER_CONTINUE);
	rig_header(g, fields);
	assert_int_equal(session_end_of_headers(g->session, &g->mta), ANSWER_CONTINUE);
	(void)session_body(g->session, &g->mta, SLICE("Hello.\r\n"));
	return session_end_of_message(g->session, &g->mta);
}

static void
expect_calls(const struct rig *g, const char *row, const char *want, const char *rule)
{
	if (strcmp(g->recorder.calls, want) != 0)
		fail_msg("%s\ngot:\n%swant:\n%s(%s)", row, g->recorder.calls, want, rule);
}

/* ---- actions ---- */

#define AR_INSERTED "insert 0 Authentication-Results: "

struct action_row {
	const char *name, *ip, *envelope, *from;
	enum conf_quarantine quarantine;
	enum answer answer;
	const char *calls; /* how they begin */
	const char *rule;
};

static const struct action_row action_rows[] = {
	{ "genuine mail is stamped and accepted", "192.0.2.1", "<a@reject.example>",
	    "From: a@reject.example", CONF_QUARANTINE_HOLD, ANSWER_CONTINUE,
	    AR_INSERTED "mx.example.net", "RFC 8601 4" },
	{ "p=reject refuses and edits nothing", "198.51.100.5", "<x@evil.example>",
	    "From: a@reject.example", CONF_QUARANTINE_HOLD, ANSWER_REJECT, "reply 550 5.7.26 ",
	    "RFC 7372 3.2" },
	{ "p=quarantine is held, stamped before", "198.51.100.5", "<x@evil.example>",
	    "From: a@quarantine.example", CONF_QUARANTINE_HOLD, ANSWER_CONTINUE,
	    AR_INSERTED "mx.example.net", "RFC 9989 4.7" },
	{ "p=quarantine by a field, ours on top", "198.51.100.5", "<x@evil.example>",
	    "From: a@quarantine.example", CONF_QUARANTINE_HEADER, ANSWER_CONTINUE,
	    "insert 0 X-Quarantine: ", "RFC 9989 4.7" },
	{ "DNS trouble that matters is a tempfail", "198.51.100.5", "<x@evil.example>",
	    "From: a@temp.example", CONF_QUARANTINE_HOLD, ANSWER_TEMPFAIL, "reply 451 4.",
	    "RFC 9989 5.3.6" },
	{ "no author domain is refused", "192.0.2.1", "<a@reject.example>", "Subject: x",
	    CONF_QUARANTINE_HOLD, ANSWER_REJECT, "reply 550 5.", "RFC 9989 11.5" },
	{ "a domain without policy is accepted", "198.51.100.5", "<x@evil.example>",
	    "From: a@none.example", CONF_QUARANTINE_HOLD, ANSWER_CONTINUE, AR_INSERTED,
	    "RFC 9989 4.10.1" },
	{ "SPF fail alone does not refuse at MAIL FROM", "198.51.100.5", "<a@none.example>",
	    "From: a@none.example", CONF_QUARANTINE_HOLD, ANSWER_CONTINUE, AR_INSERTED,
	    "RFC 9989 7.1" },
};

static void
test_actions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(action_rows) / sizeof(action_rows[0]); i++) {
		const struct action_row *row = &action_rows[i];
		const char *const fields[] = { row->from, NULL };
		struct rig g;
		enum answer answer;

		rig_open(&g, row->quarantine, true);
		rig_connect(&g, row->ip);
		answer = rig_message(&g, row->envelope, fields);
		if (answer != row->answer)
			fail_msg("%s: got answer %d, want %d (%s)\n%s", row->name, (int)answer,
			    (int)row->answer, row->rule, g.recorder.calls);
		if (strncmp(g.recorder.calls, row->calls, strlen(row->calls)) != 0)
			fail_msg("%s: got\n%swant\n%s... (%s)", row->name, g.recorder.calls,
			    row->calls, row->rule);
		rig_close(&g);
	}
}

static void
test_quarantine_calls(void **state)
{
	const char *const fields[] = { "From: a@quarantine.example", NULL };
	struct rig g;

	(void)state;
	rig_open(&g, CONF_QUARANTINE_HOLD, true);
	rig_connect(&g, "198.51.100.5");
	assert_int_equal(rig_message(&g, "<x@evil.example>", fields), ANSWER_CONTINUE);
	assert_non_null(strstr(g.recorder.calls, "\nquarantine because\n"));
	assert_int_equal(atomic_load(&g.traffic.by_action[ACTION_QUARANTINE]), 1);
	rig_close(&g);
}

static void
test_reply_carries_queue_id(void **state)
{
	const char *const fields[] = { "From: a@reject.example", NULL };
	struct rig g;

	(void)state;
	rig_open(&g, CONF_QUARANTINE_HOLD, true);
	rig_connect(&g, "198.51.100.5");
	assert_int_equal(rig_message(&g, "<x@evil.example>", fields), ANSWER_REJECT);
	assert_non_null(strstr(g.recorder.calls, "4QUEUE"));
	rig_close(&g);
}

/* ---- forged fields ---- */

static const char *const forged[] = {
	"Authentication-Results: mx.example.net; dkim=pass",	  /* 1: ours */
	"Authentication-Results: other.example; dkim=pass",	  /* 2: not */
	"X-Quarantine: no",					  /* 1 */
	"authentication-results: MX.Example.NET 1; none",	  /* 3: ours */
	"Authentication-Results: mx.example.net.evil; dkim=pass", /* 4: not */
	"From: a@reject.example",				  /* */
	"Authentication-Results: (c) \"old.example.net\"; none",  /* 5: an alias */
	"Authentication-Results:\n\tmx.example.net\n ; none",	  /* 6: folded */
	"Authentication-Results : mx.example.net; none",	  /* 7: a blank before the colon */
	"X-Quarantine: never",					  /* 2 */
	NULL,
};

#define FORGED_GONE                                                                                \
	"change Authentication-Results 7 delete\n"                                                 \
	"change Authentication-Results 6 delete\n"                                                 \
	"change Authentication-Results 5 delete\n"                                                 \
	"change Authentication-Results 3 delete\n"                                                 \
	"change Authentication-Results 1 delete\n"

static void
test_forged_fields_go(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, CONF_QUARANTINE_HOLD, true);
	rig_connect(&g, "192.0.2.1");
	assert_int_equal(rig_message(&g, "<a@reject.example>", forged), ANSWER_CONTINUE);
	/* All removals before the first insertion, which would shift the indices (PITFALLS 40). */
	if (strncmp(g.recorder.calls, FORGED_GONE AR_INSERTED, strlen(FORGED_GONE AR_INSERTED)) !=
	    0)
		fail_msg("got:\n%swant:\n%s(RFC 8601 5; highest index first)", g.recorder.calls,
		    FORGED_GONE);
	rig_close(&g);
}

static void
test_forged_fields_go_for_the_skipped(void **state)
{
	static const struct {
		const char *name, *ip, *auth_type, *auth_authen;
	} rows[] = {
		{ "authenticated by type", "198.51.100.5", "PLAIN", NULL },
		{ "authenticated by name", "198.51.100.5", NULL, "joe" },
		{ "trusted network", "203.0.113.9", NULL, NULL },
		{ "no client", "", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig g;

		rig_open(&g, CONF_QUARANTINE_HOLD, true);
		g.recorder.auth_type = rows[i].auth_type;
		g.recorder.auth_authen = rows[i].auth_authen;
		rig_connect(&g, rows[i].ip);
		/* From reject.example with a failing SPF: would be refused were it evaluated. */
		assert_int_equal(rig_message(&g, "<x@evil.example>", forged), ANSWER_CONTINUE);
		expect_calls(&g, rows[i].name, FORGED_GONE, "RFC 8601 5");
		assert_int_equal(atomic_load(&g.traffic.skipped), 1);
		rig_close(&g);
	}
}

static void
test_authenticated_are_evaluated_when_asked(void **state)
{
	const char *const fields[] = { "From: a@reject.example", NULL };
	struct rig g;

	(void)state;
	rig_open(&g, CONF_QUARANTINE_HOLD, true);
	/* Only this test changes what the service would keep immutable, before any message. */
	((struct conf *)(uintptr_t)service_conf(g.service))->skip_authenticated = false;
	g.recorder.auth_authen = "joe";
	rig_connect(&g, "198.51.100.5");
	assert_int_equal(rig_message(&g, "<x@evil.example>", fields), ANSWER_REJECT);
	rig_close(&g);
}

static void
test_quarantine_field_of_a_sender(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, CONF_QUARANTINE_HEADER, true);
	rig_connect(&g, "203.0.113.9");
	assert_int_equal(rig_message(&g, "<a@reject.example>", forged), ANSWER_CONTINUE);
	assert_non_null(strstr(
	    g.recorder.calls, "change X-Quarantine 2 delete\nchange Authentication-Results 7"));
	assert_non_null(strstr(g.recorder.calls, "\nchange X-Quarantine 1 delete\n"));
	rig_close(&g);
}

static void
test_refused_edit_is_a_tempfail(void **state)
{
	static const char *const refusals[] = { "change", "insert", "quarantine" };
	static const char *const fields[] = { "From: a@quarantine.example",
		"Authentication-Results: mx.example.net; none", NULL };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct rig g;

		rig_open(&g, CONF_QUARANTINE_HOLD, true);
		g.recorder.refuse = refusals[i];
		rig_connect(&g, "198.51.100.5");
		assert_int_equal(rig_message(&g, "<x@evil.example>", fields), ANSWER_TEMPFAIL);
		assert_non_null(strstr(g.recorder.calls, "reply 451 4.3.0 "));
		assert_int_equal(atomic_load(&g.traffic.refused_edits), 1);
		rig_close(&g);
	}
}

/* ---- several messages, aborts ---- */

static void
test_two_messages_a_connection(void **state)
{
	const char *const good[] = { "From: a@reject.example", NULL };
	struct rig g;

	(void)state;
	rig_open(&g, CONF_QUARANTINE_HOLD, true);
	rig_connect(&g, "192.0.2.1");
	assert_int_equal(rig_message(&g, "<a@reject.example>", forged), ANSWER_CONTINUE);
	/* Nothing of the first message is left: no removals, no author, no SPF result. */
	assert_int_equal(rig_message(&g, "<a@reject.example>", good), ANSWER_CONTINUE);
	assert_null(strstr(g.recorder.calls, "change"));
	assert_int_equal(rig_message(&g, "<x@evil.example>", good), ANSWER_REJECT);
	assert_int_equal(rig_message(&g, "<a@reject.example>", good), ANSWER_CONTINUE);
	assert_int_equal(atomic_load(&g.traffic.messages), 4);
	rig_close(&g);
}

static void
test_authentication_is_asked_for_each_message(void **state)
{
	const char *const fields[] = { "From: a@reject.example", NULL };
	struct rig g;

	(void)state;
	rig_open(&g, CONF_QUARANTINE_HOLD, true);
	rig_connect(&g, "198.51.100.5");
	assert_int_equal(rig_message(&g, "<x@evil.example>", fields), ANSWER_REJECT);
	g.recorder.auth_authen = "joe"; /* AUTH after the first message */
	assert_int_equal(rig_message(&g, "<x@evil.example>", fields), ANSWER_CONTINUE);
	rig_close(&g);
}

/* The steps of a message; a run stops after the first n of them. */
static void
run_steps(struct rig *g, int n)
{
	const char *const fields[] = { "From: a@reject.example",
		"DKIM-Signature: v=1; a=rsa-sha256; d=reject.example; s=s; h=from; bh=AAAA; b=AAAA",
		NULL };

	if (n > 0)
		(void)session_mail(g->session, &g->mta, "<a@reject.example>");
	if (n > 1)
		(void)session_rcpt(g->session, &g->mta, "<to@here.example>");
	if (n > 2)
		rig_header(g, fields);
	if (n > 3)
		(void)session_end_of_headers(g->session, &g->mta);
	if (n > 4)
		(void)session_body(g->session, &g->mta, SLICE("Hello.\r\n"));
	if (n > 5)
		(void)session_end_of_message(g->session, &g->mta);
}

static void
test_abort_anywhere(void **state)
{
	const char *const good[] = { "From: a@reject.example", NULL };

	(void)state;
	for (int n = 0; n <= 6; n++) {
		struct rig g;

		rig_open(&g, CONF_QUARANTINE_HOLD, true);
		rig_connect(&g, "192.0.2.1");
		run_steps(&g, n);
		assert_int_equal(session_abort(g.session), ANSWER_CONTINUE);
		assert_int_equal(session_abort(g.session), ANSWER_CONTINUE);
		assert_int_equal(atomic_load(&g.traffic.aborted), n >= 1 && n <= 5 ? 1 : 0);
		assert_int_equal(rig_message(&g, "<a@reject.example>", good), ANSWER_CONTINUE);
		/* A new MAIL without abort, and the end of the connection, in the middle. */
		run_steps(&g, n);
		run_steps(&g, n);
		rig_close(&g);
	}
}

static void
test_callbacks_out_of_order(void **state)
{
	struct ip_address none = { IP_NONE, { 0 } };
	struct rig g;

	(void)state;
	rig_open(&g, CONF_QUARANTINE_HOLD, true);
	assert_int_equal(session_end_of_message(g.session, &g.mta), ANSWER_CONTINUE);
	assert_int_equal(session_header(g.session, &g.mta, "From", " x"), ANSWER_CONTINUE);
	assert_int_equal(session_end_of_headers(g.session, &g.mta), ANSWER_CONTINUE);
	assert_int_equal(session_body(g.session, &g.mta, SLICE("x")), ANSWER_SKIP);
	assert_int_equal(session_rcpt(g.session, &g.mta, "x"), ANSWER_CONTINUE);
	assert_int_equal(session_connect(g.session, &g.mta, NULL, &none), ANSWER_CONTINUE);
	assert_int_equal(session_helo(g.session, &g.mta, NULL), ANSWER_CONTINUE);
	rig_close(&g);
}

/* libmilter takes end of message behind RCPT or a field: that is no way around DMARC. */
static void
test_no_end_of_headers(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, CONF_QUARANTINE_HOLD, true);
	rig_connect(&g, "198.51.100.5");
	(void)session_mail(g.session, &g.mta, "<x@evil.example>");
	(void)session_header(g.session, &g.mta, "From", " a@reject.example");
	assert_int_equal(session_end_of_message(g.session, &g.mta), ANSWER_REJECT);
	(void)session_mail(g.session, &g.mta, "<x@evil.example>");
	assert_int_equal(session_end_of_message(g.session, &g.mta), ANSWER_REJECT);
	/* Nor is a body lost that comes before it. */
	(void)session_mail(g.session, &g.mta, "<x@evil.example>");
	(void)session_header(g.session, &g.mta, "From", " a@reject.example");
	(void)session_header(g.session, &g.mta, "DKIM-Signature",
	    " v=1; a=rsa-sha256; d=reject.example; s=s; h=from; bh=AAAA; b=AAAA");
	assert_int_equal(session_body(g.session, &g.mta, SLICE("x")), ANSWER_CONTINUE);
	assert_int_equal(session_end_of_message(g.session, &g.mta), ANSWER_REJECT);
	/* Said twice, it counts once; the sanitizers would tell. */
	(void)session_mail(g.session, &g.mta, "<x@evil.example>");
	(void)session_header(g.session, &g.mta, "From", " a@reject.example");
	(void)session_end_of_headers(g.session, &g.mta);
	(void)session_end_of_headers(g.session, &g.mta);
	assert_int_equal(session_end_of_message(g.session, &g.mta), ANSWER_REJECT);
	rig_close(&g);
}

/* What our own hosts found before is sealed; what a user writes as if we had is not, though he may
 * come through one of them. */
static void
test_results_of_a_login_are_not_sealed(void **state)
{
	static const char *const fields[] = { "Authentication-Results: mx.example.net; dmarc=pass",
		"From: a@reject.example", NULL };
	struct rig g;

	(void)state;
	rig_open_sealing(&g, CONF_QUARANTINE_HOLD, true, true);
	rig_connect(&g, "203.0.113.1");
	(void)rig_message(&g, "<a@reject.example>", fields);
	assert_non_null(strstr(g.recorder.calls, "insert 0 ARC-Seal"));
	g.recorder.auth_type = "PLAIN";
	g.recorder.auth_authen = "mallory";
	(void)rig_message(&g, "<a@reject.example>", fields);
	assert_null(strstr(g.recorder.calls, "ARC-Seal"));
	rig_close(&g);
}

static void
count_wait(void *ctx)
{
	++*(size_t *)ctx;
}

/* No thread is called for a message that needs no key. */
static void
test_waits_only_for_keys_that_are_needed(void **state)
{
	static const char *const fields[] = { "Authentication-Results: mx.example.net; dmarc=pass",
		"From: a@reject.example", NULL };
	static const char *const unsealed[] = { "From: a@reject.example", NULL };
	size_t waits = 0;
	const struct waiting waiting = { .begin = count_wait, .ctx = &waits };
	struct rig g;

	(void)state;
	rig_open_sealing(&g, CONF_QUARANTINE_HOLD, true, true);
	session_free(&g.session);
	g.session = session_new(g.service, true, &waiting);
	rig_connect(&g, "203.0.113.1");
	(void)rig_message(&g, "<a@reject.example>", unsealed);
	g.recorder.auth_authen = "alice"; /* there is no key for her domain */
	(void)rig_message(&g, "<a@reject.example>", unsealed);
	assert_int_equal(waits, 0);
	g.recorder.auth_authen = NULL;
	(void)rig_message(&g, "<a@reject.example>", fields);
	assert_int_equal(waits, 1);
	rig_close(&g);
}

/* ---- limits ---- */

static void
test_too_many_fields(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, CONF_QUARANTINE_HOLD, true);
	rig_connect(&g, "192.0.2.1");
	(void)session_mail(g.session, &g.mta, "<a@reject.example>");
	(void)session_header(g.session, &g.mta, "From", " a@reject.example");
	for (int i = 0; i < LIMIT_HEADER_FIELDS + 10; i++)
		(void)session_header(g.session, &g.mta, "X-Filler", " x");
	(void)session_end_of_headers(g.session, &g.mta);
	assert_int_equal(session_end_of_message(g.session, &g.mta), ANSWER_TEMPFAIL);
	assert_int_equal(strncmp(g.recorder.calls, "reply 451 4.", 12), 0);
	rig_close(&g);
}

static void
test_too_many_forged_fields(void **state)
{
	static const char *const clients[] = { "192.0.2.1", "203.0.113.9" };

	(void)state;
	for (size_t n = 0; n < 2; n++) {
		struct rig g;

		rig_open(&g, CONF_QUARANTINE_HOLD, true);
		rig_connect(&g, clients[n]);
		(void)session_mail(g.session, &g.mta, "<a@reject.example>");
		for (int i = 0; i < LIMIT_EDITS + 10; i++)
			(void)session_header(
			    g.session, &g.mta, "Authentication-Results", " mx.example.net; none");
		(void)session_end_of_headers(g.session, &g.mta);
		assert_int_equal(session_end_of_message(g.session, &g.mta), ANSWER_TEMPFAIL);
		assert_null(strstr(g.recorder.calls, "change"));
		rig_close(&g);
	}
}

/* Memory of a message has a ceiling, whoever sends it (fields that the header limit doesn't count).
 */
static void
test_memory_is_bounded(void **state)
{
	static char huge[60000];
	struct rusage before, after;
	size_t heap_before, heap_most = 0;
	struct rig g;

	(void)state;
	memset(huge, 'a', sizeof(huge) - 1);
	rig_open_sealing(&g, CONF_QUARANTINE_HOLD, false, true);
	(void)getrusage(RUSAGE_SELF, &before);
	heap_before = heap_in_use();
	rig_connect(&g, "203.0.113.9");
	(void)session_mail(g.session, &g.mta, "<a@reject.example>");
	for (int i = 0; i < 900; i++) { /* 54 MB */
		(void)session_header(g.session, &g.mta, "Authentication-Results", huge);
		if (heap_in_use() > heap_most)
			heap_most = heap_in_use();
	}
	(void)session_header(g.session, &g.mta, "Authentication-Results", "mx.example.net; none");
	assert_int_equal(session_end_of_message(g.session, &g.mta), ANSWER_CONTINUE);
	assert_non_null(strstr(g.recorder.calls, "change Authentication-Results 901 delete\n"));
	(void)getrusage(RUSAGE_SELF, &after);
	printf("54 MB of fields: %zu KiB of heap, %zu KiB afterwards\n",
	    (heap_most - heap_before) / 1024, (heap_in_use() - heap_before) / 1024);
	assert_true(
	    heap_most - heap_before <= LIMIT_MESSAGE_MEMORY / 4 * 5); /* arena.c: LARGE_BYTES */
	assert_true(heap_in_use() - heap_before <= LIMIT_MESSAGE_MEMORY / 100);
	/* And what was let go meanwhile; a sanitizer keeps it, and shadows of all. */
	if (getenv("ASSAY_SANITIZED") == NULL)
		assert_true(after.ru_maxrss - before.ru_maxrss < 4 * LIMIT_MESSAGE_MEMORY / 1024);
	rig_close(&g);
}

/* ---- shutdown ---- */

static void
test_traffic_drains(void **state)
{
	struct rig g;

	(void)state;
	rig_open(&g, CONF_QUARANTINE_HOLD, true);
	rig_connect(&g, "192.0.2.1");
	run_steps(&g, 3);
	assert_int_equal(atomic_load(&g.traffic.messages_open), 1);
	assert_true(traffic_session_begin(&g.traffic));
	traffic_close(&g.traffic);
	assert_false(traffic_session_begin(&g.traffic));
	(void)session_end_of_message(g.session, &g.mta);
	assert_int_equal(atomic_load(&g.traffic.messages_open), 0);
	/* One that begins later is not waited for. */
	run_steps(&g, 3);
	assert_int_equal(atomic_load(&g.traffic.messages_open), 0);
	rig_close(&g);
}

/* To end one may take seconds: no session does it, the last of a former service neither. */
static void
test_a_session_ends_no_service(void **state)
{
	struct service_slot slot;
	struct service *current;
	struct rig former, now;

	(void)state;
	rig_open(&former, CONF_QUARANTINE_HOLD, true);
	rig_open(&now, CONF_QUARANTINE_HOLD, true);
	service_slot_init(&slot, former.service); /* which is the session's and the slot's now */
	former.service = NULL;
	assert_false(service_slot_sweep(&slot));
	service_slot_set(&slot, service_ref(now.service));
	assert_true(service_slot_sweep(&slot));
	rig_connect(&former, "203.0.113.1"); /* it goes on as it was */
	rig_close(&former);
	assert_non_null(slot.retired);
	assert_false(service_slot_sweep(&slot));
	assert_null(slot.retired);
	current = service_slot_get(&slot);
	assert_ptr_equal(current, now.service);
	service_unref(&current);
	rig_close(&now);
	service_slot_fini(&slot);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_quarantine_calls),
		cmocka_unit_test(test_reply_carries_queue_id),
		cmocka_unit_test(test_forged_fields_go),
		cmocka_unit_test(test_forged_fields_go_for_the_skipped),
		cmocka_unit_test(test_authenticated_are_evaluated_when_asked),
		cmocka_unit_test(test_quarantine_field_of_a_sender),
		cmocka_unit_test(test_refused_edit_is_a_tempfail),
		cmocka_unit_test(test_two_messages_a_connection),
		cmocka_unit_test(test_authentication_is_asked_for_each_message),
		cmocka_unit_test(test_results_of_a_login_are_not_sealed),
		cmocka_unit_test(test_waits_only_for_keys_that_are_needed),
		cmocka_unit_test(test_abort_anywhere),
		cmocka_unit_test(test_callbacks_out_of_order),
		cmocka_unit_test(test_no_end_of_headers),
		cmocka_unit_test(test_too_many_fields),
		cmocka_unit_test(test_too_many_forged_fields),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_traffic_drains),
		cmocka_unit_test(test_a_session_ends_no_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
