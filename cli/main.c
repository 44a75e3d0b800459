/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "cli/cli.h"
#include "config.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{ "check", check_command, "say what assayd would do with a message, and why" },
	{ "conf", conf_command, "check a configuration, or show every setting with its default" },
	{ "keygen", keygen_command, "make a key for DKIM, and the DNS record for it" },
	{ "report", report_command,
	    "aggregate reports: list, show, preview, send, suppress, export" },
	{ "sign", sign_command, "sign a message with DKIM" },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
usage(FILE *f)
{
	fputs("usage: assay COMMAND [OPTION]...\n\n", f);
	for (size_t i = 0; i < COMMANDS; i++)
		(void)fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fputs("\n\"assay COMMAND --help\" tells more; so does the manual page assay(1).\n", f);
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts(PACKAGE_STRING);
		return 0;
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	(void)fprintf(stderr, "assay: no command \"%s\"\n", argv[1]);
	usage(stderr);
	return EXIT_USAGE;
}
