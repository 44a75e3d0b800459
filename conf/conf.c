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
bad_value(
    struct loader *l, const struct conf_setting *s, const struct conf_entry *e, const char *why)
{
	const char *where = s->name;

	if (e->section != NULL)
		where = arena_printf(l->arena, "%s \"%s\": %s", e->section->name,
		    arena_printable(l->arena, e->title, 100), s->name);
	conf_fault(&l->faults, e->line, "%s: found \"%s\"%s%s%s, allowed: %s", where,
	    arena_printable(l->arena, e->text, 100), why == NULL ? "" : " (",
	    why == NULL ? "" : why, why == NULL ? "" : ")", conf_setting_allowed(l->arena, s));
}

/* The entries of one setting, in order of the file; title: of that section only, or NULL. */
static size_t
entries_of(struct loader *l, const struct conf_setting *s, const struct slice *title,
    const struct conf_entry **out)
{
	size_t count = 0;

	for (size_t i = 0; i < l->entries.count; i++) {
		const struct conf_entry *e = &l->entries.list[i];

		if (e->setting == s && (title == NULL || slice_equal(e->title, *title)))
			out[count++] = e;
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
		bad_value(l, s, e, strerror(errno));
}

/* The entries of a setting, at least one, become what is at its place in object. */
static void
apply_entries(struct loader *l, const struct conf_setting *s, const struct conf_entry **given,
    size_t count, void *object)
{
	struct slice *texts = arena_array(l->arena, count, sizeof(*texts));
	size_t bad;
	const char *why;

	if (!given[0]->item)
		count = 0; /* an empty list */
	for (size_t i = 0; i < count; i++)
		texts[i] = given[i]->text;
	if (conf_value_store(l->arena, s, texts, count, object, &bad, &why) != 0)
		bad_value(l, s, given[bad], why);
	else
		check_readable(l, s, given[0]);
}

static void
apply_setting(struct loader *l, const struct conf_setting *s)
{
	const struct conf_entry **given = arena_array(l->arena, l->entries.count, sizeof(*given));
	size_t count = entries_of(l, s, NULL, given);

	if (count > 0)
		apply_entries(l, s, given, count, l->conf);
}

/* What stands in one section. */
static void
apply_options(struct loader *l, const struct conf_setting *s, const struct conf_entry *section,
    const struct conf_entry **given, void *object)
{
	for (size_t i = 0; i < s->option_count; i++) {
		const struct conf_setting *option = &s->options[i];
		size_t count = entries_of(l, option, &section->title, given);

		if (!option->required)
			conf_value_default(l->arena, option, object);
		if (count > 0)
			apply_entries(l, option, given, count, object);
		else if (option->required)
			conf_fault(&l->faults, section->line, "%s \"%s\": no %s, allowed: %s = %s",
			    s->name, arena_printable(l->arena, section->title, 100), option->name,
			    option->name, conf_setting_allowed(l->arena, option));
	}
}

static bool
title_equal(const struct conf_setting *s, const char *a, const char *b)
{
	const struct slice *x = (const struct slice *)(const void *)(a + s->title_offset);
	const struct slice *y = (const struct slice *)(const void *)(b + s->title_offset);

	return slice_equal(*x, *y) &&
	    (s->below_offset == 0 || a[s->below_offset] == b[s->below_offset]);
}

/* False: it has no title that can be used. */
static bool
apply_title(struct loader *l, const struct conf_setting *s, const struct conf_entry *section,
    const char *objects, char *object)
{
	const char *why;

	if (conf_value_title(l->arena, s, section->title, object, &why) != 0) {
		conf_fault(&l->faults, section->line,
		    "%s: found \"%s\" (%s), allowed: a domain name, or *. and a domain name",
		    s->name, arena_printable(l->arena, section->title, 100), why);
		return false;
	}
	for (const char *other = objects; other < object; other += s->object_size)
		if (title_equal(s, other, object)) {
			conf_fault(&l->faults, section->line, "%s \"%s\": given again", s->name,
			    arena_printable(l->arena, section->title, 100));
			return false;
		}
	return true;
}

static void
apply_sections(struct loader *l, const struct conf_setting *s)
{
	const struct conf_entry **sections, **given;
	size_t count, size = l->entries.count;
	char *objects, *object;

	sections = arena_array(l->arena, size, sizeof(*sections));
	given = arena_array(l->arena, size, sizeof(*given));
	count = entries_of(l, s, NULL, sections);
	objects = object = arena_array(l->arena, count, s->object_size);
	for (size_t i = 0; i < count; i++, object += s->object_size) {
		apply_options(l, s, sections[i], given, object);
		if (!apply_title(l, s, sections[i], objects, object))
			return; /* a fault, so that nobody will see the rest */
	}
	memcpy((char *)l->conf + s->offset, &objects, sizeof(objects));
	memcpy((char *)l->conf + s->count_offset, &count, sizeof(count));
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

/* A key without a domain of its own signs for whom it is told to. */
static void
check_keys(struct loader *l)
{
	const struct conf_entry **sections = arena_array(
	    l->arena, l->entries.count, sizeof(*sections));
	const struct conf_setting *s = &conf_settings[0];

	while (strcmp(s->name, "dkim_key") != 0)
		s++;
	(void)entries_of(l, s, NULL, sections);
	for (size_t i = 0; i < l->conf->dkim_key_count; i++) {
		const struct conf_dkim_key *k = &l->conf->dkim_keys[i];
		const char *name = arena_printable(l->arena, k->name, 100);

		if (k->author_domain_count == 0 && k->domain.len == 0)
			conf_fault(&l->faults, sections[i]->line,
			    "dkim_key \"%s\": needs domain or author_domains", name);
		if (k->selector.len == 0 || k->key_file == NULL)
			conf_fault(&l->faults, sections[i]->line,
			    "dkim_key \"%s\": selector and key_file can't be empty", name);
	}
}

/* The key that seals, by its name. */
static void
check_seal(struct loader *l)
{
	struct conf *c = l->conf;
	const char *named = c->seal_key == NULL
	    ? ""
	    : arena_printable(l->arena, slice_str(c->seal_key), 100);

	check_idle(l, "seal_key", c->seal == CONF_SEAL_NONE, "seal");
	check_idle(l, "local_domains", c->seal != CONF_SEAL_FORWARDED, "seal = forwarded");
	if (c->seal == CONF_SEAL_NONE)
		return;
	if (c->seal == CONF_SEAL_FORWARDED && c->local_domain_count == 0)
		conf_fault(
		    &l->faults, line_of(l, "seal", "seal"), "seal: forwarded needs local_domains");
	for (size_t i = 0; i < c->dkim_key_count; i++) {
		if (c->seal_key == NULL ||
		    !slice_equal(c->dkim_keys[i].name, slice_str(c->seal_key)))
			continue;
		c->seal_key_number = i;
		if (c->dkim_keys[i].domain.len == 0)
			conf_fault(&l->faults, line_of(l, "seal_key", "seal_key"),
			    "seal_key: dkim_key \"%s\" has no domain", named);
		return;
	}
	conf_fault(&l->faults, line_of(l, "seal", "seal_key"),
	    "seal_key: found \"%s\", allowed: the name of a section dkim_key", named);
}

static void
check_reports(struct loader *l)
{
	const struct conf_reports *r = &l->conf->reports;

	check_idle(l, "report_email", r->email != NULL && r->org_name == NULL, "report_org_name");
	check_idle(l, "report_org_name", r->org_name != NULL && r->email == NULL, "report_email");
	check_idle(l, "report_run", r->run && r->email == NULL, "report_email");
	check_idle(l, "report_failures", r->when != CONF_REPORT_FAILURES, "report_when = failures");
	check_idle(
	    l, "report_password_file", r->password_file != NULL && r->user == NULL, "report_user");
	if (r->email != NULL && strchr(r->email, '*') != NULL)
		conf_fault(&l->faults, line_of(l, "report_email", "report_email"),
		    "report_email: a * is for report_envelope_from");
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
	check_idle(l, "sender", c->dkim_key_count == 0, "dkim_key");
	check_idle(l, "require_published", c->dkim_key_count == 0, "dkim_key");
	check_keys(l);
	check_seal(l);
	check_reports(l);
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

static bool
is_named(struct slice name, const struct slice *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (slice_equal_nocase(name, names[i]))
			return true;
	return false;
}

/* The names of ours and of also, without those in sign_not. */
static const struct slice *
choose_fields(const struct conf *c, const struct slice *ours, size_t our_count,
    const struct slice *also, size_t also_count, size_t *count_r)
{
	struct slice *list = arena_array(c->arena, our_count + also_count, sizeof(*list));
	size_t count = 0;

	for (size_t i = 0; i < our_count + also_count; i++) {
		struct slice name = i < our_count ? ours[i] : also[i - our_count];

		if (!is_named(name, c->sign_not, c->sign_not_count))
			list[count++] = name;
	}
	*count_r = count;
	return list;
}

static void
derive_signing(struct conf *c)
{
	const struct sig_field_choice *ours = &dkim_sign_default.fields;
	struct sig_field_choice *fields = &c->sign.fields;

	fields->oversign = choose_fields(c, ours->oversign, ours->oversign_count, c->oversign_also,
	    c->oversign_also_count, &fields->oversign_count);
	fields->sign = choose_fields(
	    c, ours->sign, ours->sign_count, c->sign_also, c->sign_also_count, &fields->sign_count);
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
	derive_signing(c);
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
		if (conf_settings[i].kind == CONF_SECTIONS)
			apply_sections(l, &conf_settings[i]);
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
