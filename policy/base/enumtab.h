/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         enumtab - an enum, its words and its reasons from one list
 * DESCRIPTION  A list is a macro that calls X once a row. The first column is the enumerator.
 *
 *                  #define SPF_RESULTS(X) X(SPF_NONE, "none") X(SPF_PASS, "pass") ...
 *                  enum spf_result { SPF_RESULTS(ENUMTAB_NAME) };
 *                  ENUMTAB_WORDS(spf_result_word, enum spf_result, SPF_RESULTS)
 *
 *              The function made by ENUMTAB_WORDS ends the process on a value not in the list.
 */
#ifndef ASSAY_ENUMTAB_H
#define ASSAY_ENUMTAB_H

#include "policy/base/bug.h"

#define ENUMTAB_NAME(name, ...) name,
#define ENUMTAB_CASE(name, word, ...)                                                              \
	case name:                                                                                 \
		return word;

#define ENUMTAB_WORDS(function, type, LIST)                                                        \
	const char *function(type value)                                                           \
	{                                                                                          \
		switch (value) {                                                                   \
			LIST(ENUMTAB_CASE)                                                         \
		}                                                                                  \
		bug(#function ": %d", (int)value);                                                 \
	}

#endif
