/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         milter_client - the MTA's side of the milter protocol
 * SYNOPSIS     open, negotiate, then the commands in the order of SMTP; close
 * DESCRIPTION  Versions 2 to 6 of the protocol that Sendmail and Postfix speak with a filter:
 *              packets of a 32-bit length, a command byte and data. A command sends, and, unless
 *              "no reply" was negotiated for it, waits for the answer. What the filter asks to be
 *              changed at the end of a message is collected until the next one begins. Every wait
 *              ends after timeout_ms, which begins anew with each sign of progress; every length is
 *              checked before it is believed.
 *
 *              The answers: 'c' continue, 'a' accept, 'r' reject, 't' tempfail, 'd' discard, 'y' a
 *              reply of its own (in reply), 's' skip the rest of the body, 'f' connection failure,
 *              '4' shut the connection down with 421.
 * DIAGNOSTICS  -1 with text in error: the peer is gone, slow, or talks nonsense; edits out of place
 *              and those that were not negotiated are nonsense. A command that was answered returns
 *              the answer's byte, MILTER_NO_ANSWER where none is due.
 * BUGS         MT: one thread at a time for one client.
 */
#ifndef ASSAY_MILTER_CLIENT_H
#define ASSAY_MILTER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Steps a filter may wave, and what the MTA can do ("protocol" of the negotiation). */
#define MILTER_NO_CONNECT 0x000001u
#define MILTER_NO_HELO	  0x000002u
#define MILTER_NO_MAIL	  0x000004u
#define MILTER_NO_RCPT	  0x000008u
#define MILTER_NO_BODY	  0x000010u
#define MILTER_NO_HEADERS 0x000020u
#define MILTER_NO_EOH	  0x000040u
#define MILTER_NR_HEADER  0x000080u
#define MILTER_NO_UNKNOWN 0x000100u
#define MILTER_NO_DATA	  0x000200u
#define MILTER_CAN_SKIP	  0x000400u
#define MILTER_NR_CONNECT 0x001000u
#define MILTER_NR_HELO	  0x002000u
#define MILTER_NR_MAIL	  0x004000u
#define MILTER_NR_RCPT	  0x008000u
#define MILTER_NR_DATA	  0x010000u
#define MILTER_NR_UNKNOWN 0x020000u
#define MILTER_NR_EOH	  0x040000u
#define MILTER_NR_BODY	  0x080000u
#define MILTER_LEADSPC	  0x100000u

#define MILTER_V2_STEPS 0x00007fu /* what Sendmail 8.12 knew */
#define MILTER_V6_STEPS 0x1fffffu

/* Actions of the negotiation. */
#define MILTER_ADD_HEADERS    0x001u
#define MILTER_CHANGE_BODY    0x002u
#define MILTER_ADD_RCPT	      0x004u
#define MILTER_DELETE_RCPT    0x008u
#define MILTER_CHANGE_HEADERS 0x010u
#define MILTER_QUARANTINE     0x020u
#define MILTER_CHANGE_SENDER  0x040u
#define MILTER_ADD_RCPT_ARGS  0x080u
#define MILTER_SET_MACROS     0x100u
#define MILTER_V2_ACTIONS     0x03fu
#define MILTER_V6_ACTIONS     0x1ffu

#define MILTER_NO_ANSWER 0 /* of a command, where none was negotiated */
#define MILTER_STAGES	 7 /* macro lists: connect helo mail rcpt data eom eoh */

enum milter_edit_kind {
	MILTER_EDIT_ADD,
	MILTER_EDIT_INSERT,
	MILTER_EDIT_CHANGE, /* value "": delete */
	MILTER_EDIT_QUARANTINE,
	MILTER_EDIT_ADD_RCPT,
	MILTER_EDIT_DELETE_RCPT,
	MILTER_EDIT_SENDER,
	MILTER_EDIT_BODY, /* a piece of the new one; the first takes the old one away */
};

struct milter_edit {
	enum milter_edit_kind kind;
	char kind_byte;
	uint32_t index;
	char *name; /* of a field; NULL where there is none */
	char
	    *value; /* of a field; reason of a quarantine; "<a@b>"; piece of the body. With a NUL */
	size_t value_len;
	char *args; /* ESMTP parameters of a new recipient or sender; NULL: none */
};

#define MILTER_EDITS_MAX      4096	  /* of one message; -> nonsense */
#define MILTER_EDIT_BYTES_MAX (64u << 20) /* the same, bodies included */

struct milter_client {
	int fd;
	uint32_t timeout_ms;
	uint32_t version, actions, steps; /* negotiated */
	char *macros[MILTER_STAGES];	  /* asked for; NULL: no list */
	struct milter_edit *edits;
	size_t edit_count, edit_bytes;
	bool at_end; /* of a message: edits may come */
	uint32_t progress_count;
	char reply[1024]; /* text of an SMTP reply ('y'); else "" */
	bool skipping;	  /* the filter wants no more of the body */
	char error[256];
};

/* address: "unix:/path" or "inet:port@127.0.0.1". 0, or -1 with *c fit for milter_close(). */
int milter_open(struct milter_client *c, const char *address, uint32_t timeout_ms);
/* The same over a connected socket, which it takes. */
void milter_attach(struct milter_client *c, int fd, uint32_t timeout_ms);
/* Without a word, as an MTA that died. Frees everything; c may be opened again. */
void milter_close(struct milter_client *c);

/* Offer; what the filter took is in *c then. 0 or -1. */
int milter_negotiate(struct milter_client *c, uint32_t version, uint32_t actions, uint32_t steps);

/* Macros for the command that follows: name, value, ..., NULL. 0 or -1. */
int milter_macros(struct milter_client *c, char command, const char *const *names_values);

/* ip: text of an IPv4 or IPv6 address, NULL: unknown ("U"); a path: 'L'. */
int milter_connect(struct milter_client *c, const char *host, const char *ip);
int milter_helo(struct milter_client *c, const char *helo);
int milter_mail(struct milter_client *c, const char *path);
int milter_rcpt(struct milter_client *c, const char *path);
int milter_data(struct milter_client *c);
/* A command that the MTA does not know. */
int milter_unknown(struct milter_client *c, const char *line);
/* value as behind the colon; without LEADSPC one leading SP is taken away, as MTAs do. */
int milter_header(struct milter_client *c, const char *name, const char *value);
int milter_eoh(struct milter_client *c);
/* Nothing is sent once the filter asked to skip. */
int milter_body(struct milter_client *c, const char *bytes, size_t len);
/* The end of the message and its answer. */
int milter_eom(struct milter_client *c);
/* milter_eom() in two halves, to look what happens in between. */
int milter_send_eom(struct milter_client *c);
int milter_wait(struct milter_client *c);
int milter_abort(struct milter_client *c);
int milter_quit(struct milter_client *c);
int milter_quit_new_connection(struct milter_client *c);

/* Any packet, for nonsense. 0 or -1. */
int milter_send(struct milter_client *c, char command, const void *data, size_t len);
/* Bytes without a packet around them. 0 or -1. */
int milter_send_raw(struct milter_client *c, const void *bytes, size_t len);

/* All bytes up to the end of the connection, at most max; MILTER_NO_END: it does not come. */
#define MILTER_NO_END ((size_t)-1)
size_t milter_receive_all(struct milter_client *c, void *bytes, size_t max);
/* The same without signs of progress, which depend on how fast DNS was: the new length. What is no
 * whole packet stays. */
size_t milter_without_progress(void *bytes, size_t len);

/* The edit of that kind and name number n (from 0), or NULL. name NULL: any. */
const struct milter_edit *milter_find_edit(
    const struct milter_client *c, enum milter_edit_kind kind, const char *name, size_t n);

#endif
