/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/report_name.h"

#include "policy/base/limits.h"

#define ID_BYTES 16 /* of the hash, as 32 digits */

/* Length first: no two lists of fields give the same bytes. */
static void
add_text(struct digest *d, struct slice s)
{
	uint64_t len = s.len;

	digest_update(d, &len, sizeof(len));
	if (s.len > 0)
		digest_update(d, s.p, s.len);
}

static void
add_number(struct digest *d, int64_t n)
{
	digest_update(d, &n, sizeof(n));
}

static void
add_policy(struct digest *d, const struct report_policy *p)
{
	add_text(d, p->domain);
	add_number(d, p->discovery);
	add_number(d, p->p);
	add_number(d, p->sp);
	add_number(d, p->np);
	add_number(d, p->strict_dkim);
	add_number(d, p->strict_spf);
	add_number(d, p->testing);
	add_number(d, p->psd);
	add_number(d, p->pct);
	add_text(d, p->fo);
	add_text(d, p->rua);
	add_text(d, p->errors);
}

struct slice
report_id(struct arena *a, const struct crypto *crypto, const struct report_policy *policy,
    int64_t begin_s, int64_t end_s, const struct report_origin *origin)
{
	static const char digits[] = "0123456789abcdef";
	struct digest *d = digest_new(crypto);
	uint8_t hash[SHA256_BYTES];
	char *text = arena_alloc(a, 2 * ID_BYTES + 1);

	add_policy(d, policy);
	add_number(d, begin_s);
	add_number(d, end_s);
	add_text(d, origin->node);
	add_number(d, (int64_t)origin->store);
	add_number(d, origin->period);
	digest_final(d, hash);
	digest_free(&d);
	for (size_t i = 0; i < ID_BYTES; i++) {
		text[2 * i] = digits[hash[i] >> 4];
		text[2 * i + 1] = digits[hash[i] & 15];
	}
	return slice_of(text, 2 * ID_BYTES);
}

static bool
is_file_name_domain(struct slice domain)
{
	if (domain.len == 0 || domain.len > LIMIT_DOMAIN_BYTES || domain.p[0] == '.')
		return false;
	for (size_t i = 0; i < domain.len; i++)
		if (!ascii_is_alnum(domain.p[i]) &&
		    slice_find(SLICE("-_."), domain.p[i]) == SLICE_NONE)
			return false;
	return true;
}

int
report_file_name(struct arena *a, struct slice receiver, struct slice policy_domain,
    int64_t begin_s, int64_t end_s, struct slice id, struct slice *out, const char **error_r)
{
	const struct slice domains[] = { receiver, policy_domain };

	for (size_t i = 0; i < 2; i++)
		if (!is_file_name_domain(domains[i])) {
			*error_r = arena_printf(a, "\"%s\" has no place in the name of a report",
			    arena_printable(a, domains[i], LIMIT_DOMAIN_BYTES));
			return -1;
		}
	*out = slice_str(arena_printf(a, "%.*s!%.*s!%lld!%lld!%.*s.xml.gz", SLICE_ARG(receiver),
	    SLICE_ARG(policy_domain), (long long)begin_s, (long long)end_s - 1, SLICE_ARG(id)));
	return 0;
}
