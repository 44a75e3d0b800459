/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/traffic.h"

bool
traffic_session_begin(struct traffic *t)
{
	/* Counted before looking, so that whoever closes and then counts can't miss it. */
	atomic_fetch_add(&t->sessions_open, 1);
	if (atomic_load(&t->closed))
		return false;
	atomic_fetch_add(&t->sessions, 1);
	return true;
}

void
traffic_session_end(struct traffic *t)
{
	atomic_fetch_sub(&t->sessions_open, 1);
}

bool
traffic_message_begin(struct traffic *t)
{
	atomic_fetch_add(&t->messages, 1);
	atomic_fetch_add(&t->messages_open, 1);
	if (atomic_load(&t->closed)) {
		atomic_fetch_sub(&t->messages_open, 1);
		return false;
	}
	return true;
}

void
traffic_message_end(struct traffic *t)
{
	atomic_fetch_sub(&t->messages_open, 1);
}

void
traffic_action(struct traffic *t, enum action action)
{
	atomic_fetch_add(&t->by_action[action], 1);
}

void
traffic_close(struct traffic *t)
{
	atomic_store(&t->closed, true);
}
