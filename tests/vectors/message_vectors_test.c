/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "policy/authres/authres.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/mailbox.h"
#include "tests/support/support.h"

#define TEST_BYTES (16u * 1024 * 1024)

struct suite {
	struct arena *arena;
	json_t *cases;
	const char *kind;
	size_t ran, passed;
};

static const char *
text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

/* Is got what the case wants: expected.KEY, or one of expected.KEY_accept. */
static bool
is_right(const json_t *expected, const char *key, bool got)
{
	char accept[64];
	const json_t *list;
	size_t i;
	json_t *value;

	if (json_is_true(json_object_get(expected, key)) == got)
		return true;
	(void)snprintf(accept, sizeof(accept), "%s_accept", key);
	list = json_object_get(expected, accept);
	json_array_foreach(list, i, value) if (json_is_true(value) == got) return true;
	return false;
}

/* Characters U+0000 to U+00FF stand for bytes. */
static struct slice
latin1_bytes(struct arena *a, const json_t *string)
{
	const unsigned char *p = (const unsigned char *)json_string_value(string);
	size_t len = json_string_length(string);
	struct strbuf b;

	strbuf_init(&b, a, TEST_BYTES);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = p[i];

		if (c >= 0xc2)
			c = (unsigned char)((c & 3u) << 6 | (p[++i] & 0x3fu));
		strbuf_char(&b, (char)c);
	}
	return strbuf_slice(&b);
}

static const char *
run_from(struct arena *a, const json_t *test)
{
	const json_t *expected = json_object_get(test, "expected");
	const json_t *domains = json_object_get(expected, "domains");
	struct header_list header = { .count = 0 };
	struct author author;
	size_t i;
	json_t *field;

	json_array_foreach(json_object_get(test, "fields"), i, field)
	{
		struct slice bytes = latin1_bytes(a, field);
		size_t colon = slice_find(bytes, ':');

		header_list_add(
		    &header, a, slice_sub(bytes, 0, colon), slice_from(bytes, colon + 1));
	}
	author_read(a, &header, &author);
	if (!is_right(expected, "malformed", author.malformed != NULL))
		return arena_printf(
		    a, "malformed: %s", author.malformed == NULL ? "no" : author.malformed);
	if (author.domain_count != json_array_size(domains))
		return arena_printf(a, "%zu domains", author.domain_count);
	for (i = 0; i < author.domain_count; i++)
		if (!slice_equal(author.domains[i],
			slice_str(json_string_value(json_array_get(domains, i)))))
			return arena_printf(a, "domain %.*s", SLICE_ARG(author.domains[i]));
	return NULL;
}

static bool
is_text(struct slice got, const json_t *want)
{
	return slice_equal(got, slice_str(json_is_string(want) ? json_string_value(want) : ""));
}

static const char *
compare_result(struct arena *a, const struct authres_result *got, const json_t *want)
{
	const json_t *props = json_object_get(want, "props");
	const json_t *version = json_object_get(want, "method_version");

	if (!is_text(got->method, json_object_get(want, "method")) ||
	    !is_text(got->result, json_object_get(want, "result")) ||
	    !is_text(got->reason, json_object_get(want, "reason")))
		return arena_printf(a, "%.*s=%.*s reason %.*s", SLICE_ARG(got->method),
		    SLICE_ARG(got->result), SLICE_ARG(got->reason));
	if (got->method_version != (version == NULL ? 1 : json_integer_value(version)))
		return arena_printf(a, "method version %u", (unsigned)got->method_version);
	if (got->property_count != json_array_size(props))
		return arena_printf(a, "%zu properties", got->property_count);
	for (size_t i = 0; i < got->property_count; i++) {
		const struct authres_property *p = &got->properties[i];
		const json_t *prop = json_array_get(props, i);

		if (!is_text(p->ptype, json_array_get(prop, 0)) ||
		    !is_text(p->property, json_array_get(prop, 1)) ||
		    !is_text(p->value, json_array_get(prop, 2)))
			return arena_printf(a, "property %.*s.%.*s=%.*s", SLICE_ARG(p->ptype),
			    SLICE_ARG(p->property), SLICE_ARG(p->value));
	}
	return NULL;
}

static const char *
run_parse(struct arena *a, const json_t *test)
{
	const json_t *expected = json_object_get(test, "expected"), *want, *results, *instance;
	bool is_aar = strcmp(text_of(test, "field"), "ARC-Authentication-Results") == 0;
	const char *error = "none", *wrong = NULL;
	struct authres got;
	int rc = authres_parse(a, slice_str(text_of(test, "value")), is_aar, &got, &error);

	if (!is_right(expected, "valid", rc == 0))
		return arena_printf(a, "%s (%s)", rc == 0 ? "valid" : "invalid", error);
	if (rc != 0)
		return NULL;
	want = json_is_true(json_object_get(expected, "valid"))
	    ? expected
	    : json_object_get(expected, "if_accepted");
	results = json_object_get(want, "results");
	instance = json_object_get(want, "instance");
	if (!is_text(got.authserv_id, json_object_get(want, "authserv_id")) ||
	    got.instance != (instance == NULL ? 0 : json_integer_value(instance)))
		return arena_printf(
		    a, "id %.*s instance %u", SLICE_ARG(got.authserv_id), (unsigned)got.instance);
	if (got.version != 1 || got.result_count != json_array_size(results))
		return arena_printf(
		    a, "version %u, %zu results", (unsigned)got.version, got.result_count);
	for (size_t i = 0; i < got.result_count && wrong == NULL; i++)
		wrong = compare_result(a, &got.results[i], json_array_get(results, i));
	return wrong;
}

static const char *
run_remove(struct arena *a, const json_t *test)
{
	struct slice id = slice_str(text_of(test, "authserv_id"));
	bool got = authres_must_go(a, slice_str(text_of(test, "value")), &id, 1);

	if (is_right(json_object_get(test, "expected"), "remove", got))
		return NULL;
	return got ? "claims our id" : "does not claim our id";
}

static void
run_case(struct suite *s, const json_t *test)
{
	const char *kind = text_of(test, "kind");
	const char *wrong = strcmp(kind, "from-header") == 0 ? run_from(s->arena, test)
	    : strcmp(kind, "authres-parse") == 0	     ? run_parse(s->arena, test)
	    : strcmp(kind, "authres-remove") == 0	     ? run_remove(s->arena, test)
							     : "unknown kind";
	char *shown;

	s->ran++;
	if (wrong == NULL) {
		s->passed++;
		return;
	}
	shown = json_dumps(test, JSON_COMPACT | JSON_PRESERVE_ORDER);
	(void)printf("FAIL %s\n  got  %s\n  case %s\n", text_of(test, "name"), wrong, shown);
	free(shown);
}

static void
run_file(const char *file)
{
	struct suite s = { .arena = arena_new(TEST_BYTES) };
	const char *path = arena_printf(s.arena, "%s/message/%s", vectors_folder(), file);
	json_error_t error;
	size_t i;
	json_t *test;

	s.cases = json_load_file(path, JSON_ALLOW_NUL, &error);
	if (s.cases == NULL)
		fail_msg("%s: %s", path, error.text);
	json_array_foreach(s.cases, i, test) run_case(&s, test);
	(void)printf("message/%s: %zu cases, %zu passed, 0 skipped\n", file, s.ran, s.passed);
	assert_true(s.ran > 0);
	assert_int_equal(s.ran, s.passed);
	json_decref(s.cases);
	arena_free(&s.arena);
}

static void
from_header(void **state)
{
	(void)state;
	run_file("from-header.json");
}

static void
authres(void **state)
{
	(void)state;
	run_file("authres.json");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_header),
		cmocka_unit_test(authres),
	};

	if (vectors_folder() == NULL) {
		(void)printf("message: skipped, no public vectors (ASSAY_VECTORS)\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
