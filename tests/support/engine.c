/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/engine.h"

#include "policy/syntax/message.h"

#define FIELDS_MAX (sizeof(((struct engine_mail *)NULL)->fields) / sizeof(const char *))

void
engine_open(struct engine *e, const char *zone)
{
	struct evaluator_options options = evaluator_defaults;
	struct arena *a = arena_new(SIZE_MAX);

	e->key = test_key_ed25519();
	world_open(&e->world,
	    arena_printf(a, "%s%s\n", zone,
		test_zone_txt(a, "sel._domainkey.good.example", test_key_record(a, e->key)).p));
	options.spf.receiver = SLICE("mx.rcpt.example");
	e->evaluator = evaluator_new(&options, e->world.resolver, e->world.crypto);
	arena_free(&a);
}

void
engine_close(struct engine *e)
{
	evaluator_free(&e->evaluator);
	world_close(&e->world);
	test_key_free(&e->key);
}

static void
add_field(struct arena *a, struct header_list *list, const char *line)
{
	struct slice s = slice_str(line);
	size_t colon = slice_find(s, ':');

	header_list_add(list, a, slice_sub(s, 0, colon), slice_from(s, colon + 1));
}

static void
add_signature(
    const struct engine *e, struct arena *a, struct header_list *header, struct slice body)
{
	header_list_add(header, a, SLICE("DKIM-Signature"),
	    test_sign(a, e->key, "DKIM-Signature",
		SLICE(" v=1; a=ed25519-sha256; c=relaxed/relaxed; d=good.example; s=sel; "
		      "h=From:Subject; bh=@BH@; b=@B@"),
		header, body));
}

struct evaluation *
engine_feed(
    const struct engine *e, struct arena *a, const struct engine_mail *m, const char *footer)
{
	struct slice body = slice_str(m->body != NULL ? m->body : "Hello\r\n");
	struct connection c = { .helo = slice_str(m->helo) };
	struct header_list header = { 0 };
	struct evaluation *ev;

	if (m->client != NULL)
		assert_int_equal(ip_parse(slice_str(m->client), &c.client), 0);
	for (size_t i = 0; i < FIELDS_MAX && m->fields[i] != NULL; i++)
		add_field(a, &header, m->fields[i]);
	if (m->sign)
		add_signature(e, a, &header, body);
	ev = evaluation_begin(e->evaluator, a, &c);
	evaluation_mail_from(ev, slice_str(m->reverse_path), ENGINE_NOW_S);
	for (size_t i = 0; i < header.count; i++)
		assert_int_equal(
		    evaluation_header(ev, header.fields[i].name, header.fields[i].value), 0);
	evaluation_end_of_headers(ev);
	(void)evaluation_body(ev, body);
	(void)evaluation_body(ev, slice_str(footer));
	return ev;
}
