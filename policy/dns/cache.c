/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         cache - the resolver: what is known, and what is being asked
 * DESCRIPTION  Names are spread over shards by a keyed hash (the names come from strangers). A
 *              shard holds answers in a hash table and in order of use, and the flights: questions
 *              that the backend has not answered, each with the number of those who wait for it.
 *
 *              MT: a shard's lock guards its tables, its entries and its flights. It is a leaf: no
 *              other lock is taken and no backend called while it is held. The backend is called
 *              with no lock held, so it may complete a request from within start().
 *
 *              A flight has one seat for the backend and one for each who waits. The last to leave
 *              frees it, so a waiter that gives up costs nothing, and an answer that comes late
 *              finds its flight and goes to the cache.
 */
#include <sys/random.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "policy/dns/hash.h"
#include "policy/dns/internal.h"

#define SHARDS_MAX	     16
#define SHARD_BYTES_MIN	     (256 * 1024) /* so that the largest answers fit into one */
#define HASH_SHARD_BITS	     8 /* low bits of a hash choose the shard, those above the bucket */
#define FLIGHT_BUCKETS	     64
#define ENTRY_EXPECTED_BYTES 512 /* to choose the number of buckets */
#define ENTRY_BUCKETS_MIN    16
/* What is decoded from a TXT answer lives as long. It is made later and its size is not known here:
 * a 2048 bit key with what verifies by it is this large, and parsed records grow with their text.
 */
#define DECODED_BYTES(answer_bytes) (4608 + 2 * (answer_bytes))

struct entry {
	struct entry *next_in_bucket;
	struct entry *newer, *older; /* order of use */
	uint64_t hash;
	const struct dns_answer *answer; /* counted */
	uint64_t expires_ms;
	size_t bytes;
	enum dns_type type;
	size_t name_len;
	char name[];
};

struct flight {
	struct dns_request request; /* first: the backend hands it back */
	struct flight *next_in_bucket;
	struct shard *shard;
	uint64_t hash;
	size_t seats;			 /* MT: shard->lock */
	const struct dns_answer *answer; /* counted; NULL: on its way. MT: shard->lock */
	pthread_cond_t arrived;
	struct dns_name name;
};

struct shard {
	pthread_mutex_t lock;
	struct resolver *resolver;
	struct entry **buckets;
	struct entry *newest, *oldest;
	size_t bytes, entries;
	struct flight *flights[FLIGHT_BUCKETS];
};

struct resolver {
	struct dns_backend *backend;
	struct resolver_options options;
	uint8_t key[HASH_KEY_BYTES];
	size_t shard_count;  /* of shards[] in use */
	size_t bucket_count; /* of each shard; a power of two */
	size_t shard_bytes;
	atomic_bool closing;
	_Atomic(uint64_t) questions, cache_hits, joined, upstream, tempfails, evictions;
	_Atomic(size_t) in_flight;
	struct shard shards[SHARDS_MAX];
};

const struct resolver_options resolver_defaults = {
	.cache_bytes = LIMIT_DNS_CACHE_BYTES,
	.ttl_min_s = LIMIT_DNS_TTL_MIN_S,
	.ttl_max_s = LIMIT_DNS_TTL_MAX_S,
	.ttl_negative_max_s = LIMIT_DNS_TTL_NEGATIVE_S,
	.ttl_fail_s = LIMIT_DNS_TTL_FAIL_S,
};

struct resolver *
resolver_new(struct dns_backend *backend, const struct resolver_options *options)
{
	struct resolver *r = heap_alloc(1, sizeof(*r));

	r->backend = backend;
	r->options = options == NULL ? resolver_defaults : *options;
	if (r->options.clock == NULL)
		r->options.clock = &dns_monotonic;
	if (getrandom(r->key, sizeof(r->key), 0) != (ssize_t)sizeof(r->key))
		bug("getrandom");
	r->shard_count = r->options.cache_bytes / SHARD_BYTES_MIN;
	if (r->shard_count > SHARDS_MAX)
		r->shard_count = SHARDS_MAX;
	if (r->shard_count == 0)
		r->shard_count = 1;
	r->shard_bytes = r->options.cache_bytes / r->shard_count;
	r->bucket_count = ENTRY_BUCKETS_MIN;
	while (r->bucket_count < r->shard_bytes / ENTRY_EXPECTED_BYTES)
		r->bucket_count *= 2;
	for (size_t i = 0; i < r->shard_count; i++) {
		struct shard *s = &r->shards[i];

		s->resolver = r;
		if (pthread_mutex_init(&s->lock, NULL) != 0)
			bug("pthread_mutex_init");
		s->buckets = heap_alloc(r->bucket_count, sizeof(struct entry *));
	}
	return r;
}

uint64_t
resolver_now_ms(const struct resolver *r)
{
	return r->options.clock->now_ms();
}

/* ---- entries; all with shard->lock held ---- */

static struct entry **
bucket_of(struct shard *s, uint64_t hash)
{
	return &s->buckets[(hash >> HASH_SHARD_BITS) & (s->resolver->bucket_count - 1)];
}

static struct entry **
entry_slot(struct shard *s, uint64_t hash, struct slice name, enum dns_type type)
{
	struct entry **at = bucket_of(s, hash);

	while (*at != NULL &&
	    ((*at)->hash != hash || (*at)->type != type ||
		!slice_equal(slice_of((*at)->name, (*at)->name_len), name)))
		at = &(*at)->next_in_bucket;
	return at;
}

static void
unlink_use(struct shard *s, struct entry *e)
{
	if (e->newer == NULL)
		s->newest = e->older;
	else
		e->newer->older = e->older;
	if (e->older == NULL)
		s->oldest = e->newer;
	else
		e->older->newer = e->newer;
}

static void
link_newest(struct shard *s, struct entry *e)
{
	e->newer = NULL;
	e->older = s->newest;
	if (s->newest == NULL)
		s->oldest = e;
	else
		s->newest->newer = e;
	s->newest = e;
}

static void
drop_entry(struct shard *s, struct entry **at)
{
	struct entry *e = *at;

	*at = e->next_in_bucket;
	unlink_use(s, e);
	s->bytes -= e->bytes;
	s->entries--;
	dns_answer_unref(&e->answer);
	free(e);
}

static void
drop_oldest(struct shard *s)
{
	const struct entry *e = s->oldest;

	drop_entry(s, entry_slot(s, e->hash, slice_of(e->name, e->name_len), e->type));
}

/* A counted answer that is still good, or NULL. */
static const struct dns_answer *
cache_get(struct shard *s, uint64_t hash, struct slice name, enum dns_type type)
{
	struct entry **at = entry_slot(s, hash, name, type);

	if (*at == NULL)
		return NULL;
	if ((*at)->expires_ms <= resolver_now_ms(s->resolver)) {
		drop_entry(s, at);
		return NULL;
	}
	unlink_use(s, *at);
	link_newest(s, *at);
	return dns_answer_ref((*at)->answer);
}

static void
cache_put(struct shard *s, const struct flight *f, const struct dns_answer *answer)
{
	struct resolver *r = s->resolver;
	struct slice name = f->request.name;
	struct entry **at = entry_slot(s, f->hash, name, f->request.type);
	struct entry *e;
	size_t answer_bytes = dns_answer_bytes(answer);
	size_t bytes = sizeof(*e) + name.len + answer_bytes;

	if (f->request.type == DNS_TXT && answer->status == DNS_OK)
		bytes += DECODED_BYTES(answer_bytes);

	if (*at != NULL)
		drop_entry(s, at);
	if (answer->ttl_s == 0 || bytes > r->shard_bytes)
		return;
	while (s->bytes + bytes > r->shard_bytes) {
		drop_oldest(s);
		r->evictions++;
	}
	e = heap_alloc(1, sizeof(*e) + name.len);
	e->hash = f->hash;
	e->answer = dns_answer_ref(answer);
	e->expires_ms = resolver_now_ms(r) + (uint64_t)answer->ttl_s * 1000;
	e->bytes = bytes;
	e->type = f->request.type;
	e->name_len = name.len;
	memcpy(e->name, name.p, name.len);
	/* Evictions may have changed the bucket: its head is always right. */
	at = bucket_of(s, e->hash);
	e->next_in_bucket = *at;
	*at = e;
	link_newest(s, e);
	s->bytes += bytes;
	s->entries++;
}

/* ---- flights ---- */

static struct flight **
flight_slot(struct shard *s, uint64_t hash, struct slice name, enum dns_type type)
{
	struct flight **at = &s->flights[(hash >> HASH_SHARD_BITS) % FLIGHT_BUCKETS];

	while (*at != NULL &&
	    ((*at)->hash != hash || (*at)->request.type != type ||
		!slice_equal((*at)->request.name, name)))
		at = &(*at)->next_in_bucket;
	return at;
}

/* Give back a seat and the lock; the last one out frees the flight. */
static void
leave_and_unlock(struct flight *f)
{
	struct shard *s = f->shard;
	bool last = --f->seats == 0;

	(void)pthread_mutex_unlock(&s->lock);
	if (!last)
		return;
	dns_answer_unref(&f->answer);
	(void)pthread_cond_destroy(&f->arrived);
	free(f);
}

/* As the cache's floor and ceilings want it; nobody else sees the answer yet. */
static void
settle_ttl(const struct resolver_options *o, struct dns_answer *answer)
{
	uint32_t max_s = o->ttl_max_s;

	if (answer->status == DNS_TEMPFAIL) {
		answer->ttl_s = o->ttl_fail_s;
		return;
	}
	/* RFC 2308 5: negative answers have a ceiling of their own. */
	if (answer->status != DNS_OK && o->ttl_negative_max_s < max_s)
		max_s = o->ttl_negative_max_s;
	if (answer->ttl_s < o->ttl_min_s)
		answer->ttl_s = o->ttl_min_s;
	if (answer->ttl_s > max_s)
		answer->ttl_s = max_s;
}

/* The backend's answer arrives: to the cache, to those who wait. */
static void
flight_done(struct dns_request *request, struct dns_answer *answer)
{
	struct flight *f = (struct flight *)request;
	struct shard *s = f->shard;
	struct resolver *r = s->resolver;

	settle_ttl(&r->options, answer);
	if (answer->status == DNS_TEMPFAIL)
		r->tempfails++;
	(void)pthread_mutex_lock(&s->lock);
	*flight_slot(s, f->hash, request->name, request->type) = f->next_in_bucket;
	/* What is our own trouble says nothing about the name: a flood must not spoil it for
	 * others. */
	if (answer->reason != DNS_R_CLOSING && answer->reason != DNS_R_BUSY)
		cache_put(s, f, answer);
	f->answer = answer;
	r->in_flight--;
	(void)pthread_mutex_unlock(&s->lock);
	/* Not under the lock, which is the first thing that those who wake will want. The flight
	 * stays: our seat is still taken. */
	(void)pthread_cond_broadcast(&f->arrived);
	(void)pthread_mutex_lock(&s->lock);
	leave_and_unlock(f);
}

static struct flight *
flight_new(struct shard *s, uint64_t hash, struct slice name, enum dns_type type)
{
	struct flight *f = heap_alloc(1, sizeof(*f));
	pthread_condattr_t monotonic;

	if (dns_name_set(&f->name, name) != 0)
		bug("flight_new: name");
	f->request = (struct dns_request){
		.name = dns_name_slice(&f->name), .type = type, .done = flight_done
	};
	f->shard = s;
	f->hash = hash;
	f->seats = 2;
	(void)pthread_condattr_init(&monotonic);
	if (pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) != 0 ||
	    pthread_cond_init(&f->arrived, &monotonic) != 0)
		bug("flight_new: condition");
	(void)pthread_condattr_destroy(&monotonic);
	return f;
}

const struct dns_answer *
resolver_begin(struct resolver *r, struct slice name, enum dns_type type, uint32_t timeout_ms,
    struct flight **flight_r)
{
	uint64_t hash = hash_bytes(r->key, name) ^ (uint64_t)type * 0x9e3779b97f4a7c15u;
	struct shard *s = &r->shards[hash % r->shard_count];
	const struct dns_answer *answer;
	struct flight **at;
	bool start = false;

	*flight_r = NULL;
	r->questions++;
	if (atomic_load(&r->closing))
		return dns_answer_fail(DNS_R_CLOSING);
	(void)pthread_mutex_lock(&s->lock);
	answer = cache_get(s, hash, name, type);
	if (answer != NULL) {
		r->cache_hits++;
	} else if (timeout_ms > 0) {
		at = flight_slot(s, hash, name, type);
		start = *at == NULL;
		if (start) {
			*at = flight_new(s, hash, name, type);
			(*at)->request.timeout_ms = timeout_ms;
			r->upstream++;
			r->in_flight++;
		} else {
			(*at)->seats++;
			r->joined++;
		}
		*flight_r = *at;
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (start)
		r->backend->calls->start(r->backend, &(*flight_r)->request);
	return answer;
}

/* f->shard->lock is held. */
static const struct dns_answer *
answer_of(struct flight *f)
{
	return f->answer == NULL ? NULL : dns_answer_ref(f->answer);
}

const struct dns_answer *
flight_look(struct flight *f)
{
	const struct dns_answer *answer;

	(void)pthread_mutex_lock(&f->shard->lock);
	answer = answer_of(f);
	(void)pthread_mutex_unlock(&f->shard->lock);
	return answer;
}

const struct dns_answer *
flight_wait(struct flight *f, uint64_t until_ms)
{
	const struct dns_clock *clock = f->shard->resolver->options.clock;
	const struct dns_answer *answer;
	int rc = 0;

	(void)pthread_mutex_lock(&f->shard->lock);
	while (f->answer == NULL && rc != ETIMEDOUT)
		rc = clock->wait(&f->arrived, &f->shard->lock, until_ms);
	answer = answer_of(f);
	(void)pthread_mutex_unlock(&f->shard->lock);
	return answer;
}

void
flight_leave(struct flight **flight)
{
	struct flight *f = *flight;

	*flight = NULL;
	(void)pthread_mutex_lock(&f->shard->lock);
	leave_and_unlock(f);
}

/* ---- the whole ---- */

static void
shard_flush(struct shard *s)
{
	(void)pthread_mutex_lock(&s->lock);
	while (s->oldest != NULL)
		drop_oldest(s);
	(void)pthread_mutex_unlock(&s->lock);
}

void
resolver_flush(struct resolver *r)
{
	for (size_t i = 0; i < r->shard_count; i++)
		shard_flush(&r->shards[i]);
}

void
resolver_free(struct resolver **resolver)
{
	struct resolver *r = *resolver;

	if (r == NULL)
		return;
	*resolver = NULL;
	atomic_store(&r->closing, true);
	r->backend->calls->close(r->backend);
	for (size_t i = 0; i < r->shard_count; i++) {
		struct shard *s = &r->shards[i];

		/* What the backend never answered is ours to end. */
		for (size_t b = 0; b < FLIGHT_BUCKETS; b++)
			while (s->flights[b] != NULL)
				flight_done(
				    &s->flights[b]->request, dns_answer_fail(DNS_R_CLOSING));
		shard_flush(s);
		(void)pthread_mutex_destroy(&s->lock);
		free(s->buckets);
	}
	free(r);
}

void
resolver_stats(struct resolver *r, struct resolver_stats *out)
{
	*out = (struct resolver_stats){
		.questions = r->questions,
		.cache_hits = r->cache_hits,
		.joined = r->joined,
		.upstream = r->upstream,
		.tempfails = r->tempfails,
		.evictions = r->evictions,
		.in_flight = r->in_flight,
	};
	for (size_t i = 0; i < r->shard_count; i++) {
		struct shard *s = &r->shards[i];

		(void)pthread_mutex_lock(&s->lock);
		out->cache_bytes += s->bytes;
		out->cache_entries += s->entries;
		(void)pthread_mutex_unlock(&s->lock);
	}
}
