/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/dkim/internal.h"
#include "policy/syntax/domain.h"

/* RFC 6008 4 asks for 8 characters and more where those don't do; beyond this many nobody looks. */
#define LABEL_MIN 8
#define LABEL_MAX 64

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

		labels[i] = slice_sub(sig_squeeze(a, sig_raw_tag(value, "b")), 0, LABEL_MAX);
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

/* How much a pass of this d= could help the message: 0 is most. */
static unsigned
rank(struct slice domain, const struct slice *authors, size_t author_count)
{
	unsigned best = 2;

	for (size_t i = 0; i < author_count; i++) {
		if (slice_equal(domain, authors[i]))
			return 0;
		if (domain_covers(domain, authors[i]) || domain_covers(authors[i], domain))
			best = 1;
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
	uint32_t chosen = 0;

	for (unsigned wanted = 0; wanted <= 2; wanted++) {
		for (size_t i = 0; i < count; i++) {
			struct dkim_signature *s = &signatures[i];

			if (s->verdict.reason != DKIM_R_NONE || s->chosen ||
			    rank(s->tags.domain, author_domains, author_domain_count) != wanted)
				continue;
			s->related = wanted < 2;
			s->chosen = chosen < max;
			chosen += s->chosen;
			if (!s->chosen)
				s->verdict.reason = DKIM_R_SKIPPED;
		}
	}
}
