/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/schema.h"
#include "conf/value.h"
#include "policy/base/strbuf.h"
#include "tests/support/support.h"

#define FILE_NAME "t.conf" /* in a folder of this test's own, which is the working directory */

static char folder[] = "/tmp/assay-conf.XXXXXX";

static void
write_file(struct slice text)
{
	FILE *f = fopen(FILE_NAME, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text.p, 1, text.len, f), text.len);
	assert_int_equal(fclose(f), 0);
}

/* text must load; what the file says of one setting is looked at by the caller. */
static struct conf *
load(const char *text)
{
	char *error = NULL;
	struct conf *c;

	write_file(slice_str(text));
	c = conf_load(FILE_NAME, &error);
	if (c == NULL)
		fail_msg("%s\ngot  %s\nwant a configuration", text, error);
	return c;
}

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

		write_file(slice_str(bad[i].text));
		c = conf_load(FILE_NAME, &error);
		if (c != NULL || strncmp(error, FILE_NAME ":", 7) != 0 ||
		    strcmp(error + 7, bad[i].want) != 0) {
			print_error("%s:\n%s\ngot  %s\nwant t.conf:%s\n", bad[i].name, bad[i].text,
			    c != NULL ? "a configuration" : error, bad[i].want);
			failed++;
		}
		free(error);
		conf_free(&c);
		/* Nothing of a bad file is left in libconfuse (reader.h). */
		after = load("spf_max_lookups = 7 # x\n");
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
	write_file(SLICE("check_arc = no\n\0check_arc = 1\n"));
	assert_null(conf_load(FILE_NAME, &error));
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
	write_file(strbuf_slice(&b));
	c = conf_load(FILE_NAME, &error);
	assert_null(c);
	for (const char *p = error; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	assert_in_range(lines, 20, 51);
	free(error);
	arena_free(&a);
}

static void
defaults(void **state)
{
	struct conf *c = conf_defaults();
	const struct evaluator_options *o = &c->evaluator;

	(void)state;
	assert_null(c->file);
	assert_string_equal(c->socket, "unix:/run/assay/assay.sock");
	assert_int_equal(c->socket_mode, 0660);
	assert_null(c->user);
	assert_null(c->group);
	assert_null(c->pid_file);
	assert_int_equal(c->log_target, CONF_LOG_SYSLOG);
	assert_string_equal(c->syslog_facility, "mail");
	assert_int_equal(c->milter_timeout_s, 7210);
	assert_int_not_equal(c->hostname.len, 0);
	assert_true(slice_equal(c->authserv_id, c->hostname));
	assert_int_equal(c->authserv_id_count, 1);
	assert_true(slice_equal(c->authserv_ids[0], c->authserv_id));
	assert_int_equal(c->trusted_network_count, 2);
	assert_true(c->skip_authenticated);
	assert_int_equal(c->quarantine, CONF_QUARANTINE_HOLD);
	assert_string_equal(c->quarantine_header, "X-Assay-Quarantine");
	assert_null(c->psl_file);

	assert_int_equal(c->dns.mode, DNS_MODE_SYSTEM);
	assert_int_equal(c->dns.forwarder_count, 0);
	assert_string_equal(c->dns.resolv_conf, "/etc/resolv.conf");
	assert_null(c->dns.trust_anchor_file);
	assert_int_equal(c->resolver.cache_bytes, LIMIT_DNS_CACHE_BYTES);
	assert_int_equal(c->resolver.ttl_min_s, LIMIT_DNS_TTL_MIN_S);
	assert_int_equal(c->resolver.ttl_max_s, LIMIT_DNS_TTL_MAX_S);
	assert_int_equal(c->resolver.ttl_negative_max_s, LIMIT_DNS_TTL_NEGATIVE_S);
	assert_int_equal(c->resolver.ttl_fail_s, LIMIT_DNS_TTL_FAIL_S);

	assert_int_equal(o->lookups.timeout_ms, LIMIT_DNS_TIMEOUT_MS);
	assert_int_equal(o->lookups.budget_ms, LIMIT_DNS_BUDGET_MS);
	assert_int_equal(o->lookups.max_lookups, LIMIT_DNS_LOOKUPS);
	assert_int_equal(o->spf.max_lookups, LIMIT_SPF_LOOKUPS);
	assert_int_equal(o->spf.max_void_lookups, LIMIT_SPF_VOID);
	assert_true(slice_equal(o->spf.receiver, c->hostname));
	assert_int_equal(o->dkim.min_rsa_bits, LIMIT_DKIM_RSA_BITS_MIN);
	assert_int_equal(o->dkim.max_signatures, LIMIT_DKIM_SIGNATURES);
	assert_int_equal(o->dkim.clock_skew_s, LIMIT_DKIM_SKEW_S);
	assert_int_equal(o->arc.min_rsa_bits, LIMIT_DKIM_RSA_BITS_MIN);
	assert_int_equal(o->arc.clock_skew_s, LIMIT_DKIM_SKEW_S);
	assert_int_equal(o->dmarc.discovery, DMARC_TREEWALK);
	assert_null(o->dmarc.psl);
	assert_false(o->dmarc.honour_pct);
	assert_true(o->check_helo);
	assert_true(o->check_iprev);
	assert_true(o->check_arc);
	conf_free(&c);
	assert_null(c);
	conf_free(&c);
}

/* The engine's own defaults, for those who have no configuration, are the same. */
static void
defaults_of_the_engine(void **state)
{
	struct conf *c = conf_defaults();
	const struct decide_rules *d = &c->decide, *want = &decide_defaults;
	const struct evaluator_options *o = &c->evaluator;

	(void)state;
	assert_int_equal(d->on_policy_reject, want->on_policy_reject);
	assert_int_equal(d->on_policy_quarantine, want->on_policy_quarantine);
	assert_int_equal(d->on_temperror, want->on_temperror);
	assert_int_equal(d->on_several_authors, want->on_several_authors);
	assert_int_equal(d->on_malformed_from, want->on_malformed_from);
	assert_int_equal(d->on_no_author, want->on_no_author);
	assert_int_equal(d->on_spf_fail, want->on_spf_fail);
	assert_int_equal(d->on_iprev_fail, want->on_iprev_fail);
	assert_int_equal(d->list_rule, want->list_rule);
	assert_int_equal(d->domain_count, 0);
	assert_int_equal(d->forwarder_network_count, 0);
	assert_int_equal(d->forwarder_domain_count, 0);
	assert_int_equal(c->resolver.cache_bytes, resolver_defaults.cache_bytes);
	assert_int_equal(c->resolver.ttl_negative_max_s, resolver_defaults.ttl_negative_max_s);
	assert_int_equal(c->resolver.ttl_fail_s, resolver_defaults.ttl_fail_s);
	assert_memory_equal(&o->lookups, &evaluator_defaults.lookups, sizeof(o->lookups));
	assert_memory_equal(&o->dkim, &evaluator_defaults.dkim, sizeof(o->dkim));
	assert_memory_equal(&o->arc, &evaluator_defaults.arc, sizeof(o->arc));
	assert_int_equal(o->spf.max_lookups, evaluator_defaults.spf.max_lookups);
	assert_int_equal(o->dmarc.discovery, evaluator_defaults.dmarc.discovery);
	assert_int_equal(o->dmarc.honour_pct, evaluator_defaults.dmarc.honour_pct);
	assert_int_equal(o->check_helo, evaluator_defaults.check_helo);
	assert_int_equal(o->check_iprev, evaluator_defaults.check_iprev);
	assert_int_equal(o->check_arc, evaluator_defaults.check_arc);
	conf_free(&c);
}

static const char everything[] =
    "# every kind once\n"
    "socket = 'inet6:8891@::1'   socket_mode = 600\n"
    "user = assay group = mail pid_file = /run/assayd.pid\n"
    "log_target = stderr syslog_facility = local3 milter_timeout = 5m\r\n"
    "hostname = MX.example. authserv_id = example\n"
    "authserv_id_aliases = { old.example, \"mx1.example\" }\n"
    "trusted_networks = {}\n"
    "skip_authenticated = no\n"
    "on_policy_reject = discard quarantine = header quarantine_header = X-Held\n"
    "trusted_forwarder_networks = 192.0.2.0/24 # one without braces\n"
    "trusted_forwarder_networks += { 2001:db8::/32, \"198.51.100.7\" }\n"
    "trusted_forwarder_domains = { \"B\xc3\xbc"
    "cher.example\" }\n"
    "author_domain \"example.net\" { rule = exempt }\n"
    "author_domain \"*.Example.ORG\" {\n\trule = reject\n}\n"
    "author_domain \"example.org\" { rule = quarantine }\n"
    "dns_mode = forward dns_forwarders = { 192.0.2.53, 127.0.0.1@5353, 2001:db8::53@53 }\n"
    "dns_trust_anchor = /dev/null dns_cache_size = 1G dns_timeout = 2500ms\n"
    "dns_ttl_max = 1h dmarc_discovery = psl psl_file = \"\" dmarc_pct = yes\n"
    "dkim_min_rsa_bits = 2048 dkim_clock_skew = 0s\n";

static void
rules_given(void **state)
{
	struct conf *c = load(everything);

	(void)state;
	assert_int_equal(c->decide.forwarder_network_count, 3);
	assert_int_equal(c->decide.forwarder_networks[0].prefix_bits, 24);
	assert_int_equal(c->decide.forwarder_networks[1].address.family, IP_V6);
	assert_int_equal(c->decide.forwarder_networks[2].prefix_bits, 32);
	assert_int_equal(c->decide.forwarder_domain_count, 1);
	assert_slice(c->decide.forwarder_domains[0], "xn--bcher-kva.example");
	assert_int_equal(c->decide.domain_count, 3);
	assert_slice(c->decide.domains[0].domain, "example.net");
	assert_false(c->decide.domains[0].subdomains);
	assert_int_equal(c->decide.domains[0].rule, RULE_EXEMPT);
	assert_slice(c->decide.domains[1].domain, "example.org");
	assert_true(c->decide.domains[1].subdomains);
	assert_int_equal(c->decide.domains[1].rule, RULE_REJECT);
	assert_false(c->decide.domains[2].subdomains);
	assert_int_equal(c->decide.domains[2].rule, RULE_QUARANTINE);
	conf_free(&c);
}

static const char signing[] =
    "dkim_key one { author_domains = { A.example, \"*.a.example\" } domain = a.example\n"
    "  selector = R1 key_file = /k/1 }\n"
    "dkim_key two {\n author_domains = b.example\n author_domains += \"c.example\"\n"
    " selector = e1 key_file = /k/2\n}\n"
    "dkim_key three { author_domains = {} domain = d.example selector = s key_file = /k/3 }\n"
    "sender \"bob@a.example\" { domains = \"*.a.example\" }\n"
    "sender nobody { domains = {} }\n"
    "unlisted_senders = none on_sign_failure = accept sign_body = simple sign_expire = 7d\n"
    "sign_also = { X-A, X-B } oversign_also = X-C sign_not = { to, X-B, from }\n";

static void
signing_given(void **state)
{
	struct conf *c = load(signing), *none = conf_defaults();
	const struct conf_dkim_key *k = c->dkim_keys;

	(void)state;
	assert_int_equal(c->dkim_key_count, 3);
	assert_slice(k[0].name, "one");
	assert_int_equal(k[0].author_domain_count, 2);
	assert_slice(k[0].author_domains[0].domain, "a.example");
	assert_false(k[0].author_domains[0].subdomains);
	assert_slice(k[0].author_domains[1].domain, "a.example");
	assert_true(k[0].author_domains[1].subdomains);
	assert_slice(k[0].selector, "r1");
	assert_string_equal(k[0].key_file, "/k/1");
	assert_int_equal(k[1].author_domain_count, 2);
	assert_slice(k[1].author_domains[1].domain, "c.example");
	assert_int_equal(k[1].domain.len, 0);
	assert_int_equal(k[2].author_domain_count, 0);
	assert_int_equal(c->sender_count, 2);
	assert_slice(c->senders[0].login, "bob@a.example");
	assert_true(c->senders[0].domains[0].subdomains);
	assert_int_equal(c->senders[1].domain_count, 0);
	assert_int_equal(c->unlisted_senders, CONF_LOGINS_NONE);
	assert_int_equal(c->on_sign_failure, ACTION_ACCEPT);
	assert_int_equal(c->sign.header_canon, SIG_RELAXED);
	assert_int_equal(c->sign.body_canon, SIG_SIMPLE);
	assert_int_equal(c->sign.expire_s, 7 * 86400);
	/* Two names out, one in; From goes, and is put back by who signs. */
	assert_int_equal(
	    c->sign.fields.oversign_count, dkim_sign_default.fields.oversign_count - 1);
	assert_slice(c->sign.fields.oversign[c->sign.fields.oversign_count - 1], "X-C");
	assert_int_equal(c->sign.fields.sign_count, dkim_sign_default.fields.sign_count + 1);
	/* What no file says is what the module says. */
	assert_int_equal(none->sign.header_canon, dkim_sign_default.header_canon);
	assert_int_equal(none->sign.body_canon, dkim_sign_default.body_canon);
	assert_int_equal(none->sign.timestamp, dkim_sign_default.timestamp);
	assert_int_equal(none->sign.expire_s, dkim_sign_default.expire_s);
	assert_int_equal(none->sign.fields.oversign_count, dkim_sign_default.fields.oversign_count);
	conf_free(&c);
	conf_free(&none);
}

static void
everything_given(void **state)
{
	struct conf *c = load(everything);

	(void)state;
	assert_string_equal(c->file, FILE_NAME);
	assert_string_equal(c->socket, "inet6:8891@::1");
	assert_int_equal(c->socket_mode, 0600);
	assert_string_equal(c->user, "assay");
	assert_string_equal(c->group, "mail");
	assert_string_equal(c->pid_file, "/run/assayd.pid");
	assert_int_equal(c->log_target, CONF_LOG_STDERR);
	assert_string_equal(c->syslog_facility, "local3");
	assert_int_equal(c->milter_timeout_s, 300);
	assert_slice(c->hostname, "mx.example");
	assert_slice(c->evaluator.spf.receiver, "mx.example");
	assert_slice(c->authserv_id, "example");
	assert_int_equal(c->authserv_id_count, 3);
	assert_slice(c->authserv_ids[0], "example");
	assert_slice(c->authserv_ids[1], "old.example");
	assert_slice(c->authserv_ids[2], "mx1.example");
	assert_int_equal(c->trusted_network_count, 0);
	assert_false(c->skip_authenticated);
	assert_int_equal(c->decide.on_policy_reject, ACTION_DISCARD);
	assert_int_equal(c->quarantine, CONF_QUARANTINE_HEADER);
	assert_string_equal(c->quarantine_header, "X-Held");
	assert_int_equal(c->dns.mode, DNS_MODE_FORWARD);
	assert_int_equal(c->dns.forwarder_count, 3);
	assert_string_equal(c->dns.forwarders[1], "127.0.0.1@5353");
	assert_string_equal(c->dns.trust_anchor_file, "/dev/null");
	assert_int_equal(c->resolver.cache_bytes, (size_t)1024 * 1024 * 1024);
	assert_int_equal(c->evaluator.lookups.timeout_ms, 2500);
	assert_int_equal(c->resolver.ttl_max_s, 3600);
	assert_int_equal(c->evaluator.dmarc.discovery, DMARC_PSL);
	assert_null(c->psl_file);
	assert_true(c->evaluator.dmarc.honour_pct);
	assert_int_equal(c->evaluator.dkim.min_rsa_bits, 2048);
	assert_int_equal(c->evaluator.arc.min_rsa_bits, 2048);
	assert_int_equal(c->evaluator.dkim.clock_skew_s, 0);
	conf_free(&c);
}

/* Every way to write a socket that is taken. */
static void
sockets(void **state)
{
	static const char *const rows[] = {
		"unix:/run/assay/assay.sock",
		"local:/run/assay/assay.sock",
		"inet:8891@127.0.0.1",
		"inet:8891@localhost",
		"inet6:8891@::1",
		"inet6:1@mx.example",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[128];
		struct conf *c;

		snprintf(text, sizeof(text), "socket = \"%s\"\n", rows[i]);
		c = load(text);
		assert_string_equal(c->socket, rows[i]);
		conf_free(&c);
	}
}

/* Every word of every setting is taken, and what the sample shows as default is the default. */
static void
all_words_and_defaults(void **state)
{
	struct arena *a = arena_new(1024 * 1024);

	(void)state;
	for (size_t i = 0; i < conf_setting_count; i++) {
		const struct conf_setting *s = &conf_settings[i];
		size_t bad_at;
		const char *why;

		if (s->kind == CONF_SECTIONS)
			continue;
		for (size_t w = 0; s->words != NULL && s->words[w].word != NULL; w++) {
			struct conf *c = conf_defaults();
			struct slice word = slice_str(s->words[w].word);
			unsigned got;

			assert_int_equal(
			    conf_value_store(c->arena, s, &word, 1, c, &bad_at, &why), 0);
			memcpy(&got, (char *)c + s->offset, sizeof(got));
			if (s->kind == CONF_WORD && got != s->words[w].value)
				fail_msg("%s = %s: got %u", s->name, s->words[w].word, got);
			conf_free(&c);
		}
		if (s->kind == CONF_INT || s->kind == CONF_DURATION || s->kind == CONF_SIZE ||
		    s->kind == CONF_MODE)
			assert_in_range(s->number, s->min, s->max);
		assert_true(strlen(conf_setting_allowed(a, s)) > 0);
		assert_true(s->text[strlen(s->text) - 1] == '.');
	}
	arena_free(&a);
}

/* The sample with its comment signs taken off is a file that changes nothing. */
static void
sample_is_valid(void **state)
{
	struct arena *a = arena_new(1024 * 1024);
	struct slice rest = conf_write_sample(a), line;
	struct strbuf b;
	struct conf *c, *want = conf_defaults();
	size_t settings = 0;

	(void)state;
	strbuf_init(&b, a, (size_t)256 * 1024);
	while (slice_next(&rest, '\n', &line)) {
		assert_in_range(line.len, 0, 100);
		if (line.len > 1 && line.p[0] == '#' && line.p[1] != ' ' &&
		    slice_find(line, '{') != 14) {
			/* These are idle without another setting, and say so. */
			if (slice_starts(line, SLICE("#dns_forwarders")) ||
			    slice_starts(line, SLICE("#psl_file")) ||
			    slice_starts(line, SLICE("#dmarc_pct")) ||
			    slice_starts(line, SLICE("#seal_key")) ||
			    slice_starts(line, SLICE("#local_domains")) ||
			    slice_starts(line, SLICE("#group"))) {
				settings++;
				continue;
			}
			strbuf_add(&b, slice_from(line, 1));
			strbuf_char(&b, '\n');
			settings += ascii_is_alpha(line.p[1]); /* and no line inside a section */
		}
	}
	assert_int_equal(settings, conf_setting_count + 1); /* author_domain has two lines */
	c = load(strbuf_slice(&b).p);
	assert_int_equal(c->decide.domain_count, 2);
	assert_memory_equal(
	    &c->evaluator.lookups, &want->evaluator.lookups, sizeof(c->evaluator.lookups));
	assert_memory_equal(&c->evaluator.dkim, &want->evaluator.dkim, sizeof(c->evaluator.dkim));
	assert_string_equal(c->socket, want->socket);
	assert_int_equal(c->trusted_network_count, want->trusted_network_count);
	assert_int_equal(c->decide.on_policy_reject, want->decide.on_policy_reject);
	conf_free(&c);
	conf_free(&want);
	arena_free(&a);
}

static int
enter_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL || chdir(folder) != 0 ? -1 : 0;
}

static int
leave_folder(void **state)
{
	(void)state;
	unlink(FILE_NAME);
	return chdir("/") != 0 || rmdir(folder) != 0 ? -1 : 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults),
		cmocka_unit_test(unreadable_files),
		cmocka_unit_test(many_faults),
		cmocka_unit_test(defaults),
		cmocka_unit_test(defaults_of_the_engine),
		cmocka_unit_test(signing_given),
		cmocka_unit_test(everything_given),
		cmocka_unit_test(rules_given),
		cmocka_unit_test(sockets),
		cmocka_unit_test(all_words_and_defaults),
		cmocka_unit_test(sample_is_valid),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
