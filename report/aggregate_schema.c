/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include <libxml/xmlreader.h>
#include <libxml/xmlschemas.h>

#include "policy/base/strbuf.h"
#include "report/aggregate_internal.h"

struct fault { /* the first one met */
	struct arena *arena;
	const char *text; /* or NULL */
};

/* libxml2 2.12 made the error const. */
#if LIBXML_VERSION >= 21200
typedef const xmlError *error_pointer;
#else
typedef xmlError *error_pointer;
#endif

static void
note_fault(void *ctx, error_pointer e)
{
	struct fault *f = ctx;
	const char *message = e->message == NULL ? "unknown fault" : e->message;

	if (f->text == NULL)
		f->text = arena_printf(f->arena, "line %d: %s", e->line,
		    arena_printable(f->arena, slice_trim(slice_str(message)), 400));
}

static const char *
schema_text(enum aggregate_format format)
{
	switch (format) {
	case AGGREGATE_RFC9990:
		return aggregate_schema_rfc9990;
	case AGGREGATE_RFC7489:
		return aggregate_schema_rfc7489;
	}
	bug("aggregate: format %d", (int)format);
}

static xmlSchemaPtr
schema_read(enum aggregate_format format, struct fault *f)
{
	const char *text = schema_text(format);
	xmlSchemaParserCtxtPtr parser = xmlSchemaNewMemParserCtxt(text, (int)strlen(text));
	xmlSchemaPtr schema;

	if (parser == NULL)
		out_of_memory(0);
	xmlSchemaSetParserStructuredErrors(parser, (xmlStructuredErrorFunc)note_fault, f);
	schema = xmlSchemaParse(parser);
	xmlSchemaFreeParserCtxt(parser);
	if (schema == NULL)
		bug("aggregate: schema %s: %s", aggregate_format_word(format),
		    f->text == NULL ? "out of memory" : f->text);
	return schema;
}

int
aggregate_validate(
    struct arena *a, struct slice xml, enum aggregate_format format, const char **error_r)
{
	struct fault f = { .arena = a };
	xmlSchemaPtr schema;
	xmlTextReaderPtr reader;
	int rc = -1, valid = 0;

	if (xml.len > REPORT_XML_BYTES) {
		*error_r = "is larger than a report may be";
		return -1;
	}
	schema = schema_read(format, &f);
	reader = xmlReaderForMemory(xml.p, (int)xml.len, NULL, NULL, XML_PARSE_NONET);
	if (reader != NULL) {
		xmlTextReaderSetStructuredErrorHandler(
		    reader, (xmlStructuredErrorFunc)note_fault, &f);
		if (xmlTextReaderSetSchema(reader, schema) == 0) {
			while ((rc = xmlTextReaderRead(reader)) == 1)
				;
			valid = xmlTextReaderIsValid(reader);
		}
		xmlFreeTextReader(reader);
	}
	xmlSchemaFree(schema);
	if (rc == 0 && valid == 1 && f.text == NULL)
		return 0;
	*error_r = f.text == NULL ? "is not a report" : f.text;
	return -1;
}
