/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         dns/internal - what the files of this module share
 * DESCRIPTION  Names in normal form, the resolver's side of struct lookups, parsed zone text.
 */
#ifndef ASSAY_DNS_INTERNAL_H
#define ASSAY_DNS_INTERNAL_H

#include <pthread.h>

#include "policy/base/limits.h"
#include "policy/dns/backend.h"

/*
 * A name as it is compared, kept and asked: ASCII lower case, no final dot, labels of 1..63 bytes,
 * at most 253 in all (RFC 1035 2.3.4). Any byte may stand in a label but the dot: SPF macros put
 * all kinds of them there (RFC 7208 7.3).
 */
struct dns_name {
	size_t len;
	char text[LIMIT_DOMAIN_BYTES + 1];
};

/* One final dot tolerated; the root (empty) is not a name here. 0, or -1 with *out untouched. */
int dns_name_set(struct dns_name *out, struct slice in) __attribute__((warn_unused_result));
struct slice dns_name_slice(const struct dns_name *name);

/* Must c be written \DDD in a name, for zone text and for libunbound alike? */
bool dns_name_escapes(char c);

/* 0, or -1 for a word that is no type of ours. Case is ignored. */
int dns_type_parse(struct slice word, enum dns_type *out) __attribute__((warn_unused_result));

/* ---- time ---- */

uint64_t dns_monotonic_ms(void);

/* What goes by while one waits for an answer. MT: re-entrant. */
struct dns_clock {
	uint64_t (*now_ms)(void); /* monotonic */
	/* pthread_cond_timedwait(): 0 when woken (or for no reason), ETIMEDOUT at until_ms. */
	int (*wait)(pthread_cond_t *, pthread_mutex_t *, uint64_t until_ms);
};

extern const struct dns_clock dns_monotonic; /* CLOCK_MONOTONIC: so must the condition be */

/* ---- resolver ---- */

uint64_t resolver_now_ms(const struct resolver *r);

struct flight; /* one question on its way and those who wait for it */

/*
 * Look into the cache; join or start the question when it isn't there. Gives either a counted
 * answer (*flight_r NULL), or NULL with *flight_r set: a seat on the flight, to be given back by
 * flight_leave(). timeout_ms 0: the cache only; then both may be NULL.
 */
const struct dns_answer *resolver_begin(struct resolver *r, struct slice name, enum dns_type type,
    uint32_t timeout_ms, struct flight **flight_r);

/* Counted answer, or NULL when it has not come: yet, or until resolver_now_ms() is until_ms. Both
 * keep the seat. */
const struct dns_answer *flight_look(struct flight *flight);
const struct dns_answer *flight_wait(struct flight *flight, uint64_t until_ms);
/* *flight becomes NULL. */
void flight_leave(struct flight **flight);

/* ---- zone text ---- */

/* What stands in place of rdata. NODATA, BOGUS and MALFORMED are ours, for dns_zone_write(). */
/* clang-format off */
#define ZONE_SPECIALS(X) \
	X(ZONE_RECORD,    "") \
	X(ZONE_SERVFAIL,  "!SERVFAIL") \
	X(ZONE_TIMEOUT,   "!TIMEOUT") \
	X(ZONE_NXDOMAIN,  "!NXDOMAIN") \
	X(ZONE_NODATA,    "!NODATA") \
	X(ZONE_BOGUS,     "!BOGUS") \
	X(ZONE_MALFORMED, "!MALFORMED")
/* clang-format on */
enum zone_special { ZONE_SPECIALS(ENUMTAB_NAME) };
#define ZONE_SPECIAL_COUNT (ZONE_MALFORMED + 1)
const char *zone_special_word(enum zone_special);

struct zone_line {
	struct slice name;
	bool any; /* TYPE was ANY: type does not count, special is set */
	enum dns_type type;
	enum zone_special special;
	uint32_t ttl_s;
	struct dns_record data; /* of ZONE_RECORD */
	size_t number;		/* line of the text, from 1 */
};

struct zone {
	struct zone_line *lines; /* sorted by name, then by number */
	size_t line_count;
	struct slice *nodes; /* every name that exists: listed or above a listed one; sorted */
	size_t node_count;
};

/* memory holds the zone; *error_r is text in errors. */
int zone_parse(struct arena *memory, struct slice text, struct zone *out, struct arena *errors,
    const char **error_r) __attribute__((warn_unused_result));

/* The answer of the zone (RFC 1034 4.3.2, RFC 4592 3.3). name: normal form. */
struct dns_answer *zone_answer(const struct zone *zone, struct slice name, enum dns_type type);

#endif
