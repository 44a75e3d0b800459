/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "conf/conf.h"

int
conf_command(int argc, char **argv)
{
	struct conf *conf;
	char *error = NULL;

	if (argc == 2 && strcmp(argv[1], "--defaults") == 0) {
		conf_write_sample(stdout);
		return 0;
	}
	if (argc != 2 || argv[1][0] == '-') {
		bool help = argc == 2 && strcmp(argv[1], "--help") == 0;

		fputs("usage: assay conf FILE          check it, naming every fault\n"
		      "       assay conf --defaults    every setting with its default\n",
		    help ? stdout : stderr);
		return help ? 0 : EXIT_USAGE;
	}
	conf = conf_load(argv[1], &error);
	if (conf == NULL) {
		(void)fprintf(stderr, "%s\n", error);
		free(error);
		return EXIT_UNREADABLE;
	}
	(void)printf("%s: no fault found\n", argv[1]);
	conf_free(&conf);
	return 0;
}
