/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IMAP's readers. The input is read as the words of a command, as a sequence set, and as a message
 * of which ENVELOPE and BODYSTRUCTURE are made. Asserts that every slice lies within the input or
 * its copy's length, that ranges rise, that children come behind their parents and are there, and
 * that what is written has as many closing as opening parentheses outside strings.
 */
#include <stdint.h>

#include "policy/base/bug.h"
#include "tests/harness/postbox/imap.h"

static void
check_set(struct arena *a, struct slice in)
{
	struct imap_lex l = { .text = in, .arena = a };
	struct imap_set set;

	imap_set_read(&l, &set);
	for (size_t i = 0; i < set.count; i++)
		if (set.ranges[i].low == 0 || set.ranges[i].low > set.ranges[i].high)
			bug("a range that falls");
	if (l.at > in.len)
		bug("read past the end");
}

static void
check_words(struct arena *a, struct slice in)
{
	struct imap_lex l = { .text = in, .arena = a };
	size_t at = 0;

	while (!imap_at_end(&l)) {
		struct slice word = imap_astring(&l);

		if (word.len > in.len || l.at > in.len || (l.at == at && l.fault == NULL))
			bug("a word without an end");
		at = l.at;
		(void)imap_take(&l, ' ');
	}
	l = (struct imap_lex){ .text = in, .arena = a };
	(void)imap_date_time(&l);
	l = (struct imap_lex){ .text = in, .arena = a };
	(void)imap_date(&l);
}

/* Parentheses outside quoted strings and literals are even at the end. */
static void
check_balance(struct slice text)
{
	size_t open = 0;

	for (size_t i = 0; i < text.len; i++) {
		size_t literal = 0;

		if (text.p[i] == '"') {
			for (i++; i < text.len && text.p[i] != '"'; i++)
				i += text.p[i] == '\\';
		} else if (text.p[i] == '{') {
			for (i++; i < text.len && ascii_is_digit(text.p[i]); i++)
				literal = literal * 10 + (size_t)(text.p[i] - '0');
			i += 2 + literal;
		} else if (text.p[i] == '(') {
			open++;
		} else if (text.p[i] == ')' && open-- == 0) {
			bug("a parenthesis too many");
		}
	}
	if (open != 0)
		bug("%zu parentheses left open", open);
}

static void
check_message(struct arena *a, struct slice in)
{
	struct strbuf out;
	struct mime mime;

	mime_read(a, in, &mime);
	for (size_t i = 0; i < mime.count; i++) {
		const struct mime_part *part = &mime.parts[i];

		if (part->child_count > 0 &&
		    (part->first_child <= i || part->first_child + part->child_count > mime.count))
			bug("a child out of place");
	}
	strbuf_init(&out, a, 64u * 1024 * 1024);
	mime_structure(a, &mime, true, &out);
	strbuf_char(&out, ' ');
	imap_envelope(a, mime.parts[0].header, &out);
	if (!out.truncated)
		check_balance(strbuf_slice(&out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(1024 * 1024);
	struct slice in = slice_of((const char *)data, size);

	check_set(a, in);
	check_words(a, in);
	check_message(a, in);
	arena_free(&a);
	return 0;
}
