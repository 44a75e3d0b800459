/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         failure - failure reports (RFC 9989 5.3.9), from the message to the queue
 * DESCRIPTION  RFC 6591 with RFC 9991. Off by default. assayd makes an event of a message that
 *              failed in a way that the domain owner wants to hear of (ruf, fo), already redacted:
 *              what is not to be told is not stored either. The queue joins events of one cause and
 *              is bounded; the sender (failure_report.h) takes from it at a limited rate, verifies
 *              the destinations and makes the messages.
 *
 *              Never: for a record with psd=y (RFC 9991 2); about a report or a bounce; where DNS
 *              trouble left the result open. One message causes one report: "dmarc" where fo=0 or 1
 *              asks for it, else a failed signature (fo=d), else SPF (fo=s).
 *
 *              The body of a message is never in it: assay does not keep bodies. Hence no
 *              DKIM-Canonicalized-Body, and of redacted header fields no DKIM-Canonicalized-Header
 *              (RFC 6591 3.2.4: then they MUST NOT be there).
 */
#ifndef ASSAY_REPORT_FAILURE_H
#define ASSAY_REPORT_FAILURE_H

#include "policy/decide.h"
#include "policy/dns/hash.h"
#include "report/db.h"
#include "report/limits.h"

/* clang-format off */
#define FAILURE_TYPES(X) /* RFC 6591 3.3, RFC 9991 4: Auth-Failure */ \
	X(FAILURE_NONE,      "") \
	X(FAILURE_DMARC,     "dmarc") \
	X(FAILURE_BODYHASH,  "bodyhash") \
	X(FAILURE_REVOKED,   "revoked") \
	X(FAILURE_SIGNATURE, "signature") \
	X(FAILURE_SPF,       "spf")
/* clang-format on */
enum failure_type { FAILURE_TYPES(ENUMTAB_NAME) };
const char *failure_type_word(enum failure_type);

/*
 * What report, if any, does the record ask for of this message (RFC 9989 4.7 fo)? *signature_r is
 * the index of the one it is about, for the three that are about one.
 */
enum failure_type failure_type_of(const struct verdict *v, size_t *signature_r);

struct failure_options {	     /* borrowed */
	bool redact;		     /* default; false: header fields as they came */
	uint8_t key[HASH_KEY_BYTES]; /* secret: the same local part gives the same word */
	struct slice authserv_id;    /* of Authentication-Results */
	struct slice reporting_mta;  /* host name */
	struct slice user_agent;     /* "assay/0.1.0" */
};

struct failure_message { /* borrowed */
	const struct verdict *verdict;
	const struct disposition *disposition;
	const struct header_list *header; /* as it came */
	const struct slice *recipients; /* RCPT TO, as they came: none of their local parts stays */
	size_t recipient_count;
	struct slice queue_id;
};

struct failure_event {
	int64_t id;	     /* of the queue */
	struct slice cause;  /* 32 digits: equal for failures that are alike */
	struct slice domain; /* policy domain */
	enum dmarc_discovery discovery;
	struct slice ruf;     /* URIs, one space between */
	struct slice author;  /* author domain */
	struct slice subject; /* of the message, or what stands for it; no line ends */
	struct slice fields;  /* of message/feedback-report, but Incidents; lines end with CR LF */
	struct slice header;  /* of the message; the same */
	int64_t first_s;      /* when the first of them came */
	uint64_t incidents;   /* how many */
	uint64_t room;	      /* of one that was taken: messages that the limits leave for it */
};

/*
 * False: nothing to report. out: arena memory. now_s: Arrival-Date. The caller has asked
 * report_exempt() whether the message is itself a report.
 */
bool failure_event_make(struct arena *a, const struct failure_options *options,
    const struct failure_message *m, int64_t now_s, struct failure_event *out);

/* ---- the queue, in the store's database; db as in store.h ---- */

/* Make the tables where they are not there. 0 or -1. */
int failure_queue_prepare(struct db *db, const char **error_r);

/*
 * In the caller's transaction. 1: queued, or joined to one of its cause; 0: dropped: the queue is
 * full (REPORT_FAILURES_MAX, REPORT_FAILURES_DOMAIN_MAX), or one of its cause was sent less than
 * REPORT_FAILURE_QUIET_S ago and counts the incident. -1 with *error_r set.
 */
int failure_queue_add(struct db *db, const struct failure_event *event, const char **error_r);

struct failure_rate {	     /* RFC 9991 2, 8.1: a rate limit MUST be there */
	uint32_t wait_s;     /* an event waits so long for others of its cause */
	uint32_t per_domain; /* messages for one policy domain in 24 hours */
	uint32_t in_all;     /* messages in 24 hours */
};

/*
 * Take the oldest event that is due and within the limits out of the queue; a transaction of its
 * own. 1: out is filled, arena memory; what becomes of it then is the caller's, it is not given out
 * again; 0: none. Events over the limit stay until failure_queue_prune(). -1 with *error_r set.
 */
int failure_queue_take(struct db *db, struct arena *a, const struct failure_rate *rate,
    int64_t now_s, struct failure_event *out, const char **error_r);

/* So many messages were made of a taken event; before, it counts as one. 0 or -1. */
int failure_queue_count(struct db *db, int64_t id, size_t messages, const char **error_r);

/* It could not be sent now: due again after wait_s, once more, and no longer counted. 0 or -1. */
int failure_queue_return(struct db *db, int64_t id, int64_t until_s, const char **error_r);

/* Delete what is over: sent and quiet, or unsent for REPORT_FAILURE_KEEP_S; a transaction of its
 * own. *dropped_r: events that were never sent. 0 or -1. */
int failure_queue_prune(struct db *db, int64_t now_s, uint64_t *dropped_r, const char **error_r);

#endif
