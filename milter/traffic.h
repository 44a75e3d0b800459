/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         traffic - what is under way, and what was done
 * DESCRIPTION  Counters of the process, and the drain: once traffic_close() was called, messages
 *              that began before it are waited for, later ones are not counted.
 *              MT: every function may be called from any thread; counters are atomic, each by
 *              itself, so a snapshot may show a message between two of them.
 */
#ifndef ASSAY_TRAFFIC_H
#define ASSAY_TRAFFIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "policy/decide.h"

#define TRAFFIC_ACTIONS (ACTION_DISCARD + 1)

struct traffic { /* zeroed is ready */
	atomic_bool closed;
	atomic_uint_fast64_t sessions_open, messages_open;
	atomic_uint_fast64_t sessions, messages, skipped, aborted, refused_edits;
	atomic_uint_fast64_t by_action[TRAFFIC_ACTIONS];
	/* rows for reports: in the store when the message was answered, queued, dropped */
	atomic_uint_fast64_t rows, rows_late, rows_lost;
};

/* Counted in any case, traffic_session_end() must follow. False: we are shutting down, the
 * connection is not welcome. */
bool traffic_session_begin(struct traffic *t);
void traffic_session_end(struct traffic *t);

/* True: the message is one that a shutdown waits for; then traffic_message_end() must follow. */
bool traffic_message_begin(struct traffic *t);
void traffic_message_end(struct traffic *t);

void traffic_action(struct traffic *t, enum action action);

void traffic_close(struct traffic *t);

#endif
