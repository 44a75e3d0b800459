/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/log_message.h"

#include <string.h>

#include "policy/base/limits.h"

/* What may stand in a value: bare, which is letters, digits and harmless marks; between quotes. */
#define BARE   1
#define QUOTED 2

static const char classes[256] = {
	[' '] = QUOTED,
	['!'] = BARE | QUOTED,
	/* not the quote */
	['#' ... '<'] = BARE | QUOTED,
	['='] = QUOTED,
	['>' ... '['] = BARE | QUOTED,
	/* not the backslash */
	[']' ... '~'] = BARE | QUOTED,
};

/* How many bytes of that class s begins with. */
static size_t
length_of(struct slice s, int class)
{
	size_t n = 0;

	while (n < s.len && (classes[(unsigned char)s.p[n]] & class) != 0)
		n++;
	return n;
}

void
log_value(struct strbuf *b, struct slice value)
{
	bool cut = value.len > LIMIT_LOG_VALUE_BYTES;

	value = slice_sub(value, 0, LIMIT_LOG_VALUE_BYTES);
	if (value.len > 0 && !cut && length_of(value, BARE) == value.len) {
		strbuf_add(b, value);
		return;
	}
	strbuf_char(b, '"');
	while (value.len > 0) {
		size_t n = length_of(value, QUOTED);

		strbuf_add(b, slice_sub(value, 0, n));
		if (n < value.len)
			strbuf_printf(b, "\\x%02X", (unsigned)(unsigned char)value.p[n]);
		value = slice_from(value, n + 1);
	}
	strbuf_str(b, cut ? "...\"" : "\"");
}

static void
pair(struct strbuf *b, const char *key, struct slice value)
{
	if (b->len > 0)
		strbuf_char(b, ' ');
	strbuf_str(b, key);
	strbuf_char(b, '=');
	log_value(b, value);
}

static void
pair_str(struct strbuf *b, const char *key, const char *value)
{
	pair(b, key, slice_str(value));
}

static void
pair_number(struct strbuf *b, const char *key, uint64_t value)
{
	strbuf_char(b, ' ');
	strbuf_str(b, key);
	strbuf_char(b, '=');
	strbuf_number(b, value);
}

static void
pair_unless_empty(struct strbuf *b, const char *key, struct slice value)
{
	if (!slice_is_empty(value))
		pair(b, key, value);
}

/* First of all: what stands at the end of a very long line may be cut. */
static void
add_action(struct strbuf *b, const struct log_message *m)
{
	enum action action = m->refused_edit ? ACTION_TEMPFAIL : m->disposition->action;

	pair(b, "qid", m->queue_id);
	pair_str(b, "action", action_word(action));
	pair_str(b, "cause", m->refused_edit ? "mta" : cause_word(m->disposition->cause));
}

static void
add_envelope(struct strbuf *b, const struct log_message *m)
{
	char ip[IP_TEXT_BYTES];

	pair_str(b, "client", ip_print(&m->client, ip));
	pair_unless_empty(b, "host", m->host);
	pair(b, "helo", m->helo);
	pair(b, "from", m->from);
	pair(b, "to", m->to);
	pair_number(b, "nrcpt", m->recipients);
}

static void
add_spf(struct strbuf *b, const struct verdict *v)
{
	pair_str(b, "spf", spf_result_word(v->spf.result));
	pair(b, "spf_domain", v->spf.domain);
	if (v->spf.result != SPF_PASS)
		pair_str(b, "spf_reason", spf_reason_text(v->spf.reason));
	pair_unless_empty(b, "spf_detail", v->spf.detail);
	if (v->helo_checked)
		pair_str(b, "helo_spf", spf_result_word(v->spf_helo.result));
	if (v->iprev_checked)
		pair_str(b, "iprev", iprev_result_word(v->iprev.result));
}

/* "pass d1.example s1", "fail d1.example s1: body hash did not verify" */
static void
add_signature(struct strbuf *b, const struct dkim_signature_verdict *s)
{
	struct strbuf text;

	strbuf_init(&text, b->arena, LIMIT_LOG_VALUE_BYTES);
	strbuf_str(&text, dkim_result_word(s->result));
	strbuf_char(&text, ' ');
	strbuf_add(&text, s->domain);
	strbuf_char(&text, ' ');
	strbuf_add(&text, s->selector);
	if (s->result != DKIM_PASS)
		strbuf_printf(&text, ": %s", dkim_reason_text(s->reason));
	if (s->diagnosis.text.len > 0) {
		strbuf_str(&text, ", ");
		strbuf_add(&text, s->diagnosis.text);
	}
	pair(b, "dkim", strbuf_slice(&text));
}

static void
add_dkim(struct strbuf *b, const struct dkim_verdict *v)
{
	size_t shown = v->count < LIMIT_LOG_SIGNATURES ? v->count : LIMIT_LOG_SIGNATURES;

	if (v->count == 0)
		pair_str(b, "dkim", "none");
	for (size_t i = 0; i < shown; i++)
		add_signature(b, &v->signatures[i]);
	if (v->count + v->ignored > shown)
		pair_number(b, "dkim_more", v->count + v->ignored - shown);
}

static void
add_dmarc(struct strbuf *b, const struct verdict *v)
{
	const struct dmarc_verdict *d = &v->dmarc;

	pair_str(b, "dmarc", dmarc_result_word(d->result));
	if (d->reason != DMARC_R_NONE)
		pair_str(b, "dmarc_reason", dmarc_reason_text(d->reason));
	if (d->record != NULL) {
		pair_str(b, "policy", dmarc_policy_word(d->policy));
		pair(b, "policy_domain", d->policy_domain);
	}
}

static void
add_verdict(struct strbuf *b, const struct verdict *v)
{
	struct slice author = v->author.domain_count > 0 ? v->author.domains[0] : SLICE("");

	pair(b, "author", author);
	if (v->author.domain_count > 1)
		pair_number(b, "authors", v->author.domain_count);
	add_spf(b, v);
	add_dkim(b, &v->dkim);
	if (v->arc.result != ARC_NONE) {
		pair_str(b, "arc", arc_result_word(v->arc.result));
		pair_unless_empty(b, "arc_domain", v->arc.domain);
		pair_unless_empty(b, "arc_reason", v->arc.reason);
	}
	add_dmarc(b, v);
	if (v->limit_met != NULL)
		pair_str(b, "limit", v->limit_met);
}

static void
add_reasons(struct strbuf *b, const struct log_message *m)
{
	const struct disposition *d = m->disposition;

	for (size_t i = 0; i < d->override_count; i++) {
		pair_str(b, "override", override_word(d->overrides[i].kind));
		pair_str(b, "override_why", d->overrides[i].comment);
	}
	if (d->explanation[0] != '\0')
		pair_str(b, "why", d->explanation);
}

static void
add_cost(struct strbuf *b, const struct log_message *m)
{
	uint64_t waited_ms = 0;

	if (m->removed > 0)
		pair_number(b, "removed", m->removed);
	if (m->verdict != NULL) {
		for (size_t i = 0; i < m->verdict->lookup_count; i++)
			waited_ms += m->verdict->lookups[i].waited_ms;
		pair_number(b, "lookups", m->verdict->lookup_count);
		pair_number(b, "dns_ms", waited_ms);
	}
	pair_number(b, "ms", m->took_ms);
}

const char *
log_message_text(struct arena *a, const struct log_message *m)
{
	struct strbuf b;

	strbuf_init(&b, a, LIMIT_LOG_LINE_BYTES - 1);
	add_action(&b, m);
	add_envelope(&b, m);
	if (m->skipped != NULL)
		pair_str(&b, "skipped", m->skipped);
	if (m->verdict != NULL)
		add_verdict(&b, m->verdict);
	add_reasons(&b, m);
	add_cost(&b, m);
	return strbuf_slice(&b).p;
}
