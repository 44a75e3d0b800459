/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         negotiate - what an MTA offers, and what is made of it
 * DESCRIPTION  Pure. Versions 2 to 6; the flags that we want are in milter/terms.h. What libmilter
 *              makes of an offer is made of it here, bit by bit.
 */
#ifndef ASSAY_NEGOTIATE_H
#define ASSAY_NEGOTIATE_H

#include "milter/native/wire.h"

struct agreement {
	uint32_t version, actions, steps; /* as told to the MTA */
	size_t data_max;		  /* bytes of data of one frame to the MTA */
};

/*
 * data: of the MTA's WIRE_NEGOTIATE. 0, or -1 with *error_r set (static text): it is malformed, too
 * old, or does not let us do what we must.
 */
int negotiate(struct slice data, struct agreement *out, const char **error_r);

/* Our answer, with the lists of macros where the MTA takes them. */
void agreement_put(const struct agreement *a, struct wire_output *out);

#endif
