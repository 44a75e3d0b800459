/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         service - all that a reload swaps as one
 * DESCRIPTION  A service is a configuration with the evaluator made from it, immutable and shared
 *              by counted reference; a session keeps the one it began with. The resolver with its
 *              cache is shared between services as long as the DNS settings stay the same, so a
 *              reload does not cost the cache.
 *              A slot holds the service that new sessions get.
 * DIAGNOSTICS  service_open() gives NULL and says why; nothing is half-swapped.
 */
#ifndef ASSAY_SERVICE_H
#define ASSAY_SERVICE_H

#include <pthread.h>

#include "conf/conf.h"
#include "milter/key_monitor.h"
#include "milter/outgoing.h"
#include "milter/record.h"
#include "milter/traffic.h"

struct service;

/*
 * Takes conf, also on failure. old: the service that this one replaces, its resolver is kept where
 * the settings allow; or NULL. traffic is borrowed for the life of the service. NULL with *error_r
 * set (heap text, the caller frees it). monitor: borrowed likewise; it has the keys read anew. MT:
 * one call at a time (libunbound's set-up).
 */
struct service *service_open(struct conf *conf, struct service *old, struct traffic *traffic,
    const struct key_monitor *monitor, char **error_r);

/* The same over a resolver and keys (or NULL) of the caller's, for tests; takes conf and resolver.
 */
struct service *service_over(struct conf *conf, struct resolver *resolver, struct traffic *traffic,
    const struct outgoing_keys *keys, char **error_r);

/* From here on messages are remembered for reports, if the configuration says so. Only for a
 * service that will serve: the file is made now. The writer of old (or NULL) is kept where the
 * file is the same. Before s is shared. */
void service_start_recorder(struct service *s, const struct service *old);

struct service *service_ref(struct service *s);
void service_unref(struct service **s); /* *s becomes NULL; NULL is accepted */

const struct conf *service_conf(const struct service *s);
const struct evaluator *service_evaluator(const struct service *s);
/* What signing needs; keys are NULL where the configuration has none. */
struct outgoing_parts service_outgoing(const struct service *s);
struct traffic *service_traffic(const struct service *s);
struct recorder *service_recorder(const struct service *s); /* NULL: none */
void service_resolver_stats(const struct service *s, struct resolver_stats *out);

/* Do both answer DNS questions out of one cache? */
bool service_same_resolver(const struct service *a, const struct service *b);

/*
 * Ending a service joins threads (of its resolver, of its store's writer), which may take seconds.
 * So no session does it, on whatever thread it ends: one that was current stays in the slot until
 * it is the last who has it, and somebody who can wait sweeps.
 * MT: lock guards current; taken for the length of a pointer copy, no other lock inside. retired is
 * of one thread, which alone calls _set(), _sweep() and _fini().
 */
struct service_slot {
	pthread_mutex_t lock;
	struct service *current;
	struct service *retired;
};

void service_slot_init(struct service_slot *slot, struct service *first); /* takes first */
struct service *service_slot_get(struct service_slot *slot);		  /* a reference */
void service_slot_set(struct service_slot *slot, struct service *next);	  /* takes next */
/* End what no session uses any more. True: there is some that one uses. */
bool service_slot_sweep(struct service_slot *slot);
void service_slot_fini(struct service_slot *slot);

#endif
