/* SPDX-License-Identifier: BSD-2-Clause */
/* Names in normal form, words, the keyed hash, and rdata off the wire. */
#include <string.h>

#include "policy/dns/hash.h"
#include "policy/dns/internal.h"
#include "policy/dns/wire.h"
#include "tests/support/support.h"

/* ---- names, words, hash ---- */

#define LABEL63 "0123456789012345678901234567890123456789012345678901234567890ab"
#define NAME253 LABEL63 "." LABEL63 "." LABEL63 "." LABEL61
#define LABEL61 "0123456789012345678901234567890123456789012345678901234567890"

static void
names(void **state)
{
	static const struct {
		const char *in, *want; /* NULL: refused */
	} rows[] = {
		{ "Example.COM", "example.com" },
		{ "example.com.", "example.com" },
		{ "a b.\xc3\xa9.example", "a b.\xc3\xa9.example" },
		{ "*.example", "*.example" },
		{ "_dmarc.example", "_dmarc.example" },
		{ LABEL63 ".example", LABEL63 ".example" },
		{ NAME253, NAME253 },
		{ NAME253 ".", NAME253 },
		{ NAME253 "x", NULL },
		{ "x" LABEL63 ".example", NULL },
		{ "", NULL },
		{ ".", NULL },
		{ "..", NULL },
		{ "a..", NULL },
		{ ".a", NULL },
		{ "a..b", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dns_name n = { .len = 1, .text = "?" };
		int rc = dns_name_set(&n, slice_str(rows[i].in));

		if (rc != (rows[i].want == NULL ? -1 : 0) ||
		    strcmp(n.text, rows[i].want == NULL ? "?" : rows[i].want) != 0)
			fail_msg("\"%s\": rc %d, \"%s\"", rows[i].in, rc, n.text);
	}
}

static void
words(void **state)
{
	enum dns_type type;

	(void)state;
	assert_int_equal(dns_type_parse(SLICE("aaaa"), &type), 0);
	assert_int_equal(type, DNS_AAAA);
	assert_string_equal(dns_type_word(DNS_AAAA), "AAAA");
	assert_int_equal(dns_type_parse(SLICE("ANY"), &type), -1);
	assert_string_equal(dns_reason_text(DNS_R_BOGUS), "DNSSEC validation failed");
	assert_string_equal(dns_security_word(DNS_SECURE), "secure");
}

/* The vectors of the SipHash paper, appendix A, and of its reference code. */
static void
siphash(void **state)
{
	static const uint64_t want[] = { 0x726fdb47dd0e0e31u, 0x74f839c593dc67fdu };
	uint8_t key[HASH_KEY_BYTES];
	char text[16];

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++) {
		key[i] = (uint8_t)i;
		text[i] = (char)i;
	}
	assert_true(hash_bytes(key, slice_of(text, 0)) == want[0]);
	assert_true(hash_bytes(key, slice_of(text, 1)) == want[1]);
	assert_true(hash_bytes(key, slice_of(text, 15)) == 0xa129ca6149be45e5u);
}

/* ---- rdata ---- */

static void
wire_records(void **state)
{
	static const struct {
		const char *name;
		enum dns_type type;
		const char *p;
		size_t len;
		const char *want; /* NULL: malformed */
	} rows[] = {
#define RDATA(text) (text), sizeof(text) - 1
		{ "a", DNS_A, RDATA("\300\000\002\001"), "192.0.2.1" },
		{ "a short", DNS_A, RDATA("\300\000\002"), NULL },
		{ "a long", DNS_A, RDATA("\300\000\002\001\001"), NULL },
		{ "aaaa", DNS_AAAA, RDATA("\040\001\015\270\0\0\0\0\0\0\0\0\0\0\0\001"),
		    "2001:db8::1" },
		{ "aaaa mapped (RFC 7208 5)", DNS_AAAA,
		    RDATA("\0\0\0\0\0\0\0\0\0\0\377\377\300\0\002\001"), "192.0.2.1" },
		{ "aaaa of four", DNS_AAAA, RDATA("\300\000\002\001"), NULL },
		{ "ptr", DNS_PTR, RDATA("\004Host\007example\0"), "host.example" },
		{ "ptr root", DNS_PTR, RDATA("\0"), "" },
		{ "ptr empty", DNS_PTR, RDATA(""), NULL },
		{ "ptr without end", DNS_PTR, RDATA("\004Host\007example"), NULL },
		{ "ptr past the end", DNS_PTR, RDATA("\004Hos"), NULL },
		{ "ptr with rest", DNS_PTR, RDATA("\001a\0x"), NULL },
		{ "ptr compressed", DNS_PTR, RDATA("\300\014"), NULL },
		{ "ptr label of 64", DNS_PTR, RDATA("\100" LABEL63 "x\0"), NULL },
		{ "ptr dot in label", DNS_PTR, RDATA("\003a.b\0"), NULL },
		{ "ptr odd bytes", DNS_PTR, RDATA("\002\377 \0"), "\xff " },
		{ "ptr 254 bytes", DNS_PTR,
		    RDATA("\077" LABEL63 "\077" LABEL63 "\077" LABEL63 "\076" LABEL61 "x\0"),
		    NULL },
		{ "mx", DNS_MX, RDATA("\000\012\002mx\0"), "10 mx" },
		{ "mx null", DNS_MX, RDATA("\000\000\0"), "0 " },
		{ "mx short", DNS_MX, RDATA("\000"), NULL },
		{ "txt", DNS_TXT, RDATA("\003v=s\002pf"), "v=spf" },
		{ "txt empty string", DNS_TXT, RDATA("\0"), "" },
		{ "txt nothing (RFC 1035 3.3.14)", DNS_TXT, RDATA(""), NULL },
		{ "txt past the end", DNS_TXT, RDATA("\003v="), NULL },
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dns_record r;
		char ip[IP_TEXT_BYTES];
		const char *got = NULL;

		if (wire_record(a, rows[i].type, slice_of(rows[i].p, rows[i].len), &r) == 0) {
			if (rows[i].type == DNS_MX)
				got = arena_printf(a, "%u %s", r.mx.preference, r.mx.host.p);
			else if (rows[i].type == DNS_A || rows[i].type == DNS_AAAA)
				got = ip_print(&r.address, ip);
			else
				got = r.name.p; /* the same place as text */
		}
		if ((got == NULL) != (rows[i].want == NULL) ||
		    (got != NULL && strcmp(got, rows[i].want) != 0))
			fail_msg("%s: got %s, want %s", rows[i].name, got == NULL ? "-" : got,
			    rows[i].want == NULL ? "-" : rows[i].want);
	}
	arena_free(&a);
}

static void
wire_txt_limit(void **state)
{
	struct arena *a = arena_new(1 << 20);
	char *p = arena_alloc(a, 2 * LIMIT_DNS_RDATA_BYTES);
	struct dns_record r;
	size_t n = 0;

	(void)state;
	for (; n < LIMIT_DNS_RDATA_BYTES; n += 256)
		p[n] = (char)255;
	assert_int_equal(wire_record(a, DNS_TXT, slice_of(p, n), &r), 0);
	for (; n < 2 * LIMIT_DNS_RDATA_BYTES; n += 256)
		p[n] = (char)255;
	assert_int_equal(wire_record(a, DNS_TXT, slice_of(p, n), &r), -1);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(words),
		cmocka_unit_test(siphash),
		cmocka_unit_test(wire_records),
		cmocka_unit_test(wire_txt_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
