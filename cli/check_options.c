/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/check_options.h"

#include <getopt.h>
#include <stdio.h>
#include <time.h>

#include "policy/base/num.h"

const char check_usage[] =
    "usage: assay check [--config FILE] [--dns ZONEFILE] [--record FILE] [--ip ADDR]\n"
    "                   [--helo NAME] [--from ADDR] [--to ADDR]... [--time EPOCH] [--json]\n"
    "                   [FILE|-]\n"
    "\n"
    "Evaluates a message as assayd would, and says why. Without FILE: SPF alone.\n"
    "\n"
    "  --config FILE   take options and local rules from FILE; else the defaults hold\n"
    "  --dns ZONEFILE  take every DNS answer from this zone text, ask nobody\n"
    "  --record FILE   save the DNS answers as zone text: replay with --dns FILE\n"
    "  --ip ADDR       address of the SMTP client\n"
    "  --helo NAME     what it said in HELO or EHLO\n"
    "  --from ADDR     reverse-path, the argument of MAIL FROM; default: null\n"
    "  --to ADDR       a recipient; for the record only\n"
    "  --time EPOCH    evaluate as if now were this Unix time\n"
    "  --json          one JSON object instead of text\n"
    "\n"
    "Exit status: 0 would be accepted, 1 rejected or quarantined, 75 answered with a temporary\n"
    "failure, 64 wrong options, 65 input that can't be read.\n";

enum {
	OPT_CONFIG = 1,
	OPT_DNS,
	OPT_RECORD,
	OPT_IP,
	OPT_HELO,
	OPT_FROM,
	OPT_TO,
	OPT_TIME,
	OPT_JSON,
	OPT_HELP
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "dns", required_argument, NULL, OPT_DNS },
	{ "record", required_argument, NULL, OPT_RECORD },
	{ "ip", required_argument, NULL, OPT_IP },
	{ "helo", required_argument, NULL, OPT_HELO },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "to", required_argument, NULL, OPT_TO },
	{ "time", required_argument, NULL, OPT_TIME },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static int
complain(const char *what, const char *value)
{
	(void)fprintf(stderr, "assay check: %s: \"%s\"\n", what, value);
	return -1;
}

static int
take_option(struct check_options *o, int option)
{
	uint64_t n;

	switch (option) {
	case OPT_CONFIG:
		o->config_file = optarg;
		return 0;
	case OPT_DNS:
		o->zone_file = optarg;
		return 0;
	case OPT_RECORD:
		o->record_file = optarg;
		return 0;
	case OPT_IP:
		return ip_parse(slice_str(optarg), &o->client) == 0
		    ? 0
		    : complain("--ip wants an IPv4 or IPv6 address", optarg);
	case OPT_HELO:
		o->helo = optarg;
		return 0;
	case OPT_FROM:
		o->reverse_path = optarg;
		return 0;
	case OPT_TO:
		o->recipients++;
		return 0;
	case OPT_TIME:
		if (num_u64(slice_str(optarg), 0, INT64_MAX, &n) != 0)
			return complain("--time wants seconds since 1970", optarg);
		o->time_s = (int64_t)n;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_HELP:
		o->help = true;
		return 0;
	default:
		return -1; /* getopt_long() has complained */
	}
}

int
check_options_parse(int argc, char **argv, struct check_options *out)
{
	int option;

	*out = (struct check_options){ .helo = "", .reverse_path = "", .time_s = time(NULL) };
	optind = 1;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (take_option(out, option) != 0)
			return -1;
	if (argc - optind > 1)
		return complain("one message at a time, this is one too many", argv[optind + 1]);
	out->message_file = argv[optind];
	return 0;
}
