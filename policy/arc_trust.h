/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         arc_trust - does a chain of trusted sealers say that the author was authenticated?
 * DESCRIPTION  RFC 8617 7.2.1. Everybody may write "dmarc=pass" and seal it, and a trusted sealer
 *              seals what is below it as it finds it. So only results count that a trusted sealer
 *              wrote and that none but trusted sealers could touch since: those of the newest sets
 *              without a gap. One of them must say that DMARC passed for the author domain that the
 *              message has now. That sealer had the message before the others broke it.
 *              The newest AMS must sign From and the whole of the body, or what was vouched for
 *              could be another message.
 * BUGS         A sealer in the list is believed without limit, in what it says and in what it let
 *              through: a message that it sealed once can be sent again (RFC 8617 9.5).
 */
#ifndef ASSAY_ARC_TRUST_H
#define ASSAY_ARC_TRUST_H

#include "policy/arc/arc.h"

/*
 * sealers: domains in normal form, d= is one of them or below it. True with *comment_r set (arena
 * text, printable): "arc=pass as[2].d=... as[2].s=... as[1].d=... remote-ip[1]=...", what RFC 8617
 * 7.2.2 wants in the report; remote-ip is left out where the first set doesn't say it.
 */
bool arc_trust_find(struct arena *a, const struct slice *sealers, size_t sealer_count,
    const struct arc_verdict *arc, struct slice author_domain, const char **comment_r);

#endif
