/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One table of cases over every back end: what report/store.h promises. And the encoding of rows.
 */
#include <stdlib.h>
#include <string.h>

#include "report/encode.h"
#include "report/limits.h"
#include "report/schema.h"
#include "report/store.h"
#include "tests/support/backend.h"
#include "tests/support/support.h"

#define DAY  86400
#define HOUR 3600
#define NOON (20000 * (int64_t)DAY + DAY / 2)

static char folder[BACKEND_FOLDER_BYTES];
static const char *error; /* of the last call */

#define expect_good(call)                                                                          \
	do {                                                                                       \
		error = "?";                                                                       \
		if ((call) != 0)                                                                   \
			fail_msg("%s: %s", #call, error);                                          \
	} while (0)

/* ---- helpers ---- */

static struct report_policy
policy_of(const char *domain)
{
	return (struct report_policy){
		.domain = slice_str(domain),
		.p = DMARC_P_REJECT,
		.pct = 100,
		.fo = SLICE("0"),
		.rua = SLICE("mailto:dmarc@example.com"),
	};
}

static struct report_row
row_from(uint8_t last_byte)
{
	return (struct report_row){
		.source = { .family = IP_V4, .bytes = { 192, 0, 2, last_byte } },
		.header_from = SLICE("example.com"),
		.count = 1,
	};
}

struct base { /* a database that is empty but for the store's tables */
	struct db *db;
	struct store *store;
};

static struct base
open_again(const struct backend *b)
{
	struct base base = { .db = backend_open(b, 5000) };

	base.store = store_open(base.db, &error);
	if (base.store == NULL)
		fail_msg("%s: %s", b->name, error);
	return base;
}

static struct base
open_empty(const struct backend *b)
{
	struct db *db = backend_open(b, 5000);

	if (db_script(db,
		"DROP TABLE IF EXISTS report_facts; DROP TABLE IF EXISTS report_policies; "
		"DROP TABLE IF EXISTS report_periods; DROP TABLE IF EXISTS report_rows; "
		"DROP TABLE IF EXISTS report_forgotten; DROP TABLE IF EXISTS assay_schema;",
		&error) != 0)
		fail_msg("%s: %s", b->name, error);
	db_close(&db);
	return open_again(b);
}

static void
close_base(struct base *base)
{
	store_close(&base->store);
	db_close(&base->db);
}

static void
append(struct base *b, const struct report_policy *policy, const struct report_row *row,
    int64_t at_s, uint32_t period_s)
{
	expect_good(store_begin(b->store, &error));
	expect_good(store_append(b->store, policy, row, at_s, period_s, &error));
	expect_good(store_commit(b->store, &error));
}

static void
change(struct base *b, int (*function)(struct store *, int64_t, const char **), int64_t id)
{
	expect_good(db_begin(b->db, &error));
	expect_good(function(b->store, id, &error));
	expect_good(db_commit(b->db, &error));
}

struct periods {
	size_t count;
	struct store_period p[8];
	char domains[8][64];
};

static int
keep_period(void *ctx, const struct store_period *p)
{
	struct periods *seen = ctx;

	assert_true(seen->count < 8);
	seen->p[seen->count] = *p;
	(void)snprintf(seen->domains[seen->count], 64, "%.*s", SLICE_ARG(p->domain));
	seen->count++;
	return 0;
}

static struct periods
read_periods(struct base *b, const struct store_query *query)
{
	struct periods seen = { 0 };

	expect_good(store_periods(b->store, query, keep_period, &seen, &error));
	return seen;
}

struct rows {
	size_t count;
	uint64_t messages, answers;
	uint8_t order[4096]; /* last byte of each address */
};

static int
keep_row(void *ctx, const struct report_row *row)
{
	struct rows *seen = ctx;

	seen->order[seen->count++ % sizeof(seen->order)] = row->source.bytes[3];
	seen->messages += row->count;
	seen->answers += row->answers;
	return 0;
}

static struct rows
read_rows(struct base *b, int64_t id)
{
	struct rows seen = { 0 };
	uint64_t unreadable = 1;

	expect_good(store_rows(b->store, id, keep_row, &seen, &unreadable, &error));
	assert_int_equal(unreadable, 0);
	return seen;
}

/* ---- the cases ---- */

static void
equal_rows_are_merged(const struct backend *b)
{
	const struct report_policy policy = policy_of("example.com");
	struct report_row one = row_from(1), two = row_from(2);
	struct base base = open_empty(b);
	const struct store_query all = { 0 };
	struct periods seen;

	two.count = 40;
	append(&base, &policy, &one, NOON, DAY);
	append(&base, &policy, &two, NOON + 1, DAY);
	append(&base, &policy, &one, NOON + 2, DAY);
	seen = read_periods(&base, &all);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.p[0].rows, 2);
	assert_int_equal(seen.p[0].messages, 42);
	assert_int_equal(seen.p[0].state, STORE_OPEN);
	assert_string_equal(seen.domains[0], "example.com");
	assert_int_equal(seen.p[0].begin_s, NOON - DAY / 2);
	assert_int_equal(seen.p[0].end_s, NOON + DAY / 2);
	assert_int_equal(read_rows(&base, seen.p[0].id).messages, 42);
	close_base(&base);
}

/* A report or bounce is the same row as other mail: only how many there were is known. */
static void
answers_are_counted_beside(const struct backend *b)
{
	const struct report_policy policy = policy_of("example.com");
	const struct store_query all = { 0 };
	struct report_row row = row_from(1);
	struct base base = open_empty(b);
	struct rows rows;

	for (uint64_t i = 0; i < 3; i++) {
		row.answers = i == 2 ? 0 : 1;
		append(&base, &policy, &row, NOON, DAY);
	}
	rows = read_rows(&base, read_periods(&base, &all).p[0].id);
	assert_int_equal(rows.count, 1);
	assert_int_equal(rows.messages, 3);
	assert_int_equal(rows.answers, 2);
	close_base(&base);
}

static void
policy_configurations_are_kept_apart(const struct backend *b)
{
	const struct report_policy first = policy_of("example.com"),
				   other = policy_of("example.net");
	struct report_policy changed = first;
	struct base base = open_empty(b);
	const struct report_row row = row_from(1);
	const struct store_query of_com = { .domain = SLICE("example.com") }, all = { 0 };
	struct periods seen;

	changed.testing = true;
	append(&base, &first, &row, NOON, DAY);
	append(&base, &changed, &row, NOON, DAY);
	append(&base, &other, &row, NOON, DAY);
	append(&base, &first, &row, NOON, DAY);
	assert_int_equal(read_periods(&base, &all).count, 3);
	seen = read_periods(&base, &of_com);
	assert_int_equal(seen.count, 2);
	assert_false(seen.p[0].policy.testing);
	assert_true(seen.p[1].policy.testing);
	assert_int_equal(seen.p[0].messages, 2);
	close_base(&base);
}

static void
only_ended_periods_are_due(const struct backend *b)
{
	const struct report_policy policy = policy_of("example.com");
	const struct report_row row = row_from(1);
	struct base base = open_empty(b);
	struct store_query due = { .not_done = true };

	append(&base, &policy, &row, NOON, HOUR);
	append(&base, &policy, &row, NOON + HOUR, HOUR);
	due.ended_by_s = NOON + HOUR - 1;
	assert_int_equal(read_periods(&base, &due).count, 0);
	due.ended_by_s = NOON + HOUR;
	assert_int_equal(read_periods(&base, &due).count, 1);
	due.ended_by_s = NOON + 2 * HOUR;
	assert_int_equal(read_periods(&base, &due).count, 2);
	close_base(&base);
}

static void
a_closed_period_changes_no_more(const struct backend *b)
{
	const struct report_policy policy = policy_of("example.com");
	const struct report_row row = row_from(1);
	const struct store_query not_done = { .not_done = true }, all = { 0 };
	struct base base = open_empty(b);
	struct periods seen;

	append(&base, &policy, &row, NOON, DAY);
	change(&base, store_period_close, read_periods(&base, &all).p[0].id);
	append(&base, &policy, &row, NOON, DAY);
	append(&base, &policy, &row, NOON, DAY);
	seen = read_periods(&base, &all);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.p[0].state, STORE_CLOSED);
	assert_int_equal(seen.p[0].messages, 1);
	assert_int_equal(seen.p[1].state, STORE_OPEN);
	assert_int_equal(seen.p[1].messages, 2);
	assert_true(seen.p[0].id != seen.p[1].id);
	change(&base, store_period_done, seen.p[0].id);
	change(&base, store_period_close, seen.p[0].id); /* done stays done */
	assert_int_equal(read_periods(&base, &all).p[0].state, STORE_DONE);
	assert_int_equal(read_periods(&base, &not_done).count, 1);
	close_base(&base);
}

static void
what_is_rolled_back_was_never_there(const struct backend *b)
{
	const struct report_policy policy = policy_of("example.com");
	const struct report_row row = row_from(1);
	const struct store_query all = { 0 };
	struct base base = open_empty(b);

	expect_good(store_begin(base.store, &error));
	expect_good(store_append(base.store, &policy, &row, NOON, DAY, &error));
	store_rollback(base.store);
	assert_int_equal(read_periods(&base, &all).count, 0);
	append(&base, &policy, &row, NOON, DAY); /* the memo has forgotten it as well */
	assert_int_equal(read_periods(&base, &all).p[0].messages, 1);
	close_base(&base);
}

static void
many_rows_come_in_the_same_order(const struct backend *b)
{
	const struct report_policy policy = policy_of("example.com");
	const struct store_query all = { 0 };
	struct base base = open_empty(b);
	struct rows first, second;
	int64_t id;

	expect_good(store_begin(base.store, &error));
	for (unsigned i = 0; i < 1203; i++) { /* more than two pages */
		struct report_row row = row_from((uint8_t)(i & 0xff));

		row.source.bytes[2] = (uint8_t)(i >> 8);
		expect_good(store_append(base.store, &policy, &row, NOON, DAY, &error));
	}
	expect_good(store_commit(base.store, &error));
	id = read_periods(&base, &all).p[0].id;
	first = read_rows(&base, id);
	second = read_rows(&base, id);
	assert_int_equal(first.count, 1203);
	assert_memory_equal(&first, &second, sizeof(first));
	close_base(&base);
}

static int
count_period(void *ctx, const struct store_period *p)
{
	size_t *count = ctx;

	(void)p;
	(*count)++;
	return 0;
}

static void
many_periods_are_read_to_the_end(const struct backend *b)
{
	const struct report_row row = row_from(1);
	const struct store_query all = { 0 };
	struct base base = open_empty(b);
	size_t count = 0;

	expect_good(store_begin(base.store, &error));
	for (unsigned i = 0; i < 250; i++) {
		char domain[32];
		struct report_policy policy;

		(void)snprintf(domain, sizeof(domain), "d%u.example", i);
		policy = policy_of(domain);
		expect_good(store_append(base.store, &policy, &row, NOON, DAY, &error));
	}
	expect_good(store_commit(base.store, &error));
	expect_good(store_periods(base.store, &all, count_period, &count, &error));
	assert_int_equal(count, 250);
	close_base(&base);
}

#define FORGOTTEN_BYTES 256

/* Domain, periods, messages, days from the first to the last. */
static void
keep_forgotten(void *ctx, const struct store_forgotten *f)
{
	char *text = ctx;
	size_t len = strlen(text);

	(void)snprintf(text + len, FORGOTTEN_BYTES - len, "%.*s %llu %llu %lld; ",
	    SLICE_ARG(f->domain), (unsigned long long)f->periods, (unsigned long long)f->messages,
	    (long long)((f->end_s - f->begin_s) / DAY - 1));
}

static void
pruning_takes_what_it_may(const struct backend *b)
{
	char forgotten[FORGOTTEN_BYTES] = "";
	const struct report_policy policy = policy_of("example.com"),
				   other = policy_of("example.net");
	const struct store_query all = { 0 };
	const struct report_row row = row_from(1);
	struct base base = open_empty(b);
	struct periods seen;
	int64_t left = 0;

	append(&base, &policy, &row, NOON, DAY);	   /* done: goes */
	append(&base, &policy, &row, NOON + DAY, DAY);	   /* not done: stays */
	append(&base, &other, &row, NOON - 30 * DAY, DAY); /* too old: goes */
	seen = read_periods(&base, &all);
	change(&base, store_period_done, seen.p[0].id);
	expect_good(db_begin(base.db, &error));
	assert_int_equal(store_prune(base.store, NOON + 10 * DAY, NOON - 20 * DAY, &error), 0);
	expect_good(db_commit(base.db, &error));
	seen = read_periods(&base, &all);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.p[0].begin_s, NOON + DAY / 2);
	assert_int_equal(
	    db_number(base.db, "SELECT count(*) FROM report_rows", NULL, 0, &left, &error), 1);
	assert_int_equal(left, 1);
	assert_int_equal(
	    db_number(base.db, "SELECT count(*) FROM report_policies", NULL, 0, &left, &error), 1);
	assert_int_equal(left, 1);
	/* What nobody was told of is remembered. */
	expect_good(store_forgotten(base.store, keep_forgotten, &forgotten, &error));
	assert_string_equal(forgotten, "example.net 1 1 0; ");
	expect_good(store_forgotten_clear(base.store, &error));
	expect_good(store_forgotten(base.store, keep_forgotten, NULL, &error));
	close_base(&base);
}

static void
pruning_comes_in_pieces(const struct backend *b)
{
	const struct report_policy policy = policy_of("example.com");
	const struct report_row row_from_1 = row_from(1);
	char forgotten[FORGOTTEN_BYTES] = "";
	struct base base = open_empty(b);
	size_t calls = 1;
	int more;

	expect_good(store_begin(base.store, &error));
	for (unsigned i = 0; i < STORE_PRUNE_ROWS + 100; i++) {
		struct report_row row = row_from((uint8_t)(i & 0xff));

		row.source.bytes[2] = (uint8_t)(i >> 8);
		expect_good(store_append(base.store, &policy, &row, NOON, DAY, &error));
	}
	expect_good(store_commit(base.store, &error));
	append(&base, &policy, &row_from_1, NOON + DAY, DAY);
	while ((more = store_prune(base.store, 0, NOON + 2 * DAY, &error)) == 1)
		calls++;
	assert_int_equal(more, 0);
	assert_int_equal(calls, 2);
	/* Its two periods, each once. */
	expect_good(store_forgotten(base.store, keep_forgotten, &forgotten, &error));
	assert_string_equal(forgotten, "example.com 2 2101 1; ");
	assert_int_equal(read_periods(&base, &(const struct store_query){ 0 }).count, 0);
	close_base(&base);
}

static void
ids_and_identity_outlive_everything(const struct backend *b)
{
	const struct report_policy policy = policy_of("example.com");
	const struct store_query all = { 0 };
	const struct report_row row = row_from(1);
	struct base base = open_empty(b);
	uint64_t identity = store_identity(base.store);
	int64_t id;

	append(&base, &policy, &row, NOON, DAY);
	id = read_periods(&base, &all).p[0].id;
	assert_int_equal(store_prune(base.store, 0, NOON + DAY, &error), 0);
	close_base(&base);
	base = open_again(b);
	assert_true(store_identity(base.store) == identity);
	append(&base, &policy, &row, NOON, DAY);
	assert_true(read_periods(&base, &all).p[0].id > id);
	close_base(&base);
}

static void
later_tables_are_refused(const struct backend *b)
{
	struct base base = open_empty(b);
	int64_t n = 0;

	assert_int_equal(schema_migrate(base.db, "store", NULL, 0, &error), -1);
	assert_non_null(strstr(error, "knows up to 0"));
	/* And a module that is new to it does not mind the others. */
	expect_good(schema_migrate(base.db, "other",
	    (const char *const[]){ "CREATE TABLE IF NOT EXISTS other_table (x BIGINT);" }, 1,
	    &error));
	assert_int_equal(
	    db_number(base.db, "SELECT count(*) FROM assay_schema", NULL, 0, &n, &error), 1);
	assert_int_equal(n, 2);
	close_base(&base);
}

/* Whatever bytes there are in a row, both databases take them and give them back. */
static void
any_byte_may_stand_in_a_row(const struct backend *b)
{
	struct report_policy policy = policy_of("example.com");
	const struct store_query all = { 0 };
	struct report_row row = row_from(1);
	struct base base = open_empty(b);

	policy.errors = SLICE("\xff\0\xc3\x28'\"\\");
	row.header_from = SLICE("\0\xf0\x28\x8c\xbc");
	append(&base, &policy, &row, NOON, DAY);
	assert_int_equal(read_rows(&base, read_periods(&base, &all).p[0].id).messages, 1);
	close_base(&base);
}

static const struct backend_case cases[] = {
	BACKEND_CASE(equal_rows_are_merged),
	BACKEND_CASE(answers_are_counted_beside),
	BACKEND_CASE(policy_configurations_are_kept_apart),
	BACKEND_CASE(only_ended_periods_are_due),
	BACKEND_CASE(a_closed_period_changes_no_more),
	BACKEND_CASE(what_is_rolled_back_was_never_there),
	BACKEND_CASE(many_rows_come_in_the_same_order),
	BACKEND_CASE(many_periods_are_read_to_the_end),
	BACKEND_CASE(pruning_takes_what_it_may),
	BACKEND_CASE(pruning_comes_in_pieces),
	BACKEND_CASE(ids_and_identity_outlive_everything),
	BACKEND_CASE(later_tables_are_refused),
	BACKEND_CASE(any_byte_may_stand_in_a_row),
};

BACKEND_TESTS(cases, folder, "store.db")

/* ---- without a database ---- */

static void
periods_begin_at_midnight(void **state)
{
	static const struct {
		int64_t at_s;
		uint32_t period_s;
		int64_t begin_s, end_s;
	} rows[] = {
		{ 0, DAY, 0, DAY },
		{ DAY - 1, DAY, 0, DAY },
		{ DAY, DAY, DAY, 2 * DAY },
		{ DAY + 3599, HOUR, DAY, DAY + 3600 },
		{ DAY + 3600, HOUR, DAY + 3600, DAY + 7200 },
		{ 5 * HOUR, 5 * HOUR, 5 * HOUR, 10 * HOUR },
		{ 23 * HOUR, 5 * HOUR, 20 * HOUR, DAY }, /* the rest of the day */
		{ 7, 1, 7, 8 },
		{ -1, DAY, -DAY, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t begin, end;

		store_period_at(rows[i].at_s, rows[i].period_s, &begin, &end);
		if (begin != rows[i].begin_s || end != rows[i].end_s)
			fail_msg("row %zu: %lld..%lld", i, (long long)begin, (long long)end);
	}
}

static struct report_row
full_row(struct report_signature signatures[3])
{
	struct report_row r = row_from(9);

	signatures[0] = (struct report_signature){ SLICE("example.com"), SLICE("s1"), DKIM_PASS,
		SLICE("") };
	signatures[1] = (struct report_signature){ SLICE("a.example"), SLICE("s2"), DKIM_FAIL,
		SLICE("body hash did not verify") };
	signatures[2] = (struct report_signature){ SLICE("b.example"), SLICE("s3"), DKIM_TEMPERROR,
		SLICE("key lookup failed") };
	r.disposition = REPORT_D_QUARANTINE;
	r.dkim_aligned = true;
	r.overrides[0] = (struct report_override){ OVERRIDE_MAILING_LIST, SLICE("list.example") };
	r.overrides[1] = (struct report_override){ OVERRIDE_POLICY_TEST_MODE, SLICE("") };
	r.override_count = 2;
	r.envelope_from = SLICE("bounce.example");
	r.envelope_to = SLICE("rcpt.example");
	r.has_spf = true;
	r.spf_domain = SLICE("bounce.example");
	r.spf_result = SPF_SOFTFAIL;
	r.spf_human_result = SLICE("mechanism matched: ~all");
	r.signatures = signatures;
	r.signature_count = 3;
	return r;
}

static void
encoding_goes_both_ways(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct report_signature signatures[3];
	struct report_row row = full_row(signatures), back;
	struct report_policy policy = policy_of("example.com"), policy_back;
	struct slice bytes = report_row_encode(a, &row);

	(void)state;
	assert_int_equal(report_row_decode(a, bytes, &back, &error), 0);
	assert_true(slice_equal(report_row_encode(a, &back), bytes));
	assert_int_equal(back.signature_count, 3);
	assert_slice(back.signatures[1].human_result, "body hash did not verify");
	assert_int_equal(back.overrides[1].kind, OVERRIDE_POLICY_TEST_MODE);
	assert_int_equal(back.spf_result, SPF_SOFTFAIL);
	assert_true(ip_equal(&back.source, &row.source));
	assert_int_equal(back.count, 0);

	policy.strict_spf = true;
	policy.np = DMARC_P_QUARANTINE;
	bytes = report_policy_encode(a, &policy);
	assert_int_equal(report_policy_decode(bytes, &policy_back, &error), 0);
	assert_true(slice_equal(report_policy_encode(a, &policy_back), bytes));
	assert_true(policy_back.strict_spf);
	assert_int_equal(policy_back.np, DMARC_P_QUARANTINE);
	assert_int_equal(policy_back.sp, DMARC_P_UNSET);
	arena_free(&a);
}

/* Cut anywhere, lengthened, or with any byte another: read or refused, never believed too far. */
static void
encoding_is_not_believed(void **state)
{
	struct arena *a = arena_new(64 << 20);
	struct report_signature signatures[3];
	struct report_row row = full_row(signatures), back;
	struct slice bytes = report_row_encode(a, &row);
	char copy[1024];

	(void)state;
	assert_true(bytes.len < sizeof(copy));
	for (size_t len = 0; len < bytes.len; len++)
		assert_int_equal(report_row_decode(a, slice_of(bytes.p, len), &back, &error), -1);
	memcpy(copy, bytes.p, bytes.len);
	copy[bytes.len] = 0;
	assert_int_equal(report_row_decode(a, slice_of(copy, bytes.len + 1), &back, &error), -1);
	for (size_t at = 0; at < bytes.len; at++) {
		char was = copy[at];

		for (int byte = 0; byte < 256; byte += 5) {
			copy[at] = (char)byte;
			(void)report_row_decode(a, slice_of(copy, bytes.len), &back, &error);
		}
		copy[at] = was;
	}
	arena_free(&a);
}

static void
a_row_has_a_largest_size(void **state)
{
	struct arena *a = arena_new(16 << 20);
	struct report_row row = row_from(1), back;
	static char name[100000];
	struct report_signature signatures[150];
	struct slice bytes;

	(void)state;
	memset(name, 'x', sizeof(name));
	for (size_t i = 0; i < 150; i++)
		signatures[i] = (struct report_signature){ slice_of(name, 253), SLICE("s"),
			DKIM_FAIL, slice_of(name, sizeof(name)) };
	row.signatures = signatures;
	row.signature_count = 150;
	row.header_from = row.envelope_from = row.spf_domain = slice_of(name, sizeof(name));
	row.has_spf = true;
	bytes = report_row_encode(a, &row);
	assert_true(bytes.len < REPORT_SIGNATURE_BYTES + 4096);
	assert_int_equal(report_row_decode(a, bytes, &back, &error), 0);
	assert_int_equal(back.signature_count, REPORT_SIGNATURE_BYTES / (253 + 1 + 200));
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_sqlite),
		cmocka_unit_test(on_postgres),
		cmocka_unit_test(periods_begin_at_midnight),
		cmocka_unit_test(encoding_goes_both_ways),
		cmocka_unit_test(encoding_is_not_believed),
		cmocka_unit_test(a_row_has_a_largest_size),
	};

	return backend_run_tests(tests, folder);
}
