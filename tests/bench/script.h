/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         script - a corpus as the bytes that Postfix would send to one filter
 * DESCRIPTION  The filter is asked once what it negotiates; then every message is written down as
 *              packets: macros before each command, header values with LF and, unless the filter
 *              wants it, without their leading blank, body chunks of 65,535 bytes. A step is what
 *              Postfix sends before it waits for an answer, or hands the connection from smtpd to
 *              cleanup. So a run only has to write and to read, and costs little.
 */
#ifndef ASSAY_BENCH_SCRIPT_H
#define ASSAY_BENCH_SCRIPT_H

#include "tests/bench/corpus.h"
#include "tests/harness/milter_client.h"

enum wait_for {
	WAIT_NOTHING,
	WAIT_NEGOTIATION,
	WAIT_ANSWER,
	WAIT_END, /* of the message: edits and progress may come before */
};

struct step {
	size_t at, len; /* in bytes of the act */
	enum wait_for wait;
	bool body; /* not sent once the filter said "skip" */
};

struct act { /* one message, or the beginning of a connection */
	char *bytes;
	size_t len, size;
	struct step *steps;
	size_t step_count;
	bool forged;
};

struct script {
	const struct corpus *corpus;
	char address[128];
	struct milter_client negotiated;
	bool with_results; /* messages carry the field that OpenDKIM writes, for OpenDMARC */
	/* A beginning for each message: the client is the first message's. */
	struct act *beginnings, *messages;
	size_t count;
};

/* 0, or -1: the filter does not answer, said on standard error. Borrows corpus. */
int script_new(
    struct script *s, const char *address, const struct corpus *corpus, bool with_results);
void script_free(struct script *s);

#endif
