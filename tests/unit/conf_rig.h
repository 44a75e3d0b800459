/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         conf_rig - a configuration file of the test's own
 * DESCRIPTION  conf_rig_enter() and conf_rig_leave() are a group's set-up and tear-down: they make
 * a folder that is the working directory meanwhile, and remove it.
 */
#ifndef ASSAY_CONF_RIG_H
#define ASSAY_CONF_RIG_H

#include "conf/conf.h"

#define CONF_RIG_FILE "t.conf" /* in that folder */

int conf_rig_enter(void **state);
int conf_rig_leave(void **state);

void conf_rig_write(struct slice text);
/* text must load; what the file says of one setting is looked at by the caller, who frees it. */
struct conf *conf_rig_load(const char *text);

#endif
