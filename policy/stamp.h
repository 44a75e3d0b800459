/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         stamp - the Authentication-Results field for a verdict
 * DESCRIPTION  RFC 8601 with the properties registered for iprev, spf, dkim (header.d, header.s,
 * header.b, header.a), arc and dmarc (header.from, policy.dmarc). What was done and every override
 *              stand in the comment behind the dmarc result.
 */
#ifndef ASSAY_STAMP_H
#define ASSAY_STAMP_H

#include "policy/decide.h"

/* The field body, folded with CRLF + HTAB, without leading blank and final CRLF; arena memory. */
struct slice stamp_write(struct arena *a, struct slice authserv_id, const struct verdict *v,
    const struct disposition *d);

/* The same for ARC-Authentication-Results, whose "i=N; " goes before it: with arc=none, too, for
 * those who want to know where the first set began (RFC 8617 6, 7.2.2). */
struct slice stamp_write_sealed(struct arena *a, struct slice authserv_id, const struct verdict *v,
    const struct disposition *d);

#endif
