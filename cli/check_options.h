/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         check_options - the command line of `assay check`
 */
#ifndef ASSAY_CHECK_OPTIONS_H
#define ASSAY_CHECK_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/base/ip.h"

struct check_options {		 /* text points into argv */
	const char *config_file; /* NULL: the defaults */
	const char *zone_file;	 /* NULL: real DNS */
	const char *record_file;
	const char *helo, *reverse_path; /* "" when not given */
	struct ip_address client;	 /* IP_NONE when not given */
	int64_t time_s;			 /* now when not given */
	size_t recipients;
	bool json;
	bool help;
	const char *message_file; /* NULL: SPF alone; "-": standard input */
};

extern const char check_usage[];

/* 0, or -1: a complaint was printed on standard error. */
int check_options_parse(int argc, char **argv, struct check_options *out);

#endif
