/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         exempt - mail that never causes a report
 * DESCRIPTION  Reports about mail (aggregate and failure reports, those on TLS, receipts), and
 *              bounces: a report about one is answered by the next, and two reporters feed each
 *              other for ever (PITFALLS, Reports, 21 and 22). Told by what a report says of
 *              itself; whoever dresses his mail up as one is not reported, and no domain owner
 *              learns less than before he asked for reports.
 */
#ifndef ASSAY_REPORT_EXEMPT_H
#define ASSAY_REPORT_EXEMPT_H

#include "policy/verdict.h"

/* Why the message is one of them (static text), or NULL. */
const char *report_exempt(
    struct arena *a, const struct verdict *v, const struct header_list *header);

#endif
