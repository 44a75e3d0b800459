/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         mta_recorder - an MTA that writes down what is asked of it
 * SYNOPSIS     struct mta_recorder r = { .queue_id = "4QUEUE" };
 *              struct mta mta = { &mta_recorder_calls, &r };
 * DESCRIPTION  A field to insert whose value has a CR in it or begins with a blank fails the test.
 */
#ifndef ASSAY_MTA_RECORDER_H
#define ASSAY_MTA_RECORDER_H

#include "milter/mta.h"

struct mta_recorder {
	char calls[16384]; /* one call a line */
	const char *queue_id, *auth_type, *auth_authen;
	const char *refuse; /* calls beginning so fail */
};

extern const struct mta_calls mta_recorder_calls; /* ctx: struct mta_recorder */

#endif
