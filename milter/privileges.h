/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         privileges - become somebody who can do little
 * DIAGNOSTICS  0, or -1 with *error_r set (static or errno text).
 */
#ifndef ASSAY_PRIVILEGES_H
#define ASSAY_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

struct identity {
	bool wanted; /* false: stay who we are */
	uid_t uid;
	gid_t gid;
};

/* user NULL: stay. group NULL: the user's own. *error_r names what is not there. Before threads
 * exist (getpwnam()). */
int identity_find(const char *user, const char *group, struct identity *out, const char **error_r);

/*
 * For good: supplementary groups, group, user, in that order, and a check that there is no way
 * back; no new privileges by execve(); no core files unless keep_cores; as many descriptors as we
 * may have; umask 077. Already being that user is fine.
 */
int privileges_drop(const struct identity *who, bool keep_cores, const char **error_r);

#endif
