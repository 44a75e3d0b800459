/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         sealing - mail that goes on gets an ARC set
 * DESCRIPTION  Begun at MAIL FROM where the configuration seals; told the recipients; fed the
 * message; then, once it is known what was found, one set is made (policy/arc/seal.h) and put on
 * top. What was found is either what the evaluation says, or, for mail of our own hosts, what we
 * wrote into Authentication-Results when it came in (policy/own_results.h): a second hop inside our
 * organization neither validates what the first one's software changed, nor seals cv=fail for it.
 * Mail of our own hosts without such results, and of clients that logged in, is not sealed: there
 * is nothing to say about it. DIAGNOSTICS  A set that can't be made is logged, and the message goes
 * on without.
 */
#ifndef ASSAY_SEALING_H
#define ASSAY_SEALING_H

#include "milter/outgoing.h"
#include "policy/decide.h"

struct sealing;

/* At MAIL FROM. own_host: the client is in trusted_networks and has not logged in. NULL: nothing is
 * sealed. */
struct sealing *sealing_begin(
    struct arena *a, const struct outgoing_parts *parts, bool evaluated, bool own_host);
void sealing_recipient(struct sealing *s, struct slice recipient);
/* value in wire form. */
void sealing_header(struct sealing *s, struct slice name, struct slice value);
void sealing_end_of_headers(struct sealing *s, int64_t now_s);
/* False: it will not be sealed, the rest of the body makes no difference. */
bool sealing_body(struct sealing *s, struct slice chunk);
/* Will sealing_seal() have to wait, for who has the key? */
bool sealing_will_wait(const struct sealing *s);
/* v: NULL where the message was not evaluated. */
void sealing_seal(
    struct sealing *s, const struct verdict *v, const struct disposition *d, struct slice queue_id);
/* Put the set on top of the message, above our Authentication-Results. 0, or -1: the MTA refused.
 */
int sealing_insert(const struct sealing *s, const struct mta *mta)
    __attribute__((warn_unused_result));
/* Before the arena is reset. *s becomes NULL; NULL is accepted. */
void sealing_end(struct sealing **s);

#endif
