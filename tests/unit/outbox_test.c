/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way of a report through the outbox, the suppression list beside it, and the rule that says
 * whether there is a report at all.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/outbox.h"
#include "report/suppress.h"
#include "report/worth.h"
#include "tests/support/backend.h"
#include "tests/support/support.h"

#define DAY 86400
#define NOW ((int64_t)1795651200)

static const struct outbox_retry retry = { .interval_s = 900, .most_s = 14400, .limit_s = 2 * DAY };

static char folder[BACKEND_FOLDER_BYTES];

struct box {
	struct arena *arena;
	struct db *db, *other; /* two processes on one file */
	const char *error;
};

#define good(call)                                                                                 \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, b->error);                                       \
	} while (0)

static struct db *
open_file(const char *path)
{
	char *error = NULL;
	struct db *db = db_open_sqlite(path, 2000, &error);

	if (db == NULL)
		fail_msg("%s: %s", path, error);
	return db;
}

static void
open_box(struct box *b)
{
	static unsigned serial;
	char path[128];

	b->arena = arena_new(SIZE_MAX);
	b->error = "?";
	(void)snprintf(path, sizeof(path), "%s/%u.sqlite", folder, serial++);
	b->db = open_file(path);
	b->other = open_file(path);
	good(outbox_prepare(b->db, &b->error));
	good(outbox_prepare(b->other, &b->error));
	good(suppress_prepare(b->db, &b->error));
}

static void
close_box(struct box *b)
{
	db_close(&b->db);
	db_close(&b->other);
	arena_free(&b->arena);
}

static const struct outbox_destination towns[] = {
	{ SLICE("a@one.example"), SLICE("one.example"), SLICE("mx.host.example") },
	{ SLICE("b@two.example"), SLICE("two.example"), SLICE("mx.host.example") },
};

static struct outbox_report
report_of(const char *id)
{
	return (struct outbox_report){ .report_id = slice_str(id),
		.file_name = SLICE("mx.example!one.example!1!2.xml.gz"),
		.domain = SLICE("one.example"),
		.begin_s = NOW - DAY,
		.end_s = NOW - 1,
		.made_s = NOW,
		.summary.messages = 7,
		.bytes = SLICE("\x1f\x8b\0zip") };
}

static void
put_down(struct box *b, const char *id)
{
	const struct outbox_report r = report_of(id);

	good(db_begin(b->db, &b->error));
	good(outbox_add(b->db, &r, towns, 2, &b->error));
	good(db_commit(b->db, &b->error));
}

static size_t
due(struct box *b, int64_t now, struct outbox_delivery **list)
{
	size_t count = 99;

	good(outbox_due(b->db, b->arena, now, 100, list, &count, &b->error));
	return count;
}

static struct outbox_delivery
first_due(struct box *b, int64_t now)
{
	struct outbox_delivery *list;

	if (due(b, now, &list) == 0)
		fail_msg("nothing is due");
	return list[0];
}

static struct outbox_delivery
delivery_to(struct box *b, const char *id, size_t i)
{
	struct outbox_delivery *list;
	size_t count;

	good(outbox_deliveries(b->db, b->arena, slice_str(id), &list, &count, &b->error));
	assert_int_equal(count, 2);
	return list[i];
}

/* ---- put down, read again ---- */

static void
keeps_what_is_put_down(void **state)
{
	struct outbox_delivery *list, found;
	struct outbox_report r;
	struct box box, *b = &box;

	(void)state;
	open_box(b);
	put_down(b, "id1");
	assert_int_equal(outbox_find(b->db, b->arena, SLICE("id1"), true, &r, &b->error), 1);
	assert_true(slice_equal(r.bytes, report_of("id1").bytes));
	assert_slice(r.file_name, "mx.example!one.example!1!2.xml.gz");
	assert_int_equal(r.summary.messages, 7);
	assert_int_equal(outbox_find(b->db, b->arena, SLICE("id2"), true, &r, &b->error), 0);
	assert_int_equal(due(b, NOW, &list), 2);
	assert_int_equal(list[0].token.len, OUTBOX_TOKEN_BYTES);
	assert_false(slice_equal(list[0].token, list[1].token));
	assert_int_equal(outbox_find_token(b->db, b->arena, list[1].token, &found, &b->error), 1);
	assert_slice(found.to.address, "b@two.example");
	assert_int_equal(outbox_find_token(b->db, b->arena, SLICE("none"), &found, &b->error), 0);
	close_box(b);
}

/* Two different reports never share a Report-ID, and what failed left nothing. */
static void
refuses_an_id_twice(void **state)
{
	struct outbox_report r = report_of("id1");
	struct outbox_delivery *list;
	struct box box, *b = &box;

	(void)state;
	open_box(b);
	put_down(b, "id1");
	r.bytes = SLICE("other bytes");
	good(db_begin(b->db, &b->error));
	assert_int_equal(outbox_add(b->db, &r, towns, 1, &b->error), -1);
	assert_int_equal(db_fault(b->db), DB_F_CONFLICT);
	db_rollback(b->db);
	assert_int_equal(due(b, NOW, &list), 2);
	r = report_of("id2");
	good(db_begin(b->db, &b->error));
	good(outbox_add(b->db, &r, towns, 2, &b->error));
	db_rollback(b->db);
	assert_int_equal(due(b, NOW, &list), 2);
	close_box(b);
}

static void
lists_what_was_skipped(void **state)
{
	const struct outbox_report r = report_of("id2");
	struct outbox_report *list;
	struct box box, *b = &box;
	size_t count;

	(void)state;
	open_box(b);
	put_down(b, "id1");
	good(outbox_skip(b->db, &r, SLICE("they were few"), &b->error));
	good(outbox_list(b->db, b->arena, SLICE(""), 10, &list, &count, &b->error));
	assert_int_equal(count, 2);
	assert_slice(list[0].report_id, "id1");
	assert_slice(list[0].why, "");
	assert_slice(list[1].why, "they were few");
	good(outbox_list(b->db, b->arena, SLICE("two.example"), 10, &list, &count, &b->error));
	assert_int_equal(count, 0);
	close_box(b);
}

/* ---- the way of a delivery ---- */

static void
claims_once(void **state)
{
	struct outbox_delivery *list, d;
	struct box box, *b = &box;

	(void)state;
	open_box(b);
	put_down(b, "id1");
	d = first_due(b, NOW);
	assert_int_equal(outbox_claim(b->db, &d, &retry, NOW, &b->error), 1);
	assert_int_equal(outbox_claim(b->other, &d, &retry, NOW, &b->error), 0);
	assert_int_equal(due(b, NOW, &list), 1);
	/* Who claimed it died: it comes again, no attempt is counted. */
	assert_int_equal(due(b, NOW + OUTBOX_LEASE_S - 1, &list), 1);
	assert_int_equal(due(b, NOW + OUTBOX_LEASE_S, &list), 2);
	assert_int_equal(list[1].attempts, 0);
	close_box(b);
}

/* Claimed while the clock was a year ahead. */
static void
survives_a_clock_put_back(void **state)
{
	struct outbox_delivery *list, d;
	struct box box, *b = &box;

	(void)state;
	open_box(b);
	put_down(b, "id1");
	d = first_due(b, NOW);
	assert_int_equal(outbox_claim(b->db, &d, &retry, NOW + 365 * (int64_t)DAY, &b->error), 1);
	assert_int_equal(due(b, NOW, &list), 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(outbox_claim(b->db, &list[i], &retry, NOW, &b->error), 1);
	assert_int_equal(due(b, NOW, &list), 0);
	assert_int_equal(due(b, NOW + OUTBOX_LEASE_S, &list), 2);
	close_box(b);
}

static void
backs_off(void **state)
{
	static const int64_t waits[] = { 900, 1800, 3600, 7200, 14400, 14400 };
	struct outbox_delivery *list, d;
	struct box box, *b = &box;
	int64_t now = NOW, next;
	bool given_up;

	(void)state;
	open_box(b);
	put_down(b, "id1");
	d = first_due(b, now);
	good(outbox_sent(b->db, &d, SLICE("250 ok"), now, &b->error));
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		d = first_due(b, now);
		assert_slice(d.to.address, "b@two.example");
		assert_int_equal(outbox_claim(b->db, &d, &retry, now, &b->error), 1);
		good(outbox_failed(
		    b->db, &d, &retry, SLICE("451 later"), now, &given_up, &b->error));
		assert_false(given_up);
		assert_int_equal(outbox_next(b->db, &next, &b->error), 1);
		assert_int_equal(next, now + waits[i]);
		assert_int_equal(due(b, next - 1, &list), 0);
		now = next;
	}
	d = first_due(b, NOW + 2 * DAY);
	assert_int_equal(d.attempts, 6);
	good(outbox_failed(
	    b->db, &d, &retry, SLICE("451 later"), NOW + 2 * DAY, &given_up, &b->error));
	assert_true(given_up);
	d = delivery_to(b, "id1", 1);
	assert_int_equal(d.state, OUTBOX_GIVEN_UP);
	assert_slice(d.reply, "451 later");
	assert_int_equal(outbox_next(b->db, &next, &b->error), 0);
	close_box(b);
}

/* A re-send is the same report, with the same tokens, and so the same Message-IDs. */
static void
sends_again(void **state)
{
	struct outbox_delivery *list, before[2];
	struct box box, *b = &box;

	(void)state;
	open_box(b);
	put_down(b, "id1");
	for (size_t i = 0; i < 2; i++) {
		before[i] = delivery_to(b, "id1", i);
		good(outbox_end(b->db, &before[i], i == 0 ? OUTBOX_SUPPRESSED : OUTBOX_GIVEN_UP,
		    SLICE("550 no"), NOW, &b->error));
	}
	assert_int_equal(due(b, NOW + 9 * DAY, &list), 0);
	good(outbox_again(b->db, SLICE("id1"), NOW + DAY, &b->error));
	assert_int_equal(due(b, NOW + DAY, &list), 2);
	for (size_t i = 0; i < 2; i++)
		assert_true(slice_equal(list[i].token, before[i].token));
	close_box(b);
}

static void
counts_what_was_sent(void **state)
{
	struct outbox_delivery *list;
	struct outbox_sent_counts n;
	struct box box, *b = &box;
	bool given_up;

	(void)state;
	open_box(b);
	put_down(b, "id1");
	put_down(b, "id2");
	assert_int_equal(due(b, NOW, &list), 4);
	for (size_t i = 0; i < 3; i++)
		good(outbox_sent(b->db, &list[i], SLICE("250 ok"), NOW + (int64_t)i, &b->error));
	good(outbox_count_sent(b->db, &towns[0], NOW, &n, &b->error));
	assert_int_equal(n.total, 3);
	assert_int_equal(n.address, 2);
	assert_int_equal(n.exchanger, 3);
	good(outbox_count_sent(b->db, &towns[1], NOW + 1, &n, &b->error));
	assert_int_equal(n.total, 2);
	assert_int_equal(n.address, 1);
	/* One that bounced was sent all the same, and so was one that is refused. */
	good(outbox_end(b->db, &list[0], OUTBOX_GIVEN_UP, SLICE("bounced"), NOW + 5, &b->error));
	good(outbox_count_sent(b->db, &towns[0], NOW, &n, &b->error));
	assert_int_equal(n.total, 3);
	assert_int_equal(n.exchanger, 3);
	/* What a limit stops is no attempt. */
	good(outbox_postpone(
	    b->db, &list[3], &retry, SLICE("limit"), NOW + DAY, NOW, &given_up, &b->error));
	assert_false(given_up);
	assert_int_equal(due(b, NOW + DAY - 1, &list), 0);
	assert_int_equal(due(b, NOW + DAY, &list), 1);
	assert_int_equal(list[0].attempts, 0);
	/* Nor does it wait for ever, or what spammers' domains asked for would. */
	good(outbox_postpone(b->db, &list[0], &retry, SLICE("limit"), NOW + 3 * DAY, NOW + 2 * DAY,
	    &given_up, &b->error));
	assert_true(given_up);
	good(outbox_count_sent(b->db, &towns[0], NOW, &n, &b->error));
	assert_int_equal(n.total, 3);
	good(outbox_expire(b->db, NOW + 1, &b->error));
	assert_int_equal(due(b, NOW + 9 * DAY, &list), 0);
	close_box(b);
}

/* Two processes have read the same list; one sends, the other finds a limit or a suppression. */
static void
leaves_what_others_send(void **state)
{
	struct outbox_delivery *list;
	struct box box, *b = &box;
	bool given_up;

	(void)state;
	open_box(b);
	put_down(b, "id1");
	assert_int_equal(due(b, NOW, &list), 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(outbox_claim(b->other, &list[i], &retry, NOW, &b->error), 1);
	good(outbox_sent(b->other, &list[0], SLICE("250 ok"), NOW, &b->error));
	for (size_t i = 0; i < 2; i++) {
		good(outbox_postpone(
		    b->db, &list[i], &retry, SLICE("limit"), NOW, NOW, &given_up, &b->error));
		good(outbox_end(
		    b->db, &list[i], OUTBOX_SUPPRESSED, SLICE("bounced"), NOW, &b->error));
	}
	assert_int_equal(delivery_to(b, "id1", 0).state, OUTBOX_SENT);
	assert_int_equal(delivery_to(b, "id1", 1).state, OUTBOX_PENDING);
	assert_int_equal(due(b, NOW + OUTBOX_LEASE_S - 1, &list), 0);
	close_box(b);
}

static void
expires(void **state)
{
	struct outbox_delivery *list;
	struct outbox_report *entries;
	struct box box, *b = &box;
	size_t count;

	(void)state;
	open_box(b);
	put_down(b, "id1");
	put_down(b, "id2");
	(void)due(b, NOW, &list);
	for (size_t i = 0; i < 4; i++)
		if (slice_equal(list[i].report_id, SLICE("id1")))
			good(outbox_sent(b->db, &list[i], SLICE("250 ok"), NOW, &b->error));
	good(outbox_expire(b->db, NOW, &b->error));
	good(outbox_list(b->db, b->arena, SLICE(""), 10, &entries, &count, &b->error));
	assert_int_equal(count, 2);
	/* id2 is still on its way. */
	good(outbox_expire(b->db, NOW + 1, &b->error));
	good(outbox_list(b->db, b->arena, SLICE(""), 10, &entries, &count, &b->error));
	assert_int_equal(count, 1);
	assert_slice(entries[0].report_id, "id2");
	assert_int_equal(due(b, NOW, &list), 2);
	close_box(b);
}

/* ---- suppression ---- */

static int
is_suppressed(struct box *b, const char *address, int64_t now)
{
	struct suppression s;
	int rc = suppress_find(b->db, b->arena, slice_str(address), now, &s, &b->error);

	if (rc < 0)
		fail_msg("%s", b->error);
	return rc;
}

static void
suppresses_longer_each_time(void **state)
{
	static const int64_t days[] = { 1, 3, 10, 30, 90, 90 };
	struct box box, *b = &box;
	int64_t now = NOW;

	(void)state;
	open_box(b);
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		assert_int_equal(is_suppressed(b, "a@x.example", now), 0);
		good(suppress_strike(b->db, SLICE("a@x.example"), SLICE("550"), now, &b->error));
		/* More bounces of the same day change nothing. */
		good(suppress_strike(
		    b->db, SLICE("a@x.example"), SLICE("550"), now + 3600, &b->error));
		assert_int_equal(is_suppressed(b, "a@x.example", now + days[i] * DAY - 1), 1);
		now += days[i] * DAY;
	}
	good(suppress_clear(b->db, SLICE("a@x.example"), now + SUPPRESS_FORGIVE_S, &b->error));
	good(suppress_strike(b->db, SLICE("a@x.example"), SLICE("550"), now, &b->error));
	assert_int_equal(is_suppressed(b, "a@x.example", now + DAY), 0);
	close_box(b);
}

/* The local MTA takes everything, and the bounce comes back an hour later. */
static void
suppresses_longer_who_bounces(void **state)
{
	static const int64_t days[] = { 1, 3, 10 };
	struct box box, *b = &box;
	int64_t now = NOW;

	(void)state;
	open_box(b);
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		good(suppress_clear(b->db, SLICE("a@x.example"), now, &b->error));
		now += 3600;
		good(
		    suppress_strike(b->db, SLICE("a@x.example"), SLICE("bounced"), now, &b->error));
		assert_int_equal(is_suppressed(b, "a@x.example", now + days[i] * DAY - 1), 1);
		now += days[i] * DAY;
		assert_int_equal(is_suppressed(b, "a@x.example", now), 0);
	}
	close_box(b);
}

static void
suppresses_by_hand(void **state)
{
	struct suppression *list;
	struct box box, *b = &box;
	size_t count;

	(void)state;
	open_box(b);
	good(suppress_by_hand(
	    b->db, SLICE("a@x.example"), SLICE("they asked"), NOW, SUPPRESS_FOR_EVER, &b->error));
	good(suppress_strike(b->db, SLICE("a@x.example"), SLICE("550"), NOW, &b->error));
	good(suppress_clear(b->db, SLICE("a@x.example"), NOW, &b->error));
	good(suppress_strike(b->db, SLICE("b@x.example"), SLICE("550"), NOW, &b->error));
	assert_int_equal(is_suppressed(b, "a@x.example", NOW + 9999 * (int64_t)DAY), 1);
	good(suppress_list(b->db, b->arena, &list, &count, &b->error));
	assert_int_equal(count, 2);
	assert_true(list[0].by_hand && !list[1].by_hand);
	assert_slice(list[0].reason, "they asked");
	assert_int_equal(suppress_lift(b->db, SLICE("a@x.example"), &b->error), 1);
	assert_int_equal(suppress_lift(b->db, SLICE("a@x.example"), &b->error), 0);
	assert_int_equal(is_suppressed(b, "a@x.example", NOW), 0);
	close_box(b);
}

/* ---- room ---- */

/* Who failed most makes room, and then who was put off, of the exchanger that most wait for; who
 * has not been looked at stays, and then there is none. */
static void
is_bounded(void **state)
{
	static const char fill_sql[] =
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) "
	    "INSERT INTO outbox_delivery SELECT 'r', 'a' || i, 'd', 'x', 't' || i, 0, "
	    "CASE WHEN i <= 3 THEN i ELSE 0 END, 0, i, 0, CASE WHEN i <= 3 THEN 'why' ELSE '' END "
	    "FROM n";
	static const char put_off_sql[] =
	    "UPDATE outbox_delivery SET reply = 'limit' WHERE address IN ('a5', 'a6');"
	    "UPDATE outbox_delivery SET exchanger = 'y' WHERE address = 'a5'";
	static const char who_sql[] = "SELECT count(*) FROM outbox_delivery WHERE state = 2 AND "
				      "address IN ('a1', 'a2', 'a3', 'a6')";
	static const char left_sql[] = "SELECT count(*) FROM outbox_delivery WHERE state = 0";
	static const char gone_sql[] =
	    "SELECT count(*) FROM outbox_delivery WHERE state = 2 AND attempts = 3 "
	    "AND reply = 'too many others wait; why'";
	struct box box, *b = &box;
	size_t given_up = 0;
	int64_t n = 0;

	(void)state;
	open_box(b);
	good(db_begin(b->db, &b->error));
	good(db_script(b->db, fill_sql, &b->error));
	assert_int_equal(outbox_room(b->db, 1, NOW, &given_up, &b->error), 1);
	assert_int_equal(given_up, 0);
	assert_int_equal(outbox_room(b->db, 2, NOW, &given_up, &b->error), 1);
	assert_int_equal(given_up, 1);
	assert_int_equal(db_number(b->db, gone_sql, NULL, 0, &n, &b->error), 1);
	assert_int_equal(n, 1);
	assert_int_equal(outbox_room(b->db, 5, NOW, &given_up, &b->error), 0);
	assert_int_equal(given_up, 1);
	assert_int_equal(db_number(b->db, left_sql, NULL, 0, &n, &b->error), 1);
	assert_int_equal(n, REPORT_OUTBOX_PENDING - 2);
	good(db_script(b->db, put_off_sql, &b->error));
	assert_int_equal(outbox_room(b->db, 5, NOW, &given_up, &b->error), 1);
	assert_int_equal(given_up, 4);
	assert_int_equal(db_number(b->db, who_sql, NULL, 0, &n, &b->error), 1);
	assert_int_equal(n, 4);
	good(db_commit(b->db, &b->error));
	close_box(b);
}

/* ---- worth ---- */

static const struct {
	const char *name;
	enum worth_when when;
	uint64_t causes, aligned, accepted;
	bool yes;
	uint64_t answers;
} worth_rows[] = {
	{ "nothing", WORTH_ALWAYS, 0, 0, 0, false, 0 },
	{ "an aligned pass", WORTH_PASS, 9, 1, 0, true, 0 },
	{ "accepted, but no pass", WORTH_PASS, 9, 0, 9, false, 0 },
	{ "accepted", WORTH_ACCEPTED, 9, 0, 1, true, 0 },
	{ "refused", WORTH_ACCEPTED, 99, 0, 0, false, 0 },
	{ "few refused", WORTH_FAILURES, 9, 0, 0, false, 0 },
	{ "enough refused", WORTH_FAILURES, 10, 0, 0, true, 0 },
	{ "a pass among few", WORTH_FAILURES, 2, 1, 0, true, 0 },
	{ "one forgery", WORTH_ALWAYS, 1, 0, 0, true, 0 },
	{ "nothing but answers", WORTH_ALWAYS, 0, 0, 0, false, 99 },
	{ "answers are no failures", WORTH_FAILURES, 9, 0, 0, false, 99 },
};

static void
asks_for_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(worth_rows) / sizeof(worth_rows[0]); i++) {
		const struct worth_rules rules = { worth_rows[i].when, 10 };
		const struct worth_counts counts = {
			.all = worth_rows[i].causes + worth_rows[i].answers,
			.causes = worth_rows[i].causes,
			.aligned = worth_rows[i].aligned,
			.accepted = worth_rows[i].accepted,
		};
		const char *why = NULL;

		if (worth_reporting(&rules, &counts, &why) != worth_rows[i].yes || why == NULL)
			fail_msg("%s: %s", worth_rows[i].name, why == NULL ? "no reason" : why);
	}
}

static void
counts_rows(void **state)
{
	struct worth_counts n = { 0 };

	(void)state;
	worth_count(&n, &(struct report_row){ .count = 3, .dkim_aligned = true });
	worth_count(&n, &(struct report_row){ .count = 5, .disposition = REPORT_D_REJECT });
	worth_count(&n,
	    &(struct report_row){
		.count = 7, .spf_aligned = true, .disposition = REPORT_D_QUARANTINE });
	worth_count(&n, &(struct report_row){ .count = 4, .answers = 3, .spf_aligned = true });
	assert_int_equal(n.all, 19);
	assert_int_equal(n.causes, 16);
	assert_int_equal(n.aligned, 11);
	assert_int_equal(n.accepted, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_is_put_down),
		cmocka_unit_test(refuses_an_id_twice),
		cmocka_unit_test(lists_what_was_skipped),
		cmocka_unit_test(claims_once),
		cmocka_unit_test(survives_a_clock_put_back),
		cmocka_unit_test(backs_off),
		cmocka_unit_test(sends_again),
		cmocka_unit_test(counts_what_was_sent),
		cmocka_unit_test(leaves_what_others_send),
		cmocka_unit_test(expires),
		cmocka_unit_test(suppresses_longer_each_time),
		cmocka_unit_test(suppresses_longer_who_bounces),
		cmocka_unit_test(suppresses_by_hand),
		cmocka_unit_test(is_bounded),
		cmocka_unit_test(asks_for_reason),
		cmocka_unit_test(counts_rows),
	};

	return backend_run_tests(tests, folder);
}
