/* SPDX-License-Identifier: BSD-2-Clause */
/* check_host(): every mechanism, modifier, limit and kind of trouble, each row with its own zone.
 */
#include <string.h>

#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/spf/spf.h"
#include "tests/support/support.h"

struct row {
	const char *rule; /* of RFC 7208 unless it says another */
	const char *zone;
	/* Defaults: 192.0.2.1, user@d.example, mail.h.example. */
	const char *ip, *from, *helo;
	enum spf_result result;
	enum spf_reason reason;
	const char *mechanism, *where; /* record_domain */
	uint32_t lookups, voids;
	const char *explanation; /* NULL: must be empty */
	const char *detail;	 /* part of it; NULL: not looked at */
};

static void
show(const char *what, const struct spf_verdict *v)
{
	print_error(
	    "  %s  %s (%s) by \"%.*s\" in %.*s lookups=%u void=%u exp=\"%.*s\" detail=\"%.*s\"\n",
	    what, spf_result_word(v->result), spf_reason_text(v->reason), SLICE_ARG(v->mechanism),
	    SLICE_ARG(v->record_domain), v->lookups, v->void_lookups, SLICE_ARG(v->explanation),
	    SLICE_ARG(v->detail));
}

static bool
holds(struct slice text, const char *part)
{
	return part == NULL ||
	    (text.len > 0 && memmem(text.p, text.len, part, strlen(part)) != NULL);
}

static void
evaluate(struct world *w, const struct row *row, const struct spf_options *options,
    struct spf_verdict *v)
{
	struct slice from = slice_str(row->from == NULL ? "user@d.example" : row->from);
	size_t at = slice_find_last(from, '@');
	struct spf_input in = {
		.helo = slice_str(row->helo == NULL ? "mail.h.example" : row->helo),
		.local_part = slice_sub(from, 0, at),
		.domain = slice_from(from, at + 1),
		.now_s = 1700000000,
	};

	if (row->ip == NULL || row->ip[0] != '\0')
		assert_int_equal(
		    ip_parse(slice_str(row->ip == NULL ? "192.0.2.1" : row->ip), &in.client), 0);
	spf_evaluate(w->arena, w->lookups, options, &in, v);
}

static void
check(const struct row *row, const struct spf_options *options)
{
	struct spf_verdict v,
	    want = {
		    .result = row->result,
		    .reason = row->reason,
		    .mechanism = slice_str(row->mechanism),
		    .record_domain = slice_str(row->where),
		    .lookups = row->lookups,
		    .void_lookups = row->voids,
		    .explanation = slice_str(row->explanation),
		    .detail = slice_str(row->detail),
	    };
	struct world w;
	bool same;

	world_open(&w, row->zone);
	evaluate(&w, row, options, &v);
	same = v.result == want.result && v.reason == want.reason &&
	    slice_equal(v.mechanism, want.mechanism) &&
	    slice_equal(v.record_domain, want.record_domain) && v.lookups == want.lookups &&
	    v.void_lookups == want.void_lookups && slice_equal(v.explanation, want.explanation) &&
	    holds(v.detail, row->detail);
	if (!same) {
		print_error("FAIL %s\n  zone\n%s\n  from %s ip %s\n", row->rule, row->zone,
		    row->from == NULL ? "user@d.example" : row->from,
		    row->ip == NULL ? "192.0.2.1" : row->ip);
		show("got ", &v);
		show("want", &want);
		fail();
	}
	world_close(&w);
}

#define CHECK_ROWS(rows)                                                                           \
	do {                                                                                       \
		(void)state;                                                                       \
		for (size_t i_ = 0; i_ < sizeof(rows) / sizeof((rows)[0]); i_++)                   \
			check(&(rows)[i_], &spf_defaults);                                         \
	} while (0)

/* The record of d.example, and more lines behind it. */
#define D(record) "d.example TXT 300 \"" record "\"\n"

/* clang-format off */
static const struct row selection[] = {
	{ "4.5 no record", "d.example TXT 300 \"hello\"", .result = SPF_NONE, .reason = SPF_R_NO_RECORD,
	    .where = "d.example", .detail = "has no SPF record" },
	{ "4.3 NXDOMAIN", "x.example A 300 192.0.2.1", .result = SPF_NONE, .reason = SPF_R_NO_RECORD,
	    .where = "d.example", .detail = "does not exist" },
	{ "4.5 v=spf10 is not SPF", D("v=spf10 -all"), .result = SPF_NONE, .reason = SPF_R_NO_RECORD,
	    .where = "d.example" },
	{ "4.5 version alone", D("v=spf1"), .result = SPF_NEUTRAL, .reason = SPF_R_DEFAULT, .where = "d.example" },
	{ "4.5 version in any case", D("V=SpF1 -ALL"), .result = SPF_FAIL, .reason = SPF_R_MATCH,
	    .mechanism = "-ALL", .where = "d.example" },
	{ "3.3 strings are joined without spaces", "d.example TXT 300 \"v=spf1 ip4:192.0\" \".2.1 -all\"",
	    .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "ip4:192.0.2.1", .where = "d.example" },
	{ "3.3 so this is no version", "d.example TXT 300 \"v=spf1\" \"-all\"", .result = SPF_NONE,
	    .reason = SPF_R_NO_RECORD, .where = "d.example" },
	{ "4.5 several records", D("v=spf1 +all") D("v=spf1 -all"), .result = SPF_PERMERROR,
	    .reason = SPF_R_SEVERAL, .where = "d.example", .detail = "d.example has more than one SPF record" },
	{ "4.5 other texts don't count", D("v=spf1 -all") D("v=spf10") D("x"), .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example" },
	{ "4.4 server failure", "d.example TXT 300 !SERVFAIL", .result = SPF_TEMPERROR, .reason = SPF_R_DNS,
	    .where = "d.example", .detail = "TXT d.example: server failure" },
	{ "4.4 time-out", "d.example TXT 300 !TIMEOUT", .result = SPF_TEMPERROR, .reason = SPF_R_DNS,
	    .where = "d.example", .detail = "TXT d.example: timed out" },
	{ "4.4 bogus DNSSEC", "d.example TXT 300 !BOGUS", .result = SPF_TEMPERROR, .reason = SPF_R_DNS,
	    .where = "d.example", .detail = "TXT d.example: DNSSEC validation failed" },
	{ "4.6 an error anywhere spoils the record", D("v=spf1 ip4:192.0.2.1 -all foo:bar"),
	    .result = SPF_PERMERROR, .reason = SPF_R_SYNTAX, .where = "d.example",
	    .detail = "term \"foo:bar\": no such mechanism" },
	{ "CNAME is followed", "d.example CNAME 300 e.example\ne.example TXT 300 \"v=spf1 +all\"",
	    .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "+all", .where = "d.example" },
	{ "7.3 case and final dot of the domain", D("v=spf1 +all"), .from = "u@D.Example.",
	    .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "+all", .where = "d.example" },
};

static const struct row identities[] = {
	{ "4.3 single label", "", .from = "u@localhost", .result = SPF_NONE, .reason = SPF_R_NO_DOMAIN,
	    .where = "localhost", .detail = "\"localhost\" is a single label" },
	{ "4.3 empty label", "", .from = "u@a..example", .result = SPF_NONE, .reason = SPF_R_NO_DOMAIN,
	    .where = "a..example", .detail = "has an empty label" },
	{ "4.3 long label", "", .result = SPF_NONE, .reason = SPF_R_NO_DOMAIN,
	    .from = "u@a123456789012345678901234567890123456789012345678901234567890123.example",
	    .where = "a123456789012345678901234567890123456789012345678901234567890123.example",
	    .detail = "label longer than 63" },
	{ "4.3 no host name", "bank.example(.evil.example TXT 60 \"v=spf1 +all\"", .from = "u@bank.example(.evil.example",
	    .result = SPF_NONE, .reason = SPF_R_NO_DOMAIN, .where = "bank.example(.evil.example", .detail = "no host name" },
	{ "4.3 domain literal", "", .from = "u@[192.0.2.1]", .result = SPF_NONE, .reason = SPF_R_NO_DOMAIN,
	    .where = "[192.0.2.1]", .detail = "address literal" },
	{ "4.3 nothing at all", "", .from = "@", .result = SPF_NONE, .reason = SPF_R_NO_DOMAIN,
	    .where = "", .detail = "is empty" },
	{ "4.1 no address", D("v=spf1 +all"), .ip = "", .result = SPF_NONE, .reason = SPF_R_NO_ADDRESS },
	{ "4.3 no local part is postmaster", D("v=spf1 exists:%{l}.%{o} -all") "postmaster.d.example A 300 127.0.0.2",
	    .from = "@d.example", .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "exists:%{l}.%{o}",
	    .where = "d.example", .lookups = 1 },
	{ "RFC 8616 4 U-labels", "xn--bcher-kva.example TXT 300 \"v=spf1 a:%{d} -all\"\nxn--bcher-kva.example A 300 192.0.2.1",
	    .from = "u@b\xc3\xbc" "cher.example", .result = SPF_PASS, .reason = SPF_R_MATCH,
	    .mechanism = "a:%{d}", .where = "xn--bcher-kva.example", .lookups = 1 },
	{ "RFC 8616 4 U-label in HELO", D("v=spf1 a:%{h} -all") "xn--bcher-kva.example A 300 192.0.2.1",
	    .helo = "b\xc3\xbc" "cher.example", .result = SPF_PASS, .reason = SPF_R_MATCH,
	    .mechanism = "a:%{h}", .where = "d.example", .lookups = 1 },
	{ "RFC 8616 4 %{l} never matches", D("v=spf1 exists:%{l}.x.example a:%{s}.x.example include:%{L}.x.example ?all")
	    "*.x.example A 300 192.0.2.1\n*.x.example TXT 300 \"v=spf1 +all\"", .from = "j\xc3\xb6rg@d.example",
	    .result = SPF_NEUTRAL, .reason = SPF_R_MATCH, .mechanism = "?all", .where = "d.example", .lookups = 3 },
	{ "RFC 8616 4 nor does such a redirect", D("v=spf1 redirect=%{l}.x.example") "*.x.example TXT 300 \"v=spf1 +all\"",
	    .from = "j\xc3\xb6rg@d.example", .result = SPF_NEUTRAL, .reason = SPF_R_DEFAULT,
	    .where = "d.example", .lookups = 1 },
	{ "RFC 8616 4 other terms do", D("v=spf1 ip4:192.0.2.1 -all"), .from = "j\xc3\xb6rg@d.example",
	    .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "ip4:192.0.2.1", .where = "d.example" },
	{ "5 a mapped client is an IPv4 client", D("v=spf1 ip6:::/0 ip4:192.0.2.1 -all"), .ip = "::ffff:192.0.2.1",
	    .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "ip4:192.0.2.1", .where = "d.example" },
};

static const struct row mechanisms[] = {
	{ "4.6.2 qualifiers", D("v=spf1 ~ip4:192.0.2.0/24 +all"), .result = SPF_SOFTFAIL, .reason = SPF_R_MATCH,
	    .mechanism = "~ip4:192.0.2.0/24", .where = "d.example" },
	{ "5.1 after all nothing is tested", D("v=spf1 ?all a:x.example redirect=y.example"), .result = SPF_NEUTRAL,
	    .reason = SPF_R_MATCH, .mechanism = "?all", .where = "d.example" },
	{ "5.6 ip4 beside the network", D("v=spf1 ip4:192.0.2.2 ip4:192.0.2.128/25 -all"), .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example" },
	{ "5.6 ip6", D("v=spf1 ip6:2001:db8::/32 -all"), .ip = "2001:db8:1::1", .result = SPF_PASS,
	    .reason = SPF_R_MATCH, .mechanism = "ip6:2001:db8::/32", .where = "d.example" },
	{ "5 an IPv4 client is listed with ip4 only", D("v=spf1 ip6:::ffff:192.0.2.1 -all"), .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example" },
	{ "5.3 a", D("v=spf1 a -all") "d.example A 300 192.0.2.1", .result = SPF_PASS, .reason = SPF_R_MATCH,
	    .mechanism = "a", .where = "d.example", .lookups = 1 },
	{ "5.3 a of another, with length", D("v=spf1 a:h.example/24//64 -all") "h.example A 300 192.0.2.99",
	    .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "a:h.example/24//64", .where = "d.example", .lookups = 1 },
	{ "5.3 a by IPv6", D("v=spf1 a:h.example/24//64 -all") "h.example AAAA 300 2001:db8::99", .ip = "2001:db8::1",
	    .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "a:h.example/24//64", .where = "d.example", .lookups = 1 },
	{ "5 error in a", D("v=spf1 a:h.example +all") "h.example A 300 !SERVFAIL", .result = SPF_TEMPERROR,
	    .reason = SPF_R_DNS, .mechanism = "a:h.example", .where = "d.example", .lookups = 1,
	    .detail = "a:h.example: A h.example: server failure" },
	{ "4.8 a name DNS can't hold is no match", D("v=spf1 a:a..h.example a:b..h.example a:c..h.example -all"),
	    .result = SPF_FAIL, .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example", .lookups = 3 },
	{ "5.4 mx", D("v=spf1 mx -all") "d.example MX 300 10 m1.example\nd.example MX 300 20 m2.example\n"
	    "m1.example A 300 192.0.2.77\nm2.example A 300 192.0.2.1", .result = SPF_PASS, .reason = SPF_R_MATCH,
	    .mechanism = "mx", .where = "d.example", .lookups = 1 },
	{ "5.4 no implicit MX", D("v=spf1 mx -all") "d.example A 300 192.0.2.1", .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example", .lookups = 1, .voids = 1 },
	{ "5.4 null MX", D("v=spf1 mx -all") "d.example MX 300 0 .", .result = SPF_FAIL, .reason = SPF_R_MATCH,
	    .mechanism = "-all", .where = "d.example", .lookups = 1 },
	{ "4.6.4 hosts of an mx are no void lookups", D("v=spf1 mx -all") "d.example MX 300 1 m1.example\n"
	    "d.example MX 300 2 m2.example\nd.example MX 300 3 m3.example", .ip = "2001:db8::1", .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example", .lookups = 1 },
	{ "5 error at a host of an mx", D("v=spf1 mx +all") "d.example MX 300 1 m1.example\nm1.example A 300 !TIMEOUT",
	    .result = SPF_TEMPERROR, .reason = SPF_R_DNS, .mechanism = "mx", .where = "d.example", .lookups = 1,
	    .detail = "mx: A m1.example: timed out" },
	{ "5.7 exists", D("v=spf1 exists:%{ir}.bl.example -all") "1.2.0.192.bl.example A 300 127.0.0.2",
	    .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "exists:%{ir}.bl.example", .where = "d.example", .lookups = 1 },
	{ "5.7 asks A for an IPv6 client too", D("v=spf1 exists:h.example -all") "h.example A 300 127.0.0.2",
	    .ip = "2001:db8::1", .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "exists:h.example",
	    .where = "d.example", .lookups = 1 },
};

#define PTR1 "1.2.0.192.in-addr.arpa PTR 300 "
static const struct row ptr[] = {
	{ "5.5 below the domain", D("v=spf1 ptr -all") PTR1 "mx.d.example\nmx.d.example A 300 192.0.2.1",
	    .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "ptr", .where = "d.example", .lookups = 1 },
	{ "5.5 not by its end alone", D("v=spf1 ptr:d.example -all") PTR1 "bad-d.example\nbad-d.example A 300 192.0.2.1",
	    .result = SPF_FAIL, .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example", .lookups = 1 },
	{ "5.5 must point back", D("v=spf1 ptr -all") PTR1 "mx.d.example\nmx.d.example A 300 192.0.2.2",
	    .result = SPF_FAIL, .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example", .lookups = 1 },
	{ "5.5 error at PTR is no match", D("v=spf1 ptr -all") PTR1 "!TIMEOUT", .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example", .lookups = 1 },
	{ "5.5 error at an address skips the name", D("v=spf1 ptr -all") PTR1 "e.d.example\n" PTR1 "mx.d.example\n"
	    "e.d.example A 300 !SERVFAIL\nmx.d.example A 300 192.0.2.1", .result = SPF_PASS, .reason = SPF_R_MATCH,
	    .mechanism = "ptr", .where = "d.example", .lookups = 1 },
	{ "4.6.4 no PTR is a void lookup", D("v=spf1 ptr -all"), .result = SPF_FAIL, .reason = SPF_R_MATCH,
	    .mechanism = "-all", .where = "d.example", .lookups = 1, .voids = 1 },
	{ "5.5 IPv6", D("v=spf1 ptr -all") "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR 300 mx.d.example\n"
	    "mx.d.example AAAA 300 2001:db8::1", .ip = "2001:db8::1", .result = SPF_PASS, .reason = SPF_R_MATCH,
	    .mechanism = "ptr", .where = "d.example", .lookups = 1 },
	{ "7.3 p: the domain itself first", D("v=spf1 exists:%{p}.x.example -all") PTR1 "o.example\n" PTR1 "s.d.example\n"
	    PTR1 "d.example\no.example A 300 192.0.2.1\ns.d.example A 300 192.0.2.1\nd.example A 300 192.0.2.1\n"
	    "d.example.x.example A 300 127.0.0.2", .result = SPF_PASS, .reason = SPF_R_MATCH,
	    .mechanism = "exists:%{p}.x.example", .where = "d.example", .lookups = 2 },
	{ "7.3 p: then one below it", D("v=spf1 exists:%{p}.x.example -all") PTR1 "o.example\n" PTR1 "s.d.example\n"
	    "o.example A 300 192.0.2.1\ns.d.example A 300 192.0.2.1\ns.d.example.x.example A 300 127.0.0.2",
	    .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "exists:%{p}.x.example", .where = "d.example", .lookups = 2 },
	{ "7.3 p: then any", D("v=spf1 exists:%{p}.x.example -all") PTR1 "o.example\no.example A 300 192.0.2.1\n"
	    "o.example.x.example A 300 127.0.0.2", .result = SPF_PASS, .reason = SPF_R_MATCH,
	    .mechanism = "exists:%{p}.x.example", .where = "d.example", .lookups = 2 },
	{ "7.3 p: or unknown", D("v=spf1 exists:%{p}.x.example -all") "unknown.x.example A 300 127.0.0.2",
	    .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "exists:%{p}.x.example", .where = "d.example", .lookups = 2 },
	{ "4.6.4 %{p} counts, once", D("v=spf1 exists:%{p}.x.example exists:%{p}.y.example ?all")
	    "unknown.y.example A 300 127.0.0.2", .result = SPF_PASS, .reason = SPF_R_MATCH,
	    .mechanism = "exists:%{p}.y.example", .where = "d.example", .lookups = 3, .voids = 1 },
};

#define SUB(record) "s.example TXT 300 \"" record "\"\n"
static const struct row nesting[] = {
	{ "5.2 pass is a match", D("v=spf1 include:s.example -all") SUB("v=spf1 ip4:192.0.2.1 -all"), .result = SPF_PASS,
	    .reason = SPF_R_MATCH, .mechanism = "ip4:192.0.2.1", .where = "s.example", .lookups = 1,
	    .detail = "by include:s.example at d.example" },
	{ "5.2 fail is none", D("v=spf1 include:s.example ~all") SUB("v=spf1 -all"), .result = SPF_SOFTFAIL,
	    .reason = SPF_R_MATCH, .mechanism = "~all", .where = "d.example", .lookups = 1 },
	{ "5.2 softfail is none", D("v=spf1 include:s.example +all") SUB("v=spf1 ~all"), .result = SPF_PASS,
	    .reason = SPF_R_MATCH, .mechanism = "+all", .where = "d.example", .lookups = 1 },
	{ "5.2 neutral is none", D("v=spf1 include:s.example -all") SUB("v=spf1 ?all"), .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example", .lookups = 1 },
	{ "5.2 no match is none", D("v=spf1 include:s.example -all") SUB("v=spf1"), .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example", .lookups = 1 },
	{ "5.2 the include's qualifier gives the result", D("v=spf1 -include:s.example +all") SUB("v=spf1 +all"),
	    .result = SPF_FAIL, .reason = SPF_R_MATCH, .mechanism = "-include:s.example", .where = "d.example", .lookups = 1 },
	{ "5.2 in an include that counts as none", D("v=spf1 include:s.example ~all") SUB("v=spf1 -include:t.example +all")
	    "t.example TXT 300 \"v=spf1 +all\"", .result = SPF_SOFTFAIL, .reason = SPF_R_MATCH, .mechanism = "~all",
	    .where = "d.example", .lookups = 2 },
	{ "5.2 two levels", D("v=spf1 include:s.example -all") SUB("v=spf1 include:t.example -all")
	    "t.example TXT 300 \"v=spf1 +all\"", .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "+all",
	    .where = "t.example", .lookups = 2, .detail = "by include:s.example at d.example, then include:t.example at s.example" },
	{ "5.2 none is permerror", D("v=spf1 include:s.example +all"), .result = SPF_PERMERROR, .reason = SPF_R_INCLUDE_NONE,
	    .mechanism = "include:s.example", .where = "d.example", .lookups = 1, .detail = "include:s.example: s.example does not exist" },
	{ "5.2 so is a name that is none", D("v=spf1 include:%{l}.s.example +all"), .from = "a..b@d.example",
	    .result = SPF_PERMERROR, .reason = SPF_R_INCLUDE_NONE, .mechanism = "include:%{l}.s.example", .where = "d.example",
	    .lookups = 1, .detail = "\"a..b.s.example\" has an empty label" },
	{ "6.1 nor for redirect", D("v=spf1 redirect=%{l}.s.example"), .from = "a..b@d.example",
	    .result = SPF_PERMERROR, .reason = SPF_R_REDIRECT_NONE, .mechanism = "redirect=%{l}.s.example", .where = "d.example",
	    .lookups = 1, .detail = "\"a..b.s.example\" has an empty label" },
	{ "5.2 nor a single label", D("v=spf1 include:%{d1} +all"), .result = SPF_PERMERROR, .reason = SPF_R_INCLUDE_NONE,
	    .mechanism = "include:%{d1}", .where = "d.example", .lookups = 1, .detail = "\"example\" is a single label" },
	{ "5.2 permerror within", D("v=spf1 include:s.example +all") SUB("v=spf1 a:"), .result = SPF_PERMERROR,
	    .reason = SPF_R_SYNTAX, .where = "s.example", .lookups = 1,
	    .detail = "term \"a:\": the domain is empty (by include:s.example at d.example)" },
	{ "5.2 temperror within", D("v=spf1 include:s.example +all") "s.example TXT 300 !SERVFAIL", .result = SPF_TEMPERROR,
	    .reason = SPF_R_DNS, .where = "s.example", .lookups = 1, .detail = "TXT s.example: server failure" },
	{ "5.2 several within", D("v=spf1 include:s.example +all") SUB("v=spf1") SUB("v=spf1"), .result = SPF_PERMERROR,
	    .reason = SPF_R_SEVERAL, .where = "s.example", .lookups = 1 },
	{ "5.2 <domain> is restored", D("v=spf1 include:s.example a -all") SUB("v=spf1 a -all") "d.example A 300 192.0.2.1\n"
	    "s.example A 300 192.0.2.9", .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "a", .where = "d.example", .lookups = 3 },
	{ "6.1 redirect", D("v=spf1 ip4:192.0.2.9 redirect=s.example") SUB("v=spf1 a -all") "s.example A 300 192.0.2.1",
	    .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "a", .where = "s.example", .lookups = 2,
	    .detail = "by redirect=s.example at d.example" },
	{ "6.1 only when nothing matched", D("v=spf1 redirect=s.example ip4:192.0.2.1"), .result = SPF_PASS,
	    .reason = SPF_R_MATCH, .mechanism = "ip4:192.0.2.1", .where = "d.example" },
	{ "6.1 within an include", D("v=spf1 include:s.example -all") SUB("v=spf1 redirect=t.example")
	    "t.example TXT 300 \"v=spf1 +all\"", .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "+all",
	    .where = "t.example", .lookups = 2 },
	{ "6.1 none is permerror", D("v=spf1 redirect=s.example") "s.example A 300 192.0.2.1", .result = SPF_PERMERROR,
	    .reason = SPF_R_REDIRECT_NONE, .mechanism = "redirect=s.example", .where = "d.example", .lookups = 1,
	    .detail = "s.example has no SPF record" },
	{ "6 unknown modifiers are ignored", D("v=spf1 foo=bar foo=%{c} +all"), .result = SPF_PASS, .reason = SPF_R_MATCH,
	    .mechanism = "+all", .where = "d.example" },
};

#define E(text) "e.example TXT 300 \"" text "\"\n"
static const struct row explanations[] = {
	{ "6.2 text", D("v=spf1 -all exp=e.example") E("Go away, %{i} of %{h}."), .result = SPF_FAIL, .reason = SPF_R_MATCH,
	    .mechanism = "-all", .where = "d.example", .explanation = "Go away, 192.0.2.1 of mail.h.example." },
	{ "7.2 c, r, t, o, s, v, d", D("v=spf1 -all exp=e.example") E("%{c} %{r} %{t} %{o} %{s} %{v} %{d2r}"), .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example",
	    .explanation = "192.0.2.1 unknown 1700000000 d.example user@d.example in-addr example.d" },
	{ "7.3 %{c} of IPv6", D("v=spf1 -all exp=e.example") E("%{c} %{v}"), .ip = "2001:DB8::1", .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example", .explanation = "2001:db8::1 ip6" },
	{ "7.3 upper case is URL-escaped", D("v=spf1 -all exp=e.example") E("http://%{d}/?s=%{S}%%%_%-"), .from = "a&b/c@d.example",
	    .result = SPF_FAIL, .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example",
	    .explanation = "http://d.example/?s=a%26b%2Fc%40d.example% %20" },
	{ "6.2 not for a softfail", D("v=spf1 ~all exp=e.example") E("text"), .result = SPF_SOFTFAIL, .reason = SPF_R_MATCH,
	    .mechanism = "~all", .where = "d.example" },
	{ "6.2 DNS error", D("v=spf1 -all exp=e.example") "e.example TXT 300 !TIMEOUT", .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example" },
	{ "6.2 nothing there, and no void lookup", D("v=spf1 a:x.example a:y.example -all exp=e.example"), .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example", .lookups = 2, .voids = 2 },
	{ "6.2 several records", D("v=spf1 -all exp=e.example") E("one") E("two"), .result = SPF_FAIL, .reason = SPF_R_MATCH,
	    .mechanism = "-all", .where = "d.example" },
	{ "6.2 syntax error in the text", D("v=spf1 -all exp=e.example") E("100% sure"), .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example" },
	{ "6.2 US-ASCII only", D("v=spf1 -all exp=e.example") E("caf\\195\\169"), .result = SPF_FAIL, .reason = SPF_R_MATCH,
	    .mechanism = "-all", .where = "d.example" },
	{ "6.2 no line break gets in", D("v=spf1 -all exp=e.example") E("a\\013\\010b"), .result = SPF_FAIL, .reason = SPF_R_MATCH,
	    .mechanism = "-all", .where = "d.example" },
	{ "6.2 nor by a macro", D("v=spf1 -all exp=e.example") E("I know %{h}"), .helo = "a\r\n250 ok", .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example" },
	{ "6.2 unless escaped", D("v=spf1 -all exp=e.example") E("I know %{H}"), .helo = "a\r\n", .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example", .explanation = "I know a%0D%0A" },
	{ "RFC 8616 4 exp with %{l}", D("v=spf1 -all exp=%{l}.e.example") "*.e.example TXT 300 \"text\"",
	    .from = "j\xc3\xb6rg@d.example", .result = SPF_FAIL, .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example" },
	{ "6.2 not that of an include", D("v=spf1 -include:s.example") SUB("v=spf1 +all exp=e.example") E("text"),
	    .result = SPF_FAIL, .reason = SPF_R_MATCH, .mechanism = "-include:s.example", .where = "d.example", .lookups = 1 },
	{ "6.2 the including domain's own", D("v=spf1 -include:s.example exp=e.example") SUB("v=spf1 +all") E("%{d}"),
	    .result = SPF_FAIL, .reason = SPF_R_MATCH, .mechanism = "-include:s.example", .where = "d.example",
	    .lookups = 1, .explanation = "d.example" },
	{ "6.2 after redirect the target's", D("v=spf1 redirect=s.example exp=x.example") SUB("v=spf1 -all exp=e.example")
	    E("%{d}") "x.example TXT 300 \"wrong\"", .result = SPF_FAIL, .reason = SPF_R_MATCH, .mechanism = "-all",
	    .where = "s.example", .lookups = 1, .explanation = "s.example" },
	{ "6.2 after redirect not the first", D("v=spf1 redirect=s.example exp=e.example") SUB("v=spf1 -all") E("wrong"),
	    .result = SPF_FAIL, .reason = SPF_R_MATCH, .mechanism = "-all", .where = "s.example", .lookups = 1 },
	{ "6.2 %{p} in it counts nothing", D("v=spf1 -all exp=e.example") E("you are %{p}"), .result = SPF_FAIL,
	    .reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example", .explanation = "you are unknown" },
};

#define M(n) "m.example MX 300 " n " h" n ".example\n"
#define P(n) PTR1 "p" n ".example\n"
static const struct row limits[] = {
	{ "4.6.4 ten terms are allowed", D("v=spf1 a a a a a mx:m.example a a a a ip4:192.0.2.1 -all") "d.example A 300 192.0.2.9\n"
	    M("1"), .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "ip4:192.0.2.1", .where = "d.example", .lookups = 10 },
	{ "4.6.4 the eleventh is not", D("v=spf1 a a a a a a a a a a a:e.example ip4:192.0.2.1 -all") "d.example A 300 192.0.2.9",
	    .result = SPF_PERMERROR, .reason = SPF_R_LOOKUPS, .mechanism = "a:e.example", .where = "d.example", .lookups = 10,
	    .detail = "a:e.example: would be DNS lookup 11, the limit is 10" },
	{ "4.6.4 include loop", D("v=spf1 include:s.example") SUB("v=spf1 include:d.example"), .result = SPF_PERMERROR,
	    .reason = SPF_R_LOOKUPS, .mechanism = "include:s.example", .where = "d.example", .lookups = 10,
	    .detail = "include:s.example: would be DNS lookup 11" },
	{ "4.6.4 redirect loop", D("v=spf1 redirect=d.example"), .result = SPF_PERMERROR, .reason = SPF_R_LOOKUPS,
	    .mechanism = "redirect=d.example", .where = "d.example", .lookups = 10 },
	{ "4.6.4 two void lookups are allowed", D("v=spf1 a:x.example exists:y.example ip4:192.0.2.1"), .result = SPF_PASS,
	    .reason = SPF_R_MATCH, .mechanism = "ip4:192.0.2.1", .where = "d.example", .lookups = 2, .voids = 2 },
	{ "4.6.4 a third is not", D("v=spf1 a:x.example exists:y.example mx:z.example +all"), .result = SPF_PERMERROR,
	    .reason = SPF_R_VOID, .mechanism = "mx:z.example", .where = "d.example", .lookups = 3, .voids = 3,
	    .detail = "mx:z.example: no MX record at z.example: void lookup 3, the limit is 2" },
	{ "4.6.4 NODATA is void too", D("v=spf1 a:a.x.example a:b.x.example a:c.x.example +all") "a.x.example TXT 300 \"\"\n"
	    "b.x.example TXT 300 \"\"\nc.x.example TXT 300 \"\"", .result = SPF_PERMERROR, .reason = SPF_R_VOID,
	    .mechanism = "a:c.x.example", .where = "d.example", .lookups = 3, .voids = 3 },
	{ "4.6.4 ten hosts of an mx", D("v=spf1 mx:m.example -all") M("1") M("2") M("3") M("4") M("5") M("6") M("7") M("8")
	    M("9") M("10") "h10.example A 300 192.0.2.1", .result = SPF_PASS, .reason = SPF_R_MATCH,
	    .mechanism = "mx:m.example", .where = "d.example", .lookups = 1 },
	{ "4.6.4 eleven", D("v=spf1 mx:m.example -all") M("1") M("2") M("3") M("4") M("5") M("6") M("7") M("8") M("9") M("10")
	    M("11") "h1.example A 300 192.0.2.1", .result = SPF_PERMERROR, .reason = SPF_R_MX_NAMES,
	    .mechanism = "mx:m.example", .where = "d.example", .lookups = 1, .detail = "m.example has 11 MX records, the limit is 10" },
	{ "4.6.4 tenth name of a ptr", D("v=spf1 ptr:p10.example -all") P("1") P("2") P("3") P("4") P("5") P("6") P("7") P("8")
	    P("9") P("10") P("11") "p10.example A 300 192.0.2.1", .result = SPF_PASS, .reason = SPF_R_MATCH,
	    .mechanism = "ptr:p10.example", .where = "d.example", .lookups = 1 },
	{ "4.6.4 beyond, ignored", D("v=spf1 ptr:p11.example -all") P("1") P("2") P("3") P("4") P("5") P("6") P("7") P("8")
	    P("9") P("10") P("11") "p11.example A 300 192.0.2.1", .result = SPF_FAIL, .reason = SPF_R_MATCH,
	    .mechanism = "-all", .where = "d.example", .lookups = 1 },
};
/* clang-format on */

static void
selects_records(void **state)
{
	CHECK_ROWS(selection);
}

static void
takes_identities(void **state)
{
	CHECK_ROWS(identities);
}

static void
evaluates_mechanisms(void **state)
{
	CHECK_ROWS(mechanisms);
}

static void
evaluates_ptr(void **state)
{
	CHECK_ROWS(ptr);
}

static void
nests(void **state)
{
	CHECK_ROWS(nesting);
}

static void
explains(void **state)
{
	CHECK_ROWS(explanations);
}

static void
keeps_limits(void **state)
{
	CHECK_ROWS(limits);
}

/* The operator's limits and host name are used. */
static void
honours_options(void **state)
{
	static const struct row none = { "max_lookups 0", D("v=spf1 ip4:192.0.2.9 a +all"),
		.result = SPF_PERMERROR, .reason = SPF_R_LOOKUPS, .mechanism = "a",
		.where = "d.example", .detail = "the limit is 0" };
	static const struct row more = { "max_lookups 12, max_void_lookups 5",
		D("v=spf1 a a a a a a a a a:x.example a:y.example a:z.example +all") "d.example A "
										     "300 "
										     "192.0.2.9",
		.result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = "+all",
		.where = "d.example", .lookups = 11, .voids = 3 };
	static const struct row named = { "receiver",
		D("v=spf1 -all exp=e.example") E("%{r} says no"), .result = SPF_FAIL,
		.reason = SPF_R_MATCH, .mechanism = "-all", .where = "d.example",
		.explanation = "mx.us.example says no" };
	struct spf_options options = { .max_lookups = 0, .max_void_lookups = 2 };

	(void)state;
	check(&none, &options);
	options = (struct spf_options){ .max_lookups = 12, .max_void_lookups = 5 };
	check(&more, &options);
	options.receiver = SLICE("mx.us.example");
	check(&named, &options);
}

/* %{l} comes from the peer and exp= from a stranger: together they stay within the limit. */
static void
cuts_explanations(void **state)
{
	static const struct row row = { "exp", D("v=spf1 -all exp=e.example") E("%{s}%{s}%{s}%{s}"),
		.from = "0123456789012345678901234567890123456789012345678901234567890123"
			"0123456789012345678901234567890123456789012345678901234567890123"
			"0123456789012345678901234567890123456789012345678901234567890123"
			"0123456789012345678901234567890123456789012345678901234567890123"
			"beyond@d.example" };
	struct spf_verdict v;
	struct world w;

	(void)state;
	world_open(&w, row.zone);
	evaluate(&w, &row, &spf_defaults, &v);
	assert_int_equal(v.result, SPF_FAIL);
	assert_int_equal(v.explanation.len, LIMIT_SPF_EXPLANATION_BYTES);
	assert_false(holds(v.explanation, "beyond"));
	world_close(&w);
}

/* Whose records were used (RFC 6591 3.2.6), whatever came of them. */
static void
names_records(void **state)
{
	static const struct {
		const char *zone, *want;
	} cases[] = {
		{ "x.example A 300 192.0.2.1\n", "" },
		{ D("v=spf1 -all"), "d.example " },
		{ D("v=spf1 include:i.example redirect=r.example") "i.example TXT 300 \"v=spf1 "
								   "-all\"\n"
								   "r.example TXT 300 \"v=spf1 "
								   "foo\"\n",
		    "d.example i.example r.example " },
		{ D("v=spf1 include:i.example") "i.example TXT 300 \"v=spf10\"\n", "d.example " },
		{ D("v=spf1 -all") D("v=spf1 ~all"), "d.example " },
		{ D("v=spf1 ip4:192.0.2.1 include:i.example"), "d.example " },
		/* One more than there may be lookups. */
		{ D("v=spf1 include:d.example"),
		    "d.example d.example d.example d.example d.example d.example d.example "
		    "d.example "
		    "d.example d.example d.example " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct row row = { .zone = cases[i].zone };
		struct spf_verdict v;
		struct strbuf got;
		struct world w;

		world_open(&w, row.zone);
		evaluate(&w, &row, &spf_defaults, &v);
		strbuf_init(&got, w.arena, 1000);
		for (size_t n = 0; n < v.record_domain_count; n++)
			strbuf_printf(&got, "%.*s ", SLICE_ARG(v.record_domains[n]));
		assert_slice(strbuf_slice(&got), cases[i].want);
		world_close(&w);
	}
}

static void
has_words(void **state)
{
	(void)state;
	assert_string_equal(spf_result_word(SPF_PERMERROR), "permerror");
	assert_string_equal(spf_scope_word(SPF_HELO), "helo");
	assert_string_equal(spf_reason_section(SPF_R_VOID), "4.6.4");
	for (int r = SPF_R_MATCH; r <= SPF_R_DNS; r++)
		assert_true(spf_reason_text((enum spf_reason)r)[0] != '\0');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selects_records),
		cmocka_unit_test(takes_identities),
		cmocka_unit_test(evaluates_mechanisms),
		cmocka_unit_test(evaluates_ptr),
		cmocka_unit_test(nests),
		cmocka_unit_test(explains),
		cmocka_unit_test(keeps_limits),
		cmocka_unit_test(honours_options),
		cmocka_unit_test(cuts_explanations),
		cmocka_unit_test(names_records),
		cmocka_unit_test(has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
