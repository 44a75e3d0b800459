/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/confine.h"

int
confine_to_signing(const char **error_r)
{
	(void)error_r;
	return 0;
}
