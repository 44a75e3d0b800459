/* SPDX-License-Identifier: BSD-2-Clause */
#include <libpsl.h>
#include <stdlib.h>
#include <string.h>

#include "policy/dmarc/internal.h"

struct psl {
	const psl_ctx_t *list;
	psl_ctx_t *loaded; /* to be freed; NULL: the built-in list */
};

struct psl *
psl_open(struct arena *a, const char *file, const char **error_r)
{
	struct psl *p;
	psl_ctx_t *loaded = file == NULL ? NULL : psl_load_file(file);
	const psl_ctx_t *list = file == NULL ? psl_builtin() : loaded;

	if (list == NULL) {
		*error_r = file == NULL
		    ? "libpsl was built without a public suffix list"
		    : arena_printf(a, "can't read a public suffix list from %s", file);
		return NULL;
	}
	/* Any text file is read without complaint; -1 is "not known" for a compiled list. */
	if (psl_suffix_count(list) == 0) {
		*error_r = arena_printf(
		    a, "no public suffix in %s", file == NULL ? "the built-in list" : file);
		psl_free(loaded);
		return NULL;
	}
	p = heap_alloc(1, sizeof(*p));
	p->list = list;
	p->loaded = loaded;
	return p;
}

void
psl_close(struct psl **p)
{
	if (*p == NULL)
		return;
	psl_free((*p)->loaded);
	free(*p);
	*p = NULL;
}

struct slice
dmarc_psl_organization(const struct psl *psl, struct slice domain)
{
	char name[LIMIT_DOMAIN_BYTES + 1];
	const char *registrable;

	if (domain.len >= sizeof(name))
		return domain;
	memcpy(name, domain.p, domain.len);
	name[domain.len] = '\0';
	/* libpsl knows each entry as A-labels too, and takes an unlisted top level for a suffix. */
	registrable = psl_registrable_domain(psl->list, name);
	return registrable == NULL ? domain : slice_from(domain, (size_t)(registrable - name));
}
