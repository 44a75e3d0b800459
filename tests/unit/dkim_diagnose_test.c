/* SPDX-License-Identifier: BSD-2-Clause */
/* What was done to a message since it was signed: named where it can be undone, and never a pass.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/sig/sig.h"
#include "tests/support/dkim_lab.h"
#include "tests/support/dkim_signer.h"

#define S(canon, names) " v=1; a=rsa-sha256; d=a.example; s=rsa; c=" canon "; h=" names SIGNED
#define ALL		"From:To:Subject:Reply-To:Content-Type:Content-Transfer-Encoding"
#define HEAD		"From: Alice <a@a.example>\r\nTo: l@list.example\r\n"
#define TEXT		"Hello  all, \r\n\r\nbye.\r\n"
#define FOOT		"_______\r\nlist at list.example\r\n" /* 31 bytes */
#define MIXED(b)                                                                                   \
	"--" b "\r\nContent-Type: text/plain\r\n\r\none\r\n--" b                                   \
	"\r\nContent-Type: text/html\r\n\r\ntwo\r\n"
#define ADDED(b) "--" b "\r\nContent-Type: text/plain\r\n\r\nfooter\r\n"
#define LIMITED	 " v=1; a=rsa-sha256; d=a.example; s=rsa; c=relaxed/relaxed; l=5; h=From" SIGNED
#define BIT(c)	 (1u << (DKIM_CHANGE_##c))

static struct arena *arena_of_zone;
static size_t diagnosis_bytes; /* of memory, by the last one */

static const struct row {
	const char *name;
	const char *template;
	const char *signed_as, *arrives; /* header, empty line, body */
	unsigned changes;
	bool complete;
	const char *text;
} rows[] = {
	{ "a footer, relaxed", S("relaxed/relaxed", ALL), HEAD "Subject: Hi\r\n\r\n" TEXT,
	    HEAD "Subject: Hi\r\n\r\n" TEXT FOOT, BIT(FOOTER), true,
	    "valid without the last 31 bytes" },
	{ "a footer, simple", S("simple/simple", ALL), HEAD "Subject: Hi\r\n\r\n" TEXT,
	    HEAD "Subject: Hi\r\n\r\n" TEXT FOOT, BIT(FOOTER), true,
	    "valid without the last 31 bytes" },
	{ "empty lines before it count", S("relaxed/relaxed", ALL),
	    HEAD "Subject: Hi\r\n\r\n" TEXT "\r\n\r\n",
	    HEAD "Subject: Hi\r\n\r\n" TEXT "\r\n\r\n" FOOT, BIT(FOOTER), true,
	    "valid without the last 35 bytes" },
	{ "a subject tag", S("relaxed/relaxed", ALL), HEAD "Subject: Hi\r\n\r\n" TEXT,
	    HEAD "Subject: [list] Hi\r\n\r\n" TEXT, BIT(SUBJECT), true,
	    "valid without \"[list]\" in Subject" },
	{ "a subject tag, simple, behind Re:", S("simple/simple", ALL),
	    HEAD "Subject: Re: Hi\r\n\r\n" TEXT, HEAD "Subject: Re: [list 7] Hi\r\n\r\n" TEXT,
	    BIT(SUBJECT), true, "valid without \"[list 7]\" in Subject" },
	{ "both", S("relaxed/relaxed", ALL), HEAD "Subject: Hi\r\n\r\n" TEXT,
	    HEAD "Subject: [list] Hi\r\n\r\n" TEXT FOOT, BIT(FOOTER) | BIT(SUBJECT), true,
	    "valid without the last 31 bytes and without \"[list]\" in Subject" },
	{ "and a Reply-To that was signed as absent", S("relaxed/relaxed", ALL),
	    HEAD "Subject: Hi\r\n\r\n" TEXT,
	    HEAD "Subject: [list] Hi\r\nReply-To: l@list.example\r\n\r\n" TEXT FOOT,
	    BIT(FOOTER) | BIT(SUBJECT) | BIT(FIELDS), true,
	    "valid without the last 31 bytes and without \"[list]\" in Subject and without an "
	    "added "
	    "Reply-To" },
	{ "folded anew, simple", S("simple/simple", ALL),
	    HEAD "Subject: a long subject\r\n\r\n" TEXT,
	    HEAD "Subject: a long\r\n\tsubject\r\n\r\n" TEXT, BIT(FOLDING), true,
	    "valid with its fields unfolded" },
	{ "a line cut within a word, relaxed", S("relaxed/relaxed", ALL),
	    HEAD "Subject: averylongword\r\n\r\n" TEXT,
	    HEAD "Subject: avery\r\n longword\r\n\r\n" TEXT, BIT(FOLDING), true,
	    "valid with its fields unfolded" },
	{ "a part behind the others", S("relaxed/relaxed", ALL),
	    HEAD "Subject: Hi\r\n\r\n" MIXED("b") "--b--\r\n",
	    HEAD "Subject: Hi\r\n\r\n" MIXED("b") ADDED("b") "--b--\r\n", BIT(PART), true,
	    "valid without an added part of 41 bytes" },
	{ "wrapped with its type", S("relaxed/relaxed", ALL),
	    HEAD "Subject: Hi\r\nContent-Type: text/html;\r\n charset=x\r\n\r\n" TEXT,
	    HEAD "Subject: Hi\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
		 "preamble\r\n\r\n--b\r\nContent-Type: text/html;\r\n charset=x\r\n\r\n" TEXT
		 "\r\n--b\r\n\r\nfooter\r\n--b--\r\n",
	    BIT(WRAPPED), true, "valid as the first part of what it was wrapped in" },
	{ "wrapped in a part without a header", S("relaxed/relaxed", ALL),
	    HEAD "Subject: Hi\r\n\r\n" TEXT,
	    HEAD "Subject: [l] Hi\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
		 "--b\r\n\r\n" TEXT "--b\r\n\r\nfooter\r\n--b--\r\n",
	    BIT(WRAPPED) | BIT(SUBJECT), true,
	    "valid as the first part of what it was wrapped in and without \"[l]\" in Subject" },
	{ "made quoted-printable", S("relaxed/relaxed", ALL),
	    HEAD "Subject: Hi\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9f"
		 "e = x\r\n",
	    HEAD "Subject: Hi\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=\r\n"
		 "=BC=c3=9Fe =3D x\r\n",
	    BIT(ENCODING), true, "valid with its transfer encoding undone" },
	{ "made base64, with a footer and LF alone", S("relaxed/relaxed", ALL),
	    HEAD "Subject: Hi\r\n\r\nHello\r\n",
	    HEAD "Subject: Hi\r\nContent-Transfer-Encoding: base64\r\n\r\n"
		 "SGVsbG8K\r\nLS0tCmZvb3Rlcgo=\r\n",
	    BIT(ENCODING) | BIT(FOOTER), true,
	    "valid with its transfer encoding undone and without the last 13 bytes" },
	{ "a footer, and To was changed", S("relaxed/relaxed", ALL),
	    HEAD "Subject: Hi\r\n\r\n" TEXT,
	    "From: Alice <a@a.example>\r\nTo: x@y.example\r\nSubject: Hi\r\n\r\n" TEXT FOOT,
	    BIT(FOOTER), false,
	    "its body is as signed without the last 31 bytes, its header is not" },
	{ "another body below the same header", S("relaxed/relaxed", ALL),
	    HEAD "Subject: Hi\r\n\r\n" TEXT, HEAD "Subject: Hi\r\n\r\nBuy this.\r\n", 0, false,
	    "its header is as signed, its body is not" },
	{ "another body and a tag", S("relaxed/relaxed", ALL), HEAD "Subject: Hi\r\n\r\n" TEXT,
	    HEAD "Subject: [x] Hi\r\n\r\nBuy this.\r\n", BIT(SUBJECT), false,
	    "its header is as signed without \"[x]\" in Subject, its body is not" },
	{ "text put before it", S("relaxed/relaxed", ALL), HEAD "Subject: Hi\r\n\r\n" TEXT,
	    HEAD "Subject: Hi\r\n\r\nBuy this.\r\n" TEXT, 0, false,
	    "its header is as signed, its body is not" },
	{ "all is another's", S("relaxed/relaxed", ALL), HEAD "Subject: Hi\r\n\r\n" TEXT,
	    "From: Mallory <m@a.example>\r\nSubject: Hi\r\n\r\nBuy this.\r\n", 0, false, "" },
	{ "an empty body was signed: anything may be behind it", S("relaxed/relaxed", ALL),
	    HEAD "Subject: Hi\r\n\r\n", HEAD "Subject: Hi\r\n\r\nBuy this.\r\n", 0, false,
	    "its header is as signed, its body is not" },
	{ "an empty body, simple", S("simple/simple", ALL), HEAD "Subject: Hi\r\n\r\n",
	    HEAD "Subject: Hi\r\n\r\n\r\nBuy this.\r\n", 0, false,
	    "its header is as signed, its body is not" },
	{ "nothing was done", S("relaxed/relaxed", ALL), HEAD "Subject: Hi\r\n\r\n" TEXT,
	    HEAD "Subject: Hi\r\n\r\n" TEXT, 0, false, "" },
	{ "no such key",
	    " v=1; a=rsa-sha256; d=a.example; s=none; h=From; c=relaxed/relaxed" SIGNED,
	    HEAD "\r\n" TEXT, HEAD "\r\n" TEXT FOOT, BIT(FOOTER), false,
	    "its body is as signed without the last 31 bytes, its header is not" },
	{ "l= has its own way", LIMITED, HEAD "\r\n" TEXT, HEAD "\r\nBuy" TEXT FOOT, 0, false, "" },
};

/* The changed message with a signature made for the other one. */
static void
verify(struct world *w, const char *template, struct slice signed_as, struct slice arrives,
    size_t piece, struct dkim_verdict *out)
{
	static const struct slice author = { "a.example", 9 };
	struct test_message original, m;
	struct dkim_verifier *v;

	test_message_read(w->arena, signed_as, &original);
	test_message_read(w->arena, arrives, &m);
	dkim_lab_prepend(
	    w->arena, &m, "DKIM-Signature", dkim_lab_sign(w->arena, template, &original));
	v = dkim_verifier_new(w->arena, w->crypto, w->lookups, &dkim_lab_options, &m.header,
	    &author, 1, DKIM_LAB_NOW_S);
	dkim_verifier_watch(v, false);
	for (size_t i = 0; i < m.body.len; i += piece)
		(void)dkim_verifier_body(v, slice_sub(m.body, i, piece));
	dkim_verifier_finish(v, out);
	diagnosis_bytes = arena_used(w->arena);
	dkim_verifier_diagnose(v, out);
	diagnosis_bytes = arena_used(w->arena) - diagnosis_bytes;
	dkim_verifier_fini(&v);
}

static void
diagnoses(void **state)
{
	static const size_t pieces[] = { 100000, 7, 1 };

	(void)state;
	for (size_t i = 0; i < COUNT(rows) * COUNT(pieces); i++) {
		const struct row *row = &rows[i / COUNT(pieces)];
		struct world w;
		struct dkim_verdict got;
		const struct dkim_diagnosis *d;

		world_open(&w, dkim_lab_zone(arena_of_zone, NULL));
		verify(&w, row->template, slice_str(row->signed_as), slice_str(row->arrives),
		    pieces[i % COUNT(pieces)], &got);
		d = &got.signatures[0].diagnosis;
		if (!slice_equal(d->text, slice_str(row->text)) || d->changes != row->changes ||
		    d->complete != row->complete)
			fail_msg("%s: changes %x, complete %d: %.*s", row->name, d->changes,
			    d->complete, SLICE_ARG(d->text));
		if (d->text.len > 0)
			assert_int_equal(got.signatures[0].result, DKIM_FAIL);
		world_close(&w);
	}
}

/* ---- properties ---- */

static void
fill(struct strbuf *b, size_t bytes, unsigned *seed)
{
	size_t end = b->len + bytes;

	while (b->len < end) {
		size_t len = (size_t)rand_r(seed) % 78;

		for (size_t i = 0; i < len; i++)
			strbuf_char(
			    b, (char)(" \tabcdefghijklmnopqrstuvwxyz.-"[rand_r(seed) % 30]));
		strbuf_str(b, "x\r\n");
	}
}

/* Of any body and any footer of at most 16000 bytes, the footer is found, to the byte. */
static void
any_footer(void **state)
{
	unsigned seed = 20261126;

	(void)state;
	for (int i = 0; i < 300; i++) {
		size_t size = (size_t)rand_r(&seed) % (i % 10 == 0 ? 200000 : 3000) + 1;
		size_t footer = (size_t)rand_r(&seed) % (i % 3 == 0 ? 16000 : 400) + 1, before;
		bool relaxed = rand_r(&seed) % 2 == 0;
		struct world w;
		struct strbuf b;
		struct slice original;
		struct dkim_verdict got;
		const struct dkim_diagnosis *d;

		world_open(&w, dkim_lab_zone(arena_of_zone, NULL));
		strbuf_init(&b, w.arena, TEXT_MAX);
		strbuf_str(&b, HEAD "Subject: Hi\r\n\r\n");
		before = b.len;
		fill(&b, size, &seed);
		original = arena_copy(w.arena, strbuf_slice(&b));
		fill(&b, footer, &seed);
		verify(&w, relaxed ? S("relaxed/relaxed", ALL) : S("simple/simple", ALL), original,
		    strbuf_slice(&b), (size_t)rand_r(&seed) % 5000 + 1, &got);
		d = &got.signatures[0].diagnosis;
		footer = test_canon_body(w.arena, relaxed, slice_from(strbuf_slice(&b), before))
			     .len -
		    test_canon_body(w.arena, relaxed, slice_from(original, before)).len;
		if (!d->complete || d->bytes != footer)
			fail_msg("round %d: body of %zu, footer of %zu: %.*s", i, size, footer,
			    SLICE_ARG(d->text));
		assert_int_equal(got.signatures[0].result, DKIM_FAIL);
		world_close(&w);
	}
}

static double
cpu_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* A body that is all lines where a footer may begin: what remembering costs, and what searching. */
static void
cost(void **state)
{
	enum { LINES = 5 * 1024 * 1024 / 5 };
	static const char line[] = "a\r\n\r\n";
	struct world w;
	double plain = 0, watched = 0, search = 0;
	size_t used[2], number;

	(void)state;
	world_open(&w, NULL);
	for (int watch = 0; watch < 2; watch++) {
		struct sig_bodies *b = sig_bodies_new(w.arena, w.crypto);
		char block[5 * 4096];
		double began;
		struct sig_cut cut;

		for (size_t i = 0; i < sizeof(block); i++)
			block[i] = line[i % 5];
		number = sig_bodies_add(b, SIG_SIMPLE, SIG_BODY_ALL);
		if (watch)
			sig_bodies_watch(b, number);
		used[0] = arena_used(w.arena);
		began = cpu_ms();
		for (size_t i = 0; i < LINES / 4096; i++)
			(void)sig_bodies_update(b, slice_of(block, sizeof(block)));
		sig_bodies_end(b);
		*(watch ? &watched : &plain) = cpu_ms() - began;
		used[1] = arena_used(w.arena);
		assert_int_equal(used[0], used[1]); /* nothing grows with the body */
		if (watch) {
			began = cpu_ms();
			assert_false(sig_bodies_search(
			    b, number, (const uint8_t *)"01234567890123456789012345678901", &cut));
			search = cpu_ms() - began;
			assert_true(arena_used(w.arena) - used[1] <= 3 * LIMIT_TAIL_BYTES);
		}
		sig_bodies_fini(&b);
	}
	(void)printf("5 MB body: %.1f ms, remembering its end %.1f ms, searching it %.2f ms\n",
	    plain, watched, search);
	assert_true(search < 200); /* bounded; slow with a sanitizer */
	world_close(&w);
}

/* A header that is all folds, undone in half of the eight ways to change it. */
static void
cost_of_folds(void **state)
{
	struct slice original = SLICE(HEAD "Subject: Hi\r\n\r\n" TEXT);
	struct dkim_verdict got;
	struct strbuf b;
	struct world w;

	(void)state;
	world_open(&w, dkim_lab_zone(arena_of_zone, NULL));
	strbuf_init(&b, w.arena, TEXT_MAX);
	strbuf_str(&b, HEAD "Reply-To: l@list.example\r\nSubject: [x] Hi");
	while (b.len < LIMIT_HEADER_BYTES - 1000)
		strbuf_str(&b, "\r\n a line of a subject that is of no use to anybody at all");
	strbuf_str(&b, "\r\n\r\n" TEXT FOOT);
	verify(&w, S("simple/simple", ALL), original, strbuf_slice(&b), b.len, &got);
	assert_true(diagnosis_bytes > 4 * (LIMIT_HEADER_BYTES - 4096)); /* it was tried */
	assert_true(diagnosis_bytes <= LIMIT_MESSAGE_MEMORY);
	world_close(&w);
}

static int
open_group(void **state)
{
	arena_of_zone = arena_new(TEXT_MAX);
	return dkim_lab_open(state);
}

static int
close_group(void **state)
{
	arena_free(&arena_of_zone);
	return dkim_lab_close(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(diagnoses),
		cmocka_unit_test(any_footer),
		cmocka_unit_test(cost),
		cmocka_unit_test(cost_of_folds),
	};

	return cmocka_run_group_tests_name("dkim_diagnose", tests, open_group, close_group);
}
