/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/value.h"

#include <sys/un.h>

#include <string.h>

#include "policy/base/num.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/domain.h"

#define NAME_MAX_BYTES	32 /* of a user or group; useradd(8) */
#define TEXT_MAX_BYTES	1024
#define TEXT_LINE_BYTES 255
#define LOCAL_MAX_BYTES 64 /* RFC 5321 4.5.3.1.1, and room for a token */
#define LIST_MAX_ITEMS	4096
#define DEFAULT_ITEMS	64 /* of a list that a row has for its default */

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* Largest first. */
static const struct unit duration_units[] = {
	{ "d", 86400000 },
	{ "h", 3600000 },
	{ "m", 60000 },
	{ "s", 1000 },
	{ "ms", 1 },
};
static const struct unit size_units[] = {
	{ "G", 1024 * 1024 * 1024 },
	{ "M", 1024 * 1024 },
	{ "K", 1024 },
	{ "", 1 },
};

#define DURATION_UNITS (sizeof(duration_units) / sizeof(duration_units[0]))
#define SIZE_UNITS     (sizeof(size_units) / sizeof(size_units[0]))

static const char *
unit_text(struct arena *a, const struct unit *units, size_t count, uint64_t n)
{
	size_t i = 0;

	while (i + 1 < count && (n < units[i].factor || n % units[i].factor != 0))
		i++;
	return arena_printf(
	    a, "%llu%s", (unsigned long long)(n / units[i].factor), units[i].suffix);
}

const char *
conf_duration_text(struct arena *a, uint64_t ms)
{
	if (ms == 0)
		return "0s";
	return unit_text(a, duration_units, DURATION_UNITS, ms);
}

const char *
conf_size_text(struct arena *a, uint64_t bytes)
{
	return unit_text(a, size_units, SIZE_UNITS, bytes);
}

/* Digits and one of the units, nothing between. */
static int
unit_parse(struct slice text, const struct unit *units, size_t count, uint64_t *out)
{
	size_t digits = 0;
	uint64_t n;

	while (digits < text.len && ascii_is_digit(text.p[digits]))
		digits++;
	if (num_u64(slice_sub(text, 0, digits), 0, UINT64_MAX, &n) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (slice_equal(slice_from(text, digits), slice_str(units[i].suffix)))
			return __builtin_mul_overflow(n, units[i].factor, out) ? -1 : 0;
	}
	return -1;
}

static void
put(void *object, size_t offset, const void *value, size_t size)
{
	memcpy((char *)object + offset, value, size);
}

static void
put_u32(void *object, size_t offset, uint32_t value)
{
	put(object, offset, &value, sizeof(value));
}

static void
put_text(struct arena *a, void *object, size_t offset, struct slice text)
{
	const char *p = text.len == 0 ? NULL : arena_str(a, text);

	put(object, offset, &p, sizeof(p));
}

static int
store_mode(const struct conf_setting *s, struct slice text, void *object)
{
	uint32_t mode = 0;

	if (text.len == 0 || text.len > 4)
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] < '0' || text.p[i] > '7')
			return -1;
		mode = mode * 8 + (uint32_t)(text.p[i] - '0');
	}
	if (mode < s->min || mode > s->max)
		return -1;
	put_u32(object, s->offset, mode);
	return 0;
}

static int
store_number(const struct conf_setting *s, struct slice text, void *object)
{
	size_t bytes;
	uint64_t n;
	int rc;

	if (s->kind == CONF_DURATION)
		rc = unit_parse(text, duration_units, DURATION_UNITS, &n);
	else if (s->kind == CONF_SIZE)
		rc = unit_parse(text, size_units, SIZE_UNITS, &n);
	else
		rc = num_u64(text, 0, UINT64_MAX, &n);
	if (rc != 0 || n < s->min || n > s->max)
		return -1;
	if (s->kind == CONF_SIZE) {
		bytes = (size_t)n;
		put(object, s->offset, &bytes, sizeof(bytes));
		return 0;
	}
	if (s->kind == CONF_DURATION) {
		if (n % s->unit_ms != 0) /* "1500ms" where seconds are counted */
			return -1;
		n /= s->unit_ms;
	}
	put_u32(object, s->offset, (uint32_t)n);
	return 0;
}

static const struct conf_word *
find_word(const struct conf_word *words, struct slice text)
{
	for (; words->word != NULL; words++) {
		if (slice_equal(text, slice_str(words->word)))
			return words;
	}
	return NULL;
}

static int
store_bool(const struct conf_setting *s, struct slice text, void *object)
{
	bool yes = slice_equal(text, SLICE("yes"));

	if (!yes && !slice_equal(text, SLICE("no")))
		return -1;
	put(object, s->offset, &yes, sizeof(yes));
	return 0;
}

static int
store_word(struct arena *a, const struct conf_setting *s, struct slice text, void *object)
{
	const struct conf_word *w = find_word(s->words, text);

	if (w == NULL)
		return -1;
	if (s->kind == CONF_CHOICE)
		put_text(a, object, s->offset, text);
	else
		put(object, s->offset, &w->value, sizeof(w->value));
	return 0;
}

static bool
is_name(struct slice text)
{
	if (text.len > NAME_MAX_BYTES || (text.len > 0 && text.p[0] == '-'))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (!ascii_is_alnum(text.p[i]) && strchr("_-.", text.p[i]) == NULL)
			return false;
	}
	return true;
}

/* domain_normalize() takes any printable byte, as DNS does; a star or a slash here is a mistake. */
static int
parse_domain(struct arena *a, struct slice text, struct slice *out, const char **why_r)
{
	struct slice normal;

	if (domain_normalize(a, text, &normal, why_r) != 0)
		return -1;
	for (size_t i = 0; i < normal.len; i++) {
		if (!ascii_is_alnum(normal.p[i]) && strchr("-_.", normal.p[i]) == NULL) {
			*why_r = "has a character that no domain of mail has";
			return -1;
		}
	}
	*out = arena_copy(a, normal);
	return 0;
}

/* "example.com", or "*.example.com" for what is below it. */
static int
parse_pattern(struct arena *a, struct slice text, struct conf_pattern *out, const char **why_r)
{
	out->subdomains = slice_starts(text, SLICE("*."));
	return parse_domain(a, slice_from(text, out->subdomains ? 2 : 0), &out->domain, why_r);
}

/* RFC 5322 2.2: printable ASCII but the colon. */
static bool
is_field_name(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] <= ' ' || text.p[i] > '~' || text.p[i] == ':')
			return false;
	}
	return text.len > 0 && text.len <= 76;
}

/* RFC 2045 5.1: what an authserv-id may be without quotes (RFC 8601 2.2). */
static bool
is_token(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] <= ' ' || text.p[i] > '~' ||
		    strchr("()<>@,;:\\\"/[]?=", text.p[i]) != NULL)
			return false;
	}
	return text.len <= LIMIT_DOMAIN_BYTES;
}

static bool
is_path(struct slice text)
{
	return text.len > 0 && text.len <= TEXT_MAX_BYTES && text.p[0] == '/';
}

/* "port@host" of a libmilter inet socket; host is an address of that family, or a name. */
static bool
is_inet(struct arena *a, struct slice text, enum ip_family family)
{
	size_t at = slice_find(text, '@');
	struct slice host = slice_from(text, at == SLICE_NONE ? text.len : at + 1), name;
	struct ip_address ip;
	const char *why;
	uint32_t port;

	if (at == SLICE_NONE || num_u32(slice_sub(text, 0, at), 1, 65535, &port) != 0)
		return false;
	if (ip_parse(host, &ip) == 0)
		return ip.family == family;
	/* What has no letter is an address that was mistyped. */
	for (size_t i = 0; i < host.len; i++) {
		if (ascii_is_alpha(host.p[i]))
			return parse_domain(a, host, &name, &why) == 0;
	}
	return false;
}

static bool
is_socket(struct arena *a, struct slice text, const char **why_r)
{
	size_t colon = slice_find(text, ':');
	struct slice rest = slice_from(text, colon == SLICE_NONE ? text.len : colon + 1);

	if (slice_starts(text, SLICE("unix:")) || slice_starts(text, SLICE("local:"))) {
		if (rest.len >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
			*why_r = "the path is too long for a Unix socket";
			return false;
		}
		return is_path(rest);
	}
	if (slice_starts(text, SLICE("inet:")))
		return is_inet(a, rest, IP_V4);
	if (slice_starts(text, SLICE("inet6:")))
		return is_inet(a, rest, IP_V6);
	return false;
}

/* "192.0.2.1" or "192.0.2.1@5353" */
static bool
is_server(struct slice text)
{
	size_t at = slice_find(text, '@');
	struct ip_address ip;
	uint32_t port;

	if (at != SLICE_NONE && num_u32(slice_from(text, at + 1), 1, 65535, &port) != 0)
		return false;
	return ip_parse(slice_sub(text, 0, at == SLICE_NONE ? text.len : at), &ip) == 0;
}

static bool
is_line(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == '\x7f')
			return false;
	}
	return text.len <= TEXT_LINE_BYTES;
}

/* RFC 5321 4.1.2: a dot-string and a domain name; a "*" is for the caller to replace. */
static bool
is_address(struct arena *a, struct slice text, const char **why_r)
{
	size_t at = slice_find_last(text, '@');
	struct slice local = slice_sub(text, 0, at), domain;

	if (at == SLICE_NONE || local.len == 0 || local.len > LOCAL_MAX_BYTES ||
	    local.p[0] == '.' || local.p[local.len - 1] == '.')
		return false;
	for (size_t i = 0; i < local.len; i++) {
		if (!ascii_is_alnum(local.p[i]) &&
		    strchr("!#$%&'*+-/=?^_`{|}~.", local.p[i]) == NULL)
			return false;
		if (local.p[i] == '.' && local.p[i + 1] == '.')
			return false;
	}
	return parse_domain(a, slice_from(text, at + 1), &domain, why_r) == 0;
}

/* "smtp://host:port"; host is a name or an address, IPv6 in brackets. */
static bool
is_smtp_url(struct arena *a, struct slice text, const char **why_r)
{
	struct slice rest = slice_from(text, slice_starts(text, SLICE("smtps://")) ? 8 : 7), domain;
	size_t close = slice_find(rest, ']'), colon;
	struct ip_address ip;
	uint32_t port;

	if (!slice_starts(text, SLICE("smtp://")) && !slice_starts(text, SLICE("smtps://")))
		return false;
	colon = slice_find(slice_from(rest, close == SLICE_NONE ? 0 : close), ':');
	if (colon != SLICE_NONE) {
		colon += close == SLICE_NONE ? 0 : close;
		if (num_u32(slice_from(rest, colon + 1), 1, 65535, &port) != 0)
			return false;
		rest = slice_sub(rest, 0, colon);
	}
	if (close != SLICE_NONE)
		return rest.p[0] == '[' && close + 1 == rest.len &&
		    ip_parse(slice_sub(rest, 1, close - 1), &ip) == 0;
	return ip_parse(rest, &ip) == 0 || parse_domain(a, rest, &domain, why_r) == 0;
}

static int
store_text(struct arena *a, const struct conf_setting *s, struct slice text, void *object,
    const char **why_r)
{
	struct slice domain = text;
	bool good = false;

	if (s->kind == CONF_NAME)
		good = is_name(text);
	else if (s->kind == CONF_PATH || s->kind == CONF_FILE)
		good = text.len == 0 || is_path(text);
	else if (s->kind == CONF_SOCKET)
		good = is_socket(a, text, why_r);
	else if (s->kind == CONF_FIELD)
		good = is_field_name(text);
	else if (s->kind == CONF_TEXT)
		good = is_line(text);
	else if (s->kind == CONF_ADDRESS)
		good = text.len == 0 || is_address(a, text, why_r);
	else if (s->kind == CONF_SMTP_URL)
		good = is_smtp_url(a, text, why_r);
	else if (s->kind == CONF_ID)
		good = is_token(text);
	else if (s->kind == CONF_DOMAIN)
		good = text.len == 0 || parse_domain(a, text, &domain, why_r) == 0;
	if (!good)
		return -1;
	if (s->kind == CONF_ID || s->kind == CONF_DOMAIN) {
		domain = arena_copy(a, domain);
		put(object, s->offset, &domain, sizeof(domain));
	} else {
		put_text(a, object, s->offset, text);
	}
	return 0;
}

/* Room for one item of any list. */
union item {
	struct slice slice;
	struct ip_network network;
	struct conf_pattern pattern;
	const char *text;
};

static size_t
item_size(enum conf_kind kind)
{
	if (kind == CONF_NETWORKS)
		return sizeof(struct ip_network);
	if (kind == CONF_PATTERNS)
		return sizeof(struct conf_pattern);
	return kind == CONF_SERVERS ? sizeof(const char *) : sizeof(struct slice);
}

static int
parse_item(struct arena *a, const struct conf_setting *s, struct slice text, union item *out,
    const char **why_r)
{
	if (s->kind == CONF_NETWORKS)
		return ip_network_parse(text, &out->network);
	if (s->kind == CONF_DOMAINS)
		return parse_domain(a, text, &out->slice, why_r);
	if (s->kind == CONF_PATTERNS)
		return parse_pattern(a, text, &out->pattern, why_r);
	if (s->kind == CONF_SERVERS) {
		if (!is_server(text))
			return -1;
		out->text = arena_str(a, text);
		return 0;
	}
	if (s->kind == CONF_FIELDS ? !is_field_name(text) : text.len == 0 || !is_token(text))
		return -1;
	out->slice = arena_copy(a, text);
	return 0;
}

static int
store_list(struct arena *a, const struct conf_setting *s, const struct slice *texts, size_t count,
    void *object, size_t *bad_r, const char **why_r)
{
	size_t size = item_size(s->kind);
	char *items;

	if (count > LIST_MAX_ITEMS) {
		*bad_r = LIST_MAX_ITEMS;
		*why_r = "more than 4096 items";
		return -1;
	}
	items = arena_array(a, count, size);
	for (size_t i = 0; i < count; i++) {
		union item item;

		*bad_r = i;
		if (parse_item(a, s, texts[i], &item, why_r) != 0)
			return -1;
		memcpy(items + i * size, &item, size);
	}
	put(object, s->offset, &items, sizeof(items));
	put(object, s->count_offset, &count, sizeof(count));
	return 0;
}

int
conf_value_store(struct arena *a, const struct conf_setting *s, const struct slice *texts,
    size_t count, void *object, size_t *bad_r, const char **why_r)
{
	*bad_r = 0;
	*why_r = NULL;
	if (conf_setting_is_list(s))
		return store_list(a, s, texts, count, object, bad_r, why_r);
	if (count != 1)
		bug("conf_value_store: %zu values of %s", count, s->name);
	switch (s->kind) {
	case CONF_BOOL:
		return store_bool(s, texts[0], object);
	case CONF_MODE:
		return store_mode(s, texts[0], object);
	case CONF_INT:
	case CONF_DURATION:
	case CONF_SIZE:
		return store_number(s, texts[0], object);
	case CONF_WORD:
	case CONF_CHOICE:
		return store_word(a, s, texts[0], object);
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
		return store_text(a, s, texts[0], object, why_r);
	case CONF_IDS:
	case CONF_NETWORKS:
	case CONF_DOMAINS:
	case CONF_SERVERS:
	case CONF_PATTERNS:
	case CONF_FIELDS:
	case CONF_SECTIONS:
		break;
	}
	bug("conf_value_store: kind %d of %s", (int)s->kind, s->name);
}

void
conf_value_default(struct arena *a, const struct conf_setting *s, void *object)
{
	struct slice rest = slice_str(s->value), piece, texts[DEFAULT_ITEMS];
	size_t count = 0, bad;
	const char *why;

	if (s->kind == CONF_SECTIONS)
		return;
	if (conf_setting_is_list(s)) {
		while (count < DEFAULT_ITEMS && slice_next(&rest, ',', &piece))
			texts[count++] = slice_trim(piece);
	} else {
		texts[count++] = slice_str(
		    s->value != NULL ? s->value : conf_setting_default(a, s));
	}
	if (conf_value_store(a, s, texts, count, object, &bad, &why) != 0)
		bug("default of %s is not valid", s->name);
}

int
conf_value_title(struct arena *a, const struct conf_setting *s, struct slice title, void *object,
    const char **why_r)
{
	struct conf_pattern pattern;

	*why_r = NULL;
	if (s->below_offset == 0) {
		title = arena_copy(a, title);
		put(object, s->title_offset, &title, sizeof(title));
		return 0;
	}
	if (parse_pattern(a, title, &pattern, why_r) != 0)
		return -1;
	put(object, s->title_offset, &pattern.domain, sizeof(pattern.domain));
	put(object, s->below_offset, &pattern.subdomains, sizeof(pattern.subdomains));
	return 0;
}
