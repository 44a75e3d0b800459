/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/failure_redact.h"

#include "policy/syntax/mailbox.h"

#define TEXT_BYTES (LIMIT_HEADER_BYTES * 2)

/* Fields that are about the way and not about the people. */
static const char *const kept_fields[] = { "ARC-Authentication-Results", "Authentication-Results",
	"Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "List-Id",
	"MIME-Version", "Message-ID", "Precedence", "Received", "Received-SPF" };

/* Addresses, whose owners' names stand before them. */
static const char *const address_fields[] = { "Cc", "Delivered-To", "From", "Reply-To",
	"Resent-From", "Return-Path", "Sender", "To", "X-Original-To" };

/* Nothing but tags: words in them are no people. */
static const char *const signature_fields[] = { "ARC-Message-Signature", "ARC-Seal",
	"DKIM-Signature" };

static bool
is_among(struct slice name, const char *const *list, size_t count)
{
	name = header_name_trim(name);
	for (size_t i = 0; i < count; i++)
		if (slice_equal_nocase(name, slice_str(list[i])))
			return true;
	return false;
}

void
redaction_init(struct redaction *r, struct arena *a, const uint8_t key[HASH_KEY_BYTES],
    const struct slice *recipients, size_t count)
{
	struct slice *locals = arena_array(a, count, sizeof(locals[0])), domain;

	*r = (struct redaction){ .arena = a, .key = key, .recipients = locals };
	for (size_t i = 0; i < count; i++) {
		reverse_path_read(a, recipients[i], &locals[r->recipient_count], &domain);
		if (locals[r->recipient_count].len > 0)
			r->recipient_count++;
	}
}

struct slice
redact_local_part(const struct redaction *r, struct slice local_part)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	char word[] = "r-0123456789abc";
	uint64_t hash;

	if (local_part.len > 1 && local_part.p[0] == '"') /* quoted or not: the same person */
		local_part = slice_sub(local_part, 1, local_part.len - 2);
	hash = hash_bytes(r->key, arena_copy_lower(r->arena, local_part));

	for (size_t i = 2; i < sizeof(word) - 1; i++, hash >>= 5)
		word[i] = digits[hash & 31];
	return arena_copy(r->arena, slice_of(word, sizeof(word) - 1));
}

/* ---- text ---- */

/* What a local part is made of, also where it stands in a URI or is folded oddly: anything that
 * does not end a word for sure. */
static bool
is_local_byte(char c)
{
	return (unsigned char)c > ' ' && slice_find(SLICE("<>()[],;:\"@"), c) == SLICE_NONE;
}

/* The recipient whose local part stands at text[at] as a word by itself; 0: none. */
static size_t
recipient_at(const struct redaction *r, struct slice text, size_t at)
{
	if (at > 0 && ascii_is_alnum(text.p[at - 1]))
		return 0;
	for (size_t i = 0; i < r->recipient_count; i++) {
		struct slice local = r->recipients[i];
		size_t end = at + local.len;

		if (slice_equal_nocase(slice_sub(text, at, local.len), local) &&
		    (end >= text.len || !ascii_is_alnum(text.p[end])))
			return local.len;
	}
	return 0;
}

/* A local part with the "@" behind it at text[at], quotes included; 0: none. */
static size_t
local_part_at(struct slice text, size_t at)
{
	size_t end = at;

	if (text.p[at] == '"') {
		for (end++; end < text.len && text.p[end] != '"'; end++)
			if (text.p[end] == '\\')
				end++;
		end++;
	} else {
		while (end < text.len && is_local_byte(text.p[end]))
			end++;
	}
	return end > at && end < text.len && text.p[end] == '@' ? end - at : 0;
}

/* An encoded word (RFC 2047 2) at text[at]: nobody sees at a glance what is in it; 0: none. */
static size_t
encoded_word_at(struct slice text, size_t at)
{
	size_t end = at + 2;

	if (!slice_starts(slice_from(text, at), SLICE("=?")))
		return 0;
	while (end < text.len && !ascii_is_space(text.p[end]))
		end++;
	return end - at;
}

struct slice
redact_text(const struct redaction *r, struct slice text)
{
	struct strbuf b;
	size_t len;

	strbuf_init(&b, r->arena, TEXT_BYTES);
	for (size_t at = 0; at < text.len; at += len) {
		bool starts = at == 0 || !is_local_byte(text.p[at - 1]);

		len = encoded_word_at(text, at);
		if (len > 0) {
			strbuf_str(&b, REDACTED);
			continue;
		}
		len = starts ? local_part_at(text, at) : 0;
		if (len == 0)
			len = recipient_at(r, text, at);
		if (len > 0) {
			strbuf_add(&b, redact_local_part(r, slice_sub(text, at, len)));
		} else {
			strbuf_char(&b, text.p[at]);
			len = 1;
		}
	}
	return strbuf_slice(&b);
}

/* ---- fields ---- */

/* Tags that a verifier needs. z= has whole header fields in it. */
static bool
is_kept_tag(struct slice tag)
{
	static const char *const tags[] = { "v", "a", "b", "bh", "c", "cv", "d", "h", "i", "l", "q",
		"s", "t", "x" };

	return is_among(tag, tags, sizeof(tags) / sizeof(tags[0]));
}

static struct slice
redact_tag(const struct redaction *r, struct slice piece)
{
	size_t equals = slice_find(piece, '='), at = slice_find_last(piece, '@');
	struct slice tag, head;

	if (equals == SLICE_NONE)
		return redact_text(r, piece);
	tag = slice_trim(slice_sub(piece, 0, equals));
	head = slice_sub(piece, 0, equals + 1);
	if (slice_equal_nocase(tag, SLICE("b")) || slice_equal_nocase(tag, SLICE("bh")))
		return piece;
	if (!is_kept_tag(tag))
		piece = SLICE(REDACTED);
	else if (slice_equal_nocase(tag, SLICE("i")) && at != SLICE_NONE)
		piece = redact_text(r, slice_from(piece, at));
	else
		return redact_text(r, piece);
	return slice_str(
	    arena_printf(r->arena, "%s%s", arena_str(r->arena, head), arena_str(r->arena, piece)));
}

static struct slice
redact_signature(const struct redaction *r, struct slice value)
{
	struct slice piece;
	struct strbuf b;

	strbuf_init(&b, r->arena, TEXT_BYTES);
	while (slice_next(&value, ';', &piece)) {
		strbuf_add(&b, redact_tag(r, piece));
		if (value.len > 0)
			strbuf_char(&b, ';');
	}
	return strbuf_slice(&b);
}

/* The addresses alone. */
static struct slice
redact_addresses(const struct redaction *r, struct slice value)
{
	struct strbuf b;
	size_t len;

	strbuf_init(&b, r->arena, TEXT_BYTES);
	for (size_t at = 0; at < value.len; at += len) {
		struct slice domain;

		len = at == 0 || !is_local_byte(value.p[at - 1]) ? local_part_at(value, at) : 0;
		if (len == 0) {
			len = 1;
			continue;
		}
		domain = slice_from(value, at + len + 1);
		for (size_t n = 0; n < domain.len; n++)
			if (!is_local_byte(domain.p[n]))
				domain.len = n;
		strbuf_str(&b, b.len == 0 ? " <" : ", <");
		strbuf_add(&b, redact_local_part(r, slice_sub(value, at, len)));
		strbuf_char(&b, '@');
		strbuf_add(&b, redact_text(r, domain));
		strbuf_char(&b, '>');
		len += 1 + domain.len;
	}
	return b.len > 0 ? strbuf_slice(&b) : SLICE(" redacted:;"); /* an empty group */
}

#define IS_AMONG(name, list) is_among(name, list, sizeof(list) / sizeof((list)[0]))

struct slice
redact_field(const struct redaction *r, struct slice name, struct slice value)
{
	if (IS_AMONG(name, signature_fields))
		return redact_signature(r, value);
	if (IS_AMONG(name, address_fields))
		return redact_addresses(r, value);
	if (!IS_AMONG(name, kept_fields))
		return SLICE(" " REDACTED);
	if (slice_equal_nocase(header_name_trim(name), SLICE("Content-Type")))
		value = slice_sub(value, 0, slice_find(value, ';')); /* file names behind it */
	return redact_text(r, value);
}
