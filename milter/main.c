/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         assayd - see assayd(8)
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "milter/daemon.h"

#define EXIT_USAGE 2

static int
usage(void)
{
	(void)fprintf(stderr, "usage: assayd [-Ct] [-c file]\n       assayd -V\n");
	return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	struct daemon_options options = { .conf_file = ASSAY_CONF_FILE,
		.report_program = ASSAY_PROGRAM };
	bool check = false;
	int c;

	(void)umask(077);
	while ((c = getopt(argc, argv, "Cc:tV")) != -1) {
		switch (c) {
		case 'C':
			options.keep_cores = true;
			break;
		case 'c':
			options.conf_file = optarg;
			break;
		case 't':
			check = true;
			break;
		case 'V':
			(void)printf("assayd %s\n", PACKAGE_VERSION);
			return EXIT_SUCCESS;
		default:
			return usage();
		}
	}
	if (optind != argc)
		return usage();
	return check ? daemon_check(options.conf_file) : daemon_main(&options);
}
