/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/conf_rig.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/support/support.h"

static char folder[] = "/tmp/assay-conf.XXXXXX";

void
conf_rig_write(struct slice text)
{
	FILE *f = fopen(CONF_RIG_FILE, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text.p, 1, text.len, f), text.len);
	assert_int_equal(fclose(f), 0);
}

struct conf *
conf_rig_load(const char *text)
{
	char *error = NULL;
	struct conf *c;

	conf_rig_write(slice_str(text));
	c = conf_load(CONF_RIG_FILE, &error);
	if (c == NULL)
		fail_msg("%s\ngot  %s\nwant a configuration", text, error);
	return c;
}

int
conf_rig_enter(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL || chdir(folder) != 0 ? -1 : 0;
}

int
conf_rig_leave(void **state)
{
	(void)state;
	unlink(CONF_RIG_FILE);
	return chdir("/") != 0 || rmdir(folder) != 0 ? -1 : 0;
}
