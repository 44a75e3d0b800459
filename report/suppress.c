/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/suppress.h"

#include <string.h>

#include "report/schema.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DAY_S	     ((int64_t)86400)

static const char tables[] =
    "CREATE TABLE suppression ("
    " address TEXT NOT NULL PRIMARY KEY, strikes BIGINT NOT NULL, since_s BIGINT NOT NULL,"
    " until_s BIGINT NOT NULL, by_hand BIGINT NOT NULL, reason TEXT NOT NULL)";

int
suppress_prepare(struct db *db, const char **error_r)
{
	static const char *const scripts[] = { tables };

	return schema_migrate(db, "suppression", scripts, COUNT(scripts), error_r);
}

int64_t
suppress_interval_s(uint32_t strikes)
{
	static const int64_t days[] = { 1, 3, 10, 30, 90 };
	size_t last = COUNT(days) - 1;
	size_t i = strikes == 0 ? 0 : strikes - 1;

	return days[i < last ? i : last] * DAY_S;
}

struct found {
	struct arena *arena;
	struct suppression *list;
	size_t count, size;
};

static int
take_row(void *ctx, const struct db_value *columns, size_t count)
{
	struct found *f = ctx;

	(void)count;
	if (f->count == f->size) {
		struct suppression *old = f->list;

		f->size = f->size == 0 ? 4 : 2 * f->size;
		f->list = arena_array(f->arena, f->size, sizeof(*f->list));
		if (old != NULL)
			memcpy(f->list, old, f->count * sizeof(*old));
	}
	f->list[f->count++] = (struct suppression){
		.address = arena_copy(f->arena, columns[0].text),
		.strikes = (uint32_t)columns[1].number,
		.since_s = columns[2].number,
		.until_s = columns[3].number,
		.by_hand = columns[4].number != 0,
		.reason = arena_copy(f->arena, columns[5].text),
	};
	return 0;
}

#define COLUMNS "SELECT address, strikes, since_s, until_s, by_hand, reason FROM suppression"

/* 1, 0 or -1. */
static int
read_one(struct db *db, struct arena *a, struct slice address, struct suppression *out,
    const char **error_r)
{
	const struct db_value values[] = { db_text(address) };
	struct found f = { .arena = a };

	if (db_run(db, COLUMNS " WHERE address = $1", values, COUNT(values), take_row, &f,
		error_r) != 0)
		return -1;
	if (f.count == 0)
		return 0;
	*out = f.list[0];
	return 1;
}

static int
write_one(struct db *db, const struct suppression *s, const char **error_r)
{
	const struct db_value values[] = {
		db_text(s->address),
		db_int(s->strikes),
		db_int(s->since_s),
		db_int(s->until_s),
		db_int(s->by_hand),
		db_text(s->reason),
	};

	return db_run(db,
	    "INSERT INTO suppression (address, strikes, since_s, until_s, by_hand, reason)"
	    " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (address) DO UPDATE SET"
	    " strikes = excluded.strikes, since_s = excluded.since_s, until_s = excluded.until_s,"
	    " by_hand = excluded.by_hand, reason = excluded.reason",
	    values, COUNT(values), NULL, NULL, error_r);
}

int
suppress_strike(
    struct db *db, struct slice address, struct slice reason, int64_t now_s, const char **error_r)
{
	struct arena *a = arena_new(SIZE_MAX);
	struct suppression s = { .address = address };
	int rc = read_one(db, a, address, &s, error_r);

	/* The bounces of one day are one refusal: while it lasts, nothing is added. */
	if (rc >= 0 && (s.by_hand || (rc == 1 && now_s < s.until_s))) {
		rc = 0;
	} else if (rc >= 0) {
		s.strikes++;
		s.since_s = now_s;
		s.until_s = now_s + suppress_interval_s(s.strikes);
		s.reason = reason;
		rc = write_one(db, &s, error_r);
	}
	arena_free(&a);
	return rc;
}

int
suppress_clear(struct db *db, struct slice address, int64_t now_s, const char **error_r)
{
	const struct db_value values[] = { db_text(address), db_int(now_s - SUPPRESS_FORGIVE_S) };

	return db_run(db,
	    "DELETE FROM suppression WHERE address = $1 AND by_hand = 0 AND until_s <= $2", values,
	    COUNT(values), NULL, NULL, error_r);
}

int
suppress_by_hand(struct db *db, struct slice address, struct slice reason, int64_t now_s,
    int64_t until_s, const char **error_r)
{
	const struct suppression s = {
		.address = address,
		.since_s = now_s,
		.until_s = until_s,
		.by_hand = true,
		.reason = reason,
	};

	return write_one(db, &s, error_r);
}

int
suppress_lift(struct db *db, struct slice address, const char **error_r)
{
	const struct db_value values[] = { db_text(address) };

	if (db_run(db, "DELETE FROM suppression WHERE address = $1", values, COUNT(values), NULL,
		NULL, error_r) != 0)
		return -1;
	return db_changes(db) > 0 ? 1 : 0;
}

int
suppress_find(struct db *db, struct arena *a, struct slice address, int64_t now_s,
    struct suppression *out, const char **error_r)
{
	int rc = read_one(db, a, address, out, error_r);

	return rc == 1 && now_s >= out->until_s ? 0 : rc;
}

int
suppress_list(struct db *db, struct arena *a, struct suppression **list_r, size_t *count_r,
    const char **error_r)
{
	struct found f = { .arena = a };

	if (db_run(db, COLUMNS " ORDER BY address", NULL, 0, take_row, &f, error_r) != 0)
		return -1;
	*list_r = f.list;
	*count_r = f.count;
	return 0;
}
