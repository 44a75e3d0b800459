/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/subject.h"

#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/base/bug.h"

#define START_MS       20000
#define STOP_MS	       20000
#define TICK_MS	       20
#define ARGS_MAX       10
#define PATH_MAX_BYTES 320
#define FOLDER_BYTES   80

/* What a subject's program is started with. */
struct command {
	char texts[ARGS_MAX][PATH_MAX_BYTES];
	size_t count;
};

struct kind {
	const char *name;
	const char *program; /* with a slash in front: elsewhere than in the build folder */
	bool judges;
	bool is_peer;
	/* Write what it reads below folder, and its arguments. */
	void (*configure)(const struct lab *lab, const char *folder, struct command *c);
};

static void
arg(struct command *c, const char *text, const char *more)
{
	if (c->count == ARGS_MAX)
		bug("subject: arguments");
	(void)snprintf(c->texts[c->count], sizeof(c->texts[0]), "%s%s", text, more);
	c->count++;
}

/* Its configuration: the path of that file below folder, and the option that names it. */
static void
configuration(struct command *c, const char *option, char path[PATH_MAX_BYTES], const char *folder,
    const char *name)
{
	(void)snprintf(path, PATH_MAX_BYTES, "%s/%s", folder, name);
	arg(c, option, "");
	arg(c, path, "");
}

/* ---- each one's own ---- */

static void
configure_null_libmilter(const struct lab *lab, const char *folder, struct command *c)
{
	char path[PATH_MAX_BYTES];

	(void)lab;
	(void)snprintf(path, sizeof(path), "unix:%s/sock", folder);
	arg(c, path, "");
}

static void
configure_null_bare(const struct lab *lab, const char *folder, struct command *c)
{
	(void)lab;
	arg(c, folder, "/sock");
}

static void
configure_assay(const struct lab *lab, const char *folder, struct command *c, const char *more)
{
	char path[PATH_MAX_BYTES];

	configuration(c, "-c", path, folder, "assay.conf");
	lab_write(path,
	    "socket = \"unix:%s/sock\"\nsocket_mode = 0666\nlog_target = stderr\n"
	    "hostname = \"mx.here.example\"\nreport_store = \"\"\ndns_mode = forward\n"
	    "dns_forwarders = { \"127.0.0.1@%u\" }\n%s",
	    folder, lab->dns_port, more);
}

static void
configure_assay_libmilter(const struct lab *lab, const char *folder, struct command *c)
{
	configure_assay(lab, folder, c, "");
}

static void
configure_assay_native(const struct lab *lab, const char *folder, struct command *c)
{
	configure_assay(lab, folder, c, "front = native\n");
}

static void
configure_opendkim(const struct lab *lab, const char *folder, struct command *c)
{
	char path[PATH_MAX_BYTES];

	(void)lab;
	arg(c, "-f", "");
	configuration(c, "-x", path, folder, "opendkim.conf");
	lab_write(path,
	    "Socket local:%s/sock\nMode v\nSyslog no\nUMask 0000\nAuthservID mx.here.example\n"
	    "Nameservers 127.0.0.1\nInternalHosts 127.0.0.1\n",
	    folder);
}

static void
configure_opendmarc(const struct lab *lab, const char *folder, struct command *c)
{
	char path[PATH_MAX_BYTES];

	(void)lab;
	arg(c, "-f", "");
	configuration(c, "-c", path, folder, "opendmarc.conf");
	lab_write(path,
	    "Socket local:%s/sock\nSyslog false\nUMask 0000\nAuthservID mx.here.example\n"
	    "TrustedAuthservIDs mx.here.example\nRejectFailures true\nSPFSelfValidate true\n"
	    "SPFIgnoreResults true\n",
	    folder);
}

/* Of all its modules those that do what we do: SPF, DKIM, DMARC, and the field about them. */
static void
configure_rspamd(const struct lab *lab, const char *folder, struct command *c)
{
	char path[PATH_MAX_BYTES];

	(void)lab;
	/* All public suffixes there are would take it half a minute to compile. */
	(void)snprintf(path, sizeof(path), "%s/tld", folder);
	lab_write(path, "example\n");
	configuration(c, "-c", path, folder, "rspamd.conf");
	lab_write(path,
	    "options {\n pidfile = \"%s/pid\"; filters = \"dkim\"; tempdir = \"%s\";\n"
	    " cache_file = \"%s/cache\"; hs_cache_dir = \"%s\"; control_socket = \"%s/control\";\n"
	    " history_file = \"%s/history\"; history_rows = 200; local_addrs = [127.0.0.0/8];\n"
	    " url_tld = \"%s/tld\";\n"
	    " dns { nameserver = [\"127.0.0.1:53:10\"]; timeout = 5s; sockets = 16; }\n}\n"
	    "logging { type = \"console\"; level = \"warning\"; }\n"
	    "modules { path = \"/usr/share/rspamd/plugins/\"; }\n"
	    "actions { reject = 15; add_header = 6; }\n"
	    "group \"dmarc\" { symbols { \"DMARC_POLICY_REJECT\" { weight = 20; } } }\n"
	    "spf { spf_cache_size = 2k; spf_cache_expire = 1d; }\n"
	    "dkim { dkim_cache_size = 2k; dkim_cache_expire = 1d; time_jitter = 6h; }\n"
	    "dmarc { actions = { reject = \"reject\"; } }\n"
	    "milter_headers { use = [\"authentication-results\"]; }\n"
	    "worker \"rspamd_proxy\" { bind_socket = \"%s/sock mode=0666\"; milter = yes;\n"
	    " timeout = 120s; count = 1;\n"
	    " upstream \"local\" { default = yes; self_scan = yes; } }\n",
	    folder, folder, folder, folder, folder, folder, folder, folder);
	arg(c, "-f", "");
	arg(c, "-u", "");
	arg(c, "_rspamd", "");
	arg(c, "-g", "");
	arg(c, "_rspamd", "");
}

static const struct kind kinds[SUBJECTS] = {
	[SUBJECT_NULL_LIBMILTER] = { "null filter on libmilter", "null_libmilter", false, false,
	    configure_null_libmilter },
	[SUBJECT_NULL_BARE] = { "null filter, bare protocol", "null_bare", false, false,
	    configure_null_bare },
	[SUBJECT_ASSAY_LIBMILTER] = { "assayd, front libmilter", "assayd", true, false,
	    configure_assay_libmilter },
	[SUBJECT_ASSAY_NATIVE] = { "assayd, front native", "assayd", true, false,
	    configure_assay_native },
	[SUBJECT_RSPAMD] = { "rspamd, authentication modules", "/usr/bin/rspamd", true, true,
	    configure_rspamd },
	[SUBJECT_OPENDKIM] = { "OpenDKIM", "/usr/sbin/opendkim", false, true, configure_opendkim },
	[SUBJECT_OPENDMARC] = { "OpenDMARC", "/usr/sbin/opendmarc", true, true,
	    configure_opendmarc },
};

/* ---- all ---- */

const char *
subject_name(enum subject_id id)
{
	return kinds[id].name;
}

bool
subject_judges(enum subject_id id)
{
	return kinds[id].judges;
}

static void
program_path(const struct lab *lab, enum subject_id id, char path[PATH_MAX_BYTES])
{
	const char *program = kinds[id].program;

	if (program[0] == '/')
		(void)snprintf(path, PATH_MAX_BYTES, "%s", program);
	else
		(void)snprintf(path, PATH_MAX_BYTES, "%s/%s%s", lab->build,
		    strcmp(program, "assayd") == 0 ? "" : "tests/bench/", program);
}

const char *
subject_absent(const struct lab *lab, enum subject_id id)
{
	char path[PATH_MAX_BYTES];

	program_path(lab, id, path);
	if (access(path, X_OK) != 0)
		return "not installed";
	if (kinds[id].is_peer && !lab->own_network)
		return "needs a network of its own: run as root";
	return NULL;
}

/* Its folder must be its own where it becomes another user. */
static void
make_folder(enum subject_id id, const char *folder)
{
	const struct passwd *user = id == SUBJECT_RSPAMD ? getpwnam("_rspamd") : NULL;

	(void)mkdir(folder, 0755);
	if (user != NULL && chown(folder, user->pw_uid, user->pw_gid) != 0)
		bug("chown %s", folder);
}

static bool
wait_until_ready(struct subject *s)
{
	for (uint32_t ms = 0; ms < START_MS; ms += TICK_MS) {
		struct milter_client c;
		bool open = milter_open(&c, s->address, TICK_MS) == 0;

		milter_close(&c);
		if (open)
			return true;
		if (child_wait(&s->child, 0) != -1)
			return false;
		sleep_ms(TICK_MS);
	}
	return false;
}

int
subject_start(
    struct subject *s, const struct lab *lab, enum subject_id id, const struct corpus *corpus)
{
	char folder[FOLDER_BYTES], path[PATH_MAX_BYTES], log[PATH_MAX_BYTES];
	struct command c = { .count = 0 };
	const char *argv[ARGS_MAX + 2] = { path };

	*s = (struct subject){ .id = id };
	program_path(lab, id, path);
	(void)snprintf(folder, sizeof(folder), "%s/%d", lab->folder, (int)id);
	(void)snprintf(log, sizeof(log), "%s/stderr", folder);
	(void)snprintf(s->address, sizeof(s->address), "unix:%s/sock", folder);
	make_folder(id, folder);
	(void)unlink(s->address + strlen("unix:"));
	(void)unlink(log);
	kinds[id].configure(lab, folder, &c);
	for (size_t i = 0; i < c.count; i++)
		argv[i + 1] = c.texts[i];
	child_start(&s->child, argv, log);
	if (wait_until_ready(s) &&
	    script_new(&s->script, s->address, corpus, id == SUBJECT_OPENDMARC) == 0)
		return 0;
	(void)fprintf(stderr, "%s does not start:\n", kinds[id].name);
	child_show_log(&s->child);
	subject_stop(s);
	return -1;
}

void
subject_stop(struct subject *s)
{
	script_free(&s->script);
	if (s->child.pid <= 0)
		return;
	(void)kill(s->child.pid, SIGTERM);
	if (child_wait(&s->child, STOP_MS) == -1)
		child_kill(&s->child);
}
