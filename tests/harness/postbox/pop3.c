/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         pop3 - the Post Office Protocol, version 3 (RFC 1939, 2449, 2595)
 * DESCRIPTION  The maildrop is INBOX as it was at PASS: a listing of UIDs, numbered from 1. It
 * needs no lock (RFC 1939 4 asks for one so that numbers hold; here they hold anyway). What DELE
 * marks goes at QUIT, and only then. BUGS         A message that has a line ending in LF alone
 * (only IMAP's APPEND can bring one) is sent with CR LF there, and is then longer than STAT and
 * LIST say.
 */
#include <string.h>

#include "policy/base/num.h"
#include "tests/harness/postbox/log.h"
#include "tests/harness/postbox/server.h"

enum pop3_state { POP3_AUTHORIZATION = 1, POP3_TRANSACTION = 2 };

struct pop3 {
	struct connection *c;
	enum pop3_state state;
	bool done; /* leave once the reply is out */
	unsigned int errors;
	struct slice name; /* of USER, until PASS; empty: none */
	struct store_folder *inbox;
	uint32_t uid_validity;
	struct store_message *messages;
	bool *deleted; /* as many */
	size_t count;
};

/* One reply, and one more bad command on this connection. */
static void
pop3_error(struct pop3 *p, const char *why)
{
	stream_printf(p->c->stream, "-ERR %s\r\n", why);
	p->errors++;
}

/* ---- arguments ---- */

/* One word and no more; empty when there is none. -1: several. */
static int
one_word(struct slice args, struct slice *word_r)
{
	*word_r = args;
	return slice_find(args, ' ') == SLICE_NONE ? 0 : -1;
}

/* The index of the message that a number names. -1: no such message, or deleted; answered. */
static int
message_index(struct pop3 *p, struct slice text, size_t *index_r)
{
	uint32_t number;

	if (num_u32(text, 1, UINT32_MAX, &number) == -1) {
		pop3_error(p, "want the number of a message");
		return -1;
	}
	if (number > p->count || p->deleted[number - 1]) {
		pop3_error(p, "no such message");
		return -1;
	}
	*index_r = number - 1;
	return 0;
}

/* ---- AUTHORIZATION ---- */

/* RFC 8314 3: no password travels in the clear, unless a test asks for it. */
static bool
passwords_welcome(const struct connection *c)
{
	return c->server->options.allow_plain_auth || stream_tls(c->stream) != NULL;
}

static void
pop3_user(struct pop3 *p, struct slice args)
{
	struct slice name;

	if (!passwords_welcome(p->c)) {
		pop3_error(p, "[AUTH] use STLS first");
		return;
	}
	if (args.len == 0 || one_word(args, &name) == -1) {
		pop3_error(p, "USER wants a name");
		return;
	}
	/* RFC 1939 7: the same answer whether there is such a user or not. */
	p->name = arena_copy(p->c->arena, name);
	stream_printf(p->c->stream, "+OK and the password?\r\n");
}

/* The listing that this session will number. */
static enum store_status
open_maildrop(struct pop3 *p, struct store_account *account)
{
	struct store_folder_state state;
	enum store_status status;
	uint64_t changes;

	status = store_folder_open(account, SLICE("INBOX"), &p->inbox);
	if (status == STORE_OK)
		status = store_folder_state(p->inbox, &state);
	if (status == STORE_OK)
		status = store_list(p->c->arena, p->inbox, &p->messages, &p->count, &changes);
	if (status != STORE_OK) {
		store_folder_close(&p->inbox);
		return status;
	}
	p->uid_validity = state.uid_validity;
	p->deleted = arena_array(p->c->arena, p->count, sizeof(*p->deleted));
	return STORE_OK;
}

static void
pop3_pass(struct pop3 *p, struct slice args)
{
	const struct user *user;
	enum store_status status;

	if (p->name.len == 0) {
		pop3_error(p, "USER comes first");
		return;
	}
	/* RFC 1939 7: the rest of the line, blanks too, is the password. */
	user = auth_check(p->c->server, p->name, args);
	p->name = slice_of(NULL, 0);
	if (user == NULL) {
		log_line(p->c, "wrong password");
		pop3_error(p, "[AUTH] wrong name or password");
		return;
	}
	status = open_maildrop(p, user->account);
	if (status != STORE_OK) {
		stream_printf(p->c->stream, "-ERR [SYS/TEMP] %s\r\n", store_status_text(status));
		return;
	}
	p->state = POP3_TRANSACTION;
	log_debug(p->c, "%s is in", arena_printable(p->c->scratch, user->name, 64));
	stream_printf(p->c->stream, "+OK %zu messages\r\n", p->count);
}

static void
pop3_stls(struct pop3 *p, struct slice args)
{
	(void)args;
	if (stream_tls(p->c->stream) != NULL) {
		pop3_error(p, "TLS is on already"); /* RFC 2595 4 */
		return;
	}
	stream_printf(p->c->stream, "+OK begin TLS\r\n");
	connection_timeout(p->c, POSTBOX_TLS_MS);
	if (stream_tls_accept(p->c->stream, p->c->server->tls_server) != STREAM_OK) {
		log_line(p->c, "STLS: %s", stream_error(p->c->stream));
		p->done = true;
		return;
	}
	connection_timeout(p->c, POSTBOX_POP3_MS);
	p->name = slice_of(NULL, 0); /* RFC 2595 4: what was said in the clear is forgotten */
}

static void
pop3_capa(struct pop3 *p, struct slice args)
{
	struct stream *s = p->c->stream;

	(void)args;
	stream_printf(s, "+OK\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n");
	if (passwords_welcome(p->c))
		stream_printf(s, "USER\r\n");
	if (p->state == POP3_AUTHORIZATION && stream_tls(s) == NULL)
		stream_printf(s, "STLS\r\n");
	stream_printf(s, "EXPIRE NEVER\r\nIMPLEMENTATION postbox\r\n.\r\n");
}

/* ---- TRANSACTION ---- */

static size_t
messages_left(const struct pop3 *p, size_t *bytes_r)
{
	size_t left = 0;

	*bytes_r = 0;
	for (size_t i = 0; i < p->count; i++) {
		if (p->deleted[i])
			continue;
		left++;
		*bytes_r += p->messages[i].bytes;
	}
	return left;
}

static void
pop3_stat(struct pop3 *p, struct slice args)
{
	size_t bytes, left = messages_left(p, &bytes);

	(void)args;
	stream_printf(p->c->stream, "+OK %zu %zu\r\n", left, bytes);
}

/* What LIST and UIDL say of one message, behind its number. */
static void
list_line(struct pop3 *p, size_t i, bool uidl, const char *before)
{
	if (uidl)
		/* RFC 1939 7: unique for ever, so the folder's validity is part of it. */
		stream_printf(p->c->stream, "%s%zu %08x%08x\r\n", before, i + 1, p->uid_validity,
		    p->messages[i].uid);
	else
		stream_printf(p->c->stream, "%s%zu %zu\r\n", before, i + 1, p->messages[i].bytes);
}

static void
list_either(struct pop3 *p, struct slice args, bool uidl)
{
	size_t bytes, left, i;

	if (args.len > 0) {
		if (message_index(p, args, &i) == 0)
			list_line(p, i, uidl, "+OK ");
		return;
	}
	left = messages_left(p, &bytes);
	stream_printf(p->c->stream, "+OK %zu messages (%zu octets)\r\n", left, bytes);
	for (i = 0; i < p->count; i++)
		if (!p->deleted[i])
			list_line(p, i, uidl, "");
	stream_printf(p->c->stream, ".\r\n");
}

static void
pop3_list(struct pop3 *p, struct slice args)
{
	list_either(p, args, false);
}

static void
pop3_uidl(struct pop3 *p, struct slice args)
{
	list_either(p, args, true);
}

/*
 * The header, the empty line, and body_lines of the body, as a multi-line reply: each line ends in
 * CR LF, and one that begins with a dot gets another (RFC 1939 3).
 */
static void
send_text(struct stream *s, struct slice text, uint32_t body_lines)
{
	struct slice line;
	bool in_body = false;

	while (slice_next(&text, '\n', &line)) {
		if (in_body && body_lines-- == 0)
			break;
		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		if (line.len == 0)
			in_body = true;
		if (line.len > 0 && line.p[0] == '.')
			stream_write(s, SLICE("."));
		stream_write(s, line);
		stream_write(s, SLICE("\r\n"));
	}
	stream_write(s, SLICE(".\r\n"));
}

static void
send_message(struct pop3 *p, size_t i, uint32_t body_lines)
{
	const struct store_text *text;
	enum store_status status;

	status = store_text_open(p->inbox, p->messages[i].uid, &text);
	if (status != STORE_OK) { /* another session expunged it */
		pop3_error(p, store_status_text(status));
		return;
	}
	stream_printf(p->c->stream, "+OK %zu octets\r\n", text->bytes.len);
	send_text(p->c->stream, text->bytes, body_lines);
	store_text_close(&text);
}

static void
pop3_retr(struct pop3 *p, struct slice args)
{
	size_t i;

	if (message_index(p, args, &i) == 0)
		send_message(p, i, UINT32_MAX);
}

static void
pop3_top(struct pop3 *p, struct slice args)
{
	struct slice number;
	uint32_t lines;
	size_t i;

	if (!slice_next(&args, ' ', &number) || num_u32(args, 0, UINT32_MAX, &lines) == -1) {
		pop3_error(p, "TOP wants a message and a count of lines");
		return;
	}
	if (message_index(p, number, &i) == 0)
		send_message(p, i, lines);
}

static void
pop3_dele(struct pop3 *p, struct slice args)
{
	size_t i;

	if (message_index(p, args, &i) == -1)
		return;
	p->deleted[i] = true;
	stream_printf(p->c->stream, "+OK gone at QUIT\r\n");
}

static void
pop3_rset(struct pop3 *p, struct slice args)
{
	(void)args;
	if (p->count > 0)
		memset(p->deleted, 0, p->count * sizeof(*p->deleted));
	stream_printf(p->c->stream, "+OK\r\n");
}

static void
pop3_noop(struct pop3 *p, struct slice args)
{
	(void)args;
	stream_printf(p->c->stream, "+OK\r\n");
}

/* RFC 1939 6: the UPDATE state. */
static void
pop3_quit(struct pop3 *p, struct slice args)
{
	uint32_t *uids = arena_array(p->c->scratch, p->count, sizeof(*uids));
	enum store_status status = STORE_OK;
	size_t gone = 0;

	(void)args;
	p->done = true;
	for (size_t i = 0; i < p->count; i++)
		if (p->deleted[i])
			uids[gone++] = p->messages[i].uid;
	if (gone > 0)
		status = store_expunge(p->inbox, uids, gone);
	if (status == STORE_OK)
		stream_printf(p->c->stream, "+OK bye, %zu deleted\r\n", gone);
	else
		stream_printf(p->c->stream, "-ERR [SYS/TEMP] some messages were not deleted\r\n");
}

/* ---- the conversation ---- */

enum pop3_arguments { POP3_ARGS_NONE, POP3_ARGS_OPTIONAL, POP3_ARGS_WANTED };

static const struct pop3_command {
	const char *name;
	unsigned int states; /* where it is allowed, enum pop3_state ored */
	enum pop3_arguments arguments;
	void (*handle)(struct pop3 *p, struct slice args);
} pop3_commands[] = {
	{ "CAPA", POP3_AUTHORIZATION | POP3_TRANSACTION, POP3_ARGS_NONE, pop3_capa },
	{ "DELE", POP3_TRANSACTION, POP3_ARGS_WANTED, pop3_dele },
	{ "LIST", POP3_TRANSACTION, POP3_ARGS_OPTIONAL, pop3_list },
	{ "NOOP", POP3_TRANSACTION, POP3_ARGS_NONE, pop3_noop },
	{ "PASS", POP3_AUTHORIZATION, POP3_ARGS_WANTED, pop3_pass },
	{ "QUIT", POP3_AUTHORIZATION | POP3_TRANSACTION, POP3_ARGS_NONE, pop3_quit },
	{ "RETR", POP3_TRANSACTION, POP3_ARGS_WANTED, pop3_retr },
	{ "RSET", POP3_TRANSACTION, POP3_ARGS_NONE, pop3_rset },
	{ "STAT", POP3_TRANSACTION, POP3_ARGS_NONE, pop3_stat },
	{ "STLS", POP3_AUTHORIZATION, POP3_ARGS_NONE, pop3_stls },
	{ "TOP", POP3_TRANSACTION, POP3_ARGS_WANTED, pop3_top },
	{ "UIDL", POP3_TRANSACTION, POP3_ARGS_OPTIONAL, pop3_uidl },
	{ "USER", POP3_AUTHORIZATION, POP3_ARGS_WANTED, pop3_user },
};

static const struct pop3_command *
command_named(struct slice name)
{
	for (size_t i = 0; i < sizeof(pop3_commands) / sizeof(pop3_commands[0]); i++)
		if (slice_equal_nocase(slice_str(pop3_commands[i].name), name))
			return &pop3_commands[i];
	return NULL;
}

static void
pop3_command(struct pop3 *p, struct slice line)
{
	size_t blank = slice_find(line, ' ');
	struct slice args = blank == SLICE_NONE ? slice_of(NULL, 0) : slice_from(line, blank + 1);
	const struct pop3_command *command = command_named(slice_sub(line, 0, blank));

	if (command == NULL)
		pop3_error(p, "unknown command");
	else if ((command->states & p->state) == 0)
		pop3_error(
		    p, p->state == POP3_AUTHORIZATION ? "log in first" : "logged in already");
	else if (command->arguments == POP3_ARGS_NONE && args.len > 0)
		pop3_error(p, "no argument wanted");
	else if (command->arguments == POP3_ARGS_WANTED && args.len == 0)
		pop3_error(p, "argument wanted");
	else
		command->handle(p, args);
}

/* One line and its reply. False: the conversation is over. */
static bool
pop3_step(struct pop3 *p)
{
	enum stream_status status;
	struct slice line;

	if (p->done || connection_stopping(p->c))
		return false;
	if (p->errors >= POSTBOX_ERRORS) {
		stream_printf(p->c->stream, "-ERR too many errors\r\n");
		return false;
	}
	arena_reset(p->c->scratch);
	status = stream_line(p->c->stream, POSTBOX_POP3_LINE_BYTES, &line);
	switch (status) {
	case STREAM_OK:
		pop3_command(p, line);
		return true;
	case STREAM_TOO_LONG:
		pop3_error(p, "line too long");
		return true;
	case STREAM_BARE:
		pop3_error(p, "a line ends in CR LF");
		return true;
	case STREAM_EOF:
	case STREAM_TIMEOUT: /* RFC 1939 3: closed without a word, nothing deleted */
	case STREAM_ERROR:
		break;
	}
	log_debug(p->c, "%s", stream_status_text(status));
	return false;
}

void
pop3_run(struct connection *c)
{
	struct pop3 p = { .c = c, .state = POP3_AUTHORIZATION };

	connection_timeout(c, POSTBOX_POP3_MS);
	stream_printf(c->stream, "+OK %s postbox POP3\r\n", c->server->options.hostname);
	while (pop3_step(&p))
		continue;
	(void)stream_flush(c->stream);
	store_folder_close(&p.inbox);
}
