/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         check - what the parts of `assay check` share
 */
#ifndef ASSAY_CHECK_H
#define ASSAY_CHECK_H

#include "policy/decide.h"

struct check_outcome {
	const struct verdict *verdict;
	const struct disposition *disposition;
	struct slice authentication_results; /* the field body */
	const char *note; /* NULL, or why assayd would not have looked at it at all */
};

/* One JSON object and a newline on stdout. 0, or -1 when memory or stdout fails. */
int check_print_json(struct arena *a, const struct check_outcome *outcome);

/* The same for a person. 0, or -1 when stdout fails. */
int check_print_text(struct arena *a, const struct check_outcome *outcome);

#endif
