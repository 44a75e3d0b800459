/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         exempt - mail that never causes a report
 * DESCRIPTION  Reports about mail (aggregate and failure reports, those on TLS, receipts), bounces,
 *              and automatic replies: a report about one is answered by the next, and two reporters
 *              feed each other for ever (PITFALLS, Reports, 21 and 22). Told by what a message says
 *              of itself, so who forges may say it too. Hence an aggregate report counts them like
 *              any other; they are only no reason to send one (worth.h). A failure report is about
 *              one message, and there is none about one of these.
 */
#ifndef ASSAY_REPORT_EXEMPT_H
#define ASSAY_REPORT_EXEMPT_H

#include "policy/verdict.h"

/* Why the message is one of them (static text), or NULL. */
const char *report_exempt(
    struct arena *a, const struct verdict *v, const struct header_list *header);

#endif
