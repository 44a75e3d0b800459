/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         terms - what assayd asks of an MTA
 * DESCRIPTION  The flags of the milter protocol, as far as a filter or its front looks at them, and
 *              which of them we take. Every front negotiates the same.
 */
#ifndef ASSAY_TERMS_H
#define ASSAY_TERMS_H

/* clang-format off */

/* Actions: what a filter may do to a message. */
#define TERMS_ADD_HEADERS	0x001u
#define TERMS_CHANGE_HEADERS	0x010u
#define TERMS_QUARANTINE	0x020u
#define TERMS_SET_MACROS	0x100u	/* say which macros should come */

/* Steps: what is left out, what goes without an answer, what the MTA can do. */
#define TERMS_NR_HEADER		0x00000080u
#define TERMS_NO_UNKNOWN	0x00000100u
#define TERMS_NO_DATA		0x00000200u
#define TERMS_SKIP		0x00000400u	/* "no more of the body" is understood */
#define TERMS_NR_CONNECT	0x00001000u
#define TERMS_NR_HELO		0x00002000u
#define TERMS_NR_MAIL		0x00004000u
#define TERMS_NR_RCPT		0x00008000u
#define TERMS_NR_DATA		0x00010000u
#define TERMS_NR_UNKNOWN	0x00020000u
#define TERMS_NR_EOH		0x00040000u
#define TERMS_NR_BODY		0x00080000u
#define TERMS_LEADING_SPACE	0x00100000u	/* header values with the blank behind the colon */
#define TERMS_DATA_256K		0x10000000u	/* frames of that much data, not 64 KB */
#define TERMS_DATA_1M		0x20000000u

/* clang-format on */

/* Steps whose answer is always "continue": the MTA need not wait for it. */
#define TERMS_NO_REPLY                                                                             \
	(TERMS_NR_CONNECT | TERMS_NR_HELO | TERMS_NR_MAIL | TERMS_NR_RCPT | TERMS_NR_HEADER |      \
	    TERMS_NR_EOH)
/* Steps that nobody here listens to. An MTA that is too old for these two doesn't know them. */
#define TERMS_NO_STEP (TERMS_NO_DATA | TERMS_NO_UNKNOWN)
/* Taken where offered. */
#define TERMS_IF_OFFERED (TERMS_LEADING_SPACE | TERMS_SKIP)

#define TERMS_ACTIONS_NEEDED  (TERMS_ADD_HEADERS | TERMS_CHANGE_HEADERS)
#define TERMS_ACTIONS_OFFERED (TERMS_QUARANTINE | TERMS_SET_MACROS)

/* Stages of a session, as macros are listed by them. */
enum terms_stage {
	STAGE_CONNECT,
	STAGE_HELO,
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DATA,
	STAGE_END_OF_MESSAGE,
	STAGE_END_OF_HEADERS,
};
#define TERMS_STAGES (STAGE_END_OF_HEADERS + 1)

/*
 * By stage, the macros that are used, so that no others travel. A list must have a name in it, so
 * stages without one get one that no MTA has.
 */
extern const char *const terms_macros[TERMS_STAGES];

#endif
