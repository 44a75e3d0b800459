/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The input is a header: "name:value" a line, NUL for the line ends within a value. Asserted of the
 * failure report about it, redacted:
 *      ASCII, no line beyond 998 bytes, every line end CR LF;
 *      no local part of a recipient is left as a word by itself, but in b= and bh= of signatures,
 *      where it is not looked for;
 *      its parts are where they were put: nothing of the message ends one of them.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/syntax/header.h"
#include "report/failure_redact.h"
#include "report/failure_report.h"

#define ARENA_BYTES (16u * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static void
read_header(struct arena *a, struct slice text, struct header_list *out)
{
	struct slice line;

	while (slice_next(&text, '\n', &line) && out->count < LIMIT_HEADER_FIELDS) {
		size_t colon = slice_find(line, ':');
		struct slice value = slice_from(line, colon + 1);
		char *folded;

		if (colon == SLICE_NONE)
			continue;
		folded = arena_alloc(a, value.len + 1);
		for (size_t i = 0; i < value.len; i++)
			folded[i] = value.p[i] == '\0' ? '\n' : value.p[i];
		header_list_add(out, a, slice_sub(line, 0, colon), slice_of(folded, value.len));
	}
}

static void
must_not_hold(struct slice text, struct slice word)
{
	for (size_t at = 0; at + word.len <= text.len; at++) {
		bool starts = at == 0 || !ascii_is_alnum(text.p[at - 1]);
		bool ends = at + word.len == text.len || !ascii_is_alnum(text.p[at + word.len]);

		must(!(starts && ends && slice_equal_nocase(slice_sub(text, at, word.len), word)));
	}
}

static void
check_message(struct arena *a, const struct failure_event *e)
{
	static const struct failure_mail mail = { { "d@receiver.example", 18 }, { NULL, 0 },
		{ "receiver.example", 16 } };
	struct slice message, line;
	size_t boundaries = 0;
	const char *error;

	must(failure_report_write(a, &mail, e, SLICE("f@a.example"), 1, &message, &error) == 0);
	must(slice_is_ascii(message));
	while (slice_next(&message, '\n', &line)) {
		must(line.len > 0 && line.len < 999 && line.p[line.len - 1] == '\r');
		boundaries += slice_starts(line, SLICE("--=_assay_failure_="));
	}
	must(boundaries == 4);
}

static struct slice
without_signatures(struct arena *a, const struct header_list *all, struct header_list *out)
{
	for (size_t i = 0; i < all->count; i++) {
		struct slice name = header_name_trim(all->fields[i].name);

		if (!slice_equal_nocase(name, SLICE("DKIM-Signature")) &&
		    !slice_starts_nocase(name, SLICE("ARC-")))
			header_list_add(out, a, all->fields[i].name, all->fields[i].value);
	}
	return slice_of(NULL, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct slice recipients[] = { { "<zed.zephyr@r.example>", 22 },
		{ "<quux+tag@r.example>", 20 } };
	static const struct disposition disposition = { .action = ACTION_REJECT };
	static const struct failure_options options = { .redact = true,
		.authserv_id = { "mx.r.example", 12 } };
	struct arena *a = arena_new(ARENA_BYTES);
	struct header_list header = { .count = 0 }, plain = { .count = 0 };
	struct verdict *v = arena_alloc(a, sizeof(*v));
	struct dmarc_record record;
	struct failure_message m = { .verdict = v,
		.disposition = &disposition,
		.header = &header,
		.recipients = recipients,
		.recipient_count = 2 };
	struct failure_event e;

	must(dmarc_record_parse(a, SLICE("v=DMARC1;p=none;ruf=mailto:f@a.example"), &record));
	v->has_message = true;
	v->dmarc = (struct dmarc_verdict){ .result = DMARC_FAIL,
		.record = &record,
		.source = DMARC_S_AUTHOR,
		.author_domain = SLICE("a.example"),
		.policy_domain = SLICE("a.example") };
	read_header(a, slice_of((const char *)data, size), &header);
	v->reverse_path = header.count > 0 ? header.fields[0].value : slice_of(NULL, 0);
	must(failure_event_make(a, &options, &m, 1, &e));
	check_message(a, &e);
	(void)without_signatures(a, &header, &plain);
	m.header = &plain;
	must(failure_event_make(a, &options, &m, 1, &e));
	must_not_hold(e.header, SLICE("zed.zephyr"));
	must_not_hold(e.header, SLICE("quux+tag"));
	must_not_hold(e.fields, SLICE("zed.zephyr"));
	arena_free(&a);
	return 0;
}
