/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/ip.h"
#include "policy/base/num.h"
#include "policy/base/poison.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/base64.h"
#include "policy/syntax/domain.h"
#include "policy/syntax/header.h"
#include "policy/syntax/taglist.h"
#include "tests/support/support.h"

static void
ip_addresses(void **state)
{
	static const struct {
		const char *text, *printed;
		enum ip_family family;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1", IP_V4 },
		{ "::ffff:192.0.2.1", "192.0.2.1", IP_V4 }, /* RFC 7208 5 */
		{ "2001:DB8::1", "2001:db8::1", IP_V6 },
		{ "192.0.2", NULL, IP_NONE },
		{ "192.0.2.256", NULL, IP_NONE },
		{ "", NULL, IP_NONE },
		{ "::1%lo", NULL, IP_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip_address a = { .family = IP_NONE };
		char text[IP_TEXT_BYTES];
		int rc = ip_parse(slice_str(rows[i].text), &a);

		if (rc != (rows[i].printed == NULL ? -1 : 0) || a.family != rows[i].family)
			fail_msg("%s: rc %d family %d", rows[i].text, rc, (int)a.family);
		if (rc == 0)
			assert_string_equal(ip_print(&a, text), rows[i].printed);
	}
}

static void
ip_networks(void **state)
{
	static const struct {
		const char *network, *address;
		bool valid, inside;
	} rows[] = {
		{ "192.0.2.0/24", "192.0.2.255", true, true },
		{ "192.0.2.0/25", "192.0.2.128", true, false },
		{ "0.0.0.0/0", "8.8.8.8", true, true },
		{ "0.0.0.0/0", "::1", true, false },
		{ "2001:db8::/33", "2001:db8:7fff::1", true, true },
		{ "2001:db8::/33", "2001:db8:8000::1", true, false },
		{ "::1", "::1", true, true },
		{ "192.0.2.0/33", "192.0.2.0", false, false },
		{ "192.0.2.0/", "192.0.2.0", false, false },
		{ "192.0.2.0/-1", "192.0.2.0", false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip_network n;
		struct ip_address a;

		assert_int_equal(ip_parse(slice_str(rows[i].address), &a), 0);
		if ((ip_network_parse(slice_str(rows[i].network), &n) == 0) != rows[i].valid)
			fail_msg("%s: validity", rows[i].network);
		if (rows[i].valid && ip_in_network(&a, &n) != rows[i].inside)
			fail_msg("%s in %s", rows[i].address, rows[i].network);
	}
}

static void
reverse_names(void **state)
{
	struct arena *arena = arena_new(4096);
	struct ip_address a;

	(void)state;
	assert_int_equal(ip_parse(SLICE("192.0.2.1"), &a), 0);
	assert_slice(ip_reverse_name(arena, &a), "1.2.0.192.in-addr.arpa");
	assert_int_equal(ip_parse(SLICE("2001:db8::cb01"), &a), 0);
	assert_slice(ip_reverse_name(arena, &a),
	    "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
	arena_free(&arena);
}

static void
numbers(void **state)
{
	static const struct {
		const char *text;
		int rc;
		uint32_t value;
	} rows[] = {
		{ "0", 0, 0 },
		{ "100", 0, 100 },
		{ "101", -1, 0 },
		{ "007", 0, 7 },
		{ "", -1, 0 },
		{ "-1", -1, 0 },
		{ " 1", -1, 0 },
		{ "18446744073709551616", -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t n = 12345;
		int rc = num_u32(slice_str(rows[i].text), 0, 100, &n);

		if (rc != rows[i].rc || n != (rc == 0 ? rows[i].value : 12345))
			fail_msg("\"%s\": rc %d n %u", rows[i].text, rc, n);
	}
}

#ifdef POISON_WORKS
/* A block that is kept for the next message is as good as freed until that comes. */
static void
arena_use_after_reset_is_found(void **state)
{
	struct arena *arena = arena_new(100000);
	const char *beyond_first;

	(void)state;
	(void)arena_alloc(arena, 8000);
	beyond_first = arena_alloc(arena, 1000);
	assert_false(is_poisoned(beyond_first));
	arena_reset(arena);
	assert_true(is_poisoned(beyond_first));
	(void)arena_alloc(arena, 8000);
	assert_ptr_equal(arena_alloc(arena, 1000), beyond_first);
	assert_false(is_poisoned(beyond_first));
	arena_free(&arena);
}
#endif

static void
arena_and_strbuf(void **state)
{
	struct arena *arena = arena_new(100000);
	struct strbuf b;

	(void)state;
	assert_true(arena_has_room(arena, 100000));
	assert_false(arena_has_room(arena, 100001));
	for (int i = 0; i < 50; i++)
		(void)arena_alloc(arena, 1999);
	assert_int_equal(arena_used(arena), 50 * 2000);
	assert_false(arena_has_room(arena, 1));
	arena_reset(arena);
	assert_int_equal(arena_used(arena), 0);

	strbuf_init(&b, arena, 10);
	strbuf_str(&b, "123456");
	strbuf_printf(&b, "%d", 789012);
	assert_slice(strbuf_slice(&b), "1234567890");
	assert_true(b.truncated);

	assert_string_equal(
	    arena_printable(arena, SLICE("a\\b\r\n\xff"), 10), "a\\x5cb\\x0d\\x0a\\xff");
	assert_string_equal(arena_printable(arena, SLICE("abcdef"), 3), "abc...");
	assert_string_equal(arena_cut(arena, SLICE("a\\x0d"), 5), "a\\x0d");
	assert_string_equal(arena_cut(arena, SLICE("a\\x0d"), 4), "a\\x0...");
	assert_string_equal(arena_cut(arena, SLICE("a\\x\r"), 4), "a\\x\\x0d");
	arena_free(&arena);
}

static void
base64(void **state)
{
	static const struct {
		const char *text, *bytes;
	} rows[] = {
		{ "", "" },
		{ "Zg==", "f" },
		{ "Zm8=", "fo" },
		{ "Zm9v", "foo" },
		{ " Z m\t9\r\n v Yg==", "foob" },
		{ "Zg=", NULL },
		{ "Zg", NULL },
		{ "Z", NULL },
		{ "Zg==Zg==", NULL },
		{ "Zg===", NULL },
		{ "Zm9*", NULL },
	};
	struct arena *arena = arena_new(4096);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice out;
		int rc = base64_decode(arena, slice_str(rows[i].text), &out);

		if ((rc == 0) != (rows[i].bytes != NULL))
			fail_msg("\"%s\": rc %d", rows[i].text, rc);
		if (rc == 0)
			assert_slice(out, rows[i].bytes);
	}
	assert_slice(base64_encode(arena, SLICE("foob")), "Zm9vYg==");
	assert_slice(base64_encode(arena, SLICE("\xff\xfe\xfd")), "//79");
	arena_free(&arena);
}

static void
domains(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "Example.COM", "example.com" },
		{ "example.com.", "example.com" },
		{ "b\xc3\xbc"
		  "cher.example",
		    "xn--bcher-kva.example" },
		{ "_dmarc.a_b.example", "_dmarc.a_b.example" },
		{ "a..b", NULL },
		{ ".a", NULL },
		{ "a..", NULL },
		{ "", NULL },
		{ ".", NULL },
		{ "[192.0.2.1]", NULL },
		{ "a b", NULL },
		{ "\xff.example", NULL },
		{ "a2345678901234567890123456789012345678901234567890123456789012345.example",
		    NULL },
	};
	struct arena *arena = arena_new(4096);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice out;
		const char *why = NULL;
		int rc = domain_normalize(arena, slice_str(rows[i].in), &out, &why);

		if ((rc == 0) != (rows[i].out != NULL) || (rc != 0) != (why != NULL))
			fail_msg("\"%s\": rc %d", rows[i].in, rc);
		if (rc == 0)
			assert_slice(out, rows[i].out);
	}
	assert_int_equal(domain_labels(SLICE("a.b.c")), 3);
	assert_true(slice_is_ascii(SLICE("a\x7f")));
	assert_true(slice_is_ascii(slice_of(NULL, 0)));
	assert_false(slice_is_ascii(SLICE("a\x80")));
	assert_slice(domain_last_labels(SLICE("a.b.c"), 0), "");
	assert_slice(domain_last_labels(SLICE("a.b.c"), 1), "c");
	assert_slice(domain_last_labels(SLICE("a.b.c"), 2), "b.c");
	assert_slice(domain_last_labels(SLICE("a.b.c"), 3), "a.b.c");
	assert_slice(domain_last_labels(SLICE("a.b.c"), 9), "a.b.c");
	assert_slice(domain_parent(SLICE("a.b.c")), "b.c");
	assert_slice(domain_parent(SLICE("c")), "");
	assert_true(domain_covers(SLICE("b.c"), SLICE("a.B.c")));
	assert_true(domain_covers(SLICE("b.c"), SLICE("b.c")));
	assert_false(domain_covers(SLICE("b.c"), SLICE("ab.c")));
	assert_false(domain_covers(SLICE(""), SLICE("ab.c")));
	arena_free(&arena);
}

struct tags {
	const char *a, *b;
	struct arena *arena;
	int faults;
};

static int
tag_a(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	*why_r = "is bad";
	if (slice_equal(value, SLICE("bad")))
		return -1;
	((struct tags *)obj)->a = arena_str(a, value);
	return 0;
}

static int
tag_b(struct arena *a, struct slice value, void *obj, const char **why_r)
{
	(void)why_r;
	((struct tags *)obj)->b = arena_str(a, value);
	return 0;
}

static void
count_fault(struct arena *a, void *obj, struct slice name, struct slice value, const char *why)
{
	(void)a, (void)name, (void)value, (void)why;
	((struct tags *)obj)->faults++;
}

static void
taglists(void **state)
{
	static const struct tag_rule strict[] = {
		{ "a", tag_a, TAG_REQUIRED, NULL },
		{ "b", tag_b, 0, "dflt" },
	};
	static const struct tag_rule lenient[] = {
		{ "v", tag_a, TAG_REQUIRED | TAG_FIRST, NULL },
		{ "b", tag_a, TAG_LENIENT, "dflt" },
	};
	static const struct {
		const char *text;
		bool sloppy;
		const char *error, *a, *b;
		int faults;
	} rows[] = {
		{ "a=1;b=2", false, NULL, "1", "2", 0 },
		{ " a = 1 2\r\n 3 ; ", false, NULL, "1 2\r\n 3", "dflt", 0 },
		{ "a=1;x=y;z=;b=", false, NULL, "1", "", 0 },
		{ "a=1;a=2", false, "tag a occurs twice", NULL, NULL, 0 },
		{ "a=1;x=1;X=1", false, NULL, "1", "dflt", 0 },
		{ "a=1;x=1;y=1; x =2", false, "tag x occurs twice", NULL, NULL, 0 },
		{ "v=1;x=1;x=2", true, NULL, "dflt", NULL, 0 },
		{ "b=1", false, "tag a is missing", NULL, NULL, 0 },
		{ "a=bad", false, "tag a is bad", NULL, NULL, 0 },
		{ "a=1;;b=2", false, "tag  has no \"=\"", NULL, NULL, 0 },
		{ "a=1;1b=2", false, "tag 1b is not a tag name", NULL, NULL, 0 },
		{ "A=1", false, "tag a is missing", NULL, NULL, 0 },
		{ "a=1;b=\x01", false, "tag b is not valid", NULL, NULL, 0 },
		{ "V=1;;junk;b=bad", true, NULL, "dflt", NULL, 2 },
		{ "b=1;v=1", true, "tag v is not the first", NULL, NULL, 0 },
	};
	struct arena *arena = arena_new(65536);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct taglist_grammar grammar = {
			.rules = rows[i].sloppy ? lenient : strict,
			.rule_count = 2,
			.flags = rows[i].sloppy ? TAGLIST_SLOPPY | TAGLIST_NOCASE : 0,
			.on_fault = count_fault,
		};
		struct tags tags = { 0 };
		const char *error = NULL;

		int rc = taglist_parse(arena, slice_str(rows[i].text), &grammar, &tags, &error);

		assert_int_equal(rc, rows[i].error == NULL ? 0 : -1);
		if (error != NULL) {
			assert_string_equal(error, rows[i].error);
			continue;
		}
		if (rows[i].a != NULL)
			assert_string_equal(tags.a, rows[i].a);
		if (rows[i].b != NULL)
			assert_string_equal(tags.b, rows[i].b);
		assert_int_equal(tags.faults, rows[i].faults);
	}
	arena_free(&arena);
}

static void
headers(void **state)
{
	struct arena *arena = arena_new(65536);
	struct header_list list = { 0 };

	(void)state;
	header_list_add(&list, arena, SLICE("Subject"), SLICE(" a\n b"));
	header_list_add(&list, arena, SLICE("X"), SLICE("1\r\n\t2"));
	header_list_add(&list, arena, SLICE("subject"), SLICE(" second"));
	assert_slice(list.fields[0].value, " a\r\n b");
	assert_slice(list.fields[1].value, "1\r\n\t2");
	assert_slice(header_unfold(arena, list.fields[1].value), "1\t2");
	assert_int_equal(header_count(&list, "SUBJECT"), 2);
	assert_ptr_equal(header_find(&list, "subject", 1), &list.fields[2]);
	assert_null(header_find(&list, "subject", 3));
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip_addresses),
		cmocka_unit_test(ip_networks),
		cmocka_unit_test(reverse_names),
		cmocka_unit_test(numbers),
		cmocka_unit_test(arena_and_strbuf),
#ifdef POISON_WORKS
		cmocka_unit_test(arena_use_after_reset_is_found),
#endif
		cmocka_unit_test(base64),
		cmocka_unit_test(domains),
		cmocka_unit_test(taglists),
		cmocka_unit_test(headers),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
