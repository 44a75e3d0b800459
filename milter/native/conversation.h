/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         conversation - one connection of an MTA, without its socket
 * DESCRIPTION  Bytes in, bytes out: reads frames, keeps the order of commands, calls the session
 *              and writes its answers. It knows no descriptor, clock or thread, so a test or a
 *              fuzz target drives it as the event loop does.
 *
 *              Order: negotiation, CONNECT, HELO, then messages. A command out of its place ends
 *              the message under way; where it has no place between messages either it is passed
 *              over without an answer, as libmilter does. QUIT_NEW begins again at CONNECT
 *              with a new session and what was negotiated.
 * DIAGNOSTICS  A peer whose bytes make no sense is hung up on; conversation_feed() says why.
 *              MT: one thread at a time.
 */
#ifndef ASSAY_CONVERSATION_H
#define ASSAY_CONVERSATION_H

#include "milter/native/wire.h"
#include "milter/service.h"
#include "policy/base/waiting.h"

struct conversation;

/* What every conversation of a process shares; borrowed for its life. */
struct conversation_home {
	struct service_slot *slot;
	struct traffic *traffic;
};

/* waiting is copied: who hears that a call into the session is going to wait. */
struct conversation *conversation_new(
    const struct conversation_home *home, const struct waiting *waiting);
/* A message under way is aborted. *c becomes NULL. Never waits. */
void conversation_free(struct conversation **c);

enum conversation_state {
	CONVERSATION_NEW,     /* nothing negotiated yet */
	CONVERSATION_INSIDE,  /* a frame has begun and is not all there */
	CONVERSATION_BETWEEN, /* the next command is waited for */
	CONVERSATION_OVER,    /* to be closed once the answers are out */
};

/*
 * All of input; answers go behind what is in *out. May wait, as the session may.
 * CONVERSATION_OVER: *error_r says what the peer did wrong (static text), NULL: it has said QUIT.
 */
enum conversation_state conversation_feed(
    struct conversation *c, struct slice input, struct wire_output *out, const char **error_r);

/* Frames read so far: does the peer get on? */
uint64_t conversation_frames(const struct conversation *c);

/* Is a message under way, that a stop of the daemon should wait for? */
bool conversation_has_message(const struct conversation *c);

#endif
