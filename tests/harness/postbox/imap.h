/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         imap - what the files of IMAP4rev1 share (RFC 3501)
 * DESCRIPTION  imap.c holds the session, the table of commands and logging in; imap_parse.c reads
 *              what a client wrote; imap_folders.c is about folders, imap_store.c about messages
 *              that change, imap_search.c and imap_fetch.c about finding and reading them, and
 *              imap_mime.c and imap_envelope.c take a message apart.
 *
 *              A session numbers a listing of the folder. What changed since is told by
 *              imap_news(), before the tagged reply of every command; a message that is gone keeps
 *              its number until a command allows EXPUNGE (RFC 3501 7.4.1).
 * BUGS         Two sessions may both call a message \Recent that came while both were there.
 */
#ifndef POSTBOX_IMAP_H
#define POSTBOX_IMAP_H

#include "policy/base/strbuf.h"
#include "tests/harness/postbox/server.h"

/* clang-format off */
#define IMAP_LITERALS	  32	/* of one command; ours; -> BAD */
#define IMAP_FETCH_ITEMS  64	/* of one FETCH; ours; -> BAD */
#define IMAP_SECTION_DEPTH 20	/* numbers in BODY[1.2.3]; ours; -> BAD */
#define IMAP_SEARCH_DEPTH 64	/* NOT, OR and parentheses inside each other; ours; -> BAD */
#define IMAP_OUT_BYTES	  (1024 * 1024)	/* ENVELOPE or BODYSTRUCTURE of a message; ours; -> cut, NIL */
#define MIME_DEPTH	  20	/* multiparts inside each other; ours; -> the rest is one part */
#define MIME_PARTS	  1000	/* of one message; ours; -> the rest is not taken apart */
/* clang-format on */

/* ---- reading (imap_parse.c) ---- */

/*
 * A whole command; a literal stands in it as "{3}" CR LF and 3 bytes. Every function goes forward
 * or sets fault, which is sticky; after that everything fails.
 */
struct imap_lex {
	struct slice text;
	size_t at;
	struct arena *arena;
	const char *fault; /* static text */
};

static inline bool
imap_at_end(const struct imap_lex *l)
{
	return l->at >= l->text.len;
}

/* Does the line end in a literal's announcement? *more_r: no go-ahead is waited for (RFC 7888). */
bool imap_announces(struct slice line, uint64_t *bytes_r, bool *no_wait_r);
void imap_fault(struct imap_lex *l, const char *fault);
char imap_peek(const struct imap_lex *l);
bool imap_take(struct imap_lex *l, char c);
bool imap_take_word(struct imap_lex *l, const char *word);
void imap_want(struct imap_lex *l, char c);
/* Nothing may follow. True if nothing does, and there was no fault. */
bool imap_want_end(struct imap_lex *l);
bool imap_is_atom_char(char c);
struct slice imap_atom(struct imap_lex *l);
/* Atom (with ']'), quoted string or literal. */
struct slice imap_astring(struct imap_lex *l);
/* The same with '*' and '%'. */
struct slice imap_pattern(struct imap_lex *l);
uint32_t imap_number(struct imap_lex *l);

/* RFC 3501 9 sequence-set. '*' is UINT32_MAX here. */
struct imap_range {
	uint32_t low, high;
};
struct imap_set {
	struct imap_range *ranges;
	size_t count;
};
void imap_set_read(struct imap_lex *l, struct imap_set *out);

/* "1-Feb-2026", quoted or not: days since 1970. */
int64_t imap_date(struct imap_lex *l);
/* "\" 1-Feb-2026 10:00:00 +0100\"": Unix seconds. */
int64_t imap_date_time(struct imap_lex *l);
/* 1..12 or 0. */
uint32_t imap_month(struct slice name);
int64_t imap_days(int64_t year, uint32_t month, uint32_t day);

/* ---- the session (imap.c) ---- */

enum imap_state { IMAP_START = 1, IMAP_IN = 2, IMAP_SELECTED = 4 };

struct imap;
struct imap_command {
	const char *name;
	unsigned int states;
	bool uid_form;	   /* "UID name" exists */
	bool keep_numbers; /* no EXPUNGE during it, unless it is the UID form */
	void (*handle)(struct imap *p, struct imap_lex *l);
};

struct imap {
	struct connection *c;
	enum imap_state state;
	bool done;
	unsigned int errors;
	const struct imap_command *command;
	struct slice tag; /* of the command, scratch */
	bool uid;	  /* UID form */
	const struct user *user;
	/* While selected: */
	struct store_folder *folder;
	bool read_only;
	uint32_t first_recent;
	struct arena *listing, *spare; /* messages lives in the first */
	struct store_message *messages;
	size_t count;
	uint64_t changes;
	size_t keywords_told;
};

/* The tagged reply; what is new goes before it. code: "" or "[X] ". */
void imap_ok(struct imap *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void imap_no(struct imap *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void imap_bad(struct imap *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* NO with what the store said. */
void imap_no_status(struct imap *p, enum store_status status);
/* Nothing may follow in the command; if something does, or there was a fault: BAD and false. */
bool imap_complete(struct imap *p, struct imap_lex *l);

/* Take the listing anew and say what differs. silent: take it only. */
void imap_news(struct imap *p, bool may_expunge);
/* The messages of a set, rising: indexes. -1: there is no such number (BAD is answered). */
int imap_messages(struct imap *p, const struct imap_set *set, size_t **indexes_r, size_t *count_r);
uint32_t *imap_uids(struct imap *p, const size_t *indexes, size_t count);
/* "(\Seen ...)" of a message. */
void imap_write_flags(struct imap *p, const struct store_message *m);
/* FLAGS and PERMANENTFLAGS, when a folder is opened or has a new keyword. */
void imap_tell_flags(struct imap *p);
/* Flags into what the session knows, without a word. */
void imap_take_flags(struct imap *p);
void imap_unselect(struct imap *p);
/* "(\\Seen word)" or without parentheses, as flags of f; make: new keywords too. */
enum store_status imap_flag_list(
    struct imap_lex *l, struct store_folder *f, bool make, uint32_t *flags_r);

/* A string as IMAP writes it: quoted, or a literal. absent: p == NULL gives NIL. */
void imap_put_string(struct strbuf *b, struct slice s);

/* ---- commands elsewhere ---- */
void imap_select(struct imap *p, struct imap_lex *l);
void imap_examine(struct imap *p, struct imap_lex *l);
void imap_create(struct imap *p, struct imap_lex *l);
void imap_delete(struct imap *p, struct imap_lex *l);
void imap_rename(struct imap *p, struct imap_lex *l);
void imap_subscribe(struct imap *p, struct imap_lex *l);
void imap_list(struct imap *p, struct imap_lex *l);
void imap_status(struct imap *p, struct imap_lex *l);
void imap_append(struct imap *p, struct imap_lex *l);
void imap_store(struct imap *p, struct imap_lex *l);
void imap_copy(struct imap *p, struct imap_lex *l);
void imap_move(struct imap *p, struct imap_lex *l);
void imap_expunge(struct imap *p, struct imap_lex *l);
void imap_close(struct imap *p, struct imap_lex *l);
void imap_idle(struct imap *p, struct imap_lex *l);
void imap_search(struct imap *p, struct imap_lex *l);
void imap_fetch(struct imap *p, struct imap_lex *l);

/* ---- a message (imap_mime.c, imap_envelope.c) ---- */

struct mime_part {
	struct slice header; /* with its empty line */
	struct slice body;
	struct slice type, subtype; /* "TEXT", "PLAIN"; arena */
	struct slice content_type;  /* unfolded */
	bool multipart, message;
	size_t first_child, child_count; /* a message has one: what is in it */
	size_t depth;
};

struct mime {
	struct mime_part *parts; /* the first is the whole message */
	size_t count;
};

/* The header, its empty line included, and the rest. */
void mime_split(struct slice text, struct slice *header_r, struct slice *body_r);
/* The first field of that name, unfolded, arena memory; p is NULL when there is none. */
struct slice mime_field(struct arena *a, struct slice header, struct slice name);
/* Cut the next field, folds and line end included, off *header. False: no more. */
bool mime_next_field(struct slice *header, struct slice *field_r, struct slice *name_r);
void mime_read(struct arena *a, struct slice text, struct mime *out);
/* BODYSTRUCTURE; extended false: BODY. */
void mime_structure(struct arena *a, const struct mime *mime, bool extended, struct strbuf *out);
void imap_envelope(struct arena *a, struct slice header, struct strbuf *out);

#endif
