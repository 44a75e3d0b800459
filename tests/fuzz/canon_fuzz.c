/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Canonical forms. Asserts that cutting the body makes no difference, that each form applied twice
 * equals once, that simple only touches the end, that relaxed leaves no blank before a line end and
 * no two together, and that a field's form is never longer than the field.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/base/bug.h"
#include "policy/base/strbuf.h"
#include "policy/sig/sig.h"

static void
collect(void *ctx, const char *bytes, size_t len)
{
	if (len == 0)
		bug("an empty run");
	strbuf_add(ctx, slice_of(bytes, len));
}

/* Each piece in memory of its own, gone after the call. */
static struct slice
canonical(struct arena *a, enum sig_canon canon, struct slice body, size_t piece)
{
	struct sig_canon_body b;
	struct strbuf out;

	strbuf_init(&out, a, 8u * 1024 * 1024);
	sig_canon_body_init(&b, canon, collect, &out);
	for (size_t i = 0; i < body.len; i += piece) {
		struct slice chunk = slice_sub(body, i, piece);
		char *own = heap_alloc(chunk.len, 1);

		memcpy(own, chunk.p, chunk.len);
		sig_canon_body_update(&b, slice_of(own, chunk.len));
		free(own);
	}
	sig_canon_body_end(&b);
	return strbuf_slice(&out);
}

static void
check_relaxed(struct slice s)
{
	for (size_t i = 0; i + 1 < s.len; i++) {
		bool ends = s.p[i + 1] == '\r' && i + 2 < s.len && s.p[i + 2] == '\n';

		if (s.p[i] == '\t' || (s.p[i] == ' ' && (s.p[i + 1] == ' ' || ends)))
			bug("relaxed left a blank at %zu", i);
	}
}

static void
check_body(struct arena *a, struct slice body, size_t piece)
{
	struct slice forms[2];

	for (int i = 0; i < 2; i++) {
		enum sig_canon canon = (enum sig_canon)i;

		forms[i] = canonical(a, canon, body, body.len + 1);
		if (!slice_equal(forms[i], canonical(a, canon, body, piece)))
			bug("pieces of %zu give something else", piece);
		if (!slice_equal(forms[i], canonical(a, canon, forms[i], piece)))
			bug("twice is not once");
	}
	if (!slice_starts(body, slice_sub(forms[0], 0, forms[0].len - 2)))
		bug("simple changed more than the end");
	check_relaxed(forms[1]);
}

static void
check_field(struct arena *a, struct slice value)
{
	struct header_list list = { 0 };
	char *once, *twice;
	size_t len, again;

	header_list_add(&list, a, SLICE("Name \t"), value);
	value = list.fields[0].value;
	once = arena_alloc(a, value.len + 7);
	len = sig_canon_field(SIG_RELAXED, list.fields[0].name, value, once);
	if (len > value.len + 7)
		bug("relaxed is longer");
	twice = arena_alloc(a, len);
	again = sig_canon_field(SIG_RELAXED, slice_of(once, 4), slice_of(once + 5, len - 5), twice);
	if (!slice_equal(slice_of(once, len), slice_of(twice, again)))
		bug("relaxed field: twice is not once");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(64u * 1024 * 1024);
	struct slice text = slice_of((const char *)data, size);

	check_body(a, text, size == 0 ? 1 : 1 + data[0] % 9u);
	check_field(a, text);
	arena_free(&a);
	return 0;
}
