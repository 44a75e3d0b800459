/* SPDX-License-Identifier: BSD-2-Clause */
/* What the native front reads and agrees on: frames, negotiation, macros. */
#include <stdlib.h>
#include <string.h>

#include "milter/native/macros.h"
#include "milter/native/negotiate.h"
#include "milter/native/wire.h"
#include "milter/terms.h"
#include "policy/base/limits.h"
#include "tests/support/mta_script.h"
#include "tests/support/support.h"

/* ---- frames ---- */

/* What is read, as text; pieces of one frame run together. */
static void
read_frames(struct slice in, size_t piece, char *out, size_t size)
{
	struct wire_reader r = { .error = NULL };
	size_t at = 0;
	bool inside = false;

	out[0] = '\0';
	for (size_t i = 0; i < in.len && r.error == NULL; i += piece) {
		struct slice part = slice_sub(in, i, piece);
		struct wire_frame f;

		while (wire_next(&r, &part, &f) == WIRE_FRAME && at + f.data.len + 3 < size) {
			if (!inside)
				out[at++] = f.command;
			if (f.data.len > 0)
				memcpy(out + at, f.data.p, f.data.len);
			at += f.data.len;
			if (f.last)
				out[at++] = '\n';
			inside = !f.last;
		}
	}
	out[at] = '\0';
	if (r.error != NULL)
		(void)snprintf(out + at, size - at, "bad: %s", r.error);
	wire_reader_free(&r);
}

static void
test_frames_cut_anywhere(void **state)
{
	struct mta_script *s = calloc(1, sizeof(*s));
	char whole[1024], cut[1024];

	(void)state;
	assert_non_null(s);
	mta_say(s, 'N', NULL, 0);
	MTA_SAY(s, 'H', "a.example");
	MTA_SAY(s, 'B', "a body");
	mta_say(s, 'E', NULL, 0);
	MTA_SAY(s, 'E', "its end");
	MTA_SAY(s, 'L', "From: a field that is longer than the others");
	read_frames(slice_of((char *)s->bytes, s->len), s->len, whole, sizeof(whole));
	assert_string_equal(whole,
	    "N\nHa.example\nBa body\nE\nEits end\n"
	    "LFrom: a field that is longer than the others\n");
	for (size_t piece = 1; piece < s->len; piece++) {
		read_frames(slice_of((char *)s->bytes, s->len), piece, cut, sizeof(cut));
		assert_string_equal(cut, whole);
	}
	free(s);
}

static void
test_frames_of_bad_length(void **state)
{
	char out[256];

	(void)state;
	read_frames(SLICE("\0\0\0\0M"), 5, out, sizeof(out));
	assert_string_equal(out, "bad: a frame without a command");
	read_frames(SLICE("\0\0\0\1N\377\377\377\377M"), 1, out, sizeof(out));
	assert_string_equal(out, "N\nbad: a frame that is too long");
	/* The longest, and one byte more. */
	read_frames(SLICE("\0\x10\0\1M"), 5, out, sizeof(out));
	assert_string_equal(out, "");
	read_frames(SLICE("\0\x10\0\2M"), 5, out, sizeof(out));
	assert_string_equal(out, "bad: a frame that is too long");
}

/* What a peer has only announced takes no memory. */
static void
test_frame_is_kept_as_it_comes(void **state)
{
	struct slice head = SLICE("\0\x10\0\1Labc");
	struct wire_reader r = { .error = NULL };
	struct wire_frame f;

	(void)state;
	assert_int_equal(wire_next(&r, &head, &f), WIRE_MORE);
	assert_true(wire_is_inside(&r));
	assert_int_equal(r.kept_len, 3);
	assert_true(r.kept_size <= 4096);
	wire_reader_free(&r);
	/* A body is not kept at all. */
	r = (struct wire_reader){ .error = NULL };
	head = SLICE("\0\x10\0\1Babc");
	assert_int_equal(wire_next(&r, &head, &f), WIRE_FRAME);
	assert_false(f.last);
	assert_slice(f.data, "abc");
	assert_int_equal(r.kept_size, 0);
	wire_reader_free(&r);
}

/* ---- negotiation ---- */

#define WANTED                                                                                     \
	(TERMS_NO_REPLY | TERMS_NO_STEP | TERMS_IF_OFFERED) /* where all of it is offered          \
							     */

static const struct negotiate_row {
	const char *name;
	uint32_t version, actions, steps;
	const char *error; /* NULL: taken, as follows */
	uint32_t version_r, actions_r, steps_r;
	size_t data_max;
} negotiate_rows[] = {
	{ "Postfix, Sendmail 8.14 on", 6, 0x1ff, MTA_STEPS_V6, NULL, 6, 0x131, WANTED, 65535 },
	{ "a version to come", 9, 0x3ff, 0x3fffff, NULL, 6, 0x131, WANTED, 65535 },
	{ "Sendmail 8.12", 2, 0x3f, MTA_STEPS_V2, NULL, 2, 0x31, 0, 65535 },
	{ "version 3", 3, 0x3f, MTA_STEPS_V2 | TERMS_NO_UNKNOWN, NULL, 3, 0x31, TERMS_NO_UNKNOWN,
	    65535 },
	{ "version 4", 4, 0x3f, 0x3ff, NULL, 4, 0x31,
	    TERMS_NO_UNKNOWN | TERMS_NO_DATA | TERMS_NR_HEADER, 65535 },
	{ "version 5", 5, 0x3f, 0x3ff, NULL, 5, 0x31,
	    TERMS_NO_UNKNOWN | TERMS_NO_DATA | TERMS_NR_HEADER, 65535 },
	{ "no quarantine", 6, 0x11, MTA_STEPS_V6, NULL, 6, 0x11, WANTED, 65535 },
	{ "no skip", 6, 0x1ff, MTA_STEPS_V6 & ~TERMS_SKIP, NULL, 6, 0x131, WANTED & ~TERMS_SKIP,
	    65535 },
	{ "no leading space", 6, 0x1ff, MTA_STEPS_V6 & ~TERMS_LEADING_SPACE, NULL, 6, 0x131,
	    WANTED & ~TERMS_LEADING_SPACE, 65535 },
	{ "some answers must come", 6, 0x1ff, MTA_STEPS_V6 & ~(TERMS_NR_MAIL | TERMS_NR_HEADER),
	    NULL, 6, 0x131, WANTED & ~(TERMS_NR_MAIL | TERMS_NR_HEADER), 65535 },
	{ "frames of 256 KB", 6, 0x1ff, MTA_STEPS_V6 | TERMS_DATA_256K, NULL, 6, 0x131,
	    WANTED | TERMS_DATA_256K, 262143 },
	{ "frames of 1 MB", 6, 0x1ff, MTA_STEPS_V6 | TERMS_DATA_256K | TERMS_DATA_1M, NULL, 6,
	    0x131, WANTED | TERMS_DATA_1M, 1048575 },
	{ "nothing named as a step: those of version 1", 2, 0x3f, 0, NULL, 2, 0x31, 0, 65535 },
	{ "version 1", 1, 0x3f, MTA_STEPS_V2, "a protocol version below 2", 0, 0, 0, 0 },
	{ "no header may be changed", 6, 0x1, MTA_STEPS_V6, "an MTA that lets no header be changed",
	    0, 0, 0, 0 },
	{ "nothing named as an action: those of version 1", 6, 0, MTA_STEPS_V6,
	    "an MTA that lets no header be changed", 0, 0, 0, 0 },
};

static void
test_negotiation(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(negotiate_rows) / sizeof(negotiate_rows[0]); i++) {
		const struct negotiate_row *row = &negotiate_rows[i];
		struct mta_script *s = calloc(1, sizeof(*s));
		struct agreement a = { 0, 0, 0, 0 };
		const char *error = NULL;

		assert_non_null(s);
		mta_offer(s, row->version, row->actions, row->steps);
		(void)negotiate(slice_of((char *)s->bytes + 5, 12), &a, &error);
		free(s);
		if ((error == NULL) != (row->error == NULL) ||
		    (error != NULL && strcmp(error, row->error) != 0))
			fail_msg("%s: %s", row->name, error == NULL ? "taken" : error);
		if (a.version != row->version_r || a.actions != row->actions_r ||
		    a.steps != row->steps_r || a.data_max != row->data_max)
			fail_msg("%s: version %u, actions %x, steps %x, data %zu", row->name,
			    a.version, a.actions, a.steps, a.data_max);
	}
}

/* ---- macros ---- */

static void
test_macros(void **state)
{
	struct macros m = { { { .p = NULL } } };
	const char *error = NULL;

	(void)state;
	assert_null(macros_get(&m, "i"));
	assert_int_equal(macros_set(&m, SLICE("C{a}\0one\0b\0two\0"), &error), 0);
	assert_int_equal(macros_set(&m, SLICE("Mi\0first\0{auth_type}\0PLAIN\0"), &error), 0);
	assert_int_equal(macros_set(&m, SLICE("E{i}\0last\0"), &error), 0);
	assert_string_equal(macros_get(&m, "a"), "one");
	assert_string_equal(macros_get(&m, "{b}"), "two");
	assert_string_equal(macros_get(&m, "i"), "last"); /* the latest stage counts */
	assert_string_equal(macros_get(&m, "{auth_type}"), "PLAIN");
	assert_null(macros_get(&m, "{auth_typ}"));
	assert_null(macros_get(&m, ""));
	assert_null(macros_get(&m, "{"));
	macros_forget_after(&m, STAGE_MAIL);
	assert_string_equal(macros_get(&m, "i"), "first");
	macros_forget_after(&m, STAGE_CONNECT);
	assert_null(macros_get(&m, "i"));
	assert_string_equal(macros_get(&m, "a"), "one");
	/* What is no list is passed over, what is half a pair is not there. */
	assert_int_equal(macros_set(&m, SLICE(""), &error), 0);
	assert_int_equal(macros_set(&m, SLICE("Li\0header\0"), &error), 0);
	assert_int_equal(macros_set(&m, SLICE("Ha\0b\0i\0x"), &error), 0);
	assert_null(macros_get(&m, "i"));
	assert_string_equal(macros_get(&m, "a"), "b");
	macros_forget_all(&m);
	assert_null(macros_get(&m, "a"));
}

static void
test_macro_limits(void **state)
{
	struct macros m = { { { .p = NULL } } };
	const char *error = NULL;
	char *list = calloc(1, LIMIT_MACRO_BYTES + 2);

	(void)state;
	assert_non_null(list);
	list[0] = 'C';
	/* Empty names and values, each a byte. */
	assert_int_equal(macros_set(&m, slice_of(list, 1 + 2 * (size_t)LIMIT_MACROS), &error), 0);
	assert_int_equal(macros_set(&m, slice_of(list, 3 + 2 * (size_t)LIMIT_MACROS), &error), -1);
	assert_string_equal(error, "too many macros");
	memset(list + 1, 'x', LIMIT_MACRO_BYTES + 1);
	assert_int_equal(macros_set(&m, slice_of(list, LIMIT_MACRO_BYTES + 1), &error), 0);
	assert_int_equal(macros_set(&m, slice_of(list, LIMIT_MACRO_BYTES + 2), &error), -1);
	assert_string_equal(error, "too many bytes of macros");
	macros_forget_all(&m);
	free(list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_cut_anywhere),
		cmocka_unit_test(test_frames_of_bad_length),
		cmocka_unit_test(test_frame_is_kept_as_it_comes),
		cmocka_unit_test(test_negotiation),
		cmocka_unit_test(test_macros),
		cmocka_unit_test(test_macro_limits),
	};

	return cmocka_run_group_tests_name("native_wire", tests, NULL, NULL);
}
