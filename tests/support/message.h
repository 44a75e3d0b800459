/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         message - a whole message in memory, for tests
 */
#ifndef ASSAY_TEST_MESSAGE_H
#define ASSAY_TEST_MESSAGE_H

#include "policy/syntax/header.h"

struct test_message {
	struct header_list header;
	struct slice body;
};

/* raw: a file's bytes, CRLF or LF. Fails the test when it passes a limit. Arena memory. */
void test_message_read(struct arena *a, struct slice raw, struct test_message *out);

#endif
