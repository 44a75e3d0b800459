/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         outgoing - mail of our own people is signed
 * DESCRIPTION  Begun at MAIL FROM where the client has logged in or is in sign_networks; fed the
 *              message; then signed with the keys that are for the author's domain (RFC 6376 5.1,
 *              5.2), if the login may use that domain. Says in the log what was signed, and what
 *              was not and why.
 *              A key's record in the DNS is compared with the key before it is used.
 * DIAGNOSTICS  outgoing_sign() gives -1 where a message should be signed and can't be.
 */
#ifndef ASSAY_OUTGOING_H
#define ASSAY_OUTGOING_H

#include <stdatomic.h>

#include "conf/conf.h"
#include "milter/mta.h"

/* One key of conf->dkim_keys, as its holder describes it. */
struct key_info {
	enum key_type type;
	uint32_t bits;
	struct slice public; /* as p= holds it, decoded */
	struct public_key *key;
	atomic_int published; /* the enum sig_published that was logged last, + 1; 0: none */
};

/* All keys of a configuration and who has them; numbers are indexes of conf->dkim_keys. MT: any
 * thread. */
struct outgoing_keys {
	struct key_holder holder;
	struct key_info *infos;
};

struct outgoing_parts { /* borrowed, and good until outgoing_end() */
	const struct conf *conf;
	const struct crypto *crypto;
	struct resolver *resolver;
	const struct outgoing_keys *keys; /* NULL: nothing is signed */
	/* SMFIP_HDR_LEADSPC was not granted: nobody knows what stands behind the colon, so that the
	 * simple form would not verify, and the relaxed form is taken. */
	bool blanks_unknown;
};

/* A field is taken only with room for this as well: else what session.c found no room to put a
 * blank before would be taken without it. */
#define BLANK_ROOM 2

struct outgoing;

/* At MAIL FROM. login: of SMTP AUTH, empty: none, and authenticated tells whether there was AUTH
 * all the same. NULL: mail that we don't sign. */
struct outgoing *outgoing_begin(struct arena *a, const struct outgoing_parts *parts,
    const struct ip_address *client, bool authenticated, struct slice login);
/* value in wire form. */
void outgoing_header(struct outgoing *o, struct slice name, struct slice value);
void outgoing_end_of_headers(struct outgoing *o, int64_t now_s);
/* False: it will not be signed, the rest of the body makes no difference. */
bool outgoing_body(struct outgoing *o, struct slice chunk);
/* Will outgoing_sign() have to wait, for who has the keys and, with require_published, for DNS? */
bool outgoing_will_wait(const struct outgoing *o);
/* Make the signatures, if any. 0, or -1: it must not go out as it is. Once. */
int outgoing_sign(struct outgoing *o, struct slice queue_id) __attribute__((warn_unused_result));
/* Put them on top of the message. 0, or -1: the MTA refused. */
int outgoing_insert(const struct outgoing *o, const struct mta *mta)
    __attribute__((warn_unused_result));
/* Before the arena is reset. *o becomes NULL; NULL is accepted. */
void outgoing_end(struct outgoing **o);

#endif
