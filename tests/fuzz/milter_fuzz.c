/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MTA's side of the milter protocol, with a session and its engine behind it. Asserts that
 * bytes cut anywhere give the answers, the state and the error that the whole gives, that every
 * answer is a whole frame, and that no session and no message is left open.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "milter/log.h"
#include "milter/native/conversation.h"
#include "policy/base/bug.h"

static const char zone[] = "a.example TXT 300 \"v=spf1 ip4:192.0.2.1 -all\"\n"
			   "_dmarc.a.example TXT 300 \"v=DMARC1; p=reject\"\n"
			   "_dmarc.b.example TXT 300 \"v=DMARC1; p=quarantine\"\n";

static struct traffic traffic;
static struct service_slot slot;
static const struct conversation_home home = { &slot, &traffic };

/* In place of milter/log.c: a line a message would be all that is seen of a run. */
void
log_open(enum conf_log_target target, const char *facility)
{
	(void)target;
	(void)facility;
}

void
log_text(enum log_level level, const char *text)
{
	(void)level;
	(void)text;
}

void
log_lines(enum log_level level, const char *prefix, const char *text)
{
	(void)level;
	(void)prefix;
	(void)text;
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

static void
open_world(void)
{
	static struct slice our_id;
	struct arena *a = arena_new(1024 * 1024);
	struct conf *conf = conf_defaults();
	const char *why = "?";
	char *error = NULL;
	struct dns_backend *backend = dns_zone_new(a, slice_str(zone), &why);
	struct service *service;

	our_id = SLICE("mx.example.net");
	conf->authserv_id = our_id;
	conf->authserv_ids = &our_id;
	conf->authserv_id_count = 1;
	conf->skip_authenticated = true;
	conf->quarantine_header = "X-Quarantine";
	service = backend == NULL
	    ? NULL
	    : service_over(conf, resolver_new(backend, NULL), &traffic, NULL, &error);
	if (service == NULL)
		bug("no world: %s", why);
	service_slot_init(&slot, service);
	arena_free(&a);
}

struct talk {
	struct wire_output out;
	enum conversation_state state;
	const char *error;
};

static void
talk(struct talk *t, struct slice in, size_t piece)
{
	const struct waiting nobody = { .begin = NULL };
	struct conversation *c = conversation_new(&home, &nobody);

	*t = (struct talk){ .state = CONVERSATION_NEW };
	for (size_t i = 0; i < in.len && t->state != CONVERSATION_OVER; i += piece)
		t->state = conversation_feed(c, slice_sub(in, i, piece), &t->out, &t->error);
	conversation_free(&c);
	if (atomic_load(&traffic.sessions_open) != 0 || atomic_load(&traffic.messages_open) != 0)
		bug("something is left open");
}

static void
check_frames(const struct wire_output *out)
{
	size_t at = 0;

	while (at < out->len) {
		size_t len = out->len - at < 5 ? 0 : wire_u32(out->p + at);

		if (len == 0 || len > out->len - at - 4)
			bug("an answer that is no frame, at %zu", at);
		at += 4 + len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of((const char *)data, size);
	struct talk whole, cut;

	if (slot.current == NULL)
		open_world();
	talk(&whole, in, size + 1);
	talk(&cut, in, size == 0 ? 1 : 1 + data[size - 1] % 13u);
	check_frames(&whole.out);
	if (whole.state != cut.state || (whole.error == NULL) != (cut.error == NULL) ||
	    (whole.error != NULL && strcmp(whole.error, cut.error) != 0))
		bug("cut, it ends otherwise");
	if (!slice_equal(slice_of(whole.out.p, whole.out.len), slice_of(cut.out.p, cut.out.len)))
		bug("cut, it is answered otherwise");
	wire_output_free(&whole.out);
	wire_output_free(&cut.out);
	return 0;
}
