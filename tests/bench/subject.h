/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         subject - a filter that is measured: how it is configured, started, stopped
 * DESCRIPTION  Each in a folder of its own below the lab's, on a Unix socket, with the lab's DNS.
 *              Peers from Debian's packages can be told no DNS port: they are there only where the
 *              lab has a network of its own (lab.h).
 */
#ifndef ASSAY_BENCH_SUBJECT_H
#define ASSAY_BENCH_SUBJECT_H

#include "tests/bench/lab.h"
#include "tests/bench/script.h"
#include "tests/harness/child.h"

enum subject_id {
	SUBJECT_NULL_LIBMILTER,
	SUBJECT_NULL_BARE,
	SUBJECT_ASSAY_LIBMILTER,
	SUBJECT_ASSAY_NATIVE,
	SUBJECT_RSPAMD,
	SUBJECT_OPENDKIM,
	SUBJECT_OPENDMARC,
	SUBJECTS
};

struct subject {
	enum subject_id id;
	struct child child;
	char address[160];
	struct script script;
};

/* As it stands in a table. */
const char *subject_name(enum subject_id id);
/* Is it to reject forgeries, and nothing else? */
bool subject_judges(enum subject_id id);

/* Why it can't be measured here, or NULL. */
const char *subject_absent(const struct lab *lab, enum subject_id id);

/* Start it and learn what it negotiates. 0, or -1: said on standard error, nothing is left. */
int subject_start(
    struct subject *s, const struct lab *lab, enum subject_id id, const struct corpus *corpus);
void subject_stop(struct subject *s);

#endif
