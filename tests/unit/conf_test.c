/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/conf.h"

#include <string.h>

#include "conf/schema.h"
#include "conf/value.h"
#include "policy/base/strbuf.h"
#include "tests/support/support.h"
#include "tests/unit/conf_rig.h"

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
	struct conf *c = conf_rig_load(everything);

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
	struct conf *c = conf_rig_load(signing), *none = conf_defaults();
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
	struct conf *c = conf_rig_load(everything);

	(void)state;
	assert_string_equal(c->file, CONF_RIG_FILE);
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
		c = conf_rig_load(text);
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
	c = conf_rig_load(strbuf_slice(&b).p);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(defaults_of_the_engine),
		cmocka_unit_test(signing_given),
		cmocka_unit_test(everything_given),
		cmocka_unit_test(rules_given),
		cmocka_unit_test(sockets),
		cmocka_unit_test(all_words_and_defaults),
		cmocka_unit_test(sample_is_valid),
	};

	return cmocka_run_group_tests(tests, conf_rig_enter, conf_rig_leave);
}
