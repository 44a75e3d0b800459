/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/syntax/header.h"

#include <string.h>

#define FIELDS_START 32

/* A copy with every line end (LF, CR LF; a CR alone is kept) as CR LF. */
static struct slice
copy_wire(struct arena *a, struct slice value)
{
	size_t breaks = 0, len = 0;
	char *p;

	for (size_t i = 0; i < value.len; i++)
		breaks += value.p[i] == '\n';
	if (breaks == 0)
		return arena_copy(a, value);
	p = arena_alloc(a, value.len + breaks + 1);
	for (size_t i = 0; i < value.len; i++) {
		if (value.p[i] == '\n' && (i == 0 || value.p[i - 1] != '\r'))
			p[len++] = '\r';
		p[len++] = value.p[i];
	}
	return slice_of(p, len);
}

void
header_list_add(struct header_list *list, struct arena *a, struct slice name, struct slice value)
{
	struct header_field *f;

	if (list->count == list->size) {
		size_t size = list->size == 0 ? FIELDS_START : 2 * list->size;
		struct header_field *grown = arena_array(a, size, sizeof(*grown));

		if (list->count > 0)
			memcpy(grown, list->fields, list->count * sizeof(*grown));
		list->fields = grown;
		list->size = size;
	}
	f = &list->fields[list->count++];
	f->name = arena_copy(a, name);
	f->value = copy_wire(a, value);
	list->bytes += f->name.len + f->value.len + strlen(":\r\n");
}

struct slice
header_name_trim(struct slice name)
{
	while (name.len > 0 && ascii_is_wsp(name.p[name.len - 1]))
		name.len--;
	return name;
}

const struct header_field *
header_find(const struct header_list *list, const char *name, size_t from)
{
	for (size_t i = from; i < list->count; i++)
		if (slice_equal_nocase(header_name_trim(list->fields[i].name), slice_str(name)))
			return &list->fields[i];
	return NULL;
}

size_t
header_count(const struct header_list *list, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < list->count; i++)
		n += slice_equal_nocase(header_name_trim(list->fields[i].name), slice_str(name));
	return n;
}

struct slice
header_unfold(struct arena *a, struct slice value)
{
	char *p = arena_alloc(a, value.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < value.len; i++)
		if (value.p[i] != '\r' && value.p[i] != '\n')
			p[len++] = value.p[i];
	return slice_trim(slice_of(p, len));
}
