/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a session to the queue of failure reports: which messages get there, and that nothing is
 * stored that is not to be told. A session over a zone and a store of its own.
 */
#include <string.h>

#include "milter/service.h"
#include "milter/session.h"
#include "report/failure.h"
#include "tests/support/backend.h"
#include "tests/support/support.h"

#define DAY_S	    86400
#define ARENA_BYTES (16u * 1024 * 1024)
#define FILE_BYTES  (BACKEND_FOLDER_BYTES + 16)

static const char zone[] =
    "owner.example TXT 300 \"v=spf1 ip4:192.0.2.1 -all\"\n"
    "_dmarc.owner.example TXT 300 \"v=DMARC1; p=reject; rua=mailto:a@owner.example; "
    "ruf=mailto:f@owner.example,mailto:g@owner.example\"\n"
    "_dmarc.quiet.example TXT 300 \"v=DMARC1; p=reject; rua=mailto:a@quiet.example\"\n";

/* ---- an MTA that agrees with everything ---- */

static int
agree_reply(void *ctx, const char *code, const char *enhanced, const char *text)
{
	(void)ctx, (void)code, (void)enhanced, (void)text;
	return 0;
}

static int
agree_insert(void *ctx, int index, const char *name, const char *value)
{
	(void)ctx, (void)index, (void)name, (void)value;
	return 0;
}

static int
agree_change(void *ctx, const char *name, int index, const char *value)
{
	(void)ctx, (void)name, (void)index, (void)value;
	return 0;
}

static int
agree_quarantine(void *ctx, const char *reason)
{
	(void)ctx, (void)reason;
	return 0;
}

static int
agree_progress(void *ctx)
{
	(void)ctx;
	return 0;
}

static const char *
queue_id(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "i") == 0 ? "4QUEUE" : NULL;
}

static const struct mta_calls agreeing = {
	.reply = agree_reply,
	.insert_header = agree_insert,
	.change_header = agree_change,
	.quarantine = agree_quarantine,
	.progress = agree_progress,
	.macro = queue_id,
};

/* ---- one message through a session, and what the queue has then ---- */

struct letter {
	const char *name, *client, *sender;
	const char *fields[8]; /* "Name: value" */
	size_t recipients;     /* 0: one */
	bool disabled, open;   /* failure_reports = no; failure_redact = no */
	bool want;
};

static struct service *
service_after(const struct service *old, uint32_t period_s, const struct letter *l,
    const char *file, struct traffic *traffic)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct conf *conf = conf_defaults();
	const char *why = "?";
	char *error = NULL;
	struct dns_backend *backend = dns_zone_new(a, slice_str(zone), &why);
	struct service *service;

	if (backend == NULL)
		fail_msg("%s", why);
	arena_free(&a);
	conf->report_store = file;
	conf->report_period_s = period_s;
	conf->hostname = conf->authserv_id = SLICE("mx.here.example");
	conf->failures.enabled = !l->disabled;
	conf->failures.redact = !l->open;
	service = service_over(conf, resolver_new(backend, NULL), traffic, NULL, &error);
	if (service == NULL)
		fail_msg("%s", error);
	service_start_recorder(service, old);
	return service;
}

static void
send_letter(const struct letter *l, struct service *service)
{
	struct session *s = session_new(service, true, NULL);
	const struct mta mta = { &agreeing, NULL };
	struct ip_address client;

	assert_int_equal(ip_parse(slice_str(l->client), &client), 0);
	(void)session_connect(s, &mta, "client.example", &client);
	(void)session_helo(s, &mta, "client.example");
	(void)session_mail(s, &mta, l->sender);
	(void)session_rcpt(s, &mta, "<bob.smith@here.example>");
	for (size_t i = 1; i < l->recipients; i++)
		(void)session_rcpt(s, &mta, "<other@here.example>");
	for (size_t i = 0; l->fields[i] != NULL; i++) {
		const char *colon = strchr(l->fields[i], ':');
		char name[64];

		(void)snprintf(
		    name, sizeof(name), "%.*s", (int)(colon - l->fields[i]), l->fields[i]);
		(void)session_header(s, &mta, name, colon + 1);
	}
	(void)session_end_of_headers(s, &mta);
	(void)session_body(s, &mta, SLICE("Hello.\r\n"));
	(void)session_end_of_message(s, &mta);
	session_free(&s);
}

/* Ends the service, so that all is written. True: an event came out. */
static bool
event_of(const struct letter *l, struct arena *a, struct failure_event *out)
{
	static const struct failure_rate rate = { .per_domain = 10, .in_all = 10 };
	char folder[BACKEND_FOLDER_BYTES], file[FILE_BYTES];
	struct traffic traffic;
	struct service *service;
	struct backend b;
	struct db *db;
	const char *error = "?";
	int rc;

	memset(&traffic, 0, sizeof(traffic));
	assert_true(backend_folder(folder));
	(void)snprintf(file, sizeof(file), "%s/reports.db", folder);
	service = service_after(NULL, DAY_S, l, file, &traffic);
	send_letter(l, service);
	service_unref(&service);
	backend_sqlite(&b, folder, "reports.db");
	db = backend_open(&b, 1000);
	if (failure_queue_prepare(db, &error) != 0)
		fail_msg("%s", error);
	rc = failure_queue_take(db, a, &rate, INT64_C(1) << 40, out, &error);
	if (rc < 0)
		fail_msg("%s", error);
	db_close(&db);
	backend_folder_remove(folder);
	return rc == 1;
}

/* clang-format off */
#define SPOOFED "198.51.100.5", "<bounce+bob.smith=here.example@evil.example>"
static const struct letter letters[] = {
	{ "a spoofed message of a domain with ruf", SPOOFED,
	    { "From: x@owner.example", "To: bob.smith@here.example", "Subject: Hello Bob.Smith" }, .want = true },
	{ "off by default", SPOOFED, { "From: x@owner.example" }, .disabled = true },
	{ "a genuine one", "192.0.2.1", "<x@owner.example>", { "From: x@owner.example" }, .want = false },
	{ "no ruf", SPOOFED, { "From: x@quiet.example" }, .want = false },
	{ "no policy", SPOOFED, { "From: x@none.example" }, .want = false },
	{ "a bounce", "198.51.100.5", "<>",
	    { "From: x@owner.example", "Content-Type: multipart/report; report-type=delivery-status" }, .want = false },
	{ "a failure report", SPOOFED,
	    { "From: x@owner.example", "Content-Type: multipart/report; report-type=feedback-report" }, .want = false },
	{ "an aggregate report", SPOOFED,
	    { "From: x@owner.example", "Subject: Report Domain: a.example Submitter: b.example Report-ID: <c>" }, .want = false },
	{ "as many recipients as are remembered", SPOOFED, { "From: x@owner.example" }, .recipients = LIMIT_RECIPIENTS, .want = true },
	{ "one more: who they are can't be left out", SPOOFED, { "From: x@owner.example" }, .recipients = LIMIT_RECIPIENTS + 1 },
	{ "but where nothing is left out", SPOOFED, { "From: x@owner.example" }, .recipients = LIMIT_RECIPIENTS + 1,
	    .open = true, .want = true },
};
/* clang-format on */

static void
which_are_queued(void **state)
{
	size_t bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
		struct arena *a = arena_new(ARENA_BYTES);
		struct failure_event e;
		bool got = event_of(&letters[i], a, &e);

		if (got != letters[i].want) {
			(void)printf(
			    "FAIL %s: %s\n", letters[i].name, got ? "queued" : "not queued");
			bad++;
		}
		arena_free(&a);
	}
	assert_int_equal(bad, 0);
}

static void
what_is_stored(void **state)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct failure_event e;
	const char *fields, *header;

	(void)state;
	assert_true(event_of(&letters[0], a, &e));
	assert_slice(e.domain, "owner.example");
	assert_slice(e.author, "owner.example");
	assert_slice(e.ruf, "mailto:f@owner.example mailto:g@owner.example");
	assert_int_equal(e.incidents, 1);
	fields = arena_str(a, e.fields);
	header = arena_str(a, e.header);
	assert_non_null(strstr(fields, "Auth-Failure: dmarc\r\n"));
	assert_non_null(strstr(fields, "Identity-Alignment: dkim, spf\r\n"));
	assert_non_null(strstr(fields, "Delivery-Result: reject\r\n"));
	assert_non_null(strstr(fields, "Source-IP: 198.51.100.5\r\n"));
	assert_non_null(strstr(fields, "Original-Envelope-Id: 4QUEUE\r\n"));
	assert_non_null(strstr(fields, "Reporting-MTA: dns; mx.here.example\r\n"));
	assert_null(strcasestr(fields, "bob.smith"));
	assert_null(strcasestr(header, "bob.smith"));
	assert_non_null(strstr(header, "Subject: [redacted]\r\n"));
	arena_free(&a);
}

/* A reload with other settings for the same file, while a session of before goes on. */
static void
a_reload_keeps_the_store(void **state)
{
	char folder[BACKEND_FOLDER_BYTES], file[FILE_BYTES];
	struct service *old, *next;
	struct traffic traffic;

	(void)state;
	memset(&traffic, 0, sizeof(traffic));
	assert_true(backend_folder(folder));
	(void)snprintf(file, sizeof(file), "%s/reports.db", folder);
	old = service_after(NULL, DAY_S, &letters[0], file, &traffic);
	send_letter(&letters[0], old);
	next = service_after(old, DAY_S / 24, &letters[0], file, &traffic);
	send_letter(&letters[0], next);
	send_letter(&letters[0], old);
	assert_int_equal(atomic_load(&traffic.rows), 3);
	assert_int_equal(atomic_load(&traffic.rows_late), 0);
	service_unref(&old);
	send_letter(&letters[0], next);
	assert_int_equal(atomic_load(&traffic.rows), 4);
	service_unref(&next);
	backend_folder_remove(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_are_queued),
		cmocka_unit_test(what_is_stored),
		cmocka_unit_test(a_reload_keeps_the_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
