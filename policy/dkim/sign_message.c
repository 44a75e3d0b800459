/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/limits.h"
#include "policy/dkim/sign.h"
#include "policy/syntax/message.h"

struct dkim_message_signer {
	struct arena *arena;
	struct dkim_sign_job job;
	struct header_list header;
	struct dkim_signer *signer; /* from the end of the header on */
	struct message_handler handler;
	struct message_reader reader;
};

static void
on_field(void *ctx, struct slice name, struct slice value)
{
	struct dkim_message_signer *s = ctx;

	header_list_add(&s->header, s->arena, name, value);
}

static void
on_end_of_header(void *ctx)
{
	struct dkim_message_signer *s = ctx;

	s->signer = dkim_signer_new(s->arena, &s->job, &s->header);
}

static void
on_body(void *ctx, struct slice chunk)
{
	dkim_signer_body(((struct dkim_message_signer *)ctx)->signer, chunk);
}

struct dkim_message_signer *
dkim_message_signer_new(struct arena *a, const struct dkim_sign_job *job)
{
	struct dkim_message_signer *s = arena_alloc(a, sizeof(*s));

	s->arena = a;
	s->job = *job;
	s->handler = (struct message_handler){ on_field, on_end_of_header, on_body, s };
	message_reader_init(&s->reader, a, &s->handler);
	return s;
}

int
dkim_message_signer_feed(struct dkim_message_signer *s, struct slice bytes, const char **error_r)
{
	if (message_reader_feed(&s->reader, bytes) == 0)
		return 0;
	*error_r = s->reader.error;
	return -1;
}

/* "DKIM-Signature:" value CRLF for each, with the message's own line ends. */
static struct slice
write_fields(struct dkim_message_signer *s, const struct slice *values)
{
	bool lf_alone = s->reader.lines == MESSAGE_LINES_LF;
	struct strbuf b;

	strbuf_init(&b, s->arena, s->job.key_count * LIMIT_HEADER_BYTES);
	for (size_t i = 0; i < s->job.key_count; i++) {
		strbuf_str(&b, "DKIM-Signature:");
		for (size_t at = 0; at < values[i].len; at++)
			if (!lf_alone || values[i].p[at] != '\r')
				strbuf_char(&b, values[i].p[at]);
		strbuf_str(&b, lf_alone ? "\n" : "\r\n");
	}
	return strbuf_slice(&b);
}

int
dkim_message_signer_finish(
    struct dkim_message_signer *s, struct slice *fields_r, const char **error_r)
{
	struct slice *values = arena_array(s->arena, s->job.key_count, sizeof(*values));

	if (message_reader_end(&s->reader) != 0) {
		*error_r = s->reader.error;
		return -1;
	}
	if (dkim_signer_finish(s->signer, values, error_r) != 0)
		return -1;
	*fields_r = write_fields(s, values);
	return 0;
}

void
dkim_message_signer_fini(struct dkim_message_signer **s)
{
	if (*s == NULL)
		return;
	dkim_signer_fini(&(*s)->signer);
	*s = NULL;
}

int
dkim_sign_message(struct arena *a, const struct dkim_sign_job *job, struct slice message,
    struct slice *fields_r, const char **error_r)
{
	struct dkim_message_signer *s = dkim_message_signer_new(a, job);
	int rc = dkim_message_signer_feed(s, message, error_r);

	if (rc == 0)
		rc = dkim_message_signer_finish(s, fields_r, error_r);
	dkim_message_signer_fini(&s);
	return rc;
}
