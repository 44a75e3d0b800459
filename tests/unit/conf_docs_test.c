/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf/assay.conf and assay.conf(5) say what the table of settings says: each setting with its
 * range and default, no other setting, and examples that load.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/schema.h"
#include "policy/base/strbuf.h"
#include "tests/support/support.h"

#define PAGE "doc/assay.conf.5"

static const char *
source_path(struct arena *a, const char *file)
{
	const char *source = getenv("ASSAY_SOURCE");

	return arena_printf(a, "%s/%s", source == NULL ? "." : source, file);
}

static void
sample_is_the_table(void **state)
{
	struct arena *a = arena_new(1024 * 1024);
	struct slice want = conf_write_sample(a), w;
	struct slice got = read_file(a, source_path(a, "conf/assay.conf")), g;
	size_t line = 1;

	(void)state;
	while (slice_next(&want, '\n', &w)) {
		if (!slice_next(&got, '\n', &g) || !slice_equal(g, w))
			fail_msg("conf/assay.conf:%zu: got \"%.*s\", want \"%.*s\"; make it anew "
				 "with `assay conf --defaults`",
			    line, SLICE_ARG(g), SLICE_ARG(w));
		line++;
	}
	assert_int_equal(got.len, 0);
	arena_free(&a);
}

/* mdoc text without its escapes: "\e" is a backslash, "\&" nothing. */
static void
add_plain(struct strbuf *b, struct slice line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (line.p[i] != '\\' || i + 1 == line.len)
			strbuf_char(b, line.p[i]);
		else if (line.p[++i] == 'e')
			strbuf_char(b, '\\');
		else if (line.p[i] != '&')
			fail_msg(PAGE ": escape \\%c is not known to this test", line.p[i]);
	}
	strbuf_char(b, ' ');
}

/* What stands between ".It Ic name" and the next item, without macros, on one line; empty: no such
 * item. */
static struct slice
item_text(struct arena *a, struct slice page, const char *name)
{
	struct slice head = slice_str(arena_printf(a, ".It Ic %s", name)), line;
	struct strbuf b;
	bool inside = false;

	strbuf_init(&b, a, 65536);
	while (slice_next(&page, '\n', &line)) {
		if (slice_starts(line, SLICE(".It")) || slice_starts(line, SLICE(".El")))
			inside = slice_equal(line, head);
		else if (inside && !slice_starts(line, SLICE(".")))
			add_plain(&b, line);
	}
	return strbuf_slice(&b);
}

static void
page_has_every_setting(void **state)
{
	struct arena *a = arena_new(16 * 1024 * 1024);
	struct slice page = read_file(a, source_path(a, PAGE));

	(void)state;
	for (size_t i = 0; i < conf_setting_count; i++) {
		const struct conf_setting *s = &conf_settings[i];
		const char *got = arena_str(a, item_text(a, page, s->name));
		const char *want = arena_printf(a, "Allowed: %s. Default: %s. ",
		    conf_setting_allowed(a, s),
		    s->kind == CONF_SECTIONS ? "none" : conf_setting_default(a, s));

		if (strstr(got, want) == NULL)
			fail_msg(PAGE ": %s: got \"%s\", want in it \"%s\"", s->name, got, want);
	}
	arena_free(&a);
}

static void
page_has_no_other_setting(void **state)
{
	struct arena *a = arena_new(1024 * 1024);
	struct slice page = read_file(a, source_path(a, PAGE)), line;
	size_t items = 0, known;

	(void)state;
	while (slice_next(&page, '\n', &line)) {
		if (!slice_starts(line, SLICE(".It Ic ")))
			continue;
		items++;
		for (known = 0; known < conf_setting_count; known++) {
			if (slice_equal(slice_from(line, 7), slice_str(conf_settings[known].name)))
				break;
		}
		if (known == conf_setting_count)
			fail_msg(PAGE ": %.*s is no setting", SLICE_ARG(slice_from(line, 7)));
	}
	assert_int_equal(items, conf_setting_count);
	arena_free(&a);
}

/* Write text to a file of its own and load that. */
static void
check_example(struct slice text, size_t line)
{
	char path[] = "/tmp/assay-conf-docs.XXXXXX";
	int fd = mkstemp(path);
	char *error = NULL;
	struct conf *c;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.p, text.len), (ssize_t)text.len);
	close(fd);
	c = conf_load(path, &error);
	unlink(path);
	if (c == NULL)
		fail_msg(PAGE ":%zu: the example does not load: %s", line, error);
	conf_free(&c);
}

/* Literal displays, but those under DIAGNOSTICS, are configurations. */
static void
examples_of_the_page_load(void **state)
{
	struct arena *a = arena_new(1024 * 1024);
	struct slice page = read_file(a, source_path(a, PAGE)), line;
	struct strbuf b;
	size_t at = 0, start = 0, examples = 0;

	(void)state;
	while (slice_next(&page, '\n', &line) && !slice_equal(line, SLICE(".Sh DIAGNOSTICS"))) {
		at++;
		if (slice_starts(line, SLICE(".Bd -literal"))) {
			strbuf_init(&b, a, 65536);
			start = at;
		} else if (start != 0 && slice_equal(line, SLICE(".Ed"))) {
			check_example(strbuf_slice(&b), start);
			examples++;
			start = 0;
		} else if (start != 0) {
			strbuf_add(&b, line);
			strbuf_char(&b, '\n');
		}
	}
	assert_in_range(examples, 5, 100);
	arena_free(&a);
}

static void
page_is_good_mdoc(void **state)
{
	struct arena *a = arena_new(65536);

	(void)state;
	if (system("command -v mandoc >/dev/null 2>&1") != 0) {
		print_message("mandoc is not installed\n");
		skip();
	}
	assert_int_equal(
	    system(arena_printf(a, "mandoc -Tlint -Wwarning '%s'", source_path(a, PAGE))), 0);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sample_is_the_table),
		cmocka_unit_test(page_has_every_setting),
		cmocka_unit_test(page_has_no_other_setting),
		cmocka_unit_test(examples_of_the_page_load),
		cmocka_unit_test(page_is_good_mdoc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
