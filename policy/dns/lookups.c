/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "policy/dns/internal.h"

struct lookups {
	struct arena *arena;
	struct resolver *resolver;
	struct lookups_limits limits;
	struct waiting waiting;
	uint64_t waited_ms; /* of limits.budget_ms, in this phase */
	size_t phase_start; /* questions of earlier phases */
	/* One entry a question, in the order of asking; the arrays grow together. */
	struct lookup *log;
	struct seat {
		struct flight *flight; /* NULL: answered, or never started */
		uint64_t started_ms;
	} * seats;
	size_t count, size;
	const struct dns_answer *too_many; /* given to what isn't logged any more */
};

struct lookups *
lookups_new(struct arena *a, struct resolver *resolver, const struct lookups_limits *limits)
{
	struct lookups *l = arena_alloc(a, sizeof(*l));

	l->arena = a;
	l->resolver = resolver;
	l->limits = *limits;
	return l;
}

void
lookups_tell_waits(struct lookups *l, const struct waiting *waiting)
{
	l->waiting = *waiting;
}

void
lookups_fini(struct lookups **l)
{
	if (*l == NULL)
		return;
	for (size_t i = 0; i < (*l)->count; i++) {
		if ((*l)->seats[i].flight != NULL)
			flight_leave(&(*l)->seats[i].flight);
		dns_answer_unref(&(*l)->log[i].answer);
	}
	dns_answer_unref(&(*l)->too_many);
	*l = NULL;
}

static void
grow(struct lookups *l)
{
	size_t size = l->size == 0 ? 16 : 2 * l->size;
	struct lookup *log = arena_array(l->arena, size, sizeof(*log));
	struct seat *seats = arena_array(l->arena, size, sizeof(*seats));

	if (l->count > 0) {
		memcpy(log, l->log, l->count * sizeof(*log));
		memcpy(seats, l->seats, l->count * sizeof(*seats));
	}
	l->log = log;
	l->seats = seats;
	l->size = size;
}

static uint32_t
budget_left(const struct lookups *l)
{
	return l->waited_ms < l->limits.budget_ms ? (uint32_t)(l->limits.budget_ms - l->waited_ms)
						  : 0;
}

void
lookups_next_phase(struct lookups *l)
{
	l->waited_ms = 0;
	l->phase_start = l->count;
}

/* Ask the backend for entry i. Nothing is started that nobody has time to wait for. */
static void
begin(struct lookups *l, size_t i)
{
	struct lookup *entry = &l->log[i];
	struct seat *seat = &l->seats[i];

	seat->started_ms = resolver_now_ms(l->resolver);
	entry->answer = resolver_begin(l->resolver, entry->name, entry->type,
	    budget_left(l) == 0 ? 0 : l->limits.timeout_ms, &seat->flight);
	entry->cached = entry->answer != NULL;
}

/* Had an earlier phase no time for it? A prefetch then was not even started. */
static bool
was_without_time(const struct lookups *l, size_t i)
{
	const struct dns_answer *answer = l->log[i].answer;

	if (i >= l->phase_start)
		return false;
	return answer == NULL ? l->seats[i].flight == NULL : answer->reason == DNS_R_BUDGET;
}

/*
 * What an earlier phase had no time for is asked again: else a slow zone of the sender's, that
 * names "_dmarc" of its victim in an SPF record, would decide that the victim's policy can't be
 * had.
 */
static void
begin_again(struct lookups *l, size_t i)
{
	struct lookup *entry = &l->log[i];

	if (!was_without_time(l, i))
		return;
	dns_answer_unref(&entry->answer);
	begin(l, i);
}

/* The entry of the question, begun if it is new; SLICE_NONE: no more are allowed. */
static size_t
entry_of(struct lookups *l, struct slice name, enum dns_type type)
{
	struct dns_name n;
	bool valid = dns_name_set(&n, name) == 0;
	struct slice key = valid ? dns_name_slice(&n) : name;
	struct lookup *entry;

	for (size_t i = 0; i < l->count; i++) {
		if (l->log[i].type != type || !slice_equal(l->log[i].name, key))
			continue;
		begin_again(l, i);
		return i;
	}
	if (l->count - l->phase_start >= l->limits.max_lookups)
		return SLICE_NONE;
	if (l->count == l->size)
		grow(l);
	entry = &l->log[l->count];
	*entry = (struct lookup){ .name = arena_copy(l->arena, key), .type = type };
	l->seats[l->count] = (struct seat){ .flight = NULL };
	if (!valid) {
		const struct dns_answer draft = { .status = DNS_NXDOMAIN,
			.reason = DNS_R_BAD_NAME };

		entry->answer = dns_answer_make(&draft, type);
		return l->count++;
	}
	begin(l, l->count);
	return l->count++;
}

/* The answer is often there already: nobody need hear of a wait then. */
static const struct dns_answer *
wait_in_flight(struct lookups *l, struct flight *flight, uint64_t until_ms)
{
	const struct dns_answer *answer = flight_look(flight);

	if (answer != NULL || resolver_now_ms(l->resolver) >= until_ms)
		return answer;
	waiting_begin(&l->waiting);
	answer = flight_wait(flight, until_ms);
	waiting_end(&l->waiting);
	return answer;
}

/* Wait for entry i as long as the lookup's own time and the message's budget allow. */
static void
wait_for(struct lookups *l, size_t i)
{
	struct lookup *entry = &l->log[i];
	struct seat *seat = &l->seats[i];
	uint64_t now = resolver_now_ms(l->resolver), flown = now - seat->started_ms, waited;
	uint64_t wait = flown < l->limits.timeout_ms ? l->limits.timeout_ms - flown : 0;
	enum dns_reason reason = DNS_R_TIMEOUT;

	if (budget_left(l) < wait || seat->flight == NULL) {
		wait = budget_left(l);
		reason = DNS_R_BUDGET;
	}
	if (seat->flight != NULL) {
		entry->answer = wait_in_flight(l, seat->flight, now + wait);
		flight_leave(&seat->flight);
	}
	waited = resolver_now_ms(l->resolver) - now;
	entry->waited_ms = (uint32_t)waited;
	l->waited_ms += waited;
	if (entry->answer == NULL)
		entry->answer = dns_answer_fail(reason);
}

const struct dns_answer *
lookups_ask(struct lookups *l, struct slice name, enum dns_type type)
{
	size_t i = entry_of(l, name, type);

	if (i == SLICE_NONE) {
		if (l->too_many == NULL)
			l->too_many = dns_answer_fail(DNS_R_TOO_MANY);
		return l->too_many;
	}
	if (l->log[i].answer == NULL)
		wait_for(l, i);
	return l->log[i].answer;
}

void
lookups_prefetch(struct lookups *l, struct slice name, enum dns_type type)
{
	(void)entry_of(l, name, type);
}

/* Has the answer to entry i come meanwhile? */
static void
look(struct lookups *l, size_t i)
{
	if (l->seats[i].flight == NULL || l->log[i].answer != NULL)
		return;
	l->log[i].answer = flight_look(l->seats[i].flight);
	if (l->log[i].answer != NULL)
		flight_leave(&l->seats[i].flight);
}

const struct dns_answer *
lookups_peek(struct lookups *l, struct slice name, enum dns_type type)
{
	size_t i = entry_of(l, name, type);

	if (i == SLICE_NONE)
		return NULL;
	look(l, i);
	return l->log[i].answer;
}

const struct lookup *
lookups_log(struct lookups *l, size_t *count_r)
{
	for (size_t i = 0; i < l->count; i++)
		look(l, i);
	*count_r = l->count;
	return l->log;
}
