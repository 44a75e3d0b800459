/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         corpus - messages to measure with, and the zone they need
 * DESCRIPTION  Everything follows from a seed that never changes: the same messages, keys and
 *              signatures byte for byte on every machine, so that numbers can be compared.
 *              A message has about 25 header fields besides its signatures, one or two of these
 *              (three in ten have two), RSA-2048 and, in one message of twenty, Ed25519, relaxed
 *              and simple. Small bodies are text, those from 200 KB on base64. One in ten is
 * forged: its domain's SPF names none of the senders, it is unsigned or its body was changed. A
 * domain has SPF, DKIM keys and DMARC with p=reject; every fifth sends under a subdomain, whose
 * policy is found one level up.
 */
#ifndef ASSAY_BENCH_CORPUS_H
#define ASSAY_BENCH_CORPUS_H

#include "policy/syntax/header.h"

struct bench_message {
	const char *client_ip, *client_name; /* name in the HELO as well */
	const char *from, *to;		     /* envelope, with angle brackets */
	struct header_list header;
	struct slice body;
	bool forged;		   /* DMARC fails, the message is to be rejected */
	struct slice dkim_results; /* as OpenDKIM would write them for OpenDMARC; "" if forged */
};

struct corpus {
	struct arena *arena;
	struct bench_message *messages;
	size_t count;
	struct slice zone; /* zone text (shared/vectors/README.md) */
};

/*
 * Bodies of 2 KB only, or of 2 KB (70%), 20 KB (20%), 200 KB (9%) and 5 MB (1%). DISTINCT is small,
 * but no two messages share a question to the DNS.
 */
enum corpus_kind { CORPUS_SMALL, CORPUS_MIXED, CORPUS_DISTINCT };

void corpus_new(struct corpus *c, enum corpus_kind kind, size_t messages);
void corpus_free(struct corpus *c);

/* One signed message whose body goes on and on, so that its hash is not the signed one: a forgery
 * that must be read to the end. */
void corpus_new_large(struct corpus *c, size_t body_bytes);

#endif
