/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         postbox/options - the command line
 * DESCRIPTION  Every option of postbox is a row of a table in options.c, from which --help is
 *              printed as well.
 */
#ifndef POSTBOX_OPTIONS_H
#define POSTBOX_OPTIONS_H

#include "tests/harness/postbox/server.h"

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_WRONG };

/*
 * Fill *out from the command line, with defaults for what is not there; text is arena memory.
 * OPTIONS_WRONG: *error_r says what (arena text).
 */
enum options_result options_read(
    struct arena *a, int argc, char *const *argv, struct server_options *out, const char **error_r);

/* What --help prints. */
struct slice options_help(struct arena *a);

#endif
