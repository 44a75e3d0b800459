/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         exchanger - who takes the mail of a destination's domain
 * DESCRIPTION  Limits count by it: a thousand domains at one provider are one neighbour. It is
 *              named by the organizational domain of the most preferred MX host, as far as that
 *              can be found out, or by the domain itself where it has no MX but an address (RFC
 *              5321 5.1). Who wants reports but takes no mail, by saying so (RFC 7505) or by not
 *              being there at all, can't get any.
 */
#ifndef ASSAY_EXCHANGER_H
#define ASSAY_EXCHANGER_H

#include "policy/dmarc/dmarc.h"

enum exchanger_result {
	EXCHANGER_FOUND,
	EXCHANGER_NONE,	 /* nobody takes mail for it */
	EXCHANGER_LATER, /* DNS trouble */
};

/* host: normal form. *name_r: set with EXCHANGER_FOUND; arena memory or points into host. */
enum exchanger_result exchanger_find(struct arena *a, struct lookups *l,
    const struct dmarc_options *options, struct slice host, struct slice *name_r);

#endif
