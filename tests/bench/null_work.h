/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         null_work - what the floor does with a message, and nothing else
 * DESCRIPTION  SHA-256 over the body, and one RSA-2048 signature verified over a digest: the work
 *              that no filter can leave out. Contexts are made once a connection and used again,
 *              which is the cheapest way that OpenSSL has.
 *              The floors talk as assayd does: what they wave, what they answer to and which macros
 *              they want is the same, so that what differs is what is done.
 */
#ifndef ASSAY_BENCH_NULL_WORK_H
#define ASSAY_BENCH_NULL_WORK_H

#include <stddef.h>

struct null_key;
struct null_message;

struct null_key *null_key_new(void);
struct null_message *null_message_new(const struct null_key *k);
void null_message_free(struct null_message **m);
void null_message_body(struct null_message *m, const void *bytes, size_t len);
/* Ends the program if the signature does not verify. */
void null_message_end(struct null_message *m);

#endif
