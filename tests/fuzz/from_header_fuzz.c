/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From fields as they come. Asserted beyond survival:
 *      every domain is its own normal form, a host name, distinct, and that of a mailbox;
 *      what is not malformed has, by a second and far simpler scanner, as many "@" outside comments
 *      and quoted strings as it has mailboxes, no control byte, and every mailbox has a domain that
 *      stands behind one of these "@" (when it is ASCII);
 *      written out again in the plainest form, the same mailboxes come back.
 */
#include <stdint.h>
#include <stdlib.h>

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/domain.h"
#include "policy/syntax/mailbox.h"

#define ARENA_BYTES (8u * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static void
read_author(struct arena *a, struct slice value, struct author *out)
{
	struct header_list header = { .count = 0 };

	header_list_add(&header, a, SLICE("From"), value);
	author_read(a, &header, out);
}

static void
check_domains(struct arena *a, const struct author *author)
{
	for (size_t i = 0; i < author->domain_count; i++) {
		struct slice domain = author->domains[i], again;
		const char *why;
		bool used = false;

		must(domain_normalize(a, domain, &again, &why) == 0 && slice_equal(domain, again));
		for (size_t j = 0; j < domain.len; j++)
			must(ascii_is_alnum(domain.p[j]) || domain.p[j] == '-' ||
			    domain.p[j] == '_' || domain.p[j] == '.');
		for (size_t j = 0; j < i; j++)
			must(!slice_equal(domain, author->domains[j]));
		for (size_t j = 0; j < author->mailbox_count; j++)
			used |= slice_equal(domain, author->mailboxes[j].domain);
		must(used);
	}
}

/* value without what stands in comments and quoted strings, and without blanks. */
static struct slice
bare_text(struct arena *a, struct slice value)
{
	struct strbuf b;
	size_t depth = 0;
	bool in_quotes = false;

	strbuf_init(&b, a, value.len);
	for (size_t i = 0; i < value.len; i++) {
		char c = value.p[i];

		if (c == '\\')
			i++;
		else if (c == '"' && depth == 0)
			in_quotes = !in_quotes;
		else if (c == '(' && !in_quotes)
			depth++;
		else if (c == ')' && !in_quotes)
			depth--;
		else if (depth == 0 && !in_quotes && !ascii_is_space(c))
			strbuf_char(&b, c);
	}
	return strbuf_slice(&b);
}

static bool
stands_behind_at(struct slice text, struct slice domain)
{
	for (size_t i = 0; i < text.len; i++) {
		struct slice rest = slice_from(text, i + 1);
		char next = rest.len > domain.len ? rest.p[domain.len] : ',';

		if (text.p[i] == '@' && slice_starts_nocase(rest, domain) &&
		    !ascii_is_alnum(next) && next != '-' && next != '.' && next != '_')
			return true;
	}
	return false;
}

static void
check_good(struct arena *a, struct slice value, const struct author *author)
{
	struct slice text = bare_text(a, value);
	size_t ats = 0;
	bool ascii = true;

	for (size_t i = 0; i < text.len; i++)
		ats += text.p[i] == '@';
	for (size_t i = 0; i < value.len; i++) {
		must((unsigned char)value.p[i] >= 0x20 || ascii_is_space(value.p[i]));
		ascii &= (unsigned char)value.p[i] < 0x80;
	}
	must(author->mailbox_count > 0 && author->mailbox_count == ats);
	for (size_t i = 0; i < author->mailbox_count; i++) {
		struct slice domain = author->mailboxes[i].domain;

		must(domain.len > 0);
		must(!ascii || stands_behind_at(text, domain));
	}
}

static void
check_again(struct arena *a, const struct author *author)
{
	struct strbuf b;
	struct author again;

	strbuf_init(&b, a, ARENA_BYTES);
	for (size_t i = 0; i < author->mailbox_count; i++) {
		struct slice local_part = author->mailboxes[i].local_part;

		strbuf_str(&b, i > 0 ? ",<\"" : "<\"");
		for (size_t j = 0; j < local_part.len; j++) {
			strbuf_char(&b, '\\');
			while (j + 1 < local_part.len && (local_part.p[j + 1] & 0xc0) == 0x80)
				strbuf_char(&b, local_part.p[j++]); /* UTF-8 is quoted as a whole */
			strbuf_char(&b, local_part.p[j]);
		}
		strbuf_str(&b, "\"@");
		strbuf_add(&b, author->mailboxes[i].domain);
		strbuf_char(&b, '>');
	}
	if (b.len > LIMIT_AUTHOR_BYTES)
		return;
	read_author(a, strbuf_slice(&b), &again);
	must(again.malformed == NULL && again.mailbox_count == author->mailbox_count);
	for (size_t i = 0; i < again.mailbox_count; i++) {
		must(slice_equal(again.mailboxes[i].domain, author->mailboxes[i].domain));
		must(slice_equal(again.mailboxes[i].local_part, author->mailboxes[i].local_part));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct slice value = slice_of((const char *)data, size), local_part, domain;
	struct author author;

	read_author(a, value, &author);
	must(author.from_fields == 1 && author.mailbox_count <= LIMIT_AUTHORS);
	check_domains(a, &author);
	if (author.malformed == NULL) {
		check_good(a, value, &author);
		check_again(a, &author);
	}
	reverse_path_read(a, value, &local_part, &domain);
	must(local_part.len + domain.len <= size);
	arena_free(&a);
	return 0;
}
