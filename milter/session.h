/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         session - one SMTP connection as the milter sees it
 * DESCRIPTION  Knows the MTA through struct mta only and the world through struct service: the
 *              configuration, the evaluator and what else is swapped as one on reload. A session
 * takes a reference on connect and keeps it to its end, so a reload never changes the rules under a
 *              message (DESIGN.md, "Threads").
 *              Callbacks of one session come one at a time but from different threads; nothing
 *              here is thread-local.
 *              Several messages a connection; abort and close may come anywhere.
 */
#ifndef ASSAY_SESSION_H
#define ASSAY_SESSION_H

#include <stdbool.h>

#include "milter/mta.h"
#include "policy/base/ip.h"
#include "policy/base/slice.h"
#include "policy/base/waiting.h"

struct session;
struct service; /* milter/service.h */

/* Takes one reference on service. leading_space: header values come with their leading blank
 * (SMFIP_HDR_LEADSPC was granted); else exactly one SP is put back. waiting: copied; told whenever
 * a call below is going to wait. NULL: nobody wants to know. */
struct session *session_new(
    struct service *service, bool leading_space, const struct waiting *waiting);
void session_free(struct session **s);

enum answer session_connect(
    struct session *s, const struct mta *mta, const char *host, const struct ip_address *client);
enum answer session_helo(struct session *s, const struct mta *mta, const char *helo);
enum answer session_mail(struct session *s, const struct mta *mta, const char *reverse_path);
enum answer session_rcpt(struct session *s, const struct mta *mta, const char *recipient);
enum answer session_header(
    struct session *s, const struct mta *mta, const char *name, const char *value);
enum answer session_end_of_headers(struct session *s, const struct mta *mta);
enum answer session_body(struct session *s, const struct mta *mta, struct slice chunk);
enum answer session_end_of_message(struct session *s, const struct mta *mta);
enum answer session_abort(struct session *s);

#endif
