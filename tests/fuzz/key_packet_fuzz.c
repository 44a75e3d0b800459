/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What assayd and its key worker say to each other. Asserts that what was read writes back to the
 * same bytes and keeps to its limits. Then the input, cut into packets, is what a worker with one
 * key gets to hear: it must end, and may answer nothing but SIGNED and REFUSED.
 */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "milter/key_packet.h"
#include "milter/key_worker.h"
#include "policy/base/bug.h"
#include "policy/crypto/private_key.h"

#define PACKETS_MAX 16

static const struct key_ring *
ring_once(void)
{
	static struct key_ring *ring;
	static struct crypto *crypto;
	static struct arena *a; /* for what would go wrong */
	const char *error = "?";

	if (ring == NULL) {
		a = arena_new(4096);
		crypto = crypto_new(a, &error);
		ring = key_ring_new(crypto);
		(void)key_ring_add(ring, private_key_generate(KEY_ED25519, 0));
	}
	return ring;
}

static void
check_packet(struct slice bytes)
{
	char again[KEY_PACKET_BYTES];
	struct key_packet p;

	if (key_packet_read(bytes, &p) != 0)
		return;
	if (p.name.len > KEY_PACKET_NAME_BYTES || p.payload.len > KEY_PACKET_PAYLOAD)
		bug("beyond a limit");
	if (key_packet_write(&p, again) != bytes.len || memcmp(again, bytes.p, bytes.len) != 0)
		bug("writes back to something else");
}

/* A length of two bytes, then as many, and so on. */
static void
send_packets(int fd, struct slice in)
{
	for (int i = 0; i < PACKETS_MAX && in.len > 2; i++) {
		size_t len = (size_t)(unsigned char)in.p[0] << 8 | (unsigned char)in.p[1];
		struct slice packet = slice_sub(in, 2, len);

		if (packet.len == 0 || packet.len > KEY_PACKET_BYTES)
			break;
		check_packet(packet);
		if (send(fd, packet.p, packet.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		in = slice_from(in, 2 + packet.len);
	}
	(void)shutdown(fd, SHUT_WR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of((const char *)data, size);
	const struct key_holder holder = key_ring_holder(ring_once());
	char room[KEY_PACKET_BYTES];
	struct key_packet answer;
	int pair[2];

	check_packet(in);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
		bug("no socket pair");
	send_packets(pair[0], in);
	key_worker_serve(pair[1], &holder);
	(void)close(pair[1]);
	while (key_packet_receive(pair[0], room, &answer) == 0)
		if (answer.kind != KEY_PACKET_SIGNED && answer.kind != KEY_PACKET_REFUSED)
			bug("an answer of kind %d", (int)answer.kind);
	(void)close(pair[0]);
	return 0;
}
