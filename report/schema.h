/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         schema - tables of a module, made and brought up to date
 * DESCRIPTION  Several modules keep tables in one database; each has a name, a list of scripts and
 *              a row in assay_schema that says how many of them have been run. A change to tables
 *              that are out there is a further script, never an edit.
 * DIAGNOSTICS  -1 with *error_r set: the database's text; or that its tables were made by a later
 *              assay.
 */
#ifndef ASSAY_REPORT_SCHEMA_H
#define ASSAY_REPORT_SCHEMA_H

#include "report/db.h"

/*
 * Run what has not been run yet, all in one transaction of its own. scripts are what db_script()
 * takes; their number is the version. Two processes may do it at once.
 */
int schema_migrate(struct db *db, const char *module, const char *const *scripts,
    size_t script_count, const char **error_r);

#endif
