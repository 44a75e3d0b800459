/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         postbox_auth_test - who is let in, who gets mail; the command line that says so
 */
#include "tests/harness/postbox/auth.h"

#include <string.h>

#include "policy/syntax/base64.h"
#include "tests/harness/postbox/options.h"
#include "tests/support/support.h"

#define ARGUMENTS 8

/* A server that nobody can connect to: auth reads its options only. */
static struct server *
server_with_users(struct arena *a)
{
	static char *const argv[] = { (char *)(uintptr_t) "postbox", (char *)(uintptr_t) "--user",
		(char *)(uintptr_t) "alice:secret", (char *)(uintptr_t) "--user=bob:p:w",
		(char *)(uintptr_t) "--domain=Bob.Example.", (char *)(uintptr_t) "--domain",
		(char *)(uintptr_t) "lists.bob.example", NULL };
	struct server *server = arena_alloc(a, sizeof(*server));
	const char *error = "";

	if (options_read(a, 7, argv, &server->options, &error) != OPTIONS_RUN)
		fail_msg("%s", error);
	return server;
}

static const char *
name_of(struct arena *a, const struct user *user)
{
	return user == NULL ? "nobody" : arena_str(a, user->name);
}

static void
passwords(void **state)
{
	static const struct {
		const char *name, *password, *want;
	} rows[] = {
		{ "alice", "secret", "alice" },
		{ "Alice", "secret", "alice" },
		{ "alice@bob.example", "secret", "alice" },
		{ "alice@LISTS.bob.example.", "secret", "alice" },
		{ "bob", "p:w", "bob" },
		{ "alice@elsewhere.example", "secret", "nobody" },
		{ "alice", "Secret", "nobody" },
		{ "alice", "secre", "nobody" },
		{ "alice", "secrets", "nobody" },
		{ "alice", "", "nobody" },
		{ "alice", "p:w", "nobody" },
		{ "mallory", "secret", "nobody" },
		{ "mallory", "nobody", "nobody" },
		{ "", "", "nobody" },
		{ "@bob.example", "secret", "nobody" },
	};
	struct arena *a = arena_new(1 << 20);
	const struct server *server = server_with_users(a);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *got = name_of(
		    a, auth_check(server, slice_str(rows[i].name), slice_str(rows[i].password)));

		if (strcmp(got, rows[i].want) != 0)
			fail_msg("%s with %s: got %s, want %s", rows[i].name, rows[i].password, got,
			    rows[i].want);
	}
	arena_free(&a);
}

static void
recipients(void **state)
{
	static const struct {
		const char *local, *domain, *want;
	} rows[] = {
		{ "bob", "bob.example", "bob" },
		{ "BOB", "BOB.EXAMPLE.", "bob" },
		{ "bob+news", "lists.bob.example", "bob" }, /* RFC 5233 */
		{ "bob", "", "bob" },
		{ "postmaster", "bob.example", "alice" }, /* RFC 5321 4.5.1 */
		{ "Postmaster", "", "alice" },
		{ "bob", "elsewhere.example", "nobody" },
		{ "bob", "sub.bob.example", "nobody" },
		{ "mallory", "bob.example", "nobody" },
		{ "+news", "bob.example", "nobody" },
		{ "", "bob.example", "nobody" },
	};
	struct arena *a = arena_new(1 << 20);
	const struct server *server = server_with_users(a);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *got = name_of(
		    a, auth_recipient(server, slice_str(rows[i].local), slice_str(rows[i].domain)));

		if (strcmp(got, rows[i].want) != 0)
			fail_msg("%s@%s: got %s, want %s", rows[i].local, rows[i].domain, got,
			    rows[i].want);
	}
	arena_free(&a);
}

/* RFC 4616 section 2: [authzid] NUL authcid NUL passwd */
static void
sasl_plain(void **state)
{
	static const struct {
		const char *name;
		struct slice text;
		bool malformed;
		const char *want;
	} rows[] = {
		{ "right", SLICE("\0alice\0secret"), false, "alice" },
		{ "as oneself", SLICE("alice\0alice\0secret"), false, "alice" },
		{ "as oneself, longer", SLICE("alice@bob.example\0alice\0secret"), false, "alice" },
		{ "as another", SLICE("bob\0alice\0secret"), false, "nobody" },
		{ "as a stranger", SLICE("mallory\0alice\0secret"), false, "nobody" },
		{ "wrong password", SLICE("\0alice\0wrong"), false, "nobody" },
		{ "no NUL", SLICE("alice"), true, "nobody" },
		{ "one NUL", SLICE("alice\0secret"), true, "nobody" },
		{ "a third NUL", SLICE("\0alice\0sec\0ret"), true, "nobody" },
		{ "no name", SLICE("\0\0secret"), true, "nobody" },
		{ "no password", SLICE("\0alice\0"), true, "nobody" },
		{ "nothing", SLICE(""), true, "nobody" },
	};
	struct arena *a = arena_new(1 << 20);
	const struct server *server = server_with_users(a);
	bool malformed;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *got = name_of(
		    a, sasl_plain_check(a, server, base64_encode(a, rows[i].text), &malformed));

		if (strcmp(got, rows[i].want) != 0 || malformed != rows[i].malformed)
			fail_msg("%s: got %s, malformed %d; want %s, %d", rows[i].name, got,
			    malformed, rows[i].want, rows[i].malformed);
	}
	assert_non_null(sasl_plain_check(
	    a, server, sasl_plain_encode(a, SLICE("bob"), SLICE("p:w")), &malformed));
	arena_free(&a);
}

static void
sasl_base64(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *want;
	} rows[] = {
		{ "YWxpY2U=", 0, "alice" },
		{ "=", 0, "" }, /* RFC 4954 4: the empty answer */
		{ "", 0, "" },
		{ "YWxpY2U", -1, NULL },
		{ "YWxp Y2U=", -1, NULL },
		{ "*", -1, NULL },
		{ "YWxpY2U=x", -1, NULL },
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice got = SLICE("");

		if (sasl_login_decode(a, slice_str(rows[i].text), &got) != rows[i].rc)
			fail_msg("\"%s\": want %d", rows[i].text, rows[i].rc);
		if (rows[i].rc == 0)
			assert_slice(got, rows[i].want);
	}
	arena_free(&a);
}

/* ---- the command line ---- */

static enum options_result
read_words(struct arena *a, const char *const words[ARGUMENTS], struct server_options *out,
    const char **error_r)
{
	char *argv[ARGUMENTS + 1] = { arena_alloc(a, 1) };
	int argc = 1;

	while (argc <= ARGUMENTS && words[argc - 1] != NULL) {
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
		argc++;
	}
	return options_read(a, argc, argv, out, error_r);
}

static void
wrong_options(void **state)
{
	static const struct {
		const char *words[ARGUMENTS];
		const char *want; /* a part of the error */
	} rows[] = {
		{ { "--nothing" }, "no such option" },
		{ { "stray" }, "no such option" },
		{ { "--" }, "no such option" },
		{ { "--user" }, "wants NAME:PASSWORD" },
		{ { "--user", "alice" }, "NAME:PASSWORD" },
		{ { "--user", "alice:" }, "NAME:PASSWORD" },
		{ { "--user", "../alice:x" }, "a name is letters" },
		{ { "--user", ".alice:x" }, "a name is letters" },
		{ { "--user", "alice:x", "--user", "Alice:y" }, "there already" },
		{ { "--bind", "localhost" }, "not an address" },
		{ { "--port", "gopher=70" }, "no such protocol" },
		{ { "--port", "smtp" }, "PROTOCOL=PORT" },
		{ { "--port", "smtp=65536" }, "0 to 65535" },
		{ { "--port-offset", "-1" }, "not a number" },
		{ { "--cert", "c.pem" }, "go together" },
		{ { "--xclient", "127.0.0.1/33" }, "not a network" },
		{ { "--milter", "/run/assay.sock" }, "unix:PATH" },
		{ { "--milter-default", "discard" }, "accept, tempfail" },
		{ { "--verbose=yes" }, "takes no value" },
		{ { "--maildir=" }, "not a directory" },
		{ { "--connections", "0" }, "not a number" },
		{ { "--domain", "a..b" }, "--domain" },
		{ { "--relay-map", "192.0.2.1" }, "ADDRESS:PORT" },
		{ { "--relay-map", "mx=127.0.0.1:25" }, "ADDRESS=ADDRESS:PORT" },
		{ { "--relay-map", "192.0.2.1=127.0.0.1" }, "ADDRESS:PORT" },
		{ { "--relay-map", "192.0.2.1=127.0.0.1:0" }, "ADDRESS:PORT" },
		{ { "--relay-host", "localhost:25" }, "ADDRESS:PORT" },
		{ { "--relay-host", ":25" }, "ADDRESS:PORT" },
		{ { "--relay-port", "0" }, "not a number" },
		{ { "--relay-retry", "0" }, "not a number" },
	};
	struct arena *a = arena_new(1 << 20);
	struct server_options options;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *error = "";

		if (read_words(a, rows[i].words, &options, &error) != OPTIONS_WRONG ||
		    strstr(error, rows[i].want) == NULL)
			fail_msg(
			    "%s: got \"%s\", want \"%s\"", rows[i].words[0], error, rows[i].want);
	}
	arena_free(&a);
}

/* A harness stays at home: this is what must hold when nobody says otherwise. */
static void
defaults(void **state)
{
	static const char *const none[ARGUMENTS] = { NULL };
	static const char *const help[ARGUMENTS] = { "--help" };
	struct arena *a = arena_new(1 << 20);
	struct server_options o;
	const char *error = "";
	char text[IP_TEXT_BYTES];

	(void)state;
	assert_int_equal(read_words(a, none, &o, &error), OPTIONS_RUN);
	assert_string_equal(ip_print(&o.bind, text), "127.0.0.1");
	assert_false(o.relay);
	assert_false(o.relay_anywhere);
	assert_false(o.allow_plain_auth);
	assert_int_equal(o.xclient.count, 0);
	assert_int_equal(o.listen_count, protocol_count);
	for (size_t i = 0; i < o.listen_count; i++)
		assert_true(o.listen[i].port > 1023);
	assert_slice(o.domains[0], "localhost");
	assert_int_equal(read_words(a, help, &o, &error), OPTIONS_HELP);
	assert_non_null(strstr(arena_str(a, options_help(a)), "binds to loopback"));
	assert_non_null(strstr(arena_str(a, options_help(a)), "no open relay"));
	assert_non_null(strstr(arena_str(a, options_help(a)), "relays mail for nobody but"));
	assert_non_null(strstr(arena_str(a, options_help(a)), "is not installed"));
	arena_free(&a);
}

static void
ports(void **state)
{
	static const char *const named[ARGUMENTS] = { "--port", "smtp=2525", "--port=smtps=0" };
	static const char *const any[ARGUMENTS] = { "--any-port" };
	static const char *const offset[ARGUMENTS] = { "--port-offset", "20000" };
	struct arena *a = arena_new(1 << 20);
	struct server_options o;
	const char *error = "";

	(void)state;
	assert_int_equal(read_words(a, named, &o, &error), OPTIONS_RUN);
	assert_int_equal(o.listen_count, 2);
	assert_int_equal(o.listen[0].port, 2525);
	assert_string_equal(o.listen[1].protocol->name, "smtps");
	assert_int_equal(o.listen[1].port, 0);
	assert_int_equal(read_words(a, any, &o, &error), OPTIONS_RUN);
	for (size_t i = 0; i < o.listen_count; i++)
		assert_int_equal(o.listen[i].port, 0);
	assert_int_equal(read_words(a, offset, &o, &error), OPTIONS_RUN);
	assert_string_equal(o.listen[0].protocol->name, "smtp");
	assert_int_equal(o.listen[0].port, 20025);
	arena_free(&a);
}

static void
relaying(void **state)
{
	static const char *const words[ARGUMENTS] = { "--relay-map", "192.0.2.1=127.0.0.2:2525",
		"--relay-map=2001:db8::1=[::1]:25", "--relay-host=[::1]:10025" };
	struct arena *a = arena_new(1 << 20);
	struct server_options o;
	const char *error = "";
	char text[IP_TEXT_BYTES];

	(void)state;
	if (read_words(a, words, &o, &error) != OPTIONS_RUN)
		fail_msg("%s", error);
	assert_true(o.relay); /* --relay-host says so */
	assert_int_equal(o.relay_map_count, 2);
	assert_string_equal(ip_print(&o.relay_map[0].from, text), "192.0.2.1");
	assert_string_equal(ip_print(&o.relay_map[0].to, text), "127.0.0.2");
	assert_int_equal(o.relay_map[0].port, 2525);
	assert_string_equal(ip_print(&o.relay_map[1].from, text), "2001:db8::1");
	assert_string_equal(ip_print(&o.relay_map[1].to, text), "::1");
	assert_string_equal(ip_print(&o.relay_host, text), "::1");
	assert_int_equal(o.relay_host_port, 10025);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passwords),
		cmocka_unit_test(recipients),
		cmocka_unit_test(sasl_plain),
		cmocka_unit_test(sasl_base64),
		cmocka_unit_test(wrong_options),
		cmocka_unit_test(defaults),
		cmocka_unit_test(ports),
		cmocka_unit_test(relaying),
	};

	return cmocka_run_group_tests_name("postbox_auth", tests, NULL, NULL);
}
