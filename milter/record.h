/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         record - messages into the report store (RFC 9989 5.3.7, RFC 7489 6.6.5)
 * DESCRIPTION  A recorder is the writer of one store (report/writer.h) with the log and the
 *              counters of the daemon. Services share it by counted reference as long as the file
 *              stays the same, so a reload does not interrupt it: a file has one writer.
 * DIAGNOSTICS  Trouble never holds up mail: it is logged, while it is the same at most once in
 *              RECORD_LOG_EVERY_S, and counted in struct traffic.
 */
#ifndef ASSAY_RECORD_H
#define ASSAY_RECORD_H

#include "conf/conf.h"
#include "milter/traffic.h"
#include "policy/base/waiting.h"

#define RECORD_LOG_EVERY_S 60

struct recorder;

/* NULL: the configuration asks for none, or there are no threads (logged). traffic is borrowed. */
struct recorder *recorder_open(const struct conf *conf, struct traffic *traffic);
struct recorder *recorder_ref(struct recorder *r);
/* The last one writes what is queued and ends the thread. *r becomes NULL; NULL is accepted. */
void recorder_unref(struct recorder **r);

/* Is it that of the configuration's file? r may be NULL: is there to be none? */
bool recorder_fits(const struct recorder *r, const struct conf *conf);
/* Of one that fits: the other settings hold from now on. r may be NULL. */
void recorder_change(struct recorder *r, const struct conf *conf);

/*
 * Remember one message that was evaluated and is about to be answered: its row is safe from the end
 * of the process then. Waits only where rows come faster than they are written, no longer than
 * report_store_wait, and waiting is told. r may be NULL. recipient: the first, as in RCPT TO;
 * empty: not to be told.
 */
void record_message(struct recorder *r, struct arena *a, const struct verdict *v,
    const struct disposition *d, const struct header_list *header, struct slice recipient,
    const struct waiting *waiting);

struct record_envelope { /* borrowed */
	struct slice queue_id;
	const struct slice *recipients; /* as in RCPT TO */
	size_t recipient_count;		/* of them; LIMIT_RECIPIENTS at most */
	bool all_recipients;		/* false: there were more */
};

/*
 * Queue a failure report (report/failure.h) about the same message, where the configuration and its
 * domain owner want one. Never waits. conf: that of the session.
 */
void record_failure(struct recorder *r, const struct conf *conf, struct arena *a,
    const struct verdict *v, const struct disposition *d, const struct header_list *header,
    const struct record_envelope *envelope);

/*
 * The folder of the store, where it is missing: mode 0750, owned by who. While we may still make
 * it. A folder that can't be made is logged; it is no reason not to filter mail.
 */
void record_make_folder(const struct conf *conf, bool change_owner, uid_t uid, gid_t gid);

#endif
