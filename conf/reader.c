/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/reader.h"

#include <confuse.h>
#include <stdio.h>
#include <string.h>

#include "policy/base/bug.h"
#include "policy/base/strbuf.h"

/*
 * libconfuse gives its callbacks no pointer of ours. Every table of options therefore starts with
 * one that no file can name ('|' divides names), and its "simple value" is the reader: the one
 * member that libconfuse copies into the tables it makes and otherwise leaves alone.
 */
#define READER_OPTION "|"
#define UNKNOWN_MAX   20
#define FAULT_BYTES   512

struct unknown {
	const char *name;
	unsigned line;
	const struct conf_setting *section; /* what it stands in; NULL: in none */
};

struct reader {
	struct arena *arena;
	struct conf_entries *entries;
	struct conf_faults *faults;
	struct unknown unknowns[UNKNOWN_MAX]; /* names met that are no setting */
	size_t unknown_count;
	bool told;  /* why libconfuse stopped */
	bool again; /* an unknown name ended this reading: read again, knowing it */
};

static struct reader *
reader_of(cfg_t *cfg)
{
	return (struct reader *)(void *)cfg->opts[0].simple_value.ptr;
}

/* ---- before libconfuse ---- */

struct scan {
	struct slice in;
	char *out; /* what libconfuse will see */
	size_t at;
	unsigned line;
	unsigned depth, open_line; /* braces that are open, and where the outermost one was */
	struct conf_faults *faults;
};

static void
scan_comment(struct scan *s)
{
	while (s->at < s->in.len && s->in.p[s->at] != '\n')
		s->out[s->at++] = ' ';
}

/* libconfuse would take an escape, put a variable in, or drop the byte. */
static bool
is_odd_in_quotes(const struct scan *s)
{
	char c = s->in.p[s->at];

	return c == '\\' || (unsigned char)c < ' ' || c == 0x7f ||
	    slice_starts(slice_from(s->in, s->at), SLICE("${"));
}

/* A quoted text, from quote to quote on one line. */
static void
scan_quoted(struct scan *s)
{
	size_t start = s->at++;
	bool odd = false, closed = false;

	while (!closed && s->at < s->in.len && s->in.p[s->at] != '\n') {
		odd = odd || is_odd_in_quotes(s);
		closed = s->in.p[s->at++] == s->in.p[start];
	}
	if (odd)
		conf_fault(s->faults, s->line,
		    "backslash, \"${\" and control characters can't stand in a text");
	if (!closed)
		conf_fault(s->faults, s->line, "text is not closed: %s",
		    arena_printable(s->faults->arena, slice_sub(s->in, start, s->at - start), 40));
}

static void
scan_brace(struct scan *s)
{
	if (s->in.p[s->at++] == '}')
		s->depth -= s->depth > 0; /* one too many is told by libconfuse */
	else if (s->depth++ == 0)
		s->open_line = s->line;
}

/* One byte outside quotes and comments that is no brace; what libconfuse would drop is refused. */
static void
scan_plain(struct scan *s)
{
	char c = s->in.p[s->at++];
	char next = s->at < s->in.len ? s->in.p[s->at] : '\0';

	if (c == '\n') {
		s->line++;
	} else if (c == '/' && (next == '/' || next == '*')) {
		conf_fault(s->faults, s->line,
		    "a comment begins with #; a value with \"%c%c\" in it needs quotes", c, next);
		s->at++;
	} else if (c == '\r' && next == '\n') {
		s->out[s->at - 1] = ' ';
	} else if (((unsigned char)c < ' ' && c != '\t') || c == 0x7f) {
		conf_fault(s->faults, s->line, "control character 0x%02x", (unsigned char)c);
	} else if (strchr("*|()\\$", c) != NULL || (c == '+' && next != '=')) {
		conf_fault(s->faults, s->line, "a value with \"%c\" in it needs quotes", c);
	}
}

/* The text without comments, lines kept; NULL when it can't be given to libconfuse. */
static char *
scan(struct arena *a, struct slice text, struct conf_faults *f)
{
	struct scan s = { .in = text, .line = 1, .faults = f };
	size_t faults = f->count;

	s.out = arena_alloc(a, text.len + 1);
	if (text.len > 0)
		memcpy(s.out, text.p, text.len);
	while (s.at < text.len) {
		char c = text.p[s.at];

		if (c == '#')
			scan_comment(&s);
		else if (c == '"' || c == '\'')
			scan_quoted(&s);
		else if (c == '{' || c == '}')
			scan_brace(&s);
		else
			scan_plain(&s);
	}
	/* libconfuse takes the end of the file for the end of a section. */
	if (s.depth > 0)
		conf_fault(f, s.open_line, "{ is not closed");
	return f->count == faults ? s.out : NULL;
}

/* ---- libconfuse ---- */

static void
add_entry(struct reader *r, const struct conf_entry *e)
{
	struct conf_entries *list = r->entries;

	if (list->count == list->size) {
		size_t size = list->size == 0 ? 64 : list->size * 2;
		struct conf_entry *bigger = arena_array(r->arena, size, sizeof(*bigger));

		if (list->count > 0)
			memcpy(bigger, list->list, list->count * sizeof(*bigger));
		list->list = bigger;
		list->size = size;
	}
	list->list[list->count++] = *e;
}

static const struct conf_setting *
find_row(const struct conf_setting *rows, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	return NULL;
}

/* The section that libconfuse is in; NULL: in none. */
static const struct conf_setting *
section_of(const cfg_t *cfg)
{
	return cfg->title == NULL ? NULL : find_row(conf_settings, conf_setting_count, cfg->name);
}

/* The entry that gave this setting (of this section) first, or NULL. */
static const struct conf_entry *
given_before(const struct reader *r, const struct conf_setting *s, struct slice title)
{
	for (size_t i = 0; i < r->entries->count; i++) {
		const struct conf_entry *e = &r->entries->list[i];

		if (e->setting == s && slice_equal(e->title, title))
			return e;
	}
	return NULL;
}

static int
on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct reader *r = reader_of(cfg);
	struct conf_entry e = { .line = (unsigned)cfg->line, .item = true };
	const struct conf_entry *first;

	*(const char **)result = value;
	e.section = section_of(cfg);
	if (e.section == NULL)
		e.setting = find_row(conf_settings, conf_setting_count, opt->name);
	else
		e.setting = find_row(e.section->options, e.section->option_count, opt->name);
	if (e.setting == NULL)
		return 0; /* unknown, and already told */
	e.title = arena_copy(r->arena, slice_str(cfg->title));
	e.text = arena_copy(r->arena, slice_str(value));
	first = given_before(r, e.setting, e.title);
	/* The first item behind "=" is alone: libconfuse has thrown away what was there before. */
	if (first != NULL && (!conf_setting_is_list(e.setting) || opt->nvalues == 1)) {
		conf_fault(
		    r->faults, e.line, "%s: given again, first on line %u", opt->name, first->line);
		return 0;
	}
	add_entry(r, &e);
	return 0;
}

/* "name = {}" calls nobody back. */
static void
add_empty_lists(struct reader *r, cfg_t *cfg, const struct conf_setting *section,
    const struct conf_setting *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct conf_entry e = { .setting = &rows[i], .section = section };
		cfg_opt_t *opt;

		if (!conf_setting_is_list(e.setting))
			continue;
		opt = cfg_getopt(cfg, e.setting->name);
		e.title = arena_copy(r->arena, slice_str(cfg_title(cfg)));
		if ((opt->flags & CFGF_MODIFIED) != 0 && cfg_opt_size(opt) == 0)
			add_entry(r, &e);
	}
}

/* A section is complete. */
static int
on_section(cfg_t *cfg, cfg_opt_t *opt)
{
	struct reader *r = reader_of(cfg);
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	struct conf_entry e = { .line = (unsigned)cfg->line };

	e.setting = find_row(conf_settings, conf_setting_count, opt->name);
	e.title = arena_copy(r->arena, slice_str(cfg_title(section)));
	add_empty_lists(r, section, e.setting, e.setting->options, e.setting->option_count);
	add_entry(r, &e);
	return 0;
}

static void
fault_of_unknown(struct reader *r, const struct unknown *u)
{
	const char *name = arena_printable(r->arena, slice_str(u->name), 60);
	struct strbuf names;

	if (u->section == NULL) {
		conf_fault(r->faults, u->line, "%s: no such setting; see assay.conf(5)", name);
		return;
	}
	strbuf_init(&names, r->arena, FAULT_BYTES);
	for (size_t i = 0; i < u->section->option_count; i++)
		strbuf_printf(&names, "%s%s", i == 0 ? "" : ", ", u->section->options[i].name);
	conf_fault(r->faults, u->line, "%s: no such setting in a section %s; allowed: %s", name,
	    u->section->name, strbuf_slice(&names).p);
}

static void
on_unknown(struct reader *r, unsigned line, const struct conf_setting *section, const char *name)
{
	struct unknown u = { arena_str(r->arena, slice_str(name)), line, section };

	fault_of_unknown(r, &u);
	r->again = r->unknown_count < UNKNOWN_MAX;
	if (r->again)
		r->unknowns[r->unknown_count++] = u;
}

static void on_error(cfg_t *cfg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	struct reader *r = reader_of(cfg);
	unsigned line = (unsigned)cfg->line;

	r->told = true;
	if (strcmp(fmt, "no such option '%s'") == 0) {
		on_unknown(r, line, section_of(cfg), va_arg(ap, const char *));
		return;
	}
	/* What stands behind an unknown name may have a form of its own; that is no second fault.
	 */
	if (!conf_fault_on_line(r->faults, line))
		conf_vfault(r->faults, line, fmt, ap);
}

static cfg_opt_t
make_option(const struct conf_setting *s)
{
	cfg_opt_t list = CFG_STR_LIST_CB(NULL, NULL, CFGF_NODEFAULT, on_value);
	cfg_opt_t one = CFG_STR_CB(NULL, NULL, CFGF_NODEFAULT, on_value);
	/* An unknown name takes both a value and a list. */
	cfg_opt_t opt = s == NULL || conf_setting_is_list(s) ? list : one;

	if (s != NULL)
		opt.name = s->name;
	return opt;
}

static cfg_opt_t *make_options(struct reader *r, const struct conf_setting *section);

static cfg_opt_t
make_section(struct reader *r, const struct conf_setting *s)
{
	cfg_opt_t section = CFG_SEC(
	    s->name, make_options(r, s), CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);

	section.validcb = on_section;
	return section;
}

/* The table for a file or, where section is not NULL, for such a section in it. */
static cfg_opt_t *
make_options(struct reader *r, const struct conf_setting *section)
{
	const struct conf_setting *rows = section == NULL ? conf_settings : section->options;
	size_t count = section == NULL ? conf_setting_count : section->option_count, n = 0;
	cfg_opt_t hidden = CFG_PTR_CB(READER_OPTION, NULL, CFGF_NODEFAULT, NULL, NULL);
	cfg_opt_t *opts = arena_array(r->arena, count + r->unknown_count + 2, sizeof(*opts));
	cfg_opt_t end = CFG_END();

	hidden.simple_value.ptr = (void **)(void *)r;
	opts[n++] = hidden;
	for (size_t i = 0; i < count; i++)
		opts[n++] = rows[i].kind == CONF_SECTIONS ? make_section(r, &rows[i])
							  : make_option(&rows[i]);
	for (size_t i = 0; i < r->unknown_count; i++) {
		if (r->unknowns[i].section == section) {
			opts[n] = make_option(NULL);
			opts[n++].name = r->unknowns[i].name;
		}
	}
	opts[n] = end;
	return opts;
}

static void
read_once(struct reader *r, const char *text)
{
	cfg_t *cfg = cfg_init(make_options(r, NULL), CFGF_NONE);
	int rc;

	if (cfg == NULL)
		out_of_memory(sizeof(*cfg));
	cfg_set_error_function(cfg, on_error);
	rc = cfg_parse_buf(cfg, text);
	if (rc == CFG_SUCCESS)
		add_empty_lists(r, cfg, NULL, conf_settings, conf_setting_count);
	else if (!r->told)
		conf_fault(r->faults, (unsigned)cfg->line, "syntax error");
	cfg_free(cfg);
}

void
conf_read(struct arena *a, struct slice text, struct conf_entries *entries, struct conf_faults *f)
{
	struct reader r = { .arena = a, .entries = entries, .faults = f };
	const struct conf_faults before = *f;
	const char *clean = scan(a, text, f);

	if (clean == NULL)
		return;
	/* libconfuse stops at a name it does not know. The name is told and made known, and the
	 * file read again, so that the faults behind it are found as well. */
	do {
		r.again = r.told = false;
		entries->count = 0;
		*f = before;
		for (size_t i = 0; i < r.unknown_count; i++)
			fault_of_unknown(&r, &r.unknowns[i]);
		read_once(&r, clean);
	} while (r.again);
}
