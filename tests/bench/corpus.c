/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/corpus.h"

#include <stdint.h>
#include <string.h>

#include "policy/base/strbuf.h"
#include "tests/support/dkim_signer.h"

#define RSA_KEYS	 4
#define ED_KEYS		 2
#define MESSAGES_EACH	 4  /* of one domain */
#define FORGED_EACH	 10 /* one in so many */
#define SENDERS		 50
#define TEXT_BYTES	 (64u * 1024 * 1024)
#define ATTACHMENT_BYTES (200 * 1024) /* bodies from here on are one */
#define ATTACHMENT_LINE	 76
#define LINE_BYTES	 72

struct maker {
	struct corpus *corpus;
	enum corpus_kind kind;
	struct arena *arena; /* of the corpus */
	struct arena *scratch;
	struct test_key *rsa[RSA_KEYS], *ed[ED_KEYS];
	struct strbuf zone;
	uint64_t state;	    /* xorshift64* */
	size_t known[2];    /* domains in the zone: genuine, forged */
	size_t large_bytes; /* of the one message that is made; 0: as kind says */
};

static uint32_t
dice(struct maker *m, uint32_t sides)
{
	m->state ^= m->state >> 12;
	m->state ^= m->state << 25;
	m->state ^= m->state >> 27;
	return (uint32_t)((m->state * 2685821657736338717u) >> 32) % sides;
}

static const char *
word(struct maker *m)
{
	static const char *const words[] = { "account", "after", "agenda", "amount", "answer",
		"before", "board", "change", "customer", "delivery", "draft", "evening", "figures",
		"forward", "invoice", "letter", "meeting", "monday", "notice", "number", "office",
		"order", "paper", "please", "project", "question", "regards", "report", "schedule",
		"second", "shipment", "team", "thanks", "the", "ticket", "today", "update",
		"week" };

	return words[dice(m, sizeof(words) / sizeof(words[0]))];
}

/* Lines of words, now and then an empty one, blanks doubled or at a line's end. */
static struct slice
make_body(struct maker *m, size_t bytes)
{
	struct strbuf b;
	size_t line = 0;

	strbuf_init(&b, m->scratch, TEXT_BYTES);
	while (b.len < bytes) {
		strbuf_str(&b, word(m));
		strbuf_str(&b, dice(m, 40) == 0 ? "  " : " ");
		if (b.len - line > LINE_BYTES) {
			if (dice(m, 8) != 0)
				b.len--;
			strbuf_str(&b, dice(m, 12) == 0 ? "\r\n\r\n" : "\r\n");
			line = b.len;
		}
	}
	strbuf_str(&b, "\r\n");
	return arena_copy(m->arena, strbuf_slice(&b));
}

/* An attachment: lines of base64. */
static struct slice
make_attachment(struct maker *m, size_t bytes)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *p = arena_bytes(m->arena, bytes);

	for (size_t i = 0; i < bytes; i++)
		p[i] = digits[dice(m, 64)];
	for (size_t i = ATTACHMENT_LINE; i + 2 <= bytes; i += ATTACHMENT_LINE + 2)
		memcpy(p + i, "\r\n", 2);
	memcpy(p + bytes - 2, "\r\n", 2);
	return slice_of(p, bytes);
}

static size_t
body_bytes(const struct maker *m, size_t number)
{
	size_t percent = number % 100;

	if (m->kind != CORPUS_MIXED || percent < 70)
		return 2 * 1024;
	if (percent < 90)
		return 20 * 1024;
	return percent < 99 ? 200 * 1024 : 5 * 1024 * 1024;
}

/* ---- header ---- */

static void
add(struct maker *m, struct bench_message *b, const char *name, const char *value)
{
	header_list_add(&b->header, m->arena, slice_str(name), slice_str(value));
}

static void
add_received(struct maker *m, struct bench_message *b)
{
	for (unsigned i = 0; i < 4; i++)
		add(m, b, "Received",
		    arena_printf(m->scratch,
			" from relay%u.%s (relay%u.%s [198.51.100.%u])\r\n"
			"\tby hub%u.%s (Postfix) with ESMTPS id %08X%u\r\n"
			"\tfor %s; Thu, 26 Nov 2026 08:%02u:%02u +0000 (UTC)",
			i, b->client_name, i, b->client_name, dice(m, 250), i, b->client_name,
			dice(m, 0x7fffffff), dice(m, 9), b->to, dice(m, 60), dice(m, 60)));
}

static void
add_text_fields(struct maker *m, struct bench_message *b, const char *domain, size_t number)
{
	add(m, b, "Date", " Thu, 26 Nov 2026 08:00:00 +0000");
	add(m, b, "From",
	    arena_printf(m->scratch, " \"%s %s\" <news@%s>", word(m), word(m), domain));
	add(m, b, "To", arena_printf(m->scratch, " %s", b->to));
	add(m, b, "Subject",
	    arena_printf(
		m->scratch, " %s %s %s\r\n %s %s", word(m), word(m), word(m), word(m), word(m)));
	add(m, b, "Message-ID",
	    arena_printf(m->scratch, " <%08zx.%08X@%s>", number, dice(m, 0x7fffffff), domain));
	add(m, b, "MIME-Version", " 1.0");
	add(m, b, "Content-Type", " text/plain; charset=utf-8");
	add(m, b, "Content-Transfer-Encoding", " 7bit");
}

static void
add_other_fields(struct maker *m, struct bench_message *b, const char *domain)
{
	static const char *const names[] = { "X-Mailer", "X-Campaign", "X-Report-Abuse-To",
		"X-Entity-Ref", "X-Priority", "Feedback-ID", "Precedence", "Auto-Submitted",
		"X-Originating-IP", "Organization", "Reply-To" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		add(m, b, names[i],
		    arena_printf(m->scratch, " %s-%s-%08X", word(m), word(m), dice(m, 0x7fffffff)));
	add(m, b, "List-Unsubscribe",
	    arena_printf(m->scratch, " <https://%s/u/%08X>,\r\n <mailto:u@%s>", domain,
		dice(m, 0x7fffffff), domain));
	add(m, b, "List-Unsubscribe-Post", " List-Unsubscribe=One-Click");
}

/* ---- signatures ---- */

/* Puts value above all other fields. */
static void
prepend(struct maker *m, struct bench_message *b, const char *name, struct slice value)
{
	header_list_add(&b->header, m->arena, slice_str(name), value);
	if (b->header.count > 1) {
		struct header_field *f = b->header.fields, last = f[b->header.count - 1];

		memmove(f + 1, f, (b->header.count - 1) * sizeof(*f));
		f[0] = last;
	}
}

static void
sign(struct maker *m, struct bench_message *b, const char *domain, size_t number, bool ed)
{
	static const char *const canons[] = { "relaxed/relaxed", "relaxed/relaxed",
		"relaxed/simple", "simple/simple" };
	size_t key = number % (ed ? ED_KEYS : RSA_KEYS);
	const char *template = arena_printf(m->scratch,
	    " v=1; a=%s-sha256; c=%s; d=%s; s=%s%zu;\r\n"
	    "\tt=1700000000; h=From:To:Subject:Date:Message-ID:MIME-Version:\r\n"
	    "\t Content-Type:List-Unsubscribe:List-Unsubscribe-Post;\r\n"
	    "\tbh=@BH@;\r\n\tb=@B@",
	    ed ? "ed25519" : "rsa", canons[dice(m, 4)], domain, ed ? "ed" : "rsa", key);

	prepend(m, b, "DKIM-Signature",
	    test_sign(m->scratch, ed ? m->ed[key] : m->rsa[key], "DKIM-Signature",
		slice_str(template), &b->header, b->body));
	b->dkim_results = slice_str(arena_printf(
	    m->arena, "%.*s; dkim=pass header.d=%s", SLICE_ARG(b->dkim_results), domain));
}

/*
 * One in four is signed by its sending service as well, which the author's domain does not align;
 * one in twenty has an Ed25519 signature beside that of RSA, as RFC 8463 advises signers.
 */
static void
sign_all(struct maker *m, struct bench_message *b, const char *domain, size_t number)
{
	uint32_t kind = dice(m, 20);
	bool distinct = m->kind == CORPUS_DISTINCT;

	if (kind == 0)
		sign(m, b, domain, number, true);
	else if (kind <= 5)
		sign(m, b, distinct ? domain : "service.example", number + 1, false);
	sign(m, b, domain, number, false);
}

static struct slice
repeat(struct maker *m, struct slice text, size_t bytes)
{
	char *p = arena_alloc(m->arena, bytes);

	for (size_t at = 0; at < bytes; at += text.len)
		memcpy(p + at, text.p, bytes - at < text.len ? bytes - at : text.len);
	return slice_of(p, bytes);
}

/* Unsigned, or with a body that is not the one that was signed. */
static void
forge(struct maker *m, struct bench_message *b, const char *domain, size_t number)
{
	b->forged = true;
	if (dice(m, 2) == 0 && m->large_bytes == 0)
		return;
	sign(m, b, domain, number, false);
	b->dkim_results = SLICE("");
	if (m->large_bytes > 0)
		b->body = repeat(m, b->body, m->large_bytes);
	else
		((char *)(uintptr_t)b->body.p)[b->body.len / 2] ^= 1;
}

/* ---- zone ---- */

static void
zone_txt(struct maker *m, const char *name, const char *text)
{
	strbuf_add(&m->zone, test_zone_txt(m->scratch, name, slice_str(text)));
}

static void
zone_keys(struct maker *m, const char *domain)
{
	for (size_t i = 0; i < RSA_KEYS + ED_KEYS; i++) {
		bool ed = i >= RSA_KEYS;
		size_t n = ed ? i - RSA_KEYS : i;

		strbuf_add(&m->zone,
		    test_zone_txt(m->scratch,
			arena_printf(
			    m->scratch, "%s%zu._domainkey.%s", ed ? "ed" : "rsa", n, domain),
			test_key_record(m->scratch, ed ? m->ed[n] : m->rsa[n])));
	}
}

static void
zone_domain(
    struct maker *m, const char *domain, const char *author, const char *networks, bool include)
{
	const char *included = arena_printf(m->scratch, "_spf.%s", domain);

	zone_txt(
	    m, include ? included : author, arena_printf(m->scratch, "v=spf1 %s -all", networks));
	if (include)
		zone_txt(m, author, arena_printf(m->scratch, "v=spf1 include:%s -all", included));
	zone_txt(m, arena_printf(m->scratch, "_dmarc.%s", domain),
	    arena_printf(m->scratch, "v=DMARC1; p=reject; rua=mailto:dmarc@%s", domain));
	strbuf_printf(&m->zone, "%s A 300 192.0.2.1\n", author);
	zone_keys(m, author);
}

static void
zone_sender(struct maker *m, const char *name, size_t number)
{
	strbuf_printf(
	    &m->zone, "%zu.%zu.18.198.in-addr.arpa PTR 300 %s\n", number & 255, number >> 8, name);
	strbuf_printf(&m->zone, "%s A 300 198.18.%zu.%zu\n", name, number >> 8, number & 255);
	zone_txt(m, name,
	    m->kind == CORPUS_DISTINCT ? "v=spf1 ip4:198.18.0.0/16 -all" : "v=spf1 a -all");
}

/* ---- the whole ---- */

/* The author's domain, and what the zone says of it when it comes for the first time. */
static const char *
make_domain(struct maker *m, size_t number, bool forged)
{
	/* DISTINCT: how many questions follow each other is the same for all. */
	bool plain = forged || m->kind == CORPUS_DISTINCT;
	size_t each = forged ? 4 * FORGED_EACH : m->kind == CORPUS_DISTINCT ? 1 : MESSAGES_EACH;
	size_t n = number / each;
	const char *domain = arena_printf(m->arena, "%c%zu.example", forged ? 'v' : 'd', n),
		   *author = domain;

	if (!plain && n % 5 == 4)
		author = arena_printf(m->arena, "news.%s", domain);
	if (m->known[forged] <= n) {
		zone_domain(m, domain, author,
		    forged ? "ip4:203.0.113.0/24" : "ip4:198.18.0.0/16 ip4:198.19.0.0/16",
		    !plain && n % 2 == 1);
		m->known[forged] = n + 1;
	}
	return author;
}

static void
make_message(struct maker *m, size_t number)
{
	struct bench_message *b = &m->corpus->messages[number];
	bool forged = m->large_bytes > 0 ||
	    (m->kind != CORPUS_DISTINCT && number % FORGED_EACH == 3);
	size_t sender = m->kind == CORPUS_DISTINCT ? number : number % SENDERS;
	const char *author = make_domain(m, number, forged);

	*b = (struct bench_message){ .dkim_results = SLICE("") };
	b->client_ip = arena_printf(m->arena, "198.18.%zu.%zu", sender >> 8, sender & 255);
	b->client_name = arena_printf(m->arena, "mx%zu.senders.example", sender);
	b->from = arena_printf(m->arena, "<bounce@%s>", author);
	b->to = arena_printf(m->arena, "<user%u@here.example>", dice(m, 1000));
	b->body = body_bytes(m, number) < ATTACHMENT_BYTES
	    ? make_body(m, body_bytes(m, number))
	    : make_attachment(m, body_bytes(m, number));
	add_received(m, b);
	add_text_fields(m, b, author, number);
	add_other_fields(m, b, author);
	if (forged)
		forge(m, b, author, number);
	else
		sign_all(m, b, author, number);
	arena_reset(m->scratch);
}

static void
make_keys(struct maker *m)
{
	for (size_t i = 0; i < RSA_KEYS; i++)
		m->rsa[i] = test_key_rsa_seeded(
		    2048, arena_printf(m->scratch, "assay bench rsa %zu", i));
	for (size_t i = 0; i < ED_KEYS; i++)
		m->ed[i] = test_key_ed25519_seeded(
		    arena_printf(m->scratch, "assay bench ed %zu", i));
}

static void
make_corpus(struct corpus *c, enum corpus_kind kind, size_t messages, size_t large_bytes)
{
	struct maker m = {
		.corpus = c, .kind = kind, .state = 0x9e3779b97f4a7c15u, .large_bytes = large_bytes
	};

	*c = (struct corpus){ .arena = arena_new(SIZE_MAX), .count = messages };
	m.arena = c->arena;
	m.scratch = arena_new(SIZE_MAX);
	c->messages = arena_array(c->arena, messages, sizeof(*c->messages));
	strbuf_init(&m.zone, c->arena, TEXT_BYTES);
	make_keys(&m);
	zone_keys(&m, "service.example");
	for (size_t i = 0; i < (kind == CORPUS_DISTINCT ? messages : SENDERS); i++)
		zone_sender(&m, arena_printf(m.scratch, "mx%zu.senders.example", i), i);
	for (size_t i = 0; i < messages; i++)
		make_message(&m, i);
	c->zone = strbuf_slice(&m.zone);
	for (size_t i = 0; i < RSA_KEYS; i++)
		test_key_free(&m.rsa[i]);
	for (size_t i = 0; i < ED_KEYS; i++)
		test_key_free(&m.ed[i]);
	arena_free(&m.scratch);
}

void
corpus_free(struct corpus *c)
{
	arena_free(&c->arena);
}

void
corpus_new(struct corpus *c, enum corpus_kind kind, size_t messages)
{
	make_corpus(c, kind, messages, 0);
}

void
corpus_new_large(struct corpus *c, size_t body_bytes)
{
	make_corpus(c, CORPUS_SMALL, 1, body_bytes);
}
