/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         internal - what the files of policy/sig share and nobody else sees
 */
#ifndef ASSAY_SIG_INTERNAL_H
#define ASSAY_SIG_INTERNAL_H

#include "policy/sig/sig.h"

/* Of a TXT answer with at least one record: a struct sig_keys. */
extern const struct dns_decoder sig_keys_decoder;

#endif
