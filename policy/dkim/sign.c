/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/dkim/sign.h"

#define FIELD_NAME  "DKIM-Signature"
#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

struct dkim_signer {
	struct arena *arena;
	struct dkim_sign_job job;
	const struct header_list *header;
	struct sig_bodies *bodies;
	struct digest *digest;	  /* of one header after the other */
	struct sig_header hasher; /* around it; keeps its room */
	size_t body;		  /* number in bodies */
	struct slice *names;	  /* h= */
	size_t name_count;
	const size_t *selected;
	const char *fault; /* why it can't be signed; NULL: it can */
};

/* RFC 6376 5.4.1, and what mail programs show or act upon: one more of these deceives a reader. */
static const struct slice oversigned[] = {
	{ "From", 4 },
	{ "Subject", 7 },
	{ "To", 2 },
	{ "Date", 4 },
	{ "Cc", 2 },
	{ "Reply-To", 8 },
	{ "Sender", 6 },
	{ "Message-ID", 10 },
	{ "In-Reply-To", 11 },
	{ "References", 10 },
	{ "MIME-Version", 12 },
	{ "Content-Type", 12 },
	{ "Content-Transfer-Encoding", 25 },
};

/* Signed where they are. Not oversigned: lists and resenders add them as they should (RFC 6377 4.1,
 * 5.5). */
static const struct slice plainly_signed[] = {
	{ "Content-Disposition", 19 },
	{ "Content-ID", 10 },
	{ "Content-Description", 19 },
	{ "Content-Language", 16 },
	{ "Autocrypt", 9 },
	{ "Resent-Date", 11 },
	{ "Resent-From", 11 },
	{ "Resent-Sender", 13 },
	{ "Resent-To", 9 },
	{ "Resent-Cc", 9 },
	{ "Resent-Message-ID", 17 },
	{ "List-Id", 7 },
	{ "List-Help", 9 },
	{ "List-Unsubscribe", 16 },
	{ "List-Unsubscribe-Post", 21 }, /* RFC 8058 4: must be signed */
	{ "List-Subscribe", 14 },
	{ "List-Post", 9 },
	{ "List-Owner", 10 },
	{ "List-Archive", 12 },
};

const struct dkim_sign_options dkim_sign_default = {
	.header_canon = SIG_RELAXED,
	.body_canon = SIG_RELAXED,
	.fields = {
		.oversign = oversigned,
		.oversign_count = COUNT(oversigned),
		.sign = plainly_signed,
		.sign_count = COUNT(plainly_signed),
	},
	.timestamp = true,
};

/* RFC 6376 5.4: "The From header field MUST be signed" */
static struct sig_field_choice
with_from(struct arena *a, const struct sig_field_choice *choice)
{
	struct slice *sign = arena_array(a, choice->sign_count + 1, sizeof(*sign));
	struct sig_field_choice with = *choice;

	sign[0] = SLICE("From");
	for (size_t i = 0; i < choice->sign_count; i++)
		sign[i + 1] = choice->sign[i];
	with.sign = sign;
	with.sign_count++;
	return with;
}

struct dkim_signer *
dkim_signer_new(struct arena *a, const struct dkim_sign_job *job, const struct header_list *header)
{
	struct dkim_signer *s = arena_alloc(a, sizeof(*s));
	struct sig_field_choice fields = with_from(a, &job->options->fields);

	*s = (struct dkim_signer){ .arena = a, .job = *job, .header = header };
	s->bodies = sig_bodies_new(a, job->crypto);
	s->body = sig_bodies_add(s->bodies, job->options->body_canon, SIG_BODY_ALL);
	if (header_count(header, "From") == 0)
		s->fault = "there is no From to be signed";
	else if (sig_choose_fields(a, &fields, header, &s->names, &s->name_count, &s->fault) == 0)
		s->selected = sig_fields_select(
		    sig_fields_new(a, header), s->names, s->name_count, SIG_NO_FIELD);
	return s;
}

void
dkim_signer_body(struct dkim_signer *s, struct slice chunk)
{
	(void)sig_bodies_update(s->bodies, chunk);
}

void
dkim_signer_use(struct dkim_signer *s, const struct sig_signing_key *keys, size_t key_count)
{
	s->job.keys = keys;
	s->job.key_count = key_count;
}

/* RFC 6376 3.5: all tags but b= */
static void
write_tags(struct dkim_signer *s, struct sig_writer *w, const struct sig_signing_key *key)
{
	const struct dkim_sign_options *o = s->job.options;
	const char *canon = arena_printf(
	    s->arena, "%s/%s", sig_canon_word(o->header_canon), sig_canon_word(o->body_canon));

	sig_write_tag(w, "v", SLICE("1"));
	sig_write_tag(w, "a", slice_str(sig_algorithm_word(key->type)));
	sig_write_tag(w, "c", slice_str(canon));
	sig_write_tag(w, "d", key->domain);
	sig_write_tag(w, "s", key->selector);
	if (o->identity.len > 0)
		sig_write_tag(w, "i", o->identity);
	if (o->timestamp || o->expire_s > 0)
		sig_write_number(w, "t", (uint64_t)s->job.now_s);
	if (o->expire_s > 0)
		sig_write_number(w, "x", (uint64_t)s->job.now_s + o->expire_s);
	sig_write_names(w, "h", s->names, s->name_count);
	sig_write_base64(
	    w, "bh", slice_of((const char *)sig_bodies_digest(s->bodies, s->body), SHA256_BYTES));
}

/* RFC 6376 5.5: the header anew for each key, since it ends with that key's own field */
static int
sign_one(struct dkim_signer *s, const struct sig_signing_key *key, struct slice *value_r,
    const char **error_r)
{
	struct sig_writer w;

	sig_write_begin(&w, s->arena, FIELD_NAME);
	write_tags(s, &w, key);
	sig_header_add_selected(&s->hasher, s->header, s->selected, s->name_count);
	return sig_write_sign(&w, &s->hasher, s->job.holder, key->number, value_r, error_r);
}

int
dkim_signer_finish(struct dkim_signer *s, struct slice *values, const char **error_r)
{
	if (s->fault != NULL) {
		*error_r = s->fault;
		return -1;
	}
	sig_bodies_end(s->bodies);
	s->digest = digest_new(s->job.crypto);
	sig_header_init(&s->hasher, s->arena, s->digest, s->job.options->header_canon);
	for (size_t i = 0; i < s->job.key_count; i++)
		if (sign_one(s, &s->job.keys[i], &values[i], error_r) != 0)
			return -1;
	return 0;
}

void
dkim_signer_fini(struct dkim_signer **s)
{
	if (*s == NULL)
		return;
	sig_bodies_fini(&(*s)->bodies);
	digest_free(&(*s)->digest);
	*s = NULL;
}
