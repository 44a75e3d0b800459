/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         daemon - the life of assayd between start and end
 * DESCRIPTION  start: socket, privileges, service, in that order; serve: libmilter in a thread of
 *              its own, signals in this one; stop: take nothing new, let messages under way finish.
 * DIAGNOSTICS  Everything that goes wrong is logged; the result is the exit status.
 */
#ifndef ASSAY_DAEMON_H
#define ASSAY_DAEMON_H

#include <stdbool.h>

struct daemon_options {
	const char *conf_file;
	const char *report_program; /* unless the configuration names another */
	bool keep_cores;
};

/* Would we start with this file? Says so on standard output, or every fault on standard error. */
int daemon_check(const char *conf_file);

/* Until told to stop. */
int daemon_main(const struct daemon_options *options);

#endif
