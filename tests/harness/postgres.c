/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/postgres.h"

#include <dirent.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/support.h"

#define START_MS 30000
#define USER	 "postgres"

static bool
find_programs(char *programs, size_t size)
{
	glob_t found;
	bool there = glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0;

	if (there)
		(void)snprintf(programs, size, "%.*s",
		    (int)(strlen(found.gl_pathv[found.gl_pathc - 1]) - strlen("/initdb")),
		    found.gl_pathv[found.gl_pathc - 1]);
	globfree(&found);
	return there && (geteuid() != 0 || getpwnam(USER) != NULL);
}

bool
postgres_installed(void)
{
	char programs[128];

	return find_programs(programs, sizeof(programs));
}

/* argv for a program that must not run as root. */
static void
as_user(const char **argv, const char *const *command)
{
	static const char *const drop[] = { "/usr/bin/setpriv", "--reuid=" USER, "--regid=" USER,
		"--clear-groups" };

	if (geteuid() == 0)
		for (size_t i = 0; i < sizeof(drop) / sizeof(drop[0]); i++)
			*argv++ = drop[i];
	while ((*argv++ = *command++) != NULL)
		;
}

static void
make_cluster(struct postgres *p)
{
	const struct passwd *user = getpwnam(USER);
	char program[160], data[160], log[160];
	const char *const command[] = { program, "-D", data, "-A", "trust", "-U", "assay",
		"--no-sync", "-E", "UTF8", "--locale=C", NULL };
	const char *argv[24];
	struct child initdb;

	(void)snprintf(program, sizeof(program), "%s/initdb", p->programs);
	(void)snprintf(data, sizeof(data), "%s/data", p->folder);
	(void)snprintf(log, sizeof(log), "%s/initdb.log", p->folder);
	assert_int_equal(mkdir(p->folder, 0755), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(p->folder, user->pw_uid, user->pw_gid), 0);
	as_user(argv, command);
	child_start(&initdb, argv, log);
	if (child_wait(&initdb, START_MS) != 0) {
		child_show_log(&initdb);
		fail_msg("initdb fails");
	}
}

void
postgres_start(struct postgres *p)
{
	char program[160], data[160], port[8], log[160];
	const char *const command[] = { program, "-D", data, "-k", p->folder, "-p", port, "-c",
		"listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "full_page_writes=off", "-c",
		"log_min_messages=fatal", NULL };
	const char *argv[32];

	(void)snprintf(program, sizeof(program), "%s/postgres", p->programs);
	(void)snprintf(data, sizeof(data), "%s/data", p->folder);
	(void)snprintf(port, sizeof(port), "%u", p->port);
	(void)snprintf(log, sizeof(log), "%s/server.log", p->folder);
	as_user(argv, command);
	child_start(&p->server, argv, log);
	for (unsigned ms = 0; ms < START_MS && !port_listens(p->port); ms += 50)
		sleep_ms(50);
	if (!port_listens(p->port)) {
		child_show_log(&p->server);
		fail_msg("PostgreSQL does not start");
	}
}

void
postgres_open(struct postgres *p, const char *folder)
{
	*p = (struct postgres){ .port = free_port() };
	assert_true(find_programs(p->programs, sizeof(p->programs)));
	(void)snprintf(p->folder, sizeof(p->folder), "%s/postgres", folder);
	(void)snprintf(p->conninfo, sizeof(p->conninfo),
	    "host=127.0.0.1 port=%u user=assay dbname=postgres", p->port);
	assert_int_equal(chmod(folder, 0711), 0); /* user postgres must get through it */
	make_cluster(p);
	postgres_start(p);
}

static void
stop_by(struct postgres *p, int sig)
{
	if (p->server.pid == 0)
		return;
	(void)kill(p->server.pid, sig);
	if (child_wait(&p->server, START_MS) == -1)
		child_kill(&p->server);
}

void
postgres_stop(struct postgres *p)
{
	stop_by(p, SIGINT);
}

void
postgres_crash(struct postgres *p)
{
	stop_by(p, SIGQUIT);
}

void
postgres_close(struct postgres *p)
{
	postgres_silence(p, false);
	stop_by(p, SIGINT);
}

static pid_t
parent_of(const char *pid)
{
	char path[64];
	long parent = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	f = fopen(path, "r");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%*d (%*[^)]) %*c %ld", &parent) != 1)
		parent = 0;
	(void)fclose(f);
	return (pid_t)parent;
}

void
postgres_silence(struct postgres *p, bool silent)
{
	int sig = silent ? SIGSTOP : SIGCONT;
	const struct dirent *entry;
	DIR *proc;

	if (p->server.pid == 0)
		return;
	(void)kill(p->server.pid, sig); /* first: it makes no new ones meanwhile */
	proc = opendir("/proc");
	assert_non_null(proc);
	while ((entry = readdir(proc)) != NULL)
		if (ascii_is_digit(entry->d_name[0]) && parent_of(entry->d_name) == p->server.pid)
			(void)kill((pid_t)strtol(entry->d_name, NULL, 10), sig);
	(void)closedir(proc);
}
