/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         line_watch - finds lines that the MTA will break
 * DESCRIPTION  A line has at most 998 bytes (RFC 5322 2.1.1, RFC 5321 4.5.3.1.6). Longer ones are
 *              taken in by MTAs, and broken when they send (Postfix: smtp_line_length_limit):
 *              after signing, so that the signature breaks with them.
 */
#ifndef ASSAY_LINE_WATCH_H
#define ASSAY_LINE_WATCH_H

#include <stdint.h>

#include "policy/base/slice.h"

struct line_watch {	/* zeroed is ready */
	uint64_t line;	/* lines that have ended */
	uint64_t over;	/* of them, and the one that has not: longer than 998 bytes */
	uint64_t first; /* number of the first one of these, from 1 */
	uint64_t longest, length;
	bool after_cr;
};

/* A piece of the text, cut anywhere; CR LF and LF end a line. */
void line_watch_update(struct line_watch *w, struct slice text);
/* The text ends here, with a line end or without. */
void line_watch_end(struct line_watch *w);

#endif
