/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         fixed - fixed messages, for counting instructions
 * SYNOPSIS     valgrind --tool=callgrind --instr-atstart=no fixed [CASE]
 * DESCRIPTION  Each case does the same work ROUNDS times on a warm cache and then has callgrind
 * dump what was counted, under the name of the case (tests/bench/instructions.py adds it up).
 * Messages, keys and answers are those of corpus.h: nothing depends on the machine or the hour. The
 * last two cases are whole conversations over a socket, the MTA's side played in this process and
 * left out of the sum as all of tests/ is.
 */
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#define CALLGRIND_DUMP_STATS_AT(name) (void)(name)
#endif

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "milter/front.h"
#include "milter/service.h"
#include "milter/session.h"
#include "policy/evaluation.h"
#include "policy/syntax/base64.h"
#include "tests/bench/corpus.h"
#include "tests/harness/milter_client.h"
#include "tests/support/dkim_signer.h"
#include "tests/support/support.h"

#define ROUNDS	 20
#define NOW_S	 1790000000
#define MESSAGES 40
#define OPEN_MS	 10000

struct world_fixed {
	struct corpus corpus;
	struct traffic traffic;
	struct service *service;
	struct service_slot slot;
	struct resolver *resolver;
	struct crypto *crypto;
	struct evaluator *evaluator;
	struct arena *arena; /* of one round */
	struct bench_message rsa, ed, sealed;
	char folder[64];
};

/* ---- the messages ---- */

/* The fields without signatures, then one of that algorithm. */
static void
make_signed(struct world_fixed *w, struct bench_message *out, bool ed)
{
	struct arena *a = w->corpus.arena;
	const struct bench_message *from = &w->corpus.messages[0];
	struct test_key *key = ed ? test_key_ed25519_seeded("assay bench ed 0")
				  : test_key_rsa_seeded(2048, "assay bench rsa 0");
	const char *template = arena_printf(a,
	    " v=1; a=%s-sha256; c=relaxed/relaxed; d=d0.example; s=%s0;\r\n"
	    "\th=From:To:Subject:Date:Message-ID:MIME-Version;\r\n\tbh=@BH@;\r\n\tb=@B@",
	    ed ? "ed25519" : "rsa", ed ? "ed" : "rsa");
	struct header_list rest = { 0 };

	*out = *from;
	for (size_t i = 0; i < from->header.count; i++)
		if (!slice_equal(from->header.fields[i].name, SLICE("DKIM-Signature")))
			header_list_add(
			    &rest, a, from->header.fields[i].name, from->header.fields[i].value);
	out->header = (struct header_list){ 0 };
	header_list_add(&out->header, a, SLICE("DKIM-Signature"),
	    test_sign(a, key, "DKIM-Signature", slice_str(template), &rest, from->body));
	for (size_t i = 0; i < rest.count; i++)
		header_list_add(&out->header, a, rest.fields[i].name, rest.fields[i].value);
	test_key_free(&key);
}

/* A chain of one set (RFC 8617 5.1). */
static void
make_sealed(struct world_fixed *w)
{
	static const char aar[] = " i=1; d0.example; dmarc=pass";
	static const char as[] =
	    " i=1; a=ed25519-sha256; cv=none; d=d0.example; s=ed0; t=1700000000; b=";
	struct arena *a = w->corpus.arena;
	struct test_key *key = test_key_ed25519_seeded("assay bench ed 0");
	struct header_list *h = &w->sealed.header;
	uint8_t digest[SHA256_BYTES];
	struct slice ams;
	const char *sealed;

	w->sealed = w->rsa;
	ams = test_sign(a, key, "ARC-Message-Signature",
	    SLICE(" i=1; a=ed25519-sha256; c=relaxed/relaxed; d=d0.example; s=ed0;\r\n"
		  "\th=From:To:Subject:Date; bh=@BH@; b=@B@"),
	    h, w->sealed.body);
	header_list_add(h, a, SLICE("ARC-Authentication-Results"), SLICE(aar));
	header_list_add(h, a, SLICE("ARC-Message-Signature"), ams);
	sealed = arena_printf(a, "%s\r\n%s\r\n%s",
	    test_canon_field(a, true, SLICE("ARC-Authentication-Results"), SLICE(aar)).p,
	    test_canon_field(a, true, SLICE("ARC-Message-Signature"), ams).p,
	    test_canon_field(a, true, SLICE("ARC-Seal"), SLICE(as)).p);
	test_sha256(slice_str(sealed), digest);
	header_list_add(h, a, SLICE("ARC-Seal"),
	    slice_str(
		arena_printf(a, "%s%s", as, base64_encode(a, test_key_sign(a, key, digest)).p)));
	test_key_free(&key);
}

/* ---- the cases ---- */

static struct connection
connection_of(const struct bench_message *m)
{
	struct connection c = { .helo = slice_str(m->client_name) };

	if (ip_parse(slice_str(m->client_ip), &c.client) != 0)
		fail_msg("bad address %s", m->client_ip);
	return c;
}

static void
run_spf(struct world_fixed *w)
{
	struct lookups *l = lookups_new(w->arena, w->resolver, &evaluator_defaults.lookups);
	const struct connection c = connection_of(&w->rsa);
	/* By an include, which is two records. */
	const struct spf_input in = { .scope = SPF_MFROM,
		.client = c.client,
		.helo = c.helo,
		.local_part = SLICE("bounce"),
		.domain = SLICE("d1.example"),
		.now_s = NOW_S };
	struct spf_verdict v;

	spf_evaluate(w->arena, l, &evaluator_defaults.spf, &in, &v);
	if (v.result != SPF_PASS)
		fail_msg("spf: %s", spf_result_word(v.result));
	lookups_fini(&l);
}

static void
run_dkim(struct world_fixed *w, const struct bench_message *m)
{
	const struct slice author = SLICE("d0.example");
	struct lookups *l = lookups_new(w->arena, w->resolver, &evaluator_defaults.lookups);
	struct dkim_verifier *v = dkim_verifier_new(
	    w->arena, w->crypto, l, &evaluator_defaults.dkim, &m->header, &author, 1, NOW_S);
	struct dkim_verdict out;

	(void)dkim_verifier_body(v, m->body);
	dkim_verifier_finish(v, &out);
	if (out.count != 1 || out.signatures[0].result != DKIM_PASS)
		fail_msg("dkim: no pass");
	dkim_verifier_fini(&v);
	lookups_fini(&l);
}

static void
run_dkim_rsa(struct world_fixed *w)
{
	run_dkim(w, &w->rsa);
}

static void
run_dkim_ed25519(struct world_fixed *w)
{
	run_dkim(w, &w->ed);
}

static void
run_arc(struct world_fixed *w)
{
	const struct bench_message *m = &w->sealed;
	struct lookups *l = lookups_new(w->arena, w->resolver, &evaluator_defaults.lookups);
	struct arc_verifier *v = arc_verifier_new(
	    w->arena, w->crypto, l, &evaluator_defaults.arc, &m->header, NOW_S, NULL);
	struct arc_verdict out;

	(void)arc_verifier_body(v, m->body);
	arc_verifier_finish(v, &out);
	if (out.result != ARC_PASS)
		fail_msg("arc: %.*s", SLICE_ARG(out.reason));
	arc_verifier_fini(&v);
	lookups_fini(&l);
}

static void
run_dmarc(struct world_fixed *w)
{
	/* Below its organization: the policy is found one level up. */
	struct slice domain = SLICE("news.d4.example");
	struct lookups *l = lookups_new(w->arena, w->resolver, &evaluator_defaults.lookups);
	const struct author author = { .from_fields = 1, .domains = &domain, .domain_count = 1 };
	const struct spf_verdict spf = { .result = SPF_PASS, .domain = SLICE("d4.example") };
	struct dmarc_verdict out;

	dmarc_prefetch(l, &evaluator_defaults.dmarc, &author);
	dmarc_evaluate(w->arena, l, &evaluator_defaults.dmarc, &author, &spf, NULL, &out);
	if (out.result != DMARC_PASS)
		fail_msg("dmarc: %s", dmarc_result_word(out.result));
	lookups_fini(&l);
}

static void
run_whole(struct world_fixed *w)
{
	const struct bench_message *m = &w->rsa;
	const struct connection c = connection_of(m);
	struct evaluation *ev = evaluation_begin(w->evaluator, w->arena, &c);

	evaluation_mail_from(ev, slice_str(m->from), NOW_S);
	for (size_t i = 0; i < m->header.count; i++)
		(void)evaluation_header(ev, m->header.fields[i].name, m->header.fields[i].value);
	evaluation_end_of_headers(ev);
	(void)evaluation_body(ev, m->body);
	if (evaluation_finish(ev)->dmarc.result != DMARC_PASS)
		fail_msg("whole message: no pass");
	evaluation_end(&ev);
}

/* ---- sessions and fronts ---- */

static int
take_reply(void *ctx, const char *code, const char *enhanced, const char *text)
{
	(void)ctx;
	(void)code;
	(void)enhanced;
	(void)text;
	return 0;
}

static int
take_field(void *ctx, int index, const char *name, const char *value)
{
	(void)ctx;
	(void)index;
	(void)name;
	(void)value;
	return 0;
}

static int
take_change(void *ctx, const char *name, int index, const char *value)
{
	return take_field(ctx, index, name, value);
}

static int
take_quarantine(void *ctx, const char *reason)
{
	(void)ctx;
	(void)reason;
	return 0;
}

static int
take_progress(void *ctx)
{
	(void)ctx;
	return 0;
}

static const char *
no_macro(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return NULL;
}

static void
run_session(struct world_fixed *w)
{
	static const struct mta_calls calls = { .reply = take_reply,
		.insert_header = take_field,
		.change_header = take_change,
		.quarantine = take_quarantine,
		.progress = take_progress,
		.macro = no_macro };
	const struct mta mta = { .calls = &calls };
	const struct bench_message *m = &w->rsa;
	struct session *s = session_new(w->service, true, NULL);
	const struct connection c = connection_of(m);

	(void)session_connect(s, &mta, m->client_name, &c.client);
	(void)session_helo(s, &mta, m->client_name);
	(void)session_mail(s, &mta, m->from);
	(void)session_rcpt(s, &mta, m->to);
	for (size_t i = 0; i < m->header.count; i++)
		(void)session_header(
		    s, &mta, m->header.fields[i].name.p, m->header.fields[i].value.p);
	(void)session_end_of_headers(s, &mta);
	(void)session_body(s, &mta, m->body);
	if (session_end_of_message(s, &mta) != ANSWER_CONTINUE)
		fail_msg("session: refused");
	session_free(&s);
}

/* One connection with one message, as an MTA has it. */
static void
converse(const struct world_fixed *w, const char *address)
{
	const struct bench_message *m = &w->rsa;
	struct milter_client c;
	bool ok = milter_open(&c, address, OPEN_MS) == 0 &&
	    milter_negotiate(&c, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS) == 0 &&
	    milter_connect(&c, m->client_name, m->client_ip) >= 0 &&
	    milter_helo(&c, m->client_name) >= 0 && milter_mail(&c, m->from) >= 0 &&
	    milter_rcpt(&c, m->to) >= 0 && milter_data(&c) >= 0;

	for (size_t i = 0; ok && i < m->header.count; i++)
		ok = milter_header(&c, m->header.fields[i].name.p, m->header.fields[i].value.p) >=
		    0;
	if (!ok || milter_eoh(&c) < 0 || milter_body(&c, m->body.p, m->body.len) < 0 ||
	    milter_eom(&c) != 'c' || milter_quit(&c) < 0)
		fail_msg("%s: %s", address, c.error);
	milter_close(&c);
}

static void
run_libmilter(struct world_fixed *w)
{
	converse(w, arena_printf(w->arena, "unix:%s/libmilter", w->folder));
}

static void
run_native(struct world_fixed *w)
{
	converse(w, arena_printf(w->arena, "unix:%s/native", w->folder));
}

static void *
serve(void *front)
{
	(void)((const struct front *)front)->run();
	return NULL;
}

static void
open_front(struct world_fixed *w, const struct front *front)
{
	const char *address = arena_printf(w->corpus.arena, "unix:%s/%s", w->folder, front->name);
	struct front *copy = arena_alloc(w->corpus.arena, sizeof(*copy));
	pthread_t thread = 0;

	*copy = *front;
	if (front->open(&w->slot, &w->traffic, address, 60) != 0 ||
	    pthread_create(&thread, NULL, serve, copy) != 0 || front->trouble(OPEN_MS) != NULL)
		fail_msg("front %s does not open", front->name);
	(void)pthread_detach(thread);
}

/* ---- the whole ---- */

static const struct fixed_case {
	const char *name;
	void (*run)(struct world_fixed *w);
} cases[] = {
	{ "spf", run_spf },
	{ "dkim-rsa", run_dkim_rsa },
	{ "dkim-ed25519", run_dkim_ed25519 },
	{ "arc", run_arc },
	{ "dmarc", run_dmarc },
	{ "whole-message", run_whole },
	{ "session", run_session },
	{ "front-libmilter", run_libmilter },
	{ "front-native", run_native },
};

static void
open_world(struct world_fixed *w)
{
	struct arena *a;
	struct dns_backend *backend;
	struct conf *conf = conf_defaults();
	const char *why = "?";
	char *error = NULL;

	memset(w, 0, sizeof(*w));
	corpus_new(&w->corpus, CORPUS_SMALL, MESSAGES);
	a = w->corpus.arena;
	make_signed(w, &w->rsa, false);
	make_signed(w, &w->ed, true);
	make_sealed(w);
	w->arena = arena_new(SIZE_MAX);
	backend = dns_zone_new(a, w->corpus.zone, &why);
	w->crypto = crypto_new(a, &why);
	if (backend == NULL || w->crypto == NULL)
		fail_msg("%s", why);
	conf->authserv_id = SLICE("mx.here.example");
	conf->authserv_ids = &conf->authserv_id;
	conf->authserv_id_count = 1;
	w->resolver = resolver_new(backend, NULL);
	w->service = service_over(conf, w->resolver, &w->traffic, NULL, &error);
	if (w->service == NULL)
		fail_msg("%s", error);
	w->evaluator = evaluator_new(&evaluator_defaults, w->resolver, w->crypto);
	service_slot_init(&w->slot, service_ref(w->service));
	(void)snprintf(w->folder, sizeof(w->folder), "/tmp/assay-fixed.XXXXXX");
	if (mkdtemp(w->folder) == NULL)
		fail_msg("no folder");
	open_front(w, &front_libmilter);
	open_front(w, &front_native);
}

static void
measure(struct world_fixed *w, const struct fixed_case *c)
{
	for (int i = 0; i < 2; i++) { /* answers to the cache, keys decoded, threads there */
		c->run(w);
		arena_reset(w->arena);
	}
	CALLGRIND_START_INSTRUMENTATION;
	for (int i = 0; i < ROUNDS; i++) {
		c->run(w);
		arena_reset(w->arena);
	}
	CALLGRIND_STOP_INSTRUMENTATION;
	CALLGRIND_DUMP_STATS_AT(c->name);
	(void)printf("%s %d\n", c->name, ROUNDS);
}

/* Threads of the fronts still use the world: it goes with the process. */
int
main(int argc, char **argv)
{
	static struct world_fixed w;
	char command[128];

	open_world(&w);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (argc < 2 || strcmp(argv[1], cases[i].name) == 0)
			measure(&w, &cases[i]);
	(void)fflush(stdout);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", w.folder);
	_exit(system(command) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}
