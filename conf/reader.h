/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         reader - the text of a configuration file as a list of entries
 * DESCRIPTION  libconfuse knows the grammar; this is its only door. Before it sees the text, the
 *              text is checked and comments are blanked out, because libconfuse 3.3 counts a
 *              comment as three lines, drops bytes that it can't read without a word, puts
 *              environment variables in, and keeps reading the next file inside a string that the
 *              last one did not close.
 *              What comes out has lines, and knows nothing of kinds and ranges.
 * BUGS         MT: one caller at a time: libconfuse's lexer keeps its state in globals.
 */
#ifndef ASSAY_CONF_READER_H
#define ASSAY_CONF_READER_H

#include "conf/faults.h"
#include "conf/schema.h"

/*
 * One value; a list has one entry an item, an empty list one with item false. A section has an
 * entry of its own, without text, behind those of what stands in it.
 */
struct conf_entry {
	const struct conf_setting *setting;
	const struct conf_setting *section; /* what it stands in; NULL: in none */
	unsigned line;
	bool item;	    /* text was given; false: empty list, or a section */
	struct slice title; /* of that section */
	struct slice text;
};

struct conf_entries {
	struct conf_entry *list; /* in order of the file */
	size_t count, size;
};

/* Faults are added to f; entries found before the fault that ended the reading are there. */
void conf_read(
    struct arena *a, struct slice text, struct conf_entries *entries, struct conf_faults *f);

#endif
