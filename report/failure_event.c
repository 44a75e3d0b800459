/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/failure.h"

#include "policy/authres/authres.h"
#include "policy/syntax/domain.h"
#include "policy/syntax/header.h"
#include "policy/syntax/mailbox.h"
#include "report/failure_redact.h"
#include "report/mail_parts.h"
#include "report/text.h"

#define FIELDS_BYTES 65536

ENUMTAB_WORDS(failure_type_word, enum failure_type, FAILURE_TYPES)

/* ---- what the domain owner asks for ---- */

static bool
has_failed(const struct dkim_signature_verdict *s)
{
	return s->result == DKIM_FAIL || s->result == DKIM_PERMERROR;
}

static enum failure_type
dkim_type(const struct dkim_signature_verdict *s)
{
	switch (s->reason) {
	case DKIM_R_BODY_HASH:
		return FAILURE_BODYHASH;
	case DKIM_R_KEY_REVOKED:
		return FAILURE_REVOKED;
	default: /* RFC 6591 3.3 has no further words */
		return FAILURE_SIGNATURE;
	}
}

static enum failure_type
first_failed_signature(const struct verdict *v, size_t *signature_r)
{
	for (size_t i = 0; i < v->dkim.count; i++)
		if (has_failed(&v->dkim.signatures[i])) {
			*signature_r = i;
			return dkim_type(&v->dkim.signatures[i]);
		}
	return FAILURE_NONE;
}

/* Not for none and neutral: these are no failure (RFC 9989 4.7: "failed SPF evaluation"). */
static bool
spf_has_failed(const struct verdict *v)
{
	return v->spf.result == SPF_FAIL || v->spf.result == SPF_SOFTFAIL ||
	    v->spf.result == SPF_PERMERROR;
}

enum failure_type
failure_type_of(const struct verdict *v, size_t *signature_r)
{
	const struct dmarc_record *r = v->dmarc.record;
	enum failure_type type = FAILURE_NONE;

	*signature_r = 0;
	if (r == NULL || r->ruf_count == 0 || !v->has_message)
		return FAILURE_NONE;
	/* RFC 9991 2: MUST NOT consider "ruf" tags in records having a "psd=y" tag */
	if (r->psd == DMARC_PSD_YES || v->dmarc.source == DMARC_S_PSD)
		return FAILURE_NONE;
	/* What DNS trouble left open has not failed. */
	if (v->dmarc.result != DMARC_PASS && v->dmarc.result != DMARC_FAIL)
		return FAILURE_NONE;
	if (r->fo_all && v->dmarc.result == DMARC_FAIL)
		return FAILURE_DMARC;
	if (r->fo_any && !(v->dmarc.spf_aligned && v->dmarc.dkim_aligned))
		return FAILURE_DMARC;
	if (r->fo_dkim)
		type = first_failed_signature(v, signature_r);
	if (type == FAILURE_NONE && r->fo_spf && spf_has_failed(v))
		type = FAILURE_SPF;
	return type;
}

/* ---- fields of message/feedback-report: RFC 6591 3.1, 3.2.1 ---- */

struct making { /* one event under way */
	struct arena *arena;
	const struct failure_options *options;
	const struct failure_message *m;
	struct redaction redaction;
	enum failure_type type;
	size_t signature;
	struct strbuf fields;
};

/* Names of ours, values cleaned: no line end gets through. */
static void
field(struct making *k, const char *name, struct slice value)
{
	struct slice clean = report_text(k->arena, value, REPORT_FAILURE_LINE_BYTES);

	if (clean.len == 0)
		return;
	strbuf_printf(&k->fields, "%s: ", name);
	for (size_t i = 0; i < clean.len; i++) /* 7bit */
		strbuf_char(&k->fields, (unsigned char)clean.p[i] < 0x80 ? clean.p[i] : '?');
	strbuf_str(&k->fields, "\r\n");
}

/* RFC 6591 3.1: MUST reflect only a single authentication method's result */
static void
results(struct making *k)
{
	const struct verdict *v = k->m->verdict;
	const struct dkim_signature_verdict *s = v->dkim.count > 0
	    ? &v->dkim.signatures[k->signature]
	    : NULL;
	struct authres_property p[3] = { { .property = slice_of(NULL, 0) } };
	struct authres_result r = { .method_version = 1, .properties = p, .property_count = 1 };
	struct authres ar = { .authserv_id = k->options->authserv_id,
		.version = 1,
		.results = &r,
		.result_count = 1 };

	switch (k->type) {
	case FAILURE_NONE:
		return;
	case FAILURE_DMARC:
		r.method = SLICE("dmarc");
		r.result = slice_str(dmarc_result_word(v->dmarc.result));
		p[0] = (struct authres_property){ SLICE("header"), SLICE("from"),
			v->dmarc.author_domain };
		break;
	case FAILURE_SPF:
		r.method = SLICE("spf");
		r.result = slice_str(spf_result_word(v->spf.result));
		p[0] = (struct authres_property){ SLICE("smtp"), SLICE("mailfrom"), v->spf.domain };
		break;
	case FAILURE_BODYHASH:
	case FAILURE_REVOKED:
	case FAILURE_SIGNATURE:
		r.method = SLICE("dkim");
		r.result = slice_str(dkim_result_word(s->result));
		p[0] = (struct authres_property){ SLICE("header"), SLICE("d"), s->domain };
		p[1] = (struct authres_property){ SLICE("header"), SLICE("s"), s->selector };
		p[2] = (struct authres_property){ SLICE("header"), SLICE("b"), s->header_b };
		r.property_count = 3;
		break;
	}
	strbuf_str(&k->fields, "Authentication-Results: ");
	strbuf_add(&k->fields, authres_write(k->arena, &ar));
	strbuf_str(&k->fields, "\r\n");
}

/* RFC 9991 4: the mechanisms that failed to authenticate an aligned identity; none: none failed. */
static void
identity_alignment(struct making *k)
{
	const struct dmarc_verdict *d = &k->m->verdict->dmarc;

	field(k, "Identity-Alignment",
	    slice_str(d->dkim_aligned && d->spf_aligned ? "none"
		    : d->dkim_aligned			? "spf"
		    : d->spf_aligned			? "dkim"
							: "dkim, spf"));
}

/* RFC 6591 3.2.2 */
static void
delivery_result(struct making *k)
{
	const char *word = "other";

	switch (k->m->disposition->action) {
	case ACTION_ACCEPT:
		word = "delivered";
		break;
	case ACTION_REJECT:
		word = "reject";
		break;
	case ACTION_QUARANTINE:
		word = "policy";
		break;
	case ACTION_TEMPFAIL:
	case ACTION_DISCARD:
		break;
	}
	field(k, "Delivery-Result", slice_str(word));
}

/* What failed is compared only where that needs no lookup: else its name says it. */
static bool
is_aligned(const struct dmarc_verdict *dmarc, const struct dmarc_alignment *al)
{
	return al->compared ? al->aligned : domain_covers(dmarc->organizational_domain, al->domain);
}

/* Of a report about DMARC: the first failed signature of an aligned domain. NULL: there is none. */
static const struct dkim_signature_verdict *
told_signature(const struct making *k)
{
	const struct verdict *v = k->m->verdict;

	if (k->type == FAILURE_SPF)
		return NULL;
	if (k->type != FAILURE_DMARC)
		return &v->dkim.signatures[k->signature];
	for (size_t i = 0; i < v->dmarc.alignment_count; i++) {
		const struct dmarc_alignment *al = &v->dmarc.alignments[i];

		if (al->method == DMARC_BY_DKIM && has_failed(&v->dkim.signatures[al->signature]) &&
		    is_aligned(&v->dmarc, al))
			return &v->dkim.signatures[al->signature];
	}
	return NULL;
}

/* RFC 6591 3.2.3 */
static void
dkim_fields(struct making *k)
{
	const struct dkim_signature_verdict *s = told_signature(k);
	struct slice identity;
	size_t at;

	if (s == NULL)
		return;
	identity = s->identity;
	at = slice_find_last(identity, '@');
	if (k->options->redact && at != SLICE_NONE)
		identity = slice_from(identity, at);
	field(k, "DKIM-Domain", s->domain);
	field(k, "DKIM-Identity", identity);
	field(k, "DKIM-Selector", s->selector);
}

/* The SPF record at that name, as a quoted string (RFC 6591 4). */
static void
spf_record_field(struct making *k, struct slice domain, const struct dns_answer *answer)
{
	struct strbuf b;

	for (size_t n = 0; n < answer->count; n++) {
		struct slice text = answer->records[n].text;

		if (!spf_record_version(text))
			continue;
		strbuf_init(&b, k->arena, 2 * REPORT_FAILURE_SPF_BYTES);
		strbuf_printf(&b, "txt : %s : ", arena_str(k->arena, domain));
		mail_quoted(&b, slice_sub(text, 0, REPORT_FAILURE_SPF_BYTES / 2));
		field(k, "SPF-DNS", strbuf_slice(&b));
	}
}

/* RFC 6591 3.2.6: once for every record that was used; an included one may be used twice. */
static void
spf_dns(struct making *k)
{
	const struct verdict *v = k->m->verdict;
	const struct spf_verdict *spf = &v->spf;

	if (k->type != FAILURE_SPF && (k->type != FAILURE_DMARC || spf->result == SPF_PASS))
		return;
	for (size_t i = 0; i < v->lookup_count; i++) {
		const struct lookup *l = &v->lookups[i];
		size_t n = 0;

		if (l->type != DNS_TXT || l->answer == NULL || l->answer->status != DNS_OK)
			continue;
		while (n < spf->record_domain_count &&
		    !slice_equal_nocase(l->name, spf->record_domains[n]))
			n++;
		if (n < spf->record_domain_count)
			spf_record_field(k, l->name, l->answer);
	}
}

static void
envelope(struct making *k, int64_t now_s)
{
	const struct verdict *v = k->m->verdict;
	/* Cleaned first: a byte that is dropped would hide a word from the one who looks for it. */
	struct slice path = report_text(k->arena, v->reverse_path, REPORT_FAILURE_LINE_BYTES);
	char address[IP_TEXT_BYTES];
	struct strbuf b;

	field(k, "Original-Envelope-Id", k->m->queue_id);
	if (k->options->redact)
		path = redact_text(&k->redaction, path);
	field(k, "Original-Mail-From",
	    slice_str(arena_printf(k->arena, "<%s>", arena_str(k->arena, path))));
	strbuf_init(&b, k->arena, 64);
	mail_date(&b, now_s);
	field(k, "Arrival-Date", strbuf_slice(&b));
	if (k->options->reporting_mta.len > 0)
		field(k, "Reporting-MTA",
		    slice_str(arena_printf(
			k->arena, "dns; %s", arena_str(k->arena, k->options->reporting_mta))));
	/* DIFFERS: RFC 5965 3.2 has an IPv6 address as in SMTP, "IPv6:2001:db8::1". Nobody writes
	 * it so, and readers lose the report over it. */
	field(k, "Source-IP", slice_str(ip_print(&v->connection.client, address)));
	field(k, "Reported-Domain", v->dmarc.author_domain);
}

static struct slice
all_fields(struct making *k, int64_t now_s)
{
	strbuf_init(&k->fields, k->arena, FIELDS_BYTES);
	field(k, "Feedback-Type", SLICE("auth-failure"));
	field(k, "User-Agent", k->options->user_agent);
	field(k, "Version", SLICE("1"));
	field(k, "Auth-Failure", slice_str(failure_type_word(k->type)));
	results(k);
	identity_alignment(k);
	delivery_result(k);
	dkim_fields(k);
	spf_dns(k);
	envelope(k, now_s);
	return strbuf_slice(&k->fields);
}

/* ---- the message's header ---- */

/* 7bit, lines short enough: bytes that are not ASCII become "?". */
static void
add_value(struct strbuf *b, struct slice value)
{
	size_t column = 0;

	for (size_t i = 0; i < value.len; i++) {
		char c = value.p[i];

		if (c == '\n') { /* a fold, or made one: no line of the value's own */
			bool folded = i + 1 < value.len && ascii_is_wsp(value.p[i + 1]);

			strbuf_str(b, folded ? "\r\n" : "\r\n ");
			column = folded ? 0 : 1;
			continue;
		}
		if (c == '\r' && i + 1 < value.len && value.p[i + 1] == '\n')
			continue;
		if (column++ == REPORT_FAILURE_LINE_BYTES) {
			strbuf_str(b, "\r\n ");
			column = 1;
		}
		strbuf_char(b, c == '\t' || (c >= ' ' && c < 0x7f) ? c : '?');
	}
}

/* One that begins with "-" could be taken for the boundary between two parts. */
static bool
is_field_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f || name.p[i] == ':')
			return false;
	return name.len > 0 && name.len <= 78 && name.p[0] != '-';
}

static struct slice
header_text(const struct making *k)
{
	const struct header_list *h = k->m->header;
	struct strbuf b;

	strbuf_init(&b, k->arena, 2 * REPORT_FAILURE_HEADER_BYTES);
	for (size_t i = 0; i < h->count && b.len < REPORT_FAILURE_HEADER_BYTES; i++) {
		struct slice name = header_name_trim(h->fields[i].name);
		struct slice value = h->fields[i].value;

		if (!is_field_name(name) || value.len > REPORT_FAILURE_HEADER_BYTES - b.len)
			continue;
		if (k->options->redact) {
			name = redact_text(&k->redaction, name);
			value = redact_field(&k->redaction, h->fields[i].name, value);
		}
		strbuf_add(&b, name);
		strbuf_char(&b, ':');
		add_value(&b, value);
		strbuf_str(&b, "\r\n");
	}
	return strbuf_slice(&b);
}

/* ---- all of it ---- */

/* Failures are alike that have the same client, the same author domain and the same results. */
static struct slice
cause_of(const struct making *k)
{
	static const uint8_t keys[2][HASH_KEY_BYTES] = { { 1 }, { 2 } };
	const struct verdict *v = k->m->verdict;
	char address[IP_TEXT_BYTES];
	struct strbuf b;

	strbuf_init(&b, k->arena, FIELDS_BYTES);
	strbuf_printf(&b, "%s|%s|%s|%s|%d|%d|%d|%s", ip_print(&v->connection.client, address),
	    arena_str(k->arena, v->dmarc.policy_domain),
	    arena_str(k->arena, v->dmarc.author_domain), failure_type_word(k->type),
	    v->dmarc.spf_aligned, v->dmarc.dkim_aligned, (int)k->m->disposition->action,
	    spf_result_word(v->spf.result));
	for (size_t i = 0; i < v->dkim.count; i++)
		strbuf_printf(&b, "|%s %d", arena_str(k->arena, v->dkim.signatures[i].domain),
		    (int)v->dkim.signatures[i].reason);
	return slice_str(arena_printf(k->arena, "%016llx%016llx",
	    (unsigned long long)hash_bytes(keys[0], strbuf_slice(&b)),
	    (unsigned long long)hash_bytes(keys[1], strbuf_slice(&b))));
}

static struct slice
subject_of(const struct making *k)
{
	const struct header_field *f = header_find(k->m->header, "Subject", 0);

	if (k->options->redact || f == NULL)
		return SLICE(REDACTED);
	return report_text(k->arena, header_unfold(k->arena, f->value), REPORT_TEXT_BYTES);
}

static struct slice
join_uris(struct arena *a, const struct slice *uris, size_t count)
{
	struct strbuf b;

	strbuf_init(&b, a, REPORT_RUA_BYTES);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			strbuf_char(&b, ' ');
		strbuf_add(&b, uris[i]);
	}
	return strbuf_slice(&b);
}

bool
failure_event_make(struct arena *a, const struct failure_options *options,
    const struct failure_message *m, int64_t now_s, struct failure_event *out)
{
	const struct verdict *v = m->verdict;
	struct making k = { .arena = a, .options = options, .m = m };

	k.type = failure_type_of(v, &k.signature);
	if (k.type == FAILURE_NONE)
		return false;
	redaction_init(&k.redaction, a, options->key, m->recipients, m->recipient_count);
	*out = (struct failure_event){
		.cause = cause_of(&k),
		.domain = v->dmarc.policy_domain,
		.discovery = v->dmarc.discovery,
		.ruf = join_uris(a, v->dmarc.record->ruf, v->dmarc.record->ruf_count),
		.author = v->dmarc.author_domain,
		.subject = subject_of(&k),
		.fields = all_fields(&k, now_s),
		.header = header_text(&k),
		.first_s = now_s,
		.incidents = 1,
	};
	return true;
}
