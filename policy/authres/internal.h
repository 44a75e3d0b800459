/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of authres share; seen by nobody else. */
#ifndef ASSAY_AUTHRES_INTERNAL_H
#define ASSAY_AUTHRES_INTERNAL_H

#include "policy/syntax/lex.h"

/* RFC 2045 5.1 token; bytes from 0x80 on by RFC 8601 2.2. */
extern const bool authres_token[256];

static inline bool
authres_is_token(char c)
{
	return authres_token[(unsigned char)c];
}

/* RFC 5321 4.1.2 Keyword: letters, digits, hyphens, the last no hyphen. */
bool authres_is_keyword(struct slice s);

/*
 * RFC 8601 2.2 pvalue without the CFWS around it: a token, a quoted string (unquoted in *out), or
 * [local-part] "@" domain (as it stands but unfolded, a quoted local-part with its quotes). 0 or
 * -1.
 */
int authres_read_pvalue(struct lex *l, struct arena *a, struct slice *out);

#endif
