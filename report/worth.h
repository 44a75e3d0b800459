/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         worth - is there reason to tell the owner of a domain about this period?
 * DESCRIPTION  Who reports on everything writes to strangers on the word of whoever forged a From
 *              field, and is listed as a spammer for it (PITFALLS, reports 20-22). Pure: counts and
 *              rules in, answer out.
 */
#ifndef ASSAY_WORTH_H
#define ASSAY_WORTH_H

#include "report/row.h"

enum worth_when {
	WORTH_PASS,	/* only where a message passed aligned: the domain does send us mail */
	WORTH_ACCEPTED, /* or where one was delivered all the same */
	WORTH_FAILURES, /* or where enough of them failed */
	WORTH_ALWAYS,
};

struct worth_rules {
	enum worth_when when;
	uint32_t failures; /* FAILURES: so many messages that did not pass */
};

struct worth_counts { /* messages */
	uint64_t all;
	/* Of those, all but the answers. A report needs one of them, whatever the rules: else two
	 * who report would tell each other of their reports for ever. */
	uint64_t causes;
	uint64_t aligned;  /* of causes: with an aligned pass */
	uint64_t accepted; /* of causes: neither quarantined nor rejected */
};

/* row->count messages more. */
void worth_count(struct worth_counts *counts, const struct report_row *row);

/* *why_r: static text, the reason for either answer. */
bool worth_reporting(
    const struct worth_rules *rules, const struct worth_counts *counts, const char **why_r);

#endif
