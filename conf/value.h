/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         value - the text of a setting made into what struct conf holds
 * DESCRIPTION  Pure but for memory. The default of a row goes the same way as what a file says.
 */
#ifndef ASSAY_CONF_VALUE_H
#define ASSAY_CONF_VALUE_H

#include "conf/schema.h"

/*
 * Store the texts given for a setting (one, but for lists) at its place in object: the struct conf,
 * or that of a section. What is stored is arena memory. 0, or -1 with *bad_r the index of the text
 * at fault, *why_r a detail for people or NULL, and object untouched. Not for CONF_SECTIONS.
 */
int conf_value_store(struct arena *a, const struct conf_setting *s, const struct slice *texts,
    size_t count, void *object, size_t *bad_r, const char **why_r)
    __attribute__((warn_unused_result));

/* Store the default of the row. */
void conf_value_default(struct arena *a, const struct conf_setting *s, void *object);

/* Store the title of a section in its object: a name, or a domain or "*." and a domain. As above.
 */
int conf_value_title(struct arena *a, const struct conf_setting *s, struct slice title,
    void *object, const char **why_r) __attribute__((warn_unused_result));

/* Numbers with their largest unit that leaves no rest: "5s", "16M". Arena text. */
const char *conf_duration_text(struct arena *a, uint64_t ms);
const char *conf_size_text(struct arena *a, uint64_t bytes);

#endif
