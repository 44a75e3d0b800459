/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         events - the loop that libunbound is called from
 * DESCRIPTION  With its event interface (unbound-event.h) libunbound neither starts a thread nor
 *              waits: it asks for events on descriptors and timers, by a table of functions, and
 *              works when one comes. This is that table, on epoll. It depends on no event library,
 *              so neither on which one libunbound was built with, nor on select()'s 1024
 *              descriptors where it was built with none.
 *
 *              MT: one thread, but for events_wake().
 */
#ifndef ASSAY_DNS_EVENTS_H
#define ASSAY_DNS_EVENTS_H

#include <stdint.h>

struct events;

/* NULL: the system gives no descriptors (errno). */
struct events *events_new(void);
/* *events becomes NULL; NULL is accepted. Whatever was made of its base must be gone. */
void events_free(struct events **events);

/* For ub_ctx_create_ub_event(); lives as long as events. */
struct ub_event_base *events_base(struct events *events);

/*
 * Call whoever's event has come or whose time is up, after waiting at most wait_ms for the first.
 * Returns early for events_wake(), also when that was called before.
 */
void events_turn(struct events *events, uint64_t wait_ms);

/* MT: any thread. */
void events_wake(const struct events *events);

#endif
