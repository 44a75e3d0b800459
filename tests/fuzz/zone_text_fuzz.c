/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The input is zone text. Asserted beyond survival:
 *      a refusal names its line;
 *      whatever is asked of a zone (each listed name, the one above, one below; every type), the
 * text that dns_zone_write() makes of the log is taken, and answers every question as before.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/dns/internal.h"

#define ARENA_BYTES (64u * 1024 * 1024)
#define NAMES_MAX   12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum dns_type types[] = { DNS_A, DNS_NS, DNS_CNAME, DNS_PTR, DNS_MX, DNS_TXT,
	DNS_AAAA };

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static bool
same_record(const struct dns_record *a, const struct dns_record *b, enum dns_type type)
{
	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		return ip_equal(&a->address, &b->address);
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		return slice_equal(a->name, b->name);
	case DNS_TXT:
		return slice_equal(a->text, b->text);
	case DNS_MX:
		return a->mx.preference == b->mx.preference && slice_equal(a->mx.host, b->mx.host);
	}
	abort();
}

static void
same_answer(const struct dns_answer *a, const struct dns_answer *b, enum dns_type type)
{
	must(a->status == b->status && a->count == b->count);
	/* Hundreds of records that nobody read can't be written. */
	must(a->reason == b->reason || a->reason == DNS_R_RECORDS);
	must(a->count <= LIMIT_DNS_RECORDS && (a->count > 0) == (a->status == DNS_OK));
	/* The empty answers of a name share one TTL. */
	must(a->ttl_s == b->ttl_s || a->status == DNS_NODATA);
	for (size_t i = 0; i < a->count; i++)
		must(same_record(&a->records[i], &b->records[i], type));
}

static void
ask_types(struct lookups *l, struct slice name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		(void)lookups_ask(l, name, types[i]);
}

static struct lookups *
ask(struct arena *a, struct resolver *r, const struct zone *names)
{
	static const struct lookups_limits limits = { 1000, 1000, 1000 };
	struct lookups *l = lookups_new(a, r, &limits);

	for (size_t i = 0; i < names->line_count && i < NAMES_MAX; i++) {
		struct slice name = names->lines[i].name;
		size_t dot = slice_find(name, '.');
		char below[LIMIT_DOMAIN_BYTES + 8] = "x.";

		memcpy(below + 2, name.p, name.len);
		ask_types(l, name);
		ask_types(l, slice_of(below, name.len + 2));
		if (dot != SLICE_NONE)
			ask_types(l, slice_from(name, dot + 1));
	}
	return l;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of((const char *)data, size);
	struct arena *a = arena_new(ARENA_BYTES);
	struct resolver *first, *second;
	struct lookups *x, *y;
	const struct lookup *before, *after;
	struct dns_backend *backend;
	struct zone zone;
	const char *error = "";
	size_t n, m;

	backend = dns_zone_new(a, text, &error);
	if (backend == NULL) {
		must(strncmp(error, "line ", 5) == 0 && ascii_is_digit(error[5]));
		arena_free(&a);
		return 0;
	}
	must(zone_parse(a, text, &zone, a, &error) == 0);
	first = resolver_new(backend, NULL);
	x = ask(a, first, &zone);
	before = lookups_log(x, &n);
	backend = dns_zone_new(a, dns_zone_write(a, before, n), &error);
	must(backend != NULL);
	second = resolver_new(backend, NULL);
	y = ask(a, second, &zone);
	after = lookups_log(y, &m);
	must(n == m);
	for (size_t i = 0; i < n; i++)
		same_answer(before[i].answer, after[i].answer, before[i].type);
	lookups_fini(&x);
	lookups_fini(&y);
	resolver_free(&first);
	resolver_free(&second);
	arena_free(&a);
	return 0;
}
