/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         load - many MTA connections to one filter
 * DESCRIPTION  One thread on epoll plays a script over all of them, in writes of 4,096 bytes as
 *              Postfix's buffers make them. A message's time begins with MAIL, that of its end with
 *              the end of the body, and both last until the final answer.
 */
#ifndef ASSAY_BENCH_LOAD_H
#define ASSAY_BENCH_LOAD_H

#include "tests/bench/script.h"

struct load_plan {
	size_t connections;
	size_t messages;		/* in all; the corpus is begun again when it ends */
	size_t messages_per_connection; /* then QUIT and a new one; 0: never */
	uint32_t rate;			/* messages a second; 0: as fast as they are answered */
	bool stay;			/* leave the connections open at the end: load_end() */
	size_t lead_in;			/* messages before it counts as under way */
};

struct load_result {
	size_t messages, accepted, refused, tempfailed;
	size_t wrong;	    /* a forgery accepted, a genuine message refused or tempfailed */
	size_t broken;	    /* connections that the filter closed or talked nonsense on */
	uint64_t took_us;   /* from the first connection to the last answer */
	uint64_t lead_us;   /* the part of it up to the answer to the last of lead_in */
	uint32_t *whole_us; /* of each message, sorted */
	uint32_t *end_us;   /* of each end of message, sorted */
};

struct load;

/* Returns when all messages are answered, or timeout_s is over: then messages has fewer than the
 * plan. Never NULL; borrows s. */
struct load *load_run(const struct script *s, const struct load_plan *plan, uint32_t timeout_s,
    struct load_result *out);
/* Closes what is open; frees all, out's arrays as well. */
void load_end(struct load **l, struct load_result *out);

/* percent of the sorted times; 0 when there are none. */
uint32_t load_percentile(const uint32_t *sorted_us, size_t count, double percent);

#endif
