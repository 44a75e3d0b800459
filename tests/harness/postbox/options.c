/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/postbox/options.h"

#include <string.h>

#include "policy/base/num.h"
#include "policy/base/strbuf.h"
#include "policy/syntax/domain.h"

#define HELP_BYTES   8192
#define DEFAULT_BASE 10000 /* --port-offset: no privileges needed */
#define DEFAULT_SMTP 25	   /* --relay-port */

/* A command line that is being read. */
struct reader {
	struct arena *arena;
	struct server_options *options;
	uint32_t port_offset;
	bool any_port;
	bool ports_named; /* --port: then only those */
	const char *error;
};

static int
wrong(struct reader *r, const char *why)
{
	r->error = why;
	return -1;
}

static int
read_size(struct reader *r, const char *value, size_t *out)
{
	uint64_t number;

	if (num_u64(slice_str(value), 1, (uint64_t)1 << 40, &number) == -1)
		return wrong(r, "not a number from 1 to 2^40");
	*out = (size_t)number;
	return 0;
}

static int
read_u32(struct reader *r, const char *value, uint32_t min, uint32_t max, uint32_t *out)
{
	if (num_u32(slice_str(value), min, max, out) == 0)
		return 0;
	return wrong(r, arena_printf(r->arena, "not a number from %u to %u", min, max));
}

/* ---- one function an option ---- */

static int
take_host(struct reader *r, const char *value)
{
	struct slice name;
	const char *why;

	if (domain_normalize(r->arena, slice_str(value), &name, &why) == -1)
		return wrong(r, why);
	r->options->hostname = arena_str(r->arena, name);
	return 0;
}

static int
take_domain(struct reader *r, const char *value)
{
	struct slice name;
	const char *why;

	if (r->options->domain_count == POSTBOX_DOMAINS)
		return wrong(r, "too many domains");
	if (domain_normalize(r->arena, slice_str(value), &name, &why) == -1)
		return wrong(r, why);
	r->options->domains[r->options->domain_count++] = name;
	return 0;
}

/* It is a directory's name too, and stands in addresses. */
static bool
is_user_name(struct slice name)
{
	if (name.len == 0 || name.len > 64 || name.p[0] == '.')
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!ascii_is_alnum(name.p[i]) && strchr("._-", name.p[i]) == NULL)
			return false;
	return true;
}

static int
take_user(struct reader *r, const char *value)
{
	struct server_options *o = r->options;
	struct slice text = slice_str(value);
	size_t colon = slice_find(text, ':');
	struct user user = { 0 };

	if (colon == SLICE_NONE || colon + 1 == text.len)
		return wrong(r, "not NAME:PASSWORD");
	user.name = arena_copy_lower(r->arena, slice_sub(text, 0, colon));
	user.password = arena_copy(r->arena, slice_from(text, colon + 1));
	if (!is_user_name(user.name))
		return wrong(r, "a name is letters, digits, '.', '_' and '-', 64 at most");
	if (user.password.len > POSTBOX_PASSWORD_BYTES)
		return wrong(r, "password too long");
	for (size_t i = 0; i < o->user_count; i++)
		if (slice_equal(o->users[i].name, user.name))
			return wrong(r, "this user is there already");
	if (o->user_count == POSTBOX_USERS)
		return wrong(r, "too many users");
	o->users[o->user_count++] = user;
	return 0;
}

static int
take_bind(struct reader *r, const char *value)
{
	return ip_parse(slice_str(value), &r->options->bind) == -1 ? wrong(r, "not an address") : 0;
}

static int
add_listening(struct reader *r, const struct protocol *protocol, uint32_t port)
{
	struct server_options *o = r->options;

	if (o->listen_count == POSTBOX_LISTENERS)
		return wrong(r, "too many ports");
	o->listen[o->listen_count++] = (struct listening){ .protocol = protocol,
		.port = (uint16_t)port };
	return 0;
}

static int
take_port(struct reader *r, const char *value)
{
	struct slice rest = slice_str(value), name;
	const struct protocol *protocol;
	uint32_t port;

	if (!slice_next(&rest, '=', &name))
		return wrong(r, "not PROTOCOL=PORT");
	protocol = protocol_named(arena_str(r->arena, name));
	if (protocol == NULL)
		return wrong(r, "no such protocol");
	if (num_u32(rest, 0, UINT16_MAX, &port) == -1)
		return wrong(r, "not PROTOCOL=PORT with a port from 0 to 65535");
	r->ports_named = true;
	return add_listening(r, protocol, port);
}

static int
take_port_offset(struct reader *r, const char *value)
{
	return read_u32(r, value, 0, 60000, &r->port_offset);
}

static int
take_any_port(struct reader *r, const char *value)
{
	(void)value;
	r->any_port = true;
	return 0;
}

static int
take_cert(struct reader *r, const char *value)
{
	r->options->cert_file = value;
	return 0;
}

static int
take_key(struct reader *r, const char *value)
{
	r->options->key_file = value;
	return 0;
}

static int
take_allow_plain_auth(struct reader *r, const char *value)
{
	(void)value;
	r->options->allow_plain_auth = true;
	return 0;
}

static int
add_network(struct reader *r, const char *value, struct networks *networks)
{
	if (networks->count == POSTBOX_DOMAINS)
		return wrong(r, "too many networks");
	if (ip_network_parse(slice_str(value), &networks->list[networks->count]) == -1)
		return wrong(r, "not a network");
	networks->count++;
	return 0;
}

static int
take_xclient(struct reader *r, const char *value)
{
	return add_network(r, value, &r->options->xclient);
}

static int
take_relay_for(struct reader *r, const char *value)
{
	return add_network(r, value, &r->options->relay_for);
}

static int
take_milter(struct reader *r, const char *value)
{
	if (!slice_starts(slice_str(value), SLICE("unix:")) &&
	    !slice_starts(slice_str(value), SLICE("inet:")))
		return wrong(r, "not unix:PATH or inet:PORT@ADDRESS");
	r->options->milter = value;
	return 0;
}

static int
take_milter_default(struct reader *r, const char *value)
{
	static const enum milter_default all[] = { MILTER_DEFAULTS(ENUMTAB_NAME) };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(milter_default_word(all[i]), value) == 0) {
			r->options->milter_default = all[i];
			return 0;
		}
	return wrong(r, "not accept, tempfail, reject or quarantine");
}

static int
take_milter_timeout(struct reader *r, const char *value)
{
	return read_u32(r, value, 1, 3600000, &r->options->milter_timeout_ms);
}

static int
take_relay(struct reader *r, const char *value)
{
	(void)value;
	r->options->relay = true;
	return 0;
}

static int
take_relay_port(struct reader *r, const char *value)
{
	uint32_t port;

	if (read_u32(r, value, 1, UINT16_MAX, &port) == -1)
		return -1;
	r->options->relay_port = (uint16_t)port;
	return 0;
}

/* "192.0.2.1:25", "[2001:db8::1]:25". */
static int
read_address_port(struct reader *r, struct slice text, struct ip_address *ip, uint16_t *port)
{
	size_t colon = slice_find_last(text, ':');
	struct slice address = slice_sub(text, 0, colon == SLICE_NONE ? 0 : colon);
	uint32_t number;

	if (address.len > 2 && address.p[0] == '[' && address.p[address.len - 1] == ']')
		address = slice_sub(address, 1, address.len - 2);
	if (ip_parse(address, ip) == -1 ||
	    num_u32(slice_from(text, colon + 1), 1, UINT16_MAX, &number) == -1)
		return wrong(r, "not ADDRESS:PORT");
	*port = (uint16_t)number;
	return 0;
}

static int
take_relay_host(struct reader *r, const char *value)
{
	r->options->relay = true;
	return read_address_port(
	    r, slice_str(value), &r->options->relay_host, &r->options->relay_host_port);
}

static int
take_relay_map(struct reader *r, const char *value)
{
	struct server_options *o = r->options;
	struct slice rest = slice_str(value), from;
	struct relay_map *map = &o->relay_map[o->relay_map_count];

	if (o->relay_map_count == POSTBOX_DOMAINS)
		return wrong(r, "too many addresses");
	if (!slice_next(&rest, '=', &from) || ip_parse(from, &map->from) == -1)
		return wrong(r, "not ADDRESS=ADDRESS:PORT");
	o->relay_map_count++;
	return read_address_port(r, rest, &map->to, &map->port);
}

static int
take_relay_anywhere(struct reader *r, const char *value)
{
	(void)value;
	r->options->relay_anywhere = true;
	return 0;
}

static int
take_relay_retry(struct reader *r, const char *value)
{
	return read_u32(r, value, 1, POSTBOX_RETRY_MAX_MS, &r->options->relay_retry_ms);
}

static int
take_relay_lifetime(struct reader *r, const char *value)
{
	return read_u32(r, value, 0, POSTBOX_LIFETIME_MS, &r->options->relay_lifetime_ms);
}

static int
take_dns(struct reader *r, const char *value)
{
	r->options->dns = value;
	return 0;
}

static int
take_maildir(struct reader *r, const char *value)
{
	if (value[0] == '\0')
		return wrong(r, "not a directory");
	r->options->maildir = value;
	return 0;
}

static int
take_message_size(struct reader *r, const char *value)
{
	return read_size(r, value, &r->options->max_message_bytes);
}

static int
take_store_size(struct reader *r, const char *value)
{
	return read_size(r, value, &r->options->max_store_bytes);
}

static int
take_connections(struct reader *r, const char *value)
{
	return read_size(r, value, &r->options->max_connections);
}

static int
take_timeout(struct reader *r, const char *value)
{
	return read_u32(r, value, 1, 3600000, &r->options->timeout_ms);
}

static int
take_print_ports(struct reader *r, const char *value)
{
	(void)value;
	r->options->print_ports = true;
	return 0;
}

static int
take_verbose(struct reader *r, const char *value)
{
	(void)value;
	r->options->verbose = true;
	return 0;
}

/* ---- the table ---- */

/* clang-format off */
static const struct option_row {
	const char *name;
	const char *argument; /* NULL: takes none */
	const char *help;
	int (*take)(struct reader *r, const char *value);
} rows[] = {
	{ "host", "NAME", "what the server calls itself [localhost]", take_host },
	{ "domain", "NAME", "mail for it is delivered here; repeat for more [that of --host]", take_domain },
	{ "user", "NAME:PASSWORD", "somebody with a mailbox; repeat for more", take_user },
	{ "bind", "ADDRESS", "listen here [127.0.0.1]", take_bind },
	{ "port-offset", "N", "is added to the ports of the standards [10000]", take_port_offset },
	{ "port", "PROTOCOL=PORT", "listen to this, and to nothing that is not named; 0: any that is free", take_port },
	{ "any-port", NULL, "every protocol on a port that is free", take_any_port },
	{ "print-ports", NULL, "when ready print PROTOCOL=PORT for each in one line", take_print_ports },
	{ "cert", "FILE", "certificate, PEM [one is made at start]", take_cert },
	{ "key", "FILE", "its key, PEM", take_key },
	{ "allow-plain-auth", NULL, "take passwords without TLS", take_allow_plain_auth },
	{ "xclient", "NETWORK", "clients that may claim to be others with XCLIENT", take_xclient },
	{ "milter", "SOCKET", "ask this filter: unix:PATH or inet:PORT@ADDRESS", take_milter },
	{ "milter-default", "ACTION", "when it can't be asked: accept, tempfail, reject, quarantine [tempfail]", take_milter_default },
	{ "milter-timeout", "MS", "how long it may take to reply [30000]", take_milter_timeout },
	{ "relay", NULL, "send the users' own mail to the MX of its domain", take_relay },
	{ "relay-for", "NETWORK", "and that of these clients, who need no password: a list server", take_relay_for },
	{ "relay-port", "PORT", "to this port there [25]", take_relay_port },
	{ "relay-map", "A=B:PORT", "what DNS directs to address A goes to B, PORT; repeat for more", take_relay_map },
	{ "relay-host", "ADDRESS:PORT", "send all of it there instead, without asking DNS", take_relay_host },
	{ "relay-anywhere", NULL, "to other machines too: without it only loopback is sent to", take_relay_anywhere },
	{ "relay-retry", "MS", "what is put off is tried again after this, then twice it... [300000]", take_relay_retry },
	{ "relay-lifetime", "MS", "and comes back as undeliverable after this [432000000]", take_relay_lifetime },
	{ "dns", "ADDRESS@PORT", "name server for the MX [the system's]", take_dns },
	{ "maildir", "DIR", "keep the mail there [in memory]", take_maildir },
	{ "message-size", "BYTES", "largest message [16777216]", take_message_size },
	{ "store-size", "BYTES", "all mail together [268435456]", take_store_size },
	{ "connections", "N", "at once [512]", take_connections },
	{ "timeout", "MS", "replaces every time-out of the protocols", take_timeout },
	{ "verbose", NULL, "say what happens", take_verbose },
};
/* clang-format on */
#define ROWS (sizeof(rows) / sizeof(rows[0]))

struct slice
options_help(struct arena *a)
{
	struct strbuf b;

	strbuf_init(&b, a, HELP_BYTES);
	strbuf_str(&b,
	    "usage: postbox --user NAME:PASSWORD [OPTION...]\n\n"
	    "A mail server for tests: SMTP, POP3 and IMAP in one program, with a milter in front.\n"
	    "It binds to loopback unless told otherwise, and sends nothing to other machines "
	    "unless\n"
	    "told so. It is no open relay: it relays mail for nobody but its own users, after "
	    "they\n"
	    "have given their password, or --relay-for those you name. It is a harness and is not "
	    "installed: never let it near "
	    "the\n"
	    "mail of real people.\n\n");
	for (size_t i = 0; i < ROWS; i++) {
		const char *option = arena_printf(a, "--%s%s%s", rows[i].name,
		    rows[i].argument == NULL ? "" : " ",
		    rows[i].argument == NULL ? "" : rows[i].argument);

		strbuf_printf(&b, "  %-26s %s\n", option, rows[i].help);
	}
	strbuf_printf(&b, "  %-26s %s\n\nProtocols:", "--help", "this");
	for (size_t i = 0; i < protocol_count; i++)
		strbuf_printf(&b, " %s (%u)", protocols[i].name, protocols[i].port);
	strbuf_str(&b, "\n");
	return strbuf_slice(&b);
}

static const struct option_row *
row_named(struct slice name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (slice_equal(slice_str(rows[i].name), name))
			return &rows[i];
	return NULL;
}

/* One option with its value, which may be the next argument. Returns how many were used, or -1. */
static int
take_option(struct reader *r, const char *argument, const char *next)
{
	struct slice rest = slice_str(argument), name;
	const struct option_row *row = NULL;
	const char *equals = strchr(argument, '=');
	bool has_value = equals != NULL;
	const char *value = has_value ? equals + 1 : next;

	if (slice_starts(rest, SLICE("--"))) {
		rest = slice_from(rest, 2);
		if (slice_next(&rest, '=', &name))
			row = row_named(name);
	}
	if (row == NULL)
		return wrong(r, "no such option");
	if (row->argument == NULL && has_value)
		return wrong(r, "takes no value");
	if (row->argument == NULL)
		return row->take(r, NULL) == -1 ? -1 : 1;
	if (value == NULL)
		return wrong(r, arena_printf(r->arena, "wants %s", row->argument));
	if (row->take(r, value) == -1)
		return -1;
	return has_value ? 1 : 2;
}

static int
add_all_ports(struct reader *r)
{
	for (size_t i = 0; i < protocol_count; i++)
		if (add_listening(r, &protocols[i],
			r->any_port ? 0 : protocols[i].port + r->port_offset) == -1)
			return -1;
	return 0;
}

static void
set_defaults(struct server_options *o)
{
	static const uint8_t loopback[4] = { 127, 0, 0, 1 };

	memset(o, 0, sizeof(*o));
	o->hostname = "localhost";
	o->bind = ip_from_bytes(IP_V4, loopback);
	o->milter_default = MILTER_DEFAULT_TEMPFAIL;
	o->milter_timeout_ms = 30000;
	o->relay_port = DEFAULT_SMTP;
	o->relay_retry_ms = POSTBOX_RETRY_MS;
	o->relay_lifetime_ms = POSTBOX_LIFETIME_MS;
	o->max_message_bytes = POSTBOX_MESSAGE_BYTES;
	o->max_store_bytes = POSTBOX_STORE_BYTES;
	o->max_connections = POSTBOX_CONNECTIONS;
}

/* What hangs on several options. */
static int
finish(struct reader *r)
{
	struct server_options *o = r->options;

	if (o->domain_count == 0)
		o->domains[o->domain_count++] = slice_str(o->hostname);
	if (!r->ports_named && add_all_ports(r) == -1)
		return -1;
	if ((o->cert_file == NULL) != (o->key_file == NULL))
		return wrong(r, "--cert and --key go together");
	return 0;
}

enum options_result
options_read(
    struct arena *a, int argc, char *const *argv, struct server_options *out, const char **error_r)
{
	struct reader r = { .arena = a, .options = out, .port_offset = DEFAULT_BASE };

	set_defaults(out);
	for (int i = 1; i < argc;) {
		int used;

		if (strcmp(argv[i], "--help") == 0)
			return OPTIONS_HELP;
		used = take_option(&r, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
		if (used == -1) {
			*error_r = arena_printf(a, "%s: %s", argv[i], r.error);
			return OPTIONS_WRONG;
		}
		i += used;
	}
	if (finish(&r) == 0)
		return OPTIONS_RUN;
	*error_r = r.error;
	return OPTIONS_WRONG;
}
