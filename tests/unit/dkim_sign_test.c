/* SPDX-License-Identifier: BSD-2-Clause */
/* What is signed here verifies there, and nothing else does. */
#include <string.h>

#include "policy/base/strbuf.h"
#include "policy/crypto/private_key.h"
#include "policy/dkim/sign.h"
#include "policy/syntax/base64.h"
#include "tests/support/dkim_lab.h"
#include "tests/support/dkim_signer.h"

static struct {
	struct private_key *rsa, *ed;
	char *rsa_pem, *ed_pem;
	size_t rsa_len, ed_len;
} keys;

/* A world whose zone publishes both keys, and a ring that holds them. */
struct lab {
	struct world w;
	struct key_ring *ring;
	struct key_holder holder;
	struct sig_signing_key keys[2];
	struct dkim_sign_options options;
	struct dkim_sign_job job;
};

static int
make_keys(void **state)
{
	(void)state;
	keys.rsa = private_key_generate(KEY_RSA, 1024);
	keys.ed = private_key_generate(KEY_ED25519, 0);
	keys.rsa_pem = private_key_pem(keys.rsa, &keys.rsa_len);
	keys.ed_pem = private_key_pem(keys.ed, &keys.ed_len);
	return 0;
}

static int
free_keys(void **state)
{
	(void)state;
	private_key_free(&keys.rsa);
	private_key_free(&keys.ed);
	private_key_pem_free(&keys.rsa_pem, keys.rsa_len);
	private_key_pem_free(&keys.ed_pem, keys.ed_len);
	return 0;
}

static const char *
zone(struct arena *a)
{
	struct slice rsa = base64_encode(a, private_key_public(a, keys.rsa));
	struct slice ed = base64_encode(a, private_key_public(a, keys.ed));

	return arena_printf(a,
	    "rsa._domainkey.a.example TXT 300 \"v=DKIM1; k=rsa; p=\" \"%.*s\"\n"
	    "ed._domainkey.a.example TXT 300 \"v=DKIM1; k=ed25519; p=%.*s\"\n",
	    SLICE_ARG(rsa), SLICE_ARG(ed));
}

static void
open_lab(struct lab *l)
{
	struct arena *a = arena_new(TEXT_MAX);
	const char *error;

	memset(l, 0, sizeof(*l));
	world_open(&l->w, zone(a));
	l->ring = key_ring_new(l->w.crypto);
	(void)key_ring_add(
	    l->ring, private_key_read(l->w.crypto, slice_of(keys.rsa_pem, keys.rsa_len), &error));
	(void)key_ring_add(
	    l->ring, private_key_read(l->w.crypto, slice_of(keys.ed_pem, keys.ed_len), &error));
	l->holder = key_ring_holder(l->ring);
	l->keys[0] = (struct sig_signing_key){ SLICE("a.example"), SLICE("rsa"), KEY_RSA, 0 };
	l->keys[1] = (struct sig_signing_key){ SLICE("a.example"), SLICE("ed"), KEY_ED25519, 1 };
	l->options = dkim_sign_default;
	l->job = (struct dkim_sign_job){ .crypto = l->w.crypto,
		.holder = &l->holder,
		.options = &l->options,
		.keys = l->keys,
		.key_count = 2,
		.now_s = DKIM_LAB_NOW_S };
	arena_free(&a);
}

static void
close_lab(struct lab *l)
{
	key_ring_free(&l->ring);
	world_close(&l->w);
}

/* Verify fields + message; the results of all signatures as words with a blank between. */
static const char *
verify(struct lab *l, struct slice fields, struct slice message)
{
	struct strbuf whole, words;
	struct test_message m;
	struct dkim_verdict v;

	strbuf_init(&whole, l->w.arena, TEXT_MAX);
	strbuf_add(&whole, fields);
	strbuf_add(&whole, message);
	test_message_read(l->w.arena, strbuf_slice(&whole), &m);
	dkim_lab_verify(&l->w, &m, 1000, &v);
	strbuf_init(&words, l->w.arena, TEXT_MAX);
	for (size_t i = 0; i < v.count; i++)
		strbuf_printf(
		    &words, "%s%s", i == 0 ? "" : " ", dkim_result_word(v.signatures[i].result));
	return strbuf_slice(&words).p;
}

static struct slice
sign(struct lab *l, struct slice message)
{
	struct slice fields = SLICE("");
	const char *error = "?";

	if (dkim_sign_message(l->w.arena, &l->job, message, &fields, &error) != 0)
		fail_msg("not signed: %s", error);
	return fields;
}

static void
set_canon(struct lab *l, unsigned pair)
{
	l->options.header_canon = (pair & 1) != 0 ? SIG_RELAXED : SIG_SIMPLE;
	l->options.body_canon = (pair & 2) != 0 ? SIG_RELAXED : SIG_SIMPLE;
}

static const char *const messages[] = {
	dkim_lab_message,
	"From: a@a.example\r\n\r\n",
	"From: a@a.example\r\n\r\n\r\n\r\n",
	"From: a@a.example\r\n\r\nno line end",
	"From: a@a.example\r\n\r\n trailing \t\r\n \t \r\n\r\n",
	"from:a@a.example\r\nSubject :\t folded\r\n\t \r\n twice \r\nX:\r\n\r\nx\r\n",
	"From: a@a.example\r\nTo: a\r\nTo: b\r\nTo: c\r\nSubject:\r\n\r\nx\r\n",
	"From: \xc3\xa9 <a@a.example>\r\nSubject: \xff\xfe\r\n\r\n\xe9\r\n.\r\nx\r\r\n\n\r\n",
	"From: a@a.example\nSubject: of\n Unix\n\nbody\n\n\n",
};

static void
signs_what_verifies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++)
		for (unsigned pair = 0; pair < 4; pair++) {
			struct slice message = slice_str(messages[i]);
			struct lab l;
			const char *got;

			open_lab(&l);
			set_canon(&l, pair);
			got = verify(&l, sign(&l, message), message);
			if (strcmp(got, "pass pass") != 0)
				fail_msg("message %zu, pair %u: %s", i, pair, got);
			close_lab(&l);
		}
}

/* In simple/simple the canonical form is the message: every octet of it counts. */
static void
any_octet_counts(void **state)
{
	static const char text[] = "From: a@a.example\r\nSubject: x\r\n y\r\n\r\nab\r\n";
	struct slice fields;
	struct lab l;

	(void)state;
	open_lab(&l);
	set_canon(&l, 0);
	fields = sign(&l, slice_str(text));
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		char changed[sizeof(text)];

		memcpy(changed, text, sizeof(text));
		changed[i] ^= 0x01;
		if (strstr(verify(&l, fields, slice_str(changed)), "pass") != NULL)
			fail_msg("octet %zu does not count", i);
	}
	close_lab(&l);
}

/* Of the field itself too; of b=, whose last character may hold bits that nobody looks at, the
 * first. */
static void
any_octet_of_the_field_counts(void **state)
{
	static const char text[] = "From: a@a.example\r\n\r\nab\r\n";
	struct slice fields;
	struct lab l;
	size_t end;

	(void)state;
	open_lab(&l);
	set_canon(&l, 0);
	l.job.key_count = 1;
	fields = sign(&l, slice_str(text));
	end = slice_find_last(fields, ';') + sizeof("; b=");
	for (size_t i = sizeof("DKIM-Signature:") - 1; i < end; i++) {
		char *changed = arena_alloc(l.w.arena, fields.len);

		memcpy(changed, fields.p, fields.len);
		changed[i] ^= 0x01;
		if (strcmp(verify(&l, slice_of(changed, fields.len), slice_str(text)), "pass") == 0)
			fail_msg("octet %zu of the field does not count", i);
	}
	close_lab(&l);
}

static void
oversigned_fields_cannot_be_added(void **state)
{
	static const char *const names[] = { "From", "Subject", "To", "Date", "Cc", "Reply-To",
		"Sender", "Message-ID", "MIME-Version", "Content-Type",
		"Content-Transfer-Encoding" };

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct lab l;
		struct slice fields;
		const char *more;

		open_lab(&l);
		fields = sign(&l, slice_str(dkim_lab_message));
		more = arena_printf(l.w.arena, "%s: evil\r\n%s", names[i], dkim_lab_message);
		if (strcmp(verify(&l, fields, slice_str(more)), "fail fail") != 0)
			fail_msg("%s can be added", names[i]);
		more = arena_printf(l.w.arena, "X-%s: fine\r\n%s", names[i], dkim_lab_message);
		assert_string_equal(verify(&l, fields, slice_str(more)), "pass pass");
		close_lab(&l);
	}
}

/* The field as a whole, of a key that makes the same signature each time. */
static void
writes_the_tags(void **state)
{
	static const struct {
		bool timestamp;
		uint32_t expire_s;
		const char *identity, *want;
	} rows[] = {
		{ true, 0, "", " d=a.example; s=ed;\r\n\tt=1000000; h=" },
		{ false, 0, "", " d=a.example; s=ed;\r\n\th=" },
		{ false, 60, "", " d=a.example; s=ed;\r\n\tt=1000000; x=1000060; h=" },
		{ true, 0, "@m.a.example",
		    " d=a.example; s=ed;\r\n\ti=@m.a.example; t=1000000; h=" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct lab l;
		struct slice fields;

		open_lab(&l);
		l.options.timestamp = rows[i].timestamp;
		l.options.expire_s = rows[i].expire_s;
		l.options.identity = slice_str(rows[i].identity);
		l.job.keys = &l.keys[1];
		l.job.key_count = 1;
		fields = sign(&l, slice_str(dkim_lab_message));
		if (memmem(fields.p, fields.len, rows[i].want, strlen(rows[i].want)) == NULL)
			fail_msg("row %zu: %.*s", i, SLICE_ARG(fields));
		assert_string_equal(verify(&l, fields, slice_str(dkim_lab_message)), "pass");
		close_lab(&l);
	}
}

/* RFC 5322 2.1.1; the message's own line ends. */
static void
folds(void **state)
{
	struct slice fields, line;
	struct lab l;

	(void)state;
	open_lab(&l);
	fields = sign(&l, slice_str(dkim_lab_message));
	while (slice_next(&fields, '\n', &line)) {
		assert_in_range(line.len, 10, 80);
		assert_int_equal(line.p[line.len - 1], '\r');
	}
	fields = sign(&l, SLICE("From: a@a.example\n\nx\n"));
	assert_int_equal(slice_find(fields, '\r'), SLICE_NONE);
	close_lab(&l);
}

static int
failing_sign(void *ctx, uint32_t key, const uint8_t digest[SHA256_BYTES], struct signature *out,
    const char **error_r)
{
	(void)ctx;
	(void)key;
	(void)digest;
	(void)out;
	*error_r = "the key holder is gone";
	return -1;
}

static void
says_why_not(void **state)
{
	static const struct key_holder gone = { .sign = failing_sign };
	struct strbuf many;
	struct slice fields;
	const char *error = "";
	struct lab l;

	(void)state;
	open_lab(&l);
	assert_int_equal(
	    dkim_sign_message(l.w.arena, &l.job, SLICE("To: x\r\n\r\n"), &fields, &error), -1);
	assert_string_equal(error, "there is no From to be signed");
	strbuf_init(&many, l.w.arena, TEXT_MAX);
	strbuf_str(&many, "From: a@a.example\r\n");
	for (int i = 0; i < 600; i++)
		strbuf_str(&many, "To: x\r\n");
	assert_int_equal(
	    dkim_sign_message(l.w.arena, &l.job, strbuf_slice(&many), &fields, &error), -1);
	assert_string_equal(error, "the header has too many fields to be signed");
	l.job.holder = &gone;
	assert_int_equal(
	    dkim_sign_message(l.w.arena, &l.job, slice_str(dkim_lab_message), &fields, &error), -1);
	assert_string_equal(error, "the key holder is gone");
	close_lab(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signs_what_verifies),
		cmocka_unit_test(any_octet_counts),
		cmocka_unit_test(any_octet_of_the_field_counts),
		cmocka_unit_test(oversigned_fields_cannot_be_added),
		cmocka_unit_test(writes_the_tags),
		cmocka_unit_test(folds),
		cmocka_unit_test(says_why_not),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
