/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         mta_script - what an MTA says, as bytes
 * DESCRIPTION  Frames of the milter protocol written one behind the other, and frames read for a
 *              person. Shares no code with milter/native.
 */
#ifndef ASSAY_MTA_SCRIPT_H
#define ASSAY_MTA_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MTA_SCRIPT_BYTES 65536

struct mta_script { /* zeroed is ready */
	unsigned char bytes[MTA_SCRIPT_BYTES];
	size_t len;
};

/* Too much ends the process. */
void mta_say(struct mta_script *s, char command, const void *data, size_t len);
void mta_say_text(struct mta_script *s, char command, const char *text); /* with its NUL */
/* A string literal as it is, without the NUL that C adds. */
#define MTA_SAY(s, command, literal) mta_say(s, command, literal, sizeof(literal) - 1)

/* All steps that the protocol's version 2 and version 6 know. */
#define MTA_STEPS_V2 0x7fu
#define MTA_STEPS_V6 0x1fffffu

void mta_offer(struct mta_script *s, uint32_t version, uint32_t actions, uint32_t steps);
void mta_connect(struct mta_script *s, const char *ip); /* with a HELO */
void mta_field(struct mta_script *s, const char *name, const char *value);
/* MAIL, RCPT, a From field, a body, its end with queue id "4QUEUE". */
void mta_message(struct mta_script *s, const char *sender, const char *author);

/* The frames in bytes, one a line, what is not printable as "."; cut where out is full. */
void mta_show(const unsigned char *bytes, size_t len, char *out, size_t size);

#endif
