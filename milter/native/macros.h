/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         macros - what an MTA tells beside the commands
 * DESCRIPTION  Names and values by stage. A stage's list lives until the next one of that stage, or
 *              until a command of an earlier stage comes again: HELO forgets what was said at MAIL,
 *              not what was said at CONNECT.
 */
#ifndef ASSAY_MACROS_H
#define ASSAY_MACROS_H

#include "milter/terms.h"
#include "policy/base/slice.h"

struct macros { /* zeroed is ready */
	struct macro_list {
		char *p; /* name NUL value NUL ...; heap; NULL: none */
		size_t len, size;
	} stages[TERMS_STAGES];
};

/*
 * data: of a WIRE_MACROS frame, a command and its list; copied. Lists of commands that have none
 * are passed over, as is a name without a value. 0, or -1 with *error_r set (static text): beyond
 * LIMIT_MACRO_BYTES or LIMIT_MACROS.
 */
int macros_set(struct macros *m, struct slice data, const char **error_r);

/* Those of stages behind this one. */
void macros_forget_after(struct macros *m, enum terms_stage stage);
void macros_forget_all(struct macros *m); /* gives back all memory */

/* The value at the latest stage that has it, or NULL. "i" and "{i}" are one name. Valid until the
 * next call. */
const char *macros_get(const struct macros *m, const char *name);

#endif
