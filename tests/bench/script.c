/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/script.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

#define NEGOTIATION_MS 10000
#define CHUNK_BYTES    65535 /* MILTER_CHUNK_SIZE */
#define CLIENT_PORT    40000

/* The number of a stage's macro list in the negotiation. */
enum stage { STAGE_CONNECT, STAGE_HELO, STAGE_MAIL, STAGE_RCPT, STAGE_DATA, STAGE_END, STAGE_EOH };

/* What Postfix sends when the filter has no wishes; what it has no value for it leaves out. */
static const char *const default_macros[MILTER_STAGES] = {
	[STAGE_CONNECT] = "j {daemon_name} {daemon_addr} v _",
	[STAGE_HELO] = "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
	[STAGE_MAIL] =
	    "{auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
	[STAGE_RCPT] = "{rcpt_addr} {rcpt_host} {rcpt_mailer}",
	[STAGE_DATA] = "i",
	[STAGE_END] = "i",
	[STAGE_EOH] = "i",
};

static const struct {
	const char *name, *value;
} macro_values[] = {
	{ "i", "4bXyZk0m9Lz5vW7" },
	{ "j", "mx.here.example" },
	{ "v", "Postfix 3.7.11" },
	{ "_", "client.example [192.0.2.1]" },
	{ "{daemon_name}", "mx.here.example" },
	{ "{daemon_addr}", "192.0.2.250" },
	{ "{mail_addr}", "bounce@sender.example" },
	{ "{mail_host}", "sender.example" },
	{ "{mail_mailer}", "smtp" },
	{ "{rcpt_addr}", "user@here.example" },
	{ "{rcpt_host}", "here.example" },
	{ "{rcpt_mailer}", "virtual" },
};

/* ---- bytes ---- */

static void
add(struct act *a, const void *bytes, size_t len)
{
	if (a->len + len > a->size) {
		a->size = 2 * (a->len + len) + 1024;
		a->bytes = realloc(a->bytes, a->size);
		if (a->bytes == NULL)
			out_of_memory(a->size);
	}
	if (len > 0)
		memcpy(a->bytes + a->len, bytes, len);
	a->len += len;
}

static void
add_text(struct act *a, const char *text)
{
	add(a, text, strlen(text) + 1);
}

/* Returns where the packet begins, for end_packet(). */
static size_t
begin_packet(struct act *a, char command)
{
	const char head[5] = { 0, 0, 0, 0, command };
	size_t at = a->len;

	add(a, head, sizeof(head));
	return at;
}

static void
end_packet(struct act *a, size_t at)
{
	uint32_t size = htonl((uint32_t)(a->len - at - 4));

	memcpy(a->bytes + at, &size, sizeof(size));
}

/* All that was written since the last step is one. */
static void
end_step(struct act *a, enum wait_for wait, bool body)
{
	const struct step *last = a->step_count == 0 ? NULL : &a->steps[a->step_count - 1];
	size_t at = last == NULL ? 0 : last->at + last->len;

	a->steps = realloc(a->steps, (a->step_count + 1) * sizeof(*a->steps));
	if (a->steps == NULL)
		out_of_memory(0);
	a->steps[a->step_count++] = (struct step){ at, a->len - at, wait, body };
}

static bool
is_among(const char *list, const char *name)
{
	size_t len = strlen(name);
	const char *at = list;

	while ((at = strstr(at, name)) != NULL) {
		if ((at == list || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' '))
			return true;
		at += len;
	}
	return false;
}

static void
add_macros(const struct script *s, struct act *a, char command, enum stage stage)
{
	const char *wanted = s->negotiated.macros[stage];
	size_t packet = begin_packet(a, 'D');

	if (wanted == NULL)
		wanted = default_macros[stage];
	add(a, &command, 1);
	for (size_t i = 0; i < sizeof(macro_values) / sizeof(macro_values[0]); i++)
		if (is_among(wanted, macro_values[i].name) &&
		    (stage >= STAGE_DATA || strcmp(macro_values[i].name, "i") != 0)) {
			add_text(a, macro_values[i].name);
			add_text(a, macro_values[i].value);
		}
	end_packet(a, packet);
}

/* Macros, then the command with that text unless it is waived; waits unless that is waived. */
static void
add_command(const struct script *s, struct act *a, char command, enum stage stage, const char *text,
    uint32_t no_step, uint32_t no_reply)
{
	size_t packet;

	add_macros(s, a, command, stage);
	if ((s->negotiated.steps & no_step) != 0)
		return;
	packet = begin_packet(a, command);
	if (text != NULL)
		add_text(a, text);
	end_packet(a, packet);
	if ((s->negotiated.steps & no_reply) == 0)
		end_step(a, WAIT_ANSWER, false);
}

/* ---- the beginning of a connection ---- */

static void
add_negotiation(struct act *a)
{
	const uint32_t offer[3] = { htonl(6), htonl(MILTER_V6_ACTIONS), htonl(MILTER_V6_STEPS) };
	size_t packet = begin_packet(a, 'O');

	add(a, offer, sizeof(offer));
	end_packet(a, packet);
	end_step(a, WAIT_NEGOTIATION, false);
}

static void
add_connect(const struct script *s, struct act *a, const struct bench_message *m)
{
	uint16_t port = htons(CLIENT_PORT);
	size_t packet;

	add_macros(s, a, 'C', STAGE_CONNECT);
	packet = begin_packet(a, 'C');
	add_text(a, m->client_name);
	add(a, "4", 1);
	add(a, &port, sizeof(port));
	add_text(a, m->client_ip);
	end_packet(a, packet);
	if ((s->negotiated.steps & MILTER_NR_CONNECT) == 0)
		end_step(a, WAIT_ANSWER, false);
	add_command(s, a, 'H', STAGE_HELO, m->client_name, MILTER_NO_HELO, MILTER_NR_HELO);
	end_step(a, WAIT_NOTHING, false);
}

/* ---- a message ---- */

static void
add_field(const struct script *s, struct act *a, struct slice name, struct slice value)
{
	bool leading = (s->negotiated.steps & MILTER_LEADSPC) != 0;
	size_t packet;

	add_macros(s, a, 'L', STAGE_EOH);
	packet = begin_packet(a, 'L');
	add(a, name.p, name.len);
	add(a, "", 1);
	if (!leading && slice_starts(value, SLICE(" ")))
		value = slice_from(value, 1);
	for (size_t i = 0; i < value.len; i++)
		if (value.p[i] != '\r')
			add(a, &value.p[i], 1);
	add(a, "", 1);
	end_packet(a, packet);
	if ((s->negotiated.steps & MILTER_NR_HEADER) == 0)
		end_step(a, WAIT_ANSWER, false);
}

static void
add_header(const struct script *s, struct act *a, const struct bench_message *m)
{
	char results[2048];

	if (s->with_results) {
		(void)snprintf(results, sizeof(results), " mx.here.example%.*s",
		    SLICE_ARG(m->dkim_results.len > 0 ? m->dkim_results : SLICE("; dkim=none")));
		add_field(s, a, SLICE("Authentication-Results"), slice_str(results));
	}
	for (size_t i = 0; i < m->header.count; i++)
		add_field(s, a, m->header.fields[i].name, m->header.fields[i].value);
}

static void
add_body(const struct script *s, struct act *a, struct slice body)
{
	bool waits = (s->negotiated.steps & MILTER_NR_BODY) == 0;

	if ((s->negotiated.steps & MILTER_NO_BODY) != 0)
		return;
	for (bool first = true; body.len > 0; body = slice_from(body, CHUNK_BYTES), first = false) {
		struct slice chunk = slice_sub(body, 0, CHUNK_BYTES);
		size_t packet;

		add_macros(s, a, 'B', STAGE_END);
		packet = begin_packet(a, 'B');
		add(a, chunk.p, chunk.len);
		end_packet(a, packet);
		/* The header travels with the first chunk, before which nobody says "skip". */
		end_step(a, waits ? WAIT_ANSWER : WAIT_NOTHING, !first);
	}
}

static void
add_message(const struct script *s, struct act *a, const struct bench_message *m)
{
	a->forged = m->forged;
	add_command(s, a, 'M', STAGE_MAIL, m->from, MILTER_NO_MAIL, MILTER_NR_MAIL);
	add_command(s, a, 'R', STAGE_RCPT, m->to, MILTER_NO_RCPT, MILTER_NR_RCPT);
	add_command(s, a, 'T', STAGE_DATA, NULL, MILTER_NO_DATA, MILTER_NR_DATA);
	end_step(a, WAIT_NOTHING, false); /* smtpd hands the connection to cleanup */
	if ((s->negotiated.steps & MILTER_NO_HEADERS) == 0)
		add_header(s, a, m);
	add_command(s, a, 'N', STAGE_EOH, NULL, MILTER_NO_EOH, MILTER_NR_EOH);
	add_body(s, a, m->body);
	add_macros(s, a, 'E', STAGE_END);
	end_packet(a, begin_packet(a, 'E'));
	end_step(a, WAIT_END, false);
}

int
script_new(struct script *s, const char *address, const struct corpus *corpus, bool with_results)
{
	struct milter_client *c = &s->negotiated;

	*s = (struct script){
		.corpus = corpus, .count = corpus->count, .with_results = with_results
	};
	(void)snprintf(s->address, sizeof(s->address), "%s", address);
	if (milter_open(c, address, NEGOTIATION_MS) != 0 ||
	    milter_negotiate(c, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS) != 0) {
		(void)fprintf(stderr, "%s: %s\n", address, c->error);
		milter_close(c);
		return -1;
	}
	(void)milter_quit(c);
	s->beginnings = heap_alloc(s->count, sizeof(*s->beginnings));
	s->messages = heap_alloc(s->count, sizeof(*s->messages));
	for (size_t i = 0; i < s->count; i++) {
		add_negotiation(&s->beginnings[i]);
		add_connect(s, &s->beginnings[i], &corpus->messages[i]);
		add_message(s, &s->messages[i], &corpus->messages[i]);
	}
	return 0;
}

void
script_free(struct script *s)
{
	milter_close(&s->negotiated);
	for (size_t i = 0; s->messages != NULL && i < s->count; i++) {
		free(s->beginnings[i].bytes);
		free(s->beginnings[i].steps);
		free(s->messages[i].bytes);
		free(s->messages[i].steps);
	}
	free(s->beginnings);
	free(s->messages);
	*s = (struct script){ 0 };
}
