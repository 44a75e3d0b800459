/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         num - numbers out of text
 * DESCRIPTION  Decimal digits only: no sign, no space, no prefix. The whole text is the number and
 *              lies within [min, max], or the call fails and *out is untouched.
 * DIAGNOSTICS  0 or -1.
 */
#ifndef ASSAY_NUM_H
#define ASSAY_NUM_H

#include <stdint.h>

#include "policy/base/slice.h"

int num_u32(struct slice text, uint32_t min, uint32_t max, uint32_t *out)
    __attribute__((warn_unused_result));
int num_u64(struct slice text, uint64_t min, uint64_t max, uint64_t *out)
    __attribute__((warn_unused_result));

#endif
