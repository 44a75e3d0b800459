/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All of the public DKIM vectors: whole messages through the verifier, and for the old corpus,
 * whose keys and algorithms no verifier may accept any more, its mathematics through the canonical
 * forms.
 */
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/dkim/dkim.h"
#include "policy/sig/sig.h"
#include "policy/syntax/base64.h"
#include "policy/syntax/mailbox.h"
#include "tests/support/message.h"
#include "tests/support/support.h"

#define NOW_S	 1790000000 /* the suite's "now": any time after it was made */
#define CHUNK	 1000	    /* body pieces: no multiple of a line */
#define TEXT_MAX (16u * 1024 * 1024)

static const struct dkim_options options = {
	.min_rsa_bits = LIMIT_DKIM_RSA_BITS_MIN,
	.max_signatures = LIMIT_DKIM_SIGNATURES,
	.clock_skew_s = LIMIT_DKIM_SKEW_S,
};

static const char *folder;

static const char *
path(struct arena *a, const char *dir, const char *file)
{
	return arena_printf(a, "%s/dkim/%s/%s", folder, dir, file);
}

static void
verify(struct world *w, const struct test_message *m, int64_t now_s, struct dkim_verdict *out)
{
	struct author author;
	struct dkim_verifier *v;

	author_read(w->arena, &m->header, &author);
	v = dkim_verifier_new(w->arena, w->crypto, w->lookups, &options, &m->header, author.domains,
	    author.domain_count, now_s);
	for (size_t i = 0; i < m->body.len; i += CHUNK)
		if (!dkim_verifier_body(v, slice_sub(m->body, i, CHUNK)))
			break;
	dkim_verifier_finish(v, out);
	dkim_verifier_fini(&v);
}

/* vectors/README.md: for every permerror neutral, policy and fail are right as well. */
static bool
is_accepted(enum dkim_result got, const char *want)
{
	if (strcmp(dkim_result_word(got), want) == 0)
		return true;
	return strcmp(want, "permerror") == 0 &&
	    (got == DKIM_NEUTRAL || got == DKIM_POLICY || got == DKIM_FAIL);
}

/* ---- cases.json ---- */

static bool
signature_matches(const struct dkim_signature_verdict *got, const json_t *want)
{
	const json_t *accept = json_object_get(want, "accept");
	const char *d = json_string_value(json_object_get(want, "d"));
	const char *s = json_string_value(json_object_get(want, "s"));
	const char *a = json_string_value(json_object_get(want, "a"));
	bool right = is_accepted(got->result, json_string_value(json_object_get(want, "result")));

	for (size_t i = 0; i < json_array_size(accept); i++)
		right = right ||
		    is_accepted(got->result, json_string_value(json_array_get(accept, i)));
	return right && slice_equal(got->domain, slice_str(d)) &&
	    slice_equal(got->selector, slice_str(s)) && slice_equal(got->algorithm, slice_str(a));
}

static bool
run_case(const json_t *c, const char *dir)
{
	struct arena *a = arena_new(TEXT_MAX);
	const char *name = json_string_value(json_object_get(c, "name"));
	const json_t *want = json_object_get(json_object_get(c, "expected"), "dkim");
	const json_t *time = json_object_get(c, "time");
	struct slice raw = read_file(
	    a, path(a, dir, json_string_value(json_object_get(c, "message_file"))));
	struct slice zone = read_file(
	    a, path(a, dir, json_string_value(json_object_get(c, "zone"))));
	struct test_message m;
	struct dkim_verdict got;
	struct world w;
	bool good;

	world_open(&w, zone.p);
	test_message_read(w.arena, raw, &m);
	verify(&w, &m, time == NULL ? NOW_S : json_integer_value(time), &got);
	good = got.count == json_array_size(want);
	if (!good)
		print_error(
		    "FAIL %s: %zu signatures, want %zu\n", name, got.count, json_array_size(want));
	for (size_t i = 0; good && i < got.count; i++) {
		const struct dkim_signature_verdict *s = &got.signatures[i];

		good = signature_matches(s, json_array_get(want, i));
		if (!good)
			print_error("FAIL %s signature %zu\n  got  %s (%s: %.*s) d=%.*s s=%.*s "
				    "a=%.*s\n  want %s\n",
			    name, i + 1, dkim_result_word(s->result), dkim_reason_text(s->reason),
			    SLICE_ARG(s->detail), SLICE_ARG(s->domain), SLICE_ARG(s->selector),
			    SLICE_ARG(s->algorithm), json_dumps(json_array_get(want, i), 0));
	}
	world_close(&w);
	arena_free(&a);
	return good;
}

static void
run_file(const char *dir)
{
	struct arena *a = arena_new(TEXT_MAX);
	json_error_t error;
	json_t *cases = json_load_file(path(a, dir, "cases.json"), 0, &error);
	size_t passed = 0, count = json_array_size(cases);

	if (cases == NULL)
		fail_msg("%s: %s", dir, error.text);
	for (size_t i = 0; i < count; i++)
		passed += run_case(json_array_get(cases, i), dir);
	print_message("dkim/%s/cases.json: %zu cases, %zu passed, 0 skipped\n", dir, count, passed);
	json_decref(cases);
	arena_free(&a);
	assert_int_equal(passed, count);
}

static void
generated(void **state)
{
	(void)state;
	run_file("generated");
}

static void
rfc_examples(void **state)
{
	(void)state;
	run_file("rfc");
}

/* ---- mail-dkim.tsv ---- */

enum column { FILE_, SIG, KIND, D, S, A, C, KEY_BITS, CRYPTO, UPSTREAM, LEGACY, MODERN, COLUMNS };

static bool
next_row(struct slice *rest, struct slice row[COLUMNS])
{
	struct slice line;

	if (!slice_next(rest, '\n', &line))
		return false;
	for (size_t i = 0; i < COLUMNS; i++)
		if (!slice_next(&line, '\t', &row[i]))
			row[i] = slice_of("", 0);
	return true;
}

struct corpus {
	struct arena *arena;
	struct slice zone, rows;
};

static void
corpus_open(struct corpus *c)
{
	struct slice heading[COLUMNS];

	c->arena = arena_new(TEXT_MAX);
	c->zone = read_file(c->arena, path(c->arena, ".", "mail-dkim.zone"));
	c->rows = read_file(c->arena, path(c->arena, ".", "mail-dkim.tsv"));
	(void)next_row(&c->rows, heading);
}

static bool
run_modern(const struct corpus *c, const struct slice row[COLUMNS])
{
	const char *want = arena_str(c->arena, row[MODERN]);
	size_t number = (size_t)(row[SIG].p[0] - '1');
	struct dkim_verdict got;
	struct test_message m;
	struct world w;
	bool good;

	world_open(&w, c->zone.p);
	test_message_read(w.arena,
	    read_file(w.arena, path(w.arena, "mail-dkim", arena_str(w.arena, row[FILE_]))), &m);
	verify(&w, &m, NOW_S, &got);
	good = number < got.count && is_accepted(got.signatures[number].result, want);
	if (!good)
		print_error("FAIL mail-dkim/%.*s signature %zu of %zu\n  got  %s\n  want %s\n",
		    SLICE_ARG(row[FILE_]), number + 1, got.count,
		    number < got.count ? dkim_reason_text(got.signatures[number].reason) : "none",
		    want);
	world_close(&w);
	return good;
}

static void
mail_dkim_modern(void **state)
{
	struct corpus c;
	struct slice row[COLUMNS];
	unsigned rows = 0, passed = 0, skipped = 0;

	(void)state;
	corpus_open(&c);
	while (next_row(&c.rows, row)) {
		rows++;
		if (slice_equal(row[KIND], SLICE("DKIM"))) {
			passed += run_modern(&c, row);
		} else {
			skipped++;
			print_message("skip mail-dkim/%.*s: DomainKeys (RFC 4870), not DKIM\n",
			    SLICE_ARG(row[FILE_]));
		}
	}
	print_message("dkim/mail-dkim.tsv (modern): %u cases, %u passed, %u skipped\n", rows,
	    passed, skipped);
	arena_free(&c.arena);
	assert_int_equal(passed + skipped, rows);
}

/* ---- its mathematics, every rule set aside ---- */

static void
collect(void *ctx, const char *bytes, size_t len)
{
	strbuf_add(ctx, slice_of(bytes, len));
}

static bool
body_matches(struct arena *a, struct slice value, struct slice body, const EVP_MD *md)
{
	struct slice c = sig_raw_tag(value, "c"), l = slice_trim(sig_raw_tag(value, "l")), bh;
	bool relaxed = slice_find(c, '/') != SLICE_NONE &&
	    slice_starts(slice_from(c, slice_find(c, '/') + 1), SLICE("relaxed"));
	struct sig_canon_body canon;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	struct strbuf b;
	struct slice text;

	strbuf_init(&b, a, TEXT_MAX);
	sig_canon_body_init(&canon, relaxed ? SIG_RELAXED : SIG_SIMPLE, collect, &b);
	sig_canon_body_update(&canon, body);
	sig_canon_body_end(&canon);
	text = strbuf_slice(&b);
	if (l.len > 0)
		text = slice_sub(text, 0, strtoul(arena_str(a, l), NULL, 10));
	EVP_Digest(text.p == NULL ? "" : text.p, text.len, digest, &len, md, NULL);
	return base64_decode(a, sig_raw_tag(value, "bh"), &bh) == 0 &&
	    slice_equal(bh, slice_of((const char *)digest, len));
}

/* What the header digest is over; the same steps as sig_header_digest(), kept as text. */
static struct slice
signed_text(struct arena *a, const struct test_message *m, size_t own)
{
	const struct header_field *f = &m->header.fields[own];
	struct slice b = sig_raw_tag(f->value, "b"), names[256], rest = sig_raw_tag(f->value, "h");
	enum sig_canon canon = slice_starts(
				   slice_trim(sig_raw_tag(f->value, "c")), SLICE("relaxed"))
	    ? SIG_RELAXED
	    : SIG_SIMPLE;
	struct sig_fields *fields = sig_fields_new(a, &m->header);
	struct strbuf out, without;
	const size_t *selected;
	size_t count = 0;
	char room[16384];

	while (count < 256 && slice_next(&rest, ':', &names[count])) {
		names[count] = slice_trim(names[count]);
		count++;
	}
	strbuf_init(&out, a, TEXT_MAX);
	strbuf_init(&without, a, TEXT_MAX);
	selected = sig_fields_select(fields, names, count, own);
	for (size_t i = 0; i < count; i++) {
		const struct header_field *s;

		if (selected[i] == SIG_NO_FIELD)
			continue;
		s = &m->header.fields[selected[i]];
		collect(&out, room, sig_canon_field(canon, s->name, s->value, room));
		strbuf_str(&out, "\r\n");
	}
	strbuf_add(&without, slice_sub(f->value, 0, (size_t)(b.p - f->value.p)));
	strbuf_add(&without, slice_from(f->value, (size_t)(b.p - f->value.p) + b.len));
	collect(&out, room, sig_canon_field(canon, f->name, strbuf_slice(&without), room));
	return strbuf_slice(&out);
}

static EVP_PKEY *
key_from_zone(struct world *w, struct slice selector, struct slice domain)
{
	const struct dns_answer *answer = lookups_ask(
	    w->lookups, sig_key_name(w->arena, selector, domain), DNS_TXT);
	struct slice der;
	const unsigned char *p;

	if (answer->status != DNS_OK ||
	    base64_decode(w->arena, sig_raw_tag(answer->records[0].text, "p"), &der) != 0)
		return NULL;
	p = (const unsigned char *)der.p;
	if (der.len == 32)
		return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, p, der.len);
	return d2i_PUBKEY(NULL, &p, (long)der.len);
}

static bool
signature_holds(EVP_PKEY *key, const EVP_MD *md, struct slice text, struct slice signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const unsigned char *sig = (const unsigned char *)signature.p;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	bool good;

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) {
		EVP_Digest(text.p, text.len, digest, &len, md, NULL);
		good = EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestVerify(ctx, sig, signature.len, digest, len) == 1;
	} else {
		good = EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1 &&
		    EVP_DigestVerify(
			ctx, sig, signature.len, (const unsigned char *)text.p, text.len) == 1;
	}
	EVP_MD_CTX_free(ctx);
	return good;
}

static bool
run_crypto(const struct corpus *c, const struct slice row[COLUMNS])
{
	size_t number = (size_t)(row[SIG].p[0] - '1'), own = 0;
	bool want = slice_equal(row[CRYPTO], SLICE("pass")), got;
	const EVP_MD *md = slice_ends_nocase(row[A], SLICE("sha1")) ? EVP_sha1() : EVP_sha256();
	struct test_message m;
	struct slice value, signature;
	struct world w;
	EVP_PKEY *key;

	world_open(&w, c->zone.p);
	test_message_read(w.arena,
	    read_file(w.arena, path(w.arena, "mail-dkim", arena_str(w.arena, row[FILE_]))), &m);
	for (size_t n = 0; n <= number; n++, own++)
		own = (size_t)(header_find(&m.header, "DKIM-Signature", own) - m.header.fields);
	value = m.header.fields[--own].value;
	key = key_from_zone(&w, row[S], row[D]);
	got = key != NULL && body_matches(w.arena, value, m.body, md) &&
	    base64_decode(w.arena, sig_raw_tag(value, "b"), &signature) == 0 &&
	    signature_holds(key, md, signed_text(w.arena, &m, own), signature);
	if (got != want)
		print_error("FAIL mail-dkim/%.*s signature %zu: got %d, want %d\n",
		    SLICE_ARG(row[FILE_]), number + 1, got, want);
	EVP_PKEY_free(key);
	world_close(&w);
	return got == want;
}

static void
mail_dkim_crypto(void **state)
{
	struct corpus c;
	struct slice row[COLUMNS];
	unsigned rows = 0, passed = 0, skipped = 0;

	(void)state;
	corpus_open(&c);
	while (next_row(&c.rows, row)) {
		rows++;
		if (slice_equal(row[CRYPTO], SLICE("-")))
			skipped++;
		else
			passed += run_crypto(&c, row);
	}
	print_message("dkim/mail-dkim.tsv (crypto): %u cases, %u passed, %u skipped (the column "
		      "says nothing)\n",
	    rows, passed, skipped);
	arena_free(&c.arena);
	assert_int_equal(passed + skipped, rows);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_examples),
		cmocka_unit_test(generated),
		cmocka_unit_test(mail_dkim_modern),
		cmocka_unit_test(mail_dkim_crypto),
	};

	folder = vectors_folder();
	if (folder == NULL) {
		print_message("skipped: no vectors beside the checkout nor in ASSAY_VECTORS\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests_name("dkim_vectors", tests, NULL, NULL);
}
