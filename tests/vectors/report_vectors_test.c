/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our schemas against the public ones (vectors/report: RFC 9990 Appendix A, RFC 7489 Appendix C
 * mended): what we write is valid under both, and whatever the public one refuses, ours refuses.
 * Tried on the public samples, and on our own reports with every element in turn left out,
 * doubled, renamed, moved, emptied and filled with what does not belong there.
 */
#include <dirent.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlschemas.h>

#include "report/gzip.h"
#include "tests/support/report_sample.h"
#include "tests/support/support.h"

#define ARENA_BYTES  (64u * 1024 * 1024)
#define SAMPLE_BYTES (16u * 1024 * 1024)
#define ELEMENTS_MAX 1000

struct public_schema {
	xmlSchemaPtr schema;
	xmlSchemaValidCtxtPtr context;
};

struct tally {
	size_t documents, public_refused, ours_refused, bad;
};

static void
quiet(void *ctx, const char *format, ...)
{
	(void)ctx;
	(void)format;
}

static struct public_schema
open_public(struct arena *a, const char *file)
{
	const char *path = arena_printf(a, "%s/report/%s", vectors_folder(), file);
	xmlSchemaParserCtxtPtr parser = xmlSchemaNewParserCtxt(path);
	struct public_schema p = { .schema = xmlSchemaParse(parser) };

	xmlSchemaFreeParserCtxt(parser);
	if (p.schema == NULL)
		fail_msg("%s is no schema", path);
	p.context = xmlSchemaNewValidCtxt(p.schema);
	xmlSchemaSetValidErrors(p.context, quiet, quiet, NULL);
	return p;
}

static void
close_public(struct public_schema *p)
{
	xmlSchemaFreeValidCtxt(p->context);
	xmlSchemaFree(p->schema);
}

static bool
public_accepts(const struct public_schema *p, struct slice xml)
{
	xmlDocPtr document = xmlReadMemory(xml.p, (int)xml.len, NULL, NULL,
	    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	bool valid = document != NULL && xmlSchemaValidateDoc(p->context, document) == 0;

	xmlFreeDoc(document);
	return valid;
}

static void
compare(struct tally *t, const struct public_schema *p, enum aggregate_format format,
    struct slice xml, const char *what)
{
	struct arena *a = arena_new(ARENA_BYTES);
	const char *error = "";
	bool ours = aggregate_validate(a, xml, format, &error) == 0;
	bool others = public_accepts(p, xml);

	t->documents++;
	t->public_refused += !others;
	t->ours_refused += !ours;
	if (ours && !others) {
		(void)printf("FAIL %s: ours accepts it, the public schema does not\n", what);
		t->bad++;
	}
	arena_free(&a);
}

static void
finish(const struct tally *t, const char *what)
{
	(void)printf("%s: %zu documents; the public schema refuses %zu, ours %zu, "
		     "among them every one of those\n",
	    what, t->documents, t->public_refused, t->ours_refused);
	if (t->bad > 0)
		fail_msg("%zu documents are valid by our schema alone", t->bad);
}

/* ---- what we write, and what can go wrong with it ---- */

static size_t
list_elements(xmlNodePtr n, xmlNodePtr *list, size_t count)
{
	for (; n != NULL; n = n->next) {
		if (n->type != XML_ELEMENT_NODE || count == ELEMENTS_MAX)
			continue;
		list[count++] = n;
		count = list_elements(n->children, list, count);
	}
	return count;
}

static const char *const fillings[] = { "", "x", "0", "-1", "1.5", "1.0", "none", "pass", "a b",
	"@", "256.0.0.1", "forwarded", "sampled_out", "helo", "unknown" };
#define FILLINGS  (sizeof(fillings) / sizeof(fillings[0]))
#define MUTATIONS (7 + FILLINGS)

static bool
is_leaf(const xmlNode *n)
{
	return xmlFirstElementChild((xmlNodePtr)n) == NULL;
}

/* False: this one does nothing to this element. */
static bool
mutate(xmlNodePtr n, size_t mutation)
{
	xmlNodePtr next = xmlNextElementSibling(n), copy;

	if (mutation >= 7) {
		if (is_leaf(n))
			xmlNodeSetContent(n, BAD_CAST fillings[mutation - 7]);
		return is_leaf(n);
	}
	switch (mutation) {
	case 0: /* left out */
		xmlUnlinkNode(n);
		xmlFreeNode(n);
		return true;
	case 1: /* twice */
		copy = xmlCopyNode(n, 1);
		xmlAddNextSibling(n, copy);
		return true;
	case 2: /* of another name */
		xmlNodeSetName(n, BAD_CAST "unheard_of");
		return true;
	case 3: /* behind its successor */
		if (next != NULL)
			xmlAddNextSibling(next, n);
		return next != NULL;
	case 4: /* with an attribute */
		(void)xmlNewProp(n, BAD_CAST "color", BAD_CAST "red");
		return true;
	case 5: /* with a child that has no place there */
		(void)xmlNewChild(n, n->ns, BAD_CAST "unheard_of", BAD_CAST "1");
		return true;
	case 6: /* with text between its children */
		if (!is_leaf(n))
			xmlNodeAddContent(n, BAD_CAST "words");
		return !is_leaf(n);
	default:
		return false;
	}
}

static void
compare_mutant(struct tally *t, const struct public_schema *p, enum aggregate_format format,
    xmlDocPtr original, size_t element, size_t mutation)
{
	xmlDocPtr document = xmlCopyDoc(original, 1);
	xmlNodePtr elements[ELEMENTS_MAX];
	size_t count = list_elements(xmlDocGetRootElement(document), elements, 0);
	char what[200];
	xmlChar *text;
	int len;

	assert_true(element < count);
	(void)snprintf(what, sizeof(what), "element %zu (%s), mutation %zu", element,
	    (const char *)elements[element]->name, mutation);
	if (element > 0 && mutate(elements[element], mutation)) {
		xmlDocDumpMemory(document, &text, &len);
		compare(t, p, format, slice_of((const char *)text, (size_t)len), what);
		xmlFree(text);
	}
	xmlFreeDoc(document);
}

static void
ours_and_mutants(enum aggregate_format format, const char *schema)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct row_source source = { .rows = sample_rows, .count = 2, .fail_at = SIZE_MAX };
	struct aggregate_report r = sample_report(&source, format);
	struct public_schema p = open_public(a, schema);
	struct tally t = { 0 };
	xmlNodePtr elements[ELEMENTS_MAX];
	struct aggregate_output out;
	const char *error = "?";
	xmlDocPtr document;
	size_t count;

	if (aggregate_write(a, &r, &aggregate_limits_default, &out, &error) != 0)
		fail_msg("%s", error);
	assert_true(public_accepts(&p, out.xml));
	document = xmlReadMemory(out.xml.p, (int)out.xml.len, NULL, NULL, XML_PARSE_NOBLANKS);
	count = list_elements(xmlDocGetRootElement(document), elements, 0);
	for (size_t i = 1; i < count; i++)
		for (size_t m = 0; m < MUTATIONS; m++)
			compare_mutant(&t, &p, format, document, i, m);
	xmlFreeDoc(document);
	finish(&t, aggregate_format_word(format));
	assert_true(t.public_refused > 500);
	close_public(&p);
	arena_free(&a);
}

static void
mutants_rfc9990(void **state)
{
	(void)state;
	ours_and_mutants(AGGREGATE_RFC9990, "dmarc-2.0.xsd");
}

static void
mutants_rfc7489(void **state)
{
	(void)state;
	ours_and_mutants(AGGREGATE_RFC7489, "dmarc-rfc7489.xsd");
}

/* ---- reports of others ---- */

static bool
read_sample(struct arena *a, const char *folder, const char *name, struct slice *out)
{
	struct slice file = slice_str(name), bytes;

	if (!slice_ends_nocase(file, SLICE(".xml")) && !slice_ends_nocase(file, SLICE(".xml.gz")))
		return false;
	bytes = read_file(a, arena_printf(a, "%s/%s", folder, name));
	if (!slice_ends_nocase(file, SLICE(".gz")) ||
	    gunzip_bytes(a, bytes, SAMPLE_BYTES, out) != 0)
		*out = bytes; /* one of them says .gz and is not */
	return true;
}

static void
samples(void **state)
{
	struct arena *a = arena_new(ARENA_BYTES);
	const char *folder = arena_printf(a, "%s/report/samples", vectors_folder());
	struct public_schema p[] = { open_public(a, "dmarc-2.0.xsd"),
		open_public(a, "dmarc-rfc7489.xsd") };
	struct tally t = { 0 };
	DIR *dir = opendir(folder);
	struct dirent *entry;
	struct slice xml;

	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		if (read_sample(a, folder, entry->d_name, &xml))
			for (size_t f = 0; f < 2; f++)
				compare(&t, &p[f], (enum aggregate_format)f, xml, entry->d_name);
	(void)closedir(dir);
	finish(&t, "samples, under both schemas");
	assert_true(t.documents >= 20);
	close_public(&p[0]);
	close_public(&p[1]);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutants_rfc9990),
		cmocka_unit_test(mutants_rfc7489),
		cmocka_unit_test(samples),
	};

	if (vectors_folder() == NULL) {
		(void)printf("report vectors: skipped, no folder of public vectors\n");
		return SKIPPED;
	}
	xmlSetGenericErrorFunc(NULL, quiet);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
