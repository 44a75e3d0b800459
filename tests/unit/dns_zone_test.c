/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Zone text: what it answers, what it refuses, and that the recorder's text answers the same. The
 * rows print an answer as "status ttl record|record".
 */
#include <string.h>

#include "policy/base/strbuf.h"
#include "policy/dns/internal.h"
#include "tests/support/support.h"

static const char zone_text[] = "# a comment\n"
				"; another\n"
				"\n"
				"a.example A 60 192.0.2.1\r\n"
				"A.Example.  A  30\t192.0.2.2  \n"
				"a.example AAAA 60 2001:db8::1\n"
				"mapped.example AAAA 60 ::ffff:192.0.2.9\n"
				"mx.example MX 60 20 B.example.\n"
				"mx.example MX 60 10 a.example\n"
				"mx.example MX 60 20 a.example\n"
				"nomx.example MX 60 0 .\n"
				"txt.example TXT 60 \"v=spf1 \" \"-all\"\n"
				"txt.example TXT 60 \"\"\n"
				"esc.example TXT 60 \"a\\\"b\\\\c\\000\\255;#\"\n"
				"sp\\032ace.example A 60 192.0.2.3\n"
				"semi\\059.example A 60 192.0.2.4\n"
				"1.2.0.192.in-addr.arpa PTR 60 host.example\n"
				"bang.example PTR 60 \\033servfail.example\n"
				"ns.example NS 60 ns1.example\n"
				"deep.under.ent.example A 60 192.0.2.5\n"
				/* failures */
				"fail.example TXT 7 !SERVFAIL\n"
				"fail.example A 60 192.0.2.6\n"
				"slow.example ANY 8 !TIMEOUT\n"
				"slow.example A 60 192.0.2.7\n"
				"gone.example ANY 9 !NXDOMAIN\n"
				"below.gone.example A 60 192.0.2.8\n"
				"empty.example TXT 11 !nodata\n"
				"bogus.example ANY 12 !BOGUS\n"
				"odd.example ANY 13 !MALFORMED\n"
				/* RFC 4592 2.2.1, its zone */
				"wild.example MX 60 10 host1.wild.example\n"
				"*.wild.example TXT 60 \"this is a wildcard\"\n"
				"*.wild.example MX 60 10 host1.wild.example\n"
				"sub.*.wild.example TXT 60 \"this is not a wildcard\"\n"
				"host1.wild.example A 60 192.0.2.10\n"
				"_ssh._tcp.host1.wild.example TXT 60 \"srv\"\n"
				"_ssh._tcp.host2.wild.example TXT 60 \"srv\"\n"
				"*.alias.example CNAME 40 a.example\n"
				/* CNAME */
				"one.example CNAME 50 two.example\n"
				"two.example CNAME 20 a.example\n"
				"dangling.example CNAME 60 nowhere.example\n"
				"loop.example CNAME 60 loop2.example\n"
				"loop2.example CNAME 60 loop.example\n"
				"tofail.example CNAME 60 fail.example\n"
				"toroot.example CNAME 60 .\n";

static const struct {
	const char *name;
	enum dns_type type;
	const char *want;
	const char *rule;
} answers[] = {
	{ "a.example", DNS_A, "ok 30 192.0.2.1|192.0.2.2", "RFC 2181 5.2: one TTL a set" },
	{ "a.example", DNS_AAAA, "ok 60 2001:db8::1", "" },
	{ "a.example", DNS_TXT, "nodata 30", "" },
	{ "mapped.example", DNS_AAAA, "ok 60 192.0.2.9", "RFC 7208 5" },
	{ "mx.example", DNS_MX, "ok 60 10 a.example|20 b.example|20 a.example",
	    "RFC 5321 5.1: by preference; order kept within" },
	{ "nomx.example", DNS_MX, "ok 60 0 .", "RFC 7505" },
	{ "txt.example", DNS_TXT, "ok 60 \"v=spf1 -all\"|\"\"", "RFC 7208 3.3" },
	{ "esc.example", DNS_TXT, "ok 60 \"a\"b\\x5cc\\x00\\xff;#\"", "" },
	{ "sp ace.example", DNS_A, "ok 60 192.0.2.3", "RFC 2181 11" },
	{ "semi;.example", DNS_A, "ok 60 192.0.2.4", "" },
	{ "1.2.0.192.in-addr.arpa", DNS_PTR, "ok 60 host.example", "" },
	{ "bang.example", DNS_PTR, "ok 60 !servfail.example", "" },
	{ "ns.example", DNS_NS, "ok 60 ns1.example", "" },
	{ "example", DNS_A, "nodata 300", "RFC 4592 2.2.2: empty non-terminal" },
	{ "under.ent.example", DNS_A, "nodata 300", "RFC 4592 2.2.2" },
	{ "x.under.ent.example", DNS_A, "nxdomain 300", "" },
	{ "nowhere.example", DNS_A, "nxdomain 300", "" },
	{ "nowhere", DNS_A, "nxdomain 300", "" },
	{ "fail.example", DNS_TXT, "tempfail 7 server failure", "" },
	{ "fail.example", DNS_A, "ok 60 192.0.2.6", "special of one type leaves the others" },
	{ "slow.example", DNS_TXT, "tempfail 8 timed out", "" },
	{ "slow.example", DNS_A, "ok 60 192.0.2.7", "what is listed goes before ANY" },
	{ "gone.example", DNS_A, "nxdomain 9", "said so, though a name lies below" },
	{ "below.gone.example", DNS_A, "ok 60 192.0.2.8", "" },
	{ "empty.example", DNS_TXT, "nodata 11", "" },
	{ "bogus.example", DNS_A, "tempfail 12 DNSSEC validation failed", "" },
	{ "odd.example", DNS_A, "tempfail 13 malformed answer", "" },
	/* RFC 4592 2.2.1: the examples given there */
	{ "host3.wild.example", DNS_MX, "ok 60 10 host1.wild.example", "RFC 4592 2.2.1" },
	{ "host3.wild.example", DNS_A, "nodata 60", "RFC 4592 2.2.1" },
	{ "foo.bar.wild.example", DNS_TXT, "ok 60 \"this is a wildcard\"", "RFC 4592 2.2.1" },
	{ "host1.wild.example", DNS_MX, "nodata 60", "RFC 4592 2.2.1: host1 exists" },
	{ "sub.*.wild.example", DNS_MX, "nodata 60", "RFC 4592 2.2.1: it exists" },
	{ "_telnet._tcp.host1.wild.example", DNS_TXT, "nxdomain 300",
	    "RFC 4592 2.2.1: _tcp.host1 exists, no wildcard below it" },
	{ "host2.wild.example", DNS_TXT, "nodata 300",
	    "RFC 4592 2.2.2: an empty non-terminal keeps the wildcard away" },
	{ "ghost.*.wild.example", DNS_MX, "nxdomain 300",
	    "RFC 4592 2.2.1: the closest encloser is *.wild.example itself" },
	{ "*.wild.example", DNS_TXT, "ok 60 \"this is a wildcard\"", "RFC 4592 2.1.1" },
	{ "x.alias.example", DNS_A, "ok 30 192.0.2.1|192.0.2.2", "RFC 4592 4.4" },
	{ "x.alias.example", DNS_CNAME, "ok 40 a.example", "RFC 1034 3.6.2: not followed" },
	{ "one.example", DNS_AAAA, "ok 20 2001:db8::1", "RFC 1034 3.6.2; least TTL" },
	{ "one.example", DNS_CNAME, "ok 50 two.example", "" },
	{ "one.example", DNS_MX, "nodata 20", "" },
	{ "dangling.example", DNS_A, "nxdomain 60", "RFC 6604 3: rcode is that of the end" },
	{ "loop.example", DNS_A, "tempfail 60 server failure", "LIMIT_CNAME_CHAIN" },
	{ "tofail.example", DNS_TXT, "tempfail 7 server failure", "" },
	{ "toroot.example", DNS_A, "nxdomain 60", "" },
};

static void
print_record(struct strbuf *b, struct arena *a, const struct dns_record *r, enum dns_type type)
{
	char ip[IP_TEXT_BYTES];

	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		strbuf_str(b, ip_print(&r->address, ip));
		return;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		strbuf_add(b, r->name);
		return;
	case DNS_MX:
		strbuf_printf(b, "%u %s", (unsigned)r->mx.preference,
		    r->mx.host.len == 0 ? "." : arena_str(a, r->mx.host));
		return;
	case DNS_TXT:
		strbuf_printf(b, "\"%s\"", arena_printable(a, r->text, r->text.len));
		return;
	}
}

static const char *
print_answer(struct arena *a, const struct dns_answer *answer, enum dns_type type)
{
	struct strbuf b;

	strbuf_init(&b, a, 1 << 20);
	strbuf_printf(&b, "%s %u", dns_status_word(answer->status), (unsigned)answer->ttl_s);
	if (answer->reason != DNS_R_NONE)
		strbuf_printf(&b, " %s", dns_reason_text(answer->reason));
	for (size_t i = 0; i < answer->count; i++) {
		strbuf_char(&b, i == 0 ? ' ' : '|');
		print_record(&b, a, &answer->records[i], type);
	}
	return strbuf_slice(&b).p;
}

static void
zone_answers(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct zone zone;
	const char *error;

	(void)state;
	if (zone_parse(a, SLICE(zone_text), &zone, a, &error) != 0)
		fail_msg("%s", error);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct dns_name name;
		const struct dns_answer *answer;
		const char *got;

		assert_int_equal(dns_name_set(&name, slice_str(answers[i].name)), 0);
		answer = zone_answer(&zone, dns_name_slice(&name), answers[i].type);
		got = print_answer(a, answer, answers[i].type);
		if (strcmp(got, answers[i].want) != 0)
			fail_msg("%s %s:\n  got  %s\n  want %s\n  (%s)", answers[i].name,
			    dns_type_word(answers[i].type), got, answers[i].want, answers[i].rule);
		dns_answer_unref(&answer);
	}
	arena_free(&a);
}

#define LABEL63 "0123456789012345678901234567890123456789012345678901234567890ab"

static void
zone_faults(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "a.example", "line 1: unknown type: \"\"" },
		{ "\n# x\na.example SRV 60 x", "line 3: unknown type: \"SRV\"" },
		{ "a.example A x 192.0.2.1", "line 1: TTL is not a number of seconds: \"x\"" },
		{ "a.example A -1 192.0.2.1", "line 1: TTL is not a number of seconds: \"-1\"" },
		{ "a.example A 2147483648 192.0.2.1",
		    "line 1: TTL is not a number of seconds: \"2147483648\"" },
		{ "a.example A 60", "line 1: not an address of that type: \"\"" },
		{ "a.example A 60 192.0.2.1 x",
		    "line 1: not an address of that type: \"192.0.2.1 x\"" },
		{ "a.example A 60 2001:db8::1",
		    "line 1: not an address of that type: \"2001:db8::1\"" },
		{ "a.example AAAA 60 192.0.2.1",
		    "line 1: not an address of that type: \"192.0.2.1\"" },
		{ "a.example MX 60 a.example",
		    "line 1: MX preference is not a number of 0..65535: \"a.example\"" },
		{ "a.example MX 60 65536 a.example",
		    "line 1: MX preference is not a number of 0..65535: \"65536\"" },
		{ "a.example MX 60 10", "line 1: not a domain name: \"\"" },
		{ "a.example MX 60 10 a.example b",
		    "line 1: more than preference and host: \" b\"" },
		{ "a.example TXT 60 text", "line 1: string without opening quote: \"text\"" },
		{ "a.example TXT 60", "line 1: string without opening quote: \"\"" },
		{ "a.example TXT 60 \"a", "line 1: string without closing quote: \"\"a\"" },
		{ "a.example TXT 60 \"a\"\"b\"", "line 1: no space between strings: \"\"b\"\"" },
		{ "a.example TXT 60 \"\\256\"", "line 1: bad escape in string: \"\\x5c256\"\"" },
		{ "a.example TXT 60 \"\\x\"", "line 1: bad escape in string: \"\\x5cx\"\"" },
		{ "a.example ANY 60 192.0.2.1",
		    "line 1: ANY wants a special answer (!SERVFAIL, !TIMEOUT, !NXDOMAIN): "
		    "\"192.0.2.1\"" },
		{ "a.example A 60 !FOO", "line 1: unknown special answer: \"!FOO\"" },
		{ "a..example A 60 192.0.2.1", "line 1: not a domain name: \"a..example\"" },
		{ ". A 60 192.0.2.1", "line 1: not a domain name: \".\"" },
		{ LABEL63 "c.example A 60 192.0.2.1",
		    "line 1: not a domain name: "
		    "\"012345678901234567890123456789012345678901234567890123456789...\"" },
		{ "a\\046b.example A 60 192.0.2.1",
		    "line 1: bad escape in name: \"a\\x5c046b.example\"" },
		{ "a\"b.example A 60 192.0.2.1",
		    "line 1: byte that must be written \\DDD in name: \"a\"b.example\"" },
		{ "\xc3\xa9.example A 60 192.0.2.1",
		    "line 1: byte that must be written \\DDD in name: "
		    "\"\\xc3\\xa9.example\"" },
	};
	struct arena *a = arena_new(1 << 20);
	const char *error;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dns_backend *b = dns_zone_new(a, slice_str(rows[i].text), &error);

		if (b != NULL)
			fail_msg("\"%s\" was taken", rows[i].text);
		if (strcmp(error, rows[i].want) != 0)
			fail_msg(
			    "\"%s\":\n  got  %s\n  want %s", rows[i].text, error, rows[i].want);
	}
	arena_free(&a);
}

/* Text of n bytes in strings of part bytes. */
static const char *
long_txt(struct arena *a, size_t n, size_t part)
{
	struct strbuf b;

	strbuf_init(&b, a, 1 << 20);
	strbuf_str(&b, "a.example TXT 60 \"");
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && i % part == 0)
			strbuf_str(&b, "\" \"");
		strbuf_char(&b, 'x');
	}
	strbuf_str(&b, "\"\n");
	return strbuf_slice(&b).p;
}

static void
zone_limits(void **state)
{
	static const struct {
		size_t bytes, part;
		bool valid;
	} rows[] = {
		{ 255, 255, true },
		{ 256, 256, false }, /* RFC 1035 3.3 */
		{ LIMIT_DNS_RDATA_BYTES, 255, true },
		{ LIMIT_DNS_RDATA_BYTES + 1, 255, false },
	};
	struct arena *a = arena_new(1 << 20);
	const char *error;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct zone zone;
		int rc = zone_parse(
		    a, slice_str(long_txt(a, rows[i].bytes, rows[i].part)), &zone, a, &error);

		if ((rc == 0) != rows[i].valid)
			fail_msg("%zu bytes: rc %d", rows[i].bytes, rc);
	}
	arena_free(&a);
}

/* Of names the first are kept; of what decides by being there or not all or none is read. */
static void
zone_record_limit(void **state)
{
	static const struct {
		enum dns_type type;
		unsigned lines;
		enum dns_status status;
		size_t count;
	} cases[] = {
		{ DNS_PTR, LIMIT_DNS_RECORDS + 5, DNS_OK, LIMIT_DNS_RECORDS },
		{ DNS_TXT, LIMIT_DNS_RECORDS, DNS_OK, LIMIT_DNS_RECORDS },
		{ DNS_TXT, LIMIT_DNS_RECORDS + 1, DNS_TEMPFAIL, 0 },
		{ DNS_TXT, LIMIT_DNS_RECORDS + 5, DNS_TEMPFAIL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *a = arena_new(1 << 20);
		const struct dns_answer *answer;
		struct strbuf b;
		struct zone zone;
		const char *error;

		strbuf_init(&b, a, 1 << 20);
		for (unsigned n = 0; n < cases[i].lines; n++)
			strbuf_printf(&b, "a.example %s 60 %s%u%s\n", dns_type_word(cases[i].type),
			    cases[i].type == DNS_TXT ? "\"" : "h", n,
			    cases[i].type == DNS_TXT ? "\"" : ".example");
		assert_int_equal(zone_parse(a, strbuf_slice(&b), &zone, a, &error), 0);
		answer = zone_answer(&zone, SLICE("a.example"), cases[i].type);
		assert_int_equal(answer->status, cases[i].status);
		assert_int_equal(answer->count, cases[i].count);
		if (cases[i].status == DNS_TEMPFAIL)
			assert_int_equal(answer->reason, DNS_R_RECORDS);
		dns_answer_unref(&answer);
		arena_free(&a);
	}
}

/* ---- the recorder ---- */

static const enum dns_type all_types[] = { DNS_A, DNS_NS, DNS_CNAME, DNS_PTR, DNS_MX, DNS_TXT,
	DNS_AAAA };

/* Ask the questions of rows [from, to) of all types in the mask over zone text; the log. */
static struct lookups *
ask_all(struct arena *a, struct resolver *r, unsigned type_mask)
{
	static const struct lookups_limits limits = { 1000, 10000, 1000 };
	struct lookups *l = lookups_new(a, r, &limits);

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		for (size_t t = 0; t < sizeof(all_types) / sizeof(all_types[0]); t++)
			if ((type_mask & 1u << t) != 0)
				(void)lookups_ask(l, slice_str(answers[i].name), all_types[t]);
	(void)lookups_ask(l, SLICE("a..b"), DNS_A);
	return l;
}

static struct resolver *
resolver_over(struct arena *a, struct slice text)
{
	const char *error;
	struct dns_backend *b = dns_zone_new(a, text, &error);

	if (b == NULL)
		fail_msg("%s\n%s", error, arena_str(a, text));
	return resolver_new(b, NULL);
}

static void
same_answers(struct arena *a, struct lookups *first, struct lookups *second)
{
	size_t n, m;
	const struct lookup *x = lookups_log(first, &n), *y = lookups_log(second, &m);

	assert_int_equal(n, m);
	for (size_t i = 0; i < n; i++) {
		const char *before = print_answer(a, x[i].answer, x[i].type);
		const char *after = print_answer(a, y[i].answer, y[i].type);

		/* A name's empty answers share one TTL. */
		if (x[i].answer->status == DNS_NODATA && y[i].answer->status == DNS_NODATA)
			continue;
		if (strcmp(before, after) != 0)
			fail_msg("%s %s:\n  first  %s\n  replay %s", arena_str(a, x[i].name),
			    dns_type_word(x[i].type), before, after);
	}
}

/* For every set of types asked: what was written answers as what was asked. */
static void
write_then_read(void **state)
{
	(void)state;
	for (unsigned mask = 1; mask < 1u << (sizeof(all_types) / sizeof(all_types[0])); mask++) {
		struct arena *a = arena_new(1 << 24);
		struct resolver *r = resolver_over(a, SLICE(zone_text)), *replay;
		struct lookups *l = ask_all(a, r, mask), *again;
		size_t n;
		const struct lookup *log = lookups_log(l, &n);

		replay = resolver_over(a, dns_zone_write(a, log, n));
		again = ask_all(a, replay, mask);
		same_answers(a, l, again);
		lookups_fini(&l);
		lookups_fini(&again);
		resolver_free(&r);
		resolver_free(&replay);
		arena_free(&a);
	}
}

static void
written_text(void **state)
{
	static const struct dns_answer drafts[] = {
		{ .status = DNS_NODATA, .ttl_s = 5 },
		{ .status = DNS_NXDOMAIN, .ttl_s = 6, .security = DNS_SECURE },
		{ .status = DNS_TEMPFAIL,
		    .ttl_s = 7,
		    .reason = DNS_R_BOGUS,
		    .security = DNS_BOGUS,
		    .detail = { "signature\nexpired", 17 } },
		{ .status = DNS_TEMPFAIL, .ttl_s = 8, .reason = DNS_R_BUDGET },
	};
	struct arena *a = arena_new(1 << 20);
	struct lookup log[6] = { 0 };

	(void)state;
	for (size_t i = 0; i < 4; i++)
		log[i] = (struct lookup){ .name = SLICE("a\"b.example"),
			.type = all_types[i == 1 ? 0 : i + 2],
			.answer = &drafts[i] };
	log[4] = (struct lookup){ .name = SLICE("x.example"), .type = DNS_A }; /* a prefetch */
	assert_string_equal(dns_zone_write(a, log, 5).p,
	    "a\\034b.example CNAME 5 !NODATA\n"
	    "; secure\n"
	    "a\\034b.example A 6 !NXDOMAIN\n"
	    "; bogus\n"
	    "; signature\\x0aexpired\n"
	    "a\\034b.example MX 7 !BOGUS\n"
	    "a\\034b.example TXT 8 !TIMEOUT\n");
	log[0].type = DNS_PTR;
	assert_string_equal(dns_zone_write(a, log, 1).p,
	    "; nodata for PTR:\n"
	    "a\\034b.example NS 5 nodata.invalid\n");
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zone_answers),
		cmocka_unit_test(zone_faults),
		cmocka_unit_test(zone_limits),
		cmocka_unit_test(zone_record_limit),
		cmocka_unit_test(write_then_read),
		cmocka_unit_test(written_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
