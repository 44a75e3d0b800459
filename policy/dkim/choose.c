/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdint.h>

#include "policy/dkim/internal.h"
#include "policy/syntax/domain.h"

/* RFC 6008 4 asks for 8 characters and more where those don't do; beyond this many nobody looks. */
#define LABEL_MIN 8
#define LABEL_MAX 64

/* More than any number of labels. */
#define CLOSENESS_EQUAL	  SIZE_MAX
#define CLOSENESS_RELATED (SIZE_MAX - 1)

static size_t
common_prefix(struct slice a, struct slice b)
{
	size_t n = 0;

	while (n < a.len && n < b.len && a.p[n] == b.p[n])
		n++;
	return n;
}

void
dkim_signatures_label(struct arena *a, const struct header_list *header,
    struct dkim_signature *signatures, size_t count)
{
	struct slice *labels = arena_array(a, count, sizeof(*labels));

	for (size_t i = 0; i < count; i++) {
		struct slice value = header->fields[signatures[i].verdict.field].value;

		labels[i] = sig_squeeze_head(a, sig_raw_tag(value, "b"), LABEL_MAX);
	}
	for (size_t i = 0; i < count; i++) {
		size_t len = LABEL_MIN;

		for (size_t j = 0; j < count; j++) {
			size_t same = common_prefix(labels[i], labels[j]);

			if (j != i && same >= len)
				len = same + 1;
		}
		signatures[i].verdict.header_b = slice_sub(labels[i], 0, len);
	}
}

/* How many labels are the same in both names, counted from the right; neither covers the other. */
static size_t
common_labels(struct slice a, struct slice b)
{
	size_t n = 0;

	for (size_t i = 1; i <= a.len && i <= b.len && a.p[a.len - i] == b.p[b.len - i]; i++)
		n += a.p[a.len - i] == '.';
	return n;
}

/*
 * How much a pass of this d= could help the message. Which names share an organizational domain
 * only the DNS knows, but they share its labels.
 */
static size_t
closeness(struct slice domain, const struct slice *authors, size_t author_count)
{
	size_t best = 0;

	for (size_t i = 0; i < author_count; i++) {
		size_t here = common_labels(domain, authors[i]);

		if (slice_equal(domain, authors[i]))
			return CLOSENESS_EQUAL;
		if (domain_covers(domain, authors[i]) || domain_covers(authors[i], domain))
			here = CLOSENESS_RELATED;
		if (here > best)
			best = here;
	}
	return best;
}

/* The topmost of the closest that are left, or NULL. */
static struct dkim_signature *
next_choice(struct dkim_signature *signatures, size_t count)
{
	struct dkim_signature *best = NULL;

	for (size_t i = 0; i < count; i++) {
		struct dkim_signature *s = &signatures[i];

		if (s->verdict.reason == DKIM_R_NONE && !s->chosen &&
		    (best == NULL || s->closeness > best->closeness))
			best = s;
	}
	return best;
}

/*
 * PITFALLS: signatures put on top by others must not push the author's own out of the limit, so
 * those that could align come first (RFC 9990 3.1.3 wants them reported as well).
 */
void
dkim_signatures_choose(struct dkim_signature *signatures, size_t count, uint32_t max,
    const struct slice *author_domains, size_t author_domain_count)
{
	struct dkim_signature *s;

	for (size_t i = 0; i < count; i++) {
		s = &signatures[i];
		s->closeness = closeness(s->tags.domain, author_domains, author_domain_count);
		s->related = s->closeness >= CLOSENESS_RELATED;
	}
	for (uint32_t n = 0; n < max && (s = next_choice(signatures, count)) != NULL; n++)
		s->chosen = true;
	while ((s = next_choice(signatures, count)) != NULL)
		s->verdict.reason = DKIM_R_SKIPPED;
}
