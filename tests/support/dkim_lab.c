/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/dkim_lab.h"

#include <string.h>

#include "policy/base/strbuf.h"
#include "policy/syntax/base64.h"
#include "tests/support/dkim_signer.h"

static struct {
	struct test_key *rsa, *small, *ed;
} keys;

int
dkim_lab_open(void **state)
{
	(void)state;
	keys.rsa = test_key_rsa(1024);
	keys.small = test_key_rsa(512);
	keys.ed = test_key_ed25519();
	return 0;
}

int
dkim_lab_close(void **state)
{
	(void)state;
	test_key_free(&keys.rsa);
	test_key_free(&keys.small);
	test_key_free(&keys.ed);
	return 0;
}

/* Selectors: rsa, small and ed hold those keys; others come as records in the row. */
const char *
dkim_lab_zone(struct arena *a, const char *record)
{
	static const char *const domains[] = { "a.example", "sub.a.example", "b.example",
		"xn--bcher-kva.example" };
	struct slice p = base64_encode(a, test_key_spki(a, keys.rsa));
	struct strbuf b, x;

	strbuf_init(&b, a, TEXT_MAX);
	strbuf_init(&x, a, TEXT_MAX);
	for (size_t i = 0; i < COUNT(domains); i++) {
		strbuf_add(&b,
		    test_zone_txt(a, arena_printf(a, "rsa._domainkey.%s", domains[i]),
			test_key_record(a, keys.rsa)));
		strbuf_add(&b,
		    test_zone_txt(a, arena_printf(a, "ed._domainkey.%s", domains[i]),
			test_key_record(a, keys.ed)));
	}
	strbuf_add(
	    &b, test_zone_txt(a, "small._domainkey.a.example", test_key_record(a, keys.small)));
	strbuf_str(&b, "slow._domainkey.a.example TXT 300 !TIMEOUT\n");
	for (; record != NULL && *record != '\0'; record++) {
		if (*record == '@')
			strbuf_add(&x, p);
		else
			strbuf_char(&x, *record);
	}
	if (x.len > 0)
		strbuf_add(&b, test_zone_txt(a, "x._domainkey.a.example", strbuf_slice(&x)));
	return strbuf_slice(&b).p;
}

const struct dkim_options dkim_lab_options = {
	.min_rsa_bits = 1024, .max_signatures = 8, .clock_skew_s = 300
};
static const struct slice author = { "a.example", 9 };

void
dkim_lab_verify(
    struct world *w, const struct test_message *m, size_t piece, struct dkim_verdict *out)
{
	struct dkim_verifier *v = dkim_verifier_new(w->arena, w->crypto, w->lookups,
	    &dkim_lab_options, &m->header, &author, 1, DKIM_LAB_NOW_S);

	for (size_t i = 0; i < m->body.len; i += piece)
		if (!dkim_verifier_body(v, slice_sub(m->body, i, piece)))
			break;
	dkim_verifier_finish(v, out);
	dkim_verifier_fini(&v);
	assert_null(v);
	dkim_verifier_fini(&v);
}

/* A field above all others, as signers put it. */
void
dkim_lab_prepend(struct arena *a, struct test_message *m, const char *name, struct slice value)
{
	struct header_list list = { 0 };

	header_list_add(&list, a, slice_str(name), value);
	for (size_t i = 0; i < m->header.count; i++)
		header_list_add(&list, a, m->header.fields[i].name, m->header.fields[i].value);
	m->header = list;
}

const char dkim_lab_message[] = "From: Alice <alice@a.example>\r\n"
				"To: bob@b.example\r\n"
				"Subject: Hello \r\n"
				"\tthere\r\n"
				"Received: one\r\n"
				"Received: two\r\n"
				"\r\n"
				"Hi  Bob. \r\n\r\nBye.\r\n\r\n\r\n";

struct slice
dkim_lab_sign(struct arena *a, const char *template, const struct test_message *m)
{
	const struct test_key *k = keys.rsa;

	if (strstr(template, "s=ed") != NULL)
		k = keys.ed;
	if (strstr(template, "s=small") != NULL)
		k = keys.small;
	return test_sign(a, k, "DKIM-Signature", slice_str(template), &m->header, m->body);
}

const char *
dkim_lab_replace(struct arena *a, const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	assert_non_null(at);
	return arena_printf(a, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}
