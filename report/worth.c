/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/worth.h"

static bool
was_accepted(enum report_disposition disposition)
{
	switch (disposition) {
	case REPORT_D_NONE:
	case REPORT_D_PASS:
		return true;
	case REPORT_D_QUARANTINE:
	case REPORT_D_REJECT:
		return false;
	}
	bug("was_accepted: %d", (int)disposition);
}

void
worth_count(struct worth_counts *counts, const struct report_row *row)
{
	uint64_t causes = row->count > row->answers ? row->count - row->answers : 0;

	counts->all += row->count;
	counts->causes += causes;
	if (row->dkim_aligned || row->spf_aligned)
		counts->aligned += causes;
	if (was_accepted(row->disposition))
		counts->accepted += causes;
}

static bool
answer(bool yes, const char *why, const char **why_r)
{
	*why_r = why;
	return yes;
}

bool
worth_reporting(
    const struct worth_rules *rules, const struct worth_counts *counts, const char **why_r)
{
	if (counts->all == 0)
		return answer(false, "no message", why_r);
	if (counts->causes == 0)
		return answer(false, "nothing but reports and bounces", why_r);
	if (rules->when == WORTH_ALWAYS)
		return answer(true, "every period is reported", why_r);
	if (counts->aligned > 0)
		return answer(true, "a message passed aligned", why_r);
	if (rules->when == WORTH_PASS)
		return answer(false, "no message passed aligned", why_r);
	if (counts->accepted > 0)
		return answer(true, "a message was accepted", why_r);
	if (rules->when == WORTH_ACCEPTED)
		return answer(false, "no message passed aligned or was accepted", why_r);
	if (counts->causes >= rules->failures)
		return answer(true, "enough messages failed", why_r);
	return answer(false, "all messages were refused, and they were few", why_r);
}
