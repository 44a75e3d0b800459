/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/schema.h"

#include "report/db_backend.h"

static int
read_version(struct db *db, const char *module, int64_t *version_r, const char **error_r)
{
	static const char sql[] = "SELECT version FROM assay_schema WHERE module = $1";
	const struct db_value params[] = { db_text(slice_str(module)) };

	*version_r = 0;
	return db_number(db, sql, params, 1, version_r, error_r) < 0 ? -1 : 0;
}

static int
write_version(struct db *db, const char *module, size_t version, const char **error_r)
{
	static const char sql[] = "INSERT INTO assay_schema (module, version) VALUES ($1, $2) "
				  "ON CONFLICT (module) DO UPDATE SET version = excluded.version";
	const struct db_value params[] = { db_text(slice_str(module)), db_int((int64_t)version) };

	return db_run(db, sql, params, 2, NULL, NULL, error_r);
}

static int
migrate(struct db *db, const char *module, const char *const *scripts, size_t script_count,
    const char **error_r)
{
	int64_t version;

	if (db_script(db,
		"CREATE TABLE IF NOT EXISTS assay_schema "
		"(module TEXT PRIMARY KEY, version BIGINT NOT NULL)",
		error_r) != 0 ||
	    read_version(db, module, &version, error_r) != 0)
		return -1;
	if (version < 0 || (uint64_t)version > script_count) {
		(void)db_set_error(db, DB_F_OTHER,
		    "tables of %s are of version %lld, this program knows up to %zu", module,
		    (long long)version, script_count);
		*error_r = db->error;
		return -1;
	}
	if ((size_t)version == script_count)
		return 0;
	for (size_t i = (size_t)version; i < script_count; i++)
		if (db_script(db, scripts[i], error_r) != 0)
			return -1;
	return write_version(db, module, script_count, error_r);
}

int
schema_migrate(struct db *db, const char *module, const char *const *scripts, size_t script_count,
    const char **error_r)
{
	if (db_begin(db, error_r) != 0)
		return -1;
	if (migrate(db, module, scripts, script_count, error_r) == 0 && db_commit(db, error_r) == 0)
		return 0;
	db_rollback(db);
	return -1;
}
