/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/lease.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "report/schema.h"

static const char *const scripts[] = {
	"CREATE TABLE report_leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, "
	"  until_s BIGINT NOT NULL);",
};

int
lease_open(struct db *db, const char **error_r)
{
	return schema_migrate(db, "lease", scripts, sizeof(scripts) / sizeof(scripts[0]), error_r);
}

static int
take(struct db *db, const char *name, const char *holder, uint32_t seconds, const char **error_r)
{
	static const char sql[] =
	    "INSERT INTO report_leases (name, holder, until_s) VALUES ($1, $2, $3) "
	    "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, "
	    "until_s = excluded.until_s "
	    "WHERE report_leases.holder = excluded.holder OR report_leases.until_s <= $4 "
	    "OR report_leases.until_s > $5";
	struct db_value params[] = { db_text(slice_str(name)), db_text(slice_str(holder)),
		db_null(), db_null(), db_null() };
	int64_t now;

	/* Read in the transaction: waiting for its lock may have taken a while. */
	if (db_now(db, &now, error_r) != 0)
		return -1;
	params[2] = db_int(now + seconds);
	params[3] = db_int(now);
	params[4] = db_int(now + 2 * (int64_t)seconds);
	if (db_run(db, sql, params, 5, NULL, NULL, error_r) != 0)
		return -1;
	return db_changes(db) > 0;
}

int
lease_take(
    struct db *db, const char *name, const char *holder, uint32_t seconds, const char **error_r)
{
	int taken;

	if (db_begin(db, error_r) != 0)
		return -1;
	taken = take(db, name, holder, seconds, error_r);
	if (taken >= 0 && db_commit(db, error_r) == 0)
		return taken;
	db_rollback(db);
	return -1;
}

int64_t
lease_clock_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec;
}

int
lease_keep(struct db *db, const char *name, const char *holder, uint32_t seconds, int64_t *taken_s,
    const char **error_r)
{
	int64_t now = lease_clock_s();
	int taken;

	if (now - *taken_s < seconds / 3)
		return 1;
	taken = lease_take(db, name, holder, seconds, error_r);
	if (taken == 1)
		*taken_s = now;
	return taken;
}

int
lease_held(struct db *db, const char *name, const char *holder, const char **error_r)
{
	static const char sql[] =
	    "SELECT until_s FROM report_leases WHERE name = $1 AND holder = $2";
	const struct db_value params[] = { db_text(slice_str(name)), db_text(slice_str(holder)) };
	int64_t now, until;
	int found;

	if (db_now(db, &now, error_r) != 0)
		return -1;
	found = db_number(db, sql, params, 2, &until, error_r);
	return found == 1 ? until > now : found;
}

int
lease_release(struct db *db, const char *name, const char *holder, const char **error_r)
{
	static const char sql[] = "DELETE FROM report_leases WHERE name = $1 AND holder = $2";
	const struct db_value params[] = { db_text(slice_str(name)), db_text(slice_str(holder)) };

	return db_run(db, sql, params, 2, NULL, NULL, error_r);
}

void
lease_holder(const char *node, char holder[LEASE_HOLDER_BYTES])
{
	uint64_t random = 0;

	/* Without random numbers the process id has to do. */
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		random = 0;
	(void)snprintf(holder, LEASE_HOLDER_BYTES, "%ld-%016llx@%s", (long)getpid(),
	    (unsigned long long)random, node);
}
