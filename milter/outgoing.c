/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/outgoing.h"

#include "conf/signing_rules.h"
#include "milter/apply.h"
#include "milter/line_watch.h"
#include "milter/log.h"
#include "milter/log_message.h"
#include "policy/syntax/mailbox.h"

struct outgoing {
	struct arena *arena;
	struct outgoing_parts parts;
	bool authenticated;
	struct slice login;
	struct header_list header;
	struct line_watch header_lines, body_lines;
	struct slice author_domain;
	const char *why_not; /* why it is not signed; NULL: it is, so far */
	bool ended;	     /* the header */
	bool failed;	     /* it should have been signed */
	struct dkim_sign_options options;
	struct sig_signing_key *keys;
	size_t key_count;
	struct lookups *lookups; /* of the keys' records */
	struct dkim_signer *signer;
	struct slice *values; /* made, one for each key; NULL: none */
};

static bool
is_in_networks(const struct conf *conf, const struct ip_address *client)
{
	for (size_t i = 0; i < conf->sign_network_count; i++)
		if (ip_in_network(client, &conf->sign_networks[i]))
			return true;
	return false;
}

struct outgoing *
outgoing_begin(struct arena *a, const struct outgoing_parts *parts, const struct ip_address *client,
    bool authenticated, struct slice login)
{
	struct outgoing *o;

	if (parts->keys == NULL || (!authenticated && !is_in_networks(parts->conf, client)))
		return NULL;
	o = arena_alloc(a, sizeof(*o));
	o->arena = a;
	o->parts = *parts;
	o->options = parts->conf->sign;
	if (parts->blanks_unknown)
		o->options.header_canon = SIG_RELAXED;
	o->authenticated = authenticated;
	o->login = arena_copy(a, login);
	return o;
}

void
outgoing_header(struct outgoing *o, struct slice name, struct slice value)
{
	if (header_list_limit(&o->header, name, value) != NULL ||
	    !arena_has_room(o->arena, name.len + value.len + BLANK_ROOM)) {
		o->why_not = "the header is too large";
		o->failed = true;
		return;
	}
	header_list_add(&o->header, o->arena, name, value);
	line_watch_update(&o->header_lines, name);
	line_watch_update(&o->header_lines, SLICE(":"));
	line_watch_update(&o->header_lines, value);
	line_watch_end(&o->header_lines);
}

/* ---- who signs ---- */

/* RFC 6376 5.1: a signer must know for whom. NULL, or why it doesn't. */
static const char *
find_author(struct outgoing *o)
{
	struct author author;

	author_read(o->arena, &o->header, &author);
	if (author.domain_count > 0)
		o->author_domain = author.domains[0];
	if (author.from_fields != 1 || author.domain_count != 1)
		return author.domain_count > 1 || author.from_fields > 1
		    ? "there is more than one author domain"
		    : "there is no author domain";
	if (author.malformed != NULL)
		return arena_printf(o->arena, "From %s", author.malformed);
	return NULL;
}

/* The keys for the author's domain (RFC 6376 5.2). NULL, or why there is none. */
static const char *
find_keys(struct outgoing *o)
{
	const struct conf *conf = o->parts.conf;
	size_t *numbers = arena_array(o->arena, conf->dkim_key_count, sizeof(*numbers));

	o->key_count = signing_choose_keys(conf, o->author_domain, numbers);
	if (o->key_count == 0)
		return "there is no key for this domain";
	/* A login proves who it is, not whom it may write as (OpenDKIM issue 187). */
	if (o->authenticated && !signing_may_use(conf, o->login, o->author_domain))
		return "the login may not use this domain";
	o->keys = arena_array(o->arena, o->key_count, sizeof(*o->keys));
	for (size_t i = 0; i < o->key_count; i++) {
		const struct conf_dkim_key *k = &conf->dkim_keys[numbers[i]];

		o->keys[i] = (struct sig_signing_key){
			.domain = k->domain.len > 0 ? k->domain : o->author_domain,
			.selector = k->selector,
			.type = o->parts.keys->infos[numbers[i]].type,
			.number = (uint32_t)numbers[i],
		};
	}
	return NULL;
}

/* ---- whether its record is there ---- */

static void
log_published(const struct outgoing *o, const struct sig_signing_key *k, enum sig_published state,
    const char *detail)
{
	struct key_info *info = &o->parts.keys->infos[k->number];
	int before = atomic_exchange(&info->published, (int)state + 1);

	/* Once for each change; that all is well is worth no line, unless it was not. */
	if (before == (int)state + 1 || (before == 0 && state == SIG_PUBLISHED))
		return;
	log_line(state == SIG_PUBLISHED ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
	    "dkim_key \"%s\": %s._domainkey.%s: %s",
	    arena_printable(o->arena, o->parts.conf->dkim_keys[k->number].name, 100),
	    arena_str(o->arena, k->selector), arena_str(o->arena, k->domain), detail);
}

static struct slice
record_name(const struct outgoing *o, const struct sig_signing_key *k)
{
	return sig_key_name(o->arena, k->selector, k->domain);
}

/* Waits for the record, if it is not there yet. */
static enum sig_published
ask_published(struct outgoing *o, const struct sig_signing_key *k)
{
	const char *detail;
	enum sig_published state = sig_key_published(
	    o->arena, o->lookups, record_name(o, k), o->parts.keys->infos[k->number].key, &detail);

	log_published(o, k, state, detail);
	return state;
}

/*
 * May this key be used? Where the DNS does not answer nothing is known against it: no mail is lost
 * for a record that was right yesterday.
 */
static bool
is_usable(struct outgoing *o, const struct sig_signing_key *k)
{
	enum sig_published state = ask_published(o, k);

	return state == SIG_PUBLISHED || state == SIG_PUBLISHED_UNKNOWN;
}

static void
leave_out_unpublished(struct outgoing *o)
{
	size_t count = 0;

	for (size_t i = 0; i < o->key_count; i++)
		if (is_usable(o, &o->keys[i]))
			o->keys[count++] = o->keys[i];
	o->key_count = count;
	if (count == 0)
		o->why_not = "no key of this domain is published";
}

/* Where nothing hangs on the records no mail waits for them: what comes too late for this message
 * is in the resolver's cache for the next one. */
static void
look_at_records(struct outgoing *o)
{
	for (size_t i = 0; i < o->key_count; i++)
		if (lookups_peek(o->lookups, record_name(o, &o->keys[i]), DNS_TXT) != NULL)
			(void)ask_published(o, &o->keys[i]);
}

/* ---- the message ---- */

void
outgoing_end_of_headers(struct outgoing *o, int64_t now_s)
{
	struct dkim_sign_job job = {
		.crypto = o->parts.crypto,
		.holder = &o->parts.keys->holder,
		.options = &o->options,
		.now_s = now_s,
	};

	if (o->ended)
		return;
	o->ended = true;
	if (o->why_not == NULL)
		o->why_not = find_author(o);
	if (o->why_not == NULL)
		o->why_not = find_keys(o);
	if (o->why_not != NULL)
		return;
	o->lookups = lookups_new(o->arena, o->parts.resolver, &o->parts.conf->evaluator.lookups);
	for (size_t i = 0; i < o->key_count; i++)
		lookups_prefetch(o->lookups, record_name(o, &o->keys[i]), DNS_TXT);
	job.keys = o->keys;
	job.key_count = o->key_count;
	o->signer = dkim_signer_new(o->arena, &job, &o->header);
}

bool
outgoing_body(struct outgoing *o, struct slice chunk)
{
	if (o->signer == NULL)
		return false;
	dkim_signer_body(o->signer, chunk);
	line_watch_update(&o->body_lines, chunk);
	return true;
}

/* ---- the end ---- */

static void
log_long_lines(
    const struct outgoing *o, struct slice queue_id, const char *where, const struct line_watch *w)
{
	struct strbuf b;

	if (w->over == 0)
		return;
	strbuf_init(&b, o->arena, LIMIT_LOG_LINE_BYTES);
	strbuf_str(&b, "long lines qid=");
	log_value(&b, queue_id);
	strbuf_printf(&b,
	    " in=%s lines=%llu longest=%llu first=%llu: over 998 octets; the MTA will break them, "
	    "and the signature with them",
	    where, (unsigned long long)w->over, (unsigned long long)w->longest,
	    (unsigned long long)w->first);
	log_line(LOG_LEVEL_WARNING, "%s", strbuf_slice(&b).p);
}

static void
log_outcome(const struct outgoing *o, struct slice queue_id)
{
	struct strbuf b;

	strbuf_init(&b, o->arena, LIMIT_LOG_LINE_BYTES);
	strbuf_str(&b, o->why_not == NULL ? "signed qid=" : "not signed qid=");
	log_value(&b, queue_id);
	strbuf_str(&b, " login=");
	log_value(&b, o->login);
	strbuf_str(&b, " author_domain=");
	log_value(&b, o->author_domain);
	for (size_t i = 0; o->why_not == NULL && i < o->key_count; i++) {
		strbuf_str(&b, " key=");
		log_value(&b, o->parts.conf->dkim_keys[o->keys[i].number].name);
	}
	if (o->why_not != NULL) {
		strbuf_str(&b, " reason=");
		log_value(&b, slice_str(o->why_not));
	}
	log_line(o->failed ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "%s", strbuf_slice(&b).p);
}

static void
make_signatures(struct outgoing *o)
{
	struct slice *values = arena_array(o->arena, o->key_count, sizeof(*values));

	dkim_signer_use(o->signer, o->keys, o->key_count);
	if (dkim_signer_finish(o->signer, values, &o->why_not) != 0)
		o->failed = true;
	else
		o->values = values;
}

bool
outgoing_will_wait(const struct outgoing *o)
{
	return o->why_not == NULL;
}

int
outgoing_sign(struct outgoing *o, struct slice queue_id)
{
	line_watch_end(&o->body_lines);
	if (o->why_not == NULL && o->parts.conf->require_published)
		leave_out_unpublished(o);
	if (o->why_not == NULL) {
		make_signatures(o);
		/* Behind the signing, which gives the DNS a little more time. */
		if (!o->parts.conf->require_published)
			look_at_records(o);
	}
	log_outcome(o, queue_id);
	if (o->values != NULL) {
		log_long_lines(o, queue_id, "header", &o->header_lines);
		log_long_lines(o, queue_id, "body", &o->body_lines);
	}
	return o->failed && o->parts.conf->on_sign_failure == ACTION_TEMPFAIL ? -1 : 0;
}

int
outgoing_insert(const struct outgoing *o, const struct mta *mta)
{
	if (o->values == NULL)
		return 0;
	/* RFC 6376 5.6: above all others; the first key's is on top. */
	for (size_t i = o->key_count; i-- > 0;)
		if (mta->calls->insert_header(mta->ctx, 0, "DKIM-Signature",
			apply_lines(o->arena, slice_from(o->values[i], 1))) != 0)
			return -1;
	return 0;
}

void
outgoing_end(struct outgoing **op)
{
	struct outgoing *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	dkim_signer_fini(&o->signer);
	lookups_fini(&o->lookups);
}
