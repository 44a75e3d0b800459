/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report/destination: where reports may go (RFC 9990 4), beyond the public suite: several
 * confirming records, overrides, repeated addresses, DNS trouble, ruf, mailto syntax.
 */
#include <string.h>

#include "report/destination.h"
#include "report/mail_parts.h"
#include "tests/support/support.h"

/* clang-format off */
#define ZONE \
	"_dmarc.example.com TXT 300 \"v=DMARC1; p=none\"\n" \
	"_dmarc.sub.example.com TXT 300 \"v=DMARC1; p=none\"\n" \
	"_dmarc.own.example.com TXT 300 \"v=DMARC1; p=none; psd=n\"\n" \
	"_dmarc.bank TXT 300 \"v=DMARC1; p=none; psd=y\"\n" \
	"_dmarc.down.example TXT 300 !SERVFAIL\n" \
	"example.com._report._dmarc.yes.example TXT 300 \"v=DMARC1\"\n" \
	"example.com._report._dmarc.trailing.example TXT 300 \"v=DMARC1;\"\n" \
	"example.com._report._dmarc.case.example TXT 300 \"V=DMARC1; RUA=mailto:new@CASE.example\"\n" \
	"example.com._report._dmarc.lower.example TXT 300 \"v=dmarc1\"\n" \
	"example.com._report._dmarc.several.example TXT 300 \"nonsense\"\n" \
	"example.com._report._dmarc.several.example TXT 300 \"v=DMARC1\"\n" \
	"example.com._report._dmarc.several.example TXT 300 \"v=DMARC1; rua=mailto:n@several.example\"\n" \
	"example.com._report._dmarc.mixed.example TXT 300 \"v=DMARC1; rua=mailto:n@mixed.example\"\n" \
	"example.com._report._dmarc.mixed.example TXT 300 \"v=DMARC1; rua=mailto:n@other.example\"\n" \
	"example.com._report._dmarc.two.example TXT 300 \"v=DMARC1; rua=mailto:n@two.example,mailto:m@two.example!5m\"\n" \
	"example.com._report._dmarc.below.example TXT 300 \"v=DMARC1; rua=mailto:n@sub.below.example\"\n" \
	"example.com._report._dmarc.https.example TXT 300 \"v=DMARC1; rua=https://https.example/r\"\n" \
	"example.com._report._dmarc.https2.example TXT 300 \"v=DMARC1; rua=https://other.example/r,mailto:n@https2.example\"\n" \
	"example.com._report._dmarc.broken.example TXT 300 \"v=DMARC1; rua=nonsense\"\n" \
	"example.com._report._dmarc.badlocal.example TXT 300 \"v=DMARC1; rua=mailto:%0aa@badlocal.example\"\n" \
	"example.com._report._dmarc.onlyruf.example TXT 300 \"v=DMARC1; ruf=mailto:f@onlyruf.example\"\n" \
	"example.com._report._dmarc.slow.example TXT 300 !TIMEOUT\n" \
	"example.com._report._dmarc.xn--bcher-kva.example TXT 300 \"v=DMARC1\"\n" \
	"a.bank._report._dmarc.b.bank TXT 300 \"v=DMARC1\"\n" \
	"*._report._dmarc.any.example TXT 300 \"v=DMARC1\"\n" \
	"example.com._report._dmarc.any.example TXT 300 \"no longer\"\n"

static const struct {
	const char *policy_domain, *tag, *uris;
	const char *want; /* "outcome address" each, as in words[]; "*" behind: overridden */
	const char *rule;
} rows[] = {
	{ "example.com", "rua", "", "", "nobody asks" },
	{ "example.com", "rua", "mailto:a@example.com", "send a@example.com", "4: own domain" },
	{ "example.com", "rua", "MAILTO:a@EXAMPLE.com.", "send a@example.com", "RFC 3986 3.1, 6.2.2.1" },
	{ "example.com", "rua", "mailto:a@example.com!10m", "send a@example.com", "RFC 9989 4.8: size ignored" },
	{ "example.com", "rua", "mailto:a@example.com?subject=x%0d%0ay", "send a@example.com", "RFC 6068: header fields are not used" },
	{ "sub.example.com", "rua", "mailto:a@example.com", "send a@example.com", "4: same organizational domain" },
	{ "example.com", "rua", "mailto:a@deep.sub.example.com", "send a@deep.sub.example.com", "4: same organizational domain" },
	{ "example.com", "rua", "mailto:a@own.example.com", "unconfirmed a@own.example.com", "psd=n: an organization of its own" },
	{ "a.bank", "rua", "mailto:a@b.bank", "send a@b.bank", "psd=y: two organizations, confirmed" },
	{ "c.bank", "rua", "mailto:a@b.bank", "unconfirmed a@b.bank", "psd=y: two organizations" },
	{ "example.com", "rua", "mailto:a@yes.example", "send a@yes.example", "4 step 8" },
	{ "example.com", "rua", "mailto:a@trailing.example", "send a@trailing.example", "4 step 6: trailing ;" },
	{ "example.com", "rua", "mailto:a@lower.example", "unconfirmed a@lower.example", "4 step 6: v=DMARC1" },
	{ "example.com", "rua", "mailto:a@case.example", "send new@case.example*", "4 step 9" },
	{ "example.com", "rua", "mailto:a@several.example", "send n@several.example*", "4 steps 6, 8, 9: several TXT" },
	{ "example.com", "rua", "mailto:a@mixed.example", "elsewhere a@mixed.example", "4: another host in any of them" },
	{ "example.com", "rua", "mailto:a@two.example", "send n@two.example* send m@two.example*", "4 step 9: every URI" },
	{ "example.com", "rua", "mailto:a@below.example", "elsewhere a@below.example", "4 step 9: the same host, not one below" },
	{ "example.com", "rua", "mailto:a@https.example", "unsupported *", "only mailto" },
	{ "example.com", "rua", "mailto:a@https2.example", "elsewhere a@https2.example", "4: another host, whatever the scheme" },
	{ "example.com", "rua", "mailto:a@broken.example", "send a@broken.example", "a rua that is no URI is none" },
	{ "example.com", "rua", "mailto:a@badlocal.example", "elsewhere a@badlocal.example", "a host that can't be read is another" },
	{ "example.com", "rua", "mailto:a@onlyruf.example", "send a@onlyruf.example", "ruf is not rua" },
	{ "example.com", "ruf", "mailto:a@onlyruf.example", "send f@onlyruf.example*", "RFC 9991 5: ruf for rua" },
	{ "example.com", "ruf", "mailto:a@two.example", "send a@two.example", "rua is not ruf" },
	{ "example.com", "rua", "mailto:a@slow.example", "later a@slow.example", "4 step 5" },
	{ "example.com", "rua", "mailto:a@down.example", "later a@down.example", "its organization can't be told" },
	{ "down.example", "rua", "mailto:a@yes.example", "later a@yes.example", "ours can't be told" },
	{ "down.example", "rua", "mailto:a@down.example", "send a@down.example", "the same name needs no lookup" },
	{ "example.com", "rua", "mailto:a@any.example", "unconfirmed a@any.example", "RFC 4592: no wildcard where a name is" },
	{ "example.org", "rua", "mailto:a@any.example", "send a@any.example", "wildcard" },
	{ "example.com", "rua", "mailto:a@yes.example mailto:a@yes.example, mailto:b@yes.example",
	    "send a@yes.example repeated a@yes.example send b@yes.example", "3.5: in order; once each" },
	{ "example.com", "rua", "mailto:x@two.example mailto:n@two.example",
	    "send n@two.example* send m@two.example* repeated n@two.example* repeated m@two.example*", "overrides fall together" },
	{ "example.com", "rua", "https://example.com/r ftp:x nonsense mailto:a@example.com",
	    "unsupported unsupported malformed send a@example.com", "3.5: malformed ignored" },
	{ "example.com", "rua", "mailto:a@b%C3%BCcher.example", "send a@xn--bcher-kva.example", "4 step 3: A-labels" },
	{ "example.com", "rua", "mailto:a@xn--bcher-kva.example", "send a@xn--bcher-kva.example", "4 step 3: A-labels" },
	{ "example.com", "rua", "mailto:a@example.com%0d%0aBcc:x@example.com", "malformed", "no line end gets through" },
	{ "example.com", "rua", "mailto:a%0ab@example.com", "malformed", "no line end gets through" },
	{ "example.com", "rua", "mailto:a%00b@example.com", "malformed", "no NUL gets through" },
	{ "example.com", "rua", "mailto:%C3%A9@example.com", "malformed", "would need SMTPUTF8" },
	{ "example.com", "rua", "mailto:a@[192.0.2.1]", "malformed", "a host is a name" },
	{ "example.com", "rua", "mailto:a..b@example.com", "send \"a..b\"@example.com", "quoted, where it is no dot-atom" },
	{ "example.com", "rua", "mailto:@example.com mailto:a@ mailto:", "malformed malformed malformed", "RFC 6068 2" },
};
/* clang-format on */

static const char *const words[] = { "send", "later", "malformed", "unsupported", "unconfirmed",
	"too-long", "elsewhere", "repeated" };

static const char *
found_text(struct arena *a, const struct destinations *d)
{
	struct strbuf b;

	strbuf_init(&b, a, 10000);
	for (size_t i = 0; i < d->count; i++) {
		const struct destination *one = &d->list[i];

		strbuf_printf(&b, "%s%s%s%.*s%s", i == 0 ? "" : " ", words[one->outcome],
		    one->address.len > 0 || one->overridden ? " " : "", SLICE_ARG(one->address),
		    one->overridden ? "*" : "");
	}
	return arena_str(a, strbuf_slice(&b));
}

static void
destinations(void **state)
{
	static const struct dmarc_options options = { .discovery = DMARC_TREEWALK };
	size_t bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct destinations d;
		struct world w;
		const char *got;

		world_open(&w, ZONE);
		destinations_find(w.arena, w.lookups, &options, slice_str(rows[i].policy_domain),
		    rows[i].tag, slice_str(rows[i].uris), &d);
		got = found_text(w.arena, &d);
		if (strcmp(got, rows[i].want) != 0) {
			(void)printf("FAIL %s %s=%s\n  got   %s\n  want  %s\n  rule  %s\n",
			    rows[i].policy_domain, rows[i].tag, rows[i].uris, got, rows[i].want,
			    rows[i].rule);
			bad++;
		}
		assert_int_equal(d.later, strstr(got, "later") != NULL);
		world_close(&w);
	}
	if (bad > 0)
		fail_msg("%zu rows", bad);
}

/* The public suffix list compares where the policy was found by it. */
static void
by_psl(void **state)
{
	struct arena *a = arena_new(1024 * 1024);
	const char *error = "?";
	struct psl *psl = psl_open(a, NULL, &error);
	struct dmarc_options options = { .discovery = DMARC_PSL, .psl = psl };
	struct destinations d;
	struct world w;

	(void)state;
	if (psl == NULL)
		fail_msg("%s", error);
	world_open(&w, "example.co.uk._report._dmarc.other.co.uk TXT 300 \"v=DMARC1\"\n");
	destinations_find(w.arena, w.lookups, &options, SLICE("example.co.uk"), "rua",
	    SLICE("mailto:a@x.example.co.uk mailto:b@other.co.uk mailto:c@third.co.uk"), &d);
	assert_string_equal(found_text(w.arena, &d),
	    "send a@x.example.co.uk send b@other.co.uk unconfirmed c@third.co.uk");
	assert_true(!d.list[0].external && d.list[1].external);
	assert_slice(d.list[1].confirmed_by, "example.co.uk._report._dmarc.other.co.uk");
	world_close(&w);
	psl_close(&psl);
	arena_free(&a);
}

static void
too_many(void **state)
{
	static const struct dmarc_options options = { .discovery = DMARC_TREEWALK };
	struct destinations d;
	struct strbuf b;
	struct world w;

	(void)state;
	world_open(&w, NULL);
	strbuf_init(&b, w.arena, 10000);
	for (size_t i = 0; i < 3 * LIMIT_DESTINATIONS; i++)
		strbuf_printf(&b, "mailto:a%zu@example.com ", i);
	destinations_find(
	    w.arena, w.lookups, &options, SLICE("example.com"), "rua", strbuf_slice(&b), &d);
	assert_int_equal(d.count, LIMIT_DESTINATIONS);
	assert_slice(d.list[LIMIT_DESTINATIONS - 1].address, "a15@example.com");
	world_close(&w);
}

static void
outcomes_have_texts(void **state)
{
	(void)state;
	for (enum destination_outcome o = DESTINATION_SEND; o <= DESTINATION_REPEATED; o++)
		assert_true(strlen(destination_outcome_text(o)) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(destinations),
		cmocka_unit_test(by_psl),
		cmocka_unit_test(too_many),
		cmocka_unit_test(outcomes_have_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
