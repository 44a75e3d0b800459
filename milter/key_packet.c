/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/key_packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static char *
put_u16(char *p, size_t n)
{
	*p++ = (char)(n >> 8 & 0xff);
	*p++ = (char)(n & 0xff);
	return p;
}

static char *
put_u32(char *p, uint32_t n)
{
	return put_u16(put_u16(p, n >> 16), n & 0xffff);
}

static uint32_t
get_u16(const char *p)
{
	return (uint32_t)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

static uint32_t
get_u32(const char *p)
{
	return get_u16(p) << 16 | get_u16(p + 2);
}

static char *
put_bytes(char *p, struct slice s)
{
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	return p + s.len;
}

size_t
key_packet_write(const struct key_packet *p, char out[KEY_PACKET_BYTES])
{
	struct slice name = slice_sub(p->name, 0, KEY_PACKET_NAME_BYTES);
	struct slice payload = slice_sub(p->payload, 0, KEY_PACKET_PAYLOAD);
	char *at = out;

	*at++ = (char)p->kind;
	*at++ = (char)p->type;
	at = put_u32(at, p->number);
	at = put_u32(at, p->serial);
	at = put_u32(at, p->bits);
	at = put_u16(at, name.len);
	at = put_u16(at, payload.len);
	at = put_bytes(at, name);
	at = put_bytes(at, payload);
	return (size_t)(at - out);
}

static bool
payload_fits(const struct key_packet *p)
{
	size_t len = p->payload.len;

	switch (p->kind) {
	case KEY_PACKET_KEY:
		return len > 0;
	case KEY_PACKET_READY:
		return len == 0;
	case KEY_PACKET_FAULT:
	case KEY_PACKET_REFUSED:
		return true;
	case KEY_PACKET_SIGN:
		return len == SHA256_BYTES;
	case KEY_PACKET_SIGNED:
		return len > 0 && len <= SIGNATURE_BYTES_MAX;
	}
	return false;
}

int
key_packet_read(struct slice bytes, struct key_packet *out)
{
	const char *p = bytes.p;
	size_t name_len, payload_len;

	if (bytes.len < KEY_PACKET_HEADER_BYTES || bytes.len > KEY_PACKET_BYTES)
		return -1;
	if (p[0] < KEY_PACKET_KEY || p[0] > KEY_PACKET_REFUSED || p[1] < KEY_RSA ||
	    p[1] > KEY_ED25519)
		return -1;
	name_len = get_u16(p + 14);
	payload_len = get_u16(p + 16);
	if (name_len > KEY_PACKET_NAME_BYTES || payload_len > KEY_PACKET_PAYLOAD ||
	    KEY_PACKET_HEADER_BYTES + name_len + payload_len != bytes.len)
		return -1;
	*out = (struct key_packet){
		.kind = (enum key_packet_kind)p[0],
		.type = (enum key_type)p[1],
		.number = get_u32(p + 2),
		.serial = get_u32(p + 6),
		.bits = get_u32(p + 10),
		.name = slice_of(p + KEY_PACKET_HEADER_BYTES, name_len),
		.payload = slice_of(p + KEY_PACKET_HEADER_BYTES + name_len, payload_len),
	};
	return payload_fits(out) ? 0 : -1;
}

int
key_packet_send(int fd, const struct key_packet *p)
{
	char bytes[KEY_PACKET_BYTES];
	size_t len = key_packet_write(p, bytes);
	ssize_t n;

	do
		n = send(fd, bytes, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)len ? 0 : -1;
}

int
key_packet_receive(int fd, char room[KEY_PACKET_BYTES], struct key_packet *out)
{
	ssize_t n;

	do /* MSG_TRUNC: the length that was sent, though it did not fit */
		n = recv(fd, room, KEY_PACKET_BYTES, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	return n <= 0 ? -1 : key_packet_read(slice_of(room, (size_t)n), out);
}
