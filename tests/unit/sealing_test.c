/* SPDX-License-Identifier: BSD-2-Clause */
/* Which mail gets an ARC set, what it says, and how it is put on the message. */
#include <stdlib.h>
#include <string.h>

#include "milter/sealing.h"
#include "policy/arc/arc.h"
#include "policy/crypto/private_key.h"
#include "policy/syntax/base64.h"
#include "tests/support/dkim_lab.h"

#define FIELD_MAX 20000

static const struct conf_dkim_key key_table[] = {
	{ SLICE("other"), NULL, 0, SLICE("b.example"), SLICE("s"), "/0" },
	{ SLICE("seal"), NULL, 0, SLICE("l.example"), SLICE("s"), "/1" },
};
static const struct slice local[] = { SLICE("here.example") };
static const struct slice ids[] = { SLICE("mx.l.example"), SLICE("alias.example") };
static const struct arc_options arc_options = { .min_rsa_bits = 1024, .clock_skew_s = 300 };

struct lab {
	struct world w;
	struct conf *conf;
	struct key_ring *ring;
	struct key_info infos[2];
	struct outgoing_keys keys;
	struct outgoing_parts parts;
	struct header_list header; /* of the message, with what was put on top */
	size_t insertions, refuse_from;
};

static int
record_insert(void *ctx, int index, const char *name, const char *value)
{
	struct lab *l = ctx;
	struct header_list list = { 0 };

	assert_int_equal(index, 0);
	assert_null(strchr(value, '\r'));
	assert_false(value[0] == ' ');
	if (++l->insertions == l->refuse_from)
		return -1;
	header_list_add(&list, l->w.arena, slice_str(name),
	    slice_str(arena_printf(l->w.arena, " %.*s", FIELD_MAX, value)));
	for (size_t i = 0; i < l->header.count; i++)
		header_list_add(
		    &list, l->w.arena, l->header.fields[i].name, l->header.fields[i].value);
	l->header = list;
	return 0;
}

static const struct mta_calls calls = { .insert_header = record_insert };

static void
lab_open(struct lab *l)
{
	struct arena *a = arena_new(TEXT_MAX);
	struct private_key *key = private_key_generate(KEY_ED25519, 0);
	struct slice p = base64_encode(a, private_key_public(a, key));

	memset(l, 0, sizeof(*l));
	world_open(&l->w,
	    arena_printf(a, "s._domainkey.l.example TXT 300 \"v=DKIM1; k=ed25519; p=%.*s\"\n",
		SLICE_ARG(p)));
	l->ring = key_ring_new(l->w.crypto);
	(void)key_ring_add(l->ring, private_key_generate(KEY_ED25519, 0));
	(void)key_ring_add(l->ring, key);
	l->infos[0].type = l->infos[1].type = KEY_ED25519;
	l->keys = (struct outgoing_keys){ key_ring_holder(l->ring), l->infos };
	l->conf = conf_defaults();
	l->conf->dkim_keys = key_table;
	l->conf->dkim_key_count = 2;
	l->conf->seal = CONF_SEAL_FORWARDED;
	l->conf->seal_key = "seal";
	l->conf->seal_key_number = 1;
	l->conf->local_domains = local;
	l->conf->local_domain_count = 1;
	l->conf->authserv_id = ids[0];
	l->conf->authserv_ids = ids;
	l->conf->authserv_id_count = 2;
	l->parts = (struct outgoing_parts){
		.conf = l->conf, .crypto = l->w.crypto, .resolver = l->w.resolver, .keys = &l->keys
	};
	arena_free(&a);
}

static void
lab_close(struct lab *l)
{
	key_ring_free(&l->ring);
	conf_free(&l->conf);
	world_close(&l->w);
}

/* One message on its way: how many fields were put on top; -1: the MTA refused. */
static int
run(struct lab *l, bool evaluated, bool own_host, const char *recipient, enum arc_result found)
{
	const struct mta mta = { &calls, l };
	const struct disposition d = { .action = ACTION_ACCEPT, .explanation = "" };
	struct verdict v = { .has_message = true,
		.connection.client = { IP_V4, { 192, 0, 2, 7 } },
		.arc = { .result = found, .oldest_pass = -1 },
		.dmarc = {
		    .result = DMARC_PASS, .author_domain = SLICE("a.example"), .policy_tag = "" } };
	struct sealing *s = sealing_begin(l->w.arena, &l->parts, evaluated, own_host);
	int rc;

	l->insertions = 0;
	if (s == NULL)
		return 0;
	sealing_recipient(s, SLICE("<user@here.example>"));
	sealing_recipient(s, slice_str(recipient));
	for (size_t i = 0; i < l->header.count; i++)
		sealing_header(s, l->header.fields[i].name, l->header.fields[i].value);
	sealing_end_of_headers(s, DKIM_LAB_NOW_S);
	(void)sealing_body(s, SLICE("Hi.\r\n"));
	sealing_seal(s, evaluated ? &v : NULL, &d, SLICE("4QUEUE"));
	rc = sealing_insert(s, &mta);
	sealing_end(&s);
	assert_null(s);
	sealing_end(&s);
	return rc == 0 ? (int)l->insertions : -1;
}

static void
add(struct lab *l, const char *name, const char *value)
{
	header_list_add(&l->header, l->w.arena, slice_str(name), slice_str(value));
}

static struct arc_verdict
validate(struct lab *l)
{
	struct arc_verifier *v = arc_verifier_new(
	    l->w.arena, l->w.crypto, l->w.lookups, &arc_options, &l->header, DKIM_LAB_NOW_S, NULL);
	struct arc_verdict verdict;

	(void)arc_verifier_body(v, SLICE("Hi.\r\n"));
	arc_verifier_finish(v, &verdict);
	arc_verifier_fini(&v);
	return verdict;
}

static const struct {
	const char *name;
	enum conf_seal seal;
	bool evaluated, own_host;
	const char *recipient, *earlier; /* Authentication-Results, or NULL */
	int fields;
} rows[] = {
	{ "nothing is sealed", CONF_SEAL_NONE, true, false, "<x@away.example>", NULL, 0 },
	{ "forwarded", CONF_SEAL_FORWARDED, true, false, "<x@away.example>", NULL, 3 },
	{ "not forwarded", CONF_SEAL_FORWARDED, true, false, "<x@HERE.example>", NULL, 0 },
	{ "below a local domain", CONF_SEAL_FORWARDED, true, false, "<x@sub.here.example>", NULL,
	    0 },
	{ "a local name that only ends alike", CONF_SEAL_FORWARDED, true, false,
	    "<x@nothere.example>", NULL, 3 },
	{ "without a domain", CONF_SEAL_FORWARDED, true, false, "<postmaster>", NULL, 0 },
	{ "all", CONF_SEAL_ALL, true, false, "<x@here.example>", NULL, 3 },
	{ "a login's", CONF_SEAL_ALL, false, false, "<x@away.example>", " mx.l.example; spf=pass",
	    0 },
	{ "our own host's, nothing is known of it", CONF_SEAL_ALL, false, true, "<x@away.example>",
	    NULL, 0 },
	{ "our own host's, judged before", CONF_SEAL_ALL, false, true, "<x@away.example>",
	    " alias.example; spf=pass", 3 },
	{ "our own host's, judged by others", CONF_SEAL_ALL, false, true, "<x@away.example>",
	    " mx.other.example; spf=pass", 0 },
};

static void
seals_what_it_should(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct lab l;
		int got;

		lab_open(&l);
		l.conf->seal = rows[i].seal;
		if (rows[i].earlier != NULL)
			add(&l, "Authentication-Results", rows[i].earlier);
		add(&l, "From", " a@a.example");
		got = run(&l, rows[i].evaluated, rows[i].own_host, rows[i].recipient, ARC_NONE);
		if (got != rows[i].fields)
			fail_msg("%s: %d fields", rows[i].name, got);
		if (got == 3) {
			assert_slice(l.header.fields[0].name, "ARC-Seal");
			assert_slice(l.header.fields[1].name, "ARC-Message-Signature");
			assert_slice(l.header.fields[2].name, "ARC-Authentication-Results");
			assert_int_equal(validate(&l).result, ARC_PASS);
		}
		lab_close(&l);
	}
}

/* What was found goes into the set: the results, and whether there was a chain. */
static void
says_what_was_found(void **state)
{
	struct lab l;

	(void)state;
	lab_open(&l);
	add(&l, "From", " a@a.example");
	assert_int_equal(run(&l, true, false, "<x@away.example>", ARC_NONE), 3);
	assert_true(
	    slice_starts(l.header.fields[2].value, SLICE(" i=1; mx.l.example;\r\n\tdmarc=pass")));
	assert_non_null(strstr(
	    arena_str(l.w.arena, l.header.fields[2].value), "arc=none smtp.remote-ip=192.0.2.7"));
	/* A second hop that finds it broken; a third leaves it alone. */
	assert_int_equal(run(&l, true, false, "<x@away.example>", ARC_FAIL), 3);
	assert_non_null(strstr(
	    arena_str(l.w.arena, l.header.fields[0].value), "i=2; a=ed25519-sha256; cv=fail;"));
	assert_int_equal(run(&l, true, false, "<x@away.example>", ARC_FAIL), 0);
	lab_close(&l);
}

/*
 * OpenARC issue 172: the first hop seals, our list server changes the message, the second hop
 * seals. What the first one wrote is believed, and the chain goes on.
 */
static void
knows_its_earlier_hop(void **state)
{
	static const char *const earlier[] = { " mx.l.example; arc=pass; dmarc=pass",
		" mx.l.example; dmarc=pass", " mx.l.example; arc=fail; dmarc=pass" };

	(void)state;
	for (size_t i = 0; i < COUNT(earlier); i++) {
		struct lab l;

		lab_open(&l);
		add(&l, "Subject", " x");
		add(&l, "From", " a@a.example");
		assert_int_equal(run(&l, true, false, "<x@away.example>", ARC_NONE), 3);
		l.header.fields[3].value = SLICE(" [list] x"); /* signed by the AMS */
		assert_int_equal(validate(&l).result, ARC_FAIL);
		add(&l, "Authentication-Results", earlier[i]);
		assert_int_equal(run(&l, false, true, "<x@away.example>", ARC_NONE), 3);
		assert_int_equal(validate(&l).result, i == 2 ? ARC_FAIL : ARC_PASS);
		lab_close(&l);
	}
}

static void
mta_refuses(void **state)
{
	(void)state;
	for (size_t n = 1; n <= 3; n++) {
		struct lab l;

		lab_open(&l);
		add(&l, "From", " a@a.example");
		l.refuse_from = n;
		assert_int_equal(run(&l, true, false, "<x@away.example>", ARC_NONE), -1);
		lab_close(&l);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seals_what_it_should),
		cmocka_unit_test(says_what_was_found),
		cmocka_unit_test(knows_its_earlier_hop),
		cmocka_unit_test(mta_refuses),
	};

	return cmocka_run_group_tests_name("sealing", tests, NULL, NULL);
}
