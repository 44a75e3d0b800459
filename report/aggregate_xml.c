/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One function an element, in the order of RFC 9990 3.1.1 and of RFC 7489 Appendix C. A failed call
 * of the writer, which writes to memory, is a machine without memory.
 */
#include <inttypes.h>
#include <stdlib.h>

#include <libxml/xmlwriter.h>

#include "report/aggregate_internal.h"
#include "report/text.h"

#define NAMESPACE     "urn:ietf:params:xml:ns:dmarc-2.0"
#define SCRATCH_BYTES (1024u * 1024)

struct xml {
	xmlBufferPtr buffer;
	xmlTextWriterPtr writer;
	struct arena *scratch; /* of the record under way */
};

static void
must(int rc)
{
	if (rc < 0)
		out_of_memory(0);
}

struct xml *
xml_new(void)
{
	struct xml *x = heap_alloc(1, sizeof(*x));

	x->buffer = xmlBufferCreate();
	x->writer = x->buffer == NULL ? NULL : xmlNewTextWriterMemory(x->buffer, 0);
	if (x->writer == NULL)
		out_of_memory(0);
	xmlBufferSetAllocationScheme(x->buffer, XML_BUFFER_ALLOC_DOUBLEIT);
	must(xmlTextWriterSetIndent(x->writer, 1));
	must(xmlTextWriterSetIndentString(x->writer, BAD_CAST "  "));
	x->scratch = arena_new(SCRATCH_BYTES);
	return x;
}

void
xml_free(struct xml **x)
{
	if (*x == NULL)
		return;
	xmlFreeTextWriter((*x)->writer);
	xmlBufferFree((*x)->buffer);
	arena_free(&(*x)->scratch);
	free(*x);
	*x = NULL;
}

struct slice
xml_text(struct xml *x)
{
	must(xmlTextWriterFlush(x->writer));
	return slice_of(
	    (const char *)xmlBufferContent(x->buffer), (size_t)xmlBufferLength(x->buffer));
}

/* ---- pieces ---- */

static void
start(struct xml *x, const char *name)
{
	must(xmlTextWriterStartElement(x->writer, BAD_CAST name));
}

static void
end(struct xml *x)
{
	must(xmlTextWriterEndElement(x->writer));
}

/* text is clean: a word of ours, or has passed report_text(). */
static void
element(struct xml *x, const char *name, const char *text)
{
	must(xmlTextWriterWriteElement(x->writer, BAD_CAST name, BAD_CAST text));
}

static void
number(struct xml *x, const char *name, uint64_t value)
{
	must(xmlTextWriterWriteFormatElement(x->writer, BAD_CAST name, "%" PRIu64, value));
}

static void
text(struct xml *x, const char *name, struct slice s, size_t max_bytes)
{
	element(x, name, report_text(x->scratch, s, max_bytes).p);
}

/* The same, where nothing is written of what has nothing in it. */
static void
text_if_any(struct xml *x, const char *name, struct slice s, size_t max_bytes)
{
	struct slice clean = report_text(x->scratch, s, max_bytes);

	if (clean.len > 0)
		element(x, name, clean.p);
}

static struct slice
name_text(struct xml *x, struct slice s)
{
	return report_name_text(x->scratch, s, REPORT_NAME_BYTES);
}

static void
name(struct xml *x, const char *element_name, struct slice s)
{
	element(x, element_name, name_text(x, s).p);
}

/* ---- who makes the report ---- */

static uint64_t
seconds(int64_t s)
{
	return s < 0 ? 0 : (uint64_t)s;
}

/* RFC 7489 lets "error" occur any number of times; RFC 9990 once. */
static void
errors(struct xml *x, enum aggregate_format format, struct slice error)
{
	struct slice line;

	if (error.len == 0)
		return;
	switch (format) {
	case AGGREGATE_RFC9990:
		text_if_any(x, "error", error, REPORT_ERROR_BYTES);
		return;
	case AGGREGATE_RFC7489:
		error = slice_sub(error, 0, REPORT_ERROR_BYTES);
		while (slice_next(&error, '\n', &line))
			text_if_any(x, "error", line, REPORT_CONTACT_BYTES);
		return;
	}
	bug("aggregate: format %d", (int)format);
}

/* RFC 9990 3.1.1.3 */
static void
metadata(struct xml *x, const struct aggregate_report *r, struct slice error)
{
	start(x, "report_metadata");
	text(x, "org_name", r->org_name, REPORT_CONTACT_BYTES);
	text(x, "email", r->email, REPORT_EMAIL_BYTES);
	text_if_any(x, "extra_contact_info", r->extra_contact, REPORT_CONTACT_BYTES);
	text(x, "report_id", r->report_id, REPORT_ID_BYTES);
	start(x, "date_range");
	number(x, "begin", seconds(r->begin_s));
	number(x, "end", seconds(r->end_s - 1));
	end(x);
	errors(x, r->format, error);
	if (r->format == AGGREGATE_RFC9990)
		text_if_any(x, "generator", r->generator, REPORT_CONTACT_BYTES);
	end(x);
}

/* ---- the policy ---- */

static const char *
policy_word(enum dmarc_policy policy, enum dmarc_policy fallback)
{
	return dmarc_policy_word(policy == DMARC_P_UNSET ? fallback : policy);
}

/*
 * RFC 9990 3.1.1.5: unspecified tags have their default values. A record without a valid p counts
 * as p=none (RFC 9989 4.10.1), and np is not known to RFC 7489's discovery.
 */
static void
policy_rfc9990(struct xml *x, const struct report_policy *p)
{
	enum dmarc_policy own = p->p == DMARC_P_UNSET ? DMARC_P_NONE : p->p;
	enum dmarc_policy sub = p->sp == DMARC_P_UNSET ? own : p->sp;

	name(x, "domain", p->domain);
	element(x, "discovery_method", dmarc_discovery_word(p->discovery));
	element(x, "p", dmarc_policy_word(own));
	element(x, "sp", dmarc_policy_word(sub));
	if (p->discovery == DMARC_TREEWALK)
		element(x, "np", policy_word(p->np, sub));
	name(x, "fo", p->fo.len == 0 ? SLICE("0") : p->fo);
	element(x, "adkim", p->strict_dkim ? "s" : "r");
	element(x, "aspf", p->strict_spf ? "s" : "r");
	if (p->discovery == DMARC_TREEWALK)
		element(x, "testing", p->testing ? "y" : "n");
}

static void
policy_rfc7489(struct xml *x, const struct report_policy *p)
{
	enum dmarc_policy own = p->p == DMARC_P_UNSET ? DMARC_P_NONE : p->p;

	name(x, "domain", p->domain);
	element(x, "adkim", p->strict_dkim ? "s" : "r");
	element(x, "aspf", p->strict_spf ? "s" : "r");
	element(x, "p", dmarc_policy_word(own));
	element(x, "sp", policy_word(p->sp, own));
	number(x, "pct", p->pct);
	name(x, "fo", p->fo.len == 0 ? SLICE("0") : p->fo);
}

void
xml_head(struct xml *x, const struct aggregate_report *r, struct slice error)
{
	must(xmlTextWriterStartDocument(x->writer, "1.0", "UTF-8", NULL));
	start(x, "feedback");
	if (r->format == AGGREGATE_RFC9990) /* RFC 9990 3.1.1.1 */
		must(xmlTextWriterWriteAttribute(x->writer, BAD_CAST "xmlns", BAD_CAST NAMESPACE));
	element(x, "version", "1.0"); /* RFC 9990 3.1.1.2: MUST have the value 1.0 */
	metadata(x, r, error);
	start(x, "policy_published");
	switch (r->format) {
	case AGGREGATE_RFC9990:
		policy_rfc9990(x, r->policy);
		break;
	case AGGREGATE_RFC7489:
		policy_rfc7489(x, r->policy);
		break;
	}
	end(x);
}

void
xml_body(struct xml *x)
{
	start(x, "feedback");
	must(xmlTextWriterWriteString(x->writer, BAD_CAST "\n"));
}

/* ---- a record ---- */

static const char *
disposition_word(enum aggregate_format format, enum report_disposition d)
{
	if (format == AGGREGATE_RFC7489 && d == REPORT_D_PASS)
		d = REPORT_D_NONE;
	return report_disposition_word(d);
}

/* RFC 9990 3.1.1.14, 3.1.6; what RFC 7489 does not know is told as "other". */
static void
reason(struct xml *x, enum aggregate_format format, const struct report_override *o)
{
	bool unknown = format == AGGREGATE_RFC7489 && o->kind == OVERRIDE_POLICY_TEST_MODE;
	struct slice comment = o->comment;

	if (unknown)
		comment = slice_str(arena_printf(x->scratch, "%s%s%.*s", override_word(o->kind),
		    comment.len == 0 ? "" : ": ", SLICE_ARG(comment)));
	start(x, "reason");
	element(x, "type", override_word(unknown ? OVERRIDE_OTHER : o->kind));
	text_if_any(x, "comment", comment, REPORT_TEXT_BYTES);
	end(x);
}

/* RFC 9990 3.1.1.8, 3.1.1.9 */
static void
row(struct xml *x, enum aggregate_format format, const struct report_row *r)
{
	char address[IP_TEXT_BYTES];

	start(x, "row");
	element(x, "source_ip", ip_print(&r->source, address));
	number(x, "count", r->count);
	start(x, "policy_evaluated");
	element(x, "disposition", disposition_word(format, r->disposition));
	element(x, "dkim", r->dkim_aligned ? "pass" : "fail");
	element(x, "spf", r->spf_aligned ? "pass" : "fail");
	for (size_t i = 0; i < r->override_count && i < OVERRIDES_MAX; i++)
		reason(x, format, &r->overrides[i]);
	end(x);
	end(x);
}

/* RFC 9990 3.1.1.10: a null reverse-path is an empty envelope_from. */
static void
identifiers(struct xml *x, enum aggregate_format format, const struct report_row *r)
{
	struct slice to = name_text(x, r->envelope_to);

	start(x, "identifiers");
	if (format == AGGREGATE_RFC7489 && to.len > 0)
		element(x, "envelope_to", to.p);
	if (format == AGGREGATE_RFC7489)
		name(x, "envelope_from", r->envelope_from);
	name(x, "header_from", r->header_from);
	if (format == AGGREGATE_RFC9990)
		name(x, "envelope_from", r->envelope_from);
	if (format == AGGREGATE_RFC9990 && to.len > 0)
		element(x, "envelope_to", to.p);
	end(x);
}

/* RFC 9990 3.1.1.12. A signature whose d= can't be read says nothing about anybody. */
static void
dkim(struct xml *x, const struct report_signature *s)
{
	struct slice domain = name_text(x, s->domain);

	if (domain.len == 0)
		return;
	start(x, "dkim");
	element(x, "domain", domain.p);
	name(x, "selector", s->selector);
	element(x, "result", dkim_result_word(s->result));
	text_if_any(x, "human_result", s->human_result, REPORT_TEXT_BYTES);
	end(x);
}

/*
 * RFC 9990 3.1.1.13: scope is "mfrom" and nothing else, also where a null reverse-path made it
 * postmaster@HELO. RFC 7489 wants an SPF result in every record and knows no human_result.
 */
static void
spf(struct xml *x, enum aggregate_format format, const struct report_row *r)
{
	struct slice domain = name_text(x, r->has_spf ? r->spf_domain : r->envelope_from);
	bool present = r->has_spf && domain.len > 0;

	if (!present && format == AGGREGATE_RFC9990)
		return;
	start(x, "spf");
	element(x, "domain", domain.p);
	element(x, "scope", "mfrom");
	element(x, "result", spf_result_word(r->has_spf ? r->spf_result : SPF_NONE));
	if (format == AGGREGATE_RFC9990)
		text_if_any(x, "human_result", r->spf_human_result, REPORT_TEXT_BYTES);
	end(x);
}

/* RFC 9990 3.1.1.7, 3.1.1.11; no more than 100 signatures, 3.1.3 */
bool
xml_record(struct xml *x, enum aggregate_format format, const struct report_row *r)
{
	size_t signatures = r->signature_count < REPORT_SIGNATURES_MAX ? r->signature_count
								       : REPORT_SIGNATURES_MAX;

	arena_reset(x->scratch);
	if (r->source.family == IP_NONE || r->count == 0 || name_text(x, r->header_from).len == 0)
		return false;
	start(x, "record");
	row(x, format, r);
	identifiers(x, format, r);
	start(x, "auth_results");
	for (size_t i = 0; i < signatures; i++)
		dkim(x, &r->signatures[i]);
	spf(x, format, r);
	end(x);
	end(x);
	return true;
}
