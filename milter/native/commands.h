/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         commands - what the files of a conversation share
 * DESCRIPTION  conversation.c keeps the order of commands, commands.c hands those of a message to
 *              the session, replies.c writes what the session says. Nobody else includes this.
 */
#ifndef ASSAY_COMMANDS_H
#define ASSAY_COMMANDS_H

#include "milter/native/conversation.h"
#include "milter/native/macros.h"
#include "milter/native/negotiate.h"
#include "milter/session.h"

enum phase {
	PHASE_START,  /* nothing negotiated */
	PHASE_OPEN,   /* CONNECT is next */
	PHASE_IDLE,   /* between messages */
	PHASE_MAIL,   /* a sender, no recipient yet */
	PHASE_RCPT,   /* at least one */
	PHASE_HEADER, /* behind DATA or the first field */
	PHASE_BODY,   /* behind the end of the header */
};
#define PHASE_BIT(phase) (1u << (phase))
#define PHASES_OF_MESSAGE                                                                          \
	(PHASE_BIT(PHASE_MAIL) | PHASE_BIT(PHASE_RCPT) | PHASE_BIT(PHASE_HEADER) |                 \
	    PHASE_BIT(PHASE_BODY))

struct conversation {
	const struct conversation_home *home;
	struct waiting waiting;
	struct wire_reader reader;
	struct agreement terms;
	enum phase phase;
	bool over;	   /* QUIT was said */
	const char *error; /* what the peer did wrong */

	/* Of one client; ends at QUIT and QUIT_NEW. */
	bool counted;		 /* in the traffic */
	struct session *session; /* NULL before the first command that needs it */
	struct macros macros;
	char *reply;		 /* set for the next refusal; heap */
	bool at_end;		 /* end of message: edits may be sent */
	struct wire_output *out; /* during a feed */
};

/* -1, and the connection is to be closed. why: static text. */
int conversation_fail(struct conversation *c, const char *why);
struct session *conversation_session(struct conversation *c);

/* Each: 0, or -1 with c->error set. */
int run_connect(struct conversation *c, const struct wire_frame *f);
int run_helo(struct conversation *c, const struct wire_frame *f);
int run_mail(struct conversation *c, const struct wire_frame *f);
int run_rcpt(struct conversation *c, const struct wire_frame *f);
int run_header(struct conversation *c, const struct wire_frame *f);
int run_end_of_headers(struct conversation *c, const struct wire_frame *f);
int run_body(struct conversation *c, const struct wire_frame *f);
int run_end_of_message(struct conversation *c, const struct wire_frame *f);

/* struct mta over a conversation. */
extern const struct mta_calls replies_calls;

/* Send an answer, or none where waived (a TERMS_NR_* flag, or 0) was agreed. An answer that ends
 * the message puts the conversation between messages. */
void replies_answer(struct conversation *c, enum answer answer, uint32_t waived);
void replies_forget(struct conversation *c);

#endif
