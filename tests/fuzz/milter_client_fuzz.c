/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a filter answers, as the MTA's side of the milter protocol reads it: negotiation, an answer,
 * the end of a message. Asserts that an error has a text, that edits come at the end only and with
 * what their kind has, and that their sum is that of their bytes.
 */
#include <sys/socket.h>

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "policy/base/bug.h"
#include "tests/harness/milter_client.h"

#define INPUT_BYTES 65536 /* what a socket holds without a reader */

static void
check(const struct milter_client *c, int result)
{
	if (result == -1 && c->error[0] == '\0')
		bug("a failure without a reason");
	for (size_t i = 0; i < c->edit_count; i++) {
		const struct milter_edit *e = &c->edits[i];
		bool field = e->kind == MILTER_EDIT_ADD || e->kind == MILTER_EDIT_INSERT ||
		    e->kind == MILTER_EDIT_CHANGE;

		if (e->value == NULL || field != (e->name != NULL))
			bug("an edit without its parts");
		if (e->kind != MILTER_EDIT_BODY && strlen(e->value) != e->value_len)
			bug("a text with another length");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct milter_client c;
	int fds[2], result;

	if (size > INPUT_BYTES || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == -1)
		return 0;
	if (write(fds[1], data, size) != (ssize_t)size)
		bug("write");
	(void)shutdown(fds[1], SHUT_WR);
	milter_attach(&c, fds[0], 1000);
	result = milter_negotiate(&c, 6, MILTER_V6_ACTIONS, MILTER_V6_STEPS);
	check(&c, result);
	if (result == 0) {
		result = milter_helo(&c, "x");
		check(&c, result);
		if (c.edit_count > 0)
			bug("an edit before the end");
	}
	if (result != -1)
		check(&c, milter_eom(&c));
	milter_close(&c);
	(void)close(fds[1]);
	return 0;
}
