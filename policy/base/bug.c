/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/bug.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
bug(const char *fmt, ...)
{
	va_list ap;

	fputs("assay: bug: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

void
out_of_memory(size_t wanted_bytes)
{
	(void)fprintf(stderr, "assay: out of memory, wanted %zu bytes\n", wanted_bytes);
	abort();
}

void *
heap_alloc(size_t count, size_t size)
{
	void *p = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);

	if (p == NULL)
		out_of_memory(size);
	return p;
}

char *
heap_copy(const char *s)
{
	char *p = strdup(s);

	if (p == NULL)
		out_of_memory(strlen(s));
	return p;
}
