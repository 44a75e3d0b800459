/* SPDX-License-Identifier: BSD-2-Clause */
#include <jansson.h>

#include "cli/check.h"

/* Text of strangers need not be UTF-8: what isn't is escaped. Empty text is null: there was none.
 */
static json_t *
text(struct arena *a, struct slice s)
{
	json_t *j;

	if (s.len == 0)
		return json_null();
	j = json_stringn(s.p, s.len);
	return j != NULL ? j : json_string(arena_printable(a, s, s.len));
}

static json_t *
word(const char *s)
{
	return s == NULL || s[0] == '\0' ? json_null() : json_string(s);
}

static json_t *
reason(struct arena *a, const char *what, struct slice detail)
{
	if (detail.len == 0)
		return word(what);
	return json_string(arena_printf(a, "%s: %s", what, arena_cut(a, detail, detail.len)));
}

static json_t *
spf_json(struct arena *a, const struct spf_verdict *s)
{
	return json_pack("{s:s, s:o, s:s, s:o, s:i, s:i, s:o, s:o, s:o, s:o}", "result",
	    spf_result_word(s->result), "domain", text(a, s->domain), "scope",
	    spf_scope_word(s->scope), "mechanism", text(a, s->mechanism), "lookups",
	    (int)s->lookups, "void_lookups", (int)s->void_lookups, "explanation",
	    text(a, s->explanation), "reason", reason(a, spf_reason_text(s->reason), s->detail),
	    "record_domain", text(a, s->record_domain), "record", text(a, s->record));
}

/* null: they were not compared. */
static json_t *
aligned(const struct dmarc_alignment *al)
{
	return al == NULL || !al->compared ? json_null() : json_boolean(al->aligned);
}

static const struct dmarc_alignment *
find_alignment(const struct dmarc_verdict *d, size_t signature)
{
	for (size_t i = 0; i < d->alignment_count; i++)
		if (d->alignments[i].method == DMARC_BY_DKIM &&
		    d->alignments[i].signature == signature)
			return &d->alignments[i];
	return NULL;
}

static json_t *
diagnosis_json(struct arena *a, const struct dkim_diagnosis *d)
{
	json_t *changes;

	if (d->text.len == 0)
		return json_null();
	changes = json_array();
	for (unsigned i = 0; i < DKIM_CHANGE_COUNT; i++)
		if ((d->changes & 1u << i) != 0)
			(void)json_array_append_new(
			    changes, json_string(dkim_change_word((enum dkim_change)i)));
	return json_pack("{s:b, s:o, s:I, s:o}", "complete", d->complete, "changes", changes,
	    "bytes", (json_int_t)d->bytes, "text", text(a, d->text));
}

static json_t *
dkim_json(struct arena *a, const struct verdict *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->dkim.count; i++) {
		const struct dkim_signature_verdict *s = &v->dkim.signatures[i];
		json_t *j = json_pack(
		    "{s:s, s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:b, s:o, s:I, s:o}", "result",
		    dkim_result_word(s->result), "domain", text(a, s->domain), "selector",
		    text(a, s->selector), "identity", text(a, s->identity), "algorithm",
		    text(a, s->algorithm), "key_bits", (int)s->key_bits, "aligned",
		    aligned(find_alignment(&v->dmarc, i)), "reason",
		    reason(a, dkim_reason_text(s->reason), s->detail), "canonicalization",
		    text(a, s->canonicalization), "key_testing", s->key_testing, "body_length",
		    s->body_length_limited ? json_integer((json_int_t)s->body_length) : json_null(),
		    "body_bytes", (json_int_t)s->body_bytes, "diagnosis",
		    diagnosis_json(a, &s->diagnosis));

		(void)json_array_append_new(list, j);
	}
	return list;
}

static json_t *
seals_json(struct arena *a, const struct arc_verdict *arc)
{
	json_t *list = json_array();

	for (uint32_t i = 0; arc->seals != NULL && i < arc->instances; i++) {
		const struct arc_seal *s = &arc->seals[i];

		(void)json_array_append_new(list,
		    json_pack("{s:o, s:o, s:o}", "domain", text(a, s->domain), "selector",
			text(a, s->selector), "results", text(a, header_unfold(a, s->results))));
	}
	return list;
}

static json_t *
arc_json(struct arena *a, const struct arc_verdict *arc)
{
	return json_pack("{s:s, s:i, s:o, s:o, s:b, s:o, s:o}", "result",
	    arc_result_word(arc->result), "instances", (int)arc->instances, "reason",
	    text(a, arc->reason), "domain", text(a, arc->domain), "covers_author",
	    arc->covers_author, "oldest_pass",
	    arc->result == ARC_PASS && arc->oldest_pass >= 0 ? json_integer(arc->oldest_pass)
							     : json_null(),
	    "seals", seals_json(a, arc));
}

static json_t *
alignments_json(struct arena *a, const struct dmarc_verdict *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->alignment_count; i++) {
		const struct dmarc_alignment *al = &d->alignments[i];

		(void)json_array_append_new(list,
		    json_pack("{s:s, s:o, s:o, s:s, s:o, s:s}", "method",
			dmarc_method_word(al->method), "domain", text(a, al->domain),
			"organizational_domain", text(a, al->organizational_domain), "mode",
			al->strict ? "s" : "r", "aligned", aligned(al), "result", al->result));
	}
	return list;
}

static json_t *
dmarc_json(struct arena *a, const struct verdict *v)
{
	const struct dmarc_verdict *d = &v->dmarc;

	return json_pack(
	    "{s:s, s:o, s:o, s:o, s:o, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "result",
	    dmarc_result_word(d->result), "author_domain", text(a, d->author_domain),
	    "policy_domain", text(a, d->policy_domain), "organizational_domain",
	    text(a, d->organizational_domain), "policy", word(dmarc_policy_word(d->policy)),
	    "discovery", dmarc_discovery_word(d->discovery), "spf_aligned", d->spf_aligned,
	    "dkim_aligned", d->dkim_aligned, "reason",
	    v->has_message ? reason(a, dmarc_reason_text(d->reason), d->detail)
			   : json_string("no message was given"),
	    "requested_policy", word(dmarc_policy_word(d->requested_policy)), "policy_tag",
	    word(d->policy_tag), "policy_source", word(dmarc_source_word(d->source)),
	    "policy_test_mode", d->policy_test_mode, "record",
	    d->record == NULL ? json_null() : text(a, d->record->text), "alignments",
	    alignments_json(a, d));
}

static json_t *
disposition_json(const struct disposition *d)
{
	json_t *overrides = json_array();

	for (size_t i = 0; i < d->override_count; i++)
		(void)json_array_append_new(overrides,
		    json_pack("{s:s, s:s}", "type", override_word(d->overrides[i].kind), "comment",
			d->overrides[i].comment));
	return json_pack("{s:s, s:o, s:o, s:s, s:s, s:o}", "action", action_word(d->action),
	    "reply", word(d->reply), "override",
	    d->override_count == 0 ? json_null() : json_string(override_word(d->overrides[0].kind)),
	    "cause", cause_word(d->cause), "explanation", d->explanation, "overrides", overrides);
}

static json_t *
lookups_json(struct arena *a, const struct verdict *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->lookup_count; i++) {
		const struct lookup *l = &v->lookups[i];

		if (l->answer == NULL)
			continue;
		(void)json_array_append_new(list,
		    json_pack("{s:o, s:s, s:s, s:o, s:s, s:i, s:i, s:b}", "name", text(a, l->name),
			"type", dns_type_word(l->type), "status",
			dns_status_word(l->answer->status), "reason",
			word(dns_reason_text(l->answer->reason)), "security",
			dns_security_word(l->answer->security), "ttl", (int)l->answer->ttl_s,
			"records", (int)l->answer->count, "cached", l->cached));
	}
	return list;
}

static json_t *
iprev_json(struct arena *a, const struct verdict *v)
{
	if (!v->iprev_checked)
		return json_null();
	return json_pack("{s:s, s:o}", "result", iprev_result_word(v->iprev.result), "name",
	    text(a, v->iprev.name));
}

int
check_print_json(struct arena *a, const struct check_outcome *o)
{
	const struct verdict *v = o->verdict;
	json_t *root = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "spf",
	    spf_json(a, &v->spf), "dkim", dkim_json(a, v), "arc", arc_json(a, &v->arc), "dmarc",
	    dmarc_json(a, v), "disposition", disposition_json(o->disposition),
	    "authentication_results", text(a, o->authentication_results), "spf_helo",
	    v->helo_checked ? spf_json(a, &v->spf_helo) : json_null(), "iprev", iprev_json(a, v),
	    "limit", word(v->limit_met), "note", word(o->note), "lookups", lookups_json(a, v));
	int rc = root == NULL ? -1 : json_dumpf(root, stdout, JSON_INDENT(2));

	json_decref(root);
	return rc == 0 && fputc('\n', stdout) != EOF && fflush(stdout) == 0 ? 0 : -1;
}
