/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         link - the connection of an MTA: a conversation and its socket
 * DESCRIPTION  Reads what is there into the worker's buffer, once, and sends the answers in one
 *              write; the answers of several links may wait in the worker until all are written.
 *              What the peer doesn't take is kept, and nothing more is read from it until it
 *              has: so a peer can't make us hold more than one answer. Between frames a link
 *              keeps no buffer.
 *              MT: one thread at a time.
 */
#ifndef ASSAY_LINK_H
#define ASSAY_LINK_H

#include "milter/native/conversation.h"
#include "milter/native/team.h"

struct loop;

struct link {
	int fd;
	struct conversation *conversation;
	struct worker *worker; /* that serves it now; NULL: none */
	size_t answer_at;      /* where its answers begin in the worker's output, and how long */
	size_t answer_len;     /* they are; until they are sent */
	uint64_t deadline_ms;  /* when it is closed */
	uint64_t timeout_ms;   /* of a silent peer */

	enum conversation_state state;
	bool broken;	 /* the peer is gone */
	bool busy;	 /* something was on its way when the deadline was set */
	uint64_t frames; /* likewise */
	struct {
		char *p;
		size_t len, at;
	} unsent;

	/* The loop's; its lock guards them. */
	struct loop *loop;
	struct link *next, *prev;
	bool away; /* served by a thread that doesn't lead the loop */
};

/* Takes fd. waiting is told with the link as ctx. */
struct link *link_new(int fd, const struct conversation_home *home, uint64_t timeout_ms,
    void (*waiting)(void *ctx), uint64_t now_ms);
void link_free(struct link **k); /* closes */

/* The socket is readable, or writable where that was wished for. May wait, as the session may.
 * What is to be answered stays in the worker: link_answer() must follow, now or later. */
void link_serve(struct link *k, struct worker *w);

/* While it is being served: send what the worker has for the link so far. */
void link_flush(struct link *k, struct worker *w);

enum link_wish { LINK_READS, LINK_WRITES, LINK_CLOSES };

/* Send what there is to be answered. */
enum link_wish link_answer(struct link *k, struct worker *w);

/* Nothing under way on it: no message, no answer. Or nothing more to be hoped for. */
bool link_is_idle(const struct link *k);

uint64_t link_clock_ms(void); /* monotonic, coarse */

#endif
