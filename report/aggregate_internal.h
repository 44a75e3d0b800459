/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         aggregate_internal - what the files of aggregate share
 * DESCRIPTION  aggregate.c holds the order and the limits, aggregate_xml.c writes elements,
 *              aggregate_schema.c validates; schema_text.c is made from the .xsd files by make.
 */
#ifndef ASSAY_AGGREGATE_INTERNAL_H
#define ASSAY_AGGREGATE_INTERNAL_H

#include "report/aggregate.h"

/* ---- aggregate_xml.c ---- */

struct xml; /* a document under way, in memory */

struct xml *xml_new(void);
void xml_free(struct xml **x);
/* What was written so far; good until the next write. */
struct slice xml_text(struct xml *x);

/* Declaration, the root's start, metadata, policy; error: as it is to be written, or empty. */
void xml_head(struct xml *x, const struct aggregate_report *report, struct slice error);

/* An invisible root, below which records then stand: call once, first. */
void xml_body(struct xml *x);

/* False: the row can't be reported, and nothing was written. */
bool xml_record(struct xml *x, enum aggregate_format format, const struct report_row *row);

#define XML_END "</feedback>\n"

/* ---- aggregate_schema.c, schema_text.c ---- */

extern const char aggregate_schema_rfc9990[], aggregate_schema_rfc7489[];

#endif
