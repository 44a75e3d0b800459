/* SPDX-License-Identifier: BSD-2-Clause */
/* The native front below its sockets: frames, negotiation, macros, and whole conversations. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "milter/native/conversation.h"
#include "milter/native/link.h"
#include "milter/native/listener.h"
#include "milter/native/loop.h"
#include "milter/native/macros.h"
#include "milter/native/negotiate.h"
#include "milter/terms.h"
#include "policy/base/limits.h"
#include "tests/support/mta_script.h"
#include "tests/support/support.h"

/* ---- frames ---- */

/* What is read, as text; pieces of one frame run together. */
static void
read_frames(struct slice in, size_t piece, char *out, size_t size)
{
	struct wire_reader r = { .error = NULL };
	size_t at = 0;
	bool inside = false;

	out[0] = '\0';
	for (size_t i = 0; i < in.len && r.error == NULL; i += piece) {
		struct slice part = slice_sub(in, i, piece);
		struct wire_frame f;

		while (wire_next(&r, &part, &f) == WIRE_FRAME && at + f.data.len + 3 < size) {
			if (!inside)
				out[at++] = f.command;
			if (f.data.len > 0)
				memcpy(out + at, f.data.p, f.data.len);
			at += f.data.len;
			if (f.last)
				out[at++] = '\n';
			inside = !f.last;
		}
	}
	out[at] = '\0';
	if (r.error != NULL)
		(void)snprintf(out + at, size - at, "bad: %s", r.error);
	wire_reader_free(&r);
}

static void
test_frames_cut_anywhere(void **state)
{
	struct mta_script *s = calloc(1, sizeof(*s));
	char whole[1024], cut[1024];

	(void)state;
	assert_non_null(s);
	mta_say(s, 'N', NULL, 0);
	MTA_SAY(s, 'H', "a.example");
	MTA_SAY(s, 'B', "a body");
	mta_say(s, 'E', NULL, 0);
	MTA_SAY(s, 'E', "its end");
	MTA_SAY(s, 'L', "From: a field that is longer than the others");
	read_frames(slice_of((char *)s->bytes, s->len), s->len, whole, sizeof(whole));
	assert_string_equal(whole,
	    "N\nHa.example\nBa body\nE\nEits end\n"
	    "LFrom: a field that is longer than the others\n");
	for (size_t piece = 1; piece < s->len; piece++) {
		read_frames(slice_of((char *)s->bytes, s->len), piece, cut, sizeof(cut));
		assert_string_equal(cut, whole);
	}
	free(s);
}

static void
test_frames_of_bad_length(void **state)
{
	char out[256];

	(void)state;
	read_frames(SLICE("\0\0\0\0M"), 5, out, sizeof(out));
	assert_string_equal(out, "bad: a frame without a command");
	read_frames(SLICE("\0\0\0\1N\377\377\377\377M"), 1, out, sizeof(out));
	assert_string_equal(out, "N\nbad: a frame that is too long");
	/* The longest, and one byte more. */
	read_frames(SLICE("\0\x10\0\1M"), 5, out, sizeof(out));
	assert_string_equal(out, "");
	read_frames(SLICE("\0\x10\0\2M"), 5, out, sizeof(out));
	assert_string_equal(out, "bad: a frame that is too long");
}

/* What a peer has only announced takes no memory. */
static void
test_frame_is_kept_as_it_comes(void **state)
{
	struct slice head = SLICE("\0\x10\0\1Labc");
	struct wire_reader r = { .error = NULL };
	struct wire_frame f;

	(void)state;
	assert_int_equal(wire_next(&r, &head, &f), WIRE_MORE);
	assert_true(wire_is_inside(&r));
	assert_int_equal(r.kept_len, 3);
	assert_true(r.kept_size <= 4096);
	wire_reader_free(&r);
	/* A body is not kept at all. */
	r = (struct wire_reader){ .error = NULL };
	head = SLICE("\0\x10\0\1Babc");
	assert_int_equal(wire_next(&r, &head, &f), WIRE_FRAME);
	assert_false(f.last);
	assert_slice(f.data, "abc");
	assert_int_equal(r.kept_size, 0);
	wire_reader_free(&r);
}

/* ---- negotiation ---- */

#define V2_STEPS 0x7fu
#define V6_STEPS 0x1fffffu
#define WANTED                                                                                     \
	(TERMS_NO_REPLY | TERMS_NO_STEP | TERMS_IF_OFFERED) /* where all of it is offered          \
							     */

static const struct negotiate_row {
	const char *name;
	uint32_t version, actions, steps;
	const char *error; /* NULL: taken, as follows */
	uint32_t version_r, actions_r, steps_r;
	size_t data_max;
} negotiate_rows[] = {
	{ "Postfix, Sendmail 8.14 on", 6, 0x1ff, V6_STEPS, NULL, 6, 0x131, WANTED, 65535 },
	{ "a version to come", 9, 0x3ff, 0x3fffff, NULL, 6, 0x131, WANTED, 65535 },
	{ "Sendmail 8.12", 2, 0x3f, V2_STEPS, NULL, 2, 0x31, 0, 65535 },
	{ "version 3", 3, 0x3f, V2_STEPS | TERMS_NO_UNKNOWN, NULL, 3, 0x31, TERMS_NO_UNKNOWN,
	    65535 },
	{ "version 4", 4, 0x3f, 0x3ff, NULL, 4, 0x31,
	    TERMS_NO_UNKNOWN | TERMS_NO_DATA | TERMS_NR_HEADER, 65535 },
	{ "version 5", 5, 0x3f, 0x3ff, NULL, 5, 0x31,
	    TERMS_NO_UNKNOWN | TERMS_NO_DATA | TERMS_NR_HEADER, 65535 },
	{ "no quarantine", 6, 0x11, V6_STEPS, NULL, 6, 0x11, WANTED, 65535 },
	{ "no skip", 6, 0x1ff, V6_STEPS & ~TERMS_SKIP, NULL, 6, 0x131, WANTED & ~TERMS_SKIP,
	    65535 },
	{ "no leading space", 6, 0x1ff, V6_STEPS & ~TERMS_LEADING_SPACE, NULL, 6, 0x131,
	    WANTED & ~TERMS_LEADING_SPACE, 65535 },
	{ "some answers must come", 6, 0x1ff, V6_STEPS & ~(TERMS_NR_MAIL | TERMS_NR_HEADER), NULL,
	    6, 0x131, WANTED & ~(TERMS_NR_MAIL | TERMS_NR_HEADER), 65535 },
	{ "frames of 256 KB", 6, 0x1ff, V6_STEPS | TERMS_DATA_256K, NULL, 6, 0x131,
	    WANTED | TERMS_DATA_256K, 262143 },
	{ "frames of 1 MB", 6, 0x1ff, V6_STEPS | TERMS_DATA_256K | TERMS_DATA_1M, NULL, 6, 0x131,
	    WANTED | TERMS_DATA_1M, 1048575 },
	{ "nothing named as a step: those of version 1", 2, 0x3f, 0, NULL, 2, 0x31, 0, 65535 },
	{ "version 1", 1, 0x3f, V2_STEPS, "a protocol version below 2", 0, 0, 0, 0 },
	{ "no header may be changed", 6, 0x1, V6_STEPS, "an MTA that lets no header be changed", 0,
	    0, 0, 0 },
	{ "nothing named as an action: those of version 1", 6, 0, V6_STEPS,
	    "an MTA that lets no header be changed", 0, 0, 0, 0 },
};

static void
test_negotiation(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(negotiate_rows) / sizeof(negotiate_rows[0]); i++) {
		const struct negotiate_row *row = &negotiate_rows[i];
		struct mta_script *s = calloc(1, sizeof(*s));
		struct agreement a = { 0, 0, 0, 0 };
		const char *error = NULL;

		assert_non_null(s);
		mta_offer(s, row->version, row->actions, row->steps);
		(void)negotiate(slice_of((char *)s->bytes + 5, 12), &a, &error);
		free(s);
		if ((error == NULL) != (row->error == NULL) ||
		    (error != NULL && strcmp(error, row->error) != 0))
			fail_msg("%s: %s", row->name, error == NULL ? "taken" : error);
		if (a.version != row->version_r || a.actions != row->actions_r ||
		    a.steps != row->steps_r || a.data_max != row->data_max)
			fail_msg("%s: version %u, actions %x, steps %x, data %zu", row->name,
			    a.version, a.actions, a.steps, a.data_max);
	}
}

/* ---- macros ---- */

static void
test_macros(void **state)
{
	struct macros m = { { { .p = NULL } } };
	const char *error = NULL;

	(void)state;
	assert_null(macros_get(&m, "i"));
	assert_int_equal(macros_set(&m, SLICE("C{a}\0one\0b\0two\0"), &error), 0);
	assert_int_equal(macros_set(&m, SLICE("Mi\0first\0{auth_type}\0PLAIN\0"), &error), 0);
	assert_int_equal(macros_set(&m, SLICE("E{i}\0last\0"), &error), 0);
	assert_string_equal(macros_get(&m, "a"), "one");
	assert_string_equal(macros_get(&m, "{b}"), "two");
	assert_string_equal(macros_get(&m, "i"), "last"); /* the latest stage counts */
	assert_string_equal(macros_get(&m, "{auth_type}"), "PLAIN");
	assert_null(macros_get(&m, "{auth_typ}"));
	assert_null(macros_get(&m, ""));
	assert_null(macros_get(&m, "{"));
	macros_forget_after(&m, STAGE_MAIL);
	assert_string_equal(macros_get(&m, "i"), "first");
	macros_forget_after(&m, STAGE_CONNECT);
	assert_null(macros_get(&m, "i"));
	assert_string_equal(macros_get(&m, "a"), "one");
	/* What is no list is passed over, what is half a pair is not there. */
	assert_int_equal(macros_set(&m, SLICE(""), &error), 0);
	assert_int_equal(macros_set(&m, SLICE("Li\0header\0"), &error), 0);
	assert_int_equal(macros_set(&m, SLICE("Ha\0b\0i\0x"), &error), 0);
	assert_null(macros_get(&m, "i"));
	assert_string_equal(macros_get(&m, "a"), "b");
	macros_forget_all(&m);
	assert_null(macros_get(&m, "a"));
}

static void
test_macro_limits(void **state)
{
	struct macros m = { { { .p = NULL } } };
	const char *error = NULL;
	char *list = calloc(1, LIMIT_MACRO_BYTES + 2);

	(void)state;
	assert_non_null(list);
	list[0] = 'C';
	/* Empty names and values, each a byte. */
	assert_int_equal(macros_set(&m, slice_of(list, 1 + 2 * (size_t)LIMIT_MACROS), &error), 0);
	assert_int_equal(macros_set(&m, slice_of(list, 3 + 2 * (size_t)LIMIT_MACROS), &error), -1);
	assert_string_equal(error, "too many macros");
	memset(list + 1, 'x', LIMIT_MACRO_BYTES + 1);
	assert_int_equal(macros_set(&m, slice_of(list, LIMIT_MACRO_BYTES + 1), &error), 0);
	assert_int_equal(macros_set(&m, slice_of(list, LIMIT_MACRO_BYTES + 2), &error), -1);
	assert_string_equal(error, "too many bytes of macros");
	macros_forget_all(&m);
	free(list);
}

/* ---- conversations ---- */

static const char zone[] = "reject.example TXT 300 \"v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all\"\n"
			   "_dmarc.reject.example TXT 300 \"v=DMARC1; p=reject\"\n"
			   "evil.example TXT 300 \"v=spf1 ip4:198.51.100.5 -all\"\n";

struct rig {
	struct traffic traffic;
	struct service_slot slot;
	struct conversation_home home;
	struct conversation *conversation;
	struct mta_script script;
	struct wire_output out;
	enum conversation_state state;
	const char *error;
};

static struct slice our_id;

static struct rig *
rig_open(void)
{
	struct rig *g = calloc(1, sizeof(*g));
	struct conf *conf = conf_defaults();
	struct arena *a = arena_new(1024 * 1024);
	const struct waiting nobody = { .begin = NULL };
	const char *why = "?";
	char *error = NULL;
	struct dns_backend *backend = dns_zone_new(a, slice_str(zone), &why);
	struct service *service;

	assert_non_null(g);
	assert_non_null(backend);
	arena_free(&a);
	our_id = SLICE("mx.example.net");
	conf->authserv_id = our_id;
	conf->authserv_ids = &our_id;
	conf->authserv_id_count = 1;
	conf->skip_authenticated = true;
	conf->quarantine_header = "X-Quarantine";
	service = service_over(conf, resolver_new(backend, NULL), &g->traffic, NULL, &error);
	assert_non_null(service);
	service_slot_init(&g->slot, service);
	g->home = (struct conversation_home){ &g->slot, &g->traffic };
	g->conversation = conversation_new(&g->home, &nobody);
	return g;
}

static void
rig_close(struct rig *g)
{
	conversation_free(&g->conversation);
	assert_int_equal(atomic_load(&g->traffic.sessions_open), 0);
	assert_int_equal(atomic_load(&g->traffic.messages_open), 0);
	wire_output_free(&g->out);
	service_slot_fini(&g->slot);
	free(g);
}

static void
rig_talk(struct rig *g, size_t piece)
{
	struct slice in = slice_of((char *)g->script.bytes, g->script.len);

	for (size_t i = 0; i < in.len; i += piece)
		g->state = conversation_feed(
		    g->conversation, slice_sub(in, i, piece), &g->out, &g->error);
	g->script.len = 0;
}

/* What was answered since the last look: "c", "y 550_5.7.26_..." by line; want: its beginning. */
static void
expect_said(struct rig *g, const char *row, const char *want)
{
	char text[8192];

	rig_talk(g, g->script.len + 1);
	mta_show((const unsigned char *)g->out.p, g->out.len, text, sizeof(text));
	if (strncmp(text, want, strlen(want)) != 0 || (want[0] == '\0' && text[0] != '\0'))
		fail_msg("%s: got\n%swant\n%s(%s)", row, text, want,
		    g->error == NULL ? "no error" : g->error);
	g->out.len = 0;
}

static void
rig_begin(struct rig *g, uint32_t steps, const char *ip)
{
	mta_offer(&g->script, 6, 0x1ff, steps);
	rig_talk(g, g->script.len + 1);
	g->out.len = 0;
	mta_connect(&g->script, ip);
}

#define FORGED	"<x@evil.example>", " a@reject.example"
#define REFUSED "s\np\ny 550_5.7.26_"
#define STAMPED "s\np\ni ....Authentication-Results._mx.example.net;"

static void
test_messages(void **state)
{
	struct rig *g = rig_open();

	(void)state;
	mta_offer(&g->script, 6, 0x1ff, V6_STEPS);
	expect_said(g, "negotiation",
	    "O .......1........{assay_none}.....{assay_none}.....{auth_type}_{auth_"
	    "authen}.");
	assert_int_equal(g->state, CONVERSATION_BETWEEN);
	mta_connect(&g->script, "192.0.2.1");
	expect_said(g, "no answer where none is due", "");
	mta_message(&g->script, "<a@reject.example>", " a@reject.example");
	expect_said(g, "genuine", STAMPED);
	mta_message(&g->script, FORGED);
	expect_said(g, "the next by the same client", REFUSED);
	MTA_SAY(&g->script, 'M', "<x@evil.example>\0SIZE=100\0");
	mta_say_text(&g->script, 'R', "<to@here.example>");
	mta_say(&g->script, 'T', NULL, 0);
	expect_said(g, "DATA, though we waved it", "c\n");
	mta_say(&g->script, 'A', NULL, 0);
	mta_say(&g->script, 'Q', NULL, 0);
	expect_said(g, "RSET, QUIT", "");
	assert_int_equal(g->state, CONVERSATION_OVER);
	assert_null(g->error);
	assert_int_equal(atomic_load(&g->traffic.messages), 3);
	assert_int_equal(atomic_load(&g->traffic.aborted), 1);
	rig_close(g);
}

/* Every way of cutting the bytes gives the same answers. */
static void
test_conversation_cut_anywhere(void **state)
{
	unsigned char whole[8192];
	size_t whole_len = 0, script_len = 1;

	(void)state;
	for (size_t piece = script_len; piece > 0; piece = piece == 1 ? script_len : piece - 1) {
		struct rig *g = rig_open();

		mta_offer(&g->script, 6, 0x1ff, V6_STEPS);
		mta_connect(&g->script, "198.51.100.5");
		mta_message(&g->script, FORGED);
		script_len = g->script.len;
		rig_talk(g, whole_len == 0 ? script_len : piece);
		assert_true(g->out.len <= sizeof(whole) && g->out.len > 0);
		if (whole_len == 0) {
			whole_len = g->out.len;
			memcpy(whole, g->out.p, whole_len);
		}
		assert_int_equal(g->out.len, whole_len);
		assert_memory_equal(g->out.p, whole, whole_len);
		rig_close(g);
		if (piece == 2)
			break;
	}
}

/* A CONNECT behind QUIT_NC is of another client, also where the last message was refused. */
static void
test_quit_new_connection(void **state)
{
	struct rig *g = rig_open();

	(void)state;
	rig_begin(g, V6_STEPS, "198.51.100.5");
	mta_message(&g->script, FORGED);
	expect_said(g, "refused", REFUSED);
	mta_say(&g->script, 'K', NULL, 0);
	mta_connect(&g->script, "2001:db8::1");
	mta_message(&g->script, "<a@reject.example>", " a@reject.example");
	expect_said(g, "the next client", STAMPED);
	assert_int_equal(atomic_load(&g->traffic.sessions), 2);
	assert_int_equal(atomic_load(&g->traffic.sessions_open), 1);
	rig_close(g);
}

/* An MTA that waits for every answer gets every answer. */
static void
test_old_mta(void **state)
{
	struct rig *g = rig_open();

	(void)state;
	rig_begin(g, V2_STEPS, "198.51.100.5");
	mta_message(&g->script, "<x@evil.example>", "a@reject.example");
	expect_said(g, "version 2", "c\nc\nc\nc\nc\nc\nc\np\ny 550_5.7.26_");
	rig_close(g);
}

/* What is out of place ends the message under way, and is passed over if it can't begin one. */
static void
test_order(void **state)
{
	struct rig *g = rig_open();

	(void)state;
	rig_begin(g, V2_STEPS, "192.0.2.1");
	expect_said(g, "connect", "c\nc\n");
	mta_say_text(&g->script, 'R', "<to@here.example>");
	mta_field(&g->script, "From", "a@b");
	MTA_SAY(&g->script, 'B', "x");
	mta_say(&g->script, 'N', NULL, 0);
	mta_say(&g->script, 'E', NULL, 0);
	mta_say(&g->script, 'A', NULL, 0);
	mta_connect(&g->script, "198.51.100.5");
	expect_said(g, "only the HELO has its place", "c\n");
	mta_say_text(&g->script, 'U', "NOOP");
	expect_said(g, "an unknown command", "c\n");
	mta_say_text(&g->script, 'M', "<a@reject.example>");
	mta_say_text(&g->script, 'M', "<a@reject.example>");
	expect_said(g, "a second MAIL begins anew", "c\nc\n");
	assert_int_equal(atomic_load(&g->traffic.aborted), 1);
	mta_field(&g->script, "From", "a@b");
	expect_said(g, "a field before a recipient ends the message", "");
	assert_int_equal(atomic_load(&g->traffic.aborted), 2);
	assert_false(conversation_has_message(g->conversation));
	mta_message(&g->script, "<a@reject.example>", "a@reject.example");
	expect_said(g, "all is well afterwards", "c\nc\nc\nc\nc\np\ni ");
	assert_int_equal(g->state, CONVERSATION_BETWEEN);
	rig_close(g);
}

/* The end of a message may bring the last of its body; without it the end of the header is meant.
 */
static void
test_end_of_message(void **state)
{
	struct rig *g = rig_open();

	(void)state;
	rig_begin(g, V6_STEPS, "198.51.100.5");
	mta_say_text(&g->script, 'M', "<x@evil.example>");
	mta_say_text(&g->script, 'R', "<to@here.example>");
	mta_field(&g->script, "From", " a@reject.example");
	mta_say(&g->script, 'N', NULL, 0);
	MTA_SAY(&g->script, 'E', "the body");
	expect_said(g, "body with the end", "p\ny 550_5.7.26_");
	mta_say_text(&g->script, 'M', "<x@evil.example>");
	mta_say_text(&g->script, 'R', "<to@here.example>");
	mta_say(&g->script, 'E', NULL, 0);
	expect_said(g, "no header at all", "p\ny 550_5.");
	rig_close(g);
}

/* The reply's "%" is doubled; macros of an earlier message are not those of this one. */
static void
test_reply_and_macros(void **state)
{
	struct rig *g = rig_open();
	char text[2048];

	(void)state;
	rig_begin(g, V6_STEPS, "198.51.100.5");
	mta_say_text(&g->script, 'M', "<x@evil.example>");
	mta_say_text(&g->script, 'R', "<to@here.example>");
	mta_field(&g->script, "From", " a@reject.example");
	mta_say(&g->script, 'N', NULL, 0);
	MTA_SAY(&g->script, 'D', "Ei\000100%s\0");
	mta_say(&g->script, 'E', NULL, 0);
	rig_talk(g, 1);
	mta_show((const unsigned char *)g->out.p, g->out.len, text, sizeof(text));
	assert_non_null(strstr(text, "100%%s"));
	g->out.len = 0;
	MTA_SAY(&g->script, 'D', "M{auth_type}\0PLAIN\0{auth_authen}\0joe\0");
	mta_message(&g->script, FORGED);
	expect_said(g, "authenticated", "s\nc\n");
	MTA_SAY(&g->script, 'D', "M");
	mta_message(&g->script, FORGED);
	expect_said(g, "not authenticated any more", REFUSED);
	rig_close(g);
}

static const struct bad_row {
	const char *name;
	bool negotiated;
	char command;
	const char *data;
	size_t len;
	const char *error;
} bad_rows[] = {
#define BAD(name, negotiated, command, data, error)                                                \
	{                                                                                          \
		name, negotiated, command, data, sizeof(data) - 1, error                           \
	}
	BAD("HELO first", false, 'H', "a\0", "a command before the negotiation"),
	BAD("short negotiation", false, 'O', "\0\0\0\6", "a negotiation that is too short"),
	BAD("unknown command", true, 'Z', "x", "an unknown command"),
	BAD("empty CONNECT", true, 'C', "", "a CONNECT that is too short"),
	BAD("CONNECT without family", true, 'C', "host\0", "a CONNECT that is too short"),
	BAD("CONNECT without address", true, 'C', "host\0004", "a CONNECT without an address"),
	BAD("CONNECT with half a port", true, 'C', "host\0004\0", "a CONNECT without an address"),
	BAD("CONNECT, address without end", true, 'C',
	    "host\0004\0\031"
	    "192.0.2.1",
	    "a CONNECT without an address"),
	BAD("CONNECT, no address", true, 'C', "host\0004\0\0x\0", "a CONNECT with a bad address"),
	BAD("CONNECT, other family", true, 'C', "host\0006\0\0001.2.3.4\0",
	    "a CONNECT with a bad address"),
	BAD("CONNECT, unknown family", true, 'C', "host\0X\0\0x\0",
	    "a CONNECT of an unknown family"),
	BAD("HELO without end", true, 'H', "abc", "a HELO without end"),
	BAD("empty MAIL", true, 'M', "", "a MAIL without end"),
	BAD("empty UNKNOWN", true, 'U', "", "an empty command"),
};

static void
test_bad_commands(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++) {
		const struct bad_row *row = &bad_rows[i];
		struct rig *g = rig_open();

		if (row->negotiated)
			mta_offer(&g->script, 6, 0x1ff, V6_STEPS);
		mta_say(&g->script, row->command, row->data, row->len);
		MTA_SAY(&g->script, 'H', "nobody hears this\0");
		rig_talk(g, g->script.len + 1);
		if (g->state != CONVERSATION_OVER || g->error == NULL ||
		    strcmp(g->error, row->error) != 0)
			fail_msg("%s: %s", row->name, g->error == NULL ? "taken" : g->error);
		rig_close(g);
	}
}

/* Clients without an address, by a Unix socket, and as Sendmail writes IPv6. */
static void
test_client_addresses(void **state)
{
	struct rig *g = rig_open();

	(void)state;
	mta_offer(&g->script, 6, 0x1ff, V6_STEPS);
	rig_talk(g, 64);
	g->out.len = 0;
	MTA_SAY(&g->script, 'C', "localhost\0U");
	mta_message(&g->script, FORGED);
	expect_said(g, "no address: not evaluated", "s\nc\n");
	mta_say(&g->script, 'K', NULL, 0);
	MTA_SAY(&g->script, 'C', "localhost\0L\0\0/run/socket\0");
	mta_message(&g->script, FORGED);
	expect_said(g, "a Unix socket: not evaluated", "s\nc\n");
	mta_say(&g->script, 'K', NULL, 0);
	MTA_SAY(&g->script, 'C', "h\0006\0\031IPv6:2001:db8::1\0");
	mta_message(&g->script, "<a@reject.example>", " a@reject.example");
	expect_said(g, "IPv6", STAMPED);
	rig_close(g);
}

/* Once the daemon stops, nobody is welcome, and what runs is finished. */
static void
test_shutting_down(void **state)
{
	struct rig *g = rig_open();

	(void)state;
	rig_begin(g, V6_STEPS, "192.0.2.1");
	mta_say_text(&g->script, 'M', "<a@reject.example>");
	expect_said(g, "begun", "");
	assert_true(conversation_has_message(g->conversation));
	traffic_close(&g->traffic);
	mta_say_text(&g->script, 'R', "<to@here.example>");
	mta_field(&g->script, "From", " a@reject.example");
	mta_say(&g->script, 'N', NULL, 0);
	mta_say(&g->script, 'E', NULL, 0);
	expect_said(g, "finished", "p\ni ");
	assert_false(conversation_has_message(g->conversation));
	mta_say(&g->script, 'K', NULL, 0);
	expect_said(g, "another client", "");
	assert_int_equal(g->state, CONVERSATION_OVER);
	rig_close(g);
}

/* ---- how long a peer has ---- */

#define TIMEOUT_MS  7210000
#define GREETING_MS LIMIT_MILTER_GREETING_MS
#define FRAME_MS    LIMIT_MILTER_FRAME_MS

/* Bytes of the script from there on, a little later; the time that is left then. */
static uint64_t
time_left(
    struct link *k, struct worker *w, int peer, const struct mta_script *s, size_t from, size_t len)
{
	const struct timespec moment = { 0, 20000000 };
	char answers[1024];

	(void)nanosleep(&moment, NULL);
	assert_int_equal(send(peer, s->bytes + from, len, 0), len);
	w->now_ms = link_clock_ms();
	assert_int_equal(link_serve(k, w), LINK_READS);
	(void)recv(peer, answers, sizeof(answers), MSG_DONTWAIT);
	return k->deadline_ms - w->now_ms;
}

/* From the greeting, from a whole frame and from the first byte of the next one; no byte more gives
 * any of it back. */
static void
test_deadlines(void **state)
{
	struct rig *g = rig_open();
	struct mta_script *s = &g->script;
	struct worker w = { .input = malloc(WORKER_INPUT_BYTES) };
	struct link *k;
	size_t offer;
	int pair[2];

	(void)state;
	assert_non_null(w.input);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	k = link_new(pair[0], &g->home, TIMEOUT_MS, NULL, link_clock_ms());
	mta_offer(s, 6, 0x1ff, V6_STEPS);
	offer = s->len;
	mta_connect(s, "192.0.2.1");
	assert_true(time_left(k, &w, pair[1], s, 0, 3) < GREETING_MS);
	assert_true(time_left(k, &w, pair[1], s, 3, 3) < GREETING_MS);
	assert_int_equal(time_left(k, &w, pair[1], s, 6, offer - 6), TIMEOUT_MS);
	assert_int_equal(time_left(k, &w, pair[1], s, offer, 2), FRAME_MS);
	assert_true(time_left(k, &w, pair[1], s, offer + 2, 1) < FRAME_MS);
	assert_true(time_left(k, &w, pair[1], s, offer + 3, 5) < FRAME_MS);
	assert_int_equal(time_left(k, &w, pair[1], s, offer + 8, s->len - offer - 8), TIMEOUT_MS);
	link_free(&k);
	(void)close(pair[1]);
	wire_output_free(&w.output);
	free(w.input);
	rig_close(g);
}

/* ---- a loop ---- */

static void
wait_for_links(struct loops *all, size_t count)
{
	const struct timespec moment = { 0, 2000000 };

	for (int i = 0; i < 2000 && atomic_load(&all->links) != count; i++)
		(void)nanosleep(&moment, NULL);
	assert_int_equal(atomic_load(&all->links), count);
}

/* The other end of a socket of this process. */
static int
find_peer(int fd)
{
	struct sockaddr_in own, peer;

	for (int other = 3; other < 256; other++) {
		socklen_t own_len = sizeof(own), peer_len = sizeof(peer);

		if (getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 &&
		    getpeername(other, (struct sockaddr *)&peer, &peer_len) == 0 &&
		    own.sin_port == peer.sin_port)
			return other;
	}
	return -1;
}

/*
 * A child that is being started has all sockets for a moment, and an epoll set knows a socket until
 * the last one is closed. What is dropped must not be heard of again.
 */
static void
test_closed_while_another_has_the_socket(void **state)
{
	const struct timespec moment = { 0, 50000000 };
	struct rig *g = rig_open();
	struct loops all = { .home = &g->home, .timeout_ms = TIMEOUT_MS };
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	const char *why = "?";
	int client, copy;

	(void)state;
	all.listener = listener_open("inet:0@127.0.0.1", &why);
	all.stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	all.team = team_new(loop_lead);
	assert_int_equal(loop_add(&all), 0);
	assert_true(team_add(all.team, all.list[0]));
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(getsockname(all.listener, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, len), 0);
	wait_for_links(&all, 1);
	copy = dup(find_peer(client));
	assert_true(copy >= 0);
	(void)close(client);
	wait_for_links(&all, 0);
	(void)nanosleep(&moment, NULL);
	(void)close(copy);
	loops_stop(&all);
	team_wait(&all.team);
	loops_free(&all);
	(void)close(all.listener);
	(void)close(all.stop_event);
	rig_close(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_cut_anywhere),
		cmocka_unit_test(test_frames_of_bad_length),
		cmocka_unit_test(test_frame_is_kept_as_it_comes),
		cmocka_unit_test(test_negotiation),
		cmocka_unit_test(test_macros),
		cmocka_unit_test(test_macro_limits),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_conversation_cut_anywhere),
		cmocka_unit_test(test_quit_new_connection),
		cmocka_unit_test(test_old_mta),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_end_of_message),
		cmocka_unit_test(test_reply_and_macros),
		cmocka_unit_test(test_bad_commands),
		cmocka_unit_test(test_client_addresses),
		cmocka_unit_test(test_shutting_down),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_closed_while_another_has_the_socket),
	};

	return cmocka_run_group_tests_name("native_front", tests, NULL, NULL);
}
