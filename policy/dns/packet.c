/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/dns/packet.h"

#include "policy/dns/internal.h"
#include "policy/dns/wire.h"

/* RFC 1035 4.1.1 */
#define FLAG_RESPONSE  0x8000u
#define FLAG_TRUNCATED 0x0200u
#define RCODE_MASK     0x000fu
#define RCODE_NOERROR  0
#define RCODE_NXDOMAIN 3

#define CLASS_IN  1
#define TYPE_SOA  6
#define TTL_NONE  UINT32_MAX /* no record seen yet */
#define SOA_BYTES 22	     /* two names, the root each, and five numbers; RFC 1035 3.3.13 */

#define POINTER	   0xc0 /* both bits: a pointer to the rest of the name; RFC 1035 4.1.4 */
#define NAME_BYTES 255	/* in wire form; RFC 1035 2.3.4 */

/* A name in wire form without pointers, in lower case: equal names are equal bytes. */
struct dname {
	size_t len;
	char bytes[NAME_BYTES];
};

/* What is known while the records are read, one after the other. */
struct reading {
	struct arena *arena;
	struct slice packet;
	struct wire wire; /* the rest of packet */
	enum dns_type type;
	struct dname owner; /* whose records are wanted: where the aliases have led so far */
	struct dns_record *records;
	size_t count, room;
	uint32_t ttl_s;
};

/* A record, with its name. rdata is as it stands in the packet. */
struct rr {
	struct dname name;
	unsigned type, class;
	uint32_t ttl_s;
	struct slice rdata;
};

/* ---- names ---- */

static bool
append_label(struct dname *name, struct slice label)
{
	if (label.len > LIMIT_LABEL_BYTES || name->len + 1 + label.len > NAME_BYTES)
		return false;
	name->bytes[name->len++] = (char)label.len;
	for (size_t i = 0; i < label.len; i++)
		name->bytes[name->len++] = ascii_lower(label.p[i]);
	return true;
}

/*
 * The name at that place of the packet: where it ends, or 0. Each pointer must lead to before all
 * that was read of the name so far ("a prior occurrence"), so none can lead in a circle.
 */
static size_t
read_name(struct slice packet, size_t at, struct dname *out)
{
	size_t lowest = at, end = 0;

	out->len = 0;
	for (;;) {
		struct wire w = { .rest = slice_from(packet, at) };
		size_t n = wire_u8(&w);

		if ((n & POINTER) == POINTER) {
			size_t target = (n & ~(size_t)POINTER) << 8 | wire_u8(&w);

			if (w.error || target >= lowest)
				return 0;
			end = end == 0 ? at + 2 : end;
			lowest = at = target;
			continue;
		}
		if (!append_label(out, wire_bytes(&w, n)) || w.error)
			return 0;
		at += 1 + n;
		if (n == 0)
			return end == 0 ? at : end;
	}
}

/* The next name of the packet. */
static void
take_name(struct reading *r, struct dname *out)
{
	size_t end = r->wire.error ? 0
				   : read_name(r->packet, r->packet.len - r->wire.rest.len, out);

	if (end == 0)
		r->wire.error = true;
	else
		r->wire.rest = slice_from(r->packet, end);
}

static bool
same_name(const struct dname *a, const struct dname *b)
{
	return slice_equal(slice_of(a->bytes, a->len), slice_of(b->bytes, b->len));
}

/* ---- records ---- */

static void
take_record(struct reading *r, struct rr *out)
{
	take_name(r, &out->name);
	out->type = wire_u16(&r->wire);
	out->class = wire_u16(&r->wire);
	out->ttl_s = wire_ttl(&r->wire);
	out->rdata = wire_bytes(&r->wire, wire_u16(&r->wire));
}

/* The name that rdata ends with, from that byte on. */
static bool
name_in_rdata(const struct reading *r, struct slice rdata, size_t from, struct dname *out)
{
	size_t start = (size_t)(rdata.p - r->packet.p);

	return rdata.len > from && read_name(r->packet, start + from, out) == start + rdata.len;
}

/* Rdata of the type asked for, without the pointers that may stand in it (RFC 3597 4). */
static bool
plain_rdata(struct reading *r, struct slice rdata, struct slice *out)
{
	size_t from = r->type == DNS_MX ? 2 : 0;
	char plain[2 + NAME_BYTES];
	struct dname name;

	switch (r->type) {
	case DNS_A:
	case DNS_AAAA:
	case DNS_TXT:
		*out = rdata;
		return true;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
	case DNS_MX:
		break;
	}
	if (!name_in_rdata(r, rdata, from, &name))
		return false;
	memcpy(plain, rdata.p, from);
	memcpy(plain + from, name.bytes, name.len);
	*out = arena_copy(r->arena, slice_of(plain, from + name.len));
	return true;
}

/* A record of the answer section: what was asked for, a step on the way to it, or neither. */
static void
take_answer(struct reading *r)
{
	struct rr rr;
	struct slice rdata;

	take_record(r, &rr);
	if (r->wire.error || rr.class != CLASS_IN)
		return;
	if (rr.ttl_s < r->ttl_s)
		r->ttl_s = rr.ttl_s;
	if (!same_name(&rr.name, &r->owner))
		return;
	if (rr.type == (unsigned)r->type && r->count < r->room) {
		if (!plain_rdata(r, rr.rdata, &rdata) ||
		    wire_record(r->arena, r->type, rdata, &r->records[r->count]) != 0)
			r->wire.error = true;
		else
			r->count++;
	} else if (rr.type == DNS_CNAME && r->type != DNS_CNAME && r->count == 0 &&
	    !name_in_rdata(r, rr.rdata, 0, &r->owner)) {
		r->wire.error = true;
	}
}

/* A record of the authority section: how long a negative answer is good. */
static void
take_authority(struct reading *r)
{
	struct rr rr;
	struct wire minimum;
	uint32_t minimum_s;

	take_record(r, &rr);
	if (r->wire.error || rr.class != CLASS_IN)
		return;
	if (rr.type == TYPE_SOA) {
		if (rr.rdata.len < SOA_BYTES) {
			r->wire.error = true;
			return;
		}
		minimum = (struct wire){ .rest = slice_from(rr.rdata, rr.rdata.len - 4) };
		minimum_s = wire_ttl(&minimum);
		if (minimum_s < rr.ttl_s)
			rr.ttl_s = minimum_s;
	}
	if (rr.ttl_s < r->ttl_s)
		r->ttl_s = rr.ttl_s;
}

/* ---- the whole ---- */

static struct dns_answer
failed(enum dns_reason reason, const char *detail)
{
	return (struct dns_answer){
		.status = DNS_TEMPFAIL, .reason = reason, .detail = slice_str(detail)
	};
}

/* The question, and the sections behind it. False: not well-formed. */
static bool
read_sections(struct reading *r, unsigned answers, unsigned authorities, bool exists)
{
	take_name(r, &r->owner);
	if (wire_u16(&r->wire) != (unsigned)r->type || wire_u16(&r->wire) != CLASS_IN)
		return false;
	/* Each record takes eleven bytes at least: the packet bounds what its counts claim. */
	for (unsigned i = 0; i < answers && !r->wire.error; i++)
		take_answer(r);
	for (unsigned i = 0; i < authorities && !r->wire.error && !(exists && r->count > 0); i++)
		take_authority(r);
	return !r->wire.error;
}

struct dns_answer
packet_answer(struct arena *a, struct slice packet, enum dns_type type)
{
	struct reading r = { .arena = a,
		.packet = packet,
		.wire = { .rest = packet },
		.type = type,
		.ttl_s = TTL_NONE };
	struct dns_answer draft = { .status = DNS_NODATA };
	unsigned flags, rcode, questions, answers, authorities;

	(void)wire_u16(&r.wire); /* ID */
	flags = wire_u16(&r.wire);
	questions = wire_u16(&r.wire);
	answers = wire_u16(&r.wire);
	authorities = wire_u16(&r.wire);
	(void)wire_u16(&r.wire); /* additional records: not looked at */
	rcode = flags & RCODE_MASK;
	if (r.wire.error || (flags & FLAG_RESPONSE) == 0)
		return failed(DNS_R_MALFORMED, NULL);
	if (rcode != RCODE_NOERROR && rcode != RCODE_NXDOMAIN)
		return failed(DNS_R_SERVFAIL, arena_printf(a, "rcode %u", rcode));
	r.room = answers <= LIMIT_DNS_RECORDS ? answers : LIMIT_DNS_RECORDS + 1;
	r.records = arena_array(a, r.room, sizeof(*r.records));
	if ((flags & FLAG_TRUNCATED) != 0 || questions != 1 ||
	    !read_sections(&r, answers, authorities, rcode == RCODE_NOERROR))
		return failed(DNS_R_MALFORMED, NULL);
	draft.ttl_s = r.ttl_s == TTL_NONE ? 0 : r.ttl_s;
	if (rcode == RCODE_NXDOMAIN)
		draft.status = DNS_NXDOMAIN;
	else if (r.count > 0)
		draft = (struct dns_answer){ .status = DNS_OK,
			.ttl_s = draft.ttl_s,
			.count = r.count,
			.records = r.records };
	return draft;
}
