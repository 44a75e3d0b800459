/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/row.h"

ENUMTAB_WORDS(report_disposition_word, enum report_disposition, REPORT_DISPOSITIONS)
