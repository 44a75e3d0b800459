/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/schema.h"

#include <stddef.h>

#include "conf/value.h"
#include "policy/base/strbuf.h"

#define AT(field) .offset = offsetof(struct conf, field)
#define LIST_AT(field, n)                                                                          \
	.offset = offsetof(struct conf, field), .count_offset = offsetof(struct conf, n)

#define SECTION(table, type, title)                                                                \
	.options = (table), .option_count = sizeof(table) / sizeof((table)[0]),                    \
	.object_size = sizeof(type), .title_offset = offsetof(type, title)

#define SECOND_MS 1000u
#define MINUTE_MS (60u * SECOND_MS)
#define HOUR_MS	  (60u * MINUTE_MS)
#define DAY_MS	  (24u * HOUR_MS)
#define KIB	  ((uint64_t)1024)
#define MIB	  (1024 * KIB)
#define GIB	  (1024 * MIB)

#define SECONDS(n)    .number = (uint64_t)(n)*SECOND_MS, .unit_ms = SECOND_MS
#define RANGE(lo, hi) .min = (lo), .max = (hi)

static const struct conf_word log_targets[] = {
	{ "syslog", CONF_LOG_SYSLOG },
	{ "stderr", CONF_LOG_STDERR },
	{ NULL, 0 },
};
static const struct conf_word fronts[] = {
	{ "libmilter", CONF_FRONT_LIBMILTER },
	{ "native", CONF_FRONT_NATIVE },
	{ NULL, 0 },
};
static const struct conf_word facilities[] = {
	{ "mail", 0 },
	{ "daemon", 0 },
	{ "user", 0 },
	{ "local0", 0 },
	{ "local1", 0 },
	{ "local2", 0 },
	{ "local3", 0 },
	{ "local4", 0 },
	{ "local5", 0 },
	{ "local6", 0 },
	{ "local7", 0 },
	{ NULL, 0 },
};
static const struct conf_word quarantines[] = {
	{ "hold", CONF_QUARANTINE_HOLD },
	{ "header", CONF_QUARANTINE_HEADER },
	{ NULL, 0 },
};
static const struct conf_word reject_actions[] = {
	{ "reject", ACTION_REJECT },
	{ "quarantine", ACTION_QUARANTINE },
	{ "discard", ACTION_DISCARD },
	{ "accept", ACTION_ACCEPT },
	{ NULL, 0 },
};
/* Not to be dropped without a word: only a policy of reject asks for that much. */
static const struct conf_word fault_actions[] = {
	{ "reject", ACTION_REJECT },
	{ "quarantine", ACTION_QUARANTINE },
	{ "accept", ACTION_ACCEPT },
	{ NULL, 0 },
};
static const struct conf_word error_actions[] = {
	{ "tempfail", ACTION_TEMPFAIL },
	{ "accept", ACTION_ACCEPT },
	{ NULL, 0 },
};
static const struct conf_word seal_actions[] = {
	{ "accept", ACTION_ACCEPT },
	{ "quarantine", ACTION_QUARANTINE },
	{ NULL, 0 },
};
static const struct conf_word seals[] = {
	{ "none", CONF_SEAL_NONE },
	{ "forwarded", CONF_SEAL_FORWARDED },
	{ "all", CONF_SEAL_ALL },
	{ NULL, 0 },
};
static const struct conf_word domain_rules[] = {
	{ "exempt", RULE_EXEMPT },
	{ "quarantine", RULE_QUARANTINE },
	{ "reject", RULE_REJECT },
	{ NULL, 0 },
};
static const struct conf_word logins[] = {
	{ "own", CONF_LOGINS_OWN },
	{ "any", CONF_LOGINS_ANY },
	{ "none", CONF_LOGINS_NONE },
	{ NULL, 0 },
};
static const struct conf_word canons[] = {
	{ "relaxed", SIG_RELAXED },
	{ "simple", SIG_SIMPLE },
	{ NULL, 0 },
};
static const struct conf_word dns_modes[] = {
	{ "system", DNS_MODE_SYSTEM },
	{ "forward", DNS_MODE_FORWARD },
	{ "recursive", DNS_MODE_RECURSIVE },
	{ NULL, 0 },
};
static const struct conf_word report_formats[] = {
	{ "rfc9990", CONF_REPORT_RFC9990 },
	{ "rfc7489", CONF_REPORT_RFC7489 },
	{ NULL, 0 },
};
static const struct conf_word report_whens[] = {
	{ "pass", CONF_REPORT_PASS },
	{ "accepted", CONF_REPORT_ACCEPTED },
	{ "failures", CONF_REPORT_FAILURES },
	{ "always", CONF_REPORT_ALWAYS },
	{ NULL, 0 },
};
static const struct conf_word smtp_tls[] = {
	{ "never", CONF_TLS_NEVER },
	{ "try", CONF_TLS_TRY },
	{ "require", CONF_TLS_REQUIRE },
	{ NULL, 0 },
};
static const struct conf_word discoveries[] = {
	{ "treewalk", DMARC_TREEWALK },
	{ "psl", DMARC_PSL },
	{ NULL, 0 },
};

/* clang-format off */
static const struct conf_setting author_domain_options[] = {
	{ .name = "rule", .kind = CONF_WORD, .words = domain_rules, .required = true,
	  .offset = offsetof(struct domain_rule_entry, rule) },
};

static const struct conf_setting dkim_key_options[] = {
	{ .name = "author_domains", .kind = CONF_PATTERNS, .value = "",
	  .offset = offsetof(struct conf_dkim_key, author_domains), .count_offset = offsetof(struct conf_dkim_key, author_domain_count) },
	{ .name = "domain", .kind = CONF_DOMAIN, .value = "", .offset = offsetof(struct conf_dkim_key, domain) },
	{ .name = "selector", .kind = CONF_DOMAIN, .required = true, .offset = offsetof(struct conf_dkim_key, selector) },
	{ .name = "key_file", .kind = CONF_PATH, .required = true, .offset = offsetof(struct conf_dkim_key, key_file) },
};
static const struct conf_setting sender_options[] = {
	{ .name = "domains", .kind = CONF_PATTERNS, .required = true,
	  .offset = offsetof(struct conf_sender, domains), .count_offset = offsetof(struct conf_sender, domain_count) },
};

const struct conf_setting conf_settings[] = {
	{ .group = "The daemon (read when assayd starts, not on a reload)",
	  .name = "socket", .kind = CONF_SOCKET, .value = "unix:/run/assay/assay.sock", AT(socket),
	  .text = "Where assayd waits for the MTA: the address that Postfix has in smtpd_milters and Sendmail in "
		  "INPUT_MAIL_FILTER." },
	{ .name = "front", .kind = CONF_WORD, .value = "libmilter", .words = fronts, AT(front),
	  .text = "What speaks the milter protocol with the MTA: Sendmail's library, or our own code, which costs less. "
		  "Results are the same." },
	{ .name = "socket_mode", .kind = CONF_MODE, .number = 0660, RANGE(0, 0777), AT(socket_mode),
	  .text = "Mode of a Unix socket, in octal. The MTA must be able to write to it: put its user into our group." },
	{ .name = "user", .kind = CONF_NAME, .value = "", AT(user),
	  .text = "User that assayd becomes before it reads any mail. Empty: it stays who it is. Only root can change." },
	{ .name = "group", .kind = CONF_NAME, .value = "", AT(group),
	  .text = "Group that assayd becomes. Empty: the first group of the user." },
	{ .name = "pid_file", .kind = CONF_PATH, .value = "", AT(pid_file),
	  .text = "File that holds the process id while assayd runs. Empty: none." },
	{ .name = "log_target", .kind = CONF_WORD, .value = "syslog", .words = log_targets, AT(log_target),
	  .text = "Where the log goes: to syslog, beside the lines of the MTA, or to standard error." },
	{ .name = "syslog_facility", .kind = CONF_CHOICE, .value = "mail", .words = facilities, AT(syslog_facility),
	  .text = "Facility of the lines in syslog." },
	{ .name = "milter_timeout", .kind = CONF_DURATION, SECONDS(7210), RANGE(10 * SECOND_MS, DAY_MS), AT(milter_timeout_s),
	  .text = "How long a silent MTA is waited for before its session is dropped. The default is that of libmilter, "
		  "a little longer than any pause that SMTP allows." },

	{ .group = "Who we are, and whom we believe",
	  .name = "hostname", .kind = CONF_DOMAIN, .value = "", AT(hostname),
	  .text = "Name of this host, for SPF (the macro %{r}) and, unless authserv_id says otherwise, in "
		  "Authentication-Results. Empty: what the system is called; say it here where that has no dot." },
	{ .name = "authserv_id", .kind = CONF_ID, .value = "", AT(authserv_id),
	  .text = "Name under which results are written (RFC 8601). Use one name for all servers of an organization. "
		  "Empty: the hostname." },
	{ .name = "authserv_id_aliases", .kind = CONF_IDS, .value = "", LIST_AT(authserv_ids, authserv_id_count),
	  .text = "Further names that are ours. An Authentication-Results field that arrives under authserv_id or one of "
		  "these is forged, and removed." },
	{ .name = "trusted_networks", .kind = CONF_NETWORKS, .value = "127.0.0.0/8, ::1", LIST_AT(trusted_networks, trusted_network_count),
	  .text = "Mail from these clients is not evaluated and gets no field: our own hosts, relays and content filters. "
		  "The default is this machine, where filters hand mail back to the MTA." },
	{ .name = "skip_authenticated", .kind = CONF_BOOL, .value = "yes", AT(skip_authenticated),
	  .text = "Do not evaluate mail of clients that have logged in (SMTP AUTH)." },

	{ .group = "What is done",
	  .name = "on_policy_reject", .kind = CONF_WORD, .value = "reject", .words = reject_actions, AT(decide.on_policy_reject),
	  .text = "Message that fails DMARC where the policy of the author's domain is reject and nothing speaks for it. RFC "
		  "9989 section 7.4 would have such mail quarantined." },
	{ .name = "on_policy_quarantine", .kind = CONF_WORD, .value = "quarantine", .words = fault_actions, AT(decide.on_policy_quarantine),
	  .text = "The same where the policy is quarantine." },
	{ .name = "on_temperror", .kind = CONF_WORD, .value = "tempfail", .words = error_actions, AT(decide.on_temperror),
	  .text = "Message of which DMARC can't be decided now because DNS fails. One that would be accepted either way, as under "
		  "a policy of none, is accepted." },
	{ .name = "on_several_authors", .kind = CONF_WORD, .value = "reject", .words = fault_actions, AT(decide.on_several_authors),
	  .text = "Message with more than one From field, or with authors of more than one domain. DMARC does not cover "
		  "it, so accepting it opens a way around DMARC." },
	{ .name = "on_malformed_from", .kind = CONF_WORD, .value = "reject", .words = fault_actions, AT(decide.on_malformed_from),
	  .text = "Message whose From field can't be read, can be read in more than one way, or names no domain." },
	{ .name = "on_no_author", .kind = CONF_WORD, .value = "reject", .words = fault_actions, AT(decide.on_no_author),
	  .text = "Message without a From field." },
	{ .name = "on_spf_fail", .kind = CONF_WORD, .value = "accept", .words = fault_actions, AT(decide.on_spf_fail),
	  .text = "Message that fails SPF where the author's domain has no DMARC policy. Forwarded mail fails SPF." },
	{ .name = "on_iprev_fail", .kind = CONF_WORD, .value = "accept", .words = fault_actions, AT(decide.on_iprev_fail),
	  .text = "The same for a client whose address and name do not agree in DNS." },
	{ .name = "quarantine", .kind = CONF_WORD, .value = "hold", .words = quarantines, AT(quarantine),
	  .text = "How quarantine is done: the message goes to the hold queue of the MTA, or it is delivered with a header "
		  "field for the delivery agent to act on." },
	{ .name = "quarantine_header", .kind = CONF_FIELD, .value = "X-Assay-Quarantine", AT(quarantine_header),
	  .text = "Name of that field. Where quarantine is header, a field of this name that a message brings along is removed." },

	{ .group = "Local rules",
	  .name = "list_rule", .kind = CONF_BOOL, .value = "yes", AT(decide.list_rule),
	  .text = "Quarantine, where DMARC says reject, a message that came through a mailing list whose own domain passes SPF "
		  "or DKIM (RFC 9989 section 7.4)." },
	{ .name = "trusted_forwarder_networks", .kind = CONF_NETWORKS, .value = "",
	  LIST_AT(decide.forwarder_networks, decide.forwarder_network_count),
	  .text = "Clients that forward mail for our users: the policy of the author's domain is not enforced on what they "
		  "send." },
	{ .name = "trusted_forwarder_domains", .kind = CONF_DOMAINS, .value = "",
	  LIST_AT(decide.forwarder_domains, decide.forwarder_domain_count),
	  .text = "The same for mail that passes SPF or DKIM for one of these domains or a domain below it." },
	{ .name = "trusted_sealers", .kind = CONF_DOMAINS, .value = "", LIST_AT(decide.sealers, decide.sealer_count),
	  .text = "Domains whose ARC seals are believed, and those below them: mailing lists and forwarders that say what they "
		  "found before they changed a message. Their chain must pass, and one of them must have found that the "
		  "author's domain passed DMARC." },
	{ .name = "on_trusted_seal", .kind = CONF_WORD, .value = "accept", .words = seal_actions, AT(decide.on_trusted_seal),
	  .text = "What becomes of a message that DMARC would reject or quarantine when such a chain vouches for it." },
	{ .name = "author_domain", .kind = CONF_SECTIONS, LIST_AT(decide.domains, decide.domain_count),
	  SECTION(author_domain_options, struct domain_rule_entry, domain), .below_offset = offsetof(struct domain_rule_entry, subdomains),
	  .example = "#author_domain \"example.net\" { rule = exempt }\n#author_domain \"*.example.org\" { rule = reject }\n",
	  .text = "A section for each author domain with a rule of its own, for messages that do not pass DMARC: exempt (the "
		  "policy is not enforced), quarantine or reject (also where the policy says less, or there is none). "
		  "\"*.example.com\" is every domain below example.com, and not itself. The first section that matches counts." },

	{ .group = "Signing",
	  .name = "dkim_key", .kind = CONF_SECTIONS, LIST_AT(dkim_keys, dkim_key_count),
	  SECTION(dkim_key_options, struct conf_dkim_key, name),
	  .example = "#dkim_key \"example-rsa\" {\n#\tauthor_domains = { \"example.com\", \"*.example.com\" }\n#\tdomain = example.com\n"
		     "#\tselector = r2026\n#\tkey_file = /etc/assay/keys/r2026.pem\n#}\n",
	  .text = "A section for each key that signs, under a name of your choice, for mail whose author is in author_domains "
		  "(default: domain). The domain is what signs, and what publishes the key below the selector; where it is left "
		  "out, each author's domain signs for itself. Where several keys are for the same domain, all of them "
		  "sign; a domain is more than the pattern it is below, and a longer pattern more than a shorter one." },
	{ .name = "sign_networks", .kind = CONF_NETWORKS, .value = "127.0.0.0/8, ::1", LIST_AT(sign_networks, sign_network_count),
	  .text = "Mail from these clients is signed, as is that of clients that have logged in (SMTP AUTH). Not to be in here is a "
		  "content filter that hands mail from outside back to the MTA." },
	{ .name = "sender", .kind = CONF_SECTIONS, LIST_AT(senders, sender_count),
	  SECTION(sender_options, struct conf_sender, login),
	  .example = "#sender \"alice\" { domains = { \"example.com\", \"example.org\" } }\n",
	  .text = "A section for each login whose mail is signed for these author domains and for no others. In other case "
		  "(Alice for alice) it is signed for none." },
	{ .name = "unlisted_senders", .kind = CONF_WORD, .value = "own", .words = logins, AT(unlisted_senders),
	  .text = "What a login without such a section is signed for: its own domain and those below it, or any where the login "
		  "has no @ (own); any domain that there is a key for (any); or nothing (none)." },
	{ .name = "require_published", .kind = CONF_BOOL, .value = "no", AT(require_published),
	  .text = "Use a key only while its record in the DNS is the one that belongs to it. A record that differs is logged in "
		  "any case, but only with this setting does mail wait for it." },
	{ .name = "on_sign_failure", .kind = CONF_WORD, .value = "tempfail", .words = error_actions, AT(on_sign_failure),
	  .text = "Message that should be signed and can't be: refuse it for now, or let it go out unsigned." },
	{ .name = "sign_header", .kind = CONF_WORD, .value = "relaxed", .words = canons, AT(sign.header_canon),
	  .text = "Canonical form of the header: relaxed bears what MTAs do to blanks and folds, simple nothing." },
	{ .name = "sign_body", .kind = CONF_WORD, .value = "relaxed", .words = canons, AT(sign.body_canon),
	  .text = "Canonical form of the body." },
	{ .name = "sign_timestamp", .kind = CONF_BOOL, .value = "yes", AT(sign.timestamp),
	  .text = "Write when it was signed (t=)." },
	{ .name = "sign_expire", .kind = CONF_DURATION, SECONDS(0), RANGE(0, 365 * (uint64_t)DAY_MS), AT(sign.expire_s),
	  .text = "How long a signature is good (x=). 0s: for as long as its key." },
	{ .name = "sign_also", .kind = CONF_FIELDS, .value = "", LIST_AT(sign_also, sign_also_count),
	  .text = "Header fields to sign where they occur, beside those in assay.conf(5)." },
	{ .name = "oversign_also", .kind = CONF_FIELDS, .value = "", LIST_AT(oversign_also, oversign_also_count),
	  .text = "Header fields to sign so that none can be added later, beside those in assay.conf(5)." },
	{ .name = "sign_not", .kind = CONF_FIELDS, .value = "", LIST_AT(sign_not, sign_not_count),
	  .text = "Header fields not to sign, whatever else is said. From is signed all the same." },

	{ .group = "Sealing (ARC)",
	  .name = "seal", .kind = CONF_WORD, .value = "none", .words = seals, AT(seal),
	  .text = "Whether a message gets an ARC set that says what was found: none does; one with a recipient outside of "
		  "local_domains (forwarded); or all. Mail of trusted_networks gets one where it still carries the results that we "
		  "wrote when it came in, unless its client has logged in: what a list server of ours sends on." },
	{ .name = "seal_key", .kind = CONF_NAME, .value = "", AT(seal_key),
	  .text = "The dkim_key, by the name of its section, that seals. It must have a domain." },
	{ .name = "local_domains", .kind = CONF_DOMAINS, .value = "", LIST_AT(local_domains, local_domain_count),
	  .text = "Where seal is forwarded: domains whose mail ends here, and those below them." },

	{ .group = "DNS",
	  .name = "dns_mode", .kind = CONF_WORD, .value = "system", .words = dns_modes, AT(dns.mode),
	  .text = "Who is asked: the servers in resolv.conf (system), those in dns_forwarders (forward), or the DNS itself "
		  "from the root on (recursive)." },
	{ .name = "dns_forwarders", .kind = CONF_SERVERS, .value = "", LIST_AT(dns.forwarders, dns.forwarder_count),
	  .text = "Servers to ask where dns_mode is forward." },
	{ .name = "dns_resolv_conf", .kind = CONF_FILE, .value = "/etc/resolv.conf", AT(dns.resolv_conf),
	  .text = "File to read where dns_mode is system." },
	{ .name = "dns_trust_anchor", .kind = CONF_FILE, .value = "", AT(dns.trust_anchor_file),
	  .text = "File with the key of the root zone; answers are then validated by DNSSEC, and one that is bogus counts as a "
		  "failure of DNS. Empty: no validation." },
	{ .name = "dns_timeout", .kind = CONF_DURATION, .number = LIMIT_DNS_TIMEOUT_MS, .unit_ms = 1, RANGE(100, MINUTE_MS),
	  AT(evaluator.lookups.timeout_ms),
	  .text = "How long one lookup may take." },
	{ .name = "dns_budget", .kind = CONF_DURATION, .number = LIMIT_DNS_BUDGET_MS, .unit_ms = 1, RANGE(SECOND_MS, 5 * MINUTE_MS),
	  AT(evaluator.lookups.budget_ms),
	  .text = "How long a message may wait for DNS at MAIL FROM (SPF), and again at its end (DKIM, DMARC). RFC 7208 asks for at least 20s." },
	{ .name = "dns_max_lookups", .kind = CONF_INT, .number = LIMIT_DNS_LOOKUPS, RANGE(10, 10000), AT(evaluator.lookups.max_lookups),
	  .text = "How many different questions a message may cost at MAIL FROM, and again at its end." },
	{ .name = "dns_cache_size", .kind = CONF_SIZE, .number = LIMIT_DNS_CACHE_BYTES, RANGE(64 * KIB, 16 * GIB), AT(resolver.cache_bytes),
	  .text = "Memory for answers, and for the keys and records made from them." },
	{ .name = "dns_ttl_min", .kind = CONF_DURATION, SECONDS(LIMIT_DNS_TTL_MIN_S), RANGE(0, HOUR_MS), AT(resolver.ttl_min_s),
	  .text = "Answers are kept no shorter than this, whatever they say." },
	{ .name = "dns_ttl_max", .kind = CONF_DURATION, SECONDS(LIMIT_DNS_TTL_MAX_S), RANGE(SECOND_MS, 7 * DAY_MS), AT(resolver.ttl_max_s),
	  .text = "Answers are kept no longer than this, whatever they say." },
	{ .name = "dns_ttl_negative_max", .kind = CONF_DURATION, SECONDS(LIMIT_DNS_TTL_NEGATIVE_S), RANGE(0, 3 * HOUR_MS),
	  AT(resolver.ttl_negative_max_s),
	  .text = "The same for the answer that there is nothing (RFC 2308)." },
	{ .name = "dns_ttl_fail", .kind = CONF_DURATION, SECONDS(LIMIT_DNS_TTL_FAIL_S), RANGE(0, 5 * MINUTE_MS), AT(resolver.ttl_fail_s),
	  .text = "How long a failure is remembered before the question is asked again." },

	{ .group = "SPF, DKIM, ARC and the client's name",
	  .name = "spf_max_lookups", .kind = CONF_INT, .number = LIMIT_SPF_LOOKUPS, RANGE(1, LIMIT_SPF_LOOKUPS), AT(evaluator.spf.max_lookups),
	  .text = "Terms of an SPF record that may ask DNS; beyond, the result is permerror (RFC 7208 section 4.6.4)." },
	{ .name = "spf_max_void_lookups", .kind = CONF_INT, .number = LIMIT_SPF_VOID, RANGE(0, 10), AT(evaluator.spf.max_void_lookups),
	  .text = "Questions of an SPF record that may find nothing; beyond, the result is permerror." },
	{ .name = "dkim_min_rsa_bits", .kind = CONF_INT, .number = LIMIT_DKIM_RSA_BITS_MIN, RANGE(LIMIT_DKIM_RSA_BITS_MIN, 4096),
	  AT(evaluator.dkim.min_rsa_bits),
	  .text = "RSA keys shorter than this never pass, in DKIM and in ARC. RFC 8301 forbids less than 1024." },
	{ .name = "dkim_max_signatures", .kind = CONF_INT, .number = LIMIT_DKIM_SIGNATURES, RANGE(1, LIMIT_DKIM_SIGNATURES),
	  AT(evaluator.dkim.max_signatures),
	  .text = "Signatures of a message that are verified, those of the author's domain first." },
	{ .name = "dkim_clock_skew", .kind = CONF_DURATION, SECONDS(LIMIT_DKIM_SKEW_S), RANGE(0, DAY_MS), AT(evaluator.dkim.clock_skew_s),
	  .text = "How far in the future a signature may say that it was made, in DKIM and in ARC." },
	{ .name = "check_helo", .kind = CONF_BOOL, .value = "yes", AT(evaluator.check_helo),
	  .text = "Evaluate SPF for the name in HELO too. It is reported, and never used for DMARC." },
	{ .name = "check_iprev", .kind = CONF_BOOL, .value = "yes", AT(evaluator.check_iprev),
	  .text = "Look whether the client's address has a name that leads back to it." },
	{ .name = "check_arc", .kind = CONF_BOOL, .value = "yes", AT(evaluator.check_arc),
	  .text = "Validate the chain of ARC seals." },

	{ .group = "DMARC",
	  .name = "dmarc_discovery", .kind = CONF_WORD, .value = "treewalk", .words = discoveries, AT(evaluator.dmarc.discovery),
	  .text = "How the organizational domain and its policy are found: by the tree walk of RFC 9989, or by the public suffix "
		  "list, as RFC 7489 did." },
	{ .name = "psl_file", .kind = CONF_FILE, .value = "", AT(psl_file),
	  .text = "The public suffix list, where dmarc_discovery is psl. Empty: the list that libpsl came with." },
	{ .name = "dmarc_pct", .kind = CONF_BOOL, .value = "no", AT(evaluator.dmarc.honour_pct),
	  .text = "Obey the tag pct of RFC 7489, where dmarc_discovery is psl. RFC 9989 has removed it." },

	{ .group = "Reports: what is remembered",
	  .name = "report_store", .kind = CONF_PATH, .value = "/var/lib/assay/reports.db", AT(report_store),
	  .text = "File in which assayd remembers, for aggregate reports, what it found in mail of domains that ask for them: an "
		  "SQLite database in a folder of its own, which is made when assayd starts. Empty: nothing is remembered." },
	{ .name = "report_store_wait", .kind = CONF_DURATION, .number = 500, .unit_ms = 1, RANGE(1, 10 * SECOND_MS), AT(report_store_wait_ms),
	  .text = "How long a message waits where mail comes faster than the file can be written. Beyond, it is answered all the same, "
		  "and remembered as long as there is room in memory." },
	{ .name = "report_period", .kind = CONF_DURATION, .number = DAY_MS, .unit_ms = SECOND_MS, RANGE(SECOND_MS, DAY_MS), AT(report_period_s),
	  .text = "What a report covers, counted from midnight UTC. The last period of a day ends with the day." },
	{ .name = "report_keep", .kind = CONF_DURATION, .number = 14 * DAY_MS, .unit_ms = SECOND_MS, RANGE(DAY_MS, 31 * DAY_MS), AT(report_keep_s),
	  .text = "How long after its end a period is kept in the file, reported or not." },
	{ .name = "report_recipient", .kind = CONF_BOOL, .value = "no", AT(report_recipient),
	  .text = "Tell domain owners the domain of the (first) recipient of a message, too." },
	{ .name = "report_database", .kind = CONF_TEXT, .value = "", AT(report_database),
	  .text = "PostgreSQL database of all servers of an organization together, as libpq takes it, for instance "
		  "\"host=db.example.net dbname=assay user=assay\"; reports are then made from it, once for all. assay report moves what "
		  "is in report_store there. Empty: reports are made from report_store." },
	{ .name = "report_node", .kind = CONF_NAME, .value = "", AT(report_node),
	  .text = "Name of this server in report_database. Empty: the hostname." },

	{ .group = "Sending aggregate reports (read by assay report, not by assayd)",
	  .name = "report_org_name", .kind = CONF_TEXT, .value = "", AT(reports.org_name),
	  .text = "Who reports, as domain owners read it. Nothing is sent while this and report_email are empty." },
	{ .name = "report_email", .kind = CONF_ADDRESS, .value = "", AT(reports.email),
	  .text = "Whom domain owners may write to about reports, and the author of the messages that carry them. Its domain "
		  "signs them: there must be a dkim_key for it, or they do not pass DMARC themselves." },
	{ .name = "report_extra_contact", .kind = CONF_TEXT, .value = "", AT(reports.extra_contact),
	  .text = "Further contact details, such as the address of a web page." },
	{ .name = "report_format", .kind = CONF_WORD, .value = "rfc9990", .words = report_formats, AT(reports.format),
	  .text = "Form of the XML: that of RFC 9990, or that of its predecessor." },
	{ .name = "report_when", .kind = CONF_WORD, .value = "failures", .words = report_whens, AT(reports.when),
	  .text = "Which domains are told about a period: those of which a message passed (pass), or was accepted all the same "
		  "(accepted), or of which report_failures messages failed (failures), each with those before it; or all that "
		  "ask for reports (always). To report on every forged name is to write to strangers on the word of spammers." },
	{ .name = "report_failures", .kind = CONF_INT, .number = 10, RANGE(1, 1000000), AT(reports.failures),
	  .text = "How many messages that all failed and were refused are worth a report." },
	{ .name = "report_settle", .kind = CONF_DURATION, .number = 30 * MINUTE_MS, .unit_ms = SECOND_MS, RANGE(MINUTE_MS, DAY_MS), AT(reports.settle_s),
	  .text = "How long after the end of a period its report is made. What comes later makes a further report about the same "
		  "period: with report_database, longer than the servers take from one assay report to the next." },
	{ .name = "report_server", .kind = CONF_SMTP_URL, .value = "smtp://127.0.0.1:25", AT(reports.server),
	  .text = "The mail server that takes the messages: the local MTA, or a smarthost." },
	{ .name = "report_tls", .kind = CONF_WORD, .value = "try", .words = smtp_tls, AT(reports.tls),
	  .text = "STARTTLS with that server: where it is offered, and with report_user not without it, without looking at the "
		  "certificate (try); or not without it and a good certificate (require); or never." },
	{ .name = "report_user", .kind = CONF_TEXT, .value = "", AT(reports.user),
	  .text = "Name to log in with at that server (SMTP AUTH). Empty: no log-in." },
	{ .name = "report_password_file", .kind = CONF_PATH, .value = "", AT(reports.password_file),
	  .text = "File whose first line is the password. It must be readable by its owner alone, who is root or the user that runs "
		  "assay report, and perhaps its group." },
	{ .name = "report_envelope_from", .kind = CONF_ADDRESS, .value = "", AT(reports.envelope_from),
	  .text = "Where bounces go. A * in it becomes a word that tells the message: \"bounce+*@example.com\". Give what arrives "
		  "there to assay report bounce. Empty: the null sender, and bounces come back to nobody." },
	{ .name = "report_limit", .kind = CONF_INT, .number = 1000, RANGE(0, 10000000), AT(reports.limit_total),
	  .text = "Reports sent a day, all in all; the rest waits for the next day, but no longer than report_retry_limit. 0: no limit." },
	{ .name = "report_limit_address", .kind = CONF_INT, .number = 200, RANGE(0, 10000000), AT(reports.limit_address),
	  .text = "The same for one address." },
	{ .name = "report_limit_exchanger", .kind = CONF_INT, .number = 500, RANGE(0, 10000000), AT(reports.limit_exchanger),
	  .text = "The same for all addresses whose mail goes to the same organization's mail servers (MX)." },
	{ .name = "report_retry_interval", .kind = CONF_DURATION, SECONDS(900), RANGE(MINUTE_MS, DAY_MS), AT(reports.retry_interval_s),
	  .text = "How long after a failure it is tried again; twice as long after each further one, and at most 4h or this." },
	{ .name = "report_retry_limit", .kind = CONF_DURATION, SECONDS(2 * 86400), RANGE(HOUR_MS, 14 * (uint64_t)DAY_MS),
	  AT(reports.retry_limit_s),
	  .text = "How long it is tried." },
	{ .name = "report_run", .kind = CONF_BOOL, .value = "no", AT(reports.run),
	  .text = "assayd itself starts assay report run and keeps it running. Else start it, or from time to time assay report "
		  "send, by other means, such as the units beside this file. Read when assayd starts." },
	{ .name = "report_program", .kind = CONF_PATH, .value = "", AT(reports.program),
	  .text = "The assay to start. Empty: the one that was installed with assayd." },

	{ .group = "Failure reports (RFC 9991)",
	  .name = "failure_reports", .kind = CONF_BOOL, .value = "no", AT(failures.enabled),
	  .text = "Tell domain owners who ask for it (ruf, fo) of single messages that failed. The header of a message, as far as "
		  "failure_redact leaves it, goes to whomever the author's domain names, so think twice. Needs report_store." },
	{ .name = "failure_redact", .kind = CONF_BOOL, .value = "yes", AT(failures.redact),
	  .text = "Leave out of failure reports who wrote to whom and about what: local parts of addresses, names, the subject, and "
		  "every header field that does not tell how the message travelled. The body is never in them." },
	{ .name = "failure_wait", .kind = CONF_DURATION, SECONDS(300), RANGE(0, DAY_MS), AT(failures.wait_s),
	  .text = "How long a failure waits for others of the same cause, which are told in the same report." },
	{ .name = "failure_limit_domain", .kind = CONF_INT, .number = 10, RANGE(1, 1000), AT(failures.per_domain),
	  .text = "Failure reports sent about one policy domain in 24 hours, each address counted. One cause is told once in that time anyhow." },
	{ .name = "failure_limit", .kind = CONF_INT, .number = 100, RANGE(1, 100000), AT(failures.in_all),
	  .text = "Failure reports sent in 24 hours, all in all." },
};
/* clang-format on */
const size_t conf_setting_count = sizeof(conf_settings) / sizeof(conf_settings[0]);

bool
conf_setting_is_list(const struct conf_setting *s)
{
	return s->kind == CONF_IDS || s->kind == CONF_NETWORKS || s->kind == CONF_DOMAINS ||
	    s->kind == CONF_SERVERS || s->kind == CONF_PATTERNS || s->kind == CONF_FIELDS;
}

/* "a, b or c" */
static const char *
word_list(struct arena *a, const struct conf_word *words)
{
	struct strbuf b;

	strbuf_init(&b, a, 512);
	for (size_t i = 0; words[i].word != NULL; i++) {
		if (i > 0)
			strbuf_str(&b, words[i + 1].word == NULL ? " or " : ", ");
		strbuf_str(&b, words[i].word);
	}
	return strbuf_slice(&b).p;
}

/* "one = this; two = that" */
static const char *
option_list(struct arena *a, const struct conf_setting *s)
{
	struct strbuf b;

	strbuf_init(&b, a, 4096);
	for (size_t i = 0; i < s->option_count; i++)
		strbuf_printf(&b, "%s%s = %s", i == 0 ? "" : "; ", s->options[i].name,
		    conf_setting_allowed(a, &s->options[i]));
	return strbuf_slice(&b).p;
}

const char *
conf_setting_allowed(struct arena *a, const struct conf_setting *s)
{
	switch (s->kind) {
	case CONF_BOOL:
		return "yes or no";
	case CONF_INT:
		return arena_printf(a, "a number from %llu to %llu", (unsigned long long)s->min,
		    (unsigned long long)s->max);
	case CONF_MODE:
		return arena_printf(a, "an octal mode from 0000 to %04o", (unsigned)s->max);
	case CONF_DURATION:
		return arena_printf(a, "a time from %s to %s (units %ss, m, h, d)",
		    conf_duration_text(a, s->min), conf_duration_text(a, s->max),
		    s->unit_ms == 1 ? "ms, " : "");
	case CONF_SIZE:
		return arena_printf(a, "a size from %s to %s (units K, M, G)",
		    conf_size_text(a, s->min), conf_size_text(a, s->max));
	case CONF_WORD:
	case CONF_CHOICE:
		return word_list(a, s->words);
	case CONF_NAME:
		return "a name of letters, digits, dot, hyphen and underscore; or empty";
	case CONF_PATH:
		return "an absolute path; or empty";
	case CONF_FILE:
		return "the absolute path of a file that can be read; or empty";
	case CONF_SOCKET:
		return "unix:/path, local:/path, inet:port@host or inet6:port@host";
	case CONF_FIELD:
		return "the name of a header field";
	case CONF_TEXT:
		return "one line of text; or empty";
	case CONF_ADDRESS:
		return "a mail address; or empty";
	case CONF_SMTP_URL:
		return "smtp://host, smtp://host:port or the same with smtps";
	case CONF_DOMAIN:
		return "a domain name; or empty";
	case CONF_ID:
		return "a name without blanks and without ()<>@,;:\\\"/[]?= in it; or empty";
	case CONF_IDS:
		return "a list of names as in authserv_id";
	case CONF_NETWORKS:
		return "a list of addresses and networks such as 192.0.2.0/24 and 2001:db8::/32";
	case CONF_DOMAINS:
		return "a list of domain names";
	case CONF_SERVERS:
		return "a list of addresses such as 192.0.2.53, 2001:db8::53 and 127.0.0.1@5353";
	case CONF_PATTERNS:
		return "a list of domain names, each perhaps with *. before it";
	case CONF_FIELDS:
		return "a list of names of header fields";
	case CONF_SECTIONS:
		return option_list(a, s);
	}
	bug("conf_setting_allowed: kind %d of %s", (int)s->kind, s->name);
}

static const char *
default_list(struct arena *a, const struct conf_setting *s)
{
	struct slice rest = slice_str(s->value), piece;
	struct strbuf b;
	bool first = true;

	if (rest.len == 0)
		return "{}";
	strbuf_init(&b, a, 1024);
	while (slice_next(&rest, ',', &piece)) {
		strbuf_str(&b, first ? "{ \"" : ", \"");
		strbuf_add(&b, slice_trim(piece));
		strbuf_char(&b, '"');
		first = false;
	}
	strbuf_str(&b, " }");
	return strbuf_slice(&b).p;
}

const char *
conf_setting_default(struct arena *a, const struct conf_setting *s)
{
	switch (s->kind) {
	case CONF_BOOL:
	case CONF_WORD:
	case CONF_CHOICE:
		return s->value;
	case CONF_INT:
		return arena_printf(a, "%llu", (unsigned long long)s->number);
	case CONF_MODE:
		return arena_printf(a, "%04o", (unsigned)s->number);
	case CONF_DURATION:
		return conf_duration_text(a, s->number);
	case CONF_SIZE:
		return conf_size_text(a, s->number);
	case CONF_NAME:
	case CONF_PATH:
	case CONF_FILE:
	case CONF_SOCKET:
	case CONF_FIELD:
	case CONF_TEXT:
	case CONF_ADDRESS:
	case CONF_SMTP_URL:
	case CONF_DOMAIN:
	case CONF_ID:
		return arena_printf(a, "\"%s\"", s->value);
	case CONF_IDS:
	case CONF_NETWORKS:
	case CONF_DOMAINS:
	case CONF_SERVERS:
	case CONF_PATTERNS:
	case CONF_FIELDS:
		return default_list(a, s);
	case CONF_SECTIONS:
		return "";
	}
	bug("conf_setting_default: kind %d of %s", (int)s->kind, s->name);
}
