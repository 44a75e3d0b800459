/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "policy/base/limits.h"
#include "policy/dns/reverse.h"
#include "policy/iprev/iprev.h"
#include "tests/support/support.h"

#define PTR  "1.2.0.192.in-addr.arpa PTR 300 "
#define N(n) PTR "h" n ".example\n"

/* clang-format off */
static const struct {
	const char *rule; /* of RFC 8601 */
	const char *ip, *zone;
	enum iprev_result result;
	const char *name, *detail;
} rows[] = {
	{ "3: a name points back", "192.0.2.1", PTR "h.example\nh.example A 300 192.0.2.1", IPREV_PASS, "h.example", "" },
	{ "3: one of several does", "192.0.2.1", N("1") N("2") "h1.example A 300 192.0.2.9\nh2.example A 300 192.0.2.1\n",
	    IPREV_PASS, "h2.example", "" },
	{ "3: one of several addresses", "192.0.2.1", N("1") "h1.example A 300 192.0.2.9\nh1.example A 300 192.0.2.1\n",
	    IPREV_PASS, "h1.example", "" },
	{ "3: the other family does not count", "192.0.2.1", N("1") "h1.example AAAA 300 2001:db8::1\n", IPREV_FAIL, "",
	    "none of 1 names has the client's address (first: h1.example; 0 lookups failed)" },
	{ "3: IPv6", "2001:db8::1",
	    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR 300 h.example\n"
	    "h.example AAAA 300 2001:db8::1", IPREV_PASS, "h.example", "" },
	{ "3: a mapped address is IPv4", "::ffff:192.0.2.1", N("1") "h1.example A 300 192.0.2.1\n", IPREV_PASS, "h1.example", "" },
	{ "2.7.3 fail: not in agreement", "192.0.2.1", N("1") "h1.example A 300 192.0.2.9\n", IPREV_FAIL, "",
	    "none of 1 names has the client's address (first: h1.example; 0 lookups failed)" },
	{ "2.7.3 fail: no such name", "192.0.2.1", N("1"), IPREV_FAIL, "",
	    "none of 1 names has the client's address (first: h1.example; 0 lookups failed)" },
	{ "2.7.3 temperror: PTR", "192.0.2.1", PTR "!SERVFAIL", IPREV_TEMPERROR, "",
	    "PTR 1.2.0.192.in-addr.arpa: server failure" },
	{ "2.7.3 temperror: time-out", "192.0.2.1", PTR "!TIMEOUT", IPREV_TEMPERROR, "", "PTR 1.2.0.192.in-addr.arpa: timed out" },
	{ "2.7.3 temperror: address", "192.0.2.1", N("1") N("2") "h1.example A 300 !SERVFAIL\nh2.example A 300 192.0.2.9",
	    IPREV_TEMPERROR, "", "none of 2 names has the client's address (first: h1.example; 1 lookups failed)" },
	{ "3: an error beside a pass is none", "192.0.2.1", N("1") N("2") "h1.example A 300 !SERVFAIL\nh2.example A 300 192.0.2.1",
	    IPREV_PASS, "h2.example", "" },
	{ "2.7.3 permerror: NXDOMAIN", "192.0.2.1", "", IPREV_PERMERROR, "", "no PTR record at 1.2.0.192.in-addr.arpa" },
	{ "2.7.3 permerror: no data", "192.0.2.1", "1.2.0.192.in-addr.arpa TXT 300 \"x\"", IPREV_PERMERROR, "",
	    "no PTR record at 1.2.0.192.in-addr.arpa" },
	{ "no address", "", "", IPREV_PERMERROR, "", "client address unknown" },
	{ "3: the names are limited", "192.0.2.1", N("1") N("2") N("3") N("4") N("5") N("6") N("7") N("8") N("9") N("10") N("11")
	    "h11.example A 300 192.0.2.1", IPREV_FAIL, "",
	    "none of 11 names has the client's address (first: h1.example; 0 lookups failed)" },
	{ "what a name holds is shown printable", "192.0.2.1", PTR "a\\010b.example", IPREV_FAIL, "",
	    "none of 1 names has the client's address (first: a\\x0ab.example; 0 lookups failed)" },
};
/* clang-format on */

static void
evaluates(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip_address client = { .family = IP_NONE };
		struct iprev_verdict v;
		struct world w;

		world_open(&w, rows[i].zone);
		if (rows[i].ip[0] != '\0')
			assert_int_equal(ip_parse(slice_str(rows[i].ip), &client), 0);
		iprev_evaluate(w.arena, w.lookups, &client, &v);
		if (v.result != rows[i].result || !slice_equal(v.name, slice_str(rows[i].name)) ||
		    !slice_equal(v.detail, slice_str(rows[i].detail)))
			fail_msg("%s (RFC 8601 %s)\n  got  %s %.*s \"%.*s\"\n  want %s %s \"%s\"",
			    rows[i].zone, rows[i].rule, iprev_result_word(v.result),
			    SLICE_ARG(v.name), SLICE_ARG(v.detail),
			    iprev_result_word(rows[i].result), rows[i].name, rows[i].detail);
		world_close(&w);
	}
}

/* All validated names, in order, and what was left out. */
static void
collects_names(void **state)
{
	struct ip_address client;
	struct dns_reverse r;
	struct world w;

	(void)state;
	world_open(&w,
	    N("1") N("2") N("3") N("4") "h1.example A 300 192.0.2.1\nh2.example A 300 !SERVFAIL\n"
					"h3.example A 300 192.0.2.1\nh4.example A 300 192.0.2.1\n");
	assert_int_equal(ip_parse(SLICE("192.0.2.1"), &client), 0);
	dns_reverse_names(w.arena, w.lookups, &client, 3, &r);
	assert_int_equal(r.ptr->status, DNS_OK);
	assert_slice(r.question, "1.2.0.192.in-addr.arpa");
	assert_int_equal(r.tried, 3);
	assert_int_equal(r.ignored, 1);
	assert_int_equal(r.failed, 1);
	assert_int_equal(r.count, 2);
	assert_slice(r.names[0], "h1.example");
	assert_slice(r.names[1], "h3.example");
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(evaluates),
		cmocka_unit_test(collects_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
