/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         base64 - RFC 4648 section 4, as DKIM writes it
 * DESCRIPTION  Decoding skips FWS anywhere (RFC 6376 3.2) and wants correct padding at the end and
 *              nothing behind it. Every byte outside the alphabet is an error.
 * DIAGNOSTICS  0 or -1; on -1 *out is untouched.
 */
#ifndef ASSAY_BASE64_H
#define ASSAY_BASE64_H

#include "policy/base/arena.h"

int base64_decode(struct arena *a, struct slice text, struct slice *out)
    __attribute__((warn_unused_result));
struct slice base64_encode(struct arena *a, struct slice bytes);

#endif
