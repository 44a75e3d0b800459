/* SPDX-License-Identifier: BSD-2-Clause */
/* Mail of our own: who is signed for, with which keys, and what is said of it. */
#include <stdlib.h>
#include <string.h>

#include "conf/signing_rules.h"
#include "milter/line_watch.h"
#include "milter/outgoing.h"
#include "policy/crypto/private_key.h"
#include "policy/dns/internal.h"
#include "policy/syntax/base64.h"
#include "tests/support/dkim_lab.h"

#define PATTERN(d, below)                                                                          \
	{                                                                                          \
		SLICE(d), below                                                                    \
	}

static const struct conf_pattern a_all[] = { PATTERN("a.example", false),
	PATTERN("a.example", true) };
static const struct conf_pattern sub[] = { PATTERN("sub.a.example", true) };
static const struct conf_pattern exact[] = { PATTERN("x.sub.a.example", false) };

static const struct conf_dkim_key key_table[] = {
	{ SLICE("k0"), a_all, 2, SLICE("a.example"), SLICE("rsa"), "/0" },
	{ SLICE("k1"), a_all, 2, SLICE("a.example"), SLICE("ed"), "/1" },
	{ SLICE("k2"), sub, 1, SLICE(""), SLICE("s"), "/2" },
	{ SLICE("k3"), exact, 1, SLICE(""), SLICE("s"), "/3" },
	{ SLICE("k4"), NULL, 0, SLICE("b.example"), SLICE("s"), "/4" },
};

static const struct {
	const char *domain, *keys; /* numbers */
} choices[] = {
	{ "a.example", "01" },
	{ "m.a.example", "01" },
	{ "sub.a.example", "01" },
	{ "y.sub.a.example", "2" },
	{ "x.sub.a.example", "3" },
	{ "z.x.sub.a.example", "2" },
	{ "b.example", "4" },
	{ "m.b.example", "" },
	{ "xa.example", "" },
	{ "example", "" },
};

static void
chooses_keys(void **state)
{
	struct conf *conf = conf_defaults();

	(void)state;
	conf->dkim_keys = key_table;
	conf->dkim_key_count = COUNT(key_table);
	for (size_t i = 0; i < COUNT(choices); i++) {
		size_t numbers[COUNT(key_table)];
		size_t n = signing_choose_keys(conf, slice_str(choices[i].domain), numbers);
		char got[COUNT(key_table) + 1] = "";

		for (size_t k = 0; k < n; k++)
			got[k] = (char)('0' + numbers[k]);
		if (strcmp(got, choices[i].keys) != 0)
			fail_msg(
			    "%s: got keys %s, want %s", choices[i].domain, got, choices[i].keys);
	}
	conf_free(&conf);
}

static const struct {
	const char *login, *domain;
	enum conf_logins unlisted;
	bool want;
} logins[] = {
	{ "alice", "a.example", CONF_LOGINS_NONE, true },
	{ "alice", "m.a.example", CONF_LOGINS_NONE, true },
	{ "alice", "b.example", CONF_LOGINS_ANY, false },
	{ "Alice", "a.example", CONF_LOGINS_NONE, false },
	{ "Alice", "b.example", CONF_LOGINS_OWN, false },
	{ "ALICE", "b.example", CONF_LOGINS_ANY, false },
	{ "nobody", "a.example", CONF_LOGINS_ANY, false },
	{ "bob@b.example", "b.example", CONF_LOGINS_OWN, true },
	{ "bob@b.example", "m.b.example", CONF_LOGINS_OWN, true },
	{ "bob@b.example", "a.example", CONF_LOGINS_OWN, false },
	{ "bob@b.example", "xb.example", CONF_LOGINS_OWN, false },
	{ "bob@m.b.example", "b.example", CONF_LOGINS_OWN, false },
	{ "bob@", "b.example", CONF_LOGINS_OWN, false },
	{ "bob", "a.example", CONF_LOGINS_OWN, true },
	{ "bob", "a.example", CONF_LOGINS_ANY, true },
	{ "bob", "a.example", CONF_LOGINS_NONE, false },
	{ "", "a.example", CONF_LOGINS_OWN, false },
	{ "", "a.example", CONF_LOGINS_ANY, true },
};

static void
knows_who_may(void **state)
{
	static const struct conf_sender senders[] = { { SLICE("alice"), a_all, 2 },
		{ SLICE("nobody"), NULL, 0 } };
	struct conf *conf = conf_defaults();

	(void)state;
	conf->senders = senders;
	conf->sender_count = COUNT(senders);
	for (size_t i = 0; i < COUNT(logins); i++) {
		conf->unlisted_senders = logins[i].unlisted;
		if (signing_may_use(conf, slice_str(logins[i].login),
			slice_str(logins[i].domain)) != logins[i].want)
			fail_msg("%s may%s use %s", logins[i].login, logins[i].want ? " not" : "",
			    logins[i].domain);
	}
	conf_free(&conf);
}

/* ---- whole messages ---- */

struct lab {
	struct world w;
	struct conf *conf;
	struct key_ring *ring;
	struct key_info infos[2];
	struct outgoing_keys keys;
	struct outgoing_parts parts;
	char inserted[65536];
	size_t insertions;
};

static int
record_insert(void *ctx, int index, const char *name, const char *value)
{
	struct lab *l = ctx;
	char before[sizeof(l->inserted)];

	assert_int_equal(index, 0);
	assert_string_equal(name, "DKIM-Signature");
	assert_null(strchr(value, '\r'));
	assert_false(value[0] == ' ');
	memcpy(before, l->inserted, sizeof(before));
	(void)snprintf(l->inserted, sizeof(l->inserted), "%s: %s\n%.60000s", name, value, before);
	l->insertions++;
	return 0;
}

static const struct mta_calls calls = { .insert_header = record_insert };

/* rsa is published as it is; what ed's record says is the row's. */
static void
lab_open(struct lab *l, const char *ed_record)
{
	static const enum key_type types[] = { KEY_RSA, KEY_ED25519 };
	struct arena *a = arena_new(TEXT_MAX);
	struct private_key *k[2];
	struct slice p[2];

	memset(l, 0, sizeof(*l));
	for (size_t i = 0; i < 2; i++) {
		k[i] = private_key_generate(types[i], 1024);
		l->infos[i].type = types[i];
		l->infos[i].key = public_key_new(types[i], private_key_public(a, k[i]));
		p[i] = base64_encode(a, private_key_public(a, k[i]));
	}
	world_open(&l->w,
	    arena_printf(a,
		"rsa._domainkey.a.example TXT 300 \"v=DKIM1; p=\" \"%.*s\"\n"
		"ed._domainkey.a.example TXT 300 %s%.*s%s\n",
		SLICE_ARG(p[0]), ed_record[0] == '!' ? ed_record : "\"v=DKIM1; k=ed25519; p=",
		ed_record[0] == '!' ? 0 : (int)p[1].len, p[1].p, ed_record[0] == '!' ? "" : "\""));
	l->ring = key_ring_new(l->w.crypto);
	(void)key_ring_add(l->ring, k[0]);
	(void)key_ring_add(l->ring, k[1]);
	l->keys = (struct outgoing_keys){ key_ring_holder(l->ring), l->infos };
	l->conf = conf_defaults();
	l->conf->dkim_keys = key_table;
	l->conf->dkim_key_count = 2;
	l->parts = (struct outgoing_parts){ l->conf, l->w.crypto, l->w.resolver, &l->keys, false };
	arena_free(&a);
}

static void
lab_close(struct lab *l)
{
	public_key_free(&l->infos[0].key);
	public_key_free(&l->infos[1].key);
	key_ring_free(&l->ring);
	conf_free(&l->conf);
	world_close(&l->w);
}

static const struct ip_address inside = { IP_V4, { 127, 0, 0, 1 } },
			       outside = { IP_V4, { 192, 0, 2, 1 } };

/* What outgoing_sign() gives; 1: not ours. */
static int
run(struct lab *l, const struct ip_address *client, const char *login, const char *raw)
{
	const struct mta mta = { &calls, l };
	struct outgoing *o = outgoing_begin(
	    l->w.arena, &l->parts, client, login != NULL, slice_str(login));
	struct test_message m;
	int rc;

	if (o == NULL)
		return 1;
	test_message_read(l->w.arena, slice_str(raw), &m);
	for (size_t i = 0; i < m.header.count; i++)
		outgoing_header(o, m.header.fields[i].name, m.header.fields[i].value);
	outgoing_end_of_headers(o, DKIM_LAB_NOW_S);
	for (size_t i = 0; i < m.body.len; i += 5)
		if (!outgoing_body(o, slice_sub(m.body, i, 5)))
			break;
	rc = outgoing_sign(o, SLICE("4QUEUE"));
	assert_int_equal(outgoing_insert(o, &mta), 0);
	outgoing_end(&o);
	assert_null(o);
	return rc;
}

/* The words of the results of what was inserted. */
static const char *
verify(struct lab *l, const char *raw)
{
	struct dkim_verdict v;
	struct test_message m;
	struct strbuf words, text;

	strbuf_init(&text, l->w.arena, TEXT_MAX);
	for (const char *p = l->inserted; *p != '\0'; p++)
		strbuf_str(&text, *p == '\n' ? "\r\n" : (char[2]){ *p, '\0' });
	strbuf_str(&text, raw);
	test_message_read(l->w.arena, strbuf_slice(&text), &m);
	dkim_lab_verify(&l->w, &m, 100, &v);
	strbuf_init(&words, l->w.arena, TEXT_MAX);
	for (size_t i = 0; i < v.count; i++)
		strbuf_printf(
		    &words, "%s%.*s", i == 0 ? "" : " ", SLICE_ARG(v.signatures[i].selector));
	for (size_t i = 0; i < v.count; i++)
		assert_int_equal(v.signatures[i].result, DKIM_PASS);
	return strbuf_slice(&words).p;
}

#define BODY "Subject: x\r\n\r\nHi.\r\n"

static const struct {
	const char *name;
	const struct ip_address *client;
	const char *login, *raw;
	int want;
	const char *selectors; /* of the signatures, topmost first */
} messages[] = {
	{ "inside", &inside, NULL, "From: x@a.example\r\n" BODY, 0, "rsa ed" },
	{ "inside, subdomain", &inside, NULL, "From: x@m.a.example\r\n" BODY, 0, "rsa ed" },
	{ "outside", &outside, NULL, "From: x@a.example\r\n" BODY, 1, "" },
	{ "logged in", &outside, "bob", "From: x@A.Example\r\n" BODY, 0, "rsa ed" },
	{ "logged in, other domain", &outside, "bob@b.example", "From: x@a.example\r\n" BODY, 0,
	    "" },
	{ "logged in inside", &inside, "bob@b.example", "From: x@a.example\r\n" BODY, 0, "" },
	{ "no key", &inside, NULL, "From: x@other.example\r\n" BODY, 0, "" },
	{ "no author", &inside, NULL, BODY, 0, "" },
	{ "two fields", &inside, NULL, "From: x@a.example\r\nFrom: x@a.example\r\n" BODY, 0, "" },
	{ "two domains", &inside, NULL, "From: x@a.example, y@b.example\r\n" BODY, 0, "" },
	{ "two authors", &inside, NULL, "From: x@a.example, y@a.example\r\n" BODY, 0, "rsa ed" },
	{ "malformed", &inside, NULL, "From: \"x@b.example\" x@a.example>\r\n" BODY, 0, "" },
};

static void
signs_what_it_should(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++) {
		struct lab l;
		int got;

		lab_open(&l, "");
		got = run(&l, messages[i].client, messages[i].login, messages[i].raw);
		if (got != messages[i].want)
			fail_msg("%s: got %d, want %d", messages[i].name, got, messages[i].want);
		if (strcmp(verify(&l, messages[i].raw), messages[i].selectors) != 0)
			fail_msg("%s: signed by \"%s\", want \"%s\"", messages[i].name,
			    verify(&l, messages[i].raw), messages[i].selectors);
		lab_close(&l);
	}
}

static const struct {
	const char *name, *record;
	bool required;
	const char *selectors;
	enum sig_published state;
} records[] = {
	{ "published", "", true, "rsa ed", SIG_PUBLISHED },
	{ "not there", "!NXDOMAIN", false, "rsa ed", SIG_PUBLISHED_NONE },
	{ "not there, required", "!NXDOMAIN", true, "rsa", SIG_PUBLISHED_NONE },
	{ "no answer", "!SERVFAIL", true, "rsa ed", SIG_PUBLISHED_UNKNOWN },
};

static void
compares_records(void **state)
{
	static const char raw[] = "From: x@a.example\r\n" BODY;

	(void)state;
	for (size_t i = 0; i < COUNT(records); i++) {
		struct strbuf got;
		struct lab l;

		lab_open(&l, records[i].record);
		l.conf->require_published = records[i].required;
		assert_int_equal(run(&l, &inside, NULL, raw), 0);
		strbuf_init(&got, l.w.arena, TEXT_MAX);
		for (const char *p = strstr(l.inserted, " s="); p != NULL;
		     p = strstr(p + 1, " s=")) {
			if (got.len > 0)
				strbuf_char(&got, ' ');
			strbuf_add(&got, slice_of(p + 3, strcspn(p + 3, ";")));
		}
		if (!slice_equal(strbuf_slice(&got), slice_str(records[i].selectors)))
			fail_msg("%s: signed by \"%s\"", records[i].name, strbuf_slice(&got).p);
		assert_int_equal(l.infos[1].published, (int)records[i].state + 1);
		assert_int_equal(l.infos[0].published, (int)SIG_PUBLISHED + 1);
		lab_close(&l);
	}
}

/* The record of another key, and one that is of no use. */
static void
notices_other_records(void **state)
{
	static const char raw[] = "From: x@a.example\r\n" BODY;
	struct public_key *mine;
	struct lab l;

	(void)state;
	lab_open(&l, "");
	l.conf->require_published = true;
	mine = l.infos[0].key;
	l.infos[0].key = l.infos[1].key; /* as if that were ours */
	assert_int_equal(run(&l, &inside, NULL, raw), 0);
	assert_int_equal(l.infos[0].published, (int)SIG_PUBLISHED_OTHER + 1);
	assert_int_equal(l.insertions, 1);
	l.infos[0].key = mine;
	lab_close(&l);
}

/* A DNS that says nothing until it is told to. */
struct slow_dns {
	struct dns_backend backend;
	struct dns_request *open[4];
	size_t count;
};

static void
slow_start(struct dns_backend *backend, struct dns_request *request)
{
	struct slow_dns *s = (struct slow_dns *)backend;

	assert_true(s->count < COUNT(s->open));
	s->open[s->count++] = request;
}

static void
slow_close(struct dns_backend *backend)
{
	(void)backend;
}

static void
slow_answer(struct slow_dns *s)
{
	static const struct dns_answer nothing = { .status = DNS_NXDOMAIN, .ttl_s = 300 };

	while (s->count > 0) {
		struct dns_request *request = s->open[--s->count];

		request->done(request, dns_answer_make(&nothing, request->type));
	}
}

/* Only where something hangs on the records; a late one is told of with the next message. */
static void
waits_only_for_records_it_needs(void **state)
{
	static const char raw[] = "From: x@a.example\r\n" BODY;
	static const struct dns_backend_calls slow_calls = { slow_start, slow_close };
	struct slow_dns slow = { .backend = { &slow_calls } };
	struct lab l;
	uint64_t began_ms;

	(void)state;
	lab_open(&l, "");
	l.parts.resolver = resolver_new(&slow.backend, NULL);
	l.conf->evaluator.lookups.timeout_ms = 30000;
	began_ms = dns_monotonic_ms();
	assert_int_equal(run(&l, &inside, NULL, raw), 0);
	assert_true(dns_monotonic_ms() - began_ms < 15000);
	assert_int_equal(slow.count, 2); /* both were asked for */
	assert_int_equal(l.insertions, 2);
	assert_int_equal(l.infos[0].published, 0);

	l.conf->require_published = true;
	l.conf->evaluator.lookups.timeout_ms = 50;
	began_ms = dns_monotonic_ms();
	assert_int_equal(run(&l, &inside, NULL, raw), 0);
	assert_true(dns_monotonic_ms() - began_ms >= 50);
	assert_int_equal(l.insertions, 4);
	assert_int_equal(l.infos[0].published, (int)SIG_PUBLISHED_UNKNOWN + 1);

	slow_answer(&slow);
	l.conf->require_published = false;
	assert_int_equal(run(&l, &inside, NULL, raw), 0);
	assert_int_equal(l.insertions, 6);
	assert_int_equal(l.infos[0].published, (int)SIG_PUBLISHED_NONE + 1);
	assert_int_equal(l.infos[1].published, (int)SIG_PUBLISHED_NONE + 1);
	resolver_free(&l.parts.resolver);
	lab_close(&l);
}

static int
failing_sign(void *ctx, uint32_t key, const uint8_t digest[SHA256_BYTES], struct signature *out,
    const char **error_r)
{
	(void)ctx;
	(void)key;
	(void)digest;
	(void)out;
	*error_r = "gone";
	return -1;
}

static void
fails_as_configured(void **state)
{
	static const char raw[] = "From: x@a.example\r\n" BODY;
	struct lab l;

	(void)state;
	lab_open(&l, "");
	l.keys.holder.sign = failing_sign;
	assert_int_equal(run(&l, &inside, NULL, raw), -1);
	l.conf->on_sign_failure = ACTION_ACCEPT;
	assert_int_equal(run(&l, &inside, NULL, raw), 0);
	assert_int_equal(l.insertions, 0);
	lab_close(&l);
}

static void
nothing_without_keys(void **state)
{
	struct lab l;

	(void)state;
	lab_open(&l, "");
	l.parts.keys = NULL;
	assert_int_equal(run(&l, &inside, "bob", "From: x@a.example\r\n" BODY), 1);
	lab_close(&l);
}

/* An MTA that keeps blanks to itself: only the relaxed form can verify. */
static void
takes_no_simple_form_without_blanks(void **state)
{
	static const char raw[] = "From:x@a.example\r\n" BODY;
	struct lab l;

	(void)state;
	lab_open(&l, "");
	l.conf->sign.header_canon = SIG_SIMPLE;
	assert_int_equal(run(&l, &inside, NULL, raw), 0);
	assert_non_null(strstr(l.inserted, "c=simple/relaxed;"));
	l.inserted[0] = '\0';
	l.parts.blanks_unknown = true;
	assert_int_equal(run(&l, &inside, NULL, raw), 0);
	assert_non_null(strstr(l.inserted, "c=relaxed/relaxed;"));
	assert_null(strstr(l.inserted, "c=simple"));
	lab_close(&l);
}

/* ---- long lines ---- */

static void
finds_long_lines(void **state)
{
	static const struct {
		size_t lengths[4]; /* of lines; 0 ends */
		const char *end;
		uint64_t over, first, longest;
	} rows[] = {
		{ { 998 }, "\r\n", 0, 0, 0 },
		{ { 999 }, "\r\n", 1, 1, 999 },
		{ { 998 }, "\n", 0, 0, 0 },
		{ { 10, 2000, 998, 1000 }, "\r\n", 2, 2, 2000 },
		{ { 10, 2000, 998, 1000 }, "\n", 2, 2, 2000 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t piece = 1; piece < 5000; piece = piece * 3 + 1) {
			struct arena *a = arena_new(TEXT_MAX);
			struct line_watch w = { 0 };
			struct strbuf b;

			strbuf_init(&b, a, TEXT_MAX);
			for (size_t k = 0; k < 4 && rows[i].lengths[k] > 0; k++) {
				for (size_t n = 0; n < rows[i].lengths[k]; n++)
					strbuf_char(&b, 'x');
				/* The last line may lack its end. */
				if (k < 3 && rows[i].lengths[k + 1] > 0)
					strbuf_str(&b, rows[i].end);
			}
			for (size_t at = 0; at < b.len; at += piece)
				line_watch_update(&w, slice_sub(strbuf_slice(&b), at, piece));
			line_watch_end(&w);
			assert_int_equal(w.over, rows[i].over);
			assert_int_equal(w.first, rows[i].first);
			assert_int_equal(w.longest, rows[i].longest);
			arena_free(&a);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chooses_keys),
		cmocka_unit_test(knows_who_may),
		cmocka_unit_test(signs_what_it_should),
		cmocka_unit_test(compares_records),
		cmocka_unit_test(notices_other_records),
		cmocka_unit_test(waits_only_for_records_it_needs),
		cmocka_unit_test(fails_as_configured),
		cmocka_unit_test(nothing_without_keys),
		cmocka_unit_test(takes_no_simple_form_without_blanks),
		cmocka_unit_test(finds_long_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
