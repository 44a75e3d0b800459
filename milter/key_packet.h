/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         key_packet - what assayd and the process that holds its keys say to each other
 * DESCRIPTION  Packets on a SOCK_SEQPACKET pair, one layout for all: numbers, then three texts with
 *              their lengths before them. The worker begins: a KEY for each key and READY, or FAULT
 *              and the end. Then each SIGN is answered by SIGNED or REFUSED with its serial.
 *              Either side reads what the other wrote as if an enemy had: whatever is not exactly a
 *              packet is none.
 */
#ifndef ASSAY_KEY_PACKET_H
#define ASSAY_KEY_PACKET_H

#include "policy/crypto/crypto.h"

#define KEY_PACKET_NAME_BYTES	256
#define KEY_PACKET_PAYLOAD	2048 /* a public key of 8192 bits has 1062 bytes */
#define KEY_PACKET_HEADER_BYTES 18
#define KEY_PACKET_BYTES	(KEY_PACKET_HEADER_BYTES + KEY_PACKET_NAME_BYTES + KEY_PACKET_PAYLOAD)

enum key_packet_kind {
	KEY_PACKET_KEY = 1, /* number, type, bits, name of its section; payload: its public part */
	KEY_PACKET_READY,   /* number: of keys */
	KEY_PACKET_FAULT,   /* payload: text for people, lines with "\n" between */
	KEY_PACKET_SIGN,    /* number, serial; payload: SHA256_BYTES of digest */
	KEY_PACKET_SIGNED,  /* serial; payload: the signature */
	KEY_PACKET_REFUSED, /* serial; payload: text for people */
};

struct key_packet {
	enum key_packet_kind kind;
	enum key_type type;
	uint32_t number, serial, bits;
	struct slice name, payload;
};

/* Returns the length. Name and payload are cut at their limits. */
size_t key_packet_write(const struct key_packet *p, char out[KEY_PACKET_BYTES]);

/* 0, or -1: that is no packet. Slices point into bytes. */
int key_packet_read(struct slice bytes, struct key_packet *out) __attribute__((warn_unused_result));

/*
 * The same over a socket. 0, or -1: the peer is gone, did not answer in the socket's time, or did
 * not send a packet. room: holds what *out points to.
 */
int key_packet_send(int fd, const struct key_packet *p) __attribute__((warn_unused_result));
int key_packet_receive(int fd, char room[KEY_PACKET_BYTES], struct key_packet *out)
    __attribute__((warn_unused_result));

#endif
