/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The same bytes of an MTA to assayd on either front: the bytes that come back must be the same.
 * Each row is sent in one go and everything up to the end of the connection is read. What libmilter
 * does with an order that no MTA keeps, and where we do better, is not in here: see
 * native_front_test.c and doc/architecture.md.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/milter_rig.h"
#include "tests/support/mta_script.h"

#define FRONTS	 2
#define OFFERS	 150 /* at random */
#define SAID_MAX 65536

static struct mta_script script;

/* ---- what is sent ---- */

struct offer {
	uint32_t version, actions, steps;
};

static void
begin(const struct offer *o, const char *ip)
{
	script.len = 0;
	mta_offer(&script, o->version, o->actions, o->steps);
	mta_connect(&script, ip);
}

static void
good(const struct offer *o)
{
	mta_message(&script, "<a@reject.example>",
	    (o->steps & MILTER_LEADSPC) != 0 ? " a@reject.example" : "a@reject.example");
}

static void
forged(const char *author)
{
	mta_message(&script, "<x@evil.example>", author);
}

static void
row_genuine(const struct offer *o)
{
	begin(o, "192.0.2.1");
	good(o);
	good(o);
}

static void
row_refused(const struct offer *o)
{
	begin(o, "198.51.100.5");
	forged(" a@reject.example");
	forged(" a@quarantine.example");
	forged(" a@nowhere.example");
}

static void
row_removed(const struct offer *o)
{
	begin(o, "2001:db8::1");
	mta_say_text(&script, 'M', "<a@reject.example>");
	mta_say_text(&script, 'R', "<one@here.example>");
	mta_say_text(&script, 'R', "<two@here.example>");
	mta_field(&script, "Authentication-Results", " mx.example.net; dmarc=pass");
	mta_field(&script, "From", " \"A, B\" <a@quarantine.example>");
	mta_field(&script, "authentication-results", "\n\tMX.example.net;\n none");
	mta_field(&script, "Subject", "");
	mta_say(&script, 'N', NULL, 0);
	MTA_SAY(&script, 'B', "one\r\n");
	MTA_SAY(&script, 'B', "two\r\n");
	mta_say(&script, 'E', NULL, 0);
}

static void
row_order(const struct offer *o)
{
	begin(o, "192.0.2.1");
	mta_say_text(&script, 'H', "again.example");
	MTA_SAY(&script, 'M', "<a@reject.example>\0SIZE=1000\0BODY=8BITMIME\0");
	MTA_SAY(&script, 'R', "<to@here.example>\0NOTIFY=NEVER\0");
	mta_say(&script, 'A', NULL, 0);
	mta_say_text(&script, 'M', "<>");
	mta_say_text(&script, 'M', "<a@reject.example>"); /* ends the one before */
	mta_say_text(&script, 'R', "<to@here.example>");
	mta_field(&script, "From", " a@reject.example");
	mta_say_text(&script, 'H', "starttls.example"); /* likewise */
	good(o);
	mta_say_text(&script, 'M', "<a@reject.example>");
	mta_field(&script, "From", "no recipient");
	mta_say(&script, 'E', NULL, 0);
	mta_say_text(&script, 'R', "<to@here.example>");
	good(o);
}

static void
row_without_header(const struct offer *o)
{
	begin(o, "192.0.2.1");
	mta_say_text(&script, 'M', "<a@reject.example>");
	mta_say_text(&script, 'R', "<to@here.example>");
	mta_say(&script, 'E', NULL, 0);
	mta_say_text(&script, 'M', "<a@reject.example>");
	mta_say_text(&script, 'R', "<to@here.example>");
	mta_say(&script, 'N', NULL, 0);
	mta_say(&script, 'E', NULL, 0);
}

static void
row_macros(const struct offer *o)
{
	begin(o, "198.51.100.5");
	MTA_SAY(&script, 'D', "M{auth_type}\0PLAIN\0{auth_authen}\0joe\0");
	forged(" a@reject.example");
	MTA_SAY(&script, 'D', "M{auth_type}\0\0");
	MTA_SAY(&script, 'D', "Lx\0y\0");
	MTA_SAY(&script, 'D', "\377");
	forged(" a@reject.example");
	MTA_SAY(&script, 'D', "R{i}\000100%s%n\0");
	MTA_SAY(&script, 'D', "Nhalf");
	forged(" a@reject.example");
}

static void
row_next_client(const struct offer *o)
{
	begin(o, "198.51.100.5");
	forged(" x@evil.example");
	mta_say(&script, 'K', NULL, 0);
	mta_connect(&script, "192.0.2.1");
	good(o);
	mta_say(&script, 'K', NULL, 0);
	MTA_SAY(&script, 'C', "localhost\0U");
	good(o);
	mta_say(&script, 'K', NULL, 0);
	MTA_SAY(&script, 'C', "localhost\0L\0\0/run/sock\0");
	good(o);
	mta_say(&script, 'K', NULL, 0);
	MTA_SAY(&script, 'C', "six\0006\0\031IPv6:2001:db8::1\0");
	good(o);
}

static void
row_commands_of_old(const struct offer *o)
{
	begin(o, "192.0.2.1");
	mta_say_text(&script, 'U', "NOOP");
	mta_say_text(&script, 'M', "<a@reject.example>");
	mta_say_text(&script, 'R', "<to@here.example>");
	mta_say(&script, 'T', NULL, 0);
	mta_field(&script, "From", " a@reject.example");
	mta_say(&script, 'N', NULL, 0);
	mta_say(&script, 'E', NULL, 0);
}

static void
row_long_field(const struct offer *o)
{
	static char data[65535];

	begin(o, "192.0.2.1");
	memset(data, 'x', sizeof(data));
	memcpy(data, "Subject", 8);
	data[sizeof(data) - 1] = '\0';
	mta_say_text(&script, 'M', "<a@reject.example>");
	mta_say_text(&script, 'R', "<to@here.example>");
	mta_field(&script, "From", " a@reject.example");
	(void)o;
	mta_say(&script, 'L', data, 40000);
	mta_say(&script, 'N', NULL, 0);
	mta_say(&script, 'E', NULL, 0);
}

static void
row_nonsense(const struct offer *o)
{
	begin(o, "192.0.2.1");
	good(o);
	mta_say(&script, 'M', "no end", 6);
	good(o);
}

static const struct row {
	const char *name;
	void (*write)(const struct offer *o);
} rows[] = {
	{ "genuine mail", row_genuine },
	{ "forgeries", row_refused },
	{ "fields that are removed", row_removed },
	{ "RSET, HELO, commands out of place", row_order },
	{ "no header", row_without_header },
	{ "macros", row_macros },
	{ "several clients over one channel", row_next_client },
	{ "DATA and unknown commands", row_commands_of_old },
	{ "a long field", row_long_field },
	{ "a command that is no command", row_nonsense },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct offer offers[] = {
	{ 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS },
	{ 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS & ~MILTER_LEADSPC },
	{ 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS & ~MILTER_CAN_SKIP },
	{ 6, MILTER_V6_ACTIONS & ~MILTER_SET_MACROS, MILTER_V6_STEPS },
	{ 6, MILTER_V6_ACTIONS & ~MILTER_QUARANTINE, MILTER_V6_STEPS },
	{ 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS & ~(MILTER_NR_MAIL | MILTER_NR_HEADER) },
	{ 6, MILTER_V6_ACTIONS, MILTER_V2_STEPS },
	{ 7, 0xffff, 0xfffffff },
	{ 4, MILTER_V2_ACTIONS, 0x3ff },
	{ 3, MILTER_V2_ACTIONS, 0x1ff },
	{ 2, MILTER_V2_ACTIONS, MILTER_V2_STEPS },
	{ 2, MILTER_V2_ACTIONS, 0 },
	{ 2, 0, 0 },
	{ 1, MILTER_V2_ACTIONS, MILTER_V2_STEPS },
	{ 6, MILTER_ADD_HEADERS, MILTER_V6_STEPS },
};
#define FIXED_OFFERS (sizeof(offers) / sizeof(offers[0]))

/* ---- what comes back ---- */

struct said {
	unsigned char *bytes;
	size_t len;
};

/* Send all, with QUIT behind it, and read to the end of the connection. */
static void
talk(const struct rig *g, const char *name, struct said *said)
{
	struct milter_client c;

	mta_say(&script, 'Q', NULL, 0);
	said->bytes = malloc(SAID_MAX);
	assert_non_null(said->bytes);
	must(&c, milter_open(&c, g->address, WAIT_MS));
	/* A front that hangs up early may not take all. */
	(void)milter_send_raw(&c, script.bytes, script.len);
	said->len = milter_receive_all(&c, said->bytes, SAID_MAX);
	if (said->len == MILTER_NO_END)
		fail_msg("%s: %s", name, c.error);
	said->len = milter_without_progress(said->bytes, said->len);
	milter_close(&c);
}

static void
compare(const char *name, const struct said *a, const struct said *b)
{
	static char left[3 * SAID_MAX], right[3 * SAID_MAX];

	if (a->len == b->len && (a->len == 0 || memcmp(a->bytes, b->bytes, a->len) == 0))
		return;
	mta_show(a->bytes, a->len, left, sizeof(left));
	mta_show(b->bytes, b->len, right, sizeof(right));
	fail_msg("%s: libmilter said\n%snative said\n%s", name, left, right);
}

/* Cases in order: each row with each fixed offer, then offers at random with two of the rows. */
static bool
write_case(size_t n, char *name, size_t size)
{
	static unsigned seed;
	struct offer o;

	if (n < ROWS * FIXED_OFFERS) {
		o = offers[n / ROWS];
		rows[n % ROWS].write(&o);
		(void)snprintf(name, size, "%s, offer %zu", rows[n % ROWS].name, n / ROWS);
		return true;
	}
	if (n == ROWS * FIXED_OFFERS)
		seed = 20261126; /* the same for either front */
	o.version = 2 + (uint32_t)rand_r(&seed) % 6;
	o.actions = MILTER_ADD_HEADERS | MILTER_CHANGE_HEADERS | ((uint32_t)rand_r(&seed) & 0x1ff);
	o.steps = (uint32_t)rand_r(&seed) & MILTER_V6_STEPS;
	rows[n % 2 == 0 ? 1 : 2].write(&o);
	(void)snprintf(
	    name, size, "version %u, actions %x, steps %x", o.version, o.actions, o.steps);
	return n < ROWS * FIXED_OFFERS + OFFERS;
}

static void
test_same_bytes(void **state)
{
	static const char *const fronts[FRONTS] = { "libmilter", "native" };
	static struct said said[FRONTS][ROWS * FIXED_OFFERS + OFFERS];
	size_t answered = 0;
	char name[128];
	struct rig g;

	for (size_t f = 0; f < FRONTS; f++) {
		assert_int_equal(setenv("ASSAY_FRONT", fronts[f], 1), 0);
		rig_open(&g, state, false, "");
		for (size_t n = 0; write_case(n, name, sizeof(name)); n++)
			talk(&g, name, &said[f][n]);
		rig_close(&g);
	}
	for (size_t n = 0; write_case(n, name, sizeof(name)); n++) {
		compare(name, &said[0][n], &said[1][n]);
		answered += said[0][n].len > 0;
		free(said[0][n].bytes);
		free(said[1][n].bytes);
	}
	/* All but those that are refused at the negotiation. */
	assert_true(answered >= (FIXED_OFFERS - 3) * ROWS + OFFERS);
}

int
main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_same_bytes, rig_teardown),
	};

	/* One run, of both. */
	return setenv("ASSAY_FRONT", "libmilter", 1) == 0 ? run_on_stage(tests) : 1;
}
