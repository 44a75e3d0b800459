/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/arc/seal.h"

#include "policy/arc/internal.h"
#include "policy/base/strbuf.h"

#define RESULTS_FIELD "ARC-Authentication-Results"
#define MESSAGE_FIELD "ARC-Message-Signature"
#define SEAL_FIELD    "ARC-Seal"

struct arc_sealer {
	struct arena *arena;
	struct arc_seal_job job;
	const struct header_list *header;
	const char *left_alone; /* why nothing is added; NULL: it is */
	const char *fault;	/* why it can't be signed; NULL: it can */
	struct arc_chain chain;
	bool chain_broken;   /* it can't be put in order, and fails */
	uint32_t instance;   /* of the new set */
	struct slice *names; /* h= */
	size_t name_count;
	const size_t *selected;
	struct sig_bodies *bodies;
	size_t body; /* number in bodies */
	struct digest *digest;
};

/* ---- what is signed ---- */

/*
 * RFC 8617 4.1.2: those of ARC and Authentication-Results MUST NOT be; the next host writes trace
 * fields.
 */
static bool
may_sign(struct slice name)
{
	return !slice_starts_nocase(name, SLICE("ARC-")) &&
	    !slice_equal_nocase(name, SLICE("Authentication-Results")) &&
	    !slice_equal_nocase(name, SLICE("Received")) &&
	    !slice_equal_nocase(name, SLICE("Return-Path"));
}

static size_t
copy_names(struct slice *to, const struct slice *names, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		if (may_sign(names[i]))
			to[n++] = names[i];
	return n;
}

static struct sig_field_choice
allowed(struct arena *a, const struct sig_field_choice *wanted)
{
	struct slice *sign = arena_array(a, wanted->sign_count + 2, sizeof(*sign));
	struct slice *oversign = arena_array(a, wanted->oversign_count, sizeof(*oversign));
	struct sig_field_choice choice = { .oversign = oversign, .sign = sign };

	choice.oversign_count = copy_names(oversign, wanted->oversign, wanted->oversign_count);
	choice.sign_count = copy_names(sign, wanted->sign, wanted->sign_count);
	sign[choice.sign_count++] = SLICE("From");
	sign[choice.sign_count++] = SLICE("DKIM-Signature"); /* RFC 8617 4.1.2: SHOULD */
	return choice;
}

/* RFC 8617 5.1 steps 2 and 3; RFC 8617 5.1.3: a chain that is broken is not begun anew. */
static void
find_place(struct arc_sealer *s)
{
	uint32_t highest;

	if (arc_newest_instance(s->header, &highest) == ARC_FAIL)
		s->left_alone = "the chain is marked as failed already";
	else if (highest >= LIMIT_ARC_SETS)
		s->left_alone = "the chain has as many sets as it may have";
	s->instance = highest + 1;
}

struct arc_sealer *
arc_sealer_new(struct arena *a, const struct arc_seal_job *job, const struct header_list *header)
{
	struct arc_sealer *s = arena_alloc(a, sizeof(*s));
	struct sig_field_choice fields = allowed(a, &job->fields);
	const char *why;

	s->arena = a;
	s->job = *job;
	s->header = header;
	find_place(s);
	if (s->left_alone != NULL)
		return s;
	/* A chain has as many sets as its fields claim, or it is none: what follows goes by that.
	 */
	s->chain_broken = arc_chain_read(a, header, &s->chain, &why) != 0 ||
	    s->chain.count + 1 != s->instance;
	s->bodies = sig_bodies_new(a, job->crypto);
	s->body = sig_bodies_add(s->bodies, SIG_RELAXED, SIG_BODY_ALL);
	if (header_count(header, "From") == 0)
		s->fault = "there is no From to be signed";
	else if (sig_choose_fields(a, &fields, header, &s->names, &s->name_count, &s->fault) == 0)
		s->selected = sig_fields_select(
		    sig_fields_new(a, header), s->names, s->name_count, SIG_NO_FIELD);
	return s;
}

const char *
arc_sealer_left_alone(const struct arc_sealer *s)
{
	return s->left_alone;
}

bool
arc_sealer_continues(const struct arc_sealer *s)
{
	return s->instance > 1 && s->left_alone == NULL && !s->chain_broken &&
	    slice_equal_nocase(s->chain.sets[s->instance - 2].seal->tags.domain, s->job.key.domain);
}

void
arc_sealer_body(struct arc_sealer *s, struct slice chunk)
{
	if (s->bodies != NULL)
		(void)sig_bodies_update(s->bodies, chunk);
}

/* ---- the three fields ---- */

static void
write_signer(const struct arc_sealer *s, struct sig_writer *w)
{
	sig_write_tag(w, "d", s->job.key.domain);
	sig_write_tag(w, "s", s->job.key.selector);
	sig_write_number(w, "t", (uint64_t)s->job.now_s);
}

static int
write_message(struct arc_sealer *s, struct arc_sealed *out, const char **error_r)
{
	struct sig_header hasher;
	struct sig_writer w;

	sig_write_begin(&w, s->arena, MESSAGE_FIELD);
	sig_write_number(&w, "i", s->instance);
	sig_write_tag(&w, "a", slice_str(sig_algorithm_word(s->job.key.type)));
	sig_write_tag(&w, "c", SLICE("relaxed/relaxed"));
	write_signer(s, &w);
	sig_write_names(&w, "h", s->names, s->name_count);
	sig_write_base64(
	    &w, "bh", slice_of((const char *)sig_bodies_digest(s->bodies, s->body), SHA256_BYTES));
	sig_header_init(&hasher, s->arena, s->digest, SIG_RELAXED);
	sig_header_add_selected(&hasher, s->header, s->selected, s->name_count);
	return sig_write_sign(
	    &w, &hasher, s->job.holder, s->job.key.number, &out->message, error_r);
}

/* RFC 8617 5.1.1; of a failed chain the new set alone (5.1.2) */
static void
add_sealed(struct arc_sealer *s, struct sig_header *hasher, const struct arc_sealed *set)
{
	const struct header_field results = { SLICE(RESULTS_FIELD), set->results };
	const struct header_field message = { SLICE(MESSAGE_FIELD), set->message };

	for (uint32_t i = 1; set->cv == ARC_PASS && i < s->instance; i++) {
		const struct arc_set *older = &s->chain.sets[i - 1];

		sig_header_add(hasher, &s->header->fields[older->results]);
		sig_header_add(hasher, &s->header->fields[older->message->field]);
		sig_header_add(hasher, &s->header->fields[older->seal->field]);
	}
	sig_header_add(hasher, &results);
	sig_header_add(hasher, &message);
}

static int
write_seal(struct arc_sealer *s, struct arc_sealed *out, const char **error_r)
{
	struct sig_header hasher;
	struct sig_writer w;

	sig_write_begin(&w, s->arena, SEAL_FIELD);
	sig_write_number(&w, "i", s->instance);
	sig_write_tag(&w, "a", slice_str(sig_algorithm_word(s->job.key.type)));
	sig_write_tag(&w, "cv", slice_str(arc_result_word(out->cv)));
	write_signer(s, &w);
	sig_header_init(&hasher, s->arena, s->digest, SIG_RELAXED);
	add_sealed(s, &hasher, out);
	return sig_write_sign(&w, &hasher, s->job.holder, s->job.key.number, &out->seal, error_r);
}

static enum arc_result
status(const struct arc_sealer *s, enum arc_result found)
{
	if (s->instance == 1)
		return ARC_NONE;
	return s->chain_broken || found != ARC_PASS ? ARC_FAIL : ARC_PASS;
}

int
arc_sealer_finish(struct arc_sealer *s, enum arc_result found, struct slice results,
    struct arc_sealed *out, const char **error_r)
{
	struct strbuf b;

	*error_r = s->left_alone != NULL ? s->left_alone : s->fault;
	if (*error_r != NULL)
		return -1;
	*out = (struct arc_sealed){ .instance = s->instance, .cv = status(s, found) };
	strbuf_init(&b, s->arena, LIMIT_HEADER_BYTES);
	strbuf_printf(&b, " i=%u; ", s->instance);
	strbuf_add(&b, results);
	out->results = strbuf_slice(&b);
	sig_bodies_end(s->bodies);
	s->digest = digest_new(s->job.crypto);
	if (write_message(s, out, error_r) != 0)
		return -1;
	return write_seal(s, out, error_r);
}

void
arc_sealer_fini(struct arc_sealer **s)
{
	if (*s == NULL)
		return;
	sig_bodies_fini(&(*s)->bodies);
	digest_free(&(*s)->digest);
	*s = NULL;
}
