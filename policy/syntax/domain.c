/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/syntax/domain.h"

#include <stdint.h>

#include <idn2.h>

#include "policy/base/limits.h"

/* U-labels shrink or grow as A-labels; what is longer than this can't become a domain. */
#define UTF8_INPUT_MAX (4 * LIMIT_DOMAIN_BYTES)

static const char *
check_labels(struct slice domain)
{
	size_t label = 0; /* bytes of it so far */

	if (domain.len == 0)
		return "is empty";
	if (domain.len > LIMIT_DOMAIN_BYTES)
		return "is longer than 253 bytes";
	if (domain.p[0] == '[')
		return "is an address literal";
	if (domain.p[domain.len - 1] == '.')
		return "has an empty label";
	for (size_t i = 0; i < domain.len; i++) {
		if (domain.p[i] == '.' && label == 0)
			return "has an empty label";
		if (domain.p[i] <= 0x20 || domain.p[i] >= 0x7f)
			return "has a byte that no name holds";
		label = domain.p[i] == '.' ? 0 : label + 1;
		if (label > LIMIT_LABEL_BYTES)
			return "has a label longer than 63 bytes";
	}
	return NULL;
}

/* libidn2 is asked only about names with U-labels: it refuses some ASCII names that exist. */
static int
to_a_labels(struct arena *a, struct slice *domain)
{
	uint8_t *ascii = NULL;
	int rc;

	if (domain->len > UTF8_INPUT_MAX || slice_find(*domain, '\0') != SLICE_NONE)
		return -1;
	rc = idn2_lookup_u8(
	    (const uint8_t *)arena_str(a, *domain), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc != IDN2_OK)
		return -1;
	*domain = arena_copy(a, slice_str((const char *)ascii));
	idn2_free(ascii);
	return 0;
}

int
domain_normalize(struct arena *a, struct slice in, struct slice *out, const char **why_r)
{
	if (!slice_is_ascii(in) && to_a_labels(a, &in) != 0) {
		*why_r = "is not an internationalized domain name";
		return -1;
	}
	if (in.len > 0 && in.p[in.len - 1] == '.')
		in.len--;
	*why_r = check_labels(in);
	if (*why_r != NULL)
		return -1;
	*out = arena_copy_lower(a, in);
	return 0;
}

bool
domain_is_host_name(struct slice domain)
{
	for (size_t i = 0; i < domain.len; i++)
		if (!ascii_is_alnum(domain.p[i]) &&
		    slice_find(SLICE("-_."), domain.p[i]) == SLICE_NONE)
			return false;
	return true;
}

size_t
domain_labels(struct slice domain)
{
	size_t n = domain.len > 0;

	for (size_t i = 0; i < domain.len; i++)
		n += domain.p[i] == '.';
	return n;
}

struct slice
domain_last_labels(struct slice domain, size_t n)
{
	if (n == 0)
		return slice_of(NULL, 0);
	for (size_t i = domain.len; i-- > 0;)
		if (domain.p[i] == '.' && --n == 0)
			return slice_from(domain, i + 1);
	return domain;
}

struct slice
domain_parent(struct slice domain)
{
	size_t dot = slice_find(domain, '.');

	return dot == SLICE_NONE ? slice_of(NULL, 0) : slice_from(domain, dot + 1);
}

bool
domain_covers(struct slice domain, struct slice name)
{
	if (slice_equal_nocase(domain, name))
		return true;
	return domain.len > 0 && name.len > domain.len + 1 &&
	    name.p[name.len - domain.len - 1] == '.' && slice_ends_nocase(name, domain);
}
