/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         milter_client - the MTA's side of the milter protocol
 * SYNOPSIS     open, negotiate, then the commands in the order of SMTP; close
 * DESCRIPTION  Versions 2 to 6 of the protocol that Sendmail and Postfix speak with a filter:
 * packets of a 32-bit length, a command byte and data. A command sends, and, unless "no reply" was
 * negotiated for it, waits for the answer. What the filter asks to be changed is collected until
 * the next message begins. Every wait ends after timeout_ms; every length is checked before it is
 * believed. DIAGNOSTICS  -1 with text in client->error: the peer is gone, slow, or talks nonsense.
 * A command that was answered returns the answer's byte, MILTER_NO_ANSWER where none is due. BUGS
 * One thread at a time for one client.
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
#define MILTER_CHANGE_HEADERS 0x010u
#define MILTER_QUARANTINE     0x020u
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
	MILTER_EDIT_OTHER, /* recipients, sender, body: kind_byte says which */
};

struct milter_edit {
	enum milter_edit_kind kind;
	char kind_byte;
	uint32_t index;
	char *name;  /* NULL where there is none */
	char *value; /* reason of a quarantine */
};

#define MILTER_EDITS_MAX 4096

struct milter_client {
	int fd;
	uint32_t timeout_ms;
	uint32_t version, actions, steps; /* negotiated */
	char *macros[MILTER_STAGES];	  /* asked for; NULL: no list */
	struct milter_edit *edits;
	size_t edit_count;
	uint32_t progress_count;
	char reply[1024]; /* text of an SMTP reply ('y'); else "" */
	bool skipping;	  /* the filter wants no more of the body */
	char error[256];
};

/* address: "unix:/path" or "inet:port@127.0.0.1". 0 or -1; error is set in either. */
int milter_open(struct milter_client *c, const char *address, uint32_t timeout_ms);
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

/* The edit of that kind and name number n (from 0), or NULL. name NULL: any. */
const struct milter_edit *milter_find_edit(
    const struct milter_client *c, enum milter_edit_kind kind, const char *name, size_t n);

#endif
