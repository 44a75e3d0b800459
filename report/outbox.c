/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/outbox.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "policy/base/bug.h"
#include "report/limits.h"
#include "report/schema.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Both databases know BIGINT and BYTEA: SQLite takes any word for a type. */
static const char tables[] =
    "CREATE TABLE outbox_report ("
    " report_id TEXT NOT NULL PRIMARY KEY, domain TEXT NOT NULL, begin_s BIGINT NOT NULL,"
    " end_s BIGINT NOT NULL, made_s BIGINT NOT NULL,"
    " records BIGINT NOT NULL, messages BIGINT NOT NULL, passed BIGINT NOT NULL,"
    " quarantined BIGINT NOT NULL, rejected BIGINT NOT NULL, records_left_out BIGINT NOT NULL,"
    " messages_left_out BIGINT NOT NULL, file_name TEXT NOT NULL, bytes BYTEA,"
    " why TEXT NOT NULL);"
    "CREATE INDEX outbox_report_made ON outbox_report (made_s);"
    "CREATE TABLE outbox_delivery ("
    " report_id TEXT NOT NULL, address TEXT NOT NULL, domain TEXT NOT NULL,"
    " exchanger TEXT NOT NULL, token TEXT NOT NULL, state BIGINT NOT NULL,"
    " attempts BIGINT NOT NULL, next_s BIGINT NOT NULL, made_s BIGINT NOT NULL,"
    " changed_s BIGINT NOT NULL, reply TEXT NOT NULL, PRIMARY KEY (report_id, address));"
    "CREATE UNIQUE INDEX outbox_delivery_token ON outbox_delivery (token);"
    "CREATE INDEX outbox_delivery_due ON outbox_delivery (state, next_s);"
    "CREATE INDEX outbox_delivery_changed ON outbox_delivery (state, changed_s)";

const char *
outbox_state_word(enum outbox_state state)
{
	switch (state) {
	case OUTBOX_PENDING:
		return "pending";
	case OUTBOX_SENT:
		return "sent";
	case OUTBOX_GIVEN_UP:
		return "given up";
	case OUTBOX_SUPPRESSED:
		return "suppressed";
	}
	bug("outbox_state_word: %d", (int)state);
}

int
outbox_prepare(struct db *db, const char **error_r)
{
	static const char *const scripts[] = { tables };

	return schema_migrate(db, "outbox", scripts, COUNT(scripts), error_r);
}

/* ---- putting down ---- */

static int
make_token(char token[OUTBOX_TOKEN_BYTES], const char **error_r)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char random[OUTBOX_TOKEN_BYTES / 2];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
		*error_r = strerror(errno);
		return -1;
	}
	for (size_t i = 0; i < sizeof(random); i++) {
		token[2 * i] = digits[random[i] >> 4];
		token[2 * i + 1] = digits[random[i] & 15];
	}
	return 0;
}

static int
add_delivery(struct db *db, const struct outbox_report *r, const struct outbox_destination *to,
    const char **error_r)
{
	char token[OUTBOX_TOKEN_BYTES];
	const struct db_value values[] = {
		db_text(r->report_id),
		db_text(to->address),
		db_text(to->domain),
		db_text(to->exchanger),
		db_text(slice_of(token, sizeof(token))),
		db_int(OUTBOX_PENDING),
		db_int(r->made_s),
	};

	if (make_token(token, error_r) != 0)
		return -1;
	return db_run(db,
	    "INSERT INTO outbox_delivery (report_id, address, domain, exchanger, token, state,"
	    " attempts, next_s, made_s, changed_s, reply)"
	    " VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $7, $7, '')",
	    values, COUNT(values), NULL, NULL, error_r);
}

static int
add_report(struct db *db, const struct outbox_report *r, struct db_value bytes, struct slice why,
    const char **error_r)
{
	const struct aggregate_summary *n = &r->summary;
	const struct db_value values[] = {
		db_text(r->report_id),
		db_text(r->domain),
		db_int(r->begin_s),
		db_int(r->end_s),
		db_int(r->made_s),
		db_int((int64_t)n->records),
		db_int((int64_t)n->messages),
		db_int((int64_t)n->passed),
		db_int((int64_t)n->quarantined),
		db_int((int64_t)n->rejected),
		db_int((int64_t)n->records_left_out),
		db_int((int64_t)n->messages_left_out),
		db_text(r->file_name),
		bytes,
		db_text(why),
	};

	return db_run(db,
	    "INSERT INTO outbox_report (report_id, domain, begin_s, end_s, made_s, records,"
	    " messages, passed, quarantined, rejected, records_left_out, messages_left_out,"
	    " file_name, bytes, why)"
	    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
	    values, COUNT(values), NULL, NULL, error_r);
}

int
outbox_add(struct db *db, const struct outbox_report *report, const struct outbox_destination *to,
    size_t count, const char **error_r)
{
	if (add_report(db, report, db_blob(report->bytes), SLICE(""), error_r) != 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (add_delivery(db, report, &to[i], error_r) != 0)
			return -1;
	return 0;
}

int
outbox_skip(
    struct db *db, const struct outbox_report *report, struct slice why, const char **error_r)
{
	return add_report(db, report, db_null(), why, error_r);
}

/* ---- room ---- */

int
outbox_room(struct db *db, size_t count, int64_t now_s, size_t *given_up_r, const char **error_r)
{
	static const char pending_sql[] = "SELECT COUNT(*) FROM outbox_delivery WHERE state = $1";
	/* Failed, or put off by a limit: the latter, too, or whoever has thousands of reports made
	 * for himself keeps the others' from being made. */
	static const char looked_at_sql[] =
	    "SELECT COUNT(*) FROM outbox_delivery WHERE state = $1 AND (attempts > 0 OR reply <> "
	    "'')";
	static const char give_up_sql[] =
	    "UPDATE outbox_delivery SET state = $1, changed_s = $2,"
	    " reply = 'too many others wait; ' || reply WHERE token IN"
	    " (SELECT d.token FROM outbox_delivery d JOIN"
	    "   (SELECT exchanger, COUNT(*) AS waiting FROM outbox_delivery WHERE state = $3"
	    "    GROUP BY exchanger) e ON e.exchanger = d.exchanger"
	    "  WHERE d.state = $3 AND (d.attempts > 0 OR d.reply <> '')"
	    "  ORDER BY d.attempts DESC, e.waiting DESC, d.made_s LIMIT $4)";
	struct db_value values[] = { db_int(OUTBOX_GIVEN_UP), db_int(now_s), db_int(OUTBOX_PENDING),
		db_null() };
	int64_t pending = 0, looked_at = 0, over;

	if (db_number(db, pending_sql, &values[2], 1, &pending, error_r) < 0)
		return -1;
	over = pending + (int64_t)count - REPORT_OUTBOX_PENDING;
	if (over <= 0)
		return 1;
	if (db_number(db, looked_at_sql, &values[2], 1, &looked_at, error_r) < 0)
		return -1;
	if (looked_at < over)
		return 0;
	values[3] = db_int(over);
	if (db_run(db, give_up_sql, values, COUNT(values), NULL, NULL, error_r) != 0)
		return -1;
	*given_up_r += (size_t)db_changes(db);
	return 1;
}

/* ---- reading ---- */

#define DELIVERY_COLUMNS                                                                           \
	"SELECT report_id, address, domain, exchanger, token, state, attempts, next_s, made_s,"    \
	" changed_s, reply FROM outbox_delivery "

struct rows { /* what a callback fills */
	struct arena *arena;
	char *list;
	size_t item_size, count, size;
};

/* Room for one more; the address is good until the next. */
static void *
next_row(struct rows *rows)
{
	if (rows->count == rows->size) {
		char *old = rows->list;

		rows->size = rows->size == 0 ? 16 : 2 * rows->size;
		rows->list = arena_array(rows->arena, rows->size, rows->item_size);
		if (old != NULL)
			memcpy(rows->list, old, rows->count * rows->item_size);
	}
	return rows->list + rows->count++ * rows->item_size;
}

static int
take_delivery(void *ctx, const struct db_value *columns, size_t count)
{
	struct rows *rows = ctx;
	struct arena *a = rows->arena;

	(void)count;
	*(struct outbox_delivery *)next_row(rows) = (struct outbox_delivery){
		.report_id = arena_copy(a, columns[0].text),
		.to.address = arena_copy(a, columns[1].text),
		.to.domain = arena_copy(a, columns[2].text),
		.to.exchanger = arena_copy(a, columns[3].text),
		.token = arena_copy(a, columns[4].text),
		.state = (enum outbox_state)columns[5].number,
		.attempts = (uint32_t)columns[6].number,
		.next_s = columns[7].number,
		.made_s = columns[8].number,
		.changed_s = columns[9].number,
		.reply = arena_copy(a, columns[10].text),
	};
	return 0;
}

static int
read_deliveries(struct db *db, struct arena *a, const char *sql, const struct db_value *values,
    size_t value_count, struct outbox_delivery **list_r, size_t *count_r, const char **error_r)
{
	struct rows rows = { .arena = a, .item_size = sizeof(**list_r) };

	if (db_run(db, sql, values, value_count, take_delivery, &rows, error_r) != 0)
		return -1;
	*list_r = (struct outbox_delivery *)(void *)rows.list;
	*count_r = rows.count;
	return 0;
}

int
outbox_due(struct db *db, struct arena *a, int64_t now_s, size_t max,
    struct outbox_delivery **list_r, size_t *count_r, const char **error_r)
{
	const struct db_value values[] = {
		db_int(OUTBOX_PENDING),
		db_int(now_s),
		db_int((int64_t)max),
		db_int(now_s + OUTBOX_FAR_S),
	};

	return read_deliveries(db, a,
	    DELIVERY_COLUMNS "WHERE state = $1 AND (next_s <= $2 OR next_s > $4)"
			     " ORDER BY attempts, next_s, report_id, address LIMIT $3",
	    values, COUNT(values), list_r, count_r, error_r);
}

int
outbox_deliveries(struct db *db, struct arena *a, struct slice report_id,
    struct outbox_delivery **list_r, size_t *count_r, const char **error_r)
{
	const struct db_value values[] = { db_text(report_id) };

	return read_deliveries(db, a, DELIVERY_COLUMNS "WHERE report_id = $1 ORDER BY address",
	    values, COUNT(values), list_r, count_r, error_r);
}

int
outbox_find_token(struct db *db, struct arena *a, struct slice token, struct outbox_delivery *out,
    const char **error_r)
{
	const struct db_value values[] = { db_text(token) };
	struct outbox_delivery *list;
	size_t count;

	if (read_deliveries(db, a, DELIVERY_COLUMNS "WHERE token = $1", values, COUNT(values),
		&list, &count, error_r) != 0)
		return -1;
	if (count == 0)
		return 0;
	*out = list[0];
	return 1;
}

#define REPORT_COLUMNS                                                                             \
	"SELECT report_id, domain, begin_s, end_s, made_s, records, messages, passed,"             \
	" quarantined, rejected, records_left_out, messages_left_out, file_name, why"
enum { REPORT_COLUMN_COUNT = 14 };

static struct aggregate_summary
summary_of(const struct db_value *columns)
{
	return (struct aggregate_summary){
		.records = (uint64_t)columns[0].number,
		.messages = (uint64_t)columns[1].number,
		.passed = (uint64_t)columns[2].number,
		.quarantined = (uint64_t)columns[3].number,
		.rejected = (uint64_t)columns[4].number,
		.records_left_out = (uint64_t)columns[5].number,
		.messages_left_out = (uint64_t)columns[6].number,
	};
}

static int
take_report(void *ctx, const struct db_value *columns, size_t count)
{
	struct rows *rows = ctx;
	struct arena *a = rows->arena;
	struct outbox_report *r = next_row(rows);

	*r = (struct outbox_report){
		.report_id = arena_copy(a, columns[0].text),
		.domain = arena_copy(a, columns[1].text),
		.begin_s = columns[2].number,
		.end_s = columns[3].number,
		.made_s = columns[4].number,
		.summary = summary_of(&columns[5]),
		.file_name = arena_copy(a, columns[12].text),
		.why = arena_copy(a, columns[13].text),
	};
	if (count > REPORT_COLUMN_COUNT && columns[REPORT_COLUMN_COUNT].type == DB_BLOB)
		r->bytes = arena_copy(a, columns[REPORT_COLUMN_COUNT].text);
	return 0;
}

int
outbox_find(struct db *db, struct arena *a, struct slice report_id, bool bytes,
    struct outbox_report *out, const char **error_r)
{
	const struct db_value values[] = { db_text(report_id) };
	struct rows rows = { .arena = a, .item_size = sizeof(struct outbox_report) };
	const char *sql = bytes ? REPORT_COLUMNS ", bytes FROM outbox_report WHERE report_id = $1"
				: REPORT_COLUMNS " FROM outbox_report WHERE report_id = $1";

	if (db_run(db, sql, values, COUNT(values), take_report, &rows, error_r) != 0)
		return -1;
	if (rows.count == 0)
		return 0;
	*out = *(struct outbox_report *)(void *)rows.list;
	return 1;
}

int
outbox_list(struct db *db, struct arena *a, struct slice domain, size_t max,
    struct outbox_report **list_r, size_t *count_r, const char **error_r)
{
	const struct db_value values[] = { db_text(domain), db_int((int64_t)max) };
	struct rows rows = { .arena = a, .item_size = sizeof(struct outbox_report) };
	struct outbox_report *list;

	if (db_run(db,
		REPORT_COLUMNS " FROM outbox_report WHERE ($1 = '' OR domain = $1)"
			       " ORDER BY made_s DESC, report_id DESC LIMIT $2",
		values, COUNT(values), take_report, &rows, error_r) != 0)
		return -1;
	list = (struct outbox_report *)(void *)rows.list;
	for (size_t i = 0; i < rows.count / 2; i++) {
		struct outbox_report e = list[i];

		list[i] = list[rows.count - 1 - i];
		list[rows.count - 1 - i] = e;
	}
	*list_r = list;
	*count_r = rows.count;
	return 0;
}

int
outbox_next(struct db *db, int64_t *next_s_r, const char **error_r)
{
	const struct db_value values[] = { db_int(OUTBOX_PENDING) };

	return db_number(db,
	    "SELECT next_s FROM outbox_delivery WHERE state = $1 ORDER BY next_s LIMIT 1", values,
	    COUNT(values), next_s_r, error_r);
}

/* ---- moving on ---- */

/* interval_s, doubled for each attempt before, and no more than most_s. */
static int64_t
backoff_s(const struct outbox_retry *retry, uint32_t attempts)
{
	int64_t wait = retry->interval_s;

	for (uint32_t i = 0; i < attempts && wait < retry->most_s; i++)
		wait *= 2;
	return wait < retry->most_s ? wait : retry->most_s;
}

int
outbox_claim(struct db *db, const struct outbox_delivery *d, const struct outbox_retry *retry,
    int64_t now_s, const char **error_r)
{
	int64_t wait = backoff_s(retry, d->attempts);
	const struct db_value values[] = {
		db_text(d->report_id),
		db_text(d->to.address),
		db_int(OUTBOX_PENDING),
		db_int(d->next_s),
		db_int(now_s + (wait > OUTBOX_LEASE_S ? wait : OUTBOX_LEASE_S)),
	};

	/* next_s is the one that was read: of two who read it, one finds it changed. */
	if (db_run(db,
		"UPDATE outbox_delivery SET next_s = $5"
		" WHERE report_id = $1 AND address = $2 AND state = $3 AND next_s = $4",
		values, COUNT(values), NULL, NULL, error_r) != 0)
		return -1;
	return db_changes(db) == 1 ? 1 : 0;
}

static int
settle(struct db *db, const struct outbox_delivery *d, enum outbox_state state, uint32_t attempts,
    int64_t next_s, int64_t now_s, struct slice reply, const char **error_r)
{
	const struct db_value values[] = {
		db_text(d->report_id),
		db_text(d->to.address),
		db_int(state),
		db_int(attempts),
		db_int(next_s),
		db_int(now_s),
		db_text(slice_sub(reply, 0, OUTBOX_REPLY_BYTES)),
	};

	return db_run(db,
	    "UPDATE outbox_delivery SET state = $3, attempts = $4, next_s = $5, changed_s = $6,"
	    " reply = $7 WHERE report_id = $1 AND address = $2",
	    values, COUNT(values), NULL, NULL, error_r);
}

/* The same where nobody has claimed it since it was read: who has, says what becomes of it. */
static int
settle_unclaimed(struct db *db, const struct outbox_delivery *d, enum outbox_state state,
    int64_t next_s, int64_t changed_s, struct slice reply, const char **error_r)
{
	const struct db_value values[] = {
		db_text(d->report_id),
		db_text(d->to.address),
		db_int(state),
		db_int(next_s),
		db_int(changed_s),
		db_text(slice_sub(reply, 0, OUTBOX_REPLY_BYTES)),
		db_int(OUTBOX_PENDING),
		db_int(d->next_s),
	};

	return db_run(db,
	    "UPDATE outbox_delivery SET state = $3, next_s = $4, changed_s = $5, reply = $6"
	    " WHERE report_id = $1 AND address = $2 AND state = $7 AND next_s = $8",
	    values, COUNT(values), NULL, NULL, error_r);
}

int
outbox_sent(struct db *db, const struct outbox_delivery *d, struct slice reply, int64_t now_s,
    const char **error_r)
{
	return settle(db, d, OUTBOX_SENT, d->attempts + 1, now_s, now_s, reply, error_r);
}

int
outbox_failed(struct db *db, const struct outbox_delivery *d, const struct outbox_retry *retry,
    struct slice reply, int64_t now_s, bool *given_up_r, const char **error_r)
{
	*given_up_r = now_s - d->made_s >= retry->limit_s;
	return settle(db, d, *given_up_r ? OUTBOX_GIVEN_UP : OUTBOX_PENDING, d->attempts + 1,
	    now_s + backoff_s(retry, d->attempts), now_s, reply, error_r);
}

int
outbox_end(struct db *db, const struct outbox_delivery *d, enum outbox_state state,
    struct slice reply, int64_t now_s, const char **error_r)
{
	if (state == OUTBOX_SUPPRESSED)
		return settle_unclaimed(db, d, state, now_s, now_s, reply, error_r);
	return settle(db, d, state, d->attempts + 1, now_s, now_s, reply, error_r);
}

int
outbox_postpone(struct db *db, const struct outbox_delivery *d, const struct outbox_retry *retry,
    struct slice why, int64_t until_s, int64_t now_s, bool *given_up_r, const char **error_r)
{
	*given_up_r = now_s - d->made_s >= retry->limit_s;
	return settle_unclaimed(db, d, *given_up_r ? OUTBOX_GIVEN_UP : OUTBOX_PENDING, until_s,
	    *given_up_r ? now_s : d->changed_s, why, error_r);
}

int
outbox_again(struct db *db, struct slice report_id, int64_t now_s, const char **error_r)
{
	const struct db_value values[] = {
		db_text(report_id),
		db_int(OUTBOX_PENDING),
		db_int(now_s),
	};

	return db_run(db,
	    "UPDATE outbox_delivery SET state = $2, attempts = 0, next_s = $3"
	    " WHERE report_id = $1",
	    values, COUNT(values), NULL, NULL, error_r);
}

#define WENT_OUT                                                                                   \
	"SELECT COUNT(*) FROM outbox_delivery"                                                     \
	" WHERE state IN ($1, $2) AND changed_s >= $3 AND attempts > 0"

int
outbox_count_sent(struct db *db, const struct outbox_destination *to, int64_t since_s,
    struct outbox_sent_counts *out, const char **error_r)
{
	const struct db_value values[] = {
		db_int(OUTBOX_SENT),
		db_int(OUTBOX_GIVEN_UP),
		db_int(since_s),
		db_text(to->address),
	};
	const struct db_value of_exchanger[] = {
		values[0],
		values[1],
		values[2],
		db_text(to->exchanger),
	};

	if (db_number(db, WENT_OUT, values, 3, &out->total, error_r) < 0 ||
	    db_number(db, WENT_OUT " AND address = $4", values, 4, &out->address, error_r) < 0)
		return -1;
	return db_number(db, WENT_OUT " AND exchanger = $4", of_exchanger, 4, &out->exchanger,
		   error_r) < 0
	    ? -1
	    : 0;
}

int
outbox_expire(struct db *db, int64_t before_s, const char **error_r)
{
	const struct db_value values[] = { db_int(before_s), db_int(OUTBOX_PENDING) };

	if (db_run(db,
		"DELETE FROM outbox_report WHERE made_s < $1 AND NOT EXISTS"
		" (SELECT 1 FROM outbox_delivery d WHERE d.report_id = outbox_report.report_id"
		" AND d.state = $2)",
		values, 2, NULL, NULL, error_r) != 0)
		return -1;
	return db_run(db,
	    "DELETE FROM outbox_delivery WHERE made_s < $1 AND NOT EXISTS"
	    " (SELECT 1 FROM outbox_report r WHERE r.report_id = outbox_delivery.report_id)",
	    values, 1, NULL, NULL, error_r);
}
