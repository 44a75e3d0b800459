/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         faults - everything that is wrong with a configuration file, collected
 * DESCRIPTION  An operator should see all faults at once, in the order of the file.
 */
#ifndef ASSAY_CONF_FAULTS_H
#define ASSAY_CONF_FAULTS_H

#include "policy/base/arena.h"

#define CONF_FAULTS_MAX 50 /* further ones are only counted */

struct conf_fault {
	unsigned line; /* 0: the file as a whole */
	const char *text;
};

struct conf_faults {
	struct arena *arena;
	struct conf_fault list[CONF_FAULTS_MAX];
	size_t count; /* may pass CONF_FAULTS_MAX */
};

void conf_fault(struct conf_faults *f, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void conf_vfault(struct conf_faults *f, unsigned line, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

bool conf_fault_on_line(const struct conf_faults *f, unsigned line);

/* One a line, "file:line: text", by line; heap text. file is shown as it is. */
char *conf_faults_text(struct conf_faults *f, const char *file);

#endif
