/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/apply.h"

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"

const char *
apply_lines(struct arena *a, struct slice text)
{
	struct strbuf b;
	struct slice piece;

	strbuf_init(&b, a, text.len);
	while (slice_next(&text, '\r', &piece))
		strbuf_add(&b, piece);
	return strbuf_slice(&b).p;
}

/* "550 5.7.26 text" */
static void
apply_reply(struct arena *a, const struct mta *mta, const char *reply)
{
	struct slice rest = slice_str(reply), code, enhanced;

	if (!slice_next(&rest, ' ', &code) || !slice_next(&rest, ' ', &enhanced))
		bug("apply: reply without codes: %s", reply);
	/* A refusal leaves the MTA's own words: the answer itself stands. */
	(void)mta->calls->reply(
	    mta->ctx, arena_str(a, code), arena_str(a, enhanced), arena_str(a, rest));
}

/* RFC 8601 4: our field goes above the MTA's own Received; index 0 (PITFALLS 40). */
static int
apply_edits(struct arena *a, const struct mta *mta, const struct conf *conf,
    const struct edits *edits, const struct disposition *d, struct slice authres)
{
	if (edits_remove(edits, mta) != 0)
		return -1;
	/* RFC 5322 2.1.1: a line has at most 998 bytes, and a domain owner's exp= may be in it. */
	if (d->action == ACTION_QUARANTINE && conf->quarantine == CONF_QUARANTINE_HEADER &&
	    mta->calls->insert_header(mta->ctx, 0, conf->quarantine_header,
		arena_str(a, slice_sub(slice_str(d->explanation), 0, LIMIT_AUTHRES_VALUE_BYTES))) !=
		0)
		return -1;
	if (!slice_is_empty(authres) &&
	    mta->calls->insert_header(
		mta->ctx, 0, "Authentication-Results", apply_lines(a, authres)) != 0)
		return -1;
	if (d->action == ACTION_QUARANTINE && conf->quarantine == CONF_QUARANTINE_HOLD)
		return mta->calls->quarantine(mta->ctx, d->explanation);
	return 0;
}

static enum answer
apply_delivery(struct arena *a, const struct mta *mta, const struct conf *conf,
    const struct edits *edits, const struct disposition *d, const struct outgoing *outgoing,
    const struct sealing *sealing, struct slice authres, bool *refused_r)
{
	if (apply_edits(a, mta, conf, edits, d, authres) == 0 &&
	    (outgoing == NULL || outgoing_insert(outgoing, mta) == 0) &&
	    (sealing == NULL || sealing_insert(sealing, mta) == 0))
		return ANSWER_CONTINUE;
	*refused_r = true;
	apply_reply(a, mta, "451 4.3.0 Local trouble: the mail system refused to edit the message");
	return ANSWER_TEMPFAIL;
}

enum answer
apply_disposition(struct arena *a, const struct mta *mta, const struct conf *conf,
    const struct edits *edits, const struct disposition *d, const struct outgoing *outgoing,
    const struct sealing *sealing, struct slice authres, bool *refused_r)
{
	*refused_r = false;
	switch (d->action) {
	case ACTION_ACCEPT:
	case ACTION_QUARANTINE:
		return apply_delivery(
		    a, mta, conf, edits, d, outgoing, sealing, authres, refused_r);
	case ACTION_REJECT:
		apply_reply(a, mta, d->reply);
		return ANSWER_REJECT;
	case ACTION_TEMPFAIL:
		apply_reply(a, mta, d->reply);
		return ANSWER_TEMPFAIL;
	case ACTION_DISCARD:
		return ANSWER_DISCARD;
	}
	bug("apply: action %d", (int)d->action);
}
