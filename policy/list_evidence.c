/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/list_evidence.h"

#include "policy/syntax/domain.h"

/* What stands in the last pair of angle brackets of a field, or nothing. */
static struct slice
bracketed(const struct header_list *header, const char *name)
{
	const struct header_field *f = header_find(header, name, 0);
	size_t open, close;

	if (f == NULL)
		return slice_of(NULL, 0);
	open = slice_find_last(f->value, '<');
	close = slice_find_last(f->value, '>');
	if (open == SLICE_NONE || close == SLICE_NONE || close < open)
		return slice_of(NULL, 0);
	return slice_trim(slice_sub(f->value, open + 1, close - open - 1));
}

/* The domain in "<mailto:list@example.org?subject=x>". */
static struct slice
list_post_domain(const struct header_list *header)
{
	struct slice uri = bracketed(header, "List-Post");
	size_t question = slice_find(uri, '?'), at;

	if (!slice_starts_nocase(uri, SLICE("mailto:")))
		return slice_of(NULL, 0);
	uri = slice_sub(uri, 0, question == SLICE_NONE ? uri.len : question);
	at = slice_find_last(uri, '@');
	return at == SLICE_NONE ? slice_of(NULL, 0) : slice_from(uri, at + 1);
}

/*
 * A list at lists.example.org is vouched for by that domain or one above it, never by a bare top
 * level: whoever could sign for "org" is not the list.
 */
static bool
vouches(struct slice identifier, struct slice list)
{
	return domain_labels(identifier) > 1 && domain_covers(identifier, list);
}

static void
find_voucher(struct slice list, const struct verdict *v, struct list_evidence *out)
{
	for (size_t i = 0; i < v->dmarc.alignment_count; i++) {
		const struct dmarc_alignment *al = &v->dmarc.alignments[i];

		if (!al->passed || al->partial || !vouches(al->domain, list))
			continue;
		*out = (struct list_evidence){
			.stands = true, .list = list, .domain = al->domain, .method = al->method
		};
		return;
	}
}

/* The author's signature, or one of a domain above, that only a list's changes broke. */
static void
find_changed(struct slice list, const struct verdict *v, struct list_evidence *out)
{
	for (size_t i = 0; v->author.domain_count == 1 && i < v->dkim.count; i++) {
		const struct dkim_signature_verdict *s = &v->dkim.signatures[i];

		if (!s->diagnosis.complete || !vouches(s->domain, v->author.domains[0]))
			continue;
		*out = (struct list_evidence){
			.stands = true, .list = list, .domain = s->domain, .changed = &s->diagnosis
		};
		return;
	}
}

void
list_evidence_find(struct arena *a, const struct header_list *header, const struct verdict *v,
    struct list_evidence *out)
{
	struct slice claims[] = { bracketed(header, "List-Id"), list_post_domain(header) },
		     lists[2];
	size_t count = 0;
	const char *why;

	*out = (struct list_evidence){ .stands = false };
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		if (claims[i].len > 0 && domain_normalize(a, claims[i], &lists[count], &why) == 0)
			count++;
	for (size_t i = 0; i < count && !out->stands; i++)
		find_voucher(lists[i], v, out);
	if (count > 0 && !out->stands)
		find_changed(lists[0], v, out);
}
