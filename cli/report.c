/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/report.h"

#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "policy/base/num.h"

static const char usage[] =
    "usage: assay report list [--all] [DOMAIN]\n"
    "       assay report show [--xml] REPORT-ID\n"
    "       assay report preview [--xml] DOMAIN\n"
    "       assay report send [--dry-run DIR | --again REPORT-ID]\n"
    "       assay report suppress [ADDRESS [--for DAYS] [--reason TEXT] | ADDRESS --lift]\n"
    "       assay report export DIR\n"
    "       assay report bounce [FILE|-]\n"
    "       assay report run [--until-eof]\n"
    "\n"
    "Aggregate reports (RFC 9990): what is pending, what it says, and the way out.\n"
    "\n"
    "  list      periods, reports and destinations that are not done, and why nothing goes out\n"
    "  show      one report that was made, and what came of it\n"
    "  preview   the reports about DOMAIN as they would be now; nothing is changed\n"
    "  send      make the reports of periods that are over, send what is due, and end\n"
    "  suppress  leave ADDRESS alone; without it: who is left alone\n"
    "  export    write the reports that are kept to DIR, as they were attached\n"
    "  bounce    read a bounce, and leave its destination alone for a while\n"
    "  run       the same as send, for ever, whenever something is due\n"
    "\n"
    "  --config FILE      the configuration of assayd; else the defaults hold\n"
    "  --time EPOCH       act as if now were this Unix time\n"
    "  --all              also what is done\n"
    "  --xml              the XML alone\n"
    "  --dry-run DIR      send nothing, change nothing: write the messages to DIR\n"
    "  --again REPORT-ID  send this report once more, to all its destinations\n"
    "  --for DAYS         for so long; else until --lift\n"
    "  --lift             no longer\n"
    "  --reason TEXT      why, for the list\n"
    "  --until-eof        end when standard input does: with whoever started it\n"
    "\n"
    "Exit status: 0 done, 1 nothing found or something failed for good, 75 something is left for\n"
    "later, 64 wrong options, 65 input that can't be read, 70 a library or the database fails,\n"
    "78 nothing can be sent with this configuration.\n";

/* The fault is not to scroll away. */
static const char hint[] = "assay report --help says what there is.\n";

enum {
	OPT_CONFIG = 1,
	OPT_TIME,
	OPT_ALL,
	OPT_XML,
	OPT_DRY_RUN,
	OPT_AGAIN,
	OPT_FOR,
	OPT_LIFT,
	OPT_REASON,
	OPT_UNTIL_EOF,
	OPT_HELP
};
#define BIT(option) (1u << (option))
#define ALWAYS	    (BIT(OPT_CONFIG) | BIT(OPT_TIME) | BIT(OPT_HELP))

static const struct option long_options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "time", required_argument, NULL, OPT_TIME },
	{ "all", no_argument, NULL, OPT_ALL },
	{ "xml", no_argument, NULL, OPT_XML },
	{ "dry-run", required_argument, NULL, OPT_DRY_RUN },
	{ "again", required_argument, NULL, OPT_AGAIN },
	{ "for", required_argument, NULL, OPT_FOR },
	{ "lift", no_argument, NULL, OPT_LIFT },
	{ "reason", required_argument, NULL, OPT_REASON },
	{ "until-eof", no_argument, NULL, OPT_UNTIL_EOF },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

enum argument { ARGUMENT_NONE, ARGUMENT_MAY, ARGUMENT_MUST };

static const struct {
	const char *name;
	int (*run)(struct report_run *r);
	unsigned options; /* beside ALWAYS */
	enum argument argument;
} commands[] = {
	{ "list", report_list_command, BIT(OPT_ALL), ARGUMENT_MAY },
	{ "show", report_show_command, BIT(OPT_XML), ARGUMENT_MUST },
	{ "preview", report_preview_command, BIT(OPT_XML), ARGUMENT_MUST },
	{ "send", report_send_command, BIT(OPT_DRY_RUN) | BIT(OPT_AGAIN), ARGUMENT_NONE },
	{ "suppress", report_suppress_command, BIT(OPT_FOR) | BIT(OPT_LIFT) | BIT(OPT_REASON),
	    ARGUMENT_MAY },
	{ "export", report_export_command, 0, ARGUMENT_MUST },
	{ "bounce", report_bounce_command, 0, ARGUMENT_MAY },
	{ "run", report_run_command, BIT(OPT_UNTIL_EOF), ARGUMENT_NONE },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

int
report_complain(int status, const char *what, const char *why)
{
	(void)fprintf(stderr, "assay report: %s: %s\n", what, why);
	return status;
}

int64_t
report_now_s(const struct report_run *r)
{
	return (int64_t)time(NULL) + r->clock_offset_s;
}

static int
take_number(const char *option, const char *allowed, uint64_t max, uint64_t *out)
{
	if (num_u64(slice_str(optarg), 1, max, out) == 0)
		return 0;
	return report_complain(-1, option, allowed);
}

static int
take_option(struct report_options *o, int option)
{
	uint64_t n = 0;
	int rc = 0;

	switch (option) {
	case OPT_CONFIG:
		o->config_file = optarg;
		break;
	case OPT_TIME:
		rc = take_number("--time", "wants seconds since 1970", INT64_MAX / 2, &n);
		o->time_s = (int64_t)n;
		break;
	case OPT_ALL:
		o->all = true;
		break;
	case OPT_XML:
		o->xml = true;
		break;
	case OPT_DRY_RUN:
		o->dry_run = optarg;
		break;
	case OPT_AGAIN:
		o->again = optarg;
		break;
	case OPT_FOR:
		rc = take_number("--for", "wants a number of days, 1 to 36500", 36500, &n);
		o->for_days = (uint32_t)n;
		break;
	case OPT_LIFT:
		o->lift = true;
		break;
	case OPT_REASON:
		o->reason = optarg;
		break;
	case OPT_UNTIL_EOF:
		o->until_eof = true;
		break;
	default:
		o->help = true;
		break;
	}
	return rc;
}

/* Options that say nothing without another, or two things at once. */
static int
check_together(const struct report_options *o, const char *name)
{
	bool about_address = o->lift || o->for_days > 0 || o->reason != NULL;

	if (about_address && o->argument == NULL)
		return report_complain(-1, name, "it wants an address with these options");
	if (o->lift && (o->for_days > 0 || o->reason != NULL))
		return report_complain(-1, "--lift", "goes with no other option");
	if (o->dry_run != NULL && o->again != NULL)
		return report_complain(-1, "--again", "does not go with --dry-run");
	return 0;
}

static int
parse(size_t command, int argc, char **argv, struct report_options *o)
{
	const char *name = commands[command].name;
	int option, left;

	optind = 1;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == '?')
			return -1; /* getopt_long() has complained */
		if ((BIT(option) & (ALWAYS | commands[command].options)) == 0)
			return report_complain(-1, name, "it has no such option");
		if (take_option(o, option) != 0)
			return -1;
	}
	left = argc - optind;
	if (o->help)
		return 0;
	if (left > (commands[command].argument == ARGUMENT_NONE ? 0 : 1))
		return report_complain(-1, argv[argc - 1], "this is one too many");
	if (left == 0 && commands[command].argument == ARGUMENT_MUST)
		return report_complain(-1, name, "it wants an argument");
	o->argument = left == 1 ? argv[optind] : NULL;
	return check_together(o, name);
}

static int
run_command(size_t command, int argc, char **argv)
{
	struct report_run r = { .arena = NULL };
	int status;

	if (parse(command, argc, argv, &r.options) != 0) {
		fputs(hint, stderr);
		return EXIT_USAGE;
	}
	if (r.options.help) {
		fputs(usage, stdout);
		return 0;
	}
	(void)signal(SIGPIPE, SIG_IGN); /* deliver.h */
	r.arena = arena_new(SIZE_MAX);
	if (r.options.time_s != 0)
		r.clock_offset_s = r.options.time_s - (int64_t)time(NULL);
	r.patient = commands[command].run == report_run_command;
	status = report_open_store(&r);
	if (status == 0)
		status = commands[command].run(&r);
	if (fflush(stdout) != 0)
		status = report_complain(EXIT_INTERNAL, "standard output", "can't be written");
	report_close(&r);
	return status;
}

int
report_command(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	for (size_t i = 0; argc >= 2 && i < COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return run_command(i, argc - 1, argv + 1);
	if (argc < 2) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	(void)fprintf(stderr, "assay report: no command \"%s\"\n%s", argv[1], hint);
	return EXIT_USAGE;
}
