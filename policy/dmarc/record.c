/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/dmarc/dmarc.h"

#include "policy/base/num.h"
#include "policy/syntax/taglist.h"

ENUMTAB_WORDS(dmarc_policy_word, enum dmarc_policy, DMARC_POLICIES)
ENUMTAB_WORDS(dmarc_psd_word, enum dmarc_psd, DMARC_PSDS)
ENUMTAB_WORDS(dmarc_usability_word, enum dmarc_usability, DMARC_USABILITIES)

/* Everything but v is forgiven: RFC 9989 4.8, syntax errors in the remainder are discarded. */
static void
add_fault(struct arena *a, void *obj, struct slice tag, struct slice value, const char *why)
{
	struct dmarc_record *r = obj;

	(void)a;
	if (r->fault_count < DMARC_FAULTS_MAX)
		r->faults[r->fault_count++] = (struct dmarc_fault){
			.tag = tag, .value = value, .why = why
		};
}

/* RFC 9989 4.7: the value is case sensitive, and the only possible value is "DMARC1". */
static int
tag_v(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	(void)a;
	(void)obj;
	if (slice_equal(value, SLICE("DMARC1")))
		return 0;
	*why_r = "is not DMARC1";
	return -1;
}

/* RFC 9989 4.8: dmarc-request = "none" / "quarantine" / "reject" */
static int
read_policy(struct slice value, enum dmarc_policy *policy, bool *invalid, const char **why_r)
{
	/* A lenient rule is offered the second p= when the first was bad; the first one counts. */
	if (*invalid) {
		*why_r = "occurs twice";
		return -1;
	}
	for (enum dmarc_policy p = DMARC_P_NONE; p <= DMARC_P_REJECT; p++)
		if (slice_equal_nocase(value, slice_str(dmarc_policy_word(p)))) {
			*policy = p;
			return 0;
		}
	*invalid = true;
	*why_r = "is not none, quarantine or reject";
	return -1;
}

static int
tag_p(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct dmarc_record *r = obj;

	(void)a;
	return read_policy(value, &r->p, &r->p_invalid, why_r);
}

static int
tag_sp(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct dmarc_record *r = obj;

	(void)a;
	return read_policy(value, &r->sp, &r->sp_invalid, why_r);
}

static int
tag_np(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct dmarc_record *r = obj;

	(void)a;
	return read_policy(value, &r->np, &r->np_invalid, why_r);
}

/* One letter, case ignored, which must be yes or no: is it yes? */
static int
read_letter(struct slice value, char yes, char no, bool *out, const char **why_r)
{
	char c = value.len == 1 ? ascii_lower(value.p[0]) : '\0';

	if (c != yes && c != no) {
		*why_r = "is not one of its letters";
		return -1;
	}
	*out = c == yes;
	return 0;
}

static int
tag_adkim(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct dmarc_record *r = obj;

	(void)a;
	return read_letter(value, 's', 'r', &r->strict_dkim, why_r);
}

static int
tag_aspf(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct dmarc_record *r = obj;

	(void)a;
	return read_letter(value, 's', 'r', &r->strict_spf, why_r);
}

static int
tag_t(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct dmarc_record *r = obj;

	(void)a;
	return read_letter(value, 'y', 'n', &r->testing, why_r);
}

static int
tag_psd(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct dmarc_record *r = obj;

	(void)a;
	for (enum dmarc_psd p = DMARC_PSD_UNKNOWN; p <= DMARC_PSD_NO; p++)
		if (slice_equal_nocase(value, slice_str(dmarc_psd_word(p)))) {
			r->psd = p;
			return 0;
		}
	*why_r = "is not y, n or u";
	return -1;
}

/* RFC 7489 6.3; RFC 9989 has dropped it, and only DMARC_PSL looks at the value. */
static int
tag_pct(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct dmarc_record *r = obj;

	(void)a;
	*why_r = "is not a number from 0 to 100";
	return num_u32(value, 0, 100, &r->pct);
}

/*
 * RFC 9989 4.8 dmarc-fo: 0, 1, d and s with colons between, each at most once, 0 and 1 not
 * together; blanks around the colons are tolerated.
 */
static int
tag_fo(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct dmarc_record *r = obj;
	bool seen[4] = { false }; /* 0 1 d s */
	struct slice option;

	(void)a;
	*why_r = "is not a list of 0, 1, d and s";
	if (value.len == 0 || value.p[value.len - 1] == ':')
		return -1;
	while (slice_next(&value, ':', &option)) {
		size_t i;

		option = slice_trim(option);
		i = option.len == 1 ? slice_find(SLICE("01ds"), ascii_lower(option.p[0]))
				    : SLICE_NONE;
		if (i == SLICE_NONE || seen[i])
			return -1;
		seen[i] = true;
	}
	if (seen[0] && seen[1]) {
		*why_r = "has both 0 and 1";
		return -1;
	}
	r->fo_all = seen[0];
	r->fo_any = seen[1];
	r->fo_dkim = seen[2];
	r->fo_spf = seen[3];
	return 0;
}

/* RFC 9989 4.8 obs-dmarc-report-size, without the "!": 1*DIGIT [ "k" / "m" / "g" / "t" ] */
static bool
is_report_size(struct slice s)
{
	size_t digits = 0;

	while (digits < s.len && ascii_is_digit(s.p[digits]))
		digits++;
	if (digits > 0 && digits + 1 == s.len)
		return slice_find(SLICE("kmgt"), ascii_lower(s.p[digits])) != SLICE_NONE;
	return digits > 0 && digits == s.len;
}

/* RFC 3986 2: every byte unreserved, reserved or part of a percent-encoding. */
static bool
has_uri_bytes(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '%') {
			if (s.len - i < 3 || ascii_hex(s.p[i + 1]) < 0 || ascii_hex(s.p[i + 2]) < 0)
				return false;
			i += 2;
		} else if (!ascii_is_alnum(s.p[i]) &&
		    slice_find(SLICE("-._~:/?#[]@$&'()*+="), s.p[i]) == SLICE_NONE) {
			return false;
		}
	}
	return true;
}

/* RFC 3986 3: what is wrong with it, or NULL. */
static const char *
uri_fault(struct slice uri)
{
	size_t colon = slice_find(uri, ':'), at;
	struct slice scheme = slice_sub(uri, 0, colon), rest;

	if (uri.len == 0)
		return "is empty";
	if (colon == SLICE_NONE || colon == 0 || !ascii_is_alpha(uri.p[0]))
		return "has no scheme";
	for (size_t i = 0; i < scheme.len; i++)
		if (!ascii_is_alnum(scheme.p[i]) &&
		    slice_find(SLICE("+-."), scheme.p[i]) == SLICE_NONE)
			return "has no scheme";
	rest = slice_from(uri, colon + 1);
	if (rest.len == 0 || !has_uri_bytes(rest))
		return "is not a URI";
	if (!slice_equal_nocase(scheme, SLICE("mailto")))
		return NULL;
	rest = slice_sub(rest, 0, slice_find(rest, '?'));
	at = slice_find_last(rest, '@'); /* RFC 6068 2: addr-spec */
	return at == SLICE_NONE || at == 0 || at + 1 == rest.len ? "has no address" : NULL;
}

/*
 * RFC 9989 4.6, 4.8 dmarc-urilist; RFC 7489 6.2. What is no URI is told and left out, the others
 * count; "!size" is obsolete syntax and cut off.
 */
static int
read_uris(struct arena *a, struct slice value, struct dmarc_record *r, struct slice tag,
    struct slice **uris, size_t *count, const char **why_r)
{
	struct slice uri;

	*uris = arena_array(a, LIMIT_DMARC_URIS, sizeof(**uris));
	*count = 0;
	while (slice_next(&value, ',', &uri)) {
		struct slice text = slice_trim(uri);
		size_t bang = slice_find(text, '!');
		const char *why = "has a bare \"!\"";

		uri = slice_sub(text, 0, bang);
		if (bang == SLICE_NONE || is_report_size(slice_from(text, bang + 1)))
			why = uri_fault(uri);
		if (why == NULL && *count == LIMIT_DMARC_URIS)
			why = "is one too many";
		if (why == NULL)
			(*uris)[(*count)++] = uri;
		else
			add_fault(a, r, tag, text, why);
	}
	*why_r = "has no valid URI";
	return *count > 0 ? 0 : -1;
}

static int
tag_rua(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct dmarc_record *r = obj;

	return read_uris(a, value, r, SLICE("rua"), &r->rua, &r->rua_count, why_r);
}

static int
tag_ruf(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	struct dmarc_record *r = obj;

	return read_uris(a, value, r, SLICE("ruf"), &r->ruf, &r->ruf_count, why_r);
}

/* Defaults are those of dmarc_record_parse(). rf and ri, dropped by RFC 9989, are unknown tags. */
static const struct tag_rule dmarc_rules[] = {
	/* RFC 9989 4.7 */
	{ "v", tag_v, TAG_REQUIRED | TAG_FIRST, NULL },
	{ "p", tag_p, TAG_LENIENT, NULL },
	{ "sp", tag_sp, TAG_LENIENT, NULL },
	{ "np", tag_np, TAG_LENIENT, NULL },
	{ "psd", tag_psd, TAG_LENIENT, NULL },
	{ "t", tag_t, TAG_LENIENT, NULL },
	{ "adkim", tag_adkim, TAG_LENIENT, NULL },
	{ "aspf", tag_aspf, TAG_LENIENT, NULL },
	{ "rua", tag_rua, TAG_LENIENT, NULL },
	{ "ruf", tag_ruf, TAG_LENIENT, NULL },
	{ "fo", tag_fo, TAG_LENIENT, NULL },
	{ "pct", tag_pct, TAG_LENIENT, NULL },
};

static const struct taglist_grammar dmarc_grammar = {
	.rules = dmarc_rules,
	.rule_count = sizeof(dmarc_rules) / sizeof(dmarc_rules[0]),
	.flags = TAGLIST_NOCASE | TAGLIST_SLOPPY,
	.on_fault = add_fault,
};

/* RFC 9989 4.10 step 2: records that do not start with a "v" tag are discarded. The tag list would
 * forgive an empty piece in front of it. */
static bool
starts_with_v(struct slice text)
{
	size_t equals = slice_find(text, '=');

	return equals != SLICE_NONE &&
	    slice_equal_nocase(slice_trim(slice_sub(text, 0, equals)), SLICE("v"));
}

bool
dmarc_record_parse(struct arena *a, struct slice text, struct dmarc_record *out)
{
	struct dmarc_record r = { .text = text, .fo_all = true, .pct = 100 };
	const char *error;

	if (text.len > LIMIT_DMARC_RECORD_BYTES || !starts_with_v(text))
		return false;
	if (taglist_parse(a, text, &dmarc_grammar, &r, &error) != 0)
		return false;
	/* RFC 9989 4.7: fo MUST be ignored if a "ruf" tag is not also specified. */
	if (r.ruf_count == 0) {
		r.fo_all = true;
		r.fo_any = r.fo_dkim = r.fo_spf = false;
	}
	*out = r;
	return true;
}

enum dmarc_usability
dmarc_record_usability(const struct dmarc_record *record, enum dmarc_discovery discovery)
{
	bool np_counts = discovery == DMARC_TREEWALK;

	/* RFC 9989 4.10.1: does not contain a valid "p" tag, or contains an "sp" or "np" tag that
	 * is not valid */
	if (record->p != DMARC_P_UNSET && !record->sp_invalid && !(np_counts && record->np_invalid))
		return DMARC_USABLE;
	return record->rua_count > 0 ? DMARC_USABLE_AS_NONE : DMARC_UNUSABLE;
}
