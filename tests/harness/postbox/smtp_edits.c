/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         smtp_edits - what a filter asks to be changed, done to the message
 * DESCRIPTION  As Postfix does it (cleanup_milter.c): fields are numbered from 1 among those of
 *              their name that came with the message, our own Received not being one; changing a
 *              field that is not there adds it; an insertion at 0 stands above our own Received, at
 *              1 below it. The transcripts smtp/filter_* hold both against each other.
 */
#include <string.h>

#include "policy/base/strbuf.h"
#include "tests/harness/milter_client.h"
#include "tests/harness/postbox/log.h"
#include "tests/harness/postbox/smtp.h"

/* ---- header ---- */

static void
insert_field(struct smtp_message *m, struct arena *a, size_t at, const struct milter_edit *e)
{
	struct header_list *list = &m->header;
	struct header_field field;
	/* Behind the colon as it came, or with the blank that an MTA puts there. */
	const char *blank = ascii_is_wsp(e->value[0]) ? "" : " ";

	header_list_add(
	    list, a, slice_str(e->name), slice_str(arena_printf(a, "%s%s", blank, e->value)));
	if (at >= list->count)
		return;
	field = list->fields[list->count - 1];
	memmove(&list->fields[at + 1], &list->fields[at],
	    (list->count - 1 - at) * sizeof(list->fields[0]));
	list->fields[at] = field;
}

static void
remove_field(struct smtp_message *m, size_t at)
{
	struct header_list *list = &m->header;

	memmove(&list->fields[at], &list->fields[at + 1],
	    (list->count - 1 - at) * sizeof(list->fields[0]));
	list->count--;
}

/* own Received: the field the filter was not shown, and may not count. */
static void
change_field(struct smtp_message *m, struct arena *a, const char *own, const struct milter_edit *e)
{
	uint32_t left = e->index == 0 ? 1 : e->index;

	for (size_t i = 0; i < m->header.count; i++) {
		const struct header_field *f = &m->header.fields[i];

		if (f->value.p == own || !slice_equal_nocase(f->name, slice_str(e->name)) ||
		    --left > 0)
			continue;
		remove_field(m, i);
		if (e->value[0] != '\0')
			insert_field(m, a, i, e);
		return;
	}
	if (e->value[0] != '\0')
		insert_field(m, a, m->header.count, e);
}

/* ---- envelope ---- */

static void
add_recipient(struct smtp_session *s, const struct milter_edit *e)
{
	struct smtp_recipient r = { 0 };

	/* The filter is no way around what RCPT would have said. */
	if (s->recipient_count == POSTBOX_RECIPIENTS ||
	    smtp_read_path(s->mail, slice_of(e->value, e->value_len), &r.to) != NULL ||
	    smtp_find_recipient(s, &r) != NULL) {
		log_line(s->c, "%s: milter: recipient %s is not to be had", s->queue_id,
		    arena_printable(s->mail, slice_of(e->value, e->value_len), 200));
		return;
	}
	s->recipients[s->recipient_count++] = r;
}

static void
delete_recipient(struct smtp_session *s, const struct milter_edit *e)
{
	struct smtp_address gone = { 0 };
	size_t kept = 0;

	if (smtp_read_path(s->mail, slice_of(e->value, e->value_len), &gone) != NULL)
		return;
	for (size_t i = 0; i < s->recipient_count; i++)
		if (!slice_equal_nocase(s->recipients[i].to.address, gone.address))
			s->recipients[kept++] = s->recipients[i];
	s->recipient_count = kept;
}

static void
change_sender(struct smtp_session *s, const struct milter_edit *e)
{
	struct smtp_address sender = { 0 };

	if (smtp_read_path(s->mail, slice_of(e->value, e->value_len), &sender) == NULL)
		s->sender = sender;
}

/* ---- all of them ---- */

static void
quarantine(struct smtp_session *s, struct smtp_message *m, const struct milter_edit *e)
{
	m->quarantine = arena_printf(s->mail, "%s", e->value);
	log_line(s->c, "%s: milter: quarantine: %s", s->queue_id,
	    arena_printable(s->mail, slice_str(e->value), 200));
}

/* The pieces together; they live as long as the filter's client. */
static void
replace_body(struct smtp_message *m, struct arena *a, const struct milter_client *client)
{
	struct strbuf b;

	strbuf_init(&b, a, MILTER_EDIT_BYTES_MAX);
	for (size_t i = 0; i < client->edit_count; i++)
		if (client->edits[i].kind == MILTER_EDIT_BODY)
			strbuf_add(
			    &b, slice_of(client->edits[i].value, client->edits[i].value_len));
	m->body = strbuf_slice(&b);
}

void
smtp_apply_edits(struct smtp_session *s, struct smtp_message *m, const struct milter_client *client)
{
	const char *own = m->header.fields[0].value.p;
	bool new_body = false;

	for (size_t i = 0; i < client->edit_count; i++) {
		const struct milter_edit *e = &client->edits[i];

		switch (e->kind) {
		case MILTER_EDIT_ADD:
			insert_field(m, s->mail, m->header.count, e);
			break;
		case MILTER_EDIT_INSERT:
			insert_field(m, s->mail, e->index, e);
			break;
		case MILTER_EDIT_CHANGE:
			change_field(m, s->mail, own, e);
			break;
		case MILTER_EDIT_QUARANTINE:
			quarantine(s, m, e);
			break;
		case MILTER_EDIT_ADD_RCPT:
			add_recipient(s, e);
			break;
		case MILTER_EDIT_DELETE_RCPT:
			delete_recipient(s, e);
			break;
		case MILTER_EDIT_SENDER:
			change_sender(s, e);
			break;
		case MILTER_EDIT_BODY:
			new_body = true;
			break;
		}
	}
	if (new_body)
		replace_body(m, s->mail, client);
}
