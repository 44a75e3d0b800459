/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A header that no message_reader has tidied up: a chain sealed in good order, and then edited. The
 * first byte says how many sets it has, the second what is done besides (see the FLAG_ names); each
 * line after that is one edit (see edit()). The header is validated, sealed, and validated again.
 * Asserted beyond survival:
 *      a chain that passes, or none at all, passes once it is sealed;
 *      a set with cv=fail seals nothing but itself, and is the last one;
 *      a new set is numbered above all that were read, and never above 50;
 *      only a chain that passes is trusted.
 */
#include <stdint.h>
#include <string.h>

#include "policy/arc/seal.h"
#include "policy/arc_trust.h"
#include "policy/base/bug.h"
#include "policy/base/limits.h"
#include "policy/base/strbuf.h"
#include "policy/crypto/private_key.h"
#include "policy/own_results.h"

#define NOW_S	    1790000000
#define ARENA_BYTES (64u * 1024 * 1024)
#define INPUT_BYTES 8192 /* each edit copies the header, which must fit into the arena */
#define EDITS	    64

#define FLAG_OWN_RESULTS 1 /* seal what our own Authentication-Results say, if there are any */
#define FLAG_OTHER_BODY	 2 /* the body was changed since the chain was sealed */
#define FLAG_SAY_PASS	 4 /* tell the sealer that the chain passed, whatever it did */

static const struct slice signed_names[] = { SLICE("Subject"), SLICE("To") };
static const struct slice sealed_results = SLICE(
    "list.example; dmarc=pass header.from=a.example; arc=none smtp.remote-ip=192.0.2.1");

static struct {
	struct arena *arena;
	struct crypto *crypto;
	struct private_key *key;
	struct resolver *resolver;
	struct arc_sealed sets[LIMIT_ARC_SETS];
	uint8_t signed_last[SHA256_BYTES]; /* digest */
} once;

static int
sign(void *ctx, uint32_t key, const uint8_t digest[SHA256_BYTES], struct signature *out,
    const char **error_r)
{
	(void)ctx, (void)key;
	*error_r = "OpenSSL failed";
	memcpy(once.signed_last, digest, SHA256_BYTES);
	return private_key_sign(once.crypto, once.key, digest, out);
}

static const struct key_holder holder = { sign, NULL };

static int
seal(struct arena *a, const struct header_list *header, struct slice body, enum arc_result found,
    struct slice results, struct arc_sealed *set)
{
	const struct arc_seal_job job = { .crypto = once.crypto,
		.holder = &holder,
		.key = { SLICE("list.example"), SLICE("s"), KEY_ED25519, 0 },
		.fields = { .oversign = signed_names, .oversign_count = 2 },
		.now_s = NOW_S };
	struct arc_sealer *s = arc_sealer_new(a, &job, header);
	const char *error;
	int rc;

	if (arc_sealer_continues(s) && arc_sealer_left_alone(s) != NULL)
		bug("goes on with what is left alone");
	arc_sealer_body(s, body);
	rc = arc_sealer_finish(s, found, results, set, &error);
	arc_sealer_fini(&s);
	return rc;
}

/* ---- the header ---- */

/* Fields from at on: drop so many, and put this one there (NULL: none). */
static void
splice(struct header_list *list, struct arena *a, size_t at, size_t drop,
    const struct header_field *field)
{
	struct header_list out = { 0 };

	for (size_t i = 0; i <= list->count; i++) {
		if (i == at && field != NULL)
			header_list_add(&out, a, field->name, field->value);
		if (i < list->count && (i < at || i >= at + drop))
			header_list_add(&out, a, list->fields[i].name, list->fields[i].value);
	}
	*list = out;
}

static void
add_set(struct header_list *list, struct arena *a, const struct arc_sealed *set)
{
	header_list_add(list, a, SLICE("ARC-Seal"), set->seal);
	header_list_add(list, a, SLICE("ARC-Message-Signature"), set->message);
	header_list_add(list, a, SLICE("ARC-Authentication-Results"), set->results);
}

static struct header_list
sealed_header(struct arena *a, const struct arc_sealed *sets, uint32_t count)
{
	struct header_list list = { 0 };

	for (uint32_t i = count; i > 0; i--)
		add_set(&list, a, &sets[i - 1]);
	header_list_add(&list, a, SLICE("From"), SLICE(" a@a.example"));
	header_list_add(&list, a, SLICE("Subject"), SLICE(" x"));
	return list;
}

/* RFC 8032 7.1, test 1, as PKCS#8: the same input makes the same chain. */
static void
set_up(void)
{
	static const char der[] =
	    "\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"
	    "\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4"
	    "\x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60";
	struct arena *a = once.arena = arena_new(ARENA_BYTES);
	const char *error = "?", *zone;
	struct slice record;

	once.crypto = crypto_new(a, &error);
	once.key = private_key_read(once.crypto, slice_of(der, sizeof(der) - 1), &error);
	if (once.key == NULL)
		bug("the key: %s", error);
	record = sig_key_write(a, KEY_ED25519, private_key_public(a, once.key));
	zone = arena_printf(a, "s._domainkey.list.example TXT 300 \"%.*s\"\n", SLICE_ARG(record));
	once.resolver = resolver_new(dns_zone_new(a, slice_str(zone), &error), NULL);
	for (uint32_t i = 0; i < LIMIT_ARC_SETS; i++) {
		struct header_list header = sealed_header(a, once.sets, i);

		if (seal(a, &header, SLICE("x\r\n"), i == 0 ? ARC_NONE : ARC_PASS, sealed_results,
			&once.sets[i]) != 0)
			bug("set %u can't be made", i + 1);
	}
}

static struct slice
put_into(struct arena *a, struct slice value, size_t at, size_t drop, struct slice text)
{
	struct strbuf b;

	strbuf_init(&b, a, value.len + text.len);
	strbuf_add(&b, slice_sub(value, 0, at));
	strbuf_add(&b, text);
	strbuf_add(&b, slice_from(value, at + drop));
	return strbuf_slice(&b);
}

/*
 * "+name:value" and "-name:value" add a field on top and at the bottom; of the others the second
 * byte is the number of a field: "nFname" gives it a name, "iFPPtext" inserts text into its value
 * at PP, "oFPPtext" writes it over what is there, "cF" copies it to the top, "dF" drops it. CR
 * makes a fold.
 */
static void
edit(struct header_list *list, struct arena *a, struct slice line)
{
	size_t colon = slice_find(line, ':'), at, place;
	struct header_field f;
	char op = line.len > 0 ? line.p[0] : '\0';

	if ((op == '+' || op == '-') && colon != SLICE_NONE) {
		f.name = slice_sub(line, 1, colon - 1);
		f.value = slice_from(line, colon + 1);
		splice(list, a, op == '+' ? 0 : list->count, 0, &f);
		return;
	}
	if (line.len < 2 || list->count == 0)
		return;
	at = (uint8_t)line.p[1] % list->count;
	f = list->fields[at];
	if (op == 'n') {
		f.name = slice_from(line, 2);
		splice(list, a, at, 1, &f);
	} else if ((op == 'i' || op == 'o') && line.len > 4) {
		place = ((size_t)(uint8_t)line.p[2] << 8 | (uint8_t)line.p[3]) % (f.value.len + 1);
		line = slice_from(line, 4);
		f.value = put_into(a, f.value, place, op == 'o' ? line.len : 0, line);
		splice(list, a, at, 1, &f);
	} else if (op == 'c') {
		splice(list, a, 0, 0, &f);
	} else if (op == 'd') {
		splice(list, a, at, 1, NULL);
	}
}

/* ---- what must hold ---- */

static struct arc_verdict
validate(struct arena *a, const struct header_list *header, struct slice body)
{
	static const struct arc_options options = { .min_rsa_bits = 1024, .clock_skew_s = 300 };
	static const struct slice sealers[] = { SLICE("list.example") };
	const struct lookups_limits limits = { 60000, 60000, 200 };
	struct lookups *l = lookups_new(a, once.resolver, &limits);
	struct arc_verifier *v = arc_verifier_new(a, once.crypto, l, &options, header, NOW_S, NULL);
	struct arc_verdict out;
	const char *comment = NULL;

	(void)arc_verifier_body(v, body);
	arc_verifier_finish(v, &out);
	arc_verifier_fini(&v);
	lookups_fini(&l);
	if (out.instances > LIMIT_ARC_SETS)
		bug("%u instances", out.instances);
	if ((out.result == ARC_PASS) != (out.seals != NULL))
		bug("%s, and seals are shown or not", arc_result_word(out.result));
	if (arc_trust_find(a, sealers, 1, &out, SLICE("a.example"), &comment) &&
	    (out.result != ARC_PASS || comment == NULL))
		bug("trusts a chain that has %s", arc_result_word(out.result));
	return out;
}

/* RFC 8617 5.1.2: AAR and AMS of the set, and its seal. */
static void
check_covers_itself(struct arena *a, const struct header_list *set)
{
	struct digest *d = digest_new(once.crypto);
	struct sig_header h;
	uint8_t digest[SHA256_BYTES];

	sig_header_init(&h, a, d, SIG_RELAXED);
	sig_header_add(&h, &set->fields[2]);
	sig_header_add(&h, &set->fields[1]);
	sig_header_end(&h, &set->fields[0], digest);
	digest_free(&d);
	if (memcmp(digest, once.signed_last, SHA256_BYTES) != 0)
		bug("cv=fail seals more than its own set");
}

static void
check(struct arena *a, const struct header_list *header, unsigned flags)
{
	static const struct slice ids[] = { SLICE("list.example"), SLICE("mx.example") };
	struct slice body = (flags & FLAG_OTHER_BODY) != 0 ? SLICE("y\r\n") : SLICE("x\r\n");
	struct arc_verdict before = validate(a, header, body), after;
	enum arc_result found = (flags & FLAG_SAY_PASS) != 0 ? ARC_PASS : before.result;
	struct slice results = sealed_results;
	struct own_results own;
	struct header_list sealed = { 0 };
	struct arc_sealed set, another;

	own_results_find(a, header, ids, 2, &own);
	if ((flags & FLAG_OWN_RESULTS) != 0 && own.text.len > 0) {
		results = own.text;
		found = own.has_arc ? own.arc : found;
	}
	if (seal(a, header, body, found, results, &set) != 0)
		return;
	if (set.instance > LIMIT_ARC_SETS || set.instance <= before.instances)
		bug("i=%u on top of %u", set.instance, before.instances);
	add_set(&sealed, a, &set);
	if (set.cv == ARC_FAIL)
		check_covers_itself(a, &sealed);
	for (size_t i = 0; i < header->count; i++)
		header_list_add(&sealed, a, header->fields[i].name, header->fields[i].value);
	after = validate(a, &sealed, body);
	if (before.result != ARC_FAIL && set.cv != ARC_FAIL &&
	    (after.result != ARC_PASS || after.instances != set.instance || !after.covers_author))
		bug("had %s, was sealed, and fails: %.*s", arc_result_word(before.result),
		    SLICE_ARG(after.reason));
	if (set.cv == ARC_FAIL &&
	    (after.result != ARC_FAIL || seal(a, &sealed, body, ARC_PASS, results, &another) == 0))
		bug("goes on behind cv=fail");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* '0' to '3' are what they say; the long ones are slow. */
	static const uint32_t counts[16] = { 0, 1, 2, 3, 1, 2, 3, 5, 0, 1, 2, 3, 1, 2, 49, 50 };
	struct slice rest, line;
	struct header_list header;
	struct arena *a;

	if (size < 2 || size > INPUT_BYTES)
		return 0;
	if (once.crypto == NULL)
		set_up();
	a = arena_new(ARENA_BYTES);
	header = sealed_header(a, once.sets, counts[data[0] % 16]);
	rest = slice_of((const char *)data + 2, size - 2);
	for (size_t i = 0; i < EDITS && slice_next(&rest, '\n', &line); i++)
		edit(&header, a, line);
	check(a, &header, data[1]);
	arena_free(&a);
	return 0;
}
