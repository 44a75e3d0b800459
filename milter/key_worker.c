/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/key_worker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/key_file.h"
#include "milter/confine.h"
#include "milter/key_packet.h"

#define ARENA_BYTES ((size_t)1024 * 1024)

struct worker {
	int socket;
	struct arena *arena;
	struct conf *conf;
	struct crypto *crypto;
	struct key_ring *ring;
	struct key_packet *keys; /* as they will be announced */
};

static int
say_fault(const struct worker *w, const char *text)
{
	const struct key_packet fault = { .kind = KEY_PACKET_FAULT, .payload = slice_str(text) };

	int sent = key_packet_send(w->socket, &fault);

	(void)sent; /* if nobody is there to be told, so be it */
	return -1;
}

static int
load_key(struct worker *w, size_t i, const struct identity *who)
{
	const struct conf_dkim_key *key = &w->conf->dkim_keys[i];
	uid_t uid = who->wanted ? who->uid : geteuid();
	gid_t gid = who->wanted ? who->gid : getegid();
	const char *error;
	struct private_key *private = key_file_read(
	    w->arena, w->crypto, key->key_file, uid, gid, &error);

	if (private == NULL)
		return say_fault(w,
		    arena_printf(w->arena, "dkim_key \"%s\": %s",
			arena_printable(w->arena, key->name, KEY_PACKET_NAME_BYTES), error));
	w->keys[i] = (struct key_packet){
		.kind = KEY_PACKET_KEY,
		.type = private_key_type(private),
		.bits = private_key_bits(private),
		.name = key->name,
		.payload = private_key_public(w->arena, private),
	};
	w->keys[i].number = key_ring_add(w->ring, private);
	return 0;
}

static int
load_all(struct worker *w, const char *conf_file, const struct identity *who)
{
	const char *why = "?";
	char *error = NULL;

	w->conf = conf_load(conf_file, &error);
	if (w->conf == NULL)
		return say_fault(w, error);
	w->crypto = crypto_new(w->arena, &why);
	if (w->crypto == NULL)
		return say_fault(w, why);
	w->ring = key_ring_new(w->crypto);
	w->keys = arena_array(w->arena, w->conf->dkim_key_count, sizeof(*w->keys));
	for (size_t i = 0; i < w->conf->dkim_key_count; i++)
		if (load_key(w, i, who) != 0)
			return -1;
	return 0;
}

/* No way back to any right, for whoever should come to rule this process. */
static int
give_up_rights(const struct worker *w, const struct identity *who)
{
	const char *why = "?";

	if (privileges_drop(who, false, &why) != 0)
		return say_fault(w, arena_printf(w->arena, "key worker: %s", why));
	(void)prctl(PR_SET_DUMPABLE, 0); /* to become another user has set it anew */
	if (confine_to_signing(&why) != 0)
		return say_fault(w, arena_printf(w->arena, "key worker: seccomp: %s", why));
	return 0;
}

static int
announce(const struct worker *w)
{
	struct key_packet ready = { .kind = KEY_PACKET_READY };

	for (size_t i = 0; i < w->conf->dkim_key_count; i++)
		if (key_packet_send(w->socket, &w->keys[i]) != 0)
			return -1;
	ready.number = (uint32_t)w->conf->dkim_key_count;
	return key_packet_send(w->socket, &ready);
}

void
key_worker_serve(int socket, const struct key_holder *holder)
{
	char room[KEY_PACKET_BYTES];
	struct key_packet in, out;

	while (key_packet_receive(socket, room, &in) == 0 && in.kind == KEY_PACKET_SIGN) {
		const char *error = "?";
		struct signature s;

		out = (struct key_packet){ .kind = KEY_PACKET_REFUSED, .serial = in.serial };
		if (holder->sign(
			holder->ctx, in.number, (const uint8_t *)in.payload.p, &s, &error) == 0) {
			out.kind = KEY_PACKET_SIGNED;
			out.payload = slice_of((const char *)s.bytes, s.len);
		} else {
			out.payload = slice_str(error);
		}
		if (key_packet_send(socket, &out) != 0)
			break;
	}
}

int
key_worker_main(int socket, const char *conf_file, const struct identity *who)
{
	struct worker w = { .socket = socket, .arena = arena_new(ARENA_BYTES) };
	struct key_holder holder;
	int status = EXIT_FAILURE;

	(void)prctl(PR_SET_DUMPABLE, 0);
	if (load_all(&w, conf_file, who) == 0 && give_up_rights(&w, who) == 0 &&
	    announce(&w) == 0) {
		holder = key_ring_holder(w.ring);
		key_worker_serve(socket, &holder);
		status = EXIT_SUCCESS;
	}
	key_ring_free(&w.ring); /* wipes */
	return status;
}
