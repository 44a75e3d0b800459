/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "tests/harness/postbox/log.h"
#include "tests/harness/postbox/relay_internal.h"

/* ---- what the files share ---- */

time_t
relay_now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

uint32_t
relay_timeout_ms(const struct server *server, uint32_t ms)
{
	return server->options.timeout_ms != 0 ? server->options.timeout_ms : ms;
}

bool
relay_is_cut(struct relay_line *line)
{
	bool cut;

	(void)pthread_mutex_lock(&line->lock);
	cut = line->cut;
	(void)pthread_mutex_unlock(&line->lock);
	return cut;
}

/* From here on the line is this stream's; NULL: nobody's. */
static void
line_set(struct relay_line *line, struct stream *stream)
{
	(void)pthread_mutex_lock(&line->lock);
	line->stream = stream;
	if (stream != NULL && line->cut)
		stream_shutdown(stream);
	(void)pthread_mutex_unlock(&line->lock);
}

bool
relay_waits(const struct relay_route *route, const struct relay_recipient *r)
{
	return r->state == RELAY_WAITS && slice_equal_nocase(r->domain, route->domain);
}

static bool
somebody_waits(const struct relay_route *route)
{
	for (size_t i = 0; i < route->attempt->mail->count; i++)
		if (relay_waits(route, &route->attempt->mail->recipients[i]))
			return true;
	return false;
}

void
relay_settle(
    struct relay_recipient *r, enum relay_state state, const char *status, const char *fmt, ...)
{
	va_list ap;

	r->state = state;
	va_start(ap, fmt);
	(void)vsnprintf(r->fault, sizeof(r->fault), fmt, ap);
	va_end(ap);
	(void)snprintf(r->status, sizeof(r->status), "%s", status);
}

void
relay_settle_all(
    const struct relay_route *route, enum relay_state state, const char *status, const char *fault)
{
	for (size_t i = 0; i < route->attempt->mail->count; i++)
		if (relay_waits(route, &route->attempt->mail->recipients[i]))
			relay_settle(
			    &route->attempt->mail->recipients[i], state, status, "%s", fault);
}

/* ---- one address ---- */

static bool
is_loopback(const struct ip_address *ip)
{
	static const uint8_t v6[16] = { [15] = 1 };

	return ip->family == IP_V4 ? ip->bytes[0] == 127 : memcmp(ip->bytes, v6, sizeof(v6)) == 0;
}

/* --relay-map */
static void
map(const struct server_options *o, struct ip_address *ip, uint16_t *port)
{
	for (size_t i = 0; i < o->relay_map_count; i++)
		if (ip_equal(&o->relay_map[i].from, ip)) {
			*ip = o->relay_map[i].to;
			*port = o->relay_map[i].port;
			return;
		}
}

/* One connection; false: TLS failed. */
static bool
call(const struct relay_route *route, const char *host, const struct ip_address *ip, uint16_t port,
    bool encrypt)
{
	const struct server *server = route->attempt->server;
	const struct ip_address *from = is_loopback(ip) ? &server->options.bind : NULL;
	const char *error = "";
	struct stream *stream = stream_connect(route->attempt->arena, ip, port, from,
	    relay_timeout_ms(server, POSTBOX_CONNECT_MS), &error);
	bool good;

	if (stream == NULL) {
		relay_settle_all(route, RELAY_WAITS, "4.4.1",
		    arena_printf(route->attempt->arena, "%s: %s", host, error));
		return true;
	}
	stream_set_timeout(stream, relay_timeout_ms(server, POSTBOX_SMTP_COMMAND_MS));
	line_set(route->attempt->line, stream);
	good = relay_talk(route, stream, host, encrypt);
	if (!good)
		relay_settle_all(route, RELAY_WAITS, "4.7.5",
		    arena_printf(route->attempt->arena, "%s: TLS: %s", host, stream_error(stream)));
	line_set(route->attempt->line, NULL);
	stream_free(&stream);
	return good;
}

static void
try_address(const struct relay_route *route, const char *name, const struct ip_address *address,
    uint16_t port)
{
	struct arena *a = route->attempt->arena;
	struct ip_address ip = *address;
	char text[IP_TEXT_BYTES];
	const char *host;

	map(&route->attempt->server->options, &ip, &port);
	host = arena_printf(a, "%s[%s]:%u", name, ip_print(&ip, text), port);
	if (!is_loopback(&ip) && !route->attempt->server->options.relay_anywhere) {
		relay_settle_all(route, RELAY_FAILED, "5.4.4",
		    arena_printf(a, "%s: not this machine, and no --relay-anywhere", host));
		return;
	}
	if (relay_now_s() > route->deadline_s || relay_is_cut(route->attempt->line)) {
		relay_settle_all(
		    route, RELAY_WAITS, "4.4.7", arena_printf(a, "%s: no time left", host));
		return;
	}
	if (!call(route, host, &ip, port, true))
		(void)call(route, host, &ip, port, false);
}

/* ---- hosts ---- */

/* False: DNS says that the name has no address. */
static bool
try_host(const struct relay_route *route, struct slice name)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA };
	struct arena *a = route->attempt->arena;
	const char *host = arena_printable(a, name, 255), *fault = "no address";
	uint16_t port = route->attempt->server->options.relay_port;
	bool found = false, unsure = false;

	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		const struct dns_answer *answer = lookups_ask(
		    route->attempt->lookups, name, types[t]);

		found = found || answer->status == DNS_OK;
		if (answer->status == DNS_TEMPFAIL) {
			unsure = true;
			fault = dns_reason_text(answer->reason);
		}
		for (size_t i = 0;
		     answer->status == DNS_OK && i < answer->count && somebody_waits(route); i++)
			try_address(route, host, &answer->records[i].address, port);
	}
	if (!found)
		relay_settle_all(
		    route, RELAY_WAITS, "4.4.4", arena_printf(a, "%s: %s", host, fault));
	return found || unsure;
}

/* RFC 5321 5.1: if we are among them, only those that are preferred to us; a loop otherwise. */
static size_t
better_than_us(const struct server *server, const struct dns_answer *answer)
{
	struct slice us = slice_str(server->options.hostname);

	for (size_t i = 0; i < answer->count; i++) {
		size_t n = i;

		if (!slice_equal_nocase(answer->records[i].mx.host, us))
			continue;
		while (n > 0 &&
		    answer->records[n - 1].mx.preference == answer->records[i].mx.preference)
			n--;
		return n;
	}
	return answer->count;
}

/* Hosts by rising preference. */
static void
try_exchangers(const struct relay_route *route, const struct dns_answer *answer)
{
	struct arena *a = route->attempt->arena;
	const char *domain = arena_printable(a, route->domain, 255);
	size_t count = better_than_us(route->attempt->server, answer);

	if (answer->count == 1 && answer->records[0].mx.host.len == 0) { /* RFC 7505 3 */
		relay_settle_all(route, RELAY_FAILED, "5.1.10",
		    arena_printf(a, "%s takes no mail (null MX)", domain));
		return;
	}
	if (count == 0)
		relay_settle_all(route, RELAY_FAILED, "5.4.6",
		    arena_printf(a, "mail for %s would come back to us", domain));
	for (size_t i = 0; i < count && somebody_waits(route); i++)
		(void)try_host(route, answer->records[i].mx.host);
}

static void
try_domain(const struct relay_route *route)
{
	struct arena *a = route->attempt->arena;
	const char *domain = arena_printable(a, route->domain, 255);
	const struct dns_answer *answer;

	if (route->domain.len > 0 && route->domain.p[0] == '[') {
		/* RFC 5321 4.1.3: a literal was understood when it was taken. */
		struct slice text = slice_sub(route->domain, 1, route->domain.len - 2);
		struct ip_address ip;

		if (slice_starts_nocase(text, SLICE("IPv6:")))
			text = slice_from(text, 5);
		if (ip_parse(text, &ip) == 0)
			try_address(route, domain, &ip, route->attempt->server->options.relay_port);
		return;
	}
	answer = lookups_ask(route->attempt->lookups, route->domain, DNS_MX);
	switch (answer->status) {
	case DNS_OK:
		try_exchangers(route, answer);
		return;
	case DNS_NODATA: /* RFC 5321 5.1: without any MX the domain itself */
		if (!try_host(route, route->domain))
			relay_settle_all(route, RELAY_FAILED, "5.1.2",
			    arena_printf(a, "%s: neither MX nor address", domain));
		return;
	case DNS_NXDOMAIN:
		relay_settle_all(
		    route, RELAY_FAILED, "5.1.2", arena_printf(a, "%s: no such domain", domain));
		return;
	case DNS_TEMPFAIL:
		relay_settle_all(route, RELAY_WAITS, "4.4.3",
		    arena_printf(a, "%s: MX: %s", domain, dns_reason_text(answer->reason)));
		return;
	}
}

static void
report(const struct relay_route *route, const bool *before)
{
	const struct relay_mail *mail = route->attempt->mail;

	for (size_t i = 0; i < mail->count; i++) {
		const struct relay_recipient *r = &mail->recipients[i];

		if (!before[i] || !slice_equal_nocase(r->domain, route->domain))
			continue;
		if (r->state == RELAY_SENT)
			atomic_fetch_add(&route->attempt->server->counters.relayed, 1);
		log_line(NULL, "%s: to <%s>: %s: %s", mail->id,
		    arena_printable(route->attempt->arena, r->address, 255),
		    r->state == RELAY_SENT	  ? "sent"
			: r->state == RELAY_WAITS ? "put off"
						  : "failed",
		    r->fault);
	}
}

static void
try_route(const struct relay_route *route)
{
	const struct server_options *o = &route->attempt->server->options;
	const struct relay_mail *mail = route->attempt->mail;
	bool *before = arena_array(route->attempt->arena, mail->count, sizeof(*before));

	for (size_t i = 0; i < mail->count; i++)
		before[i] = mail->recipients[i].state == RELAY_WAITS;
	if (o->relay_host_port != 0) /* --relay-host */
		try_address(route, "relay host", &o->relay_host, o->relay_host_port);
	else
		try_domain(route);
	report(route, before);
}

void
relay_attempt(
    struct server *server, struct arena *a, struct relay_mail *mail, struct relay_line *line)
{
	const struct lookups_limits limits = {
		.timeout_ms = relay_timeout_ms(server, POSTBOX_DNS_MS),
		.budget_ms = relay_timeout_ms(server, POSTBOX_DNS_MS) * 2,
		.max_lookups = POSTBOX_RECIPIENTS * 4,
	};
	struct relay_attempt attempt = { server, a, mail, line,
		lookups_new(a, server->resolver, &limits) };

	/* A domain's recipients are settled or put off together: each domain once. */
	for (size_t i = 0; i < mail->count; i++) {
		struct relay_route route = { &attempt, mail->recipients[i].domain,
			relay_now_s() + POSTBOX_RELAY_MS / 1000 };
		size_t first = 0;

		while (!slice_equal_nocase(mail->recipients[first].domain, route.domain))
			first++;
		if (first == i && somebody_waits(&route))
			try_route(&route);
	}
	lookups_fini(&attempt.lookups);
}
