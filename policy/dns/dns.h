/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         dns - question in, answer out
 * DESCRIPTION  Three layers, outermost first:
 *
 *              struct lookups    one message: remembers every question with its answer (the verdict
 *                                shows them, the recorder writes them), keeps the answers alive,
 *                                and holds the message to its budget of time and of questions.
 *              struct resolver   the process: sharded cache with single flight in front of
 *              struct dns_backend  one of: libunbound, a zone file, a test's fake.
 *
 *              Methods (spf, dkim, ...) know struct lookups and struct dns_answer only.
 *              A CNAME is followed by the backend; the answer's records are those at its end.
 * DIAGNOSTICS  Trouble is never a failed call but an answer with status DNS_TEMPFAIL and a reason.
 */
#ifndef ASSAY_DNS_H
#define ASSAY_DNS_H

#include <stdint.h>
#include <sys/types.h>

#include "policy/base/arena.h"
#include "policy/base/ip.h"
#include "policy/base/waiting.h"

/* Values of the wire (RFC 1035 3.2.2, RFC 3596 2.1). */
enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
};

/* clang-format off */
#define DNS_STATUSES(X) \
	X(DNS_OK,       "ok")		/* at least one record */ \
	X(DNS_NODATA,   "nodata")	/* the name exists, or something below it does */ \
	X(DNS_NXDOMAIN, "nxdomain")	/* RFC 8020: nor does anything below */ \
	X(DNS_TEMPFAIL, "tempfail")

#define DNS_REASONS(X) \
	X(DNS_R_NONE,      "") \
	X(DNS_R_BAD_NAME,  "not a domain name")			/* with DNS_NXDOMAIN: never asked */ \
	X(DNS_R_TIMEOUT,   "timed out") \
	X(DNS_R_SERVFAIL,  "server failure") \
	X(DNS_R_BOGUS,     "DNSSEC validation failed") \
	X(DNS_R_MALFORMED, "malformed answer") \
	X(DNS_R_RECORDS,   "more records than are read") \
	X(DNS_R_BUDGET,    "time budget of the message used up") \
	X(DNS_R_TOO_MANY,  "too many lookups for one message") \
	X(DNS_R_BUSY,      "too many queries under way")		/* ours, not the name's: never cached */ \
	X(DNS_R_CLOSING,   "resolver is shutting down")

#define DNS_SECURITIES(X) \
	X(DNS_INSECURE, "insecure")	/* not signed, or not validated */ \
	X(DNS_SECURE,   "secure") \
	X(DNS_BOGUS,    "bogus")
/* clang-format on */

#include "policy/base/enumtab.h"
enum dns_status { DNS_STATUSES(ENUMTAB_NAME) };
enum dns_reason { DNS_REASONS(ENUMTAB_NAME) };
enum dns_security { DNS_SECURITIES(ENUMTAB_NAME) };

const char *dns_status_word(enum dns_status);
const char *dns_reason_text(enum dns_reason);
const char *dns_security_word(enum dns_security);
const char *dns_type_word(enum dns_type);

/* Which member holds is said by the type that was asked. Names: lower case, no final dot; a root
 * target (null MX) is the empty slice. */
struct dns_record {
	union {
		struct ip_address address; /* A, AAAA */
		struct slice name;	   /* PTR, CNAME, NS */
		struct slice text; /* TXT, strings joined without anything between (RFC 9989 4.5) */
		struct {
			uint16_t preference;
			struct slice host;
		} mx;
	};
};

/* Immutable once made; MT: shared by counted reference. */
struct dns_answer {
	enum dns_status status;
	enum dns_reason reason;
	enum dns_security security;
	uint32_t ttl_s; /* as received, within the cache's floor and ceiling */
	size_t count;
	const struct dns_record *records; /* in order of arrival; MX sorted by preference */
	struct slice
	    detail; /* of a tempfail: more about it, raw (why DNSSEC failed); may be empty */
};

/*
 * Something that costs to make out of an answer (a public key, a parsed record) and is kept with it
 * as long as the answer lives. decode() gets the answer and returns a heap object, or NULL, which
 * is remembered as well. The pointer returned is good as long as the answer is. MT: decode may run
 * twice at once for one answer; one result wins, the other is freed.
 */
struct dns_decoder {
	const char *name; /* identity is the address of the struct */
	void *(*decode)(const struct dns_answer *answer, void *ctx);
	void (*free)(void *object);
};
const void *dns_answer_decoded(
    const struct dns_answer *answer, const struct dns_decoder *decoder, void *ctx);

/* ---- one message ---- */

struct lookups;
struct resolver;

struct lookup { /* one line of the message's DNS story */
	struct slice name;
	enum dns_type type;
	const struct dns_answer *answer; /* NULL while a prefetch is under way and nobody asked */
	uint32_t waited_ms;
	bool cached; /* answered without asking the backend */
};

struct lookups_limits {	      /* the last two for each phase */
	uint32_t timeout_ms;  /* one lookup */
	uint32_t budget_ms;   /* waiting in all */
	uint32_t max_lookups; /* distinct questions */
};

/* Borrows arena and resolver. lookups_fini() must come before the arena is reset. */
struct lookups *lookups_new(
    struct arena *a, struct resolver *resolver, const struct lookups_limits *limits);
/* waiting: copied; told when lookups_ask() is going to wait. */
void lookups_tell_waits(struct lookups *l, const struct waiting *waiting);
/* Releases answers, cancels waits; never blocks. *l becomes NULL; NULL is accepted. */
void lookups_fini(struct lookups **l);

/*
 * Ask, waiting at most what the limits leave. name: any case, one final dot tolerated, copied.
 * Never NULL; valid until lookups_fini(), one with DNS_R_BUDGET until lookups_next_phase(): then
 * it is asked again. The same question gets the same answer again at no cost.
 * MT: one thread at a time for one struct lookups.
 */
const struct dns_answer *lookups_ask(struct lookups *l, struct slice name, enum dns_type type)
    __attribute__((returns_nonnull));

/* Start the lookup and return at once. Counts as a question. */
void lookups_prefetch(struct lookups *l, struct slice name, enum dns_type type);
/* The same, and the answer if it is there already; never waits. NULL: not yet. */
const struct dns_answer *lookups_peek(struct lookups *l, struct slice name, enum dns_type type);

/*
 * A new phase of the message, with time and questions of its own: what the sender's SPF has used up
 * is not missing where the author domain's policy is looked up. Answers already had are kept.
 */
void lookups_next_phase(struct lookups *l);

/* The story so far in the order of asking; prefetched questions that nobody asked have answer NULL
 * unless they have come in meanwhile. The array moves when more is asked. */
const struct lookup *lookups_log(struct lookups *l, size_t *count_r);

/* ---- the process ---- */

struct dns_clock;

struct resolver_options {
	size_t cache_bytes;
	uint32_t ttl_min_s, ttl_max_s, ttl_negative_max_s, ttl_fail_s;
	const struct dns_clock *clock; /* NULL: CLOCK_MONOTONIC; borrowed */
};
extern const struct resolver_options resolver_defaults;

struct resolver_stats {
	uint64_t questions, cache_hits, joined, upstream, tempfails, evictions;
	size_t cache_bytes, cache_entries, in_flight;
};

struct dns_backend;

/* Takes backend. options NULL: the defaults of limits.h. */
struct resolver *resolver_new(struct dns_backend *backend, const struct resolver_options *options);
/* Waits answer "closing", then everything is freed. No struct lookups may be left. */
void resolver_free(struct resolver **r);
void resolver_stats(struct resolver *r, struct resolver_stats *out);
/* Forget all answers (SIGHUP). */
void resolver_flush(struct resolver *r);

/* ---- backends ---- */

enum dns_mode { DNS_MODE_SYSTEM, DNS_MODE_FORWARD, DNS_MODE_RECURSIVE };

struct dns_unbound_options {
	enum dns_mode mode;
	const char *const *forwarders; /* "192.0.2.1", "192.0.2.1@5353"; FORWARD only */
	size_t forwarder_count;
	const char *resolv_conf;       /* NULL: /etc/resolv.conf; SYSTEM only */
	const char *trust_anchor_file; /* NULL: no DNSSEC validation */
};

/*
 * libunbound on a thread of its own. All set-up of the library happens here, before that exists.
 * A name server that can't be reached is no error yet. NULL with *error_r set (arena text).
 * MT: may be called again at reload, while an older one is in use, but by one thread at a time; the
 * library's configuration parser, which is not thread-safe, is never called. Not before a fork.
 */
struct dns_backend *dns_unbound_new(
    struct arena *a, const struct dns_unbound_options *options, const char **error_r);

/*
 * Answers out of zone text (the format of shared/vectors/README.md, "Zone text"); nothing else is
 * asked. text is copied. NULL with *error_r set, naming line and fault (arena text).
 * !TIMEOUT answers at once as a time-out: no test should wait for one.
 */
struct dns_backend *dns_zone_new(struct arena *a, struct slice text, const char **error_r);

/* Zone text from which every question in the log gets the same answer again. Arena memory. */
struct slice dns_zone_write(struct arena *a, const struct lookup *log, size_t count);

#endif
