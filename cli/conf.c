/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "conf/conf.h"

static int
print_sample(void)
{
	struct arena *a = arena_new(SIZE_MAX);
	struct slice sample = conf_write_sample(a);
	bool failed = fwrite(sample.p, 1, sample.len, stdout) != sample.len;

	arena_free(&a);
	return failed || fflush(stdout) != 0 ? EXIT_INTERNAL : 0;
}

int
conf_command(int argc, char **argv)
{
	struct conf *conf;
	char *error = NULL;

	if (argc == 2 && strcmp(argv[1], "--defaults") == 0) {
		return print_sample();
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
