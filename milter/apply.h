/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         apply - a disposition becomes calls to the MTA
 * DESCRIPTION  The only place that edits a message. First the removals, then what we insert, then
 *              quarantine; nothing is edited in a message that is not going to be delivered.
 * DIAGNOSTICS  Where the MTA refuses an edit the message is tempfailed: it would be delivered with
 *              a forged field in it, or without ours.
 */
#ifndef ASSAY_APPLY_H
#define ASSAY_APPLY_H

#include "milter/edits.h"
#include "milter/outgoing.h"
#include "milter/sealing.h"
#include "policy/decide.h"

/* outgoing, sealing: whose signatures and ARC set go on top, or NULL. authres: the value of our
 * field as stamp_write() made it; empty: insert none. *refused_r: the MTA refused an edit. */
enum answer apply_disposition(struct arena *a, const struct mta *mta, const struct conf *conf,
    const struct edits *edits, const struct disposition *d, const struct outgoing *outgoing,
    const struct sealing *sealing, struct slice authres, bool *refused_r);

/* A header value in wire form as a milter gives it: folded with LF alone (PITFALLS 13). */
const char *apply_lines(struct arena *a, struct slice text);

#endif
