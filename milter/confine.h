/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         confine - a process takes system calls away from itself
 * DESCRIPTION  confine_seccomp.c where libseccomp was found at configure time, confine_none.c
 *              where it was not, or where a sanitizer needs calls of its own.
 */
#ifndef ASSAY_CONFINE_H
#define ASSAY_CONFINE_H

/*
 * From here on: messages on descriptors that are open, memory, random numbers, the end. Any other
 * call ends the process. For good. 0, or -1 with *error_r set. Where nothing can be taken away:
 * 0.
 */
int confine_to_signing(const char **error_r);

#endif
