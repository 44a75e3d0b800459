/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int
identity_find(const char *user, const char *group, struct identity *out, const char **error_r)
{
	const struct passwd *pw;
	const struct group *gr;

	*out = (struct identity){ 0 };
	if (user == NULL)
		return 0;
	pw = getpwnam(user);
	if (pw == NULL) {
		*error_r = "no such user";
		return -1;
	}
	*out = (struct identity){ .wanted = true, .uid = pw->pw_uid, .gid = pw->pw_gid };
	if (group == NULL)
		return 0;
	gr = getgrnam(group);
	if (gr == NULL) {
		*error_r = "no such group";
		return -1;
	}
	out->gid = gr->gr_gid;
	return 0;
}

static int
become(const struct identity *who, const char **error_r)
{
	if (geteuid() == who->uid && getegid() == who->gid && who->uid != 0)
		return 0;
	if (setgroups(1, &who->gid) != 0 || setresgid(who->gid, who->gid, who->gid) != 0 ||
	    setresuid(who->uid, who->uid, who->uid) != 0) {
		*error_r = strerror(errno);
		return -1;
	}
	if (who->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0)) {
		*error_r = "privileges came back";
		return -1;
	}
	return 0;
}

static void
set_limits(bool keep_cores)
{
	const struct rlimit none = { 0, 0 };
	struct rlimit files;

	if (!keep_cores)
		(void)setrlimit(RLIMIT_CORE, &none);
	/* A descriptor a connection: the soft limit is often 1024. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

int
privileges_drop(const struct identity *who, bool keep_cores, const char **error_r)
{
	(void)umask(077);
	set_limits(keep_cores);
	if (who->wanted && become(who, error_r) != 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		*error_r = strerror(errno);
		return -1;
	}
	return 0;
}
