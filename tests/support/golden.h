/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         golden - whole outputs, kept in tests/golden
 * DESCRIPTION  golden_check() compares; `make golden` runs the tests that have golden files with
 *              ASSAY_GOLDEN=write, and then it writes them, for git diff to show what changed.
 */
#ifndef ASSAY_TEST_GOLDEN_H
#define ASSAY_TEST_GOLDEN_H

#include "policy/base/slice.h"

/* Fails the test where they differ, naming the file, the line and what stands in it. */
void golden_check(const char *name, struct slice got);

#endif
