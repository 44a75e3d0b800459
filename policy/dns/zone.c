/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "policy/dns/internal.h"

#define IMPLIED_TTL_S 300 /* of an answer that no line gives a TTL to */

struct zone_backend {
	struct dns_backend backend; /* first */
	struct arena *memory;
	struct zone zone; /* MT: immutable once parsed */
};

static bool
node_exists(const struct zone *zone, struct slice name)
{
	size_t low = 0, high = zone->node_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = slice_compare_nocase(zone->nodes[middle], name);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* The lines of one name. */
struct span {
	const struct zone_line *lines;
	size_t count;
};

static struct span
lines_of(const struct zone *zone, struct slice name)
{
	size_t low = 0, high = zone->line_count;
	struct span span;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (slice_compare_nocase(zone->lines[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	span = (struct span){ .lines = zone->lines + low };
	while (low + span.count < zone->line_count &&
	    slice_equal(zone->lines[low + span.count].name, name))
		span.count++;
	return span;
}

/*
 * The name that answers for name: itself, or the wildcard at its closest encloser (RFC 4592 3.3.1,
 * which may be the root). The wildcard's text is put into *room. False: NXDOMAIN.
 */
static bool
find_node(const struct zone *zone, struct slice name, struct dns_name *room, struct slice *out)
{
	struct slice encloser = name;
	size_t dot;

	*out = name;
	if (node_exists(zone, name))
		return true;
	do {
		dot = slice_find(encloser, '.');
		encloser = dot == SLICE_NONE ? slice_of(NULL, 0) : slice_from(encloser, dot + 1);
	} while (encloser.len > 0 && !node_exists(zone, encloser));
	memcpy(room->text, "*.", 2);
	if (encloser.len > 0)
		memcpy(room->text + 2, encloser.p, encloser.len);
	/* It fits: name has at least one byte more than encloser and its dot. */
	*out = slice_of(room->text, encloser.len == 0 ? 1 : encloser.len + 2);
	return node_exists(zone, *out);
}

/* Lines of one type among those of a name; special: the line that stands for all of them. */
struct match {
	const struct zone_line *special;
	struct dns_record records[LIMIT_DNS_RECORDS + 1]; /* dns_answer_make() must see one more */
	size_t count;
	uint32_t ttl_s;
};

static bool
match_lines(struct span span, enum dns_type type, bool any, struct match *m)
{
	m->special = NULL;
	m->count = 0;
	m->ttl_s = UINT32_MAX;
	for (size_t i = 0; i < span.count; i++) {
		const struct zone_line *line = &span.lines[i];

		if (line->any != any || (!any && line->type != type))
			continue;
		if (line->special != ZONE_RECORD) {
			m->special = line;
			return true;
		}
		if (m->count <= LIMIT_DNS_RECORDS)
			m->records[m->count++] = line->data;
		/* RFC 2181 5.2: one TTL a set; the least. */
		m->ttl_s = line->ttl_s < m->ttl_s ? line->ttl_s : m->ttl_s;
	}
	return m->count > 0;
}

static void
special_answer(const struct zone_line *line, struct dns_answer *draft)
{
	draft->status = DNS_TEMPFAIL;
	switch (line->special) {
	case ZONE_RECORD:
		bug("special_answer: a record");
	case ZONE_SERVFAIL:
		draft->reason = DNS_R_SERVFAIL;
		break;
	case ZONE_TIMEOUT:
		draft->reason = DNS_R_TIMEOUT;
		break;
	case ZONE_NXDOMAIN:
		draft->status = DNS_NXDOMAIN;
		break;
	case ZONE_NODATA:
		draft->status = DNS_NODATA;
		break;
	case ZONE_BOGUS:
		draft->reason = DNS_R_BOGUS;
		draft->security = DNS_BOGUS;
		break;
	case ZONE_MALFORMED:
		draft->reason = DNS_R_MALFORMED;
		break;
	}
}

static void
limit_ttl(struct dns_answer *draft, uint32_t ttl_s)
{
	if (ttl_s < draft->ttl_s)
		draft->ttl_s = ttl_s;
}

/* What the name has says best how long it has nothing else: dns_zone_write() relies on it. */
static uint32_t
nodata_ttl(struct span span)
{
	uint32_t ttl_s = span.count == 0 ? IMPLIED_TTL_S : UINT32_MAX;

	for (size_t i = 0; i < span.count; i++)
		if (span.lines[i].ttl_s < ttl_s)
			ttl_s = span.lines[i].ttl_s;
	return ttl_s;
}

/* One step at one name. True: *draft is the answer; false: go on at m->records[0].name. */
static bool
answer_here(const struct zone *zone, struct slice name, enum dns_type type,
    struct dns_answer *draft, struct match *m)
{
	struct dns_name room;
	struct slice node;
	struct span span;

	if (!find_node(zone, name, &room, &node)) {
		draft->status = DNS_NXDOMAIN;
		limit_ttl(draft, IMPLIED_TTL_S);
		return true;
	}
	span = lines_of(zone, node);
	/* What is said of the type itself goes before what is said of all types. */
	if (match_lines(span, type, false, m) || match_lines(span, type, true, m)) {
		limit_ttl(draft, m->special != NULL ? m->special->ttl_s : m->ttl_s);
		if (m->special != NULL) {
			special_answer(m->special, draft);
			return true;
		}
		draft->status = DNS_OK;
		draft->records = m->records;
		draft->count = m->count;
		return true;
	}
	if (!match_lines(span, DNS_CNAME, false, m) || m->special != NULL) {
		draft->status = DNS_NODATA;
		limit_ttl(draft, nodata_ttl(span));
		return true;
	}
	limit_ttl(draft, m->ttl_s);
	return false;
}

struct dns_answer *
zone_answer(const struct zone *zone, struct slice name, enum dns_type type)
{
	struct dns_answer draft = { .ttl_s = UINT32_MAX };
	struct match *m = heap_alloc(1, sizeof(*m));
	struct dns_answer *answer;
	size_t hops = 0;

	while (!answer_here(zone, name, type, &draft, m)) {
		name = m->records[0].name;
		if (++hops > LIMIT_CNAME_CHAIN) {
			draft.status = DNS_TEMPFAIL;
			draft.reason = DNS_R_SERVFAIL;
			draft.detail = SLICE("CNAME chain is too long");
			break;
		}
	}
	answer = dns_answer_make(&draft, type);
	free(m);
	return answer;
}

static void
zone_start(struct dns_backend *backend, struct dns_request *request)
{
	const struct zone_backend *z = (const struct zone_backend *)backend;

	request->done(request, zone_answer(&z->zone, request->name, request->type));
}

static void
zone_close(struct dns_backend *backend)
{
	struct zone_backend *z = (struct zone_backend *)backend;

	arena_free(&z->memory);
	free(z);
}

static const struct dns_backend_calls zone_calls = { .start = zone_start, .close = zone_close };

struct dns_backend *
dns_zone_new(struct arena *a, struct slice text, const char **error_r)
{
	struct zone_backend *z = heap_alloc(1, sizeof(*z));

	z->backend.calls = &zone_calls;
	z->memory = arena_new(SIZE_MAX);
	if (zone_parse(z->memory, text, &z->zone, a, error_r) != 0) {
		zone_close(&z->backend);
		return NULL;
	}
	return &z->backend;
}
