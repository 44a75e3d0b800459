/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         name_server - DNS over UDP out of zone text, slow on request, counting
 * DESCRIPTION  A thread of its own on 127.0.0.1. Every answer is held back for the latency. What it
 *              knows not is NXDOMAIN with a SOA, so that resolvers remember it.
 *              MT: one thread calls these.
 */
#ifndef ASSAY_BENCH_NAME_SERVER_H
#define ASSAY_BENCH_NAME_SERVER_H

#include <stdint.h>

#include "policy/base/arena.h"

struct name_server;

/* zone: zone text, copied. port 0: any that is free. Ends the program on trouble. */
struct name_server *name_server_start(uint16_t port, struct slice zone, uint32_t latency_ms);
void name_server_stop(struct name_server **s);
uint16_t name_server_port(const struct name_server *s);

/* Since the start, or the last reset: all queries, and how many different questions they were. */
void name_server_count(struct name_server *s, uint64_t *queries_r, uint64_t *distinct_r);
void name_server_reset(struct name_server *s);

#endif
