/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/sealing.h"

#include "milter/apply.h"
#include "milter/log.h"
#include "milter/log_message.h"
#include "policy/arc/seal.h"
#include "policy/own_results.h"
#include "policy/stamp.h"
#include "policy/syntax/domain.h"
#include "policy/syntax/mailbox.h"

struct sealing {
	struct arena *arena;
	struct outgoing_parts parts;
	bool evaluated; /* else by what we wrote before */
	bool goes_on;	/* a recipient is not ours, or all mail is sealed */
	bool ended;	/* the header */
	struct header_list header;
	struct own_results before;
	struct arc_sealer *sealer; /* NULL: not sealed */
	struct arc_sealed set;
	bool made;
};

struct sealing *
sealing_begin(struct arena *a, const struct outgoing_parts *parts, bool evaluated, bool own_host)
{
	const struct conf *conf = parts->conf;
	struct sealing *s;

	if (conf->seal == CONF_SEAL_NONE || parts->keys == NULL || (!evaluated && !own_host))
		return NULL;
	s = arena_alloc(a, sizeof(*s));
	s->arena = a;
	s->parts = *parts;
	s->evaluated = evaluated;
	s->goes_on = conf->seal == CONF_SEAL_ALL;
	return s;
}

void
sealing_recipient(struct sealing *s, struct slice recipient)
{
	const struct conf *conf = s->parts.conf;
	struct slice local_part, domain, normal;
	const char *why;

	if (s->goes_on)
		return;
	recipient = slice_trim(recipient);
	if (slice_starts(recipient, SLICE("<")))
		recipient = slice_from(recipient, 1);
	if (recipient.len > 0 && recipient.p[recipient.len - 1] == '>')
		recipient.len--;
	reverse_path_read(s->arena, recipient, &local_part, &domain);
	/* One without a domain is this host's. */
	if (domain.len == 0 || domain_normalize(s->arena, domain, &normal, &why) != 0)
		return;
	for (size_t i = 0; i < conf->local_domain_count; i++)
		if (domain_covers(conf->local_domains[i], normal))
			return;
	s->goes_on = true;
}

void
sealing_header(struct sealing *s, struct slice name, struct slice value)
{
	/* Beyond a limit the message is tempfailed, or, if it is ours, not sealed. */
	if (header_list_limit(&s->header, name, value) == NULL &&
	    arena_has_room(s->arena, name.len + value.len + BLANK_ROOM))
		header_list_add(&s->header, s->arena, name, value);
	else
		s->ended = true;
}

void
sealing_end_of_headers(struct sealing *s, int64_t now_s)
{
	const struct conf *conf = s->parts.conf;
	const struct conf_dkim_key *key;
	struct arc_seal_job job;

	if (s->ended || !s->goes_on)
		return;
	s->ended = true;
	if (!s->evaluated) {
		own_results_find(
		    s->arena, &s->header, conf->authserv_ids, conf->authserv_id_count, &s->before);
		if (s->before.text.len == 0)
			return;
	}
	key = &conf->dkim_keys[conf->seal_key_number];
	job = (struct arc_seal_job){
		.crypto = s->parts.crypto,
		.holder = &s->parts.keys->holder,
		.key = { .domain = key->domain,
		    .selector = key->selector,
		    .type = s->parts.keys->infos[conf->seal_key_number].type,
		    .number = (uint32_t)conf->seal_key_number },
		.fields = conf->sign.fields,
		.now_s = now_s,
	};
	s->sealer = arc_sealer_new(s->arena, &job, &s->header);
}

bool
sealing_body(struct sealing *s, struct slice chunk)
{
	if (s->sealer == NULL || arc_sealer_left_alone(s->sealer) != NULL)
		return false;
	arc_sealer_body(s->sealer, chunk);
	return true;
}

static void
log_outcome(const struct sealing *s, struct slice queue_id, const char *why_not)
{
	struct strbuf b;

	strbuf_init(&b, s->arena, LIMIT_LOG_LINE_BYTES);
	strbuf_str(&b, s->made ? "sealed qid=" : "not sealed qid=");
	log_value(&b, queue_id);
	if (s->made)
		strbuf_printf(&b, " i=%u cv=%s", s->set.instance, arc_result_word(s->set.cv));
	strbuf_str(&b, " key=");
	log_value(&b, slice_str(s->parts.conf->seal_key));
	if (!s->made) {
		strbuf_str(&b, " reason=");
		log_value(&b, slice_str(why_not));
	}
	log_line(
	    s->made || arc_sealer_left_alone(s->sealer) != NULL ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
	    "%s", strbuf_slice(&b).p);
}

bool
sealing_will_wait(const struct sealing *s)
{
	return s->sealer != NULL && arc_sealer_left_alone(s->sealer) == NULL;
}

void
sealing_seal(
    struct sealing *s, const struct verdict *v, const struct disposition *d, struct slice queue_id)
{
	enum arc_result found = s->before.arc;
	struct slice results = s->before.text;
	const char *why_not = NULL;

	if (s->sealer == NULL || (s->evaluated && (v == NULL || v->limit_met != NULL)))
		return;
	/* What our first hop sealed, our software has changed since: its AMS need not verify. */
	if (!s->evaluated && found == ARC_NONE && arc_sealer_continues(s->sealer))
		found = ARC_PASS;
	if (s->evaluated) {
		found = v->arc.result;
		results = stamp_write_sealed(s->arena, s->parts.conf->authserv_id, v, d);
	}
	s->made = arc_sealer_finish(s->sealer, found, results, &s->set, &why_not) == 0;
	log_outcome(s, queue_id, why_not);
}

int
sealing_insert(const struct sealing *s, const struct mta *mta)
{
	const struct {
		const char *name;
		struct slice value;
	} fields[] = {
		{ "ARC-Authentication-Results", s->set.results },
		{ "ARC-Message-Signature", s->set.message },
		{ "ARC-Seal", s->set.seal },
	};

	for (size_t i = 0; s->made && i < sizeof(fields) / sizeof(fields[0]); i++)
		if (mta->calls->insert_header(mta->ctx, 0, fields[i].name,
			apply_lines(s->arena, slice_from(fields[i].value, 1))) != 0)
			return -1;
	return 0;
}

void
sealing_end(struct sealing **sp)
{
	struct sealing *s = *sp;

	*sp = NULL;
	if (s != NULL)
		arc_sealer_fini(&s->sealer);
}
