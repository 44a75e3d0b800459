/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         domain - domain names in the form we compare
 * DESCRIPTION  Normal form: A-labels, ASCII lower case, no final dot, labels of 1..63 bytes, at
 * most 253 in all, every byte printable ASCII. domain_normalize() makes it; the other functions
 * want it. A domain literal ("[192.0.2.1]") is not a domain name.
 */
#ifndef ASSAY_DOMAIN_H
#define ASSAY_DOMAIN_H

#include "policy/base/arena.h"

/*
 * in: ASCII or UTF-8 (U-labels, mapped by UTS 46 non-transitional, RFC 5891 for the rest; RFC 8616
 * section 3, RFC 9989 5.3.1), one final dot tolerated. *out is arena memory.
 * 0, or -1 with *why_r a static text; *out is then untouched.
 */
int domain_normalize(struct arena *a, struct slice in, struct slice *out, const char **why_r)
    __attribute__((warn_unused_result));

/* Nothing but letters, digits, hyphens and, because mail has them, underscores? DNS knows others.
 */
bool domain_is_host_name(struct slice domain);

/* How many labels; 0 for the empty name. */
size_t domain_labels(struct slice domain);

/* The name made of the last n labels (all of it when it has no more). */
struct slice domain_last_labels(struct slice domain, size_t n);

/* domain without its first label; empty when there is only one. */
struct slice domain_parent(struct slice domain);

/* Is name equal to domain or below it? Case is ignored. */
bool domain_covers(struct slice domain, struct slice name);

#endif
