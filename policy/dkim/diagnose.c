/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lists and gateways do to a signed message, undone one by one and together: first what was
 * done to the body, for the body hash says by itself whether that was it, then to the header, where
 * each guess costs an operation with the public key.
 */
#include <string.h>

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/dkim/internal.h"

#define TEXT_BYTES   300
#define TAG_BYTES    80 /* of "[tag] " that is looked for in a Subject */
#define REPLY_MARKS  4	/* "Re: Fwd: " before it */
#define FIELDS_SHOWN 4
#define VARIANTS     4 /* of Content-Type and Content-Transfer-Encoding */

enum undo { UNTAG, DROP, UNFOLD, UNDOS }; /* what can be done to the header */

struct variant { /* fields that went with the body */
	bool given;
	struct slice type, encoding; /* values; p == NULL: the field was not there */
};

struct attempt {
	struct dkim_verifier *verifier;
	struct dkim_signature *signature;
	const size_t *selected;	   /* of the message as it is */
	struct header_list header; /* one of our own, to be changed */
	size_t *taken;		   /* selected, to be changed */
	struct slice tag;	   /* in the Subject; empty: none */
	struct slice untagged;	   /* the Subject without it */
	struct variant variants[VARIANTS];
	size_t variant_count;
	size_t tries;
	struct dkim_diagnosis *out;
};

static bool
has(const struct dkim_diagnosis *d, enum dkim_change change)
{
	return (d->changes & 1u << change) != 0;
}

static void
mark(struct dkim_diagnosis *d, enum dkim_change change)
{
	d->changes |= 1u << change;
}

/* ---- the body ---- */

static bool
search_tail(
    const struct attempt *at, struct sig_bodies *bodies, size_t number, struct dkim_diagnosis *out)
{
	struct sig_cut cut;

	if (!sig_bodies_search(
		bodies, number, (const uint8_t *)at->signature->tags.body_hash.p, &cut))
		return false;
	mark(out, cut.is_part ? DKIM_CHANGE_PART : DKIM_CHANGE_FOOTER);
	out->bytes = cut.bytes;
	return true;
}

static bool
search_reading(const struct attempt *at, enum dkim_reading_kind kind)
{
	struct dkim_reading *r = at->verifier->readings[kind];
	size_t number = at->signature->readings[kind];
	struct sig_bodies *bodies;

	if (r == NULL || !dkim_reading_end(r))
		return false;
	bodies = dkim_reading_bodies(r);
	return memcmp(sig_bodies_digest(bodies, number), at->signature->tags.body_hash.p,
		   SHA256_BYTES) == 0 ||
	    search_tail(at, bodies, number, at->out);
}

/* Of the first part's header, as of a message's. */
static struct slice
part_field(const struct attempt *at, const char *name)
{
	struct slice rest = dkim_reading_part_header(at->verifier->readings[DKIM_READ_INNER]);
	struct header_list fields = { 0 };
	struct slice line, field = { NULL, 0 };
	const struct header_field *found;

	while (slice_next(&rest, '\n', &line)) {
		size_t colon;

		field = field.len == 0 ? line
				       : slice_of(field.p, (size_t)(line.p + line.len - field.p));
		if (rest.len > 0 && ascii_is_wsp(rest.p[0]))
			continue;
		colon = slice_find(field, ':');
		if (colon != SLICE_NONE && fields.count < LIMIT_HEADER_FIELDS)
			header_list_add(&fields, at->verifier->arena, slice_sub(field, 0, colon),
			    slice_sub(field, colon + 1, field.len - colon - 2));
		field = slice_of(NULL, 0);
	}
	found = header_find(&fields, name, 0);
	return found == NULL ? slice_of(NULL, 0) : found->value;
}

static void
add_variant(struct attempt *at, struct slice type, struct slice encoding)
{
	at->variants[at->variant_count++] = (struct variant){ true, type, encoding };
}

static struct slice
value_of(const struct attempt *at, const char *name)
{
	const struct header_field *f = header_find(at->verifier->header, name, 0);

	return f == NULL ? slice_of(NULL, 0) : f->value;
}

/* Is the body what was signed, once something is undone? It was not, as it is. */
static bool
find_body(struct attempt *at)
{
	struct dkim_verifier *v = at->verifier;

	if (search_tail(at, v->bodies, at->signature->body, at->out))
		return true;
	if (search_reading(at, DKIM_READ_DECODED)) {
		struct slice type = value_of(at, "Content-Type");

		mark(at->out, DKIM_CHANGE_ENCODING);
		at->variant_count = 0;
		add_variant(at, type, SLICE(" 8bit"));
		add_variant(at, type, SLICE(" 7bit"));
		add_variant(at, type, slice_of(NULL, 0));
		return true;
	}
	if (search_reading(at, DKIM_READ_INNER)) {
		/* What stands behind the part belongs to the wrapping, not to a footer. */
		at->out->changes = 1u << DKIM_CHANGE_WRAPPED;
		at->variant_count = 0;
		add_variant(at, part_field(at, "Content-Type"),
		    part_field(at, "Content-Transfer-Encoding"));
		return true;
	}
	return false;
}

/* ---- the header ---- */

/* "Re:", "Fwd:", "AW:" at the start: how long, with the blanks behind; 0: none. */
static size_t
reply_mark(struct slice s)
{
	size_t n = 0;

	while (n < s.len && n < 3 && ascii_is_alpha(s.p[n]))
		n++;
	if (n < 2 || n == s.len || s.p[n++] != ':')
		return 0;
	while (n < s.len && ascii_is_space(s.p[n]))
		n++;
	return n;
}

/* The first "[tag] " of the Subject, at its start or behind a few reply marks. */
static void
find_tag(struct attempt *at, struct slice subject)
{
	size_t start = 0, end, mark_len;
	struct strbuf b;

	while (start < subject.len && ascii_is_space(subject.p[start]))
		start++;
	for (size_t i = 0; i < REPLY_MARKS; i++) {
		mark_len = reply_mark(slice_from(subject, start));
		start += mark_len;
	}
	if (start == subject.len || subject.p[start] != '[')
		return;
	end = slice_find(slice_sub(subject, start, TAG_BYTES), ']');
	if (end == SLICE_NONE)
		return;
	end += start + 1;
	while (end < subject.len && ascii_is_space(subject.p[end]))
		end++;
	at->tag = slice_sub(subject, start, end - start);
	strbuf_init(&b, at->verifier->arena, subject.len);
	strbuf_add(&b, slice_sub(subject, 0, start));
	strbuf_add(&b, slice_from(subject, end));
	at->untagged = strbuf_slice(&b);
}

/* Fields that lists write, and that authors' signatures may name to keep them out. */
static bool
lists_add(struct slice name)
{
	static const char *const names[] = { "Reply-To", "Sender", "Precedence", "Errors-To",
		"Mailing-List" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_equal_nocase(name, slice_str(names[i])))
			return true;
	return slice_starts_nocase(name, SLICE("List-"));
}

static bool
is_folded(struct slice value)
{
	return slice_find(value, '\n') != SLICE_NONE;
}

/*
 * simple hashes folds: as if there had been none. relaxed doesn't mind them, unless a line that was
 * too long was cut within a word (Postfix, at 998): then fold and blank go. Made anew for each
 * attempt, within what a message may have of memory; beyond, the fold stays.
 */
static struct slice
unfolded(struct attempt *at, struct slice value)
{
	bool relaxed = at->signature->tags.header_canon == SIG_RELAXED, after_fold = false;
	struct arena *a = at->verifier->arena;
	size_t len = 0;
	char *p;

	if (!arena_has_room(a, value.len))
		return value;
	p = arena_bytes(a, value.len);
	for (size_t i = 0; i < value.len; i++) {
		char c = value.p[i];

		if (c == '\r' || c == '\n') {
			after_fold = true;
		} else if (after_fold && ascii_is_wsp(c)) {
			if (!relaxed && len > 0 && !ascii_is_wsp(p[len - 1]))
				p[len++] = ' ';
		} else {
			p[len++] = c;
			after_fold = false;
		}
	}
	return slice_of(p, len);
}

static const struct header_field *
field_at(const struct attempt *at, size_t i)
{
	return at->selected[i] == SIG_NO_FIELD ? NULL
					       : &at->verifier->header->fields[at->selected[i]];
}

static bool
can_undo(const struct attempt *at, enum undo undo)
{
	const struct sig_tags *tags = &at->signature->tags;

	for (size_t i = 0; i < tags->name_count; i++) {
		const struct header_field *f = field_at(at, i);

		if (f == NULL)
			continue;
		if ((undo == UNTAG && at->tag.len > 0 &&
			slice_equal_nocase(tags->names[i], SLICE("Subject"))) ||
		    (undo == DROP && lists_add(tags->names[i])) ||
		    (undo == UNFOLD && is_folded(f->value)))
			return true;
	}
	return false;
}

/* Put the header in the state it may have had. */
static void
undo(struct attempt *at, unsigned undos, const struct variant *variant)
{
	const struct header_list *now = at->verifier->header;
	const struct sig_tags *tags = &at->signature->tags;

	memcpy(at->header.fields, now->fields, now->count * sizeof(*now->fields));
	for (size_t i = 0; i < tags->name_count; i++) {
		struct slice name = tags->names[i];
		const struct header_field *f = field_at(at, i);
		struct slice value = f == NULL ? slice_of(NULL, 0) : f->value;

		at->taken[i] = at->selected[i];
		if (f == NULL)
			continue;
		if ((undos & 1u << UNTAG) != 0 && slice_equal_nocase(name, SLICE("Subject")))
			value = at->untagged;
		if ((undos & 1u << DROP) != 0 && lists_add(name))
			value = slice_of(NULL, 0);
		if (variant->given && slice_equal_nocase(name, SLICE("Content-Type")))
			value = variant->type;
		if (variant->given && slice_equal_nocase(name, SLICE("Content-Transfer-Encoding")))
			value = variant->encoding;
		if ((undos & 1u << UNFOLD) != 0 && is_folded(value))
			value = unfolded(at, value);
		at->header.fields[at->selected[i]].value = value;
		if (value.p == NULL)
			at->taken[i] = SIG_NO_FIELD;
	}
}

static bool
verifies(struct attempt *at, unsigned undos, const struct variant *variant)
{
	struct sig_finding finding;

	if (at->tries++ >= LIMIT_DIAGNOSIS_TRIES)
		return false;
	undo(at, undos, variant);
	dkim_check_fields(at->verifier, at->signature, &at->header, at->taken, &finding);
	return finding.reason == SIG_VERIFIED;
}

static bool
find_header(struct attempt *at)
{
	static const enum dkim_change changes[UNDOS] = { DKIM_CHANGE_SUBJECT, DKIM_CHANGE_FIELDS,
		DKIM_CHANGE_FOLDING };
	unsigned possible = 0;

	for (int i = 0; i < UNDOS; i++)
		possible |= can_undo(at, (enum undo)i) ? 1u << i : 0;
	for (unsigned undos = 0; undos < 1u << UNDOS; undos++) {
		if ((undos & ~possible) != 0)
			continue;
		for (size_t i = 0; i < at->variant_count; i++) {
			if (!verifies(at, undos, &at->variants[i]))
				continue;
			for (int u = 0; u < UNDOS; u++)
				if ((undos & 1u << u) != 0)
					mark(at->out, changes[u]);
			return true;
		}
	}
	return false;
}

/* ---- in words ---- */

static void
add_names(struct strbuf *b, const struct attempt *at)
{
	const struct sig_tags *tags = &at->signature->tags;
	size_t shown = 0;

	for (size_t i = 0; i < tags->name_count && shown < FIELDS_SHOWN; i++)
		if (field_at(at, i) != NULL && lists_add(tags->names[i]))
			strbuf_printf(b, "%s%s", shown++ == 0 ? "" : ", ",
			    arena_printable(b->arena, tags->names[i], TAG_BYTES));
}

static void
say_body(struct strbuf *b, const struct dkim_diagnosis *d)
{
	const char *and = "";

	if (has(d, DKIM_CHANGE_WRAPPED)) {
		strbuf_str(b, " as the first part of what it was wrapped in");
		and = " and";
	}
	if (has(d, DKIM_CHANGE_ENCODING)) {
		strbuf_str(b, " with its transfer encoding undone");
		and = " and";
	}
	if (has(d, DKIM_CHANGE_FOOTER))
		strbuf_printf(
		    b, "%s without the last %llu bytes", and, (unsigned long long)d->bytes);
	if (has(d, DKIM_CHANGE_PART))
		strbuf_printf(
		    b, "%s without an added part of %llu bytes", and, (unsigned long long)d->bytes);
}

static void
say_header(struct strbuf *b, const struct attempt *at, const char *and)
{
	if (has(at->out, DKIM_CHANGE_SUBJECT)) {
		strbuf_printf(b, "%s without \"%s\" in Subject", and,
		    arena_printable(b->arena, slice_trim(at->tag), TAG_BYTES));
		and = " and";
	}
	if (has(at->out, DKIM_CHANGE_FIELDS)) {
		strbuf_printf(b, "%s without an added ", and);
		add_names(b, at);
		and = " and";
	}
	if (has(at->out, DKIM_CHANGE_FOLDING))
		strbuf_printf(b, "%s with its fields unfolded", and);
}

static struct slice
say(const struct attempt *at, bool body_found, bool header_found)
{
	struct strbuf b;

	strbuf_init(&b, at->verifier->arena, TEXT_BYTES);
	if (body_found && header_found) {
		strbuf_str(&b, "valid");
		say_body(&b, at->out);
		say_header(&b, at, b.len > strlen("valid") ? " and" : "");
	} else if (body_found && at->out->changes != 0) {
		strbuf_str(&b, "its body is as signed");
		say_body(&b, at->out);
		strbuf_str(&b, ", its header is not");
	} else if (header_found) {
		strbuf_str(&b, "its header is as signed");
		say_header(&b, at, "");
		strbuf_str(&b, ", its body is not");
	}
	return strbuf_slice(&b);
}

static void
diagnose(struct dkim_verifier *v, struct dkim_signature *s, struct dkim_signature_verdict *verdict)
{
	struct attempt at = { .verifier = v, .signature = s, .variant_count = 1 };
	const struct header_field *subject = header_find(v->header, "Subject", 0);
	bool body_found = verdict->reason == DKIM_R_SIGNATURE, header_found;

	at.out = &verdict->diagnosis;
	if (!body_found)
		body_found = find_body(&at);
	at.selected = dkim_select_fields(v, s);
	at.taken = arena_array(v->arena, s->tags.name_count, sizeof(*at.taken));
	at.header = *v->header;
	at.header.fields = arena_array(v->arena, v->header->count, sizeof(*at.header.fields));
	if (subject != NULL)
		find_tag(&at, subject->value);
	header_found = find_header(&at);
	at.out->complete = body_found && header_found;
	at.out->text = say(&at, body_found, header_found);
}

void
dkim_verifier_diagnose(struct dkim_verifier *v, struct dkim_verdict *io)
{
	for (size_t i = 0; i < v->count; i++)
		if (v->signatures[i].watched && io->signatures[i].result == DKIM_FAIL)
			diagnose(v, &v->signatures[i], &io->signatures[i]);
}
