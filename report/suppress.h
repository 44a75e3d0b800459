/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         suppress - destinations that get nothing for a while
 * DESCRIPTION  A destination that refuses (5xx) or whose bounce comes back is left alone, each time
 *              longer: a day, then 3, 10, 30, and from then on 90. Reports that are taken once a
 *              week has gone by without a bounce clear that: the server that takes them is most
 *              often not the destination's own, and the bounce comes after. The operator may put
 *              one on the list himself, for a time or for good; only he takes it off again.
 * DIAGNOSTICS  0 or -1 with *error_r as in db.h, unless said otherwise.
 */
#ifndef ASSAY_SUPPRESS_H
#define ASSAY_SUPPRESS_H

#include "policy/base/arena.h"
#include "report/db.h"

#define SUPPRESS_FOR_EVER  INT64_MAX
#define SUPPRESS_FORGIVE_S ((int64_t)7 * 86400) /* RFC 5321 4.5.4.1: bounces take 5 days */

struct suppression {
	struct slice address; /* as destinations are stored */
	uint32_t strikes;     /* 0: put there by hand */
	int64_t since_s, until_s;
	bool by_hand;
	struct slice reason;
};

int suppress_prepare(struct db *db, const char **error_r);

/* How long the n-th strike in a row lasts, n from 1 on. Pure. */
int64_t suppress_interval_s(uint32_t strikes);

/* The destination refused: one strike more. What stands there by hand is not shortened. */
int suppress_strike(
    struct db *db, struct slice address, struct slice reason, int64_t now_s, const char **error_r);

/* A report was taken: strikes that ended SUPPRESS_FORGIVE_S ago are forgotten, what is by hand
 * stays. */
int suppress_clear(struct db *db, struct slice address, int64_t now_s, const char **error_r);

int suppress_by_hand(struct db *db, struct slice address, struct slice reason, int64_t now_s,
    int64_t until_s, const char **error_r);

/* Off the list, whoever put it there. 1: it was there; 0: it was not. */
int suppress_lift(struct db *db, struct slice address, const char **error_r);

/* 1: suppressed at now_s, *out set; 0: not. */
int suppress_find(struct db *db, struct arena *a, struct slice address, int64_t now_s,
    struct suppression *out, const char **error_r);

/* All of them, also those whose time is over, by address. */
int suppress_list(struct db *db, struct arena *a, struct suppression **list_r, size_t *count_r,
    const char **error_r);

#endif
