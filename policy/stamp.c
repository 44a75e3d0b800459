/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/stamp.h"

#include "policy/authres/authres.h"
#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/domain.h"

#define COMMENT_BYTES 300
#define DETAIL_SHOWN  120

struct stamp { /* the field while it is put together */
	struct arena *arena;
	const struct verdict *v;
	struct authres field;
	size_t size; /* results allocated */
	bool seals;  /* for an ARC set */
};

static struct authres_result *
add_result(struct stamp *st, const char *method, const char *word)
{
	struct authres_result *r;

	if (st->field.result_count == st->size)
		bug("stamp: more than %zu results", st->size);
	r = &st->field.results[st->field.result_count++];
	*r = (struct authres_result){
		.method = slice_str(method), .method_version = 1, .result = slice_str(word)
	};
	return r;
}

/*
 * RFC 8601 2.2 with RFC 6532 lets UTF-8 stand in a field, but only in a message that is
 * internationalized, which nobody tells us; and there are readers who stop at it. So it is escaped,
 * and a name written with A-labels.
 */
static struct slice
ascii_text(struct stamp *st, struct slice text)
{
	return slice_is_ascii(text)
	    ? text
	    : slice_str(arena_printable(st->arena, text, LIMIT_AUTHRES_VALUE_BYTES));
}

static struct slice
ascii_name(struct stamp *st, struct slice name)
{
	struct slice normal;
	const char *why;

	if (slice_is_ascii(name) || domain_normalize(st->arena, name, &normal, &why) != 0)
		return name;
	return normal;
}

/* At most four properties a result are ever written. */
#define PROPERTIES_MAX 4

static void
add_property(struct stamp *st, struct authres_result *r, const char *ptype, const char *property,
    struct slice value)
{
	if (value.len == 0)
		return;
	if (r->properties == NULL)
		r->properties = arena_array(st->arena, PROPERTIES_MAX, sizeof(*r->properties));
	if (r->property_count == PROPERTIES_MAX)
		bug("stamp: more than %d properties", PROPERTIES_MAX);
	r->properties[r->property_count++] = (struct authres_property){ .ptype = slice_str(ptype),
		.property = slice_str(property),
		.value = ascii_text(st, value) };
}

/* The reason's fixed text, with what exactly was wrong where it is known. */
static struct slice
reason(struct stamp *st, const char *text, struct slice detail)
{
	if (detail.len == 0)
		return slice_str(text);
	return slice_str(
	    arena_printf(st->arena, "%s: %s", text, arena_cut(st->arena, detail, DETAIL_SHOWN)));
}

/*
 * The result is recorded whatever it is (RFC 7208 9). RFC 8601 2.7.2: the local part is left out
 * unless the policy looks at it; we never know a reader who needs it, and it is the stranger's
 * text.
 */
static void
stamp_spf(struct stamp *st, const struct spf_verdict *spf, const char *property)
{
	struct authres_result *r = add_result(st, "spf", spf_result_word(spf->result));

	if (spf->result == SPF_TEMPERROR || spf->result == SPF_PERMERROR)
		r->reason = reason(st, spf_reason_text(spf->reason), spf->detail);
	add_property(st, r, "smtp", property, spf->domain);
}

/* "2048-bit key" */
static struct slice
key_comment(struct arena *a, uint32_t bits)
{
	struct strbuf b;

	strbuf_init(&b, a, COMMENT_BYTES);
	strbuf_number(&b, bits);
	strbuf_str(&b, "-bit key");
	return strbuf_slice(&b);
}

/* RFC 6376 3.9: for each signature its domain and what became of it, and why. */
static void
stamp_dkim(struct stamp *st)
{
	const struct dkim_verdict *dkim = &st->v->dkim;

	if (dkim->count == 0)
		(void)add_result(st, "dkim", dkim_result_word(DKIM_NONE));
	for (size_t i = 0; i < dkim->count; i++) {
		const struct dkim_signature_verdict *s = &dkim->signatures[i];
		struct authres_result *r = add_result(st, "dkim", dkim_result_word(s->result));

		if (s->reason != DKIM_R_NONE)
			r->reason = reason(st, dkim_reason_text(s->reason), s->detail);
		if (s->key_bits > 0)
			r->comment = key_comment(st->arena, s->key_bits);
		add_property(st, r, "header", "d", s->domain);
		add_property(st, r, "header", "s", ascii_name(st, s->selector));
		add_property(st, r, "header", "a", s->algorithm);
		add_property(st, r, "header", "b", s->header_b); /* RFC 6008 */
	}
}

/* RFC 8617 6 */
static void
add_client(struct stamp *st, struct authres_result *r)
{
	char text[IP_TEXT_BYTES];

	add_property(st, r, "smtp", "remote-ip",
	    arena_copy(st->arena, slice_str(ip_print(&st->v->connection.client, text))));
}

static void
stamp_arc(struct stamp *st)
{
	const struct arc_verdict *arc = &st->v->arc;
	struct authres_result *r;

	if (arc->result == ARC_NONE && !st->seals)
		return;
	r = add_result(st, "arc", arc_result_word(arc->result));
	r->reason = arc->reason;
	if (arc->instances > 0)
		r->comment = slice_str(arena_printf(st->arena, "i=%u", arc->instances));
	if (arc->oldest_pass >= 0)
		/* RFC 8617 5.2, step 5 */
		add_property(st, r, "header", "oldest-pass",
		    slice_str(arena_printf(st->arena, "%d", arc->oldest_pass)));
	add_property(st, r, "header", "d", arc->domain);
	add_client(st, r);
}

static void
stamp_iprev(struct stamp *st)
{
	const struct iprev_verdict *iprev = &st->v->iprev;
	struct authres_result *r = add_result(st, "iprev", iprev_result_word(iprev->result));
	char text[IP_TEXT_BYTES];

	if (iprev->name.len > 0)
		r->comment = slice_str(arena_printable(st->arena, iprev->name, DETAIL_SHOWN));
	/* RFC 8601 2.7.3 */
	add_property(st, r, "policy", "iprev",
	    arena_copy(st->arena, slice_str(ip_print(&st->v->connection.client, text))));
}

/* "p=reject dis=quarantine override=mailing_list (list x vouched for by DKIM of y)" */
static struct slice
dmarc_comment(struct stamp *st, const struct disposition *d)
{
	const struct dmarc_verdict *dmarc = &st->v->dmarc;
	struct strbuf b;

	strbuf_init(&b, st->arena, COMMENT_BYTES);
	if (dmarc->record != NULL) {
		strbuf_str(&b, dmarc->policy_tag);
		strbuf_char(&b, '=');
		strbuf_str(&b, dmarc_policy_word(dmarc->requested_policy));
		strbuf_str(&b, dmarc->record->testing ? " t=y " : " ");
	}
	strbuf_str(&b, "dis=");
	strbuf_str(&b, dmarc_policy_word(d->policy_applied));
	for (size_t i = 0; i < d->override_count; i++)
		strbuf_printf(&b, " override=%s: %s", override_word(d->overrides[i].kind),
		    d->overrides[i].comment);
	return strbuf_slice(&b);
}

static void
stamp_dmarc(struct stamp *st, const struct disposition *d)
{
	const struct dmarc_verdict *dmarc = &st->v->dmarc;
	struct authres_result *r = add_result(st, "dmarc", dmarc_result_word(dmarc->result));

	if (dmarc->result != DMARC_PASS)
		r->reason = reason(st, dmarc_reason_text(dmarc->reason), dmarc->detail);
	r->comment = dmarc_comment(st, d);
	add_property(st, r, "header", "from", dmarc->author_domain);
	if (dmarc->record != NULL)
		/* RFC 9989 9.1: the evaluated policy, after sp, np and t. */
		add_property(st, r, "policy", "dmarc", slice_str(dmarc_policy_word(dmarc->policy)));
}

static struct slice
write_field(struct arena *a, struct slice authserv_id, const struct verdict *v,
    const struct disposition *d, bool seals)
{
	struct stamp st = {
		.arena = a,
		.v = v,
		.seals = seals,
		.field = { .authserv_id = authserv_id, .version = 1 },
		.size = v->dkim.count + 6, /* dmarc, spf twice, "dkim=none", arc, iprev */
	};

	st.field.results = arena_array(a, st.size, sizeof(*st.field.results));
	if (v->has_message && v->limit_met == NULL)
		stamp_dmarc(&st, d);
	stamp_spf(&st, &v->spf, "mailfrom");
	if (v->helo_checked)
		stamp_spf(&st, &v->spf_helo, "helo");
	if (v->has_message && v->limit_met == NULL) {
		stamp_dkim(&st);
		stamp_arc(&st);
	}
	if (v->iprev_checked)
		stamp_iprev(&st);
	return authres_write(a, &st.field);
}

struct slice
stamp_write(
    struct arena *a, struct slice authserv_id, const struct verdict *v, const struct disposition *d)
{
	return write_field(a, authserv_id, v, d, false);
}

struct slice
stamp_write_sealed(
    struct arena *a, struct slice authserv_id, const struct verdict *v, const struct disposition *d)
{
	return write_field(a, authserv_id, v, d, true);
}
