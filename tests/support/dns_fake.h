/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         dns_fake - a backend that counts, waits or never answers, and clocks to wait by
 * DESCRIPTION  MT: the backend may be asked from any thread. A fault ends the test.
 */
#ifndef ASSAY_TEST_DNS_FAKE_H
#define ASSAY_TEST_DNS_FAKE_H

#include <pthread.h>
#include <stdatomic.h>

#include "policy/dns/internal.h"
#include "tests/support/support.h"

#define DNS_FAKE_HELD_MAX 64

struct dns_fake {
	struct dns_backend backend; /* first */
	struct dns_answer draft;    /* given to everybody; at first an address for 100 s */
	bool hold;		    /* keep requests until dns_fake_release() or for ever */
	pthread_mutex_t lock;
	struct dns_request *held[DNS_FAKE_HELD_MAX]; /* MT: lock */
	size_t held_count;			     /* MT: lock */
	_Atomic(size_t) asked;
	_Atomic(size_t) *closed; /* counted when the resolver lets go */
};

extern const struct dns_record dns_fake_address; /* 192.0.2.1 */

struct dns_fake *dns_fake_new(bool hold);
/* Answer all that are held. */
void dns_fake_release(struct dns_fake *f);

/* What time it is by the clocks below: it stands until it is moved. */
extern _Atomic(uint64_t) dns_fake_now_ms;

/* For answers that come: however slow the machine is, nobody's time is up. */
extern const struct dns_clock dns_fake_standing;
/* For answers that don't: who waits until a time has it at once, to the millisecond. */
extern const struct dns_clock dns_fake_jumping;

/* Takes f. cache_bytes 0: the default. clock NULL: the real one. */
struct resolver *dns_fake_resolver(
    struct dns_fake *f, size_t cache_bytes, const struct dns_clock *clock);

/* One question of a message of its own; true if it was answered without the backend. */
bool dns_fake_ask(struct resolver *r, const char *name, enum dns_status want);

#endif
