/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         hash - a keyed hash for tables whose keys come from strangers
 * DESCRIPTION  SipHash-2-4 (Aumasson, Bernstein 2012): without the key nobody can choose names that
 *              fall into one bucket.
 */
#ifndef ASSAY_DNS_HASH_H
#define ASSAY_DNS_HASH_H

#include <stdint.h>

#include "policy/base/slice.h"

#define HASH_KEY_BYTES 16

uint64_t hash_bytes(const uint8_t key[HASH_KEY_BYTES], struct slice s);

#endif
