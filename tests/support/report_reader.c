/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/report_reader.h"

#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "policy/base/num.h"
#include "tests/support/support.h"

static const xmlNode *
next_named(const xmlNode *n, const char *name)
{
	for (; n != NULL; n = n->next)
		if (n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0)
			return n;
	return NULL;
}

/* The first child of that name, or NULL. */
static const xmlNode *
child(const xmlNode *n, const char *name)
{
	return n == NULL ? NULL : next_named(n->children, name);
}

static struct slice
text(struct arena *a, const xmlNode *n)
{
	xmlChar *content = n == NULL ? NULL : xmlNodeGetContent(n);
	struct slice s = arena_copy(a, slice_str((const char *)content));

	xmlFree(content);
	return s;
}

static struct slice
child_text(struct arena *a, const xmlNode *n, const char *name)
{
	return text(a, child(n, name));
}

static uint64_t
child_number(struct arena *a, const xmlNode *n, const char *name)
{
	struct slice s = child_text(a, n, name);
	uint64_t value = 0;

	if (num_u64(s, 0, UINT64_MAX, &value) != 0)
		fail_msg("%s: \"%.*s\" is not a number", name, SLICE_ARG(s));
	return value;
}

#define WORD_OF(function, list)                                                                    \
	static int function(struct slice s)                                                        \
	{                                                                                          \
		list(WORD_TEST) fail_msg("\"%.*s\" is no word", SLICE_ARG(s));                     \
		return 0;                                                                          \
	}
#define WORD_TEST(value, word, ...)                                                                \
	if (slice_equal(s, slice_str(word)))                                                       \
		return value;
WORD_OF(policy_of, DMARC_POLICIES)
WORD_OF(discovery_of, DMARC_DISCOVERIES)
WORD_OF(disposition_of, REPORT_DISPOSITIONS)
WORD_OF(override_of, OVERRIDES)
WORD_OF(dkim_of, DKIM_RESULTS)
WORD_OF(spf_of, SPF_RESULTS)

static void
read_metadata(struct arena *a, const xmlNode *n, struct read_report *out)
{
	struct slice *errors = &out->policy.errors;

	out->org_name = child_text(a, n, "org_name");
	out->email = child_text(a, n, "email");
	out->extra_contact = child_text(a, n, "extra_contact_info");
	out->report_id = child_text(a, n, "report_id");
	out->generator = child_text(a, n, "generator");
	out->begin_s = (int64_t)child_number(a, child(n, "date_range"), "begin");
	out->end_s = (int64_t)child_number(a, child(n, "date_range"), "end");
	for (const xmlNode *e = child(n, "error"); e != NULL; e = next_named(e->next, "error")) {
		struct slice line = text(a, e);

		*errors = out->error_count++ == 0 ? line
						  : slice_str(arena_printf(a, "%s\n%s",
							arena_str(a, *errors), arena_str(a, line)));
	}
}

static void
read_policy(struct arena *a, const xmlNode *n, struct report_policy *p)
{
	p->domain = child_text(a, n, "domain");
	if (child(n, "discovery_method") != NULL)
		p->discovery = (enum dmarc_discovery)discovery_of(
		    child_text(a, n, "discovery_method"));
	p->p = (enum dmarc_policy)policy_of(child_text(a, n, "p"));
	p->sp = (enum dmarc_policy)policy_of(child_text(a, n, "sp"));
	p->np = (enum dmarc_policy)policy_of(child_text(a, n, "np"));
	p->fo = child_text(a, n, "fo");
	p->strict_dkim = slice_equal(child_text(a, n, "adkim"), SLICE("s"));
	p->strict_spf = slice_equal(child_text(a, n, "aspf"), SLICE("s"));
	p->testing = slice_equal(child_text(a, n, "testing"), SLICE("y"));
}

static void
read_signature(struct arena *a, const xmlNode *n, struct report_signature *s)
{
	s->domain = child_text(a, n, "domain");
	s->selector = child_text(a, n, "selector");
	s->result = (enum dkim_result)dkim_of(child_text(a, n, "result"));
	s->human_result = child_text(a, n, "human_result");
}

static void
read_results(struct arena *a, const xmlNode *n, struct report_row *r)
{
	const xmlNode *spf = child(n, "spf");

	for (const xmlNode *d = child(n, "dkim"); d != NULL; d = next_named(d->next, "dkim"))
		r->signature_count++;
	r->signatures = arena_array(a, r->signature_count, sizeof(r->signatures[0]));
	r->signature_count = 0;
	for (const xmlNode *d = child(n, "dkim"); d != NULL; d = next_named(d->next, "dkim"))
		read_signature(a, d, &r->signatures[r->signature_count++]);
	r->has_spf = spf != NULL;
	if (spf == NULL)
		return;
	r->spf_domain = child_text(a, spf, "domain");
	r->spf_result = (enum spf_result)spf_of(child_text(a, spf, "result"));
	r->spf_human_result = child_text(a, spf, "human_result");
	assert_slice(child_text(a, spf, "scope"), "mfrom");
}

static void
read_record(struct arena *a, const xmlNode *n, struct report_row *r)
{
	const xmlNode *row = child(n, "row"), *evaluated = child(row, "policy_evaluated");
	const xmlNode *ids = child(n, "identifiers");

	if (ip_parse(child_text(a, row, "source_ip"), &r->source) != 0)
		fail_msg("source_ip: %s", arena_str(a, child_text(a, row, "source_ip")));
	r->count = child_number(a, row, "count");
	r->disposition = (enum report_disposition)disposition_of(
	    child_text(a, evaluated, "disposition"));
	r->dkim_aligned = slice_equal(child_text(a, evaluated, "dkim"), SLICE("pass"));
	r->spf_aligned = slice_equal(child_text(a, evaluated, "spf"), SLICE("pass"));
	for (const xmlNode *o = child(evaluated, "reason"); o != NULL;
	     o = next_named(o->next, "reason")) {
		assert_true(r->override_count < OVERRIDES_MAX);
		r->overrides[r->override_count++] = (struct report_override){
			.kind = (enum override)override_of(child_text(a, o, "type")),
			.comment = child_text(a, o, "comment"),
		};
	}
	r->header_from = child_text(a, ids, "header_from");
	r->envelope_from = child_text(a, ids, "envelope_from");
	r->envelope_to = child_text(a, ids, "envelope_to");
	read_results(a, child(n, "auth_results"), r);
}

void
report_read(struct arena *a, struct slice xml, struct read_report *out)
{
	xmlDocPtr document = xmlReadMemory(
	    xml.p, (int)xml.len, NULL, NULL, XML_PARSE_NONET | XML_PARSE_HUGE);
	const xmlNode *root = document == NULL ? NULL : xmlDocGetRootElement(document);

	if (root == NULL)
		fail_msg("not well-formed");
	*out = (struct read_report){ .begin_s = 0 };
	assert_slice(child_text(a, root, "version"), "1.0");
	read_metadata(a, child(root, "report_metadata"), out);
	read_policy(a, child(root, "policy_published"), &out->policy);
	for (const xmlNode *n = child(root, "record"); n != NULL; n = next_named(n->next, "record"))
		out->row_count++;
	out->rows = arena_array(a, out->row_count, sizeof(out->rows[0]));
	out->row_count = 0;
	for (const xmlNode *n = child(root, "record"); n != NULL; n = next_named(n->next, "record"))
		read_record(a, n, &out->rows[out->row_count++]);
	xmlFreeDoc(document);
}
