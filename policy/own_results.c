/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/own_results.h"

#include "policy/authres/authres.h"
#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/lex.h"

static bool
is_ours(const struct authres *results, const struct slice *ids, size_t id_count)
{
	for (size_t i = 0; i < id_count; i++)
		if (slice_equal_nocase(results->authserv_id, ids[i]))
			return true;
	return false;
}

static bool
is_no_semicolon(char c)
{
	return c != ';' && c != '(' && c != '"' && !ascii_is_space(c);
}

/* What stands behind the authserv-id and its version, comments and all. The field was parsed. */
static struct slice
payload(struct arena *a, struct slice value)
{
	struct lex l = lex_over(value);

	for (lex_skip(&l); !lex_at_end(&l) && lex_peek(&l) != ';'; lex_skip(&l)) {
		if (lex_peek(&l) == '"')
			(void)lex_quoted(&l, a);
		else
			(void)lex_run(&l, is_no_semicolon);
	}
	return slice_trim(slice_from(value, l.at + 1));
}

static void
note_arc(const struct authres *results, struct own_results *out)
{
	for (size_t i = 0; i < results->result_count; i++) {
		const struct authres_result *r = &results->results[i];

		if (out->has_arc || !slice_equal(r->method, SLICE("arc")))
			continue;
		out->has_arc = true;
		out->arc = slice_equal(r->result, SLICE("pass")) ? ARC_PASS
		    : slice_equal(r->result, SLICE("none"))	 ? ARC_NONE
								 : ARC_FAIL;
	}
}

void
own_results_find(struct arena *a, const struct header_list *header, const struct slice *ids,
    size_t id_count, struct own_results *out)
{
	struct strbuf b;

	*out = (struct own_results){ .arc = ARC_NONE };
	strbuf_init(&b, a, LIMIT_AUTHRES_BYTES);
	for (size_t i = 0; i < header->count && id_count > 0; i++) {
		const struct header_field *f = &header->fields[i];
		struct authres results;
		const char *error;

		if (!slice_equal_nocase(
			header_name_trim(f->name), SLICE("Authentication-Results")) ||
		    authres_parse(a, f->value, false, &results, &error) != 0 ||
		    !is_ours(&results, ids, id_count) || results.result_count == 0)
			continue;
		if (b.len == 0)
			strbuf_add(&b, ids[0]);
		strbuf_str(&b, "; ");
		strbuf_add(&b, payload(a, f->value));
		note_arc(&results, out);
	}
	/* Half of a field would say something else. */
	if (!b.truncated)
		out->text = b.len == 0 ? slice_of(NULL, 0) : strbuf_slice(&b);
}
