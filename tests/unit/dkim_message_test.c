/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole messages: what may change on the way, properties, the examples of the RFCs. */
#include <string.h>

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "tests/support/dkim_lab.h"

#define R " v=1; a=rsa-sha256; d=a.example; s=rsa; h=From:To:Subject"

/* ---- what happens on the way ---- */

static const struct {
	const char *name, *from, *to; /* in the raw message, behind the signature */
	bool simple, relaxed;	      /* still verified? */
} changes[] = {
	{ "nothing", "Hi", "Hi", true, true },
	{ "trailing empty lines", "Bye.\r\n\r\n\r\n", "Bye.\r\n", true, true },
	{ "no final line end", "Bye.\r\n\r\n\r\n", "Bye.", true, true },
	{ "unsigned field gone", "Received: one\r\n", "", true, true },
	{ "unsigned field added", "Received: one", "Received: new\r\nReceived: one", true, true },
	{ "blanks in the body", "Hi  Bob. \r\n", "Hi Bob.\r\n", false, true },
	{ "blanks at a line's end", "Bye.\r\n", "Bye.\t \r\n", false, true },
	{ "blank before text", "Bye", " Bye", false, false },
	{ "field name's case", "Subject", "SUBJECT", false, true },
	{ "refolded", "Hello \r\n\tthere", "Hello there", false, true },
	{ "blank after the colon", "To: ", "To:", false, true },
	{ "blank before the colon", "To:", "To :", false, true },
	{ "a word", "Hello", "Hallo", false, false },
	{ "a letter's case", "Hello", "hello", false, false },
	{ "body", "Bob", "Bib", false, false },
	{ "footer", "Bye.\r\n", "Bye.\r\n-- \r\nlist\r\n", false, false },
	{ "signed field gone", "To: bob@b.example\r\n", "", false, false },
	{ "second From on top, not oversigned", "From: Alice", "From: Eve\r\nFrom: Alice", true,
	    true },
	{ "second From below", "Received: one", "From: Eve\r\nReceived: one", false, false },
	{ "second Subject on top, oversigned", "From: Alice", "Subject: x\r\nFrom: Alice", false,
	    false },
};

static void
changed_on_the_way(void **state)
{
	static const char *const templates[] = {
		" v=1; a=rsa-sha256; c=simple/simple; d=a.example; s=rsa; "
		"h=From:To:Subject:Subject" SIGNED,
		" v=1; a=ed25519-sha256; c=relaxed/relaxed; d=a.example; s=ed; "
		"h=From:To:Subject:Subject" SIGNED,
	};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(changes); i++) {
		struct arena *a = arena_new(TEXT_MAX);
		bool relaxed = i % 2 == 1;
		bool want = relaxed ? changes[i / 2].relaxed : changes[i / 2].simple;
		struct test_message m;
		struct dkim_verdict got;
		struct slice signature;
		struct world w;

		world_open(&w, dkim_lab_zone(a, NULL));
		test_message_read(a, slice_str(dkim_lab_message), &m);
		signature = dkim_lab_sign(a, templates[relaxed], &m);
		test_message_read(a,
		    slice_str(dkim_lab_replace(
			a, dkim_lab_message, changes[i / 2].from, changes[i / 2].to)),
		    &m);
		dkim_lab_prepend(a, &m, "DKIM-Signature", signature);
		dkim_lab_verify(&w, &m, 7, &got);
		if (got.signatures[0].result != (want ? DKIM_PASS : DKIM_FAIL))
			fail_msg("%s, %s: got %s (%s), want %s", changes[i / 2].name,
			    relaxed ? "relaxed" : "simple",
			    dkim_result_word(got.signatures[0].result),
			    dkim_reason_text(got.signatures[0].reason), want ? "pass" : "fail");
		world_close(&w);
		arena_free(&a);
	}
}

/* z= tells which field it was (RFC 6376 3.5). */
static void
copies_name_the_culprit(void **state)
{
	static const struct {
		const char *from, *to, *says;
	} cases[] = {
		{ "Hello", "[list] Hello",
		    "Subject was changed: it was signed as \"Hello there\" and is \"[list] Hello "
		    "there\"" },
		{ "To: bob@b.example\r\n", "", "To is gone; it was signed as \"bob@b.example\"" },
		{ "From: Alice", "from: Eve", "From was changed" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena *a = arena_new(TEXT_MAX);
		struct test_message m;
		struct dkim_verdict got;
		struct slice signature;
		struct world w;

		world_open(&w, dkim_lab_zone(a, NULL));
		test_message_read(a, slice_str(dkim_lab_message), &m);
		signature = dkim_lab_sign(a,
		    R "; z=From:Alice=20<alice@a.example>|\r\n\tTo: bob@b.example |Subject:Hello=20"
		      "there|bad" SIGNED,
		    &m);
		test_message_read(a,
		    slice_str(dkim_lab_replace(a, dkim_lab_message, cases[i].from, cases[i].to)),
		    &m);
		dkim_lab_prepend(a, &m, "DKIM-Signature", signature);
		dkim_lab_verify(&w, &m, 100, &got);
		assert_int_equal(got.signatures[0].reason, DKIM_R_SIGNATURE);
		if (strstr(arena_str(a, got.signatures[0].detail), cases[i].says) == NULL)
			fail_msg("got \"%.*s\", want \"%s\"", SLICE_ARG(got.signatures[0].detail),
			    cases[i].says);
		world_close(&w);
		arena_free(&a);
	}
}

/* ---- properties ---- */

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static const char *
random_message(struct arena *a, uint64_t *seed)
{
	static const char *const words[] = { "a", "b", " ", "\t", "  ", "\r\n ", "\xc3\xa9", "=",
		";" };
	static const char *const texts[] = { "x", "y", " ", "\t", "\r\n", "\r\n\r\n", "\r", "\n",
		"." };
	struct strbuf b;

	strbuf_init(&b, a, TEXT_MAX);
	strbuf_str(&b, "From: x@a.example\r\n");
	for (uint64_t fields = next_random(seed) % 6; fields > 0; fields--) {
		strbuf_str(&b, next_random(seed) % 2 == 0 ? "One:" : "Two :");
		for (uint64_t n = next_random(seed) % 8; n > 0; n--)
			strbuf_str(&b, words[next_random(seed) % COUNT(words)]);
		strbuf_str(&b, "z\r\n");
	}
	strbuf_str(&b, "\r\n");
	for (uint64_t n = next_random(seed) % 40; n > 0; n--)
		strbuf_str(&b, texts[next_random(seed) % COUNT(texts)]);
	return strbuf_slice(&b).p;
}

/* Sign then verify passes, for any message, both algorithms, all canonical forms, cut anyhow. */
static void
sign_then_verify(void **state)
{
	static const char *const forms[] = { "simple/simple", "simple/relaxed", "relaxed/simple",
		"relaxed/relaxed" };
	uint64_t seed = 20261123;

	(void)state;
	for (int i = 0; i < 400; i++) {
		struct arena *a = arena_new(TEXT_MAX);
		struct test_message m;
		struct dkim_verdict got;
		const char *raw = random_message(a, &seed);
		struct world w;

		world_open(&w, dkim_lab_zone(a, NULL));
		test_message_read(a, slice_str(raw), &m);
		dkim_lab_prepend(a, &m, "DKIM-Signature",
		    dkim_lab_sign(a,
			arena_printf(a,
			    " v=1; a=%s; c=%s; d=a.example; h=Two:From:One:one:Two:From"
			    ":Three" SIGNED,
			    i % 2 == 0 ? "rsa-sha256; s=rsa" : "ed25519-sha256; s=ed",
			    forms[i / 2 % 4]),
			&m));
		dkim_lab_verify(&w, &m, 1 + next_random(&seed) % 9, &got);
		if (got.signatures[0].result != DKIM_PASS)
			fail_msg("%s %s: %s\n%s", forms[i / 2 % 4],
			    dkim_result_word(got.signatures[0].result),
			    dkim_reason_text(got.signatures[0].reason),
			    arena_printable(a, slice_str(raw), 400));
		world_close(&w);
		arena_free(&a);
	}
}

/* Any octet changed in what is signed fails; here every octet of a message that relaxed leaves. */
static void
any_octet_counts(void **state)
{
	static const char raw[] =
	    "From: x@a.example\r\nOne: Two three\r\n\r\nBody, one.\r\nTwo.\r\n";
	struct arena *a = arena_new(TEXT_MAX);
	struct test_message m;
	struct slice signature;
	struct world w;

	(void)state;
	world_open(&w, dkim_lab_zone(a, NULL));
	test_message_read(a, slice_str(raw), &m);
	signature = dkim_lab_sign(a,
	    " v=1; a=ed25519-sha256; c=relaxed/relaxed; d=a.example; s=ed; h=From:One" SIGNED, &m);
	for (size_t field = 0; field <= m.header.count; field++) {
		struct slice text = field < m.header.count ? m.header.fields[field].value : m.body;

		for (size_t i = 1; i < text.len; i++) {
			struct test_message bent;
			struct dkim_verdict got;
			struct slice copy = arena_copy(a, text);

			test_message_read(a, slice_str(raw), &bent);
			((char *)(uintptr_t)copy.p)[i] ^= 0x41;
			if (field < m.header.count)
				bent.header.fields[field].value = copy;
			else
				bent.body = copy;
			dkim_lab_prepend(a, &bent, "DKIM-Signature", signature);
			dkim_lab_verify(&w, &bent, 5, &got);
			if (got.signatures[0].result != DKIM_FAIL)
				fail_msg("place %zu of %zu: %s", i, field,
				    dkim_result_word(got.signatures[0].result));
		}
	}
	world_close(&w);
	arena_free(&a);
}

/* ---- RFC 6376 A.2, A.3, RFC 8463 A.3 ---- */

static const char rfc6376_a2[] = "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
				 "      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
				 "      h=Received : From : To : Subject : Date : Message-ID;\r\n"
				 "      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
				 "      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n"
				 "      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"
				 "      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n"
				 "      4bmp/YzhwvcubU4=;\r\n"
				 "Received: from client1.football.example.com  [192.0.2.1]\r\n"
				 "      by submitserver.example.com with SUBMISSION;\r\n"
				 "      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n"
				 "From: Joe SixPack <joe@football.example.com>\r\n"
				 "To: Suzie Q <suzie@shopping.example.net>\r\n"
				 "Subject: Is dinner ready?\r\n"
				 "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
				 "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
				 "\r\n"
				 "Hi.\r\n"
				 "\r\n"
				 "We lost the game. Are you hungry yet?\r\n"
				 "\r\n"
				 "Joe.\r\n";

static const char rfc8463_a3[] = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
				 " d=football.example.com; i=@football.example.com;\r\n"
				 " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
				 " subject : date : message-id : from : subject : date;\r\n"
				 " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
				 " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
				 " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
				 "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
				 " d=football.example.com; i=@football.example.com;\r\n"
				 " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
				 " date : message-id : from : subject : date;\r\n"
				 " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
				 " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
				 " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
				 " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
				 "From: Joe SixPack <joe@football.example.com>\r\n"
				 "To: Suzie Q <suzie@shopping.example.net>\r\n"
				 "Subject: Is dinner ready?\r\n"
				 "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
				 "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
				 "\r\n"
				 "Hi.\r\n"
				 "\r\n"
				 "We lost the game.  Are you hungry yet?\r\n"
				 "\r\n"
				 "Joe.\r\n";

static const char rfc_zone[] =
    "brisbane._domainkey.example.com TXT 300 \"v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4G"
    "NADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5"
    "ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNB"
    "cWToIMmPSPDdQPNUYckcQ2QIDAQAB\"\n"
    "brisbane._domainkey.football.example.com TXT 300 \"v=DKIM1; k=ed25519; p=11qYAYK"
    "xCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n"
    "test._domainkey.football.example.com TXT 300 \"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb"
    "3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JY"
    "i0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZ"
    "yVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB\"\n";

static void
expect_all(const char *raw, size_t count, enum dkim_reason want)
{
	struct arena *a = arena_new(TEXT_MAX);
	struct test_message m;
	struct dkim_verdict got;
	struct dkim_verifier *v;
	struct world w;

	world_open(&w, rfc_zone);
	test_message_read(a, slice_str(raw), &m);
	v = dkim_verifier_new(
	    w.arena, w.crypto, w.lookups, &dkim_lab_options, &m.header, NULL, 0, 1528640000);
	(void)dkim_verifier_body(v, m.body);
	dkim_verifier_finish(v, &got);
	dkim_verifier_fini(&v);
	assert_int_equal(got.count, count);
	for (size_t i = 0; i < got.count; i++)
		if (got.signatures[i].reason != want)
			fail_msg("signature %zu: %s, want %s", i + 1,
			    dkim_reason_text(got.signatures[i].reason), dkim_reason_text(want));
	world_close(&w);
	arena_free(&a);
}

static void
rfc_examples(void **state)
{
	struct arena *a = arena_new(TEXT_MAX);

	(void)state;
	expect_all(rfc6376_a2, 1, DKIM_R_NONE);
	expect_all(rfc8463_a3, 2, DKIM_R_NONE);
	expect_all(dkim_lab_replace(a, rfc8463_a3, "hungry", "angry"), 2, DKIM_R_BODY_HASH);
	expect_all(dkim_lab_replace(a, rfc8463_a3, "dinner", "supper"), 2, DKIM_R_SIGNATURE);
	/* oversigned: a second From breaks both */
	expect_all(dkim_lab_replace(a, rfc8463_a3, "From: Joe", "From: x\r\nFrom: Joe"), 2,
	    DKIM_R_SIGNATURE);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changed_on_the_way),
		cmocka_unit_test(copies_name_the_culprit),
		cmocka_unit_test(sign_then_verify),
		cmocka_unit_test(any_octet_counts),
		cmocka_unit_test(rfc_examples),
	};

	return cmocka_run_group_tests_name("dkim_message", tests, dkim_lab_open, dkim_lab_close);
}
