/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/conf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/faults.h"
#include "conf/reader.h"
#include "conf/schema.h"
#include "conf/value.h"
#include "policy/syntax/domain.h"

#define FILE_MAX_BYTES	  ((size_t)1024 * 1024)
#define ARENA_CEILING	  (16 * FILE_MAX_BYTES) /* not asked: the file is the operator's */
#define HOSTNAME_FALLBACK SLICE("localhost")

struct loader {
	struct conf *conf;
	struct arena *arena;
	struct conf_entries entries;
	struct conf_faults faults;
};

static void
bad_value(struct loader *l, const struct conf_setting *s, unsigned line, struct slice found,
    const char *why)
{
	conf_fault(&l->faults, line, "%s: found \"%s\"%s%s%s, allowed: %s", s->name,
	    arena_printable(l->arena, found, 100), why == NULL ? "" : " (", why == NULL ? "" : why,
	    why == NULL ? "" : ")", conf_setting_allowed(l->arena, s));
}

/* The entries of one setting, in order of the file. */
static size_t
entries_of(struct loader *l, const struct conf_setting *s, const struct conf_entry **out)
{
	size_t count = 0;

	for (size_t i = 0; i < l->entries.count; i++) {
		if (l->entries.list[i].setting == s)
			out[count++] = &l->entries.list[i];
	}
	return count;
}

static const struct conf_entry *
first_entry(struct loader *l, const char *name)
{
	for (size_t i = 0; i < l->entries.count; i++) {
		if (strcmp(l->entries.list[i].setting->name, name) == 0)
			return &l->entries.list[i];
	}
	return NULL;
}

static void
check_readable(struct loader *l, const struct conf_setting *s, const struct conf_entry *e)
{
	if (s->kind == CONF_FILE && e->text.len > 0 &&
	    access(arena_str(l->arena, e->text), R_OK) != 0)
		bad_value(l, s, e->line, e->text, strerror(errno));
}

static void
apply_setting(struct loader *l, const struct conf_setting *s)
{
	const struct conf_entry **given = arena_array(l->arena, l->entries.count, sizeof(*given));
	size_t count = entries_of(l, s, given), bad;
	struct slice *texts = arena_array(l->arena, count, sizeof(*texts));
	const char *why;

	if (count == 0)
		return;
	if (!given[0]->item)
		count = 0; /* an empty list */
	for (size_t i = 0; i < count; i++)
		texts[i] = given[i]->text;
	if (conf_value_store(l->arena, s, texts, count, l->conf, &bad, &why) != 0)
		bad_value(l, s, given[bad]->line, texts[bad], why);
	else
		check_readable(l, s, given[0]);
}

static void
apply_rule(
    struct loader *l, const struct conf_entry *e, struct domain_rule_entry *list, size_t *count)
{
	struct domain_rule_entry *out = &list[*count];
	size_t bad;
	const char *why;

	if (!e->item) {
		conf_fault(&l->faults, e->line, "%s \"%s\": no rule, allowed: %s", e->setting->name,
		    arena_printable(l->arena, e->title, 100),
		    conf_setting_allowed(l->arena, e->setting));
		return;
	}
	if (conf_value_rule(l->arena, e->setting, e->title, e->text, out, &bad, &why) != 0) {
		if (bad == 1)
			bad_value(l, e->setting, e->line, e->text, why);
		else
			conf_fault(&l->faults, e->line,
			    "%s: found \"%s\" (%s), allowed: a domain name, or *. and a domain "
			    "name",
			    e->setting->name, arena_printable(l->arena, e->title, 100), why);
		return;
	}
	for (size_t i = 0; i < *count; i++) {
		if (slice_equal(list[i].domain, out->domain) &&
		    list[i].subdomains == out->subdomains) {
			conf_fault(&l->faults, e->line, "%s \"%s\": given again", e->setting->name,
			    arena_printable(l->arena, e->title, 100));
			return;
		}
	}
	(*count)++;
}

static void
apply_rules(struct loader *l, const struct conf_setting *s)
{
	const struct conf_entry **given = arena_array(l->arena, l->entries.count, sizeof(*given));
	size_t sections = entries_of(l, s, given), count = 0;
	struct domain_rule_entry *list = arena_array(l->arena, sections, sizeof(*list));

	for (size_t i = 0; i < sections; i++)
		apply_rule(l, given[i], list, &count);
	l->conf->decide.domains = list;
	l->conf->decide.domain_count = count;
}

/* A setting that another makes idle was meant to do something. */
static void
check_idle(struct loader *l, const char *name, bool idle, const char *needs)
{
	const struct conf_entry *e = first_entry(l, name);

	if (e != NULL && idle)
		conf_fault(&l->faults, e->line, "%s: has no effect without %s", name, needs);
}

/* The line of a or b, whichever the file gives, the later one if both. */
static unsigned
line_of(struct loader *l, const char *a, const char *b)
{
	const struct conf_entry *ea = first_entry(l, a), *eb = first_entry(l, b);
	unsigned la = ea == NULL ? 0 : ea->line, lb = eb == NULL ? 0 : eb->line;

	return la > lb ? la : lb;
}

static void
check_together(struct loader *l)
{
	const struct conf *c = l->conf;
	const struct evaluator_options *o = &c->evaluator;

	check_idle(l, "dns_forwarders", c->dns.mode != DNS_MODE_FORWARD, "dns_mode = forward");
	check_idle(l, "dns_resolv_conf", c->dns.mode != DNS_MODE_SYSTEM, "dns_mode = system");
	check_idle(l, "psl_file", o->dmarc.discovery != DMARC_PSL, "dmarc_discovery = psl");
	check_idle(l, "dmarc_pct", o->dmarc.discovery != DMARC_PSL, "dmarc_discovery = psl");
	check_idle(l, "group", c->user == NULL, "user");
	if (c->dns.mode == DNS_MODE_FORWARD && c->dns.forwarder_count == 0)
		conf_fault(&l->faults, line_of(l, "dns_mode", "dns_mode"),
		    "dns_mode: forward needs dns_forwarders");
	if (o->lookups.timeout_ms > o->lookups.budget_ms)
		conf_fault(&l->faults, line_of(l, "dns_timeout", "dns_budget"),
		    "dns_timeout: %s is more than dns_budget, %s",
		    conf_duration_text(l->arena, o->lookups.timeout_ms),
		    conf_duration_text(l->arena, o->lookups.budget_ms));
	if (c->resolver.ttl_min_s > c->resolver.ttl_max_s)
		conf_fault(&l->faults, line_of(l, "dns_ttl_min", "dns_ttl_max"),
		    "dns_ttl_min: %s is more than dns_ttl_max, %s",
		    conf_duration_text(l->arena, (uint64_t)c->resolver.ttl_min_s * 1000),
		    conf_duration_text(l->arena, (uint64_t)c->resolver.ttl_max_s * 1000));
}

static struct slice
system_hostname(struct arena *a)
{
	char name[LIMIT_DOMAIN_BYTES + 2] = "";
	struct slice normal;
	const char *why;

	if (gethostname(name, sizeof(name) - 1) != 0 ||
	    domain_normalize(a, slice_str(name), &normal, &why) != 0)
		return HOSTNAME_FALLBACK;
	return normal;
}

/* What follows from other settings. */
static void
derive(struct conf *c)
{
	size_t aliases = c->authserv_id_count;
	struct slice *ids = arena_array(c->arena, aliases + 1, sizeof(*ids));

	if (c->hostname.len == 0)
		c->hostname = system_hostname(c->arena);
	if (c->authserv_id.len == 0)
		c->authserv_id = c->hostname;
	ids[0] = c->authserv_id;
	for (size_t i = 0; i < aliases; i++)
		ids[i + 1] = c->authserv_ids[i];
	c->authserv_ids = ids;
	c->authserv_id_count = aliases + 1;
	c->evaluator.spf.receiver = c->hostname;
	c->evaluator.arc.min_rsa_bits = c->evaluator.dkim.min_rsa_bits;
	c->evaluator.arc.clock_skew_s = c->evaluator.dkim.clock_skew_s;
}

static struct conf *
conf_new(void)
{
	struct arena *a = arena_new(ARENA_CEILING);
	struct conf *c = arena_alloc(a, sizeof(*c));

	c->arena = a;
	for (size_t i = 0; i < conf_setting_count; i++)
		conf_value_default(a, &conf_settings[i], c);
	return c;
}

struct conf *
conf_defaults(void)
{
	struct conf *c = conf_new();

	derive(c);
	return c;
}

/* 0, or -1 with errno set. */
static int
read_text(struct arena *a, const char *file, struct slice *out)
{
	FILE *f = fopen(file, "re");
	char *p;
	size_t n;
	int error;

	if (f == NULL)
		return -1;
	p = arena_alloc(a, FILE_MAX_BYTES + 1);
	n = fread(p, 1, FILE_MAX_BYTES + 1, f);
	error = ferror(f) ? errno : n > FILE_MAX_BYTES ? EFBIG : 0;
	fclose(f);
	*out = slice_of(p, n);
	errno = error;
	return error == 0 ? 0 : -1;
}

static void
load(struct loader *l, const char *file)
{
	struct slice text;

	if (read_text(l->arena, file, &text) != 0) {
		conf_fault(&l->faults, 0, "%s", strerror(errno));
		return;
	}
	conf_read(l->arena, text, &l->entries, &l->faults);
	for (size_t i = 0; i < conf_setting_count; i++) {
		if (conf_settings[i].kind == CONF_RULES)
			apply_rules(l, &conf_settings[i]);
		else
			apply_setting(l, &conf_settings[i]);
	}
	/* What is not valid alone says nothing about what stands beside it. */
	if (l->faults.count == 0)
		check_together(l);
}

struct conf *
conf_load(const char *file, char **error_r)
{
	struct conf *c = conf_new();
	struct loader l = { .conf = c, .arena = c->arena, .faults = { .arena = c->arena } };

	load(&l, file);
	if (l.faults.count > 0) {
		*error_r = conf_faults_text(&l.faults, file);
		conf_free(&c);
		return NULL;
	}
	c->file = arena_str(c->arena, slice_str(file));
	derive(c);
	return c;
}

void
conf_free(struct conf **c)
{
	struct arena *a;

	if (*c == NULL)
		return;
	a = (*c)->arena;
	*c = NULL;
	arena_free(&a);
}
