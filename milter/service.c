/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/service.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "milter/key_client.h"

#define SETUP_BYTES (1024 * 1024) /* arena of what is made once a load; no input of strangers */

/* A resolver and how many services use it. */
struct shared_resolver {
	atomic_uint refs;
	struct arena *arena;
	struct resolver *resolver;
};

struct service { /* MT: immutable but for refs and next_retired */
	atomic_uint refs;
	struct service *next_retired; /* of the slot that it was current in */
	struct arena *arena;
	struct conf *conf;
	struct crypto *crypto;
	struct psl *psl; /* only where DMARC asks for it */
	struct shared_resolver *resolver;
	struct evaluator *evaluator;
	struct key_client *key_client;	  /* NULL: no keys, or those of a test */
	const struct outgoing_keys *keys; /* NULL: nothing is signed */
	struct traffic *traffic;
	struct recorder *recorder; /* NULL: nothing is remembered for reports */
};

static void
shared_resolver_unref(struct shared_resolver **sp)
{
	struct shared_resolver *s = *sp;

	*sp = NULL;
	if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	resolver_free(&s->resolver);
	arena_free(&s->arena);
	free(s);
}

static struct shared_resolver *
shared_resolver_new(struct resolver *resolver, struct arena *arena)
{
	struct shared_resolver *s = heap_alloc(1, sizeof(*s));

	atomic_init(&s->refs, 1);
	s->resolver = resolver;
	s->arena = arena;
	return s;
}

static struct shared_resolver *
shared_resolver_open(const struct conf *conf, char **error_r)
{
	struct arena *a = arena_new(SETUP_BYTES);
	const char *why = "?";
	struct dns_backend *backend = dns_unbound_new(a, &conf->dns, &why);

	if (backend == NULL) {
		*error_r = heap_copy(why);
		arena_free(&a);
		return NULL;
	}
	return shared_resolver_new(resolver_new(backend, &conf->resolver), a);
}

static bool
text_equal(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static bool
dns_settings_equal(const struct conf *a, const struct conf *b)
{
	const struct dns_unbound_options *x = &a->dns, *y = &b->dns;

	if (x->mode != y->mode || x->forwarder_count != y->forwarder_count ||
	    !text_equal(x->resolv_conf, y->resolv_conf) ||
	    !text_equal(x->trust_anchor_file, y->trust_anchor_file))
		return false;
	for (size_t i = 0; i < x->forwarder_count; i++)
		if (!text_equal(x->forwarders[i], y->forwarders[i]))
			return false;
	return a->resolver.cache_bytes == b->resolver.cache_bytes &&
	    a->resolver.ttl_min_s == b->resolver.ttl_min_s &&
	    a->resolver.ttl_max_s == b->resolver.ttl_max_s &&
	    a->resolver.ttl_negative_max_s == b->resolver.ttl_negative_max_s &&
	    a->resolver.ttl_fail_s == b->resolver.ttl_fail_s;
}

static void
service_free(struct service *s)
{
	evaluator_free(&s->evaluator);
	key_client_close(&s->key_client);
	recorder_unref(&s->recorder);
	shared_resolver_unref(&s->resolver);
	psl_close(&s->psl);
	crypto_free(&s->crypto);
	conf_free(&s->conf);
	arena_free(&s->arena);
	free(s);
}

/* Everything but the resolver. */
static int
service_set_up(struct service *s, char **error_r)
{
	struct evaluator_options options = s->conf->evaluator;
	const char *why = "?";

	s->crypto = crypto_new(s->arena, &why);
	if (s->crypto == NULL) {
		*error_r = heap_copy(why);
		return -1;
	}
	if (options.dmarc.discovery == DMARC_PSL) {
		s->psl = psl_open(s->arena, s->conf->psl_file, &why);
		if (s->psl == NULL) {
			*error_r = heap_copy(why);
			return -1;
		}
		options.dmarc.psl = s->psl;
	}
	if (getrandom(&options.sample_seed, sizeof(options.sample_seed), 0) !=
	    (ssize_t)sizeof(options.sample_seed)) {
		*error_r = heap_copy("the system has no random numbers");
		return -1;
	}
	s->evaluator = evaluator_new(&options, s->resolver->resolver, s->crypto);
	return 0;
}

static int
open_keys(struct service *s, const struct key_monitor *monitor, char **error_r)
{
	if (s->conf->dkim_key_count == 0)
		return 0;
	s->key_client = key_client_open(monitor, s->conf, error_r);
	if (s->key_client == NULL)
		return -1;
	s->keys = key_client_keys(s->key_client);
	return 0;
}

/* Takes conf and resolver. */
static struct service *
service_make(
    struct conf *conf, struct shared_resolver *resolver, struct traffic *traffic, char **error_r)
{
	struct service *s = heap_alloc(1, sizeof(*s));

	atomic_init(&s->refs, 1);
	s->arena = arena_new(SETUP_BYTES);
	s->conf = conf;
	s->resolver = resolver;
	s->traffic = traffic;
	if (service_set_up(s, error_r) != 0) {
		service_free(s);
		return NULL;
	}
	return s;
}

struct service *
service_open(struct conf *conf, struct service *old, struct traffic *traffic,
    const struct key_monitor *monitor, char **error_r)
{
	struct service *s;
	struct shared_resolver *resolver;

	if (old != NULL && dns_settings_equal(conf, old->conf)) {
		resolver = old->resolver;
		atomic_fetch_add(&resolver->refs, 1);
	} else {
		resolver = shared_resolver_open(conf, error_r);
	}
	if (resolver == NULL) {
		conf_free(&conf);
		return NULL;
	}
	s = service_make(conf, resolver, traffic, error_r);
	if (s != NULL && open_keys(s, monitor, error_r) != 0)
		service_unref(&s);
	return s;
}

struct service *
service_over(struct conf *conf, struct resolver *resolver, struct traffic *traffic,
    const struct outgoing_keys *keys, char **error_r)
{
	struct service *s = service_make(
	    conf, shared_resolver_new(resolver, NULL), traffic, error_r);

	if (s != NULL)
		s->keys = keys;
	return s;
}

struct service *
service_ref(struct service *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void
service_unref(struct service **sp)
{
	struct service *s = *sp;

	*sp = NULL;
	if (s != NULL && atomic_fetch_sub(&s->refs, 1) == 1)
		service_free(s);
}

const struct conf *
service_conf(const struct service *s)
{
	return s->conf;
}

const struct evaluator *
service_evaluator(const struct service *s)
{
	return s->evaluator;
}

struct outgoing_parts
service_outgoing(const struct service *s)
{
	return (struct outgoing_parts){
		.conf = s->conf,
		.crypto = s->crypto,
		.resolver = s->resolver->resolver,
		.keys = s->keys,
	};
}

void
service_start_recorder(struct service *s, const struct service *old)
{
	if (old == NULL || !recorder_fits(old->recorder, s->conf)) {
		s->recorder = recorder_open(s->conf, s->traffic);
		return;
	}
	s->recorder = recorder_ref(old->recorder);
	recorder_change(s->recorder, s->conf);
}

struct recorder *
service_recorder(const struct service *s)
{
	return s->recorder;
}

struct traffic *
service_traffic(const struct service *s)
{
	return s->traffic;
}

void
service_resolver_stats(const struct service *s, struct resolver_stats *out)
{
	resolver_stats(s->resolver->resolver, out);
}

bool
service_same_resolver(const struct service *a, const struct service *b)
{
	return a->resolver == b->resolver;
}

void
service_slot_init(struct service_slot *slot, struct service *first)
{
	(void)pthread_mutex_init(&slot->lock, NULL);
	slot->current = first;
	slot->retired = NULL;
}

struct service *
service_slot_get(struct service_slot *slot)
{
	struct service *s;

	(void)pthread_mutex_lock(&slot->lock);
	s = service_ref(slot->current);
	(void)pthread_mutex_unlock(&slot->lock);
	return s;
}

void
service_slot_set(struct service_slot *slot, struct service *next)
{
	struct service *old;

	(void)pthread_mutex_lock(&slot->lock);
	old = slot->current;
	slot->current = next;
	(void)pthread_mutex_unlock(&slot->lock);
	old->next_retired = slot->retired;
	slot->retired = old;
}

bool
service_slot_sweep(struct service_slot *slot)
{
	struct service **at = &slot->retired, *s;

	while ((s = *at) != NULL) {
		if (atomic_load(&s->refs) > 1) {
			at = &s->next_retired;
			continue;
		}
		*at = s->next_retired; /* nobody can take another reference */
		service_unref(&s);
	}
	return slot->retired != NULL;
}

void
service_slot_fini(struct service_slot *slot)
{
	while (slot->retired != NULL) {
		struct service *s = slot->retired;

		slot->retired = s->next_retired;
		service_unref(&s);
	}
	service_unref(&slot->current);
	(void)pthread_mutex_destroy(&slot->lock);
}
