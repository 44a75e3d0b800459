/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         tail - was something added at the end of a body?
 * DESCRIPTION  Stands between a canonical body and its digest and remembers two snapshots of the
 *              digest with the bytes behind them: LIMIT_TAIL_BYTES at least, twice as much at most,
 *              whatever the length of the body. When the body hash does not verify, each line in
 *              there may be the first that was added: the digest is taken up at the snapshot and
 *              compared at each line. What the body costs more is one copy of its bytes in memory
 *              and one of the digest's state for LIMIT_TAIL_BYTES of it.
 * BUGS         Of a body nothing but a footer is left when all of it is taken for one: a cut that
 *              leaves no line at all is not looked for.
 */
#ifndef ASSAY_SIG_TAIL_H
#define ASSAY_SIG_TAIL_H

#include "policy/sig/sig.h"

struct sig_tail;

/* running: the digest to feed; borrowed, fresh. */
struct sig_tail *sig_tail_new(struct arena *a, const struct crypto *c, struct digest *running);
void sig_tail_fini(struct sig_tail **t); /* *t becomes NULL; NULL is accepted */

/* Instead of digest_update() on the running digest. */
void sig_tail_update(struct sig_tail *t, const char *bytes, size_t len);

/*
 * Is there a cut with which the body has this digest? At the end of the body; the running
 * digest may have been ended. At most LIMIT_TAIL_LINES + LIMIT_TAIL_PARTS short digests.
 */
bool sig_tail_search(struct sig_tail *t, const uint8_t want[SHA256_BYTES], struct sig_cut *out);

#endif
