/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bounces. Asserted beyond survival:
 *      tokens are lower-case hexadecimal of their one length, distinct, and stand in the text;
 *      what is no report of a failure has neither status nor diagnostic.
 */
#include <stdint.h>
#include <stdlib.h>

#include "report/dsn.h"
#include "report/outbox.h"

#define ARENA_BYTES (64u * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static bool
stands_in(struct slice text, struct slice token)
{
	for (size_t i = 0; i + token.len <= text.len; i++)
		if (slice_equal_nocase(slice_sub(text, i, token.len), token))
			return true;
	return false;
}

static void
check(const struct dsn *dsn, struct slice text)
{
	must(dsn->token_count <= DSN_TOKENS);
	for (size_t i = 0; i < dsn->token_count; i++) {
		struct slice token = dsn->tokens[i];

		must(token.len == OUTBOX_TOKEN_BYTES && stands_in(text, token));
		for (size_t j = 0; j < token.len; j++)
			must(ascii_hex(token.p[j]) >= 0 && token.p[j] == ascii_lower(token.p[j]));
		for (size_t j = 0; j < i; j++)
			must(!slice_equal(token, dsn->tokens[j]));
	}
	must(dsn->failed || (dsn->status.len == 0 && dsn->diagnostic.len == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct slice text = slice_of((const char *)data, size);
	struct dsn dsn;
	const char *why = NULL;

	if (dsn_read(a, text, &dsn, &why) == 0) {
		check(&dsn, text);
	} else {
		must(why != NULL);
	}
	arena_free(&a);
	return 0;
}
