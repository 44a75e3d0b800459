/* SPDX-License-Identifier: BSD-2-Clause */
/* The record parser of policy/dmarc: RFC 9989 sections 4.7 and 4.8. */
#include <string.h>

#include "tests/support/dmarc_text.h"
#include "tests/support/support.h"

#define ARENA_BYTES (1024u * 1024)

struct row {
	const char *text;
	const char *want;   /* the record as read, defaults left out; NULL: not a DMARC record */
	const char *faults; /* "tag: why" with "; " between; NULL: none */
	const char *rule;
};

#define V "v=DMARC1"

/* clang-format off */
static const struct row rows[] = {
	/* v */
	{ V, V, NULL, "4.7 v" },
	{ "V=DMARC1;P=none", V "; p=none", NULL, "4.7: tag names without regard to case" },
	{ " v =\tDMARC1 ; p=none", V "; p=none", NULL, "4.8 equals, dmarc-sep: WSP" },
	{ "", NULL, NULL, "4.7 v REQUIRED" },
	{ "v", NULL, NULL, "4.7 v REQUIRED" },
	{ "v=", NULL, NULL, "4.7 v: the only possible value is DMARC1" },
	{ "v=dmarc1; p=none", NULL, NULL, "4.7 v: case sensitive" },
	{ "v=DMARC2; p=none", NULL, NULL, "4.7 v" },
	{ "v=DMARC1x; p=none", NULL, NULL, "4.7 v" },
	{ "v=DMARC1 p=none", NULL, NULL, "4.8: tags are separated by semicolons" },
	{ "p=none; v=DMARC1", NULL, NULL, "4.7 v: MUST be the first tag" },
	{ "; v=DMARC1; p=none", NULL, NULL, "4.10: records that do not start with a v tag" },
	{ "junk; v=DMARC1; p=none", NULL, NULL, "4.10: records that do not start with a v tag" },
	{ "v=spf1 -all", NULL, NULL, "4.10: records that do not start with a v tag" },
	{ V "; v=DMARC1; p=none", V "; p=none", "v: occurs twice", "4.8" },
	/* p, sp, np */
	{ V "; p=none", V "; p=none", NULL, "4.7 p" },
	{ V "; p=quarantine", V "; p=quarantine", NULL, "4.7 p" },
	{ V "; p=reject", V "; p=reject", NULL, "4.7 p" },
	{ V ";p=Reject;sp=NONE;np=qUARANTINE", V "; p=reject; sp=none; np=quarantine", NULL, "4.8: case" },
	{ V "; p=", V "; p=bad", "p: is not none, quarantine or reject", "4.8 dmarc-request" },
	{ V "; p=monitor", V "; p=bad", "p: is not none, quarantine or reject", "4.8 dmarc-request" },
	{ V "; p=reject; sp=x", V "; p=reject; sp=bad", "sp: is not none, quarantine or reject", "4.8" },
	{ V "; p=reject; np=x", V "; p=reject; np=bad", "np: is not none, quarantine or reject", "4.8" },
	{ V "; p=reject; p=none", V "; p=reject", "p: occurs twice", "RFC 6376 3.2: the first counts" },
	{ V "; p=x; p=reject", V "; p=bad", "p: is not none, quarantine or reject; p: occurs twice", "RFC 6376 3.2" },
	{ V "; sp=reject", V "; sp=reject", NULL, "4.7 p RECOMMENDED" },
	/* psd, t, adkim, aspf */
	{ V "; p=none; psd=y", V "; p=none; psd=y", NULL, "4.7 psd" },
	{ V "; p=none; psd=N", V "; p=none; psd=n", NULL, "4.7 psd" },
	{ V "; p=none; psd=u", V "; p=none", NULL, "4.7 psd: u is the default" },
	{ V "; p=none; psd=yes", V "; p=none", "psd: is not y, n or u", "4.8: default" },
	{ V "; p=none; t=y", V "; p=none; t=y", NULL, "4.7 t" },
	{ V "; p=none; t=n", V "; p=none", NULL, "4.7 t" },
	{ V "; p=none; t=1", V "; p=none", "t: is not one of its letters", "4.8: default" },
	{ V "; p=none; adkim=s; aspf=S", V "; p=none; adkim=s; aspf=s", NULL, "4.7 adkim, aspf" },
	{ V "; p=none; adkim=r; aspf=r", V "; p=none", NULL, "4.7 adkim, aspf" },
	{ V "; p=none; adkim=strict; aspf=", V "; p=none", "adkim: is not one of its letters; aspf: is not one of its letters", "4.8: default" },
	/* rua, ruf */
	{ V "; rua=mailto:a@example.com", V "; rua=mailto:a@example.com", NULL, "4.7 rua" },
	{ V "; rua=mailto:a@example.com!10m,MAILTO:b@example.com!5", V "; rua=mailto:a@example.com,MAILTO:b@example.com", NULL, "4.8 obs-dmarc-report-size" },
	{ V "; rua=mailto:a@example.com!10x", V, "rua: has a bare \"!\"; rua: has no valid URI", "4.8: ! MUST be encoded" },
	{ V "; rua=mailto:a!b@example.com", V, "rua: has a bare \"!\"; rua: has no valid URI", "4.8: ! MUST be encoded" },
	{ V "; rua=mailto:a%21b@example.com", V "; rua=mailto:a%21b@example.com", NULL, "4.8" },
	{ V "; rua=mailto:a%2@example.com", V, "rua: is not a URI; rua: has no valid URI", "RFC 3986 2.1" },
	{ V "; rua= https://example.com/r?x=1#y , mailto:b@example.com ", V "; rua=https://example.com/r?x=1#y,mailto:b@example.com", NULL, "4.7 rua: any valid URI" },
	{ V "; rua=b@example.com", V, "rua: has no scheme; rua: has no valid URI", "RFC 3986 3.1" },
	{ V "; rua=:x", V, "rua: has no scheme; rua: has no valid URI", "RFC 3986 3.1" },
	{ V "; rua=1x:y", V, "rua: has no scheme; rua: has no valid URI", "RFC 3986 3.1" },
	{ V "; rua=a_b:y", V, "rua: has no scheme; rua: has no valid URI", "RFC 3986 3.1" },
	{ V "; rua=mailto:", V, "rua: is not a URI; rua: has no valid URI", "RFC 6068 2" },
	{ V "; rua=mailto:x,mailto:@x,mailto:x@,mailto:x@?a@b", V, "rua: has no address; rua: has no address; rua: has no address; rua: has no address; rua: has no valid URI", "RFC 6068 2" },
	{ V "; rua=mailto:x@\xc3\xa4.example", V, "rua: is not a URI; rua: has no valid URI", "RFC 3986 2" },
	{ V "; rua=,mailto:a@b,", V "; rua=mailto:a@b", "rua: is empty", "4.8" },
	{ V "; rua=", V, "rua: has no valid URI", "4.8" },
	{ V "; ruf=mailto:a@b; rua=mailto:c@d", V "; rua=mailto:c@d; ruf=mailto:a@b", NULL, "4.7 ruf" },
	{ V "; ruf=x", V, "ruf: has no scheme; ruf: has no valid URI", "4.7 ruf" },
	/* fo */
	{ V "; ruf=mailto:a@b; fo=1", V "; ruf=mailto:a@b; fo=1", NULL, "4.7 fo" },
	{ V "; ruf=mailto:a@b; fo=0", V "; ruf=mailto:a@b", NULL, "4.7 fo: 0 is the default" },
	{ V "; ruf=mailto:a@b; fo=S : d:1", V "; ruf=mailto:a@b; fo=1:d:s", NULL, "4.8 dmarc-fo" },
	{ V "; ruf=mailto:a@b; fo=d", V "; ruf=mailto:a@b; fo=d", NULL, "4.8 dmarc-fo" },
	{ V "; fo=1; ruf=mailto:a@b", V "; ruf=mailto:a@b; fo=1", NULL, "4.7: order is free" },
	{ V "; fo=1", V, NULL, "4.7 fo: MUST be ignored without ruf" },
	{ V "; fo=1; ruf=x", V, "ruf: has no scheme; ruf: has no valid URI", "4.7 fo: MUST be ignored without ruf" },
	{ V "; ruf=mailto:a@b; fo=0:1", V "; ruf=mailto:a@b", "fo: has both 0 and 1", "4.7 fo: mutually exclusive" },
	{ V "; ruf=mailto:a@b; fo=d:d", V "; ruf=mailto:a@b", "fo: is not a list of 0, 1, d and s", "4.8 dmarc-afrf: at most once" },
	{ V "; ruf=mailto:a@b; fo=1:", V "; ruf=mailto:a@b", "fo: is not a list of 0, 1, d and s", "4.8 dmarc-fo" },
	{ V "; ruf=mailto:a@b; fo=:1", V "; ruf=mailto:a@b", "fo: is not a list of 0, 1, d and s", "4.8 dmarc-fo" },
	{ V "; ruf=mailto:a@b; fo=", V "; ruf=mailto:a@b", "fo: is not a list of 0, 1, d and s", "4.8 dmarc-fo" },
	{ V "; ruf=mailto:a@b; fo=x", V "; ruf=mailto:a@b", "fo: is not a list of 0, 1, d and s", "4.8 dmarc-fo" },
	/* pct and the rest */
	{ V "; p=none; pct=0", V "; p=none; pct=0", NULL, "RFC 7489 6.3 pct" },
	{ V "; p=none; pct=100", V "; p=none", NULL, "RFC 7489 6.3 pct" },
	{ V "; p=none; pct=101", V "; p=none", "pct: is not a number from 0 to 100", "RFC 7489 6.3 pct" },
	{ V "; p=none; pct=-1", V "; p=none", "pct: is not a number from 0 to 100", "RFC 7489 6.3 pct" },
	{ V "; p=none; rf=afrf; ri=86400; x=y", V "; p=none", NULL, "4.7: unknown tags MUST be ignored" },
	{ V ";; ; p=none;;", V "; p=none", NULL, "4.8: syntax errors are ignored" },
	{ V "; garbage; =x; 1=2; p=none", V "; p=none", "garbage: has no \"=\"; : is not a tag name; 1: is not a tag name", "4.8" },
	{ V "; sp=re\x01ject; p=none", V "; p=none", "sp: is not valid", "4.8 dmarc-value" },
};
/* clang-format on */

static const char *
faults_text(struct arena *a, const struct dmarc_record *r)
{
	struct strbuf b;

	strbuf_init(&b, a, 4096);
	for (size_t i = 0; i < r->fault_count; i++)
		strbuf_printf(&b, "%s%.*s: %s", i == 0 ? "" : "; ", SLICE_ARG(r->faults[i].tag),
		    r->faults[i].why);
	return arena_str(a, strbuf_slice(&b));
}

static void
test_rows(void **state)
{
	struct arena *a = arena_new(ARENA_BYTES);
	size_t failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		const char *want = row->want == NULL ? "(no DMARC record)" : row->want;
		const char *want_faults = row->faults == NULL ? "" : row->faults;
		struct dmarc_record r;
		const char *got = "(no DMARC record)", *faults = "";

		if (dmarc_record_parse(a, slice_str(row->text), &r)) {
			got = dmarc_text(a, &r);
			faults = faults_text(a, &r);
		}
		if (strcmp(got, want) == 0 && strcmp(faults, want_faults) == 0)
			continue;
		failed++;
		(void)printf("FAIL \"%s\"\n  got    %s (%s)\n  want   %s (%s)\n  RFC 9989 %s\n",
		    arena_printable(a, slice_str(row->text), 300), got, faults, want, want_faults,
		    row->rule);
	}
	arena_free(&a);
	assert_int_equal(failed, 0);
}

static void
test_usability(void **state)
{
	static const struct {
		const char *text;
		enum dmarc_usability treewalk, psl;
		const char *rule;
	} cases[] = {
		{ V "; p=reject", DMARC_USABLE, DMARC_USABLE, "4.10.1" },
		{ V, DMARC_UNUSABLE, DMARC_UNUSABLE, "4.10.1: no valid p, no rua" },
		{ V "; sp=reject", DMARC_UNUSABLE, DMARC_UNUSABLE, "4.10.1: no valid p" },
		{ V "; rua=mailto:a@b", DMARC_USABLE_AS_NONE, DMARC_USABLE_AS_NONE, "4.10.1: rua" },
		{ V "; rua=junk", DMARC_UNUSABLE, DMARC_UNUSABLE, "4.10.1: no valid URI" },
		{ V "; p=x; rua=mailto:a@b", DMARC_USABLE_AS_NONE, DMARC_USABLE_AS_NONE, "4.10.1" },
		{ V "; p=reject; sp=x", DMARC_UNUSABLE, DMARC_UNUSABLE, "4.10.1: sp not valid" },
		{ V "; p=reject; sp=x; rua=mailto:a@b", DMARC_USABLE_AS_NONE, DMARC_USABLE_AS_NONE,
		    "4.10.1: sp not valid" },
		{ V "; p=reject; np=x", DMARC_UNUSABLE, DMARC_USABLE,
		    "4.10.1: np not valid; RFC 7489 knows no np" },
	};
	struct arena *a = arena_new(ARENA_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dmarc_record r;

		assert_true(dmarc_record_parse(a, slice_str(cases[i].text), &r));
		if (dmarc_record_usability(&r, DMARC_TREEWALK) != cases[i].treewalk ||
		    dmarc_record_usability(&r, DMARC_PSL) != cases[i].psl)
			fail_msg("\"%s\" got %s, %s (RFC 9989 %s)", cases[i].text,
			    dmarc_usability_word(dmarc_record_usability(&r, DMARC_TREEWALK)),
			    dmarc_usability_word(dmarc_record_usability(&r, DMARC_PSL)),
			    cases[i].rule);
	}
	arena_free(&a);
}

/* Bounds of limits.h: what is beyond is left out, and told. */
static void
test_limits(void **state)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct dmarc_record r;
	struct strbuf b;

	(void)state;
	strbuf_init(&b, a, 2 * LIMIT_DMARC_RECORD_BYTES);
	strbuf_str(&b, V "; rua=mailto:a@b");
	for (size_t i = 0; i < LIMIT_DMARC_URIS; i++)
		strbuf_str(&b, ",mailto:a@b");
	assert_true(dmarc_record_parse(a, strbuf_slice(&b), &r));
	assert_int_equal(r.rua_count, LIMIT_DMARC_URIS);
	assert_string_equal(faults_text(a, &r), "rua: is one too many");

	for (size_t i = 0; i < DMARC_FAULTS_MAX + 3; i++)
		strbuf_str(&b, "; junk");
	assert_true(dmarc_record_parse(a, strbuf_slice(&b), &r));
	assert_int_equal(r.fault_count, DMARC_FAULTS_MAX);

	while (strbuf_slice(&b).len <= LIMIT_DMARC_RECORD_BYTES)
		strbuf_char(&b, ' ');
	assert_false(dmarc_record_parse(a, strbuf_slice(&b), &r));
	assert_true(
	    dmarc_record_parse(a, slice_sub(strbuf_slice(&b), 0, LIMIT_DMARC_RECORD_BYTES), &r));
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_usability),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
