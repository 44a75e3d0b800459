/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         evaluation - connection, envelope, header, body in; verdict out
 * SYNOPSIS     begin, mail_from, header*, end_of_headers, body*, finish, end. For SPF alone: begin,
 *              mail_from, finish, end.
 * DESCRIPTION  One way, no way back. Time and DNS are given; the engine has no clock, file or
 * socket of its own, so the same input gives the same verdict. DNS lookups wait in mail_from (SPF)
 * and finish (keys, policy); those of finish are started in end_of_headers and travel while the
 * body does.
 */
#ifndef ASSAY_EVALUATION_H
#define ASSAY_EVALUATION_H

#include "policy/verdict.h"

struct evaluator_options {
	struct spf_options spf;
	struct dkim_options dkim;
	struct arc_options arc;
	struct dmarc_options dmarc;
	struct lookups_limits lookups;
	uint64_t
	    sample_seed; /* for pct= (RFC 7489 6.6.4): a secret, or senders choose their luck */
	bool check_helo;
	bool check_iprev;
	bool check_arc;
	bool diagnose_all; /* look into every signature that fails, not only where DMARC fails */
};
extern const struct evaluator_options evaluator_defaults;

struct evaluator; /* MT: immutable */

/* Copies options; borrows resolver, crypto and what options point to until evaluator_free(). */
struct evaluator *evaluator_new(const struct evaluator_options *options, struct resolver *resolver,
    const struct crypto *crypto);
void evaluator_free(struct evaluator **e);

struct evaluation; /* MT: one thread at a time */

/* Everything is carved from a; *c is copied. Starts the lookup of the client's name. */
struct evaluation *evaluation_begin(
    const struct evaluator *e, struct arena *a, const struct connection *c);

/* waiting: copied; told when a call below is going to wait. */
void evaluation_tell_waits(struct evaluation *ev, const struct waiting *waiting);

/* reverse_path: as in MAIL FROM, angle brackets tolerated. Evaluates SPF; may wait for DNS. */
void evaluation_mail_from(struct evaluation *ev, struct slice reverse_path, int64_t now_s);

/* The result of SPF is known from here on; read-only. */
const struct verdict *evaluation_so_far(const struct evaluation *ev);

/*
 * value: everything behind the colon, leading blank included, line ends in any form, no final one.
 * 0, or -1 once a limit of the header is met: the field is not taken, the verdict will name the
 * limit.
 */
int evaluation_header(struct evaluation *ev, struct slice name, struct slice value);
/* The front met a limit of its own (static text): no more is taken, the verdict will name it. */
void evaluation_give_up(struct evaluation *ev, const char *limit);
void evaluation_end_of_headers(struct evaluation *ev);

/* The fields seen so far, in wire form. */
const struct header_list *evaluation_header_list(const struct evaluation *ev);

/* False: no more of the body is needed (the MTA may skip it). */
bool evaluation_body(struct evaluation *ev, struct slice chunk);

/* Once; may wait for DNS. The verdict is valid until evaluation_end(). */
const struct verdict *evaluation_finish(struct evaluation *ev);

/* At any point: after finish, or instead of it when the message was aborted. Must come before the
 * arena is reset. *ev becomes NULL; NULL is accepted. Never waits. */
void evaluation_end(struct evaluation **ev);

#endif
