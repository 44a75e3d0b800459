/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         cli - the operator's tool: one file a subcommand
 * DESCRIPTION  A subcommand gets its own argv (argv[0] is its name) and returns the exit status.
 */
#ifndef ASSAY_CLI_H
#define ASSAY_CLI_H

#include <stdio.h>

/* Exit statuses beside 0 (accepted, done); sysexits.h numbers where there is one. */
#define EXIT_REFUSED	1  /* would be rejected, quarantined or discarded */
#define EXIT_USAGE	64 /* wrong options */
#define EXIT_UNREADABLE 65 /* input that can't be read: message, zone, configuration */
#define EXIT_INTERNAL	70 /* a library can't be used */
#define EXIT_TEMPFAIL	75 /* would be answered 4xx */
#define EXIT_CONFIG	78 /* the configuration does not allow it */

int check_command(int argc, char **argv);
int conf_command(int argc, char **argv);
int keygen_command(int argc, char **argv);
int report_command(int argc, char **argv);
int sign_command(int argc, char **argv);

#endif
