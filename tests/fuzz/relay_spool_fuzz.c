/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file of postbox's queue. Asserts that what can be read is written so that it reads the same:
 * nothing is lost between two lives of the program.
 */
#include <stdint.h>

#include "policy/base/bug.h"
#include "tests/harness/postbox/relay_internal.h"

static bool
read_file(struct arena *a, struct slice text, struct relay_mail *mail, int64_t *created_r)
{
	*mail = (struct relay_mail){ .id = "x" };
	mail->recipients = arena_array(a, POSTBOX_RECIPIENTS, sizeof(*mail->recipients));
	return relay_spool_parse(text, mail, created_r) == 0;
}

static struct slice
print(struct arena *a, const struct relay_mail *mail, int64_t created_s)
{
	struct strbuf b;

	strbuf_init(&b, a, 16u * 1024 * 1024);
	relay_spool_print(&b, mail, created_s);
	return strbuf_slice(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(1024 * 1024);
	struct slice in = slice_of((const char *)data, size), once;
	struct relay_mail mail;
	int64_t created_s = 0;

	/* SLICE_ARG() cuts what no address is long enough for. */
	if (size < 4096 && read_file(a, in, &mail, &created_s)) {
		if (mail.count == 0 || mail.count > POSTBOX_RECIPIENTS)
			bug("%zu recipients", mail.count);
		once = print(a, &mail, created_s);
		if (!read_file(a, once, &mail, &created_s))
			bug("what was written is not read");
		if (!slice_equal(print(a, &mail, created_s), once))
			bug("what was written reads as something else");
	}
	arena_free(&a);
	return 0;
}
