/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         pid_file - our process id in a file, for those who want one
 * DIAGNOSTICS  0, or -1 with errno set.
 */
#ifndef ASSAY_PID_FILE_H
#define ASSAY_PID_FILE_H

/* Created anew, mode 0644; a symbolic link is not followed. */
int pid_file_write(const char *path);

#endif
