/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         store_memory - mail that is gone when the program ends
 * DESCRIPTION  A message's bytes are one counted block. Nothing here can fail.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/harness/postbox/store_internal.h"

static int
memory_load(struct store_account *account)
{
	(void)account;
	return 0;
}

static bool
memory_name_fits(struct slice name)
{
	(void)name;
	return true;
}

static int
memory_folder(struct store_folder *f)
{
	(void)f;
	return 0;
}

static int
memory_folder_rename(struct store_folder *f, const char *to)
{
	(void)f;
	(void)to;
	return 0;
}

static int
memory_stage(struct store_account *account, struct slice bytes, int64_t date_s, struct stored *m)
{
	(void)account;
	(void)date_s;
	m->text = text_new(bytes.len);
	if (bytes.len > 0)
		memcpy(m->text->bytes, bytes.p, bytes.len);
	return 0;
}

static void
memory_unstage(struct store_account *account, struct stored *m)
{
	(void)account;
	stored_fini(m);
}

static int
memory_message(struct store_folder *f, struct stored *m)
{
	(void)f;
	(void)m;
	return 0;
}

static struct counted_text *
memory_read(struct store_folder *f, const struct stored *m)
{
	(void)f;
	(void)atomic_fetch_add(&m->text->refs, 1);
	return m->text;
}

const struct store_backend store_memory = {
	.load = memory_load,
	.name_fits = memory_name_fits,
	.folder_make = memory_folder,
	.folder_remove = memory_folder,
	.folder_rename = memory_folder_rename,
	.stage = memory_stage,
	.unstage = memory_unstage,
	.commit = memory_message,
	.update = memory_message,
	.remove = memory_message,
	.keywords = memory_folder,
	.read = memory_read,
};
