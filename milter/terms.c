/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/terms.h"

#define NO_MACRO "{assay_none}"

const char *const terms_macros[TERMS_STAGES] = {
	[STAGE_CONNECT] = NO_MACRO,
	[STAGE_HELO] = NO_MACRO,
	[STAGE_MAIL] = "{auth_type} {auth_authen}",
	[STAGE_RCPT] = NO_MACRO,
	[STAGE_DATA] = NO_MACRO,
	[STAGE_END_OF_MESSAGE] = "i",
	[STAGE_END_OF_HEADERS] = NO_MACRO,
};
