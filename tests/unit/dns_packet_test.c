/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers as packets, put together by hand: right ones, and every way of being wrong. */
#include <stdlib.h>
#include <string.h>

#include "policy/base/strbuf.h"
#include "policy/dns/internal.h"
#include "policy/dns/packet.h"
#include "tests/support/support.h"

/* Names: "\1a\7example\0" and so on; 12 is where the question's name begins. */
#define ASKED				  "\1a\7example\0"
#define POINTER				  "\xc0\x0c"
#define IN				  "\0\1"
#define A				  "\0\1"
#define NS				  "\0\2"
#define CNAME				  "\0\5"
#define SOA				  "\0\6"
#define PTR				  "\0\14"
#define MX				  "\0\17"
#define TXT				  "\0\20"
#define AAAA				  "\0\34"
#define RRSIG				  "\0\56"
#define TTL(n)				  "\0\0\0" n
#define HEAD(rcode, answers, authorities) "\0\0\x85" rcode "\0\1\0" answers "\0" authorities "\0\0"
#define OK				  "\x80"
#define NXDOMAIN			  "\x83"
#define QUESTION(type)			  ASKED type IN

/* Of a.example, 192.0.2.x. */
#define A_RECORD(ttl, x) POINTER A IN TTL(ttl) "\0\4\xc0\0\2" x
/* Of example, its minimum given. */
#define SOA_RECORD(ttl, minimum)                                                                   \
	"\xc0\x0e" SOA IN TTL(ttl) "\0\30\xc0\x0c\xc0\x0e\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4" TTL(    \
	    minimum)

#define P(literal) literal, sizeof(literal) - 1

static const struct row {
	const char *name;
	enum dns_type type;
	const char *packet;
	size_t len;
	const char *want; /* status, reason, TTL, records */
} rows[] = {
	/* ---- what servers say ---- */
	{ "one address", DNS_A, P(HEAD(OK, "\1", "\0") QUESTION(A) A_RECORD("\x3c", "\1")),
	    "ok 60 192.0.2.1" },
	{ "the least TTL of two", DNS_A,
	    P(HEAD(OK, "\2", "\0") QUESTION(A) A_RECORD("\x3c", "\1") A_RECORD("\x1e", "\2")),
	    "ok 30 192.0.2.1 192.0.2.2" },
	{ "TTL 0", DNS_A, P(HEAD(OK, "\1", "\0") QUESTION(A) A_RECORD("\0", "\1")),
	    "ok 0 192.0.2.1" },
	{ "RFC 2181 8: a TTL with its first bit set is 0", DNS_A,
	    P(HEAD(OK, "\1", "\0") QUESTION(A) POINTER A IN "\x80\0\0\x3c\0\4\xc0\0\2\1"),
	    "ok 0 192.0.2.1" },
	{ "the greatest TTL", DNS_A,
	    P(HEAD(OK, "\1", "\0") QUESTION(A) POINTER A IN "\x7f\xff\xff\xff\0\4\xc0\0\2\1"),
	    "ok 2147483647 192.0.2.1" },
	{ "its signature counts for the TTL and is no address", DNS_A,
	    P(HEAD(OK, "\2", "\0") QUESTION(A) A_RECORD("\x3c", "\1")
		    POINTER RRSIG IN TTL("\x0a") "\0\4sig!"),
	    "ok 10 192.0.2.1" },
	{ "upper case in the owner", DNS_A,
	    P(HEAD(OK, "\1", "\0") QUESTION(A) "\1A\7EXAMPLE\0" A IN TTL("\x3c") "\0\4\xc0\0\2\1"),
	    "ok 60 192.0.2.1" },
	{ "AAAA", DNS_AAAA,
	    P(HEAD(OK, "\1", "\0") QUESTION(AAAA)
		    POINTER AAAA IN TTL("\x3c") "\0\x10\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"),
	    "ok 60 2001:db8::1" },
	{ "TXT of two strings", DNS_TXT,
	    P(HEAD(OK, "\1", "\0") QUESTION(TXT) POINTER TXT IN TTL("\x3c") "\0\7\3abc\2de"),
	    "ok 60 abcde" },
	{ "MX, its host compressed", DNS_MX,
	    P(HEAD(OK, "\1", "\0") QUESTION(MX) POINTER MX IN TTL("\x3c") "\0\7\0\x0a\2mx\xc0\x0e"),
	    "ok 60 10/mx.example" },
	{ "null MX", DNS_MX,
	    P(HEAD(OK, "\1", "\0") QUESTION(MX) POINTER MX IN TTL("\x3c") "\0\3\0\0\0"),
	    "ok 60 0/" },
	{ "PTR, not compressed", DNS_PTR,
	    P(HEAD(OK, "\1", "\0") QUESTION(PTR) POINTER PTR IN TTL("\x3c") "\0\6\4Host\0"),
	    "ok 60 host" },
	{ "NS, a pointer to a pointer", DNS_NS,
	    P(HEAD(OK, "\2", "\0") QUESTION(NS) POINTER NS IN TTL(
		"\x3c") "\0\5\2ns\xc0\x0e" POINTER NS IN TTL("\x3c") "\0\2\xc0\x27"),
	    "ok 60 ns.example ns.example" },
	{ "CNAME asked for", DNS_CNAME,
	    P(HEAD(OK, "\1", "\0") QUESTION(CNAME) POINTER CNAME IN TTL("\x3c") "\0\4\1b\xc0\x0e"),
	    "ok 60 b.example" },
	/* ---- aliases ---- */
	{ "an alias and its address; the least TTL is the alias's", DNS_A,
	    P(HEAD(OK, "\2", "\0") QUESTION(A)
		    POINTER CNAME IN TTL("\x0a") "\0\4\1b\xc0\x0e"
						 "\1b\xc0\x0e" A IN TTL("\x3c") "\0\4\xc0\0\2\1"),
	    "ok 10 192.0.2.1" },
	{ "two aliases", DNS_A,
	    P(HEAD(OK, "\3", "\0") QUESTION(A) POINTER CNAME IN TTL(
		"\x3c") "\0\4\1b\xc0\x0e"
			"\1B\xc0\x0e" CNAME IN TTL("\x3c") "\0\3\1c\0"
							   "\1C\0" A IN TTL(
							       "\x3c") "\0\4\xc0\0\2\1"),
	    "ok 60 192.0.2.1" },
	{ "an alias to where no such record is", DNS_A,
	    P(HEAD(OK, "\1", "\1") QUESTION(A)
		    POINTER CNAME IN TTL("\x3c") "\0\4\1b\xc0\x0e" SOA_RECORD("\x3c", "\x1e")),
	    "nodata 30" },
	{ "an alias to a name that does not exist", DNS_A,
	    P(HEAD(NXDOMAIN, "\1", "\1") QUESTION(A)
		    POINTER CNAME IN TTL("\x14") "\0\4\1b\xc0\x0e" SOA_RECORD("\x3c", "\x1e")),
	    "nxdomain 20" },
	{ "an alias to itself", DNS_A,
	    P(HEAD(OK, "\2", "\0") QUESTION(A) POINTER CNAME IN TTL(
		"\x3c") "\0\2" POINTER POINTER CNAME IN TTL("\x3c") "\0\2" POINTER),
	    "nodata 60" },
	{ "aliases in a circle", DNS_A,
	    P(HEAD(OK, "\2", "\0") QUESTION(A)
		    POINTER CNAME IN TTL("\x3c") "\0\4\1b\xc0\x0e"
						 "\1b\xc0\x0e" CNAME IN TTL("\x3c") "\0\2" POINTER),
	    "nodata 60" },
	{ "an address of another name", DNS_A,
	    P(HEAD(OK, "\1", "\0") QUESTION(A) "\1b\xc0\x0e" A IN TTL("\x3c") "\0\4\xc0\0\2\1"),
	    "nodata 60" },
	{ "an address of another class", DNS_A,
	    P(HEAD(OK, "\1", "\0") QUESTION(A) POINTER A "\0\3" TTL("\x3c") "\0\4\xc0\0\2\1"),
	    "nodata 0" },
	{ "an alias behind the address leads nowhere any more", DNS_A,
	    P(HEAD(OK, "\3", "\0") QUESTION(A) A_RECORD("\x3c", "\1")
		    POINTER CNAME IN TTL("\x3c") "\0\4\1b\xc0\x0e" A_RECORD("\x3c", "\2")),
	    "ok 60 192.0.2.1 192.0.2.2" },
	/* ---- there is none; RFC 2308 5 ---- */
	{ "no data, the SOA's TTL", DNS_A,
	    P(HEAD(OK, "\0", "\1") QUESTION(A) SOA_RECORD("\x1e", "\x3c")), "nodata 30" },
	{ "no data, the SOA's minimum", DNS_A,
	    P(HEAD(OK, "\0", "\1") QUESTION(A) SOA_RECORD("\x3c", "\x1e")), "nodata 30" },
	{ "no name, minimum 0", DNS_A,
	    P(HEAD(NXDOMAIN, "\0", "\1") QUESTION(A) SOA_RECORD("\x3c", "\0")), "nxdomain 0" },
	{ "no name, no SOA", DNS_A, P(HEAD(NXDOMAIN, "\0", "\0") QUESTION(A)), "nxdomain 0" },
	{ "no name, a signature of the SOA that ends earlier", DNS_A,
	    P(HEAD(NXDOMAIN, "\0", "\2") QUESTION(A)
		    SOA_RECORD("\x3c", "\x3c") "\xc0\x0e" RRSIG IN TTL("\x05") "\0\1x"),
	    "nxdomain 5" },
	{ "no name, though records of it are there", DNS_A,
	    P(HEAD(NXDOMAIN, "\1", "\0") QUESTION(A) A_RECORD("\x3c", "\1")), "nxdomain 60" },
	{ "no data, a TTL of another class", DNS_A,
	    P(HEAD(OK, "\0", "\1") QUESTION(A) "\xc0\x0e" NS "\0\3" TTL("\x3c") "\0\1\0"),
	    "nodata 0" },
	/* Additional records and what stands behind are nobody's business. */
	{ "bytes behind the end", DNS_A,
	    P(HEAD(OK, "\1", "\0") QUESTION(A) A_RECORD("\x3c", "\1") "garbage"),
	    "ok 60 192.0.2.1" },
	/* ---- failures ---- */
	{ "SERVFAIL", DNS_A, P(HEAD("\x82", "\0", "\0") QUESTION(A)), "tempfail server failure" },
	{ "REFUSED without a question", DNS_A, P("\0\0\x85\x85\0\0\0\0\0\0\0\0"),
	    "tempfail server failure" },
	{ "nothing", DNS_A, P(""), "tempfail malformed answer" },
	{ "half a header", DNS_A, P("\0\0\x85\x80\0\1\0\0\0\0\0"), "tempfail malformed answer" },
	{ "a query", DNS_A, P("\0\0\1\0\0\1\0\0\0\0\0\0" QUESTION(A)),
	    "tempfail malformed answer" },
	{ "truncated, says the header", DNS_A,
	    P("\0\0\x87\x80\0\1\0\1\0\0\0\0" QUESTION(A) A_RECORD("\x3c", "\1")),
	    "tempfail malformed answer" },
	{ "no question", DNS_A, P("\0\0\x85\x80\0\0\0\0\0\0\0\0"), "tempfail malformed answer" },
	{ "two questions", DNS_A, P("\0\0\x85\x80\0\2\0\0\0\0\0\0" QUESTION(A) QUESTION(A)),
	    "tempfail malformed answer" },
	{ "another question", DNS_A, P(HEAD(OK, "\0", "\0") QUESTION(AAAA)),
	    "tempfail malformed answer" },
	{ "a question of another class", DNS_A, P(HEAD(OK, "\0", "\0") ASKED A "\0\3"),
	    "tempfail malformed answer" },
	{ "more answers claimed than there are", DNS_A,
	    P(HEAD(OK, "\2", "\0") QUESTION(A) A_RECORD("\x3c", "\1")),
	    "tempfail malformed answer" },
	{ "more authorities claimed than there are", DNS_A, P(HEAD(OK, "\0", "\1") QUESTION(A)),
	    "tempfail malformed answer" },
	{ "an address of three bytes", DNS_A,
	    P(HEAD(OK, "\1", "\0") QUESTION(A) POINTER A IN TTL("\x3c") "\0\3\xc0\0\2"),
	    "tempfail malformed answer" },
	{ "an address of five bytes", DNS_A,
	    P(HEAD(OK, "\1", "\0") QUESTION(A) POINTER A IN TTL("\x3c") "\0\5\xc0\0\2\1\1"),
	    "tempfail malformed answer" },
	{ "a record longer than the packet", DNS_A,
	    P(HEAD(OK, "\1", "\0") QUESTION(A) POINTER A IN TTL("\x3c") "\xff\xff\xc0\0\2\1"),
	    "tempfail malformed answer" },
	{ "an empty TXT record", DNS_TXT,
	    P(HEAD(OK, "\1", "\0") QUESTION(TXT) POINTER TXT IN TTL("\x3c") "\0\0"),
	    "tempfail malformed answer" },
	{ "a string longer than its record", DNS_TXT,
	    P(HEAD(OK, "\1", "\0") QUESTION(TXT) POINTER TXT IN TTL("\x3c") "\0\3\5ab"),
	    "tempfail malformed answer" },
	{ "an MX without a host", DNS_MX,
	    P(HEAD(OK, "\1", "\0") QUESTION(MX) POINTER MX IN TTL("\x3c") "\0\2\0\x0a"),
	    "tempfail malformed answer" },
	{ "bytes behind the host of an MX", DNS_MX,
	    P(HEAD(OK, "\1", "\0") QUESTION(MX) POINTER MX IN TTL("\x3c") "\0\5\0\x0a\xc0\x0e\0"),
	    "tempfail malformed answer" },
	{ "a host that reaches out of its record", DNS_MX,
	    P(HEAD(OK, "\1", "\0") QUESTION(MX) POINTER MX IN TTL("\x3c") "\0\4\0\x0a\2mx\xc0\x0e"),
	    "tempfail malformed answer" },
	{ "an alias that reaches out of its record", DNS_A,
	    P(HEAD(OK, "\1", "\0") QUESTION(A) POINTER CNAME IN TTL("\x3c") "\0\2\1b\xc0\x0e"),
	    "tempfail malformed answer" },
	{ "a SOA too short to have a minimum", DNS_A,
	    P(HEAD(OK, "\0", "\1") QUESTION(A) "\xc0\x0e" SOA IN TTL("\x3c") "\0\2\0\0"),
	    "tempfail malformed answer" },
	/* ---- names ---- */
	{ "a pointer to itself", DNS_A,
	    P(HEAD(OK, "\1", "\0") QUESTION(A) "\xc0\x1b" A IN TTL("\x3c") "\0\4\xc0\0\2\1"),
	    "tempfail malformed answer" },
	{ "a pointer to behind it", DNS_A,
	    P(HEAD(OK, "\1", "\0") QUESTION(A) "\xc0\x1d" A IN TTL("\x3c") "\0\4\xc0\0\2\1"),
	    "tempfail malformed answer" },
	{ "a pointer into its own name", DNS_A,
	    P(HEAD(OK, "\1", "\0") QUESTION(A) "\1b\xc0\x1b" A IN TTL("\x3c") "\0\4\xc0\0\2\1"),
	    "tempfail malformed answer" },
	{ "a pointer beyond the end", DNS_A,
	    P(HEAD(OK, "\1", "\0") QUESTION(A) "\xff\xff" A IN TTL("\x3c") "\0\4\xc0\0\2\1"),
	    "tempfail malformed answer" },
	{ "two pointers at each other", DNS_NS,
	    P(HEAD(OK, "\1", "\0") QUESTION(NS) POINTER NS IN TTL("\x3c") "\0\4\xc0\x29\xc0\x27"),
	    "tempfail malformed answer" },
	{ "half a pointer", DNS_A, P(HEAD(OK, "\1", "\0") QUESTION(A) "\xc0"),
	    "tempfail malformed answer" },
	{ "a label type of old", DNS_A,
	    P(HEAD(OK, "\1", "\0") QUESTION(A) "\x41x\0" A IN TTL("\x3c") "\0\4\xc0\0\2\1"),
	    "tempfail malformed answer" },
	{ "a label that breaks off", DNS_A,
	    P(HEAD(OK, "\0", "\0") "\x3f"
				   "abc"),
	    "tempfail malformed answer" },
	{ "a name that never ends", DNS_A, P(HEAD(OK, "\0", "\0") "\1a"),
	    "tempfail malformed answer" },
	{ "a dot within a label of a host", DNS_NS,
	    P(HEAD(OK, "\1", "\0") QUESTION(NS) POINTER NS IN TTL("\x3c") "\0\5\3a.b\0"),
	    "tempfail malformed answer" },
	{ "a dot within a label of an alias", DNS_A,
	    P(HEAD(OK, "\2", "\0") QUESTION(A)
		    POINTER CNAME IN TTL("\x3c") "\0\5\3a.b\0"
						 "\3a.b\0" A IN TTL("\x3c") "\0\4\xc0\0\2\1"),
	    "ok 60 192.0.2.1" },
};

/* Of just that size: what reads beyond is seen by the address sanitizer. */
static char *
exact_copy(const char *bytes, size_t len)
{
	char *copy = heap_alloc(len, 1);

	memcpy(copy, bytes, len);
	return copy;
}

static const char *
print_answer(struct arena *a, const struct dns_answer *answer, enum dns_type type)
{
	struct strbuf b;

	strbuf_init(&b, a, 1 << 20);
	strbuf_str(&b, dns_status_word(answer->status));
	if (answer->status == DNS_TEMPFAIL) {
		strbuf_printf(&b, " %s", dns_reason_text(answer->reason));
		return strbuf_slice(&b).p;
	}
	strbuf_printf(&b, " %u", answer->ttl_s);
	for (size_t i = 0; i < answer->count; i++) {
		const struct dns_record *r = &answer->records[i];
		char ip[IP_TEXT_BYTES];

		strbuf_char(&b, ' ');
		if (type == DNS_A || type == DNS_AAAA)
			strbuf_str(&b, ip_print(&r->address, ip));
		else if (type == DNS_MX)
			strbuf_printf(&b, "%u/%.*s", r->mx.preference, SLICE_ARG(r->mx.host));
		else
			strbuf_add(&b, r->text); /* the same place as name */
	}
	return strbuf_slice(&b).p;
}

static void
packets(void **state)
{
	struct arena *a = arena_new(1 << 22);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		char *exact = exact_copy(row->packet, row->len);
		struct dns_answer answer = packet_answer(a, slice_of(exact, row->len), row->type);
		const char *got = print_answer(a, &answer, row->type);

		if (strcmp(got, row->want) != 0)
			fail_msg("%s:\n  got  %s\n  want %s", row->name, got, row->want);
		assert_int_equal(answer.security, DNS_INSECURE);
		free(exact);
	}
	arena_free(&a);
}

/* Cut anywhere, an answer is malformed, never another answer. */
static void
cut_anywhere(void **state)
{
	struct arena *a = arena_new(1 << 22);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];

		if (strstr(row->want, "tempfail") != NULL || strstr(row->name, "behind the end"))
			continue;
		for (size_t len = 0; len < row->len; len++) {
			char *exact = exact_copy(row->packet, len);
			struct dns_answer answer = packet_answer(
			    a, slice_of(exact, len), row->type);

			if (answer.reason != DNS_R_MALFORMED)
				fail_msg("%s: cut to %zu bytes it is %s", row->name, len,
				    print_answer(a, &answer, row->type));
			free(exact);
		}
	}
	arena_free(&a);
}

/* ---- large ones ---- */

static void
put(struct strbuf *b, const char *bytes, size_t len)
{
	strbuf_add(b, slice_of(bytes, len));
}

/* That many addresses, 192.0.2.n. */
static struct slice
packet_of_addresses(struct arena *a, unsigned count)
{
	char counts[] = { (char)(count >> 8), (char)count };
	struct strbuf b;

	strbuf_init(&b, a, 1 << 16);
	put(&b, P("\0\0\x85\x80\0\1"));
	put(&b, counts, sizeof(counts));
	put(&b, P("\0\0\0\0" QUESTION(A)));
	for (unsigned i = 0; i < count; i++) {
		char last = (char)i;

		put(&b, P(POINTER A IN TTL("\x3c") "\0\4\xc0\0\2"));
		put(&b, &last, 1);
	}
	return strbuf_slice(&b);
}

/* As many as are kept, and one more than that is enough to know. */
static void
many_records(void **state)
{
	struct arena *a = arena_new(1 << 22);
	struct slice packet = packet_of_addresses(a, LIMIT_DNS_RECORDS + 50);
	struct dns_answer draft = packet_answer(a, packet, DNS_A);
	const struct dns_answer *answer = dns_answer_make(&draft, DNS_A);

	(void)state;
	assert_int_equal(draft.count, LIMIT_DNS_RECORDS + 1);
	for (size_t i = 0; i < draft.count; i++)
		assert_int_equal(draft.records[i].address.bytes[3], i & 0xff);
	assert_int_equal(answer->status, DNS_TEMPFAIL);
	assert_int_equal(answer->reason, DNS_R_RECORDS);
	assert_int_equal(answer->count, 0);
	dns_answer_unref(&answer);

	draft = packet_answer(a, packet_of_addresses(a, LIMIT_DNS_RECORDS), DNS_A);
	answer = dns_answer_make(&draft, DNS_A);
	assert_int_equal(answer->status, DNS_OK);
	assert_int_equal(answer->count, LIMIT_DNS_RECORDS);
	dns_answer_unref(&answer);

	/* One less than the header says: the rest counts, though it is not kept. */
	draft = packet_answer(a, slice_sub(packet, 0, packet.len - 16), DNS_A);
	assert_int_equal(draft.reason, DNS_R_MALFORMED);
	arena_free(&a);
}

/* An owner of that many labels "x", and the root. */
static struct dns_answer
answer_of_labels(struct arena *a, size_t labels)
{
	struct strbuf b;

	strbuf_init(&b, a, 1 << 16);
	put(&b, P(HEAD(OK, "\0", "\0")));
	for (size_t i = 0; i < labels; i++)
		put(&b, P("\1x"));
	put(&b, P("\0" A IN));
	return packet_answer(a, strbuf_slice(&b), DNS_A);
}

/* RFC 1035 2.3.4: 255 bytes with all lengths. */
static void
long_names(void **state)
{
	struct arena *a = arena_new(1 << 22);

	(void)state;
	assert_int_equal(answer_of_labels(a, 127).status, DNS_NODATA);
	assert_int_equal(answer_of_labels(a, 128).reason, DNS_R_MALFORMED);
	assert_int_equal(answer_of_labels(a, 20000).reason, DNS_R_MALFORMED);
	arena_free(&a);
}

/* Each name points at the one before: four bytes on the wire, and ever longer. */
static void
pointers_upon_pointers(void **state)
{
	struct arena *a = arena_new(1 << 22);
	struct dns_answer answer;
	struct strbuf b;
	size_t before = 12;

	(void)state;
	strbuf_init(&b, a, 1 << 16);
	put(&b, P("\0\0\x85\x80\0\1\0\x64\0\0\0\0\0" NS IN)); /* 100 records; asked: the root */
	for (int i = 0; i < 100; i++) {
		char target[2] = { (char)(0xc0 | before >> 8), (char)before };

		put(&b, P("\0" NS IN TTL("\x3c") "\0\4"));
		before = b.len;
		put(&b, P("\1x"));
		put(&b, target, 2);
	}
	answer = packet_answer(a, strbuf_slice(&b), DNS_NS);
	assert_int_equal(answer.status, DNS_OK);
	assert_int_equal(answer.count, 100);
	assert_int_equal(answer.records[99].name.len, 199);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(many_records),
		cmocka_unit_test(long_names),
		cmocka_unit_test(pointers_upon_pointers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
