/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first byte chooses AAR or not, the rest is a field. Asserted beyond survival:
 *      what parses comes back from write and parse as it was (values that write has to change, as
 *      its header says, change once and never again);
 *      what parses claims its own authserv-id;
 *      what parses is read alike by the lenient reader;
 *      taken over into a set of ours (own_results) it has the same results;
 *      the input as value, reason and comment of a result of ours gives a field that parses, with
 *      that one result, and whose lines are folds of at most 998 bytes.
 */
#include <stdint.h>
#include <stdlib.h>

#include "policy/authres/authres.h"
#include "policy/base/limits.h"
#include "policy/own_results.h"

#define ARENA_BYTES (8u * 1024 * 1024)
#define LINE_BYTES  (998 - 28) /* RFC 5322 2.1.1, less "ARC-Authentication-Results: " */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static bool
same_result(const struct authres_result *a, const struct authres_result *b)
{
	if (!slice_equal(a->method, b->method) || !slice_equal(a->result, b->result) ||
	    !slice_equal(a->reason, b->reason) || a->method_version != b->method_version ||
	    a->property_count != b->property_count)
		return false;
	for (size_t i = 0; i < a->property_count; i++)
		if (!slice_equal(a->properties[i].ptype, b->properties[i].ptype) ||
		    !slice_equal(a->properties[i].property, b->properties[i].property) ||
		    !slice_equal(a->properties[i].value, b->properties[i].value))
			return false;
	return true;
}

static bool
same(const struct authres *a, const struct authres *b)
{
	if (!slice_equal(a->authserv_id, b->authserv_id) || a->version != b->version ||
	    a->instance != b->instance || a->result_count != b->result_count)
		return false;
	for (size_t i = 0; i < a->result_count; i++)
		if (!same_result(&a->results[i], &b->results[i]))
			return false;
	return true;
}

static void
check_lines(struct slice text)
{
	struct slice line;

	while (slice_next(&text, '\n', &line)) {
		must(line.len <= LINE_BYTES && slice_trim(line).len > 0);
		if (text.len > 0)
			must(ascii_is_wsp(text.p[0]) && line.p[line.len - 1] == '\r');
		must(slice_find(slice_sub(line, 0, line.len - 1), '\r') == SLICE_NONE);
	}
}

static void
write_and_parse(struct arena *a, const struct authres *in, struct authres *out)
{
	struct slice text = authres_write(a, in);
	const char *error;

	check_lines(text);
	must(authres_parse(a, text, in->instance > 0, out, &error) == 0);
}

/* Nothing in it that write changes. */
static bool
is_plain(struct slice value)
{
	size_t word = 0;

	for (size_t i = 0; i < value.len; i++) {
		word = ascii_is_alnum(value.p[i]) || value.p[i] == '-' ? word + 1 : 0;
		if ((unsigned char)value.p[i] >= 0x80 || word > LIMIT_AUTHRES_KEYWORD_BYTES)
			return false;
	}
	return value.len <= LIMIT_AUTHRES_VALUE_BYTES / 2;
}

static void
check_taken_over(struct arena *a, struct slice value, const struct authres *parsed)
{
	const struct slice ids[] = { SLICE("mx.rcpt.test"), parsed->authserv_id };
	struct header_list header = { 0 };
	struct own_results own;
	struct authres again;
	const char *error;

	header_list_add(&header, a, SLICE("Authentication-Results"), value);
	own_results_find(a, &header, ids, 2, &own);
	if (parsed->result_count == 0 || own.text.len == 0)
		return;
	must(authres_parse(a, own.text, false, &again, &error) == 0);
	must(again.result_count == parsed->result_count);
	for (size_t i = 0; i < again.result_count; i++)
		must(same_result(&again.results[i], &parsed->results[i]));
}

static void
check_parsed(struct arena *a, struct slice value, const struct authres *parsed)
{
	struct authres once, twice, lenient;
	const char *error;

	must(authres_parse_lenient(a, value, parsed->instance > 0, &lenient, &error) == 0);
	must(same(parsed, &lenient));
	if (parsed->instance == 0)
		check_taken_over(a, value, parsed);
	write_and_parse(a, parsed, &once);
	write_and_parse(a, &once, &twice);
	must(same(&once, &twice));
	must(!is_plain(value) || same(parsed, &once));
	if (parsed->instance == 0 && parsed->authserv_id.len > 0)
		must(authres_must_go(a, value, &parsed->authserv_id, 1));
}

static void
check_hostile(struct arena *a, struct slice value)
{
	struct authres_property property = { SLICE("header"), SLICE("d"), value };
	struct authres_result result = { .method = SLICE("dkim"),
		.result = SLICE("fail"),
		.reason = value,
		.comment = value,
		.properties = &property,
		.property_count = 1 };
	struct authres in = { .authserv_id = value, .results = &result, .result_count = 1 }, out;

	write_and_parse(a, &in, &out);
	must(out.result_count == 1 && out.results[0].property_count == 1);
	must(slice_equal(out.results[0].result, SLICE("fail")));
	must(slice_equal(out.results[0].properties[0].property, SLICE("d")));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct slice text = slice_of((const char *)data, size), value = slice_from(text, 1);
	const struct slice id = SLICE("mx.rcpt.test");
	struct authres parsed;
	const char *error;

	if (size > 0 && authres_parse(a, value, data[0] % 2 == 1, &parsed, &error) == 0)
		check_parsed(a, value, &parsed);
	check_hostile(a, value);
	(void)authres_parse_lenient(a, value, true, &parsed, &error);
	(void)authres_must_go(a, value, &id, 1);
	arena_free(&a);
	return 0;
}
