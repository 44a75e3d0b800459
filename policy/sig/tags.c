/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/limits.h"
#include "policy/base/num.h"
#include "policy/sig/sig.h"
#include "policy/syntax/base64.h"
#include "policy/syntax/domain.h"

/* RFC 6376 3.5: t= and x= of more than 12 digits may be taken as infinite, l= has up to 76. */
#define TIME_DIGITS   12
#define LENGTH_DIGITS 76

static int
refuse(const char **why_r, const char *why)
{
	*why_r = why;
	return -1;
}

int
sig_tag_a(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	static const struct {
		struct slice text;
		enum sig_algorithm algorithm;
	} known[] = {
		{ { "rsa-sha256", 10 }, SIG_RSA_SHA256 },
		{ { "ed25519-sha256", 14 }, SIG_ED25519_SHA256 },
		{ { "rsa-sha1", 8 }, SIG_RSA_SHA1 },
	};
	struct sig_tags *tags = obj;

	(void)a;
	if (value.len == 0)
		return refuse(why_r, "is empty");
	tags->algorithm_text = value;
	tags->algorithm = SIG_OTHER; /* the caller's to refuse: it is not a fault of syntax */
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_equal(value, known[i].text))
			tags->algorithm = known[i].algorithm;
	return 0;
}

static int
base64_tag(struct arena *a, struct slice value, struct slice *out, const char **why_r)
{
	if (value.len == 0)
		return refuse(why_r, "is empty");
	if (base64_decode(a, value, out) != 0)
		return refuse(why_r, "is not base64");
	return 0;
}

int
sig_tag_b(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	return base64_tag(a, value, &((struct sig_tags *)obj)->signature, why_r);
}

int
sig_tag_bh(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	return base64_tag(a, value, &((struct sig_tags *)obj)->body_hash, why_r);
}

static int
canon_word(struct slice word, enum sig_canon *out)
{
	if (slice_equal(word, SLICE("simple")))
		*out = SIG_SIMPLE;
	else if (slice_equal(word, SLICE("relaxed")))
		*out = SIG_RELAXED;
	else
		return -1;
	return 0;
}

/* RFC 6376 3.5: header form "/" body form; the second one is simple when it is left out. */
int
sig_tag_c(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct sig_tags *tags = obj;
	size_t slash = slice_find(value, '/');
	struct slice body = slash == SLICE_NONE ? SLICE("simple") : slice_from(value, slash + 1);

	(void)a;
	if (canon_word(slice_sub(value, 0, slash), &tags->header_canon) != 0 ||
	    canon_word(body, &tags->body_canon) != 0)
		return refuse(why_r, "names an unknown canonicalization");
	return 0;
}

int
sig_tag_d(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct slice domain;

	if (domain_normalize(a, value, &domain, why_r) != 0)
		return -1;
	/* RFC 6376 3.5: domain-name of RFC 5321. "bank.example(.evil.example" is in the DNS for
	 * whoever has evil.example, and another name to careless readers of our results. */
	if (!domain_is_host_name(domain))
		return refuse(why_r, "has a byte that no host name holds");
	((struct sig_tags *)obj)->domain = domain;
	return 0;
}

/* RFC 6376 3.5: names of header fields, separated by colons with FWS around; RFC 5322 2.2 ftext */
static bool
is_field_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= 0x20 || s.p[i] >= 0x7f)
			return false;
	return s.len > 0;
}

int
sig_tag_h(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct sig_tags *tags = obj;
	struct slice name;
	size_t count = 1;

	for (size_t i = 0; i < value.len; i++)
		count += value.p[i] == ':';
	if (count > LIMIT_DKIM_SIGNED_FIELDS)
		return refuse(why_r, "names too many fields");
	tags->names = arena_array(a, count, sizeof(*tags->names));
	tags->name_count = 0;
	while (slice_next(&value, ':', &name)) {
		name = slice_trim(name);
		if (!is_field_name(name))
			return refuse(why_r, "has something in it that is no field name");
		tags->names[tags->name_count++] = name;
	}
	if (tags->name_count != count)
		return refuse(why_r, "has an empty field name");
	return 0;
}

static bool
all_digits(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_digit(s.p[i]))
			return false;
	return s.len > 0;
}

int
sig_tag_l(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct sig_tags *tags = obj;

	(void)a;
	if (!all_digits(value) || value.len > LENGTH_DIGITS)
		return refuse(why_r, "is not a number");
	tags->length_limited = true;
	/* A number that no counter holds is more than any body has: so is the largest that one
	 * does, of readers who count with a sign. */
	if (num_u64(value, 0, INT64_MAX, &tags->length) != 0)
		tags->length = INT64_MAX;
	return 0;
}

/* RFC 6376 3.5: methods we don't know are passed over; at least one must be ours. */
int
sig_tag_q(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct slice method;

	(void)a;
	(void)obj;
	while (slice_next(&value, ':', &method))
		if (slice_equal(slice_trim(method), SLICE("dns/txt")))
			return 0;
	return refuse(why_r, "names no query method but unknown ones");
}

int
sig_tag_s(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	return domain_normalize(a, value, &((struct sig_tags *)obj)->selector, why_r);
}

static int
time_tag(struct slice value, bool *has, int64_t *out, const char **why_r)
{
	uint64_t seconds = INT64_MAX;

	if (!all_digits(value))
		return refuse(why_r, "is not a number of seconds");
	if (value.len <= TIME_DIGITS && num_u64(value, 0, INT64_MAX, &seconds) != 0)
		return refuse(why_r, "is not a number of seconds");
	*has = true;
	*out = (int64_t)seconds;
	return 0;
}

int
sig_tag_t(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct sig_tags *tags = obj;

	(void)a;
	return time_tag(value, &tags->has_signed_at, &tags->signed_at, why_r);
}

int
sig_tag_x(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct sig_tags *tags = obj;

	(void)a;
	return time_tag(value, &tags->has_expires_at, &tags->expires_at, why_r);
}

/* RFC 6376 3.5: diagnostic use; a fault in it is no reason to refuse. */
int
sig_tag_z(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	(void)a;
	(void)why_r;
	((struct sig_tags *)obj)->copied = value;
	return 0;
}

bool
sig_signs(const struct sig_tags *tags, const char *name)
{
	for (size_t i = 0; i < tags->name_count; i++)
		if (slice_equal_nocase(tags->names[i], slice_str(name)))
			return true;
	return false;
}
