/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said of a configuration that is wrong: one fault a row, and many at once. */
#include <stdlib.h>
#include <string.h>

#include "policy/base/strbuf.h"
#include "tests/support/support.h"
#include "tests/unit/conf_rig.h"

#define SOCKETS	      "unix:/path, local:/path, inet:port@host or inet6:port@host"
#define NETS	      "a list of addresses and networks such as 192.0.2.0/24 and 2001:db8::/32"
#define ACTIONS_THREE "reject, quarantine or accept"
#define SERVERS	      "a list of addresses such as 192.0.2.53, 2001:db8::53 and 127.0.0.1@5353"

/* One fault a row, whole message without "t.conf:". */
static const struct {
	const char *name, *text, *want;
} bad[] = {
	{ "unknown setting", "\nsockets = x\n", "2: sockets: no such setting; see assay.conf(5)" },
	{ "unknown list", "sockets = { x, y }", "1: sockets: no such setting; see assay.conf(5)" },
	{ "unknown section", "domain \"x\" { rule = y }",
	    "1: domain: no such setting; see assay.conf(5)" },
	{ "unknown in a section", "author_domain \"x.example\" { rule = reject policy = none }",
	    "1: policy: no such setting in a section author_domain; allowed: rule" },
	{ "include is none", "include(\"/etc/passwd\")",
	    "1: a value with \"(\" in it needs quotes\nt.conf:1: a value with \")\" in it needs "
	    "quotes" },
	{ "case counts", "Socket = x", "1: Socket: no such setting; see assay.conf(5)" },
	{ "given again", "check_arc = yes\n\ncheck_arc = no\n",
	    "3: check_arc: given again, first on line 1" },
	{ "list given again", "trusted_networks = { ::1 }\ntrusted_networks = { 192.0.2.1 }",
	    "2: trusted_networks: given again, first on line 1" },

	{ "no value", "check_arc =\n", "2: premature end of file" },
	{ "no equal sign", "check_arc yes\n", "1: missing equal sign after option 'check_arc'" },
	{ "list where one is meant", "check_arc = { yes }\n", "1: unexpected token '{'" },
	{ "append to what is no list", "check_arc += yes\n",
	    "1: attempt to append to non-list option 'check_arc'" },
	{ "list not closed", "trusted_networks = { ::1\n", "1: { is not closed" },
	{ "stray brace", "\n}\n", "2: unexpected closing brace" },
	{ "empty name", "\"\" = x\n", "1: syntax error" },
	{ "open quote", "\nsocket = \"unix:/x\ncheck_arc = no\n",
	    "2: text is not closed: \"unix:/x" },
	{ "open single quote", "socket = 'unix:/x", "1: text is not closed: 'unix:/x" },
	{ "variable in quotes", "socket = \"unix:${HOME}/x\"",
	    "1: backslash, \"${\" and control characters can't stand in a text" },
	{ "variable", "socket = ${HOME}", "1: a value with \"$\" in it needs quotes" },
	{ "backslash", "socket = \"unix:\\057x\"",
	    "1: backslash, \"${\" and control characters can't stand in a text" },
	{ "C++ comment", "// old",
	    "1: a comment begins with #; a value with \"//\" in it needs quotes" },
	{ "C comment", "/* old",
	    "1: a comment begins with #; a value with \"/*\" in it needs quotes" },
	{ "control character", "check_arc = yes\001", "1: control character 0x01" },
	{ "bare star", "author_domain *.x.example { rule = reject }",
	    "1: a value with \"*\" in it needs quotes" },
	{ "pipe in a name", "author_domain|rule = reject",
	    "1: a value with \"|\" in it needs quotes" },

	{ "bool", "check_arc = maybe", "1: check_arc: found \"maybe\", allowed: yes or no" },
	{ "bool, other case", "check_arc = Yes",
	    "1: check_arc: found \"Yes\", allowed: yes or no" },
	{ "number too low", "dkim_min_rsa_bits = 512",
	    "1: dkim_min_rsa_bits: found \"512\", allowed: a number from 1024 to 4096" },
	{ "number too high", "spf_max_lookups = 11",
	    "1: spf_max_lookups: found \"11\", allowed: a number from 1 to 10" },
	{ "number below zero", "spf_max_void_lookups = -1",
	    "1: spf_max_void_lookups: found \"-1\", allowed: a number from 0 to 10" },
	{ "number with text", "spf_max_lookups = 5;",
	    "1: spf_max_lookups: found \"5;\", allowed: a number from 1 to 10" },
	{ "number of 65 bits", "spf_max_lookups = 18446744073709551621",
	    "1: spf_max_lookups: found \"18446744073709551621\", allowed: a number from 1 to 10" },
	{ "time without unit", "dns_timeout = 5",
	    "1: dns_timeout: found \"5\", allowed: a time from 100ms to 1m (units ms, s, m, h, "
	    "d)" },
	{ "time too long", "dns_timeout = 61s",
	    "1: dns_timeout: found \"61s\", allowed: a time from 100ms to 1m (units ms, s, m, h, "
	    "d)" },
	{ "time that overflows", "dns_timeout = 18446744073709551615d",
	    "1: dns_timeout: found \"18446744073709551615d\", allowed: a time from 100ms to 1m "
	    "(units ms, s, m, h, d)" },
	{ "time finer than a second", "dkim_clock_skew = 1500ms",
	    "1: dkim_clock_skew: found \"1500ms\", allowed: a time from 0s to 1d "
	    "(units s, m, h, d)" },
	{ "size without end", "dns_cache_size = 16T",
	    "1: dns_cache_size: found \"16T\", allowed: a size from 64K to 16G (units K, M, G)" },
	{ "size too small", "dns_cache_size = 1",
	    "1: dns_cache_size: found \"1\", allowed: a size from 64K to 16G (units K, M, G)" },
	{ "mode not octal", "socket_mode = 0680",
	    "1: socket_mode: found \"0680\", allowed: an octal mode from 0000 to 0777" },
	{ "mode with set-user-id", "socket_mode = 4755",
	    "1: socket_mode: found \"4755\", allowed: an octal mode from 0000 to 0777" },
	{ "mode empty", "socket_mode = \"\"",
	    "1: socket_mode: found \"\", allowed: an octal mode from 0000 to 0777" },
	{ "log target", "log_target = file",
	    "1: log_target: found \"file\", allowed: syslog or stderr" },
	{ "facility", "syslog_facility = kern",
	    "1: syslog_facility: found \"kern\", allowed: mail, daemon, user, local0, local1, "
	    "local2, local3, local4, local5, local6 or local7" },
	{ "quarantine", "quarantine = folder",
	    "1: quarantine: found \"folder\", allowed: hold or header" },
	{ "dns mode", "dns_mode = unbound",
	    "1: dns_mode: found \"unbound\", allowed: system, forward or recursive" },
	{ "discovery", "dmarc_discovery = both",
	    "1: dmarc_discovery: found \"both\", allowed: treewalk or psl" },

	{ "reject can't become tempfail", "on_policy_reject = tempfail",
	    "1: on_policy_reject: found \"tempfail\", allowed: reject, quarantine, discard or "
	    "accept" },
	{ "quarantine can't become discard", "on_policy_quarantine = discard",
	    "1: on_policy_quarantine: found \"discard\", allowed: " ACTIONS_THREE },
	{ "an error of DNS is no reason to reject", "on_temperror = reject",
	    "1: on_temperror: found \"reject\", allowed: tempfail or accept" },
	{ "several authors", "on_several_authors = discard",
	    "1: on_several_authors: found \"discard\", allowed: " ACTIONS_THREE },
	{ "malformed From", "on_malformed_from = tempfail",
	    "1: on_malformed_from: found \"tempfail\", allowed: " ACTIONS_THREE },
	{ "no author", "on_no_author = drop",
	    "1: on_no_author: found \"drop\", allowed: " ACTIONS_THREE },
	{ "SPF", "on_spf_fail = tempfail",
	    "1: on_spf_fail: found \"tempfail\", allowed: " ACTIONS_THREE },
	{ "iprev", "on_iprev_fail = \"\"",
	    "1: on_iprev_fail: found \"\", allowed: " ACTIONS_THREE },

	{ "socket without kind", "socket = \"/run/x\"",
	    "1: socket: found \"/run/x\", allowed: " SOCKETS },
	{ "socket path not absolute", "socket = \"unix:x\"",
	    "1: socket: found \"unix:x\", allowed: " SOCKETS },
	{ "socket empty", "socket = \"\"", "1: socket: found \"\", allowed: " SOCKETS },
	{ "socket without host", "socket = \"inet:8891\"",
	    "1: socket: found \"inet:8891\", allowed: " SOCKETS },
	{ "socket port", "socket = \"inet:65536@127.0.0.1\"",
	    "1: socket: found \"inet:65536@127.0.0.1\", allowed: " SOCKETS },
	{ "socket of the other family", "socket = \"inet:8891@::1\"",
	    "1: socket: found \"inet:8891@::1\", allowed: " SOCKETS },
	{ "socket address", "socket = \"inet:8891@127.0.0.256\"",
	    "1: socket: found \"inet:8891@127.0.0.256\", allowed: " SOCKETS },
	{ "pid file not absolute", "pid_file = assayd.pid",
	    "1: pid_file: found \"assayd.pid\", allowed: an absolute path; or empty" },
	{ "no such file", "dns_trust_anchor = /nonexistent/root.key",
	    "1: dns_trust_anchor: found \"/nonexistent/root.key\" (No such file or directory), "
	    "allowed: the absolute path of a file that can be read; or empty" },
	{ "user", "user = \"a b\"",
	    "1: user: found \"a b\", allowed: a name of letters, digits, dot, hyphen and "
	    "underscore; "
	    "or empty" },
	{ "header field", "quarantine_header = \"X-Spam:\"",
	    "1: quarantine_header: found \"X-Spam:\", allowed: the name of a header field" },
	{ "header field with a line break", "quarantine_header = \"X\r\nBcc\"",
	    "1: backslash, \"${\" and control characters can't stand in a text\n"
	    "t.conf:1: text is not closed: \"X\\x0d\nt.conf:2: text is not closed: \"" },
	{ "host name", "hostname = \"mx..example\"",
	    "1: hostname: found \"mx..example\" (has an empty label), allowed: a domain name; or "
	    "empty" },
	{ "authserv-id", "authserv_id = \"mx example\"",
	    "1: authserv_id: found \"mx example\", allowed: a name without blanks and without "
	    "()<>@,;:\\\"/[]?= in it; or empty" },
	{ "alias", "authserv_id_aliases = { a, \"b;c\" }",
	    "1: authserv_id_aliases: found \"b;c\", allowed: a list of names as in authserv_id" },
	{ "empty alias", "authserv_id_aliases = \"\"",
	    "1: authserv_id_aliases: found \"\", allowed: a list of names as in authserv_id" },
	{ "network", "trusted_networks = {\n  192.0.2.0/24,\n  192.0.2.0/33 }",
	    "3: trusted_networks: found \"192.0.2.0/33\", allowed: " NETS },
	{ "network by name", "trusted_forwarder_networks = { mx.example }",
	    "1: trusted_forwarder_networks: found \"mx.example\", allowed: " NETS },
	{ "domain", "trusted_forwarder_domains = { x.example, \"a..b\" }",
	    "1: trusted_forwarder_domains: found \"a..b\" (has an empty label), allowed: a list of "
	    "domain "
	    "names" },
	{ "domain of an address", "trusted_forwarder_domains = { \"@x.example\" }",
	    "1: trusted_forwarder_domains: found \"@x.example\" (has a character that no domain of "
	    "mail has), allowed: a list of domain names" },
	{ "forwarder", "dns_mode = forward\ndns_forwarders = { 192.0.2.1@0 }",
	    "2: dns_forwarders: found \"192.0.2.1@0\", allowed: " SERVERS },
	{ "forwarder by name", "dns_mode = forward dns_forwarders = ns.example",
	    "1: dns_forwarders: found \"ns.example\", allowed: " SERVERS },

	{ "rule", "author_domain \"x.example\" { rule = accept }",
	    "1: author_domain \"x.example\": rule: found \"accept\", allowed: exempt, quarantine "
	    "or "
	    "reject" },
	{ "no rule", "author_domain \"x.example\" {\n}\n",
	    "2: author_domain \"x.example\": no rule, allowed: rule = exempt, quarantine or "
	    "reject" },
	{ "rule given again", "author_domain x.example { rule = exempt rule = reject }",
	    "1: rule: given again, first on line 1" },
	{ "no title", "author_domain { rule = reject }",
	    "1: missing title for section 'author_domain'" },
	{ "star inside", "author_domain \"x.*.example\" { rule = reject }",
	    "1: author_domain: found \"x.*.example\" (has a character that no domain of mail has), "
	    "allowed: a domain name, or *. and a domain name" },
	{ "section given again",
	    "author_domain x.example { rule = exempt }\nauthor_domain X.example. { rule = reject }",
	    "2: author_domain \"X.example.\": given again" },
	{ "section not closed", "author_domain x.example {\n rule = exempt\n",
	    "1: { is not closed" },

	{ "key without a selector", "dkim_key k {\n domain = x.example key_file = /k }",
	    "2: dkim_key \"k\": no selector, allowed: selector = a domain name; or empty" },
	{ "key for nobody", "dkim_key k { selector = s key_file = /k }",
	    "1: dkim_key \"k\": needs domain or author_domains" },
	{ "key in no file", "dkim_key k { domain = x.example selector = s key_file = \"\" }",
	    "1: dkim_key \"k\": selector and key_file can't be empty" },
	{ "key file without a path", "dkim_key k { domain = x.example selector = s key_file = k }",
	    "1: dkim_key \"k\": key_file: found \"k\", allowed: an absolute path; or empty" },
	{ "key for a star", "dkim_key k { author_domains = { \"*\" } selector = s key_file = /k }",
	    "1: dkim_key \"k\": author_domains: found \"*\" (has a character that no domain of "
	    "mail has), allowed: a list of domain names, each perhaps with *. before it" },
	{ "key given again",
	    "dkim_key k { domain = x.example selector = s key_file = /k }\n"
	    "dkim_key k { domain = x.example selector = s key_file = /k }",
	    "2: found duplicate title 'k'" },
	{ "unknown in a key", "dkim_key k { rule = reject }",
	    "1: rule: no such setting in a section dkim_key; allowed: author_domains, domain, "
	    "selector, key_file\n"
	    "t.conf:1: dkim_key \"k\": no selector, allowed: selector = a domain name; or empty\n"
	    "t.conf:1: dkim_key \"k\": no key_file, allowed: key_file = an absolute path; or "
	    "empty" },
	{ "seal without a key", "seal = all",
	    "1: seal_key: found \"\", allowed: the name of a section dkim_key" },
	{ "seal with a key that isn't there", "seal = all\nseal_key = k",
	    "2: seal_key: found \"k\", allowed: the name of a section dkim_key" },
	{ "seal with a key for any domain",
	    "seal = all seal_key = k\ndkim_key k { author_domains = x.example selector = s "
	    "key_file "
	    "= /k }",
	    "1: seal_key: dkim_key \"k\" has no domain" },
	{ "a key that seals nothing", "seal_key = k", "1: seal_key: has no effect without seal" },
	{ "forwarded from nowhere",
	    "seal = forwarded seal_key = k\ndkim_key k { domain = x.example selector = s key_file "
	    "= "
	    "/k }",
	    "1: seal: forwarded needs local_domains" },
	{ "local_domains for nothing", "local_domains = { x.example }",
	    "1: local_domains: has no effect without seal = forwarded" },
	{ "senders without a key", "sender alice { domains = x.example }",
	    "1: sender: has no effect without dkim_key" },
	{ "field name", "sign_also = { \"X Y\" }",
	    "1: sign_also: found \"X Y\", allowed: a list of names of header fields" },

	{ "forward to nobody", "\ndns_mode = forward",
	    "2: dns_mode: forward needs dns_forwarders" },
	{ "forwarders unused", "dns_forwarders = 192.0.2.1",
	    "1: dns_forwarders: has no effect without dns_mode = forward" },
	{ "resolv.conf unused", "dns_mode = recursive\ndns_resolv_conf = /dev/null",
	    "2: dns_resolv_conf: has no effect without dns_mode = system" },
	{ "list unused", "psl_file = /dev/null",
	    "1: psl_file: has no effect without dmarc_discovery = psl" },
	{ "pct unused", "dmarc_pct = yes",
	    "1: dmarc_pct: has no effect without dmarc_discovery = psl" },
	{ "group without user", "group = mail", "1: group: has no effect without user" },
	{ "budget below one lookup", "dns_budget = 2s\n",
	    "1: dns_timeout: 5s is more than dns_budget, 2s" },
	{ "floor above ceiling", "dns_ttl_max = 10s\ndns_ttl_min = 1m",
	    "2: dns_ttl_min: 1m is more than dns_ttl_max, 10s" },

	{ "all faults, in order",
	    "check_arc = 1 # one\n# two\nfoo = 1\nspf_max_lookups = 0\nauthor_domain x { bar = 2 "
	    "}\n"
	    "baz = 3\n",
	    "1: check_arc: found \"1\", allowed: yes or no\n"
	    "t.conf:3: foo: no such setting; see assay.conf(5)\n"
	    "t.conf:4: spf_max_lookups: found \"0\", allowed: a number from 1 to 10\n"
	    "t.conf:5: bar: no such setting in a section author_domain; allowed: rule\n"
	    "t.conf:5: author_domain \"x\": no rule, allowed: rule = exempt, quarantine or reject\n"
	    "t.conf:6: baz: no such setting; see assay.conf(5)" },
};

static void
faults(void **state)
{
	size_t failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *error = NULL;
		struct conf *c, *after;

		conf_rig_write(slice_str(bad[i].text));
		c = conf_load(CONF_RIG_FILE, &error);
		if (c != NULL || strncmp(error, CONF_RIG_FILE ":", 7) != 0 ||
		    strcmp(error + 7, bad[i].want) != 0) {
			print_error("%s:\n%s\ngot  %s\nwant t.conf:%s\n", bad[i].name, bad[i].text,
			    c != NULL ? "a configuration" : error, bad[i].want);
			failed++;
		}
		free(error);
		conf_free(&c);
		/* Nothing of a bad file is left in libconfuse (reader.h). */
		after = conf_rig_load("spf_max_lookups = 7 # x\n");
		assert_int_equal(after->evaluator.spf.max_lookups, 7);
		conf_free(&after);
	}
	if (failed > 0)
		fail_msg("%zu of %zu rows", failed, sizeof(bad) / sizeof(bad[0]));
}

static void
unreadable_files(void **state)
{
	static const struct {
		const char *file, *want;
	} rows[] = {
		{ "nonexistent.conf", "nonexistent.conf: No such file or directory" },
		{ "/", "/: Is a directory" },
	};
	char *error = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_null(conf_load(rows[i].file, &error));
		assert_string_equal(error, rows[i].want);
		free(error);
	}
	/* A NUL would end the text for libconfuse and hide the rest. */
	conf_rig_write(SLICE("check_arc = no\n\0check_arc = 1\n"));
	assert_null(conf_load(CONF_RIG_FILE, &error));
	assert_string_equal(error, "t.conf:2: control character 0x00");
	free(error);
}

static void
many_faults(void **state)
{
	struct arena *a = arena_new(65536);
	struct strbuf b;
	struct conf *c;
	char *error = NULL;
	size_t lines = 1;

	(void)state;
	strbuf_init(&b, a, 65536);
	strbuf_str(&b, "trusted_networks = {");
	for (size_t i = 0; i < 100; i++)
		strbuf_printf(&b, "%sx%zu = 1\n", i == 0 ? "}\n" : "", i);
	conf_rig_write(strbuf_slice(&b));
	c = conf_load(CONF_RIG_FILE, &error);
	assert_null(c);
	for (const char *p = error; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	assert_in_range(lines, 20, 51);
	free(error);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults),
		cmocka_unit_test(unreadable_files),
		cmocka_unit_test(many_faults),
	};

	return cmocka_run_group_tests(tests, conf_rig_enter, conf_rig_leave);
}
