/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         zone_parse - zone text to sorted lines
 * DESCRIPTION  One record a line: name TYPE ttl rdata; a function a field. Lines beginning with #
 *              or ; are comments. In names, bytes that are not printable ASCII and " \ ; # are
 *              written \DDD; in strings \" \\ and \DDD are the escapes. !SERVFAIL, !TIMEOUT and
 *              !NXDOMAIN stand in place of rdata, and with TYPE ANY for every type that is not
 *              listed itself. !NODATA, !BOGUS and !MALFORMED are understood besides, so that
 *              dns_zone_write() can tell everything there is to tell.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/base/num.h"
#include "policy/dns/internal.h"

#define TTL_MAX_S	  0x7fffffffu /* RFC 2181 8 */
#define TXT_STRING_BYTES  255	      /* RFC 1035 3.3 */
#define FAULT_SHOWN_BYTES 60

ENUMTAB_WORDS(zone_special_word, enum zone_special, ZONE_SPECIALS)

struct parser {
	struct arena *memory;
	struct zone_line *lines;
	size_t count, size;
	/* The line being read. */
	size_t number;
	const char *why;   /* what is wrong with it; NULL: nothing yet */
	struct slice what; /* the text that is wrong */
};

static int
fault(struct parser *p, const char *why, struct slice what)
{
	p->why = why;
	p->what = what;
	return -1;
}

/* Cut the next field off *rest; empty when there is none. */
static struct slice
next_field(struct slice *rest)
{
	struct slice all = *rest, field;
	size_t from = 0, to;

	while (from < all.len && ascii_is_wsp(all.p[from]))
		from++;
	to = from;
	while (to < all.len && !ascii_is_wsp(all.p[to]))
		to++;
	field = slice_sub(all, from, to - from);
	*rest = slice_from(all, to);
	return field;
}

/* s begins with a backslash: the byte it stands for; *used bytes were read. -1: no such escape. */
static int
unescape(struct slice s, size_t *used)
{
	uint32_t n;

	if (s.len >= 4 && num_u32(slice_sub(s, 1, 3), 0, 255, &n) == 0) {
		*used = 4;
		return (int)n;
	}
	if (s.len >= 2 && (s.p[1] == '"' || s.p[1] == '\\')) {
		*used = 2;
		return (unsigned char)s.p[1];
	}
	return -1;
}

static int
parse_name(struct parser *p, struct slice text, struct slice *out)
{
	struct dns_name name;
	char raw[LIMIT_DOMAIN_BYTES + 1];
	size_t len = 0, used;

	for (size_t i = 0; i < text.len; i += used) {
		int c = (unsigned char)text.p[i];

		used = 1;
		if (c == '\\') {
			c = unescape(slice_from(text, i), &used);
			if (c < 0 || c == '.')
				return fault(p, "bad escape in name", text);
		} else if (dns_name_escapes((char)c)) {
			return fault(p, "byte that must be written \\DDD in name", text);
		}
		if (len == sizeof(raw))
			return fault(p, "name is longer than 253 bytes", text);
		raw[len++] = (char)c;
	}
	if (dns_name_set(&name, slice_of(raw, len)) != 0)
		return fault(p, "not a domain name", text);
	*out = arena_copy(p->memory, dns_name_slice(&name));
	return 0;
}

/* A name, or "." for the root, which is the empty slice. */
static int
parse_target(struct parser *p, struct slice text, struct slice *out)
{
	if (slice_equal(text, SLICE("."))) {
		*out = slice_of("", 0);
		return 0;
	}
	return parse_name(p, text, out);
}

static int
parse_address(struct parser *p, struct slice text, enum dns_type type, struct ip_address *out)
{
	bool colon = slice_find(text, ':') != SLICE_NONE;

	if (colon != (type == DNS_AAAA) || ip_parse(text, out) != 0)
		return fault(p, "not an address of that type", text);
	return 0;
}

/* One quoted string at the start of *rest, appended to buf[*len]. */
static int
parse_string(struct parser *p, struct slice *rest, char *buf, size_t *len)
{
	struct slice s = *rest;
	size_t start = *len, used;

	if (s.len == 0 || s.p[0] != '"')
		return fault(p, "string without opening quote", s);
	for (size_t i = 1; i < s.len; i += used) {
		int c = (unsigned char)s.p[i];

		if (c == '"') {
			*rest = slice_from(s, i + 1);
			return 0;
		}
		used = 1;
		if (c == '\\') {
			c = unescape(slice_from(s, i), &used);
			if (c < 0)
				return fault(p, "bad escape in string", slice_from(s, i));
		}
		if (*len - start == TXT_STRING_BYTES)
			return fault(p, "string is longer than 255 bytes", s);
		if (*len == LIMIT_DNS_RDATA_BYTES)
			return fault(p, "strings are longer than 16384 bytes together", s);
		buf[(*len)++] = (char)c;
	}
	return fault(p, "string without closing quote", s);
}

static int
parse_strings(struct parser *p, struct slice rdata, struct slice *out)
{
	size_t room = rdata.len < LIMIT_DNS_RDATA_BYTES ? rdata.len : LIMIT_DNS_RDATA_BYTES;
	char *buf = arena_alloc(p->memory, room + 1);
	size_t len = 0;

	do {
		if (parse_string(p, &rdata, buf, &len) != 0)
			return -1;
		if (rdata.len > 0 && !ascii_is_wsp(rdata.p[0]))
			return fault(p, "no space between strings", rdata);
		rdata = slice_trim(rdata);
	} while (rdata.len > 0);
	*out = slice_of(buf, len);
	return 0;
}

static int
parse_mx(struct parser *p, struct slice rdata, struct dns_record *out)
{
	struct slice number = next_field(&rdata), host = next_field(&rdata);
	uint32_t preference;

	if (num_u32(number, 0, UINT16_MAX, &preference) != 0)
		return fault(p, "MX preference is not a number of 0..65535", number);
	if (!slice_is_empty(slice_trim(rdata)))
		return fault(p, "more than preference and host", rdata);
	out->mx.preference = (uint16_t)preference;
	return parse_target(p, host, &out->mx.host);
}

static int
parse_rdata(struct parser *p, struct slice rdata, struct zone_line *line)
{
	switch (line->type) {
	case DNS_A:
	case DNS_AAAA:
		return parse_address(p, rdata, line->type, &line->data.address);
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		return parse_target(p, rdata, &line->data.name);
	case DNS_MX:
		return parse_mx(p, rdata, &line->data);
	case DNS_TXT:
		return parse_strings(p, rdata, &line->data.text);
	}
	bug("zone parse_rdata: type %d", (int)line->type);
}

static int
parse_special(struct parser *p, struct slice rdata, enum zone_special *out)
{
	for (int i = ZONE_RECORD + 1; i < ZONE_SPECIAL_COUNT; i++) {
		if (slice_equal_nocase(rdata, slice_str(zone_special_word((enum zone_special)i)))) {
			*out = (enum zone_special)i;
			return 0;
		}
	}
	return fault(p, "unknown special answer", rdata);
}

static int
parse_line(struct parser *p, struct slice text, struct zone_line *line)
{
	struct slice rest = text;
	struct slice name = next_field(&rest), type = next_field(&rest), ttl = next_field(&rest);

	*line = (struct zone_line){ .number = p->number };
	rest = slice_trim(rest);
	if (parse_name(p, name, &line->name) != 0)
		return -1;
	line->any = slice_equal_nocase(type, SLICE("ANY"));
	if (!line->any && dns_type_parse(type, &line->type) != 0)
		return fault(p, "unknown type", type);
	if (num_u32(ttl, 0, TTL_MAX_S, &line->ttl_s) != 0)
		return fault(p, "TTL is not a number of seconds", ttl);
	if (rest.len > 0 && rest.p[0] == '!')
		return parse_special(p, rest, &line->special);
	if (line->any)
		return fault(
		    p, "ANY wants a special answer (!SERVFAIL, !TIMEOUT, !NXDOMAIN)", rest);
	return parse_rdata(p, rest, line);
}

static struct zone_line *
add_line(struct parser *p)
{
	if (p->count == p->size) {
		size_t size = p->size == 0 ? 64 : 2 * p->size;
		struct zone_line *lines = arena_array(p->memory, size, sizeof(*lines));

		if (p->count > 0)
			memcpy(lines, p->lines, p->count * sizeof(*lines));
		p->lines = lines;
		p->size = size;
	}
	return &p->lines[p->count++];
}

static int
compare_lines(const void *a, const void *b)
{
	const struct zone_line *x = a, *y = b;
	int order = slice_compare_nocase(x->name, y->name);

	if (order != 0)
		return order;
	return x->number < y->number ? -1 : x->number > y->number;
}

static int
compare_names(const void *a, const void *b)
{
	return slice_compare_nocase(*(const struct slice *)a, *(const struct slice *)b);
}

/* Every listed name and every name above one: those exist (RFC 4592 2.2.2). */
static void
make_nodes(struct arena *memory, struct zone *zone)
{
	size_t count = 0, kept = 0;

	for (size_t i = 0; i < zone->line_count; i++)
		for (size_t at = 0; at < zone->lines[i].name.len; at++)
			count += at == 0 || zone->lines[i].name.p[at] == '.';
	zone->nodes = arena_array(memory, count, sizeof(*zone->nodes));
	count = 0;
	for (size_t i = 0; i < zone->line_count; i++) {
		struct slice rest = zone->lines[i].name;

		for (size_t dot = 0; dot != SLICE_NONE; dot = slice_find(rest, '.')) {
			rest = slice_from(rest, dot == 0 ? 0 : dot + 1);
			zone->nodes[count++] = rest;
		}
	}
	qsort(zone->nodes, count, sizeof(*zone->nodes), compare_names);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || !slice_equal(zone->nodes[kept - 1], zone->nodes[i]))
			zone->nodes[kept++] = zone->nodes[i];
	zone->node_count = kept;
}

int
zone_parse(struct arena *memory, struct slice text, struct zone *out, struct arena *errors,
    const char **error_r)
{
	struct parser p = { .memory = memory };
	struct slice line;

	while (slice_next(&text, '\n', &line)) {
		p.number++;
		line = slice_trim(line);
		if (line.len == 0 || line.p[0] == '#' || line.p[0] == ';')
			continue;
		if (parse_line(&p, line, add_line(&p)) != 0) {
			*error_r = arena_printf(errors, "line %zu: %s: \"%s\"", p.number, p.why,
			    arena_printable(errors, p.what, FAULT_SHOWN_BYTES));
			return -1;
		}
	}
	*out = (struct zone){ .lines = p.lines, .line_count = p.count };
	if (p.count > 0) {
		qsort(out->lines, out->line_count, sizeof(*out->lines), compare_lines);
		make_nodes(memory, out);
	}
	return 0;
}
