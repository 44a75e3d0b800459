/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A period with more different rows than it takes: what was there is told in full, what is new in
 * less detail, and every message counts. And tables of an earlier version.
 */
#include <string.h>

#include "policy/base/strbuf.h"
#include "report/aggregate.h"
#include "report/limits.h"
#include "report/store.h"
#include "report/worth.h"
#include "tests/support/backend.h"
#include "tests/support/support.h"

#define NOON  (20000 * 86400LL + 43200)
#define DAY_S 86400
#define NAMES (REPORT_PERIOD_ROWS + 5000) /* envelope domains that somebody makes up */

static char folder[BACKEND_FOLDER_BYTES];
static const char *error = "?";

#define good(call)                                                                                 \
	do {                                                                                       \
		if ((call) != 0)                                                                   \
			fail_msg("%s: %s", #call, error);                                          \
	} while (0)

static struct report_policy
the_policy(void)
{
	return (struct report_policy){
		.domain = SLICE("example.com"),
		.discovery = DMARC_TREEWALK,
		.p = DMARC_P_REJECT,
		.rua = SLICE("mailto:d@example.com"),
	};
}

struct base {
	struct db *db;
	struct store *store;
};

static struct base
open_base(const char *file)
{
	struct backend b;
	struct base base;

	backend_sqlite(&b, folder, file);
	base.db = backend_open(&b, 5000);
	base.store = store_open(base.db, &error);
	if (base.store == NULL)
		fail_msg("%s", error);
	return base;
}

static void
close_base(struct base *base)
{
	store_close(&base->store);
	db_close(&base->db);
}

static struct report_row
row_of(uint32_t source, struct slice envelope_from)
{
	return (struct report_row){
		.source = { .family = IP_V4,
		    .bytes = { 10, (uint8_t)(source >> 16), (uint8_t)(source >> 8),
			(uint8_t)source } },
		.disposition = REPORT_D_REJECT,
		.overrides = { { OVERRIDE_LOCAL_POLICY, SLICE("because") } },
		.override_count = 1,
		.header_from = SLICE("sub.example.com"),
		.envelope_from = envelope_from,
		.has_spf = true,
		.spf_domain = envelope_from,
		.count = 1,
	};
}

static void
append(struct base *base, const struct report_row *row)
{
	const struct report_policy policy = the_policy();

	good(store_append(base->store, &policy, row, NOON, DAY_S, &error));
}

static struct slice
made_up(char name[32], uint32_t n)
{
	(void)snprintf(name, 32, "n%u.example", n);
	return slice_str(name);
}

struct seen {
	uint64_t rows, messages, answers, folded, nowhere; /* the last two: messages */
	uint64_t of_old_acquaintance, of_newcomer;
	struct worth_counts counts;
};

static int
see_row(void *ctx, const struct report_row *row)
{
	struct seen *s = ctx;
	bool folded_here = row->folded && row->source.family == IP_V4;

	s->rows++;
	s->messages += row->count;
	s->answers += row->answers;
	s->folded += row->folded ? row->count : 0;
	s->nowhere += row->source.family == IP_NONE ? row->count : 0;
	if (slice_equal(row->envelope_from, SLICE("good.example")))
		s->of_old_acquaintance += row->count;
	if (folded_here && row->source.bytes[1] == 9)
		s->of_newcomer += row->count;
	if (row->folded) {
		assert_slice(row->header_from, "example.com");
		assert_int_equal(row->envelope_from.len, 0);
		assert_false(row->has_spf);
		assert_int_equal(row->disposition, REPORT_D_REJECT);
		assert_int_equal(row->overrides[0].kind, OVERRIDE_LOCAL_POLICY);
		assert_int_equal(row->overrides[0].comment.len, 0);
	}
	worth_count(&s->counts, row);
	return 0;
}

static struct seen
look(struct base *base, int64_t id)
{
	struct seen seen = { 0 };
	uint64_t unreadable = 0;

	good(store_rows(base->store, id, see_row, &seen, &unreadable, &error));
	assert_int_equal(unreadable, 0);
	return seen;
}

static int
take_number(void *ctx, const struct db_value *c, size_t count)
{
	(void)count;
	*(int64_t *)ctx = c[0].number;
	return 1;
}

static int64_t
row_count(struct base *base)
{
	int64_t n = -1;

	good(db_run(base->db, "SELECT row_count FROM report_periods WHERE id = 1", NULL, 0,
	    take_number, &n, &error));
	return n;
}

static void
names_can_be_made_up_for_ever(void **state)
{
	struct base base = open_base("names.db");
	struct report_row known = row_of(1, SLICE("good.example")), row;
	uint64_t sent = 0;
	struct seen seen;
	char name[32];

	(void)state;
	good(store_begin(base.store, &error));
	append(&base, &known);
	for (uint32_t i = 0; i < NAMES; i++) {
		row = row_of(2, made_up(name, i));
		append(&base, &row);
	}
	sent = 1 + NAMES;
	good(store_commit(base.store, &error));
	assert_int_equal(row_count(&base), REPORT_PERIOD_ROWS + 1);

	/* In a transaction of its own: the count is read again. */
	good(store_begin(base.store, &error));
	for (unsigned i = 0; i < 7; i++)
		append(&base, &known);
	row = row_of(9 << 16, SLICE("newcomer.example"));
	row.answers = 1;
	append(&base, &row);
	good(store_commit(base.store, &error));
	sent += 8;

	seen = look(&base, 1);
	assert_int_equal(seen.messages, sent);
	assert_int_equal(seen.counts.all, sent);
	assert_int_equal(seen.counts.causes, sent - 1);
	assert_int_equal(seen.rows, REPORT_PERIOD_ROWS + 2);
	assert_int_equal(seen.of_old_acquaintance, 8);
	assert_int_equal(seen.of_newcomer, 1); /* his address is told all the same */
	assert_int_equal(seen.answers, 1);
	assert_int_equal(seen.folded, NAMES - (REPORT_PERIOD_ROWS - 1) + 1);
	assert_int_equal(seen.nowhere, 0);
	close_base(&base);
}

static int
hand_over(void *ctx, aggregate_row_fn *row, void *row_ctx, const char **error_r)
{
	struct base *base = ctx;
	uint64_t unreadable;

	return store_rows(base->store, 1, row, row_ctx, &unreadable, error_r);
}

/* What a report says of it: valid, all messages, and why some are told in less detail. */
static void
expect_report(struct base *base, uint64_t sent)
{
	const struct report_policy policy = the_policy();
	const struct aggregate_report report = {
		.org_name = SLICE("Us"),
		.email = SLICE("d@us.example"),
		.report_id = SLICE("1"),
		.begin_s = NOON - 43200,
		.end_s = NOON + 43200,
		.policy = &policy,
		.rows = hand_over,
		.ctx = base,
	};
	struct arena *a = arena_new(SIZE_MAX);
	struct aggregate_output out;

	good(aggregate_write(a, &report, &aggregate_limits_default, &out, &error));
	assert_int_equal(out.summary.messages + out.summary.messages_left_out, sent);
	assert_int_equal(out.summary.messages_left_out, 3000);
	assert_int_equal(out.summary.folded, REPORT_PERIOD_FOLDED_ROWS);
	assert_non_null(memmem(out.xml.p, 4000,
	    "<error>1 more records (3000 messages) are left out of this report; 10000 messages are "
	    "told by their addresses alone: too many differ in names</error>",
	    130));
	(void)printf("%llu records: %zu bytes of XML, %zu compressed\n",
	    (unsigned long long)out.summary.records, out.xml.len, out.gzip.len);
	arena_free(&a);
}

static void
addresses_too(void **state)
{
	struct base base = open_base("addresses.db");
	const uint32_t sources = REPORT_PERIOD_ROWS + REPORT_PERIOD_FOLDED_ROWS + 3000;
	struct seen seen;

	(void)state;
	good(store_begin(base.store, &error));
	for (uint32_t i = 0; i < sources; i++) {
		struct report_row row = row_of(i, SLICE("evil.example"));

		append(&base, &row);
	}
	good(store_commit(base.store, &error));
	seen = look(&base, 1);
	assert_int_equal(seen.messages, sources);
	assert_int_equal(seen.nowhere, 3000);
	assert_int_equal(seen.rows, REPORT_PERIOD_ROWS + REPORT_PERIOD_FOLDED_ROWS + 1);
	expect_report(&base, sources);
	close_base(&base);
}

static void
tables_of_version_1_are_brought_up(void **state)
{
	static const char back[] =
	    "ALTER TABLE report_periods DROP COLUMN row_count; "
	    "ALTER TABLE report_periods DROP COLUMN counted; "
	    "ALTER TABLE report_rows DROP COLUMN answers; DROP TABLE report_forgotten; "
	    "UPDATE assay_schema SET version = 1 WHERE module = 'store'";
	struct base base = open_base("old.db");
	char name[32];

	(void)state;
	good(store_begin(base.store, &error));
	for (uint32_t i = 0; i < 3; i++) {
		struct report_row row = row_of(1, made_up(name, i));

		append(&base, &row);
	}
	good(store_commit(base.store, &error));
	good(db_script(base.db, back, &error));
	close_base(&base);
	base = open_base("old.db");
	assert_int_equal(row_count(&base), 3);
	assert_int_equal(look(&base, 1).messages, 3);
	assert_int_equal(look(&base, 1).answers, 0);
	close_base(&base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_can_be_made_up_for_ever),
		cmocka_unit_test(addresses_too),
		cmocka_unit_test(tables_of_version_1_are_brought_up),
	};
	int rc;

	if (!backend_folder(folder))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	backend_folder_remove(folder);
	return rc;
}
