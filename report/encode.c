/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/encode.h"

#include <string.h>

#include "policy/base/strbuf.h"
#include "report/limits.h"

#define POLICY_MARK 'P' /* and then the version of the encoding */
#define ROW_MARK    'R'
#define ANSWER_MARK 'A' /* the same, all of whose messages are answers */
#define FOLDED_MARK 'F' /* the same, folded */
#define VERSION	    1

/* ---- writing: a number is its bytes base 128, lowest first; a text has its length before it ----
 */

static void
put_number(struct strbuf *b, uint64_t n)
{
	for (; n >= 0x80; n >>= 7)
		strbuf_char(b, (char)(0x80 | (n & 0x7f)));
	strbuf_char(b, (char)n);
}

static void
put_text(struct strbuf *b, struct slice s, size_t max)
{
	s = slice_sub(s, 0, max);
	put_number(b, s.len);
	strbuf_add(b, s);
}

static void
put_word(struct strbuf *b, const char *word)
{
	put_text(b, slice_str(word), REPORT_TEXT_BYTES);
}

struct slice
report_policy_encode(struct arena *a, const struct report_policy *p)
{
	struct strbuf b;

	strbuf_init(&b, a, REPORT_ENCODED_BYTES);
	strbuf_char(&b, POLICY_MARK);
	strbuf_char(&b, VERSION);
	put_text(&b, p->domain, REPORT_NAME_BYTES);
	put_word(&b, dmarc_discovery_word(p->discovery));
	put_word(&b, dmarc_policy_word(p->p));
	put_word(&b, dmarc_policy_word(p->sp));
	put_word(&b, dmarc_policy_word(p->np));
	put_number(&b, p->strict_dkim);
	put_number(&b, p->strict_spf);
	put_number(&b, p->testing);
	put_word(&b, dmarc_psd_word(p->psd));
	put_number(&b, p->pct);
	put_text(&b, p->fo, REPORT_TEXT_BYTES);
	put_text(&b, p->rua, REPORT_RUA_BYTES);
	put_text(&b, p->errors, REPORT_ERRORS_BYTES);
	return strbuf_slice(&b);
}

static void
put_address(struct strbuf *b, const struct ip_address *ip)
{
	size_t len = ip->family == IP_V4 ? 4 : ip->family == IP_V6 ? 16 : 0;

	put_text(b, slice_of((const char *)ip->bytes, len), len);
}

/* How many fit; they are in the order of what they tell. */
static size_t
signatures_that_fit(const struct report_row *r)
{
	size_t bytes = 0, n;

	for (n = 0; n < r->signature_count && n < REPORT_SIGNATURES_MAX; n++) {
		const struct report_signature *s = &r->signatures[n];

		bytes += slice_sub(s->domain, 0, REPORT_NAME_BYTES).len +
		    slice_sub(s->selector, 0, REPORT_NAME_BYTES).len +
		    slice_sub(s->human_result, 0, REPORT_TEXT_BYTES).len;
		if (bytes > REPORT_SIGNATURE_BYTES)
			break;
	}
	return n;
}

static void
put_signatures(struct strbuf *b, const struct report_row *r)
{
	size_t count = signatures_that_fit(r);

	put_number(b, count);
	for (size_t i = 0; i < count; i++) {
		const struct report_signature *s = &r->signatures[i];

		put_text(b, s->domain, REPORT_NAME_BYTES);
		put_text(b, s->selector, REPORT_NAME_BYTES);
		put_word(b, dkim_result_word(s->result));
		put_text(b, s->human_result, REPORT_TEXT_BYTES);
	}
}

static char
row_mark(const struct report_row *r)
{
	if (r->folded)
		return FOLDED_MARK;
	return r->count > 0 && r->answers == r->count ? ANSWER_MARK : ROW_MARK;
}

struct slice
report_row_encode(struct arena *a, const struct report_row *r)
{
	struct strbuf b;

	strbuf_init(&b, a, REPORT_ENCODED_BYTES);
	strbuf_char(&b, row_mark(r));
	strbuf_char(&b, VERSION);
	put_address(&b, &r->source);
	put_word(&b, report_disposition_word(r->disposition));
	put_number(&b, r->dkim_aligned);
	put_number(&b, r->spf_aligned);
	put_number(&b, r->override_count);
	for (size_t i = 0; i < r->override_count; i++) {
		put_word(&b, override_word(r->overrides[i].kind));
		put_text(&b, r->overrides[i].comment, REPORT_TEXT_BYTES);
	}
	put_text(&b, r->header_from, REPORT_NAME_BYTES);
	put_text(&b, r->envelope_from, REPORT_NAME_BYTES);
	put_text(&b, r->envelope_to, REPORT_NAME_BYTES);
	put_number(&b, r->has_spf);
	if (r->has_spf) {
		put_text(&b, r->spf_domain, REPORT_NAME_BYTES);
		put_word(&b, spf_result_word(r->spf_result));
		put_text(&b, r->spf_human_result, REPORT_TEXT_BYTES);
	}
	put_signatures(&b, r);
	return strbuf_slice(&b);
}

bool
report_row_is_marked(struct slice bytes)
{
	return bytes.len > 0 && bytes.p[0] == ANSWER_MARK;
}

struct slice
report_row_unmark(struct arena *a, struct slice bytes)
{
	char *p;

	if (!report_row_is_marked(bytes))
		return bytes;
	p = arena_alloc(a, bytes.len);
	memcpy(p, bytes.p, bytes.len);
	p[0] = ROW_MARK;
	return slice_of(p, bytes.len);
}

/* ---- reading ---- */

struct reader {
	struct slice rest;
	const char *error; /* the first; NULL: none. What is read after it is empty */
};

static void
complain(struct reader *r, const char *error)
{
	if (r->error == NULL)
		r->error = error;
	r->rest = (struct slice){ 0 };
}

static uint64_t
get_number(struct reader *r, uint64_t max)
{
	uint64_t n = 0;

	for (unsigned shift = 0; shift < 63; shift += 7) {
		uint8_t byte;

		if (r->rest.len == 0)
			break;
		byte = (uint8_t)r->rest.p[0];
		r->rest = slice_from(r->rest, 1);
		n |= (uint64_t)(byte & 0x7f) << shift;
		if (byte >= 0x80)
			continue;
		if (n > max || (byte == 0 && shift > 0)) /* one way only to write a number */
			break;
		return n;
	}
	complain(r, "not a number in its range");
	return 0;
}

static bool
get_bool(struct reader *r)
{
	return get_number(r, 1) == 1;
}

static struct slice
get_text(struct reader *r, size_t max)
{
	size_t len = get_number(r, max);
	struct slice s = slice_sub(r->rest, 0, len);

	if (s.len < len) {
		complain(r, "it ends early");
		return (struct slice){ 0 };
	}
	r->rest = slice_from(r->rest, len);
	return s;
}

struct word {
	const char *word;
	int value;
};

static int
get_word(struct reader *r, const struct word *words, size_t count)
{
	struct slice s = get_text(r, REPORT_TEXT_BYTES);

	for (size_t i = 0; i < count; i++)
		if (slice_equal(s, slice_str(words[i].word)))
			return words[i].value;
	complain(r, "a word that is not known");
	return words[0].value;
}

#define WORD(name, word, ...) { word, name },
#define GETTER(function, type, LIST)                                                               \
	static type function(struct reader *r)                                                     \
	{                                                                                          \
		static const struct word words[] = { LIST(WORD) };                                 \
                                                                                                   \
		return (type)get_word(r, words, sizeof(words) / sizeof(words[0]));                 \
	}

GETTER(get_discovery, enum dmarc_discovery, DMARC_DISCOVERIES)
GETTER(get_policy, enum dmarc_policy, DMARC_POLICIES)
GETTER(get_psd, enum dmarc_psd, DMARC_PSDS)
GETTER(get_disposition, enum report_disposition, REPORT_DISPOSITIONS)
GETTER(get_override, enum override, OVERRIDES)
GETTER(get_dkim_result, enum dkim_result, DKIM_RESULTS)
GETTER(get_spf_result, enum spf_result, SPF_RESULTS)

static struct reader
reader_of(struct slice bytes, const char *marks)
{
	struct reader r = { .rest = bytes };

	if (bytes.len < 2 || slice_find(slice_str(marks), bytes.p[0]) == SLICE_NONE)
		complain(&r, "not what it should be");
	else if (bytes.p[1] != VERSION)
		complain(&r, "of a version that is not known");
	else
		r.rest = slice_from(bytes, 2);
	return r;
}

static int
reader_end(struct reader *r, const char **error_r)
{
	if (r->error == NULL && r->rest.len > 0)
		r->error = "it goes on behind its end";
	if (r->error == NULL)
		return 0;
	*error_r = r->error;
	return -1;
}

int
report_policy_decode(struct slice bytes, struct report_policy *out, const char **error_r)
{
	struct reader r = reader_of(bytes, (const char[]){ POLICY_MARK, '\0' });

	*out = (struct report_policy){ 0 };
	out->domain = get_text(&r, REPORT_NAME_BYTES);
	out->discovery = get_discovery(&r);
	out->p = get_policy(&r);
	out->sp = get_policy(&r);
	out->np = get_policy(&r);
	out->strict_dkim = get_bool(&r);
	out->strict_spf = get_bool(&r);
	out->testing = get_bool(&r);
	out->psd = get_psd(&r);
	out->pct = (uint32_t)get_number(&r, 100);
	out->fo = get_text(&r, REPORT_TEXT_BYTES);
	out->rua = get_text(&r, REPORT_RUA_BYTES);
	out->errors = get_text(&r, REPORT_ERRORS_BYTES);
	return reader_end(&r, error_r);
}

static struct ip_address
get_address(struct reader *r)
{
	struct slice s = get_text(r, 16);

	struct ip_address ip = { .family = IP_NONE };

	if (s.len == 4)
		ip = ip_from_bytes(IP_V4, (const uint8_t *)s.p);
	else if (s.len == 16)
		ip = ip_from_bytes(IP_V6, (const uint8_t *)s.p);
	/* A mapped address is IPv4: there is one way only to write it. */
	if (s.len != 0 && ip.family != (s.len == 16 ? IP_V6 : IP_V4))
		complain(r, "not an address");
	return ip;
}

static void
get_signatures(struct arena *a, struct reader *r, struct report_row *out)
{
	out->signature_count = get_number(r, REPORT_SIGNATURES_MAX);
	out->signatures = arena_array(a, out->signature_count, sizeof(*out->signatures));
	for (size_t i = 0; i < out->signature_count && r->error == NULL; i++) {
		struct report_signature *s = &out->signatures[i];

		s->domain = get_text(r, REPORT_NAME_BYTES);
		s->selector = get_text(r, REPORT_NAME_BYTES);
		s->result = get_dkim_result(r);
		s->human_result = get_text(r, REPORT_TEXT_BYTES);
	}
	if (signatures_that_fit(out) != out->signature_count)
		complain(r, "more signatures than are kept");
}

int
report_row_decode(struct arena *a, struct slice bytes, struct report_row *out, const char **error_r)
{
	struct reader r = reader_of(bytes, (const char[]){ ROW_MARK, FOLDED_MARK, '\0' });

	*out = (struct report_row){ .folded = bytes.len > 0 && bytes.p[0] == FOLDED_MARK };
	out->source = get_address(&r);
	out->disposition = get_disposition(&r);
	out->dkim_aligned = get_bool(&r);
	out->spf_aligned = get_bool(&r);
	out->override_count = get_number(&r, OVERRIDES_MAX);
	for (size_t i = 0; i < out->override_count; i++) {
		out->overrides[i].kind = get_override(&r);
		out->overrides[i].comment = get_text(&r, REPORT_TEXT_BYTES);
	}
	out->header_from = get_text(&r, REPORT_NAME_BYTES);
	out->envelope_from = get_text(&r, REPORT_NAME_BYTES);
	out->envelope_to = get_text(&r, REPORT_NAME_BYTES);
	out->has_spf = get_bool(&r);
	if (out->has_spf) {
		out->spf_domain = get_text(&r, REPORT_NAME_BYTES);
		out->spf_result = get_spf_result(&r);
		out->spf_human_result = get_text(&r, REPORT_TEXT_BYTES);
	}
	get_signatures(a, &r, out);
	return reader_end(&r, error_r);
}
